//! Looks at what mutations left behind, as `recover` and `doctor` tell it. Takes no lock, writes
//! nothing; a journal that is found may belong to a command that is under way.

use super::foreign::{self, Verdict as ForeignVerdict};
use super::journal::{Found, Journal, Tally};
use super::quarantine;
use crate::kb::registry::Reader;
use crate::kb::{KbError, KbPath, KbRoot, PathError, SafeLine, layout};

/// Operation and time of a journal are words of ours; a stranger's are cut to this many characters.
const WORD_CHARS_MAX: usize = 40;

/// Where a journal lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// `.openkb/kbhost/journal/`.
    Journal,
    /// `.openkb/kbhost/quarantine/`.
    Quarantine,
    /// `.openkb/journal/`, where OpenKB keeps its own.
    OpenKb,
}

/// What recovery would make of a journal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum JournalState {
    /// It never published anything: its directory is removed.
    Unfinished,
    /// The registry holds its id: it is cleaned up.
    Committed,
    /// The registry does not hold its id: it is undone.
    Active,
    /// The registry cannot tell: it is missing, damaged or another one.
    Undecidable {
        /// Why, one safe line.
        reason: String,
    },
    /// It is no journal that this program can act on.
    Malformed {
        /// Why, one safe line.
        reason: String,
    },
    /// OpenKB's: every path lies inside this KB, and `recover` settles it by OpenKB's rules.
    Foreign,
    /// OpenKB's, and every path lies inside this KB; but newer changes can lie on top of it.
    ForeignUncertain {
        /// Why, one safe line.
        reason: String,
    },
    /// OpenKB's, with a path outside this KB: nobody acts on it.
    ForeignOutside {
        /// The path, one safe line.
        path: String,
    },
}

/// One journal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct JournalReport {
    /// Its id: the name of its directory, or of OpenKB's file without `.json`; one safe line.
    pub id: String,
    /// Where it lies.
    pub place: Place,
    /// What recovery would make of it.
    #[serde(flatten)]
    pub state: JournalState,
    /// `add`, `remove`; empty if it cannot be read.
    pub operation: String,
    /// When it began, RFC 3339 UTC; empty if it cannot be read.
    pub started: String,
    /// The official paths it speaks of.
    pub paths: Vec<KbPath>,
    /// How often undoing it failed for a reason other than the disk's.
    pub attempts: u32,
}

/// A journal with what recovery needs to act on it.
#[derive(Debug)]
pub(super) struct Leftover {
    /// The name of its directory or file.
    pub(super) name: String,
    pub(super) report: JournalReport,
    pub(super) content: Content,
}

/// What can be acted on. A journal of ours can be large, and several can be there: it is read again
/// when its turn comes.
#[derive(Debug)]
pub(super) enum Content {
    /// Nothing that can be acted on.
    Nothing,
    /// A whole journal of ours.
    Ours,
    /// One of OpenKB's, every path of it inside this KB.
    Foreign(foreign::Rollback),
}

impl Leftover {
    /// Reads the whole journal of ours that was found.
    ///
    /// # Errors
    /// If it is not there any more.
    pub(super) fn journal(&self, root: &KbRoot) -> Result<Journal, KbError> {
        let path = self.path()?;
        let id = match self.report.place {
            Place::Quarantine => quarantine::id_of(&self.name),
            Place::Journal | Place::OpenKb => &self.name,
        };
        match Journal::find_in(root, &path, id)? {
            Found::Active(journal) => Ok(journal),
            Found::Unfinished | Found::Malformed(_) => {
                let error = std::io::Error::other("it changed since it was looked at");
                Err(PathError::new("read", root.join(&path), error).into())
            }
        }
    }

    /// Where it lies.
    pub(super) fn path(&self) -> Result<KbPath, KbError> {
        let dir = match self.report.place {
            Place::Journal => layout::journal_dir(),
            Place::Quarantine => layout::quarantine_dir(),
            Place::OpenKb => layout::openkb_journal_dir(),
        };
        Ok(dir.join(&self.name)?)
    }
}

/// What the registry says of mutations.
#[derive(Debug)]
pub(super) struct Judge<'a>(Result<&'a Reader, String>);

/// What the registry says of one mutation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Committed,
    Uncommitted,
    Undecidable(String),
}

impl<'a> Judge<'a> {
    /// A judge who asks the registry that was opened, if there is a sound one.
    pub(super) fn of<R>(
        opened: &'a Result<Option<R>, KbError>,
        reader: impl FnOnce(&'a R) -> &'a Reader,
    ) -> Self {
        Self(match opened {
            Ok(Some(registry)) => Ok(reader(registry)),
            Ok(None) => Err("the registry is missing".to_owned()),
            Err(error) => Err(damaged(error)),
        })
    }

    /// Whether a mutation is committed.
    ///
    /// # Errors
    /// If the registry cannot be asked now.
    pub(super) fn verdict(&self, journal: &Journal) -> Result<Verdict, KbError> {
        let reader = match &self.0 {
            Ok(reader) => reader,
            Err(reason) => return Ok(Verdict::Undecidable(reason.clone())),
        };
        let asked = reader.meta_text("uuid").and_then(|uuid| {
            if uuid.as_ref() != Some(&journal.registry) {
                let reason = "it belongs to another registry".to_owned();
                return Ok(Verdict::Undecidable(reason));
            }
            if reader.has_mutation(&journal.id)? {
                return Ok(Verdict::Committed);
            }
            if journal.has_mark {
                let reason = "it was committed, and this registry does not know of it".to_owned();
                return Ok(Verdict::Undecidable(reason));
            }
            // A journal is a barrier: while one waits nothing is committed. Where the epoch is another
            // one all the same, the registry is not the one of then, or the lock did not hold.
            let now = reader.meta_integer("epoch")?;
            Ok(match journal.epoch() {
                Some(then) if then == now => Verdict::Uncommitted,
                Some(then) if then < now => Verdict::Undecidable(format!(
                    "the registry moved on meanwhile, from epoch {then} to {now}"
                )),
                Some(then) => Verdict::Undecidable(format!(
                    "the registry is older than the change, of epoch {now} where it began at {then}"
                )),
                None => Verdict::Undecidable("its id tells no epoch".to_owned()),
            })
        });
        match asked {
            Err(error) if is_damage(&error) => Ok(Verdict::Undecidable(damaged(&error))),
            asked => asked,
        }
    }
}

/// Whether an error says that the registry is damaged, or none of ours, rather than that it could
/// not be asked just now.
fn is_damage(error: &KbError) -> bool {
    use rusqlite::ErrorCode;
    match error {
        KbError::RegistryInvalid { .. } => true,
        KbError::Registry { source, .. } => matches!(
            source.sqlite_error_code(),
            None | Some(
                ErrorCode::DatabaseCorrupt
                    | ErrorCode::NotADatabase
                    | ErrorCode::Unknown
                    | ErrorCode::TypeMismatch
            )
        ),
        _ => false,
    }
}

/// Passes on what was opened, and the error of a damaged registry; any other error is the caller's.
pub(super) fn only_damage<R>(
    opened: Result<Option<R>, KbError>,
) -> Result<Result<Option<R>, KbError>, KbError> {
    match opened {
        Err(error) if !is_damage(&error) => Err(error),
        opened => Ok(opened),
    }
}

/// Why a damaged registry decides nothing.
fn damaged(error: &KbError) -> String {
    let cause = match error {
        KbError::RegistryInvalid { reason, .. } => reason.clone(),
        KbError::Registry { source, .. } => source.to_string(),
        other => other.to_string(),
    };
    format!("the registry is damaged: {cause}")
}

/// All journals that are not settled: ours newest first, then those in quarantine, then OpenKB's.
///
/// # Errors
/// If the KB cannot be read.
pub fn journals(root: &KbRoot) -> Result<Vec<JournalReport>, KbError> {
    let opened = only_damage(Reader::open(root))?;
    let found = scan(root, &Judge::of(&opened, |reader| reader))?;
    Ok(found.into_iter().map(|leftover| leftover.report).collect())
}

/// All journals that are not settled, in the order of [`journals`]; OpenKB's newest first.
///
/// # Errors
/// If the KB cannot be read, or there are more than crashes leave.
pub(super) fn scan(root: &KbRoot, judge: &Judge<'_>) -> Result<Vec<Leftover>, KbError> {
    let mut found = Vec::new();
    let mut tally = Tally::default();
    for id in Journal::ids(root)? {
        let state = Journal::find(root, &id)?;
        tally.count(&state, &layout::journal_dir())?;
        found.push(ours(root, judge, Place::Journal, id, state)?);
    }
    for name in Journal::quarantined(root)? {
        let state = in_quarantine(root, &name)?;
        tally.count(&state, &layout::quarantine_dir())?;
        found.push(ours(root, judge, Place::Quarantine, name, state)?);
    }
    for journal in foreign::unsettled(root)? {
        found.push(of_foreign(journal));
    }
    Ok(found)
}

/// Looks into quarantine; whatever is wrong there is told, not refused.
pub(super) fn in_quarantine(root: &KbRoot, name: &str) -> Result<Found, KbError> {
    // A name that cannot be opened is a barrier all the same, and is shown.
    let dir = match layout::quarantine_dir().join(name) {
        Ok(dir) => dir,
        Err(error) => return Ok(Found::Malformed(error.to_string())),
    };
    match Journal::find_in(root, &dir, quarantine::id_of(name)) {
        Ok(Found::Unfinished) => Ok(Found::Malformed("it has no `journal.json`".to_owned())),
        Err(KbError::Path(error)) if error.source.kind() == std::io::ErrorKind::NotADirectory => {
            Ok(Found::Malformed("it is no directory".to_owned()))
        }
        other => other,
    }
}

fn ours(
    root: &KbRoot,
    judge: &Judge<'_>,
    place: Place,
    name: String,
    found: Found,
) -> Result<Leftover, KbError> {
    let mut report = JournalReport {
        id: SafeLine::new(&name).to_string(),
        place,
        state: JournalState::Unfinished,
        operation: String::new(),
        started: String::new(),
        paths: Vec::new(),
        attempts: 0,
    };
    let mut content = Content::Nothing;
    match found {
        Found::Unfinished => {}
        Found::Malformed(reason) => {
            let reason = SafeLine::new(&reason).to_string();
            report.state = JournalState::Malformed { reason };
        }
        Found::Active(journal) => {
            report.state = match judge.verdict(&journal)? {
                Verdict::Committed => JournalState::Committed,
                Verdict::Uncommitted => JournalState::Active,
                Verdict::Undecidable(reason) => JournalState::Undecidable {
                    reason: SafeLine::new(&reason).to_string(),
                },
            };
            report.operation = word(&journal.operation);
            report.started = word(&journal.started);
            let paths = journal.entries.iter().map(|entry| entry.path.clone());
            report.paths = paths.collect();
            content = Content::Ours;
        }
    }
    let mut leftover = Leftover {
        name,
        report,
        content,
    };
    if let Ok(dir) = leftover.path() {
        leftover.report.attempts = quarantine::attempts(root, &dir);
    }
    Ok(leftover)
}

fn of_foreign(journal: foreign::Foreign) -> Leftover {
    let mut content = Content::Nothing;
    let mut paths = Vec::new();
    let state = match journal.verdict {
        ForeignVerdict::Malformed(reason) => JournalState::Malformed {
            reason: SafeLine::new(&reason).to_string(),
        },
        ForeignVerdict::Outside(path) => JournalState::ForeignOutside {
            path: SafeLine::new(&path).to_string(),
        },
        ForeignVerdict::Inside(rollback) => {
            paths = rollback.targets();
            content = Content::Foreign(rollback);
            match journal.doubt {
                None => JournalState::Foreign,
                Some(reason) => JournalState::ForeignUncertain {
                    reason: SafeLine::new(&reason).to_string(),
                },
            }
        }
    };
    let stem = journal.name.strip_suffix(".json").unwrap_or(&journal.name);
    let report = JournalReport {
        id: SafeLine::new(stem).to_string(),
        place: Place::OpenKb,
        state,
        operation: word(&journal.operation),
        started: String::new(),
        paths,
        attempts: journal.attempts,
    };
    Leftover {
        name: journal.name,
        report,
        content,
    }
}

fn word(text: &str) -> String {
    SafeLine::with_max(text, WORD_CHARS_MAX).to_string()
}
