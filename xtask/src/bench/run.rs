//! What is measured, in which order, how often.

use std::path::{Path, PathBuf};

use crate::bench::cloud;
use crate::bench::corpus;
use crate::bench::report::{Goal, Report, median};
use crate::bench::rig::Rig;
use crate::bench::scale;
use crate::bench::spans::Busy;
use crate::bench::strace;
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::{self, CORPUS_SAMPLE_STEP, Repo};

/// The two job counts that are compared everywhere.
const JOBS: [u32; 2] = [1, 2];

/// The batch in which fsync-like calls are counted: one full commit group.
const SYNC_BATCH: u64 = 64;

/// Documents for single adds are numbered from here: none of them is in a batch.
const SINGLE_FIRST: u64 = 50_000;

/// Documents of one word each, to see what a call costs by itself.
const TINY_DOCUMENTS: u32 = 200;

/// Pairs of runs with our file system and with wasmtime's.
const WRAPPER_RUNS: usize = 5;

/// A file system in memory, where there is one.
const MEMORY: &str = "/dev/shm";

/// How much is done.
struct Effort {
    batch_runs: usize,
    start_runs: u64,
    pdf_step: usize,
}

impl Effort {
    fn new(quick: bool) -> Self {
        if quick {
            Self {
                batch_runs: 1,
                start_runs: 7,
                pdf_step: CORPUS_SAMPLE_STEP,
            }
        } else {
            Self {
                batch_runs: 3,
                start_runs: 21,
                pdf_step: 1,
            }
        }
    }
}

/// A batch to add.
struct Batch<'a> {
    what: &'a str,
    inputs: &'a [PathBuf],
    documents: usize,
}

/// What a batch showed.
struct BatchFigures {
    /// Median seconds at each of [`JOBS`].
    seconds: [f64; 2],
    /// Spans at `--jobs 1`.
    busy: Busy,
    /// The knowledge base of the last run.
    kb: PathBuf,
}

/// Measures and prints.
///
/// # Errors
/// If a command of kbhost fails, or the files it works on cannot be written.
pub(crate) fn run(repo: &Repo, quick: bool) -> Result<()> {
    println!("Building kbhost (release), with the switches of the rigs and without ...");
    let of_rigs = repo.target().join("bench-of-rigs/kbhost");
    repo.build_release_of_rigs(&of_rigs)?;
    repo.build_release()?;
    let rig = Rig::new(repo.release_binary(), repo.target().join("bench"))?;
    let effort = Effort::new(quick);
    let mut report = Report::default();
    println!("Measuring; the figures mean something on an idle machine only.");

    warm_up(&rig)?;
    for count in [200, 1_000] {
        let notes = rig.path(&format!("notes-{count}"));
        corpus::write_markdown(&notes, 0, count)?;
        let what = format!("{count} Markdown");
        let inputs = [notes];
        let documents = usize::try_from(count).unwrap_or(usize::MAX);
        let batch = Batch {
            what: &what,
            inputs: &inputs,
            documents,
        };
        let figures = measure_batch(&rig, &effort, &batch, &mut report)?;
        if count == 1_000 {
            measure_starts(&rig, &effort, &figures.kb, &mut report)?;
        }
    }
    measure_converters(repo, &rig, &effort, &mut report)?;
    measure_syncs(&rig, &mut report)?;
    match process::on_path("strace") {
        Some(_) => scale::measure(&rig, quick, &mut report)?,
        None => report.skip("cost of an add by the size of the KB", "no strace here"),
    }

    cloud::measure(&rig, quick, &mut report)?;

    let pdfs = pdfs(repo, effort.pdf_step)?;
    let batch = Batch {
        what: "PDF",
        inputs: &pdfs,
        documents: pdfs.len(),
    };
    let figures = measure_batch(&rig, &effort, &batch, &mut report)?;
    let speed_up = figures.seconds[0] / figures.seconds[1];
    report.goal("PDF: speed-up --jobs 2", speed_up, "x", Goal::AtLeast(1.7));
    measure_native(repo, &pdfs, &figures.busy, &mut report);
    let sample = self::pdfs(repo, CORPUS_SAMPLE_STEP)?;
    measure_wrapper(repo, &of_rigs, &sample, &mut report)?;

    println!("\n{}", report.table());
    Ok(())
}

/// The first run compiles the components; nobody wants that in a figure.
fn warm_up(rig: &Rig) -> Result<()> {
    let notes = rig.path("warm-up");
    corpus::write_markdown(&notes, SINGLE_FIRST - 1, 1)?;
    let kb = rig.fresh_kb("kb-warm-up")?;
    process::capture(&mut rig.add(&kb, &[notes], 1))?;
    Ok(())
}

fn measure_batch(
    rig: &Rig,
    effort: &Effort,
    batch: &Batch<'_>,
    report: &mut Report,
) -> Result<BatchFigures> {
    let mut seconds = [Vec::new(), Vec::new()];
    let mut memory_bytes_peak = [None; 2];
    let mut kb = PathBuf::new();
    // Both job counts in turn: a machine that slows down meanwhile slows both.
    for _ in 0..effort.batch_runs {
        for (at, jobs) in JOBS.into_iter().enumerate() {
            kb = rig.fresh_kb("kb-batch")?;
            rig.forget_prepared()?;
            let used = rig.measure(&mut rig.add(&kb, batch.inputs, jobs))?;
            seconds[at].push(used.wall.as_secs_f64());
            memory_bytes_peak[at] = used.memory_bytes_peak.max(memory_bytes_peak[at]);
        }
    }
    let seconds = seconds.map(|runs| median(&runs).unwrap_or(f64::NAN));
    let mut busy_alone = Busy::default();
    for (at, jobs) in JOBS.into_iter().enumerate() {
        let name = format!("{}, --jobs {jobs}", batch.what);
        let rate = batch.documents as f64 / seconds[at];
        let measured = format!(
            "{rate:.1} documents/s ({} in {:.2} s)",
            batch.documents, seconds[at]
        );
        report.figure(&name, measured);
        let busy = spans_of(rig, batch, jobs)?;
        report_shares(&name, &busy, report);
        let what = format!("{name}: peak memory");
        match memory_bytes_peak[at] {
            Some(bytes) => report.figure(what, format!("{:.0} MiB", mebibytes(bytes))),
            None => report.skip(what, "this system has no /proc"),
        }
        if jobs == 1 {
            busy_alone = busy;
        }
    }
    Ok(BatchFigures {
        seconds,
        busy: busy_alone,
        kb,
    })
}

/// One more run, with the spans on: they cost time, so they are not part of the rate.
fn spans_of(rig: &Rig, batch: &Batch<'_>, jobs: u32) -> Result<Busy> {
    let kb = rig.fresh_kb("kb-spans")?;
    rig.forget_prepared()?;
    spans_of_add(rig, &mut rig.add(&kb, batch.inputs, jobs))
}

fn report_shares(name: &str, busy: &Busy, report: &mut Report) {
    let what = format!("{name}: prepare / commit");
    if busy.is_empty() {
        report.skip(what, "no span was printed");
        return;
    }
    let (prepare, commit) = (busy.prepare(), busy.commit());
    let share = 100.0 * prepare / (prepare + commit);
    let shares = format!(
        "{share:.0} % ({prepare:.2} s) / {:.0} % ({commit:.2} s)",
        100.0 - share
    );
    report.figure(what, shares);
    report.figure(format!("{name}: seconds by step"), busy.details());
}

fn measure_starts(rig: &Rig, effort: &Effort, kb: &Path, report: &mut Report) -> Result<()> {
    let runs = 0..effort.start_runs;
    let help = each(runs.clone(), |_| {
        rig.milliseconds(&mut rig.kbhost(&["--help"]))
    })?;
    report.goal("start-up, --help", help, " ms", Goal::AtMost(15.0));
    let list = each(runs.clone(), |_| {
        rig.milliseconds(rig.kbhost(&["list"]).arg("--kb-dir").arg(kb))
    })?;
    report.goal("list of 1,000 documents", list, " ms", Goal::AtMost(50.0));
    let single = rig.path("single");
    corpus::write_markdown(&single, SINGLE_FIRST, effort.start_runs)?;
    let files = repo::entries(&single)?;
    let add = each(files, |file| rig.milliseconds(&mut rig.add(kb, &[file], 1)))?;
    report.goal("warm add of one small file", add, " ms", Goal::AtMost(50.0));
    Ok(())
}

/// What a converter costs before it converts anything: loading those that come with the program, from
/// a warm cache, and one call for a document with next to nothing in it.
fn measure_converters(repo: &Repo, rig: &Rig, effort: &Effort, report: &mut Report) -> Result<()> {
    let note = rig.path("note");
    corpus::write_markdown(&note, 0, 1)?;
    let mut inputs = vec![note];
    let examples = repo::files_beneath(&repo.example_docs())?;
    inputs.extend(examples.into_iter().find(|path| repo::has_pdf_name(path)));
    let starts = each(0..=effort.start_runs, |_| {
        let kb = rig.fresh_kb("kb-load")?;
        let busy = spans_of_add(rig, &mut rig.add(&kb, &inputs, 1))?;
        Ok(busy.of("load") * 1e3)
    })?;
    let what = format!("warm load of {} built-in converters", inputs.len());
    report.goal(what, starts, " ms", Goal::AtMost(10.0));
    let tiny = rig.path("tiny");
    std::fs::create_dir_all(&tiny).map_err(Failure::io("create", &tiny))?;
    for number in 0..TINY_DOCUMENTS {
        let path = tiny.join(format!("{number}.md"));
        std::fs::write(&path, format!("{number}\n")).map_err(Failure::io("write", &path))?;
    }
    let measure = |place: &str| {
        each(0..effort.batch_runs, |_| {
            let kb = rig.fresh_kb(place)?;
            let busy = spans_of_add(rig, &mut rig.add(&kb, std::slice::from_ref(&tiny), 1))?;
            std::fs::remove_dir_all(&kb).map_err(Failure::io("remove", &kb))?;
            Ok(busy.of("convert") * 1e3 / f64::from(TINY_DOCUMENTS))
        })
    };
    let what = "fresh instance to result, empty document";
    report.figure(
        format!("{what}, here"),
        format!("{:.2} ms", measure("kb-tiny")?),
    );
    // What a disk takes to make the file of the result is not the instance's: ext4 without a journal
    // looks for minutes past the numbers of files that were just removed.
    if Path::new(MEMORY).is_dir() {
        let place = format!("{MEMORY}/kbhost-bench-{}", std::process::id());
        let call = measure(&place)?;
        report.goal(format!("{what}, in memory"), call, " ms", Goal::AtMost(0.5));
    } else {
        report.skip(format!("{what}, in memory"), "no file system in memory");
    }
    Ok(())
}

fn spans_of_add(rig: &Rig, add: &mut std::process::Command) -> Result<Busy> {
    let stderr = rig.stderr(add.args(["-v", "--log-format", "json"]))?;
    Ok(Busy::parse(&stderr))
}

fn each<T>(items: impl IntoIterator<Item = T>, run: impl FnMut(T) -> Result<f64>) -> Result<f64> {
    let values = items.into_iter().map(run).collect::<Result<Vec<_>>>()?;
    median(&values).ok_or_else(|| Failure::new("nothing was measured"))
}

fn measure_syncs(rig: &Rig, report: &mut Report) -> Result<()> {
    let (single, batch) = (rig.path("sync-single"), rig.path("sync-batch"));
    corpus::write_markdown(&single, SINGLE_FIRST, 2)?;
    corpus::write_markdown(&batch, 0, SYNC_BATCH)?;
    let kb = rig.fresh_kb("kb-sync")?;
    let mut files = repo::entries(&single)?.into_iter();
    let (Some(first), Some(second)) = (files.next(), files.next()) else {
        return Err(Failure::new("the documents for counting are missing"));
    };
    // The first add of a knowledge base makes files that later ones find.
    process::capture(&mut rig.add(&kb, &[first], 1))?;
    let summary = rig.path("strace-summary");
    match strace::count_syncs(&rig.add(&kb, &[second], 1), &summary) {
        Ok(calls) => {
            report.goal(
                "fsync-like calls, single add",
                calls as f64,
                "",
                Goal::AtMost(12.0),
            );
        }
        Err(failure) => report.skip("fsync-like calls, single add", failure),
    }
    let what = format!("fsync-like calls, batch of {SYNC_BATCH}");
    match strace::count_syncs(&rig.add(&kb, &[batch], 2), &summary) {
        Ok(calls) => {
            let each = calls as f64 / SYNC_BATCH as f64;
            report.figure(what, format!("{calls} ({each:.1} a document)"));
        }
        Err(failure) => report.skip(what, failure),
    }
    Ok(())
}

/// Compares the time in components with the CPU time of the same code compiled natively, over the
/// same files. At `--jobs 1` a component's time is its CPU time: it waits for nothing.
fn measure_native(repo: &Repo, pdfs: &[PathBuf], busy: &Busy, report: &mut Report) {
    let what = "PDF: time in component / native CPU";
    match native_seconds(repo, pdfs) {
        Ok(native) if native > 0.0 && busy.of("convert") > 0.0 => {
            report.goal(what, busy.of("convert") / native, "x", Goal::AtMost(2.0));
        }
        Ok(_) => report.skip(what, "one of the two times is zero"),
        Err(failure) => report.skip(what, failure),
    }
}

/// Runs the example `native` of the PDF plugin: it converts the files on its command line, passes
/// over those it cannot convert, and prints the CPU seconds it took as the last word of its output.
fn native_seconds(repo: &Repo, pdfs: &[PathBuf]) -> Result<f64> {
    let plugin = repo.root().join("plugins/pdf");
    if !plugin.join("examples/native.rs").is_file() {
        return Err(Failure::new("plugins/pdf has no example `native`"));
    }
    let mut native = process::cargo();
    native.args([
        "run",
        "--quiet",
        "--release",
        "--example",
        "native",
        "--manifest-path",
    ]);
    native.arg(plugin.join("Cargo.toml")).arg("--").args(pdfs);
    native
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let output = process::capture(native.current_dir(repo.root()))?;
    output
        .split_whitespace()
        .last()
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| Failure::new("the native example printed no seconds"))
}

/// Compares the time in components with the one they take on wasmtime's own file system, without quotas,
/// virtual times and order. Both in turn, with one binary: `KBHOST_TEST_HOLE` takes ours away.
fn measure_wrapper(
    repo: &Repo,
    binary: &Path,
    pdfs: &[PathBuf],
    report: &mut Report,
) -> Result<()> {
    let rig = Rig::new(binary.to_owned(), repo.target().join("bench-of-wrapper"))?;
    warm_up(&rig)?;
    let convert = |hole: &str| {
        let kb = rig.fresh_kb("kb")?;
        let mut add = rig.add(&kb, pdfs, 1);
        let busy = spans_of_add(&rig, add.env("KBHOST_TEST_HOLE", hole))?;
        Ok(busy.of("convert"))
    };
    convert("")?;
    let mut overheads = Vec::new();
    for _ in 0..WRAPPER_RUNS {
        let (plain, wrapped) = (convert("filesystem")?, convert("")?);
        overheads.push(100.0 * (wrapped / plain - 1.0));
    }
    let overhead = median(&overheads).unwrap_or(f64::NAN);
    let what = format!(
        "{} PDF: overhead of our file system over wasmtime's",
        pdfs.len()
    );
    report.goal(what, overhead, " %", Goal::AtMost(5.0));
    Ok(())
}

fn pdfs(repo: &Repo, step: usize) -> Result<Vec<PathBuf>> {
    let mut pdfs = repo::files_beneath(&repo.example_docs())?;
    pdfs.retain(|path| repo::has_pdf_name(path));
    pdfs.extend(repo.corpus_pdfs()?.into_iter().step_by(step));
    Ok(pdfs)
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
