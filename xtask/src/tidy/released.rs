//! Released versions of the converter contract never change: `wit/released.txt` lists each with
//! the digest of its folder, one `VERSION SHA256` a line, and `wit/fixtures/VERSION/` holds at least
//! one component that was built from it, which the tests convert with. A version that is not listed
//! is a draft. `cargo xtask release-wit` writes both.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::failure::{Failure, Result};
use crate::repo;
use crate::tidy::run::{Finding, relative};

/// The list of released versions.
pub(crate) const LIST: &str = "wit/released.txt";

/// Beneath it the fixtures of each released version, a folder each.
pub(crate) const FIXTURES: &str = "wit/fixtures";

/// What a fixture consists of, beside its input, which has an extension of its own.
pub(crate) const FIXTURE_FILES: [&str; 2] = ["component.wasm", "expected.md"];

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
        if !has_fixture(root, version)? {
            let what = format!("`{version}` has no whole fixture in `{FIXTURES}/{version}/`");
            findings.push(Finding::new(LIST, Some(number + 1), what));
        }
    }
    Ok(findings)
}

fn has_fixture(root: &Path, version: &str) -> Result<bool> {
    let folder = root.join(FIXTURES).join(version);
    if !folder.is_dir() {
        return Ok(false);
    }
    let fixtures = repo::entries(&folder)?;
    let is_whole = |fixture: &Path| {
        let names = repo::entries(fixture).unwrap_or_default();
        let has_input = names
            .iter()
            .any(|name| name.file_stem().is_some_and(|stem| stem == "input"));
        has_input
            && FIXTURE_FILES
                .iter()
                .all(|name| fixture.join(name).is_file())
    };
    Ok(!fixtures.is_empty() && fixtures.iter().all(|fixture| is_whole(fixture)))
}

/// SHA-256 over each file's path, length and bytes, in the order of the paths.
///
/// # Errors
/// If one of them cannot be read.
pub(crate) fn digest(folder: &Path) -> Result<String> {
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
        assert_eq!(check(&root).unwrap().len(), 1, "no fixture");
        let fixture = root.join(FIXTURES).join("v1/some");
        std::fs::create_dir_all(&fixture).unwrap();
        for name in ["component.wasm", "expected.md"] {
            std::fs::write(fixture.join(name), "").unwrap();
        }
        assert_eq!(check(&root).unwrap().len(), 1, "a fixture without input");
        std::fs::write(fixture.join("input.md"), "").unwrap();
        assert_eq!(check(&root).unwrap(), []);
        std::fs::write(folder.join("a.wit"), "package y;").unwrap();
        assert_eq!(check(&root).unwrap().len(), 1);
        std::fs::remove_dir_all(root).unwrap();
    }
}
