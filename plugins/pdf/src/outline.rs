//! The outline: bookmarks where the file has them, else the headings of its pages.

use kbhost_guest::{Heading, one_line};
use unpdf::model::OutlineItem;
use unpdf::{Block, Outline, Page};

/// Entries beyond this are no outline.
const HEADINGS_MAX: usize = 10_000;
/// Longest title of an entry, in characters.
const TITLE_CHARS_MAX: usize = 300;

fn heading(level: usize, title: &str, page: Option<u32>) -> Option<Heading> {
    let title = one_line(title, TITLE_CHARS_MAX);
    let level = u8::try_from(level.clamp(1, 6)).expect("six fits in a byte");
    (!title.is_empty()).then_some(Heading { level, title, page })
}

/// Bookmarks in document order; a page outside the document is left out.
pub(crate) fn of_bookmarks(outline: &Outline, page_count: u32) -> Vec<Heading> {
    let mut headings = Vec::new();
    let mut pending: Vec<(usize, &OutlineItem)> =
        outline.items.iter().rev().map(|item| (1, item)).collect();
    while let Some((level, item)) = pending.pop() {
        if headings.len() == HEADINGS_MAX {
            break;
        }
        let page = item.page.filter(|page| (1..=page_count).contains(page));
        headings.extend(heading(level, &item.title, page));
        pending.extend(item.children.iter().rev().map(|child| (level + 1, child)));
    }
    headings
}

/// The headings of the pages, in order.
pub(crate) fn of_pages(pages: &[Page]) -> Vec<Heading> {
    let blocks = pages
        .iter()
        .flat_map(|page| page.elements.iter().map(move |block| (page.number, block)));
    let headings = blocks.filter_map(|(page, block)| match block {
        Block::Paragraph(paragraph) => {
            let level = paragraph.style.heading_level?;
            heading(level.into(), &paragraph.plain_text(), Some(page))
        }
        _ => None,
    });
    headings.take(HEADINGS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use unpdf::Paragraph;

    use super::*;

    #[test]
    fn bookmarks_in_document_order() {
        let mut chapter = OutlineItem::new("Chapter\n1", Some(1), 0);
        chapter.add_child(OutlineItem::new("Section", Some(9), 1));
        let mut outline = Outline::new();
        outline.add_item(chapter);
        outline.add_item(OutlineItem::new("  ", Some(2), 0));
        outline.add_item(OutlineItem::new("Chapter 2", Some(3), 0));
        let found: Vec<_> = of_bookmarks(&outline, 3)
            .into_iter()
            .map(|heading| (heading.level, heading.title, heading.page))
            .collect();
        let expected = [
            (1, "Chapter 1", Some(1)),
            (2, "Section", None),
            (1, "Chapter 2", Some(3)),
        ];
        assert_eq!(
            found,
            expected.map(|(level, title, page)| (level, title.to_owned(), page))
        );
    }

    #[test]
    fn headings_of_pages() {
        let mut page = Page::letter(4);
        page.add_paragraph(Paragraph::heading("A", 2));
        page.add_paragraph(Paragraph::with_text("text"));
        let found = of_pages(&[page]);
        assert_eq!(
            found,
            [Heading {
                level: 2,
                title: "A".to_owned(),
                page: Some(4)
            }]
        );
    }
}
