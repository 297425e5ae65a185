//! Captions and footnotes: text that stands beside the running text.
//!
//! Invariant: only paragraphs become one or the other.

use crate::layout::block::{Block, BlockKind, PageBlocks, Role, TextBlock};
use crate::layout::text::{Line, Script};

/// Notes are set at most at this share of the size of the body.
const NOTE_SIZE_MAX: f32 = 0.94;
/// A caption is near what it names, in ems.
const CAPTION_GAP_MAX: f32 = 4.0;
/// A longer text is not a caption, in characters.
const CAPTION_CHARS_MAX: usize = 900;
/// What captions begin with, in small letters, before their number.
const NAMES: [&str; 30] = [
    "figure",
    "fig.",
    "fig",
    "table",
    "tab.",
    "scheme",
    "chart",
    "plate",
    "listing",
    "algorithm",
    "abbildung",
    "abb.",
    "tabelle",
    "tableau",
    "illustration",
    "figura",
    "tabla",
    "tabela",
    "tabella",
    "gráfico",
    "quadro",
    "cuadro",
    "afbeelding",
    "figuur",
    "tabel",
    "rysunek",
    "рис.",
    "рисунок",
    "таблица",
    "exhibit",
];

/// Marks captions and footnotes.
pub fn mark(pages: &mut [PageBlocks]) {
    let body = body_size(pages);
    for page in pages {
        let captions: Vec<usize> = indices(page, |block, text| is_caption(page, block, text));
        let notes: Vec<usize> = indices(page, |block, text| is_note(page, block, text, body));
        let notes = with_rest(page, &notes, body);
        for (list, role) in [(captions, Role::Caption), (notes, Role::Footnote)] {
            for index in list {
                let text = page.blocks.get_mut(index).and_then(Block::text_mut);
                if let Some(text) = text {
                    text.role = role.clone();
                }
            }
        }
    }
}

fn indices(page: &PageBlocks, holds: impl Fn(&Block, &TextBlock) -> bool) -> Vec<usize> {
    let blocks = page.blocks.iter().enumerate();
    let texts = blocks.filter_map(|(index, block)| Some((index, block, block.text()?)));
    texts
        .filter(|(_, block, text)| text.role == Role::Paragraph && holds(block, text))
        .map(|(index, ..)| index)
        .collect()
}

/// Whether a text names itself a figure or a table and stands near one, or begins the way only
/// captions do.
fn is_caption(page: &PageBlocks, block: &Block, text: &TextBlock) -> bool {
    let mut words = text.lines.iter().flat_map(|line| &line.words);
    let (Some(first), Some(number)) = (words.next(), words.next()) else {
        return false;
    };
    let is_named = NAMES.contains(&first.text.to_lowercase().as_str());
    let is_numbered = number.text.chars().any(|c| c.is_ascii_digit());
    let chars: usize = text.lines.iter().map(Line::chars).sum();
    if !is_named || !is_numbered || chars > CAPTION_CHARS_MAX {
        return false;
    }
    let has_stop = number.text.ends_with(['.', ':']);
    let em = text.lines.first().map_or(10.0, |line| line.size);
    let is_near = |other: &Block| {
        !matches!(other.kind, BlockKind::Text(_))
            && other.rect.overlap_x(&block.rect) > 0.0
            && other.rect.overlap_y(&block.rect) > -CAPTION_GAP_MAX * em
    };
    has_stop || page.blocks.iter().any(is_near)
}

/// Whether a text is smaller than the body, begins with the mark of a note, and no body text stands
/// below it.
fn is_note(page: &PageBlocks, block: &Block, text: &TextBlock, body: f32) -> bool {
    let Some(first) = text.lines.first() else {
        return false;
    };
    let is_small = first.size <= NOTE_SIZE_MAX * body;
    let Some(mark) = first.words.first().filter(|_| is_small) else {
        return false;
    };
    let core = mark.text.trim_end_matches(['.', ')', ']']);
    let is_number = !core.is_empty() && core.len() <= 3 && core.bytes().all(|b| b.is_ascii_digit());
    let is_sign = core.starts_with(['*', '†', '‡', '§', '¶', '∗']);
    let is_raised = mark.script == Script::Super;
    let is_low = block.rect.middle_y() > page.height / 2.0;
    let is_last = || {
        page.blocks
            .iter()
            .filter_map(|other| Some((other, other.text()?)))
            .all(|(other, text)| {
                let is_body = text
                    .lines
                    .first()
                    .is_some_and(|line| line.size > NOTE_SIZE_MAX * body);
                let is_below =
                    other.rect.y0 >= block.rect.y1 && other.rect.overlap_x(&block.rect) > 0.0;
                !(is_body && is_below && text.role != Role::Furniture)
            })
    };
    (is_number || is_sign || is_raised) && is_low && is_last()
}

/// Notes with the paragraphs after their first.
fn with_rest(page: &PageBlocks, notes: &[usize], body: f32) -> Vec<usize> {
    let mut all = Vec::with_capacity(notes.len());
    let mut above: Option<f32> = None;
    for (index, block) in page.blocks.iter().enumerate() {
        let text = block.text().filter(|text| text.role == Role::Paragraph);
        let line = text.and_then(|text| text.lines.first());
        let is_small = line.is_some_and(|line| line.size <= NOTE_SIZE_MAX * body);
        let is_rest = is_small && above.is_some_and(|above| block.rect.y0 > above);
        let is_of_note = is_rest || notes.binary_search(&index).is_ok();
        above = is_of_note.then_some(block.rect.y0);
        all.extend(is_of_note.then_some(index));
    }
    all
}

/// The size of most characters.
fn body_size(pages: &[PageBlocks]) -> f32 {
    let mut sizes = std::collections::BTreeMap::new();
    let texts = pages
        .iter()
        .flat_map(|page| &page.blocks)
        .filter_map(Block::text);
    for line in texts.flat_map(|text| &text.lines) {
        *sizes.entry((line.size * 4.0).round() as i32).or_insert(0) += line.chars();
    }
    let body = sizes
        .into_iter()
        .max_by_key(|(size, chars)| (*chars, *size));
    body.map_or(10.0, |(size, _)| size as f32 / 4.0)
}
