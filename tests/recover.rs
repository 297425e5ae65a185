//! `kbhost recover`: what it settles, what it leaves to a person, and what it says about it.

mod openkb;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Env, Said, everything, json, logical_registry, staging_entries, tree};

const PAGE: &str = "---\ntags: [storage]\n---\n# A page\n\nThe NASA report says so.\n";

/// Everything of a KB but who last held the lock.
fn all_of(kb: &Path) -> BTreeMap<String, String> {
    let mut found = everything(kb);
    found.remove("/.openkb/kbhost/holder.json");
    found
}

/// A KB with one document, in which adding a second one died with everything in place but the
/// commit.
struct Dead {
    env: Env,
    /// The official tree before.
    before: BTreeMap<String, String>,
    journal: PathBuf,
    id: String,
}

impl Dead {
    fn new() -> Self {
        Self::at("registry.after:abort")
    }

    fn at(fault: &str) -> Self {
        let env = Env::in_memory();
        env.doc("a.md", PAGE);
        env.doc("b.md", format!("{PAGE}More of it.\n"));
        env.doc("next.md", "# Next\n");
        assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
        let before = tree(&env.kb());
        let said = env.run_with(&[("KBHOST_FAULT", fault)], ["add", "docs/b.md"]);
        assert_eq!(said.code, -1, "{said:?}");
        let journals = env.kb().join(".openkb/kbhost/journal");
        let found: Vec<_> = fs::read_dir(journals).unwrap().collect();
        assert_eq!(found.len(), 1);
        let journal = found[0].as_ref().unwrap().path();
        let id = journal.file_name().unwrap().to_str().unwrap().to_owned();
        Self {
            env,
            before,
            journal,
            id,
        }
    }

    fn failing(&self, fault: &str, words: &[&str]) -> Said {
        self.env.run_with(&[("KBHOST_FAULT", fault)], words)
    }

    fn add_next(&self) -> Said {
        self.env.run(["add", "docs/next.md"])
    }

    /// What lies in a directory of our own state.
    fn kept(&self, dir: &str) -> Vec<PathBuf> {
        match fs::read_dir(self.env.kb().join(".openkb/kbhost").join(dir)) {
            Ok(entries) => entries.map(|entry| entry.unwrap().path()).collect(),
            Err(_) => Vec::new(),
        }
    }

    /// Takes the registry away; what stands in `place` comes back with [`Self::put_back`].
    fn take_registry(&self) {
        fs::create_dir_all(self.env.path("registry")).unwrap();
        self.move_registry(
            &self.env.kb().join(".openkb/kbhost"),
            &self.env.path("registry"),
        );
    }

    fn put_back(&self) {
        self.move_registry(
            &self.env.path("registry"),
            &self.env.kb().join(".openkb/kbhost"),
        );
    }

    fn move_registry(&self, from: &Path, to: &Path) {
        for name in ["registry.db", "registry.db-wal", "registry.db-shm"] {
            match fs::rename(from.join(name), to.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
    }
}

#[test]
fn a_healthy_kb_in_one_line() {
    let env = Env::in_memory();
    for words in [&["recover"][..], &["recover", "--dry-run"]] {
        assert_said!(
            env.run(words),
            code: 0,
            stdout: "Nothing to recover: no change was left unfinished\n",
            stderr: "",
        );
    }
    let answer = json(&env.run(["recover", "--json"]));
    assert_eq!(answer["journals"].as_array().unwrap().len(), 0);
    let said = env.run(["recover", "--accept", "0123"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(
        said.stderr.contains("nothing needs `kbhost recover`"),
        "{said:?}"
    );
}

/// O7: draining twice equals once; and `--dry-run` is no draining.
#[test]
fn a_dead_change_is_undone_once() {
    let dead = Dead::new();
    let env = &dead.env;
    let crashed = everything(&env.kb());
    let line = format!("undone  {} (add, begun 2025-06-15T15:06:40Z, ", dead.id);
    let said = env.run(["recover", "--dry-run"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout.starts_with(&format!("would be {line}")),
        "{said:?}"
    );
    let answer = json(&env.run(["recover", "--dry-run", "--json"]));
    assert_eq!(answer["dry_run"], true);
    let journal = &answer["journals"][0];
    assert_eq!(
        (&journal["state"], &journal["action"]),
        (&"active".into(), &"undone".into())
    );
    assert_eq!(journal["id"], dead.id.as_str());
    assert!(
        journal["paths"]
            .as_array()
            .unwrap()
            .contains(&"raw/b.md".into())
    );
    for words in [["--accept", &dead.id], ["--undo", &dead.id[..14]]] {
        let said = env.run(["recover", "--dry-run", words[0], words[1]]);
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert_eq!(everything(&env.kb()), crashed, "a dry run changes nothing");

    let said = env.run(["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.starts_with(&line), "{said:?}");
    assert_eq!(said.stderr, "1 settled, nothing is left\n");
    assert_eq!(tree(&env.kb()), dead.before);
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    let once = all_of(&env.kb());
    assert_eq!(env.run(["recover"]).code, 0);
    assert_eq!(all_of(&env.kb()), once);
    let said = env.run(["add", "docs/b.md", "docs/next.md"]);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (0, "2 added\n"),
        "{said:?}"
    );
}

#[test]
fn a_committed_change_is_cleaned_up_and_stays() {
    let dead = Dead::at("cleanup.before:abort");
    let said = dead.env.run(["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.stdout.starts_with("cleaned up  "), "{said:?}");
    assert!(!dead.journal.exists());
    assert!(dead.env.run(["list"]).stdout.contains("\nb "));
}

#[test]
fn a_kb_that_moved_and_a_clock_that_was_set_back_do_not_matter() {
    for words in [&["recover"][..], &["add", "docs/next.md"]] {
        let dead = Dead::new();
        let moved = dead.env.path("elsewhere/kb");
        fs::create_dir(dead.env.path("elsewhere")).unwrap();
        fs::rename(dead.env.kb(), &moved).unwrap();
        let vars = [
            ("KBHOST_KB", moved.to_str().unwrap()),
            ("SOURCE_DATE_EPOCH", "1000000000"),
        ];
        let said = dead.env.run_with(&vars, words);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(staging_entries(&moved), [""; 0]);
        assert!(!moved.join("raw/b.md").exists());
        let next = moved.join("raw/next.md").exists();
        assert_eq!(next, words[0] == "add");
        if !next {
            assert_eq!(tree(&moved), dead.before);
        }
    }
}

/// F1 of OpenKB: its next change commits on top of one that could not be rolled back, and loses
/// the newer one when the older is rolled back later. Method: undoing fails; nothing is committed
/// until it has succeeded, and then nothing is lost.
#[test]
fn f1_a_failed_undo_is_a_barrier() {
    for mode in ["enospc", "error", "invalid"] {
        let dead = Dead::new();
        let crashed = tree(&dead.env.kb());
        let registered = logical_registry(&dead.env.kb());
        let fault = format!("undo.clear:{mode}");
        let said = dead.failing(&fault, &["add", "docs/next.md"]);
        assert_eq!((said.code, said.stdout.as_str()), (3, ""), "{said:?}");
        assert!(
            said.stderr.contains("undo the unfinished change"),
            "{said:?}"
        );
        let hint = if mode == "enospc" { "make room" } else { "" };
        assert!(said.stderr.contains(hint), "{said:?}");
        assert_eq!(tree(&dead.env.kb()), crashed);
        assert_eq!(logical_registry(&dead.env.kb()), registered);
        let said = dead.failing(&fault, &["recover"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stdout.starts_with("not undone  "), "{said:?}");
        let command = format!("kbhost recover --accept {}", dead.id);
        let is_offered = said.stderr.contains(&command);
        assert_eq!(is_offered, mode != "enospc", "{said:?}");
        assert_eq!(dead.add_next().code, 0);
        let said = dead.env.run(["list"]);
        assert!(said.stdout.contains("\nnext "), "{said:?}");
        assert!(!said.stdout.contains("\nb "), "{said:?}");
    }
}

/// Goal: an undo that cannot succeed ends in quarantine, one that a full disk stopped does not.
#[test]
fn five_failures_that_count_are_one_too_many() {
    let dead = Dead::new();
    for _ in 0..10 {
        let said = dead.failing("undo.*:enospc", &["add", "docs/next.md"]);
        assert_eq!(said.code, 3, "{said:?}");
    }
    assert!(!dead.journal.join("attempts").exists());
    for count in 1..5 {
        // Whoever tries counts; a full disk in between does not.
        let words: &[&str] = if count % 2 == 0 {
            &["recover"]
        } else {
            &["add", "docs/next.md"]
        };
        assert_eq!(dead.failing("undo.*:invalid", words).code, 3);
        assert_eq!(dead.failing("undo.*:error", words).code, 3);
        let noted = fs::read_to_string(dead.journal.join("attempts")).unwrap();
        assert_eq!(noted, format!("{count}\n"));
    }
    let said = dead.failing("undo.*:invalid", &["add", "docs/next.md"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stderr.contains("failed 5 times: Invalid argument"),
        "{said:?}"
    );
    assert!(!dead.journal.exists());
    let held = dead.kept("quarantine");
    assert_eq!(held.len(), 1);
    assert!(held[0].join("journal.json").exists());
    // It stays a barrier until a person decides.
    let crashed = tree(&dead.env.kb());
    assert_eq!(dead.add_next().code, 3);
    let said = dead.env.run(["recover"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stdout.contains("undoing it failed 5 times"),
        "{said:?}"
    );
    assert_eq!(tree(&dead.env.kb()), crashed);
    // Whichever way is taken, what is in quarantine is named by the beginning of its name.
    let said = dead.env.run(["recover", "--undo", &dead.id]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(tree(&dead.env.kb()), dead.before);
    assert_eq!(
        dead.kept("quarantine").len() + dead.kept("journal").len(),
        0
    );
    assert_eq!(dead.add_next().code, 0);
}

#[test]
fn a_change_in_quarantine_can_be_accepted() {
    let dead = Dead::new();
    fs::write(dead.journal.join("attempts"), "4\n").unwrap();
    assert_eq!(dead.failing("undo.*:invalid", &["recover"]).code, 3);
    assert_eq!(dead.kept("quarantine").len(), 1);
    let crashed = tree(&dead.env.kb());
    for fault in [
        "accept.rename:abort",
        "accept.sync:abort",
        "accept.sync:enospc",
    ] {
        let said = dead.failing(fault, &["recover", "--accept", &dead.id]);
        assert_ne!(said.code, 0, "{fault}: {said:?}");
        let kept = dead.kept("quarantine").len() + dead.kept("accepted").len();
        assert_eq!(kept, 1, "{fault}");
        if fault == "accept.rename:abort" {
            assert_eq!(dead.add_next().code, 3, "{fault}");
        }
    }
    assert_eq!(tree(&dead.env.kb()), crashed);
    assert!(dead.kept("accepted")[0].join("pre").exists());
    assert_eq!(dead.env.run(["recover"]).code, 0);
    assert_eq!(dead.add_next().code, 0);
}

#[test]
fn a_count_that_was_tampered_with_starts_anew() {
    for text in [
        "",
        "many",
        "-1",
        "99999999999999999999",
        "5 and more than a count",
    ] {
        let dead = Dead::new();
        let file = dead.journal.join("attempts");
        fs::write(&file, text).unwrap();
        assert_eq!(dead.failing("undo.*:invalid", &["recover"]).code, 3);
        assert_eq!(fs::read_to_string(file).unwrap(), "1\n", "{text}");
    }
}

/// Goal: where the registry cannot tell, nothing is touched, and both ways are offered and work.
#[test]
fn an_undecidable_change_can_go_either_way() {
    let damage = |dead: &Dead, how: &str| {
        dead.take_registry();
        let database = dead.env.kb().join(".openkb/kbhost/registry.db");
        match how {
            "missing" => {}
            "damaged" => fs::write(database, "SQLite format 3\0 and nothing else").unwrap(),
            _ => {
                assert_eq!(dead.env.run(["init", "other"]).code, 0);
                let other = dead.env.path("other/.openkb/kbhost");
                dead.move_registry(&other, &dead.env.kb().join(".openkb/kbhost"));
            }
        }
    };
    let mut cases = 0;
    for how in ["missing", "damaged", "other"] {
        for way in ["--undo", "--accept", "put back"] {
            let dead = Dead::new();
            damage(&dead, how);
            let crashed = tree(&dead.env.kb());
            let journal = everything(&dead.journal);
            let said = dead.add_next();
            if how != "damaged" {
                // A damaged one stops the command before it comes to the journals.
                assert!(said.stderr.contains("cannot be decided"), "{how}: {said:?}");
                assert!(said.stderr.contains("`kbhost recover`"), "{how}: {said:?}");
            }
            assert_eq!(said.code, 3, "{how}: {said:?}");
            for words in [&["recover"][..], &["recover", "--dry-run"]] {
                let said = dead.env.run(words);
                assert_eq!(said.code, 3, "{how}: {said:?}");
                assert!(said.stdout.starts_with("undecidable  "), "{how}: {said:?}");
                for offered in ["--undo", "--accept"] {
                    let command = format!("`kbhost recover {offered} {}`", dead.id);
                    assert!(said.stderr.contains(&command), "{how}: {said:?}");
                }
            }
            assert_eq!(tree(&dead.env.kb()), crashed, "{how}");
            assert_eq!(everything(&dead.journal), journal, "{how}");
            if way == "put back" {
                dead.put_back();
                assert_eq!(dead.env.run(["recover"]).code, 0, "{how}");
                assert_eq!(tree(&dead.env.kb()), dead.before, "{how}");
            } else {
                let said = dead.env.run(["recover", way, &dead.id]);
                assert_eq!(said.code, 0, "{how} {way}: {said:?}");
                let expected = if way == "--undo" {
                    &dead.before
                } else {
                    &crashed
                };
                assert_eq!(&tree(&dead.env.kb()), expected, "{how} {way}");
                let kept = usize::from(way == "--accept");
                assert_eq!(dead.kept("accepted").len(), kept, "{how} {way}");
                assert!(!dead.journal.exists());
                dead.put_back();
            }
            assert_eq!(dead.add_next().code, 0, "{how} {way}");
            cases += 1;
        }
    }
    assert_eq!(cases, 9);
}

/// A hand edit between crash and undo is kept, however the undo was asked for.
#[test]
fn an_edit_after_the_crash_is_kept_and_named() {
    let dead = Dead::new();
    fs::write(dead.env.kb().join("wiki/sources/b.md"), "my own words\n").unwrap();
    dead.take_registry();
    let said = dead.env.run(["recover", "--undo", &dead.id]);
    assert_eq!(said.code, 0, "{said:?}");
    let kept = said.stderr.split("kept as `").nth(1).unwrap();
    let kept = kept.split('`').next().unwrap();
    assert_eq!(dead.env.kb_text(kept), "my own words\n", "{said:?}");
    assert_eq!(tree(&dead.env.kb()), dead.before);
}

/// Goal: recovery that is itself cut off or meets a full disk is finished by the next one.
#[test]
fn recovery_that_is_cut_off_goes_on() {
    let base = Dead::new();
    let trace = base.env.path("trace");
    let kb = base.env.path("traced/kb");
    crate::support::copy_tree(&base.env.kb(), &kb);
    let vars = [
        ("KBHOST_FAULT_TRACE", trace.to_str().unwrap()),
        ("KBHOST_KB", kb.to_str().unwrap()),
    ];
    assert_eq!(base.env.run_with(&vars, ["recover"]).code, 0);
    let points = fs::read_to_string(trace).unwrap();
    let undo: Vec<&str> = points
        .lines()
        .filter(|point| point.starts_with("undo."))
        .collect();
    assert!(undo.len() > 10, "{points}");
    let mut cases = 0;
    for (index, point) in undo.iter().enumerate() {
        let nth = undo[..=index]
            .iter()
            .filter(|other| *other == point)
            .count();
        for mode in ["abort", "enospc"] {
            let kb = base.env.path(&format!("cut-{index}-{mode}/kb"));
            crate::support::copy_tree(&base.env.kb(), &kb);
            let fault = format!("{point}:{mode}:{nth}");
            let at = ("KBHOST_KB", kb.to_str().unwrap());
            let said = base
                .env
                .run_with(&[at, ("KBHOST_FAULT", &fault)], ["recover"]);
            assert!(matches!(said.code, -1 | 3), "{fault}: {said:?}");
            if mode == "enospc" {
                assert!(said.stderr.contains("make room"), "{fault}: {said:?}");
            }
            assert_eq!(base.env.run_with(&[at], ["recover"]).code, 0, "{fault}");
            assert_eq!(tree(&kb), base.before, "{fault}");
            assert_eq!(staging_entries(&kb), [""; 0], "{fault}");
            fs::remove_dir_all(kb).unwrap();
            cases += 1;
        }
    }
    covered!("recovery cut off: {cases} cases");
    assert!(cases > 20);
}

#[test]
fn ids_are_found_by_their_beginning_and_a_wrong_one_lists_them() {
    let dead = Dead::new();
    let journals = dead.env.kb().join(".openkb/kbhost/journal");
    let second = format!("{}0", dead.id);
    fs::create_dir(journals.join(&second)).unwrap();
    fs::write(journals.join(&second).join("journal.json"), "").unwrap();
    let crashed = everything(&dead.env.kb());
    let said = dead
        .env
        .run(["recover", "--accept", &dead.id[..10], "--dry-run"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(
        said.stderr
            .contains(&format!("\n  {}\n  {}\n", second, dead.id)),
        "{said:?}"
    );
    let said = dead
        .env
        .run(["recover", "--accept", "nothing\x1b[2J", "--dry-run"]);
    assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
    assert!(
        said.stderr
            .contains(&format!("\n  {}\n  {}\n", second, dead.id)),
        "{said:?}"
    );
    assert!(!said.stderr.contains('\x1b'), "{said:?}");
    let said = dead.env.run(["recover", "--accept", "x", "--undo", "y"]);
    assert_eq!(said.code, 2, "{said:?}");
    // The second is malformed and newer: it stands before the first.
    let said = dead.env.run(["recover", "--undo", &dead.id, "--dry-run"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("is newer"), "{said:?}");
    assert_eq!(everything(&dead.env.kb()), crashed);
    // The whole id is no beginning of another.
    let said = dead.env.run(["recover", "--accept", &dead.id]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(
        said.stdout.contains(&format!("accepted  {} ", dead.id)),
        "{said:?}"
    );
    assert_eq!(dead.kept("quarantine").len(), 1);
}

/// Newest first: OpenKB starts no change that we see, we start none while we see one of its own, so
/// what it left is newer. Ours is not undone beneath it.
#[test]
fn an_older_change_waits_for_the_newer_one() {
    let dead = Dead::new();
    let foreign = dead.env.kb().join(".openkb/journal");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("0123.json"), "{ half").unwrap();
    let crashed = all_of(&dead.env.kb());
    let said = dead.env.run(["recover"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stdout.starts_with("waiting  "), "{said:?}");
    assert!(said.stdout.contains("\nmalformed  0123 "), "{said:?}");
    let said = dead.env.run(["recover", "--undo", &dead.id]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("`0123` is newer"), "{said:?}");
    assert_eq!(all_of(&dead.env.kb()), crashed);
    // Once a person has decided about the newer one, the older is undone at once.
    let said = dead.env.run(["recover", "--accept", "0123"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(tree(&dead.env.kb()), dead.before);
    assert_eq!(dead.add_next().code, 0);
}

#[test]
fn recovery_takes_the_lock_and_a_preview_does_not() {
    let dead = Dead::new();
    let lock = crate::support::wait::hold_lock(&dead.env);
    let crashed = all_of(&dead.env.kb());
    assert_eq!(dead.env.run(["recover", "--no-wait"]).code, 75);
    let said = dead.env.run(["recover", "--dry-run"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stderr.contains("A command that is at work now"),
        "{said:?}"
    );
    let mut now = all_of(&dead.env.kb());
    now.retain(|path, _| crashed.contains_key(path));
    assert_eq!(now, crashed);
    drop(lock);
    assert_eq!(dead.env.run(["recover", "--no-wait"]).code, 0);
    assert_eq!(tree(&dead.env.kb()), dead.before);
}

/// Names in the directory of journals that no mutation made harm nobody and are not deleted.
#[test]
fn strangers_in_the_directory_of_journals() {
    let dead = Dead::new();
    let journals = dead.env.kb().join(".openkb/kbhost/journal");
    fs::write(journals.join(".DS_Store"), "mine").unwrap();
    fs::write(journals.join("zzz"), "mine").unwrap();
    fs::create_dir_all(journals.join("9\x1b[2J")).unwrap();
    fs::write(journals.join("9\x1b[2J/journal.json"), "{}").unwrap();
    let fifo = journals.join("8-fifo");
    fs::create_dir(&fifo).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        fifo.join("journal.json"),
        rustix::fs::Mode::RWXU,
    )
    .unwrap();
    let said = dead.env.run(["recover"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(!said.stdout.contains('\x1b'), "{said:?}");
    assert!(said.stdout.contains("not a regular file"), "{said:?}");
    assert_eq!(dead.env.run(["recover", "--accept", "8-fifo"]).code, 0);
    assert_eq!(tree(&dead.env.kb()), dead.before);
    assert_eq!(
        fs::read_to_string(journals.join(".DS_Store")).unwrap(),
        "mine"
    );
    assert!(journals.join("9\x1b[2J/journal.json").exists());
    assert_eq!(dead.add_next().code, 0);
}

/// A file that somebody puts where a removal has just taken one away costs neither: the original is
/// back, and what was put there is kept.
#[test]
fn what_is_put_where_a_file_was_removed_is_kept_beside_it() {
    let env = Env::in_memory();
    env.doc("a.md", "# A\n\nThe only copy.\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let before = tree(&env.kb());
    let vars = [("KBHOST_FAULT", "write.after:abort")];
    let said = env.run_with(&vars, ["remove", "--yes", "a"]);
    assert_eq!(said.code, -1, "{said:?}");
    for path in ["raw/a.md", "wiki/summaries/a.md"] {
        assert!(!env.kb().join(path).exists());
        fs::write(env.kb().join(path), "put here since").unwrap();
    }
    let said = env.run(["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(tree(&env.kb()), before);
    let conflicts = env.kb().join(".openkb/kbhost/conflicts");
    let dir = fs::read_dir(conflicts).unwrap().next().unwrap().unwrap();
    let kept = fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(kept, 2, "{said:?}");
}

/// A registry that is put back from a backup knows nothing of what was committed since: it decides
/// about no journal of then.
#[test]
fn an_older_registry_does_not_decide() {
    let env = Env::in_memory();
    env.doc("a.md", "# A\n");
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let registry = env.kb().join(".openkb/kbhost/registry.db");
    let older = fs::read(&registry).unwrap();
    // Committed and acknowledged; only cleaning up failed.
    let vars = [("KBHOST_FAULT", "cleanup.before:error")];
    let said = env.run_with(&vars, ["add", "docs/b.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(format!("{}{suffix}", registry.display())));
    }
    fs::write(&registry, older).unwrap();
    let before = tree(&env.kb());
    for words in [&["add", "docs/a.md"][..], &["recover"]] {
        let said = env.run(words);
        // What is known already needs no lock.
        assert!(said.code == 3 || words[0] == "add", "{said:?}");
        assert_eq!(tree(&env.kb()), before, "{words:?}");
    }
    let said = env.run(["recover"]);
    assert!(
        said.stderr.contains("--accept") || said.stdout.contains("--accept"),
        "{said:?}"
    );
}

/// An owner that dies in COMMIT leaves the commit's frames in the log. While another connection keeps
/// the log's index alive nobody sees them; they must not come back once a drain has undone the files.
#[test]
fn a_commit_that_was_undone_does_not_come_back() {
    if !crate::support::has("strace") {
        return crate::support::skip("a commit that dies in its sync", "strace is not installed");
    }
    let env = Env::new();
    env.doc("a.md", "# A\n");
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let registry = env.kb().join(".openkb/kbhost/registry.db");
    let mut undone = 0;
    for nth in 1..=6 {
        // Reads, and so keeps the index of the log.
        let reader = rusqlite::Connection::open(&registry).unwrap();
        reader
            .execute_batch("BEGIN; SELECT count(*) FROM documents;")
            .unwrap();
        let mut command = std::process::Command::new("strace");
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-P"])
            .arg(format!("{}-wal", registry.display()))
            .args(["-e", "trace=fsync,fdatasync", "-e"])
            .arg(format!("inject=fsync,fdatasync:signal=SIGKILL:when={nth}"))
            .arg(env!("CARGO_BIN_EXE_kbhost"))
            .args(["add", "docs/b.md"]);
        env.hermetic(&mut command);
        let said = env.finish(&mut command);
        let recovered = env.run(["recover"]);
        assert_eq!(recovered.code, 0, "{nth}: {recovered:?}");
        undone += usize::from(recovered.stdout.contains("undone"));
        let before = env.run(["list"]).stdout;
        drop(reader);
        assert_eq!(env.run(["list"]).stdout, before, "{nth}: {said:?}");
        let doctor = env.run(["doctor"]);
        assert_eq!(doctor.code, 0, "{nth}: {doctor:?}");
        assert_eq!(
            env.run(["remove", "--yes", "b"]).code,
            i32::from(!before.contains('b'))
        );
    }
    assert!(undone > 0, "no commit died");
}

/// A page that is edited while a command is about to give up is not moved back into staging.
#[test]
fn an_edit_before_a_rollback_is_kept() {
    let env = Env::in_memory();
    env.doc("a.md", "# A\n\nOne.\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    env.doc("a.md", "# A\n\nTwo.\n");
    let page = env.kb().join("wiki/sources/a.md");
    let fault = "write.before:delay-1500,write.after:error";
    let mut command = env.command(["add", "docs/a.md"]);
    let child = env.spawn(command.env("KBHOST_FAULT", fault));
    crate::support::wait::until("publishing", || {
        fs::read_to_string(&page).is_ok_and(|text| text.contains("Two."))
    });
    fs::write(&page, "# A\n\nTwo. By hand.\n").unwrap();
    let said = env.wait(child);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(fs::read_to_string(&page).unwrap().contains("One."));
    let conflicts = env.kb().join(".openkb/kbhost/conflicts");
    let dir = fs::read_dir(conflicts).unwrap().next().unwrap().unwrap();
    let kept = fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap();
    assert!(
        fs::read_to_string(kept.path())
            .unwrap()
            .contains("By hand.")
    );
}

/// Goal: planted journals fill neither the memory nor the time of a command. Method: a list much
/// longer than a change makes one, and more directories than crashes leave.
#[test]
fn planted_journals_are_bounded() {
    let dead = Dead::new();
    let mut journal: serde_json::Value =
        serde_json::from_slice(&fs::read(dead.journal.join("journal.json")).unwrap()).unwrap();
    journal["made_dirs"] = vec!["raw/a"; 1_000_000].into();
    fs::write(dead.journal.join("journal.json"), journal.to_string()).unwrap();
    let said = dead.env.run(["recover", "--dry-run"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stdout.contains("more than 200000 entries"), "{said:?}");

    let dead = Dead::new();
    for number in 0..20 {
        let planted = dead
            .env
            .kb()
            .join(format!(".openkb/kbhost/journal/9-{number}"));
        fs::create_dir(planted).unwrap();
    }
    let crashed = all_of(&dead.env.kb());
    for words in [
        &["recover", "--dry-run"][..],
        &["recover"],
        &["add", "docs/next.md"],
        &["show", "a"],
    ] {
        let said = dead.env.run(words);
        assert_eq!((said.code, said.stdout.as_str()), (3, ""), "{said:?}");
        assert!(said.stderr.contains("than this program makes"), "{said:?}");
        assert!(
            said.stderr
                .contains("hint: look into `.openkb/kbhost/journal`"),
            "{said:?}"
        );
    }
    let said = dead.env.run(["doctor"]);
    assert!(said.stdout.contains("than this program makes"), "{said:?}");
    let mut now = all_of(&dead.env.kb());
    now.retain(|path, _| crashed.contains_key(path));
    assert_eq!(now, crashed);
    for number in 0..20 {
        let planted = dead
            .env
            .kb()
            .join(format!(".openkb/kbhost/journal/9-{number}"));
        fs::remove_dir(planted).unwrap();
    }
    assert_eq!(dead.env.run(["recover"]).code, 0);
    assert_eq!(tree(&dead.env.kb()), dead.before);
}

/// Goal: a reader does not see a change as done that is not. Method: an update that died with all
/// pages in place is in quarantine; or the registry that could decide on it is another one.
#[test]
fn what_nobody_has_decided_on_is_read_as_it_was_before() {
    for how in [
        "quarantine",
        "quarantine, no lock",
        "damaged",
        "undecidable",
    ] {
        let env = Env::in_memory();
        env.doc("a.md", "# A\n\nThe first version.\n");
        assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
        env.doc("a.md", "# A\n\nThe second version.\n");
        let vars = [("KBHOST_FAULT", "registry.after:abort")];
        assert_eq!(env.run_with(&vars, ["add", "docs/a.md"]).code, -1);
        let state = env.kb().join(".openkb/kbhost");
        let journal = fs::read_dir(state.join("journal")).unwrap().last();
        let journal = journal.unwrap().unwrap().path();
        let file = journal.join("journal.json");
        match how {
            "damaged" => {
                fs::write(file, "{").unwrap();
                assert_eq!(env.run(["recover"]).code, 3);
            }
            "undecidable" => {
                let text = fs::read(&file).unwrap();
                let mut journal: serde_json::Value = serde_json::from_slice(&text).unwrap();
                journal["registry"] = "another".into();
                fs::write(file, journal.to_string()).unwrap();
            }
            _ => {
                fs::write(journal.join("attempts"), "4\n").unwrap();
                let vars = [("KBHOST_FAULT", "undo.*:invalid")];
                assert_eq!(env.run_with(&vars, ["recover"]).code, 3);
                assert!(!journal.exists());
            }
        }
        if how == "quarantine, no lock" {
            fs::remove_file(env.kb().join(".openkb/ingest.lock")).unwrap();
        }
        assert!(env.kb_text("wiki/sources/a.md").contains("second"));
        let said = env.run(["show", "a"]);
        assert_eq!(said.code, 0, "{how}: {said:?}");
        // Of what is no journal nobody knows what it touched.
        let version = if how == "damaged" { "second" } else { "first" };
        assert!(said.stdout.contains(version), "{how}: {said:?}");
        let place = if how == "undecidable" {
            "journal"
        } else {
            "quarantine"
        };
        let warning = format!("warning: `.openkb/kbhost/{place}/");
        assert!(said.stderr.starts_with(&warning), "{how}: {said:?}");
        assert!(said.stderr.contains("`kbhost recover`"), "{how}: {said:?}");
        let answer = env.run(["show", "a", "--json"]);
        assert_eq!(answer.stderr, "", "{how}");
        let answer = json(&answer);
        assert!(answer["text"].as_str().unwrap().contains(version), "{how}");
        assert_eq!(answer["warnings"].as_array().unwrap().len(), 1, "{how}");
    }
}

/// Makes directories of one letter inside each other, more than a path can name.
fn nest(dir: &Path, levels: usize) {
    use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut here = openat(CWD, dir, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        mkdirat(&here, "d", Mode::RWXU).unwrap();
        here = openat(&here, "d", flags, Mode::empty()).unwrap();
    }
}

/// What a stranger put into a directory that never became a journal goes with it, whatever it is
/// called and however deep it lies; what a link in it leads to stays.
#[test]
fn an_unfinished_change_goes_with_everything_in_it() {
    use std::os::unix::ffi::OsStrExt as _;
    let check = |words: &[&str], fill: &dyn Fn(&Path)| {
        let env = Env::in_memory();
        env.doc("next.md", "# Next\n");
        let left = env.kb().join(".openkb/kbhost/journal/000000000009-aa");
        fs::create_dir_all(&left).unwrap();
        fill(&left);
        let said = env.run(words);
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        assert!(!left.exists(), "{words:?}: {said:?}");
        assert_eq!(staging_entries(&env.kb()), [""; 0]);
    };
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("mine"), "mine").unwrap();
    for words in [
        &["add", "docs/next.md"][..],
        &["recover"],
        &["recover", "--accept", "000000000009-aa"],
    ] {
        let names: [&[u8]; 5] = [b"a\\b", b"\x1b[2J", b"\xff\xfe", b"new\nline", b" . "];
        for name in names {
            let name = std::ffi::OsStr::from_bytes(name);
            check(words, &|left| fs::create_dir(left.join(name)).unwrap());
            check(words, &|left| fs::write(left.join(name), "x").unwrap());
        }
        check(words, &|left| nest(left, 3_000));
        check(words, &|left| {
            for n in 0..3_000 {
                fs::create_dir_all(left.join(format!("{n}/{n}"))).unwrap();
            }
        });
        check(words, &|left| {
            std::os::unix::fs::symlink(outside.path(), left.join("link")).unwrap();
            fs::create_dir(left.join("pre")).unwrap();
            std::os::unix::fs::symlink(outside.path(), left.join("pre/link")).unwrap();
        });
    }
    assert!(outside.path().join("mine").exists());
}

/// Goal: a KB is never blocked for good by what a change left that never began. Method: removing it
/// fails each time; `--accept`, which the command names, moves it where it is in nobody's way.
#[test]
fn an_unfinished_change_that_cannot_be_removed_can_be_accepted() {
    for mode in ["invalid", "error"] {
        let dead = Dead::at("snapshot.render:abort");
        let fault = format!("drain.remove:{mode}:1+");
        let said = dead.failing(&fault, &["add", "docs/next.md"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stderr.contains(&dead.id), "{said:?}");
        assert!(said.stderr.contains("`kbhost recover`"), "{said:?}");
        let said = dead.failing(&fault, &["recover"]);
        assert_eq!(said.code, 3, "{said:?}");
        let accept = format!("`kbhost recover --accept {}`", dead.id);
        assert!(said.stderr.contains(&accept), "{said:?}");
        let said = dead.failing(&fault, &["recover", "--accept", &dead.id]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.stdout.starts_with("accepted  "), "{said:?}");
        assert!(!dead.journal.exists());
        assert_eq!(dead.kept("accepted").len(), 1);
        assert_eq!(tree(&dead.env.kb()), dead.before);
        assert_eq!(dead.add_next().code, 0);
    }
}

/// Whoever looks for what a crash left hears of a damaged registry, and what to run.
#[test]
fn a_damaged_registry_is_no_nothing() {
    let env = Env::in_memory();
    env.doc("a.md", "# A\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let registry = env.kb().join(".openkb/kbhost/registry.db");
    fs::write(&registry, "no database at all, but some bytes").unwrap();
    for words in [&["recover"][..], &["recover", "--dry-run"]] {
        let said = env.run(words);
        assert_eq!(said.code, 3, "{words:?}: {said:?}");
        assert!(
            said.stderr.contains("`kbhost registry rebuild`"),
            "{said:?}"
        );
    }
}
