//! Who holds the lock: `holder.json`, and what the kernel says.
//!
//! The record is advisory: the lock itself is the kernel's, the record only tells more of a holder
//! whom the kernel names. A record outlives its holder, and somebody else may hold the lock since:
//! it is believed only of a process that is seen to hold the lock, or, where locks cannot be seen,
//! of one that lives, with the start time and the boot it was written with.

use std::cell::RefCell;
use std::fs::File;

use serde::{Deserialize, Serialize};

use super::lock;
use super::process::{self, FlockHolder};
use super::storage::Storage;
use crate::kb::clock::Clock;
use crate::kb::{KbError, KbRoot, SafeLine, layout};

/// A record is one short object; more is not one.
const RECORD_BYTES_MAX: u64 = 4 << 10;

/// Of many readers this many are named.
const HOLDERS_MAX: usize = 16;

/// What a holder of the lock is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Recover,
    Plan,
    Snapshot,
    Publish,
    Write,
    Registry,
    Effects,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::Plan => "plan",
            Self::Snapshot => "snapshot",
            Self::Publish => "publish",
            Self::Write => "write",
            Self::Registry => "registry",
            Self::Effects => "effects",
        }
    }
}

/// The record as written.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    pid: u32,
    /// Clock ticks between the start of the machine and that of the process.
    #[serde(default)]
    started: Option<u64>,
    #[serde(default)]
    boot: Option<String>,
    #[serde(default)]
    host: String,
    command: String,
    since: String,
    #[serde(default)]
    phase: String,
    #[serde(default)]
    progress: String,
}

/// What a holder leaves of itself while it holds the lock.
#[derive(Debug)]
pub(super) struct Trail(RefCell<Written>);

/// The record and its file.
#[derive(Debug)]
struct Written {
    /// The record of the last phase; before the first one its phase is empty.
    record: Record,
    /// Open for the next phase, which costs one write then.
    file: Option<File>,
    /// Bytes of the longest record so far: a shorter one is padded, so that it covers all of it.
    bytes_max: usize,
}

impl Trail {
    pub(super) fn new(command: &'static str, clock: &Clock) -> Self {
        let pid = std::process::id();
        let since = clock.record_time();
        Self(RefCell::new(Written {
            record: Record {
                pid,
                started: process::start_time(pid),
                boot: process::boot_id().map(str::to_owned),
                host: host_name(),
                command: command.to_owned(),
                since: since.clone(),
                phase: String::new(),
                progress: since,
            },
            file: None,
            bytes_max: 0,
        }))
    }

    /// Notes what the holder begins, unless that is what it is at: a phase is written before its
    /// first step, so that whoever hangs is seen where it hangs. A failure only costs somebody
    /// else's message.
    pub(super) fn enter(&self, phase: Phase, storage: &Storage, clock: &Clock) {
        let mut written = self.0.borrow_mut();
        let Written {
            record,
            file,
            bytes_max,
        } = &mut *written;
        if record.phase == phase.name() {
            return;
        }
        phase.name().clone_into(&mut record.phase);
        record.progress = clock.record_time();
        let mut bytes = serde_json::to_vec(record).expect("strings and numbers serialise");
        *bytes_max = bytes.len().max(*bytes_max);
        bytes.resize(*bytes_max, b' ');
        if let Err(error) = storage.write_advisory(&layout::holder_json(), file, &bytes) {
            tracing::debug!(%error, "no holder record");
        }
    }
}

/// A process that holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// It changes the KB; else it reads.
    pub exclusive: bool,
    /// It belongs to this user, who may end it.
    pub own: bool,
    /// It was stopped by a signal and does not go on by itself.
    pub stopped: bool,
    /// The name of its program; empty if unknown.
    pub program: SafeLine,
    /// What it was started with; empty if unknown.
    pub command_line: SafeLine,
    /// What it left of itself, if that is believed.
    pub record: Option<HolderRecord>,
}

/// What a holder left of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HolderRecord {
    /// The command line's first word: `add`.
    pub command: SafeLine,
    /// When it took the lock, RFC 3339 UTC.
    pub since: SafeLine,
    /// What it is at: `plan`, `snapshot`, `publish`, `write`, `registry`, `effects`.
    pub phase: SafeLine,
    /// When it began that, RFC 3339 UTC.
    pub progress: SafeLine,
    /// The machine it runs on.
    pub host: SafeLine,
}

/// The lock as it is just now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "holders")]
pub enum LockState {
    /// Nobody holds it.
    Free,
    /// These hold it: one that changes the KB, or up to 16 that read.
    Held(Vec<Holder>),
    /// A process holds it that cannot be seen from here: in another container, or on another machine.
    Unseen,
}

/// Looks at the lock, without waiting for it.
///
/// # Errors
/// If the lock file cannot be opened, or is none.
pub fn lock_state(root: &KbRoot) -> Result<LockState, KbError> {
    let Some(file) = root.open_file(&layout::ingest_lock())? else {
        return Ok(LockState::Free);
    };
    let record = read_record(root);
    let seen = process::holders(&file);
    let holders = match &seen {
        Some(seen) => named(seen, record.as_ref()),
        None => alive(record).into_iter().collect(),
    };
    // Where the kernel names a holder that is enough; else only a try tells, and a record of somebody
    // who lives tells nothing by itself.
    if seen.is_some() && !holders.is_empty() {
        return Ok(LockState::Held(holders));
    }
    Ok(match lock::is_taken(&file) {
        Ok(true) if holders.is_empty() => LockState::Unseen,
        Ok(true) => LockState::Held(holders),
        Ok(false) | Err(_) => LockState::Free,
    })
}

/// Says who holds the lock, as one safe line; `None` if that is not certain.
pub(super) fn describe(root: &KbRoot) -> Option<String> {
    let file = root.open_file(&layout::ingest_lock()).ok()??;
    let record = read_record(root);
    let holders = match process::holders(&file) {
        Some(seen) => named(&seen, record.as_ref()),
        None => alive(record).into_iter().collect(),
    };
    let (first, more) = holders.split_first()?;
    let line = first.to_line();
    Some(match more.len() {
        0 => line,
        more => format!("{line}; and {more} more"),
    })
}

impl Holder {
    /// What is known of it, as one safe line.
    fn to_line(&self) -> String {
        let Self { pid, program, .. } = self;
        let stopped = if self.stopped { "; it is stopped" } else { "" };
        match &self.record {
            Some(record) => {
                let HolderRecord {
                    command,
                    since,
                    phase,
                    progress,
                    ..
                } = record;
                format!(
                    "`kbhost {command}` (process {pid}) took it at {since}, phase {phase}, last \
                     progress at {progress}{stopped}"
                )
            }
            None if program.is_empty() => format!("process {pid} has it{stopped}"),
            None => format!("`{program}` (process {pid}) has it{stopped}"),
        }
    }

    fn of(held: FlockHolder, record: Option<HolderRecord>) -> Self {
        let words = process::command_line(held.pid);
        let program = words.first().map_or("", SafeLine::as_str);
        let program = program.rsplit('/').next().unwrap_or_default();
        let line: Vec<&str> = words.iter().map(SafeLine::as_str).collect();
        let me = rustix::process::geteuid();
        Self {
            pid: held.pid,
            exclusive: held.exclusive,
            own: me.is_root() || process::owner(held.pid) == Some(me.as_raw()),
            stopped: process::is_stopped(held.pid),
            program: SafeLine::with_max(program, 60),
            command_line: SafeLine::with_max(&line.join(" "), 400),
            record,
        }
    }
}

/// The holders that the kernel names, each with its record if that is of this very process.
fn named(seen: &[FlockHolder], record: Option<&Record>) -> Vec<Holder> {
    let believed = |held: &FlockHolder| {
        let of_this_one = |record: &&Record| {
            held.exclusive && record.pid == held.pid && is_of_living_process(record)
        };
        record.filter(of_this_one).map(Record::to_told)
    };
    seen.iter()
        .take(HOLDERS_MAX)
        .map(|held| Holder::of(*held, believed(held)))
        .collect()
}

/// The holder by its own word, where the kernel names none.
fn alive(record: Option<Record>) -> Option<Holder> {
    let record = record.filter(is_of_living_process)?;
    let held = FlockHolder {
        pid: record.pid,
        exclusive: true,
    };
    Some(Holder::of(held, Some(record.to_told())))
}

/// Whether the process that wrote a record lives: a later one with its number started at another
/// time, or after another boot.
fn is_of_living_process(record: &Record) -> bool {
    record.started.is_some()
        && record.started == process::start_time(record.pid)
        && record.boot.as_deref() == process::boot_id()
}

impl Record {
    fn to_told(&self) -> HolderRecord {
        let line = |text: &str| SafeLine::with_max(text, 40);
        HolderRecord {
            command: line(&self.command),
            since: line(&self.since),
            phase: line(&self.phase),
            progress: line(&self.progress),
            host: SafeLine::with_max(&self.host, 64),
        }
    }
}

/// Reads the record; `None` for one that is torn, or no record at all.
fn read_record(root: &KbRoot) -> Option<Record> {
    // It is rewritten in place: what was met half written is whole a moment later.
    (0..3).find_map(|_| {
        let bytes = root.read(&layout::holder_json(), RECORD_BYTES_MAX).ok()??;
        serde_json::from_slice(&bytes).ok()
    })
}

fn host_name() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests leave the records of others"
)]
mod tests {
    use super::*;

    fn mine() -> Record {
        let pid = std::process::id();
        Record {
            pid,
            started: process::start_time(pid),
            boot: process::boot_id().map(str::to_owned),
            host: "here".to_owned(),
            command: "add\u{1b}[31m".to_owned(),
            since: "then".to_owned(),
            phase: "plan".to_owned(),
            progress: "now".to_owned(),
        }
    }

    #[test]
    fn a_record_is_believed_only_of_the_process_that_wrote_it() {
        let check = |record: Record, expected: bool| {
            assert_eq!(is_of_living_process(&record), expected);
        };
        check(mine(), true);
        let started = mine().started.map(|ticks| ticks + 1);
        check(Record { started, ..mine() }, false);
        let boot = Some("another".to_owned());
        check(Record { boot, ..mine() }, false);
        check(
            Record {
                pid: u32::MAX,
                ..mine()
            },
            false,
        );
        let unknown = Record {
            started: None,
            pid: u32::MAX,
            ..mine()
        };
        check(unknown, false);
    }

    #[test]
    fn a_holder_reads_as_one_line() {
        let held = FlockHolder {
            pid: std::process::id(),
            exclusive: true,
        };
        let with_record = named(&[held], Some(&mine()));
        let pid = held.pid;
        assert_eq!(
            with_record[0].to_line(),
            format!(
                "`kbhost add [31m` (process {pid}) took it at then, phase plan, last progress at now"
            )
        );
        // The record is of the one that writes; this one reads.
        let reading = FlockHolder {
            exclusive: false,
            ..held
        };
        let without = named(&[reading], Some(&mine()));
        assert_eq!(without[0].record, None);
        assert!(without[0].to_line().ends_with("has it"), "{without:?}");
    }

    #[test]
    fn a_torn_record_is_none() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".openkb/kbhost")).unwrap();
        let root = KbRoot::open(dir.path()).unwrap();
        let path = root.join(&layout::holder_json());
        let whole = serde_json::to_vec(&mine()).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(read_record(&root).is_none(), "{length}");
        }
        std::fs::write(&path, &whole).unwrap();
        assert!(read_record(&root).is_some());
    }
}
