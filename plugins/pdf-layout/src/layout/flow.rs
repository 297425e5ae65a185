//! Paragraphs that go on in the next column, behind a figure or on the next page.
//!
//! Invariant: nothing is lost; on a page the parts become one block, over pages each stays on its page
//! and at most the rest of a divided word moves.

use crate::layout::block::{Block, BlockKind, PageBlocks, Role, TextBlock};
use crate::layout::hyphen::{self, Vocabulary};
use crate::layout::paragraph::is_sentence_end;
use crate::layout::text::Line;

/// Sizes that differ by less, as a share, are the same.
const SIZE_TOLERANCE: f32 = 0.06;
/// A paragraph that goes on has at least so many characters: less is a label.
const CHARS_MIN: usize = 40;
/// The last line of a column that goes on reaches this share of its width.
const FULL_MIN: f32 = 0.75;
/// Blocks that may stand between the parts.
const BETWEEN_MAX: usize = 12;

/// Joins them.
pub fn join(pages: &mut [PageBlocks], vocabulary: &Vocabulary) {
    for page in pages.iter_mut() {
        join_page(page);
    }
    for at in 1..pages.len() {
        let (before, after) = pages.split_at_mut(at);
        if let (Some(before), Some(after)) = (before.last_mut(), after.first_mut()) {
            join_pages(before, after, vocabulary);
        }
    }
}

fn join_page(page: &mut PageBlocks) {
    let mut joined: Vec<Block> = Vec::with_capacity(page.blocks.len());
    for mut block in std::mem::take(&mut page.blocks) {
        if let BlockKind::Text(next) = &mut block.kind
            && next.role == Role::Paragraph
            && let Some(last) = before(&mut joined).filter(|last| goes_on(last, next))
        {
            last.lines.append(&mut next.lines);
            continue;
        }
        joined.push(block);
    }
    page.blocks = joined;
}

/// The text before a block that may go on there: nothing but figures and notes lies between.
fn before(blocks: &mut [Block]) -> Option<&mut TextBlock> {
    let found = blocks.iter().rposition(|block| !is_beside(block))?;
    let is_near = blocks.len() - found <= BETWEEN_MAX;
    blocks.get_mut(found).filter(|_| is_near)?.text_mut()
}

/// Whether a block stands beside the running text.
fn is_beside(block: &Block) -> bool {
    match &block.kind {
        BlockKind::Text(text) => {
            matches!(text.role, Role::Caption | Role::Footnote | Role::Furniture)
        }
        BlockKind::Table(_) | BlockKind::Picture { .. } => true,
    }
}

fn goes_on(last: &TextBlock, next: &TextBlock) -> bool {
    let is_text = matches!(last.role, Role::Paragraph | Role::Item { .. });
    let (Some(end), Some(begin)) = (last.lines.last(), next.lines.first()) else {
        return false;
    };
    let em = end.size.max(begin.size);
    let same_size = (end.size - begin.size).abs() <= SIZE_TOLERANCE * em;
    let same_turn = end.turn == begin.turn;
    let chars: usize = last.lines.iter().map(Line::chars).sum();
    if !is_text || !same_size || !same_turn || chars < CHARS_MIN {
        return false;
    }
    let widest = last
        .lines
        .iter()
        .map(|line| line.rect.width())
        .fold(0.0, f32::max);
    let ends = end
        .words
        .last()
        .and_then(|word| word.text.chars().next_back());
    let begins = begin
        .words
        .first()
        .and_then(|word| word.text.chars().next());
    let is_open = ends.is_some_and(|c| !is_sentence_end(c));
    let is_full = end.rect.width() >= FULL_MIN * widest;
    is_open && is_full && begins.is_some_and(char::is_lowercase)
}

fn join_pages(before: &mut PageBlocks, after: &mut PageBlocks, vocabulary: &Vocabulary) {
    let last = self::before(&mut before.blocks);
    let next = after.blocks.iter().position(|block| !is_beside(block));
    let Some(block) = next.and_then(|next| after.blocks.get_mut(next)) else {
        return;
    };
    let Some(next) = block.text_mut().filter(|text| text.role == Role::Paragraph) else {
        return;
    };
    let Some(last) = last.filter(|last| goes_on(last, next)) else {
        return;
    };
    last.continues = true;
    let (Some(end), Some(line)) = (last.lines.last_mut(), next.lines.first_mut()) else {
        return;
    };
    // A page begins with a whole word.
    let (Some(half), Some(rest)) = (end.words.last_mut(), line.words.first()) else {
        return;
    };
    if line.words.len() > 1 && hyphen::join(half, rest, vocabulary) {
        half.text.push_str(&rest.text);
        line.words.remove(0);
        while line.words.len() > 1 && line.words.first().is_some_and(|word| word.is_glued) {
            end.words.push(line.words.remove(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::{block, line, page, texts};

    const FULL: &str = "the paragraph is long and its last line reaches the";

    #[test]
    fn a_paragraph_goes_on_in_the_next_column() {
        let blocks = vec![
            block(vec![line(FULL, 0.0, 700.0)]),
            block(vec![line("edge of the column.", 300.0, 100.0)]),
            block(vec![line("Another one.", 300.0, 130.0)]),
        ];
        let mut pages = [page(1, blocks)];
        join(&mut pages, &Vocabulary::default());
        assert_eq!(
            texts(&pages[0]),
            [
                format!("{FULL} edge of the column."),
                "Another one.".to_owned()
            ]
        );
    }

    #[test]
    fn a_page_begins_with_a_whole_word() {
        let mut pages = [
            page(
                1,
                vec![block(vec![line(&format!("{FULL} bor-"), 0.0, 700.0)])],
            ),
            page(2, vec![block(vec![line("der of the page.", 0.0, 100.0)])]),
        ];
        join(&mut pages, &Vocabulary::default());
        assert_eq!(texts(&pages[0]), [format!("{FULL} border")]);
        assert_eq!(texts(&pages[1]), ["of the page."]);
    }
}
