//! `cargo xtask bench pdf`: how well, how safely and how fast PDFs are converted, beside the goals and
//! beside what others reach on the same files.
//!
//! Reads the corpora beside the repository and writes beneath the build output alone. What this machine
//! lacks is skipped, with the reason.

mod bounded;
mod native;
mod repeat;
mod robust;
mod run;
mod sandbox;
mod scores;
mod speed;
mod text;

pub(crate) use run::{Options, run};
pub(crate) use sandbox::{Ending, Outcome, Sandbox, each_of};
