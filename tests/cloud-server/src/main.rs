//! `cloud-server`: the server by hand. Prints where it listens and serves until standard input ends.
#![expect(clippy::print_stdout, reason = "a program's answer goes to stdout")]
#![expect(clippy::print_stderr, reason = "and its complaints to stderr")]

use std::io::Read as _;
use std::process::ExitCode;
use std::time::Duration;

use kbhost_cloud_server::{Doc, Script, Server};

const USAGE: &str = "usage: cloud-server [--key KEY] [--delay-ms N] [--documents N] [--polls N]

Serves the documents pi-0001, pi-0002, …, beside them pi-windows with a Windows-style name, pi-gallery with
pictures, pi-failed, which fails, and pi-hostile. What is uploaded is ready after N polls.";

fn script(args: impl Iterator<Item = String>) -> Result<Script, String> {
    let mut key = "demo-key-0123456789".to_owned();
    let (mut delay_ms, mut documents, mut polls) = (0, 3, 2);
    let mut args = args;
    while let Some(name) = args.next() {
        let value = args.next().ok_or_else(|| format!("{name}: no value"))?;
        let number = || value.parse().map_err(|error| format!("{name}: {error}"));
        match name.as_str() {
            "--key" => key = value,
            "--delay-ms" => delay_ms = number()?,
            "--documents" => documents = number()?,
            "--polls" => polls = number()?,
            _ => return Err(format!("{name}: unknown")),
        }
    }
    let polls = u32::try_from(polls).map_err(|error| format!("--polls: {error}"))?;
    let documents = usize::try_from(documents).map_err(|error| format!("--documents: {error}"))?;
    let mut script = Script::new(&key)
        .with_reports(documents)
        .with_delay(Duration::from_millis(delay_ms))
        .with(
            "pi-windows",
            Doc::report("C:\\Reports\\Harbour 2025.pdf", 4),
        )
        .with("pi-gallery", Doc::gallery("gallery.pdf"))
        .with("pi-failed", Doc::report("failed.pdf", 2).failing())
        .with("pi-hostile", Doc::hostile_markdown());
    script.upload = script.upload.with_polls(1, polls);
    Ok(script)
}

fn main() -> ExitCode {
    let script = match script(std::env::args().skip(1)) {
        Ok(script) => script,
        Err(message) => {
            eprintln!("{message}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let server = match Server::start(script) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("failed to listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    println!("{}", server.url());
    println!("{}", server.image_host());
    // Whatever is typed is no command: only its end counts.
    for byte in std::io::stdin().lock().bytes() {
        if byte.is_err() {
            break;
        }
    }
    ExitCode::SUCCESS
}
