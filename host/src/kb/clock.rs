//! Wall-clock time for log lines and records; pinned by `SOURCE_DATE_EPOCH`.

use jiff::{Timestamp, tz::TimeZone};

/// Tells the time of a mutation.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock, in the user's time zone.
    System,
    /// One moment, in UTC, for reproducible output.
    Pinned(Timestamp),
}

impl Clock {
    /// Reads `SOURCE_DATE_EPOCH` (seconds since 1970); without it, or when it is no number, the
    /// machine's clock.
    #[must_use]
    pub fn from_source_date_epoch(value: Option<&str>) -> Self {
        value
            .and_then(|seconds| seconds.trim().parse().ok())
            .and_then(|seconds| Timestamp::from_second(seconds).ok())
            .map_or(Self::System, Self::Pinned)
    }

    /// Local time as `YYYY-MM-DD HH:MM:SS`, for the log page.
    #[must_use]
    pub fn log_time(&self) -> String {
        let zoned = match self {
            Self::System => Timestamp::now().to_zoned(TimeZone::system()),
            Self::Pinned(moment) => moment.to_zoned(TimeZone::UTC),
        };
        zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Pinned(moment) => *moment,
        }
    }

    /// UTC as RFC 3339 with seconds, for records.
    #[must_use]
    pub fn record_time(&self) -> String {
        self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}
