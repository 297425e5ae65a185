//! Page numbers as they are typed, and as converters tell them: `3,10-14`. Pure.

use std::fmt;
use std::ops::RangeInclusive;

use serde::de::Error as _;

use super::pages::PAGES_MAX;

/// Ranges in one list that somebody types: more are a mistake.
const RANGES_MAX: usize = 100;

/// Ranges in one list that a converter tells: every other page of a book.
const TOLD_RANGES_MAX: usize = 2_000;

/// Bytes of a list that are looked at: as many as such a list can have.
const TOLD_BYTES_MAX: usize = 32 << 10;

/// Pages of a document: sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRanges(Vec<RangeInclusive<u32>>);

impl PageRanges {
    /// Reads a list of page numbers and ranges of them, parted by commas.
    ///
    /// # Errors
    /// What of it is none, as a sentence fragment.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let mut ranges = Vec::new();
        for part in typed.split(',') {
            ranges.push(range(part)?);
        }
        if ranges.len() > RANGES_MAX {
            return Err(format!("more than {RANGES_MAX} ranges"));
        }
        Ok(Self::of(ranges))
    }

    /// Of a list that nobody vouches for what can be read, of pages up to `last`; `None` if that is
    /// nothing.
    pub(crate) fn told(untrusted: &str, last: Option<u32>) -> Option<Self> {
        let head = &untrusted[..untrusted.floor_char_boundary(TOLD_BYTES_MAX)];
        let last = last.unwrap_or(PAGES_MAX);
        let ranges = head.split(',').filter_map(|part| range(part).ok());
        let ranges = ranges
            .map(|range| *range.start()..=*range.end().min(&last))
            .filter(|range| !range.is_empty());
        let ranges = Self::of(ranges.take(TOLD_RANGES_MAX).collect());
        (!ranges.is_empty()).then_some(ranges)
    }

    /// In words: `page 7`, `pages 3,10-14`.
    pub(crate) fn named(&self) -> String {
        match &self.0[..] {
            [only] if only.start() == only.end() => format!("page {self}"),
            _ => format!("pages {self}"),
        }
    }

    /// The pages of some ranges.
    pub(crate) fn of(mut ranges: Vec<RangeInclusive<u32>>) -> Self {
        ranges.sort_unstable_by_key(|range| *range.start());
        let mut merged: Vec<RangeInclusive<u32>> = Vec::new();
        for range in ranges {
            match merged.last_mut() {
                Some(before) if *range.start() <= before.end().saturating_add(1) => {
                    *before = *before.start()..=*before.end().max(range.end());
                }
                _ => merged.push(range),
            }
        }
        Self(merged)
    }

    pub(crate) fn contains(&self, page: u32) -> bool {
        self.0.iter().any(|range| range.contains(&page))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each page, in order.
    pub(crate) fn pages(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(RangeInclusive::clone)
    }

    /// Those of the pages that `test` picks.
    pub(crate) fn filter(&self, test: impl Fn(u32) -> bool) -> Self {
        let picked = self.pages().filter(|page| test(*page));
        Self::of(picked.map(|page| page..=page).collect())
    }
}

fn range(typed: &str) -> Result<RangeInclusive<u32>, String> {
    let (first, last) = typed.split_once('-').unwrap_or((typed, typed));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!("{first}-{last} ends before it begins"));
    }
    Ok(first..=last)
}

fn number(typed: &str) -> Result<u32, String> {
    let number: Option<u32> = typed.trim().parse().ok();
    number
        .filter(|number| (1..=PAGES_MAX).contains(number))
        .ok_or_else(|| format!("`{typed}` is no page number from 1 to {PAGES_MAX}"))
}

impl fmt::Display for PageRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, range) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            match (range.start(), range.end()) {
                (first, last) if first == last => write!(f, "{comma}{first}")?,
                (first, last) => write!(f, "{comma}{first}-{last}")?,
            }
        }
        Ok(())
    }
}

impl serde::Serialize for PageRanges {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for PageRanges {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::told(&text, None).ok_or_else(|| D::Error::custom("no pages"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_pages_are_read() {
        let check = |typed: &str, expected: &str| {
            assert_eq!(
                PageRanges::parse(typed).unwrap().to_string(),
                expected,
                "{typed}"
            );
        };
        check("7", "7");
        check("10-14", "10-14");
        check("3, 10-14", "3,10-14");
        check("5,4,4-6,1", "1,4-6");
        check("1-100000", "1-100000");
        for bad in [
            "",
            "0",
            "-3",
            "3-",
            "a",
            "4-2",
            "1,,2",
            "100001",
            "1-99999999999",
            "+",
        ] {
            assert!(PageRanges::parse(bad).is_err(), "{bad}");
        }
        assert!(PageRanges::parse(&["1"; RANGES_MAX].join(",")).is_ok());
        assert!(PageRanges::parse(&["1"; RANGES_MAX + 1].join(",")).is_err());
    }

    #[test]
    fn what_is_told_of_pages_is_bounded() {
        let told = |text: &str, last| PageRanges::told(text, last).map(|pages| pages.named());
        let check = |text: &str, last, expected: Option<&str>| {
            assert_eq!(told(text, last).as_deref(), expected, "{text}");
        };
        check("1-3, 7", Some(9), Some("pages 1-3,7"));
        check("7", None, Some("page 7"));
        check("2-9, 12-90", Some(10), Some("pages 2-9"));
        check("1, all, 3-\u{2026}", None, Some("page 1"));
        check("1-4000000000", None, None);
        check("4-99999", Some(3), None);
        check("all", Some(3), None);
        check("", None, None);
        let many = (1..40_000).map(|n| (2 * n).to_string());
        let many = PageRanges::told(&many.collect::<Vec<_>>().join(","), None).unwrap();
        assert_eq!(many.pages().count(), TOLD_RANGES_MAX);
        let json = serde_json::to_string(&many).unwrap();
        assert_eq!(serde_json::from_str::<PageRanges>(&json).unwrap(), many);
        assert!(serde_json::from_str::<PageRanges>("\"x\"").is_err());
    }

    #[test]
    fn pages_are_picked() {
        let ranges = PageRanges::parse("3,10-14").unwrap();
        assert!(ranges.contains(3) && ranges.contains(14) && !ranges.contains(9));
        assert_eq!(
            ranges.filter(|page| page % 2 == 1 || page > 12).to_string(),
            "3,11,13-14"
        );
        assert!(ranges.filter(|_| false).is_empty());
    }
}
