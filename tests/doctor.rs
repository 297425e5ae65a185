//! `doctor`: every kind of damage is found, named, and comes with a command; a sound KB has none,
//! and nothing is changed by looking.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;

use crate::support::{Env, everything, json};

/// A KB with two documents that share terms; one has an image.
fn filled() -> Env {
    let env = Env::new();
    // What an image begins with is all that is looked at.
    env.doc("img.png", b"\x89PNG\r\n\x1a\n image");
    let shared = "The Turnstile Protocol guards the Commit Point of a Journal.";
    env.doc("one.md", format!("# One\n\n{shared}\n\n![x](img.png)\n"));
    env.doc("two.md", format!("# Two\n\n{shared} More of it.\n"));
    let said = env.run(["add", "docs/one.md", "docs/two.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

fn findings(env: &Env) -> (i32, Vec<Value>) {
    let said = env.run(["doctor", "--json"]);
    let answer = json(&said);
    (said.code, answer["findings"].as_array().unwrap().clone())
}

#[test]
fn a_sound_kb_has_no_findings_and_stays_as_it_is() {
    let env = filled();
    let before = everything(&env.kb());
    let said = env.run(["doctor"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(said.stdout, "");
    assert!(
        said.stderr
            .starts_with("Nothing is wrong: 2 documents and "),
        "{said:?}"
    );
    assert_eq!(everything(&env.kb()), before);
}

#[test]
fn each_damage_is_found_and_has_a_command() {
    let check = |damage: &dyn Fn(&Path), code: &str, severity: &str, subject: &str| {
        let env = filled();
        damage(&env.kb());
        let before = everything(&env.kb());
        let (exit, found) = findings(&env);
        let one = found
            .iter()
            .find(|finding| finding["code"] == code)
            .unwrap_or_else(|| panic!("no `{code}` in {found:#?}"));
        assert_eq!(one["severity"], severity, "{one}");
        assert!(one["subject"].as_str().unwrap().contains(subject), "{one}");
        assert!(!one["command"].as_str().unwrap().is_empty(), "{one}");
        assert_eq!(exit, if severity == "note" { 0 } else { 4 }, "{found:?}");
        assert_eq!(everything(&env.kb()), before, "{code}");
    };
    let remove = |path: &'static str| move |kb: &Path| fs::remove_file(kb.join(path)).unwrap();
    let write = |path: &'static str, text: &'static str| {
        move |kb: &Path| fs::write(kb.join(path), text).unwrap()
    };
    check(
        &remove("raw/one.md"),
        "original-missing",
        "error",
        "raw/one.md",
    );
    check(
        &remove("wiki/sources/one.md"),
        "file-missing",
        "error",
        "wiki/sources/one.md",
    );
    check(
        &write("raw/one.md", "x"),
        "original-changed",
        "error",
        "raw/one.md",
    );
    check(
        &write("wiki/summaries/one.md", "mine"),
        "edited",
        "note",
        "wiki/summaries/one.md",
    );
    check(
        &write("raw/stray.md", "x"),
        "unregistered",
        "warning",
        "raw/stray.md",
    );
    check(
        &write("wiki/concepts/mine.md", "[[nowhere]]"),
        "dangling-link",
        "warning",
        "wiki/concepts/mine.md",
    );
    check(
        &write("wiki/.kbhost-000000000007-aabbccdd-1.tmp", "x"),
        "leftover",
        "warning",
        ".kbhost-",
    );
    check(
        &|kb| fs::hard_link(kb.join("raw/one.md"), kb.join("raw/same.md")).unwrap(),
        "hard-link",
        "warning",
        "raw/",
    );
    check(
        &|kb| symlink("/etc/passwd", kb.join("wiki/concepts/link.md")).unwrap(),
        "symlink",
        "error",
        "wiki/concepts/link.md",
    );
    check(
        &|kb| fs::write(kb.join("wiki/bad\x1b[2Jname.md"), "x").unwrap(),
        "name",
        "warning",
        "bad [2Jname.md",
    );
    check(
        &write(
            ".openkb/kbhost/registry.db",
            "no database, but some text of its length",
        ),
        "registry",
        "error",
        "registry.db",
    );
    check(
        &|kb| {
            for file in ["registry.db", "registry.db-wal", "registry.db-shm"] {
                drop(fs::remove_file(kb.join(".openkb/kbhost").join(file)));
            }
            fs::remove_file(kb.join(".openkb/hashes.json")).unwrap();
        },
        "registry",
        "error",
        "registry.db",
    );
    check(
        &write(".openkb/hashes.json", "{}\n"),
        "hashes-json-changed",
        "error",
        "hashes.json",
    );
    check(
        &remove(".openkb/kbhost/search.db"),
        "search-index",
        "note",
        "search.db",
    );
    check(
        &|kb| {
            let staging = kb.join(".openkb/staging/prepare");
            fs::create_dir_all(staging.join("1-00000000000000aa-0")).unwrap();
            fs::write(staging.join("1-00000000000000aa.owner"), "").unwrap();
        },
        "staging",
        "note",
        "1-00000000000000aa",
    );
    check(
        &|kb| {
            fs::create_dir_all(kb.join(".openkb/kbhost/conflicts/000000000001-aa")).unwrap();
        },
        "conflicts",
        "note",
        "conflicts/000000000001-aa",
    );
}

/// A registry that was copied without its write-ahead log knows less than the folder holds.
#[test]
fn a_registry_older_than_its_files_is_told() {
    let env = filled();
    let own = env.kb().join(".openkb/kbhost/registry.db");
    let old = fs::read(&own).unwrap();
    env.doc("three.md", "# Three\n\nA text.\n");
    assert_eq!(env.run(["add", "docs/three.md"]).code, 0);
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(format!("{}{suffix}", own.display())));
    }
    fs::write(&own, old).unwrap();
    let (exit, found) = findings(&env);
    assert_eq!(exit, 4);
    let older = found
        .iter()
        .find(|finding| finding["code"] == "registry-older")
        .unwrap_or_else(|| panic!("{found:#?}"));
    assert_eq!(older["subject"], "three");
    assert_eq!(older["command"], "kbhost registry rebuild");
}

#[cfg(feature = "fault-points")]
#[test]
fn an_unfinished_change_is_told_and_left_alone() {
    let env = filled();
    env.doc("three.md", "# Three\n\nA text.\n");
    let vars = [("KBHOST_FAULT", "registry.after:abort")];
    assert_eq!(env.run_with(&vars, ["add", "docs/three.md"]).code, -1);
    let before = everything(&env.kb());
    let said = env.run(["doctor"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(
        said.stdout.contains("was not finished; it will be undone"),
        "{said:?}"
    );
    assert!(said.stdout.contains("    kbhost recover\n"), "{said:?}");
    // What it has done so far is no damage of its own.
    assert!(!said.stdout.contains("error:"), "{said:?}");
    assert!(!said.stdout.contains("rebuild"), "{said:?}");
    assert_eq!(everything(&env.kb()), before);
}

#[test]
fn hostile_names_do_not_reach_the_terminal() {
    let env = filled();
    let name = "wiki/concepts/\u{202e}gnp.md";
    fs::write(env.kb().join(name), "[[\u{1b}]0;x\u{7}nowhere]]\n").unwrap();
    let said = env.run(["doctor"]);
    assert_eq!(said.code, 4, "{said:?}");
    assert!(!said.stdout.contains('\u{1b}') && !said.stdout.contains('\u{202e}'));
}
