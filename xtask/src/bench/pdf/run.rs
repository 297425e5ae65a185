//! What is measured, in which order.

use crate::args::Args;
use crate::bench::report::Report;
use crate::bench::rig::Rig;
use crate::failure::{Failure, Result};
use crate::repo::Repo;

use super::native::Native;
use super::sandbox::Sandbox;
use super::{repeat, robust, scores, speed};

/// The parts, as the user names them.
const PARTS: [&str; 5] = ["scores", "robust", "speed", "tree", "repeat"];

/// What the user chose.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    quick: bool,
    /// One part alone.
    only: Option<String>,
}

impl Options {
    /// Reads the options of `bench pdf`.
    ///
    /// # Errors
    /// If one is unknown.
    pub(crate) fn parse(args: &mut Args) -> Result<Self> {
        let quick = args.flag("--quick");
        let only = args.value("--only")?;
        args.finish()?;
        match only {
            Some(part) if !PARTS.contains(&part.as_str()) => Err(Failure::usage(format!(
                "`--only` must be one of {}, not `{part}`",
                PARTS.join(", ")
            ))),
            only => Ok(Self { quick, only }),
        }
    }

    fn has(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

/// Measures and prints.
///
/// # Errors
/// If something does not build or a file cannot be written; a figure that is missed is no error.
pub(crate) fn run(repo: &Repo, options: &Options) -> Result<()> {
    let mut report = Report::default();
    println!("Building the converter natively ...");
    let native = Native::build(repo)?;
    let needs_kbhost = ["robust", "speed", "repeat"];
    let rig = if needs_kbhost.iter().any(|part| options.has(part)) {
        println!("Building kbhost (release) ...");
        repo.build_release()?;
        Some(Rig::new(
            repo.release_binary(),
            repo.target().join("bench-pdf"),
        )?)
    } else {
        None
    };
    if options.has("scores") {
        scores::measure(repo, &native, &mut report)?;
    }
    if let Some(rig) = &rig {
        let sandbox = Sandbox::new(rig)?;
        if options.has("robust") {
            robust::measure(repo, &sandbox, options.quick, &mut report)?;
        }
        if options.has("speed") {
            speed::measure(repo, &native, &sandbox, &mut report)?;
        }
        if options.has("repeat") {
            repeat::measure(repo, rig, &native, options.quick, &mut report)?;
        }
    }
    if options.has("tree") {
        native.tree_f1(repo, &mut report)?;
    }
    println!("\n{}", report.table());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_one_that_there_is() {
        let parse = |line: &str| {
            let words = line.split_whitespace().map(str::to_owned);
            Options::parse(&mut Args::new(words)).ok()
        };
        let robust = parse("--quick --only robust").unwrap();
        assert!(robust.quick && robust.has("robust") && !robust.has("speed"));
        assert!(parse("").unwrap().has("speed"));
        assert_eq!(parse("--only what"), None);
        assert_eq!(parse("now"), None);
    }
}
