//! Turns the paths on the command line into the inputs of a run. The only place where input order
//! is decided: the PATHs as given, and bytewise per path component within each.
//!
//! May read directories, and how a file begins; may not read the registry, take the lock or write.
//!
//! Invariant: the same paths over the same files give the same inputs in the same order, each file
//! at most once, with sequence numbers from 0 without a gap.

mod head;

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ignore::{Walk, WalkBuilder};

pub(crate) use head::{head, open};

use crate::kb::{KbRoot, PathError, RemoteId, SafeLine, Seq, SourceKey, identity, layout};

/// An ignore file is read as a whole before any other limit applies.
const IGNORE_BYTES_MAX: u64 = 1 << 20;

/// The kind of an ignore file beyond that.
const TOO_LARGE: &str = "too large";

/// Names the files of a folder that are no inputs, in gitignore syntax.
const IGNORE_FILE: &str = ".kbignore";

/// Characters of a path that are shown: paths of the system are shorter than 4096 bytes, and a
/// message that long helps nobody.
const DISPLAY_CHARS_MAX: usize = 1024;

/// Where other tools put what they made of a KB.
const KB_OUTPUT_DIR: &str = "output";

/// One input of a run.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its place in the order.
    pub seq: Seq,
    /// Where to open it: as typed, or as found beneath a typed folder.
    pub path: PathBuf,
    /// How to name it to the user: the same path, lossily decoded and escaped.
    pub display: String,
    /// Its identity.
    pub key: SourceKey,
    /// Its file name, lossily decoded. Untrusted.
    pub file_name: String,
    /// What its content or its name stands for; `None` for a named file that no converter takes.
    pub media_type: Option<String>,
    /// What its name stands for, where its content is another.
    pub misnamed_as: Option<String>,
    /// Named on the command line, not found in a folder.
    pub named: bool,
}

/// A document of a remote service: an input without a file.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its place in the order.
    pub seq: Seq,
    /// Its id at the service.
    pub id: RemoteId,
    /// How to name it to the user.
    pub display: String,
}

/// An input that cannot become a source: it still takes its place in the order.
#[derive(Debug)]
pub struct Unreadable {
    /// Its place in the order.
    pub seq: Seq,
    /// How to name it to the user.
    pub display: String,
    /// Why.
    pub error: EnumerateError,
}

/// Why a path is no input.
#[derive(Debug, thiserror::Error)]
pub enum EnumerateError {
    /// Missing, a directory that cannot be read, a loop.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A FIFO, socket or device.
    #[error("read `{0}`: it is a {1}, not a regular file")]
    NotAFile(String, &'static str),
    /// An ignore file that nobody wrote by hand.
    #[error("read `{0}`: an ignore file has at most 1 MiB")]
    IgnoreTooLarge(String),
    /// A named path inside the KB's own `wiki/` or `.openkb/`.
    #[error("add `{0}`: it belongs to the knowledge base itself")]
    OwnFile(String),
    /// The file of the password.
    #[error("add `{0}`: it holds the password")]
    Secret(String),
    /// Its name stands for text and its content for a format that no converter takes.
    #[error("convert `{0}`: it is {1} by its content, which no converter takes")]
    Misnamed(String, &'static str),
    /// A file name that is no UTF-8 and so cannot be stored.
    #[error("add `{0}`: its name is not UTF-8")]
    NameNotUtf8(String),
}

/// The inputs of a run, in order.
#[derive(Debug, Default)]
pub struct Inputs {
    /// What can be prepared.
    pub sources: Vec<Source>,
    /// Documents of a remote service; sequence numbers interleave.
    pub remotes: Vec<Remote>,
    /// What cannot; sequence numbers interleave.
    pub unreadable: Vec<Unreadable>,
    /// Files found in folders that no converter takes.
    pub skipped_unsupported: u64,
}

impl Inputs {
    /// The documents of a remote service with these ids, each once.
    #[must_use]
    pub fn of_remote(ids: &[RemoteId]) -> Self {
        let mut seen = HashSet::new();
        let ids = ids.iter().filter(|id| seen.insert(*id));
        let remotes = (0..).zip(ids).map(|(seq, id)| Remote {
            seq: Seq(seq),
            id: id.clone(),
            display: id.to_string(),
        });
        Self {
            remotes: remotes.collect(),
            ..Self::default()
        }
    }

    /// How many inputs there are, whatever becomes of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        (self.sources.len() + self.remotes.len() + self.unreadable.len()) as u64
    }
}

/// A file that may become an input.
pub struct Met<'a> {
    /// Its file name. Untrusted.
    pub name: &'a str,
    /// Named on the command line, not found in a folder.
    pub named: bool,
    /// Reads how it begins: at most so many bytes, none if it cannot be read.
    pub head: &'a dyn Fn(usize) -> Vec<u8>,
}

/// What a file is to the converters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One takes it.
    Taken {
        /// As what.
        media_type: String,
        /// What its name stands for, where its content is another.
        misnamed_as: Option<String>,
    },
    /// Its name stands for text and its content for this media type, which none takes.
    Misnamed(&'static str),
    /// None takes it.
    Other,
}

/// What decides whether a walked file is an input.
pub struct Filter<'a> {
    /// What a file is to the converters.
    pub kind_of: &'a dyn Fn(&Met<'_>) -> Kind,
    /// The KB, whose own files are left out; `None` for `convert`.
    pub kb: Option<&'a KbRoot>,
    /// Device and inode of a file that is no input, since it holds a secret; a walk passes it over.
    pub secret: Option<(u64, u64)>,
}

/// Lists the inputs: files as named, folders recursively. Leaves out the KB itself, hidden files,
/// what `.kbignore` (gitignore syntax) names, and symbolic links met inside a folder.
#[must_use]
pub fn sources(paths: &[PathBuf], filter: &Filter<'_>) -> Inputs {
    let mut listing = Listing {
        filter,
        own: filter.kb.map(OwnFolders::of).unwrap_or_default(),
        seen: HashSet::new(),
        next: 0,
        inputs: Inputs::default(),
    };
    for path in paths {
        listing.named(path);
    }
    listing.inputs
}

/// How to name a path to the user.
fn shown(path: &Path) -> String {
    SafeLine::with_max(&path.to_string_lossy(), DISPLAY_CHARS_MAX).to_string()
}

/// What kind of special file this is; `None` for files and directories.
fn special(file_type: FileType) -> Option<&'static str> {
    if file_type.is_fifo() {
        Some("FIFO")
    } else if file_type.is_socket() {
        Some("socket")
    } else if file_type.is_block_device() || file_type.is_char_device() {
        Some("device")
    } else {
        None
    }
}

/// Folders of a KB, as the system tells them apart.
#[derive(Clone, Debug, Default)]
struct OwnFolders {
    /// Nothing in them can be an input.
    closed: Vec<PathBuf>,
    /// Device and inode of the folders that a walk does not enter.
    skipped: HashSet<(u64, u64)>,
}

impl OwnFolders {
    fn of(kb: &KbRoot) -> Self {
        let at = |folder: &str| kb.path().join(folder);
        let closed = [layout::wiki_dir(), layout::state_dir()].map(|dir| at(dir.as_str()));
        let open = [at(layout::raw_dir().as_str()), at(KB_OUTPUT_DIR)];
        let skipped = closed
            .iter()
            .chain(&open)
            .filter_map(|folder| std::fs::metadata(folder).ok())
            .map(|metadata| identity_of(&metadata))
            .collect();
        // A folder of the KB may be a link: what counts is where it leads.
        let closed = closed
            .into_iter()
            .map(|folder| folder.canonicalize().unwrap_or(folder))
            .collect();
        Self { closed, skipped }
    }

    fn hold(&self, canonical: &Path) -> bool {
        self.closed
            .iter()
            .any(|folder| canonical.starts_with(folder))
    }
}

fn identity_of(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// What a walk found, as the system tells it apart from all others; `None` where it is gone.
fn found_identity(entry: &ignore::DirEntry) -> Option<(u64, u64)> {
    entry.metadata().ok().map(|metadata| identity_of(&metadata))
}

/// The inputs found so far.
struct Listing<'a> {
    filter: &'a Filter<'a>,
    own: OwnFolders,
    /// Canonical paths that have their place: the first one counts.
    seen: HashSet<PathBuf>,
    next: u64,
    inputs: Inputs,
}

impl Listing<'_> {
    /// Takes a path of the command line. A link is followed: somebody named it.
    fn named(&mut self, path: &Path) {
        let resolved =
            std::fs::metadata(path).and_then(|metadata| Ok((metadata, path.canonicalize()?)));
        let (metadata, canonical) = match resolved {
            Ok(resolved) => resolved,
            Err(error) => return self.refuse_io("read", path, error),
        };
        if let Some(kind) = special(metadata.file_type()) {
            return self.refuse(path, EnumerateError::NotAFile(shown(path), kind));
        }
        if self.own.hold(&canonical) {
            return self.refuse(path, EnumerateError::OwnFile(shown(path)));
        }
        if self.filter.secret == Some(identity_of(&metadata)) {
            return self.refuse(path, EnumerateError::Secret(shown(path)));
        }
        if metadata.is_dir() {
            return self.walk(path, &canonical);
        }
        // `file/..` and the like have no name of their own; the canonical path has one.
        let name = path.file_name().or_else(|| canonical.file_name());
        let Some(name) = name.and_then(OsStr::to_str).map(str::to_owned) else {
            return self.refuse(path, EnumerateError::NameNotUtf8(shown(path)));
        };
        let kind = self.kind_of(path, &name, true);
        self.accept(path, canonical, name, kind, true);
    }

    /// Takes the files of a folder, sorted bytewise per component.
    fn walk(&mut self, root: &Path, canonical: &Path) {
        let blocked = Arc::new(Mutex::new(Vec::new()));
        if let Some(kind) = blocking_ignore_file(root) {
            return self.refuse_ignore_file(root, kind);
        }
        for found in walker(root, self.own.skipped.clone(), &blocked) {
            self.refuse_blocked(&blocked);
            match found {
                Ok(entry) => self.walked(&entry, root, canonical),
                Err(error) => self.refuse_walk(root, &error),
            }
        }
        self.refuse_blocked(&blocked);
    }

    /// Takes an entry of a folder, if it is a regular file that a converter takes.
    fn walked(&mut self, entry: &ignore::DirEntry, root: &Path, canonical: &Path) {
        if let Some(error) = entry.error() {
            let error = SafeLine::new(&error.to_string());
            tracing::warn!(folder = %shown(entry.path()), %error, "part of an ignore file has no effect");
        }
        if !entry.file_type().is_some_and(|kind| kind.is_file()) {
            return;
        }
        if self.filter.secret.is_some() && self.filter.secret == found_identity(entry) {
            return;
        }
        let kind = self.kind_of(entry.path(), &entry.file_name().to_string_lossy(), false);
        if kind == Kind::Other {
            self.inputs.skipped_unsupported += 1;
            return;
        }
        let Some(name) = entry.file_name().to_str() else {
            let error = EnumerateError::NameNotUtf8(shown(entry.path()));
            return self.refuse(entry.path(), error);
        };
        let relative = entry
            .path()
            .strip_prefix(root)
            .expect("a walk yields paths beneath its root");
        // No link was followed below the root, so this is canonical without asking the system.
        let canonical = canonical.join(relative);
        self.accept(entry.path(), canonical, name.to_owned(), kind, false);
    }

    fn kind_of(&self, path: &Path, name: &str, named: bool) -> Kind {
        let head = |bytes_max| head::head(path, named, bytes_max);
        (self.filter.kind_of)(&Met {
            name,
            named,
            head: &head,
        })
    }

    fn accept(
        &mut self,
        path: &Path,
        canonical: PathBuf,
        file_name: String,
        kind: Kind,
        named: bool,
    ) {
        if canonical.to_str().is_none() {
            return self.refuse(path, EnumerateError::NameNotUtf8(shown(path)));
        }
        if self.seen.contains(&canonical) {
            return;
        }
        let (media_type, misnamed_as) = match kind {
            Kind::Taken {
                media_type,
                misnamed_as,
            } => (Some(media_type), misnamed_as),
            Kind::Other => (None, None),
            Kind::Misnamed(content) => {
                self.seen.insert(canonical);
                return self.refuse(path, EnumerateError::Misnamed(shown(path), content));
            }
        };
        let seq = self.take_seq();
        self.inputs.sources.push(Source {
            seq,
            path: path.to_owned(),
            display: shown(path),
            key: identity::source_key(&canonical, self.filter.kb),
            file_name,
            media_type,
            misnamed_as,
            named,
        });
        self.seen.insert(canonical);
    }

    fn refuse(&mut self, path: &Path, error: EnumerateError) {
        let seq = self.take_seq();
        self.inputs.unreadable.push(Unreadable {
            seq,
            display: shown(path),
            error,
        });
    }

    fn refuse_io(&mut self, action: &'static str, path: &Path, error: io::Error) {
        let error = PathError::new(action, shown(path), error);
        self.refuse(path, error.into());
    }

    /// A walk met something it cannot read.
    fn refuse_walk(&mut self, root: &Path, error: &ignore::Error) {
        let (path, source) = reason(error);
        let source = source.unwrap_or_else(|| io::Error::other(error.to_string()));
        self.refuse_io("read", path.unwrap_or(root), source);
    }

    /// The folders that the walk's filter refused since the last entry.
    fn refuse_blocked(&mut self, blocked: &Mutex<Vec<(PathBuf, &'static str)>>) {
        let folders = std::mem::take(&mut *blocked.lock().unwrap_or_else(PoisonError::into_inner));
        for (folder, kind) in folders {
            self.refuse_ignore_file(&folder, kind);
        }
    }

    fn refuse_ignore_file(&mut self, folder: &Path, kind: &'static str) {
        let path = folder.join(IGNORE_FILE);
        let error = match kind {
            TOO_LARGE => EnumerateError::IgnoreTooLarge(shown(&path)),
            kind => EnumerateError::NotAFile(shown(&path), kind),
        };
        self.refuse(folder, error);
    }

    fn take_seq(&mut self) -> Seq {
        let seq = Seq(self.next);
        self.next += 1;
        seq
    }
}

/// A walk in a fixed order that knows `.kbignore` and no other ignore file, and follows no link.
fn walker(
    root: &Path,
    skipped: HashSet<(u64, u64)>,
    blocked: &Arc<Mutex<Vec<(PathBuf, &'static str)>>>,
) -> Walk {
    let blocked = Arc::clone(blocked);
    WalkBuilder::new(root)
        .standard_filters(false)
        .hidden(true)
        .follow_links(false)
        .add_custom_ignore_filename(IGNORE_FILE)
        .sort_by_file_name(OsStr::cmp)
        .filter_entry(move |entry| {
            if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
                return true;
            }
            let own = std::fs::symlink_metadata(entry.path())
                .is_ok_and(|metadata| skipped.contains(&identity_of(&metadata)));
            if own {
                return false;
            }
            let Some(kind) = blocking_ignore_file(entry.path()) else {
                return true;
            };
            let mut blocked = blocked.lock().unwrap_or_else(PoisonError::into_inner);
            blocked.push((entry.path().to_owned(), kind));
            false
        })
        .build()
}

/// What a folder's ignore file is, if reading it could wait for ever.
fn blocking_ignore_file(folder: &Path) -> Option<&'static str> {
    let metadata = std::fs::metadata(folder.join(IGNORE_FILE)).ok()?;
    let too_large = metadata.is_file() && metadata.len() > IGNORE_BYTES_MAX;
    special(metadata.file_type()).or(too_large.then_some(TOO_LARGE))
}

/// The path and the system's error within an error of the walk.
fn reason(error: &ignore::Error) -> (Option<&Path>, Option<io::Error>) {
    match error {
        ignore::Error::WithPath { path, err } => {
            let (inner, source) = reason(err);
            (inner.or(Some(path)), source)
        }
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => {
            reason(err)
        }
        ignore::Error::Io(error) => {
            // The walk wraps the system's error in one that names the path again.
            let wrapped = error.get_ref().and_then(|wrapper| wrapper.source());
            let wrapped = wrapped.and_then(|source| source.downcast_ref::<io::Error>());
            let source = match wrapped.unwrap_or(error).raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => io::Error::from(error.kind()),
            };
            (None, Some(source))
        }
        _ => (None, None),
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests make their own files")]
mod tests {
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn kind(met: &Met<'_>) -> Kind {
        if !met.name.to_lowercase().ends_with(".md") {
            return Kind::Other;
        }
        Kind::Taken {
            media_type: "text/markdown".to_owned(),
            misnamed_as: None,
        }
    }

    struct Rig {
        dir: tempfile::TempDir,
        kb: Option<KbRoot>,
    }

    impl Rig {
        fn new(files: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let path = dir.path().join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "x").unwrap();
            }
            Self { dir, kb: None }
        }

        fn with_kb(mut self, kb: &str) -> Self {
            self.kb = Some(KbRoot::open(&self.at(kb)).unwrap());
            self
        }

        fn at(&self, path: &str) -> PathBuf {
            self.dir.path().join(path)
        }

        fn list(&self, paths: &[&str]) -> Inputs {
            let paths: Vec<_> = paths.iter().map(|path| self.at(path)).collect();
            let filter = Filter {
                kind_of: &kind,
                kb: self.kb.as_ref(),
                secret: None,
            };
            sources(&paths, &filter)
        }

        /// What became of `paths`, in order: paths relative to the rig; `!` before a refusal.
        fn check(&self, paths: &[&str], expected: &[&str]) -> Inputs {
            let inputs = self.list(paths);
            let prefix = format!("{}/", self.dir.path().display());
            let mut shown: Vec<_> = inputs
                .sources
                .iter()
                .map(|source| (source.seq, source.display.replace(&prefix, "")))
                .collect();
            shown.extend(inputs.unreadable.iter().map(|entry| {
                let error = entry.error.to_string().replace(&prefix, "");
                (entry.seq, format!("!{error}"))
            }));
            shown.sort();
            let seqs: Vec<_> = shown.iter().map(|(seq, _)| seq.0).collect();
            assert_eq!(seqs, (0..shown.len() as u64).collect::<Vec<_>>());
            let shown: Vec<_> = shown.into_iter().map(|(_, text)| text).collect();
            assert_eq!(shown, expected);
            inputs
        }
    }

    #[test]
    fn folders_are_sorted_bytewise_per_component() {
        let rig = Rig::new(&[
            "f/a-b.md",
            "f/a/z.md",
            "f/a.md",
            "f/B.md",
            "f/a/b/c.md",
            "f/ü.md",
            "f/x.bin",
        ]);
        let inputs = rig.check(
            &["f"],
            &[
                "f/B.md",
                "f/a/b/c.md",
                "f/a/z.md",
                "f/a-b.md",
                "f/a.md",
                "f/ü.md",
            ],
        );
        assert_eq!(inputs.skipped_unsupported, 1);
        assert!(inputs.sources.iter().all(|source| !source.named));
    }

    #[test]
    fn paths_keep_their_order_and_files_count_once() {
        let rig = Rig::new(&["b.md", "f/a.md", "f/c.md", "x.bin"]);
        symlink(rig.at("b.md"), rig.at("link.md")).unwrap();
        symlink(rig.at("f"), rig.at("folder-link")).unwrap();
        let inputs = rig.check(
            &[
                "x.bin",
                "f/c.md",
                "f",
                "b.md",
                "link.md",
                "./f/../b.md",
                "folder-link",
            ],
            &["x.bin", "f/c.md", "f/a.md", "b.md"],
        );
        let named: Vec<_> = inputs.sources.iter().map(|source| source.named).collect();
        assert_eq!(named, [true, true, false, true]);
        assert_eq!(inputs.sources[0].media_type, None);
        assert_eq!(inputs.skipped_unsupported, 0);
        rig.check(&["link.md", "b.md"], &["link.md"]);
        rig.check(&["folder-link"], &["folder-link/a.md", "folder-link/c.md"]);
    }

    #[test]
    fn hidden_ignored_and_linked_files_are_left_out() {
        let rig = Rig::new(&[
            "f/.hidden.md",
            "f/.git/x.md",
            "f/keep.md",
            "f/skip/a.md",
            "f/sub/no.md",
            "f/sub/yes.md",
            "f/git.md",
            "outside.md",
        ]);
        fs::write(rig.at("f/.kbignore"), "skip/\n").unwrap();
        fs::write(rig.at("f/sub/.kbignore"), "*.md\n!yes.md\n").unwrap();
        fs::write(rig.at("f/.gitignore"), "git.md\n").unwrap();
        fs::write(rig.at("f/.ignore"), "git.md\n").unwrap();
        fs::write(rig.at(".kbignore"), "*.md\n").unwrap();
        symlink(rig.at("outside.md"), rig.at("f/link.md")).unwrap();
        symlink(rig.at("f"), rig.at("f/loop")).unwrap();
        rig.check(&["f"], &["f/git.md", "f/keep.md", "f/sub/yes.md"]);
        rig.check(&["f/.hidden.md"], &["f/.hidden.md"]);
    }

    #[test]
    fn special_files_and_missing_paths() {
        let rig = Rig::new(&["f/a.md"]);
        let fifo = |path: &str| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, rig.at(path), kind, mode, 0).unwrap();
        };
        fifo("f/b.md");
        fifo("named.md");
        fs::create_dir(rig.at("f/blocked")).unwrap();
        fs::write(rig.at("f/blocked/x.md"), "x").unwrap();
        fifo("f/blocked/.kbignore");
        fs::write(rig.at("f/c.md"), "x").unwrap();
        rig.check(
            &["gone.md", "named.md", "f"],
            &[
                "!read `gone.md`",
                "!read `named.md`: it is a FIFO, not a regular file",
                "f/a.md",
                "!read `f/blocked/.kbignore`: it is a FIFO, not a regular file",
                "f/c.md",
            ],
        );
    }

    #[test]
    fn names_that_cannot_be_stored_or_shown() {
        let rig = Rig::new(&["f/a.md", "f/e\x1b[31m\n.md"]);
        let raw = OsStr::from_bytes(b"b\xff.md");
        fs::write(rig.at("f").join(raw), "x").unwrap();
        fs::write(rig.at("f").join(OsStr::from_bytes(b"b\xff.bin")), "x").unwrap();
        let inputs = rig.check(
            &["f"],
            &[
                "f/a.md",
                "!add `f/b\u{fffd}.md`: its name is not UTF-8",
                "f/e [31m .md",
            ],
        );
        assert_eq!(inputs.skipped_unsupported, 1);
        assert_eq!(inputs.sources[1].file_name, "e\x1b[31m\n.md");
    }

    #[test]
    fn the_kb_is_no_input_of_its_own() {
        let rig = Rig::new(&[
            "kb/.openkb/config.yaml",
            "kb/.openkb/x.md",
            "kb/wiki/index.md",
            "kb/raw/in.md",
            "kb/output/o.md",
            "kb/mine.md",
            "kb/sub/wiki/also-mine.md",
            "other.md",
        ])
        .with_kb("kb");
        symlink(rig.at("kb"), rig.at("kb-link")).unwrap();
        rig.check(
            &["."],
            &["./kb/mine.md", "./kb/sub/wiki/also-mine.md", "./other.md"],
        );
        rig.check(
            &["kb-link"],
            &["kb-link/mine.md", "kb-link/sub/wiki/also-mine.md"],
        );
        rig.check(
            &[
                "kb/wiki/index.md",
                "kb-link/.openkb/x.md",
                "kb/raw/in.md",
                "kb/wiki",
            ],
            &[
                "!add `kb/wiki/index.md`: it belongs to the knowledge base itself",
                "!add `kb-link/.openkb/x.md`: it belongs to the knowledge base itself",
                "kb/raw/in.md",
                "!add `kb/wiki`: it belongs to the knowledge base itself",
            ],
        );
        let inputs = rig.list(&["kb/mine.md", "other.md"]);
        let keys: Vec<_> = inputs
            .sources
            .iter()
            .map(|source| source.key.as_str())
            .collect();
        let other = rig.at("other.md").canonicalize().unwrap();
        assert_eq!(keys, ["mine.md", other.to_str().unwrap()]);
    }

    #[test]
    fn unreadable_folders_take_their_place() {
        let rig = Rig::new(&["f/a.md", "f/locked/b.md", "f/z.md"]);
        let mode = |mode| fs::Permissions::from_mode(mode);
        fs::set_permissions(rig.at("f/locked"), mode(0o000)).unwrap();
        // The superuser reads it anyway; the black-box tests run as somebody else.
        let locked = match fs::read_dir(rig.at("f/locked")) {
            Ok(_) => "f/locked/b.md",
            Err(_) => "!read `f/locked`",
        };
        rig.check(&["f"], &["f/a.md", locked, "f/z.md"]);
        fs::set_permissions(rig.at("f/locked"), mode(0o700)).unwrap();
    }

    #[test]
    fn errors_of_a_walk_keep_path_and_cause() {
        let inner = io::Error::from_raw_os_error(13);
        let error = ignore::Error::WithDepth {
            depth: 1,
            err: Box::new(ignore::Error::WithPath {
                path: PathBuf::from("f/locked"),
                err: Box::new(ignore::Error::Io(inner)),
            }),
        };
        let (path, source) = reason(&error);
        assert_eq!(path, Some(Path::new("f/locked")));
        assert_eq!(source.unwrap().kind(), io::ErrorKind::PermissionDenied);
    }
}
