//! Looking for the credential in what a service answered.
//!
//! Found is the key itself, also broken over lines, in any mix of percent, JSON, HTML and Markdown escapes, up to
//! three layers of them, and in base64 and hexadecimal at any position. Not found is what nobody would send by
//! mistake: an encrypted or compressed key. Time and memory are linear in the answer.

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::error::EgressError;
use super::key::ApiKey;

/// Escapes of escapes of escapes: no service quotes deeper.
const LAYERS_MAX: usize = 3;

/// A form of the key shorter than this stands in any text.
const FORM_BYTES_MIN: usize = 6;

/// Finds one key.
#[derive(Debug)]
pub(super) struct Scanner(AhoCorasick);

impl Scanner {
    /// What finds `key`.
    ///
    /// # Errors
    /// If the forms of a key do not fit into memory.
    pub(super) fn new(key: &ApiKey) -> Result<Self, EgressError> {
        // Without regard to case: hexadecimal is written in both, and a key in another case is no
        // less told.
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .build(forms(key.expose().as_bytes()));
        automaton
            .map(Self)
            .map_err(|error| EgressError::Client(error.to_string()))
    }

    /// Whether the key stands in `answer` in any form.
    pub(super) fn finds(&self, answer: &[u8]) -> bool {
        let mut view = visible(answer);
        for _ in 0..LAYERS_MAX {
            if self.0.is_match(&view) {
                return true;
            }
            if !view.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'&')) {
                return false;
            }
            view = visible(&unescaped(&view));
        }
        self.0.is_match(&view)
    }
}

/// What is looked for.
fn forms(key: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![key.to_vec(), hex(key)];
    for skipped in 0..3_usize {
        // As the key's bytes stand behind others in base64: only the characters that they alone decide.
        let bytes = [&[0; 2][..skipped], key].concat();
        let first = (skipped * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&bytes).as_bytes()[first..end].to_vec());
        }
    }
    // A key that looks escaped itself reads otherwise where the text around it is unescaped.
    let mut layer = key.to_vec();
    for _ in 0..LAYERS_MAX {
        layer = unescaped(&layer);
        forms.push(layer.clone());
    }
    forms.retain(|form| form.len() >= FORM_BYTES_MIN);
    forms.sort_unstable();
    forms.dedup();
    forms
}

fn hex(bytes: &[u8]) -> Vec<u8> {
    let digit = |nibble: u8| b"0123456789abcdef"[usize::from(nibble)];
    let both = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    both.collect()
}

/// Visible ASCII alone, which the key is made of: base64 is broken over lines, UTF-16 has zeroes between,
/// and whoever reads an answer leaves out control characters and what has no width.
fn visible(bytes: &[u8]) -> Vec<u8> {
    let kept = |byte: &u8| byte.is_ascii_graphic();
    bytes.iter().copied().filter(kept).collect()
}

/// One layer of escapes taken off, those of percent, JSON, HTML and Markdown; what is no escape stays.
fn unescaped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        let (byte, length) = match (first, tail) {
            (b'%', [high, low, ..]) => match hex_value(&[*high, *low]) {
                Some(value) => (u8::try_from(value).unwrap_or(b'?'), 3),
                None => (b'%', 1),
            },
            (b'\\', [b'u', digits @ ..]) if digits.len() >= 4 => match hex_value(&digits[..4]) {
                Some(value) => (u8::try_from(value).unwrap_or(b'?'), 6),
                None => (b'\\', 1),
            },
            (b'\\', [b'n' | b'r' | b't' | b'b' | b'f', ..]) => (b'\n', 2),
            // Of JSON `/`, `\` and `"`; of Markdown any punctuation.
            (b'\\', [escaped, ..]) if escaped.is_ascii_punctuation() => (*escaped, 2),
            (b'&', tail) => entity(tail).map_or((b'&', 1), |(byte, length)| (byte, length + 1)),
            _ => (*first, 1),
        };
        out.push(byte);
        rest = &rest[length..];
    }
    out
}

/// The character of an HTML entity whose name or number begins `text`, and how long that is. Of names those
/// that a key may be written with.
fn entity(text: &[u8]) -> Option<(u8, usize)> {
    let end = text
        .iter()
        .take(ENTITY_BYTES_MAX)
        .position(|byte| *byte == b';')?;
    let name = std::str::from_utf8(&text[..end]).ok()?;
    let byte = match name.strip_prefix('#') {
        Some(number) => {
            let value = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            u8::try_from(value.ok()?).unwrap_or(b'\n')
        }
        None => ENTITIES.iter().find(|(known, _)| *known == name)?.1,
    };
    Some((byte, end + 1))
}

/// The longest entity that counts: numbers may have zeroes before them.
const ENTITY_BYTES_MAX: usize = 12;

/// Names of ASCII punctuation in HTML.
const ENTITIES: [(&str, u8); 32] = [
    ("amp", b'&'),
    ("AMP", b'&'),
    ("lt", b'<'),
    ("gt", b'>'),
    ("quot", b'"'),
    ("apos", b'\''),
    ("sol", b'/'),
    ("bsol", b'\\'),
    ("plus", b'+'),
    ("equals", b'='),
    ("hyphen", b'-'),
    ("dash", b'-'),
    ("lowbar", b'_'),
    ("UnderBar", b'_'),
    ("period", b'.'),
    ("comma", b','),
    ("colon", b':'),
    ("semi", b';'),
    ("excl", b'!'),
    ("quest", b'?'),
    ("num", b'#'),
    ("dollar", b'$'),
    ("percnt", b'%'),
    ("ast", b'*'),
    ("lpar", b'('),
    ("rpar", b')'),
    ("lsqb", b'['),
    ("rsqb", b']'),
    ("lcub", b'{'),
    ("rcub", b'}'),
    ("verbar", b'|'),
    ("commat", b'@'),
];

fn hex_value(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value * 16 + char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    const KEY: &str = "pi_Live/0123+abcDEF~4567";

    fn scanner(key: &str) -> Scanner {
        Scanner::new(&ApiKey::new(key.to_owned()).unwrap()).unwrap()
    }

    fn check(answer: impl AsRef<[u8]>, found: bool) {
        let answer = answer.as_ref();
        let around = [b"{\"a\": \"xyz", answer, b"zyx\", \"b\": 1}"].concat();
        for text in [answer, &around[..]] {
            let shown = String::from_utf8_lossy(text);
            assert_eq!(scanner(KEY).finds(text), found, "{shown}");
        }
    }

    fn percent(text: &str, every: usize) -> String {
        let mut out = String::new();
        for (n, c) in text.chars().enumerate() {
            match n % every {
                0 => write!(out, "%{:02x}", u32::from(c)).unwrap(),
                _ => out.push(c),
            }
        }
        out
    }

    #[test]
    fn the_key_is_found_in_every_form() {
        check(KEY, true);
        check(KEY.to_lowercase(), true);
        for every in 1..4 {
            check(percent(KEY, every), true);
            check(percent(KEY, every).to_uppercase(), true);
            check(percent(&percent(KEY, every), 1), true);
            check(
                percent(&percent(KEY, every), 1).replace('%', "\\u0025"),
                true,
            );
        }
        check(KEY.replace('/', "\\/"), true);
        check(KEY.replace('/', "\\u002f").replace('+', "\\u002B"), true);
        let unicode: String = KEY
            .chars()
            .map(|c| format!("\\u{:04x}", u32::from(c)))
            .collect();
        check(&unicode, true);
        check(unicode.replace('\\', "\\\\"), true);
        check(String::from_utf8(hex(KEY.as_bytes())).unwrap(), true);
        check(
            String::from_utf8(hex(KEY.as_bytes()))
                .unwrap()
                .to_uppercase(),
            true,
        );
        let utf16: Vec<u8> = KEY.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(utf16, true);
    }

    #[test]
    fn the_key_is_found_in_base64_at_any_position() {
        for before in 0..7 {
            for after in 0..4 {
                let bytes = [
                    &b"?>\xff~\xfe?>"[..before],
                    KEY.as_bytes(),
                    &b"\xff\xfe~~"[..after],
                ]
                .concat();
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let text = engine.encode(&bytes);
                    check(&text, true);
                    check(text.replace('/', "\\/"), true);
                    check(percent(&text, 2), true);
                    for width in [1, 4, 7, 76] {
                        let lines: Vec<_> = text.as_bytes().chunks(width).collect();
                        check(lines.join(&b"\r\n"[..]), true);
                        check(lines.join(&b"\\n"[..]), true);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_the_key_is_not_found() {
        let other = KEY.replace("0123", "0124");
        check(&other, false);
        check(&KEY[1..], false);
        check(&KEY[..KEY.len() - 1], false);
        for every in 1..4 {
            check(percent(&other, every), false);
        }
        check(STANDARD_NO_PAD.encode(&other), false);
        check(URL_SAFE_NO_PAD.encode(&other), false);
        check(String::from_utf8(hex(other.as_bytes())).unwrap(), false);
        check("%", false);
        check("%z", false);
        check("\\", false);
        check("\\u00", false);
        check([0, 255, b'%', b'\\'], false);
    }

    #[test]
    fn a_key_that_looks_escaped_is_found_too() {
        let key = "ab%41cdef\\u0042gh";
        let scanner = scanner(key);
        assert!(scanner.finds(key.as_bytes()));
        assert!(scanner.finds(percent(key, 1).as_bytes()));
        assert!(scanner.finds("\\u0061b%41cdef\\u0042gh".as_bytes()));
        assert!(!scanner.finds(b"ab%41cdef"));
    }

    #[test]
    fn the_longest_key_and_a_large_answer() {
        let key: String = ('!'..='~').cycle().take(512).collect();
        let scanner = scanner(&key);
        assert!(scanner.finds(percent(&key, 3).as_bytes()));
        // Quadratic time would take minutes here.
        let answer = b"%25\\u0025!\"#$\\\\%%".repeat(1 << 19);
        assert!(!scanner.finds(&answer));
    }
}
