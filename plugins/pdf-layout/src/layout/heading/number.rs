//! The number that a heading begins with, and how deep it says that the heading is.
//!
//! Invariant: what is taken for a number is followed by a title or by nothing.

use crate::layout::roman;

/// Parts of a number that are told apart; a deeper one is as deep as this.
const PARTS_MAX: usize = 6;
/// The largest number of a part: years and codes of products are none.
const PART_MAX: u32 = 199;

/// What sort of number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `Part II`, `Book 1`: above chapters.
    Part,
    /// `Chapter 4`, `Appendix B`.
    Chapter,
    /// `IV.`
    Roman,
    /// `1.2`, `A.3`.
    Decimal,
    /// `A.`
    Letter,
    /// `(a)`, `1)`
    Bracket,
}

/// A number before a title.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// What sort.
    pub kind: Kind,
    /// How many parts it has, from 1.
    pub depth: u8,
    /// The bytes it takes, the space behind it not counted.
    pub length: usize,
}

/// Words before the number of a part of a book, in the languages most books are in.
const PART_WORDS: [&str; 9] = [
    "part", "book", "volume", "teil", "partie", "parte", "deel", "tome", "tomo",
];
/// Words before the number of a chapter.
const CHAPTER_WORDS: [&str; 23] = [
    "chapter",
    "appendix",
    "annex",
    "section",
    "article",
    "lecture",
    "lesson",
    "unit",
    "module",
    "kapitel",
    "anhang",
    "abschnitt",
    "chapitre",
    "annexe",
    "capítulo",
    "capitulo",
    "anexo",
    "capitolo",
    "appendice",
    "hoofdstuk",
    "bijlage",
    "rozdział",
    "глава",
];

/// The number at the start of a line.
#[must_use]
pub fn of(text: &str) -> Option<Number> {
    let first = text.split_whitespace().next()?;
    let word = first.to_lowercase();
    let kind = if PART_WORDS.contains(&word.as_str()) {
        Kind::Part
    } else if CHAPTER_WORDS.contains(&word.as_str()) {
        Kind::Chapter
    } else {
        return bare(text, first);
    };
    let rest = text.get(first.len()..)?;
    let number = rest.split_whitespace().next()?;
    let core = number.trim_end_matches(['.', ':', ')', '-', '–', '—']);
    let depth = parts(core)
        .or_else(|| is_roman(core).then_some(1))
        .or_else(|| is_letter(core).then_some(1))?;
    let gap = rest.len() - rest.trim_start().len();
    Some(Number {
        kind,
        depth,
        length: first.len() + gap + number.len(),
    })
}

fn bare(text: &str, first: &str) -> Option<Number> {
    let first = first
        .strip_prefix('§')
        .filter(|rest| !rest.is_empty())
        .unwrap_or(first);
    let start = text.find(first)?;
    let rest = text.get(start + first.len()..)?.trim_start();
    let title = rest.chars().next();
    let (kind, depth) = kind_of(first, rest)?;
    // Of a title that begins with a small letter the number is more likely a quantity.
    let is_title = title.is_none_or(|c| !c.is_lowercase() || kind == Kind::Decimal && depth > 1);
    is_title.then_some(Number {
        kind,
        depth,
        length: start + first.len(),
    })
}

fn kind_of(word: &str, rest: &str) -> Option<(Kind, u8)> {
    let core = word.trim_end_matches(['.', ':']);
    let is_dotted = core.len() < word.len();
    if let Some(depth) = parts(core) {
        let begins = rest.chars().next();
        // `5 %`, `3 + 4`, `12:30`
        let is_title = begins.is_none_or(|c| c.is_alphabetic() || "\"“‘'(¿«".contains(c));
        return (is_title || is_dotted).then_some((Kind::Decimal, depth));
    }
    let inner = core.trim_start_matches('(');
    if let Some(inner) = inner.strip_suffix(')') {
        let holds = parts(inner).is_some() || is_letter(inner) || is_roman(inner);
        return holds.then_some((Kind::Bracket, 1));
    }
    if is_roman(core) && (is_dotted || core.len() > 1) {
        return Some((Kind::Roman, 1));
    }
    (is_dotted && is_letter(core)).then_some((Kind::Letter, 1))
}

/// How many parts `1.2.3` or `A.2` has. A letter alone is no number here.
fn parts(number: &str) -> Option<u8> {
    let mut depth = 0;
    let mut is_lone_letter = false;
    for (n, part) in number.split('.').enumerate() {
        if n == 0 && is_letter(part) {
            is_lone_letter = true;
        } else {
            let value = (part.len() <= 3).then(|| part.parse::<u32>().ok())?;
            let has_sign = !part.bytes().all(|byte| byte.is_ascii_digit());
            value.filter(|value| *value <= PART_MAX && !has_sign)?;
        }
        depth = n + 1;
    }
    let is_number = depth > 0 && !(depth == 1 && is_lone_letter);
    is_number.then_some(u8::try_from(depth.min(PARTS_MAX)).unwrap_or(1))
}

fn is_letter(text: &str) -> bool {
    let mut chars = text.chars();
    matches!((chars.next(), chars.next()), (Some('A'..='Z'), None))
}

/// Whether this is a Roman number as far as headings are counted: in capitals.
fn is_roman(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase()) && roman::value(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(Kind, u8, &str)>) {
        let found = of(text);
        let found = found.map(|number| (number.kind, number.depth, &text[..number.length]));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn numbers_of_headings() {
        check("1 Introduction", Some((Kind::Decimal, 1, "1")));
        check("1. Introduction", Some((Kind::Decimal, 1, "1.")));
        check("2.10.3 More", Some((Kind::Decimal, 3, "2.10.3")));
        check("4.1", Some((Kind::Decimal, 2, "4.1")));
        check("A.3 Proofs", Some((Kind::Decimal, 2, "A.3")));
        check("3.2 iPhone", Some((Kind::Decimal, 2, "3.2")));
        check("Chapter 4", Some((Kind::Chapter, 1, "Chapter 4")));
        check(
            "CHAPTER IV: The end",
            Some((Kind::Chapter, 1, "CHAPTER IV:")),
        );
        check("Part  II", Some((Kind::Part, 1, "Part  II")));
        check("Section 3.2 Scope", Some((Kind::Chapter, 2, "Section 3.2")));
        check("IV. RESULTS", Some((Kind::Roman, 1, "IV.")));
        check("II RESULTS", Some((Kind::Roman, 1, "II")));
        check("B. Method", Some((Kind::Letter, 1, "B.")));
        check("(A) One", Some((Kind::Bracket, 1, "(A)")));
        check("§ 3", None);
        check("§3 Scope", Some((Kind::Decimal, 1, "§3")));
    }

    #[test]
    fn what_is_no_number() {
        check("2021 Edition", None);
        check("12 apples", None);
        check("5 % of all", None);
        check("A Simple Case", None);
        check("I am", None);
        check("Part of it", None);
        check("chapter", None);
        check("1..2 x", None);
        check("+1 X", None);
        check("VIV Y", None);
        check("", None);
    }
}
