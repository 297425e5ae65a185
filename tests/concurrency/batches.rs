//! Batches side by side: the same documents twice, the same stems beside them, another KB.

use std::collections::BTreeSet;

use crate::support::consistency::{mismatches, violations};
use crate::support::wait::{hold_lock, ready, until};
use crate::support::{Env, Said, json};

/// Documents that two commands add at once.
const SAME: usize = 165;

/// Documents of the same stems and other content.
const STEMS: usize = 40;

fn note(n: usize, kind: &str) -> String {
    const TAGS: [&str; 5] = ["storage", "operations", "planning", "people", "reliability"];
    format!(
        "---\ntags: [{}]\n---\n# The {kind} note {n}\n\nThe write-ahead log (WAL) of {kind} {n}.\n",
        TAGS[n % TAGS.len()]
    )
}

/// Lines of a command by their first word.
fn count(said: &Said, status: &str) -> usize {
    let lines = said.stdout.lines();
    lines.filter(|line| line.starts_with(status)).count()
}

#[test]
fn two_adders_of_the_same_165_documents_and_one_of_the_same_stems() {
    let env = Env::new();
    for n in 0..SAME {
        env.doc(&format!("same/note-{n:03}.md"), note(n, "first"));
    }
    for n in 0..STEMS {
        // The same stem, in another case now and then: one name on some file systems.
        let stem = if n % 3 == 0 { "Note" } else { "note" };
        env.doc(&format!("stems/{stem}-{n:03}.md"), note(n, "second"));
    }
    let add = |dir: &str| {
        let args = ["add", "--jobs", "2", "--lock-timeout", "300", dir];
        env.spawn(&mut env.command(args))
    };
    let children = ["docs/same", "docs/same", "docs/stems"].map(add);
    let [first, second, stems] = children.map(|child| env.wait(child));
    for (said, total) in [(&first, SAME), (&second, SAME), (&stems, STEMS)] {
        assert_eq!(said.code, 0, "{said:?}");
        let (added, skipped) = (count(said, "added "), count(said, "skipped "));
        assert_eq!(added + skipped, total, "{said:?}");
    }
    let added = [&first, &second].map(|said| count(said, "added "));
    assert_eq!(added.iter().sum::<usize>(), SAME);
    assert_eq!(count(&stems, "added "), STEMS);
    covered!("two adders of {SAME} documents: {added:?} added; {STEMS} of the same stems");

    // Every entry, every file and every line of the index, once.
    assert_eq!(violations(&env.kb()), [""; 0]);
    let list = json(&env.run(["list", "--json"]));
    let rows = list["documents"].as_array().unwrap();
    assert_eq!(rows.len(), SAME + STEMS);
    let distinct = |field: &str| {
        let values = rows.iter().map(|row| row[field].as_str().unwrap());
        values.map(str::to_lowercase).collect::<BTreeSet<_>>().len()
    };
    for field in ["doc_name", "hash", "raw_path", "source_path"] {
        assert_eq!(distinct(field), rows.len(), "{field}");
    }
    for row in rows {
        check_name(row);
    }
    // Somebody lost the race for each shared stem, and got a suffix.
    let suffixed = rows
        .iter()
        .filter(|row| row["doc_name"].as_str().unwrap().len() > "note-000".len());
    assert_eq!(suffixed.count(), STEMS);
}

/// A name is the stem, or the stem with a suffix that tells it from the other document.
fn check_name(row: &serde_json::Value) {
    let name = row["doc_name"].as_str().unwrap();
    let file = row["name"].as_str().unwrap();
    let stem = file.strip_suffix(".md").unwrap();
    let suffix = name
        .strip_prefix(stem)
        .unwrap_or_else(|| panic!("{name} for {file}"));
    let valid = suffix.is_empty()
        || suffix.strip_prefix('-').is_some_and(|digits| {
            digits.len() == 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
    assert!(valid, "{name} for {file}");
}

#[test]
fn the_lock_of_one_kb_is_not_in_the_way_of_another() {
    let env = Env::new();
    assert_eq!(env.run(["init", "other"]).code, 0);
    for n in 0..10 {
        env.doc(&format!("note-{n:03}.md"), note(n, "only"));
    }
    let lock = hold_lock(&env);
    let mut held_up = env.spawn(&mut env.command(["add", "docs"]));
    until("10 preparations", || ready(&env.kb()) == 10);
    let said = env.run(["--kb-dir", "other", "add", "--no-wait", "docs"]);
    assert_eq!((said.code, count(&said, "added ")), (0, 10), "{said:?}");
    assert_eq!(held_up.try_wait().unwrap(), None, "it did not wait");
    assert_eq!(env.run(["add", "--no-wait", "docs"]).code, 75);
    assert!(mismatches(&env.path("other")).is_empty());
    drop(lock);
    let said = env.wait(held_up);
    assert_eq!((said.code, count(&said, "added ")), (0, 10), "{said:?}");
    for kb in [env.kb(), env.path("other")] {
        assert_eq!(violations(&kb), [""; 0]);
    }
}

#[test]
fn adders_into_two_kbs_at_once_do_not_meet() {
    let env = Env::new();
    assert_eq!(env.run(["init", "other"]).code, 0);
    for n in 0..30 {
        env.doc(&format!("note-{n:03}.md"), note(n, "only"));
    }
    let add = |kb: &str| env.spawn(&mut env.command(["--kb-dir", kb, "add", "--no-wait", "docs"]));
    let children = ["kb", "other"].map(add);
    for said in children.map(|child| env.wait(child)) {
        assert_eq!((said.code, count(&said, "added ")), (0, 30), "{said:?}");
    }
    for kb in [env.kb(), env.path("other")] {
        assert_eq!(violations(&kb), [""; 0]);
    }
}
