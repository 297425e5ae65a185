//! What is run, and what may come of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::recovery::documents::{self, FOLLOW};
use crate::support::oracle::{
    State, acknowledged, compare, debris, ended_cleanly, exported, pre_images_are_whole, unmatched,
};
use crate::support::{Env, Said, copy_tree};

/// What a command tells that leaves an empty folder of images, or its journal, to the next one.
const UNCLEAN: &str = "warning: could not clean up after a finished change: ";

/// Whether a path is that of the folder of a document's images.
fn is_image_folder(path: &str) -> bool {
    let folder = path.strip_prefix("wiki/sources/images/");
    folder.is_some_and(|name| !name.contains('/'))
}

/// A mutation in a world of its own.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) env: Env,
    args: Vec<String>,
    /// A fault of every run, before the case's own.
    fault: &'static str,
    /// Leaves out a part of the protection.
    switch: Option<&'static str>,
    /// Kinds of storage operations that its runs do without.
    pub(super) lacks: &'static [&'static str],
    /// The KB before, after each of the command's documents, and at the end.
    stages: Vec<Stage>,
}

/// A state in which the mutation may leave the KB, and what the next command makes of it.
struct Stage {
    state: State,
    followed: State,
    exported: String,
}

/// How a run is made to fail.
pub(super) struct Injection {
    /// Names the case and its directory.
    pub(super) name: String,
    /// `KBHOST_FAULT` of the run.
    pub(super) fault: String,
    /// Words before the binary: a tracer.
    pub(super) tracer: Vec<String>,
    pub(super) kills: bool,
    /// Look at recovery itself: a second one must change nothing.
    pub(super) drains_twice: bool,
}

impl Injection {
    /// A fault of the host's own.
    pub(super) fn fault(fault: String, kills: bool) -> Self {
        Self {
            name: fault.clone(),
            fault,
            tracer: Vec::new(),
            kills,
            drains_twice: false,
        }
    }
}

/// A run that met its fault, or did not, and what it left.
pub(super) struct Ran {
    pub(super) dir: PathBuf,
    pub(super) said: Said,
    /// Lines of the host's trace.
    pub(super) trace: Vec<String>,
}

impl Scenario {
    /// `stages` are the arguments of commands that bring the KB into the states between: none for
    /// that before, the last one is the command itself.
    fn new(name: &'static str, env: Env, stages: &[&[&str]], fault: &'static str) -> Self {
        let last = stages.last().unwrap();
        let mut scenario = Self {
            name,
            env,
            args: last.iter().map(|arg| (*arg).to_owned()).collect(),
            fault,
            switch: None,
            lacks: &[],
            stages: Vec::new(),
        };
        let reached = match fault {
            "" => stages,
            // The command is to fail: nothing of it may be seen.
            _ => &stages[..1],
        };
        for (index, args) in reached.iter().enumerate() {
            let kb = scenario.env.path(&format!("stages/{index}/kb"));
            copy_tree(&scenario.env.kb(), &kb);
            if !args.is_empty() {
                let said = scenario.clean(&kb, args);
                assert_eq!(said.code, 0, "{said:?}");
            }
            let state = State::of(&kb);
            let said = scenario.clean(&kb, &["add", FOLLOW]);
            assert_eq!(said.code, 0, "{said:?}");
            // Every case is compared with this state, so what holds of it holds of all.
            let unmatched = unmatched(&kb);
            assert!(
                unmatched.iter().all(|path| path == documents::EDITED),
                "registry and files: {unmatched:?}"
            );
            let followed = State::of(&kb);
            scenario.stages.push(Stage {
                state,
                followed,
                exported: exported(&kb),
            });
        }
        scenario
    }

    /// Two first documents; they may share a commit.
    pub(super) fn small_add() -> Self {
        let stages: [&[&str]; 3] = [
            &[],
            &["add", "docs/a.md"],
            &["add", "docs/a.md", "docs/b.md"],
        ];
        let env = documents::first(Env::in_memory());
        Self {
            lacks: &["#link"],
            ..Self::new("small add", env, &stages, "")
        }
    }

    /// An update with shared pages, images and a hand edit.
    pub(super) fn update() -> Self {
        Self::update_of(documents::updated(Env::in_memory()))
    }

    /// The same in a given world.
    pub(super) fn update_of(env: Env) -> Self {
        Self::new("update", env, &[&[], &["add", "docs/a.md"]], "")
    }

    /// The same runs without a part of the protection.
    pub(super) fn with_switch(self, switch: &'static str) -> Self {
        Self {
            switch: Some(switch),
            ..self
        }
    }

    /// The same, and it fails when all its pages, three of them shared, are in place.
    pub(super) fn failing_add() -> Self {
        let env = documents::updated(Env::in_memory());
        let stages: [&[&str]; 2] = [&[], &["add", "docs/a.md"]];
        Self {
            // Nothing is committed, so there is nothing to log.
            lacks: &["#append"],
            ..Self::new("failing add", env, &stages, "registry.after:error")
        }
    }

    /// A removal with shared pages, images and a hand edit.
    pub(super) fn removal() -> Self {
        let env = documents::shared(Env::in_memory());
        Self::new("removal", env, &[&[], &["remove", "--yes", "a"]], "")
    }

    fn clean(&self, kb: &Path, args: &[&str]) -> Said {
        let mut command = self.env.command(args);
        self.env.finish(command.env("KBHOST_KB", kb))
    }

    /// Runs the command in a fresh copy of the KB.
    pub(super) fn run(&self, injection: &Injection) -> Ran {
        let dir = self
            .env
            .path("cases")
            .join(injection.name.replace(['/', ' '], "-"));
        if dir.exists() {
            fs::remove_dir_all(&dir).unwrap();
        }
        let (kb, trace) = (dir.join("kb"), dir.join("points"));
        copy_tree(&self.env.kb(), &kb);
        let words = injection.tracer.iter().map(String::as_str);
        let binary = env!("CARGO_BIN_EXE_kbhost");
        let mut words = words
            .chain([binary])
            .chain(self.args.iter().map(String::as_str));
        let mut command = Command::new(words.next().unwrap());
        self.env.hermetic(&mut command);
        let faults = [self.fault, &injection.fault];
        let faults: Vec<_> = faults
            .into_iter()
            .filter(|fault| !fault.is_empty())
            .collect();
        command
            .args(words)
            .env("KBHOST_KB", &kb)
            .env("KBHOST_FAULT", faults.join(","))
            .envs(self.switch.map(|switch| (switch, "1")));
        if injection.tracer.is_empty() {
            command.env("KBHOST_FAULT_TRACE", &trace);
        }
        let said = self.env.finish(&mut command);
        let trace = fs::read_to_string(&trace).unwrap_or_default();
        Ran {
            dir,
            said,
            trace: trace.lines().map(str::to_owned).collect(),
        }
    }

    /// Checks what a run left, lets the next command follow, and checks that. The number of the
    /// stage that the run reached.
    pub(super) fn check(&self, injection: &Injection, ran: Ran) -> Result<usize, String> {
        let (kb, said) = (ran.dir.join("kb"), &ran.said);
        if injection.kills {
            pre_images_are_whole(&kb)?;
        } else {
            ended_cleanly(said)?;
        }
        let is_done = said.code == 0;
        let last = &self.stages[self.stages.len() - 1];
        if is_done {
            let (mut found, mut expected) = (State::of(&kb), last.state.clone());
            if said.stderr.contains(UNCLEAN) {
                for state in [&mut found, &mut expected] {
                    state.tree.retain(|path, _| !is_image_folder(path));
                }
            }
            compare("done", &found, &expected)?;
        }
        if injection.drains_twice {
            self.drain_twice(&kb)?;
        }
        let next = self.clean(&kb, &["add", FOLLOW]);
        if next.code != 0 || !next.stdout.starts_with("added    follow ") {
            return Err(format!("the next command: {next:?}, after {said:?}"));
        }
        let found = State::of(&kb);
        let reached = self.stages.iter().position(|stage| stage.followed == found);
        let Some(reached) = reached else {
            return Err(compare("afterwards", &found, &last.followed).unwrap_err());
        };
        let told = acknowledged(said);
        // Each stage has one document more than that before.
        if told > reached || is_done && reached + 1 != self.stages.len() {
            return Err(format!("{reached} of it is in, after {said:?}"));
        }
        let left = debris(&kb);
        if !left.is_empty() {
            return Err(format!("left behind: {left:?}, after {said:?}"));
        }
        if exported(&kb) != self.stages[reached].exported {
            return Err("hashes.json is another".to_owned());
        }
        fs::remove_dir_all(ran.dir).map_err(|error| error.to_string())?;
        Ok(reached)
    }

    /// Recovers twice, and compares.
    fn drain_twice(&self, kb: &Path) -> Result<(), String> {
        let drain = || {
            let mut command = self.env.command(["add", FOLLOW]);
            command
                .env("KBHOST_KB", kb)
                .env("KBHOST_FAULT", "drain.after:abort");
            let said = self.env.finish(&mut command);
            match said.code {
                -1 => Ok(State::of(kb)),
                _ => Err(format!("no recovery: {said:?}")),
            }
        };
        let once = drain()?;
        compare("recovered twice", &drain()?, &once)
    }
}
