//! The pages of the wiki as functions of the view and a document.
//!
//! A document's summary page is ours as a whole. In every other page only single lines are ours:
//! the entries of our lists and the `sources` of front matter; what people wrote around them stays
//! byte for byte. A term has a page while at least two documents share it.

use std::collections::BTreeMap;

use super::index::{IndexFact, IndexFacts};
use super::page::{Page, Place};
use super::render::{
    RELATED_DOCUMENTS, TermPage, document_entry, is_ours_alone, related_document, source,
    summary_page, summary_target,
};
use crate::kb::tree::Tree;
use crate::kb::view::{IndexSection, KbView, Mention};
use crate::kb::{DocName, KbError, KbPath, SafeLine, layout};
use crate::prepare::{Analysis, AnalysisTerm, TermKind};

/// Documents on the page of a term: the newest. The others still link to the page. It bounds what
/// one document can touch.
pub const MENTIONS_MAX: usize = 500;

/// A document with its name bound.
#[derive(Clone, Copy, Debug)]
pub struct NamedDocument<'a> {
    /// Its name.
    pub name: &'a DocName,
    /// `short`, or `pageindex` for a long document with pages.
    pub doc_type: &'a str,
    /// The user's file name, escaped.
    pub file_name: &'a SafeLine,
    /// Number of pages.
    pub page_count: Option<u32>,
    /// Metadata of the converter.
    pub metadata: &'a [(String, SafeLine)],
    /// What prepare found out.
    pub analysis: &'a Analysis,
    /// The section tree of a long document.
    pub tree: Option<&'a Tree>,
}

/// A page as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageChange {
    /// Which page.
    pub path: KbPath,
    /// Its new text; `None` deletes it.
    pub text: Option<String>,
}

/// What a document changes in the wiki.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// The pages, each at most once, sorted by path.
    pub pages: Vec<PageChange>,
    /// What the registry has to know beside them.
    pub index: IndexFacts,
}

/// The pages that change when `document` is added or updated: its summary, the index, the pages of
/// terms it shares with others (from the second document on), and the summaries these link back to.
///
/// # Errors
/// If the view cannot be read.
pub fn compile(view: &dyn KbView, document: &NamedDocument<'_>) -> Result<ChangeSet, KbError> {
    let mut draft = Draft::new(view);
    let ordinal = match view.document_ordinal(document.name)? {
        Some(ordinal) => ordinal,
        None => view.last_document_ordinal()? + 1,
    };
    draft.document = Some((document.name.clone(), ordinal));
    let analysis = document.analysis;
    let registered = view.document(document.name)?;
    for (kind, slug, _) in registered.map(|before| before.terms).unwrap_or_default() {
        if !analysis
            .terms
            .iter()
            .any(|term| term.kind == kind && term.slug == slug)
        {
            draft.leave_term(document.name, kind, &slug)?;
        }
    }
    let mut related = Vec::new();
    for term in analysis.terms.iter().take(Analysis::TERMS_MAX) {
        let Some(page) = TermPage::new(term.kind, &term.slug) else {
            continue;
        };
        // A page that lists documents tells by itself that the term is shared. The list of a hub's
        // documents would cost more with every document that joins it.
        let is_listed = draft.lists_documents(&page)?;
        let others = if is_listed {
            Vec::new()
        } else {
            view.documents_with(term.kind, &term.slug, document.name, MENTIONS_MAX - 1)?
        };
        if is_listed || !others.is_empty() {
            draft.join_term(document, term, &page, &others)?;
            related.push((page, term));
        }
    }
    let summary = summary_page(document, &related);
    draft.set(layout::summary_page(document.name), Some(summary))?;
    let (target, entry) = (summary_target(document.name), document_entry(document));
    draft.put_in_index(IndexSection::Documents, &target, &entry, ordinal)?;
    Ok(draft.finish())
}

/// The pages that change when the document is removed: its summary, the index, the pages of its
/// terms, and, where a term is then shared no more, the summary that linked to it. The converted
/// text and the images are the caller's.
///
/// # Errors
/// If the view cannot be read.
pub fn retract(view: &dyn KbView, name: &DocName) -> Result<ChangeSet, KbError> {
    let mut draft = Draft::new(view);
    let registered = view.document(name)?;
    let terms = registered.map(|before| before.terms).unwrap_or_default();
    let mut terms: Vec<_> = terms.into_iter().map(|term| (term.0, term.1)).collect();
    if terms.is_empty() {
        // The registry has no terms of what another program compiled: the summary links to them.
        terms = draft.linked_terms(name)?;
    }
    for (kind, slug) in terms {
        draft.leave_term(name, kind, &slug)?;
    }
    draft.set(layout::summary_page(name), None)?;
    let ordinal = view.document_ordinal(name)?;
    draft.remove_from_index(IndexSection::Documents, &summary_target(name), ordinal)?;
    Ok(draft.finish())
}

/// Pages read and written while one document is compiled.
pub(super) struct Draft<'v> {
    pub(super) view: &'v dyn KbView,
    pages: BTreeMap<KbPath, Drafted>,
    /// The document that is added or updated, with its ordinal.
    pub(super) document: Option<(DocName, i64)>,
    pub(super) facts: IndexFacts,
}

struct Drafted {
    before: Option<String>,
    now: Option<String>,
}

impl<'v> Draft<'v> {
    fn new(view: &'v dyn KbView) -> Self {
        Self {
            view,
            pages: BTreeMap::new(),
            document: None,
            facts: IndexFacts::default(),
        }
    }

    fn drafted(&mut self, path: &KbPath) -> Result<&mut Drafted, KbError> {
        if !self.pages.contains_key(path) {
            let before = self.view.page(path)?;
            let drafted = Drafted {
                now: before.clone(),
                before,
            };
            self.pages.insert(path.clone(), drafted);
        }
        Ok(self
            .pages
            .get_mut(path)
            .expect("the page was inserted above"))
    }

    pub(super) fn text(&mut self, path: &KbPath) -> Result<Option<&str>, KbError> {
        Ok(self.drafted(path)?.now.as_deref())
    }

    pub(super) fn set(&mut self, path: KbPath, text: Option<String>) -> Result<(), KbError> {
        self.drafted(&path)?.now = text;
        Ok(())
    }

    /// Edits a page that exists; one that does not is left so.
    pub(super) fn edit(
        &mut self,
        path: &KbPath,
        edit: impl FnOnce(&mut Page<'_>),
    ) -> Result<(), KbError> {
        let Some(text) = self.text(path)? else {
            return Ok(());
        };
        let mut page = Page::parse(text);
        edit(&mut page);
        let text = page.into_text();
        self.set(path.clone(), Some(text))
    }

    /// Whether the page of a term is there and lists documents.
    fn lists_documents(&mut self, page: &TermPage) -> Result<bool, KbError> {
        let text = self.text(&page.path)?;
        Ok(text.is_some_and(|text| lists_documents(&Page::parse(text))))
    }

    /// Puts a document on the page of a term that it shares with `others`; there are none where the
    /// page lists documents already.
    fn join_term(
        &mut self,
        document: &NamedDocument<'_>,
        term: &AnalysisTerm,
        page: &TermPage,
        others: &[Mention],
    ) -> Result<(), KbError> {
        let own = Mention {
            name: document.name.clone(),
            title: document.analysis.title.clone(),
            description: document.analysis.description.clone(),
        };
        if others.is_empty() {
            // The others are there already, or their lines were taken out by hand.
            return self.edit(&page.path, |text| {
                list_document(text, &own);
                unlist_oldest(text);
            });
        }
        if self.text(&page.path)?.is_none() {
            let newest_first: Vec<&Mention> =
                [&own].into_iter().chain(others.iter().rev()).collect();
            self.set(
                page.path.clone(),
                Some(page.text(term, document, &newest_first)),
            )?;
        } else {
            self.edit(&page.path, |text| {
                others
                    .iter()
                    .chain([&own])
                    .for_each(|mention| list_document(text, mention));
            })?;
        }
        let (section, following) = page.related_section();
        let backlink = page.backlink(&term.label);
        for other in others {
            self.edit(&layout::summary_page(&other.name), |text| {
                text.put_entry(section, following, &page.target, &backlink, Place::Sorted);
            })?;
        }
        let entry = page.index_entry(term, document);
        let ordinal = self.number_term(term.kind, &term.slug)?;
        let section = IndexSection::of_terms(term.kind);
        self.put_in_index(section, &page.target, &entry, ordinal)
    }

    /// The terms that a document's summary page links to, by kind and slug.
    fn linked_terms(&mut self, name: &DocName) -> Result<Vec<(TermKind, String)>, KbError> {
        let Some(text) = self.text(&layout::summary_page(name))? else {
            return Ok(Vec::new());
        };
        let page = Page::parse(text);
        let sections = [
            (TermKind::Concept, "Related Concepts", "concepts/"),
            (TermKind::Entity, "Entities", "entities/"),
        ];
        let linked = sections.into_iter().flat_map(|(kind, section, folder)| {
            let targets = page.entries(section).into_iter();
            targets.filter_map(move |target| Some((kind, target.strip_prefix(folder)?.to_owned())))
        });
        Ok(linked.collect())
    }

    /// Takes a document off the page of a term. When fewer than two documents are left, the page
    /// goes, and with it the link back to it; a page with more than our own lines stays, and stays
    /// in the index, without them.
    fn leave_term(&mut self, name: &DocName, kind: TermKind, slug: &str) -> Result<(), KbError> {
        let Some(page) = TermPage::new(kind, slug) else {
            return Ok(());
        };
        // Two tell that the term is still shared: a hub's documents are not counted.
        let others = self.view.documents_with(kind, slug, name, 2)?;
        if let [_, _, ..] = others.as_slice() {
            return self.edit(&page.path, |text| {
                unlist_document(text, name);
            });
        }
        let mut was_listed = false;
        self.edit(&page.path, |text| {
            was_listed = unlist_document(text, name);
            for other in &others {
                was_listed |= unlist_document(text, &other.name);
            }
        })?;
        let goes = match self.text(&page.path)? {
            None => true,
            Some(text) => {
                let text = Page::parse(text);
                was_listed && !lists_documents(&text) && is_ours_alone(text.lines())
            }
        };
        let (section, _) = page.related_section();
        for other in &others {
            self.edit(&layout::summary_page(&other.name), |text| {
                if text.remove_entry(section, &page.target) {
                    text.remove_empty_section(section);
                }
            })?;
        }
        if goes {
            self.set(page.path.clone(), None)?;
            let ordinal = self.term_ordinal(kind, slug)?;
            self.remove_from_index(IndexSection::of_terms(kind), &page.target, ordinal)?;
            if ordinal.is_some() {
                let slug = slug.to_owned();
                self.facts.push(IndexFact::TermPageGone { kind, slug });
            }
        }
        Ok(())
    }

    fn finish(self) -> ChangeSet {
        let changed = self
            .pages
            .into_iter()
            .filter(|(_, page)| page.before != page.now);
        let pages = changed.map(|(path, page)| PageChange {
            path,
            text: page.now,
        });
        ChangeSet {
            pages: pages.collect(),
            index: self.facts,
        }
    }
}

/// Whether a term page lists documents.
fn lists_documents(page: &Page<'_>) -> bool {
    page.has_entry_in(RELATED_DOCUMENTS, "summaries/")
}

fn list_document(page: &mut Page<'_>, mention: &Mention) {
    let target = summary_target(&mention.name);
    page.put_entry(
        RELATED_DOCUMENTS,
        &[],
        &target,
        &related_document(mention),
        Place::Top,
    );
    page.set_source(&source(&mention.name), true);
}

/// Takes a document's lines out and says whether the page listed it.
fn unlist_document(page: &mut Page<'_>, name: &DocName) -> bool {
    page.set_source(&source(name), false);
    page.remove_entry(RELATED_DOCUMENTS, &summary_target(name))
}

/// Keeps the list of a term page within [`MENTIONS_MAX`].
fn unlist_oldest(page: &mut Page<'_>) {
    if page.count_entries_in(RELATED_DOCUMENTS, "summaries/") <= MENTIONS_MAX {
        return;
    }
    let entries = page.entries(RELATED_DOCUMENTS);
    let documents = entries
        .iter()
        .filter_map(|target| target.strip_prefix("summaries/"));
    let oldest: Vec<DocName> = documents
        .skip(MENTIONS_MAX)
        .filter_map(DocName::new)
        .collect();
    for name in oldest {
        unlist_document(page, &name);
    }
}

#[cfg(test)]
mod tests;
