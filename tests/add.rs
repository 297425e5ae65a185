//! `add`: what it takes, what it says, how it ends.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::wait::{hold_lock, until};
use crate::support::{Env, Said, component, corpus, skip, staging_entries, tree};

#[test]
fn one_line_an_input_and_a_summary() {
    let env = Env::new();
    env.doc("a.md", "# First\n\nText.\n");
    env.doc("b.txt", "Text.\n");
    env.doc("c.bin", "of another kind");
    env.doc("d/empty.md", "");
    assert_said!(
        env.run(["add", "docs"]),
        code: 1,
        stdout: "added    a <- docs/a.md\nadded    b <- docs/b.txt\nfailed   - <- docs/d/empty.md\n",
        stderr: "error: failed to convert `docs/d/empty.md`: the file is empty\n\n\
                 hint: look at the file, `ls -l docs/d/empty.md`: its content may have been lost \
                 in a copy\n2 added, 1 failed; 1 file of another kind skipped\n",
    );
    assert_said!(
        env.run(["--quiet", "add", "docs/a.md"]),
        code: 0,
        stdout: "skipped  a <- docs/a.md (already in the knowledge base)\n",
        stderr: "",
    );
    assert_eq!(env.kb_text("raw/a.md"), "# First\n\nText.\n");
    assert!(env.kb_text("wiki/sources/a.md").contains("Text."));
    assert!(env.kb_text("wiki/index.md").contains("[[summaries/a]]"));
    assert!(env.kb_text("wiki/log.md").contains("2025-06-15"));
}

#[test]
fn a_changed_file_is_a_new_version_of_its_document() {
    let env = Env::new();
    env.doc("a.md", "---\ntags: [one]\n---\n# First\n\nOld words.\n");
    env.doc("b.md", "---\ntags: [one]\n---\n# Other\n");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    assert!(env.kb().join("wiki/concepts/one.md").exists());
    env.doc("a.md", "# Second\n\nNew words.\n");
    assert_said!(
        env.run(["add", "docs"]),
        code: 0,
        stdout: "updated  a <- docs/a.md\nskipped  b <- docs/b.md (already in the knowledge base)\n",
        stderr: "0 added, 1 updated, 1 skipped\n",
    );
    assert!(env.kb_text("raw/a.md").contains("New words."));
    assert!(env.kb_text("wiki/sources/a.md").contains("New words."));
    let summary = env.kb_text("wiki/summaries/a.md");
    assert!(
        summary.contains("Second") && !summary.contains("First"),
        "{summary}"
    );
    let concept = fs::read_to_string(env.kb().join("wiki/concepts/one.md")).unwrap_or_default();
    assert!(!concept.contains("summaries/a]]"), "{concept}");
    // The bytes of the first version are not in any more: they are a new version again.
    env.doc("a.md", "---\ntags: [one]\n---\n# First\n\nOld words.\n");
    assert_eq!(
        env.run(["add", "docs/a.md"]).stdout,
        "updated  a <- docs/a.md\n"
    );
    assert_eq!(fs::read_dir(env.kb().join("raw")).unwrap().count(), 2);
}

/// The names of the spans that ended in a run with `-v --log-format json`.
fn spans(said: &Said) -> Vec<String> {
    let records = said.stderr.lines().filter(|line| line.starts_with('{'));
    records
        .map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["span"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

#[test]
fn registered_bytes_call_no_converter() {
    let env = Env::new();
    env.doc("a.md", "# Same\n");
    env.doc("b/other-name.md", "# Same\n");
    let run = |path| env.run(["-v", "--log-format", "json", "add", path]);
    let first = run("docs/a.md");
    let calls = |said: &Said| {
        let spans = spans(said);
        spans.iter().filter(|name| *name == "convert").count()
    };
    // The pool's span and the component's.
    assert_eq!(calls(&first), 2, "{first:?}");
    for path in ["docs/a.md", "docs/b/other-name.md"] {
        let again = run(path);
        let expected = format!("skipped  a <- {path} (already in the knowledge base)\n");
        assert_eq!(again.stdout, expected);
        assert_eq!(calls(&again), 0, "{again:?}");
        let spans = spans(&again);
        assert!(spans.iter().any(|name| name == "copy"), "{spans:?}");
        assert!(!spans.iter().any(|name| name == "assets"), "{spans:?}");
    }
    assert_eq!(
        tree(&env.kb())
            .keys()
            .filter(|path| path.starts_with("raw/"))
            .count(),
        1
    );
}

#[test]
fn equal_bytes_in_one_command_are_converted_once() {
    let env = Env::new();
    for n in 0..6 {
        env.doc(&format!("copy-{n}.md"), "# Same\n");
    }
    let said = env.run(["-v", "--log-format", "json", "add", "--jobs", "4", "docs"]);
    let calls = spans(&said);
    assert_eq!(
        calls.iter().filter(|name| *name == "convert").count(),
        2,
        "{said:?}"
    );
    let mut expected = "added    copy-0 <- docs/copy-0.md\n".to_owned();
    for n in 1..6 {
        expected +=
            &format!("skipped  copy-0 <- docs/copy-{n}.md (already in the knowledge base)\n");
    }
    assert_eq!(said.stdout, expected);
}

#[test]
fn ignored_hidden_and_linked_files_in_a_folder_are_left_out() {
    let env = Env::new();
    for name in [
        "keep.md",
        "skip/a.md",
        "sub/no.md",
        "sub/yes.md",
        ".hidden.md",
        ".git/config.md",
        "git-ignored.md",
    ] {
        env.doc(name, format!("# {name}\n"));
    }
    env.doc(".kbignore", "skip/\n");
    env.doc("sub/.kbignore", "*.md\n!yes.md\n");
    env.doc(".gitignore", "git-ignored.md\n");
    fs::write(env.path("outside.md"), "# Outside\n").unwrap();
    symlink(env.path("outside.md"), env.path("docs/link.md")).unwrap();
    symlink(env.path("docs/sub"), env.path("docs/loop")).unwrap();
    let added = |names: &[&str]| {
        names
            .iter()
            .map(|name| {
                let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
                format!("added    {} <- {name}\n", stem.trim_start_matches('.'))
            })
            .collect::<String>()
    };
    let walked = ["docs/git-ignored.md", "docs/keep.md", "docs/sub/yes.md"];
    assert_eq!(env.run(["add", "docs"]).stdout, added(&walked));
    // What is named is meant: hidden, ignored or a link.
    let named = ["docs/.hidden.md", "docs/skip/a.md", "docs/link.md"];
    let said = env.run(["add"].iter().chain(&named));
    assert_eq!(said.stdout, added(&named), "{said:?}");
}

#[test]
fn a_kb_is_no_input_of_its_own() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    fs::write(env.kb().join("mine.md"), "# Mine\n").unwrap();
    fs::create_dir(env.kb().join("notes")).unwrap();
    fs::write(env.kb().join("notes/wiki.md"), "# Also mine\n").unwrap();
    let mut command = env.command(["add", "."]);
    command.current_dir(env.kb()).env_remove("KBHOST_KB");
    assert_said!(
        env.finish(&mut command),
        code: 0,
        stdout: "added    mine <- ./mine.md\nadded    wiki <- ./notes/wiki.md\n",
        stderr: "2 added\n",
    );
    let said = env.run(["add", "kb/wiki/index.md"]);
    assert_eq!(
        (said.code, said.stdout.as_str()),
        (1, "failed   - <- kb/wiki/index.md\n")
    );
    assert!(
        said.stderr
            .contains("it belongs to the knowledge base itself"),
        "{said:?}"
    );
}

/// Everything beneath a directory with what a write would change.
fn everything(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut pending = vec![dir.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let mut state = format!(
            "{:o} {} {}.{:09}",
            metadata.mode(),
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec()
        );
        if metadata.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            pending.extend(entries.map(|entry| entry.unwrap().path()));
        } else {
            state += &format!(" {:?}", Sha256::digest(fs::read(&path).unwrap()));
        }
        found.insert(path.display().to_string(), state);
    }
    found
}

#[test]
fn a_dry_run_tells_and_writes_nothing() {
    let env = Env::new();
    env.doc("changed.md", "# Before\n");
    env.doc("same.md", "# Same\n");
    assert_eq!(env.run(["add", "docs"]).code, 0);
    env.doc("changed.md", "# After\n");
    env.doc("empty.md", "");
    env.doc("new.md", "# New\n");
    env.doc("new-again.md", "# New\n");
    let before = everything(&env.kb());
    let cold = everything(&env.path("home"));
    let said = env.run(["add", "--dry-run", "docs"]);
    assert_said!(
        &said,
        code: 1,
        stdout: "would update changed <- docs/changed.md\nwould fail   - <- docs/empty.md\n\
                 would add    - <- docs/new-again.md\n\
                 would skip   - <- docs/new.md (already in the knowledge base)\n\
                 would skip   same <- docs/same.md (already in the knowledge base)\n",
        stderr: &said.stderr,
    );
    assert!(
        said.stderr
            .ends_with("\ndry run: 1 added, 1 updated, 2 skipped, 1 failed\n"),
        "{said:?}"
    );
    let after = everything(&env.kb());
    let mut paths = before.keys().chain(after.keys());
    // SQLite notes its readers in the shared memory of the log, which holds no data.
    let changed = paths
        .find(|path| !path.ends_with("/registry.db-shm") && before.get(*path) != after.get(*path));
    assert_eq!(changed, None);
    assert_eq!(cold, everything(&env.path("home")));
}

#[test]
fn numbers_of_workers_out_of_range_are_usage_errors() {
    let env = Env::new();
    env.doc("a.md", "# A\n");
    for jobs in ["0", "257", "-1", "many", ""] {
        let said = env.run([
            "add".to_owned(),
            format!("--jobs={jobs}"),
            "docs".to_owned(),
        ]);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{said:?}");
        assert!(
            said.stderr.contains("`auto` or a number from 1 to 256"),
            "{said:?}"
        );
    }
    let config = env.kb().join(".openkb/config.yaml");
    for line in [
        "jobs: 0",
        "file_processing_jobs: 0",
        "jobs: [1]",
        "jobs: 1000",
    ] {
        fs::write(&config, format!("{line}\n")).unwrap();
        let said = env.run(["add", "docs"]);
        assert_eq!(
            (said.code, said.stdout.as_str()),
            (2, ""),
            "{line}: {said:?}"
        );
        assert!(
            said.stderr.contains("config.yaml") && said.stderr.contains("jobs"),
            "{said:?}"
        );
    }
    assert_eq!(fs::read_dir(env.kb().join("raw")).unwrap().count(), 0);
    assert_eq!(staging_entries(&env.kb()), Vec::<String>::new());
}

#[test]
fn the_number_of_workers_comes_from_the_flag_then_the_settings() {
    if !Path::new("/proc/self/task").exists() {
        skip("the number of workers", "no /proc");
        return;
    }
    let env = Env::new();
    // The workers live while there is something to do.
    env.doc("a.hostile", "loop\n");
    let config = env.kb().join(".openkb/config.yaml");
    let plugin = component("hostile");
    let args = ["add", "docs", "--plugin", plugin.to_str().unwrap()];
    let check = |settings: &str, flags: &[&str], expected: usize| {
        fs::write(&config, settings).unwrap();
        let child = env.spawn(&mut env.command(args.iter().chain(flags)));
        let workers = || {
            let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
            let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
            let names = names.map(Result::unwrap_or_default);
            names.filter(|name| name.starts_with("prepare-")).count()
        };
        until(&format!("{expected} workers"), || workers() >= expected);
        // Long enough for one too many to show.
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(workers(), expected, "{settings:?} {flags:?}");
        kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
        env.wait(child);
    };
    check("jobs: 3\n", &[], 3);
    check("file_processing_jobs: 4\n", &[], 4);
    check("file_processing_jobs: 4\njobs: 3\n", &[], 3);
    check("jobs: 3\n", &["--jobs", "5"], 5);
    let cores = std::thread::available_parallelism().unwrap().get();
    check("jobs: auto\n", &[], cores.min(64));
    check("jobs: 3\n", &["--jobs", "auto"], cores.min(64));
}

#[test]
fn the_answer_as_json() {
    let env = Env::new();
    env.doc("a.md", "---\ntitle: First title\n---\n# A\n");
    env.doc("b.md", b"\xff\xfe");
    let said = env.run([
        "--json",
        "add",
        "--jobs",
        "2",
        "docs",
        "docs/a.md",
        "gone.md",
    ]);
    assert_eq!((said.code, said.stderr.as_str()), (1, ""), "{said:?}");
    assert_eq!(said.stdout.lines().count(), 1);
    let mut answer: Value = serde_json::from_str(&said.stdout).unwrap();
    for document in answer["documents"].as_array_mut().unwrap() {
        let Some(error) = document["error"].as_object_mut() else {
            continue;
        };
        for key in ["message", "hint"] {
            assert!(
                error.remove(key).is_some_and(|text| text.is_string()),
                "{key}"
            );
        }
        assert!(
            error
                .remove("causes")
                .is_some_and(|causes| causes.is_array())
        );
    }
    let error = |code: &str| json!({ "code": code, "exit_code": 1 });
    let unknown = &answer["documents"][2]["error"]["code"].clone();
    assert_eq!(
        answer,
        json!({
            "kbhost": 1,
            "command": "add",
            "dry_run": false,
            "documents": [
                { "seq": 0, "path": "docs/a.md", "status": "added", "name": "a",
                  "title": "First title", "needs_ocr": null, "warnings": [], "error": null },
                { "seq": 1, "path": "docs/b.md", "status": "failed", "name": null, "title": null,
                  "needs_ocr": null, "warnings": [], "error": error("malformed") },
                { "seq": 2, "path": "gone.md", "status": "failed", "name": null, "title": null,
                  "needs_ocr": null, "warnings": [], "error": error(unknown.as_str().unwrap()) },
            ],
            "summary": { "added": 1, "updated": 0, "skipped": 0, "failed": 2, "not_tried": 0,
                         "other_kinds": 0 },
            "warnings": [],
            "stopped": null,
        })
    );
    let said = env.run(["--json", "add", "--dry-run", "docs/a.md"]);
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(answer["documents"][0]["status"], "would_skip");
    assert_eq!(answer["dry_run"], true);
    let lock = hold_lock(&env);
    env.doc("c.md", "# C\n");
    let said = env.run(["--json", "add", "--no-wait", "docs/c.md"]);
    drop(lock);
    let answer: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, said.stderr.as_str()), (75, ""), "{said:?}");
    assert_eq!(answer["stopped"]["code"], "busy");
    assert_eq!(answer["documents"][0]["status"], "not_tried");
}

#[test]
fn a_reader_that_goes_away_stops_nothing_and_is_no_error() {
    let env = Env::new();
    for n in 0..3 {
        env.doc(&format!("{n}.md"), format!("# {n}\n"));
    }
    let mut child = env.spawn(&mut env.command(["add", "docs"]));
    drop(child.stdout.take());
    let said = env.wait(child);
    assert_eq!(
        (said.code, said.stderr.as_str()),
        (0, "3 added\n"),
        "{said:?}"
    );
    assert_eq!(fs::read_dir(env.kb().join("raw")).unwrap().count(), 3);
}

#[test]
fn the_mixed_corpus_again_adds_nothing() {
    let env = Env::new();
    let files = corpus::mixed(&env);
    let add = || env.finish(env.command(["add"]).args(&files));
    let first = add();
    let before = tree(&env.kb());
    let again = add();
    let failed = |said: &Said| {
        let lines = said
            .stdout
            .lines()
            .filter(|line| line.starts_with("failed "));
        lines.count()
    };
    assert_eq!(failed(&first), failed(&again));
    let skipped = again
        .stdout
        .lines()
        .filter(|line| line.starts_with("skipped "));
    assert_eq!(skipped.count() + failed(&again), files.len(), "{again:?}");
    assert_eq!(before, tree(&env.kb()));
}
