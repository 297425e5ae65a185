//! kbhost turns untrusted documents into a knowledge base you can trust.
//!
//! Parallel work may prepare disposable data; only the serial mutation owner may change official
//! KB state. `ARCHITECTURE.md` tells which room owns what.

mod authoring;
pub mod cli;
pub mod commit;
pub mod compile;
mod conformance;
pub mod doctor;
pub mod effects;
pub mod egress;
pub mod enumerate;
pub mod kb;
pub mod mutation;
pub mod plugin;
pub mod prepare;
mod selftest;
mod userdir;
