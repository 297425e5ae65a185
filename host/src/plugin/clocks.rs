//! Virtual clocks: time that depends on nothing but what the guest did.
//!
//! Each reading advances the clock by a fixed step; waiting for a moment advances it to that
//! moment and is over at once. So a sleeping guest does not sleep, and two runs see the same times.

use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::Surroundings;
use super::state::JobState;

/// What the wall clock shows when a call starts: 2001-09-09T01:46:40Z, a moment that nobody takes
/// for the real time.
const EPOCH_SECONDS: u64 = 1_000_000_000;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Time since the call started, as the guest sees it.
#[derive(Debug)]
pub(super) struct VirtualClock {
    start_nanos: u64,
    step_nanos: u64,
    nanos: u64,
}

impl VirtualClock {
    /// The clock of a call.
    pub(super) fn new(surroundings: &Surroundings) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let start_nanos = nanos(surroundings.clock_ahead);
        Self {
            start_nanos,
            step_nanos: nanos(surroundings.clock_step),
            nanos: start_nanos,
        }
    }

    /// When it started: the time of every file.
    pub(super) fn start(&self) -> wall_clock::Datetime {
        datetime(EPOCH_SECONDS, self.start_nanos)
    }

    fn now(&mut self) -> u64 {
        self.nanos = self.nanos.saturating_add(self.step_nanos);
        self.nanos
    }

    fn advance_to(&mut self, nanos: u64) {
        self.nanos = self.nanos.max(nanos);
    }
}

/// A moment that has come.
struct Reached;

#[async_trait]
impl Pollable for Reached {
    async fn ready(&mut self) {}
}

impl JobState {
    fn reached(&mut self) -> wasmtime::Result<Resource<DynPollable>> {
        let reached = self.table.push(Reached)?;
        subscribe(&mut self.table, reached)
    }
}

impl monotonic_clock::Host for JobState {
    fn now(&mut self) -> wasmtime::Result<monotonic_clock::Instant> {
        Ok(self.clock.now())
    }

    fn resolution(&mut self) -> wasmtime::Result<monotonic_clock::Duration> {
        Ok(self.clock.step_nanos)
    }

    fn subscribe_instant(
        &mut self,
        when: monotonic_clock::Instant,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.clock.advance_to(when);
        self.reached()
    }

    fn subscribe_duration(
        &mut self,
        duration: monotonic_clock::Duration,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        self.clock
            .advance_to(self.clock.nanos.saturating_add(duration));
        self.reached()
    }
}

impl wall_clock::Host for JobState {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(EPOCH_SECONDS, self.clock.now()))
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(datetime(0, self.clock.step_nanos))
    }
}

fn datetime(seconds: u64, nanos: u64) -> wall_clock::Datetime {
    wall_clock::Datetime {
        seconds: seconds + nanos / NANOS_PER_SECOND,
        nanoseconds: u32::try_from(nanos % NANOS_PER_SECOND).expect("a remainder below 10^9"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_steps_and_waiting_jumps() {
        let mut clock = VirtualClock::new(&Surroundings::default());
        assert_eq!((clock.now(), clock.now()), (1_000, 2_000));
        clock.advance_to(5_000_000_000);
        assert_eq!(clock.now(), 5_000_001_000);
        clock.advance_to(1);
        assert_eq!(clock.now(), 5_000_002_000, "time never goes back");
        clock.advance_to(u64::MAX);
        assert_eq!(clock.now(), u64::MAX, "and never wraps");
    }

    #[test]
    fn another_start_and_step_are_seen() {
        let mut clock = VirtualClock::new(&Surroundings {
            clock_ahead: Duration::from_secs(2),
            clock_step: Duration::from_nanos(7),
            ..Surroundings::default()
        });
        assert_eq!((clock.now(), clock.now()), (2_000_000_007, 2_000_000_014));
        let start = clock.start();
        assert_eq!((start.seconds, start.nanoseconds), (1_000_000_002, 0));
    }

    #[test]
    fn the_wall_clock_carries_seconds() {
        let now = datetime(EPOCH_SECONDS, 3_500_000_000);
        assert_eq!((now.seconds, now.nanoseconds), (1_000_000_003, 500_000_000));
    }
}
