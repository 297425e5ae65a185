//! `kbhost-plugin.toml`: what a folder with a plugin says of it, strict and versioned.
//!
//! Invariant: a manifest grants nothing. Name and version must be those that the component itself
//! says, and its limits are wishes within the host's maxima.

use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::answer::{is_name, is_version};
use super::{Limits, PluginError, named_file, stdio};

/// The manifest's file in the plugin's folder.
const MANIFEST: &str = "kbhost-plugin.toml";

/// Version of the format.
const FORMAT: u32 = 1;

/// A manifest has a dozen lines.
const MANIFEST_BYTES_MAX: u64 = 64 << 10;

/// Ten times the default: a scanned book may take minutes, nothing takes an hour.
const CPU_SECONDS_MAX: u64 = 600;

/// All that a component with 32-bit memories can address.
const MEMORY_MIB_MAX: u64 = 4_096;

/// Four times the default; staging lies on the disk of the knowledge base.
const OUTPUT_MIB_MAX: u64 = 4_096;

/// Ten times the default.
const OUTPUT_FILES_MAX: u64 = 100_000;

/// Limits that a plugin asks for; what it does not name keeps the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedLimits {
    /// CPU time of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<u64>,
    /// Memory of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u64>,
    /// Output of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_mib: Option<u64>,
    /// Files of output of one call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_files: Option<u64>,
}

impl WantedLimits {
    /// The limits that were named, with the key that a manifest gives them.
    #[must_use]
    pub fn named(&self) -> Vec<(&'static str, u64)> {
        self.all()
            .into_iter()
            .filter_map(|(key, value, _)| Some((key, value?)))
            .collect()
    }

    /// `limits` with what the plugin asked for.
    #[must_use]
    pub fn applied_to(&self, limits: &Limits) -> Limits {
        let bytes = |mib: Option<u64>, else_bytes: u64| mib.map_or(else_bytes, |mib| mib << 20);
        Limits {
            cpu_max: self.cpu_seconds.map_or(limits.cpu_max, Duration::from_secs),
            memory_bytes_max: bytes(self.memory_mib, limits.memory_bytes_max),
            output_bytes_max: bytes(self.output_mib, limits.output_bytes_max),
            output_files_max: self.output_files.unwrap_or(limits.output_files_max),
            input_bytes_max: limits.input_bytes_max,
        }
    }

    /// These wishes where `most` names nothing less, and those that it cuts: key, wish, grant. Who
    /// wishes for nothing wishes for the default.
    pub(crate) fn within(&self, most: &Self) -> (Self, Vec<(&'static str, u64, u64)>) {
        let usual = Limits::default();
        let mut granted = *self;
        let mut cut = Vec::new();
        for (key, max, grant, usual) in [
            (
                "cpu_seconds",
                most.cpu_seconds,
                &mut granted.cpu_seconds,
                usual.cpu_max.as_secs(),
            ),
            (
                "memory_mib",
                most.memory_mib,
                &mut granted.memory_mib,
                usual.memory_bytes_max >> 20,
            ),
            (
                "output_mib",
                most.output_mib,
                &mut granted.output_mib,
                usual.output_bytes_max >> 20,
            ),
            (
                "output_files",
                most.output_files,
                &mut granted.output_files,
                usual.output_files_max,
            ),
        ] {
            let wish = grant.unwrap_or(usual);
            if let Some(max) = max.filter(|max| wish > *max) {
                *grant = Some(max);
                cut.push((key, wish, max));
            }
        }
        (granted, cut)
    }

    /// Whether each is within the host's maxima.
    ///
    /// # Errors
    /// Which is not, as a sentence fragment.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (key, value, max) in self.all() {
            if value.is_some_and(|value| value == 0 || value > max) {
                return Err(format!("`{key}` must be from 1 to {max}"));
            }
        }
        Ok(())
    }

    fn all(&self) -> [(&'static str, Option<u64>, u64); 4] {
        [
            ("cpu_seconds", self.cpu_seconds, CPU_SECONDS_MAX),
            ("memory_mib", self.memory_mib, MEMORY_MIB_MAX),
            ("output_mib", self.output_mib, OUTPUT_MIB_MAX),
            ("output_files", self.output_files, OUTPUT_FILES_MAX),
        ]
    }
}

/// A manifest that was read and is well-formed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    format: u32,
    /// The plugin's name.
    pub(crate) name: String,
    /// The plugin's version.
    pub(crate) version: String,
    component: String,
    /// What it asks for.
    #[serde(default)]
    pub(crate) limits: WantedLimits,
}

impl Manifest {
    fn parse(text: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        if manifest.format != FORMAT {
            return Err(format!("format {} is not {FORMAT}", manifest.format));
        }
        if !is_name(&manifest.name) {
            return Err("`name` may have a-z, 0-9 and -, at most 64".to_owned());
        }
        if !is_version(&manifest.version) {
            return Err("`version` is no semantic version".to_owned());
        }
        let mut parts = Path::new(&manifest.component).components();
        let plain = matches!(
            (parts.next(), parts.next()),
            (Some(Component::Normal(_)), None)
        );
        if !plain || !manifest.component.ends_with(".wasm") {
            return Err("`component` is no name of a .wasm file in the same folder".to_owned());
        }
        manifest.limits.check()?;
        Ok(manifest)
    }

    /// Reads the manifest in the folder `dir`.
    ///
    /// # Errors
    /// If it cannot be read or is not well-formed.
    pub(crate) fn read(dir: &Path) -> Result<Self, PluginError> {
        let path = dir.join(MANIFEST);
        let wrong = |reason: String| PluginError::Manifest {
            path: path.clone(),
            reason: stdio::line(&reason),
        };
        let bytes = named_file::read(&path, MANIFEST_BYTES_MAX, wrong)?;
        let text = String::from_utf8(bytes).map_err(|_| wrong("it is no UTF-8".to_owned()))?;
        Self::parse(&text).map_err(wrong)
    }

    /// The component that the manifest in `dir` names.
    pub(crate) fn component(&self, dir: &Path) -> PathBuf {
        dir.join(&self.component)
    }

    /// Compares with what the component says of itself.
    ///
    /// # Errors
    /// If name or version differ.
    pub(crate) fn agree(&self, dir: &Path, name: &str, version: &str) -> Result<(), PluginError> {
        if self.name == name && self.version == version {
            return Ok(());
        }
        Err(PluginError::Manifest {
            path: dir.join(MANIFEST),
            reason: format!(
                "it says `{} {}`, the component says `{name} {version}`",
                self.name, self.version
            ),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "format = 1\nname = \"sql\"\nversion = \"1.0.0\"\ncomponent = \"sql.wasm\"\n";

    #[test]
    fn a_manifest_is_strict() {
        let manifest = Manifest::parse(&format!("{GOOD}[limits]\ncpu_seconds = 600\n")).unwrap();
        assert_eq!(manifest.limits.named(), [("cpu_seconds", 600)]);
        let check = |from: &str, to: &str| {
            let text = GOOD.replace(from, to);
            assert_ne!(text, GOOD);
            Manifest::parse(&text).unwrap_err();
        };
        check("format = 1", "format = 2");
        check("format = 1", "");
        check("sql\"\nv", "SQL\"\nv");
        check("1.0.0", "1.0");
        check("sql.wasm", "../sql.wasm");
        check("sql.wasm", "/sql.wasm");
        check("sql.wasm", "..");
        check("sql.wasm", "sql.so");
        check("format = 1", "format = 1\nmore = 1");
        for limit in [
            "cpu_seconds = 601",
            "memory_mib = 0",
            "files = 1",
            "output_mib = -1",
        ] {
            Manifest::parse(&format!("{GOOD}[limits]\n{limit}\n")).unwrap_err();
        }
    }

    #[test]
    fn a_policy_cuts_wishes_and_defaults() {
        let wanted = WantedLimits {
            memory_mib: Some(4_096),
            output_files: Some(7),
            ..WantedLimits::default()
        };
        let most = WantedLimits {
            cpu_seconds: Some(1),
            memory_mib: Some(64),
            output_files: Some(8),
            ..WantedLimits::default()
        };
        let (granted, cut) = wanted.within(&most);
        assert_eq!(
            granted.named(),
            [("cpu_seconds", 1), ("memory_mib", 64), ("output_files", 7)]
        );
        assert_eq!(cut, [("cpu_seconds", 60, 1), ("memory_mib", 4_096, 64)]);
        // More than the default is nothing that a plugin has to be granted.
        let wide = WantedLimits {
            memory_mib: Some(2_048),
            ..WantedLimits::default()
        };
        let silent = WantedLimits::default();
        assert_eq!(silent.within(&wide), (silent, Vec::new()));
        assert_eq!(
            wanted.within(&WantedLimits::default()),
            (wanted, Vec::new())
        );
    }

    #[test]
    fn wanted_limits_replace_those_they_name() {
        let wanted = WantedLimits {
            memory_mib: Some(1),
            output_files: Some(7),
            ..WantedLimits::default()
        };
        let limits = wanted.applied_to(&Limits::default());
        assert_eq!(limits.memory_bytes_max, 1 << 20);
        assert_eq!(limits.output_files_max, 7);
        assert_eq!(limits.cpu_max, Limits::default().cpu_max);
    }
}
