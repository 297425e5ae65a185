//! Builds the guests into components and keeps the manifest of the checked-in ones.
//!
//! Invariant: bytes depend on sources, lock file, compiler, libc and linker only, never on where the
//! checkout or a home directory lies. Nothing here runs rustup.

mod manifest;
mod toolchain;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use manifest::{Component, Manifest, PREBUILT};
use toolchain::{Availability, TARGET, Toolchain};

use crate::sources_digest::{sha256_hex, sources_digest, workspace_of};

/// Why guests could not be built or do not match: one sentence.
#[derive(Debug)]
pub(crate) struct GuestError(String);

impl GuestError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// What was tried on which path; for use in `map_err`.
    fn io(verb: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |error| Self(format!("failed to {verb} `{}`: {error}", path.display()))
    }
}

impl fmt::Display for GuestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for GuestError {}

type Result<T> = std::result::Result<T, GuestError>;

/// A guest of this repository.
struct Guest {
    /// Name of the component, as it describes itself.
    name: &'static str,
    /// Its folder, relative to the root.
    folder: &'static str,
    /// File name of what cargo builds.
    artifact: &'static str,
    /// The world of the contract that it is a component of.
    world: &'static str,
    /// Whether the host embeds it.
    embed: bool,
}

const FILE_CONVERTER: &str = "kbhost:converter@0.1.0/file-converter";
const CLOUD_CONVERTER: &str = "kbhost:cloud@0.1.0/cloud-converter";

const GUESTS: [Guest; 7] = [
    Guest {
        name: "markdown",
        folder: "plugins/markdown",
        artifact: "kbhost_plugin_markdown.wasm",
        world: FILE_CONVERTER,
        embed: true,
    },
    Guest {
        name: "pdf",
        folder: "plugins/pdf",
        artifact: "kbhost_plugin_pdf.wasm",
        world: FILE_CONVERTER,
        embed: true,
    },
    Guest {
        name: "pageindex-cloud",
        folder: "plugins/pageindex-cloud",
        artifact: "kbhost_plugin_pageindex_cloud.wasm",
        world: CLOUD_CONVERTER,
        embed: true,
    },
    Guest {
        name: "hostile",
        folder: "tests/guests/hostile",
        artifact: "kbhost_test_hostile.wasm",
        world: FILE_CONVERTER,
        embed: false,
    },
    Guest {
        name: "hostile-cloud",
        folder: "tests/guests/hostile-cloud",
        artifact: "kbhost_test_hostile_cloud.wasm",
        world: CLOUD_CONVERTER,
        embed: false,
    },
    Guest {
        name: "contender",
        folder: "tests/guests/contender",
        artifact: "kbhost_test_contender.wasm",
        world: FILE_CONVERTER,
        embed: false,
    },
    Guest {
        name: "sql-schema",
        folder: "examples/plugins/sql-schema",
        artifact: "sql_schema.wasm",
        world: FILE_CONVERTER,
        embed: false,
    },
];

/// The guests of this checkout: those of the tests and examples may be absent.
fn guests(root: &Path) -> impl Iterator<Item = &'static Guest> {
    GUESTS
        .iter()
        .filter(move |guest| guest.embed || root.join(guest.folder).is_dir())
}

/// The folders of the workspaces of guests, relative to the root.
///
/// # Errors
/// If a guest is in none.
pub(crate) fn workspaces(root: &Path) -> Result<Vec<&'static str>> {
    let mut workspaces = Vec::new();
    for guest in guests(root) {
        let workspace =
            workspace_of(guest.folder).map_err(|error| GuestError::new(error.to_string()))?;
        if !workspaces.contains(&workspace) {
            workspaces.push(workspace);
        }
    }
    Ok(workspaces)
}

/// What a fresh build came to.
#[derive(Debug)]
pub(crate) struct Report {
    /// Where the fresh components lie; `None` if no toolchain is here or can be made.
    pub(crate) components: Option<PathBuf>,
    /// One sentence: compared with the checked-in ones, or why not.
    pub(crate) comparison: String,
}

/// Builds the guests into `plugins/prebuilt` and writes the manifest: `cargo xtask guests`.
///
/// # Errors
/// If no toolchain for the target can be had, or the guests do not build.
pub(crate) fn run(root: &Path) -> Result<()> {
    let out_dir = root.join(PREBUILT);
    let manifest = build(root, &out_dir, &toolchain::obtain(root)?)?;
    for component in &manifest.components {
        println!("{}  {}/{}", component.sha256, PREBUILT, component.file);
    }
    Ok(())
}

/// Compares the manifest with the bytes of the checked-in components and with the sources; hashes
/// files only.
///
/// # Errors
/// If something differs or is missing.
pub(crate) fn check_manifest(root: &Path) -> Result<()> {
    let manifest = Manifest::read(root)?;
    let mut stale = Vec::new();
    for guest in guests(root) {
        let Some(component) = manifest.component(guest.name) else {
            stale.push(format!("{} is not in the manifest", guest.name));
            continue;
        };
        let path = root.join(PREBUILT).join(&component.file);
        let bytes = std::fs::read(&path).map_err(GuestError::io("read", &path))?;
        if sha256_hex(&bytes) != component.sha256 {
            stale.push(format!(
                "{} is not the component that was recorded",
                component.file
            ));
        }
        if sources_of(root, guest)? != component.sources_sha256 {
            stale.push(format!(
                "the sources of {} changed after it was built",
                guest.name
            ));
        }
    }
    if stale.is_empty() {
        return Ok(());
    }
    let message = format!(
        "{PREBUILT} is stale: {}; run `cargo xtask guests`",
        stale.join(", ")
    );
    Err(GuestError::new(message))
}

/// Builds the guests anew beside the checked-in ones. Bytes are compared only when compiler, libc
/// and linker are the recorded ones.
///
/// # Errors
/// If the guests do not build, or bytes differ that must not.
pub(crate) fn rebuild_and_compare(root: &Path) -> Result<Report> {
    let toolchain = match toolchain::availability(root)? {
        Availability::Ready(toolchain) => toolchain,
        Availability::CanBeMade => toolchain::obtain(root)?,
        Availability::Missing => {
            let comparison = format!("guests not rebuilt: {}", toolchain::HOW_TO_GET);
            return Ok(Report {
                components: None,
                comparison,
            });
        }
    };
    let recorded = Manifest::read(root)?;
    let out_dir = root.join("target/guests-rebuilt");
    let fresh = build(root, &out_dir, &toolchain)?;
    let comparison = match recorded.built_otherwise(&fresh) {
        Some(difference) => format!("guests rebuilt, bytes not compared: another {difference}"),
        None => {
            let same = |component: &&Component| {
                let recorded = recorded.component(&component.name);
                recorded.is_none_or(|recorded| recorded.sha256 == component.sha256)
            };
            let differ: Vec<&str> = (fresh.components.iter())
                .filter(|component| !same(component))
                .map(|component| component.file.as_str())
                .collect();
            if !differ.is_empty() {
                let differ = differ.join(", ");
                let message = format!("rebuilt guests differ from {PREBUILT}: {differ}");
                return Err(GuestError::new(message));
            }
            format!("guests rebuilt: the same bytes as {PREBUILT}")
        }
    };
    Ok(Report {
        components: Some(out_dir),
        comparison,
    })
}

/// Builds every guest and writes components and manifest to `out_dir`.
fn build(root: &Path, out_dir: &Path, toolchain: &Toolchain) -> Result<Manifest> {
    let target_dir = root.join("target/guests").join(toolchain.short_name());
    for workspace in workspaces(root)? {
        build_workspace(root, &root.join(workspace), &target_dir, toolchain)?;
    }
    std::fs::create_dir_all(out_dir).map_err(GuestError::io("create", out_dir))?;
    let built = target_dir.join(TARGET).join("release");
    let mut components = Vec::new();
    for guest in guests(root) {
        components.push(install(root, guest, &built, out_dir)?);
    }
    let manifest = toolchain.manifest(components);
    manifest.write(out_dir)?;
    Ok(manifest)
}

/// Builds the guests of one workspace into `target_dir`.
fn build_workspace(
    root: &Path,
    workspace: &Path,
    target_dir: &Path,
    toolchain: &Toolchain,
) -> Result<()> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "build",
            "--workspace",
            "--release",
            "--locked",
            "--target",
            TARGET,
        ])
        .arg("--manifest-path")
        .arg(workspace.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        // A configuration file found from the working directory counts.
        .current_dir(workspace);
    toolchain.apply_to(&mut cargo, root)?;
    let status = cargo.status();
    let status =
        status.map_err(|error| GuestError::new(format!("failed to run cargo: {error}")))?;
    if !status.success() {
        return Err(GuestError::new("failed to build the guests"));
    }
    Ok(())
}

/// Copies one built component to `out_dir` and describes it.
fn install(root: &Path, guest: &Guest, built: &Path, out_dir: &Path) -> Result<Component> {
    let artifact = built.join(guest.artifact);
    let bytes = std::fs::read(&artifact).map_err(GuestError::io("read", &artifact))?;
    let file = format!("{}.wasm", guest.name);
    let installed = out_dir.join(&file);
    std::fs::write(&installed, &bytes).map_err(GuestError::io("write", &installed))?;
    let description = manifest::Description::read(&root.join(guest.folder), guest.name)?;
    Ok(Component {
        name: description.name,
        version: description.version,
        file,
        sha256: sha256_hex(&bytes),
        sources_sha256: sources_of(root, guest)?,
        accepts: description.accepts,
        world: guest.world.to_owned(),
        embed: guest.embed,
    })
}

fn sources_of(root: &Path, guest: &Guest) -> Result<String> {
    sources_digest(root, guest.folder).map_err(|error| GuestError::new(format!("read {error}")))
}
