//! Lines of a column to blocks of text.

use crate::geometry::Rect;
use crate::layout::block::{Block, BlockKind, Role, TextBlock};
use crate::layout::text::Line;

/// A gap between lines of this much of their usual distance is one between paragraphs.
const GAP_OF_PARAGRAPH: f32 = 1.35;
/// Sizes that differ by less, as a share, are the same.
const SIZE_TOLERANCE: f32 = 0.06;

/// Puts the lines of a column, which are in order, together to blocks.
#[must_use]
pub fn blocks(lines: Vec<Line>) -> Vec<Block> {
    let pitch = pitch(&lines);
    let mut blocks: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        match blocks.last_mut() {
            Some(block) if block.last().is_some_and(|last| goes_on(last, &line, pitch)) => {
                block.push(line);
            }
            _ => blocks.push(vec![line]),
        }
    }
    blocks.into_iter().filter_map(block).collect()
}

fn block(lines: Vec<Line>) -> Option<Block> {
    let rect = Rect::around(lines.iter().map(|line| &line.rect))?;
    Some(Block {
        rect,
        kind: BlockKind::Text(TextBlock {
            lines,
            role: Role::Paragraph,
            continues: false,
        }),
    })
}

/// The usual distance of baselines in ems.
fn pitch(lines: &[Line]) -> f32 {
    let pairs = lines.iter().zip(lines.iter().skip(1));
    let mut steps: Vec<f32> = pairs
        .map(|(a, b)| (b.baseline - a.baseline) / a.size.max(1.0))
        .filter(|step| (0.8..2.2).contains(step))
        .collect();
    steps.sort_by(f32::total_cmp);
    steps.get(steps.len() / 2).copied().unwrap_or(1.2)
}

fn goes_on(last: &Line, next: &Line, pitch: f32) -> bool {
    let em = last.size.max(next.size);
    let step = next.baseline - last.baseline;
    // Fragments of one row; text drawn over text is no fragment of it.
    if step.abs() < 0.3 * em {
        return last.rect.overlap_x(&next.rect) < em;
    }
    let same_size = (last.size - next.size).abs() <= SIZE_TOLERANCE * em;
    let is_bold = |line: &Line| line.mostly(|word| word.style.is_bold);
    same_size
        && is_bold(last) == is_bold(next)
        && step > 0.0
        && step <= GAP_OF_PARAGRAPH * pitch * em
}
