//! The registry as something that can be lost: backups, rebuilding, and the exchange with OpenKB.

mod exchange;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rusqlite::Connection;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Env, Said, copy_tree, json, logical_registry, tree};

const OWN: &str = ".openkb/kbhost";
const REGISTRY: &str = ".openkb/kbhost/registry.db";
const HASHES: &str = ".openkb/hashes.json";

/// Documents that share terms, so that there are concept and entity pages.
fn page(name: &str) -> String {
    format!("---\ntags: [storage]\n---\n# The {name}\n\nThe NASA report on {name} says so.\n")
}

/// A KB with documents, of which the second group came after the only backup: `c` and `d` are new, `b`
/// was updated.
fn with_documents(env: Env) -> Env {
    for name in ["a", "b"] {
        env.doc(&format!("{name}.md"), page(name));
    }
    assert_eq!(env.run(["add", "docs"]).code, 0);
    for name in ["c", "d"] {
        env.doc(&format!("{name}.md"), page(name));
    }
    env.doc("b.md", format!("{}More of it.\n", page("b")));
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(backups(&env.kb()).len(), 1);
    env
}

fn backups(kb: &Path) -> Vec<String> {
    let dir = kb.join(OWN).join("backup");
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn remove_registry(kb: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        drop(fs::remove_file(kb.join(format!("{REGISTRY}{suffix}"))));
    }
}

fn on(env: &Env, kb: &Path, words: &[&str]) -> Said {
    let mut command = env.command(words);
    env.finish(command.env("KBHOST_KB", kb))
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Registry and files match one to one, digests included.
fn check_oracle(kb: &Path) {
    let connection = Connection::open(kb.join(REGISTRY)).unwrap();
    let rows = |sql: &str| -> BTreeMap<String, String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().map(Result::unwrap).collect()
    };
    let pages = rows("SELECT path, lower(hex(sha256)) FROM pages");
    for (path, digest) in &pages {
        // After a rebuild nobody knows what was written.
        if *digest == "0".repeat(64) {
            assert!(kb.join(path).is_file(), "{path}");
            continue;
        }
        assert_eq!(hex(&fs::read(kb.join(path)).unwrap()), *digest, "{path}");
    }
    let originals = rows("SELECT raw_path, lower(hex(hash)) FROM documents");
    for (path, digest) in &originals {
        assert_eq!(pages.get(path), Some(digest), "{path}");
    }
    for dir in [
        "raw",
        "wiki/sources",
        "wiki/summaries",
        "wiki/concepts",
        "wiki/entities",
    ] {
        for entry in fs::read_dir(kb.join(dir)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let path = format!("{dir}/{}", entry.file_name().to_string_lossy());
                assert!(pages.contains_key(&path), "{path} is not registered");
            }
        }
    }
    let count = |sql: &str| -> i64 { connection.query_row(sql, [], |row| row.get(0)).unwrap() };
    assert_eq!(count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/// What a rebuilt KB must do: list the same, know its inputs, take new ones.
fn check_rebuilt(env: &Env, kb: &Path, listed: &str, before: &BTreeMap<String, String>) {
    let mut now = tree(kb);
    let mut then = before.clone();
    assert_eq!(now, then, "the wiki is as it was");
    assert_eq!(names(&on(env, kb, &["list"]).stdout), names(listed));
    check_oracle(kb);
    let said = on(env, kb, &["add", "docs"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.lines().all(|line| line.starts_with("skipped ")),
        "{said:?}"
    );
    now = tree(kb);
    now.remove("wiki/log.md");
    then.remove("wiki/log.md");
    assert_eq!(now, then, "adding the same inputs changes nothing");
    let answer = json(&on(env, kb, &["search", "--json", "NASA"]));
    assert_eq!(answer["stale"], false, "{answer}");
    let new = env.doc("later/new.md", page("new"));
    let said = on(env, kb, &["add", new.to_str().unwrap()]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (0, "added    new <- $ROOT/docs/later/new.md\n"),
        "{said:?}"
    );
    let concept = fs::read_to_string(kb.join("wiki/concepts/storage.md")).unwrap();
    for name in ["a", "b", "c", "d", "new"] {
        assert!(
            concept.contains(&format!("summaries/{name}.md")),
            "{name}: {concept}"
        );
    }
    check_oracle(kb);
    fs::remove_dir_all(env.path("docs/later")).unwrap();
}

/// The first column of `list`.
fn names(listed: &str) -> Vec<String> {
    let words = listed
        .lines()
        .map(|line| line.split(' ').next().unwrap().to_owned());
    words.collect()
}

/// What is lost beside the registry, and what the report says then.
#[test]
fn a_lost_registry_comes_back_from_what_is_left() {
    let env = with_documents(Env::new());
    let listed = env.run(["list"]).stdout;
    let before = tree(&env.kb());
    let check = |what: &str, lose: &dyn Fn(&Path), expected: Value, updates: bool| {
        let kb = env.path(&format!("{what}/kb"));
        copy_tree(&env.kb(), &kb);
        remove_registry(&kb);
        lose(&kb);
        let said = on(&env, &kb, &["registry", "rebuild", "--json"]);
        assert_eq!(said.code, 0, "{what}: {said:?}");
        let answer = json(&said);
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&answer[key], value, "{what}: {answer}");
        }
        assert_eq!(answer["before"]["state"], "missing", "{answer}");
        assert_eq!(answer["warnings"], json!([]), "{answer}");
        check_rebuilt(&env, &kb, &listed, &before);
        // A changed version of a document whose origin is known replaces it.
        let changed = format!("{}Changed.\n", page("c"));
        let was = fs::read_to_string(env.path("docs/c.md")).unwrap();
        env.doc("c.md", changed);
        let said = on(&env, &kb, &["add", "docs/c.md"]);
        env.doc("c.md", was);
        let expected = if updates {
            "updated  c <- docs/c.md\n"
        } else {
            "added    c-"
        };
        assert!(said.stdout.starts_with(expected), "{what}: {said:?}");
        // What was written nobody knows: what is replaced is kept aside, and nothing else is said.
        let mut warnings = said
            .stderr
            .lines()
            .filter(|line| line.starts_with("warning"));
        let kept = "was not written by kbhost; that version is kept as";
        assert!(warnings.all(|line| line.contains(kept)), "{what}: {said:?}");
        check_oracle(&kb);
    };
    let nothing = |_: &Path| {};
    let from_backup =
        json!({ "from_base": 2, "updated": 1, "from_hashes_json": 2, "from_files": 0 });
    check("backup", &nothing, from_backup, true);
    let without_hashes = |kb: &Path| fs::remove_file(kb.join(HASHES)).unwrap();
    let from_backup =
        json!({ "from_base": 2, "updated": 1, "from_hashes_json": 0, "from_files": 2 });
    check("backup-alone", &without_hashes, from_backup, false);
    let without_own = |kb: &Path| fs::remove_dir_all(kb.join(OWN)).unwrap();
    let from_hashes =
        json!({ "base": null, "from_base": 0, "from_hashes_json": 4, "from_files": 0 });
    check("hashes", &without_own, from_hashes, true);
    let without_both = |kb: &Path| {
        without_own(kb);
        without_hashes(kb);
    };
    let from_files =
        json!({ "base": null, "from_base": 0, "from_hashes_json": 0, "from_files": 4 });
    check("files", &without_both, from_files, false);
}

#[test]
fn a_lost_registry_is_not_silently_begun_anew() {
    let env = with_documents(Env::new());
    remove_registry(&env.kb());
    env.doc("e.md", "# E\n");
    let before = tree(&env.kb());
    let said = env.run(["add", "docs/e.md"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stderr.contains("is lost") && said.stderr.contains("`kbhost registry rebuild`"),
        "{said:?}"
    );
    assert_eq!(tree(&env.kb()), before);
    assert!(!env.kb().join(REGISTRY).exists());
}

/// A copy without the machine's own files has documents that no `hashes.json` names.
#[test]
fn documents_without_a_registry_are_not_added_twice() {
    let env = Env::new();
    let config = env.kb().join(".openkb/config.yaml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}openkb_export: never\n")).unwrap();
    env.doc("a.md", page("a"));
    assert_eq!(env.run(["add", "docs"]).code, 0);
    fs::remove_dir_all(env.kb().join(OWN)).unwrap();
    let before = tree(&env.kb());
    let said = env.run(["add", "docs"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stderr.contains("`kbhost registry rebuild`"),
        "{said:?}"
    );
    assert_eq!(tree(&env.kb())["raw/a.md"], before["raw/a.md"]);
    assert_eq!(env.run(["registry", "rebuild"]).code, 0);
    let said = env.run(["add", "docs"]);
    assert!(said.stdout.starts_with("skipped  a"), "{said:?}");
}

/// Goal: the input that a document came from is the one that `hashes.json` names, not the backup's, and
/// a stranger's file is not taken for an original. Method: a document is replaced by another input of
/// the same name after the backup, and the registry is lost.
#[test]
fn a_rebuild_believes_hashes_json_on_where_a_document_came_from() {
    let env = Env::new();
    env.doc("x/notes.md", page("x"));
    env.doc("gone.md", page("gone"));
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert_eq!(env.run(["registry", "backup"]).code, 0);
    assert_eq!(env.run(["remove", "notes", "--yes"]).code, 0);
    env.doc("y/notes.md", page("y"));
    assert_eq!(env.run(["add", "docs/y"]).code, 0);
    remove_registry(&env.kb());
    fs::remove_file(env.kb().join("raw/gone.md")).unwrap();
    fs::write(env.kb().join("raw/gone.txt"), "Somebody's.\n").unwrap();
    assert_eq!(env.run(["registry", "rebuild"]).code, 0);
    let hashes = fs::read_to_string(env.kb().join(".openkb/hashes.json")).unwrap();
    assert!(
        hashes.contains("/y/notes.md") && !hashes.contains("/x/notes.md"),
        "{hashes}"
    );
    assert!(!hashes.contains("gone.txt"), "{hashes}");
    env.doc("x/notes.md", format!("{}Changed.\n", page("x")));
    let said = env.run(["add", "docs/x"]);
    assert!(said.stdout.starts_with("added"), "{said:?}");
    let kept = fs::read_to_string(env.kb().join("raw/notes.md")).unwrap();
    assert_eq!(kept, page("y"));
}

/// Damage of every kind is seen, told with its remedy, and undone by it; the damaged files are kept.
#[test]
fn a_damaged_registry_is_rebuilt_and_kept_aside() {
    let env = with_documents(Env::new());
    let listed = env.run(["list"]).stdout;
    let before = tree(&env.kb());
    let whole = fs::read(env.kb().join(REGISTRY)).unwrap();
    assert!(whole.len() > 5 * 4096, "{}", whole.len());
    let write = |kb: &Path, bytes: &[u8]| fs::write(kb.join(REGISTRY), bytes).unwrap();
    let mut cases = 0;
    let mut check = |what: &str, is_noticed: bool, damage: &dyn Fn(&Path)| {
        cases += 1;
        let kb = env.path(&format!("{what}/kb"));
        copy_tree(&env.kb(), &kb);
        damage(&kb);
        let damaged = fs::read(kb.join(REGISTRY)).unwrap();
        if is_noticed {
            for words in [&["list"][..], &["status"], &["add", "docs"]] {
                let said = on(&env, &kb, words);
                assert_eq!(said.code, 3, "{what}: {said:?}");
                assert!(
                    said.stderr.contains("`kbhost registry rebuild`"),
                    "{what}: {said:?}"
                );
            }
        }
        let said = on(&env, &kb, &["registry", "rebuild", "--json"]);
        assert_eq!(said.code, 0, "{what}: {said:?}");
        let answer = json(&said);
        assert_eq!(answer["before"]["state"], "damaged", "{what}: {answer}");
        let aside = kb.join(answer["set_aside"].as_str().unwrap());
        assert_eq!(
            fs::read(aside.join("registry.db")).unwrap(),
            damaged,
            "{what}"
        );
        check_rebuilt(&env, &kb, &listed, &before);
    };
    check("truncated", true, &|kb| {
        write(kb, &whole[..whole.len() / 2])
    });
    check("header", true, &|kb| {
        let mut bytes = whole.clone();
        bytes[..16].copy_from_slice(&[0xa5; 16]);
        write(kb, &bytes);
    });
    check("schema", true, &|kb| {
        let mut bytes = whole.clone();
        bytes[100..4096].fill(0xa5);
        write(kb, &bytes);
    });
    check("middle", false, &|kb| {
        let mut bytes = whole.clone();
        let middle = bytes.len() / 8192 * 4096;
        bytes[middle..middle + 4096].fill(0xa5);
        write(kb, &bytes);
    });
    check("empty", false, &|kb| write(kb, b""));
    check("text", true, &|kb| {
        write(kb, b"not a database, but a letter\n".repeat(300).as_slice())
    });
    check("trigger", true, &|kb| {
        let connection = Connection::open(kb.join(REGISTRY)).unwrap();
        let sql = "CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM pages; END";
        connection.execute_batch(sql).unwrap();
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
    });
    check("a path out", false, &|kb| {
        let connection = Connection::open(kb.join(REGISTRY)).unwrap();
        let sql = "UPDATE documents SET raw_path = '../../etc/passwd' WHERE doc_name = 'a'";
        connection.execute_batch(sql).unwrap();
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .unwrap();
    });
    assert_eq!(cases, 8);
}

/// A backup is a stranger's data like the registry: one that would run code, or is damaged, is passed
/// over and named.
#[test]
fn only_a_sound_backup_is_used() {
    let env = with_documents(Env::new());
    let dir = env.kb().join(OWN).join("backup");
    let [name] = backups(&env.kb()).try_into().unwrap();
    let evil = dir.join("registry-20250615T150641Z-900.db");
    fs::copy(dir.join(&name), &evil).unwrap();
    let connection = Connection::open(&evil).unwrap();
    let sql = "CREATE TRIGGER t AFTER INSERT ON documents BEGIN DELETE FROM pages; END";
    connection.execute_batch(sql).unwrap();
    drop(connection);
    fs::write(dir.join("registry-20250615T150642Z-901.db"), "rubbish").unwrap();
    std::os::unix::fs::symlink(&name, dir.join("registry-20250615T150643Z-902.db")).unwrap();
    remove_registry(&env.kb());
    let answer = json(&env.run(["registry", "rebuild", "--json"]));
    assert!(
        answer["base"].as_str().unwrap().ends_with(&name),
        "{answer}"
    );
    for passed_over in ["-900.db", "-901.db", "-902.db"] {
        assert!(
            answer["not_recovered"].to_string().contains(passed_over),
            "{answer}"
        );
    }
    check_oracle(&env.kb());
}

#[test]
fn a_sound_registry_is_not_replaced_unless_told() {
    let env = with_documents(Env::new());
    let before = logical_registry(&env.kb());
    let said = env.run(["registry", "rebuild"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stderr.contains("nothing to rebuild"), "{said:?}");
    assert!(said.stderr.contains("--yes"), "{said:?}");
    let answer = json(&env.run(["registry", "rebuild", "--yes", "--json"]));
    assert_eq!(answer["before"]["state"], "sound");
    assert_eq!(answer["base"], REGISTRY);
    assert_eq!(answer["not_recovered"], json!([]));
    assert_eq!(logical_registry(&env.kb()), before);
    assert!(
        env.kb()
            .join(answer["set_aside"].as_str().unwrap())
            .is_dir()
    );
}

/// Goal: replacing a sound registry never leaves the log of the old one beside the new. Method: a reader
/// holds a snapshot, so that the log cannot be emptied; then it goes.
#[test]
fn a_sound_registry_is_not_replaced_under_a_reader() {
    let env = with_documents(Env::new());
    let before = logical_registry(&env.kb());
    let registry = env.kb().join(REGISTRY);
    let reader = Connection::open(&registry).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let count = "SELECT count(*) FROM documents";
    let _: i64 = reader.query_row(count, [], |row| row.get(0)).unwrap();
    let writer = Connection::open(&registry).unwrap();
    // SQLite logs a change only; the second takes the first back.
    for change in ["value + 1", "value - 1"] {
        let sql = format!("UPDATE meta SET value = {change} WHERE key = 'epoch'");
        writer.execute(&sql, []).unwrap();
    }
    drop(writer);
    let said = env.run(["registry", "rebuild", "--yes"]);
    assert_eq!(said.code, 75, "{said:?}");
    assert!(said.stderr.contains("a reader is in the way"), "{said:?}");
    drop(reader);
    assert_eq!(logical_registry(&env.kb()), before);
    let said = env.run(["registry", "rebuild", "--yes"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(logical_registry(&env.kb()), before);
    check_oracle(&env.kb());
}

/// Goal: a registry that is older than its files, restored from a copy, catches up with them. Method:
/// documents are added and updated, one is removed by hand, then the old database comes back.
#[test]
fn a_registry_older_than_its_files_is_brought_in_line() {
    let env = Env::new();
    for name in ["a", "b", "gone"] {
        env.doc(&format!("{name}.md"), page(name));
    }
    assert_eq!(env.run(["add", "docs"]).code, 0);
    let old = fs::read(env.kb().join(REGISTRY)).unwrap();
    env.doc("a.md", format!("{}Changed.\n", page("a")));
    env.doc("c.md", page("c"));
    assert_eq!(env.run(["add", "docs"]).code, 0);
    remove_registry(&env.kb());
    fs::write(env.kb().join(REGISTRY), old).unwrap();
    for file in [
        "raw/gone.md",
        "wiki/sources/gone.md",
        "wiki/summaries/gone.md",
    ] {
        fs::remove_file(env.kb().join(file)).unwrap();
    }
    fs::write(env.kb().join("wiki/sources/b.md"), "# My own words\n").unwrap();
    let answer = json(&env.run(["registry", "rebuild", "--yes", "--json"]));
    for (key, value) in [
        ("from_base", 2),
        ("updated", 1),
        ("from_hashes_json", 1),
        ("edited", 1),
    ] {
        assert_eq!(answer[key], value, "{answer}");
    }
    assert_eq!(answer["dropped"], json!(["gone"]), "{answer}");
    assert_eq!(names(&env.run(["list"]).stdout), ["Name", "a", "b", "c"]);
    // An edit by hand is still told from our text: the next update keeps it aside.
    env.doc("b.md", format!("{}Changed.\n", page("b")));
    let said = env.run(["add", "docs/b.md"]);
    assert!(said.stdout.starts_with("updated  b"), "{said:?}");
    let kept = fs::read_dir(env.kb().join(".openkb/kbhost/conflicts"))
        .unwrap()
        .count();
    assert_eq!(kept, 1, "{said:?}");
    check_oracle(&env.kb());
}

#[cfg(feature = "fault-points")]
#[test]
fn nothing_is_rebuilt_while_a_journal_is_undecided() {
    let env = with_documents(Env::new());
    env.doc("e.md", page("e"));
    let said = env.run_with(
        &[("KBHOST_FAULT", "commit.before:abort")],
        ["add", "docs/e.md"],
    );
    assert_eq!(said.code, -1, "{said:?}");
    remove_registry(&env.kb());
    let before = tree(&env.kb());
    let said = env.run(["registry", "rebuild", "--yes"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stderr.contains("is undecided") && said.stderr.contains("`kbhost recover`"),
        "{said:?}"
    );
    assert_eq!(tree(&env.kb()), before);
    assert!(!env.kb().join(REGISTRY).exists());
}

/// Goal: a rebuild that dies anywhere can be made again. Method: the points of a clean run are
/// counted; at each one a run is killed, or told of an I/O error; the next rebuild, or the one before,
/// must give the same registry.
#[cfg(feature = "fault-points")]
#[test]
fn a_rebuild_that_dies_anywhere_is_made_again() {
    let env = with_documents(Env::in_memory());
    let base = env.path("base/kb");
    copy_tree(&env.kb(), &base);
    let mut bytes = fs::read(base.join(REGISTRY)).unwrap();
    bytes[..4096].fill(0xa5);
    fs::write(base.join(REGISTRY), bytes).unwrap();
    let run = |kb: &Path, fault: &str, trace: &Path| {
        let mut command = env.command(["registry", "rebuild"]);
        command
            .env("KBHOST_KB", kb)
            .env("KBHOST_FAULT", fault)
            .env("KBHOST_FAULT_TRACE", trace);
        env.finish(&mut command)
    };
    let clean = env.path("clean/kb");
    copy_tree(&base, &clean);
    let trace = env.path("trace");
    assert_eq!(run(&clean, "", &trace).code, 0);
    let (expected, official) = (logical_registry(&clean), tree(&clean));
    let trace = fs::read_to_string(trace).unwrap();
    let points: Vec<&str> = trace.lines().collect();
    let mut cases = 0;
    for (index, point) in points.iter().enumerate() {
        let nth = points[..=index]
            .iter()
            .filter(|passed| *passed == point)
            .count();
        for mode in ["abort", "error"] {
            let case = format!("{point}:{mode}:{nth}");
            let kb = env.path(&format!("cases/{index}-{mode}/kb"));
            copy_tree(&base, &kb);
            let said = run(&kb, &case, Path::new("/dev/null"));
            assert_eq!(tree(&kb), official, "{case}: {said:?}");
            let again = on(&env, &kb, &["registry", "rebuild"]);
            assert_eq!(again.code, 0, "{case}: {again:?}, after {said:?}");
            assert_eq!(logical_registry(&kb), expected, "{case}: {again:?}");
            assert!(
                !kb.join(".openkb/kbhost/registry-rebuilt.tmp").exists(),
                "{case}"
            );
            let kept = fs::read_dir(kb.join(OWN)).unwrap().filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with("registry-damaged-")
            });
            assert!(kept.count() >= 1, "{case}: the damaged registry is gone");
            cases += 1;
            fs::remove_dir_all(kb.parent().unwrap()).unwrap();
        }
    }
    covered!("rebuild: {} passings, {cases} cases", points.len());
    assert!(cases >= 60, "only {cases} cases: {points:?}");
}

/// One a day by the run's clock, at the end of runs that changed something; the newest five are kept.
#[test]
fn backups_are_made_daily_and_five_are_kept() {
    let env = Env::new();
    let mut number = 0;
    let mut add_at = |second: i64| {
        number += 1;
        env.doc(&format!("n{number}.md"), format!("# Number {number}\n"));
        let clock = second.to_string();
        let said = env.run_with(&[("SOURCE_DATE_EPOCH", &clock)], ["add", "docs"]);
        assert_eq!(
            (said.code, said.stderr.contains("warning")),
            (0, false),
            "{said:?}"
        );
        backups(&env.kb())
    };
    let day = 86_400;
    let start = 1_750_000_000;
    assert_eq!(add_at(start), ["registry-20250615T150640Z-1.db"]);
    assert_eq!(add_at(start + day).len(), 1, "not older than a day");
    assert_eq!(add_at(start + day + 1).len(), 2);
    assert_eq!(add_at(start - 10 * day).len(), 3, "the clock was set back");
    assert_eq!(add_at(start - 10 * day + 1).len(), 3);
    assert_eq!(add_at(start + 2 * day).len(), 3, "there is one of that day");
    assert_eq!(add_at(start + 2 * day + 2).len(), 4);
    assert_eq!(add_at(start + 4 * day).len(), 5);
    let kept = add_at(start + 6 * day);
    assert_eq!(kept.len(), 5);
    assert!(
        !kept[0].starts_with("registry-20250605T"),
        "the one made first goes: {kept:?}"
    );
    // A run that changes nothing makes none, whatever the day.
    let clock = (start + 60 * day).to_string();
    env.run_with(&[("SOURCE_DATE_EPOCH", &clock)], ["add", "docs"]);
    assert_eq!(backups(&env.kb()), kept);
    for name in kept {
        let path = env.kb().join(OWN).join("backup").join(name);
        assert_eq!(
            fs::read(&path).unwrap()[18..20],
            [1, 1],
            "no log is needed beside it"
        );
    }
}

#[test]
fn a_backup_can_be_asked_for_and_leftovers_of_a_killed_one_go() {
    let env = Env::new();
    let dir = env.kb().join(OWN).join("backup");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(".registry-20200101T000000Z-3.db.tmp"), "half").unwrap();
    fs::write(dir.join("notes.txt"), "mine").unwrap();
    assert_said!(
        env.run(["registry", "backup"]),
        code: 0,
        stdout: "$ROOT/kb/.openkb/kbhost/backup/registry-20250615T150640Z-0.db\n",
        stderr: "",
    );
    assert_eq!(
        backups(&env.kb()),
        ["notes.txt", "registry-20250615T150640Z-0.db"]
    );
    let lock = fs::File::open(env.kb().join(".openkb/kbhost/backup.lock")).unwrap();
    fs2::FileExt::lock_exclusive(&lock).unwrap();
    let said = env.run(["registry", "backup"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.stderr.contains("another process makes a backup"),
        "{said:?}"
    );
    // Nobody waits for a backup that another process makes.
    env.doc("a.md", "# A\n");
    let said = env.run_with(&[("SOURCE_DATE_EPOCH", "1760000000")], ["add", "docs"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (0, "1 added\n"),
        "{said:?}"
    );
    assert_eq!(backups(&env.kb()).len(), 2);
}

#[cfg(feature = "fault-points")]
#[test]
fn a_backup_that_fails_is_a_warning() {
    let points = [
        "mkdir",
        "mkdir-sync",
        "create",
        "copy",
        "sync",
        "rename",
        "sync-dir",
    ];
    for point in points {
        let env = Env::in_memory();
        env.doc("a.md", "# A\n");
        let fault = format!("backup.{point}:enospc");
        let said = env.run_with(&[("KBHOST_FAULT", &fault)], ["add", "docs"]);
        assert_eq!(said.code, 0, "{point}: {said:?}");
        assert_eq!(said.stdout, "added    a <- docs/a.md\n", "{point}");
        assert!(said.stderr.contains("warning: "), "{point}: {said:?}");
        env.doc("b.md", "# B\n");
        let said = env.run(["add", "docs"]);
        assert!(!said.stderr.contains("warning"), "{point}: {said:?}");
        assert_eq!(backups(&env.kb()).len(), 1, "{point}");
    }
}
