//! Why a preparation gave no document.

use crate::enumerate::EnumerateError;
use crate::kb::PathError;
use crate::plugin::{ConvertError, JobError, JobFailure, Password};

use super::StagingError;

/// Why one input could not be prepared. None of these stops a batch, except a full or broken disk,
/// which [`PrepareError::is_of_the_kb`] tells.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The path is no input.
    #[error(transparent)]
    Enumerate(#[from] EnumerateError),
    /// The input cannot be read.
    #[error(transparent)]
    Input(#[from] PathError),
    /// The input changed while it was read, twice.
    #[error("read `{0}`: it changed while it was read, twice")]
    Changed(String),
    /// No converter takes this file.
    #[error("convert `{0}`: no converter takes this kind of file")]
    Unsupported(String),
    /// Larger than the limit.
    #[error("read `{path}`: {size} bytes; the limit is {limit} bytes")]
    InputTooLarge {
        /// The input.
        path: String,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// Nothing in it.
    #[error("convert `{0}`: the file is empty")]
    Empty(String),
    /// The converter failed.
    #[error(transparent)]
    Job(#[from] Box<JobError>),
    /// Staging failed: the disk is full, or the KB is read-only.
    #[error(transparent)]
    Staging(#[from] StagingError),
    /// The system gives us no threads.
    #[error("start the worker threads")]
    Workers(#[source] std::io::Error),
    /// A worker panicked: a bug of ours.
    #[error("prepare `{path}`: a worker panicked: {message}")]
    Panicked {
        /// The input.
        path: String,
        /// The panic's message.
        message: String,
    },
    /// The run was cancelled before this input was done.
    #[error("prepare `{0}`: cancelled")]
    Cancelled(String),
}

impl PrepareError {
    /// Whether the trouble is the disk, the KB or the machine and not the input: the batch stops.
    #[must_use]
    pub fn is_of_the_kb(&self) -> bool {
        matches!(self, Self::Staging(_) | Self::Workers(_))
    }

    /// Whether the document does not open without a password.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Job(job) if matches!(job.failure, JobFailure::Converter(ConvertError::Encrypted(_))))
    }

    /// Of a converter that is given no passwords: says so where one would be needed.
    pub(super) fn withheld(self) -> Self {
        self.changed(|failure| match failure {
            JobFailure::Converter(ConvertError::Encrypted(why)) => {
                ConvertError::Withheld(why).into()
            }
            other => other,
        })
    }

    /// Of a converter that was given `password`: which opens nothing then, and is not told.
    pub(super) fn with_password(self, password: &Password) -> Self {
        self.changed(|failure| match failure {
            JobFailure::Converter(ConvertError::Encrypted(_)) => ConvertError::WrongPassword.into(),
            other if password.is_told_in(&other.to_string()) => {
                ConvertError::Internal(Password::NOT_TOLD.to_owned()).into()
            }
            other => other,
        })
    }

    fn changed(self, change: impl FnOnce(JobFailure) -> JobFailure) -> Self {
        match self {
            Self::Job(job) => {
                let JobError { plugin, failure } = *job;
                let failure = change(failure);
                Self::Job(Box::new(JobError { plugin, failure }))
            }
            other => other,
        }
    }
}
