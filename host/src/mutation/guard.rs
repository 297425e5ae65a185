//! The lock: who holds a [`MutationGuard`] is the only one who may change the KB.
//!
//! `gate.lock` is a turnstile before `ingest.lock`: a writer closes it while it waits, so that
//! readers that come in an endless row cannot starve it. Neither file is ever unlinked: with a new
//! file under the old name two owners could each hold "the" lock.

use std::cell::RefCell;
use std::fs::File;
use std::marker::PhantomData;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::registry::Registry;
use super::storage::Storage;
use super::{AcquireError, drain, holder};
use crate::kb::clock::Clock;
use crate::kb::config::OpenKbExport;
use crate::kb::{KbPath, KbRoot, PathError, layout};

/// Between two tries to lock: grows from the first to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));

thread_local! {
    /// Lock files (device, inode) this thread holds: taking one again would wait for ourselves.
    static HELD: RefCell<Vec<(u64, u64)>> = const { RefCell::new(Vec::new()) };
}

/// The right to change one KB, for one thread. Recovery has been drained. Dropping it lets go.
#[derive(Debug)]
#[must_use = "dropping the guard lets the lock go"]
pub(super) struct MutationGuard {
    pub(super) storage: Storage,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    pub(super) openkb_export: OpenKbExport,
    _lock: Held,
    /// The guard stays on the thread that acquired it.
    _not_send: PhantomData<*const ()>,
}

impl MutationGuard {
    /// Lets the lock go; what is left of the registry's handle may still be read and checkpointed.
    pub(super) fn release(self) -> Registry {
        self.registry
    }
}

/// A path that may be changed: only the holder of the guard can name one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OfficialPath(KbPath);

impl OfficialPath {
    /// Names an official path.
    pub(super) fn new(_: &MutationGuard, path: KbPath) -> Self {
        Self(path)
    }

    /// The path as a value.
    pub(super) fn as_kb_path(&self) -> &KbPath {
        &self.0
    }
}

/// Takes the lock, waiting at most `wait` and not after `cancel` is set, and drains recovery.
///
/// # Errors
/// If the lock is not free in time, cannot be taken, or recovery needs a person.
pub(super) fn acquire(
    root: &Arc<KbRoot>,
    wait: Duration,
    cancel: &AtomicBool,
    command: &str,
    clock: &Clock,
    openkb_export: OpenKbExport,
) -> Result<MutationGuard, AcquireError> {
    let span = tracing::info_span!("lock");
    let entered = span.enter();
    let storage = Storage::new(Arc::clone(root));
    storage.point("lock.before")?;
    let patience = Patience {
        wait,
        deadline: Instant::now() + wait,
        cancel,
    };
    let gate = lock(&storage, &layout::gate_lock(), &patience)?;
    let held = lock(&storage, &layout::ingest_lock(), &patience)?;
    drop(gate);
    holder::record(&storage, command, clock);
    storage.point("lock.after")?;
    drop(entered);
    let registry = tracing::info_span!("drain").in_scope(|| drain::drain(&storage, clock))?;
    Ok(MutationGuard {
        storage,
        registry,
        clock: clock.clone(),
        openkb_export,
        _lock: held,
        _not_send: PhantomData,
    })
}

/// A locked file, and the mark that this thread holds it.
#[derive(Debug)]
struct Held {
    file: File,
    id: (u64, u64),
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.retain(|id| *id != self.id));
        // Closing lets the lock go as well; nothing can be done about an error of either.
        drop(fs2::FileExt::unlock(&self.file));
    }
}

/// How long somebody waits for both files.
struct Patience<'a> {
    wait: Duration,
    deadline: Instant,
    cancel: &'a AtomicBool,
}

fn lock(storage: &Storage, path: &KbPath, patience: &Patience<'_>) -> Result<Held, AcquireError> {
    let mut pause = BACK_OFF.0;
    loop {
        let file = storage.open_lock(path)?;
        let failed = |e: std::io::Error| PathError::new("lock", storage.root().join(path), e);
        let metadata = file.metadata().map_err(failed)?;
        let id = (metadata.dev(), metadata.ino());
        if HELD.with_borrow(|held| held.contains(&id)) {
            return Err(AcquireError::Nested);
        }
        match try_lock(&file) {
            // The file may have been replaced between opening and locking: only a lock on the file
            // that has the name now excludes anybody.
            Ok(()) if is_same(storage, path, id)? => {
                HELD.with_borrow_mut(|held| held.push(id));
                return Ok(Held { file, id });
            }
            Ok(()) => {}
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => {}
            Err(error) => return Err(failed(error).into()),
        }
        if patience.cancel.load(Ordering::SeqCst) {
            return Err(AcquireError::Cancelled);
        }
        let left = patience.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(AcquireError::Busy {
                path: storage.root().path().to_owned(),
                waited: patience.wait,
                holder: holder::describe(storage.root()),
            });
        }
        std::thread::sleep(pause.min(left));
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

fn try_lock(file: &File) -> std::io::Result<()> {
    loop {
        match fs2::FileExt::try_lock_exclusive(file) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn is_same(storage: &Storage, path: &KbPath, id: (u64, u64)) -> Result<bool, AcquireError> {
    let now = storage
        .open_lock(path)?
        .metadata()
        .map_err(|e| PathError::new("lock", storage.root().join(path), e))?;
    Ok((now.dev(), now.ino()) == id)
}
