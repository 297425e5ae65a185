//! Odd and malformed files inside the sandbox: what traps, what hits a limit, what is slow or large, and
//! what loses its text.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::sandbox::{Ending, Outcome, Sandbox, each_of};
use super::{bounded, text};
use crate::bench::report::{Goal, Report, median};
use crate::failure::Result;
use crate::process;
use crate::repo::{self, Repo};

/// A file may take this much.
const CPU_MAX: Duration = Duration::from_secs(10);
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// One file in this many, if it is to be quick.
const QUICK_STEP: usize = 10;

/// `pdftotext` is not waited for any longer.
const PEER_WALL_MAX: Duration = Duration::from_secs(20);

/// Fewer characters are no text: a page number, a stray mark.
const TEXT_CHARS_MIN: usize = 8;

/// What is allowed of the files with text.
const EMPTY_PERCENT_MAX: f64 = 1.0;
const RATIO_MIN: f64 = 0.98;

/// A file and what it came to.
struct Judged<'a> {
    file: &'a Path,
    outcome: Outcome,
    /// Characters of the page.
    chars: usize,
    /// Characters that `pdftotext` finds, if it is here.
    peer_chars: Option<usize>,
}

/// Converts them all and tells.
///
/// # Errors
/// If the host cannot be started.
pub(super) fn measure(
    repo: &Repo,
    sandbox: &Sandbox<'_>,
    quick: bool,
    report: &mut Report,
) -> Result<()> {
    let Some(dir) = repo.corpus_robust() else {
        report.skip("robust", "no ../shared/corpus/robust");
        return Ok(());
    };
    let mut files = repo::entries(&dir)?;
    files.retain(|path| repo::has_pdf_name(path));
    let step = if quick { QUICK_STEP } else { 1 };
    let files: Vec<PathBuf> = files.into_iter().step_by(step).collect();
    println!("Converting {} odd files in the sandbox ...", files.len());
    let outcomes = each_of(sandbox, &files)?;
    let peer = process::on_path("pdftotext");
    let mut judged = Vec::new();
    for (file, outcome) in files.iter().zip(outcomes) {
        let peer_chars = match &peer {
            Some(program) => Some(peer_chars(program, file, &sandbox.path("work-0"))?),
            None => None,
        };
        judged.push(Judged {
            file,
            chars: text::chars_of_markdown(&outcome.markdown),
            outcome,
            peer_chars,
        });
    }
    tell_endings(&judged, report);
    tell_bounds(&judged, report);
    match peer {
        Some(_) => tell_text(&judged, report),
        None => report.skip("robust: text against pdftotext", "no pdftotext here"),
    }
    Ok(())
}

fn peer_chars(program: &Path, file: &Path, dir: &Path) -> Result<usize> {
    let mut command = Command::new(program);
    command.args(["-q", "-enc", "UTF-8"]).arg(file).arg("-");
    let ran = bounded::run(&mut command, dir, PEER_WALL_MAX)?;
    Ok(text::chars_of_text(&ran.stdout))
}

fn tell_endings(judged: &[Judged<'_>], report: &mut Report) {
    let mut counts = std::collections::BTreeMap::new();
    for one in judged {
        let kind = match &one.outcome.ending {
            Ending::Converted => "converted",
            Ending::Failed { code, .. } => code,
            Ending::NoAnswer(_) => "no answer",
        };
        *counts.entry(kind).or_insert(0_usize) += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(k, n)| format!("{k} {n}")).collect();
    report.figure(format!("robust: {} files", judged.len()), counts.join(", "));
    let told = |one: &Judged<'_>| one.outcome.ending.told();
    let traps = |one: &Judged<'_>| one.outcome.ending.is_trap();
    list(judged, "robust: traps", traps, told, report);
    let limits = |one: &Judged<'_>| one.outcome.ending.is_limit();
    list(judged, "robust: limits hit", limits, told, report);
}

fn tell_bounds(judged: &[Judged<'_>], report: &mut Report) {
    let cpu = |one: &Judged<'_>| one.outcome.cpu.unwrap_or_default();
    let memory = |one: &Judged<'_>| one.outcome.memory_bytes_peak.unwrap_or_default();
    let seconds = |one: &Judged<'_>| format!("{:.1} s", cpu(one).as_secs_f64());
    let mebibytes = |one: &Judged<'_>| format!("{} MiB", memory(one) >> 20);
    let what = format!("robust: files over {} CPU s", CPU_MAX.as_secs());
    list(judged, &what, |one| cpu(one) > CPU_MAX, seconds, report);
    let what = format!("robust: files over {} MiB", MEMORY_BYTES_MAX >> 20);
    list(
        judged,
        &what,
        |one| memory(one) > MEMORY_BYTES_MAX,
        mebibytes,
        report,
    );
    let all: f64 = judged.iter().map(|one| cpu(one).as_secs_f64()).sum();
    report.figure("robust: CPU time together", format!("{all:.1} s"));
    if let Some(slowest) = judged.iter().max_by_key(|one| cpu(one)) {
        report.figure(
            "robust: slowest",
            format!("{} {}", seconds(slowest), name(slowest.file)),
        );
    }
    if let Some(largest) = judged.iter().max_by_key(|one| memory(one)) {
        report.figure(
            "robust: largest",
            format!("{} {}", mebibytes(largest), name(largest.file)),
        );
    }
}

fn tell_text(judged: &[Judged<'_>], report: &mut Report) {
    let peer = |one: &Judged<'_>| one.peer_chars.unwrap_or_default();
    let with_text: Vec<&Judged<'_>> = judged
        .iter()
        .filter(|one| peer(one) >= TEXT_CHARS_MIN)
        .collect();
    println!("  files with text that came out empty or not at all:");
    let mut lost = 0_u32;
    for one in with_text.iter().filter(|one| one.chars == 0) {
        lost += 1;
        let warnings = one.outcome.warnings.join("; ");
        let told = one.outcome.ending.told();
        println!(
            "    {} ({} characters): {told} {warnings}",
            name(one.file),
            peer(one)
        );
    }
    let percent = 100.0 * f64::from(lost) / with_text.len().max(1) as f64;
    let what = format!("robust: empty of {} files with text", with_text.len());
    report.goal(what, percent, " %", Goal::AtMost(EMPTY_PERCENT_MAX));
    let ratios = with_text.iter().filter(|one| one.chars > 0);
    let mut ratios: Vec<(f64, &Path)> = ratios
        .map(|one| (one.chars as f64 / peer(one) as f64, one.file))
        .collect();
    ratios.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("  least text of pdftotext's:");
    for (ratio, file) in ratios.iter().take(LEAST_SHOWN) {
        println!("    {ratio:.2} {}", name(file));
    }
    let values: Vec<f64> = ratios.iter().map(|(ratio, _)| *ratio).collect();
    match median(&values) {
        Some(ratio) => report.score(
            "robust: characters, median of pdftotext's",
            ratio,
            RATIO_MIN,
        ),
        None => report.skip("robust: characters", "no file with text"),
    }
}

/// Files that are named because they have the least text.
const LEAST_SHOWN: usize = 15;

/// Names the files for which `is_bad`, with what is to be told of each; none is the goal.
fn list(
    judged: &[Judged<'_>],
    what: &str,
    is_bad: impl Fn(&Judged<'_>) -> bool,
    told: impl Fn(&Judged<'_>) -> String,
    report: &mut Report,
) {
    let mut count = 0_u32;
    for one in judged.iter().filter(|one| is_bad(one)) {
        count += 1;
        println!("    {}: {}", name(one.file), told(one));
    }
    report.goal(what, f64::from(count), "", Goal::AtMost(0.0));
}

fn name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
