//! Looks for damage in a KB. Reads everything, writes nothing; each finding names the command that
//! repairs it or shows more.
//!
//! What is looked at: journals, the registry by itself, registry and files both ways with digests,
//! the links of the wiki, and what commands that died left behind.

mod files;
mod journals;
mod leftovers;
mod links;
mod registry;

use std::sync::Arc;

use serde::Serialize;

use crate::kb::{KbError, KbRoot, SafeLine, layout, shell_word};

/// Findings of one kind beyond this many are counted, not listed: whoever has a thousand has one.
const ALIKE_MAX: usize = 100;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Something is lost or cannot be used.
    Error,
    /// Something is not as it should be; nothing is lost.
    Warning,
    /// Nothing is wrong; somebody may want to know.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The kind of finding, a stable word for scripts.
    pub code: &'static str,
    /// What it is about: a path of the KB, a document, a journal.
    pub subject: SafeLine,
    /// What is wrong with it.
    pub message: SafeLine,
    /// What to run.
    pub command: String,
}

/// What an examination found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Registered documents.
    pub documents: u64,
    /// Files that were looked at.
    pub files: u64,
    /// The findings: errors first, else in the order in which the KB was walked.
    pub findings: Vec<Finding>,
    /// Findings that are not listed because there are too many of their kind: kind, number.
    pub more: Vec<(&'static str, u64)>,
    /// How this program is called on this KB.
    #[serde(skip)]
    pub(crate) program: String,
}

impl Report {
    /// How many findings, listed or not, are worse than a note.
    #[must_use]
    pub fn troubles(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity < Severity::Note)
            .count()
    }

    /// A command of this program.
    fn kbhost(&self, words: &str) -> String {
        format!("{} {words}", self.program)
    }

    fn has(&self, code: &str) -> bool {
        self.findings.iter().any(|finding| finding.code == code)
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        subject: impl AsRef<str>,
        message: impl AsRef<str>,
        command: impl Into<String>,
    ) {
        let alike = self.findings.iter().filter(|other| other.code == code);
        if alike.count() >= ALIKE_MAX {
            match self.more.iter_mut().find(|(of, _)| *of == code) {
                Some((_, count)) => *count += 1,
                None => self.more.push((code, 1)),
            }
            return;
        }
        self.findings.push(Finding {
            severity,
            code,
            subject: SafeLine::with_max(subject.as_ref(), 300),
            message: SafeLine::with_max(message.as_ref(), 500),
            command: command.into(),
        });
    }
}

/// Examines a KB. Whoever calls holds the shared lock, or tells that a command at work may be what
/// was found. `program` is how this program is to be called on this KB, in the findings' commands.
///
/// # Errors
/// If a directory of the KB cannot be read; damage is a finding, not an error.
pub fn examine(root: &Arc<KbRoot>, program: &str) -> Result<Report, KbError> {
    let mut report = Report {
        program: program.to_owned(),
        ..Report::default()
    };
    let unsettled = journals::examine(root, &mut report)?;
    let registry = registry::examine(root, &mut report)?;
    let tree = files::examine(root, registry.as_ref(), &unsettled, &mut report)?;
    if let Some(registry) = &registry {
        registry::exchange(registry, &mut report);
    }
    links::examine(root, registry.as_ref(), &tree, &mut report)?;
    if let Err(error) = leftovers::examine(root, &mut report) {
        // What is in the way there must not hide what was found so far.
        let own = layout::own_dir();
        let command = format!("ls -l {}", shell_word(root.join(&own)));
        let message = registry::chain(&error);
        report.add(
            Severity::Error,
            "unreadable",
            own.as_str(),
            message,
            command,
        );
    }
    report.findings.sort_by_key(|finding| finding.severity);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_of_one_kind_are_bounded_and_errors_come_first() {
        let mut report = Report::default();
        for n in 0..ALIKE_MAX + 3 {
            report.add(Severity::Note, "edited", n.to_string(), "m", "c");
        }
        report.add(Severity::Error, "lost", "\x1b[2Jx", "m", "c");
        assert_eq!(report.findings.len(), ALIKE_MAX + 1);
        assert_eq!(report.more, [("edited", 3)]);
        assert_eq!(report.troubles(), 1);
        assert_eq!(report.findings.last().unwrap().subject.as_str(), "[2Jx");
    }
}
