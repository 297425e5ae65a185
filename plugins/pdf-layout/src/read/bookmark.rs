//! Bookmarks: the outline that a file brings along.
//!
//! Invariant: an item is read once, however the items point at each other.

use std::collections::BTreeSet;

use hayro_syntax::Pdf;
use hayro_syntax::object::{Dict, ObjectIdentifier, String as PdfString};

use super::destination::Destinations;
use super::text_string;
use crate::limits::Limits;
use crate::page::Bookmark;

/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 500;
/// Deeper ones are left out: no table of contents goes as deep.
const LEVEL_MAX: u8 = 32;

/// The bookmarks of a document, each before those within it.
#[must_use]
pub(crate) fn read<'a>(
    pdf: &'a Pdf,
    destinations: &Destinations<'a>,
    limits: &Limits,
) -> Vec<Bookmark> {
    let xref = pdf.xref();
    let outlines = xref
        .get::<Dict<'_>>(xref.root_id())
        .and_then(|catalog| catalog.get::<Dict<'_>>("Outlines"));
    let mut bookmarks = Vec::new();
    let mut visited = BTreeSet::new();
    let mut open = Vec::new();
    open.extend(
        outlines
            .and_then(|root| reference(&root, "First"))
            .map(|id| (id, 1)),
    );
    // Untitled items count too: the bound is of the work.
    while let Some((id, level)) = open.pop() {
        if visited.len() >= limits.bookmarks as usize || !visited.insert(id) {
            continue;
        }
        let Some(item) = xref.get::<Dict<'_>>(id) else {
            continue;
        };
        let title = item
            .get::<PdfString<'_>>("Title")
            .and_then(|title| text_string::line(&title, TITLE_CHARS_MAX));
        if let Some(title) = title {
            let destination = destinations.of_item(&item);
            bookmarks.push(Bookmark {
                level,
                title,
                page: destination.map(|found| found.page),
                y: destination.and_then(|found| found.y),
            });
        }
        open.extend(reference(&item, "Next").map(|next| (next, level)));
        if level < LEVEL_MAX {
            open.extend(reference(&item, "First").map(|first| (first, level + 1)));
        }
    }
    bookmarks
}

fn reference(dict: &Dict<'_>, key: &str) -> Option<ObjectIdentifier> {
    dict.get_ref(key).map(ObjectIdentifier::from)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::two_pages;
    use super::*;

    fn bookmarks(items: &[&str], limits: &Limits) -> Vec<(u8, String, Option<u32>)> {
        let pdf = two_pages("/Outlines 5 0 R", "", items);
        let destinations = Destinations::new(&pdf, limits);
        read(&pdf, &destinations, limits)
            .into_iter()
            .map(|bookmark| (bookmark.level, bookmark.title, bookmark.page))
            .collect()
    }

    fn owned(expected: &[(u8, &str, Option<u32>)]) -> Vec<(u8, String, Option<u32>)> {
        let one = |(level, title, page): &(u8, &str, _)| (*level, (*title).to_owned(), *page);
        expected.iter().map(one).collect()
    }

    #[test]
    fn the_outline_is_walked_in_order() {
        let items = [
            "<</First 6 0 R/Last 9 0 R>>",
            "<</Title(One)/Next 9 0 R/First 7 0 R/Dest[3 0 R/Fit]>>",
            "<</Title<FEFF00310061>/Next 8 0 R/A<</S/GoTo/D[4 0 R/Fit]>>>>",
            "<</Title(1b\n ?)>>",
            "<</Title(Two)/A<</S/URI/URI(https://a.example)>>>>",
        ];
        let expected = [
            (1, "One", Some(1)),
            (2, "1a", Some(2)),
            (2, "1b ?", None),
            (1, "Two", None),
        ];
        assert_eq!(bookmarks(&items, &Limits::default()), owned(&expected));
    }

    #[test]
    fn cycles_end() {
        let items = [
            "<</First 6 0 R>>",
            "<</Title(a)/Next 7 0 R/First 6 0 R>>",
            "<</Title(b)/Next 6 0 R/First 5 0 R>>",
        ];
        let expected = [(1, "a", None), (1, "b", None)];
        // The root has no title: as an item it is nothing, and its first is known.
        assert_eq!(bookmarks(&items, &Limits::default()), owned(&expected));
    }

    #[test]
    fn bounds_hold() {
        let deep: Vec<std::string::String> = std::iter::once("<</First 6 0 R>>".to_owned())
            .chain((7..107).map(|next| format!("<</Title(deep)/First {next} 0 R>>")))
            .collect();
        let deep: Vec<&str> = deep.iter().map(std::string::String::as_str).collect();
        let levels = bookmarks(&deep, &Limits::default());
        assert_eq!(levels.len(), usize::from(LEVEL_MAX));

        let long: Vec<std::string::String> = std::iter::once("<</First 6 0 R>>".to_owned())
            .chain((7..107).map(|next| format!("<</Title(long)/Next {next} 0 R>>")))
            .collect();
        let long: Vec<&str> = long.iter().map(std::string::String::as_str).collect();
        let limits = Limits {
            bookmarks: 60,
            ..Limits::default()
        };
        assert_eq!(bookmarks(&long, &limits).len(), 60);
        assert_eq!(bookmarks(&long, &Limits::default()).len(), 100);
    }
}
