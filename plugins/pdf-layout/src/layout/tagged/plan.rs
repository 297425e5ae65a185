//! What the structure tree says, in order: parts of a text with the content that each consists of.
//!
//! Invariant: content is named by one part only, the first that has it.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::block::Role;
use crate::page::{Element, ElementKid};

/// Columns of a table; more are a mistake.
const COLUMNS_MAX: usize = 200;
/// The deepest heading.
const LEVEL_MAX: u8 = 6;
/// Lists within lists.
const DEPTH_MAX: u8 = 8;
/// Elements within elements that are walked; the reader reads no deeper ones.
const NESTING_MAX: usize = 128;

/// Marked content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The place of its page in the document.
    pub page: usize,
    /// Its id there.
    pub id: u32,
}

/// What a part is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Text of this role.
    Text(Role),
    /// An item of a list, nested so deep.
    Item(u8),
    /// A table.
    Table(Vec<Row>),
    /// A picture with the text that stands for it.
    Figure(String),
}

/// A row of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Its cells.
    pub cells: Vec<PlannedCell>,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PlannedCell {
    /// What it consists of.
    pub content: Vec<Place>,
    /// Columns that it spans.
    pub columns: u16,
    /// Rows that it spans.
    pub rows: u16,
}

/// A part of the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// What it consists of, in order.
    pub content: Vec<Place>,
}

/// The parts of a tree.
#[must_use]
pub fn of(root: &Element) -> Vec<Part> {
    let mut plan = Plan::default();
    plan.flow(root, &Context::default());
    plan.flush(&Kind::Text(Role::Paragraph));
    plan.parts
}

/// All content that parts name.
#[must_use]
pub fn places(parts: &[Part]) -> BTreeSet<Place> {
    parts
        .iter()
        .flat_map(|part| part.content.iter().copied())
        .collect()
}

/// The texts that stand for pictures, by the content they are of.
#[must_use]
pub fn alternatives(parts: &[Part]) -> BTreeMap<Place, String> {
    let mut alternatives = BTreeMap::new();
    for part in parts {
        if let Kind::Figure(alternative) = &part.kind {
            for place in &part.content {
                alternatives.insert(*place, alternative.clone());
            }
        }
    }
    alternatives
}

/// How many columns a table has.
#[must_use]
pub fn columns(rows: &[Row]) -> usize {
    let widths = rows.iter().map(|row| {
        let spans = row
            .cells
            .iter()
            .map(|cell| usize::from(cell.columns.max(1)));
        spans.sum::<usize>()
    });
    widths.max().unwrap_or(0).min(COLUMNS_MAX)
}

/// Where in the tree an element is.
#[derive(Clone, Debug)]
struct Context {
    /// What content of its own is.
    kind: Kind,
    /// Sections around it.
    sections: u8,
    /// Lists around it.
    lists: u8,
    /// Elements around it.
    nesting: usize,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            kind: Kind::Text(Role::Paragraph),
            sections: 0,
            lists: 0,
            nesting: 0,
        }
    }
}

#[derive(Default)]
struct Plan {
    parts: Vec<Part>,
    run: Vec<Place>,
    seen: BTreeSet<Place>,
}

impl Plan {
    /// Ends the part that is being gathered.
    fn flush(&mut self, kind: &Kind) {
        if !self.run.is_empty() {
            self.parts.push(Part {
                kind: kind.clone(),
                content: std::mem::take(&mut self.run),
            });
        }
    }

    fn content(&mut self, page: u32, id: u32) {
        let place = page
            .checked_sub(1)
            .and_then(|page| usize::try_from(page).ok());
        let Some(page) = place else {
            return;
        };
        let place = Place { page, id };
        if self.seen.insert(place) {
            self.run.push(place);
        }
    }

    /// Walks what an element consists of.
    fn flow(&mut self, element: &Element, context: &Context) {
        if context.nesting > NESTING_MAX {
            return;
        }
        for kid in &element.kids {
            match kid {
                ElementKid::Content { page, id } => self.content(*page, *id),
                ElementKid::Element(kid) => self.element(kid, context),
            }
        }
    }

    fn element(&mut self, element: &Element, context: &Context) {
        let nested = Context {
            nesting: context.nesting + 1,
            ..context.clone()
        };
        let role = element.role.as_str();
        let kind = match role {
            "Table" => {
                self.flush(&context.kind);
                return self.table(element, &nested);
            }
            "Figure" => Kind::Figure(element.alternative.clone().unwrap_or_default()),
            "L" => {
                let kind = Kind::Text(Role::Paragraph);
                let lists = (context.lists + 1).min(DEPTH_MAX);
                return self.apart(
                    element,
                    context,
                    Context {
                        kind,
                        lists,
                        ..nested
                    },
                );
            }
            "LI" => Kind::Item(context.lists.saturating_sub(1)),
            "Sect" | "Part" | "Art" | "Div" | "Document" | "DocumentFragment" | "Aside" | "TOC"
            | "BlockQuote" | "Index" | "Form" => {
                let is_section = role == "Sect";
                let sections = context.sections.saturating_add(u8::from(is_section));
                let kind = Kind::Text(Role::Paragraph);
                return self.apart(
                    element,
                    context,
                    Context {
                        kind,
                        sections,
                        ..nested
                    },
                );
            }
            // A paragraph of an item is the item.
            "P" if matches!(context.kind, Kind::Item(_)) => return self.flow(element, &nested),
            _ => match role_of(role, context.sections) {
                Some(role) => Kind::Text(role),
                // Within a line.
                None => return self.flow(element, &nested),
            },
        };
        self.apart(element, context, Context { kind, ..nested });
    }

    /// Walks an element whose content is a part of its own.
    fn apart(&mut self, element: &Element, around: &Context, within: Context) {
        self.flush(&around.kind);
        self.flow(element, &within);
        self.flush(&within.kind);
    }

    fn table(&mut self, element: &Element, context: &Context) {
        let mut rows = Vec::new();
        self.rows(element, context, &mut rows);
        rows.retain(|row: &Row| !row.cells.is_empty());
        let content: Vec<Place> = rows
            .iter()
            .flat_map(|row| &row.cells)
            .flat_map(|cell| cell.content.iter().copied())
            .collect();
        // One cell is a box around text.
        let kind = if columns(&rows) < 2 {
            Kind::Text(Role::Paragraph)
        } else {
            Kind::Table(rows)
        };
        if !content.is_empty() {
            self.parts.push(Part { kind, content });
        }
    }

    fn rows(&mut self, element: &Element, context: &Context, rows: &mut Vec<Row>) {
        if context.nesting > NESTING_MAX {
            return;
        }
        for kid in &element.kids {
            let ElementKid::Element(kid) = kid else {
                continue;
            };
            let nested = Context {
                nesting: context.nesting + 1,
                ..context.clone()
            };
            match kid.role.as_str() {
                "TR" => {
                    let row = self.row(kid, &nested);
                    rows.push(row);
                }
                "THead" | "TBody" | "TFoot" => self.rows(kid, &nested, rows),
                _ => self.element(kid, &nested),
            }
        }
        self.flush(&Kind::Text(Role::Caption));
    }

    fn row(&mut self, element: &Element, context: &Context) -> Row {
        let mut row = Row::default();
        for kid in &element.kids {
            let ElementKid::Element(cell) = kid else {
                continue;
            };
            let mut content = Vec::new();
            gather(cell, context.nesting, &mut content);
            content.retain(|place| self.seen.insert(*place));
            row.cells.push(PlannedCell {
                content,
                columns: cell.columns,
                rows: cell.rows,
            });
        }
        row
    }
}

/// All content within an element.
fn gather(element: &Element, nesting: usize, content: &mut Vec<Place>) {
    if nesting > NESTING_MAX {
        return;
    }
    for kid in &element.kids {
        match kid {
            ElementKid::Content { page, id } => {
                if let Some(page) = page.checked_sub(1) {
                    let page = usize::try_from(page).unwrap_or(usize::MAX);
                    content.push(Place { page, id: *id });
                }
            }
            ElementKid::Element(kid) => gather(kid, nesting + 1, content),
        }
    }
}

/// The role of text of a standard type; `None` for what is within a line.
fn role_of(name: &str, sections: u8) -> Option<Role> {
    let level = |name: &str| match name {
        "Title" => Some(1),
        "H" => Some(sections.clamp(1, LEVEL_MAX)),
        _ => {
            let digits = name.strip_prefix('H')?;
            digits
                .parse::<u8>()
                .ok()
                .map(|level| level.clamp(1, LEVEL_MAX))
        }
    };
    match name {
        "P" | "Formula" | "BibEntry" => Some(Role::Paragraph),
        "Caption" => Some(Role::Caption),
        "Note" | "FENote" => Some(Role::Footnote),
        "Code" => Some(Role::Code),
        "TOCI" => Some(Role::Contents),
        "Artifact" => Some(Role::Furniture),
        _ => level(name).map(Role::Heading),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn element(role: &str, kids: Vec<ElementKid>) -> Element {
        Element {
            role: role.to_owned(),
            columns: 1,
            rows: 1,
            kids,
            ..Element::default()
        }
    }

    pub(crate) fn content(id: u32) -> ElementKid {
        ElementKid::Content { page: 1, id }
    }

    pub(crate) fn within(role: &str, kids: Vec<ElementKid>) -> ElementKid {
        ElementKid::Element(element(role, kids))
    }

    fn ids(part: &Part) -> Vec<u32> {
        part.content.iter().map(|place| place.id).collect()
    }

    #[test]
    fn parts_are_in_order() {
        let root = element(
            "Document",
            vec![
                within("H2", vec![within("Span", vec![content(1)])]),
                within(
                    "P",
                    vec![content(2), within("Link", vec![content(3)]), content(2)],
                ),
                within(
                    "L",
                    vec![within(
                        "LI",
                        vec![
                            within("Lbl", vec![content(4)]),
                            within(
                                "LBody",
                                vec![
                                    within("P", vec![content(5)]),
                                    within("L", vec![within("LI", vec![content(6)])]),
                                ],
                            ),
                        ],
                    )],
                ),
                within(
                    "Sect",
                    vec![within("Sect", vec![within("H", vec![content(7)])])],
                ),
                content(8),
            ],
        );
        let parts: Vec<(Kind, Vec<u32>)> = of(&root)
            .into_iter()
            .map(|part| (part.kind.clone(), ids(&part)))
            .collect();
        assert_eq!(
            parts,
            [
                (Kind::Text(Role::Heading(2)), vec![1]),
                (Kind::Text(Role::Paragraph), vec![2, 3]),
                (Kind::Item(0), vec![4, 5]),
                (Kind::Item(1), vec![6]),
                (Kind::Text(Role::Heading(2)), vec![7]),
                (Kind::Text(Role::Paragraph), vec![8]),
            ]
        );
    }

    #[test]
    fn a_table_has_rows() {
        let cell = |id| within("TD", vec![within("P", vec![content(id)])]);
        let table = |rows| element("Document", vec![within("Table", rows)]);
        let parts = of(&table(vec![
            within("THead", vec![within("TR", vec![cell(1), cell(2)])]),
            within("TR", vec![cell(3), cell(4)]),
        ]));
        assert_eq!(ids(&parts[0]), [1, 2, 3, 4]);
        assert!(matches!(&parts[0].kind, Kind::Table(rows) if rows.len() == 2));
        let parts = of(&table(vec![
            within("TR", vec![cell(1)]),
            within("TR", vec![cell(2)]),
        ]));
        assert_eq!(parts[0].kind, Kind::Text(Role::Paragraph), "a box");
    }
}
