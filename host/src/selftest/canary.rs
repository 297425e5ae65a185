//! Files and folders that nobody may touch, read or add to while the kit runs.
//!
//! Each is held open from the moment it was made and looked at through that handle alone: whoever
//! watches the process sees no second opening of a canary, unless a component got through.

#![expect(
    clippy::disallowed_methods,
    reason = "canaries lie in a private temporary directory"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Stat};

use crate::kb::PathError;

/// How the name of every canary begins, and its content too.
pub(super) const MARK: &str = "kbhost-canary";

/// A file or folder with what it was when it was made.
#[derive(Debug)]
struct Canary {
    path: PathBuf,
    handle: File,
    before: Look,
}

/// All that can be told of a canary through its handle.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    /// Device, inode, mode, links, owner, group, size, change of content and of metadata.
    stat: [i128; 11],
    content: Content,
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Bytes(Vec<u8>),
    /// Names with their inode numbers, sorted.
    Entries(Vec<(Vec<u8>, u64)>),
}

/// The canaries of one scene.
#[derive(Debug, Default)]
pub(super) struct Canaries(Vec<Canary>);

impl Canaries {
    /// Makes a folder.
    pub(super) fn add_folder(&mut self, path: &Path) -> Result<(), PathError> {
        let failed = |error| PathError::new("create", path, error);
        fs::create_dir(path).map_err(failed)?;
        let handle = File::open(path).map_err(failed)?;
        self.keep(path, handle)
    }

    /// Makes a file.
    pub(super) fn add_file(&mut self, path: &Path) -> Result<(), PathError> {
        let failed = |error| PathError::new("create", path, error);
        let mut handle = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        handle
            .write_all(format!("{MARK}: nobody reads {name}\n").as_bytes())
            .map_err(failed)?;
        self.keep(path, handle)
    }

    fn keep(&mut self, path: &Path, handle: File) -> Result<(), PathError> {
        let before = look(&handle).map_err(|error| PathError::new("read", path, error))?;
        self.0.push(Canary {
            path: path.to_owned(),
            handle,
            before,
        });
        Ok(())
    }

    /// Looks at all of them once more, as they are to be from now on: a folder changes when a canary
    /// is made in it.
    pub(super) fn settle(&mut self) -> Result<(), PathError> {
        for canary in &mut self.0 {
            canary.before = look(&canary.handle)
                .map_err(|error| PathError::new("read", &canary.path, error))?;
        }
        Ok(())
    }

    /// Takes what is there now for what has to stay; what is gone is no longer looked for.
    pub(super) fn accept(&mut self) {
        self.0.retain_mut(|canary| {
            let now = look(&canary.handle);
            now.is_ok_and(|now| {
                canary.before = now;
                true
            })
        });
    }

    /// Every path.
    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|canary| canary.path.as_path())
    }

    /// The canaries that are no longer what they were.
    pub(super) fn changed(&self) -> Vec<&Path> {
        let changed = self
            .0
            .iter()
            .filter(|canary| !look(&canary.handle).is_ok_and(|now| now == canary.before));
        changed.map(|canary| canary.path.as_path()).collect()
    }
}

fn look(handle: &File) -> io::Result<Look> {
    let stat = rustix::fs::fstat(handle)?;
    let content = if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir() {
        Content::Entries(entries(handle)?)
    } else {
        let size = usize::try_from(stat.st_size).map_err(io::Error::other)?;
        let mut bytes = vec![0; size.min(1 << 20)];
        handle.read_exact_at(&mut bytes, 0)?;
        Content::Bytes(bytes)
    };
    Ok(Look {
        stat: numbers(&stat),
        content,
    })
}

fn entries(folder: &File) -> io::Result<Vec<(Vec<u8>, u64)>> {
    // It reads through the handle it is given, and opens nothing.
    let mut dir = Dir::new(folder.try_clone()?)?;
    dir.rewind();
    let mut entries = Vec::new();
    while let Some(entry) = dir.read() {
        let entry = entry?;
        entries.push((entry.file_name().to_bytes().to_vec(), entry.ino()));
    }
    entries.sort_unstable();
    Ok(entries)
}

fn numbers(stat: &Stat) -> [i128; 11] {
    [
        i128::from(stat.st_dev),
        i128::from(stat.st_ino),
        i128::from(stat.st_mode),
        i128::from(stat.st_nlink),
        i128::from(stat.st_uid),
        i128::from(stat.st_gid),
        i128::from(stat.st_size),
        i128::from(stat.st_mtime),
        i128::from(stat.st_mtime_nsec),
        i128::from(stat.st_ctime),
        i128::from(stat.st_ctime_nsec),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is done to a canary, by its name.
    type Harm = fn(&Path) -> io::Result<()>;

    #[test]
    fn any_change_is_noticed() {
        let harms: &[(&str, Harm)] = &[
            ("appended", |dir| {
                let file = OpenOptions::new()
                    .append(true)
                    .open(dir.join("folder/file"));
                file.and_then(|mut file| file.write_all(b"x"))
            }),
            ("replaced by the same", |dir| {
                let bytes = fs::read(dir.join("folder/file"))?;
                fs::write(dir.join("new"), bytes)?;
                fs::rename(dir.join("new"), dir.join("folder/file"))
            }),
            ("removed", |dir| fs::remove_file(dir.join("folder/file"))),
            ("linked", |dir| {
                fs::hard_link(dir.join("folder/file"), dir.join("twin"))
            }),
            ("added to", |dir| fs::write(dir.join("folder/more"), "x")),
            ("renamed", |dir| {
                fs::rename(dir.join("folder"), dir.join("other"))
            }),
        ];
        for (what, harm) in harms {
            let dir = tempfile::tempdir().unwrap();
            let mut canaries = Canaries::default();
            canaries.add_folder(&dir.path().join("folder")).unwrap();
            canaries.add_file(&dir.path().join("folder/file")).unwrap();
            canaries.settle().unwrap();
            assert!(canaries.changed().is_empty(), "{what}");
            std::thread::sleep(std::time::Duration::from_millis(10));
            harm(dir.path()).unwrap();
            assert!(!canaries.changed().is_empty(), "{what}");
            canaries.accept();
            assert!(canaries.changed().is_empty(), "{what} is told once");
        }
    }
}
