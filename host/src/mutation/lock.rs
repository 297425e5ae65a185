//! The lock protocol: flock on `ingest.lock` behind the turnstile `gate.lock`.
//!
//! Who waits for `ingest.lock` holds `gate.lock` meanwhile, in the same mode: a writer closes the
//! turnstile, so that readers that come in an endless row cannot starve it. Each holder opens the
//! files anew, so threads of one process exclude each other as processes do. Neither file is ever
//! unlinked: with a new file under the old name two owners could each hold "the" lock. A lock is not
//! handed to a child: every handle closes on exec.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::storage::Storage;
use super::{AcquireError, LockOptions, Waiting, fault, holder};
use crate::kb::{KbError, KbPath, KbRoot, PathError, layout};

/// Between two tries: grows from the first to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(10));

/// A wait is told after this long: a shorter one is over before anybody has read it.
const FIRST_NOTICE: Duration = Duration::from_millis(500);

/// A wait that goes on is told again after this long each time.
const NEXT_NOTICE: Duration = Duration::from_secs(10);

/// Device and inode.
type FileId = (u64, u64);

thread_local! {
    /// KBs whose lock this thread holds, in whatever mode: asking again would wait for ourselves.
    static HELD: RefCell<Vec<FileId>> = const { RefCell::new(Vec::new()) };
}

/// How a lock excludes others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Holds off writers.
    Shared,
    /// Holds off everybody.
    Exclusive,
}

/// The lock of a KB, held by this thread.
#[derive(Debug)]
#[must_use = "dropping it lets the lock go"]
pub(super) struct Held {
    _main: Locked,
    kb: FileId,
    /// [`HELD`] speaks of the thread that took the lock.
    _not_send: std::marker::PhantomData<*const ()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.with_borrow_mut(|held| held.retain(|kb| *kb != self.kb));
    }
}

/// A locked file.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        // Closing is not enough: a child between fork and exec has the same open file. Nothing can
        // be done about an error of either.
        drop(fs2::FileExt::unlock(&self.0));
    }
}

/// Takes the lock for changing the KB.
///
/// # Errors
/// If it is not free in time, this thread holds it already in any mode (there is no upgrade: two
/// readers that wait for each other to go would wait for ever), or it cannot be taken.
pub(super) fn exclusive(storage: &Storage, options: &LockOptions) -> Result<Held, AcquireError> {
    let (kb, mut patience) = begin(storage.root(), options)?;
    let unlockable = |path: &KbPath, error: io::Error| -> AcquireError {
        PathError::new("lock", storage.root().join(path), error).into()
    };
    let mut take = |path: KbPath| {
        let open = || open_or_make(storage, &path);
        patience.take(&path, Mode::Exclusive, storage.root(), open)
    };
    let (gate, main) = (layout::gate_lock(), layout::ingest_lock());
    let turnstile = take(gate.clone())?.map_err(|error| unlockable(&gate, error))?;
    let locked = take(main.clone())?.map_err(|error| unlockable(&main, error))?;
    drop(turnstile);
    Ok(hold(locked, kb))
}

/// Takes the lock for reading pages; `None` if the KB cannot be locked: it is read-only to us, its
/// file system has no locks, or nothing ever locked it.
///
/// # Errors
/// As [`exclusive`].
pub(super) fn shared(root: &KbRoot, options: &LockOptions) -> Result<Option<Held>, AcquireError> {
    let (kb, mut patience) = begin(root, options)?;
    let mut take = |path: &KbPath| -> Result<Option<Locked>, AcquireError> {
        if !is_there(root, path)? {
            return Ok(None);
        }
        let open = || {
            let file = root.open_file(path)?;
            file.ok_or_else(|| PathError::new("open", root.join(path), Errno::NOENT).into())
        };
        match patience.take(path, Mode::Shared, root, open)? {
            Ok(locked) => Ok(Some(locked)),
            Err(error) if has_no_locks(&error) => Ok(None),
            Err(error) => Err(PathError::new("lock", root.join(path), error).into()),
        }
    };
    // OpenKB's own KBs have no turnstile until our first change.
    let turnstile = take(&layout::gate_lock())?;
    let locked = take(&layout::ingest_lock())?;
    drop(turnstile);
    Ok(locked.map(|locked| hold(locked, kb)))
}

/// Locks a file of its own that excludes no mutation; `None` if somebody has it. It is free again
/// when the file is closed.
///
/// # Errors
/// If it cannot be opened or locked.
pub(super) fn try_alone(storage: &Storage, path: &KbPath) -> Result<Option<File>, PathError> {
    let file = storage.open_lock(path)?;
    match try_lock(&file, Mode::Exclusive) {
        Ok(true) => Ok(Some(file)),
        Ok(false) => Ok(None),
        Err(error) => Err(PathError::new("lock", storage.root().join(path), error)),
    }
}

/// Whether somebody holds the lock for writing just now: a try that lets go at once.
///
/// # Errors
/// If that cannot be tried.
pub(super) fn is_taken(file: &File) -> io::Result<bool> {
    match try_lock(file, Mode::Shared) {
        Ok(true) => fs2::FileExt::unlock(file).map(|()| false),
        Ok(false) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Tries for the exclusive lock of a KB as a process that knows nothing of another holder; lets go
/// at once. True if it was to be had.
///
/// # Errors
/// If it cannot be tried.
pub(super) fn is_free(storage: &Storage) -> Result<bool, AcquireError> {
    let path = layout::ingest_lock();
    let file = open_or_make(storage, &path)?;
    let free = try_lock(&file, Mode::Exclusive);
    drop(Locked(file));
    Ok(free.map_err(|e| PathError::new("lock", storage.root().join(&path), e))?)
}

fn begin<'a>(
    root: &KbRoot,
    options: &'a LockOptions,
) -> Result<(FileId, Patience<'a>), AcquireError> {
    let stat = rustix::fs::fstat(root).map_err(|e| PathError::new("look at", root.path(), e))?;
    let kb = (stat.st_dev, stat.st_ino);
    // Before the turnstile: a writer that waits there for our shared lock would never let us in.
    if HELD.with_borrow(|held| held.contains(&kb)) {
        return Err(AcquireError::Nested);
    }
    let started = Instant::now();
    let patience = Patience {
        options,
        started,
        notice: FIRST_NOTICE,
    };
    Ok((kb, patience))
}

fn hold(main: Locked, kb: FileId) -> Held {
    HELD.with_borrow_mut(|held| held.push(kb));
    Held {
        _main: main,
        kb,
        _not_send: std::marker::PhantomData,
    }
}

/// One wait for both files.
struct Patience<'a> {
    options: &'a LockOptions,
    started: Instant,
    /// When the wait is told next, counted from its start.
    notice: Duration,
}

impl Patience<'_> {
    /// Opens and locks a file, until the lock is one on the file that has the name now. The inner
    /// error is the system's, which has no lock to give.
    fn take(
        &mut self,
        path: &KbPath,
        mode: Mode,
        root: &KbRoot,
        open: impl Fn() -> Result<File, KbError>,
    ) -> Result<io::Result<Locked>, AcquireError> {
        let mut pause = BACK_OFF.0;
        loop {
            let file = open()?;
            match try_lock(&file, mode) {
                Ok(true) => {
                    let locked = Locked(file);
                    // The file may have been replaced between opening and locking: only a lock on
                    // the file that has the name now excludes anybody.
                    if id(&locked.0, path, root)? == id(&open()?, path, root)? {
                        return Ok(Ok(locked));
                    }
                }
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            }
            self.pause(&mut pause, root)?;
        }
    }

    /// Waits a little, tells that it waits, or gives up.
    fn pause(&mut self, pause: &mut Duration, root: &KbRoot) -> Result<(), AcquireError> {
        if self
            .options
            .cancel
            .load(std::sync::atomic::Ordering::SeqCst)
        {
            return Err(AcquireError::Cancelled);
        }
        let waited = self.started.elapsed();
        let left = self.options.wait.saturating_sub(waited);
        if left.is_zero() {
            return Err(AcquireError::Busy {
                path: root.path().to_owned(),
                waited: self.options.wait,
                holder: holder::describe(root),
            });
        }
        if let Some(on_wait) = &self.options.on_wait
            && waited >= self.notice
        {
            self.notice = waited + NEXT_NOTICE;
            on_wait(&Waiting {
                waited,
                holder: holder::describe(root),
            });
        }
        std::thread::sleep((*pause).min(left));
        *pause = (*pause * 2).min(BACK_OFF.1);
        Ok(())
    }
}

/// Opens a lock file for writing, made if missing.
fn open_or_make(storage: &Storage, path: &KbPath) -> Result<File, KbError> {
    let file = storage.open_lock(path).map_err(|error| {
        if error.source.raw_os_error() == Some(Errno::LOOP.raw_os_error()) {
            KbError::Symlink(path.clone())
        } else {
            error.into()
        }
    })?;
    let failed = |error: io::Error| PathError::new("lock", storage.root().join(path), error);
    if !file.metadata().map_err(failed)?.is_file() {
        // The lock of a pipe or a device would be shared with whoever else opens that.
        return Err(failed(io::Error::other("it is no regular file")).into());
    }
    Ok(file)
}

/// Whether a lock file is there and may be opened for reading.
fn is_there(root: &KbRoot, path: &KbPath) -> Result<bool, AcquireError> {
    match root.open_file(path) {
        Ok(file) => Ok(file.is_some()),
        Err(KbError::Path(error)) if is_denied(&error.source) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether an error says that this user may not, or nobody can, write here.
pub(super) fn is_denied(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(errno, Some(Errno::ACCESS | Errno::PERM | Errno::ROFS))
}

/// Whether an error says that there are no locks here, rather than that somebody has this one.
fn has_no_locks(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    let none = matches!(
        errno,
        Some(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL)
    );
    none || is_denied(error)
}

/// Tries once; false if somebody else has it.
fn try_lock(file: &File, mode: Mode) -> io::Result<bool> {
    if fault::is_left_out("LOCK") {
        return Ok(true);
    }
    loop {
        // By the trait's path: the standard library has methods of the same names and another type
        // of error.
        let tried = match mode {
            Mode::Shared => fs2::FileExt::try_lock_shared(file),
            Mode::Exclusive => fs2::FileExt::try_lock_exclusive(file),
        };
        match tried {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

fn id(file: &File, path: &KbPath, root: &KbRoot) -> Result<FileId, AcquireError> {
    let metadata = file.metadata();
    let metadata = metadata.map_err(|e| PathError::new("lock", root.join(path), e))?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests replace lock files")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    fn kb() -> (tempfile::TempDir, Storage) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".openkb")).unwrap();
        let storage = Storage::new(Arc::new(KbRoot::open(dir.path()).unwrap()));
        // The first change makes the files.
        drop(exclusive(&storage, &at_once()).unwrap());
        (dir, storage)
    }

    fn at_once() -> LockOptions {
        LockOptions::waiting(Duration::ZERO)
    }

    fn patient() -> LockOptions {
        LockOptions::waiting(Duration::from_secs(60))
    }

    /// What another thread gets that tries once.
    fn elsewhere<T: Send>(ask: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| scope.spawn(ask).join().unwrap())
    }

    #[test]
    fn readers_share_and_writers_exclude() {
        let (_dir, storage) = kb();
        let read = || shared(storage.root(), &at_once()).map(|held| drop(held.unwrap()));
        let write = || exclusive(&storage, &at_once()).map(drop);
        let reader = shared(storage.root(), &at_once()).unwrap().unwrap();
        elsewhere(read).unwrap();
        assert!(matches!(elsewhere(write), Err(AcquireError::Busy { .. })));
        drop(reader);
        let writer = exclusive(&storage, &at_once()).unwrap();
        assert!(matches!(elsewhere(read), Err(AcquireError::Busy { .. })));
        assert!(matches!(elsewhere(write), Err(AcquireError::Busy { .. })));
        drop(writer);
        elsewhere(write).unwrap();
    }

    #[test]
    fn a_second_lock_on_one_thread_is_an_error_at_once() {
        let (_dir, storage) = kb();
        let read = || shared(storage.root(), &patient());
        let write = || exclusive(&storage, &patient());
        let is_nested = |error| assert!(matches!(error, AcquireError::Nested), "{error:?}");
        let reader = read().unwrap();
        is_nested(write().unwrap_err());
        is_nested(read().unwrap_err());
        drop(reader);
        let writer = write().unwrap();
        is_nested(write().unwrap_err());
        is_nested(read().unwrap_err());
        // Another KB is another matter.
        let (_other, others) = kb();
        drop(exclusive(&others, &at_once()).unwrap());
        is_nested(read().unwrap_err());
        drop(writer);
        drop(read().unwrap());
    }

    /// Goal: readers that come in an endless row do not starve a writer. Method: with a reader inside
    /// and a writer that waits, the next reader is held off at the turnstile.
    #[test]
    fn a_waiting_writer_holds_off_new_readers() {
        let (_dir, storage) = kb();
        let reader = shared(storage.root(), &at_once()).unwrap().unwrap();
        let (told, waits) = mpsc::channel();
        let mut options = patient();
        options.on_wait = Some(Arc::new(move |_: &Waiting| told.send(()).unwrap()));
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| exclusive(&storage, &options).map(drop));
            waits.recv().unwrap();
            let late = elsewhere(|| shared(storage.root(), &at_once()).map(drop));
            assert!(matches!(late, Err(AcquireError::Busy { .. })), "{late:?}");
            drop(reader);
            writer.join().unwrap().unwrap();
        });
        drop(shared(storage.root(), &at_once()).unwrap().unwrap());
    }

    #[test]
    fn a_wait_is_told_once_and_ends_when_the_user_says_so() {
        let (_dir, storage) = kb();
        let writer = exclusive(&storage, &at_once()).unwrap();
        let cancel = Arc::new(AtomicBool::new(false));
        let told = Arc::new(AtomicUsize::new(0));
        let mut options = patient();
        options.cancel = Arc::clone(&cancel);
        let counted = Arc::clone(&told);
        options.on_wait = Some(Arc::new(move |wait: &Waiting| {
            assert!(wait.waited >= FIRST_NOTICE);
            let holder = wait.holder.as_ref().unwrap();
            assert!(holder.contains(&std::process::id().to_string()), "{holder}");
            counted.fetch_add(1, Ordering::SeqCst);
            cancel.store(true, Ordering::SeqCst);
        }));
        let ended = elsewhere(|| exclusive(&storage, &options).map(drop));
        assert!(matches!(ended, Err(AcquireError::Cancelled)), "{ended:?}");
        assert_eq!(told.load(Ordering::SeqCst), 1);
        drop(writer);
    }

    /// Goal: a lock on a file that has lost its name is no lock. Method: the file that is opened first
    /// is replaced before it is locked.
    #[test]
    fn a_lock_on_a_replaced_file_does_not_count() {
        let (_dir, storage) = kb();
        let (root, path) = (storage.root(), layout::ingest_lock());
        let old = storage.open_lock(&path).unwrap();
        std::fs::remove_file(root.join(&path)).unwrap();
        let stale = std::cell::RefCell::new(Some(old.try_clone().unwrap()));
        let open = || match stale.borrow_mut().take() {
            Some(old) => Ok(old),
            None => open_or_make(&storage, &path),
        };
        let options = patient();
        let (_, mut patience) = begin(root, &options).unwrap();
        let taken = patience.take(&path, Mode::Exclusive, root, open);
        let locked = taken.unwrap().unwrap();
        let now = storage.open_lock(&path).unwrap();
        assert_eq!(
            id(&locked.0, &path, root).unwrap(),
            id(&now, &path, root).unwrap()
        );
        assert!(!try_lock(&now, Mode::Exclusive).unwrap());
        assert!(try_lock(&old, Mode::Exclusive).unwrap());
    }

    #[test]
    fn no_child_gets_a_lock() {
        let (_dir, storage) = kb();
        let names_of_a_child = || {
            let listing = std::process::Command::new("ls")
                .args(["-l", "/proc/self/fd"])
                .output()
                .unwrap();
            String::from_utf8(listing.stdout).unwrap()
        };
        let writer = exclusive(&storage, &at_once()).unwrap();
        let of_writer = names_of_a_child();
        drop(writer);
        let reader = shared(storage.root(), &at_once()).unwrap();
        let of_reader = names_of_a_child();
        drop(reader);
        for names in [of_writer, of_reader] {
            assert!(names.contains("/proc/"), "{names}");
            assert!(!names.contains(".lock"), "{names}");
            let root = storage.root().path().display().to_string();
            assert!(!names.contains(&root), "{names}");
        }
    }

    #[test]
    fn what_is_no_plain_file_is_no_lock_file() {
        for path in [layout::ingest_lock(), layout::gate_lock()] {
            let (dir, storage) = kb();
            let file = storage.root().join(&path);
            let victim = dir.path().join("victim");
            std::fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink(&victim, &file).unwrap();
            let refused = exclusive(&storage, &at_once()).map(drop).unwrap_err();
            let is_link = matches!(refused, AcquireError::Kb(KbError::Symlink(_)));
            assert!(is_link, "{refused:?}");
            let refused = shared(storage.root(), &at_once()).map(drop).unwrap_err();
            let is_link = matches!(refused, AcquireError::Kb(KbError::Symlink(_)));
            assert!(is_link, "{refused:?}");
            assert!(!victim.exists());
            std::fs::remove_file(&file).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &file, 0o600.into()).unwrap();
            exclusive(&storage, &at_once()).map(drop).unwrap_err();
            shared(storage.root(), &at_once()).map(drop).unwrap_err();
        }
    }

    #[test]
    fn a_kb_that_nothing_ever_locked_is_read_without() {
        let (_dir, storage) = kb();
        let root = storage.root();
        std::fs::remove_file(root.join(&layout::gate_lock())).unwrap();
        drop(shared(root, &at_once()).unwrap().unwrap());
        std::fs::remove_file(root.join(&layout::ingest_lock())).unwrap();
        assert!(shared(root, &at_once()).unwrap().is_none());
        assert!(!root.join(&layout::ingest_lock()).exists());
    }
}
