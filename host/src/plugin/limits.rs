//! What one job may use.

use std::time::Duration;

use super::WantedLimits;
use crate::kb::config::Narrowing;

/// Limits of one call into a component. Each has a default, a maximum and an error of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// CPU time of the thread that runs the guest. Wall time may be [`Limits::WALL_FACTOR`] times that.
    pub cpu_max: Duration,
    /// All linear memories and tables of the component together, the initial size counted.
    pub memory_bytes_max: u64,
    /// Bytes beneath `/out`.
    pub output_bytes_max: u64,
    /// Files and directories beneath `/out`.
    pub output_files_max: u64,
    /// Bytes of the input, its assets not counted.
    pub input_bytes_max: u64,
}

impl Limits {
    /// A job that waits instead of computing ends after this many times its CPU limit.
    pub const WALL_FACTOR: u32 = 5;
    /// Captured standard output and error of a guest, bytes each.
    pub const STDIO_BYTES_MAX: usize = 64 << 10;
    /// Local files an input may refer to.
    pub const ASSETS_MAX: usize = 1_000;
}

impl Limits {
    /// These limits where the KB asks for no smaller ones.
    fn narrowed(self, to: &Narrowing) -> Self {
        let bytes =
            |mib: Option<u64>, max: u64| mib.map_or(max, |mib| max.min(mib.saturating_mul(MIB)));
        let cpu = to.cpu_ms.map(Duration::from_millis);
        Self {
            cpu_max: cpu.map_or(self.cpu_max, |cpu| cpu.min(self.cpu_max)),
            memory_bytes_max: bytes(to.memory_mib, self.memory_bytes_max),
            output_bytes_max: bytes(to.output_mib, self.output_bytes_max),
            output_files_max: to.output_files.map_or(self.output_files_max, |files| {
                files.min(self.output_files_max)
            }),
            input_bytes_max: bytes(to.input_mib, self.input_bytes_max),
        }
    }
}

/// Bytes of one.
const MIB: u64 = 1 << 20;

/// What a run allows its converters: a plugin may have been granted others than the limits of the run,
/// and whatever holds then, the KB narrows.
#[derive(Clone, Debug, Default)]
pub struct Allowance {
    /// The limits of a converter that was granted no others.
    pub limits: Limits,
    /// What the KB asks for.
    pub kb: Narrowing,
}

impl Allowance {
    /// The limits of a plugin that was granted `granted`.
    pub(super) fn granted(&self, granted: &WantedLimits) -> Limits {
        granted.applied_to(&self.limits).narrowed(&self.kb)
    }

    /// Bytes of an input, whoever converts it.
    #[must_use]
    pub fn input_bytes_max(&self) -> u64 {
        self.limits.clone().narrowed(&self.kb).input_bytes_max
    }

    /// The limits that the KB asks for and that are wider than those of the run: the key, the value,
    /// and what holds.
    #[must_use]
    pub fn ignored(&self) -> Vec<(&'static str, u64, u64)> {
        let cpu_ms = u64::try_from(self.limits.cpu_max.as_millis()).unwrap_or(u64::MAX);
        let all = [
            ("cpu_ms", self.kb.cpu_ms, cpu_ms),
            (
                "memory_mib",
                self.kb.memory_mib,
                self.limits.memory_bytes_max / MIB,
            ),
            (
                "output_mib",
                self.kb.output_mib,
                self.limits.output_bytes_max / MIB,
            ),
            (
                "output_files",
                self.kb.output_files,
                self.limits.output_files_max,
            ),
            (
                "input_mib",
                self.kb.input_mib,
                self.limits.input_bytes_max / MIB,
            ),
        ];
        let wider = all
            .into_iter()
            .filter_map(|(key, value, max)| Some((key, value?, max)));
        wider.filter(|(_, value, max)| value > max).collect()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            cpu_max: Duration::from_secs(60),
            memory_bytes_max: 512 << 20,
            output_bytes_max: 1 << 30,
            output_files_max: 10_000,
            input_bytes_max: 512 << 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kb_narrows_and_never_widens() {
        let kb = Narrowing {
            cpu_ms: Some(90_000),
            memory_mib: Some(16),
            output_mib: Some(u64::MAX),
            output_files: Some(1),
            input_mib: None,
        };
        let allowance = Allowance {
            kb,
            ..Allowance::default()
        };
        let defaults = Limits::default();
        let narrowed = Limits {
            memory_bytes_max: 16 << 20,
            output_files_max: 1,
            ..defaults.clone()
        };
        assert_eq!(allowance.granted(&WantedLimits::default()), narrowed);
        // What the user granted a plugin is narrowed too.
        let granted = WantedLimits {
            cpu_seconds: Some(600),
            memory_mib: Some(4_096),
            ..WantedLimits::default()
        };
        let limits = allowance.granted(&granted);
        assert_eq!(limits.cpu_max, Duration::from_secs(90));
        assert_eq!(limits.memory_bytes_max, 16 << 20);
        assert_eq!(allowance.input_bytes_max(), defaults.input_bytes_max);
        assert_eq!(
            allowance.ignored(),
            [("cpu_ms", 90_000, 60_000), ("output_mib", u64::MAX, 1_024)]
        );
    }
}
