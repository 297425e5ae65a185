//! Acronyms in running text, and the long forms that introduce them.

use super::words::is_word_char;

/// Words looked back at for the long form of an acronym, in bytes.
const LONG_FORM_BYTES_MAX: usize = 160;

/// A run of word characters.
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    /// Only spaces between it and the token before.
    pub(super) after_space: bool,
    /// Stands alone between round brackets.
    pub(super) in_brackets: bool,
    /// Part of a path, an address or an identifier.
    joined: bool,
}

impl Token<'_> {
    pub(super) fn is_capitals(&self) -> bool {
        self.text.len() >= 2 && self.text.bytes().all(|byte| byte.is_ascii_uppercase())
    }

    /// The acronym that the token is: two to eight capitals and digits, a letter first and at least
    /// two of them; a plural's `s` does not count.
    pub(super) fn acronym(&self) -> Option<&str> {
        let name = match self.text.strip_suffix('s') {
            Some(singular) if singular.len() >= 2 => singular,
            _ => self.text,
        };
        let letters = name.bytes().filter(u8::is_ascii_uppercase).count();
        let digits = name.bytes().filter(u8::is_ascii_digit).count();
        let is_acronym = (2..=8).contains(&name.len())
            && letters + digits == name.len()
            && letters >= 2
            && letters >= digits
            && name.starts_with(|c: char| c.is_ascii_uppercase());
        (is_acronym && !self.joined).then_some(name)
    }
}

pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let is_part = |c: char| is_word_char(c) || c == '_';
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(is_part)?;
        let rest = &text[start..];
        let end = start + rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let between = &text[at..start];
        let before = text[..start].chars().next_back();
        let mut behind = text[end..].chars();
        let after = behind.next();
        let next = behind.next();
        let joins = |c: Option<char>| c.is_some_and(|c| "/\\@:=&#%$".contains(c));
        // A dot within a name joins, the one that ends a sentence does not.
        let dotted = before == Some('.') || (after == Some('.') && next.is_some_and(is_part));
        let colon_ends = after == Some(':') && !next.is_some_and(|c| c == ':' || c == '/');
        let token = Token {
            text: &text[start..end],
            start,
            after_space: !between.is_empty() && between.chars().all(char::is_whitespace),
            in_brackets: before == Some('(') && matches!(after, Some(')' | ',' | ';')),
            joined: joins(before) || (joins(after) && !colon_ends) || dotted,
        };
        at = end;
        Some(token)
    })
}

/// The long form of `acronym` at the end of `before`, by the rule of Schwartz and Hearst (2003):
/// its letters are found from the last to the first, the first one at the start of a word.
pub(super) fn long_form(before: &str, acronym: &str) -> Option<String> {
    let before = before.strip_suffix(' ')?;
    let from = before.ceil_char_boundary(before.len().saturating_sub(LONG_FORM_BYTES_MAX));
    let words_max = (acronym.len() + 5).min(acronym.len() * 2);
    let window = &before[from..];
    let from = window
        .rmatch_indices(' ')
        .nth(words_max - 1)
        .map_or(0, |(at, _)| at + 1);
    let window = &window[from..];
    let mut wanted = acronym.chars().rev().peekable();
    let mut start = window.len();
    let mut previous = window.char_indices().rev().peekable();
    while let Some((at, c)) = previous.next() {
        if matches!(c, '.' | ';' | '(' | ')' | '!' | '?' | '"') {
            return None;
        }
        let Some(letter) = wanted.peek().copied() else {
            break;
        };
        let starts_word = previous
            .peek()
            .is_none_or(|(_, before)| !is_word_char(*before));
        let is_last = wanted.clone().count() == 1;
        if c.eq_ignore_ascii_case(&letter) && (!is_last || starts_word) {
            wanted.next();
            start = at;
        }
    }
    if wanted.peek().is_some() {
        return None;
    }
    let form = window[start..].trim();
    let words: Vec<&str> = form.split_whitespace().collect();
    // Precision: letters found anywhere make long forms of anything.
    let initials = form
        .split(|c: char| !is_word_char(c))
        .filter_map(|word| word.chars().next())
        .filter(|initial| acronym.chars().any(|c| c.eq_ignore_ascii_case(initial)))
        .count();
    let letters = acronym.bytes().filter(u8::is_ascii_alphabetic).count();
    let plausible = words.len() >= 2
        && initials * 3 >= letters * 2
        && !words.contains(&acronym)
        && form.len() > acronym.len();
    plausible.then(|| form.to_owned())
}

/// Whether `name` is a Roman numeral as one writes them.
pub(super) fn is_roman(name: &str) -> bool {
    let mut rest = name.trim_start_matches('M');
    for digits in [
        ["CM", "CD", "DCCC", "DCC", "DC", "D", "CCC", "CC", "C"],
        ["XC", "XL", "LXXX", "LXX", "LX", "L", "XXX", "XX", "X"],
        ["IX", "IV", "VIII", "VII", "VI", "V", "III", "II", "I"],
    ] {
        let found = digits.iter().find(|digit| rest.starts_with(**digit));
        rest = found.map_or(rest, |digit| &rest[digit.len()..]);
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_forms_are_whole_and_plausible() {
        let check = |before: &str, acronym: &str, expected: Option<&str>| {
            assert_eq!(
                long_form(before, acronym).as_deref(),
                expected,
                "{before:?}"
            );
        };
        check(
            "uses the hidden Markov model ",
            "HMM",
            Some("hidden Markov model"),
        );
        check(
            "an Application Programming Interface ",
            "API",
            Some("Application Programming Interface"),
        );
        check(
            "the General Agreement on Trade in Services ",
            "GATS",
            Some("General Agreement on Trade in Services"),
        );
        check("the World Wide Web Consortium ", "W3C", None);
        check("End. Programming Interface ", "API", None);
        check("a big thing", "ABT", None);
        check("an unrelated line of words ", "XYZ", None);
        check("", "API", None);
        check(&"é".repeat(500), "API", None);
    }

    #[test]
    fn roman_numerals_are_strict() {
        for (name, expected) in [
            ("IV", true),
            ("XII", true),
            ("MCMXCIX", true),
            ("IIII", false),
            ("LCD", false),
            ("API", false),
        ] {
            assert_eq!(is_roman(name), expected, "{name}");
        }
    }
}
