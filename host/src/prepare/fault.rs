//! Switches of the test rigs: random completion order, time to change an input while it is read, a
//! panic in a worker, syncs left out. Without the feature `fault-points` nothing of them is compiled.

#[cfg(feature = "fault-points")]
mod switches {
    use std::time::Duration;

    use crate::kb::Seq;

    /// Longest delay of a message.
    const DELAY_MS_MAX: u64 = 30;

    /// Delays the message of an input by 0 to 30 ms, depending on `KBHOST_TEST_SHUFFLE` and `seq`.
    pub(in super::super) fn delay(seq: Seq) {
        let seed = std::env::var("KBHOST_TEST_SHUFFLE").ok();
        let Some(seed) = seed.and_then(|seed| seed.parse::<u64>().ok()) else {
            return;
        };
        std::thread::sleep(Duration::from_millis(
            mix(seed.wrapping_add(mix(seq.0))) % (DELAY_MS_MAX + 1),
        ));
    }

    /// Sleeps for `KBHOST_TEST_COPY_DELAY_MS` after an input was read and before it is looked at
    /// again: long enough for a rig to change it.
    pub(in super::super) fn copied() {
        let millis = std::env::var("KBHOST_TEST_COPY_DELAY_MS").ok();
        if let Some(millis) = millis.and_then(|millis| millis.parse().ok()) {
            std::thread::sleep(Duration::from_millis(millis));
        }
    }

    /// Panics for an input whose display holds `KBHOST_TEST_PANIC`.
    pub(in super::super) fn panic_for(display: &str) {
        if let Ok(part) = std::env::var("KBHOST_TEST_PANIC")
            && !part.is_empty()
            && display.contains(&part)
        {
            panic!("KBHOST_TEST_PANIC asked for it");
        }
    }

    /// Whether a rig lets converters of files keep checkpoints, so that they can be seen to: with
    /// `KBHOST_TEST_CHECKPOINTS`.
    pub(in super::super) fn keeps_checkpoints() -> bool {
        std::env::var_os("KBHOST_TEST_CHECKPOINTS").is_some()
    }

    /// Whether a rig runs without a part of the protection, to see that it notices: `FILE_SYNC` or
    /// `DIR_SYNC`.
    pub(in super::super) fn is_left_out(part: &str) -> bool {
        std::env::var_os(format!("KBHOST_TEST_NO_{part}")).is_some()
    }

    /// The output function of SplitMix64 (Steele, Lea, Flood 2014).
    fn mix(state: u64) -> u64 {
        let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(not(feature = "fault-points"))]
mod switches {
    use crate::kb::Seq;

    pub(in super::super) fn delay(_: Seq) {}

    pub(in super::super) fn copied() {}

    pub(in super::super) fn panic_for(_: &str) {}

    pub(in super::super) fn keeps_checkpoints() -> bool {
        false
    }

    pub(in super::super) fn is_left_out(_: &str) -> bool {
        false
    }
}

pub(super) use switches::{copied, delay, is_left_out, keeps_checkpoints, panic_for};
