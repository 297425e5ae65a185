//! What a plugin's author is given: a project to start from, and the build of it with that language's
//! own tools.
//!
//! Knows no knowledge base and runs no component. The tools that it starts are the author's own, with
//! the author's rights: nothing of a build is caged.

mod build;
pub(crate) mod files;
mod project;

pub(crate) use build::{BuildError, Profile, build};
pub(crate) use project::{Language, create};
