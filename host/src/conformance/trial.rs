//! One converter on trial: runs it on an input in the product's own cage, and says how that ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::Stop;
use crate::enumerate::{self, Kind, Met, Source};
use crate::kb::config::{Config, Narrowing, converter_options};
use crate::kb::{Seq, SourceKey};
use crate::plugin::{Allowance, ConvertError, JobFailure, Limits, Plugin, PluginSet, Surroundings};
use crate::prepare::{self, PrepareError, Rehearsal, Single, StagingRoot};

/// A call gets this much even if the run as a whole is about to end.
const CALL_CPU_MIN: Duration = Duration::from_secs(1);

/// A file to convert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) file_name: String,
}

impl Input {
    pub(super) fn of(path: &Path) -> Self {
        let file_name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            path: path.to_owned(),
            file_name: file_name.to_string_lossy().into_owned(),
        }
    }
}

/// What a run is given, apart from the input.
#[derive(Clone)]
pub(super) struct Conditions {
    pub(super) limits: Limits,
    pub(super) surroundings: Surroundings,
    /// Ends the call; the run's own flag unless a check brings one.
    pub(super) cancel: Arc<AtomicBool>,
}

/// How a run ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// With a document that passes every validator.
    Document(Box<Rehearsal>),
    /// With an answer of the contract that is no document.
    Refused(ConvertError),
    /// Otherwise: a trap, a limit, an output that breaks the contract, a bug that it admits.
    Broken(JobFailure),
    /// By the flag of its conditions.
    Cancelled,
}

impl Outcome {
    /// In a few words, without what differs from run to run.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Document(_) => "a document".to_owned(),
            Self::Refused(error) => format!("refused: {error}"),
            Self::Broken(failure) => failure.to_string(),
            Self::Cancelled => "cancelled".to_owned(),
        }
    }

    /// Whether the contract allows an input of any kind to end so.
    pub(super) fn is_orderly(&self) -> bool {
        !matches!(self, Self::Broken(_))
    }
}

/// A converter with the place where it is tried.
pub(super) struct Trial<'a> {
    pub(super) plugins: &'a PluginSet,
    pub(super) plugin: Plugin,
    pub(super) limits: Limits,
    pub(super) staging: StagingRoot,
    /// A folder of this process alone.
    pub(super) scratch: &'a Path,
    /// Set by the user.
    pub(super) cancel: Arc<AtomicBool>,
    /// When the whole run has to be over.
    pub(super) deadline: Instant,
}

/// Opens a file of the project, links followed, as `add` opens its inputs: it waits for nobody.
pub(super) fn open(path: &Path) -> std::io::Result<std::fs::File> {
    let file = enumerate::open(path, true)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    Ok(file)
}

/// These limits and no wider ones, also for a plugin that was granted others.
pub(super) fn exactly(limits: &Limits) -> Allowance {
    let mib = |bytes: u64| Some(bytes.div_ceil(1 << 20));
    let cpu_ms = u64::try_from(limits.cpu_max.as_millis()).unwrap_or(u64::MAX);
    Allowance {
        limits: limits.clone(),
        kb: Narrowing {
            cpu_ms: Some(cpu_ms),
            memory_mib: mib(limits.memory_bytes_max),
            output_mib: mib(limits.output_bytes_max),
            output_files: Some(limits.output_files_max),
            input_mib: mib(limits.input_bytes_max),
        },
    }
}

impl Trial<'_> {
    /// As in production.
    pub(super) fn usual(&self) -> Conditions {
        Conditions {
            limits: self.limits.clone(),
            surroundings: Surroundings::default(),
            cancel: Arc::clone(&self.cancel),
        }
    }

    /// Whether there is time for more.
    pub(super) fn go_on(&self) -> Result<(), Stop> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Stop::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(Stop::OutOfTime);
        }
        Ok(())
    }

    /// Converts an input.
    pub(super) fn run(&self, input: &Input, with: &Conditions) -> Result<Outcome, Stop> {
        self.run_bytes_of(input, &input.path, with)
    }

    /// What the converter takes a file of this name for.
    fn media_type_of(&self, name: &str) -> Option<String> {
        let met = Met {
            name,
            named: true,
            // A converter that is forced is not chosen by content.
            head: &|_| Vec::new(),
        };
        match self.plugins.kind_of(&met) {
            Kind::Taken { media_type, .. } => Some(media_type),
            _ => None,
        }
    }

    /// Converts the bytes at `bytes` as if they were those of `input`: under its name, with the files
    /// that it refers to.
    pub(super) fn run_bytes_of(
        &self,
        input: &Input,
        bytes: &Path,
        with: &Conditions,
    ) -> Result<Outcome, Stop> {
        self.go_on()?;
        let source = Source {
            seq: Seq(0),
            path: bytes.to_owned(),
            display: input.file_name.clone(),
            key: SourceKey::new(input.file_name.clone()),
            file_name: input.file_name.clone(),
            media_type: self.media_type_of(&input.file_name),
            misnamed_as: None,
            named: true,
        };
        let left = self.deadline.saturating_duration_since(Instant::now());
        let mut limits = with.limits.clone();
        limits.cpu_max = limits.cpu_max.min(left.max(CALL_CPU_MIN));
        let single = Single {
            allowance: &exactly(&limits),
            options: &converter_options(Config::default().pageindex_threshold),
            password: None,
            cache: None,
            strict: false,
            surroundings: with.surroundings,
            converter: Some(&self.plugin),
            service: None,
            assets_dir: Some(input.path.parent().unwrap_or(Path::new("."))),
            cancel: Arc::clone(&with.cancel),
        };
        match prepare::rehearse(&source, self.plugins, &self.staging, &single) {
            Ok(rehearsal) => Ok(Outcome::Document(Box::new(rehearsal))),
            Err(PrepareError::Job(error)) => self.ended(error.failure),
            Err(PrepareError::Cancelled(_)) if self.cancel.load(Ordering::Relaxed) => {
                Err(Stop::Cancelled)
            }
            Err(PrepareError::Cancelled(_)) => Ok(Outcome::Cancelled),
            Err(error) => Err(Stop::Prepare {
                display: input.file_name.clone(),
                error: Box::new(error),
            }),
        }
    }

    fn ended(&self, failure: JobFailure) -> Result<Outcome, Stop> {
        match failure {
            JobFailure::Converter(error) if !matches!(error, ConvertError::Internal(_)) => {
                Ok(Outcome::Refused(error))
            }
            // It may be the run's limit that it met, not its own.
            JobFailure::Cpu { .. } | JobFailure::Wall { .. } => {
                self.go_on().map(|()| Outcome::Broken(failure))
            }
            failure => Ok(Outcome::Broken(failure)),
        }
    }
}
