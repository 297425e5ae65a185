//! PDF to Markdown, without a model: from the bytes of a file to pages of glyphs, from those to lines,
//! tables, blocks, reading order, headings and lists, and from those to Markdown.
//!
//! Invariant: the same bytes give the same output; no input makes it panic or work without bound.

pub mod geometry;
pub mod layout;
pub mod limits;
pub mod markdown;
pub mod page;
pub mod read;

use layout::block::PageBlocks;
use limits::Limits;
use page::{Bookmark, Metadata};
use read::{OpenError, Pdf, Reader};

/// A document, laid out.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Its pages.
    pub pages: Vec<PageBlocks>,
    /// Its bookmarks.
    pub bookmarks: Vec<Bookmark>,
    /// What it says about itself.
    pub metadata: Metadata,
}

/// Opens a file and lays out its pages.
///
/// # Errors
/// If it cannot be opened.
pub fn convert(
    input: Vec<u8>,
    password: Option<&str>,
    limits: Limits,
) -> Result<Document, OpenError> {
    let pdf = read::open(input, password)?;
    Ok(document(&pdf, limits))
}

/// Lays out the pages of an open file.
#[must_use]
pub fn document(pdf: &Pdf, limits: Limits) -> Document {
    let mut reader = Reader::new(pdf, limits);
    let count = reader.page_count().min(limits.pages);
    let pages = (1..=count).map(|number| {
        let page = reader.page(number);
        layout::page(&page, reader.fonts())
    });
    let mut pages: Vec<PageBlocks> = pages.collect();
    let bookmarks = reader.bookmarks();
    layout::document(&mut pages, &bookmarks);
    Document {
        pages,
        bookmarks,
        metadata: reader.metadata(),
    }
}
