//! `cargo xtask`: the project's own commands. Parses, runs, turns a failure into an exit code.
//!
//! Owns nothing of the knowledge base: it drives the built binary like any user does.

mod args;
mod bench;
mod demo;
mod failure;
mod guest_calls;
mod guests;
mod process;
mod release_wit;
mod repo;
mod sources_digest;
mod test;
mod tidy;
mod torture;

use std::process::ExitCode;

use crate::args::Args;
use crate::failure::{Failure, Result};
use crate::repo::Repo;

const HELP: &str = "\
usage: cargo xtask COMMAND [OPTION...]

  demo    build kbhost, make a knowledge base of example documents in target/demo-kb, show it
            --jobs N|auto     workers that prepare documents (default: auto)
            --examples-only   leave out ../shared/corpus
          demo cloud: import documents from a service on loopback, look for the key everywhere
  test    every test there is; KBHOST_TEST_STRICT=1 makes a skipped rig a failure
  torture the long runs of the rigs; prints what each covered
            --seed S          where the seeds begin (default: 1)
            --minutes M       time for all of them together (default: 30)
          torture pdf: the rigs of PDFs alone
            --case N          one case, to repeat it
  bench   print what this machine measures against the project's goals; never fails on time
            --quick           fewer documents and repetitions
          bench cloud: documents of a slow service alone
          bench pdf: how well, how safely and how fast PDFs are converted
            --only PART       scores, robust, speed, tree or repeat
  guests  build the converter components into plugins/prebuilt
  tidy    check the fences between the rooms of the source
  release-wit VERSION
          freeze a version of the converter contract, with a fixture that the tests convert with

Exit codes: 0 done, 1 failed, 2 usage.
";

fn main() -> ExitCode {
    let mut args = Args::new(std::env::args().skip(1));
    match dispatch(&mut args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(args: &mut Args) -> Result<()> {
    let Some(command) = args.command() else {
        print!("{HELP}");
        return Ok(());
    };
    if command == "help" || args.flag("--help") || args.flag("-h") {
        print!("{HELP}");
        return Ok(());
    }
    let repo = Repo::find()?;
    match command.as_str() {
        "demo" if args.flag("cloud") => {
            args.finish()?;
            demo::cloud::run(&repo)
        }
        "demo" => demo::run(&repo, &demo::Options::parse(args)?),
        "test" => {
            args.finish()?;
            test::run(&repo)
        }
        "torture" => torture::run(&repo, &torture::Options::parse(args)?),
        "bench" if args.flag("pdf") => bench::run_pdf(&repo, &bench::PdfOptions::parse(args)?),
        "bench" => {
            let (quick, cloud) = (args.flag("--quick"), args.flag("cloud"));
            args.finish()?;
            match cloud {
                true => bench::run_cloud(&repo, quick),
                false => bench::run(&repo, quick),
            }
        }
        "guests" => {
            args.finish()?;
            guest_calls::build(&repo)
        }
        "tidy" => {
            args.finish()?;
            tidy::run(&repo)
        }
        "release-wit" => {
            let version = args.command().unwrap_or_default();
            args.finish()?;
            release_wit::run(&repo, &version)
        }
        other => Err(Failure::usage(format!(
            "no command `{other}`; `cargo xtask` lists them"
        ))),
    }
}
