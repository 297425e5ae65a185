//! Puts the KB back to what a journal says it was before. Idempotent: a crash in the middle leaves
//! a journal that undoes the rest.

use super::MutationError;
use super::journal::{Entry, Journal};
use super::storage::Storage;
use crate::kb::{ContentHash, KbPath, PathError, SafeLine, layout};

/// Undoes a mutation. The journal directory is gone afterwards.
///
/// Returns a warning for each file that somebody edited after the mutation wrote it: their version
/// is in `conflicts/`.
///
/// # Errors
/// If a step fails; the journal is still there.
pub(super) fn undo(storage: &Storage, journal: &Journal) -> Result<Vec<SafeLine>, MutationError> {
    let mut warnings = Vec::new();
    for (index, entry) in journal.entries.iter().enumerate() {
        warnings.extend(restore(storage, &journal.id, index, entry)?);
    }
    let mut dirs: Vec<_> = journal
        .entries
        .iter()
        .filter_map(|entry| entry.path.parent())
        .collect();
    for dir in journal.made_dirs.iter().rev() {
        if storage.remove_dir("undo.rmdir", dir)? {
            dirs.extend(dir.parent());
        }
    }
    dirs.sort();
    dirs.dedup();
    dirs.retain(|dir| storage.exists(dir).unwrap_or(true));
    let restored: Vec<KbPath> = journal
        .entries
        .iter()
        .filter(|entry| entry.before.is_some())
        .map(|entry| entry.path.clone())
        .filter(|path| storage.exists(path).unwrap_or(true))
        .collect();
    // What was restored is durable before the journal goes, else a power cut would leave neither the
    // old state nor the means to get there.
    storage.sync("undo.sync", &restored, &dirs)?;
    // Durably inactive before the pre-images go: a journal that came back without them could not be
    // undone again.
    if storage.unlink("undo.retire", &Journal::file(&journal.id))? {
        storage.sync("undo.retire-sync", &[], &[Journal::dir(&journal.id)])?;
    }
    retire(storage, &journal.id)?;
    Ok(warnings)
}

/// Removes the journal of a mutation that is committed or undone, first the file that makes it
/// active. Not synced: one of a committed mutation that comes back after a power cut is found
/// committed again.
///
/// # Errors
/// If a step fails.
pub(super) fn retire(storage: &Storage, id: &str) -> Result<(), PathError> {
    storage.unlink("journal.unlink", &Journal::file(id))?;
    storage.remove_tree("journal.remove", &Journal::dir(id))
}

/// Removes the folders of images and members whose last file went with a committed mutation, given
/// the paths that it deleted. A folder that somebody put something into stays.
///
/// # Errors
/// If a folder cannot be removed; the others are.
pub(super) fn remove_empty_part_dirs<'a>(
    storage: &Storage,
    gone: impl Iterator<Item = &'a KbPath>,
) -> Result<(), PathError> {
    let mut dirs: Vec<KbPath> = gone
        .filter_map(KbPath::parent)
        .filter(layout::is_part_dir)
        .collect();
    dirs.sort();
    dirs.dedup();
    let mut removed = Ok(());
    for dir in &dirs {
        removed = removed.and(storage.remove_dir("cleanup.part-dir", dir).map(drop));
    }
    removed
}

fn restore(
    storage: &Storage,
    id: &str,
    index: usize,
    entry: &Entry,
) -> Result<Option<SafeLine>, MutationError> {
    let state = |size: u64, hash: ContentHash| (size, hash);
    let before = entry
        .before
        .as_ref()
        .map(|before| state(before.size, before.sha256));
    let after = entry
        .after
        .as_ref()
        .map(|after| state(after.size, after.sha256));
    // Left by a crash between copying and renaming.
    let temporary = temporary(&entry.path, id, index)?;
    storage.unlink("undo.clear", &temporary)?;
    let now = storage.digest(&entry.path)?;
    if now == before {
        return Ok(None);
    }
    // Not replaced yet: what is there now is somebody's save, seen before it was written over.
    let is_unreplaced = is_unreplaced(storage, &Journal::dir(id), index, entry.after.is_none())?;
    if now.is_some() && now != after && is_unreplaced {
        return Ok(None);
    }
    let mut warning = None;
    if now.is_some() && now != after {
        let kept = set_aside(storage, id, &entry.path, &entry.path)?;
        warning = Some(SafeLine::new(&format!(
            "`{}` was edited during an unfinished change; that version is kept as `{kept}`",
            entry.path
        )));
    }
    let Some(before) = &entry.before else {
        storage.unlink("undo.unlink", &entry.path)?;
        return Ok(warning);
    };
    let image = Journal::image(id, &before.image).map_err(crate::kb::KbError::from)?;
    let kept = storage.digest(&image)?;
    if kept.is_some() && kept == now {
        return Ok(warning);
    }
    // An editor that wrote in place through the hard link, or a damaged disk: of the two versions
    // nobody knows which one is wanted, so neither is lost.
    if kept.is_some() && kept != Some((before.size, before.sha256)) && now.is_some() {
        let aside = set_aside(storage, id, &entry.path, &entry.path)?;
        warning = Some(SafeLine::new(&format!(
            "the kept version of `{}` is not the one that was recorded; it is back all the same, \
             and what it replaces is kept as `{aside}`",
            entry.path
        )));
    }
    make_parents(storage, &entry.path)?;
    link_or_copy(storage, "undo.link", &image, &temporary, before.mode)?;
    storage.rename("undo.rename", &temporary, &entry.path)?;
    Ok(warning)
}

/// Whether a mutation had not come to a path yet: what it was to put there still waits in the journal's
/// directory `dir`, or what it was to remove is not there yet. Of a staged file nobody can tell.
///
/// # Errors
/// If that cannot be looked at.
pub(super) fn is_unreplaced(
    storage: &Storage,
    dir: &KbPath,
    index: usize,
    removes: bool,
) -> Result<bool, PathError> {
    if removes {
        return Ok(!storage.exists(&Journal::removed_in(dir, index))?);
    }
    storage.exists(&Journal::rendered_in(dir, index))
}

/// Makes the directories that hold `path`, where somebody removed them meanwhile.
///
/// # Errors
/// If one cannot be made, or something else is there.
pub(super) fn make_parents(storage: &Storage, path: &KbPath) -> Result<(), PathError> {
    let mut missing = Vec::new();
    let mut above = path.parent();
    while let Some(dir) = above {
        if storage.exists(&dir)? {
            break;
        }
        above = dir.parent();
        missing.push(dir);
    }
    for dir in missing.iter().rev() {
        storage.make_dir("undo.mkdir", dir)?;
    }
    Ok(())
}

/// Keeps the version at `path` in `conflicts/<id>/`, under the name of `official`; tells where.
///
/// # Errors
/// If it cannot be kept.
pub(super) fn set_aside(
    storage: &Storage,
    id: &str,
    path: &KbPath,
    official: &KbPath,
) -> Result<KbPath, MutationError> {
    let invalid = crate::kb::KbError::from;
    let dir = layout::conflicts_dir().join(id).map_err(invalid)?;
    // A long path would not fit a name: its digest keeps the end unique.
    let flat = official.as_str().replace('/', "__");
    let flat = if flat.len() <= 200 {
        flat
    } else {
        let digits = &ContentHash::of(flat.as_bytes()).to_hex()[..16];
        format!(
            "{digits}-{}",
            &flat[flat.ceil_char_boundary(flat.len() - 180)..]
        )
    };
    let (_, hash) = storage
        .digest(path)?
        .ok_or_else(|| MutationError::Restless(path.to_string()))?;
    let digits = &hash.to_hex()[..8];
    // Named by its content: a copy that was cut off, or an older edit, is not taken for this one.
    let kept = dir.join(&format!("{digits}-{flat}")).map_err(invalid)?;
    for made in [&layout::conflicts_dir(), &dir] {
        storage.make_dir("conflict.mkdir", made)?;
    }
    if !storage.exists(&kept)? {
        // In the journal's directory, so that one that is cut off goes with the journal. A journal of
        // OpenKB has none.
        let draft = if storage.is_dir(&Journal::dir(id))? {
            Journal::dir(id).join(&format!("{digits}.draft"))
        } else {
            dir.join(&format!(".{digits}.tmp"))
        }
        .map_err(invalid)?;
        storage.unlink("conflict.clear", &draft)?;
        let mode = storage
            .version(path)?
            .map_or_else(|| storage.new_file_mode(), |version| version.mode);
        storage.copy_new("conflict.copy", path, &draft, mode)?;
        storage.sync("conflict.sync", std::slice::from_ref(&draft), &[])?;
        storage.rename("conflict.rename", &draft, &kept)?;
    }
    storage.sync(
        "conflict.sync-dirs",
        &[],
        &[dir, layout::conflicts_dir(), layout::own_dir()],
    )?;
    Ok(kept)
}

/// Hard-links, or copies where the file system cannot link.
///
/// # Errors
/// If neither works.
pub(super) fn link_or_copy(
    storage: &Storage,
    point: &str,
    from: &KbPath,
    to: &KbPath,
    mode: u32,
) -> Result<(), PathError> {
    use rustix::io::Errno;
    match storage.link(point, from, to) {
        Err(error) => match error.source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::XDEV | Errno::PERM | Errno::ACCESS | Errno::MLINK | Errno::OPNOTSUPP) => {
                storage.copy_new(point, from, to, mode)
            }
            _ => Err(error),
        },
        linked => linked,
    }
}

/// A name beside `path` for bytes on their way to it.
pub(super) fn temporary(path: &KbPath, id: &str, index: usize) -> Result<KbPath, MutationError> {
    let parent = path
        .parent()
        .ok_or_else(|| MutationError::Undeclared(path.to_string()))?;
    Ok(parent
        .join(&format!(".kbhost-{id}-{index}.tmp"))
        .map_err(crate::kb::KbError::from)?)
}
