//! The cache of compiled components: an entry is machine code, so one that is not the user's own is
//! never run; and a cache that cannot be used stops nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use crate::support::{Env, Said, component};

/// A world with a cache of its own that holds the hostile component, compiled.
struct Rig {
    env: Env,
}

impl Rig {
    fn new() -> Self {
        let env = Env::empty();
        env.doc("a.hostile", "ok page");
        fs::create_dir(env.path("cache")).unwrap();
        mode(&env.path("cache"), 0o700);
        Self { env }
    }

    fn cache(&self) -> PathBuf {
        self.env.path("cache")
    }

    /// Converts, which must succeed whatever is in the cache; tells what was said and whether the
    /// component was compiled.
    fn convert(&self, plugin: &Path, options: &[&str]) -> (Said, bool) {
        let mut command = self
            .env
            .command(["convert", "docs/a.hostile", "-o", "out", "--force"]);
        let verbose = options.contains(&"-v");
        command
            .args(options)
            .arg("--plugin")
            .arg(plugin)
            .env("KBHOST_CACHE_DIR", self.cache());
        let said = self.env.finish(&mut command);
        assert_eq!(said.code, 0, "{said:?}");
        let page = fs::read_to_string(self.env.path("out/a.md")).unwrap();
        assert_eq!(page, "page");
        let compiled = said.stderr.contains("compile{");
        assert!(verbose || !compiled);
        (said, compiled)
    }

    /// Whether the component was compiled.
    fn compiles(&self) -> bool {
        self.convert(&component("hostile"), &["-v"]).1
    }

    fn entries(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.cache().join("compiled")) else {
            return Vec::new();
        };
        let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        entries
    }

    fn entry(&self) -> PathBuf {
        let entries = self.entries();
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries[0].clone()
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn entries_that_are_not_ours_are_ignored_and_replaced() {
    let rig = Rig::new();
    assert!(rig.compiles());
    assert!(!rig.compiles(), "the second time it is there");
    let (entry, good) = (rig.entry(), fs::read(rig.entry()).unwrap());
    let check = |what: &str, bytes: &[u8]| {
        fs::write(&entry, bytes).unwrap();
        let (said, _) = rig.convert(&component("hostile"), &[]);
        assert!(
            said.stderr.contains("damaged or not ours: compiling again"),
            "{what}: {said:?}"
        );
        assert_eq!(
            fs::read(&entry).unwrap().len(),
            good.len(),
            "{what}: not replaced"
        );
        assert!(!rig.compiles(), "{what}: the new entry is no good");
    };
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    check("first byte of code changed", &flipped(0));
    check("code changed", &flipped(good.len() / 2));
    check("last byte of code changed", &flipped(good.len() - 33));
    check("authentication changed", &flipped(good.len() - 1));
    check("cut", &good[..good.len() / 2]);
    check("shorter than the authentication", &good[..31]);
    check("empty", b"");
    check("longer", &[&good[..], b"x"].concat());
    check("authentication left out", &good[..good.len() - 32]);
    check("authentication alone", &good[good.len() - 32..]);
}

/// An entry is bound to its name: that of another component, vouched for by the same key, is none.
#[test]
fn entries_are_not_swapped() {
    let rig = Rig::new();
    let other = rig.env.path("other.wasm");
    let mut bytes = fs::read(component("hostile")).unwrap();
    // A custom section of one byte, its name of length 0: another component that does the same.
    bytes.extend([0, 1, 0]);
    fs::write(&other, bytes).unwrap();
    assert!(rig.compiles());
    let first = rig.entry();
    rig.convert(&other, &[]);
    let second = rig
        .entries()
        .into_iter()
        .find(|entry| *entry != first)
        .unwrap();
    let good = fs::read(&second).unwrap();
    fs::copy(&first, &second).unwrap();
    let (said, _) = rig.convert(&other, &[]);
    assert!(said.stderr.contains("damaged or not ours"), "{said:?}");
    assert_eq!(fs::read(&second).unwrap().len(), good.len());
    assert!(!rig.convert(&other, &["-v"]).1);
    assert!(!rig.compiles());
}

#[test]
fn another_key_vouches_for_nothing() {
    let rig = Rig::new();
    assert!(rig.compiles());
    let key = rig.cache().join("compiled.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    for wrong in [&[7; 32][..], b"short", b""] {
        fs::write(&key, wrong).unwrap();
        let (said, _) = rig.convert(&component("hostile"), &[]);
        assert!(said.stderr.contains("damaged or not ours"), "{said:?}");
        assert!(!rig.compiles(), "the entry is replaced");
    }
    // A key that others may have written vouches for nothing either.
    mode(&key, 0o666);
    rig.convert(&component("hostile"), &[]);
}

/// Converts with a cache that cannot be used: in silence, unless asked.
fn check_unused(rig: &Rig, reason: &str) {
    let (said, _) = rig.convert(&component("hostile"), &[]);
    assert!(!said.stderr.contains("cache"), "{said:?}");
    let (said, compiled) = rig.convert(&component("hostile"), &["-v"]);
    assert!(compiled, "{said:?}");
    assert!(
        said.stderr.contains("compiled plugins are not cached"),
        "{said:?}"
    );
    assert!(said.stderr.contains(reason), "{said:?}");
}

#[test]
fn a_cache_that_cannot_be_written_stops_nothing() {
    let rig = Rig::new();
    fs::remove_dir(rig.cache()).unwrap();
    fs::write(rig.cache(), "a file").unwrap();
    check_unused(&rig, "$ROOT/cache");
    assert_eq!(fs::read_to_string(rig.cache()).unwrap(), "a file");
}

#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    for bits in [0o770, 0o707, 0o777] {
        let rig = Rig::new();
        mode(&rig.cache(), bits);
        check_unused(&rig, "group or others may write to it");
        assert_eq!(fs::read_dir(rig.cache()).unwrap().count(), 0, "{bits:o}");
    }
    let rig = Rig::new();
    assert!(rig.compiles());
    mode(&rig.cache().join("compiled"), 0o770);
    check_unused(&rig, "group or others may write to it");
    let rig = Rig::new();
    fs::rename(rig.cache(), rig.env.path("elsewhere")).unwrap();
    symlink(rig.env.path("elsewhere"), rig.cache()).unwrap();
    check_unused(&rig, "$ROOT/cache");
}
