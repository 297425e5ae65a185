//! One power cut, from the start of the command to the verdict.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::workload::{FOLLOW, State, Workload};
use crate::support::consistency::violations;
use crate::support::copy_tree;
use crate::support::disk::Disk;
use crate::support::torture::Rng;

/// How long a command stands before the step at which it loses its disk.
const STAND_MS: u32 = 2_000;

/// About the time between two steps of a commit, and rather more than a commit's last sync.
const MICROS_MAX: usize = 6_000;

/// No command here takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is waited for before the cut.
#[derive(Clone, Debug)]
enum After {
    /// So many lines on standard output.
    Lines(usize),
    /// So many passed fault points of any name.
    Points(usize),
    /// The command stands before a fault point that it meets the n-th time.
    Step(String, usize),
}

/// When the power is cut.
#[derive(Debug)]
pub(super) struct Cut {
    after: After,
    then: Duration,
    shuffle: u64,
}

/// What came of a cut.
pub(super) struct Outcome {
    /// Whether the command was still running.
    pub(super) amid: bool,
    /// The fault point that was passed last.
    pub(super) point: String,
    /// Lines read before the cut.
    pub(super) acknowledged: usize,
    /// Inputs that are in; `None` if nobody can tell.
    pub(super) committed: Option<usize>,
    pub(super) violations: Vec<String>,
}

impl Cut {
    pub(super) fn plan(rng: &mut Rng, workload: &Workload) -> Self {
        let after = match rng.below(5) {
            0 | 1 => After::Lines(rng.below(workload.inputs.len() + 1)),
            2 => After::Points(1 + rng.below(workload.steps.iter().map(|(_, times)| times).sum())),
            _ => {
                // Each kind of step as often as any other, however often it is taken.
                let (name, times) = &workload.steps[rng.below(workload.steps.len())];
                // The last time nobody prepares any more, and no sync of theirs helps.
                let nth = if rng.chance(0.3) {
                    *times
                } else {
                    1 + rng.below(*times)
                };
                After::Step(name.clone(), nth)
            }
        };
        let later = Duration::from_micros(rng.below(MICROS_MAX) as u64);
        Self {
            after,
            // Every other time at once: an acknowledgement that came too early shows only then.
            then: if rng.chance(0.5) {
                later
            } else {
                Duration::ZERO
            },
            shuffle: rng.next() >> 1,
        }
    }

    /// Runs the command on a fresh copy of the KB, cuts, restarts and judges.
    pub(super) fn perform(
        &self,
        seed: u64,
        disk: &mut Disk,
        workload: &mut Workload,
        vars: &[(&str, &str)],
    ) -> Outcome {
        let kb = workload.env.path("disk/kb");
        if kb.exists() {
            fs::remove_dir_all(&kb).unwrap();
        }
        copy_tree(&workload.base(), &kb);
        disk.sync();
        let points = workload.env.path("points");
        fs::write(&points, "").unwrap();

        let mut command = workload.command(&kb, &["add", "--jobs", "2"]);
        command
            .args(workload.inputs.iter().map(|(path, _)| path))
            .env("KBHOST_FAULT_TRACE", &points)
            // Preparations that take their time make groups of few, and so several commits.
            .env("KBHOST_TEST_SHUFFLE", self.shuffle.to_string())
            .envs(vars.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if let After::Step(name, nth) = &self.after {
            command.env("KBHOST_FAULT", format!("{name}:delay-{STAND_MS}:{nth}"));
        }
        let switch = disk.switch();
        let mut running = Running::start(command.spawn().unwrap());
        let amid = self.wait(&mut running, &points);
        // From here on what is read does not count.
        let lines = running.lines();
        switch.cut();
        running.end();
        let passed = fs::read_to_string(&points).unwrap();
        let point = passed.lines().last().unwrap_or_default().to_owned();

        disk.restart();
        let mut judged = Judgement::of(workload, &kb, &lines);
        for line in &mut judged.violations {
            *line = format!("{self:?} after {} lines: {line}", lines.len());
        }
        if !judged.violations.is_empty() {
            eprintln!("seed {seed}: {:#?}", judged.violations);
        }
        Outcome {
            amid,
            point,
            acknowledged: lines.len(),
            committed: judged.committed,
            violations: judged.violations,
        }
    }

    /// Waits for the moment; whether the command was still running then.
    fn wait(&self, running: &mut Running, points: &Path) -> bool {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let passed = |is_counted: &dyn Fn(&str) -> bool| {
                let passed = fs::read_to_string(points).unwrap();
                passed.lines().filter(|name| is_counted(name)).count()
            };
            let is_time = match &self.after {
                After::Lines(count) => running.lines_read() >= *count,
                After::Points(count) => passed(&|_| true) >= *count,
                After::Step(step, nth) => passed(&|name| name == step) >= *nth,
            };
            if is_time {
                break;
            }
            if running.child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "waited in vain: {self:?}");
            std::thread::sleep(Duration::from_micros(100));
        }
        if !self.then.is_zero() && !matches!(self.after, After::Step(..)) {
            std::thread::sleep(self.then);
        }
        running.child.try_wait().unwrap().is_none()
    }
}

/// A command whose lines are read as they come.
struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    fn start(mut child: Child) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stdout: ChildStdout = child.stdout.take().unwrap();
        let read = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                read.lock().unwrap().push(line.unwrap());
            }
        });
        Self {
            child,
            lines,
            reader: Some(reader),
        }
    }

    fn lines_read(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Ends the process and everything it holds on the disk.
    fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reader.is_some() {
            // The test has failed already.
            drop(self.child.kill().and_then(|()| self.child.wait()));
        }
    }
}

/// What the KB is found to be after the restart.
#[derive(Default)]
struct Judgement {
    committed: Option<usize>,
    violations: Vec<String>,
}

impl Judgement {
    fn of(workload: &mut Workload, kb: &Path, lines: &[String]) -> Self {
        let mut judgement = Self::default();
        judgement.check_lines(workload, lines);
        let Some(committed) = judgement.listed(workload, kb) else {
            return judgement;
        };
        judgement.committed = Some(committed);
        if committed < lines.len() {
            judgement.violations.push(format!(
                "O2: {} documents were acknowledged and {committed} are in",
                lines.len()
            ));
        }
        let mut command = workload.command(kb, &["add"]);
        let said = workload.env.finish(command.arg(FOLLOW));
        if said.code != 0 || !said.stdout.starts_with("added ") {
            let why = format!("the next command does not just work: {said:?}");
            judgement.violations.push(why);
            return judgement;
        }
        let said = workload
            .env
            .finish(&mut workload.command(kb, &["search", "--json", "follow"]));
        // The index is derived and not synced: a cut may cost it, but nobody may stumble over that.
        if said.code != 0 {
            judgement.violations.push(format!("no search: {said:?}"));
        }
        judgement.violations.extend(violations(kb));
        let differences = State::of(kb).differs_from(&workload.state(committed));
        let line = |what| format!("O1: with {committed} documents {what}");
        judgement
            .violations
            .extend(differences.into_iter().map(line));
        judgement
    }

    /// The lines acknowledge the inputs in their order.
    fn check_lines(&mut self, workload: &Workload, lines: &[String]) {
        for (line, (path, _)) in lines.iter().zip(&workload.inputs) {
            let said = ["added ", "updated "];
            if !said.iter().any(|word| line.starts_with(word))
                || !line.ends_with(&format!("<- {}", path.display()))
            {
                let what = format!("not a line for {}: {line}", path.display());
                self.violations.push(what);
            }
        }
    }

    /// How many inputs are in, if they are the first ones, as a reader sees it that takes no lock
    /// and recovers nothing.
    fn listed(&mut self, workload: &Workload, kb: &Path) -> Option<usize> {
        let said = workload
            .env
            .finish(&mut workload.command(kb, &["list", "--json"]));
        let Ok(answer) = serde_json::from_str::<serde_json::Value>(&said.stdout) else {
            self.violations.push(format!("no list: {said:?}"));
            return None;
        };
        let documents = answer["documents"].as_array().cloned().unwrap_or_default();
        let is_in = |digest: &str| documents.iter().any(|row| row["hash"] == digest);
        let committed = workload
            .inputs
            .iter()
            .take_while(|(_, digest)| is_in(digest));
        let committed = committed.count();
        for (path, digest) in &workload.inputs[committed..] {
            if is_in(digest) {
                let what = format!("{} is in, and not all before it", path.display());
                self.violations.push(what);
            }
        }
        Some(committed)
    }
}
