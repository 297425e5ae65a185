//! Small rules for text that both converters follow.

/// What a link target to an output file begins with; the file's path follows.
pub const OUTPUT_LINK: &str = "kbhost-output:";

/// `text` on one line: white space collapsed, control characters dropped, cut at `chars_max`.
#[must_use]
pub fn one_line(text: &str, chars_max: usize) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !c.is_control()));
    }
    if let Some((cut, _)) = line.char_indices().nth(chars_max) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_collapses_and_cuts() {
        let check = |text, expected: &str| assert_eq!(one_line(text, 8), expected, "{text:?}");
        check("a\n  b\tc", "a b c");
        check("\u{1b}[31mx", "[31mx");
        check("12345678", "12345678");
        check("123456789", "12345678…");
        check("", "");
    }
}
