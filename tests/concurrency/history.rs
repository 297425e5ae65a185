//! The committed states of a KB by epoch, as they were observed while it changed.
//!
//! A process tells what it saw, not at which epoch. It is held against all states between the epoch
//! before its start and the one after its end: what it saw must have been true at one of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction};

/// A document's row: digest of its original, and the mutation that wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) hash: String,
    mutation: String,
}

/// What is committed at one epoch, by document.
pub(super) type State = BTreeMap<String, Row>;

/// From the epoch before something to the one after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) first: i64,
    pub(super) last: i64,
}

/// How something fits into the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It was so at one epoch of its window.
    True,
    /// An epoch of its window was observed by nobody.
    Unknown,
    /// It was so at none.
    False,
}

/// States as they were observed.
#[derive(Default)]
pub(super) struct History {
    epochs: Mutex<BTreeMap<i64, State>>,
    contradictions: Mutex<Vec<String>>,
}

impl History {
    /// Notes the state of now; returns its epoch.
    pub(super) fn observe(&self, observer: &mut Observer) -> rusqlite::Result<i64> {
        let (epoch, state) = observer.look()?;
        let mut epochs = self.epochs.lock().unwrap();
        if let Some(before) = epochs.insert(epoch, state.clone())
            && before != state
        {
            let what = format!("two states of epoch {epoch}: {before:?} and {state:?}");
            self.contradictions.lock().unwrap().push(what);
        }
        Ok(epoch)
    }

    /// Whether `is_so` held at an epoch of `window`.
    pub(super) fn fit(&self, window: Window, is_so: impl Fn(&State) -> bool) -> Fit {
        let epochs = self.epochs.lock().unwrap();
        let mut known = epochs.range(window.first..=window.last);
        let count = epochs.range(window.first..=window.last).count() as i64;
        if known.any(|(_, state)| is_so(state)) {
            Fit::True
        } else if count < window.last - window.first + 1 {
            Fit::Unknown
        } else {
            Fit::False
        }
    }

    /// Whether what `of` says changed between two epochs of `window`.
    pub(super) fn changed<T: PartialEq>(
        &self,
        window: Window,
        of: impl Fn(&State) -> Option<T>,
    ) -> Fit {
        let epochs = self.epochs.lock().unwrap();
        let mut seen = epochs
            .range(window.first..=window.last)
            .map(|(_, state)| of(state));
        let first = seen.next();
        let changed = first.is_some_and(|first| seen.any(|later| later != first));
        drop(epochs);
        // What nobody observed may have changed; what was observed throughout did not.
        if changed {
            Fit::True
        } else {
            self.fit(window, |_| false)
        }
    }

    /// The epochs that were observed, and how many of those between were not.
    pub(super) fn coverage(&self) -> (usize, usize) {
        let epochs = self.epochs.lock().unwrap();
        let (Some((first, _)), Some((last, _))) =
            (epochs.first_key_value(), epochs.last_key_value())
        else {
            return (0, 0);
        };
        let all = usize::try_from(last - first + 1).unwrap();
        (epochs.len(), all - epochs.len())
    }

    /// What does not lead from one epoch to the next: a document changes only by the mutation of
    /// that epoch, as many as it says, and goes only by a removal.
    pub(super) fn leaps(&self, observer: &mut Observer) -> rusqlite::Result<Vec<String>> {
        let mutations = observer.mutations()?;
        let epochs = self.epochs.lock().unwrap();
        let mut leaps = self.contradictions.lock().unwrap().clone();
        for ((epoch, before), (next, after)) in epochs.iter().zip(epochs.iter().skip(1)) {
            if *next != epoch + 1 {
                continue;
            }
            let Some((id, kind, documents)) = mutations.get(next) else {
                leaps.push(format!("no mutation led to epoch {next}"));
                continue;
            };
            let changed: Vec<_> = after
                .iter()
                .filter(|(name, row)| before.get(*name) != Some(*row))
                .collect();
            let gone: Vec<_> = before
                .keys()
                .filter(|name| !after.contains_key(*name))
                .collect();
            for (name, row) in &changed {
                if row.mutation != *id {
                    leaps.push(format!(
                        "{name} changed in epoch {next} by {row:?}, not {id}"
                    ));
                }
            }
            if kind == "add" && (!gone.is_empty() || changed.len() as i64 != *documents) {
                leaps.push(format!(
                    "an add of {documents} at epoch {next} changed {changed:?} and took {gone:?}"
                ));
            }
            if kind == "remove" && !changed.is_empty() {
                leaps.push(format!("a removal at epoch {next} changed {changed:?}"));
            }
        }
        Ok(leaps)
    }
}

/// A connection that only looks.
pub(super) struct Observer(Connection);

impl Observer {
    pub(super) fn new(kb: &Path) -> rusqlite::Result<Self> {
        let path = kb.join(".openkb/kbhost/registry.db");
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        Ok(Self(connection))
    }

    /// Epoch and state, in one snapshot.
    fn look(&mut self) -> rusqlite::Result<(i64, State)> {
        let snapshot: Transaction<'_> = self.0.transaction()?;
        let epoch =
            snapshot.query_row("SELECT value FROM meta WHERE key = 'epoch'", [], |row| {
                row.get(0)
            })?;
        let mut statement = snapshot.prepare_cached(
            "SELECT doc_name, lower(hex(hash)), coalesce(mutation, '') FROM documents",
        )?;
        let rows = statement.query_map([], |row| {
            let (hash, mutation) = (row.get(1)?, row.get(2)?);
            Ok((row.get(0)?, Row { hash, mutation }))
        })?;
        Ok((epoch, rows.collect::<rusqlite::Result<_>>()?))
    }

    /// Id, kind and number of documents of the mutation that led to each epoch.
    fn mutations(&self) -> rusqlite::Result<BTreeMap<i64, (String, String, i64)>> {
        let mut statement = self
            .0
            .prepare("SELECT epoch, id, kind, documents FROM mutations")?;
        let rows = statement.query_map([], |row| {
            Ok((row.get(0)?, (row.get(1)?, row.get(2)?, row.get(3)?)))
        })?;
        rows.collect()
    }
}
