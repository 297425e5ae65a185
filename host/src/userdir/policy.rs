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
    #[serde(default)]
    pageindex: PageIndex,
}

/// What cloud converters may do on behalf of this user.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PageIndex {
    /// Hosts or origins that images may be taken from; `egress` judges them.
    #[serde(default)]
    image_hosts: Vec<String>,
}

/// The limits that this user grants at most; what is not named is bounded by the host alone.
///
/// # Errors
/// If there is a policy that cannot be read.
pub(crate) fn limits() -> Result<WantedLimits, StoreError> {
    Ok(of_user()?.map_or_else(WantedLimits::default, |policy| policy.limits))
}

/// The hosts that this user grants cloud converters for images, as they are written.
///
/// # Errors
/// If there is a policy that cannot be read.
pub(crate) fn pageindex_image_hosts() -> Result<Vec<String>, StoreError> {
    Ok(of_user()?.map_or_else(Vec::new, |policy| policy.pageindex.image_hosts))
}

fn of_user() -> Result<Option<Policy>, StoreError> {
    match config_dir() {
        Some(dir) => read(&dir),
        None => Ok(None),
    }
}

fn read(config: &Path) -> Result<Option<Policy>, StoreError> {
    let Some(dir) = PrivateDir::open_existing(config)? else {
        return Ok(None);
    };
    let Some(bytes) = dir.read(POLICY, POLICY_BYTES_MAX)? else {
        return Ok(None);
    };
    let policy = parse(&bytes).map_err(|reason| StoreError::Policy {
        path: dir.path().join(POLICY),
        reason: SafeLine::new(&reason).to_string(),
    })?;
    Ok(Some(policy))
}

fn parse(bytes: &[u8]) -> Result<Policy, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8".to_owned())?;
    let policy: Policy = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    if policy.format != FORMAT {
        return Err(format!("format {} is not {FORMAT}", policy.format));
    }
    policy.limits.check()?;
    Ok(policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_strict() {
        let good = parse(b"format = 1\n[limits]\nmemory_mib = 64\n").unwrap();
        assert_eq!(good.limits.named(), [("memory_mib", 64)]);
        let good = parse(b"format = 1\n[pageindex]\nimage_hosts = [\"a.example\"]\n").unwrap();
        assert_eq!(good.pageindex.image_hosts, ["a.example"]);
        for bad in [
            &b""[..],
            b"format = 2",
            b"format = 1\nallow = true",
            b"format = 1\n[pageindex]\nimage_hosts = \"a.example\"",
            b"format = 1\n[pageindex]\nurl = \"https://a.example\"",
            b"format = 1\n[limits]\nmemory = 1",
            b"format = 1\n[limits]\nmemory_mib = 0",
            b"format = 1\n[limits]\nmemory_mib = 4097",
            b"format = 1\n# \xff",
        ] {
            parse(bad).unwrap_err();
        }
    }
}
