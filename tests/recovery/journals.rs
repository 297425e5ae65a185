//! Journals that recovery must not act on: malformed ones, those of another registry, and those
//! that lead out of the KB.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::documents;
use crate::support::{Env, staging_entries, tree};

/// A KB whose last mutation died with everything in place but the commit.
fn dead() -> (Env, PathBuf) {
    let env = documents::updated(Env::in_memory());
    let vars = [("KBHOST_FAULT", "registry.after:abort")];
    let said = env.run_with(&vars, ["add", "docs/a.md"]);
    assert_eq!(said.code, -1, "{said:?}");
    let journals = env.kb().join(".openkb/kbhost/journal");
    let mut found = fs::read_dir(journals).unwrap();
    let journal = found.next().unwrap().unwrap().path();
    assert!(journal.join("journal.json").exists());
    (env, journal)
}

fn quarantined(env: &Env) -> PathBuf {
    let held = fs::read_dir(env.kb().join(".openkb/kbhost/quarantine")).unwrap();
    let held: Vec<_> = held.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(held.len(), 1, "{held:?}");
    held[0].clone()
}

/// Goal: nothing that holds undo data is deleted unread. Method: a journal is damaged in several
/// ways; the next commands refuse until a person has moved it out.
#[test]
fn a_malformed_journal_is_put_into_quarantine() {
    let change = |pointer: &str, value: Value| {
        let pointer = pointer.to_owned();
        move |bytes: &[u8]| {
            let mut journal: Value = serde_json::from_slice(bytes).unwrap();
            *journal.pointer_mut(&pointer).unwrap() = value.clone();
            serde_json::to_vec(&journal).unwrap()
        }
    };
    let check = |damage: &dyn Fn(&[u8]) -> Vec<u8>, reason: &str| {
        let (env, journal) = dead();
        let file = journal.join("journal.json");
        let damaged = damage(&fs::read(&file).unwrap());
        fs::write(&file, &damaged).unwrap();
        let (official, images) = (tree(&env.kb()), fs::read(journal.join("pre/0")).unwrap());
        let staged = staged(&env);

        let said = env.run(["add", "docs/follow.md"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert_eq!(said.stdout, "");
        assert!(
            said.stderr.contains("a journal is no valid journal"),
            "{said:?}"
        );
        assert!(said.stderr.contains(reason), "{reason}: {said:?}");
        assert!(
            said.stderr
                .contains("hint: it is kept as `.openkb/kbhost/quarantine/"),
            "{said:?}"
        );
        assert!(said.stderr.contains("`kbhost recover`"), "{said:?}");
        let held = quarantined(&env);
        assert_eq!(fs::read(held.join("journal.json")).unwrap(), damaged);
        assert_eq!(fs::read(held.join("pre/0")).unwrap(), images);
        assert_eq!(tree(&env.kb()), official);
        // What the dead run staged may be the only copy of what its journal speaks of.
        assert_eq!(self::staged(&env), staged);

        let said = env.run(["add", "docs/follow.md"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stderr.contains("could not be undone"), "{said:?}");
        assert!(held.exists());
        assert_eq!(env.run(["list"]).code, 0);
        assert!(env.run(["status"]).stdout.contains('1'));

        let id = held.file_name().unwrap().to_str().unwrap();
        let said = env.run(["recover"]);
        assert_eq!(said.code, 3, "{said:?}");
        let command = format!("`kbhost recover --accept {id}`");
        assert!(said.stderr.contains(&command), "{said:?}");
        assert!(!said.stderr.contains("--undo"), "{said:?}");
        let said = env.run(["recover", "--undo", id]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stderr.contains(&command), "{said:?}");
        assert_eq!(tree(&env.kb()), official);
        assert!(held.exists());

        let said = env.run(["recover", "--accept", id]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stdout.contains("accepted"), "{said:?}");
        assert_eq!(tree(&env.kb()), official);
        let kept = fs::read_dir(env.kb().join(".openkb/kbhost/accepted")).unwrap();
        let kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(kept.len(), 1);
        let name = kept[0].file_name().unwrap().to_str().unwrap();
        assert!(said.stdout.contains(name), "it says where: {said:?}");
        assert_eq!(fs::read(kept[0].join("journal.json")).unwrap(), damaged);
        assert_eq!(fs::read(kept[0].join("pre/0")).unwrap(), images);
        let said = env.run(["add", "docs/follow.md"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(staging_entries(&env.kb()), [""; 0]);
    };
    check(&|_| b"".to_vec(), "EOF");
    check(&|bytes| bytes[..bytes.len() / 2].to_vec(), "EOF");
    check(&|_| b"\x1b[31m no journal".to_vec(), "expected value");
    check(&change("/format", json!(2)), "format 2 is not 1");
    let newer = |_: &[u8]| br#"{"format":2,"id":"x","news":[]}"#.to_vec();
    check(&newer, "format 2 is not 1");
    check(
        &change("/id", json!("000000000009-00000000")),
        "its id is not",
    );
    let path = "/entries/0/path";
    check(&change(path, json!("../outside")), "path");
    check(&change(path, json!("/etc/passwd")), "path");
    check(&change(path, json!("wiki/../../outside")), "path");
    check(
        &change(path, json!(".openkb/config.yaml")),
        "neither in raw/ nor in wiki/",
    );
    check(
        &change("/made_dirs", json!([".openkb"])),
        "neither in raw/ nor in wiki/",
    );
    check(
        &change("/entries/0/before/image", json!("../0")),
        "pre-image",
    );
}

/// What lies in staging, journals apart.
fn staged(env: &Env) -> Vec<String> {
    let mut staged = staging_entries(&env.kb());
    staged.retain(|path| path.starts_with(".openkb/staging"));
    staged
}

#[test]
fn a_quarantine_that_is_cut_off_is_finished() {
    for point in ["quarantine.mkdir", "quarantine.rename", "quarantine.sync"] {
        for mode in ["abort", "error", "enospc"] {
            let (env, journal) = dead();
            fs::write(journal.join("journal.json"), "{}").unwrap();
            let fault = format!("{point}:{mode}");
            let said = env.run_with(&[("KBHOST_FAULT", &fault)], ["add", "docs/follow.md"]);
            assert!(
                matches!((mode, said.code), ("abort", -1) | (_, 1 | 3)),
                "{fault}: {said:?}"
            );
            let said = env.run(["add", "docs/follow.md"]);
            assert_eq!(said.code, 3, "{fault}: {said:?}");
            assert!(quarantined(&env).join("pre/0").exists(), "{fault}");
        }
    }
}

/// Goal: a registry that knows nothing of a mutation does not decide about it. Method: the registry
/// is taken away, or replaced by that of another KB; nothing changes until it is back.
#[test]
fn a_journal_of_another_registry_is_left_alone() {
    let (env, journal) = dead();
    let own = env.kb().join(".openkb/kbhost");
    let set_aside = |from: &str, to: &str| {
        for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
            let (from, to) = (env.path(from).join(name), env.path(to).join(name));
            if from.exists() {
                fs::rename(from, to).unwrap();
            }
        }
    };
    fs::create_dir(env.path("right")).unwrap();
    let check = |reason: &str| {
        let (official, before) = (
            tree(&env.kb()),
            fs::read(journal.join("journal.json")).unwrap(),
        );
        let said = env.run(["add", "docs/follow.md"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stderr.contains(reason), "{said:?}");
        assert!(said.stderr.contains("cannot be decided"), "{said:?}");
        assert_eq!(tree(&env.kb()), official);
        assert_eq!(fs::read(journal.join("journal.json")).unwrap(), before);
        assert!(!own.join("quarantine").exists());
    };
    set_aside("kb/.openkb/kbhost", "right");
    check("the registry is missing");
    assert!(!own.join("registry.db").exists());
    let said = env.run(["init", "other"]);
    assert_eq!(said.code, 0, "{said:?}");
    set_aside("other/.openkb/kbhost", "kb/.openkb/kbhost");
    check("it belongs to another registry");
    fs::create_dir(env.path("wrong")).unwrap();
    set_aside("kb/.openkb/kbhost", "wrong");
    set_aside("right", "kb/.openkb/kbhost");
    let said = env.run(["add", "docs/follow.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!journal.exists());
}

/// A journal tells what to delete: a link on the way must not lead that out of the KB.
#[test]
fn a_journal_is_not_followed_out_of_the_kb() {
    let (env, journal) = dead();
    let pages = env.kb().join("wiki/concepts");
    let outside = env.path("outside");
    fs::rename(&pages, &outside).unwrap();
    symlink(&outside, &pages).unwrap();
    let names = || {
        let entries = fs::read_dir(&outside).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let said = env.run(["add", "docs/follow.md"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("symbolic link"), "{said:?}");
    assert_eq!(names(), before);
    assert!(journal.join("journal.json").exists());
    fs::remove_file(&pages).unwrap();
    fs::rename(&outside, &pages).unwrap();
    let said = env.run(["add", "docs/follow.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(!journal.exists());
}
