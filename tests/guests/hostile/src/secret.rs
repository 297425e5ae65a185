//! Documents under a password, whose converter tells it wherever it can: the page alone is the document's
//! own. And what a converter says of its options.

use std::fs;

use super::bindings::exports::kbhost::converter::converter::{ConvertError, Document, Request};
use super::bindings::kbhost::converter::job;
use super::bindings::kbhost::converter::types::Role;
use super::{document, file, page};

/// The option that opens a document.
const PASSWORD: &str = "password";

pub fn behave(
    word: &str,
    argument: &str,
    request: &Request,
) -> Option<Result<Document, ConvertError>> {
    Some(match word {
        "options" => page(&options(request)),
        "locked" => locked(argument, request),
        "ocr" => page("# Scan\n\nThe pages that could be read.\n").map(|document| Document {
            pages: Some(9),
            metadata: vec![("needs-ocr".to_owned(), argument.to_owned())],
            ..document
        }),
        _ => return None,
    })
}

/// A page that lists the options; of a password it has the length.
fn options(request: &Request) -> String {
    let mut text = "# Options\n\n".to_owned();
    for (key, value) in &request.options {
        let told = match key.as_str() {
            PASSWORD => format!("{} bytes", value.len()),
            _ => value.clone(),
        };
        text.push_str(&format!("- `{key}` is `{told}`\n"));
    }
    text
}

/// Opens with any password of as many bytes as `argument` begins with, and does then what the rest of it
/// says.
fn locked(argument: &str, request: &Request) -> Result<Document, ConvertError> {
    let (length, how) = argument.split_once(' ').unwrap_or((argument, ""));
    let mut options = request.options.iter();
    let Some((_, password)) = options.find(|(key, _)| key == PASSWORD) else {
        return Err(ConvertError::Encrypted(
            "the file needs a password".to_owned(),
        ));
    };
    if length.parse() != Ok(password.len()) {
        return Err(ConvertError::Encrypted(format!(
            "`{password}` does not open it"
        )));
    }
    job::log(job::Level::Error, &format!("opened with {password}"));
    job::progress(1, 2, password);
    println!("opened with {password}");
    eprintln!("opened with {password}");
    match how {
        "error" => Err(ConvertError::Corrupt(format!(
            "opened with {password}, and broken"
        ))),
        "long-error" => {
            let before = "x".repeat(295);
            Err(ConvertError::TooLarge(format!("{before}{password}")))
        }
        "trap" => panic!("opened with {password}"),
        "path" => {
            let undeclared = file(password, Role::Image, "image/png");
            page("# Page\n").map(|_| document(vec![main(), undeclared]))
        }
        "attachment" => {
            fs::write(format!("/out/{password}"), "x").map_err(super::broken)?;
            let attached = file(password, Role::Attachment, "text/plain");
            page("# Page\n").map(|_| document(vec![main(), attached]))
        }
        _ => page(&self::options(request)).map(|document| Document {
            warnings: vec![
                format!("opened with {password}"),
                "it was locked".to_owned(),
            ],
            metadata: vec![
                ("author".to_owned(), format!("who knows {password}")),
                (password.clone(), "key".to_owned()),
                ("language".to_owned(), "en".to_owned()),
            ],
            ..document
        }),
    }
}

fn main() -> super::OutputFile {
    file("main.md", Role::Main, "text/markdown")
}
