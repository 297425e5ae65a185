//! The right to change a KB: who holds a [`MutationGuard`] is the only one who may.
//!
//! Whoever needs it is given the guard of whoever has it: taking it anew on the same thread is an
//! error, not a wait.

use std::marker::PhantomData;
use std::sync::Arc;

use super::holder::{Phase, Trail};
use super::medium::Trust;
use super::registry::Registry;
use super::storage::Storage;
use super::{AcquireError, OwnerOptions, drain, lock, medium};
use crate::kb::clock::Clock;
use crate::kb::config::OpenKbExport;
use crate::kb::{KbPath, KbRoot, SafeLine, layout};

/// The right to change one KB, for one thread. Recovery has been drained. Dropping it lets go.
#[derive(Debug)]
#[must_use = "dropping the guard lets the lock go"]
pub(super) struct MutationGuard {
    pub(super) storage: Storage,
    pub(super) registry: Registry,
    pub(super) clock: Clock,
    pub(super) openkb_export: OpenKbExport,
    trail: Trail,
    _lock: lock::Held,
    /// The guard stays on the thread that acquired it.
    _not_send: PhantomData<*const ()>,
}

impl MutationGuard {
    /// Notes what its holder begins, for somebody who waits.
    pub(super) fn enter(&self, phase: Phase) {
        self.trail.enter(phase, &self.storage, &self.clock);
    }

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

/// Takes the lock as `options` say, and drains recovery.
///
/// # Errors
/// If the lock is not free in time, cannot be taken or trusted, or recovery needs a person.
pub(super) fn acquire(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
) -> Result<MutationGuard, AcquireError> {
    let locked = lock_only(root, options)?;
    let registry = tracing::info_span!("drain")
        .in_scope(|| drain::drain(&locked.storage, &options.clock, &|line| tell(options, line)))?;
    Ok(locked.with(registry, options))
}

/// As [`acquire`], for whoever is to settle that another program changed `hashes.json`.
///
/// # Errors
/// As [`acquire`], but for that change.
pub(super) fn acquire_to_exchange(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
) -> Result<MutationGuard, AcquireError> {
    let locked = lock_only(root, options)?;
    let registry = tracing::info_span!("drain").in_scope(|| {
        drain::drain_to_exchange(&locked.storage, &options.clock, &|line| tell(options, line))
    })?;
    Ok(locked.with(registry, options))
}

/// Tells whoever acquires of what recovery did.
fn tell(options: &OwnerOptions, line: &SafeLine) {
    match &options.lock.on_warning {
        Some(told) => told(line),
        None => tracing::warn!("{line}"),
    }
}

/// The lock, with what earlier owners left not looked at.
#[must_use = "dropping it lets the lock go"]
pub(super) struct Locked {
    pub(super) storage: Storage,
    pub(super) trail: Trail,
    pub(super) held: lock::Held,
}

impl Locked {
    /// The guard, once the registry is there and drained.
    pub(super) fn with(self, registry: Registry, options: &OwnerOptions) -> MutationGuard {
        let guard = MutationGuard {
            storage: self.storage,
            registry,
            clock: options.clock.clone(),
            openkb_export: options.config.openkb_export,
            trail: self.trail,
            _lock: self.held,
            _not_send: PhantomData,
        };
        guard.enter(Phase::Plan);
        guard
    }
}

/// Takes the lock as `options` say, and leaves to the caller what earlier owners left: recovery
/// itself needs the lock while the drain would refuse.
///
/// # Errors
/// If the lock is not free in time or cannot be taken.
pub(super) fn lock_only(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
) -> Result<Locked, AcquireError> {
    let clock = &options.clock;
    let span = tracing::info_span!("lock");
    let entered = span.enter();
    let storage = Storage::new(Arc::clone(root));
    storage.point("lock.before")?;
    let trust = medium::judge(root, &options.lock)?;
    let held = lock::exclusive(&storage, &options.lock)?;
    if let Trust::ToProve(file_system) = trust {
        medium::prove(root, file_system, &options.lock)?;
    }
    let trail = Trail::new(options.command, clock);
    // Most have nothing to recover, and no second write follows in a short commit.
    let journals = root.list_dir(&layout::journal_dir());
    let is_clean = journals.is_ok_and(|journals| journals.is_empty());
    let phase = if is_clean {
        Phase::Plan
    } else {
        Phase::Recover
    };
    trail.enter(phase, &storage, clock);
    storage.point("lock.after")?;
    drop(entered);
    Ok(Locked {
        storage,
        trail,
        held,
    })
}
