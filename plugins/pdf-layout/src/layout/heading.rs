//! Headings: which blocks are, and of which level.

use crate::layout::block::{PageBlocks, Role};
use crate::layout::text::Line;
use crate::page::Bookmark;

/// Marks the headings of a document.
pub fn mark(pages: &mut [PageBlocks], _bookmarks: &[Bookmark]) {
    let body = body_size(pages);
    let texts = pages.iter_mut().flat_map(|page| &mut page.blocks);
    for text in texts.filter_map(|block| block.text_mut()) {
        let size = text.lines.first().map_or(0.0, |line| line.size);
        let is_bold = text
            .lines
            .iter()
            .all(|line| line.mostly(|word| word.style.is_bold));
        let is_short =
            text.lines.len() <= 3 && text.lines.iter().map(Line::chars).sum::<usize>() < 200;
        if is_short && (size > 1.15 * body || is_bold && size > 0.95 * body) {
            text.role = Role::Heading(if size > 1.5 * body { 1 } else { 2 });
        }
    }
}

/// The size of most characters.
fn body_size(pages: &[PageBlocks]) -> f32 {
    let mut sizes = std::collections::BTreeMap::new();
    let texts = pages.iter().flat_map(|page| &page.blocks);
    for line in texts
        .filter_map(|block| block.text())
        .flat_map(|text| &text.lines)
    {
        *sizes.entry((line.size * 4.0).round() as i32).or_insert(0) += line.chars();
    }
    let body = sizes
        .into_iter()
        .max_by_key(|(size, chars)| (*chars, *size));
    body.map_or(10.0, |(size, _)| size as f32 / 4.0)
}
