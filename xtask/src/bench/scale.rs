//! What one add costs, by the number of documents that are there already.

use std::path::Path;

use crate::bench::corpus;
use crate::bench::report::{Goal, Report, median};
use crate::bench::rig::Rig;
use crate::bench::strace;
use crate::failure::{Failure, Result};
use crate::{process, repo};

/// Sizes of the knowledge base. The last one takes minutes to fill: it is left out of a quick run.
const SIZES: [u64; 3] = [1_000, 10_000, 100_000];

/// How much dearer an add may be than at the first size.
const RATIO_MAX: f64 = 1.3;

/// Single adds of each kind, traced and timed, at each size.
const RUNS: u64 = 5;

/// Numbers of the documents of single adds: behind those of every size.
const SINGLE_FIRST: u64 = 200_000;

/// Fills one knowledge base step by step and measures single adds at each size. Without the export
/// of `hashes.json`, which grows with the KB.
///
/// # Errors
/// If a command of kbhost fails, or a file cannot be written.
pub(crate) fn measure(rig: &Rig, quick: bool, report: &mut Report) -> Result<()> {
    let kb = rig.fresh_kb("kb-scale")?;
    leave_export_out(&kb)?;
    let sizes = if quick { &SIZES[..2] } else { &SIZES[..] };
    let (mut filled, mut singles, mut first) = (0, 0, None);
    for size in sizes {
        let notes = rig.path(&format!("scale-{size}"));
        corpus::write_markdown(&notes, filled, size - singles - filled)?;
        filled = size - singles;
        rig.forget_prepared()?;
        process::capture(rig.add(&kb, &[notes], 2).arg("-q"))?;
        let used = measure_at(rig, &kb, SINGLE_FIRST + singles)?;
        singles += SINGLES;
        let [calls, bytes, ms] = used;
        let what = format!("add with {size} documents");
        report.figure(
            &what,
            format!("{calls:.0} system calls, {bytes:.0} bytes written, {ms:.1} ms"),
        );
        match first {
            None => first = Some((calls, bytes)),
            Some((few_calls, few_bytes)) => {
                let goal = Goal::AtMost(RATIO_MAX);
                report.goal(
                    format!("{what}: system calls"),
                    calls / few_calls,
                    "x",
                    goal,
                );
                report.goal(
                    format!("{what}: bytes written"),
                    bytes / few_bytes,
                    "x",
                    goal,
                );
            }
        }
    }
    Ok(())
}

/// One add that is not measured, then those that are.
const SINGLES: u64 = 1 + 2 * RUNS;

/// Median system calls, bytes written and milliseconds of single adds.
fn measure_at(rig: &Rig, kb: &Path, first: u64) -> Result<[f64; 3]> {
    let dir = rig.path(&format!("scale-single-{first}"));
    corpus::write_markdown(&dir, first, SINGLES)?;
    let trace = rig.path("strace-cost");
    let [mut calls, mut bytes, mut ms] = [const { Vec::new() }; 3];
    for (run, file) in repo::entries(&dir)?.into_iter().enumerate() {
        let mut add = rig.add(kb, &[file], 1);
        // The first add of a day backs the registry up; the one behind the thousandth document
        // parts the index.
        if run == 0 {
            process::capture(&mut add)?;
        } else if run % 2 == 0 {
            ms.push(rig.milliseconds(&mut add)?);
        } else {
            let cost = strace::cost(&add, &trace)?;
            calls.push(cost.calls as f64);
            bytes.push(cost.bytes_written as f64);
        }
    }
    let middle =
        |values: &[f64]| median(values).ok_or_else(|| Failure::new("nothing was measured"));
    Ok([middle(&calls)?, middle(&bytes)?, middle(&ms)?])
}

fn leave_export_out(kb: &Path) -> Result<()> {
    let path = kb.join(".openkb/config.yaml");
    let config = std::fs::read_to_string(&path).map_err(Failure::io("read", &path))?;
    let config = format!("{config}openkb_export: never\n");
    std::fs::write(&path, config).map_err(Failure::io("write", &path))
}
