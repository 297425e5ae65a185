//! Crash states. Goal: whatever a power cut keeps of what was written and not synced, the KB is one
//! of those between the commands, everything that was acknowledged is in it, and the next command
//! goes on. Method, after ALICE and CrashMonkey: the system calls of real runs are recorded and
//! played on a model of a file system; behind each operation the trees that a crash may leave are
//! enumerated, written to disk and opened again.
//!
//! The search index, the log page, `holder.json` and the place of `hashes.json` are not promised to
//! last: they may be lost or torn, and the next command must cope.

mod call;
mod check;
mod image;
mod model;
mod recording;
mod trace;

use std::time::Instant;

use self::check::{Limits, Rig};
use self::recording::{Scenario, Step};
use crate::support::torture::{Rng, Torture, test_seed};
use crate::support::{has, skip};

/// Images of one scenario that a test run opens.
const SAMPLE_IMAGES: usize = 100;

/// Images that a test run without a protection opens, unless it finds enough that is wrong before.
const CONTROL_IMAGES: usize = 300;

/// So many violations show that a missing protection is noticed.
const CONTROL_VIOLATIONS: usize = 3;

const SCENARIOS: [Scenario; 7] = [
    Scenario {
        name: "first add, with an image",
        base: documents::without_wal,
        steps: &[Step::runs(&["add", "docs/a.md"])],
    },
    Scenario {
        name: "add that makes the registry",
        base: documents::without_registry,
        steps: &[Step::runs(&["add", "docs/b.md"])],
    },
    Scenario {
        name: "update",
        base: documents::changed,
        steps: &[Step::runs(&["add", "docs/a.md"])],
    },
    Scenario {
        name: "batch of three",
        base: documents::first,
        steps: &[Step::runs(&["add", "docs/b.md", "docs/c.md", "docs/d.md"])],
    },
    Scenario {
        name: "update that dies, and its undoing",
        base: documents::changed,
        steps: &[
            Step::dies(&["add", "docs/a.md"], "registry.after:abort"),
            Step::runs(&["add", "docs/c.md"]),
        ],
    },
    Scenario {
        name: "update that dies committed, and its cleaning up",
        base: documents::changed,
        steps: &[
            Step::dies_committed(&["add", "docs/a.md"], "commit.after:abort"),
            Step::runs(&["add", "docs/c.md"]),
        ],
    },
    Scenario {
        name: "removal",
        base: documents::changed,
        steps: &[Step::runs(&["remove", "a", "--yes"])],
    },
];

/// The update, for the negative controls: it replaces and removes files.
const UPDATE: &Scenario = &SCENARIOS[2];

/// The KBs and documents of the scenarios.
mod documents {
    use std::fs;

    use crate::support::Env;

    /// Above the size up to which a pre-image is a copy.
    const LARGE_BYTES: usize = (1 << 20) + 1;

    fn page(title: &str, tags: &str, text: &str) -> String {
        format!("---\ntags: [{tags}]\n---\n# {title}\n\n{text}\n\nThe NASA report says so.\n")
    }

    fn picture(filler: u8, bytes: usize) -> Vec<u8> {
        let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
        picture.resize(bytes, filler);
        picture
    }

    /// Documents that share pages, none of them added.
    pub(super) fn first(env: Env) -> Env {
        env.doc("img/one.png", picture(1, 3000));
        env.doc("a.md", page("A", "storage, alpha", "![one](img/one.png)"));
        env.doc("b.md", page("B", "storage, alpha", "Another document."));
        env.doc("c.md", page("C", "storage, beta", "A third one."));
        env.doc("d.md", page("D", "storage, beta", "A fourth one."));
        env.doc("follow.md", page("Follow", "storage", "Comes next."));
        env
    }

    /// As if the KB had been copied: SQLite's log is folded in and not there.
    pub(super) fn without_wal(env: Env) -> Env {
        let env = first(env);
        for name in ["registry.db-wal", "registry.db-shm"] {
            let path = env.kb().join(".openkb/kbhost").join(name);
            if path.exists() {
                assert!(name.ends_with("-shm") || path.metadata().unwrap().len() == 0);
                fs::remove_file(path).unwrap();
            }
        }
        env
    }

    /// As if only OpenKB had ever seen the KB.
    pub(super) fn without_registry(env: Env) -> Env {
        let env = first(env);
        fs::remove_dir_all(env.kb().join(".openkb/kbhost")).unwrap();
        env
    }

    /// Two are added; then the first changes: one picture goes, one is replaced, and a concept is
    /// no longer shared.
    pub(super) fn changed(env: Env) -> Env {
        let env = first(env);
        env.doc("img/one.png", picture(1, LARGE_BYTES));
        env.doc("img/two.png", picture(2, 100));
        let pictures = "![one](img/one.png) ![two](img/two.png)";
        env.doc("a.md", page("A", "storage, alpha", pictures));
        let said = env.run(["add", "docs/a.md", "docs/b.md"]);
        assert_eq!(said.code, 0, "{said:?}");
        env.doc("img/one.png", picture(3, LARGE_BYTES));
        let text = "![one](img/one.png) and more.";
        env.doc("a.md", page("A new", "storage", text));
        env
    }
}

fn can_trace() -> bool {
    if !has("strace") {
        skip("crash states", "strace is not installed");
    }
    has("strace")
}

#[test]
fn every_crash_state_is_the_kb_before_or_after() {
    if !can_trace() {
        return;
    }
    let (start, seed) = (Instant::now(), test_seed());
    let (mut images, mut violations) = (0, Vec::new());
    for scenario in &SCENARIOS {
        let rig = Rig::new(scenario, &[]);
        let report = rig.check(&mut Rng::new(seed), 0, Limits::images(SAMPLE_IMAGES));
        covered!("crash states: {report}");
        let found = report.found;
        assert!(found.images == SAMPLE_IMAGES || !found.violations.is_empty());
        images += found.images;
        violations.extend(found.violations);
    }
    covered!(
        "crash states: {images} images, seed {seed}, {:.0?}",
        start.elapsed()
    );
    assert!(violations.is_empty(), "{}", violations.join("\n\n"));
}

/// The negative controls: without the syncs of files, or of directories, the rig must find broken
/// KBs.
#[test]
fn crash_states_show_a_missing_sync() {
    if !can_trace() {
        return;
    }
    for part in ["FILE_SYNC", "DIR_SYNC"] {
        let variable = format!("KBHOST_TEST_NO_{part}");
        let rig = Rig::new(UPDATE, &[(&variable, "1")]);
        let limits = Limits {
            violations: CONTROL_VIOLATIONS,
            ..Limits::images(CONTROL_IMAGES)
        };
        let report = rig.check(&mut Rng::new(test_seed()), 0, limits);
        covered!("crash states without {part}: {report}");
        let found = report.found.violations.len();
        assert!(found >= CONTROL_VIOLATIONS, "{part}: {report}");
    }
}

/// All images of all scenarios, then further ones by throws of dice, until the time is used.
#[test]
#[ignore = "torture"]
fn torture_crash_states() {
    let torture = Torture::from_env().expect("seed and minutes are given");
    assert!(has("strace"), "strace is not installed");
    let mut dice = Rng::new(torture.seed);
    let (mut images, mut enumerated, mut points, mut rounds) = (0, 0, 0, 0);
    // Each round looks further, so that no scenario waits for the end of another.
    for round in 0.. {
        for scenario in &SCENARIOS {
            if !torture.goes_on() {
                break;
            }
            let rig = Rig::new(scenario, &[]);
            let limits = Limits {
                deadline: Some(torture.deadline),
                ..Limits::images(SAMPLE_IMAGES << round.min(16))
            };
            let report = rig.check(&mut dice, round, limits);
            let found = &report.found;
            assert!(found.violations.is_empty(), "{report}\n{}", report.shown());
            images += found.images;
            enumerated += report.enumerated;
            points += report.points;
        }
        if !torture.goes_on() {
            break;
        }
        rounds += 1;
    }
    assert!(images > 0, "no time for an image");
    torture.covered(&format!(
        "{images} crash images of {enumerated} enumerated at {points} crash points of {} scenarios in {rounds} whole rounds, 0 violations",
        SCENARIOS.len()
    ));
}
