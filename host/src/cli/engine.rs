//! The calls into the rooms that convert, each in one place, with what this room chooses for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::args::ConversionArgs;
use super::error::CommandError;
use super::plugin::Meant;
use super::ui::Ui;
use crate::enumerate::Source;
use crate::kb::config::{Config, Narrowing, converter_options};
use crate::plugin::{
    Allowance, CacheDir, Limits, Password, Plugin, PluginError, PluginSet, Surroundings,
};
use crate::prepare::{
    self, PrepareCache, PrepareError, PreparedDocument, Single, StagingError, StagingRoot,
};
use crate::userdir::plugins::Store;

/// The converters of this run, built in and installed. `forced`, a file or a name, takes every
/// input.
///
/// # Errors
/// If the engine cannot start, the installed plugins cannot be read, or `forced` is no usable
/// component.
pub(super) fn plugins(forced: Option<&Path>) -> Result<PluginSet, CommandError> {
    raise_open_files();
    let cache = CacheDir(crate::userdir::cache_dir());
    let store = || Store::of_user().map_err(PluginError::from);
    Ok(match forced.map(Meant::of) {
        None => PluginSet::new(None, &cache)?.with_installed(store()?),
        // A file that was named needs no list, whatever became of it.
        Some(Meant::File(file)) => PluginSet::new(Some(file), &cache)?,
        Some(Meant::Name(name)) => PluginSet::new(None, &cache)?
            .with_installed(store()?)
            .forcing(name)?,
    })
}

/// What tells components apart, without any that is installed.
///
/// # Errors
/// If the engine cannot start.
pub(super) fn inspector() -> Result<PluginSet, CommandError> {
    let cache = CacheDir(crate::userdir::cache_dir());
    Ok(PluginSet::new(None, &cache)?)
}

/// Raises the soft limit of open files to the hard one: each component may hold some hundred, and
/// the owner must not run out of them because of one.
pub(super) fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

/// Compiles, or takes from the cache, what `sources` need.
///
/// # Errors
/// If a converter cannot be compiled.
pub(super) fn load<'a>(
    plugins: &PluginSet,
    sources: impl IntoIterator<Item = &'a Source>,
) -> Result<(), CommandError> {
    let mut media_types: Vec<String> = sources
        .into_iter()
        .filter_map(|source| source.media_type.clone())
        .collect();
    media_types.sort_unstable();
    media_types.dedup();
    let _span = tracing::info_span!("load", converters = media_types.len()).entered();
    Ok(plugins.load(&media_types)?)
}

/// The limits of each call into a converter.
#[cfg(not(feature = "fault-points"))]
pub(super) fn limits() -> Limits {
    Limits::default()
}

/// The limits of each call into a converter: a rig may lower them, so that it need not wait.
#[cfg(feature = "fault-points")]
pub(super) fn limits() -> Limits {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let mut limits = Limits::default();
    if let Some(ms) = number("KBHOST_TEST_CPU_MS") {
        limits.cpu_max = std::time::Duration::from_millis(ms);
    }
    if let Some(mib) = number("KBHOST_TEST_MEMORY_MIB") {
        limits.memory_bytes_max = mib << 20;
    }
    if let Some(mib) = number("KBHOST_TEST_OUTPUT_MIB") {
        limits.output_bytes_max = mib << 20;
    }
    limits
}

/// What bounds each call into a converter, and tells what the KB asks for in vain.
pub(super) fn allowance(ui: &mut Ui, kb: Narrowing) -> Allowance {
    let allowance = Allowance {
        limits: limits(),
        kb,
    };
    for (key, value, max) in allowance.ignored() {
        ui.note(&format!(
            "note: `kbhost.limits.{key}` is {value} in config.yaml, where {max} holds anyway: a \
             knowledge base can only narrow limits"
        ));
    }
    allowance
}

/// Prepares one input on this thread.
///
/// # Errors
/// As the worker pool would report it.
pub(super) fn prepare_one(
    source: &Source,
    plugins: &PluginSet,
    staging: &StagingRoot,
    conversion: ConversionArgs,
    password: Option<&Arc<Password>>,
    cancel: Arc<AtomicBool>,
) -> Result<PreparedDocument, Box<PrepareError>> {
    let cache = prepare_cache(conversion);
    let single = Single {
        allowance: &Allowance {
            limits: limits(),
            kb: Narrowing::default(),
        },
        options: &converter_options(Config::default().pageindex_threshold),
        password,
        cache: cache.as_ref(),
        strict: conversion.strict,
        surroundings: Surroundings::default(),
        converter: None,
        service: None,
        assets_dir: None,
        cancel,
    };
    prepare::prepare_one(source, plugins, staging, &single).map_err(Box::new)
}

/// How to prepare an input once more.
pub(super) struct Again<'a> {
    /// By whom.
    pub(super) converter: &'a Plugin,
    /// Within what.
    pub(super) allowance: &'a Allowance,
    /// With which options.
    pub(super) options: &'a [(String, String)],
    /// With which password, if it needs one.
    pub(super) password: Option<&'a Arc<Password>>,
    /// Where the files lie that it refers to.
    pub(super) assets_dir: &'a Path,
    /// Set to stop.
    pub(super) cancel: Arc<AtomicBool>,
}

/// Prepares an input once more, without the cache.
///
/// # Errors
/// As the worker pool would report it.
pub(super) fn prepare_again(
    source: &Source,
    plugins: &PluginSet,
    staging: &StagingRoot,
    again: Again<'_>,
) -> Result<PreparedDocument, Box<PrepareError>> {
    let single = Single {
        allowance: again.allowance,
        options: again.options,
        password: again.password,
        cache: None,
        strict: false,
        surroundings: Surroundings::default(),
        converter: Some(again.converter),
        service: None,
        assets_dir: Some(again.assets_dir),
        cancel: again.cancel,
    };
    prepare::prepare_one(source, plugins, staging, &single).map_err(Box::new)
}

/// The user's cache of conversions, unless it is not wanted or cannot be used.
pub(super) fn prepare_cache(args: ConversionArgs) -> Option<PrepareCache> {
    if args.no_cache {
        return None;
    }
    PrepareCache::open(crate::userdir::cache_dir())
}

/// Writes the Markdown and the images of a document into `dir`; the paths written.
///
/// # Errors
/// If a file is there already and `overwrite` is not set, or the disk refuses.
pub(super) fn export(
    document: &PreparedDocument,
    dir: &Path,
    stem: &str,
    overwrite: bool,
) -> Result<Vec<PathBuf>, StagingError> {
    prepare::export(document, dir, stem, overwrite)
}
