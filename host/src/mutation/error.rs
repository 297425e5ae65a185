//! Why a mutation was not made.

use std::path::PathBuf;
use std::time::Duration;

use crate::kb::{KbError, PathError};

/// Why the guard was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum AcquireError {
    /// Somebody else holds the lock.
    #[error("lock the knowledge base `{}`: not free after {waited:?}{}", path.display(), holder_suffix(.holder))]
    Busy {
        /// The KB.
        path: PathBuf,
        /// How long we waited.
        waited: Duration,
        /// Who holds it, one safe line.
        holder: Option<String>,
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
    /// A journal whose fate cannot be decided, or one in quarantine.
    #[error("recover the knowledge base: {reason}")]
    NeedsAttention {
        /// What was found, one safe line.
        reason: String,
        /// What to do, names a command or a path.
        hint: String,
    },
}

fn holder_suffix(holder: &Option<String>) -> String {
    holder
        .as_ref()
        .map(|holder| format!("; {holder}"))
        .unwrap_or_default()
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
    /// A page changed between planning and publishing.
    #[error("replace `{0}`: it changed while the change was planned")]
    Restless(String),
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
