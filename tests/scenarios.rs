//! Situations in which a mutation has to hold: links in the place of our files, other mounts, file
//! systems that cannot link, modes, editors.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Env, Mount, Said, everything, has, skip, staging_entries, tree};

const PAGE: &str = "---\ntags: [storage]\n---\n# A page\n\nThe NASA report says so.\n";

fn page(title: &str) -> String {
    format!("{PAGE}\nThis is {title}.\n")
}

/// A KB with `a`, and `b` and `c` to be added.
fn one() -> Env {
    let env = Env::new();
    for name in ["a", "b", "c"] {
        env.doc(&format!("{name}.md"), page(name));
    }
    let said = env.run(["add", "docs/a.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    env
}

fn ok(said: &Said) {
    assert_eq!(said.code, 0, "{said:?}");
}

/// What a command makes of a link in the place of one of the KB's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linked {
    /// It would have to write through it: an error that says why.
    Refused,
    /// It has no business there.
    Ignored,
    /// It does without, and tells.
    Warned,
}

/// The commands that change a KB: the columns of [`LINKED`].
const CHANGES: [&[&str]; 4] = [
    &["add", "docs/b.md"],
    &["remove", "--yes", "a"],
    &["recover"],
    &["registry", "export"],
];

/// What each of [`CHANGES`] makes of a link in a place.
const LINKED: [(&str, [Linked; 4]); 9] = {
    use Linked::{Ignored, Refused, Warned};
    [
        ("raw", [Refused, Refused, Ignored, Ignored]),
        ("wiki", [Refused, Refused, Ignored, Ignored]),
        (".openkb", [Refused; 4]),
        // Only preparations lie there: the others tell that they cannot sweep it.
        (".openkb/staging", [Refused, Warned, Warned, Warned]),
        (".openkb/kbhost/journal", [Refused; 4]),
        (".openkb/ingest.lock", [Refused; 4]),
        (".openkb/gate.lock", [Refused; 4]),
        (".openkb/kbhost/registry.db", [Refused; 4]),
        ("wiki/log.md", [Warned, Warned, Ignored, Ignored]),
    ]
};

/// Goal: a stranger's KB cannot lead a command out of it. Method: each of the KB's own places is a
/// symbolic link to something of the user's; commands that would write through it refuse, and what
/// the link leads to stays as it is.
#[test]
fn a_link_in_the_place_of_ours_is_refused() {
    let mut wrong = Vec::new();
    for (place, expected) in LINKED {
        for (words, expected) in CHANGES.into_iter().zip(expected) {
            let (env, outside) = linked(place);
            let before = everything(&outside);
            let said = env.run(words);
            let tells = said.stderr.contains("link")
                || said.stderr.contains("find a knowledge base")
                || said.stderr.contains("cannot be decided");
            let found = match (said.code, tells) {
                (0, true) => Some(Linked::Warned),
                (0, false) => Some(Linked::Ignored),
                (_, true) => Some(Linked::Refused),
                (_, false) => None,
            };
            if found != Some(expected) {
                wrong.push(format!(
                    "{place} {words:?}: {found:?}, not {expected:?}: {said:?}"
                ));
            }
            assert_eq!(everything(&outside), before, "{place} {words:?}");
        }
        let (env, outside) = linked(place);
        let before = everything(&outside);
        for words in [&["list"][..], &["status"], &["doctor"], &["lock"]] {
            env.run(words);
            assert_eq!(everything(&outside), before, "{place} {words:?}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    covered!(
        "links in the place of ours: {} places by {} commands",
        LINKED.len(),
        CHANGES.len()
    );
}

/// A KB in which one place is a link to something outside, and the directory in which that lies.
fn linked(place: &str) -> (Env, PathBuf) {
    let env = one();
    let outside = env.path("outside");
    fs::create_dir(&outside).unwrap();
    let (at, target) = (env.kb().join(place), outside.join("target"));
    fs::rename(&at, &target).unwrap();
    symlink(&target, &at).unwrap();
    (env, outside)
}

/// Binds a directory of the same file system onto a place in the KB: renames and links into it give
/// EXDEV, as from another disk.
fn bound(env: &Env, place: &str, rig: &str) -> Option<Mount> {
    let beside = env.path("other-disk");
    fs::create_dir_all(&beside).unwrap();
    let at = env.kb().join(place);
    fs::create_dir_all(&at).unwrap();
    Mount::bind(&beside, &at, rig)
}

#[test]
fn staging_may_lie_on_another_mount() {
    let env = one();
    env.doc("img/x.png", b"\x89PNG\r\n\x1a\n image");
    env.doc("b.md", format!("{PAGE}![x](img/x.png)\n"));
    let Some(mount) = bound(&env, ".openkb/staging", "staging on another mount") else {
        return;
    };
    ok(&env.run(["add", "docs/b.md", "docs/c.md"]));
    env.doc("c.md", page("c, changed"));
    ok(&env.run(["add", "docs/c.md"]));
    ok(&env.run(["remove", "--yes", "a"]));
    ok(&env.run(["doctor"]));
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
    assert!(env.kb().join("wiki/sources/images/b").exists());
    drop(mount);
}

/// Goal: pre-images are copied where the file system refuses hard links. Method: the kernel's refusal
/// is injected; the rig counts that it was asked at all.
#[test]
fn a_file_system_without_hard_links_will_do() {
    let rig = "hard links refused";
    if !has("strace") {
        return skip(rig, "strace is not installed");
    }
    let env = one();
    // Larger pages are linked, smaller ones copied anyway.
    let large = format!("{}{}", page("large"), "x ".repeat(1 << 20));
    env.doc("a.md", &large);
    ok(&env.run(["add", "docs/a.md"]));
    env.doc("a.md", large.replace("x x", "y y"));
    for error in ["EPERM", "EOPNOTSUPP", "EMLINK"] {
        env.doc("a.md", format!("{large}\n{error}\n"));
        let log = env.path("strace");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=linkat", "-e"])
            .arg(format!("inject=linkat:error={error}"))
            .arg("-o")
            .arg(&log)
            .arg(env!("CARGO_BIN_EXE_kbhost"))
            .args(["add", "docs/a.md"]);
        env.hermetic(&mut command);
        let said = env.finish(&mut command);
        ok(&said);
        assert!(said.stdout.starts_with("updated "), "{said:?}");
        let refused = fs::read_to_string(&log).unwrap();
        assert!(refused.contains("INJECTED"), "{error}: nothing was linked");
        ok(&env.run(["doctor"]));
    }
}

/// Runs a command under a umask.
fn with_umask(env: &Env, umask: &str, words: &[&str]) -> Said {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("umask {umask}; exec \"$0\" \"$@\"")])
        .arg(env!("CARGO_BIN_EXE_kbhost"))
        .args(words);
    env.hermetic(&mut command);
    env.finish(&mut command)
}

#[test]
fn modes_follow_the_umask_or_the_file_that_is_replaced() {
    let mode = |env: &Env, path: &str| {
        env.kb().join(path).metadata().unwrap().permissions().mode() & 0o7777
    };
    for (umask, expected) in [("022", 0o644), ("077", 0o600), ("027", 0o640)] {
        let env = one();
        ok(&with_umask(&env, umask, &["add", "docs/b.md"]));
        for path in ["raw/b.md", "wiki/sources/b.md", "wiki/summaries/b.md"] {
            assert_eq!(mode(&env, path), expected, "{umask} {path}");
        }
        // A page that is there keeps its mode, whoever writes it.
        let index = env.kb().join("wiki/index.md");
        fs::set_permissions(&index, fs::Permissions::from_mode(0o640)).unwrap();
        let source = env.kb().join("wiki/sources/b.md");
        fs::set_permissions(&source, fs::Permissions::from_mode(0o640)).unwrap();
        env.doc("b.md", page("b, changed"));
        ok(&with_umask(&env, umask, &["add", "docs/b.md"]));
        assert_eq!(mode(&env, "wiki/index.md"), 0o640, "{umask}");
        assert_eq!(mode(&env, "wiki/sources/b.md"), 0o640, "{umask}");
    }
}

#[cfg(feature = "fault-points")]
mod with_faults {
    use super::*;

    const KILL: [(&str, &str); 1] = [("KBHOST_FAULT", "registry.after:abort")];

    fn kept(env: &Env) -> Vec<PathBuf> {
        fn files(dir: &Path, found: &mut Vec<PathBuf>) {
            for entry in fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    files(&path, found);
                } else {
                    found.push(path);
                }
            }
        }
        let mut found = Vec::new();
        files(&env.kb().join(".openkb/kbhost/conflicts"), &mut found);
        found
    }

    /// Somebody edits pages between a crash and the recovery: two that the dead command had
    /// written, and one that it had made.
    #[test]
    fn an_edit_between_crash_and_recovery_is_kept() {
        let env = one();
        let index = env.kb_text("wiki/index.md");
        assert_eq!(env.run_with(&KILL, ["add", "docs/b.md"]).code, -1);
        let append = |path: &str, line: &str| {
            let text = env.kb_text(path) + line;
            fs::write(env.kb().join(path), text).unwrap();
        };
        append("wiki/index.md", "\nA remark on the index.\n");
        append("wiki/summaries/b.md", "\nA remark on b.\n");
        append("wiki/summaries/a.md", "\nA remark on a.\n");
        ok(&env.run(["add", "docs/c.md"]));
        let texts: Vec<String> = kept(&env)
            .iter()
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        // The summary of a had got a link back to what it shares with b.
        for remark in ["A remark on the index.", "A remark on b.", "A remark on a."] {
            assert!(texts.iter().any(|text| text.contains(remark)), "{remark}");
        }
        assert!(!env.kb().join("wiki/summaries/b.md").exists());
        assert!(!env.kb_text("wiki/index.md").contains("summaries/b"));
        assert!(
            index
                .lines()
                .all(|line| env.kb_text("wiki/index.md").contains(line))
        );
    }

    /// An editor that writes in place while a mutation is under way: seen before the page is
    /// replaced, and planned again.
    #[test]
    fn an_edit_in_place_during_a_mutation_is_seen() {
        let env = one();
        let index = env.kb().join("wiki/index.md");
        let vars = [("KBHOST_FAULT", "snapshot.after:delay-1500")];
        let mut command = env.command(["add", "docs/b.md"]);
        let child = env.spawn(command.envs(vars));
        let journals = env.kb().join(".openkb/kbhost/journal");
        crate::support::wait::until("the journal", || {
            fs::read_dir(&journals).is_ok_and(|mut dirs| {
                dirs.any(|dir| dir.unwrap().path().join("journal.json").exists())
            })
        });
        let edited = fs::read_to_string(&index).unwrap() + "\nWritten in place.\n";
        fs::write(&index, &edited).unwrap();
        let said = env.wait(child);
        ok(&said);
        let text = env.kb_text("wiki/index.md");
        assert!(text.contains("Written in place."), "{text}");
        assert!(text.contains("[[summaries/b]]"), "{text}");
        ok(&env.run(["doctor"]));
    }

    /// Two KBs at once: what happens to one is none of the other's business.
    #[test]
    fn a_dead_kb_does_not_stop_another() {
        let env = one();
        assert_eq!(env.run_with(&KILL, ["add", "docs/b.md"]).code, -1);
        let dead = tree(&env.kb());
        ok(&env.run(["init", "second"]));
        ok(&env.run(["add", "docs/b.md", "--kb-dir", "second"]));
        assert_eq!(tree(&env.kb()), dead);
        ok(&env.run(["add", "docs/b.md"]));
    }
}
