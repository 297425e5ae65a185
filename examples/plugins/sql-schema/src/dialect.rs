//! Which database a dump is of, guessed from its head, and what that means for reading it.

use sqlparser::dialect::{Dialect, GenericDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};

/// The database that a dump was made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    Postgres,
    MySql,
    Sqlite,
    Unknown,
}

impl Flavour {
    /// Guesses from the beginning of the file.
    pub(crate) fn of(head: &[u8]) -> Self {
        let text = String::from_utf8_lossy(head).to_ascii_lowercase();
        let any = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
        if any(&[
            "postgresql database",
            "pg_catalog",
            "$$",
            "character varying",
            "bigserial",
        ]) {
            Self::Postgres
        } else if any(&[
            "mysql dump",
            "mariadb dump",
            "phpmyadmin",
            "engine=",
            "auto_increment",
            "`",
        ]) {
            Self::MySql
        } else if any(&["pragma ", "autoincrement", "sqlite_"]) {
            Self::Sqlite
        } else {
            Self::Unknown
        }
    }

    /// What a reader calls it; `None` if nothing is known.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("PostgreSQL"),
            Self::MySql => Some("MySQL or MariaDB"),
            Self::Sqlite => Some("SQLite"),
            Self::Unknown => None,
        }
    }

    /// The dialects to try, the likeliest first.
    pub(crate) fn dialects(self) -> [&'static dyn Dialect; 4] {
        let generic: &'static dyn Dialect = &GenericDialect {};
        let postgres: &'static dyn Dialect = &PostgreSqlDialect {};
        let mysql: &'static dyn Dialect = &MySqlDialect {};
        let sqlite: &'static dyn Dialect = &SQLiteDialect {};
        match self {
            Self::Postgres => [postgres, generic, mysql, sqlite],
            Self::MySql => [mysql, generic, sqlite, postgres],
            Self::Sqlite => [sqlite, generic, mysql, postgres],
            Self::Unknown => [generic, postgres, mysql, sqlite],
        }
    }

    /// Whether `\` escapes the next character in any quoted string.
    pub(crate) fn backslash_escapes(self) -> bool {
        self == Self::MySql
    }

    /// Whether `#` begins a comment.
    pub(crate) fn hash_comments(self) -> bool {
        self == Self::MySql
    }

    /// Whether `$tag$` begins a quoted string.
    pub(crate) fn dollar_quotes(self) -> bool {
        matches!(self, Self::Postgres | Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_tells_the_database() {
        let check = |head: &str, expected| assert_eq!(Flavour::of(head.as_bytes()), expected);
        check("--\n-- PostgreSQL database dump\n--", Flavour::Postgres);
        check("-- MySQL dump 10.13", Flavour::MySql);
        check("CREATE TABLE `a` (x int)", Flavour::MySql);
        check(
            "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;",
            Flavour::Sqlite,
        );
        check("CREATE TABLE a (x int)", Flavour::Unknown);
        check("", Flavour::Unknown);
    }
}
