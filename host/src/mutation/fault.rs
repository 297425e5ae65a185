//! Named fault points and counted storage operations: where the rigs kill, fail or delay a
//! mutation. Without the feature `fault-points` a point is nothing.
//!
//! `KBHOST_FAULT=WHERE:MODE[:N[+]]` acts at the N-th passing (from 1, default 1), with `+` from there
//! on for good. Several faults are separated by commas.
//! - `WHERE` is the name of a point, which may end in `*`; `#op`, any storage operation; or `#` and a
//!   kind of them: `#mkdir`, `#write`, `#copy`, `#append`, `#link`, `#rename`, `#unlink`, `#rmdir`,
//!   `#sync`, `#chmod`, `#advisory`.
//! - `MODE` is `abort`, `error` (EIO), `enospc`, `exdev`, `emfile`, `invalid` (EINVAL: the document's
//!   fault, not the disk's), `short` (ENOSPC, after half of the bytes where an operation writes
//!   some), or `delay-MS`.
//!
//! `KBHOST_FAULT_TRACE=FILE` appends the name of each point passed, and behind that of a storage
//! operation a line with its number, and its number in its kind: `#17 rename:4`.
//!
//! `KBHOST_TEST_NO_FILE_SYNC`, `KBHOST_TEST_NO_DIR_SYNC`, `KBHOST_TEST_NO_LOCK` and
//! `KBHOST_TEST_NO_JOURNAL` leave out what they name, and with `KBHOST_TEST_IN_PLACE` the list of
//! pages is written over instead of replaced: a rig that does not notice proves nothing.

use std::fs::File;
use std::io;

/// The kinds of storage operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Mkdir,
    Write,
    Copy,
    Append,
    Link,
    Rename,
    Unlink,
    Rmdir,
    Sync,
    Chmod,
    Advisory,
}

#[cfg(not(feature = "fault-points"))]
pub(super) use silent::{copy, is_left_out, operation, point, write_all};

#[cfg(feature = "fault-points")]
pub(super) use armed::{copy, is_left_out, operation, point, write_all, writes_in_place};

#[cfg(not(feature = "fault-points"))]
mod silent {
    #![expect(clippy::unnecessary_wraps, reason = "with the feature they fail")]

    use std::io::Write as _;

    use super::{File, Kind, io};

    /// Passes a fault point.
    #[inline]
    pub(in crate::mutation) fn point(_name: &str) -> io::Result<()> {
        Ok(())
    }

    /// Begins a storage operation at a fault point.
    #[inline]
    pub(in crate::mutation) fn operation(_kind: Kind, _name: &str) -> io::Result<()> {
        Ok(())
    }

    /// Writes the bytes of an operation.
    #[inline]
    pub(in crate::mutation) fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    /// Copies the bytes of an operation.
    #[inline]
    pub(in crate::mutation) fn copy(from: &mut File, to: &mut File) -> io::Result<()> {
        io::copy(from, to).map(drop)
    }

    /// Whether a rig runs without a part of the protection.
    #[inline]
    pub(in crate::mutation) fn is_left_out(_part: &str) -> bool {
        false
    }
}

#[cfg(feature = "fault-points")]
mod armed {
    use std::cell::Cell;
    use std::io::{Read as _, Write as _};
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::fs::{Mode, OFlags};
    use rustix::io::Errno;

    use super::{File, Kind, io};

    /// Number of [`Kind`]s.
    const KINDS: usize = Kind::Advisory as usize + 1;

    thread_local! {
        /// The operation that has begun writes half of its bytes.
        static IS_SHORT: Cell<bool> = const { Cell::new(false) };
    }

    /// What a rig asked for.
    #[derive(Debug)]
    struct Fault {
        at: Place,
        mode: Injected,
        nth: u64,
        /// From the N-th on, not the N-th alone.
        for_good: bool,
        passed: AtomicU64,
    }

    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Place {
        Point(String),
        Points(String),
        Operation,
        OperationOf(String),
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Injected {
        Abort,
        Error(Errno),
        Short,
        Delay(Duration),
    }

    /// Passes a fault point.
    ///
    /// # Errors
    /// The injected error.
    pub(in crate::mutation) fn point(name: &str) -> io::Result<()> {
        trace(name);
        pass(|place| match place {
            Place::Point(point) => name == point,
            Place::Points(prefix) => name.starts_with(prefix),
            Place::Operation | Place::OperationOf(_) => false,
        })
    }

    /// Begins a storage operation at a fault point.
    ///
    /// # Errors
    /// The injected error: the operation is not carried out.
    pub(in crate::mutation) fn operation(kind: Kind, name: &str) -> io::Result<()> {
        static ALL: AtomicU64 = AtomicU64::new(0);
        static BY_KIND: [AtomicU64; KINDS] = [const { AtomicU64::new(0) }; KINDS];
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::SeqCst) + 1;
        let (number, of_kind) = (count(&ALL), count(&BY_KIND[kind as usize]));
        let kind_name = kind_name(kind);
        trace(&format!("{name}\n#{number} {kind_name}:{of_kind}"));
        IS_SHORT.set(false);
        pass(|place| match place {
            Place::Point(point) => name == point,
            Place::Points(prefix) => name.starts_with(prefix),
            Place::Operation => true,
            Place::OperationOf(wanted) => kind_name == wanted,
        })?;
        let writes = matches!(
            kind,
            Kind::Write | Kind::Copy | Kind::Append | Kind::Advisory
        );
        if IS_SHORT.get() && !writes {
            return Err(Errno::NOSPC.into());
        }
        Ok(())
    }

    /// Writes the bytes of an operation, half of them if a rig wants that.
    ///
    /// # Errors
    /// If they cannot be written, all of them.
    pub(in crate::mutation) fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if !IS_SHORT.take() {
            return file.write_all(bytes);
        }
        file.write_all(&bytes[..bytes.len() / 2])?;
        Err(Errno::NOSPC.into())
    }

    /// Copies the bytes of an operation, half of them if a rig wants that.
    ///
    /// # Errors
    /// If they cannot be copied, all of them.
    pub(in crate::mutation) fn copy(from: &mut File, to: &mut File) -> io::Result<()> {
        if !IS_SHORT.take() {
            return io::copy(from, to).map(drop);
        }
        let half = from.metadata()?.len() / 2;
        io::copy(&mut from.take(half), to)?;
        Err(Errno::NOSPC.into())
    }

    /// Whether a rig runs without a part of the protection, to see that it notices: `FILE_SYNC`,
    /// `DIR_SYNC`, `LOCK` or `JOURNAL`.
    pub(in crate::mutation) fn is_left_out(part: &str) -> bool {
        std::env::var_os(format!("KBHOST_TEST_NO_{part}")).is_some()
    }

    /// Whether a rig wants the list of pages written over, to see that it notices.
    pub(in crate::mutation) fn writes_in_place() -> bool {
        std::env::var_os("KBHOST_TEST_IN_PLACE").is_some()
    }

    fn kind_name(kind: Kind) -> &'static str {
        match kind {
            Kind::Mkdir => "mkdir",
            Kind::Write => "write",
            Kind::Copy => "copy",
            Kind::Append => "append",
            Kind::Link => "link",
            Kind::Rename => "rename",
            Kind::Unlink => "unlink",
            Kind::Rmdir => "rmdir",
            Kind::Sync => "sync",
            Kind::Chmod => "chmod",
            Kind::Advisory => "advisory",
        }
    }

    /// Lets each fault whose place this is have its turn.
    fn pass(is_here: impl Fn(&Place) -> bool) -> io::Result<()> {
        static FAULTS: OnceLock<Vec<Fault>> = OnceLock::new();
        let faults = FAULTS.get_or_init(|| {
            let text = std::env::var("KBHOST_FAULT").unwrap_or_default();
            let parts = text.split(',').filter(|part| !part.is_empty());
            // A misspelt fault would make a rig pass for nothing.
            parts
                .map(|part| parse(part).unwrap_or_else(|| panic!("KBHOST_FAULT: no fault: {part}")))
                .collect()
        });
        faults
            .iter()
            .filter(|fault| is_here(&fault.at))
            .try_for_each(strike)
    }

    fn strike(fault: &Fault) -> io::Result<()> {
        let passed = fault.passed.fetch_add(1, Ordering::SeqCst) + 1;
        if passed != fault.nth && !(fault.for_good && passed > fault.nth) {
            return Ok(());
        }
        match fault.mode {
            Injected::Abort => std::process::abort(),
            Injected::Error(errno) => Err(errno.into()),
            Injected::Short => {
                IS_SHORT.set(true);
                Ok(())
            }
            Injected::Delay(time) => {
                std::thread::sleep(time);
                Ok(())
            }
        }
    }

    fn parse(text: &str) -> Option<Fault> {
        let mut parts = text.split(':');
        let place = parts.next().filter(|place| !place.is_empty())?;
        let at = match (place.strip_prefix('#'), place.strip_suffix('*')) {
            (Some("op"), _) => Place::Operation,
            (Some(kind), _) => Place::OperationOf(kind.to_owned()),
            (None, Some(prefix)) => Place::Points(prefix.to_owned()),
            (None, None) => Place::Point(place.to_owned()),
        };
        let mode = mode(parts.next().unwrap_or("error"))?;
        let nth = parts.next().unwrap_or("1");
        let (nth, for_good) = match nth.strip_suffix('+') {
            Some(nth) => (nth, true),
            None => (nth, false),
        };
        let whole = parts.next().is_none();
        whole.then_some(Fault {
            at,
            mode,
            nth: nth.parse().ok()?,
            for_good,
            passed: AtomicU64::new(0),
        })
    }

    fn mode(text: &str) -> Option<Injected> {
        Some(match text {
            "abort" => Injected::Abort,
            "error" => Injected::Error(Errno::IO),
            "enospc" => Injected::Error(Errno::NOSPC),
            "exdev" => Injected::Error(Errno::XDEV),
            "emfile" => Injected::Error(Errno::MFILE),
            "invalid" => Injected::Error(Errno::INVAL),
            "short" => Injected::Short,
            delay => {
                let millis = delay.strip_prefix("delay-")?.parse().ok()?;
                Injected::Delay(Duration::from_millis(millis))
            }
        })
    }

    fn trace(lines: &str) {
        let Some(path) = std::env::var_os("KBHOST_FAULT_TRACE") else {
            return;
        };
        // A trace that cannot be written shows in the rig that reads it.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
        if let Ok(fd) = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)) {
            drop(File::from(fd).write_all(format!("{lines}\n").as_bytes()));
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn faults_are_read_as_documented() {
            let check = |text: &str, expected: Option<(Place, Injected, u64, bool)>| {
                let found = parse(text);
                let found = found.map(|fault| (fault.at, fault.mode, fault.nth, fault.for_good));
                assert_eq!(found, expected, "{text}");
            };
            let point = |name: &str| Place::Point(name.to_owned());
            let eio = Injected::Error(Errno::IO);
            check("plan.before", Some((point("plan.before"), eio, 1, false)));
            check("a:abort:3", Some((point("a"), Injected::Abort, 3, false)));
            check("a:short:3+", Some((point("a"), Injected::Short, 3, true)));
            let delay = Injected::Delay(Duration::from_millis(20));
            let drains = Place::Points("drain.".to_owned());
            check("drain.*:delay-20", Some((drains, delay, 1, false)));
            check("#op:error:7", Some((Place::Operation, eio, 7, false)));
            let link = Place::OperationOf("link".to_owned());
            let exdev = Injected::Error(Errno::XDEV);
            check("#link:exdev:1+", Some((link, exdev, 1, true)));
            for nonsense in ["", ":abort", "a:aborted", "a:abort:x", "a:abort:1:2"] {
                check(nonsense, None);
            }
        }

        #[test]
        fn a_short_write_leaves_half() {
            let dir = tempfile::tempdir().unwrap();
            let write = |name: &str, is_short: bool| {
                let path = dir.path().join(name);
                let fd = rustix::fs::open(
                    &path,
                    OFlags::WRONLY | OFlags::CREATE,
                    Mode::from_raw_mode(0o600),
                );
                IS_SHORT.set(is_short);
                let written = write_all(&mut File::from(fd.unwrap()), b"12345678");
                (written.is_ok(), std::fs::read(path).unwrap())
            };
            assert_eq!(write("half", true), (false, b"1234".to_vec()));
            assert_eq!(write("whole", false), (true, b"12345678".to_vec()));
        }
    }
}
