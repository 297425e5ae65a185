//! Aligned columns for people; a pipe gets them uncut.

use super::terminal::{Style, fit, width};

/// Space between two columns.
const GAP: usize = 2;

/// A column is not cut below this many columns of the terminal.
const WIDTH_MIN: usize = 12;

/// Rows under a header.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    /// Names of the columns.
    pub(super) header: [&'static str; N],
    /// Columns whose cells stand at the right.
    pub(super) right: [bool; N],
    /// Columns that may be cut when the terminal is too narrow, first to give way first.
    pub(super) elastic: &'static [usize],
    /// The cells: single safe lines.
    pub(super) rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// The lines of the table, the header first. `columns` is the width of the terminal.
    pub(super) fn lines(&self, columns: Option<usize>, colour: bool) -> Vec<String> {
        let widths = self.widths(columns);
        let header = self.line(&self.header.map(str::to_owned), &widths);
        let rows = self.rows.iter().map(|row| self.line(row, &widths));
        std::iter::once(Style::Bold.paint(&header, colour))
            .chain(rows)
            .collect()
    }

    fn widths(&self, columns: Option<usize>) -> [usize; N] {
        let mut widths = self.header.map(width);
        for row in &self.rows {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        if let Some(columns) = columns {
            let natural = widths.iter().sum::<usize>() + GAP * N.saturating_sub(1);
            let mut excess = natural.saturating_sub(columns);
            for &elastic in self.elastic {
                let give = excess.min(widths[elastic].saturating_sub(WIDTH_MIN));
                widths[elastic] -= give;
                excess -= give;
            }
        }
        widths
    }

    fn line(&self, cells: &[String; N], widths: &[usize; N]) -> String {
        let mut line = String::new();
        for (index, (cell, &columns)) in cells.iter().zip(widths).enumerate() {
            let cell = fit(cell, columns);
            let pad = " ".repeat(columns - width(&cell));
            if index > 0 {
                line.push_str(&" ".repeat(GAP));
            }
            if self.right[index] {
                line.push_str(&pad);
                line.push_str(&cell);
            } else {
                line.push_str(&cell);
                line.push_str(&pad);
            }
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table<3> {
        Table {
            header: ["Name", "Pages", "Title"],
            right: [false, true, false],
            elastic: &[2, 0],
            rows: vec![
                ["a".into(), "7".into(), "A title that is rather long".into()],
                ["漢字漢字".into(), "120".into(), "Short".into()],
            ],
        }
    }

    #[test]
    fn columns_align_whatever_the_script() {
        assert_eq!(
            table().lines(None, false),
            [
                "Name      Pages  Title",
                "a             7  A title that is rather long",
                "漢字漢字    120  Short",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_the_elastic_columns() {
        let lines = table().lines(Some(34), false);
        assert_eq!(lines[1], "a             7  A title that is …");
        assert!(lines.iter().all(|line| width(line) <= 34), "{lines:?}");
        let lines = table().lines(Some(5), false);
        assert_eq!(lines[1], "a             7  A title tha…");
    }
}
