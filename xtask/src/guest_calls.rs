//! The one place that calls the guest builder: says in this program's terms what it did.

use std::path::PathBuf;

use crate::failure::{Failure, Result};
use crate::guests;
use crate::repo::Repo;

/// What came of building the guests anew.
#[derive(Debug)]
pub(crate) enum Rebuilt {
    /// They were built.
    Built {
        /// Where the components lie.
        components: PathBuf,
        /// One sentence: compared with the checked-in ones, or why not.
        comparison: String,
    },
    /// No compiler for the target is here or can be made.
    NotPossible(String),
}

/// The folders of the workspaces of guests.
///
/// # Errors
/// If a guest is in none.
pub(crate) fn workspaces(repo: &Repo) -> Result<Vec<PathBuf>> {
    let workspaces = guests::workspaces(repo.root()).map_err(Failure::new)?;
    Ok(workspaces
        .into_iter()
        .map(|workspace| repo.root().join(workspace))
        .collect())
}

/// Builds the guests into `plugins/prebuilt`.
///
/// # Errors
/// If no compiler for the target can be had or the guests do not build.
pub(crate) fn build(repo: &Repo) -> Result<()> {
    guests::run(repo.root()).map_err(Failure::new)
}

/// Compares the manifest of the checked-in components with their bytes and with the sources.
///
/// # Errors
/// If they differ.
pub(crate) fn check_manifest(repo: &Repo) -> Result<()> {
    guests::check_manifest(repo.root()).map_err(Failure::new)
}

/// Builds the guests anew where that is possible and compares.
///
/// # Errors
/// If they do not build, or if their bytes differ although compiler, linker and libc are the
/// recorded ones.
pub(crate) fn rebuild_and_compare(repo: &Repo) -> Result<Rebuilt> {
    let report = guests::rebuild_and_compare(repo.root()).map_err(Failure::new)?;
    Ok(match report.components {
        Some(components) => Rebuilt::Built {
            components,
            comparison: report.comparison,
        },
        None => Rebuilt::NotPossible(report.comparison),
    })
}
