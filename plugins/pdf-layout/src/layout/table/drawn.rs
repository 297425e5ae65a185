//! The text of drawn cells, and whether a grid is a table at all: frames, charts and forms are drawn too.

use std::ops::Range;

use crate::geometry::Rect;
use crate::layout::text::{Line, Word};

use super::canvas::Canvas;
use super::fill::{Draft, Run, SAME_ROW, is_drawn_after};
use super::lattice::Grid;
use super::looks;
use super::rows::is_figure;

/// A chart has lines and few words within; of a table at least this part of the cells has text.
const FILLED_MIN: f32 = 0.3;
/// Boxes with more characters each than this hold articles.
const CELL_CHARS_MAX: usize = 600;
/// A frame of few boxes with more characters each, and no head, is the layout of a page.
const ARTICLE_CHARS: usize = 240;
/// A word that begins at least this far before a border, in ems, runs over it.
const OVERRUN_MIN: f32 = 0.35;
/// A gap of less than this many ems is one between words of a sentence.
const GAP_OF_WORDS: f32 = 0.6;
/// Lines of one cell that cover each other by this part of their height are of two cells.
const COLLISION: f32 = 0.4;
/// Rows with one text only, in each of two columns, that a table does not have.
const STAGGERED_MIN: usize = 3;
/// Rows of text in one drawn row from which on they may be rows of the table.
const STACKED_ROWS_MIN: usize = 3;
/// Drawn rows up to which their lines may be those of the head only.
const FEW_ROWS: usize = 3;
/// Characters of a cell on average up to which stacked rows are rows of the table.
const STACKED_CHARS_MAX: usize = 24;

/// The table in a grid, if it is one.
pub(super) fn draft(grid: &Grid, canvas: &Canvas, lines: &[Line]) -> Option<Draft> {
    if grid.columns() < 2 {
        return None;
    }
    let mut cells: Vec<Vec<Run>> = vec![Vec::new(); grid.cells.len()];
    let around = grid.rect();
    for (number, line) in lines.iter().enumerate() {
        let rect = canvas.place_line(line);
        if rect.overlap_x(&around) < 0.0 || rect.overlap_y(&around) < 0.0 {
            continue;
        }
        for (cell, words) in cells_of_line(grid, canvas, line) {
            cells[cell].extend(Run::of(canvas, lines, number, words));
        }
    }
    if !is_plausible(grid, &cells) {
        return None;
    }
    let mut draft = Draft {
        rect: around,
        edges: grid.xs.clone(),
        rows: vec![vec![Vec::new(); grid.columns()]; grid.rows()],
    };
    for (place, runs) in grid.cells.iter().zip(cells) {
        draft.rows[place.row][place.column] = runs;
    }
    lift_overflow(&mut draft);
    draft.drop_empty();
    unstack(&mut draft, lines);
    (!is_staggered(&draft)
        && !looks::is_articles(&draft, ARTICLE_CHARS)
        && draft.rows.len() >= 2
        && draft.columns() >= 2)
        .then_some(draft)
}

/// Runs of words of a line and the cells that they are in.
fn cells_of_line(grid: &Grid, canvas: &Canvas, line: &Line) -> Vec<(usize, Range<usize>)> {
    let mut runs: Vec<(usize, Range<usize>)> = Vec::new();
    let mut last: Option<(usize, Rect, &Word)> = None;
    let is_upright = line.turn == canvas.turn;
    for (at, word) in line.words.iter().enumerate() {
        let rect = canvas.place(word, line.turn);
        let mut cell = grid.cell_at(rect.middle_x(), rect.middle_y());
        if is_upright {
            cell = cell_of_word(grid, &rect, word).or(cell);
            // What follows a word that ran over a border belongs to it.
            if let Some((before, end, last)) = last
                && end.x1 > grid.cells[before].rect.x1
                && word.order > last.order
                && rect.x0 - end.x1 < GAP_OF_WORDS * word.size
                && rect.x0 - end.x1 > -0.2 * word.size
            {
                cell = Some(before);
            }
        }
        last = cell.map(|cell| (cell, rect, word));
        match (cell, runs.last_mut()) {
            (Some(cell), Some((open, words))) if *open == cell && words.end == at => {
                words.end = at + 1;
            }
            (Some(cell), _) => runs.push((cell, at..at + 1)),
            (None, _) => {}
        }
    }
    runs
}

/// The cell of a word: where its middle is, but of a word that runs over a border where it begins.
fn cell_of_word(grid: &Grid, rect: &Rect, word: &Word) -> Option<usize> {
    let begin = grid.cell_at(rect.x0 + OVERRUN_MIN * word.size, rect.middle_y());
    let middle = grid.cell_at(rect.middle_x(), rect.middle_y());
    begin.or(middle)
}

fn is_plausible(grid: &Grid, cells: &[Vec<Run>]) -> bool {
    // Where most rows have no lines between columns, those of the head say too little.
    let whole = grid
        .cells
        .iter()
        .filter(|cell| cell.rect.width() > 0.98 * grid.rect().width());
    if 2 * whole.count() > grid.rows() {
        return false;
    }
    let filled: Vec<usize> = (0..cells.len())
        .filter(|cell| !cells[*cell].is_empty())
        .collect();
    let chars: usize = cells.iter().flatten().map(|run| run.chars).sum();
    let places = |of: &dyn Fn(usize) -> usize| {
        let mut places: Vec<usize> = filled.iter().map(|cell| of(*cell)).collect();
        places.sort_unstable();
        places.dedup();
        places.len()
    };
    let rows = places(&|cell| grid.cells[cell].row);
    let columns = places(&|cell| grid.cells[cell].column);
    let stacks = filled
        .iter()
        .filter(|cell| cells[**cell].len() >= STACKED_ROWS_MIN);
    let has_rows = rows >= 2 || stacks.count() >= 2;
    has_rows
        && columns >= 2
        && filled.len() as f32 >= FILLED_MIN * cells.len() as f32
        && chars <= CELL_CHARS_MAX * filled.len()
}

/// Whether each row has one text, now in one column, now in the other: boxes of a drawing.
fn is_staggered(draft: &Draft) -> bool {
    let only = |column: usize| {
        let is_only = |row: &&Vec<Vec<Run>>| {
            row.iter()
                .enumerate()
                .all(|(at, cell)| cell.is_empty() != (at == column))
        };
        draft.rows.iter().filter(is_only).count()
    };
    draft.columns() == 2
        && only(0) >= STAGGERED_MIN
        && only(1) >= STAGGERED_MIN
        && 3 * (only(0) + only(1)) > 2 * draft.rows.len()
}

/// Text that is too long for its cell is drawn over the one below: it goes back to where it began.
fn lift_overflow(draft: &mut Draft) {
    for column in 0..draft.columns() {
        for row in 1..draft.rows.len() {
            let (above, below) = draft.rows.split_at_mut(row);
            let above = above
                .iter_mut()
                .rev()
                .map(|row| &mut row[column])
                .find(|cell| !cell.is_empty());
            let (Some(above), Some(cell)) = (above, below.first_mut().map(|row| &mut row[column]))
            else {
                continue;
            };
            if !collides(cell) {
                continue;
            }
            cell.sort_by_key(|run| run.order);
            while cell.len() > 1 {
                let last = above.iter().max_by_key(|run| run.order_last);
                let goes_on = last.is_some_and(|last| {
                    is_drawn_after(last, &cell[0])
                        && cell[0].baseline > last.baseline - SAME_ROW * cell[0].size
                });
                if !goes_on {
                    break;
                }
                above.push(cell.remove(0));
            }
        }
    }
}

/// Whether runs of a cell cover each other.
fn collides(cell: &[Run]) -> bool {
    cell.iter().enumerate().any(|(n, a)| {
        cell[n + 1..].iter().take(8).any(|b| {
            let height = a.rect.height().min(b.rect.height());
            a.rect.overlap_x(&b.rect) > 0.5 * a.size
                && a.rect.overlap_y(&b.rect) > COLLISION * height
        })
    })
}

/// Where only the columns are drawn, a drawn row holds many rows: they are as many as the baselines that
/// its cells share.
fn unstack(draft: &mut Draft, lines: &[Line]) {
    let is_low = draft.rows.len() <= FEW_ROWS;
    let rows = std::mem::take(&mut draft.rows);
    for row in rows {
        match stacked_baselines(&row, is_low, lines) {
            Some(baselines) => {
                let mut split = vec![vec![Vec::new(); row.len()]; baselines.len()];
                for (column, cell) in row.into_iter().enumerate() {
                    for run in cell {
                        let at = baselines
                            .partition_point(|line| *line < run.baseline - SAME_ROW * run.size);
                        split[at.min(baselines.len() - 1)][column].push(run);
                    }
                }
                draft.rows.extend(split);
            }
            None => draft.rows.push(row),
        }
    }
}

fn stacked_baselines(row: &[Vec<Run>], is_low: bool, lines: &[Line]) -> Option<Vec<f32>> {
    // Among rows that are drawn, only numbers above numbers tell that there are more.
    let is_figures = |cell: &&Vec<Run>| {
        cell.len() >= STACKED_ROWS_MIN
            && cell
                .iter()
                .all(|run| is_figure(std::slice::from_ref(run), lines))
    };
    if !is_low && row.iter().filter(is_figures).count() == 0 {
        return None;
    }
    let mut runs: Vec<&Run> = row.iter().flatten().collect();
    runs.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut baselines: Vec<f32> = Vec::new();
    for run in &runs {
        let is_new = baselines
            .last()
            .is_none_or(|last| run.baseline - last > SAME_ROW * run.size);
        if is_new {
            baselines.push(run.baseline);
        }
    }
    let chars: usize = runs.iter().map(|run| run.chars).sum();
    if baselines.len() < STACKED_ROWS_MIN || chars > STACKED_CHARS_MAX * runs.len() {
        return None;
    }
    let cells = row.iter().filter(|cell| !cell.is_empty());
    let full = cells
        .clone()
        .filter(|cell| cell.len() >= baselines.len())
        .count();
    let some = cells
        .clone()
        .filter(|cell| 2 * cell.len() > baselines.len())
        .count();
    (full >= 2 && 3 * some >= 2 * cells.count()).then_some(baselines)
}
