//! Decides what the wiki says: `(&dyn KbView, document) -> ChangeSet`. Pure: reads through the
//! view it is given, writes nothing, and asks neither clock nor randomness.

mod acronyms;
mod analysis;
mod escape;
mod index;
mod page;
mod pages;
mod plain;
mod render;
mod sections;
mod summary;
mod terms;
mod words;

pub use analysis::{analyse, member_sections};
pub use index::{IndexFact, IndexFacts, SHARD_ENTRIES, shard_number};
pub use pages::{ChangeSet, MENTIONS_MAX, NamedDocument, PageChange, compile, retract};
pub use render::EMPTY_INDEX;
