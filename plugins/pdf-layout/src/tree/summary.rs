//! Summaries: the first sentences of a section.
//!
//! Invariant: whole sentences of running text, within [`CHARS_MAX`]; nothing is made up.

use crate::layout::block::{PageBlocks, Role};
use crate::markdown::joined;

/// Longest summary, in characters.
const CHARS_MAX: usize = 400;
/// A summary of this many characters says enough.
const CHARS_ENOUGH: usize = 160;
/// Shorter paragraphs are labels, lines of an address, cells.
const PARAGRAPH_CHARS_MIN: usize = 40;
/// Blocks that are looked at.
const BLOCKS_MAX: usize = 200;

/// Abbreviations that end with a full stop and no sentence, in small letters.
const ABBREVIATIONS: [&str; 30] = [
    "e.g", "i.e", "etc", "cf", "vs", "al", "fig", "figs", "eq", "eqs", "sec", "no", "nos", "vol",
    "pp", "p", "dr", "mr", "mrs", "ms", "prof", "st", "inc", "ltd", "co", "corp", "approx", "dept",
    "bzw", "z.b",
];

/// The first sentences of the text from one place of a document, page and block, up to another.
#[must_use]
pub fn of(pages: &[PageBlocks], from: (usize, usize), until: (usize, usize)) -> Option<String> {
    let mut summary = String::new();
    let places = pages.iter().enumerate().skip(from.0);
    let blocks = places.flat_map(|(at, page)| {
        let blocks = page.blocks.iter().enumerate();
        blocks.map(move |(n, block)| ((at, n), block))
    });
    let within = blocks
        .skip_while(|(place, _)| *place < from)
        .take_while(|(place, _)| *place < until)
        .take(BLOCKS_MAX);
    for (_, block) in within {
        let Some(text) = block.text().filter(|text| text.role == Role::Paragraph) else {
            continue;
        };
        let plain = joined(&text.lines);
        if plain.chars().count() < PARAGRAPH_CHARS_MIN {
            continue;
        }
        let complete = add(&plain, &mut summary);
        if complete || summary.chars().count() >= CHARS_ENOUGH {
            break;
        }
    }
    (!summary.is_empty()).then_some(summary)
}

/// Adds sentences of a paragraph as far as they fit; whether no more are wanted.
fn add(paragraph: &str, summary: &mut String) -> bool {
    for sentence in sentences(paragraph) {
        let have = summary.chars().count();
        let length = sentence.chars().count();
        if have + length >= CHARS_MAX {
            if summary.is_empty() {
                summary.push_str(&cut(sentence));
            }
            return true;
        }
        if !summary.is_empty() {
            summary.push(' ');
        }
        summary.push_str(sentence);
        if have + length >= CHARS_ENOUGH {
            return true;
        }
    }
    false
}

/// The beginning of a sentence that is too long, up to a word.
fn cut(sentence: &str) -> String {
    let mut end = 0;
    let spaces = sentence.char_indices().enumerate().take(CHARS_MAX - 2);
    for (_, (at, c)) in spaces {
        if c.is_whitespace() {
            end = at;
        }
    }
    let start: String = match sentence.get(..end) {
        Some(start) if !start.is_empty() => start.to_owned(),
        _ => sentence.chars().take(CHARS_MAX - 2).collect(),
    };
    format!("{}…", start.trim_end_matches([',', ';', ':', ' ']))
}

/// The sentences of a paragraph.
fn sentences(paragraph: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let mut start = 0;
    for (at, c) in paragraph.char_indices() {
        let end = at + c.len_utf8();
        let ends = match c {
            '。' | '！' | '？' => true,
            '.' | '!' | '?' => ends_sentence(paragraph, start, at, end),
            _ => false,
        };
        if ends {
            sentences.extend(paragraph.get(start..end).map(str::trim));
            start = end;
        }
    }
    let rest = paragraph.get(start..).unwrap_or_default().trim();
    if !rest.is_empty() {
        sentences.push(rest);
    }
    sentences
}

/// Whether the mark between `at` and `end` ends the sentence that begins at `start`.
fn ends_sentence(paragraph: &str, start: usize, at: usize, end: usize) -> bool {
    let rest = paragraph.get(end..).unwrap_or_default();
    let next = rest.trim_start().chars().next();
    let is_apart = rest.is_empty() || rest.starts_with(char::is_whitespace);
    let begins = next.is_none_or(|c| !c.is_lowercase());
    let before = paragraph.get(start..at).unwrap_or_default();
    let word = before
        .rsplit(char::is_whitespace)
        .next()
        .unwrap_or_default();
    let word = word
        .trim_start_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase();
    let is_initial = word.chars().count() == 1 && word.chars().all(char::is_alphabetic);
    let is_number =
        !word.is_empty() && word.chars().all(|c| c.is_ascii_digit()) && before.trim() == word;
    is_apart && begins && !ABBREVIATIONS.contains(&word.as_str()) && !is_initial && !is_number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_they_do() {
        let check = |text: &str, expected: &[&str]| assert_eq!(sentences(text), expected);
        check("One. Two? Three! Rest", &["One.", "Two?", "Three!", "Rest"]);
        check(
            "See Fig. 3 for it. J. Doe et al. Wrote it.",
            &["See Fig. 3 for it.", "J. Doe et al. Wrote it."],
        );
        check(
            "It is 3.5 m, e.g. Long. So.",
            &["It is 3.5 m, e.g. Long.", "So."],
        );
        check("1. First thing. Then", &["1. First thing.", "Then"]);
        check("一。二。", &["一。", "二。"]);
        check("", &[]);
    }

    #[test]
    fn what_is_too_long_is_cut_at_a_word() {
        let mut summary = String::new();
        assert!(add(&"word, ".repeat(200), &mut summary));
        assert!(summary.ends_with("word…"), "{summary}");
        assert!(summary.chars().count() <= CHARS_MAX);
        let mut summary = String::new();
        assert!(add(&"x".repeat(2000), &mut summary));
        assert!(summary.chars().count() <= CHARS_MAX);
        // A sentence that does not fit behind another is left out.
        let mut summary = String::from("Short.");
        assert!(add(&"y".repeat(2000), &mut summary));
        assert_eq!(summary, "Short.");
    }
}
