//! What recovery could not settle: how often undoing failed, and where a journal goes that nobody
//! but a person may decide about.
//!
//! Invariant: a journal that is given up is moved, never deleted. In `quarantine/` it is a barrier,
//! in `accepted/` it is none.

use rustix::io::Errno;

use super::journal::{Journal, random_hex};
use super::storage::Storage;
use super::{AcquireError, MutationError};
use crate::kb::{KbError, KbPath, KbRoot, PathError, SafeLine, layout};

/// A change that could not be undone this often, for reasons that are not the disk's, will not be
/// undone the next time either.
pub(super) const ATTEMPTS_MAX: u32 = 5;

/// The file of the count holds one small number; more is not one.
const COUNT_BYTES_MAX: u64 = 16;

/// Characters of an id that go into the name of where its journal is kept: with a random suffix the
/// name stays below 255 bytes whatever the id was.
const NAME_CHARS_MAX: usize = 60;

/// Whether a failure to undo counts as an attempt. A disk that is full, read-only or broken, missing
/// rights and missing handles say nothing about the journal: they can pass.
pub(super) fn counts(error: &MutationError) -> bool {
    let source = match error {
        MutationError::Path(error) | MutationError::Kb(KbError::Path(error)) => &error.source,
        _ => return true,
    };
    !matches!(
        source.raw_os_error().map(Errno::from_raw_os_error),
        Some(
            Errno::NOSPC
                | Errno::DQUOT
                | Errno::IO
                | Errno::ACCESS
                | Errno::PERM
                | Errno::BUSY
                | Errno::STALE
                | Errno::TIMEDOUT
                | Errno::ROFS
                | Errno::MFILE
                | Errno::NFILE
                | Errno::NOMEM
        )
    )
}

/// How often undoing the journal in `dir` failed; 0 if no valid count is there. One that was
/// tampered with only starts the count anew.
pub(super) fn attempts(root: &KbRoot, dir: &KbPath) -> u32 {
    let count = dir.join("attempts").ok();
    let bytes = count.and_then(|path| root.read(&path, COUNT_BYTES_MAX).ok().flatten());
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.trim_end().parse().ok())
        .unwrap_or(0)
}

/// Counts one more failure, durably, and returns how many there are. A crash leaves the old count or
/// the new one.
///
/// # Errors
/// If it cannot be written; the old count stays.
pub(super) fn count_attempt(storage: &Storage, id: &str) -> Result<u32, MutationError> {
    let dir = Journal::dir(id);
    let count = attempts(storage.root(), &dir).saturating_add(1);
    let name = |name| dir.join(name).map_err(KbError::from);
    let (draft, whole) = (name("attempts.tmp")?, name("attempts")?);
    storage.unlink("attempts.clear", &draft)?;
    storage.write_new(
        "attempts.write",
        &draft,
        format!("{count}\n").as_bytes(),
        0o600,
    )?;
    storage.sync("attempts.sync", std::slice::from_ref(&draft), &[])?;
    storage.rename("attempts.rename", &draft, &whole)?;
    storage.sync("attempts.sync-dir", &[], &[dir])?;
    Ok(count)
}

/// Moves the journal `id` of ours into quarantine, with all it holds; tells where it is.
///
/// # Errors
/// If it cannot be moved; it is where it was.
pub(super) fn quarantine(storage: &Storage, id: &str) -> Result<KbPath, AcquireError> {
    let from = layout::journal_dir().join(id).map_err(KbError::from)?;
    storage.make_dir("quarantine.mkdir", &layout::quarantine_dir())?;
    let to = fresh(&layout::quarantine_dir(), id, "")?;
    storage.rename("quarantine.rename", &from, &to)?;
    storage.sync(
        "quarantine.sync",
        &[],
        &[
            layout::quarantine_dir(),
            layout::journal_dir(),
            layout::own_dir(),
        ],
    )?;
    Ok(to)
}

/// Moves what is left of a change to where it is kept for ever and stands in nobody's way; tells
/// where it is. `suffix` ends its new name.
///
/// # Errors
/// If it cannot be moved; it is where it was.
pub(super) fn accept(
    storage: &Storage,
    from: &KbPath,
    name: &str,
    suffix: &str,
) -> Result<KbPath, AcquireError> {
    storage.make_dir("accept.mkdir-own", &layout::own_dir())?;
    storage.make_dir("accept.mkdir", &layout::accepted_dir())?;
    let to = fresh(&layout::accepted_dir(), name, suffix)?;
    storage.rename("accept.rename", from, &to)?;
    let mut dirs = vec![layout::accepted_dir(), layout::own_dir()];
    dirs.extend(from.parent());
    storage.sync("accept.sync", &[], &dirs)?;
    Ok(to)
}

/// Moves a journal out of quarantine, back to where recovery finds it under its id.
///
/// # Errors
/// If it cannot be moved, or the id is taken; it is where it was.
pub(super) fn bring_back(storage: &Storage, from: &KbPath, id: &str) -> Result<(), AcquireError> {
    let to = Journal::dir(id);
    if storage.exists(&to)? {
        let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(PathError::new("rename", storage.root().join(&to), taken).into());
    }
    storage.make_dir("quarantine.back-mkdir", &layout::journal_dir())?;
    storage.rename("quarantine.back", from, &to)?;
    storage.sync(
        "quarantine.back-sync",
        &[],
        &[layout::journal_dir(), layout::quarantine_dir()],
    )?;
    Ok(())
}

/// A name in `dir` that nobody has: random digits, because a journal of the same id may be there.
fn fresh(dir: &KbPath, name: &str, suffix: &str) -> Result<KbPath, AcquireError> {
    let name = SafeLine::with_max(name, NAME_CHARS_MAX);
    let target = dir.join(&format!("{name}-{}{suffix}", random_hex(4)?));
    Ok(target.map_err(KbError::from)?)
}

/// The id of a journal in quarantine, from its name there.
pub(super) fn id_of(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_that_will_come_again_count() {
        let check = |errno: Errno, expected: bool| {
            let path = || PathError::new("link", "x", errno);
            assert_eq!(counts(&MutationError::Path(path())), expected, "{errno}");
            let kb = MutationError::Kb(KbError::Path(path()));
            assert_eq!(counts(&kb), expected, "{errno}");
        };
        for errno in [
            Errno::NOSPC,
            Errno::DQUOT,
            Errno::IO,
            Errno::ACCESS,
            Errno::ROFS,
            Errno::MFILE,
            Errno::NFILE,
            Errno::NOMEM,
        ] {
            check(errno, false);
        }
        for errno in [Errno::INVAL, Errno::NOENT, Errno::LOOP, Errno::ISDIR] {
            check(errno, true);
        }
        assert!(counts(&MutationError::Restless("x".to_owned())));
    }

    #[test]
    fn a_name_in_quarantine_tells_its_id() {
        assert_eq!(
            id_of("000000000009-deadbeef-01234567"),
            "000000000009-deadbeef"
        );
        assert_eq!(id_of("planted"), "planted");
    }
}
