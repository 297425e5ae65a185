//! Builders of small pages for the tests of the stages. Every character is half an em wide.

use crate::geometry::Rect;
use crate::layout::block::{Block, PageBlocks, Role, TextBlock};
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

/// A word with its left edge at `x`.
pub(crate) fn word(text: &str, x: f32, baseline: f32, size: f32, style: Style) -> Word {
    Word {
        text: text.to_owned(),
        rect: Rect {
            x0: x,
            y0: baseline - 0.76 * size,
            x1: x + 0.5 * size * text.chars().count() as f32,
            y1: baseline + 0.22 * size,
        },
        baseline,
        size,
        font: 0,
        style,
        script: Script::Normal,
        is_glued: false,
        link: None,
        content_id: None,
        is_artifact: false,
        order: baseline as u32,
    }
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
        let word = word(text, at, baseline, EM, style);
        at = word.rect.x1 + CHAR;
        words.push(word);
    }
    words.retain(|word| !word.text.is_empty());
    Line::of_words(words, Turn::None).expect("a line has words")
}

/// A paragraph.
pub(crate) fn block(lines: Vec<Line>) -> Block {
    Block::of_lines(lines, Role::Paragraph).expect("a block has lines")
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
