//! CSV to a Markdown table.

use csv::{ReaderBuilder, StringRecord};
use kbhost_guest::ConvertError;

/// More rows than anybody reads as a page.
const ROWS_MAX: usize = 50_000;
/// Wider tables are data for a program.
const COLUMNS_MAX: usize = 500;
/// Cells after padding: bounds the page when one row is far wider than the others.
const CELLS_MAX: usize = 1_000_000;
/// Tried in this order; on a tie the earlier one wins.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Rows looked at to choose the delimiter.
const SNIFF_ROWS: usize = 50;

fn reader(text: &str, delimiter: u8) -> csv::Reader<&[u8]> {
    let mut builder = ReaderBuilder::new();
    builder
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

/// The delimiter by which most of the first rows have the same number of fields, more than one.
fn sniff(text: &str) -> u8 {
    let score = |delimiter: u8| {
        let rows = reader(text, delimiter).into_records().take(SNIFF_ROWS);
        let widths: Vec<usize> = rows.filter_map(Result::ok).map(|row| row.len()).collect();
        let alike = |width: usize| widths.iter().filter(|other| **other == width).count();
        let best = widths
            .iter()
            .filter(|width| **width > 1)
            .map(|width| (alike(*width), *width));
        best.max().unwrap_or((0, 0))
    };
    let mut chosen = (DELIMITERS[0], (0, 0));
    for delimiter in DELIMITERS {
        let score = score(delimiter);
        if score > chosen.1 {
            chosen = (delimiter, score);
        }
    }
    chosen.0
}

/// A cell's text as it stands in one cell of a table, and as text rather than as markup.
fn push_cell(table: &mut String, cell: &str) {
    for (number, line) in cell.trim().lines().enumerate() {
        if number > 0 {
            table.push_str("<br>");
        }
        let mut chars = line.trim().chars().peekable();
        while let Some(c) = chars.next() {
            let escapes_next =
                c == '\\' && !chars.peek().is_some_and(|next| next.is_alphanumeric());
            if matches!(c, '|' | '<') || escapes_next {
                table.push('\\');
            }
            table.push(c);
        }
    }
}

fn push_row(table: &mut String, row: &StringRecord, columns: usize) {
    table.push('|');
    for column in 0..columns {
        table.push(' ');
        push_cell(table, row.get(column).unwrap_or_default());
        table.push_str(" |");
    }
    table.push('\n');
}

/// Writes delimited text as one table; the first row is the header, short rows are padded.
pub(crate) fn to_markdown(text: &str) -> Result<String, ConvertError> {
    let mut rows = Vec::new();
    for row in reader(text, sniff(text)).into_records() {
        let row = row.map_err(|error| ConvertError::Corrupt(format!("no CSV: {error}")))?;
        rows.push(row);
        if rows.len() > ROWS_MAX {
            return Err(ConvertError::TooLarge(format!("more than {ROWS_MAX} rows")));
        }
    }
    let columns = rows.iter().map(StringRecord::len).max().unwrap_or(0);
    if columns > COLUMNS_MAX {
        return Err(ConvertError::TooLarge(format!(
            "more than {COLUMNS_MAX} columns"
        )));
    }
    if columns * rows.len() > CELLS_MAX {
        return Err(ConvertError::TooLarge(format!(
            "more than {CELLS_MAX} cells"
        )));
    }
    let mut table = String::with_capacity(text.len() * 2);
    for (number, row) in rows.iter().enumerate() {
        push_row(&mut table, row, columns);
        if number == 0 {
            table.push_str(&format!("|{}\n", " --- |".repeat(columns)));
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let check =
            |csv, expected: &str| assert_eq!(to_markdown(csv).unwrap(), expected, "{csv:?}");
        check("a,b\n1,2\n", "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
        check("a;b\n1,5;2\n", "| a | b |\n| --- | --- |\n| 1,5 | 2 |\n");
        check("a\tb\n1\t2", "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
        check("a|b\n1|2", "| a | b |\n| --- | --- |\n| 1 | 2 |\n");
        check(
            "a,b,c\n1\n",
            "| a | b | c |\n| --- | --- | --- |\n| 1 |  |  |\n",
        );
        check("a\n1,2\n", "| a |  |\n| --- | --- |\n| 1 | 2 |\n");
        check("only\n", "| only |\n| --- |\n");
        check("", "");
    }

    #[test]
    fn cells_stay_cells() {
        let check = |cell, expected: &str| {
            let mut table = String::new();
            push_cell(&mut table, cell);
            assert_eq!(table, expected, "{cell:?}");
        };
        check("a|b", "a\\|b");
        check("a\\|b", "a\\\\\\|b");
        check("two\r\n lines ", "two<br>lines");
        check("<script>", "\\<script>");
        check("C:\\dir", "C:\\dir");
        check("end\\", "end\\\\");
    }

    #[test]
    fn bounds() {
        let too_large = |csv: String| {
            assert!(matches!(to_markdown(&csv), Err(ConvertError::TooLarge(_))));
        };
        too_large("x\n".repeat(ROWS_MAX + 1));
        too_large(",".repeat(COLUMNS_MAX));
        too_large(format!(
            "{}\n{}",
            ",".repeat(COLUMNS_MAX - 1),
            "x\n".repeat(2_001)
        ));
    }
}
