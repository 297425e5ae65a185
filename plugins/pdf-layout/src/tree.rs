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
    let headings = mark::without_empty(mark::of_headings(pages), pages);
    let headings = mark::without_title(mark::without_repeated(headings));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::testing::{at, page};

    /// Pages with a heading of a level at the top or under a line, or none.
    fn pages(headings: &[Option<(&str, u8, bool)>]) -> Vec<PageBlocks> {
        let text = "A sentence of the section that is long enough to be one. Another one.";
        let pages = (1_u32..).zip(headings).map(|(number, heading)| {
            let mut lines = Vec::new();
            if let Some((title, _, is_first)) = heading {
                if !is_first {
                    lines.push((text, at(60.0, 10.0, false)));
                }
                lines.push((*title, at(80.0, 14.0, true)));
            }
            lines.push((text, at(100.0, 10.0, false)));
            let mut page = page(number, &lines);
            for text in page.blocks.iter_mut().filter_map(Block::text_mut) {
                if let Some((title, level, _)) = heading
                    && text.plain() == *title
                {
                    text.role = Role::Heading(*level);
                }
            }
            page
        });
        pages.collect()
    }

    fn shape(nodes: &[Node]) -> Vec<(String, u32, u32, usize)> {
        let mut shapes = Vec::new();
        for node in nodes {
            shapes.push((node.title.clone(), node.start, node.end, node.nodes.len()));
            shapes.extend(shape(&node.nodes));
        }
        shapes
    }

    fn check(tree: &Tree, source: TocSource, expected: &[(&str, u32, u32, usize)]) {
        assert_eq!(tree.toc_source, source);
        let expected: Vec<_> = expected
            .iter()
            .map(|(title, start, end, nodes)| ((*title).to_owned(), *start, *end, *nodes))
            .collect();
        assert_eq!(shape(&tree.nodes), expected);
    }

    #[test]
    fn headings_become_sections() {
        let pages = pages(&[
            None,
            Some(("One", 1, true)),
            Some(("One a", 2, false)),
            None,
            Some(("Two", 1, true)),
            Some(("Three", 1, false)),
        ]);
        let expected = [
            ("Preface", 1, 1, 0),
            ("One", 2, 4, 1),
            ("One a", 3, 4, 0),
            // The third begins under text of the second.
            ("Two", 5, 6, 0),
            ("Three", 6, 6, 0),
        ];
        let tree = of_document(&pages, &[], false);
        check(&tree, TocSource::Detected, &expected);
        let summary = tree.nodes[1].summary.as_deref();
        assert!(
            summary.is_some_and(|text| text.starts_with("A sentence")),
            "{summary:?}"
        );
        check(
            &of_document(&pages, &[], true),
            TocSource::Structure,
            &expected,
        );
    }

    #[test]
    fn a_heading_over_nothing_is_no_section() {
        let mut pages = pages(&[Some(("One", 1, true)), Some(("Two", 1, true)), None]);
        pages[0].blocks.truncate(1);
        let tree = of_document(&pages, &[], false);
        check(
            &tree,
            TocSource::Pages,
            &[
                ("Page 1", 1, 1, 0),
                ("Page 2", 2, 2, 0),
                ("Page 3", 3, 3, 0),
            ],
        );
        let heading = pages[0].blocks[0].clone();
        pages[2].blocks.insert(0, heading);
        let tree = of_document(&pages, &[], false);
        check(
            &tree,
            TocSource::Detected,
            &[("Preface", 1, 1, 0), ("Two", 2, 2, 0), ("One", 3, 3, 0)],
        );
    }

    #[test]
    fn a_title_that_is_everywhere_is_no_section() {
        let with = |count: usize| {
            let mut headings = ["One", "Two", "Three"]
                .map(|title| Some((title, 1, true)))
                .to_vec();
            headings.extend(vec![Some(("Usage", 2, true)); count]);
            let tree = of_document(&pages(&headings), &[], false);
            shape(&tree.nodes).len()
        };
        assert_eq!((with(3), with(4)), (6, 3));
    }

    #[test]
    fn good_bookmarks_are_better_than_headings() {
        let pages = pages(&[Some(("One", 1, true)), None, Some(("Two", 1, true))]);
        let bookmark = |title: &str, level, page| Bookmark {
            level,
            title: title.to_owned(),
            page: Some(page),
            y: None,
        };
        let good = [bookmark("First", 1, 1), bookmark("Within", 3, 2)];
        let expected = [("First", 1, 3, 1), ("Within", 2, 3, 0)];
        check(
            &of_document(&pages, &good, false),
            TocSource::Bookmarks,
            &expected,
        );
        let bad = [bookmark("Page 1", 1, 1), bookmark("Page 2", 1, 2)];
        let expected = [("One", 1, 2, 0), ("Two", 3, 3, 0)];
        check(
            &of_document(&pages, &bad, false),
            TocSource::Detected,
            &expected,
        );
    }

    #[test]
    fn long_sections_are_divided() {
        let mut headings = vec![None; 30];
        headings[4] = Some(("A", 2, true));
        headings[12] = Some(("B", 2, true));
        let pages = pages(&headings);
        let bookmark = |title: &str, page| Bookmark {
            level: 1,
            title: title.to_owned(),
            page: Some(page),
            y: None,
        };
        let bookmarks = [bookmark("One", 1), bookmark("Two", 29)];
        let expected = [
            ("One", 1, 28, 2),
            ("A", 5, 12, 0),
            ("B", 13, 28, 0),
            ("Two", 29, 30, 0),
        ];
        check(
            &of_document(&pages, &bookmarks, false),
            TocSource::Hybrid,
            &expected,
        );
    }

    #[test]
    fn without_sections_there_is_a_node_a_page() {
        let tree = of_document(&pages(&[None, None]), &[], false);
        check(
            &tree,
            TocSource::Pages,
            &[("Page 1", 1, 1, 0), ("Page 2", 2, 2, 0)],
        );
        let empty = vec![PageBlocks::default(); 3];
        check(&of_document(&empty, &[], false), TocSource::Unreadable, &[]);
        let many = pages(&vec![None; NODES_MAX + 1]);
        let tree = of_document(&many, &[], false);
        assert!(tree.nodes.len() <= NODES_MAX);
        let last = tree.nodes.last().map(|node| node.end);
        assert_eq!(last, u32::try_from(NODES_MAX + 1).ok());
    }

    #[test]
    fn levels_and_nodes_are_bounded() {
        let pages = pages(&[None, None, None]);
        let deep: Vec<Bookmark> = (0..100)
            .map(|n| Bookmark {
                level: n + 1,
                title: format!("Level {n} of many"),
                page: Some(u32::from(n) / 40 + 1),
                y: None,
            })
            .collect();
        let tree = of_document(&pages, &deep, false);
        let mut depth = 0;
        let mut nodes = &tree.nodes;
        while let Some(node) = nodes.last() {
            depth += 1;
            nodes = &node.nodes;
        }
        assert!(depth <= LEVELS_MAX, "{depth}");
        let many: Vec<Bookmark> = (0..20_000_u32)
            .map(|n| Bookmark {
                level: if n % 1000 == 0 { 1 } else { 2 },
                title: format!("Title number {n}"),
                page: Some(n / 7000 + 1),
                y: None,
            })
            .collect();
        let tree = of_document(&pages, &many, false);
        assert_eq!(shape(&tree.nodes).len(), 20, "the inner ones are left out");
    }
}
