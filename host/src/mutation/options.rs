//! What whoever changes, or locks, a KB brings along.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::kb::SafeLine;
use crate::kb::clock::Clock;
use crate::kb::config::Config;

/// Somebody who is told something on the way, on the thread that has to tell it.
pub type Told<T> = Arc<dyn Fn(&T) + Send + Sync>;

/// How to take the lock.
#[derive(Clone)]
pub struct LockOptions {
    /// Waits at most this long; zero tries once.
    pub wait: Duration,
    /// Set to end a wait.
    pub cancel: Arc<AtomicBool>,
    /// The user vouches for the locks of a network file system.
    pub allow_network_fs: bool,
    /// Told once after 500 ms of waiting, and again every 10 s.
    pub on_wait: Option<Told<Waiting>>,
    /// Told once of a file system whose locks had to be tried out first.
    pub on_warning: Option<Told<SafeLine>>,
}

impl LockOptions {
    /// Waits silently for at most `wait`.
    #[must_use]
    pub fn waiting(wait: Duration) -> Self {
        Self {
            wait,
            cancel: Arc::default(),
            allow_network_fs: false,
            on_wait: None,
            on_warning: None,
        }
    }
}

impl fmt::Debug for LockOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockOptions")
            .field("wait", &self.wait)
            .field("allow_network_fs", &self.allow_network_fs)
            .finish_non_exhaustive()
    }
}

/// A wait for the lock that goes on.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// How long it has lasted.
    pub waited: Duration,
    /// Who holds the lock, as far as that is known, one safe line.
    pub holder: Option<String>,
}

/// How an owner works.
#[derive(Clone, Debug)]
pub struct OwnerOptions {
    /// The lock.
    pub lock: LockOptions,
    /// Time of log lines and records.
    pub clock: Clock,
    /// Settings of the KB.
    pub config: Config,
    /// The command line's first word, for the holder record: `add`.
    pub command: &'static str,
}
