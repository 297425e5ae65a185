//! Writes a prepared document where the user wants it, without a KB: `convert -o`.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{PreparedDocument, StagingError, resolve_placeholders, staging};

/// Writes `<dir>/<stem>.md` and, if there are images, `<dir>/<stem>_images/…`, and returns what it
/// wrote, the page first. Each file appears whole or not at all; the page comes last, so that a
/// crash leaves images without a page rather than a page without its images.
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
    let images_name = format!("{stem}_images");
    let mut written = vec![dir.join(format!("{stem}.md"))];
    let images = document.images.iter();
    written.extend(images.map(|image| dir.join(&images_name).join(&image.published_name)));
    if !overwrite && let Some(existing) = written.iter().find(|path| exists(path)) {
        return Err(StagingError::new(
            "write",
            existing,
            rustix::io::Errno::EXIST,
        ));
    }
    staging::ensure_dir(dir)?;
    if !document.images.is_empty() {
        staging::ensure_dir(&dir.join(&images_name))?;
    }
    let ready = document.staging.ready();
    for (image, target) in document.images.iter().zip(&written[1..]) {
        let from = ready.join(&image.file.name);
        let mut file = File::open(&from).map_err(|error| StagingError::new("open", from, error))?;
        staging::write_atomically(target, &mut file, overwrite)?;
    }
    let main = ready.join(&document.main.name);
    let markdown = std::fs::read(&main).map_err(|error| StagingError::new("read", main, error))?;
    let prefix = format!("{}/", link(&images_name));
    let page = resolve_placeholders(&markdown, &document.images, &prefix);
    staging::write_atomically(&written[0], &mut page.as_slice(), overwrite)?;
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
    use crate::prepare::{ReadyFile, ReadyImage, StagingRoot};

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
        let mut document = testing::document(0, staging, "![a](kbhost-output:x.png)\n");
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
                target.join("My doc_images/img_001.png")
            ]
        );
        assert_eq!(
            fs::read_to_string(&written[0]).unwrap(),
            "![a](My%20doc_images/img_001.png)\n"
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
