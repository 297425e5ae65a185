//! How many cases run: a part with the tests, the rest in `cargo xtask torture pdf`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::rig::Cases;
use crate::targets::{Seeds, Target};

/// What `cargo xtask torture` sets, and where the cases of the sandbox are written.
const SEED_VARIABLE: &str = "KBHOST_TORTURE_SEED";
const MINUTES_VARIABLE: &str = "KBHOST_TORTURE_MINUTES";
const CASE_VARIABLE: &str = "KBHOST_TORTURE_CASE";
const COUNT_VARIABLE: &str = "KBHOST_TORTURE_COUNT";
const WRITE_VARIABLE: &str = "KBHOST_TORTURE_WRITE";

/// Seconds that a target has of the tests, and the cases that it takes at most.
const TESTS_SECONDS: u64 = 6;
const TESTS_CASES: u64 = 400;
/// The seed of the tests.
const TESTS_SEED: u64 = 1;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    variable(name).map(|value| value.parse().unwrap_or_else(|_| panic!("{name}: {value}")))
}

/// The first cases, as many as there is time for.
fn in_tests(target: Target) {
    let cases = Cases {
        seed: TESTS_SEED,
        first: 0,
        count: TESTS_CASES,
        until: Some(Instant::now() + Duration::from_secs(TESTS_SECONDS)),
    };
    let covered = target.run(cases, false);
    assert!(
        covered.violations.is_empty(),
        "{}",
        covered.violations.join("\n")
    );
    assert!(covered.cases > 0);
}

#[test]
fn some_files_are_read() {
    in_tests(Target::Parse);
}

#[test]
fn some_pages_are_laid_out() {
    in_tests(Target::Layout);
}

#[test]
fn some_files_become_markdown() {
    in_tests(Target::Whole);
}

/// Cases until the time is over, or the one that was asked for.
#[expect(
    clippy::print_stdout,
    reason = "`xtask torture` reads what was covered"
)]
fn at_length(target: Target) {
    let seed = number(SEED_VARIABLE).unwrap_or(TESTS_SEED);
    let minutes = variable(MINUTES_VARIABLE).and_then(|minutes| minutes.parse::<f64>().ok());
    let time = Duration::from_secs_f64(60.0 * minutes.unwrap_or(1.0));
    let case = number(CASE_VARIABLE);
    let cases = Cases {
        seed,
        first: case.unwrap_or(0),
        count: case.map_or(u64::MAX, |_| 1),
        until: Some(Instant::now() + time),
    };
    let covered = target.run(cases, true);
    println!("covered: {}", covered.told(target.name(), seed));
    assert!(
        covered.violations.is_empty(),
        "{}",
        covered.violations.join("\n")
    );
}

#[test]
#[ignore = "runs for minutes: `cargo xtask torture pdf`"]
fn torture_parse() {
    at_length(Target::Parse);
}

#[test]
#[ignore = "runs for minutes: `cargo xtask torture pdf`"]
fn torture_layout() {
    at_length(Target::Layout);
}

#[test]
#[ignore = "runs for minutes: `cargo xtask torture pdf`"]
fn torture_whole() {
    at_length(Target::Whole);
}

/// Writes cases as files, for the component in the sandbox.
#[test]
#[ignore = "writes files: `cargo xtask torture pdf` has it done"]
fn write_cases() {
    let dir = PathBuf::from(variable(WRITE_VARIABLE).expect("a folder"));
    let seed = number(SEED_VARIABLE).unwrap_or(TESTS_SEED);
    let first = number(CASE_VARIABLE).unwrap_or(0);
    let seeds = Seeds::new(true);
    for case in first..first + number(COUNT_VARIABLE).unwrap_or(1) {
        let path = dir.join(format!("seed-{seed}-case-{case}.pdf"));
        std::fs::write(path, seeds.bytes(seed, case)).expect("it can be written");
    }
}
