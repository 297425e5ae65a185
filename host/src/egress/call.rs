//! One call, in plain values.

use std::time::Duration;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// GET.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// DELETE.
    Delete,
}

/// The value of a form's field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FormValue {
    /// A text.
    Text(String),
    /// The staged input, under this file name.
    InputFile(String),
}

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// Bytes.
    Bytes(Vec<u8>),
    /// `multipart/form-data`: names and values.
    Form(Vec<(String, FormValue)>),
}

/// A call as a converter asks for it. Every field is untrusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The endpoint's id.
    pub endpoint: String,
    /// What is done.
    pub method: Method,
    /// Path and query, from `/` on.
    pub path: String,
    /// Headers of the converter's own.
    pub headers: Vec<(String, String)>,
    /// What is sent.
    pub body: Body,
}

/// What the service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status, whatever it says.
    pub status: u16,
    /// Lower-case names and values of the few headers that are handed on.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// Why there is no answer. Texts are single lines without a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not granted.
    #[error("refused: {0}")]
    Refused(String),
    /// Not reached, or broken off.
    #[error("network: {0}")]
    Network(String),
    /// Too slow: this call, or all together.
    #[error("timed out")]
    Timeout,
    /// The job shall end.
    #[error("cancelled")]
    Cancelled,
    /// More bytes than are taken.
    #[error("too large: {0}")]
    TooLarge(String),
    /// No more calls.
    #[error("no more calls: {0}")]
    Exhausted(String),
    /// The answer held the credential.
    #[error("the answer held the credential and was thrown away")]
    Tainted,
}

/// An address beneath an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The endpoint's id.
    pub endpoint: String,
    /// Path and query.
    pub path: String,
}

/// What the calls of one job used; goes into the provenance.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Calls that were made, tries again not counted.
    pub calls: u64,
    /// Tries again.
    pub retries: u64,
    /// Bytes of bodies sent.
    pub sent_bytes: u64,
    /// Bytes of bodies received.
    pub received_bytes: u64,
    /// The hosts that were called, sorted.
    pub hosts: Vec<String>,
    /// Time in calls and pauses: no time of the converter's own.
    #[serde(skip)]
    pub waited: Duration,
}
