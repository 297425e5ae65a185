//! Runs one case after the other and judges what each came to.

use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::accomplice::Accomplice;
use super::canary::MARK;
use super::case::{Aid, CANARIES, Case, Expected, Guest, Pose};
use super::cloud::{Cloud, ENDED_MAX};
use super::scene::Scene;
use crate::egress::EgressError;
use crate::enumerate::{self, Filter, Source};
use crate::kb::{ContentHash, PathError, SafeLine, is_deceptive};
use crate::plugin::{
    Allowance, CacheDir, JobError, Limits, PluginError, PluginSet, Probe, Surroundings,
    machine_code,
};
use crate::prepare::{PrepareError, PreparedDocument, Single, StagingError, Via, prepare_one};

include!(concat!(env!("OUT_DIR"), "/kit.rs"));

/// What stands before the behaviour of `describe` in the hostile component.
const DESCRIBE: &[u8] = b"kbhost-hostile-describe:";

/// A case whose end is that of its time.
const SHORT: Duration = Duration::from_millis(200);

/// Time enough for any other case on a slow machine.
const LONG: Duration = Duration::from_secs(60);

/// Memory of a case: some times what the hostile converter needs.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// Output of a case.
const OUTPUT_BYTES_MAX: u64 = 4 << 20;

/// Lines that a component may add to the log, all in all.
const LOG_LINES_MAX: usize = 500;

/// Why the kit cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelftestError {
    /// The temporary directory refuses.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Staging refuses.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The hostile converter cannot be loaded at all.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// There is no client for the hostile cloud converter.
    #[error(transparent)]
    Egress(#[from] EgressError),
}

/// A failure whose code is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure<'a> {
    /// A component could not be used.
    Plugin(&'a PluginError),
    /// A preparation failed.
    Prepare(&'a PrepareError),
}

/// Gives the code of a failure, as commands tell it.
pub(crate) type CodeOf<'a> = &'a dyn Fn(Failure<'_>) -> &'static str;

/// What a case came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// What caught the component: the code of an error, or how it was kept in. Empty if nothing did.
    pub(crate) caught: &'static str,
    /// The limit, the denials or the page, in words.
    pub(crate) detail: SafeLine,
    /// What should not be. Empty if the component was caged.
    pub(crate) escapes: Vec<SafeLine>,
    /// How long it took.
    pub(crate) elapsed: Duration,
}

/// The machine that the kit runs on.
#[derive(Debug)]
pub(crate) struct Platform {
    /// `Linux 6.1.0`.
    pub(crate) kernel: SafeLine,
    /// Whether the kernel itself keeps paths beneath a directory.
    pub(crate) has_openat2: bool,
}

impl Platform {
    /// Asks the kernel.
    pub(crate) fn of_this_process() -> Self {
        let uname = rustix::system::uname();
        let kernel = format!(
            "{} {}",
            uname.sysname().to_string_lossy(),
            uname.release().to_string_lossy()
        );
        Self {
            kernel: SafeLine::new(&kernel),
            has_openat2: has_openat2(),
        }
    }
}

#[cfg(target_os = "linux")]
fn has_openat2() -> bool {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::BENEATH).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn has_openat2() -> bool {
    false
}

/// A run of the kit.
pub(crate) struct Selftest {
    scene: Scene,
    hostile: PluginSet,
    /// Made for the first case that needs it.
    cloud: OnceCell<Cloud>,
    cancel: Arc<AtomicBool>,
}

/// What can be told of a case when it is over.
#[derive(Debug, Default)]
struct Came {
    /// The code of its error.
    code: Option<&'static str>,
    /// The error or the page.
    text: String,
    /// Functions that refused.
    denied: Vec<String>,
    /// Every line of it that is shown to people.
    lines: Vec<String>,
    /// What is wrong whatever was expected.
    wrong: Vec<String>,
}

impl Selftest {
    /// Sets the scene and loads the hostile converter. Setting `cancel` ends a running case.
    ///
    /// # Errors
    /// If the temporary directory or the engine refuses.
    pub(crate) fn open(cancel: Arc<AtomicBool>) -> Result<Self, SelftestError> {
        let scene = Scene::set()?;
        let file = scene.guest("hostile", HOSTILE)?;
        Ok(Self {
            hostile: PluginSet::new(Some(&file), &CacheDir(None))?,
            scene,
            cloud: OnceCell::new(),
            cancel,
        })
    }

    /// Runs a case.
    ///
    /// # Errors
    /// If the temporary directory refuses.
    pub(crate) fn run(
        &mut self,
        case: &Case,
        code_of: CodeOf<'_>,
    ) -> Result<Outcome, SelftestError> {
        let start = Instant::now();
        let mut came = match case.guest {
            Guest::Told(line) => self.convert(case, line, code_of)?,
            Guest::Aided(line, aid) => self.convert_aided(case, line, aid, code_of)?,
            Guest::Probed(head) => self.probe(case, head, code_of),
            Guest::Describing(behaviour) => self.load(case, &describing(behaviour), code_of)?,
            Guest::Calling(word) => self.call(case, word, code_of)?,
            Guest::Listing => self.ask(case, None, code_of)?,
            Guest::Asking(id) => self.ask(case, Some(id), code_of)?,
            Guest::Assembled(name) => self.load(case, assembled(name), code_of)?,
            Guest::Posing(pose) => self.load(case, &posing(pose), code_of)?,
        };
        let elapsed = start.elapsed();
        came.wrong.extend(self.scene.traces()?);
        if let Some(cloud) = self.cloud.get() {
            let told: Vec<_> = came.lines.iter().chain([&came.text]).cloned().collect();
            came.wrong.extend(cloud.traces(&told));
        }
        if case.runs_on() && elapsed > ENDED_MAX {
            came.wrong.push(format!("it ended after {elapsed:.1?}"));
        }
        Ok(judge(case, came, elapsed))
    }

    /// Removes everything that the run made.
    ///
    /// # Errors
    /// If something stays.
    pub(crate) fn close(self) -> Result<(), SelftestError> {
        self.scene.strike()
    }

    fn allowance(case: &Case) -> Allowance {
        Allowance {
            limits: Limits {
                cpu_max: if case.runs_on() { SHORT } else { LONG },
                memory_bytes_max: MEMORY_BYTES_MAX,
                output_bytes_max: OUTPUT_BYTES_MAX,
                ..Limits::default()
            },
            ..Allowance::default()
        }
    }

    /// Lets the hostile converter convert an input, as `add` would.
    fn convert(&self, case: &Case, line: &str, code_of: CodeOf<'_>) -> Result<Came, SelftestError> {
        let prepared = self.prepare(case, line)?;
        Ok(came(prepared, code_of))
    }

    /// The same, with somebody on the host who changes files meanwhile.
    fn convert_aided(
        &self,
        case: &Case,
        line: &str,
        aid: Aid,
        code_of: CodeOf<'_>,
    ) -> Result<Came, SelftestError> {
        let (canary_folder, canary_file) = self.scene.canary();
        let accomplice = Accomplice {
            aid,
            staging: self.scene.staging_dir(),
            canary_file,
            canary_folder,
        };
        let is_over = AtomicBool::new(false);
        let (prepared, aided) = std::thread::scope(|scope| {
            let aid = scope.spawn(|| accomplice.work(&is_over));
            let prepared = self.prepare(case, line);
            is_over.store(true, Ordering::Relaxed);
            (prepared, aid.join())
        });
        let mut came = came(prepared?, code_of);
        if !matches!(aided, Ok(Ok(()))) {
            came.wrong
                .push(format!("the host could not change the files: {aided:?}"));
        }
        Ok(came)
    }

    fn prepare(
        &self,
        case: &Case,
        line: &str,
    ) -> Result<Result<PreparedDocument, PrepareError>, SelftestError> {
        let line = match line {
            CANARIES => format!("reach {}", self.scene.ways_to_canaries().join("\t")),
            line => line.to_owned(),
        };
        self.prepare_with(case, &line, None)
    }

    fn prepare_with(
        &self,
        case: &Case,
        line: &str,
        via: Option<&Via>,
    ) -> Result<Result<PreparedDocument, PrepareError>, SelftestError> {
        let source = self.source(&self.scene.input(case.name, line)?);
        let single = Single {
            allowance: &Self::allowance(case),
            options: &[],
            password: None,
            cache: None,
            strict: false,
            surroundings: Surroundings::default(),
            converter: via.map(|via| &via.plugin),
            service: via.map(|via| &via.service),
            assets_dir: None,
            cancel: Arc::clone(&self.cancel),
        };
        Ok(prepare_one(
            &source,
            &self.hostile,
            &self.scene.staging,
            &single,
        ))
    }

    /// Lets the hostile cloud converter convert, as `add --via` would.
    fn call(&self, case: &Case, word: &str, code_of: CodeOf<'_>) -> Result<Came, SelftestError> {
        let cloud = self.cloud()?;
        let via = Via {
            plugin: cloud.plugin.clone(),
            service: cloud.client(case.runs_on())?,
        };
        let prepared = self.prepare_with(case, &cloud.line(word), Some(&via))?;
        Ok(came(prepared, code_of))
    }

    /// Asks it what its service has.
    fn ask(
        &self,
        case: &Case,
        id: Option<&str>,
        code_of: CodeOf<'_>,
    ) -> Result<Came, SelftestError> {
        let cloud = self.cloud()?;
        let service = cloud.client(case.runs_on())?;
        let told = cloud.ask(id, &service, &Self::allowance(case), &self.cancel);
        Ok(match told {
            Ok(text) => Came {
                lines: vec![text.clone()],
                text,
                ..Came::default()
            },
            Err(error) => failed(PrepareError::Job(error), code_of),
        })
    }

    fn cloud(&self) -> Result<&Cloud, SelftestError> {
        if let Some(cloud) = self.cloud.get() {
            return Ok(cloud);
        }
        let plugin = self
            .hostile
            .cloud_of(Path::new("hostile-cloud"), HOSTILE_CLOUD)?;
        let cloud = Cloud::open(plugin)?;
        Ok(self.cloud.get_or_init(|| cloud))
    }

    fn source(&self, path: &Path) -> Source {
        let filter = Filter {
            kind_of: &|met| self.hostile.kind_of(met),
            kb: None,
            secret: None,
        };
        let mut inputs = enumerate::sources(&[path.to_owned()], &filter);
        inputs
            .sources
            .pop()
            .expect("the file was just written, in a directory that nobody else enters")
    }

    /// Asks the hostile converter whether it can read something.
    fn probe(&self, case: &Case, head: &str, code_of: CodeOf<'_>) -> Came {
        let plugin = self
            .hostile
            .converters("")
            .pop()
            .expect("a forced converter takes everything");
        let (sure, _report) = plugin.probe(&Probe {
            head: head.as_bytes(),
            name: "input.hostile",
            seed: &ContentHash::of(head.as_bytes()),
            allowance: &Self::allowance(case),
            surroundings: Surroundings::default(),
            cancel: &self.cancel,
        });
        match sure {
            Ok(sure) => Came {
                text: format!("it is sure by {sure}"),
                ..Came::default()
            },
            Err(error) => failed(PrepareError::Job(Box::new(error)), code_of),
        }
    }

    /// Loads a component, as `--plugin FILE.wasm` does.
    fn load(&self, case: &Case, wasm: &[u8], code_of: CodeOf<'_>) -> Result<Came, SelftestError> {
        let file = self.scene.guest(case.name, wasm)?;
        Ok(match PluginSet::new(Some(&file), &CacheDir(None)) {
            Ok(_) => Came {
                text: "it was taken for a converter".to_owned(),
                ..Came::default()
            },
            Err(error) => {
                // Where the component lies in the meantime tells nobody anything.
                let folder = file.with_file_name("").display().to_string();
                let text = error.to_string().replace(&folder, "");
                Came {
                    code: Some(code_of(Failure::Plugin(&error))),
                    lines: vec![text.clone()],
                    text,
                    ..Came::default()
                }
            }
        })
    }
}

/// What a preparation came to.
fn came(prepared: Result<PreparedDocument, PrepareError>, code_of: CodeOf<'_>) -> Came {
    match prepared {
        Ok(document) => converted(document),
        Err(error) => failed(error, code_of),
    }
}

fn failed(error: PrepareError, code_of: CodeOf<'_>) -> Came {
    let code = code_of(Failure::Prepare(&error));
    let text = match &error {
        PrepareError::Job(job) => {
            let JobError { failure, .. } = job.as_ref();
            failure.to_string()
        }
        other => other.to_string(),
    };
    Came {
        code: Some(code),
        lines: vec![text.clone()],
        text,
        ..Came::default()
    }
}

fn converted(document: PreparedDocument) -> Came {
    let mut came = Came {
        denied: Vec::from_iter(document.report.denied.iter().map(|(name, _)| name.clone())),
        ..Came::default()
    };
    let ready = document.staging.ready();
    match std::fs::read(ready.join(&document.main.name)) {
        Ok(page) => came.text = String::from_utf8_lossy(&page).into_owned(),
        Err(error) => came.wrong.push(format!("the page cannot be read: {error}")),
    }
    let mut names: Vec<_> = document
        .images
        .iter()
        .map(|image| image.published_name.to_lowercase())
        .collect();
    names.sort_unstable();
    names.dedup();
    if names.len() != document.images.len() {
        came.wrong.push("two pictures have one name".to_owned());
    }
    let known = 1
        + names.len()
        + [&document.pages_json, &document.tree_json]
            .iter()
            .flat_map(|file| file.iter())
            .count();
    match files_beneath(&ready) {
        Ok(found) if found == known => {}
        found => came.wrong.push(format!(
            "there are {found:?} files instead of {known} to be published"
        )),
    }
    if document.report.log.len() > LOG_LINES_MAX {
        let lines = document.report.log.len();
        came.wrong.push(format!("{lines} lines of log"));
    }
    let analysis = &document.analysis;
    came.lines = [&analysis.title, &analysis.description]
        .into_iter()
        .chain(&document.warnings)
        .chain(document.metadata.iter().map(|(_, value)| value))
        .map(ToString::to_string)
        .chain(document.report.log.iter().cloned())
        .collect();
    if let Err(error) = document.discard() {
        came.wrong.push(format!("staging stays: {error}"));
    }
    came
}

/// Files beneath a directory and its folders.
fn files_beneath(dir: &Path) -> std::io::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        count += match entry.file_type()?.is_dir() {
            true => files_beneath(&entry.path())?,
            false => 1,
        };
    }
    Ok(count)
}

/// Compares what a case came to with its row.
fn judge(case: &Case, came: Came, elapsed: Duration) -> Outcome {
    let is_met = |expected: &&Expected| match **expected {
        Expected::Page(_, page, denied) => {
            came.code.is_none()
                && came.text.starts_with(page)
                && denied
                    .iter()
                    .all(|name| came.denied.iter().any(|by| by == name))
        }
        Expected::Error(code, words) => {
            // A machine that gives it a fifth of a core ends it by the ceiling of wall time.
            let codes = came.code.map(|code| {
                if code == "limit-wall" {
                    "limit-cpu"
                } else {
                    code
                }
            });
            codes == Some(code) && came.text.contains(words)
        }
    };
    let met = case.expected.iter().find(is_met);
    let detail = match (came.code, &came.denied[..]) {
        (Some(_), _) | (None, []) => came.text.lines().next().unwrap_or_default().to_owned(),
        (None, denied) => denied.join(", "),
    };
    let mut escapes = came.wrong;
    if met.is_none() {
        escapes.push(format!("it came to something else: {}", came.text));
    }
    for line in &came.lines {
        if line.chars().any(|c| c.is_control() || is_deceptive(c)) || line.contains("[[") {
            escapes.push(format!("a line that is not safe to show: {line}"));
        }
    }
    // The hostile converter may name what it was told to reach for, but cannot know what is in it.
    let secret = format!("{MARK}: ");
    if [&came.text]
        .into_iter()
        .chain(&came.lines)
        .any(|text| text.contains(&secret))
    {
        escapes.push("it has read a canary".to_owned());
    }
    Outcome {
        caught: met.map_or("", |expected| expected.catch()),
        detail: SafeLine::new(&detail),
        escapes: escapes.iter().map(|escape| SafeLine::new(escape)).collect(),
        elapsed,
    }
}

/// The hostile converter with another behaviour of `describe`.
fn describing(behaviour: &[u8; 4]) -> Vec<u8> {
    let mut wasm = HOSTILE.to_vec();
    let at = wasm
        .windows(DESCRIBE.len())
        .position(|part| part == DESCRIBE)
        .expect("the hostile converter holds the word for its `describe`");
    wasm[at + DESCRIBE.len()..][..behaviour.len()].copy_from_slice(behaviour);
    wasm
}

fn assembled(name: &str) -> &'static [u8] {
    let found = ASSEMBLED.iter().find(|(known, _)| *known == name);
    found.expect("each row names a component of `guests/`").1
}

/// What passes itself off as a component.
fn posing(pose: Pose) -> Vec<u8> {
    match pose {
        Pose::Precompiled => {
            machine_code(assembled("hollow")).expect("the engine compiles what is valid")
        }
        Pose::Module => b"\0asm\x01\0\0\0".to_vec(),
        Pose::Half => HOSTILE[..HOSTILE.len() / 2].to_vec(),
        Pose::Script => b"#!/bin/sh\nexit 0\n".to_vec(),
        Pose::Cloud => HOSTILE_CLOUD.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::CASES;
    use super::*;

    #[test]
    fn each_row_has_a_name_of_its_own_and_a_guest() {
        let names: BTreeSet<_> = CASES.iter().map(|case| case.name).collect();
        assert_eq!(names.len(), CASES.len());
        let mut used = BTreeSet::new();
        for case in CASES {
            assert!(!case.expected.is_empty(), "{}", case.name);
            if let Guest::Assembled(name) = case.guest {
                assert!(!assembled(name).is_empty());
                used.insert(name);
            }
        }
        let there: BTreeSet<_> = ASSEMBLED.iter().map(|(name, _)| *name).collect();
        assert_eq!(used, there, "a component that no row claims");
    }

    #[test]
    fn what_comes_to_something_else_has_escaped() {
        let case = |name: &str| CASES.iter().find(|case| case.name == name).unwrap();
        let check = |name: &str, came: Came, caged: bool| {
            let outcome = judge(case(name), came, Duration::ZERO);
            assert_eq!(outcome.escapes.is_empty(), caged, "{name}: {outcome:?}");
        };
        let page = |text: &str, denied: &[&str]| Came {
            text: text.to_owned(),
            denied: denied.iter().map(ToString::to_string).collect(),
            ..Came::default()
        };
        let error = |code, text: &str| Came {
            code: Some(code),
            text: text.to_owned(),
            ..Came::default()
        };
        let link = "wasi:filesystem/link-at";
        check("hard-link", page("refused: hardlink", &["a", link]), true);
        check("hard-link", page("refused: hardlink", &[]), false);
        check("hard-link", page("# Link", &[link]), false);
        check("hard-link", error("internal", "escaped: hardlink"), false);
        check("loop-in-convert", error("limit-cpu", "timeout: more"), true);
        check(
            "loop-in-convert",
            error("limit-wall", "timeout: no end"),
            true,
        );
        check("loop-in-convert", error("limit-memory", "timeout: "), false);
        check("loop-in-convert", page("x", &[]), false);
        let spoken = |line: &str| Came {
            lines: vec![line.to_owned()],
            ..page("# Page", &[])
        };
        check("escape-codes", spoken("plain [ [x] ]"), true);
        for line in ["\x1b[31m", "a\nb", "a\u{202e}b", "[[x]]"] {
            check("escape-codes", spoken(line), false);
        }
        let stolen = format!("nothing to see; {MARK}: nobody reads x");
        check("environment", page(&stolen, &[]), false);
        let changed = Came {
            wrong: vec!["changed".to_owned()],
            ..page("nothing to see", &[])
        };
        check("environment", changed, false);
    }
}
