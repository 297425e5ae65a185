//! What a converter keeps by `job.checkpoint` outlives the run. Goal: whatever ends a run, and wherever,
//! the next one of the same input is given the bytes before or those after, and a document that is in
//! the KB has left nothing. Method: a converter that counts its own runs, killed and failed at every
//! point that a clean run passes. Converters of files keep nothing; a switch of the rigs lets them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::wait::{hold_lock, until};
use crate::support::{Env, Said, component, copy_tree, staging_entries};

/// Lets converters of files keep checkpoints.
const SWITCH: (&str, &str) = ("KBHOST_TEST_CHECKPOINTS", "1");

struct Rig {
    env: Env,
}

impl Rig {
    /// A KB, and one input that tells the converter what to do.
    fn new(how: &str) -> Self {
        let env = Env::in_memory();
        env.doc("a.hostile", format!("checkpoint {how}\n"));
        Self { env }
    }

    fn add(&self) -> Command {
        let mut command = self.env.command(["add", "docs", "--plugin"]);
        command.arg(component("hostile")).env(SWITCH.0, SWITCH.1);
        command
    }

    fn run(&self) -> Said {
        self.env.finish(&mut self.add())
    }

    /// Runs with a fault; the other half tells whether the process was aborted.
    fn run_with_fault(&self, fault: &str) -> (Said, bool) {
        let mut command = self.add();
        let mut child = self.env.spawn(command.env("KBHOST_FAULT", fault));
        let aborted = child.wait().unwrap().signal().is_some();
        (self.env.wait(child), aborted)
    }

    /// The points that a run passes.
    fn points(&self) -> BTreeSet<String> {
        let trace = self.env.path("trace");
        self.env
            .finish(self.add().env("KBHOST_FAULT_TRACE", &trace));
        let text = fs::read_to_string(&trace).unwrap();
        fs::remove_file(trace).unwrap();
        let names = text.lines().filter(|line| !line.starts_with('#'));
        names.map(str::to_owned).collect()
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let path = self.env.kb().join(".openkb/kbhost/registry.db");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0));
        rows.unwrap().map(Result::unwrap).collect()
    }

    fn kept(&self) -> Vec<String> {
        self.rows("SELECT CAST(state AS TEXT) FROM checkpoints")
    }

    fn documents(&self) -> Vec<String> {
        self.rows("SELECT doc_name FROM documents")
    }

    fn page(&self) -> String {
        self.env.kb_text("wiki/sources/a.md")
    }

    /// Keeps the KB as it is, to be put back before each case.
    fn template(&self) -> impl Fn() {
        let (kb, template) = (self.env.kb(), self.env.path("template"));
        copy_tree(&kb, &template);
        move || {
            fs::remove_dir_all(&kb).unwrap();
            copy_tree(&template, &kb);
        }
    }

    /// The KB has the document, nothing is left of how it came there, and the KB is sound.
    fn is_settled(&self, page: &str, case: &str) {
        assert!(self.page().contains(page), "{case}: {}", self.page());
        assert_eq!(self.kept(), Vec::<String>::new(), "{case}");
        let said = self.env.run(["doctor"]);
        assert_eq!(said.code, 0, "{case}: {said:?}");
    }
}

#[test]
fn a_killed_wait_goes_on_where_it_was() {
    for signal in [Signal::KILL, Signal::INT] {
        let rig = Rig::new("hang");
        let child = rig.env.spawn(&mut rig.add());
        until("the checkpoint", || !rig.kept().is_empty());
        let signalled = Instant::now();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let said = rig.env.wait(child);
        assert!(signalled.elapsed() < Duration::from_secs(20), "{said:?}");
        assert_eq!(said.code, if signal == Signal::INT { 130 } else { -1 });
        assert_eq!(rig.kept(), ["remote document 7"]);
        assert_eq!(rig.documents(), Vec::<String>::new());
        let said = rig.run();
        assert_eq!(said.code, 0, "{said:?}");
        rig.is_settled("resumed: remote document 7", "after a signal");
        assert_eq!(staging_entries(&rig.env.kb()), Vec::<String>::new());
    }
}

#[test]
fn a_converter_that_traps_or_fails_is_asked_to_go_on_too() {
    for (how, expected) in [
        ("trap", "trapped after a checkpoint"),
        ("refuse", "interrupted: kept: true"),
    ] {
        let rig = Rig::new(how);
        let said = rig.run();
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.stderr.contains(expected), "{said:?}");
        assert_eq!(rig.kept(), ["remote document 7"]);
        // Other bytes are another input: they are not given what this one left.
        rig.env
            .doc("a.hostile", format!("checkpoint {how}\nother\n"));
        let said = rig.run();
        assert!(said.stderr.contains(expected), "{said:?}");
        assert_eq!(rig.kept().len(), 2);
        rig.env.doc("a.hostile", format!("checkpoint {how}\n"));
        let said = rig.run();
        assert_eq!(said.code, 0, "{said:?}");
        assert_eq!(rig.page(), "resumed: remote document 7");
        assert_eq!(rig.kept().len(), 1);
    }
}

#[test]
fn the_last_bytes_come_back_and_none_are_forgotten_by_none() {
    let rig = Rig::new("steps 3");
    for step in 1..=3 {
        let said = rig.run();
        let expected = format!("interrupted: step {step} kept: true");
        assert!(said.stderr.contains(&expected), "{said:?}");
        assert_eq!(rig.kept(), [step.to_string()]);
    }
    assert_eq!(rig.run().code, 0);
    rig.is_settled("resumed at 3", "all steps");

    let rig = Rig::new("forget");
    for _ in 0..2 {
        let said = rig.run();
        let expected = "interrupted: resumed None, kept true, forgotten true";
        assert!(said.stderr.contains(expected), "{said:?}");
        assert_eq!(rig.kept(), Vec::<String>::new());
    }
}

#[test]
fn size_and_number_of_checkpoints_are_bounded() {
    for (how, expected) in [
        ("sizes", "kept [true, true, false, false]"),
        ("flood 1200", "kept 1000 of 1200"),
    ] {
        let rig = Rig::new(how);
        let said = rig.run();
        assert_eq!(said.code, 0, "{said:?}");
        rig.is_settled(expected, how);
    }
}

/// Control: without the switch the same converter keeps nothing, and starts anew each time.
#[test]
fn a_converter_of_files_keeps_nothing() {
    let rig = Rig::new("steps 3");
    for _ in 0..2 {
        let said = rig.env.finish(rig.add().env_remove(SWITCH.0));
        assert!(said.stderr.contains("step 1 kept: false"), "{said:?}");
        assert_eq!(rig.kept(), Vec::<String>::new());
    }
    // Nor is it given what was kept.
    assert!(rig.run().stderr.contains("step 1 kept: true"));
    let said = rig.env.finish(rig.add().env_remove(SWITCH.0));
    assert!(said.stderr.contains("step 1 kept: false"), "{said:?}");
    assert_eq!(rig.kept(), ["1"]);
}

#[test]
fn a_kb_that_cannot_be_written_fails_no_document() {
    let rig = Rig::new("flood 3");
    let (said, _) = rig.run_with_fault("checkpoint.commit:enospc:1+");
    assert_eq!(said.code, 0, "{said:?}");
    rig.is_settled("kept 0 of 3", "a full disk");

    let rig = Rig::new("refuse");
    let lock = hold_lock(&rig.env);
    let started = Instant::now();
    let said = rig.run();
    assert!(said.stderr.contains("interrupted: kept: false"), "{said:?}");
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "it waited for the lock"
    );
    drop(lock);
    assert_eq!(rig.kept(), Vec::<String>::new());
}

/// Goal: a crash or an error while a checkpoint is kept leaves the old one or the new one.
#[test]
fn a_checkpoint_is_the_old_one_or_the_new_one() {
    let rig = Rig::new("steps 3");
    rig.run();
    assert_eq!(rig.kept(), ["1"]);
    let put_back = rig.template();
    let points = rig.points();
    for expected in ["lock.before", "checkpoint.before", "checkpoint.after"] {
        assert!(points.contains(expected), "{points:?}");
    }
    for point in &points {
        for mode in ["abort", "error"] {
            put_back();
            let case = format!("{point}:{mode}");
            let (said, aborted) = rig.run_with_fault(&case);
            assert_eq!(aborted, mode == "abort", "{case}: {said:?}");
            let is_new = point == "checkpoint.after";
            let is_old = matches!(
                &**point,
                "lock.before" | "checkpoint.before" | "checkpoint.commit"
            );
            let kept = rig.kept();
            assert_eq!(kept.len(), 1, "{case}");
            assert!(!is_new || kept == ["2"], "{case}: {kept:?}");
            assert!(!is_old || kept == ["1"], "{case}: {kept:?}");
            // A guest is told of what is kept, or that it is not known to be.
            if kept == ["1"] && mode == "error" {
                assert!(
                    said.stderr.contains("step 2 kept: false"),
                    "{case}: {said:?}"
                );
            }
            for _ in 0..3 {
                rig.run();
            }
            rig.is_settled("resumed at 3", &case);
        }
    }
}

/// Goal: a document is in the KB or has its checkpoint, never both and never neither.
#[test]
fn a_document_and_its_checkpoint_change_places_at_once() {
    let rig = Rig::new("steps 1");
    rig.run();
    assert_eq!(rig.kept(), ["1"]);
    let put_back = rig.template();
    let points = rig.points();
    rig.is_settled("resumed at 1", "a clean run");
    for expected in [
        "registry.after",
        "commit.before",
        "commit.after",
        "cleanup.after",
    ] {
        assert!(points.contains(expected), "{points:?}");
    }
    for point in &points {
        for mode in ["abort", "error"] {
            put_back();
            let case = format!("{point}:{mode}");
            let (said, aborted) = rig.run_with_fault(&case);
            assert_eq!(aborted, mode == "abort", "{case}: {said:?}");
            let (documents, kept) = (rig.documents().len(), rig.kept().len());
            assert_eq!(documents + kept, 1, "{case}: {documents} and {kept}");
            rig.run();
            rig.is_settled("resumed at 1", &case);
        }
    }
}

/// Goal: what a stranger's KB holds in place of checkpoints does no harm.
#[test]
fn a_strangers_checkpoints_are_no_more_than_bytes() {
    let rig = Rig::new("steps 1");
    rig.run();
    let database = rig.env.kb().join(".openkb/kbhost/registry.db");
    let change = |sql: &str| change(&database, sql);
    change("UPDATE checkpoints SET state = x'2e2e2f2e2e2f1b5b33316d'");
    let said = rig.run();
    assert!(said.stderr.contains("step 1 kept: true"), "{said:?}");
    change(
        "CREATE TABLE theirs (key, at, state); \
         INSERT INTO theirs SELECT key, 7, zeroblob(50000000) FROM checkpoints; \
         DROP TABLE checkpoints; ALTER TABLE theirs RENAME TO checkpoints",
    );
    let said = rig.run();
    assert!(said.stderr.contains("step 1 kept: true"), "{said:?}");
    assert_eq!(rig.run().code, 0);
    rig.is_settled("resumed at 1", "a stranger's table");
}

fn change(database: &Path, sql: &str) {
    Connection::open(database)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}
