//! Text strings: the strings of a PDF file that people are to read.
//!
//! Invariant: whatever the bytes, a string comes out; what it cannot stand for is `U+FFFD`.

/// What `PDFDocEncoding` has at 0x18 to 0x1F.
const ACCENTS: [char; 8] = ['˘', 'ˇ', 'ˆ', '˙', '˝', '˛', '˚', '˜'];
/// What `PDFDocEncoding` has at 0x80 to 0xA0; elsewhere it is Latin-1.
const HIGH: [char; 33] = [
    '•', '†', '‡', '…', '—', '–', 'ƒ', '⁄', '‹', '›', '−', '‰', '„', '“', '”', '‘', '’', '‚', '™',
    'ﬁ', 'ﬂ', 'Ł', 'Œ', 'Š', 'Ÿ', 'Ž', 'ı', 'ł', 'œ', 'š', 'ž', '\u{FFFD}', '€',
];
/// Opens and closes the code of a language within a Unicode string.
const LANGUAGE_ESCAPE: char = '\u{1B}';
/// The longest code of a language and of a country, with room; more is no escape sequence.
const LANGUAGE_CHARS_MAX: usize = 16;
/// A character takes at most that many bytes.
const CHAR_BYTES_MAX: usize = 4;
/// White space and escapes that [`line`] drops, for each character that it keeps.
const DROPPED_PER_CHAR: usize = 8;

/// The text of a string.
#[must_use]
pub(crate) fn decode(bytes: &[u8]) -> String {
    match bytes {
        [0xFE, 0xFF, rest @ ..] => without_languages(utf_16(rest, u16::from_be_bytes)),
        [0xFF, 0xFE, rest @ ..] => without_languages(utf_16(rest, u16::from_le_bytes)),
        [0xEF, 0xBB, 0xBF, rest @ ..] => {
            without_languages(String::from_utf8_lossy(rest).into_owned())
        }
        // Some programs write UTF-8 and do not say so. Other text is hardly ever valid UTF-8.
        _ => match std::str::from_utf8(bytes) {
            Ok(text) if !bytes.is_ascii() => text.to_owned(),
            _ => bytes.iter().copied().map(pdf_doc_char).collect(),
        },
    }
}

/// The text of a string on one line: white space collapsed, control characters dropped, cut at
/// `chars_max`; `None` if nothing is left.
#[must_use]
pub(crate) fn line(bytes: &[u8], chars_max: usize) -> Option<String> {
    let head = bytes.get(..bytes_max(chars_max)).unwrap_or(bytes);
    line_of(&decode(head), chars_max)
}

/// As [`line`], of text.
#[must_use]
pub(crate) fn line_of(text: &str, chars_max: usize) -> Option<String> {
    let mut line = String::new();
    let mut chars = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if chars >= chars_max {
            line.push('…');
            break;
        }
        if !line.is_empty() {
            line.push(' ');
            chars += 1;
        }
        let room = chars_max.saturating_sub(chars);
        if let Some((cut, _)) = word.char_indices().nth(room) {
            line.push_str(&word[..cut]);
            line.push('…');
            break;
        }
        line.push_str(word);
        chars += word.chars().count();
    }
    (!line.is_empty()).then_some(line)
}

/// The text of a string with its line breaks: blank lines, control characters and white space around
/// lines dropped, cut at `chars_max`; `None` if nothing is left.
#[must_use]
pub(crate) fn lines(bytes: &[u8], chars_max: usize) -> Option<String> {
    let head = bytes.get(..bytes_max(chars_max)).unwrap_or(bytes);
    let mut lines = String::new();
    let mut room = chars_max;
    for text in decode(head).split(['\n', '\r', '\u{2028}', '\u{2029}']) {
        if room == 0 {
            break;
        }
        if let Some(line) = line_of(text, room) {
            if !lines.is_empty() {
                lines.push('\n');
            }
            room = room.saturating_sub(line.chars().count());
            lines.push_str(&line);
        }
    }
    (!lines.is_empty()).then_some(lines)
}

/// How much of a string is looked at for so many characters.
fn bytes_max(chars_max: usize) -> usize {
    chars_max.saturating_mul(CHAR_BYTES_MAX * DROPPED_PER_CHAR)
}

fn pdf_doc_char(byte: u8) -> char {
    match byte {
        0x18..=0x1F => ACCENTS[usize::from(byte - 0x18)],
        0x80..=0xA0 => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn utf_16(bytes: &[u8], unit: impl Fn([u8; 2]) -> u16) -> String {
    let units = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair));
    char::decode_utf16(units)
        .map(|char| char.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Drops the escape sequences that tell the language of what follows.
fn without_languages(text: String) -> String {
    if !text.contains(LANGUAGE_ESCAPE) {
        return text;
    }
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(LANGUAGE_ESCAPE) {
        kept.push_str(before);
        let end = after
            .char_indices()
            .take(LANGUAGE_CHARS_MAX)
            .find(|(_, char)| *char == LANGUAGE_ESCAPE);
        rest = &after[end.map_or(0, |(at, escape)| at + escape.len_utf8())..];
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(decode(bytes), expected, "{bytes:?}");
        check(b"plain", "plain");
        check(b"\x8450\xA0\x85 f\xFCr", "—50€– für");
        check(b"\x18\x9F", "˘\u{FFFD}");
        check(b"\xFE\xFF\0A\xD8\x3D\xDE\x00", "A😀");
        check(b"\xFF\xFEA\0B\0", "AB");
        check(b"\xEF\xBB\xBF\xC3\xA9", "é");
        check("naïve".as_bytes(), "naïve");
        check(b"na\xEFve", "naïve");
        // Half a character, and half a pair.
        check(b"\xFE\xFF\0A\0", "A");
        check(b"\xFE\xFF\xD8\x3D\0A", "\u{FFFD}A");
        check(b"", "");
    }

    #[test]
    fn escapes_for_languages_are_dropped() {
        let utf_16 = |text: &str| {
            let units = text.encode_utf16().flat_map(u16::to_be_bytes);
            [0xFE, 0xFF].into_iter().chain(units).collect::<Vec<_>>()
        };
        let check =
            |text: &str, expected: &str| assert_eq!(decode(&utf_16(text)), expected, "{text:?}");
        check("\u{1B}enUS\u{1B}Hello", "Hello");
        check("a\u{1B}de\u{1B}b\u{1B}fr\u{1B}c", "abc");
        // One that nothing closes takes no text with it.
        check(
            "a\u{1B}this is text that goes on",
            "athis is text that goes on",
        );
        check(&"\u{1B}".repeat(5), "");
    }

    #[test]
    fn a_line_is_bounded() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(line(bytes, 5).as_deref(), expected, "{bytes:?}");
        };
        check(b"a\n\t b\0c", Some("a b c"));
        check(b"12345", Some("12345"));
        check(b"123456", Some("12345…"));
        check(b"1234 6", Some("1234 …"));
        check(b"12345 6", Some("12345…"));
        check(b" \n\0", None);
        check(&[b' '; 1000], None);
        check(&[b'x'; 1_000_000], Some("xxxxx…"));
    }

    #[test]
    fn lines_are_bounded() {
        let check = |bytes: &[u8], expected: Option<&str>| {
            assert_eq!(lines(bytes, 5).as_deref(), expected, "{bytes:?}");
        };
        check(b"a\r\n\r\nb  c", Some("a\nb c"));
        check(b"abc\ndef", Some("abc\nde…"));
        check(b"abcde\nf", Some("abcde"));
        check(b"\r\0\n", None);
    }
}
