//! The converter as native code: the example `pdf2md` of the layout crate.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::report::Report;
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::Repo;

/// The crate, its examples and the profile they are built with: a release without the long link.
const PACKAGE: &str = "kbhost-pdf-layout";
const FOLDER: &str = "plugins/pdf-layout";
const PROFILE: &str = "native";

/// What headings have to reach against bookmarks that were taken away.
const TREE_F1: f64 = 0.78;

/// What `pdf2md` said of its run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Speed {
    pub(super) pages: f64,
    pub(super) cpu_seconds: f64,
}

/// The built example.
#[derive(Debug)]
pub(super) struct Native {
    binary: PathBuf,
}

impl Native {
    /// Builds it.
    ///
    /// # Errors
    /// If it does not build.
    pub(super) fn build(repo: &Repo) -> Result<Self> {
        build_example(repo, "pdf2md").map(|binary| Self { binary })
    }

    /// Converts files into `out`, which is made anew; those that do not convert are printed.
    ///
    /// # Errors
    /// If the program fails, or does not say what it did.
    pub(super) fn convert(&self, files: &[PathBuf], out: &Path) -> Result<Speed> {
        if out.exists() {
            std::fs::remove_dir_all(out).map_err(Failure::io("remove", out))?;
        }
        std::fs::create_dir_all(out).map_err(Failure::io("create", out))?;
        let mut command = Command::new(&self.binary);
        let said = process::capture(command.arg(out).args(files))?;
        let lines: Vec<&str> = said.lines().collect();
        let (last, others) = lines.split_last().unwrap_or((&"", &[]));
        for line in others {
            println!("    {line}");
        }
        speed_in(last).ok_or_else(|| Failure::new(format!("`pdf2md` told no speed but `{last}`")))
    }

    /// The headings of the long documents against their own bookmarks, as the example `tree_f1` has it.
    ///
    /// # Errors
    /// If that is there and fails.
    pub(super) fn tree_f1(&self, repo: &Repo, report: &mut Report) -> Result<()> {
        let what = "tree: heading F1 against bookmarks";
        if !repo
            .root()
            .join(FOLDER)
            .join("examples/tree_f1.rs")
            .is_file()
        {
            report.skip(what, "there is no example `tree_f1`");
            return Ok(());
        }
        let Some(long) = repo.corpus_long() else {
            report.skip(what, "no ../shared/corpus/long");
            return Ok(());
        };
        let mut files = crate::repo::entries(&long)?;
        files.extend(repo.corpus_pdfs()?);
        let program = build_example(repo, "tree_f1")?;
        let said = process::capture(Command::new(program).args(&files))?;
        for line in said.lines() {
            println!("    {line}");
        }
        let mean = tree_f1_in(&said);
        let mean = mean.ok_or_else(|| Failure::new("`tree_f1` told no mean"))?;
        report.score(what, mean, TREE_F1);
        Ok(())
    }
}

fn build_example(repo: &Repo, name: &str) -> Result<PathBuf> {
    let plugins = repo.root().join("plugins");
    let mut build = process::cargo();
    build.args(["build", "--profile", PROFILE, "--package", PACKAGE]);
    build.args(["--example", name, "--message-format", "json", "--quiet"]);
    // Flags meant for the host's build are not for this one.
    build
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS");
    let messages = process::capture(build.current_dir(plugins))?;
    executable_in(&messages)
        .ok_or_else(|| Failure::new(format!("cargo names no program for the example `{name}`")))
}

/// The program that cargo built, from what it says of it.
fn executable_in(messages: &str) -> Option<PathBuf> {
    messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    })
}

/// The last line: `tree hF1 0.812, 4 files`.
fn tree_f1_in(said: &str) -> Option<f64> {
    let (_, rest) = said.lines().last()?.split_once("hF1 ")?;
    let mean: f64 = rest.split_once(',')?.0.parse().ok()?;
    mean.is_finite().then_some(mean)
}

/// `84 pages, 0.31 CPU s, 270 pages/s`.
fn speed_in(line: &str) -> Option<Speed> {
    let mut words = line.split_whitespace();
    let pages = words.next()?.parse().ok()?;
    let cpu_seconds = words.nth(1)?.parse().ok()?;
    Some(Speed { pages, cpu_seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_and_program_are_read() {
        let speed = speed_in("84 pages, 0.31 CPU s, 270 pages/s").unwrap();
        assert_eq!((speed.pages, speed.cpu_seconds), (84.0, 0.31));
        assert_eq!(speed_in("x.pdf: no PDF header"), None);
        let told = "0.900 x.pdf: hF1 7, y\ntree hF1 0.812, 4 files\n";
        assert_eq!((tree_f1_in(told), tree_f1_in("")), (Some(0.812), None));
        let messages = "{\"reason\":\"a\",\"executable\":null}\n{\"executable\":\"/t/x\"}\n{}";
        assert_eq!(executable_in(messages), Some(PathBuf::from("/t/x")));
        assert_eq!(executable_in("{}"), None);
    }
}
