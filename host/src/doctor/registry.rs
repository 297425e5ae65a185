//! The registry by itself: can it be trusted, and is it the newest word.

use std::sync::Arc;

use super::{Report, Severity};
use crate::kb::registry::{DocumentRow, PageRow, Reader};
use crate::kb::{ContentHash, KbError, KbRoot, layout, openkb, search, shell_word};

const REBUILD: &str = "kbhost registry rebuild";

/// What the registry says, as far as it can be read.
pub(super) struct Registered {
    pub(super) documents: Vec<DocumentRow>,
    pub(super) pages: Vec<PageRow>,
    /// `registry.db` is there; else the rows are OpenKB's.
    pub(super) is_ours: bool,
}

/// Reads the registry; `None` if nothing of it can be used.
///
/// # Errors
/// If the KB cannot be read.
pub(super) fn examine(
    root: &Arc<KbRoot>,
    report: &mut Report,
) -> Result<Option<Registered>, KbError> {
    let path = layout::registry_db();
    let reader = match Reader::open(root) {
        Ok(Some(reader)) => reader,
        Ok(None) => return openkbs(root, report),
        Err(error) => {
            let message = chain(&error);
            report.add(Severity::Error, "registry", path.as_str(), message, REBUILD);
            return Ok(None);
        }
    };
    match read(&reader, report) {
        Ok(registered) => {
            report.documents = registered.documents.len() as u64;
            changed_by_others(root, &reader, report);
            search_index(root, &reader, &registered, report);
            Ok(Some(registered))
        }
        Err(error) => {
            let message = chain(&error);
            report.add(Severity::Error, "registry", path.as_str(), message, REBUILD);
            Ok(None)
        }
    }
}

fn read(reader: &Reader, report: &mut Report) -> Result<Registered, KbError> {
    for problem in reader.integrity()? {
        let path = layout::registry_db();
        report.add(Severity::Error, "registry", path.as_str(), problem, REBUILD);
    }
    Ok(Registered {
        documents: reader.documents("ORDER BY ordinal", [])?,
        pages: reader.pages()?,
        is_ours: true,
    })
}

/// A KB without a registry of ours: OpenKB's, a new one, or one that lost it.
fn openkbs(root: &KbRoot, report: &mut Report) -> Result<Option<Registered>, KbError> {
    match openkb::read(root) {
        Ok(Some(entries)) => {
            report.documents = entries.len() as u64;
            Ok(Some(Registered {
                documents: entries.into_iter().map(|entry| entry.row).collect(),
                pages: Vec::new(),
                is_ours: false,
            }))
        }
        Ok(None) => {
            if !root.list_dir(&layout::raw_dir())?.is_empty() {
                report.add(
                    Severity::Error,
                    "registry",
                    layout::registry_db().as_str(),
                    "there is no registry, but there are documents",
                    REBUILD,
                );
            }
            Ok(None)
        }
        Err(error) => {
            let path = layout::hashes_json();
            report.add(
                Severity::Error,
                "hashes-json",
                path.as_str(),
                chain(&error),
                REBUILD,
            );
            Ok(None)
        }
    }
}

fn changed_by_others(root: &KbRoot, reader: &Reader, report: &mut Report) {
    let path = layout::hashes_json();
    let Ok(Some(bytes)) = root.read(&path, openkb::HASHES_BYTES_MAX) else {
        return;
    };
    let now = ContentHash::of(&bytes).to_hex();
    let is_ours = ["hashes_found", "hashes_written"]
        .iter()
        .any(|key| matches!(reader.meta_text(key), Ok(Some(digest)) if digest == now));
    if !is_ours {
        report.add(
            Severity::Error,
            "hashes-json-changed",
            path.as_str(),
            "another program changed it since the last exchange; nothing can be changed until it is merged",
            "kbhost registry import --merge",
        );
    }
}

/// The index is derived: behind or lost, the next change builds it anew; but one that a power cut
/// damaged may not know it.
fn search_index(root: &KbRoot, reader: &Reader, registered: &Registered, report: &mut Report) {
    let path = layout::search_db();
    let epoch = reader.meta_integer("epoch").unwrap_or(0);
    let remove = format!("rm {}", shell_word(root.join(&path)));
    match root.has_file(&path) {
        Ok(true) => {}
        Ok(false) if epoch == 0 => return,
        Ok(false) => {
            return report.add(
                Severity::Note,
                "search-index",
                path.as_str(),
                "there is no search index; the next change builds it",
                "kbhost status",
            );
        }
        Err(error) => {
            let command = format!("ls -ld {}", shell_word(root.join(&path)));
            return report.add(
                Severity::Warning,
                "search-index",
                path.as_str(),
                chain(&error),
                command,
            );
        }
    }
    let documents = registered
        .documents
        .iter()
        .filter(|row| row.source_path.is_some())
        .map(|row| row.doc_name.as_str())
        .collect();
    let trouble = match search::trouble(&root.join(&path), epoch, &documents) {
        Ok(trouble) => trouble,
        Err(error) => Some(error.to_string()),
    };
    if let Some(trouble) = trouble {
        let message = format!(
            "it does not hold what it should: {trouble}; the next change builds it anew if it is not there"
        );
        report.add(
            Severity::Warning,
            "search-index",
            path.as_str(),
            message,
            remove,
        );
    }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = format!("failed to {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
