//! Headings: which blocks are, and of which level.
//!
//! Invariant: only paragraphs and numbered items become headings; the same look and the same depth of
//! numbering have the same level throughout a document.

pub mod evidence;
pub mod feature;
pub mod level;
pub mod number;
pub mod split;

use crate::layout::block::{PageBlocks, Role, TextBlock};
use crate::page::Bookmark;
use feature::Body;
use level::Candidate;

/// Marks the headings of a document.
pub fn mark(pages: &mut [PageBlocks], _bookmarks: &[Bookmark]) {
    for page in &mut *pages {
        split::page(page);
    }
    let body = Body::of(pages);
    let mut places = Vec::new();
    let mut candidates = Vec::new();
    for (number, page) in pages.iter().enumerate() {
        for (at, block) in page.blocks.iter().enumerate() {
            let Some(text) = block.text().filter(|text| may_be(text)) else {
                continue;
            };
            let feature = feature::of(page, at, text, &body);
            if evidence::is_heading(&feature, &body) {
                places.push((number, at));
                candidates.push(Candidate {
                    look: feature.look,
                    number: number::of(&feature.text),
                });
            }
        }
    }
    let levels = level::of(&candidates);
    for ((page, at), level) in places.into_iter().zip(levels) {
        let block = pages.get_mut(page).and_then(|page| page.blocks.get_mut(at));
        if let Some(text) = block.and_then(|block| block.text_mut()) {
            text.role = Role::Heading(level);
        }
    }
}

fn may_be(text: &TextBlock) -> bool {
    match &text.role {
        Role::Paragraph => true,
        Role::Item { number, .. } => number.is_some(),
        _ => false,
    }
}
