//! One call into a component: a fresh store, the guest's two directories, the limits, and a verdict
//! on how it ended.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tracing::dispatcher::{self, Dispatch};
use wasmtime::{Engine, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx};

use super::bindings::{FileConverter, FileConverterPre};
use super::checkpoints::Keeper;
use super::fault;
use super::memory::MemoryMeter;
use super::quota::Quota;
use super::state::JobState;
use super::stdio;
use super::watch::Watch;
use super::{Checkpoints, JobFailure, JobReport, Limits, Listener, Surroundings};
use crate::egress::Client;

/// What the guest may hand to the host in one call: a page of text or a few pictures. Bulk data
/// goes through files, which the standard library writes in smaller pieces.
const HOSTCALL_BYTES_MAX: usize = 4 << 20;

/// Component-model handles at one time; see also the table of the state.
const COMPONENT_HANDLES_MAX: usize = 256;

/// What a call is given.
pub(super) struct Sandbox<'a> {
    /// Host path of `/in`, if the call has one.
    pub(super) input: Option<&'a Path>,
    /// Host path of `/out`, if the call has one.
    pub(super) output: Option<&'a Path>,
    /// Host path of the staged input, for a form that sends it.
    pub(super) staged: Option<&'a PathBuf>,
    /// Seed of the guest's randomness.
    pub(super) seed: &'a [u8; 32],
    /// What must not matter to it.
    pub(super) surroundings: &'a Surroundings,
    pub(super) limits: &'a Limits,
    pub(super) cancel: &'a Arc<AtomicBool>,
    /// The service that the guest may call, if it may call one.
    pub(super) service: Option<&'a Client>,
    /// Whether it holds a password: then nothing that it says on the way is kept, and nothing logged.
    pub(super) is_secret: bool,
    /// Who is told how far it is.
    pub(super) listener: Option<&'a Listener>,
    /// Who keeps its checkpoints, if somebody does.
    pub(super) checkpoints: Option<&'a Arc<dyn Checkpoints>>,
}

impl Sandbox<'_> {
    /// Makes an instance and calls `function` on it. What the guest returned is as untrusted as
    /// before; that it returned at all means that it kept every limit.
    pub(super) fn run<R>(
        &self,
        pre: &FileConverterPre<JobState>,
        function: impl FnOnce(&FileConverter, &mut Store<JobState>) -> wasmtime::Result<R>,
    ) -> (Result<R, JobFailure>, JobReport) {
        self.run_in(pre.engine(), |store| {
            let instance = pre.instantiate(&mut *store)?;
            function(&instance, store)
        })
    }

    /// Makes a store and calls `function` on it, which makes the instance. As [`Self::run`].
    pub(super) fn run_in<R>(
        &self,
        engine: &Engine,
        function: impl FnOnce(&mut Store<JobState>) -> wasmtime::Result<R>,
    ) -> (Result<R, JobFailure>, JobReport) {
        if !self.is_secret {
            return self.call_in(engine, function);
        }
        // Also what the host and its libraries log of a call quotes what the guest hands over: paths,
        // notes, and bytes that it writes. All of it happens on this thread.
        dispatcher::with_default(&Dispatch::none(), || self.call_in(engine, function))
    }

    fn call_in<R>(
        &self,
        engine: &Engine,
        function: impl FnOnce(&mut Store<JobState>) -> wasmtime::Result<R>,
    ) -> (Result<R, JobFailure>, JobReport) {
        let mut store = match self.store(engine) {
            Ok(store) => store,
            Err(failure) => return (Err(failure), JobReport::default()),
        };
        // The first tick comes when the guest already runs; a job that is over before it started
        // shall not start.
        let result = match store.data_mut().watch.tick() {
            Ok(()) => function(&mut store).map_err(|error| self.failure(&error, store.data())),
            Err(failure) => Err(failure),
        };
        let result = result.and_then(|value| store.data_mut().watch.finish().map(|()| value));
        (result, report(store.into_data(), self.is_secret))
    }

    fn store(&self, engine: &Engine) -> Result<Store<JobState>, JobFailure> {
        let wasi = self
            .wasi()
            .map_err(|error| JobFailure::Host(format!("open the staging directory: {error:#}")))?;
        let watch = Watch::start(self.limits, self.cancel.clone());
        let memory = MemoryMeter::new(self.limits.memory_bytes_max);
        let quota = Quota::new(self.limits);
        let cancel = self.cancel.clone();
        let mut state = JobState::new(
            wasi,
            self.seed,
            self.surroundings,
            memory,
            watch,
            quota,
            cancel,
        );
        state.session = self
            .service
            .map(|client| client.session(self.cancel.clone(), self.staged.cloned()));
        state.listener = self.listener.cloned();
        state.keeper = Keeper::new(self.checkpoints.cloned());
        let mut store = Store::new(engine, state);
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
        store.set_max_component_handles(COMPONENT_HANDLES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| match context.data_mut().watch.tick() {
            Ok(()) => Ok(UpdateDeadline::Continue(1)),
            Err(failure) => Err(wasmtime::Error::new(failure)),
        });
        Ok(store)
    }

    /// The guest's file system; everything else of the context stays empty.
    fn wasi(&self) -> wasmtime::Result<WasiCtx> {
        let mut wasi = WasiCtx::builder();
        // Before the directories, which copy the setting: file calls stay on this thread. Which
        // calls reach them is for `filesystem` to say.
        wasi.allow_blocking_current_thread(true);
        if let Some(input) = self.input {
            wasi.preopened_dir(input, "/in", FsPerms::ReadOnly)?;
        }
        if let Some(output) = self.output {
            wasi.preopened_dir(output, "/out", FsPerms::ReadWrite)?;
            if fault::has_hole("preopen")
                && let Some(around) = output.ancestors().nth(3)
            {
                wasi.preopened_dir(around, "/host", FsPerms::ReadWrite)?;
            }
        }
        Ok(wasi.build())
    }

    /// How a call ended that did not return.
    fn failure(&self, error: &wasmtime::Error, state: &JobState) -> JobFailure {
        if let Some(failure) = error.downcast_ref::<JobFailure>() {
            return failure.clone();
        }
        // A guest that is refused memory usually aborts: the trap is the consequence.
        if state.memory.refused() {
            return JobFailure::Memory {
                limit_bytes: self.limits.memory_bytes_max,
            };
        }
        if let Some(I32Exit(status)) = error.downcast_ref::<I32Exit>() {
            return JobFailure::Exit(*status);
        }
        let said = match error.downcast_ref::<Trap>() {
            // How Rust, and C's abort, end after a message.
            Some(Trap::UnreachableCodeReached) if !self.is_secret => state.stderr.last_line(),
            _ => None,
        };
        JobFailure::Trap(said.unwrap_or_else(|| stdio::line(&error.root_cause().to_string())))
    }
}

fn report(mut state: JobState, is_secret: bool) -> JobReport {
    let mut log = std::mem::take(&mut state.log);
    log.extend(state.stdout.lines());
    log.extend(state.stderr.lines());
    if is_secret {
        log.clear();
    }
    let calls = state.session.take().map(|session| {
        log.retain(|line| !session.is_told_in(line.as_bytes()));
        for (what, attempts) in session.refusals() {
            let count = state.denied.entry(what).or_default();
            *count = count.saturating_add(*attempts);
        }
        session.usage().clone()
    });
    let denied = state
        .denied
        .into_iter()
        .map(|(name, count)| (name.to_owned(), count));
    let (output_bytes_peak, output_files_peak) = state.quota.peak();
    JobReport {
        cpu: state.watch.cpu(),
        memory_bytes_peak: state.memory.peak(),
        output_bytes_peak,
        output_files_peak,
        denied: denied.collect(),
        calls,
        log,
    }
}
