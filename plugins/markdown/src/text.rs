//! Bytes to text: strict for Markdown, forgiving with a warning for the other formats.

use std::borrow::Cow;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, UTF_8};
use kbhost_guest::{ConvertError, Warnings};

/// The text of Markdown, which is UTF-8 or broken.
pub(crate) fn strict_utf8(input: &[u8]) -> Result<&str, ConvertError> {
    std::str::from_utf8(input).map_err(|error| {
        let offset = error.valid_up_to();
        ConvertError::Corrupt(format!(
            "the text is not UTF-8: invalid byte at offset {offset}"
        ))
    })
}

/// Without a byte order mark, and with line feeds as line ends.
pub(crate) fn normalise(text: &str) -> String {
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .replace("\r\n", "\n")
}

/// The text of a file in any encoding: what a byte order mark says, else UTF-8, else `declared`,
/// else the likeliest one, with a warning that names it.
pub(crate) fn decode(
    input: &[u8],
    declared: Option<&'static Encoding>,
    warnings: &mut Warnings,
) -> Result<String, ConvertError> {
    let text = if let Some((encoding, mark_length)) = Encoding::for_bom(input) {
        decode_as(encoding, &input[mark_length..], warnings)
    } else if let Ok(text) = std::str::from_utf8(input) {
        Cow::Borrowed(text)
    } else if let Some(encoding) = declared.filter(|encoding| *encoding != UTF_8) {
        decode_as(encoding, input, warnings)
    } else {
        let encoding = guess(input);
        let name = encoding.name();
        warnings.push(&format!(
            "the text is not UTF-8; it was read as {name}, which is a guess"
        ));
        decode_as(encoding, input, warnings)
    };
    if text.contains('\0') {
        return Err(ConvertError::Corrupt(
            "the file has NUL bytes: it is not text".to_owned(),
        ));
    }
    Ok(normalise(&text))
}

fn decode_as<'a>(
    encoding: &'static Encoding,
    input: &'a [u8],
    warnings: &mut Warnings,
) -> Cow<'a, str> {
    let (text, had_errors) = encoding.decode_without_bom_handling(input);
    if had_errors {
        let name = encoding.name();
        warnings.push(&format!(
            "some bytes are not valid {name}; they became \u{fffd}"
        ));
    }
    text
}

fn guess(input: &[u8]) -> &'static Encoding {
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(input, true);
    detector.guess(None, Utf8Detection::Deny)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_utf8_names_the_offset() {
        assert_eq!(strict_utf8("é".as_bytes()), Ok("é"));
        let error = strict_utf8(b"ab\xffc").unwrap_err();
        let message = "the text is not UTF-8: invalid byte at offset 2";
        assert_eq!(error, ConvertError::Corrupt(message.to_owned()));
    }

    #[test]
    fn decodes_by_mark_then_utf8_then_declaration_then_guess() {
        let check = |input: &[u8], declared, expected: &str, warned: usize| {
            let mut warnings = Warnings::default();
            assert_eq!(decode(input, declared, &mut warnings).unwrap(), expected);
            assert_eq!(warnings.into_sentences().len(), warned, "{expected}");
        };
        check(b"\xef\xbb\xbfa\r\nb", None, "a\nb", 0);
        check(b"\xff\xfeh\0i\0", None, "hi", 0);
        check("naïve".as_bytes(), None, "naïve", 0);
        check(b"na\xefve", Some(encoding_rs::WINDOWS_1252), "naïve", 0);
        check(b"Stra\xdfe und caf\xe9", None, "Straße und café", 1);
        assert!(decode(b"a\0b", None, &mut Warnings::default()).is_err());
    }
}
