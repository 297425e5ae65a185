//! From glyphs to blocks, in stages with plain types between them.

pub mod block;
pub mod code;
pub mod contents;
pub mod contents_row;
pub mod flow;
pub mod furniture;
pub mod heading;
pub mod held;
pub mod hyphen;
pub mod lines;
pub mod list;
pub mod note;
pub mod order;
pub mod paragraph;
pub mod roman;
#[cfg(test)]
pub(crate) mod sample;
pub mod script;
pub mod table;
pub mod tagged;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
pub mod title;
pub mod turn;
mod words;

use crate::page::{Bookmark, Element, FontStyle, Page};
use block::{Block, BlockKind, PageBlocks, Table};
use order::{Item, Reading};
use text::Line;

/// Lays out one page by itself: lines, tables, reading order, blocks.
#[must_use]
pub fn page(page: &Page, fonts: &[FontStyle]) -> PageBlocks {
    let page = &*turn::upright(page);
    let mut lines = lines::of_page(page, fonts);
    let tables = table::take(page, &mut lines);
    let has_text = !lines.is_empty() || !tables.is_empty();
    let reading = Reading {
        em: usual_size(&lines),
        is_right_to_left: is_right_to_left(&lines),
    };
    let mut parts: Vec<Part> = lines.into_iter().map(Part::Line).collect();
    parts.extend(tables.into_iter().map(|table| {
        let stream = stream_of(&table.table);
        let block = Block {
            rect: table.rect,
            kind: BlockKind::Table(table.table),
        };
        Part::Block(block, stream)
    }));
    parts.extend(page.pictures.iter().filter_map(|placed| {
        let block = Block {
            rect: placed.rect,
            kind: BlockKind::Picture {
                picture: placed.picture?,
                alternative: String::new(),
                content_id: placed.content_id,
            },
        };
        Some(Part::Block(block, placed.glyphs_before))
    }));
    PageBlocks {
        number: page.number,
        width: page.width,
        height: page.height,
        blocks: blocks(parts, reading, (page.width, page.height)),
        links: page.links.iter().map(|link| link.target.clone()).collect(),
        notes: page.notes.clone(),
        needs_ocr: !has_text && !page.pictures.is_empty(),
        cut: page.cut,
    }
}

/// Decides what the blocks of a document are, now that all its pages are there; whether its headings are
/// those of its structure tree.
pub fn document(
    pages: &mut [PageBlocks],
    bookmarks: &[Bookmark],
    structure: Option<&Element>,
) -> bool {
    let is_tagged = structure.and_then(|root| tagged::apply(pages, root)) == Some(true);
    furniture::mark(pages);
    table::join(pages);
    code::mark(pages);
    list::mark(pages);
    note::mark(pages);
    if !is_tagged {
        heading::mark(pages, bookmarks);
        furniture::mark_names_of_sections(pages);
    }
    let vocabulary = hyphen::Vocabulary::of(pages);
    flow::join(pages, &vocabulary);
    hyphen::resolve(pages, &vocabulary);
    is_tagged
}

/// What is put in order.
enum Part {
    Line(Line),
    /// Not a line, and its place in the order in which the file draws.
    Block(Block, u32),
}

fn blocks(parts: Vec<Part>, reading: Reading, (width, height): (f32, f32)) -> Vec<Block> {
    let items = parts.iter().enumerate().map(|(index, part)| Item {
        rect: match part {
            Part::Line(line) => turn::on_page(line.rect, line.turn, width, height),
            Part::Block(block, _) => block.rect,
        },
        index,
        stream: match part {
            Part::Line(line) => line.order,
            Part::Block(_, stream) => *stream,
        },
        is_picture: match part {
            Part::Block(block, _) => matches!(block.kind, BlockKind::Picture { .. }),
            Part::Line(_) => false,
        },
    });
    let ordered = order::sorted(items.collect(), reading);
    let mut parts: Vec<Option<Part>> = parts.into_iter().map(Some).collect();
    let mut blocks = Vec::new();
    let mut lines = Vec::new();
    for item in ordered {
        match parts.get_mut(item.index).and_then(Option::take) {
            Some(Part::Line(line)) => lines.push(line),
            Some(Part::Block(block, _)) => {
                blocks.extend(paragraph::blocks(std::mem::take(&mut lines)));
                blocks.push(block);
            }
            None => {}
        }
    }
    blocks.extend(paragraph::blocks(lines));
    blocks
}

/// Where a table stands in the order in which the file draws.
fn stream_of(table: &Table) -> u32 {
    let cells = table.rows.iter().flatten();
    let lines = cells.flat_map(|cell| &cell.lines);
    lines.map(|line| line.order).min().unwrap_or(0)
}

/// Whether most letters are read from right to left.
fn is_right_to_left(lines: &[Line]) -> bool {
    let words = lines.iter().flat_map(|line| &line.words);
    let letters = words
        .flat_map(|word| word.text.chars())
        .filter(|c| c.is_alphabetic());
    let (left, all) = letters.fold((0_usize, 0_usize), |(left, all), c| {
        (left + usize::from(script::is_right_to_left(c)), all + 1)
    });
    left * 2 > all
}

/// The size of the line in the middle of all sizes, weighed by characters.
fn usual_size(lines: &[Line]) -> f32 {
    let mut sizes: Vec<(f32, usize)> = lines.iter().map(|line| (line.size, line.chars())).collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = sizes.iter().map(|(_, chars)| chars).sum::<usize>() / 2;
    let mut sum = 0;
    let middle = sizes.iter().find(|(_, chars)| {
        sum += chars;
        sum > half
    });
    middle.map_or(10.0, |(size, _)| *size)
}
