//! `plugin new`: a project to start from.

use std::path::Path;

use serde::Serialize;

use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::terminal::one_line;
use super::super::ui::Ui;
use crate::authoring::{self, Language};
use crate::kb::shell_word as word;
use crate::plugin::{Builtin, is_name};

#[derive(Serialize)]
struct Answer<'a> {
    action: &'static str,
    name: &'a str,
    language: Language,
    dir: String,
    files: &'a [&'static str],
}

/// Makes the project of a plugin called `name` in `dir`, else in a folder of its name.
///
/// # Errors
/// If the name is none, something is in the folder, or the disk refuses.
pub(super) fn run(
    ui: &mut Ui,
    name: &str,
    language: Language,
    dir: Option<&Path>,
) -> Result<Exit, CommandError> {
    if !is_name(name) {
        return Err(CommandError::Usage {
            message: format!("make the plugin `{}`: that is no name", one_line(name)),
            hint: "a name has a-z, 0-9 and -, at most 64: `kbhost plugin new my-format`".to_owned(),
        });
    }
    if Builtin::called(name).is_some() {
        return Err(CommandError::Usage {
            message: format!("make the plugin `{name}`: a built-in converter has this name"),
            hint: "`kbhost formats` lists the converters; choose another name".to_owned(),
        });
    }
    let dir = dir.unwrap_or(Path::new(name));
    let Some(project) = authoring::create(name, language, dir)? else {
        return Err(CommandError::Usage {
            message: format!(
                "make the plugin `{name}` in `{}`: something is there",
                dir.display()
            ),
            hint: format!("name another folder: `kbhost plugin new {name} --dir FOLDER`"),
        });
    };
    if ui.json() {
        ui.answer(Answer {
            action: "created",
            name,
            language,
            dir: one_line(&project.dir.display().to_string()),
            files: &project.files,
        });
    } else {
        ui.line(&format!("created {}", one_line(&dir.display().to_string())));
        let dir = word(dir);
        if language == Language::Python {
            ui.hint(&format!(
                "its tool: `cd {dir}; python3 -m venv .venv; .venv/bin/pip install -r \
                 requirements.txt`"
            ));
        }
        ui.hint(&format!(
            "next: `kbhost plugin build {dir} --release`, then `kbhost plugin test {dir}`; the \
             converter is in `{}`",
            language.source()
        ));
    }
    Ok(Exit::Done)
}
