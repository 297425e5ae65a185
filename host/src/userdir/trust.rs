//! The knowledge bases whose `.env` this user lets hold keys, `trusted.json`.
//!
//! Invariant: an entry is a path with the device, inode and time of birth that it had, and counts only while the folder there
//! is the same one, still this user's own and writable by nobody else. Never read from a KB.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fd::OwnedFd;
use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{PrivateDir, config_dir};
use crate::kb::{KbError, KbRoot, PathError, SafeLine};

/// The file of a KB that may hold keys.
pub(crate) const ENV_FILE: &str = ".env";

/// The list's file.
const LIST: &str = "trusted.json";

/// Writers take turns by it: empty, never unlinked.
const LOCK: &str = "trusted.lock";

/// Version of the format.
const FORMAT: u32 = 1;

/// Nobody keeps keys in more.
const TRUSTED_MAX: usize = 1_000;

/// 1,000 paths of the greatest length that systems take.
const LIST_BYTES_MAX: u64 = 5 << 20;

/// Somebody who writes the list is done in milliseconds.
const WAIT: Duration = Duration::from_secs(5);

/// Why a KB is not trusted, or the list cannot be told. Each reads behind "failed to …".
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// There is no KB.
    #[error(transparent)]
    Kb(#[from] KbError),
    /// Something cannot be read or written.
    #[error(transparent)]
    Path(#[from] PathError),
    /// Others could change the KB or read its key.
    #[error("trust `{}`: {reason}", .path.display())]
    Unsafe {
        /// The folder or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
        /// The mode that mends it, as `chmod` takes it.
        mode: Option<&'static str>,
    },
    /// The list is damaged or full.
    #[error("read the list of trusted knowledge bases `{}`: {reason}", .path.display())]
    List {
        /// The list.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A folder of this user's own, opened: what is read of it is what was judged.
#[derive(Debug)]
pub(crate) struct OwnFolder {
    fd: OwnedFd,
    path: PathBuf,
    device: u64,
    inode: u64,
    born: Option<Born>,
}

/// When a folder was made, seconds and nanoseconds, where the file system tells: an inode's number is given to
/// another folder once the first is gone.
type Born = (i64, u32);

/// When what `fd` is open on was made.
#[cfg(target_os = "linux")]
fn born(fd: &OwnedFd) -> Option<Born> {
    let wanted = fs::StatxFlags::BTIME;
    let stat = fs::statx(fd, c"", fs::AtFlags::EMPTY_PATH, wanted).ok()?;
    let told = fs::StatxFlags::from_bits_retain(stat.stx_mask).contains(wanted);
    told.then_some((stat.stx_btime.tv_sec, stat.stx_btime.tv_nsec))
}

/// When what `fd` is open on was made: not asked here.
#[cfg(not(target_os = "linux"))]
fn born(_fd: &OwnedFd) -> Option<Born> {
    None
}

impl OwnFolder {
    /// Opens the folder at the canonical path `path`.
    ///
    /// # Errors
    /// If it is another user's, or group or others may write to it.
    pub(crate) fn open(path: &Path) -> Result<Self, TrustError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |error: Errno| PathError::new("open", path, error);
        let fd = fs::open(path, flags, Mode::empty()).map_err(failed)?;
        let stat = fs::fstat(&fd).map_err(failed)?;
        let refused = |reason, mode| TrustError::Unsafe {
            path: path.to_owned(),
            reason,
            mode,
        };
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(refused("it belongs to another user", None));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
            return Err(refused("group or others may write to it", Some("go-w")));
        }
        Ok(Self {
            born: born(&fd),
            fd,
            path: path.to_owned(),
            #[expect(
                clippy::useless_conversion,
                reason = "devices have another type on macOS"
            )]
            device: u64::try_from(stat.st_dev).unwrap_or_default(),
            inode: stat.st_ino,
        })
    }

    /// Opens the file of keys; `None` if there is none.
    ///
    /// # Errors
    /// If it is no plain file of this user's, or group or others have any right to it.
    pub(crate) fn env_file(&self) -> Result<Option<OwnedFd>, TrustError> {
        let path = self.path.join(ENV_FILE);
        let refused = |reason, mode| TrustError::Unsafe {
            path: path.clone(),
            reason,
            mode,
        };
        // Opening a FIFO would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match fs::openat(&self.fd, ENV_FILE, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(refused("it is a symbolic link", None)),
            Err(error) => return Err(PathError::new("open", path, error).into()),
        };
        let stat = fs::fstat(&file).map_err(|error| PathError::new("look at", &path, error))?;
        if !fs::FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(refused("it is no regular file", None));
        }
        if stat.st_uid != rustix::process::geteuid().as_raw() {
            return Err(refused("it belongs to another user", None));
        }
        if Mode::from_raw_mode(stat.st_mode).intersects(Mode::RWXG | Mode::RWXO) {
            return Err(refused("group or others have access to it", Some("600")));
        }
        Ok(Some(file))
    }
}

/// A trusted KB as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: PathBuf,
    device: u64,
    inode: u64,
    #[serde(default)]
    born: Option<Born>,
}

/// The list as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    format: u32,
    /// Oldest first.
    knowledge_bases: Vec<Entry>,
}

/// A trusted KB as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trusted {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Whether the folder there still is the one that was trusted, and safe.
    pub(crate) holds: bool,
}

/// Trusts a KB; says whether that is new. A crash leaves the old list or the new one.
///
/// # Errors
/// If it or its `.env` is not this user's alone, or the list cannot be changed.
pub(crate) fn add(kb: &KbRoot) -> Result<bool, TrustError> {
    add_in(&of_user()?, kb)
}

/// Trusts the KB at `path` no more; says whether it was trusted. The folder may be gone.
///
/// # Errors
/// If the list cannot be changed.
pub(crate) fn remove(path: &Path) -> Result<bool, TrustError> {
    remove_in(&of_user()?, path)
}

/// All trusted KBs, oldest first.
///
/// # Errors
/// If there is a list that cannot be read.
pub(crate) fn all() -> Result<Vec<Trusted>, TrustError> {
    match config_dir() {
        Some(config) => all_in(&config),
        None => Ok(Vec::new()),
    }
}

/// Whether `folder` is one that the user with the settings in `config` trusts.
///
/// # Errors
/// If there is a list that cannot be read.
pub(super) fn is_trusted(config: &Path, folder: &OwnFolder) -> Result<bool, TrustError> {
    Ok(read_in(config)?.contains(&Entry::of(folder)))
}

fn of_user() -> Result<PathBuf, TrustError> {
    let homeless = || {
        let error = std::io::Error::other("this user has no home directory");
        PathError::new("write", LIST, error).into()
    };
    config_dir().ok_or_else(homeless)
}

/// As [`add`], into the settings in `config`.
pub(super) fn add_in(config: &Path, kb: &KbRoot) -> Result<bool, TrustError> {
    let folder = OwnFolder::open(kb.path())?;
    folder.env_file()?;
    let entry = Entry::of(&folder);
    changed(config, |list| {
        if list.contains(&entry) {
            return false;
        }
        list.retain(|known| known.path != entry.path);
        list.push(entry);
        true
    })
}

fn remove_in(config: &Path, path: &Path) -> Result<bool, TrustError> {
    if PrivateDir::open_existing(config)?.is_none() {
        return Ok(false);
    }
    changed(config, |list| {
        let before = list.len();
        list.retain(|known| known.path != path);
        list.len() != before
    })
}

fn all_in(config: &Path) -> Result<Vec<Trusted>, TrustError> {
    let told = |entry: Entry| Trusted {
        holds: OwnFolder::open(&entry.path)
            .is_ok_and(|folder| Entry::of(&folder) == entry && folder.env_file().is_ok()),
        path: entry.path,
    };
    Ok(read_in(config)?.into_iter().map(told).collect())
}

impl Entry {
    fn of(folder: &OwnFolder) -> Self {
        Self {
            path: folder.path.clone(),
            device: folder.device,
            inode: folder.inode,
            born: folder.born,
        }
    }
}

fn read_in(config: &Path) -> Result<Vec<Entry>, TrustError> {
    match PrivateDir::open_existing(config)? {
        Some(dir) => read(&dir),
        None => Ok(Vec::new()),
    }
}

fn read(dir: &PrivateDir) -> Result<Vec<Entry>, TrustError> {
    let Some(bytes) = dir.read(LIST, LIST_BYTES_MAX)? else {
        return Ok(Vec::new());
    };
    parse(&bytes).map_err(|reason| damaged(dir, &reason))
}

fn parse(bytes: &[u8]) -> Result<Vec<Entry>, String> {
    let list: List = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if list.format != FORMAT {
        return Err(format!("format {} is not {FORMAT}", list.format));
    }
    match list
        .knowledge_bases
        .iter()
        .find(|entry| !entry.path.is_absolute())
    {
        Some(entry) => Err(format!("`{}` is no absolute path", entry.path.display())),
        None => Ok(list.knowledge_bases),
    }
}

fn damaged(dir: &PrivateDir, reason: &str) -> TrustError {
    TrustError::List {
        path: dir.path().join(LIST),
        reason: SafeLine::new(reason).to_string(),
    }
}

/// Changes the list, one writer at a time, if `change` says that it did.
fn changed(
    config: &Path,
    change: impl FnOnce(&mut Vec<Entry>) -> bool,
) -> Result<bool, TrustError> {
    let dir = PrivateDir::open(config)?;
    let _turn = dir.lock(LOCK, WAIT)?;
    let mut knowledge_bases = read(&dir)?;
    if !change(&mut knowledge_bases) {
        return Ok(false);
    }
    if knowledge_bases.len() > TRUSTED_MAX {
        return Err(damaged(&dir, "it names more than 1,000 knowledge bases"));
    }
    let list = List {
        format: FORMAT,
        knowledge_bases,
    };
    // A path that is no text.
    let mut bytes = serde_json::to_vec_pretty(&list).map_err(|error| {
        PathError::new("write", dir.path().join(LIST), std::io::Error::from(error))
    })?;
    bytes.push(b'\n');
    dir.write_synced(LIST, &bytes)?;
    Ok(true)
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests make and damage folders"
)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::tests::{set_mode, world};
    use super::*;

    fn trust(config: &Path, kb: &Path) -> Result<bool, TrustError> {
        add_in(config, &KbRoot::open(kb)?)
    }

    fn holds(config: &Path, kb: &Path) -> bool {
        OwnFolder::open(kb).is_ok_and(|folder| is_trusted(config, &folder).unwrap())
    }

    #[test]
    fn trust_is_given_and_taken() {
        let (_temporary, config, kb) = world();
        assert!(!holds(&config, &kb));
        assert!(!remove_in(&config, &kb).unwrap());
        assert!(!config.exists(), "looking makes nothing");
        assert!(trust(&config, &kb).unwrap());
        assert!(!trust(&config, &kb).unwrap());
        assert!(holds(&config, &kb));
        let mode = std::fs::metadata(config.join(LIST))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            all_in(&config).unwrap(),
            [Trusted {
                path: kb.clone(),
                holds: true
            }]
        );
        assert!(remove_in(&config, &kb).unwrap());
        assert!(!holds(&config, &kb));
    }

    #[test]
    fn another_folder_at_the_same_path_is_not_trusted() {
        let (_temporary, config, kb) = world();
        trust(&config, &kb).unwrap();
        // Kept, so that the new folder cannot get its inode.
        std::fs::rename(&kb, kb.with_extension("old")).unwrap();
        assert_eq!(
            all_in(&config).unwrap(),
            [Trusted {
                path: kb.clone(),
                holds: false
            }]
        );
        std::fs::create_dir_all(kb.join(".openkb")).unwrap();
        set_mode(&kb, 0o755);
        assert!(!holds(&config, &kb));
        assert!(!holds(&config, &kb.with_extension("old")));
        assert!(trust(&config, &kb).unwrap());
        assert!(holds(&config, &kb));
        assert_eq!(all_in(&config).unwrap().len(), 1);
    }

    /// Goal: a folder that got the number of one that is gone is another one. Method: the KB is removed and
    /// made anew until its inode is the same, or often enough on file systems that give numbers once.
    #[test]
    fn a_folder_in_the_place_of_one_that_is_gone_is_not_trusted() {
        use std::os::unix::fs::MetadataExt as _;
        let (_temporary, config, kb) = world();
        for _ in 0..50 {
            trust(&config, &kb).unwrap();
            let before = std::fs::metadata(&kb).unwrap().ino();
            std::fs::remove_dir_all(&kb).unwrap();
            std::fs::create_dir_all(kb.join(".openkb")).unwrap();
            set_mode(&kb, 0o755);
            let same = std::fs::metadata(&kb).unwrap().ino() == before;
            assert!(!holds(&config, &kb), "the same inode: {same}");
        }
    }

    #[test]
    fn what_others_may_change_or_read_is_refused() {
        let (_temporary, config, kb) = world();
        let reason = || match trust(&config, &kb).unwrap_err() {
            TrustError::Unsafe { path, reason, .. } => (path, reason),
            other => panic!("{other}"),
        };
        for mode in [0o775, 0o757, 0o777] {
            set_mode(&kb, mode);
            assert_eq!(
                reason(),
                (kb.clone(), "group or others may write to it"),
                "{mode:o}"
            );
        }
        set_mode(&kb, 0o755);
        let env = kb.join(ENV_FILE);
        std::fs::write(&env, "").unwrap();
        for mode in [0o640, 0o604, 0o644, 0o620, 0o601] {
            set_mode(&env, mode);
            assert_eq!(
                reason(),
                (env.clone(), "group or others have access to it"),
                "{mode:o}"
            );
        }
        std::fs::rename(&env, kb.join("other")).unwrap();
        symlink("other", &env).unwrap();
        assert_eq!(reason(), (env.clone(), "it is a symbolic link"));
        std::fs::remove_file(&env).unwrap();
        std::fs::create_dir(&env).unwrap();
        assert_eq!(reason(), (env.clone(), "it is no regular file"));
        std::fs::remove_dir(&env).unwrap();
        assert!(all_in(&config).unwrap().is_empty());
        trust(&config, &kb).unwrap();
        std::fs::create_dir(kb.join("no")).unwrap();
        assert!(matches!(
            trust(&config, &kb.join("no")),
            Err(TrustError::Kb(_))
        ));
    }

    #[test]
    fn a_damaged_list_is_named_and_kept() {
        let (_temporary, config, kb) = world();
        PrivateDir::open(&config).unwrap();
        for text in [
            "",
            "{",
            r#"{"format":2,"knowledge_bases":[]}"#,
            r#"{"format":1,"knowledge_bases":[{"path":"a","device":1,"inode":1}]}"#,
            r#"{"format":1,"knowledge_bases":[{"path":"/a"}]}"#,
            r#"{"format":1,"knowledge_bases":[],"more":1}"#,
        ] {
            std::fs::write(config.join(LIST), text).unwrap();
            for error in [
                all_in(&config).unwrap_err(),
                trust(&config, &kb).unwrap_err(),
                remove_in(&config, &kb).unwrap_err(),
            ] {
                assert!(error.to_string().contains(LIST), "{text}: {error}");
            }
            assert_eq!(std::fs::read_to_string(config.join(LIST)).unwrap(), text);
        }
    }
}
