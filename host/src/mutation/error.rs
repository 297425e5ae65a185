//! Why a mutation was not made.

use std::path::PathBuf;
use std::time::Duration;

use crate::kb::{DocName, KbError, PathError, SafeLine, layout};

/// Why the guard was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Somebody else holds the lock.
    #[error("lock the knowledge base `{}`: not free{}{}", path.display(), waited_suffix(.waited), holder_suffix(.holder))]
    Busy {
        /// The KB.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// Who holds it, one safe line.
        holder: Option<String>,
    },
    /// The KB lies on a file system whose locks may hold nobody off.
    #[error("lock the knowledge base `{}`: it lies on a {file_system} file system, {why}", path.display())]
    Medium {
        /// The KB.
        path: PathBuf,
        /// Its kind: `NFS`.
        file_system: &'static str,
        /// What is wrong with its locks.
        why: &'static str,
    },
    /// The user ended the wait.
    #[error("lock the knowledge base: cancelled")]
    Cancelled,
    /// The lock file cannot be opened or locked.
    #[error(transparent)]
    Path(#[from] PathError),
    /// This thread already holds a lock of this KB.
    #[error("lock the knowledge base: this thread already holds its lock")]
    Nested,
    /// The KB cannot be read.
    #[error(transparent)]
    Kb(#[from] KbError),
    /// A step of recovery failed.
    #[error("recover the knowledge base")]
    Recovery(#[source] Box<MutationError>),
    /// Undoing an unfinished change failed: its journal stays, and nothing is committed on top.
    #[error("undo the unfinished change `{journal}`")]
    Undo {
        /// The journal's id, one safe line.
        journal: String,
        /// Why.
        #[source]
        source: Box<MutationError>,
    },
    /// A journal whose fate cannot be decided, or one in quarantine.
    #[error("recover the knowledge base: {reason}")]
    NeedsAttention {
        /// What was found, one safe line.
        reason: String,
        /// What to do, names a command or a path.
        hint: String,
    },
}

fn waited_suffix(waited: &Duration) -> String {
    if waited.is_zero() {
        return String::new();
    }
    format!(" after {waited:?}")
}

fn holder_suffix(holder: &Option<String>) -> String {
    holder
        .as_ref()
        .map(|holder| format!("; {holder}"))
        .unwrap_or_default()
}

/// Why recovery did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// The lock, or the KB cannot be read or changed.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
    /// No unfinished change has this id.
    #[error("find an unfinished change `{id}`")]
    Unknown {
        /// What was typed, one safe line.
        id: SafeLine,
        /// The ids there are.
        known: Vec<String>,
    },
    /// Several ids begin like this.
    #[error("choose one of {} unfinished changes for `{id}`", .matches.len())]
    Ambiguous {
        /// What was typed, one safe line.
        id: SafeLine,
        /// The ids that are meant.
        matches: Vec<String>,
    },
    /// The change cannot be accepted before an older one is settled.
    #[error("accept the change `{id}`: {reason}")]
    NotAcceptable {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// The change cannot be undone, at least not now.
    #[error("undo the change `{id}`: {reason}")]
    NotUndoable {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
        /// What to do.
        hint: String,
    },
}

/// Why a group was not committed.
#[derive(Debug, thiserror::Error)]
pub enum MutationError {
    /// The lock or the recovery.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
    /// Reading the KB.
    #[error(transparent)]
    Kb(#[from] KbError),
    /// A storage operation.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The registry.
    #[error("write the registry")]
    Registry(#[source] rusqlite::Error),
    /// The commit was neither seen to succeed nor to fail; the next command decides.
    #[error("learn whether the commit succeeded")]
    Undecided(#[source] rusqlite::Error),
    /// Rolling back failed: the journal stays and the next command rolls back first.
    #[error("roll back after `{cause}`; the journal `{journal}` is kept")]
    DirtyRollback {
        /// What made the rollback necessary.
        cause: String,
        /// The journal's id.
        journal: String,
        /// Why rolling back failed.
        #[source]
        source: Box<MutationError>,
    },
    /// Another owner moved the registry on while this one believed to hold the lock.
    #[error(
        "commit: another process changed the registry meanwhile (epoch {expected} became {found})"
    )]
    Fenced {
        /// The epoch at planning.
        expected: i64,
        /// The epoch found.
        found: i64,
    },
    /// A path was to be written that the plan did not declare: a bug.
    #[error("write `{0}`: it was not declared as touched")]
    Undeclared(String),
    /// Every name that could be made for a document is taken.
    #[error("name the document `{0}`: every name made from it is taken")]
    NoFreeName(String),
    /// An input was skipped as a copy, and the document with the same bytes was not committed, or was
    /// removed meanwhile.
    #[error("skip it as a copy: the document with the same bytes is not in the knowledge base")]
    OriginalNotIn,
    /// A document was to be removed and is not registered any more.
    #[error("find document `{0}`: it was removed meanwhile")]
    DocumentGone(DocName),
    /// A document was to be removed and another version of it came between.
    #[error("find document `{0}` as it was: it was updated meanwhile")]
    DocumentUpdated(DocName),
    /// No copy of the registry can be made.
    #[error("back up the registry: {0}")]
    NoBackup(String),
    /// A copy of the registry could not be made.
    #[error("back up the registry")]
    Backup(#[source] Box<MutationError>),
    /// The registry is of a version of this program that this one does not know.
    #[error("rebuild the registry: a newer version of kbhost made it (schema {0})")]
    NewerRegistry(i64),
    /// Another process reads the registry, which is to be replaced.
    #[error("replace the registry: another process reads it")]
    ReaderInTheWay,
    /// A page changed between planning and publishing.
    #[error("replace `{0}`: it changed while the change was planned")]
    Restless(String),
}

impl AcquireError {
    /// There was a registry and there is none: one made anew would know nothing of the documents.
    #[must_use]
    pub fn lost_registry() -> Self {
        Self::NeedsAttention {
            reason: format!("the registry `{}` is lost", layout::registry_db()),
            hint: "`kbhost registry rebuild` makes it anew from its newest backup and the files"
                .to_owned(),
        }
    }
}

impl MutationError {
    /// Whether the trouble is the KB's or its disk's, not a document's: a batch stops.
    #[must_use]
    pub fn is_of_the_kb(&self) -> bool {
        match self {
            Self::Path(error) => is_of_the_disk(&error.source),
            Self::Kb(KbError::Path(error)) => is_of_the_disk(&error.source),
            Self::Kb(
                KbError::Registry { .. }
                | KbError::RegistryInvalid { .. }
                | KbError::TooManyJournals(_)
                | KbError::HashesJson { .. },
            )
            | Self::Acquire(_)
            | Self::Registry(_)
            | Self::Undecided(_)
            | Self::DirtyRollback { .. }
            | Self::Fenced { .. } => true,
            Self::Kb(
                KbError::NotAKb(_)
                | KbError::ForeignOwner(_)
                | KbError::InvalidPath(_)
                | KbError::Symlink(_)
                | KbError::SearchIndex { .. }
                | KbError::Config { .. },
            )
            | Self::Undeclared(_)
            | Self::NoFreeName(_)
            | Self::OriginalNotIn
            | Self::DocumentGone(_)
            | Self::DocumentUpdated(_)
            | Self::NoBackup(_)
            | Self::Backup(_)
            | Self::NewerRegistry(_)
            | Self::ReaderInTheWay
            | Self::Restless(_) => false,
        }
    }
}

/// Full, broken, read-only, or out of handles: the next document would fare no better.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(
            Errno::NOSPC
                | Errno::DQUOT
                | Errno::IO
                | Errno::ROFS
                | Errno::ACCESS
                | Errno::PERM
                | Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
                | Errno::XDEV
        )
    )
}
