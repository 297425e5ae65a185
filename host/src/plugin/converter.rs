//! A loaded converter and its calls, each in a sandbox of its own.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::answer;
use super::bindings::{FileConverterPre, World, types};
use super::builtin::Builtin;
use super::call::Sandbox;
use super::fault;
use super::password::Request;
use super::state::JobState;
use super::{
    Allowance, ConvertError, Converted, Job, JobError, JobFailure, JobReport, Limits, Password,
    Surroundings, WantedLimits,
};
use crate::egress::Client;
use crate::kb::{ContentHash, PluginDigest};

/// What a file is called that a forced converter is asked for and that it does not know.
const UNKNOWN_MEDIA_TYPE: &str = "application/octet-stream";

/// As sure as a converter can be.
const SCORE_MAX: u8 = 100;

/// To look at a few kilobytes takes a moment, and several converters are asked for one document.
const PROBE_CPU_MAX: Duration = Duration::from_secs(2);

/// What a converter is asked.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    /// How the input begins.
    pub head: &'a [u8],
    /// The user's file name. Untrusted.
    pub name: &'a str,
    /// Digest of the input: the seed of the guest's randomness.
    pub seed: &'a ContentHash,
    /// What bounds the call; of CPU time there is less.
    pub allowance: &'a Allowance,
    /// What must not matter to the answer.
    pub surroundings: Surroundings,
    /// Set to end the call at the next tick.
    pub cancel: &'a Arc<AtomicBool>,
}

/// Name, version and digest of a component.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct PluginIdentity {
    /// As it describes itself; validated: lower-case letters, digits and dashes.
    pub name: String,
    /// As it describes itself; validated.
    pub version: String,
    /// SHA-256 of the component.
    pub digest: PluginDigest,
    /// The world it was instantiated in: `kbhost:converter@0.1.0/file-converter`.
    pub world: String,
}

/// A media type and its extensions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AcceptedType {
    /// `text/markdown`.
    pub media_type: String,
    /// Lower case, without dot.
    pub extensions: Vec<String>,
}

impl AcceptedType {
    /// The first of `accepts` that is known by `extension` (lower case).
    pub(super) fn of_extension<'a>(accepts: &'a [Self], extension: &str) -> Option<&'a Self> {
        let mut accepts = accepts.iter();
        accepts.find(|accepted| accepted.extensions.iter().any(|known| known == extension))
    }
}

/// A component whose imports are resolved, and the world that they were resolved in.
pub(super) type Linked = (World, FileConverterPre<JobState>);

/// A loaded converter. Cheap to clone; safe to use from every worker at once.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    identity: PluginIdentity,
    accepts: Vec<AcceptedType>,
    limits: WantedLimits,
    world: World,
    pre: FileConverterPre<JobState>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.0.identity).finish()
    }
}

impl Plugin {
    /// A converter whose imports are resolved.
    pub(super) fn new(
        identity: PluginIdentity,
        accepts: Vec<AcceptedType>,
        limits: WantedLimits,
        (world, pre): Linked,
    ) -> Self {
        Self(Arc::new(Loaded {
            identity,
            accepts,
            limits,
            world,
            pre,
        }))
    }

    /// The extensions of the files that it takes, sorted.
    #[must_use]
    pub fn extensions(&self) -> Vec<String> {
        let accepts = self.accepts().iter();
        let mut extensions: Vec<_> = accepts
            .flat_map(|accepted| accepted.extensions.clone())
            .collect();
        extensions.sort_unstable();
        extensions.dedup();
        extensions
    }

    /// Whether it takes files of this media type.
    #[must_use]
    pub fn takes(&self, media_type: &str) -> bool {
        let mut accepts = self.0.accepts.iter();
        accepts.any(|accepted| accepted.media_type == media_type)
    }

    /// What its instances are made of.
    pub(super) fn pre(&self) -> &FileConverterPre<JobState> {
        &self.0.pre
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> &PluginIdentity {
        &self.0.identity
    }

    /// What it takes.
    #[must_use]
    pub fn accepts(&self) -> &[AcceptedType] {
        &self.0.accepts
    }

    /// The limits of its calls: those of the run, but for those that it asked for and the user agreed
    /// to; the KB may have narrowed either.
    #[must_use]
    pub fn limits(&self, allowance: &Allowance) -> Limits {
        allowance.granted(&self.0.limits)
    }

    /// Whether a password may be given to it: it comes with the program and reads documents under one.
    #[must_use]
    pub(crate) fn opens(&self) -> bool {
        let builtin = Builtin::of_digest(&self.0.identity.digest);
        builtin.is_some_and(|builtin| builtin.knows(Password::OPTION))
            || fault::opens(&self.0.identity.name)
    }

    /// Those of the options that it is given.
    #[must_use]
    pub(crate) fn options(&self, options: &[(String, String)]) -> Vec<(String, String)> {
        Builtin::options_for(&self.0.identity.digest, options)
    }

    /// Calls `assets` in a fresh sandbox: the local references of the input, at most
    /// [`Limits::ASSETS_MAX`] and unvalidated. The guest sees `/in` alone.
    pub fn assets(&self, job: &Job) -> (Result<Vec<String>, JobError>, JobReport) {
        let _span = tracing::info_span!("assets", plugin = self.0.identity.name).entered();
        let sandbox = Sandbox {
            output: None,
            service: None,
            checkpoints: None,
            listener: None,
            ..sandbox(job, self.0.world, None)
        };
        let request = request(job);
        let (answer, report) = sandbox.run(&self.0.pre, |guest, store| {
            guest
                .kbhost_converter_converter()
                .call_assets(store, request.as_ref())
        });
        let answer = answer
            .and_then(|answer| answer.map_err(|error| refused(job, error)))
            .and_then(answer::references)
            .map(|references| match &job.password {
                Some(password) => password.kept_from_all(references),
                None => references,
            });
        (answer.map_err(|failure| self.error(failure)), report)
    }

    /// Calls `convert` in a fresh sandbox. What it returns is bounded, and otherwise for the
    /// collector to judge. A failure of any kind is this job's alone.
    pub fn convert(&self, job: &Job) -> (Result<Converted, JobError>, JobReport) {
        let _span = tracing::info_span!("convert", plugin = self.0.identity.name).entered();
        let request = request(job);
        let staged = job.remote.is_none();
        let staged = staged.then(|| job.input_dir.join(&job.input.guest_name));
        let sandbox = sandbox(job, self.0.world, staged.as_ref());
        let (answer, report) = sandbox.run(&self.0.pre, |guest, store| {
            guest
                .kbhost_converter_converter()
                .call_convert(store, request.as_ref())
        });
        let answer = answer
            .and_then(|answer| answer.map_err(|error| refused(job, error)))
            .and_then(|document| answer::document(document, &job.limits))
            .map(|converted| match &job.password {
                Some(password) => password.kept_from(converted),
                None => converted,
            });
        tracing::debug!(
            cpu_ms = report.cpu.as_millis(),
            memory_bytes_peak = report.memory_bytes_peak,
            "the call is over"
        );
        let answer = answer.map_err(|failure| without_key(failure, job.service.as_ref()));
        (answer.map_err(|failure| self.error(failure)), report)
    }

    /// Calls `probe` in a fresh sandbox without any directory: how sure the converter is, 0 to 100,
    /// that it reads this.
    pub fn probe(&self, probe: &Probe<'_>) -> (Result<u8, JobError>, JobReport) {
        let _span = tracing::info_span!("probe", plugin = self.0.identity.name).entered();
        let limits = self.limits(probe.allowance);
        let limits = Limits {
            cpu_max: limits.cpu_max.min(PROBE_CPU_MAX),
            ..limits
        };
        let sandbox = Sandbox {
            input: None,
            output: None,
            seed: probe.seed.as_bytes(),
            surroundings: &probe.surroundings,
            limits: &limits,
            cancel: probe.cancel,
            staged: None,
            service: None,
            checkpoints: None,
            is_secret: false,
            listener: None,
        };
        let (answer, report) = sandbox.run(&self.0.pre, |guest, store| {
            guest
                .kbhost_converter_converter()
                .call_probe(store, probe.head, probe.name)
        });
        let answer = answer.and_then(|score| match score {
            0..=SCORE_MAX => Ok(score),
            score => Err(JobFailure::InvalidOutput(format!(
                "it is sure by {score} of {SCORE_MAX}"
            ))),
        });
        (answer.map_err(|failure| self.error(failure)), report)
    }

    fn error(&self, failure: JobFailure) -> JobError {
        JobError {
            plugin: self.0.identity.clone(),
            failure,
        }
    }

    /// The media type that it gives to a file that it has to take.
    pub(super) fn media_type_of(&self, extension: Option<&str>) -> &str {
        let accepts = self.accepts();
        extension
            .and_then(|extension| AcceptedType::of_extension(accepts, extension))
            .or(accepts.first())
            .map_or(UNKNOWN_MEDIA_TYPE, |accepted| &accepted.media_type)
    }
}

fn sandbox<'a>(job: &'a Job, world: World, staged: Option<&'a PathBuf>) -> Sandbox<'a> {
    Sandbox {
        input: Some(&job.input_dir),
        output: Some(&job.output_dir),
        seed: job.input.hash.as_bytes(),
        surroundings: &job.surroundings,
        limits: &job.limits,
        cancel: &job.cancel,
        staged,
        service: job.service.as_ref().filter(|_| world == World::Cloud),
        checkpoints: job.checkpoints.as_ref(),
        is_secret: job.password.is_some(),
        listener: job.listener.as_ref(),
    }
}

fn request(job: &Job) -> Request {
    let assets = job.assets.iter().map(|asset| types::Asset {
        reference: asset.reference.clone(),
        path: asset.guest_path.clone(),
    });
    let (source, input) = match &job.remote {
        Some(id) => (types::Source::Remote(id.as_str().to_owned()), String::new()),
        None => {
            let file = types::SourceFile {
                name: job.input.original_name.clone(),
                media_type: job.input.media_type.clone(),
                size: job.input.size,
                sha256: job.input.hash.to_hex(),
            };
            let input = format!("/in/{}", job.input.guest_name);
            (types::Source::File(file), input)
        }
    };
    let request = types::Request {
        source,
        input,
        output: "/out".to_owned(),
        assets: assets.collect(),
        options: job.options.clone(),
        resume: job.resume.clone(),
    };
    Request::new(request, job.password.as_deref())
}

/// What the service is not to be told of, in the place of words that hold its key.
pub(super) fn without_key(failure: JobFailure, service: Option<&Client>) -> JobFailure {
    let is_told = service.is_some_and(|service| service.is_told_in(failure.to_string().as_bytes()));
    match is_told {
        true => ConvertError::Upstream(ConvertError::KEY_IN_ANSWER.to_owned()).into(),
        false => failure,
    }
}

/// A guest that gives up because it was told to was cancelled, whatever it says itself.
fn refused(job: &Job, error: types::ConvertError) -> JobFailure {
    if job.cancel.load(Ordering::Relaxed) {
        return JobFailure::Cancelled;
    }
    JobFailure::Converter(answer::refusal(error, job.password.as_deref()))
}
