//! Copies an input into its staging directory and hashes the copy.
//!
//! Invariant: the digest is that of the staged bytes, and these were one consistent state of the
//! file: what it was when opened it still was when the last byte was read.

use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::beneath::irregular;
use super::{Original, PrepareError, ReadyFile, StagingDir, StagingError, fault, staging};
use crate::enumerate::{self, EnumerateError, Remote, Source};
use crate::kb::{ContentHash, PathError, RemoteId, Seq, SourceKey};

/// Bytes read at once: large enough that system calls do not count, small enough for every worker.
const CHUNK_BYTES: usize = 128 << 10;

/// An extension longer than this many bytes is no extension.
const EXTENSION_BYTES_MAX: usize = 16;

/// An input in its staging directory, ready to be converted.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) seq: Seq,
    /// The directory of the input as the user named it: where its references lead from.
    pub(super) source_dir: PathBuf,
    pub(super) display: String,
    pub(super) key: SourceKey,
    pub(super) file_name: String,
    /// As typed; see [`extension`].
    pub(super) extension: String,
    pub(super) media_type: String,
    /// What its name stands for, where its content is another.
    pub(super) misnamed_as: Option<String>,
    /// The copy in `in/`, not yet synced; none of a remote document.
    pub(super) original: Original,
    /// The document's id at its service, if that has it.
    pub(super) remote: Option<RemoteId>,
    pub(super) staging: StagingDir,
}

/// What must not change while a file is read.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Fingerprint {
    fn of(metadata: &Metadata) -> Self {
        Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The extension of a file name as typed, without the dot; empty unless it is ASCII alphanumeric
/// and short.
pub(super) fn extension(file_name: &str) -> &str {
    match file_name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && extension.len() <= EXTENSION_BYTES_MAX
                && extension.bytes().all(|byte| byte.is_ascii_alphanumeric()) =>
        {
            extension
        }
        _ => "",
    }
}

/// A file name of the host's own with the extension of another, in lower case.
pub(super) fn guest_name(stem: &str, extension: &str) -> String {
    if extension.is_empty() {
        stem.to_owned()
    } else {
        format!("{stem}.{}", extension.to_ascii_lowercase())
    }
}

/// A remote document, of which nothing is here: its directories are empty.
pub(super) fn stage_remote(remote: &Remote, staging: StagingDir) -> Staged {
    Staged {
        seq: remote.seq,
        source_dir: PathBuf::new(),
        display: remote.display.clone(),
        key: remote.id.source_key(),
        file_name: remote.id.to_string(),
        extension: String::new(),
        media_type: REMOTE_MEDIA_TYPE.to_owned(),
        misnamed_as: None,
        original: Original {
            hash: remote.id.hash(),
            file: None,
        },
        remote: Some(remote.id.clone()),
        staging,
    }
}

/// What stands for the media type of a document that has no bytes here.
const REMOTE_MEDIA_TYPE: &str = "application/vnd.pageindex.document";

/// Copies `source` into `staging`. A file that changes meanwhile is read once more.
pub(super) fn stage(
    source: &Source,
    staging: StagingDir,
    bytes_max: u64,
    cancel: &AtomicBool,
) -> Result<Staged, PrepareError> {
    let Some(media_type) = source.media_type.clone() else {
        return Err(PrepareError::Unsupported(source.display.clone()));
    };
    let extension = extension(&source.file_name).to_owned();
    let name = guest_name("input", &extension);
    let target = staging.input().join(&name);
    let copy = || copy_once(source, &target, bytes_max, cancel);
    let copied = match copy()? {
        Some(copied) => copied,
        None => {
            tracing::debug!("input changed while it was read: reading it again");
            staging::remove_file(&target)?;
            copy()?.ok_or_else(|| PrepareError::Changed(source.display.clone()))?
        }
    };
    let (hash, size) = copied;
    if size == 0 {
        return Err(PrepareError::Empty(source.display.clone()));
    }
    let source_dir = match source.path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    Ok(Staged {
        seq: source.seq,
        source_dir,
        display: source.display.clone(),
        key: source.key.clone(),
        file_name: source.file_name.clone(),
        extension,
        media_type,
        misnamed_as: source.misnamed_as.clone(),
        original: Original::of_file(ReadyFile { name, size, hash }),
        remote: None,
        staging,
    })
}

/// Copies and hashes; `None` if the file changed meanwhile.
fn copy_once(
    source: &Source,
    target: &Path,
    bytes_max: u64,
    cancel: &AtomicBool,
) -> Result<Option<(ContentHash, u64)>, PrepareError> {
    let mut input = open(source)?;
    let before = fingerprint(source, &input)?;
    if before.size > bytes_max {
        return Err(too_large(source, before.size, bytes_max));
    }
    let mut copy = staging::create_file(target)?;
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if cancel.load(Ordering::Relaxed) {
            return Err(PrepareError::Cancelled(source.display.clone()));
        }
        let read = match input.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => &chunk[..read],
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed("read", source, error)),
        };
        size += read.len() as u64;
        if size > bytes_max {
            return Err(too_large(source, size, bytes_max));
        }
        digest.update(read);
        copy.write_all(read)
            .map_err(|error| StagingError::new("write", target, error))?;
    }
    fault::copied();
    let after = fingerprint(source, &input)?;
    let consistent = before == after && size == before.size;
    Ok(consistent.then(|| (ContentHash::from_bytes(digest.finalize().into()), size)))
}

fn open(source: &Source) -> Result<File, PrepareError> {
    match enumerate::open(&source.path, source.named) {
        Ok(file) => Ok(file),
        Err(Errno::NXIO) => {
            Err(EnumerateError::NotAFile(source.display.clone(), "socket or device").into())
        }
        Err(errno) => Err(failed("open", source, errno.into())),
    }
}

fn fingerprint(source: &Source, file: &File) -> Result<Fingerprint, PrepareError> {
    let metadata = file
        .metadata()
        .map_err(|error| failed("read", source, error))?;
    match irregular(metadata.file_type()) {
        None => Ok(Fingerprint::of(&metadata)),
        Some(kind) => Err(EnumerateError::NotAFile(source.display.clone(), kind).into()),
    }
}

fn failed(action: &'static str, source: &Source, error: std::io::Error) -> PrepareError {
    PathError::new(action, &source.display, error).into()
}

fn too_large(source: &Source, size: u64, limit: u64) -> PrepareError {
    PrepareError::InputTooLarge {
        path: source.display.clone(),
        size,
        limit,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests make their own files")]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::sync::Arc;

    use rustix::fs::Mode;

    use super::super::StagingRoot;
    use super::*;

    fn source(path: &Path, named: bool) -> Source {
        Source {
            seq: Seq(0),
            path: path.to_owned(),
            display: "shown".to_owned(),
            key: SourceKey::new("key".to_owned()),
            file_name: path.file_name().unwrap().to_str().unwrap().to_owned(),
            media_type: Some("text/markdown".to_owned()),
            misnamed_as: None,
            named,
        }
    }

    fn stage_at(path: &Path, named: bool, limit: u64) -> Result<Staged, PrepareError> {
        let dir = tempfile::tempdir().unwrap();
        let root = StagingRoot::open(dir.path()).unwrap();
        let staged = stage(
            &source(path, named),
            root.create().unwrap(),
            limit,
            &AtomicBool::new(false),
        );
        if let Ok(staged) = &staged {
            let copy = fs::read(
                staged
                    .staging
                    .input()
                    .join(&staged.original.file.as_ref().unwrap().name),
            )
            .unwrap();
            assert_eq!(ContentHash::of(&copy), staged.original.hash);
        }
        staged
    }

    #[test]
    fn extensions_are_short_and_plain() {
        let check = |name: &str, expected: &str| assert_eq!(extension(name), expected, "{name:?}");
        check("a.md", "md");
        check("UPPER.MD", "MD");
        check("a.tar.gz", "gz");
        check("none", "");
        check(".hidden", "");
        check("a.", "");
        check("a.m d", "");
        check("a.ümd", "");
        check("a.12345678901234567", "");
        assert_eq!(guest_name("input", "MD"), "input.md");
        assert_eq!(guest_name("input", ""), "input");
    }

    #[test]
    fn inputs_are_copied_and_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("Report.PDF");
        fs::write(&path, b"bytes").unwrap();
        let staged = stage_at(&path, true, 5).unwrap();
        assert_eq!(staged.original.file.as_ref().unwrap().name, "input.pdf");
        assert_eq!(staged.original.hash, ContentHash::of(b"bytes"));
        assert_eq!(
            (staged.extension.as_str(), staged.original.size()),
            ("PDF", 5)
        );
        assert_eq!(staged.source_dir, dir.path());
    }

    #[test]
    fn bad_inputs_say_why() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("empty.md"), b"").unwrap();
        fs::write(at("big.md"), b"123456").unwrap();
        fs::write(at("ok.md"), b"1").unwrap();
        std::os::unix::fs::symlink(at("ok.md"), at("link.md")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("fifo.md"),
            rustix::fs::FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let error = |name: &str, named| stage_at(&at(name), named, 5).unwrap_err();
        assert!(matches!(error("empty.md", true), PrepareError::Empty(_)));
        assert!(matches!(
            error("big.md", true),
            PrepareError::InputTooLarge {
                size: 6,
                limit: 5,
                ..
            }
        ));
        assert!(matches!(
            error("fifo.md", true),
            PrepareError::Enumerate(EnumerateError::NotAFile(_, "FIFO"))
        ));
        assert!(matches!(
            error("gone.md", true),
            PrepareError::Input(error) if error.source.kind() == ErrorKind::NotFound
        ));
        assert!(matches!(error("link.md", false), PrepareError::Input(_)));
        assert!(stage_at(&at("link.md"), true, 5).is_ok());
    }

    #[test]
    fn a_file_that_keeps_changing_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("restless.md");
        fs::write(&path, vec![b'x'; 8 << 20]).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (path, stop) = (path.clone(), Arc::clone(&stop));
            move || {
                while !stop.load(Ordering::Relaxed) {
                    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
                    file.write_all(b"y").unwrap();
                }
            }
        });
        // On a busy machine the thread starts when it can.
        while path.metadata().unwrap().len() == 8 << 20 {
            std::thread::yield_now();
        }
        let outcome = stage_at(&path, true, 1 << 30);
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert!(
            matches!(outcome, Err(PrepareError::Changed(_))),
            "{outcome:?}"
        );
    }

    #[test]
    fn a_cancelled_copy_stops() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.md");
        fs::write(&path, b"x").unwrap();
        let root = StagingRoot::open(dir.path()).unwrap();
        let outcome = stage(
            &source(&path, true),
            root.create().unwrap(),
            9,
            &AtomicBool::new(true),
        );
        assert!(matches!(outcome, Err(PrepareError::Cancelled(_))));
    }
}
