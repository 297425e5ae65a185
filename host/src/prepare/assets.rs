//! Resolves the local files that an input refers to and copies them to `in/assets`.
//!
//! The references are untrusted. Invariant: only regular, visible files strictly beneath the input's
//! own directory are read, and no symbolic link is followed on the way. What is refused or missing
//! becomes a warning, never an error.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;

use sha2::{Digest, Sha256};

use super::beneath::{self, NotFound};
use super::input::{Staged, extension, guest_name};
use super::{StagingError, staging};
use crate::kb::{ContentHash, SafeLine};
use crate::plugin::{Asset, Limits};

/// Beneath `in/`.
pub(super) const ASSETS_DIR: &str = "assets";

/// Bytes of all assets of one input: as much as half the largest input.
const ASSETS_BYTES_MAX: u64 = 256 << 20;

/// A reference longer than any path the system takes leads nowhere.
const REFERENCE_BYTES_MAX: usize = 4096;

/// Characters of a reference in a warning.
const REFERENCE_CHARS_SHOWN: usize = 120;

/// What was found of an input's references.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) assets: Vec<Asset>,
    /// Of each asset, in the same order, the digest of its copy.
    pub(super) hashes: Vec<ContentHash>,
    pub(super) warnings: Vec<SafeLine>,
}

/// Copies what `references` name. Each reference counts once. `secret` is device and inode of a file that is
/// given to nobody.
pub(super) fn resolve(
    staged: &Staged,
    references: &[String],
    secret: Option<(u64, u64)>,
) -> Result<Resolved, StagingError> {
    let mut resolved = Resolved::default();
    if references.is_empty() {
        return Ok(resolved);
    }
    let base = match beneath::open_dir(&staged.source_dir) {
        Ok(base) => base,
        Err(error) => {
            tracing::debug!(%error, "directory of the input cannot be opened");
            resolved
                .warnings
                .push(SafeLine::new("the files it refers to cannot be read"));
            return Ok(resolved);
        }
    };
    let mut copier = Copier {
        staged,
        base,
        secret,
        bytes_left: ASSETS_BYTES_MAX,
        copied: HashMap::new(),
    };
    let mut seen = HashSet::new();
    for reference in references {
        if !seen.insert(reference.as_str()) {
            continue;
        }
        if seen.len() > Limits::ASSETS_MAX {
            resolved.warnings.push(SafeLine::new(&format!(
                "it refers to more than {} files; the others were left out",
                Limits::ASSETS_MAX
            )));
            break;
        }
        match copier.copy(reference)? {
            Ok((guest_path, hash)) => {
                resolved.assets.push(Asset {
                    reference: reference.clone(),
                    guest_path,
                });
                resolved.hashes.push(hash);
            }
            Err(reason) => resolved.warnings.push(warning(reference, reason)),
        }
    }
    Ok(resolved)
}

fn warning(reference: &str, reason: &str) -> SafeLine {
    let shown = SafeLine::with_max(head(reference), REFERENCE_CHARS_SHOWN);
    SafeLine::new(&format!("`{shown}` was left out: {reason}"))
}

/// As much of a long reference as a warning can show: a guest may return megabytes.
fn head(reference: &str) -> &str {
    &reference[..reference.floor_char_boundary(REFERENCE_BYTES_MAX)]
}

/// The plain components of a reference, `..` resolved by name: no link is followed, so that is what
/// it means. An error if the reference could lead anywhere but beneath the input's directory.
fn components(reference: &str) -> Result<Vec<&str>, &'static str> {
    if reference.len() > REFERENCE_BYTES_MAX {
        return Err("the path is too long");
    }
    if reference.starts_with('/') {
        return Err("an absolute path is not followed");
    }
    if reference.contains('\0') {
        return Err("no such file");
    }
    let mut components = Vec::new();
    for component in reference.split('/') {
        match component {
            "" | "." => {}
            ".." => {
                components
                    .pop()
                    .ok_or("it lies outside the document's own folder")?;
            }
            hidden if hidden.starts_with('.') => return Err("hidden files are not read"),
            name => components.push(name),
        }
    }
    if components.is_empty() || reference.ends_with('/') {
        return Err("it is no file");
    }
    Ok(components)
}

/// Guest path and digest of a copy.
type Copied = (String, ContentHash);

/// Copies assets and remembers which.
struct Copier<'a> {
    staged: &'a Staged,
    base: OwnedFd,
    secret: Option<(u64, u64)>,
    bytes_left: u64,
    /// Guest path and digest by resolved path: two spellings of one file share a copy.
    copied: HashMap<String, Copied>,
}

impl Copier<'_> {
    /// Copies one asset; the inner error is why it was left out.
    fn copy(&mut self, reference: &str) -> Result<Result<Copied, &'static str>, StagingError> {
        let components = match components(reference) {
            Ok(components) => components,
            Err(reason) => return Ok(Err(reason)),
        };
        let path = components.join("/");
        if let Some(copied) = self.copied.get(&path) {
            return Ok(Ok(copied.clone()));
        }
        let found = match beneath::open_file(&self.base, &components) {
            Ok(found) => found,
            Err(NotFound::Missing) => return Ok(Err("no such file")),
            Err(NotFound::NotRegular) => return Ok(Err("it is a link or no regular file")),
            Err(NotFound::Io(error)) => {
                tracing::debug!(%error, "asset cannot be opened");
                return Ok(Err("it cannot be opened"));
            }
        };
        let metadata = &found.metadata;
        if self.secret == Some((metadata.dev(), metadata.ino())) {
            return Ok(Err("it holds the password"));
        }
        let dir = self.staged.staging.input().join(ASSETS_DIR);
        if self.copied.is_empty() && !dir.exists() {
            staging::create_dir(&dir)?;
        }
        let last = components.last().copied().unwrap_or_default();
        let stem = format!("{:04}", self.copied.len() + 1);
        let name = guest_name(&stem, extension(last));
        let target = dir.join(&name);
        let mut copy = staging::create_file(&target)?;
        // One byte more than allowed tells a file that is too large from one that just fits.
        let mut input = found.file.take(self.bytes_left + 1);
        let mut bytes = 0;
        let mut digest = Sha256::new();
        let mut chunk = vec![0; 64 << 10];
        let reason = loop {
            match input.read(&mut chunk) {
                Ok(0) => break None,
                Ok(read) => {
                    bytes += read as u64;
                    if bytes > self.bytes_left {
                        break Some("the files it refers to are too large together");
                    }
                    digest.update(&chunk[..read]);
                    copy.write_all(&chunk[..read])
                        .map_err(|error| StagingError::new("write", &target, error))?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::debug!(%error, "asset cannot be read");
                    break Some("it cannot be read");
                }
            }
        };
        if let Some(reason) = reason {
            staging::remove_file(&target)?;
            return Ok(Err(reason));
        }
        self.bytes_left -= bytes;
        let guest_path = format!("/in/assets/{name}");
        let copied = (
            guest_path,
            ContentHash::from_bytes(digest.finalize().into()),
        );
        self.copied.insert(path, copied.clone());
        Ok(Ok(copied))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stay_beneath() {
        let check = |reference: &str, expected: Result<&str, ()>| {
            let outcome = components(reference)
                .map(|path| path.join("/"))
                .map_err(drop);
            assert_eq!(outcome, expected.map(str::to_owned), "{reference:?}");
        };
        check("a.png", Ok("a.png"));
        check("./img//a.png", Ok("img/a.png"));
        check("img/../b.png", Ok("b.png"));
        check("a\\b.png", Ok("a\\b.png"));
        for bad in [
            "",
            ".",
            "img/",
            "..",
            "../a.png",
            "img/../../a.png",
            "/etc/passwd",
            ".ssh/id_rsa",
            "img/.git/config",
            "a\0b",
            "img/..",
        ] {
            check(bad, Err(()));
        }
        check(&"x/".repeat(3000), Err(()));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test makes its own files")]
    fn assets_are_copied_or_warned_about() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("docs/img")).unwrap();
        std::fs::create_dir(at("staging")).unwrap();
        std::fs::write(at("secret"), "s").unwrap();
        std::fs::write(at("docs/img/a.PNG"), "aaa").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("docs/link.png")).unwrap();
        std::fs::write(at("docs/doc.md"), "text").unwrap();
        let root = super::super::StagingRoot::open(&at("staging")).unwrap();
        let source = crate::enumerate::Source {
            seq: crate::kb::Seq(0),
            path: at("docs/doc.md"),
            display: "doc.md".to_owned(),
            key: crate::kb::SourceKey::new("k".to_owned()),
            file_name: "doc.md".to_owned(),
            media_type: Some("text/markdown".to_owned()),
            misnamed_as: None,
            named: true,
        };
        let cancel = std::sync::atomic::AtomicBool::new(false);
        let staged =
            super::super::input::stage(&source, root.create().unwrap(), 99, &cancel).unwrap();
        let references: Vec<_> = [
            "img/a.PNG",
            "./img/a.PNG",
            "img/a.PNG",
            "../secret",
            "link.png",
            "none.png",
            "img",
        ]
        .map(str::to_owned)
        .into();
        let resolved = resolve(&staged, &references, None).unwrap();
        let assets: Vec<_> = resolved
            .assets
            .iter()
            .map(|asset| (asset.reference.as_str(), asset.guest_path.as_str()))
            .collect();
        assert_eq!(
            assets,
            [
                ("img/a.PNG", "/in/assets/0001.png"),
                ("./img/a.PNG", "/in/assets/0001.png"),
            ]
        );
        let warnings: Vec<_> = resolved.warnings.iter().map(SafeLine::as_str).collect();
        assert_eq!(
            warnings,
            [
                "`../secret` was left out: it lies outside the document's own folder",
                "`link.png` was left out: it is a link or no regular file",
                "`none.png` was left out: no such file",
                "`img` was left out: it is a link or no regular file",
            ]
        );
        assert_eq!(resolved.hashes, [ContentHash::of(b"aaa"); 2]);
        let copy = std::fs::read(staged.staging.input().join("assets/0001.png")).unwrap();
        assert_eq!(copy, b"aaa");
    }

    #[test]
    fn a_flood_of_references_is_cut() {
        let long = "ü".repeat(1 << 20);
        assert!(warning(&long, "no").as_str().chars().count() <= 300);
    }
}
