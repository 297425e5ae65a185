//! Writes into the folders of a plugin's author: expectations, inputs that are kept.
//!
//! One of the few files that may call the writing functions of `std::fs`, and never beneath a
//! knowledge base of its own accord: the user named each folder.
//!
//! Invariant: a file appears whole or not at all.

#![expect(
    clippy::disallowed_methods,
    reason = "the author's own folders: nothing here is official state"
)]

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::kb::PathError;

/// What temporary files beside their target start with.
const TEMPORARY_PREFIX: &str = ".kbhost-";

/// Makes a folder with those above it, unless it is there.
///
/// # Errors
/// If the system refuses.
pub(crate) fn ensure_dir(dir: &Path) -> Result<(), PathError> {
    fs::create_dir_all(dir).map_err(|error| PathError::new("create", dir, error))
}

/// Writes a file, in the place of one that is there.
///
/// # Errors
/// If the system refuses; what was there stays then.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), PathError> {
    let failed = |error: io::Error| PathError::new("write", path, error);
    let mut file = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(parent(path))
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Removes a file, if it is there.
///
/// # Errors
/// If the system refuses.
pub(crate) fn remove(path: &Path) -> Result<(), PathError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(PathError::new("remove", path, error))
        }
        _ => Ok(()),
    }
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn files_are_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["f"]);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(names(dir.path()), [""; 0]);
    }
}
