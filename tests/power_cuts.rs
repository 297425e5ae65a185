//! Power cuts: an `add` on a real file system whose power is cut under it. What was acknowledged
//! before the cut is in, and the KB is one of the states the inputs lead through.
//!
//! The acknowledgements that count are the lines read before the cut. The state that counts is what
//! the next command makes of the disk once its file system has replayed its log.

mod cut;
mod workload;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use crate::support::Env;
use crate::support::disk::{Disk, FileSystem};
use crate::support::torture::{Rng, Torture, test_seed};

use cut::{Cut, Outcome};
use workload::Workload;

/// Cuts of each file system in a test run.
const CUTS: usize = 24;

/// Cuts in which a rig without protection must see what that leads to. Most show it at once.
const CONTROL_CUTS_MAX: usize = 15;

/// What a series of cuts came to.
#[derive(Default)]
struct Tally {
    cuts: usize,
    /// Cuts that came before the command was done.
    amid: usize,
    /// Fault points that were the last before a cut.
    points: BTreeSet<String>,
    acknowledged: usize,
    /// Documents that were in and not acknowledged before the cut.
    beyond: usize,
    /// How many documents were in, and how often.
    states: BTreeMap<usize, usize>,
    violations: Vec<String>,
}

impl Tally {
    fn count(&mut self, seed: u64, outcome: Outcome) {
        self.cuts += 1;
        self.amid += usize::from(outcome.amid);
        self.points.insert(outcome.point);
        self.acknowledged += outcome.acknowledged;
        if let Some(committed) = outcome.committed {
            self.beyond += committed.saturating_sub(outcome.acknowledged);
            *self.states.entry(committed).or_default() += 1;
        }
        let violations = outcome.violations.into_iter();
        self.violations
            .extend(violations.map(|line| format!("seed {seed}, {line}")));
    }

    fn line(&self) -> String {
        format!(
            "{} cuts, {} of them amid the command, behind {} different steps; {} acknowledgements \
             before a cut, {} documents in without; {} different states; {} violations",
            self.cuts,
            self.amid,
            self.points.len(),
            self.acknowledged,
            self.beyond,
            self.states.len(),
            self.violations.len()
        )
    }
}

/// A disk, and what is done on it.
struct Rig {
    file_system: FileSystem,
    // Before the environment: the mount goes before the directory it is in.
    disk: Disk,
    workload: Workload,
}

impl Rig {
    fn new(file_system: FileSystem) -> Option<Self> {
        let workload = Workload::new(Env::in_memory());
        let disk = Disk::new(file_system, &workload.env.path("disk"), "power cuts")?;
        Some(Self {
            file_system,
            disk,
            workload,
        })
    }

    /// Cuts once for each of `seeds`, with switches of the rigs in `vars`, while `goes_on`.
    fn cut(
        &mut self,
        seeds: impl Iterator<Item = u64>,
        vars: &[(&str, &str)],
        mut goes_on: impl FnMut(&Tally) -> bool,
    ) -> Tally {
        let mut tally = Tally::default();
        for seed in seeds {
            let planned = Cut::plan(&mut Rng::new(seed), &self.workload);
            let outcome = planned.perform(seed, &mut self.disk, &mut self.workload, vars);
            tally.count(seed, outcome);
            if !goes_on(&tally) {
                break;
            }
        }
        covered!("{:?} {vars:?}: {}", self.file_system, tally.line());
        tally
    }
}

/// Seeds that follow one.
fn seeds(first: u64) -> impl Iterator<Item = u64> {
    let mut rng = Rng::new(first);
    std::iter::repeat_with(move || rng.next())
}

fn survives(file_system: FileSystem) {
    let Some(mut rig) = Rig::new(file_system) else {
        return;
    };
    let tally = rig.cut(seeds(test_seed()).take(CUTS), &[], |_| true);
    assert_eq!(tally.violations, [""; 0]);
    assert_eq!(tally.cuts, CUTS);
    // The cuts came where they can do harm, and there was something to lose.
    assert!(tally.amid >= CUTS / 2, "{}", tally.line());
    assert!(tally.acknowledged >= CUTS, "{}", tally.line());
    assert!(tally.states.len() >= 4, "{}", tally.line());
}

#[test]
fn what_was_acknowledged_survives_power_cuts_on_ext4() {
    survives(FileSystem::Ext4);
}

#[test]
fn what_was_acknowledged_survives_power_cuts_on_xfs() {
    survives(FileSystem::Xfs);
}

/// Without file syncs the same cuts find violations: the rig can fail.
#[test]
fn power_cuts_without_file_syncs_are_noticed() {
    for file_system in [FileSystem::Ext4, FileSystem::Xfs] {
        let Some(mut rig) = Rig::new(file_system) else {
            return;
        };
        let seeds = seeds(test_seed()).take(CONTROL_CUTS_MAX);
        let vars = [("KBHOST_TEST_NO_FILE_SYNC", "1")];
        let tally = rig.cut(seeds, &vars, |tally| tally.violations.is_empty());
        assert!(!tally.violations.is_empty(), "{}", tally.line());
        covered!("noticed: {}", tally.violations[0]);
    }
}

/// The long run. What comes of directory syncs left out is told, not asserted: the file system's log
/// keeps names in order, and SQLite's own syncs take the log along, so that cuts hardly ever show it.
/// The rig that enumerates crash states does.
#[test]
#[ignore = "torture"]
fn torture_power_cuts() {
    /// Cuts of each file system, also where the time is shorter.
    const CUTS_MIN: usize = 200;
    /// Cuts without directory syncs.
    const UNSYNCED_NAMES: usize = 20;

    let torture = Torture::from_env().expect("KBHOST_TORTURE_SEED and _MINUTES are set");
    let rigs = [FileSystem::Ext4, FileSystem::Xfs].map(Rig::new);
    let share = torture
        .deadline
        .saturating_duration_since(Instant::now())
        .div_f64(2.0);
    for mut rig in rigs.into_iter().flatten() {
        let seeds = || seeds(torture.seed);
        let started = Instant::now();
        let vars = [("KBHOST_TEST_NO_DIR_SYNC", "1")];
        let unsynced = rig.cut(seeds().take(UNSYNCED_NAMES), &vars, |_| {
            started.elapsed() < share / 4
        });
        let tally = rig.cut(seeds(), &[], |tally| {
            (started.elapsed() < share || tally.cuts < CUTS_MIN) && tally.violations.is_empty()
        });
        assert_eq!(tally.violations, [""; 0]);
        torture.covered(&format!(
            "power cuts on {:?}: {}; without directory syncs {} violations in {} cuts",
            rig.file_system,
            tally.line(),
            unsynced.violations.len(),
            unsynced.cuts
        ));
    }
}
