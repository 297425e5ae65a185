//! How long somebody waits for the lock. The machine runs other tests meanwhile: medians are held
//! against the limits, and the worst is printed.

use std::fs::{self, File};
use std::path::Path;
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::wait::until;
use crate::support::{Env, json};

/// From a holder's death to the next holder.
const AFTER_KILL_MAX: Duration = Duration::from_millis(100);

/// A `list` beside a large `add`.
const LIST_MAX: Duration = Duration::from_millis(100);

/// A `list` with nobody beside it takes longer where other work keeps the machine busy: what it takes
/// beside an `add` says nothing of the `add` then.
const IDLE_MAX: Duration = Duration::from_millis(50);

/// Readers in a loop.
const READERS: usize = 8;

/// How long each of them holds the lock, again and again.
const HOLD: Duration = Duration::from_millis(200);

/// Each figure is measured this often.
const RUNS: usize = 5;

fn note(env: &Env, n: usize) -> String {
    let name = format!("note-{n:03}.md");
    let text = format!(
        "---\ntags: [storage, t{}]\n---\n# Note {n}\n\nText {n}.\n",
        n % 7
    );
    env.doc(&name, text);
    format!("docs/{name}")
}

/// Whether a process has passed a fault point.
fn has_passed(trace: &Path, point: &str) -> bool {
    let passed = fs::read_to_string(trace).unwrap_or_default();
    passed.lines().any(|name| name == point)
}

/// The moment at which a process is seen to have passed a fault point: exact to a fraction of a
/// millisecond, where `until` looks up only now and then.
fn moment(trace: &Path, point: &str) -> Instant {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !has_passed(trace, point) {
        assert!(Instant::now() < deadline, "waited in vain: {point}");
        std::thread::sleep(Duration::from_micros(200));
    }
    Instant::now()
}

/// Median and worst of some times.
fn summary(times: &mut [Duration]) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

/// A process that ends with the value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

/// Starts an `add` that notes what it passes.
fn add(env: &Env, trace: &Path, document: &str, fault: Option<&str>) -> Child {
    drop(fs::remove_file(trace));
    let mut command = env.command(["add", "--lock-timeout", "60", document]);
    command.env("KBHOST_FAULT_TRACE", trace);
    command.envs(fault.map(|fault| ("KBHOST_FAULT", fault)));
    env.spawn(&mut command)
}

#[test]
fn the_lock_of_a_killed_holder_is_free_at_once() {
    let env = Env::new();
    let (dead, next) = (env.path("dead"), env.path("next"));
    let (mut acquired, mut drained) = (Vec::new(), Vec::new());
    for n in 0..RUNS {
        let documents = [note(&env, 2 * n), note(&env, 2 * n + 1)];
        let fault = Some("write.before:delay-60000");
        let holder = Ended(add(&env, &dead, &documents[0], fault));
        until("the holder is amid its mutation", || {
            has_passed(&dead, "write.before")
        });
        let waiting = add(&env, &next, &documents[1], None);
        until("the other waits", || has_passed(&next, "lock.before"));
        assert!(!has_passed(&next, "lock.after"));
        let killed = Instant::now();
        drop(holder);
        acquired.push(moment(&next, "lock.after") - killed);
        drained.push(moment(&next, "drain.after") - killed);
        let said = env.wait(waiting);
        assert_eq!(said.code, 0, "{said:?}");
    }
    let (median, worst) = summary(&mut acquired);
    covered!(
        "acquire after a killed holder: median {median:?}, worst {worst:?} of {RUNS}; with its \
         mutation undone: {:?}",
        summary(&mut drained)
    );
    assert!(median < AFTER_KILL_MAX, "{acquired:?}");
    let list = json(&env.run(["list", "--json"]));
    assert_eq!(list["documents"].as_array().unwrap().len(), RUNS);
}

/// Takes the shared lock as every reader does, holds it, and begins again, until told to stop. Without the
/// turnstile it is a reader that a writer has no chance against.
fn read_in_a_loop(env: &Env, is_over: &AtomicBool, turnstile: bool) {
    let openkb = env.kb().join(".openkb");
    while !is_over.load(Ordering::SeqCst) {
        let gate = File::open(openkb.join("gate.lock")).unwrap();
        let lock = File::open(openkb.join("ingest.lock")).unwrap();
        if turnstile {
            gate.lock_shared().unwrap();
        }
        lock.lock_shared().unwrap();
        drop(gate);
        std::thread::sleep(HOLD);
    }
}

/// Runs something beside readers that never leave a gap.
fn beside_readers<T>(env: &Env, turnstile: bool, body: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..READERS {
            let is_over = &is_over;
            scope.spawn(move || {
                std::thread::sleep(HOLD * n as u32 / READERS as u32);
                read_in_a_loop(env, is_over, turnstile);
            });
        }
        std::thread::sleep(HOLD);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        is_over.store(true, Ordering::SeqCst);
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_writer_gets_its_turn_among_readers_that_leave_no_gap() {
    let env = Env::new();
    let trace = env.path("trace");
    // A run before: the converter's compilation is nobody's wait.
    assert_eq!(env.run(["add", &note(&env, 99)]).code, 0);
    let mut waits = beside_readers(&env, true, || {
        let wait = |n| {
            let document = note(&env, n);
            let child = add(&env, &trace, &document, None);
            let started = moment(&trace, "lock.before");
            let wait = moment(&trace, "lock.after") - started;
            let said = env.wait(child);
            assert_eq!(said.code, 0, "{said:?}");
            wait
        };
        (0..RUNS).map(wait).collect::<Vec<_>>()
    });
    let (median, worst) = summary(&mut waits);
    covered!(
        "a writer among {READERS} readers that hold for {HOLD:?}: median {median:?}, worst {worst:?}"
    );
    assert!(median <= 2 * HOLD, "{waits:?}");
    // The readers were in its way, and would keep it out for good if they passed the turnstile by.
    let document = note(&env, 100);
    let said = beside_readers(&env, false, || {
        env.run(["add", "--lock-timeout", "1", &document])
    });
    assert_eq!(said.code, 75, "{said:?}");
}

#[test]
fn a_writer_gets_its_turn_among_commands_that_read() {
    let env = Env::new();
    let trace = env.path("trace");
    assert_eq!(env.run(["add", &note(&env, 99)]).code, 0);
    let is_over = AtomicBool::new(false);
    let (mut waits, holds) = std::thread::scope(|scope| {
        let show = || {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::SeqCst) {
                let started = Instant::now();
                let said = env.run(["show", "note-099"]);
                assert_eq!(said.code, 0, "{said:?}");
                longest = longest.max(started.elapsed());
            }
            longest
        };
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(show)).collect();
        let wait = |n| {
            let document = note(&env, n);
            let child = add(&env, &trace, &document, None);
            let started = moment(&trace, "lock.before");
            let wait = moment(&trace, "lock.after") - started;
            let said = env.wait(child);
            assert_eq!(said.code, 0, "{said:?}");
            wait
        };
        let waits: Vec<_> = (0..RUNS).map(wait).collect();
        is_over.store(true, Ordering::SeqCst);
        let holds: Vec<Duration> = readers
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect();
        (waits, holds)
    });
    // No command holds the lock for longer than it runs.
    let hold = holds.into_iter().max().unwrap_or_default();
    let (median, worst) = summary(&mut waits);
    covered!(
        "a writer among {READERS} looping `show`: median {median:?}, worst {worst:?}; its bound is \
         twice what a whole `show` ran at the longest, {hold:?}, and not twice how long it held the lock"
    );
    assert!(median <= 2 * hold, "{waits:?}, {hold:?}");
}

#[test]
fn list_answers_at_once_during_an_add_of_200_files() {
    const FILES: usize = 200;

    let env = Env::new();
    for n in 0..FILES {
        note(&env, n);
    }
    assert_eq!(env.run(["add", "docs/note-000.md"]).code, 0);
    let list = || {
        let started = Instant::now();
        let said = env.run(["list", "--json"]);
        let time = started.elapsed();
        (time, json(&said)["documents"].as_array().unwrap().len())
    };
    // With nobody adding: where other work keeps the machine busy, this takes its time as well.
    let mut idle: Vec<Duration> = (0..10).map(|_| list().0).collect();
    let (idle, _) = summary(&mut idle);
    let mut adding = env.spawn(&mut env.command(["add", "--jobs", "2", "docs"]));
    let (mut times, mut counts) = (Vec::new(), Vec::new());
    while adding.try_wait().unwrap().is_none() {
        let (time, count) = list();
        times.push(time);
        counts.push(count);
    }
    let said = env.wait(adding);
    assert_eq!(said.code, 0, "{said:?}");
    let (median, worst) = summary(&mut times);
    let is_bounded = idle < IDLE_MAX;
    let bound = match is_bounded {
        true => format!("at most {LIST_MAX:?}"),
        false => "not bounded: the machine is busy with other work".to_owned(),
    };
    covered!(
        "list during an add of {FILES} files: median {median:?}, worst {worst:?} of {}; alone, \
         {idle:?}; {bound}",
        times.len()
    );
    // Never a document less, some amid the add, all in the end.
    assert!(counts.is_sorted(), "{counts:?}");
    let amid = counts.iter().any(|count| (2..FILES).contains(count));
    assert!(amid && times.len() >= 5, "{counts:?}");
    assert_eq!(list().1, FILES);
    assert!(!is_bounded || median < LIST_MAX, "{times:?}");
}
