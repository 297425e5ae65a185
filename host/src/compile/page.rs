//! A page as lines, some of which are ours: entries of lists in named sections and the `sources`
//! of the front matter. Everything else is the user's and stays byte for byte.

use std::borrow::Cow;
use std::ops::Range;

use super::escape;

/// A page under way. Each line keeps its own end.
#[derive(Debug)]
pub(super) struct Page<'a> {
    lines: Vec<Cow<'a, str>>,
    /// The end that new lines get.
    line_end: &'static str,
}

/// Where a new entry of a list goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Before all others: newest first.
    Top,
    /// By its target.
    Sorted,
}

impl<'a> Page<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        Self {
            lines: text.split_inclusive('\n').map(Cow::Borrowed).collect(),
            line_end: if text.contains("\r\n") { "\r\n" } else { "\n" },
        }
    }

    pub(super) fn into_text(self) -> String {
        self.lines.concat()
    }

    /// The lines without their ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| content(line))
    }

    /// Whether a section has an entry whose target begins with `folder`.
    pub(super) fn has_entry_in(&self, section: &str, folder: &str) -> bool {
        let range = self.section(section).unwrap_or_default();
        self.lines[range]
            .iter()
            .any(|line| entry_target(line).is_some_and(|target| target.starts_with(folder)))
    }

    /// How many entries of a section have targets that begin with `folder`.
    pub(super) fn count_entries_in(&self, section: &str, folder: &str) -> usize {
        let range = self.section(section).unwrap_or_default();
        let links = self.lines[range].iter().filter_map(|line| link_start(line));
        links.filter(|link| link.starts_with(folder)).count()
    }

    /// The targets of the entries in a section, in order.
    pub(super) fn entries(&self, section: &str) -> Vec<&str> {
        let range = self.section(section).unwrap_or_default();
        self.lines[range]
            .iter()
            .filter_map(|line| entry_target(line))
            .collect()
    }

    /// Whether a section has an entry of `target`.
    pub(super) fn has_entry(&self, section: &str, target: &str) -> bool {
        let range = self.section(section).unwrap_or_default();
        self.find_entry(&range, target).is_some()
    }

    /// Writes the entry of `target`: over the one that is there, else as a new one. A missing
    /// section is made before the first of the sections `before` that exists, else at the end.
    pub(super) fn put_entry(
        &mut self,
        section: &str,
        before: &[&str],
        target: &str,
        entry: &str,
        place: Place,
    ) {
        let range = match self.section(section) {
            Some(range) => range,
            None => self.make_section(section, before),
        };
        if let Some(at) = self.find_entry(&range, target) {
            if content(&self.lines[at]) != entry {
                let end = self.lines[at][content(&self.lines[at]).len()..].to_owned();
                self.lines[at] = Cow::Owned(format!("{entry}{end}"));
            }
            return;
        }
        let sorted_at = || {
            let entries: Vec<(usize, &str)> = range
                .clone()
                .filter_map(|at| Some((at, entry_target(&self.lines[at])?)))
                .collect();
            let later = entries
                .iter()
                .find(|(_, other)| *other > target)
                .map(|(at, _)| *at);
            later.or_else(|| entries.last().map(|(at, _)| at + 1))
        };
        let at = match place {
            Place::Sorted => sorted_at(),
            Place::Top => None,
        };
        match at {
            Some(at) => self.insert(at, entry),
            None => self.insert_on_top(range, entry),
        }
    }

    /// Takes the entry of `target` out and says whether there was one.
    pub(super) fn remove_entry(&mut self, section: &str, target: &str) -> bool {
        let range = self.section(section).unwrap_or_default();
        let found = self.find_entry(&range, target);
        if let Some(at) = found {
            self.lines.remove(at);
            // The empty line behind an only entry came with it.
            if at > range.start && at + 1 < range.end && self.is_blank(at - 1) && self.is_blank(at)
            {
                self.lines.remove(at);
            }
        }
        found.is_some()
    }

    /// Takes the entries whose targets are `moved` out of a section, with their bytes, and puts
    /// `instead` where the first of them was.
    pub(super) fn replace_entries(
        &mut self,
        section: &str,
        moved: impl Fn(&str) -> bool,
        instead: &[String],
    ) {
        let range = self.section(section).unwrap_or_default();
        let moved = |line: &str| entry_target(line).is_some_and(&moved);
        let Some(first) = range.clone().find(|at| moved(&self.lines[*at])) else {
            return;
        };
        let rest: Vec<_> = self
            .lines
            .drain(first..range.end)
            .filter(|line| !moved(line))
            .collect();
        self.lines.splice(first..first, rest);
        for (offset, line) in instead.iter().enumerate() {
            self.insert(first + offset, line);
        }
    }

    /// The entries of a section as they are, with their targets.
    pub(super) fn entry_lines(&self, section: &str) -> Vec<(&str, &str)> {
        let range = self.section(section).unwrap_or_default();
        self.lines[range]
            .iter()
            .filter_map(|line| Some((entry_target(line)?, line.as_ref())))
            .collect()
    }

    /// Puts whole lines behind the entries of a section, with the ends that they have.
    pub(super) fn append_lines(&mut self, section: &str, lines: &[String]) {
        let range = match self.section(section) {
            Some(range) => range,
            None => self.make_section(section, &[]),
        };
        let last = range
            .clone()
            .rev()
            .find(|at| entry_target(&self.lines[*at]).is_some());
        let mut at = last.map_or(range.start, |last| last + 1);
        if last.is_none() {
            if range.is_empty() || !self.is_blank(at) {
                self.insert(at, "");
            }
            at += 1;
        }
        for (offset, line) in lines.iter().enumerate() {
            self.insert(at + offset, content(line));
            if line.ends_with('\n') {
                self.lines[at + offset] = Cow::Owned(line.clone());
            }
        }
        let end = at + lines.len();
        if last.is_none() && end < self.lines.len() && !self.is_blank(end) {
            self.insert(end, "");
        }
    }

    /// Takes the section's heading out if nothing is left under it.
    pub(super) fn remove_empty_section(&mut self, section: &str) {
        let Some(range) = self.section(section) else {
            return;
        };
        if self.lines[range.clone()]
            .iter()
            .all(|line| line.trim().is_empty())
        {
            self.lines.drain(range.start - 1..range.end);
        }
    }

    /// Adds `source` before the others of the front matter's `sources`, or takes it out. A value
    /// that is no list of texts is the user's and stays.
    pub(super) fn set_source(&mut self, source: &str, present: bool) {
        let Some(matter) = self.front_matter() else {
            return;
        };
        let key = matter
            .clone()
            .find(|at| self.lines[*at].starts_with("sources:"));
        let Some(at) = key else {
            if present {
                let behind_type = matter
                    .clone()
                    .find(|at| self.lines[*at].starts_with("type:"));
                let line = format!("sources: {}", escape::quoted_list([source]));
                self.insert(behind_type.map_or(matter.start, |at| at + 1), &line);
            }
            return;
        };
        let value = content(&self.lines[at])["sources:".len()..]
            .trim()
            .to_owned();
        if value.is_empty() {
            self.set_source_item(at, matter.end, source, present);
        } else if let Some(mut sources) = source_list(&value) {
            let is_there = sources.iter().any(|other| other == source);
            if is_there != present {
                if present {
                    sources.insert(0, source.to_owned());
                } else {
                    sources.retain(|other| other != source);
                }
                let list = escape::quoted_list(sources.iter().map(String::as_str));
                self.lines[at] = Cow::Owned(format!("sources: {list}{}", self.line_end));
            }
        }
    }

    /// As [`Self::set_source`] where the list stands on lines of its own, as Obsidian's editor of
    /// properties writes it.
    fn set_source_item(&mut self, key: usize, end: usize, source: &str, present: bool) {
        let is_item = |line: &str| line.trim_start().starts_with("- ");
        let items = (key + 1..end).take_while(|at| is_item(&self.lines[*at]));
        let found = items.clone().find(|at| {
            let item = content(&self.lines[*at]).trim_start()["- ".len()..].trim();
            serde_saphyr::from_str::<String>(item).is_ok_and(|item| item == source)
        });
        match (found, present) {
            (Some(at), false) => {
                self.lines.remove(at);
            }
            (None, true) => {
                let first = &self.lines[key + 1];
                let indent = if is_item(first) {
                    &first[..first.len() - first.trim_start().len()]
                } else {
                    "  "
                };
                let line = format!("{indent}- {}", escape::quoted(source));
                self.insert(key + 1, &line);
            }
            _ => {}
        }
    }

    /// The lines between the two `---` of the front matter.
    pub(super) fn front_matter(&self) -> Option<Range<usize>> {
        let first = self.lines.first()?;
        if content(first).trim_start_matches('\u{feff}') != "---" {
            return None;
        }
        let end = (1..self.lines.len()).find(|at| content(&self.lines[*at]) == "---")?;
        Some(1..end)
    }

    /// The lines under the heading `## section`, up to the next heading of that level or above.
    fn section(&self, section: &str) -> Option<Range<usize>> {
        let mut start = None;
        let mut fence: Option<&str> = None;
        let body = self.front_matter().map_or(0, |matter| matter.end + 1);
        for at in body..self.lines.len() {
            // Most lines of a long page: neither heading nor fence.
            if self.lines[at].starts_with("- ") {
                continue;
            }
            let line = content(&self.lines[at]);
            let trimmed = line.trim_start();
            if let Some(open) = fence {
                fence = fence.filter(|_| !trimmed.starts_with(open));
                continue;
            }
            fence = ["```", "~~~"]
                .into_iter()
                .find(|mark| trimmed.starts_with(mark));
            if line.starts_with("# ") || line.starts_with("## ") {
                if let Some(start) = start {
                    return Some(start..at);
                }
                if line
                    .strip_prefix("## ")
                    .is_some_and(|name| name.trim() == section)
                {
                    start = Some(at + 1);
                }
            }
        }
        start.map(|start| start..self.lines.len())
    }

    fn make_section(&mut self, section: &str, before: &[&str]) -> Range<usize> {
        let follower = before.iter().find_map(|name| self.section(name));
        let at = follower.map_or(self.lines.len(), |range| range.start - 1);
        let mut heading = at;
        if at > 0 && !self.is_blank(at - 1) {
            self.insert(at, "");
            heading += 1;
        }
        self.insert(heading, &format!("## {section}"));
        if heading + 1 < self.lines.len() {
            self.insert(heading + 1, "");
            return heading + 1..heading + 2;
        }
        heading + 1..heading + 1
    }

    /// Puts a line before all other entries of a section, parted from what is no list by an empty
    /// line.
    fn insert_on_top(&mut self, range: Range<usize>, line: &str) {
        let first = range.clone().find(|at| !self.is_blank(*at));
        if let Some(at) = first.filter(|at| self.lines[*at].starts_with(['-', '*'])) {
            return self.insert(at, line);
        }
        let mut at = range.start;
        if range.is_empty() || !self.is_blank(at) {
            self.insert(at, "");
        }
        at += 1;
        self.insert(at, line);
        if at + 1 < self.lines.len() && !self.is_blank(at + 1) {
            self.insert(at + 1, "");
        }
    }

    fn find_entry(&self, range: &Range<usize>, target: &str) -> Option<usize> {
        range
            .clone()
            .find(|at| is_entry_of(&self.lines[*at], target))
    }

    fn insert(&mut self, at: usize, line: &str) {
        if let Some(last) = at.checked_sub(1).map(|before| &mut self.lines[before])
            && !last.ends_with('\n')
        {
            last.to_mut().push_str(self.line_end);
        }
        self.lines
            .insert(at, Cow::Owned(format!("{line}{}", self.line_end)));
    }

    fn is_blank(&self, at: usize) -> bool {
        self.lines[at].trim().is_empty()
    }
}

/// The texts of a list on one line. As we write it, it is JSON, which is read much faster.
fn source_list(value: &str) -> Option<Vec<String>> {
    serde_json::from_str(value)
        .ok()
        .or_else(|| serde_saphyr::from_str(value).ok())
}

/// A line without its end.
fn content(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// The page that a list entry of ours, `- [[page]]…` or `- [[page|label]]…`, belongs to.
fn entry_target(line: &str) -> Option<&str> {
    let link = link_start(line)?;
    let link = &link[..link.find("]]")?];
    Some(link.split_once('|').map_or(link, |(target, _)| target))
}

/// Whether [`entry_target`] is `target`, found without looking for the end of every other link.
fn is_entry_of(line: &str, target: &str) -> bool {
    let behind = link_start(line).and_then(|link| link.strip_prefix(target));
    behind.is_some_and(|rest| rest.starts_with([']', '|'])) && entry_target(line) == Some(target)
}

fn link_start(line: &str) -> Option<&str> {
    let entry = line
        .strip_prefix("- ")
        .or_else(|| line.strip_prefix("* "))?;
    entry.strip_prefix("[[")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str, place: Place) -> String {
        let mut page = Page::parse(text);
        page.put_entry("B", &["C"], "x/m", "- [[x/m]] new", place);
        page.into_text()
    }

    #[test]
    fn entries_are_put_where_they_belong() {
        let check =
            |text: &str, expected: &str| assert_eq!(put(text, Place::Top), expected, "{text:?}");
        check(
            "# T\n\n## B\n\n## C\n",
            "# T\n\n## B\n\n- [[x/m]] new\n\n## C\n",
        );
        check("## B\n- [[x/a]]\n", "## B\n- [[x/m]] new\n- [[x/a]]\n");
        check("## B\n\n* [[x/a]]\n", "## B\n\n- [[x/m]] new\n* [[x/a]]\n");
        check(
            "## B\n- [[x/a]]\n- [[x/m|L]] old",
            "## B\n- [[x/a]]\n- [[x/m]] new",
        );
        check("## B\n\nmine\n", "## B\n\n- [[x/m]] new\n\nmine\n");
        check("## B\nmine", "## B\n\n- [[x/m]] new\n\nmine");
        check("## B", "## B\n\n- [[x/m]] new\n");
        check("", "## B\n\n- [[x/m]] new\n");
        check("text", "text\n\n## B\n\n- [[x/m]] new\n");
        check(
            "a\n\n## C\n\nc\n",
            "a\n\n## B\n\n- [[x/m]] new\n\n## C\n\nc\n",
        );
        check(
            "a\r\n\r\n## B\r\n\r\n## C\r\n",
            "a\r\n\r\n## B\r\n\r\n- [[x/m]] new\r\n\r\n## C\r\n",
        );
        check(
            "```\n## B\n```\n\n## B\n",
            "```\n## B\n```\n\n## B\n\n- [[x/m]] new\n",
        );
        check(
            "## Mine\n- [[x/m]] note\n\n## B\n",
            "## Mine\n- [[x/m]] note\n\n## B\n\n- [[x/m]] new\n",
        );
        check(
            "---\na: 1\n## B\n---\n",
            "---\na: 1\n## B\n---\n\n## B\n\n- [[x/m]] new\n",
        );
        let sorted = put("## B\n\n- [[x/a]]\n- [[x/z]]\n\nmine\n", Place::Sorted);
        assert_eq!(
            sorted,
            "## B\n\n- [[x/a]]\n- [[x/m]] new\n- [[x/z]]\n\nmine\n"
        );
        let last = put("## B\n\n- [[x/a]]", Place::Sorted);
        assert_eq!(last, "## B\n\n- [[x/a]]\n- [[x/m]] new\n");
    }

    #[test]
    fn putting_and_removing_is_as_before() {
        for text in [
            "a\n\n## C\n\nc\n",
            "# T\n\n## B\n\n- [[x/a]]\n\n## C\n",
            "a\r\n\r\n## C\r\n",
        ] {
            for place in [Place::Top, Place::Sorted] {
                let with = put(text, place);
                let mut page = Page::parse(&with);
                assert!(page.remove_entry("B", "x/m"));
                page.remove_empty_section("B");
                assert_eq!(page.into_text(), text);
            }
        }
        let mut page = Page::parse("## B\n\n- [[x/mm]]\n- [[x/m]\n");
        assert!(!page.remove_entry("B", "x/m"));
        page.remove_empty_section("B");
        assert_eq!(page.into_text(), "## B\n\n- [[x/mm]]\n- [[x/m]\n");
    }

    #[test]
    fn sources_in_every_notation() {
        let check = |matter: &str, added: &str, removed: &str| {
            let text = format!("---\n{matter}---\nbody\n");
            let mut page = Page::parse(&text);
            page.set_source("s/new.md", true);
            page.set_source("s/new.md", true);
            assert_eq!(page.into_text(), format!("---\n{added}---\nbody\n"));
            let mut page = Page::parse(&text);
            page.set_source("s/old.md", false);
            assert_eq!(page.into_text(), format!("---\n{removed}---\nbody\n"));
        };
        check(
            "sources: [\"s/old.md\"]\n",
            "sources: [\"s/new.md\", \"s/old.md\"]\n",
            "sources: []\n",
        );
        check(
            "sources: [s/old.md, 'x']\n",
            "sources: [\"s/new.md\", \"s/old.md\", \"x\"]\n",
            "sources: [\"x\"]\n",
        );
        check(
            "sources:\n  - s/old.md\nx: 1\n",
            "sources:\n  - \"s/new.md\"\n  - s/old.md\nx: 1\n",
            "sources:\nx: 1\n",
        );
        check(
            "sources:\n- \"s/old.md\"\n",
            "sources:\n- \"s/new.md\"\n- \"s/old.md\"\n",
            "sources:\n",
        );
        check("sources:\n", "sources:\n  - \"s/new.md\"\n", "sources:\n");
        check(
            "type: x\ny: z\n",
            "type: x\nsources: [\"s/new.md\"]\ny: z\n",
            "type: x\ny: z\n",
        );
        check(
            "sources: {a: b}\n",
            "sources: {a: b}\n",
            "sources: {a: b}\n",
        );
        let mut page = Page::parse("no front matter\n");
        page.set_source("s/new.md", true);
        assert_eq!(page.into_text(), "no front matter\n");
    }
}
