//! The same input gives the same result, whatever clock, randomness and order of directories are; and
//! if not, which of them it is.

use std::time::Duration;

use super::Stop;
use super::report::Check;
use super::result::{Part, difference, parts};
use super::trial::{Conditions, Input, Trial};
use crate::plugin::Surroundings;

const NAME: &str = "determinism";

/// A day, a minute and some: no part of a date stays as it was.
const CLOCK_AHEAD: Duration = Duration::from_secs(40 * 86_400 + 3_661);

/// Other times between two readings, as on a slower machine.
const CLOCK_STEP: Duration = Duration::from_micros(7_001);

/// Something that must not matter, and how it is changed.
type Change = (&'static str, fn(&mut Surroundings));

/// What can be changed, each alone.
const CHANGES: [Change; 3] = [
    ("the clock", |surroundings| {
        surroundings.clock_ahead = CLOCK_AHEAD;
        surroundings.clock_step = CLOCK_STEP;
    }),
    ("the random seed", |surroundings| {
        surroundings.random_salt = 1;
    }),
    ("the order of directories", |surroundings| {
        surroundings.reverse_listings = true;
    }),
];

/// Checks each input; `usual` are the parts of what it gave before.
pub(super) fn check(trial: &Trial<'_>, inputs: &[(&Input, Vec<Part>)]) -> Result<Check, Stop> {
    if inputs.is_empty() {
        return Ok(Check::skip(NAME, "no input gave a result"));
    }
    let mut faults = Vec::new();
    for (input, usual) in inputs {
        if let Some(fault) = fault(trial, input, usual)? {
            faults.push(format!("{}: {fault}", input.file_name));
        }
    }
    let passed = format!(
        "{} again with another clock, random seed and order of directories",
        super::counted(inputs.len(), "input", "inputs")
    );
    Ok(Check::of_faults(NAME, passed, faults))
}

/// How the result of an input differs, and through what.
fn fault(trial: &Trial<'_>, input: &Input, usual: &[Part]) -> Result<Option<String>, Stop> {
    let run = |surroundings| {
        let with = Conditions {
            surroundings,
            ..trial.usual()
        };
        let outcome = trial.run(input, &with)?;
        Ok::<_, Stop>(difference(usual, &parts(&outcome)?))
    };
    let mut all = Surroundings::default();
    for (_, change) in CHANGES {
        change(&mut all);
    }
    let Some(together) = run(all)? else {
        return Ok(None);
    };
    if let Some(difference) = run(Surroundings::default())? {
        return Ok(Some(format!(
            "differs though nothing changed: {difference}"
        )));
    }
    let mut causes = Vec::new();
    let mut shown = None;
    for (name, change) in CHANGES {
        let mut alone = Surroundings::default();
        change(&mut alone);
        if let Some(difference) = run(alone)? {
            causes.push(name);
            shown.get_or_insert(difference);
        }
    }
    let causes = match &causes[..] {
        [] => "clock, random seed and order of directories together, none of them alone".to_owned(),
        causes => causes.join(" and "),
    };
    let difference = shown.unwrap_or(together);
    Ok(Some(format!(
        "the result depends on {causes}: {difference}"
    )))
}
