//! `plugin build`: runs the tools of the project's language and puts the component where the manifest
//! names it. What the tools say goes to the author as it is.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use super::files;
use crate::kb::PathError;
use crate::plugin::{Manifest, PluginError, read_component};
use crate::userdir::credentials::PAGEINDEX_VARIABLE;

/// The target of every converter.
const TARGET: &str = "wasm32-wasip2";

/// A line of cargo's messages about an artifact; one that is longer is none.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;

/// How much the tools optimise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Quick to build.
    Dev,
    /// What is given to others.
    Release,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// Neither a Rust nor a Python project.
    #[error("build `{}`: it has neither `Cargo.toml` nor `app.py`", .0.display())]
    NoProject(PathBuf),
    /// A tool is not there.
    #[error("run `{}`", tool.display())]
    Tool {
        /// The program.
        tool: PathBuf,
        /// Why not.
        #[source]
        error: std::io::Error,
    },
    /// The compiler has no library for the target.
    #[error("build for {TARGET}: `{}` does not have this target", rustc.display())]
    Target {
        /// The compiler.
        rustc: PathBuf,
    },
    /// A tool ended with an error, which it told itself.
    #[error("build the plugin: `{}` ended with {status}", tool.display())]
    Failed {
        /// The program.
        tool: PathBuf,
        /// How it ended.
        status: ExitStatus,
    },
    /// cargo built no component.
    #[error("build the plugin: cargo built no `.wasm`; `crate-type` must be `[\"cdylib\"]`")]
    NoComponent,
    /// The manifest or the component cannot be used.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The component cannot be put in its place.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// A component that was built.
pub(crate) struct Built {
    /// Where it lies.
    pub(crate) path: PathBuf,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Whether it would be faster with [`Profile::Release`].
    pub(crate) is_slow: bool,
    /// What the folder says of it.
    pub(crate) manifest: Manifest,
}

/// Builds the project in `dir`.
///
/// # Errors
/// If it is no project, a tool is missing or fails, or the disk refuses.
pub(crate) fn build(dir: &Path, profile: Profile) -> Result<Built, BuildError> {
    let manifest = Manifest::read(dir)?;
    let path = manifest.component(dir);
    let (bytes, is_slow) = if dir.join("Cargo.toml").is_file() {
        let component = cargo(dir, profile)?;
        (read_component(&component)?, profile == Profile::Dev)
    } else if dir.join("app.py").is_file() {
        (python(dir)?, false)
    } else {
        return Err(BuildError::NoProject(dir.to_owned()));
    };
    files::write(&path, &bytes)?;
    Ok(Built {
        path,
        bytes,
        is_slow,
        manifest,
    })
}

/// A program that the environment may name.
fn tool(variable: &str, usual: &str) -> OsString {
    let named = std::env::var_os(variable).filter(|named| !named.is_empty());
    named.unwrap_or_else(|| usual.into())
}

fn missing(tool: &OsStr) -> impl FnOnce(std::io::Error) -> BuildError {
    move |error| BuildError::Tool {
        tool: tool.into(),
        error,
    }
}

/// Runs cargo; the file that it built.
fn cargo(dir: &Path, profile: Profile) -> Result<PathBuf, BuildError> {
    let rustc = tool("RUSTC", "rustc");
    if !has_target(&rustc, dir)? {
        return Err(BuildError::Target {
            rustc: rustc.into(),
        });
    }
    let cargo = tool("CARGO", "cargo");
    let mut command = Command::new(&cargo);
    command
        .args(["build", "--target", TARGET])
        .env_remove(PAGEINDEX_VARIABLE)
        .arg("--message-format=json-render-diagnostics")
        .args((profile == Profile::Release).then_some("--release"))
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().map_err(missing(&cargo))?;
    let messages = child.stdout.take().expect("stdout is piped");
    let artifact = artifact(messages);
    let status = child.wait().map_err(missing(&cargo))?;
    if !status.success() {
        return Err(BuildError::Failed {
            tool: cargo.into(),
            status,
        });
    }
    artifact.ok_or(BuildError::NoComponent)
}

/// Whether a compiler has the library of the target. Asked in the project, where cargo will run it: a
/// toolchain file there names another one.
fn has_target(rustc: &OsStr, dir: &Path) -> Result<bool, BuildError> {
    let output = Command::new(rustc)
        .args(["--print", "target-libdir", "--target", TARGET])
        .env_remove(PAGEINDEX_VARIABLE)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .map_err(missing(rustc))?;
    let dir = String::from_utf8_lossy(&output.stdout);
    Ok(output.status.success() && Path::new(dir.trim()).is_dir())
}

/// The last component of which cargo's messages tell. Reads all of them: cargo waits for whoever
/// does not.
fn artifact(messages: impl Read) -> Option<PathBuf> {
    let mut messages = BufReader::new(messages);
    let mut found = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut messages)
            .take(MESSAGE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        match read {
            Ok(0) | Err(_) => return found,
            Ok(_) => found = component_of(&line).or(found),
        }
    }
}

fn component_of(message: &[u8]) -> Option<PathBuf> {
    let message: serde_json::Value = serde_json::from_slice(message).ok()?;
    if message["reason"] != "compiler-artifact" {
        return None;
    }
    let files = message["filenames"].as_array()?;
    let mut files = files.iter().filter_map(serde_json::Value::as_str);
    files
        .find(|file| file.ends_with(".wasm"))
        .map(PathBuf::from)
}

/// Runs componentize-py, from the project's own environment or from the path; the component.
fn python(dir: &Path) -> Result<Vec<u8>, BuildError> {
    let own = dir.join(".venv/bin/componentize-py");
    let program: OsString = match std::path::absolute(&own) {
        Ok(own) if own.is_file() => own.into(),
        _ => "componentize-py".into(),
    };
    let scratch = tempfile::Builder::new()
        .prefix("kbhost-")
        .tempdir()
        .map_err(|error| PathError::new("make a folder in", std::env::temp_dir(), error))?;
    let out = scratch.path().join("component.wasm");
    let status = Command::new(&program)
        .args([
            "-d",
            "wit",
            "-w",
            "file-converter",
            "componentize",
            "app",
            "-o",
        ])
        .arg(&out)
        .env_remove(PAGEINDEX_VARIABLE)
        .current_dir(dir)
        .stdin(Stdio::null())
        // stdout is for data: what the tool says there belongs to what it says.
        .stdout(std::io::stderr())
        .status()
        .map_err(missing(&program))?;
    if !status.success() {
        return Err(BuildError::Failed {
            tool: program.into(),
            status,
        });
    }
    Ok(read_component(&out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_component_is_taken_from_cargo_s_messages() {
        let messages = concat!(
            "{\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/libother.rlib\"]}\n",
            "not json\n",
            "{\"reason\":\"compiler-artifact\",\"filenames\":[\"/t/a.d\",\"/t/kv.wasm\"]}\n",
            "{\"reason\":\"build-finished\",\"filenames\":[\"/t/x.wasm\"]}\n",
        );
        assert_eq!(
            artifact(messages.as_bytes()),
            Some(PathBuf::from("/t/kv.wasm"))
        );
        assert_eq!(artifact(&b"{}\n"[..]), None);
    }
}
