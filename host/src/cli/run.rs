//! From the arguments to the exit code.

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{self, PanicHookInfo};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use serde::Serialize;

use super::args::{CommandArgs, Typed};
use super::error::{CommandError, ErrorBody, ErrorReport};
use super::exit::Exit;
use super::settings::{Environment, Settings};
use super::signals;
use super::terminal::one_line;
use super::ui::Ui;
use super::{
    add, cache, cloud, convert, doctor, formats, init, json, list, lock, logging, plugin, recover,
    registry, remove, search, show, status, trust, verify,
};
use crate::mutation;
use crate::plugin as component;
use crate::userdir::credentials;

thread_local! {
    /// The last panic of this thread, one line.
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs the program with its arguments, the program's name first, and returns what it ends with.
#[must_use]
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let standard = panic::take_hook();
    let wants_backtrace = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    panic::set_hook(Box::new(move |info| {
        remember(info);
        if wants_backtrace {
            standard(info);
        }
    }));
    if let [_, argument, dir] = &arguments[..]
        && argument == mutation::PROBE_ARGUMENT
    {
        return mutation::answer_probe(Path::new(dir));
    }
    if let [_, argument] = &arguments[..]
        && argument == component::COMPILE_ARGUMENT
    {
        return component::answer_compile();
    }
    credentials::seal_if_keyed();
    component::use_children();
    if let Err(error) = signals::survive_file_size_limit() {
        tracing::debug!(%error, "a write beyond `ulimit -f` ends the process");
    }
    let wants_json = arguments.iter().any(|argument| argument == "--json");
    let exit = panic::catch_unwind(|| run(arguments, wants_json)).unwrap_or_else(|_| {
        bug(&LAST_PANIC.take().unwrap_or_default(), wants_json);
        Exit::Bug
    });
    exit.into()
}

/// Tells a panic of this thread in one line.
fn bug(panic: &str, wants_json: bool) {
    let message = one_line(&format!(
        "this is a bug in kbhost, please report it: {panic}"
    ));
    // If the stream is closed, the exit code still tells.
    drop(if wants_json {
        let report = ErrorReport {
            message,
            causes: Vec::new(),
            choices: Vec::new(),
            hint: None,
            code: "bug",
            exit_code: Exit::Bug.code(),
        };
        let line = json::line(None, ErrorBody { error: &report });
        writeln!(io::stdout(), "{line}")
    } else {
        writeln!(io::stderr(), "error: {message}")
    });
}

/// Keeps a panic for the one who catches it. A worker's panic becomes the error of its document,
/// told in input order; printing it here would tell it twice and out of order.
fn remember(info: &PanicHookInfo<'_>) {
    let place = info
        .location()
        .map(|place| format!(" ({}:{})", place.file(), place.line()))
        .unwrap_or_default();
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    let line = format!("{message}{place}");
    tracing::debug!(panic = %one_line(&line), backtrace = %Backtrace::capture());
    // A thread that is being torn down has no place left to keep it, and nobody to catch it.
    drop(LAST_PANIC.try_with(|last| last.replace(Some(line))));
}

fn run(arguments: Vec<OsString>, wants_json: bool) -> Exit {
    let typed = match Typed::try_parse_from(arguments) {
        Ok(typed) => typed,
        Err(error) => return not_a_command(&error, wants_json),
    };
    let settings = Settings::resolve(&typed.global, Environment::of_process());
    let mut ui = Ui::of_process(&settings, typed.command.name());
    let result = logging::start(&settings.logging)
        .and_then(|()| dispatch(&mut ui, &settings, &typed.command))
        .or_else(|error| Ok(tell(&mut ui, &error)))
        .and_then(|exit| ui.finish().map(|()| exit));
    result.unwrap_or_else(|error| tell(&mut ui, &error))
}

fn dispatch(ui: &mut Ui, settings: &Settings, command: &CommandArgs) -> Result<Exit, CommandError> {
    match command {
        CommandArgs::Init(args) => init::run(ui, settings, args),
        CommandArgs::Add(args) => add::run(ui, settings, args),
        CommandArgs::Cloud(args) => cloud::run(ui, settings, args),
        CommandArgs::Convert(args) => convert::run(ui, args),
        CommandArgs::List(args) => list::run(ui, settings, args),
        CommandArgs::Status => status::run(ui, settings),
        CommandArgs::Show(args) => show::run(ui, settings, args),
        CommandArgs::Search(args) => search::run(ui, settings, args),
        CommandArgs::Remove(args) => remove::run(ui, settings, args),
        CommandArgs::Recover(args) => recover::run(ui, settings, args),
        CommandArgs::Doctor => doctor::run(ui, settings),
        CommandArgs::Lock => lock::run(ui, settings),
        CommandArgs::Registry(args) => registry::run(ui, settings, args),
        CommandArgs::Verify(args) => verify::run(ui, settings, args),
        CommandArgs::Cache(args) => cache::run(ui, &args.action),
        CommandArgs::Trust(args) => trust::run(ui, settings, args),
        CommandArgs::Plugin(args) => plugin::run(ui, settings, args),
        CommandArgs::Formats => formats::run(ui),
    }
}

/// Tells the error that ended a command.
fn tell(ui: &mut Ui, error: &CommandError) -> Exit {
    let report = error.report();
    ui.finish_progress();
    if ui.json() {
        ui.answer(ErrorBody { error: &report });
    } else {
        ui.error(&report);
    }
    error.exit()
}

/// Help, the version, or arguments that are no command.
fn not_a_command(error: &clap::Error, wants_json: bool) -> Exit {
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let printed = if wants_json {
        writeln!(io::stdout(), "{}", in_json(error, asked))
    } else {
        error.print()
    };
    match printed.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            // If stderr is closed too, the exit code still tells.
            drop(writeln!(
                io::stderr(),
                "error: failed to write to standard output\n  caused by: {error}"
            ));
            Exit::Failed
        }
        _ if asked => Exit::Done,
        _ => Exit::Usage,
    }
}

fn in_json(error: &clap::Error, asked: bool) -> String {
    #[derive(Serialize)]
    struct Text {
        text: String,
    }

    let text = error.to_string();
    if asked {
        return json::line(None, Text { text });
    }
    let message = text.lines().next().unwrap_or_default();
    let report = ErrorReport {
        message: one_line(message.trim_start_matches("error: ")),
        causes: Vec::new(),
        choices: Vec::new(),
        hint: Some("`kbhost --help` lists commands and options".to_owned()),
        code: "usage",
        exit_code: Exit::Usage.code(),
    };
    json::line(None, ErrorBody { error: &report })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_errors_have_a_json_form() {
        let error = Typed::try_parse_from(["kbhost", "add", "--jobs", "0", "x"]).unwrap_err();
        let json = in_json(&error, false);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["error"]["code"], "usage");
        assert_eq!(value["error"]["exit_code"], 2);
        let message = value["error"]["message"].as_str().unwrap();
        assert!(message.starts_with("invalid value '0'"), "{message}");
    }
}
