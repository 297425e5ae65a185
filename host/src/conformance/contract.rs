//! The contract itself: what a converter says of itself, its probe, and documents that pass every
//! validator with nothing left over.

use super::report::Check;
use super::trial::{self, Input, Outcome, Trial, exactly};
use super::{Stop, counted};
use crate::kb::{ContentHash, PathError};
use crate::plugin::{HEAD_BYTES_MAX, Manifest, Probe, Surroundings};

/// Whether the converter says each time, and whatever surrounds it, what its binary was loaded as.
pub(super) fn describe(trial: &Trial<'_>) -> Check {
    const NAME: &str = "describe";
    let other = Surroundings {
        random_salt: 1,
        ..Surroundings::default()
    };
    let identity = trial.plugin.identity();
    if trial.plugin.accepts().is_empty() {
        return Check::fail(NAME, "it takes no media type");
    }
    for surroundings in [Surroundings::default(), other] {
        match trial.plugin.describe(&surroundings) {
            Err(failure) => return Check::fail(NAME, failure.to_string()),
            Ok((name, version, accepts)) => {
                let same = (&*name, &*version, &*accepts)
                    == (&*identity.name, &*identity.version, trial.plugin.accepts());
                if !same {
                    return Check::fail(NAME, "another answer each time it is asked");
                }
            }
        }
    }
    let accepts = trial.plugin.accepts().iter();
    let accepts: Vec<&str> = accepts.map(|accepted| &*accepted.media_type).collect();
    let taken = accepts.join(", ");
    Check::pass(
        NAME,
        format!("{} {} takes {taken}", identity.name, identity.version),
    )
}

/// Whether the manifest beside the component says the same.
pub(super) fn manifest(trial: &Trial<'_>, manifest: Option<&Manifest>) -> Check {
    const NAME: &str = "manifest";
    let Some(manifest) = manifest else {
        return Check::skip(NAME, "no folder with a manifest was named");
    };
    let identity = trial.plugin.identity();
    if (&*manifest.name, &*manifest.version) == (&*identity.name, &*identity.version) {
        return Check::pass(NAME, "name and version are those of the component");
    }
    let (name, version) = (&manifest.name, &manifest.version);
    Check::fail(
        NAME,
        format!(
            "it says `{name} {version}`, the component says `{} {}`",
            identity.name, identity.version
        ),
    )
}

/// Whether `probe` answers within 0 to 100, and alike, whatever it is shown.
pub(super) fn probe(trial: &Trial<'_>, inputs: &[Input]) -> Result<Check, Stop> {
    const NAME: &str = "probe";
    // Every byte value, in no order that a format has.
    let noise: Vec<u8> = (0..HEAD_BYTES_MAX)
        .map(|n| n.wrapping_mul(167).to_le_bytes()[0])
        .collect();
    let mut heads = vec![
        ("an empty head".to_owned(), Vec::new()),
        ("noise".to_owned(), noise),
    ];
    for input in inputs {
        heads.push((input.file_name.clone(), head(input)?));
    }
    let other = Surroundings {
        random_salt: 1,
        ..Surroundings::default()
    };
    let allowance = exactly(&trial.limits);
    let mut faults = Vec::new();
    let mut answers = Vec::new();
    for (name, head) in &heads {
        trial.go_on()?;
        let asked = |surroundings| {
            let (sure, _report) = trial.plugin.probe(&Probe {
                head,
                name,
                seed: &ContentHash::of(head),
                allowance: &allowance,
                surroundings,
                cancel: &trial.cancel,
            });
            sure.map_err(|error| error.failure)
        };
        match (asked(Surroundings::default()), asked(other)) {
            (Err(failure), _) | (_, Err(failure)) => faults.push(format!("{name}: {failure}")),
            (Ok(sure), Ok(again)) if sure != again => {
                faults.push(format!(
                    "{name}: {sure}, and {again} with another random seed"
                ));
            }
            (Ok(sure), Ok(_)) => answers.push(format!("{sure} for {name}")),
        }
    }
    let shown = answers.iter().take(3).cloned().collect::<Vec<_>>();
    Ok(Check::of_faults(NAME, shown.join(", "), faults))
}

fn head(input: &Input) -> Result<Vec<u8>, PathError> {
    use std::io::Read as _;

    let mut head = Vec::new();
    trial::open(&input.path)
        .and_then(|file| file.take(HEAD_BYTES_MAX as u64).read_to_end(&mut head))
        .map_err(|error| PathError::new("read", &input.path, error))?;
    Ok(head)
}

/// Whether each input gave a document, or the refusal that is expected, with nothing left over; and
/// whether the converter tried what the sandbox refuses.
pub(super) fn results(results: &[(&Input, &Outcome, bool)]) -> [Check; 3] {
    let mut faults = Vec::new();
    let mut left = Vec::new();
    let mut denied = Vec::new();
    for (input, outcome, may_refuse) in results {
        let name = &input.file_name;
        let rehearsal = match outcome {
            Outcome::Document(rehearsal) => rehearsal,
            Outcome::Refused(_) if *may_refuse => continue,
            other => {
                faults.push(format!("{name}: {}", other.words()));
                continue;
            }
        };
        let undeclared = rehearsal.undeclared.iter();
        left.extend(
            undeclared.map(|file| format!("{name}: `{file}` was written and not declared")),
        );
        let left_out = rehearsal.left_out.iter();
        left.extend(left_out.map(|file| format!("{name}: `{file}` was declared and is left out")));
        let attempts = rehearsal.document.report.denied.iter();
        denied.extend(attempts.map(|(what, count)| format!("{name}: {what}, {count} times")));
    }
    let number = counted(results.len(), "input", "inputs");
    [
        Check::of_faults("convert", format!("{number} passed the validators"), faults),
        Check::of_faults(
            "files",
            "each file that was written is used".to_owned(),
            left,
        ),
        Check::of_faults(
            "denied",
            "it tried nothing that is refused".to_owned(),
            denied,
        ),
    ]
}
