//! The crowd: eight processes add, remove, list and show at random, and some are killed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use super::history::{Fit, History, Observer, State, Window};
use crate::support::consistency::{digest, mismatches, violations};
use crate::support::torture::{Rng, Torture, test_seed};
use crate::support::wait::hold_lock;
use crate::support::{Env, Said};

/// Processes at a time.
const PROCESSES: usize = 8;

/// How long a test run lets them.
const TEST_TIME: Duration = Duration::from_secs(20);

/// Without the lock: a try takes this long, and there are so many.
const CONTROL_TIME: Duration = Duration::from_secs(3);
const CONTROL_TRIES_MAX: u64 = 4;

/// Documents they work on, and versions of each: few, so that they meet.
const DOCUMENTS: usize = 12;
const VERSIONS: usize = 5;

/// Lines of a version that say which it is: text of two versions shows.
const LINES: usize = 40;

/// A killed process lives for less than this; a whole one takes about half of it.
const LIFE_MS_MAX: usize = 200;

/// A process that waits for the lock for this long starves, or the lock is held by nobody.
const LOCK_TIMEOUT: &str = "60";

/// What a process was to do.
#[derive(Clone, Debug)]
enum Action {
    /// Documents and the versions of them that lay there.
    Add(Vec<(usize, usize)>),
    Remove(usize),
    List,
    Show(usize),
    Search,
}

/// What a process did.
#[derive(Debug)]
struct Event {
    action: Action,
    window: Window,
    killed: bool,
    /// Whole lines only.
    said: Said,
}

/// What the binary can do as yet.
#[derive(Clone, Copy, Debug)]
struct Abilities {
    /// `remove` is there.
    removes: bool,
    /// `show` takes the shared lock: what it prints is of one state.
    shows_under_lock: bool,
}

impl Abilities {
    fn of(env: &Env) -> Self {
        let lock = hold_lock(env);
        let mut command = env.command(["show", "doc-00"]);
        let mut child = env.spawn(&mut command);
        let deadline = Instant::now() + Duration::from_secs(1);
        while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let passed = child.try_wait().unwrap().is_some_and(|end| end.success());
        drop(lock);
        env.wait(child);
        Self {
            removes: env.run(["remove", "--help"]).code == 0,
            shows_under_lock: !passed,
        }
    }
}

/// A KB, the crowd on it, and what is known of both.
struct Crowd {
    env: Env,
    abilities: Abilities,
    vars: Vec<(&'static str, &'static str)>,
    history: History,
    /// Held by whoever adds a document: nobody changes an input that is being read.
    inputs: Vec<Mutex<()>>,
    events: Mutex<Vec<Event>>,
    is_over: AtomicBool,
    /// Trees read under the shared lock; those not looked at because a dead process left a journal.
    trees: AtomicUsize,
    trees_with_journal: AtomicUsize,
    /// What is wrong, as soon as it is seen.
    wrong: Mutex<Vec<String>>,
}

/// What a crowd came to.
struct Verdict {
    told: String,
    events: usize,
    kills: usize,
    trees: usize,
    commits: usize,
    unknown: usize,
    violations: Vec<String>,
}

fn name(document: usize) -> String {
    format!("doc-{document:02}")
}

fn text(document: usize, version: usize) -> String {
    let mut text = format!(
        "---\ntags: [crowd, kind-{}]\n---\n# The document {document}\n\nThe write-ahead log (WAL).\n\n",
        version % 3
    );
    for line in 0..LINES {
        writeln!(text, "{} {line}\n", token(document, version)).unwrap();
    }
    text
}

fn token(document: usize, version: usize) -> String {
    format!("this is version {version} of document {document}, line")
}

impl Crowd {
    fn new(vars: &[(&'static str, &'static str)]) -> Self {
        let env = Env::in_memory();
        env.doc("doc-00.md", text(0, 0));
        assert_eq!(env.run(["add", "docs/doc-00.md"]).code, 0);
        Self {
            abilities: Abilities::of(&env),
            env,
            vars: vars.to_vec(),
            history: History::default(),
            inputs: (0..DOCUMENTS).map(|_| Mutex::new(())).collect(),
            events: Mutex::default(),
            is_over: AtomicBool::new(false),
            trees: AtomicUsize::new(0),
            trees_with_journal: AtomicUsize::new(0),
            wrong: Mutex::default(),
        }
    }

    /// Lets the crowd loose, and judges what it did.
    fn run(&self, seed: u64, time: Duration) -> Verdict {
        std::thread::scope(|scope| {
            let mut seeds = Rng::new(seed);
            for _ in 0..PROCESSES {
                let seed = seeds.next();
                scope.spawn(move || {
                    self.guarded(|observer| self.act(&mut Rng::new(seed), observer))
                });
            }
            scope.spawn(|| self.guarded(|observer| self.watch(observer)));
            scope.spawn(|| self.guarded(|_| self.read_trees()));
            let end = Instant::now() + time;
            while Instant::now() < end && !self.is_over.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(20));
            }
            self.is_over.store(true, Ordering::SeqCst);
        });
        self.judge()
    }

    /// Runs one of the threads; a KB that it cannot read is wrong, and ends all.
    fn guarded(&self, body: impl FnOnce(&mut Observer) -> rusqlite::Result<()>) {
        let done = Observer::new(&self.env.kb()).and_then(|mut observer| body(&mut observer));
        if let Err(error) = done {
            self.blame(format!("the registry cannot be read: {error}"));
            self.is_over.store(true, Ordering::SeqCst);
        }
    }

    fn blame(&self, what: String) {
        self.wrong.lock().unwrap().push(what);
    }

    /// One process after another.
    fn act(&self, rng: &mut Rng, observer: &mut Observer) -> rusqlite::Result<()> {
        while !self.is_over.load(Ordering::SeqCst) {
            let document = rng.below(DOCUMENTS);
            let mut held: Vec<MutexGuard<'_, ()>> = Vec::new();
            let action = match rng.below(10) {
                0..=3 => self.put_inputs(rng, &mut held),
                4 | 5 if self.abilities.removes => Action::Remove(document),
                4..=6 => Action::List,
                7 | 8 => Action::Show(document),
                _ => Action::Search,
            };
            if matches!(&action, Action::Add(inputs) if inputs.is_empty()) {
                continue;
            }
            let life = rng.chance(0.25).then(|| rng.below(LIFE_MS_MAX) as u64);
            let first = self.history.observe(observer)?;
            let event = self.perform(action, life.map(Duration::from_millis));
            let last = self.history.observe(observer)?;
            let window = Window { first, last };
            self.events.lock().unwrap().push(Event { window, ..event });
        }
        Ok(())
    }

    /// Writes some inputs that nobody reads just now.
    fn put_inputs<'a>(&'a self, rng: &mut Rng, held: &mut Vec<MutexGuard<'a, ()>>) -> Action {
        let mut inputs = BTreeMap::new();
        for _ in 0..=rng.below(3) {
            let (document, version) = (rng.below(DOCUMENTS), rng.below(VERSIONS));
            let Ok(lock) = self.inputs[document].try_lock() else {
                continue;
            };
            held.push(lock);
            inputs.insert(document, version);
            let path = format!("{}.md", name(document));
            self.env.doc(&path, text(document, version));
        }
        Action::Add(inputs.into_iter().collect())
    }

    /// The arguments of an action. The only place that says how a document is removed.
    fn args(action: &Action) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match action {
            Action::Add(inputs) => {
                let mut args: Vec<String> =
                    words(&["add", "--jobs", "2", "--lock-timeout", LOCK_TIMEOUT]);
                let path = |(document, _): &(usize, usize)| format!("docs/{}.md", name(*document));
                args.extend(inputs.iter().map(path));
                args
            }
            Action::Remove(document) => {
                let name = name(*document);
                words(&["remove", &name, "--yes", "--lock-timeout", LOCK_TIMEOUT])
            }
            Action::List => words(&["list", "--json"]),
            Action::Show(document) => words(&["show", "--json", &name(*document)]),
            Action::Search => words(&["search", "--json", "version"]),
        }
    }

    /// Runs a process to its end, or kills it when it has lived for `life`.
    fn perform(&self, action: Action, life: Option<Duration>) -> Event {
        let mut command = self.env.command(Self::args(&action));
        command
            .envs(self.vars.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // What it says fits into the pipes: nobody needs to read it meanwhile.
        let mut child = command.spawn().unwrap();
        let end = life.map(|life| Instant::now() + life);
        let mut killed = false;
        while child.try_wait().unwrap().is_none() {
            if end.is_some_and(|end| Instant::now() >= end) {
                child.kill().unwrap();
                killed = true;
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let whole = stdout.rfind('\n').map_or("", |end| &stdout[..=end]);
        Event {
            action,
            window: Window { first: 0, last: 0 },
            killed,
            said: Said {
                stdout: whole.to_owned(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                code: output.status.code().unwrap_or(-1),
            },
        }
    }

    /// Sees every epoch, if the machine lets it.
    fn watch(&self, observer: &mut Observer) -> rusqlite::Result<()> {
        while !self.is_over.load(Ordering::SeqCst) {
            self.history.observe(observer)?;
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Reads the whole tree under the shared lock, as another program would, again and again: it
    /// must be the one the registry speaks of.
    fn read_trees(&self) -> rusqlite::Result<()> {
        let openkb = self.env.kb().join(".openkb");
        let journals = openkb.join("kbhost/journal");
        while !self.is_over.load(Ordering::SeqCst) {
            let gate = File::open(openkb.join("gate.lock")).unwrap();
            let lock = File::open(openkb.join("ingest.lock")).unwrap();
            gate.lock_shared().unwrap();
            lock.lock_shared().unwrap();
            drop(gate);
            // Whoever died amid a mutation left it to the next owner: nobody may read that tree yet.
            if fs::read_dir(&journals).unwrap().next().is_some() {
                self.trees_with_journal.fetch_add(1, Ordering::SeqCst);
            } else {
                let kb = self.env.kb();
                let wrong = std::panic::catch_unwind(|| mismatches(&kb));
                let wrong =
                    wrong.unwrap_or_else(|_| vec!["files come and go while it is read".to_owned()]);
                for line in wrong {
                    self.blame(format!("a reader's tree: {line}"));
                }
                self.trees.fetch_add(1, Ordering::SeqCst);
            }
            drop(lock);
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Holds everything against the history, and the KB against itself.
    fn judge(&self) -> Verdict {
        // The last process may have been killed: the next one settles what it left.
        self.env.doc("last.md", "# The last\n");
        let said = self.env.run(["add", "docs/last.md"]);
        if said.code != 0 {
            self.blame(format!("the next command does not just work: {said:?}"));
        }
        for line in violations(&self.env.kb()) {
            self.blame(format!("at the end: {line}"));
        }
        self.guarded(|observer| {
            self.history.observe(observer)?;
            for leap in self.history.leaps(observer)? {
                self.blame(leap);
            }
            Ok(())
        });
        let events = self.events.lock().unwrap();
        let mut unknown = 0;
        let mut done = BTreeMap::<&str, usize>::new();
        for event in events.iter() {
            *done.entry(event.verb()).or_default() += 1;
            match self.fit(event) {
                Fit::True => {}
                Fit::Unknown => unknown += 1,
                Fit::False => self.blame(format!("not so at any epoch: {event:?}")),
            }
        }
        let kills = events.iter().filter(|event| event.killed).count();
        let (seen, unseen) = self.history.coverage();
        let trees = self.trees.load(Ordering::SeqCst);
        let violations = std::mem::take(&mut *self.wrong.lock().unwrap());
        let told = format!(
            "{} processes ({done:?}), {kills} killed; {} epochs, {unseen} of them unseen, {unknown} \
             answers not judged; {trees} trees read, {} not for a journal; {:?}; {} violations",
            events.len(),
            seen + unseen,
            self.trees_with_journal.load(Ordering::SeqCst),
            self.abilities,
            violations.len(),
        );
        covered!("crowd {:?}: {told}", self.vars);
        Verdict {
            told,
            events: events.len(),
            kills,
            trees,
            commits: seen + unseen,
            unknown,
            violations,
        }
    }

    /// Whether what a process said was so.
    fn fit(&self, event: &Event) -> Fit {
        if event.killed {
            return match &event.action {
                Action::Add(inputs) => self.fit_added(event, inputs),
                _ => Fit::True,
            };
        }
        let absent = |document: usize| {
            let name = name(document);
            let state = |state: &State| !state.contains_key(&name);
            self.history.fit(event.window, state)
        };
        match (&event.action, event.said.code) {
            (Action::Add(inputs), code @ (0 | 1))
                if event.said.stdout.lines().count() == inputs.len()
                    && event.said.stdout.contains("failed ") == (code == 1) =>
            {
                self.fit_added(event, inputs)
            }
            (Action::Remove(document), 0) => absent(*document),
            // Not there, or no longer what it was when it was looked up.
            (Action::Remove(document), 1) => match absent(*document) {
                Fit::True => Fit::True,
                _ => {
                    let name = name(*document);
                    let row = |state: &State| state.get(&name).cloned();
                    self.history.changed(event.window, row)
                }
            },
            (Action::List, 0) => self.fit_listed(event),
            (Action::Show(document), 0) => self.fit_shown(event, *document),
            (Action::Show(document), 1) => match absent(*document) {
                Fit::False if !self.abilities.shows_under_lock => Fit::True,
                fit => fit,
            },
            (Action::Search, 0) => Fit::True,
            // The lock was not free in time: nobody learned anything.
            (_, 75) => Fit::Unknown,
            _ => Fit::False,
        }
    }

    /// Each line acknowledges its input, and that version was in. One that failed was a copy when it
    /// was prepared, of a document that was gone or another one when it was its turn.
    fn fit_added(&self, event: &Event, inputs: &[(usize, usize)]) -> Fit {
        let mut fits = Fit::True;
        for (line, (document, version)) in event.said.stdout.lines().zip(inputs) {
            let (name, hash) = (
                name(*document),
                digest(text(*document, *version).as_bytes()),
            );
            let is_in = |state: &State| state.get(&name).is_some_and(|row| row.hash == hash);
            if line.starts_with("failed   - <- ") {
                match self
                    .history
                    .changed(event.window, |state| Some(is_in(state)))
                {
                    Fit::True => {}
                    Fit::Unknown => fits = Fit::Unknown,
                    Fit::False => return Fit::False,
                }
                continue;
            }
            let said = ["added   ", "updated ", "skipped "];
            if !said
                .iter()
                .any(|word| line.starts_with(&format!("{word} {name} <- ")))
            {
                return Fit::False;
            }
            match self.history.fit(event.window, is_in) {
                Fit::True => {}
                Fit::Unknown => fits = Fit::Unknown,
                Fit::False => return Fit::False,
            }
        }
        fits
    }

    /// The list is that of one epoch.
    fn fit_listed(&self, event: &Event) -> Fit {
        let Some(answer) = event.answer() else {
            return Fit::False;
        };
        let rows = answer["documents"].as_array().cloned().unwrap_or_default();
        let listed: BTreeMap<&str, &str> = rows
            .iter()
            .filter_map(|row| Some((row["doc_name"].as_str()?, row["hash"].as_str()?)))
            .collect();
        self.history.fit(event.window, |state| {
            state.len() == listed.len()
                && state
                    .iter()
                    .all(|(name, row)| listed.get(name.as_str()) == Some(&row.hash.as_str()))
        })
    }

    /// Text and row are of one version, and that was in.
    fn fit_shown(&self, event: &Event, document: usize) -> Fit {
        let Some(answer) = event.answer() else {
            return Fit::False;
        };
        if !self.abilities.shows_under_lock {
            return Fit::True;
        }
        let hash = answer["document"]["hash"].as_str().unwrap_or_default();
        let shown = answer["text"].as_str().unwrap_or_default();
        let version =
            (0..VERSIONS).find(|version| digest(text(document, *version).as_bytes()) == hash);
        let whole = version.is_some_and(|version| {
            shown.matches(&token(document, version)).count() == LINES
                && shown.matches("this is version").count() == LINES
        });
        if !whole {
            return Fit::False;
        }
        let name = name(document);
        self.history.fit(event.window, |state| {
            state.get(&name).is_some_and(|row| row.hash == hash)
        })
    }
}

impl Event {
    fn verb(&self) -> &'static str {
        match self.action {
            Action::Add(_) => "add",
            Action::Remove(_) => "remove",
            Action::List => "list",
            Action::Show(_) => "show",
            Action::Search => "search",
        }
    }

    fn answer(&self) -> Option<serde_json::Value> {
        serde_json::from_str(&self.said.stdout).ok()
    }
}

#[test]
fn eight_processes_at_random_and_every_reader_sees_a_committed_state() {
    let crowd = Crowd::new(&[]);
    // Otherwise the crowd would do less, and be judged by less.
    let Abilities {
        removes,
        shows_under_lock,
    } = crowd.abilities;
    assert!(removes && shows_under_lock, "{:?}", crowd.abilities);
    let verdict = crowd.run(test_seed(), TEST_TIME);
    assert_eq!(verdict.violations, [""; 0]);
    // Something happened, and nearly all of it could be judged.
    assert!(verdict.events >= 100, "{}", verdict.told);
    assert!(verdict.kills >= 10, "{}", verdict.told);
    assert!(verdict.commits >= 20, "{}", verdict.told);
    assert!(verdict.trees >= 20, "{}", verdict.told);
    assert!(verdict.unknown * 10 <= verdict.events, "{}", verdict.told);
}

/// The rig can fail: without the lock it sees what two owners at once do. An error of a process
/// that another one got in the way of counts, as it does with the lock.
#[test]
fn a_crowd_without_the_lock_is_noticed() {
    let noticed = (0..CONTROL_TRIES_MAX).any(|attempt| {
        let crowd = Crowd::new(&[("KBHOST_TEST_NO_LOCK", "1")]);
        let verdict = crowd.run(test_seed() + attempt, CONTROL_TIME);
        for line in verdict.violations.iter().take(3) {
            covered!("noticed: {line}");
        }
        !verdict.violations.is_empty()
    });
    assert!(noticed, "nobody missed the lock");
}

#[test]
#[ignore = "torture"]
fn torture_concurrency() {
    /// A crowd's KB is left for a fresh one after this.
    const ROUND: Duration = Duration::from_secs(60);

    let torture = Torture::from_env().expect("KBHOST_TORTURE_SEED and _MINUTES are set");
    let mut seeds = Rng::new(torture.seed);
    let (mut rounds, mut events, mut kills, mut commits, mut trees) = (0, 0, 0, 0, 0);
    while torture.goes_on() {
        let left = torture.deadline.saturating_duration_since(Instant::now());
        let verdict = Crowd::new(&[]).run(seeds.next(), left.min(ROUND));
        assert_eq!(verdict.violations, [""; 0]);
        rounds += 1;
        events += verdict.events;
        kills += verdict.kills;
        commits += verdict.commits;
        trees += verdict.trees;
    }
    torture.covered(&format!(
        "concurrency: {rounds} crowds of {PROCESSES}, {events} processes, {kills} killed, {commits} \
         epochs, {trees} trees read; 0 violations"
    ));
}
