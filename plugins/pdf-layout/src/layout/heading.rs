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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::testing::{at, block, line, page, roles};

    const TEXT: &str = "Running text of the body that goes on for a while and ends with a stop.";

    fn headings(lines: &[(&str, f32, bool)]) -> Vec<(String, u8)> {
        let mut y = 60.0;
        let mut set = Vec::new();
        for (text, size, is_bold) in lines {
            // More space above what is set apart.
            y += if *is_bold || *size > 10.0 { 26.0 } else { 14.0 };
            set.push((*text, at(y, *size, *is_bold)));
        }
        let mut pages = vec![page(1, &set)];
        mark(&mut pages, &[]);
        let found = roles(&pages[0]).into_iter();
        found
            .filter_map(|(text, role)| match role {
                Role::Heading(level) => Some((text, level)),
                _ => None,
            })
            .collect()
    }

    fn check(lines: &[(&str, f32, bool)], expected: &[(&str, u8)]) {
        let expected: Vec<(String, u8)> = expected
            .iter()
            .map(|(text, level)| ((*text).to_owned(), *level))
            .collect();
        assert_eq!(headings(lines), expected);
    }

    #[test]
    fn size_weight_and_number_make_headings() {
        let text = (TEXT, 10.0, false);
        check(
            &[
                ("The title", 18.0, true),
                text,
                ("1 One", 14.0, true),
                text,
                ("1.1 Two", 12.0, true),
                text,
            ],
            &[("The title", 1), ("1 One", 2), ("1.1 Two", 3)],
        );
        // Bold lines of the size of the text, and the depth of numbers of one look.
        check(
            &[
                text,
                ("1 One", 10.0, true),
                text,
                ("1.1 Two", 10.0, true),
                text,
                ("References", 10.0, true),
                text,
            ],
            &[("1 One", 1), ("1.1 Two", 2), ("References", 1)],
        );
    }

    #[test]
    fn what_is_set_apart_and_is_none() {
        let text = (TEXT, 10.0, false);
        for line in [
            "Table 2: Results of the test",
            "Nothing is ever to be done without a plan for it.",
            "someone@example.com",
            "3 + 4 = 7",
            "17",
            "Introduction ........... 12",
        ] {
            check(&[text, (line, 10.0, true), text], &[]);
        }
        check(&[text, ("Just a short line", 10.0, false), text], &[]);
    }

    #[test]
    fn a_heading_that_is_glued_to_its_text_is_split_off() {
        let lines = vec![
            line("Glued heading", at(80.0, 10.0, true)),
            line(TEXT, at(92.0, 10.0, false)),
            line(TEXT, at(104.0, 10.0, false)),
        ];
        let mut pages = vec![page(1, &[])];
        pages[0].blocks.push(block(lines));
        mark(&mut pages, &[]);
        let found = roles(&pages[0]);
        assert_eq!(found[0], ("Glued heading".to_owned(), Role::Heading(1)));
        assert_eq!(found[1].1, Role::Paragraph);
    }

    #[test]
    fn bookmarks_name_headings() {
        let text = (TEXT, at(100.0, 10.0, false));
        let named = ("Just a short line", at(80.0, 10.0, false));
        let mut pages = vec![page(1, &[named, text]), page(2, &[named, text])];
        let bookmark = |page, level, title: &str| Bookmark {
            level,
            title: title.to_owned(),
            page: Some(page),
            y: None,
        };
        let bookmarks = [
            bookmark(1, 1, "Just a short line"),
            bookmark(2, 2, "Another"),
        ];
        mark(&mut pages, &bookmarks);
        assert_eq!(roles(&pages[0])[0].1, Role::Heading(1));
        assert_eq!(roles(&pages[1])[0].1, Role::Paragraph, "another page");
    }

    #[test]
    fn names_under_a_title_are_none() {
        let text = (TEXT, 10.0, false);
        check(
            &[
                ("A Title of a Paper", 18.0, false),
                ("Ada Writer", 12.0, false),
                ("Some Institute", 10.0, true),
                ("Abstract", 12.0, true),
                text,
            ],
            &[("A Title of a Paper", 1), ("Abstract", 2)],
        );
    }
}
