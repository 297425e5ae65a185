//! `policy.toml` in the user's configuration directory: what the user grants plugins at most, strict
//! and versioned. It counts when one is installed.
//!
//! Invariant: never read from a KB, and grants nothing by itself; a policy that cannot be read is an
//! error, not an absence.

use std::path::Path;

use serde::Deserialize;

use super::plugins::StoreError;
use super::{PrivateDir, config_dir};
use crate::kb::SafeLine;
use crate::plugin::WantedLimits;

/// The file.
const POLICY: &str = "policy.toml";

/// Version of the format.
const FORMAT: u32 = 1;

/// A policy has a handful of lines.
const POLICY_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Policy {
    format: u32,
    #[serde(default)]
    limits: WantedLimits,
}

/// The limits that this user grants at most; what is not named is bounded by the host alone.
///
/// # Errors
/// If there is a policy that cannot be read.
pub(crate) fn limits() -> Result<WantedLimits, StoreError> {
    match config_dir() {
        Some(dir) => read(&dir),
        None => Ok(WantedLimits::default()),
    }
}

fn read(config: &Path) -> Result<WantedLimits, StoreError> {
    let Some(dir) = PrivateDir::open_existing(config)? else {
        return Ok(WantedLimits::default());
    };
    let Some(bytes) = dir.read(POLICY, POLICY_BYTES_MAX)? else {
        return Ok(WantedLimits::default());
    };
    parse(&bytes).map_err(|reason| StoreError::Policy {
        path: dir.path().join(POLICY),
        reason: SafeLine::new(&reason).to_string(),
    })
}

fn parse(bytes: &[u8]) -> Result<WantedLimits, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    let policy: Policy = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    if policy.format != FORMAT {
        return Err(format!("format {} is not {FORMAT}", policy.format));
    }
    policy.limits.check()?;
    Ok(policy.limits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_strict() {
        let good = parse(b"format = 1\n[limits]\nmemory_mib = 64\n").unwrap();
        assert_eq!(good.named(), [("memory_mib", 64)]);
        for bad in [
            &b""[..],
            b"format = 2",
            b"format = 1\nallow = true",
            b"format = 1\n[limits]\nmemory = 1",
            b"format = 1\n[limits]\nmemory_mib = 0",
            b"format = 1\n[limits]\nmemory_mib = 4097",
            b"format = 1\n# \xff",
        ] {
            parse(bad).unwrap_err();
        }
    }
}
