//! `plugin install`: a component is judged, shown and agreed to before it is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use super::super::engine;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::settings::Settings;
use super::super::ui::Ui;
use super::{accepted, failed};
use crate::kb::{SafeLine, shell_word as word};
use crate::plugin::{Builtin, Inspection, Manifest, WantedLimits, read_component};
use crate::userdir::plugins::{self, InstalledPlugin, Store};
use crate::userdir::policy;

/// Where a plugin came from is kept as a line of at most this many characters.
const FROM_CHARS_MAX: usize = 500;

#[derive(Serialize)]
struct Answer<'a> {
    action: &'a str,
    plugin: &'a InstalledPlugin,
    /// What differs from the one that was installed before.
    changes: &'a [String],
}

/// Installs the component `source`, or that of the plugin folder `source`.
///
/// # Errors
/// If it is no component that could be used, has the name of a built-in converter, or nobody
/// agreed.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    source: &Path,
    yes: bool,
) -> Result<Exit, CommandError> {
    let (bytes, inspection, limits) = judged(source)?;
    let name = inspection.identity.name.clone();
    if Builtin::called(&name).is_some() {
        return Err(CommandError::Usage {
            message: format!("install the plugin `{name}`: a built-in converter has this name"),
            hint: "`kbhost formats` lists the converters; ask the author for another name"
                .to_owned(),
        });
    }
    let (limits, cut) = limits.within(&policy::limits().map_err(failed)?);
    let store = Store::of_user().map_err(failed)?;
    let previous = store.get(&name);
    let plugin = InstalledPlugin {
        name,
        version: inspection.identity.version,
        digest: inspection.identity.digest,
        world: inspection.identity.world,
        accepts: inspection.accepts,
        imports: inspection.imports,
        limits,
        enabled: previous.is_none_or(|previous| previous.enabled),
        from: from(source),
    };
    let is_whole = |previous: &&InstalledPlugin| store.component(previous).is_ok();
    if let Some(previous) = previous.filter(is_whole)
        && previous.is_same_as(&plugin)
    {
        told(ui, "unchanged", previous, &[]);
        return Ok(Exit::Done);
    }
    let changes = previous.map_or_else(Vec::new, |previous| changes(previous, &plugin));
    let mut lines = shown(&plugin, bytes.len(), &changes);
    lines.extend(
        cut.iter()
            .map(|(key, wish, grant)| format!("policy   {key} {grant}, where it wants {wish}")),
    );
    if yes {
        for line in &lines {
            ui.note(line);
        }
    } else if !settings.interactive {
        return Err(CommandError::Usage {
            message: format!("install the plugin `{}`: nobody can be asked", plugin.name),
            hint: format!(
                "`kbhost plugin inspect FILE.wasm` shows what it is; to install it without a \
                 question: `kbhost plugin install --yes {}`",
                word(source)
            ),
        });
    } else if !ui.ask(&lines, "Install it?") {
        ui.note("Nothing was installed.");
        return Ok(Exit::Failed);
    }
    plugins::install(&plugin, &bytes, previous).map_err(failed)?;
    let action = if previous.is_some() {
        "updated"
    } else {
        "installed"
    };
    told(ui, action, &plugin, &changes);
    Ok(Exit::Done)
}

/// The component's bytes, what they are, and the limits that a manifest asks for.
fn judged(source: &Path) -> Result<(Vec<u8>, Inspection, WantedLimits), CommandError> {
    let plugins = engine::inspector()?;
    if !source.is_dir() {
        let bytes = read_component(source)?;
        let inspection = plugins.inspect(source, &bytes)?;
        return Ok((bytes, inspection, WantedLimits::default()));
    }
    let manifest = Manifest::read(source)?;
    let path = manifest.component(source);
    let bytes = read_component(&path)?;
    let inspection = plugins.inspect(&path, &bytes)?;
    let identity = &inspection.identity;
    manifest.agree(source, &identity.name, &identity.version)?;
    Ok((bytes, inspection, manifest.limits))
}

fn from(source: &Path) -> String {
    let path = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
    SafeLine::with_max(&path.to_string_lossy(), FROM_CHARS_MAX).to_string()
}

fn told(ui: &mut Ui, action: &str, plugin: &InstalledPlugin, changes: &[String]) {
    if ui.json() {
        ui.answer(Answer {
            action,
            plugin,
            changes,
        });
        return;
    }
    ui.line(&format!("{action} {} {}", plugin.name, plugin.version));
    if !plugin.enabled {
        ui.hint(&format!(
            "it is disabled; `kbhost plugin enable {}` switches it on",
            plugin.name
        ));
    }
}

/// What the user agrees to.
fn shown(plugin: &InstalledPlugin, size: usize, changes: &[String]) -> Vec<String> {
    let accepts: Vec<String> = plugin.accepts.iter().map(accepted).collect();
    let wanted = plugin.limits.named();
    let limits: Vec<String> = wanted
        .iter()
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    let mut lines = vec![
        format!("plugin   {} {}", plugin.name, plugin.version),
        format!("digest   {} ({size} bytes)", plugin.digest),
        format!("world    {}", plugin.world),
        format!("takes    {}", accepts.join(", ")),
    ];
    for (package, interfaces) in packages(&plugin.imports) {
        lines.push(format!("wants    {package}: {}", interfaces.join(", ")));
    }
    lines.push(format!(
        "limits   {}",
        if limits.is_empty() {
            "the defaults".to_owned()
        } else {
            limits.join(", ")
        }
    ));
    lines.extend(changes.iter().map(|change| format!("change   {change}")));
    lines
}

/// Imports by package, without versions: `wasi:io` with `poll`, `streams`.
fn packages(imports: &[String]) -> BTreeMap<&str, Vec<&str>> {
    let mut packages: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for import in imports {
        let (package, interface) = import.split_once('/').unwrap_or((import, ""));
        let interface = interface.split('@').next().unwrap_or_default();
        packages.entry(package).or_default().push(interface);
    }
    packages
}

/// What the user agreed to before and what is asked now, where they differ.
fn changes(old: &InstalledPlugin, new: &InstalledPlugin) -> Vec<String> {
    let mut changes = Vec::new();
    for (what, old, new) in [
        ("version", &old.version, &new.version),
        ("digest", &old.digest.to_string(), &new.digest.to_string()),
        ("world", &old.world, &new.world),
    ] {
        if old != new {
            changes.push(format!("{what} {old} → {new}"));
        }
    }
    let imports = |plugin: &InstalledPlugin| plugin.imports.iter().cloned().collect();
    let accepts = |plugin: &InstalledPlugin| plugin.accepts.iter().map(accepted).collect();
    let limits = |plugin: &InstalledPlugin| {
        let named = plugin.limits.named().into_iter();
        named.map(|(key, value)| format!("{key} {value}")).collect()
    };
    difference(&mut changes, "import", imports(old), imports(new));
    difference(&mut changes, "takes", accepts(old), accepts(new));
    difference(&mut changes, "limit", limits(old), limits(new));
    changes
}

fn difference(changes: &mut Vec<String>, what: &str, old: BTreeSet<String>, new: BTreeSet<String>) {
    changes.extend(
        new.difference(&old)
            .map(|added| format!("{what} added: {added}")),
    );
    changes.extend(
        old.difference(&new)
            .map(|gone| format!("{what} removed: {gone}")),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_told_by_package() {
        let imports = [
            "wasi:io/poll@0.2.6",
            "wasi:io/streams@0.2.6",
            "wasi:cli/exit@0.2.6",
        ];
        let imports = imports.map(str::to_owned);
        let packages = packages(&imports);
        assert_eq!(packages["wasi:io"], ["poll", "streams"]);
        assert_eq!(packages["wasi:cli"], ["exit"]);
    }

    #[test]
    fn a_difference_names_what_was_added_and_removed() {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let mut changes = Vec::new();
        difference(&mut changes, "import", set(&["a", "b"]), set(&["b", "c"]));
        assert_eq!(changes, ["import added: c", "import removed: a"]);
    }
}
