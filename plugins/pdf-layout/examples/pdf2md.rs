//! Converts PDFs natively: `pdf2md FILE` prints Markdown, `pdf2md OUT_DIR FILE...` writes `OUT_DIR/NAME.md`
//! for each and prints pages, CPU seconds and files that failed.
#![expect(clippy::print_stdout, reason = "printing is what this program is for")]

use std::path::Path;

use kbhost_pdf_layout::limits::Limits;
use kbhost_pdf_layout::markdown::{self, Piece};
use kbhost_pdf_layout::read::{EncodedPicture, PictureSink};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [file] = &args[..] {
        match convert(Path::new(file)) {
            Ok((text, _)) => println!("{text}"),
            Err(error) => println!("{error}"),
        }
        return;
    }
    let [out, files @ ..] = &args[..] else {
        println!("pdf2md FILE | pdf2md OUT_DIR FILE...");
        return;
    };
    let start = cpu_seconds();
    let mut all = 0;
    for file in files {
        let path = Path::new(file);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        match convert(path) {
            Ok((text, pages)) => {
                all += pages;
                if let Err(error) = std::fs::write(Path::new(out).join(format!("{stem}.md")), text)
                {
                    println!("{file}: {error}");
                }
            }
            Err(error) => println!("{file}: {error}"),
        }
    }
    let seconds = cpu_seconds() - start;
    println!(
        "{all} pages, {seconds:.2} CPU s, {:.0} pages/s",
        all as f64 / seconds
    );
}

fn convert(path: &Path) -> Result<(String, usize), String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    let pdf = kbhost_pdf_layout::read::open(bytes, None).map_err(|error| error.to_string())?;
    let document = kbhost_pdf_layout::document(&pdf, Limits::default(), &mut Discard)
        .map_err(|error| error.to_string())?;
    let mut text = String::new();
    for page in &document.pages {
        text.push_str(&format!("<!-- page {} -->\n\n", page.number));
        for piece in markdown::page(page) {
            match piece {
                Piece::Text(markdown) => text.push_str(&markdown),
                Piece::Picture {
                    picture,
                    alternative,
                } => {
                    text.push_str(&format!("![{alternative}](img{picture}.png)"));
                }
            }
        }
    }
    Ok((text, document.pages.len()))
}

/// Takes pictures and throws them away.
struct Discard;

impl PictureSink for Discard {
    fn put(&mut self, _: u32, _: &EncodedPicture) -> bool {
        true
    }
}

/// CPU seconds of this process so far, where the system tells them.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanoseconds = stat
        .split_whitespace()
        .next()
        .and_then(|word| word.parse::<f64>().ok());
    nanoseconds.unwrap_or_default() / 1e9
}
