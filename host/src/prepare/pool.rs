//! The worker pool: starts inputs in order as far as the window allows, two tasks each (copy, then
//! convert), and sends one message for each.
//!
//! Invariant: every sequence number sends exactly one message, also when its worker panics, and
//! which input stands for bytes that several have depends on input order only.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::checkpoints::{CheckpointRequest, Keeping, Resume};
use super::convert::{Conversion, Convert};
use super::input::{self, Staged};
use super::intake::{Decision, Intake};
use super::{
    PrepareCache, PrepareError, PreparedDocument, SkipReason, StagingRoot, Via, Window, fault,
};
use crate::enumerate::{Inputs, Remote, Source, Unreadable};
use crate::kb::{ContentHash, RemoteId, SafeLine, Seq};
use crate::plugin::{Allowance, Listener, Password, PluginSet};

/// Stack of a worker: a component's own stack and the host's frames beneath it. Only what is
/// touched takes memory.
const WORKER_STACK_BYTES: usize = 8 << 20;

/// What became of one input. Every sequence number sends exactly one.
#[derive(Debug)]
pub enum Message {
    /// Converted.
    Ready(Box<PreparedDocument>),
    /// Nothing to do.
    Skipped {
        /// Which.
        seq: Seq,
        /// How to name it to the user.
        display: String,
        /// Why.
        reason: SkipReason,
    },
    /// Failed.
    Failed {
        /// Which.
        seq: Seq,
        /// How to name it to the user.
        display: String,
        /// Why.
        error: PrepareError,
    },
}

impl Message {
    /// Its sequence number.
    #[must_use]
    pub fn seq(&self) -> Seq {
        match self {
            Self::Ready(document) => document.seq,
            Self::Skipped { seq, .. } | Self::Failed { seq, .. } => *seq,
        }
    }
}

/// An input that may need no conversion.
#[derive(Clone, Copy, Debug)]
pub enum Asked<'a> {
    /// Bytes of a media type.
    Bytes(&'a ContentHash, &'a str),
    /// A document of a remote service.
    Remote(&'a RemoteId),
}

/// Answers whether an input needs no conversion: the digest under which it is registered.
pub type IsKnown = Box<dyn Fn(Asked<'_>) -> Option<ContentHash> + Send + Sync>;

/// How to prepare.
pub struct Options {
    /// Worker threads, at least 1.
    pub jobs: usize,
    /// What bounds each call.
    pub allowance: Allowance,
    /// Options for converters, sorted by key.
    pub converter_options: Vec<(String, String)>,
    /// What opens documents that do not open without it.
    pub password: Option<Arc<Password>>,
    /// What converts every input, through a service; `None`: what would be chosen for each.
    pub via: Option<Via>,
    /// Who is told how far single inputs are: `NAME: NOTE`.
    pub listener: Option<Listener>,
    /// Conversions that need not be done again.
    pub cache: Option<PrepareCache>,
    /// Whether an attempt at what the sandbox refuses is an error.
    pub strict: bool,
    /// Whether what is made shall take the place of what another converter made of the same source.
    pub again: bool,
    /// Whether the registry has what would be made of an input: asked after hashing, before
    /// converting.
    pub is_known: IsKnown,
    /// What an interrupted run left for a conversion that may keep checkpoints: asked right before it.
    pub resume: Resume,
    /// Set to stop: inputs not yet started are reported as cancelled.
    pub cancel: Arc<AtomicBool>,
}

/// A running pool. Dropping it stops it: running jobs are cancelled and waited for, and their
/// staging directories are gone afterwards.
pub struct Preparations {
    /// One message for each sequence number, in order of completion.
    pub messages: Receiver<Message>,
    /// Checkpoints to be kept at once, out of all order. Each has a worker that waits.
    pub checkpoints: Receiver<CheckpointRequest>,
    /// Gives room back.
    pub window: Arc<Window>,
    stop: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<()>>,
}

impl Drop for Preparations {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.window.wake();
        if let Some(supervisor) = self.supervisor.take()
            && supervisor.join().is_err()
        {
            tracing::error!("the thread that starts preparations panicked");
        }
    }
}

/// How preparations run: the local pool, or whatever takes tasks. A task never blocks on another;
/// a runner that drops one unrun loses the message of its input.
trait Runner: Send + Sync {
    /// Runs `task` later, tasks in the order given as far as possible.
    fn spawn(&self, task: Box<dyn FnOnce() + Send>);
}

/// Threads of this process.
struct LocalPool(rayon::ThreadPool);

impl LocalPool {
    fn new(jobs: usize) -> Result<Self, PrepareError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(jobs.max(1))
            .thread_name(|index| format!("prepare-{index}"))
            .stack_size(WORKER_STACK_BYTES)
            // Jobs catch their own panics. What panics outside of them is a broken invariant: the
            // run ends with fewer messages than inputs, which the committer tells.
            .panic_handler(|_| tracing::error!("a worker panicked outside of its job"))
            .build()
            .map(Self)
            .map_err(|error| PrepareError::Workers(std::io::Error::other(error)))
    }
}

impl Runner for LocalPool {
    fn spawn(&self, task: Box<dyn FnOnce() + Send>) {
        self.0.spawn_fifo(task);
    }
}

/// Starts preparing `inputs` on `options.jobs` threads. Inputs start in order; a first input with
/// given bytes converts, a later one with the same bytes is skipped unless the first failed.
///
/// If the threads cannot be started, every input fails with [`PrepareError::Workers`].
#[must_use]
pub fn start(
    inputs: Inputs,
    plugins: Arc<PluginSet>,
    staging: Arc<StagingRoot>,
    mut options: Options,
) -> Preparations {
    let stop = Arc::new(AtomicBool::new(false));
    let converter = Conversion {
        plugins,
        via: options.via.take(),
        listener: options.listener.take(),
        allowance: options.allowance.clone(),
        options: options.converter_options.clone(),
        password: options.password.clone(),
        cache: options.cache.take(),
        strict: options.strict,
        again: options.again,
        cancel: Arc::clone(&stop),
    };
    start_with(inputs, Box::new(converter), staging, options, stop)
}

/// Starts with any converter. `stop` is what running conversions look at: it is set when
/// `options.cancel` is, and when the preparations are dropped.
fn start_with(
    inputs: Inputs,
    converter: Box<dyn Convert>,
    staging: Arc<StagingRoot>,
    options: Options,
    stop: Arc<AtomicBool>,
) -> Preparations {
    let (sender, messages) = unbounded();
    let window = Arc::new(Window::new(options.jobs));
    let (keeping, checkpoints) = Keeping::new(options.resume, Arc::clone(&stop));
    let mut preparations = Preparations {
        messages,
        checkpoints,
        window: Arc::clone(&window),
        stop: Arc::clone(&stop),
        supervisor: None,
    };
    let inputs = in_order(inputs);
    let runner = match LocalPool::new(options.jobs) {
        Ok(runner) => Box::new(runner),
        Err(error) => {
            fail_all(&inputs, &error.to_string(), &sender);
            return preparations;
        }
    };
    let run = Arc::new(Run {
        converter,
        keeping,
        runner,
        staging,
        is_known: options.is_known,
        input_bytes_max: options.allowance.input_bytes_max(),
        stop,
        window,
        intake: Mutex::default(),
        messages: sender.clone(),
    });
    let cancel = options.cancel;
    // The inputs wait in a slot so that they are still here if there is no thread for them.
    let inputs = Arc::new(Mutex::new(inputs));
    let supervised = Arc::clone(&inputs);
    let spawned = std::thread::Builder::new()
        .name("prepare".to_owned())
        .spawn(move || supervise(&run, take(&supervised), &cancel));
    match spawned {
        Ok(supervisor) => preparations.supervisor = Some(supervisor),
        Err(error) => fail_all(&take(&inputs), &error.to_string(), &sender),
    }
    preparations
}

fn take(inputs: &Mutex<Vec<Entry>>) -> Vec<Entry> {
    std::mem::take(&mut *inputs.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One place in the order.
enum Entry {
    Source(Source),
    Remote(Remote),
    Unreadable(Unreadable),
}

impl Entry {
    fn seq(&self) -> Seq {
        match self {
            Self::Source(source) => source.seq,
            Self::Remote(remote) => remote.seq,
            Self::Unreadable(unreadable) => unreadable.seq,
        }
    }

    fn display(&self) -> &str {
        match self {
            Self::Source(source) => &source.display,
            Self::Remote(remote) => &remote.display,
            Self::Unreadable(unreadable) => &unreadable.display,
        }
    }
}

/// All inputs by sequence number, which has no gaps.
fn in_order(inputs: Inputs) -> Vec<Entry> {
    let sources = inputs.sources.into_iter().map(Entry::Source);
    let remotes = inputs.remotes.into_iter().map(Entry::Remote);
    let unreadable = inputs.unreadable.into_iter().map(Entry::Unreadable);
    let mut entries: Vec<_> = sources.chain(remotes).chain(unreadable).collect();
    entries.sort_by_key(Entry::seq);
    let gapless = (0..)
        .zip(&entries)
        .all(|(seq, entry)| entry.seq() == Seq(seq));
    assert!(gapless, "BUG: sequence numbers with a gap");
    entries
}

/// Reports that no input can be prepared here.
fn fail_all(entries: &[Entry], reason: &str, messages: &Sender<Message>) {
    for entry in entries {
        let message = Message::Failed {
            seq: entry.seq(),
            display: entry.display().to_owned(),
            error: PrepareError::Workers(std::io::Error::other(reason.to_owned())),
        };
        if messages.send(message).is_err() {
            return;
        }
    }
}

/// Starts the inputs in order, then waits until the last worker is done. Runs on a thread of its
/// own, and is the one that sees a cancellation.
fn supervise(run: &Arc<Run>, entries: Vec<Entry>, cancel: &AtomicBool) {
    let stopped = || {
        if cancel.load(Ordering::SeqCst) {
            run.stop.store(true, Ordering::SeqCst);
        }
        run.stop.load(Ordering::SeqCst)
    };
    for entry in entries {
        let (seq, display) = (entry.seq(), entry.display().to_owned());
        if !run.window.admit(stopped) {
            run.fail(seq, display.clone(), PrepareError::Cancelled(display));
            continue;
        }
        match entry {
            Entry::Source(source) => {
                run.window.copy_begins();
                run.spawn(move |run| {
                    run.take_in(source.seq, &source.display, || run.stage(&source));
                });
            }
            Entry::Remote(remote) => {
                run.window.copy_begins();
                run.spawn(move |run| {
                    run.take_in(remote.seq, &remote.display, || run.stage_remote(&remote));
                });
            }
            Entry::Unreadable(unreadable) => run.fail(seq, display, unreadable.error.into()),
        }
    }
    run.window.wait_idle(|| {
        stopped();
    });
}

/// What the workers of a run share.
struct Run {
    converter: Box<dyn Convert>,
    keeping: Keeping,
    runner: Box<dyn Runner>,
    staging: Arc<StagingRoot>,
    is_known: IsKnown,
    input_bytes_max: u64,
    stop: Arc<AtomicBool>,
    window: Arc<Window>,
    intake: Mutex<Intake<Staged>>,
    messages: Sender<Message>,
}

/// What copying an input gave.
enum Copied {
    /// Bytes that the registry does not have.
    New(Box<Staged>),
    /// Bytes that it has.
    Known(ContentHash),
}

impl Run {
    /// Hands a task to the runner. When the window counts it as ended, the task has let go of the
    /// run: nothing of it outlives the preparations.
    fn spawn(self: &Arc<Self>, work: impl FnOnce(&Arc<Self>) + Send + 'static) {
        let task = self.window.task();
        let run = Arc::clone(self);
        self.runner.spawn(Box::new(move || {
            work(&run);
            drop(run);
            drop(task);
        }));
    }

    /// First task of an input.
    fn take_in(
        self: &Arc<Self>,
        seq: Seq,
        display: &str,
        stage: impl FnOnce() -> Result<Copied, PrepareError>,
    ) {
        let display = display.to_owned();
        let copied = {
            let _span = tracing::info_span!("copy", seq = seq.0).entered();
            caught(&display, stage)
        };
        let bytes = match &copied {
            Ok(Copied::New(staged)) => staged.original.size(),
            _ => 0,
        };
        self.window.copy_ends(bytes);
        match copied {
            Ok(Copied::New(staged)) => {
                let decisions = self
                    .intake()
                    .arrive(seq, Some((staged.original.hash, *staged)));
                self.enact(decisions);
            }
            Ok(Copied::Known(hash)) => {
                let reason = SkipReason::AlreadyRegistered(hash);
                self.send(Message::Skipped {
                    seq,
                    display,
                    reason,
                });
                self.pass(seq);
            }
            Err(error) => self.fail(seq, display, error),
        }
    }

    fn stage(&self, source: &Source) -> Result<Copied, PrepareError> {
        if self.stop.load(Ordering::SeqCst) {
            return Err(PrepareError::Cancelled(source.display.clone()));
        }
        let staging = self.staging.create()?;
        let staged = input::stage(source, staging, self.input_bytes_max, &self.stop)?;
        let hash = staged.original.hash;
        if let Some(known) = (self.is_known)(Asked::Bytes(&hash, &staged.media_type)) {
            return Ok(Copied::Known(known));
        }
        Ok(Copied::New(Box::new(staged)))
    }

    /// A remote document: known by its identity, before anything is asked of the service.
    fn stage_remote(&self, remote: &Remote) -> Result<Copied, PrepareError> {
        if self.stop.load(Ordering::SeqCst) {
            return Err(PrepareError::Cancelled(remote.display.clone()));
        }
        if let Some(known) = (self.is_known)(Asked::Remote(&remote.id)) {
            return Ok(Copied::Known(known));
        }
        let staged = input::stage_remote(remote, self.staging.create()?);
        Ok(Copied::New(Box::new(staged)))
    }

    /// Second task of an input.
    fn convert(self: &Arc<Self>, hash: ContentHash, staged: Staged) {
        let (seq, display) = (staged.seq, staged.display.clone());
        let bytes = staged.original.size();
        let converted = caught(&display, || {
            fault::panic_for(&display);
            self.converter.convert(staged, &self.keeping)
        });
        let decisions = self.intake().settle(seq, hash, converted.is_ok());
        match converted {
            Ok(document) => {
                self.window.recount(bytes, document.staged_bytes());
                self.send(Message::Ready(Box::new(document)));
            }
            Err(error) => {
                self.window.recount(bytes, 0);
                self.send(Message::Failed {
                    seq,
                    display,
                    error,
                });
            }
        }
        self.enact(decisions);
    }

    /// Does what the intake decided.
    fn enact(self: &Arc<Self>, decisions: Vec<Decision<Staged>>) {
        for decision in decisions {
            match decision {
                Decision::Convert(_, hash, staged) => {
                    self.spawn(move |run| run.convert(hash, staged));
                }
                Decision::Skip(seq, staged, reason) => {
                    self.window.recount(staged.original.size(), 0);
                    let display = staged.display.clone();
                    drop(staged);
                    self.send(Message::Skipped {
                        seq,
                        display,
                        reason,
                    });
                }
            }
        }
    }

    /// Reports an input that has nothing to convert.
    fn fail(self: &Arc<Self>, seq: Seq, display: String, error: PrepareError) {
        self.send(Message::Failed {
            seq,
            display,
            error,
        });
        self.pass(seq);
    }

    /// Takes an input out of the race for its bytes.
    fn pass(self: &Arc<Self>, seq: Seq) {
        let decisions = self.intake().arrive(seq, None);
        self.enact(decisions);
    }

    fn send(&self, message: Message) {
        fault::delay(message.seq());
        if self.messages.send(message).is_err() {
            tracing::debug!("nobody waits for this message any more");
        }
    }

    /// The intake changes in one step each time: a panic of another holder is a bug that has been
    /// told, and the rest of the run goes on.
    fn intake(&self) -> MutexGuard<'_, Intake<Staged>> {
        self.intake.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs `work`; a panic becomes its error. What `work` owns is dropped by then.
fn caught<T>(
    display: &str,
    work: impl FnOnce() -> Result<T, PrepareError>,
) -> Result<T, PrepareError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let message = if let Some(text) = payload.downcast_ref::<&str>() {
            text
        } else if let Some(text) = payload.downcast_ref::<String>() {
            text.as_str()
        } else {
            "no message"
        };
        Err(PrepareError::Panicked {
            path: display.to_owned(),
            message: SafeLine::new(message).to_string(),
        })
    })
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
