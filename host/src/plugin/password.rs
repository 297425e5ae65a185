//! The password of documents: a secret option of converters.
//!
//! Invariant: it is printed, written, compared and cloned nowhere, and its memory is cleared when it
//! goes. The one way out of here is the request of one call.

use std::fmt;

use secrecy::zeroize::Zeroize as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::bindings::types;
use super::{Converted, NEEDS_OCR, stdio};

/// A shorter one stands in many a sentence: it counts there as a word of its own.
const PART_BYTES_MIN: usize = 6;

/// What opens documents that are encrypted. Given to the converters that come with the program alone,
/// and only for a document that does not open without it.
pub struct Password {
    value: SecretString,
    /// As it reads in a line that was made safe: see [`stdio::line`].
    as_line: SecretString,
    file: (u64, u64),
}

impl Password {
    /// The key under which a converter is given it.
    pub(super) const OPTION: &str = "password";

    /// Longer ones are somebody's mistake: the longest that a format knows has 127 bytes.
    pub const BYTES_MAX: usize = 1 << 10;

    /// Takes a password: 1 to [`Self::BYTES_MAX`] bytes of UTF-8. `file` is device and inode of the file
    /// that it lies in.
    ///
    /// # Errors
    /// What is wrong with it, without its value.
    pub fn new(value: &[u8], file: (u64, u64)) -> Result<Self, &'static str> {
        if value.is_empty() {
            return Err("its first line is empty");
        }
        if value.len() > Self::BYTES_MAX {
            return Err("its first line is longer than 1,024 bytes");
        }
        let value = std::str::from_utf8(value).map_err(|_| "its first line is not UTF-8")?;
        Ok(Self {
            value: SecretString::from(value),
            as_line: SecretString::from(stdio::line(value)),
            file,
        })
    }

    /// Device and inode of the file that it lies in: nothing that a document may be or refer to.
    #[must_use]
    pub(crate) fn file(&self) -> (u64, u64) {
        self.file
    }

    /// What is said in the place of a sentence that tells it.
    pub(crate) const NOT_TOLD: &str = "a sentence that held the password is left out";

    /// Leaves out what a converter says of a document, beside its text, where that tells it.
    pub(super) fn kept_from(&self, mut converted: Converted) -> Converted {
        let sentences = converted.warnings.len() + converted.metadata.len();
        converted.warnings.retain(|line| !self.is_told_in(line));
        // Page numbers are the document's, whatever its password.
        converted.metadata.retain(|(key, value)| {
            key == NEEDS_OCR || !(self.is_told_in(key) || self.is_told_in(value))
        });
        if converted.warnings.len() + converted.metadata.len() < sentences {
            converted.warnings.push(Self::NOT_TOLD.to_owned());
        }
        converted
    }

    /// Leaves out references that tell it: what is not found is quoted, and what is found is on record.
    pub(super) fn kept_from_all(&self, mut references: Vec<String>) -> Vec<String> {
        references.retain(|reference| !self.is_told_in(reference));
        references
    }

    /// Whether a text that a converter wrote tells it.
    pub(crate) fn is_told_in(&self, text: &str) -> bool {
        let forms = [&self.value, &self.as_line].map(|form| form.expose_secret());
        forms.iter().any(|form| holds(text, form))
    }
}

/// Whether `part`, if there is any of it, stands in `text`.
fn holds(text: &str, part: &str) -> bool {
    let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    !part.is_empty()
        && text.match_indices(part).any(|(at, _)| {
            let around = (&text[..at], &text[at + part.len()..]);
            part.len() >= PART_BYTES_MIN
                || !(in_word(around.0.chars().next_back()) || in_word(around.1.chars().next()))
        })
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// A request; a password among its options is cleared with it.
pub(super) struct Request {
    request: types::Request,
    /// Place of the password among the options.
    password_at: Option<usize>,
}

impl Request {
    /// `request`, and `password` among its options, which stay sorted by key.
    pub(super) fn new(mut request: types::Request, password: Option<&Password>) -> Self {
        let password_at = password.map(|password| {
            let options = &mut request.options;
            let at = options.partition_point(|(key, _)| key.as_str() < Password::OPTION);
            // Exactly as long as it is: no copy is left behind when it is moved.
            let value = password.value.expose_secret().to_owned();
            options.insert(at, (Password::OPTION.to_owned(), value));
            at
        });
        Self {
            request,
            password_at,
        }
    }

    pub(super) fn as_ref(&self) -> &types::Request {
        &self.request
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let option = self.password_at.map(|at| self.request.options.get_mut(at));
        if let Some((_, value)) = option.flatten() {
            value.zeroize();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_bounded_and_not_printed() {
        let reason = |value: &[u8]| Password::new(value, (0, 0)).map(drop).unwrap_err();
        assert_eq!(reason(b""), "its first line is empty");
        assert_eq!(reason(b"caf\xe9"), "its first line is not UTF-8");
        assert_eq!(
            reason(&[b'x'; Password::BYTES_MAX + 1]),
            "its first line is longer than 1,024 bytes"
        );
        assert!(Password::new(&[b'x'; Password::BYTES_MAX], (0, 0)).is_ok());
        for value in ["x", "correct horse", "p\u{1}\"\\ü"] {
            let password = Password::new(value.as_bytes(), (0, 0)).unwrap();
            assert_eq!(format!("{password:?} {password:#?}"), "[secret] [secret]");
        }
    }

    #[test]
    fn it_is_found_where_it_is_told() {
        let check = |password: &str, text: &str, expected: bool| {
            let found = Password::new(password.as_bytes(), (0, 0)).unwrap();
            assert_eq!(found.is_told_in(text), expected, "{password} {text}");
        };
        check("hunter22", "`hunter22` does not open it", true);
        check("hunter22", "xhunter22y", true);
        check("hunter22", "hunter2", false);
        check("hunter22", "", false);
        // As a line makes it harmless.
        check("ab\u{1}cd [[e]]", "tried ab\u{1}cd [[e]]", true);
        check(
            "ab\u{1}cd [[e]]",
            &stdio::line("tried ab\u{1}cd [[e]]"),
            true,
        );
        // A short one is a word, or nothing.
        check("12", "page 12 is wrong", true);
        check("12", "12", true);
        check("12", "page 312, 120 words of 2012", false);
        check("é", "café", false);
        check("\u{1}", "a b", false);
    }

    #[test]
    fn what_tells_it_is_left_out() {
        let password = Password::new(b"secret words", (0, 0)).unwrap();
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let references = texts(&["a.png", "x/secret words.png"]);
        assert_eq!(password.kept_from_all(references), ["a.png"]);
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let converted = Converted {
            files: Vec::new(),
            title: Some("secret words".to_owned()),
            name: None,
            remote_id: None,
            pages: None,
            outline: Vec::new(),
            metadata: vec![
                entry("author", "secret words"),
                entry("secret words", "x"),
                entry("language", "en"),
            ],
            warnings: texts(&["opened by secret words", "page 3 is blank"]),
        };
        let kept = password.kept_from(converted.clone());
        assert_eq!(kept.warnings, ["page 3 is blank", Password::NOT_TOLD]);
        assert_eq!(kept.metadata, [entry("language", "en")]);
        assert_eq!(kept.title, converted.title, "text of the document");
        // Numbers of pages are no passwords, whatever the password is.
        let pages = Converted {
            metadata: vec![entry(NEEDS_OCR, "3")],
            warnings: Vec::new(),
            ..converted
        };
        let password = Password::new(b"3", (0, 0)).unwrap();
        assert_eq!(password.kept_from(pages.clone()), pages);
    }

    #[test]
    fn a_request_holds_it_in_its_place_and_clears_it() {
        let request = || types::Request {
            source: types::Source::Remote(String::new()),
            input: String::new(),
            output: String::new(),
            assets: Vec::new(),
            options: vec![
                ("a".to_owned(), "1".to_owned()),
                ("z".to_owned(), "2".to_owned()),
            ],
            resume: None,
        };
        let password = Password::new(b"secret words", (0, 0)).unwrap();
        let with = Request::new(request(), Some(&password));
        let options =
            |request: &Request| -> Vec<(String, String)> { request.as_ref().options.clone() };
        let expected = [("a", "1"), ("password", "secret words"), ("z", "2")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(options(&with), expected);
        assert_eq!(options(&Request::new(request(), None)).len(), 2);
    }
}
