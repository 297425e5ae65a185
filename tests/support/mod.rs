//! The hermetic environment of a test: its own home, clock and KB; the environment cleared; only
//! the cache of compiled components is shared, because compiling is slow and tested elsewhere.

pub mod cloud;
pub mod consistency;
pub mod corpus;
#[cfg(target_os = "linux")]
pub mod disk;
#[cfg(feature = "fault-points")]
pub mod oracle;
mod registry;
mod rigs;
#[cfg(target_os = "linux")]
mod seccomp;
pub mod strace;
#[cfg(feature = "fault-points")]
pub mod torture;
mod tree;
pub mod wait;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use registry::logical_registry;
pub use rigs::{
    Mount, Nobody, answered_on_a_terminal, copy_tree, give, has, is_root, on_a_terminal,
};
#[cfg(target_os = "linux")]
pub use seccomp::without_openat2;
pub use tree::{everything, staging_entries, tree};

/// 2025-06-15 15:06:40 UTC: log lines and records of every test carry it.
pub const EPOCH: &str = "1750000000";

/// One test's world.
pub struct Env {
    dir: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Exit code; -1 if a signal ended it.
    pub code: i32,
}

impl Env {
    /// A fresh world without a KB.
    pub fn empty() -> Self {
        Self::beneath(&std::env::temp_dir())
    }

    /// A fresh world with an empty KB, in memory where the system has a place for that: for rigs
    /// that kill processes by the hundred, or fill a KB with thousands of documents, and that no
    /// power cut follows.
    pub fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let env = match memory.metadata() {
            Ok(metadata) if metadata.is_dir() => Self::beneath(memory),
            _ => Self::empty(),
        };
        env.with_kb()
    }

    fn beneath(parent: &Path) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kbhost-test-")
            .tempdir_in(parent)
            .unwrap();
        for name in ["home", "tmp", "docs"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    /// A fresh world with an empty KB in `kb/`.
    pub fn new() -> Self {
        Self::empty().with_kb()
    }

    fn with_kb(self) -> Self {
        let said = self.run(["init", "kb"]);
        assert_eq!(said.code, 0, "{said:?}");
        self
    }

    /// The root of everything.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path beneath the root.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }

    /// The KB.
    pub fn kb(&self) -> PathBuf {
        self.path("kb")
    }

    /// A file of the KB as text.
    pub fn kb_text(&self, relative: &str) -> String {
        let path = self.kb().join(relative);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Writes an input document, with its folders.
    pub fn doc(&self, relative: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path("docs").join(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The binary with the environment of this world, run in its root, on the KB if there is one.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kbhost"));
        self.hermetic(&mut command);
        command.args(args);
        command
    }

    /// Gives a command this world's environment.
    pub fn hermetic(&self, command: &mut Command) {
        command
            .current_dir(self.root())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("LC_ALL", "C.UTF-8")
            .env("TZ", "UTC")
            .env("COLUMNS", "100")
            .env("SOURCE_DATE_EPOCH", EPOCH)
            .env("KBHOST_CACHE_DIR", shared_cache())
            // What a test sees of a converter is not what another test saw.
            .env("KBHOST_NO_CACHE", "1")
            .env("KBHOST_CONFIG_DIR", self.path("home/.config/kbhost"))
            .env("KBHOST_KB", self.kb())
            .stdin(Stdio::null());
    }

    /// Runs the binary to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        self.finish(&mut self.command(args))
    }

    /// Runs the binary with further environment variables.
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        vars: &[(&str, &str)],
        args: impl IntoIterator<Item = S>,
    ) -> Said {
        let mut command = self.command(args);
        command.envs(vars.iter().copied());
        self.finish(&mut command)
    }

    /// Runs a prepared command to its end; this world's root reads `$ROOT` in what it said.
    pub fn finish(&self, command: &mut Command) -> Said {
        let output = command.output().unwrap();
        self.said(output.status.code(), &output.stdout, &output.stderr)
    }

    /// Runs a prepared command that must end within `limit`: a hang is a failure, not a wait.
    pub fn finish_within(&self, limit: Duration, command: &mut Command) -> Said {
        let mut child = self.spawn(command);
        let deadline = Instant::now() + limit;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > deadline {
                child.kill().unwrap();
                panic!("no end after {limit:?}: {:?}", self.wait(child));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.wait(child)
    }

    /// Starts a command with its output captured.
    pub fn spawn(&self, command: &mut Command) -> Child {
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits for a started command.
    pub fn wait(&self, child: Child) -> Said {
        let output = child.wait_with_output().unwrap();
        self.said(output.status.code(), &output.stdout, &output.stderr)
    }

    /// The registry's rows as text: what counts, without times, ids and epochs.
    pub fn logical_registry(&self) -> String {
        logical_registry(&self.kb())
    }

    fn said(&self, code: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Said {
        let root = self.root().canonicalize().unwrap();
        let text = |bytes: &[u8]| {
            String::from_utf8_lossy(bytes)
                .replace(&root.display().to_string(), "$ROOT")
                .replace(&self.root().display().to_string(), "$ROOT")
        };
        Said {
            stdout: text(stdout),
            stderr: text(stderr),
            code: code.unwrap_or(-1),
        }
    }
}

/// The answer of a command with `--json`: one line, and nothing beside it.
pub fn json(said: &Said) -> serde_json::Value {
    assert_eq!(said.stderr, "", "{said:?}");
    assert_eq!(said.stdout.lines().count(), 1, "{said:?}");
    serde_json::from_str(&said.stdout).unwrap()
}

/// The compiled components that all tests share.
fn shared_cache() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kbhost-cache");
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    path
}

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// A component: rebuilt by the test command where that was possible, else the one checked in.
pub fn component(name: &str) -> PathBuf {
    let file = format!("{name}.wasm");
    match std::env::var_os("KBHOST_TEST_COMPONENTS") {
        Some(dir) => Path::new(&dir).join(file),
        None => repository().join("plugins/prebuilt").join(file),
    }
}

/// Notes that a rig cannot run here; under `KBHOST_TEST_STRICT=1` that is a failure.
pub fn skip(rig: &str, why: &str) {
    use std::io::Write as _;
    assert_ne!(
        std::env::var("KBHOST_TEST_STRICT").as_deref(),
        Ok("1"),
        "{rig} cannot run here: {why}"
    );
    let line = format!("skip: {rig}: {why}");
    if let Some(log) = std::env::var_os("KBHOST_TEST_SKIP_LOG") {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }
    eprintln!("{line}");
}

/// Tells what a rig did: how many cases, cuts, images, and what it measured. The test command prints
/// these lines at its end.
pub fn covered(line: &str) {
    use std::io::Write as _;
    if let Some(log) = std::env::var_os("KBHOST_TEST_COVERED_LOG") {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .unwrap();
        // One write: tests run side by side.
        file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
    eprintln!("{line}");
}

/// [`covered`] with a format.
#[macro_export]
macro_rules! covered {
    ($($part:tt)*) => {
        $crate::support::covered(&format!($($part)*))
    };
}

/// Compares a command's standard output, standard error and exit code with what was expected.
#[macro_export]
macro_rules! assert_said {
    ($said:expr, code: $code:expr, stdout: $stdout:expr, stderr: $stderr:expr $(,)?) => {{
        let said = $said;
        let expected = $crate::support::Said {
            stdout: $stdout.to_owned(),
            stderr: $stderr.to_owned(),
            code: $code,
        };
        assert!(
            said.stdout == expected.stdout
                && said.stderr == expected.stderr
                && said.code == expected.code,
            "--- said {}\n{}\n--- stderr\n{}\n=== expected {}\n{}\n--- stderr\n{}",
            said.code,
            said.stdout,
            said.stderr,
            expected.code,
            expected.stdout,
            expected.stderr
        );
    }};
}
