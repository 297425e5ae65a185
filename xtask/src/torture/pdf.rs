//! Changed PDFs through the component in the sandbox: no case traps, hits a limit, or forges the marks
//! by which the host knows pages.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::{CASE_VARIABLE, SEED_VARIABLE, Suite};
use crate::bench::{Ending, Outcome, Rig, Sandbox, each_of};
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::{self, Repo};

/// The test that writes cases, and what it reads.
const WRITER: &str = "torture::write_cases";
const COUNT_VARIABLE: &str = "KBHOST_TORTURE_COUNT";
const WRITE_VARIABLE: &str = "KBHOST_TORTURE_WRITE";

/// Cases that are written together.
const BATCH: u64 = 200;

/// A case may take this much of the component's time: the files are small.
const CPU_MAX: Duration = Duration::from_secs(10);

/// What was covered, and what was violated.
pub(super) struct Ran {
    pub(super) covered: String,
    pub(super) violations: Vec<String>,
}

/// Converts cases from the first one on until the time is over, or `case` alone.
///
/// # Errors
/// If the host does not build or cases cannot be written.
pub(super) fn run(repo: &Repo, seed: u64, case: Option<u64>, minutes: f64) -> Result<Ran> {
    repo.build_release()?;
    let rig = Rig::new(repo.release_binary(), repo.target().join("torture-pdf"))?;
    let sandbox = Sandbox::new(&rig)?;
    let until = Instant::now() + Duration::from_secs_f64(60.0 * minutes);
    let mut counts = std::collections::BTreeMap::new();
    let mut violations = Vec::new();
    let (mut first, mut cases) = (case.unwrap_or(0), 0);
    let batch = case.map_or(BATCH, |_| 1);
    while cases == 0 || case.is_none() && Instant::now() < until {
        let files = write(repo, &rig, seed, first, batch)?;
        for (file, outcome) in files.iter().zip(each_of(&sandbox, &files)?) {
            cases += 1;
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            violations.extend(violation(&outcome).map(|what| format!("{name}: {what}")));
            let kind = match outcome.ending {
                Ending::Converted => "converted".to_owned(),
                Ending::Failed { code, .. } => code,
                Ending::NoAnswer(_) => "no answer".to_owned(),
            };
            *counts.entry(kind).or_insert(0_u64) += 1;
        }
        first += batch;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(kind, n)| format!("{n} {kind}"))
        .collect();
    let counts = counts.join(", ");
    Ok(Ran {
        covered: format!("{cases} files in the sandbox (seed {seed}): {counts}"),
        violations,
    })
}

fn write(repo: &Repo, rig: &Rig, seed: u64, first: u64, count: u64) -> Result<Vec<PathBuf>> {
    let dir = rig.path("cases");
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(Failure::io("remove", &dir))?;
    }
    std::fs::create_dir_all(&dir).map_err(Failure::io("create", &dir))?;
    let mut writer = Suite::Pdf.command(repo.root());
    writer.args(["--", "--ignored", "--exact", WRITER]);
    writer
        .env(SEED_VARIABLE, seed.to_string())
        .env(CASE_VARIABLE, first.to_string())
        .env(COUNT_VARIABLE, count.to_string())
        .env(WRITE_VARIABLE, &dir);
    process::capture(&mut writer)?;
    let files = repo::entries(&dir)?;
    match files.len() as u64 == count {
        true => Ok(files),
        false => Err(Failure::new(format!(
            "{} of {count} cases were written",
            files.len()
        ))),
    }
}

fn violation(outcome: &Outcome) -> Option<String> {
    if outcome.ending.is_trap() || outcome.ending.is_limit() {
        return Some(outcome.ending.told());
    }
    if let Some(cpu) = outcome.cpu.filter(|cpu| *cpu > CPU_MAX) {
        return Some(format!("{:.1} s of CPU time", cpu.as_secs_f64()));
    }
    let marks = marks(&outcome.markdown);
    let is_forged =
        outcome.ending == Ending::Converted && !marks.iter().copied().eq(1..=outcome.pages);
    is_forged.then(|| format!("{} pages are marked as {marks:?}", outcome.pages))
}

/// The pages that a text says begin in it.
fn marks(markdown: &str) -> Vec<u64> {
    let lines = markdown.lines().filter_map(|line| {
        let line = line.trim_start().strip_prefix("<!-- page ")?;
        line.split_once(" -->")?.0.parse().ok()
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The negative control: each sort of violation is one.
    #[test]
    fn violations_are_told() {
        let outcome = |ending, markdown: &str| Outcome {
            ending,
            cpu: None,
            memory_bytes_peak: None,
            pages: 2,
            wall: Duration::ZERO,
            markdown: markdown.to_owned(),
            warnings: Vec::new(),
        };
        let failed = |code: &str| Ending::Failed {
            code: code.to_owned(),
            cause: "x".to_owned(),
        };
        let pages = "<!-- page 1 -->\n\na\n\n<!-- page 2 -->\n\nsee \\<!-- page 3 -->\n";
        assert_eq!(violation(&outcome(Ending::Converted, pages)), None);
        assert_eq!(violation(&outcome(failed("malformed"), "")), None);
        for bad in [
            outcome(Ending::Converted, "<!-- page 1 -->\n"),
            outcome(Ending::Converted, &format!("{pages}<!-- page 3 -->\n")),
            outcome(failed("trap"), ""),
            outcome(failed("limit-memory"), ""),
            outcome(Ending::NoAnswer("signal".to_owned()), ""),
            Outcome {
                cpu: Some(CPU_MAX * 2),
                ..outcome(Ending::Converted, pages)
            },
        ] {
            assert!(violation(&bad).is_some(), "{bad:?}");
        }
    }
}
