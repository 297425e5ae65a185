//! A registry of an older schema becomes one of the present schema.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests put an old registry in the place of the new one"
)]

use std::sync::Arc;

use rusqlite::Connection;

use super::*;
use crate::kb::registry::Catalogue;
use crate::kb::{KbRoot, layout};
use crate::mutation::init;

/// The tables of schema 1, as the program of that time made them.
const SCHEMA_1: &str = "
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
INSERT INTO meta VALUES ('schema', 1), ('epoch', 4), ('revision', 4), ('uuid', 'u'), ('openkb', 0),
    ('hashes_found', ''), ('hashes_written', '');
";

/// A KB whose registry is of schema 1: documents 1 to 4 (5 is gone) and their terms.
fn of_schema_1() -> (tempfile::TempDir, Arc<KbRoot>, Connection) {
    let dir = tempfile::tempdir().unwrap();
    init(dir.path(), "en").unwrap();
    let root = Arc::new(KbRoot::open(dir.path()).unwrap());
    for end in ["", "-wal", "-shm"] {
        let file = root.join(&layout::registry_db());
        let removed = std::fs::remove_file(format!("{}{end}", file.display()));
        assert!(removed.is_ok() || !end.is_empty());
    }
    let db = Connection::open(root.join(&layout::registry_db())).unwrap();
    db.pragma_update(None, "journal_mode", "WAL").unwrap();
    db.execute_batch(SCHEMA_1).unwrap();
    for ordinal in 1..=5 {
        db.execute(
            "INSERT INTO documents (revision, doc_name, name_fold, hash, source_key, name, type, title, description, \
             doc_type) VALUES (?1, 'd' || ?1, 'd' || ?1, randomblob(32), '/d' || ?1, 'd.md', 'md', 't', '', 'short')",
            [ordinal],
        )
        .unwrap();
    }
    db.execute("DELETE FROM documents WHERE ordinal = 5", [])
        .unwrap();
    for (kind, slug, ordinals) in [
        ("concept", "late", &[1, 4][..]),
        ("concept", "early", &[1, 2, 3, 4]),
        ("concept", "also-late", &[3, 4]),
        ("concept", "alone", &[2]),
        ("entity", "ada", &[2, 3]),
    ] {
        for ordinal in ordinals {
            let sql = "INSERT INTO terms VALUES (?1, ?2, ?3, 'label')";
            db.execute(sql, params![kind, slug, ordinal]).unwrap();
        }
    }
    for path in [
        "wiki/concepts/early.md",
        "wiki/concepts/kept.md",
        "wiki/entities/ada.md",
        "wiki/index.md",
    ] {
        let sql = "INSERT INTO pages VALUES (?1, NULL, zeroblob(32))";
        db.execute(sql, [path]).unwrap();
    }
    (dir, root, db)
}

#[test]
fn pages_of_terms_get_ordinals_in_the_order_they_were_made() {
    let (_dir, root, db) = of_schema_1();
    let catalogue = Catalogue::open(&root).unwrap();
    assert_eq!(catalogue.documents().unwrap().len(), 4);
    assert_eq!(schema(&db), 1, "a reader changes nothing");
    for _ in 0..2 {
        let registry = Registry::open(&root).unwrap().unwrap();
        assert_eq!(schema(&db), SCHEMA_VERSION);
        let check = |kind, slug: &str, expected: Option<i64>| {
            let found = registry.term_ordinal(kind, slug).unwrap();
            assert_eq!(found, expected, "{slug}");
        };
        check(TermKind::Concept, "early", Some(1));
        check(TermKind::Concept, "also-late", Some(2));
        check(TermKind::Concept, "late", Some(3));
        check(TermKind::Concept, "kept", Some(4));
        check(TermKind::Concept, "alone", None);
        check(TermKind::Concept, "ada", None);
        check(TermKind::Entity, "ada", Some(1));
        let last = |kind| registry.last_term_ordinal(kind).unwrap();
        assert_eq!((last(TermKind::Concept), last(TermKind::Entity)), (4, 1));
        assert_eq!(registry.last_document_ordinal().unwrap(), 5);
        for section in IndexSection::ALL {
            assert!(!registry.is_sharded(section).unwrap());
        }
    }
    assert_eq!(catalogue.documents().unwrap().len(), 4);
}

#[test]
fn a_migration_that_fails_changes_nothing() {
    let (_dir, root, db) = of_schema_1();
    // What stands in the way comes last: all before it must be undone.
    db.execute("INSERT INTO meta VALUES ('entities_last', 0)", [])
        .unwrap();
    assert!(Registry::open(&root).is_err());
    assert_eq!(schema(&db), 1);
    let tables: i64 = db
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'term_pages'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(tables, 0);
    db.execute("DELETE FROM meta WHERE key = 'entities_last'", [])
        .unwrap();
    assert!(Registry::open(&root).unwrap().is_some());
}

#[test]
fn a_registry_that_is_newer_or_older_than_all_known_is_refused() {
    for version in [0, SCHEMA_VERSION + 1] {
        let (_dir, root, db) = of_schema_1();
        db.execute("UPDATE meta SET value = ?1 WHERE key = 'schema'", [version])
            .unwrap();
        assert!(Catalogue::open(&root).is_err());
        assert!(Registry::open(&root).is_err());
        assert_eq!(schema(&db), version);
    }
}

/// A registry that could not be used is not called sound, and nothing counts to its end.
#[test]
fn what_cannot_be_used_is_not_sound() {
    for (harm, is_refused_on_use) in [
        ("UPDATE sqlite_sequence SET seq = 4000000000", true),
        ("UPDATE sqlite_sequence SET seq = 9223372036854775807", true),
        (
            "INSERT INTO pages VALUES ('raw/../../x', NULL, zeroblob(32))",
            false,
        ),
        ("DROP TABLE term_pages", false),
        ("DROP TABLE trees", false),
        (
            "PRAGMA foreign_keys = OFF; INSERT INTO terms VALUES ('concept', 'x', 99, 'x')",
            false,
        ),
    ] {
        let (_dir, root, db) = of_schema_1();
        let registry = Registry::open(&root).unwrap().unwrap();
        registry.check_all().unwrap();
        db.execute_batch(harm).unwrap();
        assert!(registry.check_all().is_err(), "{harm}");
        assert_eq!(
            registry.last_document_ordinal().is_err(),
            is_refused_on_use,
            "{harm}"
        );
    }
    let (_dir, root, db) = of_schema_1();
    db.execute_batch("UPDATE meta SET value = 4 WHERE key = 'schema'")
        .unwrap();
    let error = Registry::open(&root).unwrap_err().to_string();
    assert!(error.contains("a newer version"), "{error}");
}

/// A registry from before section trees is read as one without any, and gets its table when it is
/// opened for writing.
#[test]
fn trees_come_with_schema_3() {
    let (_dir, root, db) = of_schema_1();
    drop(Registry::open(&root).unwrap());
    db.execute_batch("DROP TABLE trees; DROP INDEX documents_doc_id; UPDATE meta SET value = 2 WHERE key = 'schema'")
        .unwrap();
    let before = Catalogue::open(&root).unwrap();
    assert_eq!(before.tree(1).unwrap(), None);
    assert_eq!(schema(&db), 2);
    let registry = Registry::open(&root).unwrap().unwrap();
    assert_eq!(schema(&db), SCHEMA_VERSION);
    registry.check_all().unwrap();
    assert_eq!(before.tree(1).unwrap(), None);

    db.execute("UPDATE documents SET pages = 5", []).unwrap();
    let json = r#"{"structure":[{"title":"One","start_index":1,"end_index":9}]}"#;
    registry.write_tree(1, Some(json)).unwrap();
    registry.write_tree(2, Some(json)).unwrap();
    let tree = before.tree(1).unwrap().unwrap();
    assert_eq!((tree.nodes[0].start, tree.nodes[0].end), (1, 5));
    registry.write_tree(1, None).unwrap();
    assert_eq!(before.tree(1).unwrap(), None);
    registry
        .execute("DELETE FROM documents WHERE ordinal = 2", [])
        .unwrap();
    let left = |db: &Connection| -> i64 {
        db.query_row("SELECT count(*) FROM trees", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(left(&db), 0);
}

/// What stands in the place of a tree is somebody's word.
#[test]
fn a_strangers_tree_is_judged() {
    let (_dir, root, db) = of_schema_1();
    let registry = Registry::open(&root).unwrap().unwrap();
    let check = |json: &str, pages: Option<i64>, expected: &str| {
        db.execute("UPDATE documents SET pages = ?1", [pages])
            .unwrap();
        registry.write_tree(1, Some(json)).unwrap();
        let error = registry.tree(1).unwrap_err();
        assert!(error.to_string().contains(expected), "{json:.60}: {error}");
    };
    let deep = format!(r#"{{"structure":[{}"#, r#"{"nodes":["#.repeat(40));
    check("x", Some(1), "not JSON");
    check(&deep, Some(1), "more than 32 levels");
    check(r#"{"structure":[]}"#, None, "without pages");
    check(r#"{"structure":[]}"#, Some(-1), "without pages");
    check(&" ".repeat((128 << 20) + 1), Some(1), "too large");
}

fn schema(db: &Connection) -> i64 {
    db.query_row("SELECT value FROM meta WHERE key = 'schema'", [], |row| {
        row.get(0)
    })
    .unwrap()
}
