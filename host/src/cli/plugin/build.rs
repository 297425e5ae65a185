//! `plugin build`: builds the project in a folder and looks at once at what came out.

use std::path::Path;

use serde::Serialize;

use super::super::engine;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::terminal::one_line;
use super::super::ui::Ui;
use super::inspect;
use crate::authoring::{self, Profile};
use crate::kb::shell_word as word;
use crate::plugin::Inspection;

#[derive(Serialize)]
struct Answer<'a> {
    action: &'static str,
    path: String,
    #[serde(flatten)]
    inspection: &'a Inspection,
}

/// Builds the project in `dir`.
///
/// # Errors
/// If it does not build, or is no component that could be used.
pub(super) fn run(ui: &mut Ui, dir: &Path, release: bool) -> Result<Exit, CommandError> {
    let profile = if release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let built = authoring::build(dir, profile)?;
    let inspection = engine::inspector()?.inspect(&built.path, &built.bytes)?;
    let identity = &inspection.identity;
    built
        .manifest
        .agree(dir, &identity.name, &identity.version)?;
    let path = one_line(&built.path.display().to_string());
    if ui.json() {
        ui.answer(Answer {
            action: "built",
            path,
            inspection: &inspection,
        });
        return Ok(Exit::Done);
    }
    ui.line(&format!("built {path}"));
    for line in inspect::lines(&inspection) {
        ui.line(&line);
    }
    let dir = word(dir);
    ui.hint(&format!("next: `kbhost plugin test {dir}`"));
    if built.is_slow {
        ui.hint(&format!(
            "this one is slow: `kbhost plugin build {dir} --release` makes the one to give away"
        ));
    }
    Ok(Exit::Done)
}
