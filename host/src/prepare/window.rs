//! The window that bounds what a run prepares ahead of its committer.
//!
//! Invariant: inputs are admitted in sequence order, so the one whose turn it is to be committed is
//! always admitted, and the window never waits for itself.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Documents that are prepared or in preparation and not yet committed, for few jobs: two full
/// commit groups.
const DOCUMENTS_MAX: u64 = 128;

/// Staged bytes beyond which nothing new is begun.
const BYTES_MAX: u64 = 256 << 20;

/// How often somebody who waits looks whether the run was cancelled: a signal handler can set a
/// flag and no more.
const POLL: Duration = Duration::from_millis(20);

/// Bounds what is prepared and not yet committed: at most max(2 * jobs, 128) documents and 256 MiB
/// beyond the first document. The committer gives room back.
#[derive(Debug)]
pub struct Window {
    documents_max: u64,
    copies_max: u64,
    room: Mutex<Room>,
    changed: Condvar,
}

/// What is taken.
#[derive(Debug, Default)]
struct Room {
    documents: u64,
    bytes: u64,
    /// Inputs that are being copied: they queue for the same workers as the conversions, which
    /// come first once that many wait.
    copies: u64,
    /// Tasks that were given to a runner and have not ended.
    tasks: u64,
}

/// A task given to a runner; dropping it ends it, run or not.
#[derive(Debug)]
pub(super) struct Task(std::sync::Arc<Window>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.change(|room| room.tasks -= 1);
    }
}

impl Window {
    pub(super) fn new(jobs: usize) -> Self {
        let jobs = u64::try_from(jobs.max(1)).unwrap_or(u64::MAX);
        Self {
            documents_max: jobs.saturating_mul(2).max(DOCUMENTS_MAX),
            copies_max: jobs.saturating_mul(2),
            room: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Waits for room for one more input and takes it; `false`, without taking any, once `stopped`
    /// says so.
    pub(super) fn admit(&self, stopped: impl Fn() -> bool) -> bool {
        let fits = |room: &Room| {
            let ahead = room.documents < self.documents_max && room.bytes < BYTES_MAX;
            room.copies < self.copies_max && (room.documents == 0 || ahead)
        };
        let mut room = self.lock();
        loop {
            if stopped() {
                return false;
            }
            if fits(&room) {
                room.documents += 1;
                return true;
            }
            room = self.wait(room);
        }
    }

    /// Waits until every task has ended; calls `poll` now and then.
    pub(super) fn wait_idle(&self, poll: impl Fn()) {
        let mut room = self.lock();
        while room.tasks > 0 {
            poll();
            room = self.wait(room);
        }
    }

    /// Counts a task in.
    pub(super) fn task(self: &std::sync::Arc<Self>) -> Task {
        self.lock().tasks += 1;
        Task(std::sync::Arc::clone(self))
    }

    /// Counts a copy in.
    pub(super) fn copy_begins(&self) {
        self.lock().copies += 1;
    }

    /// Counts a copy out and what it left in staging in.
    pub(super) fn copy_ends(&self, bytes: u64) {
        self.change(|room| {
            room.copies -= 1;
            room.bytes += bytes;
        });
    }

    /// Replaces the bytes that an input was counted with.
    pub(super) fn recount(&self, before: u64, after: u64) {
        self.change(|room| room.bytes = (room.bytes + after).saturating_sub(before));
    }

    /// Wakes whoever waits, to look at what may have changed elsewhere.
    pub(super) fn wake(&self) {
        self.change(|_| ());
    }

    /// Gives back the room of a message that the committer is done with. `bytes` is
    /// `staged_bytes()` for a ready document, else 0.
    pub fn release(&self, bytes: u64) {
        self.change(|room| {
            // A cancelled input is reported without having been admitted.
            room.documents = room.documents.saturating_sub(1);
            room.bytes = room.bytes.saturating_sub(bytes);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Room)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait<'a>(&self, room: MutexGuard<'a, Room>) -> MutexGuard<'a, Room> {
        self.changed
            .wait_timeout(room, POLL)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    /// The counters are consistent at any time: a panic of another holder does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Whether the window admits now: it is stopped at the second look.
    fn admits(window: &Window) -> bool {
        let looks = Cell::new(0);
        window.admit(|| looks.replace(looks.get() + 1) > 0)
    }

    #[test]
    fn documents_are_bounded() {
        let check = |jobs, expected| {
            let window = Window::new(jobs);
            let admitted = (0..1000).take_while(|_| admits(&window)).count();
            assert_eq!(admitted, expected, "{jobs} jobs");
            window.release(0);
            assert!(admits(&window));
            assert!(!admits(&window));
        };
        check(0, 128);
        check(1, 128);
        check(64, 128);
        check(100, 200);
    }

    #[test]
    fn bytes_are_bounded_beyond_the_first_document() {
        let window = Window::new(2);
        assert!(admits(&window));
        window.copy_begins();
        window.copy_ends(BYTES_MAX);
        assert!(!admits(&window), "full");
        window.recount(BYTES_MAX, BYTES_MAX - 1);
        assert!(admits(&window), "one byte is free");
        window.recount(0, 5 * BYTES_MAX);
        window.release(0);
        window.release(0);
        assert!(admits(&window), "nothing is in flight");
    }

    #[test]
    fn copies_do_not_run_far_ahead() {
        let window = Window::new(1);
        for _ in 0..2 {
            assert!(admits(&window));
            window.copy_begins();
        }
        assert!(!admits(&window));
        window.copy_ends(1);
        assert!(admits(&window));
    }
}
