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

#[test]
fn every_recorded_form_is_the_same_document() {
    for form in ["newest", "openkb", "oldest", "tree-file"] {
        let answer = |name: &str| [status(200, &fixture(&format!("{form}/{name}.json")))];
        let mut service = Recorded {
            granted: vec!["pictures.example"],
            ..Recorded::default()
        };
        service = service
            .with(METADATA, answer("metadata"))
            .with(TREE, answer("tree"))
            .with(PAGES, answer("pages"))
            .with(
                "pictures.example GET /d/chart.png?X-Signature=0123",
                [picture()],
            );
        let (document, files) = remote(&mut service);
        let document = document.unwrap_or_else(|error| panic!("{form}: {error:?}"));
        for (path, expected) in [
            ("document.md", fixture("document.md")),
            ("pages.json", fixture("pages.json")),
            ("tree.json", fixture("tree.json")),
        ] {
            assert_eq!(
                files.text(path).trim_end(),
                expected.trim_end(),
                "{form}: {path}"
            );
        }
        assert_eq!(files.outputs["images/p001-01.png"], PNG, "{form}");
        assert_eq!(document.name.as_deref(), Some("Harbour 2025.pdf"), "{form}");
        assert_eq!(document.pages, Some(4));
        assert_eq!(
            document.warnings,
            ["the service has no text of 1 page"],
            "{form}"
        );
        let entries = [
            ("created", "2026-03-04T05:06:07.000Z"),
            ("description", "A report on the harbour."),
        ];
        let entries = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(document.metadata, entries, "{form}");
        let outline = document.outline.iter();
        let outline: Vec<_> = outline
            .map(|heading| (heading.level, heading.title.as_str(), heading.page.unwrap()))
            .collect();
        assert_eq!(
            outline,
            [(1, "Harbour", 1), (2, "The quay", 2), (1, "Tables", 3)]
        );
        let roles: Vec<_> = document
            .files
            .iter()
            .map(|file| (file.role, file.page))
            .collect();
        let expected = [
            (Role::Main, None),
            (Role::Pages, None),
            (Role::Tree, None),
            (Role::Image, Some(1)),
        ];
        assert_eq!(roles, expected, "{form}");
        // The whole document's pages come in one answer.
        assert_eq!(service.count(PAGES), 1);
        assert_eq!(service.calls.len(), 4);
        assert!(service.checkpoints.is_empty() && service.pauses.is_empty());
    }
}

#[test]
fn pictures_in_each_form() {
    let data = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==";
    let address = "https://h/a.png?s=1";
    let shown = |path: &str| format!("(kbhost-output:images/p001-{path}.png)");
    let (first, second) = (shown("01"), shown("02"));
    let check = |text: &str, images: Value, expected: &str, warnings: &[&str]| {
        let mut service = Recorded::small()
            .with_page(&json!({"page": 1, "markdown": text, "images": images}))
            .with("h GET /a.png?s=1", [picture()])
            .with("h GET /none.svg", [status(200, "<svg/>")])
            .with("h GET /gone.png", [status(410, "secret")]);
        service.granted = vec!["h"];
        let (document, files) = remote(&mut service);
        let document = document.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        let markdown = files.text("document.md");
        let body = markdown.strip_prefix("<!-- page 1 -->\n").unwrap();
        assert_eq!(body.trim(), expected, "{text}");
        assert_eq!(document.warnings, warnings, "{text}");
    };
    check(
        &format!("![x]({address})"),
        json!(null),
        &format!("![x]{first}"),
        &[],
    );
    check(
        &format!("![x](<{address}> \"t\")"),
        json!([]),
        &format!("![x]{first}"),
        &[],
    );
    check(
        &format!("![*x* `y`][r]\n\n[r]: {address}"),
        json!([]),
        &format!("![x y]{first}\n\n[r]: {address}"),
        &[],
    );
    // Once in the text, once in the list: one picture.
    check(
        &format!("a ![x]({address}) b"),
        json!([address]),
        &format!("a ![x]{first} b"),
        &[],
    );
    check(
        "text",
        json!([address, address]),
        &format!("text\n\n![]{first}\n\n![]{first}"),
        &[],
    );
    check(
        "![x](img-0.png)",
        json!([{"id": "img-0.png", "image_url": {"url": address}}]),
        &format!("![x]{first}"),
        &[],
    );
    check(
        "![x](./imgs/img-0.png)",
        json!([{"id": "img-0.png", "data": data}]),
        &format!("![x]{first}"),
        &[],
    );
    check(
        &format!("![x](data:image/png;base64,{data})"),
        json!([address]),
        &format!("![x]{first}\n\n![]{second}"),
        &[],
    );
    check("", json!([data]), &format!("![]{first}"), &[]);
    check(
        "",
        json!([format!("data:image/png;base64,{data}")]),
        &format!("![]{first}"),
        &[],
    );
    check("`![x](img.png)`", json!([]), "`![x](img.png)`", &[]);
    check(
        "[![x](https://h/a.png?s=1)](y)",
        json!([]),
        &format!("[![x]{first}](y)"),
        &[],
    );
    // What cannot be had is left out; its words stay.
    check(
        "a ![x [y](z)](img.png) b",
        json!([]),
        "a x y b",
        &["left out: 1 picture of which the service gives neither address nor bytes"],
    );
    check(
        "![x](https://user:pw@other.example/a?secret) ![](https://other.example/b)",
        json!([]),
        "x",
        &["left out: 2 pictures on the host `other.example`, which is not granted"],
    );
    check(
        "![x](https://h/none.svg)![y](https://h/gone.png)",
        json!(["data:image/png;base64,!!"]),
        "xy",
        &[
            "left out: 1 picture in another format than PNG, JPEG, GIF and WebP",
            "left out: 1 picture on the host `h`, which answered with status 410",
            "left out: 1 picture whose base64 is not valid",
        ],
    );
    for hostile in ["../../x.png", "/etc/passwd", "C:\\x.png"] {
        let images = json!([{"id": hostile, "path": hostile, "image_url": address}]);
        check(
            &format!("![x](<{hostile}>)"),
            images,
            &format!("![x]{first}"),
            &[],
        );
    }
}

#[test]
fn pictures_that_fail_stop_being_asked_for() {
    let check = |error: CloudError, expected: usize| {
        let text: String = (0..9)
            .map(|n| format!("![{n}](https://h/{n}.png)\n"))
            .collect();
        let mut service = Recorded::small().with_page(&json!({"page": 1, "content": text}));
        for n in 0..9 {
            let call = format!("h GET /{n}.png");
            service = service.with(&call, [Err(error.clone())]);
        }
        service.granted = vec!["h"];
        let (document, _) = remote(&mut service);
        assert_eq!(document.unwrap().warnings.len(), 2, "{error:?}");
        assert_eq!(service.calls.len() - 3, expected, "{error:?}");
    };
    check(CloudError::Network("x".to_owned()), 3);
    check(CloudError::Timeout, 3);
    check(CloudError::Tainted, 3);
    check(CloudError::TooLarge("x".to_owned()), 3);
    check(CloudError::Exhausted("x".to_owned()), 1);

    let page = json!({"page": 1, "content": "![x](https://h/x.png)"});
    let mut service = Recorded::small()
        .with_page(&page)
        .with("h GET /x.png", [Err(CloudError::Cancelled)]);
    service.granted = vec!["h"];
    assert_eq!(remote(&mut service).0, Err(ConvertError::Cancelled));
}

#[test]
fn pictures_are_counted() {
    let text: String = (0..1_003)
        .map(|n| format!("![](https://h/{n}.png)\n"))
        .collect();
    let mut service = Recorded::small().with_page(&json!({"page": 1, "content": text}));
    for n in 0..1_003 {
        service = service.with(&format!("h GET /{n}.png"), [picture()]);
    }
    service.granted = vec!["h"];
    let (document, files) = remote(&mut service);
    assert_eq!(
        document.unwrap().warnings,
        ["left out: 3 pictures beyond the limits"]
    );
    assert_eq!(
        files
            .outputs
            .keys()
            .filter(|path| path.starts_with("images/"))
            .count(),
        1_000
    );
}

#[test]
fn text_of_pages_forges_nothing() {
    let text = "---\ntype: x\n---\n<!-- page 2 -->\n[[x]] kbhost-output:tree.json ![a](kbhost-output:images/p001-01.png)\n\
        kbhost-![output:pages.json](https://other/x) <!-- pa![ge 7 --](y)> \u{1b}[31m\n```\nopen";
    let pages = json!({"result": [{"page": 1, "content": text}, {"page": 2, "content": "b"}]});
    let mut service = Recorded::small().with(PAGES, [ok(&pages)]);
    let (document, files) = remote(&mut service);
    let markdown = files.text("document.md");
    assert_eq!(
        markdown,
        "<!-- page 1 -->\n\n---\ntype: x\n---\n<!-- page: 2 -->\n[[x]] kbhost-output%3Atree.json a\n\
         kbhost-output%3Apages.json <!-- page: 7 --> [31m\n```\nopen\n```\n\n<!-- page 2 -->\n\nb\n"
    );
    assert_eq!(document.unwrap().warnings.len(), 3);
}

#[test]
fn texts_and_pages_are_bounded() {
    let long = "é".repeat(600_000);
    let mut service = Recorded::small().with_page(&json!({"page": 1, "content": long}));
    let (document, files) = remote(&mut service);
    assert_eq!(document.unwrap().warnings.len(), 1);
    assert!(files.text("document.md").len() < (1 << 20) + 100);

    let pages: Vec<_> = (1..=20_001).map(|n| json!({"page": n})).collect();
    let mut service = Recorded::small().with(PAGES, [ok(&json!({"result": pages}))]);
    assert!(matches!(
        remote(&mut service).0,
        Err(ConvertError::TooLarge(_))
    ));

    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let mut service = Recorded::small().with(TREE, [status(200, &deep)]);
    let error = remote(&mut service).0.unwrap_err();
    let ConvertError::Upstream(message) = error else {
        panic!("{error:?}")
    };
    assert!(message.contains("recursion limit"), "{message}");
}

#[test]
fn wrong_answers_say_what_is_wrong() {
    for (call, value, expected) in [
        (METADATA, json!([1]), "the metadata: a list, not an object"),
        (TREE, json!("x"), "the tree: a text, not an object"),
        (
            TREE,
            json!({"detail": "x"}),
            "the tree: neither a `status` nor a tree",
        ),
        (
            TREE,
            json!({"status": "completed"}),
            "none of `tree`, `structure` and `result`",
        ),
        (
            TREE,
            json!({"status": "completed", "result": 7}),
            "the tree: a number, not a list",
        ),
        (
            TREE,
            json!({"tree": {"doc_name": "x"}}),
            "an object without a list `structure`",
        ),
        (
            TREE,
            json!({"tree": [{"title": "A"}]}),
            "neither `start_index` nor `page_index`",
        ),
        (PAGES, json!({}), "none of `pages`, `ocr` and `result`"),
        (
            PAGES,
            json!({"result": {"pages": "none"}}),
            "the pages: an object, not a list",
        ),
        (PAGES, json!({"result": ["x"]}), "a text for a page"),
        (
            PAGES,
            json!({"result": [{"markdown": "x"}]}),
            "neither `page` nor `page_index`",
        ),
        (
            PAGES,
            json!({"result": [{"page": "1"}]}),
            "a text that is no page number",
        ),
        (
            PAGES,
            json!({"result": [{"page": 0}]}),
            "page 0, not 1 to 20000",
        ),
        (
            PAGES,
            json!({"result": [{"page": 1}, {"page": 1}]}),
            "page 1 comes twice",
        ),
        (
            PAGES,
            json!({"result": [{"page": 1, "content": []}]}),
            "a list for the text of page 1",
        ),
        (
            PAGES,
            json!({"result": [{"page": 1, "images": "x"}]}),
            "a text for the images of page 1",
        ),
    ] {
        let mut service = Recorded::small().with(call, [ok(&value)]);
        let error = remote(&mut service).0.unwrap_err();
        let ConvertError::Upstream(message) = error else {
            panic!("{value}: {error:?}")
        };
        assert!(message.contains(expected), "{message}");
    }
    for call in [METADATA, TREE, PAGES] {
        let mut service = Recorded::small().with(call, [status(200, "<html>Gateway \u{1b}[31m")]);
        let error = remote(&mut service).0.unwrap_err();
        let ConvertError::Upstream(message) = error else {
            panic!("{error:?}")
        };
        assert!(
            message.contains("not JSON") && message.ends_with("<html>Gateway [31m"),
            "{message}"
        );
    }
    let mut service = Recorded::small()
        .with(PAGES, [ok(&json!({"result": []}))])
        .with(METADATA, [ok(&json!({"name": "a.pdf"}))]);
    assert!(matches!(
        remote(&mut service).0,
        Err(ConvertError::Upstream(_))
    ));
}

#[test]
fn each_call_fails_with_its_own_error() {
    type Kind = fn(&ConvertError) -> bool;
    let cases: [(Answer, Kind); 8] = [
        (status(401, "x"), |it| matches!(it, ConvertError::Auth(_))),
        (
            status(404, "x"),
            |it| matches!(it, ConvertError::NotFound(text) if text.contains("pi-1")),
        ),
        (status(429, "x"), |it| matches!(it, ConvertError::Quota(_))),
        (
            status(500, "oops"),
            |it| matches!(it, ConvertError::Upstream(text) if text.contains("oops")),
        ),
        (status(302, "x"), |it| {
            matches!(it, ConvertError::Upstream(_))
        }),
        (Err(CloudError::Timeout), |it| *it == ConvertError::Timeout),
        (Err(CloudError::Cancelled), |it| {
            *it == ConvertError::Cancelled
        }),
        (Err(CloudError::Network("x".to_owned())), |it| {
            matches!(it, ConvertError::Network(_))
        }),
    ];
    for (answer, is_expected) in cases {
        for call in [METADATA, TREE, PAGES] {
            let mut service = Recorded::small().with(call, [answer.clone()]);
            let (document, files) = remote(&mut service);
            let error = document.unwrap_err();
            assert!(is_expected(&error), "{call}: {answer:?}: {error:?}");
            assert!(files.outputs.is_empty(), "{call}");
        }
    }
}

#[test]
fn odd_documents_are_taken() {
    // Fewer pages said than there are; a tree without sections; a name that is none.
    let metadata = json!({"name": "x/..", "status": "completed", "pageNum": 1});
    let pages = json!({"result": [{"page": 3, "markdown": null}, {"page": 2, "content": "b"}]});
    let mut service = Recorded::small()
        .with(METADATA, [ok(&metadata)])
        .with(TREE, [ok(&json!({"status": "completed", "result": []}))])
        .with(PAGES, [ok(&pages)]);
    let (document, files) = remote(&mut service);
    let document = document.unwrap();
    assert_eq!((document.name, document.pages), (None, Some(3)));
    assert_eq!(
        document.warnings,
        [
            "of pages the service counts 1 and has number 3",
            "the service has no text of 1 page"
        ]
    );
    assert_eq!(document.files.len(), 2);
    assert_eq!(files.text("pages.json"), r#"[{"page":2,"content":"b"}]"#);
    assert_eq!(
        files.text("document.md"),
        "<!-- page 1 -->\n\n<!-- page 2 -->\n\nb\n\n<!-- page 3 -->\n"
    );
    // An id is no path.
    for (id, call) in [
        ("a/b?c", "GET /doc/a%2Fb%3Fc/metadata/"),
        ("../x", "GET /doc/..%2Fx/metadata/"),
    ] {
        let mut service = Recorded::default();
        let (document, _) = run(Source::Remote(id.to_owned()), None, &mut service);
        assert!(matches!(document, Err(ConvertError::NotFound(text)) if text.contains(id)));
        assert_eq!(service.calls, [call]);
    }
}

#[test]
fn an_upload_is_sent_kept_waited_for_and_imported() {
    let mut service = Recorded::small().with_polls(&["queued", "processing", "processing"]);
    let document = upload(None, &mut service).unwrap();
    assert_eq!(document.name.as_deref(), Some("a.pdf"));
    assert!(document.warnings.is_empty());
    let file = FormValue::InputFile("in.pdf".to_owned());
    let retrieval = FormValue::Text("true".to_owned());
    let form = [
        ("file".to_owned(), file),
        ("if_retrieval".to_owned(), retrieval),
    ];
    assert_eq!(service.form, form);
    assert_eq!(
        service.calls,
        [UPLOAD, TREE, TREE, TREE, TREE, METADATA, PAGES]
    );
    assert_eq!(service.pauses, [1_000, 2_000, 5_000]);
    assert_eq!(
        service.checkpoints,
        [br#"{"v":1,"doc_id":"pi-1"}"#.to_vec()]
    );
    let notes = [
        "sent to the service",
        "queued by the service",
        "in work at the service",
    ];
    assert_eq!(service.notes[..3], notes);
}

#[test]
fn an_interrupted_wait_goes_on_with_the_same_document() {
    let state = r#"{"v":1,"doc_id":"pi-1"}"#;
    let mut service = Recorded::small().with_polls(&["processing", "processing"]);
    service.cancelled_in_pause = Some(1);
    assert_eq!(upload(None, &mut service), Err(ConvertError::Cancelled));
    assert_eq!(service.checkpoints, [state.as_bytes()]);

    let mut service = Recorded::small().with_polls(&["processing"]);
    upload(Some(state), &mut service).unwrap();
    assert_eq!(service.calls, [TREE, TREE, METADATA, PAGES]);
    assert!(service.checkpoints.is_empty());

    // A state that is not ours is none.
    let mut service = Recorded::small();
    upload(Some("{\"v\":2}"), &mut service).unwrap();
    assert_eq!(service.count(UPLOAD), 1);
}

#[test]
fn what_the_service_lost_is_sent_again_once() {
    let state = r#"{"v":1,"doc_id":"lost"}"#;
    let mut service = Recorded::small();
    upload(Some(state), &mut service).unwrap();
    let lost = "GET /doc/lost/?type=tree&summary=true";
    assert_eq!(service.calls, [lost, UPLOAD, TREE, METADATA, PAGES]);
    let kept = br#"{"v":1,"doc_id":"pi-1"}"#.to_vec();
    assert_eq!(service.checkpoints, [Vec::new(), kept]);

    let mut service = Recorded::small().with(TREE, [status(404, "gone")]);
    let error = upload(Some(state), &mut service).unwrap_err();
    assert!(matches!(error, ConvertError::NotFound(_)), "{error:?}");
    assert_eq!(service.count(UPLOAD), 1);
}

#[test]
fn a_failed_document_is_forgotten_and_other_errors_keep_it() {
    let state = br#"{"v":1,"doc_id":"pi-1"}"#.to_vec();
    let failed = || ok(&json!({"status": "failed"}));
    let check = |answer: Answer, forgotten: bool| {
        let mut service = Recorded::small().with(TREE, [answer.clone()]);
        assert!(upload(None, &mut service).is_err());
        let mut expected = vec![state.clone()];
        expected.extend(forgotten.then(Vec::new));
        assert_eq!(service.checkpoints, expected, "{answer:?}");
    };
    check(failed(), true);
    check(Err(CloudError::Timeout), false);
    check(Err(CloudError::Cancelled), false);
    check(status(401, ""), false);
    check(status(500, ""), false);

    // A document of the service that failed: no checkpoint to forget.
    for call in [METADATA, TREE] {
        let mut service = Recorded::small().with(call, [failed()]);
        let (document, _) = remote(&mut service);
        assert!(matches!(document, Err(ConvertError::Upstream(_))), "{call}");
        assert!(service.checkpoints.is_empty());
    }
}

#[test]
fn a_wait_ends_at_last() {
    let mut service = Recorded::small().with(TREE, [ok(&json!({"status": "processing"}))]);
    assert_eq!(upload(None, &mut service), Err(ConvertError::Timeout));
    assert_eq!(service.count(TREE), 120);
    assert_eq!(service.pauses.iter().max(), Some(&15_000));
    assert_eq!(service.checkpoints.len(), 1);
}

#[test]
fn what_was_not_kept_and_what_is_no_pdf_is_told() {
    let mut service = Recorded {
        keeps_nothing: true,
        ..Recorded::small()
    };
    assert_eq!(upload(None, &mut service).unwrap().warnings.len(), 1);

    let file = SourceFile {
        name: "a.docx".to_owned(),
        media_type: "application/x".to_owned(),
        size: 1,
        sha256: String::new(),
    };
    let mut service = Recorded::small();
    let (document, _) = run(Source::File(file), None, &mut service);
    assert!(matches!(document, Err(ConvertError::Unsupported(_))));
    assert!(service.calls.is_empty());

    for answer in [json!({}), json!({"doc_id": 7}), json!({"doc_id": "a b"})] {
        let mut service = Recorded::small().with(UPLOAD, [ok(&answer)]);
        let error = upload(None, &mut service);
        assert!(matches!(error, Err(ConvertError::Upstream(_))), "{answer}");
        assert!(service.checkpoints.is_empty());
    }
}

#[test]
fn the_catalogue_lists_in_stretches() {
    let documents = |from: usize, count: usize| {
        let document = |n| json!({"id": format!("d{n}"), "name": format!("a\\{n}.pdf"), "status": "queued", "pageNum": 3});
        let listed: Vec<_> = (from..from + count).map(document).collect();
        [ok(&json!({"documents": listed, "total": 999}))]
    };
    let mut service = Recorded::default()
        .with("GET /docs/?limit=100&offset=5", documents(5, 100))
        .with("GET /docs/?limit=20&offset=105", documents(105, 7));
    let listed = catalog::documents(&mut Api::new(&mut service), 5, 120).unwrap();
    assert_eq!(listed.len(), 107);
    let last = listed.last().unwrap();
    assert_eq!((last.id.as_str(), last.name.as_str()), ("d111", "111.pdf"));
    assert_eq!((last.state, last.pages), (State::Queued, Some(3)));
    assert_eq!(service.calls.len(), 2);

    // A service that sends more than was asked for, and for ever.
    let mut service = Recorded::default().with("GET /docs/?limit=2&offset=0", documents(0, 50));
    assert_eq!(
        catalog::documents(&mut Api::new(&mut service), 0, 2)
            .unwrap()
            .len(),
        2
    );

    for wrong in [
        json!({}),
        json!({"documents": 1}),
        json!([1]),
        json!([{"name": "x"}]),
    ] {
        let mut service = Recorded::default().with("GET /docs/?limit=2&offset=0", [ok(&wrong)]);
        let listed = catalog::documents(&mut Api::new(&mut service), 0, 2);
        assert!(matches!(listed, Err(ConvertError::Upstream(_))), "{wrong}");
    }
}

#[test]
fn the_catalogue_tells_of_one() {
    for (word, state) in [
        ("queued", State::Queued),
        ("processing", State::Processing),
        ("completed", State::Completed),
        ("failed", State::Failed),
        ("odd", State::Unknown),
    ] {
        let metadata = json!({"status": word, "description": "a\nb"});
        let mut service = Recorded::default().with(METADATA, [ok(&metadata)]);
        let found = catalog::status(&mut Api::new(&mut service), "pi-1").unwrap();
        assert_eq!((found.state, found.name.as_str()), (state, "pi-1"));
        assert_eq!(found.description.as_deref(), Some("a b"));
    }
    let mut service = Recorded::default();
    let error = catalog::status(&mut Api::new(&mut service), "pi-1");
    assert!(matches!(error, Err(ConvertError::NotFound(text)) if text.contains("pi-1")));
}
