//! Printed tables of contents: which rows of a document are entries of one, and the pages that they
//! lead to.
//!
//! Invariant: an entry leads to a page of the document; the work grows with the number of lines.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::layout::block::{Block, PageBlocks, Role, TextBlock};
use crate::layout::contents_row::{Row, RowEntry, entry_of, rows, rows_of_page};
use crate::layout::heading::number::{self, Kind};
use crate::layout::title::{key, key_of_title};

/// A table of contents ends on one of this many pages, or in this part of the document.
const FRONT_PAGES_MAX: usize = 40;
const FRONT_PART: usize = 3;
/// Fewer entries on a page are no table of contents.
const PAGE_ENTRIES_MIN: usize = 3;
/// A page that does not say what it is has at least this many.
const UNTITLED_ENTRIES_MIN: usize = 5;
/// Entries of a document; a book has some hundreds.
const ENTRIES_MAX: usize = 5_000;
/// Fewer titles than this that are found where the numbers lead are chance.
const VOTES_MIN: usize = 2;
/// How far the beginnings of rows of one level are apart, in points.
const INDENT_TOLERANCE: f32 = 4.0;
/// Places of one line of text that are kept: what is found more often is a running head.
const PLACES_MAX: usize = 12;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its depth, from 1.
    pub level: u8,
    /// What it says.
    pub title: String,
    /// The page it leads to, from 1.
    pub page: u32,
}

/// A table of contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Its entries, in order.
    pub entries: Vec<Entry>,
    /// Where it stands.
    pub parts: Vec<Part>,
}

/// A part of a table of contents: blocks of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The place of the page in the document.
    pub page: usize,
    /// The blocks.
    pub blocks: Range<usize>,
}

/// An entry as it is printed.
#[derive(Clone, Debug)]
struct Printed {
    title: String,
    number: Option<u32>,
    indent: f32,
    is_bold: bool,
    size: f32,
}

/// The table of contents of a document, if it has one and its entries lead somewhere.
#[must_use]
pub fn find(pages: &[PageBlocks]) -> Contents {
    let front = FRONT_PAGES_MAX.min(pages.len() / FRONT_PART + 2);
    let mut printed: Vec<Printed> = Vec::new();
    let mut parts: Vec<Part> = Vec::new();
    for (at, page) in pages.iter().enumerate().take(front) {
        let rows = rows_of_page(page);
        let follows = parts.last().is_some_and(|last| last.page + 1 == at);
        if is_contents(&rows, follows) {
            parts.push(Part {
                page: at,
                blocks: 0..page.blocks.len(),
            });
            printed.extend(entries_of(&rows));
            continue;
        }
        // A list of figures or a second table of contents further on is none of this one.
        if !parts.is_empty() {
            break;
        }
        if let Some((blocks, rows)) = part_of_page(page) {
            printed.extend(entries_of(&rows));
            parts.push(Part { page: at, blocks });
        }
    }
    printed.truncate(ENTRIES_MAX);
    let last = parts.last().map_or(0, |part| part.page);
    let is_whole = parts.last().is_none_or(|part| {
        let page = pages.get(part.page);
        page.is_none_or(|page| part.blocks == (0..page.blocks.len()))
    });
    // Text begins behind it: on the same page if it takes only a part of that.
    let entries = located(&printed, pages, if is_whole { last + 1 } else { last });
    Contents { entries, parts }
}

/// The blocks below the title of a table of contents that takes a part of a page, and their rows.
fn part_of_page(page: &PageBlocks) -> Option<(Range<usize>, Vec<Row>)> {
    /// Headings and long titles between entries.
    const OTHERS_MAX: usize = 2;
    let title = page.blocks.iter().position(|block| {
        let text = block.text().filter(|text| text.lines.len() == 1);
        text.is_some_and(|text| is_title(&text.plain()))
    })?;
    let mut end = title + 1;
    let mut others = 0;
    let mut lines = Vec::new();
    for (at, block) in page.blocks.iter().enumerate().skip(title + 1) {
        let Some(text) = block.text() else {
            break;
        };
        if holds_entries(text) {
            end = at + 1;
            others = 0;
        } else if text.lines.len() > 2 || others == OTHERS_MAX {
            break;
        } else {
            others += 1;
        }
    }
    for text in page
        .blocks
        .get(title + 1..end)?
        .iter()
        .filter_map(Block::text)
    {
        lines.extend(&text.lines);
    }
    let rows = rows(lines);
    let entries: Vec<RowEntry> = rows.iter().filter_map(entry_of).collect();
    (entries.len() >= PAGE_ENTRIES_MIN && is_rising(&entries)).then_some((title + 1..end, rows))
}

/// Whether most rows of a page are entries whose numbers rise.
fn is_contents(rows: &[Row], follows: bool) -> bool {
    let entries: Vec<RowEntry> = rows.iter().filter_map(entry_of).collect();
    let is_titled = follows || rows.iter().take(4).any(|row| is_title(&row.text));
    let least = if is_titled {
        PAGE_ENTRIES_MIN
    } else {
        UNTITLED_ENTRIES_MIN
    };
    let leaders = entries.iter().filter(|entry| entry.has_leaders).count();
    let share = if is_titled { 3 } else { 2 };
    entries.len() >= least
        && entries.len() * share >= rows.len()
        && is_rising(&entries)
        && (is_titled || leaders * 2 >= entries.len())
}

/// Whether the numbers of pages rise, but for some that are misread.
fn is_rising(entries: &[RowEntry]) -> bool {
    let numbers: Vec<u32> = entries.iter().filter_map(|entry| entry.number).collect();
    let steps = numbers.iter().zip(numbers.iter().skip(1));
    let rising = steps.filter(|(a, b)| a <= b).count();
    (rising + 1) * 10 >= numbers.len() * 9
}

/// Whether this is what a table of contents is called.
#[must_use]
pub fn is_title(text: &str) -> bool {
    let text = key(text);
    [
        "contents",
        "tableofcontents",
        "toc",
        "inhalt",
        "inhaltsverzeichnis",
        "tabledesmatières",
        "sommaire",
        "índice",
        "indice",
        "contenido",
        "sommario",
        "sumário",
        "inhoud",
        "inhoudsopgave",
        "spistreści",
        "содержание",
        "оглавление",
        "目录",
        "目次",
    ]
    .contains(&text.as_str())
}

/// The entries of a page; an entry over several rows is one.
fn entries_of(rows: &[Row]) -> Vec<Printed> {
    let left = rows
        .iter()
        .filter(|row| entry_of(row).is_some())
        .map(|row| row.indent)
        .min_by(f32::total_cmp)
        .unwrap_or_default();
    let right = rows.iter().map(|row| row.end).max_by(f32::total_cmp);
    let middle = f32::midpoint(left, right.unwrap_or_default());
    let mut entries = Vec::new();
    let mut open: Option<&Row> = None;
    for row in rows {
        let Some(entry) = entry_of(row) else {
            // The first row of a long title reaches far; what is shorter is a heading of its own.
            open = Some(row).filter(|row| row.end > middle && !is_title(&row.text));
            continue;
        };
        let first = open.take().filter(|first| {
            let is_near = row.baseline - first.baseline < 2.0 * row.size;
            is_near && number::of(&entry.title).is_none() && row.indent >= first.indent - 1.0
        });
        let start = first.unwrap_or(row);
        let title = first.map_or_else(
            || entry.title.clone(),
            |first| format!("{} {}", first.text, entry.title),
        );
        entries.push(Printed {
            title,
            number: entry.number,
            indent: start.indent - left,
            is_bold: start.is_bold,
            size: start.size,
        });
    }
    entries
}

/// Where each line of a document stands, by its key.
fn places(pages: &[PageBlocks], from: usize) -> BTreeMap<String, Vec<usize>> {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, page) in pages.iter().enumerate().skip(from) {
        for text in page.blocks.iter().filter_map(Block::text) {
            if matches!(text.role, Role::Furniture | Role::Contents) || text.lines.len() > 12 {
                continue;
            }
            let plain = text.plain();
            let mut add = |text: &str| {
                let known = places.entry(key_of_title(text)).or_default();
                if known.len() < PLACES_MAX && known.last() != Some(&at) {
                    known.push(at);
                }
            };
            add(&plain);
            if text.lines.len() > 1
                && let Some(first) = text.lines.first()
            {
                add(&first.text());
            }
        }
    }
    places
}

/// The entries with the pages of the document that they lead to: a printed number is that of a page
/// less an offset that most titles agree on.
fn located(printed: &[Printed], pages: &[PageBlocks], from: usize) -> Vec<Entry> {
    let places = places(pages, from);
    let found = |entry: &Printed| places.get(&key_of_title(&entry.title));
    let mut votes: BTreeMap<i64, usize> = BTreeMap::new();
    for entry in printed {
        let (Some(number), Some(on)) = (entry.number, found(entry)) else {
            continue;
        };
        for at in on {
            *votes.entry(*at as i64 + 1 - i64::from(number)).or_insert(0) += 1;
        }
    }
    let offset = votes
        .into_iter()
        .max_by_key(|(offset, count)| (*count, -offset.abs()))
        .filter(|(_, count)| *count >= VOTES_MIN);
    let levels = levels(printed);
    let mut entries = Vec::new();
    let mut from = 0;
    for (entry, level) in printed.iter().zip(levels) {
        let expected = entry.number.zip(offset);
        let expected = expected.map(|(number, (offset, _))| i64::from(number) + offset - 1);
        let on = found(entry).map(Vec::as_slice).unwrap_or_default();
        let near = |at: &usize| expected.is_some_and(|page| (*at as i64 - page).abs() <= 1);
        let at = match expected {
            Some(page) => on.iter().copied().find(near).or(usize::try_from(page).ok()),
            None => on.iter().copied().find(|at| *at >= from),
        };
        let Some(page) = at.and_then(|at| pages.get(at)) else {
            continue;
        };
        from = at.unwrap_or(from);
        entries.push(Entry {
            level,
            title: entry.title.clone(),
            page: page.number,
        });
    }
    entries
}

/// The levels of entries: as deep as their numbers, else as entries that begin at the same place and
/// are set alike.
fn levels(printed: &[Printed]) -> Vec<u8> {
    let mut indents: Vec<f32> = printed.iter().map(|entry| entry.indent).collect();
    indents.sort_by(f32::total_cmp);
    indents.dedup_by(|a, b| *a - *b <= INDENT_TOLERANCE);
    let indent_of = |entry: &Printed| {
        let place = indents.partition_point(|indent| *indent <= entry.indent + 0.01);
        place.saturating_sub(1)
    };
    let style_of = |entry: &Printed| {
        let size = -((entry.size * 2.0).round() as i32);
        (indent_of(entry), size, !entry.is_bold)
    };
    let mut depths: BTreeMap<(usize, i32, bool), BTreeMap<u8, usize>> = BTreeMap::new();
    for entry in printed {
        let known = depths.entry(style_of(entry)).or_default();
        if let Some(depth) = depth_of(&entry.title) {
            *known.entry(depth).or_insert(0) += 1;
        }
    }
    let mut levels = BTreeMap::new();
    let mut outer = 0;
    for (style, counts) in depths {
        let most = counts
            .into_iter()
            .max_by_key(|(depth, count)| (*count, 255 - depth));
        let level = most.map_or(outer + 1, |(depth, _)| depth).clamp(1, 6);
        outer = u8::max(level, outer).min(5);
        levels.insert(style, level);
    }
    let level = |entry: &Printed| {
        let by_style = levels.get(&style_of(entry)).copied().unwrap_or(1);
        depth_of(&entry.title).unwrap_or(by_style)
    };
    printed.iter().map(level).collect()
}

/// The depth that the number of a title tells for sure.
fn depth_of(title: &str) -> Option<u8> {
    let number = number::of(title)?;
    matches!(number.kind, Kind::Decimal).then_some(number.depth)
}

/// Marks the blocks of a table of contents.
pub fn mark(pages: &mut [PageBlocks], contents: &Contents) {
    for part in &contents.parts {
        let blocks = pages
            .get_mut(part.page)
            .and_then(|page| page.blocks.get_mut(part.blocks.clone()));
        for text in blocks.into_iter().flatten().filter_map(Block::text_mut) {
            if text.role != Role::Furniture && holds_entries(text) {
                text.role = Role::Contents;
            }
        }
    }
}

fn holds_entries(text: &TextBlock) -> bool {
    let rows = rows(text.lines.iter().collect());
    let entries = rows.iter().filter(|row| entry_of(row).is_some()).count();
    entries > 0 && entries * 2 >= rows.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::testing::{Set, at, page, roles};

    fn book(rows: &[&str]) -> Vec<PageBlocks> {
        let mut lines = vec![("Contents", at(80.0, 14.0, true))];
        let set = |n: usize| Set {
            x: if rows[n].starts_with("1.") {
                90.0
            } else {
                72.0
            },
            ..at(100.0 + 20.0 * n as f32, 10.0, false)
        };
        lines.extend(rows.iter().enumerate().map(|(n, row)| (*row, set(n))));
        let text = ("A line of text.", at(200.0, 10.0, false));
        let mut pages = vec![page(1, &lines)];
        for (number, title) in [(2, "Introduction"), (3, "1.1 Scope"), (4, "Methods")] {
            pages.push(page(number, &[(title, at(80.0, 14.0, true)), text]));
        }
        pages
    }

    #[test]
    fn printed_numbers_lead_to_pages() {
        let rows = [
            "Introduction ........ 11",
            "1.1 Scope . . . . . . 12",
            "Methods ............. 13",
        ];
        let mut pages = book(&rows);
        let contents = find(&pages);
        let entries: Vec<(u8, &str, u32)> = (contents.entries.iter())
            .map(|entry| (entry.level, entry.title.as_str(), entry.page))
            .collect();
        assert_eq!(
            entries,
            [
                (1, "Introduction", 2),
                (2, "1.1 Scope", 3),
                (1, "Methods", 4)
            ]
        );
        mark(&mut pages, &contents);
        let found: Vec<Role> = roles(&pages[0]).into_iter().map(|(_, role)| role).collect();
        assert_eq!(found[0], Role::Paragraph);
        assert!(found[1..].iter().all(|role| *role == Role::Contents));
    }

    #[test]
    fn what_is_no_table_of_contents() {
        // Numbers fall.
        let falling = ["Introduction .... 13", "Scope .... 12", "Methods .... 11"];
        assert!(find(&book(&falling)).parts.is_empty());
        // Sentences end with numbers.
        let text = ["It was in 11", "and then in 12", "at last 13"];
        assert!(find(&book(&text)).parts.is_empty());
        assert_eq!(find(&[]), Contents::default());
    }
}
