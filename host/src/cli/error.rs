//! Errors of a command and how they read: what failed, on which path, why, and what to do.

use std::error::Error;
use std::io;

use serde::Serialize;

use super::advice::{Advice, advice, of_acquire};
use super::exit::Exit;
use super::password::PasswordError;
use super::terminal::one_line;
use crate::authoring::BuildError;
use crate::egress::EgressError;
use crate::enumerate::EnumerateError;
use crate::kb::tree::NodeId;
use crate::kb::{DocName, KbError, KbPath, PathError, SafeLine};
use crate::mutation::{AcquireError, InitError, MutationError, RecoverError};
use crate::plugin::{JobError, PluginError};
use crate::prepare::{PrepareError, StagingError};
use crate::userdir::trust::TrustError;

/// A chain of causes longer than this is cut.
const CAUSES_MAX: usize = 16;

/// Why a command, or one of its inputs, failed. Each reads behind "failed to …".
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The arguments make no sense together.
    #[error("{message}")]
    Usage {
        /// What failed.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The KB cannot be read.
    #[error(transparent)]
    Kb(#[from] KbError),
    /// No KB could be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The guard was not to be had.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
    /// The KB could not be changed.
    #[error(transparent)]
    Mutation(#[from] MutationError),
    /// Recovery did not do what it was asked.
    #[error(transparent)]
    Recover(#[from] RecoverError),
    /// A component cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// A plugin does not build.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// A path is no input.
    #[error(transparent)]
    Enumerate(#[from] EnumerateError),
    /// Nothing can be staged.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The results of `convert` cannot be written.
    #[error(transparent)]
    Export(StagingError),
    /// Something else on the disk.
    #[error(transparent)]
    Path(#[from] PathError),
    /// No service can be called.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// A KB is not to be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// There is no password to use.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// One input could not be prepared.
    #[error("{}", preparation(.display, .error))]
    Prepare {
        /// The input.
        display: String,
        /// Why.
        error: Box<PrepareError>,
        /// Extensions that some converter takes.
        accepted: Vec<String>,
    },
    /// A service could not be asked.
    #[error("ask the service about {}", one_line(about))]
    Ask {
        /// What about.
        about: String,
        /// Why.
        #[source]
        error: Box<JobError>,
    },
    /// One input could not be committed.
    #[error("add `{display}`")]
    Commit {
        /// The input.
        display: String,
        /// Why.
        #[source]
        error: MutationError,
    },
    /// One document could not be removed.
    #[error("remove `{name}`")]
    Remove {
        /// The document.
        name: DocName,
        /// Why.
        #[source]
        error: MutationError,
    },
    /// No document is meant.
    #[error("find a document for `{0}`")]
    NoDocument(String),
    /// Several documents are meant.
    #[error("choose one of {} documents for `{query}`", .matches.len())]
    Ambiguous {
        /// The command that wants one: `show`.
        command: &'static str,
        /// What was typed.
        query: String,
        /// The documents.
        matches: Vec<DocName>,
    },
    /// A registered document lacks its page.
    #[error("read `{path}`: the page of document `{name}` is missing")]
    NoPage {
        /// The document.
        name: DocName,
        /// Where its page belongs.
        path: KbPath,
    },
    /// A document has no section tree.
    #[error("find a section tree of document `{name}`")]
    NoTree {
        /// The document.
        name: DocName,
        /// Whether it has pages.
        is_long: bool,
    },
    /// A section tree has no such node.
    #[error("find node `{id}` in the section tree of document `{name}`")]
    NoNode {
        /// The document.
        name: DocName,
        /// What was asked for.
        id: NodeId,
    },
    /// A short document is asked for pages.
    #[error("find pages of document `{0}`: it is a short one")]
    NoPages(DocName),
    /// None of the pages asked for is there.
    #[error("find page {pages} of document `{name}`: the last one is {count}")]
    NoSuchPages {
        /// The document.
        name: DocName,
        /// What was asked for.
        pages: String,
        /// How many pages it has.
        count: u32,
    },
    /// The page texts of a document are none.
    #[error("read `{path}`: it holds no page texts: {reason}")]
    PagesInvalid {
        /// Where they lie.
        path: KbPath,
        /// What is wrong.
        reason: SafeLine,
    },
    /// stdout takes nothing more, for another reason than a closed pipe.
    #[error("write to standard output")]
    Stdout(#[source] io::Error),
    /// The system refuses a signal handler.
    #[error("prepare for signals")]
    Signals(#[source] io::Error),
    /// The user ended the command.
    #[error("finish: ended by a signal")]
    Interrupted(Exit),
}

/// A converter's failure names the file and the plugin; the other errors name their path.
fn preparation(display: &str, error: &PrepareError) -> String {
    match error {
        PrepareError::Job(job) => {
            let plugin = &job.plugin;
            format!(
                "convert `{display}` with plugin `{} {}`",
                plugin.name, plugin.version
            )
        }
        error => error.to_string(),
    }
}

/// An error as it is told: safe lines, fixed order of fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ErrorReport {
    /// `failed to …`.
    pub(super) message: String,
    /// Why, and why that, and so on.
    pub(super) causes: Vec<String>,
    /// What to choose from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) choices: Vec<String>,
    /// What to do; names a command or a path.
    pub(super) hint: Option<String>,
    /// The kind of error, a stable word for scripts.
    pub(super) code: &'static str,
    /// What the command ends with if this error ends it.
    pub(super) exit_code: u8,
}

/// The body of a JSON answer that is an error.
#[derive(Debug, Serialize)]
pub(super) struct ErrorBody<'a> {
    /// What went wrong.
    pub(super) error: &'a ErrorReport,
}

impl CommandError {
    /// How the command ends if this error ends it.
    pub(super) fn exit(&self) -> Exit {
        advice(self).exit
    }

    /// The error as it is told.
    pub(super) fn report(&self) -> ErrorReport {
        let advice = advice(self);
        let choices = match self {
            Self::Ambiguous { matches, .. } => matches.iter().map(ToString::to_string).collect(),
            Self::Recover(
                RecoverError::Unknown { known: ids, .. }
                | RecoverError::Ambiguous { matches: ids, .. },
            ) => ids.iter().map(|id| one_line(id)).collect(),
            _ => Vec::new(),
        };
        Self::told(self, &advice, choices, self.causes())
    }

    /// An error of recovery as it is told; the caller keeps it.
    pub(super) fn report_acquire(error: &AcquireError) -> ErrorReport {
        Self::told(error, &of_acquire(error), Vec::new(), chain(error.source()))
    }

    fn told(
        error: &dyn std::fmt::Display,
        advice: &Advice,
        choices: Vec<String>,
        causes: Vec<String>,
    ) -> ErrorReport {
        ErrorReport {
            causes,
            message: one_line(&format!("failed to {error}")),
            choices,
            hint: advice.hint.as_deref().map(one_line),
            code: advice.code,
            exit_code: advice.exit.code(),
        }
    }

    fn causes(&self) -> Vec<String> {
        chain(match self {
            Self::Prepare { error, .. } => error.source(),
            other => other.source(),
        })
    }
}

/// The causes from this one down, as they are told.
fn chain(mut cause: Option<&(dyn Error + 'static)>) -> Vec<String> {
    let mut causes = Vec::new();
    while let Some(error) = cause
        && causes.len() < CAUSES_MAX
    {
        let text = one_line(&error.to_string());
        // SQLite's errors say the same again with a number before it.
        let again = causes
            .last()
            .is_some_and(|last: &String| text.ends_with(last.as_str()));
        if !again {
            causes.push(text);
        }
        cause = error.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::{ContentHash, PluginDigest};
    use crate::plugin::{ConvertError, JobError, JobFailure, PluginIdentity};

    pub(crate) fn job(failure: JobFailure) -> PrepareError {
        PrepareError::Job(Box::new(JobError {
            plugin: PluginIdentity {
                name: "pdf".to_owned(),
                version: "0.1.0".to_owned(),
                digest: PluginDigest(ContentHash::of(b"")),
                world: "kbhost:converter@0.1.0/file-converter".to_owned(),
            },
            failure,
        }))
    }

    fn prepare(error: PrepareError) -> ErrorReport {
        let error = CommandError::Prepare {
            display: "docs/a.pdf".to_owned(),
            error: Box::new(error),
            accepted: vec!["md".to_owned(), "pdf".to_owned()],
        };
        error.report()
    }

    #[test]
    fn a_converters_failure_names_file_and_plugin() {
        let failure = ConvertError::Encrypted("needs a password".to_owned());
        let report = prepare(job(failure.into()));
        assert_eq!(
            report.message,
            "failed to convert `docs/a.pdf` with plugin `pdf 0.1.0`"
        );
        assert_eq!(report.causes, ["encrypted: needs a password"]);
        assert_eq!(report.code, "encrypted");
        assert!(report.hint.unwrap().contains("`--password-file PATH`"));
    }

    #[test]
    fn an_unknown_kind_lists_what_is_taken() {
        let report = prepare(PrepareError::Unsupported("a.xyz".to_owned()));
        assert_eq!(
            report.message,
            "failed to convert `a.xyz`: no converter takes this kind of file"
        );
        assert!(report.causes.is_empty());
        assert!(report.hint.unwrap().contains("md, pdf"));
        assert_eq!(report.exit_code, 1);
    }

    #[test]
    fn io_errors_carry_their_path_and_cause() {
        let error = PathError::new("read", "a\x1b[2J.md", io::Error::other("gone"));
        let report = prepare(error.into());
        assert_eq!(report.message, "failed to read `a [2J.md`");
        assert_eq!(report.causes, ["gone"]);
    }

    #[test]
    fn json_shape() {
        let names = ["a", "ab"].map(|name| DocName::new(name).unwrap());
        let error = CommandError::Ambiguous {
            command: "show",
            query: "a".to_owned(),
            matches: names.to_vec(),
        };
        let report = error.report();
        let body = ErrorBody { error: &report };
        assert_eq!(
            super::super::json::line(Some("show"), body),
            r#"{"kbhost":1,"command":"show","error":{"message":"failed to choose one of 2 documents for `a`","causes":[],"choices":["a","ab"],"hint":"name one of them in full: `kbhost show a`","code":"ambiguous","exit_code":2}}"#
        );
    }
}
