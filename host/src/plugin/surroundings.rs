//! What a guest may not let its result depend on: clock, randomness, the order of a directory.
//!
//! Invariant: production has one of these, the default. Another one is for finding out whether a
//! converter gives the same when they change.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The parts of a guest's world that carry no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// How far ahead of its usual start the virtual clock starts, for wall time, monotonic time and
    /// the times of files.
    pub clock_ahead: Duration,
    /// How far each reading advances the clock.
    pub clock_step: Duration,
    /// Other randomness for the same input; 0 is the usual one.
    pub random_salt: u64,
    /// Directories are listed from the last name to the first.
    pub reverse_listings: bool,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            clock_ahead: Duration::ZERO,
            clock_step: Duration::from_micros(1),
            random_salt: 0,
            reverse_listings: false,
        }
    }
}

impl Surroundings {
    /// The seed of the randomness for an input with this digest.
    pub(super) fn seed(&self, digest: &[u8; 32]) -> [u8; 32] {
        if self.random_salt == 0 {
            return *digest;
        }
        let salted = Sha256::new()
            .chain_update(self.random_salt.to_le_bytes())
            .chain_update(digest);
        salted.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_seed_is_the_digest_itself() {
        let salted = |random_salt| {
            let surroundings = Surroundings {
                random_salt,
                ..Surroundings::default()
            };
            surroundings.seed(&[7; 32])
        };
        assert_eq!(salted(0), [7; 32]);
        assert_ne!(salted(1), [7; 32]);
        assert_ne!(salted(1), salted(2));
    }
}
