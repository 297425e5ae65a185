//! Where things lie: the repository, its build output, the documents that demo and bench use.

use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::process;

/// One document in this many of the big corpus goes into the demo: enough to see, quick to convert.
pub(crate) const CORPUS_SAMPLE_STEP: usize = 10;

/// The repository and its build output.
#[derive(Debug)]
pub(crate) struct Repo {
    root: PathBuf,
    target: PathBuf,
}

impl Repo {
    /// Finds the repository this program was started in.
    ///
    /// # Errors
    /// If cargo cannot say where it builds.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest_dir
            .parent()
            .ok_or_else(|| Failure::new("xtask lies in no repository"))?
            .to_path_buf();
        let target = target_dir(&root)?;
        Ok(Self { root, target })
    }

    /// The repository's root directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target directory.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The binary users get; there after [`Repo::build_release`].
    pub(crate) fn release_binary(&self) -> PathBuf {
        self.target
            .join("release")
            .join(format!("kbhost{}", std::env::consts::EXE_SUFFIX))
    }

    /// Builds the release binary with the switches of the rigs in it and puts it at `to`: to compare
    /// parts of the product with what it would be without them.
    ///
    /// # Errors
    /// If it does not build.
    pub(crate) fn build_release_of_rigs(&self, to: &Path) -> Result<()> {
        let mut build = process::cargo();
        build.args(["build", "--release", "--package", "kbhost"]);
        build.args(["--features", "kbhost/fault-points"]);
        process::run(build.current_dir(&self.root))?;
        if let Some(folder) = to.parent() {
            std::fs::create_dir_all(folder).map_err(Failure::io("create", folder))?;
        }
        let built = self.release_binary();
        std::fs::copy(&built, to).map_err(Failure::io("copy", &built))?;
        Ok(())
    }

    /// Builds the binary users get: no feature of the test rigs is on.
    ///
    /// # Errors
    /// If it does not build.
    pub(crate) fn build_release(&self) -> Result<()> {
        let mut build = process::cargo();
        build.args([
            "build",
            "--release",
            "--package",
            "kbhost",
            "--bin",
            "kbhost",
        ]);
        process::run(build.current_dir(&self.root))
    }

    /// The documents in the repository.
    pub(crate) fn example_docs(&self) -> PathBuf {
        self.root.join("examples/docs")
    }

    /// The folder of long PDFs beside the repository, if there is one.
    pub(crate) fn corpus_long(&self) -> Option<PathBuf> {
        Some(self.corpus().join("long")).filter(|dir| dir.is_dir())
    }

    /// The folder of odd and malformed PDFs beside the repository, if there is one.
    pub(crate) fn corpus_robust(&self) -> Option<PathBuf> {
        Some(self.corpus().join("robust")).filter(|dir| dir.is_dir())
    }

    /// The folder of a corpus of PDFs with what they are to become, if there is one.
    pub(crate) fn corpus_of_pdfs(&self, name: &str) -> Option<PathBuf> {
        let dir = self.corpus().join("pdf").join(name);
        Some(dir).filter(|dir| dir.join("pdf").is_dir() && dir.join("gt").is_dir())
    }

    /// The PDFs beside the repository, sorted; none if there is no corpus.
    ///
    /// # Errors
    /// If a directory that is there cannot be read.
    pub(crate) fn corpus_pdfs(&self) -> Result<Vec<PathBuf>> {
        let pdf = self.corpus().join("pdf");
        if !pdf.is_dir() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for set in entries(&pdf)? {
            let documents = set.join("pdf");
            if documents.is_dir() {
                files.extend(
                    entries(&documents)?
                        .into_iter()
                        .filter(|path| has_pdf_name(path)),
                );
            }
        }
        files.sort();
        Ok(files)
    }

    fn corpus(&self) -> PathBuf {
        self.root.join("../shared/corpus")
    }
}

/// The entries of a directory, sorted.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn entries(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(dir)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<std::io::Result<Vec<_>>>()
        })
        .map_err(Failure::io("read", dir))?;
    paths.sort();
    Ok(paths)
}

/// Every file beneath `dir`, sorted by path; build output and hidden directories are left out.
///
/// # Errors
/// If a directory cannot be read.
pub(crate) fn files_beneath(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in entries(dir)? {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_symlink() {
            continue;
        }
        if path.is_file() {
            files.push(path);
        } else if name != "target" && !name.starts_with('.') {
            files.extend(files_beneath(&path)?);
        }
    }
    Ok(files)
}

/// Whether the file is named as a PDF.
pub(crate) fn has_pdf_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("pdf"))
}

fn target_dir(root: &Path) -> Result<PathBuf> {
    let mut metadata = process::cargo();
    metadata.args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]);
    let text = process::capture(metadata.current_dir(root))?;
    serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|value| value.get("target_directory")?.as_str().map(PathBuf::from))
        .ok_or_else(|| Failure::new("`cargo metadata` names no target directory"))
}
