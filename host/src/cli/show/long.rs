//! `show --tree`, `--pages` and `--node`: parts of a long document.
//!
//! Invariant: tree and pages are read anew as if a stranger had written them, under the lock that the
//! page reader holds; nothing is printed before the lock is let go.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::{print, tell};
use crate::cli::args::ShowArgs;
use crate::cli::error::CommandError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;
use crate::kb::pages::{self, PAGES_JSON_BYTES_MAX, PAGES_MAX, RawImage, ReadError};
use crate::kb::registry::{Catalogue, DocumentRow};
use crate::kb::tree::{Node, NodeId, Tree};
use crate::kb::{KbPath, PageRanges, PathError, SafeLine, layout};
use crate::mutation::PageReader;

/// What is wanted of a long document.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// The tree alone.
    Tree,
    /// The texts of some pages.
    Pages(PageRanges),
    /// A section with the texts of its pages.
    Node(NodeId),
}

impl Wanted {
    /// What the flags ask for; `None` if they ask for a whole page of the wiki.
    pub(super) fn of(args: &ShowArgs) -> Option<Self> {
        let pages = args.pages.clone().map(Self::Pages);
        let node = args.node.map(Self::Node);
        pages.or(node).or(args.tree.then_some(Self::Tree))
    }
}

/// A page as it is answered.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct PageText {
    page: u32,
    content: String,
    /// Where its pictures lie, from the wiki's folder.
    images: Vec<String>,
}

/// The pages that were asked for.
#[derive(Debug)]
struct Picked {
    pages: Vec<PageText>,
    /// Those on which there is nothing.
    blank: PageRanges,
    /// Those that there are not.
    missing: PageRanges,
    /// How many pages the document has.
    count: u32,
}

#[derive(Serialize)]
struct Answer<'a> {
    document: &'a DocumentRow,
    #[serde(skip_serializing_if = "Option::is_none")]
    tree: Option<&'a Tree>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<&'a Node>,
    #[serde(flatten)]
    texts: Option<Texts<'a>>,
    warnings: &'a [SafeLine],
}

/// The pages of an answer; where they are, and in the form of `--pages` those that are not.
#[derive(Serialize)]
struct Texts<'a> {
    path: &'a KbPath,
    pages: &'a [PageText],
    blank: &'a PageRanges,
    missing: &'a PageRanges,
}

/// Prints what is wanted of the document.
///
/// # Errors
/// If the document has no tree or no pages, or not these, or they cannot be read.
pub(super) fn run(
    ui: &mut Ui,
    reader: PageReader,
    catalogue: &Catalogue,
    document: &DocumentRow,
    wanted: &Wanted,
) -> Result<Exit, CommandError> {
    let path = layout::source_pages_json(&document.doc_name);
    let tree = match wanted {
        Wanted::Tree | Wanted::Node(_) => Some(tree_of(catalogue, document)?),
        Wanted::Pages(_) => None,
    };
    let node = match (wanted, &tree) {
        (Wanted::Node(id), Some(tree)) => Some(node_of(tree, *id, document)?),
        _ => None,
    };
    let ranges = match wanted {
        Wanted::Tree => None,
        Wanted::Pages(ranges) => Some(ranges.clone()),
        Wanted::Node(_) => node.map(|node| PageRanges::of(vec![node.start..=node.end])),
    };
    let picked = ranges.map(|ranges| pick(&reader, document, &path, &ranges));
    let warnings = reader.warnings().to_vec();
    // Whoever reads what is printed may take an hour.
    drop(reader);
    let picked = picked.transpose()?;
    tell(ui, &warnings);
    if ui.json() {
        ui.answer(Answer {
            document,
            tree: tree.as_ref().filter(|_| node.is_none()),
            node,
            texts: picked.as_ref().map(|picked| Texts {
                path: &path,
                pages: &picked.pages,
                blank: &picked.blank,
                missing: &picked.missing,
            }),
            warnings: &warnings,
        });
    } else {
        let mut text = match (node, &tree) {
            (Some(node), _) => section(node),
            (None, Some(tree)) => listing(&tree.nodes, 0),
            (None, None) => String::new(),
        };
        if let Some(picked) = &picked {
            tell_missing(ui, picked);
            text.push_str(&joined(&picked.pages, !text.is_empty()));
        }
        print(ui, text.as_bytes());
    }
    Ok(Exit::Done)
}

fn tree_of(catalogue: &Catalogue, document: &DocumentRow) -> Result<Tree, CommandError> {
    let tree = catalogue.tree(document.ordinal)?;
    tree.ok_or_else(|| CommandError::NoTree {
        name: document.doc_name.clone(),
        is_long: is_long(document),
    })
}

fn node_of<'a>(
    tree: &'a Tree,
    id: NodeId,
    document: &DocumentRow,
) -> Result<&'a Node, CommandError> {
    tree.node(id).ok_or_else(|| CommandError::NoNode {
        name: document.doc_name.clone(),
        id,
    })
}

/// Whether the registry says that the document has pages of their own.
fn is_long(document: &DocumentRow) -> bool {
    matches!(document.kind.as_str(), "long_pdf" | "pageindex_cloud")
}

/// Reads the pages that are asked for.
fn pick(
    reader: &PageReader,
    document: &DocumentRow,
    path: &KbPath,
    wanted: &PageRanges,
) -> Result<Picked, CommandError> {
    let Some(json) = reader.read(path, PAGES_JSON_BYTES_MAX)? else {
        let name = document.doc_name.clone();
        return Err(if is_long(document) {
            CommandError::NoPage {
                name,
                path: path.clone(),
            }
        } else {
            CommandError::NoPages(name)
        });
    };
    let picked = pick_from(&json, document.pages, wanted).map_err(|error| match error {
        ReadError::Invalid(reason) => CommandError::PagesInvalid {
            path: path.clone(),
            reason: SafeLine::new(&reason),
        },
        ReadError::Io(error) => PathError::new("read", path.as_str(), error).into(),
    })?;
    if picked.pages.is_empty() && picked.blank.is_empty() {
        return Err(CommandError::NoSuchPages {
            name: document.doc_name.clone(),
            pages: wanted.to_string(),
            count: picked.count,
        });
    }
    Ok(picked)
}

/// Picks pages from the JSON of all. Of two of one number the first counts.
fn pick_from(
    json: &[u8],
    page_count: Option<u32>,
    wanted: &PageRanges,
) -> Result<Picked, ReadError> {
    let mut found = BTreeMap::new();
    let mut last = 0;
    pages::each(json, &mut |raw| {
        let number = u32::try_from(raw.page).ok();
        let page = number
            .filter(|number| (1..=PAGES_MAX).contains(number))
            .ok_or_else(|| format!("page {}", raw.page))?;
        last = last.max(page);
        if wanted.contains(page) {
            found.entry(page).or_insert_with(|| PageText {
                page,
                content: raw.content,
                images: raw
                    .images
                    .into_iter()
                    .map(|RawImage { path }| path)
                    .collect(),
            });
        }
        Ok(())
    })?;
    let count = page_count.unwrap_or(0).max(last);
    let without_text = wanted.filter(|page| !found.contains_key(&page));
    Ok(Picked {
        blank: without_text.filter(|page| page <= count),
        missing: without_text.filter(|page| page > count),
        pages: found.into_values().collect(),
        count,
    })
}

fn tell_missing(ui: &mut Ui, picked: &Picked) {
    if !picked.blank.is_empty() {
        ui.note(&format!("no text and no images on: {}", picked.blank));
    }
    if !picked.missing.is_empty() {
        let (missing, count) = (&picked.missing, picked.count);
        ui.warning(&format!(
            "pages that there are not: {missing}; the document has {count}"
        ));
    }
}

/// One line for each node: its id, its title, its pages.
fn listing(nodes: &[Node], level: usize) -> String {
    let mut lines = String::new();
    for node in nodes {
        let indent = "  ".repeat(level);
        writeln!(lines, "{indent}{}", heading(node)).expect("writing to a String cannot fail");
        lines.push_str(&listing(&node.nodes, level + 1));
    }
    lines
}

fn heading(node: &Node) -> String {
    let Node {
        node_id,
        title,
        start,
        end,
        ..
    } = node;
    if start == end {
        format!("{node_id} {title} (page {start})")
    } else {
        format!("{node_id} {title} (pages {start}–{end})")
    }
}

/// What there is to say of a section apart from its text.
fn section(node: &Node) -> String {
    let mut text = format!("{}\n", heading(node));
    if let Some(summary) = &node.summary {
        text.push_str(&format!("Summary: {summary}\n"));
    }
    text.push_str(&listing(&node.nodes, 1));
    text
}

/// The texts of pages, each after a line with its number.
fn joined(pages: &[PageText], is_continued: bool) -> String {
    let mut text = String::new();
    for page in pages {
        if is_continued || !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&format!("--- page {} ---\n", page.page));
        let content = page.content.trim_end();
        if content.is_empty() {
            for image in &page.images {
                text.push_str(&format!("![]({})\n", SafeLine::new(image)));
            }
        } else {
            text.push_str(&format!("{content}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(json: &str, page_count: Option<u32>, wanted: &str) -> Picked {
        let wanted = PageRanges::parse(wanted).unwrap();
        pick_from(json.as_bytes(), page_count, &wanted).unwrap()
    }

    #[test]
    fn pages_are_picked_and_the_others_named() {
        let json = r#"[{"page":1,"content":"One\n"},{"page":3,"content":"","images":[{"path":"p"}]},
                       {"page":3,"content":"twice"}]"#;
        let found = picked(json, Some(4), "1-6");
        let numbers: Vec<_> = found.pages.iter().map(|page| page.page).collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!(found.blank.to_string(), "2,4");
        assert_eq!(found.missing.to_string(), "5-6");
        assert_eq!(
            joined(&found.pages, false),
            "--- page 1 ---\nOne\n\n--- page 3 ---\n![](p)\n"
        );
        let unknown = picked(json, None, "2-100000");
        assert_eq!(unknown.missing.to_string(), "4-100000");
        assert_eq!(unknown.count, 3);
    }

    #[test]
    fn pages_of_a_stranger_are_judged() {
        let wanted = PageRanges::parse("1").unwrap();
        for bad in [
            "",
            "{}",
            r#"[{"page":0,"content":""}]"#,
            r#"[{"page":100001,"content":""}]"#,
            r#"[{"page":1,"content":7}]"#,
        ] {
            let read = pick_from(bad.as_bytes(), None, &wanted);
            assert!(
                matches!(read, Err(ReadError::Invalid(_))),
                "{bad}: {read:?}"
            );
        }
    }
}
