//! The calls of the API: what is asked, and the right answer. Shapes as they were recorded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::answer::Answer;
use crate::http::{Request, sha256_hex};
use crate::script::{Call, Doc, Fields, Node, Page, PictureForm};

/// A request, understood.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) call: Call,
    /// The document it is about.
    pub(crate) id: Option<String>,
    /// Values of the query, decoded.
    query: Vec<(String, String)>,
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl Asked {
    /// What a request to the API asks for.
    pub(crate) fn of(request: &Request) -> Self {
        let (path, query) = split(&request.target);
        let query: Vec<_> = query;
        let value = |name: &str| query.iter().find(|(key, _)| key == name);
        let kind = value("type").map(|(_, value)| value.as_str());
        let steps: Vec<&str> = path.split('/').collect();
        let (call, id) = match (request.method.as_str(), steps.as_slice()) {
            ("POST", ["", "doc", ""]) => (Call::Upload, None),
            ("GET", ["", "docs", ""]) => (Call::List, None),
            ("GET", ["", "doc", id, "metadata", ""]) => (Call::Metadata, Some(decoded(id))),
            ("GET", ["", "doc", id, ""]) if kind == Some("tree") => (Call::Tree, Some(decoded(id))),
            ("GET", ["", "doc", id, ""]) if kind == Some("ocr") => (Call::Pages, Some(decoded(id))),
            ("DELETE", ["", "doc", id, ""]) => (Call::Delete, Some(decoded(id))),
            _ => (Call::Unknown, None),
        };
        Self { call, id, query }
    }

    /// The document and picture that a request to the host of pictures asks for.
    pub(crate) fn of_picture(request: &Request) -> (Self, Option<usize>) {
        let (path, query) = split(&request.target);
        let steps: Vec<&str> = path.split('/').collect();
        let unknown = Self {
            call: Call::Unknown,
            id: None,
            query,
        };
        match (request.method.as_str(), steps.as_slice()) {
            ("GET", ["", "pictures", id, number, _]) => {
                let asked = Self {
                    call: Call::Image,
                    id: Some(decoded(id)),
                    ..unknown
                };
                (asked, number.parse().ok())
            }
            _ => (unknown, None),
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name)?;
        Some(&found.1)
    }

    fn number(&self, name: &str, default: usize) -> usize {
        let value = self.value(name).map(str::parse);
        value.and_then(Result::ok).unwrap_or(default)
    }
}

/// The path of a target and the values of its query.
fn split(target: &str) -> (&str, Vec<(String, String)>) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key), decoded(value))
    });
    (path, pairs.collect())
}

/// A document with what happened to it so far.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) doc: Doc,
    pub(crate) polls: u32,
}

impl Live {
    fn status(&self) -> &'static str {
        self.doc.status(self.polls)
    }

    fn summary(&self, id: &str) -> Value {
        json!({
            "id": id,
            "name": self.doc.name,
            "description": self.doc.description,
            "status": self.status(),
            "createdAt": self.doc.created,
            "pageNum": self.doc.pages.len(),
            "folderId": null,
        })
    }
}

/// Metadata.
pub(crate) fn metadata(id: &str, live: &Live) -> Answer {
    Answer::json(200, &live.summary(id))
}

/// A stretch of the list.
pub(crate) fn list<'a>(
    asked: &Asked,
    documents: impl ExactSizeIterator<Item = (&'a String, &'a Live)>,
) -> Answer {
    let (offset, limit) = (asked.number("offset", 0), asked.number("limit", 50));
    if limit == 0 || limit > 100 {
        return Answer::error(422, "limit must be between 1 and 100");
    }
    let total = documents.len();
    let listed = documents.skip(offset).take(limit);
    let listed: Vec<_> = listed.map(|(id, live)| live.summary(id)).collect();
    let value = json!({"documents": listed, "total": total, "limit": limit, "offset": offset});
    Answer::json(200, &value)
}

/// The tree, or how far it is. Each request is one poll.
pub(crate) fn tree(id: &str, live: &mut Live, with_summary: bool) -> Answer {
    let status = live.status();
    live.polls = live.polls.saturating_add(1);
    let is_ready = status == "completed";
    let mut answer = json!({"doc_id": id, "status": status, "retrieval_ready": is_ready});
    if is_ready {
        let fields = live.doc.fields;
        let nodes = live.doc.tree.iter();
        let mut ids = 0;
        let nodes: Vec<_> = nodes
            .map(|node| node_json(node, &fields, with_summary, &mut ids))
            .collect();
        answer[fields.tree] = nodes.into();
    }
    Answer::json(200, &answer)
}

fn node_json(node: &Node, fields: &Fields, with_summary: bool, ids: &mut u32) -> Value {
    let mut value = Map::new();
    value.insert("title".to_owned(), json!(node.title));
    value.insert("node_id".to_owned(), json!(format!("{ids:04}")));
    *ids += 1;
    value.insert(fields.start.to_owned(), json!(node.start));
    if fields.ends {
        value.insert("end_index".to_owned(), json!(node.end));
    }
    if with_summary {
        value.insert(fields.summary.to_owned(), json!(node.summary));
    }
    if !node.nodes.is_empty() {
        let nodes = node.nodes.iter();
        let nodes: Vec<_> = nodes
            .map(|node| node_json(node, fields, with_summary, ids))
            .collect();
        value.insert("nodes".to_owned(), nodes.into());
    }
    value.into()
}

/// The texts of all pages.
pub(crate) fn pages(id: &str, live: &Live, image_host: &str) -> Answer {
    let status = live.status();
    let mut answer = json!({"doc_id": id, "status": status});
    if status == "completed" {
        let fields = live.doc.fields;
        let mut picture = 0;
        let pages = live.doc.pages.iter().enumerate().map(|(index, page)| {
            let address = |picture: usize, name: &str| {
                let signature = signature(id, picture);
                let segment = utf8_percent_encode(id, NON_ALPHANUMERIC);
                let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
                format!(
                    "http://{image_host}/pictures/{segment}/{picture}/{name}?X-Expires=3600&X-Signature={signature}"
                )
            };
            let value = page_json(index + 1, page, &fields, picture, &address);
            picture += page.pictures.len();
            value
        });
        answer[fields.pages] = pages.collect::<Vec<_>>().into();
    }
    Answer::json(200, &answer)
}

fn page_json(
    number: usize,
    page: &Page,
    fields: &Fields,
    first_picture: usize,
    address: &dyn Fn(usize, &str) -> String,
) -> Value {
    let mut markdown = page.markdown.clone();
    let mut images = Vec::new();
    for (offset, picture) in page.pictures.iter().enumerate() {
        let address = address(first_picture + offset, &picture.name);
        let data = STANDARD.encode(&picture.bytes);
        let uri = format!("data:image/png;base64,{data}");
        let (image, target) = match picture.form {
            PictureForm::Presigned => (Some(json!(address)), Some(&address)),
            PictureForm::InText => (None, Some(&address)),
            PictureForm::Object => {
                let object = json!({"id": picture.name, "image_url": address});
                (Some(object), None)
            }
            PictureForm::DataUri => (Some(json!(uri)), Some(&uri)),
            PictureForm::Base64 => (Some(json!(data)), None),
        };
        images.extend(image);
        if let Some(target) = target {
            markdown = markdown.replace(&format!("{{{}}}", picture.name), target);
        }
    }
    let mut value = Map::new();
    value.insert(fields.page.to_owned(), json!(number));
    value.insert(fields.text.to_owned(), json!(markdown));
    if !images.is_empty() {
        value.insert("images".to_owned(), images.into());
    }
    value.into()
}

/// What makes the address of a picture a presigned one.
fn signature(id: &str, picture: usize) -> String {
    sha256_hex(format!("{id}/{picture}").as_bytes())[..16].to_owned()
}

/// A picture, for whoever has its presigned address.
pub(crate) fn picture(id: &str, number: Option<usize>, asked: &Asked, live: &Live) -> Answer {
    let mut pictures = live.doc.pages.iter().flat_map(|page| &page.pictures);
    let Some((number, picture)) = number.and_then(|at| Some((at, pictures.nth(at)?))) else {
        return Answer::error(404, "no such picture");
    };
    if asked.value("X-Signature") != Some(&signature(id, number)) {
        return Answer::error(403, "the signature does not match");
    }
    Answer {
        status: 200,
        headers: vec![("content-type", "application/octet-stream".to_owned())],
        body: picture.bytes.clone(),
    }
}
