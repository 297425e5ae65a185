//! Columns of a table that are not drawn: rows of text and the gaps that they share.
//!
//! Invariant: a hostile page cannot make this look at every pair of its words.

use crate::geometry::Rect;
use crate::layout::text::Line;

use super::canvas::Canvas;
use super::fill::{Run, SAME_ROW, is_drawn_after};

/// A gap of at least this many ems within a row of text may be one between cells.
const GAP_OF_CELLS: f32 = 0.6;
/// A space of a font whose characters are all of one width is no more than this many ems wide.
const GAP_OF_CODE: f32 = 0.75;
/// Gaps that few rows share are wider: they may be there by chance.
const GAP_OF_FEW_ROWS: f32 = 0.9;
/// A gap right of which most rows begin a cell may be as narrow as this.
const GAP_AT_EDGE: f32 = 0.1;
/// Words farther apart than this, in ems, are farther apart than those of most sentences.
const WORDS_APART: f32 = 0.36;
/// Rows of text from which on a narrow gap is no chance.
const MANY_ROWS: usize = 5;
/// One row of this many may cross a gap between columns.
const CROSSING_ONE_OF: usize = 4;
/// Rows that may cross in all.
const CROSSING_MAX: usize = 12;
/// Words of one cell stand nearer to each other than this, in ems.
const GAP_OF_WORDS: f32 = 0.45;

/// Text of another size whose height is within that of a row by this part stands beside it.
const BESIDE: f32 = 0.6;
/// Runs of a row that text of another size is looked for beside of: a table has fewer cells a row.
const BESIDE_RUNS_MAX: usize = 80;
/// Text that covers other text by this part of its height has run over from elsewhere.
const COVERED: f32 = 0.2;
/// Rows above in which text that has run over may have begun.
const ROWS_BACK: usize = 4;
/// Text begins at one place if it does so within this many points.
const SAME_EDGE: f32 = 0.8;
/// Rows that begin a cell at one place and tell that a cell begins there in others.
const EDGE_ROWS_MIN: usize = 3;

/// What stands side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TextRow {
    /// Text between gaps, from left to right.
    pub(super) runs: Vec<Run>,
    /// What it stands on.
    pub(super) baseline: f32,
    /// Font size.
    pub(super) size: f32,
    /// Where.
    pub(super) rect: Rect,
}

/// The rows of text of those lines for which `holds`, from top to bottom.
pub(super) fn text_rows(
    canvas: &Canvas,
    lines: &[Line],
    holds: impl Fn(&Line) -> bool,
) -> Vec<TextRow> {
    let mut runs: Vec<Run> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if line.turn == canvas.turn && holds(line) {
            runs.extend(pieces(canvas, lines, number, line));
        }
    }
    rows_of_runs(runs)
}

fn rows_of_runs(mut runs: Vec<Run>) -> Vec<TextRow> {
    runs.sort_by(|a, b| {
        a.baseline
            .total_cmp(&b.baseline)
            .then(a.rect.x0.total_cmp(&b.rect.x0))
    });
    let mut rows: Vec<TextRow> = Vec::new();
    for run in runs {
        match rows.last_mut().filter(|row| is_in_row(row, &run)) {
            Some(row) => {
                row.rect = row.rect.union(&run.rect);
                if run.size > row.size {
                    row.size = run.size;
                    row.baseline = run.baseline;
                }
                row.runs.push(run);
            }
            None => rows.push(TextRow {
                baseline: run.baseline,
                size: run.size,
                rect: run.rect,
                runs: vec![run],
            }),
        }
    }
    lift_overflow(&mut rows);
    for row in &mut rows {
        row.runs.sort_by(|a, b| a.rect.x0.total_cmp(&b.rect.x0));
    }
    rows
}

/// Whether a run stands in a row: on its baseline, or beside its text where the sizes differ.
fn is_in_row(row: &TextRow, run: &Run) -> bool {
    let height = run.rect.height().min(row.rect.height());
    run.baseline - row.baseline <= SAME_ROW * run.size.min(row.size)
        || run.rect.overlap_y(&row.rect) >= BESIDE * height
            && row.runs.len() < BESIDE_RUNS_MAX
            && row
                .runs
                .iter()
                .all(|other| other.rect.overlap_x(&run.rect) <= 0.0)
}

/// Text that is too long for its cell is drawn over the row below: it goes back to the row in which it
/// began, which is that of the text drawn just before it.
fn lift_overflow(rows: &mut Vec<TextRow>) {
    for at in 1..rows.len() {
        let [above, row] = &rows[at - 1..=at] else {
            continue;
        };
        let below = rows.get(at + 1);
        let [run] = &row.runs[..] else {
            continue;
        };
        let covers = |other: &&TextRow| {
            let covers = |over: &Run| {
                over.rect.overlap_x(&run.rect) > 0.0
                    && over.rect.overlap_y(&run.rect) > COVERED * run.rect.height()
            };
            other.runs.iter().any(covers)
        };
        if ![Some(above), below]
            .into_iter()
            .flatten()
            .any(|other| covers(&other))
        {
            continue;
        }
        let drawn_before = (at.saturating_sub(ROWS_BACK)..at).find(|row| {
            rows[*row]
                .runs
                .iter()
                .any(|before| is_drawn_after(before, run) && before.rect.overlap_x(&run.rect) > 0.0)
        });
        if let Some(target) = drawn_before {
            let runs = std::mem::take(&mut rows[at].runs);
            rows[target].runs.extend(runs);
        }
    }
    rows.retain(|row| !row.runs.is_empty());
}

/// A line, cut at gaps that may be between cells.
fn pieces(canvas: &Canvas, lines: &[Line], number: usize, line: &Line) -> Vec<Run> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut end = f32::NEG_INFINITY;
    for (at, word) in line.words.iter().enumerate() {
        let is_mono = word.style.is_mono && at > 0 && line.words[at - 1].style.is_mono;
        let gap = if is_mono { GAP_OF_CODE } else { GAP_OF_CELLS };
        if at > from && word.rect.x0 - end > gap * word.size {
            pieces.extend(Run::of(canvas, lines, number, from..at));
            from = at;
        }
        end = end.max(word.rect.x1);
    }
    pieces.extend(Run::of(canvas, lines, number, from..line.words.len()));
    pieces
}

/// The gaps at lines drawn between columns, if text keeps to them.
pub(super) fn drawn_gutters(rows: &[TextRow], borders: &[f32]) -> Vec<(f32, f32)> {
    let crosses = |row: &&TextRow| {
        let over = |run: &Run, x: f32| run.rect.x0 + run.size < x && x < run.rect.x1 - run.size;
        row.runs
            .iter()
            .any(|run| borders.iter().any(|x| over(run, *x)))
    };
    let crossing = rows.iter().filter(crosses).count();
    match CROSSING_ONE_OF * crossing <= rows.len() {
        true => borders.iter().map(|x| (*x, *x)).collect(),
        false => Vec::new(),
    }
}

/// Cuts runs at words that begin where the runs of other rows do: text that nearly fills its cell leaves
/// no gap before the next one.
pub(super) fn cut_at_edges(canvas: &Canvas, lines: &[Line], rows: &mut [TextRow]) {
    let mut starts: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.runs.iter().skip(1).map(|run| run.rect.x0))
        .collect();
    starts.sort_by(f32::total_cmp);
    let edges: Vec<f32> = starts
        .chunk_by(|a, b| b - a <= SAME_EDGE)
        .filter(|edge| edge.len() >= EDGE_ROWS_MIN)
        .map(|edge| edge[edge.len() / 2])
        .collect();
    let is_edge = |x: f32| edges.iter().any(|edge| (edge - x).abs() <= SAME_EDGE);
    for row in rows {
        let runs = std::mem::take(&mut row.runs);
        for run in runs {
            let words = lines
                .get(run.line)
                .and_then(|line| line.words.get(run.words.clone()));
            let words = words.unwrap_or_default();
            let mut from = run.words.start;
            for (at, pair) in (run.words.start + 1..).zip(words.windows(2)) {
                let gap = pair[1].rect.x0 - pair[0].rect.x1;
                // Words of a sentence that begin there by chance are as far apart as all words.
                let is_apart = gap > WORDS_APART * pair[1].size
                    || gap > GAP_AT_EDGE * pair[1].size
                        && (pair[1].size - pair[0].size).abs() > 0.3;
                if is_edge(pair[1].rect.x0) && is_apart {
                    row.runs.extend(Run::of(canvas, lines, run.line, from..at));
                    from = at;
                }
            }
            row.runs
                .extend(Run::of(canvas, lines, run.line, from..run.words.end));
        }
    }
}

/// The gaps between the columns that most rows share, from left to right. Where lines show that there is
/// a table, `is_ruled`, cells that begin at one place are enough.
pub(super) fn gutters(rows: &[TextRow], is_ruled: bool) -> Vec<(f32, f32)> {
    let most = rows.iter().map(|row| row.runs.len()).max().unwrap_or(0);
    let body: Vec<&TextRow> = rows
        .iter()
        .filter(|row| row.runs.len() >= 2 && 2 * row.runs.len() >= most)
        .collect();
    let mut counts: Vec<usize> = body.iter().map(|row| row.runs.len()).collect();
    counts.sort_unstable();
    let usual = counts.get(counts.len() / 2).copied().unwrap_or(0);
    let mut best: Vec<(f32, f32)> = Vec::new();
    for crossing in 0..=(body.len() / CROSSING_ONE_OF).min(CROSSING_MAX) {
        let found = gaps(&body, crossing, is_ruled);
        if found.len() > best.len() {
            best = found;
        }
        if best.len() + 1 >= usual {
            break;
        }
    }
    best
}

/// The gaps that all rows but `crossing` leave free.
fn gaps(rows: &[&TextRow], crossing: usize, is_ruled: bool) -> Vec<(f32, f32)> {
    let mut ends: Vec<(f32, i32)> = Vec::new();
    for row in rows {
        let mut covered = f32::NEG_INFINITY;
        for run in &row.runs {
            let from = run.rect.x0.max(covered);
            if run.rect.x1 > from {
                ends.extend([(from, 1), (run.rect.x1, -1)]);
                covered = run.rect.x1;
            }
        }
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let Some((first, last)) = ends.first().zip(ends.last()) else {
        return Vec::new();
    };
    let (left, right) = (first.0, last.0);
    let size = rows
        .iter()
        .map(|row| row.size)
        .reduce(f32::max)
        .unwrap_or(10.0);
    let narrowest = match rows.len() >= MANY_ROWS {
        true => GAP_OF_CELLS,
        false => GAP_OF_FEW_ROWS,
    };
    let (mut depth, mut open) = (0_i32, None);
    let mut gaps = Vec::new();
    for (x, step) in ends {
        depth += step;
        let is_free = depth <= i32::try_from(crossing).unwrap_or(i32::MAX);
        match open {
            None if is_free => open = Some(x),
            Some(from) if !is_free => {
                let narrowest = if is_ruled && begins_at(rows, x) {
                    GAP_AT_EDGE
                } else {
                    narrowest
                };
                if x - from >= narrowest * size && from > left && x < right {
                    gaps.push((from, x));
                }
                open = None;
            }
            _ => {}
        }
    }
    gaps
}

/// Whether most rows begin a cell at a place.
fn begins_at(rows: &[&TextRow], x: f32) -> bool {
    let begins = rows.iter().filter(|row| {
        let mut inner = row.runs.iter().skip(1);
        inner.any(|run| (run.rect.x0 - x).abs() <= SAME_EDGE)
    });
    let begins = begins.count();
    begins >= EDGE_ROWS_MIN && 2 * begins >= rows.len()
}

/// A row of text with its runs in columns.
#[derive(Clone, Debug)]
pub(super) struct CellRow {
    /// The runs of every column; what spans columns is in the first of them.
    pub(super) cells: Vec<Vec<Run>>,
    /// The first and the last column of what spans columns.
    pub(super) spans: Vec<(usize, usize)>,
    /// What it stands on.
    pub(super) baseline: f32,
    /// Font size.
    pub(super) size: f32,
    /// Where.
    pub(super) rect: Rect,
}

impl CellRow {
    /// Columns with text.
    pub(super) fn filled(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.is_empty()).count()
    }
}

/// Puts the runs of rows of text into columns.
pub(super) fn in_columns(
    canvas: &Canvas,
    lines: &[Line],
    rows: &[TextRow],
    gutters: &[(f32, f32)],
) -> Vec<CellRow> {
    let borders: Vec<f32> = gutters
        .iter()
        .map(|(from, to)| f32::midpoint(*from, *to))
        .collect();
    let column_of = |x: f32| borders.partition_point(|border| *border <= x);
    let rows = rows.iter().map(|row| {
        let mut cells = vec![Vec::new(); borders.len() + 1];
        let mut spans = Vec::new();
        for run in &row.runs {
            for part in parts(canvas, lines, run, gutters, &column_of) {
                let column = column_of(part.rect.x0 + 0.1 * part.size);
                let last = column_of(part.rect.x1 - 0.1 * part.size);
                if last > column {
                    spans.push((column, last));
                }
                cells[column].push(part);
            }
        }
        CellRow {
            cells,
            spans,
            baseline: row.baseline,
            size: row.size,
            rect: row.rect,
        }
    });
    rows.collect()
}

/// A run, cut where a gap between its words falls on the border of a column.
fn parts(
    canvas: &Canvas,
    lines: &[Line],
    run: &Run,
    gutters: &[(f32, f32)],
    column_of: &impl Fn(f32) -> usize,
) -> Vec<Run> {
    let words = lines
        .get(run.line)
        .and_then(|line| line.words.get(run.words.clone()));
    let words = words.unwrap_or_default();
    let mut parts = Vec::new();
    let mut from = run.words.start;
    for (at, pair) in (run.words.start + 1..).zip(words.windows(2)) {
        let [left, right] = pair else {
            continue;
        };
        let is_border = column_of(left.rect.middle_x()) != column_of(right.rect.middle_x());
        let gap = right.rect.x0 - left.rect.x1;
        let is_drawn = gutters.iter().any(|(from, to)| {
            from == to && (left.rect.x1 - 0.5..right.rect.x0 + 0.5).contains(from)
        });
        let least = if is_drawn { GAP_AT_EDGE } else { GAP_OF_WORDS };
        if is_border && gap > least * right.size {
            parts.extend(Run::of(canvas, lines, run.line, from..at));
            from = at;
        }
    }
    parts.extend(Run::of(canvas, lines, run.line, from..run.words.end));
    parts
}

/// Makes one column of two neighbours of which no row has both: a head that stands in the middle of its
/// column beside short texts at the left.
pub(super) fn merge_exclusive(rows: &mut [CellRow], gutters: &mut Vec<(f32, f32)>) {
    for left in (0..gutters.len()).rev() {
        let right = left + 1;
        let both = rows
            .iter()
            .any(|row| !row.cells[left].is_empty() && !row.cells[right].is_empty());
        let (from, to) = gutters[left];
        if both || from == to {
            continue;
        }
        gutters.remove(left);
        for row in rows.iter_mut() {
            let moved = row.cells.remove(right);
            row.cells[left].extend(moved);
            for (from, to) in &mut row.spans {
                *from -= usize::from(*from > left);
                *to -= usize::from(*to > left);
            }
            row.spans.retain(|(from, to)| to > from);
        }
    }
}
