//! What stands at the front of a document under its title: names, dates, addresses.
//!
//! Invariant: looks at the first page only; numbered and well-known headings stay.

use std::collections::BTreeSet;

use super::Found;
use super::evidence::is_name;
use super::feature::{Body, rows};
use super::number::{self, Kind};
use crate::layout::block::{Block, BlockKind, PageBlocks, Role};
use crate::layout::contents;
use crate::layout::title::key_of_title;

/// A title is so much larger than the body.
const TITLE_RATIO: f32 = 1.2;
/// What is so much smaller than the title is no part of it.
const SMALLER_THAN_TITLE: f32 = 0.9;
/// A paragraph of so many rows is text.
const TEXT_ROWS_MIN: usize = 3;
/// And so is a sentence of so many words.
const SENTENCE_WORDS_MIN: usize = 6;
/// And a text of two rows of so many words.
const LEAD_WORDS_MIN: usize = 9;
/// Documents of fewer pages have no front page.
const PAGES_MIN: usize = 3;
/// Lines of a front page that are set like the body: fewer may be headings.
const FRONT_LINES_MIN: usize = 3;

/// Takes names and dates out of the headings of the first page.
pub fn drop_names(found: &mut Vec<Found>, pages: &[PageBlocks], body: &Body) {
    let Some(page) = pages.first() else {
        return;
    };
    let is_told = |found: &Found| {
        let text = &found.feature.text;
        found.hint.is_some() || is_name(text) || is_first(text)
    };
    // The front ends where a heading that is surely one begins.
    let told = found.iter().find(|found| found.page == 0 && is_told(found));
    let told = told.map_or(page.blocks.len(), |found| found.block);
    let before = found
        .iter()
        .filter(|found| found.page == 0 && found.block < told);
    let largest = before
        .map(|found| found.feature.look.size)
        .fold(0.0, f32::max);
    let title = found
        .iter()
        .find(|found| found.page == 0 && found.feature.look.size >= largest);
    let title = title.filter(|_| largest >= TITLE_RATIO * body.size);
    let from = title.map_or(0, |title| title.block);
    let left = page.blocks.get(from).map_or(0.0, |block| block.rect.x0);
    let mut after = page.blocks.iter().enumerate().skip(from + 1);
    let text = after.find(|(_, block)| is_text(block) || is_lead(block, left, body));
    // What stands right above the text is its heading.
    let end = text.map_or(told, |(at, _)| at.saturating_sub(1).min(told));
    let front = |found: &Found| found.page == 0 && found.block < end;
    if title.is_some() {
        found.retain(|found| {
            let is_small = found.feature.look.size < SMALLER_THAN_TITLE * largest;
            found.block <= from || !(front(found) && is_small)
        });
    } else if pages.len() >= PAGES_MIN
        && found.iter().filter(|found| front(found)).count() >= FRONT_LINES_MIN
    {
        found.retain(|found| !front(found));
    }
}

/// Whether a title has the number of a first section.
fn is_first(text: &str) -> bool {
    let Some(number) = number::of(text) else {
        return false;
    };
    let digits = text.get(..number.length).unwrap_or_default();
    let mut parts = digits.split(|c: char| !c.is_alphanumeric());
    let first = parts.next().unwrap_or_default();
    matches!(number.kind, Kind::Part | Kind::Chapter) || ["1", "I", "A"].contains(&first)
}

/// Takes the titles of a table of contents without page numbers out of the headings: those under its
/// title that come again further on.
pub fn drop_listed(found: &mut Vec<Found>) {
    let keys: Vec<String> = found
        .iter()
        .map(|found| key_of_title(&found.feature.text))
        .collect();
    let Some(title) = found
        .iter()
        .position(|found| contents::is_title(&found.feature.text))
    else {
        return;
    };
    let mut listed = BTreeSet::new();
    for key in keys.iter().skip(title + 1) {
        // The first title that comes again begins the text.
        if !listed.insert(key) {
            break;
        }
    }
    let again: BTreeSet<&String> = keys.iter().skip(title + 1 + listed.len()).collect();
    let mut n = 0;
    let until = title + 1 + listed.len();
    found.retain(|_| {
        n += 1;
        let at = n - 1;
        let is_listed =
            at > title && at < until && keys.get(at).is_some_and(|key| again.contains(key));
        !is_listed
    });
}

/// Whether a block is a text of two rows that begins where the title does, as names seldom do.
fn is_lead(block: &Block, left: f32, body: &Body) -> bool {
    let Some(text) = block.text().filter(|text| text.role == Role::Paragraph) else {
        return false;
    };
    let is_aligned = (block.rect.x0 - left).abs() < body.size;
    is_aligned
        && rows(&text.lines) >= 2
        && text.plain().split_whitespace().count() >= LEAD_WORDS_MIN
}

fn is_text(block: &Block) -> bool {
    let Some(text) = block.text() else {
        return matches!(block.kind, BlockKind::Table(_));
    };
    match text.role {
        Role::Paragraph => {
            let plain = text.plain();
            let is_sentence = plain.trim_end().ends_with(['.', ':', '?', '!'])
                && plain.split_whitespace().count() >= SENTENCE_WORDS_MIN;
            let is_address = plain.contains('@');
            !is_address && (is_sentence || rows(&text.lines) >= TEXT_ROWS_MIN)
        }
        Role::Furniture | Role::Heading(_) => false,
        _ => true,
    }
}
