//! Which of several converters takes an input: each is asked by `probe`, in a sandbox of its own.
//!
//! Invariant: the choice depends on the staged bytes, the file's name and the converters alone. One
//! that fails counts as if it were not sure at all, and of equal ones the first is taken.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::input::Staged;
use super::{PrepareError, StagingError};
use crate::kb::SafeLine;
use crate::plugin::{
    Allowance, HEAD_BYTES_MAX, JobError, JobFailure, JobReport, Plugin, PluginIdentity, Probe,
};

/// A converter that can be asked how sure it is.
pub(super) trait Contender {
    fn identity(&self) -> &PluginIdentity;
    fn probe(&self, probe: &Probe<'_>) -> (Result<u8, JobError>, JobReport);
}

impl Contender for Plugin {
    fn identity(&self) -> &PluginIdentity {
        Plugin::identity(self)
    }

    fn probe(&self, probe: &Probe<'_>) -> (Result<u8, JobError>, JobReport) {
        Plugin::probe(self, probe)
    }
}

/// The converter that was chosen, and what came to light in choosing.
#[derive(Debug)]
pub(super) struct Chosen<C> {
    pub(super) contender: C,
    /// What the contenders tried that the sandbox refuses.
    pub(super) denied: Vec<(String, u64)>,
    /// Who could not be asked.
    pub(super) warnings: Vec<SafeLine>,
}

/// Asks `contenders`, in their order; a single one need not be asked.
///
/// # Errors
/// If the copy of the input cannot be read, or the run was cancelled.
pub(super) fn choose<C: Contender>(
    contenders: Vec<C>,
    staged: &Staged,
    allowance: &Allowance,
    cancel: &Arc<AtomicBool>,
) -> Result<Option<Chosen<C>>, PrepareError> {
    let is_contest = contenders.len() > 1;
    let head = if is_contest {
        head(staged)?
    } else {
        Vec::new()
    };
    let probe = Probe {
        head: &head,
        name: &staged.file_name,
        seed: &staged.original.hash,
        allowance,
        cancel,
    };
    let mut best: Option<(u8, C)> = None;
    let (mut denied, mut warnings) = (Vec::new(), Vec::new());
    for contender in contenders {
        if cancel.load(Ordering::Relaxed) {
            return Err(PrepareError::Cancelled(staged.display.clone()));
        }
        let score = if is_contest {
            let (answer, report) = contender.probe(&probe);
            super::convert::tell(&report);
            super::convert::add_denied(&mut denied, report.denied);
            match answer {
                Ok(score) => score,
                Err(JobError {
                    failure: JobFailure::Cancelled,
                    ..
                }) => return Err(PrepareError::Cancelled(staged.display.clone())),
                Err(error) => {
                    warnings.push(not_asked(&error));
                    0
                }
            }
        } else {
            0
        };
        tracing::debug!(plugin = contender.identity().name, score, "a contender");
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, contender));
        }
    }
    Ok(best.map(|(_, contender)| Chosen {
        contender,
        denied,
        warnings,
    }))
}

fn not_asked(error: &JobError) -> SafeLine {
    let (name, failure) = (&error.plugin.name, &error.failure);
    SafeLine::new(&format!(
        "plugin `{name}` could not say whether it reads this: {failure}"
    ))
}

/// How the staged copy begins.
fn head(staged: &Staged) -> Result<Vec<u8>, StagingError> {
    let path = staged.staging.input().join(&staged.original.name);
    let mut head = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(HEAD_BYTES_MAX as u64).read_to_end(&mut head))
        .map_err(|error| StagingError::new("read", path, error))?;
    Ok(head)
}
