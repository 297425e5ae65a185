//! Recovery as the workload. Goal: a recovery that dies or fails, and the next one, and the one
//! after that, change nothing of what the last one makes of the KB. Method: a mutation is killed at
//! each of its points, and where that leaves different files, the recovery of each such KB is killed
//! at each of its storage operations; deeper chains are drawn at random. After each chain a command
//! follows undisturbed, and the KB is compared with one that was never disturbed.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Instant;

use super::documents::{self, FOLLOW};
use crate::support::oracle::{
    State, assert_none, compare, debris, ended_cleanly, exported, in_parallel, pre_images_are_whole,
};
use crate::support::torture::{Rng, Torture, test_seed};
use crate::support::{Env, Said, copy_tree};

/// Recovers, and starts no converter, which is nine tenths of the time of an `add`.
const RECOVER: [&str; 1] = ["recover"];

/// Where that is done with what it found.
const RECOVERED: &str = "recover.after";

/// Chains of two or three deaths in a test run.
const CHAINS: usize = 500;

/// The same of a removal.
const REMOVAL_CHAINS: usize = 100;

/// Beside the kills, this part of the failures is tried at depth 1.
const FAILURES_PART: f64 = 0.05;

/// What the faults of a chain are drawn from: kills more often.
const MODES: [&str; 6] = ["abort", "abort", "abort", "error", "enospc", "short"];

/// The files of a KB by what recovery sees of them: names that are drawn anew in each run replaced,
/// and without databases, staging and locks.
type Image = BTreeMap<String, String>;

/// A KB that a dead mutation left.
struct Dead {
    kb: PathBuf,
    /// How it died.
    fault: String,
    is_committed: bool,
    /// Storage operations of its recovery.
    operations: usize,
}

/// What a chain must end in.
struct Expected {
    state: State,
    exported: String,
}

struct Rig {
    env: Env,
    /// The mutation that dies.
    action: &'static [&'static str],
    dead: Vec<Dead>,
    /// Points at which the mutation was killed.
    points: usize,
    old: Expected,
    new: Expected,
    /// Images whose recovery was seen to end well, by whether the mutation is committed.
    seen: Mutex<HashSet<(bool, Image)>>,
}

impl Rig {
    fn of_update() -> Self {
        let env = documents::updated(Env::in_memory());
        Self::new(env, &["add", "docs/a.md"])
    }

    fn of_removal() -> Self {
        let env = documents::shared(Env::in_memory());
        Self::new(env, &["remove", "--yes", "a"])
    }

    fn new(env: Env, action: &'static [&'static str]) -> Self {
        let expected = |name: &str, args: &[&str]| {
            let kb = env.path(&format!("{name}/kb"));
            copy_tree(&env.kb(), &kb);
            for args in [args, &["add", FOLLOW]] {
                if !args.is_empty() {
                    let said = env.finish(env.command(args).env("KBHOST_KB", &kb));
                    assert_eq!(said.code, 0, "{said:?}");
                }
            }
            Expected {
                state: State::of(&kb),
                exported: exported(&kb),
            }
        };
        let (old, new) = (expected("old", &[]), expected("new", action));
        let mut rig = Self {
            env,
            action,
            dead: Vec::new(),
            points: 0,
            old,
            new,
            seen: Mutex::new(HashSet::new()),
        };
        rig.kill_everywhere("");
        rig.kill_everywhere("registry.after:error");
        rig
    }

    /// Kills the mutation at each point of its run with `fault`, and keeps what differs.
    fn kill_everywhere(&mut self, fault: &'static str) {
        let kb = self.env.path(&format!("whole-{}/kb", self.points));
        copy_tree(&self.env.kb(), &kb);
        let (_, points) = self.run(&kb, self.action, fault);
        let points: Vec<_> = points
            .iter()
            .filter(|line| !line.starts_with('#'))
            .collect();
        let place = |name: &str| points.iter().position(|point| *point == name);
        let start = match fault {
            "" => 0,
            _ => place("registry.after").unwrap() + 1,
        };
        let mut images = HashSet::new();
        for (index, point) in points.iter().enumerate().skip(start) {
            let nth = points[..=index]
                .iter()
                .filter(|passed| *passed == point)
                .count();
            let comma = if fault.is_empty() { "" } else { "," };
            let fault = format!("{fault}{comma}{point}:abort:{nth}");
            let kb = self.env.path(&format!("dead/{}/kb", self.points));
            self.points += 1;
            copy_tree(&self.env.kb(), &kb);
            let (said, _) = self.run(&kb, self.action, &fault);
            assert_eq!(said.code, -1, "{fault}: {said:?}");
            let is_committed = place("commit.after").is_some_and(|commit| index >= commit);
            if !images.insert((is_committed, image(&kb))) {
                fs::remove_dir_all(kb.parent().unwrap()).unwrap();
                continue;
            }
            let copy = kb.parent().unwrap().join("whole/kb");
            copy_tree(&kb, &copy);
            let (_, trace) = self.recover(&copy, "");
            let end = trace.iter().position(|line| line == RECOVERED).unwrap();
            let operations = trace[..end]
                .iter()
                .filter(|line| line.starts_with('#'))
                .count();
            fs::remove_dir_all(copy.parent().unwrap()).unwrap();
            self.dead.push(Dead {
                kb,
                fault,
                is_committed,
                operations,
            });
        }
    }

    fn run(&self, kb: &Path, args: &[&str], fault: &str) -> (Said, Vec<String>) {
        let trace = kb.parent().unwrap().join("points");
        drop(fs::remove_file(&trace));
        let mut command = self.env.command(args);
        command
            .env("KBHOST_KB", kb)
            .env("KBHOST_FAULT", fault)
            .env("KBHOST_FAULT_TRACE", &trace);
        let said = self.env.finish(&mut command);
        let trace = fs::read_to_string(trace).unwrap_or_default();
        (said, trace.lines().map(str::to_owned).collect())
    }

    /// Recovers, and goes no further.
    fn recover(&self, kb: &Path, fault: &str) -> (Said, Vec<String>) {
        let comma = if fault.is_empty() { "" } else { "," };
        self.run(kb, &RECOVER, &format!("{fault}{comma}{RECOVERED}:abort"))
    }

    /// Recovers with a fault, and checks how that ended.
    fn disturb(&self, kb: &Path, fault: &str) -> Result<(), String> {
        let (said, _) = self.recover(kb, fault);
        if said.code != -1 {
            ended_cleanly(&said)?;
        }
        pre_images_are_whole(kb)
    }

    /// The last command of a chain.
    fn settle(&self, kb: &Path, is_committed: bool) -> Result<(), String> {
        let (said, _) = self.run(kb, &["add", FOLLOW], "");
        if said.code != 0 || !said.stdout.starts_with("added    follow ") {
            return Err(format!("the last command: {said:?}"));
        }
        let expected = if is_committed { &self.new } else { &self.old };
        compare("in the end", &State::of(kb), &expected.state)?;
        if exported(kb) != expected.exported {
            return Err("hashes.json is another".to_owned());
        }
        let left = debris(kb);
        match left.is_empty() {
            true => Ok(()),
            false => Err(format!("left behind: {left:?}")),
        }
    }

    /// Runs a chain in a copy of what a mutation left. An image that was seen before is not
    /// recovered again, unless `always`.
    fn chain(
        &self,
        name: &str,
        dead: &Dead,
        faults: &[String],
        always: bool,
    ) -> Result<(), String> {
        let kb = self.env.path(&format!("chains/{name}/kb"));
        copy_tree(&dead.kb, &kb);
        let run = || {
            faults
                .iter()
                .try_for_each(|fault| self.disturb(&kb, fault))?;
            let image = (dead.is_committed, image(&kb));
            if always || !self.seen.lock().unwrap().contains(&image) {
                self.settle(&kb, dead.is_committed)?;
                self.seen.lock().unwrap().insert(image);
            }
            Ok(())
        };
        run().map_err(|why: String| format!("{} then {faults:?}: {why}", dead.fault))?;
        fs::remove_dir_all(kb.parent().unwrap()).map_err(|error| error.to_string())
    }

    /// Runs all of depth one and a number of deeper chains; cases of depth one.
    fn check(&self, name: &str, seed: u64, chains: usize) -> usize {
        let start = Instant::now();
        let shallow = self.depth_one(seed);
        let failures = in_parallel(chains, |index| {
            self.deep_chain(seed.wrapping_add(index as u64), false)
        });
        covered!(
            "recovery of {name}: {} points left {} different KBs; {shallow} faults in their recovery \
             left {} more or less recovered ones; {chains} chains of depth 2 and 3 (seed {seed}); {:.0?}",
            self.points,
            self.dead.len(),
            self.seen.lock().unwrap().len(),
            start.elapsed()
        );
        assert_none("recovery, depth 2 and 3", chains, &failures);
        shallow
    }

    /// Kills the recovery of each KB at each of its operations, and lets a part of them fail.
    fn depth_one(&self, seed: u64) -> usize {
        let mut rng = Rng::new(seed);
        let mut cases = Vec::new();
        for dead in &self.dead {
            for nth in 1..=dead.operations {
                cases.push((dead, format!("#op:abort:{nth}")));
                for mode in ["error", "enospc", "error+", "enospc+"] {
                    if rng.chance(FAILURES_PART) {
                        let (mode, good) =
                            mode.split_at(mode.len() - usize::from(mode.ends_with('+')));
                        cases.push((dead, format!("#op:{mode}:{nth}{good}")));
                    }
                }
            }
        }
        let failures = in_parallel(cases.len(), |index| {
            let (dead, fault) = &cases[index];
            self.chain(
                &format!("one-{index}"),
                dead,
                std::slice::from_ref(fault),
                false,
            )
        });
        assert_none("recovery, depth 1", cases.len(), &failures);
        cases.len()
    }

    /// One chain of two or three disturbed recoveries. As [`Self::chain`].
    fn deep_chain(&self, seed: u64, always: bool) -> Result<(), String> {
        let mut rng = Rng::new(seed);
        let dead = &self.dead[rng.below(self.dead.len())];
        let faults: Vec<_> = (0..2 + rng.below(2))
            .map(|_| {
                let mode = MODES[rng.below(MODES.len())];
                format!("#op:{mode}:{}", 1 + rng.below(dead.operations))
            })
            .collect();
        self.chain(&format!("deep-{seed}"), dead, &faults, always)
            .map_err(|why| format!("KBHOST_TEST_SEED={seed}: {why}"))
    }
}

/// What recovery sees of a KB.
fn image(kb: &Path) -> Image {
    let own = kb.join(".openkb/kbhost");
    let ids: Vec<_> = ["journal", "conflicts"]
        .into_iter()
        .filter_map(|dir| fs::read_dir(own.join(dir)).ok())
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut image = Image::new();
    look(kb, "", &ids, &mut image);
    image
}

fn look(dir: &Path, prefix: &str, ids: &[String], image: &mut Image) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let is_of_recovery = !["registry.db", "search.db", "holder.json"]
            .iter()
            .any(|other| name.starts_with(other))
            && name != "staging";
        if !is_of_recovery {
            continue;
        }
        let is_id = ids.contains(&name);
        let path = format!("{prefix}/{}", if is_id { "ID" } else { &name });
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            look(&entry.path(), &path, ids, image);
            image.insert(path, "dir".to_owned());
            continue;
        }
        // A journal names its own id; of the rest any hash tells what differs.
        let mut hasher = DefaultHasher::new();
        if name.starts_with("journal.json") {
            hasher.write_u64(metadata.len());
        } else {
            hasher.write(&fs::read(entry.path()).unwrap());
        }
        let (mode, links) = (metadata.mode(), metadata.nlink());
        image.insert(path, format!("{mode:o} {links} {:x}", hasher.finish()));
    }
}

#[test]
fn recovery_that_dies_is_recovered() {
    let rig = Rig::of_update();
    let shallow = rig.check("an update", test_seed(), CHAINS);
    assert!(rig.dead.len() > 40 && shallow > 500, "few cases: {shallow}");
}

#[test]
fn recovery_of_a_removal_that_dies_is_recovered() {
    let rig = Rig::of_removal();
    let shallow = rig.check("a removal", test_seed(), REMOVAL_CHAINS);
    assert!(rig.dead.len() > 20 && shallow > 200, "few cases: {shallow}");
}

#[test]
#[ignore = "torture"]
fn torture_recovery() {
    let Some(torture) = Torture::from_env() else {
        return;
    };
    let rigs = [Rig::of_update(), Rig::of_removal()];
    let (mut chains, batch) = (0, 100);
    // Once in any case: setting up takes a part of the time.
    loop {
        let first = torture.seed.wrapping_add(chains as u64);
        let failures = in_parallel(batch, |index| {
            rigs[index % rigs.len()].deep_chain(first.wrapping_add(index as u64), true)
        });
        assert_none("recovery", batch, &failures);
        chains += batch;
        if !torture.goes_on() {
            break;
        }
    }
    torture.covered(&format!("{chains} chains of crashes in recovery"));
}
