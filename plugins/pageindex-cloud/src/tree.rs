//! The tree of sections, from the several forms in which the service writes it to one.

use kbhost_guest::long_document::{
    NODES_MAX, Node, SUMMARY_CHARS_MAX, TITLE_CHARS_MAX, Tree, defused,
};
use kbhost_guest::{ConvertError, Warnings, one_line};
use serde_json::{Map, Value};

use crate::api::{kind, member};
use crate::fault::wrong;

/// Sections within sections: no contents go deeper.
const DEPTH_MAX: usize = 16;
/// What stands for a title that is not there.
const UNTITLED: &str = "Untitled";

/// What was left out or corrected.
#[derive(Default)]
struct Counts {
    nodes: usize,
    too_deep: usize,
    too_many: usize,
    outside: usize,
}

/// A section whose end may still be open.
struct Draft {
    title: String,
    start: u32,
    end: Option<u32>,
    summary: Option<String>,
    nodes: Vec<Draft>,
}

/// The tree of a document with so many pages.
pub(crate) fn tree(
    nodes: &[Value],
    pages: u32,
    warnings: &mut Warnings,
) -> Result<Tree, ConvertError> {
    let mut counts = Counts::default();
    let drafts = drafts(nodes, pages, 1, &mut counts)?;
    let Counts {
        too_deep,
        too_many,
        outside,
        ..
    } = counts;
    let mut warn = |count: usize, what: &str| {
        if count > 0 {
            warnings.push(&format!("{count} sections {what}"));
        }
    };
    warn(
        outside,
        "of the service's tree lay outside the document's pages; they were moved inside",
    );
    warn(
        too_deep,
        "of the service's tree were nested too deep; they were left out",
    );
    warn(
        too_many,
        "of the service's tree were one too many; they were left out",
    );
    Ok(Tree {
        toc_source: "cloud",
        structure: closed(drafts, pages),
    })
}

fn drafts(
    nodes: &[Value],
    pages: u32,
    depth: usize,
    counts: &mut Counts,
) -> Result<Vec<Draft>, ConvertError> {
    let mut drafts = Vec::new();
    for node in nodes {
        if depth > DEPTH_MAX {
            counts.too_deep += 1;
            continue;
        }
        if counts.nodes == NODES_MAX {
            counts.too_many += 1;
            continue;
        }
        counts.nodes += 1;
        let Value::Object(node) = node else {
            return Err(wrong("the tree", &format!("{} for a section", kind(node))));
        };
        drafts.push(draft(node, pages, depth, counts)?);
    }
    Ok(drafts)
}

fn draft(
    node: &Map<String, Value>,
    pages: u32,
    depth: usize,
    counts: &mut Counts,
) -> Result<Draft, ConvertError> {
    let title = text(node, &["title"], TITLE_CHARS_MAX)?;
    let summary = text(node, &["summary", "prefix_summary"], SUMMARY_CHARS_MAX)?;
    let Some(first) = index(node, &["start_index", "page_index"])? else {
        let what = title.unwrap_or_default();
        let how = format!("neither `start_index` nor `page_index` in the section `{what}`");
        return Err(wrong("the tree", &how));
    };
    let last = index(node, &["end_index"])?;
    let within = |page: u64| {
        let page = page.clamp(1, u64::from(pages.max(1)));
        u32::try_from(page).expect("it is at most the number of pages")
    };
    let start = within(first);
    let end = last.map(|last| within(last).max(start));
    let is_moved =
        u64::from(start) != first || last.is_some_and(|it| end.map(u64::from) != Some(it));
    counts.outside += usize::from(is_moved);
    let nodes = match node.get("nodes") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(nodes)) => drafts(nodes, pages, depth + 1, counts)?,
        Some(other) => {
            let how = format!("{} for the sections within another", kind(other));
            return Err(wrong("the tree", &how));
        }
    };
    Ok(Draft {
        title: title.unwrap_or_else(|| UNTITLED.to_owned()),
        start,
        end,
        summary,
        nodes,
    })
}

fn text(
    node: &Map<String, Value>,
    names: &[&str],
    chars_max: usize,
) -> Result<Option<String>, ConvertError> {
    match member(node, names) {
        None => Ok(None),
        Some(Value::String(text)) => {
            let line = defused(&one_line(text, chars_max));
            Ok((!line.is_empty()).then_some(line))
        }
        Some(other) => {
            let how = format!("{} for the {} of a section", kind(other), names[0]);
            Err(wrong("the tree", &how))
        }
    }
}

fn index(node: &Map<String, Value>, names: &[&str]) -> Result<Option<u64>, ConvertError> {
    match member(node, names) {
        None => Ok(None),
        // Below the first page is the first page.
        Some(value) if value.is_i64() || value.is_u64() => Ok(Some(value.as_u64().unwrap_or(0))),
        Some(other) => {
            let how = format!("{} for the {} of a section", kind(other), names[0]);
            Err(wrong("the tree", &how))
        }
    }
}

/// Closes what is open: a section ends where the next one begins, the last one with `last`.
fn closed(drafts: Vec<Draft>, last: u32) -> Vec<Node> {
    let starts: Vec<u32> = drafts.iter().map(|draft| draft.start).collect();
    let nodes = drafts.into_iter().enumerate().map(|(at, draft)| {
        let open_end = starts.get(at + 1).copied().unwrap_or(last);
        let end = draft.end.unwrap_or(open_end).max(draft.start);
        Node {
            title: draft.title,
            start: draft.start,
            end,
            summary: draft.summary,
            nodes: closed(draft.nodes, end),
        }
    });
    nodes.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value, pages: u32) -> (Result<Tree, ConvertError>, Vec<String>) {
        let mut warnings = Warnings::default();
        let tree = tree(value.as_array().unwrap(), pages, &mut warnings);
        (tree, warnings.into_sentences())
    }

    /// Title, first and last page of each section, in preorder.
    fn flat(nodes: &[Node]) -> Vec<(String, u32, u32)> {
        let flat = nodes.iter().flat_map(|node| {
            let own = (node.title.clone(), node.start, node.end);
            std::iter::once(own).chain(flat(&node.nodes))
        });
        flat.collect()
    }

    #[test]
    fn ends_are_found() {
        let check = |value: Value, expected: &[(&str, u32, u32)]| {
            let (tree, warnings) = read(&value, 9);
            let expected: Vec<_> = (expected.iter())
                .map(|(title, start, end)| ((*title).to_owned(), *start, *end))
                .collect();
            assert_eq!(flat(&tree.unwrap().structure), expected, "{value}");
            assert_eq!(warnings, [""; 0]);
        };
        check(json!([]), &[]);
        check(
            json!([{"title": "A", "start_index": 2, "end_index": 3}]),
            &[("A", 2, 3)],
        );
        check(
            json!([{"title": "A", "page_index": 1}, {"title": "B", "page_index": 4}]),
            &[("A", 1, 4), ("B", 4, 9)],
        );
        check(
            json!([
                {"title": "A", "page_index": 1, "nodes": [{"title": "a", "page_index": 2}, {"title": "b", "page_index": 3}]},
                {"title": "B", "start_index": 5, "end_index": null, "nodes": null},
            ]),
            &[("A", 1, 5), ("a", 2, 3), ("b", 3, 5), ("B", 5, 9)],
        );
        check(
            json!([{"title": " ", "start_index": 9}]),
            &[("Untitled", 9, 9)],
        );
        // Out of order: no section ends before it begins.
        check(
            json!([{"title": "A", "page_index": 6}, {"title": "B", "page_index": 2}]),
            &[("A", 6, 6), ("B", 2, 9)],
        );
    }

    #[test]
    fn pages_outside_are_moved_and_told() {
        for (value, start, end) in [
            (
                json!([{"title": "A", "start_index": 0, "end_index": 99}]),
                1,
                9,
            ),
            (
                json!([{"title": "A", "start_index": -3, "end_index": 2}]),
                1,
                2,
            ),
            (
                json!([{"title": "A", "start_index": 5, "end_index": 2}]),
                5,
                5,
            ),
            (json!([{"title": "A", "start_index": u64::MAX}]), 9, 9),
        ] {
            let (tree, warnings) = read(&value, 9);
            let tree = tree.unwrap();
            assert_eq!(
                (tree.structure[0].start, tree.structure[0].end),
                (start, end)
            );
            assert_eq!(warnings.len(), 1, "{value}");
        }
    }

    #[test]
    fn wrong_shapes_are_named() {
        for (value, expected) in [
            (json!(["A"]), "a text for a section"),
            (
                json!([{"title": 1, "start_index": 1}]),
                "a number for the title",
            ),
            (json!([{"title": "A"}]), "in the section `A`"),
            (
                json!([{"title": "A", "start_index": "1"}]),
                "a text for the start_index",
            ),
            (
                json!([{"title": "A", "start_index": 1.5}]),
                "a number for the start_index",
            ),
            (
                json!([{"start_index": 1, "summary": []}]),
                "a list for the summary",
            ),
            (
                json!([{"start_index": 1, "nodes": {}}]),
                "an object for the sections within",
            ),
        ] {
            let (tree, _) = read(&value, 9);
            let Err(ConvertError::Upstream(message)) = tree else {
                panic!("{value}: {tree:?}");
            };
            assert!(message.contains(expected), "{message}");
        }
    }

    #[test]
    fn depth_count_and_lengths_are_bounded() {
        let mut node =
            json!({"title": "x".repeat(5_000), "start_index": 1, "summary": "y".repeat(9_000)});
        for _ in 0..DEPTH_MAX {
            node = json!({"title": "A", "start_index": 1, "nodes": [node]});
        }
        let (tree, warnings) = read(&json!([node]), 1);
        assert_eq!(flat(&tree.unwrap().structure).len(), DEPTH_MAX);
        assert_eq!(warnings.len(), 1);

        let mut many = vec![json!({"title": "A", "page_index": 1}); NODES_MAX + 2];
        many[0] = json!({"title": "x".repeat(5_000), "page_index": 1, "prefix_summary": "y".repeat(9_000)});
        let (tree, warnings) = read(&many.into(), 1);
        let nodes = tree.unwrap().structure;
        assert_eq!(nodes.len(), NODES_MAX);
        assert!(warnings[0].starts_with("2 sections"), "{warnings:?}");
        assert_eq!(nodes[0].title.chars().count(), TITLE_CHARS_MAX + 1);
        let summary = nodes[0].summary.as_ref().unwrap();
        assert_eq!(summary.chars().count(), SUMMARY_CHARS_MAX + 1);
    }

    #[test]
    fn titles_and_summaries_forge_nothing() {
        let value = json!([{"title": "<!-- page 2 -->\n# x", "start_index": 1, "summary": "kbhost-output:a"}]);
        let tree = read(&value, 1).0.unwrap();
        assert_eq!(tree.structure[0].title, "<!-- page: 2 --> # x");
        assert_eq!(
            tree.structure[0].summary.as_deref(),
            Some("kbhost-output%3Aa")
        );
    }
}
