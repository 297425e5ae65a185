//! A result taken apart, so that two can be compared and the difference told.

use similar::TextDiff;

use super::Stop;
use super::trial::Outcome;
use crate::kb::{ContentHash, PathError};
use crate::prepare::Rehearsal;

/// Text of a part that is kept to show a difference; its digest tells the rest.
const TEXT_BYTES_MAX: usize = 1 << 20;

/// Lines of a difference that are shown.
const DIFF_LINES_MAX: usize = 40;

/// A difference that takes longer to find is found coarser.
const DIFF_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// A part of a result: a file, or what is said of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) name: String,
    hash: ContentHash,
    text: Option<String>,
}

impl Part {
    fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        let hash = ContentHash::of(&bytes);
        let text = (bytes.len() <= TEXT_BYTES_MAX).then(|| String::from_utf8(bytes).ok());
        Self {
            name: name.into(),
            hash,
            text: text.flatten(),
        }
    }
}

/// A collected file's bytes; the collector bounds them.
pub(super) fn ready(rehearsal: &Rehearsal, name: &str) -> Result<Vec<u8>, Stop> {
    let path = rehearsal.document.staging.ready().join(name);
    Ok(std::fs::read(&path).map_err(|error| PathError::new("read", path, error))?)
}

/// Everything of a result that is kept.
pub(super) fn parts(outcome: &Outcome) -> Result<Vec<Part>, Stop> {
    let rehearsal = match outcome {
        Outcome::Document(rehearsal) => rehearsal,
        other => return Ok(vec![Part::new("result", other.words().into_bytes())]),
    };
    let document = &rehearsal.document;
    let mut parts = vec![Part::new("main page", document.page()?)];
    let json = [
        ("page texts", &document.pages_json),
        ("section tree", &document.tree_json),
    ];
    for (name, file) in json {
        if let Some(file) = file {
            parts.push(Part::new(name, ready(rehearsal, &file.name)?));
        }
    }
    for member in &document.members {
        let name = format!("member {}", member.published_name);
        parts.push(Part::new(name, ready(rehearsal, &member.file.name)?));
    }
    for image in &document.images {
        parts.push(Part {
            name: format!("image {}", image.published_name),
            hash: image.file.hash,
            text: None,
        });
    }
    let lines = |lines: Vec<String>| lines.join("\n").into_bytes();
    let outline = document.outline.iter().map(|heading| {
        let page = heading
            .page
            .map_or(String::new(), |page| format!(" {page}"));
        format!("{} {}{page}", heading.level, heading.title)
    });
    let metadata = document.metadata.iter();
    let metadata = metadata.map(|(key, value)| format!("{key}: {value}"));
    let warnings = document.warnings.iter().map(ToString::to_string);
    parts.push(Part::new(
        "title",
        document.analysis.title.to_string().into_bytes(),
    ));
    parts.push(Part::new(
        "number of pages",
        format!("{:?}", document.page_count).into_bytes(),
    ));
    parts.push(Part::new("outline", lines(outline.collect())));
    parts.push(Part::new("metadata", lines(metadata.collect())));
    parts.push(Part::new("warnings", lines(warnings.collect())));
    Ok(parts)
}

/// Where two results part; `None` if they are the same.
pub(super) fn difference(one: &[Part], other: &[Part]) -> Option<String> {
    let parted = one.iter().zip(other).find(|(one, other)| one != other);
    let Some((one, other)) = parted else {
        return (one.len() != other.len()).then(|| "the number of files differs".to_owned());
    };
    if one.name != other.name {
        return Some(format!("`{}` against `{}`", one.name, other.name));
    }
    Some(match (&one.text, &other.text) {
        (Some(text), Some(other)) => {
            let (number, text, other) = first_line(text, other);
            format!("{}, line {number}: `{text}` against `{other}`", one.name)
        }
        _ => format!("{}: other bytes", one.name),
    })
}

/// The first line that differs.
fn first_line<'a>(one: &'a str, other: &'a str) -> (usize, &'a str, &'a str) {
    let same = one.lines().zip(other.lines());
    let same = same.take_while(|(one, other)| one == other).count();
    let line = |text: &'a str| text.lines().nth(same).unwrap_or("(the end)");
    (same + 1, line(one), line(other))
}

/// A short unified difference.
pub(super) fn unified(expected: &str, found: &str) -> Vec<String> {
    let diff = TextDiff::configure()
        .timeout(DIFF_TIME_MAX)
        .diff_lines(expected, found);
    let text = diff
        .unified_diff()
        .context_radius(2)
        .header("expected", "found")
        .to_string();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let over = lines.len().saturating_sub(DIFF_LINES_MAX);
    if over > 0 {
        lines.truncate(DIFF_LINES_MAX);
        lines.push(format!("(and {over} more lines)"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        let parts = |page: &str, title: &str| {
            vec![
                Part::new("main page", page.as_bytes().to_vec()),
                Part::new("title", title.as_bytes().to_vec()),
            ]
        };
        let check = |other: Vec<Part>, expected: Option<&str>| {
            let found = difference(&parts("a\nb\n", "t"), &other);
            assert_eq!(found.as_deref(), expected);
        };
        check(parts("a\nb\n", "t"), None);
        check(
            parts("a\nc\n", "x"),
            Some("main page, line 2: `b` against `c`"),
        );
        check(
            parts("a\n", "t"),
            Some("main page, line 2: `b` against `(the end)`"),
        );
        check(parts("a\nb\n", "u"), Some("title, line 1: `t` against `u`"));
        check(
            parts("a\nb\n", "t")[..1].to_vec(),
            Some("the number of files differs"),
        );
        let binary = vec![
            Part::new("main page", vec![0xff]),
            Part::new("title", vec![]),
        ];
        check(binary, Some("main page: other bytes"));
    }

    #[test]
    fn a_difference_is_unified_and_bounded() {
        let lines = unified("a\nb\nc\n", "a\nx\nc\n");
        assert!(
            lines.contains(&"-b".to_owned()) && lines.contains(&"+x".to_owned()),
            "{lines:?}"
        );
        let many: String = (0..1_000).map(|n| format!("{n}\n")).collect();
        let lines = unified("", &many);
        assert_eq!(lines.len(), DIFF_LINES_MAX + 1);
        assert_eq!(unified("a\n", "a\n"), [""; 0]);
    }
}
