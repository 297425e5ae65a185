//! Words and lines: the plain types that every later stage works on.

use crate::geometry::Rect;
use crate::page::Turn;

/// How a word is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Style {
    /// Bold.
    pub is_bold: bool,
    /// Italic.
    pub is_italic: bool,
    /// Of a font whose characters are all of one width.
    pub is_mono: bool,
}

/// Whether a word stands on the line, above or below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Script {
    /// On the line.
    #[default]
    Normal,
    /// Above.
    Super,
    /// Below.
    Sub,
}

/// Characters of one style without a space between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Where: from the font's usual ascent to its descent.
    pub rect: Rect,
    /// The line it stands on.
    pub baseline: f32,
    /// Font size in points.
    pub size: f32,
    /// Its font: an index into the document's fonts.
    pub font: u16,
    /// How it is set.
    pub style: Style,
    /// Above or below the line.
    pub script: Script,
    /// No space between it and the word before it on its line.
    pub is_glued: bool,
    /// The link it lies in: an index into the page's links.
    pub link: Option<u32>,
    /// The marked content it belongs to.
    pub content_id: Option<u32>,
    /// Marked as no part of the text.
    pub is_artifact: bool,
    /// Its place in the order in which the file draws.
    pub order: u32,
}

/// Words on a line, without a wide gap between them.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its words, in the order in which they are read: from left to right but for Hebrew and Arabic.
    pub words: Vec<Word>,
    /// Where.
    pub rect: Rect,
    /// What most of its words stand on.
    pub baseline: f32,
    /// Font size in points of most of its characters.
    pub size: f32,
    /// The way it reads.
    pub turn: Turn,
    /// Its place in the order in which the file draws.
    pub order: u32,
}

impl Line {
    /// A line of these words, which are in order; `None` of none.
    #[must_use]
    pub fn of_words(words: Vec<Word>, turn: Turn) -> Option<Self> {
        let rect = Rect::around(words.iter().map(|word| &word.rect))?;
        let order = words.iter().map(|word| word.order).min()?;
        let normal = words.iter().filter(|word| word.script == Script::Normal);
        // Most characters decide; of two sizes with as many the larger.
        let mut sizes: Vec<(f32, f32, usize)> = Vec::new();
        for word in normal.chain(&words[..1]) {
            let count = word.text.chars().count();
            let same = |known: &&mut (f32, f32, usize)| (known.0 - word.size).abs() < 0.1;
            if let Some(known) = sizes.iter_mut().find(same) {
                known.2 += count;
            } else if sizes.len() < 16 {
                sizes.push((word.size, word.baseline, count));
            }
        }
        let (size, baseline, _) = sizes
            .into_iter()
            .max_by(|a, b| a.2.cmp(&b.2).then(a.0.total_cmp(&b.0)))?;
        Some(Self {
            words,
            rect,
            baseline,
            size,
            turn,
            order,
        })
    }

    /// Its words with single spaces.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for word in &self.words {
            if !word.is_glued && !text.is_empty() {
                text.push(' ');
            }
            text.push_str(&word.text);
        }
        text
    }

    /// Number of characters, spaces not counted.
    #[must_use]
    pub fn chars(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.text.chars().count())
            .sum()
    }

    /// Whether at least nine tenths of its characters are of words for which `holds`.
    #[must_use]
    pub fn mostly(&self, holds: impl Fn(&Word) -> bool) -> bool {
        let holding = self.words.iter().filter(|word| holds(word));
        let holding: usize = holding.map(|word| word.text.chars().count()).sum();
        let all = self.chars();
        all > 0 && holding * 10 >= all * 9
    }
}
