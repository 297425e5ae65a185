//! The one seam through which the KB is changed: every system call that writes, renames, links,
//! unlinks or syncs beneath the KB's root is made here, at a named fault point.
//!
//! Paths are resolved beneath the root handle without following links.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the seam the other rooms are kept from"
)]

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
#[cfg(target_os = "linux")]
use std::os::fd::BorrowedFd;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::fault::{self, Kind};
use super::journal::{Declared, random_hex};
use crate::kb::{ContentHash, KbPath, KbRoot, PathError, beneath};

/// Of more files and directories than this, one `syncfs` replaces their single syncs: each of those
/// forces a journal commit of its own on ext4 and XFS, so a handful costs more than one for all.
const SYNC_EACH_MAX: usize = 3;

/// Where bytes come from that are compared or copied: read in steps of this size.
const COPY_BUFFER_BYTES: usize = 256 << 10;

/// So many names of a directory that is being removed are held at a time, of 255 bytes at most; a
/// journal of ours rarely has more.
const NAMES_AT_ONCE_MAX: usize = 1_024;

type Result<T> = std::result::Result<T, PathError>;

/// What identifies a version of a file without reading it. The change time is left out: a hard link
/// for a pre-image moves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) inode: u64,
    pub(super) size: u64,
    modified: (i64, i64),
    pub(super) mode: u32,
}

/// The seam.
#[derive(Debug)]
pub(super) struct Storage {
    root: Arc<KbRoot>,
    umask: u32,
}

impl Storage {
    pub(super) fn new(root: Arc<KbRoot>) -> Self {
        Self {
            root,
            umask: umask(),
        }
    }

    pub(super) fn root(&self) -> &Arc<KbRoot> {
        &self.root
    }

    /// The mode a new official file gets.
    pub(super) fn new_file_mode(&self) -> u32 {
        0o666 & !self.umask
    }

    /// The version of a regular file; `None` if nothing is there.
    ///
    /// # Errors
    /// If something else than a regular file is there, or a link is on the way.
    pub(super) fn version(&self, path: &KbPath) -> Result<Option<Version>> {
        let Some(stat) = self.stat(path)? else {
            return Ok(None);
        };
        let in_the_way = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => None,
            FileType::Symlink => Some(Errno::LOOP.into()),
            FileType::Directory => Some(Errno::ISDIR.into()),
            _ => Some(io::Error::other("it is no regular file")),
        };
        if let Some(error) = in_the_way {
            return Err(self.error("replace", path, error));
        }
        Ok(Some(Version {
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec.try_into().unwrap_or(0)),
            mode: stat.st_mode & 0o7777,
        }))
    }

    /// Whether anything is at `path`, a link included.
    ///
    /// # Errors
    /// If that cannot be told.
    pub(super) fn exists(&self, path: &KbPath) -> Result<bool> {
        self.stat(path).map(|stat| stat.is_some())
    }

    /// Whether a directory is at `path`; a link to one is none.
    ///
    /// # Errors
    /// If that cannot be told.
    pub(super) fn is_dir(&self, path: &KbPath) -> Result<bool> {
        let stat = self.stat(path)?;
        Ok(stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory))
    }

    /// Whether a regular file is at `path`; a directory or a link there is none.
    ///
    /// # Errors
    /// If that cannot be told.
    pub(super) fn is_file(&self, path: &KbPath) -> Result<bool> {
        let stat = self.stat(path)?;
        Ok(stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile))
    }

    /// Size and SHA-256 of a regular file; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn digest(&self, path: &KbPath) -> Result<Option<(u64, ContentHash)>> {
        if self.version(path)?.is_none() {
            return Ok(None);
        }
        let mut file = self.open_read(path)?;
        let (mut hasher, mut size) = (Sha256::new(), 0);
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            let read = file
                .read(&mut buffer)
                .map_err(|e| self.error("read", path, e))?;
            if read == 0 {
                return Ok(Some((
                    size,
                    ContentHash::from_bytes(hasher.finalize().into()),
                )));
            }
            hasher.update(&buffer[..read]);
            size += read as u64;
        }
    }

    /// Makes a directory with the mode of a new one; true if it was not there.
    ///
    /// # Errors
    /// If it cannot be made, or something else is there.
    pub(super) fn make_dir(&self, point: &str, path: &KbPath) -> Result<bool> {
        let parent = self.parent("create", path)?;
        let made = self.at(Kind::Mkdir, point, || {
            match rustix::fs::mkdirat(&parent, path.file_name(), Mode::from_raw_mode(0o777)) {
                Ok(()) => Ok(true),
                Err(Errno::EXIST) => Ok(false),
                Err(errno) => Err(errno.into()),
            }
        });
        let made = made.map_err(|e| self.error("create", path, e))?;
        if !made {
            beneath::open(
                &self.root,
                path,
                OFlags::RDONLY | OFlags::DIRECTORY,
                Mode::empty(),
            )
            .map_err(|e| self.error("open", path, e))?;
        }
        Ok(made)
    }

    /// Writes a new file; it must not exist. Not synced.
    ///
    /// # Errors
    /// If it exists or cannot be written.
    pub(super) fn write_new(
        &self,
        point: &str,
        path: &KbPath,
        bytes: &[u8],
        mode: u32,
    ) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        self.at(Kind::Write, point, || {
            let fd = beneath::open(&self.root, path, flags, Mode::from_raw_mode(mode))?;
            let mut file = File::from(fd);
            fault::write_all(&mut file, bytes)?;
            // The umask was applied to the mode of the call: a mode taken over is set as it was.
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
            Ok(())
        })
        .map_err(|e| self.error("write", path, e))
    }

    /// Copies one file of the KB to a new name. Not synced.
    ///
    /// # Errors
    /// If one cannot be read or the other exists or cannot be written.
    pub(super) fn copy_new(
        &self,
        point: &str,
        from: &KbPath,
        to: &KbPath,
        mode: u32,
    ) -> Result<()> {
        let mut source = self.open_read(from)?;
        self.write_new(point, to, &[], mode)?;
        let flags = OFlags::WRONLY | OFlags::APPEND;
        self.at(Kind::Copy, "copy.data", || {
            let mut target = File::from(beneath::open(&self.root, to, flags, Mode::empty())?);
            fault::copy(&mut source, &mut target)
        })
        .map_err(|e| self.error("write", to, e))
    }

    /// Appends to a file, made if missing. Not synced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn append(&self, point: &str, path: &KbPath, bytes: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NONBLOCK;
        self.at(Kind::Append, point, || {
            let fd = beneath::open(
                &self.root,
                path,
                flags,
                Mode::from_raw_mode(self.new_file_mode()),
            )?;
            fault::write_all(&mut File::from(fd), bytes)
        })
        .map_err(|e| self.error("write", path, e))
    }

    /// Hard-links `from` to the new name `to`.
    ///
    /// # Errors
    /// If it cannot: the caller copies on EXDEV, EPERM, EACCES and EMLINK.
    pub(super) fn link(&self, point: &str, from: &KbPath, to: &KbPath) -> Result<()> {
        let (source, target) = (self.parent("link", from)?, self.parent("link", to)?);
        self.at(Kind::Link, point, || {
            Ok(rustix::fs::linkat(
                &source,
                from.file_name(),
                &target,
                to.file_name(),
                AtFlags::empty(),
            )?)
        })
        .map_err(|e| self.error("link", to, e))
    }

    /// Renames within the KB, replacing what is at `to`.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn rename(&self, point: &str, from: &KbPath, to: &KbPath) -> Result<()> {
        #[cfg(feature = "fault-points")]
        if point == "write.rename"
            && *to == crate::kb::layout::index_page()
            && fault::writes_in_place()
        {
            return self.write_in_place(from, to);
        }
        let (source, target) = (self.parent("rename", from)?, self.parent("rename", to)?);
        self.at(Kind::Rename, point, || {
            Ok(rustix::fs::renameat(
                &source,
                from.file_name(),
                &target,
                to.file_name(),
            )?)
        })
        .map_err(|e| self.error("rename", to, e))
    }

    /// What no writer may do, for the rigs: writes over the file at `to`, in two halves.
    #[cfg(feature = "fault-points")]
    fn write_in_place(&self, from: &KbPath, to: &KbPath) -> Result<()> {
        let failed = |error: io::Error| self.error("write", to, error);
        let mut bytes = Vec::new();
        self.open_read(from)?
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        let (first, second) = bytes.split_at(bytes.len() / 2);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
        let mode = Mode::from_raw_mode(self.new_file_mode());
        let file = self.at(Kind::Write, "write.in-place", || {
            let mut file = File::from(beneath::open(&self.root, to, flags, mode)?);
            fault::write_all(&mut file, first)?;
            Ok(file)
        });
        let mut file = file.map_err(failed)?;
        self.at(Kind::Write, "write.in-place-rest", || {
            fault::write_all(&mut file, second)
        })
        .map_err(failed)?;
        self.unlink("write.in-place-unlink", from).map(drop)
    }

    /// Renames a file of the mutation's own to an official path, replacing what is there.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn replace(&self, point: &str, from: &KbPath, to: Declared<'_>) -> Result<()> {
        self.rename(point, from, to.as_kb_path())
    }

    /// Removes an official file, if there is one: moves it to `removed`, in the journal's directory,
    /// so that undoing can tell a file that somebody puts there later from this one. Where that is
    /// another file system, a mark goes there and the file is unlinked.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn delete(&self, point: &str, path: Declared<'_>, removed: &KbPath) -> Result<()> {
        let path = path.as_kb_path();
        match self.rename(point, path, removed) {
            Err(error) => match error.source.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOENT) => Ok(()),
                Some(Errno::XDEV) => {
                    self.write_new("write.mark", removed, b"", 0o600)?;
                    self.unlink(point, path).map(drop)
                }
                _ => Err(error),
            },
            moved => moved,
        }
    }

    /// Moves a staged file, given by its host path, to `to`, replacing what is there. Where staging
    /// lies on another file system the bytes are copied to `temporary`, synced and renamed.
    ///
    /// # Errors
    /// If it cannot; the staged file is still there.
    pub(super) fn rename_in(
        &self,
        point: &str,
        staged: &Path,
        to: Declared<'_>,
        temporary: &KbPath,
    ) -> Result<()> {
        let to = to.as_kb_path();
        let target = self.parent("rename", to)?;
        let renamed = self.at(Kind::Rename, point, || {
            Ok(rustix::fs::renameat(
                rustix::fs::CWD,
                staged,
                &target,
                to.file_name(),
            )?)
        });
        match renamed {
            Err(error) if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) => {}
            other => return other.map_err(|e| self.error("rename", to, e)),
        }
        let mut source = File::open(staged).map_err(|e| PathError::new("read", staged, e))?;
        let mode = source
            .metadata()
            .map_err(|e| PathError::new("read", staged, e))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o7777;
        self.write_new("publish.copy", temporary, &[], mode)?;
        self.at(Kind::Copy, "publish.copy-data", || {
            let flags = OFlags::WRONLY | OFlags::APPEND;
            let mut file = File::from(beneath::open(&self.root, temporary, flags, Mode::empty())?);
            fault::copy(&mut source, &mut file)?;
            match fault::is_left_out("FILE_SYNC") {
                true => Ok(()),
                false => file.sync_all(),
            }
        })
        .map_err(|e| self.error("write", temporary, e))?;
        self.rename(point, temporary, to)
    }

    /// Moves a published file back to where it was staged. Across file systems the staged file was
    /// never moved away: then the published copy is removed.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn rename_back(&self, point: &str, from: &KbPath, staged: &Path) -> Result<()> {
        if staged.symlink_metadata().is_ok() {
            return self.unlink(point, from).map(drop);
        }
        let source = self.parent("rename", from)?;
        self.at(Kind::Rename, point, || {
            Ok(rustix::fs::renameat(
                &source,
                from.file_name(),
                rustix::fs::CWD,
                staged,
            )?)
        })
        .map_err(|e| self.error("rename", from, e))
    }

    /// Gives a staged file the mode it will have when published.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn set_staged_mode(&self, staged: &Path, mode: u32) -> Result<()> {
        self.at(Kind::Chmod, "publish.mode", || {
            Ok(rustix::fs::chmod(staged, Mode::from_raw_mode(mode))?)
        })
        .map_err(|e| PathError::new("set the mode of", staged, e))
    }

    /// Removes a file; false if there was none.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn unlink(&self, point: &str, path: &KbPath) -> Result<bool> {
        self.remove(point, path, AtFlags::empty())
    }

    /// Removes an empty directory; false if there was none. One that is not empty stays, and that is
    /// no error: somebody put something into it.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn remove_dir(&self, point: &str, path: &KbPath) -> Result<bool> {
        match self.remove(point, path, AtFlags::REMOVEDIR) {
            Err(error) if error.source.raw_os_error() == Some(Errno::NOTEMPTY.raw_os_error()) => {
                Ok(false)
            }
            other => other,
        }
    }

    /// Removes a directory of our own state with everything in it, links not followed.
    ///
    /// It works on handles and on names as the system gives them: what a stranger put there may have
    /// names that are no [`KbPath`], and more levels than a path or a stack can hold. A directory
    /// further down is therefore moved up to the top before its turn comes.
    ///
    /// # Errors
    /// If something could not be removed; what was, stays removed.
    pub(super) fn remove_tree(&self, point: &str, path: &KbPath) -> Result<()> {
        let Some(stat) = self.stat(path)? else {
            return Ok(());
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return self.unlink(point, path).map(drop);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let top = beneath::open(&self.root, path, flags, Mode::empty())
            .map_err(|e| self.error("remove", path, e))?;
        let shown = self.root.join(path);
        let top = Dir::new(top, &shown);
        loop {
            let names = top.names()?;
            if names.is_empty() {
                break;
            }
            for (name, is_dir) in &names {
                if *is_dir {
                    self.empty_into(point, &top, name)?;
                }
                self.remove_name(point, &top, name, *is_dir)?;
            }
        }
        self.remove(point, path, AtFlags::REMOVEDIR).map(drop)
    }

    /// Empties the directory `name` in `top`: directories in it are moved into `top`.
    fn empty_into(&self, point: &str, top: &Dir<'_>, name: &CStr) -> Result<()> {
        let dir = match top.open(name) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let dir = Dir::new(dir, top.shown);
        loop {
            let names = dir.names()?;
            if names.is_empty() {
                return Ok(());
            }
            for (name, is_dir) in &names {
                if !is_dir {
                    self.remove_name(point, &dir, name, false)?;
                    continue;
                }
                // Random: whatever else lies there, no name is taken.
                let fresh = random_hex(16)?;
                self.at(Kind::Rename, point, || {
                    Ok(rustix::fs::renameat(
                        &dir.fd,
                        name.as_c_str(),
                        &top.fd,
                        &fresh,
                    )?)
                })
                .map_err(|e| dir.error("remove", name, e))?;
            }
        }
    }

    fn remove_name(&self, point: &str, dir: &Dir<'_>, name: &CStr, is_dir: bool) -> Result<()> {
        let (kind, flags) = match is_dir {
            true => (Kind::Rmdir, AtFlags::REMOVEDIR),
            false => (Kind::Unlink, AtFlags::empty()),
        };
        self.at(kind, point, || {
            match rustix::fs::unlinkat(&dir.fd, name, flags) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(errno.into()),
            }
        })
        .map_err(|e| dir.error("remove", name, e))
    }

    /// Makes files and directories durable: each by itself, or all with one `syncfs` for each file
    /// system that they lie on.
    ///
    /// # Errors
    /// If a sync fails. That is fatal to the mutation and never retried: the kernel may have dropped
    /// the dirty pages and would report success the second time.
    pub(super) fn sync(&self, point: &str, files: &[KbPath], dirs: &[KbPath]) -> Result<()> {
        let at_once = files.len() + dirs.len() > SYNC_EACH_MAX && !fault::is_left_out("DIR_SYNC");
        if at_once {
            // A file is where its directory is; the device that a file itself tells is not its
            // directory's on some file systems, which would be taken for another one.
            let mut places: Vec<KbPath> = files.iter().filter_map(KbPath::parent).collect();
            places.extend_from_slice(dirs);
            if self.sync_file_systems(point, places)? {
                return Ok(());
            }
        }
        let with = |path: &KbPath, flags: OFlags| {
            self.at(Kind::Sync, point, || {
                let fd = beneath::open(&self.root, path, flags, Mode::empty())?;
                Ok(rustix::fs::fsync(fd)?)
            })
            .map_err(|e| self.error("sync", path, e))
        };
        if !fault::is_left_out("FILE_SYNC") {
            files
                .iter()
                .try_for_each(|path| with(path, OFlags::RDONLY))?;
        }
        if fault::is_left_out("DIR_SYNC") {
            return Ok(());
        }
        dirs.iter()
            .try_for_each(|path| with(path, OFlags::RDONLY | OFlags::DIRECTORY))
    }

    /// Makes everything that was written so far durable.
    ///
    /// # Errors
    /// If the sync fails.
    pub(super) fn sync_everything(&self, point: &str) -> Result<()> {
        let mut places = crate::kb::layout::skeleton();
        let members = crate::kb::layout::members_root();
        if self.exists(&members)? {
            places.push(members);
        }
        if fault::is_left_out("DIR_SYNC") || !self.sync_file_systems(point, places.clone())? {
            self.sync(point, &[], &places)?;
        }
        Ok(())
    }

    /// One `syncfs` of the KB's file system and one of each other that a directory of `places` lies
    /// on: a part of a KB may be a mount of its own. False where there is no such call.
    #[cfg(target_os = "linux")]
    fn sync_file_systems(&self, point: &str, mut places: Vec<KbPath>) -> Result<bool> {
        let sync = |path: &Path, fd: BorrowedFd<'_>| {
            self.at(Kind::Sync, point, || {
                match fault::is_left_out("FILE_SYNC") {
                    true => Ok(()),
                    false => Ok(rustix::fs::syncfs(fd)?),
                }
            })
            .map_err(|e| PathError::new("sync", path, e))
        };
        sync(self.root.path(), self.root.as_fd())?;
        places.sort_unstable();
        places.dedup();
        let own = rustix::fs::fstat(self.root.as_fd())
            .map_err(|e| PathError::new("look at", self.root.path(), e))?;
        let mut synced = vec![own.st_dev];
        for place in &places {
            // Only the device matters: a link on the way is refused by whoever opens the place.
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            let device = match rustix::fs::statat(self.root.as_fd(), place.as_str(), flags) {
                Ok(stat) => stat.st_dev,
                // Gone: that is written in the directory above it.
                Err(Errno::NOENT) => continue,
                Err(errno) => return Err(self.error("look at", place, errno.into())),
            };
            if synced.contains(&device) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let fd = beneath::open(&self.root, place, flags, Mode::empty())
                .map_err(|e| self.error("sync", place, e))?;
            sync(&self.root.join(place), fd.as_fd())?;
            synced.push(device);
        }
        Ok(true)
    }

    /// Elsewhere there is no `syncfs`.
    #[cfg(not(target_os = "linux"))]
    fn sync_file_systems(&self, _point: &str, _places: Vec<KbPath>) -> Result<bool> {
        Ok(false)
    }

    /// Opens a lock file, made if missing, never unlinked.
    ///
    /// # Errors
    /// If it cannot be opened, or a link is in the way.
    pub(super) fn open_lock(&self, path: &KbPath) -> Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NONBLOCK;
        beneath::open(&self.root, path, flags, Mode::from_raw_mode(0o666))
            .map(File::from)
            .map_err(|e| self.error("open", path, e))
    }

    /// Writes a small advisory file over, through the handle in `kept` if there is one, else through
    /// a new one that is kept there. Only opening cuts off what was there: later `bytes` must not be
    /// shorter. Not synced, not journaled.
    ///
    /// # Errors
    /// If it cannot.
    pub(super) fn write_advisory(
        &self,
        path: &KbPath,
        kept: &mut Option<File>,
        bytes: &[u8],
    ) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK;
        self.at(Kind::Advisory, "holder.write", || {
            let file = match kept {
                Some(file) => {
                    file.rewind()?;
                    file
                }
                None => {
                    let mode = Mode::from_raw_mode(0o644);
                    kept.insert(File::from(beneath::open(&self.root, path, flags, mode)?))
                }
            };
            fault::write_all(file, bytes)
        })
        .map_err(|e| self.error("write", path, e))
    }

    /// Passes a fault point that is no storage operation of its own.
    ///
    /// # Errors
    /// The injected one.
    pub(super) fn point(&self, name: &str) -> Result<()> {
        fault::point(name).map_err(|e| PathError::new("pass", name, e))
    }

    /// Carries out one storage operation at a fault point.
    fn at<T>(
        &self,
        kind: Kind,
        point: &str,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        fault::operation(kind, point)?;
        operation()
    }

    fn open_read(&self, path: &KbPath) -> Result<File> {
        beneath::open(
            &self.root,
            path,
            OFlags::RDONLY | OFlags::NONBLOCK,
            Mode::empty(),
        )
        .map(File::from)
        .map_err(|e| self.error("read", path, e))
    }

    fn stat(&self, path: &KbPath) -> Result<Option<Stat>> {
        let parent = match self.parent("look at", path) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        match rustix::fs::statat(&parent, path.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(self.error("look at", path, errno.into())),
        }
    }

    fn remove(&self, point: &str, path: &KbPath, flags: AtFlags) -> Result<bool> {
        let parent = match self.parent("remove", path) {
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        let kind = match flags.contains(AtFlags::REMOVEDIR) {
            true => Kind::Rmdir,
            false => Kind::Unlink,
        };
        self.at(kind, point, || {
            match rustix::fs::unlinkat(&parent, path.file_name(), flags) {
                Ok(()) => Ok(true),
                Err(Errno::NOENT) => Ok(false),
                Err(errno) => Err(errno.into()),
            }
        })
        .map_err(|e| self.error("remove", path, e))
    }

    /// The handle of the directory that holds `path`.
    fn parent(&self, action: &'static str, path: &KbPath) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = match path.parent() {
            Some(parent) => beneath::open(&self.root, &parent, flags, Mode::empty()),
            None => rustix::io::fcntl_dupfd_cloexec(self.root.as_fd(), 0).map_err(Into::into),
        };
        opened.map_err(|e| self.error(action, path, e))
    }

    fn error(&self, action: &'static str, path: &KbPath, error: io::Error) -> PathError {
        PathError::new(action, self.root.join(path), error)
    }
}

/// A directory that is being removed, by its handle.
struct Dir<'a> {
    fd: OwnedFd,
    /// The tree that it belongs to, for messages: its own place may be too long for one.
    shown: &'a Path,
}

impl<'a> Dir<'a> {
    fn new(fd: OwnedFd, shown: &'a Path) -> Self {
        Self { fd, shown }
    }

    /// The next names in it, in order, and whether each is a directory's; none if it is empty.
    fn names(&self) -> Result<Vec<(CString, bool)>> {
        let failed = |errno: Errno| PathError::new("list", self.shown, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if [c".", c".."].contains(&name) {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let stat = rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW);
                    FileType::from_raw_mode(stat.map_err(failed)?.st_mode)
                }
                kind => kind,
            };
            names.push((name.to_owned(), kind == FileType::Directory));
            if names.len() == NAMES_AT_ONCE_MAX {
                break;
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn open(&self, name: &CStr) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, name, flags, Mode::empty())
            .map_err(|e| self.error("remove", name, e.into()))
    }

    fn error(&self, action: &'static str, name: &CStr, error: io::Error) -> PathError {
        let name = std::ffi::OsStr::from_bytes(name.to_bytes());
        PathError::new(action, self.shown.join(name), error)
    }
}

/// Makes a directory that is to become a KB, or its state directory, with all parents.
///
/// # Errors
/// If it cannot be made.
pub(super) fn make_root(dir: &Path) -> Result<()> {
    fault::point("init.root")
        .and_then(|()| std::fs::create_dir_all(dir))
        .map_err(|e| PathError::new("create", dir, e))
}

/// The process's umask, without setting it: setting it, even for a moment, changes what other
/// threads create.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok())
        .unwrap_or(0o022)
}
