//! One try of a call: what is sent, what comes back, and in which words it fails.

use std::error::Error as _;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::multipart::{Form, Part};
use rustix::fs::{Mode, OFlags};

use super::call::{Body, FormValue, Method, Request};
use super::key::ApiKey;
use super::policy::Admitted;
use super::resolve::NotAdmitted;

/// The header that bears the credential.
const KEY_HEADER: HeaderName = HeaderName::from_static("api_key");

/// What is read of a file at once.
const CHUNK_BYTES: usize = 64 << 10;

/// Causes of an error beyond this many say nothing new.
const CAUSES_MAX: usize = 8;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Why nothing came back. Texts are not safe yet.
#[derive(Debug)]
pub(super) enum Failure {
    /// The host has no address that may be called.
    NotAdmitted,
    /// No connection.
    Unconnected(String),
    /// Broken off.
    Broken(String),
    /// More bytes than are taken.
    TooLarge,
    /// The body is packed, though plain bytes were asked for.
    Encoded,
}

/// The input file of a job, opened.
#[derive(Debug)]
pub(super) struct InputFile {
    file: File,
    pub(super) bytes: u64,
}

impl InputFile {
    /// Opens the staged file.
    ///
    /// # Errors
    /// If it cannot be read or is no regular file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        Ok(Self {
            file,
            bytes: metadata.len(),
        })
    }
}

/// A file as it goes out. Reads are short ones of a local file, so that they may be made on the client's
/// thread.
struct FileBody {
    file: File,
    left: u64,
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(self.left).unwrap_or(CHUNK_BYTES))];
        let read = match self.file.read(&mut chunk) {
            Ok(0) => Err(io::Error::other("the file got shorter while it was sent")),
            other => other,
        };
        Poll::Ready(Some(read.map(|count| {
            chunk.truncate(count);
            self.left -= count as u64;
            Frame::data(Bytes::from(chunk))
        })))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// Puts a request together.
///
/// # Errors
/// If the client cannot; does not happen for what was admitted.
pub(super) fn build(
    http: &reqwest::Client,
    key: &ApiKey,
    admitted: &Admitted,
    request: &Request,
    file: Option<InputFile>,
) -> Result<reqwest::Request, String> {
    let method = match request.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut headers = admitted.headers.clone();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    if admitted.is_service {
        let value = HeaderValue::from_str(key.expose());
        let mut value = value.map_err(|_| "the key is no header".to_owned())?;
        value.set_sensitive(true);
        headers.insert(KEY_HEADER, value);
    }
    let builder = http.request(method, admitted.url.clone()).headers(headers);
    let builder = match &request.body {
        Body::Empty => builder,
        Body::Bytes(bytes) => builder.body(bytes.clone()),
        Body::Form(fields) => builder.multipart(form(fields, file)),
    };
    builder.build().map_err(words)
}

fn form(fields: &[(String, FormValue)], mut file: Option<InputFile>) -> Form {
    let mut form = Form::new();
    for (name, value) in fields {
        form = match value {
            FormValue::Text(text) => form.text(name.clone(), text.clone()),
            FormValue::InputFile(file_name) => match file.take() {
                Some(InputFile { file, bytes }) => {
                    let body = reqwest::Body::wrap(FileBody { file, left: bytes });
                    let part = Part::stream_with_length(body, bytes).file_name(file_name.clone());
                    form.part(name.clone(), part)
                }
                None => form,
            },
        };
    }
    form
}

/// Sends `request` and takes at most `bytes_max` bytes; `received` counts them, also of an answer that breaks
/// off.
pub(super) async fn send(
    http: reqwest::Client,
    request: reqwest::Request,
    bytes_max: u64,
    received: &AtomicU64,
) -> Result<Answer, Failure> {
    let mut response = http.execute(request).await.map_err(failure)?;
    let encodings = response.headers().get_all(CONTENT_ENCODING);
    if encodings
        .iter()
        .any(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Failure::Encoded);
    }
    if response
        .content_length()
        .is_some_and(|length| length > bytes_max)
    {
        return Err(Failure::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failure)? {
        let sum = received.fetch_add(chunk.len() as u64, Ordering::Relaxed) + chunk.len() as u64;
        if sum > bytes_max {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: response.status().as_u16(),
        headers: std::mem::take(response.headers_mut()),
        body,
    })
}

fn failure(error: reqwest::Error) -> Failure {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<NotAdmitted>() {
            return Failure::NotAdmitted;
        }
        cause = inner.source();
    }
    match error.is_connect() {
        true => Failure::Unconnected(words(error)),
        false => Failure::Broken(words(error)),
    }
}

/// An error with its causes, without the address that was called.
fn words(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(inner) = cause else { break };
        let text = inner.to_string();
        if !words.ends_with(&text) {
            words = format!("{words}: {text}");
        }
        cause = inner.source();
    }
    words
}
