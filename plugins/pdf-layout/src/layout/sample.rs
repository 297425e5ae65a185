//! Builders of small pages for the tests of the stages. Every character is half an em wide.

use crate::geometry::Rect;
use crate::layout::block::{Block, BlockKind, PageBlocks, Role, TextBlock};
use crate::layout::text::{Line, Script, Style, Word};
use crate::page::{Glyph, Turn};

/// The size of all text, in points.
pub(crate) const EM: f32 = 10.0;
const CHAR: f32 = EM / 2.0;

/// A glyph with its left edge at `x`.
pub(crate) fn glyph(char: char, x: f32, baseline: f32) -> Glyph {
    Glyph {
        char,
        font: 0,
        size: EM,
        x0: x,
        x1: x + CHAR,
        baseline,
        turn: Turn::None,
        content_id: None,
        is_artifact: false,
        is_invisible: false,
    }
}

/// The glyphs of a text, spaces too.
pub(crate) fn glyphs(text: &str, x: f32, baseline: f32) -> Vec<Glyph> {
    let places = text.chars().zip((0_u8..).map(|n| x + CHAR * f32::from(n)));
    places.map(|(c, x)| glyph(c, x, baseline)).collect()
}

/// A line of plain words.
pub(crate) fn line(text: &str, x: f32, baseline: f32) -> Line {
    styled(text, x, baseline, Style::default())
}

/// A line of words of one style.
pub(crate) fn styled(text: &str, x: f32, baseline: f32, style: Style) -> Line {
    let mut words = Vec::new();
    let mut at = x;
    for text in text.split(' ') {
        let end = at + CHAR * text.chars().count() as f32;
        words.push(Word {
            text: text.to_owned(),
            rect: Rect::of_corners(at, baseline - 0.76 * EM, end, baseline + 0.22 * EM),
            baseline,
            size: EM,
            font: 0,
            style,
            script: Script::Normal,
            is_glued: false,
            link: None,
            content_id: None,
            is_artifact: false,
            order: baseline as u32,
        });
        at = end + CHAR;
    }
    words.retain(|word| !word.text.is_empty());
    Line::of_words(words, Turn::None).expect("a line has words")
}

/// A paragraph.
pub(crate) fn block(lines: Vec<Line>) -> Block {
    Block {
        rect: Rect::around(lines.iter().map(|line| &line.rect)).expect("a block has lines"),
        kind: BlockKind::Text(TextBlock {
            lines,
            role: Role::Paragraph,
            continues: false,
        }),
    }
}

/// A page of 600 by 800 points.
pub(crate) fn page(number: u32, blocks: Vec<Block>) -> PageBlocks {
    PageBlocks {
        number,
        width: 600.0,
        height: 800.0,
        blocks,
        ..PageBlocks::default()
    }
}

/// What the text blocks of a page say.
pub(crate) fn texts(page: &PageBlocks) -> Vec<String> {
    let texts = page.blocks.iter().filter_map(Block::text);
    texts.map(TextBlock::plain).collect()
}
