//! What a font claims about its widths, counted before the font is made: the parser keeps one for every
//! code of a range, and a range of a few bytes may hold all numbers there are.
//!
//! Invariant: ranges are read the way the parser reads them, so that nothing is counted otherwise.

use hayro_syntax::object::dict::keys::{DESCENDANT_FONTS, FIRST_CHAR, W, W2};
use hayro_syntax::object::{Array, Dict, Number};

/// Widths of a font: every character identifier has one, across and down, and some are named twice.
const WIDTHS_MAX: u64 = 4 << 16;
/// The first code of a simple font is one of a byte; those of some broken ones are of two.
const FIRST_CODE_MAX: f64 = 65_535.0;

/// How many widths a font claims; `None`: more than a font has.
pub(super) fn widths(font: &Dict<'_>) -> Option<u64> {
    let first = font.get::<Number>(FIRST_CHAR);
    if first.is_some_and(|first| first.as_f64() > FIRST_CODE_MAX) {
        return None;
    }
    let descendants = font.get::<Array<'_>>(DESCENDANT_FONTS);
    let descendant = descendants.and_then(|fonts| fonts.iter::<Dict<'_>>().next());
    let Some(descendant) = descendant else {
        return Some(0);
    };
    let mut count = 0;
    if let Some(array) = descendant.get::<Array<'_>>(W) {
        let mut items = array.flex_iter();
        while count <= WIDTHS_MAX {
            count += if let Some((_, list)) = items.next::<(u32, Array<'_>)>() {
                length(&list)
            } else if let Some((first, last, _)) = items.next::<(u32, u32, f32)>() {
                span(first, last)
            } else {
                break;
            };
        }
    }
    if let Some(array) = descendant.get::<Array<'_>>(W2) {
        let mut items = array.flex_iter();
        while count <= WIDTHS_MAX {
            count += if let Some((_, list)) = items.next::<(u32, Array<'_>)>() {
                length(&list)
            } else if let Some((first, last, ..)) = items.next::<(u32, u32, f32, f32, f32)>() {
                span(first, last)
            } else {
                break;
            };
        }
    }
    (count <= WIDTHS_MAX).then_some(count)
}

/// Items of a list, and one for the list itself: empty ones take time too.
fn length(list: &Array<'_>) -> u64 {
    1 + list.raw_iter().count() as u64
}

fn span(first: u32, last: u32) -> u64 {
    1 + u64::from(last.saturating_sub(first))
}

#[cfg(test)]
mod tests {
    use hayro_syntax::page::Resources;

    use super::super::fixture;
    use super::*;

    #[test]
    fn claims_are_counted() {
        let check = |font: &str, expected: Option<u64>| {
            let page = format!("/Resources<</Font<</F<<{font}>>>>>>");
            let lists = "[1 2 3]".to_owned();
            let pdf = fixture::two_pages("", &page, &[lists]);
            let resources: &Resources<'_> = pdf.pages()[0].resources();
            let font = resources.fonts.get::<Dict<'_>>(&b"F"[..]).unwrap();
            assert_eq!(widths(&font), expected, "{page}");
        };
        let cid = |entries: &str| format!("/DescendantFonts[<<{entries}>>]");
        check("/FirstChar 32", Some(0));
        check("/FirstChar 4000000000", None);
        check(&cid("/W[1[500 600]10 19 700]"), Some(13));
        check(&cid("/W[0 65535 500]/W2[0 65535 1 2 3]"), Some(2 << 16));
        check(&cid("/W[0 4294967295 500]"), None);
        check(&cid("/W2[0 300000 1 2 3]"), None);
        check(&cid(&format!("/W[{}]", "0 65535 1 ".repeat(5))), None);
        check(&cid("/W[9 1 500 (x)]"), Some(1));
        check(&cid("/W[1 5 0 R 2 5 0 R]"), Some(8));
        check(&cid(&format!("/W[{}]", "1 5 0 R ".repeat(70_000))), None);
    }
}
