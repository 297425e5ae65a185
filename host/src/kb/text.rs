//! The one escape that untrusted text passes before it reaches front matter, an index line, the
//! log or a terminal.

use std::fmt;
use std::path::Path;

use serde::Serialize;

/// A single line that cannot break out of the line it is put on: no line breaks, no control or
/// bidirectional formatting characters, no wiki-link brackets, no HTML comment, bounded length.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SafeLine(String);

/// Titles, names and descriptions longer than this many characters are cut.
pub const LINE_CHARS_MAX: usize = 300;

impl SafeLine {
    /// Escapes `untrusted` and cuts it to [`LINE_CHARS_MAX`] characters.
    #[must_use]
    pub fn new(untrusted: &str) -> Self {
        Self::with_max(untrusted, LINE_CHARS_MAX)
    }

    /// Escapes `untrusted` and cuts it to `chars_max` characters, the last of them `…`.
    #[must_use]
    pub fn with_max(untrusted: &str, chars_max: usize) -> Self {
        let mut line = String::new();
        for c in untrusted.chars().map(visible) {
            if c == ' ' {
                if !line.is_empty() && !line.ends_with(' ') {
                    line.push(' ');
                }
                continue;
            }
            let joins = (matches!(c, '[' | ']') && line.ends_with(c))
                || (c == '!' && line.ends_with('<'))
                || (c == '>' && line.ends_with("--"));
            if joins {
                line.push(' ');
            }
            line.push(c);
        }
        line.truncate(line.trim_end().len());
        if let Some((cut, _)) = line.char_indices().nth(chars_max) {
            line.truncate(cut);
            line.pop();
            line.truncate(line.trim_end().len());
            line.push('…');
        }
        Self(line)
    }

    /// The line as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for SafeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Maps what must not be seen as itself to a space (white space, controls) or to U+FFFD (characters
/// that reorder or hide what stands around them).
fn visible(c: char) -> char {
    if c.is_whitespace() || c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
        ' '
    } else if is_deceptive(c) {
        '\u{fffd}'
    } else {
        c
    }
}

/// Whether `c` reorders, hides or joins text invisibly: bidirectional controls (Trojan Source),
/// zero-width characters other than the joiners that scripts need, tags, interlinear marks.
#[must_use]
pub fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A path as one word of a shell: commands in hints are pasted, and names come from strangers.
#[must_use]
pub fn shell_word(path: impl AsRef<Path>) -> String {
    let text = path.as_ref().to_string_lossy();
    let plain = |c: char| c.is_alphanumeric() || "_-./:@%+=,".contains(c);
    let text = match text.strip_prefix('-') {
        Some(_) => format!("./{text}"),
        None => text.into_owned(),
    };
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_without_escapes() {
        let check =
            |input: &str, expected: &str| assert_eq!(SafeLine::new(input).as_str(), expected);
        check("plain title", "plain title");
        check("  a\n---\ttitle\r\n ", "a --- title");
        check("red \x1b[31mtext", "red [31mtext");
        check("evil [[concepts/x]] link", "evil [ [concepts/x] ] link");
        check("a\u{202e}b", "a\u{fffd}b");
        check("[[[x]]]", "[ [ [x] ] ]");
        check("<!-- x -->", "< !-- x -- >");
        check("\u{9b}31m", "31m");
    }

    #[test]
    fn long_lines_are_cut() {
        assert_eq!(SafeLine::with_max("abcdef", 4).as_str(), "abc…");
        assert_eq!(SafeLine::with_max("ab cdef", 4).as_str(), "ab…");
        assert_eq!(SafeLine::with_max("abcd", 4).as_str(), "abcd");
    }
}
