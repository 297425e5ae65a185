//! `cargo xtask test`: every test there is, in steps that go on after a failure, so that one run
//! shows everything that is wrong. A rig that cannot run here is one `skip:` line and is counted;
//! with `KBHOST_TEST_STRICT=1` it is a failure.

mod ledger;
mod libtest;
mod release_scan;
mod rigs;
mod skips;
mod steps;

pub(crate) use steps::{install_rig_tools, run, run_tests_of_rigs};
