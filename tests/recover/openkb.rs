//! What OpenKB left unfinished: its journals are settled by its own rules, inside this KB only.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::all_of;
use crate::support::{Env, Said, everything, tree};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// A KB in which OpenKB died in the middle of adding `new.md`.
struct OpenKb {
    env: Env,
    kb: PathBuf,
    /// The official tree and `hashes.json` before.
    before: (std::collections::BTreeMap<String, String>, String),
}

impl OpenKb {
    /// `kb_dir` is what OpenKB took the KB's path for.
    fn dead(kb_dir: Option<&str>) -> Self {
        let env = Env::in_memory();
        env.doc("a.md", "---\ntags: [storage]\n---\n# A\n");
        env.doc("next.md", "# Next\n");
        assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
        let kb = env.kb();
        let write = |path: &str, text: &str| fs::write(kb.join(path), text).unwrap();
        write("wiki/concepts/old.md", "# Old\n");
        let hashes = fs::read_to_string(kb.join(".openkb/hashes.json")).unwrap();
        let before = (tree(&kb), hashes);
        let canonical = kb.canonicalize().unwrap();
        let kb_dir = kb_dir.map_or(canonical.to_str().unwrap().to_owned(), str::to_owned);

        let staging = format!(".openkb/staging/rollback-{ID}");
        let back_up = |path: &str| {
            let to = kb.join(&staging).join(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            if kb.join(path).is_dir() {
                // OpenKB links whole folders.
                fs::create_dir(&to).unwrap();
                for entry in fs::read_dir(kb.join(path)).unwrap() {
                    let entry = entry.unwrap();
                    fs::hard_link(entry.path(), to.join(entry.file_name())).unwrap();
                }
            } else {
                fs::copy(kb.join(path), to).unwrap();
            }
        };
        let entry = |path: &str, has_backup: bool| {
            let backup = has_backup.then(|| format!("{kb_dir}/{staging}/{path}"));
            json!({ "target": format!("{kb_dir}/{path}"), "backup": backup })
        };
        let kept = [".openkb/hashes.json", "wiki/index.md", "wiki/concepts"];
        let made = [
            "raw/new.md",
            "wiki/sources/new.md",
            "wiki/sources/images/new",
            "wiki/summaries/new.md",
            ".openkb/pageindex.db",
            ".openkb/files/default/0123.pdf",
        ];
        kept.iter().for_each(|path| back_up(path));
        let entries = kept.iter().map(|path| entry(path, true));
        let entries: Vec<Value> = entries
            .chain(made.iter().map(|path| entry(path, false)))
            .collect();
        let journal = json!({
            "version": 1, "operation": "add", "status": "active", "kb_dir": kb_dir,
            "backup_dir": format!("{kb_dir}/{staging}"), "details": { "name": "new.md" },
            "attempts": 0, "entries": entries,
        });
        let this = Self { env, kb, before };
        this.write_journal(&journal);

        // What OpenKB had done so far.
        fs::create_dir_all(this.kb.join("wiki/sources/images/new/deep")).unwrap();
        fs::create_dir_all(this.kb.join(".openkb/files/default")).unwrap();
        let write = |path: &str, text: &str| fs::write(this.kb.join(path), text).unwrap();
        for path in [
            "raw/new.md",
            "wiki/sources/new.md",
            "wiki/sources/images/new/deep/1.png",
        ] {
            write(path, "new");
        }
        write(".openkb/files/default/0123.pdf", "%PDF");
        write("wiki/concepts/fresh.md", "# Fresh\n");
        fs::remove_file(this.kb.join("wiki/concepts/old.md")).unwrap();
        write("wiki/concepts/old.md", "# Old, with new\n");
        write("wiki/index.md", "half");
        this.register(&["new"]);
        this
    }

    /// What `hashes.json` is once OpenKB has also registered these.
    fn register(&self, names: &[&str]) -> String {
        let mut entries: serde_json::Map<String, Value> =
            serde_json::from_str(&self.before.1).unwrap();
        for (index, name) in names.iter().enumerate() {
            let entry = json!({ "name": format!("{name}.md"), "doc_name": name, "type": "md" });
            entries.insert(format!("{index:064x}"), entry);
        }
        let text = format!("{}\n", serde_json::to_string_pretty(&entries).unwrap());
        fs::write(self.kb.join(".openkb/hashes.json"), &text).unwrap();
        text
    }

    fn journal(&self) -> PathBuf {
        self.kb.join(format!(".openkb/journal/{ID}.json"))
    }

    fn write_journal(&self, journal: &Value) {
        fs::create_dir_all(self.kb.join(".openkb/journal")).unwrap();
        fs::write(self.journal(), serde_json::to_vec(journal).unwrap()).unwrap();
    }

    fn edit_journal(&self, edit: impl FnOnce(&mut Value)) {
        let mut journal = serde_json::from_slice(&fs::read(self.journal()).unwrap()).unwrap();
        edit(&mut journal);
        self.write_journal(&journal);
    }

    fn run(&self, words: &[&str]) -> Said {
        self.env
            .run_with(&[("KBHOST_KB", self.kb.to_str().unwrap())], words)
    }

    fn is_rolled_back(&self) {
        assert_eq!(tree(&self.kb), self.before.0);
        let hashes = fs::read_to_string(self.kb.join(".openkb/hashes.json")).unwrap();
        assert_eq!(hashes, self.before.1);
        assert!(!self.kb.join(".openkb/files/default/0123.pdf").exists());
        assert!(!self.journal().exists());
        assert!(
            !self
                .kb
                .join(format!(".openkb/staging/rollback-{ID}"))
                .exists()
        );
    }
}

/// Contents of what was kept aside.
fn kept(kb: &Path) -> Vec<String> {
    let dir = kb.join(format!(".openkb/kbhost/conflicts/openkb-{ID}"));
    let entries = fs::read_dir(dir).unwrap();
    let mut kept: Vec<String> = entries
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    kept.sort();
    kept
}

#[test]
fn an_unfinished_change_of_openkb_is_rolled_back() {
    let openkb = OpenKb::dead(None);
    let registered = openkb.register(&["new"]);
    let crashed = everything(&openkb.kb);
    let said = openkb.run(&["add", "docs/next.md"]);
    assert_eq!(said.code, 3, "{said:?}");
    assert!(said.stderr.contains("`kbhost recover`"), "{said:?}");
    let said = openkb.run(&["recover", "--dry-run"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.stdout
            .starts_with(&format!("would be undone  {ID} (OpenKB's add, 9 paths)"))
    );
    let mut now = everything(&openkb.kb);
    now.retain(|path, _| crashed.contains_key(path) && !path.ends_with("holder.json"));
    let mut then = crashed.clone();
    then.remove("/.openkb/kbhost/holder.json");
    assert_eq!(now, then);

    let said = openkb.run(&["recover"]);
    assert_eq!(said.code, 0, "{said:?}");
    openkb.is_rolled_back();
    // No byte is lost: neither what OpenKB wrote nor what somebody may have put there since.
    let expected = [
        "# Fresh\n",
        "# Old, with new\n",
        "%PDF",
        "half",
        "new",
        "new",
        "new",
        &registered,
    ];
    assert_eq!(kept(&openkb.kb), expected);
    assert_eq!(
        said.stderr.matches("is kept as").count(),
        expected.len(),
        "{said:?}"
    );
    let once = all_of(&openkb.kb);
    assert_eq!(openkb.run(&["recover"]).code, 0);
    assert_eq!(all_of(&openkb.kb), once);
    assert_eq!(openkb.run(&["add", "docs/next.md"]).code, 0);
}

/// F1 of OpenKB: it commits on top of a change that it could not roll back; what rolls that back
/// later takes the newer ones along. Method: nothing is touched where the journal or the registry
/// leaves room for a newer change, and both ways are offered and work.
#[test]
fn f1_a_change_of_openkb_that_may_lie_beneath_newer_ones_waits_for_a_person() {
    let newer = |openkb: &OpenKb| {
        fs::write(openkb.kb.join("raw/c.md"), "# C\n").unwrap();
        openkb.register(&["new", "c"]);
    };
    let mut cases = 0;
    let mut check = |spoil: &dyn Fn(&OpenKb), reason: &str| {
        for way in ["--undo", "--accept"] {
            let openkb = OpenKb::dead(None);
            spoil(&openkb);
            let crashed = all_of(&openkb.kb);
            for words in [&["recover", "--dry-run"][..], &["recover"]] {
                let said = openkb.run(words);
                assert_eq!(said.code, 3, "{said:?}");
                let line = format!("undecidable  {ID} (OpenKB's add, 9 paths): ");
                assert!(said.stdout.contains(&line), "{said:?}");
                assert!(said.stdout.contains(reason), "{reason}: {said:?}");
                for way in ["--undo", "--accept"] {
                    let command = format!("`kbhost recover {way} {ID}`");
                    assert!(said.stderr.contains(&command), "{said:?}");
                }
            }
            assert!(openkb.run(&["doctor"]).stdout.contains(ID));
            let mut now = all_of(&openkb.kb);
            now.retain(|path, _| crashed.contains_key(path));
            assert_eq!(now, crashed, "{reason}");
            let said = openkb.run(&["recover", way, ID]);
            if way == "--undo" {
                assert!(said.stdout.contains("undone  "), "{said:?}");
                let index = |tree: &std::collections::BTreeMap<String, String>| {
                    tree.get("wiki/index.md").unwrap().clone()
                };
                assert_eq!(
                    index(&tree(&openkb.kb)),
                    index(&openkb.before.0),
                    "{reason}"
                );
            } else {
                assert!(said.stdout.contains("accepted  "), "{said:?}");
                assert_eq!(
                    fs::read_to_string(openkb.kb.join("wiki/index.md")).unwrap(),
                    "half"
                );
            }
            assert!(!openkb.journal().exists(), "{reason}: {said:?}");
            cases += 1;
        }
    };
    check(
        &|openkb| openkb.edit_journal(|journal| journal["attempts"] = json!(1)),
        "failed to roll it back",
    );
    check(&newer, "more than one document");
    check(
        &|openkb| {
            newer(openkb);
            openkb.edit_journal(|journal| journal["attempts"] = json!(1));
        },
        "failed to roll it back",
    );
    // An entry that is gone was taken out by something else than this change.
    check(
        &|openkb| fs::write(openkb.kb.join(".openkb/hashes.json"), "{}").unwrap(),
        "more than one document",
    );
    check(
        &|openkb| fs::write(openkb.kb.join(".openkb/hashes.json"), "{").unwrap(),
        "cannot be compared",
    );
    check(
        &|openkb| {
            openkb.edit_journal(|journal| {
                journal["entries"].as_array_mut().unwrap().remove(0);
                let entry = json!({ "target": openkb.kb.join("raw/x"), "backup": null });
                journal["entries"].as_array_mut().unwrap().push(entry);
            });
        },
        "does not tell what",
    );
    // The other one was written last: that tells nothing.
    check(
        &|openkb| {
            let text = fs::read(openkb.journal()).unwrap();
            fs::write(openkb.kb.join(".openkb/journal/ffff.json"), text).unwrap();
        },
        "OpenKB left several",
    );
    covered!("doubtful journals of OpenKB: {cases}");
    assert_eq!(cases, 14);
}

/// Accepting a change does not undo an older one beneath the pages that were just accepted.
#[test]
fn nothing_is_undone_beneath_what_is_accepted() {
    let openkb = OpenKb::dead(None);
    let foreign = openkb.env.path("journal.json");
    fs::rename(openkb.journal(), &foreign).unwrap();
    fs::write(openkb.kb.join(".openkb/hashes.json"), &openkb.before.1).unwrap();
    fs::write(openkb.kb.join("wiki/index.md"), "# Index\n").unwrap();
    let vars = [("KBHOST_FAULT", "registry.after:abort")];
    let said = openkb.env.run_with(&vars, ["add", "docs/next.md"]);
    assert_eq!(said.code, -1, "{said:?}");
    let ours = fs::read_dir(openkb.kb.join(".openkb/kbhost/journal")).unwrap();
    let ours = ours.last().unwrap().unwrap().file_name();
    let ours = ours.to_str().unwrap();
    fs::rename(&foreign, openkb.journal()).unwrap();
    fs::write(openkb.kb.join("wiki/index.md"), "as I want it\n").unwrap();
    let crashed = all_of(&openkb.kb);
    for words in [
        &["recover", "--accept", ID][..],
        &["recover", "--accept", ID, "--dry-run"],
    ] {
        let said = openkb.run(words);
        assert_eq!((said.code, said.stdout.as_str()), (3, ""), "{said:?}");
        let command = format!("`kbhost recover --accept {ours}`");
        assert!(said.stderr.contains(&command), "{said:?}");
        assert_eq!(all_of(&openkb.kb), crashed);
    }
    // Both can be accepted one after the other once the newer one waits for a person, too.
    openkb.edit_journal(|journal| journal["attempts"] = json!(1));
    assert_eq!(openkb.run(&["recover", "--accept", ours]).code, 3);
    assert_eq!(openkb.run(&["recover", "--accept", ID]).code, 0);
    let index = fs::read_to_string(openkb.kb.join("wiki/index.md")).unwrap();
    assert_eq!(index, "as I want it\n");
}

/// F3 of OpenKB: a KB that was moved after the crash cannot be rolled back. Here the part of each
/// path beneath the journal's own `kb_dir` is taken beneath this KB, wherever it lies.
#[test]
fn f3_a_kb_that_moved_is_rolled_back_where_it_is() {
    for (kb_dir, is_bare) in [(None, false), (Some("/mnt/gone/kb"), true)] {
        let mut openkb = OpenKb::dead(kb_dir);
        if is_bare {
            // A KB that only OpenKB has changed so far.
            fs::remove_dir_all(openkb.kb.join(".openkb/kbhost")).unwrap();
        }
        let moved = openkb.env.path("moved");
        fs::rename(&openkb.kb, &moved).unwrap();
        openkb.kb = moved;
        let said = openkb.run(&["recover"]);
        assert_eq!(said.code, 0, "{said:?}");
        openkb.is_rolled_back();
    }
}

/// F2 of OpenKB: a planted journal makes the next command delete a directory anywhere. Method: one
/// path at a time leads out, or where no change of OpenKB writes; nothing is touched.
#[test]
fn f2_a_journal_that_leads_out_of_the_kb_is_refused() {
    let outside = |openkb: &OpenKb| openkb.env.path("precious");
    let mut cases = 0;
    let mut check = |edit: &dyn Fn(&OpenKb, &mut Value)| {
        cases += 1;
        let openkb = OpenKb::dead(None);
        fs::create_dir(outside(&openkb)).unwrap();
        fs::write(outside(&openkb).join("file"), "mine").unwrap();
        openkb.edit_journal(|journal| edit(&openkb, journal));
        let crashed = all_of(&openkb.kb);
        for words in [
            &["recover"][..],
            &["recover", "--dry-run"],
            &["add", "docs/next.md"],
        ] {
            let said = openkb.run(words);
            assert_eq!(said.code, 3, "{cases} {words:?}: {said:?}");
            if words[0] == "recover" {
                assert!(said.stdout.starts_with("refused  "), "{cases}: {said:?}");
            }
        }
        let mut now = all_of(&openkb.kb);
        now.retain(|path, _| crashed.contains_key(path));
        assert_eq!(now, crashed, "{cases}");
        assert_eq!(openkb.run(&["recover", "--undo", ID]).code, 3, "{cases}");
        assert_eq!(
            fs::read_to_string(outside(&openkb).join("file")).unwrap(),
            "mine"
        );
        let said = openkb.run(&["recover", "--accept", &ID[..8]]);
        assert_eq!(said.code, 0, "{cases}: {said:?}");
        assert_eq!(
            fs::read_to_string(outside(&openkb).join("file")).unwrap(),
            "mine"
        );
        let accepted = fs::read_dir(openkb.kb.join(".openkb/kbhost/accepted")).unwrap();
        assert_eq!(accepted.count(), 1, "{cases}");
    };
    let target = |path: &'static str| {
        move |openkb: &OpenKb, journal: &mut Value| {
            let path = path.replace("$KB", openkb.kb.canonicalize().unwrap().to_str().unwrap());
            let path = path.replace("$OUT", openkb.env.path("precious").to_str().unwrap());
            let entry = json!({ "target": path, "backup": null });
            journal["entries"].as_array_mut().unwrap().push(entry);
        }
    };
    check(&target("$OUT"));
    check(&target("$KB/../precious"));
    check(&target("$KB"));
    check(&target("$KB/wiki"));
    check(&target("$KB/.openkb/config.yaml"));
    check(&target("$KB/.openkb/kbhost/registry.db"));
    check(&target("raw/a.md"));
    check(&|openkb, journal| {
        journal["backup_dir"] = json!(openkb.env.path("precious"));
    });
    check(&|openkb, journal| {
        journal["entries"][0]["backup"] = json!(openkb.env.path("precious/file"));
    });
    // Mapping a moved KB does not open a way out: the part beneath `kb_dir` is one of this KB.
    check(&|openkb, journal| {
        journal["kb_dir"] = json!("/");
        let target = json!({ "target": openkb.env.path("precious"), "backup": null });
        journal["entries"].as_array_mut().unwrap().push(target);
    });
    covered!("planted journals refused: {cases}");
    assert_eq!(cases, 10);
}

/// A link on the way, a folder in the way, a copy that is missing: refused before anything is
/// touched, and settled once that is repaired.
#[test]
fn what_is_in_the_way_is_told_before_anything_is_touched() {
    let check = |spoil: &dyn Fn(&OpenKb), repair: &dyn Fn(&OpenKb)| {
        let openkb = OpenKb::dead(None);
        spoil(&openkb);
        let crashed = all_of(&openkb.kb);
        let said = openkb.run(&["recover"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stdout.starts_with("not undone  "), "{said:?}");
        assert!(said.stderr.contains(&format!("--accept {ID}")), "{said:?}");
        assert_eq!(all_of(&openkb.kb), crashed);
        repair(&openkb);
        assert_eq!(openkb.run(&["recover"]).code, 0);
        openkb.is_rolled_back();
    };
    let backup = format!(".openkb/staging/rollback-{ID}/wiki/index.md");
    check(
        &|openkb| fs::rename(openkb.kb.join(&backup), openkb.env.path("copy")).unwrap(),
        &|openkb| fs::rename(openkb.env.path("copy"), openkb.kb.join(&backup)).unwrap(),
    );
    check(
        &|openkb| {
            let concepts = openkb.kb.join("wiki/concepts");
            fs::rename(&concepts, openkb.env.path("concepts")).unwrap();
            std::os::unix::fs::symlink(openkb.env.path("concepts"), concepts).unwrap();
        },
        &|openkb| {
            let concepts = openkb.kb.join("wiki/concepts");
            fs::remove_file(&concepts).unwrap();
            fs::rename(openkb.env.path("concepts"), concepts).unwrap();
        },
    );
    check(
        &|openkb| {
            fs::remove_file(openkb.kb.join("raw/new.md")).unwrap();
            fs::create_dir_all(openkb.kb.join("raw/new.md/deep")).unwrap();
        },
        &|openkb| fs::remove_dir_all(openkb.kb.join("raw/new.md")).unwrap(),
    );
}

#[test]
fn a_rollback_that_is_cut_off_goes_on() {
    let points = [
        "foreign.clear",
        "foreign.copy",
        "foreign.rename",
        "foreign.delete",
        "foreign.rmdir",
        "foreign.sync",
        "foreign.unlink",
        "foreign.unlink-sync",
        "conflict.copy",
        "conflict.rename",
    ];
    let mut cases = 0;
    for point in points {
        for mode in ["abort", "enospc", "invalid"] {
            let openkb = OpenKb::dead(None);
            let fault = format!("{point}:{mode}");
            let said = openkb
                .env
                .run_with(&[("KBHOST_FAULT", &fault)], ["recover"]);
            assert!(matches!(said.code, -1 | 3), "{fault}: {said:?}");
            assert_eq!(openkb.run(&["recover"]).code, 0, "{fault}");
            // Cut off behind the journal's end, the copies stay: they are in nobody's way.
            if point != "foreign.unlink-sync" {
                openkb.is_rolled_back();
            }
            assert_eq!(tree(&openkb.kb), openkb.before.0, "{fault}");
            cases += 1;
        }
    }
    covered!("rollbacks of OpenKB's cut off: {cases}");
    assert_eq!(cases, 30);
}

#[test]
fn what_is_no_journal_of_openkb_can_be_accepted() {
    for text in [
        "",
        "{",
        r#"{"version":2,"status":"active"}"#,
        r#"{"version":1,"status":"odd"}"#,
    ] {
        let openkb = OpenKb::dead(None);
        fs::write(openkb.journal(), text).unwrap();
        let crashed = tree(&openkb.kb);
        assert_eq!(openkb.run(&["add", "docs/next.md"]).code, 3);
        let said = openkb.run(&["recover"]);
        assert_eq!(said.code, 3, "{said:?}");
        assert!(said.stdout.starts_with("malformed  "), "{said:?}");
        let said = openkb.run(&["recover", "--accept", ID]);
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(tree(&openkb.kb), crashed);
        let mut accepted = fs::read_dir(openkb.kb.join(".openkb/kbhost/accepted")).unwrap();
        let accepted = accepted.next().unwrap().unwrap().path();
        assert_eq!(fs::read_to_string(accepted).unwrap(), text);
    }
    for status in ["committed", "rolled_back"] {
        let openkb = OpenKb::dead(None);
        openkb.edit_journal(|journal| journal["status"] = json!(status));
        let said = openkb.run(&["recover"]);
        assert!(said.stdout.starts_with("Nothing to recover"), "{said:?}");
    }
}
