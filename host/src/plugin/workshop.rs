//! Where components become converters: checked, compiled or taken from the cache, linked, asked what
//! they are.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use wasmtime::component::Component;

use super::answer;
use super::bindings::{FileConverterPre, WORLD, World, types};
use super::builtin::{BUILTIN, Builtin};
use super::cache::CompileCache;
use super::call::Sandbox;
use super::check::{self, COMPONENT_BYTES_MAX};
use super::compile;
use super::converter::Linked;
use super::engine::Runtime;
use super::named_file;
use super::set::CacheDir;
use super::state::JobState;
use super::stdio;
use super::{
    AcceptedType, Inspection, JobFailure, JobReport, Limits, Plugin, PluginError, PluginIdentity,
    Surroundings, WantedLimits,
};
use crate::kb::{ContentHash, PluginDigest};
use crate::userdir::plugins::{InstalledPlugin, Store};

/// A converter has a moment to say what it is, and the memory that its start takes.
const DESCRIBE_CPU_MAX: Duration = Duration::from_secs(2);
const DESCRIBE_MEMORY_BYTES_MAX: u64 = 128 << 20;

/// Where components become converters.
pub(super) struct Workshop {
    runtime: Runtime,
    cache: Option<CompileCache>,
}

impl Workshop {
    /// Starts the engine and opens the compile cache.
    pub(super) fn open(cache: &CacheDir) -> Result<Self, PluginError> {
        Ok(Self {
            runtime: Runtime::start()?,
            cache: CompileCache::open(cache),
        })
    }

    /// Loads a converter that comes with the program.
    pub(super) fn load_builtin(&self, builtin: &Builtin) -> Result<Plugin, PluginError> {
        let digest = builtin.digest();
        let world = builtin.world();
        let path = Path::new(builtin.name);
        let pre = self.pre(builtin.name, path, builtin.wasm, &digest, world)?;
        let identity = PluginIdentity {
            name: builtin.name.to_owned(),
            version: builtin.version.to_owned(),
            digest,
            world: world.name().to_owned(),
        };
        let (accepts, limits) = (builtin.accepted(), WantedLimits::default());
        Ok(Plugin::new(identity, accepts, limits, (world, pre)))
    }

    /// Loads a component that a user named: it is checked before it is compiled, and describes
    /// itself in a sandbox.
    pub(super) fn load_file(&self, path: &Path) -> Result<Plugin, PluginError> {
        let wasm = read_component(path)?;
        let (inspection, pre) = self.inspect(path, &wasm)?;
        let Inspection {
            identity, accepts, ..
        } = inspection;
        let limits = WantedLimits::default();
        Ok(Plugin::new(identity, accepts, limits, (World::File, pre)))
    }

    /// Loads a component as one of the cloud world. No user's component comes here.
    pub(super) fn load_cloud(&self, path: &Path, wasm: &[u8]) -> Result<Plugin, PluginError> {
        let name = stdio::line(&path.display().to_string());
        let digest = PluginDigest(ContentHash::of(wasm));
        let pre = self.pre(&name, path, wasm, &digest, World::Cloud)?;
        let (name, version, accepts) = described(&name, &pre)?;
        let identity = PluginIdentity {
            name,
            version,
            digest,
            world: World::Cloud.name().to_owned(),
        };
        let linked: Linked = (World::Cloud, pre);
        Ok(Plugin::new(
            identity,
            accepts,
            WantedLimits::default(),
            linked,
        ))
    }

    /// Loads a plugin that the user installed: the bytes that were agreed to, as what they were
    /// agreed to be.
    pub(super) fn load_installed(
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
        let pre = self.pre(&plugin.name, &path, &wasm, &plugin.digest, World::File)?;
        let identity = PluginIdentity {
            name: plugin.name.clone(),
            version: plugin.version.clone(),
            digest: plugin.digest,
            world: plugin.world.clone(),
        };
        let accepts = plugin.accepts.clone();
        let linked: Linked = (World::File, pre);
        Ok(Plugin::new(identity, accepts, plugin.limits, linked))
    }

    /// Checks a component before it is compiled, and asks it in a sandbox what it is.
    pub(super) fn inspect(
        &self,
        path: &Path,
        wasm: &[u8],
    ) -> Result<(Inspection, FileConverterPre<JobState>), PluginError> {
        let interfaces = check::check(path, wasm)?;
        let name = stdio::line(&path.display().to_string());
        let digest = PluginDigest(ContentHash::of(wasm));
        let pre = self.pre(&name, path, wasm, &digest, World::File)?;
        let (name, version, accepts) = described(&name, &pre)?;
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
        world: World,
    ) -> Result<FileConverterPre<JobState>, PluginError> {
        let failed = |error: wasmtime::Error| PluginError::Compile {
            name: name.to_owned(),
            reason: stdio::line(&format!("{error:#}")),
        };
        let component = self.component(name, wasm, digest).map_err(failed)?;
        let pre = self.runtime.link(&component, world).map_err(failed)?;
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

/// Name, version and what is taken, as the component called `name` says.
fn described(
    name: &str,
    pre: &FileConverterPre<JobState>,
) -> Result<(String, String, Vec<AcceptedType>), PluginError> {
    let failed = |reason| PluginError::Describe {
        name: name.to_owned(),
        reason,
    };
    let (description, _report) = describe(pre, &Surroundings::default());
    let description = description.map_err(|failure| failed(failure.to_string()))?;
    answer::description(description).map_err(failed)
}

/// Whether a component comes with the program.
fn is_builtin(digest: &PluginDigest) -> bool {
    let digest = digest.0.to_hex();
    BUILTIN.iter().any(|builtin| builtin.digest == digest)
}

/// Asks a component what it is, under limits of its own and without any directory.
pub(super) fn describe(
    pre: &FileConverterPre<JobState>,
    surroundings: &Surroundings,
) -> (Result<types::Description, JobFailure>, JobReport) {
    let limits = Limits {
        cpu_max: DESCRIBE_CPU_MAX,
        memory_bytes_max: DESCRIBE_MEMORY_BYTES_MAX,
        ..Limits::default()
    };
    let sandbox = Sandbox {
        checkpoints: None,
        is_secret: false,
        listener: None,
        input: None,
        output: None,
        seed: &[0; 32],
        surroundings,
        limits: &limits,
        cancel: &Arc::new(AtomicBool::new(false)),
        staged: None,
        service: None,
    };
    sandbox.run(pre, |guest, store| {
        guest.kbhost_converter_converter().call_describe(store)
    })
}

/// Reads a component file, up to the size that is accepted.
pub(crate) fn read_component(path: &Path) -> Result<Vec<u8>, PluginError> {
    named_file::read(path, COMPONENT_BYTES_MAX, |reason| {
        PluginError::NotAComponent {
            path: path.to_owned(),
            reason,
        }
    })
}
