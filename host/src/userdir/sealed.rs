//! Entries of a cache of the user's that a key of this user alone vouches for: compiled components
//! and prepared documents, each kind in a directory and with a key of its own.
//!
//! Invariant: what [`SealedDir::load`] hands out was written by this user under this very name: the
//! seal covers every byte and the name, and is verified in memory over the bytes handed out. What is
//! on disk afterwards does not matter.
//!
//! An entry: the body, then the seal, 32 bytes: BLAKE3, keyed, over the length of the name, the name
//! and the body. Compiled code is megabytes and is verified at every start; this is several times as
//! fast as HMAC-SHA-256 (BLAKE3 paper, section 6.2: the keyed mode is a MAC).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::PrivateDir;
use crate::kb::PathError;

const KEY_BYTES: usize = 32;
const SEAL_BYTES: usize = 32;

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
pub(crate) enum Loaded<T = Vec<u8>> {
    /// Nothing.
    Missing,
    /// This, as it was stored.
    Sound(T),
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
        let Some((body, seal)) = entry.split_last_chunk::<SEAL_BYTES>() else {
            return Ok(Loaded::Damaged);
        };
        if !is_seal(&self.sealing(name).update(body).finalize(), seal) {
            return Ok(Loaded::Damaged);
        }
        entry.truncate(entry.len() - SEAL_BYTES);
        Ok(Loaded::Sound(entry))
    }

    /// Reads and verifies the entry `name` as an anonymous file of this process that nobody can write to
    /// any more: what is large is mapped from there instead of being copied.
    ///
    /// # Errors
    /// If it cannot be read, or the system has no such files.
    #[cfg(target_os = "linux")]
    pub(crate) fn load_file(&self, name: &str) -> Result<Loaded<File>, PathError> {
        let Some((file, size)) = self.entries.open_file(name, self.kind.entry_bytes_max())? else {
            return Ok(Loaded::Missing);
        };
        let Some(body_bytes) = size.checked_sub(SEAL_BYTES as u64) else {
            return Ok(Loaded::Damaged);
        };
        let read = || {
            let mut seal = [0; SEAL_BYTES];
            let body = anonymous_copy(&file, body_bytes)?;
            (&file).read_exact(&mut seal)?;
            let mut sealing = self.sealing(name);
            sealing.update_reader(&body)?;
            let sound = is_seal(&sealing.finalize(), &seal);
            Ok(if sound {
                Loaded::Sound(body)
            } else {
                Loaded::Damaged
            })
        };
        let failed =
            |error: io::Error| PathError::new("read", self.entries.path().join(name), error);
        read().map_err(failed)
    }

    /// Keeps `body` under `name`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn store(&self, name: &str, body: &[u8]) -> Result<(), PathError> {
        let seal = self.sealing(name).update(body).finalize();
        let entry = [body, seal.as_bytes()].concat();
        self.entries.write(name, &entry)
    }

    fn sealing(&self, name: &str) -> blake3::Hasher {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher
    }
}

/// Compares in constant time.
fn is_seal(of_body: &blake3::Hash, seal: &[u8; SEAL_BYTES]) -> bool {
    *of_body == *seal
}

/// Copies the next `bytes` of `file` into memory of this process that is sealed against writing, to
/// be read from its beginning. Less, if the file was cut meanwhile.
#[cfg(target_os = "linux")]
fn anonymous_copy(file: &File, bytes: u64) -> io::Result<File> {
    use rustix::fs::{MemfdFlags, SealFlags};

    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut copy = File::from(rustix::fs::memfd_create("kbhost-sealed", flags)?);
    io::copy(&mut file.take(bytes), &mut copy)?;
    // Sealed first and verified then: nothing can come between.
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    rustix::fs::seek(&copy, rustix::fs::SeekFrom::Start(0))?;
    Ok(copy)
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

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_is_what_was_stored_and_cannot_be_written_to() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = SealedDir::open(temporary.path(), Kind::Compiled).unwrap();
        let body: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
        dir.store("a", &body).unwrap();
        let Loaded::Sound(mut file) = dir.load_file("a").unwrap() else {
            panic!("what was stored is sound");
        };
        assert!(io::Write::write_all(&mut file, b"x").is_err());
        assert!(file.set_len(1).is_err());
        let mut read = Vec::new();
        rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut read).unwrap();
        assert!(read == body);
        assert!(matches!(dir.load_file("b").unwrap(), Loaded::Missing));
        let entry = dir.entries().read("a", 2_000_000).unwrap().unwrap();
        let changed = |change: fn(&mut Vec<u8>)| {
            let mut entry = entry.clone();
            change(&mut entry);
            dir.entries().write("a", &entry).unwrap();
            let both = (dir.load_file("a").unwrap(), dir.load("a").unwrap());
            matches!(both, (Loaded::Damaged, Loaded::Damaged))
        };
        assert!(changed(|entry| entry[0] ^= 1));
        assert!(changed(|entry| *entry.last_mut().unwrap() ^= 1));
        assert!(changed(|entry| entry.truncate(SEAL_BYTES - 1)));
        assert!(changed(|entry| entry.push(0)));
        assert!(changed(Vec::clear));
        assert!(!changed(|_| ()), "the rig itself");
    }
}
