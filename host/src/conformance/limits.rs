//! With less than it needs a converter ends by that limit, or does without; and a job that is cancelled
//! ends soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Stop;
use super::report::{Check, Usage};
use super::trial::{Conditions, Input, Outcome, Trial};
use crate::plugin::{JobFailure, Limits};

const CANCELLATION: &str = "cancellation";

/// Nobody waits longer for a command that they ended.
const LATENCY_MAX: Duration = Duration::from_millis(500);

/// A loaded machine may be late; a converter that cannot be ended is late each time.
const TRIES_MAX: u32 = 3;

/// Less than this is no limit that a component could start with.
const MEMORY_BYTES_MIN: u64 = 64 << 10;

/// What an input needed, and what it is to make do with.
struct Squeeze {
    name: &'static str,
    /// In words.
    less: String,
    limits: Limits,
    is_it: fn(&JobFailure) -> bool,
}

/// Checks the limits with the input that used most, and what it used.
pub(super) fn check(trial: &Trial<'_>, most: Option<(&Input, &Usage)>) -> Result<Vec<Check>, Stop> {
    let names = ["limit-cpu", "limit-memory", "limit-output", "limit-files"];
    let Some((input, usage)) = most else {
        let skip = |name| Check::skip(name, "no input gave a document");
        return Ok(names.map(skip).to_vec());
    };
    let mut checks = Vec::new();
    for squeeze in squeezes(&trial.limits, usage) {
        let with = Conditions {
            limits: squeeze.limits,
            ..trial.usual()
        };
        let outcome = trial.run(input, &with)?;
        let found = format!("{}: {}", squeeze.less, outcome.words());
        let fits = match &outcome {
            Outcome::Document(_) | Outcome::Refused(_) => true,
            Outcome::Broken(failure) => (squeeze.is_it)(failure),
            Outcome::Cancelled => false,
        };
        checks.push(if fits {
            Check::pass(squeeze.name, found)
        } else {
            Check::fail(squeeze.name, found)
        });
    }
    Ok(checks)
}

fn squeezes(usual: &Limits, usage: &Usage) -> Vec<Squeeze> {
    let memory = (usage.memory_bytes_peak / 2).max(MEMORY_BYTES_MIN);
    let output = usage.output_bytes_peak / 2;
    let files = usage.output_files_peak / 2;
    vec![
        Squeeze {
            name: "limit-cpu",
            less: "with 1 ms of CPU time".to_owned(),
            limits: Limits {
                cpu_max: Duration::from_millis(1),
                ..usual.clone()
            },
            is_it: |failure| matches!(failure, JobFailure::Cpu { .. } | JobFailure::Wall { .. }),
        },
        Squeeze {
            name: "limit-memory",
            less: format!("with {memory} bytes of memory"),
            limits: Limits {
                memory_bytes_max: memory,
                ..usual.clone()
            },
            is_it: |failure| matches!(failure, JobFailure::Memory { .. }),
        },
        Squeeze {
            name: "limit-output",
            less: format!("with {output} bytes of output"),
            limits: Limits {
                output_bytes_max: output,
                ..usual.clone()
            },
            is_it: |failure| matches!(failure, JobFailure::Output { .. }),
        },
        Squeeze {
            name: "limit-files",
            less: format!("with {files} files of output"),
            limits: Limits {
                output_files_max: files,
                ..usual.clone()
            },
            // So many declared files are too many before one is looked for.
            is_it: |failure| {
                matches!(
                    failure,
                    JobFailure::Output { .. } | JobFailure::InvalidOutput(_)
                )
            },
        },
    ]
}

/// Cancels the conversion of the slowest input at a third and at two thirds of its time.
pub(super) fn cancellation(
    trial: &Trial<'_>,
    slowest: Option<(&Input, Duration)>,
) -> Result<Check, Stop> {
    let Some((input, time)) = slowest else {
        return Ok(Check::skip(CANCELLATION, "no input gave a document"));
    };
    let mut worst = Duration::ZERO;
    for part in [1, 2] {
        let after = time * part / 3;
        let mut latency = Duration::MAX;
        for _ in 0..TRIES_MAX {
            latency = latency.min(cancelled_after(trial, input, after)?);
            if latency <= LATENCY_MAX {
                break;
            }
        }
        worst = worst.max(latency);
    }
    let found = format!("over {} ms after it was asked", worst.as_millis());
    Ok(if worst <= LATENCY_MAX {
        Check::pass(CANCELLATION, found)
    } else {
        let allowed = format!("{found}; {} ms are allowed", LATENCY_MAX.as_millis());
        Check::fail(CANCELLATION, allowed)
    })
}

/// How long a conversion goes on that is cancelled after some time; zero if it was over before.
fn cancelled_after(trial: &Trial<'_>, input: &Input, after: Duration) -> Result<Duration, Stop> {
    let cancel = Arc::new(AtomicBool::new(false));
    let over = AtomicBool::new(false);
    let with = Conditions {
        cancel: Arc::clone(&cancel),
        ..trial.usual()
    };
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            std::thread::sleep(after);
            let is_over = over.load(Ordering::SeqCst);
            cancel.store(true, Ordering::SeqCst);
            (!is_over).then(Instant::now)
        });
        let outcome = trial.run(input, &with);
        let ended = Instant::now();
        over.store(true, Ordering::SeqCst);
        let asked = asked.join().expect("sleeping and storing do not panic");
        outcome?;
        Ok(asked.map_or(Duration::ZERO, |asked| {
            ended.saturating_duration_since(asked)
        }))
    })
}
