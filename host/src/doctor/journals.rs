//! Journals that are not settled.

use std::collections::BTreeSet;

use super::{Report, Severity};
use crate::kb::{KbError, KbPath, KbRoot};
use crate::mutation::{JournalReport, JournalState, Place, journals};

/// Tells of each, and returns the paths they speak of: what is wrong there is the unfinished change,
/// and nobody can tell yet what it will be.
///
/// # Errors
/// If the KB cannot be read.
pub(super) fn examine(root: &KbRoot, report: &mut Report) -> Result<BTreeSet<KbPath>, KbError> {
    let mut paths = BTreeSet::new();
    let found = match journals(root) {
        Err(error @ KbError::TooManyJournals(_)) => {
            let message = format!("kbhost failed to {error}");
            let command = "kbhost recover".to_owned();
            report.add(
                Severity::Error,
                "journals-too-many",
                "journals",
                message,
                command,
            );
            return Ok(paths);
        }
        found => found?,
    };
    for journal in found {
        tell(&journal, report);
        paths.extend(journal.paths);
    }
    Ok(paths)
}

fn tell(journal: &JournalReport, report: &mut Report) {
    use Severity::{Error, Note, Warning};
    let id = journal.id.as_str();
    let what = match journal.operation.as_str() {
        "" => "a change".to_owned(),
        operation => format!("`{operation}`"),
    };
    // It explains each, and offers the ways out: to undo it, or to take the pages as they are.
    let recover = report.kbhost("recover");
    let (severity, code, message, command) = match (&journal.state, journal.place) {
        (_, Place::Quarantine) => (
            Error,
            "journal-quarantined",
            format!("{what} could not be undone; nothing can be changed until somebody decides"),
            recover,
        ),
        (JournalState::Undecidable { reason }, _) => (
            Error,
            "journal-undecidable",
            format!("nobody can tell whether {what} was finished: {reason}"),
            recover,
        ),
        (JournalState::Malformed { reason }, _) => (
            Error,
            "journal-malformed",
            format!("it is no journal: {reason}"),
            recover,
        ),
        (JournalState::ForeignOutside { path }, _) => (
            Error,
            "journal-outside",
            format!("OpenKB's journal speaks of `{path}`, outside this knowledge base"),
            recover,
        ),
        (JournalState::ForeignUncertain { reason }, _) => (
            Error,
            "journal-openkb",
            format!("OpenKB left {what} unfinished, and a person has to decide: {reason}"),
            recover,
        ),
        (JournalState::Foreign, _) => (
            Warning,
            "journal-openkb",
            format!("OpenKB left {what} unfinished"),
            recover,
        ),
        (JournalState::Active, _) => (
            Warning,
            "journal-active",
            format!(
                "{what} of {} was not finished; it will be undone ({} files)",
                journal.started,
                journal.paths.len()
            ),
            recover,
        ),
        (JournalState::Unfinished | JournalState::Committed, _) => (
            Note,
            "journal-left",
            format!("{what} left its journal; the next change cleans up"),
            recover,
        ),
    };
    report.add(severity, code, id, message, command);
}
