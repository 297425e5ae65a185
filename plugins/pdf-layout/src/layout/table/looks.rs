//! What has columns and is no table: code, lists, contents.

use crate::geometry::Rect;
use crate::layout::text::Line;

use super::fill::{Draft, Run};
use super::rows::is_figure;

/// Fewer rows of sentences may be a table.
const PROSE_ROWS_MIN: usize = 4;
/// Characters of a line of a sentence in a narrow column.
const PROSE_CHARS_MIN: usize = 22;
/// Characters are of one width if their average width in words differs by less, as a share.
const SAME_WIDTH: f32 = 0.015;
/// Words that tell whether their characters are of one width.
const EVEN_WORDS_MIN: usize = 5;
/// Characters of an item of a list on average.
const ITEM_CHARS_MIN: usize = 24;
/// Characters of a cell above which it is a text of its own.
const TEXT_CHARS: usize = 60;
/// Sizes that differ by less, as a share, are the same; words of code in a cell are a little smaller.
const SIZE_TOLERANCE: f32 = 0.22;
/// Edges within this many ems of each other are aligned.
const ALIGNED: f32 = 0.5;

/// Whether most of it is set in a font whose characters are all of one width, in the first column too.
pub(super) fn is_code(draft: &Draft, lines: &[Line]) -> bool {
    let all = draft.runs().count();
    let mono = draft.runs().filter(|run| is_code_run(run, lines));
    10 * mono.count() > 9 * all || is_evenly_spaced(draft, lines)
}

/// Whether every character of its words is of one width, whatever the font says of itself.
fn is_evenly_spaced(draft: &Draft, lines: &[Line]) -> bool {
    let words = draft.runs().filter_map(|run| {
        let line = lines.get(run.line)?;
        line.words.get(run.words.clone())
    });
    let mut widths: Vec<f32> = words
        .flatten()
        .filter(|word| word.text.chars().filter(|c| c.is_alphabetic()).count() >= 3)
        .map(|word| word.rect.width() / (word.text.chars().count() as f32 * word.size.max(1.0)))
        .collect();
    widths.sort_by(f32::total_cmp);
    let middle = widths.get(widths.len() / 2).copied().unwrap_or(0.0);
    let same = widths
        .iter()
        .filter(|width| (*width - middle).abs() <= SAME_WIDTH * middle);
    widths.len() >= EVEN_WORDS_MIN && 10 * same.count() > 9 * widths.len()
}

fn is_code_run(run: &Run, lines: &[Line]) -> bool {
    let words = lines
        .get(run.line)
        .and_then(|line| line.words.get(run.words.clone()));
    words.is_some_and(|words| words.iter().all(|word| word.style.is_mono))
}

/// Whether two columns or more hold a line of a sentence in most rows: text set in columns.
pub(super) fn is_prose(draft: &Draft, lines: &[Line]) -> bool {
    if draft.rows.len() < PROSE_ROWS_MIN {
        return false;
    }
    let prose = (0..draft.columns()).filter(|column| {
        let cells = draft.rows.iter().filter_map(|row| row.get(*column));
        let filled: Vec<&Vec<Run>> = cells.filter(|cell| !cell.is_empty()).collect();
        let single = filled.iter().filter(|cell| cell.len() <= 2);
        let chars = |cell: &[Run]| cell.iter().map(|run| run.chars).sum::<usize>();
        let long = single.clone().filter(|cell| chars(cell) >= PROSE_CHARS_MIN);
        let within =
            single.filter(|cell| chars(cell) >= PROSE_CHARS_MIN / 2 && goes_on(cell, lines));
        2 * long.count() > filled.len() || 3 * within.count() > filled.len()
    });
    prose.count() >= 2
}

/// Whether a text is the middle of a sentence.
fn goes_on(cell: &[Run], lines: &[Line]) -> bool {
    text(cell, lines).starts_with(char::is_lowercase)
}

/// Whether most cells are the middle of a sentence.
pub(super) fn is_continued(draft: &Draft, lines: &[Line]) -> bool {
    let cells = draft.rows.iter().flatten().filter(|cell| !cell.is_empty());
    let continued = cells
        .clone()
        .filter(|cell| goes_on(cell, lines) && !is_code_run(&cell[0], lines));
    5 * continued.count() > 2 * cells.count()
}

/// Whether words are part of it: numbers alone are a matrix or the marks of a chart.
pub(super) fn has_words(draft: &Draft, lines: &[Line]) -> bool {
    let cells = draft.rows.iter().flatten().filter(|cell| !cell.is_empty());
    let worded = cells.clone().filter(|cell| {
        let text = text(cell, lines);
        let mut words = text.split(|c: char| !c.is_alphabetic());
        words.any(|word| word.chars().count() >= 2)
    });
    6 * worded.count() >= cells.count()
}

/// Whether its text is of one size below the head, or nearly.
pub(super) fn is_of_one_size(draft: &Draft) -> bool {
    let mut sizes: Vec<f32> = draft
        .rows
        .iter()
        .skip(1)
        .flatten()
        .flatten()
        .map(|run| run.size)
        .collect();
    sizes.sort_by(f32::total_cmp);
    let middle = sizes.get(sizes.len() / 2).copied().unwrap_or(0.0);
    let near = sizes
        .iter()
        .filter(|size| (*size / middle.max(1.0) - 1.0).abs() <= SIZE_TOLERANCE);
    5 * near.count() >= 4 * sizes.len()
}

/// Rows with text in two columns or more, of ten.
pub(super) fn paired_of_ten(draft: &Draft) -> usize {
    let filled = |row: &Vec<Vec<Run>>| row.iter().filter(|cell| !cell.is_empty()).count();
    let paired = draft.rows.iter().filter(|row| filled(row) >= 2).count();
    10 * paired / draft.rows.len().max(1)
}

/// The part of the cells that begin, end or have their middle where others of their column have.
pub(super) fn alignment(draft: &Draft) -> f32 {
    let (mut aligned, mut all) = (0, 0);
    for column in 0..draft.columns() {
        let cells = draft.rows.iter().filter_map(|row| row.get(column));
        let boxes: Vec<(Rect, f32)> = cells
            .filter_map(|cell| {
                let size = cell.first()?.size;
                Some((Rect::around(cell.iter().map(|run| &run.rect))?, size))
            })
            .collect();
        if boxes.len() < 2 {
            continue;
        }
        let edges: [fn(&Rect) -> f32; 3] = [|rect| rect.x0, |rect| rect.x1, Rect::middle_x];
        let best = edges
            .iter()
            .map(|edge| shared(boxes.iter().map(|(rect, size)| (edge(rect), *size))));
        aligned += best.max().unwrap_or(0);
        all += boxes.len();
    }
    if all == 0 {
        0.0
    } else {
        aligned as f32 / all as f32
    }
}

/// How many of these places are near the same one.
fn shared(places: impl Iterator<Item = (f32, f32)>) -> usize {
    let mut places: Vec<(f32, f32)> = places.collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut best = 0;
    let mut from = 0;
    for to in 0..places.len() {
        while places[to].0 - places[from].0 > ALIGNED * places[to].1 {
            from += 1;
        }
        best = best.max(to + 1 - from);
    }
    best
}

/// Whether the first column holds bullets only, or the first of two the marks of a list.
pub(super) fn is_list(draft: &Draft, lines: &[Line]) -> bool {
    let first = draft.rows.iter().filter_map(|row| row.first());
    let filled: Vec<String> = first
        .filter(|cell| !cell.is_empty())
        .map(|cell| cell.iter().map(|run| run.text(lines)).collect())
        .collect();
    let second = draft.rows.iter().filter_map(|row| row.get(1));
    let chars: usize = second.flatten().map(|run| run.chars).sum();
    let has_items = draft.columns() == 2 || chars > ITEM_CHARS_MIN * draft.rows.len();
    let is_mark = |text: &&String| match has_items {
        true => is_mark(text),
        false => !text.chars().any(char::is_alphanumeric) && text.chars().count() <= 2,
    };
    10 * filled.iter().filter(is_mark).count() >= 9 * filled.len()
}

/// Whether a few cells hold whole texts, of more than `chars_max` characters on average, without a head
/// above them: articles side by side.
pub(super) fn is_articles(draft: &Draft, chars_max: usize) -> bool {
    let chars = |cell: &Vec<Run>| cell.iter().map(|run| run.chars).sum::<usize>();
    let all: usize = draft.rows.iter().flatten().map(chars).sum();
    let has_head = draft.rows.first().is_some_and(|row| {
        row.iter()
            .all(|cell| !cell.is_empty() && chars(cell) <= TEXT_CHARS && cell.len() <= 3)
    });
    draft.rows.len() <= PROSE_ROWS_MIN && !has_head && all > chars_max * draft.filled().max(1)
}

/// Whether a text is a bullet or a number of an item: `•`, `3.`, `b)`, `(iv)`, `[12]`.
pub(super) fn is_mark(text: &str) -> bool {
    let text = text.trim();
    let inner = text.trim_matches(['(', ')', '[', ']', '.', ':']);
    let is_number = inner.chars().all(|c| c.is_ascii_digit() || c == '.') && inner.len() <= 6;
    let is_letter = inner.chars().count() <= 4 && inner.chars().all(char::is_alphabetic);
    let is_bullet = text.chars().count() <= 2 && !text.chars().any(char::is_alphanumeric);
    is_bullet || inner.len() < text.len() && (is_number || is_letter)
}

fn text(cell: &[Run], lines: &[Line]) -> String {
    let texts: Vec<String> = cell.iter().map(|run| run.text(lines)).collect();
    texts.join(" ")
}

/// Whether it is a printed table of contents: dots that lead to numbers, or numbers of pages that rise.
pub(super) fn is_contents(draft: &Draft, lines: &[Line]) -> bool {
    let has_leader = |row: &&Vec<Vec<Run>>| {
        let text: String = row.iter().map(|cell| text(cell, lines)).collect();
        text.contains("....") || text.contains(". . . ") || text.contains("…….")
    };
    let led = draft.rows.iter().filter(has_leader).count();
    if 3 * led >= draft.rows.len() {
        return true;
    }
    let last = draft.rows.iter().filter_map(|row| row.last());
    let pages: Vec<Option<u32>> = last.map(|cell| text(cell, lines).parse().ok()).collect();
    let numbers: Vec<u32> = pages.iter().copied().flatten().collect();
    let first = draft.rows.iter().filter_map(|row| row.first());
    let titles = first.filter(|cell| !is_figure(cell, lines)).count();
    4 * numbers.len() >= 3 * pages.len()
        && numbers.len() >= 3
        && draft.columns() == 2
        && titles * 4 >= pages.len() * 3
        && numbers.windows(2).all(|pair| pair[0] <= pair[1])
        && numbers.first() != numbers.last()
}

/// Whether it is equations with their numbers.
pub(super) fn is_equations(draft: &Draft, lines: &[Line]) -> bool {
    let last = draft.rows.iter().filter_map(|row| row.last());
    let filled: Vec<String> = last
        .filter(|cell| !cell.is_empty())
        .map(|cell| text(cell, lines))
        .collect();
    let is_number = |text: &&String| {
        let inner = text
            .strip_prefix('(')
            .and_then(|text| text.strip_suffix(')'));
        inner.is_some_and(|inner| {
            inner
                .chars()
                .all(|c| c.is_ascii_digit() || ".-".contains(c))
        })
    };
    2 * filled.iter().filter(is_number).count() > filled.len()
}

/// Whether a column holds mostly numbers.
pub(super) fn has_figures(draft: &Draft, lines: &[Line]) -> bool {
    (1..draft.columns()).any(|column| {
        let cells = draft.rows.iter().skip(1).filter_map(|row| row.get(column));
        let filled: Vec<&Vec<Run>> = cells.filter(|cell| !cell.is_empty()).collect();
        let figures = filled.iter().filter(|cell| is_figure(cell, lines)).count();
        filled.len() >= 2 && 10 * figures >= 6 * filled.len()
    })
}

/// Whether it is drawn column by column: text set in columns, not rows of a table.
pub(super) fn is_column_major(draft: &Draft) -> bool {
    let pairs = draft.rows.windows(2).flat_map(|rows| {
        let columns = rows[0].iter().skip(1).zip(&rows[1]);
        // The cell to the right, and the one below the cell to its left.
        columns.filter_map(|(right, below)| Some((right.first()?.order, below.first()?.order)))
    });
    let orders: Vec<(u32, u32)> = pairs.collect();
    let down_first = orders.iter().filter(|(right, below)| below < right).count();
    2 * down_first > orders.len()
}
