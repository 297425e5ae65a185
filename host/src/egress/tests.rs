//! Calls against small servers of these tests: each connection gets what the test says.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::call::{Body, CallError, FormValue, Method, Request, Response};
use super::client::Client;
use super::key::ApiKey;
use super::limits::{ANSWER_BYTES_MAX, ANSWERS_BYTES_MAX, CALLS_MAX, PAUSE_MAX, Times};
use super::resolve::Checked;
use super::service::{PAGEINDEX, Service};
use super::session::Session;

mod tls;

const KEY: &str = "pi_Live/0123+abcDEF~4567";

/// What a server does with one connection, whose request it has read.
type Reply = Box<dyn FnMut(usize, &mut TcpStream) + Send>;

/// A server on loopback; ends with the process.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers the n-th request, from 0 on, with `reply`. One request a connection.
    fn new(mut reply: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        thread::spawn(move || {
            for (n, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let request = read_request(&mut stream);
                seen.lock().unwrap().push(request);
                reply(n, &mut stream);
            }
        });
        Self { address, requests }
    }

    /// Answers every request with these bytes.
    fn saying(answer: impl AsRef<[u8]>) -> Self {
        let answer = answer.as_ref().to_vec();
        Self::new(Box::new(move |_, stream| say(stream, &answer)))
    }

    /// Answers the n-th request with the n-th of these, the last one for ever.
    fn saying_in_turn(answers: Vec<String>) -> Self {
        Self::new(Box::new(move |n, stream| {
            say(stream, answers[n.min(answers.len() - 1)].as_bytes());
        }))
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn client(&self) -> Client {
        client_of(&format!("http://{}", self.address), None, times())
    }

    fn session(&self) -> Session {
        self.client().session(Arc::default(), None)
    }
}

/// The client may have gone: that is what some tests are about.
fn say(stream: &mut TcpStream, bytes: &[u8]) {
    drop(stream.write_all(bytes));
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            let head = text[..end].to_lowercase();
            let length = head.split("content-length: ").nth(1).map_or(0, |rest| {
                rest.split("\r\n").next().unwrap().parse::<usize>().unwrap()
            });
            if request.len() >= end + 4 + length {
                return text;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return text,
            Ok(count) => request.extend_from_slice(&chunk[..count]),
        }
    }
}

fn times() -> Times {
    Times {
        try_max: Duration::from_secs(10),
        connect_max: Duration::from_secs(5),
        session_max: Duration::from_secs(60),
        backoff: Duration::from_millis(10),
    }
}

fn key() -> ApiKey {
    ApiKey::new(KEY.to_owned()).unwrap()
}

fn client_of(url: &str, image_hosts: Option<&str>, times: Times) -> Client {
    let service = Service::from_values(Some(url), image_hosts, &[]).unwrap();
    Client::start_with(service, key(), times, Checked::of_system()).unwrap()
}

fn get(path: &str) -> Request {
    Request {
        endpoint: PAGEINDEX.to_owned(),
        method: Method::Get,
        path: path.to_owned(),
        headers: Vec::new(),
        body: Body::Empty,
    }
}

fn post(body: Body) -> Request {
    Request {
        method: Method::Post,
        body,
        ..get("/doc/")
    }
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

fn is_network(result: &Result<Response, CallError>) -> bool {
    matches!(result, Err(CallError::Network(reason)) if !reason.contains(KEY) && !reason.contains("/doc"))
}

#[test]
fn a_call_bears_the_key_and_an_answer_comes_back() {
    let headers = "Content-Type: application/json\r\nX-Other: 1\r\nSet-Cookie: a=b\r\n";
    let server = Server::saying(answer("404 Not Found", headers, "{\"a\": 1}"));
    let mut session = server.session();
    let mut request = get("/doc/pi-1/?type=tree");
    request.headers = vec![("Accept".to_owned(), "application/json".to_owned())];
    let response = session.call(request).unwrap();
    assert_eq!((response.status, text(&response)), (404, "{\"a\": 1}"));
    assert_eq!(
        response.headers,
        [("content-type".to_owned(), "application/json".to_owned())]
    );
    let requests = server.requests();
    assert!(
        requests[0].starts_with("GET /doc/pi-1/?type=tree HTTP/1.1\r\n"),
        "{}",
        requests[0]
    );
    for header in [
        &format!("api_key: {KEY}")[..],
        "accept: application/json",
        "accept-encoding: identity",
    ] {
        assert_eq!(
            requests[0].matches(&format!("\r\n{header}\r\n")).count(),
            1,
            "{}",
            requests[0]
        );
    }
    for header in ["cookie", "referer", "authorization"] {
        assert!(
            !requests[0].to_lowercase().contains(header),
            "{}",
            requests[0]
        );
    }
    session.call(get("/docs/")).unwrap();
    assert!(!server.requests()[1].to_lowercase().contains("cookie"));
    let usage = session.usage();
    assert_eq!(
        (usage.calls, usage.retries, usage.received_bytes),
        (2, 0, 16)
    );
    assert_eq!(usage.hosts, [server.address.to_string()]);
    assert!(session.waited() > Duration::ZERO && session.refusals().is_empty());
}

#[test]
fn a_form_sends_the_input_from_disk() {
    let server = Server::saying(answer("200 OK", "", "{}"));
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("in");
    let bytes = "0123456789abcdef".repeat(20_000);
    write(&input, &bytes);
    let mut session = server.client().session(Arc::default(), Some(input));
    let fields = vec![
        (
            "if_retrieval".to_owned(),
            FormValue::Text("true".to_owned()),
        ),
        (
            "file".to_owned(),
            FormValue::InputFile("a \"b\" ü.pdf".to_owned()),
        ),
    ];
    session.call(post(Body::Form(fields.clone()))).unwrap();
    let request = server.requests().remove(0);
    assert!(request.contains("name=\"if_retrieval\"\r\n\r\ntrue\r\n"));
    assert!(request.contains(&bytes));
    assert!(!request.contains("transfer-encoding"));
    assert!(session.usage().sent_bytes > bytes.len() as u64);
    let mut without = server.session();
    let refused = without.call(post(Body::Form(fields)));
    assert!(matches!(refused, Err(CallError::Refused(_))));
    assert_eq!(server.requests().len(), 1);
}

fn write(path: &std::path::Path, text: &str) {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let file = rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR).unwrap();
    std::fs::File::from(file)
        .write_all(text.as_bytes())
        .unwrap();
}

#[test]
fn a_redirect_is_an_answer() {
    let metadata = Server::saying(answer("200 OK", "", "secret"));
    for to in [
        "http://169.254.169.254/latest/meta-data/",
        &format!("http://{}/x", metadata.address),
        "/docs/",
    ] {
        let server = Server::saying(answer("302 Found", &format!("Location: {to}\r\n"), ""));
        let response = server.session().call(get("/docs/")).unwrap();
        assert_eq!((response.status, &response.headers[..]), (302, &[][..]));
        assert_eq!(server.requests().len(), 1);
    }
    assert!(metadata.requests().is_empty());
}

/// What a server may do instead of answering.
fn hanging() -> Vec<(&'static str, Server)> {
    fn hang(text: &'static str) -> Server {
        let mut kept = Vec::new();
        Server::new(Box::new(move |_, stream| {
            say(stream, text.as_bytes());
            kept.push(stream.try_clone().unwrap());
        }))
    }
    vec![
        ("before the answer", hang("")),
        ("in the head", hang("HTTP/1.1 200 OK\r\nContent-")),
        (
            "in the body",
            hang("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
        ),
        (
            "in a chunk",
            hang("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
        ),
    ]
}

#[test]
fn a_cancellation_ends_a_call_that_hangs() {
    for (place, server) in hanging() {
        let cancel = Arc::new(AtomicBool::new(false));
        let mut session = server.client().session(Arc::clone(&cancel), None);
        let canceller = thread::spawn(move || {
            thread::sleep(Duration::from_millis(150));
            cancel.store(true, Ordering::Relaxed);
            Instant::now()
        });
        assert_eq!(
            session.call(get("/docs/")),
            Err(CallError::Cancelled),
            "{place}"
        );
        let late = canceller.join().unwrap().elapsed();
        assert!(late < Duration::from_millis(500), "{place}: {late:?}");
        assert_eq!(session.call(get("/docs/")), Err(CallError::Cancelled));
        assert_eq!(
            session.pause(Duration::from_secs(9)),
            Err(CallError::Cancelled)
        );
    }
}

#[test]
fn a_deadline_ends_a_call_that_hangs() {
    for (place, server) in hanging() {
        let short = Times {
            try_max: Duration::from_millis(200),
            ..times()
        };
        let client = client_of(&format!("http://{}", server.address), None, short);
        let mut session = client.session(Arc::default(), None);
        let started = Instant::now();
        assert_eq!(
            session.call(get("/docs/")),
            Err(CallError::Timeout),
            "{place}"
        );
        let took = started.elapsed();
        assert!(
            took >= Duration::from_millis(200) && took < Duration::from_secs(2),
            "{took:?}"
        );
        assert_eq!(session.usage().retries, 0);
        assert!(session.waited() >= Duration::from_millis(200));
    }
}

#[test]
fn the_connection_of_an_ended_call_is_closed() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let server = Server::new(Box::new(move |_, stream| {
        let mut stream = stream.try_clone().unwrap();
        let sender = sender.clone();
        // Reads until the client goes.
        thread::spawn(move || sender.send(stream.read(&mut [0; 1])));
    }));
    let short = Times {
        try_max: Duration::from_millis(100),
        ..times()
    };
    let client = client_of(&format!("http://{}", server.address), None, short);
    let mut session = client.session(Arc::default(), None);
    assert_eq!(session.call(get("/docs/")), Err(CallError::Timeout));
    let end = receiver.recv_timeout(Duration::from_secs(5)).unwrap();
    assert!(matches!(end, Ok(0) | Err(_)));
}

#[test]
fn the_time_of_a_job_is_bounded() {
    let server = Server::saying(answer("200 OK", "", ""));
    let short = Times {
        session_max: Duration::from_millis(300),
        ..times()
    };
    let client = client_of(&format!("http://{}", server.address), None, short);
    let mut session = client.session(Arc::default(), None);
    session.call(get("/docs/")).unwrap();
    session.pause(Duration::from_millis(100)).unwrap();
    assert_eq!(
        session.pause(Duration::from_secs(20)),
        Err(CallError::Timeout)
    );
    assert_eq!(session.call(get("/docs/")), Err(CallError::Timeout));
    assert_eq!(server.requests().len(), 1);
    assert!(session.waited() < Duration::from_secs(2));
}

#[test]
fn a_service_that_is_not_there_is_tried_three_times() {
    let unused = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = client_of(&format!("http://{unused}"), None, times());
    let mut session = client.session(Arc::default(), None);
    let result = session.call(post(Body::Bytes(Vec::new())));
    assert!(is_network(&result), "{result:?}");
    assert!(format!("{result:?}").contains("refused"), "{result:?}");
    assert_eq!(session.usage().retries, 2);
}

#[test]
fn an_answer_that_breaks_off_is_tried_again_if_that_is_harmless() {
    for broken in [
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc",
        "HTTP/1.1 2",
        "no http\r\n\r\n",
    ] {
        let server = Server::saying_in_turn(vec![broken.to_owned(), answer("200 OK", "", "whole")]);
        let mut session = server.session();
        assert_eq!(text(&session.call(get("/docs/")).unwrap()), "whole");
        assert_eq!((session.usage().calls, session.usage().retries), (1, 1));
        let server = Server::saying(broken);
        let mut session = server.session();
        let result = session.call(get("/docs/"));
        assert!(is_network(&result), "{result:?}");
        assert_eq!(server.requests().len(), 3);
        let result = session.call(post(Body::Bytes(vec![1])));
        assert!(is_network(&result), "{result:?}");
        assert_eq!(server.requests().len(), 4);
    }
}

#[test]
fn errors_of_the_service_are_tried_again_and_then_returned() {
    for (status, get_tries, post_tries) in [
        (429, 3, 3),
        (503, 3, 3),
        (500, 3, 1),
        (502, 3, 1),
        (504, 3, 1),
        (401, 1, 1),
    ] {
        let server = Server::saying(answer(&format!("{status} X"), "", "why"));
        let mut session = server.session();
        let response = session.call(get("/docs/")).unwrap();
        assert_eq!((response.status, text(&response)), (status, "why"));
        assert_eq!(server.requests().len(), get_tries, "{status}");
        assert_eq!(session.usage().retries, get_tries as u64 - 1);
        assert_eq!(session.call(post(Body::Empty)).unwrap().status, status);
        assert_eq!(server.requests().len(), get_tries + post_tries, "{status}");
        assert_eq!(session.usage().calls, 2);
    }
    let server = Server::saying_in_turn(vec![
        answer("500 X", "", ""),
        answer("429 X", "", ""),
        answer("200 OK", "", "well"),
    ]);
    assert_eq!(text(&server.session().call(get("/docs/")).unwrap()), "well");
}

#[test]
fn a_wait_that_the_service_asks_for_is_kept() {
    let server = Server::saying_in_turn(vec![
        answer("429 X", "Retry-After: 1\r\n", ""),
        answer("200 OK", "", "well"),
    ]);
    let started = Instant::now();
    assert_eq!(text(&server.session().call(get("/docs/")).unwrap()), "well");
    let took = started.elapsed();
    assert!(
        took >= Duration::from_secs(1) && took < Duration::from_secs(4),
        "{took:?}"
    );
    for long in ["61", "Fri, 01 Jan 2100 00:00:00 GMT"] {
        let server = Server::saying(answer("429 X", &format!("Retry-After: {long}\r\n"), ""));
        let started = Instant::now();
        let response = server.session().call(get("/docs/")).unwrap();
        assert_eq!(
            response.headers,
            [("retry-after".to_owned(), long.to_owned())]
        );
        assert_eq!((response.status, server.requests().len()), (429, 1));
        assert!(started.elapsed() < Duration::from_secs(1));
    }
    // More than is left of the job's time.
    let server = Server::saying(answer("503 X", "Retry-After: 59\r\n", ""));
    let short = Times {
        session_max: Duration::from_secs(5),
        ..times()
    };
    let client = client_of(&format!("http://{}", server.address), None, short);
    let response = client
        .session(Arc::default(), None)
        .call(get("/docs/"))
        .unwrap();
    assert_eq!((response.status, server.requests().len()), (503, 1));
}

#[test]
fn a_pause_ends_early_when_cancelled_and_is_bounded() {
    let server = Server::saying("");
    let cancel = Arc::new(AtomicBool::new(false));
    let mut session = server.client().session(Arc::clone(&cancel), None);
    let started = Instant::now();
    session.pause(Duration::from_millis(50)).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(50));
    assert!(session.waited() >= Duration::from_millis(50));
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        cancel.store(true, Ordering::Relaxed);
    });
    assert_eq!(session.pause(Duration::MAX), Err(CallError::Cancelled));
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(Session::pause_of(Duration::MAX), PAUSE_MAX);
    assert_eq!(
        Session::pause_of(Duration::from_secs(5)),
        Duration::from_secs(5)
    );
}

#[test]
fn an_answer_is_bounded() {
    let declared = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nabc",
        ANSWER_BYTES_MAX + 1
    );
    let server = Server::saying(declared);
    let mut session = server.session();
    let result = session.call(get("/docs/"));
    assert_eq!(
        result,
        Err(CallError::TooLarge("an answer may have 64 MiB".to_owned()))
    );
    assert_eq!(
        (session.usage().retries, session.usage().received_bytes),
        (0, 0)
    );
    let server = Server::new(Box::new(|_, stream| {
        say(stream, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        let chunk = vec![b'x'; 1 << 20];
        while stream.write_all(&chunk).is_ok() {}
    }));
    let mut session = server.session();
    let result = session.call(get("/docs/"));
    assert_eq!(
        result,
        Err(CallError::TooLarge("an answer may have 64 MiB".to_owned()))
    );
    let received = session.usage().received_bytes;
    assert!(
        (ANSWER_BYTES_MAX..ANSWER_BYTES_MAX + (4 << 20)).contains(&received),
        "{received}"
    );
}

#[test]
fn all_answers_of_a_job_are_bounded() {
    let server = Server::saying(answer("200 OK", "", "0123456789"));
    let mut session = server.session();
    session.usage.received_bytes = ANSWERS_BYTES_MAX - 15;
    session.call(get("/docs/")).unwrap();
    let result = session.call(get("/docs/"));
    assert_eq!(
        result,
        Err(CallError::TooLarge(
            "all answers to a job may have 512 MiB".to_owned()
        ))
    );
}

#[test]
fn calls_of_a_job_are_bounded() {
    let server = Server::saying(answer("200 OK", "", ""));
    let mut session = server.session();
    session.usage.calls = CALLS_MAX - 1;
    session.call(get("/docs/")).unwrap();
    let result = session.call(get("/docs/"));
    assert!(matches!(result, Err(CallError::Exhausted(_))), "{result:?}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_packed_answer_is_an_error() {
    for encoding in ["gzip", "br", "identity, gzip"] {
        let server = Server::saying(answer(
            "200 OK",
            &format!("Content-Encoding: {encoding}\r\n"),
            "x",
        ));
        let result = server.session().call(get("/docs/"));
        assert!(is_network(&result), "{encoding}: {result:?}");
    }
    let server = Server::saying(answer("200 OK", "Content-Encoding: identity\r\n", "x"));
    server.session().call(get("/docs/")).unwrap();
}

#[test]
fn an_answer_with_the_key_does_not_leave() {
    let hex: String = KEY.bytes().map(|byte| format!("{byte:02X}")).collect();
    let halves = KEY.split_at(7);
    for (headers, body, found) in [
        (String::new(), format!("{{\"echo\": \"{KEY}\"}}"), true),
        (String::new(), KEY.replace('/', "\\/"), true),
        (
            String::new(),
            KEY.replace('/', "%2F").replace('+', "%2b"),
            true,
        ),
        (String::new(), hex, true),
        (format!("X-Echo: {KEY}\r\n"), String::new(), true),
        (
            format!("Location: /?k={}\r\n", KEY.replace('/', "%2f")),
            String::new(),
            true,
        ),
        (String::new(), KEY.replace("0123", "0124"), false),
        (
            format!("X-Echo: {}\r\n", halves.0),
            halves.1.to_owned(),
            false,
        ),
    ] {
        for status in ["200 OK", "401 Unauthorized", "302 Found"] {
            let server = Server::saying(answer(status, &headers, &body));
            let mut session = server.session();
            let result = session.call(get("/docs/"));
            assert_eq!(result == Err(CallError::Tainted), found, "{headers} {body}");
            let counted = [("kbhost:cloud/endpoint.credential-in-answer", 1)];
            assert_eq!(session.refusals(), &counted[..usize::from(found)]);
        }
    }
    // In chunks, each of which has a part of it.
    let chunks: String = KEY.chars().map(|c| format!("1\r\n{c}\r\n")).collect();
    let server = Server::saying(format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
    ));
    assert_eq!(
        server.session().call(get("/docs/")),
        Err(CallError::Tainted)
    );
}

#[test]
fn what_is_not_granted_is_refused_counted_and_not_sent() {
    let server = Server::saying(answer("200 OK", "", "[\"https://evil.example/a\"]"));
    let mut session = server.session();
    session.call(get("/docs/")).unwrap();
    let header = |name: &str, value: &str| Request {
        headers: vec![(name.to_owned(), value.to_owned())],
        ..get("/docs/")
    };
    for request in [
        get("/doc/../docs/"),
        get("@evil.example/"),
        Request {
            method: Method::Delete,
            ..get("/doc/pi-1/")
        },
        Request {
            endpoint: "https://evil.example".to_owned(),
            ..get("/docs/")
        },
        Request {
            endpoint: "pageindex-images:evil.example".to_owned(),
            ..get("/a")
        },
        header("api_key", "mine"),
        header("accept", "x\r\napi_key: mine"),
        header("host", "evil.example"),
    ] {
        let result = session.call(request);
        assert!(matches!(result, Err(CallError::Refused(_))), "{result:?}");
    }
    assert_eq!(session.locate("https://evil.example/a"), None);
    assert_eq!(session.locate("http://169.254.169.254/"), None);
    assert_eq!(
        session.refusals(),
        [
            ("kbhost:cloud/endpoint.call", 8),
            ("kbhost:cloud/endpoint.locate", 2)
        ]
    );
    assert_eq!(server.requests().len(), 1);
    assert_eq!(session.usage().calls, 1);
}

#[test]
fn images_are_taken_where_the_service_said_and_without_the_key() {
    let images = Server::saying(answer("200 OK", "Content-Type: image/png\r\n", "[\"PNG\"]"));
    let origin = format!("http://{}", images.address);
    let given = format!("{origin}/a.png?X-Sig=1%2F2");
    let server = Server::saying(answer("200 OK", "", &format!("[\"{given}\"]")));
    let client = client_of(
        &format!("http://{}", server.address),
        Some(&origin),
        times(),
    );
    let mut session = client.session(Arc::default(), None);
    assert_eq!(session.locate(&given), None);
    session.call(get("/docs/")).unwrap();
    let location = session.locate(&given).unwrap();
    assert_eq!(
        location.endpoint,
        format!("pageindex-images:{}", images.address)
    );
    assert_eq!(location.path, "/a.png?X-Sig=1%2F2");
    let image = |path: &str| Request {
        endpoint: location.endpoint.clone(),
        ..get(path)
    };
    assert_eq!(
        text(&session.call(image(&location.path)).unwrap()),
        "[\"PNG\"]"
    );
    let request = images.requests().remove(0);
    assert!(
        request.starts_with("GET /a.png?X-Sig=1%2F2 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        !request.contains("api_key") && !request.contains(KEY),
        "{request}"
    );
    assert!(matches!(
        session.call(image("/b.png")),
        Err(CallError::Refused(_))
    ));
    // What was given to another job was not given to this one.
    let mut other = client.session(Arc::default(), None);
    assert_eq!(other.locate(&given), None);
    assert!(matches!(
        other.call(image(&location.path)),
        Err(CallError::Refused(_))
    ));
    assert_eq!(images.requests().len(), 1);
    assert_eq!(session.usage().hosts.len(), 2);
}

#[test]
fn a_name_that_leads_inside_is_refused_and_one_that_may_is_called() {
    let server = Server::saying(answer("200 OK", "", "here"));
    let port = server.address.port();
    let resolver = |addresses: &'static [&str]| {
        let parse = |address: &&str| SocketAddr::new(address.parse().unwrap(), 0);
        Checked(Arc::new(move |_| Ok(addresses.iter().map(parse).collect())))
    };
    let call = |url: &str, addresses| {
        let service = Service::from_values(Some(url), None, &[]).unwrap();
        let client = Client::start_with(service, key(), times(), resolver(addresses)).unwrap();
        let mut session = client.session(Arc::default(), None);
        (session.call(get("/docs/")), session.refusals().len())
    };
    let secure = format!("https://api.example:{port}");
    for inside in [
        &["127.0.0.1"][..],
        &["10.0.0.1", "192.168.1.1", "fe80::1"],
        &["169.254.169.254"],
        &["fd00:ec2::254", "::1"],
        &["::ffff:127.0.0.1"],
        &[],
    ] {
        let (result, refusals) = call(&secure, inside);
        assert!(
            matches!(result, Err(CallError::Refused(_))),
            "{inside:?}: {result:?}"
        );
        assert_eq!(refusals, 1);
    }
    // The user's own name for this machine leads to this machine, and nowhere else.
    let local = format!("http://localhost:{port}");
    assert_eq!(text(&call(&local, &["127.0.0.1"]).0.unwrap()), "here");
    assert_eq!(
        text(&call(&local, &["10.0.0.1", "127.0.0.1"]).0.unwrap()),
        "here"
    );
    for outside in [&["10.0.0.1"][..], &["8.8.8.8"]] {
        assert!(matches!(
            call(&local, outside).0,
            Err(CallError::Refused(_))
        ));
    }
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn nothing_prints_the_key() {
    let server = Server::saying(answer("200 OK", "", ""));
    let client = server.client();
    let session = client.session(Arc::default(), Some(PathBuf::from("/in")));
    for printed in [
        format!("{client:?}"),
        format!("{session:?}"),
        format!("{:?}", client.service()),
    ] {
        assert!(!printed.contains("0123+abc"), "{printed}");
    }
    assert_ne!(client.service().account(), [0; 32]);
    assert_eq!(client.service().id(), "pageindex");
}

#[test]
fn the_thread_ends_with_the_client() {
    let server = Server::saying(answer("200 OK", "", ""));
    let client = server.client();
    let (handle, mut session) = (
        client.0.driver.clone(),
        client.session(Arc::default(), None),
    );
    drop(client);
    session.call(get("/docs/")).unwrap();
    drop(session);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let (sender, receiver) = std::sync::mpsc::channel();
        handle.spawn(async move {
            // Nobody may listen any more.
            let _sent = sender.send(());
        });
        if receiver.recv_timeout(Duration::from_secs(1)).is_err() {
            return;
        }
        assert!(Instant::now() < deadline, "the thread runs on");
    }
}
