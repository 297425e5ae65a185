//! Released versions of the converter contract never change: `wit/released.txt` lists each with
//! the digest of its folder, one `VERSION SHA256` a line. A version that is not listed is a draft.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::repo;
use crate::tidy::run::{Finding, relative};

const LIST: &str = "wit/released.txt";

/// Compares each released folder with its digest.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let list = root.join(LIST);
    if !list.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&list).map_err(Failure::io("read", &list))?;
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some((version, expected)) = line.split_once(' ') else {
            findings.push(Finding::new(
                LIST,
                Some(number + 1),
                "is not `VERSION SHA256`",
            ));
            continue;
        };
        let folder = root.join("wit").join(version);
        if !folder.is_dir() {
            findings.push(Finding::new(
                LIST,
                Some(number + 1),
                "names a folder that is gone",
            ));
            continue;
        }
        let found = digest(&folder)?;
        if found != expected.trim() {
            let what = format!("`wit/{version}` was released and has changed: it is {found} now");
            findings.push(Finding::new(LIST, Some(number + 1), what));
        }
    }
    Ok(findings)
}

/// SHA-256 over each file's path, length and bytes, in the order of the paths.
fn digest(folder: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    for path in repo::files_beneath(folder)? {
        let bytes = std::fs::read(&path).map_err(Failure::io("read", &path))?;
        hasher.update(format!("{} {}\n", relative(folder, &path), bytes.len()));
        hasher.update(&bytes);
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_release_is_found() {
        let root = std::env::temp_dir().join(format!("xtask-released-{}", std::process::id()));
        let folder = root.join("wit/v1");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("a.wit"), "package x;").unwrap();
        assert_eq!(check(&root).unwrap(), []);
        std::fs::write(
            root.join(LIST),
            format!("v1 {}\n", digest(&folder).unwrap()),
        )
        .unwrap();
        assert_eq!(check(&root).unwrap(), []);
        std::fs::write(folder.join("a.wit"), "package y;").unwrap();
        assert_eq!(check(&root).unwrap().len(), 1);
        std::fs::remove_dir_all(root).unwrap();
    }
}
