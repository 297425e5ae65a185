//! What ends a running guest: at each tick the epoch callback asks the watch whether the job was
//! cancelled, used its CPU time, hung, or filled its output directory.
//!
//! The time limit is the CPU time of the thread that runs the guest, so that a loaded machine
//! gives the same result; the host's own walks through the output are not charged to the guest.
//! Nor does the ceiling of wall time count, where the system tells it, the time in which the
//! thread was ready and no core was free: more workers than cores are no reason to end a job.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::{JobFailure, Limits};

/// How often the output is measured. What a disk takes in this time is the most that a guest can
/// write beyond its limit.
const OUTPUT_PERIOD: Duration = Duration::from_millis(100);

/// Directories inside each other beneath `/out`. Nobody needs a dozen, and deeper ones could
/// outgrow what a path can name.
const OUTPUT_DEPTH_MAX: usize = 12;

/// Watches one call. To be made, ticked and finished on the thread that runs the guest.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    cancel: Arc<AtomicBool>,
    output: Option<PathBuf>,
    cpu_start: Duration,
    wall_start: Instant,
    queued_start: Duration,
    measured: Instant,
}

impl Watch {
    /// Starts the clocks. `output` is the host's path of `/out`, if the call has one.
    pub(super) fn start(limits: &Limits, cancel: Arc<AtomicBool>, output: Option<&Path>) -> Self {
        let now = Instant::now();
        Self {
            limits: limits.clone(),
            cancel,
            output: output.map(Path::to_owned),
            cpu_start: thread_cpu(),
            wall_start: now,
            queued_start: thread_queued(),
            measured: now,
        }
    }

    /// CPU time of the call so far.
    pub(super) fn cpu(&self) -> Duration {
        thread_cpu().saturating_sub(self.cpu_start)
    }

    /// Wall time of the call so far, without the time it waited for a core.
    fn wall(&self) -> Duration {
        let queued = thread_queued().saturating_sub(self.queued_start);
        self.wall_start.elapsed().saturating_sub(queued)
    }

    /// Looks at the running call.
    ///
    /// # Errors
    /// If it has to end.
    pub(super) fn tick(&mut self) -> Result<(), JobFailure> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(JobFailure::Cancelled);
        }
        self.check_cpu()?;
        let limit = self.limits.cpu_max.saturating_mul(Limits::WALL_FACTOR);
        if self.wall_start.elapsed() > limit && self.wall() > limit {
            return Err(JobFailure::Wall { limit });
        }
        if self.measured.elapsed() >= OUTPUT_PERIOD {
            self.check_output()?;
            self.measured = Instant::now();
        }
        Ok(())
    }

    /// Looks at a call that returned: a short one may have passed between two ticks.
    ///
    /// # Errors
    /// If it went beyond a limit.
    pub(super) fn finish(&mut self) -> Result<(), JobFailure> {
        self.check_cpu()?;
        self.check_output()
    }

    fn check_cpu(&self) -> Result<(), JobFailure> {
        let used = self.cpu();
        let limit = self.limits.cpu_max;
        if used > limit {
            return Err(JobFailure::Cpu { used, limit });
        }
        Ok(())
    }

    fn check_output(&mut self) -> Result<(), JobFailure> {
        let Some(output) = &self.output else {
            return Ok(());
        };
        let limit_bytes = self.limits.output_bytes_max;
        let limit_files = self.limits.output_files_max;
        let before = thread_cpu();
        let measured = measure(output, limit_bytes, limit_files);
        self.cpu_start += thread_cpu().saturating_sub(before);
        match measured {
            Ok(Measure::Within) => Ok(()),
            Ok(Measure::Beyond) => Err(JobFailure::Output {
                limit_bytes,
                limit_files,
            }),
            Ok(Measure::TooDeep) => Err(JobFailure::InvalidOutput(format!(
                "more than {OUTPUT_DEPTH_MAX} directories inside each other"
            ))),
            Err(error) => Err(JobFailure::Host(format!("read the output: {error}"))),
        }
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

#[derive(Debug, PartialEq, Eq)]
enum Measure {
    Within,
    Beyond,
    TooDeep,
}

/// Adds up what lies beneath `dir`: lengths of files, so that a sparse file counts in full, and
/// every entry, whatever its kind. Links are not followed. Ends as soon as a limit is passed, so
/// the walk is as bounded as the limits are.
fn measure(dir: &Path, bytes_max: u64, entries_max: u64) -> io::Result<Measure> {
    let (mut bytes, mut entries) = (0u64, 0u64);
    let mut open = vec![(dir.to_owned(), 1)];
    while let Some((dir, depth)) = open.pop() {
        if depth > OUTPUT_DEPTH_MAX {
            return Ok(Measure::TooDeep);
        }
        for entry in std::fs::read_dir(&dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            entries += 1;
            if metadata.is_dir() {
                open.push((entry.path(), depth + 1));
            } else {
                bytes = bytes.saturating_add(metadata.len());
            }
            if bytes > bytes_max || entries > entries_max {
                return Ok(Measure::Beyond);
            }
        }
    }
    Ok(Measure::Within)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "fixtures in a temporary directory"
    )]

    use super::*;

    #[test]
    fn output_is_measured_without_following_links() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        std::fs::create_dir_all(out.join("a/b")).unwrap();
        std::fs::write(dir.path().join("outside"), vec![0; 5_000]).unwrap();
        std::fs::write(out.join("a/b/file"), vec![0; 100]).unwrap();
        std::os::unix::fs::symlink(dir.path(), out.join("up")).unwrap();
        let target = dir.path().as_os_str().len() as u64;
        let check = |bytes, entries, expected| {
            assert_eq!(
                measure(&out, bytes, entries).unwrap(),
                expected,
                "{bytes} {entries}"
            );
        };
        check(100 + target, 4, Measure::Within);
        check(100 + target - 1, 4, Measure::Beyond);
        check(100 + target, 3, Measure::Beyond);
    }

    #[test]
    fn a_sparse_file_counts_in_full() {
        let dir = tempfile::tempdir().unwrap();
        let file = std::fs::File::create(dir.path().join("sparse")).unwrap();
        file.set_len(1 << 40).unwrap();
        assert_eq!(measure(dir.path(), 1 << 30, 10).unwrap(), Measure::Beyond);
    }

    #[test]
    fn depth_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let deep = |levels| {
            let path: PathBuf = (0..levels).map(|_| "d").collect();
            std::fs::create_dir_all(dir.path().join(path)).unwrap();
        };
        deep(OUTPUT_DEPTH_MAX - 1);
        assert_eq!(measure(dir.path(), 10, 100).unwrap(), Measure::Within);
        deep(OUTPUT_DEPTH_MAX);
        assert_eq!(measure(dir.path(), 10, 100).unwrap(), Measure::TooDeep);
    }

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
        let mut watch = Watch::start(&limits, Arc::default(), None);
        watch.tick().unwrap();
        std::thread::sleep(Duration::from_millis(60));
        let limit = Duration::from_millis(50);
        assert_eq!(watch.tick(), Err(JobFailure::Wall { limit }));
    }
}
