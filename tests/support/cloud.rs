//! A world with a service on loopback.

use std::ffi::OsStr;
use std::process::Command;

use kbhost_cloud_server::{Script, Server};

use super::{Env, Said};

/// The key of the service in tests: what must be found nowhere.
pub const KEY: &str = "pi-4fd8e1a09b7c46d2bd3e";

/// A world, and the service that it calls.
pub struct Cloud {
    pub env: Env,
    pub server: Server,
}

impl Cloud {
    /// A world with an empty KB.
    pub fn new(script: Script) -> Self {
        Self::of(Env::new(), script)
    }

    /// A given world.
    pub fn of(env: Env, script: Script) -> Self {
        let server = Server::start(script).unwrap();
        Self { env, server }
    }

    /// The binary with the key and the service.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.env.command(args);
        command
            .env("KBHOST_TEST_BACKOFF_MS", "1")
            .envs(self.server.variables());
        command
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Said {
        self.env.finish(&mut self.command(args))
    }

    /// Imports documents; fails the test if that fails.
    pub fn import(&self, ids: &[&str]) -> Said {
        let said = self.run(["add", "--from-pageindex-cloud"].iter().chain(ids));
        assert_eq!(said.code, 0, "{said:?}");
        said
    }
}
