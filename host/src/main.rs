//! The `kbhost` program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    kbhost::cli::main(std::env::args_os().collect())
}
