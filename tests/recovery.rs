//! What a command finds when an earlier one died, and what a stranger's KB may hold instead.

#[cfg(feature = "fault-points")]
mod chains;
#[cfg(feature = "fault-points")]
mod cloud;
#[cfg(feature = "fault-points")]
pub(crate) mod documents;
#[cfg(feature = "fault-points")]
mod journals;
#[cfg(feature = "fault-points")]
mod matrix;
#[cfg(feature = "fault-points")]
mod removal;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::{Env, component, copy_tree, staging_entries, tree};

const PAGE: &str = "---\ntags: [storage]\n---\n# A page\n\nThe NASA report says so.\n";

/// A KB with one document, and a second one to be added.
fn with_one_document() -> Env {
    let env = Env::new();
    env.doc("a.md", PAGE);
    env.doc("b.md", format!("{PAGE}More of it.\n"));
    env.doc("c.md", format!("{PAGE}Still more of it.\n"));
    let said = env.run(["add", "docs/a.md", "docs/c.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

/// Starts an `add` that is in the middle of a conversion when this returns.
fn stuck(env: &Env) -> Child {
    env.doc("stuck.hostile", "loop\n");
    let mut command = env.command(["add", "docs/stuck.hostile", "--plugin"]);
    let child = env.spawn(command.arg(component("hostile")));
    let deadline = Instant::now() + Duration::from_secs(60);
    let prepare = env.kb().join(".openkb/staging/prepare");
    let is_staged = || {
        let mut dirs = fs::read_dir(&prepare).unwrap();
        dirs.any(|dir| dir.unwrap().path().join("in/input.hostile").exists())
    };
    while !is_staged() {
        assert!(Instant::now() < deadline, "nothing is staged");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn staging_of_a_killed_run_is_swept_and_that_of_a_living_one_is_not() {
    let env = with_one_document();
    let mut child = stuck(&env);
    let staged = staging_entries(&env.kb());
    assert_eq!(staged.len(), 2, "{staged:?}");
    let said = env.run(["add", "docs/b.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(staging_entries(&env.kb()), staged, "its owner lives");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(staging_entries(&env.kb()), staged);
    env.doc("d.md", "# D\n");
    let said = env.run(["add", "docs/d.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
}

#[test]
fn an_unfinished_journal_is_removed_and_foreign_files_are_not() {
    let env = with_one_document();
    let journal = env
        .kb()
        .join(".openkb/kbhost/journal/000000000001-0badcafe");
    fs::create_dir_all(journal.join("pre")).unwrap();
    fs::write(journal.join("journal.json.tmp"), "{").unwrap();
    let foreign = env.kb().join(".openkb/staging/prepare/notes.txt");
    fs::write(&foreign, "mine").unwrap();
    let said = env.run(["add", "docs/b.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!journal.exists());
    assert_eq!(fs::read_to_string(foreign).unwrap(), "mine");
}

/// What happens to a KB in which `planted` is a symbolic link.
enum Linked {
    /// The command fails, naming this.
    Refused(&'static str),
    /// The document is in; an effect was left out, naming this.
    Warned(&'static str),
    /// Nobody needs it.
    Ignored,
}

/// Goal: a KB from a stranger leads no write and no read out of it. Method: one thing at a time is
/// moved out of the KB and linked to; a document is added; what was moved out is compared.
#[test]
fn symbolic_links_are_never_followed() {
    use Linked::{Ignored, Refused, Warned};
    let env = with_one_document();
    // Numbered, so that no message holds the words below by the name of its folder.
    let worlds = std::cell::Cell::new(0);
    let check = |planted: &str, expected: Linked| {
        worlds.set(worlds.get() + 1);
        let world = env.path(&format!("world-{}", worlds.get()));
        let (kb, outside) = (world.join("kb"), world.join("outside"));
        copy_tree(&env.kb(), &kb);
        fs::create_dir(&outside).unwrap();
        fs::rename(kb.join(planted), outside.join("moved")).unwrap();
        symlink(outside.join("moved"), kb.join(planted)).unwrap();
        let (canary, official) = (everything(&outside), tree_of(&kb, planted));
        let mut command = env.command(["add", "docs/b.md"]);
        let said = env.finish(command.env("KBHOST_KB", &kb));
        assert_eq!(everything(&outside), canary, "{planted}: {said:?}");
        let link = kb.join(planted).symlink_metadata().unwrap();
        assert!(link.is_symlink(), "{planted} was replaced: {said:?}");
        let (code, told) = match expected {
            Refused(told) => (1, told),
            Warned(told) => (0, told),
            Ignored => (0, ""),
        };
        assert_eq!(said.code, code, "{planted}: {said:?}");
        assert!(said.stderr.contains(told), "{planted}: {said:?}");
        if code == 1 {
            assert!(said.stderr.contains("link"), "{planted}: {said:?}");
            assert_eq!(tree_of(&kb, planted), official, "{planted}");
            assert_eq!(staging_entries_of(&kb), [""; 0], "{planted}");
        } else {
            assert_eq!(said.stdout, "added    b <- docs/b.md\n", "{planted}");
        }
    };
    check("wiki", Refused("wiki/"));
    check("raw", Refused("raw/b.md"));
    check("wiki/index.md", Refused("wiki/index.md"));
    check("wiki/log.md", Warned("append to the log page"));
    check("wiki/summaries", Refused("wiki/summaries/b.md"));
    check("wiki/sources/images", Refused("wiki/sources/images/b"));
    check("wiki/concepts", Refused("wiki/concepts/storage.md"));
    check(
        "wiki/concepts/storage.md",
        Refused("wiki/concepts/storage.md"),
    );
    check(".openkb", Refused(".openkb"));
    check(".openkb/config.yaml", Refused(".openkb/config.yaml"));
    check(".openkb/staging", Refused(".openkb/staging"));
    check(
        ".openkb/staging/prepare",
        Refused(".openkb/staging/prepare"),
    );
    check(".openkb/gate.lock", Refused(".openkb/gate.lock"));
    check(".openkb/ingest.lock", Refused(".openkb/ingest.lock"));
    check(".openkb/hashes.json", Refused(".openkb/hashes.json"));
    check(".openkb/kbhost", Refused(".openkb/kbhost"));
    check(".openkb/kbhost/journal", Refused(".openkb/kbhost/journal"));
    check(
        ".openkb/kbhost/registry.db",
        Refused(".openkb/kbhost/registry.db"),
    );
    // SQLite opens these two by name, and would write through them.
    for beside in ["registry.db-wal", "registry.db-shm"] {
        check(&format!(".openkb/kbhost/{beside}"), Refused(beside));
    }
    check(
        ".openkb/kbhost/search.db",
        Warned("update the search index"),
    );
    check(".openkb/kbhost/holder.json", Ignored);
}

/// The official tree, without what now lies outside.
fn tree_of(kb: &Path, planted: &str) -> Vec<(String, String)> {
    if matches!(planted, "raw" | "wiki") {
        return Vec::new();
    }
    tree(kb).into_iter().collect()
}

fn staging_entries_of(kb: &Path) -> Vec<String> {
    match kb.join(".openkb/staging/prepare").canonicalize() {
        Ok(_) => staging_entries(kb),
        Err(_) => Vec::new(),
    }
}

/// Every path beneath `dir` with its bytes.
fn everything(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                found.push((path.display().to_string(), Vec::new()));
                pending.push(path);
            } else {
                found.push((path.display().to_string(), fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}
