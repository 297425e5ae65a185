//! Where the kit runs: a private temporary directory with staging, the inputs, and canaries beside and
//! above all of it.

#![expect(
    clippy::disallowed_methods,
    reason = "the directory is private to this run and goes with it"
)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::SelftestError;
use super::canary::{Canaries, MARK};
use crate::kb::PathError;
use crate::prepare::StagingRoot;

/// The canary above all.
const ABOVE: &str = "kbhost-canary-above.txt";

/// The directory with all that is in it.
#[derive(Debug)]
pub(super) struct Scene {
    dir: tempfile::TempDir,
    pub(super) staging: StagingRoot,
    canaries: Canaries,
}

impl Scene {
    /// Makes it. The canary above all is made last and removed first: who watches the process from
    /// outside knows by that when the kit runs.
    pub(super) fn set() -> Result<Self, SelftestError> {
        let dir = tempfile::Builder::new()
            .prefix("kbhost-selftest-")
            .tempdir()
            .map_err(|error| PathError::new("make a folder in", std::env::temp_dir(), error))?;
        let root = dir.path();
        for name in ["docs", "guests"] {
            let path = root.join(name);
            fs::create_dir(&path).map_err(|error| PathError::new("create", &path, error))?;
        }
        let staging = StagingRoot::open(&root.join("staging"))?;
        let mut canaries = Canaries::default();
        for folder in ["staging", ""] {
            let folder = root.join(folder).join(format!("{MARK}-beside"));
            canaries.add_folder(&folder)?;
            canaries.add_file(&folder.join(format!("{MARK}-inner")))?;
            canaries.add_folder(&folder.join(format!("{MARK}-deep")))?;
            canaries.add_file(&folder.join(format!("{MARK}-deep/{MARK}-leaf")))?;
        }
        // A folder that turns into a link leads here.
        canaries.add_file(&root.join(format!("{MARK}-beside/inner")))?;
        let link = root.join(format!("docs/{MARK}-link.png"));
        symlink(root.join(format!("{MARK}-beside/{MARK}-inner")), &link)
            .map_err(|error| PathError::new("create", &link, error))?;
        canaries.add_file(&root.join(ABOVE))?;
        canaries.settle()?;
        Ok(Self {
            dir,
            staging,
            canaries,
        })
    }

    /// Writes the input of a case.
    pub(super) fn input(&self, case: &str, line: &str) -> Result<PathBuf, SelftestError> {
        let path = self.dir.path().join("docs").join(format!("{case}.hostile"));
        fs::write(&path, line).map_err(|error| PathError::new("write", &path, error))?;
        Ok(path)
    }

    /// Writes a component.
    pub(super) fn guest(&self, name: &str, wasm: &[u8]) -> Result<PathBuf, SelftestError> {
        let path = self.dir.path().join("guests").join(format!("{name}.wasm"));
        fs::write(&path, wasm).map_err(|error| PathError::new("write", &path, error))?;
        Ok(path)
    }

    /// The folder of all staging directories.
    pub(super) fn staging_dir(&self) -> PathBuf {
        self.dir.path().join("staging")
    }

    /// A canary that is a folder, and a file in it.
    pub(super) fn canary(&self) -> (PathBuf, PathBuf) {
        let folder = self.dir.path().join(format!("{MARK}-beside"));
        let file = folder.join(format!("{MARK}-inner"));
        (folder, file)
    }

    /// Every path by which a component could name a canary: that of the host, those relative to its own
    /// directories and to none, and that beneath a folder which it should not have.
    pub(super) fn ways_to_canaries(&self) -> Vec<String> {
        let root = self.dir.path();
        let mut ways = Vec::new();
        for path in self.canaries.paths() {
            ways.push(path.display().to_string());
            let Ok(relative) = path.strip_prefix(root) else {
                continue;
            };
            let relative = relative.display();
            let bases = ["", "/", "../..", "/in/../../..", "/out/../../..", "/host"];
            ways.extend(bases.map(|base| format!("{base}/{relative}")));
        }
        ways.extend([root.display().to_string(), "/host".to_owned()]);
        ways
    }

    /// What is wrong with the scene after a case: canaries that changed, staging that is left. A canary
    /// counts from now on as it is: what one case did to it is not told of the next ones.
    pub(super) fn traces(&mut self) -> Result<Vec<String>, SelftestError> {
        let root = self.dir.path();
        let shown = |path: &Path| {
            let path = path.strip_prefix(root).unwrap_or(path);
            path.display().to_string()
        };
        let changed = self.canaries.changed().into_iter();
        let mut traces: Vec<String> = changed
            .map(|path| format!("{} was changed", shown(path)))
            .collect();
        self.canaries.accept();
        let staging = self.staging_dir();
        let failed = |error| PathError::new("read", &staging, error);
        for entry in fs::read_dir(&staging).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !name.starts_with(MARK) && !name.ends_with(".owner") {
                traces.push(format!("{} was left", shown(&path)));
            }
        }
        Ok(traces)
    }

    /// Removes everything.
    pub(super) fn strike(self) -> Result<(), SelftestError> {
        let path = self.dir.path().to_owned();
        // If somebody was faster, that has been told.
        drop(fs::remove_file(path.join(ABOVE)));
        drop(self.staging);
        self.dir
            .close()
            .map_err(|error| PathError::new("remove", path, error))?;
        Ok(())
    }
}
