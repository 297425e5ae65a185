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
use super::{Inspection, WantedLimits};
use crate::kb::{ContentHash, PathError, PluginDigest};
use crate::userdir;
use crate::userdir::plugins::{InstalledPlugin, Store, StoreError};

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
    limits: WantedLimits,
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

    /// The limits of its calls: `limits`, but for those that it asked for and the user agreed to.
    #[must_use]
    pub fn limits(&self, limits: &Limits) -> Limits {
        self.0.limits.applied_to(limits)
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
    store: Store,
    /// Beside the plugins of `store`, likewise.
    installed: Vec<OnceLock<Plugin>>,
}

/// A converter that could be loaded, with the place where it is kept then.
#[derive(Clone, Copy)]
enum Candidate<'a> {
    Builtin(&'static Builtin, &'a OnceLock<Plugin>),
    Installed(&'a InstalledPlugin, &'a OnceLock<Plugin>),
}

impl<'a> Candidate<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Builtin(builtin, _) => builtin.name,
            Self::Installed(plugin, _) => &plugin.name,
        }
    }

    fn slot(self) -> &'a OnceLock<Plugin> {
        match self {
            Self::Builtin(_, slot) | Self::Installed(_, slot) => slot,
        }
    }

    fn takes(self, media_type: &str) -> bool {
        match self {
            Self::Builtin(builtin, _) => builtin.takes(media_type),
            Self::Installed(plugin, _) => plugin.takes(media_type),
        }
    }

    fn media_type_of(self, extension: &str) -> Option<&'a str> {
        match self {
            Self::Builtin(builtin, _) => builtin.media_type_of(extension),
            Self::Installed(plugin, _) => plugin
                .accepts
                .iter()
                .find(|accepted| accepted.extensions.iter().any(|known| known == extension))
                .map(|accepted| accepted.media_type.as_str()),
        }
    }

    fn extensions(self) -> Vec<String> {
        self.accepts()
            .into_iter()
            .flat_map(|accepted| accepted.extensions)
            .collect()
    }

    fn accepts(self) -> Vec<AcceptedType> {
        match self {
            Self::Builtin(builtin, _) => builtin.accepted(),
            Self::Installed(plugin, _) => plugin.accepts.clone(),
        }
    }
}

/// A media type and a converter that takes it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Format {
    /// `text/markdown`.
    pub media_type: String,
    /// Whether this converter is the one that is used for it.
    pub used: bool,
    /// The converter.
    pub plugin: String,
    /// Its version.
    pub version: String,
    /// Lower case, without dot, sorted.
    pub extensions: Vec<String>,
    /// Whether it comes with the program.
    pub builtin: bool,
}

/// What the built-in converter called `name` takes.
pub(crate) fn builtin_accepts(name: &str) -> Option<Vec<AcceptedType>> {
    let mut builtin = BUILTIN.iter();
    builtin
        .find(|builtin| builtin.name == name)
        .map(Builtin::accepted)
}

/// The component of the built-in converter called `name`.
pub(crate) fn builtin_component(name: &str) -> Option<&'static [u8]> {
    let mut builtin = BUILTIN.iter();
    builtin
        .find(|builtin| builtin.name == name)
        .map(|builtin| builtin.wasm)
}

impl fmt::Debug for PluginSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots = self.builtin.iter().chain(&self.installed);
        let loaded: Vec<_> = slots.filter_map(OnceLock::get).collect();
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
            store: Store::default(),
            installed: Vec::new(),
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
        let of_extension = || {
            self.candidates()
                .filter_map(|candidate| Some((candidate, candidate.media_type_of(&extension)?)))
        };
        of_extension()
            .find(|(candidate, media_type)| self.is_preferred(*candidate, media_type))
            .or_else(|| of_extension().next())
            .map(|(_, media_type)| media_type.to_owned())
    }

    /// Takes the user's installed plugins into account.
    #[must_use]
    pub(crate) fn with_installed(mut self, store: Store) -> Self {
        self.installed = store.plugins().iter().map(|_| OnceLock::new()).collect();
        self.store = store;
        self
    }

    /// Lets the converter called `name`, installed or built in, take every input.
    ///
    /// # Errors
    /// If there is none that is enabled, or it cannot be loaded.
    pub(crate) fn forcing(mut self, name: &str) -> Result<Self, PluginError> {
        let candidate = self
            .candidates()
            .find(|candidate| candidate.name() == name)
            .ok_or_else(|| {
                let name = stdio::line(name);
                match self.store.get(&name) {
                    Some(_) => StoreError::Disabled { name },
                    None => StoreError::Unknown { name },
                }
            })?;
        self.forced = Some(self.load_candidate(candidate)?);
        Ok(self)
    }

    /// What `wasm` is, by its binary and its own words. `path` is for messages.
    ///
    /// # Errors
    /// If it is no component that could be used.
    pub(crate) fn inspect(&self, path: &Path, wasm: &[u8]) -> Result<Inspection, PluginError> {
        let (inspection, _pre) = self.workshop()?.inspect(path, wasm)?;
        Ok(inspection)
    }

    /// Built-in converters first, then the enabled installed ones by their names.
    fn candidates(&self) -> impl Iterator<Item = Candidate<'_>> {
        let builtin = BUILTIN.iter().zip(&self.builtin);
        let installed = self.store.plugins().iter().zip(&self.installed);
        builtin
            .map(|(builtin, slot)| Candidate::Builtin(builtin, slot))
            .chain(
                installed
                    .filter(|(plugin, _)| plugin.enabled)
                    .map(|(plugin, slot)| Candidate::Installed(plugin, slot)),
            )
    }

    /// What is accepted by which converter, in order of media types, the one that is used first.
    #[must_use]
    pub fn formats(&self) -> Vec<Format> {
        let mut formats = Vec::new();
        for candidate in self.candidates() {
            let (version, builtin) = match candidate {
                Candidate::Builtin(builtin, _) => (builtin.version, true),
                Candidate::Installed(plugin, _) => (plugin.version.as_str(), false),
            };
            for mut accepted in candidate.accepts() {
                accepted.extensions.sort_unstable();
                let chosen = self.chosen(&accepted.media_type);
                formats.push(Format {
                    used: chosen.is_some_and(|chosen| chosen.name() == candidate.name()),
                    media_type: accepted.media_type,
                    plugin: candidate.name().to_owned(),
                    version: version.to_owned(),
                    extensions: accepted.extensions,
                    builtin,
                });
            }
        }
        formats.sort_by(|a, b| {
            let key = |format: &Format| (format.media_type.clone(), !format.used);
            key(a).cmp(&key(b)).then_with(|| a.plugin.cmp(&b.plugin))
        });
        formats
    }

    fn is_preferred(&self, candidate: Candidate<'_>, media_type: &str) -> bool {
        let preferred = self.store.preferred().get(media_type);
        preferred.is_some_and(|name| name == candidate.name()) && candidate.takes(media_type)
    }

    /// The one that converts files of this media type: what the user prefers, else a built-in one.
    fn chosen(&self, media_type: &str) -> Option<Candidate<'_>> {
        self.candidates()
            .find(|candidate| self.is_preferred(*candidate, media_type))
            .or_else(|| {
                self.candidates()
                    .find(|candidate| candidate.takes(media_type))
            })
    }

    fn load_candidate(&self, candidate: Candidate<'_>) -> Result<Plugin, PluginError> {
        if let Some(plugin) = candidate.slot().get() {
            return Ok(plugin.clone());
        }
        let plugin = match candidate {
            Candidate::Builtin(builtin, _) => self.workshop()?.load_builtin(builtin)?,
            Candidate::Installed(plugin, _) => {
                self.workshop()?.load_installed(&self.store, plugin)?
            }
        };
        Ok(candidate.slot().get_or_init(|| plugin).clone())
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
        for media_type in media_types {
            if let Some(candidate) = self.chosen(media_type) {
                self.load_candidate(candidate)?;
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
        self.chosen(media_type)?.slot().get().cloned()
    }

    /// Every extension some converter takes, sorted, for messages.
    #[must_use]
    pub fn extensions(&self) -> Vec<String> {
        let forced = self.forced.iter().flat_map(Plugin::accepts);
        let forced = forced.flat_map(|accepted| accepted.extensions.iter().cloned());
        let mut extensions: Vec<String> = match &self.forced {
            Some(_) => forced.collect(),
            None => self.candidates().flat_map(Candidate::extensions).collect(),
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
        Ok(Plugin(Arc::new(Loaded {
            identity: PluginIdentity {
                name: builtin.name.to_owned(),
                version: builtin.version.to_owned(),
                digest,
                world: WORLD.to_owned(),
            },
            accepts: builtin.accepted(),
            limits: WantedLimits::default(),
            pre,
        })))
    }

    /// Loads a component that a user named: it is checked before it is compiled, and describes
    /// itself in a sandbox.
    fn load_file(&self, path: &Path) -> Result<Plugin, PluginError> {
        let wasm = read_component(path)?;
        let (inspection, pre) = self.inspect(path, &wasm)?;
        Ok(Plugin(Arc::new(Loaded {
            identity: inspection.identity,
            accepts: inspection.accepts,
            limits: WantedLimits::default(),
            pre,
        })))
    }

    /// Loads a plugin that the user installed: the bytes that were agreed to, as what they were
    /// agreed to be.
    fn load_installed(
        &self,
        store: &Store,
        plugin: &InstalledPlugin,
    ) -> Result<Plugin, PluginError> {
        let wasm = store.component(plugin)?;
        let path = store.path(plugin);
        check::check(&path, &wasm)?;
        if plugin.world != WORLD {
            return Err(PluginError::World {
                path,
                expected: WORLD,
            });
        }
        let pre = self.pre(&plugin.name, &path, &wasm, &plugin.digest)?;
        Ok(Plugin(Arc::new(Loaded {
            identity: PluginIdentity {
                name: plugin.name.clone(),
                version: plugin.version.clone(),
                digest: plugin.digest,
                world: plugin.world.clone(),
            },
            accepts: plugin.accepts.clone(),
            limits: plugin.limits,
            pre,
        })))
    }

    /// Checks a component before it is compiled, and asks it in a sandbox what it is.
    fn inspect(
        &self,
        path: &Path,
        wasm: &[u8],
    ) -> Result<(Inspection, FileConverterPre<JobState>), PluginError> {
        let interfaces = check::check(path, wasm)?;
        let name = stdio::line(&path.display().to_string());
        let digest = PluginDigest(ContentHash::of(wasm));
        let pre = self.pre(&name, path, wasm, &digest)?;
        let (description, _report) = describe(&pre);
        let failed = |reason| PluginError::Describe {
            name: name.clone(),
            reason,
        };
        let description = description.map_err(|failure| failed(failure.to_string()))?;
        let (name, version, accepts) = answer::description(description).map_err(failed)?;
        let inspection = Inspection {
            identity: PluginIdentity {
                name,
                version,
                digest,
                world: WORLD.to_owned(),
            },
            size: wasm.len() as u64,
            accepts,
            imports: interfaces.imports,
            exports: interfaces.exports,
        };
        Ok((inspection, pre))
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
        let code = compile::compile(engine, wasm, is_builtin(digest));
        let code = code.map_err(wasmtime::Error::msg)?;
        let component = code.load(engine)?;
        if let Some(cache) = &self.cache {
            cache.store(engine, digest, &code);
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
pub(crate) fn read_component(path: &Path) -> Result<Vec<u8>, PluginError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The built-in converters and two installed ones that take Markdown and `.sql`.
    fn set(preferred: &str, enabled: bool) -> PluginSet {
        let digest = ContentHash::of(b"").to_hex();
        let plugin = |name: &str| {
            format!(
                r#"{{"name":"{name}","version":"1.0.0","digest":"{digest}","world":"w",
                "accepts":[{{"media_type":"text/markdown","extensions":["md"]}},
                {{"media_type":"text/x-{name}","extensions":["sql"]}}],
                "imports":[],"enabled":{enabled},"from":"f"}}"#
            )
        };
        let list = format!(
            r#"{{"format":1,"plugins":[{},{}],"preferred":{preferred}}}"#,
            plugin("one"),
            plugin("two")
        );
        let set = PluginSet::new(None, &CacheDir(None)).unwrap();
        set.with_installed(Store::of_list(&list))
    }

    #[test]
    fn a_builtin_converter_stays_unless_another_is_preferred() {
        let check = |preferred: &str, enabled, file: &str, expected: Option<(&str, &str)>| {
            let set = set(preferred, enabled);
            let media_type = set.media_type_of(file);
            let chosen = media_type.as_deref().and_then(|media_type| {
                let name = set.chosen(media_type)?.name().to_owned();
                Some((media_type.to_owned(), name))
            });
            let expected = expected.map(|(a, b)| (a.to_owned(), b.to_owned()));
            assert_eq!(chosen, expected, "{preferred} {enabled} {file}");
        };
        let markdown = |name| Some(("text/markdown", name));
        check("{}", true, "a.md", markdown("markdown"));
        check(r#"{"text/markdown":"two"}"#, true, "a.MD", markdown("two"));
        check(
            r#"{"text/markdown":"two"}"#,
            false,
            "a.md",
            markdown("markdown"),
        );
        check(
            r#"{"text/markdown":"gone"}"#,
            true,
            "a.md",
            markdown("markdown"),
        );
        // A preference for what the plugin does not take is none.
        check(
            r#"{"application/pdf":"two"}"#,
            true,
            "a.pdf",
            Some(("application/pdf", "pdf")),
        );
        check("{}", true, "a.sql", Some(("text/x-one", "one")));
        check(
            r#"{"text/x-two":"two"}"#,
            true,
            "a.sql",
            Some(("text/x-two", "two")),
        );
        check("{}", false, "a.sql", None);
    }

    #[test]
    fn what_is_disabled_or_unknown_cannot_be_forced() {
        let error = set("{}", false).forcing("one").unwrap_err();
        assert!(
            matches!(error, PluginError::Store(StoreError::Disabled { .. })),
            "{error}"
        );
        let error = set("{}", true).forcing("three").unwrap_err();
        assert!(
            matches!(error, PluginError::Store(StoreError::Unknown { .. })),
            "{error}"
        );
    }
}
