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

    /// What tells the binary where the service is, and the key.
    pub fn vars(&self) -> Vec<(&'static str, String)> {
        let mut vars = self.place().to_vec();
        vars.push(("PAGEINDEX_API_KEY", KEY.to_owned()));
        vars
    }

    /// What tells the binary where the service is, without the key.
    pub fn place(&self) -> [(&'static str, String); 2] {
        [
            ("KBHOST_PAGEINDEX_URL", self.server.url()),
            (
                "KBHOST_PAGEINDEX_IMAGE_HOSTS",
                format!("http://{}", self.server.image_host()),
            ),
        ]
    }

    /// The binary with the key and the service.
    pub fn command<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.env.command(args);
        command
            .env("PAGEINDEX_API_KEY", KEY)
            .env("KBHOST_TEST_BACKOFF_MS", "1")
            .envs(self.place());
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
