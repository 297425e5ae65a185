//! PDF to Markdown, without a model: from the bytes of a file to pages of glyphs, from those to lines,
//! tables, blocks, reading order, headings and lists, and from those to Markdown.
//!
//! Invariant: the same bytes give the same output; no input makes it panic or work without bound.

pub mod geometry;
pub mod limits;
pub mod page;
pub mod read;
