//! Named fault points: where the rigs kill, fail or delay a mutation. Without the feature
//! `fault-points` a point is nothing.
//!
//! `KBHOST_FAULT=POINT:MODE[:N]` acts at the N-th passing (from 1, default 1) of the point;
//! `MODE` is `abort`, `error` (EIO), `enospc`, `exdev`, or `delay-MS`. `POINT` may end in `*`.
//! `KBHOST_FAULT_TRACE=FILE` appends the name of each point passed.

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

#[cfg(feature = "fault-points")]
pub(super) use armed::point;

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
        static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
        trace(name);
        let Some(fault) = FAULT.get_or_init(|| parse(&std::env::var("KBHOST_FAULT").ok()?)) else {
            return Ok(());
        };
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
        let pattern = parts.next()?.to_owned();
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
