//! Switches of the test rigs: holes in the boundary, to see that the hostile kit notices them. Without the
//! feature `fault-points` nothing of them is compiled.

/// Whether a rig opens this hole, by `KBHOST_TEST_HOLE`: `endpoints`, a host of images that nobody granted
/// is called; `credential`, answers are not searched for the key.
#[cfg(feature = "fault-points")]
pub(super) fn has_hole(name: &str) -> bool {
    std::env::var("KBHOST_TEST_HOLE").is_ok_and(|hole| hole == name)
}

#[cfg(not(feature = "fault-points"))]
pub(super) fn has_hole(_: &str) -> bool {
    false
}
