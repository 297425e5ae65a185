//! Which rows of text are one row of the table, where the rows are not drawn.
//!
//! Invariant: every row of text given is in one row of the table.

use crate::geometry::Rect;
use crate::layout::text::Line;

use super::columns::CellRow;
use super::fill::{Draft, Run};

/// Distances of baselines that differ by this ratio are those within and between rows.
const PITCH_BREAK: f32 = 1.22;
/// Baselines of one cell are at most this far apart, in ems.
const LEADING_MAX: f32 = 1.6;
/// From this many rows with a line below on, every row has one if most hold few rows of text.
const RULED_ROWS_MIN: usize = 4;
const RULED_LINES: usize = 2;
/// More rows of text than this between two lines are not one row of the table.
const RULED_LINES_MAX: usize = 6;
/// Lines of this many characters on average are sentences.
const SENTENCE_CHARS: usize = 24;

/// Puts rows of text together to rows of a table; `rules` are lines between them, from top to bottom.
pub(super) fn logical_rows(rows: Vec<CellRow>, rules: &[f32], lines: &[Line]) -> Vec<Vec<CellRow>> {
    let mut slabs: Vec<Vec<CellRow>> = Vec::new();
    let mut slab_of_last = usize::MAX;
    for row in rows {
        let slab = rules.partition_point(|rule| *rule <= row.baseline - 0.3 * row.size);
        match slabs.last_mut() {
            Some(last) if slab == slab_of_last => last.push(row),
            _ => slabs.push(vec![row]),
        }
        slab_of_last = slab;
    }
    let has_head = slabs.len() >= 2;
    let threshold = pitch_threshold(&slabs);
    let mut heights: Vec<usize> = slabs.iter().map(Vec::len).collect();
    heights.sort_unstable();
    let are_ruled = slabs.len() >= RULED_ROWS_MIN
        && heights
            .get(heights.len() / 2)
            .is_some_and(|lines| *lines <= RULED_LINES);
    let mut logical = Vec::new();
    for (number, slab) in slabs.into_iter().enumerate() {
        let mut groups: Vec<Vec<CellRow>> = Vec::new();
        let is_prose = is_prose(&slab);
        let is_ruled = are_ruled && slab.len() <= RULED_LINES_MAX;
        for row in slab {
            let goes_on = groups.last().is_some_and(|group| {
                let evidence = Evidence {
                    is_head: has_head && number == 0,
                    is_prose,
                    is_ruled,
                    threshold,
                };
                continues(group, &row, &evidence, lines)
            });
            match groups.last_mut() {
                Some(group) if goes_on => group.push(row),
                _ => groups.push(vec![row]),
            }
        }
        logical.extend(groups);
    }
    logical
}

/// What tells rows of a table from rows of text.
struct Evidence {
    /// In the head, above a line.
    is_head: bool,
    /// Sentences side by side, without more space anywhere.
    is_prose: bool,
    /// Every row of the table seems to have its line.
    is_ruled: bool,
    /// Baselines that are at most this many ems apart are of one row, where there are two distances.
    threshold: Option<f32>,
}

/// Whether two columns or more hold sentences that go on from line to line.
fn is_prose(slab: &[CellRow]) -> bool {
    let columns = slab.first().map_or(0, |row| row.cells.len());
    let steps = slab.iter().zip(slab.iter().skip(1));
    let is_even = steps
        .clone()
        .all(|(a, b)| b.baseline - a.baseline <= LEADING_MAX * a.size);
    let prose = (0..columns).filter(|column| {
        let cells = slab.iter().filter_map(|row| row.cells.get(*column));
        let filled = cells.filter(|cell| !cell.is_empty());
        let chars: usize = filled.clone().flatten().map(|run| run.chars).sum();
        let lines = filled.count();
        lines >= 2 && 2 * lines > slab.len() && chars > SENTENCE_CHARS * lines
    });
    is_even && prose.count() >= 2
}

/// The distance of baselines between that of lines and that of rows, if there are two.
fn pitch_threshold(slabs: &[Vec<CellRow>]) -> Option<f32> {
    let pairs = slabs
        .iter()
        .flat_map(|slab| slab.iter().zip(slab.iter().skip(1)));
    let mut steps: Vec<f32> = pairs
        .map(|(a, b)| (b.baseline - a.baseline) / a.size.max(1.0))
        .filter(|step| *step < 6.0)
        .collect();
    steps.sort_by(f32::total_cmp);
    let breaks = steps.iter().zip(steps.iter().skip(1));
    let widest = breaks
        .filter(|(low, high)| **low <= LEADING_MAX && **high >= PITCH_BREAK * **low)
        .max_by(|a, b| (a.1 / a.0).total_cmp(&(b.1 / b.0)))?;
    Some(f32::midpoint(*widest.0, *widest.1))
}

/// Whether a row of text belongs to the row of the table above it.
fn continues(group: &[CellRow], row: &CellRow, evidence: &Evidence, lines: &[Line]) -> bool {
    let (Some(first), Some(last)) = (group.first(), group.last()) else {
        return false;
    };
    let step = (row.baseline - last.baseline) / row.size.max(1.0);
    if step > LEADING_MAX && !evidence.is_head {
        return false;
    }
    if evidence.is_head {
        return group
            .iter()
            .all(|above| !divides(above, row) && !divides(row, above));
    }
    let columns = first.cells.len();
    let pairs = || first.cells.iter().zip(&row.cells);
    let has_figures = group.iter().any(|above| {
        let mut pairs = above.cells.iter().zip(&row.cells).skip(1);
        pairs.any(|(a, b)| is_figure(a, lines) && is_figure(b, lines))
    });
    if has_figures || !row.spans.is_empty() || !last.spans.is_empty() {
        return false;
    }
    let both = pairs()
        .filter(|(a, b)| !a.is_empty() && !b.is_empty())
        .count();
    if evidence.is_prose || evidence.is_ruled {
        return true;
    }
    if let Some(threshold) = evidence.threshold {
        return step <= threshold && (row.filled() < columns || columns == 2);
    }
    let has_first = row.cells.first().is_some_and(|cell| !cell.is_empty());
    match has_first {
        true => row.filled() == 1 && last.filled() > 1 && is_unfinished(last, row, lines),
        false => both == row.filled() && 5 * row.filled() < 3 * first.filled().max(2),
    }
}

/// Whether a row has several cells below or above one that spans columns.
fn divides(row: &CellRow, spanning: &CellRow) -> bool {
    spanning.spans.iter().any(|(from, to)| {
        let within = row.cells.get(*from..=*to).unwrap_or_default();
        within.iter().filter(|cell| !cell.is_empty()).count() > 1
    })
}

/// Whether a cell holds a number and little else.
pub(super) fn is_figure(cell: &[Run], lines: &[Line]) -> bool {
    let text: String = cell.iter().map(|run| run.text(lines)).collect();
    let digits = text.chars().filter(char::is_ascii_digit).count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    digits > 0 && digits >= 2 * letters
}

/// Whether the text of the first column goes on: it began with a capital and does not do so again.
fn is_unfinished(last: &CellRow, row: &CellRow, lines: &[Line]) -> bool {
    let text = |row: &CellRow| {
        row.cells[0]
            .first()
            .map(|run| run.text(lines))
            .unwrap_or_default()
    };
    let next = text(row);
    text(last).ends_with(['-', ',', '/', '&'])
        || next.starts_with(|c: char| c.is_lowercase() || c == '(')
}

/// Rows of the table as a draft.
pub(super) fn draft(logical: Vec<Vec<CellRow>>, gutters: &[(f32, f32)]) -> Option<Draft> {
    let all = logical.iter().flatten();
    let rect = Rect::around(all.map(|row| &row.rect))?;
    let borders = gutters.iter().map(|(from, to)| f32::midpoint(*from, *to));
    let edges = std::iter::once(rect.x0).chain(borders).chain([rect.x1]);
    let rows = logical.into_iter().map(|group| {
        let mut cells = vec![Vec::new(); gutters.len() + 1];
        for row in group {
            for (cell, runs) in cells.iter_mut().zip(row.cells) {
                cell.extend(runs);
            }
        }
        cells
    });
    Some(Draft {
        rect,
        edges: edges.collect(),
        rows: rows.collect(),
    })
}
