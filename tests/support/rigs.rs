//! What some tests need from the system: another user, a mount, a terminal. A rig that cannot run
//! here is skipped by name.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Env, shared_cache, skip};

/// The user and group `nobody` of most systems; any but root would do.
const NOBODY: u32 = 65534;

/// Whether this test runs as root: what permissions forbid proves nothing then.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is there.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// Commands of a user who may do nothing special.
pub struct Nobody {
    prefix: Vec<String>,
    binary: PathBuf,
    home: PathBuf,
    cache: PathBuf,
}

impl Nobody {
    /// Prepares `env` for another user, who owns nothing in it so far; `None` if that cannot be
    /// done here.
    pub fn in_env(env: &Env, rig: &str) -> Option<Self> {
        if !is_root() {
            // Whoever runs the tests is such a user.
            return Some(Self {
                prefix: Vec::new(),
                binary: PathBuf::from(env!("CARGO_BIN_EXE_kbhost")),
                home: env.path("home"),
                cache: shared_cache(),
            });
        }
        if !has("setpriv") {
            skip(rig, "setpriv is not installed");
            return None;
        }
        // Compiling takes long: the user gets what the tests have compiled.
        let warm = env.doc("warm.md", "# Warm\n");
        assert_eq!(env.run([OsStr::new("convert"), warm.as_os_str()]).code, 0);
        fs::remove_file(warm).unwrap();
        fs::set_permissions(env.root(), fs::Permissions::from_mode(0o755)).unwrap();
        let binary = env.path("kbhost");
        if !binary.exists() {
            fs::copy(env!("CARGO_BIN_EXE_kbhost"), &binary).unwrap();
        }
        let cache = env.path("nobodys-cache");
        copy_tree(&shared_cache(), &cache);
        let home = env.path("nobodys-home");
        fs::create_dir_all(&home).unwrap();
        for owned in [&cache, &home, &env.path("tmp")] {
            give(owned);
        }
        let id = NOBODY.to_string();
        Some(Self {
            prefix: vec![
                "setpriv".to_owned(),
                format!("--reuid={id}"),
                format!("--regid={id}"),
                "--clear-groups".to_owned(),
            ],
            binary,
            home,
            cache,
        })
    }

    /// A command of this user.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        env: &Env,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let words = self.prefix.iter().map(OsStr::new);
        let mut words = words.chain([self.binary.as_os_str()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(args);
        env.hermetic(&mut command);
        command
            .env("HOME", &self.home)
            .env("KBHOST_CONFIG_DIR", self.home.join(".config/kbhost"))
            .env("KBHOST_CACHE_DIR", &self.cache);
        command
    }
}

/// Gives a tree to the other user, if there is one.
pub fn give(path: &Path) {
    if !is_root() {
        return;
    }
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.symlink_metadata().unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

/// Copies the files of a tree, with their modes.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            copy_tree(&entry.path(), &target);
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), &target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
    fs::set_permissions(to, from.metadata().unwrap().permissions()).unwrap();
}

/// A mount that goes with the value.
pub struct Mount(PathBuf);

impl Mount {
    /// An empty file system of `size` (as `4m`) at `at`, which is made; `None` if that cannot be
    /// done here.
    pub fn tmpfs(at: &Path, size: &str, rig: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={size},mode=755");
        let args = ["-t", "tmpfs", "-o", &options, "tmpfs"];
        Self::make(at, rig, &args.map(OsStr::new))
    }

    /// What lies at `from` at `at` too, to be read only.
    pub fn read_only(from: &Path, at: &Path, rig: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mount = Self::make(at, rig, &[OsStr::new("--bind"), from.as_os_str()])?;
        mount.remount("bind,ro");
        Some(mount)
    }

    /// What lies at `from` at `at` too: for renames and links another file system.
    pub fn bind(from: &Path, at: &Path, rig: &str) -> Option<Self> {
        Self::make(at, rig, &[OsStr::new("--bind"), from.as_os_str()])
    }

    /// The file system in the file `image` at `at`, through a loop device that goes with the mount.
    pub fn image(image: &Path, at: &Path, options: &str, rig: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let options = format!("loop,{options}");
        let args = [OsStr::new("-o"), OsStr::new(&options), image.as_os_str()];
        Self::make(at, rig, &args)
    }

    /// Unmounts now: when this returns, what the file system had only in memory is gone.
    pub fn unmount(self) {
        let mount = std::mem::ManuallyDrop::new(self);
        let unmounted = || {
            let mut command = Command::new("umount");
            let status = command.arg(&mount.0).stderr(Stdio::null()).status();
            status.unwrap().success()
        };
        // A process that was killed lets go of its files a moment after its end was reported.
        super::wait::until("the mount is idle", unmounted);
    }

    fn make(at: &Path, rig: &str, args: &[&OsStr]) -> Option<Self> {
        let mounted = is_root()
            && Command::new("mount")
                .args(args)
                .arg(at)
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        if !mounted {
            skip(rig, "no right to mount");
            return None;
        }
        Some(Self(at.to_owned()))
    }

    /// Changes its options.
    pub fn remount(&self, options: &str) {
        let status = Command::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0)
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
        if let Err(error) = unmounted {
            eprintln!("umount {}: {error}", self.0.display());
        }
    }
}

/// Runs a command with a terminal of 100 columns as its standard output and error; what the
/// terminal got, and the exit code. `None` if there is no `script`.
pub fn on_a_terminal(env: &Env, line: &str, vars: &[(&str, &str)]) -> Option<(String, i32)> {
    answered_on_a_terminal(env, line, vars, "")
}

/// [`on_a_terminal`], where somebody types `answer`.
pub fn answered_on_a_terminal(
    env: &Env,
    line: &str,
    vars: &[(&str, &str)],
    answer: &str,
) -> Option<(String, i32)> {
    if !has("script") {
        skip("a terminal", "script is not installed");
        return None;
    }
    let binary = env!("CARGO_BIN_EXE_kbhost");
    let line = format!("stty cols 100 rows 30 -opost; exec '{binary}' {line}");
    let mut command = Command::new("script");
    env.hermetic(&mut command);
    command
        .args(["-q", "-e", "-c", &line, "/dev/null"])
        .env("TERM", "xterm-256color")
        .env("SHELL", "/bin/sh")
        .envs(vars.iter().copied());
    if answer.is_empty() {
        let said = env.finish(&mut command);
        return Some((said.stdout, said.code));
    }
    let mut child = env.spawn(command.stdin(Stdio::piped()));
    let mut typed = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut typed, answer.as_bytes()).unwrap();
    // The terminal hangs up with its input: it stays until the command is done.
    let said = env.wait(child);
    drop(typed);
    Some((said.stdout, said.code))
}
