//! `registry`: export, import, rebuild, backup.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use super::args::{LockArgs, RegistryAction, RegistryArgs};
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::ui::Ui;
use crate::kb::config::{Config, OpenKbExport};
use crate::kb::{KbRoot, SafeLine};
use crate::mutation::{
    Backup, Change, Comparison, Difference, Exported, Health, Merged, OwnerOptions, RebuildReport,
    Rebuilt, Side, assess_registry, backup_now, compare_registry, export_registry, merge_registry,
    rebuild_registry,
};

/// Lines of one kind that are printed; `--json` has them all.
const LINES_MAX: usize = 20;

/// Does what `args` say.
///
/// # Errors
/// If there is no KB, the lock is not to be had, or the registry cannot be read or written.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &RegistryArgs,
) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    match &args.action {
        RegistryAction::Export { lock } => {
            let options = options(settings, &root, *lock, "registry export")?;
            let exported = export_registry(&root, &options)?;
            tell_export(ui, &exported);
            Ok(Exit::Done)
        }
        RegistryAction::Import {
            merge,
            ours,
            theirs,
            lock,
        } => {
            let options = options(settings, &root, *lock, "registry import")?;
            if !merge {
                return Ok(tell_comparison(ui, &compare_registry(&root, &options)?));
            }
            let prefer = match (ours, theirs) {
                (true, _) => Some(Side::Ours),
                (_, true) => Some(Side::Theirs),
                _ => None,
            };
            Ok(tell_merge(ui, &merge_registry(&root, &options, prefer)?))
        }
        RegistryAction::Rebuild { yes, lock } => {
            let options = options(settings, &root, *lock, "registry rebuild")?;
            rebuild(ui, &root, &options, *yes)
        }
        RegistryAction::Backup => {
            tell_backup(ui, &root, &backup_now(&root, &settings.clock)?);
            Ok(Exit::Done)
        }
    }
}

fn options(
    settings: &Settings,
    root: &KbRoot,
    lock: LockArgs,
    command: &'static str,
) -> Result<OwnerOptions, CommandError> {
    Ok(OwnerOptions {
        lock: settings.lock(lock, &Arc::<AtomicBool>::default()),
        clock: settings.clock.clone(),
        config: Config::read(root)?,
        command,
    })
}

fn tell_export(ui: &mut Ui, exported: &Exported) {
    #[derive(Serialize)]
    struct Answer<'a> {
        export: &'a Exported,
    }
    if ui.json() {
        return ui.answer(Answer { export: exported });
    }
    let Exported {
        path, documents, ..
    } = exported;
    ui.line(&format!("{path}"));
    ui.note(&if exported.written {
        format!("{} written", counted(*documents))
    } else {
        format!("{}: the file was as it should be", counted(*documents))
    });
    if let Some(kept) = &exported.set_aside {
        ui.note(&format!(
            "the file that was there could not be read; it is kept as {kept}"
        ));
    }
}

fn tell_backup(ui: &mut Ui, root: &KbRoot, backup: &Backup) {
    #[derive(Serialize)]
    struct Answer<'a> {
        backup: &'a Backup,
    }
    if ui.json() {
        return ui.answer(Answer { backup });
    }
    let path = root.join(&backup.path);
    ui.line(&super::terminal::one_line(&path.display().to_string()));
}

fn tell_comparison(ui: &mut Ui, comparison: &Comparison) -> Exit {
    let exit = if comparison.differences.is_empty() {
        Exit::Done
    } else {
        Exit::Findings
    };
    if ui.json() {
        ui.answer(comparison);
        return exit;
    }
    tell_differences(ui, &comparison.differences);
    match (comparison.differences.len(), comparison.conflicts()) {
        (0, _) => ui.note("`hashes.json` and the registry do not differ"),
        (_, 0) => ui.hint("`kbhost registry import --merge` takes the changes over"),
        _ => ui.hint(SETTLE),
    }
    exit
}

/// How conflicts are settled.
const SETTLE: &str = "where both changed an entry, `kbhost registry import --merge --theirs` takes \
                      that of `hashes.json`, and `--merge --ours` keeps the registry's";

fn tell_differences(ui: &mut Ui, differences: &[Difference]) {
    let shown = if ui.stdout().terminal {
        LINES_MAX
    } else {
        usize::MAX
    };
    for one in differences.iter().take(shown) {
        ui.line(&line_of(one));
    }
    if differences.len() > shown {
        ui.note(&format!("and {} more", differences.len() - shown));
    }
}

fn line_of(one: &Difference) -> String {
    let word = |change| match change {
        Change::Same => "same",
        Change::Added => "added",
        Change::Changed => "changed",
        Change::Removed => "removed",
        Change::Missing => "missing",
        Change::Stale => "stale",
    };
    let conflict = one.conflict.as_ref();
    let conflict = conflict.map_or_else(String::new, |why| format!("  conflict: {why}"));
    format!(
        "{}  hashes.json: {}, registry: {}{conflict}",
        one.document,
        word(one.hashes_json),
        word(one.registry)
    )
}

fn tell_merge(ui: &mut Ui, merged: &Merged) -> Exit {
    let exit = if merged.merged {
        Exit::Done
    } else {
        Exit::Recovery
    };
    if ui.json() {
        ui.answer(merged);
        return exit;
    }
    tell_differences(ui, &merged.comparison.differences);
    for warning in &merged.warnings {
        ui.warning(warning.as_str());
    }
    if merged.merged {
        ui.note(&format!(
            "{} added, {} changed, {} removed",
            merged.added, merged.changed, merged.removed
        ));
    } else {
        ui.warning(&format!(
            "nothing was merged: {}",
            plural(merged.comparison.conflicts() as u64, "conflict")
        ));
        ui.hint(SETTLE);
    }
    exit
}

/// Asks on a terminal; elsewhere only a registry that is sound needs `--yes`.
fn rebuild(
    ui: &mut Ui,
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
    yes: bool,
) -> Result<Exit, CommandError> {
    let asks = !yes && !ui.json() && std::io::stdin().is_terminal();
    let replace_sound = match (asks, assess_registry(root)?) {
        (false, _) => yes,
        (true, health) => {
            let is_sound = matches!(health, Health::Sound { .. });
            if !is_agreed(ui, &health) {
                ui.note("nothing was changed");
                return Ok(Exit::Done);
            }
            is_sound
        }
    };
    match rebuild_registry(root, options, replace_sound)? {
        Rebuilt::NotNeeded { documents } => tell_not_needed(ui, documents),
        Rebuilt::Done(report) => tell_rebuild(ui, &report, &options.config),
    }
    Ok(Exit::Done)
}

fn is_agreed(ui: &mut Ui, health: &Health) -> bool {
    ui.warning(&format!("the registry is {}", state_of(health)));
    ui.note("Rebuild it from its newest backup, `hashes.json` and the files? [y/N]");
    ui.flush();
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn state_of(health: &Health) -> String {
    match health {
        Health::Sound { documents } => format!("sound, with {}", counted(*documents)),
        Health::Missing => "missing".to_owned(),
        Health::Damaged { reason } => format!("damaged: {reason}"),
        Health::Newer { schema } => format!("of a newer version, schema {schema}"),
    }
}

fn tell_not_needed(ui: &mut Ui, documents: u64) {
    #[derive(Serialize)]
    struct Answer {
        rebuilt: bool,
        documents: u64,
    }
    if ui.json() {
        return ui.answer(Answer {
            rebuilt: false,
            documents,
        });
    }
    ui.note(&format!(
        "nothing to rebuild: the registry is sound, with {}",
        counted(documents)
    ));
    ui.hint(
        "if it is older than the files, `kbhost registry rebuild --yes` brings it in line with them",
    );
}

fn tell_rebuild(ui: &mut Ui, report: &RebuildReport, config: &Config) {
    #[derive(Serialize)]
    struct Answer<'a> {
        rebuilt: bool,
        #[serde(flatten)]
        report: &'a RebuildReport,
    }
    if ui.json() {
        return ui.answer(Answer {
            rebuilt: true,
            report,
        });
    }
    for line in lines(report, config) {
        ui.line(&line);
    }
    let lost = &report.recovered.not_recovered;
    tell_some(ui, "not recovered", lost);
    let dropped: Vec<SafeLine> = report
        .recovered
        .dropped
        .iter()
        .map(|name| SafeLine::new(&format!("`{name}`: no page of it is left")))
        .collect();
    tell_some(ui, "no longer registered", &dropped);
    for warning in &report.warnings {
        ui.warning(warning.as_str());
    }
    ui.hint("`kbhost doctor` compares the new registry with the files");
}

fn tell_some(ui: &mut Ui, what: &str, lines: &[SafeLine]) {
    for line in lines.iter().take(LINES_MAX) {
        ui.warning(&format!("{what}: {line}"));
    }
    if lines.len() > LINES_MAX {
        let more = lines.len() - LINES_MAX;
        ui.warning(&format!("{what}: {more} more, `--json` lists all"));
    }
}

/// What was taken from where.
fn lines(report: &RebuildReport, config: &Config) -> Vec<String> {
    let recovered = &report.recovered;
    let mut lines = vec![format!("The registry was {}", state_of(&report.before))];
    if let Some(aside) = &report.set_aside {
        lines.push(format!("What was left of it: {aside}"));
    }
    match &report.base {
        Some(base) => lines.push(format!("From {base}: {}", counted(recovered.from_base))),
        None => lines.push("From a backup: none is sound".to_owned()),
    }
    if recovered.updated > 0 {
        lines.push(format!("Of these updated since: {}", recovered.updated));
    }
    lines.push(format!(
        "From hashes.json: {}",
        counted(recovered.from_hashes_json)
    ));
    lines.push(format!(
        "From raw/ and wiki/ alone: {}",
        counted(recovered.from_files)
    ));
    if recovered.edited > 0 {
        lines.push(format!("Pages edited by hand: {}", recovered.edited));
    }
    if config.openkb_export == OpenKbExport::Never {
        lines.push("hashes.json: not written, as the settings say".to_owned());
    }
    lines
}

fn counted(documents: u64) -> String {
    plural(documents, "document")
}

fn plural(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ui::tests::captured;
    use super::*;
    use crate::kb::{DocName, KbPath};
    use crate::mutation::Reconciled;

    fn difference(registry: Change, hashes_json: Change, conflict: Option<&str>) -> Difference {
        Difference {
            document: SafeLine::new("a"),
            registry,
            hashes_json,
            conflict: conflict.map(SafeLine::new),
        }
    }

    #[test]
    fn differences_are_findings_and_conflicts_need_a_person() {
        let (mut ui, out, err) = captured(false, false);
        assert_eq!(tell_comparison(&mut ui, &Comparison::default()), Exit::Done);
        let one = difference(Change::Same, Change::Added, None);
        let comparison = Comparison {
            differences: vec![one],
        };
        assert_eq!(tell_comparison(&mut ui, &comparison), Exit::Findings);
        let one = difference(Change::Removed, Change::Changed, Some("both"));
        let merged = Merged {
            comparison: Comparison {
                differences: vec![one],
            },
            ..Merged::default()
        };
        assert_eq!(tell_merge(&mut ui, &merged), Exit::Recovery);
        ui.finish().unwrap();
        assert_eq!(
            out.text(),
            "a  hashes.json: added, registry: same\n\
             a  hashes.json: changed, registry: removed  conflict: both\n"
        );
        assert!(err.text().contains("--merge --theirs"), "{}", err.text());
    }

    #[test]
    fn a_report_says_what_came_from_where() {
        let report = RebuildReport {
            before: Health::Damaged {
                reason: SafeLine::new("file is not a database"),
            },
            set_aside: KbPath::new(".openkb/kbhost/registry-damaged-1").ok(),
            base: KbPath::new(".openkb/kbhost/backup/registry-1.db").ok(),
            recovered: Reconciled {
                from_base: 3,
                updated: 1,
                from_hashes_json: 2,
                dropped: vec![DocName::new("gone").unwrap()],
                ..Reconciled::default()
            },
            warnings: Vec::new(),
        };
        assert_eq!(
            lines(&report, &Config::default()),
            [
                "The registry was damaged: file is not a database",
                "What was left of it: .openkb/kbhost/registry-damaged-1",
                "From .openkb/kbhost/backup/registry-1.db: 3 documents",
                "Of these updated since: 1",
                "From hashes.json: 2 documents",
                "From raw/ and wiki/ alone: 0 documents",
            ]
        );
        let (mut ui, out, _) = captured(true, false);
        tell_rebuild(&mut ui, &report, &Config::default());
        ui.finish().unwrap();
        let json: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(json["rebuilt"], true);
        assert_eq!(json["before"]["state"], "damaged");
        assert_eq!(json["dropped"][0], "gone");
    }
}
