//! Which of several converters takes an input: each is asked by `probe`, in a sandbox of its own.
//!
//! Invariant: the choice depends on the staged bytes, the file's name and the converters alone. One
//! that fails counts as if it were not sure at all, and of equal ones the first is taken.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::input::Staged;
use super::{PrepareError, StagingError, convert};
use crate::kb::SafeLine;
use crate::plugin::{Allowance, HEAD_BYTES_MAX, JobError, JobFailure, Plugin, Probe, Surroundings};

/// The converter that was chosen, and what came to light in choosing.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) plugin: Plugin,
    /// What the contenders tried that the sandbox refuses.
    pub(super) denied: Vec<(String, u64)>,
    /// Who could not be asked.
    pub(super) warnings: Vec<SafeLine>,
}

/// Asks `contenders`, in their order; a single one need not be asked, and of none there is none.
///
/// # Errors
/// If the copy of the input cannot be read, or the run was cancelled.
pub(super) fn choose(
    contenders: Vec<Plugin>,
    staged: &Staged,
    allowance: &Allowance,
    cancel: &Arc<AtomicBool>,
) -> Result<Option<Chosen>, PrepareError> {
    let (mut denied, mut warnings) = (Vec::new(), Vec::new());
    let scores = match &contenders[..] {
        [] | [_] => vec![0; contenders.len()],
        contenders => {
            let head = head(staged)?;
            let probe = Probe {
                head: &head,
                name: &staged.file_name,
                seed: &staged.original.hash,
                allowance,
                surroundings: Surroundings::default(),
                cancel,
            };
            let mut scores = Vec::new();
            for plugin in contenders {
                let (answer, report) = plugin.probe(&probe);
                report.tell();
                convert::add_denied(&mut denied, report.denied);
                let score = match answer {
                    Ok(score) => score,
                    Err(error) if error.failure == JobFailure::Cancelled => {
                        return Err(PrepareError::Cancelled(staged.display.clone()));
                    }
                    Err(error) => {
                        warnings.push(not_asked(&error));
                        0
                    }
                };
                tracing::debug!(plugin = plugin.identity().name, score, "a contender");
                scores.push(score);
            }
            scores
        }
    };
    let most = scores.iter().max().copied();
    let mut scored = scores.into_iter().zip(contenders);
    let chosen = scored
        .find(|(score, _)| Some(*score) == most)
        .map(|(_, plugin)| Chosen {
            plugin,
            denied,
            warnings,
        });
    Ok(chosen)
}

fn not_asked(error: &JobError) -> SafeLine {
    let (name, failure) = (&error.plugin.name, &error.failure);
    SafeLine::new(&format!(
        "plugin `{name}` could not say whether it reads this: {failure}"
    ))
}

/// How the staged copy begins.
fn head(staged: &Staged) -> Result<Vec<u8>, StagingError> {
    let Some(original) = &staged.original.file else {
        return Ok(Vec::new());
    };
    let path = staged.staging.input().join(&original.name);
    let mut head = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(HEAD_BYTES_MAX as u64).read_to_end(&mut head))
        .map_err(|error| StagingError::new("read", path, error))?;
    Ok(head)
}
