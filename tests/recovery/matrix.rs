//! The crash matrix. Goal: whatever ends a mutation, and wherever, the KB is as before or as after
//! it, and the next command goes on. Method: the points that a clean run passes are recorded; then
//! each passing is killed, failed, or met by a full disk in a fresh copy of the KB, another command
//! follows, and the tree, the registry and what is left lying about are compared with clean runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::documents::{self, FOLLOW};
use crate::support::oracle::{
    State, acknowledged, compare, debris, exported, log, pre_images_are_whole, unmatched,
};
use crate::support::torture::{Rng, Torture, test_seed};
use crate::support::{Env, Said, component, copy_tree, staging_entries};

/// The steps of a mutation. What is before and after a step is a fault point of each; of the effects
/// the point behind them is that before the clean-up.
const STEPS: [(&str, &str); 10] = [
    ("drain.before", "drain.after"),
    ("plan.before", "plan.after"),
    ("names.before", "names.after"),
    ("snapshot.before", "snapshot.after"),
    ("publish.before", "publish.after"),
    ("write.before", "write.after"),
    ("registry.before", "registry.after"),
    ("commit.before", "commit.after"),
    ("effects.before", "cleanup.before"),
    ("cleanup.before", "cleanup.after"),
];

/// Two cores are what the tests can count on.
const THREADS: usize = 2;

/// A run whose documents did not share one commit took another course and is run again.
const TRIES_MAX: usize = 10;

/// A KB from which the action is not seen, or is, before and after the command that follows.
struct Expected {
    state: State,
    followed: State,
    exported: String,
}

/// What happens to the KB in each case, and what clean runs of it gave.
pub(super) struct Rig {
    env: Env,
    base: PathBuf,
    /// Whether `base` is one that a command left by itself.
    settled: bool,
    args: Vec<String>,
    vars: Vec<(&'static str, &'static str)>,
    /// Faults of every run, before the case's own.
    faults: &'static str,
    trace: Vec<String>,
    /// What a clean run appends to the log.
    log: String,
    old: Expected,
    new: Expected,
}

/// One fault at one passing of the trace.
struct Case<'a> {
    index: usize,
    point: &'a str,
    nth: usize,
    mode: &'static str,
}

/// What a run of a case left.
struct Ran {
    kb: PathBuf,
    said: Said,
}

/// How many cases there were, and what was wrong.
pub(super) struct Report {
    cases: usize,
    pub(super) failures: Vec<String>,
}

impl Report {
    /// Fails the test with what was wrong.
    pub(super) fn finish(self, name: &str, cases_min: usize) {
        assert!(
            self.failures.is_empty(),
            "{name}: {} of {} cases failed\n{}",
            self.failures.len(),
            self.cases,
            self.failures[..self.failures.len().min(10)].join("\n")
        );
        assert!(
            self.cases >= cases_min,
            "{name}: only {} cases: the trace is short",
            self.cases
        );
    }
}

impl Rig {
    /// A rig that runs a command, `add docs/a.md`, on the KB of `env`.
    pub(super) fn new(env: Env, args: &[&str]) -> Self {
        let base = env.kb();
        Self::of(env, &base.clone(), base, args, "", &[])
    }

    /// The same run with faults or switches that every case has.
    pub(super) fn with(
        env: Env,
        args: &[&str],
        faults: &'static str,
        vars: &[(&'static str, &'static str)],
    ) -> Self {
        let base = env.kb();
        Self::of(env, &base.clone(), base, args, faults, vars)
    }

    /// A rig that runs a command on `base`, a KB that a dead command left, which is to become
    /// `settled` first.
    pub(super) fn recovering(env: Env, settled: &Path, base: PathBuf, args: &[&str]) -> Self {
        Self::of(env, settled, base, args, "", &[])
    }

    fn of(
        env: Env,
        settled: &Path,
        base: PathBuf,
        args: &[&str],
        faults: &'static str,
        vars: &[(&'static str, &'static str)],
    ) -> Self {
        let nothing = || Expected {
            state: State::of(settled),
            followed: State::of(settled),
            exported: String::new(),
        };
        let mut rig = Self {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            log: String::new(),
            settled: base == settled,
            vars: vars.to_vec(),
            faults: "",
            trace: Vec::new(),
            old: nothing(),
            new: nothing(),
            base,
            env,
        };
        let old = rig.env.path("cases/old/kb");
        copy_tree(settled, &old);
        rig.old = rig.expected(&old);
        let ran = rig.clean_run("new");
        assert_eq!(ran.said.code, 0, "{:?}", ran.said);
        let lines = log(&ran.kb);
        rig.log = lines.strip_prefix(&log(&rig.base)).unwrap().to_owned();
        rig.passes_every_step();
        rig.new = rig.expected(&ran.kb);
        assert_ne!(rig.old.state, rig.new.state);
        if !faults.is_empty() {
            rig.faults = faults;
            rig.clean_run("faulty");
        }
        rig
    }

    /// Runs the action without a fault of a case and takes its trace: once its documents share one
    /// commit.
    fn clean_run(&mut self, name: &str) -> Ran {
        for attempt in 0..TRIES_MAX {
            let (ran, trace) = self.run(&format!("{name}-{attempt}"), self.faults);
            let groups = trace.iter().filter(|point| *point == "plan.before").count();
            if groups == 1 {
                self.trace = trace;
                return ran;
            }
        }
        panic!("the documents never shared a commit");
    }

    /// Every step is among the passings, between its two points; a document that goes needs no name.
    fn passes_every_step(&self) {
        let names_something = self.args[0] == "add";
        let steps = STEPS
            .iter()
            .filter(|(before, _)| names_something || *before != "names.before");
        for (before, after) in steps {
            assert!(
                self.place(before) < self.place(after),
                "{before}, {after}: {:?}",
                self.trace
            );
        }
    }

    fn expected(&self, kb: &Path) -> Expected {
        let state = State::of(kb);
        let said = self.follow(kb);
        assert_eq!(said.code, 0, "{said:?}");
        // Every case is compared with this state, so what holds of it holds of all.
        let unmatched = unmatched(kb);
        let keeps_raw = self.args.iter().any(|arg| arg == "--keep-raw");
        assert!(
            unmatched.iter().all(|path| {
                let is_kept = keeps_raw && path.starts_with("raw/");
                path == documents::EDITED || is_kept
            }),
            "registry and files: {unmatched:?}"
        );
        Expected {
            state,
            followed: State::of(kb),
            exported: exported(kb),
        }
    }

    /// Runs the action in a fresh copy of the base.
    fn run(&self, case: &str, faults: &str) -> (Ran, Vec<String>) {
        let dir = self.env.path("cases").join(case);
        let (kb, trace) = (dir.join("kb"), dir.join("trace"));
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        copy_tree(&self.base, &kb);
        let mut command = self.env.command(&self.args);
        command
            .envs(self.vars.iter().copied())
            .env("KBHOST_KB", &kb)
            .env("KBHOST_FAULT", faults)
            .env("KBHOST_FAULT_TRACE", &trace);
        let said = self.env.finish(&mut command);
        let trace = fs::read_to_string(&trace).unwrap_or_default();
        // Numbers of operations are another rig's.
        let points = trace.lines().filter(|line| !line.starts_with('#'));
        (Ran { kb, said }, points.map(str::to_owned).collect())
    }

    /// The command that comes after: it recovers, and adds a document of its own.
    fn follow(&self, kb: &Path) -> Said {
        let mut command = self.env.command(["add", FOLLOW]);
        self.env.finish(command.env("KBHOST_KB", kb))
    }

    /// Runs all cases at the passings that `wanted` takes, by place and name.
    pub(super) fn matrix(
        &self,
        modes: &[&'static str],
        wanted: impl Fn(usize, &str) -> bool,
    ) -> Report {
        let start = Instant::now();
        let cases = self.cases(modes, wanted);
        let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
                        if let Err(failure) = self.check(case) {
                            let Case {
                                point, nth, mode, ..
                            } = case;
                            let line = format!("{point}:{mode}:{nth}: {failure}");
                            failures.lock().unwrap().push(line);
                        }
                    }
                });
            }
        });
        let mut points: Vec<_> = cases.iter().map(|case| case.index).collect();
        points.dedup();
        let mut names: Vec<_> = cases.iter().map(|case| case.point).collect();
        names.sort_unstable();
        names.dedup();
        let of_mode = |mode: &&str| {
            let count = cases.iter().filter(|case| case.mode == *mode).count();
            format!("{mode} {count}")
        };
        let by_mode: Vec<_> = modes.iter().map(of_mode).collect();
        covered!(
            "crash matrix: {}: {} of {} passings of {} fault points, {} cases ({}), {:.0?}",
            self.told(),
            points.len(),
            self.trace.len(),
            names.len(),
            cases.len(),
            by_mode.join(", "),
            start.elapsed()
        );
        Report {
            cases: cases.len(),
            failures: failures.into_inner().unwrap(),
        }
    }

    /// What is run, in short.
    fn told(&self) -> String {
        let mut told = self.args.join(" ");
        if !self.faults.is_empty() {
            told += &format!(" with {}", self.faults);
        }
        if !self.settled {
            told += " after a crash";
        }
        told
    }

    fn cases(&self, modes: &[&'static str], wanted: impl Fn(usize, &str) -> bool) -> Vec<Case<'_>> {
        let mut cases = Vec::new();
        for (index, point) in self.trace.iter().enumerate() {
            if !wanted(index, point) {
                continue;
            }
            let passings = self.trace[..=index].iter();
            let nth = passings.filter(|passed| *passed == point).count();
            for mode in modes {
                if *mode == "exdev" && !moves(point) {
                    continue;
                }
                cases.push(Case {
                    index,
                    point,
                    nth,
                    mode,
                });
            }
        }
        cases
    }

    /// Takes its time at every point: that changes nothing.
    pub(super) fn delayed(&self) {
        let (ran, _) = self.run("delayed", "*:delay-1:1+");
        assert_eq!(ran.said.code, 0, "{:?}", ran.said);
        compare("delayed", &State::of(&ran.kb), &self.new.state).unwrap();
    }

    /// Where a point was first passed.
    pub(super) fn place(&self, point: &str) -> usize {
        let found = self.trace.iter().position(|passed| passed == point);
        found.unwrap_or_else(|| panic!("`{point}` is not passed: {:?}", self.trace))
    }

    fn check(&self, case: &Case<'_>) -> Result<(), String> {
        let Case {
            index,
            point,
            nth,
            mode,
        } = case;
        let comma = if self.faults.is_empty() { "" } else { "," };
        let faults = format!("{}{comma}{point}:{mode}:{nth}", self.faults);
        let dir = format!("{index}-{mode}");
        let ran = (0..TRIES_MAX).find_map(|_| {
            let (ran, trace) = self.run(&dir, &faults);
            let same = trace.get(..=*index) == Some(&self.trace[..=*index]);
            same.then_some(ran)
        });
        let ran = ran.ok_or("it never took the course of the clean run")?;
        let committed = self.ended(case, &ran)?;
        let expected = if committed { &self.new } else { &self.old };
        if acknowledged(&ran.said) > 0 && !committed {
            return Err(format!("acknowledged too early: {:?}", ran.said));
        }
        let said = self.follow(&ran.kb);
        if said.code != 0 || !said.stdout.starts_with("added    follow ") {
            return Err(format!("the next command: {said:?}, after {:?}", ran.said));
        }
        compare("afterwards", &State::of(&ran.kb), &expected.followed)?;
        let left = debris(&ran.kb);
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}"));
        }
        if exported(&ran.kb) != expected.exported {
            return Err("hashes.json is another".to_owned());
        }
        self.check_effects(&ran.kb, committed)?;
        fs::remove_dir_all(ran.kb.parent().unwrap()).map_err(|error| error.to_string())
    }

    /// Checks how the run of a case ended, and tells whether its documents must be in.
    fn ended(&self, case: &Case<'_>, ran: &Ran) -> Result<bool, String> {
        let said = &ran.said;
        let before = |point: &str| {
            let place = self.trace.iter().position(|passed| passed == point);
            place.is_none_or(|place| case.index < place)
        };
        let committed = !before("commit.after");
        let code = |codes: &[i32]| match codes.contains(&said.code) {
            true => Ok(()),
            false => Err(format!("exit {} is none of {codes:?}: {said:?}", said.code)),
        };
        if case.mode == "abort" {
            code(&[-1])?;
            pre_images_are_whole(&ran.kb)?;
            return Ok(committed);
        }
        if case.point.starts_with("commit.") {
            code(&[3])?;
            return Ok(committed);
        }
        if committed {
            code(&[0])?;
            let warnings = [
                "warning: could not ",
                "warning: failed to back up the registry",
            ];
            let is_told = warnings.iter().any(|warning| said.stderr.contains(warning));
            if !is_told && !is_harmless(case) {
                return Err(format!("no warning: {said:?}"));
            }
            compare("the commit", &State::of(&ran.kb), &self.new.state)?;
            return Ok(true);
        }
        if is_harmless(case) && self.faults.is_empty() {
            code(&[0])?;
            compare("undisturbed", &State::of(&ran.kb), &self.new.state)?;
            return Ok(true);
        }
        if self.is_replayed(case) {
            code(&[0])?;
            compare("one by one", &State::of(&ran.kb), &self.new.state)?;
            return Ok(true);
        }
        if !self.faults.is_empty() {
            let rolled_back = case.point == "undo.link" && case.mode == "exdev";
            code(if rolled_back { &[1] } else { &[3] })?;
            return Ok(false);
        }
        if !self.settled {
            code(&[1, 3])?;
            return Ok(false);
        }
        code(&[1])?;
        compare("rolled back", &State::of(&ran.kb), &self.old.state)?;
        let left = staging_entries(&ran.kb);
        if !left.is_empty() {
            return Err(format!("left behind at once: {left:?}"));
        }
        let (now, then) = (log(&ran.kb), log(&self.base));
        if now != then {
            return Err(format!("an effect ran before the commit: {now}"));
        }
        Ok(false)
    }

    /// Whether a fault makes the documents of a group be committed one by one: it is one of theirs,
    /// and comes once.
    fn is_replayed(&self, case: &Case<'_>) -> bool {
        let documents = self.log.matches("→ ").count();
        case.mode == "invalid" && documents > 1 && case.index > self.place("drain.after")
    }

    /// The log has at most the lines of a clean run if the command is in, else none of them; the
    /// search index has followed.
    fn check_effects(&self, kb: &Path, committed: bool) -> Result<(), String> {
        let (now, then) = (log(kb), log(&self.base));
        let Some(lines) = now.strip_prefix(&then) else {
            return Err(format!("the log lost lines: {now}"));
        };
        for line in self.log.lines().filter(|line| !line.is_empty()) {
            if lines.matches(line).count() > usize::from(committed) {
                return Err(format!("the log: {lines}"));
            }
        }
        if lines.matches("→ summaries/follow\n").count() != 1 {
            return Err(format!("the log lacks the next command: {lines}"));
        }
        let (epoch, documents) = (
            ask(
                kb,
                "registry.db",
                "SELECT value FROM meta WHERE key = 'epoch'",
            ),
            ask(kb, "registry.db", NAMES),
        );
        let (followed, indexed) = (
            ask(
                kb,
                "search.db",
                "SELECT value FROM meta WHERE key = 'epoch'",
            ),
            ask(
                kb,
                "search.db",
                "SELECT group_concat(doc_name) FROM (SELECT doc_name FROM rows ORDER BY doc_name)",
            ),
        );
        if (&epoch, &documents) != (&followed, &indexed) {
            return Err(format!(
                "the index has {indexed} of epoch {followed}, not {documents} of {epoch}"
            ));
        }
        Ok(())
    }
}

const NAMES: &str =
    "SELECT group_concat(doc_name) FROM (SELECT doc_name FROM documents ORDER BY doc_name)";

fn ask(kb: &Path, database: &str, sql: &str) -> String {
    let path = kb.join(".openkb/kbhost").join(database);
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(path, flags).unwrap();
    let value = connection.query_row(sql, [], |row| row.get::<_, rusqlite::types::Value>(0));
    match value.unwrap() {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => panic!("{other:?}"),
    }
}

/// Whether a point stands for a system call that can meet the border of a file system.
fn moves(point: &str) -> bool {
    ["rename", "link", "activate", "export"]
        .iter()
        .any(|call| point.ends_with(call) && !point.ends_with("unlink"))
}

/// Faults that a mutation is to overcome.
fn is_harmless(case: &Case<'_>) -> bool {
    // Who holds the lock is only told to those who wait, and a committed change is marked only for
    // registries that are put back from a copy.
    matches!(case.point, "holder.write" | "effects.mark")
        || case.mode == "exdev"
            && matches!(case.point, "publish.rename" | "snapshot.link" | "undo.link")
}

pub(super) const MODES: [&str; 5] = ["abort", "error", "enospc", "exdev", "invalid"];

#[test]
fn two_first_documents() {
    let args = ["add", "--jobs", "2", "docs/a.md", "docs/b.md"];
    let rig = Rig::new(documents::first(Env::in_memory()), &args);
    rig.delayed();
    rig.matrix(&MODES, |_, _| true).finish("first add", 200);
}

/// A document whose name is taken: it gets one of its own, whatever happens meanwhile.
fn collision() -> Rig {
    let env = documents::updated(Env::in_memory());
    env.doc("other/a.md", "---\ntags: [alpha]\n---\n# Another A\n");
    Rig::new(env, &["add", "docs/other/a.md"])
}

/// Bytes that are registered, of another file, beside a new document.
fn duplicate() -> Rig {
    let env = documents::updated(Env::in_memory());
    let bytes = fs::read(env.path("docs/b.md")).unwrap();
    env.doc("other/again.md", bytes);
    let rig = Rig::new(env, &["add", "docs/other/again.md", "docs/c.md"]);
    assert_eq!(rig.log.matches("→ ").count(), 1, "{}", rig.log);
    rig
}

/// Ten documents that share a page, prepared by four workers.
fn hub() -> Rig {
    let env = documents::updated(Env::in_memory());
    let args = ["add", "--jobs", "4", "docs/hub"];
    for number in 0..10 {
        let page = format!("---\ntags: [storage, hub]\n---\n# Hub {number}\n\nText {number}.\n");
        env.doc(&format!("hub/h{number}.md"), page);
    }
    Rig::new(env, &args)
}

#[test]
fn a_document_of_a_taken_name() {
    let rig = collision();
    rig.delayed();
    rig.matrix(&["abort", "error", "enospc"], |_, _| true)
        .finish("collision", 150);
}

#[test]
fn a_duplicate_beside_a_new_document() {
    let rig = duplicate();
    rig.delayed();
    rig.matrix(&["abort", "error", "enospc"], |_, _| true)
        .finish("duplicate", 150);
}

/// A sample of the passings: the long run takes them all.
#[test]
fn ten_documents_of_a_shared_page() {
    let rig = hub();
    rig.delayed();
    let seed = test_seed();
    let wanted = |index: usize, _: &str| Rng::new(seed ^ index as u64).chance(0.5);
    rig.matrix(&["abort", "enospc"], wanted)
        .finish(&format!("hub, KBHOST_TEST_SEED={seed}"), 100);
}

#[test]
#[ignore = "torture"]
fn torture_crash_matrix() {
    let Some(torture) = Torture::from_env() else {
        return;
    };
    let mut cases = 0;
    for (name, rig) in [
        ("hub", hub()),
        ("collision", collision()),
        ("duplicate", duplicate()),
    ] {
        for mode in MODES {
            if torture.goes_on() {
                let report = rig.matrix(&[mode], |_, _| torture.goes_on());
                cases += report.cases;
                report.finish(name, 0);
            }
        }
    }
    torture.covered(&format!(
        "{cases} faults at the points of a group, a collision and a duplicate"
    ));
}

#[test]
fn an_update_of_shared_pages_images_and_hand_edits() {
    let rig = Rig::new(documents::updated(Env::in_memory()), &["add", "docs/a.md"]);
    for point in [
        "snapshot.link",
        "conflict.copy",
        "write.unlink",
        "publish.rename",
    ] {
        rig.place(point);
    }
    rig.delayed();
    rig.matrix(&MODES, |_, _| true).finish("update", 300);
}

/// The first document with members makes the folders that all members lie in; an update takes some
/// away, and what died before its commit is undone by the next command.
#[test]
fn members_come_and_change() {
    let plugin = component("hostile");
    let plugin = plugin.to_str().unwrap();
    let args = ["add", "docs/m.hostile", "--plugin", plugin];
    let env = documents::first(Env::in_memory());
    assert_eq!(env.run(["add", "docs/b.md"]).code, 0);
    env.doc("m.hostile", "members 3 alpha\n");
    let rig = Rig::new(env, &args);
    rig.place("publish.mkdir");
    rig.matrix(&["abort", "error"], |_, _| true)
        .finish("first members", 100);
    let rig = Rig::new(documents::members(Env::in_memory()), &args);
    rig.place("write.unlink");
    rig.delayed();
    rig.matrix(&["abort", "enospc"], |_, _| true)
        .finish("fewer members", 100);
}

/// Page texts and section tree of a long document change, and go when it becomes a short one: both are
/// all old or all new, with the page and the rows.
#[test]
fn long_documents_change_and_become_short() {
    let plugin = component("hostile");
    let plugin = plugin.to_str().unwrap();
    let args = ["add", "docs/l.hostile", "--plugin", plugin];
    let rig = Rig::new(documents::long(Env::in_memory()), &args);
    rig.matrix(&["abort", "error"], |_, _| true)
        .finish("another long document", 100);
    let env = documents::long(Env::in_memory());
    env.doc("l.hostile", "ok # Short\n");
    let rig = Rig::new(env, &args);
    rig.place("write.unlink");
    // An empty folder of images that cannot be removed once all is committed is left.
    rig.matrix(&["abort", "enospc"], |_, point| point != "cleanup.part-dir")
        .finish("a short document", 100);
}

/// The first run died with everything in place and nothing committed.
#[test]
fn recovery_of_an_update_that_died_before_its_commit() {
    let env = documents::updated(Env::in_memory());
    let dead = documents::killed(&env, "registry.after:abort");
    let settled = env.kb();
    let rig = Rig::recovering(env, &settled, dead, &["add", "docs/c.md"]);
    let end = rig.place("drain.after");
    rig.place("undo.link");
    rig.matrix(&MODES, |index, _| index <= end)
        .finish("recovery", 180);
}

/// The first run died between its commit and its effects.
#[test]
fn recovery_of_an_update_that_died_after_its_commit() {
    let env = documents::updated(Env::in_memory());
    let dead = documents::killed(&env, "commit.after:abort");
    let done = documents::copy_with_update(&env);
    let rig = Rig::recovering(env, &done, dead, &["add", "docs/c.md"]);
    let end = rig.place("drain.after");
    rig.matrix(&MODES, |index, _| index <= end)
        .finish("cleanup", 50);
}

/// A second fault meets the rollback after a first one.
#[test]
fn a_rollback_that_fails() {
    let env = documents::updated(Env::in_memory());
    let rig = Rig::with(env, &["add", "docs/a.md"], "registry.after:error", &[]);
    let start = rig.place("registry.after");
    rig.place("rollback.rename");
    rig.matrix(&MODES, |index, _| index > start)
        .finish("rollback", 150);
}

/// A document that was copied across file systems goes back by being removed.
#[test]
fn a_rollback_across_file_systems() {
    let env = documents::updated(Env::in_memory());
    let old = State::of(&env.kb());
    let fault = "publish.rename:exdev,registry.after:error";
    let said = env.run_with(&[("KBHOST_FAULT", fault)], ["add", "docs/a.md"]);
    assert_eq!(said.code, 1, "{said:?}");
    compare("rolled back", &State::of(&env.kb()), &old).unwrap();
    assert_eq!(staging_entries(&env.kb()), [""; 0]);
}

/// The negative control: without the journal's last rename the rig must find broken KBs.
#[test]
fn the_matrix_notices_a_missing_journal() {
    let env = documents::updated(Env::in_memory());
    let switch = [("KBHOST_TEST_NO_JOURNAL", "1")];
    let rig = Rig::with(env, &["add", "docs/a.md"], "", &switch);
    let report = rig.matrix(&["abort"], |_, point| {
        point.starts_with("write.") || point.starts_with("registry.")
    });
    let broken = report.failures.len();
    assert!(broken > 3, "only {broken} of {} cases", report.cases);
    assert!(
        report.failures[0].contains("the KB is not as expected"),
        "{:?}",
        report.failures
    );
}
