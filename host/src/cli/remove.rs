//! `remove`: documents go, with their pages.
//!
//! Everything that was typed is resolved, and asked about, before the lock is taken: nobody waits
//! behind a question, and a wrong name changes nothing.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::args::RemoveArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::removals::{Document, Reporter, Summary};
use super::settings::Settings;
use super::show::the_one;
use super::signals::Signals;
use super::ui::Ui;
use crate::commit::SerialOwner as _;
use crate::kb::config::Config;
use crate::kb::registry::{Catalogue, DocumentRow};
use crate::kb::{KbRoot, shell_word as word};
use crate::mutation::{
    AcquireError, MutationError, Owner, OwnerOptions, REMOVALS_MAX, Removal, RemovalOutcome,
    preview_removal,
};

/// Names in a question; the lines above it have them all.
const NAMES_MAX: usize = 5;

/// Removes the documents that `args` names.
///
/// # Errors
/// If one of them is none, or several, or nobody said yes: nothing was changed then. What happens
/// to single documents, and trouble on the way, is told and becomes the exit code.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &RemoveArgs,
) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    let config = Config::read(&root)?;
    let rows = resolve(&Catalogue::open(&root)?, &args.documents)?;
    let documents: Vec<Document> = rows.iter().map(|row| document(&root, row)).collect();
    let removals: Vec<Removal> = rows.iter().map(Removal::from).collect();
    if args.dry_run {
        let preview = preview_removal(&root, &removals, args.keep_raw)?;
        Reporter::new(ui, &root, documents, args.keep_raw).preview(preview);
        return Ok(Exit::Done);
    }
    if !args.yes && !confirm(ui, settings, &documents, args.keep_raw)? {
        ui.note("Nothing was removed.");
        return Ok(Exit::Failed);
    }
    let signals = Signals::install().map_err(CommandError::Signals)?;
    let mut owner = Owner::new(
        Arc::clone(&root),
        OwnerOptions {
            lock: settings.lock(args.lock, &signals.cancel),
            clock: settings.clock.clone(),
            command: "remove",
            config,
        },
    );
    let mut reporter = Reporter::new(ui, &root, documents, args.keep_raw);
    let mut stop = None;
    for group in removals.chunks(REMOVALS_MAX) {
        if stop.is_some() || signals.cancel.load(Ordering::SeqCst) {
            break;
        }
        let outcome = owner.remove(group, args.keep_raw);
        stop = tell(&mut reporter, outcome);
    }
    if let Err(error) = owner.finish() {
        reporter.warn(&error.into());
    }
    // A user who ended the wait for the lock knows why.
    let stop = stop
        .filter(|error| !matches!(error, MutationError::Acquire(AcquireError::Cancelled)))
        .map(CommandError::from);
    let summary = reporter.finish(stop.as_ref());
    Ok(exit(&summary, stop.as_ref(), signals.exit()))
}

/// The documents that were typed, each once, in the order in which they were typed.
fn resolve(catalogue: &Catalogue, typed: &[String]) -> Result<Vec<DocumentRow>, CommandError> {
    catalogue.hold()?;
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for query in typed {
        // An empty text is a part of every name: a variable that was not set is no choice.
        let found = match query.trim() {
            "" => Vec::new(),
            _ => catalogue.find(query)?,
        };
        let row = the_one(found, "remove", query)?;
        if seen.insert(row.ordinal) {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// A document as it is told, with the place that it was added from, if that is still a file.
fn document(root: &KbRoot, row: &DocumentRow) -> Document {
    // A key inside the KB is relative to it.
    let original: PathBuf = root.path().join(row.source_key.as_str());
    let inside = row.raw_path.as_ref().map(|raw| root.join(raw));
    // The file in `raw/` goes: it is no copy to come back from.
    let is_there = original.is_file() && Some(&original) != inside.as_ref();
    Document::new(row, is_there.then_some(original))
}

/// Asks whether to go on.
///
/// # Errors
/// If nobody can be asked.
fn confirm(
    ui: &mut Ui,
    settings: &Settings,
    documents: &[Document],
    keep_raw: bool,
) -> Result<bool, CommandError> {
    if !settings.interactive {
        let names: Vec<String> = documents
            .iter()
            .map(|one| word(one.name.as_str()))
            .collect();
        return Err(CommandError::Usage {
            message: format!("remove {}: nobody can be asked", counted(documents.len())),
            hint: format!(
                "to remove without a question: `kbhost remove --yes {}`; `--dry-run` shows what \
                 would go",
                names.join(" ")
            ),
        });
    }
    let lines: Vec<String> = documents.iter().map(|one| one.line(keep_raw)).collect();
    Ok(ui.ask(&lines, &question(documents)))
}

fn question(documents: &[Document]) -> String {
    let mut names: Vec<&str> = documents
        .iter()
        .take(NAMES_MAX)
        .map(|one| one.name.as_str())
        .collect();
    let more = documents.len().saturating_sub(NAMES_MAX);
    let rest = format!("and {more} more");
    if more > 0 {
        names.push(&rest);
    }
    format!(
        "Remove {} ({})?",
        counted(documents.len()),
        names.join(", ")
    )
}

fn counted(documents: usize) -> String {
    match documents {
        1 => "1 document".to_owned(),
        count => format!("{count} documents"),
    }
}

/// Tells what became of a group; returns what stopped it.
fn tell(reporter: &mut Reporter<'_>, outcome: RemovalOutcome) -> Option<MutationError> {
    for verdict in outcome.verdicts {
        reporter.verdict(verdict);
    }
    for warning in &outcome.warnings {
        reporter.warning(warning);
    }
    outcome.stop
}

/// The exit code of a run: trouble of the KB, else a signal that left something undone, else
/// documents that failed.
fn exit(summary: &Summary, stop: Option<&CommandError>, signal: Option<Exit>) -> Exit {
    match (stop, signal) {
        (Some(error), _) => error.exit(),
        (None, Some(signal)) if summary.not_tried > 0 => signal,
        (None, _) if summary.failed > 0 => Exit::Failed,
        (None, _) => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::row;
    use super::*;

    #[test]
    fn a_question_has_few_names() {
        let ask = |names: &[&str]| {
            let documents: Vec<Document> = names
                .iter()
                .map(|name| Document::new(&row(name, "T"), None))
                .collect();
            question(&documents)
        };
        assert_eq!(ask(&["a"]), "Remove 1 document (a)?");
        assert_eq!(ask(&["a", "b"]), "Remove 2 documents (a, b)?");
        assert_eq!(
            ask(&["a", "b", "c", "d", "e", "f", "g"]),
            "Remove 7 documents (a, b, c, d, e, and 2 more)?"
        );
    }

    #[test]
    fn exit_codes_by_weight() {
        let check = |failed, not_tried, stop: Option<MutationError>, signal, expected| {
            let summary = Summary {
                failed,
                not_tried,
                ..Summary::default()
            };
            let stop = stop.map(CommandError::from);
            assert_eq!(exit(&summary, stop.as_ref(), signal), expected);
        };
        let signal = Some(Exit::Signal(15));
        check(0, 0, None, None, Exit::Done);
        check(0, 0, None, signal, Exit::Done);
        check(1, 0, None, signal, Exit::Failed);
        check(1, 2, None, signal, Exit::Signal(15));
        let bug = MutationError::Acquire(AcquireError::Nested);
        check(1, 2, Some(bug), signal, Exit::Bug);
    }
}
