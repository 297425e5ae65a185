//! Blocks that hold a heading and the text after it become two, and a number and its title one.
//!
//! Invariant: no line is lost, and their order stays.

use super::feature::{Look, is_same_row};
use super::hint::Hints;
use super::number;
use crate::geometry::Rect;
use crate::layout::block::{Block, BlockKind, PageBlocks, Role, TextBlock};
use crate::layout::text::Line;

/// Rows at the start of a block that may be its heading.
const ROWS_MAX: usize = 3;
/// A number stands at most this many ems before its title.
const NUMBER_GAP_MAX: f32 = 5.0;
/// Sizes that differ by less, as a share, are the same.
const SIZE_TOLERANCE: f32 = 0.06;

/// Splits and joins the blocks of a page; `at` is its place in the document.
pub fn page(page: &mut PageBlocks, at: usize, hints: &Hints) {
    let blocks = std::mem::take(&mut page.blocks);
    let mut parts: Vec<Block> = Vec::with_capacity(blocks.len());
    for block in blocks {
        match block.kind {
            BlockKind::Text(text) if text.role == Role::Paragraph => {
                for part in split(text, at, hints) {
                    add(part, &mut parts);
                }
            }
            _ => parts.push(block),
        }
    }
    page.blocks = parts;
}

/// Adds a block, joined to a number before it.
fn add(text: TextBlock, blocks: &mut Vec<Block>) {
    let before = blocks.last_mut();
    let before = before.and_then(|block| Some((block.rect, block.text_mut()?)));
    if let Some((_, number)) = before
        && is_number_of(number, &text)
    {
        number.lines.extend(text.lines);
        number.continues = text.continues;
        if let Some(block) = blocks.last_mut()
            && let Some(rect) = block.text().and_then(|text| around(&text.lines))
        {
            block.rect = rect;
        }
        return;
    }
    if let Some(rect) = around(&text.lines) {
        blocks.push(Block {
            rect,
            kind: BlockKind::Text(text),
        });
    }
}

fn around(lines: &[Line]) -> Option<Rect> {
    Rect::around(lines.iter().map(|line| &line.rect))
}

/// Whether a block is the number of the heading that another begins with.
fn is_number_of(number: &TextBlock, title: &TextBlock) -> bool {
    let ([mark], Some(first)) = (&number.lines[..], title.lines.first()) else {
        return false;
    };
    let text = mark.text();
    let is_number = number::of(&text).is_some_and(|number| number.length == text.trim_end().len());
    let gap = first.rect.x0 - mark.rect.x1;
    is_number
        && number.role == Role::Paragraph
        && is_same_row(mark, first)
        && is_same_size(mark.size, first.size)
        && (0.0..NUMBER_GAP_MAX * mark.size).contains(&gap)
}

fn is_same_size(a: f32, b: f32) -> bool {
    (a - b).abs() <= SIZE_TOLERANCE * a.max(b)
}

/// The parts of a block, in order.
fn split(text: TextBlock, page: usize, hints: &Hints) -> Vec<TextBlock> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = end_of_heading(&rest.lines).or_else(|| named(&rest.lines, page, hints)) {
        let lines = rest.lines.split_off(at);
        let head = std::mem::replace(&mut rest.lines, lines);
        parts.push(TextBlock {
            lines: head,
            role: Role::Paragraph,
            continues: false,
        });
    }
    parts.push(rest);
    parts
}

/// How many lines at the start are set apart from the line after them; always fewer than there are.
fn end_of_heading(lines: &[Line]) -> Option<usize> {
    let mut row = 0;
    for at in 1..lines.len() {
        let (Some(last), Some(line)) = (lines.get(at - 1), lines.get(at)) else {
            break;
        };
        if is_same_row(last, line) {
            continue;
        }
        row += 1;
        if row > ROWS_MAX {
            break;
        }
        let (head, rest) = lines.split_at(at);
        if is_set_apart(head, rest) || begins_numbered(head, rest) {
            return Some(at);
        }
    }
    None
}

/// How many lines at the start are a heading that the file names.
fn named(lines: &[Line], page: usize, hints: &Hints) -> Option<usize> {
    if !hints.has(page) {
        return None;
    }
    let mut text = String::new();
    for (n, line) in lines.iter().enumerate().take(ROWS_MAX) {
        if n > 0 {
            text.push(' ');
        }
        text.push_str(&line.text());
        if n + 1 < lines.len() && hints.exact(page, &text).is_some() {
            return Some(n + 1);
        }
    }
    None
}

/// Whether the lines of `head` look alike and otherwise than those of `rest`.
fn is_set_apart(head: &[Line], rest: &[Line]) -> bool {
    let (above, below) = (Look::of(head), Look::of(first_row(rest)));
    let all = Look::of(rest);
    let is_larger = above.size > below.size && !is_same_size(above.size, below.size);
    let is_bold = above.is_bold && !below.is_bold && !all.is_bold;
    let is_short = around(head).zip(around(rest)).is_some_and(|(head, rest)| {
        head.x1 < rest.x1 - above.size || head.x1 > rest.x1 + above.size
    });
    let is_other = above.is_one_font && above.font != all.font && above.font != below.font;
    let is_italic = above.is_italic && !below.is_italic && !all.is_italic;
    is_larger || is_bold || is_short && (is_other && all.is_one_font || is_italic)
}

/// Whether `rest` begins with a heading of its own in the look of `head`.
fn begins_numbered(head: &[Line], rest: &[Line]) -> bool {
    let (above, below) = (Look::of(head), Look::of(first_row(rest)));
    let numbered = |lines: &[Line]| {
        let text = lines.first().map(Line::text).unwrap_or_default();
        number::of(&text).is_some()
    };
    above.is_bold && below.is_bold && numbered(head) && numbered(rest)
}

/// The fragments of the first row.
fn first_row(lines: &[Line]) -> &[Line] {
    let steps = lines.iter().zip(lines.iter().skip(1));
    let length = 1 + steps.take_while(|(a, b)| is_same_row(a, b)).count();
    lines.get(..length).unwrap_or(lines)
}
