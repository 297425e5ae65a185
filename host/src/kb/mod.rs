//! The knowledge base as everybody may see it: its root handle, its layout, names and identities,
//! configuration and the registry's readers. Nothing in this room writes.

pub(crate) mod beneath;
pub(crate) mod checkpoint;
pub mod clock;
pub mod config;
mod error;
pub mod identity;
mod ids;
pub mod layout;
pub mod names;
pub(crate) mod openkb;
pub mod pages;
mod path;
mod ranges;
pub mod registry;
mod remote;
mod root;
pub mod search;
mod text;
pub mod tree;
pub mod view;
pub(crate) mod walk;

pub use checkpoint::{CHECKPOINT_BYTES_MAX, CheckpointKey};
pub use error::{KbError, PathError};
pub use ids::{ContentHash, DocName, PluginDigest, Seq, SourceKey};
pub use path::{KbPath, KbPathError};
pub use ranges::PageRanges;
pub use remote::RemoteId;
pub use root::{Candidates, Fallback, KbRoot};
pub use text::{LINE_CHARS_MAX, SafeLine, is_deceptive, shell_word};
