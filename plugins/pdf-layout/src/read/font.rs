//! Fonts: what a character code reads as, how far it advances, and what the font looks like.

use std::collections::BTreeMap;

use hayro_cmap::BfString;
use hayro_font::{CMapResolverFn, Font, FontCache, FontGlyph, FontResolverFn, UNITS_PER_EM};
use hayro_syntax::object::dict::keys::{
    BASE_FONT, DESCENDANT_FONTS, FIRST_CHAR, FLAGS, FONT_DESC, FONT_WEIGHT, ITALIC_ANGLE, NAME,
    SUBTYPE, WIDTHS,
};
use hayro_syntax::object::{Array, Dict, Name};

use super::font_claims;
use super::unicode_fallback::UnicodeFallback;
use crate::page::FontStyle;

/// Characters that one code may stand for; a ligature has three, ill will has more.
const CHARS_PER_CODE_MAX: usize = 16;
/// Codes that are remembered of a font.
const CODES_MAX: usize = 70_000;
/// Widths that the fonts of a document have together: those of a hundred complete ones.
const WIDTHS_MAX: u64 = 100 << 16;
/// Longest font name, in characters.
const NAME_CHARS_MAX: usize = 120;
/// What letters are wide on average, in ems.
const LETTER_EMS: f64 = 0.5;
/// Widths that differ by less, as a share, are the same.
const WIDTH_TOLERANCE: f64 = 0.02;
/// What stands for a glyph whose meaning the font does not tell.
pub(crate) const UNKNOWN: char = '\u{fffd}';

/// A code, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    /// What it reads as; empty for a glyph that is only drawn.
    pub(crate) text: Vec<char>,
    /// Advance along the line in ems; down the line for vertical writing.
    pub(crate) advance: f64,
}

/// A font in use.
pub(crate) struct LoadedFont<'a> {
    font: Font<'a>,
    /// What tells where the font's own maps do not.
    fallback: Option<UnicodeFallback<'a>>,
    pub(crate) is_vertical: bool,
    codes: BTreeMap<u32, Decoded>,
    /// By what the size has to be multiplied to be that of the letters: 1 but for some Type 3 fonts.
    pub(crate) em_scale: f64,
}

impl LoadedFont<'_> {
    /// The next code of a string and how many bytes it has; at least one.
    pub(crate) fn code(&self, bytes: &[u8], at: usize) -> (u32, usize) {
        let (code, length) = self.font.read_code(bytes, at);
        (code, length.max(1))
    }

    /// What a code means.
    pub(crate) fn decoded(&mut self, code: u32) -> &Decoded {
        if self.codes.len() >= CODES_MAX {
            self.codes.clear();
        }
        let (font, fallback) = (&self.font, self.fallback.as_ref());
        let is_vertical = self.is_vertical;
        self.codes
            .entry(code)
            .or_insert_with(|| decode(font, fallback, code, is_vertical))
    }
}

fn decode(
    font: &Font<'_>,
    fallback: Option<&UnicodeFallback<'_>>,
    code: u32,
    is_vertical: bool,
) -> Decoded {
    let id = font.map_code(code);
    let unicode = match font.glyph(id, code) {
        FontGlyph::Outline(glyph) => glyph.as_unicode(),
        FontGlyph::Type3(glyph) => glyph.as_unicode(),
    };
    // Maps that programs write without knowing say zero, or that they do not know.
    let unicode = unicode
        .filter(|unicode| !matches!(unicode, BfString::Char('\0' | UNKNOWN)))
        .or_else(|| Some(BfString::Char(fallback?.char(code, id.to_u32())?)));
    let mut text = Vec::new();
    match unicode {
        Some(BfString::Char(c)) => push(c, &mut text),
        Some(BfString::String(string)) => {
            for c in string.chars().take(CHARS_PER_CODE_MAX) {
                push(c, &mut text);
            }
        }
        None => text.push(UNKNOWN),
    }
    let advance = font.code_advance(code);
    let advance = if is_vertical { advance.y } else { advance.x };
    let advance = advance / f64::from(UNITS_PER_EM);
    Decoded {
        text,
        advance: if advance.is_finite() { advance } else { 0.0 },
    }
}

/// Adds a character the way a reader types it: ligatures in letters, bullets of symbol fonts as bullets.
fn push(c: char, text: &mut Vec<char>) {
    let letters: &[char] = match c {
        '\u{fb00}' => &['f', 'f'],
        '\u{fb01}' => &['f', 'i'],
        '\u{fb02}' => &['f', 'l'],
        '\u{fb03}' => &['f', 'f', 'i'],
        '\u{fb04}' => &['f', 'f', 'l'],
        '\u{fb05}' | '\u{fb06}' => &['s', 't'],
        // Where symbol fonts of word processors put them.
        '\u{f0b7}' | '\u{f06c}' | '\u{f09f}' | '\u{f098}' => &['•'],
        '\u{f0a7}' | '\u{f06e}' | '\u{f0a8}' => &['▪'],
        '\u{f0d8}' => &['➢'],
        '\u{f0fc}' => &['✓'],
        '\u{f0e0}' => &['→'],
        '\u{f0be}' | '\u{f02d}' => &['–'],
        '\t' | '\n' | '\r' | '\u{a0}' => &[' '],
        _ if c.is_control() => &[],
        _ => {
            text.push(c);
            return;
        }
    };
    text.extend(letters);
}

/// The fonts of a document.
pub(crate) struct Fonts<'a> {
    cache: FontCache<'a>,
    font_resolver: FontResolverFn,
    cmap_resolver: CMapResolverFn,
    loaded: Vec<LoadedFont<'a>>,
    /// Their looks, in the same order.
    pub(crate) styles: Vec<FontStyle>,
    by_object: BTreeMap<(u32, i32), Option<u16>>,
    max: u16,
    /// Widths that further fonts may have.
    widths_left: u64,
}

impl<'a> Fonts<'a> {
    pub(crate) fn new(max: u16) -> Self {
        let settings = hayro_interpret::InterpreterSettings::default();
        Self {
            cache: FontCache::new(),
            font_resolver: settings.font_resolver,
            cmap_resolver: settings.cmap_resolver,
            loaded: Vec::new(),
            styles: Vec::new(),
            by_object: BTreeMap::new(),
            max,
            widths_left: WIDTHS_MAX,
        }
    }

    /// The font that a dictionary describes; `None` if it cannot be used.
    pub(crate) fn load(&mut self, dict: &Dict<'a>) -> Option<u16> {
        let key = dict.obj_id().map(|id| (id.obj_number, id.gen_number));
        if let Some(known) = key.and_then(|key| self.by_object.get(&key)) {
            return *known;
        }
        let index = self.load_new(dict);
        if let Some(key) = key {
            self.by_object.insert(key, index);
        }
        index
    }

    fn load_new(&mut self, dict: &Dict<'a>) -> Option<u16> {
        let index = u16::try_from(self.loaded.len()).ok()?;
        if index >= self.max {
            return None;
        }
        self.widths_left = self.widths_left.checked_sub(font_claims::widths(dict)?)?;
        let font = self
            .cache
            .font(dict, &self.font_resolver, &self.cmap_resolver)?;
        let is_vertical = !font.is_horizontal();
        let em_scale = em_scale(&font);
        self.loaded.push(LoadedFont {
            font,
            fallback: UnicodeFallback::of(dict),
            is_vertical,
            codes: BTreeMap::new(),
            em_scale,
        });
        self.styles.push(style(dict));
        Some(index)
    }

    pub(crate) fn get(&mut self, index: u16) -> Option<&mut LoadedFont<'a>> {
        self.loaded.get_mut(usize::from(index))
    }
}

/// How tall the letters of a font of size 1 are. Only the glyph space of a Type 3 font has units of its
/// own, and its box is seldom true: what letters usually are wide tells.
fn em_scale(font: &Font<'_>) -> f64 {
    if !matches!(font.glyph(font.map_code(0), 0), FontGlyph::Type3(_)) {
        return 1.0;
    }
    let advances = (0..=255).map(|code| font.code_advance(code).x / f64::from(UNITS_PER_EM));
    let advances: Vec<f64> = advances
        .filter(|advance| advance.is_finite() && *advance > 0.0)
        .collect();
    let usual = advances.iter().sum::<f64>() / advances.len().max(1) as f64;
    match usual {
        0.2..=1.0 => 1.0,
        _ if usual > 0.0 => (usual / LETTER_EMS).clamp(1e-3, 1e4),
        _ => 1.0,
    }
}

/// The looks of a font, by its name and its descriptor.
fn style(dict: &Dict<'_>) -> FontStyle {
    let name = dict
        .get::<Name<'_>>(BASE_FONT)
        .or_else(|| dict.get::<Name<'_>>(NAME))
        .map(|name| name.as_str().to_owned())
        .unwrap_or_default();
    let name = match name.split_once('+') {
        Some((prefix, rest)) if prefix.len() == 6 => rest,
        _ => &name,
    };
    let name: String = name.chars().take(NAME_CHARS_MAX).collect();
    let descendant = dict
        .get::<Array<'_>>(DESCENDANT_FONTS)
        .and_then(|fonts| fonts.iter::<Dict<'_>>().next());
    let descriptor = dict
        .get::<Dict<'_>>(FONT_DESC)
        .or_else(|| descendant.and_then(|font| font.get::<Dict<'_>>(FONT_DESC)));
    let mut style = style_of_name(&name);
    if let Some(descriptor) = descriptor {
        let flags = descriptor.get::<u32>(FLAGS).unwrap_or(0);
        style.is_mono |= flags & 1 != 0;
        style.is_italic |= flags & (1 << 6) != 0;
        style.is_bold |= flags & (1 << 18) != 0;
        style.is_bold |= descriptor
            .get::<f32>(FONT_WEIGHT)
            .is_some_and(|w| w >= 600.0);
        style.is_italic |= descriptor
            .get::<f32>(ITALIC_ANGLE)
            .is_some_and(|angle| angle.abs() > 1.0);
    }
    let is_type3 = dict
        .get::<Name<'_>>(SUBTYPE)
        .is_some_and(|subtype| subtype.as_str() == "Type3");
    style.is_mono |= has_one_width(dict);
    if is_type3 && style.name.is_empty() {
        style.name = "Type3".to_owned();
    }
    style
}

/// Whether narrow and wide letters of a simple font are of one width.
fn has_one_width(dict: &Dict<'_>) -> bool {
    let first = dict.get::<u32>(FIRST_CHAR);
    let (Some(first), Some(widths)) = (first, dict.get::<Array<'_>>(WIDTHS)) else {
        return false;
    };
    let widths: Vec<f64> = widths.iter::<f64>().take(256).collect();
    let of = |letters: &[u8]| {
        let codes = letters
            .iter()
            .filter_map(|letter| u32::from(*letter).checked_sub(first));
        let known = codes.filter_map(|code| widths.get(code as usize).copied());
        known.filter(|width| *width > 0.0).collect::<Vec<f64>>()
    };
    let (narrow, wide) = (of(b"ijlI"), of(b"mwMWAG"));
    match (narrow.first(), wide.first()) {
        (Some(usual), Some(_)) => {
            let mut all = narrow.iter().chain(&wide);
            all.all(|width| (width - usual).abs() <= WIDTH_TOLERANCE * usual)
        }
        _ => false,
    }
}

/// The looks that a PostScript name tells of.
fn style_of_name(name: &str) -> FontStyle {
    let lower = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    // Computer Modern and its kin do not spell out what they are: cmbx10 is bold, cmti10 italic.
    let is_tex = |kinds: &[&str]| {
        let families = ["cm", "ec", "sf", "lm"];
        families.iter().any(|family| {
            let rest = lower.strip_prefix(family);
            rest.is_some_and(|rest| kinds.iter().any(|kind| rest.starts_with(kind)))
        })
    };
    FontStyle {
        name: name.to_owned(),
        is_bold: has(&[
            "bold",
            "black",
            "heavy",
            "demi",
            "-bd",
            "semibd",
            "nimbusromno9l-medi",
        ]) || lower.ends_with("-b")
            || is_tex(&["bx", "b1", "ssbx", "roman10-bold", "bxti"]),
        is_italic: has(&[
            "italic", "oblique", "slanted", "-it", "reguital", "mediital",
        ]) || is_tex(&["ti", "sl", "bxti", "mi"]),
        is_mono: has(&[
            "mono",
            "courier",
            "consol",
            "typewriter",
            "menlo",
            "inconsolata",
        ]) || has(&[
            "nimbusmon",
            "lettergothic",
            "fixed",
            "sourcecode",
            "firacode",
            "cascadia",
        ]) || is_tex(&["tt", "sltt", "itt", "btt"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_of_looks() {
        let check = |name, bold, italic, mono| {
            let style = style_of_name(name);
            let found = (style.is_bold, style.is_italic, style.is_mono);
            assert_eq!(found, (bold, italic, mono), "{name}");
        };
        check("Helvetica", false, false, false);
        check("Arial-BoldItalicMT", true, true, false);
        check("CMBX12", true, false, false);
        check("CMTT10", false, false, true);
        check("CMTI10", false, true, false);
        check("CMR10", false, false, false);
        check("NimbusRomNo9L-Medi", true, false, false);
        check("DejaVuSansMono-Oblique", false, true, true);
    }

    #[test]
    fn characters_as_typed() {
        let check = |c, expected: &str| {
            let mut text = Vec::new();
            push(c, &mut text);
            assert_eq!(text.iter().collect::<String>(), expected);
        };
        check('ﬃ', "ffi");
        check('\u{f0b7}', "•");
        check('\u{7}', "");
        check('\t', " ");
        check('é', "é");
    }
}
