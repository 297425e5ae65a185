//! Titles, compared: what a heading says, whatever its number, case and spaces.

use crate::layout::heading::number;

/// Characters of a key: titles that agree so far are the same.
const KEY_CHARS_MAX: usize = 120;

/// The letters and digits of a text, in small letters.
#[must_use]
pub fn key(text: &str) -> String {
    let chars = text.chars().filter(|c| c.is_alphanumeric());
    let chars = chars.flat_map(char::to_lowercase);
    chars.take(KEY_CHARS_MAX).collect()
}

/// The key of a title without its number; of a number alone the key of that.
#[must_use]
pub fn key_of_title(text: &str) -> String {
    let text = text.trim();
    let length = number::of(text).map_or(0, |number| number.length);
    let bare = key(text.get(length..).unwrap_or_default());
    if bare.is_empty() { key(text) } else { bare }
}

/// Whether two keys of titles mean the same: one may be cut short.
#[must_use]
pub fn is_same(a: &str, b: &str) -> bool {
    /// Shorter beginnings are shared by chance.
    const SHARED_MIN: usize = 16;
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    short == long
        || short.len() >= SHARED_MIN && long.starts_with(short) && 5 * short.len() >= 3 * long.len()
}
