//! What bounds the calls of one job, each with its reason.

use std::time::Duration;

/// One try of a call, from the connection to the last byte. The service's own client waits 30 s; a
/// whole document with its pages takes longer than a status.
const TRY_TIME_MAX: Duration = Duration::from_secs(60);

/// Until a connection stands, TLS included: who is not there after this will not come.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// All calls and pauses of a job together: the service's own client polls for ten minutes.
const SESSION_TIME_MAX: Duration = Duration::from_secs(30 * 60);

/// Between two tries; doubled each time.
const BACKOFF: Duration = Duration::from_secs(1);

/// A document of 1,000 images, each asked for and looked up, and some hundred polls.
pub(super) const CALLS_MAX: u64 = 2_000;

/// One answer: the pages of a book of 10,000 pages are some 30 MiB. Every worker may hold one.
pub(super) const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// All answers of a job: as much as a converter may write, halved.
pub(super) const ANSWERS_BYTES_MAX: u64 = 512 << 20;

/// What a converter sends out of its own memory; files go from disk.
pub(super) const BODY_BYTES_MAX: usize = 1 << 20;

/// A file that is sent gets this much more time than a call: 1 s for every 256 KiB, a slow uplink.
const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 256 << 10;

/// One pause; a longer one ends early. Polling is done in seconds.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A wait that a service asks for beyond this is the converter's to decide on.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Tries of one call in all.
pub(super) const TRIES_MAX: u32 = 3;

/// The limits in which time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// One try without a file.
    pub(super) try_max: Duration,
    /// Until a connection stands.
    pub(super) connect_max: Duration,
    /// All calls and pauses.
    pub(super) session_max: Duration,
    /// Before the second try.
    pub(super) backoff: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            try_max: TRY_TIME_MAX,
            connect_max: CONNECT_TIME_MAX,
            session_max: SESSION_TIME_MAX,
            backoff: BACKOFF,
        }
    }
}

impl Times {
    /// The times of this process.
    #[cfg(not(feature = "fault-points"))]
    pub(super) fn of_process() -> Self {
        Self::default()
    }

    /// The times of this process: a rig may lower them, so that it need not wait.
    #[cfg(feature = "fault-points")]
    pub(super) fn of_process() -> Self {
        let time = |name: &str, otherwise: Duration| {
            let ms = std::env::var(name).ok().and_then(|ms| ms.parse().ok());
            ms.map_or(otherwise, Duration::from_millis)
        };
        let full = Self::default();
        let try_max = time("KBHOST_TEST_CALL_MS", full.try_max);
        Self {
            try_max,
            connect_max: full.connect_max.min(try_max),
            session_max: time("KBHOST_TEST_CLOUD_MS", full.session_max),
            backoff: time("KBHOST_TEST_BACKOFF_MS", full.backoff),
        }
    }

    /// The same, and no more than this for a call and for all.
    pub(super) fn within(self, call_max: Duration, session_max: Duration) -> Self {
        Self {
            try_max: self.try_max.min(call_max),
            connect_max: self.connect_max.min(call_max),
            session_max: self.session_max.min(session_max),
            backoff: self.backoff,
        }
    }

    /// The time of one try that sends a file of so many bytes.
    pub(super) fn try_with(self, file_bytes: u64) -> Duration {
        self.try_max + Duration::from_secs(file_bytes / UPLOAD_BYTES_PER_SECOND_MIN)
    }
}
