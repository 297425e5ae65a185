//! Carries out the effects of a committed mutation. A failure is a warning; nothing is undone.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

use super::guard::MutationGuard;
use super::overlay::PAGE_BYTES_MAX;
use super::plan::Plan;
use super::registry::{CLOUD_ORIGIN, Row, openkb_digest};
use super::search_index::{self, SearchDocument, SearchPage};
use super::{MutationError, storage::Storage};
use crate::compile;
use crate::effects::Effect;
use crate::kb::config::OpenKbExport;
use crate::kb::registry::DocumentRow;
use crate::kb::{DocName, KbPath, PathError, SafeLine, layout, openkb};
use crate::prepare::PreparedDocument;

/// Up to this many documents `hashes.json` is written after each commit: its cost grows with the KB.
const EXPORT_DOCUMENTS_MAX: u32 = 2_000;

/// The head of a new log page.
pub(super) const LOG_HEAD: &str = "# Operations Log\n\n";

/// `hashes.json` as a commit will export it: already durable, waiting for its rename.
#[derive(Debug)]
pub(super) struct Export {
    pub(super) staged: KbPath,
    /// Digest of the file found, and of the one to be written.
    pub(super) digests: (String, String),
}

/// Renders `hashes.json` for the state after the plan, so that the commit can register its digest
/// and the effect is one rename. `None` where the KB does not export.
///
/// # Errors
/// If the registry cannot be read or the file cannot be written.
pub(super) fn prepare_export(
    guard: &MutationGuard,
    plan: &Plan<'_>,
    staged: &KbPath,
) -> Result<Option<Export>, MutationError> {
    let wanted = plan.effects.contains(&Effect::ExportHashes) && is_wanted(guard)?;
    if !wanted {
        return Ok(None);
    }
    let found = match openkb_digest(guard.storage.root()) {
        Ok(found) => found,
        Err(error) => {
            // Something unreadable lies there: the rename after the commit will say so again.
            tracing::debug!(%error, "hashes.json cannot be read");
            String::new()
        }
    };
    let mut entries = guard.registry.export_entries()?;
    entries.retain(|(_, entry)| {
        let name = entry.doc_name.as_deref();
        !plan
            .removed
            .iter()
            .any(|row| Some(row.doc_name.as_str()) == name)
    });
    for row in &plan.rows {
        // An updated entry moves to the end, as OpenKB does it.
        let is_its =
            |entry: &openkb::Entry| entry.doc_name.as_deref() == Some(row.doc_name.as_str());
        let before = entries.iter().position(|(_, entry)| is_its(entry));
        let before = before.map(|at| entries.remove(at).1);
        let entry = openkb::Entry {
            name: row.name.to_string(),
            doc_name: Some(row.doc_name.to_string()),
            kind: row.kind.clone(),
            path: Some(row.source_key.clone()),
            raw_path: row.raw_path.as_ref().map(ToString::to_string),
            source_path: Some(row.source_path.to_string()),
            doc_id: row.remote_id().map(str::to_owned),
            origin: row.cloud.as_ref().map(|_| CLOUD_ORIGIN.to_owned()),
            extra: before.map(|before| before.extra).unwrap_or_default(),
        };
        entries.push((row.hash, entry));
    }
    let text = openkb::render(&entries);
    guard.storage.write_new(
        "snapshot.export",
        staged,
        text.as_bytes(),
        guard.storage.new_file_mode(),
    )?;
    let written = crate::kb::ContentHash::of(text.as_bytes()).to_hex();
    Ok(Some(Export {
        staged: staged.clone(),
        digests: (found, written),
    }))
}

/// Carries out a plan's effects; returns a warning for each that failed.
pub(super) fn carry_out(
    guard: &MutationGuard,
    plan: &Plan<'_>,
    export: Option<Export>,
) -> Vec<SafeLine> {
    let mut warnings = Vec::new();
    let mut lines = String::new();
    for effect in &plan.effects {
        match effect {
            Effect::LogLine { operation, text } => {
                let written = writeln!(
                    lines,
                    "## [{}] {operation} | {text}\n",
                    guard.clock.log_time()
                );
                written.expect("writing to a string cannot fail");
            }
            Effect::Search { .. } => {
                if let Err(error) = update_search(guard, plan) {
                    let cause: &dyn std::error::Error = match &error {
                        // It is the index that was written.
                        MutationError::Registry(source) => source,
                        other => other,
                    };
                    warnings.push(warning("update the search index", cause));
                }
            }
            Effect::ExportHashes => {
                let Some(export) = &export else { continue };
                match guard
                    .storage
                    .rename("effects.export", &export.staged, &layout::hashes_json())
                {
                    Ok(()) => guard.registry.note_export_written(),
                    Err(error) => {
                        warnings.push(warning("export the registry for OpenKB", &error));
                    }
                }
            }
        }
    }
    if let Err(error) = append_log(&guard.storage, &lines) {
        warnings.push(warning("append to the log page", &error));
    }
    warnings
}

/// A failed effect as one line for the user.
pub(super) fn warning(what: &str, error: &dyn std::error::Error) -> SafeLine {
    let mut text = format!("could not {what}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        write!(text, ": {cause}").expect("writing to a string cannot fail");
        source = cause.source();
    }
    SafeLine::new(&text)
}

fn append_log(storage: &Storage, lines: &str) -> Result<(), PathError> {
    if lines.is_empty() {
        return Ok(());
    }
    let head = if storage.exists(&layout::log_page())? {
        ""
    } else {
        LOG_HEAD
    };
    storage.append(
        "effects.log",
        &layout::log_page(),
        format!("{head}{lines}").as_bytes(),
    )
}

fn update_search(guard: &MutationGuard, plan: &Plan<'_>) -> Result<(), MutationError> {
    guard.storage.point("effects.search")?;
    let documents: Vec<SearchDocument<'_>> = plan
        .rows
        .iter()
        .zip(&plan.documents)
        .map(|(row, document)| SearchDocument {
            name: &row.doc_name,
            title: &row.title,
            pages: pages_of(row, document),
        })
        .collect();
    let path = guard.storage.root().database(&layout::search_db())?;
    let (uuid, epoch) = (
        guard.registry.uuid()?,
        guard.registry.meta_integer("epoch")?,
    );
    let removed: Vec<DocName> = plan
        .removed
        .iter()
        .map(|row| row.doc_name.clone())
        .collect();
    let updated = search_index::update(&path, &uuid, epoch, &documents, &removed)
        .map_err(MutationError::Registry)
        .and_then(|followed| match followed {
            true => Ok(()),
            false => rebuild_search(guard, &path, &uuid, epoch),
        });
    if let Err(MutationError::Registry(error)) = &updated
        && is_damaged(error)
    {
        // It holds nothing that the next commit cannot build anew. With its journal: SQLite would
        // take that for one of the new index.
        for gone in [layout::search_db(), layout::search_db_journal()] {
            guard.storage.unlink("effects.search-unlink", &gone)?;
        }
    }
    updated
}

/// Builds the index anew after a change of the registry that no plan describes.
///
/// # Errors
/// If it cannot be written.
pub(super) fn rebuild_search_index(guard: &MutationGuard) -> Result<(), MutationError> {
    guard.storage.point("effects.search")?;
    let path = guard.storage.root().database(&layout::search_db())?;
    let (uuid, epoch) = (
        guard.registry.uuid()?,
        guard.registry.meta_integer("epoch")?,
    );
    rebuild_search(guard, &path, &uuid, epoch)
}

/// Builds the index anew from the converted pages: it missed commits, or was lost.
fn rebuild_search(
    guard: &MutationGuard,
    path: &Path,
    uuid: &str,
    epoch: i64,
) -> Result<(), MutationError> {
    let span = tracing::info_span!("rebuild_search");
    let _entered = span.enter();
    let rows = guard.registry.documents("ORDER BY ordinal", [])?;
    let root = guard.storage.root();
    let text = |page: &KbPath| {
        let page = root.read(page, PAGE_BYTES_MAX).ok().flatten();
        page.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    };
    let pages_of = |row: &DocumentRow, source: &KbPath| {
        let main = compile::analyse(&text(source), None, &[], row.doc_name.as_str()).sections;
        let mut members = guard.registry.files_of(row.ordinal).unwrap_or_default();
        let dir = layout::members_dir(&row.doc_name);
        members.retain(|path| path.parent().as_ref() == Some(&dir));
        let sections = compile::member_sections(members.iter().map(text));
        let mut pages = vec![(source.clone(), Cow::Owned(main))];
        pages.extend(
            members
                .into_iter()
                .zip(sections.into_iter().map(Cow::Owned)),
        );
        pages
    };
    search_index::rebuild(path, uuid, epoch, &rows, pages_of).map_err(MutationError::Registry)
}

/// The pages of a document that was committed, with their text as it was prepared.
fn pages_of<'a>(row: &Row, document: &'a PreparedDocument) -> Vec<SearchPage<'a>> {
    let main = Cow::Borrowed(&document.analysis.sections[..]);
    let dir = layout::members_dir(&row.doc_name);
    let members = document.members.iter().zip(&document.analysis.members);
    let members = members.filter_map(|(member, sections)| {
        let path = dir.join(&member.published_name).ok()?;
        Some((path, Cow::Borrowed(&sections[..])))
    });
    std::iter::once((row.source_path.clone(), main))
        .chain(members)
        .collect()
}

/// Whether an error tells of what the index holds, not of the disk or of somebody in the way: after
/// a power cut its pages may each be sound and contradict each other.
fn is_damaged(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    match error.sqlite_error_code() {
        Some(code) => matches!(
            code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                // A table or column is missing.
                | ErrorCode::Unknown
        ),
        None => matches!(error, rusqlite::Error::InvalidColumnType(..)),
    }
}

pub(super) fn is_wanted(guard: &MutationGuard) -> Result<bool, MutationError> {
    Ok(match guard.openkb_export {
        OpenKbExport::Always => true,
        OpenKbExport::Never => false,
        OpenKbExport::Auto => {
            guard.registry.meta_integer("openkb")? == 1
                || !guard.registry.has_more_than(EXPORT_DOCUMENTS_MAX)?
        }
    })
}
