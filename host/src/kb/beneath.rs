//! Opening beneath a directory handle without following symbolic links.
//!
//! A stranger's KB may hold `wiki/log.md -> ~/.bashrc`; nothing that is opened here can leave the
//! directory it starts from.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::KbPath;

/// `openat2` answers EAGAIN while a rename elsewhere makes its walk uncertain; it is asked this often.
const OPENAT2_TRIES_MAX: u32 = 64;

/// Opens `path` beneath `root`. A symbolic link anywhere on the way is `ELOOP`.
pub(crate) fn open(
    root: impl AsFd,
    path: &KbPath,
    flags: OFlags,
    mode: Mode,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    #[cfg(target_os = "linux")]
    if let Some(opened) = open_resolved(root.as_fd(), path, flags, mode) {
        return opened;
    }
    open_stepwise(root, path, flags, mode)
}

/// Asks the kernel to resolve; `None` where it cannot (old kernel, seccomp) or its answer is not
/// exact enough.
#[cfg(target_os = "linux")]
fn open_resolved(
    root: std::os::fd::BorrowedFd<'_>,
    path: &KbPath,
    flags: OFlags,
    mode: Mode,
) -> Option<io::Result<OwnedFd>> {
    use rustix::fs::ResolveFlags;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..OPENAT2_TRIES_MAX {
        match rustix::fs::openat2(root, path.as_str(), flags, mode, resolve) {
            // With O_DIRECTORY a link is ENOTDIR, like a file: step by step the two are told apart.
            Err(Errno::NOSYS | Errno::PERM | Errno::NOTDIR) => return None,
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(errno) => return Some(Err(errno.into())),
            Ok(fd) => return Some(Ok(fd)),
        }
    }
    Some(Err(Errno::AGAIN.into()))
}

/// Opens each directory of the way in turn, none of them a link.
fn open_stepwise(root: impl AsFd, path: &KbPath, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let step = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut components = path.components().peekable();
    let mut here: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        let dir = here.as_ref().map_or(root.as_fd(), AsFd::as_fd);
        let next = if components.peek().is_some() {
            rustix::fs::openat(dir, component, step, Mode::empty())
        } else {
            rustix::fs::openat(dir, component, flags, mode)
        };
        // With O_NOFOLLOW and O_DIRECTORY some kernels say ENOTDIR for a link: tell them apart.
        let next = next.map_err(|errno| match errno {
            Errno::NOTDIR if is_link(dir, component) => Errno::LOOP,
            other => other,
        })?;
        here = Some(next);
    }
    Ok(here.expect("a KbPath has at least one component"))
}

fn is_link(dir: impl AsFd, name: &str) -> bool {
    rustix::fs::statat(dir, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Symlink
    })
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests build the trees they open"
)]
mod tests {
    use super::*;

    #[test]
    fn neither_way_follows_a_link() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("kb/real")).unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::fs::write(dir.path().join("kb/real/file"), "f").unwrap();
        std::os::unix::fs::symlink("../secret", dir.path().join("kb/link")).unwrap();
        std::os::unix::fs::symlink("..", dir.path().join("kb/up")).unwrap();
        let root = std::fs::File::open(dir.path().join("kb")).unwrap();
        let check = |path: &str, expected: Result<(), i32>| {
            let path = KbPath::new(path).unwrap();
            for stepwise in [false, true] {
                let opened = if stepwise {
                    open_stepwise(
                        &root,
                        &path,
                        OFlags::RDONLY | OFlags::NOFOLLOW,
                        Mode::empty(),
                    )
                } else {
                    open(&root, &path, OFlags::RDONLY, Mode::empty())
                };
                let found = opened
                    .map(|_| ())
                    .map_err(|error| error.raw_os_error().unwrap());
                assert_eq!(found, expected, "{path} stepwise {stepwise}");
            }
        };
        check("real/file", Ok(()));
        let as_dir = |path: &str| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let opened = open(&root, &KbPath::new(path).unwrap(), flags, Mode::empty());
            opened.map(drop).map_err(|error| error.raw_os_error())
        };
        assert_eq!(as_dir("up"), Err(Some(Errno::LOOP.raw_os_error())));
        assert_eq!(as_dir("real/file"), Err(Some(Errno::NOTDIR.raw_os_error())));
        assert_eq!(as_dir("real"), Ok(()));
        check("link", Err(Errno::LOOP.raw_os_error()));
        check("up/secret", Err(Errno::LOOP.raw_os_error()));
        check("real/none", Err(Errno::NOENT.raw_os_error()));
    }
}
