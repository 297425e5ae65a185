//! The converter over recorded answers: every variant of every field, and everything that goes wrong.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;

use kbhost_guest::bindings::kbhost::converter::types::SourceFile;
use kbhost_guest::{ConvertError, Document, MemoryFiles, Request, Role, Source};
use serde_json::{Value, json};

use crate::api::Api;
use crate::bindings::exports::kbhost::cloud::catalog::State;
use crate::service::{Body, CloudError, FormValue, Location, Method, Response, Service};
use crate::{catalog, import};

mod catalogue;
mod documents;
mod pictures;
mod uploads;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n...";
const TREE: &str = "GET /doc/pi-1/?type=tree&summary=true";
const PAGES: &str = "GET /doc/pi-1/?type=ocr&format=page";
const METADATA: &str = "GET /doc/pi-1/metadata/";
const UPLOAD: &str = "POST /doc/";

type Answer = Result<Response, CloudError>;

/// A service that answers from a list; the last answer of a call comes again and again.
#[derive(Default)]
struct Recorded {
    answers: BTreeMap<String, VecDeque<Answer>>,
    /// Hosts of pictures that are granted.
    granted: Vec<&'static str>,
    keeps_nothing: bool,
    /// The pause in which somebody ends the job.
    cancelled_in_pause: Option<usize>,
    calls: Vec<String>,
    form: Vec<(String, FormValue)>,
    pauses: Vec<u32>,
    checkpoints: Vec<Vec<u8>>,
    notes: Vec<String>,
}

impl Service for Recorded {
    fn call(&mut self, endpoint: &str, method: Method, path: &str, body: &Body) -> Answer {
        let method = match method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put | Method::Delete => panic!("{method:?} {path}"),
        };
        if let Body::Form(fields) = body {
            let fields = fields.iter();
            self.form = fields
                .map(|field| (field.name.clone(), field.value.clone()))
                .collect();
        }
        let call = match endpoint {
            "pageindex" => format!("{method} {path}"),
            other => format!("{other} {method} {path}"),
        };
        self.calls.push(call.clone());
        let Some(answers) = self.answers.get_mut(&call) else {
            return status(404, "no such thing");
        };
        match answers.len() {
            1 => answers[0].clone(),
            _ => answers.pop_front().expect("a list of answers is not empty"),
        }
    }

    fn locate(&mut self, address: &str) -> Option<Location> {
        let (_, rest) = address.split_once("://")?;
        let (host, path) = rest.split_once('/')?;
        let endpoint = self.granted.iter().find(|granted| **granted == host)?;
        Some(Location {
            endpoint: (*endpoint).to_owned(),
            path: format!("/{path}"),
        })
    }

    fn pause(&mut self, milliseconds: u32) -> Result<(), CloudError> {
        self.pauses.push(milliseconds);
        match self.cancelled_in_pause {
            Some(at) if at < self.pauses.len() => Err(CloudError::Cancelled),
            _ => Ok(()),
        }
    }

    fn checkpoint(&mut self, state: &[u8]) -> bool {
        self.checkpoints.push(state.to_vec());
        !self.keeps_nothing
    }

    fn progress(&mut self, _done: u64, _total: u64, note: &str) {
        self.notes.push(note.to_owned());
    }

    fn is_cancelled(&mut self) -> bool {
        false
    }
}

fn status(status: u16, body: &str) -> Answer {
    Ok(Response {
        status,
        headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    })
}

fn ok(value: &Value) -> Answer {
    status(200, &value.to_string())
}

fn picture() -> Answer {
    Ok(Response {
        status: 200,
        headers: Vec::new(),
        body: PNG.to_vec(),
    })
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Recorded {
    /// The document `pi-1` with one page and one section.
    fn small() -> Self {
        let metadata = json!({"id": "pi-1", "name": "a.pdf", "status": "completed", "pageNum": 1});
        let tree = json!({"status": "completed", "result": [{"title": "A", "start_index": 1}]});
        let pages = json!({"result": [{"page_index": 1, "markdown": "Hello."}]});
        Self::default()
            .with(METADATA, [ok(&metadata)])
            .with(TREE, [ok(&tree)])
            .with(PAGES, [ok(&pages)])
            .with(UPLOAD, [ok(&json!({"doc_id": "pi-1"}))])
    }

    fn with<const N: usize>(mut self, call: &str, answers: [Answer; N]) -> Self {
        self.answers.insert(call.to_owned(), answers.into());
        self
    }

    fn with_page(self, page: &Value) -> Self {
        self.with(PAGES, [ok(&json!({"result": [page]}))])
    }

    /// The tree after so many polls that find it in other states.
    fn with_polls(mut self, statuses: &[&str]) -> Self {
        let tree = self.answers.get_mut(TREE).unwrap();
        for status in statuses.iter().rev() {
            tree.push_front(ok(&json!({"doc_id": "pi-1", "status": status})));
        }
        self
    }

    fn count(&self, call: &str) -> usize {
        self.calls.iter().filter(|made| *made == call).count()
    }
}

fn run(
    source: Source,
    resume: Option<&str>,
    service: &mut Recorded,
) -> (Result<Document, ConvertError>, MemoryFiles) {
    let request = Request {
        source,
        input: "/in/input.pdf".to_owned(),
        output: "/out".to_owned(),
        assets: Vec::new(),
        options: Vec::new(),
        resume: resume.map(|state| state.as_bytes().to_vec()),
    };
    let mut files = MemoryFiles::default();
    let document = import::convert(&request, service, &mut files);
    (document, files)
}

fn remote(service: &mut Recorded) -> (Result<Document, ConvertError>, MemoryFiles) {
    run(Source::Remote("pi-1".to_owned()), None, service)
}

fn upload(resume: Option<&str>, service: &mut Recorded) -> Result<Document, ConvertError> {
    let file = SourceFile {
        name: "in.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        size: 9,
        sha256: String::new(),
    };
    run(Source::File(file), resume, service).0
}
