//! Where links and bookmarks lead: explicit and named destinations, and the actions that go to one.
//!
//! Invariant: the tree of names is walked once, each node once, and a destination is read once.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use hayro_syntax::Pdf;
use hayro_syntax::object::{Array, Dict, MaybeRef, Name, Object, ObjectIdentifier};
use hayro_syntax::page::Page;

use crate::limits::Limits;

/// The longest name of a destination, in bytes: names that programs make are a fraction of it.
const NAME_BYTES_MAX: usize = 512;
/// A name that stands for a name, and so on: no program writes more than one.
const NAME_CHAIN_MAX: u32 = 4;
/// Larger pages are not shown by any program: 200 inches.
const PAGE_POINTS_MAX: f64 = 14_400.0;

/// The numbers of the pages by the objects that they are.
#[derive(Debug)]
pub(crate) struct PageIndex {
    numbers: BTreeMap<ObjectIdentifier, u32>,
    count: u32,
}

impl PageIndex {
    /// The pages of a document.
    #[must_use]
    pub(crate) fn new(pdf: &Pdf) -> Self {
        let mut numbers = BTreeMap::new();
        let mut count = 0_u32;
        for page in pdf.pages().iter() {
            count = count.saturating_add(1);
            if let Some(id) = page.raw().obj_id() {
                numbers.entry(id).or_insert(count);
            }
        }
        Self { numbers, count }
    }

    /// The number of a page, from 1.
    #[must_use]
    pub(crate) fn number(&self, id: ObjectIdentifier) -> Option<u32> {
        self.numbers.get(&id).copied()
    }

    /// The number of the page at an index from 0.
    fn number_at(&self, index: i32) -> Option<u32> {
        let number = u32::try_from(index).ok()?.checked_add(1)?;
        (number <= self.count).then_some(number)
    }
}

/// A place in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The page, from 1.
    pub(crate) page: u32,
    /// How far down that page, in points from its top.
    pub(crate) y: Option<u32>,
}

/// The destinations of a document.
pub(crate) struct Destinations<'a> {
    pdf: &'a Pdf,
    pages: PageIndex,
    names_max: usize,
    named: OnceCell<BTreeMap<Vec<u8>, MaybeRef<Object<'a>>>>,
    /// What objects that are destinations of their own lead to: many links share one.
    read: RefCell<BTreeMap<ObjectIdentifier, Option<Destination>>>,
}

impl<'a> Destinations<'a> {
    /// The destinations of a document, none of them read yet.
    #[must_use]
    pub(crate) fn new(pdf: &'a Pdf, limits: &Limits) -> Self {
        Self {
            pdf,
            pages: PageIndex::new(pdf),
            names_max: limits.names as usize,
            named: OnceCell::new(),
            read: RefCell::default(),
        }
    }

    /// The numbers of the pages.
    #[must_use]
    pub(crate) fn pages(&self) -> &PageIndex {
        &self.pages
    }

    /// Where a bookmark or a link leads within the document: its `/Dest`, or its action if that goes
    /// to one.
    #[must_use]
    pub(crate) fn of_item(&self, item: &Dict<'a>) -> Option<Destination> {
        if let Some(target) = item.get_raw::<Object<'_>>("Dest") {
            return self.resolve(target, 0);
        }
        let action = item.get::<Dict<'_>>("A")?;
        let kind = action.get::<Name<'_>>("S")?;
        if kind.as_ref() != b"GoTo" {
            return None;
        }
        self.resolve(action.get_raw::<Object<'_>>("D")?, 0)
    }

    fn resolve(&self, target: MaybeRef<Object<'a>>, names: u32) -> Option<Destination> {
        let id = match target {
            MaybeRef::NotRef(object) => return self.resolve_object(object, names),
            MaybeRef::Ref(reference) => ObjectIdentifier::from(reference),
        };
        if let Some(known) = self.read.borrow().get(&id) {
            return *known;
        }
        let object = self.pdf.xref().get::<Object<'_>>(id);
        let destination = object.and_then(|object| self.resolve_object(object, names));
        self.read.borrow_mut().insert(id, destination);
        destination
    }

    fn resolve_object(&self, object: Object<'a>, names: u32) -> Option<Destination> {
        match object {
            Object::Array(array) => self.explicit(&array),
            // A named destination may be a dictionary around its array.
            Object::Dict(dict) => self.explicit(&dict.get::<Array<'_>>("D")?),
            Object::String(name) => self.named(&name, names),
            Object::Name(name) => self.named(&name, names),
            _ => None,
        }
    }

    fn named(&self, name: &[u8], names: u32) -> Option<Destination> {
        if names >= NAME_CHAIN_MAX {
            return None;
        }
        let all = self.named.get_or_init(|| self.read_names());
        let target = match all.get(name)? {
            MaybeRef::Ref(reference) => MaybeRef::Ref(*reference),
            MaybeRef::NotRef(object) => MaybeRef::NotRef(object.clone()),
        };
        self.resolve(target, names + 1)
    }

    fn read_names(&self) -> BTreeMap<Vec<u8>, MaybeRef<Object<'a>>> {
        let mut named = BTreeMap::new();
        let xref = self.pdf.xref();
        let Some(catalog) = xref.get::<Dict<'_>>(xref.root_id()) else {
            return named;
        };
        if let Some(dests) = catalog.get::<Dict<'_>>("Dests") {
            for (name, target) in dests.entries().take(self.names_max) {
                insert_name(&mut named, name.as_ref(), target);
            }
        }
        let tree = catalog
            .get::<Dict<'_>>("Names")
            .and_then(|names| names.get::<Dict<'_>>("Dests"));
        if let Some(root) = tree {
            self.read_name_tree(root, &mut named);
        }
        named
    }

    fn read_name_tree(&self, root: Dict<'a>, named: &mut BTreeMap<Vec<u8>, MaybeRef<Object<'a>>>) {
        let mut visited = BTreeSet::new();
        let mut nodes = vec![root];
        let mut budget = self.names_max;
        while let Some(node) = nodes.pop() {
            if let Some(names) = node.get::<Array<'_>>("Names") {
                let mut items = names.raw_iter();
                while let (Some(name), Some(target)) = (items.next(), items.next()) {
                    if budget == 0 {
                        return;
                    }
                    budget -= 1;
                    if let Some(Object::String(name)) = self.object(name) {
                        insert_name(named, &name, target);
                    }
                }
            }
            let kids = node.get::<Array<'_>>("Kids");
            for kid in kids.iter().flat_map(Array::raw_iter) {
                if let Some(reference) = kid.as_obj_ref()
                    && !visited.insert(ObjectIdentifier::from(reference))
                {
                    continue;
                }
                if budget == 0 {
                    return;
                }
                budget -= 1;
                nodes.extend(self.object(kid).and_then(Object::into_dict));
            }
        }
    }

    fn object(&self, item: MaybeRef<Object<'a>>) -> Option<Object<'a>> {
        match item {
            MaybeRef::Ref(reference) => self.pdf.xref().get(reference.into()),
            MaybeRef::NotRef(object) => Some(object),
        }
    }

    /// `[page /XYZ left top zoom]` and its kin.
    fn explicit(&self, array: &Array<'a>) -> Option<Destination> {
        let mut items = array.raw_iter();
        let number = match items.next()? {
            MaybeRef::Ref(reference) => self.pages.number(reference.into())?,
            // For other documents only, but written for this one too.
            MaybeRef::NotRef(object) => self.pages.number_at(object.into_i32()?)?,
        };
        let page = self.pdf.pages().get(number as usize - 1)?;
        let kind = items.next().and_then(|kind| self.object(kind));
        let mut numbers = items.map(|item| self.object(item).and_then(Object::into_f32));
        let kind = kind.and_then(Object::into_name);
        let (left, top) = match kind.as_ref().map(AsRef::<[u8]>::as_ref) {
            Some(b"XYZ") => (numbers.next().flatten(), numbers.next().flatten()),
            Some(b"FitH" | b"FitBH") => (None, numbers.next().flatten()),
            Some(b"FitR") => (numbers.next().flatten(), numbers.nth(2).flatten()),
            Some(b"FitV" | b"FitBV") => (numbers.next().flatten(), None),
            _ => (None, None),
        };
        Some(Destination {
            page: number,
            y: y_from_top(page, left, top),
        })
    }
}

fn insert_name<'a>(
    named: &mut BTreeMap<Vec<u8>, MaybeRef<Object<'a>>>,
    name: &[u8],
    target: MaybeRef<Object<'a>>,
) {
    if name.len() <= NAME_BYTES_MAX {
        named.entry(name.to_vec()).or_insert(target);
    }
}

/// How far down the page as it is shown the corner of a destination lies. Of a page turned by a
/// quarter, its left is what counts.
fn y_from_top(page: &Page<'_>, left: Option<f32>, top: Option<f32>) -> Option<u32> {
    let [_, b, _, d, _, f] = page.initial_transform(true).as_coeffs();
    let (x, y) = if b.abs() > d.abs() {
        (f64::from(left?), 0.0)
    } else {
        (0.0, f64::from(top?))
    };
    let shown = b * x + d * y + f;
    let height = f64::from(page.render_dimensions().1).clamp(0.0, PAGE_POINTS_MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a page"
    )]
    let points = shown.clamp(0.0, height).round() as u32;
    shown.is_finite().then_some(points)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::two_pages;
    use super::*;

    /// Where `/Dest` or `/A` of an item leads, in a document with this catalog.
    fn lead(
        catalog: &str,
        item: &str,
        more: &[&str],
        limits: &Limits,
    ) -> Option<(u32, Option<u32>)> {
        let item = format!("<<{item}>>");
        let objects: Vec<&str> = std::iter::once(item.as_str())
            .chain(more.iter().copied())
            .collect();
        let pdf = two_pages(catalog, "", &objects);
        let item = pdf
            .xref()
            .get::<Dict<'_>>(ObjectIdentifier::new(5, 0))
            .unwrap();
        let destinations = Destinations::new(&pdf, limits);
        destinations
            .of_item(&item)
            .map(|found| (found.page, found.y))
    }

    #[test]
    fn explicit_destinations() {
        let check = |item: &str, expected| {
            assert_eq!(lead("", item, &[], &Limits::default()), expected, "{item}");
        };
        check("/Dest[3 0 R/XYZ 10 700 null]", Some((1, Some(100))));
        check("/Dest[3 0 R/XYZ null null 0]", Some((1, None)));
        check("/Dest[3 0 R/FitH 800]", Some((1, Some(0))));
        check("/Dest[3 0 R/FitR 0 0 10 300]", Some((1, Some(500))));
        check("/Dest[3 0 R/Fit]", Some((1, None)));
        check("/Dest[3 0 R]", Some((1, None)));
        check("/A<</S/GoTo/D[3 0 R/XYZ 0 -5 0]>>", Some((1, Some(800))));
        // The second page is turned: what was left is up.
        check("/Dest[4 0 R/XYZ 120 700 0]", Some((2, Some(120))));
        check("/Dest[1/Fit]", Some((2, None)));
        check("/Dest[2/Fit]", None);
        check("/Dest[-1/Fit]", None);
        check("/Dest[2 0 R/Fit]", None);
        check("/Dest[]", None);
        check("/Dest null", None);
        check("/A<</S/GoToR/D[3 0 R/Fit]>>", None);
        check("/A<</S/Launch/F(calc.exe)>>", None);
    }

    #[test]
    fn named_destinations() {
        let tree = [
            "<</Kids[7 0 R 8 0 R]>>",
            "<</Names[(a)[3 0 R/Fit](b)9 0 R]/Limits[(a)(b)]>>",
            // A node that is its own kid, and the root's.
            "<</Names[(c)<</D[4 0 R/Fit]>>]/Kids[8 0 R 6 0 R]>>",
            "[4 0 R/FitH 5]",
        ];
        let check = |dest: &str, expected| {
            for catalog in [
                "/Names<</Dests 6 0 R>>",
                "/Dests<</x/x/y(a)/z 9 0 R>>/Names<</Dests 6 0 R>>",
            ] {
                let item = format!("/Dest{dest}");
                assert_eq!(
                    lead(catalog, &item, &tree, &Limits::default()),
                    expected,
                    "{item}"
                );
            }
        };
        check("(a)", Some((1, None)));
        check("(b)", Some((2, None)));
        check("(c)", Some((2, None)));
        check("/a", Some((1, None)));
        check("(missing)", None);
        let both = "/Dests<</x/x/y(a)/z 9 0 R>>/Names<</Dests 6 0 R>>";
        let check = |dest: &str, expected| {
            assert_eq!(
                lead(both, dest, &tree, &Limits::default()),
                expected,
                "{dest}"
            );
        };
        // A name for itself, and one for another.
        check("/Dest/x", None);
        check("/Dest/y", Some((1, None)));
        check("/Dest/z", Some((2, None)));
    }

    #[test]
    fn names_are_bounded() {
        let names: String = (0..100).map(|at| format!("({at:03})[3 0 R/Fit]")).collect();
        let tree = format!("<</Names[{names}]>>");
        let limits = Limits {
            names: 50,
            ..Limits::default()
        };
        let check = |name: &str, expected| {
            let item = format!("/Dest{name}");
            assert_eq!(
                lead("/Names<</Dests 6 0 R>>", &item, &[&tree], &limits),
                expected
            );
        };
        check("(049)", Some((1, None)));
        check("(050)", None);
    }
}
