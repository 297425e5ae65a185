//! What the first bytes of a file say it is, and when they count for more than its name.
//!
//! - A mark of a binary format is unmistakable where the bytes are no text: it outweighs a name that
//!   stands for text or for a format with another mark, and makes up for a name that stands for
//!   nothing. `%PDF-` counts in text too.
//! - Text that says what it is (HTML, XML, RTF, JSON) outweighs only a name that stands for a binary
//!   format: Markdown may begin like HTML.
//! - All other text stays what its name says, and so does what is named as a format of which the host
//!   does not know how its files begin: it may be built upon another one.
//! - A container (zip, gzip, OLE) says of a format that is built upon it nothing at all.
//!
//! Invariant: looks at a bounded number of bytes, decodes nothing, and the same bytes and media type
//! give the same verdict.

use infer::Infer;

/// As much of a file as is looked at: the marks lie in its first kilobyte, but for the parts of an
/// office document, whose names lie between compressed data.
pub(crate) const HEAD_BYTES_MAX: usize = 8 << 10;

/// What a format is stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Own,
    Zip,
    Gzip,
    Ole,
}

/// A format whose files begin in a way of their own.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its media types, the usual one first.
    pub(super) media_types: &'static [&'static str],
    family: Family,
}

const fn own(media_types: &'static [&'static str]) -> Mark {
    Mark {
        media_types,
        family: Family::Own,
    }
}

const fn zip(media_types: &'static [&'static str]) -> Mark {
    Mark {
        media_types,
        family: Family::Zip,
    }
}

const fn ole(media_types: &'static [&'static str]) -> Mark {
    Mark {
        media_types,
        family: Family::Ole,
    }
}

/// Containers: the marks of whatever is built upon them and not told apart.
const ZIP: Mark = zip(&[PLAIN, "application/x-zip-compressed"]);
const GZIP: Mark = Mark {
    media_types: &["application/gzip", "application/x-gzip"],
    family: Family::Gzip,
};
const OLE: Mark = ole(&["application/x-ole-storage"]);

/// An archive that is no document.
const PLAIN: &str = "application/zip";
const WORD: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const SHEET: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
const SLIDES: &str = "application/vnd.openxmlformats-officedocument.presentationml.presentation";

/// Folders of an office archive, and what they make of it.
const OFFICE_PARTS: [(&[u8], &str); 3] = [(b"word/", WORD), (b"xl/", SHEET), (b"ppt/", SLIDES)];

/// What an entry of a zip archive begins with, and how far behind that its name stands.
const ENTRY: &[u8] = b"PK\x03\x04";
const ENTRY_NAME_AT: usize = 30;

/// Binary formats. Names of the crate that finds them come first.
const MARKS: &[Mark] = &[
    own(&["application/pdf"]),
    own(&["image/png"]),
    own(&["image/jpeg"]),
    own(&["image/gif"]),
    own(&["image/webp"]),
    own(&["image/tiff"]),
    own(&["image/heif", "image/heic"]),
    own(&["image/avif"]),
    own(&["image/vnd.djvu"]),
    own(&["application/vnd.sqlite3", "application/x-sqlite3"]),
    own(&["application/x-7z-compressed"]),
    own(&["application/vnd.rar", "application/x-rar-compressed"]),
    own(&["application/x-bzip2"]),
    own(&["application/x-xz"]),
    own(&["application/zstd"]),
    zip(&["application/epub+zip"]),
    zip(&["application/vnd.oasis.opendocument.text"]),
    zip(&["application/vnd.oasis.opendocument.spreadsheet"]),
    zip(&["application/vnd.oasis.opendocument.presentation"]),
    zip(&[WORD]),
    zip(&[SHEET]),
    zip(&[SLIDES]),
    // Told apart by their names alone: what is inside an OLE file is for a converter to find.
    ole(&["application/msword"]),
    ole(&["application/vnd.ms-excel"]),
    ole(&["application/vnd.ms-powerpoint"]),
    ole(&["application/vnd.ms-outlook"]),
    ZIP,
    GZIP,
    OLE,
];

const HTML: Mark = own(&["text/html", "application/xhtml+xml"]);
const SVG: Mark = own(&["image/svg+xml"]);
const XML: Mark = own(&["application/xml", "text/xml"]);
const RTF: Mark = own(&["application/rtf", "text/rtf"]);
const JSON: Mark = own(&["application/json"]);

/// Media types of text whose names do not say so.
const TEXTS: &[&str] = &[
    "application/javascript",
    "application/json",
    "application/rtf",
    "application/sql",
    "application/toml",
    "application/x-tex",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
];

/// What the head of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A binary format.
    Marked(&'static Mark),
    /// Text that says what it is.
    Told(&'static Mark),
    /// Anything else.
    Silent,
}

/// How files of a media type begin, as far as the host knows.
enum Beginning {
    Text,
    Binary(&'static Mark),
    Unknown,
}

impl Beginning {
    fn of(media_type: &str) -> Self {
        let marked = MARKS.iter().find(|mark| mark.is(media_type));
        let is_text = media_type.starts_with("text/")
            || ["+json", "+xml", "+yaml"]
                .iter()
                .any(|suffix| media_type.ends_with(suffix))
            || TEXTS.contains(&media_type);
        match marked {
            Some(mark) => Self::Binary(mark),
            None if is_text => Self::Text,
            None => Self::Unknown,
        }
    }
}

impl Mark {
    fn is(&self, media_type: &str) -> bool {
        self.media_types.contains(&media_type)
    }

    fn is_container(&self) -> bool {
        [ZIP, GZIP, OLE].contains(self)
    }
}

impl Content {
    /// Of a file that begins with `head`, which need not be more than [`HEAD_BYTES_MAX`].
    pub(super) fn of(head: &[u8]) -> Self {
        let head = &head[..head.len().min(HEAD_BYTES_MAX)];
        if let Some(mark) = marked(head).filter(|mark| mark.is("application/pdf") || !is_text(head))
        {
            return Self::Marked(mark);
        }
        told(head).map_or(Self::Silent, Self::Told)
    }

    /// The media types that it may be, the usual one first.
    pub(super) fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Marked(mark) | Self::Told(mark) => mark.media_types,
            Self::Silent => &[],
        }
    }

    /// Whether the content counts for more than a name that stands for `media_type`.
    pub(super) fn outweighs(self, media_type: &str) -> bool {
        match (self, Beginning::of(media_type)) {
            (Self::Silent, _) | (_, Beginning::Unknown) | (Self::Told(_), Beginning::Text) => false,
            (Self::Marked(_), Beginning::Text) | (Self::Told(_), Beginning::Binary(_)) => true,
            (Self::Marked(mark), Beginning::Binary(named)) => {
                mark != named && !(mark.is_container() && mark.family == named.family)
            }
        }
    }

    /// Whether a name that stands for `media_type` cannot be right, so that its converter need not be
    /// asked.
    pub(super) fn rules_out(self, media_type: &str) -> bool {
        matches!(
            (self, Beginning::of(media_type)),
            (Self::Marked(_), Beginning::Text)
        )
    }
}

/// The binary format that `head` has the mark of. Marks of two letters, which text may begin with, are
/// not among ours.
fn marked(head: &[u8]) -> Option<&'static Mark> {
    let media_type = Infer::new().get(head)?.mime_type();
    let media_type = match media_type {
        WORD | SHEET | SLIDES | PLAIN => office(head).unwrap_or(PLAIN),
        other => other,
    };
    let found = MARKS.iter().find(|mark| mark.is(media_type))?;
    // Which of its formats an OLE file is lies beyond any head.
    match found.family {
        Family::Ole => Some(&OLE),
        _ => Some(found),
    }
}

/// Which office document an archive is, by the names of its entries. The crate wants four entries in the
/// head, where a document's text alone is longer, or takes a single name for proof.
fn office(head: &[u8]) -> Option<&'static str> {
    if !head.starts_with(ENTRY) {
        return None;
    }
    let names = head.windows(ENTRY.len()).enumerate();
    let names = names
        .filter(|(_, bytes)| *bytes == ENTRY)
        .filter_map(|(at, _)| head.get(at + ENTRY_NAME_AT..));
    let mut is_package = false;
    let mut part = None;
    for name in names {
        is_package |= name.starts_with(b"[Content_Types].xml") || name.starts_with(b"_rels/");
        let found = OFFICE_PARTS
            .iter()
            .find(|(folder, _)| name.starts_with(folder));
        part = part.or(found.map(|(_, media_type)| *media_type));
    }
    part.filter(|_| is_package)
}

/// Whether `head` is UTF-8 as text has it. Its last character may be cut.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()])
                .expect("these bytes were just found valid")
        }
        Err(_) => return false,
    };
    let allowed = ['\t', '\n', '\r', '\u{c}', '\u{1b}'];
    !text
        .chars()
        .any(|c| c.is_ascii_control() && !allowed.contains(&c))
}

/// The format that text says to be. Any encoding in which ASCII is ASCII will do.
fn told(head: &[u8]) -> Option<&'static Mark> {
    if head.contains(&0) {
        return None;
    }
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start();
    if is_html(text) {
        return Some(&HTML);
    }
    if text.starts_with("<?xml") {
        // The root comes after what may stand before it.
        let root = text.match_indices('<').map(|(at, _)| &text[at..]);
        let root = root
            .skip(1)
            .find(|tag| is_html(tag) || !(tag.starts_with("<!") || tag.starts_with("<?")));
        return Some(match root {
            Some(root) if is_html(root) => &HTML,
            Some(root) if is_tag(root, "<svg") => &SVG,
            _ => &XML,
        });
    }
    if text.starts_with("{\\rtf") {
        return Some(&RTF);
    }
    let object = text.strip_prefix('{')?.trim_start();
    object.starts_with('"').then_some(&JSON)
}

fn is_html(text: &str) -> bool {
    is_tag(text, "<!doctype html") || is_tag(text, "<html")
}

/// Whether `text`, in lower case, begins with this tag and no longer one.
fn is_tag(text: &str, tag: &str) -> bool {
    text.strip_prefix(tag)
        .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || "-_:".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The head of a zip archive whose entries, all empty, have these names.
    fn archive(names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for name in names {
            let (name, content) = name.split_once('=').unwrap_or((name, ""));
            bytes.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
            for size in [content.len() as u32; 2] {
                bytes.extend(size.to_le_bytes());
            }
            bytes.extend((name.len() as u16).to_le_bytes());
            bytes.extend([0, 0]);
            bytes.extend(name.as_bytes());
            bytes.extend(content.as_bytes());
        }
        bytes
    }

    #[test]
    fn what_a_file_begins_with() {
        let check = |head: &[u8], expected: &str| {
            let found = Content::of(head).media_types().first();
            let shown = String::from_utf8_lossy(head);
            assert_eq!(found.copied().unwrap_or_default(), expected, "{shown:?}");
        };
        check(b"", "");
        check(b"%PDF-1.7\nall of it is text", "application/pdf");
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png");
        check(b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg");
        check(b"GIF89a\x01\0\x01\0\x80\0\0", "image/gif");
        check(b"RIFF\x1a\0\0\0WEBPVP8 ", "image/webp");
        check(b"\x1f\x8b\x08\0\0\0\0\0", "application/gzip");
        check(b"SQLite format 3\0\x10\0", "application/vnd.sqlite3");
        check(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0",
            "application/x-ole-storage",
        );
        check(&archive(&["a.txt=x"]), "application/zip");
        let office = [
            "[Content_Types].xml=x",
            "_rels/.rels=x",
            "word/document.xml",
        ];
        check(&archive(&office), WORD);
        check(&archive(&["xl/a", "[Content_Types].xml"]), SHEET);
        check(&archive(&["word/a", "words"]), "application/zip");
        check(
            &archive(&["mimetype=application/epub+zip", "META-INF/container.xml"]),
            "application/epub+zip",
        );
        check(
            &archive(&["mimetype=application/vnd.oasis.opendocument.text", "a"]),
            "application/vnd.oasis.opendocument.text",
        );
        // Text that begins like a binary format is text.
        check(b"GIF89a is a format", "");
        check(b"BM is short\n", "");
        check(b"MZ, PK, Rar!\n", "");
        check(b"# Title\n", "");
        check(b"<h1>Markdown</h1>\n", "");
        check(b"<htmlish>", "");
        check(b"  <!DOCTYPE HTML>\n", "text/html");
        check(b"\xef\xbb\xbf<html lang=en>", "text/html");
        check(b"<html>caf\xe9</html>", "text/html");
        check(b"<html>\0", "");
        check(b"<?xml version='1.0'?><!-- x --><feed/>", "application/xml");
        check(
            b"<?xml version='1.0'?>\n<!DOCTYPE html PUBLIC>\n<html/>",
            "text/html",
        );
        check(b"<?xml version='1.0'?><svg/>", "image/svg+xml");
        check(b"{\\rtf1 x}", "application/rtf");
        check(b"{ \"a\": 1 }", "application/json");
        check(b"{a}", "");
        check("ä".repeat(HEAD_BYTES_MAX).as_bytes(), "");
    }

    #[test]
    fn content_outweighs_a_name_that_cannot_be_right() {
        let check = |head: &[u8], media_type: &str, expected: bool| {
            let content = Content::of(head);
            let outweighs = content.outweighs(media_type);
            assert_eq!(outweighs, expected, "{content:?} {media_type}");
        };
        let (pdf, html) = (&b"%PDF-1.7\n"[..], &b"<!doctype html>"[..]);
        check(pdf, "application/pdf", false);
        check(pdf, "text/markdown", true);
        check(pdf, "application/json", true);
        check(pdf, "image/png", true);
        // A format that the host does not know may be built upon PDF.
        check(pdf, "application/illustrator", false);
        check(html, "application/pdf", true);
        check(html, "text/markdown", false);
        check(html, "application/x-something", false);
        check(b"# Title", "application/pdf", false);
        let plain = archive(&["a=x"]);
        check(&plain, WORD, false);
        check(&plain, "application/epub+zip", false);
        check(&plain, "application/pdf", true);
        let epub = archive(&["mimetype=application/epub+zip", "a"]);
        check(&epub, "application/zip", true);
        check(&epub, WORD, true);
        check(
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0",
            "application/msword",
            false,
        );
        check(b"{\\rtf1 x}", "application/msword", true);
    }

    /// Goal: no file makes the search for marks panic. Method: all short heads and every cut of
    /// marked ones, with each byte changed.
    #[test]
    fn any_bytes_can_be_looked_at() {
        let office = archive(&[
            "[Content_Types].xml=x",
            "_rels/.rels=x",
            "word/document.xml",
        ]);
        let mut heads = vec![office, b"RIFF\x1a\0\0\0WEBPVP8 ".to_vec(), vec![0xff; 64]];
        heads.push(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01acTL".to_vec());
        heads.push(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic".to_vec());
        for head in &heads {
            for end in 0..=head.len() {
                Content::of(&head[..end]);
            }
            for at in 0..head.len() {
                for byte in [0, 1, 0x7f, 0x80, 0xff] {
                    let mut changed = head.clone();
                    changed[at] = byte;
                    Content::of(&changed);
                }
            }
        }
        for first in 0..=255 {
            for second in 0..=255 {
                Content::of(&[first, second]);
            }
        }
    }
}
