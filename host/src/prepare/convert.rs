//! One preparation from the staged input to the prepared document: assets, conversion, collection,
//! analysis, sync.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::collect::{self, CollectError, Collected};
use super::input::{self, Staged};
use super::validate::{self, Warnings};
use super::{Analysis, PrepareError, PreparedDocument, StagingError, StagingRoot, assets, staging};
use crate::enumerate::Source;
use crate::kb::SafeLine;
use crate::plugin::{
    ConvertError, Converted, Input, Job, JobError, JobFailure, JobReport, Limits, Plugin,
    PluginIdentity, PluginSet,
};

/// What converts a staged input. The pool knows no more of it.
pub(super) trait Convert: Send + Sync {
    /// Converts; the staging directory goes into the document, or away.
    fn convert(&self, staged: Staged) -> Result<PreparedDocument, PrepareError>;
}

/// What a preparation may use, apart from the input.
pub(super) struct Conversion {
    pub(super) plugins: Arc<PluginSet>,
    pub(super) limits: Limits,
    pub(super) options: Vec<(String, String)>,
    pub(super) cancel: Arc<AtomicBool>,
}

impl Convert for Conversion {
    fn convert(&self, staged: Staged) -> Result<PreparedDocument, PrepareError> {
        let call = Call {
            limits: &self.limits,
            options: &self.options,
            cancel: &self.cancel,
        };
        convert_with(&self.plugins, staged, &call)
    }
}

/// Prepares one input on this thread.
///
/// # Errors
/// If it cannot be prepared; nothing of it stays in staging.
pub fn prepare_one(
    source: &Source,
    plugins: &PluginSet,
    staging: &StagingRoot,
    limits: &Limits,
    options: &[(String, String)],
    cancel: Arc<AtomicBool>,
) -> Result<PreparedDocument, PrepareError> {
    let staged = {
        let _span = tracing::info_span!("copy", seq = source.seq.0).entered();
        input::stage(source, staging.create()?, limits.input_bytes_max, &cancel)?
    };
    let call = Call {
        limits,
        options,
        cancel: &cancel,
    };
    convert_with(plugins, staged, &call)
}

/// What every call of a run shares.
struct Call<'a> {
    limits: &'a Limits,
    options: &'a [(String, String)],
    cancel: &'a Arc<AtomicBool>,
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
    call: &Call<'_>,
) -> Result<PreparedDocument, PrepareError> {
    match plugins.converter(&staged.media_type) {
        Some(plugin) => convert_staged(&plugin, staged, call),
        None => Err(PrepareError::Unsupported(staged.display)),
    }
}

/// The straight line of one conversion.
fn convert_staged(
    guest: &dyn Guest,
    staged: Staged,
    call: &Call<'_>,
) -> Result<PreparedDocument, PrepareError> {
    let seq = staged.seq.0;
    if call.cancel.load(Ordering::Relaxed) {
        return Err(PrepareError::Cancelled(staged.display));
    }
    let mut job = job(&staged, call);
    let mut warnings = Warnings::default();

    let (resolved, mut report) = tracing::info_span!("assets", seq).in_scope(|| {
        let (references, report) = guest.assets(&job);
        tell(&report);
        let references = references.map_err(|error| job_error(&staged, error))?;
        Ok::<_, PrepareError>((assets::resolve(&staged, &references)?, report))
    })?;
    job.assets = resolved.assets;
    for warning in resolved.warnings {
        warnings.push(warning);
    }

    let (converted, used) = tracing::info_span!("convert", seq).in_scope(|| {
        let (converted, used) = guest.convert(&job);
        tell(&used);
        (converted, used)
    });
    let converted = converted.map_err(|error| job_error(&staged, error))?;
    merge(&mut report, used);

    let collected = tracing::info_span!("collect", seq).in_scope(|| {
        let collected = collect::collect(&staged.staging, &converted.files, &mut warnings)?;
        sync_original(&staged)?;
        Ok(collected)
    });
    let collected = collected.map_err(|error| match error {
        CollectError::Staging(error) => PrepareError::Staging(error),
        CollectError::Invalid(reason) => {
            let plugin = guest.identity().clone();
            let failure = JobFailure::InvalidOutput(reason);
            job_error(&staged, JobError { plugin, failure })
        }
    })?;

    let _span = tracing::info_span!("analyse", seq).entered();
    Ok(document(
        guest.identity().clone(),
        staged,
        report,
        &converted,
        collected,
        warnings,
    ))
}

fn job(staged: &Staged, call: &Call<'_>) -> Job {
    Job {
        input_dir: staged.staging.input(),
        output_dir: staged.staging.output(),
        input: Input {
            original_name: staged.file_name.clone(),
            guest_name: staged.original.name.clone(),
            media_type: staged.media_type.clone(),
            size: staged.original.size,
            hash: staged.original.hash,
        },
        assets: Vec::new(),
        options: call.options.to_vec(),
        limits: call.limits.clone(),
        cancel: Arc::clone(call.cancel),
    }
}

/// Hands what a component wrote to its log on to ours, whether the call succeeded or not.
fn tell(report: &JobReport) {
    for line in &report.log {
        tracing::debug!(target: "kbhost::plugin", "{line}");
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
    for (interface, attempts) in used.denied {
        match report
            .denied
            .binary_search_by(|(known, _)| known.cmp(&interface))
        {
            Ok(at) => report.denied[at].1 = report.denied[at].1.saturating_add(attempts),
            Err(at) => report.denied.insert(at, (interface, attempts)),
        }
    }
}

/// The original is published by a rename: its bytes must be on disk before.
fn sync_original(staged: &Staged) -> Result<(), StagingError> {
    let path = staged.staging.input().join(&staged.original.name);
    File::open(&path)
        .and_then(|file| staging::sync_data(&file))
        .map_err(|error| StagingError::new("sync", path, error))
}

/// Puts the document together from validated parts.
fn document(
    plugin: PluginIdentity,
    staged: Staged,
    report: JobReport,
    converted: &Converted,
    collected: Collected,
    mut warnings: Warnings,
) -> PreparedDocument {
    let title = validate::title(converted.title.as_deref());
    let (outline, headings_over) = validate::outline(&converted.outline);
    let (metadata, entries_over) = validate::metadata(&converted.metadata);
    for warning in &converted.warnings {
        warnings.push_untrusted(warning);
    }
    for (over, what) in [(headings_over, "headings"), (entries_over, "metadata")] {
        if over > 0 {
            warnings.push(SafeLine::new(&format!("{what} left out: {over} too many")));
        }
    }
    let analysis: Analysis = crate::compile::analyse(
        &collected.markdown,
        title.as_ref(),
        &metadata,
        stem(&staged.file_name),
    );
    PreparedDocument {
        seq: staged.seq,
        staging: staged.staging,
        original: staged.original,
        display: staged.display,
        key: staged.key,
        file_name: staged.file_name,
        extension: staged.extension,
        media_type: staged.media_type,
        plugin,
        report,
        main: collected.main,
        images: collected.images,
        pages_json: collected.pages_json,
        tree_json: collected.tree_json,
        page_count: validate::page(converted.pages),
        outline,
        metadata,
        warnings: warnings.finish(),
        analysis,
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
#[expect(
    clippy::disallowed_methods,
    reason = "the tests write what a guest would"
)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::kb::{ContentHash, PluginDigest, Seq, SourceKey};
    use crate::plugin::{OutputFile, OutputRole};

    /// A guest in native code: writes what it is told to, says what it saw.
    struct Native {
        identity: PluginIdentity,
        references: Vec<String>,
        failure: Option<JobFailure>,
        declared: &'static str,
    }

    impl Native {
        fn new() -> Self {
            Self {
                identity: PluginIdentity {
                    name: "native".to_owned(),
                    version: "1.0.0".to_owned(),
                    digest: PluginDigest(ContentHash::of(b"native")),
                    world: "test".to_owned(),
                },
                references: Vec::new(),
                failure: None,
                declared: "doc.md",
            }
        }
    }

    impl Guest for Native {
        fn identity(&self) -> &PluginIdentity {
            &self.identity
        }

        fn assets(&self, job: &Job) -> (Result<Vec<String>, JobError>, JobReport) {
            assert!(job.assets.is_empty());
            let report = JobReport {
                cpu: Duration::from_millis(1),
                memory_bytes_peak: 10,
                denied: vec![("b".to_owned(), 1)],
                log: vec!["assets".to_owned()],
                ..JobReport::default()
            };
            (Ok(self.references.clone()), report)
        }

        fn convert(&self, job: &Job) -> (Result<Converted, JobError>, JobReport) {
            let report = JobReport {
                cpu: Duration::from_millis(2),
                memory_bytes_peak: 5,
                denied: vec![("a".to_owned(), 1), ("b".to_owned(), 2)],
                log: vec!["convert".to_owned()],
                ..JobReport::default()
            };
            if let Some(failure) = self.failure.clone() {
                let plugin = self.identity.clone();
                return (Err(JobError { plugin, failure }), report);
            }
            let input = fs::read(job.input_dir.join(&job.input.guest_name)).unwrap();
            assert_eq!(ContentHash::of(&input), job.input.hash);
            fs::write(job.output_dir.join("doc.md"), &input).unwrap();
            let converted = Converted {
                files: vec![OutputFile {
                    path: self.declared.to_owned(),
                    role: OutputRole::Main,
                    media_type: "text/markdown".to_owned(),
                    page: None,
                }],
                title: Some("A\ntitle".to_owned()),
                pages: Some(0),
                outline: Vec::new(),
                metadata: vec![("Author".to_owned(), "x".to_owned())],
                warnings: vec![format!("{} assets", job.assets.len())],
            };
            (Ok(converted), report)
        }
    }

    fn run(dir: &Path, guest: &Native) -> Result<PreparedDocument, PrepareError> {
        let input = dir.join("Input.MD");
        fs::write(&input, "# Heading\n\nSome words of a document.\n").unwrap();
        fs::create_dir_all(dir.join("staging")).unwrap();
        let source = Source {
            seq: Seq(7),
            path: input,
            display: "Input.MD".to_owned(),
            key: SourceKey::new("key".to_owned()),
            file_name: "Input.MD".to_owned(),
            media_type: Some("text/markdown".to_owned()),
            named: true,
        };
        let root = StagingRoot::open(&dir.join("staging")).unwrap();
        let cancel = Arc::new(AtomicBool::new(false));
        let staged = input::stage(&source, root.create().unwrap(), 1 << 20, &cancel).unwrap();
        let call = Call {
            limits: &Limits::default(),
            options: &[],
            cancel: &cancel,
        };
        convert_staged(guest, staged, &call)
    }

    fn staged_entries(dir: &Path) -> usize {
        fs::read_dir(dir.join("staging")).unwrap().count()
    }

    #[test]
    fn a_document_is_put_together() {
        let dir = tempfile::tempdir().unwrap();
        let mut guest = Native::new();
        guest.references = vec!["Input.MD".to_owned(), "none.png".to_owned()];
        let document = run(dir.path(), &guest).unwrap();
        assert_eq!(document.seq, Seq(7));
        assert_eq!(document.extension, "MD");
        assert_eq!(document.original.name, "input.md");
        assert_eq!(document.page_count, None);
        assert_eq!(document.metadata[0].0, "author");
        let warnings: Vec<_> = document.warnings.iter().map(SafeLine::as_str).collect();
        assert_eq!(
            warnings,
            ["`none.png` was left out: no such file", "1 assets"]
        );
        assert_eq!(document.report.cpu, Duration::from_millis(3));
        assert_eq!(document.report.memory_bytes_peak, 10);
        assert_eq!(
            document.report.denied,
            [("a".to_owned(), 1), ("b".to_owned(), 3)]
        );
        assert_eq!(document.report.log, ["assets", "convert"]);
        assert_eq!(staged_entries(dir.path()), 2);
        document.discard().unwrap();
        assert_eq!(staged_entries(dir.path()), 0);
    }

    #[test]
    fn failures_name_the_plugin_and_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut guest = Native::new();
        guest.declared = "other.md";
        let error = run(dir.path(), &guest).unwrap_err();
        assert_eq!(error.to_string(), "convert it with plugin `native 1.0.0`");
        let PrepareError::Job(error) = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            error.failure,
            JobFailure::InvalidOutput("`other.md`: declared and not written".to_owned())
        );
        guest.failure = Some(JobFailure::Trap("unreachable".to_owned()));
        match run(dir.path(), &guest) {
            Err(PrepareError::Job(error)) => {
                assert!(matches!(error.failure, JobFailure::Trap(_)));
            }
            other => panic!("{other:?}"),
        }
        guest.failure = Some(JobFailure::Cancelled);
        assert!(matches!(
            run(dir.path(), &guest),
            Err(PrepareError::Cancelled(_))
        ));
        assert_eq!(staged_entries(dir.path()), 0);
    }

    #[test]
    fn stems() {
        let check = |name: &str, expected: &str| assert_eq!(stem(name), expected);
        check("a.md", "a");
        check("a.tar.gz", "a.tar");
        check(".md", ".md");
        check("a", "a");
    }
}
