//! Requests as they come off a connection, bounded. Answers are `answer.rs`'s.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::stop::Stop;

/// Longest head of a request.
const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 64;
/// Longest body: more than any document of the tests.
const BODY_BYTES_MAX: usize = 256 << 20;
/// How long a client may take for a request that it has begun.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);
/// How soon a connection that waits for a client sees that the server stops.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Longest text field of a form that is kept.
const FIELD_BYTES_MAX: usize = 4_096;

/// One request.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) keep_alive: bool,
}

/// A part of an uploaded form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// The file's name, if it is a file.
    pub file_name: Option<String>,
    /// Length in bytes.
    pub length: u64,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// The value of a short text.
    pub text: Option<String>,
}

impl Request {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The parts of a form; none if it is no form.
    pub(crate) fn parts(&self) -> Option<Vec<Part>> {
        let value = self.header("content-type")?;
        let boundary = value
            .strip_prefix("multipart/form-data")?
            .split_once("boundary=")?
            .1;
        let boundary = boundary.split(';').next()?.trim().trim_matches('"');
        (!boundary.is_empty()).then(|| parts(&self.body, boundary))?
    }
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text)
}

fn parts(body: &[u8], boundary: &str) -> Option<Vec<Part>> {
    let first = format!("--{boundary}");
    let between = format!("\r\n--{boundary}");
    let mut rest = body.strip_prefix(first.as_bytes())?;
    let mut parts = Vec::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, between.as_bytes())?;
        parts.push(self::part(&part[..end])?);
        rest = &part[end + between.len()..];
    }
    rest.starts_with(b"--").then_some(parts)
}

fn part(bytes: &[u8]) -> Option<Part> {
    let head_end = find(bytes, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_end]).ok()?;
    let value = &bytes[head_end + 4..];
    let disposition = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    let parameter = |name: &str| {
        let (_, rest) = disposition.split_once(&format!("; {name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let file_name = parameter("filename");
    let is_short = file_name.is_none() && value.len() <= FIELD_BYTES_MAX;
    Some(Part {
        name: parameter("name")?,
        length: value.len() as u64,
        sha256: sha256_hex(value),
        text: is_short.then(|| String::from_utf8_lossy(value).into_owned()),
        file_name,
    })
}

/// A client's side of a connection, with what was read ahead.
pub(crate) struct Connection<'a> {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
    stop: &'a Stop,
}

impl<'a> Connection<'a> {
    pub(crate) fn new(stream: TcpStream, stop: &'a Stop) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        stream.set_write_timeout(Some(REQUEST_TIME_MAX))?;
        Ok(Self {
            stream,
            ahead: Vec::new(),
            stop,
        })
    }

    /// Reads on; false at the end, of the client or of the server.
    fn read_more(&mut self, until: Option<Instant>) -> io::Result<bool> {
        let mut buffer = [0; 64 << 10];
        loop {
            if self.stop.is_set() || until.is_some_and(|until| Instant::now() > until) {
                return Ok(false);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(length) => {
                    self.ahead.extend_from_slice(&buffer[..length]);
                    return Ok(true);
                }
                Err(error) if is_wait(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next request; none if the client is done, or does not speak HTTP.
    pub(crate) fn request(&mut self) -> io::Result<Option<Request>> {
        let mut until = None;
        loop {
            if !self.ahead.is_empty() {
                until.get_or_insert(Instant::now() + REQUEST_TIME_MAX);
                match parse_head(&self.ahead)? {
                    Some((mut request, length)) => {
                        self.ahead.drain(..length);
                        let until = until.expect("it was just set");
                        let whole = self.read_body(&mut request, until)?;
                        return Ok(whole.then_some(request));
                    }
                    None if self.ahead.len() > HEAD_BYTES_MAX => return Ok(None),
                    None => {}
                }
            }
            if !self.read_more(until)? {
                return Ok(None);
            }
        }
    }

    fn read_body(&mut self, request: &mut Request, until: Instant) -> io::Result<bool> {
        let is_chunked = request
            .header("transfer-encoding")
            .is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let length = request.header("content-length").map(str::parse::<usize>);
        if request.header("expect").is_some() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match (is_chunked, length) {
            (true, _) => self.read_chunks(&mut request.body, until),
            (false, Some(Ok(length))) => self.take(&mut request.body, length, until),
            (false, Some(Err(_))) => Ok(false),
            (false, None) => Ok(true),
        }
    }

    /// Moves so many bytes to `body`.
    fn take(&mut self, body: &mut Vec<u8>, length: usize, until: Instant) -> io::Result<bool> {
        if body.len().saturating_add(length) > BODY_BYTES_MAX {
            return Ok(false);
        }
        while self.ahead.len() < length {
            if !self.read_more(Some(until))? {
                return Ok(false);
            }
        }
        body.extend(self.ahead.drain(..length));
        Ok(true)
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>, until: Instant) -> io::Result<bool> {
        let mut line_end = Vec::new();
        loop {
            match httparse::parse_chunk_size(&self.ahead) {
                Ok(httparse::Status::Complete((head, length))) => {
                    self.ahead.drain(..head);
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    // No client of these tests sends trailers: each chunk, the last one too, is
                    // followed by a line end.
                    let whole = self.take(body, length, until)?;
                    if !whole || !self.take(&mut line_end, 2, until)? {
                        return Ok(false);
                    }
                    if length == 0 {
                        return Ok(true);
                    }
                }
                Ok(httparse::Status::Partial) => {
                    if !self.read_more(Some(until))? {
                        return Ok(false);
                    }
                }
                Err(_) => return Ok(false),
            }
        }
    }
}

fn is_wait(error: &io::Error) -> bool {
    let kind = error.kind();
    matches!(
        kind,
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// The head at the start of `bytes` and its length, once it is whole.
fn parse_head(bytes: &[u8]) -> io::Result<Option<(Request, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let invalid = |error| io::Error::new(io::ErrorKind::InvalidData, error);
    let httparse::Status::Complete(length) = parsed.parse(bytes).map_err(invalid)? else {
        return Ok(None);
    };
    let headers = parsed.headers.iter().map(|header| {
        let value = String::from_utf8_lossy(header.value).into_owned();
        (header.name.to_ascii_lowercase(), value)
    });
    let mut request = Request {
        method: parsed.method.unwrap_or_default().to_owned(),
        target: parsed.path.unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        keep_alive: parsed.version == Some(1),
    };
    if let Some(value) = request.header("connection") {
        request.keep_alive = !value.eq_ignore_ascii_case("close") && request.keep_alive;
    }
    Ok(Some((request, length)))
}
