//! The result of `add` depends on its inputs and their order, not on how many workers prepared
//! them, who was done first, or how the inputs were parted into commands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::{Env, Said, corpus, logical_registry, staging_entries, tree};

/// Everything that must be the same.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
    tree: BTreeMap<String, String>,
    registry: String,
}

impl Outcome {
    fn of(said: Said, kb: &Path) -> Self {
        assert_eq!(staging_entries(kb), Vec::<String>::new());
        Self {
            code: said.code,
            stdout: said.stdout,
            stderr: said.stderr,
            tree: tree(kb),
            registry: logical_registry(kb),
        }
    }

    /// Fails with what differs, not with two whole trees.
    fn assert_same(&self, other: &Self, run: &str) {
        assert_eq!(self.stdout, other.stdout, "stdout of {run}");
        assert_eq!(self.stderr, other.stderr, "stderr of {run}");
        assert_eq!(self.code, other.code, "exit code of {run}");
        self.assert_same_kb(other, run);
    }

    fn assert_same_kb(&self, other: &Self, run: &str) {
        assert_eq!(self.registry, other.registry, "registry of {run}");
        let differing: Vec<_> = self
            .tree
            .keys()
            .chain(other.tree.keys())
            .filter(|path| self.tree.get(*path) != other.tree.get(*path))
            .collect();
        assert!(differing.is_empty(), "{run}: {differing:#?}");
    }
}

/// Makes a KB called `name` and returns it.
fn kb(env: &Env, name: &str) -> PathBuf {
    let said = env.run(["init", name]);
    assert_eq!(said.code, 0, "{said:?}");
    env.path(name)
}

fn add(env: &Env, kb: &Path, jobs: &str, seed: Option<&str>, files: &[PathBuf]) -> Outcome {
    let mut vars = vec![("KBHOST_KB", kb.to_str().unwrap())];
    vars.extend(seed.map(|seed| ("KBHOST_TEST_SHUFFLE", seed)));
    let args = ["add", "--jobs", jobs].map(AsRef::as_ref);
    let files = files.iter().map(|file| file.as_os_str());
    Outcome::of(env.run_with(&vars, args.into_iter().chain(files)), kb)
}

#[test]
fn any_number_of_workers_in_any_order_of_completion_gives_the_same() {
    let env = Env::empty();
    let files = corpus::mixed(&env);
    let first = add(&env, &kb(&env, "first"), "1", None, &files);
    assert_eq!(first.code, 1, "{}", first.stderr);
    for (jobs, seed) in [("1", "1"), ("2", "2"), ("2", "3"), ("8", "4"), ("8", "5")] {
        let run = format!("--jobs {jobs}, seed {seed}");
        let kb = kb(&env, &format!("kb-{jobs}-{seed}"));
        add(&env, &kb, jobs, Some(seed), &files).assert_same(&first, &run);
    }
    check_corpus(&first, files.len());
}

/// What the corpus is for has happened: else the runs agree about nothing.
fn check_corpus(outcome: &Outcome, total: usize) {
    let Outcome {
        stdout,
        stderr,
        tree,
        registry,
        ..
    } = outcome;
    let count = |status: &str| {
        let lines = stdout.lines().filter(|line| line.starts_with(status));
        lines.count()
    };
    let (added, skipped, failed) = (count("added "), count("skipped "), count("failed "));
    assert_eq!(added + skipped + failed, total);
    // Two pairs of copies and one of the examples; the six broken ones.
    assert_eq!((skipped, failed), (3, 6), "{stdout}");
    assert!(
        stderr.ends_with(&format!(
            "{added} added, {skipped} skipped, {failed} failed\n"
        )),
        "{stderr}"
    );
    let under = |prefix: &str| tree.keys().filter(|path| path.starts_with(prefix)).count();
    // Pages, and the folder of the images.
    let pages = registry.matches("|wiki/sources/").count();
    assert_eq!(pages, added, "{registry}");
    assert!(under("wiki/concepts/") >= 8, "{tree:#?}");
    assert!(under("wiki/sources/images/") >= 4, "{tree:#?}");
    assert!(under("raw/") >= added, "{tree:#?}");
    for (stem, taken) in [("report", 5), ("minutes", 3), ("caf\u{e9}", 2)] {
        let summaries = tree.keys().filter(|path| {
            let name = path.strip_prefix("wiki/summaries/").unwrap_or_default();
            name.to_lowercase().starts_with(stem)
        });
        assert_eq!(summaries.count(), taken, "{stem}: {tree:#?}");
    }
}

#[test]
fn one_command_each_gives_what_one_command_for_all_gives() {
    let env = Env::empty();
    let files = corpus::mixed(&env);
    let together = add(&env, &kb(&env, "together"), "2", None, &files);
    let apart = kb(&env, "apart");
    let mut stdout = String::new();
    for file in &files {
        let mut command = env.command(["add", "--jobs", "1"]);
        let said = env.finish(command.env("KBHOST_KB", &apart).arg(file));
        stdout.push_str(&said.stdout);
    }
    assert_eq!(stdout, together.stdout);
    let apart = Outcome::of(env.run(["status"]), &apart);
    apart.assert_same_kb(&together, "one command each");
}

#[test]
fn a_batch_cut_in_two_gives_the_same() {
    let env = Env::empty();
    let files = corpus::mixed(&env);
    let whole = add(&env, &kb(&env, "whole"), "2", Some("6"), &files);
    let cut = kb(&env, "cut");
    let (head, tail) = files.split_at(files.len() / 3);
    let head = add(&env, &cut, "8", Some("7"), head);
    let tail = add(&env, &cut, "1", None, tail);
    assert_eq!(head.stdout + &tail.stdout, whole.stdout);
    tail.assert_same_kb(&whole, "two commands");
}

#[cfg(feature = "fault-points")]
mod cpu {
    use std::fmt::Write as _;
    use std::process::Command;

    use super::*;
    use crate::support::component;

    /// Work of a document that is at 70 % of the limit, in the component's own unit.
    const WORK: u32 = 400;

    /// CPU milliseconds that [`WORK`] takes here and now: the larger of two that run at once, as
    /// the workers will.
    fn measure(env: &Env) -> u64 {
        let measured = |work: u32| {
            let input = env.doc(
                &format!("measure-{work}.hostile"),
                format!("busy-ms {work}\n"),
            );
            let mut shell = Command::new("sh");
            env.hermetic(&mut shell);
            shell.args(["-c", "\"$@\" >/dev/null && times", "sh"]);
            shell.arg(env!("CARGO_BIN_EXE_kbhost"));
            shell
                .arg("convert")
                .arg("--plugin")
                .arg(component("hostile"));
            env.spawn(shell.arg(input))
        };
        let cpu = |child| {
            let said = env.wait(child);
            assert_eq!(said.code, 0, "{said:?}");
            let line = said
                .stdout
                .lines()
                .nth(1)
                .expect("`times` prints two lines");
            line.split_whitespace().map(milliseconds).sum::<u64>()
        };
        // Both compile the component or neither does, and both start the same engine.
        assert_eq!(env.wait(measured(1)).code, 0);
        let (base, first, second) = (measured(1), measured(WORK), measured(WORK));
        let base = cpu(base);
        cpu(first).max(cpu(second)).saturating_sub(base).max(1)
    }

    /// `0m1.234s` in milliseconds.
    fn milliseconds(time: &str) -> u64 {
        let (minutes, seconds) = time.trim_end_matches('s').split_once('m').expect("minutes");
        let seconds: f64 = seconds.parse().unwrap();
        minutes.parse::<u64>().unwrap() * 60_000 + (seconds * 1_000.0).round() as u64
    }

    #[test]
    fn a_document_at_70_percent_of_the_cpu_limit_passes_with_any_number_of_workers() {
        let env = Env::empty();
        let limit = measure(&env) * 10 / 7;
        let mut files = Vec::new();
        for n in 0..8 {
            files.push(env.doc(&format!("near-{n}.hostile"), format!("busy-ms {WORK}\n{n}")));
        }
        let beyond = format!("busy-ms {}\n", 2 * WORK);
        files.insert(4, env.doc("beyond.hostile", beyond));
        let mut expected = String::new();
        for file in &files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let (status, document) = match name {
                "beyond" => ("failed  ", "-"),
                name => ("added   ", name),
            };
            writeln!(expected, "{status} {document} <- $ROOT/docs/{name}.hostile").unwrap();
        }
        for jobs in ["1", "8"] {
            let kb = kb(&env, &format!("kb-{jobs}"));
            let mut command = env.command(["add", "--jobs", jobs, "--plugin"]);
            command
                .env("KBHOST_KB", &kb)
                .env("KBHOST_TEST_CPU_MS", limit.to_string())
                .arg(component("hostile"))
                .args(&files);
            let said = env.finish(&mut command);
            assert_eq!(said.stdout, expected, "--jobs {jobs}: {}", said.stderr);
            assert_eq!(said.code, 1, "{said:?}");
            assert_eq!(said.stderr.matches("error: ").count(), 1, "{said:?}");
            assert!(
                said.stderr.contains("beyond.hostile") && said.stderr.contains("CPU"),
                "{said:?}"
            );
            assert_eq!(staging_entries(&kb), Vec::<String>::new());
        }
    }
}
