//! Writes into the folders of a plugin's author: a new project, a component, expectations.
//!
//! One of the few files that may call the writing functions of `std::fs`, and never beneath a
//! knowledge base of its own accord: the user named each folder.
//!
//! Invariant: a file appears whole or not at all, and so does a new project.

#![expect(
    clippy::disallowed_methods,
    reason = "the author's own folders: nothing here is official state"
)]

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::kb::PathError;

/// What temporary files and folders beside their target start with.
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

/// Makes the folder `target` with `files`, whose paths are relative and plain. `false`: something is
/// in `target` already, and nothing was changed.
///
/// # Errors
/// If the system refuses; nothing is left behind then.
pub(crate) fn create_project(target: &Path, files: &[(&str, String)]) -> Result<bool, PathError> {
    let failed = |error: io::Error| PathError::new("create", target, error);
    let above = parent(target);
    ensure_dir(above)?;
    let draft = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .tempdir_in(above)
        .map_err(failed)?;
    let project = draft.path().join("project");
    for (path, text) in files {
        let file = project.join(path);
        ensure_dir(parent(&file))?;
        fs::write(&file, text).map_err(|error| PathError::new("write", file, error))?;
    }
    let is_there = match fs::read_dir(target) {
        Ok(mut entries) => match entries.next() {
            Some(_) => return Ok(false),
            None => true,
        },
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) if error.kind() == ErrorKind::NotADirectory => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    if is_there {
        // An empty folder may be where somebody stands: it stays, and is filled.
        fill(target, &project).map_err(failed)?;
        return Ok(true);
    }
    match fs::rename(&project, target) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists
            ) =>
        {
            Ok(false)
        }
        renamed => renamed.map(|()| true).map_err(failed),
    }
}

/// Moves what is in `project` into the empty folder `target`, or nothing of it.
fn fill(target: &Path, project: &Path) -> io::Result<()> {
    let mut moved: Vec<(PathBuf, PathBuf)> = Vec::new();
    for entry in fs::read_dir(project)?.collect::<io::Result<Vec<_>>>()? {
        let (from, to) = (entry.path(), target.join(entry.file_name()));
        if let Err(error) = fs::rename(&from, &to) {
            for (from, to) in moved {
                // Back into the draft, which goes.
                fs::rename(to, from)?;
            }
            return Err(error);
        }
        moved.push((from, to));
    }
    Ok(())
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
    fn a_project_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let files = [("a", "1".to_owned()), ("b/c", "2".to_owned())];
        let target = dir.path().join("deep/project");
        assert!(create_project(&target, &files).unwrap());
        assert_eq!(fs::read_to_string(target.join("b/c")).unwrap(), "2");
        assert!(!create_project(&target, &files).unwrap(), "it is not empty");
        assert_eq!(names(&dir.path().join("deep")), ["project"]);

        let empty = dir.path().join("empty");
        fs::create_dir(&empty).unwrap();
        assert!(create_project(&empty, &files).unwrap());
        assert_eq!(names(&empty), ["a", "b"]);

        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(!create_project(&file, &files).unwrap());
        assert_eq!(fs::read_to_string(&file).unwrap(), "x");
        create_project(&file.join("below"), &files).unwrap_err();
        assert_eq!(names(dir.path()), ["deep", "empty", "file"]);
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
