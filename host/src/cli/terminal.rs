//! What may reach a terminal: the sanitisers for untrusted text, widths and colours.
//!
//! Invariant: what leaves [`one_line`] and [`multi_line`] holds no escape sequence and no character
//! that reorders or hides its neighbours.

use std::os::fd::AsFd;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::kb::is_deceptive;

/// A message longer than this is cut: an error may quote text of any length from a document.
const LINE_CHARS_MAX: usize = 2_000;

/// Makes one line of `text`: control characters become spaces, deceptive ones U+FFFD. Unlike
/// [`crate::kb::SafeLine`] it keeps brackets and repeated spaces, so that a path stays a path.
pub(super) fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(LINE_CHARS_MAX).map(visible).collect();
    if text.chars().nth(LINE_CHARS_MAX).is_some() {
        line.push('…');
    }
    line
}

fn visible(c: char) -> char {
    if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
        ' '
    } else if is_deceptive(c) {
        '\u{fffd}'
    } else {
        c
    }
}

/// A text of several lines without what a terminal would obey: control characters other than
/// newline and tab go, deceptive characters become U+FFFD, a byte order mark at the start goes.
pub(super) fn multi_line(text: &str) -> String {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(c),
            c if c.is_control() => None,
            c if is_deceptive(c) => Some('\u{fffd}'),
            c => Some(c),
        })
        .collect()
}

/// The number of columns of the terminal behind `stream`; `None` if there is none.
pub(super) fn columns(stream: impl AsFd) -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(stream).ok()?;
    (size.ws_col > 0).then_some(usize::from(size.ws_col))
}

/// Columns that `text` takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Cuts `text` to `columns` columns, the last of them `…`.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut cut = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > columns {
            break;
        }
        used += wide;
        cut.push(c);
    }
    if columns > 0 {
        cut.push('…');
    }
    cut
}

/// The few styles in use, as SGR sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Headers and matches.
    Bold,
    /// `error:`.
    Error,
    /// `warning:`.
    Warning,
    /// `hint:` and `note:`.
    Hint,
}

impl Style {
    /// `text` in this style if `colour`, else as it is.
    pub(super) fn paint(self, text: &str, colour: bool) -> String {
        if !colour {
            return text.to_owned();
        }
        let sgr = match self {
            Self::Bold => "1",
            Self::Error => "1;31",
            Self::Warning => "1;33",
            Self::Hint => "1;36",
        };
        format!("\x1b[{sgr}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_obeys_nothing() {
        let check = |input: &str, expected: &str| assert_eq!(one_line(input), expected);
        check("docs/a  [[b]].md", "docs/a  [[b]].md");
        check("a\nb\x1b[31mc", "a b [31mc");
        check("a\u{202e}fdp", "a\u{fffd}fdp");
        check("\u{9b}2J", " 2J");
        check("a\u{2028}b", "a b");
        assert_eq!(one_line(&"x".repeat(3_000)).chars().count(), 2_001);
    }

    #[test]
    fn multi_line_keeps_lines_and_tabs_only() {
        let check = |input: &str, expected: &str| assert_eq!(multi_line(input), expected);
        check("# A\n\n\tcode\n", "# A\n\n\tcode\n");
        check("a\r\nb", "a\nb");
        check("\x1b]0;owned\x07text", "]0;ownedtext");
        check("\u{9b}31mred", "31mred");
        check("\u{feff}# A \u{feff}", "# A \u{fffd}");
        check("user\u{2066}nimda", "user\u{fffd}nimda");
    }

    #[test]
    fn texts_are_cut_by_columns() {
        let check =
            |input: &str, columns, expected: &str| assert_eq!(fit(input, columns), expected);
        check("abc", 3, "abc");
        check("abcd", 3, "ab…");
        check("漢字漢字", 5, "漢字…");
        check("漢字漢字", 4, "漢…");
        check("abc", 0, "");
    }

    #[test]
    fn colour_is_a_choice() {
        assert_eq!(Style::Bold.paint("x", false), "x");
        assert_eq!(Style::Bold.paint("x", true), "\x1b[1mx\x1b[0m");
    }
}
