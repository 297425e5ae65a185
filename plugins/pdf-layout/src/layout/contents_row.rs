//! Rows of a page as a table of contents has them: a title, perhaps dots, and the number of a page.

use crate::layout::block::{BlockKind, PageBlocks, Role};
use crate::layout::text::Line;

/// Digits of the number of a page.
const DIGITS_MAX: usize = 4;
/// A number that stands this many ems behind its title is set apart from it.
const GAP_MIN: f32 = 1.0;

/// A row of a page: fragments on one line.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it says, with single spaces.
    pub text: String,
    /// What its last fragment says, and the gap before it in ems; `None` if it is the only one.
    pub last: Option<(String, f32)>,
    /// Where it begins.
    pub indent: f32,
    /// Where it ends.
    pub end: f32,
    /// The line it stands on.
    pub baseline: f32,
    /// Font size in points.
    pub size: f32,
    /// Bold.
    pub is_bold: bool,
}

/// An entry of a table of contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowEntry {
    /// Its title.
    pub title: String,
    /// The number of its page, if it is a plain one.
    pub number: Option<u32>,
    /// Dots lead to the number.
    pub has_leaders: bool,
}

/// The rows of a page from top to bottom, tables taken apart.
#[must_use]
pub fn rows_of_page(page: &PageBlocks) -> Vec<Row> {
    let mut lines: Vec<&Line> = Vec::new();
    for block in &page.blocks {
        match &block.kind {
            BlockKind::Text(text) if text.role != Role::Furniture => lines.extend(&text.lines),
            BlockKind::Table(table) => {
                let cells = table.rows.iter().flatten();
                lines.extend(cells.flat_map(|cell| &cell.lines));
            }
            _ => {}
        }
    }
    rows(lines)
}

/// Lines put together to rows, from top to bottom.
#[must_use]
pub fn rows(mut lines: Vec<&Line>) -> Vec<Row> {
    lines.sort_by(|a, b| a.baseline.total_cmp(&b.baseline));
    let mut groups: Vec<Vec<&Line>> = Vec::new();
    for line in lines {
        match groups.last_mut() {
            Some(group)
                if group
                    .first()
                    .is_some_and(|first| line.baseline - first.baseline < 0.3 * first.size) =>
            {
                group.push(line);
            }
            _ => groups.push(vec![line]),
        }
    }
    groups.into_iter().filter_map(row).collect()
}

fn row(mut lines: Vec<&Line>) -> Option<Row> {
    lines.sort_by(|a, b| a.rect.x0.total_cmp(&b.rect.x0));
    let (first, last) = (*lines.first()?, *lines.last()?);
    let texts: Vec<String> = lines.iter().map(|line| line.text()).collect();
    let before = lines.len().checked_sub(2).and_then(|at| lines.get(at));
    Some(Row {
        text: texts.join(" "),
        last: before.map(|before| {
            let gap = (last.rect.x0 - before.rect.x1) / last.size.max(1.0);
            (last.text(), gap)
        }),
        indent: first.rect.x0,
        end: last.rect.x1,
        baseline: first.baseline,
        size: first.size,
        is_bold: first.mostly(|word| word.style.is_bold || is_leader(&word.text)),
    })
}

fn is_leader(text: &str) -> bool {
    text.chars().all(|c| is_dot(c) || c.is_ascii_digit())
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '…' | '·' | '_' | '‥' | '․')
}

/// The entry that a row is, if it is one.
#[must_use]
pub fn entry_of(row: &Row) -> Option<RowEntry> {
    let text = row.text.trim_end();
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| c.is_ascii_alphanumeric() || *c == '-')
        .last()
        .map(|(at, _)| at)?;
    let (title, number) = text.split_at(start);
    let number = page_number(number)?;
    let bare = title.trim_end_matches(|c: char| is_dot(c) || c.is_whitespace());
    let dots = title
        .get(bare.len()..)?
        .chars()
        .filter(|c| is_dot(*c) && *c != '…');
    let dots = dots.count() + 3 * title.matches('…').count();
    let is_apart = row.last.as_ref().is_some_and(|(last, gap)| {
        let number = last.trim_start_matches(|c: char| is_dot(c) || c.is_whitespace());
        *gap >= GAP_MIN && page_number(number).is_some()
    });
    let has_title = bare.chars().filter(|c| c.is_alphabetic()).count() >= 2;
    (has_title && (dots >= 3 || is_apart)).then(|| RowEntry {
        title: without_leaders(bare),
        number,
        has_leaders: dots >= 3,
    })
}

/// A title without the dots that stand in it, where a number of a section is led to its title.
fn without_leaders(title: &str) -> String {
    let words = title.split_whitespace();
    let words: Vec<&str> = words.filter(|word| !word.chars().all(is_dot)).collect();
    words.join(" ")
}

/// The number of a page, `None` within for Roman and compound ones: `xiv`, `7-45`.
fn page_number(text: &str) -> Option<Option<u32>> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return (text.len() <= DIGITS_MAX).then(|| text.parse().ok());
    }
    let is_roman = text
        .chars()
        .all(|c| "ivxlc".contains(c) || "IVXLC".contains(c));
    let is_compound = text.split_once('-').is_some_and(|(chapter, page)| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number(page) && chapter.len() <= 3 && !chapter.is_empty()
    });
    (is_roman || is_compound).then_some(None)
}
