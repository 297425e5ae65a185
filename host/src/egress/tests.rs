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
use super::limits::Times;
use super::resolve::Checked;
use super::service::{PAGEINDEX, Service};
use super::session::Session;

mod limits;
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
