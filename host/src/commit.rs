//! The deterministic commit queue: reorders what the workers send by sequence number and feeds the
//! serial owner from one thread, in groups. No system calls here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, at, never, select_biased};

use crate::kb::{CheckpointKey, ContentHash, DocName, KbPath, PageRanges, SafeLine, Seq};
use crate::mutation::MutationError;
use crate::prepare::{
    CheckpointRequest, Message, Preparations, PrepareError, PreparedDocument, SkipReason,
};

/// Documents in one mutation at the most: bounds the journal and the time the lock is held.
pub const GROUP_DOCUMENTS_MAX: usize = 64;

/// How long a document that could be committed waits for others to share its commit.
pub const GROUP_WAIT_MAX: Duration = Duration::from_millis(50);

/// What a committed document became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its name.
    pub name: DocName,
    /// Its title.
    pub title: SafeLine,
    /// Its summary page.
    pub summary: KbPath,
    /// Whether an earlier version of it was replaced.
    pub updated: bool,
    /// Pages without text that show a picture of it.
    pub needs_ocr: Option<PageRanges>,
    /// Of the converter, and of the commit: hand edits kept aside.
    pub warnings: Vec<SafeLine>,
}

/// What became of one document of a group.
#[derive(Debug)]
pub enum Verdict {
    /// It is in.
    Committed(Receipt),
    /// Somebody committed the same bytes meanwhile, under this name.
    Duplicate(DocName),
    /// This document cannot be committed; others of its group can.
    Failed(MutationError),
}

/// What became of a group.
#[derive(Debug, Default)]
pub struct GroupOutcome {
    /// One verdict a document, in order; fewer than documents if the owner stopped.
    pub verdicts: Vec<Verdict>,
    /// Warnings of effects that failed.
    pub warnings: Vec<SafeLine>,
    /// The KB or the disk is in trouble: nothing more can be committed.
    pub stop: Option<MutationError>,
}

/// The one who may change the KB.
pub trait SerialOwner {
    /// Commits a group in its order.
    fn commit(&mut self, group: Vec<PreparedDocument>) -> GroupOutcome;

    /// The name under which these bytes are registered now.
    fn registered_name(&mut self, hash: &ContentHash) -> Option<DocName>;

    /// Keeps what an interrupted conversion shall go on with, in place of what was kept under `key`;
    /// no bytes forget it. On the medium when it returns.
    ///
    /// # Errors
    /// If it was not kept, or nobody knows: no document fails by it.
    fn keep_checkpoint(&mut self, key: &CheckpointKey, state: &[u8]) -> Result<(), MutationError>;

    /// The end of a run: folds the write-ahead log into the registry, so that a copied KB is whole.
    ///
    /// # Errors
    /// If that failed; nothing is lost by it.
    fn finish(&mut self) -> Result<(), MutationError>;
}

/// What the user is told of one input, in input order.
#[derive(Debug)]
pub enum Event {
    /// Committed.
    Committed {
        /// Which input.
        seq: Seq,
        /// How to name it.
        display: String,
        /// What it became.
        receipt: Receipt,
    },
    /// Its bytes are registered.
    AlreadyIn {
        /// Which input.
        seq: Seq,
        /// How to name it.
        display: String,
        /// The name they are registered under.
        name: DocName,
    },
    /// It could not be prepared.
    PrepareFailed {
        /// Which input.
        seq: Seq,
        /// How to name it.
        display: String,
        /// Why.
        error: PrepareError,
    },
    /// It could not be committed.
    CommitFailed {
        /// Which input.
        seq: Seq,
        /// How to name it.
        display: String,
        /// Why.
        error: MutationError,
    },
    /// An effect after a commit failed.
    Warning(SafeLine),
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct RunEnd {
    /// What stopped the run before its end: trouble of the KB or its disk.
    pub stop: Option<StopCause>,
    /// Inputs that were not tried because of it, or because the user cancelled.
    pub not_tried: u64,
    /// Cancelled by the user.
    pub cancelled: bool,
}

/// Trouble that is no input's.
#[derive(Debug)]
pub enum StopCause {
    /// Of the mutation room.
    Mutation(MutationError),
    /// Of staging.
    Prepare(PrepareError),
}

/// Puts messages back into input order.
#[derive(Debug, Default)]
pub struct CommitQueue {
    next: u64,
    waiting: BTreeMap<Seq, Message>,
}

impl CommitQueue {
    /// Takes a message.
    ///
    /// # Panics
    /// If a sequence number comes twice: a bug.
    pub fn push(&mut self, message: Message) {
        let seq = message.seq();
        assert!(
            seq.0 >= self.next,
            "BUG: a message for {seq:?} came after its turn"
        );
        assert!(
            self.waiting.insert(seq, message).is_none(),
            "BUG: two messages for {seq:?}"
        );
    }

    /// The message whose turn it is, if it has come.
    pub fn pop(&mut self) -> Option<Message> {
        let message = self.waiting.remove(&Seq(self.next))?;
        self.next += 1;
        Some(message)
    }

    /// How many sequence numbers were handed out.
    #[must_use]
    pub fn popped(&self) -> u64 {
        self.next
    }
}

/// Runs the committing side of `add` until all `total` inputs have had their turn, the user
/// cancels, or the KB is in trouble.
pub fn drive(
    preparations: &Preparations,
    total: u64,
    owner: &mut dyn SerialOwner,
    cancel: &AtomicBool,
    on_event: &mut dyn FnMut(Event),
) -> RunEnd {
    let mut queue = CommitQueue::default();
    let mut end = RunEnd::default();
    while queue.popped() < total && end.stop.is_none() && !cancel.load(Ordering::SeqCst) {
        let turn = gather(preparations, &mut queue, total, &mut |request| {
            keep(request, owner, cancel);
        });
        if turn.is_empty() {
            break;
        }
        handle(turn, preparations, owner, &mut end, on_event);
    }
    end.cancelled = cancel.load(Ordering::SeqCst) && queue.popped() < total;
    end.not_tried += total - queue.popped();
    end
}

/// Waits for the message whose turn it is, then collects what follows it: until the group is full,
/// or nothing more came in time. Empty if the workers are gone. Checkpoints that come meanwhile go to
/// `keep` at once.
fn gather(
    preparations: &Preparations,
    queue: &mut CommitQueue,
    total: u64,
    keep: &mut dyn FnMut(CheckpointRequest),
) -> Vec<Message> {
    // What came while a group was committed. A worker asks again only when it was answered, so that
    // these are no more than there are workers; what follows them waits for what can be committed.
    let asked = preparations.checkpoints.len();
    preparations
        .checkpoints
        .try_iter()
        .take(asked)
        .for_each(&mut *keep);
    let mut requests = preparations.checkpoints.clone();
    let mut turn = Vec::new();
    let mut deadline = None;
    while turn.len() < GROUP_DOCUMENTS_MAX {
        if let Some(message) = queue.pop() {
            turn.push(message);
            continue;
        }
        if queue.popped() == total {
            break;
        }
        let until = match turn.is_empty() {
            true => None,
            false => Some(*deadline.get_or_insert_with(|| Instant::now() + GROUP_WAIT_MAX)),
        };
        match wait(&preparations.messages, &requests, until) {
            Some(Come::Message(message)) => queue.push(message),
            Some(Come::Checkpoint(request)) => keep(request),
            Some(Come::NoMoreCheckpoints) => requests = never(),
            None => break,
        }
    }
    turn
}

/// What the workers sent.
enum Come {
    Message(Message),
    Checkpoint(CheckpointRequest),
    NoMoreCheckpoints,
}

/// Waits for what comes next, a message first, and a checkpoint only before `until`: a flood of them
/// holds no group up. `None` if nothing came until then, or the workers are gone.
fn wait(
    messages: &Receiver<Message>,
    requests: &Receiver<CheckpointRequest>,
    until: Option<Instant>,
) -> Option<Come> {
    let end = until.map_or_else(never, at);
    select_biased! {
        recv(messages) -> message => message.ok().map(Come::Message),
        recv(end) -> _ => None,
        recv(requests) -> request => {
            Some(request.map_or(Come::NoMoreCheckpoints, Come::Checkpoint))
        }
    }
}

/// Has a checkpoint kept and tells the worker that waits.
fn keep(request: CheckpointRequest, owner: &mut dyn SerialOwner, cancel: &AtomicBool) {
    // A worker that gave up was told so, and may send other bytes since.
    if cancel.load(Ordering::SeqCst) || !request.is_waited_for() {
        return request.answer(false);
    }
    let kept = owner.keep_checkpoint(&request.key, &request.state);
    if let Err(error) = &kept {
        tracing::debug!(%error, "a checkpoint is not kept");
    }
    request.answer(kept.is_ok());
}

/// Commits the ready documents of one turn and tells what became of every message, in order.
fn handle(
    turn: Vec<Message>,
    preparations: &Preparations,
    owner: &mut dyn SerialOwner,
    end: &mut RunEnd,
    on_event: &mut dyn FnMut(Event),
) {
    let mut group = Vec::new();
    let mut told = Vec::new();
    let mut turn = turn.into_iter();
    for message in turn.by_ref() {
        match message {
            Message::Ready(document) => {
                told.push(Told::Document {
                    seq: document.seq,
                    display: document.display.clone(),
                    bytes: document.staged_bytes(),
                });
                group.push(*document);
            }
            Message::Skipped {
                seq,
                display,
                reason,
            } => told.push(Told::Skipped {
                seq,
                display,
                reason,
            }),
            Message::Failed {
                seq,
                display,
                error,
            } => {
                let is_of_the_kb = error.is_of_the_kb();
                told.push(Told::Failed {
                    seq,
                    display,
                    error,
                });
                if is_of_the_kb {
                    break;
                }
            }
        }
    }
    // Behind trouble of the KB nothing is tried, whatever is ready: what is in is a beginning of
    // the inputs, for any number of workers.
    end.not_tried += turn.count() as u64;
    let outcome = if group.is_empty() {
        GroupOutcome::default()
    } else {
        owner.commit(group)
    };
    let mut verdicts = outcome.verdicts.into_iter();
    for entry in told {
        match entry {
            Told::Document {
                seq,
                display,
                bytes,
            } => {
                preparations.window.release(bytes);
                match verdicts.next() {
                    Some(Verdict::Committed(receipt)) => on_event(Event::Committed {
                        seq,
                        display,
                        receipt,
                    }),
                    Some(Verdict::Duplicate(name)) => {
                        on_event(Event::AlreadyIn { seq, display, name })
                    }
                    Some(Verdict::Failed(error)) => on_event(Event::CommitFailed {
                        seq,
                        display,
                        error,
                    }),
                    None => end.not_tried += 1,
                }
            }
            Told::Skipped {
                seq,
                display,
                reason,
            } => {
                preparations.window.release(0);
                let (SkipReason::AlreadyRegistered(hash) | SkipReason::SameAs(_, hash)) = reason;
                match owner.registered_name(&hash) {
                    Some(name) => on_event(Event::AlreadyIn { seq, display, name }),
                    // The document it is a copy of is not in either.
                    None if outcome.stop.is_some() => end.not_tried += 1,
                    None => on_event(Event::CommitFailed {
                        seq,
                        display,
                        error: MutationError::OriginalNotIn,
                    }),
                }
            }
            Told::Failed {
                seq,
                display,
                error,
            } => {
                preparations.window.release(0);
                if error.is_of_the_kb() {
                    end.not_tried += 1;
                    end.stop = Some(StopCause::Prepare(error));
                } else {
                    on_event(Event::PrepareFailed {
                        seq,
                        display,
                        error,
                    });
                }
            }
        }
    }
    for warning in outcome.warnings {
        on_event(Event::Warning(warning));
    }
    if let Some(error) = outcome.stop {
        end.stop = Some(StopCause::Mutation(error));
    }
}

/// What is remembered of a message while its document is with the owner.
enum Told {
    Document {
        seq: Seq,
        display: String,
        bytes: u64,
    },
    Skipped {
        seq: Seq,
        display: String,
        reason: SkipReason,
    },
    Failed {
        seq: Seq,
        display: String,
        error: PrepareError,
    },
}
