//! Writes a prepared document where the user wants it, without a KB: `convert -o`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{Directories, PreparedDocument, StagingError, staging};

/// Writes `<dir>/<stem>.md` and, if there are images or members, `<dir>/<stem>_images/…` and
/// `<dir>/<stem>_members/…`, and returns what it wrote, the page first. Each file appears whole or not
/// at all; the page comes last, so that a crash leaves images without a page rather than a page
/// without its images.
///
/// # Errors
/// If `stem` is no file name, something cannot be written, or a file exists already and `overwrite`
/// is not set: then nothing is written.
pub fn export(
    document: &PreparedDocument,
    dir: &Path,
    stem: &str,
    overwrite: bool,
) -> Result<Vec<PathBuf>, StagingError> {
    if matches!(stem, "" | "." | "..") || stem.contains(['/', '\0']) {
        return Err(StagingError::new(
            "write",
            dir.join(stem),
            ErrorKind::InvalidInput,
        ));
    }
    let (images_name, members_name) = (format!("{stem}_images"), format!("{stem}_members"));
    let (images_dir, members_dir) = (dir.join(&images_name), dir.join(&members_name));
    let page = dir.join(format!("{stem}.md"));
    let images = document.images.iter();
    let images: Vec<PathBuf> = images
        .map(|one| images_dir.join(&one.published_name))
        .collect();
    let members = document.members.iter();
    let members: Vec<PathBuf> = members
        .map(|one| members_dir.join(&one.published_name))
        .collect();
    let mut all = std::iter::once(&page).chain(&images).chain(&members);
    if !overwrite && let Some(existing) = all.find(|path| exists(path)) {
        return Err(StagingError::new(
            "write",
            existing,
            rustix::io::Errno::EXIST,
        ));
    }
    staging::ensure_dir(dir)?;
    for (parts, dir) in [(&images, &images_dir), (&members, &members_dir)] {
        if !parts.is_empty() {
            staging::ensure_dir(dir)?;
        }
    }
    let ready = document.staging.ready();
    for (image, target) in document.images.iter().zip(&images) {
        let from = ready.join(&image.file.name);
        let mut file = File::open(&from).map_err(|error| StagingError::new("open", from, error))?;
        staging::write_atomically(target, &mut file, overwrite)?;
    }
    let placeholders = document.placeholders();
    let resolved = |name: &str, seen: Directories<'_>| {
        let from = ready.join(name);
        let markdown = std::fs::read(&from);
        let markdown = markdown.map_err(|error| StagingError::new("read", from, error))?;
        Ok::<_, StagingError>(placeholders.resolve(&markdown, seen))
    };
    let (images_link, members_link) = (link(&images_name), link(&members_name));
    let seen = Directories {
        images: &format!("../{images_link}/"),
        members: "",
    };
    for (member, target) in document.members.iter().zip(&members) {
        let text = resolved(&member.file.name, seen)?;
        staging::write_atomically(target, &mut text.as_slice(), overwrite)?;
    }
    let seen = Directories {
        images: &format!("{images_link}/"),
        members: &format!("{members_link}/"),
    };
    let text = resolved(&document.main.name, seen)?;
    staging::write_atomically(&page, &mut text.as_slice(), overwrite)?;
    let mut written = vec![page];
    written.extend(images);
    written.extend(members);
    Ok(written)
}

/// Whether something is at `path`, be it a dangling link.
fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

/// A file name as a Markdown link target: what could end the target or be decoded is
/// percent-encoded, letters of all scripts stay.
fn link(name: &str) -> String {
    let mut link = String::new();
    for c in name.chars() {
        let plain = c.is_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
        if plain {
            link.push(c);
        } else {
            let mut utf8 = [0; 4];
            for byte in c.encode_utf8(&mut utf8).bytes() {
                link.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    link
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests make their own files")]
mod tests {
    use std::fs;

    use super::super::testing;
    use super::*;
    use crate::prepare::{ReadyFile, ReadyImage, ReadyMember, StagingRoot};

    #[test]
    fn links_are_plain() {
        let check = |name: &str, expected: &str| assert_eq!(link(name), expected);
        check("report_images", "report_images");
        check("My file (1)", "My%20file%20%281%29");
        check("注釈", "注釈");
        check("50%", "50%25");
        check("a\u{202e}", "a%E2%80%AE");
    }

    #[test]
    fn a_document_is_exported_and_not_twice() {
        let dir = tempfile::tempdir().unwrap();
        let root = StagingRoot::open(dir.path()).unwrap();
        let staging = root.create().unwrap();
        fs::create_dir(staging.ready().join("images")).unwrap();
        fs::write(staging.ready().join("images/img_001.png"), "png").unwrap();
        fs::create_dir(staging.ready().join("members")).unwrap();
        let text = "![a](kbhost-output:x.png) [b](kbhost-output:t.md)\n";
        fs::write(staging.ready().join("members/0001-t.md"), text).unwrap();
        let mut document = testing::document(0, staging, text);
        document.members.push(ReadyMember {
            file: ReadyFile {
                name: "members/0001-t.md".to_owned(),
                ..document.main.clone()
            },
            published_name: "0001-t.md".to_owned(),
            placeholder: "t.md".to_owned(),
            has_placeholders: true,
        });
        document.images.push(ReadyImage {
            file: ReadyFile {
                name: "images/img_001.png".to_owned(),
                ..document.main.clone()
            },
            published_name: "img_001.png".to_owned(),
            placeholder: "x.png".to_owned(),
        });
        let target = dir.path().join("out");
        let written = export(&document, &target, "My doc", false).unwrap();
        assert_eq!(
            written,
            [
                target.join("My doc.md"),
                target.join("My doc_images/img_001.png"),
                target.join("My doc_members/0001-t.md")
            ]
        );
        assert_eq!(
            fs::read_to_string(&written[0]).unwrap(),
            "![a](My%20doc_images/img_001.png) [b](My%20doc_members/0001-t.md)\n"
        );
        assert_eq!(
            fs::read_to_string(&written[2]).unwrap(),
            "![a](../My%20doc_images/img_001.png) [b](0001-t.md)\n"
        );
        assert_eq!(fs::read(&written[1]).unwrap(), b"png");
        fs::write(&written[0], "mine").unwrap();
        fs::remove_file(&written[1]).unwrap();
        let StagingError::Path(error) = export(&document, &target, "My doc", false).unwrap_err();
        assert_eq!(error.source.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&written[0]).unwrap(), b"mine");
        assert!(
            !written[1].exists(),
            "nothing is written if one file exists"
        );
        export(&document, &target, "My doc", true).unwrap();
        assert_ne!(fs::read(&written[0]).unwrap(), b"mine");
        for stem in ["", "..", "a/b"] {
            assert!(export(&document, &target, stem, true).is_err(), "{stem:?}");
        }
    }
}
