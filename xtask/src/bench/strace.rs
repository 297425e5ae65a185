//! Counts system calls, and the bytes they write, with `strace -f`.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::process;

/// Calls that wait for a disk.
const SYNC_CALLS: &str = "fsync,fdatasync,syncfs,sync_file_range,msync";

/// Calls that only wait or wake somebody, or only want memory: how many there are is the
/// scheduler's doing and the allocator's.
const NOT_COUNTED: [&str; 15] = [
    "brk",
    "clock_nanosleep",
    "epoll_pwait",
    "epoll_wait",
    "futex",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    "nanosleep",
    "poll",
    "ppoll",
    "restart_syscall",
    "sched_yield",
];

/// Calls that write as many bytes as they return.
const WRITING: [&str; 7] = [
    "copy_file_range",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "sendfile",
    "write",
    "writev",
];

/// What a command cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// System calls over all threads.
    pub(crate) calls: u64,
    /// Bytes that they wrote to files, pipes and terminals; memory with a descriptor is none.
    pub(crate) bytes_written: u64,
}

/// A file that lies in memory and has no name: a component's memory image is one.
const IN_MEMORY: &str = "</memfd:";

/// Runs a command line under strace and says what it cost.
///
/// # Errors
/// If strace is missing or may not trace, or if the command fails.
pub(crate) fn cost(command: &Command, trace: &Path) -> Result<Cost> {
    let options = ["-f", "-y", "-qq", "-e", "signal=none", "-s", "0", "-o"];
    Ok(cost_in(&run(command, &options, trace)?))
}

/// Adds up a trace of lines `thread call(…) = result`, or of their halves where another thread came
/// between.
fn cost_in(trace: &str) -> Cost {
    let mut cost = Cost::default();
    // Threads in the middle of a call whose bytes count.
    let mut writing = HashSet::new();
    for (thread, rest) in trace.lines().filter_map(|line| line.split_once(' ')) {
        let rest = rest.trim_start();
        let is_resumed = rest.starts_with("<... ");
        let call = rest.trim_start_matches("<... ");
        let call = call.split(['(', ' ']).next().unwrap_or("");
        if call.is_empty() || call.starts_with(['+', '-']) || NOT_COUNTED.contains(&call) {
            continue;
        }
        cost.calls += u64::from(!is_resumed);
        let counts = if is_resumed {
            writing.remove(thread)
        } else {
            WRITING.contains(&call) && !rest.contains(IN_MEMORY)
        };
        match rest.rsplit_once(" = ") {
            _ if !counts => {}
            // A failed call wrote nothing.
            Some((_, result)) => cost.bytes_written += result.parse::<u64>().unwrap_or(0),
            None => {
                writing.insert(thread);
            }
        }
    }
    cost
}

/// Runs a command line under strace and counts its fsync-like calls over all threads.
///
/// # Errors
/// If strace is missing or may not trace, or if the command fails.
pub(crate) fn count_syncs(command: &Command, summary: &Path) -> Result<u64> {
    let trace = format!("trace={SYNC_CALLS}");
    let text = run(command, &["-f", "-c", "-e", &trace, "-o"], summary)?;
    Ok(calls(&text))
}

/// Runs a command line under strace and returns what that wrote to `file`.
fn run(command: &Command, options: &[&str], file: &Path) -> Result<String> {
    let strace = process::on_path("strace").ok_or_else(|| Failure::new("no strace here"))?;
    let mut traced = Command::new(strace);
    traced.args(options).arg(file);
    traced.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => traced.env(name, value),
            None => traced.env_remove(name),
        };
    }
    process::capture(&mut traced)?;
    std::fs::read_to_string(file).map_err(Failure::io("read", file))
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

    #[test]
    fn adds_up_a_trace() {
        let trace = "\
12 write(1, \"\"..., 5) = 5
13 futex(0x1, FUTEX_WAIT, 1, NULL <unfinished ...>
12 pwrite64(3, \"\"..., 4096, 0 <unfinished ...>
13 <... futex resumed>) = 0
12 <... pwrite64 resumed>) = 4096
12 write(1, \"\"..., 5) = -1 EIO (Input/output error)
12 write(4</memfd:image (deleted)>, \"\"..., 90 <unfinished ...>
13 write(4</memfd:image (deleted)>, \"\"..., 90) = 90
12 <... write resumed>) = 90
12 exit_group(0) = ?
12 +++ exited with 0 +++
";
        let expected = Cost {
            calls: 6,
            bytes_written: 4101,
        };
        assert_eq!(cost_in(trace), expected);
    }
}
