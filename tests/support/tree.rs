//! Trees as values, to be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Every file beneath `raw/` and `wiki/` with its mode, its number of links and its digest;
/// directories with their mode.
pub fn tree(kb: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for top in ["raw", "wiki"] {
        walk(&kb.join(top), top, &mut found);
    }
    found
}

/// Every file and directory beneath `dir`, in the same form; but for the shared memory in which
/// SQLite's readers note that they read.
pub fn everything(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    walk(dir, "", &mut found);
    found.retain(|path, _| !path.ends_with("-shm"));
    found
}

fn walk(dir: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display())) {
        let entry = entry.unwrap();
        let name = format!("{prefix}/{}", entry.file_name().to_string_lossy());
        let metadata = entry.path().symlink_metadata().unwrap();
        let mode = metadata.mode() & 0o7777;
        if metadata.is_dir() {
            found.insert(name.clone(), format!("dir {mode:o}"));
            walk(&entry.path(), &name, found);
        } else if metadata.is_symlink() {
            found.insert(
                name,
                format!("link {}", fs::read_link(entry.path()).unwrap().display()),
            );
        } else if !metadata.is_file() {
            found.insert(name, "special".to_owned());
        } else {
            let digest = Sha256::digest(fs::read(entry.path()).unwrap());
            let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            found.insert(
                name,
                format!("file {mode:o} links {} {hex}", metadata.nlink()),
            );
        }
    }
}

/// What is left in staging and in the journal: nothing, after any command that ended by itself.
pub fn staging_entries(kb: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for dir in [".openkb/staging/prepare", ".openkb/kbhost/journal"] {
        let Ok(entries) = fs::read_dir(kb.join(dir)) else {
            continue;
        };
        left.extend(
            entries.map(|entry| format!("{dir}/{}", entry.unwrap().file_name().to_string_lossy())),
        );
    }
    left.sort();
    left
}
