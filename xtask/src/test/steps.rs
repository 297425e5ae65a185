//! The steps of a test run, in the order in which their builds can use each other's output.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::guest_calls::{self, Rebuilt};
use crate::process;
use crate::repo::Repo;
use crate::test::ledger::{Ending, Ledger};
use crate::test::skips::{SKIP_LOG_VARIABLE, Skips};
use crate::test::{libtest, release_scan, rigs};
use crate::tidy;

/// Makes a skipped rig a failure when it is `1`.
const STRICT_VARIABLE: &str = "KBHOST_TEST_STRICT";

/// Names the file to which rigs append what they did and measured.
const COVERED_LOG_VARIABLE: &str = "KBHOST_TEST_COVERED_LOG";

/// Names the directory of components that the tests use in place of the built-in ones.
const COMPONENTS_VARIABLE: &str = "KBHOST_TEST_COMPONENTS";

/// Compiles the rigs' switches into the host.
const RIG_FEATURE: &str = "kbhost/fault-points";

/// Part of the name of every test that compares a conversion with a stored one.
const GOLDEN_FILTER: &str = "golden";

/// Runs every step, prints the table, the skips and the verdict.
///
/// # Errors
/// If a step failed, or, strictly, if a rig was skipped.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let strict = std::env::var_os(STRICT_VARIABLE).is_some_and(|value| value == "1");
    if cfg!(target_os = "macos") {
        println!("macOS: the rigs on strace, setpriv and loop mounts do not run here");
    }
    let mut skips = Skips::start(repo.target().join("test-skips.log"))?;
    let mut ledger = Ledger::default();

    ledger.step("tools of the rigs", || rigs::install(strict));
    ledger.step("tidy", || tidy::run(repo).map(|()| Ending::Passed));
    ledger.step("prebuilt components", || {
        guest_calls::check_manifest(repo).map(|()| Ending::Passed)
    });
    let mut rebuilt = None;
    ledger.step("rebuild the components", || rebuild(repo, &mut rebuilt));
    ledger.step("format", || format_check(repo));
    ledger.step("lints", || clippy(repo));
    ledger.step("dependencies", || cargo_deny(repo));
    ledger.step("tests", || workspace_tests(repo, skips.log()));
    match &rebuilt {
        Some(Rebuilt::Built { components, .. }) => ledger
            .step("golden tests, rebuilt components", || {
                golden(repo, components, skips.log())
            }),
        Some(Rebuilt::NotPossible(why)) => skips.push(format!("components not rebuilt: {why}")),
        None => {} // the failed step above is on record
    }
    ledger.step("plugins, natively", || plugin_tests(repo, skips.log()));
    ledger.step("release binary", || release_binary(repo));

    print_covered(&covered_log(repo))?;
    let skipped = skips.collect()?;
    verdict(&ledger, &skipped, strict)
}

/// Installs the tools of the rigs, where that is possible.
///
/// # Errors
/// If installing fails.
pub(crate) fn install_rig_tools() -> Result<()> {
    rigs::install(true).map(drop)
}

/// `cargo test` of the black-box tests with the rigs' switches; the caller adds what to run.
pub(crate) fn run_tests_of_rigs(root: &Path) -> Command {
    let mut test = process::cargo();
    test.args(["test", "--package", "kbhost", "--features", "fault-points"])
        .args(["--test", "blackbox"])
        .current_dir(root);
    test
}

fn verdict(ledger: &Ledger, skipped: &[String], strict: bool) -> Result<()> {
    println!("\n{}", ledger.table());
    for reason in skipped {
        println!("skip: {reason}");
    }
    println!("skipped rigs: {}", skipped.len());
    let mut problems = Vec::new();
    if ledger.failures() > 0 {
        problems.push(format!("{} steps failed", ledger.failures()));
    }
    if strict && !skipped.is_empty() {
        problems.push(format!(
            "{} rigs were skipped under {STRICT_VARIABLE}=1",
            skipped.len()
        ));
    }
    if problems.is_empty() {
        println!("pass");
        Ok(())
    } else {
        println!("FAIL");
        Err(Failure::new(problems.join(", ")))
    }
}

fn rebuild(repo: &Repo, rebuilt: &mut Option<Rebuilt>) -> Result<Ending> {
    let outcome = guest_calls::rebuild_and_compare(repo)?;
    let ending = match &outcome {
        Rebuilt::Built { comparison, .. } => {
            println!("{comparison}");
            Ending::PassedWith(comparison.clone())
        }
        Rebuilt::NotPossible(why) => Ending::NotRun(why.clone()),
    };
    *rebuilt = Some(outcome);
    Ok(ending)
}

fn format_check(repo: &Repo) -> Result<Ending> {
    if !process::works(process::cargo().args(["fmt", "--version"])) {
        return Ok(Ending::NotRun("rustfmt is not installed".to_owned()));
    }
    for workspace in [
        vec![repo.root().to_path_buf()],
        guest_calls::workspaces(repo)?,
    ]
    .concat()
    {
        let mut fmt = process::cargo();
        process::run(fmt.args(["fmt", "--all", "--check"]).current_dir(workspace))?;
    }
    Ok(Ending::Passed)
}

fn clippy(repo: &Repo) -> Result<Ending> {
    if !process::works(process::cargo().args(["clippy", "--version"])) {
        return Ok(Ending::NotRun("clippy is not installed".to_owned()));
    }
    let root = repo.root().to_path_buf();
    // With the rigs' switches and as users get it: either may have code the other one lacks.
    let mut runs: Vec<(PathBuf, &[&str])> = vec![
        (
            root.clone(),
            &["--workspace", "--all-targets", "--features", RIG_FEATURE],
        ),
        (root, &["--package", "kbhost"]),
    ];
    for workspace in guest_calls::workspaces(repo)? {
        runs.push((workspace, &["--workspace", "--all-targets"]));
    }
    for (workspace, selection) in runs {
        let mut clippy = process::cargo();
        clippy
            .arg("clippy")
            .args(selection)
            .args(["--", "--deny", "warnings"]);
        process::run(clippy.current_dir(workspace))?;
    }
    Ok(Ending::Passed)
}

/// Advisories come over the network and change by the day: they are not part of a test run.
fn cargo_deny(repo: &Repo) -> Result<Ending> {
    if process::on_path("cargo-deny").is_none() {
        return Ok(Ending::NotRun("cargo-deny is not installed".to_owned()));
    }
    let mut deny = process::cargo();
    deny.args(["deny", "--offline", "check", "bans", "licenses", "sources"]);
    process::run(deny.current_dir(repo.root())).map(|()| Ending::Passed)
}

fn workspace_tests(repo: &Repo, skip_log: &Path) -> Result<Ending> {
    let mut test = process::cargo();
    test.args([
        "test",
        "--workspace",
        "--no-fail-fast",
        "--features",
        RIG_FEATURE,
    ]);
    let covered = covered_log(repo);
    std::fs::write(&covered, "").map_err(Failure::io("write", &covered))?;
    run_tests(
        test.current_dir(repo.root())
            .env(SKIP_LOG_VARIABLE, skip_log)
            .env(COVERED_LOG_VARIABLE, &covered),
    )
}

fn covered_log(repo: &Repo) -> PathBuf {
    repo.target().join("test-covered.log")
}

/// Prints what the rigs did: libtest shows nothing of a test that passes.
fn print_covered(log: &Path) -> Result<()> {
    let text = std::fs::read_to_string(log).map_err(Failure::io("read", log))?;
    println!("\n== what the rigs covered");
    print!("{text}");
    Ok(())
}

fn golden(repo: &Repo, components: &Path, skip_log: &Path) -> Result<Ending> {
    let mut test = process::cargo();
    test.args([
        "test",
        "--workspace",
        "--features",
        RIG_FEATURE,
        "--",
        GOLDEN_FILTER,
    ]);
    test.env(COMPONENTS_VARIABLE, components)
        .env(SKIP_LOG_VARIABLE, skip_log);
    run_tests(test.current_dir(repo.root()))
}

fn plugin_tests(repo: &Repo, skip_log: &Path) -> Result<Ending> {
    let mut passed = 0;
    for workspace in guest_calls::workspaces(repo)? {
        let mut test = process::cargo();
        test.args(["test", "--workspace", "--no-fail-fast", "--locked"]);
        // Flags meant for the host's build must not reach a workspace with another target.
        test.env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env(SKIP_LOG_VARIABLE, skip_log)
            .current_dir(workspace);
        let (status, output) = process::run_teed(&mut test)?;
        process::succeeded(&test, status)?;
        passed += libtest::passed(&output);
    }
    match passed {
        0 => Err(Failure::new("the plugins have no test")),
        count => Ok(Ending::PassedWith(format!("{count} tests"))),
    }
}

/// Runs a `cargo test` that must have run something: a filter that matches nothing proves nothing.
fn run_tests(test: &mut Command) -> Result<Ending> {
    let (status, output) = process::run_teed(test)?;
    process::succeeded(test, status)?;
    match libtest::passed(&output) {
        0 => Err(Failure::new(format!(
            "`{}` ran no test",
            process::describe(test)
        ))),
        count => Ok(Ending::PassedWith(format!("{count} tests"))),
    }
}

/// The release binary holds no switch of a rig; the binary of the rigs does, or the search is blind.
fn release_binary(repo: &Repo) -> Result<Ending> {
    let mut build = process::cargo();
    build.args([
        "build",
        "--workspace",
        "--bin",
        "kbhost",
        "--features",
        RIG_FEATURE,
    ]);
    process::run(build.current_dir(repo.root()))?;
    let name = repo.release_binary();
    let name = name.file_name().unwrap_or_default();
    if release_scan::switches_in(&repo.target().join("debug").join(name))?.is_empty() {
        return Err(Failure::new(
            "the search finds no switch in the binary built for the rigs",
        ));
    }
    repo.build_release()?;
    let found = release_scan::switches_in(&repo.release_binary())?;
    if found.is_empty() {
        Ok(Ending::PassedWith("no switch of a rig in it".to_owned()))
    } else {
        Err(Failure::new(format!(
            "the release binary contains {}",
            found.join(", ")
        )))
    }
}
