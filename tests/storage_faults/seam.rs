//! The N-th storage operation of the host's seam.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use super::scenario::{Injection, Scenario};
use crate::recovery::documents;
use crate::support::Env;
use crate::support::oracle::{assert_none, in_parallel};
use crate::support::torture::{Rng, Torture, test_seed};

/// What is done to which kind of operation. `+` is for good.
const FAULTS: [(&str, &str); 18] = [
    ("#op", "abort"),
    ("#op", "error"),
    ("#op", "error+"),
    ("#op", "enospc"),
    ("#op", "enospc+"),
    ("#op", "emfile"),
    ("#op", "emfile+"),
    ("#rename", "exdev"),
    ("#rename", "exdev+"),
    ("#link", "exdev"),
    ("#link", "exdev+"),
    ("#write", "short"),
    ("#write", "short+"),
    ("#copy", "short"),
    ("#copy", "short+"),
    ("#append", "short"),
    ("#append", "short+"),
    ("#advisory", "short+"),
];

/// More operations than any scenario makes: a run that never gets by is a failure.
const OPERATIONS_MAX: usize = 1_000;

/// A run that takes its recovery twice is three times as long: one of these many.
const DRAIN_TWICE_EVERY: usize = 8;

/// Which part of a row of [`FAULTS`], by place and mode, is run; one case of it in any case.
type Part = fn(place: &str, mode: &str) -> f64;

/// Every N of every row.
const ALL: Part = |_, _| 1.0;

/// What came of the faults of a scenario.
struct Sweep {
    /// Operations of a run without a fault.
    operations: usize,
    /// Operations that a row of [`FAULTS`] may meet, and cases of it.
    rows: BTreeMap<usize, (usize, usize)>,
    failures: Vec<String>,
}

impl Sweep {
    fn cases(&self) -> usize {
        self.rows.values().map(|(_, cases)| cases).sum()
    }

    /// `#op:abort 45 of 45`, and so on for each row.
    fn told(&self) -> String {
        let told = self.rows.iter().map(|(row, (operations, cases))| {
            let (place, mode) = FAULTS[*row];
            format!("{place}:{mode} {cases} of {operations}")
        });
        told.collect::<Vec<_>>().join(", ")
    }
}

/// Runs `scenario` with the faults of `rows`, N counting up until the run does not meet it.
fn sweep(
    scenario: &Scenario,
    rows: &[usize],
    seed: u64,
    part: Part,
    goes_on: impl Fn() -> bool + Sync,
) -> Sweep {
    let clean = scenario.run(&Injection::fault(String::new(), false));
    let last = |place: &str| {
        let met = |nth: &usize| {
            let mut lines = clean.trace.iter();
            lines.any(|line| is_operation(line, place, *nth))
        };
        (1..).take_while(met).count()
    };
    let (counts, failed) = (Mutex::new(BTreeMap::new()), Mutex::new(Vec::new()));
    let endless = in_parallel(rows.len(), |index| {
        let row = rows[index];
        let (place, mode) = FAULTS[row];
        let (last, part) = (last(place), part(place, mode));
        counts.lock().unwrap().insert(row, (last, 0));
        let mut rng = Rng::new(seed.wrapping_add(row as u64));
        let in_any_case = 1 + rng.below(last.max(1));
        for nth in 1..OPERATIONS_MAX {
            if !goes_on() {
                return Ok(());
            }
            let wanted = rng.chance(part) || nth == in_any_case;
            if !wanted && nth <= last {
                continue;
            }
            let (mode, good) = match mode.strip_suffix('+') {
                Some(mode) => (mode, "+"),
                None => (mode, ""),
            };
            let fault = format!("{place}:{mode}:{nth}{good}");
            let mut injection = Injection::fault(fault, mode == "abort");
            injection.drains_twice = nth % DRAIN_TWICE_EVERY == 0;
            let ran = scenario.run(&injection);
            let met = ran.trace.iter().any(|line| is_operation(line, place, nth));
            injection.kills &= met;
            if let Err(why) = scenario.check(&injection, ran) {
                let line = format!("KBHOST_TEST_SEED={seed} {}: {why}", injection.name);
                failed.lock().unwrap().push(line);
            }
            if !met {
                return Ok(());
            }
            counts.lock().unwrap().entry(row).or_insert((last, 0)).1 += 1;
        }
        Err(format!("{place}:{mode}: no end"))
    });
    let mut failures = failed.into_inner().unwrap();
    failures.extend(endless);
    Sweep {
        operations: last("#op"),
        rows: counts.into_inner().unwrap(),
        failures,
    }
}

/// Sweeps all rows and fails with what was wrong, or with a row of which nothing was run. The number
/// of cases.
fn every_operation(
    scenario: &Scenario,
    seed: u64,
    part: Part,
    goes_on: impl Fn() -> bool + Sync,
) -> usize {
    let start = Instant::now();
    let rows: Vec<_> = (0..FAULTS.len()).collect();
    let sweep = sweep(scenario, &rows, seed, part, &goes_on);
    let (cases, operations) = (sweep.cases(), sweep.operations);
    covered!(
        "storage faults: {}: {operations} operations, {cases} cases ({}; seed {seed}), {:.0?}",
        scenario.name,
        sweep.told(),
        start.elapsed()
    );
    assert_none(scenario.name, cases, &sweep.failures);
    assert!(operations >= 35, "only {operations} operations");
    for (row, (operations, cases)) in &sweep.rows {
        let (place, mode) = FAULTS[*row];
        let is_empty = *cases == 0 && *operations > 0;
        assert!(
            !is_empty || !goes_on(),
            "{}: no case of {place}:{mode}",
            scenario.name
        );
        // The holder's record is written by the clock: an operation more or less.
        let is_short = part(place, mode) >= 1.0 && cases + 1 < *operations;
        assert!(
            !is_short || !goes_on(),
            "{}: {cases} of {operations} cases of {place}:{mode}",
            scenario.name
        );
        assert!(
            *operations > 0 || scenario.lacks.contains(&place),
            "{}: {place} never happens",
            scenario.name
        );
    }
    cases
}

/// Whether a line of the trace, `#17 rename:4`, is the N-th operation at `place`.
fn is_operation(line: &str, place: &str, nth: usize) -> bool {
    let Some((number, kind)) = line.strip_prefix('#').and_then(|line| line.split_once(' ')) else {
        return false;
    };
    match place {
        "#op" => number == nth.to_string(),
        _ => kind == format!("{}:{nth}", &place[1..]),
    }
}

/// Kills at every N, and of the rest a part.
fn kills_and(part: f64, mode: &str) -> f64 {
    if mode == "abort" { 1.0 } else { part }
}

/// The border of a file system, no file handle left and a write that is cut short: at every N.
#[test]
fn each_operation_of_a_small_add_fails() {
    let part: Part = |_, mode| match mode.trim_end_matches('+') {
        "exdev" | "emfile" | "short" => 1.0,
        mode => kills_and(0.5, mode),
    };
    every_operation(&Scenario::small_add(), test_seed(), part, || true);
}

/// A small add links nothing: the border of a file system is met by links here.
#[test]
fn each_operation_of_an_update_fails() {
    let part: Part = |place, mode| match place {
        "#link" => 1.0,
        _ => kills_and(0.15, mode),
    };
    every_operation(&Scenario::update(), test_seed(), part, || true);
}

#[test]
fn each_operation_of_a_failing_add_fails() {
    let part: Part = |_, mode| kills_and(0.1, mode);
    every_operation(&Scenario::failing_add(), test_seed(), part, || true);
}

#[test]
fn each_operation_of_a_removal_fails() {
    let part: Part = |_, mode| kills_and(0.15, mode);
    every_operation(&Scenario::removal(), test_seed(), part, || true);
}

/// The negative control: a page that is written over is torn when the process dies in the middle,
/// and that is among the failures of a sweep.
#[test]
fn a_page_written_in_place_is_noticed() {
    let env = documents::updated(Env::in_memory());
    let scenario = Scenario::update_of(env).with_switch("KBHOST_TEST_IN_PLACE");
    let kills = FAULTS.iter().position(|(_, mode)| *mode == "abort");
    let sweep = sweep(&scenario, &[kills.unwrap()], test_seed(), ALL, || true);
    covered!(
        "storage faults, a page written in place: {} of {} cases fail",
        sweep.failures.len(),
        sweep.cases()
    );
    assert!(sweep.cases() >= 35, "only {} cases", sweep.cases());
    let torn = |line: &&String| line.contains("wiki/index.md");
    assert!(
        sweep.failures.iter().any(|line| torn(&line)),
        "{:?}",
        sweep.failures
    );
    // Nothing else is wrong with such a writer.
    let others: Vec<_> = sweep.failures.iter().filter(|line| !torn(line)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
#[ignore = "torture"]
fn torture_storage_operations() {
    let Some(torture) = Torture::from_env() else {
        return;
    };
    let scenarios = [
        Scenario::small_add(),
        Scenario::update(),
        Scenario::failing_add(),
        Scenario::removal(),
    ];
    let mut cases = 0;
    for scenario in &scenarios {
        cases += every_operation(scenario, torture.seed, ALL, || torture.goes_on());
    }
    torture.covered(&format!("{cases} faults of single storage operations"));
}
