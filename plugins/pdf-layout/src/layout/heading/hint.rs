//! Headings that the file names itself: in its bookmarks or in its printed table of contents.
//!
//! Invariant: bookmarks that are no sections give no hint.

use std::collections::BTreeMap;

use crate::layout::block::PageBlocks;
use crate::layout::contents::Contents;
use crate::layout::title::{is_same, key_of_title};
use crate::page::Bookmark;
use crate::tree::source::{Judged, judge};

/// Hints of one page that are looked at.
const PAGE_HINTS_MAX: usize = 64;
/// Shorter titles are found by chance.
const KEY_BYTES_MIN: usize = 3;

/// Titles by the place of the page they are on, with their levels.
#[derive(Clone, Debug, Default)]
pub struct Hints {
    by_page: BTreeMap<usize, Vec<(String, u8)>>,
}

impl Hints {
    /// Of the bookmarks of a document if they are good, else of its table of contents.
    #[must_use]
    pub fn of(pages: &[PageBlocks], bookmarks: &[Bookmark], contents: &Contents) -> Self {
        let mut hints = Self::default();
        if judge(bookmarks, pages) == Judged::Ignore {
            for entry in &contents.entries {
                hints.add(entry.page, &entry.title, entry.level);
            }
        } else {
            for bookmark in bookmarks {
                if let Some(page) = bookmark.page {
                    hints.add(page, &bookmark.title, bookmark.level);
                }
            }
        }
        hints
    }

    fn add(&mut self, page: u32, title: &str, level: u8) {
        let key = key_of_title(title);
        let Some(at) = page.checked_sub(1).and_then(|at| usize::try_from(at).ok()) else {
            return;
        };
        let known = self.by_page.entry(at).or_default();
        if key.len() >= KEY_BYTES_MIN && known.len() < PAGE_HINTS_MAX {
            known.push((key, level));
        }
    }

    /// Whether there are any on this page.
    #[must_use]
    pub fn has(&self, page: usize) -> bool {
        self.by_page.contains_key(&page)
    }

    /// The level of the heading that this text is.
    #[must_use]
    pub fn level(&self, page: usize, text: &str) -> Option<u8> {
        let hints = self.by_page.get(&page)?;
        let key = key_of_title(text);
        let found = hints.iter().find(|(title, _)| is_same(title, &key));
        found.map(|(_, level)| *level)
    }

    /// The level of the heading that this text is word for word.
    #[must_use]
    pub fn exact(&self, page: usize, text: &str) -> Option<u8> {
        let hints = self.by_page.get(&page)?;
        let key = key_of_title(text);
        let found = hints.iter().find(|(title, _)| *title == key);
        found.map(|(_, level)| *level)
    }
}

/// Levels as the hints have them; what has no hint goes with the others of its level.
#[must_use]
pub fn adjusted(levels: &[u8], hints: &[Option<u8>]) -> Vec<u8> {
    let mut counts: BTreeMap<u8, BTreeMap<u8, usize>> = BTreeMap::new();
    for (level, hint) in levels.iter().zip(hints) {
        if let Some(hint) = hint {
            *counts.entry(*level).or_default().entry(*hint).or_insert(0) += 1;
        }
    }
    let most = |counts: BTreeMap<u8, usize>| {
        let most = counts
            .into_iter()
            .max_by_key(|(hint, count)| (*count, 255 - hint));
        most.map(|(hint, _)| hint)
    };
    let usual: BTreeMap<u8, u8> = counts
        .into_iter()
        .filter_map(|(level, counts)| Some((level, most(counts)?)))
        .collect();
    let Some(outermost) = usual.keys().next().copied() else {
        return levels.to_vec();
    };
    // What ranks above all that is named, as the title of the document does, stays above it.
    let shift = u8::from(levels.iter().any(|level| *level < outermost));
    let pairs = levels.iter().zip(hints);
    let adjusted = pairs.map(|(level, hint)| {
        let known = hint.or_else(|| usual.get(level).copied());
        let level = known.map_or_else(
            || match usual.range(..level).next_back() {
                Some((outer, hint)) => hint + (level - outer) + shift,
                None => 1,
            },
            |known| known.saturating_add(shift),
        );
        level.clamp(1, 6)
    });
    adjusted.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_hints() {
        let check = |levels: &[u8], hints: &[Option<u8>], expected: &[u8]| {
            assert_eq!(adjusted(levels, hints), expected);
        };
        check(&[1, 2, 3], &[None, None, None], &[1, 2, 3]);
        // A title above what is named.
        check(&[1, 2, 3, 2], &[None, Some(1), None, None], &[1, 2, 3, 2]);
        // Two looks of one level.
        check(
            &[1, 2, 3, 3],
            &[Some(1), Some(1), Some(2), None],
            &[1, 1, 2, 2],
        );
        check(&[1, 5], &[Some(1), None], &[1, 5]);
        check(&[1, 6], &[Some(6), None], &[6, 6]);
        check(
            &[1, 2, 4, 5],
            &[None, None, Some(1), Some(2)],
            &[1, 1, 2, 3],
        );
    }
}
