//! Pages of lines that are set in different ways, for the tests of headings, contents and tags.

use crate::layout::block::{Block, PageBlocks, Role};
pub(crate) use crate::layout::sample::block;
use crate::layout::sample::word;
use crate::layout::text::{Line, Style, Word};
use crate::page::Turn;

/// How a line is set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    /// Left, and the line it stands on.
    pub(crate) x: f32,
    pub(crate) y: f32,
    /// Font size.
    pub(crate) size: f32,
    /// Bold.
    pub(crate) is_bold: bool,
    /// The marked content it is of.
    pub(crate) content_id: Option<u32>,
}

/// Text at the left margin.
pub(crate) fn at(y: f32, size: f32, is_bold: bool) -> Set {
    Set {
        x: 72.0,
        y,
        size,
        is_bold,
        content_id: None,
    }
}

/// A line whose letters are half an em wide.
pub(crate) fn line(text: &str, set: Set) -> Line {
    let mut x = set.x;
    let words = text.split_whitespace().map(|text| {
        let style = Style {
            is_bold: set.is_bold,
            ..Style::default()
        };
        let word = Word {
            font: u16::from(set.is_bold),
            content_id: set.content_id,
            ..word(text, x, set.y, set.size, style)
        };
        x = word.rect.x1 + 0.25 * set.size;
        word
    });
    Line::of_words(words.collect(), Turn::None).expect("there are words")
}

/// Paragraphs of a line each, with their baselines.
pub(crate) fn page(number: u32, lines: &[(&str, Set)]) -> PageBlocks {
    let blocks = lines
        .iter()
        .map(|(text, set)| block(vec![line(text, *set)]));
    PageBlocks {
        number,
        width: 612.0,
        height: 792.0,
        blocks: blocks.collect(),
        ..PageBlocks::default()
    }
}

/// The text of each block with what it is for.
pub(crate) fn roles(page: &PageBlocks) -> Vec<(String, Role)> {
    let texts = page.blocks.iter().filter_map(Block::text);
    texts
        .map(|text| (text.plain(), text.role.clone()))
        .collect()
}
