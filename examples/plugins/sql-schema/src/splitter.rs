//! Cuts a dump into statements while it is read: the data of a dump never lies in memory, whatever
//! its length.
//!
//! Invariant: no byte of input ends the reading of the file. A quote that is never closed costs the
//! statement it began in: reading goes on after that statement's first line.

use std::io::{self, Read, Seek, SeekFrom};

use crate::dialect::Flavour;

/// Longest statement that is looked at. The widest tables have some 100 KiB.
const STATEMENT_BYTES_MAX: usize = 512 << 10;

/// What is kept of a statement that says nothing about the schema: its beginning, for a message.
const HEAD_BYTES: usize = 64;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Longest `$tag$` and `DELIMITER`.
const MARK_BYTES_MAX: usize = 64;

/// Quotes that are never closed: each costs reading to the end of the file.
const UNCLOSED_MAX: u32 = 8;

/// First words of statements that are kept whole.
const KEPT: [&str; 5] = ["create", "alter", "comment", "drop", "copy"];

/// First words of lines at which reading goes on after a quote that is never closed.
const STARTS: [&str; 12] = [
    "create ",
    "alter ",
    "comment on ",
    "drop ",
    "insert ",
    "copy ",
    "set ",
    "select ",
    "grant ",
    "lock ",
    "begin",
    "--",
];

/// A part of a dump.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The line it begins at, from 1.
    pub(crate) line: u64,
    pub(crate) kind: PieceKind,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PieceKind {
    /// A statement without its terminator and comments; line breaks are where they were.
    Statement(String),
    /// A statement that is beyond what is looked at; its beginning.
    TooLong(String),
    /// The rows after `COPY … FROM stdin`.
    Data,
    /// A line for the program that reads the dump, such as `\connect`.
    Client(String),
    /// A quote or comment that is never closed.
    Unclosed,
}

/// Whether a byte is part of an identifier.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// What ended the reading of a statement.
enum End {
    Terminator,
    File,
    Unclosed,
}

/// Reads pieces one after another.
pub(crate) struct Splitter<R> {
    input: Input<R>,
    flavour: Flavour,
    delimiter: Vec<u8>,
    text: Vec<u8>,
    /// The last two bytes of the statement, kept or not.
    recent: [u8; 2],
    /// How much of the current statement is kept; `None` until its first word is known.
    kept_max: Option<usize>,
    too_long: bool,
    /// Depth of `/*! … */`, whose content counts.
    conditional: u32,
    data_follows: bool,
    unclosed: u32,
}

impl<R: Read + Seek> Splitter<R> {
    pub(crate) fn new(input: R, flavour: Flavour) -> Self {
        Self {
            input: Input::new(input),
            flavour,
            delimiter: b";".to_vec(),
            text: Vec::new(),
            recent: [b' '; 2],
            kept_max: None,
            too_long: false,
            conditional: 0,
            data_follows: false,
            unclosed: 0,
        }
    }

    /// Bytes that were read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next piece; `None` at the end of the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece>> {
        if std::mem::take(&mut self.data_follows) {
            return self.data().map(Some);
        }
        loop {
            if !self.skip_blank()? {
                return Ok(None);
            }
            let line = self.input.line;
            if self.input.peek()? == Some(b'\\') {
                let kind = PieceKind::Client(self.line_text()?);
                return Ok(Some(Piece { line, kind }));
            }
            if self.input.word_is(b"delimiter")? {
                self.delimiter_line()?;
                continue;
            }
            let start = self.input.offset();
            if let Some(kind) = self.statement(start, line)? {
                return Ok(Some(Piece { line, kind }));
            }
        }
    }

    /// Skips white space and comments; false at the end of the file.
    fn skip_blank(&mut self) -> io::Result<bool> {
        loop {
            match self.input.peek()? {
                None => return Ok(false),
                Some(byte) if byte.is_ascii_whitespace() => self.input.bump(),
                // Of an encoding's mark at the start of the file.
                Some(0xef) if self.input.starts_with(b"\xef\xbb\xbf")? => self.input.bump_many(3),
                Some(_) if self.line_comment()? => {}
                Some(b'/') if self.input.starts_with(b"/*")? && !self.opens_conditional()? => {
                    if !self.block_comment()? {
                        return Ok(false);
                    }
                }
                Some(b'*') if self.conditional > 0 && self.input.starts_with(b"*/")? => {
                    self.input.bump_many(2);
                    self.conditional -= 1;
                }
                Some(_) => return Ok(true),
            }
        }
    }

    /// Reads one statement; `None` if it is empty.
    fn statement(&mut self, start: u64, line: u64) -> io::Result<Option<PieceKind>> {
        self.text.clear();
        self.recent = [b' '; 2];
        self.kept_max = None;
        self.too_long = false;
        if let End::Unclosed = self.read_statement()? {
            self.conditional = 0;
            self.unclosed += 1;
            if self.unclosed <= UNCLOSED_MAX {
                self.input.seek(start, line)?;
                self.find_start()?;
            }
            return Ok(Some(PieceKind::Unclosed));
        }
        if self.too_long {
            self.text.truncate(HEAD_BYTES);
        }
        let text = String::from_utf8_lossy(&self.text).trim().to_owned();
        if text.is_empty() {
            return Ok(None);
        }
        let lower = text.as_bytes().to_ascii_lowercase();
        self.data_follows =
            lower.starts_with(b"copy") && lower.windows(10).any(|window| window == b"from stdin");
        Ok(Some(if self.too_long {
            PieceKind::TooLong(text)
        } else {
            PieceKind::Statement(text)
        }))
    }

    fn read_statement(&mut self) -> io::Result<End> {
        while let Some(byte) = self.input.peek()? {
            if byte == self.delimiter[0] && self.input.starts_with(&self.delimiter)? {
                self.input.bump_many(self.delimiter.len());
                return Ok(End::Terminator);
            }
            let closed = match byte {
                b'\'' | b'"' | b'`' => self.quoted(byte)?,
                b'/' if self.input.starts_with(b"/*")? => {
                    self.push(b' ');
                    if self.opens_conditional()? {
                        self.conditional_start()?
                    } else {
                        self.block_comment()?
                    }
                }
                b'*' if self.conditional > 0 && self.input.starts_with(b"*/")? => {
                    self.input.bump_many(2);
                    self.conditional -= 1;
                    self.push(b' ');
                    true
                }
                b'$' if self.flavour.dollar_quotes() => self.dollar_quoted()?,
                b'-' | b'#' if self.line_comment()? => true,
                _ => {
                    self.take(byte);
                    true
                }
            };
            if !closed {
                return Ok(End::Unclosed);
            }
        }
        Ok(End::File)
    }

    /// Takes the next byte into the statement.
    fn take(&mut self, byte: u8) {
        self.input.bump();
        self.push(byte);
    }

    fn push(&mut self, byte: u8) {
        self.recent = [self.recent[1], byte];
        let kept_max = self.kept_max.unwrap_or(HEAD_BYTES);
        if self.text.len() < kept_max {
            self.text.push(byte);
            return;
        }
        if self.kept_max.is_none() {
            let text = self.text.trim_ascii_start();
            let word = text
                .split(|byte| !byte.is_ascii_alphabetic())
                .next()
                .unwrap_or_default();
            let kept = KEPT
                .iter()
                .any(|kept| word.eq_ignore_ascii_case(kept.as_bytes()));
            self.kept_max = Some(if kept {
                STATEMENT_BYTES_MAX
            } else {
                HEAD_BYTES
            });
            if kept {
                self.text.push(byte);
            }
        } else if kept_max == STATEMENT_BYTES_MAX {
            self.too_long = true;
        }
    }

    /// Takes a quoted string; a doubled quote is the next string. False if it does not end.
    fn quoted(&mut self, quote: u8) -> io::Result<bool> {
        let [before, prefix] = self.recent;
        let escape_string = quote == b'\'' && matches!(prefix, b'e' | b'E') && !is_word(before);
        let escapes = quote != b'`' && (escape_string || self.flavour.backslash_escapes());
        self.take(quote);
        while let Some(byte) = self.input.peek()? {
            self.take(byte);
            if byte == quote {
                return Ok(true);
            }
            if byte == b'\\'
                && escapes
                && let Some(next) = self.input.peek()?
            {
                self.take(next);
            }
        }
        Ok(false)
    }

    /// Takes `$tag$ … $tag$`, or the `$` alone. False if it does not end.
    fn dollar_quoted(&mut self) -> io::Result<bool> {
        let within_word = is_word(self.recent[1]);
        let head = self.input.ahead(MARK_BYTES_MAX)?;
        let length = head
            .iter()
            .skip(1)
            .take_while(|byte| is_word(**byte))
            .count();
        let tag = match head.get(1 + length) {
            Some(b'$') if !within_word && !head[1].is_ascii_digit() => head[..length + 2].to_vec(),
            _ => {
                self.take(b'$');
                return Ok(true);
            }
        };
        tag.iter().for_each(|byte| self.take(*byte));
        while let Some(byte) = self.input.peek()? {
            if byte == b'$' && self.input.starts_with(&tag)? {
                tag.iter().for_each(|byte| self.take(*byte));
                return Ok(true);
            }
            self.take(byte);
        }
        Ok(false)
    }

    /// Skips a comment to the end of its line, if one begins here.
    fn line_comment(&mut self) -> io::Result<bool> {
        let here = match self.input.peek()? {
            Some(b'-') => self.input.starts_with(b"--")?,
            Some(b'#') => self.flavour.hash_comments(),
            _ => false,
        };
        while here && self.input.peek()?.is_some_and(|byte| byte != b'\n') {
            self.input.bump();
        }
        Ok(here)
    }

    /// Skips a comment, keeping its line breaks. False if it does not end.
    fn block_comment(&mut self) -> io::Result<bool> {
        let nests = self.flavour == Flavour::Postgres;
        let mut depth = 0u64;
        loop {
            match self.input.peek()? {
                None => return Ok(false),
                Some(b'/') if (nests || depth == 0) && self.input.starts_with(b"/*")? => {
                    self.input.bump_many(2);
                    depth += 1;
                }
                Some(b'*') if self.input.starts_with(b"*/")? => {
                    self.input.bump_many(2);
                    depth -= 1;
                    if depth == 0 {
                        return Ok(true);
                    }
                }
                Some(byte) => {
                    self.input.bump();
                    if byte == b'\n' {
                        self.push(byte);
                    }
                }
            }
        }
    }

    /// Whether `/*!` or `/*M!` begins here, whose content counts.
    fn opens_conditional(&mut self) -> io::Result<bool> {
        Ok(self.input.starts_with(b"/*!")? || self.input.starts_with(b"/*M!")?)
    }

    fn conditional_start(&mut self) -> io::Result<bool> {
        while self
            .input
            .peek()?
            .is_some_and(|byte| b"/*M!0123456789".contains(&byte))
        {
            self.input.bump();
        }
        self.conditional = self.conditional.saturating_add(1);
        Ok(true)
    }

    /// Skips rows up to `\.` on a line of its own.
    fn data(&mut self) -> io::Result<Piece> {
        // The rest of the line of the statement.
        self.skip_line()?;
        let line = self.input.line;
        loop {
            if self.input.peek()?.is_none() {
                return Ok(Piece {
                    line,
                    kind: PieceKind::Unclosed,
                });
            }
            let end = self.input.starts_with(b"\\.")?;
            self.skip_line()?;
            if end {
                return Ok(Piece {
                    line,
                    kind: PieceKind::Data,
                });
            }
        }
    }

    fn skip_line(&mut self) -> io::Result<()> {
        while let Some(byte) = self.input.peek()? {
            self.input.bump();
            if byte == b'\n' {
                break;
            }
        }
        Ok(())
    }

    /// The rest of the line, its beginning only if it is long.
    fn line_text(&mut self) -> io::Result<String> {
        let head = self.input.ahead(HEAD_BYTES)?;
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let text = String::from_utf8_lossy(line).into_owned();
        self.skip_line()?;
        Ok(text)
    }

    fn delimiter_line(&mut self) -> io::Result<()> {
        let head = self.input.ahead(MARK_BYTES_MAX)?;
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        if let Some(delimiter) = words.nth(1) {
            self.delimiter = delimiter.to_vec();
        }
        self.skip_line()
    }

    /// Goes on at the next line that begins as statements do.
    fn find_start(&mut self) -> io::Result<()> {
        loop {
            self.skip_line()?;
            if self.input.peek()?.is_none() {
                return Ok(());
            }
            let head = self.input.ahead(16)?.to_ascii_lowercase();
            if STARTS
                .iter()
                .any(|start| head.starts_with(start.as_bytes()))
            {
                return Ok(());
            }
        }
    }
}

/// A buffered reader that counts lines and can look ahead.
struct Input<R> {
    reader: R,
    buffer: Vec<u8>,
    at: usize,
    /// Offset of the buffer's end in the file.
    end: u64,
    line: u64,
}

impl<R: Read + Seek> Input<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            at: 0,
            end: 0,
            line: 1,
        }
    }

    fn offset(&self) -> u64 {
        self.end - (self.buffer.len() - self.at) as u64
    }

    fn seek(&mut self, offset: u64, line: u64) -> io::Result<()> {
        self.end = self.reader.seek(SeekFrom::Start(offset))?;
        self.buffer.clear();
        self.at = 0;
        self.line = line;
        Ok(())
    }

    /// Up to `count` of the next bytes, fewer only at the end of the file.
    fn ahead(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.at < count {
            self.buffer.drain(..self.at);
            self.at = 0;
            while self.buffer.len() < count {
                let kept = self.buffer.len();
                self.buffer.resize(kept + BUFFER_BYTES, 0);
                let read = self.reader.read(&mut self.buffer[kept..])?;
                self.buffer.truncate(kept + read);
                self.end += read as u64;
                if read == 0 {
                    break;
                }
            }
        }
        let end = self.buffer.len().min(self.at + count);
        Ok(&self.buffer[self.at..end])
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        match self.buffer.get(self.at) {
            Some(byte) => Ok(Some(*byte)),
            None => Ok(self.ahead(1)?.first().copied()),
        }
    }

    fn starts_with(&mut self, bytes: &[u8]) -> io::Result<bool> {
        Ok(self.ahead(bytes.len())? == bytes)
    }

    /// Whether the next word is `word` in any case, with white space after it.
    fn word_is(&mut self, word: &[u8]) -> io::Result<bool> {
        let head = self.ahead(word.len() + 1)?;
        let same = head
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word));
        Ok(same && head.get(word.len()).is_some_and(u8::is_ascii_whitespace))
    }

    /// Goes past a byte that was seen.
    fn bump(&mut self) {
        if self.buffer[self.at] == b'\n' {
            self.line += 1;
        }
        self.at += 1;
    }

    fn bump_many(&mut self, count: usize) {
        (0..count).for_each(|_| self.bump());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn pieces(text: &str, flavour: Flavour) -> Vec<Piece> {
        let mut splitter = Splitter::new(Cursor::new(text.as_bytes()), flavour);
        let mut pieces = Vec::new();
        while let Some(piece) = splitter.next().unwrap() {
            pieces.push(piece);
            assert!(pieces.len() < 1_000);
        }
        pieces
    }

    fn check(text: &str, flavour: Flavour, expected: &[(u64, &str)]) {
        // A comment leaves a space, and there may be others around it.
        let mut pieces = pieces(text, flavour);
        for piece in &mut pieces {
            if let PieceKind::Statement(text) = &mut piece.kind {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
        }
        let pieces: Vec<(u64, &str)> = pieces
            .iter()
            .map(|piece| match &piece.kind {
                PieceKind::Statement(text) => (piece.line, text.as_str()),
                PieceKind::TooLong(_) => (piece.line, "TOO LONG"),
                PieceKind::Data => (piece.line, "DATA"),
                PieceKind::Client(text) => (piece.line, text.as_str()),
                PieceKind::Unclosed => (piece.line, "UNCLOSED"),
            })
            .collect();
        assert_eq!(pieces, expected, "{text:?}");
    }

    #[test]
    fn statements_end_where_they_should() {
        use Flavour::{MySql, Postgres, Sqlite};
        check("", Postgres, &[]);
        check(" ;; \n;", Postgres, &[]);
        check("\u{feff}a;\n\nb", Postgres, &[(1, "a"), (3, "b")]);
        check(
            "a ';' \";\" b;c",
            Postgres,
            &[(1, "a ';' \";\" b"), (1, "c")],
        );
        check("a 'it''s;' b;c", Postgres, &[(1, "a 'it''s;' b"), (1, "c")]);
        check(r"a 'x\';b", Sqlite, &[(1, r"a 'x\'"), (1, "b")]);
        check(r"a 'x\';' c;b", MySql, &[(1, r"a 'x\';' c"), (1, "b")]);
        check(r"a E'x\';' c;b", Postgres, &[(1, r"a E'x\';' c"), (1, "b")]);
        check(
            "a $$;$$ $q$ $$;$q$;b $1;",
            Postgres,
            &[(1, "a $$;$$ $q$ $$;$q$"), (1, "b $1")],
        );
        check("-- x;\na /* ; /* ; */ ; */ b;", Postgres, &[(2, "a b")]);
        check("# x;\na /* ; /* ; */ b;", MySql, &[(2, "a b")]);
        check(
            "/*!40101 SET x */;\n/*!50001 CREATE VIEW v AS */ /*!50002 SELECT 1 */;",
            MySql,
            &[(1, "SET x"), (2, "CREATE VIEW v AS SELECT 1")],
        );
    }

    #[test]
    fn what_is_for_the_client_is_told_apart() {
        use Flavour::{MySql, Postgres};
        check(
            "\\connect shop\nCOPY a (b) FROM stdin;\n1;\t'\n\\.\n\nc;",
            Postgres,
            &[
                (1, "\\connect shop"),
                (2, "COPY a (b) FROM stdin"),
                (3, "DATA"),
                (6, "c"),
            ],
        );
        check(
            "COPY a FROM STDIN;\n1",
            Postgres,
            &[(1, "COPY a FROM STDIN"), (2, "UNCLOSED")],
        );
        check(
            "DELIMITER ;;\nCREATE TRIGGER t BEGIN a; b; END ;;\nDELIMITER ;\nc;",
            MySql,
            &[(2, "CREATE TRIGGER t BEGIN a; b; END"), (4, "c")],
        );
    }

    #[test]
    fn an_open_quote_costs_one_statement() {
        check(
            "CREATE TABLE a (x text DEFAULT 'oops);\n  y text);\nCREATE TABLE b (y int);\n",
            Flavour::Postgres,
            &[(1, "UNCLOSED"), (3, "CREATE TABLE b (y int)")],
        );
        // Each begins with an open quote, which the next one closes, so to say.
        let many = "CREATE TABLE a (x text DEFAULT 'oops);\n".repeat(99);
        assert!(pieces(&many, Flavour::Postgres).len() < 60);
        check("/* open", Flavour::Postgres, &[]);
        check("a /* open", Flavour::Postgres, &[(1, "UNCLOSED")]);
    }

    #[test]
    fn only_the_beginning_of_data_is_kept() {
        let long = format!("INSERT INTO a VALUES ('{}');b", "x\n".repeat(1 << 20));
        let mut splitter = Splitter::new(Cursor::new(long), Flavour::MySql);
        let piece = splitter.next().unwrap().unwrap();
        assert!(matches!(piece.kind, PieceKind::Statement(text) if text.len() <= HEAD_BYTES));
        assert!(splitter.text.capacity() < 1_024);
        assert_eq!(splitter.next().unwrap().unwrap().line, 1 + (1 << 20));
        let long = format!("CREATE TABLE a ({}", "x int, ".repeat(1 << 17));
        check(&long, Flavour::MySql, &[(1, "TOO LONG")]);
    }
}
