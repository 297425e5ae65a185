//! The KB as `compile` sees it: questions only, no handles.

use super::{DocName, KbError, KbPath, SafeLine};
use crate::prepare::TermKind;

/// A document as other documents' pages mention it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// Its name.
    pub name: DocName,
    /// Its title.
    pub title: SafeLine,
    /// Its one-sentence description.
    pub description: SafeLine,
}

/// What a document is registered with, as far as pages depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The mention.
    pub mention: Mention,
    /// Its terms: kind, slug, label.
    pub terms: Vec<(TermKind, String, SafeLine)>,
}

/// The highest ordinal that a document or the page of a term can have: what counts further is no
/// registry of ours, and a number without bound would be a loop without end somewhere.
pub const ORDINAL_MAX: i64 = 1 << 24;

/// A document as the index lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: DocName,
    /// `short` or `pageindex`.
    pub doc_type: String,
    /// Its one-sentence description.
    pub description: SafeLine,
}

/// A section of the index that is ours to keep. The order is that of `index.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexSection {
    /// One entry for each document.
    Documents,
    /// One entry for each concept that has a page.
    Concepts,
    /// One entry for each entity that has a page.
    Entities,
}

impl IndexSection {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Documents, Self::Concepts, Self::Entities];

    /// The section that lists the pages of a kind of term.
    #[must_use]
    pub fn of_terms(kind: TermKind) -> Self {
        match kind {
            TermKind::Concept => Self::Concepts,
            TermKind::Entity => Self::Entities,
        }
    }

    /// Its heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Documents => "Documents",
            Self::Concepts => "Concepts",
            Self::Entities => "Entities",
        }
    }

    /// What it lists, in lower case: `documents`.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Documents => "documents",
            Self::Concepts => "concepts",
            Self::Entities => "entities",
        }
    }
}

/// A consistent view of the KB under the mutation guard, including the documents of the group
/// under way that were compiled before.
pub trait KbView {
    /// The bytes of a page as they are on disk or as this group will write them; `None` if there
    /// is none. Pages that are no UTF-8 come lossily decoded.
    ///
    /// # Errors
    /// If the page cannot be read.
    fn page(&self, path: &KbPath) -> Result<Option<String>, KbError>;

    /// The newest documents registered with a term, at most `newest`, without `except`, in order of
    /// their first registration.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn documents_with(
        &self,
        kind: TermKind,
        slug: &str,
        except: &DocName,
        newest: usize,
    ) -> Result<Vec<Mention>, KbError>;

    /// A registered document.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn document(&self, name: &DocName) -> Result<Option<Registered>, KbError>;

    /// Whether a section of the index lies in shards.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn is_sharded(&self, section: IndexSection) -> Result<bool, KbError>;

    /// The numbers of the shards of a section that are there, in ascending order.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn shards(&self, section: IndexSection) -> Result<Vec<i64>, KbError>;

    /// The newest documents with ordinals from `first` to `last`, at most `newest`, the newest first.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn documents_between(
        &self,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<Listed>, KbError>;

    /// The newest pages of terms of a kind with ordinals from `first` to `last`, at most `newest`, the
    /// newest first: their slugs.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn terms_between(
        &self,
        kind: TermKind,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<String>, KbError>;

    /// The ordinal of a document, in the order of first registration from 1; `None` if there is no
    /// such document.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn document_ordinal(&self, name: &DocName) -> Result<Option<i64>, KbError>;

    /// The highest ordinal that a document ever had, at most [`ORDINAL_MAX`]; 0 before the first. The
    /// next new document gets the one behind it.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn last_document_ordinal(&self) -> Result<i64, KbError>;

    /// The ordinal of a term's page among the pages of its kind, in the order in which they were
    /// made from 1; `None` if the term has no page of ours.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn term_ordinal(&self, kind: TermKind, slug: &str) -> Result<Option<i64>, KbError>;

    /// The highest ordinal that a page of a kind of term ever had, at most [`ORDINAL_MAX`]; 0 before
    /// the first.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn last_term_ordinal(&self, kind: TermKind) -> Result<i64, KbError>;
}
