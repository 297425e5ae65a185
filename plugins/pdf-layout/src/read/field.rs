//! The values of form fields.
//!
//! Invariant: a field's dictionary is read once, however many widgets it has, and its parents are
//! followed no further than [`PARENTS_MAX`].

use std::collections::BTreeMap;

use hayro_syntax::Pdf;
use hayro_syntax::object::{Array, Dict, Name, Object, ObjectIdentifier, String as PdfString};

use super::annotation::{LABEL_CHARS_MAX, TEXT_CHARS_MAX};
use super::text_string;

/// Fields within fields.
const PARENTS_MAX: usize = 32;
/// Options of a choice that are searched for its value, and values that are shown.
const OPTIONS_MAX: usize = 1_000;
/// `/Ff` of a text field: what is typed is not to be seen.
const FLAG_PASSWORD: i32 = 1 << 13;
/// `/Ff` of a button: it has no value.
const FLAG_PUSH_BUTTON: i32 = 1 << 16;
/// The state of a box that is not ticked.
const OFF: &[u8] = b"Off";

/// The value of a field.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value {
    /// What the field is called: its description for people, or its full name.
    pub(super) label: Option<String>,
    /// The value, never empty.
    pub(super) text: String,
}

/// The fields of a document.
pub(super) struct Fields<'a> {
    pdf: &'a Pdf,
    known: BTreeMap<ObjectIdentifier, Field<'a>>,
}

/// What a field has of its own or from its parents.
#[derive(Clone, Default)]
struct Field<'a> {
    name: Option<String>,
    description: Option<String>,
    kind: Option<Name<'a>>,
    flags: i32,
    value: Option<Object<'a>>,
    options: Option<Array<'a>>,
}

impl<'a> Field<'a> {
    /// What a dictionary below this field has.
    fn within(&self, dict: &Dict<'a>) -> Self {
        let line = |key: &str| {
            let text = dict.get::<PdfString<'_>>(key)?;
            text_string::line(&text, LABEL_CHARS_MAX)
        };
        let name = match (&self.name, line("T")) {
            (Some(parent), Some(own)) => {
                text_string::line_of(&format!("{parent}.{own}"), LABEL_CHARS_MAX)
            }
            (parent, own) => own.or_else(|| parent.clone()),
        };
        Self {
            name,
            description: line("TU").or_else(|| self.description.clone()),
            kind: dict.get("FT").or_else(|| self.kind.clone()),
            flags: dict.get("Ff").unwrap_or(self.flags),
            value: dict.get("V").or_else(|| self.value.clone()),
            options: dict.get("Opt").or_else(|| self.options.clone()),
        }
    }
}

impl<'a> Fields<'a> {
    pub(super) fn new(pdf: &'a Pdf) -> Self {
        Self {
            pdf,
            known: BTreeMap::new(),
        }
    }

    /// The value that a widget shows; `None` if there is none, or none for people to see.
    pub(super) fn value(&mut self, widget: &Dict<'a>) -> Option<Value> {
        let field = self.parent(widget).within(widget);
        let text = match field.kind.as_ref().map(AsRef::<[u8]>::as_ref) {
            Some(b"Btn") => button(&field, widget),
            Some(b"Ch") => choice(&field),
            Some(b"Tx") if field.flags & FLAG_PASSWORD == 0 => typed(field.value.as_ref()?),
            _ => None,
        };
        Some(Value {
            text: text?,
            label: field.description.or(field.name),
        })
    }

    fn parent(&mut self, dict: &Dict<'a>) -> Field<'a> {
        let mut unread = Vec::new();
        let mut next = dict.get_ref("Parent").map(ObjectIdentifier::from);
        let mut field = Field::default();
        while let Some(id) = next {
            if let Some(known) = self.known.get(&id) {
                field = known.clone();
                break;
            }
            if unread.len() >= PARENTS_MAX {
                break;
            }
            let Some(parent) = self.pdf.xref().get::<Dict<'_>>(id) else {
                break;
            };
            next = parent.get_ref("Parent").map(ObjectIdentifier::from);
            unread.push((id, parent));
        }
        for (id, parent) in unread.into_iter().rev() {
            field = field.within(&parent);
            self.known.insert(id, field.clone());
        }
        field
    }
}

fn typed(value: &Object<'_>) -> Option<String> {
    match value {
        Object::String(text) => text_string::lines(text, TEXT_CHARS_MAX),
        _ => None,
    }
}

/// What people see of the options that are chosen.
fn choice(field: &Field<'_>) -> Option<String> {
    let mut shown = BTreeMap::new();
    let options = field.options.iter().flat_map(Array::iter::<Object<'_>>);
    for option in options.take(OPTIONS_MAX) {
        // The second of a pair is what people see of the first.
        if let Object::Array(pair) = option {
            let mut pair = pair.iter::<PdfString<'_>>();
            if let (Some(exported), Some(text)) = (pair.next(), pair.next()) {
                shown.entry(exported.as_bytes().to_vec()).or_insert(text);
            }
        }
    }
    let text = |value: PdfString<'_>| {
        let text = shown.get(value.as_bytes()).unwrap_or(&value);
        text_string::line(text, LABEL_CHARS_MAX)
    };
    match field.value.as_ref()? {
        Object::String(value) => text(value.clone()),
        Object::Array(values) => {
            let values = values.iter::<PdfString<'_>>().take(OPTIONS_MAX);
            let chosen: Vec<String> = values.filter_map(text).collect();
            text_string::line_of(&chosen.join(", "), TEXT_CHARS_MAX)
        }
        _ => None,
    }
}

/// The name of the state of a box or a radio button that is on.
fn button(field: &Field<'_>, widget: &Dict<'_>) -> Option<String> {
    if field.flags & FLAG_PUSH_BUTTON != 0 {
        return None;
    }
    let state = match widget.get::<Name<'_>>("AS") {
        Some(state) => state,
        None => field.value.clone()?.into_name()?,
    };
    if state.as_ref() == OFF {
        return None;
    }
    // The states of a group may be numbers; its options then say what they mean.
    let named = field.options.as_ref().and_then(|options| {
        let at: usize = std::str::from_utf8(&state).ok()?.parse().ok()?;
        let option = options.iter::<PdfString<'_>>().take(OPTIONS_MAX).nth(at)?;
        text_string::line(&option, LABEL_CHARS_MAX)
    });
    named.or_else(|| text_string::line(&state, LABEL_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::two_pages;
    use super::*;

    /// Label and value of the widget that is object 5.
    fn value(objects: &[&str]) -> Option<(Option<String>, String)> {
        let pdf = two_pages("", "", objects);
        let widget = pdf
            .xref()
            .get::<Dict<'_>>(ObjectIdentifier::new(5, 0))
            .unwrap();
        let value = Fields::new(&pdf).value(&widget)?;
        Some((value.label, value.text))
    }

    fn check(objects: &[&str], expected: Option<(&str, &str)>) {
        let expected = expected.map(|(label, text)| {
            (
                (!label.is_empty()).then(|| label.to_owned()),
                text.to_owned(),
            )
        });
        assert_eq!(value(objects), expected, "{objects:?}");
    }

    #[test]
    fn text_fields() {
        check(&["<</FT/Tx/T(a)/V(x\ny)>>"], Some(("a", "x\ny")));
        check(
            &["<</FT/Tx/T(a)/TU(Your name)/V<FEFF00E9>>>"],
            Some(("Your name", "é")),
        );
        check(&["<</FT/Tx/V(x)>>"], Some(("", "x")));
        check(&["<</FT/Tx/T(a)/V( )>>"], None);
        check(&["<</FT/Tx/T(a)>>"], None);
        check(&["<</FT/Tx/T(a)/V(secret)/Ff 8192>>"], None);
        check(&["<</FT/Sig/T(a)/V(x)>>"], None);
        check(&["<</T(a)/V(x)>>"], None);
        let parent = "<</T(p)/FT/Tx/V(x)/Ff 4096>>";
        check(&["<</Parent 6 0 R>>", parent], Some(("p", "x")));
        check(
            &["<</T(a)/Parent 6 0 R/V(own)>>", parent],
            Some(("p.a", "own")),
        );
        let secret = "<</T(p)/FT/Tx/V(x)/Ff 8192>>";
        check(&["<</T(a)/Parent 6 0 R/V(own)>>", secret], None);
    }

    #[test]
    fn choices() {
        check(&["<</FT/Ch/T(a)/V(x)/Opt[(x)(y)]>>"], Some(("a", "x")));
        check(
            &["<</FT/Ch/T(a)/V(x)/Opt[[(x)(An X)](y)]>>"],
            Some(("a", "An X")),
        );
        check(
            &["<</FT/Ch/T(a)/V[(x)(y)(z)]/Opt[[(x)(An X)](y)]>>"],
            Some(("a", "An X, y, z")),
        );
        check(&["<</FT/Ch/T(a)/V[]>>"], None);
    }

    #[test]
    fn buttons() {
        check(&["<</FT/Btn/T(a)/AS/Yes>>"], Some(("a", "Yes")));
        check(&["<</FT/Btn/T(a)/AS/Off/V/Yes>>"], None);
        check(&["<</FT/Btn/T(a)/V/Yes>>"], Some(("a", "Yes")));
        check(&["<</FT/Btn/T(a)>>"], None);
        check(&["<</FT/Btn/T(a)/AS/Yes/Ff 65536>>"], None);
        let group = "<</FT/Btn/T(p)/V/1/Opt[(red)(green)]>>";
        check(&["<</AS/1/Parent 6 0 R>>", group], Some(("p", "green")));
        check(&["<</AS/9/Parent 6 0 R>>", group], Some(("p", "9")));
    }

    #[test]
    fn parents_are_bounded() {
        // Objects 5 and on, each the child of the next, the last with the value.
        let chain = |parents: usize| {
            let mut objects: Vec<String> = (0..parents)
                .map(|at| format!("<</Parent {} 0 R>>", at + 6))
                .collect();
            objects.push("<</FT/Tx/V(x)>>".to_owned());
            let objects: Vec<&str> = objects.iter().map(String::as_str).collect();
            value(&objects).is_some()
        };
        assert!(chain(PARENTS_MAX));
        assert!(!chain(PARENTS_MAX + 1));
        let cycle = ["<</T(a)/Parent 6 0 R>>", "<</FT/Tx/V(x)/Parent 6 0 R>>"];
        check(&cycle, Some(("a", "x")));
    }
}
