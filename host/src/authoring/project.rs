//! `plugin new`: a project that builds, with a small converter that works.

use std::path::{Path, PathBuf};

use super::files;
use crate::kb::PathError;

/// The languages that there is a project for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Language {
    /// Built by cargo.
    #[default]
    Rust,
    /// Built by componentize-py.
    Python,
}

/// The contract, as it is published.
const WIT: &str = include_str!("../../../wit/v0.1.0/types.wit");

/// A template: its path in the project and its text, in which `{{name}}` and the like are replaced.
type Template = (&'static str, &'static str);

const COMMON: [Template; 5] = [
    ("wit/types.wit", WIT),
    (
        "kbhost-plugin.toml",
        include_str!("../../templates/plugin/common/kbhost-plugin.toml.in"),
    ),
    (
        "README.md",
        include_str!("../../templates/plugin/common/README.md.in"),
    ),
    (
        "tests/golden/input/sample.kv",
        include_str!("../../templates/plugin/common/sample.kv"),
    ),
    (
        "tests/golden/expected/sample.kv.md",
        include_str!("../../templates/plugin/common/sample.kv.md"),
    ),
];

const RUST: [Template; 3] = [
    (
        "Cargo.toml",
        include_str!("../../templates/plugin/rust/Cargo.toml.in"),
    ),
    (
        "src/lib.rs",
        include_str!("../../templates/plugin/rust/lib.rs"),
    ),
    (
        ".gitignore",
        include_str!("../../templates/plugin/rust/gitignore"),
    ),
];

const PYTHON: [Template; 3] = [
    (
        "app.py",
        include_str!("../../templates/plugin/python/app.py"),
    ),
    (
        "requirements.txt",
        include_str!("../../templates/plugin/python/requirements.txt"),
    ),
    (
        ".gitignore",
        include_str!("../../templates/plugin/python/gitignore"),
    ),
];

/// How a Python project gets its tool, for its README.
const PYTHON_SETUP: &str = "```\npython3 -m venv .venv\n.venv/bin/pip install -r requirements.txt\n\
                            ```\n\n";

impl Language {
    fn templates(self) -> impl Iterator<Item = Template> {
        let own = match self {
            Self::Rust => RUST,
            Self::Python => PYTHON,
        };
        COMMON.into_iter().chain(own)
    }

    /// The file with the converter.
    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::Rust => "src/lib.rs",
            Self::Python => "app.py",
        }
    }

    fn setup(self) -> &'static str {
        match self {
            Self::Rust => "",
            Self::Python => PYTHON_SETUP,
        }
    }
}

/// A project that was made.
#[derive(Debug)]
pub(crate) struct Project {
    /// Where.
    pub(crate) dir: PathBuf,
    /// Its files, relative, sorted.
    pub(crate) files: Vec<&'static str>,
}

/// Makes the project of the plugin `name`, a valid name, in `dir`; `None` if something is there.
///
/// # Errors
/// If the system refuses; nothing is left behind then.
pub(crate) fn create(
    name: &str,
    language: Language,
    dir: &Path,
) -> Result<Option<Project>, PathError> {
    let texts: Vec<(&'static str, String)> = language
        .templates()
        .map(|(path, text)| (path, filled(text, name, language)))
        .collect();
    let dir = std::path::absolute(dir).map_err(|error| PathError::new("find", dir, error))?;
    if !files::create_project(&dir, &texts)? {
        return Ok(None);
    }
    let mut files: Vec<&'static str> = texts.iter().map(|(path, _)| *path).collect();
    files.sort_unstable();
    Ok(Some(Project { dir, files }))
}

fn filled(text: &str, name: &str, language: Language) -> String {
    text.replace("{{name}}", name)
        .replace("{{source}}", language.source())
        .replace("{{setup}}", language.setup())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::Manifest;

    #[test]
    fn a_project_is_filled_in_and_its_manifest_is_valid() {
        let dir = tempfile::tempdir().unwrap();
        for language in [Language::Rust, Language::Python] {
            let target = dir.path().join(format!("{language:?}"));
            let project = create("my-kv", language, &target).unwrap().unwrap();
            assert!(project.files.contains(&language.source()));
            for file in &project.files {
                let text = std::fs::read_to_string(project.dir.join(file)).unwrap();
                assert!(!text.contains("{{"), "{file}: {text}");
            }
            let manifest = Manifest::read(&project.dir).unwrap();
            assert_eq!(manifest.name, "my-kv");
            assert_eq!(manifest.component(&target), target.join("my-kv.wasm"));
            assert!(create("my-kv", language, &target).unwrap().is_none());
        }
    }
}
