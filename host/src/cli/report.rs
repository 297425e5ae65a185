//! What `add` tells of its inputs, in input order: lines, the summary, the JSON answer.

use std::fmt;

use serde::Serialize;

use super::error::{CommandError, ErrorReport};
use super::ui::Ui;
use crate::commit::{Event, Receipt};
use crate::enumerate::Inputs;
use crate::kb::{DocName, PageRanges, SafeLine, Seq};
use crate::plugin::{ConvertError, JobFailure, Listener};
use crate::prepare::PrepareError;

/// Documents that the line on OCR names; more are counted.
const SCANS_MAX: usize = 5;

/// Characters of a list of pages in that line.
const RANGES_CHARS_MAX: usize = 40;

/// What to do about pages that are pictures.
const ADD_TEXT: &str =
    "a program such as `ocrmypdf` adds the text to a file; then `kbhost add` the file again";

/// What became of one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    /// A new document.
    Added,
    /// A new version of a document.
    Updated,
    /// Its bytes are in already.
    Skipped,
    /// Not in.
    Failed,
    /// The run ended before its turn.
    NotTried,
    /// `--dry-run`: a new document.
    WouldAdd,
    /// `--dry-run`: a new version of a document.
    WouldUpdate,
    /// `--dry-run`: its bytes are in already.
    WouldSkip,
    /// `--dry-run`: not in.
    WouldFail,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Added => "added",
            Self::Updated => "updated",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::NotTried => "not tried",
            Self::WouldAdd => "would add",
            Self::WouldUpdate => "would update",
            Self::WouldSkip => "would skip",
            Self::WouldFail => "would fail",
        })
    }
}

/// One input.
#[derive(Clone, Debug, Serialize)]
pub(super) struct DocumentReport {
    /// Its place in the order, from 0.
    pub(super) seq: Seq,
    /// How the user knows it.
    pub(super) path: String,
    /// What became of it.
    pub(super) status: Status,
    /// The document it is.
    pub(super) name: Option<String>,
    /// That document's title, if this run made it.
    pub(super) title: Option<String>,
    /// Its pages without text that show a picture of it.
    pub(super) needs_ocr: Option<PageRanges>,
    /// What the user should know.
    pub(super) warnings: Vec<String>,
    /// Why it is not in.
    pub(super) error: Option<ErrorReport>,
}

impl DocumentReport {
    /// An input without name, title, warnings and error.
    pub(super) fn new(seq: Seq, path: String, status: Status) -> Self {
        Self {
            seq,
            path,
            status,
            name: None,
            title: None,
            needs_ocr: None,
            warnings: Vec::new(),
            error: None,
        }
    }

    /// The line of this input: status, name or `-`, `<-`, path.
    fn line(&self) -> String {
        let Self {
            status, name, path, ..
        } = self;
        let name = name.as_deref().unwrap_or("-");
        let remark = match status {
            Status::Skipped | Status::WouldSkip => " (already in the knowledge base)",
            _ => "",
        };
        let columns = match status {
            Status::WouldAdd | Status::WouldUpdate | Status::WouldSkip | Status::WouldFail => 12,
            _ => 8,
        };
        format!("{status:columns$} {name} <- {path}{remark}")
    }
}

/// How many inputs became what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Summary {
    /// New documents.
    pub(super) added: u64,
    /// New versions.
    pub(super) updated: u64,
    /// In already.
    pub(super) skipped: u64,
    /// Not in.
    pub(super) failed: u64,
    /// The run ended before their turn.
    pub(super) not_tried: u64,
    /// Files in walked folders that no converter takes.
    pub(super) other_kinds: u64,
}

impl Summary {
    fn count(&mut self, status: Status) {
        let counter = match status {
            Status::Added | Status::WouldAdd => &mut self.added,
            Status::Updated | Status::WouldUpdate => &mut self.updated,
            Status::Skipped | Status::WouldSkip => &mut self.skipped,
            Status::Failed | Status::WouldFail => &mut self.failed,
            Status::NotTried => &mut self.not_tried,
        };
        *counter += 1;
    }

    /// The summary as a line; counts of zero are left out.
    pub(super) fn line(&self, dry_run: bool) -> String {
        let prefix = if dry_run { "dry run: " } else { "" };
        let mut line = format!("{prefix}{} added", self.added);
        let counts = [
            (self.updated, "updated"),
            (self.skipped, "skipped"),
            (self.failed, "failed"),
            (self.not_tried, "not tried"),
        ];
        for (count, what) in counts {
            if count > 0 {
                line.push_str(&format!(", {count} {what}"));
            }
        }
        match self.other_kinds {
            0 => {}
            1 => line.push_str("; 1 file of another kind skipped"),
            count => line.push_str(&format!("; {count} files of other kinds skipped")),
        }
        line
    }
}

/// The JSON answer of `add`.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    dry_run: bool,
    documents: &'a [DocumentReport],
    summary: Summary,
    warnings: &'a [String],
    stopped: Option<ErrorReport>,
}

/// Tells what becomes of the inputs while it happens, and all of it at the end.
pub(super) struct Reporter<'a> {
    ui: &'a mut Ui,
    /// Extensions that some converter takes, for hints.
    accepted: Vec<String>,
    /// How to name each input, by sequence number; `None` once it was told.
    unheard: Vec<Option<String>>,
    dry_run: bool,
    documents: Vec<DocumentReport>,
    warnings: Vec<String>,
    /// Documents of this run that need OCR: name and pages.
    scans: Vec<(String, PageRanges)>,
    summary: Summary,
}

impl<'a> Reporter<'a> {
    /// A report of `inputs`, which will be told one by one, in their order.
    pub(super) fn new(
        ui: &'a mut Ui,
        inputs: &Inputs,
        accepted: Vec<String>,
        dry_run: bool,
    ) -> Self {
        let unheard = displays(inputs).into_iter().map(Some).collect::<Vec<_>>();
        ui.start_progress(unheard.len() as u64);
        Self {
            ui,
            accepted,
            unheard,
            dry_run,
            documents: Vec::new(),
            warnings: Vec::new(),
            scans: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Who shows how far single inputs are, where there is a bar.
    pub(super) fn listener(&self) -> Option<Listener> {
        self.ui.listener()
    }

    /// Takes what the commit queue tells.
    pub(super) fn event(&mut self, event: Event) {
        match event {
            Event::Committed {
                seq,
                display,
                receipt,
            } => self.document(committed(seq, display, &receipt), None),
            Event::AlreadyIn { seq, display, name } => {
                self.document(already_in(seq, display, Status::Skipped, Some(name)), None);
            }
            Event::PrepareFailed {
                seq,
                display,
                error,
            } => self.not_prepared(seq, display, error.into()),
            Event::CommitFailed {
                seq,
                display,
                error,
            } => {
                let document = DocumentReport::new(seq, display.clone(), Status::Failed);
                self.document(document, Some(&CommandError::Commit { display, error }));
            }
            Event::Warning(warning) => {
                self.ui.warning(warning.as_str());
                self.warnings.push(warning.to_string());
            }
        }
    }

    /// An input that gave no document. What the user cancelled has not failed.
    pub(super) fn not_prepared(&mut self, seq: Seq, display: String, error: Box<PrepareError>) {
        if is_cancelled(&error) {
            let document = DocumentReport::new(seq, display, Status::NotTried);
            return self.document(document, None);
        }
        let status = if self.dry_run {
            Status::WouldFail
        } else {
            Status::Failed
        };
        let document = DocumentReport::new(seq, display.clone(), status);
        let error = CommandError::Prepare {
            display,
            error,
            accepted: self.accepted.clone(),
        };
        self.document(document, Some(&error));
    }

    /// Tells one input.
    pub(super) fn document(&mut self, mut document: DocumentReport, error: Option<&CommandError>) {
        let place = usize::try_from(document.seq.0).ok();
        let told = place.and_then(|place| self.unheard.get_mut(place)?.take());
        assert!(told.is_some(), "BUG: an input is told once");
        self.summary.count(document.status);
        self.ui.advance(&document.path);
        document.error = error.map(CommandError::report);
        if let (Some(name), Some(pages)) = (&document.name, &document.needs_ocr) {
            self.scans.push((name.clone(), pages.clone()));
        }
        if self.ui.json() {
            self.documents.push(document);
            return;
        }
        if document.status != Status::NotTried {
            self.ui.line(&document.line());
            self.ui.flush();
        }
        for warning in &document.warnings {
            self.ui.warning(&format!("{}: {warning}", document.path));
        }
        if let Some(error) = &document.error {
            self.ui.error(error);
        }
    }

    /// Trouble that is no input's and stops nothing.
    pub(super) fn warn(&mut self, error: &CommandError) {
        let report = error.report();
        let causes = report.causes.iter().map(|cause| format!(": {cause}"));
        let text = format!("{}{}", report.message, causes.collect::<String>());
        self.ui.warning(&text);
        self.warnings.push(text);
    }

    /// Ends the report: inputs that were not told were not tried; `stopped` says why. Returns the
    /// final counts.
    pub(super) fn finish(mut self, other_kinds: u64, stopped: Option<&CommandError>) -> Summary {
        for seq in 0..self.unheard.len() {
            if let Some(display) = self.unheard[seq].clone() {
                let seq = Seq(seq as u64);
                let document = DocumentReport::new(seq, display, Status::NotTried);
                self.document(document, None);
            }
        }
        self.ui.finish_progress();
        self.summary.other_kinds = other_kinds;
        let stopped = stopped.map(CommandError::report);
        if self.ui.json() {
            self.documents.sort_by_key(|document| document.seq);
            self.ui.answer(Answer {
                dry_run: self.dry_run,
                documents: &self.documents,
                summary: self.summary,
                warnings: &self.warnings,
                stopped,
            });
        } else {
            if let Some(report) = &stopped {
                self.ui.error(report);
            }
            self.ui.note(&self.summary.line(self.dry_run));
            if let Some(line) = scans_line(&self.scans) {
                self.ui.note(&line);
                self.ui.hint(ADD_TEXT);
            }
        }
        self.summary
    }
}

/// The documents that need OCR, in a line; `None` if there are none.
fn scans_line(scans: &[(String, PageRanges)]) -> Option<String> {
    let what = match scans.len() {
        0 => return None,
        1 => "1 document needs OCR".to_owned(),
        count => format!("{count} documents need OCR"),
    };
    let named = scans.iter().take(SCANS_MAX).map(|(name, pages)| {
        let pages = SafeLine::with_max(&pages.named(), RANGES_CHARS_MAX);
        format!("{name} ({pages})")
    });
    let named = named.collect::<Vec<_>>().join(", ");
    let rest = match scans.len().saturating_sub(SCANS_MAX) {
        0 => String::new(),
        more => format!(", and {more} more: `kbhost list --needs-ocr` lists them"),
    };
    Some(format!("{what}: {named}{rest}"))
}

fn committed(seq: Seq, display: String, receipt: &Receipt) -> DocumentReport {
    let status = if receipt.updated {
        Status::Updated
    } else {
        Status::Added
    };
    DocumentReport {
        name: Some(receipt.name.to_string()),
        title: Some(receipt.title.to_string()),
        needs_ocr: receipt.needs_ocr.clone(),
        warnings: receipt.warnings.iter().map(ToString::to_string).collect(),
        ..DocumentReport::new(seq, display, status)
    }
}

/// An input whose bytes are registered.
pub(super) fn already_in(
    seq: Seq,
    display: String,
    status: Status,
    name: Option<DocName>,
) -> DocumentReport {
    DocumentReport {
        name: name.map(|name| name.to_string()),
        ..DocumentReport::new(seq, display, status)
    }
}

/// How to name each input, by sequence number.
fn displays(inputs: &Inputs) -> Vec<String> {
    let sources = inputs
        .sources
        .iter()
        .map(|input| (input.seq, &input.display));
    let remotes = inputs
        .remotes
        .iter()
        .map(|remote| (remote.seq, &remote.display));
    let unreadable = inputs
        .unreadable
        .iter()
        .map(|input| (input.seq, &input.display));
    let mut displays: Vec<(Seq, &String)> = sources.chain(remotes).chain(unreadable).collect();
    displays.sort_unstable();
    displays
        .into_iter()
        .map(|(_, display)| display.clone())
        .collect()
}

/// Whether the user's signal ended the preparation.
pub(super) fn is_cancelled(error: &PrepareError) -> bool {
    match error {
        PrepareError::Cancelled(_) => true,
        PrepareError::Job(job) => matches!(
            job.failure,
            JobFailure::Cancelled | JobFailure::Converter(ConvertError::Cancelled)
        ),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::ui::tests::captured;
    use super::*;
    use crate::enumerate::{EnumerateError, Unreadable};
    use crate::kb::{SafeLine, layout};

    fn inputs(names: &[&str]) -> Inputs {
        let unreadable = names.iter().zip(0..).map(|(name, seq)| Unreadable {
            seq: Seq(seq),
            display: format!("docs/{name}.md"),
            error: EnumerateError::NameNotUtf8((*name).to_owned()),
        });
        Inputs {
            unreadable: unreadable.collect(),
            ..Inputs::default()
        }
    }

    #[test]
    fn displays_follow_sequence_numbers() {
        let mut inputs = inputs(&["a", "b"]);
        inputs.unreadable.reverse();
        assert_eq!(displays(&inputs), ["docs/a.md", "docs/b.md"]);
    }

    fn committed_event(seq: u64, name: &str, updated: bool) -> Event {
        let name = DocName::new(name).unwrap();
        Event::Committed {
            seq: Seq(seq),
            display: format!("docs/{name}.md"),
            receipt: Receipt {
                title: SafeLine::new("A title"),
                summary: layout::summary_page(&name),
                name,
                updated,
                needs_ocr: updated.then(|| PageRanges::parse("1-3,7").unwrap()),
                warnings: vec![SafeLine::new("no images")],
            },
        }
    }

    fn events() -> Vec<Event> {
        let display = |name: &str| format!("docs/{name}");
        vec![
            committed_event(0, "a", false),
            committed_event(1, "b", true),
            Event::AlreadyIn {
                seq: Seq(2),
                display: display("c.md"),
                name: DocName::new("a").unwrap(),
            },
            Event::PrepareFailed {
                seq: Seq(3),
                display: display("d.md"),
                error: PrepareError::Empty(display("d.md")),
            },
            Event::PrepareFailed {
                seq: Seq(4),
                display: display("e.md"),
                error: PrepareError::Cancelled(display("e.md")),
            },
            Event::Warning(SafeLine::new("log.md is a directory")),
        ]
    }

    fn told(json: bool) -> (String, String, Summary) {
        let (mut ui, out, err) = captured(json, false);
        let inputs = inputs(&["a", "b", "c", "d", "e", "f"]);
        let mut reporter = Reporter::new(&mut ui, &inputs, vec!["md".to_owned()], false);
        for event in events() {
            reporter.event(event);
        }
        let summary = reporter.finish(4, None);
        ui.finish().unwrap();
        (out.text(), err.text(), summary)
    }

    #[test]
    fn lines_are_data_and_failures_are_talk() {
        let (out, err, summary) = told(false);
        assert_eq!(
            out,
            "added    a <- docs/a.md\n\
             updated  b <- docs/b.md\n\
             skipped  a <- docs/c.md (already in the knowledge base)\n\
             failed   - <- docs/d.md\n"
        );
        assert_eq!(
            err,
            "warning: docs/a.md: no images\n\
             warning: docs/b.md: no images\n\
             error: failed to convert `docs/d.md`: the file is empty\n\n\
             hint: look at the file, `ls -l docs/d.md`: its content may have been lost in a copy\n\
             warning: log.md is a directory\n\
             1 added, 1 updated, 1 skipped, 1 failed, 2 not tried; 4 files of other kinds skipped\n\
             1 document needs OCR: b (pages 1-3,7)\n\
             hint: a program such as `ocrmypdf` adds the text to a file; then `kbhost add` the file again\n"
        );
        assert_eq!(summary.not_tried, 2);
    }

    #[test]
    fn json_tells_every_input_in_a_fixed_order_of_fields() {
        let (out, err, _) = told(true);
        assert_eq!(err, "");
        assert!(
            out.starts_with(
                r#"{"kbhost":1,"command":"add","dry_run":false,"documents":[{"seq":0,"path":"docs/a.md","status":"added","name":"a","title":"A title","needs_ocr":null,"warnings":["no images"],"error":null},"#
            ),
            "{out}"
        );
        assert!(
            out.ends_with(concat!(
                r#""summary":{"added":1,"updated":1,"skipped":1,"failed":1,"not_tried":2,"#,
                r#""other_kinds":4},"warnings":["log.md is a directory"],"stopped":null}"#,
                "\n"
            )),
            "{out}"
        );
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        let documents = value["documents"].as_array().unwrap();
        let statuses: Vec<_> = documents
            .iter()
            .map(|document| document["status"].as_str().unwrap())
            .collect();
        let expected = [
            "added",
            "updated",
            "skipped",
            "failed",
            "not_tried",
            "not_tried",
        ];
        assert_eq!(statuses, expected);
        assert_eq!(documents[1]["needs_ocr"], "1-3,7");
        assert_eq!(documents[3]["error"]["code"], "empty");
    }

    #[test]
    fn few_documents_that_need_ocr_are_named() {
        let scan = |number: u32| {
            let pages = PageRanges::of((1..40).map(|page| 2 * page..=2 * page).collect());
            (format!("d{number}"), pages)
        };
        let scans: Vec<_> = (0..7).map(scan).collect();
        assert_eq!(scans_line(&[]), None);
        let line = scans_line(&scans).unwrap();
        assert!(
            line.starts_with("7 documents need OCR: d0 (pages 2,4,6,"),
            "{line}"
        );
        assert!(
            line.ends_with("), and 2 more: `kbhost list --needs-ocr` lists them"),
            "{line}"
        );
        assert!(!line.contains("d5") && line.len() < 400, "{line}");
        let line = scans_line(&scans[..2]).unwrap();
        assert!(line.starts_with("2 documents need OCR: d0"), "{line}");
        assert!(line.ends_with(')'), "{line}");
    }

    #[test]
    fn summaries_leave_out_what_did_not_happen() {
        let check = |summary: Summary, dry_run, expected: &str| {
            assert_eq!(summary.line(dry_run), expected);
        };
        check(Summary::default(), false, "0 added");
        let one = Summary {
            added: 12,
            failed: 1,
            other_kinds: 1,
            ..Summary::default()
        };
        check(
            one,
            false,
            "12 added, 1 failed; 1 file of another kind skipped",
        );
        check(
            one,
            true,
            "dry run: 12 added, 1 failed; 1 file of another kind skipped",
        );
    }
}
