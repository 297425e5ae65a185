//! The index of the wiki: `index.md`, and shards for the sections that have outgrown it.
//!
//! A section with at most [`ENTRIES_MAX`] entries of ours lies in `index.md`. One that has more is
//! parted into shards of [`SHARD_ENTRIES`] ordinals each, which `index.md` links to, and stays
//! parted: from then on a document changes one shard, however many documents there are. What people
//! wrote between our lines stays where it is, in `index.md` and in shards.

use std::collections::{BTreeMap, HashMap};

use super::page::{Page, Place};
use super::pages::Draft;
use super::render::{EMPTY_INDEX, TermPage, index_entry_of, listed_entry};
use crate::kb::view::{IndexSection, ORDINAL_MAX};
use crate::kb::{DocName, KbError, KbPath, layout};
use crate::prepare::TermKind;

/// Entries of one section in `index.md`. With more it could be read no longer, and each document
/// would write all of it.
const ENTRIES_MAX: usize = 1_000;

/// Ordinals of a shard: a page that can be read, and that costs little to write.
pub const SHARD_ENTRIES: i64 = 250;

/// The number of the shard of a section that a file of this name would be; `None` for other files, and
/// for numbers that no ordinal leads to.
#[must_use]
pub fn shard_number(section: IndexSection, file_name: &str) -> Option<i64> {
    let number = file_name.strip_prefix(section.noun())?.strip_prefix('-')?;
    let number: i64 = number.strip_suffix(".md")?.parse().ok()?;
    let is_one = (1..=ORDINAL_MAX / SHARD_ENTRIES + 1).contains(&number)
        && layout::index_shard(section.noun(), number).file_name() == file_name;
    is_one.then_some(number)
}

/// What the registry has to know of a change of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexFact {
    /// A term got a page.
    TermPageMade {
        /// Kind of the term.
        kind: TermKind,
        /// Name of the page.
        slug: String,
        /// Its ordinal, higher than those of all pages of its kind before it.
        ordinal: i64,
    },
    /// The page of a term is gone.
    TermPageGone {
        /// Kind of the term.
        kind: TermKind,
        /// Name of the page.
        slug: String,
    },
    /// A section lies in shards from now on.
    Sharded(IndexSection),
}

/// What a mutation changes of the index, in order: a later fact overrides an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IndexFacts(Vec<IndexFact>);

impl IndexFacts {
    /// Adds what came next.
    pub fn extend(&mut self, later: IndexFacts) {
        self.0.extend(later.0);
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &IndexFact> {
        self.0.iter()
    }

    /// What they say of a term's page: nothing, or its ordinal, `None` if it is gone.
    #[must_use]
    pub fn term_ordinal(&self, kind: TermKind, slug: &str) -> Option<Option<i64>> {
        self.0.iter().rev().find_map(|fact| match fact {
            IndexFact::TermPageMade {
                kind: of,
                slug: name,
                ordinal,
            } => (*of == kind && name == slug).then_some(Some(*ordinal)),
            IndexFact::TermPageGone {
                kind: of,
                slug: name,
            } => (*of == kind && name == slug).then_some(None),
            IndexFact::Sharded(_) => None,
        })
    }

    /// The last ordinal that they give to a page of this kind.
    #[must_use]
    pub fn last_term_ordinal(&self, kind: TermKind) -> Option<i64> {
        self.0.iter().rev().find_map(|fact| match fact {
            IndexFact::TermPageMade {
                kind: of, ordinal, ..
            } => (*of == kind).then_some(*ordinal),
            IndexFact::TermPageGone { .. } | IndexFact::Sharded(_) => None,
        })
    }

    /// Whether a section goes into shards.
    #[must_use]
    pub fn is_sharded(&self, section: IndexSection) -> bool {
        self.0.contains(&IndexFact::Sharded(section))
    }

    pub(super) fn push(&mut self, fact: IndexFact) {
        self.0.push(fact);
    }
}

/// One shard of a section.
#[derive(Clone, Copy, Debug)]
struct Shard {
    section: IndexSection,
    /// From 1.
    number: i64,
}

impl Shard {
    /// The shard that holds the entry of an ordinal.
    fn of(section: IndexSection, ordinal: i64) -> Self {
        Self {
            section,
            number: (ordinal.max(1) - 1) / SHARD_ENTRIES + 1,
        }
    }

    fn path(self) -> KbPath {
        layout::index_shard(self.section.noun(), self.number)
    }

    /// As links name the page.
    fn target(self) -> String {
        format!("index/{}-{:05}", self.section.noun(), self.number)
    }

    /// The first and the last ordinal that it has room for.
    fn range(self) -> (i64, i64) {
        let last = self.number * SHARD_ENTRIES;
        (last - SHARD_ENTRIES + 1, last)
    }

    /// Its line in `index.md`.
    fn line(self) -> String {
        let (first, last) = self.range();
        let noun = self.section.noun();
        format!("- [[{}]] — {noun} {first} to {last}", self.target())
    }

    /// The page without entries.
    fn empty_page(self) -> String {
        let (first, last) = self.range();
        let title = self.section.title();
        format!("# {title} {first} to {last}\n\nBack to the [[index]].\n\n## {title}\n")
    }

    /// Whether a page holds nothing but what [`Self::empty_page`] writes.
    fn is_empty(self, page: &str) -> bool {
        let empty = self.empty_page();
        written_lines(page).eq(written_lines(&empty))
    }
}

fn written_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim().is_empty())
}

/// The sections before which a missing section is made.
fn following(section: IndexSection) -> &'static [&'static str] {
    match section {
        IndexSection::Documents => &["Concepts", "Entities", "Explorations"],
        IndexSection::Concepts => &["Entities", "Explorations"],
        IndexSection::Entities => &["Explorations"],
    }
}

impl Draft<'_> {
    /// Writes an entry of ours, of a document or a term's page with this ordinal.
    pub(super) fn put_in_index(
        &mut self,
        section: IndexSection,
        target: &str,
        entry: &str,
        ordinal: i64,
    ) -> Result<(), KbError> {
        let title = section.title();
        if self.is_sharded(section)? {
            return self.edit_shard(Shard::of(section, ordinal), |page| {
                page.put_entry(title, &[], target, entry, Place::Top);
            });
        }
        let mut entries = 0;
        self.edit_index(|index| {
            index.put_entry(title, following(section), target, entry, Place::Top);
            entries = index.count_entries_in(title, "");
        })?;
        if entries > ENTRIES_MAX {
            self.part(section)?;
        }
        Ok(())
    }

    /// Takes an entry out, wherever it is; a shard that has nothing but our own lines goes with its
    /// last entry.
    pub(super) fn remove_from_index(
        &mut self,
        section: IndexSection,
        target: &str,
        ordinal: Option<i64>,
    ) -> Result<(), KbError> {
        let title = section.title();
        if self.text(&layout::index_page())?.is_some() {
            self.edit_index(|index| {
                index.remove_entry(title, target);
            })?;
        }
        let Some(ordinal) = ordinal else {
            return Ok(());
        };
        if !self.is_sharded(section)? {
            return Ok(());
        }
        let shard = Shard::of(section, ordinal);
        self.edit(&shard.path(), |page| {
            page.remove_entry(title, target);
        })?;
        let is_empty = self
            .text(&shard.path())?
            .is_some_and(|page| shard.is_empty(page));
        if is_empty {
            self.set(shard.path(), None)?;
            if self.text(&layout::index_page())?.is_some() {
                self.edit_index(|index| {
                    index.remove_entry(title, &shard.target());
                })?;
            }
        }
        Ok(())
    }

    /// The ordinal of a term's page, of this draft or of the view.
    pub(super) fn term_ordinal(&self, kind: TermKind, slug: &str) -> Result<Option<i64>, KbError> {
        match self.facts.term_ordinal(kind, slug) {
            Some(known) => Ok(known),
            None => self.view.term_ordinal(kind, slug),
        }
    }

    /// The ordinal of a term's page that is there or is being made.
    pub(super) fn number_term(&mut self, kind: TermKind, slug: &str) -> Result<i64, KbError> {
        if let Some(ordinal) = self.term_ordinal(kind, slug)? {
            return Ok(ordinal);
        }
        let last = match self.facts.last_term_ordinal(kind) {
            Some(last) => last,
            None => self.view.last_term_ordinal(kind)?,
        };
        let ordinal = last + 1;
        self.facts.push(IndexFact::TermPageMade {
            kind,
            slug: slug.to_owned(),
            ordinal,
        });
        Ok(ordinal)
    }

    fn is_sharded(&self, section: IndexSection) -> Result<bool, KbError> {
        Ok(self.facts.is_sharded(section) || self.view.is_sharded(section)?)
    }

    /// Moves the entries of a section into shards if more than [`ENTRIES_MAX`] of them are ours.
    fn part(&mut self, section: IndexSection) -> Result<(), KbError> {
        let title = section.title();
        let text = self.text(&layout::index_page())?.unwrap_or_default();
        let lines: Vec<(String, String)> = Page::parse(text)
            .entry_lines(title)
            .into_iter()
            .map(|(target, line)| (target.to_owned(), line.to_owned()))
            .collect();
        let mut ordinals = HashMap::new();
        for (target, _) in &lines {
            if let Some(ordinal) = self.ordinal_of(section, target)? {
                ordinals.insert(target.clone(), ordinal);
            }
        }
        if ordinals.len() <= ENTRIES_MAX {
            return Ok(());
        }
        let mut shards: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for (target, line) in lines {
            if let Some(ordinal) = ordinals.get(&target) {
                let number = Shard::of(section, *ordinal).number;
                shards.entry(number).or_default().push(line);
            }
        }
        let shard = |number: &i64| Shard {
            section,
            number: *number,
        };
        let instead: Vec<String> = shards.keys().map(|number| shard(number).line()).collect();
        self.edit_index(|index| {
            index.replace_entries(title, |target| ordinals.contains_key(target), &instead);
        })?;
        self.facts.push(IndexFact::Sharded(section));
        for (number, lines) in &shards {
            let shard = shard(number);
            // Its entries come from `index.md`, not from the registry.
            self.make_empty(&shard.path(), &shard.empty_page())?;
            self.edit_shard(shard, |page| page.append_lines(title, lines))?;
        }
        Ok(())
    }

    /// The ordinal of the page that an entry leads to; `None` if the entry is none of ours.
    fn ordinal_of(&self, section: IndexSection, target: &str) -> Result<Option<i64>, KbError> {
        let kind = match section {
            IndexSection::Documents => {
                let Some(name) = target.strip_prefix("summaries/").and_then(DocName::new) else {
                    return Ok(None);
                };
                return match &self.document {
                    Some((own, ordinal)) if *own == name => Ok(Some(*ordinal)),
                    _ => self.view.document_ordinal(&name),
                };
            }
            IndexSection::Concepts => TermKind::Concept,
            IndexSection::Entities => TermKind::Entity,
        };
        let slug = target
            .strip_prefix(section.noun())
            .and_then(|rest| rest.strip_prefix('/'));
        slug.map_or(Ok(None), |slug| self.term_ordinal(kind, slug))
    }

    /// Edits a shard, which is made if it is not there, and sees to it that `index.md` links to it.
    fn edit_shard(
        &mut self,
        shard: Shard,
        edit: impl FnOnce(&mut Page<'_>),
    ) -> Result<(), KbError> {
        let path = shard.path();
        if self.make_empty(&path, &shard.empty_page())? {
            let entries = usize::try_from(SHARD_ENTRIES).expect("a small number");
            self.fill(&path, shard.section, shard.range(), entries)?;
        }
        self.edit(&path, edit)?;
        self.edit_index(|index| link_shard(index, shard))
    }

    /// Makes a page that is not there, or is blank, and says whether it did.
    fn make_empty(&mut self, path: &KbPath, empty: &str) -> Result<bool, KbError> {
        let is_missing = self.text(path)?.is_none_or(|text| text.trim().is_empty());
        if is_missing {
            self.set(path.clone(), Some(empty.to_owned()))?;
        }
        Ok(is_missing)
    }

    /// Writes the entries that the registry knows into a page of the index that was lost.
    fn fill(
        &mut self,
        path: &KbPath,
        section: IndexSection,
        (first, last): (i64, i64),
        entries_max: usize,
    ) -> Result<(), KbError> {
        let kind = match section {
            IndexSection::Documents => None,
            IndexSection::Concepts => Some(TermKind::Concept),
            IndexSection::Entities => Some(TermKind::Entity),
        };
        let lines = match kind {
            None => {
                let listed = self.view.documents_between(first, last, entries_max)?;
                listed.iter().map(listed_entry).collect()
            }
            Some(kind) => {
                let mut lines = Vec::new();
                for slug in self.view.terms_between(kind, first, last, entries_max)? {
                    let Some(page) = TermPage::new(kind, &slug) else {
                        continue;
                    };
                    // What its page says of itself; one that is gone has no entry.
                    if let Some(text) = self.text(&page.path)? {
                        lines.push(index_entry_of(&page, &Page::parse(text)));
                    }
                }
                lines
            }
        };
        if lines.is_empty() {
            return Ok(());
        }
        self.edit(path, |page| page.append_lines(section.title(), &lines))
    }

    /// Edits `index.md`. One that is missing is made, with links to all shards there are, and with
    /// the entries of the sections that are not parted.
    fn edit_index(&mut self, edit: impl FnOnce(&mut Page<'_>)) -> Result<(), KbError> {
        let path = layout::index_page();
        if self.make_empty(&path, EMPTY_INDEX)? {
            for section in IndexSection::ALL {
                if self.is_sharded(section)? {
                    self.link_shards(section)?;
                } else {
                    self.fill(&path, section, (1, ORDINAL_MAX), ENTRIES_MAX)?;
                }
            }
        }
        self.edit(&path, edit)
    }

    fn link_shards(&mut self, section: IndexSection) -> Result<(), KbError> {
        for number in self.view.shards(section)? {
            let shard = Shard { section, number };
            if self.text(&shard.path())?.is_some() {
                self.edit(&layout::index_page(), |index| link_shard(index, shard))?;
            }
        }
        Ok(())
    }
}

/// Links to a shard from `index.md`. A link that is there stays as it is: its text may be somebody's.
fn link_shard(index: &mut Page<'_>, shard: Shard) {
    let (title, target) = (shard.section.title(), shard.target());
    if !index.has_entry(title, &target) {
        index.put_entry(
            title,
            following(shard.section),
            &target,
            &shard.line(),
            Place::Sorted,
        );
    }
}
