//! The only room that names wasmtime: engine, worlds, limits, the WASI surface, the compile cache
//! and the errors of a component. It handles bytes and staging directories, never a KB path, the
//! registry or the lock.
//!
//! Invariant: a component sees one read-only `/in`, one private `/out`, and nothing else.

mod answer;
mod bindings;
mod builtin;
mod cache;
mod call;
mod catalog;
mod check;
mod checkpoints;
mod clocks;
mod compile;
mod content;
mod converter;
mod endpoint;
mod engine;
mod error;
mod fault;
mod file_streams;
mod filesystem;
mod inspect;
mod job;
mod limits;
mod machine_code;
mod manifest;
mod memory;
mod named_file;
mod password;
mod quota;
mod random;
mod set;
mod sockets;
mod state;
mod stdio;
mod surroundings;
mod trial;
mod wasi;
mod watch;
mod workshop;

#[cfg(test)]
mod tests;

pub(crate) use answer::{ACCEPTS_MAX, is_media_type, is_name, is_version, valid as is_accepted};
pub(crate) use bindings::is_cloud_world;
pub(crate) use builtin::Builtin;
pub use catalog::{LISTED_MAX, RemoteCatalog, RemoteDocument, RemoteState};
pub(crate) use check::COMPONENT_BYTES_MAX;
pub use checkpoints::Checkpoints;
pub(crate) use compile::{COMPILE_ARGUMENT, answer_compile, machine_code, use_children};
pub(crate) use content::HEAD_BYTES_MAX;
pub use converter::{AcceptedType, Plugin, PluginIdentity, Probe};
pub use error::{ConvertError, JobError, JobFailure, PluginError};
pub use inspect::Inspection;
pub use job::{
    Asset, Converted, Input, Job, JobReport, Listener, NEEDS_OCR, OutlineEntry, OutputFile,
    OutputRole,
};
pub use limits::{Allowance, Limits};
pub(crate) use manifest::Manifest;
pub use manifest::WantedLimits;
pub use password::Password;
pub use set::{CacheDir, Format, Maker, PluginSet, Standing};
pub use surroundings::Surroundings;
pub(crate) use workshop::read_component;
