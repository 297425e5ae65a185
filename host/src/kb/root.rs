//! The root of a KB as a directory handle. Every official path is opened beneath it without
//! following symbolic links.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::{KbError, KbPath, PathError, beneath, layout};

/// An open KB.
#[derive(Debug)]
pub struct KbRoot {
    dir: OwnedFd,
    path: PathBuf,
}

/// Tells the user's default KB, if there is one.
pub type Fallback = fn() -> Result<Option<PathBuf>, KbError>;

/// Where the name of a KB can come from, strongest first.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    /// `--kb-dir`.
    pub flag: Option<PathBuf>,
    /// `KBHOST_KB`, else `OPENKB_DIR`.
    pub environment: Option<PathBuf>,
    /// Where walking up starts.
    pub current_dir: Option<PathBuf>,
    /// Asked for the user's default when nothing else names one.
    pub fallback: Option<Fallback>,
}

impl Candidates {
    /// Whether a certain KB was asked for.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.flag.is_some() || self.environment.is_some()
    }
}

impl KbRoot {
    /// Finds and opens the KB that the candidates name: flag, environment, walking up, the user's
    /// default.
    ///
    /// # Errors
    /// If there is none, the default cannot be told, or one found by walking up belongs to another
    /// user: its settings would steer a run that its owner did not start.
    pub fn resolve(candidates: &Candidates) -> Result<Self, KbError> {
        if let Some(named) = candidates.flag.as_ref().or(candidates.environment.as_ref()) {
            return Self::open(named);
        }
        let start = candidates
            .current_dir
            .clone()
            .unwrap_or_else(|| PathBuf::from("."));
        let start =
            std::path::absolute(&start).map_err(|e| PathError::new("resolve", &start, e))?;
        let found = start
            .ancestors()
            .find(|dir| is_plain_dir(&dir.join(layout::state_dir().as_str())));
        let Some(found) = found else {
            let fallback = candidates.fallback.map_or(Ok(None), |default| default())?;
            return Self::open(&fallback.ok_or(KbError::NotAKb(start))?);
        };
        let root = Self::open(found)?;
        let owner = rustix::fs::fstat(&root.dir)
            .map_err(|e| PathError::new("look at", &root.path, e))?
            .st_uid;
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(KbError::ForeignOwner(root.path));
        }
        Ok(root)
    }

    /// Opens the KB at `path`.
    ///
    /// # Errors
    /// If there is no `.openkb` directory in it.
    pub fn open(path: &Path) -> Result<Self, KbError> {
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KbError::NotAKb(path.to_owned()));
            }
            Err(error) => return Err(PathError::new("open", path, error).into()),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = match rustix::fs::open(&canonical, flags, Mode::empty()) {
            Ok(dir) => dir,
            Err(Errno::NOTDIR) => return Err(KbError::NotAKb(canonical)),
            Err(errno) => return Err(PathError::new("open", &canonical, errno).into()),
        };
        let root = Self {
            dir,
            path: canonical,
        };
        match root.open_dir(&layout::state_dir())? {
            Some(_) => Ok(root),
            None => Err(KbError::NotAKb(root.path)),
        }
    }

    /// Its canonical path, for messages and for telling whether a file lies inside.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where `path` lies, for messages and for SQLite, which opens by name.
    #[must_use]
    pub fn join(&self, path: &KbPath) -> PathBuf {
        self.path.join(path.as_str())
    }

    /// Opens a directory; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is no directory, or a symbolic link is in the way.
    pub(crate) fn open_dir(&self, path: &KbPath) -> Result<Option<OwnedFd>, KbError> {
        self.open_with(path, OFlags::RDONLY | OFlags::DIRECTORY)
    }

    /// Opens a regular file for reading; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened, is no regular file, or a symbolic link is in the way.
    pub fn open_file(&self, path: &KbPath) -> Result<Option<File>, KbError> {
        // O_NONBLOCK: a FIFO planted in a KB must not hang the open.
        let Some(fd) = self.open_with(path, OFlags::RDONLY | OFlags::NONBLOCK)? else {
            return Ok(None);
        };
        let stat = rustix::fs::fstat(&fd).map_err(|e| self.error("look at", path, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
            return Err(PathError::new("open", self.join(path), error).into());
        }
        Ok(Some(File::from(fd)))
    }

    /// Where an SQLite database lies, once it is certain that neither it nor a file that SQLite keeps
    /// beside it is a link: SQLite opens those by name, and would write through a link that a
    /// stranger planted.
    ///
    /// # Errors
    /// If a link is in the way. What else may be wrong with a database SQLite says itself.
    pub(crate) fn database(&self, path: &KbPath) -> Result<PathBuf, KbError> {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let file = KbPath::new(&format!("{path}{suffix}"))?;
            if let Err(error @ KbError::Symlink(_)) = self.has_file(&file) {
                return Err(error);
            }
        }
        Ok(self.join(path))
    }

    /// Whether a regular file lies at `path`, told without opening it.
    ///
    /// A file of SQLite must not be opened beside SQLite: closing any handle to it drops every POSIX
    /// lock that this process has on it. Another process would then find nobody at the database, and
    /// cut the shared memory that a connection of this one has mapped: SIGBUS.
    ///
    /// # Errors
    /// If it cannot be looked at, is something else, or a symbolic link is in the way.
    pub(crate) fn has_file(&self, path: &KbPath) -> Result<bool, KbError> {
        let parent = path.parent();
        let dir = match &parent {
            Some(parent) => self.open_dir(parent)?,
            None => None,
        };
        let dir = match (&dir, &parent) {
            (Some(dir), _) => dir.as_fd(),
            (None, Some(_)) => return Ok(false),
            (None, None) => self.dir.as_fd(),
        };
        let name = path.components().last().unwrap_or_default();
        let stat = match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(false),
            Err(errno) => return Err(self.error("look at", path, errno)),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(true),
            FileType::Symlink => Err(KbError::Symlink(path.clone())),
            _ => {
                let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
                Err(PathError::new("open", self.join(path), error).into())
            }
        }
    }

    /// Reads a regular file of at most `bytes_max` bytes; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::open_file`], or if it is larger.
    pub fn read(&self, path: &KbPath, bytes_max: u64) -> Result<Option<Vec<u8>>, KbError> {
        let Some(file) = self.open_file(path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        file.take(bytes_max + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| PathError::new("read", self.join(path), e))?;
        if bytes.len() as u64 > bytes_max {
            let error = io::Error::other(format!("larger than {bytes_max} bytes"));
            return Err(PathError::new("read", self.join(path), error).into());
        }
        Ok(Some(bytes))
    }

    /// The names in a directory, sorted bytewise; empty if there is none. Names that are no UTF-8
    /// come lossily decoded.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn list_dir(&self, path: &KbPath) -> Result<Vec<String>, KbError> {
        let Some(fd) = self.open_dir(path)? else {
            return Ok(Vec::new());
        };
        let entries = rustix::fs::Dir::new(fd).map_err(|e| self.error("list", path, e))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| self.error("list", path, e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open_with(&self, path: &KbPath, flags: OFlags) -> Result<Option<OwnedFd>, KbError> {
        match beneath::open(&self.dir, path, flags, Mode::empty()) {
            Ok(fd) => Ok(Some(fd)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                Err(KbError::Symlink(path.clone()))
            }
            Err(error) => Err(PathError::new("open", self.join(path), error).into()),
        }
    }

    fn error(&self, action: &'static str, path: &KbPath, errno: Errno) -> KbError {
        PathError::new(action, self.join(path), errno).into()
    }
}

impl AsFd for KbRoot {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

fn is_plain_dir(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|metadata| metadata.is_dir())
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests build the trees they open"
)]
mod tests {
    use super::*;

    #[test]
    fn walking_up_finds_the_nearest_kb() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("kb/.openkb")).unwrap();
        std::fs::create_dir_all(dir.path().join("kb/notes/deep")).unwrap();
        let resolve = |start: &str| {
            KbRoot::resolve(&Candidates {
                current_dir: Some(dir.path().join(start)),
                ..Candidates::default()
            })
        };
        let kb = dir.path().join("kb").canonicalize().unwrap();
        assert_eq!(resolve("kb/notes/deep").unwrap().path(), kb);
        assert_eq!(resolve("kb").unwrap().path(), kb);
        assert!(matches!(resolve("."), Err(KbError::NotAKb(_))));
    }

    #[test]
    fn the_users_default_comes_last() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("kb/.openkb")).unwrap();
        let check = |start: &str, fallback: Fallback| {
            KbRoot::resolve(&Candidates {
                current_dir: Some(dir.path().join(start)),
                fallback: Some(fallback),
                ..Candidates::default()
            })
        };
        // A list that cannot be read is no trouble where nobody needs it.
        let damaged = || Err(KbError::NotAKb(PathBuf::from("damaged")));
        check("kb", damaged).unwrap();
        let is_not_at = |found: Result<KbRoot, KbError>, expected: &Path| match found {
            Err(KbError::NotAKb(path)) => assert_eq!(path, expected),
            other => panic!("{other:?}"),
        };
        is_not_at(check(".", damaged), Path::new("damaged"));
        is_not_at(check(".", || Ok(None)), &dir.path().join("."));
        let gone = || Ok(Some(PathBuf::from("/nowhere/at/all")));
        is_not_at(check(".", gone), Path::new("/nowhere/at/all"));
    }

    #[test]
    fn a_database_has_no_link_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".openkb/kbhost")).unwrap();
        std::fs::write(dir.path().join("victim"), "precious").unwrap();
        let root = KbRoot::open(dir.path()).unwrap();
        let database = layout::registry_db();
        assert_eq!(root.database(&database).unwrap(), root.join(&database));
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let link = root.path().join(format!("{database}{suffix}"));
            std::os::unix::fs::symlink(root.path().join("victim"), &link).unwrap();
            assert!(
                matches!(root.database(&database), Err(KbError::Symlink(_))),
                "{suffix}"
            );
            std::fs::remove_file(link).unwrap();
        }
    }

    #[test]
    fn a_database_is_looked_at_and_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".openkb/kbhost")).unwrap();
        let root = KbRoot::open(dir.path()).unwrap();
        let check = |path: &str, expected: Result<bool, ()>| {
            let path = KbPath::new(path).unwrap();
            assert_eq!(root.has_file(&path).map_err(drop), expected, "{path}");
        };
        check("none", Ok(false));
        check("none/either", Ok(false));
        check(".openkb", Err(()));
        check(".openkb/kbhost/registry.db", Ok(false));
        let database = root.join(&layout::registry_db());
        std::fs::write(&database, "").unwrap();
        check(".openkb/kbhost/registry.db", Ok(true));

        // Locks of this process on the database outlive the look: another process sees them.
        let writer = rusqlite::Connection::open(&database).unwrap();
        writer
            .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a); BEGIN IMMEDIATE")
            .unwrap();
        let inode = |suffix: &str| {
            let file = std::fs::metadata(format!("{}{suffix}", database.display())).unwrap();
            format!(":{} ", std::os::unix::fs::MetadataExt::ino(&file))
        };
        let inodes = ["", "-wal", "-shm"].map(inode);
        let locks = || std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let ours = || {
            let is_ours = |line: &&str| inodes.iter().any(|inode| line.contains(inode));
            locks().lines().filter(is_ours).count()
        };
        let before = ours();
        assert!(before > 0 || locks().is_empty());
        root.database(&layout::registry_db()).unwrap();
        root.has_file(&layout::registry_db()).unwrap();
        assert_eq!(ours(), before);
    }

    #[test]
    fn what_is_no_plain_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(".openkb")).unwrap();
        std::fs::create_dir_all(dir.path().join("wiki")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("wiki/log.md")).unwrap();
        std::fs::write(dir.path().join("wiki/big.md"), "12345").unwrap();
        let root = KbRoot::open(dir.path()).unwrap();
        assert!(matches!(
            root.read(&layout::log_page(), 10),
            Err(KbError::Symlink(_))
        ));
        assert!(root.read(&KbPath::fixed("wiki"), 10).is_err());
        assert!(root.read(&KbPath::fixed("wiki/big.md"), 4).is_err());
        assert_eq!(
            root.read(&KbPath::fixed("wiki/big.md"), 5)
                .unwrap()
                .unwrap(),
            b"12345"
        );
        assert!(
            root.read(&KbPath::fixed("wiki/none.md"), 5)
                .unwrap()
                .is_none()
        );
    }
}
