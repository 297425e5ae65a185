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

/// A consistent view of the KB under the mutation guard, including the documents of the group
/// under way that were compiled before.
pub trait KbView {
    /// The bytes of a page as they are on disk or as this group will write them; `None` if there
    /// is none. Pages that are no UTF-8 come lossily decoded.
    ///
    /// # Errors
    /// If the page cannot be read.
    fn page(&self, path: &KbPath) -> Result<Option<String>, KbError>;

    /// The documents registered with a term, in order of their first registration, without `except`.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn documents_with(
        &self,
        kind: TermKind,
        slug: &str,
        except: &DocName,
    ) -> Result<Vec<Mention>, KbError>;

    /// A registered document.
    ///
    /// # Errors
    /// If the registry cannot be read.
    fn document(&self, name: &DocName) -> Result<Option<Registered>, KbError>;
}
