//! The hostile kit: components that try whatever a stranger's could, each run under the real sandbox on
//! this very machine, between canaries that must stay as they are.
//!
//! Works in a private temporary directory and knows no knowledge base. [`cases`] is the kit as data. Its
//! cloud converter has a service of the kit's own on loopback: nothing leaves the machine.
//!
//! Invariant: a case counts as caged only if it came to what its row expects, nothing of a canary was
//! read or changed, nothing that steers a terminal came back, and staging is empty again.

mod accomplice;
mod canary;
mod case;
mod cases;
mod cloud;
mod loopback;
mod run;
mod scene;

pub(crate) use case::Case;
pub(crate) use cases::CASES;
pub(crate) use run::{Failure, Outcome, Platform, Selftest, SelftestError};
