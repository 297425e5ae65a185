//! Recovery: settles what an earlier owner left behind, before anything new is planned.
//!
//! The registry decides: a mutation whose id it holds is committed, any other is undone. What cannot
//! be decided is not touched.

use super::journal::{Found, Journal, random_hex};
use super::registry::{Registry, openkb_digest};
use super::storage::Storage;
use super::{AcquireError, MutationError, undo};
use crate::kb::clock::Clock;
use crate::kb::{KbError, KbPath, SafeLine, layout};

/// Opens the registry and settles all journals, the newest first. The lock is held.
///
/// # Errors
/// If something needs a person, or a step fails; what was settled stays settled.
pub(super) fn drain(storage: &Storage, clock: &Clock) -> Result<Registry, AcquireError> {
    storage.point("drain.before")?;
    refuse_foreign_journal(storage)?;
    refuse_quarantine(storage)?;
    // A KB that came through git has lost its empty directories.
    for dir in [layout::own_dir(), layout::journal_dir()] {
        storage.make_dir("drain.mkdir", &dir)?;
    }
    let mut ids = storage.root().list_dir(&layout::journal_dir())?;
    ids.reverse();
    let registry = match Registry::open(storage.root())? {
        Some(registry) => registry,
        None => {
            if let Some(id) = ids.iter().find(|id| is_active(storage, id)) {
                return Err(undecidable(storage, id, "the registry is missing"));
            }
            Registry::create(storage, &clock.record_time()).map_err(acquire_error)?
        }
    };
    for id in &ids {
        settle(storage, &registry, id)?;
    }
    refuse_foreign_change(storage, &registry)?;
    sweep_staging(storage);
    storage.point("drain.after")?;
    Ok(registry)
}

/// Removes what runs that died left in staging. It costs disk, nothing else: a failure can wait.
fn sweep_staging(storage: &Storage) {
    let dir = layout::prepare_dir();
    // Listing through the root's handle refuses a link that would lead the sweep out of the KB.
    match storage.root().list_dir(&dir) {
        Ok(names) if names.is_empty() => return,
        Ok(_) => {}
        Err(error) => return tracing::warn!(%error, "staging cannot be listed"),
    }
    match crate::prepare::sweep_dead(&storage.root().join(&dir)) {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "removed staging of runs that died"),
        Err(error) => tracing::warn!(%error, "could not remove staging of runs that died"),
    }
}

/// Settles one journal directory.
fn settle(storage: &Storage, registry: &Registry, id: &str) -> Result<(), AcquireError> {
    let dir = layout::journal_dir().join(id).map_err(KbError::from)?;
    match Journal::find(storage, id)? {
        Found::Unfinished => storage.remove_tree("drain.remove", &dir)?,
        Found::Malformed(reason) => return Err(quarantine(storage, id, &dir, &reason)),
        Found::Active(journal) => {
            if journal.registry != registry.uuid()? {
                return Err(undecidable(storage, id, "it belongs to another registry"));
            }
            if registry.has_mutation(id)? {
                tracing::info!(id, "a finished change was cleaned up");
                undo::retire(storage, id)?;
            } else {
                let warnings = undo::undo(storage, &journal).map_err(acquire_error)?;
                tracing::warn!(id, operation = %SafeLine::new(&journal.operation), "an unfinished change was undone");
                for warning in warnings {
                    tracing::warn!("{warning}");
                }
            }
        }
    }
    Ok(())
}

fn is_active(storage: &Storage, id: &str) -> bool {
    KbPath::new(id).is_ok() && !matches!(Journal::find(storage, id), Ok(Found::Unfinished))
}

/// An active journal of OpenKB: its own recovery must have its turn first, and it does not exclude a
/// mutation of ours from what it will roll back.
fn refuse_foreign_journal(storage: &Storage) -> Result<(), AcquireError> {
    #[derive(serde::Deserialize)]
    struct Foreign {
        status: String,
    }
    /// OpenKB's journals list a few hundred paths.
    const FOREIGN_BYTES_MAX: u64 = 16 << 20;
    let dir = layout::openkb_journal_dir();
    for name in storage.root().list_dir(&dir)? {
        let Ok(path) = dir.join(&name) else { continue };
        if !name.ends_with(".json") {
            continue;
        }
        let bytes = storage
            .root()
            .read(&path, FOREIGN_BYTES_MAX)?
            .unwrap_or_default();
        let settled = serde_json::from_slice::<Foreign>(&bytes)
            .is_ok_and(|journal| matches!(journal.status.as_str(), "committed" | "rolled_back"));
        if !settled {
            return Err(AcquireError::NeedsAttention {
                reason: format!("OpenKB left an unfinished change, `{path}`"),
                hint: "run an `openkb` command that changes the knowledge base, such as `openkb add`: it finishes its own recovery"
                    .to_owned(),
            });
        }
    }
    Ok(())
}

fn refuse_quarantine(storage: &Storage) -> Result<(), AcquireError> {
    let held = storage.root().list_dir(&layout::quarantine_dir())?;
    match held.first() {
        None => Ok(()),
        Some(name) => Err(AcquireError::NeedsAttention {
            reason: format!(
                "`{}/{}` could not be undone",
                layout::quarantine_dir(),
                SafeLine::with_max(name, 80)
            ),
            hint: format!(
                "look at `{}`, then move it out of the knowledge base",
                storage.root().join(&layout::quarantine_dir()).display()
            ),
        }),
    }
}

/// `hashes.json` was changed by somebody else since we last saw or wrote it.
fn refuse_foreign_change(storage: &Storage, registry: &Registry) -> Result<(), AcquireError> {
    let now = match openkb_digest(storage.root()) {
        // Something else than a file is no work of another program's that an export could replace:
        // the export will fail, and say so.
        Err(KbError::Path(error)) if error.source.kind() == std::io::ErrorKind::InvalidInput => {
            return Ok(());
        }
        other => other?,
    };
    let ours = [
        registry.meta_text("hashes_found")?,
        registry.meta_text("hashes_written")?,
    ];
    if now.is_empty() || ours.iter().flatten().any(|digest| *digest == now) {
        return Ok(());
    }
    Err(AcquireError::NeedsAttention {
        reason: format!("`{}` was changed by another program", layout::hashes_json()),
        hint: format!(
            "keep a copy of `{}` elsewhere and remove it: kbhost writes it anew from its own registry",
            storage.root().join(&layout::hashes_json()).display()
        ),
    })
}

fn undecidable(storage: &Storage, id: &str, why: &str) -> AcquireError {
    let dir = storage.root().join(&layout::journal_dir());
    AcquireError::NeedsAttention {
        reason: format!(
            "the journal `{}` cannot be decided: {why}",
            SafeLine::with_max(id, 80)
        ),
        hint: format!(
            "bring back `{}`, or look at `{}`",
            layout::registry_db(),
            dir.display()
        ),
    }
}

/// Moves a journal that cannot be understood out of the way; nothing in it is lost.
fn quarantine(storage: &Storage, id: &str, dir: &KbPath, reason: &str) -> AcquireError {
    let moved = || -> Result<KbPath, AcquireError> {
        storage.make_dir("quarantine.mkdir", &layout::quarantine_dir())?;
        let name = format!("{}-{}", SafeLine::with_max(id, 60), random_hex(4)?);
        let target = layout::quarantine_dir()
            .join(&name)
            .map_err(KbError::from)?;
        storage.rename("quarantine.rename", dir, &target)?;
        storage.sync(
            "quarantine.sync",
            &[],
            &[layout::quarantine_dir(), layout::journal_dir()],
        )?;
        Ok(target)
    };
    match moved() {
        Ok(target) => AcquireError::NeedsAttention {
            reason: format!("a journal is no valid journal: {}", SafeLine::new(reason)),
            hint: format!(
                "look at `{}`, then move it out of the knowledge base",
                storage.root().join(&target).display()
            ),
        },
        Err(error) => error,
    }
}

/// Narrows an error of the mutation steps that recovery uses.
fn acquire_error(error: MutationError) -> AcquireError {
    match error {
        MutationError::Acquire(error) => error,
        MutationError::Kb(error) => error.into(),
        MutationError::Path(error) => error.into(),
        other => AcquireError::Recovery(Box::new(other)),
    }
}
