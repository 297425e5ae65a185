//! Writing the registry. One SQLite transaction is the commit point of a mutation.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, params};

use super::journal::random_hex;
use super::storage::Storage;
use super::{MutationError, fault};
use crate::compile::IndexFacts;
use crate::kb::checkpoint::CHECKPOINT_SCHEMA;
use crate::kb::registry::{DocumentRow, EXCHANGE_SCHEMA, Reader, SCHEMA, SCHEMA_VERSION, harden};
use crate::kb::{
    CheckpointKey, ContentHash, DocName, KbError, KbPath, KbRoot, SafeLine, layout, names, openkb,
};
use crate::prepare::{CloudOrigin, TermKind};

/// The registry, open for writing. Reads go through [`Reader`].
#[derive(Debug)]
pub(super) struct Registry {
    reader: Reader,
    /// `hashes.json` was found to be what we exported last.
    exported: Cell<bool>,
}

impl Deref for Registry {
    type Target = Reader;

    fn deref(&self) -> &Reader {
        &self.reader
    }
}

/// The origin of a document that a service made, as OpenKB writes it.
pub(super) const CLOUD_ORIGIN: &str = "cloud";

/// Everything a document's row says.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The row that is replaced by this one.
    pub(super) ordinal: Option<i64>,
    pub(super) doc_name: DocName,
    pub(super) hash: ContentHash,
    pub(super) source_key: String,
    pub(super) name: SafeLine,
    pub(super) kind: String,
    /// None of a document that a service has.
    pub(super) raw_path: Option<KbPath>,
    pub(super) source_path: KbPath,
    pub(super) media_type: String,
    pub(super) title: SafeLine,
    pub(super) description: SafeLine,
    pub(super) doc_type: &'static str,
    pub(super) pages: Option<u32>,
    /// Of the original.
    pub(super) size: Option<u64>,
    /// The service that made it, if one did.
    pub(super) cloud: Option<CloudOrigin>,
    pub(super) plugin: String,
    pub(super) provenance: String,
    /// The section tree, JSON.
    pub(super) tree: Option<String>,
    pub(super) terms: Vec<(TermKind, String, SafeLine)>,
    /// Official files of this document.
    pub(super) files: Vec<(KbPath, ContentHash)>,
}

impl Row {
    /// The document's id at its service, if it is known.
    pub(super) fn remote_id(&self) -> Option<&str> {
        Some(self.cloud.as_ref()?.id.as_ref()?.as_str())
    }
}

/// Everything a commit writes.
#[derive(Debug)]
pub(super) struct Transaction<'a> {
    pub(super) id: &'a str,
    pub(super) kind: &'a str,
    pub(super) epoch: i64,
    pub(super) time: &'a str,
    pub(super) rows: &'a [Row],
    /// Registered documents that go: their ordinals.
    pub(super) removed_documents: &'a [i64],
    /// What changes of the index beside its pages.
    pub(super) index: &'a IndexFacts,
    /// Shared pages written.
    pub(super) shared: &'a [(KbPath, ContentHash)],
    /// Official files removed.
    pub(super) removed: &'a [KbPath],
    /// Digests of `hashes.json` that are ours: the file found, and the one this commit exports.
    pub(super) exports: Option<(String, String)>,
    /// Checkpoints of the conversions that this commit has the results of.
    pub(super) checkpoints: &'a [CheckpointKey],
}

impl Registry {
    /// Opens the registry for writing; `None` if there is none yet. One of an older schema is
    /// brought to the present one first, so the lock must be held.
    ///
    /// # Errors
    /// If there is one that cannot be used.
    pub(super) fn open(root: &KbRoot) -> Result<Option<Self>, KbError> {
        if !root.has_file(&layout::registry_db())? {
            return Ok(None);
        }
        let registry = Self::connect(root, OpenFlags::empty())?;
        if !registry.check()? {
            return Ok(None);
        }
        registry.migrate()?;
        registry.add_exchange_tables()?;
        registry.add_checkpoint_table()?;
        Ok(Some(registry))
    }

    /// What a preview asks: the registry as it is, not to be written to, or, while there is none,
    /// one in memory with what the first mutation would import.
    ///
    /// # Errors
    /// If there is one that cannot be used, or `hashes.json` cannot be understood.
    pub(super) fn for_reading(root: &KbRoot) -> Result<Self, MutationError> {
        if let Some(reader) = Reader::open(root)? {
            let registry = Self {
                reader,
                exported: Cell::new(false),
            };
            registry.migrate_for_reading()?;
            return Ok(registry);
        }
        let connection = Connection::open_in_memory().map_err(MutationError::Registry)?;
        let registry = Self::of(connection, &root.join(&layout::registry_db()));
        registry.batch(SCHEMA)?;
        registry.batch(EXCHANGE_SCHEMA)?;
        registry.batch("INSERT INTO meta (key, value) VALUES ('epoch', 0), ('revision', 0)")?;
        registry.write_index_meta()?;
        for entry in openkb::read(root)?.unwrap_or_default() {
            registry.import(&entry, "")?;
        }
        Ok(registry)
    }

    /// Wraps a connection to a registry that is being rebuilt.
    pub(super) fn of(connection: Connection, path: &std::path::Path) -> Self {
        Self {
            reader: Reader::of(connection, path),
            exported: Cell::new(false),
        }
    }

    /// Notes whether `hashes.json` is what was exported last.
    pub(super) fn set_exported(&self, exported: bool) {
        self.exported.set(exported);
    }

    /// Whether `hashes.json` was found to be what was exported last, under the lock that is held.
    pub(super) fn is_exported(&self) -> bool {
        self.exported.get()
    }

    /// Makes the registry, and imports what OpenKB registered. A crash leaves a database without
    /// tables, which counts as none.
    ///
    /// # Errors
    /// If it cannot be written or `hashes.json` cannot be understood.
    pub(super) fn create(storage: &Storage, time: &str) -> Result<Self, MutationError> {
        let root = storage.root();
        let imported = openkb::read(root)?;
        for dir in [layout::own_dir(), layout::journal_dir()] {
            storage.make_dir("registry.mkdir", &dir)?;
        }
        let registry = Self::connect(root, OpenFlags::SQLITE_OPEN_CREATE)?;
        let uuid = random_hex(16)?;
        let found = openkb_digest(root)?;
        let sql = |e| MutationError::Registry(e);
        registry.batch("BEGIN IMMEDIATE")?;
        registry.batch(SCHEMA)?;
        registry.batch(EXCHANGE_SCHEMA)?;
        registry.batch(CHECKPOINT_SCHEMA)?;
        let meta = "INSERT INTO meta (key, value) VALUES (?1, ?2)";
        let connection = &registry.reader.connection;
        connection
            .execute(meta, params!["schema", SCHEMA_VERSION])
            .map_err(sql)?;
        // Documents that are there count as a commit: a search index that begins with the next one
        // lacks them and is built anew.
        let epoch = i64::from(imported.as_ref().is_some_and(|entries| !entries.is_empty()));
        connection
            .execute(meta, params!["epoch", epoch])
            .map_err(sql)?;
        connection
            .execute(meta, params!["revision", 0])
            .map_err(sql)?;
        connection
            .execute(meta, params!["uuid", uuid])
            .map_err(sql)?;
        connection
            .execute(meta, params!["openkb", i64::from(imported.is_some())])
            .map_err(sql)?;
        connection
            .execute(meta, params!["hashes_found", found])
            .map_err(sql)?;
        connection
            .execute(meta, params!["hashes_written", found])
            .map_err(sql)?;
        registry.write_index_meta()?;
        for entry in imported.unwrap_or_default() {
            registry.import(&entry, time)?;
        }
        registry.batch("COMMIT")?;
        // The directory entry of the database must be there when the first commit is.
        storage.sync(
            "registry.create-sync",
            &[],
            &[layout::own_dir(), layout::state_dir()],
        )?;
        Ok(registry)
    }

    /// The registry's own id: a journal names it, so that another registry cannot judge it.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn uuid(&self) -> Result<String, KbError> {
        self.meta_text("uuid")?
            .ok_or_else(|| self.invalid("it has no uuid"))
    }

    /// Whether more than `count` documents are registered; reads no more of them.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn has_more_than(&self, count: u32) -> Result<bool, KbError> {
        let found: i64 = self
            .connection
            .query_row(
                "SELECT count(*) FROM (SELECT 1 FROM documents LIMIT ?1)",
                [i64::from(count) + 1],
                |row| row.get(0),
            )
            .map_err(|e| self.failed(e))?;
        Ok(found > i64::from(count))
    }

    /// Whether a document's folded name is `fold`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn owns_name(&self, fold: &str) -> Result<bool, KbError> {
        let count: i64 = self
            .reader
            .connection
            .query_row(
                "SELECT count(*) FROM documents WHERE name_fold = ?1",
                [fold],
                |row| row.get(0),
            )
            .map_err(|e| self.failed(e))?;
        Ok(count > 0)
    }

    /// One document by a column.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn document_by(
        &self,
        column: &'static str,
        value: &dyn rusqlite::ToSql,
    ) -> Result<Option<DocumentRow>, KbError> {
        let rows = self.documents(&format!("WHERE {column} = ?1 LIMIT 1"), [value])?;
        Ok(rows.into_iter().next())
    }

    /// The newest documents with a term, at most `newest`, in order of registration.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn documents_with(
        &self,
        kind: TermKind,
        slug: &str,
        newest: usize,
    ) -> Result<Vec<DocumentRow>, KbError> {
        let newest = i64::try_from(newest).unwrap_or(i64::MAX);
        self.documents(
            "WHERE ordinal IN (SELECT ordinal FROM terms WHERE kind = ?1 AND slug = ?2 \
             ORDER BY ordinal DESC LIMIT ?3) ORDER BY ordinal",
            params![kind_name(kind), slug, newest],
        )
    }

    /// The terms of a document.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn terms_of(
        &self,
        ordinal: i64,
    ) -> Result<Vec<(TermKind, String, SafeLine)>, KbError> {
        let sql = "SELECT kind, slug, label FROM terms WHERE ordinal = ?1 ORDER BY kind, slug";
        let mut statement = self
            .reader
            .connection
            .prepare_cached(sql)
            .map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map([ordinal], |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    row.get(1)?,
                    row.get::<_, String>(2)?,
                ))
            })
            .map_err(|e| self.failed(e))?;
        rows.map(|row| {
            let (kind, slug, label): (String, String, String) = row.map_err(|e| self.failed(e))?;
            let kind = if kind == kind_name(TermKind::Entity) {
                TermKind::Entity
            } else {
                TermKind::Concept
            };
            Ok((kind, slug, SafeLine::new(&label)))
        })
        .collect()
    }

    /// The official files of a document.
    ///
    /// # Errors
    /// If it cannot be read, or a path in it is none.
    pub(super) fn files_of(&self, ordinal: i64) -> Result<Vec<KbPath>, KbError> {
        let sql = "SELECT path FROM pages WHERE ordinal = ?1 ORDER BY path";
        let mut statement = self
            .reader
            .connection
            .prepare_cached(sql)
            .map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map([ordinal], |row| row.get::<_, String>(0))
            .map_err(|e| self.failed(e))?;
        rows.map(|row| Ok(KbPath::new(&row.map_err(|e| self.failed(e))?)?))
            .collect()
    }

    /// The pages that no document has alone.
    ///
    /// # Errors
    /// If they cannot be read, or a path in it is none.
    pub(super) fn shared_pages(&self) -> Result<Vec<KbPath>, KbError> {
        let sql = "SELECT path FROM pages WHERE ordinal IS NULL ORDER BY path";
        let mut statement = self
            .reader
            .connection
            .prepare(sql)
            .map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .map_err(|e| self.failed(e))?;
        rows.map(|row| Ok(KbPath::new(&row.map_err(|e| self.failed(e))?)?))
            .collect()
    }

    /// The entries of `hashes.json` in OpenKB's order.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn export_entries(&self) -> Result<Vec<(ContentHash, openkb::Entry)>, KbError> {
        self.entries("ORDER BY revision", [])
    }

    /// Opens the commit's transaction and writes all of it but the end.
    ///
    /// # Errors
    /// If a row cannot be written, or another owner moved the epoch: nothing is committed then.
    pub(super) fn begin(&self, work: &Transaction<'_>) -> Result<(), MutationError> {
        self.batch("BEGIN IMMEDIATE")?;
        let moved = self.execute(
            "UPDATE meta SET value = value + 1 WHERE key = 'epoch' AND value = ?1",
            params![work.epoch],
        )?;
        if moved != 1 {
            return Err(MutationError::Fenced {
                expected: work.epoch,
                found: self.meta_integer("epoch")?,
            });
        }
        self.settle_base()?;
        for ordinal in work.removed_documents {
            let sql = "SELECT name_fold FROM documents WHERE ordinal = ?1";
            let name: Option<String> = self
                .reader
                .connection
                .query_row(sql, [ordinal], |row| row.get(0))
                .optional()
                .map_err(MutationError::Registry)?;
            if let Some(name) = name {
                self.remember_base(&name)?;
            }
            // A kept original is nobody's from here on. The document's terms go with its row.
            self.execute("DELETE FROM pages WHERE ordinal = ?1", params![ordinal])?;
            self.execute("DELETE FROM documents WHERE ordinal = ?1", params![ordinal])?;
        }
        for path in work.removed {
            self.execute("DELETE FROM pages WHERE path = ?1", params![path.as_str()])?;
        }
        for row in work.rows {
            self.write_row(row, work)?;
        }
        self.write_index_facts(work.index)?;
        for (path, hash) in work.shared {
            self.write_page(path, None, hash)?;
        }
        if let Some((found, written)) = &work.exports {
            self.set_exchanged(found, written)?;
        }
        for key in work.checkpoints {
            self.forget_checkpoint(key)?;
        }
        self.execute(
            "INSERT INTO mutations (id, kind, epoch, documents, committed_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                work.id,
                work.kind,
                work.epoch + 1,
                (work.rows.len() + work.removed_documents.len()) as i64,
                work.time
            ],
        )?;
        Ok(())
    }

    /// The commit point.
    ///
    /// # Errors
    /// An error is neither success nor failure: the handle must not be used again.
    pub(super) fn commit(&self) -> Result<(), rusqlite::Error> {
        self.reader.connection.execute_batch("COMMIT")
    }

    /// Gives up the transaction that [`Self::begin`] opened.
    pub(super) fn abandon(&self) {
        if !self.reader.connection.is_autocommit()
            && let Err(error) = self.reader.connection.execute_batch("ROLLBACK")
        {
            tracing::warn!(%error, "the registry's transaction could not be rolled back");
        }
    }

    /// Makes the answer that a mutation is not committed stay true. Its owner may have died in COMMIT
    /// with the commit's frames in the log and the log's index not yet moved: while somebody keeps the
    /// index alive nobody sees that commit, and once it is made anew everybody would. A transaction of
    /// ours takes the place of those frames.
    ///
    /// # Errors
    /// If it cannot be written: then nothing is decided.
    pub(super) fn settle_log(&self) -> Result<(), KbError> {
        self.reader
            .connection
            .execute_batch(
                "INSERT INTO meta (key, value) VALUES ('recoveries', 1) \
                 ON CONFLICT (key) DO UPDATE SET value = value + 1",
            )
            .map_err(|error| self.failed(error))
    }

    /// Folds the write-ahead log into the database.
    ///
    /// # Errors
    /// If that fails; a reader in the way is no error.
    pub(super) fn checkpoint(&self) -> Result<(), MutationError> {
        self.reader
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(MutationError::Registry)
    }

    fn connect(root: &KbRoot, extra: OpenFlags) -> Result<Self, KbError> {
        let path = root.database(&layout::registry_db())?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW
            | extra;
        let open = || {
            let connection = Connection::open_with_flags(&path, flags)?;
            harden(&connection)?;
            connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
            // FULL: the commit point must be on the medium when COMMIT returns.
            connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON")?;
            if fault::is_left_out("FILE_SYNC") {
                connection.execute_batch("PRAGMA synchronous = OFF")?;
            }
            Ok(connection)
        };
        let connection = open().map_err(|source| KbError::Registry {
            path: path.clone(),
            source,
        })?;
        Ok(Self::of(connection, &path))
    }

    fn write_row(&self, row: &Row, work: &Transaction<'_>) -> Result<(), MutationError> {
        self.remember_base(&names::fold(row.doc_name.as_str()))?;
        self.execute(
            "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
            [],
        )?;
        let added_at = match row.ordinal {
            Some(ordinal) => self
                .query_added_at(ordinal)?
                .unwrap_or_else(|| work.time.to_owned()),
            None => work.time.to_owned(),
        };
        self.execute(
            "INSERT INTO documents (ordinal, revision, doc_name, name_fold, hash, source_key, name, type, raw_path, \
             source_path, media_type, title, description, doc_type, pages, size, added_at, updated_at, plugin, \
             provenance, mutation, doc_id, origin) VALUES (?1, (SELECT value FROM meta WHERE key = 'revision'), ?2, \
             ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22) \
             ON CONFLICT (ordinal) DO UPDATE SET revision = excluded.revision, doc_name = excluded.doc_name, \
             name_fold = excluded.name_fold, hash = excluded.hash, source_key = excluded.source_key, \
             name = excluded.name, type = excluded.type, raw_path = excluded.raw_path, \
             source_path = excluded.source_path, media_type = excluded.media_type, title = excluded.title, \
             description = excluded.description, doc_type = excluded.doc_type, pages = excluded.pages, \
             size = excluded.size, updated_at = excluded.updated_at, plugin = excluded.plugin, \
             provenance = excluded.provenance, mutation = excluded.mutation, \
             doc_id = excluded.doc_id, origin = excluded.origin",
            params![
                row.ordinal,
                row.doc_name.as_str(),
                names::fold(row.doc_name.as_str()),
                row.hash.as_bytes(),
                row.source_key,
                row.name.as_str(),
                row.kind,
                row.raw_path.as_ref().map(KbPath::as_str),
                row.source_path.as_str(),
                row.media_type,
                row.title.as_str(),
                row.description.as_str(),
                row.doc_type,
                row.pages,
                row.size.map(|size| i64::try_from(size).unwrap_or(i64::MAX)),
                added_at,
                work.time,
                row.plugin,
                row.provenance,
                work.id,
                row.remote_id(),
                row.cloud.as_ref().map(|_| CLOUD_ORIGIN),
            ],
        )?;
        let ordinal = row
            .ordinal
            .unwrap_or_else(|| self.reader.connection.last_insert_rowid());
        self.write_tree(ordinal, row.tree.as_deref())?;
        self.write_terms_and_files(ordinal, &row.terms, &row.files)
    }

    /// Gives a document its section tree, in place of the one it had.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write_tree(&self, ordinal: i64, json: Option<&str>) -> Result<(), MutationError> {
        self.execute("DELETE FROM trees WHERE ordinal = ?1", params![ordinal])?;
        if let Some(json) = json {
            self.execute(
                "INSERT INTO trees (ordinal, json) VALUES (?1, ?2)",
                params![ordinal, json],
            )?;
        }
        Ok(())
    }

    /// Gives a document its terms, in place of those it had, and its official files.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn write_terms_and_files(
        &self,
        ordinal: i64,
        terms: &[(TermKind, String, SafeLine)],
        files: &[(KbPath, ContentHash)],
    ) -> Result<(), MutationError> {
        self.execute("DELETE FROM terms WHERE ordinal = ?1", params![ordinal])?;
        for (kind, slug, label) in terms {
            self.execute(
                "INSERT OR REPLACE INTO terms (kind, slug, ordinal, label) VALUES (?1, ?2, ?3, ?4)",
                params![kind_name(*kind), slug, ordinal, label.as_str()],
            )?;
        }
        for (path, hash) in files {
            self.write_page(path, Some(ordinal), hash)?;
        }
        Ok(())
    }

    pub(super) fn write_page(
        &self,
        path: &KbPath,
        ordinal: Option<i64>,
        hash: &ContentHash,
    ) -> Result<(), MutationError> {
        // A summary page that another document's commit edited stays its own document's.
        self.execute(
            "INSERT INTO pages (path, ordinal, sha256) VALUES (?1, ?2, ?3) ON CONFLICT (path) DO UPDATE \
             SET ordinal = coalesce(excluded.ordinal, ordinal), sha256 = excluded.sha256",
            params![path.as_str(), ordinal, hash.as_bytes()],
        )
        .map(drop)
    }

    fn query_added_at(&self, ordinal: i64) -> Result<Option<String>, MutationError> {
        self.reader
            .connection
            .query_row(
                "SELECT added_at FROM documents WHERE ordinal = ?1",
                [ordinal],
                |row| row.get(0),
            )
            .map_err(MutationError::Registry)
    }

    fn import(&self, entry: &openkb::Imported, time: &str) -> Result<(), MutationError> {
        let row = &entry.row;
        self.execute(
            "UPDATE meta SET value = value + 1 WHERE key = 'revision'",
            [],
        )?;
        self.execute(
            "INSERT INTO documents (ordinal, revision, doc_name, name_fold, hash, source_key, name, type, raw_path, \
             source_path, title, description, doc_type, added_at, doc_id, origin) VALUES (?1, (SELECT value FROM \
             meta WHERE key = 'revision'), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
            params![
                row.ordinal,
                row.doc_name.as_str(),
                names::fold(row.doc_name.as_str()),
                row.hash.as_bytes(),
                row.source_key.as_str(),
                row.name,
                row.kind,
                row.raw_path.as_ref().map(KbPath::as_str),
                row.source_path.as_ref().map(KbPath::as_str),
                row.title,
                row.description,
                if matches!(row.kind.as_str(), "long_pdf" | "pageindex_cloud") { "pageindex" } else { "short" },
                time,
                entry.doc_id,
                entry.origin,
            ],
        )?;
        self.set_extra(row.ordinal, &entry.extra)
    }

    pub(super) fn batch(&self, sql: &str) -> Result<(), MutationError> {
        self.reader
            .connection
            .execute_batch(sql)
            .map_err(MutationError::Registry)
    }

    pub(super) fn execute(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<usize, MutationError> {
        let mut statement = self
            .reader
            .connection
            .prepare_cached(sql)
            .map_err(MutationError::Registry)?;
        statement.execute(params).map_err(MutationError::Registry)
    }
}

/// SHA-256 of `hashes.json` as it is now; empty if there is none.
///
/// # Errors
/// If it cannot be read.
pub(super) fn openkb_digest(root: &Arc<KbRoot>) -> Result<String, KbError> {
    let bytes = root.read(&layout::hashes_json(), openkb::HASHES_BYTES_MAX)?;
    Ok(bytes
        .map(|bytes| ContentHash::of(&bytes).to_hex())
        .unwrap_or_default())
}

/// How a kind of term is written in the registry.
pub(super) fn kind_name(kind: TermKind) -> &'static str {
    match kind {
        TermKind::Concept => "concept",
        TermKind::Entity => "entity",
    }
}
