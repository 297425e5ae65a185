//! Opening files that untrusted text names, beneath a directory handle: component by component,
//! without following symbolic links, regular files only.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A regular file that was opened.
#[derive(Debug)]
pub(super) struct Found {
    /// The file, for reading.
    pub(super) file: File,
    /// What the file was when it was opened.
    pub(super) metadata: fs::Metadata,
}

/// Why a path leads to no regular file.
#[derive(Debug)]
pub(super) enum NotFound {
    /// Nothing there.
    Missing,
    /// A symbolic link, a directory, a FIFO or the like.
    NotRegular,
    /// It could not be opened.
    Io(io::Error),
}

/// Opens a directory that the caller trusts.
pub(super) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// What kind of file this is, for messages; `None` for a regular file.
pub(crate) fn irregular(file_type: fs::FileType) -> Option<&'static str> {
    if file_type.is_file() {
        None
    } else if file_type.is_dir() {
        Some("directory")
    } else if file_type.is_symlink() {
        Some("symbolic link")
    } else if file_type.is_fifo() {
        Some("FIFO")
    } else if file_type.is_socket() {
        Some("socket")
    } else {
        Some("device")
    }
}

/// Opens the regular file at `components` beneath `dir`. Every component is a plain name: neither
/// empty nor `.` nor `..` nor holding `/`.
pub(super) fn open_file(dir: impl AsFd, components: &[&str]) -> Result<Found, NotFound> {
    let (name, parents) = components.split_last().ok_or(NotFound::Missing)?;
    let step = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut parent = rustix::fs::openat(&dir, ".", step, Mode::empty()).map_err(refused)?;
    for component in parents {
        parent = rustix::fs::openat(&parent, *component, step, Mode::empty()).map_err(refused)?;
    }
    // NONBLOCK: a FIFO must not wait for its writer; it is refused below.
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&parent, *name, flags, Mode::empty()).map_err(refused)?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(NotFound::Io)?;
    if irregular(metadata.file_type()).is_some() {
        return Err(NotFound::NotRegular);
    }
    Ok(Found { file, metadata })
}

/// What an error of opening means: `ELOOP` and, with `O_DIRECTORY`, `ENOTDIR` stand for a symbolic
/// link; `ENXIO` for a socket.
fn refused(errno: Errno) -> NotFound {
    match errno {
        Errno::NOENT | Errno::NAMETOOLONG => NotFound::Missing,
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO | Errno::MLINK => NotFound::NotRegular,
        other => NotFound::Io(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test makes its own files")]
    fn only_regular_files_beneath_without_links() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("root/sub")).unwrap();
        std::fs::write(path("secret"), "s").unwrap();
        std::fs::write(path("root/sub/file"), "f").unwrap();
        symlink(path("secret"), path("root/link")).unwrap();
        symlink(path("root/sub"), path("root/dirlink")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            path("root/fifo"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let root = open_dir(&path("root")).unwrap();
        let check = |components: &[&str], expected: &str| {
            let outcome = match open_file(&root, components) {
                Ok(_) => "open",
                Err(NotFound::Missing) => "missing",
                Err(NotFound::NotRegular) => "not regular",
                Err(NotFound::Io(error)) => panic!("{components:?}: {error}"),
            };
            assert_eq!(outcome, expected, "{components:?}");
        };
        check(&["sub", "file"], "open");
        check(&["sub", "other"], "missing");
        check(&["sub"], "not regular");
        check(&["link"], "not regular");
        check(&["dirlink", "file"], "not regular");
        check(&["fifo"], "not regular");
        check(&["sub", "file", "below"], "not regular");
        check(&[], "missing");
    }
}
