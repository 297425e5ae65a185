//! What the command line and the environment mean together, once resolved.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::{Color, GlobalArgs, LockArgs, LogFormat};
use super::notes::Notes;
use crate::kb::clock::Clock;
use crate::kb::config::Jobs;
use crate::kb::{Candidates, KbRoot, shell_word};
use crate::mutation::{LockOptions, Waiting};
use crate::userdir::known_kbs;

/// `auto` stops here: each worker holds a sandbox of up to half a gigabyte.
const AUTO_JOBS_MAX: usize = 64;

/// What this program reads from its surroundings, in one place. An empty variable counts as unset.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    /// `KBHOST_KB`.
    pub(super) kbhost_kb: Option<OsString>,
    /// `OPENKB_DIR`.
    pub(super) openkb_dir: Option<OsString>,
    /// `KBHOST_LOG`.
    pub(super) log: Option<OsString>,
    /// `SOURCE_DATE_EPOCH`.
    pub(super) source_date_epoch: Option<OsString>,
    /// `NO_COLOR` is set, or `TERM` says that the terminal knows no colours.
    pub(super) no_color: bool,
    /// Where the process stands; `None` if that folder is gone.
    pub(super) current_dir: Option<PathBuf>,
    /// stdin is a terminal.
    pub(super) stdin_terminal: bool,
    /// stdout is a terminal.
    pub(super) stdout_terminal: bool,
    /// stderr is a terminal.
    pub(super) stderr_terminal: bool,
}

impl Environment {
    /// The surroundings of this process.
    pub(super) fn of_process() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            kbhost_kb: variable("KBHOST_KB"),
            openkb_dir: variable("OPENKB_DIR"),
            log: variable("KBHOST_LOG"),
            source_date_epoch: variable("SOURCE_DATE_EPOCH"),
            no_color: variable("NO_COLOR").is_some()
                || variable("TERM").as_deref() == Some(OsStr::new("dumb")),
            current_dir: std::env::current_dir().ok(),
            stdin_terminal: io::stdin().is_terminal(),
            stdout_terminal: io::stdout().is_terminal(),
            stderr_terminal: io::stderr().is_terminal(),
        }
    }
}

/// How the subscriber is set up.
#[derive(Clone, Debug)]
pub(super) struct Logging {
    /// Number of `-v`.
    pub(super) verbosity: u8,
    /// `--log-format`.
    pub(super) format: LogFormat,
    /// `KBHOST_LOG`: stands above `-v`.
    pub(super) filter: Option<String>,
    /// Whether log lines are coloured.
    pub(super) colour: bool,
}

/// How one stream is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    /// It is a terminal: untrusted text is sanitised, tables are cut to its width.
    pub(super) terminal: bool,
    /// Colours are wanted.
    pub(super) colour: bool,
}

/// What holds for every command.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Where the KB can be.
    pub(super) candidates: Candidates,
    /// JSON instead of text.
    pub(super) json: bool,
    /// No progress, notes or summary.
    pub(super) quiet: bool,
    /// The subscriber.
    pub(super) logging: Logging,
    /// Standard output.
    pub(super) stdout: Stream,
    /// Standard error.
    pub(super) stderr: Stream,
    /// Somebody can be asked: a terminal shows the question and takes the answer.
    pub(super) interactive: bool,
    /// Time of log lines and records.
    pub(super) clock: Clock,
    /// Talk from rooms that know no `Ui`.
    pub(super) notes: Notes,
}

impl Settings {
    /// Resolves what was typed in its environment.
    pub(super) fn resolve(typed: &GlobalArgs, environment: Environment) -> Self {
        let colour = |terminal: bool| match typed.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && !environment.no_color,
        };
        let stream = |terminal: bool| Stream {
            terminal,
            colour: colour(terminal),
        };
        let stdout = stream(environment.stdout_terminal);
        let stderr = stream(environment.stderr_terminal);
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let epoch = environment.source_date_epoch.map(text);
        Self {
            candidates: Candidates {
                flag: typed.kb_dir.clone(),
                environment: environment
                    .kbhost_kb
                    .or(environment.openkb_dir)
                    .map(PathBuf::from),
                current_dir: environment.current_dir,
                fallback: Some(known_kbs::default_kb),
            },
            notes: Notes::new(stderr, typed.quiet, typed.json),
            json: typed.json,
            quiet: typed.quiet,
            logging: Logging {
                verbosity: typed.verbose,
                format: typed.log_format,
                filter: environment.log.map(text),
                colour: stderr.colour,
            },
            stdout,
            stderr,
            interactive: environment.stdin_terminal && environment.stderr_terminal && !typed.json,
            clock: Clock::from_source_date_epoch(epoch.as_deref()),
        }
    }

    /// How to take the lock: a wait is told on stderr, past a progress bar.
    pub(super) fn lock(&self, args: LockArgs, cancel: &Arc<AtomicBool>) -> LockOptions {
        let (waiting, warning) = (self.notes.clone(), self.notes.clone());
        LockOptions {
            wait: args.wait.time(self.stderr.terminal),
            cancel: Arc::clone(cancel),
            allow_network_fs: args.allow_network_fs,
            on_wait: Some(Arc::new(move |wait| waiting.note(&waiting_line(wait)))),
            on_warning: Some(Arc::new(move |text| warning.warning(text.as_str()))),
        }
    }

    /// How this program is called on `root` from here: a KB that is not found by walking up has to
    /// be named.
    pub(super) fn program(&self, root: &KbRoot) -> String {
        let walking_up = Candidates {
            current_dir: self.candidates.current_dir.clone(),
            ..Candidates::default()
        };
        match KbRoot::resolve(&walking_up) {
            Ok(found) if found.path() == root.path() => "kbhost".to_owned(),
            _ => format!("kbhost --kb-dir {}", shell_word(root.path())),
        }
    }

    /// Whether a progress bar is drawn: on a terminal that nothing else is written to meanwhile.
    pub(super) fn progress(&self) -> bool {
        let logs = self.logging.verbosity > 0 || self.logging.filter.is_some();
        self.stderr.terminal && !self.quiet && !self.json && !logs
    }
}

/// A wait in one line.
fn waiting_line(wait: &Waiting) -> String {
    let holder = match &wait.holder {
        Some(holder) => format!(": {holder}"),
        None => String::new(),
    };
    format!(
        "waiting for the lock for {:.1} s{holder}",
        wait.waited.as_secs_f64()
    )
}

/// The number of workers: flag, then config.yaml, then one a core.
pub(super) fn workers(flag: Option<Jobs>, config: Option<Jobs>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    workers_on(flag, config, cores)
}

/// The worker threads of a run that waits for a service: as many as asked for, else more than cores.
pub(super) fn cloud_workers(flag: Option<Jobs>, config: Option<Jobs>) -> usize {
    workers(
        flag,
        config
            .filter(|jobs| *jobs != Jobs::Auto)
            .or(Some(Jobs::Count(CLOUD_JOBS))),
    )
}

/// A worker that waits for a service takes no core, but the service has others to serve too.
const CLOUD_JOBS: usize = 8;

fn workers_on(flag: Option<Jobs>, config: Option<Jobs>, cores: impl Fn() -> usize) -> usize {
    match flag.or(config).unwrap_or(Jobs::Auto) {
        Jobs::Count(count) => count,
        Jobs::Auto => cores().clamp(1, AUTO_JOBS_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_come_from_flag_then_config_then_cores() {
        let check = |flag, config, cores, expected| {
            assert_eq!(workers_on(flag, config, || cores), expected);
        };
        check(Some(Jobs::Count(8)), Some(Jobs::Count(3)), 2, 8);
        check(None, Some(Jobs::Count(3)), 2, 3);
        check(None, None, 2, 2);
        check(Some(Jobs::Auto), Some(Jobs::Count(3)), 2, 2);
        check(None, None, 128, 64);
        check(None, None, 0, 1);
    }

    fn environment() -> Environment {
        Environment {
            kbhost_kb: Some("kbhost".into()),
            openkb_dir: Some("openkb".into()),
            stdout_terminal: true,
            stderr_terminal: true,
            ..Environment::default()
        }
    }

    #[test]
    fn our_own_variable_stands_above_openkbs() {
        let check = |environment, expected: Option<&str>| {
            let settings = Settings::resolve(&GlobalArgs::default(), environment);
            assert_eq!(settings.candidates.environment, expected.map(PathBuf::from));
        };
        check(environment(), Some("kbhost"));
        let openkb = Environment {
            kbhost_kb: None,
            ..environment()
        };
        check(openkb, Some("openkb"));
        check(Environment::default(), None);
    }

    #[test]
    fn colours_follow_the_flag_then_the_surroundings() {
        let check = |color, no_color, terminal, expected| {
            let typed = GlobalArgs {
                color,
                ..GlobalArgs::default()
            };
            let environment = Environment {
                no_color,
                stdout_terminal: terminal,
                ..environment()
            };
            assert_eq!(
                Settings::resolve(&typed, environment).stdout.colour,
                expected
            );
        };
        check(Color::Auto, false, true, true);
        check(Color::Auto, true, true, false);
        check(Color::Auto, false, false, false);
        check(Color::Always, true, false, true);
        check(Color::Never, false, true, false);
    }

    #[test]
    fn a_wait_says_how_long_and_for_whom() {
        let line = |holder: Option<&str>| {
            waiting_line(&Waiting {
                waited: std::time::Duration::from_millis(10_540),
                holder: holder.map(str::to_owned),
            })
        };
        assert_eq!(line(None), "waiting for the lock for 10.5 s");
        assert_eq!(
            line(Some("somebody has it")),
            "waiting for the lock for 10.5 s: somebody has it"
        );
    }

    #[test]
    fn the_bar_has_the_terminal_for_itself() {
        let check = |typed: GlobalArgs, expected| {
            assert_eq!(
                Settings::resolve(&typed, environment()).progress(),
                expected,
                "{typed:?}"
            );
        };
        let typed = GlobalArgs::default;
        check(typed(), true);
        check(
            GlobalArgs {
                json: true,
                ..typed()
            },
            false,
        );
        check(
            GlobalArgs {
                quiet: true,
                ..typed()
            },
            false,
        );
        check(
            GlobalArgs {
                verbose: 1,
                ..typed()
            },
            false,
        );
    }
}
