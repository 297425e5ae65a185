//! Recovery: settles what an earlier owner left behind, before anything new is planned.
//!
//! The registry decides: a mutation whose id it holds is committed, any other is undone. What cannot
//! be decided is not touched.
//!
//! Invariant: a change that could not be undone is a barrier. Nothing is committed on top of it:
//! undoing it later would take the newer change along.

use std::collections::HashSet;

use super::foreign;
use super::inspect::{Judge, Verdict, only_damage};
use super::journal::{Found, Journal};
use super::quarantine::{self, ATTEMPTS_MAX};
use super::registry::{Registry, openkb_digest};
use super::storage::Storage;
use super::{AcquireError, MutationError, undo};
use crate::kb::clock::Clock;
use crate::kb::registry::Reader;
use crate::kb::{KbError, KbPath, KbRoot, SafeLine, identity, layout, names, openkb};

/// An id in a message is cut to this many characters; ours have 21.
const ID_CHARS_MAX: usize = 80;

/// Opens the registry and settles all journals, the newest first. The lock is held. `told` hears of
/// each change that was undone, and of hand edits that were kept aside for it.
///
/// # Errors
/// If something needs a person, or a step fails; what was settled stays settled.
pub(super) fn drain(
    storage: &Storage,
    clock: &Clock,
    told: &dyn Fn(&SafeLine),
) -> Result<Registry, AcquireError> {
    let registry = settle_all(storage, clock, told)?;
    refuse_foreign_change(storage, &registry)?;
    sweep_staging(storage);
    storage.point("drain.after")?;
    Ok(registry)
}

/// As [`drain`], for the command that settles a foreign change of `hashes.json`.
///
/// # Errors
/// As [`drain`], but for that change.
pub(super) fn drain_to_exchange(
    storage: &Storage,
    clock: &Clock,
    told: &dyn Fn(&SafeLine),
) -> Result<Registry, AcquireError> {
    let registry = settle_all(storage, clock, told)?;
    sweep_staging(storage);
    storage.point("drain.after")?;
    Ok(registry)
}

fn settle_all(
    storage: &Storage,
    clock: &Clock,
    told: &dyn Fn(&SafeLine),
) -> Result<Registry, AcquireError> {
    storage.point("drain.before")?;
    refuse_foreign_journal(storage)?;
    refuse_quarantine(storage)?;
    // A KB that came through git has lost its empty directories.
    for dir in [layout::own_dir(), layout::journal_dir()] {
        storage.make_dir("drain.mkdir", &dir)?;
    }
    let ids = Journal::ids(storage.root())?;
    let opened = only_damage(Registry::open(storage.root()))?;
    let registry = opened.as_ref().ok().and_then(Option::as_ref);
    let judge = Judge::of(&opened, |registry| registry);
    for id in &ids {
        settle(storage, &judge, registry, id, told)?;
    }
    match opened? {
        Some(registry) => Ok(registry),
        None => {
            refuse_lost_registry(storage)?;
            Registry::create(storage, &clock.record_time()).map_err(acquire_error)
        }
    }
}

/// A new registry where there was one before would know nothing of the documents: what is left of the
/// old one is looked for first.
fn refuse_lost_registry(storage: &Storage) -> Result<(), AcquireError> {
    if has_traces(storage.root())? {
        return Err(AcquireError::lost_registry());
    }
    Ok(())
}

/// Whether there is no registry, or an empty one, where there was one before. A damaged one is not
/// lost. Takes no lock.
///
/// # Errors
/// If the KB cannot be read.
pub fn is_registry_lost(root: &KbRoot) -> Result<bool, KbError> {
    match only_damage(Reader::open(root))? {
        Ok(None) => has_traces(root),
        Ok(Some(_)) | Err(_) => Ok(false),
    }
}

/// Whether something is left of a registry: a backup, a damaged one put aside, a search index, which
/// is made by the first commit only, or documents that only it can have named.
fn has_traces(root: &KbRoot) -> Result<bool, KbError> {
    if !super::backup::list(root)?.is_empty() || root.has_file(&layout::search_db())? {
        return Ok(true);
    }
    let names = root.list_dir(&layout::own_dir())?;
    Ok(names.iter().any(|name| name.starts_with(ASIDE_PREFIX)) || has_unnamed_document(root)?)
}

/// Whether a document has its pages and its original, and `hashes.json` does not name it: a registry
/// that is gone did.
fn has_unnamed_document(root: &KbRoot) -> Result<bool, KbError> {
    let stems = |dir: &KbPath| -> Result<HashSet<String>, KbError> {
        let names = root.list_dir(dir)?;
        Ok(names
            .iter()
            .map(|name| names::fold(identity::stem(name)))
            .collect())
    };
    let mut unnamed = stems(&layout::summaries_dir())?;
    if unnamed.is_empty() {
        return Ok(false);
    }
    for entry in openkb::read(root)?.unwrap_or_default() {
        unnamed.remove(&names::fold(entry.row.doc_name.as_str()));
    }
    Ok(!unnamed.is_disjoint(&stems(&layout::raw_dir())?))
}

/// How the folders are called into which a rebuild moves a damaged registry.
pub(super) const ASIDE_PREFIX: &str = "registry-damaged-";

/// Refuses while a journal waits for a verdict that only the registry as it was can give.
///
/// # Errors
/// If there is one, or one of OpenKB's, or one in quarantine.
pub(super) fn refuse_any_journal(storage: &Storage) -> Result<(), AcquireError> {
    refuse_foreign_journal(storage)?;
    refuse_quarantine(storage)?;
    let ids = Journal::ids(storage.root())?;
    let is_active =
        |id: &&String| !matches!(Journal::find(storage.root(), id), Ok(Found::Unfinished));
    match ids.iter().find(is_active) {
        None => Ok(()),
        Some(id) => Err(AcquireError::NeedsAttention {
            reason: format!(
                "the journal `{}` is undecided, and a new registry could not decide it",
                SafeLine::with_max(id, 80)
            ),
            hint: "`kbhost recover` explains it and settles it; then rebuild".to_owned(),
        }),
    }
}

/// Removes what runs that died left in staging. It costs disk, nothing else: a failure can wait.
///
/// It comes after the journals, not before: a published file was *moved* out of staging, or copied
/// where staging lies on another file system, so that no name in staging shares bytes with an
/// official one and undoing does not depend on it. While a journal is not settled, what its run
/// staged may be the only other copy of what it speaks of.
pub(super) fn sweep_staging(storage: &Storage) {
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
fn settle(
    storage: &Storage,
    judge: &Judge<'_>,
    registry: Option<&Registry>,
    id: &str,
    told: &dyn Fn(&SafeLine),
) -> Result<(), AcquireError> {
    let journal = match Journal::find(storage.root(), id)? {
        Found::Unfinished => return forget(storage, id),
        Found::Malformed(reason) => {
            let to = quarantine::quarantine(storage, id)?;
            return Err(in_quarantine(
                format!("a journal is no valid journal: {}", SafeLine::new(&reason)),
                &to,
            ));
        }
        Found::Active(journal) => journal,
    };
    match lasting_verdict(judge, registry, &journal)? {
        Verdict::Undecidable(why) => Err(undecidable(id, &why)),
        Verdict::Committed => {
            tracing::info!(id, "a finished change was cleaned up");
            clean_up(storage, &journal)
        }
        Verdict::Uncommitted => match undo_counted(storage, &journal) {
            Undoing::Undone(warnings) => {
                tracing::info!(id, "an unfinished change was undone");
                told(&undone(&journal));
                warnings.iter().for_each(told);
                Ok(())
            }
            Undoing::Failed(error) => Err(error),
            Undoing::GivenUp(error, to) => {
                tracing::warn!(%error, "an unfinished change is given up");
                let reason = format!(
                    "undoing the change `{}` failed {ATTEMPTS_MAX} times: {}",
                    SafeLine::with_max(id, ID_CHARS_MAX),
                    last_cause(&error),
                );
                Err(in_quarantine(reason, &to))
            }
        },
    }
}

/// What the registry says of a mutation, such that it will say so tomorrow: before anything is undone.
///
/// # Errors
/// If the registry cannot be asked, or not be written: nothing is decided then.
pub(super) fn lasting_verdict(
    judge: &Judge<'_>,
    registry: Option<&Registry>,
    journal: &Journal,
) -> Result<Verdict, KbError> {
    match (judge.verdict(journal)?, registry) {
        (Verdict::Uncommitted, Some(registry)) => {
            registry.settle_log()?;
            judge.verdict(journal)
        }
        (verdict, _) => Ok(verdict),
    }
}

/// Tells of a change that was undone, and whose it was.
fn undone(journal: &Journal) -> SafeLine {
    /// More names than these do not help.
    const NAMES_MAX: usize = 5;
    let names: Vec<&str> = journal
        .entries
        .iter()
        .filter_map(|entry| entry.path.as_str().strip_prefix("raw/"))
        .collect();
    let more = match names.len().saturating_sub(NAMES_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let of = match names.len() {
        0 => String::new(),
        count => format!(" of {}", names[..count.min(NAMES_MAX)].join(", ")),
    };
    SafeLine::new(&format!(
        "an unfinished `kbhost {}`{of}{more} was undone; run it again",
        journal.operation
    ))
}

/// Removes the directory of a journal that never published anything.
///
/// # Errors
/// If it cannot be removed: it stays in the way of every change until somebody accepts it.
pub(super) fn forget(storage: &Storage, id: &str) -> Result<(), AcquireError> {
    let dir = layout::journal_dir().join(id).map_err(KbError::from)?;
    let removed = storage.remove_tree("drain.remove", &dir);
    removed.map_err(|error| AcquireError::Undo {
        journal: SafeLine::with_max(id, ID_CHARS_MAX).to_string(),
        source: Box::new(error.into()),
    })
}

/// Cleans up after a mutation that is committed.
pub(super) fn clean_up(storage: &Storage, journal: &Journal) -> Result<(), AcquireError> {
    let gone = journal.entries.iter().filter(|entry| entry.after.is_none());
    undo::remove_empty_part_dirs(storage, gone.map(|entry| &entry.path))?;
    Ok(undo::retire(storage, &journal.id)?)
}

/// How an undo ended.
#[derive(Debug)]
pub(super) enum Undoing {
    /// Everything is as it was; a warning for each hand edit that was kept aside.
    Undone(Vec<SafeLine>),
    /// Not now; the journal is still there.
    Failed(AcquireError),
    /// Once too often: the journal was moved into quarantine, to this place.
    GivenUp(AcquireError, KbPath),
}

/// Undoes a mutation and counts if that fails.
pub(super) fn undo_counted(storage: &Storage, journal: &Journal) -> Undoing {
    let error = match undo::undo(storage, journal) {
        Ok(warnings) => return Undoing::Undone(warnings),
        Err(error) => error,
    };
    let is_counted = quarantine::counts(&error);
    let error = AcquireError::Undo {
        journal: SafeLine::with_max(&journal.id, ID_CHARS_MAX).to_string(),
        source: Box::new(error),
    };
    if !is_counted {
        return Undoing::Failed(error);
    }
    let moved = match quarantine::count_attempt(storage, &journal.id) {
        Ok(count) if count >= ATTEMPTS_MAX => quarantine::quarantine(storage, &journal.id),
        Ok(_) => return Undoing::Failed(error),
        Err(uncounted) => Err(acquire_error(uncounted)),
    };
    match moved {
        Ok(to) => Undoing::GivenUp(error, to),
        // It stays where it is, and that is a barrier too: the next command tries again.
        Err(unmoved) => {
            tracing::warn!(error = %unmoved, "a failure to undo could not be noted");
            Undoing::Failed(error)
        }
    }
}

/// What is at the bottom of an error.
pub(super) fn last_cause(error: &dyn std::error::Error) -> SafeLine {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    SafeLine::new(&last.to_string())
}

/// An active journal of OpenKB: what it will roll back must not have changes of ours on top.
fn refuse_foreign_journal(storage: &Storage) -> Result<(), AcquireError> {
    let found = foreign::unsettled(storage.root())?;
    let Some(journal) = found.first() else {
        return Ok(());
    };
    Err(AcquireError::NeedsAttention {
        reason: format!(
            "OpenKB left an unfinished change, `{}/{}`",
            layout::openkb_journal_dir(),
            SafeLine::with_max(&journal.name, ID_CHARS_MAX)
        ),
        hint: "`kbhost recover` settles it by OpenKB's own rules; `kbhost recover --dry-run` only \
               tells what it would do"
            .to_owned(),
    })
}

fn refuse_quarantine(storage: &Storage) -> Result<(), AcquireError> {
    let held = storage.root().list_dir(&layout::quarantine_dir())?;
    match held.first() {
        None => Ok(()),
        Some(name) => Err(AcquireError::NeedsAttention {
            reason: format!(
                "`{}/{}` holds a change that could not be undone",
                layout::quarantine_dir(),
                SafeLine::with_max(name, ID_CHARS_MAX)
            ),
            hint: "`kbhost recover` tells what it is and how to go on".to_owned(),
        }),
    }
}

/// `hashes.json` was changed by somebody else since we last saw or wrote it.
pub(super) fn refuse_foreign_change(
    storage: &Storage,
    registry: &Registry,
) -> Result<(), AcquireError> {
    let now = match openkb_digest(storage.root()) {
        // Something else than a file is no work of another program's that an export could replace:
        // the export will fail, and say so.
        Err(KbError::Path(error)) if error.source.kind() == std::io::ErrorKind::InvalidInput => {
            return Ok(());
        }
        other => other?,
    };
    let written = registry.meta_text("hashes_written")?;
    registry.set_exported(written.as_deref() == Some(now.as_str()));
    let ours = [registry.meta_text("hashes_found")?, written];
    if now.is_empty() || ours.iter().flatten().any(|digest| *digest == now) {
        return Ok(());
    }
    // What cannot be read cannot be merged either.
    openkb::read(storage.root())?;
    Err(AcquireError::NeedsAttention {
        reason: format!("`{}` was changed by another program", layout::hashes_json()),
        hint:
            "`kbhost registry import` shows what differs, `kbhost registry import --merge` takes \
               it over"
                .to_owned(),
    })
}

fn undecidable(id: &str, why: &str) -> AcquireError {
    AcquireError::NeedsAttention {
        reason: format!(
            "the journal `{}` cannot be decided: {}",
            SafeLine::with_max(id, ID_CHARS_MAX),
            SafeLine::new(why)
        ),
        hint: "nothing was touched; `kbhost recover` explains it and offers both ways".to_owned(),
    }
}

/// What a command says of a journal that it has just put into quarantine.
fn in_quarantine(reason: String, to: &KbPath) -> AcquireError {
    AcquireError::NeedsAttention {
        reason,
        hint: format!("it is kept as `{to}`; `kbhost recover` tells how to go on"),
    }
}

/// Narrows an error of the mutation steps that recovery uses.
pub(super) fn acquire_error(error: MutationError) -> AcquireError {
    match error {
        MutationError::Acquire(error) => error,
        MutationError::Kb(error) => error.into(),
        MutationError::Path(error) => error.into(),
        other => AcquireError::Recovery(Box::new(other)),
    }
}
