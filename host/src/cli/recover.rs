//! `recover`: finishes or undoes what a crash left behind, and tells of the rest what to do.

use std::sync::Arc;

use serde::Serialize;

use super::args::RecoverArgs;
use super::error::{CommandError, ErrorReport};
use super::exit::Exit;
use super::settings::Settings;
use super::signals::Signals;
use super::ui::Ui;
use crate::kb::config::Config;
use crate::kb::registry::Catalogue;
use crate::kb::{KbRoot, layout, shell_word as word};
use crate::mutation::{
    self, AcquireError, JournalReport, JournalState, OwnerOptions, Place, RecoverAction,
    RecoverRequest, Recovered,
};

#[derive(Serialize)]
struct Answer<'a> {
    dry_run: bool,
    journals: Vec<Entry<'a>>,
    /// There was a registry and there is none: a rebuild comes next.
    registry_lost: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    recovered: &'a Recovered,
    error: Option<ErrorReport>,
    hints: Vec<String>,
}

/// Settles what can be settled, does what was asked, and tells of each journal what it is and what
/// became of it.
///
/// # Errors
/// If there is no KB, the lock is not to be had, or an id means nothing or several.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &RecoverArgs,
) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    let request = request(args);
    let found = if args.dry_run {
        mutation::preview(&root, &request)?
    } else {
        let signals = Signals::install().map_err(CommandError::Signals)?;
        let options = OwnerOptions {
            lock: settings.lock(args.lock, &signals.cancel),
            clock: settings.clock.clone(),
            // Settings that cannot be read must not stand in the way of recovery, which needs none.
            config: Config::default(),
            command: "recover",
        };
        mutation::recover(&root, &options, &request)?
    };
    if found.is_empty() {
        // A damaged registry is what whoever recovers wants to hear of, and what to run.
        Catalogue::open(&root)?;
    }
    let is_lost = mutation::is_registry_lost(&root)?;
    // Whoever settled one journal by hand is on the way to the rebuild.
    let is_trouble = is_lost && matches!(request, RecoverRequest::Drain);
    let is_done = !is_trouble && found.iter().all(Recovered::is_settled);
    let entries: Vec<Entry<'_>> = found.iter().map(entry).collect();
    if ui.json() {
        ui.answer(Answer {
            dry_run: args.dry_run,
            journals: entries,
            registry_lost: is_lost,
        });
    } else {
        if !(is_trouble && entries.is_empty()) {
            tell(ui, &entries, args.dry_run);
        }
        let lost = CommandError::report_acquire(&AcquireError::lost_registry());
        if is_trouble {
            ui.error(&lost);
        } else if let (true, Some(hint)) = (is_lost, &lost.hint) {
            ui.hint(hint);
        }
    }
    Ok(if is_done { Exit::Done } else { Exit::Recovery })
}

fn request(args: &RecoverArgs) -> RecoverRequest {
    match (&args.accept, &args.undo) {
        (Some(id), _) => RecoverRequest::Accept(id.clone()),
        (None, Some(id)) => RecoverRequest::Undo(id.clone()),
        (None, None) => RecoverRequest::Drain,
    }
}

fn entry(recovered: &Recovered) -> Entry<'_> {
    Entry {
        error: recovered.error.as_ref().map(CommandError::report_acquire),
        hints: hints(recovered),
        recovered,
    }
}

fn tell(ui: &mut Ui, entries: &[Entry<'_>], is_dry_run: bool) {
    if entries.is_empty() {
        ui.line("Nothing to recover: no change was left unfinished");
        return;
    }
    for Entry {
        recovered,
        error,
        hints,
    } in entries
    {
        ui.line(&line(recovered, is_dry_run));
        for warning in &recovered.warnings {
            ui.warning(warning.as_str());
        }
        if let Some(error) = error {
            ui.error(&ErrorReport {
                // The hints below say the same for this journal.
                hint: error.hint.clone().filter(|_| hints.is_empty()),
                ..error.clone()
            });
        }
        for hint in hints {
            ui.hint(hint);
        }
    }
    let left = entries
        .iter()
        .filter(|entry| !entry.recovered.is_settled())
        .count();
    if is_dry_run {
        ui.note("A command that is at work now has a journal too: its change shows here as well");
    }
    let verb = if is_dry_run {
        "would be settled"
    } else {
        "settled"
    };
    let settled = entries.len() - left;
    ui.note(&match left {
        0 => format!("{settled} {verb}, nothing is left"),
        _ => format!("{settled} {verb}, {left} in the way of every change"),
    });
}

/// One journal: what became of it, which one, what it is, why.
fn line(recovered: &Recovered, is_dry_run: bool) -> String {
    let report = &recovered.report;
    let would = match recovered.action {
        RecoverAction::Untouched | RecoverAction::Failed => "",
        _ if is_dry_run => "would be ",
        _ => "",
    };
    format!(
        "{would}{}  {} ({}): {}",
        outcome(recovered),
        report.id,
        description(report),
        explanation(recovered)
    )
}

/// What became of it, in a word or two.
fn outcome(recovered: &Recovered) -> &'static str {
    match recovered.action {
        RecoverAction::Removed => "removed",
        RecoverAction::CleanedUp => "cleaned up",
        RecoverAction::Undone => "undone",
        RecoverAction::Accepted => "accepted",
        RecoverAction::Quarantined => "put into quarantine",
        RecoverAction::Failed => "not undone",
        RecoverAction::Untouched => match (&recovered.report.place, &recovered.report.state) {
            (Place::Quarantine, _) => "in quarantine",
            (_, JournalState::Undecidable { .. } | JournalState::ForeignUncertain { .. }) => {
                "undecidable"
            }
            (_, JournalState::ForeignOutside { .. }) => "refused",
            (_, JournalState::Malformed { .. }) => "malformed",
            _ => "waiting",
        },
    }
}

/// Whose it is, when it began, how much it touches.
fn description(report: &JournalReport) -> String {
    let mut parts = Vec::new();
    let operation = report.operation.as_str();
    match (report.place, operation) {
        (Place::OpenKb, "") => parts.push("OpenKB's".to_owned()),
        (Place::OpenKb, operation) => parts.push(format!("OpenKB's {operation}")),
        (_, "") => {}
        (_, operation) => parts.push(operation.to_owned()),
    }
    if !report.started.is_empty() {
        parts.push(format!("begun {}", report.started));
    }
    match report.paths.len() {
        0 => {}
        1 => parts.push("1 path".to_owned()),
        count => parts.push(format!("{count} paths")),
    }
    match parts.is_empty() {
        true => "no readable journal".to_owned(),
        false => parts.join(", "),
    }
}

fn explanation(recovered: &Recovered) -> String {
    let kept = || {
        let path = recovered.kept_at.as_ref();
        path.map(|path| format!("; its journal is kept as `{path}`"))
            .unwrap_or_default()
    };
    match recovered.action {
        RecoverAction::Removed => "it had not changed anything yet".to_owned(),
        RecoverAction::CleanedUp => "its change is whole and stays".to_owned(),
        RecoverAction::Undone => "the knowledge base is as it was before".to_owned(),
        RecoverAction::Accepted => {
            format!("the knowledge base is taken as it is now{}", kept())
        }
        RecoverAction::Failed => "it is still there, and nothing is changed on top".to_owned(),
        RecoverAction::Quarantined | RecoverAction::Untouched => {
            format!("{}{}", reason(&recovered.report), kept())
        }
    }
}

/// Why a journal is not settled.
fn reason(report: &JournalReport) -> String {
    match &report.state {
        JournalState::Undecidable { reason } | JournalState::ForeignUncertain { reason } => {
            format!("{reason}; nothing was touched")
        }
        JournalState::Malformed { reason } => {
            format!("it is no valid journal: {reason}; nothing was touched")
        }
        JournalState::ForeignOutside { path } => format!(
            "it would restore or delete `{path}`, where no change of this knowledge base writes; \
             nothing was touched"
        ),
        JournalState::Active if report.place == Place::Quarantine => {
            format!("undoing it failed {} times", report.attempts)
        }
        JournalState::Committed => "its change is whole".to_owned(),
        JournalState::Active | JournalState::Foreign => {
            "a newer one has to be settled first".to_owned()
        }
        JournalState::Unfinished => "it had not changed anything yet".to_owned(),
    }
}

/// What to type next about a journal.
fn hints(recovered: &Recovered) -> Vec<String> {
    match recovered.action {
        RecoverAction::Accepted => {
            let doctor = "`kbhost doctor` tells where pages and registry do not agree now";
            return vec![doctor.to_owned()];
        }
        _ if recovered.is_settled() => return Vec::new(),
        _ => {}
    }
    let report = &recovered.report;
    let id = word(&report.id);
    let accept = format!(
        "to keep the pages as they are now: `kbhost recover --accept {id}`; the journal is kept in \
         `{}`, nothing of it is lost",
        layout::accepted_dir()
    );
    let undo = |how: &str| {
        format!(
            "{how}: `kbhost recover --undo {id}`; edits made since are kept in `{}`",
            layout::conflicts_dir()
        )
    };
    if let Some(error) = &recovered.error
        && recovered.action == RecoverAction::Failed
    {
        let told = CommandError::report_acquire(error);
        let mut hints = Vec::from_iter(told.hint);
        // What passes by itself, or with some room on the disk, is no reason to give a change up.
        if !matches!(told.code, "disk-full" | "read-only") {
            hints.push(format!("if that cannot be repaired, or {accept}"));
        }
        return hints;
    }
    match (&report.state, report.place) {
        (JournalState::Undecidable { .. }, _) => vec![
            format!(
                "if the right registry is at hand, put it back as `{}` and run `kbhost recover` \
                 again: it decides by itself",
                layout::registry_db()
            ),
            undo("else, to undo the change as if it had never begun"),
            accept,
            "after that, `kbhost registry rebuild` makes a lost or damaged registry anew"
                .to_owned(),
        ],
        (JournalState::ForeignUncertain { .. }, _) => vec![
            undo(
                "to undo it, and with it what OpenKB did since to its registry and the same pages \
                 (of several the newest first)",
            ),
            accept,
        ],
        (JournalState::Active, Place::Quarantine) => {
            vec![undo("to try again, once the cause is gone"), accept]
        }
        (JournalState::Active | JournalState::Foreign | JournalState::Unfinished, _) => Vec::new(),
        (JournalState::Committed | JournalState::Malformed { .. }, _)
        | (JournalState::ForeignOutside { .. }, _) => vec![accept],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::KbPath;

    fn recovered(place: Place, state: JournalState, action: RecoverAction) -> Recovered {
        Recovered {
            report: JournalReport {
                id: "000000000002-0badcafe".to_owned(),
                place,
                state,
                operation: "add".to_owned(),
                started: "2025-06-15T15:06:40Z".to_owned(),
                paths: vec![layout::index_page(), layout::log_page()],
                attempts: 5,
            },
            action,
            kept_at: None,
            warnings: Vec::new(),
            error: None,
        }
    }

    #[test]
    fn a_line_says_what_became_of_which() {
        let check = |place, state, action, is_dry_run, expected: &str| {
            assert_eq!(line(&recovered(place, state, action), is_dry_run), expected);
        };
        check(
            Place::Journal,
            JournalState::Active,
            RecoverAction::Undone,
            false,
            "undone  000000000002-0badcafe (add, begun 2025-06-15T15:06:40Z, 2 paths): the \
             knowledge base is as it was before",
        );
        check(
            Place::OpenKb,
            JournalState::Foreign,
            RecoverAction::Undone,
            true,
            "would be undone  000000000002-0badcafe (OpenKB's add, begun 2025-06-15T15:06:40Z, 2 \
             paths): the knowledge base is as it was before",
        );
        check(
            Place::Quarantine,
            JournalState::Active,
            RecoverAction::Untouched,
            false,
            "in quarantine  000000000002-0badcafe (add, begun 2025-06-15T15:06:40Z, 2 paths): \
             undoing it failed 5 times",
        );
    }

    #[test]
    fn what_is_left_comes_with_the_commands() {
        let check = |place, state, action, expected: &[&str]| {
            let hints = hints(&recovered(place, state, action));
            assert_eq!(hints.len(), expected.len(), "{hints:?}");
            for (hint, expected) in hints.iter().zip(expected) {
                assert!(hint.contains(expected), "`{hint}` lacks `{expected}`");
            }
        };
        let reason = || "the registry is missing".to_owned();
        let undecidable = JournalState::Undecidable { reason: reason() };
        let (undo, accept) = (
            "`kbhost recover --undo 000000000002-0badcafe`",
            "`kbhost recover --accept 000000000002-0badcafe`",
        );
        check(
            Place::Journal,
            undecidable,
            RecoverAction::Untouched,
            &["registry.db", undo, accept, "`kbhost registry rebuild`"],
        );
        check(
            Place::Quarantine,
            JournalState::Active,
            RecoverAction::Untouched,
            &[undo, accept],
        );
        check(
            Place::Quarantine,
            JournalState::Malformed { reason: reason() },
            RecoverAction::Quarantined,
            &[accept],
        );
        check(
            Place::Journal,
            JournalState::Active,
            RecoverAction::Undone,
            &[],
        );
    }

    #[test]
    fn json_shape() {
        let mut failed = recovered(Place::Journal, JournalState::Active, RecoverAction::Failed);
        failed.error = Some(AcquireError::Nested);
        failed.report.paths = vec![KbPath::fixed("raw/a.md")];
        let answer = Answer {
            dry_run: false,
            journals: vec![entry(&failed)],
            registry_lost: false,
        };
        let value = serde_json::to_value(&answer).unwrap();
        let journal = &value["journals"][0];
        for (field, expected) in [
            ("id", "000000000002-0badcafe"),
            ("place", "journal"),
            ("state", "active"),
            ("operation", "add"),
            ("action", "failed"),
        ] {
            assert_eq!(journal[field], expected, "{field}");
        }
        assert_eq!(journal["paths"][0], "raw/a.md");
        assert_eq!(journal["attempts"], 5);
        assert_eq!(journal["error"]["code"], "bug");
    }
}
