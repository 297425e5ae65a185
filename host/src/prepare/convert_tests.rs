//! One preparation with a guest in native code.

#![expect(
    clippy::disallowed_methods,
    reason = "the tests write what a guest would"
)]

use std::fs;
use std::time::Duration;

use super::*;
use crate::kb::{PluginDigest, Seq, SourceKey};
use crate::plugin::{OutputFile, OutputRole};

/// A guest in native code: writes what it is told to, says what it saw.
struct Native {
    identity: PluginIdentity,
    references: Vec<String>,
    failure: Option<JobFailure>,
    declared: &'static str,
    /// Converts nothing without a password, and tells it.
    is_locked: bool,
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
            is_locked: false,
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
        if self.is_locked && job.password.is_none() {
            // What a first attempt leaves is gone before the second.
            fs::write(job.output_dir.join("left"), "").unwrap();
            let failure = ConvertError::Encrypted("locked".to_owned()).into();
            let plugin = self.identity.clone();
            return (Err(JobError { plugin, failure }), report);
        }
        assert!(!job.output_dir.join("left").exists());
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
            name: None,
            remote_id: None,
            pages: Some(0),
            outline: Vec::new(),
            metadata: vec![("Author".to_owned(), "x".to_owned())],
            warnings: std::iter::once(format!("{} assets", job.assets.len()))
                .chain(checkpointed(job))
                .collect(),
        };
        (Ok(converted), report)
    }
}

/// What a job came with from an earlier run, and whether more is kept.
fn checkpointed(job: &Job) -> Option<String> {
    let keeper = job.checkpoints.as_ref()?;
    let resumed = job.resume.as_deref().map(String::from_utf8_lossy);
    Some(format!("{resumed:?} kept {}", keeper.keep(b"state")))
}

fn run(dir: &Path, guest: &Native) -> Result<PreparedDocument, PrepareError> {
    run_keeping(dir, guest, None, false, Unlocking::NotGiven)
}

fn run_keeping(
    dir: &Path,
    guest: &Native,
    keeping: Option<&Keeping>,
    is_remote: bool,
    unlocking: Unlocking<'_>,
) -> Result<PreparedDocument, PrepareError> {
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
        misnamed_as: None,
        named: true,
    };
    let root = StagingRoot::open(&dir.join("staging")).unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let staged = input::stage(&source, root.create().unwrap(), 1 << 20, &cancel).unwrap();
    let call = Call {
        limits: &Limits::default(),
        options: &[],
        unlocking,
        secret: None,
        cache: None,
        strict: false,
        surroundings: Surroundings::default(),
        again: false,
        converter: None,
        service: None,
        listener: None,
        cancel: &cancel,
        keeping,
        account: is_remote.then_some(&[7; 32]),
    };
    convert_staged(guest, staged, &call, Warnings::default(), Vec::new())
        .map(|(document, _)| document)
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
    assert_eq!(document.original.file.as_ref().unwrap().name, "input.md");
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
fn only_what_a_remote_service_does_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let guest = Native::new();
    let source = ContentHash::of(b"# Heading\n\nSome words of a document.\n");
    let key = CheckpointKey::new(&source, &guest.identity.digest, Some(&[7; 32]));
    let resume = move |asked: &CheckpointKey| (*asked == key).then(|| b"earlier".to_vec());
    let (keeping, requests) = Keeping::new(Box::new(resume), Arc::default());
    let said = |keeping, is_remote| {
        let document =
            run_keeping(dir.path(), &guest, keeping, is_remote, Unlocking::NotGiven).unwrap();
        let warnings = document.warnings.iter().map(ToString::to_string);
        (document.checkpoint, warnings.collect::<Vec<_>>())
    };
    assert_eq!(
        said(Some(&keeping), false),
        (None, vec!["0 assets".to_owned()])
    );
    assert_eq!(said(None, true), (None, vec!["0 assets".to_owned()]));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let request = requests.recv().unwrap();
            assert_eq!((request.key, &*request.state), (key, &b"state"[..]));
            request.answer(true);
        });
        let resumed = "Some(\"earlier\") kept true".to_owned();
        let expected = (Some(key), vec!["0 assets".to_owned(), resumed]);
        assert_eq!(said(Some(&keeping), true), expected);
    });
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
fn a_password_is_tried_where_nothing_else_opens() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Native::new();
    guest.references = vec!["Input.MD".to_owned()];
    guest.is_locked = true;
    let password = Arc::new(Password::new(b"assets", (0, 0)).unwrap());
    let ended =
        |guest: &Native, unlocking| match run_keeping(dir.path(), guest, None, false, unlocking) {
            Ok(document) => Ok(document.warnings.iter().map(ToString::to_string).collect()),
            Err(PrepareError::Job(job)) => Err(job.failure.to_string()),
            Err(other) => panic!("{other:?}"),
        };
    let encrypted = Err("encrypted: locked".to_owned());
    assert_eq!(ended(&guest, Unlocking::NotGiven), encrypted);
    assert_eq!(ended(&guest, Unlocking::Withheld), encrypted);
    let by = Unlocking::By(&password);
    // "1 assets" tells the password.
    assert_eq!(ended(&guest, by), Ok(vec![Password::NOT_TOLD.to_owned()]));
    guest.is_locked = false;
    assert_eq!(ended(&guest, by), Ok(vec!["1 assets".to_owned()]));
    guest.failure = Some(ConvertError::Encrypted("locked".to_owned()).into());
    assert_eq!(
        ended(&guest, by),
        Err("encrypted: the password does not open it".to_owned())
    );
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
