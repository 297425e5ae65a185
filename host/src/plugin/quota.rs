//! What a guest may put beneath `/out`: bytes, entries, depth and names, counted where they are
//! made rather than looked for afterwards.
//!
//! Invariant: the bytes counted are never fewer than the sum of the lengths of all files that the
//! guest made and did not shorten, unlinked ones included: an open handle keeps those on the disk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{JobFailure, Limits};

/// Directories inside each other beneath `/out`. Nobody needs a dozen, and deeper ones could
/// outgrow what a path can name.
pub(super) const DEPTH_MAX: usize = 12;

/// Bytes of one name: what the collector takes as a whole path, and less than any file system's
/// limit.
pub(super) const NAME_BYTES_MAX: usize = 200;

/// The budget of one call; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Quota(Arc<Mutex<Used>>);

#[derive(Debug)]
struct Used {
    bytes: u64,
    bytes_peak: u64,
    entries: u64,
    entries_peak: u64,
    bytes_max: u64,
    entries_max: u64,
}

impl Quota {
    pub(super) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(Used {
            bytes: 0,
            bytes_peak: 0,
            entries: 0,
            entries_peak: 0,
            bytes_max: limits.output_bytes_max,
            entries_max: limits.output_files_max,
        })))
    }

    /// Counts a file that becomes `after` bytes long, before it does.
    ///
    /// # Errors
    /// If that is more than allowed; then nothing is counted.
    pub(super) fn resize(&self, before: u64, after: u64) -> Result<(), JobFailure> {
        let mut used = self.lock();
        let bytes = used.bytes.saturating_sub(before).saturating_add(after);
        if after > before && bytes > used.bytes_max {
            return Err(used.beyond());
        }
        used.bytes = bytes;
        used.bytes_peak = used.bytes_peak.max(bytes);
        Ok(())
    }

    /// Counts a file or directory, before it is made.
    ///
    /// # Errors
    /// If there would be more than allowed; then nothing is counted.
    pub(super) fn add_entry(&self) -> Result<(), JobFailure> {
        let mut used = self.lock();
        if used.entries >= used.entries_max {
            return Err(used.beyond());
        }
        used.entries += 1;
        used.entries_peak = used.entries_peak.max(used.entries);
        Ok(())
    }

    /// Takes back an entry that was removed, or not made after all. Its bytes stay counted.
    pub(super) fn remove_entry(&self) {
        let mut used = self.lock();
        used.entries = used.entries.saturating_sub(1);
    }

    /// The most bytes and entries at one time.
    pub(super) fn peak(&self) -> (u64, u64) {
        let used = self.lock();
        (used.bytes_peak, used.entries_peak)
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        // Each change is a single assignment: a panic elsewhere leaves nothing half counted.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn beyond(&self) -> JobFailure {
        JobFailure::Output {
            limit_bytes: self.bytes_max,
            limit_files: self.entries_max,
        }
    }
}

/// What is wrong with a name that a guest wants to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadName {
    /// Longer than [`NAME_BYTES_MAX`].
    TooLong,
    /// It could pass for another one, or give orders to a terminal: control characters, and those
    /// that turn the direction of text around or do not show.
    Unprintable,
}

/// Judges a name that a guest wants to give to something beneath `/out`.
pub(super) fn judge_name(name: &str) -> Result<(), BadName> {
    if name.len() > NAME_BYTES_MAX {
        return Err(BadName::TooLong);
    }
    // General punctuation that is invisible or steers bidirectional text, the byte order mark,
    // interlinear annotations and tags: Unicode's "default ignorable" and Bidi_Control.
    let steers = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    if name.chars().any(|c| c.is_control() || steers(c)) {
        return Err(BadName::Unprintable);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(bytes: u64, files: u64) -> Quota {
        Quota::new(&Limits {
            output_bytes_max: bytes,
            output_files_max: files,
            ..Limits::default()
        })
    }

    #[test]
    fn bytes_are_counted_by_growth() {
        let quota = quota(100, 10);
        quota.resize(0, 60).unwrap();
        quota.resize(0, 40).unwrap();
        assert!(quota.resize(40, 41).is_err(), "full");
        quota.resize(60, 10).unwrap();
        quota.resize(10, 60).unwrap();
        assert!(quota.resize(0, u64::MAX).is_err(), "no overflow");
        assert!(quota.resize(60, 61).is_err());
        assert_eq!(quota.peak(), (100, 0));
    }

    #[test]
    fn entries_come_back_when_they_are_removed() {
        let quota = quota(100, 2);
        quota.add_entry().unwrap();
        quota.add_entry().unwrap();
        let beyond = JobFailure::Output {
            limit_bytes: 100,
            limit_files: 2,
        };
        assert_eq!(quota.add_entry(), Err(beyond));
        quota.remove_entry();
        quota.add_entry().unwrap();
        assert_eq!(quota.peak(), (0, 2));
    }

    #[test]
    fn names_are_plain() {
        let check = |name: &str, expected| assert_eq!(judge_name(name), expected, "{name:?}");
        check("main.md", Ok(()));
        check("Übersicht 1 – 東京.png", Ok(()));
        check(&"x".repeat(200), Ok(()));
        check(&"x".repeat(201), Err(BadName::TooLong));
        for c in [
            '\n', '\x1b', '\0', '\u{7f}', '\u{9b}', '\u{202e}', '\u{200b}', '\u{feff}',
        ] {
            check(&format!("a{c}b"), Err(BadName::Unprintable));
        }
    }
}
