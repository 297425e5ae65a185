//! Standard output and error of a guest: captured, capped, turned into safe lines.
//!
//! A guest that writes more than is kept goes on undisturbed: a chatty library is no reason to
//! lose a document. The end is kept beside the beginning, because a panic's message comes last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use wasmtime::component::Resource;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::cli::{stderr, stdout};
use wasmtime_wasi::p2::{DynOutputStream, OutputStream, Pollable, StreamResult};

use super::Limits;
use super::state::JobState;
use crate::kb::{LINE_CHARS_MAX, SafeLine};

/// Bytes kept of the end when the beginning is full: room for a panic's message.
const TAIL_BYTES_MAX: usize = 4 << 10;

/// What a guest may write at once. Any size will do, since nothing ever waits.
const PERMIT_BYTES: usize = 64 << 10;

/// Lines taken from one stream: a log that somebody reads.
const LINES_MAX: usize = 100;

/// What Rust prints after a panic's message, of no use to a reader who cannot set the variable.
const BACKTRACE_NOTE: &str = "note: run with `RUST_BACKTRACE";

/// One captured stream; clones share what was captured.
#[derive(Clone, Debug, Default)]
pub(super) struct Capture(Arc<Mutex<Captured>>);

#[derive(Debug, Default)]
struct Captured {
    head: Vec<u8>,
    tail: Vec<u8>,
    dropped: u64,
}

impl Captured {
    fn push(&mut self, bytes: &[u8]) {
        let room = Limits::STDIO_BYTES_MAX - self.head.len();
        let (head, rest) = bytes.split_at(room.min(bytes.len()));
        self.head.extend_from_slice(head);
        // Only the end of a huge write can matter, so only that is copied.
        let kept = &rest[rest.len().saturating_sub(TAIL_BYTES_MAX)..];
        self.dropped += (rest.len() - kept.len()) as u64;
        self.tail.extend_from_slice(kept);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES_MAX);
        self.tail.drain(..excess);
        self.dropped += excess as u64;
    }

    /// Everything kept, as text, with a mark where something is missing.
    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.head).into_owned();
        if self.dropped > 0 {
            text.push_str(&format!("\n({} bytes left out)\n", self.dropped));
        }
        text.push_str(&String::from_utf8_lossy(&self.tail));
        text
    }
}

impl Capture {
    fn lock(&self) -> MutexGuard<'_, Captured> {
        // Bytes stay bytes whatever happened to the thread that pushed them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first and the last lines, sanitised; empty lines are left out.
    pub(super) fn lines(&self) -> Vec<String> {
        let text = self.lock().text();
        let mut lines: Vec<String> = text
            .lines()
            .map(line)
            .filter(|line| !line.is_empty())
            .collect();
        if lines.len() > LINES_MAX {
            let half = LINES_MAX / 2;
            let cut = half..lines.len() - half;
            let note = format!("({} lines left out)", cut.len());
            lines.splice(cut, [note]);
        }
        lines
    }

    /// The last thing said: the message of a panic, if there was one.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = self.lock().text();
        text.lines()
            .rev()
            .map(line)
            .find(|line| !line.is_empty() && !line.starts_with(BACKTRACE_NOTE))
    }
}

/// A safe line of a text that may be megabytes long: what will not be shown is not escaped either.
pub(super) fn line(untrusted: &str) -> String {
    let cut = untrusted.floor_char_boundary(LINE_CHARS_MAX * 8);
    SafeLine::new(&untrusted[..cut]).as_str().to_owned()
}

#[async_trait]
impl Pollable for Capture {
    async fn ready(&mut self) {}
}

impl OutputStream for Capture {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.lock().push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(PERMIT_BYTES)
    }
}

impl stdout::Host for JobState {
    fn get_stdout(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.stdout.clone());
        Ok(self.table.push(stream)?)
    }
}

impl stderr::Host for JobState {
    fn get_stderr(&mut self) -> wasmtime::Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.stderr.clone());
        Ok(self.table.push(stream)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(writes: &[&[u8]]) -> Capture {
        let capture = Capture::default();
        for bytes in writes {
            capture.lock().push(bytes);
        }
        capture
    }

    #[test]
    fn lines_are_safe_and_few() {
        let check = |bytes: &[u8], expected: &[&str]| {
            assert_eq!(captured(&[bytes]).lines(), expected);
        };
        check(b"", &[]);
        check(b"a\n\nb", &["a", "b"]);
        check(b"\x1b[31mred\xff [[x]]\n", &["[31mred\u{fffd} [ [x] ]"]);
        let lines = captured(&["x\n".repeat(1_000).as_bytes()]).lines();
        assert_eq!(lines.len(), LINES_MAX + 1);
        assert_eq!(lines[LINES_MAX / 2], "(900 lines left out)");
    }

    #[test]
    fn a_flood_keeps_its_beginning_and_its_end() {
        let flood = vec![b'x'; 10 * Limits::STDIO_BYTES_MAX];
        let capture = captured(&[b"first\n", &flood, b"\nlast\n"]);
        assert_eq!(capture.last_line().as_deref(), Some("last"));
        assert_eq!(capture.lines()[0], "first");
        let kept = capture.lock();
        assert_eq!(kept.head.len(), Limits::STDIO_BYTES_MAX);
        assert_eq!(kept.tail.len(), TAIL_BYTES_MAX);
        assert_eq!(
            kept.dropped as usize,
            6 + flood.len() + 6 - Limits::STDIO_BYTES_MAX - TAIL_BYTES_MAX
        );
    }

    #[test]
    fn the_last_line_is_the_message() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(
                captured(&[text.as_bytes()]).last_line().as_deref(),
                expected
            );
        };
        check("", None);
        check(
            "thread '<unnamed>' panicked at src/lib.rs:1:2:\nboom\nnote: run with `RUST_BACKTRACE=1` environment variable\n\n",
            Some("boom"),
        );
    }
}
