//! Pictures of a Markdown text: which local files it needs, and their way into the output.
//!
//! Invariant: besides the spans reported by [`references`], no byte of the text changes.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kbhost_guest::{ConvertError, Files, OUTPUT_LINK, OutputFile, Picture, Role, Warnings};
use percent_encoding::percent_decode_str;

use crate::references::{self, Form, PictureLink};

/// As many local files as the host resolves for one input.
const REFERENCES_MAX: usize = 1_000;
/// Longer than any path that a file system takes.
const REFERENCE_BYTES_MAX: usize = 4_096;
/// Pictures of one document; the host bounds files too.
const PICTURES_MAX: usize = 2_000;
/// A larger picture belongs beside a knowledge base, not in it.
const PICTURE_BYTES_MAX: u64 = 64 << 20;
/// A smaller `data:` picture is a bullet or a spacer: it stays where it is.
const DATA_BYTES_MIN: usize = 256;

/// A text with its pictures placed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) markdown: String,
    pub(crate) files: Vec<OutputFile>,
}

/// What a target points to.
#[derive(Debug, PartialEq, Eq)]
enum Target<'a> {
    /// A file beside the input: its path, percent-decoded.
    Local(String),
    /// The part of a `data:` URI behind the colon.
    Data(&'a str),
    /// The web, an absolute path, a fragment.
    Elsewhere,
}

fn has_scheme(target: &str) -> bool {
    let Some((scheme, _)) = target.split_once(':') else {
        return false;
    };
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

fn classify(target: &str) -> Target<'_> {
    let target = target.trim();
    if let Some(("data", data)) = target
        .split_at_checked(4)
        .filter(|(_, rest)| rest.starts_with(':'))
    {
        return Target::Data(&data[1..]);
    }
    let is_rooted = |path: &str| path.starts_with(['/', '\\']);
    if has_scheme(target) || is_rooted(target) {
        return Target::Elsewhere;
    }
    let path = target.split(['#', '?']).next().unwrap_or_default();
    let Ok(path) = percent_decode_str(path).decode_utf8() else {
        return Target::Elsewhere;
    };
    let is_odd = path.is_empty() || path.len() > REFERENCE_BYTES_MAX;
    if is_odd || is_rooted(&path) || path.contains(char::is_control) {
        return Target::Elsewhere;
    }
    // The same file by two spellings is one reference.
    let path = path.trim_start_matches("./");
    if path.is_empty() || is_rooted(path) {
        return Target::Elsewhere;
    }
    Target::Local(path.to_owned())
}

/// The local files a text shows as pictures, in order, each once, at most [`REFERENCES_MAX`].
pub(crate) fn local_references(text: &str) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let links = references::find(text);
    let local = links
        .iter()
        .filter_map(|link| match classify(&link.target) {
            Target::Local(reference) => Some(reference),
            Target::Data(_) | Target::Elsewhere => None,
        });
    local
        .filter(|reference| seen.insert(reference.clone()))
        .take(REFERENCES_MAX)
        .collect()
}

/// A folder for the pictures such that no text of the input reads as a link to one of them.
fn free_folder(text: &str) -> String {
    let name = format!("{OUTPUT_LINK}images");
    let mut taken = BTreeSet::new();
    for (at, _) in text.match_indices(&name) {
        let rest = &text[at + name.len()..];
        let number = rest.strip_prefix('-').map_or(Some(1), |digits| {
            digits[..digits.bytes().take_while(u8::is_ascii_digit).count()]
                .parse::<u64>()
                .ok()
        });
        taken.extend(number);
    }
    if taken.is_empty() {
        return "images".to_owned();
    }
    let free = (2..).find(|number| !taken.contains(number));
    format!(
        "images-{}",
        free.expect("a text is shorter than the numbers are many")
    )
}

/// The pictures of one document on their way out.
struct Placer<'a> {
    sink: &'a mut dyn Files,
    warnings: &'a mut Warnings,
    folder: String,
    files: Vec<OutputFile>,
    /// The output of a reference that was met before; `None` if it had none.
    known: BTreeMap<String, Option<String>>,
}

impl Placer<'_> {
    /// The path of the output that stands for `target`, if it is to be one.
    fn output_for(&mut self, target: &str) -> Result<Option<String>, ConvertError> {
        match classify(target) {
            Target::Elsewhere => Ok(None),
            Target::Data(data) => self.data(data),
            Target::Local(reference) => {
                if let Some(known) = self.known.get(&reference) {
                    return Ok(known.clone());
                }
                let output = self.local(&reference)?;
                self.known.insert(reference, output.clone());
                Ok(output)
            }
        }
    }

    fn local(&mut self, reference: &str) -> Result<Option<String>, ConvertError> {
        let bytes = match self.sink.asset(reference, PICTURE_BYTES_MAX) {
            Some(Ok(bytes)) => bytes,
            Some(Err(error)) => {
                self.warnings
                    .push(&format!("the picture `{reference}` was not read: {error}"));
                return Ok(None);
            }
            None => {
                self.warnings
                    .push(&format!("the picture `{reference}` was not found"));
                return Ok(None);
            }
        };
        if Picture::of(&bytes).is_none() {
            let formats = "PNG, JPEG, GIF or WebP picture";
            self.warnings
                .push(&format!("`{reference}` is no {formats}; its link stays"));
        }
        self.put(&bytes)
    }

    fn data(&mut self, data: &str) -> Result<Option<String>, ConvertError> {
        let Some((header, body)) = data.split_once(',') else {
            return Ok(None);
        };
        let is_picture = header.to_ascii_lowercase().starts_with("image/");
        if !is_picture || !header.to_ascii_lowercase().ends_with(";base64") {
            return Ok(None);
        }
        let mut body: Vec<u8> = percent_decode_str(body).collect();
        body.retain(|byte| !byte.is_ascii_whitespace());
        let Ok(bytes) = STANDARD.decode(&body) else {
            self.warnings
                .push("a `data:` picture is not valid base64; it stays as it is");
            return Ok(None);
        };
        if bytes.len() < DATA_BYTES_MIN {
            return Ok(None);
        }
        self.put(&bytes)
    }

    /// Writes a picture; `None` if it is none, or one too many.
    fn put(&mut self, bytes: &[u8]) -> Result<Option<String>, ConvertError> {
        let Some(picture) = Picture::of(bytes) else {
            return Ok(None);
        };
        if self.files.len() == PICTURES_MAX {
            self.warnings.push(&format!(
                "only the first {PICTURES_MAX} pictures were taken"
            ));
            return Ok(None);
        }
        let number = self.files.len() + 1;
        let path = format!("{}/{number:03}.{}", self.folder, picture.extension());
        self.sink.put(&path, bytes)?;
        self.files.push(OutputFile {
            path: path.clone(),
            role: Role::Image,
            media_type: picture.media_type().to_owned(),
            page: None,
        });
        Ok(Some(path))
    }
}

fn replacement(link: &PictureLink, path: &str) -> String {
    match &link.form {
        Form::Target => format!("{OUTPUT_LINK}{path}"),
        Form::Embed { text } => {
            let text: String = text
                .chars()
                .filter(|c| !matches!(c, '[' | ']' | '\\'))
                .collect();
            format!("![{text}]({OUTPUT_LINK}{path})")
        }
    }
}

/// Copies the pictures of a text to the output and points the text at them.
pub(crate) fn place(
    text: &str,
    sink: &mut dyn Files,
    warnings: &mut Warnings,
) -> Result<Placed, ConvertError> {
    let mut placer = Placer {
        sink,
        warnings,
        folder: free_folder(text),
        files: Vec::new(),
        known: BTreeMap::new(),
    };
    let mut markdown = String::with_capacity(text.len());
    let mut done = 0;
    for link in references::find(text) {
        // A reference within another one that was replaced whole.
        if link.span.start < done {
            continue;
        }
        if let Some(path) = placer.output_for(&link.target)? {
            markdown.push_str(&text[done..link.span.start]);
            markdown.push_str(&replacement(&link, &path));
            done = link.span.end;
        }
    }
    markdown.push_str(&text[done..]);
    Ok(Placed {
        markdown,
        files: placer.files,
    })
}

#[cfg(test)]
mod tests {
    use kbhost_guest::MemoryFiles;

    use super::*;

    #[test]
    fn classifies_targets() {
        let local = |path: &str| Target::Local(path.to_owned());
        let check =
            |target: &'static str, expected| assert_eq!(classify(target), expected, "{target}");
        check("a.png", local("a.png"));
        check("./a/b%20c.png?raw=true#x", local("a/b c.png"));
        check("../x.png", local("../x.png"));
        check("././x.png", local("x.png"));
        check("a%23b.png", local("a#b.png"));
        check("100%.png", local("100%.png"));
        check(
            "data:image/png;base64,AA",
            Target::Data("image/png;base64,AA"),
        );
        for target in [
            "https://x/a.png",
            "HTTP:a",
            "mailto:a@b",
            "C:\\a.png",
            "//host/a.png",
            "/a.png",
            "%2Fetc/passwd",
            "\\\\host\\a",
            ".//etc/passwd",
            "./",
            "#top",
            "?q",
            "",
            "a%00b",
            "a%0Ab",
            "%ff.png",
        ] {
            check(target, Target::Elsewhere);
        }
    }

    #[test]
    fn reports_each_local_file_once_in_order() {
        let text = "![](b.png) ![](a.png) ![](b.png) ![](https://x/c.png) <img src='a.png'>";
        assert_eq!(local_references(text), ["b.png", "a.png"]);
    }

    #[test]
    fn literal_output_links_of_the_input_never_meet_an_output() {
        let check = |text, expected| assert_eq!(free_folder(text), expected, "{text}");
        check("plain", "images");
        check("see kbhost-output:images/001.png", "images-2");
        check("kbhost-output:images-2/ kbhost-output:images", "images-3");
        check("kbhost-output:images-99999999999999999999999/", "images");
        check("kbhost-output:images-7/", "images-2");
    }

    fn png(length: usize) -> Vec<u8> {
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.resize(length, 7);
        bytes
    }

    #[test]
    fn places_what_resolves_and_warns_once_for_what_does_not() {
        let mut files = MemoryFiles::default();
        files.assets.insert("a b.png".to_owned(), png(20));
        files.assets.insert("c.svg".to_owned(), b"<svg/>".to_vec());
        let mut warnings = Warnings::default();
        let text = "![A](<a b.png> \"t\") ![B](a%20b.png) ![](gone.png)![](gone.png) ![](c.svg) ![[a b.png|9]]";
        let placed = place(text, &mut files, &mut warnings).unwrap();
        let output = "kbhost-output:images/001.png";
        let expected = format!(
            "![A]({output} \"t\") ![B]({output}) ![](gone.png)![](gone.png) ![](c.svg) ![9]({output})"
        );
        assert_eq!(placed.markdown, expected);
        assert_eq!(placed.files.len(), 1);
        assert_eq!(files.outputs["images/001.png"], png(20));
        assert_eq!(warnings.into_sentences().len(), 2);
    }

    #[test]
    fn takes_large_data_pictures_out() {
        let check = |length, taken: bool| {
            let text = format!(
                "![x](data:image/png;base64,{})",
                STANDARD.encode(png(length))
            );
            let mut files = MemoryFiles::default();
            let placed = place(&text, &mut files, &mut Warnings::default()).unwrap();
            let expected = "![x](kbhost-output:images/001.png)";
            assert_eq!(placed.markdown, if taken { expected } else { &text });
        };
        check(DATA_BYTES_MIN, true);
        check(DATA_BYTES_MIN - 1, false);
    }
}
