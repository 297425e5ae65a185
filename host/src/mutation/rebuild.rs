//! Makes a lost or damaged registry anew: from the newest sound backup, then `hashes.json`, then the
//! files in `raw/` and `wiki/`.
//!
//! The new database is built under a name of its own and made durable before anything else is touched.
//! It has a new uuid: a journal from before the rebuild cannot be decided by it, so none may be left.
//!
//! Invariant: nothing is deleted that could not be made again; the old database, whatever its state,
//! is kept aside. A crash leaves the old registry, none, or the new one; rebuilding again is right in
//! each case.

use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, params};
use serde::Serialize;

use super::aftermath;
use super::backup::{self, Backup};
use super::drain::{self, ASIDE_PREFIX};
use super::exchange;
use super::guard::{self, MutationGuard};
use super::journal::random_hex;
use super::reconcile::{self, Reconciled};
use super::registry::{Registry, openkb_digest};
use super::storage::Storage;
use super::{MutationError, OwnerOptions, survey};
use crate::kb::registry::{EXCHANGE_SCHEMA, Reader, SCHEMA, SCHEMA_VERSION, harden};
use crate::kb::view::IndexSection;
use crate::kb::{KbError, KbPath, KbRoot, SafeLine, layout, openkb};
use crate::prepare::TermKind;

/// How the folder is called into which a sound registry goes that a person wanted replaced.
const REPLACED_PREFIX: &str = "registry-replaced-";

/// The database and what SQLite keeps beside it.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// The state of a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Health {
    /// It can be read as a whole.
    Sound {
        /// Its documents.
        documents: u64,
    },
    /// There is none.
    Missing,
    /// It cannot be read, or not be trusted.
    Damaged {
        /// Why.
        reason: SafeLine,
    },
    /// A newer version of this program made it.
    Newer {
        /// Its schema.
        schema: i64,
    },
}

/// What a rebuild took from where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RebuildReport {
    /// What there was before.
    pub before: Health,
    /// Where that is now.
    pub set_aside: Option<KbPath>,
    /// The database that the rebuild began with: a backup, or the sound registry itself.
    pub base: Option<KbPath>,
    /// What became of the documents.
    #[serde(flatten)]
    pub recovered: Reconciled,
    /// Steps after the rebuild that failed.
    pub warnings: Vec<SafeLine>,
}

/// How a rebuild ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rebuilt {
    /// The registry is sound, and nobody wanted it replaced.
    NotNeeded {
        /// Its documents.
        documents: u64,
    },
    /// There is a new one.
    Done(Box<RebuildReport>),
}

/// Looks at the registry as a whole. Takes no lock.
///
/// # Errors
/// If it cannot be looked at: no permission, an I/O error, a link in the way.
pub fn assess_registry(root: &KbRoot) -> Result<Health, KbError> {
    let damaged = |reason: String| Health::Damaged {
        reason: SafeLine::new(&reason),
    };
    let looked = Reader::open_unchecked(root, &layout::registry_db()).and_then(|reader| {
        let Some(reader) = reader else {
            return Ok(Health::Missing);
        };
        if let Ok(schema) = reader.meta_integer("schema")
            && schema > SCHEMA_VERSION
        {
            return Ok(Health::Newer { schema });
        }
        let documents = reader.check_all()?.len() as u64;
        Ok(Health::Sound { documents })
    });
    match looked {
        Err(KbError::Registry { source, .. }) if is_damage(&source) => {
            Ok(damaged(source.to_string()))
        }
        Err(KbError::RegistryInvalid { reason, .. }) => Ok(damaged(reason)),
        Err(KbError::InvalidPath(error)) => Ok(damaged(error.to_string())),
        other => other,
    }
}

/// Whether an error tells of the database's content, not of the way to it.
fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{
        ApiMisuse, CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, OutOfMemory,
        PermissionDenied, ReadOnly, SystemIoFailure,
    };
    !matches!(
        error.sqlite_error_code(),
        Some(
            ApiMisuse
                | CannotOpen
                | DatabaseBusy
                | DatabaseLocked
                | DiskFull
                | OutOfMemory
                | PermissionDenied
                | ReadOnly
                | SystemIoFailure
        )
    )
}

/// Rebuilds the registry. A sound one is replaced only if `replace_sound` says so; then it is what the
/// rebuild begins with, unless a backup is newer.
///
/// # Errors
/// If the lock is not to be had, a journal waits for a verdict, a newer version made the registry, or
/// something cannot be read or written. A crash leaves the old registry, none, or the new one.
pub fn rebuild_registry(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
    replace_sound: bool,
) -> Result<Rebuilt, MutationError> {
    let taken = guard::lock_only(root, options)?;
    let storage = &taken.storage;
    storage.point("rebuild.before")?;
    drain::refuse_any_journal(storage)?;
    for dir in [layout::own_dir(), layout::journal_dir()] {
        storage.make_dir("rebuild.mkdir", &dir)?;
    }
    let before = assess_registry(root)?;
    match &before {
        Health::Newer { schema } => return Err(MutationError::NewerRegistry(*schema)),
        Health::Sound { documents } if !replace_sound => {
            return Ok(Rebuilt::NotNeeded {
                documents: *documents,
            });
        }
        Health::Sound { .. } => fold_log(root)?,
        Health::Missing | Health::Damaged { .. } => {}
    }
    let mut report = RebuildReport {
        before,
        set_aside: None,
        base: None,
        recovered: Reconciled::default(),
        warnings: Vec::new(),
    };
    let aside = choose_aside(storage, options, &report.before)?;
    build(storage, options, &mut report, &aside)?;
    exchange_databases(storage, &aside, &mut report)?;
    let registry = Registry::open(root)?.ok_or_else(|| MutationError::Kb(lost(root)))?;
    let guard = taken.with(registry, options);
    follow(&guard, &mut report);
    guard.release().checkpoint()?;
    Ok(Rebuilt::Done(Box::new(report)))
}

fn lost(root: &KbRoot) -> KbError {
    KbError::RegistryInvalid {
        path: root.join(&layout::registry_db()),
        reason: "it went away while it was rebuilt".to_owned(),
    }
}

/// Folds the log of a sound registry into it: without it the file is whole, and can be replaced by one
/// rename. A log that a reader holds would lie beside the new database and be taken for its own.
fn fold_log(root: &Arc<KbRoot>) -> Result<(), MutationError> {
    let Some(registry) = Registry::open(root)? else {
        return Ok(());
    };
    let is_held: bool = registry
        .connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(MutationError::Registry)?;
    if is_held {
        return Err(MutationError::ReaderInTheWay);
    }
    Ok(())
}

/// A free name for the folder in which the old registry is kept.
fn choose_aside(
    storage: &Storage,
    options: &OwnerOptions,
    before: &Health,
) -> Result<KbPath, MutationError> {
    let prefix = match before {
        Health::Sound { .. } => REPLACED_PREFIX,
        _ => ASIDE_PREFIX,
    };
    let time = options.clock.now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let named = |n: u32| {
        let suffix = if n == 1 {
            String::new()
        } else {
            format!("-{n}")
        };
        layout::own_dir()
            .join(&format!("{prefix}{time}{suffix}"))
            .expect("digits and dashes are one component")
    };
    let mut n = 1;
    while storage.exists(&named(n))? {
        n += 1;
    }
    Ok(named(n))
}

/// Builds the new database and makes it durable.
fn build(
    storage: &Storage,
    options: &OwnerOptions,
    report: &mut RebuildReport,
    aside: &KbPath,
) -> Result<(), MutationError> {
    let root = storage.root();
    let draft = layout::rebuilt_db();
    for suffix in SUFFIXES {
        storage.unlink("rebuild.sweep", &beside(&draft, suffix)?)?;
    }
    let imported = match openkb::read(root) {
        Err(KbError::HashesJson { reason, .. }) => {
            let kept = keep_hashes_json(storage, aside)?;
            let line = format!(
                "`{}` cannot be read ({reason}); it is kept as `{kept}`",
                layout::hashes_json()
            );
            report.recovered.not_recovered.push(SafeLine::new(&line));
            None
        }
        other => other?,
    };
    let base = newest_sound(root, report)?;
    let mut epoch = backup::epoch_max(&backup::list(root)?);
    match &base {
        Some(base) => {
            epoch = epoch.max(base.meta_integer("epoch")?);
            backup::copy(storage, base, &draft, "rebuild")?;
        }
        None => storage.write_new("rebuild.create", &draft, b"", storage.new_file_mode())?,
    }
    let registry = open_draft(&root.database(&draft)?)?;
    if base.is_some() {
        registry.migrate()?;
    }
    let found = openkb_digest(root)?;
    begin(
        &registry,
        base.is_some(),
        imported.is_some(),
        epoch + 1,
        &found,
    )?;
    registry.add_checkpoint_table()?;
    let is_own_base = report.base.as_ref() == Some(&layout::registry_db());
    if !is_own_base {
        // What a backup remembers may be of documents that were committed since.
        registry.forget_checkpoints()?;
    }
    let (time, id) = (
        options.clock.record_time(),
        format!("rebuild-{}", random_hex(8)?),
    );
    let work = reconcile::Work {
        storage,
        registry: &registry,
        time: &time,
        id: &id,
        is_own_base,
    };
    let imported = imported.unwrap_or_default();
    reconcile::reconcile(&work, &imported, &mut report.recovered)?;
    number_terms(&registry, root)?;
    registry.take_as_base(&imported, &found)?;
    registry.execute(
        "INSERT INTO mutations (id, kind, epoch, documents, committed_at) VALUES (?1, 'rebuild', ?2, ?3, ?4)",
        params![id, epoch + 1, registry.documents("", [])?.len() as i64, time],
    )?;
    storage.point("rebuild.commit")?;
    registry.batch("COMMIT")?;
    drop(registry);
    storage.sync("rebuild.sync-file", std::slice::from_ref(&draft), &[])?;
    Ok(())
}

/// Pages of terms get their ordinals: an entry of a parted index lies on the page of its ordinal.
fn number_terms(registry: &Registry, root: &KbRoot) -> Result<(), MutationError> {
    for kind in [TermKind::Concept, TermKind::Entity] {
        for (slug, ordinal_min) in survey::parted_terms(root, kind) {
            registry.number_term(kind, &slug, ordinal_min)?;
        }
    }
    registry.number_term_pages()?;
    for section in IndexSection::ALL {
        registry.set_sharded(section, survey::is_parted(root, section))?;
    }
    Ok(())
}

/// Opens the transaction that fills the new database, which is a copy or empty, and makes it a registry
/// of its own.
fn begin(
    registry: &Registry,
    is_copy: bool,
    is_exchanged: bool,
    epoch: i64,
    found: &str,
) -> Result<(), MutationError> {
    registry.batch("BEGIN IMMEDIATE")?;
    let meta = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    if !is_copy {
        registry.batch(SCHEMA)?;
        registry.execute(meta, params!["schema", SCHEMA_VERSION])?;
        registry.execute(meta, params!["revision", 0])?;
        registry.execute(meta, params!["openkb", i64::from(is_exchanged)])?;
        registry.write_index_meta()?;
    }
    registry.batch(EXCHANGE_SCHEMA)?;
    registry.execute(meta, params!["epoch", epoch])?;
    registry.execute(meta, params!["uuid", random_hex(16)?])?;
    registry.execute(meta, params!["hashes_found", found])?;
    registry.execute(meta, params!["hashes_written", found])?;
    Ok(())
}

/// The newest database that can be trusted as a whole: the registry itself, or a backup.
fn newest_sound(
    root: &KbRoot,
    report: &mut RebuildReport,
) -> Result<Option<Reader>, MutationError> {
    let mut candidates: Vec<(i64, KbPath)> = Vec::new();
    if matches!(report.before, Health::Sound { .. })
        && let Some(reader) = Reader::open(root)?
    {
        candidates.push((reader.meta_integer("epoch")?, layout::registry_db()));
    }
    let backups = backup::list(root)?.into_iter();
    candidates.extend(backups.map(|Backup { epoch, path, .. }| (epoch, path)));
    // Stable: the registry itself stands before a backup of the same epoch.
    candidates.sort_by_key(|(epoch, _)| std::cmp::Reverse(*epoch));
    for (_, path) in candidates {
        let opened = Reader::open_unchecked(root, &path).and_then(|reader| match reader {
            Some(reader) => reader.check_all().map(|_| Some(reader)),
            None => Ok(None),
        });
        match opened {
            Ok(Some(reader)) => {
                report.base = Some(path);
                return Ok(Some(reader));
            }
            Ok(None) => {}
            Err(error) => {
                let line = aftermath::warning(&format!("use `{path}`"), &error);
                report.recovered.not_recovered.push(line);
            }
        }
    }
    Ok(None)
}

/// Opens the new database for one transaction: until it has its name nothing of it need survive.
fn open_draft(path: &std::path::Path) -> Result<Registry, MutationError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        harden(&connection)?;
        connection.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON")?;
        Ok(connection)
    };
    let connection = open().map_err(MutationError::Registry)?;
    Ok(Registry::of(connection, path))
}

/// Keeps the old database aside and puts the new one in its place.
fn exchange_databases(
    storage: &Storage,
    aside: &KbPath,
    report: &mut RebuildReport,
) -> Result<(), MutationError> {
    let (old, new) = (layout::registry_db(), layout::rebuilt_db());
    let mut kept = false;
    for suffix in SUFFIXES {
        let file = beside(&old, suffix)?;
        if storage.exists(&file)? {
            storage.make_dir("rebuild.aside", aside)?;
            keep(
                storage,
                &file,
                &aside.join(file.file_name()).map_err(KbError::from)?,
            )?;
            kept = true;
        }
    }
    if kept {
        storage.sync(
            "rebuild.aside-sync",
            &[],
            &[aside.clone(), layout::own_dir()],
        )?;
        report.set_aside = Some(aside.clone());
    }
    let is_sound = matches!(report.before, Health::Sound { .. });
    if !is_sound {
        // The database goes before its log: a log beside the new database would be taken for its own,
        // and a damaged database without its log could look sound.
        for suffix in SUFFIXES {
            storage.unlink("rebuild.unlink", &beside(&old, suffix)?)?;
        }
        storage.sync("rebuild.unlink-sync", &[], &[layout::own_dir()])?;
    }
    storage.rename("rebuild.rename", &new, &old)?;
    for suffix in &SUFFIXES[1..] {
        storage.unlink("rebuild.unlink-log", &beside(&old, suffix)?)?;
    }
    storage.sync(
        "rebuild.rename-sync",
        &[],
        &[layout::own_dir(), layout::state_dir()],
    )?;
    Ok(())
}

/// Gives a file a second name, or a copy where the file system knows no such thing.
fn keep(storage: &Storage, from: &KbPath, to: &KbPath) -> Result<(), MutationError> {
    if storage.link("rebuild.keep", from, to).is_ok() {
        return Ok(());
    }
    storage.unlink("rebuild.keep-unlink", to)?;
    storage.copy_new("rebuild.keep-copy", from, to, 0o600)?;
    storage.sync("rebuild.keep-sync", std::slice::from_ref(to), &[])?;
    Ok(())
}

/// Moves a `hashes.json` that is none out of the way of the next export.
fn keep_hashes_json(storage: &Storage, aside: &KbPath) -> Result<KbPath, MutationError> {
    storage.make_dir("rebuild.aside", aside)?;
    let kept = aside.join("hashes.json").map_err(KbError::from)?;
    storage.rename("rebuild.keep-hashes", &layout::hashes_json(), &kept)?;
    storage.sync(
        "rebuild.aside-sync",
        &[],
        &[aside.clone(), layout::own_dir()],
    )?;
    Ok(kept)
}

fn beside(path: &KbPath, suffix: &str) -> Result<KbPath, KbError> {
    Ok(KbPath::new(&format!("{path}{suffix}"))?)
}

/// What follows the rebuild; a failure is a warning.
fn follow(guard: &MutationGuard, report: &mut RebuildReport) {
    let exported = aftermath::is_wanted(guard).and_then(|wanted| {
        if wanted {
            exchange::export(guard)?;
        }
        Ok(())
    });
    if let Err(error) = exported {
        report
            .warnings
            .push(aftermath::warning("export the registry for OpenKB", &error));
    }
    if let Err(error) = aftermath::rebuild_search_index(guard) {
        report
            .warnings
            .push(aftermath::warning("update the search index", &error));
    }
}
