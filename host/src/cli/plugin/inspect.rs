//! `plugin inspect`: what a component is, from its binary; no list beside it is asked.

use std::path::Path;

use super::super::engine;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::ui::Ui;
use super::{Meant, accepted, failed};
use crate::plugin::{Builtin, Inspection, read_component};
use crate::userdir::plugins::{Store, StoreError};

/// Inspects a file, or the component of an installed or built-in converter.
///
/// # Errors
/// If it is no component that could be used.
pub(super) fn run(ui: &mut Ui, plugin: &Path) -> Result<Exit, CommandError> {
    let plugins = engine::inspector()?;
    let inspection = match Meant::of(plugin) {
        Meant::File(path) => plugins.inspect(path, &read_component(path)?)?,
        Meant::Name(name) => {
            let store = Store::of_user().map_err(failed)?;
            match (store.get(name), Builtin::called(name)) {
                (Some(plugin), _) => {
                    let wasm = store.component(plugin).map_err(failed)?;
                    plugins.inspect(&store.path(plugin), &wasm)?
                }
                (None, Some(builtin)) => plugins.inspect(plugin, builtin.wasm)?,
                (None, None) => {
                    let name = super::super::terminal::one_line(name);
                    return Err(failed(StoreError::Unknown { name }));
                }
            }
        }
    };
    if ui.json() {
        ui.answer(&inspection);
    } else {
        for line in lines(&inspection) {
            ui.line(&line);
        }
    }
    Ok(Exit::Done)
}

/// What is known of a component, for people.
pub(super) fn lines(inspection: &Inspection) -> Vec<String> {
    let identity = &inspection.identity;
    let accepts: Vec<String> = inspection.accepts.iter().map(accepted).collect();
    vec![
        format!("name     {}", identity.name),
        format!("version  {}", identity.version),
        format!("digest   {}", identity.digest),
        format!("size     {} bytes", inspection.size),
        format!("world    {}", identity.world),
        format!("takes    {}", accepts.join(", ")),
        format!("imports  {}", inspection.imports.join(", ")),
        format!("exports  {}", inspection.exports.join(", ")),
    ]
}
