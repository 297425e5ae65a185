//! What the kit's cloud converter may call, and what it must not reach: two listeners on loopback that
//! keep what they were asked for. Nothing leaves the machine.
//!
//! Invariant: threads, requests and what is kept of them are bounded, and all of it ends when this goes,
//! answers that hang included.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::canary::MARK;

/// Connections at a time; further ones are closed at once.
const CONNECTIONS_MAX: usize = 16;

/// Requests that are kept: more than a job may make.
const SEEN_MAX: usize = 10_000;

/// A request without its body.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// How soon the end is noticed.
const POLL: Duration = Duration::from_millis(20);

/// The two listeners.
#[derive(Debug)]
pub(super) struct Loopback {
    service: Listener,
    elsewhere: Listener,
}

impl Loopback {
    /// Listens.
    ///
    /// # Errors
    /// If this machine has no loopback.
    pub(super) fn listen() -> io::Result<Self> {
        let elsewhere = Listener::start(None)?;
        let service = Listener::start(Some(elsewhere.address))?;
        // Some containers let bind where nobody can connect: that would pass for a refusal.
        drop(TcpStream::connect(service.address)?);
        Ok(Self { service, elsewhere })
    }

    /// The key that the service is called with: a canary too.
    pub(super) fn key() -> String {
        format!("{MARK}-key-7c41d09be2f8")
    }

    /// `http://127.0.0.1:PORT`, where the service is.
    pub(super) fn origin(&self) -> String {
        format!("http://{}", self.service.address)
    }

    /// The host that nobody granted.
    pub(super) fn elsewhere(&self) -> SocketAddr {
        self.elsewhere.address
    }

    /// What was asked for since the last time and should not have been.
    pub(super) fn wrongly_asked(&self) -> Vec<String> {
        let granted = |line: &String| {
            let paths = ["GET /doc/", "GET /docs/"];
            paths.iter().any(|path| line.starts_with(path)) && !line.contains("loot")
        };
        let service = self.service.take_seen().into_iter();
        let beyond = service
            .filter(|line| !granted(line))
            .map(|line| format!("the service was asked for what is not granted: {line}"));
        let elsewhere = self.elsewhere.take_seen().into_iter();
        let reached = elsewhere.map(|line| format!("another host was called: {line}"));
        // One line tells as much as a flood of them.
        beyond.take(1).chain(reached.take(1)).collect()
    }
}

/// One of them; ends when dropped.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<String>>,
    is_over: AtomicBool,
    /// Where the service's answers try to lead; `None`: this is the place.
    elsewhere: Option<SocketAddr>,
}

impl Listener {
    fn start(elsewhere: Option<SocketAddr>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            elsewhere,
            ..Shared::default()
        });
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("kbhost-loopback".to_owned())
            .spawn(move || serve(&listener, &of_thread))?;
        Ok(Self {
            address,
            shared,
            thread: Some(thread),
        })
    }

    fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.shared.seen())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for a connection.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has told so already.
            drop(thread.join());
        }
    }
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn note(&self, line: &str) {
        let mut seen = self.seen();
        if seen.len() < SEEN_MAX {
            seen.push(line.to_owned());
        }
    }
}

fn serve(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections: Vec<JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if shared.is_over() {
            break;
        }
        let Ok(stream) = stream else { continue };
        connections.retain(|connection| !connection.is_finished());
        if connections.len() == CONNECTIONS_MAX {
            continue;
        }
        let shared = Arc::clone(shared);
        // Whoever broke off knows it.
        connections.push(thread::spawn(move || drop(converse(stream, &shared))));
    }
    for connection in connections {
        drop(connection.join());
    }
}

/// Answers one request after the other.
fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(POLL))?;
    let mut read = Vec::new();
    loop {
        let Some(end) = read.windows(4).position(|at| at == b"\r\n\r\n") else {
            if read.len() > HEAD_BYTES_MAX || !read_more(&mut stream, &mut read, shared)? {
                return Ok(());
            }
            continue;
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        read.drain(..end + 4);
        let line = head.lines().next().unwrap_or_default();
        shared.note(line);
        match answer(line, &head, shared) {
            Some(answer) => stream.write_all(answer.as_bytes())?,
            None => {
                while read_more(&mut stream, &mut read, shared)? && read.len() < HEAD_BYTES_MAX {}
                return Ok(());
            }
        }
    }
}

/// Reads what comes next; false at the end.
fn read_more(stream: &mut TcpStream, read: &mut Vec<u8>, shared: &Shared) -> io::Result<bool> {
    let mut chunk = [0; 4 << 10];
    while !shared.is_over() {
        match stream.read(&mut chunk) {
            Ok(count) => {
                read.extend_from_slice(&chunk[..count]);
                return Ok(count > 0);
            }
            Err(error) if is_pause(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}

/// The answer to the request that begins with `line`; `None`: it is let hang.
fn answer(line: &str, head: &str, shared: &Shared) -> Option<String> {
    let host = header(head, "host");
    let elsewhere = shared.elsewhere;
    let path = line.split(' ').nth(1).unwrap_or_default();
    let word = path.split('/').nth(2).unwrap_or_default();
    let (status, field, body) = match (elsewhere, word) {
        (Some(_), "hang") => return None,
        (Some(elsewhere), "redirect") => {
            let field = format!("location: http://{elsewhere}/?stolen\r\n");
            ("302 Found", field, String::from("{}"))
        }
        (Some(_), "echo") => {
            let body = format!(
                "{{\"name\": \"echo\", \"you\": \"{}\"}}",
                header(head, "api_key")
            );
            ("200 OK", String::new(), body)
        }
        (Some(elsewhere), "pictures") => {
            let body = format!(
                "{{\"images\": [\"http://{host}/a.png?sig=1\", \"http://{elsewhere}/a.png?sig=2\"]}}"
            );
            ("200 OK", String::new(), body)
        }
        _ => {
            let body = "{\"documents\": [{\"id\": \"x\", \"name\": \"lie-many\"}]}";
            ("200 OK", String::new(), body.to_owned())
        }
    };
    let length = body.len();
    Some(format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{field}content-length: {length}\r\n\r\n{body}"
    ))
}

/// The value of a header, or nothing.
fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let found = fields.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn what_is_asked_for_is_kept_and_judged() {
        let loopback = Loopback::listen().unwrap();
        let service = loopback.service.address;
        let answer = ask(
            service,
            "GET /doc/echo/metadata/ HTTP/1.1\r\napi_key: k-1\r\n\r\n",
        );
        assert!(answer.contains("\"you\": \"k-1\""), "{answer}");
        let two = "GET /docs/ HTTP/1.1\r\n\r\n".repeat(2);
        assert_eq!(ask(service, &two).matches("lie-many").count(), 2);
        assert_eq!(loopback.wrongly_asked(), [""; 0]);
        ask(service, "DELETE /doc/x/ HTTP/1.1\r\n\r\n");
        ask(service, "GET /doc/x/?loot=y HTTP/1.1\r\n\r\n");
        ask(loopback.elsewhere(), "GET / HTTP/1.1\r\n\r\n");
        let wrongly = loopback.wrongly_asked();
        assert!(
            wrongly[0].ends_with("DELETE /doc/x/ HTTP/1.1"),
            "{wrongly:?}"
        );
        assert!(
            wrongly[1].starts_with("another host was called"),
            "{wrongly:?}"
        );
        assert_eq!(loopback.wrongly_asked(), [""; 0]);
    }

    #[test]
    fn a_hanging_answer_ends_with_the_listener() {
        let loopback = Loopback::listen().unwrap();
        let mut stream = TcpStream::connect(loopback.service.address).unwrap();
        stream
            .write_all(b"GET /doc/hang/ HTTP/1.1\r\n\r\n")
            .unwrap();
        stream.set_read_timeout(Some(POLL * 5)).unwrap();
        let mut chunk = [0; 1];
        assert!(is_pause(&stream.read(&mut chunk).unwrap_err()));
        drop(loopback);
        stream.set_read_timeout(None).unwrap();
        assert_eq!(stream.read(&mut chunk).unwrap(), 0);
    }
}
