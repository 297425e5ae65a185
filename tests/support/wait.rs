//! Waiting for another process to get somewhere, and being in its way.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use fs2::FileExt as _;

use super::Env;

/// Nothing that is waited for takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Preparations of a KB that are complete and not committed.
pub(crate) fn ready(kb: &Path) -> usize {
    let Ok(entries) = fs::read_dir(kb.join(".openkb/staging/prepare")) else {
        return 0;
    };
    entries
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .join("ready/main.md")
                .exists()
        })
        .count()
}

/// Takes the lock as another program would.
pub(crate) fn hold_lock(env: &Env) -> File {
    let lock = File::open(env.kb().join(".openkb/ingest.lock")).unwrap();
    lock.lock_exclusive().unwrap();
    lock
}
