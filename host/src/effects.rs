//! What follows a commit, as values: the mutation room carries them out while it still holds the
//! guard. A failed effect is a warning; it undoes nothing.

use crate::kb::{DocName, SafeLine};

/// One effect of a committed mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A line of `wiki/log.md`: `## [time] operation | text`.
    LogLine {
        /// `ingest`, `remove`.
        operation: &'static str,
        /// What happened.
        text: SafeLine,
    },
    /// The search index catches up with the documents of this commit.
    Search {
        /// Documents written or removed.
        documents: Vec<DocName>,
    },
    /// `hashes.json` is written for OpenKB.
    ExportHashes,
}
