//! Whether OpenKB's registry shows that an unfinished change of its is the last one. Reads only.
//!
//! Invariant: what cannot be compared is doubtful.

use std::collections::HashMap;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Rollback;
use crate::kb::{ContentHash, KbError, KbPath, KbRoot, layout, openkb};

/// Why OpenKB's registry does not show that the change is the last: one change adds an entry, or
/// puts one in place of another.
pub(super) fn doubt(root: &KbRoot, rollback: &Rollback) -> Option<String> {
    let path = layout::hashes_json();
    let mut targets = rollback.entries.iter();
    let Some((_, backup)) = targets.find(|(target, _)| *target == path) else {
        return Some(format!("it does not tell what `{path}` was before it"));
    };
    let compared = || -> Result<Option<String>, String> {
        let before = match backup {
            None => Some(Digests::default()),
            Some(backup) => Digests::read(root, backup)?,
        };
        // Without its copy nothing is rolled back at all; that is told where it is tried.
        let Some(before) = before else {
            return Ok(None);
        };
        let now = Digests::read(root, &path)?.unwrap_or_default();
        Ok(match now.is_one_change_after(&before) {
            true => None,
            false => Some(format!(
                "`{path}` has changed by more than one document since it began"
            )),
        })
    };
    compared().unwrap_or_else(|error| {
        Some(format!(
            "`{path}` cannot be compared with what it was: {error}"
        ))
    })
}

/// The digest of each entry of a `hashes.json`, by its key.
#[derive(Debug, Default)]
struct Digests(HashMap<String, ContentHash>);

impl Digests {
    /// Those of the file at `path`; `None` if there is none.
    fn read(root: &KbRoot, path: &KbPath) -> Result<Option<Self>, String> {
        let bytes = root.read(path, openkb::HASHES_BYTES_MAX);
        let bytes = bytes.map_err(|error| match error {
            KbError::Path(error) => error.source.to_string(),
            other => other.to_string(),
        })?;
        bytes
            .map(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string()))
            .transpose()
    }

    fn is_one_change_after(&self, before: &Self) -> bool {
        let is_new = |(key, digest): &(&String, &ContentHash)| before.0.get(*key) != Some(digest);
        let new = self.0.iter().filter(is_new).count();
        let is_gone = |key: &&String| !self.0.contains_key(*key);
        let gone = before.0.keys().filter(is_gone).count();
        new <= 1 && gone <= new
    }
}

impl<'de> Deserialize<'de> for Digests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// One entry at a time: the file of a large KB is large.
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Digests;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Digests, A::Error> {
                let mut digests = HashMap::new();
                while let Some((key, entry)) = map.next_entry::<String, serde_json::Value>()? {
                    digests.insert(key, ContentHash::of(entry.to_string().as_bytes()));
                }
                Ok(Digests(digests))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_change_adds_or_replaces_one_entry() {
        let check = |before: &str, now: &str, expected: bool| {
            let read = |text: &str| serde_json::from_str::<Digests>(text).unwrap();
            let found = read(now).is_one_change_after(&read(before));
            assert_eq!(found, expected, "{before} {now}");
        };
        check("{}", "{}", true);
        check("{}", r#"{"a":{}}"#, true);
        check("{}", r#"{"a":{},"b":{}}"#, false);
        check(r#"{"a":{}}"#, r#"{"a":{}}"#, true);
        check(r#"{"a":{}}"#, r#"{"a":{"name":"a"}}"#, true);
        check(r#"{"a":{}}"#, r#"{"b":{}}"#, true);
        check(r#"{"a":{}}"#, "{}", false);
        check(r#"{"a":{},"b":{}}"#, r#"{"c":{}}"#, false);
        check(
            r#"{"a":{},"b":{}}"#,
            r#"{"b":{},"a":{"name":"a"},"c":{}}"#,
            false,
        );
        assert!(serde_json::from_str::<Digests>("[]").is_err());
    }
}
