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
mod bad_input;
mod cli;
mod convert;
mod effects;
mod golden;
mod manifest;
mod openkb;
mod order;
mod pages;
mod races;
mod recovery;
mod sandbox;
mod signals;
