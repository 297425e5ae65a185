//! The faults that were seen in the program whose knowledge bases this one opens, by their numbers:
//! each is impossible here. Those of its model pipeline and of URLs have no counterpart yet.

use std::fs;
use std::time::{Duration, Instant};

use crate::support::wait::until;
use crate::support::{Env, Said, component, everything, staging_entries, tree};

const PAGE: &str = "---\ntags: [storage]\n---\n# A page\n\nThe NASA report says so.\n";

fn page(title: &str) -> String {
    format!("{PAGE}\nThis is {title}.\n")
}

fn add(env: &Env, document: &str) -> Said {
    let said = env.run(["add", document]);
    assert_eq!(said.code, 0, "{said:?}");
    said
}

fn listed(env: &Env) -> Vec<String> {
    let said = env.run(["list", "--json"]);
    let answer = crate::support::json(&said);
    let documents = answer["documents"].as_array().unwrap();
    let name = |row: &serde_json::Value| row["doc_name"].as_str().unwrap().to_owned();
    documents.iter().map(name).collect()
}

/// A KB with `a`; adding `b` died with everything in place but the commit.
#[cfg(feature = "fault-points")]
fn dead() -> Env {
    let env = Env::in_memory();
    for name in ["a", "b", "c"] {
        env.doc(&format!("{name}.md"), page(name));
    }
    add(&env, "docs/a.md");
    let vars = [("KBHOST_FAULT", "registry.after:abort")];
    assert_eq!(env.run_with(&vars, ["add", "docs/b.md"]).code, -1);
    env
}

/// F1: a recovery that failed did not stop the next command, and when it succeeded later it took
/// back what had been added meanwhile.
#[cfg(feature = "fault-points")]
#[test]
fn f1_a_recovery_that_fails_is_a_barrier() {
    let env = dead();
    let dead_tree = tree(&env.kb());
    for fault in ["undo.*:enospc", "undo.*:invalid", "undo.sync:error"] {
        let said = env.run_with(&[("KBHOST_FAULT", fault)], ["add", "docs/c.md"]);
        assert!(matches!(said.code, 1 | 3), "{fault}: {said:?}");
        assert_eq!(said.stdout, "", "{fault}");
        assert_eq!(listed(&env), ["a"], "{fault}");
        assert!(!env.kb().join("raw/c.md").exists(), "{fault}");
    }
    assert_ne!(dead_tree, tree(&env.kb()), "a part of it was undone");
    add(&env, "docs/c.md");
    assert_eq!(listed(&env), ["a", "c"]);
    add(&env, "docs/b.md");
    assert_eq!(listed(&env), ["a", "c", "b"]);
    for path in ["raw/c.md", "wiki/sources/c.md", "wiki/summaries/c.md"] {
        assert!(env.kb().join(path).exists(), "{path}");
    }
    assert!(env.kb_text("wiki/log.md").contains("c.md"));
    assert_eq!(env.run(["doctor"]).code, 0);
}

/// F2: a planted journal made the next command delete directories outside of the KB.
#[test]
fn f2_a_planted_journal_leads_nowhere() {
    let env = Env::new();
    env.doc("a.md", PAGE);
    let outside = env.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("thesis.txt"), "years of work").unwrap();
    let journals = env.kb().join(".openkb/journal");
    fs::create_dir_all(&journals).unwrap();
    let planted = serde_json::json!({
        "version": 1, "operation": "add", "status": "active",
        "kb_dir": env.kb(), "backup_dir": outside, "details": {}, "attempts": 0,
        "entries": [
            {"target": outside, "backup": null},
            {"target": env.kb().join("../outside"), "backup": null},
        ],
    });
    fs::write(journals.join("0123456789abcdef.json"), planted.to_string()).unwrap();
    let before = everything(&env.kb());
    for command in [
        &["add", "docs/a.md"][..],
        &["recover"],
        &["recover", "--dry-run"],
    ] {
        let said = env.run(command);
        assert_eq!(said.code, 3, "{command:?}: {said:?}");
        assert_eq!(
            fs::read_to_string(outside.join("thesis.txt")).unwrap(),
            "years of work"
        );
    }
    let mut after = everything(&env.kb());
    // Who holds the lock is noted; nothing else changed.
    after.remove("/.openkb/kbhost/holder.json");
    let mut before = before;
    before.remove("/.openkb/kbhost/holder.json");
    assert_eq!(after, before);
}

/// F3: a KB that was moved after a crash could not be recovered: its journals held absolute paths.
#[cfg(feature = "fault-points")]
#[test]
fn f3_a_moved_kb_recovers() {
    let env = dead();
    let moved = env.path("elsewhere");
    fs::rename(env.kb(), &moved).unwrap();
    let said = env.run(["add", "docs/c.md", "--kb-dir", "elsewhere"]);
    assert_eq!(said.code, 0, "{said:?}");
    fs::rename(&moved, env.kb()).unwrap();
    assert_eq!(listed(&env), ["a", "c"]);
    assert!(!env.kb().join("raw/b.md").exists());
    assert_eq!(env.run(["doctor"]).code, 0);
}

/// F4: every killed command left its staging for ever.
#[cfg(feature = "fault-points")]
#[test]
fn f4_staging_of_the_dead_is_swept() {
    let env = dead();
    assert!(!staging_entries(&env.kb()).is_empty());
    add(&env, "docs/c.md");
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
}

/// F5: commands that failed ended with 0.
#[test]
fn f5_failure_is_an_exit_code() {
    let env = Env::new();
    env.doc("a.rst", "text");
    env.doc("broken.pdf", "%PDF-1.4 no more");
    let check = |words: &[&str], code| {
        let said = env.run(words);
        assert_eq!(said.code, code, "{words:?}: {said:?}");
        assert!(!said.stderr.is_empty(), "{words:?}");
    };
    check(&["add", "docs/a.rst"], 1);
    check(&["add", "docs/none.md"], 1);
    check(&["add", "docs/broken.pdf"], 1);
    check(&["remove", "--yes", "nothing"], 1);
    check(&["show", "nothing"], 1);
    check(&["add"], 2);
    check(&["list", "--kb-dir", "docs"], 2);
}

/// F6: the lock was held during conversion and model calls; everybody else waited.
#[test]
fn f6_nobody_waits_for_a_conversion() {
    let env = Env::new();
    env.doc("slow.hostile", "loop\n");
    env.doc("a.md", PAGE);
    let mut command = env.command(["add", "docs/slow.hostile", "--plugin"]);
    let mut slow = env.spawn(command.arg(component("hostile")));
    until("the conversion", || {
        fs::read_dir(env.kb().join(".openkb/staging/prepare"))
            .is_ok_and(|mut dirs| dirs.any(|dir| dir.unwrap().path().join("in").exists()))
    });
    let said = env.run(["add", "--no-wait", "docs/a.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    let begun = Instant::now();
    assert_eq!(listed(&env), ["a"]);
    assert_eq!(env.run(["show", "a"]).code, 0);
    assert_eq!(env.run(["remove", "--yes", "--no-wait", "a"]).code, 0);
    assert!(slow.try_wait().unwrap().is_none(), "it is converting still");
    assert!(begun.elapsed() < Duration::from_secs(20));
    slow.kill().unwrap();
    slow.wait().unwrap();
}

/// F7: `add .` in a KB took its own pages in and replaced the entries of real inputs.
#[test]
fn f7_a_kb_does_not_take_itself_in() {
    let env = Env::new();
    env.doc("a.md", PAGE);
    add(&env, "docs/a.md");
    let (before, rows) = (tree(&env.kb()), env.logical_registry());
    let mut command = env.command(["add", "."]);
    env.finish(command.current_dir(env.kb()));
    // The original is known by its bytes, like any copy of it.
    assert!(
        env.run(["add", "kb/raw/a.md"])
            .stdout
            .starts_with("skipped")
    );
    for own in ["kb/wiki/sources/a.md", "kb/wiki/index.md"] {
        assert_eq!(env.run(["add", own]).code, 1, "{own}");
    }
    assert_eq!(tree(&env.kb()), before);
    assert_eq!(env.logical_registry(), rows);
}

/// F8: an original was in `raw/` twice, under its own name and under its document's, and the copy
/// was taken for a new input.
#[test]
fn f8_an_original_is_there_once() {
    let env = Env::new();
    env.doc("My File (1).md", PAGE);
    for status in ["added ", "skipped "] {
        let said = env.run(["add", "docs/My File (1).md"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stdout.starts_with(status), "{said:?}");
    }
    let raw = fs::read_dir(env.kb().join("raw")).unwrap();
    let names: Vec<_> = raw.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["My-File-1.md"]);
    assert_eq!(listed(&env), ["My-File-1"]);
}

/// F11: making a concept replaced a page of the same name, with everything people wrote in it.
#[test]
fn f11_a_page_of_that_name_is_not_replaced() {
    let env = Env::new();
    let mine = "---\ntags: [mine]\n---\n# Storage\n\nWhat I think about storage.\n";
    fs::write(env.kb().join("wiki/concepts/storage.md"), mine).unwrap();
    env.doc("a.md", page("one"));
    env.doc("b.md", page("two"));
    add(&env, "docs");
    let text = env.kb_text("wiki/concepts/storage.md");
    for line in mine.lines().filter(|line| *line != "---") {
        assert!(text.contains(line), "{line} is lost:\n{text}");
    }
    assert!(text.contains("[[summaries/a|") && text.contains("[[summaries/b|"));
}

/// F12: the column for pages was always empty.
#[test]
fn f12_list_shows_pages() {
    let env = Env::new();
    let fixture = crate::support::repository().join("examples/docs");
    let pdfs = find(&fixture, ".pdf");
    let said = env.run(["add".as_ref(), pdfs[0].as_os_str()]);
    assert_eq!(said.code, 0, "{said:?}");
    let listed = env.run(["list"]).stdout;
    let row = listed.lines().nth(1).unwrap();
    let pages = row.split_whitespace().nth(2).unwrap();
    assert!(pages.parse::<u32>().is_ok_and(|pages| pages > 0), "{row}");
}

fn find(dir: &std::path::Path, suffix: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(find(&path, suffix));
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// F13: a snapshot linked every concept and entity page there was.
#[cfg(feature = "fault-points")]
#[test]
fn f13_a_snapshot_is_of_what_is_touched() {
    let operations = |others: usize| {
        let env = Env::in_memory();
        // Pairs that share a concept each: as many concept pages.
        for n in 0..others {
            for half in ["x", "y"] {
                let text = format!("---\ntags: [topic-{n}]\n---\n# {half}{n}\n\nNumber {n}.\n");
                env.doc(&format!("old/{half}{n:03}.md"), text);
            }
        }
        env.doc("old/a.md", page("one"));
        add(&env, "docs/old");
        let concepts = fs::read_dir(env.kb().join("wiki/concepts"))
            .unwrap()
            .count();
        assert!(concepts >= others, "{concepts}");
        env.doc("new.md", page("two"));
        let trace = env.path("trace");
        let vars = [("KBHOST_FAULT_TRACE", trace.to_str().unwrap())];
        let said = env.run_with(&vars, ["add", "docs/new.md"]);
        assert_eq!(said.code, 0, "{said:?}");
        fs::read_to_string(trace).unwrap().lines().count()
    };
    assert_eq!(operations(2), operations(40));
}
