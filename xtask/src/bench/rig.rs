//! Runs the release binary under the clock: a home of its own, knowledge bases that come and go.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::failure::{Failure, Result};
use crate::process;

/// How often the memory of a running process is read. Its peak only grows, so what is missed is
/// what came in its last moments.
const MEMORY_POLL: Duration = Duration::from_millis(5);

/// What one run used.
#[derive(Debug)]
pub(crate) struct Used {
    /// From start to exit.
    pub(crate) wall: Duration,
    /// Largest resident set, where the system tells.
    pub(crate) memory_bytes_peak: Option<u64>,
}

/// The binary and the directory in which everything of a bench run lies.
#[derive(Debug)]
pub(crate) struct Rig {
    binary: PathBuf,
    dir: PathBuf,
}

impl Rig {
    /// Starts with an empty directory.
    ///
    /// # Errors
    /// If that cannot be had.
    pub(crate) fn new(binary: PathBuf, dir: PathBuf) -> Result<Self> {
        if dir.exists() {
            std::fs::remove_dir_all(&dir).map_err(Failure::io("remove", &dir))?;
        }
        let home = dir.join("home");
        std::fs::create_dir_all(&home).map_err(Failure::io("create", &home))?;
        Ok(Self { binary, dir })
    }

    /// A path within the bench directory.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The binary with a home of its own, so that no cache or setting of the user counts.
    pub(crate) fn kbhost(&self, args: &[&str]) -> Command {
        let home = self.dir.join("home");
        let mut command = Command::new(&self.binary);
        command.args(args).env("HOME", &home);
        command.env("KBHOST_CACHE_DIR", home.join("cache"));
        // A second run would measure the cache.
        command.env("KBHOST_NO_CACHE", "1");
        command.env("XDG_CONFIG_HOME", home.join("config"));
        for variable in ["KBHOST_KB", "OPENKB_DIR", "KBHOST_LOG", "SOURCE_DATE_EPOCH"] {
            command.env_remove(variable);
        }
        command
    }

    /// `kbhost add` of `inputs` into `kb`.
    pub(crate) fn add(&self, kb: &Path, inputs: &[PathBuf], jobs: u32) -> Command {
        let mut command = self.kbhost(&["add"]);
        command
            .args(inputs)
            .arg("--jobs")
            .arg(jobs.to_string())
            .arg("--kb-dir")
            .arg(kb);
        command
    }

    /// Makes an empty knowledge base; one of that name is removed first.
    ///
    /// # Errors
    /// If that fails.
    pub(crate) fn fresh_kb(&self, name: &str) -> Result<PathBuf> {
        let kb = self.dir.join(name);
        if kb.exists() {
            std::fs::remove_dir_all(&kb).map_err(Failure::io("remove", &kb))?;
        }
        process::capture(self.kbhost(&["init"]).arg(&kb))?;
        Ok(kb)
    }

    /// Removes prepared documents kept from an earlier run: they would be measured as conversions.
    /// Compiled components stay, as they do for a user.
    ///
    /// # Errors
    /// If they cannot be removed.
    pub(crate) fn forget_prepared(&self) -> Result<()> {
        let prepared = self.dir.join("home/cache/prepare");
        if prepared.exists() {
            std::fs::remove_dir_all(&prepared).map_err(Failure::io("remove", &prepared))?;
        }
        Ok(())
    }

    /// Runs and reads the memory while it runs. Some inputs may fail (exit code 1), nothing else.
    ///
    /// # Errors
    /// If the command cannot be started or ends otherwise.
    pub(crate) fn measure(&self, command: &mut Command) -> Result<Used> {
        let started = Instant::now();
        let mut child = spawn(command, Stdio::null())?;
        let mut memory_bytes_peak = None;
        let status = loop {
            memory_bytes_peak = resident_peak(child.id()).or(memory_bytes_peak);
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => std::thread::sleep(MEMORY_POLL),
                Err(error) => return Err(Failure::new(format!("lost a process: {error}"))),
            }
        };
        let wall = started.elapsed();
        accept(command, status)?;
        Ok(Used {
            wall,
            memory_bytes_peak,
        })
    }

    /// Runs without looking: the shortest times, in milliseconds.
    ///
    /// # Errors
    /// If the command cannot be started or fails.
    pub(crate) fn milliseconds(&self, command: &mut Command) -> Result<f64> {
        let started = Instant::now();
        let status = spawn(command, Stdio::null())?
            .wait()
            .map_err(|error| Failure::new(format!("lost a process: {error}")))?;
        let wall = started.elapsed();
        process::succeeded(command, status)?;
        Ok(wall.as_secs_f64() * 1e3)
    }

    /// Runs and returns standard error, which goes through a file: a pipe would slow it down.
    ///
    /// # Errors
    /// If the command cannot be started or ends with another code than 0 or 1.
    pub(crate) fn stderr(&self, command: &mut Command) -> Result<String> {
        let path = self.dir.join("stderr");
        let file = std::fs::File::create(&path).map_err(Failure::io("create", &path))?;
        let status = spawn(command, file.into())?
            .wait()
            .map_err(|error| Failure::new(format!("lost a process: {error}")))?;
        accept(command, status)?;
        let bytes = std::fs::read(&path).map_err(Failure::io("read", &path))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn spawn(command: &mut Command, stderr: Stdio) -> Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .map_err(|error| {
            Failure::new(format!(
                "failed to run `{}`: {error}",
                process::describe(command)
            ))
        })
}

fn accept(command: &Command, status: ExitStatus) -> Result<()> {
    if status.code() == Some(1) {
        Ok(())
    } else {
        process::succeeded(command, status)
    }
}

fn resident_peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    resident_peak_in(&status)
}

fn resident_peak_in(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_peak() {
        assert_eq!(
            resident_peak_in("Name:\tx\nVmHWM:\t    1204 kB\nVmRSS:\t 9 kB\n"),
            Some(1_232_896)
        );
        assert_eq!(resident_peak_in("Name:\tx\n"), None);
    }

    #[test]
    fn a_run_that_fails_is_an_error() {
        let dir = std::env::temp_dir().join(format!("xtask-rig-{}", std::process::id()));
        let check = |binary: &str, runs: bool| {
            let rig = Rig::new(PathBuf::from(binary), dir.clone()).unwrap();
            assert_eq!(
                rig.milliseconds(&mut rig.kbhost(&[])).is_ok(),
                runs,
                "{binary}"
            );
        };
        check("true", true);
        check("false", false);
        check("no-such-program-here", false);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
