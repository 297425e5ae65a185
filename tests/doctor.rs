//! `doctor`: every kind of damage is found, named, and comes with a command; a sound KB has none,
//! and nothing is changed by looking.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{Env, Mount, Said, everything, json};

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
        "note",
        "raw/stray.md",
    );
    check(
        &write("wiki/sources/stray.md", "x"),
        "unregistered",
        "warning",
        "wiki/sources/stray.md",
    );
    check(
        &write(".openkb/hashes.json", "\0\0\0"),
        "hashes-json",
        "error",
        "hashes.json",
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
    // What we exported ourselves is not another program's change.
    let changed = one(&found, "hashes-json-changed");
    assert!(
        changed["message"]
            .as_str()
            .unwrap()
            .starts_with("it is newer than the registry"),
        "{changed}"
    );
    for finding in [older, &changed] {
        let command = finding["command"].as_str().unwrap();
        assert!(command.ends_with(" registry rebuild --yes"), "{command}");
    }
    let said = run_printed(&env, older["command"].as_str().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert_nothing_wrong(&env);
}

/// A finding of this kind.
fn one(found: &[Value], code: &str) -> Value {
    found
        .iter()
        .find(|finding| finding["code"] == code)
        .unwrap_or_else(|| panic!("no `{code}` in {found:#?}"))
        .clone()
}

/// Runs a command as it was printed, in a shell that knows no KB but what the command names.
fn run_printed(env: &Env, command: &str) -> Said {
    let bin = Path::new(env!("CARGO_BIN_EXE_kbhost")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let command = command.replace("$ROOT", &env.root().display().to_string());
    let mut shell = Command::new("sh");
    env.hermetic(&mut shell);
    shell
        .args(["-c", &command])
        .env_remove("KBHOST_KB")
        .env("PATH", format!("{}:{path}", bin.display()));
    env.finish(&mut shell)
}

/// Neither errors nor warnings.
fn assert_nothing_wrong(env: &Env) {
    let said = env.run(["doctor"]);
    assert_eq!(said.code, 0, "{said:?}");
}

/// Goal: no printed command removes the only copy of anything. Method: run what is printed for a
/// missing page and a missing original, with and without the input and the original at hand.
#[test]
fn the_command_for_a_missing_file_brings_it_back() {
    let check = |damage: &dyn Fn(&Env), code: &str, expected: &str, is_repaired: bool| {
        let env = filled();
        let originals = [
            "raw/one.md",
            "raw/two.md",
            "wiki/sources/one.md",
            "wiki/sources/two.md",
        ]
        .map(|path| (path, env.kb_text(path)));
        damage(&env);
        let (_, found) = findings(&env);
        let command = one(&found, code)["command"].as_str().unwrap().to_owned();
        assert!(command.contains(expected), "{command}");
        let damaged = everything(&env.kb());
        let said = run_printed(&env, &command);
        assert_eq!(said.code, 0, "{command}: {said:?}");
        if is_repaired {
            for (path, text) in &originals {
                assert_eq!(env.kb_text(path), *text, "{command}: {path}");
            }
            assert_nothing_wrong(&env);
        } else {
            assert_eq!(everything(&env.kb()), damaged, "{command} only looks");
        }
    };
    let in_kb = |env: &Env, path: &str| fs::remove_file(env.kb().join(path)).unwrap();
    let source = |env: &Env| in_kb(env, "wiki/sources/one.md");
    let original = |env: &Env| in_kb(env, "raw/one.md");
    let input = |env: &Env| fs::remove_file(env.path("docs/one.md")).unwrap();
    let changed_input = |env: &Env| drop(env.doc("one.md", "# One\n\nOther words.\n"));
    // What the page shows lies beside the input; what the KB has of it is kept all the same.
    check(&source, "file-missing", "add $ROOT/docs/one.md", true);
    // Where there is no input, the original would do, but for images: they are nowhere else.
    let both = |env: &Env| (source(env), input(env)).0;
    check(&both, "file-missing", "ls -lR ", false);
    let without_images = |env: &Env| {
        in_kb(env, "wiki/sources/two.md");
        fs::remove_file(env.path("docs/two.md")).unwrap();
    };
    check(
        &without_images,
        "file-missing",
        "add $ROOT/kb/raw/two.md",
        true,
    );
    check(&original, "original-missing", "cp ", true);
    let lost = |env: &Env| (original(env), input(env)).0;
    check(&lost, "original-missing", " show one", false);
    let other = |env: &Env| (original(env), changed_input(env)).0;
    check(&other, "original-missing", " show one", false);
    let all = |env: &Env| (source(env), original(env), changed_input(env)).0;
    check(&all, "file-missing", " list", false);
}

#[test]
fn what_remove_kept_is_a_note_and_comes_back() {
    let env = filled();
    let said = env.run(["remove", "--keep-raw", "--yes", "two"]);
    assert_eq!(said.code, 0, "{said:?}");
    let (exit, found) = findings(&env);
    assert_eq!(exit, 0, "{found:#?}");
    let kept = one(&found, "unregistered");
    assert_eq!(kept["severity"], "note");
    let said = run_printed(&env, kept["command"].as_str().unwrap());
    assert_eq!(
        said.stdout, "added    two <- $ROOT/kb/raw/two.md\n",
        "{said:?}"
    );
    let (_, found) = findings(&env);
    assert!(found.is_empty(), "{found:#?}");
}

/// Goal: a lost registry is told by every command that looks. Method: take it away, or leave an empty
/// one, and run what each says.
#[test]
fn a_lost_registry_is_told_and_rebuilt() {
    for left in [None, Some(""), Some("\n")] {
        let env = filled();
        let own = env.kb().join(".openkb/kbhost");
        for suffix in ["", "-wal", "-shm"] {
            drop(fs::remove_file(own.join(format!("registry.db{suffix}"))));
        }
        if let Some(text) = left {
            fs::write(own.join("registry.db"), text).unwrap();
        }
        let said = env.run(["status"]);
        assert!(said.stdout.contains("\nRegistry: lost\n"), "{said:?}");
        assert!(!said.stdout.contains("OpenKB"), "{said:?}");
        assert!(said.stderr.contains(" registry rebuild`"), "{said:?}");
        for words in [&["recover"][..], &["recover", "--dry-run"]] {
            let said = env.run(words);
            assert_eq!(said.code, 3, "{said:?}");
            assert!(said.stderr.contains("is lost"), "{said:?}");
            assert!(!said.stdout.contains("Nothing to recover"), "{said:?}");
        }
        assert_eq!(json(&env.run(["recover", "--json"]))["registry_lost"], true);
        let (exit, found) = findings(&env);
        assert_eq!(exit, 4, "{left:?}: {found:#?}");
        let said = run_printed(&env, one(&found, "registry")["command"].as_str().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
        assert_nothing_wrong(&env);
        let said = env.run(["recover"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(env.run(["list"]).stdout.lines().count(), 3);
    }
}

/// The texts of the files beneath a folder.
fn texts_beneath(dir: &Path) -> Vec<String> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            texts.extend(texts_beneath(&path));
        } else {
            texts.push(fs::read_to_string(&path).unwrap());
        }
    }
    texts
}

/// Goal: a rebuild forgets no hand edit. Method: edit a summary, rebuild from the sound registry, from
/// a backup and from the files alone, then update: the edit is kept aside.
#[test]
fn a_rebuild_forgets_no_edit() {
    for from in ["itself", "backup", "files"] {
        let env = filled();
        let own = env.kb().join(".openkb/kbhost");
        let edit = |path: &str| {
            let text = env.kb_text(path);
            fs::write(
                env.kb().join(path),
                format!("{text}\nMy own line in {path}.\n"),
            )
            .unwrap();
        };
        if from == "backup" {
            assert_eq!(env.run(["registry", "backup"]).code, 0);
        }
        edit("wiki/summaries/one.md");
        edit("wiki/sources/one.md");
        if from != "itself" {
            for suffix in ["", "-wal", "-shm"] {
                drop(fs::remove_file(own.join(format!("registry.db{suffix}"))));
            }
        }
        if from == "files" {
            drop(fs::remove_dir_all(own.join("backup")));
            fs::remove_file(env.kb().join(".openkb/hashes.json")).unwrap();
        }
        let said = env.run(["registry", "rebuild", "--yes"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_nothing_wrong(&env);
        let (_, found) = findings(&env);
        assert!(
            found
                .iter()
                .all(|finding| finding["code"] != "unregistered"),
            "{found:#?}"
        );
        // A neighbour's change of shared pages does not make the edit ours.
        env.doc(
            "three.md",
            "# Three\n\nThe Turnstile Protocol guards the Commit Point.\n",
        );
        assert_eq!(env.run(["add", "docs/three.md"]).code, 0);
        if from == "files" {
            // Where it came from is not known any more: a changed version would be a new document.
            let said = env.run(["remove", "--yes", "one"]);
            assert_eq!(said.code, 0, "{said:?}");
        } else {
            env.doc("one.md", "# Anew\n\nOther words.\n");
            let said = env.run(["add", "docs/one.md"]);
            assert!(said.stdout.starts_with("updated  "), "{said:?}");
        }
        let kept = texts_beneath(&own.join("conflicts"));
        for path in ["wiki/summaries/one.md", "wiki/sources/one.md"] {
            let line = format!("My own line in {path}.");
            assert!(
                kept.iter().any(|text| text.contains(&line)),
                "{from}: {kept:#?}"
            );
        }
    }
}

#[test]
fn a_hashes_json_that_cannot_be_read_is_set_aside() {
    for text in ["", "\0\0\0\0", "{\"trunc"] {
        let env = filled();
        let path = env.kb().join(".openkb/hashes.json");
        let sound = fs::read(&path).unwrap();
        fs::write(&path, text).unwrap();
        env.doc("three.md", "# Three\n\nA text.\n");
        let said = env.run(["add", "docs/three.md"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stderr.contains("`kbhost registry export`"), "{said:?}");
        let (_, found) = findings(&env);
        let command = one(&found, "hashes-json")["command"].clone();
        let said = run_printed(&env, command.as_str().unwrap());
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stderr.contains("/hashes.json"), "{said:?}");
        assert_eq!(fs::read(&path).unwrap(), sound);
        let (_, found) = findings(&env);
        let aside = one(&found, "hashes-json-aside");
        let aside = env.kb().join(aside["subject"].as_str().unwrap());
        assert_eq!(fs::read_to_string(aside.join("hashes.json")).unwrap(), text);
        assert_nothing_wrong(&env);
        assert_eq!(env.run(["add", "docs/three.md"]).code, 0);
    }
}

/// Where the KB is the one that walking up finds, it is not named.
#[test]
fn commands_name_the_kb_where_they_have_to() {
    let env = filled();
    fs::remove_file(env.kb().join("wiki/sources/two.md")).unwrap();
    let said = env.run(["doctor"]);
    let named = "    kbhost --kb-dir $ROOT/kb remove ";
    let and = " && kbhost --kb-dir $ROOT/kb add ";
    assert!(
        said.stdout.contains(named) && said.stdout.contains(and),
        "{said:?}"
    );
    let mut command = env.command(["doctor"]);
    let said = env.finish(command.env_remove("KBHOST_KB").current_dir(env.kb()));
    assert!(
        said.stdout.contains("    kbhost remove ") && said.stdout.contains(" && kbhost add "),
        "{said:?}"
    );
}

#[test]
fn dead_staging_on_a_read_only_disk_is_no_finding() {
    let env = filled();
    let staging = env.kb().join(".openkb/staging/prepare");
    fs::create_dir_all(staging.join("1-00000000000000aa-0")).unwrap();
    fs::write(staging.join("1-00000000000000aa.owner"), "").unwrap();
    let at = env.path("read-only");
    fs::create_dir(&at).unwrap();
    let Some(_mount) = Mount::read_only(&env.kb(), &at, "read-only staging") else {
        return;
    };
    let mut command = env.command(["doctor"]);
    let said = env.finish(command.env("KBHOST_KB", &at));
    assert_eq!((said.code, said.stdout.as_str()), (0, ""), "{said:?}");
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
    assert!(said.stdout.contains(" recover\n"), "{said:?}");
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

/// An original that OpenKB registered is compared with the digest that it is registered by.
#[test]
fn an_original_of_openkb_that_changed_is_told() {
    let env = Env::empty();
    for dir in [".openkb", "raw", "wiki/sources"] {
        fs::create_dir_all(env.kb().join(dir)).unwrap();
    }
    fs::write(env.kb().join("wiki/sources/a.md"), "text").unwrap();
    let digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"; // of `x`
    let entry = serde_json::json!({
        digest: { "name": "a.md", "doc_name": "a", "type": "md", "path": "raw/a.md",
                  "raw_path": "raw/a.md", "source_path": "wiki/sources/a.md" }
    });
    fs::write(env.kb().join(".openkb/hashes.json"), entry.to_string()).unwrap();
    let changed = || {
        let (_, found) = findings(&env);
        found
            .iter()
            .any(|finding| finding["code"] == "original-changed")
    };
    fs::write(env.kb().join("raw/a.md"), "x").unwrap();
    assert!(!changed());
    fs::write(env.kb().join("raw/a.md"), "y").unwrap();
    assert!(changed());
}

/// What cannot be looked at is a finding, and hides none of the others.
#[test]
fn a_link_in_the_way_hides_no_other_damage() {
    let env = filled();
    fs::write(env.kb().join("raw/one.md"), "changed").unwrap();
    symlink("/tmp", env.kb().join(".openkb/kbhost/conflicts")).unwrap();
    let (exit, found) = findings(&env);
    assert_eq!(exit, 4);
    for code in ["original-changed", "unreadable"] {
        assert!(
            found.iter().any(|finding| finding["code"] == code),
            "{code}: {found:#?}"
        );
    }
}
