//! Running heads, running feet and page numbers: what repeats from page to page at its edges.
//!
//! Invariant: nothing is furniture because of its own page alone but what the file itself marks so.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::block::{Block, BlockKind, PageBlocks, Role, TextBlock};
use crate::layout::text::Line;
use crate::page::Turn;

/// Heads and feet are within this share of the height from an edge.
const ZONE: f32 = 0.12;
/// They are at the same height on every page, within these many points.
const PLACE_TOLERANCE: f32 = 4.0;
/// Pages that repeat a head before it is one, where a chapter is too short for a third of all.
const PAGES_OF_CHAPTER: usize = 3;
/// A line of more characters is text.
const CHARS_MAX: usize = 150;
/// Pages with more than this share of their characters marked as artifacts are marked wrongly, in
/// per cent.
const ARTIFACT_PERCENT_MAX: usize = 50;

/// Marks them.
pub fn mark(pages: &mut [PageBlocks]) {
    let repeated = Repeated::of(pages);
    for page in pages {
        let artifacts = trusts_artifacts(page);
        let height = page.height;
        let blocks = std::mem::take(&mut page.blocks);
        for block in blocks {
            match block.kind {
                BlockKind::Text(text) if text.role == Role::Paragraph => {
                    let is_furniture = |line: &Line| {
                        artifacts && line.mostly(|word| word.is_artifact)
                            || repeated.has(line, height)
                    };
                    page.blocks.extend(divided(text, is_furniture));
                }
                _ => page.blocks.push(block),
            }
        }
    }
}

/// Marks headings at the edges that only say which section the page belongs to: another heading, between
/// the edges of this page or an earlier one, says the same. To be called when headings are known.
pub fn mark_names_of_sections(pages: &mut [PageBlocks]) {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for page in pages {
        let height = page.height;
        let is_edge = |text: &TextBlock| text.lines.iter().all(|line| is_at_edge(line, height));
        let texts = page.blocks.iter().filter_map(Block::text);
        let headings = texts.filter(|text| matches!(text.role, Role::Heading(_)));
        names.extend(headings.filter(|text| !is_edge(text)).map(name));
        for text in page.blocks.iter_mut().filter_map(Block::text_mut) {
            let is_heading = matches!(text.role, Role::Heading(_));
            if is_heading && is_edge(text) && names.contains(&name(text)) {
                text.role = Role::Furniture;
            }
        }
    }
}

/// What a heading says, in letters and digits.
fn name(text: &TextBlock) -> String {
    let plain = text.plain();
    let signs = plain.chars().filter(|c| c.is_alphanumeric());
    signs.flat_map(char::to_lowercase).collect()
}

fn trusts_artifacts(page: &PageBlocks) -> bool {
    let lines = || {
        page.blocks
            .iter()
            .filter_map(Block::text)
            .flat_map(|text| &text.lines)
    };
    let words = || lines().flat_map(|line| &line.words);
    let all: usize = words().map(|word| word.text.len()).sum();
    let artifacts = words().filter(|word| word.is_artifact);
    let artifacts: usize = artifacts.map(|word| word.text.len()).sum();
    artifacts * 100 <= all * ARTIFACT_PERCENT_MAX
}

/// A block as blocks of which each is furniture or none of it is.
fn divided(text: TextBlock, is_furniture: impl Fn(&Line) -> bool) -> Vec<Block> {
    let mut parts: Vec<(bool, Vec<Line>)> = Vec::new();
    for line in text.lines {
        let is_furniture = is_furniture(&line);
        match parts.last_mut() {
            Some((last, lines)) if *last == is_furniture => lines.push(line),
            _ => parts.push((is_furniture, vec![line])),
        }
    }
    let parts = parts.into_iter().filter_map(|(is_furniture, lines)| {
        let role = if is_furniture {
            Role::Furniture
        } else {
            Role::Paragraph
        };
        Block::of_lines(lines, role)
    });
    parts.collect()
}

/// What a line says, with every number as one sign, and where it is.
type Key = (String, i32);

/// Lines of the edges that several pages have.
struct Repeated {
    keys: BTreeMap<Key, usize>,
}

impl Repeated {
    fn of(pages: &[PageBlocks]) -> Self {
        let mut pages_of: BTreeMap<Key, Vec<u32>> = BTreeMap::new();
        // What stands alone on its page is what the page says.
        for page in pages.iter().filter(|page| has_body(page)) {
            let texts = page.blocks.iter().filter_map(Block::text);
            for line in texts.flat_map(|text| &text.lines) {
                for key in keys(line, page.height) {
                    let list = pages_of.entry(key).or_default();
                    if list.last() != Some(&page.number) {
                        list.push(page.number);
                    }
                }
            }
        }
        let third = pages.len().div_ceil(3);
        let keys = pages_of.into_iter().map(|(key, list)| (key, list.len()));
        let is_repeated = |count: usize| count >= 2 && count >= third.min(PAGES_OF_CHAPTER);
        Self {
            keys: keys.filter(|(_, count)| is_repeated(*count)).collect(),
        }
    }

    fn has(&self, line: &Line, height: f32) -> bool {
        keys(line, height)
            .iter()
            .any(|key| self.keys.contains_key(key))
    }
}

fn is_at_edge(line: &Line, height: f32) -> bool {
    line.baseline < ZONE * height || height - line.baseline < ZONE * height
}

/// Whether a page says more between its edges than at them.
fn has_body(page: &PageBlocks) -> bool {
    let has_table = |block: &Block| matches!(block.kind, BlockKind::Table(_));
    if page.blocks.iter().any(has_table) {
        return true;
    }
    let texts = page.blocks.iter().filter_map(Block::text);
    let (mut body, mut edge) = (0, 0);
    for line in texts.flat_map(|text| &text.lines) {
        if is_at_edge(line, page.height) {
            edge += line.chars();
        } else {
            body += line.chars();
        }
    }
    body > edge
}

/// The keys of a line at an edge: those of the two places that its height rounds to; none of others.
fn keys(line: &Line, height: f32) -> Vec<Key> {
    let from_top = line.baseline;
    if line.turn != Turn::None || !is_at_edge(line, height) || line.chars() > CHARS_MAX {
        return Vec::new();
    }
    let text = masked(&line.text());
    let place = (from_top / PLACE_TOLERANCE).floor() as i32;
    let near = match (from_top / PLACE_TOLERANCE).fract() < 0.5 {
        true => place.saturating_sub(1),
        false => place.saturating_add(1),
    };
    // Every place twice, so that two lines that are near each other share one.
    vec![(text.clone(), place.max(near)), (text, place.min(near))]
}

/// Every number, also a roman one that stands alone, as one sign.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    for word in text.split(' ') {
        let core = word.trim_matches(|c: char| !c.is_alphanumeric());
        let is_roman = !core.is_empty() && core.bytes().all(|b| b"ivxlc".contains(&b));
        if !masked.is_empty() {
            masked.push(' ');
        }
        if is_roman {
            masked.push('#');
            continue;
        }
        for c in word.chars() {
            match c.is_ascii_digit() {
                true if masked.ends_with('#') => {}
                true => masked.push('#'),
                false => masked.push(c),
            }
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::{block, line, page};

    fn furniture(pages: &mut [PageBlocks]) -> Vec<String> {
        mark(pages);
        let texts = pages
            .iter()
            .flat_map(|page| &page.blocks)
            .filter_map(Block::text);
        let texts = texts.filter(|text| text.role == Role::Furniture);
        texts.map(TextBlock::plain).collect()
    }

    fn body(number: u32) -> Block {
        let text = format!("what page {number} says, which is more than its head does by far");
        block(vec![line(&text, 50.0, 400.0)])
    }

    #[test]
    fn heads_that_repeat_with_their_numbers_are_furniture() {
        let pages = (1..=4).map(|number| {
            let head = block(vec![line(&format!("Report {number}"), 50.0, 30.0)]);
            page(number, vec![head, body(number)])
        });
        let mut pages: Vec<PageBlocks> = pages.collect();
        let expected = ["Report 1", "Report 2", "Report 3", "Report 4"];
        assert_eq!(furniture(&mut pages), expected);
    }

    #[test]
    fn a_head_of_its_own_page_is_text() {
        let heads = ["Apples", "Pears", "Plums"];
        let pages = (1..).zip(heads).map(|(number, head)| {
            page(
                number,
                vec![block(vec![line(head, 50.0, 30.0)]), body(number)],
            )
        });
        let mut pages: Vec<PageBlocks> = pages.collect();
        assert!(furniture(&mut pages).is_empty());
    }

    #[test]
    fn a_head_that_names_a_section_is_no_heading() {
        let heading = |y: f32| {
            let mut heading = block(vec![line("2 Installing", 50.0, y)]);
            if let Some(text) = heading.text_mut() {
                text.role = Role::Heading(1);
            }
            heading
        };
        // The first page has the section itself, the second one its name only; the third one's heading
        // stands at the top because it begins there.
        let mut pages = vec![
            page(1, vec![heading(30.0), heading(300.0), body(1)]),
            page(2, vec![heading(30.0), body(2)]),
        ];
        mark_names_of_sections(&mut pages);
        let is_furniture = |page: &PageBlocks| {
            let texts = page.blocks.iter().filter_map(Block::text);
            let roles = texts.map(|text| text.role == Role::Furniture);
            roles.collect::<Vec<_>>()
        };
        assert_eq!(is_furniture(&pages[0]), [true, false, false]);
        assert_eq!(is_furniture(&pages[1]), [true, false]);
        let mut alone = vec![page(3, vec![heading(30.0), body(3)])];
        mark_names_of_sections(&mut alone);
        assert_eq!(is_furniture(&alone[0]), [false, false]);
    }

    #[test]
    fn numbers_are_masked() {
        assert_eq!(masked("Page 12 of 345"), "Page # of #");
        assert_eq!(masked("– xiv –"), "– # –");
        assert_eq!(masked("mild"), "mild");
    }
}
