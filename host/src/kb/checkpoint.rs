//! What an interrupted conversion left for the next one: its key, its bound, and how it is read.
//! Nothing here writes.
//!
//! Invariant: what is read is a hint of at most [`CHECKPOINT_BYTES_MAX`] bytes for the component that
//! asked for it to be kept; nothing in the host is decided by it. In a stranger's KB it is the
//! stranger's.

use rusqlite::OptionalExtension as _;
use sha2::{Digest as _, Sha256};

use super::registry::Reader;
use super::{ContentHash, KbError, PluginDigest};

/// Bytes that a converter may keep at the most: the contract's bound. The id of a remote document and
/// how far it came take a few hundred.
pub const CHECKPOINT_BYTES_MAX: usize = 4_096;

/// Sets these keys apart from every other digest.
const DOMAIN: &[u8] = b"kbhost checkpoint 1\0";

/// The table of checkpoints; a registry that lacks it gets it when it is opened for writing. The time
/// stands before the state, so that old rows are found without reading over what they hold.
pub(crate) const CHECKPOINT_SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS checkpoints (
    key BLOB PRIMARY KEY CHECK (length(key) = 32), at TEXT NOT NULL,
    state BLOB NOT NULL CHECK (length(state) BETWEEN 1 AND 4096)
) WITHOUT ROWID;
";

/// Whose checkpoint it is: another source, another component or another account has another key, so
/// that nobody goes on with what is not its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CheckpointKey([u8; 32]);

impl CheckpointKey {
    /// The key of what `plugin` makes of the source with this digest, for the account with that
    /// digest; `None` where there are no accounts.
    #[must_use]
    pub fn new(source: &ContentHash, plugin: &PluginDigest, account: Option<&[u8; 32]>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(DOMAIN);
        hasher.update(source.as_bytes());
        hasher.update(plugin.0.as_bytes());
        // An account is told from none by the length alone.
        if let Some(account) = account {
            hasher.update(account);
        }
        Self(hasher.finalize().into())
    }

    /// The 32 bytes of the key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Reader {
    /// What is kept under `key`; `None` also for what cannot have been kept, and in a registry from
    /// before there were checkpoints.
    ///
    /// # Errors
    /// If the registry cannot be read.
    pub(crate) fn checkpoint(&self, key: &CheckpointKey) -> Result<Option<Vec<u8>>, KbError> {
        let table = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'checkpoints'";
        let table = self.connection.query_row(table, [], |_| Ok(())).optional();
        if table.map_err(|e| self.failed(e))?.is_none() {
            return Ok(None);
        }
        // The length of a value is told without reading it.
        let sql = "SELECT state FROM checkpoints WHERE key = ?1 AND typeof(state) = 'blob' \
                   AND length(state) BETWEEN 1 AND ?2";
        let bytes_max = CHECKPOINT_BYTES_MAX as i64;
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|e| self.failed(e))?;
        let state = statement.query_row((key.as_bytes(), bytes_max), |row| row.get(0));
        state.optional().map_err(|e| self.failed(e))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn key(source: &[u8], plugin: &[u8], account: Option<&[u8; 32]>) -> CheckpointKey {
        let plugin = PluginDigest(ContentHash::of(plugin));
        CheckpointKey::new(&ContentHash::of(source), &plugin, account)
    }

    #[test]
    fn everything_that_matters_is_in_the_key() {
        let accounts = [[1; 32], [2; 32]];
        let [first, second] = accounts.each_ref();
        let keys = [
            key(b"a", b"p", None),
            key(b"b", b"p", None),
            key(b"a", b"q", None),
            key(b"a", b"p", Some(first)),
            key(b"a", b"p", Some(second)),
        ];
        let distinct: std::collections::HashSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len());
        assert_eq!(keys[3], key(b"a", b"p", Some(&[1; 32])));
    }

    #[test]
    fn what_cannot_have_been_kept_is_not_read() {
        let check = |sql: &str, expected: Result<Option<Vec<u8>>, ()>| {
            let connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(sql).unwrap();
            let reader = Reader::of(connection, std::path::Path::new("registry.db"));
            let found = reader.checkpoint(&key(b"a", b"p", None)).map_err(drop);
            assert_eq!(found, expected, "{sql}");
        };
        let blob: String = key(b"a", b"p", None)
            .as_bytes()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let loose = |state: &str| {
            format!(
                "CREATE TABLE checkpoints (key, at, state); \
                 INSERT INTO checkpoints VALUES (x'{blob}', 7, {state})"
            )
        };
        check("", Ok(None));
        check(CHECKPOINT_SCHEMA, Ok(None));
        check(&loose("x'6162'"), Ok(Some(b"ab".to_vec())));
        check(&loose("zeroblob(4096)"), Ok(Some(vec![0; 4_096])));
        check(&loose("zeroblob(4097)"), Ok(None));
        check(&loose("zeroblob(0)"), Ok(None));
        check(&loose("'ab'"), Ok(None));
        check(&loose("7"), Ok(None));
        check(&loose("NULL"), Ok(None));
        check("CREATE TABLE checkpoints (id)", Err(()));
        check(
            "CREATE VIEW checkpoints AS SELECT 1 AS key, 2 AS state",
            Ok(None),
        );
    }
}
