//! `plugin`: the user's installed converters. Changes no KB, and reads one only to tell what others
//! made of it.

mod build;
mod inspect;
mod install;
mod new;
mod selftest;
pub(super) mod stale;
mod test;

use std::ffi::OsStr;
use std::path::Path;

use serde::Serialize;

use super::args::{PluginAction, PluginArgs};
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::table::Table;
use super::ui::Ui;
use crate::plugin::{AcceptedType, Builtin, PluginError, is_media_type};
use crate::userdir::plugins::{self, InstalledPlugin, Store, StoreError};

/// Digits of a digest in a table: enough to tell two apart.
const DIGEST_DIGITS: usize = 12;

/// What `--plugin` or an argument means: a value with a slash, or that ends in `.wasm`, is a file.
pub(super) enum Meant<'a> {
    File(&'a Path),
    Name(&'a str),
}

impl<'a> Meant<'a> {
    /// By the text alone: what lies in the working directory changes nothing.
    pub(super) fn of(typed: &'a Path) -> Self {
        let text = typed.to_str().filter(|text| !text.contains('/'));
        match text {
            Some(name) if typed.extension() != Some(OsStr::new("wasm")) => Self::Name(name),
            _ => Self::File(typed),
        }
    }
}

/// Does what `args` say.
///
/// # Errors
/// If a plugin cannot be used or is not there, nobody agreed, or the disk refuses.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &PluginArgs,
) -> Result<Exit, CommandError> {
    match &args.action {
        PluginAction::Install { source, yes } => install::run(ui, settings, source, *yes),
        PluginAction::List { stale: false } => list(ui),
        PluginAction::List { stale: true } => stale::run(ui, settings),
        PluginAction::Inspect { plugin } => inspect::run(ui, plugin),
        PluginAction::New { name, lang, dir } => new::run(ui, name, *lang, dir.as_deref()),
        PluginAction::Build { dir, release } => build::run(ui, dir, *release),
        PluginAction::Test(args) => test::run(ui, args),
        PluginAction::Remove { name } => {
            let removed = plugins::remove(name).map_err(failed)?;
            told(ui, "removed", &removed, true);
            Ok(Exit::Done)
        }
        PluginAction::Enable { name } => switch(ui, name, true),
        PluginAction::Disable { name } => switch(ui, name, false),
        PluginAction::Prefer {
            media_type,
            plugin,
            none: _,
        } => prefer(ui, media_type, plugin.as_deref()),
        PluginAction::Selftest { only } => selftest::run(ui, only),
    }
}

fn failed(error: StoreError) -> CommandError {
    PluginError::from(error).into()
}

#[derive(Serialize)]
struct Changed<'a> {
    action: &'a str,
    changed: bool,
    plugin: &'a InstalledPlugin,
}

/// Tells that `action` was done to a plugin, or was done before.
fn told(ui: &mut Ui, action: &str, plugin: &InstalledPlugin, changed: bool) {
    if ui.json() {
        ui.answer(Changed {
            action,
            changed,
            plugin,
        });
    } else {
        let already = if changed { "" } else { " already" };
        ui.line(&format!(
            "{action}{already} {} {}",
            plugin.name, plugin.version
        ));
    }
}

fn switch(ui: &mut Ui, name: &str, enabled: bool) -> Result<Exit, CommandError> {
    let changed = plugins::set_enabled(name, enabled).map_err(failed)?;
    let store = Store::of_user().map_err(failed)?;
    if let Some(plugin) = store.get(name) {
        let action = if enabled { "enabled" } else { "disabled" };
        told(ui, action, plugin, changed);
    }
    Ok(Exit::Done)
}

fn prefer(ui: &mut Ui, media_type: &str, name: Option<&str>) -> Result<Exit, CommandError> {
    #[derive(Serialize)]
    struct Answer<'a> {
        media_type: &'a str,
        plugin: Option<&'a str>,
        changed: bool,
    }

    if !is_media_type(media_type) {
        return Err(CommandError::Usage {
            message: format!("prefer a plugin for `{media_type}`: it is no media type"),
            hint: "`kbhost formats` lists the media types that are taken".to_owned(),
        });
    }
    if let Some(name) = name {
        let store = Store::of_user().map_err(failed)?;
        let accepts: Vec<AcceptedType> = match (store.get(name), Builtin::called(name)) {
            (Some(plugin), _) => plugin.accepts.clone(),
            (None, Some(builtin)) => builtin.accepted(),
            (None, None) => {
                let name = super::terminal::one_line(name);
                return Err(failed(StoreError::Unknown { name }));
            }
        };
        if !accepts.iter().any(|one| one.media_type == media_type) {
            return Err(CommandError::Usage {
                message: format!("prefer `{name}` for {media_type}: it does not take that"),
                hint: format!("`kbhost plugin inspect {name}` lists what it takes"),
            });
        }
    }
    let changed = plugins::prefer(media_type, name).map_err(failed)?;
    if ui.json() {
        ui.answer(Answer {
            media_type,
            plugin: name,
            changed,
        });
    } else {
        ui.line(&match name {
            Some(name) => format!("{media_type} is converted by {name}"),
            None => format!("no plugin is preferred for {media_type}"),
        });
    }
    Ok(Exit::Done)
}

fn list(ui: &mut Ui) -> Result<Exit, CommandError> {
    #[derive(Serialize)]
    struct Answer<'a> {
        plugins: &'a [InstalledPlugin],
        preferred: &'a std::collections::BTreeMap<String, String>,
    }

    let store = Store::of_user().map_err(failed)?;
    if ui.json() {
        ui.answer(Answer {
            plugins: store.plugins(),
            preferred: store.preferred(),
        });
    } else if store.plugins().is_empty() {
        ui.note("No plugins are installed.");
        ui.hint("install one with `kbhost plugin install FILE.wasm`");
    } else {
        let table = Table {
            header: ["Name", "Version", "State", "Digest", "Takes"],
            right: [false; 5],
            elastic: &[4, 0],
            rows: store.plugins().iter().map(cells).collect(),
        };
        for line in table.lines(ui.columns(), ui.stdout().colour) {
            ui.line(&line);
        }
    }
    Ok(Exit::Done)
}

fn cells(plugin: &InstalledPlugin) -> [String; 5] {
    let state = if plugin.enabled {
        "enabled"
    } else {
        "disabled"
    };
    let digest: String = plugin
        .digest
        .to_string()
        .chars()
        .take(DIGEST_DIGITS)
        .collect();
    let takes: Vec<&str> = plugin
        .accepts
        .iter()
        .map(|accepted| accepted.media_type.as_str())
        .collect();
    [
        plugin.name.clone(),
        plugin.version.clone(),
        state.to_owned(),
        digest,
        takes.join(", "),
    ]
}

/// `text/x-sql (sql, ddl)`.
pub(super) fn accepted(accepted: &AcceptedType) -> String {
    match &accepted.extensions[..] {
        [] => accepted.media_type.clone(),
        extensions => format!("{} ({})", accepted.media_type, extensions.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_are_told_apart_by_their_text() {
        let check = |typed: &str, is_file: bool| {
            let meant = Meant::of(Path::new(typed));
            assert_eq!(matches!(meant, Meant::File(_)), is_file, "{typed}");
        };
        check("pdf", false);
        check("pdf.wasm", true);
        check("./pdf", true);
        check("/tmp/pdf", true);
        check("a/b.wasm", true);
    }
}
