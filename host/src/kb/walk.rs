//! Everything that lies beneath a directory of the KB, as it is: links are told, not followed.

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{KbError, KbPath, KbRoot, PathError, SafeLine, beneath};

/// Deeper than any folder of a wiki; a path has at most 2,048 components.
const DEPTH_MAX: usize = 64;

/// What kind of thing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    File {
        /// It has further names: hard links.
        linked: bool,
    },
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, a FIFO, a socket.
    Special,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A thing with a path of the KB.
    At(KbPath, Kind),
    /// A name that no path of the KB can have, in this directory; a directory of that name is not
    /// entered.
    BadName(KbPath, SafeLine),
    /// A directory too deep to be entered.
    TooDeep(KbPath),
}

/// Visits everything beneath `top`, each directory before what is in it. Nothing is visited if
/// there is no such directory; a symbolic link in its place is visited itself.
///
/// # Errors
/// If a directory cannot be read.
pub(crate) fn walk(
    root: &KbRoot,
    top: &KbPath,
    visit: &mut dyn FnMut(Found),
) -> Result<(), KbError> {
    let mut waiting = vec![(top.clone(), 0)];
    while let Some((dir, depth)) = waiting.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let fd = match beneath::open(root, &dir, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                visit(Found::At(dir, Kind::Symlink));
                continue;
            }
            Err(error) => return Err(PathError::new("list", root.join(&dir), error).into()),
        };
        let failed = |errno: Errno| KbError::from(PathError::new("list", root.join(&dir), errno));
        let entries = rustix::fs::Dir::read_from(&fd).map_err(failed)?;
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let path = name.to_str().ok().and_then(|name| dir.join(name).ok());
            let Some(path) = path else {
                let shown = SafeLine::with_max(&name.to_string_lossy(), 200);
                visit(Found::BadName(dir.clone(), shown));
                continue;
            };
            let stat = match rustix::fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // It went since the directory was read.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(PathError::new("look at", root.join(&path), errno).into()),
            };
            let kind = match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Kind::File {
                    linked: stat.st_nlink > 1,
                },
                FileType::Directory => Kind::Dir,
                FileType::Symlink => Kind::Symlink,
                _ => Kind::Special,
            };
            if kind == Kind::Dir && depth == DEPTH_MAX {
                visit(Found::TooDeep(path));
                continue;
            }
            visit(Found::At(path.clone(), kind));
            if kind == Kind::Dir {
                waiting.push((path, depth + 1));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests build the trees they walk"
)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_told_and_no_link_is_followed() {
        let dir = tempfile::tempdir().unwrap();
        let kb = dir.path();
        std::fs::create_dir_all(kb.join(".openkb")).unwrap();
        std::fs::create_dir_all(kb.join("raw/sub")).unwrap();
        std::fs::write(kb.join("raw/sub/a"), "").unwrap();
        std::fs::hard_link(kb.join("raw/sub/a"), kb.join("raw/b")).unwrap();
        std::fs::write(kb.join("raw/bad\nname"), "").unwrap();
        std::os::unix::fs::symlink("..", kb.join("raw/up")).unwrap();
        std::os::unix::fs::symlink("raw", kb.join("wiki")).unwrap();
        let root = KbRoot::open(kb).unwrap();
        let walked = |top: &'static str| {
            let mut found = Vec::new();
            walk(&root, &KbPath::fixed(top), &mut |one| {
                found.push(format!("{one:?}"));
            })
            .unwrap();
            found.sort();
            found
        };
        let raw = KbPath::fixed("raw");
        let at = |path: &'static str, kind| format!("{:?}", Found::At(KbPath::fixed(path), kind));
        let mut expected = vec![
            at("raw/sub", Kind::Dir),
            at("raw/sub/a", Kind::File { linked: true }),
            at("raw/b", Kind::File { linked: true }),
            at("raw/up", Kind::Symlink),
            format!("{:?}", Found::BadName(raw, SafeLine::new("bad name"))),
        ];
        expected.sort();
        assert_eq!(walked("raw"), expected);
        assert_eq!(walked("wiki"), [at("wiki", Kind::Symlink)]);
        assert_eq!(walked("none"), [""; 0]);
    }
}
