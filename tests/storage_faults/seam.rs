//! The N-th storage operation of the host's seam.

use std::sync::atomic::{AtomicUsize, Ordering};
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

/// Runs `scenario` with every fault, N counting up until the run does not meet it; of those that do
/// not kill a part. The number of cases.
fn every_operation(
    scenario: &Scenario,
    seed: u64,
    part: f64,
    goes_on: impl Fn() -> bool + Sync,
) -> usize {
    let start = Instant::now();
    let cases = AtomicUsize::new(0);
    let clean = scenario.run(&Injection::fault(String::new(), false));
    let last = |place: &str| {
        let met = |nth: &usize| {
            clean
                .trace
                .iter()
                .any(|line| is_operation(line, place, *nth))
        };
        (1..).take_while(met).count()
    };
    let failures = in_parallel(FAULTS.len(), |index| {
        let (place, mode) = FAULTS[index];
        let last = last(place);
        let mut rng = Rng::new(seed.wrapping_add(index as u64));
        for nth in 1..OPERATIONS_MAX {
            if !goes_on() {
                return Ok(());
            }
            let wanted = mode == "abort" || rng.chance(part);
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
            let failed = |why| format!("KBHOST_TEST_SEED={seed} {}: {why}", injection.name);
            scenario.check(&injection, ran).map_err(failed)?;
            if !met {
                return Ok(());
            }
            cases.fetch_add(1, Ordering::SeqCst);
        }
        Err(format!("{place}:{mode}: no end"))
    });
    let (cases, operations) = (cases.into_inner(), last("#op"));
    covered!(
        "storage faults: {}: {operations} operations, {cases} cases (seed {seed}), {:.0?}",
        scenario.name,
        start.elapsed()
    );
    assert_none(scenario.name, cases, &failures);
    assert!(operations >= 35, "only {operations} operations");
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

#[test]
fn each_operation_of_a_small_add_fails() {
    every_operation(&Scenario::small_add(), test_seed(), 0.5, || true);
}

#[test]
fn each_operation_of_an_update_fails() {
    every_operation(&Scenario::update(), test_seed(), 0.15, || true);
}

#[test]
fn each_operation_of_a_failing_add_fails() {
    every_operation(&Scenario::failing_add(), test_seed(), 0.1, || true);
}

/// The negative control: a page that is written over is torn when the process dies in the middle.
#[test]
fn a_page_written_in_place_is_noticed() {
    let env = documents::updated(Env::in_memory());
    let scenario = Scenario::update_of(env).with_switch("KBHOST_TEST_IN_PLACE");
    let injection = Injection::fault("write.in-place-rest:abort".to_owned(), true);
    let ran = scenario.run(&injection);
    let list = std::fs::read_to_string(ran.dir.join("kb/wiki/index.md")).unwrap();
    assert!(!list.is_empty(), "the kill came too early");
    let noticed = scenario.check(&injection, ran).unwrap_err();
    assert!(noticed.contains("wiki/index.md"), "{noticed}");
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
    ];
    let mut cases = 0;
    for scenario in &scenarios {
        cases += every_operation(scenario, torture.seed, 1.0, || torture.goes_on());
    }
    torture.covered(&format!("{cases} faults of single storage operations"));
}
