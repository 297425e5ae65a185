//! `status`: where the knowledge base is, what is in it, what is left over.

use std::sync::Arc;

use serde::Serialize;

use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::one_line;
use super::ui::Ui;
use crate::kb::registry::{Catalogue, Totals};
use crate::kb::{KbError, KbPath, KbRoot, layout};
use crate::mutation::is_registry_lost;

#[derive(Debug, Serialize)]
struct Pages {
    dir: String,
    pages: usize,
}

#[derive(Debug, Serialize)]
struct Answer {
    path: String,
    #[serde(flatten)]
    totals: Totals,
    wiki: Vec<Pages>,
    /// Only OpenKB's registry is there yet.
    openkb: bool,
    /// There was a registry and there is none.
    registry_lost: bool,
    /// Mutations that did not end.
    journals: usize,
    /// What recovery could not undo.
    quarantined: usize,
    /// Hand edits that were kept aside.
    conflicts: usize,
}

/// Shows the state of the knowledge base. Takes no lock: a journal may belong to a command that is
/// under way.
///
/// # Errors
/// If there is no KB or it cannot be read.
pub(super) fn run(ui: &mut Ui, settings: &Settings) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    let catalogue = Catalogue::open(&root)?;
    let count = |dir: &KbPath| root.list_dir(dir).map(|names| names.len());
    let answer = Answer {
        path: root.path().display().to_string(),
        totals: catalogue.totals()?,
        wiki: pages(&root)?,
        openkb: catalogue.is_openkb(),
        registry_lost: is_registry_lost(&root)?,
        journals: count(&layout::journal_dir())?,
        quarantined: count(&layout::quarantine_dir())?,
        conflicts: count(&layout::conflicts_dir())?,
    };
    if ui.json() {
        ui.answer(&answer);
        return Ok(Exit::Done);
    }
    for line in lines(&answer) {
        ui.line(&line);
    }
    for hint in hints(&answer, &settings.program(&root)) {
        ui.hint(&hint);
    }
    Ok(Exit::Done)
}

/// Counts the pages directly in each folder of the wiki.
fn pages(root: &KbRoot) -> Result<Vec<Pages>, KbError> {
    let wiki = layout::wiki_dir();
    let folders = layout::skeleton()
        .into_iter()
        .filter(|dir| dir.parent().as_ref() == Some(&wiki));
    folders
        .map(|dir| {
            let names = root.list_dir(&dir)?;
            Ok(Pages {
                dir: dir.to_string(),
                pages: names.iter().filter(|name| name.ends_with(".md")).count(),
            })
        })
        .collect()
}

/// The first line is a contract with scripts that look for the path.
fn lines(answer: &Answer) -> Vec<String> {
    let totals = &answer.totals;
    let last_change = totals.last_change.as_deref().unwrap_or("never");
    let mut lines = vec![
        format!("Knowledge base: {}", one_line(&answer.path)),
        format!(
            "Documents: {} ({} of originals)",
            totals.documents,
            size(totals.bytes)
        ),
    ];
    let pages = answer.wiki.iter();
    lines.extend(pages.map(|folder| format!("Pages in {}: {}", folder.dir, folder.pages)));
    lines.push(format!("Last change: {}", one_line(last_change)));
    if answer.registry_lost {
        lines.push("Registry: lost".to_owned());
    } else if answer.openkb {
        lines.push(
            "Made by OpenKB: its registry is read as it is; the first change imports it".to_owned(),
        );
    }
    let leftovers = [
        ("Unfinished changes", answer.journals),
        ("In quarantine", answer.quarantined),
        ("Hand edits kept aside", answer.conflicts),
    ];
    let leftovers = leftovers.into_iter().filter(|(_, count)| *count > 0);
    lines.extend(leftovers.map(|(what, count)| format!("{what}: {count}")));
    lines
}

/// What to do, as commands of `program`.
fn hints(answer: &Answer, program: &str) -> Vec<String> {
    let mut hints = Vec::new();
    if answer.registry_lost {
        hints.push(format!(
            "`{program} registry rebuild` makes the registry anew from its newest backup and the files"
        ));
    }
    if answer.journals > 0 {
        hints.push(format!(
            "unless another command is at work, `{program} recover` settles unfinished changes"
        ));
    }
    if answer.quarantined > 0 {
        hints.push(format!(
            "`{program} recover` tells what could not be undone and how to go on"
        ));
    }
    if answer.conflicts > 0 {
        let dir = layout::conflicts_dir();
        hints.push(format!("compare the edits in `{dir}` with the pages"));
    }
    hints
}

/// Bytes in the largest unit that leaves a number of at least 1.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Answer {
        Answer {
            path: "/kb".to_owned(),
            totals: Totals {
                documents: 3,
                bytes: 5_000_000,
                last_change: Some("2026-01-02T03:04:05Z".to_owned()),
            },
            wiki: vec![Pages {
                dir: "wiki/sources".to_owned(),
                pages: 3,
            }],
            openkb: false,
            registry_lost: false,
            journals: 0,
            quarantined: 0,
            conflicts: 0,
        }
    }

    #[test]
    fn a_clean_kb_in_a_few_lines() {
        assert_eq!(
            lines(&answer()),
            [
                "Knowledge base: /kb",
                "Documents: 3 (4.8 MiB of originals)",
                "Pages in wiki/sources: 3",
                "Last change: 2026-01-02T03:04:05Z",
            ]
        );
        assert!(hints(&answer(), "kbhost").is_empty());
    }

    #[test]
    fn leftovers_come_with_what_to_do() {
        let answer = Answer {
            journals: 1,
            quarantined: 2,
            ..answer()
        };
        let lines = lines(&answer);
        assert_eq!(lines[4..], ["Unfinished changes: 1", "In quarantine: 2"]);
        let hints = hints(&answer, "kbhost --kb-dir /kb");
        assert!(hints[0].contains("`kbhost --kb-dir /kb recover`"));
        assert!(hints[1].contains("`kbhost --kb-dir /kb recover`"));
    }

    #[test]
    fn json_shape() {
        assert_eq!(
            super::super::json::line(Some("status"), answer()),
            r#"{"kbhost":1,"command":"status","path":"/kb","documents":3,"bytes":5000000,"last_change":"2026-01-02T03:04:05Z","wiki":[{"dir":"wiki/sources","pages":3}],"openkb":false,"registry_lost":false,"journals":0,"quarantined":0,"conflicts":0}"#
        );
    }

    #[test]
    fn sizes_in_their_unit() {
        let check = |bytes, expected: &str| assert_eq!(size(bytes), expected);
        check(0, "0 bytes");
        check(1023, "1023 bytes");
        check(1024, "1.0 KiB");
        check(1536, "1.5 KiB");
        check(3 << 30, "3.0 GiB");
        check(u64::MAX, "16384.0 PiB");
    }
}
