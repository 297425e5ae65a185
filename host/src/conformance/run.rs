//! The order of the checks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::golden::Golden;
use super::report::{Check, Report, Usage};
use super::result::{Part, parts};
use super::trial::{Input, Outcome, Trial};
use super::{contract, determinism, limits, mutations};
use crate::kb::PathError;
use crate::plugin::{Allowance, Limits, Manifest, Plugin, PluginError, PluginSet};
use crate::prepare::{PrepareError, StagingError, StagingRoot};

/// What is to be checked, and with what.
pub(crate) struct Options<'a> {
    /// Limits of each call.
    pub(crate) limits: Limits,
    /// The manifest of the folder that was named.
    pub(crate) manifest: Option<&'a Manifest>,
    /// Golden files.
    pub(crate) golden: Option<&'a Path>,
    /// Whether what comes out is from now on what is expected.
    pub(crate) bless: bool,
    /// Further inputs.
    pub(crate) inputs: &'a [PathBuf],
    /// Mutations of each input.
    pub(crate) mutations: usize,
    /// Where mutated inputs go that end badly.
    pub(crate) keep: Option<&'a Path>,
    /// Time for all of it.
    pub(crate) timeout: Duration,
    /// A folder of this process alone.
    pub(crate) scratch: &'a Path,
    /// Set by the user to stop.
    pub(crate) cancel: Arc<AtomicBool>,
}

/// Why a trial has no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// There is nothing to convert.
    #[error("test the plugin `{plugin}`: no input that it takes is in `{}`", golden.display())]
    NoInputs {
        /// Its name.
        plugin: String,
        /// Where inputs were looked for.
        golden: PathBuf,
    },
    /// The user stopped it.
    #[error("test the plugin: cancelled")]
    Cancelled,
    /// The time for the whole run is over.
    #[error("test the plugin: no time is left")]
    OutOfTime,
    /// An input cannot be read or staged.
    #[error("convert `{display}`")]
    Prepare {
        /// The input.
        display: String,
        /// Why.
        #[source]
        error: Box<PrepareError>,
    },
    /// A golden file cannot be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Nothing can be staged.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// `1 input`, `3 inputs`.
pub(super) fn counted(count: usize, one: &str, more: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {more}"),
    }
}

/// The report of a component that cannot be loaded.
pub(crate) fn unusable(error: &PluginError) -> Report {
    Report {
        plugin: None,
        checks: vec![Check::fail("world", error.to_string())],
        inputs: Vec::new(),
        blessed: Vec::new(),
        kept: Vec::new(),
    }
}

/// Puts the converter that `plugins` are forced to use on trial. `start` is told how many steps there
/// are, `done` the name of each that is over.
///
/// # Errors
/// If there is nothing to convert, the user stopped it, or the disk refuses; a converter that fails is
/// no error.
pub(crate) fn run(
    plugins: &PluginSet,
    plugin: Plugin,
    options: &Options<'_>,
    start: &mut dyn FnMut(u64),
    done: &mut dyn FnMut(&str),
) -> Result<Report, Stop> {
    let trial = Trial {
        plugins,
        limits: plugin.limits(&Allowance {
            limits: options.limits.clone(),
            ..Allowance::default()
        }),
        plugin,
        staging: StagingRoot::open(options.scratch)?,
        scratch: options.scratch,
        cancel: Arc::clone(&options.cancel),
        deadline: Instant::now() + options.timeout,
    };
    let golden = options.golden.map(Golden::new);
    let golden_inputs = match &golden {
        Some(golden) => golden.inputs(&trial.plugin)?,
        None => Vec::new(),
    };
    let further: Vec<Input> = options.inputs.iter().map(|path| Input::of(path)).collect();
    if golden_inputs.is_empty() && further.is_empty() {
        return Err(Stop::NoInputs {
            plugin: trial.plugin.identity().name.clone(),
            golden: options.golden.unwrap_or(Path::new(".")).join("input"),
        });
    }
    let steps = golden_inputs.len() + further.len();
    start((2 * steps + STEPS) as u64);
    let mut report = Report {
        plugin: Some(trial.plugin.identity().clone()),
        checks: Vec::new(),
        inputs: Vec::new(),
        blessed: Vec::new(),
        kept: Vec::new(),
    };
    let inputs = Inputs {
        golden: golden_inputs,
        further,
    };
    match checks(&trial, options, golden.as_ref(), &inputs, &mut report, done) {
        Err(Stop::OutOfTime) => {
            let reason = format!(
                "the checks that are missing had no time: {} s were over; see `--timeout`",
                options.timeout.as_secs()
            );
            report.checks.push(Check::fail("time", reason));
            Ok(report)
        }
        ended => ended.map(|()| report),
    }
}

/// Steps beside two for each input.
const STEPS: usize = 6;

struct Inputs {
    golden: Vec<Input>,
    further: Vec<Input>,
}

impl Inputs {
    fn all(&self) -> impl Iterator<Item = &Input> {
        self.golden.iter().chain(&self.further)
    }
}

fn checks(
    trial: &Trial<'_>,
    options: &Options<'_>,
    golden: Option<&Golden<'_>>,
    inputs: &Inputs,
    report: &mut Report,
    done: &mut dyn FnMut(&str),
) -> Result<(), Stop> {
    let world = trial.plugin.identity().world.clone();
    report.checks.push(Check::pass("world", world));
    report.checks.push(contract::describe(trial));
    report
        .checks
        .push(contract::manifest(trial, options.manifest));
    let all: Vec<Input> = inputs.all().cloned().collect();
    report.checks.push(contract::probe(trial, &all)?);
    done("probe");

    let mut outcomes = Vec::new();
    for input in &all {
        outcomes.push(trial.run(input, &trial.usual())?);
        done(&input.file_name);
    }
    judge(options, golden, inputs, &all, &outcomes, trial, report)?;
    done("golden files");

    let mut usual: Vec<(&Input, Vec<Part>)> = Vec::new();
    for (input, outcome) in all.iter().zip(&outcomes) {
        if outcome.is_orderly() {
            usual.push((input, parts(outcome)?));
        }
    }
    let used = used(&all, &outcomes);
    drop(outcomes);
    report.checks.push(determinism::check(trial, &usual)?);
    done("determinism");

    let slowest = used.iter().max_by_key(|(_, _, time)| *time);
    let most = slowest.map(|(input, usage, _)| (*input, usage));
    report.checks.extend(limits::check(trial, most)?);
    done("limits");
    let slowest_time = slowest.map(|(input, _, time)| (*input, *time));
    report
        .checks
        .push(limits::cancellation(trial, slowest_time)?);
    done("cancellation");

    let (count, keep) = (options.mutations, options.keep);
    let mutated = mutations::check(trial, &all, count, keep, &mut report.kept, done)?;
    report.checks.push(mutated);
    let named = used.first().map(|(input, ..)| *input);
    report.checks.push(mutations::check_names(trial, named)?);
    done("names");
    report.inputs = used.into_iter().map(|(_, usage, _)| usage).collect();
    Ok(())
}

/// Judges what the inputs gave: by the contract, and by what is expected.
fn judge(
    options: &Options<'_>,
    golden: Option<&Golden<'_>>,
    inputs: &Inputs,
    all: &[Input],
    outcomes: &[Outcome],
    trial: &Trial<'_>,
    report: &mut Report,
) -> Result<(), Stop> {
    let results: Vec<(&Input, &Outcome)> = all.iter().zip(outcomes).collect();
    let of_golden = &results[..inputs.golden.len()];
    if let Some(golden) = golden.filter(|_| options.bless) {
        report.blessed = golden.bless(of_golden)?;
    }
    let judged: Vec<(&Input, &Outcome, bool)> = results
        .iter()
        .enumerate()
        .map(|(index, (input, outcome))| {
            let of_golden = golden.filter(|_| index < inputs.golden.len());
            let may_refuse = of_golden.is_some_and(|golden| golden.is_refusal(input));
            (*input, *outcome, may_refuse)
        })
        .collect();
    report.checks.extend(contract::results(&judged));
    report.checks.push(match golden {
        Some(golden) => golden.check(&trial.plugin, of_golden)?,
        None => Check::skip("golden", "no golden files were named"),
    });
    Ok(())
}

/// What each input used that gave a document.
fn used<'a>(all: &'a [Input], outcomes: &[Outcome]) -> Vec<(&'a Input, Usage, Duration)> {
    let documents = all.iter().zip(outcomes).filter_map(|(input, outcome)| {
        let Outcome::Document(rehearsal) = outcome else {
            return None;
        };
        let report = &rehearsal.document.report;
        let usage = Usage {
            input: input.file_name.clone(),
            cpu_ms: u64::try_from(report.cpu.as_millis()).unwrap_or(u64::MAX),
            memory_bytes_peak: report.memory_bytes_peak,
            output_files_peak: report.output_files_peak,
            output_bytes_peak: report.output_bytes_peak,
        };
        Some((input, usage, report.cpu))
    });
    documents.collect()
}
