//! Where a Markdown text refers to pictures: found by parsing, reported as positions in the text.
//!
//! Invariant: a reported span is exactly what is to be replaced; whatever cannot be located
//! beyond doubt is not reported.

use std::collections::BTreeSet;
use std::ops::Range;

use pulldown_cmark::{Event, LinkType, Parser, Tag, TagEnd};

use crate::markdown::options;

/// How a picture is referred to; decides what replaces the span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A link destination, angle brackets included, or the value of an HTML attribute.
    Target,
    /// A whole `![[…]]`, with the text after its bar.
    Embed { text: String },
}

/// One reference to a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PictureLink {
    /// What to replace, in bytes of the text.
    pub(crate) span: Range<usize>,
    pub(crate) form: Form,
    /// The target after Markdown's or HTML's own escapes are undone.
    pub(crate) target: String,
}

/// An image whose end has not been seen.
struct OpenImage {
    link_type: LinkType,
    target: String,
    label: String,
    text: String,
    /// Where the last thing inside its brackets ends.
    inner_end: usize,
}

/// Endings by which `![[…]]` embeds a picture rather than a note.
const EMBED_EXTENSIONS: [&str; 5] = [".png", ".jpg", ".jpeg", ".gif", ".webp"];

/// Finds the references of a text, in order.
pub(crate) fn find(text: &str) -> Vec<PictureLink> {
    let mut links = Vec::new();
    let mut labels = BTreeSet::new();
    let mut open: Vec<OpenImage> = Vec::new();
    let mut events = Parser::new_ext(text, options()).into_offset_iter();
    for (event, range) in events.by_ref() {
        match event {
            Event::Start(Tag::Image {
                link_type,
                dest_url,
                id,
                ..
            }) => open.push(OpenImage {
                link_type,
                target: dest_url.into_string(),
                label: id.into_string(),
                text: String::new(),
                inner_end: range.start + "![".len(),
            }),
            Event::End(TagEnd::Image) => {
                let image = open.pop().expect("the parser balances start and end");
                close(text, image, range.clone(), &mut links, &mut labels);
                extend(&mut open, range.end, "");
            }
            Event::Start(Tag::HtmlBlock) | Event::InlineHtml(_) => {
                html_images(text, range.clone(), &mut links);
                extend(&mut open, range.end, "");
            }
            Event::Text(part) | Event::Code(part) => extend(&mut open, range.end, &part),
            _ => extend(&mut open, range.end, ""),
        }
    }
    let definitions = events.reference_definitions();
    let definitions = labels.iter().filter_map(|label| definitions.get(label));
    links.extend(definitions.filter_map(|def| definition(text, &def.span, &def.dest)));
    links.sort_by_key(|link| link.span.start);
    links.dedup_by_key(|link| link.span.start);
    links
}

/// Notes that the innermost open image reaches to `end` and shows `part`.
fn extend(open: &mut [OpenImage], end: usize, part: &str) {
    if let Some(image) = open.last_mut() {
        image.inner_end = image.inner_end.max(end);
        image.text.push_str(part);
    }
}

fn close(
    text: &str,
    image: OpenImage,
    range: Range<usize>,
    links: &mut Vec<PictureLink>,
    labels: &mut BTreeSet<String>,
) {
    match image.link_type {
        LinkType::Inline => {
            let rest = &text[image.inner_end.min(range.end)..range.end];
            if rest.starts_with("](") {
                let from = image.inner_end + "](".len();
                links.extend(destination(text, from..range.end, &image.target));
            }
        }
        LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut => {
            labels.insert(image.label);
        }
        LinkType::WikiLink { has_pothole } => {
            let lower = image.target.to_ascii_lowercase();
            if EMBED_EXTENSIONS
                .iter()
                .any(|extension| lower.ends_with(extension))
            {
                let text = if has_pothole {
                    image.text
                } else {
                    String::new()
                };
                let form = Form::Embed { text };
                links.push(PictureLink {
                    span: range,
                    form,
                    target: image.target,
                });
            }
        }
        LinkType::ReferenceUnknown
        | LinkType::CollapsedUnknown
        | LinkType::ShortcutUnknown
        | LinkType::Autolink
        | LinkType::Email => {}
    }
}

/// The destination in `[label]: destination "title"`.
fn definition(text: &str, span: &Range<usize>, target: &str) -> Option<PictureLink> {
    let bytes = text.as_bytes();
    let mut at = span.start + 1;
    while at < span.end && bytes[at] != b']' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    let from = at + "]:".len();
    (text.get(at..from)? == "]:").then_some(())?;
    destination(text, from..span.end, target)
}

/// The destination at the start of `within`, if it is one that reads as `target`.
fn destination(text: &str, within: Range<usize>, target: &str) -> Option<PictureLink> {
    let area = text.get(within.clone())?;
    let start = within.start + (area.len() - area.trim_start().len());
    let raw = text.get(start..within.end)?;
    let length = if raw.starts_with('<') {
        angled_length(raw)?
    } else {
        bare_length(raw)
    };
    let span = start..start + length;
    let is_it = !target.is_empty() && reads_as(&text[span.clone()], target);
    is_it.then(|| PictureLink {
        span,
        form: Form::Target,
        target: target.to_owned(),
    })
}

fn angled_length(raw: &str) -> Option<usize> {
    let bytes = raw.as_bytes();
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'>' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

fn bare_length(raw: &str) -> usize {
    let bytes = raw.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if bytes.get(at + 1).is_some_and(u8::is_ascii_punctuation) => at += 1,
            b'(' => depth += 1,
            b')' if depth == 0 => break,
            b')' => depth -= 1,
            byte if byte.is_ascii_whitespace() => break,
            _ => {}
        }
        at += 1;
    }
    at.min(bytes.len())
}

/// Whether the parser takes `raw` as a destination that means `target`.
fn reads_as(raw: &str, target: &str) -> bool {
    let probe = format!("![]({raw})");
    Parser::new_ext(&probe, options())
        .find_map(|event| match event {
            Event::Start(Tag::Image { dest_url, .. }) => Some(*dest_url == *target),
            _ => None,
        })
        .unwrap_or(false)
}

/// The `src` of every `<img>` in a piece of HTML.
fn html_images(text: &str, range: Range<usize>, links: &mut Vec<PictureLink>) {
    let html = &text.as_bytes()[range.clone()];
    let mut at = 0;
    while let Some(found) = html[at..].iter().position(|byte| *byte == b'<') {
        at += found;
        let rest = &html[at..];
        if rest.starts_with(b"<!--") {
            let end = rest.windows(3).position(|three| three == b"-->");
            at += end.map_or(rest.len(), |end| end + 3);
        } else if is_img(rest) {
            let (src, length) = img_source(rest);
            if let Some(src) = src {
                let span = range.start + at + src.start..range.start + at + src.end;
                let target = unescape_html(&text[span.clone()]);
                if !target.is_empty() {
                    links.push(PictureLink {
                        span,
                        form: Form::Target,
                        target,
                    });
                }
            }
            at += length;
        } else {
            at += 1;
        }
    }
}

fn is_img(tag: &[u8]) -> bool {
    let name = tag
        .get(..4)
        .is_some_and(|name| name.eq_ignore_ascii_case(b"<img"));
    name && tag
        .get(4)
        .is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b'/')
}

/// The value of the first `src` of a tag, and the length of the tag. Nothing if it is not closed.
fn img_source(tag: &[u8]) -> (Option<Range<usize>>, usize) {
    let mut src = None;
    let mut at = "<img".len();
    let ends_name = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'=' | b'>' | b'/');
    while at < tag.len() {
        match tag[at] {
            b'>' => return (src, at + 1),
            byte if byte.is_ascii_whitespace() || matches!(byte, b'/' | b'=') => at += 1,
            _ => {
                let name = at;
                at += tag[at..]
                    .iter()
                    .take_while(|byte| !ends_name(**byte))
                    .count();
                let is_src = tag[name..at].eq_ignore_ascii_case(b"src");
                let (value, next) = attribute_value(tag, at);
                at = next;
                if is_src && src.is_none() {
                    src = value;
                }
            }
        }
    }
    (None, tag.len())
}

/// The value behind an attribute's name that ends at `at`, and where to go on.
fn attribute_value(tag: &[u8], at: usize) -> (Option<Range<usize>>, usize) {
    let skip = |at: usize| {
        at + tag[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count()
    };
    let equals = skip(at);
    if tag.get(equals) != Some(&b'=') {
        return (None, equals);
    }
    let start = skip(equals + 1);
    match tag.get(start) {
        Some(quote @ (b'"' | b'\'')) => {
            let value = start + 1;
            match tag[value..].iter().position(|byte| byte == quote) {
                Some(length) => (Some(value..value + length), value + length + 1),
                None => (None, tag.len()),
            }
        }
        _ => {
            let ends = |byte: &u8| byte.is_ascii_whitespace() || *byte == b'>';
            let end = start + tag[start..].iter().take_while(|byte| !ends(byte)).count();
            (Some(start..end), end)
        }
    }
}

/// Undoes the escapes that occur in an attribute's value in practice.
fn unescape_html(value: &str) -> String {
    let value = value.trim();
    if !value.contains('&') {
        return value.to_owned();
    }
    let value = value.replace("&quot;", "\"").replace("&#39;", "'");
    let value = value.replace("&lt;", "<").replace("&gt;", ">");
    value.replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let found = find(text);
        let found: Vec<_> = found
            .iter()
            .map(|link| (&text[link.span.clone()], link.target.as_str()))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn inline() {
        check("![](a.png)", &[("a.png", "a.png")]);
        check("x ![alt](a.png \"title\") y", &[("a.png", "a.png")]);
        check(
            "![a](<my file.png> 't')",
            &[("<my file.png>", "my file.png")],
        );
        check("![a]( a(1).png )", &[("a(1).png", "a(1).png")]);
        check("![a](a\\)b.png)", &[("a\\)b.png", "a)b.png")]);
        check("![a](a&amp;b.png)", &[("a&amp;b.png", "a&b.png")]);
        check("![a](a%20b.png)", &[("a%20b.png", "a%20b.png")]);
        check("![*a* `b` \\] [c](d)](e.png)", &[("e.png", "e.png")]);
        check(
            "![a ![b](c.png)](d.png)",
            &[("c.png", "c.png"), ("d.png", "d.png")],
        );
        check("[![a](b.png)](c)", &[("b.png", "b.png")]);
        check("![a\nb](c.png\n\"t\")", &[("c.png", "c.png")]);
        check("> - ![a](b.png)\n", &[("b.png", "b.png")]);
        check("| a |\n|---|\n| ![x](b.png) |\n", &[("b.png", "b.png")]);
        check("![é](ü.png)", &[("ü.png", "ü.png")]);
        check("[not an image](a.png) ![](  )", &[]);
        check("\\![a](b.png)", &[]);
    }

    #[test]
    fn definitions() {
        check("![a][x]\n\n[x]: a.png 'T'\n", &[("a.png", "a.png")]);
        check("![X][]\n\n[x]: <a b.png>\n", &[("<a b.png>", "a b.png")]);
        check("![x\\]y]\n\n[x\\]y]:\n  a.png\n", &[("a.png", "a.png")]);
        check(
            "![x] ![x]\n\n[x]: a.png\n[y]: b.png\n",
            &[("a.png", "a.png")],
        );
        check("[x]\n\n[x]: a.png\n", &[]);
    }

    #[test]
    fn html() {
        check("a <img src=\"b.png\" alt='x'> c", &[("b.png", "b.png")]);
        check("<IMG alt=a SRC=b.png>", &[("b.png", "b.png")]);
        check(
            "<p>\n<img\n  alt=\">\"\n  src = 'a&amp;b.png'/>\n</p>",
            &[("a&amp;b.png", "a&b.png")],
        );
        check("<!-- <img src=a.png> -->", &[]);
        check(
            "<div>\n<image src=a.png> <img> <img src=''> <img data-src=x>\n</div>",
            &[],
        );
    }

    #[test]
    fn embeds() {
        check("![[a b.png]]", &[("![[a b.png]]", "a b.png")]);
        check("![[a.PNG|200]]", &[("![[a.PNG|200]]", "a.PNG")]);
        check("![[note]] [[a.png]]", &[]);
        let found = find("![[a.png|200]]");
        assert_eq!(
            found[0].form,
            Form::Embed {
                text: "200".to_owned()
            }
        );
    }

    #[test]
    fn code_holds_no_references() {
        check("`![a](b.png)` and ``<img src=a.png>``", &[]);
        check("```\n![a](b.png)\n~~~\n[x]: y.png\n```\n", &[]);
        check("~~~md\n```\n![a](b.png)\n```\n~~~\n", &[]);
        check("    ![a](b.png)\n", &[]);
        check("---\ncover: \"![a](b.png)\"\n---\n", &[]);
    }
}
