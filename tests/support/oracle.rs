//! What must hold of a KB after whatever ended a command in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use sha2::{Digest as _, Sha256};

use super::{Said, logical_registry, staging_entries, tree};

/// Two cores are what the tests can count on.
const THREADS: usize = 2;

/// Everything of a KB that must be all old or all new. The log page is an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// As [`tree`] gives it.
    pub tree: BTreeMap<String, String>,
    /// As [`logical_registry`] gives it.
    pub registry: String,
}

impl State {
    /// The state of a KB. Fails a test whose KB cannot be read.
    pub fn of(kb: &Path) -> Self {
        let mut tree = tree(kb);
        tree.remove("wiki/log.md");
        Self {
            tree,
            registry: logical_registry(kb),
        }
    }
}

/// Tells what differs.
pub fn compare(when: &str, found: &State, expected: &State) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let mut lines = vec![format!("{when}, the KB is not as expected:")];
    for (path, file) in &found.tree {
        if expected.tree.get(path) != Some(file) {
            lines.push(format!("  found    {path}: {file}"));
        }
    }
    for (path, file) in &expected.tree {
        if found.tree.get(path) != Some(file) {
            lines.push(format!("  expected {path}: {file}"));
        }
    }
    if found.registry != expected.registry {
        lines.push(format!(
            "  registry {}\n  expected {}",
            found.registry, expected.registry
        ));
    }
    Err(lines.join("\n"))
}

/// The documents that a command told to be in, or gone.
pub fn acknowledged(said: &Said) -> usize {
    let words = ["added ", "updated ", "removed "];
    let lines = said.stdout.lines();
    lines
        .filter(|line| words.iter().any(|word| line.starts_with(word)))
        .count()
}

/// A command that was not killed ended as one should: done, or with an error that it told, and never
/// with a panic.
pub fn ended_cleanly(said: &Said) -> Result<(), String> {
    let told = said.stderr.lines().any(|line| line.starts_with("error: "));
    let is_clean = match said.code {
        0 => true,
        1 | 3 | 75 => told,
        _ => false,
    };
    let panicked = ["panicked", "BUG"]
        .iter()
        .any(|word| said.stderr.contains(word));
    match is_clean && !panicked {
        true => Ok(()),
        false => Err(format!("no clean end: {said:?}")),
    }
}

/// What no command may leave: staging, journals, temporary files, a quarantine. Those in `raw/` and
/// `wiki/`, and hard links there, are part of the [`State`].
pub fn debris(kb: &Path) -> Vec<String> {
    let mut found = staging_entries(kb);
    let mut pending = vec![kb.join(".openkb")];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.ends_with(".tmp") || name == "quarantine" {
                found.push(path.strip_prefix(kb).unwrap().display().to_string());
            } else if path.is_dir() {
                pending.push(path);
            }
        }
    }
    found
}

/// Files that the registry does not have with their digest, and those of it that are not there; but
/// for the pages that are nobody's.
pub fn unmatched(kb: &Path) -> Vec<String> {
    let path = kb.join(".openkb/kbhost/registry.db");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let mut statement = connection
        .prepare("SELECT path, lower(hex(sha256)) FROM pages")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    let mut registered: BTreeMap<String, String> = rows.unwrap().map(Result::unwrap).collect();
    let mut unmatched = Vec::new();
    for (path, what) in tree(kb) {
        let nobodys = ["wiki/log.md", "wiki/AGENTS.md"].contains(&path.as_str());
        if nobodys || what.starts_with("dir ") {
            continue;
        }
        let digest = registered.remove(&path);
        if digest.is_none_or(|digest| !what.ends_with(&digest)) {
            unmatched.push(path);
        }
    }
    unmatched.extend(registered.into_keys());
    unmatched
}

/// The pre-images of the journals that a dead command left are what the journals say.
pub fn pre_images_are_whole(kb: &Path) -> Result<(), String> {
    let Ok(journals) = fs::read_dir(kb.join(".openkb/kbhost/journal")) else {
        return Ok(());
    };
    for journal in journals {
        let dir = journal.unwrap().path();
        let Ok(text) = fs::read_to_string(dir.join("journal.json")) else {
            continue;
        };
        let journal: serde_json::Value =
            serde_json::from_str(&text).map_err(|error| format!("a journal: {error}"))?;
        for entry in journal["entries"].as_array().unwrap() {
            let Some(image) = entry["before"]["image"].as_str() else {
                continue;
            };
            let bytes =
                fs::read(dir.join("pre").join(image)).map_err(|e| format!("{image}: {e}"))?;
            let digest = Sha256::digest(&bytes);
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            if entry["before"]["sha256"] != hex.as_str() {
                return Err(format!("the pre-image of {} changed", entry["path"]));
            }
        }
    }
    Ok(())
}

/// The log page.
pub fn log(kb: &Path) -> String {
    fs::read_to_string(kb.join("wiki/log.md")).unwrap()
}

/// What is exported for OpenKB.
pub fn exported(kb: &Path) -> String {
    fs::read_to_string(kb.join(".openkb/hashes.json")).unwrap()
}

/// Runs `case` for every index below `cases`, on all cores; the failures.
pub fn in_parallel(cases: usize, case: impl Fn(usize) -> Result<(), String> + Sync) -> Vec<String> {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::SeqCst);
                    if index >= cases {
                        break;
                    }
                    if let Err(failure) = case(index) {
                        failures.lock().unwrap().push(failure);
                    }
                }
            });
        }
    });
    failures.into_inner().unwrap()
}

/// Fails a test with the first of its failures.
pub fn assert_none(name: &str, cases: usize, failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{name}: {} of {cases} cases failed\n{}",
        failures.len(),
        failures[..failures.len().min(10)].join("\n")
    );
}
