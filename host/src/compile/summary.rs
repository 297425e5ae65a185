//! The extractive summary: the sentences that speak of what the document speaks of most.
//!
//! Sentences are scored by the frequency of their words in the document (SumBasic, Nenkova and
//! Vanderwende 2005), in integers, so that every machine chooses the same ones.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::words::{is_cjk, sentences, words};
use crate::kb::SafeLine;

/// Sentences of a summary.
const SENTENCES_MAX: usize = 5;

/// A summary of a text of few sentences has this many.
const SENTENCES_FEW: usize = 3;

/// A longer sentence is a table, a list or a formula that lost its shape.
const SENTENCE_CHARS_MAX: usize = 400;

/// Characters of a description.
const DESCRIPTION_CHARS_MAX: usize = 160;

/// The sentences looked at, from the start: it bounds time, and what a document is about stands
/// early in it.
const CANDIDATES_MAX: usize = 4000;

/// An ellipsis has three dots, with a full stop behind it four.
const LEADER_DOTS_MIN: u32 = 5;

/// Words that say nothing of a text. For other languages the words found in a quarter of all
/// sentences stand in.
static STOP_WORDS: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP_WORD_LIST.split(' ').collect());

const STOP_WORD_LIST: &str = "a about after all also an and any are as at be because been before being \
    both but by can could did do does each for from had has have he her his how i if in into is it \
    its it's may might more most must my no not of on one only or other our out over own same she \
    should so some such than that the their them then there these they this those through to two \
    under up use used using very was we were what when where which while who will with would you \
    your";

/// What was chosen of a document.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) paragraphs: Vec<SafeLine>,
    pub(super) description: SafeLine,
}

/// Collects paragraphs and chooses among their sentences.
#[derive(Debug, Default)]
pub(super) struct Summariser {
    candidates: Vec<Candidate>,
    /// The start of the first text of any kind: the description of a document without sentences.
    first_text: String,
}

#[derive(Debug)]
struct Candidate {
    text: String,
    /// Distinct, without stop words.
    words: Vec<String>,
    /// Starts as the rest of a sentence does, whose start another page or column holds.
    is_fragment: bool,
}

impl Summariser {
    /// Looks at a text that is no sentence of a paragraph: only for want of any.
    pub(super) fn look_at_fragment(&mut self, text: &str) {
        if self.first_text.is_empty() {
            self.first_text = text.chars().take(2 * DESCRIPTION_CHARS_MAX).collect();
        }
    }

    /// Looks at a paragraph.
    pub(super) fn look_at_paragraph(&mut self, text: &str) {
        if self.candidates.len() >= CANDIDATES_MAX {
            return;
        }
        self.look_at_fragment(text);
        if has_leaders(text) {
            return;
        }
        for sentence in sentences(text) {
            if self.candidates.len() < CANDIDATES_MAX && is_sentence(sentence) {
                let mut distinct = words(sentence);
                distinct.retain(|word| is_content(word));
                distinct.sort_unstable();
                distinct.dedup();
                self.candidates.push(Candidate {
                    is_fragment: sentence
                        .starts_with(|c: char| c.is_lowercase() || "[(,;)".contains(c)),
                    text: sentence.to_owned(),
                    words: distinct,
                });
            }
        }
    }

    /// Chooses the sentences. Words of `title` count double.
    pub(super) fn finish(mut self, title: &str) -> Summary {
        for candidate in &mut self.candidates {
            // Names such as `jq` start a sentence in lower case.
            let first = words(&candidate.text).into_iter().next();
            candidate.is_fragment &= !first.is_some_and(|first| words(title).contains(&first));
        }
        let mut weights = self.weights(title);
        let wanted = (self.candidates.len() / 10).clamp(SENTENCES_FEW, SENTENCES_MAX);
        let mut chosen = Vec::new();
        let mut described = None;
        let mut seen: HashSet<&str> = HashSet::new();
        while chosen.len() < wanted {
            let best = (0..self.candidates.len())
                .filter(|at| {
                    !chosen.contains(at) && !seen.contains(self.candidates[*at].text.as_str())
                })
                .max_by_key(|at| (self.score(*at, &weights), std::cmp::Reverse(*at)));
            let Some(best) = best else { break };
            if described.is_none() {
                described = self.description(best, &weights);
            }
            // What was said need not be said again.
            for word in &self.candidates[best].words {
                if let Some(weight) = weights.get_mut(word.as_str()) {
                    *weight /= 2;
                }
            }
            seen.insert(&self.candidates[best].text);
            chosen.push(best);
        }
        chosen.sort_unstable();
        let line = |text: &str| SafeLine::with_max(text, SENTENCE_CHARS_MAX);
        let description = described.unwrap_or_else(|| cut_to_words(&self.first_text));
        Summary {
            paragraphs: chosen
                .iter()
                .map(|at| line(&self.candidates[*at].text))
                .collect(),
            description: SafeLine::with_max(&description, DESCRIPTION_CHARS_MAX),
        }
    }

    /// Frequency of each word in sentences, without those that too many sentences share.
    fn weights(&self, title: &str) -> HashMap<String, u64> {
        let mut weights: HashMap<String, u64> = HashMap::new();
        for word in self
            .candidates
            .iter()
            .flat_map(|candidate| &candidate.words)
        {
            *weights.entry(word.clone()).or_default() += 1000;
        }
        let sentences = self.candidates.len() as u64;
        if sentences >= 20 {
            weights.retain(|_, weight| *weight / 1000 * 4 <= sentences);
        }
        for word in words(title) {
            if let Some(weight) = weights.get_mut(&word) {
                *weight *= 2;
            }
        }
        weights
    }

    /// The mean weight of a sentence's words; short sentences do not win by being short, and early
    /// ones are preferred.
    fn score(&self, at: usize, weights: &HashMap<String, u64>) -> u64 {
        let candidate = &self.candidates[at];
        let sum: u64 = candidate
            .words
            .iter()
            .filter_map(|word| weights.get(word))
            .sum();
        let mean = sum / (candidate.words.len() as u64 + 6);
        let early = at < 3 || at * 20 < self.candidates.len();
        let mean = if early { mean * 3 / 2 } else { mean };
        if candidate.is_fragment {
            mean / 2
        } else {
            mean
        }
    }

    /// The best sentence that is short enough; failing that the start of the best one.
    fn description(&self, best: usize, weights: &HashMap<String, u64>) -> Option<String> {
        let short = (0..self.candidates.len())
            .filter(|at| self.candidates[*at].text.chars().count() <= DESCRIPTION_CHARS_MAX)
            .max_by_key(|at| (self.score(*at, weights), std::cmp::Reverse(*at)));
        match short {
            Some(at) => Some(self.candidates[at].text.clone()),
            None => Some(cut_to_words(&self.candidates[best].text)),
        }
    }
}

/// Whether a piece of text is a sentence one can read: ended by a mark, of sensible length, and
/// mostly letters.
fn is_sentence(text: &str) -> bool {
    let chars = text.chars().count();
    let letters = text
        .chars()
        .filter(|c| c.is_alphabetic() || c.is_whitespace())
        .count();
    let wide = text.chars().filter(|c| is_cjk(*c)).count();
    let long_enough = wide >= 8 || text.split_whitespace().count() >= 5;
    let ended = text
        .trim_end_matches(['"', '\'', '”', '’', '»', ')', ']', '」', '』', '）'])
        .ends_with(['.', '!', '?', '。', '！', '？', '｡', '।', '؟', '۔', '…']);
    ended && long_enough && chars <= SENTENCE_CHARS_MAX && letters * 10 >= chars * 7
}

/// Whether a row of dots leads from a heading to its page: a line of a table of contents, which the
/// dots would make look like sentences.
fn has_leaders(text: &str) -> bool {
    let mut dots = 0;
    text.chars().filter(|c| !c.is_whitespace()).any(|c| {
        dots = if c == '.' { dots + 1 } else { 0 };
        dots >= LEADER_DOTS_MIN
    })
}

fn is_content(word: &str) -> bool {
    let long_enough = word.chars().count() > 2 || word.chars().any(is_cjk);
    long_enough && !STOP_WORDS.contains(word)
}

/// The start of `text` up to the end of a word, with `…` where something is left out.
fn cut_to_words(text: &str) -> String {
    let Some((cut, _)) = text.char_indices().nth(DESCRIPTION_CHARS_MAX) else {
        return text.to_owned();
    };
    let mut end = text.floor_char_boundary(cut - 1);
    if let Some(space) = text[..end].rfind(' ').filter(|space| *space > end / 2) {
        end = space;
    }
    format!(
        "{}…",
        text[..end].trim_end_matches([' ', ',', ';', ':', '-'])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(paragraphs: &[&str]) -> Summary {
        let mut summariser = Summariser::default();
        for paragraph in paragraphs {
            summariser.look_at_paragraph(paragraph);
        }
        summariser.finish("Rust")
    }

    #[test]
    fn whole_sentences_in_their_order() {
        let text = "Rust is a systems programming language. The weather was nice that day in May. \
            Rust prevents data races by its ownership system. Ownership is the heart of the language Rust. \
            Somebody ate lunch at noon with friends. Data races are ruled out by ownership in Rust.";
        let found = summary(&[text]);
        assert_eq!(found.paragraphs.len(), 3);
        let mut last = 0;
        for sentence in &found.paragraphs {
            let at = text
                .find(sentence.as_str())
                .expect("a whole sentence of the text");
            assert!(at >= last, "{sentence} is out of order");
            last = at;
            assert!(sentence.as_str().contains("Rust"), "{sentence}");
        }
        assert!(found.description.as_str().contains("Rust"));
    }

    #[test]
    fn noise_is_no_summary() {
        let found = summary(&[
            "12 34 56 78 90 11 22 33.",
            "Too short.",
            "no end mark in this line here",
            "2.3 The first data directory .  .  .  .  .  .  .  .  .  . 7",
        ]);
        assert!(found.paragraphs.is_empty());
        assert_eq!(found.description.as_str(), "12 34 56 78 90 11 22 33.");
        assert!(summary(&[]).description.is_empty());
        let found = summary(&[&format!("Then {}.", "word ".repeat(60))]);
        assert!(found.description.as_str().chars().count() <= DESCRIPTION_CHARS_MAX);
        assert!(
            found.description.as_str().ends_with('…'),
            "{}",
            found.description
        );
    }

    #[test]
    fn other_scripts_and_repetition() {
        let found =
            summary(&["機械学習は人工知能の一分野である。データから規則を学ぶ手法を研究する。"]);
        assert_eq!(found.paragraphs.len(), 2);
        let same = "This very sentence stands here again and again.";
        assert_eq!(summary(&[same, same, same]).paragraphs.len(), 1);
    }
}
