//! Rows that no conversion made: from what is left of a document, or on another program's word.

use rusqlite::params;

use super::MutationError;
use super::registry::Registry;
use crate::kb::{ContentHash, DocName, KbError, KbPath, SafeLine, names};
use crate::prepare::TermKind;

/// A row that is made from what is left of a document, or from another program's word.
#[derive(Clone, Debug)]
pub(super) struct Restored {
    /// The row that is replaced by this one.
    pub(super) ordinal: Option<i64>,
    pub(super) doc_name: DocName,
    pub(super) hash: ContentHash,
    pub(super) source_key: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) raw_path: Option<KbPath>,
    pub(super) source_path: Option<KbPath>,
    pub(super) doc_id: Option<String>,
    pub(super) origin: Option<String>,
    pub(super) extra: serde_json::Map<String, serde_json::Value>,
    pub(super) title: SafeLine,
    pub(super) description: SafeLine,
    pub(super) doc_type: &'static str,
    pub(super) pages: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) terms: Vec<(TermKind, String, SafeLine)>,
    pub(super) files: Vec<(KbPath, ContentHash)>,
}

impl Registry {
    /// The highest ordinal that a document ever had: SQLite keeps it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn last_ordinal(&self) -> Result<i64, KbError> {
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'documents'), 0)";
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|e| self.failed(e))
    }

    /// Writes a row of which nothing more is known: who converted it, and when, is left open. Its
    /// files count as they are.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write_restored(
        &self,
        row: &Restored,
        time: &str,
        mutation: &str,
    ) -> Result<(), MutationError> {
        self.execute(
            "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
            [],
        )?;
        self.execute(
            "INSERT INTO documents (ordinal, revision, doc_name, name_fold, hash, source_key, name, type, raw_path, \
             source_path, doc_id, origin, title, description, doc_type, pages, size, added_at, updated_at, mutation) \
             VALUES (?1, (SELECT value FROM meta WHERE key = 'revision'), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, \
             ?12, ?13, ?14, ?15, ?16, ?17, ?17, ?18) \
             ON CONFLICT (ordinal) DO UPDATE SET revision = excluded.revision, doc_name = excluded.doc_name, \
             name_fold = excluded.name_fold, hash = excluded.hash, source_key = excluded.source_key, \
             name = excluded.name, type = excluded.type, raw_path = excluded.raw_path, \
             source_path = excluded.source_path, doc_id = excluded.doc_id, origin = excluded.origin, \
             title = excluded.title, description = excluded.description, doc_type = excluded.doc_type, \
             pages = excluded.pages, size = excluded.size, updated_at = excluded.updated_at, \
             mutation = excluded.mutation, media_type = NULL, plugin = NULL, provenance = NULL",
            params![
                row.ordinal,
                row.doc_name.as_str(),
                names::fold(row.doc_name.as_str()),
                row.hash.as_bytes(),
                row.source_key,
                row.name,
                row.kind,
                row.raw_path.as_ref().map(KbPath::as_str),
                row.source_path.as_ref().map(KbPath::as_str),
                row.doc_id,
                row.origin,
                row.title.as_str(),
                row.description.as_str(),
                row.doc_type,
                row.pages,
                row.size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
                time,
                mutation,
            ],
        )?;
        let ordinal = row
            .ordinal
            .unwrap_or_else(|| self.connection.last_insert_rowid());
        self.set_extra(ordinal, &row.extra)?;
        // Nobody knows the tree of what another program made of it.
        self.write_tree(ordinal, None)?;
        self.execute("DELETE FROM pages WHERE ordinal = ?1", params![ordinal])?;
        self.write_terms_and_files(ordinal, &row.terms, &row.files)
    }
}
