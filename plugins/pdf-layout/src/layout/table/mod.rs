//! Tables: from lines drawn, from rules above and below, and from gaps alone.

mod bands;
mod canvas;
mod columns;
mod drawn;
mod fill;
mod gaps;
mod join;
mod lattice;
mod looks;
mod rows;
mod ruled;
mod segment;

use crate::geometry::Rect;
use crate::layout::block::Table;
use crate::layout::text::Line;
use crate::page::{Page, Turn};

use canvas::Canvas;
pub(crate) use join::join;

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
pub fn take(page: &Page, lines: &mut Vec<Line>) -> Vec<PlacedTable> {
    let mut tables = Vec::new();
    // Turned tables first: upright ones may have turned heads, and look at every line.
    for turn in [Turn::Quarter, Turn::Half, Turn::ThreeQuarters, Turn::None] {
        let (mut own, other): (Vec<Line>, Vec<Line>) = std::mem::take(lines)
            .into_iter()
            .partition(|line| turn == Turn::None || line.turn == turn);
        if !own.is_empty() {
            let canvas = Canvas::of(page, turn);
            take_from(&canvas, &mut own, &mut tables);
        }
        lines.extend(own);
        lines.extend(other);
    }
    tables
}

fn take_from(canvas: &Canvas, lines: &mut Vec<Line>, tables: &mut Vec<PlacedTable>) {
    let across = segment::joined(canvas.across.iter().map(segment::across).collect());
    let down = segment::joined(canvas.down.iter().map(segment::down).collect());
    let mut taken: Vec<Rect> = Vec::new();
    for grid in lattice::grids(&across, &down) {
        if let Some(draft) = drawn::draft(&grid, canvas, lines) {
            taken.push(grid.rect());
            tables.extend(fill::take(vec![draft], canvas, lines));
        }
    }
    let drafts = ruled::drafts(canvas, &down, lines, &taken);
    taken.extend(drafts.iter().map(|draft| draft.rect));
    tables.extend(fill::take(drafts, canvas, lines));
    let drafts = gaps::drafts(canvas, lines, &taken);
    tables.extend(fill::take(drafts, canvas, lines));
}

#[cfg(test)]
mod tests;
