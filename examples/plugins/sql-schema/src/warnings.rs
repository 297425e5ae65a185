//! What a conversion tells the user, bounded: statements of one kind that were left out share a
//! sentence, what is broken gets one each.

use std::collections::BTreeMap;

use crate::markdown::one_line;

/// A dump with more to complain about is better opened than read about.
const BROKEN_MAX: usize = 40;

/// Kinds of statements that are told apart.
const KINDS_MAX: usize = 40;

/// Longest sentence, in characters.
const CHARS_MAX: usize = 300;

/// Sentences for the user.
#[derive(Debug, Default)]
pub(crate) struct Warnings {
    broken: Vec<String>,
    more_broken: u64,
    /// How many of a kind, and the line of the first.
    left_out: BTreeMap<String, (u64, u64)>,
}

impl Warnings {
    /// Something at `line` that could not be read.
    pub(crate) fn broken(&mut self, line: u64, what: &str) {
        if self.broken.len() < BROKEN_MAX {
            self.broken
                .push(one_line(&format!("line {line}: {what}"), CHARS_MAX));
        } else {
            self.more_broken += 1;
        }
    }

    /// A statement at `line` that says nothing about the schema.
    pub(crate) fn left_out(&mut self, line: u64, kind: &str) {
        let kind = one_line(kind, 40);
        let known = self.left_out.len() < KINDS_MAX || self.left_out.contains_key(&kind);
        let kind = if known { kind } else { "other".to_owned() };
        self.left_out.entry(kind).or_insert((0, line)).0 += 1;
    }

    /// All sentences.
    pub(crate) fn into_sentences(self) -> Vec<String> {
        let mut sentences = self.broken;
        if self.more_broken > 0 {
            sentences.push(format!("{} more parts could not be read", self.more_broken));
        }
        sentences.extend(
            self.left_out
                .into_iter()
                .map(|(kind, (count, line))| match count {
                    1 => format!("left out: {kind} at line {line}"),
                    _ => format!("left out: {count} times {kind}, first at line {line}"),
                }),
        );
        sentences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_bounded() {
        let mut warnings = Warnings::default();
        for line in 0..1_000 {
            warnings.broken(line, "x\ny");
            warnings.left_out(line, &format!("KIND{line}"));
            warnings.left_out(line, "SET");
        }
        let sentences = warnings.into_sentences();
        assert!(
            sentences.len() <= BROKEN_MAX + KINDS_MAX + 2,
            "{sentences:?}"
        );
        assert_eq!(sentences[0], "line 0: x y");
        assert!(sentences.contains(&"960 more parts could not be read".to_owned()));
        assert!(sentences.contains(&"left out: 1000 times SET, first at line 0".to_owned()));
    }
}
