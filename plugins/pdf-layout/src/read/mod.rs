//! From the PDF format to [`crate::page`]: the only room that names the parser's crates.
//!
//! Invariant: whatever the file claims, reading ends within [`Limits`], and what a page holds is finite.

mod annotation;
mod bookmark;
mod code_names;
mod colour;
mod content;
mod destination;
mod field;
#[cfg(test)]
mod fixture;
mod font;
mod font_claims;
mod inflated;
mod layers;
mod metadata;
mod path;
mod picture;
mod picture_header;
mod raster;
mod structure;
mod text_string;
mod unicode_fallback;
mod xmp;

use std::fmt;

use hayro_font::kurbo::Affine;
pub use hayro_syntax::Pdf;
use hayro_syntax::{DecryptionError, LoadPdfError, PdfData};

use crate::limits::Limits;
use crate::page::{Bookmark, Cut, Element, FontStyle, Metadata, Page};
use annotation::Annotations;
use content::Interpreter;
use destination::Destinations;
use font::Fonts;
use layers::Layers;
use picture::Pictures;
pub use picture::{EncodedPicture, MissingPictures, PictureFormat, PictureSink};

/// Where the header is looked for. Readers accept some junk in front of it, mail headers mostly.
const HEADER_WITHIN: usize = 64 << 10;
/// Where the first object of a file without a header is looked for.
const OBJECT_WITHIN: usize = 256;
/// Larger pages, in points, are a mistake: 200 inches is the format's own bound.
const PAGE_SIDE_MAX: f32 = 14_400.0;

/// Why a file could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// It has no content.
    Empty,
    /// It has no PDF header.
    NoHeader,
    /// Neither its cross references nor its objects lead to a page.
    NoPages,
    /// It needs a password, or another one than was given.
    Encrypted,
    /// It is encrypted in a way that nobody here knows.
    UnknownEncryption,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the file has no content",
            Self::NoHeader => "no PDF header",
            Self::NoPages => "no page could be found; the file is damaged",
            Self::Encrypted => "the file needs a password",
            Self::UnknownEncryption => "the file is encrypted in an unknown way",
        })
    }
}

/// Where the header begins, if there is one.
#[must_use]
pub fn header_offset(input: &[u8]) -> Option<usize> {
    let head = &input[..input.len().min(HEADER_WITHIN)];
    head.windows(b"%PDF-".len())
        .position(|window| window == b"%PDF-")
}

/// Opens a file; without a password the empty one is tried.
///
/// # Errors
/// If it is no PDF, has no pages or needs another password.
pub fn open(input: Vec<u8>, password: Option<&str>) -> Result<Pdf, OpenError> {
    if input.is_empty() {
        return Err(OpenError::Empty);
    }
    // A file whose first line was lost is one as long as its objects are there.
    let starts_with_object = || {
        let head = &input[..input.len().min(OBJECT_WITHIN)];
        head.windows(b" 0 obj".len())
            .any(|window| window == b" 0 obj")
    };
    let offset = header_offset(&input)
        .or_else(|| starts_with_object().then_some(0))
        .ok_or(OpenError::NoHeader)?;
    let input = if offset == 0 {
        input
    } else {
        input[offset..].to_vec()
    };
    // Shared, not copied, where it has to be opened again.
    let data = PdfData::from(input);
    let first = Pdf::new_with_password(data.clone(), password.unwrap_or_default());
    // A file that opens without a password is not closed by the one given for others.
    let opened = match (first, password) {
        (Err(LoadPdfError::Decryption(_)), Some(_)) => Pdf::new(data),
        (first, _) => first,
    };
    let pdf = opened.map_err(|error| match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => OpenError::Encrypted,
        LoadPdfError::Decryption(_) => OpenError::UnknownEncryption,
        LoadPdfError::Invalid => OpenError::NoPages,
    })?;
    if pdf.pages().is_empty() {
        return Err(OpenError::NoPages);
    }
    Ok(pdf)
}

/// Reads the pages of an open file, one after another.
pub struct Reader<'a> {
    pdf: &'a Pdf,
    limits: Limits,
    fonts: Fonts<'a>,
    layers: Layers,
    destinations: Destinations<'a>,
    annotations: Annotations<'a>,
    pictures: Pictures<'a>,
}

impl<'a> Reader<'a> {
    /// Starts reading.
    #[must_use]
    pub fn new(pdf: &'a Pdf, limits: Limits) -> Self {
        Self {
            pdf,
            limits,
            fonts: Fonts::new(limits.fonts),
            layers: Layers::of(pdf),
            destinations: Destinations::new(pdf, &limits),
            annotations: Annotations::new(pdf),
            pictures: Pictures::new(pdf, &limits),
        }
    }

    /// Number of pages.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        u32::try_from(self.pdf.pages().len()).unwrap_or(u32::MAX)
    }

    /// The looks of the fonts met so far; glyphs name them by index.
    #[must_use]
    pub fn fonts(&self) -> &[FontStyle] {
        &self.fonts.styles
    }

    /// The bookmarks, in order.
    #[must_use]
    pub fn bookmarks(&self) -> Vec<Bookmark> {
        bookmark::read(self.pdf, &self.destinations, &self.limits)
    }

    /// What the file says about itself.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        metadata::read(self.pdf)
    }

    /// The structure tree of a tagged file.
    #[must_use]
    pub fn structure(&self) -> Option<Element> {
        structure::read(self.pdf, self.destinations.pages(), &self.limits)
    }

    /// Which pictures of the pages read so far are missing.
    #[must_use]
    pub fn missing_pictures(&self) -> MissingPictures {
        self.pictures.missing()
    }

    /// Reads the page with this number, from 1; an empty page if there is none. Its pictures go to `sink`.
    pub fn page(&mut self, number: u32, sink: &mut dyn PictureSink) -> Page {
        let Some(source) = self.pdf.pages().get(number as usize - 1) else {
            return Page::default();
        };
        let (width, height) = source.render_dimensions();
        let side = |side: f32| match side.is_finite() {
            true => side.clamp(1.0, PAGE_SIDE_MAX),
            false => PAGE_SIDE_MAX,
        };
        let page = Page {
            number,
            width: side(width),
            height: side(height),
            ..Page::default()
        };
        let matrix = Affine::new(source.initial_transform(true).as_coeffs());
        let mut interpreter = Interpreter::new(
            page,
            matrix,
            &mut self.fonts,
            (&mut self.pictures, sink),
            &self.layers,
            &self.limits,
        );
        if inflated::is_bounded_page(source) {
            interpreter.run(source.typed_operations(), source.resources(), 0);
        } else {
            interpreter.page.cut = Some(Cut::Operators);
        }
        let over = self
            .annotations
            .read(source, &self.destinations, &self.limits);
        for appearance in &over.appearances {
            interpreter.appearance(appearance, matrix, source.resources());
        }
        let mut page = interpreter.page;
        page.links = over.links;
        page.notes = over.notes;
        if over.is_cut {
            page.cut = page.cut.or(Some(Cut::Annotations));
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{file, pdf, stream, two_pages};
    use super::*;

    struct Discard;

    impl PictureSink for Discard {
        fn put(&mut self, _: u32, _: &EncodedPicture) -> bool {
            true
        }
    }

    fn first_page(pdf: &Pdf) -> Page {
        Reader::new(pdf, Limits::default()).page(1, &mut Discard)
    }

    fn text(page: &Page) -> String {
        page.glyphs.iter().map(|glyph| glyph.char).collect()
    }

    #[test]
    fn appearances_are_drawn_into_their_boxes() {
        let font = "/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>";
        let button = |state: &str| {
            let page = format!(
                "/Annots[<</Subtype/Widget/FT/Btn/Ff 65536/Rect[100 200 300 240]/AP<</N {state}>>/AS/On>>]"
            );
            let form = stream(
                &format!("/Subtype/Form/BBox[0 0 100 20]{font}"),
                b"BT /F 10 Tf 0 0 Td (Press) Tj ET",
            );
            first_page(&two_pages("", &page, &[form]))
        };
        for state in ["5 0 R", "<</On 5 0 R/Off null>>"] {
            let page = button(state);
            assert_eq!(text(&page), "Press", "{state}");
            // Twice as wide and twice as high, 200 points above the foot of a page of 800.
            let first = page.glyphs[0];
            assert_eq!((first.x0, first.baseline, first.size), (100.0, 600.0, 20.0));
        }
        assert_eq!(text(&button("<</Off 5 0 R>>")), "");
    }

    #[test]
    fn forms_that_are_drawn_over_and_over_end() {
        let resources = "/Contents 5 0 R/Resources<</XObject<</X 6 0 R>>>>";
        let check = |times: usize, expected| {
            let content = stream("", "/X Do ".repeat(times).as_bytes());
            let form = stream("/Subtype/Form/BBox[0 0 1 1]", &vec![b' '; 16 << 20]);
            let page = first_page(&two_pages("", resources, &[content, form]));
            assert_eq!(page.cut, expected, "{times}");
        };
        check(2, None);
        check(20, Some(Cut::Operators));
    }

    #[test]
    fn letters_of_type_3_fonts_have_a_size_by_their_width() {
        let objects = |matrix: &str, width: u32| {
            let glyph = stream("", b"0 0 d0");
            [
                b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
                b"<</Type/Pages/Kids[3 0 R]/Count 1/MediaBox[0 0 600 800]>>".to_vec(),
                b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>".to_vec(),
                stream("", b"BT /F 1 Tf 10 0 0 10 50 50 Tm (a) Tj ET"),
                format!(
                    "<</Type/Font/Subtype/Type3/FontMatrix[{matrix} 0 0 {matrix} 0 0]/FontBBox[0 0 1 1]\
                     /FirstChar 97/LastChar 97/Widths[{width}]/CharProcs<</a 6 0 R>>\
                     /Encoding<</Differences[97/a]>>>>"
                )
                .into_bytes(),
                glyph,
            ]
        };
        for (matrix, width, expected) in [("0.001", 500, 10.0), ("1", 5, 100.0)] {
            let page = first_page(&pdf(&objects(matrix, width), ""));
            assert_eq!(page.glyphs[0].size, expected, "{matrix}");
        }
    }

    #[test]
    fn the_header_may_stand_late_or_be_lost() {
        let objects = [
            "<</Type/Catalog/Pages 2 0 R>>",
            "<</Type/Pages/Kids[3 0 R]/Count 1>>",
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
        ];
        let whole = file(&objects, "");
        let late = [&b"Subject: a file\r\n\r\n"[..], &whole].concat();
        let lost = whole[b"%PDF-1.7\n".len()..].to_vec();
        for input in [whole, late, lost] {
            assert_eq!(open(input, None).map(|pdf| pdf.pages().len()), Ok(1));
        }
        assert_eq!(open(b"no".to_vec(), None).err(), Some(OpenError::NoHeader));
    }
}
