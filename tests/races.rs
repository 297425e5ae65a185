//! Who waits for whom: prepare needs no lock and changes nothing official; commit meets other
//! processes; a worker that dies takes nothing with it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::wait::{hold_lock, ready, until};
use crate::support::{Env, Said, corpus, skip, staging_entries, strace, tree};

/// Writes `count` small documents.
fn notes(env: &Env, count: usize) {
    for n in 0..count {
        env.doc(
            &format!("note-{n:02}.md"),
            format!("---\ntags: [shared]\n---\n# Note {n}\n\nThe write-ahead log (WAL) of {n}.\n"),
        );
    }
}

/// The lines of `added`, `skipped` and so on.
fn count(said: &Said, status: &str) -> usize {
    let lines = said.stdout.lines();
    lines.filter(|line| line.starts_with(status)).count()
}

#[test]
fn prepare_finishes_while_another_process_holds_the_lock_and_nothing_is_committed() {
    let env = Env::new();
    notes(&env, 60);
    let before = (tree(&env.kb()), env.logical_registry());
    let lock = hold_lock(&env);
    let mut child = env.spawn(&mut env.command(["add", "--jobs", "2", "docs"]));
    until("60 preparations", || {
        assert_eq!(child.try_wait().unwrap(), None, "it ended without the lock");
        ready(&env.kb()) == 60
    });
    assert_eq!(before, (tree(&env.kb()), env.logical_registry()));
    drop(lock);
    let said = env.wait(child);
    assert_eq!((said.code, count(&said, "added ")), (0, 60), "{said:?}");
    assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
    assert_ne!(before.0, tree(&env.kb()));
}

#[test]
fn commands_at_the_same_time_add_each_document_once() {
    let env = Env::new();
    notes(&env, 20);
    let start = || env.spawn(&mut env.command(["add", "--jobs", "2", "docs"]));
    let children = [start(), start(), start()];
    let said = children.map(|child| env.wait(child));
    for said in &said {
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(
            count(said, "added ") + count(said, "skipped "),
            20,
            "{said:?}"
        );
    }
    let added: usize = said.iter().map(|said| count(said, "added ")).sum();
    assert_eq!(added, 20, "{said:?}");
    assert_eq!(fs::read_dir(env.kb().join("raw")).unwrap().count(), 20);
    assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
}

#[test]
fn a_lock_that_is_not_free_in_time_is_exit_75_and_leaves_nothing() {
    let env = Env::new();
    notes(&env, 4);
    // A copy of one that is not in is not in either.
    env.doc(
        "note-02b.md",
        fs::read(env.path("docs/note-02.md")).unwrap(),
    );
    let before = (tree(&env.kb()), env.logical_registry());
    let lock = hold_lock(&env);
    let program = std::env::current_exe().unwrap();
    let named = format!(
        "`{}` (process {}) has it",
        program.file_name().unwrap().display(),
        std::process::id()
    );
    let check = |flags: &[&str], waited: &str| {
        let started = Instant::now();
        let said = env.run(["add", "--jobs", "2", "docs"].iter().chain(flags));
        let at_least = Duration::from_secs(u64::from(!waited.is_empty()));
        assert!(started.elapsed() >= at_least, "{said:?}");
        assert_eq!((said.code, said.stdout.as_str()), (75, ""), "{said:?}");
        // The wait of a second was told before.
        let error = said.stderr.find("error:").unwrap();
        assert_eq!(
            said.stderr[error..],
            format!(
                "error: failed to lock the knowledge base `$ROOT/kb`: not free{waited}; {named}\n\n\
                 hint: wait until the other command is done and run this one again, or wait longer \
                 with `--lock-timeout SECONDS`; `kbhost lock` tells more of it\n0 added, 5 not tried\n"
            ),
        );
        assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
        assert_eq!(before, (tree(&env.kb()), env.logical_registry()));
    };
    check(&["--no-wait"], "");
    check(&["--lock-timeout", "1"], " after 1s");
    drop(lock);
    assert_eq!(env.run(["add", "--no-wait", "docs"]).code, 0);
}

#[test]
fn only_the_committer_touches_the_lock_and_the_official_tree() {
    let probe = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        skip("who touches the lock", "strace is missing or may not trace");
        return;
    }
    let env = Env::new();
    let files = corpus::mixed(&env);
    // The registry exists when the workers ask it.
    assert_eq!(env.run(["add".as_ref(), files[0].as_os_str()]).code, 0);
    let trace = env.path("trace");
    let mut command = Command::new("strace");
    env.hermetic(&mut command);
    command
        .args(["-f", "-y", "-o"])
        .arg(&trace)
        .arg("-e")
        .arg(format!("trace={}", strace::CALLS))
        .arg(env!("CARGO_BIN_EXE_kbhost"))
        .args(["add", "--jobs", "4"])
        .args(&files);
    let said = env.finish(&mut command);
    assert!(count(&said, "added ") > 40, "{said:?}");
    let trace = fs::read_to_string(trace).unwrap();
    let kb = env.kb().canonicalize().unwrap();
    let uses = strace::parse(&trace);
    let main = uses[0].tid;
    assert_eq!(strace::trespasses(&uses, main, &kb), []);

    // The rig sees what it looks for: the committer at the lock and in the tree, the workers at work.
    let staging = kb.join(".openkb/staging/prepare");
    let lock = kb.join(".openkb/ingest.lock");
    let committer = |call: &str, path: &Path| {
        let mut of_main = uses.iter().filter(|used| used.tid == main);
        of_main.any(|used| used.call == call && used.path.starts_with(path))
    };
    assert!(committer("flock", &lock), "nobody took the lock");
    for top in ["raw", "wiki"] {
        let moved = ["renameat", "renameat2", "rename"];
        assert!(
            moved.iter().any(|call| committer(call, &kb.join(top))),
            "{top}"
        );
    }
    let mut workers: Vec<u32> = uses
        .iter()
        .filter(|used| used.tid != main && used.writes && used.path.starts_with(&staging))
        .map(|used| used.tid)
        .collect();
    workers.sort_unstable();
    workers.dedup();
    assert!(workers.len() >= 4, "{workers:?}");

    // And it would see a trespass.
    let planted = plant(&kb.display().to_string());
    let trespasses = strace::trespasses(&strace::parse(&planted), 1, &kb);
    let found: Vec<_> = trespasses
        .iter()
        .map(|used| (used.tid, used.call.as_str()))
        .collect();
    let expected = [
        (2, "flock"),
        (3, "openat"),
        (4, "openat2"),
        (5, "renameat"),
        (6, "open"),
        (7, "unlinkat"),
        (8, "openat2"),
        (9, "openat"),
    ];
    assert_eq!(found, expected, "{planted}");
}

/// Lines of a trace: what the main thread and readers may do, then one trespass for each thread.
fn plant(kb: &str) -> String {
    format!(
        "1 flock(5<{kb}/.openkb/ingest.lock>, LOCK_EX|LOCK_NB) = 0\n\
         1 openat2(3<{kb}>, \"wiki/log.md\", {{flags=O_WRONLY|O_CREAT, mode=0644, resolve=RESOLVE_BENEATH}}, 24) = 9<{kb}/wiki/log.md>\n\
         2 openat(AT_FDCWD</tmp>, \"{kb}/.openkb/kbhost/registry.db\", O_RDONLY|O_CLOEXEC) = 4<{kb}/.openkb/kbhost/registry.db>\n\
         2 openat2(3<{kb}>, \"raw/a.md\", {{flags=O_RDONLY, resolve=RESOLVE_BENEATH}}, 24 <unfinished ...>\n\
         1 +++ exited with 0 +++\n\
         2 <... openat2 resumed>) = 9<{kb}/raw/a.md>\n\
         2 mkdir(\"{kb}/.openkb/staging/prepare/1-2\", 0700) = 0\n\
         2 openat(AT_FDCWD</tmp>, \"/tmp/other\", O_WRONLY|O_CREAT, 0600) = 9</tmp/other>\n\
         2 flock(5<{kb}/.openkb/ingest.lock>, LOCK_SH) = 0\n\
         3 openat(AT_FDCWD<{kb}/.openkb>, \"gate.lock\", O_RDONLY <unfinished ...>\n\
         4 openat2(3<{kb}>, \"wiki/log.md\", {{flags=O_WRONLY|O_APPEND, resolve=RESOLVE_BENEATH}}, 24) = -1 EXDEV (Invalid cross-device link)\n\
         5 renameat(3<{kb}/.openkb/staging/prepare/1-2/ready>, \"main.md\", 4<{kb}/raw>, \"a.md\") = 0\n\
         6 open(\"{kb}/.openkb/kbhost/registry.db\", O_RDWR|O_CREAT, 0644) = 4<{kb}/.openkb/kbhost/registry.db>\n\
         7 unlinkat(AT_FDCWD</tmp>, \"{kb}/raw/a \\\"quoted\\\".md\", 0) = 0\n\
         8 openat2(3<{kb}>, \".openkb/ingest.lock\", {{flags=O_RDONLY, resolve=RESOLVE_BENEATH}}, 24) = 9<{kb}/.openkb/ingest.lock>\n\
         9 openat(3<{kb}/.openkb/staging/prepare/1-2>, \"../../../../raw/b.md\", O_WRONLY|O_CREAT, 0600) = 9<{kb}/raw/b.md>\n"
    )
}

#[cfg(feature = "fault-points")]
mod paused {
    use std::process::Child;

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;
    use crate::support::component;

    /// An `add` that stands still before a point.
    struct Paused<'a> {
        env: &'a Env,
        child: Option<Child>,
    }

    impl<'a> Paused<'a> {
        /// Starts `add ARGS` and stops its process when it passes `point`.
        fn at(point: &str, env: &'a Env, args: &[&str]) -> Self {
            let trace = env.path("points");
            let mut command = env.command(["add"].iter().chain(args));
            // Time enough to stop it; it stands as long as is wanted after that.
            command.env("KBHOST_FAULT", format!("{point}:delay-2000"));
            command.env("KBHOST_FAULT_TRACE", &trace);
            let child = env.spawn(&mut command);
            let paused = Self {
                env,
                child: Some(child),
            };
            until(point, || {
                let passed = fs::read_to_string(&trace).unwrap_or_default();
                passed.lines().any(|name| name == point)
            });
            paused
        }

        fn signal(&self, signal: Signal) {
            let child = self.child.as_ref().expect("it was not resumed");
            kill_process(Pid::from_child(child), signal).unwrap();
        }

        /// Stops all its threads.
        fn stand(self) -> Self {
            self.signal(Signal::STOP);
            self
        }

        fn resume(mut self) -> Said {
            self.signal(Signal::CONT);
            self.env
                .wait(self.child.take().expect("it was not resumed"))
        }
    }

    impl Drop for Paused<'_> {
        fn drop(&mut self) {
            if let Some(mut child) = self.child.take() {
                // The test has failed already.
                drop(child.kill().and_then(|()| child.wait()));
            }
        }
    }

    #[test]
    fn the_official_tree_is_unchanged_until_the_first_publish() {
        for point in [
            "lock.before",
            "plan.before",
            "snapshot.before",
            "publish.before",
        ] {
            let env = Env::new();
            notes(&env, 6);
            assert_eq!(env.run(["add", "docs"]).code, 0);
            // New documents, one of them a new version, that share pages with the old ones.
            notes(&env, 12);
            env.doc(
                "note-00.md",
                "---\ntags: [shared]\n---\n# Note 0, revised\n",
            );
            let before = (tree(&env.kb()), env.logical_registry());
            let paused = Paused::at(point, &env, &["--jobs", "2", "docs"]);
            until("7 preparations", || ready(&env.kb()) == 7);
            let paused = paused.stand();
            assert_eq!(before, (tree(&env.kb()), env.logical_registry()), "{point}");
            let said = paused.resume();
            assert_eq!(
                (count(&said, "added "), count(&said, "updated ")),
                (6, 1),
                "{said:?}"
            );
            assert_eq!(said.code, 0, "{said:?}");
        }
    }

    #[test]
    fn bytes_that_another_process_committed_meanwhile_are_skipped() {
        let env = Env::new();
        for name in ["a/first.md", "a/second.md", "b/theirs.md"] {
            let text = if name == "a/second.md" {
                "Mine."
            } else {
                "The same."
            };
            env.doc(name, format!("# Title\n\n{text}\n"));
        }
        let paused = Paused::at("lock.before", &env, &["--jobs", "2", "docs/a"]).stand();
        let theirs = env.run(["add", "docs/b"]);
        assert_said!(
            theirs,
            code: 0,
            stdout: "added    theirs <- docs/b/theirs.md\n",
            stderr: "1 added\n",
        );
        assert_said!(
            paused.resume(),
            code: 0,
            stdout: "skipped  theirs <- docs/a/first.md (already in the knowledge base)\n\
                     added    second <- docs/a/second.md\n",
            stderr: "1 added, 1 skipped\n",
        );
        assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
        assert_eq!(fs::read_dir(env.kb().join("raw")).unwrap().count(), 2);
    }

    #[test]
    fn a_stem_that_another_process_took_meanwhile_gets_a_suffix() {
        let env = Env::new();
        env.doc("a/Report.md", "# Mine\n");
        env.doc("b/report.txt", "Theirs.\n");
        let paused = Paused::at("lock.before", &env, &["docs/a"]).stand();
        let theirs = env.run(["add", "docs/b"]);
        assert_eq!(
            theirs.stdout, "added    report <- docs/b/report.txt\n",
            "{theirs:?}"
        );
        let said = paused.resume();
        assert_eq!(
            (said.code, said.stderr.as_str()),
            (0, "1 added\n"),
            "{said:?}"
        );
        let name = said
            .stdout
            .strip_prefix("added    ")
            .and_then(|rest| rest.strip_suffix(" <- docs/a/Report.md\n"))
            .unwrap_or_else(|| panic!("{said:?}"));
        let suffix = name.strip_prefix("Report-").unwrap_or_default();
        assert!(
            suffix.len() == 8 && suffix.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{name}"
        );
        assert_eq!(env.kb_text("raw/report.txt"), "Theirs.\n");
        assert_eq!(env.kb_text(&format!("raw/{name}.md")), "# Mine\n");
    }

    #[test]
    fn a_new_version_that_another_process_committed_meanwhile_is_replaced_by_ours() {
        let env = Env::new();
        env.doc("a.md", "# First\n");
        assert_eq!(env.run(["add", "docs"]).code, 0);
        env.doc("a.md", "# Ours\n");
        let paused = Paused::at("lock.before", &env, &["docs"]).stand();
        env.doc("a.md", "# Theirs\n");
        let theirs = env.run(["add", "docs"]);
        assert_eq!(theirs.stdout, "updated  a <- docs/a.md\n", "{theirs:?}");
        let said = paused.resume();
        assert_eq!(said.stdout, "updated  a <- docs/a.md\n", "{said:?}");
        assert_eq!(env.kb_text("raw/a.md"), "# Ours\n");
        assert_eq!(env.run(["list"]).stdout.lines().count(), 2);
    }

    #[test]
    fn the_holder_of_the_lock_is_named() {
        let env = Env::new();
        env.doc("a.md", "# A\n");
        env.doc("b.md", "# B\n");
        let paused = Paused::at("plan.before", &env, &["docs/a.md"]).stand();
        let said = env.run(["add", "--no-wait", "docs/b.md"]);
        assert_eq!(said.code, 75, "{said:?}");
        let pid = paused.child.as_ref().unwrap().id();
        let named = format!("`kbhost add` (process {pid}) took it at 2025-06-15");
        assert!(said.stderr.contains(&named), "{said:?}");
        assert_eq!(paused.resume().code, 0);
    }

    #[test]
    fn a_worker_that_panics_is_that_documents_error() {
        for jobs in ["1", "4"] {
            let env = Env::new();
            notes(&env, 6);
            // The bytes of the one that panics: the second stands in for the first.
            env.doc(
                "note-03b.md",
                fs::read(env.path("docs/note-03.md")).unwrap(),
            );
            let said = env.run_with(
                &[("KBHOST_TEST_PANIC", "note-03.md")],
                ["add", "--jobs", jobs, "docs"],
            );
            assert_said!(
                said,
                code: 1,
                stdout: "added    note-00 <- docs/note-00.md\nadded    note-01 <- docs/note-01.md\n\
                         added    note-02 <- docs/note-02.md\nfailed   - <- docs/note-03.md\n\
                         added    note-03b <- docs/note-03b.md\n\
                         added    note-04 <- docs/note-04.md\nadded    note-05 <- docs/note-05.md\n",
                stderr: "error: failed to prepare `docs/note-03.md`: a worker panicked: \
                         KBHOST_TEST_PANIC asked for it\n\n\
                         hint: this is a bug in kbhost; please report it with the output of the \
                         same command with `-vv`\n6 added, 1 failed\n",
            );
            assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
        }
    }

    #[test]
    fn a_trap_in_a_component_is_that_documents_error() {
        let texts = [
            "ok one",
            "panic two",
            "ok three",
            "recursion",
            "exit 3",
            "ok six",
        ];
        let mut outcomes = Vec::new();
        for jobs in ["1", "4"] {
            let env = Env::new();
            for (n, text) in texts.iter().enumerate() {
                env.doc(&format!("{n}.hostile"), format!("{text}\n"));
            }
            let plugin = component("hostile");
            let args = [
                "add",
                "--jobs",
                jobs,
                "docs",
                "--plugin",
                plugin.to_str().unwrap(),
            ];
            let said = env.run_with(&[("KBHOST_TEST_SHUFFLE", jobs)], args);
            assert_eq!(said.code, 1, "{said:?}");
            let statuses: Vec<_> = said.stdout.lines().map(|line| &line[..6]).collect();
            let expected = ["added ", "failed", "added ", "failed", "failed", "added "];
            assert_eq!(statuses, expected, "{said:?}");
            for n in [1, 3, 4] {
                let message = format!(
                    "error: failed to convert `docs/{n}.hostile` with plugin `hostile 0.1.0`\n"
                );
                assert_eq!(said.stderr.matches(&message).count(), 1, "{said:?}");
            }
            assert_eq!(said.stderr.matches("error: ").count(), 3, "{said:?}");
            assert!(!said.stderr.contains('\x1b'), "{said:?}");
            assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
            outcomes.push((said.stdout, said.stderr, tree(&env.kb())));
        }
        assert_eq!(outcomes[0], outcomes[1]);
    }
}
