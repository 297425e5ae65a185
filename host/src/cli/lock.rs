//! `lock`: who holds the lock, and what would end that.

use serde::Serialize;

use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::one_line;
use super::ui::Ui;
use crate::kb::KbRoot;
use crate::mutation::{self, Holder, LockState};

#[derive(Serialize)]
struct Answer<'a> {
    path: String,
    #[serde(flatten)]
    lock: &'a LockState,
    /// What to do about each of them.
    advice: Vec<String>,
}

/// Shows who holds the lock of the knowledge base. Takes no lock that anybody would wait for, and
/// writes nothing. A held lock is an answer, not a failure.
///
/// # Errors
/// If there is no KB, or its lock file is none.
pub(super) fn run(ui: &mut Ui, settings: &Settings) -> Result<Exit, CommandError> {
    let root = KbRoot::resolve(&settings.candidates)?;
    let lock = mutation::lock_state(&root)?;
    let path = root.path().display().to_string();
    let advice = advice(&lock);
    if ui.json() {
        ui.answer(Answer {
            path,
            lock: &lock,
            advice,
        });
        return Ok(Exit::Done);
    }
    ui.line(&format!("Knowledge base: {}", one_line(&path)));
    for line in lines(&lock) {
        ui.line(&line);
    }
    for hint in &advice {
        ui.hint(hint);
    }
    Ok(Exit::Done)
}

fn lines(lock: &LockState) -> Vec<String> {
    let holders = match lock {
        LockState::Free => return vec!["Lock: free".to_owned()],
        LockState::Unseen => {
            return vec!["Lock: held by a process that cannot be seen from here".to_owned()];
        }
        LockState::Held(holders) => holders,
    };
    let mut lines = vec![match &holders[..] {
        [holder] if holder.exclusive => "Lock: held for a change".to_owned(),
        [_] => "Lock: held for reading".to_owned(),
        several => format!("Lock: held by {} processes", several.len()),
    }];
    for holder in holders {
        lines.extend(holder_lines(holder));
    }
    lines
}

fn holder_lines(holder: &Holder) -> Vec<String> {
    let stopped = if holder.stopped { ", stopped" } else { "" };
    let mut lines = vec![format!("Process: {}{stopped}", holder.pid)];
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("  {name}: {}", one_line(value)));
        }
    };
    field("Started as", holder.command_line.as_str());
    if let Some(record) = &holder.record {
        field("Command", &format!("kbhost {}", record.command));
        field("Has it since", record.since.as_str());
        field("Phase", record.phase.as_str());
        field("Last progress", record.progress.as_str());
        field("Host", record.host.as_str());
    }
    lines
}

/// What would end each hold.
fn advice(lock: &LockState) -> Vec<String> {
    match lock {
        LockState::Free => Vec::new(),
        LockState::Unseen => vec![
            "look for it in other containers, and on other machines that reach this folder; else \
             wait until it is done"
                .to_owned(),
        ],
        LockState::Held(holders) => holders.iter().map(advice_on).collect(),
    }
}

fn advice_on(holder: &Holder) -> String {
    let Holder { pid, program, .. } = holder;
    let is_ours = holder.record.is_some() || program.as_str() == "kbhost";
    if !holder.own {
        return format!(
            "process {pid} belongs to another user: wait until it is done, or ask them to end it"
        );
    }
    if holder.stopped {
        return format!(
            "process {pid} was stopped: `kill -CONT {pid}` lets it go on, `kill -KILL {pid}` ends \
             it; the next command undoes what it left"
        );
    }
    if is_ours {
        return format!(
            "wait until process {pid} is done, or end it with `kill {pid}`: it stops between two \
             documents"
        );
    }
    let name = match program.as_str() {
        "" => "a program".to_owned(),
        program => format!("`{program}`"),
    };
    format!(
        "process {pid}, {name}, is not kbhost but locks the same file, as `openkb` does: wait until \
         it is done, or end it with `kill {pid}`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::SafeLine;
    use crate::mutation::HolderRecord;

    fn holder() -> Holder {
        Holder {
            pid: 7,
            exclusive: true,
            own: true,
            stopped: false,
            program: SafeLine::new("kbhost"),
            command_line: SafeLine::new("kbhost add docs"),
            record: Some(HolderRecord {
                command: SafeLine::new("add"),
                since: SafeLine::new("2026-01-02T03:04:05Z"),
                phase: SafeLine::new("publish"),
                progress: SafeLine::new("2026-01-02T03:04:06Z"),
                host: SafeLine::new("box"),
            }),
        }
    }

    #[test]
    fn a_writer_is_told_with_all_it_left() {
        assert_eq!(
            lines(&LockState::Held(vec![holder()])),
            [
                "Lock: held for a change",
                "Process: 7",
                "  Started as: kbhost add docs",
                "  Command: kbhost add",
                "  Has it since: 2026-01-02T03:04:05Z",
                "  Phase: publish",
                "  Last progress: 2026-01-02T03:04:06Z",
                "  Host: box",
            ]
        );
        assert_eq!(lines(&LockState::Free), ["Lock: free"]);
        assert_eq!(advice(&LockState::Free), Vec::<String>::new());
    }

    #[test]
    fn each_holder_has_its_own_end() {
        let check = |holder: Holder, expected: &str| {
            let advice = advice_on(&holder);
            assert!(advice.contains(expected), "{advice}");
        };
        check(holder(), "`kill 7`: it stops between two documents");
        let stopped = Holder {
            stopped: true,
            ..holder()
        };
        check(stopped, "`kill -CONT 7`");
        let foreign = Holder {
            program: SafeLine::new("python3"),
            record: None,
            ..holder()
        };
        check(foreign, "`python3`, is not kbhost");
        let of_another = Holder {
            own: false,
            ..holder()
        };
        check(of_another, "another user");
    }

    #[test]
    fn json_shape() {
        let state = LockState::Held(vec![Holder {
            record: None,
            ..holder()
        }]);
        let answer = |lock| Answer {
            path: "/kb".to_owned(),
            lock,
            advice: Vec::new(),
        };
        assert_eq!(
            super::super::json::line(Some("lock"), answer(&state)),
            r#"{"kbhost":1,"command":"lock","path":"/kb","state":"held","holders":[{"pid":7,"exclusive":true,"own":true,"stopped":false,"program":"kbhost","command_line":"kbhost add docs","record":null}],"advice":[]}"#
        );
        assert_eq!(
            super::super::json::line(Some("lock"), answer(&LockState::Free)),
            r#"{"kbhost":1,"command":"lock","path":"/kb","state":"free","advice":[]}"#
        );
    }
}
