//! Counts system calls with `strace -f -c`.

use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::process;

/// Calls that wait for a disk.
const SYNC_CALLS: &str = "fsync,fdatasync,syncfs,sync_file_range,msync";

/// Runs a command line under strace and counts its fsync-like calls over all threads.
///
/// # Errors
/// If strace is missing or may not trace, or if the command fails.
pub(crate) fn count_syncs(command: &Command, summary: &Path) -> Result<u64> {
    let strace = process::on_path("strace").ok_or_else(|| Failure::new("no strace here"))?;
    let mut traced = Command::new(strace);
    traced
        .args(["-f", "-c", "-e", &format!("trace={SYNC_CALLS}"), "-o"])
        .arg(summary);
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    process::capture(&mut traced)?;
    let text = std::fs::read_to_string(summary).map_err(Failure::io("read", summary))?;
    Ok(calls(&text))
}

/// Sums the column `calls` of strace's summary; nothing was called if there is none.
fn calls(summary: &str) -> u64 {
    summary.lines().filter_map(calls_in_line).sum()
}

/// `% time  seconds  usecs/call  calls  [errors]  syscall`
fn calls_in_line(line: &str) -> Option<u64> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let syscall = fields.last()?;
    if !SYNC_CALLS.split(',').any(|name| name == *syscall) {
        return None;
    }
    fields.get(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_calls() {
        let summary = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 83.12    0.001044         104        10           fsync
 16.88    0.000212         106         2         1 fdatasync
------ ----------- ----------- --------- --------- ----------------
100.00    0.001256         104        12         1 total
";
        assert_eq!(calls(summary), 12);
        assert_eq!(calls(""), 0);
    }
}
