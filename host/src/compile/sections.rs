//! The section tree on the summary page of a long document: a heading for each section, in the peer's
//! form. Pure.

use super::escape;
use crate::kb::tree::{Node, Tree};
use crate::kb::{DocName, SafeLine};

/// Sections on a page: as many as a person looks through, and together with the bounds of their texts
/// less than a megabyte in any script.
const SHOWN_MAX: usize = 400;

/// Characters of a section's summary on the page.
const SUMMARY_CHARS_MAX: usize = 240;

/// Level of the headings of the first level of the tree: beneath the page's own.
const LEVEL_MIN: usize = 2;

/// The deepest heading that Markdown has.
const LEVEL_MAX: usize = 6;

/// Writes the tree: of one that is too large the levels that fit as a whole, and how many sections that
/// leaves out.
pub(super) fn write(page: &mut String, tree: &Tree, name: &DocName) {
    let (mut total, mut of_level) = (0, Vec::new());
    tree.walk(&mut |_, level| {
        total += 1;
        of_level.resize(of_level.len().max(level), 0);
        of_level[level - 1] += 1;
    });
    let mut fit = 0;
    let levels = of_level.iter().take_while(|count| {
        fit += **count;
        fit <= SHOWN_MAX
    });
    // Where not even the first level fits, its start is shown.
    let levels = levels.count().max(1);
    let mut shown = 0;
    tree.walk(&mut |node, level| {
        if level <= levels && shown < SHOWN_MAX {
            shown += 1;
            section(page, node, level);
        }
    });
    if shown < total {
        let left_out = total - shown;
        let sections = if left_out == 1 { "section" } else { "sections" };
        page.push_str(&format!(
            "\n{left_out} more {sections}: `kbhost show {name} --tree`\n"
        ));
    }
}

fn section(page: &mut String, node: &Node, level: usize) {
    let marks = "#".repeat((LEVEL_MIN + level - 1).min(LEVEL_MAX));
    let title = escape::inline(node.title.as_str());
    page.push_str(&format!("\n{marks} {title} ({})\n", pages(node)));
    if let Some(summary) = &node.summary {
        let summary = SafeLine::with_max(summary.as_str(), SUMMARY_CHARS_MAX);
        page.push_str(&format!(
            "\nSummary: {}\n",
            escape::inline(summary.as_str())
        ));
    }
}

/// The pages of a section, in words.
fn pages(node: &Node) -> String {
    if node.start == node.end {
        format!("page {}", node.start)
    } else {
        format!("pages {}–{}", node.start, node.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::tree;

    fn written(structure: &str) -> String {
        let json = format!(r#"{{"structure": [{structure}]}}"#);
        let (tree, _) = tree::read(json.as_bytes(), 900).unwrap();
        let mut page = String::new();
        write(&mut page, &tree, &DocName::new("book").unwrap());
        page
    }

    fn node(title: &str, nodes: &[String]) -> String {
        format!(
            r#"{{"title": "{title}", "start_index": 3, "end_index": 3, "nodes": [{}]}}"#,
            nodes.join(",")
        )
    }

    #[test]
    fn sections_are_headings_with_their_pages() {
        let page = written(
            r##"{"title": "# One [[x]] <b>", "start_index": 1, "end_index": 4, "summary": "Says *this*."},
                {"title": "Two", "start_index": 4, "end_index": 4}"##,
        );
        let expected = "\n## \\# One \\[ \\[x\\] \\] \\<b> (pages 1–4)\n\nSummary: Says \\*this\\*.\n\
             \n## Two (page 4)\n";
        assert_eq!(page, expected);
    }

    #[test]
    fn headings_go_down_to_the_last_level() {
        let mut chain = node("8", &[]);
        for level in (1..8).rev() {
            chain = node(&level.to_string(), &[chain]);
        }
        let page = written(&chain);
        let marks: Vec<_> = page
            .lines()
            .filter_map(|line| Some(line.split_once(' ')?.0.len()))
            .collect();
        assert_eq!(marks, [2, 3, 4, 5, 6, 6, 6, 6]);
    }

    #[test]
    fn of_a_large_tree_whole_levels_are_shown() {
        let leaves: Vec<_> = (0..100).map(|n| node(&format!("leaf {n}"), &[])).collect();
        let chapters: Vec<_> = (0..5)
            .map(|n| node(&format!("chapter {n}"), &leaves))
            .collect();
        let page = written(&chapters.join(","));
        assert_eq!(page.matches("\n## chapter").count(), 5);
        assert!(!page.contains("leaf"));
        assert!(
            page.ends_with("\n\n500 more sections: `kbhost show book --tree`\n"),
            "{page}"
        );
    }

    #[test]
    fn a_page_is_bounded_whatever_the_tree_says() {
        let long = "\u{1f4d6}".repeat(2_000);
        let node = format!(
            r#"{{"title": "{long}", "start_index": 1, "end_index": 900, "summary": "{long}"}}"#
        );
        let page = written(&vec![node; 450].join(","));
        assert_eq!(page.matches("\n## ").count(), SHOWN_MAX);
        assert!(page.ends_with("\n50 more sections: `kbhost show book --tree`\n"));
        assert!(page.len() < 1 << 20, "{}", page.len());
    }
}
