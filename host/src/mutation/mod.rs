//! The serial mutation owner: the only room that writes the KB.
//!
//! Order of a mutation: recovery drained, final names, plan, snapshot, publish, write, registry,
//! committed, effects. Roll back on any failure before the commit point; never after it.

mod aftermath;
mod backup;
mod checkpoints;
mod coordinator;
mod drain;
mod error;
mod exchange;
mod fault;
mod foreign;
mod guard;
mod holder;
mod index_rows;
mod init;
mod inspect;
mod journal;
mod lock;
mod medium;
mod merge;
mod options;
mod overlay;
mod owner;
mod plan;
mod process;
mod quarantine;
mod reader;
mod rebuild;
mod reconcile;
mod recover;
mod registry;
mod removal;
mod restored;
mod search_index;
mod storage;
mod survey;
mod touched;
mod undo;

pub use backup::{Backup, backup_now};
pub use drain::is_registry_lost;
pub use error::{AcquireError, MutationError, RecoverError};
pub(crate) use exchange::HASHES_ASIDE_PREFIX;
pub use exchange::{Exported, export_registry};
pub use holder::{Holder, HolderRecord, LockState, lock_state};
pub use init::{InitError, Initialised, init, init_with};
pub use inspect::{JournalReport, JournalState, Place, journals};
pub use medium::{PROBE_ARGUMENT, answer_probe};
pub use merge::{Change, Comparison, Difference, Merged, Side, compare_registry, merge_registry};
pub use options::{LockOptions, OwnerOptions, Told, Waiting};
pub use owner::{Owner, REMOVALS_MAX};
pub use reader::{PageReader, ReadLock};
pub use rebuild::{Health, RebuildReport, Rebuilt, assess_registry, rebuild_registry};
pub use reconcile::Reconciled;
pub use recover::{RecoverAction, RecoverRequest, Recovered, preview, recover};
pub use removal::{Preview, PreviewedDocument, Removal, RemovalOutcome, Removed, preview_removal};

#[cfg(test)]
mod tests;
