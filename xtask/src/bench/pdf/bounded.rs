//! Programs that may not end by themselves: both outputs go to files, and time is up some day.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::process;

/// How often a running program is looked at.
const POLL: Duration = Duration::from_millis(2);

/// What a program wrote is read up to here: more is no text of a document.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;

/// What a program did.
#[derive(Debug)]
pub(super) struct Ran {
    /// `None`: its time was up.
    pub(super) status: Option<ExitStatus>,
    pub(super) wall: Duration,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Runs in `dir`, which holds the outputs, and ends it after `wall_max`.
///
/// # Errors
/// If it cannot be started or its outputs cannot be had.
pub(super) fn run(command: &mut Command, dir: &Path, wall_max: Duration) -> Result<Ran> {
    let (out, err) = (dir.join("stdout"), dir.join("stderr"));
    let create = |path: &Path| File::create(path).map_err(Failure::io("create", path));
    command
        .stdin(Stdio::null())
        .stdout(create(&out)?)
        .stderr(create(&err)?);
    let started = Instant::now();
    let lost = |error| Failure::new(format!("lost a process: {error}"));
    let mut child = command.spawn().map_err(|error| {
        Failure::new(format!(
            "failed to run `{}`: {error}",
            process::describe(command)
        ))
    })?;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(lost)? {
            break Some(status);
        }
        if started.elapsed() > wall_max {
            child.kill().map_err(lost)?;
            child.wait().map_err(lost)?;
            break None;
        }
        std::thread::sleep(POLL);
    };
    let wall = started.elapsed();
    Ok(Ran {
        status,
        wall,
        stdout: read(&out)?,
        stderr: read(&err)?,
    })
}

/// The text of a file, as far as it is text and not beyond the bound.
pub(super) fn read(path: &Path) -> Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(OUTPUT_BYTES_MAX).read_to_end(&mut bytes))
        .map_err(Failure::io("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let dir = std::env::temp_dir().join(format!("xtask-bounded-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let second = Duration::from_secs(30);
        let echo = run(Command::new("echo").arg("here"), &dir, second).unwrap();
        assert!(echo.status.is_some_and(|status| status.success()));
        assert_eq!((&*echo.stdout, &*echo.stderr), ("here\n", ""));
        let sleep = run(
            Command::new("sleep").arg("60"),
            &dir,
            Duration::from_millis(50),
        );
        let sleep = sleep.unwrap();
        assert!(sleep.status.is_none() && sleep.wall < second, "{sleep:?}");
        std::fs::remove_dir_all(dir).unwrap();
    }
}
