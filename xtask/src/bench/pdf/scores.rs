//! The scores on the development corpora, beside those of others on the same files.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::native::Native;
use crate::bench::report::Report;
use crate::failure::{Failure, Result};
use crate::process;
use crate::repo::{self, Repo};

/// The columns of the scorer.
const COLUMNS: [&str; 6] = ["text", "table", "hF1", "hLev", "list", "all"];

/// A corpus with what there is to reach.
struct Corpus {
    name: &'static str,
    /// `all`: above every converter without a model.
    first: f64,
    /// `all`: above the best with one.
    real: f64,
    text: f64,
    table: f64,
    headings: f64,
    /// Who reached what, in the order of [`COLUMNS`]; not a number where a tool gives none.
    peers: [(&'static str, [f64; 6]); 6],
}

const NONE: f64 = f64::NAN;

const CORPORA: [Corpus; 4] = [
    Corpus {
        name: "typst",
        first: 0.87,
        real: 0.92,
        text: 0.97,
        table: 0.75,
        headings: 0.93,
        peers: [
            (
                "pymupdf4llm 2.0",
                [0.962, 0.807, 0.981, 0.897, 0.985, 0.917],
            ),
            ("unpdf 0.52.1", [0.993, 0.693, 0.899, 0.709, 0.832, 0.862]),
            (
                "edgeparse 0.3.2",
                [0.953, 0.600, 0.732, 0.430, 0.793, 0.762],
            ),
            (
                "pdf-inspector 1.25",
                [0.976, 0.326, 0.852, 0.779, 0.820, 0.718],
            ),
            (
                "pdf_oxide 0.3.78",
                [0.947, 0.007, 0.507, 0.368, 0.898, 0.487],
            ),
            ("pdftotext", [0.974, NONE, 0.094, 0.064, 0.627, 0.356]),
        ],
    },
    Corpus {
        name: "dpb",
        first: 0.82,
        real: 0.85,
        text: 0.95,
        table: 0.90,
        headings: 0.70,
        peers: [
            (
                "pymupdf4llm 2.0",
                [0.940, 0.910, 0.670, 0.609, 0.566, 0.840],
            ),
            ("unpdf 0.52.1", [0.949, 0.889, 0.539, 0.516, 0.511, 0.792]),
            (
                "edgeparse 0.3.2",
                [0.917, 0.815, 0.705, 0.704, 0.230, 0.812],
            ),
            (
                "pdf-inspector 1.25",
                [0.931, 0.776, 0.647, 0.601, 0.205, 0.785],
            ),
            (
                "pdf_oxide 0.3.78",
                [0.922, 0.042, 0.316, 0.301, 0.255, 0.427],
            ),
            ("pdftotext", [0.935, NONE, NONE, NONE, 0.889, 0.312]),
        ],
    },
    Corpus {
        name: "tagged",
        first: 0.65,
        real: 0.72,
        text: 0.92,
        table: 0.50,
        headings: 0.70,
        peers: [
            (
                "pymupdf4llm 2.0",
                [0.880, 0.509, 0.738, 0.580, 0.689, 0.709],
            ),
            ("unpdf 0.52.1", [0.915, 0.391, 0.617, 0.625, 0.642, 0.641]),
            (
                "edgeparse 0.3.2",
                [0.874, 0.307, 0.522, 0.299, 0.681, 0.568],
            ),
            (
                "pdf-inspector 1.25",
                [0.876, 0.166, 0.396, 0.370, 0.488, 0.479],
            ),
            (
                "pdf_oxide 0.3.78",
                [0.869, 0.261, 0.325, 0.168, 0.659, 0.485],
            ),
            ("pdftotext", [0.868, NONE, NONE, NONE, 0.567, 0.289]),
        ],
    },
    Corpus {
        name: "docling",
        first: 0.74,
        real: 0.78,
        text: 0.95,
        table: 0.70,
        headings: 0.80,
        peers: [
            (
                "pymupdf4llm 2.0",
                [0.879, 0.531, 0.906, 0.915, 0.794, 0.772],
            ),
            ("unpdf 0.52.1", [0.957, 0.699, 0.533, 0.468, 0.440, 0.730]),
            (
                "edgeparse 0.3.2",
                [0.715, 0.210, 0.467, 0.445, 0.500, 0.464],
            ),
            (
                "pdf-inspector 1.25",
                [0.876, 0.446, 0.460, 0.449, 0.273, 0.594],
            ),
            (
                "pdf_oxide 0.3.78",
                [0.827, 0.126, 0.395, 0.411, 0.286, 0.449],
            ),
            ("pdftotext", [0.925, NONE, NONE, NONE, 0.333, 0.308]),
        ],
    },
];

/// Converts each corpus natively, has it scored and prints a table of each.
///
/// # Errors
/// If the converter or the scorer fails.
pub(super) fn measure(repo: &Repo, native: &Native, report: &mut Report) -> Result<()> {
    let scorer = repo.root().join("../shared/tools/score_pdf.py");
    if let Some(why) = missing(&scorer) {
        report.skip("scores", why);
        return Ok(());
    }
    for corpus in &CORPORA {
        let Some(dir) = repo.corpus_of_pdfs(corpus.name) else {
            let why = format!("no ../shared/corpus/pdf/{}", corpus.name);
            report.skip(format!("scores, {}", corpus.name), why);
            continue;
        };
        let out = repo.target().join("bench-pdf-scores").join(corpus.name);
        native.convert(&repo::entries(&dir.join("pdf"))?, &out)?;
        let mut score = Command::new("python3");
        score.arg(&scorer).arg(&dir).arg(&out).arg("--json");
        let ours = means(&process::capture(&mut score)?)
            .ok_or_else(|| Failure::new("the scorer's answer has no means"))?;
        println!("{}", table(corpus, ours));
        judge(corpus, ours, report);
    }
    Ok(())
}

fn missing(scorer: &Path) -> Option<&'static str> {
    if !scorer.is_file() {
        return Some("no ../shared/tools/score_pdf.py");
    }
    let mut python = Command::new("python3");
    let is_there = process::works(python.args(["-c", "import rapidfuzz, apted"]));
    (!is_there).then_some("no Python with rapidfuzz and apted")
}

/// The scorer's means, in the order of [`COLUMNS`].
fn means(json: &str) -> Option<[f64; 6]> {
    let answer: Value = serde_json::from_str(json).ok()?;
    let (_, tool) = answer.as_object()?.iter().next()?;
    let mean = tool.get("mean")?;
    Some(COLUMNS.map(|column| mean.get(column).and_then(Value::as_f64).unwrap_or(NONE)))
}

fn table(corpus: &Corpus, ours: [f64; 6]) -> String {
    let mut table = format!("\n{:20}", corpus.name);
    for column in COLUMNS {
        table.push_str(&format!("{column:>8}"));
    }
    let ours = ("kbhost", ours);
    for (name, row) in std::iter::once(&ours).chain(&corpus.peers) {
        table.push_str(&format!("\n{name:20}"));
        for value in row {
            table.push_str(&match value.is_nan() {
                true => format!("{:>8}", "-"),
                false => format!("{value:>8.3}"),
            });
        }
    }
    table.push('\n');
    table
}

fn judge(corpus: &Corpus, ours: [f64; 6], report: &mut Report) {
    let [text, table, headings, .., all] = ours;
    let goals = [
        ("all, first goal", all, corpus.first),
        ("all, real goal", all, corpus.real),
        ("text", text, corpus.text),
        ("table", table, corpus.table),
        ("hF1", headings, corpus.headings),
    ];
    for (what, value, goal) in goals {
        report.score(format!("{}: {what}", corpus.name), value, goal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_read_and_shown() {
        let json = r#"{"x": {"mean": {"text": 0.5, "hF1": 1.0, "all": 0.75}, "docs": {}}}"#;
        let ours = means(json).unwrap();
        assert!(ours[1].is_nan() && ours[0] == 0.5 && ours[5] == 0.75);
        let table = table(&CORPORA[0], ours);
        let row = table.lines().find(|line| line.starts_with("kbhost"));
        let expected = "kbhost                 0.500       -   1.000       -       -   0.750";
        assert_eq!(row, Some(expected));
        assert!(table.contains("pdftotext"));
        assert_eq!(means("{}"), None);
    }

    #[test]
    fn the_mean_of_peers_is_that_of_three_columns() {
        for corpus in &CORPORA {
            for (name, row) in &corpus.peers {
                let [text, table, headings, .., all] = *row;
                let sum: f64 = [text, table, headings].iter().filter(|v| !v.is_nan()).sum();
                assert!((sum / 3.0 - all).abs() < 0.002, "{} {name}", corpus.name);
            }
        }
    }
}
