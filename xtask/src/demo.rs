//! `cargo xtask demo`: from a fresh clone to a knowledge base that can be looked at.

pub(crate) mod cloud;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::{self, CORPUS_SAMPLE_STEP, Repo};

/// What the demo looks for: words that several of the example documents contain.
const SEARCH_WORDS: [&str; 2] = ["checkpoint", "recovery"];

/// How many shared pages the closing words name.
const SHARED_PAGES_SHOWN: usize = 5;

/// The exit code of `kbhost add` when some inputs failed and the others are in.
const SOME_INPUTS_FAILED: i32 = 1;

/// What the user chose.
#[derive(Debug)]
pub(crate) struct Options {
    jobs: String,
    examples_only: bool,
}

impl Options {
    /// Reads the options of `demo`.
    ///
    /// # Errors
    /// If one is unknown or lacks its value.
    pub(crate) fn parse(args: &mut Args) -> Result<Self> {
        let jobs = args.value("--jobs")?.unwrap_or_else(|| "auto".to_owned());
        let examples_only = args.flag("--examples-only");
        args.finish()?;
        Ok(Self {
            jobs,
            examples_only,
        })
    }
}

/// Builds, makes the knowledge base, fills it, shows it.
///
/// # Errors
/// If a step fails; documents that cannot be converted are shown, not a failure of the demo.
pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    let started = Instant::now();
    println!("Building kbhost (release) ...");
    repo.build_release()?;

    let kb = repo.target().join("demo-kb");
    remove_old(&kb)?;
    let inputs = inputs(repo, options)?;
    let demo = Demo {
        binary: repo.release_binary(),
        kb: &kb,
        root: repo.root(),
    };

    demo.show(&["init".into(), kb.clone().into()])?;
    let mut add = vec!["add".into()];
    add.extend(inputs.into_iter().map(Into::into));
    add.extend(["--jobs".into(), options.jobs.clone().into()]);
    let adding = Instant::now();
    let failed = demo.add(&add)?;
    println!("added in {:.1} s", adding.elapsed().as_secs_f64());
    if failed {
        println!("(the inputs named above could not be converted; every other one is in)");
    }
    demo.show(&["list".into()])?;
    demo.show(&[
        "search".into(),
        SEARCH_WORDS[0].into(),
        SEARCH_WORDS[1].into(),
    ])?;
    demo.show(&["status".into()])?;
    say_where_to_look(&kb)?;
    println!("demo done in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}

/// The binary, and the knowledge base it works on.
struct Demo<'a> {
    binary: PathBuf,
    kb: &'a Path,
    root: &'a Path,
}

impl Demo<'_> {
    fn show(&self, args: &[std::ffi::OsString]) -> Result<()> {
        let mut command = self.command(args);
        process::run(&mut command)
    }

    /// Adds; says whether some inputs failed.
    fn add(&self, args: &[std::ffi::OsString]) -> Result<bool> {
        let mut command = self.command(args);
        let status = process::status(&mut command)?;
        if status.code() == Some(SOME_INPUTS_FAILED) {
            return Ok(true);
        }
        process::succeeded(&command, status)?;
        Ok(false)
    }

    fn command(&self, args: &[std::ffi::OsString]) -> Command {
        let mut command = Command::new(&self.binary);
        command.current_dir(self.root).args(args);
        if args.first().is_some_and(|first| first != "init") {
            command.arg("--kb-dir").arg(self.kb);
        }
        println!("\n$ {}", shortened(&process::describe(&command), self.root));
        command
    }
}

fn inputs(repo: &Repo, options: &Options) -> Result<Vec<PathBuf>> {
    let mut inputs = vec![repo.example_docs()];
    if options.examples_only {
        return Ok(inputs);
    }
    inputs.extend(repo.corpus_long());
    inputs.extend(repo.corpus_pdfs()?.into_iter().step_by(CORPUS_SAMPLE_STEP));
    if inputs.len() == 1 {
        println!("note: no ../shared/corpus here; the demo adds examples/docs alone");
    }
    Ok(inputs)
}

/// Removes the knowledge base of an earlier demo, and nothing that is none.
fn remove_old(kb: &Path) -> Result<()> {
    if !kb.exists() {
        return Ok(());
    }
    if !kb.join(".openkb").is_dir() {
        let message = format!(
            "`{}` is no knowledge base: move it away first",
            kb.display()
        );
        return Err(Failure::new(message));
    }
    std::fs::remove_dir_all(kb).map_err(Failure::io("remove", kb))
}

fn say_where_to_look(kb: &Path) -> Result<()> {
    println!("\nWhere to look (the folder opens as a vault in Obsidian):");
    let line = |path: &Path, what: &str| println!("  {:<42} {what}", path.display().to_string());
    line(&kb.join("wiki/index.md"), "every document and shared page");
    line(
        &kb.join("wiki/summaries"),
        "one page a document, linked to what it shares with others",
    );
    line(&kb.join("wiki/sources"), "the converted text, with images/");
    for folder in ["wiki/concepts", "wiki/entities"] {
        let folder = kb.join(folder);
        let pages = if folder.is_dir() {
            repo::entries(&folder)?
        } else {
            Vec::new()
        };
        line(
            &folder,
            &format!("{} pages that several documents share", pages.len()),
        );
        for page in pages.iter().take(SHARED_PAGES_SHOWN) {
            println!(
                "    {}",
                page.file_name().unwrap_or_default().to_string_lossy()
            );
        }
    }
    line(&kb.join("wiki/log.md"), "what was done when");
    line(&kb.join("raw"), "the originals");
    Ok(())
}

/// The command line without the part of its paths that is the same everywhere.
fn shortened(line: &str, root: &Path) -> String {
    line.replace(&format!("{}/", root.display()), "")
}
