//! Gives bytes to `job.checkpoint` and ends in one way or another; the next run tells on its page
//! what came back.

use super::bindings::exports::kbhost::converter::converter::{ConvertError, Document, Request};
use super::bindings::kbhost::converter::job;
use super::{page, spin};

/// The most bytes that the contract lets a converter keep.
const STATE_BYTES_MAX: usize = 4_096;

/// Ends as `argument` says, unless an earlier run left something.
///
/// `steps N` counts: each run goes one step further and is interrupted, the one after the N-th
/// ends. The others keep `remote document 7` and then `hang`, `trap` or `refuse`; `forget` forgets
/// it again; `flood N` keeps N states; `sizes` tries the bound.
pub fn checkpoint(argument: &str, request: &Request) -> Result<Document, ConvertError> {
    let (how, number) = argument.split_once(' ').unwrap_or((argument, "0"));
    let number: usize = number.parse().unwrap_or(0);
    let resumed = request.resume.as_deref().map(String::from_utf8_lossy);
    let interrupted = |what: &str| Err(ConvertError::Internal(format!("interrupted: {what}")));
    match (how, resumed) {
        ("steps", resumed) => {
            let step: usize = resumed.as_deref().unwrap_or("0").parse().unwrap_or(0);
            if step == number {
                return page(&format!("resumed at {step}"));
            }
            let kept = job::checkpoint((step + 1).to_string().as_bytes());
            interrupted(&format!("step {} kept: {kept}", step + 1))
        }
        ("forget", resumed) => {
            let kept = job::checkpoint(b"remote document 7");
            let forgotten = job::checkpoint(&[]);
            interrupted(&format!(
                "resumed {resumed:?}, kept {kept}, forgotten {forgotten}"
            ))
        }
        ("flood", _) => {
            let kept = (0..number)
                .filter(|n| job::checkpoint(&n.to_le_bytes()))
                .count();
            page(&format!("kept {kept} of {number}"))
        }
        ("sizes", _) => {
            let kept = [1, STATE_BYTES_MAX, STATE_BYTES_MAX + 1, 1 << 20]
                .map(|bytes| job::checkpoint(&vec![b'x'; bytes]));
            page(&format!("kept {kept:?}"))
        }
        (_, Some(resumed)) => page(&format!("resumed: {resumed}")),
        (how, None) => {
            let kept = job::checkpoint(b"remote document 7");
            match how {
                "hang" if kept => spin(),
                "trap" if kept => panic!("trapped after a checkpoint"),
                _ => interrupted(&format!("kept: {kept}")),
            }
        }
    }
}
