//! Pictures of pages on their way into the output: fetched from where the service says, or decoded.
//!
//! Invariant: a picture that cannot be had is a warning, never an error, unless the job shall end. No
//! warning holds an address: a presigned one is a key of its own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kbhost_guest::{ConvertError, Files, OutputFile, Picture, Warnings, one_line, put_on_page};
use percent_encoding::percent_decode_str;

use crate::fault::of_call;
use crate::service::{Body, CloudError, Method, Service};

/// Pictures of one document.
const PICTURES_MAX: usize = 1_000;
/// Bytes of all pictures of a document.
const ALL_BYTES_MAX: usize = 256 << 20;
/// A picture that fails is that picture's fault; so many one after another are the host's.
const FAILURES_MAX: u32 = 3;
/// Shortest text that may be a picture in base64: the smallest PNG has 67 bytes.
const BASE64_BYTES_MIN: usize = 48;
/// Longest name of a host that a warning shows.
const HOST_CHARS_MAX: usize = 100;

/// Where a picture is to be had.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// An address on the web.
    Address(String),
    /// Base64.
    Data(String),
}

impl Source {
    /// What a text is to a picture: an address, a `data:` URI, bare base64 of a picture, or nothing.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let text = text.trim();
        let starts = |prefix: &str| {
            let head = text.get(..prefix.len());
            head.is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        if starts("https://") || starts("http://") {
            return Some(Self::Address(text.to_owned()));
        }
        if starts("data:") {
            let (header, data) = text.split_once(',')?;
            let is_base64 = header.to_ascii_lowercase().ends_with(";base64");
            return is_base64.then(|| Self::Data(data.to_owned()));
        }
        // The first bytes of the four formats, in base64.
        let is_picture = ["iVBORw0KGgo", "/9j/", "R0lGODdh", "R0lGODlh", "UklGR"];
        let is_picture = is_picture.iter().any(|mark| text.starts_with(mark));
        let is_data = is_picture && text.len() >= BASE64_BYTES_MIN;
        is_data.then(|| Self::Data(text.to_owned()))
    }
}

/// The host in an address, for a person.
fn host_of(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let authority = &rest[..end];
    // What stands in front of the host may be a password.
    let host = authority.rsplit('@').next().unwrap_or_default();
    one_line(host, HOST_CHARS_MAX)
}

/// The pictures of one document.
pub(crate) struct Pictures<'a> {
    service: &'a mut dyn Service,
    sink: &'a mut dyn Files,
    files: Vec<OutputFile>,
    bytes: usize,
    /// The output of a source that was met before; `None` if it had none.
    known: BTreeMap<Source, Option<String>>,
    failures: u32,
    /// Whether pictures are fetched no longer.
    has_given_up: bool,
    reasons: BTreeMap<String, u64>,
}

impl<'a> Pictures<'a> {
    pub(crate) fn new(service: &'a mut dyn Service, sink: &'a mut dyn Files) -> Self {
        Self {
            service,
            sink,
            files: Vec::new(),
            bytes: 0,
            known: BTreeMap::new(),
            failures: 0,
            has_given_up: false,
            reasons: BTreeMap::new(),
        }
    }

    /// The output for the first of `sources` that can be had.
    pub(crate) fn path_of(
        &mut self,
        page: u32,
        sources: &[Source],
    ) -> Result<Option<String>, ConvertError> {
        if sources.is_empty() {
            self.leave_out("of which the service gives neither address nor bytes");
        }
        for source in sources {
            let known = match self.known.get(source) {
                Some(known) => known.clone(),
                None => {
                    let path = self.take(page, source)?;
                    self.known.insert(source.clone(), path.clone());
                    path
                }
            };
            if known.is_some() {
                return Ok(known);
            }
        }
        Ok(None)
    }

    fn leave_out(&mut self, reason: &str) {
        *self.reasons.entry(reason.to_owned()).or_default() += 1;
    }

    fn take(&mut self, page: u32, source: &Source) -> Result<Option<String>, ConvertError> {
        if self.files.len() == PICTURES_MAX || self.bytes >= ALL_BYTES_MAX {
            self.leave_out("beyond the limits");
            return Ok(None);
        }
        let bytes = match source {
            Source::Address(address) => self.fetch(address)?,
            Source::Data(data) => self.decode(data),
        };
        match bytes {
            Some(bytes) => self.put(page, &bytes),
            None => Ok(None),
        }
    }

    fn decode(&mut self, data: &str) -> Option<Vec<u8>> {
        let mut bytes: Vec<u8> = percent_decode_str(data).collect();
        bytes.retain(|byte| !byte.is_ascii_whitespace());
        let decoded = STANDARD.decode(&bytes).ok();
        if decoded.is_none() {
            self.leave_out("whose base64 is not valid");
        }
        decoded
    }

    fn fetch(&mut self, address: &str) -> Result<Option<Vec<u8>>, ConvertError> {
        if self.has_given_up {
            self.leave_out("not asked for after others had failed");
            return Ok(None);
        }
        if self.service.is_cancelled() {
            return Err(ConvertError::Cancelled);
        }
        let Some(location) = self.service.locate(address) else {
            self.leave_out(&format!(
                "on the host `{}`, which is not granted, or under an address that is not as the service wrote it",
                host_of(address)
            ));
            return Ok(None);
        };
        let answer = self.service.call(
            &location.endpoint,
            Method::Get,
            &location.path,
            &Body::Empty,
        );
        let reason = match answer {
            Ok(response) if (200..300).contains(&response.status) => {
                self.failures = 0;
                return Ok(Some(response.body));
            }
            Ok(response) => format!("which answered with status {}", response.status),
            Err(CloudError::Cancelled) => return Err(of_call(CloudError::Cancelled)),
            Err(CloudError::Refused(_)) => "which is not granted".to_owned(),
            Err(CloudError::Tainted) => "whose answer held the key".to_owned(),
            Err(CloudError::Timeout) => "which took too long".to_owned(),
            Err(CloudError::Network(_)) => "which could not be reached".to_owned(),
            Err(CloudError::TooLarge(_)) => "which sent more than is taken".to_owned(),
            Err(CloudError::Exhausted(_)) => {
                self.has_given_up = true;
                "which may not be called any more".to_owned()
            }
        };
        self.failures += 1;
        self.has_given_up |= self.failures >= FAILURES_MAX;
        self.leave_out(&format!("on the host `{}`, {reason}", host_of(address)));
        Ok(None)
    }

    fn put(&mut self, page: u32, bytes: &[u8]) -> Result<Option<String>, ConvertError> {
        let Some(picture) = Picture::of(bytes) else {
            self.leave_out("in another format than PNG, JPEG, GIF and WebP");
            return Ok(None);
        };
        if self.bytes + bytes.len() > ALL_BYTES_MAX {
            self.leave_out("beyond the limits");
            return Ok(None);
        }
        self.bytes += bytes.len();
        put_on_page(self.sink, &mut self.files, page, picture, bytes).map(Some)
    }

    /// The files, after saying what was left out.
    pub(crate) fn finish(self, warnings: &mut Warnings) -> Vec<OutputFile> {
        for (reason, count) in self.reasons {
            let pictures = if count == 1 { "picture" } else { "pictures" };
            warnings.push(&format!("left out: {count} {pictures} {reason}"));
        }
        self.files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart() {
        let png = format!("iVBORw0KGgo{}", "A".repeat(60));
        let data = |text: &str| Some(Source::Data(text.to_owned()));
        let address = |text: &str| Some(Source::Address(text.to_owned()));
        let check = |text: &str, expected| assert_eq!(Source::of(text), expected, "{text}");
        check("https://h/a?b", address("https://h/a?b"));
        check(" HTTP://h/a", address("HTTP://h/a"));
        check("data:image/png;base64,AAAA", data("AAAA"));
        check("DATA:;BASE64,AA%3D", data("AA%3D"));
        check(&png, data(&png));
        for text in [
            "",
            "img-0.png",
            "data:text/plain,x",
            "iVBORw0KGgo",
            "ftp://h/a",
            "file:///x",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn hosts_are_shown_without_what_surrounds_them() {
        let check = |address, expected| assert_eq!(host_of(address), expected);
        check(
            "https://h.example:8080/a?X-Signature=secret",
            "h.example:8080",
        );
        check("https://user:secret@h.example", "h.example");
        check("https://h.example?x=secret", "h.example");
        check("https://h\\secret", "h");
    }
}
