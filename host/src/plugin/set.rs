//! The converters of this run: loaded before the pool starts, shared read-only by all workers.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use wasmtime::component::Component;

use super::answer;
use super::bindings::{FileConverterPre, WORLD, types};
use super::builtin::{BUILTIN, Builtin};
use super::cache::CompileCache;
use super::call::Sandbox;
use super::check::{self, COMPONENT_BYTES_MAX};
use super::compile;
use super::engine::Runtime;
use super::state::JobState;
use super::stdio;
use super::{Converted, Job, JobError, JobFailure, JobReport, Limits, PluginError};
use crate::kb::{ContentHash, PathError, PluginDigest};
use crate::userdir;

/// What a file is called that a forced converter is asked for and that it does not know.
const UNKNOWN_MEDIA_TYPE: &str = "application/octet-stream";

/// A converter has a moment to say what it is, and the memory that its start takes.
const DESCRIBE_CPU_MAX: Duration = Duration::from_secs(2);
const DESCRIBE_MEMORY_BYTES_MAX: u64 = 128 << 20;

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

/// A loaded converter. Cheap to clone; safe to use from every worker at once.
#[derive(Clone)]
pub struct Plugin(Arc<Loaded>);

struct Loaded {
    identity: PluginIdentity,
    accepts: Vec<AcceptedType>,
    pre: FileConverterPre<JobState>,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Plugin").field(&self.0.identity).finish()
    }
}

impl Plugin {
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

    /// Calls `assets` in a fresh sandbox: the local references of the input, at most
    /// [`Limits::ASSETS_MAX`] and unvalidated. The guest sees `/in` alone.
    pub fn assets(&self, job: &Job) -> (Result<Vec<String>, JobError>, JobReport) {
        let _span = tracing::info_span!("assets", plugin = self.0.identity.name).entered();
        let sandbox = Sandbox {
            output: None,
            ..sandbox(job)
        };
        let request = request(job);
        let (answer, report) = sandbox.run(&self.0.pre, |guest, store| {
            guest
                .kbhost_converter_converter()
                .call_assets(store, &request)
        });
        let answer = answer
            .and_then(|answer| answer.map_err(|error| refused(job, error)))
            .and_then(answer::references);
        (answer.map_err(|failure| self.error(failure)), report)
    }

    /// Calls `convert` in a fresh sandbox. What it returns is bounded, and otherwise for the
    /// collector to judge. A failure of any kind is this job's alone.
    pub fn convert(&self, job: &Job) -> (Result<Converted, JobError>, JobReport) {
        let _span = tracing::info_span!("convert", plugin = self.0.identity.name).entered();
        let request = request(job);
        let (answer, report) = sandbox(job).run(&self.0.pre, |guest, store| {
            guest
                .kbhost_converter_converter()
                .call_convert(store, &request)
        });
        let answer = answer
            .and_then(|answer| answer.map_err(|error| refused(job, error)))
            .and_then(|document| answer::document(document, &job.limits));
        tracing::debug!(
            cpu_ms = report.cpu.as_millis(),
            memory_bytes_peak = report.memory_bytes_peak,
            "the call is over"
        );
        (answer.map_err(|failure| self.error(failure)), report)
    }

    fn error(&self, failure: JobFailure) -> JobError {
        JobError {
            plugin: self.0.identity.clone(),
            failure,
        }
    }

    fn media_type_of(&self, extension: Option<&str>) -> &str {
        let accepts = self.accepts();
        extension
            .and_then(|extension| {
                accepts
                    .iter()
                    .find(|accepted| accepted.extensions.iter().any(|known| known == extension))
            })
            .or(accepts.first())
            .map_or(UNKNOWN_MEDIA_TYPE, |accepted| &accepted.media_type)
    }
}

fn sandbox(job: &Job) -> Sandbox<'_> {
    Sandbox {
        input: Some(&job.input_dir),
        output: Some(&job.output_dir),
        seed: job.input.hash.as_bytes(),
        limits: &job.limits,
        cancel: &job.cancel,
    }
}

fn request(job: &Job) -> types::Request {
    let assets = job.assets.iter().map(|asset| types::Asset {
        reference: asset.reference.clone(),
        path: asset.guest_path.clone(),
    });
    types::Request {
        source: types::Source::File(types::SourceFile {
            name: job.input.original_name.clone(),
            media_type: job.input.media_type.clone(),
            size: job.input.size,
            sha256: job.input.hash.to_hex(),
        }),
        input: format!("/in/{}", job.input.guest_name),
        output: "/out".to_owned(),
        assets: assets.collect(),
        options: job.options.clone(),
        resume: None,
    }
}

/// A guest that gives up because it was told to was cancelled, whatever it says itself.
fn refused(job: &Job, error: types::ConvertError) -> JobFailure {
    if job.cancel.load(std::sync::atomic::Ordering::Relaxed) {
        return JobFailure::Cancelled;
    }
    JobFailure::Converter(answer::refusal(error))
}

/// Where compiled components and their key are kept; `None`: compile each time.
#[derive(Clone, Debug)]
pub struct CacheDir(pub Option<PathBuf>);

impl CacheDir {
    /// The user's own: `$KBHOST_CACHE_DIR`, else `kbhost` in the user's cache directory.
    #[must_use]
    pub fn of_user() -> Self {
        Self(userdir::cache_dir())
    }
}

/// All converters of this run.
pub struct PluginSet {
    cache: CacheDir,
    forced: Option<Plugin>,
    /// Started when the first component is wanted.
    workshop: OnceLock<Workshop>,
    /// Beside [`BUILTIN`]: what was loaded of it. Filled by [`Self::load`] alone and with finished
    /// values, so that no worker ever waits here.
    builtin: Vec<OnceLock<Plugin>>,
}

impl fmt::Debug for PluginSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let loaded: Vec<_> = self.builtin.iter().filter_map(OnceLock::get).collect();
        f.debug_struct("PluginSet")
            .field("cache", &self.cache)
            .field("forced", &self.forced)
            .field("loaded", &loaded)
            .finish_non_exhaustive()
    }
}

impl PluginSet {
    /// Prepares the built-in converters, and `forced` in front of them: a component file that
    /// takes every input. Built-in components are compiled when first asked for by [`Self::load`];
    /// `forced` is compiled and asked what it is at once.
    ///
    /// # Errors
    /// If the engine cannot start or `forced` is no usable component.
    pub fn new(forced: Option<&Path>, cache: &CacheDir) -> Result<Self, PluginError> {
        let mut set = Self {
            cache: cache.clone(),
            forced: None,
            workshop: OnceLock::new(),
            builtin: BUILTIN.iter().map(|_| OnceLock::new()).collect(),
        };
        if let Some(path) = forced {
            set.forced = Some(set.workshop()?.load_file(path)?);
        }
        Ok(set)
    }

    /// The media type that a file of this name would be given, and whether a converter takes it.
    /// Looks at the name only; starts nothing. A forced converter takes every file.
    #[must_use]
    pub fn media_type_of(&self, file_name: &str) -> Option<String> {
        let extension = Path::new(file_name).extension();
        let extension = extension
            .and_then(|extension| extension.to_str())
            .map(str::to_lowercase);
        if let Some(forced) = &self.forced {
            return Some(forced.media_type_of(extension.as_deref()).to_owned());
        }
        let extension = extension?;
        BUILTIN
            .iter()
            .find_map(|builtin| builtin.media_type_of(&extension))
            .map(str::to_owned)
    }

    /// Compiles, or takes from the cache, every converter that takes one of `media_types`. To be
    /// called on the main thread before workers start: compilation uses rayon itself.
    ///
    /// # Errors
    /// If one cannot be compiled.
    pub fn load(&self, media_types: &[String]) -> Result<(), PluginError> {
        if self.forced.is_some() {
            return Ok(());
        }
        for (builtin, slot) in BUILTIN.iter().zip(&self.builtin) {
            let wanted = media_types
                .iter()
                .any(|media_type| builtin.takes(media_type));
            if wanted && slot.get().is_none() {
                let plugin = self.workshop()?.load_builtin(builtin)?;
                slot.get_or_init(|| plugin);
            }
        }
        Ok(())
    }

    /// The converter for a media type that was loaded.
    #[must_use]
    pub fn converter(&self, media_type: &str) -> Option<Plugin> {
        if self.forced.is_some() {
            return self.forced.clone();
        }
        let mut slots = BUILTIN.iter().zip(&self.builtin);
        let (_, slot) = slots.find(|(builtin, _)| builtin.takes(media_type))?;
        slot.get().cloned()
    }

    /// Every extension some converter takes, sorted, for messages.
    #[must_use]
    pub fn extensions(&self) -> Vec<String> {
        let builtin = BUILTIN.iter().flat_map(|builtin| builtin.accepts);
        let builtin = builtin
            .flat_map(|(_, extensions)| *extensions)
            .map(ToString::to_string);
        let forced = self.forced.iter().flat_map(Plugin::accepts);
        let forced = forced.flat_map(|accepted| accepted.extensions.iter().cloned());
        let mut extensions: Vec<String> = match &self.forced {
            Some(_) => forced.collect(),
            None => builtin.collect(),
        };
        extensions.sort_unstable();
        extensions.dedup();
        extensions
    }

    fn workshop(&self) -> Result<&Workshop, PluginError> {
        if let Some(workshop) = self.workshop.get() {
            return Ok(workshop);
        }
        let workshop = Workshop {
            runtime: Runtime::start()?,
            cache: CompileCache::open(&self.cache),
        };
        Ok(self.workshop.get_or_init(|| workshop))
    }
}

/// Where components become converters.
struct Workshop {
    runtime: Runtime,
    cache: Option<CompileCache>,
}

impl Workshop {
    fn load_builtin(&self, builtin: &Builtin) -> Result<Plugin, PluginError> {
        let digest = ContentHash::from_hex(builtin.digest)
            .expect("the build script writes digests as 64 hexadecimal digits");
        let digest = PluginDigest(digest);
        let pre = self.pre(builtin.name, Path::new(builtin.name), builtin.wasm, &digest)?;
        let accepts = builtin
            .accepts
            .iter()
            .map(|(media_type, extensions)| AcceptedType {
                media_type: (*media_type).to_owned(),
                extensions: extensions.iter().map(ToString::to_string).collect(),
            });
        Ok(Plugin(Arc::new(Loaded {
            identity: PluginIdentity {
                name: builtin.name.to_owned(),
                version: builtin.version.to_owned(),
                digest,
                world: WORLD.to_owned(),
            },
            accepts: accepts.collect(),
            pre,
        })))
    }

    /// Loads a component that a user named: it is checked before it is compiled, and describes
    /// itself in a sandbox.
    fn load_file(&self, path: &Path) -> Result<Plugin, PluginError> {
        let wasm = read_component(path)?;
        check::check(path, &wasm)?;
        let name = stdio::line(&path.display().to_string());
        let digest = PluginDigest(ContentHash::of(&wasm));
        let pre = self.pre(&name, path, &wasm, &digest)?;
        let (description, _report) = describe(&pre);
        let failed = |reason| PluginError::Describe {
            name: name.clone(),
            reason,
        };
        let description = description.map_err(|failure| failed(failure.to_string()))?;
        let (name, version, accepts) = answer::description(description).map_err(failed)?;
        Ok(Plugin(Arc::new(Loaded {
            identity: PluginIdentity {
                name,
                version,
                digest,
                world: WORLD.to_owned(),
            },
            accepts,
            pre,
        })))
    }

    fn pre(
        &self,
        name: &str,
        path: &Path,
        wasm: &[u8],
        digest: &PluginDigest,
    ) -> Result<FileConverterPre<JobState>, PluginError> {
        let failed = |error: wasmtime::Error| PluginError::Compile {
            name: name.to_owned(),
            reason: stdio::line(&format!("{error:#}")),
        };
        let component = self.component(name, wasm, digest).map_err(failed)?;
        let pre = self.runtime.link(&component).map_err(failed)?;
        FileConverterPre::new(pre).map_err(|error| {
            tracing::debug!("no converter: {error:#}");
            PluginError::World {
                path: path.to_owned(),
                expected: WORLD,
            }
        })
    }

    fn component(
        &self,
        name: &str,
        wasm: &[u8],
        digest: &PluginDigest,
    ) -> wasmtime::Result<Component> {
        let engine = self.runtime.engine();
        if let Some(cache) = &self.cache {
            let _span = tracing::info_span!("cache_load", plugin = name).entered();
            if let Some(component) = cache.load(engine, digest) {
                return Ok(component);
            }
        }
        let _span = tracing::info_span!("compile", plugin = name).entered();
        // What comes with the program is trusted to compile; a stranger's component is not.
        let component = if is_builtin(digest) {
            Component::from_binary(engine, wasm)?
        } else {
            let code = compile::compile(engine, wasm).map_err(wasmtime::Error::msg)?;
            compile::load(engine, &code)?
        };
        if let Some(cache) = &self.cache {
            cache.store(engine, digest, &component);
        }
        Ok(component)
    }
}

/// Whether a component comes with the program.
fn is_builtin(digest: &PluginDigest) -> bool {
    let digest = digest.0.to_hex();
    BUILTIN.iter().any(|builtin| builtin.digest == digest)
}

/// Asks a component what it is, under limits of its own and without any directory.
fn describe(
    pre: &FileConverterPre<JobState>,
) -> (Result<types::Description, JobFailure>, JobReport) {
    let limits = Limits {
        cpu_max: DESCRIBE_CPU_MAX,
        memory_bytes_max: DESCRIBE_MEMORY_BYTES_MAX,
        ..Limits::default()
    };
    let sandbox = Sandbox {
        input: None,
        output: None,
        seed: &[0; 32],
        limits: &limits,
        cancel: &Arc::new(AtomicBool::new(false)),
    };
    sandbox.run(pre, |guest, store| {
        guest.kbhost_converter_converter().call_describe(store)
    })
}

/// Reads a component file, up to the size that is accepted.
fn read_component(path: &Path) -> Result<Vec<u8>, PluginError> {
    let failed = |error| PathError::new("read", path, error);
    let not = |reason: String| PluginError::NotAComponent {
        path: path.to_owned(),
        reason,
    };
    // Opening a FIFO would wait for a writer, so the kind is asked first.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(not("it is no regular file".to_owned()));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes))
        .map_err(failed)?;
    if bytes.len() as u64 > COMPONENT_BYTES_MAX {
        return Err(not(format!(
            "it is larger than {COMPONENT_BYTES_MAX} bytes"
        )));
    }
    Ok(bytes)
}
