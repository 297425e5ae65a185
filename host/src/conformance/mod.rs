//! `plugin test`: puts a converter on trial in the product's own cage, with the linker, the limits and
//! the validators that every document meets.
//!
//! Knows no knowledge base; writes only where an author asked for it: expectations and inputs that
//! are kept.
//!
//! Invariant: what is judged here is judged by the rooms that judge it in production; this room
//! compares and counts.

mod contract;
mod determinism;
mod golden;
mod limits;
mod mutations;
mod report;
mod result;
mod run;
mod trial;

pub(crate) use report::{Check, Report, Usage, Verdict};
pub(crate) use run::{Options, Stop, run, unusable};

use run::counted;
