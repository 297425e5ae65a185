//! Small Markdown documents made up for measuring: the same ones on every machine.

use std::fmt::Write as _;
use std::path::Path;

use crate::failure::{Failure, Result};

/// Words of one document; with front matter and headings that makes about 1.5 KB.
const WORDS: usize = 180;

/// Documents share this many tags, so that shared pages arise as they do in use.
const TAGS: u64 = 20;

const VOCABULARY: [&str; 32] = [
    "archive", "batch", "cache", "commit", "copy", "cursor", "disk", "document", "entry", "folder",
    "index", "journal", "key", "lock", "log", "merge", "name", "order", "page", "parser", "queue",
    "record", "registry", "replica", "row", "scan", "schema", "segment", "snapshot", "store",
    "table", "writer",
];

/// Writes documents number `first` to `first + count - 1` into `dir`.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write_markdown(dir: &Path, first: u64, count: u64) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(Failure::io("create", dir))?;
    for number in first..first + count {
        let path = dir.join(format!("note-{number:05}.md"));
        std::fs::write(&path, markdown(number)).map_err(Failure::io("write", &path))?;
    }
    Ok(())
}

fn markdown(number: u64) -> String {
    let mut random = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move |below: usize| {
        // xorshift64: nothing depends on its quality, only on its being the same everywhere.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap_or(0)
    };
    let mut text = format!(
        "---\ntags: [tag-{:02}]\n---\n# Note {number}\n\nThe write-ahead log (WAL) of note {number}.\n",
        number % TAGS
    );
    for word in 0..WORDS {
        if word % 60 == 0 {
            write!(text, "\n\n## Part {}\n\n", word / 60 + 1).expect("a String takes every write");
        }
        text.push_str(VOCABULARY[next(VOCABULARY.len())]);
        text.push_str(if word % 12 == 11 { ".\n" } else { " " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_differ_and_stay_the_same() {
        assert_eq!(markdown(7), markdown(7));
        let distinct: std::collections::BTreeSet<String> = (0..500).map(markdown).collect();
        assert_eq!(distinct.len(), 500);
        assert!(
            (1_000..2_000).contains(&markdown(3).len()),
            "{}",
            markdown(3).len()
        );
    }
}
