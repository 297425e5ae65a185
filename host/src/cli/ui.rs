//! The two streams of a command. Every byte that this program prints goes through a [`Ui`].
//!
//! Invariant: stdout carries data only. A stdout that takes nothing more does not stop the work
//! that is under way: the first error is kept and told at the end, a closed pipe stays quiet.

use std::io::{self, BufRead, BufWriter, Read, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::error::{CommandError, ErrorReport};
use super::json;
use super::notes::Notes;
use super::settings::{Settings, Stream};
use super::terminal::{self, Style, one_line};
use crate::plugin::Listener;

/// How often the bar is drawn while nothing ends.
const BAR_TICK: Duration = Duration::from_millis(200);

/// Nobody types a longer answer to a question.
const ANSWER_BYTES_MAX: u64 = 1024;

/// The streams and how to write to them.
pub(super) struct Ui {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    out_error: Option<io::Error>,
    stdout: Stream,
    stderr: Stream,
    columns: Option<usize>,
    json: bool,
    quiet: bool,
    command: &'static str,
    progress: bool,
    bar: Option<ProgressBar>,
    notes: Notes,
}

impl Ui {
    /// The streams of this process.
    pub(super) fn of_process(settings: &Settings, command: &'static str) -> Self {
        let columns = settings
            .stdout
            .terminal
            .then(|| terminal::columns(io::stdout()));
        Self {
            out: Box::new(BufWriter::new(io::stdout().lock())),
            // Not locked for good: log lines and the bar come from other threads.
            err: Box::new(io::stderr()),
            out_error: None,
            stdout: settings.stdout,
            stderr: settings.stderr,
            columns: columns.flatten(),
            json: settings.json,
            quiet: settings.quiet,
            command,
            progress: settings.progress(),
            bar: None,
            notes: settings.notes.clone(),
        }
    }

    /// Whether the answer is JSON.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// How stdout is written to.
    pub(super) fn stdout(&self) -> Stream {
        self.stdout
    }

    /// The width of the terminal behind stdout.
    pub(super) fn columns(&self) -> Option<usize> {
        self.columns
    }

    /// Writes data to stdout.
    pub(super) fn data(&mut self, bytes: &[u8]) {
        if self.out_error.is_some() {
            return;
        }
        let out = &mut self.out;
        let written = match &self.bar {
            Some(bar) => bar.suspend(|| out.write_all(bytes).and_then(|()| out.flush())),
            None => out.write_all(bytes),
        };
        self.out_error = written.err();
    }

    /// Writes a line to stdout.
    pub(super) fn line(&mut self, line: &str) {
        self.data(format!("{line}\n").as_bytes());
    }

    /// Hands over what was written to stdout so far.
    pub(super) fn flush(&mut self) {
        if self.out_error.is_none() {
            self.out_error = self.out.flush().err();
        }
    }

    /// Writes the JSON answer of this command.
    pub(super) fn answer(&mut self, body: impl Serialize) {
        let line = json::line(Some(self.command), body);
        self.line(&line);
    }

    /// Tells something that is neither data nor trouble; not with `--quiet` or `--json`.
    pub(super) fn note(&mut self, text: &str) {
        if !self.quiet {
            self.talk(&one_line(text));
        }
    }

    /// Tells what to do next; not with `--quiet` or `--json`.
    pub(super) fn hint(&mut self, text: &str) {
        if !self.quiet {
            let line = self.labelled(Style::Hint, "hint", text);
            self.talk(&line);
        }
    }

    /// Warns; with `--json` the warning belongs into the answer instead.
    pub(super) fn warning(&mut self, text: &str) {
        let line = self.labelled(Style::Warning, "warning", text);
        self.talk(&line);
    }

    /// Tells an error: what, why, what to do. With `--json` it belongs into the answer instead.
    pub(super) fn error(&mut self, report: &ErrorReport) {
        let mut text = self.labelled(Style::Error, "error", &report.message);
        for cause in &report.causes {
            text.push_str("\n  caused by: ");
            text.push_str(cause);
        }
        for choice in &report.choices {
            text.push_str("\n  ");
            text.push_str(choice);
        }
        if let Some(hint) = &report.hint {
            text.push_str("\n\n");
            text.push_str(&self.labelled(Style::Hint, "hint", hint));
        }
        self.talk(&text);
    }

    /// Asks a question after `lines` on stderr, and takes the answer from stdin: yes or no, and no
    /// where nothing can be read. Only for whoever knows that somebody sits there.
    pub(super) fn ask(&mut self, lines: &[String], question: &str) -> bool {
        for line in lines {
            self.talk(&one_line(line));
        }
        self.flush();
        let asked =
            write!(self.err, "{} [y/N] ", one_line(question)).and_then(|()| self.err.flush());
        let mut answer = String::new();
        let read = io::stdin()
            .lock()
            .take(ANSWER_BYTES_MAX)
            .read_line(&mut answer);
        asked.is_ok()
            && read.is_ok()
            && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
    }

    fn labelled(&self, style: Style, label: &str, text: &str) -> String {
        let label = style.paint(&format!("{label}:"), self.stderr.colour);
        format!("{label} {}", one_line(text))
    }

    /// Writes to stderr, after what stdout has so far: on one terminal the order is the true one.
    fn talk(&mut self, text: &str) {
        if self.json {
            return;
        }
        self.flush();
        let err = &mut self.err;
        let mut write = || writeln!(err, "{text}");
        let written = match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        };
        // Nowhere is left to tell that stderr is closed; the exit code still tells the result.
        drop(written);
    }

    /// Shows a bar that counts to `total`, if stderr is a terminal with nobody else on it.
    pub(super) fn start_progress(&mut self, total: u64) {
        if !self.progress || total == 0 {
            return;
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} [{bar:30}] {pos}/{len} {wide_msg}")
            .expect("the template is one that the tests parse")
            .progress_chars("=> ");
        bar.set_style(style);
        bar.enable_steady_tick(BAR_TICK);
        self.notes.show_past(Some(bar.clone()));
        self.bar = Some(bar);
    }

    /// One more is done, and it was called `name`.
    pub(super) fn advance(&mut self, name: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(one_line(name));
            bar.inc(1);
        }
    }

    /// Who shows a line beside the bar, if there is a bar.
    pub(super) fn listener(&self) -> Option<Listener> {
        let bar = self.bar.clone()?;
        Some(Listener::new(move |line| bar.set_message(one_line(line))))
    }

    /// Takes the bar away.
    pub(super) fn finish_progress(&mut self) {
        self.notes.show_past(None);
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Ends the output.
    ///
    /// # Errors
    /// If stdout did not take everything, unless its reader has gone.
    pub(super) fn finish(&mut self) -> Result<(), CommandError> {
        self.finish_progress();
        self.flush();
        match self.out_error.take() {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(CommandError::Stdout(error))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What a command printed.
    #[derive(Clone, Default)]
    pub(in crate::cli) struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Captured {
        pub(in crate::cli) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A `Ui` that writes to memory, with its stdout and stderr.
    pub(in crate::cli) fn captured(json: bool, quiet: bool) -> (Ui, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        let ui = Ui {
            out: Box::new(out.clone()),
            err: Box::new(err.clone()),
            out_error: None,
            stdout: Stream::default(),
            stderr: Stream::default(),
            columns: None,
            json,
            quiet,
            command: "add",
            progress: false,
            bar: None,
            notes: Notes::default(),
        };
        (ui, out, err)
    }

    fn report() -> ErrorReport {
        ErrorReport {
            message: "failed to read `a`".to_owned(),
            causes: vec!["open it".to_owned(), "gone".to_owned()],
            choices: Vec::new(),
            hint: Some("`ls a`".to_owned()),
            code: "not-found",
            exit_code: 1,
        }
    }

    #[test]
    fn errors_read_what_why_and_what_to_do() {
        let (mut ui, out, err) = captured(false, true);
        ui.error(&report());
        assert_eq!(
            err.text(),
            "error: failed to read `a`\n  caused by: open it\n  caused by: gone\n\nhint: `ls a`\n"
        );
        assert_eq!(out.text(), "");
    }

    #[test]
    fn quiet_keeps_errors_and_warnings_only() {
        let (mut ui, _, err) = captured(false, true);
        ui.note("3 added");
        ui.hint("go on");
        ui.warning("careful\x1b[2J");
        assert_eq!(err.text(), "warning: careful [2J\n");
    }

    #[test]
    fn json_leaves_stderr_alone() {
        let (mut ui, out, err) = captured(true, false);
        ui.error(&report());
        ui.note("x");
        #[derive(Serialize)]
        struct Body {}
        ui.answer(Body {});
        assert_eq!(err.text(), "");
        assert_eq!(out.text(), "{\"kbhost\":1,\"command\":\"add\"}\n");
    }

    struct Broken(io::ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_a_full_disk_is_not() {
        let finish = |kind| {
            let (mut ui, ..) = captured(false, false);
            ui.out = Box::new(Broken(kind));
            ui.line("x");
            ui.line("y");
            ui.finish()
        };
        assert!(finish(io::ErrorKind::BrokenPipe).is_ok());
        assert!(matches!(
            finish(io::ErrorKind::StorageFull),
            Err(CommandError::Stdout(_))
        ));
    }

    #[test]
    fn the_bar_can_be_made() {
        let (mut ui, out, _) = captured(false, false);
        ui.progress = true;
        ui.start_progress(3);
        ui.advance("a");
        ui.line("x");
        ui.finish().unwrap();
        assert_eq!(out.text(), "x\n");
    }
}
