//! What `kbhost recover` does under the lock: drains what can be drained, tells of each journal what
//! became of it, and does for one journal what only a person may decide.
//!
//! Invariant: newest first. While a change that has to be undone is not, no older one is: the pages
//! it speaks of may hold the newer change.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::drain::{self, Undoing};
use super::inspect::{self, Content, JournalReport, JournalState, Judge, Leftover, Place, Verdict};
use super::journal::{Found, Journal};
use super::registry::Registry;
use super::storage::Storage;
use super::{AcquireError, OwnerOptions, RecoverError, foreign, guard, quarantine};
use crate::kb::{KbPath, KbRoot, SafeLine};

/// What somebody wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoverRequest {
    /// Settle what can be settled without a person.
    Drain,
    /// That, and take the KB as it is now for the change with this id, or the only one whose id
    /// begins like this: its journal is kept in `accepted/`.
    Accept(String),
    /// That, and undo the change with this id, though the registry cannot decide on it, or undoing
    /// it failed before.
    Undo(String),
}

/// What became of a journal, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecoverAction {
    /// It had published nothing; it is gone.
    Removed,
    /// Its change is committed; it is gone.
    CleanedUp,
    /// The KB is as it was before its change; it is gone.
    Undone,
    /// The KB is taken as it is; the journal is kept in `accepted/`.
    Accepted,
    /// It was moved into quarantine, and needs a person.
    Quarantined,
    /// It could not be settled; it is still there.
    Failed,
    /// It needs a person, or waits for a newer one that does.
    Untouched,
}

/// One journal and what became of it.
#[derive(Debug, serde::Serialize)]
pub struct Recovered {
    /// The journal as it was found; if it was moved into quarantine, with its new id and place.
    #[serde(flatten)]
    pub report: JournalReport,
    /// What became of it; in a preview, what would.
    pub action: RecoverAction,
    /// Where it was moved to.
    pub kept_at: Option<KbPath>,
    /// Hand edits that were kept aside.
    pub warnings: Vec<SafeLine>,
    /// Why it could not be settled.
    #[serde(skip)]
    pub error: Option<AcquireError>,
}

impl Recovered {
    fn new(report: JournalReport, action: RecoverAction) -> Self {
        Self {
            report,
            action,
            kept_at: None,
            warnings: Vec::new(),
            error: None,
        }
    }

    /// Whether nothing is left of it that stands in the way of a change.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        use RecoverAction::{Accepted, CleanedUp, Failed, Quarantined, Removed, Undone, Untouched};
        match self.action {
            Removed | CleanedUp | Undone | Accepted => true,
            Quarantined | Failed | Untouched => false,
        }
    }
}

/// Settles journals as `request` says, the newest first, and sweeps staging of dead runs once
/// nothing is left. Idempotent, also when it is cut off.
///
/// # Errors
/// If the lock is not to be had, the KB cannot be read, or nothing or several are meant by an id;
/// nothing was changed then. What happens to single journals is in the answer.
pub fn recover(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
    request: &RecoverRequest,
) -> Result<Vec<Recovered>, RecoverError> {
    let guard::Locked {
        storage,
        held: _held,
        ..
    } = guard::lock_only(root, options)?;
    storage
        .point("recover.before")
        .map_err(AcquireError::from)?;
    let opened = inspect::only_damage(Registry::open(root)).map_err(AcquireError::from)?;
    let judge = Judge::of(&opened, |registry| registry);
    let leftovers = inspect::scan(root, &judge).map_err(AcquireError::from)?;
    let registry = opened.as_ref().ok().and_then(Option::as_ref);
    let asked = find(request, &leftovers)?;
    let mut is_blocked = false;
    let recovered = in_order(leftovers, asked, |index, mut leftover| {
        if !is_blocked && let Err(error) = make_lasting(root, registry, &judge, &mut leftover) {
            is_blocked = true;
            return of_result(leftover.report, RecoverAction::Failed, Err(error));
        }
        let done = match (asked == Some(index)).then_some(request) {
            Some(RecoverRequest::Accept(_)) => accept(&storage, leftover),
            Some(RecoverRequest::Undo(_)) if !is_blocked => undo_asked(&storage, leftover),
            _ => settle(&storage, leftover, is_blocked),
        };
        is_blocked |= !done.is_settled();
        done
    });
    if !is_blocked {
        drain::sweep_staging(&storage);
    }
    storage.point("recover.after").map_err(AcquireError::from)?;
    Ok(recovered)
}

/// Makes sure that what is to be undone does not turn out to be committed later.
fn make_lasting(
    root: &KbRoot,
    registry: Option<&Registry>,
    judge: &Judge<'_>,
    leftover: &mut Leftover,
) -> Result<(), AcquireError> {
    let is_ours = leftover.report.place == Place::Journal;
    if !is_ours || leftover.report.state != JournalState::Active {
        return Ok(());
    }
    let Found::Active(journal) = Journal::find(root, &leftover.name)? else {
        return Ok(());
    };
    match drain::lasting_verdict(judge, registry, &journal)? {
        Verdict::Committed => leftover.report.state = JournalState::Committed,
        Verdict::Uncommitted | Verdict::Undecidable(_) => {}
    }
    Ok(())
}

/// Tells what [`recover`] would do. Takes no lock and writes nothing: what it finds may belong to a
/// command that is under way.
///
/// # Errors
/// If the KB cannot be read, or nothing or several are meant by an id.
pub fn preview(root: &KbRoot, request: &RecoverRequest) -> Result<Vec<Recovered>, RecoverError> {
    let opened = crate::kb::registry::Reader::open(root);
    let opened = inspect::only_damage(opened).map_err(AcquireError::from)?;
    let judge = Judge::of(&opened, |reader| reader);
    let leftovers = inspect::scan(root, &judge).map_err(AcquireError::from)?;
    let asked = find(request, &leftovers)?;
    let mut is_blocked = false;
    Ok(in_order(leftovers, asked, |index, leftover| {
        let action = match (asked == Some(index)).then_some(request) {
            Some(RecoverRequest::Accept(_)) => match expected(&leftover.report, false) {
                settled @ (RecoverAction::Removed | RecoverAction::CleanedUp) => settled,
                _ => RecoverAction::Accepted,
            },
            Some(RecoverRequest::Undo(_)) if !is_blocked => RecoverAction::Undone,
            _ => expected(&leftover.report, is_blocked),
        };
        let told = Recovered::new(leftover.report, action);
        is_blocked |= !told.is_settled();
        told
    }))
}

/// Goes through the journals newest first and gives the answers back in the order of the list.
/// Neither program starts a change while it sees what another left: OpenKB's journals are newer than
/// ours, and what is in quarantine is newer than what is not. Of several of OpenKB's nobody knows
/// the order: the one that a person asks for is the first.
fn in_order(
    leftovers: Vec<Leftover>,
    asked: Option<usize>,
    mut each: impl FnMut(usize, Leftover) -> Recovered,
) -> Vec<Recovered> {
    let mut pending: Vec<(usize, Leftover)> = leftovers.into_iter().enumerate().collect();
    pending.sort_by_key(|(index, leftover)| {
        let report = &leftover.report;
        let is_first = report.place == Place::OpenKb && asked == Some(*index);
        (rank(report), !is_first)
    });
    let mut done: Vec<(usize, Recovered)> = pending
        .into_iter()
        .map(|(index, leftover)| (index, each(index, leftover)))
        .collect();
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, recovered)| recovered).collect()
}

fn rank(report: &JournalReport) -> u8 {
    match report.place {
        Place::OpenKb => 0,
        Place::Quarantine => 1,
        Place::Journal => 2,
    }
}

/// What becomes of a journal if nobody says anything about it and nothing fails.
fn expected(report: &JournalReport, is_blocked: bool) -> RecoverAction {
    match (report.place, &report.state) {
        (Place::Journal, JournalState::Unfinished) => RecoverAction::Removed,
        (Place::Journal, JournalState::Committed) => RecoverAction::CleanedUp,
        (Place::Journal, JournalState::Malformed { .. }) => RecoverAction::Quarantined,
        (Place::Journal, JournalState::Active) | (Place::OpenKb, JournalState::Foreign)
            if !is_blocked =>
        {
            RecoverAction::Undone
        }
        _ => RecoverAction::Untouched,
    }
}

/// Finds the journal that is asked for, and refuses to undo one that must not be undone now, or to
/// accept one whose pages would not stay as they are.
fn find(request: &RecoverRequest, leftovers: &[Leftover]) -> Result<Option<usize>, RecoverError> {
    let (RecoverRequest::Accept(typed) | RecoverRequest::Undo(typed)) = request else {
        return Ok(None);
    };
    let index = matching(typed, leftovers)?;
    if matches!(request, RecoverRequest::Accept(_)) {
        acceptable(index, leftovers)?;
    } else {
        undoable(&leftovers[index].report)?;
        let is_before = |other: usize| {
            let (this, that) = (&leftovers[index].report, &leftovers[other].report);
            match (this.place, that.place) {
                (Place::OpenKb, Place::OpenKb) => false,
                _ => (rank(that), other) < (rank(this), index),
            }
        };
        let newer = (0..leftovers.len()).find(|&other| {
            let action = expected(&leftovers[other].report, false);
            is_before(other)
                && matches!(
                    action,
                    RecoverAction::Untouched | RecoverAction::Quarantined
                )
        });
        if let Some(newer) = newer {
            return Err(RecoverError::NotUndoable {
                id: leftovers[index].report.id.clone(),
                reason: format!("the change `{}` is newer", leftovers[newer].report.id),
                hint: "settle the newer one first; `kbhost recover` tells how".to_owned(),
            });
        }
    }
    Ok(Some(index))
}

/// Refuses to accept a change while an older one that touches the same pages waits to be undone:
/// that would take what was just accepted along.
fn acceptable(index: usize, leftovers: &[Leftover]) -> Result<(), RecoverError> {
    let this = &leftovers[index].report;
    if matches!(
        expected(this, false),
        RecoverAction::Removed | RecoverAction::CleanedUp
    ) {
        return Ok(());
    }
    let older = leftovers.iter().enumerate().find(|(other, leftover)| {
        let that = &leftover.report;
        (rank(that), *other) > (rank(this), index)
            && expected(that, false) == RecoverAction::Undone
            && have_common_path(&this.paths, &that.paths)
    });
    let Some((_, older)) = older else {
        return Ok(());
    };
    let older = &older.report.id;
    Err(RecoverError::NotAcceptable {
        id: this.id.clone(),
        reason: format!("the change `{older}` is older, and undoing it would change its pages"),
        hint: format!(
            "settle the older one first: `kbhost recover --accept {older}` keeps the pages of both \
             as they are"
        ),
    })
}

/// Whether a path of one list is one of the other's, or lies in a directory that is.
fn have_common_path(these: &[KbPath], those: &[KbPath]) -> bool {
    let is_within = |paths: &[KbPath], dirs: &[KbPath]| {
        let dirs: BTreeSet<&KbPath> = dirs.iter().collect();
        paths.iter().any(|path| {
            std::iter::successors(Some(path.clone()), KbPath::parent).any(|at| dirs.contains(&at))
        })
    };
    is_within(these, those) || is_within(those, these)
}

/// The one journal whose id is `typed`, or else begins like that.
fn matching(typed: &str, leftovers: &[Leftover]) -> Result<usize, RecoverError> {
    let ids = |test: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let found = leftovers.iter().enumerate();
        let meant = found.filter(|(_, leftover)| test(&leftover.report.id));
        meant.map(|(index, _)| index).collect()
    };
    let mut meant = ids(&|id| id == typed);
    if meant.is_empty() && !typed.is_empty() {
        meant = ids(&|id| id.starts_with(typed));
    }
    let names = |meant: &[usize]| {
        let ids = meant
            .iter()
            .map(|&index| leftovers[index].report.id.clone());
        ids.collect()
    };
    match meant.as_slice() {
        [one] => Ok(*one),
        [] => Err(RecoverError::Unknown {
            id: SafeLine::with_max(typed, 80),
            known: leftovers.iter().map(|one| one.report.id.clone()).collect(),
        }),
        several => Err(RecoverError::Ambiguous {
            id: SafeLine::with_max(typed, 80),
            matches: names(several),
        }),
    }
}

/// Refuses to undo what has no whole journal, or is committed.
fn undoable(report: &JournalReport) -> Result<(), RecoverError> {
    let id = || report.id.clone();
    match &report.state {
        JournalState::Active
        | JournalState::Undecidable { .. }
        | JournalState::Foreign
        | JournalState::ForeignUncertain { .. } => Ok(()),
        JournalState::Unfinished | JournalState::Committed => Err(RecoverError::NotUndoable {
            id: id(),
            reason: match report.state {
                JournalState::Committed => "it is committed".to_owned(),
                _ => "it never changed anything".to_owned(),
            },
            hint: "`kbhost recover` cleans up after it".to_owned(),
        }),
        JournalState::Malformed { reason } => Err(not_by_us(report, reason)),
        JournalState::ForeignOutside { path } => {
            let reason = format!("it names `{path}`, which is not this knowledge base's");
            Err(not_by_us(report, &reason))
        }
    }
}

fn not_by_us(report: &JournalReport, reason: &str) -> RecoverError {
    RecoverError::NotUndoable {
        id: report.id.clone(),
        reason: reason.to_owned(),
        hint: format!(
            "look at the pages; if they are as you want them, `kbhost recover --accept {}`",
            report.id
        ),
    }
}

/// Does what can be done without a person.
fn settle(storage: &Storage, leftover: Leftover, is_blocked: bool) -> Recovered {
    let action = expected(&leftover.report, is_blocked);
    match action {
        RecoverAction::Removed => {
            let result = drain::forget(storage, &leftover.name);
            of_result(leftover.report, action, result)
        }
        RecoverAction::CleanedUp => {
            let journal = leftover.journal(storage.root());
            let result = journal
                .map_err(AcquireError::from)
                .and_then(|journal| drain::clean_up(storage, &journal));
            of_result(leftover.report, action, result)
        }
        RecoverAction::Quarantined => {
            let moved = quarantine::quarantine(storage, &leftover.name);
            moved_to_quarantine(leftover.report, moved, None)
        }
        RecoverAction::Undone => undo(storage, leftover),
        RecoverAction::Accepted | RecoverAction::Failed | RecoverAction::Untouched => {
            Recovered::new(leftover.report, RecoverAction::Untouched)
        }
    }
}

/// Undoes a change of ours or of OpenKB's.
fn undo(storage: &Storage, leftover: Leftover) -> Recovered {
    let undone = |report, warnings| Recovered {
        warnings,
        ..Recovered::new(report, RecoverAction::Undone)
    };
    let journal = match &leftover.content {
        Content::Ours => match leftover.journal(storage.root()) {
            Ok(journal) => Some(journal),
            Err(error) => {
                return of_result(leftover.report, RecoverAction::Failed, Err(error.into()));
            }
        },
        Content::Foreign(_) | Content::Nothing => None,
    };
    let Leftover {
        name,
        mut report,
        content,
    } = leftover;
    match (content, journal) {
        (_, Some(journal)) => match drain::undo_counted(storage, &journal) {
            Undoing::Undone(warnings) => undone(report, warnings),
            Undoing::Failed(error) => {
                report.attempts = quarantine::attempts(storage.root(), &Journal::dir(&journal.id));
                of_result(report, RecoverAction::Failed, Err(error))
            }
            Undoing::GivenUp(error, to) => {
                report.attempts += 1;
                moved_to_quarantine(report, Ok(to), Some(error))
            }
        },
        (Content::Foreign(rollback), None) => match foreign::settle(storage, &name, &rollback) {
            Ok(warnings) => undone(report, warnings),
            Err(source) => {
                let error = AcquireError::Undo {
                    journal: report.id.clone(),
                    source: Box::new(source),
                };
                of_result(report, RecoverAction::Failed, Err(error))
            }
        },
        (Content::Ours | Content::Nothing, None) => {
            Recovered::new(report, RecoverAction::Untouched)
        }
    }
}

/// Undoes a change because a person says so; one in quarantine is brought back for that.
fn undo_asked(storage: &Storage, mut leftover: Leftover) -> Recovered {
    if leftover.report.place == Place::Quarantine && matches!(leftover.content, Content::Ours) {
        let id = quarantine::id_of(&leftover.name).to_owned();
        let brought = leftover
            .path()
            .map_err(AcquireError::from)
            .and_then(|from| quarantine::bring_back(storage, &from, &id));
        if let Err(error) = brought {
            return of_result(leftover.report, RecoverAction::Failed, Err(error));
        }
        leftover.report.place = Place::Journal;
        leftover.report.id = SafeLine::new(&id).to_string();
        leftover.name = id;
    }
    undo(storage, leftover)
}

/// Takes the KB as it is: the journal goes where it is kept and stands in nobody's way.
fn accept(storage: &Storage, leftover: Leftover) -> Recovered {
    let (prefix, suffix) = match leftover.report.place {
        Place::OpenKb => ("openkb-", ".json"),
        Place::Journal | Place::Quarantine => ("", ""),
    };
    let stem = leftover.name.strip_suffix(suffix).unwrap_or(&leftover.name);
    let name = format!("{prefix}{stem}");
    let (from, report) = (leftover.path(), leftover.report.clone());
    // Nothing is there to be accepted: what it did is whole, or nothing. Where it cannot be removed
    // it goes where the others go: it must not block the KB.
    if matches!(
        expected(&report, false),
        RecoverAction::Removed | RecoverAction::CleanedUp
    ) {
        let settled = settle(storage, leftover, false);
        if settled.is_settled() {
            return settled;
        }
    }
    let moved = from
        .map_err(AcquireError::from)
        .and_then(|from| quarantine::accept(storage, &from, &name, suffix));
    match moved {
        Ok(to) => Recovered {
            kept_at: Some(to),
            ..Recovered::new(report, RecoverAction::Accepted)
        },
        Err(error) => of_result(report, RecoverAction::Failed, Err(error)),
    }
}

fn of_result(
    report: JournalReport,
    action: RecoverAction,
    result: Result<(), AcquireError>,
) -> Recovered {
    match result {
        Ok(()) => Recovered::new(report, action),
        Err(error) => Recovered {
            error: Some(error),
            ..Recovered::new(report, RecoverAction::Failed)
        },
    }
}

fn moved_to_quarantine(
    mut report: JournalReport,
    moved: Result<KbPath, AcquireError>,
    error: Option<AcquireError>,
) -> Recovered {
    match moved {
        Ok(to) => {
            report.place = Place::Quarantine;
            report.id = to.file_name().to_owned();
            Recovered {
                kept_at: Some(to),
                error,
                ..Recovered::new(report, RecoverAction::Quarantined)
            }
        }
        Err(error) => of_result(report, RecoverAction::Failed, Err(error)),
    }
}
