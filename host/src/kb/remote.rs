//! Documents of remote services: their ids, and what makes one the same document the next time.

use std::fmt;

use super::{ContentHash, SourceKey};

/// What the identity of a document of PageIndex Cloud starts with: OpenKB writes the same.
const PAGEINDEX_CLOUD: &str = "pageindex-cloud:";

/// An id is part of a request's path and of file names.
const ID_BYTES_MAX: usize = 128;

/// The id of a document at PageIndex Cloud: ASCII letters, digits, `-` and `_`, at most 128 of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct RemoteId(String);

impl RemoteId {
    /// Reads an id; `None` if it is none.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let is_id = (1..=ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(is_of_id);
        is_id.then(|| Self(id.to_owned()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The identity of the document: `pageindex-cloud:ID`.
    #[must_use]
    pub fn source_key(&self) -> SourceKey {
        SourceKey::new(format!("{PAGEINDEX_CLOUD}{}", self.0))
    }

    /// What stands for the digest of a document that has no original here: that of its identity.
    #[must_use]
    pub fn hash(&self) -> ContentHash {
        ContentHash::of(self.source_key().as_str().as_bytes())
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let check = |id: &str, expected| assert_eq!(RemoteId::new(id).is_some(), expected, "{id}");
        check("pi-cmabc_123", true);
        check(&"a".repeat(128), true);
        check(&"a".repeat(129), false);
        for wrong in ["", "a/b", "..", "a b", "é", "a\n", "a?b", "a%2f"] {
            check(wrong, false);
        }
        let id = RemoteId::new("abc").unwrap();
        assert_eq!(id.source_key().as_str(), "pageindex-cloud:abc");
        assert_eq!(id.hash(), ContentHash::of(b"pageindex-cloud:abc"));
    }
}
