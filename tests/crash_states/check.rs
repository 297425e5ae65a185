//! Opens images and judges what became of them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use sha2::{Digest as _, Sha256};

use super::image::Image;
use super::recording::{Outcome, Recording, Scenario};
use crate::support::torture::Rng;
use crate::support::{Env, Said, copy_tree, logical_registry, staging_entries, tree};

/// Two cores are what the tests can count on.
const THREADS: usize = 2;

/// A command that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Violations that a failure shows.
const SHOWN_MAX: usize = 5;

/// A KB after a number of commits, and what the next command makes of it.
struct Expected {
    listed: String,
    followed: State,
}

/// Everything of a KB that must be all old or all new, and the names of what else lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    tree: BTreeMap<String, String>,
    registry: String,
    exported: String,
    own_files: BTreeSet<String>,
}

impl State {
    fn of(kb: &Path) -> Self {
        let mut tree = tree(kb);
        tree.remove("wiki/log.md");
        let mut own_files = BTreeSet::new();
        list(&kb.join(".openkb"), ".openkb", &mut own_files);
        Self {
            tree,
            registry: logical_registry(kb),
            exported: fs::read_to_string(kb.join(".openkb/hashes.json")).unwrap_or_default(),
            own_files,
        }
    }

    fn differences(&self, expected: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, file) in &self.tree {
            if expected.tree.get(path) != Some(file) {
                lines.push(format!("  found    {path}: {file}"));
            }
        }
        for (path, file) in &expected.tree {
            if self.tree.get(path) != Some(file) {
                lines.push(format!("  expected {path}: {file}"));
            }
        }
        for path in self.own_files.symmetric_difference(&expected.own_files) {
            lines.push(format!("  only in one: {path}"));
        }
        if self.registry != expected.registry {
            let (found, wanted) = (&self.registry, &expected.registry);
            lines.push(format!("  registry {found}\n  expected {wanted}"));
        }
        if self.exported != expected.exported {
            lines.push("  hashes.json is another".to_owned());
        }
        lines
    }
}

/// Names beneath a directory of our own state. The search index and the holder's record are effects
/// and may be lost; SQLite's log and its index come and go; a copy of the registry is made when one is
/// due, by whichever run gets to it.
fn list(dir: &Path, prefix: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}/{name}");
        if entry.file_type().unwrap().is_dir() {
            list(&entry.path(), &path, found);
        }
        let may_be_lost = ["search.db", "holder.json", "backup", "backup.lock"]
            .contains(&name.as_str())
            || prefix.ends_with("/backup");
        if !may_be_lost && !name.ends_with("-wal") && !name.ends_with("-shm") {
            found.insert(path);
        }
    }
}

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) images: usize,
    pub(super) violations: usize,
    pub(super) deadline: Option<Instant>,
}

impl Limits {
    /// After so many different images.
    pub(super) fn images(images: usize) -> Self {
        Self {
            images,
            violations: SHOWN_MAX,
            deadline: None,
        }
    }
}

/// What came of the images so far.
#[derive(Default)]
pub(super) struct Found {
    seen: HashSet<(u64, (usize, usize))>,
    /// Different images that were opened.
    pub(super) images: usize,
    kinds: BTreeMap<&'static str, usize>,
    pub(super) violations: Vec<String>,
    /// Search indexes that were damaged without a command noticing: allowed, but told.
    broken_indexes: usize,
}

/// What was looked at, and what was wrong.
pub(super) struct Report {
    name: &'static str,
    calls: usize,
    operations: usize,
    pub(super) points: usize,
    pub(super) enumerated: usize,
    pub(super) found: Found,
    took: Duration,
}

impl Report {
    /// The first violations.
    pub(super) fn shown(&self) -> String {
        let shown = self.found.violations.iter().take(SHOWN_MAX);
        shown.map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self
            .found
            .kinds
            .iter()
            .map(|(kind, count)| format!("{kind} {count}"))
            .collect();
        write!(
            f,
            "{}: {} calls traced, {} operations, {} crash points, {} outcomes, {} different images opened ({}), \
             {} violations, {} search indexes broken unnoticed, {:.1?}",
            self.name,
            self.calls,
            self.operations,
            self.points,
            self.enumerated,
            self.found.images,
            kinds.join(", "),
            self.found.violations.len(),
            self.found.broken_indexes,
            self.took
        )
    }
}

/// One scenario, recorded, with the KBs that it may lead to.
pub(super) struct Rig {
    env: Env,
    recording: Recording,
    expected: Vec<Expected>,
    /// Whether violations are wanted.
    is_control: bool,
}

impl Rig {
    /// Records a scenario, with further variables in the recorded runs only.
    pub(super) fn new(scenario: &Scenario, vars: &[(&str, &str)]) -> Self {
        let env = (scenario.base)(Env::in_memory());
        let base = env.kb();
        let clean = env.path("clean/kb");
        copy_tree(&base, &clean);
        let mut expected = vec![expect(&env, &clean)];
        for step in scenario.steps.iter().filter(|step| step.commits) {
            let said = run(&env, &clean, step.args);
            assert_eq!(said.code, 0, "{}: {said:?}", scenario.name);
            expected.push(expect(&env, &clean));
        }
        for pair in expected.windows(2) {
            assert_ne!(pair[0].followed, pair[1].followed, "{}", scenario.name);
        }
        let recording = Recording::make(&env, &base, scenario, vars);
        let last = expected.last().expect("there is the base");
        assert_eq!(expect(&env, &recording.kb).followed, last.followed);
        Self {
            env,
            recording,
            expected,
            is_control: !vars.is_empty(),
        }
    }

    /// Opens images until a limit is met. Without violations each image is another.
    pub(super) fn check(&self, dice: &mut Rng, mixed: usize, limits: Limits) -> Report {
        let start = Instant::now();
        let outcomes = self.recording.outcomes(dice, mixed);
        let (next, found) = (AtomicUsize::new(0), Mutex::new(Found::default()));
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some(outcome) = outcomes.get(next.fetch_add(1, Ordering::SeqCst)) {
                        let is_late = limits.deadline.is_some_and(|end| Instant::now() > end);
                        if is_late || !self.open(*outcome, &limits, &found) {
                            break;
                        }
                    }
                });
            }
        });
        Report {
            name: self.recording.name,
            calls: self.recording.calls,
            operations: self.recording.operations(),
            points: self.recording.crash_points(),
            enumerated: outcomes.len(),
            found: found.into_inner().unwrap(),
            took: start.elapsed(),
        }
    }

    /// Opens the image of one outcome, if it is a new one; false if a limit was met.
    fn open(&self, outcome: Outcome, limits: &Limits, found: &Mutex<Found>) -> bool {
        let (fingerprint, image) = self.recording.image(outcome);
        let allowed = self.recording.allowed(outcome);
        let number = {
            let mut found = found.lock().unwrap();
            if found.images == limits.images || found.violations.len() >= limits.violations {
                return false;
            }
            if !found.seen.insert((fingerprint, allowed)) {
                return true;
            }
            found.images += 1;
            *found.kinds.entry(outcome.loss.kind()).or_insert(0) += 1;
            found.images
        };
        let kb = self.env.path(&format!("images/{number}/kb"));
        self.recording.model.materialise(&image, &kb);
        match self.reopen(&kb, allowed) {
            Ok(is_index_whole) => {
                found.lock().unwrap().broken_indexes += usize::from(!is_index_whole);
            }
            Err(wrong) => {
                let mut line = format!("{}\n{wrong}", self.recording.describe(outcome));
                if !self.is_control {
                    let kept = keep(&self.recording, &image, number);
                    line += &format!("\nthe image: {}", kept.display());
                }
                found.lock().unwrap().violations.push(line);
            }
        }
        fs::remove_dir_all(kb.parent().unwrap()).unwrap();
        true
    }

    /// Reads the KB as it is found, then adds a document to it; between `least` and `most` of the
    /// commits must be in, and nothing else.
    fn reopen(&self, kb: &Path, (least, most): (usize, usize)) -> Result<bool, String> {
        let listed = run(&self.env, kb, &["list"]);
        let matching = |index: &usize| self.expected[*index].listed == listed.stdout;
        if listed.code != 0 || !(least..=most).any(|index| matching(&index)) {
            return Err(format!(
                "`list`, {least} to {most} commits are in: {listed:?}"
            ));
        }
        let said = run(&self.env, kb, &["add", "docs/follow.md"]);
        if said.code != 0 || !said.stdout.starts_with("added    follow ") {
            return Err(format!("the next command: {said:?}"));
        }
        let left = staging_entries(kb);
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}"));
        }
        let state = State::of(kb);
        let mut lines = vec![format!("{least} to {most} commits are in, {said:?}")];
        let is_index_whole = index_is_whole_or_gone(kb, &said)?;
        for index in (least..=most).filter(matching) {
            let differences = state.differences(&self.expected[index].followed);
            if differences.is_empty() {
                return Ok(is_index_whole);
            }
            lines.push(format!("not the KB after {index} commits:"));
            lines.extend(differences);
        }
        Err(lines.join("\n"))
    }
}

/// The search index is not synced: it may be lost or damaged, but a damage that a command meets must
/// be gone with it. False for one that it did not meet.
fn index_is_whole_or_gone(kb: &Path, said: &Said) -> Result<bool, String> {
    if !said.stderr.contains("could not update the search index") {
        return Ok(is_index_whole(kb).unwrap_or(false));
    }
    match kb.join(".openkb/kbhost/search.db").exists() {
        true => Err(format!("the search index stays damaged: {said:?}")),
        false => Ok(true),
    }
}

/// Whether the search index is whole and has every document.
fn is_index_whole(kb: &Path) -> rusqlite::Result<bool> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let open = |name| Connection::open_with_flags(kb.join(".openkb/kbhost").join(name), flags);
    let text = |connection: &Connection, sql: &str| -> rusqlite::Result<String> {
        connection.query_row(sql, [], |row| row.get(0))
    };
    let (index, registry) = (open("search.db")?, open("registry.db")?);
    let names = "SELECT group_concat(doc_name) FROM (SELECT doc_name FROM";
    let indexed = text(&index, &format!("{names} rows ORDER BY doc_name)"))?;
    let wanted = text(&registry, &format!("{names} documents ORDER BY doc_name)"))?;
    let check = text(&index, "PRAGMA integrity_check")?;
    Ok(indexed == wanted && check == "ok")
}

/// What is to be seen of a KB that a command left by itself.
fn expect(env: &Env, kb: &Path) -> Expected {
    let listed = run(env, kb, &["list"]);
    assert_eq!(listed.code, 0, "{listed:?}");
    let copy = env.path("followed/kb");
    copy_tree(kb, &copy);
    let said = run(env, &copy, &["add", "docs/follow.md"]);
    assert_eq!(said.code, 0, "{said:?}");
    let followed = State::of(&copy);
    check_digests(&copy);
    assert_eq!(staging_entries(&copy), [""; 0]);
    fs::remove_dir_all(copy.parent().unwrap()).unwrap();
    Expected {
        listed: listed.stdout,
        followed,
    }
}

/// Registry and files match one to one, digests included. A state that equals one that was checked
/// needs no check of its own.
fn check_digests(kb: &Path) {
    let path = kb.join(".openkb/kbhost/registry.db");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(path, flags).unwrap();
    let sql = "SELECT path, sha256 FROM pages";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
    let registered: BTreeMap<String, Vec<u8>> = rows.unwrap().map(Result::unwrap).collect();
    for (path, digest) in &registered {
        let bytes = fs::read(kb.join(path)).unwrap();
        assert_eq!(&Sha256::digest(bytes)[..], &digest[..], "{path}");
    }
    for (path, file) in tree(kb) {
        // The pages of the KB itself belong to no document.
        let is_own = ["wiki/log.md", "wiki/index.md", "wiki/AGENTS.md"].contains(&path.as_str());
        let is_registered = registered.contains_key(&path);
        assert!(
            is_registered || is_own || file.starts_with("dir "),
            "{path} is not registered: {registered:?}"
        );
    }
}

fn run(env: &Env, kb: &Path, args: &[&str]) -> Said {
    let mut command = env.command(args);
    env.finish_within(PATIENCE, command.env("KBHOST_KB", kb))
}

/// Keeps an image that led to a violation.
fn keep(recording: &Recording, image: &Image, number: usize) -> PathBuf {
    let name = recording.name.replace([' ', ','], "-");
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-states/{name}-{number}"));
    if dir.exists() {
        fs::remove_dir_all(&dir).unwrap();
    }
    recording.model.materialise(image, &dir.join("kb"));
    dir
}
