//! The journal of one mutation group: what recovery needs to undo it.
//!
//! `journal/<id>/journal.json` names each path with its state before and after; `pre/` holds the
//! pre-images, `new/` the rendered pages until they are renamed into place. A directory without a
//! `journal.json` never published anything, or is settled. `attempts`, if it is there, counts how
//! often undoing it failed.
//!
//! A journal is an instruction to delete files: every path in it is relative to the KB, lies in
//! `raw/` or `wiki/`, and is opened beneath the root without following links.

use std::marker::PhantomData;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::MutationError;
use crate::kb::{ContentHash, KbError, KbPath, KbRoot, PathError, layout};

/// Version of the format.
const FORMAT: u32 = 1;

/// 64 documents with 1,000 images each at some 300 bytes an entry.
const JOURNAL_BYTES_MAX: u64 = 64 << 20;

/// Name of the mark of a committed mutation, in the journal's directory.
const MARK: &str = "committed";
/// What so many bytes hold of entries as this program writes them. A planted journal can have shorter
/// ones, and so many more that they would fill the memory.
const ENTRIES_MAX: usize = 200_000;

/// Entries of all journals that are looked at together: one of the largest and some small ones.
const ENTRIES_ALL_MAX: usize = 2 * ENTRIES_MAX;

/// Journals in one place. No change begins while one is left there, so that a crash leaves one;
/// OpenKB drops what it failed to roll back five times.
pub(super) const JOURNALS_MAX: usize = 16;

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
    #[serde(deserialize_with = "bounded")]
    pub(super) entries: Vec<Entry>,
    /// Directories the mutation makes, parents first.
    #[serde(deserialize_with = "bounded")]
    pub(super) made_dirs: Vec<KbPath>,
    /// A mark beside it says that its owner saw COMMIT succeed. It is a hint: it is not synced, and the
    /// registry decides; but one that knows nothing of a marked mutation is not the registry of then.
    #[serde(skip)]
    pub(super) has_mark: bool,
}

/// Reads a list of at most [`ENTRIES_MAX`], and stops at one more.
fn bounded<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Bounded<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("a list")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
            let mut read = Vec::new();
            while let Some(one) = list.next_element()? {
                if read.len() == ENTRIES_MAX {
                    return Err(A::Error::custom(format!("more than {ENTRIES_MAX} entries")));
                }
                read.push(one);
            }
            Ok(read)
        }
    }

    deserializer.deserialize_seq(Bounded(PhantomData))
}

/// Counts what is read of several journals together.
#[derive(Debug, Default)]
pub(super) struct Tally(usize);

impl Tally {
    /// Counts what was found in a directory of journals.
    ///
    /// # Errors
    /// If all of it is more than this program leaves.
    pub(super) fn count(&mut self, found: &Found, dir: &KbPath) -> Result<(), KbError> {
        if let Found::Active(journal) = found {
            self.0 += journal.entries.len() + journal.made_dirs.len();
        }
        match self.0 > ENTRIES_ALL_MAX {
            true => Err(KbError::TooManyJournals(dir.clone())),
            false => Ok(()),
        }
    }
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
            has_mark: false,
        }
    }

    /// The mark of a mutation whose COMMIT was seen to succeed.
    pub(super) fn mark(id: &str) -> KbPath {
        Self::dir(id)
            .join(MARK)
            .expect("a fixed name is one component")
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
    /// If it cannot be read, or there are more than this program makes.
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
        few(ids, &layout::journal_dir())
    }

    /// All names in quarantine, the newest first.
    ///
    /// # Errors
    /// If it cannot be read, or there are more than this program makes.
    pub(super) fn quarantined(root: &KbRoot) -> Result<Vec<String>, KbError> {
        let mut names = root.list_dir(&layout::quarantine_dir())?;
        names.reverse();
        few(names, &layout::quarantine_dir())
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
        Self::image_in(&Self::dir(id), name)
    }

    /// A pre-image of the journal in `dir`.
    pub(super) fn image_in(dir: &KbPath, name: &str) -> Result<KbPath, crate::kb::KbPathError> {
        dir.join("pre")?.join(name)
    }

    /// A rendered page.
    pub(super) fn rendered(id: &str, index: usize) -> KbPath {
        Self::rendered_in(&Self::dir(id), index)
    }

    /// A rendered page of the journal in `dir`.
    pub(super) fn rendered_in(dir: &KbPath, index: usize) -> KbPath {
        let new = dir.join("new").expect("a fixed name is one component");
        new.join(&index.to_string())
            .expect("a number is one component")
    }

    /// Whether recovery would read a journal of so many entries: what it would not, is not begun.
    ///
    /// # Errors
    /// If not.
    pub(super) fn check_size(&self) -> Result<(), PathError> {
        if self.entries.len().max(self.made_dirs.len()) <= ENTRIES_MAX {
            return Ok(());
        }
        let error = format!("more than {ENTRIES_MAX} files in one change");
        let error = std::io::Error::other(error);
        Err(PathError::new(
            "write",
            Self::file(&self.id).as_str(),
            error,
        ))
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
            Ok(journal) => Found::Active(Self {
                has_mark: root.open_file(&dir.join(MARK)?)?.is_some(),
                ..journal
            }),
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
        // The id names where everything of it lies.
        if layout::journal_dir().join(id).is_err() {
            return Err("its id is no name".to_owned());
        }
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

impl Journal {
    /// The registry's epoch that the mutation was planned from, as its id says; `None` for an id that
    /// this program did not make.
    pub(super) fn epoch(&self) -> Option<i64> {
        let (epoch, _) = self.id.split_once('-')?;
        epoch.parse().ok()
    }

    /// Where a removed file goes until the mutation is settled: what is there was removed.
    pub(super) fn removed(id: &str, index: usize) -> KbPath {
        Self::removed_in(&Self::dir(id), index)
    }

    /// The same in a journal's directory that may lie elsewhere.
    pub(super) fn removed_in(dir: &KbPath, index: usize) -> KbPath {
        let new = dir.join("new").expect("a fixed name is one component");
        new.join(&format!("removed-{index}"))
            .expect("a fixed name and a number are one component")
    }
}

/// Passes on the names in a directory of journals, unless there are too many.
fn few(names: Vec<String>, dir: &KbPath) -> Result<Vec<String>, KbError> {
    match names.len() > JOURNALS_MAX {
        true => Err(KbError::TooManyJournals(dir.clone())),
        false => Ok(names),
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

    #[test]
    fn lists_of_a_planted_journal_are_cut_short() {
        let check = |field: &str, entry: serde_json::Value, count: usize| {
            let journal = Journal::new(
                "000000000001-00000000".to_owned(),
                String::new(),
                "add",
                String::new(),
            );
            let mut journal = serde_json::to_value(&journal).unwrap();
            journal[field] = vec![entry; count].into();
            Journal::parse(
                &serde_json::to_vec(&journal).unwrap(),
                "000000000001-00000000",
            )
        };
        let entry = serde_json::json!({ "path": "raw/a", "before": null, "after": null });
        for (field, entry) in [("entries", entry), ("made_dirs", "raw/a".into())] {
            let whole = check(field, entry.clone(), ENTRIES_MAX).unwrap();
            whole.check_size().unwrap();
            let mut tally = Tally::default();
            let (found, dir) = (Found::Active(whole), layout::journal_dir());
            tally.count(&found, &dir).unwrap();
            tally.count(&found, &dir).unwrap();
            let error = tally.count(&found, &dir).unwrap_err();
            assert!(matches!(error, KbError::TooManyJournals(_)), "{error}");
            let reason = check(field, entry, ENTRIES_MAX + 1).unwrap_err();
            assert!(reason.contains("more than 200000 entries"), "{reason}");
        }
        let mut large = Journal::new(
            "000000000001-00000000".to_owned(),
            String::new(),
            "add",
            String::new(),
        );
        large.made_dirs = vec![KbPath::fixed("raw/a"); ENTRIES_MAX + 1];
        large.check_size().unwrap_err();
    }
}
