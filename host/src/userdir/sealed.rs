//! Entries of a cache of the user's that a key of this user alone vouches for: compiled components
//! and prepared documents, each kind in a directory and with a key of its own.
//!
//! Invariant: what [`SealedDir::load`] hands out was written by this user under this very name: the
//! seal covers every byte and the name, and is verified in memory over the bytes handed out. What is
//! on disk afterwards does not matter.
//!
//! An entry: HMAC-SHA-256 (32 bytes) over name and body, then the body.

use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::PrivateDir;
use crate::kb::PathError;

const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 32;

/// What a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Machine code of components.
    Compiled,
    /// Results of conversions.
    Prepared,
}

impl Kind {
    /// Every kind, in the order in which they are told.
    pub(crate) const ALL: [Self; 2] = [Self::Compiled, Self::Prepared];

    /// Its directory in the user's cache directory, and its name to the user.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Compiled => "compiled",
            Self::Prepared => "prepared",
        }
    }

    /// Code and data do not share a key: who could forge the one could not forge the other.
    fn key_file(self) -> &'static str {
        match self {
            Self::Compiled => "compiled.key",
            Self::Prepared => "prepared.key",
        }
    }

    /// The longest entry that is read.
    pub(crate) fn entry_bytes_max(self) -> u64 {
        match self {
            // Some ten times the largest component.
            Self::Compiled => 1 << 30,
            // Every worker holds one in memory, with its seal and heading.
            Self::Prepared => 65 << 20,
        }
    }
}

/// What is kept under a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    /// Nothing.
    Missing,
    /// This, as it was stored.
    Sound(Vec<u8>),
    /// Something that this user's key does not vouch for.
    Damaged,
}

/// The entries of one kind, opened.
#[derive(Debug)]
pub(crate) struct SealedDir {
    entries: PrivateDir,
    key: [u8; KEY_BYTES],
    kind: Kind,
}

impl SealedDir {
    /// Opens the entries in the user's cache directory `cache`; makes directory and key if missing.
    ///
    /// # Errors
    /// If they cannot be made, opened or trusted.
    pub(crate) fn open(cache: &Path, kind: Kind) -> Result<Self, PathError> {
        let key = make_key(&PrivateDir::open(cache)?, kind)?;
        let entries = PrivateDir::open(&cache.join(kind.name()))?;
        Ok(Self { entries, key, kind })
    }

    /// Opens the entries if there are some and makes nothing. Without a key nothing vouches for
    /// any entry.
    ///
    /// # Errors
    /// If they cannot be opened or trusted.
    pub(crate) fn open_existing(cache: &Path, kind: Kind) -> Result<Option<Self>, PathError> {
        let Some(dir) = PrivateDir::open_existing(cache)? else {
            return Ok(None);
        };
        let Some(entries) = PrivateDir::open_existing(&cache.join(kind.name()))? else {
            return Ok(None);
        };
        let key = match read_key(&dir, kind) {
            Ok(Some(key)) => key,
            Ok(None) | Err(_) => fresh_key(&dir)?,
        };
        Ok(Some(Self { entries, key, kind }))
    }

    /// The directory, for what concerns no content.
    pub(crate) fn entries(&self) -> &PrivateDir {
        &self.entries
    }

    /// Reads and verifies the entry `name`.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn load(&self, name: &str) -> Result<Loaded, PathError> {
        let Some(mut entry) = self.entries.read(name, self.kind.entry_bytes_max())? else {
            return Ok(Loaded::Missing);
        };
        let sound = entry
            .split_at_checked(TAG_BYTES)
            .is_some_and(|(tag, body)| self.mac(name, body).verify_slice(tag).is_ok());
        if !sound {
            return Ok(Loaded::Damaged);
        }
        entry.drain(..TAG_BYTES);
        Ok(Loaded::Sound(entry))
    }

    /// Keeps `body` under `name`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn store(&self, name: &str, body: &[u8]) -> Result<(), PathError> {
        let mut entry = Vec::with_capacity(TAG_BYTES + body.len());
        entry.extend_from_slice(&self.mac(name, body).finalize().into_bytes());
        entry.extend_from_slice(body);
        self.entries.write(name, &entry)
    }

    fn mac(&self, name: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("a key of any length will do");
        mac.update(name.as_bytes());
        mac.update(body);
        mac
    }
}

fn read_key(dir: &PrivateDir, kind: Kind) -> Result<Option<[u8; KEY_BYTES]>, PathError> {
    let bytes = dir.read(kind.key_file(), KEY_BYTES as u64)?;
    Ok(bytes.and_then(|bytes| bytes.try_into().ok()))
}

fn fresh_key(dir: &PrivateDir) -> Result<[u8; KEY_BYTES], PathError> {
    let mut fresh = [0; KEY_BYTES];
    random(&mut fresh).map_err(|error| PathError::new("draw a key for", dir.path(), error))?;
    Ok(fresh)
}

/// The user's key, made when it is first wanted. One that has the wrong length (a crash, a full
/// disk) is replaced; every entry is then made again.
fn make_key(dir: &PrivateDir, kind: Kind) -> Result<[u8; KEY_BYTES], PathError> {
    if let Ok(Some(key)) = read_key(dir, kind) {
        return Ok(key);
    }
    let fresh = fresh_key(dir)?;
    // Another process may be here too: whoever comes second takes the first one's key.
    if dir.create(kind.key_file(), &fresh)? {
        return Ok(fresh);
    }
    match read_key(dir, kind) {
        Ok(Some(key)) => Ok(key),
        Ok(None) | Err(_) => dir.write(kind.key_file(), &fresh).map(|()| fresh),
    }
}

fn random(mut bytes: &mut [u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        let filled = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())?;
        bytes = &mut bytes[filled..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_do_not_vouch_for_each_other() {
        let temporary = tempfile::tempdir().unwrap();
        let compiled = SealedDir::open(temporary.path(), Kind::Compiled).unwrap();
        let prepared = SealedDir::open(temporary.path(), Kind::Prepared).unwrap();
        prepared.store("a", b"body").unwrap();
        assert_eq!(prepared.load("a").unwrap(), Loaded::Sound(b"body".to_vec()));
        assert_eq!(compiled.load("a").unwrap(), Loaded::Missing);
        let entry = prepared.entries().read("a", 100).unwrap().unwrap();
        compiled.entries().write("a", &entry).unwrap();
        assert_eq!(compiled.load("a").unwrap(), Loaded::Damaged);
    }

    #[test]
    fn looking_makes_nothing() {
        let temporary = tempfile::tempdir().unwrap();
        let cache = temporary.path().join("cache");
        for kind in Kind::ALL {
            assert!(SealedDir::open_existing(&cache, kind).unwrap().is_none());
        }
        assert!(!cache.exists());
        SealedDir::open(&cache, Kind::Prepared)
            .unwrap()
            .store("a", b"body")
            .unwrap();
        let dir = SealedDir::open_existing(&cache, Kind::Prepared).unwrap();
        assert!(matches!(dir.unwrap().load("a").unwrap(), Loaded::Sound(_)));
        let key = cache.join(Kind::Prepared.key_file());
        rustix::fs::unlink(&key).unwrap();
        let dir = SealedDir::open_existing(&cache, Kind::Prepared).unwrap();
        assert_eq!(dir.unwrap().load("a").unwrap(), Loaded::Damaged);
        assert!(!key.exists());
    }
}
