//! The sections of a document: its bookmarks, else its headings.

use kbhost_guest::long_document::{NODES_MAX, Node, SUMMARY_CHARS_MAX, TITLE_CHARS_MAX, Tree};
use kbhost_guest::{Heading, one_line};
use kbhost_pdf_layout::Document;
use kbhost_pdf_layout::layout::block::Role;

/// The bookmarks of a document, else its headings.
pub(crate) fn outline(document: &Document) -> Vec<Heading> {
    let count = u32::try_from(document.pages.len()).unwrap_or(u32::MAX);
    let bookmarks = document.bookmarks.iter().filter_map(|bookmark| {
        let page = bookmark.page.filter(|page| (1..=count).contains(page));
        heading(bookmark.level, &bookmark.title, page)
    });
    let bookmarks: Vec<Heading> = bookmarks.take(NODES_MAX).collect();
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
    headings.take(NODES_MAX).collect()
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
    Tree {
        toc_source: document.tree.toc_source.word(),
        structure: nodes(&document.tree.nodes),
    }
}

/// Levels are bounded where the tree is made.
fn nodes(of_layout: &[kbhost_pdf_layout::tree::Node]) -> Vec<Node> {
    let nodes = of_layout.iter().map(|node| Node {
        title: one_line(&node.title, TITLE_CHARS_MAX),
        start: node.start,
        end: node.end,
        summary: node
            .summary
            .as_ref()
            .map(|text| one_line(text, SUMMARY_CHARS_MAX)),
        nodes: nodes(&node.nodes),
    });
    nodes.collect()
}
