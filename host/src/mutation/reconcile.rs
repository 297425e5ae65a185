//! Brings a registry that is being rebuilt in line with the files: rows of a backup against `raw/` and
//! `wiki/`, then the entries of `hashes.json`, then documents that only their files tell of.
//!
//! A document is there if a page of it is: its summary or its converted text. Its identity is the hash
//! of its original, so that the same input is known again whatever else was lost.
//!
//! Invariant: a page's digest is what a commit wrote, or [`UNKNOWN_DIGEST`]. What is in the file now
//! would make an edit pass for ours, and the next update would replace it.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::params;
use serde::Serialize;

use super::MutationError;
use super::registry::Registry;
use super::restored::Restored;
use super::storage::Storage;
use super::survey::{self, TermPages};
use crate::kb::openkb::Imported;
use crate::kb::registry::{DocumentRow, UNKNOWN_DIGEST};
use crate::kb::{ContentHash, DocName, KbError, KbPath, SafeLine, identity, layout, names};

/// What a rebuild works with.
pub(super) struct Work<'a> {
    pub(super) storage: &'a Storage,
    /// The new registry, in the transaction that fills it.
    pub(super) registry: &'a Registry,
    pub(super) time: &'a str,
    pub(super) id: &'a str,
    /// The base is the registry itself, not a backup.
    pub(super) is_own_base: bool,
}

/// What became of the documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Documents of the database that the rebuild began with.
    pub from_base: u64,
    /// Of these, those whose original was replaced since: their rows were made anew.
    pub updated: u64,
    /// Documents that `hashes.json` told of.
    pub from_hashes_json: u64,
    /// Documents that only their files told of.
    pub from_files: u64,
    /// Pages whose text is not the one that was registered: they count as edited by hand.
    pub edited: u64,
    /// Documents that were registered and of which no page is left.
    pub dropped: Vec<DocName>,
    /// What could not be recovered, one line each.
    pub not_recovered: Vec<SafeLine>,
}

impl Reconciled {
    fn lose(&mut self, line: &str) {
        self.not_recovered.push(SafeLine::new(line));
    }
}

/// A document to be registered, and where the index lists it.
struct Candidate {
    row: Restored,
    is_imported: bool,
}

/// Fills the registry.
///
/// # Errors
/// If the files cannot be read or a row cannot be written.
pub(super) fn reconcile(
    work: &Work<'_>,
    imported: &[Imported],
    recovered: &mut Reconciled,
) -> Result<(), MutationError> {
    let root = work.storage.root();
    let mut reconciling = Reconciling {
        work,
        terms: TermPages::read(root)?,
        originals: originals(work.storage)?,
        taken: Taken::default(),
        doubtful: Vec::new(),
        recovered,
    };
    let by_name: HashMap<String, &Imported> = imported
        .iter()
        .map(|entry| (names::fold(entry.row.doc_name.as_str()), entry))
        .collect();
    for row in work.registry.documents("ORDER BY ordinal", [])? {
        let entry = by_name.get(&names::fold(row.doc_name.as_str())).copied();
        reconciling.registered(&row, entry)?;
    }
    let mut candidates = Vec::new();
    for entry in imported {
        candidates.extend(reconciling.of_entry(entry)?);
    }
    for name in page_names(work.storage)? {
        candidates.extend(reconciling.of_files(&name)?);
    }
    reconciling.register(candidates, imported)?;
    reconciling.shared_pages()?;
    reconciling.settle_doubtful()?;
    reconciling.tell_what_is_unknown();
    Ok(())
}

/// What no second document can have.
#[derive(Default)]
struct Taken {
    names: HashSet<String>,
    hashes: HashSet<ContentHash>,
    keys: HashSet<String>,
}

struct Reconciling<'a> {
    work: &'a Work<'a>,
    terms: TermPages,
    /// Files of `raw/` by the name of the document they belong to, if they do.
    originals: HashMap<String, Vec<KbPath>>,
    taken: Taken,
    /// Pages that later commits may have changed since the base was made, or a person.
    doubtful: Vec<KbPath>,
    recovered: &'a mut Reconciled,
}

impl Reconciling<'_> {
    /// Brings a row of the base in line with its files.
    fn registered(
        &mut self,
        row: &DocumentRow,
        entry: Option<&Imported>,
    ) -> Result<(), MutationError> {
        let storage = self.work.storage;
        let source = self.source(&row.doc_name, row.source_path.as_ref())?;
        if source.is_none() && !storage.is_file(&layout::summary_page(&row.doc_name))? {
            self.recovered.dropped.push(row.doc_name.clone());
            return self.drop_row(row.ordinal);
        }
        self.recovered.from_base += 1;
        self.taken.names.insert(names::fold(row.doc_name.as_str()));
        let told = entry;
        let entry = entry.filter(|entry| entry.row.hash != row.hash);
        let raw = self.original_of_row(row, entry)?;
        let digest = raw
            .as_ref()
            .map(|raw| storage.digest(raw))
            .transpose()?
            .flatten();
        match digest {
            Some((size, hash)) if hash != row.hash && self.taken.hashes.insert(hash) => {
                self.recovered.updated += 1;
                // Where no entry tells it, nobody knows which input replaced the original: one that
                // comes in later must not replace this one's text.
                let wanted = match (told, &raw) {
                    (Some(told), _) => told.row.source_key.as_str(),
                    (None, Some(raw)) => raw.as_str(),
                    (None, None) => row.source_key.as_str(),
                };
                let key = self.key(wanted, &hash);
                self.set_key(row, &key)?;
                let mut restored = self.updated(row, entry, raw, source, size, hash)?;
                restored.source_key = key;
                self.work
                    .registry
                    .write_restored(&restored, self.work.time, self.work.id)
            }
            found => {
                // A document of a service never had one.
                if found.is_none() && row.raw_path.is_some() {
                    self.recovered
                        .lose(&format!("`{}`: its original is missing", row.doc_name));
                }
                self.taken.hashes.insert(row.hash);
                // An entry that names no input says nothing against the one that is registered.
                let named = told
                    .map(|told| told.row.source_key.as_str())
                    .filter(|key| !key.starts_with(identity::LEGACY_PREFIX));
                let key = self.key(named.unwrap_or(row.source_key.as_str()), &row.hash);
                self.set_key(row, &key)?;
                self.refresh_pages(row)
            }
        }
    }

    /// The original of a row of the base: where the entry or the row says, else a file with the
    /// document's name that has the bytes of one of them. Other files with its name are somebody's.
    fn original_of_row(
        &mut self,
        row: &DocumentRow,
        entry: Option<&Imported>,
    ) -> Result<Option<KbPath>, MutationError> {
        let storage = self.work.storage;
        let registered = entry
            .and_then(|entry| entry.row.raw_path.as_ref())
            .or(row.raw_path.as_ref());
        if let Some(path) = registered
            && storage.is_file(path)?
        {
            return self.original(&row.doc_name, Some(path));
        }
        let of_name = self.originals.get(&names::fold(row.doc_name.as_str()));
        for path in of_name.into_iter().flatten() {
            let digest = storage.digest(path)?.map(|(_, hash)| hash);
            let is_its = |hash| hash == row.hash || entry.is_some_and(|one| one.row.hash == hash);
            if digest.is_some_and(is_its) {
                return Ok(Some(path.clone()));
            }
        }
        Ok(None)
    }

    /// Registers a row of the base under a source key. A row that has it and comes later gets another
    /// one in its turn.
    fn set_key(&self, row: &DocumentRow, key: &str) -> Result<(), MutationError> {
        if key == row.source_key.as_str() {
            return Ok(());
        }
        let registry = self.work.registry;
        registry.execute(
            "UPDATE documents SET source_key = ?2 || lower(hex(hash)) WHERE source_key = ?1 AND ordinal <> ?3",
            params![key, identity::LEGACY_PREFIX, row.ordinal],
        )?;
        registry
            .execute(
                "UPDATE documents SET source_key = ?1 WHERE ordinal = ?2",
                params![key, row.ordinal],
            )
            .map(drop)
    }

    fn drop_row(&self, ordinal: i64) -> Result<(), MutationError> {
        let registry = self.work.registry;
        registry.execute("DELETE FROM pages WHERE ordinal = ?1", params![ordinal])?;
        registry.execute("DELETE FROM documents WHERE ordinal = ?1", params![ordinal])?;
        Ok(())
    }

    /// The row of a document whose original was replaced after the base was made.
    fn updated(
        &mut self,
        row: &DocumentRow,
        entry: Option<&Imported>,
        raw: Option<KbPath>,
        source: Option<KbPath>,
        size: u64,
        hash: ContentHash,
    ) -> Result<Restored, MutationError> {
        let told = entry.map_or(row, |entry| &entry.row);
        let mut restored = self.restored(&row.doc_name, raw, source, hash, Some(size))?;
        restored.ordinal = Some(row.ordinal);
        restored.name.clone_from(&told.name);
        restored.kind.clone_from(&told.kind);
        if let Some(entry) = entry {
            restored.doc_id.clone_from(&entry.doc_id);
            restored.origin.clone_from(&entry.origin);
            restored.extra.clone_from(&entry.extra);
        }
        Ok(restored)
    }

    /// The digests of a document that is as it was stay. Where a file differs from its digest a person
    /// changed it; later commits too write into its summary page, though.
    fn refresh_pages(&mut self, row: &DocumentRow) -> Result<(), MutationError> {
        let (storage, registry) = (self.work.storage, self.work.registry);
        let summary = layout::summary_page(&row.doc_name);
        for path in registry.files_of(row.ordinal)? {
            let registered = registry.page_digest(&path)?;
            let now = if storage.is_file(&path)? {
                storage.digest(&path)?
            } else {
                None
            };
            match now {
                None => {
                    self.recovered.lose(&format!("`{path}` is missing"));
                    registry
                        .execute("DELETE FROM pages WHERE path = ?1", params![path.as_str()])?;
                }
                Some((_, hash)) if registered == Some(hash) => {}
                Some(_) if registered == Some(UNKNOWN_DIGEST) => {}
                Some(_) if path == summary => self.doubtful.push(path),
                Some(_) => self.recovered.edited += 1,
            }
        }
        Ok(())
    }

    /// A document that `hashes.json` tells of and the base does not.
    fn of_entry(&mut self, entry: &Imported) -> Result<Option<Candidate>, MutationError> {
        let (storage, row) = (self.work.storage, &entry.row);
        let fold = names::fold(row.doc_name.as_str());
        if self.taken.names.contains(&fold) || self.recovered.dropped.contains(&row.doc_name) {
            return Ok(None);
        }
        let source = self.source(&row.doc_name, row.source_path.as_ref())?;
        if source.is_none() && !storage.is_file(&layout::summary_page(&row.doc_name))? {
            self.recovered.dropped.push(row.doc_name.clone());
            return Ok(None);
        }
        let raw = self.original(&row.doc_name, row.raw_path.as_ref())?;
        let digest = raw
            .as_ref()
            .map(|raw| storage.digest(raw))
            .transpose()?
            .flatten();
        let (size, hash) = digest.map_or((None, row.hash), |(size, hash)| (Some(size), hash));
        if size.is_none() && row.raw_path.is_some() {
            self.recovered
                .lose(&format!("`{}`: its original is missing", row.doc_name));
        }
        if !self.claim(&row.doc_name, hash) {
            return Ok(None);
        }
        let mut restored = self.restored(&row.doc_name, raw, source, hash, size)?;
        restored.source_key = self.key(row.source_key.as_str(), &hash);
        restored.name.clone_from(&row.name);
        restored.kind.clone_from(&row.kind);
        restored.doc_id.clone_from(&entry.doc_id);
        restored.origin.clone_from(&entry.origin);
        restored.extra.clone_from(&entry.extra);
        self.recovered.from_hashes_json += 1;
        Ok(Some(Candidate {
            row: restored,
            is_imported: true,
        }))
    }

    /// A document that only its files tell of.
    fn of_files(&mut self, name: &DocName) -> Result<Option<Candidate>, MutationError> {
        let storage = self.work.storage;
        if self.taken.names.contains(&names::fold(name.as_str())) {
            return Ok(None);
        }
        let Some(raw) = self.original(name, None)? else {
            self.recovered.lose(&format!(
                "`{name}`: it has pages, and no original in `{}`",
                layout::raw_dir()
            ));
            return Ok(None);
        };
        let Some((size, hash)) = storage.digest(&raw)? else {
            return Ok(None);
        };
        if !self.claim(name, hash) {
            return Ok(None);
        }
        let source = self.source(name, None)?;
        let key = self.key(raw.as_str(), &hash);
        let mut restored = self.restored(name, Some(raw), source, hash, Some(size))?;
        restored.source_key = key;
        self.recovered.from_files += 1;
        Ok(Some(Candidate {
            row: restored,
            is_imported: false,
        }))
    }

    /// What the files tell of a document.
    fn restored(
        &mut self,
        name: &DocName,
        raw: Option<KbPath>,
        source: Option<KbPath>,
        hash: ContentHash,
        size: Option<u64>,
    ) -> Result<Restored, MutationError> {
        let storage = self.work.storage;
        // With page texts alone another program made it, and no tree of it was ever registered.
        if storage.is_file(&layout::source_pages_json(name))?
            && storage.is_file(&layout::source_page(name))?
        {
            self.recovered.lose(&format!(
                "`{name}`: no file has its section tree; it is there again once the document is \
                 removed and added anew"
            ));
        }
        let facts = survey::facts(storage.root(), name, source.as_ref(), &self.terms);
        let mut files = survey::files(storage, name, raw.as_ref(), source.as_ref())?;
        // Nobody edits originals and images. Of pages, members among them, nothing tells what was
        // written.
        let images = layout::images_dir(name);
        for (path, digest) in &mut files {
            if !path.starts_with(&layout::raw_dir()) && !path.starts_with(&images) {
                *digest = UNKNOWN_DIGEST;
            }
        }
        let file_name = raw.as_ref().map_or(name.as_str(), KbPath::file_name);
        let extension = file_name
            .rsplit_once('.')
            .map_or("", |(_, extension)| extension);
        let is_long = facts.doc_type == "pageindex";
        Ok(Restored {
            ordinal: None,
            doc_name: name.clone(),
            hash,
            source_key: String::new(),
            kind: if is_long { "long_pdf" } else { extension }.to_owned(),
            name: facts
                .file_name
                .unwrap_or_else(|| SafeLine::with_max(file_name, 255))
                .to_string(),
            raw_path: raw,
            source_path: source,
            doc_id: None,
            origin: None,
            extra: serde_json::Map::new(),
            title: facts.title,
            description: facts.description,
            doc_type: facts.doc_type,
            pages: facts.pages,
            size,
            terms: facts.terms,
            files,
        })
    }

    /// The converted text: where it was registered, else where its pages say.
    fn source(
        &self,
        name: &DocName,
        registered: Option<&KbPath>,
    ) -> Result<Option<KbPath>, MutationError> {
        // An entry that names a file elsewhere is not believed.
        match registered.filter(|path| path.starts_with(&layout::wiki_dir())) {
            Some(path) if self.work.storage.is_file(path)? => Ok(Some(path.clone())),
            _ => Ok(survey::source_of(self.work.storage, name)?),
        }
    }

    /// The original: where it was registered, else the file in `raw/` with the document's name.
    fn original(
        &mut self,
        name: &DocName,
        registered: Option<&KbPath>,
    ) -> Result<Option<KbPath>, MutationError> {
        if let Some(path) = registered.filter(|path| path.starts_with(&layout::raw_dir()))
            && self.work.storage.is_file(path)?
        {
            return Ok(Some(path.clone()));
        }
        let found = self.originals.get(&names::fold(name.as_str()));
        Ok(match found.map_or(&[][..], Vec::as_slice) {
            [] => None,
            [only] => Some(only.clone()),
            [first, others @ ..] => {
                let line = format!(
                    "`{name}`: `{first}` is taken for its original, and not {} other files with \
                     its name",
                    others.len()
                );
                let first = first.clone();
                self.recovered.lose(&line);
                Some(first)
            }
        })
    }

    /// Takes a name and a hash; false, and told, if another document has the hash.
    fn claim(&mut self, name: &DocName, hash: ContentHash) -> bool {
        if !self.taken.hashes.insert(hash) {
            self.recovered.lose(&format!(
                "`{name}`: another document has the same original, and keeps it"
            ));
            return false;
        }
        self.taken.names.insert(names::fold(name.as_str()))
    }

    /// A source key that is free.
    fn key(&mut self, wanted: &str, hash: &ContentHash) -> String {
        if self.taken.keys.insert(wanted.to_owned()) {
            return wanted.to_owned();
        }
        format!("{}{hash}", identity::LEGACY_PREFIX)
    }

    /// Registers the documents in the order in which the index lists them, those that it does not list
    /// last, and puts the entries of `hashes.json` into their order.
    fn register(
        &self,
        mut candidates: Vec<Candidate>,
        imported: &[Imported],
    ) -> Result<(), MutationError> {
        let fold = |name: &DocName| names::fold(name.as_str());
        let order: HashMap<String, (usize, i64)> = survey::index_order(self.work.storage.root())
            .iter()
            .enumerate()
            .map(|(at, listed)| (fold(&listed.name), (at, listed.ordinal_min)))
            .collect();
        candidates.sort_by_key(|one| {
            order
                .get(&fold(&one.row.doc_name))
                .map_or(usize::MAX, |(at, _)| *at)
        });
        let registry = self.work.registry;
        let mut ordinal = registry.last_ordinal()?;
        for candidate in &mut candidates {
            let listed = order.get(&fold(&candidate.row.doc_name));
            ordinal = (ordinal + 1).max(listed.map_or(1, |(_, ordinal_min)| *ordinal_min));
            candidate.row.ordinal = Some(ordinal);
            registry.write_restored(&candidate.row, self.work.time, self.work.id)?;
        }
        let names: HashSet<String> = candidates
            .iter()
            .filter(|one| one.is_imported)
            .map(|one| fold(&one.row.doc_name))
            .collect();
        for entry in imported {
            let name = fold(&entry.row.doc_name);
            if names.contains(&name) {
                registry.execute(
                    "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
                    [],
                )?;
                registry.execute(
                    "UPDATE documents SET revision = (SELECT value FROM meta WHERE key = 'revision') \
                     WHERE name_fold = ?1",
                    params![name],
                )?;
            }
        }
        Ok(())
    }

    /// Registers the pages that documents share: with the digest of the base, if they have one.
    fn shared_pages(&mut self) -> Result<(), MutationError> {
        let (storage, registry) = (self.work.storage, self.work.registry);
        let mut paths: BTreeSet<KbPath> = self.terms.pages.iter().cloned().collect();
        paths.insert(layout::index_page());
        for name in storage.root().list_dir(&layout::index_dir())? {
            paths.extend(layout::index_dir().join(&name).ok());
        }
        for path in registry.shared_pages()? {
            paths.insert(path);
        }
        for path in paths {
            let digest = if storage.is_file(&path)? {
                storage.digest(&path)?
            } else {
                None
            };
            match (digest, registry.page_digest(&path)?) {
                (Some(_), None) => registry.write_page(&path, None, &UNKNOWN_DIGEST)?,
                (Some((_, hash)), Some(registered)) => {
                    if registered != hash && registered != UNKNOWN_DIGEST {
                        self.doubtful.push(path);
                    }
                }
                (None, _) => drop(
                    registry
                        .execute("DELETE FROM pages WHERE path = ?1", params![path.as_str()])?,
                ),
            }
        }
        Ok(())
    }

    /// If the base is the newest word, pages that differ from it were edited, and their digests tell
    /// so. Else nothing tells who changed them.
    fn settle_doubtful(&mut self) -> Result<(), MutationError> {
        let recovered = &mut *self.recovered;
        let is_newest = self.work.is_own_base
            && recovered.updated + recovered.from_hashes_json + recovered.from_files == 0
            && recovered.dropped.is_empty();
        for path in std::mem::take(&mut self.doubtful) {
            if is_newest {
                recovered.edited += 1;
            } else {
                let sql = "UPDATE pages SET sha256 = ?2 WHERE path = ?1";
                let params = params![path.as_str(), UNKNOWN_DIGEST.as_bytes()];
                self.work.registry.execute(sql, params)?;
            }
        }
        Ok(())
    }

    fn tell_what_is_unknown(&mut self) {
        let anew =
            self.recovered.updated + self.recovered.from_hashes_json + self.recovered.from_files;
        if anew > 0 {
            self.recovered.lose(&format!(
                "of {anew} documents: who converted them, when they were added, and which edits \
                 of their pages were made by hand"
            ));
        }
        let from_files = self.recovered.from_files;
        if from_files > 0 {
            self.recovered.lose(&format!(
                "of {from_files} documents: where they came from; a changed version of one comes \
                 in as a new document"
            ));
        }
    }
}

/// The files of `raw/` by the folded name of the document whose original they would be.
fn originals(storage: &Storage) -> Result<HashMap<String, Vec<KbPath>>, MutationError> {
    let mut originals: HashMap<String, Vec<KbPath>> = HashMap::new();
    for name in storage.root().list_dir(&layout::raw_dir())? {
        let Ok(path) = layout::raw_dir().join(&name) else {
            continue;
        };
        if DocName::new(identity::stem(&name)).is_some() && storage.is_file(&path)? {
            let fold = names::fold(identity::stem(&name));
            originals.entry(fold).or_default().push(path);
        }
    }
    Ok(originals)
}

/// The documents that have a summary page or a converted text.
fn page_names(storage: &Storage) -> Result<BTreeSet<DocName>, KbError> {
    let mut names = BTreeSet::new();
    for (dir, extensions) in [
        (layout::summaries_dir(), &[".md"][..]),
        (layout::sources_dir(), &[".md", ".json"]),
    ] {
        for file in storage.root().list_dir(&dir)? {
            let stem = extensions.iter().find_map(|end| file.strip_suffix(end));
            names.extend(stem.and_then(DocName::new));
        }
    }
    Ok(names)
}
