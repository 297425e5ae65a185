//! What cases have found, each by hand and as small as it gets.

use kbhost_pdf_layout::layout;
use kbhost_pdf_layout::limits::Limits;
use kbhost_pdf_layout::page::{Glyph, Page, Turn};
use kbhost_pdf_layout::read::{self, EncodedPicture, PictureSink, Reader};

use crate::seeds;

/// A page of glyphs: each with its left edge, its baseline and its size.
fn page(glyphs: &[(char, f32, f32, f32)]) -> Page {
    let glyphs = glyphs.iter().map(|(char, x0, baseline, size)| Glyph {
        char: *char,
        font: 0,
        size: *size,
        x0: *x0,
        x1: x0 + 0.5 * size,
        baseline: *baseline,
        turn: Turn::None,
        content_id: None,
        is_artifact: false,
        is_invisible: false,
    });
    Page {
        number: 1,
        width: 600.0,
        height: 800.0,
        glyphs: glyphs.collect(),
        ..Page::default()
    }
}

/// The key of a running head was its place by the point, less one.
#[test]
fn a_line_beyond_all_places() {
    for baseline in [f32::MIN, f32::MAX, -1e30] {
        let far = page(&[('a', 9.0, baseline, 10.0), ('b', 9.0, 100.0, 10.0)]);
        let mut pages = vec![layout::page(&far, &[])];
        layout::document(&mut pages, &[], None);
    }
}

struct Nowhere;

impl PictureSink for Nowhere {
    fn put(&mut self, _: u32, _: &EncodedPicture) -> bool {
        true
    }
}

/// The parser kept a width for each code of a range: gigabytes for a range of twenty bytes. A font that
/// claims no more than there are characters is read.
#[test]
fn a_font_with_widths_of_all_numbers() {
    let named = seeds::by_hand().into_iter();
    let (_, file) = named.last().expect("there are seeds");
    let pdf = read::open(file.bytes(), None).expect("it opens");
    let mut reader = Reader::new(&pdf, Limits::default());
    reader.page(1, &mut Nowhere);
    assert_eq!(reader.fonts().len(), 1, "the first one alone");
}
