//! What one job may use.

use std::time::Duration;

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
