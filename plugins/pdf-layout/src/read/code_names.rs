//! Fonts whose glyphs are named by their codes, as programs do that make fonts of pictures: `a65`,
//! `C65`, or the character itself. The codes are then those of an encoding that has ASCII in it.
//! Others are named by their place in the font that they were taken from.
//!
//! Invariant: a font that names most of its glyphs otherwise is none of these.

use std::collections::BTreeMap;

use hayro_syntax::object::{Array, Dict, Name, Object};

/// Entries of an encoding: codes have one byte.
const CODES: usize = 256;
/// Letters in front of a number.
const PREFIX_LETTERS_MAX: usize = 2;
/// Ligatures from ff to ffl, in the order of every encoding of TeX.
const LIGATURES: [char; 5] = ['\u{FB00}', '\u{FB01}', '\u{FB02}', '\u{FB03}', '\u{FB04}'];
/// Where the encodings of TeX have them.
const LIGATURES_OT1: std::ops::RangeInclusive<u8> = 11..=15;
/// As [`LIGATURES_OT1`], of the encoding of Cork.
const LIGATURES_T1: std::ops::RangeInclusive<u8> = 27..=31;

/// What names begin with that tell the place of a glyph in the font they were made from.
const PLACE_PREFIXES: [&[u8]; 4] = [b"g", b"gid", b"glyph", b"index"];
/// Where the fonts of Apple and Microsoft, and those made after them, have ASCII: it begins with the
/// space, and nothing is left out.
const PLACES_OF_ASCII: std::ops::RangeInclusive<u32> = 3..=97;

/// The character at a place of a font that is ordered as those of Apple and Microsoft are.
pub(crate) fn char_at_place(place: u32) -> Option<char> {
    let after_space = place.checked_sub(*PLACES_OF_ASCII.start())?;
    let is_ascii = PLACES_OF_ASCII.contains(&place);
    char::from_u32(after_space + u32::from(b' ')).filter(|_| is_ascii)
}

/// Which encoding the codes are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CodeNames {
    /// None; the names are places, by code.
    Places(BTreeMap<u8, u32>),
    /// ASCII, and Latin-1 above.
    Latin,
    /// The first of TeX, `OT1`: ASCII with quotes and dashes in some places.
    Ot1,
    /// That of Cork, `T1`: ASCII with more in front.
    T1,
}

impl CodeNames {
    /// Of a simple font whose glyphs are named so.
    pub(crate) fn of(font: &Dict<'_>) -> Option<Self> {
        let encoding = font.get::<Dict<'_>>("Encoding")?;
        let differences = encoding.get::<Array<'_>>("Differences")?;
        let (mut by_code, mut otherwise) = (Vec::new(), 0_usize);
        let mut places = BTreeMap::new();
        let mut code = 0_u8;
        for item in differences.iter::<Object<'_>>().take(2 * CODES) {
            match item {
                Object::Name(name) => {
                    if let Some(place) = place(&name) {
                        places.insert(code, place);
                    }
                    if is_code(&name, code) {
                        by_code.push(code);
                    } else if name.as_ref() != b".notdef" {
                        otherwise += 1;
                    }
                    code = code.wrapping_add(1);
                }
                other => code = u8::try_from(other.into_i32()?).ok()?,
            }
        }
        if by_code.len() <= otherwise {
            let is_ordered = places.len() > by_code.len() && 2 * places.len() > otherwise;
            return is_ordered.then_some(Self::Places(places));
        }
        // Fonts of pictures are TeX's; other programs embed outlines.
        let subtype = font.get::<Name<'_>>("Subtype");
        let is_picture = subtype.is_some_and(|subtype| subtype.as_ref() == b"Type3");
        let has =
            |range: std::ops::RangeInclusive<u8>| by_code.iter().any(|code| range.contains(code));
        Some(match (has(LIGATURES_OT1), has(LIGATURES_T1)) {
            (true, false) if is_picture => Self::Ot1,
            (false, true) if is_picture => Self::T1,
            _ => Self::Latin,
        })
    }

    /// What a code reads as.
    pub(crate) fn char(&self, code: u32) -> Option<char> {
        let code = u8::try_from(code).ok()?;
        let ligature = |first: u8| {
            LIGATURES
                .get(usize::from(code.checked_sub(first)?))
                .copied()
        };
        match (self, code) {
            (Self::Places(places), _) => char_at_place(*places.get(&code)?),
            (Self::Ot1, b'"') => Some('”'),
            (Self::Ot1, b'\\') => Some('“'),
            (Self::Ot1, b'{') => Some('–'),
            (Self::Ot1, b'|') => Some('—'),
            (Self::Ot1, _) if LIGATURES_OT1.contains(&code) => ligature(*LIGATURES_OT1.start()),
            (Self::T1, 16) => Some('“'),
            (Self::T1, 17) => Some('”'),
            (Self::T1, 21) => Some('–'),
            (Self::T1, 22) => Some('—'),
            (Self::T1, _) if LIGATURES_T1.contains(&code) => ligature(*LIGATURES_T1.start()),
            (_, 0x20..=0x7E | 0xA1..=0xFF) => Some(char::from(code)),
            _ => None,
        }
    }
}

/// The place that a name tells.
fn place(name: &[u8]) -> Option<u32> {
    let digits = name
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let (prefix, number) = name.split_at_checked(name.len() - digits)?;
    let is_place = PLACE_PREFIXES.contains(&prefix);
    is_place.then(|| std::str::from_utf8(number).ok()?.parse().ok())?
}

/// Whether a name says nothing but the code: the character, or its number after a letter or two.
fn is_code(name: &[u8], code: u8) -> bool {
    if name == [code] {
        return true;
    }
    let letters = name.iter().take_while(|byte| byte.is_ascii_alphabetic());
    let prefix = letters.take(PREFIX_LETTERS_MAX).count();
    let number = std::str::from_utf8(&name[prefix..]).unwrap_or_default();
    let is_digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    is_digits && number.parse() == Ok(code)
}

#[cfg(test)]
mod tests {
    use hayro_syntax::object::ObjectIdentifier;

    use super::super::fixture::two_pages;
    use super::*;

    fn of(font: &str) -> Option<CodeNames> {
        let pdf = two_pages("", "", &[font]);
        let font = pdf.xref().get(ObjectIdentifier::new(5, 0)).unwrap();
        CodeNames::of(&font)
    }

    #[test]
    fn fonts_named_by_codes_are_told() {
        let check = |differences: &str, expected| {
            let font = format!("<</Subtype/Type3/Encoding<</Differences[{differences}]>>>>");
            assert_eq!(of(&font), expected, "{differences}");
        };
        check("65/a65/a66 192/a192", Some(CodeNames::Latin));
        check("65/C065/C066", Some(CodeNames::Latin));
        check("12/#0C 44/, /- 65/A", Some(CodeNames::Ot1));
        check("27/a27 65/a65 66/.notdef", Some(CodeNames::T1));
        check("65/A/B/C", Some(CodeNames::Latin));
        check("65/a1/a2/a65", None);
        check("65/square/triangle", None);
        let places = BTreeMap::from([(2, 115), (3, 3), (4, 40)]);
        check("2/g115/g3/g40", Some(CodeNames::Places(places)));
        check("65/.notdef", None);
        check("300/a300", None);
        check("", None);
        // Outlines are not TeX's pictures.
        let outlines = "<</Subtype/Type1/Encoding<</Differences[12/a12 65/a65]>>>>";
        assert_eq!(of(outlines), Some(CodeNames::Latin));
        assert_eq!(of("<</Encoding/WinAnsiEncoding>>"), None);
    }

    #[test]
    fn codes_read_by_their_encoding() {
        let read = |names: CodeNames, codes: &[u32]| {
            let chars = codes.iter().map(|code| names.char(*code).unwrap_or('?'));
            chars.collect::<String>()
        };
        assert_eq!(
            read(CodeNames::Latin, &[65, 12, 92, 0xE9, 0x80, 0x1_0041]),
            "A?\\é??"
        );
        assert_eq!(read(CodeNames::Ot1, &[65, 12, 15, 92, 34, 123]), "Aﬁﬄ“”–");
        let places = BTreeMap::from([(1, 3), (2, 40), (3, 97), (4, 98), (5, 2)]);
        assert_eq!(
            read(CodeNames::Places(places), &[1, 2, 3, 4, 5, 6]),
            " E~???"
        );
        assert_eq!(read(CodeNames::T1, &[65, 12, 28, 16, 21, 92]), "A?ﬁ“–\\");
    }
}
