//! Columns and constraints, read by sqlparser one by one: what it does not know costs the element.
//!
//! Invariant: what is given to the parser is short and shallow enough for its recursion, and for
//! the drop of what it builds, to fit on a stack of 1 MiB.

use sqlparser::ast::{ColumnOption, ForeignKeyConstraint, ObjectName, TableConstraint};
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::dialect::Flavour;
use crate::tokens::{Cursor, Name, identifier, text};

/// Depth of what the parser descends into; it counts expressions, types and queries.
const RECURSION_MAX: usize = 16;

/// Tokens of one element. A chain such as `1 + 1 + …` becomes a tree that is as deep as it is long,
/// and is dropped recursively.
const ELEMENT_TOKENS_MAX: usize = 1_000;

/// A column as it was declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    pub(crate) primary: bool,
    pub(crate) unique: bool,
    pub(crate) comment: Option<String>,
    /// Whatever else was declared.
    pub(crate) notes: Vec<String>,
}

/// A reference to another table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ForeignKey {
    pub(crate) columns: Vec<String>,
    pub(crate) table: Name,
    pub(crate) referred: Vec<String>,
    /// What happens on update and delete, as it was written.
    pub(crate) actions: String,
}

/// An index or a key that is more than one column's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) columns: String,
    pub(crate) unique: bool,
    /// How it is made, as it was written: `gin`, `FULLTEXT`.
    pub(crate) method: String,
}

/// One element of the list in `CREATE TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// A column, with the reference in its own declaration.
    Column(Column, Option<ForeignKey>),
    PrimaryKey(Vec<String>),
    ForeignKey(ForeignKey),
    Index(Index),
    /// A rule, as it was written.
    Check(String),
    /// `LIKE` of another table.
    Like(Name),
}

/// What an element came to.
pub(crate) struct Parsed {
    pub(crate) element: Option<Element>,
    /// What could not be read of it.
    pub(crate) trouble: Option<String>,
}

/// Reads an element of the list in `CREATE TABLE`, or what follows `ADD` in `ALTER TABLE`.
pub(crate) fn element(tokens: &[TokenWithSpan], flavour: Flavour) -> Parsed {
    let mut cursor = Cursor::new(tokens);
    if cursor.eats(&["LIKE"]) {
        return Parsed {
            element: cursor.name().map(Element::Like),
            trouble: None,
        };
    }
    if !begins_constraint(cursor) {
        return column(tokens, flavour);
    }
    // A rule is shown as it was written: there is nothing in it that a page links or counts.
    let mut rule = cursor;
    if rule.eats(&["CONSTRAINT"]) && !rule.sees(&["CHECK"]) {
        rule.skip();
    }
    if rule.sees(&["CHECK"]) || rule.sees(&["EXCLUDE"]) {
        return Parsed {
            element: Some(Element::Check(text(tokens))),
            trouble: None,
        };
    }
    match parse(tokens, flavour, |parser| {
        parser.parse_optional_table_constraint()
    }) {
        Ok(Some(constraint)) => Parsed {
            element: Some(of_constraint(constraint)),
            trouble: None,
        },
        Ok(None) => column(tokens, flavour),
        Err(reason) => Parsed {
            element: Some(Element::Check(text(tokens))),
            trouble: Some(reason),
        },
    }
}

/// Whether an element is a constraint. Some of the words are also fine as a column's name, which a
/// type follows.
fn begins_constraint(cursor: Cursor<'_>) -> bool {
    let mut after = cursor;
    after.skip();
    let named = {
        let mut named = after;
        named.skip();
        named.sees_token(&Token::LParen) || named.sees(&["USING"])
    };
    let bracket = after.sees_token(&Token::LParen);
    let sees = |word: &str| cursor.sees(&[word]);
    cursor.sees(&["CONSTRAINT"])
        || cursor.sees(&["PRIMARY", "KEY"])
        || cursor.sees(&["FOREIGN", "KEY"])
        || (sees("CHECK") && bracket)
        || (sees("EXCLUDE") && (bracket || after.sees(&["USING"])))
        || (sees("UNIQUE") && (bracket || named || after.sees(&["KEY"]) || after.sees(&["INDEX"])))
        || ((sees("KEY") || sees("INDEX")) && (bracket || (named && !is_type(after))))
        || ((sees("FULLTEXT") || sees("SPATIAL"))
            && (bracket || named || after.sees(&["KEY"]) || after.sees(&["INDEX"])))
}

/// Whether the next word is a type that takes a length: `key varchar(10)` is a column.
fn is_type(cursor: Cursor<'_>) -> bool {
    [
        "VARCHAR",
        "CHAR",
        "INT",
        "BIGINT",
        "DECIMAL",
        "NUMERIC",
        "CHARACTER",
        "BINARY",
        "VARBINARY",
    ]
    .iter()
    .any(|word| cursor.sees(&[word]))
}

/// Reads a column; if its options are not known, its name and type only.
pub(crate) fn column(tokens: &[TokenWithSpan], flavour: Flavour) -> Parsed {
    let reason = match parse(tokens, flavour, |parser| parser.parse_column_def()) {
        Ok(parsed) => {
            let mut column = Column {
                name: identifier(&parsed.name.value),
                data_type: parsed.data_type.to_string(),
                ..Column::default()
            };
            let mut reference = None;
            for option in parsed.options {
                if let ColumnOption::ForeignKey(key) = option.option {
                    let columns = vec![column.name.clone()];
                    reference = Some(ForeignKey {
                        columns,
                        ..of_foreign_key(key)
                    });
                } else {
                    take_option(&mut column, option.option);
                }
            }
            return Parsed {
                element: Some(Element::Column(column, reference)),
                trouble: None,
            };
        }
        Err(reason) => reason,
    };
    let mut cursor = Cursor::new(tokens);
    let Some(name) = cursor.identifier() else {
        return Parsed {
            element: None,
            trouble: Some(reason),
        };
    };
    let known = [
        "NOT",
        "NULL",
        "DEFAULT",
        "CONSTRAINT",
        "PRIMARY",
        "UNIQUE",
        "CHECK",
        "REFERENCES",
        "COMMENT",
        "COLLATE",
        "GENERATED",
        "AS",
        "ON",
        "AUTO_INCREMENT",
        "CHARACTER SET",
    ];
    let rest = cursor.rest;
    let ends = |at: usize| {
        let here = Cursor::new(&rest[at..]);
        known
            .iter()
            .any(|word| here.sees(&word.split(' ').collect::<Vec<_>>()))
    };
    let end = (0..rest.len()).find(|at| ends(*at)).unwrap_or(rest.len());
    let column = Column {
        name,
        data_type: text(&rest[..end]),
        notes: vec![text(&rest[end..])],
        ..Column::default()
    };
    Parsed {
        element: Some(Element::Column(column, None)),
        trouble: Some(reason),
    }
}

fn take_option(column: &mut Column, option: ColumnOption) {
    match option {
        ColumnOption::Null => {}
        ColumnOption::NotNull => column.not_null = true,
        ColumnOption::Default(value) => column.default = Some(value.to_string()),
        ColumnOption::PrimaryKey(_) => column.primary = true,
        ColumnOption::Unique(_) => column.unique = true,
        ColumnOption::Comment(comment) => column.comment = Some(comment),
        other => column.notes.push(other.to_string()),
    }
}

fn of_constraint(constraint: TableConstraint) -> Element {
    let index = |name: Option<String>, columns: String, unique: bool, method: String| {
        let name = name.map(|name| identifier(&name)).unwrap_or_default();
        Element::Index(Index {
            name,
            columns,
            unique,
            method,
        })
    };
    match constraint {
        TableConstraint::PrimaryKey(key) => Element::PrimaryKey(
            key.columns
                .iter()
                .map(|column| plain(&column.to_string()))
                .collect(),
        ),
        TableConstraint::ForeignKey(key) => Element::ForeignKey(of_foreign_key(key)),
        TableConstraint::Unique(key) => {
            let name = key.name.or(key.index_name).map(|name| name.value);
            index(name, list(&key.columns), true, String::new())
        }
        TableConstraint::Index(key) => {
            let method = key
                .index_type
                .map(|method| method.to_string())
                .unwrap_or_default();
            index(
                key.name.map(|name| name.value),
                list(&key.columns),
                false,
                method,
            )
        }
        TableConstraint::FulltextOrSpatial(key) => {
            let method = if key.fulltext { "FULLTEXT" } else { "SPATIAL" };
            let name = key.opt_index_name.map(|name| name.value);
            index(name, list(&key.columns), false, method.to_owned())
        }
        other @ (TableConstraint::Check(_)
        | TableConstraint::PrimaryKeyUsingIndex(_)
        | TableConstraint::UniqueUsingIndex(_)
        | TableConstraint::Exclude(_)) => Element::Check(other.to_string()),
    }
}

fn of_foreign_key(key: ForeignKeyConstraint) -> ForeignKey {
    let names = |names: &[sqlparser::ast::Ident]| {
        names
            .iter()
            .map(|name| identifier(&name.value))
            .collect::<Vec<_>>()
    };
    let mut actions = Vec::new();
    if let Some(action) = &key.on_update {
        actions.push(format!("on update {}", action.to_string().to_lowercase()));
    }
    if let Some(action) = &key.on_delete {
        actions.push(format!("on delete {}", action.to_string().to_lowercase()));
    }
    ForeignKey {
        columns: names(&key.columns),
        table: name_of(&key.foreign_table),
        referred: names(&key.referred_columns),
        actions: actions.join(", "),
    }
}

fn name_of(name: &ObjectName) -> Name {
    let part = |part: &sqlparser::ast::ObjectNamePart| {
        let ident = part.as_ident().map(|ident| ident.value.clone());
        identifier(&ident.unwrap_or_else(|| part.to_string()))
    };
    Name(name.0.iter().map(part).collect())
}

fn list(columns: &[sqlparser::ast::IndexColumn]) -> String {
    let columns: Vec<String> = columns
        .iter()
        .map(|column| plain(&column.to_string()))
        .collect();
    columns.join(", ")
}

/// A name without the quotes around it.
pub(crate) fn plain(shown: &str) -> String {
    let inner = ['"', '`']
        .iter()
        .find_map(|quote| shown.strip_prefix(*quote)?.strip_suffix(*quote));
    inner.unwrap_or(shown).to_owned()
}

/// Lets sqlparser read all of `tokens`, in the first dialect that can.
fn parse<T>(
    tokens: &[TokenWithSpan],
    flavour: Flavour,
    read: impl Fn(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, String> {
    if tokens.len() > ELEMENT_TOKENS_MAX {
        return Err(format!(
            "more than {ELEMENT_TOKENS_MAX} words in one declaration"
        ));
    }
    let mut first_error = None;
    for dialect in flavour.dialects() {
        let mut parser = Parser::new(dialect)
            .with_recursion_limit(RECURSION_MAX)
            .with_tokens_with_locations(tokens.to_vec());
        match read(&mut parser) {
            Ok(value) if parser.peek_token_ref().token == Token::EOF => return Ok(value),
            Ok(_) => {
                let next = parser.peek_token_ref().to_string();
                first_error = first_error.or_else(|| Some(format!("`{next}` is not known here")));
            }
            Err(error) => first_error = first_error.or_else(|| Some(error.to_string())),
        }
    }
    Err(first_error.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::tokenize;

    fn read(text: &str, flavour: Flavour) -> Parsed {
        element(&tokenize(text, flavour).unwrap(), flavour)
    }

    fn column_of(text: &str, flavour: Flavour) -> (Column, Option<String>) {
        let parsed = read(text, flavour);
        match parsed.element {
            Some(Element::Column(column, _)) => (column, parsed.trouble),
            other => panic!("{other:?} of {text}"),
        }
    }

    #[test]
    fn columns_of_all_flavours() {
        let (column, trouble) = column_of(
            "id integer DEFAULT nextval('a_seq'::regclass) NOT NULL",
            Flavour::Postgres,
        );
        assert_eq!(trouble, None);
        assert_eq!(column.data_type, "INTEGER");
        assert_eq!(
            column.default.as_deref(),
            Some("nextval('a_seq'::REGCLASS)")
        );
        assert!(column.not_null);
        let (column, trouble) = column_of(
            "`n` int(10) unsigned NOT NULL AUTO_INCREMENT COMMENT 'it''s | n'",
            Flavour::MySql,
        );
        assert_eq!(
            (trouble, column.comment.as_deref()),
            (None, Some("it's | n"))
        );
        assert_eq!(column.notes, ["AUTO_INCREMENT"]);
        let (column, trouble) = column_of("id INTEGER PRIMARY KEY AUTOINCREMENT", Flavour::Sqlite);
        assert_eq!((trouble, column.primary), (None, true));
        let (column, trouble) = column_of("x", Flavour::Sqlite);
        assert_eq!((trouble, column.data_type.as_str()), (None, ""));
        // Words that begin constraints elsewhere.
        assert_eq!(
            column_of("key varchar(10)", Flavour::Postgres).0.name,
            "key"
        );
        assert_eq!(column_of("`index` int", Flavour::MySql).0.name, "index");
    }

    #[test]
    fn constraints_of_all_flavours() {
        let check = |text, flavour, expected: Element| {
            let parsed = read(text, flavour);
            assert_eq!(
                (parsed.element, parsed.trouble),
                (Some(expected), None),
                "{text}"
            );
        };
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        check(
            "PRIMARY KEY (`a`,`b`)",
            Flavour::MySql,
            Element::PrimaryKey(names(&["a", "b"])),
        );
        check(
            "CONSTRAINT f FOREIGN KEY (a) REFERENCES s.t(id) ON DELETE SET NULL",
            Flavour::Postgres,
            Element::ForeignKey(ForeignKey {
                columns: names(&["a"]),
                table: Name(names(&["s", "t"])),
                referred: names(&["id"]),
                actions: "on delete set null".to_owned(),
            }),
        );
        let index = |name: &str, columns: &str, unique, method: &str| {
            let [name, columns, method] = [name, columns, method].map(str::to_owned);
            Element::Index(Index {
                name,
                columns,
                unique,
                method,
            })
        };
        check(
            "UNIQUE KEY `u` (`a`)",
            Flavour::MySql,
            index("u", "a", true, ""),
        );
        check(
            "KEY `k` (`a`,`b`)",
            Flavour::MySql,
            index("k", "a, b", false, ""),
        );
        check(
            "FULLTEXT KEY `f` (`a`)",
            Flavour::MySql,
            index("f", "a", false, "FULLTEXT"),
        );
        check(
            "CHECK ((a > 1))",
            Flavour::Unknown,
            Element::Check("CHECK ((a > 1))".to_owned()),
        );
        check(
            "LIKE s.t INCLUDING ALL",
            Flavour::Postgres,
            Element::Like(Name(names(&["s", "t"]))),
        );
    }

    #[test]
    fn what_is_not_known_costs_the_rest_of_the_element() {
        let (column, trouble) =
            column_of("a varchar(20) NOT NULL WITH MAGIC (1)", Flavour::Unknown);
        assert_eq!(
            (column.data_type.as_str(), trouble.is_some()),
            ("varchar(20)", true)
        );
        assert_eq!(column.notes, ["NOT NULL WITH MAGIC (1)"]);
        assert!(read("1 2", Flavour::Unknown).element.is_none());
    }

    #[test]
    fn depth_and_length_are_refused_in_time() {
        let check = |expression: &str| {
            let (column, trouble) =
                column_of(&format!("a int DEFAULT {expression}"), Flavour::Unknown);
            assert_eq!(column.name, "a");
            assert!(trouble.is_some(), "{expression:.40}");
        };
        check(&"(".repeat(400));
        check(&format!("{}1{}", "(".repeat(400), ")".repeat(400)));
        check(&format!("{}1{}", "f(".repeat(300), ")".repeat(300)));
        check(&"NOT ".repeat(900));
        check(&"CASE WHEN ".repeat(400));
        check(&"(SELECT * FROM ".repeat(200));
        check(&vec!["1"; 100_000].join("+"));
        let (_, trouble) = column_of(
            &format!("a int DEFAULT {}", vec!["1"; 400].join("+")),
            Flavour::Unknown,
        );
        assert_eq!(trouble, None);
        let types = "ARRAY<".repeat(300);
        assert!(
            column_of(&format!("a {types}"), Flavour::Unknown)
                .1
                .is_some()
        );
    }
}
