//! A local file that the service converts: sent once, waited for, and found again after an interruption.

use kbhost_guest::{ConvertError, Warnings};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::api::{Api, Progress};
use crate::fault::of_call;

/// How often the service is asked before the job gives up: about half an hour.
const POLLS_MAX: u32 = 120;
/// Waits between polls: a short document is ready soon, and a long one is not asked for often.
const FIRST_WAITS_MS: [u32; 2] = [1_000, 2_000];
const WAIT_MS: u32 = 5_000;
const WAIT_STEP_MS: u32 = 1_000;
const WAIT_MS_MAX: u32 = 15_000;
/// The form of the state that is kept.
const VERSION: u32 = 1;

/// What a later run has to know: which document of the service is this file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    v: u32,
    doc_id: String,
}

impl State {
    fn of(resume: Option<&[u8]>) -> Option<Self> {
        let state: Self = serde_json::from_slice(resume?).ok()?;
        (state.v == VERSION).then_some(state)
    }
}

/// The wait after so many polls.
fn wait_ms(polls: u32) -> u32 {
    match FIRST_WAITS_MS.get(polls as usize) {
        Some(wait) => *wait,
        None => {
            let grown = WAIT_STEP_MS * (polls - FIRST_WAITS_MS.len() as u32);
            (WAIT_MS + grown).min(WAIT_MS_MAX)
        }
    }
}

/// Asks for the tree until it is there. Whoever ends the job ends the wait.
pub(crate) fn wait_for_tree(api: &mut Api<'_>, id: &str) -> Result<Vec<Value>, ConvertError> {
    for polls in 0..POLLS_MAX {
        if api.service.is_cancelled() {
            return Err(ConvertError::Cancelled);
        }
        let answer = api.tree(id)?;
        let note = match (answer.progress, answer.nodes) {
            (Progress::Failed, _) => return Err(failed()),
            (Progress::Completed | Progress::Unknown, Some(nodes)) => return Ok(nodes),
            (Progress::Completed, None) => {
                let how =
                    "none of `tree`, `structure` and `result`, though the document is completed";
                return Err(crate::fault::wrong("the tree", how));
            }
            (Progress::Queued, _) => "queued by the service",
            (Progress::Processing | Progress::Unknown, _) => "in work at the service",
        };
        let (done, total) = (u64::from(polls) + 1, u64::from(POLLS_MAX));
        api.service.progress(done, total, note);
        api.service.pause(wait_ms(polls)).map_err(of_call)?;
    }
    Err(ConvertError::Timeout)
}

/// The service gave up.
pub(crate) fn failed() -> ConvertError {
    ConvertError::Upstream("the service failed to process the document".to_owned())
}

/// Has the service convert the input, or goes on waiting for what an earlier run sent; the id and the
/// tree.
///
/// # Errors
/// What the service says. A document that failed is forgotten; after any other error a later run goes on.
pub(crate) fn upload_and_wait(
    api: &mut Api<'_>,
    name: &str,
    resume: Option<&[u8]>,
    warnings: &mut Warnings,
) -> Result<(String, Vec<Value>), ConvertError> {
    if let Some(State { doc_id, .. }) = State::of(resume) {
        match settle(api, &doc_id) {
            // Somebody removed it there. What is sent now is waited for once.
            Err(ConvertError::NotFound(_)) => {}
            other => return other.map(|nodes| (doc_id, nodes)),
        }
    }
    api.service
        .progress(0, u64::from(POLLS_MAX), "sent to the service");
    let doc_id = api.upload(&file_name(name))?;
    let state = State {
        v: VERSION,
        doc_id: doc_id.clone(),
    };
    let state = serde_json::to_vec(&state).expect("plain data has a JSON form");
    if !api.service.checkpoint(&state) {
        warnings
            .push("an interrupted wait could not have been gone on with: nothing was kept of it");
    }
    let nodes = settle(api, &doc_id)?;
    Ok((doc_id, nodes))
}

/// Waits for a document; one that cannot come good is forgotten.
fn settle(api: &mut Api<'_>, id: &str) -> Result<Vec<Value>, ConvertError> {
    let nodes = wait_for_tree(api, id);
    if let Err(error) = &nodes {
        forget_unless_passing(api, error);
    }
    nodes
}

/// Forgets the document if the service would answer the same the next time: going on with it would fail
/// for ever. What may pass is a matter of the network, the key, the quota and the service's health.
pub(crate) fn forget_unless_passing(api: &mut Api<'_>, error: &ConvertError) {
    match error {
        ConvertError::Upstream(_) if !api.may_recover() => forget(api),
        ConvertError::NotFound(_) | ConvertError::Unsupported(_) | ConvertError::TooLarge(_) => {
            forget(api);
        }
        _ => {}
    }
}

/// The name under which a file is sent: what a form cannot hold is replaced.
fn file_name(name: &str) -> String {
    let plain = |c: char| match c.is_control() || matches!(c, '/' | '\\') {
        true => '_',
        false => c,
    };
    name.chars().map(plain).collect()
}

fn forget(api: &mut Api<'_>) {
    // If it stays, a later run meets the same answer and forgets it then.
    let _is_forgotten = api.service.checkpoint(&[]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit() {
        let waits: Vec<_> = (0..15).map(|polls| wait_ms(polls) / 1_000).collect();
        assert_eq!(waits, [1, 2, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15, 15]);
        assert_eq!(wait_ms(POLLS_MAX), WAIT_MS_MAX);
    }

    #[test]
    fn only_own_states_count() {
        let check = |text: &str, expected: Option<&str>| {
            let state = State::of(Some(text.as_bytes()));
            assert_eq!(
                state.map(|state| state.doc_id).as_deref(),
                expected,
                "{text}"
            );
        };
        check(r#"{"v":1,"doc_id":"pi-1"}"#, Some("pi-1"));
        for other in [
            "",
            "{}",
            r#"{"v":2,"doc_id":"x"}"#,
            r#"{"v":1,"doc_id":7}"#,
            "\u{0}",
        ] {
            check(other, None);
        }
        assert_eq!(State::of(None), None);
    }
}
