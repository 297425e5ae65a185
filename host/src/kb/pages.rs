//! Reading the page texts of a long document: `wiki/sources/<doc>.json`, ours or another program's,
//! and what a converter hands over. Pure.
//!
//! Invariant: one page at a time is held; what a page says is checked by whoever takes it.

use std::fmt;
use std::io::Read;

use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

pub use super::tree::ReadError;

/// Pages of a document: more than any book has, and a number of pages that a list can hold.
pub const PAGES_MAX: u32 = 100_000;

/// Bytes of a published file of page texts: what is taken from a converter, with every link grown to
/// the longest of names.
pub const PAGES_JSON_BYTES_MAX: u64 = 256 << 20;

/// A page as JSON tells it.
#[derive(Debug, Deserialize, Serialize)]
pub struct RawPage {
    /// Its number.
    pub page: i64,
    /// Its text, Markdown.
    pub content: String,
    /// Its pictures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<RawImage>,
}

/// A picture of a page.
#[derive(Debug, Deserialize, Serialize)]
pub struct RawImage {
    /// Where it lies.
    pub path: String,
}

/// Calls `take` with each page; an error of it ends the reading. More than [`PAGES_MAX`] are refused.
///
/// # Errors
/// If it cannot be read, is no list of pages, or `take` says so.
pub fn each(
    json: impl Read,
    take: &mut dyn FnMut(RawPage) -> Result<(), String>,
) -> Result<(), ReadError> {
    let mut json = serde_json::Deserializer::from_reader(json);
    json.deserialize_seq(Pages(take))?;
    json.end()?;
    Ok(())
}

struct Pages<'a>(&'a mut dyn FnMut(RawPage) -> Result<(), String>);

impl<'de> Visitor<'de> for Pages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of pages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(page) = seq.next_element::<RawPage>()? {
            count += 1;
            if count > PAGES_MAX {
                return Err(A::Error::custom(format!("more than {PAGES_MAX} pages")));
            }
            (self.0)(page).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(json: &str) -> Result<Vec<i64>, String> {
        let mut numbers = Vec::new();
        let read = each(json.as_bytes(), &mut |page| {
            numbers.push(page.page);
            (page.page != 13).then_some(()).ok_or("page 13".to_owned())
        });
        match read {
            Ok(()) => Ok(numbers),
            Err(ReadError::Invalid(reason)) => Err(reason),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn pages_come_one_by_one() {
        assert_eq!(numbers("[]"), Ok(vec![]));
        let json = r#"[{"page": 3, "content": "x", "images": [{"path": "y", "w": 1}], "z": [[]]},
                       {"page": -1, "content": ""}]"#;
        assert_eq!(numbers(json), Ok(vec![3, -1]));
        let check = |json: &str, expected: &str| {
            let reason = numbers(json).unwrap_err();
            assert!(reason.starts_with(expected), "{json:.60}: {reason}");
        };
        check("", "not JSON: EOF");
        check("{}", "invalid type: map, expected a list of pages");
        check("[1]", "invalid type: integer `1`");
        check(r#"[{"page": 1}]"#, "missing field `content`");
        check(r#"[{"content": ""}]"#, "missing field `page`");
        check(r#"[{"page": "1", "content": ""}]"#, "invalid type: string");
        check(
            r#"[{"page": 1, "page": 2, "content": ""}]"#,
            "duplicate field",
        );
        check(
            r#"[{"page": 1, "content": "", "images": [""]}]"#,
            "invalid type: string",
        );
        check(r#"[{"page": 13, "content": ""}]"#, "page 13 at line 1");
        check("[] []", "not JSON: trailing characters");
        let many =
            |count: usize| format!("[{}]", vec![r#"{"page":1,"content":""}"#; count].join(","));
        assert_eq!(numbers(&many(PAGES_MAX as usize)).unwrap().len(), 100_000);
        check(&many(PAGES_MAX as usize + 1), "more than 100000 pages");
    }
}
