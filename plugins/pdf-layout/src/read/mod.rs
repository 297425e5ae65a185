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
use hayro_syntax::{DecryptionError, LoadPdfError};

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
    let offset = header_offset(&input).ok_or(OpenError::NoHeader)?;
    let input = if offset == 0 {
        input
    } else {
        input[offset..].to_vec()
    };
    let first = Pdf::new_with_password(input.clone(), password.unwrap_or_default());
    // A file that opens without a password is not closed by the one given for others.
    let opened = match (first, password) {
        (Err(LoadPdfError::Decryption(_)), Some(_)) => Pdf::new(input),
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
        interpreter.run(source.typed_operations(), source.resources(), 0);
        let mut page = interpreter.page;
        let over = self
            .annotations
            .read(source, &self.destinations, &self.limits);
        page.links = over.links;
        page.notes = over.notes;
        if over.is_cut {
            page.cut = page.cut.or(Some(Cut::Annotations));
        }
        page
    }
}
