//! Runs over whatever folder `KBHOST_PDF_CORPUS` names and prints one line a file: nothing may
//! panic, and twice the same file gives the same page. Without that variable it does nothing.

use std::path::Path;
use std::time::Instant;

use kbhost_guest::{MAIN_PATH, MemoryFiles, OUTPUT_LINK};

use crate::convert::convert_bytes;
use crate::options::Options;

fn run(path: &Path) -> String {
    let input = std::fs::read(path).unwrap();
    let start = Instant::now();
    let mut files = MemoryFiles::default();
    let options = Options::default();
    let document = convert_bytes(input.clone(), &options, &mut files);
    let time = start.elapsed();
    let mut again = MemoryFiles::default();
    assert_eq!(convert_bytes(input, &options, &mut again), document);
    assert_eq!(again.outputs, files.outputs);
    if let Ok(folder) = std::env::var("KBHOST_PDF_OUTPUT") {
        let stem = path.file_stem().unwrap_or_default();
        let output = Path::new(&folder).join(stem).with_extension("md");
        std::fs::write(output, files.text(MAIN_PATH)).unwrap();
    }
    match document {
        Err(error) => format!("{time:?} {error:?}"),
        Ok(document) => {
            let links = files.text(MAIN_PATH).matches(OUTPUT_LINK).count();
            assert_eq!(
                links,
                document.files.len() - 1,
                "each picture is linked once"
            );
            format!(
                "{time:?} {} bytes, {:?} pages, {links} pictures, {} headings, {:?}, {:?}",
                files.outputs[MAIN_PATH].len(),
                document.pages,
                document.outline.len(),
                document.title,
                document.warnings
            )
        }
    }
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "a report for the person who asked for it"
)]
fn corpus() {
    let Some(folder) = std::env::var_os("KBHOST_PDF_CORPUS") else {
        return;
    };
    let step = std::env::var("KBHOST_PDF_STEP").map_or(1, |step| step.parse().unwrap());
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let mut panicked = 0;
    let skipped = std::env::var("KBHOST_PDF_SKIP").unwrap_or("none".to_owned());
    paths.retain(|path| path.extension() == Some("pdf".as_ref()));
    for path in paths.iter().step_by(step) {
        if path.to_string_lossy().contains(&skipped) {
            continue;
        }
        let line = std::panic::catch_unwind(|| run(path)).unwrap_or_else(|_| {
            panicked += 1;
            "PANIC".to_owned()
        });
        eprintln!("{}: {line}", path.file_name().unwrap_or_default().display());
    }
    assert_eq!(panicked, 0);
}
