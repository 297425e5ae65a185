//! Words that are divided over two lines: which hyphens are of the word and which of the line.
//!
//! Invariant: after this stage the two halves are marked as glued, and no stage after it has to ask.

use std::collections::BTreeSet;

use crate::layout::block::{BlockKind, PageBlocks, Role};
use crate::layout::text::{Line, Word};

/// Different words that are remembered of a document.
const WORDS_MAX: usize = 300_000;
/// Parts of words with as many letters that are words themselves are words of a compound.
const PART_CHARS_MIN: usize = 4;
/// Lines on baselines this near, in ems, are of one row.
const ROW_TOLERANCE: f32 = 0.3;

/// The words of a document that are not at a line's end, in small letters.
#[derive(Debug, Default)]
pub struct Vocabulary {
    words: BTreeSet<String>,
}

impl Vocabulary {
    /// The words of pages.
    #[must_use]
    pub fn of(pages: &[PageBlocks]) -> Self {
        let mut words = BTreeSet::new();
        for line in pages.iter().flat_map(lines) {
            let inner = line.words.len().saturating_sub(1);
            for word in line.words.iter().take(inner) {
                if words.len() < WORDS_MAX {
                    words.insert(core(&word.text));
                }
            }
        }
        Self { words }
    }

    /// Whether two words are one with a hyphen between, as far as the rest of the document tells.
    fn is_compound(&self, head: &str, tail: &str) -> bool {
        let is_word = |part: &str| part.chars().count() >= PART_CHARS_MIN && self.has(part);
        let are_words = || is_word(head) && is_word(tail);
        !self.has(&format!("{head}{tail}")) && (self.has(&format!("{head}-{tail}")) || are_words())
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&core(word))
    }
}

fn core(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric())
        .to_lowercase()
}

fn lines(page: &PageBlocks) -> Vec<&Line> {
    let mut lines = Vec::new();
    for block in &page.blocks {
        match &block.kind {
            BlockKind::Text(text) => lines.extend(&text.lines),
            BlockKind::Table(table) => {
                let cells = table.rows.iter().flatten();
                lines.extend(cells.flat_map(|cell| &cell.lines));
            }
            BlockKind::Picture { .. } => {}
        }
    }
    lines
}

/// Joins the halves of divided words in a whole document.
pub fn resolve(pages: &mut [PageBlocks], vocabulary: &Vocabulary) {
    for block in pages.iter_mut().flat_map(|page| &mut page.blocks) {
        match &mut block.kind {
            // Every character of code counts.
            BlockKind::Text(text) if text.role == Role::Code => {}
            BlockKind::Text(text) => join_lines(&mut text.lines, vocabulary),
            BlockKind::Table(table) => {
                for cell in table.rows.iter_mut().flatten() {
                    join_lines(&mut cell.lines, vocabulary);
                }
            }
            BlockKind::Picture { .. } => {}
        }
    }
}

fn join_lines(lines: &mut [Line], vocabulary: &Vocabulary) {
    for at in 1..lines.len() {
        let (before, after) = lines.split_at_mut(at);
        let (Some(before), Some(after)) = (before.last_mut(), after.first_mut()) else {
            continue;
        };
        // Fragments of one row are not halves.
        if (before.baseline - after.baseline).abs() < ROW_TOLERANCE * after.size {
            continue;
        }
        take_hyphen(&mut before.words);
        let (last, next) = (before.words.last_mut(), after.words.first_mut());
        if let (Some(last), Some(next)) = (last, next) {
            next.is_glued = join(last, next, vocabulary);
        }
    }
    for word in lines.iter_mut().flat_map(|line| &mut line.words) {
        if word.text.contains('\u{ad}') {
            word.text.retain(|c| c != '\u{ad}');
        }
    }
}

/// Whether a part of a word has neither digits nor a hyphen of its own.
fn is_plain(head: &str) -> bool {
    head.chars()
        .all(|c| c.is_alphabetic() || !c.is_alphanumeric() && c != '-')
}

/// Lets a hyphen that is a word of its own at the end of a line be part of the one it touches.
fn take_hyphen(words: &mut Vec<Word>) {
    let is_alone = words
        .last()
        .is_some_and(|last| last.is_glued && is_hyphen_text(&last.text));
    if is_alone
        && words.len() > 1
        && let Some(hyphen) = words.pop()
        && let Some(last) = words.last_mut()
    {
        last.text.push_str(&hyphen.text);
    }
}

fn is_hyphen_text(text: &str) -> bool {
    matches!(text, "-" | "\u{2010}" | "\u{ad}")
}

/// Words that follow a hyphen that stands for the end of a longer word: `two- and threefold`.
const CONJUNCTIONS: [&str; 12] = [
    "and", "or", "to", "und", "oder", "bis", "et", "ou", "y", "o", "en", "och",
];

/// Whether `next` goes on a word that `last` begins; takes the hyphen of the line's end away.
pub fn join(last: &mut Word, next: &Word, vocabulary: &Vocabulary) -> bool {
    let Some(hyphen) = last.text.chars().next_back() else {
        return false;
    };
    let first = next.text.chars().next();
    let starts_small = first.is_some_and(char::is_lowercase);
    if hyphen == '\u{ad}' {
        last.text.pop();
        return true;
    }
    let head = last.text.strip_suffix(hyphen).unwrap_or_default();
    if CONJUNCTIONS.contains(&next.text.as_str()) {
        return false;
    }
    let is_hyphen = matches!(hyphen, '-' | '\u{2010}');
    let follows_letter = head.chars().next_back().is_some_and(char::is_alphanumeric);
    if !is_hyphen || !follows_letter || !first.is_some_and(char::is_alphanumeric) {
        return false;
    }
    let is_divided = starts_small && is_plain(head) && !vocabulary.is_compound(head, &next.text);
    if is_divided {
        last.text.pop();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::{block, line, page};
    use crate::markdown::joined;

    #[test]
    fn hyphens_of_the_line_go_and_those_of_the_word_stay() {
        let check = |first: &str, second: &str, rest: &str, expected: &str| {
            let lines = vec![line(first, 0.0, 100.0), line(second, 0.0, 112.0)];
            let other = vec![line(&format!("{rest} and so on"), 0.0, 200.0)];
            let mut pages = [page(1, vec![block(lines), block(other)])];
            let vocabulary = Vocabulary::of(&pages);
            resolve(&mut pages, &vocabulary);
            let text = pages[0].blocks.first().and_then(|block| block.text());
            assert_eq!(joined(&text.expect("text").lines), expected);
        };
        check("the perfor-", "mance of", "x", "the performance of");
        check("a well-", "known fact", "well-known", "a well-known fact");
        check(
            "some long-",
            "term plan",
            "long term",
            "some long-term plan",
        );
        check("two- or", "three", "x", "two- or three");
        check("the short-", "and the long", "x", "the short- and the long");
        check("in 2019-", "2020 it", "x", "in 2019-2020 it");
        check("soft\u{ad}", "ly", "x", "softly");
        check("a dash -", "so", "x", "a dash - so");
    }
}
