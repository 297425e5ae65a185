//! Markdown as plain blocks of text: what a reader would read, without syntax, link targets,
//! images, comments and front matter.
//!
//! Works in pieces of bounded size, so that hostile Markdown costs time and memory in proportion
//! to a piece and not to the document.

use std::collections::HashSet;

use pulldown_cmark::{BrokenLink, Event, Options, Parser, Tag, TagEnd};

use super::words::is_cjk;

/// A piece ends at the first blank line after this many bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// A piece ends here wherever that is: the parser keeps some 60 bytes for each special character.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Front matter is looked for in this many bytes at the start.
const FRONT_MATTER_BYTES_MAX: usize = 64 * 1024;

/// Link definitions that are known by name.
const DEFINITIONS_MAX: usize = 10_000;

/// Bytes of the name of a link definition; CommonMark allows some more.
const DEFINITION_NAME_BYTES_MAX: usize = 200;

/// Digits of a page number in a mark.
const PAGE_DIGITS_MAX: usize = 6;

/// What a block of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    Heading,
    Paragraph,
    /// Text of a list.
    Item,
    /// A row of a table, cells parted by spaces.
    Row,
    Code,
    /// What HTML leaves when its tags are gone.
    Html,
    /// The mark `<!-- page N -->` between the pages of a long document: the number. No text.
    Page,
}

/// Calls `take` with each block of `markdown` in order until it returns `false`. No block is empty.
pub(super) fn each_block(markdown: &str, take: &mut dyn FnMut(BlockKind, &str) -> bool) {
    let mut rest = without_front_matter(markdown);
    let definitions = link_definitions(rest);
    let mut fence = None;
    while !rest.is_empty() {
        let (piece, code) = cut_piece(rest, &mut fence);
        rest = &rest[piece.len()..];
        let more = if code {
            let text = collapse_lines(piece);
            text.is_empty() || take(BlockKind::Code, &text)
        } else {
            parse_piece(piece, &definitions, take)
        };
        if !more {
            return;
        }
    }
}

/// The text behind YAML front matter, which is no text of the document.
fn without_front_matter(markdown: &str) -> &str {
    let body = markdown.strip_prefix('\u{feff}').unwrap_or(markdown);
    if body.lines().next() != Some("---") {
        return body;
    }
    let mut at = 0;
    for (number, line) in body.split_inclusive('\n').enumerate() {
        at += line.len();
        if number > 0 && matches!(line.trim_end(), "---" | "...") {
            return &body[at..];
        }
        if at > FRONT_MATTER_BYTES_MAX {
            break;
        }
    }
    body
}

/// The names of the links that are defined anywhere: the text that uses one may be in another piece.
fn link_definitions(markdown: &str) -> HashSet<String> {
    markdown
        .lines()
        .filter_map(|line| {
            let (name, _) = line.trim_start().strip_prefix('[')?.split_once("]:")?;
            (name.len() <= DEFINITION_NAME_BYTES_MAX).then(|| link_name(name))
        })
        .take(DEFINITIONS_MAX)
        .collect()
}

/// What names of links are compared by.
fn link_name(name: &str) -> String {
    name.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase()
}

/// An open code fence: its character and length.
type Fence = Option<(char, usize)>;

/// Cuts the next piece off and says whether it is the inside of a code fence. Fences never reach
/// the parser: a piece that ended within one would turn code into text and text into code.
fn cut_piece<'a>(text: &'a str, fence: &mut Fence) -> (&'a str, bool) {
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        let marker = fence_marker(line);
        if let Some(open) = *fence {
            if marker.is_some_and(|(c, length, bare)| c == open.0 && length >= open.1 && bare) {
                *fence = None;
                return (&text[..end + line.len()], true);
            }
        } else if let Some((c, length, _)) = marker {
            if end > 0 {
                return (&text[..end], false);
            }
            *fence = Some((c, length));
            return (line, true);
        }
        if end + line.len() > PIECE_BYTES_MAX {
            // A line that is too long alone is cut inside; otherwise it starts the next piece.
            let cut = if end > 0 {
                end
            } else {
                text.floor_char_boundary(PIECE_BYTES_MAX)
            };
            return (&text[..cut], fence.is_some());
        }
        end += line.len();
        if end >= PIECE_BYTES && line.trim().is_empty() {
            break;
        }
    }
    (&text[..end], fence.is_some())
}

/// The character and length of the code fence that `line` is, and whether nothing follows it.
fn fence_marker(line: &str) -> Option<(char, usize, bool)> {
    let trimmed = line.trim_start_matches(' ');
    let c = trimmed.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let length = trimmed.chars().take_while(|next| *next == c).count();
    let info = trimmed[length..].trim();
    let is_fence =
        line.len() - trimmed.len() <= 3 && length >= 3 && !(c == '`' && info.contains('`'));
    is_fence.then_some((c, length, info.is_empty()))
}

/// Code as one text; fence lines go.
fn collapse_lines(code: &str) -> String {
    let mut text = String::new();
    for line in code.lines().filter(|line| fence_marker(line).is_none()) {
        for word in line.split_whitespace() {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    text
}

/// The block under way.
#[derive(Default)]
struct Walk {
    text: String,
    kind: Option<BlockKind>,
    item_depth: usize,
    /// Inside images: their alternative text is no text of the document.
    image_depth: usize,
    soft_break: bool,
}

impl Walk {
    fn push(&mut self, text: &str) {
        if self.image_depth > 0 {
            return;
        }
        if std::mem::take(&mut self.soft_break) {
            // Scripts without spaces are wrapped without spaces.
            let joins = self.text.chars().next_back().is_some_and(is_cjk)
                && text.chars().next().is_some_and(is_cjk);
            if !joins {
                self.text.push(' ');
            }
        }
        self.text.push_str(text);
    }

    /// Ends the block under way; the next one is of `kind`.
    fn flush(
        &mut self,
        kind: Option<BlockKind>,
        take: &mut dyn FnMut(BlockKind, &str) -> bool,
    ) -> bool {
        let loose = if self.item_depth > 0 {
            BlockKind::Item
        } else {
            BlockKind::Paragraph
        };
        let ended = self.kind.take().unwrap_or(loose);
        self.kind = kind;
        self.soft_break = false;
        let raw = std::mem::take(&mut self.text);
        if ended == BlockKind::Html
            && let Some(number) = page_mark(&raw)
        {
            return take(BlockKind::Page, number);
        }
        let text = match ended {
            BlockKind::Html => collapse_lines(&without_tags(&raw)),
            BlockKind::Code => collapse_lines(&raw),
            _ => raw.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        text.is_empty() || take(ended, &text)
    }
}

/// Walks one piece; `false` when `take` has enough.
fn parse_piece(
    piece: &str,
    definitions: &HashSet<String>,
    take: &mut dyn FnMut(BlockKind, &str) -> bool,
) -> bool {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let mut walk = Walk::default();
    let defined_elsewhere = |link: BrokenLink<'_>| {
        let known = link.reference.len() <= DEFINITION_NAME_BYTES_MAX
            && definitions.contains(&link_name(&link.reference));
        known.then(|| ("".into(), "".into()))
    };
    for event in Parser::new_with_broken_link_callback(piece, options, Some(defined_elsewhere)) {
        let more = match event {
            Event::Start(tag) => start(&mut walk, &tag, take),
            Event::End(tag) => end(&mut walk, tag, take),
            Event::Text(text) | Event::Code(text) | Event::Html(text) => {
                walk.push(&text);
                true
            }
            Event::SoftBreak | Event::HardBreak => {
                walk.soft_break = true;
                true
            }
            Event::Rule => walk.flush(None, take),
            Event::InlineHtml(_)
            | Event::InlineMath(_)
            | Event::DisplayMath(_)
            | Event::FootnoteReference(_)
            | Event::TaskListMarker(_) => true,
        };
        if !more {
            return false;
        }
    }
    walk.flush(None, take)
}

fn start(walk: &mut Walk, tag: &Tag<'_>, take: &mut dyn FnMut(BlockKind, &str) -> bool) -> bool {
    let kind = match tag {
        Tag::Heading { .. } => Some(BlockKind::Heading),
        Tag::CodeBlock(_) => Some(BlockKind::Code),
        Tag::HtmlBlock => Some(BlockKind::Html),
        Tag::TableHead | Tag::TableRow => Some(BlockKind::Row),
        Tag::Paragraph | Tag::List(_) | Tag::BlockQuote(_) | Tag::FootnoteDefinition(_) => None,
        Tag::Item => {
            let more = walk.flush(None, take);
            walk.item_depth += 1;
            return more;
        }
        Tag::Image { .. } => {
            walk.image_depth += 1;
            return true;
        }
        _ => return true,
    };
    walk.flush(kind, take)
}

fn end(walk: &mut Walk, tag: TagEnd, take: &mut dyn FnMut(BlockKind, &str) -> bool) -> bool {
    match tag {
        TagEnd::Paragraph
        | TagEnd::Heading(_)
        | TagEnd::CodeBlock
        | TagEnd::HtmlBlock
        | TagEnd::TableHead
        | TagEnd::TableRow => walk.flush(None, take),
        TagEnd::Item => {
            let more = walk.flush(None, take);
            walk.item_depth = walk.item_depth.saturating_sub(1);
            more
        }
        TagEnd::TableCell => {
            walk.push(" ");
            true
        }
        TagEnd::Image => {
            walk.image_depth = walk.image_depth.saturating_sub(1);
            true
        }
        _ => true,
    }
}

/// The number of the page that a comment says begins here.
fn page_mark(html: &str) -> Option<&str> {
    let comment = html.trim().strip_prefix("<!--")?.strip_suffix("-->")?;
    let number = comment.trim().strip_prefix("page ")?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && number.len() <= PAGE_DIGITS_MAX).then_some(number)
}

/// HTML without comments, tags and the content of scripts and styles.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        text.push_str(&rest[..open]);
        text.push(' ');
        rest = &rest[open..];
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if starts_with_name(rest, "script") {
            "</script>"
        } else if starts_with_name(rest, "style") {
            "</style>"
        } else {
            ">"
        };
        // What is never closed hides the rest, as it does in a browser.
        rest = rest.find(end).map_or("", |at| &rest[at + end.len()..]);
    }
    text.push_str(rest);
    text
}

fn starts_with_name(html: &str, name: &str) -> bool {
    html.get(1..=name.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(markdown: &str) -> Vec<(BlockKind, String)> {
        let mut all = Vec::new();
        each_block(markdown, &mut |kind, text| {
            all.push((kind, text.to_owned()));
            true
        });
        all
    }

    #[test]
    fn markdown_becomes_what_is_read() {
        use BlockKind::{Code, Heading, Html, Item, Page, Paragraph, Row};
        let check = |markdown: &str, expected: &[(BlockKind, &str)]| {
            let expected: Vec<_> = expected
                .iter()
                .map(|(k, t)| (*k, (*t).to_owned()))
                .collect();
            assert_eq!(blocks(markdown), expected, "{markdown:?}");
        };
        check(
            "---\ntitle: x\n---\n# A *b*\n\ntext",
            &[(Heading, "A b"), (Paragraph, "text")],
        );
        check(
            "a [link](kbhost-output:x.md) b\nc",
            &[(Paragraph, "a link b c")],
        );
        check("a ![alt](kbhost-output:x.png) b", &[(Paragraph, "a b")]);
        check(
            "<!-- page 3 -->\n\ntext `code` <b>x</b>",
            &[(Page, "3"), (Paragraph, "text code x")],
        );
        check(
            "a\n\n<!-- page 12 -->\nb\n",
            &[(Paragraph, "a"), (Page, "12"), (Paragraph, "b")],
        );
        for none in [
            "<!-- page -->",
            "<!-- page x -->",
            "<!-- page 1234567 -->",
            "<!-- page 1 --> <!-- page 2 -->",
        ] {
            check(none, &[]);
        }
        check("one <!-- two --> three", &[(Paragraph, "one three")]);
        check(
            "- one\n- two\n  - three\n",
            &[(Item, "one"), (Item, "two"), (Item, "three")],
        );
        check("- one\n\n- two\n", &[(Item, "one"), (Item, "two")]);
        check("|a|b|\n|-|-|\n|c|d|\n", &[(Row, "a b"), (Row, "c d")]);
        check(
            "x\n```rust\nfn  a() {}\n```\ny",
            &[(Paragraph, "x"), (Code, "fn a() {}"), (Paragraph, "y")],
        );
        check("~~~\n# no heading\n", &[(Code, "# no heading")]);
        check(
            "<div>\nx <i>y</i><script>z</script>\n</div>\n",
            &[(Html, "x y")],
        );
        check("日本\n語", &[(Paragraph, "日本語")]);
        check("", &[]);
        check(
            "[a][x] [B] [c] [^1]\n```\n```\n[x]: http://x\n[b]: y\n",
            &[(Paragraph, "a B [c] [^1]")],
        );
        check("---\nnot front matter", &[(Paragraph, "not front matter")]);
    }

    #[test]
    fn pieces_join_to_the_whole() {
        let line = "word ".repeat(30_000);
        let text = format!(
            "{line}\n\n{}\n```\n{line}\n{line}\n```\nend of it",
            "a\n\n".repeat(50_000)
        );
        let mut words = 0;
        let mut last = String::new();
        each_block(&text, &mut |_, block| {
            words += block.split(' ').count();
            block.clone_into(&mut last);
            true
        });
        // The long lines are not cut within a word: their length is below the limit of a piece.
        assert_eq!(words, 3 * 30_000 + 50_000 + 3);
        assert_eq!(last, "end of it");
    }

    #[test]
    fn hostile_markdown_is_read_in_time() {
        for part in [
            "[", "*a ", "> ", "`", "<!--", "![", "a\n\n- ", "<", "|a", "&", "\\", "```\n",
        ] {
            let text = part.repeat(1024 * 1024 / part.len());
            let start = std::time::Instant::now();
            each_block(&text, &mut |_, _| true);
            assert!(
                start.elapsed().as_secs() < 30,
                "{part:?} took {:?}",
                start.elapsed()
            );
        }
    }
}
