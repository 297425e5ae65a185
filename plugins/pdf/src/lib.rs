//! The converter of PDF: the text, headings, tables, lists and pictures that `kbhost-pdf-layout` finds,
//! as Markdown with page markers; metadata and bookmarks; pages and a tree of sections for long documents.
//!
//! Invariant: the same bytes give the same output; pages are read one after another, in order.

mod convert;
mod options;
mod pages;
mod pictures;
mod title;
mod tree;

#[cfg(test)]
#[path = "../tests/corpus.rs"]
mod corpus;

use kbhost_guest::{
    AssetReference, ConvertError, Description, Document, Guest, JobFiles, Request,
    parse_description, read_input,
};
use kbhost_pdf_layout::read::header_offset;

use crate::options::Options;

/// Larger files do not fit into the memory a converter is given: the parser keeps them whole.
const INPUT_BYTES_MAX: u64 = 256 << 20;

struct PdfConverter;

impl Guest for PdfConverter {
    fn describe() -> Description {
        parse_description(include_str!("../description.json"))
    }

    fn probe(head: Vec<u8>, name: String) -> u8 {
        let has_name = name.to_ascii_lowercase().ends_with(".pdf");
        match header_offset(&head) {
            Some(0) => 100,
            Some(_) => 80,
            None if has_name => 30,
            None => 0,
        }
    }

    fn assets(_request: Request) -> Result<Vec<AssetReference>, ConvertError> {
        Ok(Vec::new())
    }

    fn convert(request: Request) -> Result<Document, ConvertError> {
        let options = Options::of(&request.options);
        let input = read_input(&request, INPUT_BYTES_MAX)?;
        convert::convert_bytes(input, &options, &mut JobFiles::new(&request))
    }
}

kbhost_guest::bindings::export!(PdfConverter with_types_in kbhost_guest::bindings);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_is_of_this_version() {
        assert_eq!(PdfConverter::describe().version, env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn probes_by_header() {
        let check = |head: &[u8], name: &str, expected| {
            assert_eq!(
                PdfConverter::probe(head.to_vec(), name.to_owned()),
                expected
            );
        };
        check(b"%PDF-1.7", "x", 100);
        check(b"\n\n%PDF-1.7", "x", 80);
        check(b"hello", "x.PDF", 30);
        check(b"hello", "x", 0);
    }
}
