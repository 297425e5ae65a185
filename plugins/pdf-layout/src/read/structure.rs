//! The structure tree of a tagged file: which marked content is what, in reading order.
//!
//! Invariant: an element is read once, however elements point at each other. A tree that hits a bound
//! is no tree: half of one would lose the other half's text.

use std::collections::BTreeSet;

use hayro_syntax::Pdf;
use hayro_syntax::object::array::ArrayIter;
use hayro_syntax::object::{
    Array, Dict, MaybeRef, Name, Object, ObjectIdentifier, String as PdfString,
};

use super::destination::PageIndex;
use super::text_string;
use crate::limits::Limits;
use crate::page::{Element, ElementKid};

/// Deeper trees are broken or hostile: word processors nest a few dozen elements at most.
const DEPTH_MAX: usize = 100;
/// A type that stands for a type, and so on.
const ROLE_CHAIN_MAX: usize = 8;
/// Longest name of a type, in bytes: the longest name of PDF 1.
const ROLE_BYTES_MAX: usize = 127;
/// Longest text that stands for an element, in characters.
const ALTERNATIVE_CHARS_MAX: usize = 2_000;
/// Longest text that an element is to be read as, in bytes of the file.
const ACTUAL_BYTES_MAX: usize = 16 << 10;
/// Bytes of all such texts together: many elements can share one string of the file.
const TEXT_BYTES_MAX: usize = 16 << 20;
/// No table is as large, and a larger span is only room wasted.
const SPAN_MAX: u16 = 1_000;
/// The types of ISO 32000: they are what they say, whatever the role map says.
const STANDARD_ROLES: [&str; 58] = [
    "Annot",
    "Art",
    "Artifact",
    "Aside",
    "BibEntry",
    "BlockQuote",
    "Caption",
    "Code",
    "Div",
    "Document",
    "DocumentFragment",
    "Em",
    "FENote",
    "Figure",
    "Form",
    "Formula",
    "H",
    "H1",
    "H2",
    "H3",
    "H4",
    "H5",
    "H6",
    "Index",
    "L",
    "LBody",
    "LI",
    "Lbl",
    "Link",
    "NonStruct",
    "Note",
    "P",
    "Part",
    "Private",
    "Quote",
    "RB",
    "RP",
    "RT",
    "Reference",
    "Ruby",
    "Sect",
    "Span",
    "Strong",
    "Sub",
    "TBody",
    "TD",
    "TFoot",
    "TH",
    "THead",
    "TOC",
    "TOCI",
    "TR",
    "Table",
    "Title",
    "WP",
    "WT",
    "Warichu",
    "math",
];

/// The structure tree of a document: an element `Document` around what its root holds; `None` if it
/// has none, an empty one, or one that is too large or too deep.
#[must_use]
pub(crate) fn read(pdf: &Pdf, pages: &PageIndex, limits: &Limits) -> Option<Element> {
    let xref = pdf.xref();
    let catalog = xref.get::<Dict<'_>>(xref.root_id())?;
    let root = catalog.get::<Dict<'_>>("StructTreeRoot")?;
    let mut reader = Reader {
        pdf,
        pages,
        roles: root.get("RoleMap").unwrap_or_default(),
        visited: BTreeSet::new(),
        kids_left: limits.elements as usize,
        text_bytes_left: TEXT_BYTES_MAX,
    };
    let frame = Frame {
        element: Element {
            role: "Document".to_owned(),
            columns: 1,
            rows: 1,
            ..Element::default()
        },
        page: None,
        kids: Kids::of(&root),
    };
    let tree = reader.read(frame)?;
    (!tree.kids.is_empty()).then_some(tree)
}

struct Reader<'a, 'b> {
    pdf: &'a Pdf,
    pages: &'b PageIndex,
    roles: Dict<'a>,
    visited: BTreeSet<ObjectIdentifier>,
    kids_left: usize,
    text_bytes_left: usize,
}

/// An element whose kids are being read.
struct Frame<'a> {
    element: Element,
    /// The page of its marked content, which kids inherit.
    page: Option<u32>,
    kids: Kids<'a>,
}

enum Kids<'a> {
    One(Option<MaybeRef<Object<'a>>>),
    Many(ArrayIter<'a>),
}

impl<'a> Kids<'a> {
    fn of(element: &Dict<'a>) -> Self {
        match element.get::<Object<'_>>("K") {
            Some(Object::Array(array)) => Self::Many(array.raw_iter()),
            // Unresolved, so that an element that is its own only kid is seen to be.
            Some(_) => Self::One(element.get_raw("K")),
            None => Self::One(None),
        }
    }
}

impl<'a> Iterator for Kids<'a> {
    type Item = MaybeRef<Object<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(kid) => kid.take(),
            Self::Many(kids) => kids.next(),
        }
    }
}

impl<'a> Reader<'a, '_> {
    fn read(&mut self, root: Frame<'a>) -> Option<Element> {
        let mut open = vec![root];
        loop {
            let frame = open.last_mut()?;
            let Some(kid) = frame.kids.next() else {
                let element = open.pop()?.element;
                let Some(parent) = open.last_mut() else {
                    return Some(element);
                };
                parent.element.kids.push(ElementKid::Element(element));
                continue;
            };
            self.kids_left = self.kids_left.checked_sub(1)?;
            if let Some(inner) = self.kid(frame, kid) {
                if open.len() >= DEPTH_MAX {
                    return None;
                }
                open.push(inner);
            }
        }
    }

    /// Adds marked content to an element, or opens an element within it.
    fn kid(&mut self, parent: &mut Frame<'a>, kid: MaybeRef<Object<'a>>) -> Option<Frame<'a>> {
        let object = match kid {
            MaybeRef::NotRef(object) => object,
            MaybeRef::Ref(reference) => {
                let id = ObjectIdentifier::from(reference);
                if !self.visited.insert(id) {
                    return None;
                }
                self.pdf.xref().get(id)?
            }
        };
        let dict = match object {
            Object::Dict(dict) => dict,
            other => {
                let content = content(parent.page, other.into_i32());
                parent.element.kids.extend(content);
                return None;
            }
        };
        let page = self.page(&dict).or(parent.page);
        if let Some(role) = dict.get::<Name<'_>>("S") {
            return Some(Frame {
                element: self.element(&dict, &role),
                page,
                kids: Kids::of(&dict),
            });
        }
        // The content of a form has ids of its own, which are not those of the page.
        if !dict.contains_key("Stm") {
            let content = content(page, dict.get::<i32>("MCID"));
            parent.element.kids.extend(content);
        }
        None
    }

    fn page(&self, dict: &Dict<'a>) -> Option<u32> {
        self.pages.number(dict.get_ref("Pg")?.into())
    }

    fn element(&mut self, dict: &Dict<'a>, role: &Name<'a>) -> Element {
        let (columns, rows) = spans(dict);
        let text = |key: &str| dict.get::<PdfString<'_>>(key);
        let alternative =
            text("Alt").and_then(|text| text_string::line(&text, ALTERNATIVE_CHARS_MAX));
        // An empty one counts: the element is to be read as nothing.
        let actual = text("ActualText")
            .map(|text| text_string::decode(text.get(..ACTUAL_BYTES_MAX).unwrap_or(&text)));
        Element {
            role: self.role(role),
            alternative: alternative.and_then(|text| self.budgeted(text)),
            actual: actual.and_then(|text| self.budgeted(text)),
            columns,
            rows,
            kids: Vec::new(),
        }
    }

    fn budgeted(&mut self, text: String) -> Option<String> {
        self.text_bytes_left = self.text_bytes_left.checked_sub(text.len())?;
        Some(text)
    }

    /// The standard type that a type stands for.
    fn role(&self, role: &Name<'a>) -> String {
        let mut role = role.clone();
        for _ in 0..ROLE_CHAIN_MAX {
            if is_standard(&role) {
                break;
            }
            let Some(mapped) = self.roles.get::<Name<'_>>(&*role) else {
                break;
            };
            role = mapped;
        }
        let name = role.get(..ROLE_BYTES_MAX).unwrap_or(&role);
        String::from_utf8_lossy(name).into_owned()
    }
}

fn is_standard(role: &[u8]) -> bool {
    STANDARD_ROLES
        .binary_search_by(|standard| standard.as_bytes().cmp(role))
        .is_ok()
}

fn content(page: Option<u32>, id: Option<i32>) -> Option<ElementKid> {
    Some(ElementKid::Content {
        page: page?,
        id: u32::try_from(id?).ok()?,
    })
}

/// How many columns and rows a cell spans, by its attributes.
fn spans(element: &Dict<'_>) -> (u16, u16) {
    let span = |attributes: &Dict<'_>, key: &str| {
        let span = attributes.get::<i32>(key)?;
        Some(u16::try_from(span).unwrap_or(1).clamp(1, SPAN_MAX))
    };
    let both = |attributes: &Dict<'_>| (span(attributes, "ColSpan"), span(attributes, "RowSpan"));
    let (columns, rows) = match element.get::<Object<'_>>("A") {
        Some(Object::Dict(attributes)) => both(&attributes),
        Some(Object::Array(array)) => attribute_dicts(&array).fold((None, None), |found, next| {
            let (columns, rows) = both(&next);
            (found.0.or(columns), found.1.or(rows))
        }),
        _ => (None, None),
    };
    (columns.unwrap_or(1), rows.unwrap_or(1))
}

/// The attributes of a list of them; the numbers of revisions between them say nothing.
fn attribute_dicts<'a>(array: &Array<'a>) -> impl Iterator<Item = Dict<'a>> {
    /// One for each owner and a revision each, with room.
    const ATTRIBUTES_MAX: usize = 32;
    array
        .iter::<Object<'a>>()
        .take(ATTRIBUTES_MAX)
        .filter_map(Object::into_dict)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::two_pages;
    use super::*;

    /// The tree as text: `Role{kid kid}`, with content as `page:id`.
    fn show(element: &Element) -> String {
        let kids: Vec<String> = element
            .kids
            .iter()
            .map(|kid| match kid {
                ElementKid::Element(element) => show(element),
                ElementKid::Content { page, id } => format!("{page}:{id}"),
            })
            .collect();
        let mut text = element.role.clone();
        if (element.columns, element.rows) != (1, 1) {
            text.push_str(&format!("[{}x{}]", element.columns, element.rows));
        }
        for other in [&element.alternative, &element.actual]
            .into_iter()
            .flatten()
        {
            text.push_str(&format!("({other})"));
        }
        format!("{text}{{{}}}", kids.join(" "))
    }

    fn tree(objects: &[&str], limits: &Limits) -> Option<String> {
        let pdf = two_pages("/StructTreeRoot 5 0 R", "", objects);
        read(&pdf, &PageIndex::new(&pdf), limits).map(|tree| show(&tree))
    }

    fn check(objects: &[&str], expected: Option<&str>) {
        let tree = tree(objects, &Limits::default());
        assert_eq!(tree.as_deref(), expected, "{objects:?}");
    }

    #[test]
    fn kids_of_every_form() {
        check(
            &[
                "<</K[6 0 R 7 0 R]>>",
                "<</S/H1/Pg 3 0 R/K 0>>",
                "<</S/P/Pg 3 0 R/K[1<</Type/MCR/Pg 4 0 R/MCID 2>><</Type/OBJR/Obj 3 0 R>>\
                 <</Type/MCR/MCID 3/Stm 9 0 R>><</S/Link/K 4>> -1 (x)]>>",
            ],
            Some("Document{H1{1:0} P{1:1 2:2 Link{1:4}}}"),
        );
        // Without a page, content has no place.
        check(&["<</K<</S/P/K 0>>>>"], Some("Document{P{}}"));
        check(&["<</K[]>>"], None);
        check(&["<<>>"], None);
    }

    #[test]
    fn roles_are_mapped() {
        check(
            &[
                "<</RoleMap<</Title1/Heading/Heading/H2/P/H1/Loop/Loop>>/K[<</S/Title1>><</S/P>>\
               <</S/Loop>><</S/Own>>]>>",
            ],
            Some("Document{H2{} P{} Loop{} Own{}}"),
        );
        assert!(STANDARD_ROLES.is_sorted());
    }

    #[test]
    fn attributes_and_texts() {
        check(
            &[
                "<</K[<</S/TD/A<</O/Table/ColSpan 2>>>><</S/TH/A[<</O/Layout>>0<</RowSpan 3>>0]>>\
               <</S/TD/A<</ColSpan -4/RowSpan 9999999>>>><</S/Figure/Alt(A\ncat)>>\
               <</S/Span/ActualText()>><</S/Span/ActualText<FEFF00E9>>>]>>",
            ],
            Some("Document{TD[2x1]{} TH[1x3]{} TD{} Figure(A cat){} Span(){} Span(é){}}"),
        );
    }

    #[test]
    fn cycles_end() {
        check(
            &[
                "<</K 6 0 R>>",
                "<</S/Sect/K[6 0 R 7 0 R]>>",
                "<</S/P/K 6 0 R>>",
            ],
            Some("Document{Sect{P{}}}"),
        );
        check(&["<</K 5 0 R>>"], None);
    }

    #[test]
    fn bounds_make_it_none() {
        let deep = |levels: usize| {
            let inner: Vec<String> = std::iter::once("<</K 6 0 R>>".to_owned())
                .chain((0..levels).map(|at| format!("<</S/Div/K {} 0 R>>", at + 7)))
                .collect();
            let inner: Vec<&str> = inner.iter().map(String::as_str).collect();
            tree(&inner, &Limits::default()).is_some()
        };
        assert!(deep(DEPTH_MAX - 1));
        assert!(!deep(DEPTH_MAX));

        let wide = format!("<</K[<</S/P/Pg 3 0 R/K[{}]>>]>>", "0 ".repeat(99));
        let limits = |elements| Limits {
            elements,
            ..Limits::default()
        };
        assert!(tree(&[&wide], &limits(100)).is_some());
        assert!(tree(&[&wide], &limits(99)).is_none());
    }

    #[test]
    fn texts_are_bounded() {
        let text = "x".repeat(ACTUAL_BYTES_MAX * 2);
        let elements = "<</S/P/ActualText 6 0 R>>".repeat(2 * TEXT_BYTES_MAX / ACTUAL_BYTES_MAX);
        let root = format!("<</K[{elements}]>>");
        let shown = tree(&[&root, &format!("({text})")], &Limits::default()).unwrap();
        let bytes = shown.matches('x').count();
        assert_eq!(bytes, TEXT_BYTES_MAX);
    }
}
