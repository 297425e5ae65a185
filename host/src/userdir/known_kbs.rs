//! The user's list of knowledge bases, `knowledge-bases.json`: those that `init` made or met, and the
//! one that is meant where none is named.
//!
//! Writers take turns by a lock file beside it; the list is replaced as a whole and synced. It is the
//! user's to edit: what is read is validated, and a damaged list is never written over.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{PrivateDir, config_dir};
use crate::kb::{KbError, PathError, SafeLine};

/// The list's file.
const LIST: &str = "knowledge-bases.json";

/// Writers take turns by it: empty, never unlinked.
const LOCK: &str = "knowledge-bases.lock";

/// Version of the format.
const FORMAT: u32 = 1;

/// Nobody has more; those whose folder is gone leave first, then the oldest.
const KNOWN_MAX: usize = 1_000;

/// 1,000 paths of the greatest length that systems take.
const LIST_BYTES_MAX: u64 = 5 << 20;

/// Somebody who writes the list is done in milliseconds.
const WAIT: Duration = Duration::from_secs(5);

/// The list as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    /// The one that is meant where none is named.
    #[serde(default)]
    default: Option<PathBuf>,
    /// Canonical paths, oldest first.
    knowledge_bases: Vec<PathBuf>,
}

impl Default for List {
    fn default() -> Self {
        Self {
            format: FORMAT,
            default: None,
            knowledge_bases: Vec::new(),
        }
    }
}

/// The user's default KB; `None` if there is no list or it names none.
///
/// # Errors
/// If there is a list that cannot be read.
pub(crate) fn default_kb() -> Result<Option<PathBuf>, KbError> {
    let Some(dir) = config_dir() else {
        return Ok(None);
    };
    default_in(&dir)
}

/// Puts the KB at the canonical path `kb` into the list; as the default one if `as_default`. A crash
/// leaves the old list or the new one.
///
/// # Errors
/// If the user has no directory for it, or the list cannot be read or written.
pub(crate) fn remember(kb: &Path, as_default: bool) -> Result<(), KbError> {
    let dir = config_dir().ok_or_else(|| {
        let error = std::io::Error::other("this user has no home directory");
        PathError::new("write", LIST, error)
    })?;
    remember_in(&dir, kb, as_default)
}

fn default_in(dir: &Path) -> Result<Option<PathBuf>, KbError> {
    match PrivateDir::open_existing(dir)? {
        Some(dir) => Ok(read(&dir)?.default),
        None => Ok(None),
    }
}

fn remember_in(dir: &Path, kb: &Path, as_default: bool) -> Result<(), KbError> {
    let dir = PrivateDir::open(dir)?;
    let _turn = dir.lock(LOCK, WAIT)?;
    let mut list = read(&dir)?;
    if !list.remember(kb, as_default) {
        return Ok(());
    }
    let unwritable = |error: serde_json::Error| {
        // A path that is no text.
        PathError::new("write", dir.path().join(LIST), std::io::Error::from(error))
    };
    let mut bytes = serde_json::to_vec_pretty(&list).map_err(unwritable)?;
    bytes.push(b'\n');
    Ok(dir.write_synced(LIST, &bytes)?)
}

impl List {
    /// Enters a KB; false if that changes nothing.
    fn remember(&mut self, kb: &Path, as_default: bool) -> bool {
        let before = self.clone();
        if as_default {
            self.default = Some(kb.to_owned());
        }
        if !self.knowledge_bases.iter().any(|known| known == kb) {
            self.knowledge_bases.push(kb.to_owned());
        }
        if self.knowledge_bases.len() > KNOWN_MAX {
            self.knowledge_bases.retain(|known| known.is_dir());
            let surplus = self.knowledge_bases.len().saturating_sub(KNOWN_MAX);
            self.knowledge_bases.drain(..surplus);
        }
        *self != before
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let list: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if list.format != FORMAT {
            return Err(format!("format {} is not {FORMAT}", list.format));
        }
        if list.knowledge_bases.len() > KNOWN_MAX {
            return Err(format!("it names more than {KNOWN_MAX} knowledge bases"));
        }
        let mut paths = list.knowledge_bases.iter().chain(&list.default);
        match paths.find(|path| !path.is_absolute()) {
            Some(path) => Err(format!("`{}` is no absolute path", path.display())),
            None => Ok(list),
        }
    }
}

fn read(dir: &PrivateDir) -> Result<List, KbError> {
    let Some(bytes) = dir.read(LIST, LIST_BYTES_MAX)? else {
        return Ok(List::default());
    };
    List::parse(&bytes).map_err(|reason| KbError::Config {
        path: dir.path().join(LIST),
        key: String::new(),
        reason: SafeLine::new(&reason).to_string(),
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests damage the list")]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_one_that_was_made_so() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("config/kbhost");
        assert_eq!(default_in(&dir).unwrap(), None);
        assert!(!dir.exists(), "reading makes nothing");
        let list = || read(&PrivateDir::open(&dir).unwrap()).unwrap();
        remember_in(&dir, Path::new("/a"), false).unwrap();
        assert_eq!(default_in(&dir).unwrap(), None);
        remember_in(&dir, Path::new("/b"), true).unwrap();
        remember_in(&dir, Path::new("/a"), false).unwrap();
        assert_eq!(default_in(&dir).unwrap(), Some(PathBuf::from("/b")));
        assert_eq!(list().knowledge_bases, [Path::new("/a"), Path::new("/b")]);
    }

    #[test]
    fn a_damaged_list_is_named_and_kept() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = temporary.path().join("config");
        PrivateDir::open(&dir).unwrap();
        let path = dir.join(LIST);
        for text in [
            "",
            "{",
            r#"{"format":2,"knowledge_bases":[]}"#,
            r#"{"format":1,"knowledge_bases":["relative"]}"#,
            r#"{"format":1,"default":"../up","knowledge_bases":[]}"#,
            r#"{"format":1,"knowledge_bases":[],"more":1}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            for error in [
                default_in(&dir).unwrap_err(),
                remember_in(&dir, Path::new("/a"), true).unwrap_err(),
            ] {
                assert!(error.to_string().contains(LIST), "{text}: {error}");
            }
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn the_list_does_not_grow_without_end() {
        let there = tempfile::tempdir().unwrap();
        let mut list = List::default();
        list.remember(there.path(), false);
        for n in 0..KNOWN_MAX {
            assert!(list.remember(&PathBuf::from(format!("/nowhere/{n}")), false));
        }
        // All but the one that is there went at once.
        assert_eq!(list.knowledge_bases, [there.path()]);
        assert!(!list.remember(there.path(), false));
    }
}
