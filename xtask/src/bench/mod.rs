//! `cargo xtask bench`: what this machine measures, beside the project's goals. It drives the
//! release binary and fails only if a command fails, never because one is slow.

mod cloud;
mod corpus;
mod pdf;
mod report;
mod rig;
mod run;
mod scale;
mod spans;
mod strace;

pub(crate) use cloud::run as run_cloud;
pub(crate) use pdf::{Ending, Options as PdfOptions, Outcome, Sandbox, each_of, run as run_pdf};
pub(crate) use rig::Rig;
pub(crate) use run::run;
