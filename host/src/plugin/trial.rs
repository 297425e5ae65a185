//! Calls of a converter on trial: the questions that it must answer alike whatever surrounds it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::answer;
use super::call::Sandbox;
use super::workshop;
use super::{AcceptedType, JobFailure, Limits, Plugin, Surroundings};

/// Looking at the head of an input is quick, or it is no probe.
const PROBE_CPU_MAX: Duration = Duration::from_secs(2);

/// Name, version and what is taken.
pub(crate) type Description = (String, String, Vec<AcceptedType>);

impl Plugin {
    /// Asks it once more what it is.
    ///
    /// # Errors
    /// If the call fails, or the answer is not valid.
    pub(crate) fn describe(&self, surroundings: &Surroundings) -> Result<Description, JobFailure> {
        let (description, _report) = workshop::describe(self.pre(), surroundings);
        answer::description(description?).map_err(JobFailure::InvalidOutput)
    }

    /// How sure it is that it reads an input that starts with `head`, as it says: unbounded.
    ///
    /// # Errors
    /// If the call fails.
    pub(crate) fn raw_probe(
        &self,
        head: &[u8],
        name: &str,
        surroundings: &Surroundings,
    ) -> Result<u8, JobFailure> {
        let limits = Limits {
            cpu_max: PROBE_CPU_MAX,
            ..Limits::default()
        };
        let sandbox = Sandbox {
            input: None,
            output: None,
            seed: &[0; 32],
            surroundings,
            limits: &limits,
            cancel: &Arc::new(AtomicBool::new(false)),
        };
        let (answer, _report) = sandbox.run(self.pre(), |guest, store| {
            guest
                .kbhost_converter_converter()
                .call_probe(store, head, name)
        });
        answer
    }
}
