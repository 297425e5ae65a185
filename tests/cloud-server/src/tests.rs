//! The server, asked by plain sockets.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Call, Doc, Echo, Fault, Fields, PNG, Script, Server};

const KEY: &str = "test-key-42/+";

fn start(script: Script) -> Server {
    Server::start(script).unwrap()
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Sends one request; the whole answer, read until the connection ends.
fn raw(address: &str, request: &str) -> Vec<u8> {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn request(method: &str, target: &str, more: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n")
}

/// The status, head and body of a GET with the key.
fn get(address: &str, target: &str) -> (u16, String, Vec<u8>) {
    let answer = raw(
        address,
        &request("GET", target, &format!("api_key: {KEY}\r\n")),
    );
    let at = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(answer[..at].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer[at + 4..].to_vec())
}

fn get_json(server: &Server, target: &str) -> Value {
    let (status, _, body) = get(&server.url(), target);
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn takes_its_key_alone_and_keeps_it_to_itself() {
    let server = start(Script::new(KEY).with_reports(1));
    for header in [
        "",
        "api_key: other\r\n",
        "authorization: Bearer test-key-42/+\r\n",
    ] {
        let answer = raw(&server.url(), &request("GET", "/docs/", header));
        assert!(answer.starts_with(b"HTTP/1.1 401"), "{header}");
    }
    assert_eq!(get(&server.url(), "/docs/").0, 200);
    let seen = server.requests();
    assert_eq!(
        seen.iter().map(|it| it.has_key).collect::<Vec<_>>(),
        [false, false, false, true]
    );
    assert_eq!(
        seen.iter().map(|it| it.leaks_key).collect::<Vec<_>>(),
        [false, false, true, false]
    );
    assert!(!format!("{seen:?}").contains(KEY));
}

#[test]
fn a_document_goes_from_queued_to_its_end() {
    let doc = Doc::report("a.pdf", 2).with_polls(1, 2);
    let script = Script::new(KEY)
        .with("ok", doc.clone())
        .with("bad", doc.failing());
    let server = start(script);
    let statuses = |id: &str| {
        let poll = |_| get_json(&server, &format!("/doc/{id}/?type=tree"))["status"].clone();
        (0..5).map(poll).collect::<Vec<_>>()
    };
    assert_eq!(
        statuses("ok"),
        [
            "queued",
            "processing",
            "processing",
            "completed",
            "completed"
        ]
    );
    assert_eq!(
        statuses("bad"),
        ["queued", "processing", "processing", "failed", "failed"]
    );
    let tree = get_json(&server, "/doc/ok/?type=tree&summary=true");
    assert_eq!(tree["retrieval_ready"], true);
    assert_eq!(tree["result"][0]["nodes"][0]["node_id"], "0001");
    assert!(tree["result"][0]["summary"].is_string());
    let metadata = get_json(&server, "/doc/ok/metadata/");
    assert_eq!(
        (&metadata["name"], &metadata["pageNum"]),
        (&"a.pdf".into(), &2.into())
    );
    assert_eq!(get(&server.url(), "/doc/gone/metadata/").0, 404);
    assert_eq!(get(&server.url(), "/doc/ok/?type=ocr").0, 422);
    let list = get_json(&server, "/docs/?limit=1&offset=1");
    assert_eq!(list["documents"][0]["id"], "ok");
    assert_eq!(
        (&list["total"], list["documents"].as_array().unwrap().len()),
        (&2.into(), 1)
    );
}

#[test]
fn fields_are_called_as_told() {
    for fields in Fields::variants() {
        let server = start(Script::new(KEY).with("d", Doc::report("a.pdf", 4).with_fields(fields)));
        let tree = get_json(&server, "/doc/d/?type=tree&summary=true");
        let node = &tree[fields.tree][1];
        assert_eq!(node[fields.start], 3, "{fields:?}");
        assert_eq!(node["end_index"].is_null(), !fields.ends);
        assert!(node[fields.summary].is_string());
        let pages = get_json(&server, "/doc/d/?type=ocr&format=page");
        let page = &pages[fields.pages][3];
        assert_eq!(page[fields.page], 4, "{fields:?}");
        assert!(page[fields.text].is_string());
    }
}

#[test]
fn pictures_are_had_by_their_presigned_address_alone() {
    let server = start(Script::new(KEY).with("d/1", Doc::gallery("a.pdf")));
    let pages = get_json(&server, "/doc/d%2F1/?type=ocr&format=page");
    let images = pages["result"][0]["images"].as_array().unwrap();
    assert_eq!(images.len(), 4);
    let address = images[0].as_str().unwrap();
    let target = address
        .strip_prefix(&format!("http://{}", server.image_host()))
        .unwrap();
    let plain = raw(&server.image_host(), &request("GET", target, ""));
    let body = [PNG, &[0]].concat();
    assert!(plain.starts_with(b"HTTP/1.1 200") && plain.ends_with(&body));
    let unsigned = target.split('?').next().unwrap();
    assert_eq!(get(&server.image_host(), unsigned).0, 403);
    let seen = server.requests();
    let leaks: Vec<_> = seen.iter().map(|it| (it.call, it.leaks_key)).collect();
    assert_eq!(
        leaks,
        [
            (Call::Pages, false),
            (Call::Image, false),
            (Call::Image, true)
        ]
    );
}

#[test]
fn an_upload_is_counted_and_hashed() {
    let server = start(Script::new(KEY));
    let file = "%PDF-1.7\r\n--no boundary\r\n";
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"if_retrieval\"\r\n\r\ntrue\r\n\
         --B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.pdf\"\r\n\
         Content-Type: application/pdf\r\n\r\n{file}\r\n--B--\r\n"
    );
    let head = format!("api_key: {KEY}\r\ncontent-type: multipart/form-data; boundary=B\r\n");
    let fixed = format!("{head}content-length: {}\r\n", body.len());
    let chunked = format!("{head}transfer-encoding: chunked\r\n");
    let (first, second) = body.split_at(50);
    let chunks = format!(
        "{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    for (number, (head, body)) in [(fixed, body), (chunked, chunks)].into_iter().enumerate() {
        let answer = raw(&server.url(), &(request("POST", "/doc/", &head) + &body));
        let id = format!("up-{:04}", number + 1);
        assert!(String::from_utf8(answer).unwrap().contains(&id));
        assert_eq!(
            get_json(&server, &format!("/doc/{id}/metadata/"))["name"],
            "a b.pdf"
        );
    }
    assert_eq!(server.uploads(), 2);
    for seen in server
        .requests()
        .iter()
        .filter(|seen| seen.call == Call::Upload)
    {
        assert_eq!(seen.parts[0].text.as_deref(), Some("true"));
        assert_eq!(seen.parts[1].length, file.len() as u64);
        assert_eq!(
            seen.parts[1].sha256,
            crate::http::sha256_hex(file.as_bytes())
        );
    }
    let answer = raw(
        &server.url(),
        &request("POST", "/doc/", &format!("api_key: {KEY}\r\n")),
    );
    assert!(answer.starts_with(b"HTTP/1.1 422"));
}

#[test]
fn one_connection_serves_many_requests() {
    let server = start(Script::new(KEY).with_reports(1));
    let mut stream = connect(&server.url());
    let request = format!("GET /docs/ HTTP/1.1\r\napi_key: {KEY}\r\n\r\n");
    // Three at once: the server reads ahead and answers in order.
    stream.write_all(request.repeat(3).as_bytes()).unwrap();
    let mut answers = Vec::new();
    while answers.windows(8).filter(|it| it == b"\"total\":").count() < 3 {
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0);
        answers.extend_from_slice(&buffer[..length]);
    }
    assert_eq!(server.count(Call::List), 3);
}

#[test]
fn connections_are_served_beside_each_other() {
    let delay = Duration::from_millis(200);
    let server = start(Script::new(KEY).with_reports(1).with_delay(delay));
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| assert_eq!(get(&server.url(), "/docs/").0, 200));
        }
    });
    assert!(begun.elapsed() >= delay);
    assert!(begun.elapsed() < delay * 8, "{:?}", begun.elapsed());
    assert!(server.concurrent_max() >= 8, "{}", server.concurrent_max());
}

#[test]
fn faults_strike_where_and_as_often_as_told() {
    let doc = Doc::report("a.pdf", 2).with_fault(
        Fault::Status(500, "oops".to_owned())
            .on(Call::Metadata)
            .after(1)
            .times(2),
    );
    let limit = Fault::RetryAfter {
        status: 429,
        after: "7".to_owned(),
    };
    let script = Script::new(KEY)
        .with("d", doc)
        .with("e", Doc::report("b.pdf", 1))
        .with_fault(limit.on(Call::List).times(1));
    let server = start(script);
    let statuses =
        |target: &str| -> Vec<u16> { (0..4).map(|_| get(&server.url(), target).0).collect() };
    assert_eq!(statuses("/doc/d/metadata/"), [200, 500, 500, 200]);
    assert_eq!(statuses("/doc/e/metadata/"), [200; 4]);
    assert_eq!(statuses("/docs/"), [429, 200, 200, 200]);
}

#[test]
fn answers_that_are_wrong() {
    let check = |fault: Fault, expected: &dyn Fn(&str, &[u8]) -> bool| {
        let name = format!("{fault:?}");
        let script = Script::new(KEY)
            .with_reports(1)
            .with_fault(fault.on(Call::Any));
        let server = start(script);
        let (_, head, body) = get(&server.url(), "/docs/");
        assert!(expected(&head, &body), "{name}: {head}");
    };
    let announced = |head: &str| -> usize {
        let (_, rest) = head.split_once("content-length: ").unwrap();
        rest.lines().next().unwrap().parse().unwrap()
    };
    check(Fault::CutOff(9), &|head, body| {
        body.len() == 9 && announced(head) > 9
    });
    check(Fault::CutOff(usize::MAX), &|head, body| {
        body.len() + 1 == announced(head)
    });
    check(Fault::Announced(1 << 40), &|head, body| {
        announced(head) == 1 << 40 && !body.is_empty()
    });
    check(Fault::Oversized(1 << 20), &|head, body| {
        head.contains("chunked") && body.len() > 1 << 20
    });
    check(Fault::NotJson, &|_, body| {
        serde_json::from_slice::<Value>(body).is_err()
    });
    check(Fault::WrongShape, &|_, body| {
        serde_json::from_slice::<Value>(body).is_ok()
    });
    check(
        Fault::Redirect("http://169.254.169.254/".to_owned()),
        &|head, _| {
            head.starts_with("HTTP/1.1 302") && head.contains("location: http://169.254.169.254/")
        },
    );
    check(Fault::Gzip, &|head, body| {
        head.contains("content-encoding: gzip") && body.starts_with(b"\x1f\x8b")
    });
    let slow = Instant::now();
    check(Fault::Slow(Duration::from_millis(300)), &|_, body| {
        body.ends_with(b"}")
    });
    assert!(slow.elapsed() >= Duration::from_millis(300));
    let server = start(Script::new(KEY).with_fault(Fault::BadHead.on(Call::Any)));
    assert!(raw(&server.url(), &request("GET", "/", "")).starts_with(b"SSH"));
    let server = start(Script::new(KEY).with_fault(Fault::Closed.on(Call::Any)));
    assert!(raw(&server.url(), &request("GET", "/", "")).is_empty());
}

#[test]
fn the_key_comes_back_in_each_form() {
    let expected = |echo| match echo {
        Echo::Exact | Echo::Header => KEY.to_owned(),
        Echo::Split => "test-k".to_owned(),
        Echo::Percent => "%74%65%73%74%2d".to_owned(),
        Echo::Base64 => "dGVzdC1rZXktNDIvKw==".to_owned(),
        Echo::Base64Within => "eHRlc3Qta2V5LTQyLyt5".to_owned(),
        Echo::JsonEscape => "\\u0074\\u0065".to_owned(),
    };
    for echo in Echo::ALL {
        let fault = Fault::EchoKey(echo).on(Call::List);
        let server = start(Script::new(KEY).with_fault(fault));
        let (status, head, body) = get(&server.url(), "/docs/");
        let text = format!("{head}{}", String::from_utf8(body).unwrap());
        assert_eq!(status, 200);
        assert!(text.contains(&expected(echo)), "{echo:?}: {text}");
        assert_eq!(
            text.contains(KEY),
            matches!(echo, Echo::Exact | Echo::Header),
            "{echo:?}"
        );
    }
}

#[test]
fn dropping_ends_what_hangs() {
    for fault in [
        Fault::Hang,
        Fault::HangInBody,
        Fault::Slow(Duration::from_secs(600)),
    ] {
        let script = Script::new(KEY)
            .with_reports(1)
            .with_fault(fault.on(Call::Any));
        let server = start(script);
        let mut stream = connect(&server.url());
        let request = format!("GET /docs/ HTTP/1.1\r\napi_key: {KEY}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let idle = connect(&server.url());
        while server.count(Call::Any) == 0 {
            std::thread::yield_now();
        }
        let begun = Instant::now();
        drop(server);
        assert!(begun.elapsed() < Duration::from_secs(5));
        drop(idle);
    }
}
