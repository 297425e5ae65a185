//! Backups of the registry: whole copies of the database, at most one a day, the newest five.
//!
//! A backup is made beside the work, not in it: without the KB's lock, from one snapshot of the
//! database, and nobody waits for it. It has its name only once it is durable.

use std::cmp::Reverse;
use std::sync::Arc;

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit, civil, tz::TimeZone};
use rusqlite::params;
use serde::Serialize;

use super::storage::Storage;
use super::{MutationError, lock};
use crate::kb::clock::Clock;
use crate::kb::registry::Reader;
use crate::kb::{KbError, KbPath, KbRoot, layout};

/// Copies that are kept: a working week. One more costs as much as the registry.
const BACKUPS_MAX: usize = 5;

/// A copy is made when the newest is older.
const BACKUP_AGE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A copy that is further from the future than this was made before the clock was set back: time
/// servers step less.
const CLOCK_STEP_MAX: SignedDuration = SignedDuration::from_mins(1);

/// An epoch counts commits: a name that claims more is none of ours.
const EPOCH_MAX: i64 = 1 << 48;

const TIME_FORMAT: &str = "%Y%m%dT%H%M%SZ";
const PREFIX: &str = "registry-";
const SUFFIX: &str = ".db";
const DRAFT_PREFIX: &str = ".registry-";

/// A copy of the registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Backup {
    /// The registry's epoch in it.
    pub epoch: i64,
    /// When it was made, in UTC.
    #[serde(skip)]
    pub(super) made: Timestamp,
    /// The file.
    pub path: KbPath,
}

impl Backup {
    fn new(epoch: i64, made: Timestamp) -> Self {
        let time = made.strftime(TIME_FORMAT);
        let path = layout::backup_dir()
            .join(&format!("{PREFIX}{time}-{epoch}{SUFFIX}"))
            .expect("digits and dashes are one component");
        Self { epoch, made, path }
    }

    /// Reads a name of ours; `None` for anything else.
    fn from_name(name: &str) -> Option<Self> {
        let (time, epoch) = name
            .strip_prefix(PREFIX)?
            .strip_suffix(SUFFIX)?
            .split_once('-')?;
        let made = civil::DateTime::strptime(TIME_FORMAT, time).ok()?;
        let made = made.to_zoned(TimeZone::UTC).ok()?.timestamp();
        let epoch = epoch
            .parse()
            .ok()
            .filter(|epoch| (0..=EPOCH_MAX).contains(epoch))?;
        let backup = Self::new(epoch, made);
        (backup.path.file_name() == name).then_some(backup)
    }
}

/// The backups of a KB, the latest made first: epochs of a registry that was put back say nothing of
/// those of the one before.
///
/// # Errors
/// If they cannot be listed.
pub(super) fn list(root: &KbRoot) -> Result<Vec<Backup>, KbError> {
    let names = root.list_dir(&layout::backup_dir())?;
    let mut backups: Vec<Backup> = names
        .iter()
        .filter_map(|name| Backup::from_name(name))
        .collect();
    backups.sort_unstable_by_key(|backup| Reverse((backup.made, backup.epoch)));
    Ok(backups)
}

/// The highest epoch of the backups; 0 for none.
pub(super) fn epoch_max(backups: &[Backup]) -> i64 {
    backups.iter().map(|backup| backup.epoch).max().unwrap_or(0)
}

/// Makes a backup if there is none of the last day. One from the future does not count: the clock was
/// set back since. Silently does nothing while another process makes one. It takes no lock of the KB.
///
/// # Errors
/// If it cannot be made. A crash leaves a draft, which the next one removes.
pub(super) fn daily(root: &Arc<KbRoot>, clock: &Clock) -> Result<(), MutationError> {
    daily_at(root, clock.now()).map_err(|error| MutationError::Backup(Box::new(error)))
}

fn daily_at(root: &Arc<KbRoot>, now: Timestamp) -> Result<(), MutationError> {
    if !is_due(&list(root)?, now) {
        return Ok(());
    }
    let storage = Storage::new(Arc::clone(root));
    match lock::try_alone(&storage, &layout::backup_lock())? {
        Some(_alone) if is_due(&list(root)?, now) => make(&storage, now).map(drop),
        _ => Ok(()),
    }
}

/// Makes a backup now.
///
/// # Errors
/// If there is no registry, another process makes a backup, or this one cannot be made. A crash
/// leaves a draft, which the next one removes.
pub fn backup_now(root: &Arc<KbRoot>, clock: &Clock) -> Result<Backup, MutationError> {
    let storage = Storage::new(Arc::clone(root));
    match lock::try_alone(&storage, &layout::backup_lock())? {
        Some(_alone) => make(&storage, clock.now()),
        None => Err(MutationError::NoBackup(
            "another process makes a backup".to_owned(),
        )),
    }
}

fn is_due(backups: &[Backup], now: Timestamp) -> bool {
    !backups.iter().any(|backup| {
        !is_of_the_future(backup, now) && now.duration_since(backup.made) <= BACKUP_AGE_MAX
    })
}

fn is_of_the_future(backup: &Backup, now: Timestamp) -> bool {
    backup.made.duration_since(now) > CLOCK_STEP_MAX
}

/// The backups that go once `made` is there: what is over [`BACKUPS_MAX`], those of the future first,
/// then the oldest; never `made`.
fn surplus(mut backups: Vec<Backup>, made: &Backup, now: Timestamp) -> Vec<Backup> {
    backups.retain(|backup| backup.path != made.path);
    // Stable: the latest made stays first.
    backups.sort_by_key(|backup| is_of_the_future(backup, now));
    backups.split_off(backups.len().min(BACKUPS_MAX - 1))
}

fn make(storage: &Storage, now: Timestamp) -> Result<Backup, MutationError> {
    let span = tracing::info_span!("backup");
    let _entered = span.enter();
    let root = storage.root();
    let reader = Reader::open(root)?
        .ok_or_else(|| MutationError::NoBackup("there is no registry yet".to_owned()))?;
    let dir = layout::backup_dir();
    if storage.make_dir("backup.mkdir", &dir)? {
        storage.sync("backup.mkdir-sync", &[], &[layout::own_dir()])?;
    }
    for name in root.list_dir(&dir)? {
        if name.starts_with(DRAFT_PREFIX) {
            let draft = dir.join(&name).map_err(KbError::from)?;
            storage.unlink("backup.sweep", &draft)?;
        }
    }
    // A name has whole seconds: rounded up, it would be of the future.
    let second = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Floor);
    let now = now.round(second).unwrap_or(now);
    let backup = Backup::new(reader.meta_integer("epoch")?, now);
    let draft = dir
        .join(&format!(".{}.tmp", backup.path.file_name()))
        .map_err(KbError::from)?;
    copy(storage, &reader, &draft, "backup")?;
    storage.rename("backup.rename", &draft, &backup.path)?;
    storage.sync("backup.sync-dir", &[], &[dir])?;
    for old in surplus(list(root)?, &backup, now) {
        storage.unlink("backup.prune", &old.path)?;
    }
    Ok(backup)
}

/// Copies a database whole, in one file and durable, to a new name. The copy is one snapshot,
/// whoever writes meanwhile, and needs no log beside it.
///
/// # Errors
/// If it cannot be read or written.
pub(super) fn copy(
    storage: &Storage,
    from: &Reader,
    to: &KbPath,
    point: &str,
) -> Result<(), MutationError> {
    let mode = storage
        .version(&layout::registry_db())?
        .map_or_else(|| storage.new_file_mode(), |version| version.mode);
    // Made through the seam: SQLite fills an empty file, and cannot be led elsewhere by a link.
    storage.write_new(&format!("{point}.create"), to, b"", mode)?;
    storage.point(&format!("{point}.copy"))?;
    let path = storage.root().database(to)?;
    let sql = |source| MutationError::Kb(from.failed(source));
    // Synced below, once and by us.
    from.connection
        .execute_batch("PRAGMA synchronous = OFF")
        .map_err(sql)?;
    let path = path.to_str().ok_or_else(|| {
        MutationError::NoBackup("the path of the knowledge base is no UTF-8".to_owned())
    })?;
    from.connection
        .execute("VACUUM INTO ?1", params![path])
        .map_err(sql)?;
    storage.sync(&format!("{point}.sync"), std::slice::from_ref(to), &[])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_time_and_epoch() {
        let made = Timestamp::from_second(1_750_000_000).unwrap();
        let backup = Backup::new(7, made);
        assert_eq!(
            backup.path.as_str(),
            ".openkb/kbhost/backup/registry-20250615T150640Z-7.db"
        );
        assert_eq!(Backup::from_name(backup.path.file_name()), Some(backup));
        for name in [
            "registry-20250615T150640Z-07.db",
            "registry-20250615T150640Z--1.db",
            "registry-20250615T150640Z-9223372036854775807.db",
            "registry-20251315T150640Z-7.db",
            "registry-20250615T150640Z-7.db-journal",
            ".registry-20250615T150640Z-7.db.tmp",
            "registry.db",
        ] {
            assert_eq!(Backup::from_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_backup_is_due_once_a_day_and_when_the_clock_was_set_back() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let check = |made, now, due| {
            assert_eq!(
                is_due(&[Backup::new(1, at(made))], at(now)),
                due,
                "{made} {now}"
            );
        };
        check(1000, 1000, false);
        check(1000, 1000 + 86_400, false);
        check(1000, 1001 + 86_400, true);
        check(1000, 940, false);
        check(1000, 939, true);
        assert!(is_due(&[], at(0)));
        let of_the_future = Backup::new(9, at(1_000_000));
        assert!(
            !is_due(&[of_the_future, Backup::new(1, at(1000))], at(1000)),
            "one a day, whatever else is there"
        );
    }

    /// Goal: after an older registry was put back, whose epochs are lower, and after the clock was set
    /// back, new backups stay. Method: six there are, of which the last was just made.
    #[test]
    fn the_one_just_made_stays_whatever_its_epoch() {
        let check = |made: (i64, i64), others: [(i64, i64); 5], gone: &[(i64, i64)]| {
            let new = |(epoch, second): (i64, i64)| {
                Backup::new(epoch, Timestamp::from_second(second).unwrap())
            };
            let mut all: Vec<Backup> = others.map(new).into();
            all.push(new(made));
            all.sort_unstable_by_key(|backup| Reverse((backup.made, backup.epoch)));
            let surplus = surplus(all, &new(made), Timestamp::from_second(made.1).unwrap());
            let expected: Vec<Backup> = gone.iter().copied().map(new).collect();
            assert_eq!(surplus, expected, "{made:?}");
        };
        let day = |n: i64| n * 86_400;
        let others = [
            (50, day(1)),
            (60, day(2)),
            (70, day(3)),
            (80, day(4)),
            (90, day(5)),
        ];
        check((7, day(6)), others, &[(50, day(1))]);
        check((7, day(3) + 1), others, &[(80, day(4))]);
        check((7, day(0)), others, &[(50, day(1))]);
    }

    #[test]
    fn a_backup_of_this_second_is_not_of_the_future() {
        let dir = tempfile::tempdir().unwrap();
        super::super::init(dir.path(), "en").unwrap();
        let root = Arc::new(KbRoot::open(dir.path()).unwrap());
        let now = Timestamp::from_millisecond(1_750_000_000_700).unwrap();
        let backup = make(&Storage::new(Arc::clone(&root)), now).unwrap();
        assert_eq!(backup.made.as_second(), 1_750_000_000);
        assert!(!is_due(&list(&root).unwrap(), now));
    }
}
