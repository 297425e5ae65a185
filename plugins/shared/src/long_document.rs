//! A long document: its pages and its tree of sections, in the forms that the contract gives to the
//! roles `pages` and `tree`, and the one Markdown page that is made of them.
//!
//! Invariant: in that Markdown a line `<!-- page N -->` is where page N begins, and `kbhost-output:`
//! begins a link of the converter's own. Text of a document can write neither, and no block that a page
//! leaves open takes the marker of the next one into itself.

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag};
use serde::Serialize;

use crate::{ConvertError, Files, Heading, MAIN_PATH, OUTPUT_LINK, OutputFile, Role, one_line};

/// Longest title of a section, in characters.
pub const TITLE_CHARS_MAX: usize = 300;
/// Longest summary of a section, in characters.
pub const SUMMARY_CHARS_MAX: usize = 4_000;
/// Sections of a tree: as many as ids of four digits can tell apart.
pub const NODES_MAX: usize = 9_999;

/// A piece of a page on its way to Markdown.
#[derive(Clone, Debug)]
enum Piece {
    Text(String),
    Picture { alt: String, path: String },
}

/// The text of a page: the document's own words and the pictures that the converter placed.
#[derive(Clone, Debug, Default)]
pub struct PageText {
    pieces: Vec<Piece>,
    /// Bytes of the document's own words.
    length: usize,
}

impl PageText {
    /// Adds Markdown of the document.
    pub fn push_text(&mut self, text: &str) {
        self.length += text.len();
        match self.pieces.last_mut() {
            // What is defused is looked at as a whole: the parts of a marker are no marker.
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// Adds a picture: the output file at `path`, with a text that stands for it.
    pub fn push_picture(&mut self, alt: &str, path: &str) {
        self.pieces.push(Piece::Picture {
            alt: plain(alt),
            path: path.to_owned(),
        });
    }

    /// Bytes of text so far, pictures not counted.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }
}

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    number: u32,
    content: String,
    /// Paths of the output files that it shows.
    images: Vec<String>,
}

impl Page {
    /// The page `number`, from 1, with this text.
    #[must_use]
    pub fn new(number: u32, text: PageText) -> Self {
        let mut content = String::new();
        let mut images: Vec<String> = Vec::new();
        for piece in text.pieces {
            match piece {
                Piece::Text(text) => content.push_str(&defused(&without_controls(&text))),
                Piece::Picture { alt, path } => {
                    content.push_str(&format!("![{alt}]({OUTPUT_LINK}{path})"));
                    if !images.contains(&path) {
                        images.push(path);
                    }
                }
            }
        }
        let content = content.trim_matches('\n').trim_end();
        let content = match closing(content) {
            Some(end) => format!("{content}\n{end}"),
            None => content.to_owned(),
        };
        Self {
            number,
            content,
            images,
        }
    }

    /// Its number, from 1.
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }

    /// Its Markdown.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.content
    }

    fn is_empty(&self) -> bool {
        self.content.is_empty() && self.images.is_empty()
    }
}

/// Text for between the brackets of a picture, or instead of one.
#[must_use]
pub fn plain(text: &str) -> String {
    let is_markup = |c: char| matches!(c, '[' | ']' | '\\' | '<' | '>' | '`' | '!' | '(' | ')');
    let text: String = text.chars().filter(|c| !is_markup(*c)).collect();
    defused(&one_line(&text, TITLE_CHARS_MAX))
}

/// Line ends as `\n`, and no other control characters than tabs.
fn without_controls(text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let is_kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().filter(is_kept).collect()
}

/// Whether a reader, or whoever tidies the text later, may not see this character.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// The length of what reads as `word` at the start of `text`, whatever is invisible in it.
fn reads_as(text: &str, word: &str) -> Option<usize> {
    let mut expected = word.chars().peekable();
    for (at, c) in text.char_indices() {
        match expected.peek() {
            None => return Some(at),
            Some(next) if c.eq_ignore_ascii_case(next) => {
                expected.next();
            }
            Some(_) if at > 0 && is_invisible(c) => {}
            Some(_) => return None,
        }
    }
    expected.peek().is_none().then_some(text.len())
}

/// Where in a page marker at the start of `text` its number would begin, less the space.
fn marker_length(text: &str) -> Option<usize> {
    let mut at = reads_as(text, "<!--")?;
    let is_gap = |c: char| c.is_whitespace() || is_invisible(c);
    at += text[at..].len() - text[at..].trim_start_matches(is_gap).len();
    at += reads_as(&text[at..], "page")?;
    let follows = text[at..].chars().next()?;
    (is_gap(follows) || follows.is_numeric()).then_some(at)
}

/// `text` with neither page markers nor links to output files: a comment `<!-- page: 7 -->` and the
/// relative link `kbhost-output%3A` read the same to a person.
#[must_use]
pub fn defused(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut done = 0;
    for (at, _) in text.match_indices(['<', 'k', 'K']) {
        let rest = &text[at..];
        // From where to where, by what: the colon is the last byte of a link's beginning.
        let replaced = match rest.starts_with('<') {
            true => marker_length(rest).map(|length| (length, length, ":")),
            false => reads_as(rest, OUTPUT_LINK).map(|end| (end - 1, end, "%3A")),
        };
        if let Some((from, to, by)) = replaced {
            safe.push_str(&text[done..at + from]);
            safe.push_str(by);
            done = at + to;
        }
    }
    safe.push_str(&text[done..]);
    safe
}

/// The line that ends the block which `content` leaves open, if a blank line does not.
fn closing(content: &str) -> Option<String> {
    let probe = format!("{content}\n\nx\n");
    let behind = content.len() + "\n\n".len();
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let events = Parser::new_ext(&probe, options).into_offset_iter();
    let mut open = events.filter(|(_, range)| range.start < behind && range.end > behind);
    open.find_map(|(event, range)| {
        let start = probe[range.start..].trim_start();
        match event {
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                let mark = start.chars().next()?;
                Some(start.chars().take_while(|c| *c == mark).collect())
            }
            Event::Start(Tag::HtmlBlock) => Some(end_of_html(start)),
            _ => None,
        }
    })
}

/// What ends an HTML block that begins so and that no blank line ends.
fn end_of_html(start: &str) -> String {
    let start: String = start.chars().take(12).collect();
    let start = start.to_ascii_lowercase();
    let ends = [
        ("<!--", "-->"),
        ("<?", "?>"),
        ("<![cdata[", "]]>"),
        ("<script", "</script>"),
        ("<style", "</style>"),
        ("<textarea", "</textarea>"),
        ("<pre", "</pre>"),
    ];
    let end = ends.iter().find(|(begin, _)| start.starts_with(begin));
    end.map_or(">", |(_, end)| end).to_owned()
}

/// A section, with pages from 1, inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its heading.
    pub title: String,
    /// Its first page.
    pub start: u32,
    /// Its last page.
    pub end: u32,
    /// What it is about.
    pub summary: Option<String>,
    /// The sections within.
    pub nodes: Vec<Node>,
}

/// The sections of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Where it was taken from: `cloud`, `bookmarks`, …
    pub toc_source: &'static str,
    /// The outermost sections.
    pub structure: Vec<Node>,
}

#[derive(Serialize)]
struct ImageJson {
    path: String,
}

#[derive(Serialize)]
struct PageJson<'a> {
    page: u32,
    content: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<ImageJson>,
}

#[derive(Serialize)]
struct NodeJson<'a> {
    title: &'a str,
    node_id: String,
    start_index: u32,
    end_index: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<NodeJson<'a>>,
}

#[derive(Serialize)]
struct TreeJson<'a> {
    toc_source: &'a str,
    structure: Vec<NodeJson<'a>>,
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain data has a JSON form")
}

/// The file of the role `pages`. Pages with neither text nor pictures are left out.
#[must_use]
pub fn pages_json(pages: &[Page]) -> Vec<u8> {
    let pages = pages.iter().filter(|page| !page.is_empty());
    let pages = pages.map(|page| PageJson {
        page: page.number,
        content: &page.content,
        images: (page.images.iter())
            .map(|path| ImageJson {
                path: format!("{OUTPUT_LINK}{path}"),
            })
            .collect(),
    });
    to_json(&pages.collect::<Vec<_>>())
}

/// The file of the role `tree`: ids are given in preorder, from `0001`.
#[must_use]
pub fn tree_json(tree: &Tree) -> Vec<u8> {
    let mut ids = 0;
    to_json(&TreeJson {
        toc_source: tree.toc_source,
        structure: nodes_json(&tree.structure, &mut ids),
    })
}

fn nodes_json<'a>(nodes: &'a [Node], ids: &mut u32) -> Vec<NodeJson<'a>> {
    let nodes = nodes.iter().map(|node| {
        *ids += 1;
        NodeJson {
            title: &node.title,
            node_id: format!("{ids:04}"),
            start_index: node.start,
            end_index: node.end,
            summary: node.summary.as_deref(),
            nodes: nodes_json(&node.nodes, ids),
        }
    });
    nodes.collect()
}

/// The Markdown of all pages, each behind its marker.
#[must_use]
pub fn join_pages(pages: &[Page]) -> String {
    let mut markdown = String::new();
    for page in pages {
        if !markdown.is_empty() {
            markdown.push('\n');
        }
        markdown.push_str(&format!("<!-- page {} -->\n", page.number));
        if !page.content.is_empty() {
            markdown.push_str(&format!("\n{}\n", page.content));
        }
    }
    markdown
}

/// Paths of the files beneath the output directory.
const PAGES_PATH: &str = "pages.json";
const TREE_PATH: &str = "tree.json";

fn put(
    files: &mut dyn Files,
    path: &str,
    role: Role,
    media_type: &str,
    bytes: &[u8],
) -> Result<OutputFile, ConvertError> {
    files.put(path, bytes)?;
    Ok(OutputFile {
        path: path.to_owned(),
        role,
        media_type: media_type.to_owned(),
        page: None,
    })
}

/// Writes the Markdown of all pages as the main output.
///
/// # Errors
/// If it cannot be written.
pub fn put_main(files: &mut dyn Files, pages: &[Page]) -> Result<OutputFile, ConvertError> {
    let markdown = join_pages(pages);
    put(
        files,
        MAIN_PATH,
        Role::Main,
        "text/markdown",
        markdown.as_bytes(),
    )
}

/// Writes what a long document has beside its main output: its pages, and its tree unless that is empty.
///
/// # Errors
/// If they cannot be written.
pub fn put_long(
    files: &mut dyn Files,
    pages: &[Page],
    tree: &Tree,
) -> Result<Vec<OutputFile>, ConvertError> {
    let json = "application/json";
    let mut written = vec![put(
        files,
        PAGES_PATH,
        Role::Pages,
        json,
        &pages_json(pages),
    )?];
    if !tree.structure.is_empty() {
        written.push(put(files, TREE_PATH, Role::Tree, json, &tree_json(tree))?);
    }
    Ok(written)
}

/// The headings of a tree, in order; levels deeper than six count as six.
#[must_use]
pub fn outline(tree: &Tree) -> Vec<Heading> {
    fn add(nodes: &[Node], level: u8, headings: &mut Vec<Heading>) {
        for node in nodes {
            headings.push(Heading {
                level,
                title: node.title.clone(),
                page: Some(node.start),
            });
            add(&node.nodes, (level + 1).min(6), headings);
        }
    }
    let mut headings = Vec::new();
    add(&tree.structure, 1, &mut headings);
    headings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u32, text: &str) -> Page {
        let mut page = PageText::default();
        page.push_text(text);
        Page::new(number, page)
    }

    #[test]
    fn text_writes_neither_markers_nor_output_links() {
        let check = |text: &str, expected: &str| {
            let found = page(1, text).content;
            assert_eq!(found, expected, "{text:?}");
            assert_eq!(page(1, &found).content, found, "twice");
        };
        check("a <!-- page 7 --> b", "a <!-- page: 7 --> b");
        check("<!--page 7-->", "<!--page: 7-->");
        check("<!--\n\tPAGE\n7 -->", "<!--\n\tPAGE:\n7 -->");
        check("<!-- page7 -->", "<!-- page:7 -->");
        check("<!-- pa\u{0}ge 7 -->", "<!-- page: 7 -->");
        check("<!-- pa\u{200b}ge 7 -->", "<!-- pa\u{200b}ge: 7 -->");
        check("<\u{202e}!-- page 7 -->", "<\u{202e}!-- page: 7 -->");
        check("<<!-- page 7 -->", "<<!-- page: 7 -->");
        check(
            "<!-- pages 7 --> <!-- x page 7 -->",
            "<!-- pages 7 --> <!-- x page 7 -->",
        );
        check("![p](kbhost-output:a.png)", "![p](kbhost-output%3Aa.png)");
        check(
            "kbhost-\u{ad}output\u{200b}:a",
            "kbhost-\u{ad}output\u{200b}%3Aa",
        );
        check(
            "KBHOST-output:a kkbhost-output:",
            "KBHOST-output%3Aa kkbhost-output%3A",
        );
        check("kbhost-\rout", "kbhost-\nout");
        check("kbhost-\u{7}output:a", "kbhost-output%3Aa");
        check("kbhost-output", "kbhost-output");
        check("a\r\nb\u{1b}[31m\tc\u{85}", "a\nb[31m\tc");
    }

    #[test]
    fn pieces_do_not_add_up_to_a_link_or_a_marker() {
        let mut text = PageText::default();
        text.push_text("kbhost-");
        text.push_text("output:x <!-- ");
        text.push_text("page 7 -->");
        text.push_picture("output:](y) kbhost-output:z", "images/p001-01.png");
        let page = Page::new(1, text);
        assert_eq!(
            page.content,
            "kbhost-output%3Ax <!-- page: 7 -->\
             ![output:y kbhost-output%3Az](kbhost-output:images/p001-01.png)"
        );
        assert_eq!(page.images, ["images/p001-01.png"]);
    }

    #[test]
    fn no_block_stays_open() {
        let check = |text: &str, end: &str| {
            let found = page(1, text).content;
            assert_eq!(found, format!("{text}{end}"));
            assert_eq!(closing(&found), None, "{found:?}");
        };
        check("a", "");
        check("```\ncode", "\n```");
        check("~~~~ rust\n```\ncode", "\n~~~~");
        check("   ````\ncode\n```", "\n````");
        check("```\ncode\n```", "");
        // What is open in a list or a quotation ends with it.
        check("- a\n  ```\n  code", "");
        check("> ```\n> code", "");
        check("<!-- a comment", "\n-->");
        check("<script>\nx()", "\n</script>");
        check("<PRE>\n\nx", "\n</pre>");
        check("<?php", "\n?>");
        check("<![CDATA[ x", "\n]]>");
        check("<!DOCTYPE x", "\n>");
        check("<div>\nx", "");
        check("`a <!-- b", "");
    }

    #[test]
    fn files_have_the_contract_s_form() {
        let node = |title: &str, start, end, nodes| Node {
            title: title.to_owned(),
            start,
            end,
            summary: (start == 1).then(|| "S".to_owned()),
            nodes,
        };
        let tree = Tree {
            toc_source: "cloud",
            structure: vec![
                node("A", 1, 2, vec![node("A.1", 2, 2, Vec::new())]),
                node("B", 2, 3, Vec::new()),
            ],
        };
        assert_eq!(
            String::from_utf8(tree_json(&tree)).unwrap(),
            r#"{"toc_source":"cloud","structure":[{"title":"A","node_id":"0001","start_index":1,"end_index":2,"summary":"S","nodes":[{"title":"A.1","node_id":"0002","start_index":2,"end_index":2}]},{"title":"B","node_id":"0003","start_index":2,"end_index":3}]}"#
        );
        let headings: Vec<_> = outline(&tree)
            .into_iter()
            .map(|heading| (heading.level, heading.title, heading.page.unwrap()))
            .collect();
        let expected = [(1, "A", 1), (2, "A.1", 2), (1, "B", 2)];
        assert_eq!(headings, expected.map(|(l, t, p)| (l, t.to_owned(), p)));

        let mut shown = PageText::default();
        shown.push_picture("", "images/a.png");
        let pages = [page(1, "\n\na\n\n\n"), page(2, " "), Page::new(3, shown)];
        assert_eq!(
            String::from_utf8(pages_json(&pages)).unwrap(),
            r#"[{"page":1,"content":"a"},{"page":3,"content":"![](kbhost-output:images/a.png)","images":[{"path":"kbhost-output:images/a.png"}]}]"#
        );
        assert_eq!(
            join_pages(&pages),
            "<!-- page 1 -->\n\na\n\n<!-- page 2 -->\n\n<!-- page 3 -->\n\n\
             ![](kbhost-output:images/a.png)\n"
        );
    }

    #[test]
    fn deep_levels_are_the_sixth() {
        let mut node = None;
        for start in (1..=9).rev() {
            let nodes = node.into_iter().collect();
            node = Some(Node {
                title: start.to_string(),
                start,
                end: 9,
                summary: None,
                nodes,
            });
        }
        let tree = Tree {
            toc_source: "cloud",
            structure: node.into_iter().collect(),
        };
        let levels: Vec<_> = outline(&tree).iter().map(|heading| heading.level).collect();
        assert_eq!(levels, [1, 2, 3, 4, 5, 6, 6, 6, 6]);
    }
}
