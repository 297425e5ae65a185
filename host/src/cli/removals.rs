//! What `remove` tells of its documents, in the order in which they were typed: lines, the summary,
//! how to have a document back, the JSON answer.

use std::path::PathBuf;

use serde::Serialize;

use super::error::{CommandError, ErrorReport};
use super::ui::Ui;
use crate::kb::registry::DocumentRow;
use crate::kb::{DocName, KbPath, KbRoot, SafeLine, shell_word as word};
use crate::mutation::{MutationError, Preview, Removed};

/// Paths in a hint; a longer command line helps nobody.
const HINT_PATHS_MAX: usize = 5;

/// What became of one document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It is gone.
    Removed,
    /// It is still there.
    Failed,
    /// The run ended before its turn.
    NotTried,
    /// `--dry-run`.
    WouldRemove,
}

/// One document.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Document {
    /// Its name.
    pub(super) name: DocName,
    title: String,
    /// The user's file name.
    file: String,
    status: Status,
    /// Its files that are gone, or would go.
    files: Vec<KbPath>,
    /// Its original, if it is kept.
    kept: Option<KbPath>,
    /// Where it was added from, if that is still a file.
    original: Option<PathBuf>,
    warnings: Vec<String>,
    error: Option<ErrorReport>,
}

impl Document {
    /// A registered document that nothing happened to yet.
    pub(super) fn new(row: &DocumentRow, original: Option<PathBuf>) -> Self {
        Self {
            name: row.doc_name.clone(),
            title: SafeLine::new(&row.title).to_string(),
            file: SafeLine::new(&row.name).to_string(),
            status: Status::NotTried,
            files: Vec::new(),
            kept: None,
            original,
            warnings: Vec::new(),
            error: None,
        }
    }

    /// The line of a document that somebody is asked about.
    pub(super) fn line(&self, keep_raw: bool) -> String {
        let Self {
            name, title, file, ..
        } = self;
        let only = match self.original {
            None if !keep_raw => "; the original in `raw/` is the only copy known",
            _ => "",
        };
        format!("  {name}  {title} ({file}{only})")
    }
}

/// How many documents became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// Gone.
    pub(super) removed: u64,
    /// Still there.
    pub(super) failed: u64,
    /// The run ended before their turn.
    pub(super) not_tried: u64,
}

impl Summary {
    fn of(documents: &[Document]) -> Self {
        let mut summary = Self::default();
        for document in documents {
            let counter = match document.status {
                Status::Removed | Status::WouldRemove => &mut summary.removed,
                Status::Failed => &mut summary.failed,
                Status::NotTried => &mut summary.not_tried,
            };
            *counter += 1;
        }
        summary
    }

    /// The summary as a line; counts of zero are left out.
    fn line(&self) -> String {
        self.line_with("removed")
    }

    fn line_with(&self, removed: &str) -> String {
        let mut line = format!("{} {removed}", self.removed);
        for (count, what) in [(self.failed, "failed"), (self.not_tried, "not tried")] {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        line
    }
}

/// Shared pages that a removal would change.
#[derive(Debug, Default, Serialize)]
struct SharedPages {
    edited: Vec<KbPath>,
    deleted: Vec<KbPath>,
}

/// The JSON answer of `remove`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    dry_run: bool,
    keep_raw: bool,
    documents: &'a [Document],
    /// Only of a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_pages: Option<SharedPages>,
    summary: Summary,
    warnings: &'a [String],
    stopped: Option<ErrorReport>,
}

/// Tells what becomes of the documents while it happens, and all of it at the end.
pub(super) struct Reporter<'a> {
    ui: &'a mut Ui,
    root: &'a KbRoot,
    documents: Vec<Document>,
    keep_raw: bool,
    /// Documents that were told.
    told: usize,
    warnings: Vec<String>,
}

impl<'a> Reporter<'a> {
    /// A report of `documents`, which will be told one by one, in their order.
    pub(super) fn new(
        ui: &'a mut Ui,
        root: &'a KbRoot,
        documents: Vec<Document>,
        keep_raw: bool,
    ) -> Self {
        Self {
            ui,
            root,
            documents,
            keep_raw,
            told: 0,
            warnings: Vec::new(),
        }
    }

    /// Tells what became of the next document.
    pub(super) fn verdict(&mut self, verdict: Result<Removed, MutationError>) {
        let document = &mut self.documents[self.told];
        self.told += 1;
        match verdict {
            Ok(removed) => {
                assert!(
                    removed.name == document.name,
                    "BUG: verdicts come in the order of their documents"
                );
                document.status = Status::Removed;
                document.files = removed.files;
                document.kept = removed.kept;
                document.warnings = removed.warnings.iter().map(ToString::to_string).collect();
                if !self.ui.json() {
                    self.ui.line(&removed_line(document));
                    self.ui.flush();
                }
                for warning in &document.warnings {
                    self.ui.warning(&format!("{}: {warning}", document.name));
                }
            }
            Err(error) => {
                let name = document.name.clone();
                let report = CommandError::Remove { name, error }.report();
                self.ui.error(&report);
                document.status = Status::Failed;
                document.error = Some(report);
            }
        }
    }

    /// Trouble after a commit that is no document's.
    pub(super) fn warning(&mut self, warning: &SafeLine) {
        self.ui.warning(warning.as_str());
        self.warnings.push(warning.to_string());
    }

    /// Trouble that is no document's and stops nothing.
    pub(super) fn warn(&mut self, error: &CommandError) {
        let report = error.report();
        let causes = report.causes.iter().map(|cause| format!(": {cause}"));
        let text = format!("{}{}", report.message, causes.collect::<String>());
        self.ui.warning(&text);
        self.warnings.push(text);
    }

    /// Tells what a removal would do.
    pub(super) fn preview(mut self, preview: Preview) {
        for (document, previewed) in self.documents.iter_mut().zip(preview.documents) {
            document.status = Status::WouldRemove;
            document.files = previewed.files;
            document.kept = previewed.kept;
        }
        let (edited, deleted) = (preview.edited, preview.deleted);
        if self.ui.json() {
            return self.answer(true, Some(SharedPages { edited, deleted }), None);
        }
        for document in &self.documents {
            let files = counted(document.files.len());
            self.ui
                .line(&format!("would remove {} ({files})", document.name));
            for path in &document.files {
                self.ui.line(&format!("  delete {path}"));
            }
            if let Some(kept) = &document.kept {
                self.ui.line(&format!("  keep   {kept}"));
            }
        }
        if !edited.is_empty() || !deleted.is_empty() {
            self.ui.line("shared pages");
        }
        for path in &deleted {
            self.ui.line(&format!("  delete {path}"));
        }
        for path in &edited {
            self.ui.line(&format!("  edit   {path}"));
        }
        let line = Summary::of(&self.documents).line_with("would be removed");
        self.ui.note(&format!(
            "dry run: {line}; as the knowledge base is now, without the lock"
        ));
    }

    /// Ends the report: documents that were not told were not tried; `stopped` says why. Returns
    /// the final counts.
    pub(super) fn finish(mut self, stopped: Option<&CommandError>) -> Summary {
        let summary = Summary::of(&self.documents);
        let stopped = stopped.map(CommandError::report);
        if self.ui.json() {
            self.answer(false, None, stopped);
            return summary;
        }
        if let Some(report) = &stopped {
            self.ui.error(report);
        }
        self.ui.note(&summary.line());
        if let Some(hint) = self.way_back() {
            self.ui.hint(&hint);
        }
        summary
    }

    fn answer(
        &mut self,
        dry_run: bool,
        shared_pages: Option<SharedPages>,
        stopped: Option<ErrorReport>,
    ) {
        self.ui.answer(Answer {
            dry_run,
            keep_raw: self.keep_raw,
            summary: Summary::of(&self.documents),
            documents: &self.documents,
            shared_pages,
            warnings: &self.warnings,
            stopped,
        });
    }

    /// How to have the removed documents back, as far as there is a way.
    fn way_back(&self) -> Option<String> {
        let removed = self
            .documents
            .iter()
            .filter(|document| document.status == Status::Removed);
        let paths: Vec<String> = removed
            .filter_map(|document| {
                let kept = document
                    .kept
                    .as_ref()
                    .map(|kept| word(self.root.join(kept)));
                document.original.as_ref().map(word).or(kept)
            })
            .collect();
        if paths.is_empty() {
            return None;
        }
        let (shown, more) = match paths.len().checked_sub(HINT_PATHS_MAX) {
            Some(more) if more > 0 => (&paths[..HINT_PATHS_MAX], format!(", and {more} more")),
            _ => (&paths[..], String::new()),
        };
        Some(format!(
            "to have it back: `kbhost add {}`{more}",
            shown.join(" ")
        ))
    }
}

/// The line of a document that is gone.
fn removed_line(document: &Document) -> String {
    let files = counted(document.files.len());
    match &document.kept {
        Some(kept) => format!("removed {} ({files}; kept {kept})", document.name),
        None => format!("removed {} ({files})", document.name),
    }
}

fn counted(files: usize) -> String {
    match files {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}
