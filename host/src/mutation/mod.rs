//! The serial mutation owner: the only room that writes the KB.
//!
//! Order of a mutation: recovery drained, final names, plan, snapshot, publish, write, registry,
//! committed, effects. Roll back on any failure before the commit point; never after it.

mod aftermath;
mod coordinator;
mod drain;
mod error;
mod fault;
mod guard;
mod holder;
mod init;
mod journal;
mod overlay;
mod owner;
mod plan;
mod registry;
mod search_index;
mod storage;
mod touched;
mod undo;

pub use error::{AcquireError, MutationError};
pub use init::{InitError, Initialised, init};
pub use owner::{LockWait, Owner, OwnerOptions};

#[cfg(test)]
mod tests;
