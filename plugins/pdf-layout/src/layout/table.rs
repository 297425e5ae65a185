//! Tables: from lines drawn, from rules above and below, and from gaps alone.

use crate::geometry::Rect;
use crate::layout::block::Table;
use crate::layout::text::Line;
use crate::page::Page;

/// A table and where it is.
#[derive(Clone, Debug, PartialEq)]
pub struct PlacedTable {
    /// Where.
    pub rect: Rect,
    /// What.
    pub table: Table,
}

/// Takes the lines of tables out of `lines`.
#[must_use]
pub fn take(_page: &Page, _lines: &mut Vec<Line>) -> Vec<PlacedTable> {
    Vec::new()
}
