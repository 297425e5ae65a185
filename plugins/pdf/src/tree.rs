//! The sections of a document: its bookmarks, else its headings.

use kbhost_guest::long_document::{Node, TITLE_CHARS_MAX, Tree};
use kbhost_guest::{Heading, one_line};
use kbhost_pdf_layout::Document;
use kbhost_pdf_layout::layout::block::Role;

/// Entries beyond this are no outline.
const HEADINGS_MAX: usize = 9_999;

/// The bookmarks of a document, else its headings.
pub(crate) fn outline(document: &Document) -> Vec<Heading> {
    let count = u32::try_from(document.pages.len()).unwrap_or(u32::MAX);
    let bookmarks = document.bookmarks.iter().filter_map(|bookmark| {
        let page = bookmark.page.filter(|page| (1..=count).contains(page));
        heading(bookmark.level, &bookmark.title, page)
    });
    let bookmarks: Vec<Heading> = bookmarks.take(HEADINGS_MAX).collect();
    if bookmarks.is_empty() {
        headings(document)
    } else {
        bookmarks
    }
}

fn headings(document: &Document) -> Vec<Heading> {
    let blocks = document
        .pages
        .iter()
        .flat_map(|page| page.blocks.iter().map(move |block| (page.number, block)));
    let headings = blocks.filter_map(|(page, block)| {
        let text = block.text()?;
        match text.role {
            Role::Heading(level) => heading(level, &text.plain(), Some(page)),
            _ => None,
        }
    });
    headings.take(HEADINGS_MAX).collect()
}

fn heading(level: u8, title: &str, page: Option<u32>) -> Option<Heading> {
    let title = one_line(title, TITLE_CHARS_MAX);
    (!title.is_empty()).then_some(Heading {
        level: level.clamp(1, 6),
        title,
        page,
    })
}

/// The tree of sections.
pub(crate) fn of_document(document: &Document) -> Tree {
    let count = u32::try_from(document.pages.len()).unwrap_or(u32::MAX);
    let outline = outline(document);
    let mut entries: Vec<(u8, Node)> = Vec::new();
    let mut start = 1;
    for heading in &outline {
        start = heading.page.unwrap_or(start).max(start);
        let node = Node {
            title: heading.title.clone(),
            start,
            end: count,
            summary: None,
            nodes: Vec::new(),
        };
        entries.push((heading.level, node));
    }
    Tree {
        toc_source: if document.bookmarks.is_empty() {
            "headings"
        } else {
            "bookmarks"
        },
        structure: nested(&mut entries.into_iter().peekable(), 0, count),
    }
}

fn nested(
    entries: &mut std::iter::Peekable<std::vec::IntoIter<(u8, Node)>>,
    level: u8,
    end: u32,
) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    while let Some((own, mut node)) = entries.next_if(|(own, _)| *own > level) {
        node.nodes = nested(entries, own, end);
        nodes.push(node);
    }
    close(&mut nodes, end);
    nodes
}

/// Lets every section end where the next one begins, and the last one at `end`.
fn close(nodes: &mut [Node], end: u32) {
    let mut end = end;
    for node in nodes.iter_mut().rev() {
        node.end = end.max(node.start);
        close(&mut node.nodes, node.end);
        end = node.start;
    }
}
