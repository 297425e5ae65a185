//! Whether what a KB says of itself is true: its registry, its files and its index tell of the same
//! documents, byte for byte, and nothing is left lying about.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::{staging_entries, tree};

/// Pages that no commit registers: the one tells what happened, the other is the user's.
const UNREGISTERED: [&str; 2] = ["wiki/log.md", "wiki/AGENTS.md"];

/// Folders of pages that have one line each in the index.
const INDEXED: [&str; 3] = ["wiki/summaries/", "wiki/concepts/", "wiki/entities/"];

/// What is wrong with a KB at rest that nobody edited by hand, a line each; empty if nothing is.
/// This is what the oracles O4 and O6 ask.
pub(crate) fn violations(kb: &Path) -> Vec<String> {
    let mut wrong = mismatches(kb);
    wrong.extend(debris(kb));
    wrong
}

/// What the registry, the files and the index do not agree on. For a reader that holds the shared
/// lock: others may prepare meanwhile.
pub(crate) fn mismatches(kb: &Path) -> Vec<String> {
    let registered = match Registered::read(kb) {
        Ok(registered) => registered,
        Err(error) => return vec![format!("the registry cannot be read: {error}")],
    };
    let mut wrong = registered.wrong.clone();
    let mut files: BTreeMap<String, String> = tree(kb)
        .into_iter()
        .filter(|(_, what)| !what.starts_with("dir "))
        .collect();
    for path in UNREGISTERED {
        files.remove(path);
    }
    for (path, digest) in &registered.pages {
        match files.remove(path) {
            None => wrong.push(format!("{path} is registered and not there")),
            Some(what) if what.starts_with("file ") && what.ends_with(digest.as_str()) => {
                if !what.contains(" links 1 ") {
                    wrong.push(format!("{path} has another hard link: {what}"));
                }
            }
            Some(what) => wrong.push(format!(
                "{path} is not what is registered: {what}, {} bytes, registered as {digest}",
                fs::metadata(kb.join(path)).map_or(0, |metadata| metadata.len())
            )),
        }
    }
    wrong.extend(files.keys().map(|path| format!("{path} is not registered")));
    wrong.extend(registered.documents.iter().flat_map(|document| {
        let name = &document.name;
        let pages = [
            document.raw_path.clone(),
            document.source_path.clone(),
            format!("wiki/summaries/{name}.md"),
        ];
        let mut wrong: Vec<String> = pages
            .iter()
            // A document of a service has no original.
            .filter(|page| !page.is_empty() && !registered.pages.contains_key(*page))
            .map(|page| format!("document {name}: {page} is not registered"))
            .collect();
        let original = registered.pages.get(&document.raw_path);
        if !document.raw_path.is_empty() && original != Some(&document.hash) {
            wrong.push(format!("document {name}: the original has another digest"));
        }
        wrong
    }));
    wrong.extend(index_mismatches(kb, &registered));
    wrong
}

/// What a command that ended by itself does not leave behind.
pub(crate) fn debris(kb: &Path) -> Vec<String> {
    let mut left = staging_entries(kb);
    for dir in ["quarantine", "conflicts"] {
        let entries = fs::read_dir(kb.join(".openkb/kbhost").join(dir));
        left.extend(entries.into_iter().flatten().map(|entry| {
            let name = entry.unwrap().file_name();
            format!("{dir}/{}", name.to_string_lossy())
        }));
    }
    let temporary = |path: &String| {
        let name = path.rsplit('/').next().unwrap_or_default();
        name.starts_with('.') || name.ends_with(".tmp")
    };
    left.extend(tree(kb).into_keys().filter(temporary));
    let left = left.into_iter();
    left.map(|path| format!("{path} was left behind")).collect()
}

/// A document of the registry.
struct Document {
    name: String,
    hash: String,
    raw_path: String,
    source_path: String,
}

/// What a registry says, in one snapshot.
struct Registered {
    documents: Vec<Document>,
    /// Official files with their digests.
    pages: BTreeMap<String, String>,
    /// What is wrong within the registry.
    wrong: Vec<String>,
}

impl Registered {
    fn read(kb: &Path) -> rusqlite::Result<Self> {
        let mut connection = Connection::open_with_flags(
            kb.join(".openkb/kbhost/registry.db"),
            OpenFlags::SQLITE_OPEN_READ_ONLY,
        )?;
        let snapshot = connection.transaction()?;
        let mut statement = snapshot.prepare(
            "SELECT doc_name, lower(hex(hash)), coalesce(raw_path, ''), coalesce(source_path, '') \
             FROM documents",
        )?;
        let documents = statement.query_map([], |row| {
            Ok(Document {
                name: row.get(0)?,
                hash: row.get(1)?,
                raw_path: row.get(2)?,
                source_path: row.get(3)?,
            })
        })?;
        let documents = documents.collect::<rusqlite::Result<Vec<_>>>()?;
        let mut statement = snapshot.prepare("SELECT path, lower(hex(sha256)) FROM pages")?;
        let pages = statement
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut wrong = Vec::new();
        let sound: String = snapshot.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if sound != "ok" {
            wrong.push(format!("the registry is damaged: {sound}"));
        }
        for table in ["pages", "trees"] {
            let strangers: i64 = snapshot.query_row(
                &format!(
                    "SELECT count(*) FROM {table} WHERE ordinal NOT IN (SELECT ordinal FROM documents)"
                ),
                [],
                |row| row.get(0),
            )?;
            if strangers != 0 {
                wrong.push(format!("{strangers} {table} belong to no document"));
            }
        }
        // Each commit moves the epoch by one and leaves its row.
        let (rows, distinct, epoch): (i64, i64, i64) = snapshot.query_row(
            "SELECT count(*), count(DISTINCT epoch), (SELECT value FROM meta WHERE key = 'epoch') \
             FROM mutations",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )?;
        if rows != distinct || rows != epoch {
            wrong.push(format!(
                "{rows} mutations in {distinct} epochs, at epoch {epoch}"
            ));
        }
        Ok(Self {
            documents,
            pages,
            wrong,
        })
    }
}

/// Every page that the index tells of is there, and the other way round, each once.
fn index_mismatches(kb: &Path, registered: &Registered) -> Vec<String> {
    let mut index = fs::read_to_string(kb.join("wiki/index.md")).unwrap_or_default();
    for shard in fs::read_dir(kb.join("wiki/index")).into_iter().flatten() {
        index.push_str(&fs::read_to_string(shard.unwrap().path()).unwrap_or_default());
        index.push('\n');
    }
    let mut wrong = Vec::new();
    let mut told = BTreeSet::new();
    let targets = index
        .lines()
        .filter_map(|line| line.strip_prefix("- [["))
        .filter_map(|line| line.split(['|', ']']).next());
    for target in targets {
        let page = format!("wiki/{target}.md");
        if !registered.pages.contains_key(&page) {
            wrong.push(format!("the index tells of {page}, which is not there"));
        }
        if !told.insert(page) {
            wrong.push(format!("the index tells twice of {target}"));
        }
    }
    let indexed = |page: &&String| INDEXED.iter().any(|dir| page.starts_with(dir));
    let missing = registered.pages.keys().filter(indexed);
    let missing = missing.filter(|page| !told.contains(*page));
    wrong.extend(missing.map(|page| format!("the index does not tell of {page}")));
    wrong
}

/// The SHA-256 of some bytes, as the registry writes it.
#[cfg(feature = "fault-points")]
pub(crate) fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The check sees what it is for: each kind of damage, and nothing in a sound KB.
#[test]
fn each_kind_of_damage_is_seen() {
    let env = super::Env::new();
    for name in ["a", "b"] {
        let text = format!("---\ntags: [storage]\n---\n# Title {name}\n\nText.\n");
        env.doc(&format!("{name}.md"), text);
    }
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(violations(&env.kb()), [""; 0]);
    let check = |damage: &dyn Fn(&Path), expected: &str| {
        let kb = env.path("damaged/kb");
        super::copy_tree(&env.kb(), &kb);
        damage(&kb);
        let seen = violations(&kb);
        assert!(
            seen.iter().any(|line| line.contains(expected)),
            "{expected}: {seen:#?}"
        );
        fs::remove_dir_all(kb).unwrap();
    };
    let write = |path: &'static str, text: &'static str| {
        move |kb: &Path| fs::write(kb.join(path), text).unwrap()
    };
    let remove = |path: &'static str| move |kb: &Path| fs::remove_file(kb.join(path)).unwrap();
    check(&remove("raw/a.md"), "raw/a.md is registered and not there");
    check(
        &write("wiki/sources/b.md", ""),
        "b.md is not what is registered",
    );
    check(
        &write("wiki/concepts/x.md", "x"),
        "concepts/x.md is not registered",
    );
    check(&write("raw/.x.tmp", "x"), "raw/.x.tmp was left behind");
    check(
        &|kb| fs::create_dir(kb.join(".openkb/staging/prepare/1-2")).unwrap(),
        "1-2 was left behind",
    );
    check(
        &|kb| fs::hard_link(kb.join("raw/a.md"), kb.join("linked")).unwrap(),
        "raw/a.md has another hard link",
    );
    let index = env.kb_text("wiki/index.md");
    let line = index.lines().find(|line| line.contains("/a]]")).unwrap();
    let without = index.replace(&format!("{line}\n"), "");
    check(
        &|kb| fs::write(kb.join("wiki/index.md"), &without).unwrap(),
        "does not tell of wiki/summaries/a.md",
    );
    let twice = format!("{index}{line}\n");
    check(
        &|kb| fs::write(kb.join("wiki/index.md"), &twice).unwrap(),
        "tells twice of summaries/a",
    );
    let sql = |sql: &'static str| {
        move |kb: &Path| {
            let connection = Connection::open(kb.join(".openkb/kbhost/registry.db")).unwrap();
            connection.execute_batch(sql).unwrap();
        }
    };
    check(
        &sql("DELETE FROM documents WHERE doc_name = 'a'"),
        "pages belong to no document",
    );
    check(
        &sql("PRAGMA foreign_keys = OFF; INSERT INTO trees VALUES (99, '')"),
        "1 trees belong to no document",
    );
    check(&sql("DELETE FROM mutations"), "0 mutations in 0 epochs");
    check(
        &sql("UPDATE documents SET hash = zeroblob(32) WHERE doc_name = 'a'"),
        "document a: the original has another digest",
    );
    check(
        &write(".openkb/kbhost/registry.db", "no registry"),
        "the registry cannot be read",
    );
}
