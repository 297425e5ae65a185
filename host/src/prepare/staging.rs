//! Staging directories: `<run>-<counter>/{in,out,ready}`, one for each preparation.
//!
//! One of the few files that may call the writing functions of `std::fs`, and only beneath the
//! directory it was given: a staging directory, or the target of an export. The caller vouches for
//! that directory: that no stranger's symbolic link leads to it.
//!
//! Invariant: a staging directory exists only while its run lives, or until the next sweep.

#![expect(
    clippy::disallowed_methods,
    reason = "staging is disposable: nothing here is official state"
)]

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::assets::ASSETS_DIR;
use super::fault;
use crate::kb::PathError;

/// Ends the name of the file that tells a live run from a dead one.
const OWNER_SUFFIX: &str = ".owner";

/// A fresh run token can collide with a sweep that takes the new owner file for a dead one; that
/// takes a few microseconds of bad luck each time.
const OPEN_TRIES_MAX: u32 = 8;

/// A disk that does not take this much is full: converted documents are of this size, and what a
/// converter managed to write before it failed still lies there.
const PROBE_BYTES: usize = 1 << 20;

/// Why staging failed.
#[derive(Debug, thiserror::Error)]
pub enum StagingError {
    /// An I/O error.
    #[error(transparent)]
    Path(#[from] PathError),
}

impl StagingError {
    /// Joins an action, a path and the error.
    pub(super) fn new(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Path(PathError::new(action, path, source))
    }
}

/// Makes a new file with mode 0600.
pub(super) fn create_file(path: &Path) -> Result<File, StagingError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| StagingError::new("create", path, error))
}

/// Makes a directory with mode 0700.
pub(super) fn create_dir(path: &Path) -> Result<(), StagingError> {
    DirBuilder::new()
        .mode(0o700)
        .create(path)
        .map_err(|error| StagingError::new("create", path, error))
}

/// Writes a new file at the relative `path` beneath `dir`, which is ours alone, with its folders.
/// The caller vouches for `path`: it has no `..`.
pub(super) fn write_beneath(dir: &Path, path: &str, bytes: &[u8]) -> Result<(), StagingError> {
    let target = dir.join(path);
    if let Some((folders, _)) = path.rsplit_once('/') {
        let folders = dir.join(folders);
        DirBuilder::new()
            .mode(0o700)
            .recursive(true)
            .create(&folders)
            .map_err(|error| StagingError::new("create", folders, error))?;
    }
    create_file(&target)?
        .write_all(bytes)
        .map_err(|error| StagingError::new("write", target, error))
}

/// Makes a directory for the user, mode by umask, unless there is one.
pub(super) fn ensure_dir(path: &Path) -> Result<(), StagingError> {
    fs::create_dir_all(path).map_err(|error| StagingError::new("create", path, error))
}

/// Removes a file of our own that may be half written.
pub(super) fn remove_file(path: &Path) -> Result<(), StagingError> {
    fs::remove_file(path).map_err(|error| StagingError::new("remove", path, error))
}

/// Makes the bytes of a file durable.
pub(super) fn sync_data(file: &File) -> io::Result<()> {
    match fault::is_left_out("FILE_SYNC") {
        true => Ok(()),
        false => file.sync_data(),
    }
}

/// Makes everything on the file system of a directory durable.
#[cfg(target_os = "linux")]
pub(super) fn sync_filesystem(path: &Path) -> Result<(), StagingError> {
    if fault::is_left_out("FILE_SYNC") {
        return Ok(());
    }
    File::open(path)
        .and_then(|dir| Ok(rustix::fs::syncfs(dir)?))
        .map_err(|error| StagingError::new("sync", path, error))
}

/// Writes a file for the user, whole or not at all: a temporary file beside it, synced, renamed.
/// Its mode follows the umask. Without `overwrite` an existing file is kept and is an error.
pub(super) fn write_atomically(
    path: &Path,
    bytes: &mut dyn io::Read,
    overwrite: bool,
) -> Result<(), StagingError> {
    let failed = |error: io::Error| StagingError::new("write", path, error);
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".kbhost-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(dir)
        .map_err(failed)?;
    io::copy(bytes, &mut file).map_err(failed)?;
    file.as_file().sync_data().map_err(failed)?;
    let persisted = if overwrite {
        file.persist(path)
    } else {
        file.persist_noclobber(path)
    };
    persisted
        .map(|_| ())
        .map_err(|persist| failed(persist.error))
}

/// A run's lock on its owner file. The file goes when the last holder does.
#[derive(Debug)]
struct Owner {
    path: PathBuf,
    /// Holds the lock until it is closed.
    _file: File,
}

impl Owner {
    /// Makes and locks `<run>.owner`. `None` if a sweep was faster: the token is burnt.
    fn claim(path: PathBuf) -> io::Result<Option<Self>> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        match fs2::FileExt::try_lock_exclusive(&file) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        if !names_file(&path, &file)? {
            return Ok(None);
        }
        let started = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        writeln!(file, "pid {}\nstarted {started}", std::process::id())?;
        Ok(Some(Self { path, _file: file }))
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "owner file left behind");
        }
    }
}

/// Whether `path` still leads to the open `file`, and not through a symbolic link.
fn names_file(path: &Path, file: &File) -> io::Result<bool> {
    let open = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The directory that holds the staging directories of one run. Holds a lock on
/// `<run>.owner` inside it for as long as the run or one of its staging directories lives, so that
/// a later run can tell dead owners. A crash leaves that file and the directories to
/// [`sweep_dead`].
#[derive(Debug)]
pub struct StagingRoot {
    dir: PathBuf,
    run: String,
    owner: Arc<Owner>,
    counter: AtomicU64,
}

impl StagingRoot {
    /// Opens `dir`, made if missing, for a new run.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn open(dir: &Path) -> Result<Self, StagingError> {
        ensure_dir(dir)?;
        let pid = std::process::id();
        for _ in 0..OPEN_TRIES_MAX {
            // The keys of a fresh hasher are random: all that a token needs, for it is no secret.
            let run = format!("{pid}-{:016x}", RandomState::new().build_hasher().finish());
            let path = dir.join(format!("{run}{OWNER_SUFFIX}"));
            let owner = Owner::claim(path)
                .map_err(|error| StagingError::new("prepare documents in", dir, error))?;
            if let Some(owner) = owner {
                return Ok(Self {
                    dir: dir.to_owned(),
                    run,
                    owner: Arc::new(owner),
                    counter: AtomicU64::new(0),
                });
            }
        }
        let busy = io::Error::other("another process keeps sweeping it");
        Err(StagingError::new("prepare documents in", dir, busy))
    }

    /// Makes a fresh staging directory, mode 0700, named by the run's token and a counter.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(&self) -> Result<StagingDir, StagingError> {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let path = self.dir.join(format!("{}-{counter}", self.run));
        create_dir(&path)?;
        let staging = StagingDir {
            path,
            removed: false,
            _owner: Arc::clone(&self.owner),
        };
        create_dir(&staging.input())?;
        create_dir(&staging.output())?;
        create_dir(&staging.ready())?;
        Ok(staging)
    }
}

/// One preparation's directory. Dropping it removes it.
#[derive(Debug)]
pub struct StagingDir {
    path: PathBuf,
    removed: bool,
    _owner: Arc<Owner>,
}

impl StagingDir {
    /// Its host path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `in/`: what the guest reads.
    #[must_use]
    pub fn input(&self) -> PathBuf {
        self.path().join("in")
    }

    /// `out/`: what the guest writes.
    #[must_use]
    pub fn output(&self) -> PathBuf {
        self.path().join("out")
    }

    /// `ready/`: what the collector accepted.
    #[must_use]
    pub fn ready(&self) -> PathBuf {
        self.path().join("ready")
    }

    /// Empties `out/` and `ready/`.
    pub(super) fn reset(&self) -> Result<(), StagingError> {
        for dir in [self.output(), self.ready()] {
            remove_tree(&dir)?;
            create_dir(&dir)?;
        }
        Ok(())
    }

    /// Empties `out/` and `ready/`, and takes the assets out of `in/`: as before the first call.
    pub(super) fn start_over(&self) -> Result<(), StagingError> {
        remove_tree(&self.input().join(ASSETS_DIR))?;
        self.reset()
    }

    /// Tries whether the disk still takes what a converter may write: to the converter a full
    /// disk and a broken one look alike.
    ///
    /// # Errors
    /// If it does not.
    pub(super) fn probe(&self) -> Result<(), StagingError> {
        let path = self.path.join("probe");
        let written = create_file(&path).and_then(|mut file| {
            let above = self.path.parent().unwrap_or(&self.path);
            file.write_all(&vec![0; PROBE_BYTES])
                .map_err(|error| StagingError::new("write to", above, error))
        });
        // What is left of it goes with the directory.
        drop(fs::remove_file(&path));
        written
    }

    /// Removes the directory and everything in it.
    ///
    /// # Errors
    /// If something could not be removed.
    pub fn remove(mut self) -> Result<(), StagingError> {
        self.removed = true;
        remove_tree(&self.path)
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "staging directory left behind");
        }
    }
}

/// Removes a directory and everything in it; follows no symbolic link. Directories without
/// permissions for their owner get them first.
fn remove_tree(path: &Path) -> Result<(), StagingError> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            unlock_tree(path).and_then(|()| fs::remove_dir_all(path))
        }
        other => other,
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(StagingError::new("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Gives every directory beneath `path` mode 0700. Nobody but us is in there any more.
fn unlock_tree(path: &Path) -> io::Result<()> {
    let mut pending = vec![path.to_owned()];
    while let Some(dir) = pending.pop() {
        fs::set_permissions(&dir, Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                pending.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Removes what dead runs left in `dir`: the staging directories of runs whose owner file can be
/// locked or is missing, and those owner files. Returns how many directories it removed. Live runs
/// and names that are none of ours stay; without `dir` there is nothing to do. A crash leaves the
/// rest to the next sweep. Safe while other runs start and end.
///
/// # Errors
/// If `dir` cannot be read or something in it cannot be removed.
pub fn sweep_dead(dir: &Path) -> Result<u64, StagingError> {
    let failed = |error: io::Error| StagingError::new("sweep", dir, error);
    let mut removed = 0;
    // One directory that will not go must not keep those of other runs.
    let mut stuck = Ok(());
    for (run, directories) in runs_in(dir).map_err(failed)? {
        let owner = dir.join(format!("{run}{OWNER_SUFFIX}"));
        // The lock is held until the run's directories are gone: two sweeps do not meet there.
        let Some(_dead) = lock_dead(&owner).map_err(failed)? else {
            continue;
        };
        for path in &directories {
            match remove_tree(path) {
                Ok(()) => removed += 1,
                Err(error) => stuck = stuck.and(Err(error)),
            }
        }
        match fs::remove_file(&owner) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                stuck = stuck.and(Err(StagingError::new("remove", owner, error)));
            }
            _ => {}
        }
    }
    stuck.map(|()| removed)
}

/// Names of the runs that died and left something in `dir`; nothing is removed.
///
/// # Errors
/// If `dir` cannot be read.
pub fn dead_runs(dir: &Path) -> Result<Vec<String>, StagingError> {
    let failed = |error: io::Error| StagingError::new("look into", dir, error);
    let mut dead = Vec::new();
    for (run, _) in runs_in(dir).map_err(failed)? {
        let owner = dir.join(format!("{run}{OWNER_SUFFIX}"));
        if lock_dead(&owner).map_err(failed)?.is_some() {
            dead.push(run);
        }
    }
    Ok(dead)
}

/// The runs that left something in `dir`, with their staging directories.
fn runs_in(dir: &Path) -> io::Result<std::collections::BTreeMap<String, Vec<PathBuf>>> {
    let mut runs = std::collections::BTreeMap::<String, Vec<PathBuf>>::new();
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(runs),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        let is_dir = entry.file_type()?.is_dir();
        if let Some(run) = name.strip_suffix(OWNER_SUFFIX)
            && is_run(run)
            && !is_dir
        {
            runs.entry(run.to_owned()).or_default();
        } else if let Some((run, counter)) = name.rsplit_once('-')
            && is_run(run)
            && counter.parse::<u64>().is_ok()
            && is_dir
        {
            runs.entry(run.to_owned()).or_default().push(entry.path());
        }
    }
    Ok(runs)
}

/// Whether `run` has the form of a run token: `<pid>-<16 hexadecimal digits>`.
fn is_run(run: &str) -> bool {
    run.split_once('-').is_some_and(|(pid, random)| {
        pid.parse::<u32>().is_ok()
            && random.len() == 16
            && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// Locks the owner file of a dead run; `Some(None)` if it is missing, `None` if the run lives.
fn lock_dead(owner: &Path) -> io::Result<Option<Option<File>>> {
    let no_follow = (rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK).bits();
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(no_follow.cast_signed())
        .open(owner);
    match file {
        Ok(file) => match fs2::FileExt::try_lock_exclusive(&file) {
            Ok(()) => Ok(Some(Some(file))),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(None)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_run_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = StagingRoot::open(dir.path()).unwrap();
        let first = root.create().unwrap();
        let second = root.create().unwrap();
        assert_ne!(first.path(), second.path());
        for made in [
            first.path(),
            &first.input(),
            &first.output(),
            &first.ready(),
        ] {
            let mode = fs::metadata(made).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", made.display());
        }
        fs::write(first.output().join("left"), "over").unwrap();
        first.remove().unwrap();
        drop(root);
        assert_eq!(names(dir.path()).len(), 2, "a directory keeps its owner");
        drop(second);
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }

    #[test]
    fn removal_is_stubborn_and_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("precious"), "x").unwrap();
        let inside = tempfile::tempdir().unwrap();
        let staging = StagingRoot::open(inside.path()).unwrap().create().unwrap();
        std::os::unix::fs::symlink(&outside, staging.output().join("link")).unwrap();
        let locked = staging.output().join("locked");
        fs::create_dir_all(locked.join("deep")).unwrap();
        fs::write(locked.join("deep/file"), "x").unwrap();
        fs::set_permissions(locked.join("deep"), Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o500)).unwrap();
        staging.remove().unwrap();
        assert_eq!(names(inside.path()), Vec::<String>::new());
        assert_eq!(names(&outside), ["precious"]);
    }

    #[test]
    fn unlocking_opens_every_directory() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::set_permissions(&deep, Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(dir.path().join("a"), Permissions::from_mode(0o000)).unwrap();
        unlock_tree(dir.path()).unwrap();
        let mode = fs::metadata(&deep).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_sweep_takes_the_dead_and_spares_the_living() {
        let dir = tempfile::tempdir().unwrap();
        let alive = StagingRoot::open(dir.path()).unwrap();
        let kept = alive.create().unwrap();
        let dead = "1-00000000000000aa";
        fs::write(dir.path().join(format!("{dead}.owner")), "pid 1\n").unwrap();
        fs::create_dir_all(dir.path().join(format!("{dead}-0/in"))).unwrap();
        fs::create_dir_all(dir.path().join("2-00000000000000bb-7/out")).unwrap();
        fs::create_dir_all(dir.path().join("somebody-elses-1")).unwrap();
        fs::write(dir.path().join("3-00000000000000cc-1"), "a file").unwrap();
        assert_eq!(sweep_dead(dir.path()).unwrap(), 2);
        assert!(kept.ready().is_dir());
        let left = names(dir.path());
        assert_eq!(left.len(), 4, "{left:?}");
        assert!(left.contains(&"somebody-elses-1".to_owned()));
        drop((alive, kept));
        assert_eq!(sweep_dead(dir.path()).unwrap(), 0);
        assert_eq!(sweep_dead(&dir.path().join("none")).unwrap(), 0);
    }

    #[test]
    fn a_burnt_token_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("1-00000000000000aa.owner");
        fs::write(&path, "").unwrap();
        let file = File::open(&path).unwrap();
        assert!(names_file(&path, &file).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!names_file(&path, &file).unwrap());
        fs::write(&path, "another").unwrap();
        assert!(!names_file(&path, &file).unwrap());
    }

    #[test]
    fn user_files_are_written_whole_and_not_clobbered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.md");
        write_atomically(&path, &mut &b"one"[..], false).unwrap();
        let refused = write_atomically(&path, &mut &b"two"[..], false).unwrap_err();
        let StagingError::Path(refused) = refused;
        assert_eq!(refused.source.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"one");
        write_atomically(&path, &mut &b"two"[..], true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(names(dir.path()), ["page.md"]);
    }
}
