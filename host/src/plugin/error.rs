//! Errors of loading a component and of running one.

use std::path::PathBuf;
use std::time::Duration;

use super::PluginIdentity;

/// Why a component cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The file cannot be read.
    #[error(transparent)]
    Path(#[from] crate::kb::PathError),
    /// Not a component: a core module, precompiled code, or no WebAssembly.
    #[error("use `{}` as a plugin: {reason}", path.display())]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        reason: String,
    },
    /// It imports what no world offers.
    #[error("use `{}` as a plugin: it imports {}", path.display(), imports.join(", "))]
    Imports {
        /// The file.
        path: PathBuf,
        /// The refused imports, sanitised.
        imports: Vec<String>,
    },
    /// It does not export the converter interface of a version this host speaks.
    #[error("use `{}` as a plugin: it does not export {expected}", path.display())]
    World {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// A converter that comes with the program and is nothing without its service.
    #[error("convert with `{name}`: it works for its service alone")]
    NeedsService {
        /// Its name.
        name: &'static str,
    },
    /// Compilation failed.
    #[error("compile the plugin `{name}`: {reason}")]
    Compile {
        /// Its name or file.
        name: String,
        /// What the compiler said.
        reason: String,
    },
    /// `describe` failed or said something invalid.
    #[error("ask the plugin `{name}` what it is: {reason}")]
    Describe {
        /// Its name or file.
        name: String,
        /// What was wrong.
        reason: String,
    },
    /// The manifest beside a component is unusable, or says something else than the component.
    #[error("use `{}` as the manifest of a plugin: {reason}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The installed plugins cannot be read or changed.
    #[error(transparent)]
    Store(#[from] crate::userdir::plugins::StoreError),
    /// The engine itself cannot start here.
    #[error("start the WebAssembly engine: {0}")]
    Engine(String),
}

/// What a converter says when it gives up; the strings are untrusted and already made [`SafeLine`]s.
///
/// [`SafeLine`]: crate::kb::SafeLine
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// Not a format it reads.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// Broken input.
    #[error("malformed input: {0}")]
    Corrupt(String),
    /// Needs a password.
    #[error("encrypted: {0}")]
    Encrypted(String),
    /// Needs a password, which this converter is not given: it did not come with the program.
    #[error("encrypted: {0}")]
    Withheld(String),
    /// Needs another password than the one that was given.
    #[error("encrypted: the password does not open it")]
    WrongPassword,
    /// Beyond the converter's bounds.
    #[error("too large: {0}")]
    TooLarge(String),
    /// Local files are missing.
    #[error("missing: {}", .0.join(", "))]
    MissingDependency(Vec<String>),
    /// Cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A deadline of its own passed.
    #[error("timed out")]
    Timeout,
    /// No such document, for cloud converters.
    #[error("not found: {0}")]
    NotFound(String),
    /// Network, for cloud converters.
    #[error("network: {0}")]
    Network(String),
    /// Credentials, for cloud converters.
    #[error("credentials refused: {0}")]
    Auth(String),
    /// Quota, for cloud converters.
    #[error("quota: {0}")]
    Quota(String),
    /// The service's answer, for cloud converters.
    #[error("service: {0}")]
    Upstream(String),
    /// A bug in the converter.
    #[error("internal: {0}")]
    Internal(String),
}

impl ConvertError {
    /// What is said where an answer, or what a converter made of it, holds the key of the service.
    pub(crate) const KEY_IN_ANSWER: &str = "the service's answer held the key; it was thrown away";
}

/// How one job ended without a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JobFailure {
    /// The converter said so.
    #[error(transparent)]
    Converter(#[from] ConvertError),
    /// More CPU time than allowed. The text leaves out what was used: it differs from run to run.
    #[error("timeout: more than {limit:?} of CPU time")]
    Cpu {
        /// Used.
        used: Duration,
        /// Allowed.
        limit: Duration,
    },
    /// Hung: more wall time than five times the CPU limit.
    #[error("timeout: no end after {limit:?}")]
    Wall {
        /// Allowed.
        limit: Duration,
    },
    /// More memory than allowed.
    #[error("memory: more than {limit_bytes} bytes")]
    Memory {
        /// Allowed.
        limit_bytes: u64,
    },
    /// More output than allowed.
    #[error("disk: more than {limit_bytes} bytes or {limit_files} files of output")]
    Output {
        /// Allowed bytes.
        limit_bytes: u64,
        /// Allowed files.
        limit_files: u64,
    },
    /// A trap: unreachable code, a panic, an exhausted stack. With the last line of standard error.
    #[error("trap: {0}")]
    Trap(String),
    /// Called `exit`.
    #[error("trap: the plugin ended itself with status {0}")]
    Exit(i32),
    /// Cancelled by the user.
    #[error("cancelled")]
    Cancelled,
    /// It tried what the sandbox refuses, and that was to be an error. By function, with the number of
    /// attempts, sorted.
    #[error("denied: {}", attempts(.0))]
    Denied(Vec<(String, u64)>),
    /// What came back does not pass the validator.
    #[error("invalid output: {0}")]
    InvalidOutput(String),
    /// The host could not do its part: staging unreadable, instance not made.
    #[error("sandbox: {0}")]
    Host(String),
}

/// Denied attempts in words.
fn attempts(denied: &[(String, u64)]) -> String {
    let told = denied.iter().map(|(function, count)| match count {
        1 => function.clone(),
        count => format!("{function} ({count} times)"),
    });
    told.collect::<Vec<_>>().join(", ")
}

/// A failure with the plugin it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("convert it with plugin `{} {}`", plugin.name, plugin.version)]
pub struct JobError {
    /// Who failed.
    pub plugin: PluginIdentity,
    /// How.
    #[source]
    pub failure: JobFailure,
}
