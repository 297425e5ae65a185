//! Answers, right ones and wrong ones, as bytes on a connection.

use std::io::{self, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::script::{Echo, Fault};
use crate::stop::Stop;

/// A hang that nobody ends is over at some time all the same.
const HANG: Duration = Duration::from_secs(3_600);
/// In how many pieces a slow answer comes.
const PIECES: u32 = 20;

/// An answer without faults.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(status: u16, value: &Value) -> Self {
        Self {
            status,
            headers: vec![("content-type", "application/json".to_owned())],
            body: value.to_string().into_bytes(),
        }
    }

    pub(crate) fn error(status: u16, detail: &str) -> Self {
        Self::json(status, &json!({ "detail": detail }))
    }

    fn head(&self, length: Option<u64>, keep_alive: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            302 => "Found",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            429 => "Too Many Requests",
            _ => "Status",
        };
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match length {
            Some(length) => head.push_str(&format!("content-length: {length}\r\n")),
            None => head.push_str("transfer-encoding: chunked\r\n"),
        }
        if !keep_alive {
            head.push_str("connection: close\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    fn whole(&self, keep_alive: bool) -> Vec<u8> {
        let mut bytes = self.head(Some(self.body.len() as u64), keep_alive);
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// A connection that is written to, and what may end it.
pub(crate) struct Wire<'a> {
    pub(crate) stream: &'a mut TcpStream,
    pub(crate) stop: &'a Stop,
    pub(crate) key: &'a str,
    pub(crate) keep_alive: bool,
}

impl Wire<'_> {
    /// Sends the answer, or what the fault makes of it; whether the connection goes on.
    pub(crate) fn send(&mut self, answer: &Answer, fault: Option<&Fault>) -> io::Result<bool> {
        let Some(fault) = fault else {
            return self.send_whole(answer);
        };
        match fault {
            Fault::Status(status, body) => {
                let mut answer = answer.clone();
                (answer.status, answer.body) = (*status, body.clone().into_bytes());
                self.send_whole(&answer)
            }
            Fault::RetryAfter { status, after } => {
                let mut answer = Answer::error(*status, "try again later");
                answer.headers.push(("retry-after", after.clone()));
                self.send_whole(&answer)
            }
            Fault::NotJson => {
                let mut answer = answer.clone();
                answer.body = b"<html><body>Gateway \x1b[31mmaintenance\xff".to_vec();
                self.send_whole(&answer)
            }
            Fault::WrongShape => {
                let value = json!({"result": {"pages": "none"}, "doc_id": 7, "documents": 1});
                self.send_whole(&Answer::json(answer.status, &value))
            }
            Fault::Redirect(location) => {
                let mut answer = Answer::error(302, "elsewhere");
                answer.headers.push(("location", location.clone()));
                self.send_whole(&answer)
            }
            Fault::EchoKey(echo) => self.send_echo(answer, *echo),
            Fault::Gzip => {
                let mut answer = answer.clone();
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(&answer.body)?;
                answer.body = encoder.finish()?;
                answer.headers.push(("content-encoding", "gzip".to_owned()));
                self.send_whole(&answer)
            }
            broken => self.send_broken(answer, broken).map(|()| false),
        }
    }

    fn send_whole(&mut self, answer: &Answer) -> io::Result<bool> {
        self.stream.write_all(&answer.whole(self.keep_alive))?;
        Ok(self.keep_alive)
    }

    /// What no connection survives.
    fn send_broken(&mut self, answer: &Answer, fault: &Fault) -> io::Result<()> {
        let length = answer.body.len();
        match fault {
            Fault::Slow(over) => {
                let bytes = answer.whole(false);
                let piece = bytes.len().div_ceil(PIECES as usize).max(1);
                for piece in bytes.chunks(piece) {
                    self.stream.write_all(piece)?;
                    if self.stop.wait(*over / PIECES) {
                        return Ok(());
                    }
                }
            }
            Fault::Hang => self.hang(),
            Fault::HangInBody => {
                self.stream
                    .write_all(&answer.head(Some(length as u64), false))?;
                self.stream.write_all(&answer.body[..length / 2])?;
                self.hang();
            }
            Fault::CutOff(bytes) => {
                self.stream
                    .write_all(&answer.head(Some(length as u64), false))?;
                // Never the whole of it: that would be no cut.
                let cut = (*bytes).min(length.saturating_sub(1));
                self.stream.write_all(&answer.body[..cut])?;
            }
            Fault::Announced(bytes) => {
                self.stream.write_all(&answer.head(Some(*bytes), false))?;
                self.stream.write_all(&answer.body)?;
            }
            Fault::Oversized(bytes) => self.flood(answer, *bytes)?,
            Fault::BadHead => self.stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")?,
            _ => {}
        }
        self.stream.flush()?;
        self.stream.shutdown(Shutdown::Both)
    }

    /// Holds the connection until the client or the server ends it.
    fn hang(&mut self) {
        let step = Duration::from_millis(20);
        let mut buffer = [0; 16];
        for _ in 0..HANG.as_millis() / step.as_millis() {
            // The client's end of it reads as zero bytes; its silence as a timeout.
            let left = matches!(self.stream.peek(&mut buffer), Ok(0));
            if left || self.stop.wait(step) {
                return;
            }
        }
    }

    /// A JSON text of so many bytes, chunked.
    fn flood(&mut self, answer: &Answer, bytes: u64) -> io::Result<()> {
        self.stream.write_all(&answer.head(None, false))?;
        let block = [b' '; 64 << 10];
        let mut left = bytes;
        while left > 0 && !self.stop.is_set() {
            let length = left.min(block.len() as u64);
            write!(self.stream, "{length:x}\r\n")?;
            self.stream.write_all(&block[..length as usize])?;
            self.stream.write_all(b"\r\n")?;
            left -= length;
        }
        self.stream.write_all(b"2\r\n{}\r\n0\r\n\r\n")
    }

    fn send_echo(&mut self, answer: &Answer, echo: Echo) -> io::Result<bool> {
        let key = self.key;
        let each = |form: fn(u8) -> String| key.bytes().map(form).collect::<String>();
        let text = match echo {
            Echo::Exact | Echo::Split => key.to_owned(),
            Echo::Percent => each(|byte| format!("%{byte:02x}")),
            Echo::Base64 => STANDARD.encode(key),
            Echo::Base64Within => URL_SAFE_NO_PAD.encode(format!("x{key}y")),
            Echo::JsonEscape => each(|byte| format!("\\u{:04x}", u32::from(byte))),
            Echo::Header => {
                let mut answer = answer.clone();
                answer.headers = vec![("content-type", format!("application/json; of={key}"))];
                return self.send_whole(&answer);
            }
        };
        let echoed = format!("{{\"debug\": \"{text}\", ");
        let mut answer = answer.clone();
        // In an object it is one more member; in what is no object, the object in front of it.
        answer.body = match answer.body.strip_prefix(b"{") {
            Some(rest) => [echoed.as_bytes(), rest].concat(),
            None => [echoed.as_bytes(), b"\"x\": 0}", &answer.body[..]].concat(),
        };
        if echo != Echo::Split {
            return self.send_whole(&answer);
        }
        let at = "{\"debug\": \"".len() + key.len() / 2;
        let mut bytes = answer.head(None, self.keep_alive);
        self.stream.write_all(&bytes)?;
        for half in [&answer.body[..at], &answer.body[at..]] {
            bytes = format!("{:x}\r\n", half.len()).into_bytes();
            bytes.extend_from_slice(half);
            bytes.extend_from_slice(b"\r\n");
            self.stream.write_all(&bytes)?;
            if self.stop.wait(Duration::from_millis(5)) {
                return Ok(false);
            }
        }
        self.stream.write_all(b"0\r\n\r\n")?;
        Ok(self.keep_alive)
    }
}
