//! What ends a running guest: at each tick the epoch callback asks the watch whether the job was
//! cancelled, used its CPU time, or hung.
//!
//! The time limit is the CPU time of the thread that runs the guest, so that a loaded machine
//! gives the same result. Nor does the ceiling of wall time count, where the system tells it, the time in which the
//! thread was ready and no core was free: more workers than cores are no reason to end a job.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::{JobFailure, Limits};

/// Watches one call. To be made, ticked and finished on the thread that runs the guest.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    cancel: Arc<AtomicBool>,
    cpu_start: Duration,
    wall_start: Instant,
    queued_start: Duration,
    waited: Duration,
}

impl Watch {
    /// Starts the clocks.
    pub(super) fn start(limits: &Limits, cancel: Arc<AtomicBool>) -> Self {
        Self {
            limits: limits.clone(),
            cancel,
            cpu_start: thread_cpu(),
            wall_start: Instant::now(),
            queued_start: thread_queued(),
            waited: Duration::ZERO,
        }
    }

    /// CPU time of the call so far.
    pub(super) fn cpu(&self) -> Duration {
        thread_cpu().saturating_sub(self.cpu_start)
    }

    /// Wall time of the call so far, without the time it waited for a core or for a service: calls of
    /// services have limits of their own.
    fn wall(&self) -> Duration {
        let queued = thread_queued().saturating_sub(self.queued_start);
        let elapsed = self.wall_start.elapsed();
        elapsed.saturating_sub(queued).saturating_sub(self.waited)
    }

    /// Notes how long the guest has waited for a service in all.
    pub(super) fn set_waited(&mut self, waited: Duration) {
        self.waited = waited;
    }

    /// Looks at the running call.
    ///
    /// # Errors
    /// If it has to end.
    pub(super) fn tick(&self) -> Result<(), JobFailure> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(JobFailure::Cancelled);
        }
        self.check_cpu()?;
        let limit = self.limits.cpu_max.saturating_mul(Limits::WALL_FACTOR);
        if self.wall_start.elapsed() > limit && self.wall() > limit {
            return Err(JobFailure::Wall { limit });
        }
        Ok(())
    }

    /// Looks at a call that returned: a short one may have passed between two ticks.
    ///
    /// # Errors
    /// If it went beyond a limit.
    pub(super) fn finish(&self) -> Result<(), JobFailure> {
        self.check_cpu()
    }

    fn check_cpu(&self) -> Result<(), JobFailure> {
        let used = self.cpu();
        let limit = self.limits.cpu_max;
        if used > limit {
            return Err(JobFailure::Cpu { used, limit });
        }
        Ok(())
    }
}

/// CPU time of this thread since it started.
fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Time since its start in which this thread was ready to run and waited for a core; zero where
/// the system does not tell.
fn thread_queued() -> Duration {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| queued(&text))
        .unwrap_or_default()
}

/// The second field of `schedstat`: nanoseconds in the run queue.
fn queued(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_whitespace().nth(1)?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_queue_is_the_second_field() {
        let check = |text, expected| assert_eq!(queued(text), expected, "{text}");
        check(
            "124241434 1207432834 34\n",
            Some(Duration::from_nanos(1_207_432_834)),
        );
        check("0 0 0\n", Some(Duration::ZERO));
        check("1", None);
        check("a b c", None);
        check("", None);
    }

    #[test]
    fn a_job_that_waits_too_long_hung() {
        let limits = Limits {
            cpu_max: Duration::from_millis(10),
            ..Limits::default()
        };
        let watch = Watch::start(&limits, Arc::default());
        watch.tick().unwrap();
        std::thread::sleep(Duration::from_millis(60));
        let limit = Duration::from_millis(50);
        assert_eq!(watch.tick(), Err(JobFailure::Wall { limit }));
    }
}
