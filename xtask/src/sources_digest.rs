//! The digest of what a guest is built from. Also compiled into the host's build script, so that
//! both compute the same: only `std` and `sha2`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use sha2::{Digest, Sha256};

/// The workspaces of guests, each with what all of its guests are built from, relative to the root: the
/// workspace and its lock file, a shared crate, the contract.
const WORKSPACES: [(&str, &[&str]); 3] = [
    (
        "plugins",
        &[
            "plugins/Cargo.toml",
            "plugins/Cargo.lock",
            "plugins/shared",
            "wit/v0.1.0",
        ],
    ),
    (
        "tests/guests",
        &[
            "tests/guests/Cargo.toml",
            "tests/guests/Cargo.lock",
            "wit/v0.1.0",
        ],
    ),
    // An outside author's: everything it is built from lies in its own folder.
    ("examples/plugins/sql-schema", &[]),
];
/// Entries of a guest's folder that do not end up in the component.
const LEFT_OUT: [&str; 5] = ["tests", "examples", "target", "package", "README.md"];

/// Lower-case hexadecimal SHA-256.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The folder of the workspace that the guest in `folder` is a member of.
///
/// # Errors
/// If it is in none.
pub(crate) fn workspace_of(folder: &str) -> io::Result<&'static str> {
    let names = WORKSPACES.iter().map(|(name, _)| *name);
    let mut holding = names.filter(|name| Path::new(folder).starts_with(name));
    let message = || io::Error::other(format!("{folder}: in no workspace of guests"));
    holding.next().ok_or_else(message)
}

/// The files that a guest is built from, relative to `root`, with `/`, sorted bytewise.
///
/// # Errors
/// If one of them cannot be listed; the message names it.
pub(crate) fn source_files(root: &Path, folder: &str) -> io::Result<Vec<String>> {
    let mut files = Vec::new();
    let workspace = workspace_of(folder)?;
    let common = WORKSPACES.iter().find(|(name, _)| *name == workspace);
    let common = common.map_or(&[][..], |(_, common)| common);
    for start in common.iter().chain([&folder]) {
        collect(root, start, &mut files)?;
    }
    files.sort_unstable();
    files.dedup();
    Ok(files)
}

/// SHA-256 over a line `PATH NUL SHA256 LF` for each of [`source_files`].
///
/// # Errors
/// If one of them cannot be read; the message names it.
pub(crate) fn sources_digest(root: &Path, folder: &str) -> io::Result<String> {
    let mut lines = String::new();
    for file in source_files(root, folder)? {
        let path = root.join(&file);
        let bytes = fs::read(&path).map_err(|error| named(&path, &error))?;
        lines.push_str(&format!("{file}\0{}\n", sha256_hex(&bytes)));
    }
    Ok(sha256_hex(lines.as_bytes()))
}

fn collect(root: &Path, relative: &str, files: &mut Vec<String>) -> io::Result<()> {
    let path: PathBuf = root.join(relative);
    let kind = fs::symlink_metadata(&path).map_err(|error| named(&path, &error))?;
    if !kind.is_dir() {
        files.push(relative.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(&path).map_err(|error| named(&path, &error))? {
        let name = entry.map_err(|error| named(&path, &error))?.file_name();
        let Some(name) = name.to_str() else {
            return Err(named(&path, &io::Error::other("a name in it is not UTF-8")));
        };
        // Editors and systems leave hidden files behind; none is a source.
        if !name.starts_with('.') && !LEFT_OUT.contains(&name) {
            collect(root, &format!("{relative}/{name}"), files)?;
        }
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
