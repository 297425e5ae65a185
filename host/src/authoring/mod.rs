//! What a plugin's author is given.
//!
//! Knows no knowledge base and runs no component.

pub(crate) mod files;
