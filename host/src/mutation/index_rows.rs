//! What the registry knows of the index: which sections lie in shards, and the ordinals by which
//! entries find their shard. Brings a registry that did not know it yet up to date.

use rusqlite::{OptionalExtension as _, params};

use super::MutationError;
use super::registry::{Registry, kind_name};
use crate::compile::{IndexFact, IndexFacts};
use crate::kb::registry::SCHEMA_VERSION;
use crate::kb::view::{IndexSection, Listed, ORDINAL_MAX};
use crate::kb::{DocName, KbError, SafeLine};
use crate::prepare::TermKind;

/// Schema 1 to 2: pages of terms get ordinals, by [`NUMBER_NEW`].
const FROM_1_TO_2: &str = "
CREATE TABLE term_pages (
    kind TEXT NOT NULL, slug TEXT NOT NULL, ordinal INTEGER NOT NULL,
    PRIMARY KEY (kind, slug), UNIQUE (kind, ordinal)
) WITHOUT ROWID;
";

/// Schema 2 to 3: long documents get section trees, of which those that are there have none, and
/// documents are found by their id at a service.
const FROM_2_TO_3: &str = "
CREATE TABLE trees (ordinal INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE, json TEXT NOT NULL);
CREATE INDEX documents_doc_id ON documents (doc_id) WHERE doc_id IS NOT NULL;
";

/// Pages of terms without an ordinal get one behind all that have one, in the order of the second
/// document of each, which is the one that made the page. Pages that stayed without two documents,
/// because people wrote on them, come last.
const NUMBER_NEW: &str = "
WITH found (kind, slug) AS (
    SELECT kind, slug FROM terms GROUP BY kind, slug HAVING count(*) >= 2
    UNION SELECT 'concept', substr(path, 15, length(path) - 17) FROM pages WHERE path GLOB 'wiki/concepts/*.md'
    UNION SELECT 'entity', substr(path, 15, length(path) - 17) FROM pages WHERE path GLOB 'wiki/entities/*.md'
), dated (kind, slug, second) AS (
    SELECT kind, slug, (SELECT ordinal FROM terms WHERE terms.kind = found.kind AND terms.slug = found.slug
                        ORDER BY ordinal LIMIT 1 OFFSET 1)
    FROM found
)
INSERT INTO term_pages (kind, slug, ordinal)
SELECT kind, slug, (SELECT coalesce(max(ordinal), 0) FROM term_pages AS old WHERE old.kind = dated.kind)
                   + row_number() OVER (PARTITION BY kind ORDER BY second IS NULL, second, slug)
FROM dated WHERE NOT EXISTS (SELECT 1 FROM term_pages AS old WHERE old.kind = dated.kind AND old.slug = dated.slug);
";

/// Key in `meta` that is 1 once a section lies in shards.
fn sharded_key(section: IndexSection) -> &'static str {
    match section {
        IndexSection::Documents => "documents_sharded",
        IndexSection::Concepts => "concepts_sharded",
        IndexSection::Entities => "entities_sharded",
    }
}

/// Key in `meta` of the last ordinal that a page of a kind of term got.
fn last_key(kind: TermKind) -> &'static str {
    match kind {
        TermKind::Concept => "concepts_last",
        TermKind::Entity => "entities_last",
    }
}

impl Registry {
    /// Brings a registry of an older schema to the present one, in one transaction: a crash leaves
    /// it as it was. The lock is held.
    ///
    /// # Errors
    /// If it cannot be written; it is then as it was.
    pub(super) fn migrate(&self) -> Result<(), KbError> {
        if self.meta_integer("schema")? == SCHEMA_VERSION {
            return Ok(());
        }
        let migrated = self.migrate_in_transaction();
        if migrated.is_err() {
            self.abandon();
        }
        match migrated {
            Ok(()) => Ok(()),
            Err(MutationError::Registry(source)) => Err(self.failed(source)),
            Err(MutationError::Kb(error)) => Err(error),
            Err(other) => unreachable!("BUG: a migration touches the registry only: {other}"),
        }
    }

    fn migrate_in_transaction(&self) -> Result<(), MutationError> {
        self.batch("BEGIN IMMEDIATE")?;
        // Another owner cannot be between: the lock is held. The version is asked again all the
        // same, because the statements below must not run twice.
        let schema = self.meta_integer("schema")?;
        if schema < 2 {
            self.batch(FROM_1_TO_2)?;
            self.batch(NUMBER_NEW)?;
            self.write_index_meta()?;
        }
        if schema < 3 {
            self.batch(FROM_2_TO_3)?;
            self.execute(
                "UPDATE meta SET value = ?1 WHERE key = 'schema'",
                params![SCHEMA_VERSION],
            )?;
        }
        self.batch("COMMIT")
    }

    /// Gives a registry that is open for reading what an older schema lacks, for this connection
    /// alone.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn migrate_for_reading(&self) -> Result<(), MutationError> {
        // Nobody who only reads misses the table of trees.
        if self.meta_integer("schema")? > 1 {
            return Ok(());
        }
        self.batch(&FROM_1_TO_2.replacen("CREATE TABLE", "CREATE TEMP TABLE", 1))?;
        self.batch(NUMBER_NEW)
    }

    /// Writes the keys of `meta` that this module reads, from `term_pages` as it is; no section lies
    /// in shards.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn write_index_meta(&self) -> Result<(), MutationError> {
        for section in IndexSection::ALL {
            let sql = "INSERT INTO meta (key, value) VALUES (?1, 0)";
            self.execute(sql, params![sharded_key(section)])?;
        }
        for kind in [TermKind::Concept, TermKind::Entity] {
            self.execute(
                "INSERT INTO meta (key, value) SELECT ?1, coalesce(max(ordinal), 0) FROM term_pages WHERE kind = ?2",
                params![last_key(kind), kind_name(kind)],
            )?;
        }
        Ok(())
    }

    /// Gives ordinals to pages of terms that have none, behind all that have one.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn number_term_pages(&self) -> Result<(), MutationError> {
        self.batch(NUMBER_NEW)?;
        for kind in [TermKind::Concept, TermKind::Entity] {
            self.execute(
                "UPDATE meta SET value = max(value, (SELECT coalesce(max(ordinal), 0) FROM term_pages WHERE kind = ?2)) \
                 WHERE key = ?1",
                params![last_key(kind), kind_name(kind)],
            )?;
        }
        Ok(())
    }

    /// Gives the page of a term an ordinal behind all that have one, at least `ordinal_min`; one that
    /// has an ordinal keeps it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn number_term(
        &self,
        kind: TermKind,
        slug: &str,
        ordinal_min: i64,
    ) -> Result<(), MutationError> {
        self.execute(
            "INSERT OR IGNORE INTO term_pages (kind, slug, ordinal) VALUES (?1, ?2, \
             max(?3, (SELECT coalesce(max(ordinal), 0) + 1 FROM term_pages WHERE kind = ?1)))",
            params![kind_name(kind), slug, ordinal_min],
        )
        .map(drop)
    }

    /// Notes whether a section of the index lies in shards.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn set_sharded(
        &self,
        section: IndexSection,
        is_sharded: bool,
    ) -> Result<(), MutationError> {
        self.execute(
            "UPDATE meta SET value = ?2 WHERE key = ?1",
            params![sharded_key(section), i64::from(is_sharded)],
        )
        .map(drop)
    }

    /// Writes what a commit changes of the index, within its transaction.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write_index_facts(&self, facts: &IndexFacts) -> Result<(), MutationError> {
        for fact in facts.iter() {
            match fact {
                IndexFact::TermPageMade {
                    kind,
                    slug,
                    ordinal,
                } => {
                    self.execute(
                        "INSERT INTO term_pages (kind, slug, ordinal) VALUES (?1, ?2, ?3)",
                        params![kind_name(*kind), slug, ordinal],
                    )?;
                    self.execute(
                        "UPDATE meta SET value = ?2 WHERE key = ?1",
                        params![last_key(*kind), ordinal],
                    )?;
                }
                IndexFact::TermPageGone { kind, slug } => {
                    self.execute(
                        "DELETE FROM term_pages WHERE kind = ?1 AND slug = ?2",
                        params![kind_name(*kind), slug],
                    )?;
                }
                IndexFact::Sharded(section) => {
                    self.execute(
                        "UPDATE meta SET value = 1 WHERE key = ?1",
                        params![sharded_key(*section)],
                    )?;
                }
            }
        }
        Ok(())
    }

    /// Whether a section of the index lies in shards.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn is_sharded(&self, section: IndexSection) -> Result<bool, KbError> {
        // A preview reads a registry of schema 1 as it is: nothing lies in shards there.
        Ok(self.meta_number(sharded_key(section))?.unwrap_or(0) != 0)
    }

    /// The ordinal of a document.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn document_ordinal(&self, name: &DocName) -> Result<Option<i64>, KbError> {
        let sql = "SELECT ordinal FROM documents WHERE doc_name = ?1";
        let found = self.ordinal(sql, params![name.as_str()])?;
        found.map(|ordinal| self.bounded(ordinal)).transpose()
    }

    /// The highest ordinal that a document ever had.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn last_document_ordinal(&self) -> Result<i64, KbError> {
        // SQLite keeps it for AUTOINCREMENT; there is no row before the first document.
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'documents'";
        self.bounded(self.ordinal(sql, [])?.unwrap_or(0))
    }

    /// The newest documents with ordinals of a range, at most `newest`, the newest first.
    ///
    /// # Errors
    /// If they cannot be read, or a name is none.
    pub(super) fn documents_between(
        &self,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<(i64, Listed)>, KbError> {
        let sql = "SELECT ordinal, doc_name, doc_type, description FROM documents \
                   WHERE ordinal BETWEEN ?1 AND ?2 ORDER BY ordinal DESC LIMIT ?3";
        let newest = i64::try_from(newest).unwrap_or(i64::MAX);
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map(params![first, last, newest], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get(2)?,
                    row.get::<_, String>(3)?,
                ))
            })
            .map_err(|e| self.failed(e))?;
        rows.map(|row| {
            let (ordinal, name, doc_type, description) = row.map_err(|e| self.failed(e))?;
            let name =
                DocName::new(&name).ok_or_else(|| self.invalid("a document name is none"))?;
            let description = SafeLine::new(&description);
            Ok((
                ordinal,
                Listed {
                    name,
                    doc_type,
                    description,
                },
            ))
        })
        .collect()
    }

    /// The slugs of the newest pages of terms with ordinals of a range, at most `newest`, the newest
    /// first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn terms_between(
        &self,
        kind: TermKind,
        first: i64,
        last: i64,
        newest: usize,
    ) -> Result<Vec<String>, KbError> {
        let sql = "SELECT slug FROM term_pages WHERE kind = ?1 AND ordinal BETWEEN ?2 AND ?3 \
                   ORDER BY ordinal DESC LIMIT ?4";
        let newest = i64::try_from(newest).unwrap_or(i64::MAX);
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map(params![kind_name(kind), first, last, newest], |row| {
                row.get(0)
            })
            .map_err(|e| self.failed(e))?;
        rows.map(|row| row.map_err(|e| self.failed(e))).collect()
    }

    /// The ordinal of a term's page.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn term_ordinal(&self, kind: TermKind, slug: &str) -> Result<Option<i64>, KbError> {
        let sql = "SELECT ordinal FROM term_pages WHERE kind = ?1 AND slug = ?2";
        let found = self.ordinal(sql, params![kind_name(kind), slug])?;
        found.map(|ordinal| self.bounded(ordinal)).transpose()
    }

    /// The highest ordinal that a page of a kind of term ever had.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn last_term_ordinal(&self, kind: TermKind) -> Result<i64, KbError> {
        self.bounded(self.meta_number(last_key(kind))?.unwrap_or(0))
    }

    /// Refuses a last ordinal behind which there is no room: the registry is a stranger's.
    fn bounded(&self, last: i64) -> Result<i64, KbError> {
        match (0..ORDINAL_MAX).contains(&last) {
            true => Ok(last),
            false => Err(self.invalid("it counts further than there can be documents")),
        }
    }

    fn meta_number(&self, key: &str) -> Result<Option<i64>, KbError> {
        self.ordinal("SELECT value FROM meta WHERE key = ?1", [key])
    }

    fn ordinal(&self, sql: &str, params: impl rusqlite::Params) -> Result<Option<i64>, KbError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.query_row(params, |row| row.get(0)).optional())
            .map_err(|e| self.failed(e))
    }
}

#[cfg(test)]
mod tests;
