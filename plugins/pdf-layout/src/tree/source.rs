//! What a tree can be taken from, and whether it is good enough.

use std::collections::BTreeSet;

use super::mark::Mark;
use crate::layout::block::PageBlocks;
use crate::page::Bookmark;

/// What a tree was taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TocSource {
    /// The structure that a tagged file tells.
    Structure,
    /// Bookmarks.
    Bookmarks,
    /// A printed table of contents.
    Contents,
    /// Headings recognised by their looks.
    Detected,
    /// One of these, its long sections divided by headings.
    Hybrid,
    /// Nothing: a node for each page.
    Pages,
    /// Nothing, for want of text.
    Unreadable,
}

impl TocSource {
    /// The word of the contract.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Structure => "structure",
            Self::Bookmarks => "bookmarks",
            Self::Contents => "contents",
            Self::Detected => "detected",
            Self::Hybrid => "hybrid",
            Self::Pages => "pages",
            Self::Unreadable => "unreadable",
        }
    }
}

/// What bookmarks are good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// They are the sections.
    Full,
    /// They are the outermost sections.
    Skeleton,
    /// Nothing.
    Ignore,
}

/// Fewer sections divide nothing.
const SECTIONS_MIN: usize = 2;
/// A title that ends as a sentence does is one if it has more words.
const SENTENCE_WORDS_MIN: usize = 14;
/// The longest titles of books have as many words.
const TITLE_WORDS_MAX: usize = 25;
/// Bookmarks of sections of more pages than this on average are a skeleton.
const PAGES_PER_BOOKMARK_MAX: usize = 20;

/// Judges bookmarks.
#[must_use]
pub fn judge(bookmarks: &[Bookmark], pages: &[PageBlocks]) -> Judged {
    let last = pages.last().map_or(0, |page| page.number);
    let targets: Vec<u32> = bookmarks
        .iter()
        .filter_map(|bookmark| bookmark.page.filter(|page| (1..=last).contains(page)))
        .collect();
    let count = bookmarks.len();
    let rising = targets.iter().zip(targets.iter().skip(1));
    let falling = rising.filter(|(a, b)| a > b).count();
    let templates = bookmarks
        .iter()
        .filter(|bookmark| is_template(&bookmark.title))
        .count();
    let titles: BTreeSet<String> = bookmarks
        .iter()
        .map(|bookmark| bookmark.title.trim().to_lowercase())
        .collect();
    let distinct: BTreeSet<u32> = targets.iter().copied().collect();
    let leads = targets.len() * 10 >= count * 7;
    let is_ordered = falling * 10 <= targets.len();
    let is_named = templates * 2 < count && titles.len() * 2 > count;
    // Of a document of some pages, bookmarks that all lead to one are no division.
    let divides = distinct.len() >= SECTIONS_MIN || pages.len() < SECTIONS_MIN;
    if count < SECTIONS_MIN || !leads || !is_ordered || !is_named || !divides {
        return Judged::Ignore;
    }
    if pages.len() > PAGES_PER_BOOKMARK_MAX * count {
        Judged::Skeleton
    } else {
        Judged::Full
    }
}

/// Whether a title says no more than which page or file it is: `Page 12`, `Slide 3`, `12`, `scan.pdf`.
fn is_template(title: &str) -> bool {
    const WORDS: [&str; 14] = [
        "page", "p", "pg", "slide", "sheet", "seite", "folie", "página", "pagina", "folio",
        "blank", "untitled", "bookmark", "scan",
    ];
    let title = title.trim().to_lowercase();
    let words: Vec<&str> = title
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let is_count = |word: &str| {
        word.chars().all(|c| c.is_ascii_digit()) || word.chars().all(|c| "ivxlc".contains(c))
    };
    let says_nothing = words
        .iter()
        .all(|word| WORDS.contains(word) || is_count(word));
    let extensions = [
        ".pdf", ".tif", ".tiff", ".jpg", ".png", ".doc", ".docx", ".ps", ".eps",
    ];
    let is_file = extensions
        .iter()
        .any(|extension| title.ends_with(extension));
    // Whole sentences are marked places, no sections.
    let is_sentence = words.len() > SENTENCE_WORDS_MIN && title.ends_with(['.', ':', ';'])
        || words.len() > TITLE_WORDS_MAX;
    says_nothing || is_file || is_sentence
}

/// Whether sections divide a document: there are some, and they begin on more than one page if it is
/// long.
#[must_use]
pub fn divides(marks: &[Mark], pages: &[PageBlocks]) -> bool {
    /// A document of more pages is long.
    const SHORT_PAGES_MAX: usize = 4;
    /// More than this part of a document may not lie before the first section or in one.
    const PART_MAX: usize = 2;
    let distinct: BTreeSet<usize> = marks.iter().map(|mark| mark.page).collect();
    if marks.len() < SECTIONS_MIN {
        return false;
    }
    if pages.len() <= SHORT_PAGES_MAX {
        return true;
    }
    let first = distinct.first().copied().unwrap_or_default();
    distinct.len() > SECTIONS_MIN && first * PART_MAX <= pages.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(count: u32) -> Vec<PageBlocks> {
        let page = |number| PageBlocks {
            number,
            ..PageBlocks::default()
        };
        (1..=count).map(page).collect()
    }

    fn judged(entries: &[(&str, u32)], count: u32) -> Judged {
        let bookmark = |(title, page): &(&str, u32)| Bookmark {
            level: 1,
            title: (*title).to_owned(),
            page: (*page > 0).then_some(*page),
            y: None,
        };
        let bookmarks: Vec<Bookmark> = entries.iter().map(bookmark).collect();
        judge(&bookmarks, &pages(count))
    }

    #[test]
    fn bookmarks_are_judged() {
        let good = [("One", 1), ("Two", 3), ("Three", 5)];
        assert_eq!(judged(&good, 6), Judged::Full);
        assert_eq!(judged(&good, 61), Judged::Skeleton);
        let backwards = [("One", 5), ("Two", 3), ("Three", 1)];
        assert_eq!(judged(&backwards, 6), Judged::Ignore);
        let nowhere = [("One", 0), ("Two", 0), ("Three", 5)];
        assert_eq!(judged(&nowhere, 6), Judged::Ignore);
        let outside = [("One", 7), ("Two", 8), ("Three", 9)];
        assert_eq!(judged(&outside, 6), Judged::Ignore);
        let templates = [("Page 1", 1), ("Page 2", 2), ("iii", 3), ("End", 4)];
        assert_eq!(judged(&templates, 6), Judged::Ignore);
        let same = [("Blank", 1), ("Text", 2), ("text", 3), ("Text ", 4)];
        assert_eq!(judged(&same, 6), Judged::Ignore);
        let one_page = [("One", 2), ("Two", 2), ("Three", 2)];
        assert_eq!(judged(&one_page, 6), Judged::Ignore);
        assert_eq!(judged(&[], 6), Judged::Ignore);
    }

    #[test]
    fn templates() {
        for title in [
            "Page 12",
            "12",
            "Slide-3",
            "scan0001.tif",
            "Blank page",
            "iv",
        ] {
            assert!(is_template(title), "{title}");
        }
        assert!(is_template(&"word ".repeat(30)), "a paragraph");
        for title in [
            "Chapter 12",
            "Pages of history",
            "1 Introduction",
            "Scanning",
        ] {
            assert!(!is_template(title), "{title}");
        }
    }
}
