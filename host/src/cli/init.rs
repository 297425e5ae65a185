//! `init`: makes a folder a knowledge base.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::args::InitArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::one_line;
use super::ui::Ui;
use crate::kb::shell_word as word;
use crate::mutation::{self, Initialised};
use crate::userdir::known_kbs;

#[derive(Serialize)]
struct Answer {
    path: String,
    created: bool,
    default: bool,
    warnings: Vec<String>,
}

/// Makes a knowledge base in the named folder, else `--kb-dir`, else here. The environment names
/// existing ones only.
///
/// # Errors
/// If something cannot be written.
pub(super) fn run(ui: &mut Ui, settings: &Settings, args: &InitArgs) -> Result<Exit, CommandError> {
    let named = args.dir.as_ref().or(settings.candidates.flag.as_ref());
    let dir = named.cloned().unwrap_or_else(|| PathBuf::from("."));
    let lock = settings.lock(args.lock, &Arc::default());
    let (path, created) = match mutation::init_with(&dir, &args.language, lock)? {
        Initialised::Created(path) => (path, true),
        Initialised::AlreadyThere(path) => (path, false),
    };
    // The KB is there, whether the list has it or not: only `--default` asks for the list itself.
    let remembered = known_kbs::remember(&path, args.default);
    let warnings = match remembered {
        Err(error) if args.default => return Err(error.into()),
        Err(error) => vec![list_warning(&error.into())],
        Ok(()) => Vec::new(),
    };
    let path = one_line(&path.display().to_string());
    if ui.json() {
        let default = args.default;
        ui.answer(Answer {
            path,
            created,
            default,
            warnings,
        });
        return Ok(Exit::Done);
    }
    for warning in &warnings {
        ui.warning(warning);
    }
    if created {
        ui.line(&format!("Created a knowledge base in {path}"));
        ui.hint(&format!(
            "add documents with `kbhost --kb-dir {} add PATH`",
            word(&path)
        ));
    } else {
        ui.line(&format!(
            "There is a knowledge base in {path} already; nothing was changed"
        ));
    }
    if args.default {
        ui.note("it is used now where no other one is named or found");
    }
    Ok(Exit::Done)
}

/// Says that the new KB is not in the user's list.
fn list_warning(error: &CommandError) -> String {
    let report = error.report();
    let why = report.causes.first().map_or("", String::as_str);
    one_line(&format!(
        "the knowledge base is not in your list of them: {} {why}",
        report.message
    ))
}
