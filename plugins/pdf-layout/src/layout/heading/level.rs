//! Levels: of headings that are numbered as deep as their number, of the others by how they are set,
//! the same for the whole document.

use std::collections::BTreeMap;

use super::feature::Look;
use super::number::{Kind, Number};

/// The deepest level that Markdown has.
const LEVEL_MAX: usize = 6;
/// Sizes that differ by less, as a share, are the same.
const SIZE_TOLERANCE: f32 = 0.04;

/// A heading, for its level.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// How it is set.
    pub look: Look,
    /// Its number.
    pub number: Option<Number>,
}

/// A way of setting headings.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Style {
    size: f32,
    is_bold: bool,
    is_capitals: bool,
    is_italic: bool,
}

impl Style {
    fn of(look: &Look) -> Self {
        Self {
            size: look.size,
            is_bold: look.is_bold,
            is_capitals: look.is_capitals,
            is_italic: look.is_italic,
        }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.size - other.size).abs() <= SIZE_TOLERANCE * self.size.max(other.size)
            && self.is_bold == other.is_bold
            && self.is_capitals == other.is_capitals
            && self.is_italic == other.is_italic
    }
}

/// What headings of one level have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Numbered(Kind, u8),
    Styled(usize),
}

/// A group with what it is ranked by.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    group: Group,
    style: Style,
    first: usize,
}

/// The level of each heading, from 1.
#[must_use]
pub fn of(candidates: &[Candidate]) -> Vec<u8> {
    let (styles, style_of) = styles(candidates);
    let owners = owners(candidates, &style_of);
    let group_of = |at: usize| match candidates.get(at).and_then(|candidate| candidate.number) {
        Some(number) => Group::Numbered(number.kind, number.depth),
        None => {
            let style = style_of.get(at).copied().unwrap_or_default();
            owners.get(&style).copied().unwrap_or(Group::Styled(style))
        }
    };
    let mut groups: BTreeMap<Group, (BTreeMap<usize, usize>, usize)> = BTreeMap::new();
    for at in 0..candidates.len() {
        let (counts, _) = groups.entry(group_of(at)).or_insert((BTreeMap::new(), at));
        *counts
            .entry(style_of.get(at).copied().unwrap_or_default())
            .or_insert(0) += 1;
    }
    let ranked = groups.into_iter().filter_map(|(group, (counts, first))| {
        let (style, _) = counts
            .into_iter()
            .max_by_key(|(style, count)| (*count, usize::MAX - style))?;
        Some(Ranked {
            group,
            style: *styles.get(style)?,
            first,
        })
    });
    let ranks = ranks(ranked.collect());
    let level = |at| {
        let rank = ranks.get(&group_of(at)).copied().unwrap_or_default();
        u8::try_from((rank + 1).min(LEVEL_MAX)).unwrap_or(1)
    };
    (0..candidates.len()).map(level).collect()
}

/// The styles in order of their first heading, and which each heading has.
fn styles(candidates: &[Candidate]) -> (Vec<Style>, Vec<usize>) {
    /// Styles beyond these count as the last: a document with more has none.
    const STYLES_MAX: usize = 64;
    let mut styles: Vec<Style> = Vec::new();
    let style_of = candidates.iter().map(|candidate| {
        let style = Style::of(&candidate.look);
        let known = styles.iter().position(|known| known.is_like(&style));
        known.unwrap_or_else(|| {
            if styles.len() < STYLES_MAX {
                styles.push(style);
            }
            styles.len() - 1
        })
    });
    let style_of = style_of.collect();
    (styles, style_of)
}

/// The numbering whose level the unnumbered headings of a style have: that of most of its numbered ones.
fn owners(candidates: &[Candidate], style_of: &[usize]) -> BTreeMap<usize, Group> {
    let mut counts: BTreeMap<usize, BTreeMap<Group, usize>> = BTreeMap::new();
    for (candidate, style) in candidates.iter().zip(style_of) {
        if let Some(number) = candidate.number {
            let group = Group::Numbered(number.kind, number.depth);
            *counts.entry(*style).or_default().entry(group).or_insert(0) += 1;
        }
    }
    let most = |groups: BTreeMap<Group, usize>| {
        // Of two as frequent the outer one: `Abstract` is set as chapters are.
        let owner = groups.into_iter().rev().max_by_key(|(_, count)| *count);
        owner.map(|(group, _)| group)
    };
    let owners = counts.into_iter();
    owners
        .filter_map(|(style, groups)| Some((style, most(groups)?)))
        .collect()
}

/// The place of each group among all, from the outermost: by size, then by weight and capitals; among
/// numberings of one size the one that begins first is the outer one.
fn ranks(mut groups: Vec<Ranked>) -> BTreeMap<Group, usize> {
    groups.sort_by_key(|ranked| ranked.first);
    // A deeper number is never above a shallower one, however it is set.
    for at in 0..groups.len() {
        let Some((before, rest)) = groups.split_at_mut_checked(at) else {
            break;
        };
        let Some(group) = rest.first_mut() else {
            break;
        };
        for outer in before {
            if !encloses(outer, group) {
                continue;
            }
            group.style.size = group.style.size.min(outer.style.size);
            group.style.is_bold &= outer.style.is_bold;
            group.style.is_capitals &= outer.style.is_capitals;
        }
    }
    let mut sizes: Vec<f32> = groups.iter().map(|group| group.style.size).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    sizes.dedup_by(|a, b| *b - *a <= SIZE_TOLERANCE * *b);
    // Sizes that are nearly the same are that of the largest of them.
    let size = |ranked: &Ranked| sizes.partition_point(|size| *size >= ranked.style.size);
    groups.sort_by(|a, b| {
        size(a)
            .cmp(&size(b))
            .then(b.style.is_bold.cmp(&a.style.is_bold))
            .then(b.style.is_capitals.cmp(&a.style.is_capitals))
            .then(a.first.cmp(&b.first))
    });
    let places = groups.iter().enumerate();
    places
        .map(|(place, ranked)| (ranked.group, place))
        .collect()
}

/// Whether headings of one numbering, which begins first, hold those of another.
fn encloses(outer: &Ranked, inner: &Ranked) -> bool {
    let (Group::Numbered(kind, depth), Group::Numbered(other, deeper)) = (outer.group, inner.group)
    else {
        return false;
    };
    let is_as_large = inner.style.size <= outer.style.size * (1.0 + SIZE_TOLERANCE);
    if kind == other {
        return depth < deeper;
    }
    is_as_large
}

#[cfg(test)]
mod tests {
    use super::super::number;
    use super::*;

    fn check(headings: &[(&str, f32, bool)], expected: &[u8]) {
        let candidates: Vec<Candidate> = headings
            .iter()
            .map(|(text, size, is_bold)| Candidate {
                look: Look {
                    size: *size,
                    is_bold: *is_bold,
                    is_italic: false,
                    is_capitals: false,
                    font: 0,
                    is_one_font: true,
                },
                number: number::of(text),
            })
            .collect();
        assert_eq!(of(&candidates), expected, "{headings:?}");
    }

    #[test]
    fn numbers_go_before_looks() {
        check(
            &[
                ("Title", 20.0, true),
                ("1 A", 12.0, true),
                ("1.1 B", 12.0, true),
                ("2 C", 12.0, true),
            ],
            &[1, 2, 3, 2],
        );
        // A deeper number that is set larger.
        check(&[("1 A", 12.0, true), ("1.1 B", 14.0, true)], &[1, 2]);
        check(
            &[
                ("I. A", 10.0, false),
                ("A. B", 10.0, true),
                ("1. C", 10.0, true),
            ],
            &[1, 2, 3],
        );
        check(
            &[
                ("Abstract", 12.0, true),
                ("1 A", 12.0, true),
                ("1.1 B", 11.0, true),
            ],
            &[1, 1, 2],
        );
    }

    #[test]
    fn looks_are_ranked() {
        check(
            &[
                ("A", 14.0, false),
                ("B", 18.0, false),
                ("C", 14.2, false),
                ("D", 10.0, true),
                ("E", 10.0, false),
            ],
            &[2, 1, 2, 3, 4],
        );
        // Deeper than Markdown has levels, and more looks than are told apart.
        let sizes: Vec<f32> = (0..100).map(|n| 400.0 * 0.9_f32.powi(n)).collect();
        let many: Vec<(&str, f32, bool)> = sizes.iter().map(|size| ("x", *size, false)).collect();
        let mut expected = vec![6; 100];
        for (level, expected) in (1..6).zip(&mut expected) {
            *expected = level;
        }
        check(&many, &expected);
    }
}
