//! Black-box tests: everything here goes through the `kbhost` binary, as a user would.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    unreachable_pub,
    reason = "tests panic when something is wrong, and write their own files; nobody links this crate"
)]

#[macro_use]
mod support;

mod add;
mod authoring;
mod bad_input;
#[cfg(feature = "fault-points")]
mod checkpoints;
mod choosing;
mod cli;
mod cloud;
mod concurrency;
mod conformance;
mod convert;
#[cfg(feature = "fault-points")]
mod crash_states;
mod doctor;
mod effects;
mod example_plugins;
mod golden;
mod locks;
mod long_documents;
mod manifest;
mod members;
mod openkb;
mod options;
mod order;
mod pages;
mod passwords;
mod peer_faults;
mod plugins;
#[cfg(all(feature = "fault-points", target_os = "linux"))]
mod power_cuts;
mod prepare_cache;
mod races;
mod readme;
#[cfg(feature = "fault-points")]
mod recover;
mod recovery;
mod registry;
mod remove;
mod sandbox;
mod scale;
mod scans;
mod scenarios;
mod signals;
#[cfg(feature = "fault-points")]
mod storage_faults;
mod syncs;
mod threat_model;
mod trust;
mod tutorial;
mod verify;
mod wit_versions;
