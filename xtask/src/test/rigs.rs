//! The tools the rigs want. As root on Debian they are installed; elsewhere they are asked for.

use std::path::Path;
use std::process::Command;

use crate::failure::{Failure, Result};
use crate::process;
use crate::test::ledger::Ending;

/// A program a rig runs, and the Debian package that brings it.
const TOOLS: [(&str, &str); 6] = [
    ("strace", "strace"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("setpriv", "util-linux"),
    ("losetup", "mount"),
    ("python3", "python3"),
];

/// What Python needs to make the environment that the example plugin is built in, and the package
/// that brings it: Debian's Python comes without.
const PYTHON_MODULES: [(&str, &str); 2] = [("venv", "python3-venv"), ("ensurepip", "python3-venv")];

/// Installs what is missing where that is allowed. What stays missing is no failure here: the test
/// that wants it says so.
///
/// # Errors
/// If installing fails although strictness asks for every rig.
pub(crate) fn install(strict: bool) -> Result<Ending> {
    if !cfg!(target_os = "linux") {
        let reason =
            "strace, setpriv and loop mounts are Linux's; only the portable tests run here";
        return Ok(Ending::NotRun(reason.to_owned()));
    }
    let missing = missing();
    if missing.is_empty() {
        return Ok(Ending::Passed);
    }
    let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    let line = format!("apt-get install {}", packages.join(" "));
    let debian = Path::new("/etc/debian_version").exists() && process::on_path("apt-get").is_some();
    if !(debian && process::is_root()) {
        return Ok(Ending::PassedWith(format!(
            "some rigs will be skipped; as root: {line}"
        )));
    }
    match apt_get(&packages) {
        Ok(()) => Ok(Ending::PassedWith(format!(
            "installed {}",
            packages.join(" ")
        ))),
        Err(failure) if strict => Err(failure),
        Err(failure) => Ok(Ending::PassedWith(format!(
            "some rigs will be skipped: {failure}"
        ))),
    }
}

fn missing() -> Vec<(&'static str, &'static str)> {
    let programs = TOOLS
        .into_iter()
        .filter(|(program, _)| process::on_path(program).is_none());
    let modules = PYTHON_MODULES.into_iter().filter(|(module, _)| {
        let import = format!("import {module}");
        !process::works(Command::new("python3").args(["-c", &import]))
    });
    let mut missing: Vec<_> = programs.chain(modules).collect();
    missing.dedup_by_key(|(_, package)| *package);
    missing
}

fn apt_get(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
        command
    };
    process::run(apt().arg("update"))?;
    process::run(
        apt()
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages),
    )?;
    match missing().first() {
        None => Ok(()),
        Some((program, package)) => Err(Failure::new(format!(
            "package `{package}` did not bring `{program}`"
        ))),
    }
}
