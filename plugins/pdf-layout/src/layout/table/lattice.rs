//! Tables whose cells are drawn: lines that cross make a grid; where an inner line is missing a cell spans.
//!
//! Invariant: the cells of a grid cover it without overlap.

use crate::geometry::Rect;

use super::segment::{self, SNAP, Segment};

/// Grids of a page; a page with more is a drawing.
const GRIDS_MAX: usize = 200;
/// Rows or columns of a grid; one with more is squared paper.
const LINES_MAX: usize = 400;
/// Borders nearer than this, in points, have no text between them.
const CELL_MIN: f32 = 4.0;
/// A line along this part of the side of a cell is its border.
const BORDER_COVERED: f32 = 0.5;

/// A grid of lines that cross.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Grid {
    /// Column borders, from left to right.
    pub(super) xs: Vec<f32>,
    /// Row borders, from top to bottom.
    pub(super) ys: Vec<f32>,
    /// Its cells, from top to bottom, then from left to right.
    pub(super) cells: Vec<GridCell>,
    /// Which cell each square of the grid belongs to, row by row.
    owners: Vec<usize>,
}

/// A cell of a grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct GridCell {
    /// Its first row.
    pub(super) row: usize,
    /// Its first column.
    pub(super) column: usize,
    /// Where.
    pub(super) rect: Rect,
}

impl Grid {
    /// Rows.
    pub(super) fn rows(&self) -> usize {
        self.ys.len().saturating_sub(1)
    }

    /// Columns.
    pub(super) fn columns(&self) -> usize {
        self.xs.len().saturating_sub(1)
    }

    /// The box around it.
    pub(super) fn rect(&self) -> Rect {
        let ends = |places: &[f32]| Some((*places.first()?, *places.last()?));
        let (x0, x1) = ends(&self.xs).unwrap_or_default();
        let (y0, y1) = ends(&self.ys).unwrap_or_default();
        Rect::of_corners(x0, y0, x1, y1)
    }

    /// The cell at a point.
    pub(super) fn cell_at(&self, x: f32, y: f32) -> Option<usize> {
        let column = self
            .xs
            .partition_point(|border| *border <= x)
            .checked_sub(1)?;
        let row = self
            .ys
            .partition_point(|border| *border <= y)
            .checked_sub(1)?;
        if column >= self.columns() || row >= self.rows() {
            return None;
        }
        self.owners.get(row * self.columns() + column).copied()
    }

    fn of_lines(across: &[Segment], down: &[Segment]) -> Option<Self> {
        let ends = |lines: &[Segment]| {
            let from = lines.iter().map(|line| line.from).reduce(f32::min);
            let to = lines.iter().map(|line| line.to).reduce(f32::max);
            from.into_iter().chain(to)
        };
        // Outer lines may be missing: the ends of the lines that cross them stand for them.
        let xs = down.iter().map(|line| line.at).chain(ends(across));
        let ys = across.iter().map(|line| line.at).chain(ends(down));
        let xs = segment::borders(xs.collect(), CELL_MIN);
        let ys = segment::borders(ys.collect(), CELL_MIN);
        if xs.len() < 2 || ys.len() < 2 || xs.len() > LINES_MAX || ys.len() > LINES_MAX {
            return None;
        }
        let mut grid = Self {
            xs,
            ys,
            ..Self::default()
        };
        grid.find_cells(across, down);
        grid.drop_unused();
        Some(grid)
    }

    /// Joins the squares between which no line runs.
    fn find_cells(&mut self, across: &[Segment], down: &[Segment]) {
        let (rows, columns) = (self.rows(), self.columns());
        let below = covered(&self.ys, &self.xs, across);
        let right = covered(&self.xs, &self.ys, down);
        let mut sets = Sets::new(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                let square = row * columns + column;
                if column + 1 < columns && !right[(column + 1) * rows + row] {
                    sets.join(square, square + 1);
                }
                if row + 1 < rows && !below[(row + 1) * columns + column] {
                    sets.join(square, square + columns);
                }
            }
        }
        let sets: Vec<usize> = (0..rows * columns)
            .map(|square| sets.root(square))
            .collect();
        self.cells_of_sets(&sets);
    }

    /// Makes every set of squares that is a box a cell, and every square of another one.
    fn cells_of_sets(&mut self, sets: &[usize]) {
        let (rows, columns) = (self.rows(), self.columns());
        let mut boxes: Vec<Option<[usize; 5]>> = vec![None; sets.len()];
        for (square, set) in sets.iter().enumerate() {
            let (row, column) = (square / columns, square % columns);
            let [top, left, bottom, right, count] =
                boxes[*set].get_or_insert([row, column, row, column, 0]);
            *top = row.min(*top);
            *left = column.min(*left);
            *bottom = row.max(*bottom);
            *right = column.max(*right);
            *count += 1;
        }
        self.owners = vec![usize::MAX; rows * columns];
        for square in 0..rows * columns {
            if self.owners[square] != usize::MAX {
                continue;
            }
            let (row, column) = (square / columns, square % columns);
            let whole = boxes[sets[square]].filter(|[top, left, bottom, right, count]| {
                (bottom - top + 1) * (right - left + 1) == *count
            });
            let [_, _, bottom, right, _] = whole.unwrap_or([row, column, row, column, 1]);
            for row in row..=bottom {
                for column in column..=right {
                    self.owners[row * columns + column] = self.cells.len();
                }
            }
            self.cells.push(GridCell {
                row,
                column,
                rect: Rect::of_corners(
                    self.xs[column],
                    self.ys[row],
                    self.xs[right + 1],
                    self.ys[bottom + 1],
                ),
            });
        }
    }

    /// Takes out rows and columns in which no cell begins: every cell there spans them.
    fn drop_unused(&mut self) {
        let (rows, columns) = (self.rows(), self.columns());
        let begins = |count: usize, of: fn(&GridCell) -> usize| {
            let mut begins = vec![false; count];
            for cell in &self.cells {
                begins[of(cell)] = true;
            }
            begins
        };
        let row_begins = begins(rows, |cell| cell.row);
        let column_begins = begins(columns, |cell| cell.column);
        let owners: Vec<usize> = (0..rows * columns)
            .filter(|square| row_begins[square / columns] && column_begins[square % columns])
            .map(|square| self.owners[square])
            .collect();
        let renumber = |begins: &[bool]| -> Vec<usize> {
            let mut next = 0;
            let number = |begins: &bool| {
                next += usize::from(*begins);
                next.saturating_sub(1)
            };
            begins.iter().map(number).collect()
        };
        let (row_numbers, column_numbers) = (renumber(&row_begins), renumber(&column_begins));
        for cell in &mut self.cells {
            cell.row = row_numbers[cell.row];
            cell.column = column_numbers[cell.column];
        }
        let keep = |places: &[f32], begins: &[bool]| -> Vec<f32> {
            let kept = places.iter().zip(begins.iter().chain([&true]));
            kept.filter(|(_, keep)| **keep).map(|(at, _)| *at).collect()
        };
        self.xs = keep(&self.xs, &column_begins);
        self.ys = keep(&self.ys, &row_begins);
        self.owners = owners;
    }
}

/// For every border and every interval between the borders that cross it, whether a line runs there.
fn covered(borders: &[f32], crossing: &[f32], lines: &[Segment]) -> Vec<bool> {
    let intervals = crossing.len() - 1;
    let mut lengths = vec![0.0_f32; borders.len() * intervals];
    for line in lines {
        let nearest = (0..borders.len()).min_by(|a, b| {
            (borders[*a] - line.at)
                .abs()
                .total_cmp(&(borders[*b] - line.at).abs())
        });
        let Some(border) = nearest else {
            continue;
        };
        for interval in 0..intervals {
            let (from, to) = (crossing[interval], crossing[interval + 1]);
            let shared = line.to.min(to) - line.from.max(from);
            lengths[border * intervals + interval] += shared.max(0.0) / (to - from).max(0.1);
        }
    }
    lengths
        .iter()
        .map(|share| *share >= BORDER_COVERED)
        .collect()
}

/// Sets of numbers that can be joined.
#[derive(Debug)]
struct Sets(Vec<usize>);

impl Sets {
    fn new(count: usize) -> Self {
        Self((0..count).collect())
    }

    fn root(&mut self, mut of: usize) -> usize {
        while self.0[of] != of {
            self.0[of] = self.0[self.0[of]];
            of = self.0[of];
        }
        of
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        // The smaller number stays, so that the result does not hang on the order of joining.
        self.0[a.max(b)] = a.min(b);
    }
}

/// The grids that lines from left to right and lines from top to bottom make, from top to bottom.
pub(super) fn grids(across: &[Segment], down: &[Segment]) -> Vec<Grid> {
    let mut sets = Sets::new(across.len() + down.len());
    for (a, line) in across.iter().enumerate() {
        for (d, crossing) in down.iter().enumerate() {
            if meets(line, crossing) && meets(crossing, line) {
                sets.join(a, across.len() + d);
            }
        }
    }
    let mut groups: std::collections::BTreeMap<usize, (Vec<Segment>, Vec<Segment>)> =
        std::collections::BTreeMap::new();
    for (a, line) in across.iter().enumerate() {
        groups.entry(sets.root(a)).or_default().0.push(*line);
    }
    for (d, line) in down.iter().enumerate() {
        let root = sets.root(across.len() + d);
        groups.entry(root).or_default().1.push(*line);
    }
    let groups = groups.into_values();
    groups
        .filter(|(across, down)| across.len() + down.len() >= 5 && !down.is_empty())
        .filter(|(across, _)| across.len() >= 2)
        .take(GRIDS_MAX)
        .filter_map(|(across, down)| Grid::of_lines(&across, &down))
        .collect()
}

/// Whether a line reaches the place of another.
fn meets(line: &Segment, other: &Segment) -> bool {
    line.from - SNAP <= other.at && other.at <= line.to + SNAP
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(at: f32, from: f32, to: f32) -> Segment {
        Segment { at, from, to }
    }

    #[test]
    fn a_missing_inner_line_is_a_span() {
        let across = [
            segment(0.0, 0.0, 300.0),
            segment(20.0, 0.0, 300.0),
            segment(40.0, 0.0, 300.0),
        ];
        let down = [
            segment(0.0, 0.0, 40.0),
            segment(100.0, 0.0, 40.0),
            segment(200.0, 20.0, 40.0),
            segment(300.0, 0.0, 40.0),
        ];
        let grids = grids(&across, &down);
        assert_eq!(grids.len(), 1);
        let places: Vec<(usize, usize)> = grids[0]
            .cells
            .iter()
            .map(|cell| (cell.row, cell.column))
            .collect();
        assert_eq!(places, [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)]);
        assert_eq!(grids[0].cell_at(250.0, 10.0), Some(1));
        assert_eq!(grids[0].cell_at(250.0, 30.0), Some(4));
        assert_eq!(grids[0].cell_at(350.0, 30.0), None);
    }

    #[test]
    fn missing_outer_lines_are_where_the_others_end() {
        let across = [
            segment(0.0, 0.0, 300.0),
            segment(20.0, 0.0, 300.0),
            segment(40.0, 0.0, 300.0),
        ];
        let down = [segment(100.0, 0.0, 40.0), segment(200.0, 0.0, 40.0)];
        let grids = grids(&across, &down);
        assert_eq!((grids[0].rows(), grids[0].columns()), (2, 3));
    }

    #[test]
    fn lines_that_do_not_meet_are_different_grids() {
        let square = |at: f32| {
            let across = [0.0, 10.0, 20.0].map(|y| segment(at + y, at, at + 20.0));
            let down = [0.0, 10.0, 20.0].map(|x| segment(at + x, at, at + 20.0));
            (across, down)
        };
        let (first, second) = (square(0.0), square(100.0));
        let across = [first.0, second.0].concat();
        let down = [first.1, second.1].concat();
        assert_eq!(grids(&across, &down).len(), 2);
    }
}
