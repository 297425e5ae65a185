//! A handle for talk that comes from within another room, while the command has its `Ui` elsewhere:
//! of a wait for the lock, or a file system. Writes to stderr, past a progress bar.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::ProgressBar;

use super::settings::Stream;
use super::terminal::{Style, one_line};

/// The handle; its copies share the bar.
#[derive(Clone, Default)]
pub(super) struct Notes {
    stderr: Stream,
    quiet: bool,
    json: bool,
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl fmt::Debug for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notes").finish_non_exhaustive()
    }
}

impl Notes {
    /// A handle of this process's stderr.
    pub(super) fn new(stderr: Stream, quiet: bool, json: bool) -> Self {
        Self {
            stderr,
            quiet,
            json,
            bar: Arc::default(),
        }
    }

    /// Tells lines past this bar from now on.
    pub(super) fn show_past(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    /// Tells something that is neither data nor trouble; not with `--quiet` or `--json`.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.tell("note", Style::Hint, text);
        }
    }

    /// Warns; with `--json` as a log line, because no answer has a place for it.
    pub(super) fn warning(&self, text: &str) {
        if self.json {
            tracing::warn!("{}", one_line(text));
        } else {
            self.tell("warning", Style::Warning, text);
        }
    }

    fn tell(&self, label: &str, style: Style, text: &str) {
        let label = style.paint(&format!("{label}:"), self.stderr.colour);
        let write = || writeln!(io::stderr(), "{label} {}", one_line(text));
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        // Nowhere is left to tell that stderr is closed.
        drop(match bar.as_ref() {
            Some(bar) => bar.suspend(write),
            None => write(),
        });
    }
}
