//! `trust`: which knowledge bases may hold keys of the user's in their `.env`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::args::TrustArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::one_line;
use super::ui::Ui;
use crate::kb::{KbError, KbRoot, PathError, shell_word as word};
use crate::userdir::trust::{self, TrustError};

#[derive(Serialize)]
struct Answer {
    path: String,
    /// Whether it is trusted now.
    trusted: bool,
    /// Whether that is new.
    changed: bool,
}

#[derive(Serialize)]
struct Entry {
    path: String,
    /// Whether the folder there still is the one that was trusted, and safe.
    holds: bool,
}

#[derive(Serialize)]
struct All {
    knowledge_bases: Vec<Entry>,
}

/// Trusts a knowledge base, or trusts it no more, or lists those that are trusted.
///
/// # Errors
/// If there is no such knowledge base, somebody else could change it or read its key, or the user's list cannot be changed.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &TrustArgs,
) -> Result<Exit, CommandError> {
    match args {
        TrustArgs { list: true, .. } => list(ui),
        TrustArgs {
            remove: true, dir, ..
        } => remove(ui, settings, dir.as_deref()),
        TrustArgs { dir, .. } => add(ui, settings, dir.as_deref()),
    }
}

fn meant(settings: &Settings, dir: Option<&Path>) -> Result<KbRoot, KbError> {
    match dir {
        Some(dir) => KbRoot::open(dir),
        None => KbRoot::resolve(&settings.candidates),
    }
}

fn add(ui: &mut Ui, settings: &Settings, dir: Option<&Path>) -> Result<Exit, CommandError> {
    let kb = meant(settings, dir)?;
    let changed = trust::add(&kb)?;
    let path = one_line(&kb.path().display().to_string());
    if ui.json() {
        ui.answer(Answer {
            path,
            trusted: true,
            changed,
        });
        return Ok(Exit::Done);
    }
    ui.line(&match changed {
        true => format!("Trusted {path}"),
        false => format!("{path} is trusted already; nothing was changed"),
    });
    ui.note(
        "keys in its `.env` count from now on; addresses never do, and the environment and your \
         own settings come first",
    );
    Ok(Exit::Done)
}

fn remove(ui: &mut Ui, settings: &Settings, dir: Option<&Path>) -> Result<Exit, CommandError> {
    let path = match (dir, meant(settings, dir)) {
        (_, Ok(kb)) => kb.path().to_owned(),
        // A folder that is gone can still be in the list.
        (Some(dir), Err(_)) => absolute(dir)?,
        (None, Err(error)) => return Err(error.into()),
    };
    let changed = trust::remove(&path)?;
    let path = one_line(&path.display().to_string());
    if ui.json() {
        ui.answer(Answer {
            path,
            trusted: false,
            changed,
        });
        return Ok(Exit::Done);
    }
    ui.line(&match changed {
        true => format!("No longer trusted: {path}"),
        false => format!("{path} was not trusted; nothing was changed"),
    });
    Ok(Exit::Done)
}

fn absolute(dir: &Path) -> Result<PathBuf, TrustError> {
    let path = dir.canonicalize().or_else(|_| std::path::absolute(dir));
    Ok(path.map_err(|error| PathError::new("resolve", dir, error))?)
}

fn list(ui: &mut Ui) -> Result<Exit, CommandError> {
    let all = trust::all()?;
    if ui.json() {
        let entry = |trusted: &trust::Trusted| Entry {
            path: trusted.path.display().to_string(),
            holds: trusted.holds,
        };
        ui.answer(All {
            knowledge_bases: all.iter().map(entry).collect(),
        });
        return Ok(Exit::Done);
    }
    for trusted in &all {
        let path = one_line(&trusted.path.display().to_string());
        match trusted.holds {
            true => ui.line(&path),
            false => ui.line(&format!(
                "{path}  (not any more: changed, gone, or open to others)"
            )),
        }
    }
    if all.is_empty() {
        ui.note("No knowledge base is trusted.");
    }
    if let Some(gone) = all.iter().find(|trusted| !trusted.holds) {
        let path = word(&gone.path);
        ui.hint(&format!(
            "trust it again with `kbhost trust {path}`, or forget it with `kbhost trust --remove {path}`"
        ));
    }
    Ok(Exit::Done)
}
