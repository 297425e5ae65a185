//! The tree of sections of a document: from the structure of a tagged file, from bookmarks, from a
//! printed table of contents, from the headings, or a node a page; the first that is good.
//!
//! Invariant: at most [`NODES_MAX`] nodes and [`LEVELS_MAX`] levels; pages are those of the document,
//! from 1, inclusive; a section ends on the page on which the next one begins, or before it where that
//! begins at the top; the same document gives the same tree.

pub mod mark;
pub mod source;
pub mod summary;

use crate::layout::block::{Block, PageBlocks, Role};
use crate::layout::contents;
use crate::page::Bookmark;
use mark::Mark;
use source::Judged;
pub use source::TocSource;

/// Nodes of a tree: as many as ids of four digits can tell apart.
pub const NODES_MAX: usize = 9_999;
/// Levels of a tree.
pub const LEVELS_MAX: usize = 16;
/// Headings a page beyond which the deepest levels are left out: what is smaller is no section.
const NODES_PER_PAGE_MAX: usize = 6;
/// A section without sections of more pages than this is divided by the headings within.
const LEAF_PAGES_MAX: usize = 20;
/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 300;

/// A section, with pages from 1, inclusive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its heading.
    pub title: String,
    /// Its first page.
    pub start: u32,
    /// Its last page.
    pub end: u32,
    /// Its first sentences.
    pub summary: Option<String>,
    /// The sections within.
    pub nodes: Vec<Node>,
}

/// The sections of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// What they were taken from.
    pub toc_source: TocSource,
    /// The outermost ones.
    pub nodes: Vec<Node>,
}

/// The tree of a document whose pages are laid out; `is_tagged` if its headings are those of its own
/// structure tree.
#[must_use]
pub fn of_document(pages: &[PageBlocks], bookmarks: &[Bookmark], is_tagged: bool) -> Tree {
    if !pages.iter().any(has_text) && bookmarks.is_empty() {
        return Tree {
            toc_source: TocSource::Unreadable,
            nodes: Vec::new(),
        };
    }
    let (mut toc_source, mut marks) = best(pages, bookmarks, is_tagged);
    if matches!(toc_source, TocSource::Bookmarks | TocSource::Contents) {
        let (divided, changed) =
            mark::divided(marks, &mark::of_headings(pages), pages, LEAF_PAGES_MAX);
        marks = divided;
        if changed {
            toc_source = TocSource::Hybrid;
        }
    }
    let marks = mark::bounded(marks, NODES_MAX.min(20 + NODES_PER_PAGE_MAX * pages.len()));
    let nodes = if toc_source == TocSource::Pages {
        one_a_page(pages)
    } else {
        nested(&marks, pages)
    };
    Tree { toc_source, nodes }
}

fn has_text(page: &PageBlocks) -> bool {
    page.blocks.iter().any(|block| match block.text() {
        Some(text) => text.role != Role::Furniture,
        None => matches!(block.kind, crate::layout::block::BlockKind::Table(_)),
    })
}

/// The best source and what it says.
fn best(pages: &[PageBlocks], bookmarks: &[Bookmark], is_tagged: bool) -> (TocSource, Vec<Mark>) {
    let headings = mark::without_title(mark::of_headings(pages));
    if is_tagged && source::divides(&headings, pages) {
        return (TocSource::Structure, headings);
    }
    let judged = source::judge(bookmarks, pages);
    if judged == Judged::Full {
        return (TocSource::Bookmarks, mark::of_bookmarks(bookmarks, pages));
    }
    let contents = contents::find(pages);
    let printed = mark::of_contents(&contents, pages);
    if source::divides(&printed, pages) {
        return (TocSource::Contents, printed);
    }
    if judged == Judged::Skeleton {
        return (TocSource::Bookmarks, mark::of_bookmarks(bookmarks, pages));
    }
    if source::divides(&headings, pages) {
        return (TocSource::Detected, headings);
    }
    (TocSource::Pages, Vec::new())
}

/// Sections within sections.
fn nested(marks: &[Mark], pages: &[PageBlocks]) -> Vec<Node> {
    let last = pages.last().map_or(1, |page| page.number);
    let number = |at: usize| pages.get(at).map_or(last, |page| page.number);
    let mut nodes = Vec::new();
    if let Some(first) = marks.first()
        && first.page > 0
    {
        let end = end_before(first, 0, pages);
        nodes.push(Node {
            title: "Preface".to_owned(),
            start: number(0),
            end: number(end),
            summary: summary::of(pages, (0, 0), (first.page, first.block)),
            nodes: Vec::new(),
        });
    }
    // Each open node with its level; a node that is closed goes into the one below it.
    let mut open: Vec<(u8, Node)> = Vec::new();
    for (n, mark) in marks.iter().enumerate() {
        close(&mut open, &mut nodes, mark.level);
        let next = marks.get(n + 1);
        let after = marks
            .iter()
            .skip(n + 1)
            .find(|next| next.level <= mark.level);
        let end = after.map_or(pages.len().saturating_sub(1), |after| {
            end_before(after, mark.page, pages)
        });
        let until = next.map_or((usize::MAX, 0), |next| (next.page, next.block));
        let from = (mark.page, mark.block);
        open.push((
            mark.level,
            Node {
                title: mark.title.chars().take(TITLE_CHARS_MAX).collect(),
                start: number(mark.page),
                end: number(end.max(mark.page)),
                summary: summary::of(pages, from, until),
                nodes: Vec::new(),
            },
        ));
    }
    close(&mut open, &mut nodes, 0);
    nodes
}

/// Closes the open nodes that are as deep as `level` or deeper.
fn close(open: &mut Vec<(u8, Node)>, nodes: &mut Vec<Node>, level: u8) {
    while open.last().is_some_and(|(own, _)| *own >= level) {
        let Some((_, node)) = open.pop() else {
            break;
        };
        match open.last_mut() {
            Some((_, outer)) => outer.nodes.push(node),
            None => nodes.push(node),
        }
    }
}

/// The last page of what ends where `next` begins.
fn end_before(next: &Mark, start: usize, pages: &[PageBlocks]) -> usize {
    let before = pages.get(next.page).map(|page| &page.blocks);
    let before = before
        .and_then(|blocks| blocks.get(..next.block))
        .unwrap_or_default();
    let is_at_top = !before.iter().any(is_content);
    if is_at_top && next.page > start {
        next.page - 1
    } else {
        next.page
    }
}

fn is_content(block: &Block) -> bool {
    block.text().is_none_or(|text| text.role != Role::Furniture)
}

/// A node for each page, or for as many pages as it takes.
fn one_a_page(pages: &[PageBlocks]) -> Vec<Node> {
    let step = pages.len().div_ceil(NODES_MAX).max(1);
    let chunks = pages.chunks(step).enumerate();
    let nodes = chunks.filter_map(|(n, chunk)| {
        let (start, end) = (chunk.first()?.number, chunk.last()?.number);
        let title = if start == end {
            format!("Page {start}")
        } else {
            format!("Pages {start}–{end}")
        };
        Some(Node {
            title,
            start,
            end,
            summary: summary::of(pages, (n * step, 0), ((n + 1) * step, 0)),
            nodes: Vec::new(),
        })
    });
    nodes.collect()
}
