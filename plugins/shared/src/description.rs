//! A plugin's `description.json`: one source for `describe`, the manifest and the host.

use serde::Deserialize;

use crate::bindings::kbhost::converter::types::{AcceptedType, Description};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DescriptionFile {
    name: String,
    version: String,
    accepts: Vec<AcceptedTypeEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AcceptedTypeEntry {
    media_type: String,
    extensions: Vec<String>,
}

/// Reads the text of a `description.json`.
///
/// # Panics
/// If it is not of that form: the text is part of the component, and a test of each plugin reads it.
#[must_use]
pub fn parse_description(json: &str) -> Description {
    let file: DescriptionFile =
        serde_json::from_str(json).expect("a test of each plugin reads its description");
    let accepts = file.accepts.into_iter().map(|entry| AcceptedType {
        media_type: entry.media_type,
        extensions: entry.extensions,
    });
    Description {
        name: file.name,
        version: file.version,
        accepts: accepts.collect(),
    }
}
