//! One file through the host: the release binary converts it in the sandbox, with the limits and the
//! caches of a user, and tells what the call took.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::bounded;
use crate::bench::rig::Rig;
use crate::failure::{Failure, Result};

/// Files that are converted beside each other.
const WORKERS: usize = 2;

/// The host ends a call by itself, after 300 s at most: a run that takes longer is the host's failure.
const WALL_MAX: Duration = Duration::from_secs(330);

/// The smallest PDF with a page: the component is compiled for it.
const ONE_PAGE: &str = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
    2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\n\
    trailer<</Root 1 0 R>>\n%%EOF\n";

/// How a conversion ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With a page.
    Converted,
    /// With an error: its code and the last cause.
    Failed {
        /// As `--json` names it.
        code: String,
        /// What happened.
        cause: String,
    },
    /// The host did not answer: it crashed, or went on beyond all limits.
    NoAnswer(String),
}

impl Ending {
    /// Whether the component went down instead of giving an answer.
    pub(crate) fn is_trap(&self) -> bool {
        match self {
            Self::Failed { code, .. } => ["trap", "invalid-output", "sandbox"].contains(&&**code),
            Self::NoAnswer(_) => true,
            Self::Converted => false,
        }
    }

    /// Whether a limit of the sandbox ended it.
    pub(crate) fn is_limit(&self) -> bool {
        matches!(self, Self::Failed { code, .. } if code.starts_with("limit-"))
    }

    /// In a word or a line.
    pub(crate) fn told(&self) -> String {
        match self {
            Self::Converted => "converted".to_owned(),
            Self::Failed { code, cause } => format!("{code}: {cause}"),
            Self::NoAnswer(what) => format!("no answer: {what}"),
        }
    }
}

/// What a file came to.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) ending: Ending,
    /// CPU time of the call, where there was one.
    pub(crate) cpu: Option<Duration>,
    /// Largest memory of the component.
    pub(crate) memory_bytes_peak: Option<u64>,
    /// Pages, as the converter counted them.
    pub(crate) pages: u64,
    /// From the start of the program to its end.
    pub(crate) wall: Duration,
    /// The page, if there is one.
    pub(crate) markdown: String,
    /// What the converter warned of.
    pub(crate) warnings: Vec<String>,
}

/// The release binary, and the component compiled.
#[derive(Debug)]
pub(crate) struct Sandbox<'a> {
    rig: &'a Rig,
    /// Seconds of the first conversion: compiling, which a user waits for once.
    pub(super) compile_seconds: f64,
}

impl<'a> Sandbox<'a> {
    /// Compiles the component.
    ///
    /// # Errors
    /// If the smallest PDF does not convert.
    pub(crate) fn new(rig: &'a Rig) -> Result<Self> {
        let mut sandbox = Self {
            rig,
            compile_seconds: 0.0,
        };
        let path = rig.path("one-page.pdf");
        std::fs::write(&path, ONE_PAGE).map_err(Failure::io("write", &path))?;
        let outcome = sandbox.convert(&path, &rig.path("compile"))?;
        match outcome.ending {
            Ending::Converted => sandbox.compile_seconds = outcome.wall.as_secs_f64(),
            ending => return Err(Failure::new(format!("a page: {}", ending.told()))),
        }
        Ok(sandbox)
    }

    /// A path within the bench directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.rig.path(name)
    }

    /// Converts a file; `dir` is made anew and holds what is written meanwhile.
    ///
    /// # Errors
    /// If the host cannot be started or `dir` not be written.
    pub(crate) fn convert(&self, file: &Path, dir: &Path) -> Result<Outcome> {
        if dir.exists() {
            std::fs::remove_dir_all(dir).map_err(Failure::io("remove", dir))?;
        }
        std::fs::create_dir_all(dir).map_err(Failure::io("create", dir))?;
        let mut command = self.rig.kbhost(&["convert"]);
        command.arg(file).arg("-o").arg(dir.join("out"));
        command.args(["--json", "-vv", "--log-format", "json"]);
        let ran = bounded::run(&mut command, dir, WALL_MAX)?;
        let (cpu, memory_bytes_peak) = call(&ran.stderr).unzip();
        let answer: Option<Value> = ran
            .stdout
            .lines()
            .chain(ran.stderr.lines())
            .filter_map(|line| serde_json::from_str(line).ok())
            .find(|value: &Value| value.get("kbhost").is_some());
        let mut outcome = Outcome {
            ending: ending(answer.as_ref(), &ran),
            cpu,
            memory_bytes_peak,
            pages: 0,
            wall: ran.wall,
            markdown: String::new(),
            warnings: Vec::new(),
        };
        if let (Ending::Converted, Some(answer)) = (&outcome.ending, &answer) {
            outcome.pages = answer["pages"].as_u64().unwrap_or_default();
            outcome.warnings = strings(&answer["warnings"]);
            let files = strings(&answer["files"]);
            let page = files.iter().find(|path| path.ends_with(".md"));
            if let Some(page) = page {
                outcome.markdown = bounded::read(Path::new(page))?;
            }
        }
        Ok(outcome)
    }
}

/// Converts files beside each other; the outcomes are in the order of the files.
///
/// # Errors
/// If the host cannot be started.
pub(crate) fn each_of(sandbox: &Sandbox<'_>, files: &[PathBuf]) -> Result<Vec<Outcome>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS)
            .map(|worker| {
                let (next, done) = (&next, &done);
                scope.spawn(move || {
                    let dir = sandbox.path(&format!("work-{worker}"));
                    loop {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(at) else {
                            return Ok(());
                        };
                        let outcome = sandbox.convert(file, &dir)?;
                        let mut done = done.lock().expect("no holder panics");
                        done.push((at, outcome));
                    }
                })
            })
            .collect();
        let ended = workers.into_iter().map(|worker| {
            let panicked = |_| Err(Failure::new("a worker panicked"));
            worker.join().unwrap_or_else(panicked)
        });
        ended.collect::<Result<Vec<()>>>()
    })?;
    let mut done = done.into_inner().expect("no holder panics");
    done.sort_by_key(|(at, _)| *at);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

fn ending(answer: Option<&Value>, ran: &bounded::Ran) -> Ending {
    let is_success = ran.status.is_some_and(|status| status.success());
    match answer {
        Some(answer) if answer.get("error").is_none() && is_success => Ending::Converted,
        Some(answer) if answer.get("error").is_some() => {
            let error = &answer["error"];
            let causes = strings(&error["causes"]);
            let message = error["message"].as_str().unwrap_or_default();
            Ending::Failed {
                code: error["code"].as_str().unwrap_or_default().to_owned(),
                cause: causes.last().map_or(message, String::as_str).to_owned(),
            }
        }
        _ => Ending::NoAnswer(match ran.status {
            Some(status) => status.to_string(),
            None => format!("none after {} s", WALL_MAX.as_secs()),
        }),
    }
}

/// CPU time and peak memory of the call, as the host logs them.
fn call(stderr: &str) -> Option<(Duration, u64)> {
    stderr.lines().rev().find_map(|line| {
        let event: Value = serde_json::from_str(line).ok()?;
        let fields = event.get("fields")?;
        let memory = fields.get("memory_bytes_peak")?.as_u64()?;
        let cpu_ms = fields.get("cpu_ms")?;
        let cpu_ms = cpu_ms.as_u64().or_else(|| cpu_ms.as_str()?.parse().ok())?;
        Some((Duration::from_millis(cpu_ms), memory))
    })
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_call_is_the_conversion() {
        let line = |ms: &str, bytes: u64| {
            let fields = serde_json::json!({"cpu_ms": ms, "memory_bytes_peak": bytes});
            serde_json::json!({ "fields": fields }).to_string()
        };
        let log = [line("1", 5), "x".to_owned(), line("35", 7), "{}".to_owned()].join("\n");
        assert_eq!(call(&log), Some((Duration::from_millis(35), 7)));
        assert_eq!(call("nothing"), None);
    }

    #[test]
    fn endings_are_told_apart() {
        let failed = |code: &str| Ending::Failed {
            code: code.to_owned(),
            cause: String::new(),
        };
        assert!(failed("trap").is_trap() && !failed("trap").is_limit());
        assert!(failed("limit-memory").is_limit() && !failed("limit-memory").is_trap());
        assert!(!failed("malformed").is_trap() && !failed("malformed").is_limit());
        assert!(Ending::NoAnswer(String::new()).is_trap());
    }
}
