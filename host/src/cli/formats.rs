//! `formats`: what is accepted by which converter.

use serde::Serialize;

use super::engine;
use super::error::CommandError;
use super::exit::Exit;
use super::table::Table;
use super::ui::Ui;
use crate::plugin::{Format, Standing};

#[derive(Serialize)]
struct Answer<'a> {
    formats: &'a [Format],
}

/// Lists media types with their converters. Starts no engine and needs no KB.
///
/// # Errors
/// If the installed plugins cannot be read.
pub(super) fn run(ui: &mut Ui) -> Result<Exit, CommandError> {
    let formats = engine::plugins(None)?.formats();
    if ui.json() {
        ui.answer(Answer { formats: &formats });
        return Ok(Exit::Done);
    }
    let table = Table {
        header: ["Media type", "Extensions", "Plugin", "Version", "Used"],
        right: [false; 5],
        elastic: &[1, 0],
        rows: formats.iter().map(cells).collect(),
    };
    for line in table.lines(ui.columns(), ui.stdout().colour) {
        ui.line(&line);
    }
    Ok(Exit::Done)
}

fn cells(format: &Format) -> [String; 5] {
    [
        format.media_type.clone(),
        format.extensions.join(", "),
        format.plugin.clone(),
        format.version.clone(),
        match format.standing {
            Standing::Preferred => "preferred",
            Standing::BuiltIn => "built in",
            Standing::Only => "yes",
            Standing::Probed => "if surest",
            Standing::Unused => "no",
        }
        .to_owned(),
    ]
}
