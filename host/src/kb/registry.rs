//! Reading the registry: the documents of a KB, from `registry.db` or, while nothing of ours has
//! changed the KB yet, from OpenKB's `hashes.json`.
//!
//! The registry of a KB that came from a stranger is data too: schema objects that run code are
//! refused, paths and names pass the same validators as a journal's.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row};

use super::tree::{self, ReadError, Tree};
use super::{
    CheckpointKey, ContentHash, DocName, KbError, KbPath, KbRoot, PageRanges, RemoteId, SafeLine,
    SourceKey, layout, openkb,
};

/// Version of the schema below, kept in `meta`.
pub(crate) const SCHEMA_VERSION: i64 = 3;

/// The oldest schema that is read as it is. The writer brings it to [`SCHEMA_VERSION`] before it
/// changes anything; a reader needs none of what was added since.
const SCHEMA_VERSION_MIN: i64 = 1;

/// The schemas that brought tables: an older one lacks them.
const SCHEMA_WITH_TERM_PAGES: i64 = 2;
const SCHEMA_WITH_TREES: i64 = 3;

/// Tables of `registry.db`.
///
/// `documents.revision` grows with every write of a document: OpenKB keeps an updated entry at the
/// end of `hashes.json`, and so does the export. `pages` holds the digest of each official file as we
/// wrote it. `mutations` is what recovery asks: an id in it is committed. `term_pages` numbers the
/// pages of terms in the order in which they were made; like a document's, an ordinal is never used
/// again: the last one given is in `meta`. `trees` holds the section trees of long documents.
pub(crate) const SCHEMA: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    revision INTEGER NOT NULL UNIQUE,
    doc_name TEXT NOT NULL UNIQUE,
    name_fold TEXT NOT NULL UNIQUE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    source_key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    raw_path TEXT,
    source_path TEXT,
    doc_id TEXT,
    origin TEXT,
    media_type TEXT,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    doc_type TEXT NOT NULL,
    pages INTEGER,
    size INTEGER,
    added_at TEXT,
    updated_at TEXT,
    plugin TEXT,
    provenance TEXT,
    mutation TEXT
);
CREATE INDEX documents_raw_path ON documents (raw_path);
CREATE INDEX documents_doc_id ON documents (doc_id) WHERE doc_id IS NOT NULL;
CREATE TABLE terms (
    kind TEXT NOT NULL, slug TEXT NOT NULL, ordinal INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    label TEXT NOT NULL,
    PRIMARY KEY (kind, slug, ordinal)
) WITHOUT ROWID;
CREATE INDEX terms_ordinal ON terms (ordinal);
CREATE TABLE pages (
    path TEXT PRIMARY KEY, ordinal INTEGER, sha256 BLOB NOT NULL CHECK (length(sha256) = 32)
) WITHOUT ROWID;
CREATE INDEX pages_ordinal ON pages (ordinal);
CREATE TABLE mutations (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, epoch INTEGER NOT NULL, documents INTEGER NOT NULL, committed_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE term_pages (
    kind TEXT NOT NULL, slug TEXT NOT NULL, ordinal INTEGER NOT NULL,
    PRIMARY KEY (kind, slug), UNIQUE (kind, ordinal)
) WITHOUT ROWID;
CREATE TABLE trees (ordinal INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE, json TEXT NOT NULL);
";

/// Tables of the exchange with OpenKB; a registry that lacks them gets them when it is opened for
/// writing.
///
/// `openkb_extra` holds what an entry of `hashes.json` says that means nothing to us. `openkb_base`
/// holds, for each name whose entry changed since an export that is known to have been written, the
/// digest of the entry before (none: it was not there): where a name has no row, the base of a merge is
/// our own entry. `exported` is 0 for a change that no export has, 1 once one was begun, 2 once one was
/// seen to be written.
pub(crate) const EXCHANGE_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS openkb_extra (
    ordinal INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE, json TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS openkb_base (
    name_fold TEXT PRIMARY KEY, digest BLOB CHECK (digest IS NULL OR length(digest) = 32), exported INTEGER NOT NULL
) WITHOUT ROWID;
";

/// Bytes of a section tree in the registry: as many nodes as there can be, with all that is kept of
/// each, in the scripts that need most bytes for a character.
const TREE_BYTES_MAX: i64 = 128 << 20;

/// Tells of ordinals that are none: one row, or none. See [`super::view::ORDINAL_MAX`].
const ORDINALS_BEYOND: &str = "
SELECT 'an ordinal is out of range' WHERE
    EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'documents'
            AND (typeof(seq) <> 'integer' OR seq NOT BETWEEN 0 AND 16777215))
    OR EXISTS (SELECT 1 FROM documents WHERE ordinal NOT BETWEEN 1 AND 16777215)
    OR EXISTS (SELECT 1 FROM meta WHERE key IN ('concepts_last', 'entities_last')
               AND (typeof(value) <> 'integer' OR value NOT BETWEEN 0 AND 16777215))
";

/// The columns of a [`DocumentRow`], in its order.
const ROW: &str = "ordinal, doc_name, hash, source_key, name, type, raw_path, source_path, title, \
                   description, pages, size, added_at, updated_at, plugin, CASE WHEN json_valid(provenance) \
                   THEN CAST(json_extract(provenance, '$.needs_ocr') AS TEXT) END";

/// A registered document.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct DocumentRow {
    /// Order of first registration, from 1.
    pub ordinal: i64,
    /// Its name.
    pub doc_name: DocName,
    /// SHA-256 of the original.
    pub hash: ContentHash,
    /// Identity of the input.
    pub source_key: SourceKey,
    /// The user's file name.
    pub name: String,
    /// Extension as typed without dot, `long_pdf` or `pageindex_cloud`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The original in `raw/`.
    pub raw_path: Option<KbPath>,
    /// The converted text.
    pub source_path: Option<KbPath>,
    /// Title.
    pub title: String,
    /// One sentence.
    pub description: String,
    /// Pages, for inputs that have them.
    pub pages: Option<u32>,
    /// Length of the original in bytes.
    pub size: Option<u64>,
    /// When it was first added, RFC 3339 UTC.
    pub added_at: Option<String>,
    /// When it was last written, RFC 3339 UTC.
    pub updated_at: Option<String>,
    /// Who converted it: name and version.
    pub plugin: Option<String>,
    /// Pages without text that show a picture of it.
    pub needs_ocr: Option<PageRanges>,
}

impl DocumentRow {
    /// Whether `key` is what the document came from, or its original in the KB.
    #[must_use]
    pub fn comes_from(&self, key: &SourceKey) -> bool {
        let raw = self.raw_path.as_ref().map(KbPath::as_str);
        self.source_key == *key || raw == Some(key.as_str())
    }
}

/// Stands for the digest of a page that is registered and of which nobody knows what was written: no
/// text has it, so such a page counts as somebody else's.
pub(crate) const UNKNOWN_DIGEST: ContentHash = ContentHash::from_bytes([0; 32]);

/// An official file as a mutation wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageRow {
    /// Where.
    pub(crate) path: KbPath,
    /// The document it belongs to; shared pages belong to none.
    pub(crate) ordinal: Option<i64>,
    /// Its digest, or [`UNKNOWN_DIGEST`].
    pub(crate) sha256: ContentHash,
}

/// Numbers for `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Totals {
    /// Registered documents.
    pub documents: u64,
    /// Bytes of their originals.
    pub bytes: u64,
    /// When the registry last changed, RFC 3339 UTC.
    pub last_change: Option<String>,
}

/// One consistent reading of the registry. Takes no lock.
#[derive(Debug)]
pub struct Catalogue {
    backend: Backend,
}

#[derive(Debug)]
enum Backend {
    Registry(Reader),
    OpenKb(Vec<DocumentRow>),
}

impl Catalogue {
    /// Opens the registry of a KB for reading: `registry.db`, else `hashes.json`, else nothing.
    ///
    /// # Errors
    /// If there is one that cannot be read.
    pub fn open(root: &KbRoot) -> Result<Self, KbError> {
        let backend = match Reader::open(root)? {
            Some(reader) => Backend::Registry(reader),
            None => {
                let imported = openkb::read(root)?.unwrap_or_default();
                Backend::OpenKb(imported.into_iter().map(|entry| entry.row).collect())
            }
        };
        Ok(Self { backend })
    }

    /// From here on all answers are of one state of the registry, whatever is committed meanwhile.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn hold(&self) -> Result<(), KbError> {
        match &self.backend {
            Backend::Registry(reader) => {
                let begun = reader.connection.execute_batch("BEGIN");
                begun.map_err(|e| reader.failed(e))
            }
            Backend::OpenKb(_) => Ok(()),
        }
    }

    /// All documents in order of first registration.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn documents(&self) -> Result<Vec<DocumentRow>, KbError> {
        match &self.backend {
            Backend::Registry(reader) => reader.documents("ORDER BY ordinal", []),
            Backend::OpenKb(rows) => Ok(rows.clone()),
        }
    }

    /// Numbers for `status`.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn totals(&self) -> Result<Totals, KbError> {
        match &self.backend {
            Backend::Registry(reader) => reader.totals(),
            Backend::OpenKb(rows) => Ok(Totals {
                documents: rows.len() as u64,
                ..Totals::default()
            }),
        }
    }

    /// The documents that a user means by `query`: exact document name, else exact file name, else
    /// case-insensitive part of either.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn find(&self, query: &str) -> Result<Vec<DocumentRow>, KbError> {
        if let Backend::Registry(reader) = &self.backend {
            let exact = reader.documents("WHERE doc_name = ?1", [query])?;
            if !exact.is_empty() {
                return Ok(exact);
            }
        }
        let all = self.documents()?;
        let folded = super::names::fold(query);
        let pick = |test: &dyn Fn(&DocumentRow) -> bool| -> Vec<DocumentRow> {
            all.iter().filter(|row| test(row)).cloned().collect()
        };
        for rows in [
            pick(&|row| row.doc_name.as_str() == query),
            pick(&|row| row.name == query),
        ] {
            if !rows.is_empty() {
                return Ok(rows);
            }
        }
        Ok(pick(&|row| {
            [row.doc_name.as_str(), &row.name]
                .iter()
                .any(|name| super::names::fold(name).contains(&folded))
        }))
    }

    /// What is on record of a document's conversion, JSON; `None` if nothing is, or the document is
    /// gone.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn provenance(&self, ordinal: i64) -> Result<Option<String>, KbError> {
        let Backend::Registry(reader) = &self.backend else {
            return Ok(None);
        };
        reader.provenance(ordinal)
    }

    /// The section tree of a document; `None` if it has none, or was registered before trees were.
    ///
    /// # Errors
    /// If the registry cannot be read, or what it holds is no tree.
    pub fn tree(&self, ordinal: i64) -> Result<Option<Tree>, KbError> {
        match &self.backend {
            Backend::Registry(reader) => reader.tree(ordinal),
            Backend::OpenKb(_) => Ok(None),
        }
    }

    /// The document that these bytes are registered as.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn by_hash(&self, hash: &ContentHash) -> Result<Option<DocumentRow>, KbError> {
        match &self.backend {
            Backend::Registry(reader) => {
                let rows = reader.documents("WHERE hash = ?1", [hash.as_bytes()])?;
                Ok(rows.into_iter().next())
            }
            Backend::OpenKb(rows) => Ok(rows.iter().find(|row| row.hash == *hash).cloned()),
        }
    }

    /// The document that has this id at its service: imported from there, or sent there.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn by_remote_id(&self, id: &RemoteId) -> Result<Option<DocumentRow>, KbError> {
        if let Some(row) = self.by_hash(&id.hash())? {
            return Ok(Some(row));
        }
        match &self.backend {
            Backend::Registry(reader) => {
                let rows = reader.documents("WHERE doc_id = ?1", [id.as_str()])?;
                Ok(rows.into_iter().next())
            }
            Backend::OpenKb(_) => Ok(None),
        }
    }

    /// What an interrupted conversion left under `key`, as it is at this moment: 1 to
    /// [`super::CHECKPOINT_BYTES_MAX`] bytes for the component that kept them. A registry that cannot
    /// be read has nothing.
    #[must_use]
    pub fn checkpoint(&self, key: &CheckpointKey) -> Option<Vec<u8>> {
        let Backend::Registry(reader) = &self.backend else {
            return None;
        };
        reader.checkpoint(key).unwrap_or_else(|error| {
            tracing::debug!(%error, "a checkpoint cannot be read");
            None
        })
    }

    /// Whether the KB still has only OpenKB's registry.
    #[must_use]
    pub fn is_openkb(&self) -> bool {
        matches!(&self.backend, Backend::OpenKb(rows) if !rows.is_empty())
    }

    /// The registry's epoch: grows by one with every commit; `None` while there is no registry.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub fn epoch(&self) -> Result<Option<i64>, KbError> {
        match &self.backend {
            Backend::Registry(reader) => reader.meta_integer("epoch").map(Some),
            Backend::OpenKb(_) => Ok(None),
        }
    }
}

/// An open `registry.db` with the errors that name it.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) connection: Connection,
    path: std::path::PathBuf,
}

impl Reader {
    /// Opens the registry read-only; `None` if there is none, or one whose creation was cut off.
    pub(crate) fn open(root: &KbRoot) -> Result<Option<Self>, KbError> {
        let Some(reader) = Self::open_unchecked(root, &layout::registry_db())? else {
            return Ok(None);
        };
        Ok(reader.check()?.then_some(reader))
    }

    /// Opens a registry or a backup of one read-only, without a look at what is in it; `None` if
    /// there is none.
    pub(crate) fn open_unchecked(root: &KbRoot, at: &KbPath) -> Result<Option<Self>, KbError> {
        if !root.has_file(at)? {
            return Ok(None);
        }
        let path = root.database(at)?;
        let connection = open_read_only(&path).map_err(|source| KbError::Registry {
            path: path.clone(),
            source,
        })?;
        Ok(Some(Self { connection, path }))
    }

    /// Reads the whole database: its structure, that it is ours, and every document.
    ///
    /// # Errors
    /// If it is damaged, not ours, or holds what it cannot hold.
    pub(crate) fn check_all(&self) -> Result<Vec<DocumentRow>, KbError> {
        if !self.check()? {
            return Err(self.invalid("it has no tables"));
        }
        if let Some(problem) = self.integrity()?.first() {
            return Err(self.invalid(&SafeLine::with_max(problem, 200).to_string()));
        }
        if self.meta_text("uuid")?.is_none_or(|uuid| uuid.is_empty()) {
            return Err(self.invalid("it has no uuid"));
        }
        self.meta_integer("epoch")?;
        self.meta_integer("revision")?;
        self.pages()?;
        self.documents("ORDER BY ordinal", [])
    }

    /// Wraps a connection that the mutation room opened for writing.
    pub(crate) fn of(connection: Connection, path: &Path) -> Self {
        Self {
            connection,
            path: path.to_owned(),
        }
    }

    /// Refuses a registry that is not ours to read; false for one without tables.
    pub(crate) fn check(&self) -> Result<bool, KbError> {
        let count = |sql: &str| -> Result<i64, KbError> {
            self.connection
                .query_row(sql, [], |row| row.get(0))
                .map_err(|e| self.failed(e))
        };
        // A trigger or a view in a stranger's registry would run with our rights.
        if count("SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')")? > 0 {
            return Err(self.invalid("it holds a trigger or a view"));
        }
        if count("SELECT count(*) FROM sqlite_schema WHERE name = 'meta'")? == 0 {
            return Ok(false);
        }
        let version = self.meta_integer("schema")?;
        if version > SCHEMA_VERSION {
            return Err(self.invalid(&format!(
                "a newer version of this program made it: its schema is version {version}, this one \
                 knows {SCHEMA_VERSION_MIN} to {SCHEMA_VERSION}"
            )));
        }
        if version < SCHEMA_VERSION_MIN {
            return Err(self.invalid(&format!(
                "its schema is version {version}, this program knows {SCHEMA_VERSION_MIN} to {SCHEMA_VERSION}"
            )));
        }
        Ok(true)
    }

    /// The documents that a clause selects.
    pub(crate) fn documents(
        &self,
        clause: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<DocumentRow>, KbError> {
        let sql = format!("SELECT {ROW} FROM documents {clause}");
        let mut statement = self
            .connection
            .prepare_cached(&sql)
            .map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map(params, |row| Ok(self.row(row)))
            .map_err(|e| self.failed(e))?;
        rows.map(|row| row.map_err(|e| self.failed(e))?).collect()
    }

    /// What is on record of a document's conversion.
    pub(crate) fn provenance(&self, ordinal: i64) -> Result<Option<String>, KbError> {
        let sql = "SELECT provenance FROM documents WHERE ordinal = ?1";
        let found = self
            .connection
            .query_row(sql, [ordinal], |row| row.get::<_, Option<String>>(0))
            .optional();
        Ok(found.map_err(|e| self.failed(e))?.flatten())
    }

    /// The section tree of a document.
    pub(crate) fn tree(&self, ordinal: i64) -> Result<Option<Tree>, KbError> {
        if self.meta_integer("schema")? < SCHEMA_WITH_TREES {
            return Ok(None);
        }
        let sql = "SELECT CASE WHEN length(CAST(json AS BLOB)) <= ?2 THEN json END, pages \
                   FROM trees JOIN documents USING (ordinal) WHERE ordinal = ?1";
        let found = self
            .connection
            .query_row(sql, [ordinal, TREE_BYTES_MAX], |row| {
                let pages: Option<i64> = row.get(1)?;
                Ok((row.get::<_, Option<String>>(0)?, pages))
            })
            .optional();
        let Some((json, pages)) = found.map_err(|e| self.failed(e))? else {
            return Ok(None);
        };
        let no_tree = |reason: &str| {
            self.invalid(&format!(
                "the section tree of document {ordinal} is none: {reason}"
            ))
        };
        let json = json.ok_or_else(|| no_tree("it is too large"))?;
        let pages = pages.and_then(|pages| u32::try_from(pages).ok());
        match tree::read(json.as_bytes(), pages.unwrap_or(0)) {
            Ok((tree, _)) => Ok(Some(tree)),
            Err(ReadError::Invalid(reason)) => Err(no_tree(&reason)),
            Err(ReadError::Io(error)) => Err(no_tree(&error.to_string())),
        }
    }

    /// An integer of `meta`.
    pub(crate) fn meta_integer(&self, key: &str) -> Result<i64, KbError> {
        self.connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .map_err(|e| self.failed(e))
    }

    /// A text of `meta`; `None` if the key is missing.
    pub(crate) fn meta_text(&self, key: &str) -> Result<Option<String>, KbError> {
        self.connection
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|e| self.failed(e))
    }

    /// Whether a mutation is committed.
    pub(crate) fn has_mutation(&self, id: &str) -> Result<bool, KbError> {
        self.connection
            .query_row("SELECT 1 FROM mutations WHERE id = ?1", [id], |_| Ok(()))
            .optional()
            .map(|found| found.is_some())
            .map_err(|e| self.failed(e))
    }

    /// The digest of an official file as we wrote it.
    pub(crate) fn page_digest(&self, path: &KbPath) -> Result<Option<ContentHash>, KbError> {
        self.connection
            .query_row(
                "SELECT sha256 FROM pages WHERE path = ?1",
                [path.as_str()],
                |row| row.get::<_, [u8; 32]>(0),
            )
            .optional()
            .map(|digest| digest.map(ContentHash::from_bytes))
            .map_err(|e| self.failed(e))
    }

    /// The official files, by path.
    pub(crate) fn pages(&self) -> Result<Vec<PageRow>, KbError> {
        let sql = "SELECT path, ordinal, sha256 FROM pages ORDER BY path";
        let mut statement = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map([], |row| {
                Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?))
            })
            .map_err(|e| self.failed(e))?;
        rows.map(|row| {
            let (path, ordinal, sha256) = row.map_err(|e| self.failed(e))?;
            Ok(PageRow {
                path: KbPath::new(&path)?,
                ordinal,
                sha256: ContentHash::from_bytes(sha256),
            })
        })
        .collect()
    }

    /// What is wrong with the database, at most a hundred lines of SQLite's and a few of ours; nothing
    /// if it is sound.
    pub(crate) fn integrity(&self) -> Result<Vec<String>, KbError> {
        let lines = |sql: &str| -> Result<Vec<String>, KbError> {
            let mut statement = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
            let rows = statement
                .query_map([], |row| row.get::<_, String>(0))
                .map_err(|e| self.failed(e))?;
            rows.map(|row| row.map_err(|e| self.failed(e))).collect()
        };
        let mut problems = lines("PRAGMA integrity_check(100)")?;
        problems.retain(|line| line != "ok");
        problems.extend(self.missing_columns()?);
        problems.extend(lines(ORDINALS_BEYOND)?);
        problems.extend(
            lines("SELECT DISTINCT \"table\" FROM pragma_foreign_key_check")?
                .into_iter()
                .map(|table| format!("rows of table `{table}` belong to no document")),
        );
        Ok(problems)
    }

    /// The columns that its schema has and it does not. Tables of the exchange may be missing: they are
    /// made when it is opened for writing.
    fn missing_columns(&self) -> Result<Vec<String>, KbError> {
        let columns = |connection: &Connection| -> rusqlite::Result<BTreeSet<(String, String)>> {
            let sql = "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c \
                       WHERE t.type = 'table'";
            let mut statement = connection.prepare(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            rows.collect()
        };
        let expected = Connection::open_in_memory()
            .and_then(|model| {
                model.execute_batch(SCHEMA)?;
                columns(&model)
            })
            .map_err(|e| self.failed(e))?;
        let found = columns(&self.connection).map_err(|e| self.failed(e))?;
        let schema = self.meta_integer("schema")?;
        let since = |table: &str| match table {
            "term_pages" => SCHEMA_WITH_TERM_PAGES,
            "trees" => SCHEMA_WITH_TREES,
            _ => SCHEMA_VERSION_MIN,
        };
        let missing = expected
            .difference(&found)
            .filter(|(table, _)| schema >= since(table));
        Ok(missing
            .map(|(table, column)| format!("table `{table}` has no column `{column}`"))
            .collect())
    }

    /// Joins an SQLite error with the registry's path.
    pub(crate) fn failed(&self, source: rusqlite::Error) -> KbError {
        KbError::Registry {
            path: self.path.clone(),
            source,
        }
    }

    /// Says that the registry holds what it cannot hold.
    pub(crate) fn invalid(&self, reason: &str) -> KbError {
        KbError::RegistryInvalid {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }

    fn totals(&self) -> Result<Totals, KbError> {
        self.connection
            .query_row(
                "SELECT count(*), coalesce(sum(size), 0), (SELECT max(committed_at) FROM mutations) FROM documents",
                [],
                |row| {
                    Ok(Totals {
                        documents: row.get::<_, i64>(0)?.unsigned_abs(),
                        bytes: row.get::<_, i64>(1)?.unsigned_abs(),
                        last_change: row.get(2)?,
                    })
                },
            )
            .map_err(|e| self.failed(e))
    }

    fn row(&self, row: &Row<'_>) -> Result<DocumentRow, KbError> {
        let text = |index: usize| row.get::<_, String>(index).map_err(|e| self.failed(e));
        let optional = |index: usize| {
            row.get::<_, Option<String>>(index)
                .map_err(|e| self.failed(e))
        };
        let path = |index: usize| {
            optional(index)?
                .map(|path| KbPath::new(&path))
                .transpose()
                .map_err(KbError::from)
        };
        let number = |index: usize| row.get::<_, Option<i64>>(index).map_err(|e| self.failed(e));
        Ok(DocumentRow {
            ordinal: row.get(0).map_err(|e| self.failed(e))?,
            doc_name: DocName::new(&text(1)?)
                .ok_or_else(|| self.invalid("a document name is none"))?,
            hash: ContentHash::from_bytes(row.get(2).map_err(|e| self.failed(e))?),
            source_key: SourceKey::new(text(3)?),
            name: text(4)?,
            kind: text(5)?,
            raw_path: path(6)?,
            source_path: path(7)?,
            title: text(8)?,
            description: text(9)?,
            pages: number(10)?.and_then(|pages| u32::try_from(pages).ok()),
            size: number(11)?.and_then(|size| u64::try_from(size).ok()),
            added_at: optional(12)?,
            updated_at: optional(13)?,
            plugin: optional(14)?,
            needs_ocr: optional(15)?.and_then(|pages| PageRanges::told(&pages, None)),
        })
    }
}

/// Settings every connection to a registry gets: no code from the schema, no wait without end.
pub(crate) fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

/// Opens for reading; where the directory cannot be written, so that SQLite cannot make its shared
/// memory, the database is read as it stands.
fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = |connection: rusqlite::Result<Connection>| {
        let connection = connection?;
        harden(&connection)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok(connection)
    };
    open(Connection::open_with_flags(path, flags)).or_else(|error: rusqlite::Error| {
        let unwritable = matches!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly)
        );
        if !unwritable {
            return Err(error);
        }
        let mut uri = "file:".to_owned();
        for byte in path.to_string_lossy().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                    uri.push(char::from(byte))
                }
                other => uri.push_str(&format!("%{other:02X}")),
            }
        }
        uri.push_str("?immutable=1");
        open(Connection::open_with_flags(
            uri,
            flags | OpenFlags::SQLITE_OPEN_URI,
        ))
    })
}
