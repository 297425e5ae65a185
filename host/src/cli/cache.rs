//! `cache`: what is kept in the user's cache directory, clearing and checking it. Touches no
//! knowledge base.

use serde::Serialize;

use super::args::CacheAction;
use super::error::CommandError;
use super::exit::Exit;
use super::table::Table;
use super::ui::Ui;
use crate::kb::{PathError, SafeLine};
use crate::userdir;
use crate::userdir::sealed::{Kind, Loaded, SealedDir};

/// One kind of entries.
#[derive(Debug, Serialize)]
struct Count {
    /// `compiled` or `prepared`.
    kind: &'static str,
    entries: u64,
    bytes: u64,
}

#[derive(Debug, Serialize)]
struct Stats {
    /// The user's cache directory; `None` for a user without a home.
    path: Option<String>,
    kinds: Vec<Count>,
}

/// An entry that the user's key does not vouch for, or that cannot be read.
#[derive(Debug, Serialize)]
struct Damaged {
    kind: &'static str,
    entry: SafeLine,
    reason: SafeLine,
    removed: bool,
}

#[derive(Debug, Serialize)]
struct Verified {
    sound: u64,
    damaged: Vec<Damaged>,
}

/// Does what `action` says.
///
/// # Errors
/// If the cache directory is there and cannot be trusted, read or changed.
pub(super) fn run(ui: &mut Ui, action: &CacheAction) -> Result<Exit, CommandError> {
    match action {
        CacheAction::Stats => stats(ui),
        CacheAction::Clear { compiled, prepared } => clear(ui, *compiled, *prepared),
        CacheAction::Verify { repair } => verify(ui, *repair),
    }
}

/// The entries of each kind that is there.
fn opened(kinds: &[Kind]) -> Result<Vec<(Kind, Option<SealedDir>)>, PathError> {
    let cache = userdir::cache_dir();
    let open = |kind: &Kind| {
        let dir = match &cache {
            Some(cache) => SealedDir::open_existing(cache, *kind)?,
            None => None,
        };
        Ok((*kind, dir))
    };
    kinds.iter().map(open).collect()
}

fn count(kind: Kind, files: &[(String, u64)]) -> Count {
    Count {
        kind: kind.name(),
        entries: files.len() as u64,
        bytes: files.iter().map(|(_, size)| size).sum(),
    }
}

fn files(dir: Option<&SealedDir>) -> Result<Vec<(String, u64)>, PathError> {
    dir.map_or(Ok(Vec::new()), |dir| dir.entries().files())
}

fn stats(ui: &mut Ui) -> Result<Exit, CommandError> {
    let mut kinds = Vec::new();
    for (kind, dir) in opened(&Kind::ALL)? {
        kinds.push(count(kind, &files(dir.as_ref())?));
    }
    if ui.json() {
        let path = userdir::cache_dir().map(|dir| dir.display().to_string());
        ui.answer(Stats { path, kinds });
    } else {
        tell(ui, &kinds);
    }
    Ok(Exit::Done)
}

fn tell(ui: &mut Ui, kinds: &[Count]) {
    let table = Table {
        header: ["Kind", "Entries", "Bytes"],
        right: [false, true, true],
        elastic: &[],
        rows: kinds
            .iter()
            .map(|count| {
                [
                    count.kind.to_owned(),
                    count.entries.to_string(),
                    count.bytes.to_string(),
                ]
            })
            .collect(),
    };
    for line in table.lines(ui.columns(), ui.stdout().colour) {
        ui.line(&line);
    }
}

/// Removes the entries of the kinds named, of all kinds if none is.
fn clear(ui: &mut Ui, compiled: bool, prepared: bool) -> Result<Exit, CommandError> {
    let is_meant = |kind: &Kind| match kind {
        Kind::Compiled => compiled || !prepared,
        Kind::Prepared => prepared || !compiled,
    };
    let meant: Vec<_> = Kind::ALL.into_iter().filter(is_meant).collect();
    let mut kinds = Vec::new();
    for (kind, dir) in opened(&meant)? {
        let mut removed = files(dir.as_ref())?;
        if let Some(dir) = &dir {
            let mut failure = None;
            removed.retain(|(name, _)| match dir.entries().remove(name) {
                Ok(there) => there,
                Err(error) => {
                    failure = Some(error);
                    false
                }
            });
            if let Some(error) = failure {
                return Err(error.into());
            }
        }
        kinds.push(count(kind, &removed));
    }
    if ui.json() {
        #[derive(Serialize)]
        struct Answer {
            removed: Vec<Count>,
        }

        ui.answer(Answer { removed: kinds });
        return Ok(Exit::Done);
    }
    for count in &kinds {
        ui.line(&format!(
            "removed {} {} entries, {} bytes",
            count.entries, count.kind, count.bytes
        ));
    }
    Ok(Exit::Done)
}

/// Checks the seal of every entry.
fn verify(ui: &mut Ui, repair: bool) -> Result<Exit, CommandError> {
    let mut verified = Verified {
        sound: 0,
        damaged: Vec::new(),
    };
    for (kind, dir) in opened(&Kind::ALL)? {
        let Some(dir) = dir else { continue };
        for (name, _) in dir.entries().files()? {
            let reason = match dir.load(&name) {
                Ok(Loaded::Sound(_)) => {
                    verified.sound += 1;
                    continue;
                }
                // Another command pruned it meanwhile.
                Ok(Loaded::Missing) => continue,
                Ok(Loaded::Damaged) => "it is damaged or not yours".to_owned(),
                Err(error) => format!("it cannot be read: {}", error.source),
            };
            let removed = repair && dir.entries().remove(&name)?;
            verified.damaged.push(Damaged {
                kind: kind.name(),
                entry: SafeLine::new(&name),
                reason: SafeLine::new(&reason),
                removed,
            });
        }
    }
    if ui.json() {
        ui.answer(&verified);
    } else {
        for damaged in &verified.damaged {
            let removed = if damaged.removed { "; removed" } else { "" };
            ui.line(&format!(
                "{}/{}: {}{removed}",
                damaged.kind, damaged.entry, damaged.reason
            ));
        }
        ui.note(&format!(
            "{} sound, {} damaged.",
            verified.sound,
            verified.damaged.len()
        ));
        if !repair && !verified.damaged.is_empty() {
            ui.hint("remove them with `kbhost cache verify --repair`");
        }
    }
    Ok(match verified.damaged.is_empty() {
        true => Exit::Done,
        false => Exit::Findings,
    })
}
