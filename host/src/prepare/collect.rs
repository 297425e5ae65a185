//! The output collector: takes what a converter declared from `out/` to `ready/`, natively, after
//! the component is gone.
//!
//! Invariant: a file in `ready/` was declared, is a regular file with one name, passed the checks of
//! its role, has a name chosen by the host, and is synced with its digest known. Nothing else of
//! `out/` leaves it.

mod long;

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use sha2::{Digest, Sha256};

use super::beneath::{self, Found, NotFound};
use super::format::image_extension;
use super::placeholder::{self, is_path_byte};
use super::validate::{self, Warnings};
use super::{ReadyFile, ReadyImage, ReadyMember, StagingDir, StagingError, fault, staging};
use crate::kb::tree::Tree;
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

/// Members of a document: each is a page of the wiki, and a file in the journal of its commit.
const MEMBERS_MAX: usize = 2_000;

/// Bytes of all members together: they are read into memory, as the main page is.
const MEMBERS_BYTES_MAX: u64 = 64 << 20;

/// Links to outputs in all pages of a document: each can grow when it gets the published name.
const PLACEHOLDERS_MAX: usize = 200_000;

/// Bytes of a declared path that the name of a published member keeps.
const MEMBER_STEM_BYTES_MAX: usize = 60;

/// Bytes read at once while hashing.
const CHUNK_BYTES: usize = 128 << 10;

/// Files that are synced one by one: for more, one sync of the file system is cheaper.
const FILE_SYNCS_MAX: usize = 8;

/// Directory of the images in `ready/`: it can be published whole.
const IMAGES_DIR: &str = "images";

/// Directory of the members in `ready/`.
const MEMBERS_DIR: &str = "members";

/// What was accepted.
#[derive(Debug)]
pub(super) struct Collected {
    pub(super) main: ReadyFile,
    /// The text of the main page.
    pub(super) markdown: String,
    pub(super) images: Vec<ReadyImage>,
    pub(super) members: Vec<ReadyMember>,
    /// The text of each member.
    pub(super) member_texts: Vec<String>,
    /// The page texts as the host wrote them.
    pub(super) pages_json: Option<ReadyFile>,
    /// The number of the last page of these.
    pub(super) last_page: Option<u32>,
    /// The section tree as it was handed over: never published, only kept for a later run.
    pub(super) tree_json: Option<ReadyFile>,
    /// What the host made of it.
    pub(super) tree: Option<Tree>,
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

/// Accepts the declared files of a conversion that ended well, of a document that has `page_count`
/// pages, as far as the converter knows.
pub(super) fn collect(
    staging: &StagingDir,
    declared: &[OutputFile],
    page_count: Option<u32>,
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
    let mut members = Members::default();
    for file in declared {
        let found = collector.find(&file.path)?;
        match file.role {
            OutputRole::Main => {
                check_size(&found, &file.path, MAIN_BYTES_MAX)?;
                let taken = collector.take(found, file, "main.md")?;
                let markdown = read_text(&taken.file, &file.path)?;
                members.count_placeholders(&markdown, &file.path)?;
                main = Some((taken.ready, markdown));
            }
            // They name images: these are known when all files were looked at.
            OutputRole::Pages | OutputRole::Tree => {}
            OutputRole::Image => {
                if images.is_empty() {
                    staging::create_dir(&collector.ready.join(IMAGES_DIR))?;
                }
                images.push(collector.take_image(found, file, images.len() + 1)?);
            }
            OutputRole::Member if is_page(file) => {
                collector.take_member(found, file, &mut members)?
            }
            OutputRole::Attachment | OutputRole::Member => {
                let why = match file.role {
                    OutputRole::Member => "a member is kept only if it is `text/markdown`",
                    _ => "attachments are not kept yet",
                };
                let line = format!("`{}` was left out: {why}", shown(&file.path));
                warnings.push(SafeLine::new(&line));
            }
        }
    }
    let long = collector.take_long(declared, page_count, &images, &mut members, warnings)?;
    collector.sync()?;
    let (main, markdown) = main.ok_or_else(|| invalid("no main page"))?;
    Ok(Collected {
        main,
        markdown,
        images,
        members: members.ready,
        member_texts: members.texts,
        last_page: long.last_page,
        pages_json: long.pages_json,
        tree_json: long.tree_json,
        tree: long.tree,
    })
}

/// Whether an output is declared as Markdown. A member of another type is nothing that could be
/// published as a page; it is left out, because its document is whole without it.
pub(super) fn is_page(file: &OutputFile) -> bool {
    let essence = file.media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("text/markdown")
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
    if count(OutputRole::Tree) > count(OutputRole::Pages) {
        return Err(invalid("a section tree without page texts"));
    }
    let is_member = |file: &&OutputFile| file.role == OutputRole::Member && is_page(file);
    let members = declared.iter().filter(is_member).count();
    if members > MEMBERS_MAX {
        return Err(invalid(&format!(
            "{members} members; the limit is {MEMBERS_MAX}"
        )));
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

/// Reads a page from our copy.
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

/// The members that were taken so far, and what their limits count.
#[derive(Default)]
struct Members {
    ready: Vec<ReadyMember>,
    texts: Vec<String>,
    bytes: u64,
    /// Links to outputs, those of the main page too.
    placeholders: usize,
}

impl Members {
    /// Counts the links to outputs that a page holds; tells whether it holds any.
    fn count_placeholders(&mut self, markdown: &str, path: &str) -> Result<bool, CollectError> {
        let count = placeholder::count(markdown);
        self.add_placeholders(count, path)?;
        Ok(count > 0)
    }

    fn add_placeholders(&mut self, count: usize, path: &str) -> Result<(), CollectError> {
        self.placeholders += count;
        if self.placeholders > PLACEHOLDERS_MAX {
            let reason = format!(
                "with it the pages link to outputs {} times; the limit is {PLACEHOLDERS_MAX}",
                self.placeholders
            );
            return Err(refuse(path, &reason));
        }
        Ok(())
    }
}

/// The name of the n-th member: the number keeps names apart on every file system, what follows tells
/// a reader which one it is.
fn member_name(number: usize, path: &str) -> String {
    let file_name = path.rsplit('/').next().unwrap_or_default();
    let stem = [".md", ".markdown"]
        .iter()
        .find_map(|ending| {
            let at = file_name.len().checked_sub(ending.len())?;
            let (stem, found) = file_name.split_at(at);
            found.eq_ignore_ascii_case(ending).then_some(stem)
        })
        .unwrap_or(file_name);
    let stem = &stem[..stem.floor_char_boundary(MEMBER_STEM_BYTES_MAX)];
    match stem.trim_matches(['.', '-', '_']) {
        "" => format!("{number:04}.md"),
        stem => format!("{number:04}-{stem}.md"),
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

    /// Takes a member, named by its place among the members and its own name.
    fn take_member(
        &self,
        found: Found,
        file: &OutputFile,
        members: &mut Members,
    ) -> Result<(), CollectError> {
        members.bytes = members.bytes.saturating_add(found.metadata.size());
        if members.bytes > MEMBERS_BYTES_MAX {
            let reason = format!(
                "with it the members have {} bytes; the limit is {MEMBERS_BYTES_MAX} bytes",
                members.bytes
            );
            return Err(refuse(&file.path, &reason));
        }
        if members.ready.is_empty() {
            staging::create_dir(&self.ready.join(MEMBERS_DIR))?;
        }
        let published_name = member_name(members.ready.len() + 1, &file.path);
        let taken = self.take(found, file, &format!("{MEMBERS_DIR}/{published_name}"))?;
        let text = read_text(&taken.file, &file.path)?;
        let has_placeholders = members.count_placeholders(&text, &file.path)?;
        members.texts.push(text);
        members.ready.push(ReadyMember {
            file: taken.ready,
            published_name,
            placeholder: file.path.clone(),
            has_placeholders,
        });
        Ok(())
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

    pub(super) fn output(path: &str, role: OutputRole, page: Option<u32>) -> OutputFile {
        OutputFile {
            path: path.to_owned(),
            role,
            media_type: String::new(),
            page,
        }
    }

    fn member(path: &str) -> OutputFile {
        OutputFile {
            media_type: "text/markdown".to_owned(),
            ..output(path, OutputRole::Member, None)
        }
    }

    pub(super) fn main_page() -> OutputFile {
        output("doc.md", OutputRole::Main, None)
    }

    /// A staging directory with `files` in `out/`.
    pub(super) fn staging(files: &[(&str, &[u8])]) -> (tempfile::TempDir, StagingDir) {
        let dir = tempfile::tempdir().unwrap();
        let staging = StagingRoot::open(dir.path()).unwrap().create().unwrap();
        for (path, bytes) in files {
            let path = staging.output().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        (dir, staging)
    }

    pub(super) fn refusal(files: &[(&str, &[u8])], declared: &[OutputFile]) -> String {
        let (_dir, staging) = staging(files);
        match collect(&staging, declared, None, &mut Warnings::default()) {
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
            (
                "tree.json",
                br#"{"structure":[{"title":"x","start_index":1,"end_index":2}]}"#,
            ),
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
        let collected = collect(&staging, &declared, None, &mut warnings).unwrap();
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
        let tree = collected.tree.unwrap();
        assert_eq!((tree.nodes[0].start, tree.nodes[0].end), (1, 1));
        assert_eq!(collected.last_page, Some(1));
        let said = warnings.finish();
        let said: Vec<_> = said.iter().map(SafeLine::as_str).collect();
        assert_eq!(
            said,
            [
                "`notes.txt` was left out: attachments are not kept yet",
                "`tree.json`: page ranges that were not within the document or ended before they \
                 began were brought in: 1",
            ]
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
    fn members_become_ready_under_names_of_the_host() {
        let (_dir, staging) = staging(&[
            ("doc.md", b"[u](kbhost-output:t/users.md)"),
            ("t/users.md", b"# Users\n\n[o](kbhost-output:T/Users.md)"),
            ("T/Users.md", b"# Other\n"),
            ("rows.csv", b"a,b\n"),
        ]);
        let declared = [
            member("t/users.md"),
            output("rows.csv", OutputRole::Member, None),
            main_page(),
            OutputFile {
                media_type: "Text/Markdown; charset=utf-8".to_owned(),
                ..member("T/Users.md")
            },
        ];
        let mut warnings = Warnings::default();
        let collected = collect(&staging, &declared, None, &mut warnings).unwrap();
        let members: Vec<_> = collected
            .members
            .iter()
            .map(|one| {
                (
                    &*one.published_name,
                    &*one.placeholder,
                    one.has_placeholders,
                )
            })
            .collect();
        assert_eq!(
            members,
            [
                ("0001-users.md", "t/users.md", true),
                ("0002-Users.md", "T/Users.md", false)
            ]
        );
        assert_eq!(collected.member_texts[1], "# Other\n");
        for member in &collected.members {
            let bytes = fs::read(staging.ready().join(&member.file.name)).unwrap();
            assert_eq!(ContentHash::of(&bytes), member.file.hash);
            assert_eq!(
                member.file.name,
                format!("members/{}", member.published_name)
            );
        }
        assert_eq!(
            warnings.finish()[0].as_str(),
            "`rows.csv` was left out: a member is kept only if it is `text/markdown`"
        );
    }

    #[test]
    fn members_are_named_by_the_host() {
        let check = |number, path: &str, expected: &str| {
            assert_eq!(member_name(number, path), expected, "{path}");
        };
        check(1, "users.md", "0001-users.md");
        check(12, "a/b/Public.Users.MD", "0012-Public.Users.md");
        check(2, "x.markdown", "0002-x.md");
        check(3, ".md", "0003.md");
        check(4, "-.-.md", "0004.md");
        check(5, "-rf.md", "0005-rf.md");
        check(6, "CON.md", "0006-CON.md");
        check(7, "md", "0007-md.md");
        check(
            2_000,
            &"a".repeat(200),
            &format!("2000-{}.md", "a".repeat(60)),
        );
    }

    #[test]
    fn members_are_bounded() {
        let main: (&str, &[u8]) = ("doc.md", b"x");
        let not_text = [main, ("m.md", b"\xff")];
        let declared = [main_page(), member("m.md")];
        assert_eq!(refusal(&not_text, &declared), "`m.md`: not UTF-8");
        assert_eq!(
            refusal(&[main], &declared),
            "`m.md`: declared and not written"
        );

        let mut many = vec![main_page()];
        many.extend((0..=MEMBERS_MAX).map(|n| member(&format!("{n}.md"))));
        assert_eq!(refusal(&[main], &many), "2001 members; the limit is 2000");
        // Of another type they are left out one by one.
        for file in &mut many[1..] {
            file.media_type.clear();
        }
        assert!(check_declaration(&many).is_ok());

        let (_dir, staging) = staging(&[main, ("a.md", b"a"), ("b.md", b"b")]);
        let large = File::options()
            .write(true)
            .open(staging.output().join("b.md"));
        large.unwrap().set_len(MEMBERS_BYTES_MAX).unwrap();
        let declared = [main_page(), member("a.md"), member("b.md")];
        match collect(&staging, &declared, None, &mut Warnings::default()) {
            Err(CollectError::Invalid(reason)) => assert_eq!(
                reason,
                "`b.md`: with it the members have 67108865 bytes; the limit is 67108864 bytes"
            ),
            other => panic!("{other:?}"),
        }

        let links = "kbhost-output:a ".repeat(PLACEHOLDERS_MAX / 2);
        let files = [
            ("doc.md", links.as_bytes()),
            ("m.md", links.as_bytes()),
            ("n.md", b"kbhost-output:m.md"),
        ];
        let declared = [main_page(), member("m.md"), member("n.md")];
        assert_eq!(
            refusal(&files, &declared),
            "`n.md`: with it the pages link to outputs 200001 times; the limit is 200000"
        );
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
            match collect(&staging, &declared, None, &mut Warnings::default()) {
                Err(CollectError::Invalid(reason)) => assert_eq!(reason, expected),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(fs::read(&secret).unwrap(), b"s");
    }
}
