//! `list`: the documents of the knowledge base.

use std::sync::Arc;

use serde::Serialize;

use super::args::ListArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::table::Table;
use super::ui::Ui;
use crate::kb::registry::{Catalogue, DocumentRow};
use crate::kb::{KbRoot, SafeLine};

#[derive(Serialize)]
struct Answer<'a> {
    documents: &'a [DocumentRow],
}

/// Characters of a list of pages in a cell.
const RANGES_CHARS_MAX: usize = 24;

/// Lists the documents in order of their first registration. Starts no engine and takes no lock.
///
/// # Errors
/// If there is no KB or its registry cannot be read.
pub(super) fn run(ui: &mut Ui, settings: &Settings, args: &ListArgs) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    let mut documents = Catalogue::open(&root)?.documents()?;
    let total = documents.len();
    documents.retain(|row| !args.needs_ocr || row.needs_ocr.is_some());
    if ui.json() {
        ui.answer(Answer {
            documents: &documents,
        });
    } else if documents.is_empty() && total > 0 {
        ui.note("No document needs OCR.");
    } else if documents.is_empty() {
        ui.note("No documents yet.");
        ui.hint("add some with `kbhost add PATH`");
    } else {
        for line in lines(&documents, ui.columns(), ui.stdout().colour) {
            ui.line(&line);
        }
    }
    Ok(Exit::Done)
}

/// The table; with a column of the pages that need OCR where there are any.
fn lines(documents: &[DocumentRow], columns: Option<usize>, colour: bool) -> Vec<String> {
    if documents.iter().all(|row| row.needs_ocr.is_none()) {
        return table(documents).lines(columns, colour);
    }
    let with_ocr = |row: &DocumentRow| {
        let [name, kind, pages, day, title] = cells(row);
        let needs_ocr = row.needs_ocr.as_ref();
        let needs_ocr =
            needs_ocr.map(|pages| SafeLine::with_max(&pages.to_string(), RANGES_CHARS_MAX));
        let needs_ocr = needs_ocr.map(|pages| pages.to_string()).unwrap_or_default();
        [name, kind, pages, needs_ocr, day, title]
    };
    let table = Table {
        header: ["Name", "Type", "Pages", "Needs OCR", "Added", "Title"],
        right: [false, false, true, false, false, false],
        elastic: &[5, 0],
        rows: documents.iter().map(with_ocr).collect(),
    };
    table.lines(columns, colour)
}

fn table(documents: &[DocumentRow]) -> Table<5> {
    Table {
        header: ["Name", "Type", "Pages", "Added", "Title"],
        right: [false, false, true, false, false],
        elastic: &[4, 0],
        rows: documents.iter().map(cells).collect(),
    }
}

fn cells(row: &DocumentRow) -> [String; 5] {
    let safe = |text: &str| SafeLine::new(text).to_string();
    // The day of an RFC 3339 time.
    let added = row.added_at.as_deref().unwrap_or_default();
    let day: String = added.chars().take(10).collect();
    [
        row.doc_name.to_string(),
        safe(&row.kind),
        row.pages.map(|pages| pages.to_string()).unwrap_or_default(),
        safe(&day),
        safe(&row.title),
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kb::{ContentHash, DocName, PageRanges, SourceKey};

    pub(in crate::cli) fn row(name: &str, title: &str) -> DocumentRow {
        DocumentRow {
            ordinal: 1,
            doc_name: DocName::new(name).unwrap(),
            hash: ContentHash::of(name.as_bytes()),
            source_key: SourceKey::new(format!("/docs/{name}.pdf")),
            name: format!("{name}.pdf"),
            kind: "pdf".to_owned(),
            raw_path: None,
            source_path: None,
            title: title.to_owned(),
            description: String::new(),
            pages: Some(12),
            size: None,
            added_at: Some("2026-01-02T03:04:05Z".to_owned()),
            updated_at: None,
            plugin: None,
            needs_ocr: None,
        }
    }

    #[test]
    fn rows_are_safe_lines() {
        let rows = [row("a", "A\x1b[2J\ntitle"), row("long-name", "B")];
        assert_eq!(
            table(&rows).lines(None, false),
            [
                "Name       Type  Pages  Added       Title",
                "a          pdf      12  2026-01-02  A [2J title",
                "long-name  pdf      12  2026-01-02  B",
            ]
        );
        let mut scan = row("scan", "C");
        scan.needs_ocr = PageRanges::parse("1-3,7").ok();
        assert_eq!(
            lines(&[row("a", "A"), scan], None, false),
            [
                "Name  Type  Pages  Needs OCR  Added       Title",
                "a     pdf      12             2026-01-02  A",
                "scan  pdf      12  1-3,7      2026-01-02  C",
            ]
        );
    }
}
