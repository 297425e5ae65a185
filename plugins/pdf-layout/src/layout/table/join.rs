//! Tables that go on in the next column or on the next page: their parts are one table.
//!
//! Invariant: no row is lost but a head that is repeated; a table of more than [`JOINED_ROWS_MAX`] rows
//! goes on as another one with the same head.

use crate::geometry::Rect;
use crate::layout::block::{Block, BlockKind, Cell, PageBlocks, Role, Table};
use crate::layout::text::Line;

/// Borders of columns are the same within this part of the width of the table.
const SAME_EDGE: f32 = 0.06;
/// The ends of the last column are the same within this part of the width.
const SAME_END: f32 = 0.2;
/// What stands in this part of the page at its top or foot is no text between two parts of a table.
const MARGIN: f32 = 0.1;
/// Lines of a running head or foot.
const MARGIN_LINES_MAX: usize = 2;
/// How a caption says that its table began before: English, German, French, Spanish, Italian.
const CONTINUED: [&str; 5] = [
    "continued",
    "fortsetzung",
    "suite",
    "continuación",
    "continua",
];
/// Rows up to which parts are put together: a longer table is read in pieces that say what their
/// columns are.
const JOINED_ROWS_MAX: usize = 200;

/// Where a table is: its page and its block there.
type Place = (usize, usize);

/// The table that may go on.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Where it began.
    place: Place,
    /// The page of its last part.
    page: usize,
    /// Where its last part is.
    rect: Rect,
}

/// Joins the parts of tables of a document.
pub(crate) fn join(pages: &mut [PageBlocks]) {
    let mut last: Option<Last> = None;
    for page in 0..pages.len() {
        let mut gone = Vec::new();
        for block in 0..pages[page].blocks.len() {
            let this = &pages[page].blocks[block];
            let rect = this.rect;
            match &this.kind {
                BlockKind::Table(_) => {
                    let joined = last.filter(|last| join_two(pages, last, (page, block)));
                    if joined.is_some() {
                        gone.push(block);
                    }
                    let place = joined.map_or((page, block), |last| last.place);
                    last = Some(Last { place, page, rect });
                }
                _ if is_aside(this, &pages[page]) => {}
                _ => last = None,
            }
        }
        if let Some(last) = last.as_mut().filter(|last| last.place.0 == page) {
            last.place.1 -= gone.iter().filter(|block| **block < last.place.1).count();
        }
        for block in gone.into_iter().rev() {
            pages[page].blocks.remove(block);
        }
    }
}

/// Whether a block may stand between the parts of a table.
fn is_aside(block: &Block, page: &PageBlocks) -> bool {
    let Some(text) = block.text() else {
        return false;
    };
    let is_in_margin =
        block.rect.y1 < MARGIN * page.height || block.rect.y0 > (1.0 - MARGIN) * page.height;
    // "Table 2 (continued)" is what a part of a table is called, in the languages that say so.
    let says_continued = || {
        let words = text.plain().to_lowercase();
        text.lines.len() <= MARGIN_LINES_MAX && CONTINUED.iter().any(|word| words.contains(word))
    };
    match text.role {
        Role::Furniture | Role::Footnote => true,
        _ if says_continued() => true,
        _ => is_in_margin && text.lines.len() <= MARGIN_LINES_MAX,
    }
}

/// Puts the second table at the end of the first; `false` if it is another one or stays by itself.
fn join_two(pages: &mut [PageBlocks], last: &Last, second: Place) -> bool {
    let first = last.place;
    let (Some((head, _)), Some((tail, below))) = (table(pages, first), table(pages, second)) else {
        return false;
    };
    let is_next = match second.0 - last.page {
        0 => below.x0 >= last.rect.x1 && below.y0 < last.rect.y1,
        1 => true,
        _ => false,
    };
    if !is_next || !has_same_edges(head, tail) {
        return false;
    }
    let repeats =
        head.rows.first().map(|row| texts(row)) == tail.rows.first().map(|row| texts(row));
    let stays = head.rows.len() + tail.rows.len() > JOINED_ROWS_MAX;
    let title = head.rows.first().cloned();
    let Some(tail) = table_mut(pages, second) else {
        return false;
    };
    if stays {
        tail.continues_last = true;
        if !repeats {
            tail.rows.splice(0..0, title);
        }
        return false;
    }
    let rows = tail
        .rows
        .split_off(usize::from(repeats).min(tail.rows.len()));
    let Some(head) = table_mut(pages, first) else {
        return false;
    };
    head.rows.extend(rows);
    true
}

fn table(pages: &[PageBlocks], (page, block): Place) -> Option<(&Table, Rect)> {
    let block = pages.get(page)?.blocks.get(block)?;
    match &block.kind {
        BlockKind::Table(table) => Some((table, block.rect)),
        _ => None,
    }
}

fn table_mut(pages: &mut [PageBlocks], (page, block): Place) -> Option<&mut Table> {
    match &mut pages.get_mut(page)?.blocks.get_mut(block)?.kind {
        BlockKind::Table(table) => Some(table),
        _ => None,
    }
}

/// Whether columns begin and end at the same places, seen from where the table begins.
fn has_same_edges(a: &Table, b: &Table) -> bool {
    let (Some(first), Some(second)) = (a.edges.first(), b.edges.first()) else {
        return false;
    };
    let width = a.edges.last().unwrap_or(first) - first;
    let pairs = a.edges.iter().zip(&b.edges);
    let apart = pairs.map(|(a, b)| ((a - first) - (b - second)).abs());
    // Where no line shows it the last column ends with its longest text.
    let mut inner = apart.rev().enumerate();
    a.edges.len() == b.edges.len()
        && inner.all(|(n, apart)| apart <= width * if n == 0 { SAME_END } else { SAME_EDGE })
}

fn texts(row: &[Cell]) -> Vec<String> {
    let text = |cell: &Cell| {
        let lines: Vec<String> = cell.lines.iter().map(Line::text).collect();
        lines.join(" ")
    };
    row.iter().map(text).collect()
}
