//! The touched-path declaration: every official path that a mutation may change, with what is
//! there now and what shall be there. Writing anything else is an error: the journal is made from
//! this declaration, and storage's official writes take a path that the journal names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::guard::{MutationGuard, OfficialPath};
use super::storage::Version;
use crate::kb::{ContentHash, KbPath, layout};

/// A kind of mutation. Its touched paths are declared by the constructor of [`TouchedPaths`] for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// Documents come, or come anew.
    Add,
    /// Documents go.
    Remove,
}

impl Operation {
    /// The word that journal and registry keep: `add`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }
}

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
#[derive(Clone, Debug)]
pub(super) struct TouchedPaths {
    operation: Operation,
    touches: BTreeMap<KbPath, Touch>,
}

impl TouchedPaths {
    /// What adding documents may touch, imports from a service included. Of each document: writes the
    /// original in `raw/`, if there is one, the converted text and pages in `wiki/sources/`, its images and members, its summary; deletes those
    /// files of an earlier version that the new one lacks. Shared with others: `wiki/index.md`, the pages
    /// of its terms, the summaries that link to these.
    pub(super) fn of_add() -> Self {
        Self::of(Operation::Add)
    }

    /// What removing documents may touch. Of each document: deletes the original in `raw/` (unless
    /// it is kept), the converted text and pages in `wiki/sources/`, its images and members, its
    /// summary. Shared with others: edits `wiki/index.md`, the pages of its terms and the summaries that link to
    /// these, and deletes pages of terms that are shared no more. Nothing comes from staging.
    pub(super) fn of_remove() -> Self {
        Self::of(Operation::Remove)
    }

    fn of(operation: Operation) -> Self {
        Self {
            operation,
            touches: BTreeMap::new(),
        }
    }

    /// The kind of mutation.
    pub(super) fn operation(&self) -> Operation {
        self.operation
    }

    /// Declares that `path`, of which the plan saw the version `planned`, shall hold `content`. A
    /// later declaration of the same path in the same plan replaces the content.
    ///
    /// # Panics
    /// If the kind of mutation touches no such thing: a bug, found before anything is written.
    pub(super) fn declare(
        &mut self,
        guard: &MutationGuard,
        path: KbPath,
        planned: Option<Version>,
        content: Content,
        whole: bool,
        document: Option<usize>,
    ) {
        let is_official =
            path.starts_with(&layout::raw_dir()) || path.starts_with(&layout::wiki_dir());
        assert!(is_official, "BUG: `{path}` is neither in raw/ nor in wiki/");
        let is_staged = matches!(content, Content::Staged { .. });
        assert!(
            !(is_staged && self.operation == Operation::Remove),
            "BUG: a removal stages nothing"
        );
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
