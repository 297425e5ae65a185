//! The one validator of what a converter says about a document: titles, headings, metadata,
//! warnings. Pure. Every text that leaves it is a [`SafeLine`] of bounded length, every list has a
//! named maximum.

use std::collections::BTreeMap;

use super::Heading;
use crate::kb::{PageRanges, SafeLine};
use crate::plugin::{NEEDS_OCR, OutlineEntry};

/// Headings of one document: a heading a page for the longest books.
const OUTLINE_MAX: usize = 10_000;

/// Metadata entries of one document: front matter that a person can still read.
const METADATA_MAX: usize = 64;

/// Bytes of a metadata key.
const KEY_BYTES_MAX: usize = 64;

/// Characters of a metadata value: tags of a document are one value.
const VALUE_CHARS_MAX: usize = 1_000;

/// Warnings of one document: more are counted, not shown.
pub(super) const WARNINGS_MAX: usize = 100;

/// Bytes of an untrusted text that are looked at, whatever its length.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// Makes one safe line of at most `chars_max` characters; `None` if nothing is left.
fn line(untrusted: &str, chars_max: usize) -> Option<SafeLine> {
    let head = &untrusted[..untrusted.floor_char_boundary(TEXT_BYTES_MAX)];
    let line = SafeLine::with_max(head, chars_max);
    (!line.is_empty()).then_some(line)
}

/// A title; `None` if nothing of it can be shown.
pub(super) fn title(untrusted: Option<&str>) -> Option<SafeLine> {
    untrusted.and_then(|title| line(title, crate::kb::LINE_CHARS_MAX))
}

/// The headings, levels brought into 1 to 6; those without text are dropped. Says how many were
/// over the limit.
pub(super) fn outline(untrusted: &[OutlineEntry]) -> (Vec<Heading>, usize) {
    let headings = untrusted
        .iter()
        .take(OUTLINE_MAX)
        .filter_map(|entry| {
            Some(Heading {
                level: entry.level.clamp(1, 6),
                title: line(&entry.title, crate::kb::LINE_CHARS_MAX)?,
                page: page(entry.page),
            })
        })
        .collect();
    (headings, untrusted.len().saturating_sub(OUTLINE_MAX))
}

/// The file name that a service has for a document: the last part of what may be a path of any
/// system's; `None` if nothing of it can be a name.
pub(super) fn remote_name(untrusted: &str) -> Option<String> {
    let name = line(untrusted, crate::kb::LINE_CHARS_MAX)?;
    let last = name
        .as_str()
        .rsplit(['/', '\\'])
        .find(|part| !part.trim().is_empty())?;
    let last = last.trim();
    (!last.trim_matches('.').is_empty()).then(|| last.to_owned())
}

/// A page number from 1.
pub(super) fn page(untrusted: Option<u32>) -> Option<u32> {
    untrusted.filter(|page| *page > 0)
}

/// The metadata, sorted by key; of two entries with the same key the first counts. Says how many
/// were over the limit.
pub(super) fn metadata(untrusted: &[(String, String)]) -> (Vec<(String, SafeLine)>, usize) {
    let mut entries = BTreeMap::new();
    let mut dropped = 0;
    for (key, value) in untrusted {
        let (Some(key), Some(value)) = (metadata_key(key), line(value, VALUE_CHARS_MAX)) else {
            continue;
        };
        if entries.len() < METADATA_MAX || entries.contains_key(&key) {
            entries.entry(key).or_insert(value);
        } else {
            dropped += 1;
        }
    }
    (entries.into_iter().collect(), dropped)
}

/// The pages that need OCR, up to the last one, as a converter tells them in its metadata; `metadata`, which
/// was made of that, has them in our form then, or not at all.
pub(super) fn needs_ocr(
    untrusted: &[(String, String)],
    metadata: &mut Vec<(String, SafeLine)>,
    last: Option<u32>,
) -> Option<PageRanges> {
    let told = untrusted.iter().find(|(key, _)| key == NEEDS_OCR);
    let pages = told.and_then(|(_, value)| PageRanges::told(value, last));
    match (
        &pages,
        metadata.iter_mut().find(|(key, _)| key == NEEDS_OCR),
    ) {
        (Some(pages), Some((_, value))) => {
            *value = SafeLine::with_max(&pages.to_string(), VALUE_CHARS_MAX);
        }
        _ => metadata.retain(|(key, _)| key != NEEDS_OCR),
    }
    pages
}

/// A key in the form `[a-z0-9_-]{1,64}`: lower case, each run of other characters one dash.
fn metadata_key(untrusted: &str) -> Option<String> {
    let mut key = String::new();
    for c in untrusted.chars().take(4 * KEY_BYTES_MAX) {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            key.push(c.to_ascii_lowercase());
        } else if !key.ends_with('-') {
            key.push('-');
        }
    }
    let key = key.trim_matches('-');
    let key = key[..key.len().min(KEY_BYTES_MAX)].trim_end_matches('-');
    (!key.is_empty()).then(|| key.to_owned())
}

/// Warnings for the user, collected from host and guest up to [`WARNINGS_MAX`].
#[derive(Clone, Debug, Default)]
pub(super) struct Warnings {
    lines: Vec<SafeLine>,
    dropped: usize,
}

impl Warnings {
    /// Adds a line of the host's.
    pub(super) fn push(&mut self, line: SafeLine) {
        // The last place is for the number of those left out.
        if self.lines.len() < WARNINGS_MAX - 1 {
            self.lines.push(line);
        } else {
            self.dropped += 1;
        }
    }

    /// Adds what a guest said.
    pub(super) fn push_untrusted(&mut self, untrusted: &str) {
        if let Some(line) = line(untrusted, crate::kb::LINE_CHARS_MAX) {
            self.push(line);
        }
    }

    /// The warnings, with the number of those left out as the last one.
    pub(super) fn finish(mut self) -> Vec<SafeLine> {
        if self.dropped > 0 {
            let more = SafeLine::new(&format!("further warnings left out: {}", self.dropped));
            self.lines.push(more);
        }
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_at_a_service_are_the_last_part_of_a_path() {
        let check = |name: &str, expected: Option<&str>| {
            assert_eq!(remote_name(name).as_deref(), expected, "{name:?}");
        };
        check("report.pdf", Some("report.pdf"));
        check(r"C:\Users\Ada\Q3 report.pdf", Some("Q3 report.pdf"));
        check("/home/ada/../x.pdf", Some("x.pdf"));
        check(r"mixed/of\both.pdf", Some("both.pdf"));
        check("folder/", Some("folder"));
        check("a\u{1b}[2J\nb.pdf", Some("a [2J b.pdf"));
        for none in ["", "/", r"\\", "..", "a/..", " . "] {
            check(none, None);
        }
    }

    #[test]
    fn keys_have_one_form() {
        let check = |key: &str, expected: Option<&str>| {
            assert_eq!(metadata_key(key).as_deref(), expected, "{key:?}");
        };
        check("author", Some("author"));
        check("Creation Date", Some("creation-date"));
        check(" dc:title ", Some("dc-title"));
        check("a_b-c", Some("a_b-c"));
        check("---", None);
        check("ü", None);
        check("", None);
        check(&"k".repeat(1 << 20), Some("k".repeat(64).as_str()));
    }

    #[test]
    fn metadata_is_sorted_bounded_and_first_wins() {
        let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let (entries, dropped) = metadata(&pairs(&[
            ("Title", "one"),
            ("author", "x\n---"),
            ("title", "two"),
            ("empty", " "),
        ]));
        let shown: Vec<_> = entries
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(shown, [("author", "x ---"), ("title", "one")]);
        assert_eq!(dropped, 0);
        let many: Vec<_> = (0..100)
            .map(|n| (format!("k{n}"), "v".to_owned()))
            .collect();
        let (entries, dropped) = metadata(&many);
        assert_eq!((entries.len(), dropped), (METADATA_MAX, 36));
    }

    #[test]
    fn outlines_are_bounded() {
        let entry = |level, title: &str, page| OutlineEntry {
            level,
            title: title.to_owned(),
            page,
        };
        let (headings, over) = outline(&[
            entry(0, "a", Some(0)),
            entry(200, "b [[x]]", Some(3)),
            entry(1, "\n", None),
        ]);
        assert_eq!(over, 0);
        let shown: Vec<_> = headings
            .iter()
            .map(|heading| (heading.level, heading.title.as_str(), heading.page))
            .collect();
        assert_eq!(shown, [(1, "a", None), (6, "b [ [x] ]", Some(3))]);
        let (headings, over) = outline(&vec![entry(1, "x", None); OUTLINE_MAX + 5]);
        assert_eq!((headings.len(), over), (OUTLINE_MAX, 5));
    }

    #[test]
    fn pages_that_need_ocr_have_one_form() {
        let check = |value: &str, last, expected: Option<&str>| {
            let told = [
                ("author".to_owned(), "x".to_owned()),
                (NEEDS_OCR.to_owned(), value.to_owned()),
            ];
            let (mut kept, _) = metadata(&told);
            let pages = needs_ocr(&told, &mut kept, last).map(|pages| pages.to_string());
            assert_eq!(pages.as_deref(), expected, "{value}");
            let of_kept = kept.iter().find(|(key, _)| key == NEEDS_OCR);
            let of_kept = of_kept.map(|(_, value)| value.as_str());
            assert_eq!(of_kept, expected, "{value}");
            assert_eq!(kept[0].0, "author");
        };
        check("1-3, 7", Some(9), Some("1-3,7"));
        check("1-3, 7", Some(2), Some("1-2"));
        check("every page", Some(9), None);
        check("", None, None);
    }

    #[test]
    fn warnings_end_with_a_count() {
        let mut warnings = Warnings::default();
        for n in 0..150 {
            warnings.push_untrusted(&format!("w{n}\x1b"));
        }
        warnings.push_untrusted("\u{1b}");
        let lines = warnings.finish();
        assert_eq!(lines.len(), WARNINGS_MAX);
        assert_eq!(lines[0].as_str(), "w0");
        assert_eq!(lines[99].as_str(), "further warnings left out: 51");
    }
}
