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
pub mod tree;

use std::fmt;

use layout::block::PageBlocks;
use limits::Limits;
use page::{Bookmark, Metadata};
use read::{MissingPictures, Pdf, PictureSink, Reader};
use tree::Tree;

/// A document, laid out.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its pages.
    pub pages: Vec<PageBlocks>,
    /// Its bookmarks.
    pub bookmarks: Vec<Bookmark>,
    /// What it says about itself.
    pub metadata: Metadata,
    /// Its sections.
    pub tree: Tree,
    /// Pictures that are not there.
    pub missing_pictures: MissingPictures,
}

/// Which bound a document exceeds as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// Its pages, and how many may be.
    Pages(u32),
    /// Its characters, and how many may be.
    Glyphs(u64),
    /// The memory that its text takes with the places of its words, and the bytes that it may.
    Held(u64),
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages(max) => write!(f, "more than {max} pages"),
            Self::Glyphs(max) => write!(f, "more than {max} characters"),
            Self::Held(max) => write!(f, "more words than {max} bytes hold"),
        }
    }
}

/// Lays out the pages of an open file; their pictures go to `sink` and are named by index from then on.
///
/// # Errors
/// If it has more pages, characters or words than the limits allow. What exceeds the limits of a page is left
/// out, and [`PageBlocks::cut`] says so.
pub fn document(
    pdf: &Pdf,
    limits: Limits,
    sink: &mut dyn PictureSink,
) -> Result<Document, TooLarge> {
    let mut reader = Reader::new(pdf, limits);
    let count = reader.page_count();
    if count > limits.pages {
        return Err(TooLarge::Pages(limits.pages));
    }
    let (mut glyphs, mut held) = (0, 0);
    let mut pages = Vec::new();
    for number in 1..=count {
        let page = reader.page(number, sink);
        glyphs += page.glyphs.len() as u64;
        if glyphs > limits.glyphs {
            return Err(TooLarge::Glyphs(limits.glyphs));
        }
        let page = layout::page(&page, reader.fonts());
        held += layout::held::bytes(&page);
        if held > limits.held_bytes {
            return Err(TooLarge::Held(limits.held_bytes));
        }
        pages.push(page);
    }
    let bookmarks = reader.bookmarks();
    let structure = reader.structure();
    let is_tagged = layout::document(&mut pages, &bookmarks, structure.as_ref());
    let tree = tree::of_document(&pages, &bookmarks, is_tagged);
    Ok(Document {
        pages,
        bookmarks,
        metadata: reader.metadata(),
        tree,
        missing_pictures: reader.missing_pictures(),
    })
}
