//! What is laid over a page: links, comments and the values of form fields.
//!
//! Invariant: what is hidden from a reader is not read, nor is what a field for passwords holds; an
//! annotation of a page and a dictionary of a field are read once.

use std::collections::BTreeSet;

use hayro_syntax::Pdf;
use hayro_syntax::object::{
    Array, Dict, MaybeRef, Name, Object, ObjectIdentifier, Rect as PdfRect, Stream,
    String as PdfString,
};
use hayro_syntax::page::Page;

use super::destination::Destinations;
use super::{field, text_string};
use crate::geometry::Rect;
use crate::limits::Limits;
use crate::page::{Link, LinkTarget, Note, NoteKind};

/// Longest address, in bytes: what browsers and servers agree on.
const ADDRESS_BYTES_MAX: usize = 2_048;
/// Longest text of a comment or value of a field, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 4_000;
/// Longest name of a field or author, in characters.
pub(super) const LABEL_CHARS_MAX: usize = 200;
/// Bytes of all such texts of a page together: annotations can share one string of the file.
const TEXT_BYTES_PER_PAGE_MAX: usize = 1 << 20;
/// What an address may begin with. Everything else (`javascript:`, `file:`, `data:`) is for programs.
const SCHEMES: [&str; 4] = ["http", "https", "mailto", "tel"];
/// `/F`: not shown.
const FLAG_HIDDEN: i32 = 1 << 1;
/// `/F`: not shown on a screen.
const FLAG_NO_VIEW: i32 = 1 << 5;
/// The annotations that people write.
const MARKUP: [&[u8]; 15] = [
    b"Text",
    b"FreeText",
    b"Highlight",
    b"Underline",
    b"Squiggly",
    b"StrikeOut",
    b"Caret",
    b"Stamp",
    b"Line",
    b"Square",
    b"Circle",
    b"Polygon",
    b"PolyLine",
    b"Ink",
    b"FileAttachment",
];

/// What lies over a page.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageAnnotations<'a> {
    /// Links.
    pub(crate) links: Vec<Link>,
    /// Comments and fields with a value.
    pub(crate) notes: Vec<Note>,
    /// How those are drawn that have no value to read instead: captions of buttons, stamps.
    pub(crate) appearances: Vec<Appearance<'a>>,
    /// There are more than the bounds allow.
    pub(crate) is_cut: bool,
}

/// A form that is drawn into a box.
#[derive(Clone, Debug)]
pub(crate) struct Appearance<'a> {
    /// The form.
    pub(crate) form: Stream<'a>,
    /// The box, in the file's coordinates.
    pub(crate) rect: PdfRect,
}

/// Reads the annotations of the pages of a document.
pub(crate) struct Annotations<'a> {
    pdf: &'a Pdf,
    fields: field::Fields<'a>,
}

impl<'a> Annotations<'a> {
    /// Of a document.
    #[must_use]
    pub(crate) fn new(pdf: &'a Pdf) -> Self {
        Self {
            pdf,
            fields: field::Fields::new(pdf),
        }
    }

    /// What lies over a page.
    pub(crate) fn read(
        &mut self,
        page: &Page<'a>,
        destinations: &Destinations<'a>,
        limits: &Limits,
    ) -> PageAnnotations<'a> {
        let mut found = PageAnnotations::default();
        let Some(annotations) = page.raw().get::<Array<'_>>("Annots") else {
            return found;
        };
        let mut visited = BTreeSet::new();
        let mut text_bytes_left = TEXT_BYTES_PER_PAGE_MAX;
        for (at, item) in annotations.raw_iter().enumerate() {
            if at >= limits.annotations_per_page as usize {
                found.is_cut = true;
                break;
            }
            let Some(annotation) = self.annotation(item, &mut visited) else {
                continue;
            };
            let Some((rect, kind)) = shown(page, &annotation) else {
                continue;
            };
            if kind.as_ref() == b"Link" {
                let target = target(&annotation, destinations);
                found
                    .links
                    .extend(target.map(|target| Link { rect, target }));
            } else if let Some(note) = self.note(&annotation, &kind, rect) {
                let Some(left) = text_bytes_left.checked_sub(note.text.len()) else {
                    found.is_cut = true;
                    break;
                };
                text_bytes_left = left;
                found.notes.push(note);
            } else if kind.as_ref() != b"Popup" {
                found.appearances.extend(appearance(&annotation));
            }
        }
        found
    }

    fn annotation(
        &self,
        item: MaybeRef<Object<'a>>,
        visited: &mut BTreeSet<ObjectIdentifier>,
    ) -> Option<Dict<'a>> {
        match item {
            MaybeRef::NotRef(object) => object.into_dict(),
            MaybeRef::Ref(reference) => {
                let id = ObjectIdentifier::from(reference);
                visited.insert(id).then(|| self.pdf.xref().get(id))?
            }
        }
    }

    fn note(&mut self, annotation: &Dict<'a>, kind: &Name<'a>, rect: Rect) -> Option<Note> {
        if kind.as_ref() == b"Widget" {
            let value = self.fields.value(annotation)?;
            return Some(Note {
                rect,
                kind: NoteKind::Field,
                label: value.label,
                text: value.text,
            });
        }
        // A reply that only says what state somebody set is nothing to read.
        if !MARKUP.contains(&kind.as_ref()) || annotation.contains_key("StateModel") {
            return None;
        }
        let contents = annotation.get::<PdfString<'_>>("Contents")?;
        let author = annotation.get::<PdfString<'_>>("T");
        Some(Note {
            rect,
            kind: NoteKind::Annotation,
            label: author.and_then(|author| text_string::line(&author, LABEL_CHARS_MAX)),
            text: text_string::lines(&contents, TEXT_CHARS_MAX)?,
        })
    }
}

/// How an annotation is drawn when nobody points at it.
fn appearance<'a>(annotation: &Dict<'a>) -> Option<Appearance<'a>> {
    let rect = annotation.get::<PdfRect>("Rect")?;
    let normal = annotation.get::<Dict<'_>>("AP")?.get::<Object<'a>>("N")?;
    let form = match normal {
        Object::Stream(form) => form,
        Object::Dict(states) => {
            let state = annotation.get::<Name<'_>>("AS")?;
            states.get::<Stream<'a>>(state)?
        }
        _ => return None,
    };
    Some(Appearance { form, rect })
}

/// Where an annotation is shown and of what sort it is; `None` if it is not.
fn shown<'a>(page: &Page<'_>, annotation: &Dict<'a>) -> Option<(Rect, Name<'a>)> {
    let flags = annotation.get::<i32>("F").unwrap_or(0);
    if flags & (FLAG_HIDDEN | FLAG_NO_VIEW) != 0 {
        return None;
    }
    let kind = annotation.get::<Name<'_>>("Subtype")?;
    let rect = on_page(page, &annotation.get::<PdfRect>("Rect")?)?;
    // A comment's icon has the size that the program gives it, a link or a field has that of its box.
    let is_point = rect.width() <= 0.0 || rect.height() <= 0.0;
    let needs_area = matches!(kind.as_ref(), b"Link" | b"Widget");
    (!(is_point && needs_area)).then_some((rect, kind))
}

/// A box of the file's coordinates on the page as it is shown; `None` if it lies elsewhere.
#[must_use]
pub(crate) fn on_page(page: &Page<'_>, rect: &PdfRect) -> Option<Rect> {
    let [a, b, c, d, e, f] = page.initial_transform(true).as_coeffs();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be finite below"
    )]
    let corner = |x: f64, y: f64| ((a * x + c * y + e) as f32, (b * x + d * y + f) as f32);
    let ((x0, y0), (x1, y1)) = (corner(rect.x0, rect.y0), corner(rect.x1, rect.y1));
    if ![x0, y0, x1, y1].into_iter().all(f32::is_finite) {
        return None;
    }
    let shown = Rect::of_corners(x0, y0, x1, y1);
    let (width, height) = page.render_dimensions();
    let paper = Rect::of_corners(0.0, 0.0, width, height);
    (shown.overlap_x(&paper) >= 0.0 && shown.overlap_y(&paper) >= 0.0).then_some(shown)
}

fn target<'a>(link: &Dict<'a>, destinations: &Destinations<'a>) -> Option<LinkTarget> {
    if let Some(destination) = destinations.of_item(link) {
        return Some(LinkTarget::Page(destination.page));
    }
    let action = link.get::<Dict<'_>>("A")?;
    if action.get::<Name<'_>>("S")?.as_ref() != b"URI" {
        return None;
    }
    let uri = action.get::<PdfString<'_>>("URI")?;
    address(&uri).map(LinkTarget::Address)
}

/// An address that may be shown as a link, without white space and control characters.
fn address(bytes: &[u8]) -> Option<String> {
    if bytes.len() > ADDRESS_BYTES_MAX {
        return None;
    }
    let text = text_string::decode(bytes);
    let mut address = String::with_capacity(text.len());
    // People write it without the scheme, and programs copy that.
    if text.trim_start().starts_with("www.") {
        address.push_str("http://");
    }
    for char in text.trim().chars().filter(|char| !char.is_control()) {
        if char.is_whitespace() {
            address.push_str("%20");
        } else {
            address.push(char);
        }
    }
    let (scheme, rest) = address.split_once(':')?;
    let is_known = SCHEMES
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known));
    let is_whole = !rest.trim_matches('/').is_empty();
    (is_known && is_whole && address.len() <= ADDRESS_BYTES_MAX).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::two_pages;
    use super::*;

    const UPRIGHT: &str = "";
    const TURNED: &str = "/Rotate 90";
    const LINK: &str = "<</Subtype/Link/Rect[1 1 2 2]/Dest[3 0 R/Fit]>>";

    /// Of a page with these annotations; object 5 is [`LINK`].
    fn read(turn: &str, annotations: &str, limits: &Limits) -> PageAnnotations<'static> {
        let page = format!("{turn}/Annots[{annotations}]");
        let pdf = two_pages("", &page, &[LINK]);
        let destinations = Destinations::new(&pdf, limits);
        let found = Annotations::new(&pdf).read(&pdf.pages()[0], &destinations, limits);
        PageAnnotations {
            links: found.links,
            notes: found.notes,
            appearances: Vec::new(),
            is_cut: found.is_cut,
        }
    }

    #[test]
    fn links_lead_to_addresses_and_pages() {
        let check = |link: &str, expected: Option<LinkTarget>| {
            let annotation = format!("<</Subtype/Link/Rect[10 20 110 40]{link}>>");
            let found = read(UPRIGHT, &annotation, &Limits::default());
            let expected: Vec<Link> = expected
                .map(|target| Link {
                    rect: Rect::of_corners(10.0, 760.0, 110.0, 780.0),
                    target,
                })
                .into_iter()
                .collect();
            assert_eq!(found.links, expected, "{link}");
            assert!(found.notes.is_empty(), "{link}");
        };
        let uri = |uri: &str| format!("/A<</S/URI/URI({uri})>>");
        let address = |text: &str| Some(LinkTarget::Address(text.to_owned()));
        check(
            &uri("https://a.example/x?y=1#z"),
            address("https://a.example/x?y=1#z"),
        );
        check(
            &uri(" HTTP://a.example/x y\r\n "),
            address("HTTP://a.example/x%20y"),
        );
        check(&uri("www.a.example"), address("http://www.a.example"));
        check(&uri("mailto:a@b.example"), address("mailto:a@b.example"));
        check(&uri("tel:+491"), address("tel:+491"));
        for refused in [
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:,x",
            "x",
            "",
            "http://",
        ] {
            check(&uri(refused), None);
        }
        check(&uri("java\nscript:alert(1)"), None);
        check(
            &uri(&format!("https://{}", "x".repeat(ADDRESS_BYTES_MAX))),
            None,
        );
        check("/Dest[4 0 R/Fit]", Some(LinkTarget::Page(2)));
        check("/A<</S/GoTo/D[3 0 R/Fit]>>", Some(LinkTarget::Page(1)));
        check("/A<</S/Launch/F(x)>>", None);
        check("/F 2/Dest[4 0 R/Fit]", None);
        check("", None);
    }

    #[test]
    fn boxes_are_where_they_are_shown() {
        let check = |turn, rect: &str, expected: Option<[f32; 4]>| {
            let link = format!("<</Subtype/Link/Rect[{rect}]/Dest[3 0 R/Fit]>>");
            let found = read(turn, &link, &Limits::default());
            let shown = found.links.first().map(|link| {
                let rect = link.rect;
                [rect.x0, rect.y0, rect.x1, rect.y1]
            });
            assert_eq!(shown, expected, "{rect}");
        };
        check(UPRIGHT, "110 40 10 20", Some([10.0, 760.0, 110.0, 780.0]));
        // What is low on the file's page is left on the turned one.
        check(TURNED, "10 20 110 40", Some([20.0, 10.0, 40.0, 110.0]));
        check(UPRIGHT, "10 20 10 40", None);
        check(UPRIGHT, "-50 20 -10 40", None);
        check(UPRIGHT, &format!("0 0 {0} {0}", "9".repeat(60)), None);
        check(UPRIGHT, "1 2 3", None);
    }

    #[test]
    fn comments_and_fields_are_notes() {
        let annotations = "<</Subtype/FreeText/Rect[0 0 9 9]/Contents(Hello\rthere)/T(Me)>>             <</Subtype/Text/Rect[0 0 0 0]/Contents(a point)>>             <</Subtype/Text/Rect[0 0 9 9]/Contents(Accepted)/StateModel/Review>>             <</Subtype/Popup/Rect[0 0 9 9]/Contents(again)>>             <</Subtype/Highlight/Rect[0 0 9 9]/Contents()>>             <</Subtype/Widget/Rect[0 0 9 9]/FT/Tx/T(Name)/V(Ann)>>             <</Subtype/Widget/Rect[0 0 0 0]/FT/Tx/T(unseen)/V(x)>>             <</Subtype/Widget/Rect[0 0 9 9]/FT/Tx/T(hidden)/V(x)/F 2>>             <</Subtype/Widget/Rect[0 0 9 9]/FT/Tx/T(not on screens)/V(x)/F 32>>";
        let notes = read(UPRIGHT, annotations, &Limits::default()).notes;
        let shown: Vec<_> = notes
            .iter()
            .map(|note| (note.kind, note.label.as_deref(), note.text.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (NoteKind::Annotation, Some("Me"), "Hello\nthere"),
                (NoteKind::Annotation, None, "a point"),
                (NoteKind::Field, Some("Name"), "Ann"),
            ]
        );
    }

    #[test]
    fn bounds_hold() {
        let link = LINK.repeat(10);
        let limits = |annotations_per_page| Limits {
            annotations_per_page,
            ..Limits::default()
        };
        let found = read(UPRIGHT, &link, &limits(10));
        assert_eq!((found.links.len(), found.is_cut), (10, false));
        let found = read(UPRIGHT, &link, &limits(9));
        assert_eq!((found.links.len(), found.is_cut), (9, true));

        let text = "x".repeat(TEXT_CHARS_MAX);
        let note = format!("<</Subtype/Text/Rect[1 1 2 2]/Contents({text})>>");
        let fitting = TEXT_BYTES_PER_PAGE_MAX / TEXT_CHARS_MAX;
        let found = read(UPRIGHT, &note.repeat(fitting + 1), &Limits::default());
        assert_eq!((found.notes.len(), found.is_cut), (fitting, true));

        // The same one over and over is one.
        let found = read(UPRIGHT, &"5 0 R ".repeat(100), &Limits::default());
        assert_eq!((found.links.len(), found.is_cut), (1, false));
    }
}
