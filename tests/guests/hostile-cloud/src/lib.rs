//! A cloud converter that does what it is told: a word that names the behaviour is the id of the remote
//! document, or the first word of the local file, which may add an argument. Tests use it to see that
//! its endpoints hold.
//!
//! A behaviour that is refused, as it should be, succeeds with a page that says so; one that gets
//! through ends in `convert-error::internal("escaped: …")`, which every test takes for a failure of the
//! boundary.

mod bindings {
    wit_bindgen::generate!({
        path: ["../../../wit/v0.1.0", "../../../wit/v0.1.0/cloud"],
        world: "kbhost:cloud/cloud-converter",
        generate_all,
    });
}

mod catalog;
mod flood;
mod key;
mod reach;

use std::fs;
use std::hint::black_box;
use std::io::{self, Read as _};

use bindings::exports::kbhost::converter::converter::{
    AssetReference, ConvertError, Description, Document, Guest, Request,
};
use bindings::kbhost::cloud::endpoint::{Body, CloudError, Method, Response, call};
use bindings::kbhost::converter::types::{AcceptedType, OutputFile, Role, Source};

/// The endpoint that is granted.
const SERVICE: &str = "pageindex";

/// What is read of a local file that says what to do.
const HEAD_BYTES_MAX: u64 = 4_096;

struct HostileCloud;

impl Guest for HostileCloud {
    fn describe() -> Description {
        let accepts = AcceptedType {
            media_type: "application/pdf".to_owned(),
            extensions: vec!["pdf".to_owned()],
        };
        Description {
            name: "hostile-cloud".to_owned(),
            version: "0.1.0".to_owned(),
            accepts: vec![accepts],
        }
    }

    fn probe(_head: Vec<u8>, _name: String) -> u8 {
        // A probe has no endpoints.
        match get("/docs/") {
            Err(CloudError::Refused(_)) => 100,
            _ => 0,
        }
    }

    fn assets(request: Request) -> Result<Vec<AssetReference>, ConvertError> {
        let (word, _) = command(&request)?;
        if word != "call-in-assets" {
            return Ok(Vec::new());
        }
        match get("/docs/") {
            Err(CloudError::Refused(_)) => Ok(Vec::new()),
            other => Err(escaped(&format!("called in `assets`: {other:?}"))),
        }
    }

    fn convert(request: Request) -> Result<Document, ConvertError> {
        let (word, argument) = command(&request)?;
        if word.starts_with("honest-") {
            return honest(&word);
        }
        match word.as_str() {
            "second-host" => reach::second_host(&argument),
            "path-tricks" => reach::path_tricks(&argument),
            "methods" => reach::methods(),
            "headers" => reach::headers(),
            "made-up-address" => reach::made_up_address(&argument),
            "redirect" => reach::redirect(),
            "other-plugin" => reach::other_plugin(),
            "sockets" => reach::sockets(&argument),
            "key" => key::look(),
            "call-in-assets" => page("refused: call-in-assets"),
            "flood" => flood::calls(),
            "pauses" => flood::pauses(),
            "hang" => flood::hang(),
            "hang-on-and-on" => flood::hang_on_and_on(),
            "spin" => spin(),
            "huge-body" => flood::huge_body(1 << 21),
            "body-beyond" => flood::huge_body(1 << 23),
            "huge-form" => flood::huge_form(),
            "lie" => page("# Page\n").map(|document| Document {
                title: Some("\x1b[31m[[x]]\u{202e}".to_owned()),
                name: Some("../../\x1b[31m/etc/passwd".to_owned()),
                remote_id: Some("../plain".to_owned()),
                ..document
            }),
            _ => Err(ConvertError::NotFound(format!("no behaviour `{word}`"))),
        }
    }
}

/// What is to be done, and its argument.
fn command(request: &Request) -> Result<(String, String), ConvertError> {
    if let Source::Remote(id) = &request.source {
        return Ok((id.clone(), String::new()));
    }
    let mut head = Vec::new();
    fs::File::open(&request.input)
        .and_then(|file| file.take(HEAD_BYTES_MAX).read_to_end(&mut head))
        .map_err(broken)?;
    let head = String::from_utf8_lossy(&head);
    let line = head.lines().next().unwrap_or_default();
    let (word, argument) = line.split_once(' ').unwrap_or((line, ""));
    Ok((word.to_owned(), argument.to_owned()))
}

/// What a converter does that is not hostile.
fn honest(word: &str) -> Result<Document, ConvertError> {
    match get("/doc/plain/metadata/") {
        Ok(_) => page(&format!("# {word}\n")),
        Err(error) => Err(ConvertError::Network(format!("{error:?}"))),
    }
}

/// A call as the host grants it.
fn get(path: &str) -> Result<Response, CloudError> {
    call(SERVICE, Method::Get, path, &[], &Body::Empty)
}

fn spin() -> ! {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn escaped(what: &str) -> ConvertError {
    ConvertError::Internal(format!("escaped: {what}"))
}

fn broken(error: io::Error) -> ConvertError {
    ConvertError::Internal(format!("unexpected: {error}"))
}

/// A page that says `text`.
fn page(text: &str) -> Result<Document, ConvertError> {
    fs::write("/out/main.md", text).map_err(broken)?;
    Ok(Document {
        files: vec![OutputFile {
            path: "main.md".to_owned(),
            role: Role::Main,
            media_type: "text/markdown".to_owned(),
            page: None,
        }],
        title: None,
        name: None,
        remote_id: None,
        pages: None,
        outline: Vec::new(),
        metadata: Vec::new(),
        warnings: Vec::new(),
    })
}

bindings::export!(HostileCloud with_types_in bindings);
