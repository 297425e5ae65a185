//! What interrupted conversions left for the next ones: kept, replaced, forgotten and pruned.
//!
//! A checkpoint is no change of the KB: it moves no epoch, has no journal and no row in `mutations`,
//! and nothing that is planned or recovered depends on it. A crash leaves the old one or the new one.
//!
//! Invariant: the commit that registers a document forgets its checkpoint in the same transaction.

use jiff::{SignedDuration, Timestamp};
use rusqlite::params;

use super::MutationError;
use super::guard::MutationGuard;
use super::registry::Registry;
use crate::kb::checkpoint::CHECKPOINT_SCHEMA;
use crate::kb::{CHECKPOINT_BYTES_MAX, CheckpointKey, KbError};

/// Checkpoints that are kept: 4 MiB at the most. Uploads that wait at one time are a few dozen.
const CHECKPOINTS_MAX: i64 = 1_000;

/// No service keeps what nobody asks for longer than this.
const CHECKPOINT_AGE_MAX: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A row that is further from the future than this is none that could be told to be old.
const CLOCK_STEP_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Keeps `state` in place of what was kept under `key`; no bytes forget it. On the medium when it
/// returns.
///
/// # Errors
/// If it cannot be written. An error of the transaction's end is neither success nor failure: the
/// guard must not be used again.
///
/// # Panics
/// If there are more than [`CHECKPOINT_BYTES_MAX`] bytes: a bug, a guest's are counted before.
pub(super) fn keep(
    guard: &MutationGuard,
    key: &CheckpointKey,
    state: &[u8],
) -> Result<(), MutationError> {
    assert!(
        state.len() <= CHECKPOINT_BYTES_MAX,
        "BUG: a checkpoint of {} bytes",
        state.len()
    );
    let (storage, registry) = (&guard.storage, &guard.registry);
    storage.point("checkpoint.before")?;
    registry.batch("BEGIN IMMEDIATE")?;
    let written = registry
        .write_checkpoint(key, state, guard.clock.now())
        .and_then(|()| Ok(storage.point("checkpoint.commit")?));
    if written.is_err() {
        registry.abandon();
    }
    written?;
    registry.commit().map_err(MutationError::Undecided)?;
    Ok(storage.point("checkpoint.after")?)
}

/// Forgets what the conversions of documents left that are in by somebody else's commit. What cannot be
/// forgotten is pruned one day. An error is as with [`keep`]: the guard must not be used again.
pub(super) fn forget(guard: &MutationGuard, keys: &[CheckpointKey]) {
    let forgotten = keys.iter().try_for_each(|key| keep(guard, key, b""));
    if let Err(error) = forgotten {
        tracing::debug!(%error, "checkpoints are not forgotten");
    }
}

fn record_time(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl Registry {
    /// Adds the table of checkpoints to a registry that has none. One of another shape is a
    /// stranger's, and gives way: a commit would fail over it.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn add_checkpoint_table(&self) -> Result<(), KbError> {
        let columns = |sql: &str| -> Result<Vec<String>, KbError> {
            let mut statement = self.connection.prepare(sql).map_err(|e| self.failed(e))?;
            let rows = statement.query_map([], |row| row.get(0));
            rows.and_then(Iterator::collect).map_err(|e| self.failed(e))
        };
        let found = columns("SELECT name FROM pragma_table_info('checkpoints')")?;
        if found == ["key", "at", "state"] {
            return Ok(());
        }
        self.connection
            .execute_batch(&format!(
                "DROP TABLE IF EXISTS checkpoints; {CHECKPOINT_SCHEMA}"
            ))
            .map_err(|e| self.failed(e))
    }

    /// Writes a checkpoint, and prunes the others. In the caller's transaction.
    fn write_checkpoint(
        &self,
        key: &CheckpointKey,
        state: &[u8],
        now: Timestamp,
    ) -> Result<(), MutationError> {
        self.forget_checkpoint(key)?;
        if state.is_empty() {
            return Ok(());
        }
        self.execute(
            "INSERT INTO checkpoints (key, at, state) VALUES (?1, ?2, ?3)",
            params![key.as_bytes(), record_time(now), state],
        )?;
        let since = now
            .saturating_sub(CHECKPOINT_AGE_MAX)
            .unwrap_or(Timestamp::MIN);
        let until = now.saturating_add(CLOCK_STEP_MAX).unwrap_or(Timestamp::MAX);
        self.execute(
            "DELETE FROM checkpoints WHERE at NOT BETWEEN ?1 AND ?2",
            params![record_time(since), record_time(until)],
        )?;
        // Not the one that was just written, however many there are of the same second.
        self.execute(
            "DELETE FROM checkpoints WHERE key IN (SELECT key FROM checkpoints WHERE key <> ?1 \
             ORDER BY at DESC, key LIMIT -1 OFFSET ?2)",
            params![key.as_bytes(), CHECKPOINTS_MAX - 1],
        )
        .map(drop)
    }

    /// Forgets what is kept under `key`. In the caller's transaction.
    ///
    /// # Errors
    /// If the registry cannot be written.
    pub(super) fn forget_checkpoint(&self, key: &CheckpointKey) -> Result<(), MutationError> {
        let sql = "DELETE FROM checkpoints WHERE key = ?1";
        self.execute(sql, params![key.as_bytes()]).map(drop)
    }

    /// Forgets all that is kept: nobody knows what became of it.
    ///
    /// # Errors
    /// If the registry cannot be written.
    pub(super) fn forget_checkpoints(&self) -> Result<(), MutationError> {
        self.execute("DELETE FROM checkpoints", []).map(drop)
    }
}
