//! Lists: which blocks are items, and how deep.
//!
//! Invariant: a block whose role somebody else has set is left alone; a number alone makes no item, only
//! one that others follow or that hangs out of its text does.

use std::collections::BTreeSet;

use crate::layout::block::{Block, PageBlocks, Role, TextBlock};
use crate::layout::roman;
use crate::layout::text::{Line, Word};

/// Items that stand this many ems farther right are of a list within.
const NESTED_MIN: f32 = 0.7;
/// Lists within lists.
const DEPTH_MAX: u8 = 8;
/// The text of an item stands at least this many ems to the right of its marker.
const HANGING_MIN: f32 = 0.6;
/// Items of a list that are looked at for the one before or after.
const LOOK_MAX: usize = 40;
/// Blocks from one item to the next, items of lists within counted.
const REACH: usize = 8;
/// Capitals count titles of sections as well: only those that follow each other at once are items.
const REACH_OF_TITLES: usize = 1;
/// The longest number of a list: `(xxxviii)`.
const NUMBER_CHARS_MAX: usize = 9;

/// What an item begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Characters of the first line that it takes.
    pub chars: u16,
    /// Bullet or number.
    pub kind: MarkerKind,
}

/// Sorts of markers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkerKind {
    /// A sign; the same for all items of a list.
    Bullet(char),
    /// A number as it is written, and what it may count as: `i.` is one or nine.
    Number {
        /// With its stop or brackets.
        text: String,
        /// Its readings.
        values: Vec<Counted>,
    },
}

/// A way to count, and how far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// `1`
    Digits(u32),
    /// `a`, `A`
    Letters(u32, bool),
    /// `i`, `I`
    Roman(u32, bool),
}

impl Counted {
    /// The number after this one, counted the same way.
    fn next(self) -> Self {
        match self {
            Self::Digits(n) => Self::Digits(n + 1),
            Self::Letters(n, is_upper) => Self::Letters(n + 1, is_upper),
            Self::Roman(n, is_upper) => Self::Roman(n + 1, is_upper),
        }
    }

    fn is_first(self) -> bool {
        matches!(
            self,
            Self::Digits(1) | Self::Letters(1, _) | Self::Roman(1, _)
        )
    }
}

impl Marker {
    /// Whether this one is the next of the same list.
    #[must_use]
    pub fn follows(&self, last: &Self) -> bool {
        match (&last.kind, &self.kind) {
            (MarkerKind::Bullet(a), MarkerKind::Bullet(b)) => a == b,
            (
                MarkerKind::Number { values: a, text: x },
                MarkerKind::Number { values: b, text: y },
            ) => punctuation(x) == punctuation(y) && a.iter().any(|a| b.contains(&a.next())),
            _ => false,
        }
    }

    /// How many blocks farther the next item may be.
    fn reach(&self) -> usize {
        match &self.kind {
            MarkerKind::Number { text, .. } if text.contains(|c: char| c.is_uppercase()) => {
                REACH_OF_TITLES
            }
            _ => REACH,
        }
    }

    /// Whether it may begin a list.
    #[must_use]
    pub fn is_first(&self) -> bool {
        match &self.kind {
            MarkerKind::Bullet(_) => true,
            MarkerKind::Number { values, .. } => values.iter().any(|value| value.is_first()),
        }
    }

    /// Whether it is a sign that is a bullet and nothing else.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        matches!(self.kind, MarkerKind::Bullet(c) if !matches!(c, '-' | '–' | '*' | '+' | '·'))
    }
}

fn punctuation(number: &str) -> String {
    number.chars().filter(|c| !c.is_alphanumeric()).collect()
}

/// The marker that lines begin with, if they do: a sign or a number, and something after it.
#[must_use]
pub fn marker(lines: &[Line]) -> Option<Marker> {
    let row = lines.first()?;
    let mut words = row_words(lines, row);
    let first = words.next()?;
    let next = words.next();
    let is_apart = next.is_some_and(|next| !next.is_glued);
    let text = first.text.as_str();
    let mut chars = text.chars();
    let sign = chars.next()?;
    let is_alone = chars.next().is_none();
    if let Some(bullet) = bullet(sign, is_alone, first, next) {
        let is_drawn_alone = is_alone && next.is_some();
        let is_stuck = !is_alone && is_sign(sign) && chars_count(text) > 1;
        return (is_drawn_alone || is_stuck).then_some(Marker {
            chars: 1,
            kind: MarkerKind::Bullet(bullet),
        });
    }
    let chars = u16::try_from(chars_count(text)).ok()?;
    let values = values(text);
    let is_number = is_apart && !values.is_empty();
    is_number.then(|| Marker {
        chars,
        kind: MarkerKind::Number {
            text: text.to_owned(),
            values,
        },
    })
}

fn chars_count(text: &str) -> usize {
    text.chars().count()
}

/// The words of the row that lines begin with: a marker may be a fragment of its own.
fn row_words<'a>(lines: &'a [Line], row: &'a Line) -> impl Iterator<Item = &'a Word> {
    let near = move |line: &&Line| (line.baseline - row.baseline).abs() < 0.3 * row.size;
    lines
        .iter()
        .take(2)
        .filter(near)
        .flat_map(|line| &line.words)
}

/// Signs that are bullets wherever a line begins with them.
fn is_sign(c: char) -> bool {
    matches!(
        c,
        '•' | '◦'
            | '▪'
            | '▫'
            | '‣'
            | '➢'
            | '➤'
            | '►'
            | '▶'
            | '▸'
            | '●'
            | '○'
            | '■'
            | '□'
            | '◆'
            | '◇'
            | '❖'
            | '✓'
            | '✔'
            | '∙'
            | '⁃'
            | '☐'
            | '☑'
            | '☒'
            | '\u{f0b7}'
            | '➔'
            | '→'
            | '★'
            | '❑'
            | '❒'
    )
}

fn bullet(sign: char, is_alone: bool, word: &Word, next: Option<&Word>) -> Option<char> {
    if is_sign(sign) {
        return Some(sign);
    }
    let is_apart = next.is_some_and(|next| !next.is_glued);
    if !is_alone || !is_apart {
        return None;
    }
    match sign {
        '-' | '–' | '*' | '+' | '·' => Some(sign),
        // Letters of symbol fonts, where word processors keep their bullets.
        'o' | '§' | 'Ø' | 'ü' | 'v' | 'l' | 'n' | 'q' => {
            let is_other_font = next.is_some_and(|next| next.font != word.font);
            (is_other_font && !word.style.is_italic && !word.style.is_bold).then_some(sign)
        }
        _ => None,
    }
}

/// What a number with its stop or brackets counts as; nothing if it is none.
fn values(text: &str) -> Vec<Counted> {
    let mut values = Vec::new();
    let bracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let inner = match (text.strip_suffix('.'), text.strip_suffix(')'), bracketed) {
        (Some(inner), ..) => inner,
        (_, Some(inner), _) => inner.strip_prefix('(').unwrap_or(inner),
        (_, _, Some(inner)) => inner,
        _ => return values,
    };
    if inner.is_empty() || inner.len() > NUMBER_CHARS_MAX {
        return values;
    }
    if inner.bytes().all(|b| b.is_ascii_digit()) {
        // A year and a full stop is the end of a sentence.
        values.extend(
            inner
                .parse()
                .ok()
                .filter(|_| inner.len() <= 3)
                .map(Counted::Digits),
        );
        return values;
    }
    let is_upper = inner.bytes().all(|b| b.is_ascii_uppercase());
    if !is_upper && !inner.bytes().all(|b| b.is_ascii_lowercase()) {
        return values;
    }
    if let [letter] = inner.as_bytes() {
        let n = u32::from(letter.to_ascii_lowercase() - b'a') + 1;
        values.push(Counted::Letters(n, is_upper));
    }
    values.extend(roman::value(inner).map(|n| Counted::Roman(n, is_upper)));
    values
}

/// An item as far as it is known while a page is read.
struct Found {
    block: usize,
    marker: Marker,
    x0: f32,
    em: f32,
    is_hanging: bool,
}

/// Marks the items of lists.
pub fn mark(pages: &mut [PageBlocks]) {
    let mut last_of_page: Vec<(Marker, u8)> = Vec::new();
    for page in pages {
        let found = found(&page.blocks);
        let kept = kept(&found, &last_of_page);
        let mut stack: Vec<(f32, Marker)> = Vec::new();
        let mut last_y = f32::NEG_INFINITY;
        let mut of_page = Vec::new();
        for item in found.iter().filter(|item| kept.contains(&item.block)) {
            let Some(block) = page.blocks.get_mut(item.block) else {
                continue;
            };
            // Higher up than the one before: another column.
            if block.rect.y0 < last_y {
                stack.clear();
            }
            last_y = block.rect.y0;
            while stack
                .last()
                .is_some_and(|(x, _)| *x > item.x0 - NESTED_MIN * item.em)
            {
                stack.pop();
            }
            let depth = u8::try_from(stack.len())
                .unwrap_or(DEPTH_MAX)
                .min(DEPTH_MAX);
            stack.push((item.x0, item.marker.clone()));
            of_page.push((item.marker.clone(), depth));
            if let Some(text) = block.text_mut() {
                text.role = Role::Item {
                    depth,
                    number: match &item.marker.kind {
                        MarkerKind::Bullet(_) => None,
                        MarkerKind::Number { text, .. } => Some(text.clone()),
                    },
                    marker_chars: item.marker.chars,
                };
            }
        }
        if !of_page.is_empty() {
            last_of_page = of_page;
        }
    }
}

fn found(blocks: &[Block]) -> Vec<Found> {
    let texts = blocks.iter().enumerate();
    let texts = texts.filter_map(|(number, block)| Some((number, block.text()?)));
    texts
        .filter(|(_, text)| text.role == Role::Paragraph)
        .filter_map(|(block, text)| {
            let first = text.lines.first()?;
            let marker = marker(&text.lines)?;
            Some(Found {
                block,
                x0: first.rect.x0,
                em: first.size,
                is_hanging: is_hanging(text),
                marker,
            })
        })
        .filter(|item| {
            let text = blocks.get(item.block).and_then(Block::text);
            !matches!(item.marker.kind, MarkerKind::Number { .. }) || !text.is_some_and(is_bold)
        })
        .collect()
}

/// Bold short text with a number is a heading.
fn is_bold(text: &TextBlock) -> bool {
    text.lines
        .iter()
        .all(|line| line.mostly(|word| word.style.is_bold))
}

/// Whether all rows but the first begin farther right.
fn is_hanging(text: &TextBlock) -> bool {
    let Some(first) = text.lines.first() else {
        return false;
    };
    let mut below = text.lines.iter();
    let mut below = below
        .by_ref()
        .filter(|line| line.baseline > first.baseline + 0.3 * first.size);
    let is_right = |line: &Line| line.rect.x0 > first.rect.x0 + HANGING_MIN * first.size;
    below.next().is_some_and(&is_right) && below.all(is_right)
}

/// The blocks that are items: bullets, and numbers that others follow or that hang.
fn kept(found: &[Found], last_of_page: &[(Marker, u8)]) -> BTreeSet<usize> {
    let is_kept = |at: usize, item: &Found| {
        let is_number = matches!(item.marker.kind, MarkerKind::Number { .. });
        let reach = item.marker.reach();
        let is_near = |other: &Found| other.block.abs_diff(item.block) <= reach;
        let mut next = found[at + 1..]
            .iter()
            .take(LOOK_MAX)
            .filter(|other| is_near(other));
        let has_next = next.any(|other| other.marker.follows(&item.marker));
        let mut last = found[..at]
            .iter()
            .rev()
            .take(LOOK_MAX)
            .filter(|other| is_near(other));
        let has_last = last.any(|other| item.marker.follows(&other.marker));
        let goes_on = item.marker.reach() > REACH_OF_TITLES
            && last_of_page
                .iter()
                .any(|(last, _)| item.marker.follows(last));
        let is_listed = has_next && item.marker.is_first() || has_last || goes_on;
        !is_number || is_listed || item.is_hanging && reach > REACH_OF_TITLES
    };
    let items = found.iter().enumerate();
    items
        .filter(|(at, item)| is_kept(*at, item))
        .map(|(_, item)| item.block)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::{block, line, page};

    fn roles(lines: &[(&str, f32)]) -> Vec<String> {
        let blocks = lines.iter().zip(0_u8..);
        let blocks = blocks.map(|((text, x), n)| block(vec![line(text, *x, 20.0 * f32::from(n))]));
        let mut pages = [page(1, blocks.collect())];
        mark(&mut pages);
        let texts = pages[0].blocks.iter().filter_map(Block::text);
        let role = |text: &TextBlock| match &text.role {
            Role::Item { depth, number, .. } => {
                format!("{depth}{}", number.as_deref().unwrap_or("*"))
            }
            _ => "-".to_owned(),
        };
        texts.map(role).collect()
    }

    #[test]
    fn bullets_nest_by_their_place() {
        let lines = [
            ("• a", 0.0),
            ("– b", 15.0),
            ("– c", 15.0),
            ("• d", 0.0),
            ("text", 0.0),
        ];
        assert_eq!(roles(&lines), ["0*", "1*", "1*", "0*", "-"]);
    }

    #[test]
    fn numbers_are_items_where_others_follow() {
        let lines = [("1. a", 0.0), ("a) b", 15.0), ("b) c", 15.0), ("2. d", 0.0)];
        assert_eq!(roles(&lines), ["01.", "1a)", "1b)", "02."]);
        assert_eq!(roles(&[("7. a", 0.0), ("text", 0.0)]), ["-", "-"]);
        assert_eq!(roles(&[("1999. a", 0.0), ("2000. b", 0.0)]), ["-", "-"]);
        assert_eq!(roles(&[("i. a", 0.0), ("ii. b", 0.0)]), ["0i.", "0ii."]);
    }

    #[test]
    fn capitals_with_text_between_are_titles() {
        let lines = [
            ("A. Aims", 0.0),
            ("text", 0.0),
            ("text", 0.0),
            ("B. Means", 0.0),
        ];
        assert_eq!(roles(&lines), ["-", "-", "-", "-"]);
    }

    #[test]
    fn roman_numbers_are_counted() {
        assert_eq!(roman::value("xiv"), Some(14));
        assert_eq!(roman::value("iiii"), None);
        assert_eq!(
            values("v)"),
            [Counted::Letters(22, false), Counted::Roman(5, false)]
        );
    }
}
