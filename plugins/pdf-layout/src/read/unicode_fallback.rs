//! What codes read as when a font does not say so: by the character collection of a composite font,
//! by the encoding of its codes, by the embedded font program's own table of characters or names, or
//! by names of glyphs that are codes.
//!
//! Invariant: an encoding and a program are parsed at most once, and only if the font's own map does
//! not tell.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use hayro_cmap::{BfString, CMap, CMapName, CidFamily, load_embedded};
use hayro_syntax::object::{Array, Dict, Name, Object, Stream, String as PdfString};
use skrifa::GlyphId;
use skrifa::raw::ps::agl;

use super::code_names::{CodeNames, char_at_place};

/// Characters of a font program that are looked at: no font has as many.
const MAPPINGS_MAX: usize = 200_000;
/// Codes of four bytes are the longest.
const CODE_BYTES_MAX: u8 = 4;
/// Codes of the Windows symbol encoding: those of one byte, above this.
const SYMBOLS: std::ops::RangeInclusive<u32> = 0xF020..=0xF07E;
/// Fonts of pictures: their codes stand for no letters.
const PICTURE_FONTS: [&str; 4] = ["dings", "Symbol", "Marlett", "Icon"];

/// The fonts of Microsoft that are ordered so; later ones are not.
const ORDERED_FONTS: [&str; 9] = [
    "Arial",
    "TimesNewRoman",
    "CourierNew",
    "Verdana",
    "Tahoma",
    "Georgia",
    "Impact",
    "Trebuchet",
    "ComicSans",
];

/// Reads codes of a font that has no map to Unicode, or one that lacks them.
pub(crate) struct UnicodeFallback<'a> {
    font: Dict<'a>,
    /// Of a composite font.
    descendant: Option<Dict<'a>>,
    program: Option<Stream<'a>>,
    /// Of a simple font.
    code_names: Option<CodeNames>,
    /// Whether letters in the place of symbols are letters.
    has_letters: bool,
    by_code: OnceCell<Option<Codes>>,
    by_glyph: OnceCell<BTreeMap<u32, char>>,
}

/// The codes of a composite font and the collection that they lead to.
struct Codes {
    encoding: Encoding,
    family: Option<CidFamily>,
    /// If they lead to no collection, they are places of a font with this order.
    is_ordered: bool,
}

/// How the codes of a composite font are read.
enum Encoding {
    /// They are UTF-16.
    Unicode,
    /// They stand for numbers of a character collection.
    Cids(Box<CMap>),
}

impl<'a> UnicodeFallback<'a> {
    /// Of a font's dictionary; `None` if nothing in it can tell.
    pub(crate) fn of(font: &Dict<'a>) -> Option<Self> {
        let descendants = font.get::<Array<'_>>("DescendantFonts");
        let descendant = descendants.and_then(|fonts| fonts.iter::<Dict<'_>>().next());
        let descriptor = descendant
            .as_ref()
            .unwrap_or(font)
            .get::<Dict<'_>>("FontDescriptor")
            .unwrap_or_default();
        let program = ["FontFile2", "FontFile3", "FontFile"]
            .iter()
            .find_map(|key| descriptor.get::<Stream<'_>>(key));
        let code_names = match &descendant {
            Some(_) => None,
            None => CodeNames::of(font),
        };
        if program.is_none() && descendant.is_none() && code_names.is_none() {
            return None;
        }
        let name = font.get::<Name<'_>>("BaseFont");
        let name = name.as_ref().map_or("", |name| name.as_str());
        Some(Self {
            font: font.clone(),
            descendant,
            program,
            code_names,
            has_letters: !PICTURE_FONTS.iter().any(|part| name.contains(part)),
            by_code: OnceCell::new(),
            by_glyph: OnceCell::new(),
        })
    }

    /// What a code reads as. `glyph` is the glyph of the embedded program that it shows.
    pub(crate) fn char(&self, code: u32, glyph: u32) -> Option<char> {
        self.of_code(code)
            .or_else(|| self.of_glyph(glyph))
            .or_else(|| self.code_names.as_ref()?.char(code))
    }

    fn of_code(&self, code: u32) -> Option<char> {
        let descendant = self.descendant.as_ref()?;
        let codes = self
            .by_code
            .get_or_init(|| Codes::of(&self.font, descendant));
        let codes = codes.as_ref()?;
        match &codes.encoding {
            Encoding::Unicode => utf_16(code),
            Encoding::Cids(cmap) => {
                let cid = (1..=CODE_BYTES_MAX)
                    .find_map(|bytes| cmap.lookup_cid_code(code, bytes))
                    .filter(|cid| *cid != 0)?;
                let Some(family) = &codes.family else {
                    // Of a font that is not there, all that is known is its order.
                    let is_told = self.program.is_none() && codes.is_ordered;
                    return char_at_place(cid).filter(|_| is_told);
                };
                match unicode_of_cids(family)?.lookup_bf_string(cid)? {
                    BfString::Char(char) => readable(char),
                    BfString::String(text) => {
                        let mut chars = text.chars();
                        let only = chars.next().filter(|_| chars.next().is_none());
                        only.and_then(readable)
                    }
                }
            }
        }
    }

    fn of_glyph(&self, glyph: u32) -> Option<char> {
        if glyph == GlyphId::NOTDEF.to_u32() {
            return None;
        }
        let program = self.program.as_ref()?;
        let chars = self
            .by_glyph
            .get_or_init(|| chars_by_glyph(program, self.has_letters).unwrap_or_default());
        chars.get(&glyph).copied()
    }
}

impl Codes {
    fn of(font: &Dict<'_>, descendant: &Dict<'_>) -> Option<Self> {
        let encoding = encoding(font)?;
        // The encoding gives the numbers, so its collection is theirs, if it is of one.
        let of_encoding = match &encoding {
            Encoding::Cids(cmap) => cmap.metadata().character_collection.as_ref(),
            Encoding::Unicode => None,
        };
        let has_map = |family: &CidFamily| family.ucs2_cmap().is_some();
        let family = of_encoding
            .map(|collection| collection.family.clone())
            .filter(has_map)
            .or_else(|| family(descendant).filter(has_map));
        let subtype = descendant.get::<Name<'_>>("Subtype");
        let is_true_type = subtype.is_some_and(|subtype| subtype.as_ref() == b"CIDFontType2");
        let name = font.get::<Name<'_>>("BaseFont");
        let name = name.map_or(String::new(), |name| name.as_str().replace(' ', ""));
        Some(Self {
            encoding,
            family,
            is_ordered: is_true_type && ORDERED_FONTS.iter().any(|known| name.contains(known)),
        })
    }
}

fn encoding(font: &Dict<'_>) -> Option<Encoding> {
    // Programs mean by it that the codes are Unicode.
    let to_unicode = font.get::<Name<'_>>("ToUnicode");
    if to_unicode.is_some_and(|name| name.starts_with(b"Identity-")) {
        return Some(Encoding::Unicode);
    }
    let parse =
        |data: &[u8]| CMap::parse(data, load_embedded).map(|cmap| Encoding::Cids(Box::new(cmap)));
    match font.get::<Object<'_>>("Encoding")? {
        Object::Name(name) => match CMapName::from_bytes(&name) {
            CMapName::IdentityH | CMapName::IdentityV => {
                Some(Encoding::Cids(Box::new(CMap::identity_h())))
            }
            _ if is_unicode(&name) => Some(Encoding::Unicode),
            predefined => parse(load_embedded(predefined)?),
        },
        Object::Stream(stream) => parse(&stream.decoded_data().ok()?),
        _ => None,
    }
}

/// Whether the predefined encoding of this name is Unicode: `UniJIS-UTF16-H` and its kin.
fn is_unicode(name: &[u8]) -> bool {
    let has = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    name.starts_with(b"Uni") && (has(b"-UCS2-") || has(b"-UTF16-"))
}

fn family(descendant: &Dict<'_>) -> Option<CidFamily> {
    let info = descendant.get::<Dict<'_>>("CIDSystemInfo")?;
    let registry = info.get::<PdfString<'_>>("Registry")?;
    let ordering = info.get::<PdfString<'_>>("Ordering")?;
    Some(CidFamily::from_registry_ordering(&registry, &ordering))
}

/// The map of a collection's numbers to Unicode, parsed once: it is large.
fn unicode_of_cids(family: &CidFamily) -> Option<&'static CMap> {
    static JAPAN: OnceLock<Option<CMap>> = OnceLock::new();
    static CHINA: OnceLock<Option<CMap>> = OnceLock::new();
    static TAIWAN: OnceLock<Option<CMap>> = OnceLock::new();
    static KOREA: OnceLock<Option<CMap>> = OnceLock::new();
    let cell = match family {
        CidFamily::AdobeJapan1 => &JAPAN,
        CidFamily::AdobeGB1 => &CHINA,
        CidFamily::AdobeCNS1 => &TAIWAN,
        CidFamily::AdobeKorea1 => &KOREA,
        CidFamily::AdobeIdentity | CidFamily::Custom { .. } => return None,
    };
    cell.get_or_init(|| CMap::parse(load_embedded(family.ucs2_cmap()?)?, load_embedded))
        .as_ref()
}

/// A code of two bytes, or of two pairs of them.
fn utf_16(code: u32) -> Option<char> {
    let [high, low] = [code >> 16, code & 0xFFFF].map(|unit| u16::try_from(unit).ok());
    let units = [high?, low?];
    let units = if units[0] == 0 {
        &units[1..]
    } else {
        &units[..]
    };
    let mut chars = char::decode_utf16(units.iter().copied());
    let only = chars.next()?.ok()?;
    chars.next().is_none().then(|| readable(only))?
}

/// Characters are what text consists of: no controls, no private ones, no stand-in for another.
fn readable(char: char) -> Option<char> {
    let is_private = matches!(char, '\u{E000}'..='\u{F8FF}' | '\u{F0000}'..);
    let is_readable = !char.is_control() && !is_private && char != char::REPLACEMENT_CHARACTER;
    is_readable.then_some(char)
}

/// The characters of the glyphs of a font program, by its table of characters, else by names.
fn chars_by_glyph(program: &Stream<'_>, has_letters: bool) -> Option<BTreeMap<u32, char>> {
    let data = program.decoded_data().ok()?.into_owned();
    let font = skrifa::Font::new(data, 0)?;
    let mut chars = BTreeMap::new();
    let mut add = |glyph: GlyphId, char: char| {
        let known = chars.entry(glyph.to_u32()).or_insert(char);
        if preference(char) < preference(*known) {
            *known = char;
        }
    };
    for (code, glyph) in font.charmap().unicodes().take(MAPPINGS_MAX) {
        let code = if SYMBOLS.contains(&code) && has_letters {
            code & 0xFF
        } else {
            code
        };
        if let Some(char) = char::from_u32(code).and_then(readable) {
            add(glyph, char);
        }
    }
    for (glyph, name) in font.glyph_names().take(MAPPINGS_MAX) {
        if !chars.contains_key(&glyph.to_u32())
            && let Some(char) = named(name.as_str())
        {
            chars.insert(glyph.to_u32(), char);
        }
    }
    Some(chars)
}

/// The character of a glyph's name, if the name is not one that programs count up.
fn named(name: &str) -> Option<char> {
    // `a1`, `a2`, … are the names of dingbats, and of whatever a program kept of a font.
    let number = name.strip_prefix('a').unwrap_or_default();
    let is_counted = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let char = (!is_counted).then(|| agl::name_to_char(name))?;
    char.and_then(readable)
}

/// Which of the characters of one glyph is meant: rather the letter than its double.
fn preference(char: char) -> (bool, char) {
    let is_double = matches!(char,
        '\u{A0}' | '\u{AD}' | '\u{2000}'..='\u{200F}' | '\u{2E80}'..='\u{2FDF}'
        | '\u{F900}'..='\u{FAFF}' | '\u{FE30}'..='\u{FE4F}' | '\u{FF00}'..='\u{FFEF}'
        | '\u{2F800}'..='\u{2FA1F}');
    (is_double, char)
}

#[cfg(test)]
mod tests {
    use hayro_interpret::font::StandardFont;
    use hayro_syntax::object::ObjectIdentifier;

    use super::super::fixture::{stream, two_pages};
    use super::*;

    /// Reads codes and glyphs of the font that is object 5.
    fn read(objects: &[Vec<u8>], codes: &[(u32, u32)]) -> Option<Vec<Option<char>>> {
        let pdf = two_pages("", "", objects);
        let font = pdf.xref().get(ObjectIdentifier::new(5, 0)).unwrap();
        let fallback = UnicodeFallback::of(&font)?;
        let char = |(code, glyph): &(u32, u32)| fallback.char(*code, *glyph);
        Some(codes.iter().map(char).collect())
    }

    #[track_caller]
    fn check(font: &str, code: u32, expected: Option<char>) {
        let chars = read(&[font.as_bytes().to_vec()], &[(code, 7)]);
        assert_eq!(chars, Some(vec![expected]), "{font}");
    }

    /// A composite font of this encoding and collection.
    fn composite(encoding: &str, ordering: &str) -> String {
        let system =
            format!("/CIDSystemInfo<</Registry(Adobe)/Ordering({ordering})/Supplement 2>>");
        format!("<</Subtype/Type0/Encoding/{encoding}/DescendantFonts[<<{system}>>]>>")
    }

    #[test]
    fn composite_fonts_by_collection() {
        let japan = composite("Identity-H", "Japan1");
        check(&japan, 843, Some('あ'));
        check(&japan, 34, Some('A'));
        check(&japan, 0, None);
        check(&japan, 65_535, None);
        check(&composite("90ms-RKSJ-H", "Japan1"), 0x82A0, Some('あ'));
        check(&composite("GBK-EUC-H", "GB1"), 0xC4E3, Some('你'));
        check(&composite("KSCms-UHC-H", "Korea1"), 0xB0A1, Some('가'));
        // The encoding knows the collection, if the font does not say it.
        check(&composite("ETen-B5-H", "Identity"), 0xA440, Some('一'));
    }

    #[test]
    fn codes_that_are_unicode() {
        let font = composite("UniGB-UTF16-H", "Identity");
        check(&font, 0x4F60, Some('你'));
        check(&font, 0xD83D_DE00, Some('😀'));
        check(&font, 0xD83D, None);
        check(&font, 0xE000, None);
        check(&font, 7, None);
        check(&composite("Identity-H", "Identity"), 65, None);
        let absent = |name: &str| {
            let rest = "/Encoding/Identity-H/DescendantFonts[<</Subtype/CIDFontType2>>]";
            format!("<</Subtype/Type0/BaseFont/{name}{rest}>>")
        };
        check(&absent("Times#20New#20Roman,Bold"), 40, Some('E'));
        check(&absent("Arial"), 98, None);
        check(&absent("Calibri"), 40, None);
        let identity = "<</Subtype/Type0/ToUnicode/Identity-H/DescendantFonts[<<>>]>>";
        check(identity, 0xE9, Some('é'));
    }

    #[test]
    fn glyphs_of_embedded_programs() {
        let (data, _) = StandardFont::Helvetica.get_font_data();
        let data = data.as_ref().as_ref();
        let font = skrifa::Font::new(data.to_vec(), 0).unwrap();
        let glyph = |char: char| font.charmap().map_unicode(char).unwrap().to_u32();
        let codes = [
            (1, glyph('A')),
            (2, glyph('é')),
            (3, glyph(' ')),
            (4, 0),
            (5, 60_000),
        ];
        let expected = Some(vec![Some('A'), Some('é'), Some(' '), None, None]);
        let program = stream("/Subtype/Type1C", data);
        for font in [
            "<</Subtype/TrueType/FontDescriptor<</FontFile3 6 0 R>>>>",
            "<</Subtype/Type0/Encoding/Identity-H/DescendantFonts[<</FontDescriptor<</FontFile3 6 0 R>>>>]>>",
        ] {
            let objects = [font.as_bytes().to_vec(), program.clone()];
            assert_eq!(read(&objects, &codes), expected, "{font}");
        }
        let font = b"<</Subtype/TrueType/FontDescriptor<</FontFile2 6 0 R>>>>".to_vec();
        for broken in [&data[..data.len() / 2], &data[..40], b"", b"no font"] {
            let objects = [font.clone(), stream("", broken)];
            assert!(read(&objects, &codes).is_some());
        }
    }

    #[test]
    fn glyphs_named_by_codes() {
        let font = "<</Subtype/Type3/Encoding<</Differences[65/a65/a66]>>>>";
        check(font, 65, Some('A'));
        check(font, 7, None);
    }

    #[test]
    fn fonts_that_tell_nothing() {
        for font in ["<<>>", "<</Subtype/Type1/Encoding/WinAnsiEncoding>>"] {
            assert_eq!(read(&[font.as_bytes().to_vec()], &[]), None, "{font}");
        }
    }

    #[test]
    fn names_and_doubles() {
        assert_eq!(named("eacute"), Some('é'));
        assert_eq!(named("uni4F60"), Some('你'));
        assert_eq!(named("a12"), None);
        assert_eq!(named("gid12"), None);
        assert!(preference('-') < preference('\u{AD}'));
        assert!(preference('一') < preference('\u{2F00}'));
    }
}
