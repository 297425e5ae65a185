//! What is running when the power is cut, and the states it leads through.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::consistency::digest;
use crate::support::{Env, copy_tree, logical_registry, tree};

/// Documents of one command.
const DOCUMENTS: usize = 28;

/// Documents that are in before it.
const BASE_DOCUMENTS: usize = 5;

/// The document that the next command adds: it shares pages with the others.
pub(super) const FOLLOW: &str = "docs/follow.md";

/// One state of a KB: files, and what the registry says.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) tree: BTreeMap<String, String>,
    pub(super) registry: String,
}

impl State {
    /// The state of a KB at rest. `log.md` only tells what happened: its lines follow the commit.
    pub(super) fn of(kb: &Path) -> Self {
        let mut tree = tree(kb);
        tree.remove("wiki/log.md");
        Self {
            tree,
            registry: logical_registry(kb),
        }
    }

    /// What of this state is not as in `expected`.
    pub(super) fn differs_from(&self, expected: &Self) -> Vec<String> {
        let paths = self.tree.keys().chain(expected.tree.keys());
        let mut differing: Vec<String> = paths
            .filter(|path| self.tree.get(*path) != expected.tree.get(*path))
            .map(|path| format!("{path} is not as in the committed state"))
            .collect();
        differing.sort();
        differing.dedup();
        if self.registry != expected.registry {
            differing.push("the registry is not as in the committed state".to_owned());
        }
        differing
    }
}

/// A KB with some documents, and a command that adds many: new ones, new versions, pictures, and
/// pages that all of them share.
pub(super) struct Workload {
    pub(super) env: Env,
    /// In input order: path, and digest of its bytes.
    pub(super) inputs: Vec<(PathBuf, String)>,
    /// The fault points that the command passes, and how often.
    pub(super) steps: Vec<(String, usize)>,
    /// By how many inputs are in: the state once [`FOLLOW`] is in too.
    states: BTreeMap<usize, State>,
}

impl Workload {
    pub(super) fn new(env: Env) -> Self {
        for n in 0..BASE_DOCUMENTS {
            env.doc(&format!("old-{n}.md"), text(n, "old"));
        }
        env.doc("follow.md", text(2, "follow"));
        let workload = Self {
            env,
            inputs: Vec::new(),
            steps: Vec::new(),
            states: BTreeMap::new(),
        };
        let said = workload.env.run(["init", "base/kb"]);
        assert_eq!(said.code, 0, "{said:?}");
        let mut command = workload.command(&workload.base(), &["add"]);
        command.args((0..BASE_DOCUMENTS).map(|n| workload.env.path(&format!("docs/old-{n}.md"))));
        let said = workload.env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        workload.with_inputs().with_steps()
    }

    /// Runs the command in peace, to see what it passes.
    fn with_steps(mut self) -> Self {
        let kb = self.env.path("peace/kb");
        copy_tree(&self.base(), &kb);
        let points = self.env.path("points");
        let mut command = self.command(&kb, &["add", "--jobs", "2"]);
        command
            .args(self.inputs.iter().map(|(path, _)| path))
            .env("KBHOST_FAULT_TRACE", &points)
            .env("KBHOST_TEST_SHUFFLE", "1");
        let said = self.env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        let mut steps = BTreeMap::<String, usize>::new();
        for name in std::fs::read_to_string(points).unwrap().lines() {
            *steps.entry(name.to_owned()).or_default() += 1;
        }
        assert!(steps["commit.after"] > 1, "one commit only: {steps:?}");
        self.steps = steps.into_iter().collect();
        self
    }

    /// Writes the inputs: every seventh is a new version of a document that is in.
    fn with_inputs(mut self) -> Self {
        for n in 0..DOCUMENTS {
            let (name, bytes) = match n % 7 {
                3 => (format!("old-{}.md", n / 7), text(n, "revised")),
                _ => (format!("new-{n:02}.md"), text(n, "new")),
            };
            if n % 9 == 1 {
                self.env.doc(&format!("new-{n:02}.png"), picture(n));
            }
            let bytes = match n % 9 {
                1 if n % 7 != 3 => format!("{bytes}\n![shown](new-{n:02}.png)\n"),
                _ => bytes,
            };
            let path = self.env.doc(&name, &bytes);
            self.inputs.push((path, digest(bytes.as_bytes())));
        }
        self
    }

    /// The KB before the command.
    pub(super) fn base(&self) -> PathBuf {
        self.env.path("base/kb")
    }

    /// A command on a KB.
    pub(super) fn command(&self, kb: &Path, args: &[&str]) -> Command {
        let mut command = self.env.command(args);
        command.env("KBHOST_KB", kb);
        command
    }

    /// The state that the first `count` inputs and [`FOLLOW`] lead to, without any cut.
    pub(super) fn state(&mut self, count: usize) -> State {
        if let Some(state) = self.states.get(&count) {
            return state.clone();
        }
        let kb = self.env.path("expected/kb");
        copy_tree(&self.base(), &kb);
        // One command more than one: how inputs are parted into commands changes nothing.
        let mut command = self.command(&kb, &["add", "--jobs", "2"]);
        command.args(self.inputs[..count].iter().map(|(path, _)| path));
        let said = self.env.finish(command.arg(FOLLOW));
        assert_eq!(said.code, 0, "{said:?}");
        let state = State::of(&kb);
        std::fs::remove_dir_all(&kb).unwrap();
        self.states.insert(count, state.clone());
        state
    }
}

/// A small document: each shares a concept with some, an entity with all.
fn text(n: usize, kind: &str) -> String {
    const TAGS: [&str; 4] = ["storage", "planning", "people", "reliability"];
    let lines: String = (0..n % 5 * 20)
        .map(|line| format!("Line {line} of the {kind} document {n}.\n\n"))
        .collect();
    format!(
        "---\ntags: [{}, {kind}]\n---\n# The {kind} document {n}\n\nThe write-ahead log (WAL) of \
         {n}.\n\n{lines}",
        TAGS[n % TAGS.len()]
    )
}

/// A file that passes for a picture.
fn picture(n: usize) -> Vec<u8> {
    let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
    picture.resize(10_000 + n, 7);
    picture
}
