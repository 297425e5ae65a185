//! HTML to Markdown, in plain form: no scripts, styles or navigation.

use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use encoding_rs::Encoding;
use htmd::element_handler::Handlers;
use htmd::options::{BulletListMarker, Options};
use htmd::{Element, HtmlToMarkdown, Node};
use kbhost_guest::{ConvertError, one_line};

/// Deeper trees exhaust the stack of a converter that walks them; real pages stay below 100.
const DEPTH_MAX: usize = 256;
/// Longest title, in characters.
const TITLE_CHARS_MAX: usize = 300;
/// Where a page declares its encoding, by the HTML standard.
const ENCODING_WITHIN: usize = 1_024;
/// Elements whose content is not the page's text.
const SKIPPED: [&str; 13] = [
    "script", "style", "nav", "template", "noscript", "svg", "iframe", "object", "form", "button",
    "canvas", "audio", "video",
];

/// A converted page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Converted {
    pub(crate) markdown: String,
    /// Of the `<title>` element.
    pub(crate) title: Option<String>,
}

/// The encoding that a page's `<meta>` names.
pub(crate) fn declared_encoding(input: &[u8]) -> Option<&'static Encoding> {
    let head = &input[..input.len().min(ENCODING_WITHIN)];
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (_, rest) = head.split_once("charset=")?;
    let rest = rest.trim_start_matches(['"', '\'']);
    let label = rest.split(['"', '\'', ';', '>', '/', ' ']).next()?;
    Encoding::for_label(label.as_bytes())
}

/// Whether the tree has more than `depth_max` levels; walks without recursion.
fn is_deeper(tree: &Rc<Node>, depth_max: usize) -> bool {
    let mut pending = vec![(Rc::clone(tree), 0)];
    while let Some((node, depth)) = pending.pop() {
        if depth > depth_max {
            return true;
        }
        let children = node.children.borrow();
        pending.extend(children.iter().map(|child| (Rc::clone(child), depth + 1)));
    }
    false
}

/// Converts a page.
pub(crate) fn to_markdown(html: &str) -> Result<Converted, ConvertError> {
    let title = Arc::new(Mutex::new(None));
    let seen_title = Arc::clone(&title);
    let converter = HtmlToMarkdown::builder()
        .options(Options {
            bullet_list_marker: BulletListMarker::Dash,
            ul_bullet_spacing: 1,
            ol_number_spacing: 1,
            ..Options::default()
        })
        .skip_tags(SKIPPED.to_vec())
        .add_handler(
            vec!["title"],
            move |handlers: &dyn Handlers, element: Element<'_>| {
                let text = handlers.walk_children(element.node).content;
                let mut seen = seen_title.lock().unwrap_or_else(PoisonError::into_inner);
                seen.get_or_insert_with(|| one_line(&text, TITLE_CHARS_MAX));
                None
            },
        )
        .build();
    let broken = |error| ConvertError::Corrupt(format!("no HTML: {error}"));
    let tree = converter.html_to_tree(html).map_err(broken)?;
    if is_deeper(&tree, DEPTH_MAX) {
        let limit = format!("elements nested more than {DEPTH_MAX} deep");
        return Err(ConvertError::TooLarge(limit));
    }
    let mut markdown = converter.tree_to_markdown(&tree);
    if !markdown.is_empty() {
        markdown.push('\n');
    }
    drop(converter);
    let title = Arc::into_inner(title)
        .and_then(|title| title.into_inner().ok())
        .flatten();
    Ok(Converted {
        markdown,
        title: title.filter(|title| !title.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_pages() {
        let check = |html: &str, title: Option<&str>, expected: &str| {
            let found = to_markdown(html).unwrap();
            assert_eq!(found.title.as_deref(), title, "{html}");
            assert_eq!(found.markdown, expected, "{html}");
        };
        check(
            "<html><head><title>T &amp;\n U</title><style>x</style></head><body><nav>menu</nav>\
             <h1>H</h1><p>a <b>b</b></p><script>alert(1)</script></body></html>",
            Some("T & U"),
            "# H\n\na **b**\n",
        );
        check("<ul><li>a<li>b</ul>", None, "- a\n- b\n");
        check("<img src='a b.png' alt=x>", None, "![x](<a b.png>)\n");
        check(
            "<table><tr><th>a<th>b<tr><td>1<td>2</table>",
            None,
            "| a | b |\n| - | - |\n| 1 | 2 |\n",
        );
        check("", None, "");
    }

    #[test]
    fn refuses_what_would_exhaust_the_stack() {
        let page = "<div>".repeat(2_000);
        assert!(matches!(to_markdown(&page), Err(ConvertError::TooLarge(_))));
    }

    #[test]
    fn declared_encodings() {
        let check = |html: &[u8], expected: Option<&str>| {
            assert_eq!(declared_encoding(html).map(Encoding::name), expected);
        };
        check(b"<meta charset=\"iso-8859-1\">", Some("windows-1252"));
        check(
            b"<META content='text/html; charset=Shift_JIS'>",
            Some("Shift_JIS"),
        );
        check(b"<meta charset=nonsense>", None);
        check(b"<p>", None);
    }
}
