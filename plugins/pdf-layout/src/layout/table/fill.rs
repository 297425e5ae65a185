//! Text into cells: which words of which lines belong to a table, and taking them out of the lines.
//!
//! Invariant: a word is in one cell or stays in the lines; none is lost.

use std::ops::Range;

use crate::geometry::Rect;
use crate::layout::block::{Cell, Table};
use crate::layout::text::{Line, Word};

use super::PlacedTable;
use super::canvas::Canvas;

/// Baselines of one row of text are no farther apart, in ems.
pub(super) const SAME_ROW: f32 = 0.35;
/// Spaces that may be drawn between a line and the next one.
const SPACES_MAX: u32 = 3;

/// Words of a line that stand next to each other in one cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// The line.
    pub(super) line: usize,
    /// Its words.
    pub(super) words: Range<usize>,
    /// Where, on the canvas.
    pub(super) rect: Rect,
    /// What it stands on, on the canvas.
    pub(super) baseline: f32,
    /// Font size.
    pub(super) size: f32,
    /// Characters.
    pub(super) chars: usize,
    /// Its first character, in the order of drawing.
    pub(super) order: u32,
    /// Its last character, in the order of drawing.
    pub(super) order_last: u32,
}

impl Run {
    /// Words of a line; `None` of none.
    pub(super) fn of(
        canvas: &Canvas,
        lines: &[Line],
        line: usize,
        words: Range<usize>,
    ) -> Option<Self> {
        let whole = lines.get(line)?;
        let part = whole.words.get(words.clone())?;
        let boxes: Vec<Rect> = part
            .iter()
            .map(|word| canvas.place(word, whole.turn))
            .collect();
        let rect = Rect::around(&boxes)?;
        let is_upright = whole.turn == canvas.turn;
        Some(Self {
            line,
            words,
            rect,
            baseline: if is_upright { whole.baseline } else { rect.y1 },
            size: whole.size,
            chars: part.iter().map(|word| word.text.chars().count()).sum(),
            order: part.iter().map(|word| word.order).min()?,
            order_last: part.iter().map(last_glyph).max()?,
        })
    }

    /// What it says.
    pub(super) fn text(&self, lines: &[Line]) -> String {
        let words = lines
            .get(self.line)
            .and_then(|line| line.words.get(self.words.clone()));
        let mut text = String::new();
        for word in words.unwrap_or_default() {
            if !word.is_glued && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word.text);
        }
        text
    }
}

/// The place of the last character of a word in the order of drawing.
fn last_glyph(word: &Word) -> u32 {
    let chars = u32::try_from(word.text.chars().count()).unwrap_or(u32::MAX);
    word.order.saturating_add(chars).saturating_sub(1)
}

/// Whether text is drawn directly after other text, but for spaces.
pub(super) fn is_drawn_after(before: &Run, after: &Run) -> bool {
    after.order > before.order_last && after.order - before.order_last <= SPACES_MAX
}

/// A table that is not yet taken out of the lines: runs in rows of cells.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Draft {
    /// Where, on the canvas.
    pub(super) rect: Rect,
    /// Borders of its columns.
    pub(super) edges: Vec<f32>,
    /// Rows of cells of runs.
    pub(super) rows: Vec<Vec<Vec<Run>>>,
}

impl Draft {
    /// Rows and columns without any text go.
    pub(super) fn drop_empty(&mut self) {
        self.rows
            .retain(|row| row.iter().any(|cell| !cell.is_empty()));
        let columns = self.edges.len().saturating_sub(1);
        for column in (0..columns).rev() {
            let is_empty = |row: &Vec<Vec<Run>>| row.get(column).is_none_or(Vec::is_empty);
            if self.rows.iter().all(is_empty) {
                for row in self.rows.iter_mut().filter(|row| column < row.len()) {
                    row.remove(column);
                }
                self.edges.remove(if column == 0 { 0 } else { column + 1 });
            }
        }
    }

    /// Columns.
    pub(super) fn columns(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// Cells with text.
    pub(super) fn filled(&self) -> usize {
        self.rows
            .iter()
            .flatten()
            .filter(|cell| !cell.is_empty())
            .count()
    }

    /// Every run.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.rows.iter().flatten().flatten()
    }
}

/// Takes the text of tables, none of which covers another, out of the lines.
pub(super) fn take(
    mut drafts: Vec<Draft>,
    canvas: &Canvas,
    lines: &mut Vec<Line>,
) -> Vec<PlacedTable> {
    for cell in drafts
        .iter_mut()
        .flat_map(|draft| &mut draft.rows)
        .flatten()
    {
        sort_runs(cell);
    }
    let runs: Vec<Run> = drafts.iter().flat_map(Draft::runs).cloned().collect();
    let mut taken = cut(lines, &runs).into_iter();
    let placed = drafts.into_iter().map(|draft| {
        let text = Rect::around(draft.runs().map(|run| &run.rect)).unwrap_or(draft.rect);
        let rows = draft.rows.iter().map(|row| {
            let cells = row.iter().map(|cell| Cell {
                lines: taken.by_ref().take(cell.len()).flatten().collect(),
            });
            cells.collect()
        });
        PlacedTable {
            rect: canvas.on_page(&draft.rect.union(&text)),
            table: Table {
                rows: rows.collect(),
                edges: draft.edges,
                continues_last: false,
            },
        }
    });
    placed.collect()
}

/// Runs of a cell in reading order: by rows of text, then from left to right.
pub(super) fn sort_runs(cell: &mut [Run]) {
    cell.sort_by(|a, b| {
        a.baseline
            .total_cmp(&b.baseline)
            .then(a.rect.x0.total_cmp(&b.rect.x0))
    });
    let mut from = 0;
    for at in 1..=cell.len() {
        let ends = cell
            .get(at)
            .is_none_or(|run| run.baseline - cell[from].baseline > SAME_ROW * run.size);
        if ends {
            cell[from..at].sort_by(|a, b| a.rect.x0.total_cmp(&b.rect.x0));
            from = at;
        }
    }
}

/// Takes runs out of the lines; what is left of a line stays in its place. Gives a line for every run.
fn cut(lines: &mut Vec<Line>, runs: &[Run]) -> Vec<Option<Line>> {
    let mut by_line: Vec<usize> = (0..runs.len()).collect();
    by_line.sort_by_key(|run| (runs[*run].line, runs[*run].words.start));
    let mut by_line = by_line.into_iter().peekable();
    let mut taken: Vec<Option<Line>> = vec![None; runs.len()];
    let mut left = Vec::with_capacity(lines.len());
    for (number, line) in lines.drain(..).enumerate() {
        if by_line.peek().is_none_or(|run| runs[*run].line != number) {
            left.push(line);
            continue;
        }
        let turn = line.turn;
        let mut words = line.words.into_iter().enumerate().peekable();
        while let Some(run) = by_line.next_if(|run| runs[*run].line == number) {
            let range = &runs[run].words;
            let before = std::iter::from_fn(|| words.next_if(|(at, _)| *at < range.start));
            let before = before.map(|(_, word)| word).collect();
            left.extend(whole(before, turn));
            let within = std::iter::from_fn(|| words.next_if(|(at, _)| *at < range.end));
            taken[run] = whole(within.map(|(_, word)| word).collect(), turn);
        }
        left.extend(whole(words.map(|(_, word)| word).collect(), turn));
    }
    *lines = left;
    taken
}

/// Words as a line of their own.
fn whole(mut words: Vec<Word>, turn: crate::page::Turn) -> Option<Line> {
    if let Some(first) = words.first_mut() {
        first.is_glued = false;
    }
    Line::of_words(words, turn)
}
