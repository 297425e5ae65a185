//! What commands that died left behind in our own directories, and what was kept for people.

use super::{Report, Severity};
use crate::kb::{KbError, KbPath, KbRoot, layout, shell_word};
use crate::mutation::HASHES_ASIDE_PREFIX;
use crate::prepare::StagingError;

/// Looks at staging and at what was set aside.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn examine(root: &KbRoot, report: &mut Report) -> Result<(), KbError> {
    staging(root, report)?;
    drafts(root, report)?;
    kept(
        root,
        &layout::conflicts_dir(),
        "conflicts",
        "hand edits that a change would have replaced are kept here; move them out when done",
        report,
    )
}

/// Staging of runs that died. It holds nothing but copies; the next change removes it.
fn staging(root: &KbRoot, report: &mut Report) -> Result<(), KbError> {
    let dir = layout::prepare_dir();
    // Through the root's handle: a link in its place is an error here.
    root.list_dir(&dir)?;
    match crate::prepare::dead_runs(&root.join(&dir)) {
        Ok(runs) => {
            for run in runs {
                report.add(
                    Severity::Note,
                    "staging",
                    format!("{dir}/{run}"),
                    "a command that died left copies of its inputs here",
                    report.kbhost("recover"),
                );
            }
        }
        // Whose run is dead is told by a lock on its file, which nobody gets here; nor can anything
        // be swept.
        Err(StagingError::Path(error))
            if error.source.kind() == std::io::ErrorKind::ReadOnlyFilesystem => {}
        Err(error) => {
            let message = super::registry::chain(&error);
            let command = format!("ls -l {}", shell_word(root.join(&dir)));
            report.add(Severity::Warning, "staging", dir.as_str(), message, command);
        }
    }
    Ok(())
}

/// Drafts that a command that died left in our own directories, and registries that were replaced.
fn drafts(root: &KbRoot, report: &mut Report) -> Result<(), KbError> {
    for dir in [layout::own_dir(), layout::backup_dir()] {
        for name in root.list_dir(&dir)? {
            let path = shell_word(root.join(&dir).join(&name));
            let at = format!("{dir}/{name}");
            if name.ends_with(".tmp") {
                let message = "a command that died left it; nothing refers to it";
                report.add(
                    Severity::Note,
                    "leftover",
                    at,
                    message,
                    format!("rm {path}"),
                );
            } else if name.starts_with(HASHES_ASIDE_PREFIX) {
                let message = "an export put a `hashes.json` aside that could not be read";
                report.add(
                    Severity::Note,
                    "hashes-json-aside",
                    at,
                    message,
                    format!("ls -l {path}"),
                );
            } else if name.starts_with("registry-damaged-")
                || name.starts_with("registry-replaced-")
            {
                let message = "a rebuild put the registry aside that was here before";
                report.add(
                    Severity::Note,
                    "registry-aside",
                    at,
                    message,
                    format!("ls -l {path}"),
                );
            }
        }
    }
    Ok(())
}

fn kept(
    root: &KbRoot,
    dir: &KbPath,
    code: &'static str,
    message: &str,
    report: &mut Report,
) -> Result<(), KbError> {
    for name in root.list_dir(dir)? {
        let command = format!("ls -lR {}", shell_word(root.join(dir).join(&name)));
        report.add(
            Severity::Note,
            code,
            format!("{dir}/{name}"),
            message,
            command,
        );
    }
    Ok(())
}
