//! Plans a removal: which files and which lines of shared pages go with a document. Reads only.
//!
//! A document goes with the files that the registry has as its own and that bear its name; what
//! somebody else put beside them stays.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::MutationError;
use super::guard::MutationGuard;
use super::overlay::{Ground, Overlay};
use super::plan::{Plan, declare_pages};
use super::registry::Registry;
use super::storage::Storage;
use super::touched::{Content, TouchedPaths};
use crate::compile;
use crate::effects::Effect;
use crate::kb::registry::DocumentRow;
use crate::kb::{ContentHash, DocName, KbPath, KbRoot, SafeLine, layout};

/// A document to be removed, as it was when somebody chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    ordinal: i64,
    name: DocName,
    hash: ContentHash,
}

impl From<&DocumentRow> for Removal {
    fn from(row: &DocumentRow) -> Self {
        Self {
            ordinal: row.ordinal,
            name: row.doc_name.clone(),
            hash: row.hash,
        }
    }
}

/// What became of a document that was removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its name.
    pub name: DocName,
    /// Its files that are gone, by path.
    pub files: Vec<KbPath>,
    /// Its original, if it was kept.
    pub kept: Option<KbPath>,
    /// Hand edits kept aside.
    pub warnings: Vec<SafeLine>,
}

/// What became of a group of removals.
#[derive(Debug, Default)]
pub struct RemovalOutcome {
    /// One verdict a document, in order; fewer than documents if the owner stopped.
    pub verdicts: Vec<Result<Removed, MutationError>>,
    /// Warnings of effects that failed, and of shared pages.
    pub warnings: Vec<SafeLine>,
    /// The KB or the disk is in trouble: nothing more can be removed.
    pub stop: Option<MutationError>,
}

/// What a removal would change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// The documents, in order.
    pub documents: Vec<PreviewedDocument>,
    /// Pages shared with other documents that would lose lines, by path.
    pub edited: Vec<KbPath>,
    /// Pages that no two documents would share any more and that would go, by path.
    pub deleted: Vec<KbPath>,
}

/// What would become of one document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviewedDocument {
    /// Its name.
    pub name: DocName,
    /// Its files that would go, by path.
    pub files: Vec<KbPath>,
    /// Its original, if it would be kept.
    pub kept: Option<KbPath>,
}

/// Tells what removing documents would change in the KB as it is now. Takes no lock and writes
/// nothing: a command that changes the KB meanwhile can make it out of date.
///
/// # Errors
/// If the KB cannot be read, or a document is not there as it was chosen.
pub fn preview_removal(
    root: &Arc<KbRoot>,
    group: &[Removal],
    keep_raw: bool,
) -> Result<Preview, MutationError> {
    let storage = Storage::new(Arc::clone(root));
    let registry = Registry::for_reading(root)?;
    let ground = Ground {
        storage: &storage,
        registry: &registry,
    };
    let rows: Vec<DocumentRow> = group
        .iter()
        .map(|removal| as_chosen(&registry, removal))
        .collect::<Result<_, _>>()?;
    let mut overlay = Overlay::new(ground);
    let mut preview = Preview::default();
    for row in &rows {
        let files = take_out(ground, &mut overlay, row, keep_raw)?;
        preview.documents.push(PreviewedDocument {
            name: row.doc_name.clone(),
            files: files.gone,
            kept: files.kept,
        });
    }
    for (path, text) in overlay.take_pages() {
        let own = rows
            .iter()
            .position(|row| layout::summary_page(&row.doc_name) == path);
        match (own, text) {
            (Some(own), _) => preview.documents[own].files.push(path),
            (None, Some(_)) => preview.edited.push(path),
            (None, None) => preview.deleted.push(path),
        }
    }
    for document in &mut preview.documents {
        document.files.sort();
    }
    Ok(preview)
}

/// What the plan says of the documents of a group, in order.
pub(super) type Verdicts = Vec<Result<Removed, MutationError>>;

/// Plans to remove the group from the KB as the guard holds it. A document that is not there as it
/// was chosen is no part of the plan and has its error among the verdicts.
///
/// # Errors
/// If the KB cannot be read, or something that is no file lies where one has to be removed.
pub(super) fn plan_removal(
    guard: &MutationGuard,
    group: &[Removal],
    keep_raw: bool,
) -> Result<(Plan<'static>, Verdicts), MutationError> {
    guard.storage.point("plan.before")?;
    let mut overlay = Overlay::new(guard);
    let mut touched = TouchedPaths::of_remove();
    let (mut verdicts, mut removed, mut effects) = (Vec::new(), Vec::new(), Vec::new());
    for removal in group {
        let row = match as_chosen(&guard.registry, removal) {
            Ok(row) => row,
            Err(error) if error.is_of_the_kb() => return Err(error),
            Err(error) => {
                verdicts.push(Err(error));
                continue;
            }
        };
        let files = take_out(guard.into(), &mut overlay, &row, keep_raw)?;
        let index = Some(removed.len());
        for path in &files.gone {
            let planned = guard.storage.version(path)?;
            touched.declare(guard, path.clone(), planned, Content::Absent, true, index);
        }
        effects.push(log_line(&row));
        verdicts.push(Ok(Removed {
            name: row.doc_name.clone(),
            files: Vec::new(),
            kept: files.kept,
            warnings: Vec::new(),
        }));
        removed.push(row);
    }
    let names: Vec<DocName> = removed.iter().map(|row| row.doc_name.clone()).collect();
    declare_pages(guard, &mut overlay, &mut touched, &names)?;
    tell_files(&mut verdicts, &touched);
    if !names.is_empty() {
        effects.push(Effect::Search { documents: names });
        effects.push(Effect::ExportHashes);
    }
    let (_, index) = overlay.into_parts();
    let epoch = guard.registry.meta_integer("epoch")?;
    guard.storage.point("plan.after")?;
    let plan = Plan {
        epoch,
        slots: Vec::new(),
        rows: Vec::new(),
        documents: Vec::new(),
        removed,
        index,
        touched,
        made_dirs: Vec::new(),
        effects,
        checkpoints: Vec::new(),
    };
    Ok((plan, verdicts))
}

/// Puts the files that the plan deletes into the verdicts of their documents.
fn tell_files(verdicts: &mut Verdicts, touched: &TouchedPaths) {
    let mut files: BTreeMap<usize, Vec<KbPath>> = BTreeMap::new();
    for touch in touched.iter().filter(|touch| touch.planned.is_some()) {
        if let Some(document) = touch.document {
            let path = touch.path.as_kb_path().clone();
            files.entry(document).or_default().push(path);
        }
    }
    for (index, removed) in verdicts.iter_mut().flatten().enumerate() {
        removed.files = files.remove(&index).unwrap_or_default();
    }
}

/// The registered document that was chosen, if it is still that one.
fn as_chosen(registry: &Registry, removal: &Removal) -> Result<DocumentRow, MutationError> {
    let found = registry.document_by("ordinal", &removal.ordinal)?;
    let row = found
        .filter(|row| row.doc_name == removal.name)
        .ok_or_else(|| MutationError::DocumentGone(removal.name.clone()))?;
    if row.hash != removal.hash {
        return Err(MutationError::DocumentUpdated(removal.name.clone()));
    }
    Ok(row)
}

/// The files of one document, without its summary page, which compile decides on.
#[derive(Default)]
struct Files {
    gone: Vec<KbPath>,
    /// Its original, where that is to be kept.
    kept: Option<KbPath>,
}

/// Takes a document out of the overlay, with its lines of shared pages.
fn take_out(
    ground: Ground<'_>,
    overlay: &mut Overlay<'_>,
    row: &DocumentRow,
    keep_raw: bool,
) -> Result<Files, MutationError> {
    let files = files_of(ground, row, keep_raw)?;
    let changes = compile::retract(overlay, &row.doc_name)?;
    overlay.apply(changes);
    overlay.remove_row(row.ordinal);
    Ok(files)
}

/// What is there of a document's files. One that is gone already is none.
fn files_of(ground: Ground<'_>, row: &DocumentRow, keep_raw: bool) -> Result<Files, MutationError> {
    let mut paths = ground.registry.files_of(row.ordinal)?;
    if paths.is_empty() {
        paths = imported_files(ground, row)?;
    }
    paths.extend(row.raw_path.clone());
    paths.retain(|path| layout::is_file_of(&row.doc_name, path));
    paths.sort();
    paths.dedup();
    let summary = layout::summary_page(&row.doc_name);
    let mut files = Files::default();
    for path in paths {
        if path == summary || ground.storage.version(&path)?.is_none() {
            continue;
        }
        if keep_raw && path.starts_with(&layout::raw_dir()) {
            files.kept = Some(path);
        } else {
            files.gone.push(path);
        }
    }
    Ok(files)
}

/// Where the files of a document lie that another program made: nobody registered them.
fn imported_files(ground: Ground<'_>, row: &DocumentRow) -> Result<Vec<KbPath>, MutationError> {
    let name = &row.doc_name;
    let mut paths = vec![layout::source_page(name), layout::source_pages_json(name)];
    paths.extend(row.source_path.clone());
    for dir in layout::part_dirs(name) {
        for part in ground.storage.root().list_dir(&dir)? {
            // What has another name than a path can have, or is a folder, was not put there by a
            // converter.
            let Ok(path) = dir.join(&part) else {
                continue;
            };
            if ground.storage.version(&path).is_ok() {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

fn log_line(row: &DocumentRow) -> Effect {
    let text = format!("{} → removed summaries/{}", row.name, row.doc_name);
    Effect::LogLine {
        operation: "remove",
        text: SafeLine::new(&text),
    }
}
