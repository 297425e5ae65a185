//! `plugins/prebuilt/manifest.json`: what the checked-in components are and were built with.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{GuestError, Result};

/// Where the components are checked in, relative to the root.
pub(super) const PREBUILT: &str = "plugins/prebuilt";
const FILE_NAME: &str = "manifest.json";
/// The form of the manifest.
pub(super) const FORMAT: u32 = 1;

/// A media type and its extensions, as in a `description.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcceptedType {
    media_type: String,
    extensions: Vec<String>,
}

/// A plugin's `description.json`: what the component says of itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) accepts: Vec<AcceptedType>,
}

impl Description {
    /// Reads `folder/description.json`, which must speak of `name` and of the package's version.
    pub(super) fn read(folder: &Path, name: &str) -> Result<Self> {
        let version = package_version(folder)?;
        let path = folder.join("description.json");
        let bytes = std::fs::read(&path).map_err(GuestError::io("read", &path))?;
        let description: Self = serde_json::from_slice(&bytes).map_err(|error| {
            GuestError::new(format!("failed to read `{}`: {error}", path.display()))
        })?;
        if description.name != name || description.version != version {
            let path = path.display();
            let message = format!("`{path}` does not say `{name}` and `{version}`");
            return Err(GuestError::new(message));
        }
        Ok(description)
    }
}

/// The version in `folder/Cargo.toml`.
fn package_version(folder: &Path) -> Result<String> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).map_err(GuestError::io("read", &path))?;
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    let none = || GuestError::new(format!("`{}` has no version of its own", path.display()));
    version.map(str::to_owned).ok_or_else(none)
}

/// One component.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Component {
    pub(super) name: String,
    pub(super) version: String,
    /// Beside the manifest.
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) sources_sha256: String,
    pub(super) accepts: Vec<AcceptedType>,
    /// The world of the contract that it is a component of.
    pub(super) world: String,
    /// Whether the host embeds it; a guest of the tests is not.
    pub(super) embed: bool,
}

/// The manifest.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    pub(super) format: u32,
    /// First line of `rustc -vV`.
    pub(super) rustc: String,
    /// Digest of the standard library for the target, which some machines build themselves.
    pub(super) std: String,
    /// Digest of wasi-libc's `libc.a`.
    pub(super) wasi_libc: String,
    /// Versions of `wasm-component-ld` and of the linker it runs.
    pub(super) linker: String,
    pub(super) components: Vec<Component>,
}

impl Manifest {
    /// Reads the checked-in manifest.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(PREBUILT).join(FILE_NAME);
        let bytes = std::fs::read(&path).map_err(GuestError::io("read", &path))?;
        let manifest: Self = serde_json::from_slice(&bytes).map_err(|error| {
            GuestError::new(format!("failed to read `{}`: {error}", path.display()))
        })?;
        if manifest.format != FORMAT {
            let message = format!("`{}` has format {}", path.display(), manifest.format);
            return Err(GuestError::new(message));
        }
        Ok(manifest)
    }

    /// Writes the manifest into `folder`.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let path = folder.join(FILE_NAME);
        let mut text = serde_json::to_string_pretty(self).expect("plain data has a JSON form");
        text.push('\n');
        std::fs::write(&path, text).map_err(GuestError::io("write", &path))
    }

    /// The component of this name.
    pub(super) fn component(&self, name: &str) -> Option<&Component> {
        self.components
            .iter()
            .find(|component| component.name == name)
    }

    /// What `other` was built with that this was not, if anything.
    pub(super) fn built_otherwise(&self, other: &Self) -> Option<String> {
        let pairs = [
            ("compiler", &self.rustc, &other.rustc),
            ("standard library", &self.std, &other.std),
            ("wasi-libc", &self.wasi_libc, &other.wasi_libc),
            ("linker", &self.linker, &other.linker),
        ];
        let mut pairs = pairs.into_iter();
        let (what, recorded, found) = pairs.find(|(_, recorded, found)| recorded != found)?;
        Some(format!("{what} ({found}; recorded: {recorded})"))
    }
}
