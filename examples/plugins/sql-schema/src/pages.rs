//! The pages: an overview, and one for each table.

use std::fmt::Write as _;

use crate::dialect::Flavour;
use crate::elements::{Column, ForeignKey};
use crate::markdown::{escaped, fenced, slug, table};
use crate::schema::{Schema, Table};

/// Relations that the overview lists; each table's page has its own.
const RELATIONS_MAX: usize = 1_000;

/// Who refers to a table: the table and the key.
type Referrers<'a> = Vec<Vec<(usize, &'a ForeignKey)>>;

/// The path of a table's page: told apart by the number, so that names may be anything.
pub(crate) fn path(schema: &Schema, at: usize) -> String {
    let slug = slug(&schema.tables[at].name.shown());
    format!("tables/{:04}/{slug}.md", at + 1)
}

/// Which keys refer to which table, by the table's number.
pub(crate) fn referrers(schema: &Schema) -> Referrers<'_> {
    let mut referrers: Referrers<'_> = vec![Vec::new(); schema.tables.len()];
    for (from, table) in schema.tables.iter().enumerate() {
        for key in &table.foreign_keys {
            if let Some(to) = schema.find(&key.table) {
                referrers[to].push((from, key));
            }
        }
    }
    referrers
}

/// The overview.
pub(crate) fn main_page(schema: &Schema, title: &str, flavour: Flavour) -> String {
    let views = schema
        .definitions
        .iter()
        .filter(|definition| definition.kind == "view")
        .count();
    let columns: usize = schema.tables.iter().map(|table| table.columns.len()).sum();
    let keys: usize = schema
        .tables
        .iter()
        .map(|table| table.foreign_keys.len())
        .sum();
    let mut page = format!("# {}\n\n", escaped(title));
    let counts = [
        (schema.tables.len(), "table", "tables"),
        (columns, "column", "columns"),
        (keys, "foreign key", "foreign keys"),
        (views, "view", "views"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    page.push_str(&counts.join(", "));
    if let Some(database) = flavour.name() {
        page.push_str(&format!("; a dump of {database}"));
    }
    page.push_str(".\n");
    if !schema.tables.is_empty() {
        page.push_str("\n## Tables\n\n");
        page.push_str(&overview_table(schema));
    }
    if keys > 0 {
        page.push_str("\n## Relations\n\n");
        relations(&mut page, schema);
    }
    for (kind, heading) in [("view", "Views"), ("type", "Types")] {
        let mut of_kind = schema
            .definitions
            .iter()
            .filter(|d| d.kind == kind)
            .peekable();
        if of_kind.peek().is_some() {
            page.push_str(&format!("\n## {heading}\n"));
        }
        for definition in of_kind {
            page.push_str(&format!("\n### {}\n\n", escaped(&definition.name.shown())));
            comment(&mut page, definition.comment.as_deref());
            page.push_str(&fenced(&definition.sql));
        }
    }
    page
}

fn overview_table(schema: &Schema) -> String {
    let rows: Vec<Vec<String>> = schema
        .tables
        .iter()
        .enumerate()
        .map(|(at, table)| {
            vec![
                link(schema, at),
                table.columns.len().to_string(),
                (table.indexes.len()).to_string(),
                table.foreign_keys.len().to_string(),
                escaped(table.comment.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    table(
        &["Table", "Columns", "Indexes", "Foreign keys", "Comment"],
        &rows,
    )
}

fn relations(page: &mut String, schema: &Schema) {
    let mut left_out = 0usize;
    let mut listed = 0usize;
    for (at, table) in schema.tables.iter().enumerate() {
        for key in &table.foreign_keys {
            if listed == RELATIONS_MAX {
                left_out += 1;
                continue;
            }
            listed += 1;
            line(
                page,
                format_args!("- {}: {}", link(schema, at), refers(schema, key)),
            );
        }
    }
    if left_out > 0 {
        line(page, format_args!("- and {left_out} more"));
    }
}

/// The page of the table number `at`.
pub(crate) fn table_page(schema: &Schema, at: usize, referrers: &Referrers<'_>) -> String {
    let table = &schema.tables[at];
    let mut page = format!("# {}\n\n", escaped(&table.name.shown()));
    comment(&mut page, table.comment.as_deref());
    if let Some(note) = &table.note {
        line(&mut page, format_args!("Note: {}.\n", escaped(note)));
    }
    line(
        &mut page,
        format_args!("Defined at line {} of the dump.", table.line),
    );
    if !table.columns.is_empty() {
        page.push_str("\n## Columns\n\n");
        page.push_str(&columns(schema, table));
    }
    section(&mut page, "Keys and rules", &rules(table));
    let indexes: Vec<String> = table
        .indexes
        .iter()
        .map(|index| {
            let unique = if index.unique { "unique " } else { "" };
            let method = if index.method.is_empty() {
                String::new()
            } else {
                format!("{} ", index.method)
            };
            let name = if index.name.is_empty() {
                "(unnamed)"
            } else {
                &index.name
            };
            format!(
                "{}: {}",
                escaped(name),
                escaped(&format!("{unique}{method}({})", index.columns))
            )
        })
        .collect();
    section(&mut page, "Indexes", &indexes);
    let out: Vec<String> = table
        .foreign_keys
        .iter()
        .map(|key| refers(schema, key))
        .collect();
    section(&mut page, "Refers to", &out);
    let back: Vec<String> = referrers[at]
        .iter()
        .map(|(from, key)| format!("{}: {}", link(schema, *from), names(&key.columns)))
        .collect();
    section(&mut page, "Referred to by", &back);
    page
}

fn columns(schema: &Schema, of: &Table) -> String {
    let rows: Vec<Vec<String>> = of
        .columns
        .iter()
        .map(|column| {
            let primary = of
                .primary_key
                .iter()
                .any(|name| name.eq_ignore_ascii_case(&column.name));
            vec![
                escaped(&column.name),
                escaped(&column.data_type),
                if column.not_null || primary {
                    "no"
                } else {
                    "yes"
                }
                .to_owned(),
                escaped(column.default.as_deref().unwrap_or_default()),
                key(schema, of, column, primary),
                notes(column),
            ]
        })
        .collect();
    table(
        &["Column", "Type", "Null", "Default", "Key", "Notes"],
        &rows,
    )
}

fn key(schema: &Schema, of: &Table, column: &Column, primary: bool) -> String {
    let mut keys = Vec::new();
    if primary {
        keys.push("primary".to_owned());
    }
    if column.unique {
        keys.push("unique".to_owned());
    }
    let of_column = of
        .foreign_keys
        .iter()
        .filter(|key| key.columns == [column.name.as_str()]);
    for key in of_column {
        let link = format!("→ {}", target(schema, key));
        if !keys.contains(&link) {
            keys.push(link);
        }
    }
    keys.join(", ")
}

fn notes(column: &Column) -> String {
    let comment = column.comment.iter();
    let notes: Vec<String> = comment
        .chain(&column.notes)
        .map(|note| escaped(note))
        .collect();
    notes.join("; ")
}

fn rules(table: &Table) -> Vec<String> {
    let mut rules = Vec::new();
    if !table.primary_key.is_empty() {
        rules.push(format!("Primary key: {}", names(&table.primary_key)));
    }
    rules.extend(
        table
            .checks
            .iter()
            .map(|rule| format!("Rule: {}", escaped(rule))),
    );
    rules
}

/// A key: its columns, the table they refer to, and the columns there.
fn refers(schema: &Schema, key: &ForeignKey) -> String {
    let mut text = format!("{} → {}", names(&key.columns), target(schema, key));
    if !key.referred.is_empty() {
        text.push_str(&format!(" ({})", names(&key.referred)));
    }
    if !key.actions.is_empty() {
        text.push_str(&format!(", {}", key.actions));
    }
    text
}

/// The table that a key refers to: a link if it is in this file.
fn target(schema: &Schema, key: &ForeignKey) -> String {
    match schema.find(&key.table) {
        Some(at) => link(schema, at),
        None => escaped(&key.table.shown()),
    }
}

fn link(schema: &Schema, at: usize) -> String {
    let name = escaped(&schema.tables[at].name.shown());
    format!("[{name}](kbhost-output:{})", path(schema, at))
}

fn names(names: &[String]) -> String {
    names
        .iter()
        .map(|name| escaped(name))
        .collect::<Vec<_>>()
        .join(", ")
}

fn comment(page: &mut String, comment: Option<&str>) {
    if let Some(comment) = comment.map(escaped).filter(|comment| !comment.is_empty()) {
        line(page, format_args!("Comment: {comment}\n"));
    }
}

fn section(page: &mut String, heading: &str, entries: &[String]) {
    if entries.is_empty() {
        return;
    }
    page.push_str(&format!("\n## {heading}\n\n"));
    for entry in entries {
        line(page, format_args!("- {entry}"));
    }
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes all");
    page.push('\n');
}
