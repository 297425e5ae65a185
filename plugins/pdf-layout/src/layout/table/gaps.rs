//! Tables without any line: rows of text whose gaps stand above each other.
//!
//! Invariant: rows of text are looked at once for every column of the page; what is taken here has
//! evidence beyond its gaps.

use crate::geometry::Rect;
use crate::layout::text::Line;

use super::bands::{self, Band};
use super::canvas::Canvas;
use super::columns::{self, CellRow, TextRow};
use super::fill::Draft;
use super::{looks, rows};

/// Baselines of neighbouring rows are at most this many ems apart.
const PITCH_MAX: f32 = 4.0;
/// A gap that all rows share is at least this wide, in ems.
const GAP_MIN: f32 = 0.9;
/// Rows with a gap that a table has at least.
const ROWS_MIN: usize = 3;
/// Text of this part of the width of its column of the page, and this long, is a sentence.
const SENTENCE: f32 = 0.75;
const SENTENCE_CHARS: usize = 40;
/// Of a table at least this part of the cells has text.
const FILLED_MIN: f32 = 0.5;
/// Of a table at least this part of the cells is aligned with others of its column.
const ALIGNED_MIN: f32 = 0.75;
/// Of ten rows this many have text in two columns.
const PAIRED_OF_TEN_MIN: usize = 6;
/// Rows of text without any numbers, head or space between them are a table from here on.
const PLAIN_ROWS_MIN: usize = 5;
/// Baselines of neighbouring rows that are at least this many ems apart are not lines of a paragraph.
const SPACED_MIN: f32 = 1.4;
/// Space above the first row, as a share of that below it.
const START_STEP: f32 = 1.1;
/// Rows at which a table is tried to begin, for every run of rows.
const STARTS_MAX: usize = 6;
/// Characters of a line of a cell on average.
const RUN_CHARS_MAX: usize = 40;
/// Evidence that is enough.
const EVIDENCE_MIN: u32 = 2;

/// The tables among the lines, where no other table is.
pub(super) fn drafts(canvas: &Canvas, lines: &[Line], taken: &[Rect]) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for band in bands::of_page(canvas, lines) {
        let rows = columns::text_rows(canvas, lines, |line| band.holds(&line.rect));
        for rows in sequences(&rows, &band, taken) {
            let draft = starts(rows).find_map(|from| draft(&rows[from..], canvas, lines));
            drafts.extend(draft.filter(|draft| {
                drafts
                    .iter()
                    .all(|other| !touches(&other.rect, &draft.rect))
            }));
        }
    }
    drafts
}

/// Where a table may begin in a run of rows: at its first, below a single text, below more space.
fn starts(rows: &[TextRow]) -> impl Iterator<Item = usize> {
    let step = |row: usize| {
        let pair = rows.get(row).zip(rows.get(row.wrapping_sub(1)));
        pair.map_or(0.0, |(below, above)| below.baseline - above.baseline)
    };
    let inner = (1..rows.len()).filter(move |row| {
        let is_apart = rows[row - 1].runs.len() == 1 || step(*row) > START_STEP * step(row + 1);
        rows[*row].runs.len() > 1 && is_apart
    });
    std::iter::once(0).chain(inner).take(STARTS_MAX)
}

fn touches(a: &Rect, b: &Rect) -> bool {
    a.overlap_x(b) > 0.0 && a.overlap_y(b) > 0.0
}

/// Runs of rows whose gaps stand above each other.
fn sequences<'a>(rows: &'a [TextRow], band: &Band, taken: &[Rect]) -> Vec<&'a [TextRow]> {
    let mut found = Vec::new();
    let mut from = 0;
    let mut shared: Vec<(f32, f32)> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let is_near = at > from && {
            let above = &rows[at - 1];
            row.baseline - above.baseline <= PITCH_MAX * row.size.max(above.size)
                && !taken.iter().any(|rect| lies_between(rect, above, row))
        };
        let is_wall = band.is_wall(row)
            || row.runs.iter().any(|run| {
                run.chars >= SENTENCE_CHARS && run.rect.width() >= SENTENCE * band.width()
            });
        let own = gaps(row, band);
        let common = match row.runs.len() {
            0 | 1 => within(&shared, row),
            _ => intersection(&shared, &own, GAP_MIN * row.size),
        };
        if is_near && !is_wall && !common.is_empty() && 2 * common.len() >= shared.len() {
            shared = common;
            continue;
        }
        push_sequence(&rows[from..at], &mut found);
        from = if is_wall { at + 1 } else { at };
        shared = if row.runs.len() > 1 && !is_wall {
            own
        } else {
            Vec::new()
        };
    }
    push_sequence(&rows[from.min(rows.len())..], &mut found);
    found
}

fn lies_between(rect: &Rect, above: &TextRow, below: &TextRow) -> bool {
    rect.y0 >= above.baseline - 1.0 && rect.y1 <= below.baseline
}

/// Keeps a run of rows that may be a table, without single texts at its ends.
fn push_sequence<'a>(rows: &'a [TextRow], found: &mut Vec<&'a [TextRow]>) {
    let is_row = |row: &TextRow| row.runs.len() > 1;
    let first = rows.iter().position(is_row);
    if let Some(first) = first
        && rows.iter().filter(|row| is_row(row)).count() >= ROWS_MIN
    {
        found.push(&rows[first..]);
    }
}

/// The gaps between the runs of a row, and the space left and right of it.
fn gaps(row: &TextRow, band: &Band) -> Vec<(f32, f32)> {
    let pairs = row.runs.iter().zip(row.runs.iter().skip(1));
    let inner = pairs.map(|(left, right)| (left.rect.x1, right.rect.x0));
    let before = (band.from, row.rect.x0);
    let after = (row.rect.x1, band.to);
    std::iter::once(before)
        .chain(inner)
        .chain([after])
        .filter(|(from, to)| to > from)
        .collect()
}

fn intersection(a: &[(f32, f32)], b: &[(f32, f32)], width_min: f32) -> Vec<(f32, f32)> {
    let mut both = Vec::new();
    for (from, to) in a {
        for (other_from, other_to) in b {
            let shared = (from.max(*other_from), to.min(*other_to));
            if shared.1 - shared.0 >= width_min {
                both.push(shared);
            }
        }
    }
    both
}

/// The gaps if a single text crosses none of them, without what it covers.
fn within(gaps: &[(f32, f32)], row: &TextRow) -> Vec<(f32, f32)> {
    let (x0, x1) = (row.rect.x0, row.rect.x1);
    let free = gaps.iter().filter_map(|(from, to)| {
        let left = (*from, to.min(x0));
        let right = (from.max(x1), *to);
        let widest = if right.1 - right.0 > left.1 - left.0 {
            right
        } else {
            left
        };
        (widest.1 - widest.0 >= GAP_MIN * row.size).then_some(widest)
    });
    free.collect()
}

fn draft(rows: &[TextRow], canvas: &Canvas, lines: &[Line]) -> Option<Draft> {
    let mut gutters = columns::gutters(rows, false);
    if gutters.is_empty() {
        return None;
    }
    let mut cells = columns::in_columns(canvas, lines, rows, &gutters);
    columns::merge_exclusive(&mut cells, &mut gutters);
    let rect = Rect::around(rows.iter().map(|row| &row.rect))?;
    let rules = canvas.across.iter().filter(|rule| {
        rule.y0 > rect.y0 && rule.y1 < rect.y1 && rule.overlap_x(&rect) > 0.5 * rect.width()
    });
    let mut rules: Vec<f32> = rules.map(Rect::middle_y).collect();
    rules.sort_by(f32::total_cmp);
    let mut logical = rows::logical_rows(cells, &rules, lines);
    // Single texts at the end are what stands below the table.
    while logical.last().is_some_and(|row| columns_filled(row) < 2) {
        logical.pop();
    }
    let above = logical.iter().position(|row| columns_filled(row) >= 2)?;
    logical.drain(..above);
    let is_spaced = is_spaced(&logical);
    let has_rule = has_head_rule(&logical, &rules);
    let mut draft = rows::draft(logical, &gutters)?;
    draft.drop_empty();
    let evidence = evidence(&draft, lines, is_spaced, has_rule);
    (is_plausible(&draft, lines, is_spaced) && evidence >= EVIDENCE_MIN).then_some(draft)
}

/// Whether there is more space between rows than between the lines of a paragraph.
fn is_spaced(logical: &[Vec<CellRow>]) -> bool {
    let pairs = logical.iter().zip(logical.iter().skip(1));
    let steps = pairs.filter_map(|(above, below)| {
        let (above, below) = (above.last()?, below.first()?);
        Some((below.baseline - above.baseline) / above.size.max(below.size).max(1.0))
    });
    let steps: Vec<f32> = steps.collect();
    let wide = steps.iter().filter(|step| **step >= SPACED_MIN).count();
    8 * wide >= 7 * steps.len()
}

/// Whether a line runs below the first row.
fn has_head_rule(logical: &[Vec<CellRow>], rules: &[f32]) -> bool {
    let first = logical.first().and_then(|row| row.last());
    let second = logical.get(1).and_then(|row| row.first());
    let between = first.zip(second);
    between.is_some_and(|(first, second)| {
        rules
            .iter()
            .any(|rule| (first.baseline - 1.0..second.baseline).contains(rule))
    })
}

fn columns_filled(group: &[CellRow]) -> usize {
    let columns = group.first().map_or(0, |row| row.cells.len());
    (0..columns)
        .filter(|column| group.iter().any(|row| !row.cells[*column].is_empty()))
        .count()
}

fn is_plausible(draft: &Draft, lines: &[Line], is_spaced: bool) -> bool {
    let (rows, columns) = (draft.rows.len(), draft.columns());
    let (runs, chars) = draft
        .runs()
        .fold((0, 0), |(runs, chars), run| (runs + 1, chars + run.chars));
    rows >= ROWS_MIN
        && columns >= 2
        && draft.filled() as f32 >= FILLED_MIN * (rows * columns) as f32
        && chars <= RUN_CHARS_MAX * runs
        && looks::alignment(draft) >= ALIGNED_MIN
        && (looks::has_figures(draft, lines) || !looks::is_column_major(draft))
        && (is_spaced || !looks::is_prose(draft, lines) && !looks::is_continued(draft, lines))
        && looks::has_words(draft, lines)
        && looks::is_of_one_size(draft)
        && looks::paired_of_ten(draft) >= PAIRED_OF_TEN_MIN
        && !looks::is_code(draft, lines)
        && !looks::is_list(draft, lines)
        && !looks::is_contents(draft, lines)
        && !looks::is_equations(draft, lines)
}

/// What speaks for a table beside its gaps.
fn evidence(draft: &Draft, lines: &[Line], is_spaced: bool, has_rule: bool) -> u32 {
    let rows = draft.rows.len();
    let points = [
        (looks::has_figures(draft, lines), 2),
        (is_spaced, 2),
        (has_rule, 2),
        (rows >= PLAIN_ROWS_MIN, 1),
        (rows >= 2 * PLAIN_ROWS_MIN, 1),
    ];
    points
        .iter()
        .filter(|(holds, _)| *holds)
        .map(|(_, points)| points)
        .sum()
}
