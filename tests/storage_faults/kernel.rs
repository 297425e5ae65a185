//! The N-th system call of the whole process, by `strace`: SQLite, staging and the loader too.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;
use std::time::Instant;

use super::scenario::{Injection, Scenario};
use crate::support::oracle::{acknowledged, assert_none, in_parallel};
use crate::support::torture::{Rng, Torture, test_seed};
use crate::support::{has, skip};

/// The calls that change something, or open what will be; `?`: not every architecture has it.
const CALLS: [&str; 19] = [
    "openat2",
    "write",
    "pwrite64",
    "ftruncate",
    "fallocate",
    "fsync",
    "fdatasync",
    "syncfs",
    "renameat",
    "?renameat2",
    "?rename",
    "linkat",
    "unlinkat",
    "?unlink",
    "mkdirat",
    "?mkdir",
    "fchmod",
    "?chmod",
    "fchmodat",
];

/// What a call meets.
const ENDS: [&str; 3] = ["signal=SIGKILL", "error=EIO", "error=ENOSPC"];

/// More calls of one name than a run makes.
const CALLS_MAX: usize = 5_000;

/// The words that make the N-th call end so, counted in each thread.
fn tracer(call: &str, end: &str, nth: usize, paths: &[String], log: &str) -> Vec<String> {
    let mut words = vec!["strace", "-f", "-qq", "-o", log];
    let (trace, inject) = (
        format!("trace={call}"),
        format!("inject={call}:{end}:when={nth}"),
    );
    words.extend(["-e", &trace, "-e", &inject]);
    // A filter in the kernel would not see the paths, and with it signals are not injected.
    if paths.is_empty() && !end.starts_with("signal") {
        words.push("--seccomp-bpf");
    }
    let paths = paths.iter().flat_map(|path| ["-P", path]);
    words.into_iter().chain(paths).map(str::to_owned).collect()
}

/// Runs one case; whether the run met its fault, and the stage that it reached.
fn case(
    scenario: &Scenario,
    (call, end, nth): (&str, &str, usize),
    files: &[&str],
) -> Result<(bool, usize, usize, i32), String> {
    let name = format!("{call}-{end}-{nth}").replace(['?', '='], "");
    let logs = scenario.env.path("logs");
    fs::create_dir_all(&logs).unwrap();
    let log = logs.join(&name);
    let kb = scenario.env.path("cases").join(&name).join("kb");
    let paths: Vec<_> = files
        .iter()
        .map(|file| kb.join(file).display().to_string())
        .collect();
    let mut injection = Injection {
        tracer: tracer(call, end, nth, &paths, log.to_str().unwrap()),
        ..Injection::fault(String::new(), end.starts_with("signal"))
    };
    injection.name = name;
    let ran = scenario.run(&injection);
    let trace = fs::read_to_string(&log).unwrap();
    let met = trace.contains("(INJECTED)") || trace.contains("killed by SIGKILL");
    injection.kills &= met;
    let (told, code) = (acknowledged(&ran.said), ran.said.code);
    let reached = scenario
        .check(&injection, ran)
        .map_err(|why| format!("{call}:{end}:when={nth}: {why}"))?;
    fs::remove_file(log).map_err(|error| error.to_string())?;
    Ok((met, reached, told, code))
}

/// Calls that every mutation makes, some thread of it.
const MADE: [&str; 6] = [
    "openat2", "write", "fsync", "renameat", "unlinkat", "mkdirat",
];

/// Every call meets every end, N counting up until the run does not meet it; the first of each in any
/// case, and a part of the others.
fn every_call(
    scenario: &Scenario,
    seed: u64,
    part: f64,
    goes_on: impl Fn() -> bool + Sync,
) -> usize {
    let start = Instant::now();
    let counts = Mutex::new(BTreeMap::<(&str, &str), usize>::new());
    let rows: Vec<_> = CALLS
        .iter()
        .flat_map(|call| ENDS.map(|end| (*call, end)))
        .collect();
    let failures = in_parallel(rows.len(), |index| {
        let (call, end) = rows[index];
        let mut rng = Rng::new(seed.wrapping_add(index as u64));
        for nth in 1..CALLS_MAX {
            if !rng.chance(part) && nth > 1 {
                continue;
            }
            if !goes_on() {
                return Ok(());
            }
            let ran = case(scenario, (call, end, nth), &[]);
            let (met, ..) = ran.map_err(|why| format!("KBHOST_TEST_SEED={seed} {why}"))?;
            if !met {
                return Ok(());
            }
            *counts.lock().unwrap().entry((end, call)).or_default() += 1;
        }
        Err(format!("{call}:{end}: no end"))
    });
    let counts = counts.into_inner().unwrap();
    let cases = counts.values().sum();
    let of_end = |end: &str| {
        let row = counts.iter().filter(|((of, _), _)| *of == end);
        let cases: usize = row.clone().map(|(_, cases)| cases).sum();
        format!("{end} {cases} at {} calls", row.count())
    };
    covered!(
        "system call faults: {}: {cases} cases ({}; seed {seed}), {:.0?}",
        scenario.name,
        ENDS.map(of_end).join(", "),
        start.elapsed()
    );
    assert_none(scenario.name, cases, &failures);
    for (call, end) in MADE.iter().flat_map(|call| ENDS.map(|end| (*call, end))) {
        let is_met = counts.contains_key(&(end, call)) || !goes_on();
        assert!(is_met, "{}: no case of {call}:{end}", scenario.name);
    }
    cases
}

#[test]
fn system_calls_fail_or_are_the_last() {
    if !has("strace") {
        return skip("faults of system calls", "strace is not installed");
    }
    let cases = every_call(&Scenario::update(), test_seed(), 0.15, || true);
    assert!(cases >= 60, "only {cases} cases");
}

#[test]
fn system_calls_of_a_removal_fail_or_are_the_last() {
    if !has("strace") {
        return skip("faults of system calls", "strace is not installed");
    }
    let cases = every_call(&Scenario::removal(), test_seed(), 0.08, || true);
    assert!(cases >= 40, "only {cases} cases");
}

/// Goal: an error of a sync is neither taken for success nor for failure of the commit. Method: each
/// sync of the registry's files fails in turn, those of the commit and those after it.
#[test]
fn each_sync_of_the_registry_fails() {
    if !has("strace") {
        return skip("faults of the registry's syncs", "strace is not installed");
    }
    let scenario = Scenario::update();
    let files = ["registry.db", "registry.db-wal"].map(|name| format!(".openkb/kbhost/{name}"));
    let files: Vec<_> = files.iter().map(String::as_str).collect();
    let ends = Mutex::new(Vec::new());
    let calls = ["fsync", "fdatasync"];
    let failures = in_parallel(calls.len(), |index| {
        for nth in 1..CALLS_MAX {
            let (met, reached, told, code) =
                case(&scenario, (calls[index], "error=EIO", nth), &files)?;
            if !met {
                break;
            }
            ends.lock()
                .unwrap()
                .push((calls[index], nth, reached, told, code));
        }
        Ok(())
    });
    let ends = ends.into_inner().unwrap();
    covered!("syncs of the registry, call, N, stage, acknowledged, exit code: {ends:?}");
    assert_none("syncs of the registry", ends.len(), &failures);
    let undecided = ends.iter().filter(|(.., code)| *code == 3).count();
    let after = ends.iter().filter(|(.., told, _)| *told > 0).count();
    assert!(undecided > 0, "no sync of a commit: {ends:?}");
    assert!(after > 0, "no sync after a commit: {ends:?}");
}

#[test]
#[ignore = "torture"]
fn torture_system_calls() {
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
        cases += every_call(scenario, torture.seed, 1.0, || torture.goes_on());
    }
    torture.covered(&format!("{cases} faults of single system calls"));
}
