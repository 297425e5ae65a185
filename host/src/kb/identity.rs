//! Identity of an input: what makes a file the same file the next time.

use std::path::Path;

use super::{KbRoot, SourceKey};

/// Key of a document imported from an old OpenKB registry that kept no path: this and its stem.
pub(crate) const LEGACY_PREFIX: &str = "legacy:";

/// The source key of a file: relative to the KB with `/` when it lies inside, else absolute;
/// symbolic links resolved. `canonical` is the canonical path.
#[must_use]
pub fn source_key(canonical: &Path, kb: Option<&KbRoot>) -> SourceKey {
    let inside = kb.and_then(|kb| canonical.strip_prefix(kb.path()).ok());
    SourceKey::new(inside.unwrap_or(canonical).to_string_lossy().into_owned())
}

/// The key that stands for a legacy entry of this file's stem.
#[must_use]
pub(crate) fn legacy_key(file_name: &str) -> SourceKey {
    let stem = super::names::from_stem(stem(file_name));
    SourceKey::new(format!(
        "{LEGACY_PREFIX}{}",
        super::names::fold(stem.as_str())
    ))
}

/// A file name without its last extension; a name that is all extension stays whole.
#[must_use]
pub(crate) fn stem(file_name: &str) -> &str {
    match file_name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file_name,
    }
}
