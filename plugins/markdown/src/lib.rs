//! The converter of Markdown, plain text, CSV and HTML.
//!
//! Markdown stays as it is, byte for byte, but for its line ends and the targets of local pictures:
//! it is parsed to find them and rewritten by position, never printed anew.

mod convert;
mod front_matter;
mod html;
mod markdown;
mod pictures;
mod references;
mod table;
mod text;

#[cfg(test)]
#[path = "../tests/golden.rs"]
mod golden;

use kbhost_guest::{
    AssetReference, ConvertError, Description, Document, Guest, JobFiles, Request, Source,
    parse_description, read_input,
};

use convert::Format;

/// Input beyond this is no text to read; parsing needs several times its length in memory.
const INPUT_BYTES_MAX: u64 = 64 << 20;

struct MarkdownConverter;

impl Guest for MarkdownConverter {
    fn describe() -> Description {
        parse_description(include_str!("../description.json"))
    }

    fn probe(head: Vec<u8>, name: String) -> u8 {
        match Format::of_name(&name) {
            Some(_) if !head.contains(&0) => 90,
            Some(_) => 20,
            None if std::str::from_utf8(&head).is_ok() => 10,
            None => 0,
        }
    }

    fn assets(request: Request) -> Result<Vec<AssetReference>, ConvertError> {
        let format = format_of(&request)?;
        if !format.has_references() {
            return Ok(Vec::new());
        }
        let input = read_input(&request, INPUT_BYTES_MAX)?;
        let references = convert::local_references(&input, format)?;
        Ok(references
            .into_iter()
            .map(|reference| AssetReference { reference })
            .collect())
    }

    fn convert(request: Request) -> Result<Document, ConvertError> {
        let format = format_of(&request)?;
        let input = read_input(&request, INPUT_BYTES_MAX)?;
        convert::convert_bytes(&input, format, &mut JobFiles::new(&request))
    }
}

fn format_of(request: &Request) -> Result<Format, ConvertError> {
    let Source::File(file) = &request.source else {
        return Err(ConvertError::Unsupported(
            "a document of a remote service".to_owned(),
        ));
    };
    Format::of_media_type(&file.media_type)
        .or_else(|| Format::of_name(&file.name))
        .ok_or_else(|| ConvertError::Unsupported(format!("files of type {}", file.media_type)))
}

kbhost_guest::bindings::export!(MarkdownConverter with_types_in kbhost_guest::bindings);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_reads_and_every_extension_has_a_format() {
        let description = MarkdownConverter::describe();
        assert_eq!(description.version, env!("CARGO_PKG_VERSION"));
        for accepted in description.accepts {
            let format = Format::of_media_type(&accepted.media_type);
            assert!(format.is_some(), "{}", accepted.media_type);
            for extension in accepted.extensions {
                assert_eq!(Format::of_name(&format!("A.{extension}")), format);
            }
        }
    }
}
