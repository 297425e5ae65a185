//! Text of a dump as Markdown. Everything in a dump is untrusted: nothing of it may become markup, a
//! link, another cell or another line.

/// Longest text of a cell or heading, in characters.
pub(crate) const TEXT_CHARS_MAX: usize = 500;

/// `text` on one line: white space collapsed, control and invisible characters dropped, cut at
/// `chars_max`.
pub(crate) fn one_line(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            chars += 1;
        }
        for c in word.chars().filter(|c| !is_hidden(*c)) {
            if chars >= chars_max {
                line.push('…');
                return line;
            }
            line.push(c);
            chars += 1;
        }
    }
    line
}

/// Characters that are not seen, or turn the direction of what is.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` as plain text within a paragraph, a heading or a table's cell; not at the start of a line.
pub(crate) fn escaped(text: &str) -> String {
    let line = one_line(text, TEXT_CHARS_MAX);
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        let after = chars.peek().copied().unwrap_or(' ');
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // No bare link, and no link to a file of this document.
            ':' if after == '/' || out.ends_with("-output") => out.push_str("&#58;"),
            // Within a word it is an underscore.
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => out.push(c),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        before = c;
    }
    out
}

/// `code` as a fenced block that nothing in it can end. `[[` is broken up, which means the same in
/// SQL: a reader of wiki links may not know of fences.
pub(crate) fn fenced(code: &str) -> String {
    let mut body = String::new();
    for c in code.chars() {
        match c {
            '\n' | '\t' => body.push(c),
            '[' if body.ends_with('[') => body.push_str(" ["),
            _ if is_hidden(c) => {}
            _ => body.push(c),
        }
    }
    let longest = body.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}sql\n{}\n{fence}\n", body.trim_end())
}

/// A name for a file: ASCII letters, digits and `-` only, at most 40 long; `x` if nothing is left.
pub(crate) fn slug(name: &str) -> String {
    let mut slug = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            slug.push(c.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() == 40 {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() {
        "x".to_owned()
    } else {
        slug.to_owned()
    }
}

/// A Markdown table; cells are escaped already.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!(
        "| {} |\n|{}\n",
        head.join(" | "),
        " --- |".repeat(head.len())
    );
    for row in rows {
        out.push_str("| ");
        out.push_str(&row.join(" | "));
        out.push_str(" |\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_is_markup() {
        let check = |text, expected: &str| assert_eq!(escaped(text), expected, "{text:?}");
        check("users", "users");
        check("a|b\nc", "a\\|b c");
        check("[[x]]", "\\[\\[x\\]\\]");
        check("<b>&amp;", "&lt;b&gt;&amp;amp;");
        check("kbhost-output:main.md", "kbhost-output&#58;main.md");
        check("\u{202e}evil\u{1b}[0m", "evil\\[0m");
        check("order_items::text", "order_items::text");
        check("http://x", "http&#58;//x");
        check("`x` *y* _z_", "\\`x\\` \\*y\\* \\_z\\_");
        assert_eq!(
            escaped(&"ü".repeat(1_000)).chars().count(),
            TEXT_CHARS_MAX + 1
        );
    }

    #[test]
    fn a_fence_cannot_be_ended_from_inside() {
        assert_eq!(fenced("SELECT 1"), "```sql\nSELECT 1\n```\n");
        assert_eq!(fenced("a\n```\nb"), "````sql\na\n```\nb\n````\n");
        assert_eq!(fenced("ARRAY[[[1]]]"), "```sql\nARRAY[ [ [1]]]\n```\n");
    }

    #[test]
    fn a_slug_is_plain() {
        let check = |name, expected: &str| assert_eq!(slug(name), expected, "{name:?}");
        check("public.Order Items", "public-order-items");
        check("../../etc/passwd", "etc-passwd");
        check("größe", "gr-e");
        check("数据", "x");
        check("", "x");
        check("--a--", "a");
        assert!(slug(&"a".repeat(300)).len() <= 40);
    }
}
