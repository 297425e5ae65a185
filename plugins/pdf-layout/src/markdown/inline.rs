//! Words to inline Markdown: emphasis, code, links, and the escapes that keep text text.
//!
//! Invariant: what a document says never becomes markup, HTML or a link that the document has not.

use crate::layout::script::is_ideographic;
use crate::layout::text::{Line, Script, Style, Word};
use crate::page::LinkTarget;

/// Longest raised text that is a mark or an exponent, in characters.
const RAISED_CHARS_MAX: usize = 4;

/// So many dots lead the eye from a title to its page.
const LEADER_DOTS_MIN: usize = 5;

/// What is written out of words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inline<'a> {
    /// Where links lead.
    pub(super) links: &'a [LinkTarget],
    /// Bold and italic are marked.
    pub(super) has_emphasis: bool,
    /// Characters at the beginning to leave out: the marker of an item.
    pub(super) skipped: u16,
}

/// How a run of words is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look<'a> {
    style: Style,
    is_raised: bool,
    address: Option<&'a str>,
}

/// Words of one look.
struct Run<'a> {
    look: Look<'a>,
    text: String,
    is_glued: bool,
}

impl<'a> Inline<'a> {
    /// The lines as one.
    pub(super) fn text(&self, lines: &[Line]) -> String {
        let runs = self.runs(lines);
        let mut text = String::new();
        for (n, run) in runs.iter().enumerate() {
            if !run.is_glued && !text.is_empty() {
                text.push(' ');
            }
            let next = runs.get(n + 1).filter(|next| next.is_glued);
            let after = next.and_then(|next| next.text.chars().next());
            let before = text.chars().next_back();
            self.write(run, before.filter(|_| run.is_glued), after, &mut text);
        }
        text
    }

    fn runs(&self, lines: &[Line]) -> Vec<Run<'a>> {
        let mut runs: Vec<Run<'a>> = Vec::new();
        let mut skipped = usize::from(self.skipped);
        let words: Vec<&Word> = lines.iter().flat_map(|line| &line.words).collect();
        for (word, (is_leader, is_first)) in words.iter().zip(leaders(&words)) {
            let count = word.text.chars().count();
            let text: String = match (is_leader, is_first) {
                (true, true) => "…".to_owned(),
                (true, false) => String::new(),
                _ => word.text.chars().skip(skipped).collect(),
            };
            let text = without_leader(text);
            skipped -= skipped.min(count);
            if text.is_empty() {
                continue;
            }
            let look = self.look(word);
            let last = runs.last().and_then(|run| run.text.chars().next_back());
            let is_unspaced = last.is_some_and(is_ideographic) && text.starts_with(is_ideographic);
            let is_glued = (word.is_glued && !is_leader || is_unspaced) && last.is_some();
            match runs.last_mut() {
                Some(run) if run.look == look => {
                    if !is_glued {
                        run.text.push(' ');
                    }
                    run.text.push_str(&text);
                }
                _ => runs.push(Run {
                    look,
                    text,
                    is_glued,
                }),
            }
        }
        runs
    }

    fn look(&self, word: &Word) -> Look<'a> {
        let target = word.link.and_then(|link| self.links.get(link as usize));
        let mut style = word.style;
        if !self.has_emphasis {
            style.is_bold = false;
            style.is_italic = false;
        }
        if style.is_mono {
            // Code has no emphasis within.
            style.is_bold = false;
            style.is_italic = false;
        }
        Look {
            style,
            is_raised: word.script == Script::Super && is_mark(&word.text),
            address: match target {
                Some(LinkTarget::Address(address)) => Some(address),
                _ => None,
            },
        }
    }

    fn write(&self, run: &Run<'_>, before: Option<char>, after: Option<char>, text: &mut String) {
        let Look {
            style,
            is_raised,
            address,
        } = run.look;
        if address.is_some() {
            text.push('[');
        }
        if is_raised {
            text.push_str("<sup>");
        }
        // Marks of emphasis hold only between a letter and what is none.
        let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let ends = (run.text.chars().next(), run.text.chars().next_back());
        let holds = (!is_word(before) || is_word(ends.0)) && (!is_word(after) || is_word(ends.1));
        let marks = match (style.is_bold, style.is_italic) {
            _ if style.is_mono || !holds || !run.text.contains(char::is_alphanumeric) => "",
            (true, true) => "***",
            (true, false) => "**",
            (false, true) => "*",
            (false, false) => "",
        };
        text.push_str(marks);
        // Signs between words of other fonts are no code of their own.
        let is_name = run.text.contains(char::is_alphanumeric) && holds;
        if style.is_mono && is_name {
            code(&run.text, text);
        } else {
            escape(&run.text, text);
        }
        text.push_str(marks);
        if is_raised {
            text.push_str("</sup>");
        }
        if let Some(address) = address {
            text.push_str("](");
            destination(address, text);
            text.push(')');
        }
    }
}

fn is_dot(c: char) -> bool {
    matches!(c, '.' | '…' | '·')
}

/// For every word whether it is one of dots that only lead the eye to what follows, and whether it is
/// the first of them.
fn leaders(words: &[&Word]) -> Vec<(bool, bool)> {
    let is_dots = |word: &&Word| word.text.chars().all(is_dot);
    let mut leaders = Vec::with_capacity(words.len());
    for run in words.chunk_by(|a, b| is_dots(a) && is_dots(b)) {
        let dots: usize = run.iter().map(|word| word.text.chars().count()).sum();
        let is_leader = run.iter().all(is_dots) && dots >= LEADER_DOTS_MIN;
        leaders.extend((0..run.len()).map(|n| (is_leader, is_leader && n == 0)));
    }
    leaders
}

/// Dots that lead away from the end of a word, as one sign.
fn without_leader(text: String) -> String {
    let run = text.chars().rev().take_while(|c| is_dot(*c)).count();
    if run < LEADER_DOTS_MIN {
        return text;
    }
    let kept = text.chars().count() - run;
    let mut short: String = text.chars().take(kept).collect();
    short.push_str(" …");
    short
}

/// Whether raised text is a mark of a note or an exponent; raised letters of ordinals read as they are.
fn is_mark(text: &str) -> bool {
    let is_short = text.chars().count() <= RAISED_CHARS_MAX;
    is_short
        && text.contains(|c: char| c.is_ascii_digit() || matches!(c, '*' | '†' | '‡' | '§' | '∗'))
}

/// Text between backticks, more of them than it has itself.
fn code(inner: &str, text: &mut String) {
    let fence = "`".repeat(longest_run(inner, '`') + 1);
    let pad = if inner.starts_with('`') || inner.ends_with('`') {
        " "
    } else {
        ""
    };
    for part in [&fence, pad, inner, pad, &fence] {
        text.push_str(part);
    }
}

/// The length of the longest run of a character.
pub(super) fn longest_run(text: &str, c: char) -> usize {
    text.split(|other| other != c)
        .map(str::len)
        .max()
        .unwrap_or(0)
}

/// The destination of a link, with what would end it written in hexadecimal.
fn destination(address: &str, text: &mut String) {
    for c in address.chars() {
        match c {
            ' ' => text.push_str("%20"),
            '(' => text.push_str("%28"),
            ')' => text.push_str("%29"),
            '<' => text.push_str("%3C"),
            '>' => text.push_str("%3E"),
            '\\' => text.push_str("%5C"),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
}

/// Adds text so that Markdown shows the same characters.
pub(super) fn escape(plain: &str, text: &mut String) {
    let chars: Vec<char> = plain.chars().collect();
    let at = |index: usize| chars.get(index).copied();
    let is_formula = chars.iter().filter(|c| **c == '$').count() > 1;
    for (index, c) in chars.iter().copied().enumerate() {
        let before = index.checked_sub(1).and_then(at);
        let after = at(index + 1);
        let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
        let is_letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_special = match c {
            '\\' => after.is_some_and(|c| c.is_ascii_punctuation()),
            '`' => true,
            '*' => !is_space(before) || !is_space(after),
            '_' => !(is_letter(before) && is_letter(after) || is_space(before) && is_space(after)),
            '<' => after.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?')),
            '[' => after == Some('[') || after == Some('^') || closes_link(&chars, index),
            '~' => after == Some('~') || before == Some('~'),
            '$' => is_formula,
            '&' => is_entity(&chars, index + 1),
            '%' => after == Some('%'),
            _ => false,
        };
        if is_special {
            text.push('\\');
        }
        text.push(c);
    }
}

/// How far a bracket or an entity is looked for.
const REACH: usize = 300;

/// Whether the bracket at `index` opens what would be a link.
fn closes_link(chars: &[char], index: usize) -> bool {
    let mut depth = 0_usize;
    for (at, c) in chars.iter().enumerate().skip(index).take(REACH) {
        match c {
            '[' => depth += 1,
            ']' if depth <= 1 => return matches!(chars.get(at + 1), Some('(' | '[' | ':')),
            ']' => depth -= 1,
            _ => {}
        }
    }
    false
}

/// Whether an ampersand before `index` begins an entity.
fn is_entity(chars: &[char], index: usize) -> bool {
    let rest: Vec<char> = chars.iter().skip(index).take(32).copied().collect();
    let end = rest.iter().position(|c| *c == ';').unwrap_or(0);
    end > 0
        && rest
            .iter()
            .take(end)
            .all(|c| c.is_ascii_alphanumeric() || *c == '#')
}

/// Puts an escape where a paragraph would begin a heading, a list, a quotation or a rule.
pub(super) fn escape_start(text: &mut String) {
    let word = text.split(' ').next().unwrap_or_default();
    let is_followed = text.len() > word.len();
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let rest = word.get(digits..).unwrap_or_default();
    let is_number = (1..=9).contains(&digits) && matches!(rest, "." | ")");
    let is_rule = |c: char| {
        text.chars().filter(|other| *other == c).count() >= 3
            && text.chars().all(|other| other == c || other == ' ')
    };
    let is_heading = (1..=6).contains(&word.len()) && word.bytes().all(|b| b == b'#');
    let is_bullet = matches!(word, "-" | "+" | "*");
    if is_number {
        text.insert(digits, '\\');
    } else if is_heading
        || is_bullet && is_followed
        || is_bullet && text.len() == 1
        || text.starts_with(['>', '|'])
        || text.starts_with("~~~")
        || is_rule('-')
        || is_rule('=')
    {
        text.insert(0, '\\');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let check = |plain: &str, expected: &str| {
            let mut text = String::new();
            escape(plain, &mut text);
            assert_eq!(text, expected);
        };
        check("a * b, snake_case", "a * b, snake_case");
        check("*a* _b_", "\\*a\\* \\_b\\_");
        check("<script>x</script> 1 < 2", "\\<script>x\\</script> 1 < 2");
        check("see [1] and [x](y)", "see [1] and \\[x](y)");
        check("[[wiki]] ![p](q)", "\\[[wiki]] !\\[p](q)");
        check("R&D &amp; `c`", "R&D \\&amp; \\`c\\`");
        check("a $5", "a $5");
        check("$x$", "\\$x\\$");
        check("C:\\dir \\*", "C:\\dir \\\\\\*");
    }

    #[test]
    fn beginnings_stay_text() {
        let check = |plain: &str, expected: &str| {
            let mut text = plain.to_owned();
            escape_start(&mut text);
            assert_eq!(text, expected);
        };
        check("# a", "\\# a");
        check("#a", "#a");
        check("12. a", "12\\. a");
        check("1984 was", "1984 was");
        check("- a", "\\- a");
        check("---", "\\---");
        check("> a", "\\> a");
        check("-1 a", "-1 a");
    }

    #[test]
    fn a_destination_cannot_end_early() {
        let mut text = String::new();
        destination("https://a.example/x y)<z>", &mut text);
        assert_eq!(text, "https://a.example/x%20y%29%3Cz%3E");
    }
}
