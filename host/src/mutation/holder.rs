//! `holder.json`: who holds the lock. Advisory: the lock itself is the kernel's; this only names
//! the holder to somebody who waits.

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

use super::storage::Storage;
use crate::kb::clock::Clock;
use crate::kb::{KbRoot, SafeLine, layout};

/// A record is one short object; more is not one.
const RECORD_BYTES_MAX: u64 = 4 << 10;

#[derive(Serialize, Deserialize)]
struct Record {
    pid: u32,
    command: String,
    since: String,
}

/// Leaves a record. A failure only costs somebody else's message.
pub(super) fn record(storage: &Storage, command: &str, clock: &Clock) {
    let record = Record {
        pid: std::process::id(),
        command: command.to_owned(),
        since: clock.record_time(),
    };
    let bytes = serde_json::to_vec(&record).expect("strings and a number serialise");
    if let Err(error) = storage.write_advisory(&layout::holder_json(), &bytes) {
        tracing::debug!(%error, "no holder record");
    }
}

/// Says who holds the lock, as one safe line; `None` if nothing is known. The record stays when the
/// lock goes, and not every holder leaves one: one of a process that is gone names nobody.
pub(super) fn describe(root: &KbRoot) -> Option<String> {
    let bytes = root.read(&layout::holder_json(), RECORD_BYTES_MAX).ok()??;
    let record: Record = serde_json::from_slice(&bytes).ok()?;
    if !is_alive(record.pid) {
        return None;
    }
    let command = SafeLine::with_max(&record.command, 40);
    let since = SafeLine::with_max(&record.since, 40);
    Some(format!(
        "`kbhost {command}` (process {}) took it at {since}",
        record.pid
    ))
}

/// Whether there is such a process, also one of somebody else.
fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(Errno::SRCH)))
}
