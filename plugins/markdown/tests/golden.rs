//! Golden conversions: each `golden/NAME.EXT` becomes `golden/NAME.EXT.expected`, with
//! `golden/dot.png` as the only file beside it. `KBHOST_GOLDEN_BLESS=1` writes the expectations.

use std::fmt::Write as _;
use std::path::Path;

use kbhost_guest::{MAIN_PATH, MemoryFiles};

use crate::convert::{Format, convert_bytes, local_references};

/// Everything of a conversion that a reader of the result would see.
fn transcript(name: &str, input: &[u8], dot: &[u8]) -> String {
    let format = Format::of_name(name).unwrap();
    let mut files = MemoryFiles::default();
    files.assets.insert("dot.png".to_owned(), dot.to_vec());
    let mut text = String::new();
    match local_references(input, format) {
        Ok(references) => writeln!(text, "assets: {references:?}").unwrap(),
        Err(error) => writeln!(text, "assets: {error:?}").unwrap(),
    }
    match convert_bytes(input, format, &mut files) {
        Err(error) => writeln!(text, "error: {error:?}").unwrap(),
        Ok(document) => {
            writeln!(
                text,
                "title: {:?}\nmetadata: {:?}",
                document.title, document.metadata
            )
            .unwrap();
            for heading in document.outline {
                writeln!(text, "heading: {} {}", heading.level, heading.title).unwrap();
            }
            for file in document.files {
                writeln!(
                    text,
                    "file: {} {:?} {}",
                    file.path, file.role, file.media_type
                )
                .unwrap();
            }
            for warning in document.warnings {
                writeln!(text, "warning: {warning}").unwrap();
            }
            write!(text, "----\n{}", files.text(MAIN_PATH)).unwrap();
        }
    }
    text
}

#[test]
fn golden() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let dot = std::fs::read(folder.join("dot.png")).unwrap();
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "dot.png" && !name.ends_with(".expected"))
        .collect();
    names.sort();
    assert!(names.len() >= 4, "the golden inputs are there");
    for name in names {
        let found = transcript(&name, &std::fs::read(folder.join(&name)).unwrap(), &dot);
        let path = folder.join(format!("{name}.expected"));
        if std::env::var_os("KBHOST_GOLDEN_BLESS").is_some() {
            std::fs::write(&path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, expected, "{name}");
    }
}
