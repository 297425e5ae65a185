//! The engine: one for all converters of a run, what WebAssembly may be, and the ticker that lets
//! running guests be looked at.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, Strategy};

use super::PluginError;
use super::bindings::{FileConverter, World, endpoint};
use super::state::JobState;
use super::wasi;

/// How often a running guest is looked at. Limits are exact to about this.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// Stack of a guest. Recursive parsers need more than wasmtime's 512 KiB; a worker thread with the
/// usual 2 MiB still has half of it for the host.
const STACK_BYTES_MAX: usize = 1 << 20;

/// An engine with its linker and ticker. Cheap to clone.
#[derive(Clone)]
pub(super) struct Runtime {
    engine: Engine,
    linker: Arc<Linker<JobState>>,
    cloud_linker: Arc<Linker<JobState>>,
}

impl Runtime {
    /// Starts the engine and its ticker thread, which ends with the last handle on the engine.
    pub(super) fn start() -> Result<Self, PluginError> {
        let engine =
            Engine::new(&config()).map_err(|error| PluginError::Engine(format!("{error:#}")))?;
        let failed = |error: wasmtime::Error| PluginError::Engine(format!("{error:#}"));
        let linker = linker(&engine).map_err(failed)?;
        let mut cloud_linker = linker.clone();
        endpoint::add_to_linker::<_, HasSelf<JobState>>(&mut cloud_linker, |state| state)
            .map_err(failed)?;
        let weak = engine.weak();
        std::thread::Builder::new()
            .name("kbhost-ticker".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(TICK);
                    let Some(engine) = weak.upgrade() else { return };
                    engine.increment_epoch();
                }
            })
            .map_err(|error| PluginError::Engine(error.to_string()))?;
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            cloud_linker: Arc::new(cloud_linker),
        })
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Resolves the imports of `component`, once for all its instances. Endpoints are there for a
    /// component of the cloud world alone.
    pub(super) fn link(
        &self,
        component: &Component,
        world: World,
    ) -> wasmtime::Result<InstancePre<JobState>> {
        match world {
            World::File => self.linker.instantiate_pre(component),
            World::Cloud => self.cloud_linker.instantiate_pre(component),
        }
    }
}

/// What a component may be made of, and how it is compiled. Everything that could make two runs
/// of the same component differ is off or made canonical. Threads, garbage collection and
/// exceptions are not even compiled into wasmtime here; a test sees that they stay refused.
pub(super) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .concurrency_support(false)
        .wasm_shared_everything_threads(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_custom_page_sizes(false)
        .wasm_stack_switching(false)
        .wasm_relaxed_simd(false)
        .shared_memory(false)
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        .cranelift_nan_canonicalization(true)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .epoch_interruption(true)
        // Nobody is told offsets of WebAssembly, and a tenth of each cache entry would be these tables.
        .generate_address_map(false)
        .max_wasm_stack(STACK_BYTES_MAX);
    config
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<JobState>> {
    let mut linker = Linker::new(engine);
    wasi::link(&mut linker)?;
    FileConverter::add_to_linker::<JobState, HasSelf<JobState>>(&mut linker, |state| state)?;
    Ok(linker)
}
