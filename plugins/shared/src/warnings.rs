//! What a conversion tells the user, bounded.

use crate::one_line;

/// Sentences for the user: at most [`Warnings::MAX`], each on one line; the rest is counted.
#[derive(Debug, Default)]
pub struct Warnings {
    sentences: Vec<String>,
    left_out: u64,
}

impl Warnings {
    /// A document with more to complain about is better opened than read about.
    pub const MAX: usize = 20;
    /// Longest sentence, in characters: a path of usual length fits.
    pub const CHARS_MAX: usize = 300;

    /// Adds a sentence, or counts it when there are enough.
    pub fn push(&mut self, sentence: &str) {
        if self.sentences.len() < Self::MAX {
            self.sentences.push(one_line(sentence, Self::CHARS_MAX));
        } else {
            self.left_out += 1;
        }
    }

    /// The sentences, with a last one for those that were only counted.
    #[must_use]
    pub fn into_sentences(mut self) -> Vec<String> {
        if self.left_out > 0 {
            self.sentences
                .push(format!("{} more warnings of this kind", self.left_out));
        }
        self.sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_too_much() {
        let mut warnings = Warnings::default();
        for n in 0..Warnings::MAX + 3 {
            warnings.push(&format!("number {n}"));
        }
        let sentences = warnings.into_sentences();
        assert_eq!(sentences.len(), Warnings::MAX + 1);
        assert_eq!(sentences.last().unwrap(), "3 more warnings of this kind");
    }
}
