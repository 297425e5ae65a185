//! Page numbers as they are typed: `3,10-14`. Pure.

use std::fmt;
use std::ops::RangeInclusive;

use crate::kb::pages::PAGES_MAX;

/// Ranges in one list: more are a mistake.
const RANGES_MAX: usize = 100;

/// Pages that are asked for: sorted ranges that neither overlap nor touch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct PageRanges(Vec<RangeInclusive<u32>>);

impl PageRanges {
    /// Reads a list of page numbers and ranges of them, parted by commas.
    pub(in crate::cli) fn parse(typed: &str) -> Result<Self, String> {
        let mut ranges = Vec::new();
        for part in typed.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("{first}-{last} ends before it begins"));
            }
            ranges.push(first..=last);
        }
        if ranges.len() > RANGES_MAX {
            return Err(format!("more than {RANGES_MAX} ranges"));
        }
        Ok(Self::of(ranges))
    }

    /// The pages of some ranges.
    pub(super) fn of(mut ranges: Vec<RangeInclusive<u32>>) -> Self {
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

    pub(super) fn contains(&self, page: u32) -> bool {
        self.0.iter().any(|range| range.contains(&page))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each page, in order.
    pub(super) fn pages(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(RangeInclusive::clone)
    }

    /// Those of the pages that `test` picks.
    pub(super) fn filter(&self, test: impl Fn(u32) -> bool) -> Self {
        let picked = self.pages().filter(|page| test(*page));
        Self::of(picked.map(|page| page..=page).collect())
    }
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
