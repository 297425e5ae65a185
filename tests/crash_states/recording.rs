//! Scenarios, what was recorded of them, and the images that a crash in them may leave.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::image::{Image, Loss};
use super::model::{Effect, Model};
use super::trace::{CALLS, Event, Recorder};
use crate::support::torture::Rng;
use crate::support::{Env, Said, copy_tree, everything};

/// A run whose documents did not share one commit is recorded again.
const TRIES_MAX: usize = 10;

/// What SQLite writes its write-ahead log in at least.
const SECTOR_BYTES: usize = 512;

/// One command of a scenario.
pub(super) struct Step {
    /// What follows `kbhost`; documents lie in `docs/`.
    pub(super) args: &'static [&'static str],
    /// Value of `KBHOST_FAULT`: where the command dies.
    dies: Option<&'static str>,
    /// Whether it commits, once; else nothing.
    pub(super) commits: bool,
}

impl Step {
    /// A command that commits and comes to its end.
    pub(super) const fn runs(args: &'static [&'static str]) -> Self {
        Self {
            args,
            dies: None,
            commits: true,
        }
    }

    /// One that dies before its commit.
    pub(super) const fn dies(args: &'static [&'static str], at: &'static str) -> Self {
        Self {
            args,
            dies: Some(at),
            commits: false,
        }
    }

    /// One that commits and dies before it says so.
    pub(super) const fn dies_committed(args: &'static [&'static str], at: &'static str) -> Self {
        Self {
            args,
            dies: Some(at),
            commits: true,
        }
    }
}

/// Commands that follow each other on one KB.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// Prepares the KB and the documents.
    pub(super) base: fn(Env) -> Env,
    pub(super) steps: &'static [Step],
}

/// A moment at which the power may go.
#[derive(Clone, Debug)]
struct CrashPoint {
    /// Which of the effects so far are durable.
    durable: Vec<bool>,
    /// Commits begun, and commits that are over: those in between may be in or not.
    begun: usize,
    committed: usize,
    /// Commands that said that they did it.
    acknowledged: usize,
    /// What was going on: the first word of the last fault point.
    phase: String,
    /// The last line of the run's story.
    after: String,
}

/// One way in which a crash may end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    point: usize,
    pub(super) loss: Loss,
}

/// One recorded scenario.
pub(super) struct Recording {
    pub(super) name: &'static str,
    pub(super) model: Model,
    points: Vec<CrashPoint>,
    /// Calls that were traced.
    pub(super) calls: usize,
    /// The KB after the last command.
    pub(super) kb: PathBuf,
}

impl Recording {
    /// Runs a scenario on a copy of `base` with everything recorded.
    pub(super) fn make(env: &Env, base: &Path, scenario: &Scenario, vars: &[(&str, &str)]) -> Self {
        let count = |counts: fn(&Step) -> bool| -> usize {
            scenario.steps.iter().filter(|step| counts(step)).count()
        };
        let commits = count(|step| step.commits);
        let ends = count(|step| step.dies.is_none());
        for attempt in 0..TRIES_MAX {
            let dir = env.path(&format!("recorded-{attempt}"));
            if dir.exists() {
                fs::remove_dir_all(&dir).unwrap();
            }
            let recording = Self::once(env, base, &dir, scenario, vars);
            let last = recording.points.last().expect("something happened");
            if (last.begun, last.committed) == (commits, commits) {
                assert_eq!(last.acknowledged, ends, "{}", scenario.name);
                return recording;
            }
        }
        panic!("{}: the documents never shared a commit", scenario.name);
    }

    fn once(
        env: &Env,
        base: &Path,
        dir: &Path,
        scenario: &Scenario,
        vars: &[(&str, &str)],
    ) -> Self {
        let kb = dir.join("kb");
        copy_tree(base, &kb);
        let kb = kb.canonicalize().unwrap();
        let passed = kb.with_file_name("points");
        let mut recorder = Recorder::new(&kb, &passed);
        let (mut calls, mut ends) = (0, Vec::new());
        for (number, step) in scenario.steps.iter().enumerate() {
            let trace = kb.with_file_name(format!("trace-{number}"));
            let said = traced(env, &kb, &trace, &passed, step, vars);
            match step.dies {
                None => assert_eq!(said.code, 0, "{}: {said:?}", scenario.name),
                Some(_) => assert_ne!(said.code, 0, "{}: {said:?}", scenario.name),
            }
            calls += recorder.read(&fs::read_to_string(&trace).unwrap());
            fs::remove_file(&trace).unwrap();
            ends.push(recorder.events.len());
        }
        let points = points(&recorder.model, &recorder.events, &ends);
        let recording = Self {
            name: scenario.name,
            model: recorder.model,
            points,
            calls,
            kb,
        };
        recording.compare_with_disk(dir);
        recording
    }

    /// The model with everything kept must be the KB as it is: else it proves nothing.
    fn compare_with_disk(&self, dir: &Path) {
        let copy = dir.join("as-modelled");
        let last = self.points.last().expect("something happened");
        let image = self.model.image(&last.durable, Loss::Nothing);
        self.model.materialise(&image, &copy);
        let (modelled, real) = (everything(&copy), everything(&self.kb));
        let differ = |a: &BTreeMap<String, String>, b: &BTreeMap<String, String>| -> Vec<String> {
            let lines = a.iter().filter(|(path, file)| b.get(*path) != Some(file));
            lines
                .map(|(path, file)| format!("{path}: {file}"))
                .collect()
        };
        assert!(
            modelled == real,
            "{}: the model differs from the KB\nmodel {:#?}\nreal {:#?}",
            self.name,
            differ(&modelled, &real),
            differ(&real, &modelled)
        );
        fs::remove_dir_all(&copy).unwrap();
    }

    /// Moments at which the power may go.
    pub(super) fn crash_points(&self) -> usize {
        self.points.len()
    }

    /// Operations that changed the KB.
    pub(super) fn operations(&self) -> usize {
        self.model.effects.len()
    }

    /// Everything that a crash may leave, and for each moment `mixed` throws of dice. Phases and
    /// kinds of loss take turns, each in random order, so that any beginning is a fair sample.
    pub(super) fn outcomes(&self, dice: &mut Rng, mixed: usize) -> Vec<Outcome> {
        let mut buckets: BTreeMap<(&str, &str), Vec<Outcome>> = BTreeMap::new();
        for (number, point) in self.points.iter().enumerate() {
            let mut losses = self.losses(point);
            losses.extend((0..mixed).map(|_| Loss::Mixed(dice.next())));
            for loss in losses {
                let bucket = buckets
                    .entry((point.phase.as_str(), loss.kind()))
                    .or_default();
                bucket.push(Outcome {
                    point: number,
                    loss,
                });
            }
        }
        let mut buckets: Vec<Vec<Outcome>> = buckets.into_values().collect();
        for bucket in &mut buckets {
            shuffle(bucket, dice);
        }
        shuffle(&mut buckets, dice);
        let mut outcomes = Vec::new();
        while !buckets.is_empty() {
            buckets.retain_mut(|bucket| {
                outcomes.extend(bucket.pop());
                !bucket.is_empty()
            });
        }
        outcomes
    }

    fn losses(&self, point: &CrashPoint) -> Vec<Loss> {
        let pending: Vec<usize> = (0..point.durable.len())
            .filter(|index| !point.durable[*index])
            .collect();
        let mut losses = vec![Loss::Everything, Loss::Nothing];
        losses.extend(pending.iter().map(|index| Loss::Dropped(*index)));
        losses.extend(pending.iter().map(|index| Loss::Alone(*index)));
        let mut files: Vec<_> = pending
            .iter()
            .filter_map(|index| self.model.effects[*index].data_of())
            .collect();
        files.sort_unstable();
        files.dedup();
        losses.extend(files.iter().map(|file| Loss::Emptied(*file)));
        losses.extend(files.iter().map(|file| Loss::Zeroed(*file)));
        let last = pending
            .iter()
            .rev()
            .find_map(|index| match &self.model.effects[*index] {
                Effect::Write { bytes, .. } => Some((*index, bytes.len())),
                _ => None,
            });
        if let Some((index, length)) = last {
            let mut cuts = vec![
                length / 2,
                SECTOR_BYTES,
                length.saturating_sub(1) / SECTOR_BYTES * SECTOR_BYTES,
            ];
            cuts.retain(|cut| (1..length).contains(cut));
            cuts.dedup();
            losses.extend(cuts.into_iter().map(|cut| Loss::Torn(index, cut)));
        }
        losses
    }

    /// The tree that an outcome leaves, as a number and as a means to write it to a directory.
    pub(super) fn image(&self, outcome: Outcome) -> (u64, Image) {
        let image = self
            .model
            .image(&self.points[outcome.point].durable, outcome.loss);
        (self.model.fingerprint(&image), image)
    }

    /// Which commits may be in: at least, and at most.
    pub(super) fn allowed(&self, outcome: Outcome) -> (usize, usize) {
        let point = &self.points[outcome.point];
        (point.committed.max(point.acknowledged), point.begun)
    }

    /// Says what an outcome is.
    pub(super) fn describe(&self, outcome: Outcome) -> String {
        let point = &self.points[outcome.point];
        let effect = match outcome.loss {
            Loss::Dropped(index) | Loss::Alone(index) | Loss::Torn(index, _) => {
                format!(" {}", self.model.describe(index))
            }
            Loss::Emptied(file) | Loss::Zeroed(file) => {
                format!(" {}", self.model.path_of(file))
            }
            _ => String::new(),
        };
        format!(
            "{}, {} operations, in `{}` behind {}: {}{effect} ({:?})",
            self.name,
            point.durable.len(),
            point.phase,
            point.after,
            outcome.loss.kind(),
            outcome.loss,
        )
    }
}

/// The moments between events, each with what is durable and what was promised by then.
fn points(model: &Model, events: &[Event], ends: &[usize]) -> Vec<CrashPoint> {
    let mut durable = vec![false; model.effects.len()];
    let mut point = CrashPoint {
        durable: Vec::new(),
        begun: 0,
        committed: 0,
        acknowledged: 0,
        phase: "prepare".to_owned(),
        after: "the start".to_owned(),
    };
    let (mut points, mut count, mut has_spoken) = (Vec::new(), 0, false);
    for (number, event) in events.iter().enumerate() {
        if ends.contains(&number) {
            "prepare".clone_into(&mut point.phase);
            has_spoken = false;
        }
        match event {
            Event::Changed(so_far) => {
                count = *so_far;
                point.after = model.describe(count - 1);
            }
            Event::Synced(covered) => {
                for index in covered {
                    durable[*index] = true;
                }
                "a sync".clone_into(&mut point.after);
            }
            Event::Passed(name) => {
                let (phase, _) = name.split_once('.').unwrap_or((name, ""));
                phase.clone_into(&mut point.phase);
                point.after = format!("`{name}`");
                match name.as_str() {
                    "commit.before" => point.begun += 1,
                    "commit.after" => point.committed += 1,
                    _ => continue,
                }
            }
            Event::Said(line) => {
                let is_done = ["added ", "updated ", "removed "];
                // A command answers for all its documents with the first.
                if has_spoken || !is_done.iter().any(|word| line.starts_with(word)) {
                    continue;
                }
                has_spoken = true;
                point.acknowledged += 1;
                point.after = format!("`{line}`");
                "said".clone_into(&mut point.phase);
                assert!(
                    point.acknowledged <= point.committed,
                    "acknowledged before the commit: {line}"
                );
            }
        }
        point.durable = durable[..count].to_vec();
        points.push(point.clone());
    }
    points
}

fn traced(
    env: &Env,
    kb: &Path,
    trace: &Path,
    passed: &Path,
    step: &Step,
    vars: &[(&str, &str)],
) -> Said {
    let mut command = Command::new("strace");
    env.hermetic(&mut command);
    command
        .args(["-f", "-y", "-xx", "-s", "67108864", "-o"])
        .arg(trace)
        .args(["-e", &format!("trace={CALLS}")])
        .arg(env!("CARGO_BIN_EXE_kbhost"))
        .args(step.args)
        .envs(vars.iter().copied())
        .env("KBHOST_KB", kb)
        .env("KBHOST_FAULT", step.dies.unwrap_or_default())
        .env("KBHOST_FAULT_TRACE", passed);
    env.finish(&mut command)
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], dice: &mut Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, dice.below(last + 1));
    }
}
