//! YAML front matter: read for title and metadata, left in the page as it is.

use kbhost_guest::{Warnings, one_line};
use serde::Deserialize;
use serde_json::Value;

/// Longer front matter is data, not a heading.
const BYTES_MAX: usize = 64 << 10;
/// Longest title, author, date or list of tags, in characters.
const VALUE_CHARS_MAX: usize = 500;
/// More tags than this are not read.
const TAGS_MAX: usize = 100;

/// What is read of the front matter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct FrontMatter {
    pub(crate) title: Option<String>,
    /// `author`, `date`, `tags`: those that are there, in this order.
    pub(crate) metadata: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Fields {
    title: Option<Value>,
    author: Option<Value>,
    authors: Option<Value>,
    date: Option<Value>,
    tags: Option<Value>,
}

/// The YAML between the first line `---` and the next `---` or `...`, if the text begins so.
fn block(text: &str) -> Option<&str> {
    let body = text.strip_prefix("---")?;
    let (rest_of_line, body) = body.split_once('\n')?;
    if !rest_of_line.trim().is_empty() {
        return None;
    }
    let mut length = 0;
    for line in body.split_inclusive('\n') {
        if matches!(line.trim_end(), "---" | "...") {
            return Some(&body[..length]);
        }
        length += line.len();
        if length > BYTES_MAX {
            return None;
        }
    }
    None
}

fn scalar(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => one_line(text, VALUE_CHARS_MAX),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    };
    (!text.is_empty()).then_some(text)
}

/// A scalar or a list of scalars, comma separated.
fn joined(value: &Value) -> Option<String> {
    let text = match value {
        Value::Array(values) => values
            .iter()
            .filter_map(scalar)
            .collect::<Vec<_>>()
            .join(", "),
        other => scalar(other)?,
    };
    (!text.is_empty()).then(|| one_line(&text, VALUE_CHARS_MAX))
}

fn tags(value: &Value) -> Option<String> {
    let words: Vec<String> = match value {
        Value::Array(values) => values.iter().filter_map(scalar).collect(),
        Value::String(text) => text.split(',').map(str::to_owned).collect(),
        other => scalar(other).into_iter().collect(),
    };
    let words = words
        .iter()
        .map(|word| word.trim().trim_start_matches('#').replace(',', " "));
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .take(TAGS_MAX)
        .collect();
    (!words.is_empty()).then(|| words.join(","))
}

/// Reads the front matter of a text; nothing, and a warning, if it is there but no YAML mapping.
pub(crate) fn read(text: &str, warnings: &mut Warnings) -> FrontMatter {
    let Some(yaml) = block(text) else {
        return FrontMatter::default();
    };
    // Between two rules may be prose: only what looks like a mapping is worth a warning.
    let looks_like_mapping = yaml.lines().any(|line| line.contains(':'));
    if !looks_like_mapping {
        return FrontMatter::default();
    }
    // A tag `no` or an author `Y` is a word: only `true` and `false` are not.
    let options = serde_saphyr::options! { strict_booleans: true };
    let fields: Fields = match serde_saphyr::from_str_with_options(yaml, options) {
        Ok(fields) => fields,
        Err(_) => {
            warnings.push("the front matter is not valid YAML; it is kept as text only");
            return FrontMatter::default();
        }
    };
    let author = fields.author.or(fields.authors);
    let entries = [
        ("author", author.as_ref().and_then(joined)),
        ("date", fields.date.as_ref().and_then(scalar)),
        ("tags", fields.tags.as_ref().and_then(tags)),
    ];
    let entries = entries.into_iter();
    let metadata = entries.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    FrontMatter {
        title: fields.title.as_ref().and_then(scalar),
        metadata: metadata.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, title: Option<&str>, metadata: &[(&str, &str)], warned: usize) {
        let mut warnings = Warnings::default();
        let found = read(text, &mut warnings);
        assert_eq!(found.title.as_deref(), title, "{text:?}");
        let found: Vec<_> = found
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(found, metadata, "{text:?}");
        assert_eq!(warnings.into_sentences().len(), warned, "{text:?}");
    }

    #[test]
    fn reads_title_author_date_and_tags() {
        check(
            "---\ntitle: \"On: colons\"\nauthor: A. Writer\ndate: 2024-01-02\ntags: [one, '#two']\nother: {a: 1}\n---\nx",
            Some("On: colons"),
            &[
                ("author", "A. Writer"),
                ("date", "2024-01-02"),
                ("tags", "one,two"),
            ],
            0,
        );
        check("---\ntags: a, b ,c\n---\n", None, &[("tags", "a,b,c")], 0);
        check(
            "---\ntags:\n  - a\n  - 7\n...\n",
            None,
            &[("tags", "a,7")],
            0,
        );
        check(
            "---\ntitle: 2024\nauthors:\n- X\n- Y\n---\n",
            Some("2024"),
            &[("author", "X, Y")],
            0,
        );
        check(
            "---\ntitle: |\n  two\n  lines\n---\n",
            Some("two lines"),
            &[],
            0,
        );
    }

    #[test]
    fn leaves_what_is_none() {
        check("no front matter", None, &[], 0);
        check("---\nnever closed: 1\n", None, &[], 0);
        check("--- text\ntitle: x\n---\n", None, &[], 0);
        check("---\njust prose\n---\n", None, &[], 0);
        check("---\ntitle: [broken\n---\n", None, &[], 1);
        check(" ---\ntitle: x\n---\n", None, &[], 0);
    }
}
