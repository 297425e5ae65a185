//! What is on a page, as the reader found it: glyphs, lines drawn, pictures, links and notes, in the
//! order in which the file draws them. Plain data: nothing here knows the PDF format.
//!
//! Invariant: coordinates are those of [`crate::geometry`] on the page as it is shown, turned the way
//! its rotation says; counts are within [`crate::limits::Limits`].

use crate::geometry::Rect;

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its number, from 1.
    pub number: u32,
    /// Width in points.
    pub width: f32,
    /// Height in points.
    pub height: f32,
    /// Its text.
    pub glyphs: Vec<Glyph>,
    /// Straight lines along an axis: stroked, or filled and thin.
    pub rules: Vec<Rule>,
    /// Filled boxes: shaded cells, backgrounds of code.
    pub fills: Vec<Fill>,
    /// Pictures that are drawn on it.
    pub pictures: Vec<PlacedPicture>,
    /// Links.
    pub links: Vec<Link>,
    /// Form fields with a value and annotations with text.
    pub notes: Vec<Note>,
    /// A bound was hit: what the page lacks, for a warning.
    pub cut: Option<Cut>,
}

/// Which bound ended the reading of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    /// Operators of its content streams.
    Operators,
    /// Glyphs.
    Glyphs,
    /// Nesting of forms.
    Nesting,
    /// Links, comments and fields.
    Annotations,
}

/// A character at its place. A glyph that stands for several characters (a ligature) is as many of these.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glyph {
    /// What it reads as; `U+FFFD` where the font does not tell.
    pub char: char,
    /// Its font: an index into the document's fonts.
    pub font: u16,
    /// Font size in points as shown.
    pub size: f32,
    /// Where its advance begins, along the line.
    pub x0: f32,
    /// Where its advance ends.
    pub x1: f32,
    /// The line it stands on.
    pub baseline: f32,
    /// The way it reads. Coordinates of a turned glyph are those of the page turned so that it reads
    /// from left to right.
    pub turn: Turn,
    /// The marked content it belongs to, for the structure tree.
    pub content_id: Option<u32>,
    /// Marked as an artifact: a running head, a page number, a decoration.
    pub is_artifact: bool,
    /// Not painted: the text layer over a scan.
    pub is_invisible: bool,
}

/// By how many quarters of a turn clockwise text is rotated on the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    /// From left to right.
    #[default]
    None,
    /// From top to bottom.
    Quarter,
    /// Upside down.
    Half,
    /// From bottom to top.
    ThreeQuarters,
}

/// What a font looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FontStyle {
    /// The PostScript name without the prefix of a subset.
    pub name: String,
    /// Bold or heavier.
    pub is_bold: bool,
    /// Italic or oblique.
    pub is_italic: bool,
    /// Every character of one width.
    pub is_mono: bool,
}

/// A straight line along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Where it runs; as thin as it was drawn.
    pub rect: Rect,
    /// Left to right, else top to bottom.
    pub is_horizontal: bool,
}

/// A filled box.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    /// Where.
    pub rect: Rect,
    /// How light, 0 black to 1 white.
    pub luma: f32,
}

/// A picture on a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlacedPicture {
    /// Where.
    pub rect: Rect,
    /// Which: an index into the pictures that the reader wrote; `None` if it is too small to keep or
    /// could not be read.
    pub picture: Option<u32>,
    /// The marked content it belongs to.
    pub content_id: Option<u32>,
    /// How many glyphs are drawn before it.
    pub glyphs_before: u32,
}

/// A link on a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// Where.
    pub rect: Rect,
    /// Where to.
    pub target: LinkTarget,
}

/// Where a link leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkTarget {
    /// Outside: an address with one of the schemes that [`crate::read`] lets through.
    Address(String),
    /// A page of this document, from 1.
    Page(u32),
}

/// Text that is laid over a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// Where.
    pub rect: Rect,
    /// What sort.
    pub kind: NoteKind,
    /// The name of a field or the author of an annotation.
    pub label: Option<String>,
    /// The text or the value.
    pub text: String,
}

/// What sort of note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// A form field with a value that is not drawn as text of the page.
    Field,
    /// A comment, a sticky note, free text.
    Annotation,
}

/// A bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark {
    /// Its depth, from 1.
    pub level: u8,
    /// What it says.
    pub title: String,
    /// The page it leads to, from 1.
    pub page: Option<u32>,
    /// How far down that page, in points from its top.
    pub y: Option<u32>,
}

/// What the file says about itself. Every value is one line, bounded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The title, as somebody or some program gave it.
    pub title: Option<String>,
    /// The authors.
    pub author: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// Keywords.
    pub keywords: Option<String>,
    /// The program it was written with.
    pub creator: Option<String>,
    /// When it was made, as RFC 3339 as far as known.
    pub created: Option<String>,
    /// When it was changed.
    pub modified: Option<String>,
    /// Its language as a tag of BCP 47.
    pub language: Option<String>,
}

/// An element of the structure tree of a tagged file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Element {
    /// Its standard type: `P`, `H1`, `Table`, …; the file's own types are mapped by its role map.
    pub role: String,
    /// The text that stands for it, or for a picture.
    pub alternative: Option<String>,
    /// The text that it is to be read as instead of its content.
    pub actual: Option<String>,
    /// Columns that a cell spans; 1 unless told.
    pub columns: u16,
    /// Rows that a cell spans; 1 unless told.
    pub rows: u16,
    /// What it consists of, in order.
    pub kids: Vec<ElementKid>,
}

/// A part of an element.
#[derive(Clone, Debug, PartialEq)]
pub enum ElementKid {
    /// An element within.
    Element(Element),
    /// Marked content of a page.
    Content {
        /// The page, from 1.
        page: u32,
        /// Its id there.
        id: u32,
    },
}
