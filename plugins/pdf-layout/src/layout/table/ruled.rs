//! Tables with lines from left to right only: above, below and under the head, or under every row.
//!
//! Invariant: what lies between two lines is looked at once for every family of lines of one width.

use crate::geometry::Rect;
use crate::layout::text::Line;

use super::canvas::Canvas;
use super::columns::{self, CellRow, TextRow};
use super::fill::{Draft, Run};
use super::segment::{self, Segment};
use super::{looks, rows};

/// Lines whose ends are this near to each other, in points, are of one table.
const SAME_END: f32 = 5.0;
/// A line in pieces, one a column, has gaps of at most this many points.
const PIECES: f32 = 10.0;
/// A shorter line, in points, is no line of a table.
const LENGTH_MIN: f32 = 60.0;
/// A filled box of less height, in points, holds no text.
const FILL_MIN: f32 = 6.0;
/// Text of this part of the width without a gap is a sentence.
const SENTENCE: f32 = 0.62;
/// Words of a line of justified text are nearer to each other than this, in ems, and it is this long.
const JUSTIFIED: f32 = 0.85;
const SENTENCE_CHARS: usize = 50;
/// A sentence that begins farther to the right than this part of the width stands in a column.
const FIRST: f32 = 0.12;
/// An empty space of this many points is between tables.
const EMPTY_MAX: f32 = 40.0;
/// Lines with nothing between them that a table does not have.
const CHART_LINES_MIN: usize = 3;
/// At most one row of this many, or of this many rows in all, holds text that spans columns.
const SPANNING_ONE_OF: usize = 2;
const SPANNING_ROWS: usize = 5;
/// Characters of a cell on average above which a table is articles, unless it has many rows or a head.
const ARTICLE_CHARS: usize = 110;
/// Lines between columns; a table has fewer columns.
const BORDERS_MAX: usize = 100;
/// Families of lines of a page; a page with more is a drawing.
const FAMILIES_MAX: usize = 100;
/// Of a table at least this part of the cells has text.
const FILLED_MIN: f32 = 0.35;
/// Of ten rows this many have text in two columns.
const PAIRED_OF_TEN_MIN: usize = 4;
/// Of a table at least this part of the cells is aligned with others of its column.
const ALIGNED_MIN: f32 = 0.6;

/// Lines of one width, from top to bottom.
#[derive(Debug)]
struct Family {
    from: f32,
    to: f32,
    places: Vec<f32>,
}

/// What lies between two lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slab {
    /// Rows of text with gaps.
    Rows,
    /// One text a row.
    Single,
    /// Nothing, and low.
    Empty,
    /// Sentences, or nothing at all over a wide space.
    Other,
}

/// The tables between lines, where no other table is.
pub(super) fn drafts(
    canvas: &Canvas,
    down: &[Segment],
    lines: &[Line],
    taken: &[Rect],
) -> Vec<Draft> {
    let mut pieces: Vec<Segment> = canvas.across.iter().map(segment::across).collect();
    for fill in canvas.fills.iter().filter(|fill| fill.height() >= FILL_MIN) {
        let edges = [fill.y0, fill.y1];
        pieces.extend(edges.map(|at| Segment {
            at,
            from: fill.x0,
            to: fill.x1,
        }));
    }
    let rules: Vec<Segment> = segment::joined_over(pieces, PIECES)
        .into_iter()
        .filter(|rule| rule.length() >= LENGTH_MIN)
        .filter(|rule| !taken.iter().any(|rect| lies_in(rule, rect)))
        .collect();
    let mut drafts: Vec<Draft> = Vec::new();
    for family in families(&rules) {
        for draft in of_family(&family, &rules, down, canvas, lines) {
            let is_free = |other: &Rect| {
                draft.rect.overlap_x(other) < 1.0 || draft.rect.overlap_y(other) < 1.0
            };
            if taken.iter().all(is_free) && drafts.iter().all(|other| is_free(&other.rect)) {
                drafts.push(draft);
            }
        }
    }
    drafts
}

fn lies_in(rule: &Segment, rect: &Rect) -> bool {
    let rect = rect.grown(SAME_END);
    (rect.y0..=rect.y1).contains(&rule.at) && rule.from >= rect.x0 && rule.to <= rect.x1
}

/// Rules of one width; the widest families first, so that a line under a head does not win over the
/// lines around the table.
fn families(rules: &[Segment]) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for rule in rules {
        let same = families.iter_mut().find(|family| {
            (family.from - rule.from).abs() <= SAME_END && (family.to - rule.to).abs() <= SAME_END
        });
        match same {
            Some(family) => family.places.push(rule.at),
            None => families.push(Family {
                from: rule.from,
                to: rule.to,
                places: vec![rule.at],
            }),
        }
    }
    families.retain(|family| family.places.len() >= 2);
    families.sort_by(|a, b| (b.to - b.from).total_cmp(&(a.to - a.from)));
    families.truncate(FAMILIES_MAX);
    families
}

fn of_family(
    family: &Family,
    rules: &[Segment],
    down: &[Segment],
    canvas: &Canvas,
    lines: &[Line],
) -> Vec<Draft> {
    let ends = family.places.first().zip(family.places.last());
    let Some((top, bottom)) = ends else {
        return Vec::new();
    };
    let region = Rect::of_corners(family.from - SAME_END, *top, family.to + SAME_END, *bottom);
    let rows = columns::text_rows(canvas, lines, |line| {
        let rect = &line.rect;
        region.contains(
            rect.middle_x().min(region.x1),
            line.baseline - 0.3 * line.size,
        ) && rect.x0 >= region.x0
            && rect.x0 < region.x1
    });
    let slab_of = |row: &TextRow| {
        family
            .places
            .partition_point(|place| *place <= row.baseline - 0.3 * row.size)
    };
    let mut slabs: Vec<Vec<TextRow>> = vec![Vec::new(); family.places.len() - 1];
    for row in rows {
        let slab = slab_of(&row).clamp(1, slabs.len()) - 1;
        slabs[slab].push(row);
    }
    let kinds: Vec<Slab> = slabs
        .iter()
        .zip(family.places.windows(2))
        .map(|(rows, ends)| kind(rows, ends[1] - ends[0], family))
        .collect();
    let mut drafts = Vec::new();
    let mut from = 0;
    for at in 0..=kinds.len() {
        if kinds.get(at).is_none_or(|kind| *kind == Slab::Other) {
            drafts.extend(of_slabs(
                &slabs[from..at],
                &kinds[from..at],
                rules,
                down,
                canvas,
                lines,
            ));
            from = at + 1;
        }
    }
    drafts
}

fn kind(rows: &[TextRow], height: f32, family: &Family) -> Slab {
    let width = family.to - family.from;
    let sentences = rows.iter().filter(|row| {
        let is_long = |run: &Run| {
            run.rect.width() > SENTENCE * width && run.rect.x0 < family.from + FIRST * width
        };
        row.runs.iter().any(is_long) || is_justified(row, family)
    });
    let sentences = sentences.count();
    if rows.is_empty() {
        return if height <= EMPTY_MAX {
            Slab::Empty
        } else {
            Slab::Other
        };
    }
    if sentences >= 2 && 5 * sentences > 2 * rows.len() {
        return Slab::Other;
    }
    match rows.iter().any(|row| row.runs.len() > 1) {
        true => Slab::Rows,
        false => Slab::Single,
    }
}

/// Whether a row of text fills the width with words, wide gaps of justified text among them.
fn is_justified(row: &TextRow, family: &Family) -> bool {
    let width = family.to - family.from;
    let pairs = row.runs.iter().zip(row.runs.iter().skip(1));
    let mut gaps = pairs.map(|(left, right)| right.rect.x0 - left.rect.x1);
    let chars: usize = row.runs.iter().map(|run| run.chars).sum();
    row.rect.x0 < family.from + FIRST * width
        && row.rect.width() > SENTENCE * width
        && gaps.all(|gap| gap < JUSTIFIED * row.size)
        && chars >= SENTENCE_CHARS
}

/// The table of slabs that follow each other; a title above and a note below are not part of it.
fn of_slabs(
    slabs: &[Vec<TextRow>],
    kinds: &[Slab],
    rules: &[Segment],
    down: &[Segment],
    canvas: &Canvas,
    lines: &[Line],
) -> Option<Draft> {
    // Many lines and little text between them: the grid of a chart.
    let empty = kinds.iter().filter(|kind| **kind == Slab::Empty).count();
    if 2 * empty > kinds.len() && empty >= CHART_LINES_MIN {
        return None;
    }
    let first = kinds.iter().position(|kind| *kind == Slab::Rows)?;
    let last = kinds.iter().rposition(|kind| *kind == Slab::Rows)?;
    let mut rows: Vec<TextRow> = slabs.get(first..=last)?.iter().flatten().cloned().collect();
    columns::cut_at_edges(canvas, lines, &mut rows);
    let rect = Rect::around(rows.iter().map(|row| &row.rect))?;
    let borders = borders(down, &rect);
    let mut gutters = columns::gutters(&rows, true);
    let drawn = columns::drawn_gutters(&rows, &borders);
    if drawn.len() >= gutters.len() {
        gutters = drawn;
    }
    let between = rules.iter().filter(|rule| {
        rule.at > rect.y0 && rule.at < rect.y1 && rule.from < rect.x1 && rule.to > rect.x0
    });
    let places: Vec<f32> = between.map(|rule| rule.at).collect();
    let mut cells = columns::in_columns(canvas, lines, &rows, &gutters);
    columns::merge_exclusive(&mut cells, &mut gutters);
    // Labels of a drawing run over each other's columns.
    let crossing = cells.iter().filter(|row| !row.spans.is_empty()).count();
    if SPANNING_ONE_OF * crossing > cells.len().max(SPANNING_ROWS) {
        return None;
    }
    let mut logical = rows::logical_rows(cells, &places, lines);
    // A title above and notes below are no rows.
    while logical.last().is_some_and(|row| is_title(row)) {
        logical.pop();
    }
    let first = logical.iter().position(|row| !is_title(row))?;
    logical.drain(..first);
    let mut draft = rows::draft(logical, &gutters)?;
    draft.drop_empty();
    is_table(&draft, lines).then_some(draft)
}

/// Lines between columns, as a head may have: they begin or end at one height.
fn borders(down: &[Segment], rect: &Rect) -> Vec<f32> {
    let inner = down.iter().filter(|line| {
        let is_inside = line.at > rect.x0 + SAME_END && line.at < rect.x1 - SAME_END;
        is_inside && line.to.min(rect.y1) - line.from.max(rect.y0) > SAME_END
    });
    let inner: Vec<&Segment> = inner.collect();
    let shared = |end: fn(&Segment) -> f32| {
        let of = |a: &Segment| {
            inner
                .iter()
                .filter(|b| (end(a) - end(b)).abs() <= SAME_END)
                .count()
        };
        inner
            .iter()
            .take(BORDERS_MAX)
            .map(|line| of(line))
            .max()
            .unwrap_or(0)
    };
    let most = shared(|line| line.from).max(shared(|line| line.to));
    if inner.len() > BORDERS_MAX || 10 * most < 7 * inner.len() {
        return Vec::new();
    }
    segment::borders(inner.iter().map(|line| line.at).collect(), SAME_END)
}

/// Whether a row holds one text, which spans columns or is the only one.
fn is_title(row: &[CellRow]) -> bool {
    let is_first = |row: &CellRow| row.cells.first().is_some_and(|cell| !cell.is_empty());
    let others = row
        .iter()
        .flat_map(|row| row.cells.iter().skip(1))
        .flatten();
    others.count() == 0 && row.iter().any(|row| is_first(row) && !row.spans.is_empty())
}

fn is_table(draft: &Draft, lines: &[Line]) -> bool {
    let (rows, columns) = (draft.rows.len(), draft.columns());
    let filled = draft.filled() as f32;
    rows >= 2
        && columns >= 2
        && filled >= FILLED_MIN * (rows * columns) as f32
        && looks::paired_of_ten(draft) >= PAIRED_OF_TEN_MIN
        && looks::alignment(draft) >= ALIGNED_MIN
        && (looks::has_figures(draft, lines) || !looks::is_column_major(draft))
        && !looks::is_prose(draft, lines)
        && !looks::is_articles(draft, ARTICLE_CHARS)
        && !looks::is_code(draft, lines)
        && !looks::is_list(draft, lines)
}
