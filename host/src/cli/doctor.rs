//! `doctor`: looks for damage; each finding names the command that repairs it.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::{Style, one_line};
use super::ui::Ui;
use crate::doctor::{self, Finding, Report, Severity};
use crate::kb::KbRoot;
use crate::mutation::{AcquireError, LockOptions, ReadLock};

/// Commits take milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Answer<'a> {
    path: String,
    #[serde(flatten)]
    report: &'a Report,
    /// Another command is at work: what was found may be its unfinished work.
    busy: bool,
}

/// Examines the knowledge base. Changes nothing.
///
/// # Errors
/// If there is no KB or a part of it cannot be read.
pub(super) fn run(ui: &mut Ui, settings: &Settings) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    // Whoever looks for damage looks also while a command hangs.
    let lock = match ReadLock::take(&root, &LockOptions::waiting(LOCK_WAIT)) {
        Ok(lock) => Some(lock),
        Err(AcquireError::Busy { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    let busy = lock.is_none();
    let report = doctor::examine(&root, &settings.program(&root))?;
    // A terminal may be slow: nobody waits for it.
    drop(lock);
    if ui.json() {
        ui.answer(Answer {
            path: root.path().display().to_string(),
            report: &report,
            busy,
        });
    } else {
        let colour = ui.stdout().colour;
        for finding in &report.findings {
            for line in lines(finding, colour) {
                ui.line(&line);
            }
        }
        for (code, count) in &report.more {
            ui.line(&format!("and {count} more of `{code}`"));
        }
        if busy {
            ui.note("Another command is at work: what was found may be its unfinished work.");
        }
        ui.note(&summary(&report));
    }
    Ok(match report.troubles() {
        0 => Exit::Done,
        _ => Exit::Findings,
    })
}

/// What was found, and under it what to run.
fn lines(finding: &Finding, colour: bool) -> [String; 2] {
    let (style, label) = match finding.severity {
        Severity::Error => (Style::Error, "error"),
        Severity::Warning => (Style::Warning, "warning"),
        Severity::Note => (Style::Hint, "note"),
    };
    [
        format!(
            "{}: {}: {}",
            style.paint(label, colour),
            finding.subject,
            finding.message
        ),
        format!("    {}", one_line(&finding.command)),
    ]
}

fn summary(report: &Report) -> String {
    let count = |severity| {
        report
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let plural = |count: usize, what: &str| match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    };
    let looked = format!(
        "{} and {} looked at",
        plural(
            usize::try_from(report.documents).unwrap_or(usize::MAX),
            "document"
        ),
        plural(usize::try_from(report.files).unwrap_or(usize::MAX), "file")
    );
    if report.findings.is_empty() {
        return format!("Nothing is wrong: {looked}.");
    }
    format!(
        "{}, {}, {}; {looked}.",
        plural(count(Severity::Error), "error"),
        plural(count(Severity::Warning), "warning"),
        plural(count(Severity::Note), "note")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::SafeLine;

    #[test]
    fn a_finding_is_what_and_what_to_run() {
        let finding = Finding {
            severity: Severity::Error,
            code: "file-missing",
            subject: SafeLine::new("wiki/sources/a.md"),
            message: SafeLine::new("it is missing"),
            command: "kbhost show a".to_owned(),
        };
        assert_eq!(
            lines(&finding, false),
            [
                "error: wiki/sources/a.md: it is missing",
                "    kbhost show a"
            ]
        );
        let mut report = Report {
            documents: 1,
            files: 5,
            ..Report::default()
        };
        assert_eq!(
            summary(&report),
            "Nothing is wrong: 1 document and 5 files looked at."
        );
        report.findings.push(finding);
        assert_eq!(
            summary(&report),
            "1 error, 0 warnings, 0 notes; 1 document and 5 files looked at."
        );
    }
}
