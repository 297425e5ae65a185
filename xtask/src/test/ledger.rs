//! The record of a test run: each step, how it ended, how long it took.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::failure::Result;

/// How a step that raised no failure ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It ran and passed.
    Passed,
    /// It passed, and this is worth a note in the table.
    PassedWith(String),
    /// It is optional and its tool is not here.
    NotRun(String),
}

/// Labels the last line of the table.
const SUM: &str = "together";

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    step: String,
    verdict: &'static str,
    note: String,
    took: Duration,
}

impl Ledger {
    /// Runs a step and records it; a failure is printed at once and does not stop the run.
    pub(crate) fn step(&mut self, name: &str, body: impl FnOnce() -> Result<Ending>) {
        println!("\n== {name}");
        let started = Instant::now();
        let (verdict, note) = match body() {
            Ok(Ending::Passed) => ("pass", String::new()),
            Ok(Ending::PassedWith(note)) => ("pass", note),
            Ok(Ending::NotRun(reason)) => {
                println!("not run: {reason}");
                ("not run", reason)
            }
            Err(failure) => {
                println!("FAILED: {failure}");
                (
                    "FAIL",
                    failure
                        .to_string()
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                )
            }
        };
        let took = started.elapsed();
        self.rows.push(Row {
            step: name.to_owned(),
            verdict,
            note,
            took,
        });
    }

    /// How many steps failed.
    pub(crate) fn failures(&self) -> usize {
        self.rows.iter().filter(|row| row.verdict == "FAIL").count()
    }

    /// The steps as a table, with their sum.
    pub(crate) fn table(&self) -> String {
        let widths = self.rows.iter().map(|row| row.step.chars().count());
        let width = widths.chain([SUM.len()]).max().unwrap_or(0);
        let mut table = String::new();
        let mut line = |verdict: &str, step: &str, took: Duration, note: &str| {
            let line = format!(
                "{verdict:<8} {step:<width$} {:>7.1} s  {note}",
                took.as_secs_f64()
            );
            writeln!(table, "{}", line.trim_end()).expect("a String takes every write");
        };
        for row in &self.rows {
            line(row.verdict, &row.step, row.took, &row.note);
        }
        line("", SUM, self.rows.iter().map(|row| row.took).sum(), "");
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Failure;

    #[test]
    fn a_failed_step_is_counted_and_the_next_one_runs() {
        let mut ledger = Ledger::default();
        ledger.step("one", || Err(Failure::new("no luck\nmore")));
        ledger.step("second", || Ok(Ending::PassedWith("3 tests".to_owned())));
        ledger.step("third", || Ok(Ending::NotRun("no tool".to_owned())));
        assert_eq!(ledger.failures(), 1);
        let expected = "\
FAIL     one          0.0 s  no luck
pass     second       0.0 s  3 tests
not run  third        0.0 s  no tool
         together     0.0 s
";
        assert_eq!(ledger.table(), expected);
    }
}
