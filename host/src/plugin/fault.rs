//! Switches of the test rigs: holes in the sandbox, to see that the hostile kit notices them. Without
//! the feature `fault-points` nothing of them is compiled.

/// Whether a rig opens this hole, by `KBHOST_TEST_HOLE`: `links`, symbolic links are made; `preopen`,
/// the guest is given the folder around all staging; `filesystem`, it has wasmtime's file system without
/// ours around it, for the benchmark that compares the two.
#[cfg(feature = "fault-points")]
pub(super) fn has_hole(name: &str) -> bool {
    std::env::var("KBHOST_TEST_HOLE").is_ok_and(|hole| hole == name)
}

/// The component that a rig puts in the place of the built-in cloud converter, by
/// `KBHOST_TEST_CLOUD_PLUGIN`.
#[cfg(feature = "fault-points")]
pub(super) fn cloud_plugin() -> Option<std::path::PathBuf> {
    std::env::var_os("KBHOST_TEST_CLOUD_PLUGIN").map(Into::into)
}

/// Whether a rig lets this converter have passwords, by `KBHOST_TEST_OPENS`, so that one can be seen to
/// misuse them.
#[cfg(feature = "fault-points")]
pub(super) fn opens(name: &str) -> bool {
    std::env::var("KBHOST_TEST_OPENS").is_ok_and(|opening| opening == name)
}

#[cfg(not(feature = "fault-points"))]
pub(super) fn opens(_: &str) -> bool {
    false
}

#[cfg(not(feature = "fault-points"))]
pub(super) fn cloud_plugin() -> Option<std::path::PathBuf> {
    None
}

#[cfg(not(feature = "fault-points"))]
pub(super) fn has_hole(_: &str) -> bool {
    false
}
