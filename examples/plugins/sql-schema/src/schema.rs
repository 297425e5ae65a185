//! What a dump says of its tables, views and types, statement by statement.

use std::collections::HashMap;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::dialect::Flavour;
use crate::elements::{self, Column, Element, ForeignKey, Index, Parsed};
use crate::tokens::{self, Cursor, Name, by_commas, text};
use crate::warnings::Warnings;

/// Tables that get a page. A document of more files is no document.
const TABLES_MAX: usize = 2_000;

/// Views and types that are listed.
const OTHERS_MAX: usize = 2_000;

/// Longest definition of a view or type that is shown, in characters.
const DEFINITION_CHARS_MAX: usize = 4_000;

/// Columns and constraints of all tables: each takes a few hundred bytes.
const ELEMENTS_MAX: usize = 200_000;

/// Columns of one table: more than any database allows but SQLite, if it is told to.
const COLUMNS_MAX: usize = 4_096;

/// Foreign keys of all tables. Each is a handful of links.
const FOREIGN_KEYS_MAX: usize = 20_000;

/// Columns of a key: databases allow 16 to 64.
const KEY_COLUMNS_MAX: usize = 64;

/// Statements about the schema, in bytes: memory is a few times that.
const SCHEMA_BYTES_MAX: usize = 24 << 20;

/// A table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) name: Name,
    pub(crate) line: u64,
    pub(crate) columns: Vec<Column>,
    pub(crate) primary_key: Vec<String>,
    pub(crate) foreign_keys: Vec<ForeignKey>,
    pub(crate) indexes: Vec<Index>,
    pub(crate) checks: Vec<String>,
    pub(crate) comment: Option<String>,
    /// What else it is: a partition, made from a query.
    pub(crate) note: Option<String>,
}

/// A view or a type, as it was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Definition {
    pub(crate) name: Name,
    pub(crate) kind: &'static str,
    pub(crate) sql: String,
    pub(crate) comment: Option<String>,
}

/// All that was read.
pub(crate) struct Schema {
    flavour: Flavour,
    pub(crate) tables: Vec<Table>,
    pub(crate) definitions: Vec<Definition>,
    /// The latest table of a name in folded case, with and without what qualifies it.
    by_name: HashMap<String, usize>,
    by_last_name: HashMap<String, usize>,
    elements: usize,
    foreign_keys: usize,
    bytes: usize,
    pub(crate) warnings: Warnings,
}

impl Schema {
    pub(crate) fn new(flavour: Flavour) -> Self {
        Self {
            flavour,
            tables: Vec::new(),
            definitions: Vec::new(),
            by_name: HashMap::new(),
            by_last_name: HashMap::new(),
            elements: 0,
            foreign_keys: 0,
            bytes: 0,
            warnings: Warnings::default(),
        }
    }

    /// The table of this name; one that is qualified differently counts if there is no other.
    pub(crate) fn find(&self, name: &Name) -> Option<usize> {
        let exact = self.by_name.get(&name.folded());
        exact
            .or_else(|| self.by_last_name.get(&name.last().to_lowercase()))
            .copied()
    }

    /// Takes in one statement that begins at `line`.
    pub(crate) fn take(&mut self, line: u64, sql: &str) {
        self.bytes += sql.len();
        if self.bytes > SCHEMA_BYTES_MAX {
            return self
                .warnings
                .left_out(line, "statement beyond 24 MiB of schema");
        }
        let tokens = match tokens::tokenize(sql, self.flavour) {
            Ok(tokens) => tokens,
            Err(reason) => return self.warnings.broken(line, &reason),
        };
        let mut cursor = Cursor::new(&tokens);
        let known = if cursor.eats(&["CREATE"]) {
            self.create(line, cursor, sql)
        } else if cursor.eats(&["ALTER", "TABLE"]) {
            self.alter(line, cursor)
        } else if cursor.eats(&["COMMENT", "ON"]) {
            self.comment(cursor)
        } else if cursor.eats(&["DROP", "TABLE"]) || cursor.eats(&["DROP", "VIEW"]) {
            self.drop(cursor)
        } else {
            None
        };
        if known.is_none() {
            self.unknown(line, &tokens);
        }
    }

    /// Says of a statement that it was left out, or that it is none.
    pub(crate) fn unknown(&mut self, line: u64, tokens: &[TokenWithSpan]) {
        let words: Vec<&str> = tokens
            .iter()
            .map_while(|token| match &token.token {
                Token::Word(word) if word.quote_style.is_none() => Some(word.value.as_str()),
                _ => None,
            })
            .take(4)
            .collect();
        let Some(first) = words.first() else {
            return self.warnings.broken(line, "this is no statement");
        };
        let kind = match first.to_ascii_uppercase().as_str() {
            "CREATE" | "ALTER" | "DROP" | "COMMENT" => {
                let skipped = ["OR", "REPLACE", "IF", "NOT", "ON", "DEFINER", "UNIQUE"];
                let object = words[1..].iter().find(|word| {
                    !skipped
                        .iter()
                        .any(|skipped| skipped.eq_ignore_ascii_case(word))
                });
                let object = object.copied().unwrap_or_default();
                if ["TABLE", "VIEW", "INDEX"]
                    .iter()
                    .any(|kind| kind.eq_ignore_ascii_case(object))
                {
                    return self
                        .warnings
                        .broken(line, &format!("`{first} {object}` could not be read"));
                }
                format!("{first} {object}").trim_end().to_uppercase()
            }
            word => word.to_owned(),
        };
        self.warnings.left_out(line, &kind);
    }

    fn create(&mut self, line: u64, mut cursor: Cursor<'_>, sql: &str) -> Option<()> {
        cursor.eats(&["OR", "REPLACE"]);
        for word in [
            "GLOBAL",
            "LOCAL",
            "TEMPORARY",
            "TEMP",
            "UNLOGGED",
            "FOREIGN",
            "VIRTUAL",
        ] {
            cursor.eats(&[word]);
        }
        if cursor.eats(&["TABLE"]) {
            return self.create_table(line, cursor);
        }
        if cursor.eats(&["TYPE"]) || cursor.eats(&["DOMAIN"]) {
            let name = cursor.name()?;
            self.define(line, name, "type", sql);
            return Some(());
        }
        let mut view = cursor;
        // What MySQL says between CREATE and VIEW has brackets at most, and no word `view`.
        let words = [
            "RECURSIVE",
            "MATERIALIZED",
            "ALGORITHM",
            "DEFINER",
            "SQL",
            "VIEW",
        ];
        if words.iter().any(|word| view.sees(&[word])) && view.seeks("VIEW") {
            view.eats(&["IF", "NOT", "EXISTS"]);
            let name = view.name()?;
            self.define(line, name, "view", sql);
            return Some(());
        }
        let unique = cursor.eats(&["UNIQUE"]);
        let mut method = String::new();
        for kind in ["FULLTEXT", "SPATIAL"] {
            if cursor.eats(&[kind]) {
                kind.clone_into(&mut method);
            }
        }
        cursor.eats(&["INDEX"]).then_some(())?;
        self.create_index(line, cursor, unique, method)
    }

    fn create_table(&mut self, line: u64, mut cursor: Cursor<'_>) -> Option<()> {
        let if_not_exists = cursor.eats(&["IF", "NOT", "EXISTS"]);
        let name = cursor.name()?;
        let again = self.by_name.contains_key(&name.folded());
        if again {
            let what = format!("the table `{}` is defined again", name.shown());
            self.warnings.broken(line, &what);
            if if_not_exists {
                return Some(());
            }
        }
        if self.tables.len() >= TABLES_MAX {
            self.warnings
                .left_out(line, &format!("CREATE TABLE beyond {TABLES_MAX} tables"));
            return Some(());
        }
        let mut table = Table {
            name,
            line,
            ..Table::default()
        };
        if cursor.eats(&["PARTITION", "OF"]) {
            let parent = cursor.name()?;
            table.note = Some(format!(
                "A partition of {}: {}",
                parent.shown(),
                text(cursor.rest)
            ));
        } else if cursor.eats(&["USING"]) {
            table.note = Some(format!("A virtual table: {}", text(cursor.rest)));
        } else if cursor.eats(&["LIKE"]) {
            let other = cursor.name()?;
            table.note = Some(format!("Has the columns of {}", other.shown()));
        } else if cursor.sees(&["AS"]) {
            table.note = Some(format!("Made from a query: {}", text(cursor.rest)));
        } else {
            let inner = cursor.bracketed()?;
            for part in by_commas(inner) {
                let parsed = elements::element(part, self.flavour);
                self.add(&mut table, line, part, parsed);
            }
            take_options(&mut table, cursor);
        }
        let index = self.tables.len();
        self.by_name.insert(table.name.folded(), index);
        self.by_last_name
            .insert(table.name.last().to_lowercase(), index);
        self.tables.push(table);
        Some(())
    }

    /// Adds one element to a table.
    fn add(&mut self, table: &mut Table, line: u64, part: &[TokenWithSpan], parsed: Parsed) {
        // Lines of tokens count from the statement's first.
        let line = line + Cursor::new(part).line() - 1;
        if let Some(trouble) = parsed.trouble {
            let what = format!("in the table `{}`: {trouble}", table.name.shown());
            self.warnings.broken(line, &what);
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX {
            self.warnings
                .left_out(line, &format!("declaration beyond {ELEMENTS_MAX}"));
            return;
        }
        match parsed.element {
            None => {}
            Some(Element::Column(column, reference)) => {
                self.add_column(table, line, column);
                if let Some(key) = reference {
                    self.add_foreign_key(table, line, key);
                }
            }
            Some(Element::PrimaryKey(mut columns)) => {
                columns.truncate(KEY_COLUMNS_MAX);
                table.primary_key = columns;
            }
            Some(Element::ForeignKey(key)) => self.add_foreign_key(table, line, key),
            Some(Element::Index(index)) => table.indexes.push(index),
            Some(Element::Check(rule)) => table.checks.push(rule),
            Some(Element::Like(name)) => {
                table.note = Some(format!("Has the columns of {}", name.shown()));
            }
        }
    }

    fn add_column(&mut self, table: &mut Table, line: u64, column: Column) {
        if named(&mut table.columns, &column.name).is_some() {
            let what = format!(
                "`{}` has the column `{}` already",
                table.name.shown(),
                column.name
            );
            return self.warnings.broken(line, &what);
        }
        if table.columns.len() == COLUMNS_MAX {
            return self
                .warnings
                .left_out(line, &format!("column beyond {COLUMNS_MAX} of a table"));
        }
        if column.primary {
            table.primary_key = vec![column.name.clone()];
        }
        table.columns.push(column);
    }

    fn add_foreign_key(&mut self, table: &mut Table, line: u64, mut key: ForeignKey) {
        self.foreign_keys += 1;
        if self.foreign_keys > FOREIGN_KEYS_MAX {
            return self
                .warnings
                .left_out(line, &format!("foreign key beyond {FOREIGN_KEYS_MAX}"));
        }
        key.columns.truncate(KEY_COLUMNS_MAX);
        key.referred.truncate(KEY_COLUMNS_MAX);
        table.foreign_keys.push(key);
    }

    fn create_index(
        &mut self,
        line: u64,
        mut cursor: Cursor<'_>,
        unique: bool,
        method: String,
    ) -> Option<()> {
        cursor.eats(&["CONCURRENTLY"]);
        cursor.eats(&["IF", "NOT", "EXISTS"]);
        let name = if cursor.sees(&["ON"]) {
            Name::default()
        } else {
            cursor.name()?
        };
        let mut method = method;
        if cursor.eats(&["USING"]) {
            method = cursor.identifier()?;
        }
        cursor.eats(&["ON"]).then_some(())?;
        cursor.eats(&["ONLY"]);
        let table = cursor.name()?;
        if cursor.eats(&["USING"]) {
            method = cursor.identifier()?;
        }
        let parts = by_commas(cursor.bracketed()?).map(|part| elements::plain(&text(part)));
        let mut columns = parts.collect::<Vec<_>>().join(", ");
        if !cursor.is_at_end() {
            columns = format!("{columns} {}", text(cursor.rest));
        }
        let Some(at) = self.find(&table) else {
            let what = format!("an index of `{}`, which is not in this file", table.shown());
            self.warnings.broken(line, &what);
            return Some(());
        };
        let index = Index {
            name: name.last().to_owned(),
            columns,
            unique,
            method,
        };
        self.tables[at].indexes.push(index);
        Some(())
    }

    fn define(&mut self, line: u64, name: Name, kind: &'static str, sql: &str) {
        // A dump may define a view twice: first a stand-in, so that others can refer to it.
        let folded = name.folded();
        self.definitions
            .retain(|other| other.kind != kind || other.name.folded() != folded);
        if self.definitions.len() >= OTHERS_MAX {
            return self
                .warnings
                .left_out(line, &format!("CREATE {kind} beyond {OTHERS_MAX}"));
        }
        let mut shown: String = sql.chars().take(DEFINITION_CHARS_MAX).collect();
        if shown.len() < sql.len() {
            shown.push_str("\n…");
        }
        self.definitions.push(Definition {
            name,
            kind,
            sql: shown,
            comment: None,
        });
    }

    fn alter(&mut self, line: u64, mut cursor: Cursor<'_>) -> Option<()> {
        cursor.eats(&["IF", "EXISTS"]);
        cursor.eats(&["ONLY"]);
        let name = cursor.name()?;
        let Some(at) = self.find(&name) else {
            // Sequences and views are altered in the same words.
            self.warnings
                .left_out(line, "ALTER TABLE of what is not in this file");
            return Some(());
        };
        // The table is out of its place while it is changed: a warning needs the rest.
        let mut table = std::mem::take(&mut self.tables[at]);
        for part in by_commas(cursor.rest) {
            self.alter_one(&mut table, line, part);
        }
        self.tables[at] = table;
        Some(())
    }

    fn alter_one(&mut self, table: &mut Table, line: u64, part: &[TokenWithSpan]) {
        let mut cursor = Cursor::new(part);
        if cursor.eats(&["ADD"]) {
            let parsed = if cursor.eats(&["COLUMN"]) {
                cursor.eats(&["IF", "NOT", "EXISTS"]);
                elements::column(cursor.rest, self.flavour)
            } else {
                elements::element(cursor.rest, self.flavour)
            };
            return self.add(table, line, part, parsed);
        }
        if cursor.eats(&["MODIFY"]) || cursor.eats(&["CHANGE"]) {
            cursor.eats(&["COLUMN"]);
            let parsed = elements::column(cursor.rest, self.flavour);
            if let Some(Element::Column(column, _)) = parsed.element
                && let Some(old) = named(&mut table.columns, &column.name)
            {
                *old = Column {
                    primary: old.primary,
                    unique: old.unique,
                    ..column
                };
            }
            return;
        }
        if cursor.eats(&["DROP", "COLUMN"]) {
            cursor.eats(&["IF", "EXISTS"]);
            let name = cursor.identifier().unwrap_or_default();
            return table
                .columns
                .retain(|column| !column.name.eq_ignore_ascii_case(&name));
        }
        if cursor.eats(&["ALTER"]) {
            cursor.eats(&["COLUMN"]);
            let name = cursor.identifier().unwrap_or_default();
            let Some(column) = named(&mut table.columns, &name) else {
                return self
                    .warnings
                    .left_out(line, "ALTER COLUMN of what is not in this file");
            };
            if cursor.eats(&["SET", "DEFAULT"]) {
                column.default = Some(text(cursor.rest));
            } else if cursor.eats(&["SET", "NOT", "NULL"]) {
                column.not_null = true;
            } else if cursor.eats(&["DROP", "NOT", "NULL"]) {
                column.not_null = false;
            } else if cursor.eats(&["ADD", "GENERATED"]) {
                column.notes.push("generated as identity".to_owned());
            } else if cursor.eats(&["TYPE"]) || cursor.eats(&["SET", "DATA", "TYPE"]) {
                column.data_type = text(cursor.rest);
            }
            return;
        }
        let word = cursor.identifier().unwrap_or_default().to_uppercase();
        self.warnings
            .left_out(line, &format!("ALTER TABLE … {word}"));
    }

    fn comment(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        if cursor.eats(&["TABLE"]) {
            let name = cursor.name()?;
            cursor.eats(&["IS"]).then_some(())?;
            let at = self.find(&name)?;
            self.tables[at].comment = cursor.string().map(str::to_owned);
        } else if cursor.eats(&["VIEW"]) || cursor.eats(&["TYPE"]) || cursor.eats(&["DOMAIN"]) {
            let folded = cursor.name()?.folded();
            cursor.eats(&["IS"]).then_some(())?;
            let mut definitions = self.definitions.iter_mut();
            let definition = definitions.find(|definition| definition.name.folded() == folded)?;
            definition.comment = cursor.string().map(str::to_owned);
        } else if cursor.eats(&["COLUMN"]) {
            let mut name = cursor.name()?;
            cursor.eats(&["IS"]).then_some(())?;
            let column = name.0.pop()?;
            let at = self.find(&name)?;
            named(&mut self.tables[at].columns, &column)?.comment =
                cursor.string().map(str::to_owned);
        } else {
            return None;
        }
        Some(())
    }

    /// Forgets a table or view that the dump itself defined before, as dumps of MySQL do with the
    /// stand-ins of views.
    fn drop(&mut self, mut cursor: Cursor<'_>) -> Option<()> {
        cursor.eats(&["IF", "EXISTS"]);
        let folded = cursor.name()?.folded();
        self.definitions
            .retain(|definition| definition.name.folded() != folded);
        if let Some(at) = self.by_name.remove(&folded) {
            self.tables.remove(at);
            self.by_name.clear();
            self.by_last_name.clear();
            for (at, table) in self.tables.iter().enumerate() {
                self.by_name.insert(table.name.folded(), at);
                self.by_last_name
                    .insert(table.name.last().to_lowercase(), at);
            }
        }
        Some(())
    }
}

/// What follows the list of columns: a comment and the engine, or parents.
fn take_options(table: &mut Table, mut cursor: Cursor<'_>) {
    while !cursor.is_at_end() {
        if cursor.eats(&["COMMENT"]) {
            cursor.eats_token(&Token::Eq);
            table.comment = cursor.string().map(str::to_owned);
        } else if cursor.eats(&["INHERITS"]) {
            let parents = cursor.bracketed().map(text).unwrap_or_default();
            table.note = Some(format!("Inherits from {parents}"));
        } else if cursor.sees(&["PARTITION", "BY"]) {
            table.note = Some(text(cursor.rest));
            return;
        } else {
            cursor.skip();
        }
    }
}

fn named<'a>(columns: &'a mut [Column], name: &str) -> Option<&'a mut Column> {
    columns
        .iter_mut()
        .find(|column| column.name.eq_ignore_ascii_case(name))
}
