//! Virtual clocks: time that depends on nothing but what the guest did.
//!
//! Each reading advances the clock by one microsecond; waiting for a moment advances it to that
//! moment and is over at once. So a sleeping guest does not sleep, and two runs see the same times.

use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use super::state::JobState;

/// What the wall clock shows when a call starts: 2001-09-09T01:46:40Z, a moment that nobody takes
/// for the real time.
pub(super) const EPOCH_SECONDS: u64 = 1_000_000_000;

/// How far a reading advances the clock.
const STEP_NANOS: u64 = 1_000;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Time since the call started, as the guest sees it.
#[derive(Debug, Default)]
pub(super) struct VirtualClock {
    nanos: u64,
}

impl VirtualClock {
    fn now(&mut self) -> u64 {
        self.nanos = self.nanos.saturating_add(STEP_NANOS);
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
        Ok(STEP_NANOS)
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
        Ok(datetime(0, STEP_NANOS))
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
        let mut clock = VirtualClock::default();
        assert_eq!((clock.now(), clock.now()), (1_000, 2_000));
        clock.advance_to(5_000_000_000);
        assert_eq!(clock.now(), 5_000_001_000);
        clock.advance_to(1);
        assert_eq!(clock.now(), 5_000_002_000, "time never goes back");
        clock.advance_to(u64::MAX);
        assert_eq!(clock.now(), u64::MAX, "and never wraps");
    }

    #[test]
    fn the_wall_clock_carries_seconds() {
        let now = datetime(EPOCH_SECONDS, 3_500_000_000);
        assert_eq!((now.seconds, now.nanoseconds), (1_000_000_003, 500_000_000));
    }
}
