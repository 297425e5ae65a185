//! Tagged files: order, headings, lists, tables and alternative texts as the structure tree has them,
//! where it covers the text and says something.
//!
//! Invariant: no text is lost: what the tree does not name stays where the layout put it. A tree that is
//! not good is not used at all.

pub mod content;
pub mod plan;

use std::collections::BTreeMap;

use crate::geometry::Rect;
use crate::layout::block::{Block, BlockKind, Cell, PageBlocks, Role, Table};
use crate::layout::list::{self, MarkerKind};
use crate::layout::text::Line;
use crate::page::Element;
use content::Content;
use plan::{Kind, Part, Place, Row};

/// At least so many tenths of the characters are named by the tree.
const COVERED_TENTHS: usize = 8;
/// Headings are at most this part of the text.
const HEADING_PART: usize = 2;
/// A tree that has fewer characters for each of its parts is one of words or lines.
const CHARS_PER_PART_MIN: usize = 12;
/// Of so many paragraphs one may go on in the middle of a sentence.
const BROKEN_PART: usize = 4;

/// Lays the pages out again as the structure tree says, if it is good; whether it names headings.
pub fn apply(pages: &mut [PageBlocks], root: &Element) -> Option<bool> {
    let parts = plan::of(root);
    let mut content = Content::of(pages, &plan::places(&parts));
    if !is_good(&parts, &content, pages.len()) {
        return None;
    }
    let has_headings = parts
        .iter()
        .any(|part| matches!(part.kind, Kind::Text(Role::Heading(_))));
    let mut placed: BTreeMap<usize, Vec<Block>> = BTreeMap::new();
    // Which block of its page each piece of content went to.
    let mut owners: BTreeMap<Place, usize> = BTreeMap::new();
    for part in &parts {
        for (page, block, places) in blocks(part, &mut content) {
            let known = placed.entry(page).or_default();
            owners.extend(places.into_iter().map(|place| (place, known.len())));
            known.push(block);
        }
    }
    let alternatives = plan::alternatives(&parts);
    for (at, page) in pages.iter_mut().enumerate() {
        let named = placed.remove(&at).unwrap_or_default();
        content::merge(page, at, named, &owners, &alternatives);
    }
    Some(has_headings)
}

/// Whether the tree covers the text, says more than that there are paragraphs, and is not at odds with
/// what is on the pages.
fn is_good(parts: &[Part], content: &Content, page_count: usize) -> bool {
    let mut headings = 0;
    let mut count = 0;
    let mut paragraphs: Vec<(usize, String)> = Vec::new();
    let mut says = false;
    let mut back = 0;
    let mut last = 0;
    for part in parts {
        let chars = content.chars(&part.content);
        says |= !matches!(
            part.kind,
            Kind::Text(Role::Paragraph | Role::Furniture) | Kind::Figure(_)
        );
        if let Some(place) = part.content.first() {
            back += usize::from(place.page < last);
            last = place.page;
            if place.page >= page_count {
                return false;
            }
        }
        if chars == 0 {
            continue;
        }
        count += 1;
        match &part.kind {
            Kind::Text(Role::Heading(_)) => headings += chars,
            Kind::Text(Role::Paragraph) => paragraphs.push((chars, content.text(&part.content))),
            _ => {}
        }
    }
    let pairs = paragraphs.iter().zip(paragraphs.iter().skip(1));
    let broken = pairs.filter(|((_, a), (_, b))| {
        let goes_on = a
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphabetic() || c == ',');
        goes_on && b.chars().next().is_some_and(char::is_lowercase)
    });
    let covered = content.covered;
    covered > 0
        && covered * 10 >= content.all * COVERED_TENTHS
        && says
        && headings * HEADING_PART <= covered
        && covered >= CHARS_PER_PART_MIN * count
        && broken.count() * BROKEN_PART <= paragraphs.len()
        && back * 10 <= parts.len()
}

/// The blocks of a part, one for each page that it is on, with what of the content each took.
fn blocks(part: &Part, content: &mut Content) -> Vec<(usize, Block, Vec<Place>)> {
    match &part.kind {
        Kind::Table(rows) => tables(rows, content),
        Kind::Figure(_) => text(part, &Role::Paragraph, content),
        Kind::Text(role) => text(part, role, content),
        Kind::Item(depth) => {
            let mut blocks = text(part, &Role::Paragraph, content);
            if let Some(text) = blocks
                .first_mut()
                .and_then(|(_, block, _)| block.text_mut())
            {
                text.role = item(&text.lines, *depth);
            }
            blocks
        }
    }
}

fn item(lines: &[Line], depth: u8) -> Role {
    let marker = list::marker(lines);
    Role::Item {
        depth,
        marker_chars: marker.as_ref().map_or(0, |marker| marker.chars),
        number: marker.and_then(|marker| match marker.kind {
            MarkerKind::Number { text, .. } => Some(text),
            MarkerKind::Bullet(_) => None,
        }),
    }
}

fn text(part: &Part, role: &Role, content: &mut Content) -> Vec<(usize, Block, Vec<Place>)> {
    let mut blocks: Vec<(usize, Block, Vec<Place>)> = Vec::new();
    let runs = part.content.chunk_by(|a, b| a.page == b.page);
    for run in runs {
        let lines = content.take(run);
        let Some(block) = Block::of_lines(lines, role.clone()) else {
            continue;
        };
        if let Some(before) = blocks.last_mut().and_then(|(_, block, _)| block.text_mut()) {
            before.continues = true;
        }
        let page = run.first().map_or(0, |place| place.page);
        blocks.push((page, block, run.to_vec()));
    }
    blocks
}

/// A table for each page that its rows are on.
fn tables(rows: &[Row], content: &mut Content) -> Vec<(usize, Block, Vec<Place>)> {
    let columns = plan::columns(rows);
    let mut tables: Vec<(usize, Table, Vec<Place>)> = Vec::new();
    // Columns that cells of rows above reach into, and for how many rows more.
    let mut reached: Vec<u16> = vec![0; columns];
    for row in rows {
        let places = || row.cells.iter().flat_map(|cell| &cell.content);
        let page = places().next().map(|place| place.page);
        let page = page
            .or(tables.last().map(|(page, _, _)| *page))
            .unwrap_or(0);
        let cells = cells(row, &mut reached, content);
        match tables.last_mut() {
            Some((known, table, taken)) if *known == page => {
                table.rows.push(cells);
                taken.extend(places().copied());
            }
            before => {
                let continues_last = before.is_some();
                let table = Table {
                    rows: vec![cells],
                    continues_last,
                    ..Table::default()
                };
                tables.push((page, table, places().copied().collect()));
            }
        }
    }
    let tables = tables.into_iter().filter_map(|(page, table, places)| {
        let lines = table.rows.iter().flatten().flat_map(|cell| &cell.lines);
        let rect = Rect::around(lines.map(|line| &line.rect))?;
        let table = Table {
            edges: edges(&table, &rect),
            ..table
        };
        let kind = BlockKind::Table(table);
        Some((page, Block { rect, kind }, places))
    });
    tables.collect()
}

/// The cells of a row, with empty ones where a cell spans columns or one above spans rows.
fn cells(row: &Row, reached: &mut [u16], content: &mut Content) -> Vec<Cell> {
    let mut cells = vec![Cell::default(); reached.len()];
    let mut at = 0;
    for planned in &row.cells {
        while reached.get(at).is_some_and(|rows| *rows > 0) {
            at += 1;
        }
        let Some(cell) = cells.get_mut(at) else {
            break;
        };
        cell.lines = content.take(&planned.content);
        let end = (at + usize::from(planned.columns.max(1))).min(reached.len());
        for rows in reached.get_mut(at..end).into_iter().flatten() {
            // Counted down at the end of this row.
            *rows = planned.rows.max(1);
        }
        at = end;
    }
    for rows in reached {
        *rows = rows.saturating_sub(1);
    }
    cells
}

/// Where columns begin, and where the last one ends.
fn edges(table: &Table, rect: &Rect) -> Vec<f32> {
    let columns = table.rows.first().map_or(0, Vec::len);
    let mut edges = Vec::with_capacity(columns + 1);
    for column in 0..columns {
        let cells = table.rows.iter().filter_map(|row| row.get(column));
        let lines = cells.flat_map(|cell| &cell.lines);
        let left = lines.map(|line| line.rect.x0).min_by(f32::total_cmp);
        edges.push(left.or(edges.last().copied()).unwrap_or(rect.x0));
    }
    edges.push(rect.x1);
    edges
}

#[cfg(test)]
mod tests {
    use super::plan::tests::{content, element, within};
    use super::*;
    use crate::layout::testing::{Set, at, page, roles};

    fn marked(id: u32, y: f32) -> Set {
        Set {
            content_id: Some(id),
            ..at(y, 10.0, false)
        }
    }

    /// A heading below its text, as the page has it, and a last line that no tag names.
    fn pages() -> Vec<PageBlocks> {
        let text = "Text of a paragraph that the page shows above its heading, long enough.";
        vec![page(
            1,
            &[
                (text, marked(2, 100.0)),
                ("Heading", marked(1, 120.0)),
                ("1. First of a list", marked(3, 140.0)),
                ("Bare", at(160.0, 10.0, false)),
            ],
        )]
    }

    fn tree() -> Element {
        let item = within("LI", vec![within("LBody", vec![content(3)])]);
        let kids = vec![
            within("H1", vec![content(1)]),
            within("P", vec![content(2)]),
            within("L", vec![item]),
        ];
        element("Document", kids)
    }

    #[test]
    fn a_good_tree_says_what_is_what_and_in_which_order() {
        let mut pages = pages();
        assert_eq!(apply(&mut pages, &tree()), Some(true));
        let found = roles(&pages[0]);
        assert_eq!(found[0], ("Heading".to_owned(), Role::Heading(1)));
        assert!(found[1].0.starts_with("Text") && found[1].1 == Role::Paragraph);
        let item = Role::Item {
            depth: 0,
            number: Some("1.".to_owned()),
            marker_chars: 2,
        };
        assert_eq!(found[2], ("1. First of a list".to_owned(), item));
        assert_eq!(found[3].0, "Bare", "what no tag names stays");
    }

    #[test]
    fn a_tree_that_lies_or_lacks_text_is_none() {
        let check = |root: Element| {
            let mut pages = pages();
            let before = pages.clone();
            assert_eq!(apply(&mut pages, &root), None);
            assert_eq!(pages, before);
        };
        // It names a small part of the text.
        check(element("Document", vec![within("H1", vec![content(1)])]));
        // It names content that is not there.
        check(element("Document", vec![within("H1", vec![content(7)])]));
        // Everything is a heading.
        let headings = |id| within("H1", vec![content(id)]);
        check(element(
            "Document",
            vec![headings(1), headings(2), headings(3)],
        ));
        // It says no more than that there are paragraphs.
        let paragraph = |id| within("P", vec![content(id)]);
        check(element(
            "Document",
            vec![paragraph(1), paragraph(2), paragraph(3)],
        ));
        // It names pages that are not there.
        let page = crate::page::ElementKid::Content { page: 9, id: 1 };
        let mut root = tree();
        root.kids.push(within("P", vec![page]));
        check(root);
    }

    #[test]
    fn lines_that_are_paragraphs_of_their_own_are_no_tree() {
        let lines: Vec<String> = (0..20)
            .map(|n| format!("words of line {n} that go on and"))
            .collect();
        let set: Vec<(&str, Set)> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| (line.as_str(), marked(n as u32, 20.0 * n as f32)))
            .collect();
        let mut pages = vec![page(1, &set)];
        let mut kids: Vec<_> = (1..20).map(|n| within("P", vec![content(n)])).collect();
        kids.insert(0, within("H1", vec![content(0)]));
        assert_eq!(apply(&mut pages, &element("Document", kids)), None);
    }

    #[test]
    fn spans_leave_empty_cells() {
        let texts = [
            "Head of all columns",
            "left cell",
            "right cell",
            "below the right",
        ];
        let set: Vec<(&str, Set)> = texts
            .iter()
            .enumerate()
            .map(|(n, text)| (*text, marked(n as u32, 20.0 * n as f32)))
            .collect();
        let mut pages = vec![page(1, &set)];
        let cell = |id, columns, rows| {
            let mut cell = element("TD", vec![content(id)]);
            (cell.columns, cell.rows) = (columns, rows);
            crate::page::ElementKid::Element(cell)
        };
        let root = element(
            "Document",
            vec![within(
                "Table",
                vec![
                    within("TR", vec![cell(0, 2, 1)]),
                    within("TR", vec![cell(1, 1, 2), cell(2, 1, 1)]),
                    within("TR", vec![cell(3, 1, 1)]),
                ],
            )],
        );
        assert_eq!(apply(&mut pages, &root), Some(false));
        let BlockKind::Table(table) = &pages[0].blocks[0].kind else {
            panic!("{pages:?}");
        };
        let text = |cell: &Cell| {
            cell.lines
                .iter()
                .map(Line::text)
                .collect::<Vec<_>>()
                .join(" ")
        };
        let rows: Vec<Vec<String>> = (table.rows.iter())
            .map(|row| row.iter().map(text).collect())
            .collect();
        let expected = [
            ["Head of all columns", ""],
            ["left cell", "right cell"],
            ["", "below the right"],
        ];
        assert_eq!(rows, expected);
    }
}
