//! The columns of a page as its sentences show them: a table stands in one of them or over all.

use crate::geometry::Rect;
use crate::layout::text::Line;

use super::canvas::Canvas;
use super::columns::TextRow;

/// Characters of a line that is part of a paragraph.
const SENTENCE_CHARS: usize = 28;
/// Lines that begin at one place and make a column.
const LINES_MIN: usize = 4;
/// Lines begin at one place if they are this near, in ems: indented ones are of the same column.
const INDENT: f32 = 2.5;
/// Columns of a page that are kept.
const BANDS_MAX: usize = 8;

/// A column of the page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Band {
    /// Where it begins.
    pub(super) from: f32,
    /// Where it ends.
    pub(super) to: f32,
    /// Lines of paragraphs in columns of the page, which end a table over all of them.
    walls: Vec<Rect>,
}

impl Band {
    /// How wide it is.
    pub(super) fn width(&self) -> f32 {
        self.to - self.from
    }

    /// Whether a line stands in it.
    pub(super) fn holds(&self, rect: &Rect) -> bool {
        rect.middle_x() >= self.from && rect.middle_x() <= self.to
    }

    /// Whether a row of text is beside or part of a paragraph.
    pub(super) fn is_wall(&self, row: &TextRow) -> bool {
        let at = self
            .walls
            .partition_point(|wall| wall.y0 < row.rect.middle_y());
        let near = self.walls.get(at.saturating_sub(4)..at).unwrap_or_default();
        near.iter().any(|wall| wall.y1 > row.rect.middle_y())
    }
}

/// Lines of paragraphs that begin at one place.
#[derive(Clone, Copy, Debug)]
struct Column {
    from: f32,
    to: f32,
    lines: usize,
}

/// The whole page, then its columns if it has several.
pub(super) fn of_page(canvas: &Canvas, lines: &[Line]) -> Vec<Band> {
    let sentences: Vec<&Line> = lines
        .iter()
        .filter(|line| line.turn == canvas.turn && line.chars() >= SENTENCE_CHARS)
        .collect();
    let columns = columns(&sentences);
    let mut bands = vec![Band {
        from: 0.0,
        to: canvas.width(),
        walls: Vec::new(),
    }];
    if columns.len() < 2 {
        return bands;
    }
    let mut walls: Vec<Rect> = sentences.iter().map(|line| line.rect).collect();
    walls.sort_by(|a, b| a.y0.total_cmp(&b.y0));
    bands[0].walls = walls;
    for (n, column) in columns.iter().enumerate() {
        let left = n.checked_sub(1).and_then(|left| columns.get(left));
        let right = columns.get(n + 1);
        bands.push(Band {
            from: left.map_or(0.0, |left| f32::midpoint(left.to, column.from)),
            to: right.map_or(canvas.width(), |right| f32::midpoint(column.to, right.from)),
            walls: Vec::new(),
        });
    }
    bands
}

/// Columns that do not overlap, from left to right.
fn columns(sentences: &[&Line]) -> Vec<Column> {
    let mut by_left: Vec<&Rect> = sentences.iter().map(|line| &line.rect).collect();
    by_left.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    let em = sentences
        .iter()
        .map(|line| line.size)
        .reduce(f32::min)
        .unwrap_or(10.0);
    let mut groups: Vec<Vec<&Rect>> = Vec::new();
    for rect in by_left {
        match groups.last_mut() {
            Some(group) if rect.x0 - group[0].x0 <= INDENT * em => group.push(rect),
            _ => groups.push(vec![rect]),
        }
    }
    let mut found: Vec<Column> = groups
        .into_iter()
        .filter(|group| group.len() >= LINES_MIN)
        .map(|group| {
            // A few lines run over the whole page: most tell where the column ends.
            let mut ends: Vec<f32> = group.iter().map(|rect| rect.x1).collect();
            ends.sort_by(f32::total_cmp);
            Column {
                from: group[0].x0,
                to: ends[(ends.len() - 1) * 3 / 4],
                lines: group.len(),
            }
        })
        .collect();
    // Of columns that overlap the one with more lines counts.
    found.sort_by(|a, b| b.lines.cmp(&a.lines).then(a.from.total_cmp(&b.from)));
    let mut columns: Vec<Column> = Vec::new();
    for column in found {
        if columns.len() < BANDS_MAX
            && columns
                .iter()
                .all(|c| c.to <= column.from || column.to <= c.from)
        {
            columns.push(column);
        }
    }
    columns.sort_by(|a, b| a.from.total_cmp(&b.from));
    columns
}
