//! How untrusted lines are written into Markdown: as text that is read and never as structure.
//! Every line has passed `SafeLine` before.

/// Escapes a line for the middle of a line of Markdown: no emphasis, code, link, wiki link, HTML,
/// tag, table cell, formula, comment, highlight or block id of CommonMark or Obsidian is left.
pub(super) fn inline(line: &str) -> String {
    let mut text = String::with_capacity(line.len() + 8);
    let mut chars = line.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        let next = chars.peek().copied();
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let special = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '|' | '~' | '$' | '^' => true,
            // Within a word an underscore is no emphasis and a number sign no tag.
            '_' => !(is_word(before) && is_word(next)),
            '#' => !is_word(before),
            '&' => is_word(next) || next == Some('#'),
            '=' | '%' => before == Some(c) || next == Some(c),
            _ => false,
        };
        if special {
            text.push('\\');
        }
        text.push(c);
        before = Some(c);
    }
    text
}

/// Escapes a line that starts a paragraph: no heading, list, quote, rule or table either.
pub(super) fn paragraph(line: &str) -> String {
    let mut text = inline(line);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let ordered = digits > 0 && text[digits..].starts_with(['.', ')']);
    if ordered {
        text.insert(digits, '\\');
    } else if text.starts_with(['-', '+', '>', '=', ':', '%']) {
        text.insert(0, '\\');
    }
    text
}

/// A line as the label of a wiki link, where nothing can be escaped: what could end the link, or
/// start something within it, becomes a look-alike.
pub(super) fn label(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '[' => '(',
            ']' => ')',
            '|' | '\\' => '/',
            '`' => '\'',
            '<' => '‹',
            '>' => '›',
            '%' => '％',
            '$' => '＄',
            '*' => '∗',
            '^' => 'ˆ',
            other => other,
        })
        .collect()
}

/// A line as a value of front matter: quoted on one line, valid as JSON and as YAML.
pub(super) fn quoted(line: &str) -> String {
    // The two characters that YAML forbids and JSON does not.
    let line = line.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}");
    serde_json::Value::String(line).to_string()
}

/// A list of such values on one line.
pub(super) fn quoted_list<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let values: Vec<String> = lines.into_iter().map(quoted).collect();
    format!("[{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::*;
    use crate::kb::SafeLine;

    const HOSTILE: [&str; 30] = [
        "# heading",
        "- item",
        "* item",
        "+ item",
        "1. item",
        "23) item",
        "> quote",
        "---",
        "===",
        "***",
        "[a](http://x)",
        "![a](b)",
        "[[concepts/x]]",
        "<script>x</script>",
        "<!-- c -->",
        "`code`",
        "```",
        "~~~",
        "**bold** _it_ ~~s~~",
        "a | b",
        "| a |",
        "&lt;b&gt; &#60;",
        "\\",
        "a\\",
        "[x]: http://y",
        "$x$",
        "#tag",
        "x ^block",
        "[^1]",
        ": definition",
    ];

    #[test]
    fn hostile_lines_stay_text() {
        for line in HOSTILE {
            let line = SafeLine::new(line);
            let page = format!("before\n\n{}\n\nafter", paragraph(line.as_str()));
            let mut paragraphs = Vec::new();
            for event in Parser::new_ext(&page, Options::all() - Options::ENABLE_SMART_PUNCTUATION)
            {
                match event {
                    Event::Start(Tag::Paragraph) => paragraphs.push(String::new()),
                    Event::Text(text) => paragraphs.last_mut().unwrap().push_str(&text),
                    Event::End(TagEnd::Paragraph) => {}
                    other => panic!("{line:?} became {other:?}"),
                }
            }
            assert_eq!(paragraphs, ["before", line.as_str(), "after"]);
        }
    }

    #[test]
    fn readable_where_it_can_be() {
        let check = |line: &str, expected: &str| assert_eq!(paragraph(line), expected);
        check(
            "plain text, snake_case and C# at 50% (x = y) - ok!",
            "plain text, snake_case and C# at 50% (x = y) - ok!",
        );
        check("1.5 million", "1\\.5 million");
        check("R&D, AT & T", "R\\&D, AT & T");
        check("%%hidden%% ==lit==", "\\%\\%hidden\\%\\% \\=\\=lit\\=\\=");
        assert_eq!(label("a|b [[c]] `d`"), "a/b ((c)) 'd'");
        assert_eq!(
            quoted("a \"b\" \\ c\u{ffff}"),
            "\"a \\\"b\\\" \\\\ c\u{fffd}\""
        );
        assert_eq!(quoted_list(["a", "b"]), "[\"a\", \"b\"]");
    }
}
