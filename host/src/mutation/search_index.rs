//! The search index, write side: follows the registry after each commit, under the guard.
//!
//! The index is derived and never synced: after a power cut it may be damaged or behind, which its
//! epoch tells, and it can be built anew. It claims an epoch only if it followed every commit up to
//! it.

use std::borrow::Cow;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use crate::kb::registry::DocumentRow;
use crate::kb::search::{FORMAT, defend, index_form};
use crate::kb::{DocName, KbPath, SafeLine};
use crate::prepare::Section;

/// A document as the index holds it.
#[derive(Clone, Debug)]
pub(super) struct SearchDocument<'a> {
    /// Its name.
    pub(super) name: &'a DocName,
    /// Its title.
    pub(super) title: &'a SafeLine,
    /// Its pages: that of the converted text, then those of its members.
    pub(super) pages: Vec<SearchPage<'a>>,
}

/// A page that hits name, and its text.
pub(super) type SearchPage<'a> = (KbPath, Cow<'a, [Section]>);

/// Brings the index at `path` to `epoch`, that of the registry `registry_uuid` after a commit that
/// wrote `upserts` and removed `removed`. Makes the index if there is none; one of another registry
/// or format is emptied first. An epoch counts one commit: an index that missed some takes the rows
/// and keeps its own epoch, so that readers are told; then the answer is false, and only
/// [`rebuild`] helps.
///
/// # Errors
/// If the index cannot be opened or written; it is then as before.
pub(super) fn update(
    path: &Path,
    registry_uuid: &str,
    epoch: i64,
    upserts: &[SearchDocument<'_>],
    removed: &[DocName],
) -> Result<bool, rusqlite::Error> {
    let mut connection = open(path)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let held = prepare_schema(&transaction, registry_uuid)?;
    for name in removed {
        remove(&transaction, name)?;
    }
    for document in upserts {
        remove(&transaction, document.name)?;
        insert(&transaction, document)?;
    }
    let followed = held + 1 == epoch;
    if followed {
        set_meta(&transaction, "epoch", &epoch.to_string())?;
    }
    transaction.commit()?;
    Ok(followed)
}

/// Fills the index at `path` with every document there is, as of `epoch`.
///
/// # Errors
/// If the index cannot be opened or written; it is then as before.
pub(super) fn rebuild(
    path: &Path,
    registry_uuid: &str,
    epoch: i64,
    rows: &[DocumentRow],
    mut pages_of: impl FnMut(&DocumentRow, &KbPath) -> Vec<SearchPage<'static>>,
) -> Result<(), rusqlite::Error> {
    let mut connection = open(path)?;
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    prepare_schema(&transaction, registry_uuid)?;
    transaction.execute_batch("DELETE FROM sections; DELETE FROM rows;")?;
    for row in rows {
        let Some(path) = &row.source_path else {
            continue;
        };
        let document = SearchDocument {
            name: &row.doc_name,
            title: &SafeLine::new(&row.title),
            pages: pages_of(row, path),
        };
        insert(&transaction, &document)?;
    }
    set_meta(&transaction, "epoch", &epoch.to_string())?;
    transaction.commit()
}

fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    defend(&connection)?;
    // No write-ahead log: a reader of a read-only KB could not open it.
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    Ok(connection)
}

/// Makes the tables, anew if they are of another registry or format, and returns the epoch that the
/// index has followed the registry to.
fn prepare_schema(transaction: &Transaction<'_>, registry_uuid: &str) -> rusqlite::Result<i64> {
    transaction.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    )?;
    let meta = |key: &str| -> rusqlite::Result<Option<String>> {
        transaction
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()
    };
    let current = meta("format")?.as_deref() == Some(FORMAT)
        && meta("registry")?.as_deref() == Some(registry_uuid);
    if current {
        return Ok(meta("epoch")?
            .and_then(|epoch| epoch.parse().ok())
            .unwrap_or(0));
    }
    // `rows` tells where a document's sections are: FTS5 could only find them by reading all.
    transaction.execute_batch(
        "DROP TABLE IF EXISTS sections;
         DROP TABLE IF EXISTS rows;
         DELETE FROM meta;
         CREATE VIRTUAL TABLE sections USING fts5(
             doc_name UNINDEXED, title, path UNINDEXED, heading, text, page UNINDEXED,
             tokenize = 'unicode61 remove_diacritics 2');
         CREATE TABLE rows(doc_name TEXT PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL)
             WITHOUT ROWID;
         CREATE INDEX rows_last ON rows(last);",
    )?;
    set_meta(transaction, "format", FORMAT)?;
    set_meta(transaction, "registry", registry_uuid)?;
    set_meta(transaction, "epoch", "0")?;
    Ok(0)
}

fn set_meta(transaction: &Transaction<'_>, key: &str, value: &str) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)",
            [key, value],
        )
        .map(drop)
}

fn remove(transaction: &Transaction<'_>, name: &DocName) -> rusqlite::Result<()> {
    let rows: Option<(i64, i64)> = transaction
        .query_row(
            "SELECT first, last FROM rows WHERE doc_name = ?1",
            [name.as_str()],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()?;
    if let Some((first, last)) = rows {
        transaction.execute(
            "DELETE FROM sections WHERE rowid BETWEEN ?1 AND ?2",
            [first, last],
        )?;
        transaction.execute("DELETE FROM rows WHERE doc_name = ?1", [name.as_str()])?;
    }
    Ok(())
}

fn insert(transaction: &Transaction<'_>, document: &SearchDocument<'_>) -> rusqlite::Result<()> {
    let title = index_form(document.title.as_str());
    // The rows of a document follow each other: nothing else is inserted meanwhile.
    let first: i64 =
        transaction.query_row("SELECT coalesce(max(last), 0) + 1 FROM rows", [], |row| {
            row.get(0)
        })?;
    let mut last = first - 1;
    let mut statement = transaction.prepare_cached(
        "INSERT INTO sections(rowid, doc_name, title, path, heading, text, page) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    // A document without text is found by its title.
    let untitled = [Section {
        heading: String::new(),
        text: String::new(),
        page: None,
    }];
    for (at, (path, sections)) in document.pages.iter().enumerate() {
        let sections = match &**sections {
            [] if at == 0 => &untitled,
            sections => sections,
        };
        for section in sections {
            last += 1;
            statement.execute(params![
                last,
                document.name.as_str(),
                title,
                path.as_str(),
                index_form(&section.heading),
                index_form(&section.text),
                section.page,
            ])?;
        }
    }
    transaction
        .execute(
            "INSERT INTO rows(doc_name, first, last) VALUES (?1, ?2, ?3)",
            params![document.name.as_str(), first, last],
        )
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::search::{Answer, MATCH_END, MATCH_START, search_file};

    struct Index {
        dir: tempfile::TempDir,
        epoch: i64,
    }

    impl Index {
        fn new() -> Self {
            Self {
                dir: tempfile::tempdir().unwrap(),
                epoch: 0,
            }
        }

        fn path(&self) -> std::path::PathBuf {
            self.dir.path().canonicalize().unwrap().join("search.db")
        }

        /// Commits one document: heading and text of its sections.
        fn add(&mut self, name: &str, title: &str, sections: &[(&str, &str)]) {
            self.epoch += 1;
            self.add_as("registry", self.epoch, name, title, sections)
                .unwrap();
        }

        fn add_as(
            &self,
            uuid: &str,
            epoch: i64,
            name: &str,
            title: &str,
            sections: &[(&str, &str)],
        ) -> rusqlite::Result<()> {
            let sections: Vec<Section> = sections
                .iter()
                .map(|(heading, text)| Section {
                    heading: (*heading).to_owned(),
                    text: (*text).to_owned(),
                    page: None,
                })
                .collect();
            // A second page, of a member, for some.
            let mut pages = vec![format!("wiki/sources/{name}.md")];
            if name.starts_with("with-member") {
                pages.push(format!("wiki/sources/members/{name}/0001.md"));
            }
            let document = SearchDocument {
                name: &DocName::new(name).unwrap(),
                title: &SafeLine::new(title),
                pages: pages
                    .iter()
                    .map(|page| (KbPath::new(page).unwrap(), Cow::Borrowed(&sections[..])))
                    .collect(),
            };
            update(&self.path(), uuid, epoch, &[document], &[]).map(drop)
        }

        fn ask(&self, words: &str) -> Answer {
            search_file(&self.path(), &[words.to_owned()], 10, Some(self.epoch)).unwrap()
        }

        /// Name and heading of each hit.
        fn found(&self, words: &str) -> Vec<String> {
            let hits = self.ask(words).hits;
            hits.iter()
                .map(|hit| format!("{} {}", hit.doc_name, hit.heading))
                .collect()
        }
    }

    #[test]
    fn sections_are_found_by_their_words() {
        let mut index = Index::new();
        index.add(
            "a",
            "About apples",
            &[
                ("Intro", "Apples grow on trees."),
                ("Färben", "Nothing of that."),
            ],
        );
        index.add(
            "b",
            "Other",
            &[
                ("Apples", "Pears are no fruit"),
                ("End", "\"quoted\" AND more apples-to-pears"),
            ],
        );
        index.add(
            "c",
            "日本語の本",
            &[("", "機械学習は人工知能の一分野である。")],
        );
        index.add("d", "Empty one", &[]);
        let check =
            |words: &str, expected: &[&str]| assert_eq!(index.found(words), expected, "{words}");
        check("trees", &["a Intro"]);
        check("tree", &["a Intro"]);
        check("\"tree\"", &[]);
        check("farben", &["a Färben"]);
        check("pears fruit", &["b Apples"]);
        check("\"no fruit\"", &["b Apples"]);
        check("\"fruit no\"", &[]);
        check("AND", &["b End"]);
        check("title:apples", &[]);
        check("NOT OR ( * ^ - +", &[]);
        check("学習", &["c "]);
        check("習学", &[]);
        check("日本", &["c "]);
        check("empty", &["d "]);
        check("", &[]);
        assert_eq!(index.found("apples").len(), 4);
        assert_eq!(
            index.found("apples")[3],
            "b End",
            "the text alone weighs least"
        );
        assert_eq!(
            search_file(&index.path(), &["apples".to_owned()], 2, None)
                .unwrap()
                .hits
                .len(),
            2
        );
    }

    #[test]
    fn snippets_mark_the_matches() {
        let mut index = Index::new();
        index.add(
            "a",
            "T",
            &[("", "one \u{e000}two\u{e001} three 日本語です")],
        );
        let snippet = |words: &str| index.ask(words).hits[0].snippet.clone();
        assert_eq!(
            snippet("two"),
            format!("one {MATCH_START}two{MATCH_END} three 日本語です")
        );
        assert_eq!(
            snippet("本語"),
            format!("one two three 日{MATCH_START}本語{MATCH_END}です")
        );
        assert_eq!(index.ask("two").hits[0].path, "wiki/sources/a.md");
    }

    #[test]
    fn updates_and_removals_leave_no_rows() {
        let mut index = Index::new();
        index.add("a", "T", &[("", "old words"), ("", "more words")]);
        index.add("b", "T", &[("", "words")]);
        index.add("a", "T", &[("", "new words")]);
        assert_eq!(index.found("old"), Vec::<String>::new());
        assert_eq!(index.found("words").len(), 2);
        update(
            &index.path(),
            "registry",
            4,
            &[],
            &[DocName::new("b").unwrap(), DocName::new("none").unwrap()],
        )
        .unwrap();
        assert_eq!(index.found("words"), ["a "]);
        assert!(search_file(&index.path(), &[], 1, Some(3)).unwrap().stale);
        assert!(!search_file(&index.path(), &[], 1, Some(4)).unwrap().stale);
    }

    #[test]
    fn members_are_pages_of_their_own() {
        let mut index = Index::new();
        index.add("with-member", "T", &[("H", "words")]);
        index.add("with-member-empty", "Only", &[]);
        let paths = |words: &str| -> Vec<String> {
            let hits = index.ask(words).hits;
            hits.into_iter().map(|hit| hit.path).collect()
        };
        let mut found = paths("words");
        found.sort();
        assert_eq!(
            found,
            [
                "wiki/sources/members/with-member/0001.md",
                "wiki/sources/with-member.md"
            ]
        );
        assert_eq!(paths("only"), ["wiki/sources/with-member-empty.md"]);
        index.add("with-member", "T", &[("H", "others")]);
        assert_eq!(index.found("words"), Vec::<String>::new());
    }

    #[test]
    fn an_index_that_missed_a_commit_says_so() {
        let mut index = Index::new();
        assert!(
            !search_file(&index.path(), &[], 1, Some(0)).unwrap().stale,
            "nothing to index"
        );
        assert!(search_file(&index.path(), &[], 1, Some(1)).unwrap().stale);
        index.add("a", "T", &[("", "words")]);
        assert!(!index.ask("words").stale);
        index.epoch += 1;
        assert!(index.ask("words").stale);
        index.add("b", "T", &[("", "words")]);
        assert!(index.ask("words").stale, "what was missed is missing still");
        assert_eq!(index.found("words").len(), 2);
        index
            .add_as("another", 1, "c", "T", &[("", "words")])
            .unwrap();
        index.epoch = 1;
        assert_eq!(
            index.found("words"),
            ["c "],
            "an index of another registry is emptied"
        );
        assert!(!index.ask("words").stale);
    }

    #[test]
    fn a_damaged_index_is_an_error_and_a_link_is_refused() {
        let index = Index::new();
        let target = index.dir.path().join("target");
        std::os::unix::fs::symlink(&target, index.path()).unwrap();
        assert!(index.add_as("registry", 1, "a", "T", &[]).is_err());
        assert!(!target.exists());
        assert!(search_file(&index.path(), &[], 1, None).is_err());
        let index = Index::new();
        damage(&index.path());
        assert!(index.add_as("registry", 1, "a", "T", &[]).is_err());
        assert!(search_file(&index.path(), &["x".to_owned()], 1, None).is_err());
    }

    #[expect(clippy::disallowed_methods, reason = "a test damages its own file")]
    fn damage(path: &Path) {
        std::fs::write(path, "no database ".repeat(1000)).unwrap();
    }

    /// Goal: an update cut off by a kill stops no reader. Method: copies the index with its
    /// journal in the middle of a transaction, as a kill leaves them.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test copies its own files")]
    fn a_reader_survives_an_update_cut_off() {
        let mut index = Index::new();
        index.add("a", "T", &[("", "words")]);
        let cut_off = Index::new();
        let connection = open(&index.path()).unwrap();
        connection.pragma_update(None, "cache_size", 1).unwrap();
        let transaction = connection.unchecked_transaction().unwrap();
        for name in 0..2000 {
            let sql = "INSERT INTO sections(doc_name, text) VALUES (?1, hex(randomblob(1000)))";
            transaction.execute(sql, [name]).unwrap();
        }
        for name in ["search.db", "search.db-journal"] {
            std::fs::copy(index.dir.path().join(name), cut_off.dir.path().join(name)).unwrap();
        }
        drop(transaction);
        let answer = search_file(&cut_off.path(), &["words".to_owned()], 1, Some(1)).unwrap();
        assert!(answer.stale);
        update(&cut_off.path(), "registry", 2, &[], &[]).unwrap();
        let answer = search_file(&cut_off.path(), &["words".to_owned()], 9, Some(2)).unwrap();
        assert_eq!(
            (answer.hits.len(), answer.stale),
            (1, false),
            "the next update rolled it back"
        );
    }
}
