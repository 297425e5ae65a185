//! A converter for [kbhost](../README.md), built from its published contract alone: SQL schema dumps
//! become an overview and a page for each table.
//!
//! The dump is read as a stream. One broken statement costs a warning, never the document.

mod convert;
mod dialect;
mod elements;
mod markdown;
mod pages;
mod schema;
mod splitter;
mod tokens;
mod warnings;

#[cfg(test)]
#[path = "../tests/golden.rs"]
mod golden;

use std::fs::{self, File};
use std::path::Path;

use bindings::exports::kbhost::converter::converter::Guest;
use bindings::kbhost::converter::job;
use bindings::kbhost::converter::types::{
    AcceptedType, AssetReference, ConvertError, Description, Document, Request, Source,
};

use convert::Job;

/// The contract as Rust types, generated from the copy of the contract in `wit/`.
mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "file-converter",
        additional_derives: [PartialEq, Eq],
    });
}

struct SqlSchema;

impl Guest for SqlSchema {
    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            accepts: vec![AcceptedType {
                media_type: "application/sql".to_owned(),
                extensions: vec!["sql".to_owned()],
            }],
        }
    }

    fn probe(head: Vec<u8>, name: String) -> u8 {
        convert::probe(&head, &name)
    }

    fn assets(_: Request) -> Result<Vec<AssetReference>, ConvertError> {
        Ok(Vec::new())
    }

    fn convert(request: Request) -> Result<Document, ConvertError> {
        let Source::File(source) = &request.source else {
            return Err(ConvertError::Unsupported(
                "a document of a remote service".to_owned(),
            ));
        };
        let internal =
            |error: std::io::Error| ConvertError::Internal(format!("read the input: {error}"));
        let file = File::open(&request.input).map_err(internal)?;
        convert::convert(
            file,
            &source.name,
            source.size,
            &mut FolderJob {
                output: &request.output,
            },
        )
    }
}

/// A real job: files beneath `/out`, and the host on the other side.
struct FolderJob<'a> {
    output: &'a str,
}

impl Job for FolderJob<'_> {
    fn put(&mut self, path: &str, text: &str) -> Result<(), ConvertError> {
        let full = Path::new(self.output).join(path);
        let folder = full.parent().unwrap_or(Path::new(self.output));
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&full, text));
        written.map_err(|error| ConvertError::Internal(format!("write `{path}`: {error}")))
    }

    fn goes_on(&mut self, done: u64, total: u64) -> bool {
        job::progress(done, total, "reading");
        !job::cancelled()
    }
}

bindings::export!(SqlSchema with_types_in bindings);

#[cfg(test)]
mod tests {
    use super::*;

    /// `description.json` is for the host's own list of components; both say the same.
    #[test]
    fn the_description_is_the_one_beside_the_sources() {
        let description = SqlSchema::describe();
        let json = include_str!("../description.json");
        for accepted in &description.accepts {
            assert!(json.contains(&format!("\"media_type\": \"{}\"", accepted.media_type)));
            assert!(json.contains(&format!("\"extensions\": {:?}", accepted.extensions)));
        }
        for text in [json, include_str!("../package/kbhost-plugin.toml")] {
            assert!(
                text.contains(&format!("\"{}\"", description.name)),
                "{text}"
            );
            assert!(
                text.contains(&format!("\"{}\"", description.version)),
                "{text}"
            );
        }
    }
}
