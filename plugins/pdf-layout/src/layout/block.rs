//! Blocks: what a page consists of once its lines are put together.

use crate::geometry::Rect;
use crate::layout::text::Line;

/// A part of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Where.
    pub rect: Rect,
    /// What.
    pub kind: BlockKind,
}

/// What a block is.
#[derive(Clone, Debug, PartialEq)]
pub enum BlockKind {
    /// Text.
    Text(TextBlock),
    /// A table.
    Table(Table),
    /// A picture: an index into the pictures that the reader wrote.
    Picture {
        /// Which.
        picture: u32,
        /// The text that stands for it.
        alternative: String,
        /// The marked content it belongs to.
        content_id: Option<u32>,
    },
}

/// Lines that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct TextBlock {
    /// Its lines, in reading order. Fragments of one row may follow each other.
    pub lines: Vec<Line>,
    /// What it is for.
    pub role: Role,
    /// It goes on in the next text block of the page or the next page: no paragraph ends here.
    pub continues: bool,
}

/// What text is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Running text.
    #[default]
    Paragraph,
    /// A heading with its level, from 1.
    Heading(u8),
    /// An item of a list.
    Item {
        /// How many lists it is nested in, from 0.
        depth: u8,
        /// Its number, if it has one: `3.`, `b)`; a bullet has none.
        number: Option<String>,
        /// Characters of its first line that are its marker.
        marker_chars: u16,
    },
    /// Lines whose breaks and gaps count.
    Code,
    /// What a picture or a table is called.
    Caption,
    /// A note at the foot of the page.
    Footnote,
    /// A line of a printed table of contents.
    Contents,
    /// A running head, a running foot, a page number: not part of the text.
    Furniture,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Its rows, each with as many cells as the table has columns.
    pub rows: Vec<Vec<Cell>>,
    /// Where its columns begin and end, as its text is read: tables of two pages with the same ones are one.
    pub edges: Vec<f32>,
    /// It goes on from the table before it: rows without a head of their own.
    pub continues_last: bool,
}

/// A cell. A cell that spans columns or rows is followed by empty ones in their places.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cell {
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A page, laid out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PageBlocks {
    /// Its number, from 1.
    pub number: u32,
    /// Width in points.
    pub width: f32,
    /// Height in points.
    pub height: f32,
    /// Its blocks in reading order.
    pub blocks: Vec<Block>,
    /// Where its links lead; words name them by index.
    pub links: Vec<crate::page::LinkTarget>,
    /// Form fields and annotations.
    pub notes: Vec<crate::page::Note>,
    /// No text, and a picture: it needs OCR.
    pub needs_ocr: bool,
    /// A bound was hit: what the page lacks.
    pub cut: Option<crate::page::Cut>,
}

impl Block {
    /// A block of these lines; `None` of none.
    #[must_use]
    pub fn of_lines(lines: Vec<Line>, role: Role) -> Option<Self> {
        let rect = Rect::around(lines.iter().map(|line| &line.rect))?;
        let text = TextBlock {
            lines,
            role,
            continues: false,
        };
        Some(Self {
            rect,
            kind: BlockKind::Text(text),
        })
    }

    /// Its text, if it is text.
    #[must_use]
    pub fn text(&self) -> Option<&TextBlock> {
        match &self.kind {
            BlockKind::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Its text, if it is text.
    pub fn text_mut(&mut self) -> Option<&mut TextBlock> {
        match &mut self.kind {
            BlockKind::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl TextBlock {
    /// Its words with single spaces, hyphens at line ends kept.
    #[must_use]
    pub fn plain(&self) -> String {
        let lines: Vec<String> = self.lines.iter().map(Line::text).collect();
        lines.join(" ")
    }
}
