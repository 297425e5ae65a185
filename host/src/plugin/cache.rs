//! The authenticated cache of compiled components: it decides how fast every command starts.
//!
//! A compiled component is machine code that runs with all rights of the process, so an entry is
//! used only if a key that this user alone can read vouches for every byte of it and for the name
//! it is kept under. The entry is read into memory whole and verified there; what is on disk
//! afterwards does not matter. A cache that cannot be read or written is never an error.
//!
//! How entries are sealed is `userdir::sealed`'s affair.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::machine_code::MachineCode;
#[cfg(target_os = "linux")]
use super::machine_code::MachineCodeFile;
use super::set::CacheDir;
use crate::kb::{PathError, PluginDigest};
use crate::userdir::sealed::{Kind, Loaded, SealedDir};

/// To be raised when the layout of an entry changes.
const FORMAT: &[u8] = b"kbhost compiled component 2";

/// Entries kept: each converter of the last few versions of this program.
const ENTRIES_MAX: usize = 32;

/// The cache of one user, opened.
#[derive(Debug)]
pub(super) struct CompileCache(SealedDir);

impl CompileCache {
    /// Opens the cache; without one, or with one that cannot be trusted, components are compiled
    /// each time.
    pub(super) fn open(dir: &CacheDir) -> Option<Self> {
        SealedDir::open(dir.0.as_deref()?, Kind::Compiled)
            .inspect_err(|error| tell("compiled plugins are not cached", error))
            .ok()
            .map(Self)
    }

    /// The compiled component, if the cache has it and it is authentic.
    pub(super) fn load(&self, engine: &Engine, digest: &PluginDigest) -> Option<Component> {
        let name = entry_name(engine, digest);
        // Mapped where that is possible: copying costs half of a start.
        #[cfg(target_os = "linux")]
        if let Ok(loaded) = self.0.load_file(&name) {
            let component = sound(&name, loaded)
                .map(MachineCodeFile::vouched_for)
                .map(|code| code.load(engine));
            match component {
                None => return None,
                Some(Ok(component)) => return Some(component),
                Some(Err(error)) => tracing::debug!("compiled code is not mapped: {error:#}"),
            }
        }
        let loaded = self
            .0
            .load(&name)
            .inspect_err(|error| tell("a compiled plugin cannot be read", error));
        MachineCode::vouched_for(sound(&name, loaded.ok()?)?)
            .load(engine)
            .inspect_err(|error| {
                tracing::warn!(
                    entry = name,
                    "a compiled plugin cannot be loaded: {error:#}"
                );
            })
            .ok()
    }

    /// Keeps a compiled component.
    pub(super) fn store(&self, engine: &Engine, digest: &PluginDigest, code: &MachineCode) {
        let kept = self.0.store(&entry_name(engine, digest), code.bytes());
        if let Err(error) = kept.and_then(|()| self.0.entries().prune(ENTRIES_MAX)) {
            tell("a compiled plugin cannot be kept", &error);
        }
    }
}

/// What an entry holds, if this user's key vouches for it.
fn sound<T>(name: &str, loaded: Loaded<T>) -> Option<T> {
    match loaded {
        Loaded::Sound(code) => Some(code),
        Loaded::Missing => None,
        Loaded::Damaged => {
            tracing::warn!(
                entry = name,
                "a compiled plugin is damaged or not ours: compiling again"
            );
            None
        }
    }
}

/// The name of an entry: which component, compiled by what, kept how.
fn entry_name(engine: &Engine, digest: &PluginDigest) -> String {
    let mut hasher = Sha256Hasher(Sha256::new());
    hasher.write(FORMAT);
    hasher.write(digest.0.as_bytes());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    let name = hasher.0.finalize();
    let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}.cwasm")
}

/// Feeds what an engine hashes into SHA-256.
struct Sha256Hasher(Sha256);

impl Hasher for Sha256Hasher {
    fn write(&mut self, bytes: &[u8]) {
        // Neighbours must not run together.
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest: [u8; 32] = self.0.clone().finalize().into();
        let (head, _) = digest.split_first_chunk().expect("32 bytes hold 8");
        u64::from_le_bytes(*head)
    }
}

/// Tells who asks: a cache that cannot be used costs time, and would be told with every command.
fn tell(what: &str, error: &PathError) {
    tracing::info!("{what}: {error}: {}", error.source);
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        reason = "tampering in a temporary directory"
    )]

    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    use super::super::compile;
    use super::*;
    use crate::kb::ContentHash;

    const DIRECTORY: &str = "compiled";
    const KEY_FILE: &str = "compiled.key";
    const KEY_BYTES: usize = 32;
    const SEAL_BYTES: usize = 32;

    const TEXT: &str = r#"(component (core module (func (export "f") (result i32) i32.const 7)))"#;

    struct Rig {
        _temporary: tempfile::TempDir,
        dir: PathBuf,
        engine: Engine,
        digest: PluginDigest,
    }

    impl Rig {
        /// A cache that holds one entry.
        fn new() -> Self {
            let temporary = tempfile::tempdir().unwrap();
            let rig = Self {
                dir: temporary.path().join("cache"),
                _temporary: temporary,
                engine: Engine::default(),
                digest: PluginDigest(ContentHash::of(TEXT.as_bytes())),
            };
            let wasm = wat::parse_str(TEXT).unwrap();
            let code = compile::compile(&rig.engine, &wasm, true).unwrap();
            rig.cache().store(&rig.engine, &rig.digest, &code);
            assert!(rig.hit(), "the fixture itself");
            rig
        }

        fn cache(&self) -> CompileCache {
            CompileCache::open(&CacheDir(Some(self.dir.clone()))).unwrap()
        }

        fn hit(&self) -> bool {
            self.cache().load(&self.engine, &self.digest).is_some()
        }

        fn entry(&self) -> PathBuf {
            let mut entries = std::fs::read_dir(self.dir.join(DIRECTORY)).unwrap();
            let entry = entries.next().unwrap().unwrap().path();
            assert!(entries.next().is_none());
            entry
        }

        fn tamper(&self, change: impl FnOnce(&mut Vec<u8>)) {
            let mut bytes = std::fs::read(self.entry()).unwrap();
            change(&mut bytes);
            std::fs::write(self.entry(), bytes).unwrap();
        }
    }

    #[test]
    fn any_change_of_an_entry_is_noticed() {
        let check = |what: &str, change: fn(&mut Vec<u8>)| {
            let rig = Rig::new();
            rig.tamper(change);
            assert!(!rig.hit(), "{what}");
        };
        check("the first bit of the code", |entry| entry[0] ^= 1);
        check("the last bit of the code", |entry| {
            let at = entry.len() - SEAL_BYTES - 1;
            entry[at] ^= 128;
        });
        check("a bit of the seal", |entry| *entry.last_mut().unwrap() ^= 1);
        check("cut", |entry| entry.truncate(entry.len() - 1));
        check("longer", |entry| entry.push(0));
        check("as long as a seal", |entry| entry.truncate(SEAL_BYTES));
        check("shorter than a seal", |entry| {
            entry.truncate(SEAL_BYTES - 1)
        });
        check("empty", Vec::clear);
    }

    #[test]
    fn an_entry_counts_only_under_its_own_name() {
        let rig = Rig::new();
        let other = PluginDigest(ContentHash::of(b"other"));
        assert!(rig.cache().load(&rig.engine, &other).is_none());
        let name = entry_name(&rig.engine, &other);
        std::fs::copy(rig.entry(), rig.entry().with_file_name(name)).unwrap();
        assert!(rig.cache().load(&rig.engine, &other).is_none(), "renamed");
    }

    #[test]
    fn another_engine_has_other_entries() {
        let rig = Rig::new();
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config).unwrap();
        assert_ne!(
            entry_name(&engine, &rig.digest),
            entry_name(&rig.engine, &rig.digest)
        );
        assert!(rig.cache().load(&engine, &rig.digest).is_none());
    }

    #[test]
    fn another_key_vouches_for_nothing() {
        let rig = Rig::new();
        let key = rig.dir.join(KEY_FILE);
        assert_eq!(
            std::fs::metadata(&key).unwrap().permissions().mode() & 0o777,
            0o600
        );
        let old = std::fs::read(&key).unwrap();
        assert_ne!(old, [0; KEY_BYTES]);
        for wrong in [&[7; KEY_BYTES][..], b"short", b""] {
            std::fs::write(&key, wrong).unwrap();
            assert!(!rig.hit(), "{wrong:?}");
            assert_eq!(std::fs::read(&key).unwrap().len(), KEY_BYTES);
        }
        std::fs::write(&key, old).unwrap();
        assert!(rig.hit());
    }

    #[test]
    fn a_cache_that_cannot_be_used_is_no_error() {
        let check = |dir: Option<&Path>| {
            assert!(CompileCache::open(&CacheDir(dir.map(Path::to_owned))).is_none());
        };
        check(None);
        check(Some(Path::new("/dev/null/cache")));
        let temporary = tempfile::tempdir().unwrap();
        std::fs::set_permissions(temporary.path(), PermissionsExt::from_mode(0o777)).unwrap();
        check(Some(temporary.path()));
    }
}
