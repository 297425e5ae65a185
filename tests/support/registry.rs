//! The registry as text: the rows that mean something, in order, without times, ids and epochs.

use std::fmt::Write as _;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, types::ValueRef};

const QUERIES: [&str; 5] = [
    "SELECT ordinal, revision, doc_name, name_fold, hex(hash), source_key, name, type, raw_path, source_path, \
     media_type, title, description, doc_type, pages, size, plugin, provenance FROM documents ORDER BY ordinal",
    "SELECT kind, slug, ordinal, label FROM terms ORDER BY kind, slug, ordinal",
    "SELECT path, ordinal, hex(sha256) FROM pages ORDER BY path",
    "SELECT kind, slug, ordinal FROM term_pages ORDER BY kind, slug",
    "SELECT ordinal, json FROM trees ORDER BY ordinal",
];

/// Dumps the registry of a KB.
pub fn logical_registry(kb: &Path) -> String {
    let path = kb.join(".openkb/kbhost/registry.db");
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut text = String::new();
    for query in QUERIES {
        let mut statement = connection.prepare(query).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                match row.get_ref(column).unwrap() {
                    ValueRef::Null => text.push('-'),
                    ValueRef::Integer(number) => write!(text, "{number}").unwrap(),
                    ValueRef::Text(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
                    other => panic!("unexpected value {other:?}"),
                }
                text.push('|');
            }
            text.push('\n');
        }
    }
    let root = kb.parent().unwrap().canonicalize().unwrap();
    text.replace(&root.display().to_string(), "$ROOT")
}
