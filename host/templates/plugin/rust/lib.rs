//! Converts `key = value` files to a page with a table.
//!
//! The host copies the input to `request.input`, calls `convert`, and takes from `request.output` what
//! the returned document names. There is no network, no environment and no real clock.

// The contract, as types: `wit/types.wit` tells what each field means.
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "file-converter" });
}

use std::fs;

use bindings::exports::kbhost::converter::converter::{
    AssetReference, ConvertError, Description, Document, Guest, Request,
};
use bindings::kbhost::converter::types::{AcceptedType, OutputFile, Role};

struct Converter;

impl Guest for Converter {
    fn describe() -> Description {
        Description {
            name: "{{name}}".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            accepts: vec![AcceptedType {
                media_type: "text/x-key-value".to_owned(),
                extensions: vec!["kv".to_owned()],
            }],
        }
    }

    /// How sure we are, 0 to 100, to read an input that starts so.
    fn probe(head: Vec<u8>, _name: String) -> u8 {
        if head.contains(&0) {
            return 0;
        }
        let head = String::from_utf8_lossy(&head);
        let line = head.lines().map(str::trim).find(|line| is_content(line));
        match line {
            Some(line) if line.contains('=') => 60,
            _ => 0,
        }
    }

    /// The format refers to no other files.
    fn assets(_request: Request) -> Result<Vec<AssetReference>, ConvertError> {
        Ok(Vec::new())
    }

    fn convert(request: Request) -> Result<Document, ConvertError> {
        let bytes = fs::read(&request.input)
            .map_err(|error| ConvertError::Internal(format!("read the input: {error}")))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| ConvertError::Corrupt("the text is not UTF-8".to_owned()))?;
        let (pairs, warnings) = pairs(&text);
        if pairs.is_empty() {
            let reason = "no line has the form `key = value`".to_owned();
            return Err(ConvertError::Corrupt(reason));
        }
        let title = value(&pairs, "title");
        let page = page(title.as_deref(), &pairs);
        fs::write(format!("{}/page.md", request.output), page)
            .map_err(|error| ConvertError::Internal(format!("write the page: {error}")))?;
        let author = value(&pairs, "author").map(|author| ("author".to_owned(), author));
        Ok(Document {
            files: vec![OutputFile {
                path: "page.md".to_owned(),
                role: Role::Main,
                media_type: "text/markdown".to_owned(),
                page: None,
            }],
            title,
            name: None,
            remote_id: None,
            pages: None,
            outline: Vec::new(),
            metadata: author.into_iter().collect(),
            warnings,
        })
    }
}

/// Neither empty nor a comment.
fn is_content(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#')
}

/// The pairs of all lines, and a warning for each line that is none.
fn pairs(text: &str) -> (Vec<(&str, &str)>, Vec<String>) {
    let mut pairs = Vec::new();
    let mut warnings = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        match line.split_once('=') {
            _ if !is_content(line) => {}
            Some((key, value)) => pairs.push((key.trim(), value.trim())),
            // The host shows no more than some hundred warnings.
            None if warnings.len() < 100 => {
                warnings.push(format!("line {} was left out: it has no `=`", number + 1));
            }
            None => {}
        }
    }
    (pairs, warnings)
}

fn value(pairs: &[(&str, &str)], key: &str) -> Option<String> {
    let found = pairs
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(key));
    found.map(|(_, value)| (*value).to_owned())
}

/// The Markdown page.
fn page(title: Option<&str>, pairs: &[(&str, &str)]) -> String {
    let mut page = String::new();
    if let Some(title) = title {
        page.push_str(&format!("# {}\n\n", escaped(title)));
    }
    page.push_str("| Key | Value |\n| --- | --- |\n");
    for (key, value) in pairs {
        page.push_str(&format!("| {} | {} |\n", escaped(key), escaped(value)));
    }
    page
}

/// Text from the input, so that it cannot be taken for Markdown.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '&' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

bindings::export!(Converter with_types_in bindings);
