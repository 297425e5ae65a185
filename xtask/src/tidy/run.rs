//! Runs every check and prints what it finds.

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::repo::{self, Repo};
use crate::tidy::{released, roadmap, source};

/// Something that is not as it should be: `path:line: what`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding(pub(crate) String);

impl Finding {
    /// A finding about a whole file, or about one of its lines.
    pub(crate) fn new(path: &str, line: Option<usize>, what: impl AsRef<str>) -> Self {
        match line {
            Some(line) => Self(format!("{path}:{line}: {}", what.as_ref())),
            None => Self(format!("{path}: {}", what.as_ref())),
        }
    }
}

/// Checks the whole tree.
///
/// # Errors
/// If something is found, or a file cannot be read.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let root = repo.root();
    let mut findings = Vec::new();
    let mut sources = Vec::new();
    for folder in ["host/src", "tests", "xtask/src", "plugins"] {
        let folder = root.join(folder);
        if !folder.is_dir() {
            continue;
        }
        for path in repo::files_beneath(&folder)? {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).map_err(Failure::io("read", &path))?;
                sources.push((relative(root, &path), text));
            }
        }
    }
    for (path, text) in &sources {
        findings.extend(source::check(path, text));
    }
    findings.extend(released::check(root)?);
    findings.extend(roadmap::check(root, &sources)?);
    for Finding(line) in &findings {
        println!("{line}");
    }
    match findings.len() {
        0 => Ok(()),
        count => Err(Failure::new(format!("{count} findings"))),
    }
}

/// The path below the root, with `/` on every system.
pub(crate) fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    let parts: Vec<_> = path
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts.join("/")
}
