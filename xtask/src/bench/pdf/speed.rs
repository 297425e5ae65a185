//! Pages per CPU second over long documents: natively, inside the sandbox, and what `pdftotext` takes.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::native::Native;
use super::sandbox::{Ending, Sandbox};
use crate::bench::report::{Goal, Report};
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::{self, Repo};

const NATIVE_GOAL: f64 = 150.0;
const SANDBOX_GOAL: f64 = 75.0;

/// Runs; the fastest counts, which what else runs on the machine disturbs least.
const RUNS: usize = 3;

/// Measures all three.
///
/// # Errors
/// If a long document does not convert.
pub(super) fn measure(
    repo: &Repo,
    native: &Native,
    sandbox: &Sandbox<'_>,
    report: &mut Report,
) -> Result<()> {
    let Some(long) = repo.corpus_long() else {
        report.skip("speed", "no ../shared/corpus/long");
        return Ok(());
    };
    let files = repo::entries(&long)?;
    println!("Converting {} long documents ...", files.len());
    let mut best = 0.0_f64;
    let mut pages = 0.0;
    for _ in 0..RUNS {
        let speed = native.convert(&files, &sandbox.path("native"))?;
        pages = speed.pages;
        best = best.max(speed.pages / speed.cpu_seconds);
    }
    let rate = " pages/CPU s";
    let what = format!("speed: natively, {pages:.0} pages");
    report.goal(what, best, rate, Goal::AtLeast(NATIVE_GOAL));
    let mut best = 0.0_f64;
    for _ in 0..RUNS {
        best = best.max(in_sandbox(sandbox, &files)?);
    }
    report.goal(
        "speed: in the sandbox",
        best,
        rate,
        Goal::AtLeast(SANDBOX_GOAL),
    );
    let compile = format!("{:.1} s", sandbox.compile_seconds);
    report.figure("speed: compiling the component, once", compile);
    match process::on_path("pdftotext") {
        Some(program) => {
            let seconds = peer_seconds(&program, &files)?;
            let what = "speed: pdftotext on the same files";
            report.figure(what, format!("{:.0}{rate}", pages / seconds));
        }
        None => report.skip("speed: pdftotext", "no pdftotext here"),
    }
    Ok(())
}

/// Pages per CPU second of the calls; compiling and starting are not in them.
fn in_sandbox(sandbox: &Sandbox<'_>, files: &[PathBuf]) -> Result<f64> {
    let (mut pages, mut seconds) = (0, 0.0);
    for file in files {
        let outcome = sandbox.convert(file, &sandbox.path("work-0"))?;
        if outcome.ending != Ending::Converted {
            let (file, told) = (file.display(), outcome.ending.told());
            return Err(Failure::new(format!("`{file}`: {told}")));
        }
        pages += outcome.pages;
        seconds += outcome.cpu.unwrap_or_default().as_secs_f64();
    }
    Ok(pages as f64 / seconds.max(1e-3))
}

/// The shell tells what the programs it ran took.
fn peer_seconds(program: &Path, files: &[PathBuf]) -> Result<f64> {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "for file; do \"$0\" -q \"$file\" /dev/null; done; times",
    ]);
    let said = process::capture(shell.arg(program).args(files))?;
    children_seconds(&said).ok_or_else(|| Failure::new(format!("`times` said `{said}`")))
}

/// The second line of `times`: user and system time of the children, `0m0.12s 0m0.01s`.
fn children_seconds(times: &str) -> Option<f64> {
    let line = times.lines().nth(1)?;
    line.split_whitespace().try_fold(0.0, |sum, word| {
        let (minutes, seconds) = word.strip_suffix('s')?.split_once('m')?;
        let minutes: f64 = minutes.parse().ok()?;
        let seconds: f64 = seconds.parse().ok()?;
        Some(sum + 60.0 * minutes + seconds)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_children_are_added() {
        let said = "0m0.00s 0m0.00s\n1m0.50s 0m0.25s\n";
        assert_eq!(children_seconds(said), Some(60.75));
        assert_eq!(children_seconds(""), None);
    }
}
