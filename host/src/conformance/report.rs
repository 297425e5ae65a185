//! What a trial found: a row for each check, and what each input used.

use serde::Serialize;

use crate::plugin::PluginIdentity;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// The converter keeps the contract in this.
    Pass,
    /// It does not.
    Fail,
    /// There was nothing to look at.
    Skip,
}

/// A row of the table. Texts are untrusted: they quote the converter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// A stable word.
    pub(crate) name: &'static str,
    /// How it ended.
    pub(crate) verdict: Verdict,
    /// Why, in a line.
    pub(crate) reason: String,
    /// More lines, for a person: a difference, the inputs that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) details: Vec<String>,
}

/// Lines that tell of one check: more faults are not more to do.
const DETAILS_MAX: usize = 100;

impl Check {
    /// A check that passed.
    pub(super) fn pass(name: &'static str, reason: impl Into<String>) -> Self {
        Self::new(name, Verdict::Pass, reason.into(), Vec::new())
    }

    /// A check that had nothing to look at.
    pub(super) fn skip(name: &'static str, reason: impl Into<String>) -> Self {
        Self::new(name, Verdict::Skip, reason.into(), Vec::new())
    }

    /// A check that failed.
    pub(super) fn fail(name: &'static str, reason: impl Into<String>) -> Self {
        Self::new(name, Verdict::Fail, reason.into(), Vec::new())
    }

    /// A check that passed unless there are `faults`: the first is the reason, all are details.
    pub(super) fn of_faults(name: &'static str, passed: String, faults: Vec<String>) -> Self {
        match &faults[..] {
            [] => Self::pass(name, passed),
            [only] => Self::fail(name, only.clone()),
            [first, more @ ..] => {
                let reason = format!("{first} (and {} more)", more.len());
                Self::new(name, Verdict::Fail, reason, faults)
            }
        }
    }

    /// With further lines.
    pub(super) fn with_details(mut self, details: Vec<String>) -> Self {
        self.details.extend(details);
        let over = self.details.len().saturating_sub(DETAILS_MAX);
        if over > 0 {
            self.details.truncate(DETAILS_MAX);
            self.details.push(format!("(and {over} more lines)"));
        }
        self
    }

    fn new(name: &'static str, verdict: Verdict, reason: String, details: Vec<String>) -> Self {
        Self {
            name,
            verdict,
            reason,
            details: Vec::new(),
        }
        .with_details(details)
    }
}

/// What the conversion of an input used, within the usual limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Usage {
    /// The input's file name.
    pub(crate) input: String,
    /// CPU time of `assets` and `convert`, milliseconds.
    pub(crate) cpu_ms: u64,
    /// Largest sum of the component's memories.
    pub(crate) memory_bytes_peak: u64,
    /// Most files and directories of output at one time.
    pub(crate) output_files_peak: u64,
    /// Most bytes of output at one time.
    pub(crate) output_bytes_peak: u64,
}

/// All that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    /// Who was on trial; `None` if it is no usable component.
    pub(crate) plugin: Option<PluginIdentity>,
    /// The checks, in their order.
    pub(crate) checks: Vec<Check>,
    /// The inputs that gave a document.
    pub(crate) inputs: Vec<Usage>,
    /// Expectations that were written.
    pub(crate) blessed: Vec<String>,
    /// Mutated inputs that were kept.
    pub(crate) kept: Vec<String>,
}

impl Report {
    /// Whether no check failed.
    pub(crate) fn passed(&self) -> bool {
        self.checks
            .iter()
            .all(|check| check.verdict != Verdict::Fail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_make_a_check_fail_and_are_bounded() {
        let check = |faults: usize| {
            let faults = (0..faults).map(|n| format!("fault {n}")).collect();
            Check::of_faults("convert", "fine".to_owned(), faults)
        };
        assert_eq!(check(0), Check::pass("convert", "fine"));
        assert_eq!(check(1), Check::fail("convert", "fault 0"));
        assert_eq!(check(3).reason, "fault 0 (and 2 more)");
        assert_eq!(check(3).details.len(), 3);
        let many = check(1_000);
        assert_eq!(many.details.len(), DETAILS_MAX + 1);
        assert_eq!(many.details[DETAILS_MAX], "(and 900 more lines)");
    }
}
