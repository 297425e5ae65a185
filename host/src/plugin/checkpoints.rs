//! What a guest asks to be kept for a later run, and how often it may.

use std::fmt;
use std::sync::Arc;

use crate::kb::CHECKPOINT_BYTES_MAX;

/// Checkpoints of one call: each may cost a durable write. A wait of hours that is told every minute
/// has room.
const CHECKPOINTS_MAX: u32 = 1_000;

/// Keeps what a guest needs to go on after its run was interrupted.
pub trait Checkpoints: fmt::Debug + Send + Sync {
    /// Keeps these bytes, at most [`CHECKPOINT_BYTES_MAX`], in place of the earlier ones; none forget
    /// them. Waits until they are durable; false if they were not kept. A host that gave up waiting
    /// may have kept them all the same.
    fn keep(&self, state: &[u8]) -> bool;
}

/// Stands between a guest and whoever keeps its checkpoints.
#[derive(Debug, Default)]
pub(super) struct Keeper {
    to: Option<Arc<dyn Checkpoints>>,
    asked: u32,
}

impl Keeper {
    /// Hands checkpoints on to `to`; without one none is kept.
    pub(super) fn new(to: Option<Arc<dyn Checkpoints>>) -> Self {
        Self { to, asked: 0 }
    }

    /// Keeps a guest's bytes if they are few enough, and its calls are.
    pub(super) fn keep(&mut self, state: &[u8]) -> bool {
        let Some(to) = &self.to else {
            return false;
        };
        if state.len() > CHECKPOINT_BYTES_MAX || self.asked >= CHECKPOINTS_MAX {
            return false;
        }
        self.asked += 1;
        to.keep(state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<usize>>);

    impl Checkpoints for Kept {
        fn keep(&self, state: &[u8]) -> bool {
            self.0.lock().unwrap().push(state.len());
            state != b"no"
        }
    }

    #[test]
    fn size_and_number_are_bounded_before_anybody_is_asked() {
        let kept = Arc::new(Kept::default());
        let mut keeper = Keeper::new(Some(Arc::clone(&kept) as _));
        assert!(keeper.keep(&[0; CHECKPOINT_BYTES_MAX]));
        assert!(!keeper.keep(&[0; CHECKPOINT_BYTES_MAX + 1]));
        assert!(keeper.keep(b""));
        assert!(!keeper.keep(b"no"), "the answer is the keeper's");
        assert_eq!(*kept.0.lock().unwrap(), [CHECKPOINT_BYTES_MAX, 0, 2]);
        let told = (0..2_000).filter(|_| keeper.keep(b"x")).count();
        assert_eq!(told, 997);
        assert_eq!(kept.0.lock().unwrap().len(), 1_000);
    }

    #[test]
    fn without_a_keeper_nothing_is_kept() {
        assert!(!Keeper::default().keep(b"x"));
        assert!(!Keeper::default().keep(b""));
    }
}
