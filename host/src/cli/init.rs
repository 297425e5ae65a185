//! `init`: makes a folder a knowledge base.

use std::path::PathBuf;

use serde::Serialize;

use super::advice::word;
use super::args::InitArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::one_line;
use super::ui::Ui;
use crate::mutation::{self, Initialised};

#[derive(Serialize)]
struct Answer {
    path: String,
    created: bool,
}

/// Makes a knowledge base in the named folder, else `--kb-dir`, else here. The environment names
/// existing ones only.
///
/// # Errors
/// If something cannot be written.
pub(super) fn run(ui: &mut Ui, settings: &Settings, args: &InitArgs) -> Result<Exit, CommandError> {
    let named = args.dir.as_ref().or(settings.candidates.flag.as_ref());
    let dir = named.cloned().unwrap_or_else(|| PathBuf::from("."));
    let (path, created) = match mutation::init(&dir, &args.language)? {
        Initialised::Created(path) => (path, true),
        Initialised::AlreadyThere(path) => (path, false),
    };
    let path = one_line(&path.display().to_string());
    if ui.json() {
        ui.answer(Answer { path, created });
        return Ok(Exit::Done);
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
    Ok(Exit::Done)
}
