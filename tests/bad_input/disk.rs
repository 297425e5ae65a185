//! Disks that refuse: mounted read-only, or full.

use std::ffi::OsString;

use super::*;
use crate::support::Mount;

#[test]
fn a_kb_on_a_read_only_disk() {
    let env = Env::new();
    env.doc("a.md", "# A\n\nThe first.\n");
    env.doc("b.md", "# B\n");
    assert_eq!(env.run(["add", "docs/a.md"]).code, 0);
    let Some(mount) = Mount::read_only(&env.kb(), &env.path("frozen"), "read-only KB") else {
        return;
    };
    let before = everything(&env.kb());
    let said = env.run(["--kb-dir", "frozen", "add", "docs/b.md"]);
    assert_said!(
        said,
        code: 1,
        stdout: "",
        stderr: "error: failed to prepare documents in `$ROOT/frozen/.openkb/staging/prepare`\n  \
                 caused by: Read-only file system (os error 30)\n\nhint: the disk is mounted \
                 read-only: `findmnt -T '$ROOT/frozen/.openkb/staging'` shows it\n"
            .replace('\'', ""),
    );
    for words in [
        &["list"][..],
        &["status"],
        &["search", "first"],
        &["show", "a"],
    ] {
        let said = env.finish(env.command(["--kb-dir", "frozen"]).args(words));
        assert_eq!(said.code, 0, "{words:?}: {said:?}");
        assert!(!said.stdout.is_empty(), "{words:?}");
    }
    assert_eq!(everything(&env.kb()), before);
    drop(mount);
}

/// A full disk is nobody's document: the run stops, says how many it did not try, and what is in
/// stays whole. With room again the same command does the rest.
#[test]
fn a_full_disk() {
    for jobs in ["1", "4"] {
        let env = Env::empty();
        let Some(mount) = Mount::tmpfs(&env.kb(), "3m", "full disk") else {
            return;
        };
        assert_eq!(env.run(["init", "kb"]).code, 0);
        for document in 0..12 {
            let text: String = (0..9000)
                .map(|line| format!("word{document}x{line} is a line of its own.\n\n"))
                .collect();
            env.doc(&format!("big{document:02}.md"), format!("# Big\n\n{text}"));
        }
        let said = env.run(["add", "--jobs", jobs, "docs"]);
        assert!(
            said.stderr.contains("hint: make room on the disk"),
            "{said:?}"
        );
        assert!(!said.stdout.contains("failed"), "{said:?}");
        let added = said.stdout.lines().count();
        // How many fit depends on how far the workers are ahead of the first commit.
        assert!(added < 12, "{said:?}");
        let summary = format!("{added} added, {} not tried\n", 12 - added);
        assert!(said.stderr.ends_with(&summary), "{said:?}");
        // Where the disk was full at the very commit, nobody knows yet whether it took hold: the
        // journal stays, and the next command decides.
        let undecided = said.stderr.contains("learn whether the commit succeeded");
        assert_eq!(said.code, if undecided { 3 } else { 1 }, "{said:?}");
        if !undecided {
            assert!(
                said.stderr.contains("caused by: No space left on device"),
                "{said:?}"
            );
            assert_eq!(staging_entries(&env.kb()), [""; 0]);
            consistent(&env, added);
        }

        mount.remount("size=64m");
        let said = env.run(["add", "--jobs", jobs, "docs"]);
        assert_eq!(said.code, 0, "{said:?}");
        let skipped = match added {
            0 => String::new(),
            some => format!(", {some} skipped"),
        };
        assert_eq!(said.stderr, format!("{} added{skipped}\n", 12 - added));
        consistent(&env, 12);
        // The index missed what the disk did not take, and has it again.
        let said = env.run(["search", "--json", "word00x17"]);
        let answer: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(answer["stale"], false, "{said:?}");
        let said = env.run(["search", "word0x17"]);
        assert!(said.stdout.contains("wiki/sources/big00.md"), "{said:?}");
    }
}

/// Registry, originals and pages tell of the same documents.
fn consistent(env: &Env, count: usize) {
    let documents = documents(env);
    // A beginning of the inputs, in their order.
    let expected: Vec<String> = (0..count).map(|n| format!("big{n:02}")).collect();
    assert_eq!(documents, expected);
    let files: Vec<String> = documents.iter().map(|name| format!("{name}.md")).collect();
    assert_eq!(names(&env.kb().join("raw")), files);
    assert_eq!(names(&env.kb().join("wiki/summaries")), files);
    for name in &documents {
        let raw = fs::read(env.kb().join(format!("raw/{name}.md"))).unwrap();
        let page = fs::read(env.kb().join(format!("wiki/sources/{name}.md"))).unwrap();
        assert!(raw == page, "{name}");
    }
}

/// What a scratch directory on a full disk means for `convert`.
#[test]
fn convert_on_a_full_disk() {
    let env = Env::empty();
    let Some(_mount) = Mount::tmpfs(&env.path("small"), "256k", "full disk") else {
        return;
    };
    let text = "A line of its own.\n\n".repeat(9000);
    env.doc("big.md", format!("# Big\n\n{text}"));
    let mut command = env.command(["convert", "docs/big.md"]);
    let said = env.finish(command.env("TMPDIR", env.path("small")));
    assert_eq!((said.code, said.stdout.as_str()), (1, ""), "{said:?}");
    assert!(
        said.stderr.contains("caused by: No space left on device"),
        "{said:?}"
    );
    let left: Vec<OsString> = fs::read_dir(env.path("small"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [""; 0]);
}
