//! Goal: the components that were built are the ones of these sources. Method: hash the sources and
//! the components again and compare with the manifest; a changed file must change the digest.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::repository;

#[path = "../xtask/src/sources_digest.rs"]
mod sources_digest;

use sources_digest::{sha256_hex, source_files, sources_digest};

/// The folder of a guest's sources, by its name.
fn folder(root: &Path, name: &str) -> String {
    ["plugins", "tests/guests", "examples/plugins"]
        .map(|parent| format!("{parent}/{name}"))
        .into_iter()
        .find(|folder| root.join(folder).is_dir())
        .unwrap_or_else(|| panic!("no sources of {name}"))
}

#[test]
fn prebuilt_components_are_of_these_sources() {
    let root = repository();
    let manifest = fs::read(root.join("plugins/prebuilt/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let components = manifest["components"].as_array().unwrap();
    assert!(components.len() >= 4, "{manifest}");
    for component in components {
        let name = component["name"].as_str().unwrap();
        let bytes = fs::read(
            root.join("plugins/prebuilt")
                .join(component["file"].as_str().unwrap()),
        )
        .unwrap();
        assert_eq!(
            sha256_hex(&bytes),
            component["sha256"],
            "{name}: run `cargo xtask guests`"
        );
        let sources = sources_digest(&root, &folder(&root, name)).unwrap();
        assert_eq!(
            sources, component["sources_sha256"],
            "{name}: run `cargo xtask guests`"
        );
    }
}

#[test]
fn a_changed_source_changes_the_digest() {
    let root = repository();
    let copy = tempfile::tempdir().unwrap();
    for file in source_files(&root, "plugins/markdown").unwrap() {
        let target = copy.path().join(&file);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(root.join(&file), target).unwrap();
    }
    let digest = |root: &Path| sources_digest(root, "plugins/markdown").unwrap();
    assert_eq!(digest(copy.path()), digest(&root));
    let changed = copy.path().join("wit/v0.1.0/types.wit");
    let text = fs::read_to_string(&changed).unwrap();
    fs::write(&changed, text + "\n").unwrap();
    assert_ne!(digest(copy.path()), digest(&root));
}
