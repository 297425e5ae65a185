//! How much text there is: characters that a reader sees, without those of Markdown.

/// The characters of a page that are no space and no markup.
pub(super) fn chars_of_markdown(markdown: &str) -> usize {
    let body = without_front_matter(markdown);
    body.lines()
        .filter(|line| !is_delimiter(line))
        .map(chars_of_line)
        .sum()
}

/// Characters that are no space.
pub(super) fn chars_of_text(text: &str) -> usize {
    text.chars().filter(|c| is_seen(*c)).count()
}

fn is_seen(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && c != '\u{fffd}'
}

fn without_front_matter(markdown: &str) -> &str {
    let end = markdown.strip_prefix("---\n").and_then(|rest| {
        let (_, body) = rest.split_once("\n---\n")?;
        Some(body)
    });
    end.unwrap_or(markdown)
}

/// Whether a line is the one under the head of a table, or a fence.
fn is_delimiter(line: &str) -> bool {
    let line = line.trim();
    let is_table = line.starts_with('|') && line.chars().all(|c| "|-: ".contains(c));
    is_table || line.starts_with("```") || line.starts_with("~~~")
}

fn chars_of_line(line: &str) -> usize {
    let line = line.trim_start().trim_start_matches('#');
    let mut rest = line;
    let mut count = 0;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = past_markup(rest) {
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        if c == '\\' {
            // What is escaped counts, not what escapes it.
            let escaped = rest.chars().next();
            if let Some(escaped) = escaped.filter(char::is_ascii_punctuation) {
                count += 1;
                rest = &rest[escaped.len_utf8()..];
                continue;
            }
        }
        count += usize::from(is_seen(c) && !"*_`|[".contains(c));
    }
    count
}

/// What follows a comment, a tag, a picture or the target of a link; `None` if none begins here.
fn past_markup(text: &str) -> Option<&str> {
    if text.starts_with("<!--") {
        return Some(text.split_once("-->").map_or("", |(_, after)| after));
    }
    if text.starts_with("](") {
        return text.split_once(')').map(|(_, after)| after);
    }
    if text.starts_with("![") {
        let (_, after) = text.split_once("](")?;
        return after.split_once(')').map(|(_, after)| after);
    }
    let tags = [
        "<sup>", "</sup>", "<sub>", "</sub>", "<br>", "<br/>", "<u>", "</u>",
    ];
    if let Some(tag) = tags.iter().find(|tag| text.starts_with(**tag)) {
        return text.get(tag.len()..);
    }
    // An entity stands for one character, which its last sign is counted as.
    let entities = ["&amp", "&lt", "&gt", "&#124", "&nbsp"];
    let entity = entities.iter().find(|entity| {
        text.strip_prefix(**entity)
            .is_some_and(|after| after.starts_with(';'))
    })?;
    text.get(entity.len()..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_is_no_text() {
        let check = |markdown: &str, expected: usize| {
            assert_eq!(chars_of_markdown(markdown), expected, "{markdown}");
        };
        check("---\ntitle: x\n---\n# Ab c\n", 3);
        check("<!-- page 3 -->\n\nab **c** `d` \\*e\\* f<sup>2</sup>", 9);
        check("| a | b |\n| --- | :-: |\n| c \\| d | e |", 6);
        check("[text](http://there.is/no) ![alt](p1.png)!", 5);
        check("a &lt; b, a\u{fffd}", 5);
        check("```rust\nlet x;\n```", 5);
        check("a ](b\\", 5);
        assert_eq!(chars_of_text(" a\u{c}b\n"), 2);
    }
}
