//! Where sections begin: a title, its level, and its place in the document.
//!
//! Invariant: marks are in the order of the document.

use std::collections::BTreeMap;

use crate::layout::block::{PageBlocks, Role};
use crate::layout::contents::Contents;
use crate::layout::title::{is_same, key_of_title};
use crate::markdown::joined;
use crate::page::Bookmark;

/// The beginning of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Its depth, from 1.
    pub level: u8,
    /// Its title.
    pub title: String,
    /// The place of its page in the document.
    pub page: usize,
    /// The place of its heading on that page; 0 if that is not known.
    pub block: usize,
}

/// The headings of a document.
#[must_use]
pub fn of_headings(pages: &[PageBlocks]) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (at, page) in pages.iter().enumerate() {
        for (n, block) in page.blocks.iter().enumerate() {
            if let Some(text) = block.text()
                && let Role::Heading(level) = text.role
            {
                marks.push(Mark {
                    level,
                    title: joined(&text.lines),
                    page: at,
                    block: n,
                });
            }
        }
    }
    marks
}

/// Headings without the title of the document, above which there is nothing to divide.
#[must_use]
pub fn without_title(mut marks: Vec<Mark>) -> Vec<Mark> {
    let Some(first) = marks.first().map(|first| (first.level, first.page)) else {
        return marks;
    };
    let is_alone = marks.iter().skip(1).all(|mark| mark.level > first.0);
    if is_alone && first.1 == 0 && marks.len() > 2 {
        marks.remove(0);
    }
    marks
}

/// Headings without those that nothing stands under: what follows is no part of them.
#[must_use]
pub fn without_empty(marks: Vec<Mark>, pages: &[PageBlocks]) -> Vec<Mark> {
    let end = (pages.len(), 0);
    let is_empty = |mark: &Mark, next: Option<&Mark>| {
        let is_outer = next.is_none_or(|next| next.level <= mark.level);
        let until = next.map_or(end, |next| (next.page, next.block));
        is_outer && !has_content(pages, (mark.page, mark.block + 1), until)
    };
    let kept = marks
        .iter()
        .enumerate()
        .filter(|(n, mark)| !is_empty(mark, marks.get(n + 1)));
    kept.map(|(_, mark)| mark.clone()).collect()
}

/// Headings without those that say the same all over the document, as `Usage` does or the label of a
/// chart: they are parts of what stands around them.
#[must_use]
pub fn without_repeated(marks: Vec<Mark>) -> Vec<Mark> {
    /// A title that is used so often tells no section from another.
    const USES_MIN: usize = 4;
    let keys: Vec<String> = marks.iter().map(|mark| key_of_title(&mark.title)).collect();
    let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
    for key in &keys {
        *uses.entry(key).or_insert(0) += 1;
    }
    let kept = marks.iter().enumerate().filter(|(n, mark)| {
        let key = keys.get(*n).map_or("", String::as_str);
        let is_leaf = marks.get(n + 1).is_none_or(|next| next.level <= mark.level);
        !is_leaf || uses.get(key).is_none_or(|uses| *uses < USES_MIN)
    });
    kept.map(|(_, mark)| mark.clone()).collect()
}

/// Whether anything but running heads stands between two places.
fn has_content(pages: &[PageBlocks], from: (usize, usize), until: (usize, usize)) -> bool {
    (from.0..=until.0).any(|at| {
        let Some(page) = pages.get(at) else {
            return false;
        };
        let first = if at == from.0 { from.1 } else { 0 };
        let last = if at == until.0 {
            until.1
        } else {
            page.blocks.len()
        };
        let blocks = page.blocks.get(first..last).unwrap_or_default();
        blocks.iter().any(|block| {
            let role = block.text().map(|text| &text.role);
            role != Some(&Role::Furniture)
        })
    })
}

/// Bookmarks that lead to a page.
#[must_use]
pub fn of_bookmarks(bookmarks: &[Bookmark], pages: &[PageBlocks]) -> Vec<Mark> {
    let entries = bookmarks.iter().filter_map(|bookmark| {
        let at = place(bookmark.page?, pages)?;
        Some((bookmark.level, bookmark.title.clone(), at, bookmark.y))
    });
    in_order(entries, pages)
}

/// The entries of a printed table of contents.
#[must_use]
pub fn of_contents(contents: &Contents, pages: &[PageBlocks]) -> Vec<Mark> {
    let entries = contents.entries.iter().filter_map(|entry| {
        let at = place(entry.page, pages)?;
        Some((entry.level, entry.title.clone(), at, None))
    });
    in_order(entries, pages)
}

/// The place of a page by its number.
fn place(number: u32, pages: &[PageBlocks]) -> Option<usize> {
    let at = usize::try_from(number.checked_sub(1)?).ok()?;
    (at < pages.len()).then_some(at)
}

/// Entries as marks; one that leads back is taken to begin where the one before it does.
fn in_order(
    entries: impl Iterator<Item = (u8, String, usize, Option<u32>)>,
    pages: &[PageBlocks],
) -> Vec<Mark> {
    let mut marks: Vec<Mark> = Vec::new();
    let mut from = (0, 0);
    for (level, title, page, y) in entries {
        let page = page.max(from.0);
        let least = if page == from.0 { from.1 } else { 0 };
        let block = pages
            .get(page)
            .map_or(0, |page| block_of(page, &title, y, least));
        from = (page, block);
        marks.push(Mark {
            level,
            title,
            page,
            block,
        });
    }
    marks
}

/// Where on a page the heading of this title is, not before the block `least`.
fn block_of(page: &PageBlocks, title: &str, y: Option<u32>, least: usize) -> usize {
    let title = key_of_title(title);
    let mut blocks = page.blocks.iter().enumerate().skip(least);
    let named = blocks.clone().find(|(_, block)| {
        let text = block.text().filter(|text| text.lines.len() <= 6);
        text.is_some_and(|text| is_same(&key_of_title(&text.plain()), &title))
    });
    /// Destinations lie a little above the text they mean, in points.
    const ABOVE: f32 = 2.0;
    let below = |y: u32| blocks.find(|(_, block)| block.rect.y1 > y as f32 + ABOVE);
    let found = named.or_else(|| y.and_then(below));
    found.map_or(least, |(n, _)| n)
}

/// Marks with the long sections that have none within divided by headings, the outermost first; and
/// whether any was.
#[must_use]
pub fn divided(
    marks: Vec<Mark>,
    headings: &[Mark],
    pages: &[PageBlocks],
    pages_max: usize,
) -> (Vec<Mark>, bool) {
    let mut all = marks;
    let mut changed = false;
    for _ in 0..super::LEVELS_MAX {
        let before = all.len();
        all = divided_once(&all, headings, pages, pages_max);
        if all.len() == before {
            break;
        }
        changed = true;
    }
    (all, changed)
}

fn divided_once(
    marks: &[Mark],
    headings: &[Mark],
    pages: &[PageBlocks],
    pages_max: usize,
) -> Vec<Mark> {
    let mut all = Vec::with_capacity(marks.len());
    for (n, mark) in marks.iter().enumerate() {
        all.push(mark.clone());
        let next = marks.get(n + 1);
        let end = next.map_or((pages.len(), 0), |next| (next.page, next.block));
        if end.0 - mark.page.min(end.0) <= pages_max {
            continue;
        }
        let own = (mark.page, mark.block);
        let first = headings.partition_point(|heading| (heading.page, heading.block) <= own);
        let within = headings.iter().skip(first);
        let within: Vec<&Mark> = within
            .take_while(|heading| (heading.page, heading.block) < end)
            .filter(|heading| !is_same(&key_of_title(&heading.title), &key_of_title(&mark.title)))
            .collect();
        // A heading alone divides nothing: the outermost level that has several.
        let levels = 1..=u8::MAX;
        let outer = levels.take(super::LEVELS_MAX).find(|level| {
            let alike = within.iter().filter(|heading| heading.level <= *level);
            alike.count() > 1
        });
        let Some(outer) = outer else {
            continue;
        };
        let sections = within.into_iter().filter(|heading| heading.level <= outer);
        all.extend(sections.map(|heading| Mark {
            level: mark.level.saturating_add(1),
            ..heading.clone()
        }));
    }
    all
}

/// Marks with levels from 1 without gaps, the deepest left out until there are no more than `max`.
#[must_use]
pub fn bounded(mut marks: Vec<Mark>, max: usize) -> Vec<Mark> {
    let mut open: Vec<u8> = Vec::new();
    for mark in &mut marks {
        while open.last().is_some_and(|outer| *outer >= mark.level) {
            open.pop();
        }
        open.push(mark.level);
        mark.level = u8::try_from(open.len().min(super::LEVELS_MAX)).unwrap_or(1);
    }
    let mut deepest = marks.iter().map(|mark| mark.level).max().unwrap_or(1);
    while marks.len() > max && deepest > 1 {
        marks.retain(|mark| mark.level < deepest);
        deepest -= 1;
    }
    marks.truncate(max);
    marks
}
