//! From a dump to its pages: reads statements, then writes. Sees a job only through [`Job`], so that
//! the same code runs in a component and in a native test.

use std::io::{Read, Seek};

use crate::bindings::kbhost::converter::types::{
    ConvertError, Document, Heading, OutputFile, Role,
};
use crate::dialect::Flavour;
use crate::markdown::one_line;
use crate::pages;
use crate::schema::Schema;
use crate::splitter::{PieceKind, Splitter};
use crate::tokens;

/// What is looked at to guess the database.
const HEAD_BYTES: u64 = 64 << 10;

/// Between two questions whether to go on.
const STEP_BYTES: u64 = 1 << 20;

/// What a conversion may do besides reading its input.
pub(crate) trait Job {
    /// Writes an output file; `path` is relative to the output directory.
    fn put(&mut self, path: &str, text: &str) -> Result<(), ConvertError>;

    /// Says how far the work is; false if it is to end.
    fn goes_on(&mut self, done: u64, total: u64) -> bool;
}

/// How sure we are to read a file that starts with `head`.
pub(crate) fn probe(head: &[u8], name: &str) -> u8 {
    if head.contains(&0) {
        return 0;
    }
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let starts = [
        "create ",
        "-- postgresql database dump",
        "-- mysql dump",
        "-- mariadb dump",
    ];
    let comment_only = text.trim_start_matches(['-', '\n', '\r', ' ']);
    if starts.iter().any(|start| text.starts_with(start))
        || [
            "postgresql database dump",
            "mysql dump",
            "mariadb dump",
            "phpmyadmin sql dump",
        ]
        .iter()
        .any(|start| comment_only.starts_with(start))
    {
        return 95;
    }
    let named = name.to_ascii_lowercase().ends_with(".sql");
    match (named, text.contains("create table")) {
        (true, true) => 90,
        (true, false) => 60,
        (false, true) => 30,
        (false, false) => 0,
    }
}

/// Converts the dump in `input`.
pub(crate) fn convert<R: Read + Seek>(
    mut input: R,
    name: &str,
    size: u64,
    job: &mut dyn Job,
) -> Result<Document, ConvertError> {
    let unreadable =
        |error: std::io::Error| ConvertError::Internal(format!("read the input: {error}"));
    let mut head = Vec::new();
    input
        .by_ref()
        .take(HEAD_BYTES)
        .read_to_end(&mut head)
        .map_err(unreadable)?;
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(ConvertError::Unsupported(
            "SQL in UTF-16; save it as UTF-8".to_owned(),
        ));
    }
    if head.contains(&0) {
        return Err(ConvertError::Corrupt(
            "there are zero bytes in it: it is no text".to_owned(),
        ));
    }
    input.rewind().map_err(unreadable)?;
    let flavour = Flavour::of(&head);
    let mut schema = Schema::new(flavour);
    let mut splitter = Splitter::new(input, flavour);
    let mut next_step = 0;
    while let Some(piece) = splitter.next().map_err(unreadable)? {
        if splitter.offset() >= next_step {
            next_step = splitter.offset() + STEP_BYTES;
            if !job.goes_on(splitter.offset(), size) {
                return Err(ConvertError::Cancelled);
            }
        }
        take(&mut schema, flavour, piece.line, piece.kind);
    }
    write(schema, flavour, name, job)
}

fn take(schema: &mut Schema, flavour: Flavour, line: u64, kind: PieceKind) {
    match kind {
        PieceKind::Statement(text) => {
            let word = text
                .split(|c: char| !c.is_ascii_alphabetic())
                .next()
                .unwrap_or_default();
            match word.to_ascii_uppercase().as_str() {
                "CREATE" | "ALTER" | "COMMENT" | "DROP" => schema.take(line, &text),
                // Of these the beginning is here, which need not make whole tokens.
                word if !word.is_empty() => schema.warnings.left_out(line, word),
                _ => match tokens::tokenize(&text, flavour) {
                    Ok(tokens) => schema.unknown(line, &tokens),
                    Err(reason) => schema.warnings.broken(line, &reason),
                },
            }
        }
        PieceKind::TooLong(head) => {
            schema
                .warnings
                .broken(line, &format!("a statement of more than 512 KiB: `{head}`"));
        }
        PieceKind::Data => schema.warnings.left_out(line, "data after COPY"),
        PieceKind::Client(text) => {
            let word = text.split_whitespace().next().unwrap_or_default();
            schema.warnings.left_out(line, word);
        }
        PieceKind::Unclosed => {
            schema
                .warnings
                .broken(line, "a quote, comment or COPY that is never closed");
        }
    }
}

fn write(
    schema: Schema,
    flavour: Flavour,
    name: &str,
    job: &mut dyn Job,
) -> Result<Document, ConvertError> {
    let stem = name.strip_suffix(".sql").unwrap_or(name);
    let title = format!("Schema {}", one_line(stem, 100));
    let main = |path: &str, role| OutputFile {
        path: path.to_owned(),
        role,
        media_type: "text/markdown".to_owned(),
        page: None,
    };
    job.put("main.md", &pages::main_page(&schema, &title, flavour))?;
    let mut files = vec![main("main.md", Role::Main)];
    let referrers = pages::referrers(&schema);
    let count = schema.tables.len() as u64;
    for at in 0..schema.tables.len() {
        if !job.goes_on(at as u64, count) {
            return Err(ConvertError::Cancelled);
        }
        let path = pages::path(&schema, at);
        job.put(&path, &pages::table_page(&schema, at, &referrers))?;
        files.push(main(&path, Role::Member));
    }
    let heading = |level, title: &str| Heading {
        level,
        title: title.to_owned(),
        page: None,
    };
    let mut outline = vec![heading(1, &title)];
    if count > 0 {
        outline.push(heading(2, "Tables"));
    }
    drop(referrers);
    Ok(Document {
        files,
        title: Some(title),
        name: None,
        remote_id: None,
        pages: None,
        outline,
        metadata: Vec::new(),
        warnings: schema.warnings.into_sentences(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Cursor;

    use super::*;

    #[derive(Default)]
    struct Memory {
        files: BTreeMap<String, String>,
        cancelled: bool,
    }

    impl Job for Memory {
        fn put(&mut self, path: &str, text: &str) -> Result<(), ConvertError> {
            self.files.insert(path.to_owned(), text.to_owned());
            Ok(())
        }

        fn goes_on(&mut self, _: u64, _: u64) -> bool {
            !self.cancelled
        }
    }

    fn converted(sql: &str) -> (Document, BTreeMap<String, String>) {
        let mut job = Memory::default();
        let document = convert(Cursor::new(sql), "x.sql", sql.len() as u64, &mut job).unwrap();
        assert_eq!(document.files.len(), job.files.len());
        (document, job.files)
    }

    #[test]
    fn a_probe_is_sure_of_dumps_only() {
        let check = |head: &[u8], name: &str, expected| {
            assert_eq!(
                probe(head, name),
                expected,
                "{:?}",
                String::from_utf8_lossy(head)
            );
        };
        check(b"CREATE TABLE a (b int);", "x", 95);
        check(b"--\n-- PostgreSQL database dump\n--\n", "x.txt", 95);
        check(b"-- MySQL dump 10.13", "x", 95);
        check(b"\xef\xbb\xbf\ncreate table a (b int)", "x", 95);
        check(b"SET x;\nCREATE TABLE a (b int)", "x.sql", 90);
        check(b"SELECT 1", "x.sql", 60);
        check(b"Dear all", "x.txt", 0);
        check(b"SQLite format 3\0", "x.sql", 0);
        check(b"", "x", 0);
    }

    #[test]
    fn tables_and_keys_are_linked_both_ways() {
        let (document, files) = converted(
            "CREATE TABLE a (id int PRIMARY KEY);\n\
             CREATE TABLE b (id int, a_id int REFERENCES a (id) ON DELETE CASCADE);",
        );
        assert_eq!(document.warnings, [""; 0]);
        assert!(files["main.md"].contains("- [b](kbhost-output:tables/0002/b.md): a_id → [a](kbhost-output:tables/0001/a.md) (id), on delete cascade\n"));
        assert!(
            files["tables/0001/a.md"]
                .contains("## Referred to by\n\n- [b](kbhost-output:tables/0002/b.md): a_id\n")
        );
        assert!(
            files["tables/0002/b.md"]
                .contains("| a_id | INT | yes |  | → [a](kbhost-output:tables/0001/a.md) |  |\n")
        );
        assert!(
            document
                .files
                .iter()
                .all(|file| files.contains_key(&file.path))
        );
    }

    #[test]
    fn one_broken_statement_costs_itself() {
        let (document, files) = converted(
            "CREATE TABLE a (id int);\nCREATE TABLE (((;\nFROBNICATE 1;\nSET x = 1;\n\
             CREATE TABLE b (id int, ??, c int);\n\\connect x\nSET y = 1;\n);\n",
        );
        assert_eq!(files.len(), 3, "{files:?}");
        assert!(files["tables/0002/b.md"].contains("| c | INT |"));
        let text = document.warnings.join("\n");
        for part in [
            "line 2: `CREATE TABLE` could not be read",
            "line 5: in the table `b`: ",
            "line 8: this is no statement",
            "left out: FROBNICATE at line 3",
            "left out: 2 times SET, first at line 4",
            "left out: \\connect at line 6",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn names_may_be_anything() {
        let hostile = [
            "../../etc/passwd",
            "a|b",
            "[[x]]",
            "<script>",
            "kbhost-output:main.md",
            "数据",
            "a\nb",
            "A",
            "a",
            " ",
            "\u{202e}x",
            "con.md",
        ];
        let sql: String = hostile
            .iter()
            .map(|name| format!("CREATE TABLE \"{name}\" (\"{name}\" int);\n"))
            .collect();
        let (document, files) = converted(&sql);
        assert_eq!(files.len(), hostile.len() + 1, "{document:?}");
        for (path, text) in &files {
            assert!(
                path.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"./-".contains(&b)),
                "{path}"
            );
            for part in ["[[", "<script", "\u{202e}", "kbhost-output:main.md"] {
                assert!(!text.contains(part), "{part} in {path}: {text}");
            }
            let row = text
                .lines()
                .filter(|line| line.starts_with('|') && !line.contains("---"));
            let cells = if path == "main.md" { 6 } else { 7 };
            for line in row {
                assert_eq!(
                    line.replace("\\|", "").matches('|').count(),
                    cells,
                    "{line}"
                );
            }
        }
        assert!(
            document
                .warnings
                .iter()
                .any(|w| w.contains("defined again")),
            "{document:?}"
        );
    }

    #[test]
    fn what_is_said_again_is_said_once() {
        let (document, files) = converted(
            "CREATE TABLE a (x int, X text, y int REFERENCES a);\nCREATE TABLE IF NOT EXISTS A (z int);\n\
             CREATE TABLE v (a int); DROP TABLE v; CREATE VIEW v AS SELECT 1;\n\
             CREATE OR REPLACE VIEW v AS SELECT 2;",
        );
        assert_eq!(files.len(), 2, "{files:?}");
        assert!(!files["tables/0001/a.md"].contains("TEXT"));
        assert!(files["main.md"].contains("SELECT 2") && !files["main.md"].contains("SELECT 1"));
        assert_eq!(document.warnings.len(), 2, "{document:?}");
    }

    #[test]
    fn a_long_schema_is_cut_and_says_so() {
        let mut sql: String = (0..2_010)
            .map(|n| format!("CREATE TABLE t{n} (a int);\n"))
            .collect();
        let columns: Vec<String> = (0..5_000).map(|n| format!("c{n} int")).collect();
        sql.insert_str(0, &format!("CREATE TABLE wide ({});\n", columns.join(",")));
        let (document, files) = converted(&sql);
        assert_eq!(files.len(), 2_001);
        let text = document.warnings.join("\n");
        for part in ["904 times column beyond", "11 times CREATE TABLE beyond"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let check = |bytes: &[u8]| {
            convert(Cursor::new(bytes), "x.sql", 0, &mut Memory::default()).unwrap_err()
        };
        assert!(matches!(
            check(b"\xff\xfeC\0"),
            ConvertError::Unsupported(_)
        ));
        assert!(matches!(
            check(b"SQLite format 3\0"),
            ConvertError::Corrupt(_)
        ));
        let mut job = Memory {
            cancelled: true,
            ..Memory::default()
        };
        let cancelled = convert(Cursor::new("CREATE TABLE a (b int);"), "x", 0, &mut job);
        assert_eq!(cancelled.unwrap_err(), ConvertError::Cancelled);
    }

    #[test]
    fn mutated_dumps_never_end_it() {
        let seeds = [
            include_str!("../examples/shop-postgres.sql"),
            include_str!("../examples/library-mysql.sql"),
            include_str!("../examples/notes-sqlite.sql"),
        ];
        let mut state = 0x2545_f491_4f6c_dd1du64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        let tokens = [
            "'",
            "\"",
            "(",
            ")",
            ",",
            ";",
            "$$",
            "/*",
            "*/",
            "--",
            "\\",
            "`",
            "CREATE TABLE ",
            "\u{0}",
        ];
        for seed in seeds {
            for _ in 0..150 {
                let mut bytes = seed.as_bytes().to_vec();
                for _ in 0..=random(6) {
                    let at = random(bytes.len());
                    let token = tokens[random(tokens.len())].bytes();
                    let end = (at + random(20)).min(bytes.len());
                    bytes.splice(at..end, token);
                }
                let mut job = Memory::default();
                match convert(Cursor::new(&bytes), "x.sql", 0, &mut job) {
                    Ok(document) => assert_eq!(document.files.len(), job.files.len()),
                    Err(error) => assert!(matches!(error, ConvertError::Corrupt(_)), "{error:?}"),
                }
            }
        }
    }
}
