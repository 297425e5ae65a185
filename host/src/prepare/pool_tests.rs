//! The pool with converters in native code: the sandbox has tests of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::super::testing;
use super::*;
use crate::commit::{self, Event, GroupOutcome, RunEnd, SerialOwner, Verdict};
use crate::enumerate::EnumerateError;
use crate::kb::{CheckpointKey, DocName, PluginDigest, SourceKey};
use crate::mutation::MutationError;
use crate::plugin::Checkpoints;

/// Converts as its function says.
struct Double<F>(F);

impl<F> Convert for Double<F>
where
    F: Fn(Staged, &Keeping) -> Result<PreparedDocument, PrepareError> + Send + Sync,
{
    fn convert(&self, staged: Staged, keeping: &Keeping) -> Result<PreparedDocument, PrepareError> {
        (self.0)(staged, keeping)
    }
}

/// Accepts everything.
fn accept(staged: Staged) -> Result<PreparedDocument, PrepareError> {
    let mut document = testing::document(staged.seq.0, staged.staging, "text");
    document.original = staged.original;
    Ok(document)
}

fn refuse(staged: &Staged) -> Result<PreparedDocument, PrepareError> {
    Err(PrepareError::Unsupported(staged.display.clone()))
}

struct Rig {
    dir: tempfile::TempDir,
    inputs: Inputs,
    staging: Arc<StagingRoot>,
    cancel: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Rig {
    /// Inputs with these bytes; `"?"` stands for one that cannot be read.
    #[expect(clippy::disallowed_methods, reason = "the rig makes its own files")]
    fn new(contents: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("staging")).unwrap();
        let mut inputs = Inputs::default();
        for (seq, content) in (0..).map(Seq).zip(contents) {
            let file_name = format!("{}.md", seq.0);
            if *content == "?" {
                inputs.unreadable.push(Unreadable {
                    seq,
                    display: file_name.clone(),
                    error: EnumerateError::NotAFile(file_name, "FIFO"),
                });
                continue;
            }
            let path = dir.path().join(&file_name);
            fs::write(&path, content).unwrap();
            inputs.sources.push(Source {
                seq,
                path,
                display: file_name.clone(),
                key: SourceKey::new(file_name.clone()),
                file_name,
                media_type: Some("text/markdown".to_owned()),
                misnamed_as: None,
                named: true,
            });
        }
        let staging = Arc::new(StagingRoot::open(&dir.path().join("staging")).unwrap());
        Self {
            dir,
            inputs,
            staging,
            cancel: Arc::default(),
            stop: Arc::default(),
        }
    }

    fn start(
        self,
        jobs: usize,
        convert: impl Fn(Staged) -> Result<PreparedDocument, PrepareError> + Send + Sync + 'static,
    ) -> (tempfile::TempDir, Preparations) {
        self.start_keeping(jobs, move |staged, _| convert(staged))
    }

    /// Starts with a converter that keeps checkpoints.
    fn start_keeping(
        self,
        jobs: usize,
        convert: impl Fn(Staged, &Keeping) -> Result<PreparedDocument, PrepareError>
        + Send
        + Sync
        + 'static,
    ) -> (tempfile::TempDir, Preparations) {
        let options = Options {
            password: None,
            jobs,
            allowance: Allowance::default(),
            converter_options: Vec::new(),
            via: None,
            listener: None,
            cache: None,
            strict: false,
            again: false,
            is_known: Box::new(|asked| match asked {
                Asked::Bytes(hash, _) => (*hash == ContentHash::of(b"known")).then_some(*hash),
                Asked::Remote(_) => None,
            }),
            resume: Box::new(|_| None),
            cancel: self.cancel,
        };
        let preparations = start_with(
            self.inputs,
            Box::new(Double(convert)),
            self.staging,
            options,
            self.stop,
        );
        (self.dir, preparations)
    }
}

fn verdict(message: &Message) -> String {
    match message {
        Message::Ready(_) => "ready".to_owned(),
        Message::Skipped {
            reason: SkipReason::AlreadyRegistered(_),
            ..
        } => "known".to_owned(),
        Message::Skipped {
            reason: SkipReason::SameAs(seq, _),
            ..
        } => format!("same as {}", seq.0),
        Message::Failed { error, .. } => error.to_string(),
    }
}

/// Takes all messages the way the committer does, and releases their room.
fn drain(preparations: &Preparations, total: usize) -> Vec<String> {
    let mut verdicts = BTreeMap::new();
    for _ in 0..total {
        let message = preparations
            .messages
            .recv_timeout(Duration::from_secs(20))
            .unwrap();
        let twice = verdicts.insert(message.seq(), verdict(&message));
        assert_eq!(twice, None, "two messages for {:?}", message.seq());
        let bytes = match &message {
            Message::Ready(document) => document.staged_bytes(),
            _ => 0,
        };
        drop(message);
        preparations.window.release(bytes);
    }
    assert!(preparations.messages.try_recv().is_err());
    verdicts.into_values().collect()
}

fn staged_entries(dir: &Path) -> usize {
    fs::read_dir(dir.join("staging")).unwrap().count()
}

#[test]
fn duplicates_follow_input_order_for_any_completion_order() {
    let contents = ["a", "b", "a", "?", "known", "c", "b", "a", "", "known"];
    let expected = [
        "ready",
        "ready",
        "same as 0",
        "read `3.md`: it is a FIFO, not a regular file",
        "known",
        "ready",
        "same as 1",
        "same as 0",
        "convert `8.md`: the file is empty",
        "known",
    ];
    for jobs in [1, 2, 8] {
        for seed in 0..5 {
            let conversions = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&conversions);
            let (dir, preparations) = Rig::new(&contents).start(jobs, move |staged| {
                counted.fetch_add(1, Ordering::SeqCst);
                let delay = (staged.seq.0 * 7 + seed * 13) % 11;
                std::thread::sleep(Duration::from_millis(delay));
                accept(staged)
            });
            assert_eq!(
                drain(&preparations, contents.len()),
                expected,
                "{jobs} jobs"
            );
            assert_eq!(conversions.load(Ordering::SeqCst), 3);
            drop(preparations);
            assert_eq!(staged_entries(dir.path()), 0);
        }
    }
}

#[test]
fn a_follower_takes_over_from_a_failed_leader() {
    let contents = ["a", "a", "a", "a"];
    for jobs in [1, 4] {
        let (dir, preparations) = Rig::new(&contents).start(jobs, |staged| match staged.seq.0 {
            0 => refuse(&staged),
            1 => panic!("a \x1b[31mbug"),
            _ => accept(staged),
        });
        assert_eq!(
            drain(&preparations, contents.len()),
            [
                "convert `0.md`: no converter takes this kind of file",
                "prepare `1.md`: a worker panicked: a [31mbug",
                "ready",
                "same as 2",
            ]
        );
        drop(preparations);
        assert_eq!(staged_entries(dir.path()), 0);
    }
}

#[test]
fn no_more_than_the_window_is_prepared_ahead() {
    let contents: Vec<_> = (0..300).map(|n| format!("content {n}")).collect();
    let contents: Vec<_> = contents.iter().map(String::as_str).collect();
    let (dir, preparations) = Rig::new(&contents).start(2, accept);
    let deadline = Instant::now() + Duration::from_secs(20);
    while preparations.messages.len() < 128 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(preparations.messages.len(), 128);
    assert_eq!(staged_entries(dir.path()), 129);
    assert_eq!(drain(&preparations, 300), vec!["ready"; 300]);
    drop(preparations);
    assert_eq!(staged_entries(dir.path()), 0);
}

#[test]
fn a_cancelled_run_reports_every_input() {
    let contents: Vec<_> = (0..200).map(|n| format!("content {n}")).collect();
    let contents: Vec<_> = contents.iter().map(String::as_str).collect();
    let rig = Rig::new(&contents);
    let (cancel, stop) = (Arc::clone(&rig.cancel), Arc::clone(&rig.stop));
    let (dir, preparations) = rig.start(2, move |staged| {
        while !stop.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(PrepareError::Cancelled(staged.display))
    });
    std::thread::sleep(Duration::from_millis(30));
    cancel.store(true, Ordering::SeqCst);
    let verdicts = drain(&preparations, 200);
    let cancelled = |verdict: &String| verdict.ends_with(": cancelled");
    assert!(verdicts.iter().all(cancelled), "{verdicts:?}");
    drop(preparations);
    assert_eq!(staged_entries(dir.path()), 0);
}

#[test]
fn dropping_the_preparations_stops_them() {
    let contents: Vec<_> = (0..300).map(|n| format!("content {n}")).collect();
    let contents: Vec<_> = contents.iter().map(String::as_str).collect();
    let rig = Rig::new(&contents);
    let stop = Arc::clone(&rig.stop);
    let (dir, preparations) = rig.start(4, move |staged| {
        if staged.seq.0 == 5 {
            while !stop.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        accept(staged)
    });
    let first = preparations.messages.recv().unwrap();
    assert!(matches!(first, Message::Ready(_)));
    drop(first);
    drop(preparations);
    assert_eq!(staged_entries(dir.path()), 0);
}

/// An owner that notes what it is asked.
#[derive(Default)]
struct Ledger {
    kept: Vec<Vec<u8>>,
    committed: Arc<AtomicU64>,
    keeps_none: bool,
    /// Set by the n-th checkpoint.
    cancels: Option<(usize, Arc<AtomicBool>)>,
    stops: bool,
}

impl SerialOwner for Ledger {
    fn commit(&mut self, group: Vec<PreparedDocument>) -> GroupOutcome {
        let stop = self.stops.then_some(MutationError::OriginalNotIn);
        let group = if self.stops { Vec::new() } else { group };
        let count = group.len() as u64;
        self.committed.fetch_add(count, Ordering::SeqCst);
        let name = || DocName::new("a").unwrap();
        GroupOutcome {
            verdicts: group.iter().map(|_| Verdict::Duplicate(name())).collect(),
            warnings: Vec::new(),
            stop,
        }
    }

    fn registered_name(&mut self, _: &ContentHash) -> Option<DocName> {
        None
    }

    fn keep_checkpoint(&mut self, _: &CheckpointKey, state: &[u8]) -> Result<(), MutationError> {
        // What a durable write takes.
        std::thread::sleep(Duration::from_millis(1));
        self.kept.push(state.to_vec());
        if let Some((nth, cancel)) = &self.cancels
            && self.kept.len() == *nth
        {
            cancel.store(true, Ordering::SeqCst);
        }
        if self.keeps_none {
            return Err(MutationError::OriginalNotIn);
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), MutationError> {
        Ok(())
    }
}

fn keeper(staged: &Staged, keeping: &Keeping) -> Arc<dyn Checkpoints> {
    let plugin = PluginDigest(ContentHash::of(b"plugin"));
    keeping.keeper(CheckpointKey::new(&staged.original.hash, &plugin, None))
}

/// Drives a run to its end; how many documents were ready and how many failed.
fn driven(preparations: &Preparations, total: u64, owner: &mut Ledger) -> (usize, usize, RunEnd) {
    let (mut ready, mut failed) = (0, 0);
    let cancel = owner.cancels.as_ref().map(|(_, cancel)| Arc::clone(cancel));
    let cancel = cancel.unwrap_or_default();
    let end = commit::drive(
        preparations,
        total,
        owner,
        &cancel,
        &mut |event| match event {
            Event::AlreadyIn { .. } => ready += 1,
            _ => failed += 1,
        },
    );
    (ready, failed, end)
}

#[test]
fn a_checkpoint_is_kept_before_its_document_is_ready() {
    for (keeps_none, jobs) in [(false, 1), (false, 4), (true, 1), (true, 4)] {
        let contents = ["a", "b", "c"];
        let (dir, preparations) =
            Rig::new(&contents).start_keeping(jobs, move |staged, keeping| {
                let keeper = keeper(&staged, keeping);
                for state in [&b"first"[..], b"second", b""] {
                    assert_eq!(keeper.keep(state), !keeps_none);
                }
                accept(staged)
            });
        let mut owner = Ledger {
            keeps_none,
            ..Ledger::default()
        };
        // That none is kept fails no document.
        let (ready, failed, end) = driven(&preparations, 3, &mut owner);
        assert_eq!((ready, failed, end.not_tried), (3, 0, 0));
        assert_eq!(owner.kept.len(), 9);
        let of = |state: &[u8]| owner.kept.iter().filter(|kept| *kept == state).count();
        assert_eq!((of(b"first"), of(b"second"), of(b"")), (3, 3, 3));
        drop(preparations);
        assert_eq!(staged_entries(dir.path()), 0);
    }
}

/// Goal: who asks for checkpoints without end holds nobody else up. Method: two inputs ask until the
/// 198 others are committed, of which half come after them.
#[test]
fn a_flood_of_checkpoints_starves_no_commit() {
    const TOTAL: usize = 200;
    let contents: Vec<_> = (0..TOTAL).map(|n| format!("content {n}")).collect();
    let contents: Vec<_> = contents.iter().map(String::as_str).collect();
    let owner_committed = Arc::new(AtomicU64::new(0));
    let committed = Arc::clone(&owner_committed);
    let (dir, preparations) = Rig::new(&contents).start_keeping(4, move |staged, keeping| {
        if !matches!(staged.seq.0, 100 | 101) {
            return accept(staged);
        }
        let keeper = keeper(&staged, keeping);
        let deadline = Instant::now() + Duration::from_secs(30);
        // Those behind an input that is not ready wait for their turn.
        while committed.load(Ordering::SeqCst) < 100 {
            if !keeper.keep(b"again") || Instant::now() > deadline {
                return refuse(&staged);
            }
        }
        accept(staged)
    });
    let mut owner = Ledger {
        committed: owner_committed,
        ..Ledger::default()
    };
    let (ready, failed, _) = driven(&preparations, TOTAL as u64, &mut owner);
    assert_eq!((ready, failed), (TOTAL, 0));
    drop(preparations);
    assert_eq!(staged_entries(dir.path()), 0);
}

/// Goal: a group does not stay open while checkpoints come. Method: from the first input's commit on,
/// the second one asks until it sees that commit, which nothing else ends the wait for.
#[test]
fn a_group_is_not_kept_open_by_checkpoints() {
    let owner_committed = Arc::new(AtomicU64::new(0));
    let committed = Arc::clone(&owner_committed);
    let (_dir, preparations) = Rig::new(&["a", "b"]).start_keeping(2, move |staged, keeping| {
        if staged.seq.0 == 0 {
            return accept(staged);
        }
        let keeper = keeper(&staged, keeping);
        let deadline = Instant::now() + Duration::from_secs(20);
        while committed.load(Ordering::SeqCst) == 0 {
            if !keeper.keep(b"again") || Instant::now() > deadline {
                return refuse(&staged);
            }
        }
        accept(staged)
    });
    let mut owner = Ledger {
        committed: owner_committed,
        ..Ledger::default()
    };
    let (ready, failed, _) = driven(&preparations, 2, &mut owner);
    assert_eq!((ready, failed), (2, 0));
}

#[test]
fn a_cancelled_run_keeps_nothing_more_and_ends() {
    let contents = ["a", "b", "c", "d"];
    let rig = Rig::new(&contents);
    let (cancel, stop) = (Arc::clone(&rig.cancel), Arc::clone(&rig.stop));
    let (dir, preparations) = rig.start_keeping(4, move |staged, keeping| {
        let keeper = keeper(&staged, keeping);
        while keeper.keep(b"again") {}
        assert!(!keeper.keep(b"again"), "no later one is kept either");
        let until = Instant::now() + Duration::from_secs(20);
        while !stop.load(Ordering::SeqCst) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(PrepareError::Cancelled(staged.display))
    });
    let mut owner = Ledger {
        cancels: Some((40, cancel)),
        ..Ledger::default()
    };
    let started = Instant::now();
    let (ready, failed, end) = driven(&preparations, 4, &mut owner);
    assert_eq!((ready, failed as u64 + end.not_tried), (0, 4));
    assert_eq!(owner.kept.len(), 40);
    drop(preparations);
    assert!(started.elapsed() < Duration::from_secs(8), "it hung");
    assert_eq!(staged_entries(dir.path()), 0);
}

/// Goal: nobody waits for an owner that has stopped. Method: the first input stops the run while the
/// second one waits to be answered.
#[test]
fn a_run_that_stopped_leaves_no_worker_waiting() {
    let asking = Arc::new(AtomicBool::new(false));
    let asks = Arc::clone(&asking);
    let (dir, preparations) = Rig::new(&["a", "b"]).start_keeping(2, move |staged, keeping| {
        if staged.seq.0 == 0 {
            while !asks.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(1));
            }
            return accept(staged);
        }
        let keeper = keeper(&staged, keeping);
        while keeper.keep(b"again") {
            asks.store(true, Ordering::SeqCst);
        }
        refuse(&staged)
    });
    let mut owner = Ledger {
        stops: true,
        ..Ledger::default()
    };
    let (ready, failed, end) = driven(&preparations, 2, &mut owner);
    assert!(end.stop.is_some());
    assert_eq!((ready, failed, end.not_tried), (0, 0, 2));
    let started = Instant::now();
    drop(preparations);
    assert!(started.elapsed() < Duration::from_secs(8), "it waited on");
    assert_eq!(staged_entries(dir.path()), 0);
}
