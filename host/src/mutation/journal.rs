//! The journal of one mutation group: what recovery needs to undo it.
//!
//! `journal/<id>/journal.json` names each path with its state before and after; `pre/` holds the
//! pre-images, `new/` the rendered pages until they are renamed into place. A directory without a
//! `journal.json` never published anything, or is settled. `attempts`, if it is there, counts how
//! often undoing it failed.
//!
//! A journal is an instruction to delete files: every path in it is relative to the KB, lies in
//! `raw/` or `wiki/`, and is opened beneath the root without following links.

use serde::{Deserialize, Serialize};

use super::MutationError;
use crate::kb::{ContentHash, KbError, KbPath, KbRoot, PathError, layout};

/// Version of the format.
const FORMAT: u32 = 1;

/// 64 documents with 1,000 images each at some 300 bytes an entry.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// What a file was before the mutation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Before {
    pub(super) size: u64,
    pub(super) sha256: ContentHash,
    pub(super) mode: u32,
    /// Name of the pre-image in `pre/`.
    pub(super) image: String,
}

/// What a file is after the mutation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct After {
    pub(super) size: u64,
    pub(super) sha256: ContentHash,
}

/// One touched path. `None` stands for no file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    pub(super) path: KbPath,
    pub(super) before: Option<Before>,
    pub(super) after: Option<After>,
}

/// The intent of one mutation group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    format: u32,
    pub(super) id: String,
    /// UUID of the registry that decides whether the mutation is committed.
    pub(super) registry: String,
    pub(super) operation: String,
    pub(super) started: String,
    pub(super) entries: Vec<Entry>,
    /// Directories the mutation makes, parents first.
    pub(super) made_dirs: Vec<KbPath>,
}

/// Proof that a path stands in the journal that was made durable before anything was published:
/// storage's official writes take nothing else, so that what recovery cannot undo is not written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Declared<'a>(&'a KbPath);

impl<'a> Declared<'a> {
    /// The path as a value.
    pub(super) fn as_kb_path(self) -> &'a KbPath {
        self.0
    }
}

/// What lies in a journal directory.
#[derive(Debug)]
pub(super) enum Found {
    /// A whole journal.
    Active(Journal),
    /// No `journal.json`: the mutation never published.
    Unfinished,
    /// A `journal.json` that is no valid journal; why.
    Malformed(String),
}

impl Journal {
    pub(super) fn new(id: String, registry: String, operation: &str, started: String) -> Self {
        Self {
            format: FORMAT,
            id,
            registry,
            operation: operation.to_owned(),
            started,
            entries: Vec::new(),
            made_dirs: Vec::new(),
        }
    }

    /// The proof that the journal's entries name `path`. They are in the order of the paths.
    ///
    /// # Errors
    /// If they do not: a bug, found before it writes.
    pub(super) fn declared(&self, path: &KbPath) -> Result<Declared<'_>, MutationError> {
        self.entries
            .binary_search_by(|entry| entry.path.cmp(path))
            .map(|index| Declared(&self.entries[index].path))
            .map_err(|_| MutationError::Undeclared(path.to_string()))
    }

    /// The names in the directory of journals that can be journals, the newest first: an id begins
    /// with the epoch, so that a clock that was set back does not matter. A plain file, or a name
    /// that no id has, was never made by a mutation and is left alone.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn ids(root: &KbRoot) -> Result<Vec<String>, KbError> {
        let mut ids = Vec::new();
        for name in root.list_dir(&layout::journal_dir())? {
            let Ok(dir) = layout::journal_dir().join(&name) else {
                tracing::warn!(name = %crate::kb::SafeLine::new(&name), "no name of a journal");
                continue;
            };
            match root.open_dir(&dir) {
                Ok(Some(_)) | Err(KbError::Symlink(_)) => ids.push(name),
                Ok(None) => {}
                Err(KbError::Path(error))
                    if error.source.kind() == std::io::ErrorKind::NotADirectory => {}
                Err(error) => return Err(error),
            }
        }
        ids.reverse();
        Ok(ids)
    }

    /// The directory of a journal.
    pub(super) fn dir(id: &str) -> KbPath {
        layout::journal_dir()
            .join(id)
            .expect("BUG: an id of ours is one component")
    }

    /// The file that makes it active.
    pub(super) fn file(id: &str) -> KbPath {
        Self::dir(id)
            .join("journal.json")
            .expect("a fixed name is one component")
    }

    /// A pre-image.
    pub(super) fn image(id: &str, name: &str) -> Result<KbPath, crate::kb::KbPathError> {
        Self::dir(id).join("pre")?.join(name)
    }

    /// A rendered page.
    pub(super) fn rendered(id: &str, index: usize) -> KbPath {
        let new = Self::dir(id)
            .join("new")
            .expect("a fixed name is one component");
        new.join(&index.to_string())
            .expect("a number is one component")
    }

    /// The journal as bytes, read back before they are used.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let bytes = serde_json::to_vec_pretty(self).expect("paths, numbers and digests serialise");
        let again: Result<Self, String> = Self::parse(&bytes, &self.id);
        assert!(
            again.as_ref() == Ok(self),
            "BUG: a journal does not read back: {again:?}"
        );
        bytes
    }

    /// Looks into a journal directory.
    ///
    /// # Errors
    /// If it cannot be read; that says nothing about the journal.
    pub(super) fn find(root: &KbRoot, id: &str) -> Result<Found, KbError> {
        Self::find_in(root, &Self::dir(id), id)
    }

    /// Looks for the journal `id` in a directory that need not have its name.
    ///
    /// # Errors
    /// If it cannot be read; that says nothing about the journal.
    pub(super) fn find_in(root: &KbRoot, dir: &KbPath, id: &str) -> Result<Found, KbError> {
        let path = dir.join("journal.json")?;
        let bytes = match root.read(&path, JOURNAL_BYTES_MAX) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Found::Unfinished),
            Err(KbError::Symlink(_)) => {
                return Ok(Found::Malformed("it is a symbolic link".to_owned()));
            }
            // Not the system's word but ours: it is too large, or no regular file.
            Err(KbError::Path(error)) if error.source.raw_os_error().is_none() => {
                return Ok(Found::Malformed(error.source.to_string()));
            }
            Err(error) => return Err(error),
        };
        Ok(match Self::parse(&bytes, id) {
            Ok(journal) => Found::Active(journal),
            Err(reason) => Found::Malformed(reason),
        })
    }

    fn parse(bytes: &[u8], id: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        // First, and alone: a newer format has fields that are unknown here.
        match serde_json::from_slice::<Head>(bytes) {
            Ok(Head { format }) if format != FORMAT => {
                return Err(format!("format {format} is not {FORMAT}"));
            }
            _ => {}
        }
        let journal: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if journal.id != id {
            return Err("its id is not its directory's name".to_owned());
        }
        let official = |path: &KbPath| {
            path.starts_with(&layout::raw_dir()) || path.starts_with(&layout::wiki_dir())
        };
        let paths = journal
            .entries
            .iter()
            .map(|entry| &entry.path)
            .chain(&journal.made_dirs);
        if let Some(path) = paths.into_iter().find(|path| !official(path)) {
            return Err(format!("`{path}` is neither in raw/ nor in wiki/"));
        }
        let images = journal
            .entries
            .iter()
            .filter_map(|entry| entry.before.as_ref());
        if let Some(before) = images
            .into_iter()
            .find(|before| Self::image(id, &before.image).is_err())
        {
            return Err(format!(
                "`{}` is no name of a pre-image",
                crate::kb::SafeLine::with_max(&before.image, 60)
            ));
        }
        Ok(journal)
    }
}

/// A new journal id: sorts by epoch, and two owners never choose the same.
pub(super) fn new_id(epoch: i64) -> Result<String, PathError> {
    Ok(format!("{epoch:012}-{}", random_hex(4)?))
}

/// Random hexadecimal digits, two for each byte.
pub(super) fn random_hex(bytes: usize) -> Result<String, PathError> {
    let mut buffer = vec![0; bytes];
    rustix::rand::getrandom(&mut buffer, rustix::rand::GetRandomFlags::empty())
        .map_err(|e| PathError::new("read", "/dev/urandom", e))?;
    Ok(buffer.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_journal_does_not_name_cannot_be_written() {
        let path = |text: &str| KbPath::new(text).unwrap();
        let mut journal = Journal::new("1-0".to_owned(), String::new(), "add", String::new());
        for text in ["raw/a.md", "wiki/index.md", "wiki/sources/a.md"] {
            journal.entries.push(Entry {
                path: path(text),
                before: None,
                after: None,
            });
        }
        let check = |text: &str, expected: bool| match journal.declared(&path(text)) {
            Ok(declared) => assert_eq!((declared.as_kb_path().as_str(), expected), (text, true)),
            Err(MutationError::Undeclared(refused)) => {
                assert_eq!((refused.as_str(), expected), (text, false));
            }
            Err(error) => panic!("{error}"),
        };
        check("raw/a.md", true);
        check("wiki/sources/a.md", true);
        check("wiki/log.md", false);
        check("wiki/sources", false);
        check("raw/a.md.tmp", false);
        journal.entries.clear();
        assert!(journal.declared(&path("raw/a.md")).is_err());
    }
}
