//! Each bound of [`Limits`] fires: a file that exceeds it by one, and one that does not.
//!
//! The bounds of annotations, bookmarks, names, elements and pictures are tested beside the code that
//! keeps them.

use kbhost_pdf_layout::TooLarge;
use kbhost_pdf_layout::limits::Limits;
use kbhost_pdf_layout::page::{Cut, Page};
use kbhost_pdf_layout::read::{self, EncodedPicture, PictureSink, Reader};

use crate::file::File;

struct Nowhere;

impl PictureSink for Nowhere {
    fn put(&mut self, _: u32, _: &EncodedPicture) -> bool {
        true
    }
}

/// A file of so many pages, all with the same content and resources.
fn file(pages: usize, content: &str, resources: &str) -> File {
    let mut file = File::new();
    let kids: Vec<String> = (0..pages).map(|n| format!("{} 0 R", n + 4)).collect();
    file.add("<</Type/Catalog/Pages 2 0 R>>");
    file.add(format!(
        "<</Type/Pages/Kids[{}]/Count {pages}>>",
        kids.join(" ")
    ));
    file.add_stream("", content);
    for _ in 0..pages {
        file.add(format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 3 0 R/Resources<<{resources}>>>>"
        ));
    }
    file
}

const FONT: &str = "/Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>";

fn document(file: &File, limits: Limits) -> Result<kbhost_pdf_layout::Document, TooLarge> {
    let pdf = read::open(file.bytes(), None).expect("it opens");
    kbhost_pdf_layout::document(&pdf, limits, &mut Nowhere)
}

fn first_page(file: &File, limits: Limits) -> Page {
    let pdf = read::open(file.bytes(), None).expect("it opens");
    Reader::new(&pdf, limits).page(1, &mut Nowhere)
}

#[test]
fn pages_of_a_document() {
    let limits = Limits {
        pages: 3,
        ..Limits::default()
    };
    assert_eq!(
        document(&file(3, "", ""), limits)
            .expect("they fit")
            .pages
            .len(),
        3
    );
    let error = document(&file(4, "", ""), limits).expect_err("one too many");
    assert_eq!(error, TooLarge::Pages(3));
}

#[test]
fn glyphs_of_a_document_and_of_a_page() {
    let file = file(2, "BT /F 9 Tf 9 9 Td (abcde) Tj ET", FONT);
    let limits = |glyphs, glyphs_per_page| Limits {
        glyphs,
        glyphs_per_page,
        ..Limits::default()
    };
    assert!(document(&file, limits(10, 100)).is_ok());
    let error = document(&file, limits(9, 100)).expect_err("one too many");
    assert_eq!(error, TooLarge::Glyphs(9));
    let page = first_page(&file, limits(100, 6));
    assert_eq!((page.glyphs.len(), page.cut), (5, None));
    let page = first_page(&file, limits(100, 3));
    assert_eq!((page.glyphs.len(), page.cut), (3, Some(Cut::Glyphs)));
    let cut = document(&file, limits(100, 3)).expect("it fits").pages[0].cut;
    assert_eq!(cut, Some(Cut::Glyphs), "it is told");
}

/// Words are held until the end, and a content that is small may be that of many pages.
#[test]
fn memory_of_a_document() {
    let file = file(
        20,
        &format!("BT /F 9 Tf 9 9 Td ({}) Tj ET", "a ".repeat(50)),
        FONT,
    );
    let limits = |held_bytes| Limits {
        held_bytes,
        ..Limits::default()
    };
    assert!(document(&file, limits(300_000)).is_ok());
    let error = document(&file, limits(50_000)).expect_err("a thousand words");
    assert_eq!(error, TooLarge::Held(50_000));
}

#[test]
fn operators_of_a_page() {
    let content = "q Q ".repeat(10) + "BT /F 9 Tf 9 9 Td (a) Tj ET";
    let file = file(1, &content, FONT);
    let limits = |operators_per_page| Limits {
        operators_per_page,
        ..Limits::default()
    };
    let page = first_page(&file, limits(25));
    assert_eq!((page.glyphs.len(), page.cut), (1, None));
    let page = first_page(&file, limits(23));
    assert_eq!((page.glyphs.len(), page.cut), (0, Some(Cut::Operators)));
}

/// A page with a form, in which the next one is drawn so many times, and so on.
fn chain_of_forms(forms: usize, times: usize) -> File {
    let mut file = file(1, "/A Do", "/XObject<</A 5 0 R>>");
    for n in 0..forms {
        let next = n + 6;
        let entries =
            format!("/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</A {next} 0 R>>{FONT}>>");
        let content = "BT /F 9 Tf 9 9 Td (a) Tj ET ".to_owned() + &"/A Do ".repeat(times);
        file.add_stream(&entries, content);
    }
    file
}

#[test]
fn forms_within_forms() {
    let limits = |nesting| Limits {
        nesting,
        operators_per_page: 10_000,
        ..Limits::default()
    };
    let page = first_page(&chain_of_forms(6, 1), limits(6));
    assert_eq!((page.glyphs.len(), page.cut), (6, None));
    let page = first_page(&chain_of_forms(6, 1), limits(4));
    assert_eq!((page.glyphs.len(), page.cut), (4, Some(Cut::Nesting)));
    // Four times as many with each: not too deep, and too many.
    let page = first_page(&chain_of_forms(20, 4), limits(24));
    assert_eq!(page.cut, Some(Cut::Operators));
}

#[test]
fn rules_of_a_page() {
    let content: String = (0..50)
        .map(|n| format!("9 {n} m 90 {n} l S 0 {n} 60 20 re f "))
        .collect();
    let file = file(1, &content, "");
    let drawn = |rules_per_page| {
        let limits = Limits {
            rules_per_page,
            ..Limits::default()
        };
        let page = first_page(&file, limits);
        page.rules.len() + page.fills.len()
    };
    assert_eq!((drawn(1_000), drawn(100), drawn(7)), (100, 100, 7));
}

#[test]
fn fonts_of_a_document() {
    let fonts: String = (0..9).map(|n| format!("/F{n} {} 0 R", n + 5)).collect();
    let content: String = (0..9)
        .map(|n| format!("BT /F{n} 9 Tf 9 {n}0 Td (a) Tj ET "))
        .collect();
    let mut file = file(1, &content, &format!("/Font<<{fonts}>>"));
    for _ in 0..9 {
        file.add("<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>");
    }
    let glyphs = |fonts| {
        let limits = Limits {
            fonts,
            ..Limits::default()
        };
        first_page(&file, limits).glyphs.len()
    };
    assert_eq!((glyphs(100), glyphs(9), glyphs(4)), (9, 9, 4));
}
