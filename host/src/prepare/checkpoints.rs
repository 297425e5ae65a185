//! Checkpoints on their way from a worker to the committing thread and back: workers never touch the
//! KB, so they ask and wait.
//!
//! Invariant: a checkpoint has no turn, so it neither waits for one nor holds one up; a worker waits
//! for its answer for a bounded time, and not at all once the run is over.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::kb::CheckpointKey;
use crate::plugin::Checkpoints;

/// A worker waits no longer than this: the owner may wait for the KB's lock, or commit a group.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long a cancelled run may go unseen.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Answers what an earlier, interrupted run left under a key.
pub type Resume = Box<dyn Fn(&CheckpointKey) -> Option<Vec<u8>> + Send + Sync>;

/// A checkpoint that a worker waits for.
#[derive(Debug)]
#[must_use = "a worker waits for the answer"]
pub struct CheckpointRequest {
    /// Whose it is.
    pub key: CheckpointKey,
    /// What to keep; nothing forgets what was kept.
    pub state: Vec<u8>,
    until: Instant,
    answer: Sender<bool>,
}

impl CheckpointRequest {
    /// Whether the worker is still there for the answer.
    #[must_use]
    pub fn is_waited_for(&self) -> bool {
        Instant::now() < self.until
    }

    /// Tells the worker whether it was kept. A request that is dropped was not.
    pub fn answer(self, kept: bool) {
        if self.answer.send(kept).is_err() {
            tracing::debug!("nobody waits for this checkpoint any more");
        }
    }
}

/// A run's way to the one who keeps checkpoints.
pub(super) struct Keeping {
    resume: Resume,
    requests: Sender<CheckpointRequest>,
    stop: Arc<AtomicBool>,
}

impl Keeping {
    /// A way for a run that is over when `stop` is set, and its far end.
    pub(super) fn new(
        resume: Resume,
        stop: Arc<AtomicBool>,
    ) -> (Self, Receiver<CheckpointRequest>) {
        let (requests, far_end) = unbounded();
        let keeping = Self {
            resume,
            requests,
            stop,
        };
        (keeping, far_end)
    }

    /// What an earlier run left.
    pub(super) fn resume(&self, key: &CheckpointKey) -> Option<Vec<u8>> {
        (self.resume)(key)
    }

    /// Keeps under this key.
    pub(super) fn keeper(&self, key: CheckpointKey) -> Arc<dyn Checkpoints> {
        Arc::new(Asking {
            key,
            requests: self.requests.clone(),
            stop: Arc::clone(&self.stop),
            wait_max: ANSWER_WAIT_MAX,
        })
    }
}

/// Asks for one conversion's checkpoints.
struct Asking {
    key: CheckpointKey,
    requests: Sender<CheckpointRequest>,
    stop: Arc<AtomicBool>,
    wait_max: Duration,
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Asking").field(&self.key).finish()
    }
}

impl Checkpoints for Asking {
    fn keep(&self, state: &[u8]) -> bool {
        let is_over = || self.stop.load(Ordering::SeqCst);
        if is_over() {
            return false;
        }
        let until = Instant::now() + self.wait_max;
        let (answer, answered) = bounded(1);
        let request = CheckpointRequest {
            key: self.key,
            state: state.to_vec(),
            until,
            answer,
        };
        if self.requests.send(request).is_err() {
            return false;
        }
        loop {
            match answered.recv_timeout(LOOK_INTERVAL) {
                Ok(kept) => return kept,
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) if is_over() || Instant::now() >= until => {
                    return false;
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::{ContentHash, PluginDigest};

    fn key() -> CheckpointKey {
        let digest = ContentHash::of(b"a");
        CheckpointKey::new(&digest, &PluginDigest(digest), None)
    }

    struct Rig {
        keeper: Arc<dyn Checkpoints>,
        requests: Receiver<CheckpointRequest>,
        stop: Arc<AtomicBool>,
    }

    impl Rig {
        fn new() -> Self {
            let stop = Arc::new(AtomicBool::new(false));
            let (keeping, requests) = Keeping::new(Box::new(|_| None), Arc::clone(&stop));
            Self {
                keeper: keeping.keeper(key()),
                requests,
                stop,
            }
        }

        /// What the worker is told while `owner` has the far end.
        fn told(&self, owner: impl FnOnce(&Receiver<CheckpointRequest>) + Send) -> bool {
            std::thread::scope(|scope| {
                scope.spawn(|| owner(&self.requests));
                self.keeper.keep(b"state")
            })
        }
    }

    #[test]
    fn the_answer_is_the_owners() {
        for kept in [true, false] {
            let told = Rig::new().told(|requests| {
                let request = requests.recv().unwrap();
                assert_eq!((request.key, &*request.state), (key(), &b"state"[..]));
                assert!(request.is_waited_for());
                request.answer(kept);
            });
            assert_eq!(told, kept);
        }
    }

    #[test]
    fn nobody_waits_for_an_owner_that_is_gone() {
        let told = Rig::new().told(|requests| drop(requests.recv().unwrap()));
        assert!(!told);
        let Rig {
            keeper, requests, ..
        } = Rig::new();
        drop(requests);
        assert!(!keeper.keep(b"state"));
    }

    #[test]
    fn a_run_that_ends_ends_the_wait() {
        let rig = Rig::new();
        let started = Instant::now();
        let told = rig.told(|_| {
            std::thread::sleep(Duration::from_millis(50));
            rig.stop.store(true, Ordering::SeqCst);
        });
        assert!(!told);
        assert!(started.elapsed() < ANSWER_WAIT_MAX / 2, "it waited on");
        // From here on nobody is asked.
        assert_eq!(rig.requests.len(), 1);
        assert!(!rig.keeper.keep(b"state"));
        assert_eq!(rig.requests.len(), 1);
    }

    #[test]
    fn a_wait_has_an_end() {
        let (requests, far_end) = unbounded();
        let asking = Asking {
            key: key(),
            requests,
            stop: Arc::default(),
            wait_max: Duration::from_millis(100),
        };
        let started = Instant::now();
        assert!(!asking.keep(b"state"));
        assert!(started.elapsed() >= asking.wait_max);
        // The owner need not trouble itself any more, and must not: the guest was told.
        let request = far_end.recv().unwrap();
        assert!(!request.is_waited_for());
        request.answer(true);
    }
}
