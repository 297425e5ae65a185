//! `remove`: a document goes as one, with its lines in shared pages; nothing else goes, and nothing
//! goes unasked.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rusqlite::{Connection, OpenFlags};

use crate::openkb::openkb;
use crate::support::wait::hold_lock;
use crate::support::{Env, Said, copy_tree, everything, has, json, skip, staging_entries, tree};

fn page(title: &str, tags: &str, text: &str) -> String {
    format!("---\ntags: [{tags}]\n---\n# {title}\n\n{text}\n\nThe NASA report says so.\n")
}

fn picture(filler: u8) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(100, filler);
    picture
}

/// Three documents that share pages; the first has pictures.
fn write_documents(env: &Env) {
    env.doc("img/one.png", picture(1));
    env.doc("img/two.png", picture(2));
    let pictures = "About harbours. ![one](img/one.png) ![two](img/two.png)";
    env.doc("a.md", page("A", "storage, alpha", pictures));
    env.doc("b.md", page("B", "storage, alpha", "About meadows."));
    env.doc("c.md", page("C", "storage", "About mountains."));
}

fn with_documents(names: &[&str]) -> Env {
    let env = Env::new();
    write_documents(&env);
    add(&env, names);
    env
}

fn add(env: &Env, names: &[&str]) {
    for name in names {
        let said = env.run(["add", &format!("docs/{name}.md")]);
        assert_eq!(
            said.stdout,
            format!("added    {name} <- docs/{name}.md\n"),
            "{said:?}"
        );
    }
}

fn remove(env: &Env, args: &[&str]) -> Said {
    let said = env.run([&["remove", "--yes"], args].concat());
    assert_eq!(said.code, 0, "{said:?}");
    said
}

fn ask(kb: &Path, database: &str, sql: &str) -> Vec<String> {
    let path = kb.join(".openkb/kbhost").join(database);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// What holds of every KB: links lead somewhere, registry and files match both ways, registry,
/// search index and `hashes.json` have the same documents, nothing lies about. `foreign` are files
/// that nobody registered.
fn sound(env: &Env, foreign: &[&str]) {
    let kb = env.kb();
    let mut files: BTreeSet<String> = BTreeSet::new();
    for (path, what) in tree(&kb) {
        if what.starts_with("dir ") {
            let is_images = path.starts_with("wiki/sources/images/");
            let is_empty = fs::read_dir(kb.join(&path)).unwrap().next().is_none();
            assert!(!(is_images && is_empty), "{path} is left empty");
        } else {
            files.insert(path);
        }
    }
    for path in &files {
        let ours = ["index", "summaries/", "concepts/", "entities/"];
        let name = path.strip_prefix("wiki/").unwrap_or_default();
        if !ours.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let text = env.kb_text(path);
        for link in text.split("[[").skip(1) {
            let target = link.split(['|', ']']).next().unwrap();
            let page = format!("wiki/{target}.md");
            assert!(files.contains(&page), "{path} links to {target}");
        }
    }
    let nobodys = ["wiki/index.md", "wiki/log.md", "wiki/AGENTS.md"];
    for path in nobodys.iter().chain(foreign) {
        files.remove(*path);
    }
    let mut registered: BTreeSet<String> = ask(&kb, "registry.db", "SELECT path FROM pages")
        .into_iter()
        .collect();
    registered.remove("wiki/index.md");
    for path in foreign {
        registered.remove(*path);
    }
    assert_eq!(files, registered);
    let documents = ask(
        &kb,
        "registry.db",
        "SELECT doc_name FROM documents ORDER BY doc_name",
    );
    let indexed = ask(
        &kb,
        "search.db",
        "SELECT doc_name FROM rows ORDER BY doc_name",
    );
    assert_eq!(documents, indexed);
    let epoch = "SELECT CAST(value AS TEXT) FROM meta WHERE key = 'epoch'";
    assert_eq!(ask(&kb, "registry.db", epoch), ask(&kb, "search.db", epoch));
    let exported: serde_json::Value =
        serde_json::from_str(&env.kb_text(".openkb/hashes.json")).unwrap();
    let mut exported: Vec<&str> = exported
        .as_object()
        .unwrap()
        .values()
        .map(|entry| entry["doc_name"].as_str().unwrap())
        .collect();
    exported.sort_unstable();
    assert_eq!(documents, exported);
    assert_eq!(staging_entries(&kb), [""; 0]);
}

/// The tree without the log, which tells what happened.
fn official(env: &Env) -> std::collections::BTreeMap<String, String> {
    let mut tree = tree(&env.kb());
    tree.remove("wiki/log.md");
    tree
}

/// Goal: a KB is as if the document had never been there. Method: compare with one to which it was
/// never added.
#[test]
fn a_removed_document_leaves_no_trace() {
    let check = |before: &[&str], gone: &[&str], stdout: &str| {
        let env = with_documents(before);
        let said = remove(&env, gone);
        assert_eq!(said.stdout, stdout);
        sound(&env, &[]);
        let left: Vec<&str> = before
            .iter()
            .copied()
            .filter(|name| !gone.contains(name))
            .collect();
        let never = with_documents(&left);
        assert_eq!(official(&env), official(&never), "{before:?} - {gone:?}");
        // And it comes back under its name.
        add(&env, gone);
        sound(&env, &[]);
    };
    let a = "removed a (5 files)\n";
    let (b, c) = ("removed b (3 files)\n", "removed c (3 files)\n");
    check(&["a"], &["a"], a);
    check(&["a", "b"], &["a"], a);
    check(&["b", "a"], &["b"], b);
    check(&["a", "b", "c"], &["c"], c);
    check(&["a", "b", "c"], &["a", "c"], &format!("{a}{c}"));
    check(&["a", "b", "c"], &["c", "b", "a"], &format!("{c}{b}{a}"));
}

#[test]
fn what_is_told_and_logged() {
    let env = with_documents(&["a", "b"]);
    assert_said!(
        remove(&env, &["a", "B.md", "a.md", "b"]),
        code: 0,
        stdout: "removed a (5 files)\nremoved b (3 files)\n",
        stderr: "2 removed\nhint: to have it back: `kbhost add $ROOT/docs/a.md $ROOT/docs/b.md`\n",
    );
    assert!(env.kb_text("wiki/log.md").ends_with(
        "## [2025-06-15 15:06:40] remove | a.md → removed summaries/a\n\n\
         ## [2025-06-15 15:06:40] remove | b.md → removed summaries/b\n\n"
    ));
    let mutations = ask(
        &env.kb(),
        "registry.db",
        "SELECT kind || ' ' || documents FROM mutations ORDER BY epoch",
    );
    assert_eq!(mutations, ["add 1", "add 1", "remove 2"]);
    for word in ["harbours", "meadows"] {
        assert_eq!(env.run(["search", word]).stdout, "");
    }
    assert_eq!(env.run(["list"]).stdout, "");
    assert_eq!(env.kb_text(".openkb/hashes.json"), "{}\n");
}

#[test]
fn the_answer_as_json() {
    let env = with_documents(&["a", "b"]);
    fs::remove_file(env.path("docs/b.md")).unwrap();
    let answer = json(&env.run(["remove", "--json", "--yes", "b"]));
    assert_eq!(answer["kbhost"], 1);
    assert_eq!(answer["command"], "remove");
    let document = &answer["documents"][0];
    assert_eq!(document["status"], "removed");
    assert_eq!(document["original"], serde_json::Value::Null);
    assert_eq!(
        document["files"],
        serde_json::json!(["raw/b.md", "wiki/sources/b.md", "wiki/summaries/b.md"])
    );
    assert_eq!(answer["summary"]["removed"], 1);
    let answer = json(&env.run(["remove", "--json", "--dry-run", "a"]));
    assert_eq!(answer["documents"][0]["status"], "would_remove");
    assert_eq!(answer["shared_pages"]["edited"][0], "wiki/index.md");
    let answer = json(&env.run(["remove", "--json", "a"]));
    assert_eq!(answer["error"]["exit_code"], 2);
    assert!(env.kb().join("raw/a.md").exists());
}

/// A wrong word among right ones, or nobody to be asked: nothing at all is changed.
#[test]
fn nothing_is_removed_unless_all_is_clear() {
    let env = with_documents(&["a", "b"]);
    env.doc("minutes-may.md", "# May\n");
    env.doc("minutes-june.md", "# June\n");
    add(&env, &["minutes-may", "minutes-june"]);
    let before = everything(&env.kb());
    let check = |args: &[&str], code, told: &str| {
        let said = env.run([&["remove"], args].concat());
        assert_eq!(said.code, code, "{args:?}: {said:?}");
        assert_eq!(said.stdout, "", "{args:?}");
        assert!(said.stderr.contains(told), "{args:?}: {said:?}");
        assert_eq!(everything(&env.kb()), before, "{args:?}");
    };
    check(
        &["--yes", "a", "nowhere"],
        1,
        "failed to find a document for `nowhere`",
    );
    check(
        &["--yes", "a", "minutes"],
        2,
        "choose one of 2 documents for `minutes`\n  minutes-may\n  minutes-june\n\nhint: name one of \
         them in full: `kbhost remove minutes-may`",
    );
    check(&["--yes", ""], 1, "find a document for ``");
    check(&["--yes", " "], 1, "find a document for ` `");
    check(
        &["a", "b"],
        2,
        "error: failed to remove 2 documents: nobody can be asked\n\nhint: to remove without a \
         question: `kbhost remove --yes a b`; `--dry-run` shows",
    );
    check(&["--keep-raw", "a"], 2, "--yes");
}

/// Runs `remove` before a terminal on which `typed` is typed.
fn on_a_terminal(env: &Env, line: &str, typed: &str) -> Option<Said> {
    if !has("script") {
        skip("a terminal", "script is not installed");
        return None;
    }
    let binary = env!("CARGO_BIN_EXE_kbhost");
    let line = format!("stty cols 100 rows 30 -opost -echo; exec '{binary}' {line}");
    let mut command = Command::new("script");
    env.hermetic(&mut command);
    command
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("TERM", "dumb")
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped());
    let mut child = env.spawn(&mut command);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(typed.as_bytes()).unwrap();
    let said = env.wait(child);
    drop(stdin);
    Some(said)
}

#[test]
fn a_terminal_is_asked() {
    let env = with_documents(&["a", "b"]);
    env.doc(
        "evil.md",
        "---\ntitle: \"red \\e[31m text\"\n---\n\nText.\n",
    );
    add(&env, &["evil"]);
    fs::remove_file(env.path("docs/b.md")).unwrap();
    let before = everything(&env.kb());
    for typed in ["n\n", "\n", "yess\n", "no\n"] {
        let Some(said) = on_a_terminal(&env, "remove a b evil", typed) else {
            return;
        };
        assert_eq!(said.code, 1, "{typed:?}: {said:?}");
        let told = "  a  A (a.md)\n  b  B (b.md; the original in `raw/` is the only copy known)\n  \
                    evil  red [31m text (evil.md)\nRemove 3 documents (a, b, evil)? [y/N] ";
        assert!(said.stdout.contains(told), "{said:?}");
        assert!(said.stdout.contains("Nothing was removed."), "{said:?}");
        assert_eq!(everything(&env.kb()), before);
    }
    for (name, typed) in [("a", "y\n"), ("b", "YES\n")] {
        let said = on_a_terminal(&env, &format!("remove {name}"), typed).unwrap();
        assert_eq!(said.code, 0, "{said:?}");
        assert!(
            said.stdout.contains(&format!("removed {name} (")),
            "{said:?}"
        );
    }
    sound(&env, &[]);
}

/// Goal: a dry run tells exactly what a removal does. Method: its lines are compared with what is
/// gone and changed after it; it is made while the lock is held.
#[test]
fn a_dry_run_tells_what_would_go_and_touches_nothing() {
    let env = with_documents(&["a", "b", "c"]);
    let before = everything(&env.kb());
    let lock = hold_lock(&env);
    let said = env.run(["remove", "--dry-run", "a", "c"]);
    drop(lock);
    assert_said!(
        &said,
        code: 0,
        stdout: "would remove a (5 files)\n  delete raw/a.md\n  delete wiki/sources/a.md\n  delete \
                 wiki/sources/images/a/img_001.png\n  delete wiki/sources/images/a/img_002.png\n  \
                 delete wiki/summaries/a.md\nwould remove c (3 files)\n  delete raw/c.md\n  delete \
                 wiki/sources/c.md\n  delete wiki/summaries/c.md\nshared pages\n  delete \
                 wiki/concepts/alpha.md\n  delete wiki/concepts/storage.md\n  edit   wiki/index.md\n  edit   wiki/summaries/b.md\n",
        stderr: "dry run: 2 would be removed; as the knowledge base is now, without the lock\n",
    );
    assert_eq!(everything(&env.kb()), before);
    let then = official(&env);
    remove(&env, &["a", "c"]);
    let now = official(&env);
    let told = |word: &str| -> BTreeSet<String> {
        let lines = said.stdout.lines();
        let paths = lines.filter_map(|line| line.strip_prefix(&format!("  {word} ")));
        paths.map(|path| path.trim().to_owned()).collect()
    };
    let is_file = |path: &&String| then[*path].starts_with("file ");
    let gone = then
        .keys()
        .filter(is_file)
        .filter(|path| !now.contains_key(*path));
    assert_eq!(gone.cloned().collect::<BTreeSet<_>>(), told("delete"));
    let changed = then
        .iter()
        .filter(|(path, what)| now.get(*path).is_some_and(|new| new != *what));
    let changed: BTreeSet<String> = changed.map(|(path, _)| path.clone()).collect();
    assert_eq!(changed, told("edit"));
}

/// Goal: an original that was kept is in nobody's way. Method: it is kept; then the same input is
/// added again, from its old place and from where it was kept, and at last another version.
#[test]
fn a_kept_original_can_be_added_again() {
    let env = with_documents(&["a", "b"]);
    let text = env.kb_text("raw/b.md");
    let keep = || {
        let said = remove(&env, &["--keep-raw", "b"]);
        assert_eq!(said.stdout, "removed b (2 files; kept raw/b.md)\n");
        assert_eq!(env.kb_text("raw/b.md"), text);
        sound(&env, &["raw/b.md"]);
        said
    };
    let said = keep();
    assert!(
        said.stderr.contains("`kbhost add $ROOT/docs/b.md`"),
        "{said:?}"
    );
    add(&env, &["b"]);
    sound(&env, &[]);
    assert!(!env.kb().join(".openkb/kbhost/conflicts").exists());

    fs::rename(env.path("docs/b.md"), env.path("docs/moved.md")).unwrap();
    let said = keep();
    assert!(
        said.stderr.contains("`kbhost add $ROOT/kb/raw/b.md`"),
        "{said:?}"
    );
    let said = env.run(["add", "kb/raw/b.md"]);
    assert_eq!(said.stdout, "added    b <- kb/raw/b.md\n", "{said:?}");
    sound(&env, &[]);

    keep();
    env.doc("b.md", "# Another version\n");
    let said = env.run(["add", "docs/b.md"]);
    assert!(said.stdout.starts_with("added    b-"), "{said:?}");
    assert_eq!(
        env.kb_text("raw/b.md"),
        text,
        "the only copy of the old one"
    );
    sound(&env, &["raw/b.md"]);
}

#[test]
fn files_that_are_gone_already_are_no_error() {
    let env = with_documents(&["a", "b"]);
    for path in [
        "raw/a.md",
        "wiki/summaries/a.md",
        "wiki/sources/images/a/img_001.png",
    ] {
        fs::remove_file(env.kb().join(path)).unwrap();
    }
    assert_eq!(remove(&env, &["a"]).stdout, "removed a (2 files)\n");
    sound(&env, &[]);
    let never = with_documents(&["b"]);
    assert_eq!(official(&env), official(&never));
    fs::remove_dir_all(env.kb().join("wiki/sources")).unwrap();
    fs::remove_file(env.kb().join("wiki/index.md")).unwrap();
    assert_eq!(remove(&env, &["b"]).stdout, "removed b (2 files)\n");
}

/// What people wrote stays, or is kept aside and named.
#[test]
fn hand_edits_are_kept() {
    let env = with_documents(&["a", "b"]);
    let kb = env.kb();
    let write = |path: &str, text: &str| fs::write(kb.join(path), text).unwrap();
    let summary = env.kb_text("wiki/summaries/a.md") + "\nMy own words.\n";
    write("wiki/summaries/a.md", &summary);
    let concept = env.kb_text("wiki/concepts/alpha.md") + "\nWhat I think of it.\n";
    write("wiki/concepts/alpha.md", &concept);
    write("wiki/sources/images/a/mine.png", "mine");
    let said = remove(&env, &["a"]);
    let kept: Vec<&str> = said
        .stderr
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(kept.len(), 1, "{said:?}");
    assert!(
        kept[0].starts_with("warning: a: `wiki/summaries/a.md` was edited by hand; that version"),
        "{said:?}"
    );
    let path = kept[0].rsplit('`').nth(1).unwrap();
    assert_eq!(env.kb_text(path), summary);
    assert_eq!(env.kb_text("wiki/sources/images/a/mine.png"), "mine");
    let left = env.kb_text("wiki/concepts/alpha.md");
    assert!(left.contains("What I think of it."), "{left}");
    assert!(!left.contains("[[summaries/"), "{left}");
    sound(
        &env,
        &["wiki/sources/images/a/mine.png", "wiki/concepts/alpha.md"],
    );
}

#[test]
fn what_is_written_in_the_index_by_hand_stays_byte_for_byte() {
    let env = with_documents(&["b"]);
    let index = env.kb_text("wiki/index.md").replace(
        "## Documents\n",
        "My *own* introduction, see [[summaries/b]]. \r\n\n## Documents\n\n  indented, trailing  \n",
    ) + "\n## Mine\n\n- [[summaries/b]] as I see it\n* last line without an end";
    fs::write(env.kb().join("wiki/index.md"), &index).unwrap();
    add(&env, &["a"]);
    assert_ne!(env.kb_text("wiki/index.md"), index);
    remove(&env, &["a"]);
    assert_eq!(env.kb_text("wiki/index.md"), index);
}

/// A document that OpenKB made: nobody registered its files, and its terms are known from its
/// summary only.
#[test]
fn a_document_of_openkb_goes_with_its_files() {
    let env = openkb();
    let kb = env.kb();
    let write = |path: &str, text: &str| fs::write(kb.join(path), text).unwrap();
    fs::create_dir(kb.join("wiki/sources/images/old-report")).unwrap();
    write("wiki/sources/images/old-report/img_001.png", "a picture");
    let summary =
        env.kb_text("wiki/summaries/old-report.md") + "\n## Related Concepts\n- [[concepts/wal]]\n";
    write("wiki/summaries/old-report.md", &summary);
    write(
        "wiki/concepts/wal.md",
        "---\nsources: [\"summaries/old-report.md\", \"summaries/long.md\"]\n---\n\n# WAL\n\nWritten by a \
         model.\n\n## Related Documents\n- [[summaries/old-report]]\n- [[summaries/long]]\n",
    );
    let before = everything(&kb);
    let said = env.run(["remove", "--dry-run", "old-report"]);
    assert!(
        said.stdout
            .starts_with("would remove old-report (4 files)\n"),
        "{said:?}"
    );
    assert!(
        said.stdout.contains("  edit   wiki/concepts/wal.md\n"),
        "{said:?}"
    );
    assert_eq!(everything(&kb), before, "a dry run imports nothing");

    let said = remove(&env, &["old-report"]);
    assert_eq!(said.stdout, "removed old-report (4 files)\n", "{said:?}");
    for path in [
        "raw/old-report.md",
        "wiki/sources/old-report.md",
        "wiki/summaries/old-report.md",
        "wiki/sources/images/old-report",
    ] {
        assert!(!kb.join(path).exists(), "{path}");
    }
    // Whether somebody edited them nobody knows.
    let warnings = said
        .stderr
        .matches("was not written by kbhost; that version is kept");
    assert_eq!(warnings.count(), 2, "{said:?}");
    assert_eq!(
        env.kb_text("wiki/concepts/wal.md"),
        "---\nsources: [\"summaries/long.md\"]\n---\n\n# WAL\n\nWritten by a model.\n\n## Related \
         Documents\n- [[summaries/long]]\n"
    );
    let index = env.kb_text("wiki/index.md");
    assert!(
        !index.contains("old-report") && index.contains("A note by hand."),
        "{index}"
    );
    let hashes = env.kb_text(".openkb/hashes.json");
    assert!(
        !hashes.contains("old-report") && hashes.contains("\"doc_id\": \"0123\""),
        "{hashes}"
    );
}

/// A KB where something else than a file lies in the place of one: that document stays whole.
#[test]
fn a_link_in_the_place_of_a_file_is_not_followed() {
    let env = with_documents(&["a", "b"]);
    let outside = env.doc("outside.txt", "not the KB's");
    let source = env.kb().join("wiki/sources/a.md");
    fs::remove_file(&source).unwrap();
    std::os::unix::fs::symlink(&outside, &source).unwrap();
    let said = env.run(["remove", "--yes", "a", "b"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_eq!(said.stdout, "removed b (3 files)\n");
    assert!(
        said.stderr.starts_with("error: failed to remove `a`\n"),
        "{said:?}"
    );
    assert!(said.stderr.contains("1 removed, 1 failed\n"), "{said:?}");
    assert_eq!(fs::read_to_string(outside).unwrap(), "not the KB's");
    assert!(source.is_symlink());
    assert!(env.kb().join("raw/a.md").exists());
}

#[test]
fn a_busy_lock_changes_nothing() {
    let env = with_documents(&["a"]);
    let before = official(&env);
    let lock = hold_lock(&env);
    let said = env.run(["remove", "--yes", "--no-wait", "a"]);
    assert_eq!(said.code, 75, "{said:?}");
    assert!(
        said.stderr.ends_with("0 removed, 1 not tried\n"),
        "{said:?}"
    );
    drop(lock);
    assert_eq!(official(&env), before);
    let copy = env.path("copy/kb");
    copy_tree(&env.kb(), &copy);
    let mut command = env.command(["remove", "--yes", "a"]);
    let said = env.finish(command.env("KBHOST_KB", &copy));
    assert_eq!(said.stdout, "removed a (5 files)\n", "{said:?}");
}

/// F1 of the peer: after a crash the next command must not build on what is undone later. Method:
/// an add dies with all in place but the commit, the next command removes another document, the one
/// after it adds a third.
#[cfg(feature = "fault-points")]
#[test]
fn f1_what_is_removed_after_a_crash_stays_removed() {
    let env = with_documents(&["a", "c"]);
    let vars = [("KBHOST_FAULT", "registry.after:abort")];
    assert_eq!(env.run_with(&vars, ["add", "docs/b.md"]).code, -1);
    assert!(env.kb().join("raw/b.md").exists());
    assert_eq!(remove(&env, &["a"]).stdout, "removed a (5 files)\n");
    env.doc("d.md", page("D", "storage, alpha", "About deserts."));
    add(&env, &["d"]);
    sound(&env, &[]);
    let never = with_documents(&["c"]);
    never.doc("d.md", page("D", "storage, alpha", "About deserts."));
    add(&never, &["d"]);
    assert_eq!(official(&env), official(&never));
    let names = "SELECT doc_name FROM documents ORDER BY doc_name";
    assert_eq!(ask(&env.kb(), "registry.db", names), ["c", "d"]);
}

/// A removal that dies is undone, or finished, by whoever comes next.
#[cfg(feature = "fault-points")]
#[test]
fn a_removal_that_died_is_settled_by_the_next_command() {
    for (point, is_in) in [("registry.after", false), ("commit.after", true)] {
        let env = with_documents(&["a", "b"]);
        let then = official(&env);
        let fault = format!("{point}:abort");
        let said = env.run_with(&[("KBHOST_FAULT", &fault)], ["remove", "--yes", "a"]);
        assert_eq!(said.code, -1, "{said:?}");
        let said = env.run(["remove", "--yes", "nothing-but-recovery", "c"]);
        assert_eq!(said.code, 1, "{said:?}");
        add(&env, &["c"]);
        remove(&env, &["c"]);
        sound(&env, &[]);
        let expected = match is_in {
            true => official(&with_documents(&["b"])),
            false => then,
        };
        assert_eq!(official(&env), expected, "{point}");
    }
}

/// Goal: a signal ends the run between two mutations, and what was removed is said. Method: more
/// documents than one mutation takes; the signal comes while the first is under way.
#[cfg(feature = "fault-points")]
#[test]
fn a_signal_ends_the_run_between_two_mutations() {
    use crate::support::wait::until;
    use rustix::process::{Pid, Signal, kill_process};

    const DOCUMENTS: usize = 67;
    let env = Env::new();
    for n in 0..DOCUMENTS {
        env.doc(
            &format!("d{n:02}.md"),
            format!("# Document {n}\n\nText {n}.\n"),
        );
    }
    assert_eq!(env.run(["add", "docs"]).code, 0);
    let names = (0..DOCUMENTS).map(|n| format!("d{n:02}"));
    let mut command = env.command(
        ["remove".to_owned(), "--yes".to_owned()]
            .into_iter()
            .chain(names),
    );
    command.env("KBHOST_FAULT", "snapshot.after:delay-3000");
    let child = env.spawn(&mut command);
    until("the first mutation", || {
        let left = staging_entries(&env.kb());
        left.iter()
            .any(|path| env.kb().join(path).join("journal.json").exists())
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let said = env.wait(child);
    assert_eq!(said.code, 143, "{said:?}");
    assert_eq!(said.stdout.lines().count(), 64, "{said:?}");
    assert!(
        said.stderr.starts_with("64 removed, 3 not tried\nhint: "),
        "{said:?}"
    );
    sound(&env, &[]);
    assert_eq!(env.run(["list"]).stdout.lines().count(), 1 + 3);
}
