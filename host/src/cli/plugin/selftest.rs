//! `plugin selftest`: the hostile kit on this very machine, as a table.

use std::sync::Arc;

use serde::Serialize;

use super::super::advice::code_of;
use super::super::engine;
use super::super::error::CommandError;
use super::super::exit::Exit;
use super::super::signals::Signals;
use super::super::table::Table;
use super::super::ui::Ui;
use crate::kb::SafeLine;
use crate::selftest::{CASES, Case, Outcome, Platform, Selftest, SelftestError};

#[derive(Serialize)]
struct Row<'a> {
    case: &'a str,
    attempts: &'a str,
    caught: &'a str,
    detail: &'a SafeLine,
    escapes: &'a [SafeLine],
    ms: u64,
    caged: bool,
}

#[derive(Serialize)]
struct Answer<'a> {
    cases: Vec<Row<'a>>,
    kernel: &'a SafeLine,
    openat2: bool,
    caged: usize,
    escaped: usize,
}

/// Runs the cases called `only`, or all.
///
/// # Errors
/// If the kit cannot run here, or there is no such case.
pub(super) fn run(ui: &mut Ui, only: &[String]) -> Result<Exit, CommandError> {
    let cases = chosen(only)?;
    let signals = Signals::install().map_err(CommandError::Signals)?;
    engine::raise_open_files();
    let mut selftest = Selftest::open(Arc::clone(&signals.cancel)).map_err(failed)?;
    let mut outcomes = Vec::new();
    ui.start_progress(cases.len() as u64);
    for case in cases {
        ui.advance(case.name);
        let outcome = selftest.run(case, &code_of).map_err(failed)?;
        if let Some(exit) = signals.exit() {
            return Err(CommandError::Interrupted(exit));
        }
        outcomes.push((case, outcome));
    }
    ui.finish_progress();
    selftest.close().map_err(failed)?;
    Ok(tell(ui, &outcomes))
}

fn failed(error: SelftestError) -> CommandError {
    match error {
        SelftestError::Path(error) => error.into(),
        SelftestError::Staging(error) => error.into(),
        SelftestError::Plugin(error) => error.into(),
        SelftestError::Egress(error) => error.into(),
    }
}

fn chosen(only: &[String]) -> Result<Vec<&'static Case>, CommandError> {
    let unknown = only
        .iter()
        .find(|name| !CASES.iter().any(|case| case.name == **name));
    if let Some(name) = unknown {
        let name = super::super::terminal::one_line(name);
        return Err(CommandError::Usage {
            message: format!("find a case called `{name}`"),
            hint: "`kbhost plugin selftest` runs and names all cases".to_owned(),
        });
    }
    let cases = CASES.iter();
    Ok(cases
        .filter(|case| only.is_empty() || only.iter().any(|name| name == case.name))
        .collect())
}

/// Milliseconds, rounded up: no case takes no time.
fn ms(outcome: &Outcome) -> u64 {
    u64::try_from(outcome.elapsed.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

fn tell(ui: &mut Ui, outcomes: &[(&Case, Outcome)]) -> Exit {
    let platform = Platform::of_this_process();
    let is_caged = |outcome: &Outcome| outcome.escapes.is_empty();
    let caged = outcomes.iter().filter(|(_, one)| is_caged(one)).count();
    let escaped = outcomes.len() - caged;
    if ui.json() {
        let rows = outcomes.iter().map(|(case, outcome)| Row {
            case: case.name,
            attempts: case.attempts,
            caught: outcome.caught,
            detail: &outcome.detail,
            escapes: &outcome.escapes,
            ms: ms(outcome),
            caged: is_caged(outcome),
        });
        ui.answer(Answer {
            cases: rows.collect(),
            kernel: &platform.kernel,
            openat2: platform.has_openat2,
            caged,
            escaped,
        });
    } else {
        let table = Table {
            header: ["Verdict", "Case", "ms", "Caught by"],
            right: [false, false, true, false],
            elastic: &[3],
            rows: outcomes
                .iter()
                .map(|(case, one)| cells(case, one))
                .collect(),
        };
        for line in table.lines(ui.columns(), ui.stdout().colour) {
            ui.line(&line);
        }
        let openat2 = if platform.has_openat2 { "yes" } else { "no" };
        ui.line("");
        ui.line(&format!("kernel   {}", platform.kernel));
        ui.line(&format!("openat2  {openat2}"));
        ui.line(&format!("{caged} caged, {escaped} escaped"));
    }
    match escaped {
        0 => Exit::Done,
        _ => Exit::Findings,
    }
}

fn cells(case: &Case, outcome: &Outcome) -> [String; 4] {
    let (verdict, detail) = match &outcome.escapes[..] {
        [] => ("caged", format!("{}: {}", outcome.caught, outcome.detail)),
        escapes => {
            let escapes: Vec<_> = escapes.iter().map(SafeLine::as_str).collect();
            ("ESCAPED", escapes.join("; "))
        }
    };
    [
        verdict.to_owned(),
        case.name.to_owned(),
        ms(outcome).to_string(),
        detail,
    ]
}
