//! What the server is told to be: its key, its documents, their fields and their faults. Plain data.

use std::collections::BTreeMap;
use std::time::Duration;

/// The whole service.
#[derive(Clone, Debug)]
pub struct Script {
    /// The only key it takes.
    pub key: String,
    /// How long each answer takes, pictures included.
    pub delay: Duration,
    /// What it has, by id.
    pub documents: BTreeMap<String, Doc>,
    /// What an upload becomes, under the name of the uploaded file.
    pub upload: Doc,
    /// Faults of calls whatever the document; those of a document come first.
    pub faults: Vec<FaultAt>,
}

impl Script {
    /// A service without documents, without delay and without faults.
    #[must_use]
    pub fn new(key: &str) -> Self {
        Self {
            key: key.to_owned(),
            delay: Duration::ZERO,
            documents: BTreeMap::new(),
            upload: Doc::report("upload.pdf", 3),
            faults: Vec::new(),
        }
    }

    /// With this document.
    #[must_use]
    pub fn with(mut self, id: &str, doc: Doc) -> Self {
        self.documents.insert(id.to_owned(), doc);
        self
    }

    /// With `count` reports of three pages, `pi-0001` and so on.
    #[must_use]
    pub fn with_reports(mut self, count: usize) -> Self {
        for number in 1..=count {
            let name = format!("report-{number:04}.pdf");
            self.documents
                .insert(format!("pi-{number:04}"), Doc::report(&name, 3));
        }
        self
    }

    /// With each answer this late.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// With this fault.
    #[must_use]
    pub fn with_fault(mut self, fault: FaultAt) -> Self {
        self.faults.push(fault);
        self
    }
}

/// How a document ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It can be read.
    Completed,
    /// The service gave up.
    Failed,
}

/// One document of the service.
#[derive(Clone, Debug)]
pub struct Doc {
    /// Its file name there.
    pub name: String,
    /// What the service says it is about.
    pub description: Option<String>,
    /// When it was made, as the service writes it.
    pub created: Option<String>,
    /// How many requests for the tree find it queued.
    pub queued_polls: u32,
    /// How many find it in work then.
    pub processing_polls: u32,
    /// What all later ones find.
    pub outcome: Outcome,
    /// Its pages, from page 1.
    pub pages: Vec<Page>,
    /// Its sections.
    pub tree: Vec<Node>,
    /// How the answers call things.
    pub fields: Fields,
    /// What goes wrong.
    pub faults: Vec<FaultAt>,
}

impl Doc {
    /// The same, with this fault.
    #[must_use]
    pub fn with_fault(mut self, fault: FaultAt) -> Self {
        self.faults.push(fault);
        self
    }

    /// The same, by these names.
    #[must_use]
    pub fn with_fields(mut self, fields: Fields) -> Self {
        self.fields = fields;
        self
    }

    /// The same, that many requests for the tree away from its end.
    #[must_use]
    pub fn with_polls(mut self, queued: u32, processing: u32) -> Self {
        (self.queued_polls, self.processing_polls) = (queued, processing);
        self
    }

    /// The same, given up by the service.
    #[must_use]
    pub fn failing(mut self) -> Self {
        self.outcome = Outcome::Failed;
        self
    }

    /// The status after that many requests for the tree.
    #[must_use]
    pub fn status(&self, polls: u32) -> &'static str {
        if polls < self.queued_polls {
            "queued"
        } else if polls - self.queued_polls < self.processing_polls {
            "processing"
        } else {
            match self.outcome {
                Outcome::Completed => "completed",
                Outcome::Failed => "failed",
            }
        }
    }
}

/// A page. `{picture}` in the text stands for the address of its picture `PICTURE`.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// Its text.
    pub markdown: String,
    /// Its pictures.
    pub pictures: Vec<Picture>,
}

/// A picture of a page.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Its name, unique within its document.
    pub name: String,
    /// What is served.
    pub bytes: Vec<u8>,
    /// How the page tells of it.
    pub form: PictureForm,
}

/// How a page tells of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureForm {
    /// An address on the host of pictures, in `images` and for `{NAME}` in the text.
    Presigned,
    /// An address in the text alone.
    InText,
    /// `{"id": NAME, "image_url": ADDRESS}` in `images`; the text says NAME.
    Object,
    /// A `data:` URI in `images`, and for `{NAME}` in the text.
    DataUri,
    /// Bare base64 in `images`.
    Base64,
}

/// A section.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Its heading.
    pub title: String,
    /// Its first page.
    pub start: u32,
    /// Its last page.
    pub end: u32,
    /// What it is about.
    pub summary: String,
    /// The sections within.
    pub nodes: Vec<Node>,
}

/// How the answers call things: the variants that were recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// `tree`, `structure` or `result`.
    pub tree: &'static str,
    /// `summary` or `prefix_summary`.
    pub summary: &'static str,
    /// `start_index` or `page_index`.
    pub start: &'static str,
    /// Whether a node says where it ends.
    pub ends: bool,
    /// `pages`, `ocr` or `result`.
    pub pages: &'static str,
    /// `page` or `page_index`.
    pub page: &'static str,
    /// `content` or `markdown`.
    pub text: &'static str,
}

impl Fields {
    /// As the newest client reads them.
    pub const NEWEST: Self = Self {
        tree: "result",
        summary: "summary",
        start: "start_index",
        ends: true,
        pages: "result",
        page: "page_index",
        text: "markdown",
    };

    /// As the oldest recorded client reads them.
    pub const OLDEST: Self = Self {
        tree: "tree",
        summary: "prefix_summary",
        start: "page_index",
        ends: false,
        pages: "ocr",
        page: "page",
        text: "content",
    };

    /// Every variant of every field at least once, and all of them together.
    #[must_use]
    pub fn variants() -> Vec<Self> {
        let newest = Self::NEWEST;
        vec![
            newest,
            Self::OLDEST,
            Self {
                tree: "structure",
                pages: "pages",
                ..newest
            },
            Self {
                ends: false,
                ..newest
            },
            Self {
                start: "page_index",
                ..newest
            },
            Self {
                summary: "prefix_summary",
                ..newest
            },
            Self {
                page: "page",
                ..newest
            },
            Self {
                text: "content",
                ..newest
            },
        ]
    }
}

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Any.
    Any,
    /// `POST /doc/`
    Upload,
    /// `GET /doc/ID/?type=tree`
    Tree,
    /// `GET /doc/ID/?type=ocr`
    Pages,
    /// `GET /doc/ID/metadata/`
    Metadata,
    /// `GET /docs/`
    List,
    /// `DELETE /doc/ID/`
    Delete,
    /// A picture, on its own host.
    Image,
    /// What the API does not have.
    Unknown,
}

/// A fault and where it strikes.
#[derive(Clone, Debug)]
pub struct FaultAt {
    /// At which calls.
    pub on: Call,
    /// How many of them pass first.
    pub after: u32,
    /// How many it strikes.
    pub times: u32,
    /// What happens.
    pub fault: Fault,
}

impl FaultAt {
    /// The same, striking so often.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = times;
        self
    }

    /// The same, once so many have passed.
    #[must_use]
    pub fn after(mut self, calls: u32) -> Self {
        self.after = calls;
        self
    }
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// This status with this body.
    Status(u16, String),
    /// This status, with `retry-after`.
    RetryAfter {
        /// 429 or 503.
        status: u16,
        /// The header's value: seconds or a date.
        after: String,
    },
    /// The right answer, a byte now and then, over this time.
    Slow(Duration),
    /// No answer, for as long as the server lives or the client waits.
    Hang,
    /// Head and half of the body, then nothing.
    HangInBody,
    /// The connection is closed without an answer.
    Closed,
    /// The right head, then so many bytes of the body.
    CutOff(usize),
    /// A body of so many bytes; chunked, so that nothing announces it.
    Oversized(u64),
    /// So many bytes announced, few sent.
    Announced(u64),
    /// Bytes that are no JSON.
    NotJson,
    /// JSON, and nothing of what was asked for.
    WrongShape,
    /// 302 to this address.
    Redirect(String),
    /// The right answer and the key.
    EchoKey(Echo),
    /// The right answer, compressed unasked.
    Gzip,
    /// A head that is none.
    BadHead,
}

impl Fault {
    /// At calls of this kind, from now on.
    #[must_use]
    pub fn on(self, on: Call) -> FaultAt {
        FaultAt {
            on,
            after: 0,
            times: u32::MAX,
            fault: self,
        }
    }
}

/// How an answer gives the key away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// As it is.
    Exact,
    /// As it is, halves in two chunks.
    Split,
    /// Each byte as `%6b`.
    Percent,
    /// Base64 of the key.
    Base64,
    /// Base64, URL-safe and without padding, of a text with the key behind its first byte.
    Base64Within,
    /// Each character as `\u006b`.
    JsonEscape,
    /// In the header `content-type`.
    Header,
}

impl Echo {
    /// All forms.
    pub const ALL: [Self; 7] = [
        Self::Exact,
        Self::Split,
        Self::Percent,
        Self::Base64,
        Self::Base64Within,
        Self::JsonEscape,
        Self::Header,
    ];
}
