//! Files of the user, outside every KB: the cache directory, the configuration directory, and atomic
//! private files in them.
//!
//! Invariant: nothing is read from or written to a directory that another user could have
//! prepared. A directory is opened once, judged by its handle, and used through that handle;
//! files in it appear whole or not at all, readable by their owner alone.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use etcetera::BaseStrategy;
use rustix::fd::OwnedFd;
use rustix::fs::{self, AtFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::kb::PathError;

pub(crate) mod credentials;
pub(crate) mod known_kbs;
pub(crate) mod plugins;
pub(crate) mod policy;
pub(crate) mod sealed;
pub(crate) mod trust;

/// Overrides the cache directory.
const CACHE_VARIABLE: &str = "KBHOST_CACHE_DIR";

/// Overrides the configuration directory.
const CONFIG_VARIABLE: &str = "KBHOST_CONFIG_DIR";

/// Between two tries for a lock of the user's.
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// Temporary files start with this; a crash leaves one behind, which [`PrivateDir::prune`] removes.
const TEMPORARY_PREFIX: &str = ".tmp-";

/// A temporary file older than this belongs to no living process.
const TEMPORARY_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the user's cache lies: `$KBHOST_CACHE_DIR`, else `kbhost` in the user's cache directory;
/// `None` for a user without a home. Relative paths are no answer, since they would move with the
/// working directory.
#[must_use]
pub(crate) fn cache_dir() -> Option<PathBuf> {
    user_dir(CACHE_VARIABLE, etcetera::base_strategy::Xdg::cache_dir)
}

/// Where the user's settings lie: `$KBHOST_CONFIG_DIR`, else `kbhost` in the user's configuration
/// directory; `None` as for [`cache_dir`].
#[must_use]
pub(crate) fn config_dir() -> Option<PathBuf> {
    user_dir(CONFIG_VARIABLE, etcetera::base_strategy::Xdg::config_dir)
}

fn user_dir(
    variable: &str,
    of: impl Fn(&etcetera::base_strategy::Xdg) -> PathBuf,
) -> Option<PathBuf> {
    let named = std::env::var_os(variable).filter(|dir| !dir.is_empty());
    let dir = match named {
        Some(dir) => PathBuf::from(dir),
        None => of(&etcetera::base_strategy::Xdg::new().ok()?).join("kbhost"),
    };
    dir.is_absolute().then_some(dir)
}

/// A directory that belongs to this user and that nobody else can write to.
#[derive(Debug)]
pub(crate) struct PrivateDir {
    fd: OwnedFd,
    path: PathBuf,
}

impl PrivateDir {
    /// Opens `path`, making it and missing parents with mode 0700.
    ///
    /// # Errors
    /// If it cannot be made or opened, is a symbolic link, belongs to another user or can be
    /// written by group or others.
    pub(crate) fn open(path: &Path) -> Result<Self, PathError> {
        make_all(path).map_err(|error| PathError::new("create", path, error))?;
        Self::open_plain(path).map_err(|error| PathError::new("open", path, error))?
    }

    /// Opens `path` if there is such a directory.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(crate) fn open_existing(path: &Path) -> Result<Option<Self>, PathError> {
        match Self::open_plain(path) {
            Ok(judged) => judged.map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(PathError::new("open", path, error)),
        }
    }

    fn open_plain(path: &Path) -> Result<Result<Self, PathError>, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
        let fd = fs::open(path, flags, Mode::empty())?;
        let dir = Self {
            fd,
            path: path.to_owned(),
        };
        let judged = dir.judge();
        Ok(judged
            .map(|()| dir)
            .map_err(|error| PathError::new("trust", path, error)))
    }

    fn judge(&self) -> io::Result<()> {
        let stat = fs::fstat(&self.fd)?;
        let denied = |why| Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return denied("it belongs to another user");
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return denied("group or others may write to it");
        }
        Ok(())
    }

    /// The path it was opened by, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the regular file `name`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be read, is longer than `bytes_max`, no regular file, or not this user's own.
    pub(crate) fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, PathError> {
        let Some((file, size)) = self.open_file(name, bytes_max)? else {
            return Ok(None);
        };
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let read = file
            .take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes);
        let failed = |error| PathError::new("read", self.path.join(name), error);
        read.map_err(failed)?;
        if bytes.len() as u64 > bytes_max {
            return Err(failed(too_long(bytes_max)));
        }
        Ok(Some(bytes))
    }

    /// Opens the regular file `name` and tells its length; `None` if there is none.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub(crate) fn open_file(
        &self,
        name: &str,
        bytes_max: u64,
    ) -> Result<Option<(File, u64)>, PathError> {
        let failed = |error| PathError::new("read", self.path.join(name), error);
        // Opening a FIFO would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match fs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error.into())),
        };
        let size = own_size(&file, bytes_max).map_err(failed)?;
        Ok(Some((file, size)))
    }

    /// Replaces the file `name`. A crash leaves the old or the new content; neither is synced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let (temporary, _file) = self.temporary(bytes)?;
        self.put(&temporary, name)
    }

    /// Replaces the file `name`, durably: a crash, also of the machine, leaves the old or the new
    /// content.
    ///
    /// # Errors
    /// If it cannot be written or synced.
    pub(crate) fn write_synced(&self, name: &str, bytes: &[u8]) -> Result<(), PathError> {
        let (temporary, file) = self.temporary(bytes)?;
        let failed = |error: io::Error| PathError::new("sync", self.path.join(name), error);
        if let Err(error) = file.sync_all() {
            self.discard(&temporary);
            return Err(failed(error));
        }
        self.put(&temporary, name)?;
        fs::fsync(&self.fd).map_err(|error| failed(error.into()))
    }

    /// Takes the lock file `name`, made if missing, until the value is dropped.
    ///
    /// # Errors
    /// If it is not free in time, is no regular file, or cannot be locked.
    pub(crate) fn lock(&self, name: &str, wait: Duration) -> Result<File, PathError> {
        let failed = |error: io::Error| PathError::new("lock", self.path.join(name), error);
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR);
        let file = File::from(file.map_err(|error| failed(error.into()))?);
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is no regular file")));
        }
        let started = Instant::now();
        loop {
            match fs2::FileExt::try_lock_exclusive(&file) {
                Ok(()) => return Ok(file),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == fs2::lock_contended_error().kind()
                        && started.elapsed() < wait =>
                {
                    std::thread::sleep(LOCK_PAUSE);
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Gives a temporary file its name.
    fn put(&self, temporary: &str, name: &str) -> Result<(), PathError> {
        fs::renameat(&self.fd, temporary, &self.fd, name).map_err(|error| {
            self.discard(temporary);
            PathError::new("rename", self.path.join(name), error)
        })
    }

    /// Makes the file `name` unless there is one; says whether it did. Of two processes that race,
    /// one makes it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, PathError> {
        let (temporary, _file) = self.temporary(bytes)?;
        let linked = fs::linkat(&self.fd, &temporary, &self.fd, name, AtFlags::empty());
        self.discard(&temporary);
        match linked {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(PathError::new("create", self.path.join(name), error)),
        }
    }

    /// Removes temporary files that a crash left, and of the others the oldest beyond `keep`.
    ///
    /// # Errors
    /// If the directory cannot be read. A file that cannot be removed is left.
    pub(crate) fn prune(&self, keep: usize) -> Result<(), PathError> {
        self.prune_to(keep, u64::MAX)
    }

    /// Removes temporary files that a crash left, and of the others the oldest beyond `keep` files
    /// or `bytes_max` bytes together. A file is as old as its last write or [`Self::touch`].
    ///
    /// # Errors
    /// If the directory cannot be read. A file that cannot be removed is left.
    pub(crate) fn prune_to(&self, keep: usize, bytes_max: u64) -> Result<(), PathError> {
        let mut files = Vec::new();
        for (name, stat) in self.stats()? {
            if name.to_bytes().starts_with(TEMPORARY_PREFIX.as_bytes()) {
                if age(stat.st_mtime) > TEMPORARY_AGE_MAX {
                    self.discard(&name);
                }
                continue;
            }
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            files.push((stat.st_mtime, stat.st_mtime_nsec, name, size));
        }
        files.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0_u64;
        for (index, (_, _, name, size)) in files.iter().enumerate() {
            bytes = bytes.saturating_add(*size);
            if index >= keep || bytes > bytes_max {
                self.discard(name);
            }
        }
        Ok(())
    }

    /// The regular files with their lengths, sorted by name, temporary ones left out. A name that
    /// is no UTF-8 is none of ours and left out too.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub(crate) fn files(&self) -> Result<Vec<(String, u64)>, PathError> {
        let mut files = Vec::new();
        for (name, stat) in self.stats()? {
            if let Ok(name) = name.into_string()
                && !name.starts_with(TEMPORARY_PREFIX)
            {
                files.push((name, u64::try_from(stat.st_size).unwrap_or(0)));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Removes the file `name`; says whether there was one.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, PathError> {
        match fs::unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(PathError::new("remove", self.path.join(name), error)),
        }
    }

    /// Marks the file `name` as used now. One that cannot be marked is only pruned earlier.
    pub(crate) fn touch(&self, name: &str) {
        let now = fs::Timespec {
            tv_sec: 0,
            tv_nsec: fs::UTIME_NOW,
        };
        let times = fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        if let Err(error) = fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW) {
            tracing::debug!(dir = %self.path.display(), %error, "cannot mark a file as used");
        }
    }

    /// Every regular file.
    fn stats(&self) -> Result<Vec<(CString, fs::Stat)>, PathError> {
        let failed = |error: Errno| PathError::new("read", &self.path, error);
        let mut stats = Vec::new();
        for entry in fs::Dir::read_from(&self.fd).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_owned();
            let Ok(stat) = fs::statat(&self.fd, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if fs::FileType::from_raw_mode(stat.st_mode).is_file() {
                stats.push((name, stat));
            }
        }
        Ok(stats)
    }

    /// Removes the files whose name is `unwanted`; one that cannot be removed is left.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub(crate) fn remove_files(&self, unwanted: impl Fn(&str) -> bool) -> Result<(), PathError> {
        for (name, _) in self.stats()? {
            if name.to_str().is_ok_and(&unwanted) {
                self.discard(&name);
            }
        }
        Ok(())
    }

    /// Writes a new file under a name that nobody else uses.
    fn temporary(&self, bytes: &[u8]) -> Result<(String, File), PathError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let pid = rustix::process::getpid().as_raw_nonzero();
        // A process id comes again after a crash; the time tells the two apart.
        let nanos = SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default()
            .as_nanos();
        let name = format!("{TEMPORARY_PREFIX}{pid}-{nanos:x}-{count}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let written = fs::openat(&self.fd, &name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(io::Error::from)
            .and_then(|file| {
                let mut file = File::from(file);
                file.write_all(bytes).map(|()| file)
            });
        match written {
            Ok(file) => Ok((name, file)),
            Err(error) => {
                self.discard(&name);
                Err(PathError::new("write", self.path.join(name), error))
            }
        }
    }

    fn discard(&self, name: impl rustix::path::Arg + Copy) {
        if let Err(error) = fs::unlinkat(&self.fd, name, AtFlags::empty())
            && error != Errno::NOENT
        {
            tracing::debug!(dir = %self.path.display(), %error, "cannot remove a file of the user's");
        }
    }
}

/// Makes `path` and its missing parents, private to the user.
fn make_all(path: &Path) -> io::Result<()> {
    match fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) => {
            let parent = path.parent().ok_or(Errno::NOENT)?;
            make_all(parent)?;
            match fs::mkdir(path, Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(error) => Err(error.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// The length of a file that must be this user's own regular one, writable by nobody else.
fn own_size(file: &File, bytes_max: u64) -> io::Result<u64> {
    let stat = fs::fstat(file)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if !fs::FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    if stat.st_uid != rustix::process::geteuid().as_raw()
        || mode.intersects(Mode::WGRP | Mode::WOTH)
    {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others may write to it",
        ));
    }
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    if size > bytes_max {
        return Err(too_long(bytes_max));
    }
    Ok(size)
}

fn too_long(bytes_max: u64) -> io::Error {
    io::Error::other(format!("it is longer than {bytes_max} bytes"))
}

/// Time since a file was written; none for one from the future.
fn age(mtime_seconds: i64) -> Duration {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let written = Duration::from_secs(u64::try_from(mtime_seconds).unwrap_or(0));
    now.saturating_sub(written)
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "fixtures in a temporary directory"
    )]

    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn private() -> (tempfile::TempDir, PrivateDir) {
        let temporary = tempfile::tempdir().unwrap();
        let dir = PrivateDir::open(&temporary.path().join("a/b")).unwrap();
        (temporary, dir)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// A directory of settings that is not there yet, and a KB as far as trust looks at one.
    pub(super) fn world() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let temporary = tempfile::tempdir().unwrap();
        let root = temporary.path().canonicalize().unwrap();
        let (config, kb) = (root.join("config"), root.join("kb"));
        std::fs::create_dir_all(kb.join(".openkb")).unwrap();
        set_mode(&kb, 0o755);
        (temporary, config, kb)
    }

    pub(super) fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    fn names(dir: &PrivateDir) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn files_are_private_and_leave_nothing_else() {
        let (temporary, dir) = private();
        assert_eq!(mode(&temporary.path().join("a")), 0o700);
        assert_eq!(mode(dir.path()), 0o700);
        assert_eq!(dir.read("f", 10).unwrap(), None);
        dir.write("f", b"one").unwrap();
        dir.write("f", b"two").unwrap();
        assert_eq!(dir.read("f", 3).unwrap().as_deref(), Some(&b"two"[..]));
        dir.read("f", 2).unwrap_err();
        assert_eq!(mode(&dir.path().join("f")), 0o600);
        assert!(dir.create("g", b"one").unwrap());
        assert!(!dir.create("g", b"two").unwrap());
        assert_eq!(dir.read("g", 10).unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(names(&dir), ["f", "g"]);
    }

    #[test]
    fn directories_that_others_can_write_are_refused() {
        let (_temporary, dir) = private();
        for bits in [0o770, 0o702, 0o777] {
            set_mode(dir.path(), bits);
            let error = PrivateDir::open(dir.path()).unwrap_err();
            assert_eq!(error.action, "trust", "{bits:o}");
        }
        set_mode(dir.path(), 0o755);
        PrivateDir::open(dir.path()).unwrap();
        let link = dir.path().join("link");
        symlink(dir.path(), &link).unwrap();
        PrivateDir::open(&link).unwrap_err();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        PrivateDir::open(&file).unwrap_err();
    }

    #[test]
    fn files_that_others_prepared_are_refused() {
        let (temporary, dir) = private();
        std::fs::write(temporary.path().join("secret"), "x").unwrap();
        symlink("../../secret", dir.path().join("link")).unwrap();
        dir.read("link", 10).unwrap_err();
        dir.write("open", b"x").unwrap();
        set_mode(&dir.path().join("open"), 0o666);
        dir.read("open", 10).unwrap_err();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        dir.read("dir", 10).unwrap_err();
    }

    #[test]
    fn the_oldest_files_are_pruned() {
        let (_temporary, dir) = private();
        let old = |name: &str, hours: u64| {
            dir.write(name, b"x").unwrap();
            let file = File::open(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(hours * 3_600))
                .unwrap();
        };
        old("c", 1);
        old("a", 3);
        old("b", 2);
        old(".tmp-dead", 25);
        old(".tmp-alive", 1);
        dir.prune(2).unwrap();
        assert_eq!(names(&dir), [".tmp-alive", "b", "c"]);
        dir.touch("b");
        dir.write("d", b"xx").unwrap();
        assert_eq!(dir.files().unwrap().len(), 3);
        dir.prune_to(9, 3).unwrap();
        assert_eq!(names(&dir), [".tmp-alive", "b", "d"]);
        assert!(dir.remove("b").unwrap());
        assert!(!dir.remove("b").unwrap());
    }
}
