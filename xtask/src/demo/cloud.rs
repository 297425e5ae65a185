//! `cargo xtask demo cloud`: three documents of a service on loopback become pages, one fails, and the
//! key is looked for everywhere.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kbhost_cloud_server::{Call, Doc, Script, Server};

use super::{SOME_INPUTS_FAILED, remove_old};
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::{self, Repo};

/// The key of the service: nobody else's.
const KEY: &str = "pi-demo-81c5d7f2e94b4a06";

/// What is imported, and what fails.
const IDS: [&str; 3] = ["pi-tide", "pi-quay", "pi-broken"];

/// Lines of a page that are shown.
const LINES_SHOWN: usize = 40;

/// A world of its own: nothing of the user's is read or written.
struct World {
    binary: PathBuf,
    dir: PathBuf,
    server: Server,
    said: String,
}

/// Builds, serves, imports, shows.
///
/// # Errors
/// If a step fails, or the key is found where it must not be.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    println!("Building kbhost (release) ...");
    repo.build_release()?;
    let dir = repo.target().join("demo-cloud");
    remove_old(&dir.join("kb"))?;
    if dir.exists() {
        std::fs::remove_dir_all(&dir).map_err(Failure::io("remove", &dir))?;
    }
    let script = Script::new(KEY)
        .with("pi-tide", Doc::report("Tide tables 2026.pdf", 24))
        .with("pi-quay", Doc::report(r"C:\Users\Ada\Quay survey.pdf", 4))
        .with("pi-broken", Doc::report("Broken.pdf", 3).failing());
    let server = Server::start(script)
        .map_err(|error| Failure::new(format!("failed to serve on loopback: {error}")))?;
    println!(
        "A service that speaks the API of PageIndex Cloud answers at {}",
        server.url()
    );
    let mut world = World {
        binary: repo.release_binary(),
        dir,
        server,
        said: String::new(),
    };
    world.show()?;
    world.look_for_the_key()
}

impl World {
    fn kb(&self) -> PathBuf {
        self.dir.join("kb")
    }

    fn show(&mut self) -> Result<()> {
        let kb = self.kb().display().to_string();
        self.kbhost(&["init", &kb], 0)?;
        self.kbhost(&["cloud", "list"], 0)?;
        let add = [&["add", "--from-pageindex-cloud"][..], &IDS].concat();
        self.kbhost(&add, SOME_INPUTS_FAILED)?;
        println!(
            "(the document that failed at the service could not be imported; the others are in)"
        );
        self.kbhost(&["list"], 0)?;
        self.kbhost(&["show", "Tide-tables-2026", "--tree"], 0)?;
        for page in [
            "wiki/index.md",
            "wiki/summaries/Quay-survey.md",
            "wiki/sources/Quay-survey.md",
        ] {
            self.page(page)?;
        }
        Ok(())
    }

    fn kbhost(&mut self, args: &[&str], expected: i32) -> Result<()> {
        let mut command = Command::new(&self.binary);
        command.args(args);
        println!("\n$ PAGEINDEX_API_KEY=... {}", process::describe(&command));
        command
            .current_dir(self.dir.parent().unwrap_or(Path::new(".")))
            .envs(self.server.variables())
            .env("KBHOST_CACHE_DIR", self.dir.join("cache"))
            .env("KBHOST_CONFIG_DIR", self.dir.join("config"))
            .env("KBHOST_KB", self.kb())
            .env("KBHOST_LOG", "trace");
        let output = command
            .output()
            .map_err(|error| Failure::new(format!("failed to start kbhost: {error}")))?;
        self.tell(&output);
        match output.status.code() {
            Some(code) if code == expected => Ok(()),
            _ => Err(Failure::new(format!(
                "`{}` ended with {}",
                process::describe(&command),
                output.status
            ))),
        }
    }

    /// Prints what a command said; its trace is looked through, and not shown.
    fn tell(&mut self, output: &Output) {
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        print!("{stdout}");
        let is_trace = |line: &&str| {
            ["TRACE", "DEBUG", " INFO"]
                .iter()
                .any(|level| line.contains(level))
        };
        for line in stderr.lines().filter(|line| !is_trace(line)) {
            println!("{line}");
        }
        self.said += &stdout;
        self.said += &stderr;
    }

    fn page(&self, path: &str) -> Result<()> {
        let file = self.kb().join(path);
        let text = std::fs::read_to_string(&file).map_err(Failure::io("read", &file))?;
        println!("\n--- {path}");
        for line in text.lines().take(LINES_SHOWN) {
            println!("{line}");
        }
        Ok(())
    }

    fn look_for_the_key(&self) -> Result<()> {
        let files = repo::files_beneath(&self.dir)?;
        let mut holding = Vec::new();
        for file in &files {
            let bytes = std::fs::read(file).map_err(Failure::io("read", file))?;
            if holds(&bytes) {
                holding.push(file.display().to_string());
            }
        }
        // What finds nothing must be able to.
        if !holds(format!("x{KEY}y").as_bytes()) {
            return Err(Failure::new("the search for the key does not find it"));
        }
        let seen = self.server.requests();
        let with_key = seen.iter().filter(|seen| seen.has_key).count();
        let leaks = seen.iter().filter(|seen| seen.leaks_key).count();
        let pictures = self.server.count(Call::Image);
        println!("\nWhere the key is:");
        println!(
            "  in the header of {with_key} calls of the service, and of none of {pictures} for pictures"
        );
        println!("  elsewhere in {leaks} of {} requests", seen.len());
        println!(
            "  in {} of {} files: knowledge base, caches, configuration",
            holding.len(),
            files.len()
        );
        let lines = self.said.lines().count();
        let said = self.said.lines().filter(|line| line.contains(KEY)).count();
        println!("  in {said} of {lines} lines that were printed, traces included");
        if leaks + holding.len() + said > 0 {
            return Err(Failure::new(format!("the key was found: {holding:?}")));
        }
        Ok(())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn holds(bytes: &[u8]) -> bool {
    bytes
        .windows(KEY.len())
        .any(|window| window == KEY.as_bytes())
}
