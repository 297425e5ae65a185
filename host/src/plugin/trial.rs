//! Calls of a converter on trial: the questions that it must answer alike whatever surrounds it.

use super::answer;
use super::workshop;
use super::{AcceptedType, JobFailure, Plugin, Surroundings};

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
}
