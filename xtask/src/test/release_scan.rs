//! Looks into a binary for the switches of the test rigs: none may reach a user.

use std::path::Path;

use crate::failure::{Failure, Result};

/// Prefixes of the environment variables by which a rig steers a binary built for it.
pub(crate) const RIG_SWITCHES: [&str; 2] = ["KBHOST_FAULT", "KBHOST_TEST_"];

/// The switches a binary contains.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn switches_in(binary: &Path) -> Result<Vec<&'static str>> {
    let bytes = std::fs::read(binary).map_err(Failure::io("read", binary))?;
    Ok(RIG_SWITCHES
        .into_iter()
        .filter(|switch| contains(&bytes, switch.as_bytes()))
        .collect())
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    // The first byte is rare in code, so this skips most positions without a comparison.
    let first = needle[0];
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| *byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return true;
        }
        from += at + 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_switch_anywhere() {
        let check = |haystack: &[u8], expected: bool| {
            assert_eq!(contains(haystack, b"KBHOST_FAULT"), expected);
        };
        check(b"", false);
        check(b"KBHOST_FAUL", false);
        check(b"\0\0KKBHOST_FAULT_POINT\0", true);
        check(b"xxKBHOST_FAULT", true);
        check(b"KBHOST_KB KBHOST_F", false);
    }
}
