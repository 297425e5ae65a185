//! The exchange with OpenKB: what the registry keeps for it, and `hashes.json` as an act of its own.
//!
//! The base of a three-way merge is what `hashes.json` held after our last export. It is not kept
//! whole: the registry is that base but for the names whose entries changed since, and their old
//! digests are kept in `openkb_base`. So a commit pays for what it changes, not for the KB.
//!
//! Invariant: an export's digest is registered before the file has its name; a file with neither of
//! the two registered digests was written by somebody else.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{OptionalExtension as _, params};
use serde::Serialize;
use serde_json::{Map, Value};

use super::guard::{self, MutationGuard};
use super::registry::{Registry, openkb_digest};
use super::{MutationError, OwnerOptions, drain};
use crate::kb::registry::EXCHANGE_SCHEMA;
use crate::kb::{ContentHash, KbError, KbPath, KbRoot, layout, names, openkb};

/// SQLite's number of `synchronous = NORMAL`.
const SYNCHRONOUS_NORMAL: i64 = 1;

/// What `kbhost registry export` did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The file.
    pub path: KbPath,
    /// Its entries.
    pub documents: u64,
    /// Whether the file was written; it may have been as it should be.
    pub written: bool,
    /// Where the file is now that was there before and could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<KbPath>,
}

/// How the folders are called into which an export moves a `hashes.json` that cannot be read.
pub(crate) const HASHES_ASIDE_PREFIX: &str = "hashes-damaged-";

/// Writes `hashes.json` from the registry, whatever the KB's settings say of exports. One that nobody
/// can read is set aside: there is nothing in it to merge.
///
/// # Errors
/// If the lock is not to be had, another program changed the file since we last wrote it, or it
/// cannot be written. A crash leaves the old file or the new one.
pub fn export_registry(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
) -> Result<Exported, MutationError> {
    let guard = guard::acquire_to_exchange(root, options)?;
    let set_aside = match openkb::read(root) {
        Err(KbError::HashesJson { .. }) => Some(set_unreadable_aside(&guard)?),
        _ => {
            drain::refuse_foreign_change(&guard.storage, &guard.registry)?;
            None
        }
    };
    let exported = Exported {
        set_aside,
        ..export(&guard)?
    };
    guard.release().checkpoint()?;
    Ok(exported)
}

/// Moves `hashes.json` into a folder of its own. A crash leaves it at one place or the other.
fn set_unreadable_aside(guard: &MutationGuard) -> Result<KbPath, MutationError> {
    let storage = &guard.storage;
    let time = guard.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let mut suffix = String::new();
    let mut n = 1;
    let dir = loop {
        let dir = layout::own_dir()
            .join(&format!("{HASHES_ASIDE_PREFIX}{time}{suffix}"))
            .expect("digits and dashes are one component");
        if !storage.exists(&dir)? {
            break dir;
        }
        n += 1;
        suffix = format!("-{n}");
    };
    storage.make_dir("export.aside", &dir)?;
    let kept = dir.join("hashes.json").map_err(KbError::from)?;
    storage.rename("export.keep", &layout::hashes_json(), &kept)?;
    storage.sync(
        "export.aside-sync",
        &[],
        &[dir, layout::own_dir(), layout::state_dir()],
    )?;
    Ok(kept)
}

/// Writes `hashes.json` under the guard.
///
/// # Errors
/// If it cannot be written.
pub(super) fn export(guard: &MutationGuard) -> Result<Exported, MutationError> {
    let (storage, registry) = (&guard.storage, &guard.registry);
    let entries = registry.export_entries()?;
    let text = openkb::render(&entries);
    let written = ContentHash::of(text.as_bytes()).to_hex();
    let found = openkb_digest(storage.root())?;
    let (path, draft) = (layout::hashes_json(), layout::hashes_json_draft());
    let exported = |is_new| Exported {
        path: path.clone(),
        documents: entries.len() as u64,
        written: is_new,
        set_aside: None,
    };
    let is_new = found != written;
    if is_new {
        // A killed export leaves its draft.
        storage.unlink("export.unlink", &draft)?;
        let mode = storage
            .version(&path)?
            .map_or_else(|| storage.new_file_mode(), |version| version.mode);
        storage.write_new("export.write", &draft, text.as_bytes(), mode)?;
        storage.sync("export.sync", std::slice::from_ref(&draft), &[])?;
    }
    storage.point("export.registry")?;
    registry.batch("BEGIN IMMEDIATE")?;
    let noted = registry
        .settle_base()
        .and_then(|()| registry.set_exchanged(&found, &written));
    if noted.is_err() {
        registry.abandon();
    }
    noted?;
    registry.commit().map_err(MutationError::Undecided)?;
    if is_new {
        storage.rename("export.rename", &draft, &path)?;
        storage.sync(
            "export.sync-dir",
            &[],
            &[layout::own_dir(), layout::state_dir()],
        )?;
        registry.note_export_written();
    }
    Ok(exported(is_new))
}

impl Registry {
    /// Adds the tables of the exchange to a registry from before there were any.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn add_exchange_tables(&self) -> Result<(), KbError> {
        let sql =
            "SELECT count(*) FROM sqlite_schema WHERE name IN ('openkb_extra', 'openkb_base')";
        let count: i64 = self
            .connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|e| self.failed(e))?;
        if count == 2 {
            return Ok(());
        }
        self.connection
            .execute_batch(&format!("BEGIN IMMEDIATE; {EXCHANGE_SCHEMA} COMMIT"))
            .map_err(|e| self.failed(e))
    }

    /// The entries of the documents that a clause selects.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn entries(
        &self,
        clause: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<(ContentHash, openkb::Entry)>, KbError> {
        let sql = format!(
            "SELECT hash, name, doc_name, type, source_key, raw_path, source_path, doc_id, origin, json \
             FROM documents LEFT JOIN openkb_extra USING (ordinal) {clause}"
        );
        let mut statement = self
            .connection
            .prepare_cached(&sql)
            .map_err(|e| self.failed(e))?;
        let rows = statement.query_map(params, |row| {
            let key: String = row.get(4)?;
            let extra: Option<String> = row.get(9)?;
            let entry = openkb::Entry {
                name: row.get(1)?,
                doc_name: row.get(2)?,
                kind: row.get(3)?,
                path: openkb::exported_path(&key),
                raw_path: row.get(5)?,
                source_path: row.get(6)?,
                doc_id: row.get(7)?,
                origin: row.get(8)?,
                // What is no object was not written by us: it means as little as none.
                extra: extra
                    .and_then(|json| serde_json::from_str(&json).ok())
                    .unwrap_or_default(),
            };
            Ok((ContentHash::from_bytes(row.get(0)?), entry))
        });
        rows.and_then(Iterator::collect).map_err(|e| self.failed(e))
    }

    /// Keeps the keys of an entry that mean nothing to us.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn set_extra(
        &self,
        ordinal: i64,
        extra: &Map<String, Value>,
    ) -> Result<(), MutationError> {
        if extra.is_empty() {
            let sql = "DELETE FROM openkb_extra WHERE ordinal = ?1";
            return self.execute(sql, params![ordinal]).map(drop);
        }
        let json = serde_json::to_string(extra).expect("a map of JSON serialises");
        self.execute(
            "INSERT OR REPLACE INTO openkb_extra (ordinal, json) VALUES (?1, ?2)",
            params![ordinal, json],
        )
        .map(drop)
    }

    /// Keeps what the entry of a name is before this transaction changes or removes it. Whoever writes
    /// or deletes a row of `documents` calls it first.
    ///
    /// # Errors
    /// If the registry cannot be read or written.
    pub(super) fn remember_base(&self, name_fold: &str) -> Result<(), MutationError> {
        let sql = "SELECT 1 FROM openkb_base WHERE name_fold = ?1";
        let known = self
            .connection
            .query_row(sql, [name_fold], |_| Ok(()))
            .optional()
            .map_err(MutationError::Registry)?;
        if known.is_some() {
            return Ok(());
        }
        let before = self.entries("WHERE name_fold = ?1", [name_fold])?;
        let digest = before.first().map(|(hash, entry)| entry.digest(hash));
        self.set_base(name_fold, digest.as_ref())
    }

    /// Once the last export is known to be the file that is there, it is the base. Called in each
    /// transaction before it changes an entry.
    ///
    /// # Errors
    /// If the registry cannot be written.
    pub(super) fn settle_base(&self) -> Result<(), MutationError> {
        let sql = if self.is_exported() {
            "DELETE FROM openkb_base WHERE exported > 0"
        } else {
            "UPDATE openkb_base SET exported = 1 WHERE exported = 2"
        };
        self.execute(sql, []).map(drop)
    }

    /// Notes that the last export has its name. It is a hint for a merge, which does without it, so it
    /// is not waited for; a failure is none of the export's.
    pub(super) fn note_export_written(&self) {
        if let Err(error) = self.note_unhurried() {
            tracing::debug!(%error, "that the export was written is not noted");
        }
    }

    /// NORMAL, not OFF: the log of this note alone is not synced, and a checkpoint that it sets off
    /// syncs the commits before it, which were acknowledged, as ever.
    fn note_unhurried(&self) -> rusqlite::Result<()> {
        let level = |name: &str| {
            self.connection
                .query_row(name, [], |row| row.get::<_, i64>(0))
        };
        let before = level("PRAGMA synchronous")?;
        if before > SYNCHRONOUS_NORMAL {
            self.connection
                .pragma_update(None, "synchronous", SYNCHRONOUS_NORMAL)?;
        }
        let noted = self
            .connection
            .execute_batch("UPDATE openkb_base SET exported = 2 WHERE exported = 1");
        // Whatever became of the note: the next commit has to be on the medium when it returns.
        self.connection.pragma_update(None, "synchronous", before)?;
        noted
    }

    /// Registers an export: the digest of the file found and of the one to be written. It holds all
    /// that changed so far.
    ///
    /// # Errors
    /// If the registry cannot be written.
    pub(super) fn set_exchanged(&self, found: &str, written: &str) -> Result<(), MutationError> {
        let sql = "UPDATE meta SET value = ?2 WHERE key = ?1";
        self.execute(sql, params!["hashes_found", found])?;
        self.execute(sql, params!["hashes_written", written])?;
        let sql = if found == written {
            "DELETE FROM openkb_base"
        } else {
            "UPDATE openkb_base SET exported = 1 WHERE exported = 0"
        };
        self.execute(sql, []).map(drop)
    }

    /// Sets the digest of a name's entry in the base; the change of it is not exported.
    ///
    /// # Errors
    /// If the registry cannot be written.
    pub(super) fn set_base(
        &self,
        name_fold: &str,
        digest: Option<&ContentHash>,
    ) -> Result<(), MutationError> {
        self.execute(
            "INSERT OR REPLACE INTO openkb_base (name_fold, digest, exported) VALUES (?1, ?2, 0)",
            params![name_fold, digest.map(ContentHash::as_bytes)],
        )
        .map(drop)
    }

    /// Makes `hashes.json` as it was read, with this digest, the base: what differs from it is ours, and
    /// yet to be exported.
    ///
    /// # Errors
    /// If the registry cannot be read or written.
    pub(super) fn take_as_base(
        &self,
        theirs: &[openkb::Imported],
        found: &str,
    ) -> Result<(), MutationError> {
        // Nothing of the old base is left after this.
        self.set_exchanged(found, found)?;
        let theirs: Vec<(ContentHash, openkb::Entry)> = theirs
            .iter()
            .map(|imported| (imported.row.hash, imported.entry()))
            .collect();
        let theirs = digests(theirs.iter().map(|(hash, entry)| (hash, entry)));
        let ours = self.export_entries()?;
        let ours = digests(ours.iter().map(|(hash, entry)| (hash, entry)));
        for name in ours.keys().chain(theirs.keys()).collect::<HashSet<_>>() {
            if ours.get(name) != theirs.get(name) {
                self.set_base(name, theirs.get(name))?;
            }
        }
        Ok(())
    }

    /// What differs between our entries and the base.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub(super) fn base(&self) -> Result<Base, KbError> {
        let never = self
            .meta_text("hashes_written")?
            .unwrap_or_default()
            .is_empty();
        let mut statement = self
            .connection
            .prepare("SELECT name_fold, digest, exported FROM openkb_base")
            .map_err(|e| self.failed(e))?;
        let rows = statement.query_map([], |row| {
            let digest: Option<[u8; 32]> = row.get(1)?;
            let entry = BaseEntry {
                digest: digest.map(ContentHash::from_bytes),
                exported: Export::of(row.get(2)?),
            };
            Ok((row.get(0)?, entry))
        });
        let changed = rows
            .and_then(Iterator::collect)
            .map_err(|e| self.failed(e))?;
        Ok(Base { never, changed })
    }
}

#[derive(Debug)]
struct BaseEntry {
    digest: Option<ContentHash>,
    exported: Export,
}

/// Whether a change of ours is in `hashes.json`: the numbers of `openkb_base.exported`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Export {
    /// It is not.
    No,
    /// An export was begun; nobody saw its end.
    Begun,
    /// An export was seen to be written.
    Written,
}

impl Export {
    fn of(number: i64) -> Self {
        match number {
            0 => Self::No,
            2 => Self::Written,
            _ => Self::Begun,
        }
    }
}

/// The base of a merge, told by how it differs from our entries.
#[derive(Debug)]
pub(super) struct Base {
    /// No `hashes.json` was ever read or written: nothing is in the base.
    never: bool,
    changed: HashMap<String, BaseEntry>,
}

impl Base {
    /// Whether an export of which nobody saw the end reached the file that `theirs` was made from: it has a version of an
    /// entry that only that export wrote. Without such evidence the export before counts, for an entry
    /// of ours that is missing there is then ours and not one that was taken out.
    pub(super) fn was_exported(
        &self,
        ours: &HashMap<String, ContentHash>,
        theirs: &HashMap<String, ContentHash>,
    ) -> bool {
        let is_begun = |entry: &BaseEntry| entry.exported == Export::Begun;
        let exported = || {
            self.changed
                .iter()
                .filter(move |(_, entry)| is_begun(entry))
        };
        let (mut written, mut removed) =
            exported().partition::<Vec<_>, _>(|(name, _)| ours.contains_key(*name));
        written.retain(|(name, _)| theirs.get(*name) == ours.get(*name));
        removed.retain(|(name, entry)| !theirs.contains_key(*name) && entry.digest.is_some());
        // A removal on both sides looks the same: it is evidence only where nothing else could be.
        let only_removals = exported().all(|(name, _)| !ours.contains_key(name));
        !written.is_empty() || (only_removals && !removed.is_empty())
    }

    /// The digest of a name's entry in the base.
    pub(super) fn digest(
        &self,
        name_fold: &str,
        ours: Option<ContentHash>,
        was_exported: bool,
    ) -> Option<ContentHash> {
        if self.never {
            return None;
        }
        let Some(entry) = self.changed.get(name_fold) else {
            return ours;
        };
        match entry.exported {
            Export::Written => ours,
            Export::Begun if was_exported => ours,
            Export::Begun | Export::No => entry.digest,
        }
    }
}

/// Entries as name and digest.
pub(super) fn digests<'a>(
    entries: impl IntoIterator<Item = (&'a ContentHash, &'a openkb::Entry)>,
) -> HashMap<String, ContentHash> {
    let named = entries.into_iter().filter_map(|(hash, entry)| {
        let name = entry.doc_name.as_deref()?;
        Some((names::fold(name), entry.digest(hash)))
    });
    named.collect()
}
