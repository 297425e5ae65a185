//! Errors of reading a KB.

use std::io;
use std::path::PathBuf;

use super::{KbPath, KbPathError};

/// An I/O error with the path it happened on.
#[derive(Debug, thiserror::Error)]
#[error("{action} `{}`", path.display())]
pub struct PathError {
    /// What was tried, as a verb: `read`, `open`, `rename`.
    pub action: &'static str,
    /// The path as the user would name it.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl PathError {
    /// Joins an action, a path and the error.
    pub fn new(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            action,
            path: path.into(),
            source: source.into(),
        }
    }
}

/// Why a KB, or something in it, could not be read.
#[derive(Debug, thiserror::Error)]
pub enum KbError {
    /// No `.openkb` where one was named or anywhere above.
    #[error("find a knowledge base at `{}`", .0.display())]
    NotAKb(PathBuf),
    /// A KB found by walking up that belongs to another user: its settings would steer our run.
    #[error("use the knowledge base `{}`, which belongs to another user", .0.display())]
    ForeignOwner(PathBuf),
    /// An I/O error.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A path from a registry, a journal or a name that is none.
    #[error("accept a path of the knowledge base")]
    InvalidPath(#[from] KbPathError),
    /// A symbolic link where a plain file or directory of the KB belongs.
    #[error("open `{0}`: a symbolic link is in the way")]
    Symlink(KbPath),
    /// `config.yaml` is no YAML, or a value is out of range.
    #[error("read {} of `{}`: {reason}", setting(key), path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The key; empty if it is the file as a whole.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The registry cannot be read.
    #[error("read the registry `{}`", path.display())]
    Registry {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The search index cannot be read. It is derived: the next commit builds it anew.
    #[error("read the search index `{}`", path.display())]
    SearchIndex {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<rusqlite::Error>,
    },
    /// The registry holds what it cannot hold.
    #[error("trust the registry `{}`: {reason}", path.display())]
    RegistryInvalid {
        /// The database.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A directory of journals holds more than any number of crashes leaves.
    #[error("read the journals in `{0}`: there are more, or larger ones, than this program makes")]
    TooManyJournals(KbPath),
    /// OpenKB's registry cannot be understood.
    #[error("read `{}` as OpenKB's registry: {reason}", path.display())]
    HashesJson {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

fn setting(key: &str) -> String {
    match key {
        "" => "the settings".to_owned(),
        key => format!("the setting `{key}`"),
    }
}
