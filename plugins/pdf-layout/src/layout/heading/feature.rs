//! What is seen of a block that may be a heading: how it is set and what it says.

use std::collections::BTreeMap;

use crate::geometry::Rect;
use crate::layout::block::{Block, BlockKind, PageBlocks, Role, TextBlock};
use crate::layout::text::{Line, Script, Word};

/// Steps per point in which sizes are told apart.
const SIZE_STEPS: f32 = 4.0;

/// A character of running text counts as many of tables.
const RUNNING_WEIGHT: usize = 4;

/// How most of the text of a document is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Body {
    /// Size in points.
    pub size: f32,
    /// Bold.
    pub is_bold: bool,
    /// Italic.
    pub is_italic: bool,
    /// The font of most characters.
    pub font: u16,
}

impl Body {
    /// Of these pages.
    #[must_use]
    pub fn of(pages: &[PageBlocks]) -> Self {
        let mut sizes = BTreeMap::new();
        let mut fonts = BTreeMap::new();
        let (mut bold, mut italic, mut all) = (0, 0, 0);
        let blocks = || pages.iter().flat_map(|page| &page.blocks);
        // Code is often more than the text that speaks of it.
        let is_all_mono = blocks().flat_map(words).all(|word| word.style.is_mono);
        let running = blocks().flat_map(words).map(|word| (word, RUNNING_WEIGHT));
        let cells = blocks().flat_map(cells).map(|word| (word, 1));
        let words = running.chain(cells);
        for (word, weight) in words.filter(|(word, _)| is_all_mono || !word.style.is_mono) {
            let chars = weight * word.text.chars().count();
            *sizes.entry(steps(word.size)).or_insert(0) += chars;
            *fonts.entry(word.font).or_insert(0) += chars;
            all += chars;
            bold += if word.style.is_bold { chars } else { 0 };
            italic += if word.style.is_italic { chars } else { 0 };
        }
        let most = |counts: BTreeMap<i32, usize>| {
            let largest = counts.into_iter().max_by_key(|(key, chars)| (*chars, *key));
            largest.map(|(key, _)| key)
        };
        let fonts = fonts
            .into_iter()
            .map(|(font, chars)| (i32::from(font), chars));
        Self {
            size: most(sizes)
                .map_or(10.0, |size| size as f32 / SIZE_STEPS)
                .max(1.0),
            is_bold: bold * 2 > all,
            is_italic: italic * 2 > all,
            font: most(fonts.collect())
                .and_then(|font| u16::try_from(font).ok())
                .unwrap_or(0),
        }
    }
}

fn steps(size: f32) -> i32 {
    (size * SIZE_STEPS).round() as i32
}

/// The words of running text.
fn words(block: &Block) -> impl Iterator<Item = &Word> {
    let text = block.text().filter(|text| {
        matches!(
            text.role,
            Role::Paragraph | Role::Item { .. } | Role::Footnote
        )
    });
    let lines = text.into_iter().flat_map(|text| &text.lines);
    lines.flat_map(|line| &line.words)
}

/// The words of tables.
fn cells(block: &Block) -> impl Iterator<Item = &Word> {
    let table = match &block.kind {
        BlockKind::Table(table) => Some(table),
        _ => None,
    };
    let cells = table
        .into_iter()
        .flat_map(|table| table.rows.iter().flatten());
    let lines = cells.flat_map(|cell| &cell.lines);
    lines.flat_map(|line| &line.words)
}

/// How text is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Size in points.
    pub size: f32,
    /// Bold.
    pub is_bold: bool,
    /// Italic.
    pub is_italic: bool,
    /// In capitals.
    pub is_capitals: bool,
    /// The font of most characters.
    pub font: u16,
    /// All of that font, or as good as all.
    pub is_one_font: bool,
}

impl Look {
    /// Of these lines.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let mut sizes = BTreeMap::new();
        let mut fonts = BTreeMap::new();
        let mut all = 0;
        let words = || lines.iter().flat_map(|line| &line.words);
        // Code within a title is often smaller.
        let is_all_mono = words().all(|word| word.style.is_mono);
        for word in words() {
            let chars = word.text.chars().count();
            all += chars;
            if is_all_mono || !word.style.is_mono {
                *sizes.entry(steps(word.size)).or_insert(0) += chars;
            }
            *fonts.entry(word.font).or_insert(0) += chars;
        }
        let size = sizes
            .into_iter()
            .max_by_key(|(size, chars): &(i32, usize)| (*chars, *size));
        let font = fonts
            .into_iter()
            .max_by_key(|(_, chars): &(u16, usize)| *chars);
        let (font, chars) = font.unwrap_or_default();
        let is_capitals = is_capitals(lines);
        let usual = size.map_or(0.0, |(size, _)| size as f32 / SIZE_STEPS);
        let mostly = |holds: fn(&Word) -> bool| lines.iter().all(|line| line.mostly(holds));
        Self {
            size: if is_capitals {
                large_capitals(lines).max(usual)
            } else {
                usual
            },
            is_bold: is_bold(lines),
            is_italic: mostly(|word| word.style.is_italic),
            is_capitals,
            font,
            is_one_font: chars * 10 >= all * 9,
        }
    }
}

/// Bold but for marks and for code, which is often set otherwise than the words around it.
fn is_bold(lines: &[Line]) -> bool {
    let is_other = |word: &Word| is_mark(word) || word.style.is_mono;
    let mut words = lines.iter().flat_map(|line| &line.words);
    words.clone().any(|word| word.style.is_bold)
        && words.all(|word| word.style.is_bold || is_other(word))
}

/// A number or a mark alone, which fonts for bold text often lack.
fn is_mark(word: &Word) -> bool {
    !word.text.chars().any(char::is_alphabetic) && word.text.chars().count() <= 2
}

/// The size of the larger capitals where the others are small ones: words of one or two letters that
/// others are glued to.
fn large_capitals(lines: &[Line]) -> f32 {
    let words = lines.iter().flat_map(|line| {
        let pairs = line.words.iter().zip(line.words.iter().skip(1));
        pairs.filter(|(first, rest)| {
            let is_initial = first.text.chars().count() <= 2;
            is_initial && rest.is_glued && rest.size < 0.95 * first.size
        })
    });
    words.map(|(first, _)| first.size).fold(0.0, f32::max)
}

fn is_capitals(lines: &[Line]) -> bool {
    let words = lines.iter().flat_map(|line| &line.words);
    let words = words.filter(|word| word.script == Script::Normal);
    let (mut upper, mut lower) = (0, 0);
    for c in words.flat_map(|word| word.text.chars()) {
        upper += u32::from(c.is_uppercase());
        lower += u32::from(c.is_lowercase());
    }
    upper >= 3 && lower * 10 <= upper
}

/// A block that may be a heading.
#[derive(Clone, Debug)]
pub struct Feature {
    /// What it says.
    pub text: String,
    /// How it is set.
    pub look: Look,
    /// It begins with code.
    pub begins_mono: bool,
    /// How many rows it has.
    pub rows: usize,
    /// Space between it and the text above it in ems of the body; `None`: nothing is right above it.
    pub above: Option<f32>,
    /// Space between it and the text below it.
    pub below: Option<f32>,
    /// How the text below it is set.
    pub next: Option<Look>,
    /// What follows is text that begins right below it, at the same place from left to right.
    pub leads: bool,
    /// Where.
    pub rect: Rect,
}

/// How many rows lines stand in: fragments of a row count once.
#[must_use]
pub fn rows(lines: &[Line]) -> usize {
    let steps = lines.iter().zip(lines.iter().skip(1));
    let breaks = steps.filter(|(a, b)| !is_same_row(a, b)).count();
    breaks + usize::from(!lines.is_empty())
}

/// Whether two lines are fragments of one row.
#[must_use]
pub fn is_same_row(a: &Line, b: &Line) -> bool {
    let em = a.size.max(b.size);
    (a.baseline - b.baseline).abs() < 0.3 * em && a.rect.overlap_x(&b.rect) < em
}

/// What is seen of a block of text; `at` is its place on the page.
#[must_use]
pub fn of(page: &PageBlocks, at: usize, text: &TextBlock, body: &Body) -> Feature {
    let rect = page
        .blocks
        .get(at)
        .map(|block| block.rect)
        .unwrap_or_default();
    let before = page.blocks.get(..at).unwrap_or_default();
    let after = page.blocks.get(at + 1..).unwrap_or_default();
    let above = before.iter().rev().find(|block| is_seen(block));
    let below = after.iter().find(|block| is_seen(block));
    let gap = |upper: &Rect, lower: &Rect| {
        let is_over = upper.overlap_x(lower) > 0.0 && upper.middle_y() < lower.middle_y();
        is_over.then(|| (lower.y0 - upper.y1) / body.size)
    };
    Feature {
        text: text.plain(),
        look: Look::of(&text.lines),
        begins_mono: text
            .lines
            .first()
            .and_then(|line| line.words.first())
            .is_some_and(|word| word.style.is_mono),
        rows: rows(&text.lines),
        above: above.and_then(|block| gap(&block.rect, &rect)),
        below: below.and_then(|block| gap(&rect, &block.rect)),
        leads: below.is_some_and(|block| leads(&rect, block, body)),
        next: below
            .and_then(|block| block.text())
            .map(|text| Look::of(&text.lines)),
        rect,
    }
}

/// Whether a block is text that a heading in this place would belong to.
fn leads(rect: &Rect, next: &Block, body: &Body) -> bool {
    /// Space between a heading and its text, in ems.
    const BELOW_MAX: f32 = 2.5;
    /// How far in the text may begin, in ems.
    const INDENT_MAX: f32 = 2.5;
    let Some(text) = next.text() else {
        return false;
    };
    let below = (next.rect.y0 - rect.y1) / body.size;
    let indent = (next.rect.x0 - rect.x0) / body.size;
    let is_longer = text.lines.len() > 1 && next.rect.width() > rect.width();
    is_longer && below < BELOW_MAX && (-0.5..INDENT_MAX).contains(&indent)
}

fn is_seen(block: &Block) -> bool {
    match &block.kind {
        BlockKind::Text(text) => text.role != Role::Furniture,
        BlockKind::Table(_) | BlockKind::Picture { .. } => true,
    }
}
