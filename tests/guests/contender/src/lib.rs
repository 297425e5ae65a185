//! A converter of which tests make several: they change its name, how it behaves when it is probed
//! and its version in the binary. Its page says who it is.

mod bindings {
    wit_bindgen::generate!({ path: "../../../wit/v0.1.0", world: "file-converter" });
}

use std::fs;
use std::hint::black_box;

use bindings::exports::kbhost::converter::converter::{
    AssetReference, ConvertError, Description, Document, Guest, Request,
};
use bindings::kbhost::converter::types::{AcceptedType, OutputFile, Role};

struct Contender;

/// Nine letters of a name, four of a behaviour and a digit of the version.
static SELF: &[u8; 33] = b"kbhost-test-self:contender:even:1";

fn part(range: std::ops::Range<usize>) -> String {
    String::from_utf8_lossy(&black_box(SELF)[range]).into_owned()
}

fn name() -> String {
    part(17..26)
}

fn version() -> String {
    format!("0.{}.0", part(32..33))
}

impl Guest for Contender {
    fn describe() -> Description {
        let accepted = |media_type: &str, extension: &str| AcceptedType {
            media_type: media_type.to_owned(),
            extensions: vec![extension.to_owned()],
        };
        Description {
            name: name(),
            version: version(),
            accepts: vec![
                accepted("text/x-contest", "contest"),
                accepted("image/png", "png"),
                accepted("text/html", "contesthtml"),
            ],
        }
    }

    fn probe(head: Vec<u8>, file_name: String) -> u8 {
        match part(27..31).as_str() {
            "even" => 50,
            "sure" => 100,
            "lies" => 101,
            // It wants those that speak of it.
            "head" if head.windows(9).any(|word| word == name().as_bytes()) => 80,
            "file" if file_name.starts_with(&name()) => 80,
            "loop" => loop {
                black_box(());
            },
            "trap" => panic!("probed"),
            // Beyond every limit.
            "full" => u8::from(black_box(vec![1_u8; 1 << 30]).len() > 9),
            "link" => {
                let linked = std::net::TcpStream::connect("127.0.0.1:1");
                if linked.is_ok() { 100 } else { 60 }
            }
            _ => 0,
        }
    }

    fn assets(_request: Request) -> Result<Vec<AssetReference>, ConvertError> {
        Ok(Vec::new())
    }

    fn convert(_request: Request) -> Result<Document, ConvertError> {
        let text = format!("# By {} {}\n", name(), version());
        fs::write("/out/main.md", text)
            .map_err(|error| ConvertError::Internal(error.to_string()))?;
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
}

bindings::export!(Contender with_types_in bindings);
