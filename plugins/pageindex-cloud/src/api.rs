//! The calls of the API, and its answers as JSON that has been looked at no further than its outermost
//! object. Shapes as recorded: several names for one thing.

use kbhost_guest::long_document::defused;
use kbhost_guest::{ConvertError, one_line};
use serde_json::{Map, Value};

use crate::fault::{of_call, of_status, wrong};
use crate::service::{Body, FormField, FormValue, Method, Response, Service};

/// What the host knows the service by.
pub(crate) const ENDPOINT: &str = "pageindex";
/// Longest id of a document, in bytes.
const ID_BYTES_MAX: usize = 128;
/// Longest file name and description, in characters.
const NAME_CHARS_MAX: usize = 255;
const DESCRIPTION_CHARS_MAX: usize = 1_000;
const CREATED_CHARS_MAX: usize = 64;

/// How far the service is with a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Queued,
    Processing,
    Completed,
    Failed,
    /// A word that is not known, or none.
    Unknown,
}

impl Progress {
    fn of(value: &Value) -> Self {
        match value.as_str() {
            Some("queued") => Self::Queued,
            Some("processing") => Self::Processing,
            Some("completed") => Self::Completed,
            Some("failed") => Self::Failed,
            _ => Self::Unknown,
        }
    }
}

/// What the service says of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// As the service writes it, if it could be asked for by it.
    pub(crate) id: Option<String>,
    /// The file's own name, without what led to it.
    pub(crate) name: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) created: Option<String>,
    pub(crate) pages: Option<u32>,
    pub(crate) progress: Progress,
}

/// The first of these members that is there.
pub(crate) fn member<'a>(object: &'a Map<String, Value>, names: &[&str]) -> Option<&'a Value> {
    let mut found = names.iter().filter_map(|name| object.get(*name));
    found.find(|value| !value.is_null())
}

/// The last component of a path as any system writes it.
pub(crate) fn file_name(path: &str) -> Option<String> {
    let last = path.rsplit(['/', '\\']).next().unwrap_or_default();
    let name = one_line(last, NAME_CHARS_MAX);
    (!matches!(name.as_str(), "" | "." | "..")).then_some(name)
}

impl Metadata {
    pub(crate) fn of(object: &Map<String, Value>) -> Self {
        let text = |names: &[&str], chars_max| {
            let text = member(object, names)?.as_str()?;
            let line = defused(&one_line(text, chars_max));
            (!line.is_empty()).then_some(line)
        };
        let pages = member(object, &["pageNum", "page_num", "page_count"]);
        let id = member(object, &["id", "doc_id"]).and_then(Value::as_str);
        let name = member(object, &["name", "doc_name"]).and_then(Value::as_str);
        Self {
            id: id.filter(|id| segment(id).is_ok()).map(str::to_owned),
            name: name.and_then(file_name),
            title: text(&["title", "doc_title"], NAME_CHARS_MAX),
            description: text(&["description", "doc_description"], DESCRIPTION_CHARS_MAX),
            created: text(&["created", "createdAt", "created_at"], CREATED_CHARS_MAX),
            pages: pages
                .and_then(Value::as_u64)
                .and_then(|pages| u32::try_from(pages).ok()),
            progress: Progress::of(object.get("status").unwrap_or(&Value::Null)),
        }
    }
}

/// A tree, or how far it is.
pub(crate) struct TreeAnswer {
    pub(crate) progress: Progress,
    /// The outermost sections.
    pub(crate) nodes: Option<Vec<Value>>,
}

/// The calls of one job.
pub(crate) struct Api<'a> {
    pub(crate) service: &'a mut dyn Service,
    /// The status of the last answer.
    status: u16,
}

impl<'a> Api<'a> {
    pub(crate) fn new(service: &'a mut dyn Service) -> Self {
        Self { service, status: 0 }
    }

    fn get(&mut self, path: &str, what: &str, id: Option<&str>) -> Result<Value, ConvertError> {
        let answer = self.service.call(ENDPOINT, Method::Get, path, &Body::Empty);
        let answer = answer.map_err(of_call)?;
        self.status = answer.status;
        json(answer, what, id)
    }

    /// Whether the last answer was one that the service may not give the next time.
    pub(crate) fn may_recover(&self) -> bool {
        matches!(self.status, 300..=399 | 408 | 425 | 500..)
    }

    fn get_object(
        &mut self,
        path: &str,
        what: &str,
        id: &str,
    ) -> Result<Map<String, Value>, ConvertError> {
        match self.get(path, what, Some(id))? {
            Value::Object(object) => Ok(object),
            other => Err(wrong(what, &format!("{}, not an object", kind(&other)))),
        }
    }

    /// What the service says of a document.
    pub(crate) fn metadata(&mut self, id: &str) -> Result<Metadata, ConvertError> {
        let path = format!("/doc/{}/metadata/", segment(id)?);
        let object = self.get_object(&path, "the metadata", id)?;
        Ok(Metadata::of(&object))
    }

    /// The tree, or how far it is.
    pub(crate) fn tree(&mut self, id: &str) -> Result<TreeAnswer, ConvertError> {
        let what = "the tree";
        let path = format!("/doc/{}/?type=tree&summary=true", segment(id)?);
        let mut object = self.get_object(&path, what, id)?;
        let progress = Progress::of(object.get("status").unwrap_or(&Value::Null));
        let found = taken(&mut object, &["tree", "structure", "result"]);
        let nodes = match found {
            Some(Value::Array(nodes)) => Some(nodes),
            // A whole tree file, as the local index writes it.
            Some(Value::Object(mut file)) => match taken(&mut file, &["structure"]) {
                Some(Value::Array(nodes)) => Some(nodes),
                _ => return Err(wrong(what, "an object without a list `structure`")),
            },
            Some(other) => return Err(wrong(what, &format!("{}, not a list", kind(&other)))),
            // Not worth waiting for: no word of how far it is.
            None if !object.get("status").is_some_and(Value::is_string) => {
                return Err(wrong(what, "neither a `status` nor a tree"));
            }
            None => None,
        };
        Ok(TreeAnswer { progress, nodes })
    }

    /// The texts of all pages, in one call.
    pub(crate) fn pages(&mut self, id: &str) -> Result<Vec<Value>, ConvertError> {
        let what = "the pages";
        let path = format!("/doc/{}/?type=ocr&format=page", segment(id)?);
        let mut object = self.get_object(&path, what, id)?;
        match taken(&mut object, &["pages", "ocr", "result"]) {
            Some(Value::Array(pages)) => Ok(pages),
            Some(other) => Err(wrong(what, &format!("{}, not a list", kind(&other)))),
            None => Err(wrong(what, "none of `pages`, `ocr` and `result`")),
        }
    }

    /// Has the service convert the local file; its id there.
    pub(crate) fn upload(&mut self, name: &str) -> Result<String, ConvertError> {
        let what = "the upload";
        let field = |name: &str, value| FormField {
            name: name.to_owned(),
            value,
        };
        let form = Body::Form(vec![
            field("file", FormValue::InputFile(name.to_owned())),
            field("if_retrieval", FormValue::Text("true".to_owned())),
        ]);
        let answer = self.service.call(ENDPOINT, Method::Post, "/doc/", &form);
        let answer = json(answer.map_err(of_call)?, what, None)?;
        let id = answer.get("doc_id").and_then(Value::as_str);
        let id = id.ok_or_else(|| wrong(what, "no `doc_id` in the answer"))?;
        segment(id).map_err(|_| wrong(what, "a `doc_id` that is no id"))?;
        Ok(id.to_owned())
    }

    /// A stretch of the list of documents.
    pub(crate) fn list(&mut self, offset: u32, limit: u32) -> Result<Vec<Metadata>, ConvertError> {
        let what = "the list";
        let path = format!("/docs/?limit={limit}&offset={offset}");
        let found = match self.get(&path, what, None)? {
            Value::Object(mut object) => taken(&mut object, &["documents", "docs", "result"]),
            other => Some(other),
        };
        let Some(Value::Array(documents)) = found else {
            return Err(wrong(what, "no list `documents`"));
        };
        let documents = documents.iter().map(|document| match document {
            Value::Object(object) => Ok(Metadata::of(object)),
            other => Err(wrong(what, &format!("{} for a document", kind(other)))),
        });
        documents.collect()
    }
}

/// Takes the first of these members that is there out of an object.
fn taken(object: &mut Map<String, Value>, names: &[&str]) -> Option<Value> {
    let mut found = names.iter().filter_map(|name| object.remove(*name));
    found.find(|value| !value.is_null())
}

/// What a value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// An id as a segment of a path: what the host grants, letters, digits, `-` and `_`.
fn segment(id: &str) -> Result<&str, ConvertError> {
    let is_of_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=ID_BYTES_MAX).contains(&id.len()) || !id.bytes().all(is_of_id) {
        let id = one_line(id, 64);
        return Err(ConvertError::NotFound(format!(
            "`{id}` is no id of a document"
        )));
    }
    Ok(id)
}

fn json(response: Response, what: &str, id: Option<&str>) -> Result<Value, ConvertError> {
    if !(200..300).contains(&response.status) {
        return Err(of_status(&response, what, id));
    }
    // The parser's own limit of nesting holds: 128 levels.
    serde_json::from_slice(&response.body).map_err(|error| {
        let start = &response.body[..response.body.len().min(1_000)];
        let start = one_line(&String::from_utf8_lossy(start), 200);
        wrong(what, &format!("not JSON ({error}): {start}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_last_components() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(file_name(path).as_deref(), expected, "{path:?}");
        };
        check("report.pdf", Some("report.pdf"));
        check("C:\\Reports\\Harbour 2025.pdf", Some("Harbour 2025.pdf"));
        check("/srv/in\\x/report.pdf", Some("report.pdf"));
        check("a\nb\u{1b}.pdf", Some("a b.pdf"));
        for none in ["", "/", "a/..", "\\.", "x/ "] {
            check(none, None);
        }
    }

    #[test]
    fn ids_are_segments() {
        assert_eq!(segment("pi-a_1").unwrap(), "pi-a_1");
        let long = "x".repeat(ID_BYTES_MAX + 1);
        for id in ["", ".", "..", "a b", "a\nb", "a.b", "../x", "ü", &long] {
            assert!(
                matches!(segment(id), Err(ConvertError::NotFound(_))),
                "{id:?}"
            );
        }
    }
}
