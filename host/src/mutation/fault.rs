//! Named fault points: where the rigs kill, fail or delay a mutation. Without the feature
//! `fault-points` a point is nothing.
//!
//! `KBHOST_FAULT=POINT:MODE[:N]` acts at the N-th passing (from 1, default 1) of the point;
//! `MODE` is `abort`, `error` (EIO), `enospc`, `exdev`, `invalid` (EINVAL: the document's fault, not
//! the disk's), or `delay-MS`. `POINT` may end in `*`. Several faults are separated by commas.
//! `KBHOST_FAULT_TRACE=FILE` appends the name of each point passed. `KBHOST_TEST_NO_JOURNAL` leaves
//! out what it names: a rig that does not notice proves nothing.

use std::io;

/// Passes a fault point.
///
/// # Errors
/// The injected error.
#[cfg(not(feature = "fault-points"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it fails")]
#[inline]
pub(super) fn point(_name: &str) -> io::Result<()> {
    Ok(())
}

/// Whether a rig runs without a part of the protection, to see that it notices: `JOURNAL`.
#[cfg(not(feature = "fault-points"))]
#[inline]
pub(super) fn is_left_out(_part: &str) -> bool {
    false
}

#[cfg(feature = "fault-points")]
pub(super) use armed::{is_left_out, point};

#[cfg(feature = "fault-points")]
mod armed {
    use super::io;
    use std::io::Write as _;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rustix::fs::{Mode, OFlags};

    struct Fault {
        pattern: String,
        mode: String,
        at: u64,
        passed: AtomicU64,
    }

    /// Passes a fault point.
    ///
    /// # Errors
    /// The injected error.
    pub(in crate::mutation) fn point(name: &str) -> io::Result<()> {
        static FAULTS: OnceLock<Vec<Fault>> = OnceLock::new();
        trace(name);
        let faults = FAULTS.get_or_init(|| {
            let text = std::env::var("KBHOST_FAULT").unwrap_or_default();
            text.split(',').filter_map(parse).collect()
        });
        faults.iter().try_for_each(|fault| pass(fault, name))
    }

    /// Whether a rig runs without a part of the protection, to see that it notices: `JOURNAL`.
    pub(in crate::mutation) fn is_left_out(part: &str) -> bool {
        std::env::var_os(format!("KBHOST_TEST_NO_{part}")).is_some()
    }

    fn pass(fault: &Fault, name: &str) -> io::Result<()> {
        let hit = match fault.pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == fault.pattern,
        };
        if !hit || fault.passed.fetch_add(1, Ordering::SeqCst) + 1 != fault.at {
            return Ok(());
        }
        match fault.mode.as_str() {
            "abort" => std::process::abort(),
            "enospc" => Err(rustix::io::Errno::NOSPC.into()),
            "invalid" => Err(rustix::io::Errno::INVAL.into()),
            "exdev" => Err(rustix::io::Errno::XDEV.into()),
            delay if delay.starts_with("delay-") => {
                let millis = delay["delay-".len()..].parse().unwrap_or(0);
                std::thread::sleep(Duration::from_millis(millis));
                Ok(())
            }
            _ => Err(rustix::io::Errno::IO.into()),
        }
    }

    fn parse(text: &str) -> Option<Fault> {
        let mut parts = text.split(':');
        let pattern = parts.next().filter(|name| !name.is_empty())?.to_owned();
        let mode = parts.next().unwrap_or("error").to_owned();
        let at = parts.next().and_then(|n| n.parse().ok()).unwrap_or(1);
        Some(Fault {
            pattern,
            mode,
            at,
            passed: AtomicU64::new(0),
        })
    }

    fn trace(name: &str) {
        let Some(path) = std::env::var_os("KBHOST_FAULT_TRACE") else {
            return;
        };
        // A trace that cannot be written shows in the rig that reads it.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
        if let Ok(fd) = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600)) {
            drop(writeln!(std::fs::File::from(fd), "{name}"));
        }
    }
}
