//! Asks for more than there is: calls, pauses, time, bytes.

use crate::bindings::exports::kbhost::converter::converter::{ConvertError, Document};
use crate::bindings::kbhost::cloud::endpoint::{
    Body, CloudError, FormField, FormValue, Method, call, pause,
};
use crate::{SERVICE, escaped, get, page};

/// Far beyond what the host grants.
const CALLS_TRIED: u32 = 100_000;

/// Pauses of a minute: years.
const PAUSES_TRIED: u32 = 10_000_000;

pub(crate) fn calls() -> Result<Document, ConvertError> {
    for made in 0..CALLS_TRIED {
        match get("/doc/plain/metadata/") {
            Ok(_) => {}
            Err(CloudError::Exhausted(_)) => return page(&format!("exhausted after {made} calls")),
            Err(other) => return Err(ConvertError::Network(format!("{other:?}"))),
        }
    }
    Err(escaped("calls without end"))
}

pub(crate) fn pauses() -> Result<Document, ConvertError> {
    for made in 0..PAUSES_TRIED {
        match pause(u32::MAX) {
            Ok(()) => {}
            Err(CloudError::Timeout) => return page(&format!("timed out after {made} pauses")),
            Err(CloudError::Cancelled) => return Err(ConvertError::Cancelled),
            Err(other) => return Err(ConvertError::Network(format!("{other:?}"))),
        }
    }
    Err(escaped("pauses without end"))
}

pub(crate) fn hang() -> Result<Document, ConvertError> {
    match get("/doc/hang/metadata/") {
        Err(CloudError::Timeout) => page("timed out: hang"),
        Err(CloudError::Cancelled) => Err(ConvertError::Cancelled),
        other => Err(escaped(&format!("hang: {other:?}"))),
    }
}

/// Takes no error for an answer: only the host can end it.
pub(crate) fn hang_on_and_on() -> ! {
    loop {
        drop(get("/doc/hang/metadata/"));
        drop(pause(1_000));
    }
}

pub(crate) fn huge_body(bytes: usize) -> Result<Document, ConvertError> {
    let body = Body::Bytes(vec![b'x'; bytes]);
    match call(SERVICE, Method::Post, "/doc/", &[], &body) {
        Err(CloudError::Refused(_)) => page("refused: huge-body"),
        other => Err(escaped(&format!("huge-body: {other:?}"))),
    }
}

pub(crate) fn huge_form() -> Result<Document, ConvertError> {
    let text = |name: &str, text: String| FormField {
        name: name.to_owned(),
        value: FormValue::Text(text),
    };
    let file = |name: &str| FormField {
        name: "file".to_owned(),
        value: FormValue::InputFile(name.to_owned()),
    };
    let forms = [
        vec![text("a", "x".repeat(2 << 20))],
        (0..1_000)
            .map(|n| text(&format!("f{n}"), String::new()))
            .collect(),
        vec![text(&"x".repeat(1_000), String::new())],
        vec![text("a\r\nb", String::new())],
        vec![text("a\"; filename=\"/etc/passwd", String::new())],
        vec![file("../../etc/passwd")],
        vec![file("a\r\nb.pdf")],
        vec![file(""), file("a.pdf")],
        vec![file("a.pdf"), file("b.pdf")],
    ];
    for form in forms {
        let first = form
            .first()
            .map(|field| field.name.chars().take(20).collect::<String>());
        match call(SERVICE, Method::Post, "/doc/", &[], &Body::Form(form)) {
            Err(CloudError::Refused(_)) => {}
            other => return Err(escaped(&format!("huge-form: {first:?}: {other:?}"))),
        }
    }
    page("refused: huge-form")
}
