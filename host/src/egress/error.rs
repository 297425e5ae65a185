//! Why no service can be called at all.

use std::path::PathBuf;

use crate::kb::PathError;

/// Why there is no client. Each reads behind "failed to …"; none holds a credential.
#[derive(Debug, thiserror::Error)]
pub enum EgressError {
    /// No key anywhere.
    #[error("find a key of {service}: there is none in {}", .looked.join(", "))]
    NoKey {
        /// The service, as a person calls it.
        service: &'static str,
        /// The variable that may hold it.
        variable: &'static str,
        /// The user's file that may hold it; `None` for a user without a home.
        file: Option<PathBuf>,
        /// Where was looked.
        looked: Vec<String>,
    },
    /// A KB has a key, but nobody vouched for the KB.
    #[error("use the key in `{}`: the knowledge base is not trusted", .kb.join(".env").display())]
    Untrusted {
        /// The KB.
        kb: PathBuf,
    },
    /// What was found is no key.
    #[error("use the key of {place}: {reason}")]
    BadKey {
        /// Where it stands.
        place: String,
        /// What is wrong; not the value.
        reason: &'static str,
    },
    /// A file with a key that others can read, or that is no plain file of the user's.
    #[error("use the key in `{}`: {reason}", .path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// The mode that mends it, as `chmod` takes it.
        mode: Option<&'static str>,
    },
    /// A file with a key cannot be read.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The address of a service makes no sense.
    #[error("use `{value}` of {place}: {reason}")]
    BadUrl {
        /// Where it stands.
        place: String,
        /// What stands there, one safe line.
        value: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The user's policy cannot be read.
    #[error("read the policy for image hosts: {0}")]
    Policy(String),
    /// The client cannot start.
    #[error("start the client for network calls: {0}")]
    Client(String),
}
