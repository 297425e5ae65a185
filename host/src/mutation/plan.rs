//! What a mutation will do, and the plan of an add: binds names, compiles, and declares every path
//! that will be touched. Reads only. Removals are planned in `removal`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::MutationError;
use super::guard::MutationGuard;
use super::overlay::Overlay;
use super::registry::Row;
use super::touched::{Content, TouchedPaths};
use crate::compile::{self, IndexFacts, NamedDocument};
use crate::effects::Effect;
use crate::kb::registry::DocumentRow;
use crate::kb::{
    CheckpointKey, ContentHash, DocName, KbError, KbPath, SafeLine, identity, layout, names,
};
use crate::prepare::{Directories, Made, PreparedDocument, Provenance, ReadyFile};

/// Digits of the source key's hash that a name can get, in turn, until it is free.
const SUFFIX_DIGITS: [usize; 4] = [8, 16, 32, 64];

/// The lock is to be held for some 50 ms; publishing takes about as long as planning.
const PLANNING_MAX: Duration = Duration::from_millis(25);

/// Fewer documents than these do not end a plan: on a slow disk each would pay for the syncs of a
/// whole mutation.
const PLANNED_MIN: usize = 16;

/// What the plan says of one document of the group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Its bytes are registered under this name.
    Duplicate(DocName),
    /// It is the plan's n-th row.
    Row(usize),
}

/// Everything that one mutation will do.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The registry's epoch that the plan was made from.
    pub(super) epoch: i64,
    /// Of an add: one slot for each document of the group, in order.
    pub(super) slots: Vec<Slot>,
    /// Documents to be registered, in order, and what they were prepared as.
    pub(super) rows: Vec<Row>,
    pub(super) documents: Vec<&'a PreparedDocument>,
    /// Registered documents that go, in order.
    pub(super) removed: Vec<DocumentRow>,
    /// What changes of the index beside its pages.
    pub(super) index: IndexFacts,
    /// Every path that may be changed, and by what kind of mutation.
    pub(super) touched: TouchedPaths,
    /// Directories to be made, parents first.
    pub(super) made_dirs: Vec<KbPath>,
    pub(super) effects: Vec<Effect>,
    /// Checkpoints of the conversions whose results are in the KB after it.
    pub(super) checkpoints: Vec<CheckpointKey>,
}

impl Plan<'_> {
    /// Whether there is nothing to be done.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.removed.is_empty()
    }
}

/// Plans to add the group to the KB as the guard holds it: the whole of it, or, once planning takes
/// longer than [`PLANNING_MAX`], the documents up to there. The plan has a slot for each that it is
/// of.
///
/// # Errors
/// If the KB cannot be read, or something that is no file lies where one has to be written.
pub(super) fn plan_add<'a>(
    guard: &MutationGuard,
    group: &'a [PreparedDocument],
) -> Result<Plan<'a>, MutationError> {
    guard.storage.point("plan.before")?;
    let mut overlay = Overlay::new(guard);
    let mut touched = TouchedPaths::of_add();
    let (mut slots, mut documents, mut effects) = (Vec::new(), Vec::new(), Vec::new());
    let started = Instant::now();
    for document in group {
        if documents.len() >= PLANNED_MIN && started.elapsed() > PLANNING_MAX {
            break;
        }
        if let Some(name) = registered_as(guard, &overlay, document)?
            && !is_made_anew(guard, &overlay, document)?
        {
            slots.push(Slot::Duplicate(name));
            continue;
        }
        let index = documents.len();
        guard.storage.point("names.before")?;
        let bound = bind(guard, &overlay, document)?;
        guard.storage.point("names.after")?;
        let row = row_of(document, &bound);
        let files = declare_files(guard, &mut touched, index, document, &row)?;
        retire_old_files(guard, &mut touched, bound.previous.as_ref(), &files, index)?;
        let named = named(document, &row);
        let changes = compile::compile(&overlay, &named)?;
        let updated = bound.previous.is_some();
        let named_file = row.name.clone();
        overlay.push_row(Row { files, ..row });
        overlay.apply(changes);
        effects.push(log_line(&named_file, &bound.name, updated));
        documents.push(document);
        slots.push(Slot::Row(index));
    }
    let names = documents_of(&overlay);
    for (own, path, hash) in declare_pages(guard, &mut overlay, &mut touched, &names)? {
        overlay.rows_mut()[own].files.push((path, hash));
    }
    let (rows, index) = overlay.into_parts();
    let made_dirs = missing_dirs(guard, &touched)?;
    if !rows.is_empty() {
        effects.push(Effect::Search {
            documents: rows.iter().map(|row| row.doc_name.clone()).collect(),
        });
        effects.push(Effect::ExportHashes);
    }
    let planned = group.iter().take(slots.len());
    let checkpoints = planned.filter_map(|document| document.checkpoint).collect();
    let epoch = guard.registry.meta_integer("epoch")?;
    guard.storage.point("plan.after")?;
    Ok(Plan {
        epoch,
        slots,
        rows,
        documents,
        removed: Vec::new(),
        index,
        touched,
        made_dirs,
        effects,
        checkpoints,
    })
}

/// A document's name, and the registered document it replaces.
struct Bound {
    name: DocName,
    previous: Option<DocumentRow>,
    extension: String,
}

fn registered_as(
    guard: &MutationGuard,
    overlay: &Overlay<'_>,
    document: &PreparedDocument,
) -> Result<Option<DocName>, KbError> {
    let hash = &document.original.hash;
    if let Some(row) = overlay.rows().iter().find(|row| row.hash == *hash) {
        return Ok(Some(row.doc_name.clone()));
    }
    let mut found = guard.registry.document_by("hash", hash.as_bytes())?;
    // What was sent to the service from here and what is fetched from there are one document.
    let id = document.cloud.as_ref().and_then(|cloud| cloud.id.as_ref());
    if let (None, None, Some(id)) = (&found, &document.original.file, id) {
        found = guard.registry.document_by("doc_id", &id.as_str())?;
    }
    // A document of the plan that replaces this row takes its bytes away.
    let found = found.filter(|row| {
        !overlay
            .rows()
            .iter()
            .any(|over| over.ordinal == Some(row.ordinal))
    });
    Ok(found.map(|row| row.doc_name))
}

/// Whether the document is to take the place of the one that has its bytes: it comes from the same
/// source, or from its original in the KB, and another converter made it, or one with other options.
fn is_made_anew(
    guard: &MutationGuard,
    overlay: &Overlay<'_>,
    document: &PreparedDocument,
) -> Result<bool, KbError> {
    let hash = &document.original.hash;
    if !document.again || overlay.rows().iter().any(|row| row.hash == *hash) {
        return Ok(false);
    }
    let Some(row) = guard.registry.document_by("hash", hash.as_bytes())? else {
        return Ok(false);
    };
    if !row.comes_from(&document.key) {
        return Ok(false);
    }
    let recorded = guard.registry.provenance(row.ordinal)?;
    let made = recorded.as_deref().and_then(Made::of);
    Ok(made.is_none_or(|made| !made.is_by(&document.plugin.digest, &document.options)))
}

/// Binds the final name: the one this source had before, else one made from the file's stem, with
/// digits of the source key's hash when another document, or a file of unknown origin, has it.
fn bind(
    guard: &MutationGuard,
    overlay: &Overlay<'_>,
    document: &PreparedDocument,
) -> Result<Bound, MutationError> {
    let extension = document.extension.to_ascii_lowercase();
    // A row that an earlier document of the group replaces is that document's.
    let by = |column, value: &str| -> Result<Option<DocumentRow>, KbError> {
        let found = guard.registry.document_by(column, &value)?;
        Ok(found.filter(|row| {
            !overlay
                .rows()
                .iter()
                .any(|over| over.ordinal == Some(row.ordinal))
        }))
    };
    let mut previous = by("source_key", document.key.as_str())?;
    if previous.is_none() {
        previous = by("raw_path", document.key.as_str())?;
    }
    // An old entry of OpenKB's without a path was made from a file.
    if previous.is_none() && document.original.file.is_some() {
        previous = by(
            "source_key",
            identity::legacy_key(&document.file_name).as_str(),
        )?;
    }
    if let Some(previous) = previous {
        return Ok(Bound {
            name: previous.doc_name.clone(),
            previous: Some(previous),
            extension,
        });
    }
    let wanted = names::from_stem(identity::stem(&document.file_name));
    let candidates = std::iter::once(wanted.clone())
        .chain(SUFFIX_DIGITS.map(|digits| names::with_suffix(&wanted, &document.key, digits)));
    for name in candidates {
        if is_free(guard, overlay, &name, document)? {
            return Ok(Bound {
                name,
                previous: None,
                extension,
            });
        }
    }
    Err(MutationError::NoFreeName(wanted.to_string()))
}

/// Whether a document of these bytes can have a name: no other document has it, and no file would
/// be overwritten.
fn is_free(
    guard: &MutationGuard,
    overlay: &Overlay<'_>,
    name: &DocName,
    document: &PreparedDocument,
) -> Result<bool, MutationError> {
    let fold = names::fold(name.as_str());
    if overlay
        .rows()
        .iter()
        .any(|row| names::fold(row.doc_name.as_str()) == fold)
        || guard.registry.owns_name(&fold)?
    {
        return Ok(false);
    }
    // Files that nobody registered are somebody's all the same: they are not overwritten.
    let paths = [
        layout::source_page(name),
        layout::source_pages_json(name),
        layout::summary_page(name),
    ];
    for path in &paths {
        if guard.storage.exists(path)? {
            return Ok(false);
        }
    }
    // An empty folder holds nothing that could be overwritten.
    let is_empty = |dir: &KbPath| {
        let names = guard.storage.root().list_dir(dir);
        names.is_ok_and(|names| names.is_empty())
    };
    for dir in layout::part_dirs(name) {
        if guard.storage.exists(&dir)? && !is_empty(&dir) {
            return Ok(false);
        }
    }
    // An original with the same bytes, left by `remove --keep-raw` or put there by hand, is taken
    // over: nothing is lost by it, and the document has its old name again.
    if document.original.file.is_none() {
        return Ok(true);
    }
    let raw = layout::raw_file(name, &document.extension.to_ascii_lowercase());
    let hash = document.original.hash;
    let is_same = |raw| matches!(guard.storage.digest(raw), Ok(Some((_, found))) if found == hash);
    Ok(!guard.storage.exists(&raw)? || is_same(&raw))
}

/// The type of a document that PageIndex Cloud made, as OpenKB writes it.
const CLOUD_KIND: &str = "pageindex_cloud";

fn row_of(document: &PreparedDocument, bound: &Bound) -> Row {
    let is_long = document.pages_json.is_some();
    let kind = if document.cloud.is_some() {
        CLOUD_KIND.to_owned()
    } else if is_long {
        "long_pdf".to_owned()
    } else {
        document.extension.clone()
    };
    let original = document.original.file.as_ref();
    let terms = document.analysis.terms.iter();
    // Made again from its original, a document keeps the source that it came from.
    let same = bound.previous.as_ref();
    let same = same.filter(|row| document.again && row.hash == document.original.hash);
    let source_key = same.map_or(&document.key, |row| &row.source_key);
    let file_name = same.map_or(document.file_name.as_str(), |row| row.name.as_str());
    Row {
        ordinal: bound.previous.as_ref().map(|row| row.ordinal),
        doc_name: bound.name.clone(),
        hash: document.original.hash,
        source_key: source_key.as_str().to_owned(),
        name: SafeLine::with_max(file_name, 255),
        kind,
        raw_path: original.map(|_| layout::raw_file(&bound.name, &bound.extension)),
        source_path: layout::source_page(&bound.name),
        media_type: document.media_type.clone(),
        title: document.analysis.title.clone(),
        description: document.analysis.description.clone(),
        doc_type: if is_long { "pageindex" } else { "short" },
        pages: document.page_count,
        size: original.map(|file| file.size),
        cloud: document.cloud.clone(),
        plugin: format!("{} {}", document.plugin.name, document.plugin.version),
        provenance: provenance(document),
        tree: document
            .tree
            .as_ref()
            .map(|tree| serde_json::to_string(tree).expect("BUG: lines and numbers are JSON")),
        terms: terms
            .map(|term| (term.kind, term.slug.clone(), term.label.clone()))
            .collect(),
        files: Vec::new(),
    }
}

/// What made this document: kept in the registry, compared by later verification.
fn provenance(document: &PreparedDocument) -> String {
    serde_json::to_string(&Provenance::of(document))
        .expect("BUG: strings, numbers and digests are JSON")
}

/// Declares the original, the converted page, its images and members; returns them with their digests.
fn declare_files(
    guard: &MutationGuard,
    touched: &mut TouchedPaths,
    index: usize,
    document: &PreparedDocument,
    row: &Row,
) -> Result<Vec<(KbPath, ContentHash)>, MutationError> {
    let staged = |dir: std::path::PathBuf, file: &ReadyFile| Content::Staged {
        path: dir.join(&file.name),
        size: file.size,
        hash: file.hash,
    };
    let ready = || document.staging.ready();
    let mut files = Vec::new();
    if let (Some(path), Some(file)) = (&row.raw_path, &document.original.file) {
        files.push((path.clone(), staged(document.staging.input(), file)));
    }
    let placeholders = document.placeholders();
    let resolved = |file: &ReadyFile, images: &str, members: &str| {
        let path = ready().join(&file.name);
        let text = std::fs::read(&path).map_err(|e| crate::kb::PathError::new("read", &path, e))?;
        let text = placeholders.resolve(&text, Directories { images, members });
        Ok::<_, MutationError>(Content::Rendered(text))
    };
    let name = &row.doc_name;
    // Each file names images and members as seen from where its reader starts: the page from its own
    // folder, the page texts from the wiki's, as the peer's do. A document's name needs no escape in
    // JSON.
    let long = document.pages_json.as_ref();
    let long = long.map(|pages| (layout::source_pages_json(name), pages, "sources/"));
    let main = (row.source_path.clone(), &document.main, "");
    for (path, file, prefix) in std::iter::once(main).chain(long) {
        let content = if placeholders.is_empty() {
            staged(ready(), file)
        } else {
            let images = format!("{prefix}images/{name}/");
            resolved(file, &images, &format!("{prefix}members/{name}/"))?
        };
        files.push((path, content));
    }
    let images_dir = layout::images_dir(&row.doc_name);
    for image in &document.images {
        let path = images_dir
            .join(&image.published_name)
            .map_err(KbError::from)?;
        files.push((path, staged(ready(), &image.file)));
    }
    let members_dir = layout::members_dir(&row.doc_name);
    // A member lies beside the others, two folders below the main page.
    let images = format!("../../images/{}/", row.doc_name);
    for member in &document.members {
        let path = members_dir
            .join(&member.published_name)
            .map_err(KbError::from)?;
        let content = if member.has_placeholders {
            resolved(&member.file, &images, "")?
        } else {
            staged(ready(), &member.file)
        };
        files.push((path, content));
    }
    let mut digests = Vec::with_capacity(files.len());
    for (path, content) in files {
        let (_, hash) = content
            .digest()
            .expect("BUG: a document's files have content");
        let planned = guard.storage.version(&path)?;
        touched.declare(guard, path.clone(), planned, content, true, Some(index));
        digests.push((path, hash));
    }
    Ok(digests)
}

/// Declares the removal of files that the earlier version of a document had and this one has not.
fn retire_old_files(
    guard: &MutationGuard,
    touched: &mut TouchedPaths,
    previous: Option<&DocumentRow>,
    files: &[(KbPath, ContentHash)],
    index: usize,
) -> Result<(), MutationError> {
    let Some(previous) = previous else {
        return Ok(());
    };
    let mut old = guard.registry.files_of(previous.ordinal)?;
    old.extend(previous.raw_path.clone());
    // A registry and an imported entry are somebody's word: only a file of this name is taken for it.
    old.retain(|path| {
        layout::is_file_of(&previous.doc_name, path)
            && !files.iter().any(|(new, _)| new == path)
            && *path != layout::summary_page(&previous.doc_name)
    });
    for path in old {
        if !touched.contains(&path) {
            let planned = guard.storage.version(&path)?;
            touched.declare(guard, path, planned, Content::Absent, true, Some(index));
        }
    }
    Ok(())
}

fn named<'a>(document: &'a PreparedDocument, row: &'a Row) -> NamedDocument<'a> {
    NamedDocument {
        name: &row.doc_name,
        doc_type: row.doc_type,
        file_name: &row.name,
        page_count: row.pages,
        metadata: &document.metadata,
        analysis: &document.analysis,
        tree: document.tree.as_ref(),
    }
}

fn documents_of(overlay: &Overlay<'_>) -> Vec<DocName> {
    let rows = overlay.rows().iter();
    rows.map(|row| row.doc_name.clone()).collect()
}

/// Declares the pages that compile decided on. The own summary page of one of the `documents` of
/// the plan is replaced or removed as a whole and counts as its file; every other page was edited
/// line by line. Returns the summaries written: whose, where, and their digest.
pub(super) fn declare_pages(
    guard: &MutationGuard,
    overlay: &mut Overlay<'_>,
    touched: &mut TouchedPaths,
    documents: &[DocName],
) -> Result<Vec<(usize, KbPath, ContentHash)>, MutationError> {
    let mut summaries = Vec::new();
    let pages: BTreeMap<KbPath, Option<String>> = overlay.take_pages();
    for (path, text) in pages {
        let own = documents
            .iter()
            .position(|name| layout::summary_page(name) == path);
        let content = match text {
            Some(text) => Content::Rendered(text.into_bytes()),
            None => Content::Absent,
        };
        let digest = content.digest();
        let whole = own.is_some() || digest.is_none() || overlay.is_lossy(&path);
        let planned = overlay.version_read(&path)?;
        touched.declare(guard, path.clone(), planned, content, whole, own);
        if let (Some(own), Some((_, hash))) = (own, digest) {
            summaries.push((own, path, hash));
        }
    }
    Ok(summaries)
}

fn log_line(file_name: &SafeLine, name: &DocName, updated: bool) -> Effect {
    let update = if updated { " (update)" } else { "" };
    let text = SafeLine::new(&format!("{file_name} → summaries/{name}{update}"));
    Effect::LogLine {
        operation: "ingest",
        text,
    }
}

/// The directories that declared files need and that are not there, parents first.
fn missing_dirs(
    guard: &MutationGuard,
    touched: &TouchedPaths,
) -> Result<Vec<KbPath>, MutationError> {
    let mut missing = BTreeSet::new();
    for touch in touched
        .iter()
        .filter(|touch| touch.content != Content::Absent)
    {
        let mut dir = touch.path.as_kb_path().parent();
        while let Some(here) = dir {
            if missing.contains(&here) || guard.storage.exists(&here)? {
                break;
            }
            dir = here.parent();
            missing.insert(here);
        }
    }
    // A parent sorts before what lies in it.
    Ok(missing.into_iter().collect())
}
