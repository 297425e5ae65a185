//! The table "the roadmap's terms and where they are" in ARCHITECTURE.md: every file, type and
//! test it names exists.

use std::path::Path;

use crate::failure::{Failure, Result};
use crate::tidy::run::Finding;

const PAGE: &str = "ARCHITECTURE.md";

/// Words of the heading above the table.
const HEADING: &str = "roadmap's terms and where they are";

/// A Rust file: its path relative to the root, and its text.
type SourceFile = (String, String);

/// Checks the table against the sources.
///
/// # Errors
/// If the page is there and cannot be read.
pub(crate) fn check(root: &Path, sources: &[SourceFile]) -> Result<Vec<Finding>> {
    let page = root.join(PAGE);
    if !page.exists() {
        return Ok(vec![Finding::new(PAGE, None, "is missing")]);
    }
    let text = std::fs::read_to_string(&page).map_err(Failure::io("read", &page))?;
    Ok(check_text(&text, sources))
}

fn check_text(text: &str, sources: &[SourceFile]) -> Vec<Finding> {
    let rows = table_rows(text);
    if rows.is_empty() {
        return vec![Finding::new(
            PAGE,
            None,
            format!("has no table under \"{HEADING}\""),
        )];
    }
    let mut findings = Vec::new();
    for (line, row) in rows {
        for cell in row.split('|').map(str::trim) {
            findings.extend(check_cell(line, cell, sources));
        }
    }
    findings
}

/// The body rows of the first table below the heading, with their line numbers.
fn table_rows(text: &str) -> Vec<(usize, &str)> {
    let is_heading = |line: &str| {
        line.starts_with('#')
            && line
                .replace('\u{2019}', "'")
                .to_lowercase()
                .contains(HEADING)
    };
    text.lines()
        .enumerate()
        .skip_while(|(_, line)| !is_heading(line))
        .skip(1)
        .skip_while(|(_, line)| !line.starts_with('|'))
        .take_while(|(_, line)| line.starts_with('|'))
        .skip(2) // its head and the rule below it
        .map(|(at, line)| (at + 1, line.trim().trim_matches('|')))
        .collect()
}

/// A cell that names Rust files names, as its other words in code, things that stand in them.
/// Folders of a knowledge base, commands and the like are left alone.
fn check_cell(line: usize, cell: &str, sources: &[SourceFile]) -> Vec<Finding> {
    let words: Vec<&str> = cell.split('`').skip(1).step_by(2).collect();
    let (files, names): (Vec<&str>, Vec<&str>) =
        words.into_iter().partition(|word| word.ends_with(".rs"));
    let mut findings = Vec::new();
    let mut texts = Vec::new();
    for file in files {
        match sources.iter().find(|(path, _)| ends_with_path(path, file)) {
            Some((_, text)) => texts.push(text),
            None => findings.push(Finding::new(PAGE, Some(line), format!("no file `{file}`"))),
        }
    }
    if texts.is_empty() {
        return findings;
    }
    for name in names.into_iter().filter_map(last_identifier) {
        if !texts.iter().any(|text| contains_word(text, name)) {
            let what = format!("`{name}` stands in none of the files beside it");
            findings.push(Finding::new(PAGE, Some(line), what));
        }
    }
    findings
}

fn ends_with_path(path: &str, file: &str) -> bool {
    path.strip_suffix(file)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// `mutation::Guard::acquire()` is `acquire`; what is no path of identifiers is nothing.
fn last_identifier(name: &str) -> Option<&str> {
    let name = name.trim_end_matches("()");
    let name = name.split('<').next().unwrap_or(name);
    let last = name.rsplit("::").next()?;
    let is_identifier =
        !last.is_empty() && last.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_identifier.then_some(last)
}

fn contains_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_in_the_files_beside_them() {
        let sources = [
            (
                "host/src/commit.rs".to_owned(),
                "//! x\npub struct CommitQueue;".to_owned(),
            ),
            (
                "tests/order.rs".to_owned(),
                "//! x\nfn same_bytes() {}".to_owned(),
            ),
        ];
        let check = |row: &str, expected: &[&str]| {
            let text = format!(
                "# A\n\n## The roadmap\u{2019}s terms and where they are\n\n| term | where | test |\n|---|---|---|\n{row}\n\nmore | text\n"
            );
            let expected: Vec<_> = expected
                .iter()
                .map(|what| Finding::new(PAGE, Some(7), what))
                .collect();
            assert_eq!(check_text(&text, &sources), expected);
        };
        check(
            "| queue | `CommitQueue` in `commit.rs` | `same_bytes` in `tests/order.rs` |",
            &[],
        );
        check(
            "| queue | `CommitQueue::new()` in `host/src/commit.rs` | |",
            &["`new` stands in none of the files beside it"],
        );
        check(
            "| queue | `Queue` in `commit.rs` | |",
            &["`Queue` stands in none of the files beside it"],
        );
        check(
            "| queue | `CommitQueue` in `src/queue.rs` | |",
            &["no file `src/queue.rs`"],
        );
        check("| staging | `.openkb/staging/prepare` | |", &[]);
    }

    #[test]
    fn a_missing_table_is_a_finding() {
        assert_eq!(check_text("# Architecture\n", &[]).len(), 1);
    }
}
