//! `show`: prints the text of a document, or parts of a long one.

mod long;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::args::{LockArgs, ShowArgs};
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::multi_line;
use super::ui::Ui;
use crate::kb::config::Config;
use crate::kb::registry::{Catalogue, DocumentRow};
use crate::kb::{KbPath, KbRoot, SafeLine, layout};
use crate::mutation::{OwnerOptions, PageReader};

use long::Wanted;

/// No page is larger: a converter's whole output is bounded by as much.
const PAGE_BYTES_MAX: u64 = 1 << 30;

#[derive(Serialize)]
struct Answer<'a> {
    document: &'a DocumentRow,
    page: &'a KbPath,
    text: &'a str,
    warnings: &'a [SafeLine],
}

/// Prints the converted text, or the summary, of the one document that is meant.
///
/// # Errors
/// If none or several are meant, or the page cannot be read.
pub(super) fn run(ui: &mut Ui, settings: &Settings, args: &ShowArgs) -> Result<Exit, CommandError> {
    let root = Arc::new(KbRoot::resolve(&settings.candidates)?);
    let reader = PageReader::open(&root, &owner_options(settings, args))?;
    // Under the same lock as the page: both are of one commit.
    let catalogue = Catalogue::open(&root)?;
    let document = the_one(catalogue.find(&args.document)?, "show", &args.document)?;
    if let Some(pages) = &document.needs_ocr {
        let named = pages.named();
        let need = match named.starts_with("pages") {
            true => "need",
            false => "needs",
        };
        ui.note(&format!("note: no text on {named}, which {need} OCR"));
    }
    if let Some(wanted) = Wanted::of(args) {
        return long::run(ui, reader, &catalogue, &document, &wanted);
    }
    let page = page_of(&document, args.summary);
    let read = reader.read(&page, PAGE_BYTES_MAX);
    let warnings = reader.warnings().to_vec();
    // Whoever reads what is printed may take an hour.
    drop(reader);
    tell(ui, &warnings);
    let Some(bytes) = read? else {
        let name = document.doc_name;
        return Err(CommandError::NoPage { name, path: page });
    };
    let bytes = if page.as_str().ends_with(".json") {
        joined_pages(&bytes).unwrap_or(bytes)
    } else {
        bytes
    };
    if ui.json() {
        ui.answer(Answer {
            document: &document,
            page: &page,
            text: &String::from_utf8_lossy(&bytes),
            warnings: &warnings,
        });
    } else {
        print(ui, &bytes);
    }
    Ok(Exit::Done)
}

/// Warns of what the page reader met.
fn tell(ui: &mut Ui, warnings: &[SafeLine]) {
    for warning in warnings {
        ui.warning(warning.as_str());
    }
}

/// How the lock is taken, and how what a crash left is undone before the page is read.
fn owner_options(settings: &Settings, args: &ShowArgs) -> OwnerOptions {
    let lock = LockArgs {
        wait: args.wait,
        ..LockArgs::default()
    };
    OwnerOptions {
        lock: settings.lock(lock, &Arc::default()),
        clock: settings.clock.clone(),
        // Nothing is planned or exported: a mistake in the settings keeps nobody from reading.
        config: Config::default(),
        command: "show",
    }
}

/// Prints a page: to a terminal without what it would obey, to a pipe byte for byte.
pub(super) fn print(ui: &mut Ui, bytes: &[u8]) {
    if !ui.stdout().terminal {
        return ui.data(bytes);
    }
    let text = multi_line(&String::from_utf8_lossy(bytes));
    ui.data(text.as_bytes());
    if !text.ends_with('\n') {
        ui.data(b"\n");
    }
}

/// The document that `query` means for a command, of those found.
///
/// # Errors
/// If there is none, or there are several.
pub(super) fn the_one(
    mut found: Vec<DocumentRow>,
    command: &'static str,
    query: &str,
) -> Result<DocumentRow, CommandError> {
    match (found.pop(), found.is_empty()) {
        (None, _) => Err(CommandError::NoDocument(query.to_owned())),
        (Some(document), true) => Ok(document),
        (Some(last), false) => {
            found.push(last);
            Err(CommandError::Ambiguous {
                command,
                query: query.to_owned(),
                matches: found.into_iter().map(|row| row.doc_name).collect(),
            })
        }
    }
}

fn page_of(document: &DocumentRow, summary: bool) -> KbPath {
    if summary {
        return layout::summary_page(&document.doc_name);
    }
    let registered = document.source_path.clone();
    registered.unwrap_or_else(|| layout::source_page(&document.doc_name))
}

/// The text of a long document that OpenKB keeps as JSON: a list of pages with `content`. `None`
/// if it is something else.
fn joined_pages(json: &[u8]) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Page {
        content: String,
    }

    let pages: Vec<Page> = serde_json::from_slice(json).ok()?;
    let texts: Vec<&str> = pages.iter().map(|page| page.content.trim_end()).collect();
    Some(format!("{}\n", texts.join("\n\n")).into_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::list::tests::row;
    use super::*;

    #[test]
    fn one_document_must_be_meant() {
        let rows = |names: &[&str]| names.iter().map(|name| row(name, "T")).collect();
        let meant = |names: &[&str]| the_one(rows(names), "show", "q");
        assert_eq!(meant(&["a"]).unwrap().doc_name.as_str(), "a");
        let none = meant(&[]).unwrap_err();
        assert_eq!(none.exit(), Exit::Failed);
        assert!(none.report().hint.unwrap().contains("`kbhost list`"));
        let several = meant(&["a", "b", "c"]).unwrap_err();
        assert_eq!(several.exit(), Exit::Usage);
        assert_eq!(several.report().choices, ["a", "b", "c"]);
    }

    #[test]
    fn pages_come_from_registry_or_layout() {
        let mut document = row("a", "T");
        assert_eq!(page_of(&document, false).as_str(), "wiki/sources/a.md");
        assert_eq!(page_of(&document, true).as_str(), "wiki/summaries/a.md");
        document.source_path = KbPath::new("wiki/sources/a.json").ok();
        assert_eq!(page_of(&document, false).as_str(), "wiki/sources/a.json");
    }

    #[test]
    fn openkbs_pages_are_joined() {
        let json = br#"[{"page":1,"content":"One\n"},{"page":2,"content":"Two"}]"#;
        assert_eq!(joined_pages(json).as_deref(), Some(&b"One\n\nTwo\n"[..]));
        assert_eq!(joined_pages(b"{}"), None);
    }
}
