//! A path inside a KB, as a value: validated once, resolved only beneath a `KbRoot`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A relative path with `/` between its components. No component is empty, `.`, `..`, longer than
/// 255 bytes or holds a control character, a backslash or NUL.
///
/// A `KbPath` says where; it gives no right to write there: that is an `OfficialPath`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct KbPath(String);

/// Why a text is no path inside a KB.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KbPathError {
    /// Empty, or longer than 4096 bytes.
    #[error("a path of {0} bytes is not allowed")]
    Length(usize),
    /// A component that could leave the KB or hide.
    #[error("`{0}` is not allowed as part of a path")]
    Component(String),
}

impl KbPath {
    /// Validates `path`.
    ///
    /// # Errors
    /// If it is empty, absolute, too long, or a component is not allowed.
    pub fn new(path: &str) -> Result<Self, KbPathError> {
        if path.is_empty() || path.len() > 4096 {
            return Err(KbPathError::Length(path.len()));
        }
        for component in path.split('/') {
            let allowed = !matches!(component, "" | "." | "..")
                && component.len() <= 255
                && !component.chars().any(|c| c.is_control() || c == '\\');
            if !allowed {
                return Err(KbPathError::Component(
                    super::SafeLine::with_max(component, 80).to_string(),
                ));
            }
        }
        Ok(Self(path.to_owned()))
    }

    /// A path written in the source; a wrong one is a bug.
    #[must_use]
    pub(crate) fn fixed(path: &'static str) -> Self {
        Self::new(path).expect("BUG: a path written in the source is valid")
    }

    /// The path with one more component.
    ///
    /// # Errors
    /// If `name` is no single allowed component, or the path becomes too long.
    pub fn join(&self, name: &str) -> Result<Self, KbPathError> {
        if name.contains('/') {
            return Err(KbPathError::Component(name.to_owned()));
        }
        Self::new(&format!("{}/{name}", self.0))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// All but the last component; `None` for a path of one component.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once('/')
            .map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The components, first to last.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// Whether the path is `ancestor` or lies beneath it.
    #[must_use]
    pub fn starts_with(&self, ancestor: &KbPath) -> bool {
        self.0
            .strip_prefix(&ancestor.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for KbPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for KbPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside_are_paths() {
        for good in [
            "raw/a.md",
            "wiki/sources/images/x/img_001.png",
            ".openkb/hashes.json",
            "a b/ü",
        ] {
            assert_eq!(
                KbPath::new(good).map(|p| p.to_string()),
                Ok(good.to_owned())
            );
        }
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "a/",
            "./a",
            "a\\b",
            "a\nb",
            "a\u{0}b",
        ] {
            assert!(KbPath::new(bad).is_err(), "{bad:?}");
        }
        assert!(KbPath::new(&"x".repeat(256)).is_err());
        assert!(KbPath::fixed("wiki").starts_with(&KbPath::fixed("wiki")));
        assert!(!KbPath::fixed("wiki2/a").starts_with(&KbPath::fixed("wiki")));
    }
}
