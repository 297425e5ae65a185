//! Journals of OpenKB, version 1: `.openkb/journal/<id>.json` names what a change of its touches and
//! where the copies are from before. An active one is a barrier for our mutations; `recover` settles
//! it by OpenKB's own rules, the lock that both programs take being held.
//!
//! Such a journal is an instruction to delete files, and its paths are absolute. Each is taken apart
//! into the part beneath this KB's root, or beneath the journal's own `kb_dir` when the KB was moved
//! since; that part is all that is used, beneath the root handle and without following links. So a
//! planted `kb_dir` can at most name another file of this KB, and only where OpenKB itself writes.
//!
//! OpenKB goes on after a rollback that failed: what such a journal would restore may lie beneath
//! newer changes. So only one of which the registry shows that nothing came after it is rolled back
//! without asking.
//!
//! Invariant: nothing is touched unless every path of a journal is allowed, and no bytes are
//! replaced or deleted that are not in the backup or in `conflicts/`.

mod doubt;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;

use super::journal::JOURNALS_MAX;
use super::storage::Storage;
use super::{MutationError, undo};
use crate::kb::{KbError, KbPath, KbRoot, PathError, SafeLine, layout};

/// OpenKB's journals list a few hundred paths.
const FOREIGN_BYTES_MAX: u64 = 16 << 20;

/// Some thirty times as many, and few enough to be kept for all journals at once.
const ENTRIES_MAX: usize = 10_000;

/// OpenKB's ids are 32 hexadecimal digits; a longer name is none, and would not fit the names made
/// from it.
const ID_BYTES_MAX: usize = 64;

/// A journal of OpenKB that is not settled.
#[derive(Debug)]
pub(super) struct Foreign {
    /// The name of its file.
    pub(super) name: String,
    /// What OpenKB did; a stranger's word.
    pub(super) operation: String,
    pub(super) verdict: Verdict,
    /// How often OpenKB failed to roll it back.
    pub(super) attempts: u32,
    /// Why it is not rolled back without asking, if there is a reason.
    pub(super) doubt: Option<String>,
    /// When it was last written. The newest comes first in the list; what it did need not be the
    /// newest, for OpenKB writes a journal anew when it fails to roll it back.
    modified: SystemTime,
}

/// What can be done about it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Every path lies inside this KB, where OpenKB writes.
    Inside(Rollback),
    /// This path does not.
    Outside(String),
    /// It is no journal; why.
    Malformed(String),
}

/// What to restore.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rollback {
    backup_dir: KbPath,
    /// Target, and where the copy of what it was lies; `None` if it was not there.
    entries: Vec<(KbPath, Option<KbPath>)>,
}

impl Rollback {
    /// The paths that it restores.
    pub(super) fn targets(&self) -> Vec<KbPath> {
        self.entries.iter().map(|(path, _)| path.clone()).collect()
    }
}

#[derive(Deserialize)]
struct Head {
    version: u32,
    status: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    attempts: u32,
}

#[derive(Deserialize)]
struct Body {
    kb_dir: String,
    backup_dir: String,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    target: String,
    backup: Option<String>,
}

/// The journals of OpenKB that are not settled, the newest first: a change of OpenKB does not wait
/// for an older one that could not be rolled back, so there can be several.
///
/// # Errors
/// If the KB cannot be read, or there are more than OpenKB leaves.
pub(super) fn unsettled(root: &KbRoot) -> Result<Vec<Foreign>, KbError> {
    let mut found = Vec::new();
    for name in root.list_dir(&layout::openkb_journal_dir())? {
        if name.ends_with(".json")
            && let Ok(path) = layout::openkb_journal_dir().join(&name)
        {
            found.extend(look(root, name, &path)?);
        }
        if found.len() > JOURNALS_MAX {
            return Err(KbError::TooManyJournals(layout::openkb_journal_dir()));
        }
    }
    found.sort_by(|a, b| (b.modified, &b.name).cmp(&(a.modified, &a.name)));
    let is_alone = found.len() == 1;
    for foreign in &mut found {
        foreign.doubt = match &foreign.verdict {
            Verdict::Inside(_) if !is_alone => Some(
                "OpenKB left several, and nobody can tell which of them is the newest".to_owned(),
            ),
            Verdict::Inside(_) if foreign.attempts > 0 => Some(
                "OpenKB failed to roll it back before and went on, so that newer changes of its \
                 can lie on top"
                    .to_owned(),
            ),
            Verdict::Inside(rollback) => doubt::doubt(root, rollback),
            Verdict::Outside(_) | Verdict::Malformed(_) => None,
        };
    }
    Ok(found)
}

/// Reads one journal; `None` if it is settled.
fn look(root: &KbRoot, name: String, path: &KbPath) -> Result<Option<Foreign>, KbError> {
    let mut foreign = Foreign {
        name,
        operation: String::new(),
        verdict: Verdict::Malformed("it is a symbolic link".to_owned()),
        attempts: 0,
        doubt: None,
        modified: SystemTime::UNIX_EPOCH,
    };
    let bytes = match root.read(path, FOREIGN_BYTES_MAX) {
        Ok(Some(bytes)) => bytes,
        // Gone since it was listed.
        Ok(None) => return Ok(None),
        Err(KbError::Symlink(_)) => return Ok(Some(foreign)),
        // Not the system's word but ours: it is too large, or no regular file.
        Err(KbError::Path(error)) if error.source.raw_os_error().is_none() => {
            foreign.verdict = Verdict::Malformed(error.source.to_string());
            return Ok(Some(foreign));
        }
        Err(error) => return Err(error),
    };
    let metadata = root.open_file(path)?.and_then(|file| file.metadata().ok());
    if let Some(modified) = metadata.and_then(|metadata| metadata.modified().ok()) {
        foreign.modified = modified;
    }
    let stem = foreign.name.strip_suffix(".json").unwrap_or_default();
    foreign.verdict = match serde_json::from_slice::<Head>(&bytes) {
        Ok(head) if matches!(head.status.as_str(), "committed" | "rolled_back") => return Ok(None),
        Ok(head) => {
            let verdict = judge(root.path(), stem, &head, &bytes);
            foreign.operation = head.operation;
            foreign.attempts = head.attempts;
            verdict
        }
        Err(error) => Verdict::Malformed(error.to_string()),
    };
    Ok(Some(foreign))
}

fn judge(root: &Path, stem: &str, head: &Head, bytes: &[u8]) -> Verdict {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if stem.is_empty() || stem.len() > ID_BYTES_MAX || !stem.chars().all(plain) {
        return Verdict::Malformed("its name is no id of OpenKB's".to_owned());
    }
    if head.version != 1 {
        return Verdict::Malformed(format!("version {} is not 1", head.version));
    }
    if head.status != "active" {
        return Verdict::Malformed(format!("its status is `{}`", head.status));
    }
    let body: Body = match serde_json::from_slice(bytes) {
        Ok(body) => body,
        Err(error) => return Verdict::Malformed(error.to_string()),
    };
    if body.entries.len() > ENTRIES_MAX {
        return Verdict::Malformed(format!("it has more than {ENTRIES_MAX} entries"));
    }
    let inside = |text: &str| locate(root, &body.kb_dir, text);
    let Some(backup_dir) = inside(&body.backup_dir).filter(is_backup_dir) else {
        return Verdict::Outside(body.backup_dir.clone());
    };
    let mut entries = Vec::with_capacity(body.entries.len());
    for Entry { target, backup } in &body.entries {
        let Some(path) = inside(target).filter(|path| is_target(path, backup.is_some())) else {
            return Verdict::Outside(target.clone());
        };
        let kept = match backup {
            None => None,
            Some(text) => match inside(text).filter(|path| path.starts_with(&backup_dir)) {
                Some(path) if path != backup_dir => Some(path),
                _ => return Verdict::Outside(text.clone()),
            },
        };
        entries.push((path, kept));
    }
    // What lies deepest comes first, as OpenKB does it.
    entries.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
    Verdict::Inside(Rollback {
        backup_dir,
        entries,
    })
}

/// The part of an absolute path beneath this KB, or beneath where the KB was when the journal was
/// written.
fn locate(root: &Path, kb_dir: &str, text: &str) -> Option<KbPath> {
    let beneath = |dir: &str| {
        let dir = dir.strip_suffix('/').unwrap_or(dir);
        let rest = text.strip_prefix(dir)?.strip_prefix('/')?;
        dir.starts_with('/').then_some(rest)
    };
    let rest = root
        .to_str()
        .and_then(beneath)
        .or_else(|| beneath(kb_dir))?;
    KbPath::new(rest).ok()
}

fn is_backup_dir(path: &KbPath) -> bool {
    path.parent() == Some(layout::staging_dir()) && path.file_name().starts_with("rollback-")
}

/// Whether OpenKB's changes touch `path`: originals and pages, its registry, the index of long
/// documents with what SQLite keeps beside it; and copies of long documents, which it only adds.
fn is_target(path: &KbPath, has_backup: bool) -> bool {
    const FILES: [&str; 5] = [
        ".openkb/hashes.json",
        ".openkb/pageindex.db",
        ".openkb/pageindex.db-wal",
        ".openkb/pageindex.db-shm",
        ".openkb/pageindex.db-journal",
    ];
    let within = |dir: &KbPath| path.starts_with(dir) && path != dir;
    within(&layout::raw_dir())
        || within(&layout::wiki_dir())
        || FILES.contains(&path.as_str())
        || (!has_backup && within(&KbPath::fixed(".openkb/files")))
}

/// Whether a directory may go with all it holds: one of images, the folders of shared pages (a KB
/// that came through git lacks empty ones), and the parts of a long document.
fn is_disposable_dir(path: &KbPath) -> bool {
    ["wiki/sources/images", ".openkb/files"]
        .map(KbPath::fixed)
        .iter()
        .any(|dir| path.starts_with(dir) && path != dir)
        || matches!(path.as_str(), "wiki/concepts" | "wiki/entities")
}

/// Rolls an active journal of OpenKB back and removes it. Idempotent: a crash in the middle leaves
/// the journal, and the next one does the rest. Returns a line for each file that was kept aside.
///
/// # Errors
/// If a step fails, or what lies at a path is not what belongs there; the journal stays.
pub(super) fn settle(
    storage: &Storage,
    name: &str,
    rollback: &Rollback,
) -> Result<Vec<SafeLine>, MutationError> {
    for (target, backup) in &rollback.entries {
        look_before(storage, target, backup.as_ref())?;
    }
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let mut settling = Settling {
        storage,
        id: format!("openkb-{stem}"),
        kept: Vec::new(),
        files: Vec::new(),
        dirs: BTreeSet::new(),
    };
    for (target, backup) in &rollback.entries {
        match backup {
            None => settling.remove(target)?,
            Some(backup) if storage.is_dir(backup)? => settling.restore_dir(backup, target)?,
            Some(backup) => settling.restore_file(backup, target)?,
        }
    }
    let Settling {
        kept, files, dirs, ..
    } = settling;
    let dirs: Vec<KbPath> = dirs
        .into_iter()
        .filter(|dir| storage.exists(dir).unwrap_or(true))
        .collect();
    // As with our own: first what was restored, then the journal that could restore it, then the
    // copies.
    storage.sync("foreign.sync", &files, &dirs)?;
    let journal = layout::openkb_journal_dir();
    storage.unlink(
        "foreign.unlink",
        &journal.join(name).map_err(KbError::from)?,
    )?;
    storage.sync("foreign.unlink-sync", &[], &[journal])?;
    storage.remove_tree("foreign.remove", &rollback.backup_dir)?;
    Ok(kept)
}

/// Refuses what would stop the rollback in its middle.
fn look_before(
    storage: &Storage,
    target: &KbPath,
    backup: Option<&KbPath>,
) -> Result<(), MutationError> {
    let is_dir = storage.is_dir(target)?;
    let expects_dir = match backup {
        Some(backup) if storage.is_dir(backup)? => true,
        Some(backup) => {
            if storage.version(backup)?.is_none() {
                return Err(failed(storage, backup, rustix::io::Errno::NOENT));
            }
            false
        }
        None => is_dir && is_disposable_dir(target),
    };
    match (is_dir, expects_dir) {
        (true, true) => Ok(()),
        (true, false) => Err(failed(storage, target, rustix::io::Errno::ISDIR)),
        (false, _) => match storage.version(target)? {
            Some(_) if expects_dir => Err(failed(storage, target, rustix::io::Errno::NOTDIR)),
            _ => Ok(()),
        },
    }
}

fn failed(storage: &Storage, path: &KbPath, errno: rustix::io::Errno) -> MutationError {
    PathError::new("restore", storage.root().join(path), errno).into()
}

/// A rollback under way.
struct Settling<'a> {
    storage: &'a Storage,
    /// Under which kept files lie in `conflicts/`.
    id: String,
    kept: Vec<SafeLine>,
    files: Vec<KbPath>,
    dirs: BTreeSet<KbPath>,
}

impl Settling<'_> {
    fn restore_file(&mut self, backup: &KbPath, target: &KbPath) -> Result<(), MutationError> {
        let storage = self.storage;
        let (Some(wanted), Some(version)) = (storage.digest(backup)?, storage.version(backup)?)
        else {
            return Err(failed(storage, backup, rustix::io::Errno::NOENT));
        };
        match storage.digest(target)? {
            Some(now) if now == wanted => return Ok(()),
            Some(_) => self.keep(target)?,
            None => undo::make_parents(storage, target)?,
        }
        let temporary = undo::temporary(target, &self.id, 0)?;
        storage.unlink("foreign.clear", &temporary)?;
        storage.copy_new("foreign.copy", backup, &temporary, version.mode)?;
        storage.rename("foreign.rename", &temporary, target)?;
        self.files.push(target.clone());
        self.dirs.extend(target.parent());
        Ok(())
    }

    /// Makes a directory what its copy is; files that are the same are not touched.
    fn restore_dir(&mut self, backup: &KbPath, target: &KbPath) -> Result<(), MutationError> {
        let storage = self.storage;
        undo::make_parents(storage, target)?;
        if storage.make_dir("foreign.mkdir", target)? {
            self.dirs.extend(target.parent());
        }
        self.dirs.insert(target.clone());
        let wanted = storage.root().list_dir(backup)?;
        for name in &wanted {
            let (from, to) = (joined(backup, name)?, joined(target, name)?);
            if storage.is_dir(&from)? {
                self.restore_dir(&from, &to)?;
            } else {
                self.restore_file(&from, &to)?;
            }
        }
        for name in storage.root().list_dir(target)? {
            if wanted.binary_search(&name).is_err() {
                self.remove(&joined(target, &name)?)?;
            }
        }
        Ok(())
    }

    /// Removes what was not there before, once its bytes are kept.
    fn remove(&mut self, target: &KbPath) -> Result<(), MutationError> {
        let storage = self.storage;
        if storage.is_dir(target)? {
            for name in storage.root().list_dir(target)? {
                self.remove(&joined(target, &name)?)?;
            }
            storage.remove_dir("foreign.rmdir", target)?;
        } else if storage.version(target)?.is_some() {
            self.keep(target)?;
            storage.unlink("foreign.delete", target)?;
        } else {
            return Ok(());
        }
        self.dirs.extend(target.parent());
        Ok(())
    }

    fn keep(&mut self, path: &KbPath) -> Result<(), MutationError> {
        self.storage
            .make_dir("conflict.mkdir", &layout::own_dir())?;
        let kept = undo::set_aside(self.storage, &self.id, path, path)?;
        let line = format!("what was in `{path}` is kept as `{kept}`");
        self.kept.push(SafeLine::new(&line));
        Ok(())
    }
}

fn joined(dir: &KbPath, name: &str) -> Result<KbPath, KbError> {
    Ok(dir.join(name)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "/home/u/kb";

    fn verdict(kb_dir: &str, backup_dir: &str, target: &str, backup: Option<&str>) -> Verdict {
        let entries = serde_json::json!([{ "target": target, "backup": backup }]);
        let journal = serde_json::json!({
            "version": 1, "operation": "add", "status": "active", "kb_dir": kb_dir,
            "backup_dir": backup_dir, "details": {}, "attempts": 0, "entries": entries,
        });
        let bytes = serde_json::to_vec(&journal).unwrap();
        let head: Head = serde_json::from_slice(&bytes).unwrap();
        judge(Path::new(ROOT), "0123abcd", &head, &bytes)
    }

    #[test]
    fn only_paths_beneath_the_kb_are_taken() {
        let staging = "/home/u/kb/.openkb/staging/rollback-1";
        let check = |target: &str, expected: Option<&str>| {
            let found = match verdict(ROOT, staging, target, None) {
                Verdict::Inside(rollback) => Some(rollback.targets()[0].to_string()),
                Verdict::Outside(path) => {
                    assert_eq!(path, target);
                    None
                }
                Verdict::Malformed(reason) => panic!("{reason}"),
            };
            assert_eq!(found.as_deref(), expected, "{target}");
        };
        check("/home/u/kb/wiki/index.md", Some("wiki/index.md"));
        check("/home/u/kb/wiki/concepts", Some("wiki/concepts"));
        check(
            "/home/u/kb/.openkb/hashes.json",
            Some(".openkb/hashes.json"),
        );
        check(
            "/home/u/kb/.openkb/files/default/1.pdf",
            Some(".openkb/files/default/1.pdf"),
        );
        for outside in [
            "/etc/passwd",
            "/home/u/kb",
            "/home/u/kb/",
            "/home/u/kb/wiki",
            "/home/u/kb/raw/",
            "/home/u/kb/wiki/../../x",
            "/home/u/kb2/wiki/index.md",
            "/home/u/kb/.openkb/config.yaml",
            "/home/u/kb/.openkb/kbhost/registry.db",
            "/home/u/kb/.openkb/files",
            "/home/u/kb/.git/config",
            "wiki/index.md",
            "",
        ] {
            check(outside, None);
        }
    }

    #[test]
    fn a_kb_that_moved_is_mapped_and_nothing_else_is() {
        let old = "/mnt/old/kb";
        let staging = "/mnt/old/kb/.openkb/staging/rollback-1";
        let backup = "/mnt/old/kb/.openkb/staging/rollback-1/wiki/index.md";
        let found = verdict(old, staging, "/mnt/old/kb/wiki/index.md", Some(backup));
        let Verdict::Inside(rollback) = found else {
            panic!("{found:?}")
        };
        let kept = KbPath::fixed(".openkb/staging/rollback-1/wiki/index.md");
        assert_eq!(rollback.entries, [(layout::index_page(), Some(kept))]);
        let refused = |kb_dir: &str, staging: &str, target: &str, backup: Option<&str>| {
            let found = verdict(kb_dir, staging, target, backup);
            assert!(matches!(found, Verdict::Outside(_)), "{target}: {found:?}");
        };
        refused(old, staging, "/mnt/other/wiki/index.md", None);
        // Whatever a planted `kb_dir` says, only the part beneath it counts, and only in this KB.
        refused("/", "/.openkb/staging/rollback-1", "/etc/passwd", None);
        refused("", "/.openkb/staging/rollback-1", "/etc/passwd", None);
        refused(old, "/mnt/old/kb/wiki", "/mnt/old/kb/raw/a.md", None);
        refused(
            old,
            "/mnt/old/kb/.openkb/staging",
            "/mnt/old/kb/raw/a.md",
            None,
        );
        refused(
            old,
            staging,
            "/mnt/old/kb/raw/a.md",
            Some("/mnt/old/kb/raw/b.md"),
        );
        refused(old, staging, "/mnt/old/kb/raw/a.md", Some(staging));
    }

    #[test]
    fn what_is_no_journal_is_told() {
        let check = |stem: &str, text: &str, expected: &str| {
            let head: Head = serde_json::from_str(text).unwrap();
            let found = judge(Path::new(ROOT), stem, &head, text.as_bytes());
            let Verdict::Malformed(reason) = found else {
                panic!("{found:?}")
            };
            assert!(reason.contains(expected), "{reason}");
        };
        check("a b", r#"{"version":1,"status":"active"}"#, "no id");
        check(
            &"a".repeat(65),
            r#"{"version":1,"status":"active"}"#,
            "no id",
        );
        check("a", r#"{"version":2,"status":"active"}"#, "version 2");
        check("a", r#"{"version":1,"status":"half"}"#, "`half`");
        check("a", r#"{"version":1,"status":"active"}"#, "missing field");
    }
}
