//! One job: what goes into a component and what comes back, in the host's own types.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::{Checkpoints, Limits, Password, Surroundings};
use crate::egress::{Client, Usage};
use crate::kb::{ContentHash, RemoteId};

/// One input file, already copied to `/in`.
#[derive(Clone, Debug)]
pub struct Input {
    /// The user's file name, for titles and messages. Untrusted.
    pub original_name: String,
    /// Its name beneath `/in`, chosen by the host: `input.pdf`.
    pub guest_name: String,
    /// The media type that chose the converter.
    pub media_type: String,
    /// Length in bytes.
    pub size: u64,
    /// Digest of the copy; also the seed of the guest's randomness.
    pub hash: ContentHash,
}

/// A reference of the input and the file beneath `/in` that it stands for.
#[derive(Clone, Debug)]
pub struct Asset {
    /// As the guest reported it.
    pub reference: String,
    /// Absolute guest path: `/in/assets/0001.png`.
    pub guest_path: String,
}

/// Is told, in one safe line, how far a job is. Called from the worker that runs it, ten times a second
/// at the most.
#[derive(Clone)]
pub struct Listener(Arc<dyn Fn(&str) + Send + Sync>);

impl Listener {
    /// Calls `hear`.
    #[must_use]
    pub fn new(hear: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(hear))
    }

    /// Tells it.
    pub fn tell(&self, line: &str) {
        (self.0)(line);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}

impl JobReport {
    /// Hands what the component wrote to its log on to ours, whether the call succeeded or not.
    pub(crate) fn tell(&self) {
        for line in &self.log {
            tracing::debug!(target: "kbhost::plugin", "{line}");
        }
    }
}

/// Everything one call needs. The directories are the whole world of the guest.
#[derive(Clone, Debug)]
pub struct Job {
    /// Host path of what the guest sees as `/in`.
    pub input_dir: PathBuf,
    /// Host path of what the guest sees as `/out`.
    pub output_dir: PathBuf,
    /// The input. A remote one has no file: no guest name, and no size.
    pub input: Input,
    /// The document of a service that is to be converted, in place of a file.
    pub remote: Option<RemoteId>,
    /// The service that the converter may call, if it is one of the cloud world.
    pub service: Option<Client>,
    /// Resolved assets; empty for `assets`.
    pub assets: Vec<Asset>,
    /// Options for the guest, sorted by key.
    pub options: Vec<(String, String)>,
    /// What opens the document, beside the options and in none of their places.
    pub password: Option<Arc<Password>>,
    /// What the job may use.
    pub limits: Limits,
    /// What must not matter to it.
    pub surroundings: Surroundings,
    /// Set to end the job at the next tick.
    pub cancel: Arc<AtomicBool>,
    /// Who is told how far it is.
    pub listener: Option<Listener>,
    /// What an earlier, interrupted run of this job left.
    pub resume: Option<Vec<u8>>,
    /// Who keeps what the guest leaves for a later run; without one it is told that nothing is kept.
    pub checkpoints: Option<Arc<dyn Checkpoints>>,
}

/// The key of metadata under which a converter tells of pages without text that show a picture of it:
/// `1-3, 7`.
pub const NEEDS_OCR: &str = "needs-ocr";

/// What a file in `/out` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum OutputRole {
    /// The Markdown page.
    Main,
    /// Page texts, JSON.
    Pages,
    /// Section tree, JSON.
    Tree,
    /// A picture.
    Image,
    /// Another file of the document.
    Attachment,
    /// A further document.
    Member,
}

/// A file the guest says it wrote. Every field is untrusted until the collector has seen it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutputFile {
    /// Relative to `/out`.
    pub path: String,
    /// What it is for.
    pub role: OutputRole,
    /// As the guest says.
    pub media_type: String,
    /// The page it came from.
    pub page: Option<u32>,
}

/// A heading as the guest reported it. Untrusted.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutlineEntry {
    /// 1 to 6, if the guest is honest.
    pub level: u8,
    /// Its text.
    pub title: String,
    /// Its page.
    pub page: Option<u32>,
}

/// What `convert` returned: every field is untrusted, and bounded only by the guest's memory.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Converted {
    /// The files the guest declares.
    pub files: Vec<OutputFile>,
    /// The document's own title.
    pub title: Option<String>,
    /// The file name that a remote document has at its service.
    #[serde(default)]
    pub name: Option<String>,
    /// The id that a service gave to a local file.
    #[serde(default)]
    pub remote_id: Option<String>,
    /// Number of pages.
    pub pages: Option<u32>,
    /// Headings.
    pub outline: Vec<OutlineEntry>,
    /// Keys and values.
    pub metadata: Vec<(String, String)>,
    /// Sentences for the user.
    pub warnings: Vec<String>,
}

/// What a call used and tried, whether it succeeded or not; goes into the provenance.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobReport {
    /// CPU time inside the call.
    #[serde(skip)]
    pub cpu: Duration,
    /// Largest sum of the component's memories, bytes.
    pub memory_bytes_peak: u64,
    /// Most bytes beneath `/out` at one time.
    pub output_bytes_peak: u64,
    /// Most files and directories beneath `/out` at one time.
    pub output_files_peak: u64,
    /// Attempts to use what the sandbox refuses, by interface or its function, sorted:
    /// `("wasi:filesystem/symlink-at", 1)`, `("wasi:sockets", 3)`.
    pub denied: Vec<(String, u64)>,
    /// What a cloud converter called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<Usage>,
    /// Captured standard error and log lines: sanitised single lines, capped.
    #[serde(skip)]
    pub log: Vec<String>,
}
