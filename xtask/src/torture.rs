//! `cargo xtask torture`: the long runs of the rigs. Each one gets its share of the time, goes on
//! with fresh seeds until it is used, and prints what it covered.

mod pdf;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::Repo;
use crate::test::{install_rig_tools, run_tests_of_rigs};

/// Begins the name of every long run.
const PREFIX: &str = "torture_";

/// What the rigs read.
const SEED_VARIABLE: &str = "KBHOST_TORTURE_SEED";
const MINUTES_VARIABLE: &str = "KBHOST_TORTURE_MINUTES";

/// One case of a rig that has such, to repeat it.
const CASE_VARIABLE: &str = "KBHOST_TORTURE_CASE";

/// The part of `torture pdf` that is no test.
const SANDBOX: &str = "pdf: the component in the sandbox";

/// A rig that cannot run is a failure of a long run: nobody waits minutes for a skip.
const STRICT_VARIABLE: &str = "KBHOST_TEST_STRICT";

/// Longer is somebody's slip.
const MINUTES_MAX: f64 = 7.0 * 24.0 * 60.0;

/// What the user chose.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    seed: u64,
    minutes: f64,
    /// The rigs of PDFs alone.
    is_pdf: bool,
    case: Option<u64>,
}

impl Options {
    /// Reads the options of `torture`.
    ///
    /// # Errors
    /// If one is unknown or no number in its range.
    pub(crate) fn parse(args: &mut Args) -> Result<Self> {
        let is_pdf = args.flag("pdf");
        let seed = args.value("--seed")?.unwrap_or_else(|| "1".to_owned());
        let minutes = args.value("--minutes")?.unwrap_or_else(|| "30".to_owned());
        let case = match is_pdf {
            true => args.value("--case")?,
            false => None,
        };
        args.finish()?;
        let number = |name: &str, value: String| {
            let number = value.parse::<u64>();
            number.map_err(|_| Failure::usage(format!("`{name}` must be a number, not `{value}`")))
        };
        let seed = number("--seed", seed)?;
        let case = case.map(|case| number("--case", case)).transpose()?;
        let minutes = minutes
            .parse()
            .ok()
            .filter(|minutes| *minutes > 0.0 && *minutes <= MINUTES_MAX)
            .ok_or_else(|| {
                Failure::usage(format!(
                    "`--minutes` must be more than 0 and at most {MINUTES_MAX}, not `{minutes}`"
                ))
            })?;
        Ok(Self {
            seed,
            minutes,
            is_pdf,
            case,
        })
    }
}

/// Tests among which there are long runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suite {
    /// Those of the host, through its binary.
    Host,
    /// Those of the layout of PDFs.
    Pdf,
}

impl Suite {
    /// `cargo test` of the suite; the caller adds what to run.
    fn command(self, root: &Path) -> Command {
        match self {
            Self::Host => run_tests_of_rigs(root),
            Self::Pdf => {
                let mut test = process::cargo();
                test.args(["test", "--package", "kbhost-pdf-layout", "--test", "fuzz"])
                    .args(["--profile", "torture"])
                    // Flags meant for the host's build must not reach this one.
                    .env_remove("RUSTFLAGS")
                    .env_remove("CARGO_ENCODED_RUSTFLAGS")
                    .current_dir(root.join("plugins"));
                test
            }
        }
    }
}

/// What the rigs showed.
#[derive(Default)]
struct Shown {
    lines: Vec<String>,
    failed: Vec<String>,
}

impl Shown {
    fn add(&mut self, rig: &str, passed: bool, took: Duration, covered: &[&str]) {
        if !passed {
            self.failed.push(rig.to_owned());
        }
        self.lines.push(line(rig, passed, took, covered));
    }
}

/// Builds the tests, finds the long runs and runs one after the other.
///
/// # Errors
/// If one found a violation; the others run all the same.
pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    let suites = match options.is_pdf {
        true => &[Suite::Pdf][..],
        false => &[Suite::Host, Suite::Pdf],
    };
    if suites.contains(&Suite::Host) {
        install_rig_tools()?;
    }
    let mut rigs = Vec::new();
    for suite in suites {
        let found = rigs_of(repo.root(), *suite)?;
        if found.is_empty() {
            let none = format!("{suite:?}: there is no test that begins with `{PREFIX}`");
            return Err(Failure::new(none));
        }
        rigs.extend(found.into_iter().map(|rig| (*suite, rig)));
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "there are a dozen rigs, not billions"
    )]
    let share = options.minutes / (rigs.len() + 1) as f64;
    let mut shown = Shown::default();
    for (suite, rig) in &rigs {
        let started = begin(rig, share, options);
        let (output, exited_well) = run_one(repo.root(), *suite, rig, options, share)?;
        let covered = covered(&output);
        shown.add(
            rig,
            is_pass(exited_well, &covered),
            started.elapsed(),
            &covered,
        );
    }
    let started = begin(SANDBOX, share, options);
    let ran = pdf::run(repo, options.seed, options.case, share)?;
    for violation in &ran.violations {
        println!("{violation}");
    }
    let passed = ran.violations.is_empty();
    shown.add(SANDBOX, passed, started.elapsed(), &[&ran.covered]);
    println!("\n{}", shown.lines.join("\n"));
    if shown.failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "violations, or nothing done, in {}; `--seed {}` repeats them",
        shown.failed.join(", "),
        options.seed
    )))
}

fn begin(rig: &str, share: f64, options: &Options) -> Instant {
    println!("\n== {rig}: {share:.1} minutes from seed {}", options.seed);
    Instant::now()
}

/// The names of the long runs, as the test binary lists them.
fn rigs_of(root: &Path, suite: Suite) -> Result<Vec<String>> {
    let mut list = suite.command(root);
    list.args(["--", "--ignored", "--list", PREFIX]);
    Ok(listed(&process::capture(&mut list)?))
}

fn listed(output: &str) -> Vec<String> {
    output
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .filter(|name| {
            name.rsplit("::")
                .next()
                .is_some_and(|name| name.starts_with(PREFIX))
        })
        .map(str::to_owned)
        .collect()
}

fn run_one(
    root: &Path,
    suite: Suite,
    rig: &str,
    options: &Options,
    minutes: f64,
) -> Result<(String, bool)> {
    let mut test: Command = suite.command(root);
    test.args(["--", "--ignored", "--exact", "--nocapture", rig]);
    test.env(SEED_VARIABLE, options.seed.to_string())
        .env(MINUTES_VARIABLE, minutes.to_string())
        .env(STRICT_VARIABLE, "1");
    if let Some(case) = options.case {
        test.env(CASE_VARIABLE, case.to_string());
    }
    let (status, output) = process::run_teed(&mut test)?;
    Ok((output, status.success()))
}

/// A rig that does not say what it did may have done nothing.
fn is_pass(exited_well: bool, covered: &[&str]) -> bool {
    exited_well && !covered.is_empty()
}

/// The lines in which a rig tells what it did.
fn covered(output: &str) -> Vec<&str> {
    output
        .lines()
        .filter_map(|line| Some(line.split_once("covered: ")?.1))
        .collect()
}

fn line(rig: &str, passed: bool, took: Duration, covered: &[&str]) -> String {
    let verdict = if passed { "pass" } else { "FAIL" };
    let what = match covered {
        [] => "it does not say what it covered".to_owned(),
        covered => covered.join("; "),
    };
    format!("{verdict}  {rig} {:.0} s: {what}", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_numbers_in_their_range() {
        let parse = |line: &str| {
            let words = line.split_whitespace().map(str::to_owned);
            Options::parse(&mut Args::new(words)).ok()
        };
        let options = |seed, minutes| {
            Some(Options {
                seed,
                minutes,
                is_pdf: false,
                case: None,
            })
        };
        assert_eq!(parse(""), options(1, 30.0));
        assert_eq!(parse("--seed 7 --minutes 0.5"), options(7, 0.5));
        let pdf = Options {
            seed: 7,
            minutes: 30.0,
            is_pdf: true,
            case: Some(12),
        };
        assert_eq!(parse("pdf --seed 7 --case 12"), Some(pdf));
        for wrong in [
            "--seed x",
            "--case 3",
            "pdf --case x",
            "--minutes 0",
            "--minutes -1",
            "--minutes nan",
            "--what",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn long_runs_are_found_by_name() {
        let output =
            "a::torture_x: test\nb::torture: test\ntorture::b: test\n2 tests, 0 benchmarks\n";
        assert_eq!(listed(output), ["a::torture_x"]);
    }

    #[test]
    fn what_was_covered_is_told() {
        let output = "test a ... covered: 5 cuts (seed 1)\nok\n";
        assert_eq!(covered(output), ["5 cuts (seed 1)"]);
        let second = Duration::from_secs(1);
        assert_eq!(line("r", true, second, &["5 cuts"]), "pass  r 1 s: 5 cuts");
        assert!(line("r", false, second, &[]).starts_with("FAIL"));
        let none = covered("test a ... ok\n");
        assert!(!is_pass(true, &none) && !is_pass(false, &["5 cuts"]));
        assert!(is_pass(true, &["5 cuts"]));
    }
}
