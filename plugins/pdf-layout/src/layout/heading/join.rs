//! Headings over several lines that stand so far apart that each became a block.
//!
//! Invariant: only headings of one level and one look that follow each other become one.

use super::feature::Look;
use super::number;
use crate::geometry::Rect;
use crate::layout::block::{Block, PageBlocks, Role};

/// Lines of one heading stand at most this far apart, in ems: twice the usual distance.
const STEP_MAX: f32 = 2.6;
/// Sizes that differ by less, as a share, are the same.
const SIZE_TOLERANCE: f32 = 0.03;

/// Joins the headings of a page.
pub fn page(page: &mut PageBlocks) {
    let columns: Vec<Rect> = page
        .blocks
        .iter()
        .filter(|block| is_running(block))
        .map(|block| block.rect)
        .collect();
    let mut joined: Vec<Block> = Vec::with_capacity(page.blocks.len());
    for block in std::mem::take(&mut page.blocks) {
        let goes_on = joined
            .last()
            .is_some_and(|last| is_one(last, &block, &columns));
        let Some(last) = joined.last_mut().filter(|_| goes_on) else {
            joined.push(block);
            continue;
        };
        last.rect = last.rect.union(&block.rect);
        if let (Some(head), Some(rest)) = (last.text_mut(), block.text()) {
            head.lines.extend(rest.lines.iter().cloned());
        }
    }
    page.blocks = joined;
}

fn is_running(block: &Block) -> bool {
    block
        .text()
        .is_some_and(|text| matches!(text.role, Role::Paragraph | Role::Item { .. }))
}

/// Whether the second heading is the rest of the first: its first word had no room there.
fn is_one(first: &Block, second: &Block, columns: &[Rect]) -> bool {
    let (Some(head), Some(rest)) = (first.text(), second.text()) else {
        return false;
    };
    let (Role::Heading(level), Some(last), Some(next)) =
        (&head.role, head.lines.last(), rest.lines.first())
    else {
        return false;
    };
    if rest.role != Role::Heading(*level) || number::of(&rest.plain()).is_some() {
        return false;
    }
    let (a, b) = (Look::of(&head.lines), Look::of(&rest.lines));
    let is_alike = (a.size - b.size).abs() <= SIZE_TOLERANCE * a.size
        && a.is_bold == b.is_bold
        && a.is_italic == b.is_italic
        && a.is_capitals == b.is_capitals;
    let step = (next.baseline - last.baseline) / a.size.max(1.0);
    let over = columns
        .iter()
        .filter(|column| column.overlap_x(&last.rect) > 0.0);
    let Some(column) = Rect::around(over) else {
        return false;
    };
    let word = next.words.first().map_or(0.0, |word| word.rect.width());
    let is_full = last.rect.width() + word + 0.25 * a.size > column.width();
    is_alike && (0.0..STEP_MAX).contains(&step) && is_full
}
