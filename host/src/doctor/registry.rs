//! The registry by itself: can it be trusted, and is it the newest word.

use std::sync::Arc;

use super::{Report, Severity};
use crate::kb::registry::{DocumentRow, PageRow, Reader};
use crate::kb::{ContentHash, KbError, KbRoot, layout, openkb, search, shell_word};
use crate::mutation::is_registry_lost;

const REBUILD: &str = "registry rebuild";

/// What the registry says, as far as it can be read.
pub(super) struct Registered {
    pub(super) documents: Vec<DocumentRow>,
    pub(super) pages: Vec<PageRow>,
    /// `registry.db` is there; else the rows are OpenKB's.
    pub(super) is_ours: bool,
    hashes: Hashes,
}

/// The state of `hashes.json` beside a registry of ours.
enum Hashes {
    /// It is as we found or wrote it, or there is none.
    Known,
    /// It is another one.
    Changed,
    /// It cannot be understood: why.
    Unreadable(String),
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
            let command = report.kbhost(REBUILD);
            report.add(Severity::Error, "registry", path.as_str(), message, command);
            return Ok(None);
        }
    };
    match read(root, &reader, report) {
        Ok(registered) => {
            report.documents = registered.documents.len() as u64;
            search_index(root, &reader, &registered, report);
            Ok(Some(registered))
        }
        Err(error) => {
            let message = chain(&error);
            let command = report.kbhost(REBUILD);
            report.add(Severity::Error, "registry", path.as_str(), message, command);
            Ok(None)
        }
    }
}

fn read(root: &KbRoot, reader: &Reader, report: &mut Report) -> Result<Registered, KbError> {
    for problem in reader.integrity()? {
        let path = layout::registry_db();
        let command = report.kbhost(REBUILD);
        report.add(Severity::Error, "registry", path.as_str(), problem, command);
    }
    Ok(Registered {
        documents: reader.documents("ORDER BY ordinal", [])?,
        pages: reader.pages()?,
        is_ours: true,
        hashes: hashes(root, reader),
    })
}

/// A KB without a registry of ours: OpenKB's, a new one, or one that lost it.
fn openkbs(root: &KbRoot, report: &mut Report) -> Result<Option<Registered>, KbError> {
    let rebuild = report.kbhost(REBUILD);
    if is_registry_lost(root)? {
        report.add(
            Severity::Error,
            "registry",
            layout::registry_db().as_str(),
            "the registry is lost: there was one here, and there are traces of it",
            rebuild,
        );
        return Ok(None);
    }
    match openkb::read(root) {
        Ok(Some(entries)) => {
            report.documents = entries.len() as u64;
            Ok(Some(Registered {
                documents: entries.into_iter().map(|entry| entry.row).collect(),
                pages: Vec::new(),
                is_ours: false,
                hashes: Hashes::Known,
            }))
        }
        Ok(None) => {
            if !root.list_dir(&layout::raw_dir())?.is_empty() {
                report.add(
                    Severity::Error,
                    "registry",
                    layout::registry_db().as_str(),
                    "there is no registry, but there are documents",
                    rebuild,
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
                rebuild,
            );
            Ok(None)
        }
    }
}

fn hashes(root: &KbRoot, reader: &Reader) -> Hashes {
    let path = layout::hashes_json();
    match openkb::read(root) {
        Ok(None) => return Hashes::Known,
        Ok(Some(_)) => {}
        Err(error) => return Hashes::Unreadable(chain(&error)),
    }
    let Ok(Some(bytes)) = root.read(&path, openkb::HASHES_BYTES_MAX) else {
        return Hashes::Known;
    };
    let now = ContentHash::of(&bytes).to_hex();
    let is_ours = ["hashes_found", "hashes_written"]
        .iter()
        .any(|key| matches!(reader.meta_text(key), Ok(Some(digest)) if digest == now));
    if is_ours {
        Hashes::Known
    } else {
        Hashes::Changed
    }
}

/// Tells of `hashes.json`. It comes after the files: where the registry is older than they are, so
/// it may be than our own export.
pub(super) fn exchange(registered: &Registered, report: &mut Report) {
    let path = layout::hashes_json();
    match &registered.hashes {
        Hashes::Known => {}
        Hashes::Unreadable(why) => {
            let message = format!("{why}; an export sets it aside and writes it anew");
            let command = report.kbhost("registry export");
            report.add(
                Severity::Error,
                "hashes-json",
                path.as_str(),
                message,
                command,
            );
        }
        Hashes::Changed if report.has("registry-older") => {
            let command = report.kbhost("registry rebuild --yes");
            report.add(
                Severity::Error,
                "hashes-json-changed",
                path.as_str(),
                "it is newer than the registry, or was changed by another program; the rebuild \
                 takes over what it tells of",
                command,
            );
        }
        Hashes::Changed => {
            let command = report.kbhost("registry import --merge");
            report.add(
                Severity::Error,
                "hashes-json-changed",
                path.as_str(),
                "another program changed it since the last exchange; nothing can be changed until it is merged",
                command,
            );
        }
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
                report.kbhost("status"),
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
