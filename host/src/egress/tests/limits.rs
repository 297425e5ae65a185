//! What bounds a call and a job, and what is tried again.

use super::super::limits::{ANSWER_BYTES_MAX, ANSWERS_BYTES_MAX, CALLS_MAX, PAUSE_MAX};
use super::*;

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
fn a_connection_that_does_not_come_is_waited_for_in_bounds() {
    let lookup = |_: &str| {
        thread::sleep(Duration::from_secs(5));
        Ok(Vec::new())
    };
    let service = Service::from_values(Some("https://api.example"), None, &[]).unwrap();
    let short = Times {
        connect_max: Duration::from_millis(100),
        ..times()
    };
    let client = Client::start_with(service, key(), short, Checked(Arc::new(lookup))).unwrap();
    let mut session = client.session(Arc::default(), None);
    let started = Instant::now();
    let result = session.call(post(Body::Bytes(Vec::new())));
    assert!(is_network(&result), "{result:?}");
    assert!(started.elapsed() < Duration::from_secs(4));
    assert_eq!(session.usage().retries, 2);
}

#[test]
fn a_large_file_gets_more_time() {
    let full = Times::default();
    assert_eq!(full.try_with(0), Duration::from_secs(60));
    assert_eq!(full.try_with(100 << 20), Duration::from_secs(60 + 400));
}
