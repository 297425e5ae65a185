//! Prepares documents in parallel: copies an input to its own staging directory, runs its
//! converter there, validates what came out. Everything here is disposable.
//!
//! May touch its own [`StagingDir`]s; must not see the KB's path, names, registry or lock.

mod assets;
mod beneath;
mod cache;
mod checkpoints;
mod collect;
mod contest;
mod convert;
mod document;
mod error;
mod export;
mod fault;
mod format;
mod input;
mod intake;
mod pages;
mod placeholder;
mod pool;
mod provenance;
mod rehearsal;
mod staging;
#[cfg(test)]
mod testing;
mod told;
mod validate;
mod window;

pub use cache::PrepareCache;
pub use checkpoints::{CheckpointRequest, Resume};
pub use convert::{Single, Via, prepare_one, rehearse};
pub use document::{
    Analysis, AnalysisTerm, CloudOrigin, Heading, Original, PreparedDocument, ReadyFile,
    ReadyImage, ReadyMember, Section, SkipReason, TermKind,
};
pub use error::PrepareError;
pub use export::export;
pub use placeholder::{Directories, Placeholders};
pub use pool::{Asked, IsKnown, Message, Options, Preparations, start};
pub use provenance::{Converter, Granted, Made, Provenance};
pub use rehearsal::Rehearsal;
pub use staging::{StagingDir, StagingError, StagingRoot, dead_runs, sweep_dead};
pub use window::Window;
