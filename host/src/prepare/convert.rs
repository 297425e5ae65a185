//! One preparation from the staged input to the prepared document: assets, conversion, collection,
//! analysis, sync.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cache::{Key, PrepareCache};
use super::checkpoints::Keeping;
use super::collect::{self, CollectError, Collected};
use super::input::{self, Staged};
use super::validate::{self, Warnings};
use super::{
    Analysis, CloudOrigin, PrepareError, PreparedDocument, Rehearsal, StagingError, StagingRoot,
    assets, contest, fault, rehearsal, staging, told,
};
use crate::egress::Client;
use crate::enumerate::Source;
use crate::kb::{CheckpointKey, ContentHash, RemoteId, SafeLine};
use crate::plugin::{
    Allowance, ConvertError, Converted, Input, Job, JobError, JobFailure, JobReport, Limits,
    Listener, Password, Plugin, PluginIdentity, PluginSet, Surroundings,
};

/// What converts a staged input. The pool knows no more of it.
pub(super) trait Convert: Send + Sync {
    /// Converts; the staging directory goes into the document, or away.
    /// What it leaves for a later run goes by `keeping`.
    fn convert(&self, staged: Staged, keeping: &Keeping) -> Result<PreparedDocument, PrepareError>;
}

/// A converter that takes every input, and the service that it calls for it.
#[derive(Clone, Debug)]
pub struct Via {
    /// Of the cloud world.
    pub plugin: Plugin,
    /// The service.
    pub service: Client,
}

/// What a preparation may use, apart from the input.
pub(super) struct Conversion {
    pub(super) via: Option<Via>,
    pub(super) listener: Option<Listener>,
    pub(super) plugins: Arc<PluginSet>,
    pub(super) allowance: Allowance,
    pub(super) options: Vec<(String, String)>,
    pub(super) password: Option<Arc<Password>>,
    pub(super) cache: Option<PrepareCache>,
    pub(super) strict: bool,
    pub(super) again: bool,
    pub(super) cancel: Arc<AtomicBool>,
}

impl Convert for Conversion {
    fn convert(&self, staged: Staged, keeping: &Keeping) -> Result<PreparedDocument, PrepareError> {
        let account = self.via.as_ref().map(|via| via.service.service().account());
        let call = Call {
            limits: &self.allowance.limits,
            options: &self.options,
            unlocking: Unlocking::by(self.password.as_ref()),
            secret: self.password.as_ref().map(|password| password.file()),
            cache: self.cache.as_ref(),
            strict: self.strict,
            surroundings: Surroundings::default(),
            again: self.again,
            converter: self.via.as_ref().map(|via| &via.plugin),
            service: self.via.as_ref().map(|via| &via.service),
            listener: self.listener.as_ref(),
            cancel: &self.cancel,
            keeping: Some(keeping),
            account: account.as_ref(),
        };
        let (document, _converted) = convert_with(&self.plugins, staged, &self.allowance, &call)?;
        Ok(document)
    }
}

/// How to prepare a single input.
pub struct Single<'a> {
    /// What bounds each call.
    pub allowance: &'a Allowance,
    /// Options for the converter, sorted by key.
    pub options: &'a [(String, String)],
    /// What opens a document that does not open without it.
    pub password: Option<&'a Arc<Password>>,
    /// Conversions that need not be done again.
    pub cache: Option<&'a PrepareCache>,
    /// Whether an attempt at what the sandbox refuses is an error.
    pub strict: bool,
    /// What must not matter to the converter; the default but for a converter on trial.
    pub surroundings: Surroundings,
    /// The converter; `None`: the one that would be chosen.
    pub converter: Option<&'a Plugin>,
    /// The service that the converter may call, if it is of the cloud world.
    pub service: Option<&'a Client>,
    /// Where the files lie that the input refers to; `None`: beside the input.
    pub assets_dir: Option<&'a Path>,
    /// Set to stop.
    pub cancel: Arc<AtomicBool>,
}

/// Prepares one input on this thread.
///
/// # Errors
/// If it cannot be prepared; nothing of it stays in staging.
pub fn prepare_one(
    source: &Source,
    plugins: &PluginSet,
    staging: &StagingRoot,
    single: &Single<'_>,
) -> Result<PreparedDocument, PrepareError> {
    let (document, _converted) = prepare_single(source, plugins, staging, single)?;
    Ok(document)
}

/// Prepares one input on this thread, and looks at what its converter left undeclared.
///
/// # Errors
/// As [`prepare_one`].
pub fn rehearse(
    source: &Source,
    plugins: &PluginSet,
    staging: &StagingRoot,
    single: &Single<'_>,
) -> Result<Rehearsal, PrepareError> {
    let (document, converted) = prepare_single(source, plugins, staging, single)?;
    let declared: BTreeSet<&str> = converted.files.iter().map(|file| &*file.path).collect();
    let undeclared = rehearsal::undeclared(&document.staging, &declared)?;
    Ok(Rehearsal {
        document,
        undeclared,
        left_out: rehearsal::left_out(&converted.files),
    })
}

fn prepare_single(
    source: &Source,
    plugins: &PluginSet,
    staging: &StagingRoot,
    single: &Single<'_>,
) -> Result<(PreparedDocument, Converted), PrepareError> {
    let mut staged = {
        let _span = tracing::info_span!("copy", seq = source.seq.0).entered();
        let bytes_max = single.allowance.input_bytes_max();
        input::stage(source, staging.create()?, bytes_max, &single.cancel)?
    };
    if let Some(dir) = single.assets_dir {
        dir.clone_into(&mut staged.source_dir);
    }
    let call = Call {
        limits: &single.allowance.limits,
        options: single.options,
        unlocking: Unlocking::by(single.password),
        secret: single.password.map(|password| password.file()),
        cache: single.cache,
        strict: single.strict,
        surroundings: single.surroundings,
        again: false,
        converter: single.converter,
        service: single.service,
        listener: None,
        cancel: &single.cancel,
        keeping: None,
        account: None,
    };
    convert_with(plugins, staged, single.allowance, &call)
}

/// What there is to be done about a document that does not open without a password.
#[derive(Clone, Copy, Debug)]
enum Unlocking<'a> {
    /// Nobody gave one.
    NotGiven,
    /// The converter is none that is given passwords.
    Withheld,
    /// This one is tried.
    By(&'a Arc<Password>),
}

impl<'a> Unlocking<'a> {
    fn by(password: Option<&'a Arc<Password>>) -> Self {
        password.map_or(Self::NotGiven, Self::By)
    }
}

/// What every call of a run shares.
struct Call<'a> {
    limits: &'a Limits,
    options: &'a [(String, String)],
    unlocking: Unlocking<'a>,
    /// Device and inode of a file that no document may refer to.
    secret: Option<(u64, u64)>,
    cache: Option<&'a PrepareCache>,
    strict: bool,
    surroundings: Surroundings,
    again: bool,
    converter: Option<&'a Plugin>,
    service: Option<&'a Client>,
    listener: Option<&'a Listener>,
    cancel: &'a Arc<AtomicBool>,
    /// The way to who keeps checkpoints, where there is one.
    keeping: Option<&'a Keeping>,
    /// Digest of the account that the converter works for at a remote service: such a one may keep
    /// checkpoints. A file is converted again in less time than it would take to go on.
    account: Option<&'a [u8; 32]>,
}

impl<'a> Call<'a> {
    /// Where this converter's checkpoints for a source are kept, if they are.
    fn checkpoint(
        &self,
        source: &ContentHash,
        plugin: &PluginIdentity,
    ) -> Option<(&'a Keeping, CheckpointKey)> {
        let keeping = self.keeping?;
        let keeps = self.account.is_some() || fault::keeps_checkpoints();
        let key = CheckpointKey::new(source, &plugin.digest, self.account);
        keeps.then_some((keeping, key))
    }
}

/// A component as the pipeline sees it.
trait Guest {
    fn identity(&self) -> &PluginIdentity;
    fn assets(&self, job: &Job) -> (Result<Vec<String>, JobError>, JobReport);
    fn convert(&self, job: &Job) -> (Result<Converted, JobError>, JobReport);
}

impl Guest for Plugin {
    fn identity(&self) -> &PluginIdentity {
        Plugin::identity(self)
    }

    fn assets(&self, job: &Job) -> (Result<Vec<String>, JobError>, JobReport) {
        Plugin::assets(self, job)
    }

    fn convert(&self, job: &Job) -> (Result<Converted, JobError>, JobReport) {
        Plugin::convert(self, job)
    }
}

fn convert_with(
    plugins: &PluginSet,
    staged: Staged,
    allowance: &Allowance,
    call: &Call<'_>,
) -> Result<(PreparedDocument, Converted), PrepareError> {
    let contenders = match call.converter {
        Some(plugin) => vec![plugin.clone()],
        None => plugins.converters(&staged.media_type),
    };
    let chosen = tracing::info_span!("choose", seq = staged.seq.0)
        .in_scope(|| contest::choose(contenders, &staged, allowance, call.cancel))?;
    let Some(chosen) = chosen else {
        return Err(PrepareError::Unsupported(staged.display));
    };
    let limits = chosen.plugin.limits(allowance);
    let options = chosen.plugin.options(call.options);
    let call = Call {
        limits: &limits,
        options: &options,
        unlocking: match chosen.plugin.opens() {
            true => call.unlocking,
            false => Unlocking::Withheld,
        },
        ..*call
    };
    let mut warnings = Warnings::default();
    if let Some(name) = &staged.misnamed_as {
        let content = &staged.media_type;
        warnings.push(SafeLine::new(&format!(
            "taken as {content}, which it is by its content; its name stands for {name}"
        )));
    }
    for warning in chosen.warnings {
        warnings.push(warning);
    }
    convert_staged(&chosen.plugin, staged, &call, warnings, chosen.denied)
}

/// One conversion: the document, and what the converter said of it. `warnings` and `denied` are those
/// of choosing the converter.
///
/// A password is for documents that do not open without it, so that no other one's parser is near it.
fn convert_staged(
    guest: &dyn Guest,
    staged: Staged,
    call: &Call<'_>,
    warnings: Warnings,
    denied: Vec<(String, u64)>,
) -> Result<(PreparedDocument, Converted), PrepareError> {
    let first = attempt(guest, &staged, call, warnings.clone(), None);
    let (attempt, password) = match (first, call.unlocking) {
        (Err(error), Unlocking::By(password)) if error.is_encrypted() => {
            staged.staging.start_over()?;
            let second = attempt(guest, &staged, call, warnings, Some(password));
            (
                second.map_err(|error| error.with_password(password))?,
                Some(password),
            )
        }
        (Err(error), Unlocking::Withheld) => return Err(error.withheld()),
        (first, _) => (first?, None),
    };
    finish(guest.identity(), staged, call, attempt, denied, password)
}

/// What came of calling a converter: collected and judged, not yet a document.
struct Attempt {
    converted: Converted,
    collected: Collected,
    report: JobReport,
    assets: Vec<(String, ContentHash)>,
    checkpoint: Option<CheckpointKey>,
    limits: Limits,
    options: Vec<(String, String)>,
    warnings: Warnings,
}

/// The straight line of one attempt. What was opened with a password is neither looked up nor kept for
/// who does not have it.
fn attempt(
    guest: &dyn Guest,
    staged: &Staged,
    call: &Call<'_>,
    mut warnings: Warnings,
    password: Option<&Arc<Password>>,
) -> Result<Attempt, PrepareError> {
    let seq = staged.seq.0;
    if call.cancel.load(Ordering::Relaxed) {
        return Err(PrepareError::Cancelled(staged.display.clone()));
    }
    let mut job = job(staged, call);
    job.password = password.cloned();
    // What a service answers is not ours to keep, and may be another answer the next time.
    let cache = call
        .cache
        .filter(|_| call.service.is_none() && password.is_none());
    let cached = cache.map(|cache| (cache, Key::of_input(guest.identity(), &job)));

    let (references, mut report) = references(guest, staged, &job, cached.as_ref())?;
    let resolved = tracing::info_span!("resolve", seq)
        .in_scope(|| assets::resolve(staged, &references, call.secret))?;
    job.assets = resolved.assets;
    for warning in resolved.warnings {
        warnings.push(warning);
    }
    let cached = cached.map(|(cache, key)| (cache, key.with_assets(&job, &resolved.hashes)));

    let checkpoint = call.checkpoint(&staged.original.hash, guest.identity());
    let (converted, used, collected) = match replay(staged, &mut warnings, cached.as_ref())? {
        Some(replayed) => replayed,
        None => {
            if let Some((keeping, key)) = checkpoint.filter(|_| password.is_none()) {
                job.resume = keeping.resume(&key);
                job.checkpoints = Some(keeping.keeper(key));
            }
            convert_fresh(guest, staged, &job, &mut warnings, cached.as_ref())?
        }
    };
    merge(&mut report, used);
    let references = job.assets.iter().map(|asset| asset.reference.clone());
    Ok(Attempt {
        converted,
        collected,
        report,
        assets: references.zip(resolved.hashes).collect(),
        checkpoint: checkpoint.map(|(_, key)| key),
        limits: job.limits,
        options: job.options,
        warnings,
    })
}

/// Makes the document of an attempt, if nothing speaks against it.
fn finish(
    plugin: &PluginIdentity,
    staged: Staged,
    call: &Call<'_>,
    attempt: Attempt,
    denied: Vec<(String, u64)>,
    password: Option<&Arc<Password>>,
) -> Result<(PreparedDocument, Converted), PrepareError> {
    let mut report = attempt.report;
    add_denied(&mut report.denied, denied);
    if call.strict && !report.denied.is_empty() {
        let failure = JobFailure::Denied(report.denied);
        let plugin = plugin.clone();
        return Err(job_error(&staged, JobError { plugin, failure }));
    }
    let _span = tracing::info_span!("analyse", seq = staged.seq.0).entered();
    let run = Run {
        plugin: plugin.clone(),
        again: call.again,
        is_cloud: call.service.is_some(),
        checkpoint: attempt.checkpoint,
        report,
        limits: attempt.limits,
        options: attempt.options,
        assets: attempt.assets,
    };
    let (converted, collected) = (attempt.converted, attempt.collected);
    let mut document = document(run, staged, &converted, collected, attempt.warnings);
    if let Some(password) = password {
        told::leave_out(&mut document, password);
    }
    if let Some(service) = call.service
        && told::is_told(&document, service)?
    {
        let failure = ConvertError::Upstream(ConvertError::KEY_IN_ANSWER.to_owned()).into();
        let plugin = plugin.clone();
        return Err(PrepareError::Job(Box::new(JobError { plugin, failure })));
    }
    Ok((document, converted))
}

/// Where a conversion is looked up and kept.
type Cached<'a> = (&'a PrepareCache, Key);

/// The local files that the input refers to, and what finding them used.
fn references(
    guest: &dyn Guest,
    staged: &Staged,
    job: &Job,
    cached: Option<&Cached<'_>>,
) -> Result<(Vec<String>, JobReport), PrepareError> {
    let seq = staged.seq.0;
    let known = cached.and_then(|(cache, key)| {
        tracing::info_span!("lookup", seq).in_scope(|| cache.references(key))
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let (references, report) = tracing::info_span!("assets", seq).in_scope(|| guest.assets(job));
    report.tell();
    let references = references.map_err(|error| job_error(staged, error))?;
    if let Some((cache, key)) = cached {
        cache.keep_references(key, &references, &report);
    }
    Ok((references, report))
}

/// The conversion as the cache has it, judged like a fresh one; `None` if it has none that passes:
/// `out/` and `ready/` are empty then.
fn replay(
    staged: &Staged,
    warnings: &mut Warnings,
    cached: Option<&Cached<'_>>,
) -> Result<Option<(Converted, JobReport, Collected)>, PrepareError> {
    let Some((cache, key)) = cached else {
        return Ok(None);
    };
    let _span = tracing::info_span!("replay", seq = staged.seq.0).entered();
    let Some(kept) = cache.document(key) else {
        return Ok(None);
    };
    let before = warnings.clone();
    let written = kept.write(&staged.staging);
    let collected = written.and_then(|()| {
        collect::collect(
            &staged.staging,
            &kept.converted.files,
            kept.converted.pages,
            warnings,
        )
        .map_err(|error| format!("{error:?}"))
    });
    match collected {
        Ok(collected) => {
            sync_original(staged)?;
            Ok(Some((kept.converted, kept.report, collected)))
        }
        Err(reason) => {
            // A full disk comes to light again when the converter is run instead.
            tracing::debug!("a cached document is of no use: {reason}");
            cache.forget_document(key);
            *warnings = before;
            staged.staging.reset()?;
            Ok(None)
        }
    }
}

/// Runs the converter and collects what it wrote.
fn convert_fresh(
    guest: &dyn Guest,
    staged: &Staged,
    job: &Job,
    warnings: &mut Warnings,
    cached: Option<&Cached<'_>>,
) -> Result<(Converted, JobReport, Collected), PrepareError> {
    let seq = staged.seq.0;
    let (converted, used) = tracing::info_span!("convert", seq).in_scope(|| {
        let (converted, used) = guest.convert(job);
        used.tell();
        (converted, used)
    });
    let converted = converted.map_err(|error| job_error(staged, error))?;
    let collected = tracing::info_span!("collect", seq).in_scope(|| {
        let collected =
            collect::collect(&staged.staging, &converted.files, converted.pages, warnings)?;
        sync_original(staged)?;
        Ok(collected)
    });
    let collected = collected.map_err(|error| match error {
        CollectError::Staging(error) => PrepareError::Staging(error),
        CollectError::Invalid(reason) => {
            let plugin = guest.identity().clone();
            let failure = JobFailure::InvalidOutput(reason);
            job_error(staged, JobError { plugin, failure })
        }
    })?;
    if let Some((cache, key)) = cached {
        let _span = tracing::info_span!("keep", seq).entered();
        cache.keep_document(key, &staged.staging, &converted, &used, &collected);
    }
    Ok((converted, used, collected))
}

fn job(staged: &Staged, call: &Call<'_>) -> Job {
    let original = staged.original.file.as_ref();
    Job {
        input_dir: staged.staging.input(),
        output_dir: staged.staging.output(),
        input: Input {
            original_name: staged.file_name.clone(),
            guest_name: original.map_or_else(String::new, |file| file.name.clone()),
            media_type: staged.media_type.clone(),
            size: staged.original.size(),
            hash: staged.original.hash,
        },
        remote: staged.remote.clone(),
        service: call.service.cloned(),
        assets: Vec::new(),
        options: call.options.to_vec(),
        password: None,
        limits: call.limits.clone(),
        surroundings: call.surroundings,
        cancel: Arc::clone(call.cancel),
        listener: call.listener.map(|listener| {
            let (listener, display) = (listener.clone(), staged.display.clone());
            Listener::new(move |line| listener.tell(&format!("{display}: {line}")))
        }),
        resume: None,
        checkpoints: None,
    }
}

/// A job that ended because the run did, or because the disk is full, is no failure of the
/// converter. It sees of the disk that a write failed and tells it as trouble of its own: a write
/// in its place tells more.
fn job_error(staged: &Staged, error: JobError) -> PrepareError {
    match error.failure {
        JobFailure::Cancelled => return PrepareError::Cancelled(staged.display.clone()),
        JobFailure::Converter(ConvertError::Internal(_))
        | JobFailure::Trap(_)
        | JobFailure::Exit(_)
        | JobFailure::InvalidOutput(_)
        | JobFailure::Host(_) => {
            if let Err(error) = staged.staging.probe() {
                return PrepareError::Staging(error);
            }
        }
        JobFailure::Converter(_)
        | JobFailure::Denied(_)
        | JobFailure::Cpu { .. }
        | JobFailure::Wall { .. }
        | JobFailure::Memory { .. }
        | JobFailure::Output { .. } => {}
    }
    PrepareError::Job(Box::new(error))
}

/// Adds the use of a second call to that of a first: they ran one after the other.
fn merge(report: &mut JobReport, used: JobReport) {
    report.cpu += used.cpu;
    report.memory_bytes_peak = report.memory_bytes_peak.max(used.memory_bytes_peak);
    report.output_bytes_peak = report.output_bytes_peak.max(used.output_bytes_peak);
    report.output_files_peak = report.output_files_peak.max(used.output_files_peak);
    report.log.extend(used.log);
    add_denied(&mut report.denied, used.denied);
}

/// Adds attempts to those of `sum`, which are sorted.
pub(super) fn add_denied(sum: &mut Vec<(String, u64)>, more: Vec<(String, u64)>) {
    for (interface, attempts) in more {
        match sum.binary_search_by(|(known, _)| known.cmp(&interface)) {
            Ok(at) => sum[at].1 = sum[at].1.saturating_add(attempts),
            Err(at) => sum.insert(at, (interface, attempts)),
        }
    }
}

/// The original is published by a rename: its bytes must be on disk before.
fn sync_original(staged: &Staged) -> Result<(), StagingError> {
    let Some(original) = &staged.original.file else {
        return Ok(());
    };
    let path = staged.staging.input().join(&original.name);
    File::open(&path)
        .and_then(|file| staging::sync_data(&file))
        .map_err(|error| StagingError::new("sync", path, error))
}

/// By whom and how a document was converted.
struct Run {
    plugin: PluginIdentity,
    again: bool,
    is_cloud: bool,
    checkpoint: Option<CheckpointKey>,
    report: JobReport,
    limits: Limits,
    options: Vec<(String, String)>,
    assets: Vec<(String, ContentHash)>,
}

/// Puts the document together from validated parts.
fn document(
    run: Run,
    staged: Staged,
    converted: &Converted,
    collected: Collected,
    mut warnings: Warnings,
) -> PreparedDocument {
    let title = validate::title(converted.title.as_deref());
    let (outline, headings_over) = validate::outline(&converted.outline);
    let (mut metadata, entries_over) = validate::metadata(&converted.metadata);
    let page_count = validate::page(converted.pages).or(collected.last_page);
    let needs_ocr = validate::needs_ocr(&converted.metadata, &mut metadata, page_count);
    let cloud = run.is_cloud.then(|| cloud_origin(&staged, converted));
    let file_name = match (&staged.remote, &converted.name) {
        (Some(_), Some(name)) => validate::remote_name(name).unwrap_or(staged.file_name),
        _ => staged.file_name,
    };
    for warning in &converted.warnings {
        warnings.push_untrusted(warning);
    }
    for (over, what) in [(headings_over, "headings"), (entries_over, "metadata")] {
        if over > 0 {
            warnings.push(SafeLine::new(&format!("{what} left out: {over} too many")));
        }
    }
    let mut analysis: Analysis = crate::compile::analyse(
        &collected.markdown,
        title.as_ref(),
        &metadata,
        stem(&file_name),
    );
    let texts = collected.member_texts.iter().map(String::as_str);
    analysis.members = crate::compile::member_sections(texts);
    PreparedDocument {
        seq: staged.seq,
        staging: staged.staging,
        original: staged.original,
        display: staged.display,
        key: staged.key,
        file_name,
        cloud,
        extension: staged.extension,
        media_type: staged.media_type,
        checkpoint: run.checkpoint,
        plugin: run.plugin,
        again: run.again,
        report: run.report,
        limits: run.limits,
        options: run.options,
        assets: run.assets,
        main: collected.main,
        images: collected.images,
        members: collected.members,
        pages_json: collected.pages_json,
        tree_json: collected.tree_json,
        tree: collected.tree,
        page_count,
        needs_ocr,
        outline,
        metadata,
        warnings: warnings.finish(),
        analysis,
    }
}

/// What a service made, with its id there: known beforehand, or as the converter says of what it sent.
fn cloud_origin(staged: &Staged, converted: &Converted) -> CloudOrigin {
    let told = || converted.remote_id.as_deref().and_then(RemoteId::new);
    CloudOrigin {
        id: staged.remote.clone().or_else(told),
    }
}

/// A file name without its last extension.
fn stem(file_name: &str) -> &str {
    match file_name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => file_name,
    }
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
