//! The touched-path declaration: every official path that a mutation may change, with what is
//! there now and what shall be there. Writing anything else is an error.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::MutationError;
use super::guard::{MutationGuard, OfficialPath};
use super::storage::Version;
use crate::kb::{ContentHash, KbPath};

/// What shall be at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A file of a staging directory, renamed into place.
    Staged {
        /// Its host path.
        path: PathBuf,
        /// Its length.
        size: u64,
        /// Its digest.
        hash: ContentHash,
    },
    /// Bytes rendered by this mutation.
    Rendered(Vec<u8>),
    /// No file.
    Absent,
}

impl Content {
    /// Length and digest; `None` for no file.
    pub(super) fn digest(&self) -> Option<(u64, ContentHash)> {
        match self {
            Self::Staged { size, hash, .. } => Some((*size, *hash)),
            Self::Rendered(bytes) => Some((bytes.len() as u64, ContentHash::of(bytes))),
            Self::Absent => None,
        }
    }
}

/// One declared path.
#[derive(Clone, Debug)]
pub(super) struct Touch {
    pub(super) path: OfficialPath,
    /// The version that the plan was made from.
    pub(super) planned: Option<Version>,
    pub(super) content: Content,
    /// The file is replaced or removed as a whole: a hand edit since our last write is set aside.
    pub(super) whole: bool,
    /// The document it belongs to, by its position in the plan; shared pages belong to none.
    pub(super) document: Option<usize>,
}

/// The declaration, by path.
#[derive(Clone, Debug, Default)]
pub(super) struct TouchedPaths {
    touches: BTreeMap<KbPath, Touch>,
}

impl TouchedPaths {
    /// Declares that `path`, of which the plan saw the version `planned`, shall hold `content`. A
    /// later declaration of the same path in the same plan replaces the content.
    pub(super) fn declare(
        &mut self,
        guard: &MutationGuard,
        path: KbPath,
        planned: Option<Version>,
        content: Content,
        whole: bool,
        document: Option<usize>,
    ) {
        let touch = Touch {
            path: OfficialPath::new(guard, path.clone()),
            planned,
            content,
            whole,
            document,
        };
        self.touches.insert(path, touch);
    }

    /// Whether a path is declared.
    pub(super) fn contains(&self, path: &KbPath) -> bool {
        self.touches.contains_key(path)
    }

    /// The declaration of a path.
    ///
    /// # Errors
    /// If there is none: a bug, found before it writes.
    pub(super) fn get(&self, path: &KbPath) -> Result<&Touch, MutationError> {
        self.touches
            .get(path)
            .ok_or_else(|| MutationError::Undeclared(path.to_string()))
    }

    /// All declarations, by path.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Touch> {
        self.touches.values()
    }

    /// The directories that hold declared paths, each once.
    pub(super) fn dirs(&self) -> Vec<KbPath> {
        let mut dirs: Vec<_> = self.touches.keys().filter_map(KbPath::parent).collect();
        dirs.dedup();
        dirs
    }
}
