//! What a store holds while one call runs, and what the host does for a running job.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::{job, types};
use super::checkpoints::Keeper;
use super::clocks::VirtualClock;
use super::filesystem::Places;
use super::memory::MemoryMeter;
use super::quota::Quota;
use super::random::SeededRandom;
use super::stdio::{self, Capture};
use super::watch::Watch;
use super::{Listener, Surroundings};
use crate::egress::Session;

/// Handles on files, streams and pollables at one time. A converter has a few files open.
const HANDLES_MAX: usize = 512;

/// Lines that one call may add to the log.
const LOG_LINES_MAX: usize = 200;

/// Between two progress events of one call; what comes sooner is passed over. Nothing of it is kept, so
/// real time may decide.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// Lets through what does not come too soon.
#[derive(Debug, Default)]
struct Gate {
    opens: Option<Instant>,
}

impl Gate {
    fn admits(&mut self, now: Instant) -> bool {
        let is_open = self.opens.is_none_or(|opens| opens <= now);
        if is_open {
            self.opens = Some(now + PROGRESS_INTERVAL);
        }
        is_open
    }
}

/// The host's side of one call.
pub(super) struct JobState {
    pub(super) wasi: WasiCtx,
    pub(super) table: ResourceTable,
    pub(super) clock: VirtualClock,
    pub(super) random: SeededRandom,
    pub(super) insecure_random: SeededRandom,
    pub(super) stdout: Capture,
    pub(super) stderr: Capture,
    pub(super) memory: MemoryMeter,
    pub(super) watch: Watch,
    pub(super) quota: Quota,
    pub(super) places: Places,
    /// Whether directories are listed from the last name to the first.
    pub(super) reverse_listings: bool,
    pub(super) denied: BTreeMap<&'static str, u64>,
    pub(super) log: Vec<String>,
    pub(super) cancel: Arc<AtomicBool>,
    /// The calls of a cloud converter; none in any other call.
    pub(super) session: Option<Session>,
    /// Who is told how far the job is.
    pub(super) listener: Option<Listener>,
    /// Keeps nothing until the call is given somebody who does.
    pub(super) keeper: Keeper,
    progress: Gate,
}

impl JobState {
    /// The state of a call whose input has this digest.
    pub(super) fn new(
        wasi: WasiCtx,
        digest: &[u8; 32],
        surroundings: &Surroundings,
        memory: MemoryMeter,
        watch: Watch,
        quota: Quota,
        cancel: Arc<AtomicBool>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let seed = surroundings.seed(digest);
        Self {
            wasi,
            table,
            clock: VirtualClock::new(surroundings),
            random: SeededRandom::new("random", &seed),
            insecure_random: SeededRandom::new("insecure", &seed),
            stdout: Capture::default(),
            stderr: Capture::default(),
            memory,
            watch,
            quota,
            places: Places::default(),
            reverse_listings: surroundings.reverse_listings,
            denied: BTreeMap::new(),
            log: Vec::new(),
            cancel,
            session: None,
            listener: None,
            keeper: Keeper::default(),
            progress: Gate::default(),
        }
    }

    /// Counts an attempt to use what the sandbox refuses, by interface or by its function.
    pub(super) fn deny(&mut self, what: &'static str) {
        let count = self.denied.entry(what).or_default();
        *count = count.saturating_add(1);
    }

    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }
}

impl WasiView for JobState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl types::Host for JobState {}

impl job::Host for JobState {
    fn log(&mut self, level: job::Level, message: String) {
        if self.log.len() >= LOG_LINES_MAX {
            return;
        }
        let level = match level {
            job::Level::Debug => "debug",
            job::Level::Info => "info",
            job::Level::Warn => "warn",
            job::Level::Error => "error",
        };
        self.log.push(format!("{level}: {}", stdio::line(&message)));
    }

    fn progress(&mut self, done: u64, total: u64, note: String) {
        if self.progress.admits(Instant::now()) {
            let note = stdio::line(&note);
            if self
                .session
                .as_ref()
                .is_some_and(|session| session.is_told_in(note.as_bytes()))
            {
                return;
            }
            tracing::debug!(done, total, note, "progress");
            if let Some(listener) = &self.listener {
                listener.tell(&note);
            }
        }
    }

    fn cancelled(&mut self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    fn checkpoint(&mut self, state: Vec<u8>) -> bool {
        self.keeper.keep(&state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_ten_times_a_second() {
        let mut gate = Gate::default();
        let start = Instant::now();
        let second = (0..10_000).map(|n| start + Duration::from_micros(100 * n));
        assert_eq!(second.filter(|now| gate.admits(*now)).count(), 10);
        // One that comes late is told at once.
        assert!(gate.admits(start + Duration::from_secs(60)));
    }
}
