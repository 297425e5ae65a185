//! Code: blocks whose line breaks and gaps count.
//!
//! Invariant: a document that is typed in one width throughout has no code.

use crate::layout::block::{BlockKind, PageBlocks, Role, TextBlock};
use crate::layout::text::{Line, Word};

/// A document with more than this share of its characters of one width is typed so, in per cent.
const TYPED_PERCENT: usize = 70;
/// Blocks of code this many ems apart are one with empty lines.
const GAP_MAX: f32 = 4.0;
/// Empty lines in a row, and spaces before a line, that are kept.
const EMPTY_LINES_MAX: u32 = 3;
const INDENT_MAX: u32 = 120;

/// Marks code.
pub fn mark(pages: &mut [PageBlocks]) {
    let words = || {
        let texts = pages
            .iter()
            .flat_map(|page| &page.blocks)
            .filter_map(|block| block.text());
        texts
            .flat_map(|text| &text.lines)
            .flat_map(|line| &line.words)
    };
    let all: usize = words().map(|word| word.text.len()).sum();
    let mono: usize = words()
        .filter(|word| word.style.is_mono)
        .map(|word| word.text.len())
        .sum();
    if mono * 100 > all * TYPED_PERCENT {
        return;
    }
    for page in pages {
        for text in page.blocks.iter_mut().filter_map(|block| block.text_mut()) {
            let is_mono = text
                .lines
                .iter()
                .all(|line| line.mostly(|word| word.style.is_mono));
            if is_mono && text.role == Role::Paragraph {
                text.role = Role::Code;
            }
        }
        join(page);
    }
}

/// Joins blocks of code that follow each other.
fn join(page: &mut PageBlocks) {
    let blocks = std::mem::take(&mut page.blocks);
    for mut block in blocks {
        if let (Some(last), BlockKind::Text(text)) = (page.blocks.last_mut(), &mut block.kind) {
            let gap = block.rect.y0 - last.rect.y1;
            let em = text.lines.first().map_or(10.0, |line| line.size);
            let is_below =
                (-0.5 * em..GAP_MAX * em).contains(&gap) && block.rect.overlap_x(&last.rect) > 0.0;
            let both = |last: &TextBlock| last.role == Role::Code && text.role == Role::Code;
            if is_below && let Some(last_text) = last.text_mut().filter(|last| both(last)) {
                last_text.lines.append(&mut text.lines);
                last.rect = last.rect.union(&block.rect);
                continue;
            }
        }
        page.blocks.push(block);
    }
}

/// The text of a block of code: line breaks, empty lines and spaces as they look.
#[must_use]
pub fn text(lines: &[Line]) -> String {
    let width = char_width(lines);
    let left = lines
        .iter()
        .map(|line| line.rect.x0)
        .fold(f32::INFINITY, f32::min);
    let pitch = pitch(lines);
    let spaces = |gap: f32| ((gap / width).round().max(0.0) as u32).min(INDENT_MAX);
    let mut text = String::new();
    let mut last: Option<&Line> = None;
    let mut end = left;
    for line in lines {
        let is_same_row =
            last.is_some_and(|last| (last.baseline - line.baseline).abs() < 0.3 * line.size);
        if let Some(last) = last.filter(|_| !is_same_row) {
            let steps = ((line.baseline - last.baseline) / pitch).round().max(1.0) as u32;
            let steps = steps.min(1 + EMPTY_LINES_MAX);
            text.extend((0..steps).map(|_| '\n'));
            end = left;
        }
        for (n, word) in line.words.iter().enumerate() {
            let at_least = u32::from(n > 0 && !word.is_glued || n == 0 && is_same_row);
            let gap = if word.is_glued {
                0
            } else {
                spaces(word.rect.x0 - end)
            };
            text.extend((0..gap.max(at_least)).map(|_| ' '));
            text.push_str(&word.text);
            end = word.rect.x1;
        }
        last = Some(line);
    }
    text
}

fn char_width(lines: &[Line]) -> f32 {
    let words = lines.iter().flat_map(|line| &line.words);
    let width = |word: &Word| word.rect.width() / word.text.chars().count().max(1) as f32;
    let mut widths: Vec<f32> = words.map(width).filter(|width| *width > 0.1).collect();
    widths.sort_by(f32::total_cmp);
    widths.get(widths.len() / 2).copied().unwrap_or(6.0)
}

/// The smallest usual distance of baselines: that of lines without an empty one between.
fn pitch(lines: &[Line]) -> f32 {
    let em = lines.first().map_or(10.0, |line| line.size);
    let steps = lines.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(b.baseline - a.baseline),
        _ => None,
    });
    let mut steps: Vec<f32> = steps
        .filter(|step| *step > 0.7 * em && *step < 2.5 * em)
        .collect();
    steps.sort_by(f32::total_cmp);
    steps
        .get(steps.len() / 3)
        .copied()
        .unwrap_or(1.3 * em)
        .max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::line;

    #[test]
    fn indents_and_empty_lines_are_kept() {
        let lines = [
            line("fn main() {", 50.0, 100.0),
            line("let a = 1;", 70.0, 112.0),
            line("let b = 2;", 70.0, 136.0),
            line("}", 50.0, 148.0),
        ];
        let expected = "fn main() {\n    let a = 1;\n\n    let b = 2;\n}";
        assert_eq!(text(&lines), expected);
    }
}
