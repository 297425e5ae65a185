//! The file system a KB lies on: whether its locks exclude anybody.
//!
//! On a local file system they do. On a network file system nobody here can tell: another machine may
//! not see them, and the registry's shared memory does not reach it either. A file system that another
//! program serves (FUSE, 9p, virtiofs) is tried out: a second process must not get the lock that this
//! one holds.

use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::storage::Storage;
use super::{AcquireError, LockOptions, lock};
use crate::kb::{KbRoot, PathError, SafeLine};
#[cfg(target_os = "linux")]
use crate::kb::{beneath, layout};
use crate::userdir::credentials::PAGEINDEX_VARIABLE;

/// The first argument of the second process that tries the lock. Not a command: help and completions
/// do not know it.
pub const PROBE_ARGUMENT: &str = "__probe-lock";

/// The second process's answers. Not 0 and not 1, which a program that knows nothing of this would
/// end with.
const EXCLUDED: u8 = 20;
const NOT_EXCLUDED: u8 = 21;
const NO_ANSWER: u8 = 22;

/// A process that only opens a file and ends takes longer only on a file system that hangs.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// KBs (device, inode of the root) whose locks this process has tried out.
static PROVEN: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

/// What a file system promises of its locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// They hold.
    Local,
    /// Another machine may not see them.
    Network,
    /// Another program serves it: nobody knows.
    Relayed,
}

/// What is left to do once the lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Trust {
    /// Nothing.
    Given,
    /// Call [`prove`]: the file system of this name was never tried out by this process.
    ToProve(&'static str),
}

/// Judges the file system of a KB that is to be changed.
///
/// # Errors
/// If it is a network file system and the user does not vouch for it.
pub(super) fn judge(root: &KbRoot, options: &LockOptions) -> Result<Trust, AcquireError> {
    if options.allow_network_fs {
        return Ok(Trust::Given);
    }
    let magic = magic(root).map_err(|e| PathError::new("look at", root.path(), e))?;
    let (kind, name) = kind(magic);
    match kind {
        Kind::Local => Ok(Trust::Given),
        Kind::Network => Err(refusal(
            root,
            name,
            "whose locks other machines may not see",
        )),
        Kind::Relayed if is_proven(root)? => Ok(Trust::Given),
        Kind::Relayed => Ok(Trust::ToProve(name)),
    }
}

/// Lets a second process try the lock that this one holds, and warns once if it was held off.
///
/// # Errors
/// If it got the lock, or could not try.
pub(super) fn prove(
    root: &KbRoot,
    name: &'static str,
    options: &LockOptions,
) -> Result<(), AcquireError> {
    match ask_second_process(root) {
        Ok(EXCLUDED) => {}
        Ok(NOT_EXCLUDED) => {
            let why = "whose locks hold nobody off: a second process got the same one";
            return Err(refusal(root, name, why));
        }
        Ok(_) | Err(_) => {
            return Err(refusal(root, name, "whose locks could not be tried out"));
        }
    }
    if let Some(on_warning) = &options.on_warning {
        on_warning(&SafeLine::new(&format!(
            "the knowledge base lies on a {name} file system: its lock held off a second process on \
             this machine; do not change it from another one at the same time"
        )));
    }
    let id = identity(root)?;
    PROVEN
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(id);
    Ok(())
}

/// What the second process does: tries the lock of the KB at `dir`, and answers by its exit code.
#[must_use]
pub fn answer_probe(dir: &std::path::Path) -> ExitCode {
    let tried = || -> Result<bool, AcquireError> {
        let root = Arc::new(KbRoot::open(dir)?);
        lock::is_free(&Storage::new(root))
    };
    ExitCode::from(match tried() {
        Ok(true) => NOT_EXCLUDED,
        Ok(false) => EXCLUDED,
        Err(_) => NO_ANSWER,
    })
}

/// This program once more, without input and without the user's key.
fn second_process(root: &KbRoot) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(PROBE_ARGUMENT)
        .arg(root.path())
        .env_remove(PAGEINDEX_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

fn ask_second_process(root: &KbRoot) -> std::io::Result<u8> {
    let mut child = second_process(root)?.spawn()?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.unwrap_or(NO_ANSWER));
        }
        if started.elapsed() > PROBE_MAX {
            child.kill()?;
            child.wait()?;
            return Ok(NO_ANSWER);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn refusal(root: &KbRoot, file_system: &'static str, why: &'static str) -> AcquireError {
    AcquireError::Medium {
        path: root.path().to_owned(),
        file_system,
        why,
    }
}

fn is_proven(root: &KbRoot) -> Result<bool, AcquireError> {
    let id = identity(root)?;
    let proven = PROVEN.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(proven.contains(&id))
}

fn identity(root: &KbRoot) -> Result<(u64, u64), AcquireError> {
    let stat = rustix::fs::fstat(root).map_err(|e| PathError::new("look at", root.path(), e))?;
    Ok((stat.st_dev, stat.st_ino))
}

/// The numbers are those of `statfs(2)` and the kernel's `magic.h`.
fn kind(magic: u64) -> (Kind, &'static str) {
    match magic {
        0x6969 => (Kind::Network, "NFS"),
        0x517B | 0xFF53_4D42 | 0xFE53_4D42 => (Kind::Network, "SMB"),
        0x5346_414F | 0x6B41_4653 => (Kind::Network, "AFS"),
        0x00C3_6400 => (Kind::Network, "Ceph"),
        0x7375_7245 => (Kind::Network, "Coda"),
        0x564C => (Kind::Network, "NCP"),
        // virtiofs has the number of FUSE.
        0x6573_5546 => (Kind::Relayed, "FUSE or virtiofs"),
        0x0102_1997 => (Kind::Relayed, "9p"),
        0x786F_4256 => (Kind::Relayed, "VirtualBox"),
        0x0BD0_0BD0 => (Kind::Relayed, "Lustre"),
        0x0116_1970 => (Kind::Relayed, "GFS2"),
        0x7461_636F => (Kind::Relayed, "OCFS2"),
        _ => (Kind::Local, "local"),
    }
}

#[cfg(target_os = "linux")]
fn magic(root: &KbRoot) -> std::io::Result<u64> {
    #[cfg(feature = "fault-points")]
    if let Some(magic) = magic_of_a_rig() {
        return Ok(magic);
    }
    // The locks and the registry lie there; it may be a mount of its own.
    let state = beneath::open(
        root,
        &layout::state_dir(),
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )?;
    let magic = rustix::fs::fstatfs(&state)?.f_type;
    // Numbers above 2^31 come sign-extended where the field is a signed word of 32 bits.
    Ok(u64::try_from(magic).unwrap_or_default() & 0xFFFF_FFFF)
}

#[cfg(not(target_os = "linux"))]
#[expect(clippy::unnecessary_wraps, reason = "on Linux it fails")]
fn magic(_root: &KbRoot) -> std::io::Result<u64> {
    Ok(0)
}

/// A rig's own answer, as hexadecimal digits: network file systems can rarely be mounted in a test.
#[cfg(all(target_os = "linux", feature = "fault-points"))]
fn magic_of_a_rig() -> Option<u64> {
    let digits = std::env::var("KBHOST_TEST_FS_MAGIC").ok()?;
    u64::from_str_radix(&digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_process_gets_no_key() {
        let kb = tempfile::tempdir().unwrap();
        rustix::fs::mkdir(kb.path().join(".openkb"), rustix::fs::Mode::RWXU).unwrap();
        let command = second_process(&KbRoot::open(kb.path()).unwrap()).unwrap();
        let removed = |(name, value): (&std::ffi::OsStr, Option<_>)| {
            name == PAGEINDEX_VARIABLE && value.is_none()
        };
        assert!(command.get_envs().any(removed));
    }

    #[test]
    fn network_file_systems_are_known_by_their_numbers() {
        let check = |magic, expected| assert_eq!(kind(magic).0, expected, "{magic:x}");
        check(0x6969, Kind::Network);
        check(0xFE53_4D42, Kind::Network);
        check(0xFF53_4D42, Kind::Network);
        check(0x6573_5546, Kind::Relayed);
        check(0x0102_1997, Kind::Relayed);
        // ext4, XFS, tmpfs, btrfs, overlay.
        for local in [0xEF53, 0x5846_5342, 0x0102_1994, 0x9123_683E, 0x794C_7630] {
            check(local, Kind::Local);
        }
    }
}
