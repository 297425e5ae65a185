//! The page texts of a long document, rewritten: what a converter said is parsed, judged and written
//! anew, in the form of the published file. Only the links are still those of the contract, because
//! nobody knows the document's name yet.
//!
//! Invariant: the pages written are in order, each once, none of them without text and images; each
//! image is one that was declared.

use std::collections::HashSet;
use std::io::{BufWriter, Read, Write};

use serde::ser::{SerializeSeq, Serializer};
use sha2::{Digest, Sha256};

use super::placeholder;
use crate::kb::ContentHash;
use crate::kb::pages::{PAGES_MAX, RawPage, ReadError, each};

/// Bytes of the page texts as JSON: the text of the largest main page, with room for escapes.
pub(super) const JSON_BYTES_MAX: u64 = 128 << 20;

/// Bytes of the text of one page: the longest novels have less.
const CONTENT_BYTES_MAX: usize = 8 << 20;

/// What a path in `images` starts with.
const SCHEME: &str = "kbhost-output:";

/// What was written.
#[derive(Debug)]
pub(super) struct Rewritten {
    pub(super) size: u64,
    pub(super) hash: ContentHash,
    /// The number of the last page that there was; 0 if there was none.
    pub(super) last: u32,
    /// Links to outputs, in texts and as images.
    pub(super) placeholders: usize,
}

/// Rewrites `json` to `to`. `images` are the declared paths of the document's images, `page_count` is
/// how many pages the converter says there are.
pub(super) fn rewrite(
    json: impl Read,
    to: impl Write,
    images: &HashSet<&str>,
    page_count: Option<u32>,
) -> Result<Rewritten, ReadError> {
    let mut to = Hashing {
        to: BufWriter::new(to),
        digest: Sha256::new(),
        size: 0,
        failure: None,
    };
    let mut pages = Pages {
        images,
        page_count: page_count.unwrap_or(PAGES_MAX).min(PAGES_MAX),
        last: 0,
        placeholders: 0,
    };
    let written = write(json, &mut to, &mut pages);
    // An error in writing would else pass for one of the JSON.
    if let Some(failure) = to.failure {
        return Err(ReadError::Io(failure));
    }
    written?;
    to.to.flush().map_err(ReadError::Io)?;
    Ok(Rewritten {
        size: to.size,
        hash: ContentHash::from_bytes(to.digest.finalize().into()),
        last: pages.last,
        placeholders: pages.placeholders,
    })
}

/// Writes the list: two spaces of indent and no newline at the end, as the peer does.
fn write(json: impl Read, to: &mut impl Write, pages: &mut Pages<'_>) -> Result<(), ReadError> {
    let mut serializer = serde_json::Serializer::pretty(to);
    let mut list = serializer.serialize_seq(None)?;
    each(json, &mut |page| match pages.judge(page)? {
        Some(page) => list.serialize_element(&page).map_err(|e| e.to_string()),
        None => Ok(()),
    })?;
    Ok(list.end()?)
}

struct Pages<'a> {
    images: &'a HashSet<&'a str>,
    page_count: u32,
    last: u32,
    placeholders: usize,
}

impl Pages<'_> {
    /// The page as it is to be written; `None` if there is nothing on it.
    fn judge(&mut self, page: RawPage) -> Result<Option<RawPage>, String> {
        let number = u32::try_from(page.page)
            .ok()
            .filter(|number| (1..=self.page_count).contains(number))
            .ok_or_else(|| format!("page {} of {} pages", page.page, self.page_count))?;
        if number <= self.last {
            return Err(format!("page {number} after page {}", self.last));
        }
        self.last = number;
        if page.content.len() > CONTENT_BYTES_MAX {
            let bytes = page.content.len();
            return Err(format!(
                "page {number}: {bytes} bytes of text; the limit is {CONTENT_BYTES_MAX} bytes"
            ));
        }
        for image in &page.images {
            let declared = image.path.strip_prefix(SCHEME);
            if !declared.is_some_and(|path| self.images.contains(path)) {
                return Err(format!(
                    "page {number}: an image that is none of the outputs"
                ));
            }
        }
        self.placeholders += placeholder::count(&page.content) + page.images.len();
        let content = page.content.trim().to_owned();
        let says_something = !content.is_empty() || !page.images.is_empty();
        Ok(says_something.then_some(RawPage { content, ..page }))
    }
}

/// Hashes and counts what is written, and keeps the error that ended it.
struct Hashing<W> {
    to: W,
    digest: Sha256,
    size: u64,
    failure: Option<std::io::Error>,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.to.write(bytes) {
            Ok(written) => {
                self.digest.update(&bytes[..written]);
                self.size += written as u64;
                Ok(written)
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(json: &str, page_count: Option<u32>) -> Result<(String, Rewritten), String> {
        let mut to = Vec::new();
        let images = HashSet::from(["img/a.png"]);
        match rewrite(json.as_bytes(), &mut to, &images, page_count) {
            Ok(written) => Ok((String::from_utf8(to).unwrap(), written)),
            Err(ReadError::Invalid(reason)) => Err(reason),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn pages_are_written_in_the_peers_form() {
        let json = r#"[{"content":" \n# O\u006ee \"x\"\n\n![f](kbhost-output:img/a.png)\n","page":1,
             "images":[{"path":"kbhost-output:img/a.png","width":3}],"boxes":[[1]]},
            {"page":2,"content":" \t\n"},
            {"page":4,"content":"","images":[{"path":"kbhost-output:img/a.png"}]},
            {"page":5,"content":"t\u00efr\u0001"}, {"page":9,"content":""}]"#;
        let (text, written) = rewritten(json, None).unwrap();
        let expected = r##"[
  {
    "page": 1,
    "content": "# One \"x\"\n\n![f](kbhost-output:img/a.png)",
    "images": [
      {
        "path": "kbhost-output:img/a.png"
      }
    ]
  },
  {
    "page": 4,
    "content": "",
    "images": [
      {
        "path": "kbhost-output:img/a.png"
      }
    ]
  },
  {
    "page": 5,
    "content": "tïr\u0001"
  }
]"##;
        assert_eq!(text, expected);
        assert_eq!(written.hash, ContentHash::of(text.as_bytes()));
        assert_eq!(written.size, text.len() as u64);
        assert_eq!((written.last, written.placeholders), (9, 3));
        // What was kept for a later run comes out as it is.
        assert_eq!(rewritten(&text, None).unwrap().0, text);
        assert_eq!(rewritten("[]", None).unwrap().0, "[]");
    }

    #[test]
    fn what_breaks_the_contract_is_refused() {
        let check = |json: &str, pages: Option<u32>, expected: &str| {
            let reason = rewritten(json, pages).unwrap_err();
            assert!(reason.starts_with(expected), "{json:.60}: {reason}");
        };
        let of = |pages: &str| format!("[{pages}]");
        let page = |number: i64| format!(r#"{{"page":{number},"content":"x"}}"#);
        check(&of(&page(0)), None, "page 0 of 100000 pages");
        check(&of(&page(-7)), None, "page -7 of 100000 pages");
        check(&of(&page(100_001)), None, "page 100001 of 100000 pages");
        check(&of(&page(4)), Some(3), "page 4 of 3 pages");
        check(
            &of(&page(i64::MAX)),
            Some(u32::MAX),
            "page 9223372036854775807",
        );
        let twice = of(&format!("{},{}", page(2), page(2)));
        check(&twice, None, "page 2 after page 2");
        let back = of(&format!("{},{}", page(2), page(1)));
        check(&back, None, "page 1 after page 2");
        for path in [
            "kbhost-output:b.png",
            "img/a.png",
            "/etc/passwd",
            "kbhost-output:",
        ] {
            let json = of(&format!(
                r#"{{"page":1,"content":"","images":[{{"path":"{path}"}}]}}"#
            ));
            check(&json, None, "page 1: an image that is none of the outputs");
        }
        let long = "x".repeat(CONTENT_BYTES_MAX + 1);
        let json = of(&format!(r#"{{"page":1,"content":"{long}"}}"#));
        check(
            &json,
            None,
            "page 1: 8388609 bytes of text; the limit is 8388608",
        );
        check("[{}]", None, "missing field `page`");
        check("[", None, "not JSON: EOF");
    }

    #[test]
    fn a_full_disk_is_no_fault_of_the_pages() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let text = "x".repeat(100_000);
        let json = format!(r#"[{{"page":1,"content":"{text}"}}]"#);
        let written = rewrite(json.as_bytes(), Full, &HashSet::new(), None);
        assert!(matches!(written, Err(ReadError::Io(error))
            if error.kind() == std::io::ErrorKind::StorageFull));
    }
}
