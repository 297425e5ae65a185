//! Full-text search over `search.db` (SQLite FTS5), read side. The index is derived: it may lag
//! behind the registry, and says so.
//!
//! The index may come from a stranger with the KB: it is opened read-only and defensively, without
//! views, triggers and functions of its schema, and what it answers is validated.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::{DocName, KbError, KbPath, KbRoot, SafeLine, is_deceptive, layout};

/// The form of the index; another one is built anew by the next commit.
pub(crate) const FORMAT: &str = "2";

/// Answers at the most, whatever is asked for.
const LIMIT_MAX: usize = 1000;

/// Words of a query; more are left out.
const WORDS_MAX: usize = 32;

/// Characters of a word of a query; the rest is left out.
const WORD_CHARS_MAX: usize = 200;

/// Tokens of a snippet: FTS5 allows 64.
const SNIPPET_TOKENS: u32 = 32;

/// How long to wait while a commit writes the index.
const BUSY_WAIT: Duration = Duration::from_secs(2);

/// Stands before a match in a snippet. Private-use characters of documents are not indexed.
pub const MATCH_START: char = '\u{e000}';

/// Stands behind a match in a snippet.
pub const MATCH_END: char = '\u{e001}';

/// Parts the characters of scripts that are written without spaces, so that each becomes a token:
/// `unicode61` takes such a run for one word. Documents' own ones are not indexed.
const TOKEN_BREAK: char = '\u{200b}';

/// A hit.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Hit {
    /// The document.
    pub doc_name: DocName,
    /// Its title.
    pub title: String,
    /// The page, relative to the KB.
    pub path: String,
    /// The heading above the passage; empty for none.
    pub heading: String,
    /// The page of a long document on which the passage begins.
    pub page: Option<u32>,
    /// The passage; matches stand between U+E000 and U+E001.
    pub snippet: String,
}

/// The answer to a query.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Answer {
    /// Best first.
    pub hits: Vec<Hit>,
    /// The index lacks the newest commits.
    pub stale: bool,
}

/// Searches for sections that hold all `words`, best first. Words are literal: no query syntax can
/// be injected; a word of three letters and more also finds longer words that start with it, words
/// in double quotes are an exact phrase. `registry_epoch` is that of the registry as it is now;
/// `None` for a KB without one, whose index is as stale as can be.
///
/// # Errors
/// If the index exists and cannot be read.
pub fn search(
    root: &KbRoot,
    words: &[String],
    limit: usize,
    registry_epoch: Option<i64>,
) -> Result<Answer, KbError> {
    let path = root.database(&layout::search_db())?;
    search_file(&path, words, limit, registry_epoch).map_err(|source| KbError::SearchIndex {
        path,
        source: Box::new(source),
    })
}

/// As [`search`], in the index at `path`.
pub(crate) fn search_file(
    path: &Path,
    words: &[String],
    limit: usize,
    registry_epoch: Option<i64>,
) -> rusqlite::Result<Answer> {
    let missing = std::fs::symlink_metadata(path)
        .is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
    if missing {
        return Ok(Answer {
            hits: Vec::new(),
            stale: registry_epoch != Some(0),
        });
    }
    match answer(path, words, limit, registry_epoch) {
        // A commit was cut off while it wrote the index. Only a writer can roll that back, and the
        // next commit will.
        Err(rusqlite::Error::SqliteFailure(error, _))
            if error.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK =>
        {
            Ok(Answer {
                hits: Vec::new(),
                stale: true,
            })
        }
        answered => answered,
    }
}

/// Makes text ready for the index: without private-use and invisible characters, and with each
/// character of scripts without spaces as a token of its own. Queries pass the same.
pub(crate) fn index_form(text: &str) -> String {
    let mut form = String::with_capacity(text.len() + text.len() / 8);
    let mut after_wide = false;
    for c in text.chars() {
        let c = match c {
            '\u{e000}'..='\u{f8ff}' | '\u{f0000}'.. => continue,
            c if c == '\0' || is_deceptive(c) => ' ',
            c => c,
        };
        let wide = is_unspaced(c);
        if (wide || after_wide) && !form.is_empty() && c != ' ' && !is_mark(c) {
            form.push(TOKEN_BREAK);
        }
        form.push(c);
        after_wide = wide || (after_wide && is_mark(c));
    }
    form
}

/// Whether `c` belongs to a script written without spaces whose characters can stand for words:
/// ideographs, kana, Thai, Lao, Khmer, Burmese.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{3007}' | '\u{3040}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{ff66}'..='\u{ff9f}' | '\u{20000}'..='\u{3ffff}')
}

fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// Turns off what a database of a stranger could use against its reader.
pub(crate) fn defend(connection: &Connection) -> rusqlite::Result<()> {
    for (option, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(option, value)?;
    }
    connection.busy_timeout(BUSY_WAIT)
}

fn answer(
    path: &Path,
    words: &[String],
    limit: usize,
    registry_epoch: Option<i64>,
) -> rusqlite::Result<Answer> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    defend(&connection)?;
    // One transaction, so that the epoch belongs to the hits.
    let transaction = connection.unchecked_transaction()?;
    let meta = |key: &str| -> rusqlite::Result<Option<String>> {
        transaction
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| {
                row.get(0)
            })
            .optional()
    };
    if meta("format")?.as_deref() != Some(FORMAT) {
        return Ok(Answer {
            hits: Vec::new(),
            stale: true,
        });
    }
    let epoch = meta("epoch")?.and_then(|epoch| epoch.parse::<i64>().ok());
    Ok(Answer {
        hits: match query(words) {
            Some(query) => hits(&transaction, &query, limit.min(LIMIT_MAX))?,
            None => Vec::new(),
        },
        stale: epoch.is_none() || epoch != registry_epoch,
    })
}

/// What is wrong with the index, for documents registered as of `epoch`; `None` if nothing is. An
/// index that only is behind is sound: the next commit builds it anew.
pub(crate) fn trouble(
    path: &Path,
    epoch: i64,
    documents: &std::collections::BTreeSet<&str>,
) -> rusqlite::Result<Option<String>> {
    match judge(path, epoch, documents) {
        // A write that was killed: its journal is beside the index, and the next writer takes it
        // back. Who only reads may not.
        Err(rusqlite::Error::SqliteFailure(error, _))
            if error.code == rusqlite::ErrorCode::ReadOnly =>
        {
            Ok(None)
        }
        judged => judged,
    }
}

fn judge(
    path: &Path,
    epoch: i64,
    documents: &std::collections::BTreeSet<&str>,
) -> rusqlite::Result<Option<String>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    defend(&connection)?;
    let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0));
    let integrity = text("PRAGMA integrity_check(1)")?;
    if integrity != "ok" {
        return Ok(Some(integrity));
    }
    if text("SELECT value FROM meta WHERE key = 'epoch'")? != epoch.to_string() {
        return Ok(None);
    }
    let mut statement = connection.prepare("SELECT doc_name FROM rows")?;
    let held: std::collections::BTreeSet<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let missing = documents.iter().filter(|name| !held.contains(**name));
    let strange = held
        .iter()
        .filter(|name| !documents.contains(name.as_str()));
    Ok(match (missing.count(), strange.count()) {
        (0, 0) => None,
        (missing, strange) => Some(format!(
            "{missing} documents are not in it, {strange} in it are not registered"
        )),
    })
}

fn hits(connection: &Connection, query: &str, limit: usize) -> rusqlite::Result<Vec<Hit>> {
    // A word in a title or heading weighs more than one in the text.
    let sql = format!(
        "SELECT doc_name, title, path, heading, \
         snippet(sections, 4, '{MATCH_START}', '{MATCH_END}', '…', {SNIPPET_TOKENS}), page \
         FROM sections WHERE sections MATCH ?1 \
         ORDER BY bm25(sections, 0.0, 4.0, 0.0, 3.0, 1.0), rowid LIMIT ?2"
    );
    let mut statement = connection.prepare(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(rusqlite::params![query, limit], |row| {
        let texts = [
            row.get::<_, String>(0)?,
            row.get(1)?,
            row.get(2)?,
            row.get(3)?,
            row.get(4)?,
        ];
        Ok((texts, row.get::<_, Option<i64>>(5)?))
    })?;
    let mut hits = Vec::new();
    for row in rows {
        let ([doc_name, title, path, heading, snippet], page) = row?;
        // Rows that we cannot have written are passed over.
        if let (Some(doc_name), Ok(path)) = (DocName::new(&doc_name), KbPath::new(&path)) {
            hits.push(Hit {
                doc_name,
                title: shown(&title),
                path: path.to_string(),
                heading: shown(&heading),
                page: page.and_then(|page| u32::try_from(page).ok()),
                snippet: shown(&snippet),
            });
        }
    }
    Ok(hits)
}

/// Indexed text as one line to show.
fn shown(form: &str) -> String {
    // A snippet of 32 tokens of any length stays readable.
    const CHARS_MAX: usize = 1000;
    SafeLine::with_max(&form.replace(TOKEN_BREAK, ""), CHARS_MAX).to_string()
}

/// The FTS5 query for literal words; `None` if there is nothing to look for.
fn query(words: &[String]) -> Option<String> {
    let mut terms = Vec::new();
    for word in words {
        for (at, part) in word.split('"').enumerate() {
            if at % 2 == 1 {
                terms.extend(phrase(part, false));
            } else {
                terms.extend(
                    part.split_whitespace()
                        .filter_map(|word| phrase(word, true)),
                );
            }
        }
    }
    terms.truncate(WORDS_MAX);
    (!terms.is_empty()).then(|| terms.join(" "))
}

/// One string of the query language. Within its double quotes only a double quote means anything,
/// and there is none left.
fn phrase(text: &str, prefix: bool) -> Option<String> {
    let text: String = text.chars().take(WORD_CHARS_MAX).collect();
    let form = index_form(&text);
    // `unicode61` makes tokens of letters, digits and marks; without any FTS5 would match nothing.
    if !form.contains(char::is_alphanumeric) {
        return None;
    }
    // A short word starts too many others, and a character of a script without spaces is a word.
    let last = text
        .rsplit(|c: char| !c.is_alphanumeric() && !is_mark(c))
        .next()
        .unwrap_or("");
    let star = prefix && last.chars().count() >= 3 && !last.chars().any(is_unspaced);
    Some(format!("\"{form}\"{}", if star { "*" } else { "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_literals() {
        let check = |words: &[&str], expected: Option<&str>| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(query(&words).as_deref(), expected, "{words:?}");
        };
        check(&["data", "AND", "is"], Some("\"data\"* \"AND\"* \"is\""));
        check(&["two words"], Some("\"two\"* \"words\"*"));
        check(&["\"exact phrase\"", "x"], Some("\"exact phrase\" \"x\""));
        check(&["open \"quote here"], Some("\"open\"* \"quote here\""));
        check(&["title:x* NEAR(a)^"], Some("\"title:x*\" \"NEAR(a)^\""));
        check(&["日本"], Some("\"日\u{200b}本\""));
        check(&["", "  ", "\"\"", "!!!"], None);
        check(&["a\u{0}b\u{e000}c"], Some("\"a bc\""));
    }

    /// Goal: a write that was killed is no damage. Method: the files of an index are copied in the
    /// middle of a transaction that has spilled into them.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test makes its own files")]
    fn a_killed_write_is_no_damage() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let connection = Connection::open(at("live.db")).unwrap();
        let setup = "PRAGMA journal_mode = DELETE; PRAGMA cache_size = 1; \
            CREATE TABLE meta (key, value); CREATE TABLE rows (doc_name, bytes); \
            INSERT INTO meta VALUES ('epoch', '1'); BEGIN;";
        connection.execute_batch(setup).unwrap();
        let fill = "INSERT INTO rows VALUES ('x', zeroblob(100000))";
        for _ in 0..20 {
            connection.execute(fill, []).unwrap();
        }
        std::fs::copy(at("live.db"), at("dead.db")).unwrap();
        let documents = std::collections::BTreeSet::new();
        let look = || trouble(&at("dead.db"), 1, &documents);
        std::fs::copy(at("live.db-journal"), at("dead.db-journal")).unwrap();
        assert!(judge(&at("dead.db"), 1, &documents).is_err());
        assert_eq!(look().unwrap(), None);
    }

    #[test]
    fn text_of_scripts_without_spaces_is_parted() {
        let check = |text: &str, expected: &str| assert_eq!(index_form(text), expected);
        check("plain text", "plain text");
        check(
            "Rust言語の本 x",
            "Rust\u{200b}言\u{200b}語\u{200b}の\u{200b}本 x",
        );
        check("か\u{3099}き", "か\u{3099}\u{200b}き");
        check("a\u{202e}\u{e001}\u{10ffff}b", "a b");
        assert_eq!(shown(&index_form("日本語 text")), "日本語 text");
    }
}
