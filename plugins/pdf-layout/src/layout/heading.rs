//! Headings: which blocks are, and of which level.
//!
//! Invariant: only paragraphs and numbered items become headings; the same look and the same depth of
//! numbering have the same level throughout a document, unless the file itself says otherwise.

pub mod evidence;
pub mod feature;
pub mod front;
pub mod hint;
pub mod join;
pub mod level;
pub mod number;
pub mod split;

use crate::layout::block::{PageBlocks, Role, TextBlock};
use crate::layout::contents;
use crate::page::{Bookmark, Turn};
use feature::{Body, Feature};
use hint::Hints;
use level::Candidate;

/// A block that is a heading.
#[derive(Clone, Debug)]
pub struct Found {
    /// The place of its page.
    pub page: usize,
    /// Its place on the page.
    pub block: usize,
    /// What was seen of it.
    pub feature: Feature,
    /// The level that the file gives it.
    pub hint: Option<u8>,
}

/// Marks the headings of a document, and the rows of its table of contents.
pub fn mark(pages: &mut [PageBlocks], bookmarks: &[Bookmark]) {
    let contents = contents::find(pages);
    contents::mark(pages, &contents);
    let hints = Hints::of(pages, bookmarks, &contents);
    for (at, page) in pages.iter_mut().enumerate() {
        split::page(page, at, &hints);
    }
    let body = Body::of(pages);
    let mut found = found(pages, &body, &hints);
    front::drop_names(&mut found, pages, &body);
    front::drop_listed(&mut found);
    let candidates: Vec<Candidate> = found
        .iter()
        .map(|found| Candidate {
            look: found.feature.look,
            number: number::of(&found.feature.text),
        })
        .collect();
    let given: Vec<Option<u8>> = found.iter().map(|found| found.hint).collect();
    let levels = hint::adjusted(&level::of(&candidates), &given);
    for (found, level) in found.into_iter().zip(levels) {
        let page = pages.get_mut(found.page);
        let block = page.and_then(|page| page.blocks.get_mut(found.block));
        if let Some(text) = block.and_then(|block| block.text_mut()) {
            text.role = Role::Heading(level);
        }
    }
    pages.iter_mut().for_each(join::page);
}

fn found(pages: &[PageBlocks], body: &Body, hints: &Hints) -> Vec<Found> {
    let mut found = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        for (at, block) in page.blocks.iter().enumerate() {
            let Some(text) = block.text().filter(|text| may_be(text)) else {
                continue;
            };
            let feature = feature::of(page, at, text, body);
            let hint = hints.level(number, &feature.text);
            let hint = hint.filter(|_| evidence::is_nameable(&feature));
            if hint.is_some() || evidence::is_heading(&feature, body) {
                found.push(Found {
                    page: number,
                    block: at,
                    feature,
                    hint,
                });
            }
        }
    }
    found
}

fn may_be(text: &TextBlock) -> bool {
    let is_turned = text.lines.iter().any(|line| line.turn != Turn::None);
    match &text.role {
        _ if is_turned => false,
        Role::Paragraph => true,
        Role::Item { number, .. } => number.is_some(),
        _ => false,
    }
}
