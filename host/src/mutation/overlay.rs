//! The KB as it will be once the documents of the plan so far are in, or gone: what `compile` sees.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::guard::MutationGuard;
use super::registry::{Registry, Row};
use super::storage::{Storage, Version};
use crate::compile::{self, ChangeSet, IndexFacts};
use crate::kb::registry::DocumentRow;
use crate::kb::view::{IndexSection, KbView, Listed, Mention, Registered};
use crate::kb::{DocName, KbError, KbPath, SafeLine, layout};
use crate::prepare::TermKind;

/// A page is text that people read; a larger file under a page's name is refused rather than read
/// into memory.
pub(super) const PAGE_BYTES_MAX: u64 = 64 << 20;

/// A page as it was read.
#[derive(Debug)]
struct Read {
    version: Option<Version>,
    text: Option<String>,
    /// The page is not UTF-8: what is written back is not all that was there.
    is_lossy: bool,
}

/// What a plan is made from. Under the guard it stays as it is; a preview looks at it without, and
/// may see it change.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    pub(super) storage: &'a Storage,
    pub(super) registry: &'a Registry,
}

impl<'a> From<&'a MutationGuard> for Ground<'a> {
    fn from(guard: &'a MutationGuard) -> Self {
        Self {
            storage: &guard.storage,
            registry: &guard.registry,
        }
    }
}

/// Registry and disk, with the plan's rows and pages over them.
#[derive(Debug)]
pub(super) struct Overlay<'a> {
    ground: Ground<'a>,
    /// Rows of the plan so far, in its order.
    rows: Vec<Row>,
    /// Registered documents that the plan so far removes.
    removed: Vec<i64>,
    /// Pages of the plan so far: `None` is a page to be deleted.
    pages: BTreeMap<KbPath, Option<String>>,
    /// What the plan so far changes of the index.
    facts: IndexFacts,
    /// Pages as they were read from disk, with the version they had just before.
    read: RefCell<BTreeMap<KbPath, Read>>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(ground: impl Into<Ground<'a>>) -> Self {
        Self {
            ground: ground.into(),
            rows: Vec::new(),
            removed: Vec::new(),
            pages: BTreeMap::new(),
            facts: IndexFacts::default(),
            read: RefCell::default(),
        }
    }

    /// Puts a row over the registry's.
    pub(super) fn push_row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Takes a registered document away.
    pub(super) fn remove_row(&mut self, ordinal: i64) {
        self.removed.push(ordinal);
    }

    /// Puts what compile decided over disk and registry.
    pub(super) fn apply(&mut self, changes: ChangeSet) {
        for page in changes.pages {
            self.pages.insert(page.path, page.text);
        }
        self.facts.extend(changes.index);
    }

    /// The rows, in plan order.
    pub(super) fn rows_mut(&mut self) -> &mut [Row] {
        &mut self.rows
    }

    /// The rows, in plan order.
    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The pages, to be declared.
    pub(super) fn take_pages(&mut self) -> BTreeMap<KbPath, Option<String>> {
        std::mem::take(&mut self.pages)
    }

    /// The version of a page that the plan was made from: the one that was read, else the one that
    /// is there now.
    ///
    /// # Errors
    /// If what is there cannot be told, or is no regular file.
    pub(super) fn version_read(&self, path: &KbPath) -> Result<Option<Version>, KbError> {
        match self.read.borrow().get(path) {
            Some(read) => Ok(read.version),
            None => Ok(self.ground.storage.version(path)?),
        }
    }

    /// Whether a page was read that is not UTF-8.
    pub(super) fn is_lossy(&self, path: &KbPath) -> bool {
        self.read
            .borrow()
            .get(path)
            .is_some_and(|read| read.is_lossy)
    }

    /// The rows and what changes of the index, once planning is done.
    pub(super) fn into_parts(self) -> (Vec<Row>, IndexFacts) {
        (self.rows, self.facts)
    }

    /// How many of the first `count` rows are documents that were not registered before: these get
    /// their ordinals in plan order, behind all that there ever were.
    fn new_rows(&self, count: usize) -> i64 {
        let new = self.rows[..count]
            .iter()
            .filter(|row| row.ordinal.is_none());
        i64::try_from(new.count()).expect("a plan has few rows")
    }

    /// Whether a registered document is another one, or none, after the plan so far.
    fn is_replaced(&self, row: &DocumentRow) -> bool {
        self.removed.contains(&row.ordinal)
            || self
                .rows
                .iter()
                .any(|over| over.ordinal == Some(row.ordinal))
    }
}

impl KbView for Overlay<'_> {
    fn page(&self, path: &KbPath) -> Result<Option<String>, KbError> {
        if let Some(text) = self.pages.get(path) {
            return Ok(text.clone());
        }
        if let Some(read) = self.read.borrow().get(path) {
            return Ok(read.text.clone());
        }
        let version = self.ground.storage.version(path)?;
        let bytes = self.ground.storage.root().read(path, PAGE_BYTES_MAX)?;
        let is_lossy = bytes
            .as_ref()
            .is_some_and(|bytes| std::str::from_utf8(bytes).is_err());
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let read = Read {
            version,
            text: text.clone(),
            is_lossy,
        };
        self.read.borrow_mut().insert(path.clone(), read);
        Ok(text)
    }

    fn documents_with(
        &self,
        kind: TermKind,
        slug: &str,
        except: &DocName,
        newest: usize,
    ) -> Result<Vec<Mention>, KbError> {
        // As many more as may drop out below.
        let bound = newest + self.rows.len() + self.removed.len() + 1;
        let registered = self.ground.registry.documents_with(kind, slug, bound)?;
        let mut found: Vec<(i64, Mention)> = registered
            .iter()
            .filter(|row| !self.is_replaced(row))
            .map(|row| (row.ordinal, mention_of_registered(row)))
            .collect();
        for (index, row) in self.rows.iter().enumerate() {
            if row
                .terms
                .iter()
                .any(|term| term.0 == kind && term.1 == slug)
            {
                // New documents are registered in plan order, behind all that are there.
                let behind = i64::MAX - i64::try_from(self.rows.len() - index).unwrap_or(0);
                found.push((row.ordinal.unwrap_or(behind), mention_of(row)));
            }
        }
        found.retain(|(_, mention)| mention.name != *except);
        found.sort_by_key(|(ordinal, _)| *ordinal);
        found.drain(..found.len().saturating_sub(newest));
        Ok(found.into_iter().map(|(_, mention)| mention).collect())
    }

    fn document(&self, name: &DocName) -> Result<Option<Registered>, KbError> {
        if let Some(row) = self.rows.iter().find(|row| row.doc_name == *name) {
            return Ok(Some(Registered {
                mention: mention_of(row),
                terms: row.terms.clone(),
            }));
        }
        let registered = self
            .ground
            .registry
            .document_by("doc_name", &name.as_str())?;
        let Some(row) = registered.filter(|row| !self.removed.contains(&row.ordinal)) else {
            return Ok(None);
        };
        let terms = self.ground.registry.terms_of(row.ordinal)?;
        Ok(Some(Registered {
            mention: mention_of_registered(&row),
            terms,
        }))
    }

    fn is_sharded(&self, section: IndexSection) -> Result<bool, KbError> {
        Ok(self.facts.is_sharded(section) || self.ground.registry.is_sharded(section)?)
    }

    fn shards(&self, section: IndexSection) -> Result<Vec<i64>, KbError> {
        let dir = layout::index_dir();
        let mut numbers = std::collections::BTreeSet::new();
        for name in self.ground.storage.root().list_dir(&dir)? {
            numbers.extend(compile::shard_number(section, &name));
        }
        for (path, text) in &self.pages {
            if path.parent().as_ref() == Some(&dir)
                && let Some(number) = compile::shard_number(section, path.file_name())
            {
                match text {
                    Some(_) => numbers.insert(number),
                    None => numbers.remove(&number),
                };
            }
        }
        Ok(numbers.into_iter().collect())
    }

    fn documents_between(
        &self,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<Listed>, KbError> {
        // As many more as may drop out below.
        let bound = newest + self.rows.len() + self.removed.len();
        let registry = self.ground.registry;
        let mut found = registry.documents_between(first, last, bound)?;
        found.retain(|(ordinal, _)| {
            !self.removed.contains(ordinal)
                && !self.rows.iter().any(|row| row.ordinal == Some(*ordinal))
        });
        for row in &self.rows {
            let ordinal = self.document_ordinal(&row.doc_name)?;
            if let Some(ordinal) = ordinal.filter(|ordinal| (first..=last).contains(ordinal)) {
                let listed = Listed {
                    name: row.doc_name.clone(),
                    doc_type: row.doc_type.to_owned(),
                    description: row.description.clone(),
                };
                found.push((ordinal, listed));
            }
        }
        found.sort_by_key(|(ordinal, _)| std::cmp::Reverse(*ordinal));
        found.truncate(newest);
        Ok(found.into_iter().map(|(_, listed)| listed).collect())
    }

    fn terms_between(
        &self,
        kind: TermKind,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<String>, KbError> {
        // Pages that the plan made wrote their entries themselves: the index was there by then.
        let registry = self.ground.registry;
        registry.terms_between(kind, first, last, newest)
    }

    fn document_ordinal(&self, name: &DocName) -> Result<Option<i64>, KbError> {
        let Some(at) = self.rows.iter().position(|row| row.doc_name == *name) else {
            return self.ground.registry.document_ordinal(name);
        };
        match self.rows[at].ordinal {
            Some(ordinal) => Ok(Some(ordinal)),
            None => {
                let last = self.ground.registry.last_document_ordinal()?;
                Ok(Some(last + self.new_rows(at + 1)))
            }
        }
    }

    fn last_document_ordinal(&self) -> Result<i64, KbError> {
        Ok(self.ground.registry.last_document_ordinal()? + self.new_rows(self.rows.len()))
    }

    fn term_ordinal(&self, kind: TermKind, slug: &str) -> Result<Option<i64>, KbError> {
        match self.facts.term_ordinal(kind, slug) {
            Some(known) => Ok(known),
            None => self.ground.registry.term_ordinal(kind, slug),
        }
    }

    fn last_term_ordinal(&self, kind: TermKind) -> Result<i64, KbError> {
        match self.facts.last_term_ordinal(kind) {
            Some(last) => Ok(last),
            None => self.ground.registry.last_term_ordinal(kind),
        }
    }
}

fn mention_of(row: &Row) -> Mention {
    Mention {
        name: row.doc_name.clone(),
        title: row.title.clone(),
        description: row.description.clone(),
    }
}

fn mention_of_registered(row: &DocumentRow) -> Mention {
    Mention {
        name: row.doc_name.clone(),
        title: SafeLine::new(&row.title),
        description: SafeLine::new(&row.description),
    }
}
