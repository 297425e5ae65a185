//! The KB as it will be once the documents of the plan so far are in: what `compile` sees.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::guard::MutationGuard;
use super::registry::Row;
use super::storage::Version;
use crate::kb::registry::DocumentRow;
use crate::kb::view::{KbView, Mention, Registered};
use crate::kb::{DocName, KbError, KbPath, SafeLine};
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

/// Registry and disk, with the plan's rows and pages over them.
#[derive(Debug)]
pub(super) struct Overlay<'a> {
    guard: &'a MutationGuard,
    /// Rows of the plan so far, in its order.
    rows: Vec<Row>,
    /// Pages of the plan so far: `None` is a page to be deleted.
    pages: BTreeMap<KbPath, Option<String>>,
    /// Pages as they were read from disk, with the version they had just before.
    read: RefCell<BTreeMap<KbPath, Read>>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(guard: &'a MutationGuard) -> Self {
        Self {
            guard,
            rows: Vec::new(),
            pages: BTreeMap::new(),
            read: RefCell::default(),
        }
    }

    /// Puts a row over the registry's.
    pub(super) fn push_row(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Puts a page over the disk's.
    pub(super) fn put_page(&mut self, path: KbPath, text: Option<String>) {
        self.pages.insert(path, text);
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
            None => Ok(self.guard.storage.version(path)?),
        }
    }

    /// Whether a page was read that is not UTF-8.
    pub(super) fn is_lossy(&self, path: &KbPath) -> bool {
        self.read
            .borrow()
            .get(path)
            .is_some_and(|read| read.is_lossy)
    }

    /// The rows, once planning is done.
    pub(super) fn into_rows(self) -> Vec<Row> {
        self.rows
    }

    fn is_replaced(&self, row: &DocumentRow) -> bool {
        self.rows
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
        let version = self.guard.storage.version(path)?;
        let bytes = self.guard.storage.root().read(path, PAGE_BYTES_MAX)?;
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
    ) -> Result<Vec<Mention>, KbError> {
        let registered = self.guard.registry.documents_with(kind, slug)?;
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
        Ok(found.into_iter().map(|(_, mention)| mention).collect())
    }

    fn document(&self, name: &DocName) -> Result<Option<Registered>, KbError> {
        if let Some(row) = self.rows.iter().find(|row| row.doc_name == *name) {
            return Ok(Some(Registered {
                mention: mention_of(row),
                terms: row.terms.clone(),
            }));
        }
        let Some(row) = self
            .guard
            .registry
            .document_by("doc_name", &name.as_str())?
        else {
            return Ok(None);
        };
        let terms = self.guard.registry.terms_of(row.ordinal)?;
        Ok(Some(Registered {
            mention: mention_of_registered(&row),
            terms,
        }))
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
