//! A preparation whose converter is on trial: the same line as any other, and what the document alone
//! does not tell.

use std::collections::BTreeSet;
use std::path::Path;

use super::collect;
use super::{PreparedDocument, StagingDir, StagingError};
use crate::plugin::{OutputFile, OutputRole};

/// Undeclared files that are named; a converter that leaves more has one fault, not a thousand.
const UNDECLARED_MAX: usize = 20;

/// A document, and what its converter left beside it.
#[derive(Debug)]
pub struct Rehearsal {
    /// The document.
    pub document: PreparedDocument,
    /// Files beneath `/out` that the converter wrote and did not declare, at most some twenty;
    /// untrusted, sorted.
    pub undeclared: Vec<String>,
    /// Files that it declared and that no document has a place for; paths as it declared them.
    pub left_out: Vec<String>,
}

/// What the collector takes nothing of.
pub(super) fn left_out(declared: &[OutputFile]) -> Vec<String> {
    let left_out = declared.iter().filter(|file| match file.role {
        OutputRole::Attachment => true,
        OutputRole::Member => !collect::is_page(file),
        _ => false,
    });
    let paths = left_out.map(|file| file.path.clone());
    paths.take(UNDECLARED_MAX).collect()
}

/// Files in `out/` that were not declared.
pub(super) fn undeclared(
    staging: &StagingDir,
    declared: &BTreeSet<&str>,
) -> Result<Vec<String>, StagingError> {
    let mut undeclared = Vec::new();
    walk(&staging.output(), "", declared, &mut undeclared)?;
    undeclared.sort_unstable();
    undeclared.truncate(UNDECLARED_MAX);
    Ok(undeclared)
}

/// The quota bounds entries and depth of `out/`.
fn walk(
    dir: &Path,
    prefix: &str,
    declared: &BTreeSet<&str>,
    undeclared: &mut Vec<String>,
) -> Result<(), StagingError> {
    let failed = |error| StagingError::new("list", dir, error);
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(failed)?.is_dir() {
            walk(&entry.path(), &format!("{path}/"), declared, undeclared)?;
        } else if !declared.contains(path.as_str()) {
            undeclared.push(path);
        }
    }
    Ok(())
}
