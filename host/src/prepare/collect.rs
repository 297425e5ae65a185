//! The output collector: takes what a converter declared from `out/` to `ready/`, natively, after
//! the component is gone.
//!
//! Invariant: a file in `ready/` was declared, is a regular file with one name, passed the checks of
//! its role, has a name chosen by the host, and is synced with its digest known. Nothing else of
//! `out/` leaves it.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::beneath::{self, Found, NotFound};
use super::format::{AnyJson, image_extension};
use super::placeholder::is_path_byte;
use super::validate::{self, Warnings};
use super::{ReadyFile, ReadyImage, StagingDir, StagingError, fault, staging};
use crate::kb::{ContentHash, SafeLine};
use crate::plugin::{OutputFile, OutputRole};

/// Files that one document may declare: as many as it may write.
const FILES_MAX: usize = 10_000;

/// Bytes of a declared path: short enough for any file system and for a link.
const PATH_BYTES_MAX: usize = 200;

/// Components of a declared path.
const PATH_DEPTH_MAX: usize = 8;

/// Bytes of the main page: it is read into memory, by every worker at once.
const MAIN_BYTES_MAX: u64 = 64 << 20;

/// Bytes of the page texts or the section tree.
const JSON_BYTES_MAX: u64 = 64 << 20;

/// Bytes read at once while hashing.
const CHUNK_BYTES: usize = 128 << 10;

/// Files that are synced one by one: for more, one sync of the file system is cheaper.
const FILE_SYNCS_MAX: usize = 8;

/// Directory of the images in `ready/`: it can be published whole.
const IMAGES_DIR: &str = "images";

/// What was accepted.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) main: ReadyFile,
    /// The text of the main page.
    pub(super) markdown: String,
    pub(super) images: Vec<ReadyImage>,
    pub(super) pages_json: Option<ReadyFile>,
    pub(super) tree_json: Option<ReadyFile>,
}

/// Why nothing was accepted.
#[derive(Debug)]
pub(super) enum CollectError {
    /// The output breaks the contract: the converter's fault.
    Invalid(String),
    /// Staging failed: ours.
    Staging(StagingError),
}

impl From<StagingError> for CollectError {
    fn from(error: StagingError) -> Self {
        Self::Staging(error)
    }
}

/// Accepts the declared files of a conversion that ended well.
pub(super) fn collect(
    staging: &StagingDir,
    declared: &[OutputFile],
    warnings: &mut Warnings,
) -> Result<Collected, CollectError> {
    check_declaration(declared)?;
    let out = staging.output();
    let collector = Collector {
        out: beneath::open_dir(&out).map_err(|error| StagingError::new("open", &out, error))?,
        ready: staging.ready(),
        sync_each: declared.len() <= FILE_SYNCS_MAX
            || !cfg!(target_os = "linux")
            || fault::is_left_out("DIR_SYNC"),
    };
    let mut main = None;
    let mut images = Vec::new();
    let mut pages_json = None;
    let mut tree_json = None;
    for file in declared {
        let found = collector.find(&file.path)?;
        match file.role {
            OutputRole::Main => {
                check_size(&found, &file.path, MAIN_BYTES_MAX)?;
                let taken = collector.take(found, file, "main.md")?;
                let markdown = read_text(&taken.file, &file.path)?;
                main = Some((taken.ready, markdown));
            }
            OutputRole::Pages | OutputRole::Tree => {
                check_size(&found, &file.path, JSON_BYTES_MAX)?;
                let (kept, name) = match file.role {
                    OutputRole::Pages => (&mut pages_json, "pages.json"),
                    _ => (&mut tree_json, "tree.json"),
                };
                let taken = collector.take(found, file, name)?;
                check_json(&taken.file, &file.path)?;
                *kept = Some(taken.ready);
            }
            OutputRole::Image => {
                if images.is_empty() {
                    staging::create_dir(&collector.ready.join(IMAGES_DIR))?;
                }
                images.push(collector.take_image(found, file, images.len() + 1)?);
            }
            OutputRole::Attachment | OutputRole::Member => {
                let path = shown(&file.path);
                let line = format!("`{path}` was left out: attachments are not kept yet");
                warnings.push(SafeLine::new(&line));
            }
        }
    }
    collector.sync()?;
    let (main, markdown) = main.ok_or_else(|| invalid("no main page"))?;
    Ok(Collected {
        main,
        markdown,
        images,
        pages_json,
        tree_json,
    })
}

/// Checks what can be checked without looking at a file: paths and roles.
pub(super) fn check_declaration(declared: &[OutputFile]) -> Result<(), CollectError> {
    if declared.len() > FILES_MAX {
        let count = declared.len();
        return Err(invalid(&format!("{count} files; the limit is {FILES_MAX}")));
    }
    let mut paths = HashSet::new();
    for file in declared {
        if !is_allowed(&file.path) {
            return Err(refuse(&file.path, "not allowed as the path of an output"));
        }
        if !paths.insert(file.path.as_str()) {
            return Err(refuse(&file.path, "declared twice"));
        }
    }
    let count = |role| declared.iter().filter(|file| file.role == role).count();
    match count(OutputRole::Main) {
        1 => {}
        0 => return Err(invalid("no main page")),
        _ => return Err(invalid("more than one main page")),
    }
    if count(OutputRole::Pages) > 1 || count(OutputRole::Tree) > 1 {
        return Err(invalid("more than one file of page texts or section tree"));
    }
    Ok(())
}

/// The path policy of the converter contract.
fn is_allowed(path: &str) -> bool {
    path.len() <= PATH_BYTES_MAX
        && path.bytes().all(is_path_byte)
        && path.split('/').count() <= PATH_DEPTH_MAX
        && path
            .split('/')
            .all(|component| !matches!(component, "" | "." | ".."))
}

/// A declared path as a message may show it.
fn shown(path: &str) -> SafeLine {
    SafeLine::with_max(&path[..path.floor_char_boundary(4 * PATH_BYTES_MAX)], 80)
}

fn invalid(reason: &str) -> CollectError {
    CollectError::Invalid(reason.to_owned())
}

fn refuse(path: &str, reason: &str) -> CollectError {
    CollectError::Invalid(format!("`{}`: {reason}", shown(path)))
}

/// Reads the main page from our copy.
fn read_text(mut copy: &File, path: &str) -> Result<String, CollectError> {
    let mut bytes = Vec::new();
    copy.read_to_end(&mut bytes)
        .map_err(|error| StagingError::new("read", path, error))?;
    String::from_utf8(bytes).map_err(|_| refuse(path, "not UTF-8"))
}

fn check_size(found: &Found, path: &str, bytes_max: u64) -> Result<(), CollectError> {
    let size = found.metadata.size();
    if size > bytes_max {
        let reason = format!("{size} bytes; the limit is {bytes_max} bytes");
        return Err(refuse(path, &reason));
    }
    Ok(())
}

/// Parses our copy of a JSON file without keeping it. Depth is bounded by the parser.
fn check_json(copy: &File, path: &str) -> Result<(), CollectError> {
    let reader = BufReader::with_capacity(CHUNK_BYTES, copy);
    match serde_json::from_reader::<_, AnyJson>(reader) {
        Ok(AnyJson) => Ok(()),
        Err(error) if error.is_io() => {
            Err(StagingError::new("read", path, std::io::Error::from(error)).into())
        }
        Err(error) => Err(refuse(path, &format!("not JSON: {error}"))),
    }
}

/// A file that was copied to `ready/`.
struct Taken {
    ready: ReadyFile,
    /// The copy, to be read from its start.
    file: File,
}

/// Copies files from `out/` to `ready/`.
struct Collector {
    out: OwnedFd,
    ready: PathBuf,
    /// Sync each file as it is taken; else all of them at the end.
    sync_each: bool,
}

impl Collector {
    /// Opens a declared file.
    fn find(&self, path: &str) -> Result<Found, CollectError> {
        let components: Vec<_> = path.split('/').collect();
        let found = match beneath::open_file(&self.out, &components) {
            Ok(found) => found,
            Err(NotFound::Missing) => return Err(refuse(path, "declared and not written")),
            Err(NotFound::NotRegular) => return Err(refuse(path, "not a regular file")),
            Err(NotFound::Io(error)) => return Err(StagingError::new("open", path, error).into()),
        };
        if found.metadata.nlink() != 1 {
            return Err(refuse(path, "it has more than one name"));
        }
        Ok(found)
    }

    /// Syncs what was taken, unless each file was synced by itself. The directories need no sync: a
    /// crash throws them away, and publishing renames the files out of them.
    fn sync(&self) -> Result<(), StagingError> {
        #[cfg(target_os = "linux")]
        if !self.sync_each {
            return staging::sync_filesystem(&self.ready);
        }
        Ok(())
    }

    /// Takes an image, named by its page and its place among the images.
    fn take_image(
        &self,
        found: Found,
        file: &OutputFile,
        number: usize,
    ) -> Result<ReadyImage, CollectError> {
        let mut head = Vec::new();
        (&found.file)
            .take(12)
            .read_to_end(&mut head)
            .map_err(|error| StagingError::new("read", &file.path, error))?;
        let extension = image_extension(&head)
            .ok_or_else(|| refuse(&file.path, "not a png, jpeg, gif or webp image"))?;
        let published_name = match validate::page(file.page) {
            Some(page) => format!("p{page}_img{number}.{extension}"),
            None => format!("img_{number:03}.{extension}"),
        };
        let name = format!("{IMAGES_DIR}/{published_name}");
        let mut taken = self.take(found, file, &name)?;
        let mut copied = Vec::new();
        (&mut taken.file)
            .take(12)
            .read_to_end(&mut copied)
            .map_err(|error| StagingError::new("read", &file.path, error))?;
        if image_extension(&copied) != Some(extension) {
            return Err(refuse(&file.path, "it changed while it was collected"));
        }
        Ok(ReadyImage {
            file: taken.ready,
            published_name,
            placeholder: file.path.clone(),
        })
    }

    /// Copies an open file to a new file `ready/NAME`, hashes and syncs the copy.
    ///
    /// A copy, not a rename: the open handle that was judged is what is read, whatever lies under
    /// the name by now, and what is published shares no inode with what the guest had.
    fn take(
        &self,
        mut found: Found,
        declared: &OutputFile,
        name: &str,
    ) -> Result<Taken, CollectError> {
        let target = self.ready.join(name);
        let failed = |error: std::io::Error| StagingError::new("collect", &target, error);
        let mut copy = staging::create_file(&target)?;
        found.file.rewind().map_err(failed)?;
        // Not a byte more than the limits have seen, whoever still writes.
        let size = found.metadata.size();
        let (hash, copied) =
            copy_hashing(&mut (&found.file).take(size), &mut copy).map_err(failed)?;
        if copied != size {
            return Err(refuse(&declared.path, "it changed while it was collected"));
        }
        if self.sync_each {
            staging::sync_data(&copy).map_err(failed)?;
        }
        let file = File::open(&target).map_err(failed)?;
        let ready = ReadyFile {
            name: name.to_owned(),
            size,
            hash,
        };
        Ok(Taken { ready, file })
    }
}

/// Copies to the end and hashes what passes.
fn copy_hashing(from: &mut impl Read, to: &mut File) -> std::io::Result<(ContentHash, u64)> {
    let mut digest = Sha256::new();
    let mut size = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                size += read as u64;
                digest.update(&chunk[..read]);
                to.write_all(&chunk[..read])?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((ContentHash::from_bytes(digest.finalize().into()), size))
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests write what a guest would"
)]
mod tests {
    use std::fs;

    use super::super::StagingRoot;
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nrest";

    fn output(path: &str, role: OutputRole, page: Option<u32>) -> OutputFile {
        OutputFile {
            path: path.to_owned(),
            role,
            media_type: String::new(),
            page,
        }
    }

    fn main_page() -> OutputFile {
        output("doc.md", OutputRole::Main, None)
    }

    /// A staging directory with `files` in `out/`.
    fn staging(files: &[(&str, &[u8])]) -> (tempfile::TempDir, StagingDir) {
        let dir = tempfile::tempdir().unwrap();
        let staging = StagingRoot::open(dir.path()).unwrap().create().unwrap();
        for (path, bytes) in files {
            let path = staging.output().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        (dir, staging)
    }

    fn refusal(files: &[(&str, &[u8])], declared: &[OutputFile]) -> String {
        let (_dir, staging) = staging(files);
        match collect(&staging, declared, &mut Warnings::default()) {
            Err(CollectError::Invalid(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn declared_files_become_ready() {
        let (_dir, staging) = staging(&[
            ("doc.md", "# Tïtle\n".as_bytes()),
            ("img/a.png", PNG),
            ("img/b.bin", b"\xff\xd8\xffjpeg"),
            ("pages.json", br#"[{"page":1,"content":"x","images":[]}]"#),
            ("tree.json", br#"{"nodes":[null,true,-1,1.5]}"#),
            ("notes.txt", b"attached"),
            ("undeclared.txt", b"dropped"),
        ]);
        let declared = [
            output("img/a.png", OutputRole::Image, Some(3)),
            main_page(),
            output("pages.json", OutputRole::Pages, None),
            output("tree.json", OutputRole::Tree, None),
            output("img/b.bin", OutputRole::Image, Some(0)),
            output("notes.txt", OutputRole::Attachment, None),
        ];
        let mut warnings = Warnings::default();
        let collected = collect(&staging, &declared, &mut warnings).unwrap();
        assert_eq!(collected.markdown, "# Tïtle\n");
        let images: Vec<_> = collected
            .images
            .iter()
            .map(|image| (image.published_name.as_str(), image.placeholder.as_str()))
            .collect();
        assert_eq!(
            images,
            [("p3_img1.png", "img/a.png"), ("img_002.jpg", "img/b.bin")]
        );
        let mut ready = vec![&collected.main];
        ready.extend(collected.images.iter().map(|image| &image.file));
        ready.extend(&collected.pages_json);
        ready.extend(&collected.tree_json);
        assert_eq!(ready.len(), 5);
        for file in ready {
            let path = staging.ready().join(&file.name);
            let bytes = fs::read(&path).unwrap();
            assert_eq!(ContentHash::of(&bytes), file.hash, "{}", file.name);
            assert_eq!(bytes.len() as u64, file.size, "{}", file.name);
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
        assert!(!staging.ready().join("undeclared.txt").exists());
        assert_eq!(
            warnings.finish()[0].as_str(),
            "`notes.txt` was left out: attachments are not kept yet"
        );
    }

    #[test]
    fn what_breaks_the_contract_is_refused() {
        let main: (&str, &[u8]) = ("doc.md", b"x");
        let check = |files: &[(&str, &[u8])], more: &[OutputFile], expected: &str| {
            let mut declared = vec![main_page()];
            declared.extend_from_slice(more);
            assert_eq!(refusal(files, &declared), expected);
        };
        let image = |path: &str| output(path, OutputRole::Image, None);
        check(&[], &[], "`doc.md`: declared and not written");
        check(&[("doc.md", b"\xff")], &[], "`doc.md`: not UTF-8");
        check(&[("doc.md/x", b"")], &[], "`doc.md`: not a regular file");
        check(&[main], &[main_page()], "`doc.md`: declared twice");
        check(
            &[main, ("b.md", b"x")],
            &[output("b.md", OutputRole::Main, None)],
            "more than one main page",
        );
        check(
            &[main, ("a.png", b"<svg/>")],
            &[image("a.png")],
            "`a.png`: not a png, jpeg, gif or webp image",
        );
        for bad in [
            "../a",
            "/etc/passwd",
            "a//b",
            "./a",
            "a b",
            "a\u{202e}b",
            "",
            "ü",
        ] {
            let reason = refusal(&[main], &[main_page(), image(bad)]);
            assert!(
                reason.ends_with("not allowed as the path of an output"),
                "{bad:?}"
            );
        }
        assert!(!is_allowed(&"a".repeat(201)));
        assert!(!is_allowed("1/2/3/4/5/6/7/8/9"));
        assert!(is_allowed("1/2/3/4/5/6/7/8"));
        assert_eq!(refusal(&[main], &[]), "no main page");
        let flood = vec![main_page(); FILES_MAX + 1];
        assert!(refusal(&[main], &flood).ends_with("the limit is 10000"));
    }

    #[test]
    fn json_is_parsed_and_bounded_in_depth() {
        let deep = "[".repeat(100_000);
        let tree = output("t.json", OutputRole::Tree, None);
        for bad in [
            &b"{"[..],
            b"",
            b"[1,]",
            b"{} {}",
            b"[\"\xff\"]",
            deep.as_bytes(),
        ] {
            let files = [("doc.md", &b"x"[..]), ("t.json", bad)];
            let reason = refusal(&files, &[main_page(), tree.clone()]);
            assert!(reason.starts_with("`t.json`: not JSON: "), "{reason}");
        }
    }

    #[test]
    fn links_are_refused() {
        let (dir, staging) = staging(&[("real.md", b"x")]);
        let secret = dir.path().join("secret");
        fs::write(&secret, "s").unwrap();
        std::os::unix::fs::symlink(&secret, staging.output().join("doc.md")).unwrap();
        fs::hard_link(&secret, staging.output().join("hard.md")).unwrap();
        for (path, expected) in [
            ("doc.md", "`doc.md`: not a regular file"),
            ("hard.md", "`hard.md`: it has more than one name"),
        ] {
            let declared = [output(path, OutputRole::Main, None)];
            match collect(&staging, &declared, &mut Warnings::default()) {
                Err(CollectError::Invalid(reason)) => assert_eq!(reason, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(fs::read(&secret).unwrap(), b"s");
    }
}
