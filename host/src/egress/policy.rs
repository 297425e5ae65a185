//! What a converter may ask for: endpoint, method, path, headers and body of a call, judged before
//! anything is sent.
//!
//! What is not listed here is refused. The address that is called is put together from the service's
//! own and a path that was judged, and must read back as it was written.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

use super::call::{Body, FormValue, Method, Request};
use super::fault;
use super::limits::BODY_BYTES_MAX;
use super::seen::Seen;
use super::service::{PAGEINDEX, Service};
use crate::kb::RemoteId;

/// The longest path that is allowed has an id and four values.
const PATH_BYTES_MAX: usize = 512;

/// Values of a query are words and numbers.
const VALUE_BYTES_MAX: usize = 32;

/// The headers a converter may set, in all.
const HEADERS_MAX: usize = 4;

/// A list of media types.
const HEADER_BYTES_MAX: usize = 256;

/// Fields of a form: the service knows three.
const FIELDS_MAX: usize = 16;

/// The name of a form's field.
const FIELD_NAME_BYTES_MAX: usize = 64;

/// The longest name that file systems take.
const FILE_NAME_BYTES_MAX: usize = 255;

/// A call that may be made.
#[derive(Debug)]
pub(super) struct Admitted {
    /// What is called.
    pub(super) url: Url,
    /// Whether the credential goes with it, and addresses in the answer count.
    pub(super) is_service: bool,
    /// The converter's headers.
    pub(super) headers: HeaderMap,
}

/// Paths and what may be done with them; `{id}` stands for an id.
const RULES: &[(Method, &str, &[&str])] = &[
    (Method::Post, "/doc/", &[]),
    (Method::Get, "/doc/{id}/", &["type", "format", "summary"]),
    (Method::Get, "/doc/{id}/metadata/", &[]),
    (Method::Get, "/docs/", &["limit", "offset"]),
];

/// Judges `request`.
///
/// # Errors
/// Why it is refused, in words of the host's own.
pub(super) fn admit(
    service: &Service,
    seen: &Seen,
    request: &Request,
) -> Result<Admitted, &'static str> {
    let is_service = request.endpoint == PAGEINDEX;
    let address = match is_service {
        true => {
            judge_path(request.method, &request.path)?;
            service.address(&request.path)
        }
        false => image_address(service, seen, request)?,
    };
    let headers = judge_headers(&request.headers, &request.body)?;
    judge_body(request.method, &request.body)?;
    let url = Url::parse(&address).map_err(|_| "the path makes no address")?;
    if url.as_str() != address {
        return Err("the path is not written as it would be sent");
    }
    Ok(Admitted {
        url,
        is_service,
        headers,
    })
}

fn image_address(
    service: &Service,
    seen: &Seen,
    request: &Request,
) -> Result<String, &'static str> {
    let of_endpoint = |endpoint: &&super::service::Images| endpoint.id == request.endpoint;
    let Some(images) = service.images().iter().find(of_endpoint) else {
        if fault::has_hole("endpoints")
            && let Some((_, host)) = request.endpoint.split_once("images:")
        {
            return Ok(format!("http://{host}{}", request.path));
        }
        return Err("there is no such endpoint, or it is not granted");
    };
    if request.method != Method::Get {
        return Err("images can only be read");
    }
    let address = format!("{}{}", images.origin.as_str(), request.path);
    match seen.locate(&address) {
        Some(_) => Ok(address),
        None => Err("the address stood in no answer to this job"),
    }
}

fn judge_path(method: Method, path: &str) -> Result<(), &'static str> {
    if path.len() > PATH_BYTES_MAX {
        return Err("the path is too long");
    }
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let rule = RULES
        .iter()
        .find(|(of, pattern, _)| *of == method && matches(pattern, path));
    let Some((_, _, keys)) = rule else {
        return Err("this method and path are not granted");
    };
    query.map_or(Ok(()), |query| judge_query(query, keys))
}

fn matches(pattern: &str, path: &str) -> bool {
    let mut segments = path.split('/');
    let all = pattern.split('/').all(|expected| {
        let Some(segment) = segments.next() else {
            return false;
        };
        match expected {
            "{id}" => RemoteId::new(segment).is_some(),
            _ => segment == expected,
        }
    });
    all && segments.next().is_none()
}

fn judge_query(query: &str, keys: &[&str]) -> Result<(), &'static str> {
    let mut given = Vec::new();
    for pair in query.split('&') {
        let Some((key, value)) = pair.split_once('=') else {
            return Err("the query is no list of keys and values");
        };
        if !keys.contains(&key) || given.contains(&key) {
            return Err("the query has a key that is not granted, or twice");
        }
        if !is_word(value, VALUE_BYTES_MAX) {
            return Err("the query has a value that is no word");
        }
        given.push(key);
    }
    Ok(())
}

fn is_word(text: &str, bytes_max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=bytes_max).contains(&text.len()) && text.bytes().all(plain)
}

fn judge_headers(headers: &[(String, String)], body: &Body) -> Result<HeaderMap, &'static str> {
    if headers.len() > HEADERS_MAX {
        return Err("there are too many headers");
    }
    let mut judged = HeaderMap::new();
    for (name, value) in headers {
        let name = match name.to_ascii_lowercase().as_str() {
            "accept" => ACCEPT,
            "content-type" if matches!(body, Body::Bytes(_)) => CONTENT_TYPE,
            _ => return Err("a header is the host's to set"),
        };
        let visible = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if value.len() > HEADER_BYTES_MAX || !value.bytes().all(visible) {
            return Err("a header's value is too long or no plain text");
        }
        insert(&mut judged, name, value)?;
    }
    Ok(judged)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) -> Result<(), &'static str> {
    let value = HeaderValue::from_str(value).map_err(|_| "a header's value is no plain text")?;
    match headers.insert(name, value) {
        Some(_) => Err("a header is there twice"),
        None => Ok(()),
    }
}

fn judge_body(method: Method, body: &Body) -> Result<(), &'static str> {
    match body {
        Body::Empty => Ok(()),
        _ if method == Method::Get => Err("a request that reads has no body"),
        Body::Bytes(bytes) if bytes.len() > BODY_BYTES_MAX => Err("the body is longer than 1 MiB"),
        Body::Bytes(_) => Ok(()),
        Body::Form(fields) => judge_form(fields),
    }
}

fn judge_form(fields: &[(String, FormValue)]) -> Result<(), &'static str> {
    if fields.len() > FIELDS_MAX {
        return Err("the form has too many fields");
    }
    let mut bytes = 0_usize;
    let mut files = 0;
    for (name, value) in fields {
        if !is_word(name, FIELD_NAME_BYTES_MAX) {
            return Err("the name of a form's field is no word");
        }
        match value {
            FormValue::Text(text) => bytes = bytes.saturating_add(text.len()),
            FormValue::InputFile(file_name) => {
                files += 1;
                if file_name.is_empty()
                    || file_name.len() > FILE_NAME_BYTES_MAX
                    || file_name
                        .chars()
                        .any(|c| c.is_control() || c == '/' || c == '\\')
                {
                    return Err("the file of a form has no plain name");
                }
            }
        }
    }
    match (bytes > BODY_BYTES_MAX, files > 1) {
        (true, _) => Err("the body is longer than 1 MiB"),
        (_, true) => Err("the form has the input file twice"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: &str = "https://img.example/a.png?s=1%2F2";

    fn get(endpoint: &str, path: &str) -> Request {
        Request {
            endpoint: endpoint.to_owned(),
            method: Method::Get,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Body::Empty,
        }
    }

    fn judged(request: &Request) -> Option<Admitted> {
        let service = Service::from_values(None, Some("img.example"), &[]).unwrap();
        let mut seen = Seen::default();
        seen.gather(
            format!("[\"{IMAGE}\", \"https://evil.example/a.png\"]").as_bytes(),
            service.images(),
        );
        admit(&service, &seen, request).ok()
    }

    fn check_path(method: Method, path: &str, granted: bool) {
        let request = Request {
            method,
            ..get(PAGEINDEX, path)
        };
        let admitted = judged(&request);
        assert_eq!(admitted.is_some(), granted, "{method:?} {path}");
        if let Some(admitted) = admitted {
            assert_eq!(
                admitted.url.as_str(),
                format!("https://api.pageindex.ai{path}")
            );
            assert!(admitted.is_service);
        }
    }

    #[test]
    fn four_paths_are_granted() {
        use Method::{Delete, Get, Post, Put};
        for (method, path, granted) in [
            (Post, "/doc/", true),
            (Get, "/doc/pi-a_B9/", true),
            (Get, "/doc/pi-a/?type=tree&summary=true", true),
            (Get, "/doc/pi-a/?type=ocr&format=page", true),
            (Get, "/doc/pi-a/metadata/", true),
            (Get, "/docs/", true),
            (Get, "/docs/?limit=100&offset=0", true),
            (Delete, "/doc/pi-a/", false),
            (Put, "/doc/pi-a/", false),
            (Post, "/doc/pi-a/", false),
            (Post, "/docs/", false),
            (Post, "/folder/", false),
            (Get, "/doc/", false),
            (Get, "/folders/", false),
            (Get, "/retrieval/x/", false),
        ] {
            check_path(method, path, granted);
        }
    }

    #[test]
    fn path_tricks_are_refused() {
        let long = format!("/doc/{}/", "a".repeat(129));
        for path in [
            "",
            "/",
            "doc/x/",
            "//doc/x/",
            "/doc//x/",
            "/doc/x//",
            "/doc/x",
            "/doc/x/metadata",
            "/doc/../docs/",
            "/doc/./",
            "/doc/../",
            "/doc/%2e%2e/",
            "/doc/x%2fy/",
            "/doc/x%00/",
            "/doc/x y/",
            "/doc/x\r\nHost: evil/",
            "/doc/x\t/",
            "/doc/x\u{0}/",
            "/doc/ä/",
            "/doc/x/#f",
            "/doc/x/?type=tree#f",
            "/doc/x;y/",
            "/doc/x\\y/",
            "/doc/x\\..\\y/",
            "@evil.example/doc/x/",
            ".evil.example/doc/x/",
            ":80/doc/x/",
            "/@evil.example/",
            "https://evil.example/doc/x/",
            "//evil.example/doc/x/",
            "/doc/x@evil/",
            "/doc/x:80/",
            "/doc/a.b/",
            "/doc/x/?",
            "/doc/x/?type",
            "/doc/x/?type=",
            "/doc/x/?type=tree&",
            "/doc/x/?type=tree&type=ocr",
            "/doc/x/?url=y",
            "/doc/x/?type=a%26b",
            "/doc/x/?type=a?b",
            "/doc/x/?type=a/b",
            "/doc/x/?type=a b",
            "/doc/x/?TYPE=tree",
            "/doc/x/metadata/?type=tree",
            "/docs/?type=tree",
            "/docs/?limit=1&offset=2&limit=3",
            "/doc/x/?type=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            &long,
        ] {
            check_path(Method::Get, path, false);
        }
        check_path(Method::Get, &format!("/doc/{}/", "a".repeat(128)), true);
        let docs = format!("/docs/?limit={}", "1".repeat(PATH_BYTES_MAX));
        check_path(Method::Get, &docs, false);
    }

    #[test]
    fn images_are_read_at_addresses_that_the_service_gave() {
        let path = "/a.png?s=1%2F2";
        let admitted = judged(&get("pageindex-images:img.example", path)).unwrap();
        assert_eq!(admitted.url.as_str(), IMAGE);
        assert!(!admitted.is_service);
        for (endpoint, path) in [
            ("pageindex-images:img.example", "/a.png"),
            ("pageindex-images:img.example", "/a.png?s=1/2"),
            ("pageindex-images:img.example", "/b.png"),
            ("pageindex-images:img.example", ":80/a.png?s=1%2F2"),
            ("pageindex-images:img.example", "@evil.example/a.png"),
            ("pageindex-images:img.example:443", path),
            ("pageindex-images:evil.example", "/a.png"),
            ("pageindex-images:", path),
            ("pageindex-images", path),
            ("pageindex ", "/docs/"),
            ("PAGEINDEX", "/docs/"),
            ("", "/docs/"),
            ("https://api.pageindex.ai", "/docs/"),
        ] {
            assert!(judged(&get(endpoint, path)).is_none(), "{endpoint} {path}");
        }
        let post = Request {
            method: Method::Post,
            ..get("pageindex-images:img.example", path)
        };
        assert!(judged(&post).is_none());
    }

    #[test]
    fn headers_are_the_hosts_but_for_two() {
        let post = |name: &str, value: &str, body: Body| Request {
            method: Method::Post,
            headers: vec![(name.to_owned(), value.to_owned())],
            body,
            ..get(PAGEINDEX, "/doc/")
        };
        let bytes = || Body::Bytes(b"{}".to_vec());
        for (name, value, granted) in [
            ("Accept", "application/json, */*;q=0.1", true),
            ("content-type", "application/json", true),
            ("api_key", "x", false),
            ("Api_Key", "x", false),
            ("host", "evil.example", false),
            ("authorization", "x", false),
            ("cookie", "x", false),
            ("connection", "x", false),
            ("content-length", "1", false),
            ("transfer-encoding", "chunked", false),
            ("accept-encoding", "gzip", false),
            ("x-anything", "x", false),
            ("", "x", false),
            ("accept\r\nx", "x", false),
            ("accept ", "x", false),
            ("accept", "x\r\nhost: evil.example", false),
            ("accept", "x\ny", false),
            ("accept", "x\u{0}", false),
            ("accept", "ä", false),
        ] {
            let request = post(name, value, bytes());
            assert_eq!(judged(&request).is_some(), granted, "{name:?}: {value:?}");
        }
        assert!(judged(&post("accept", &"x".repeat(257), bytes())).is_none());
        assert!(judged(&post("content-type", "text/plain", Body::Form(Vec::new()))).is_none());
        let mut twice = post("accept", "x", bytes());
        twice.headers.push(("Accept".to_owned(), "y".to_owned()));
        assert!(judged(&twice).is_none());
    }

    #[test]
    fn bodies_are_bounded_and_forms_plain() {
        let post = |body| Request {
            method: Method::Post,
            body,
            ..get(PAGEINDEX, "/doc/")
        };
        let form =
            |name: &str, value| judged(&post(Body::Form(vec![(name.to_owned(), value)]))).is_some();
        let text = |length| FormValue::Text("x".repeat(length));
        let file = |name: &str| FormValue::InputFile(name.to_owned());
        assert!(judged(&post(Body::Bytes(vec![0; BODY_BYTES_MAX]))).is_some());
        assert!(judged(&post(Body::Bytes(vec![0; BODY_BYTES_MAX + 1]))).is_none());
        assert!(form("file", file("a b\"ü.pdf")));
        assert!(form("if_retrieval", text(BODY_BYTES_MAX)));
        assert!(!form("if_retrieval", text(BODY_BYTES_MAX + 1)));
        assert!(!form("a\"; filename=\"x", text(1)));
        assert!(!form("", text(1)));
        for name in ["", "a/b", "a\\b", "a\r\nb", "a\u{0}"] {
            assert!(!form("file", file(name)), "{name:?}");
        }
        let fields = |count| vec![("a".to_owned(), text(1)); count];
        assert!(judged(&post(Body::Form(fields(FIELDS_MAX)))).is_some());
        assert!(judged(&post(Body::Form(fields(FIELDS_MAX + 1)))).is_none());
        let twice = vec![("a".to_owned(), file("a")), ("b".to_owned(), file("b"))];
        assert!(judged(&post(Body::Form(twice))).is_none());
        let reads = Request {
            method: Method::Get,
            ..post(Body::Bytes(Vec::new()))
        };
        assert!(
            judged(&Request {
                path: "/docs/".to_owned(),
                ..reads
            })
            .is_none()
        );
    }
}
