//! What can be said of a document by its text alone; runs in prepare, in parallel.
//!
//! Time is linear in the text looked at, and that is bounded by the constants below, because the
//! Markdown comes from a converter that may be hostile.

use super::plain::{BlockKind, each_block};
use super::summary::Summariser;
use super::terms::TermFinder;
use super::words;
use crate::kb::SafeLine;
use crate::prepare::{Analysis, Section};

/// Markdown that is read, in bytes: it bounds the time that markup without text can take.
const MARKDOWN_BYTES_MAX: usize = 24 * 1024 * 1024;

/// Plain text that is indexed for search, in bytes; what follows is not found. As much as all
/// sections together can hold.
const INDEXED_BYTES_MAX: usize = SECTIONS_MAX * SECTION_BYTES_MAX;

/// Plain text from which the summary and the terms are taken, in bytes.
const SUMMARISED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Sections of a document; what comes after them is not found by search.
const SECTIONS_MAX: usize = 2000;

/// Sections of all members of a document together: some for each of as many as there can be.
const MEMBER_SECTIONS_MAX: usize = 10_000;

/// Plain text of all members of a document together that is indexed for search, in bytes: as much as
/// of its main page.
const MEMBER_BYTES_MAX: usize = INDEXED_BYTES_MAX;

/// A section is parted when it would become longer, so that a passage is found and not a chapter.
const SECTION_BYTES_MAX: usize = 8 * 1024;

/// Characters of a heading in the search index.
const HEADING_CHARS_MAX: usize = 200;

/// Analyses converted Markdown. `title` and `metadata` come from the converter; `stem` is the
/// file's own name, the title of last resort.
#[must_use]
pub fn analyse(
    markdown: &str,
    title: Option<&SafeLine>,
    metadata: &[(String, SafeLine)],
    stem: &str,
) -> Analysis {
    let mut reading = Reading::default();
    let markdown = &markdown[..markdown.floor_char_boundary(MARKDOWN_BYTES_MAX)];
    each_block(markdown, &mut |kind, text| reading.take(kind, text));
    let title = title
        .filter(|title| !title.is_empty())
        .cloned()
        .or(reading.first_heading)
        .unwrap_or_else(|| SafeLine::new(stem));
    let summary = reading.summariser.finish(title.as_str());
    Analysis {
        description: summary.description,
        summary: summary.paragraphs,
        terms: reading.terms.finish(metadata),
        sections: reading.sections.finish(),
        members: Vec::new(),
        words: reading.words,
        title,
    }
}

/// Parts the converted Markdown of a document's members into sections for search, one list for each
/// member. They share one bound: what follows once it is reached is not found.
#[must_use]
pub fn member_sections<T: AsRef<str>>(members: impl Iterator<Item = T>) -> Vec<Vec<Section>> {
    let (mut sections_left, mut bytes_left) = (MEMBER_SECTIONS_MAX, MEMBER_BYTES_MAX);
    let mut markdown_left = MARKDOWN_BYTES_MAX;
    let mut read = |markdown: &str| {
        let markdown = &markdown[..markdown.floor_char_boundary(markdown_left)];
        markdown_left -= markdown.len();
        let mut sections = Sections::of(sections_left);
        if bytes_left > 0 {
            each_block(markdown, &mut |kind, text| {
                let text = &text[..text.floor_char_boundary(bytes_left)];
                bytes_left -= text.len();
                sections.take(kind, text);
                bytes_left > 0
            });
        }
        let sections = sections.finish();
        sections_left -= sections.len();
        sections
    };
    members.map(|markdown| read(markdown.as_ref())).collect()
}

/// What was read so far.
#[derive(Default)]
struct Reading {
    first_heading: Option<SafeLine>,
    summariser: Summariser,
    terms: TermFinder,
    sections: Sections,
    words: u64,
    bytes: usize,
}

impl Reading {
    fn take(&mut self, kind: BlockKind, text: &str) -> bool {
        if kind == BlockKind::Page {
            self.sections.take(kind, text);
            return true;
        }
        if self.bytes < SUMMARISED_BYTES_MAX {
            let left = SUMMARISED_BYTES_MAX - self.bytes;
            self.summarise(kind, &text[..text.floor_char_boundary(left)]);
        }
        self.bytes += text.len() + 1;
        self.words += words::count(text);
        self.sections.take(kind, text);
        self.bytes < INDEXED_BYTES_MAX
    }

    fn summarise(&mut self, kind: BlockKind, text: &str) {
        match kind {
            BlockKind::Heading => {
                if self.first_heading.is_none() {
                    self.first_heading = Some(SafeLine::new(text)).filter(|line| !line.is_empty());
                }
                self.terms.look_at(text);
            }
            BlockKind::Paragraph => {
                self.summariser.look_at_paragraph(text);
                self.terms.look_at(text);
            }
            BlockKind::Item | BlockKind::Html => {
                self.summariser.look_at_fragment(text);
                self.terms.look_at(text);
            }
            BlockKind::Row => self.summariser.look_at_fragment(text),
            BlockKind::Code | BlockKind::Page => {}
        }
    }
}

/// The sections under way.
struct Sections {
    /// How many there may be.
    max: usize,
    done: Vec<Section>,
    heading: String,
    text: String,
    /// The heading has a section already.
    continued: bool,
    /// The page under way, if marks tell of pages.
    page: Option<u32>,
    /// The page on which the section under way begins.
    first_page: Option<u32>,
}

impl Default for Sections {
    fn default() -> Self {
        Self::of(SECTIONS_MAX)
    }
}

impl Sections {
    fn of(max: usize) -> Self {
        Self {
            max,
            done: Vec::new(),
            heading: String::new(),
            text: String::new(),
            continued: false,
            page: None,
            first_page: None,
        }
    }

    fn take(&mut self, kind: BlockKind, text: &str) {
        match kind {
            BlockKind::Heading => self.open(text),
            BlockKind::Page => self.turn_to(text.parse().ok().filter(|page| *page > 0)),
            _ => self.add(text),
        }
    }

    /// Goes on with another page. A section of one page is found as that page's, until half of all
    /// sections are used up: the text of the rest counts for more than where exactly it stands.
    fn turn_to(&mut self, page: Option<u32>) {
        if !self.text.is_empty() && self.done.len() < self.max / 2 {
            self.close();
        }
        self.page = page;
        if self.text.is_empty() {
            self.first_page = page;
        }
    }

    fn open(&mut self, heading: &str) {
        self.close();
        self.heading = heading.chars().take(HEADING_CHARS_MAX).collect();
        self.continued = false;
    }

    fn add(&mut self, text: &str) {
        let mut rest = text;
        while !rest.is_empty() {
            let room = SECTION_BYTES_MAX.saturating_sub(self.text.len() + 1);
            if rest.len() <= room {
                break;
            }
            if !self.text.is_empty() {
                self.close();
                continue;
            }
            let mut cut = rest.floor_char_boundary(room);
            if let Some(space) = rest[..cut].rfind(' ').filter(|space| *space > 0) {
                cut = space;
            }
            self.text.push_str(&rest[..cut]);
            self.close();
            rest = rest[cut..].trim_start();
        }
        if !rest.is_empty() {
            if !self.text.is_empty() {
                self.text.push('\n');
            }
            self.text.push_str(rest);
        }
    }

    /// Ends the section; the next one has the same heading until another is opened.
    fn close(&mut self) {
        let text = std::mem::take(&mut self.text);
        let says_something = !text.is_empty() || (!self.heading.is_empty() && !self.continued);
        self.continued = true;
        if says_something && self.done.len() < self.max {
            self.done.push(Section {
                heading: self.heading.clone(),
                text,
                page: self.first_page,
            });
        }
        self.first_page = self.page;
    }

    fn finish(mut self) -> Vec<Section> {
        self.close();
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_know_their_page() {
        let pages = |markdown: &str| -> Vec<(Option<u32>, String, String)> {
            let sections = analyse(markdown, None, &[], "x").sections.into_iter();
            sections
                .map(|one| (one.page, one.heading, one.text))
                .collect()
        };
        let own = |page, heading: &str, text: &str| (page, heading.to_owned(), text.to_owned());
        let text = "before\n\n<!-- page 1 -->\n\n# A\n\none\n\n<!-- page 2 -->\n\ntwo\n\n# B\n\n\
            <!-- page 3 -->\n\nthree\n\n<!-- page 0 -->\n\nnone\n";
        assert_eq!(
            pages(text),
            [
                own(None, "", "before"),
                own(Some(1), "A", "one"),
                own(Some(2), "A", "two"),
                own(Some(3), "B", "three"),
                own(None, "B", "none"),
            ]
        );
        // Many pages share sections in the end, and none of their text is lost.
        let many: String = (1..=3_000)
            .map(|page| format!("<!-- page {page} -->\n\nword{page}\n\n"))
            .collect();
        let found = pages(&many);
        assert_eq!(found.len(), SECTIONS_MAX / 2 + 3);
        assert_eq!(found[999], own(Some(1_000), "", "word1000"));
        assert!(found[1_000].2.starts_with("word1001\nword1002\n"));
        assert!(found.last().unwrap().2.ends_with("word3000"));
    }

    fn title(markdown: &str, title: Option<&str>) -> String {
        let title = title.map(SafeLine::new);
        analyse(markdown, title.as_ref(), &[], "the stem")
            .title
            .to_string()
    }

    #[test]
    fn titles_come_from_the_best_source() {
        assert_eq!(title("# Heading\n", Some("Given")), "Given");
        assert_eq!(title("text\n\n## Heading\n", None), "Heading");
        assert_eq!(title("# Heading\n", Some("")), "Heading");
        assert_eq!(title("text", None), "the stem");
        assert_eq!(
            title("# [[concepts/x]] <!-- \u{202e}y\n", None),
            "[ [concepts/x] ] < !-- \u{fffd}y"
        );
    }

    #[test]
    fn sections_follow_headings() {
        let check = |markdown: &str, expected: &[(&str, &str)]| {
            let found = analyse(markdown, None, &[], "x").sections;
            let found: Vec<_> = found
                .iter()
                .map(|s| (s.heading.as_str(), s.text.as_str()))
                .collect();
            assert_eq!(found, expected, "{markdown:?}");
        };
        check(
            "before\n\n# One\n\na\n\nb\n\n## Two\n\n# Three\n\nc",
            &[("", "before"), ("One", "a\nb"), ("Two", ""), ("Three", "c")],
        );
        check("", &[]);
        check(
            "# One\n\n```\ncode\n```\n\n|a|\n|-|\n|b|",
            &[("One", "code\na\nb")],
        );
    }

    #[test]
    fn sections_are_bounded_and_lose_nothing() {
        let long = analyse(
            &format!("# H\n\n{}", "word ".repeat(10_000)),
            None,
            &[],
            "x",
        );
        assert!(long.sections.len() > 5);
        assert!(
            long.sections
                .iter()
                .all(|s| s.text.len() <= SECTION_BYTES_MAX && s.heading == "H")
        );
        let words: usize = long
            .sections
            .iter()
            .map(|s| s.text.split_whitespace().count())
            .sum();
        assert_eq!((words, long.words), (10_000, 10_001));
        let many = analyse(&"# x\n\ny\n\n".repeat(5000), None, &[], "x");
        assert_eq!(many.sections.len(), SECTIONS_MAX);
    }

    #[test]
    fn members_share_one_bound() {
        let found = member_sections(["# One\n\na\n", "", "before\n\n# Two\n"].into_iter());
        let found: Vec<Vec<_>> = found
            .iter()
            .map(|member| member.iter().map(|s| (&*s.heading, &*s.text)).collect())
            .collect();
        assert_eq!(
            found,
            [
                vec![("One", "a")],
                vec![],
                vec![("", "before"), ("Two", "")]
            ]
        );
        let many = "# x\n\ny\n\n".repeat(MEMBER_SECTIONS_MAX - 1);
        let found = member_sections([&many, &many, &many].into_iter());
        let counts: Vec<_> = found.iter().map(Vec::len).collect();
        assert_eq!(counts, [MEMBER_SECTIONS_MAX - 1, 1, 0]);
        let long = "word ".repeat(MEMBER_BYTES_MAX / 5);
        let found = member_sections([long.as_str(), &long, "text"].into_iter());
        let bytes: usize = found.iter().flatten().map(|s| s.text.len()).sum();
        assert!(bytes <= MEMBER_BYTES_MAX, "{bytes}");
        assert_eq!(found[2], []);
    }

    #[test]
    fn the_same_text_gives_the_same_analysis() {
        let text = "# A study\n\nThe API of the host is small. It has few calls that do much. \
            Every call of the API is documented well.\n\n- item\n";
        let metadata = [("tags".to_owned(), SafeLine::new("b, a"))];
        let once = analyse(text, None, &metadata, "x");
        assert_eq!(once, analyse(text, None, &metadata, "x"));
        assert_eq!(
            once.terms
                .iter()
                .map(|t| t.slug.as_str())
                .collect::<Vec<_>>(),
            ["a", "api", "b"]
        );
        assert_eq!(once.summary.len(), 3);
    }

    #[test]
    fn large_input_is_read_in_time() {
        let text = "Some sentence about a Thing Inc and the API (ABC) of it. "
            .repeat(64 * 1024 * 1024 / 57);
        let start = std::time::Instant::now();
        let analysis = analyse(&text, None, &[], "x");
        assert!(start.elapsed().as_secs() < 60, "took {:?}", start.elapsed());
        assert!(analysis.sections.len() <= SECTIONS_MAX);
    }
}
