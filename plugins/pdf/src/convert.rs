//! From the bytes of a PDF to a document.

use kbhost_guest::long_document::{Page, PageText, put_long, put_main};
use kbhost_guest::{ConvertError, Document, Files, Heading, Warnings, one_line};
use kbhost_pdf_layout::layout::block::{Block, PageBlocks, Role};
use kbhost_pdf_layout::limits::Limits;
use kbhost_pdf_layout::markdown::{self, Piece};
use kbhost_pdf_layout::page::{Cut, Metadata};
use kbhost_pdf_layout::read::{OpenError, open};

use crate::options::Options;
use crate::pictures::{Pictures, Placing, warn_of_missing};
use crate::{pages, title, tree};

/// Pages on which a document says what it is called.
const FRONT_PAGES: usize = 3;
/// Longest metadata value, in characters.
const VALUE_CHARS_MAX: usize = 500;

/// Converts one PDF, writing the page, its pictures and what a long document has beside them to `files`.
pub(crate) fn convert_bytes(
    input: Vec<u8>,
    options: &Options,
    files: &mut dyn Files,
) -> Result<Document, ConvertError> {
    convert_within(input, options, Limits::default(), files)
}

fn convert_within(
    input: Vec<u8>,
    options: &Options,
    limits: Limits,
    files: &mut dyn Files,
) -> Result<Document, ConvertError> {
    let password = options.password.as_deref();
    let pdf = open(input, password).map_err(|error| open_error(error, password.is_some()))?;
    let mut pictures = Pictures::new(files);
    let laid_out = kbhost_pdf_layout::document(&pdf, limits, &mut pictures)
        .map_err(|error| ConvertError::TooLarge(error.to_string()))?;
    drop(pdf);
    let mut warnings = Warnings::default();
    let mut placing = pictures.finish()?;
    warn_of_missing(&laid_out.missing_pictures, &mut warnings);
    let needs_ocr = needs_ocr(&laid_out);
    warn_of_pages(&laid_out, &needs_ocr, &mut warnings);

    let mut markdown_bytes = 0;
    let mut pages = Vec::new();
    for page in &laid_out.pages {
        let text = page_text(markdown::page(page), &mut placing);
        markdown_bytes += text.length() as u64;
        if markdown_bytes > limits.markdown_bytes {
            let message = format!("more than {} bytes of text", limits.markdown_bytes);
            return Err(ConvertError::TooLarge(message));
        }
        pages.push(Page::new(page.number, text));
    }
    let page_count = u32::try_from(pages.len()).unwrap_or(u32::MAX);
    let outline = tree::outline(&laid_out);
    let first_heading = first_heading(&laid_out, &outline);
    let mut written = vec![put_main(files, &pages)?];
    if page_count >= options.long_from_pages {
        written.extend(put_long(files, &pages, &tree::of_document(&laid_out))?);
    }
    written.extend(placing.into_files());
    Ok(Document {
        files: written,
        title: title::title(laid_out.metadata.title.as_deref(), first_heading.as_deref()),
        name: None,
        remote_id: None,
        pages: Some(page_count),
        outline,
        metadata: metadata(&laid_out.metadata, &needs_ocr),
        warnings: warnings.into_sentences(),
    })
}

fn open_error(error: OpenError, has_password: bool) -> ConvertError {
    match error {
        OpenError::Encrypted if has_password => {
            ConvertError::Encrypted("the password does not open it".to_owned())
        }
        OpenError::Encrypted | OpenError::UnknownEncryption => {
            ConvertError::Encrypted(error.to_string())
        }
        OpenError::Empty | OpenError::NoHeader | OpenError::NoPages => {
            ConvertError::Corrupt(error.to_string())
        }
    }
}

/// The text of a page; each picture is placed where it first appears.
fn page_text(pieces: Vec<Piece>, placing: &mut Placing) -> PageText {
    let mut text = PageText::default();
    for piece in pieces {
        match piece {
            Piece::Text(markdown) => text.push_text(&markdown),
            Piece::Picture {
                picture,
                alternative,
            } => {
                if let Some(path) = placing.place(picture) {
                    text.push_picture(&alternative, path);
                }
            }
        }
    }
    text
}

/// The numbers of the pages that have pictures and no text.
fn needs_ocr(document: &kbhost_pdf_layout::Document) -> Vec<u32> {
    let pages = document.pages.iter().filter(|page| page.needs_ocr);
    pages.map(|page| page.number).collect()
}

fn warn_of_pages(
    document: &kbhost_pdf_layout::Document,
    needs_ocr: &[u32],
    warnings: &mut Warnings,
) {
    match needs_ocr {
        [] => {}
        [only] => warnings.push(&format!("page {only} has no text; it needs OCR")),
        several => {
            let named = pages::named(several);
            warnings.push(&format!("{named} have no text; they need OCR"));
        }
    }
    let cuts = [
        (Cut::Operators, "drawing operators"),
        (Cut::Glyphs, "characters"),
        (Cut::Nesting, "forms within forms"),
        (Cut::Annotations, "links, comments and fields"),
    ];
    for (cut, things) in cuts {
        let cut_pages = document.pages.iter().filter(|page| page.cut == Some(cut));
        let cut_pages: Vec<u32> = cut_pages.map(|page| page.number).collect();
        if !cut_pages.is_empty() {
            let named = pages::named(&cut_pages);
            warnings.push(&format!("{named}: too many {things}; some were left out"));
        }
    }
}

/// What the document calls itself: the highest of the headings on its first page that has any, which the
/// bookmarks often leave out.
fn first_heading(document: &kbhost_pdf_layout::Document, outline: &[Heading]) -> Option<String> {
    let headings_of = |page: &PageBlocks| {
        let texts = page.blocks.iter().filter_map(Block::text);
        let headings = texts.filter_map(|text| match text.role {
            Role::Heading(level) => Some((level, text.plain())),
            _ => None,
        });
        headings.collect::<Vec<_>>()
    };
    let pages = document.pages.iter().take(FRONT_PAGES);
    let headings = pages.map(headings_of).find(|found| !found.is_empty());
    let highest = headings.and_then(|found| found.into_iter().min_by_key(|(level, _)| *level));
    let highest = highest.map(|(_, title)| title);
    highest.or_else(|| outline.first().map(|heading| heading.title.clone()))
}

fn metadata(own: &Metadata, needs_ocr: &[u32]) -> Vec<(String, String)> {
    let entries = [
        ("author", own.author.clone()),
        ("created", own.created.clone()),
        ("keywords", own.keywords.clone()),
        ("language", own.language.clone()),
        ("modified", own.modified.clone()),
        (
            "needs-ocr",
            (!needs_ocr.is_empty()).then(|| pages::ranges(needs_ocr)),
        ),
        ("subject", own.subject.clone()),
    ];
    let entries = entries.into_iter().filter_map(|(key, value)| {
        let value = one_line(&value?, VALUE_CHARS_MAX);
        (!value.is_empty()).then(|| (key.to_owned(), value))
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use kbhost_guest::{MAIN_PATH, MemoryFiles, OUTPUT_LINK};

    use super::*;

    /// A PDF with one page for each content stream.
    fn pdf(contents: &[&str], info: &str) -> Vec<u8> {
        let kids: Vec<String> = (0..contents.len())
            .map(|n| format!("{} 0 R", 5 + 2 * n))
            .collect();
        let mut objects = vec![
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            format!(
                "<</Type/Pages/Kids[{}]/Count {}>>",
                kids.join(" "),
                contents.len()
            ),
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
            format!("<<{info}>>"),
        ];
        for (n, content) in contents.iter().enumerate() {
            objects.push(format!(
                "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {} 0 R\\
                 /Resources<</Font<</F 3 0 R>>>>>>",
                6 + 2 * n
            ));
            objects.push(format!(
                "<</Length {}>>\nstream\n{content}\nendstream",
                content.len()
            ));
        }
        let mut file = String::from("%PDF-1.4\n");
        for (number, object) in objects.iter().enumerate() {
            file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
        }
        // Without cross references: they are found again by looking through the file.
        file.push_str("trailer\n<</Root 1 0 R/Info 4 0 R>>\n%%EOF\n");
        file.into_bytes()
    }

    fn convert(input: &[u8]) -> (Result<Document, ConvertError>, MemoryFiles) {
        let mut files = MemoryFiles::default();
        let document = convert_bytes(input.to_vec(), &Options::default(), &mut files);
        (document, files)
    }

    #[test]
    fn text_metadata_and_markers() {
        let content = "BT /F 12 Tf 72 700 Td (Hello from a page.) Tj ET";
        let info = "/Title(A  title)/Author(A. Writer)/CreationDate(D:20240506070809Z)";
        for junk in ["", "From: someone\r\n\r\n"] {
            let input = [junk.as_bytes(), &pdf(&[content], info)].concat();
            let (document, files) = convert(&input);
            let document = document.unwrap();
            let markdown = files.text(MAIN_PATH);
            assert_eq!(markdown, "<!-- page 1 -->\n\nHello from a page.\n");
            assert_eq!(document.title.as_deref(), Some("A title"));
            assert_eq!(document.pages, Some(1));
            assert_eq!(document.files.len(), 1, "not a long document");
            let expected = [("author", "A. Writer"), ("created", "2024-05-06T07:08:09Z")];
            assert_eq!(
                document.metadata,
                expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
            );
        }
    }

    #[test]
    fn text_cannot_name_an_output() {
        let content = "BT /F 12 Tf 72 700 Td (see kbhost-output:images/p001-01.png) Tj ET";
        let (document, files) = convert(&pdf(&[content], ""));
        assert!(document.is_ok());
        let markdown = files.text(MAIN_PATH);
        assert!(!markdown.contains(OUTPUT_LINK), "{markdown}");
        assert!(markdown.contains("kbhost"), "{markdown}");
    }

    #[test]
    fn long_documents_have_pages_and_a_tree() {
        let content = "BT /F 12 Tf 72 700 Td (Some words of a page.) Tj ET";
        let options = |pages| Options {
            long_from_pages: pages,
            ..Options::default()
        };
        let input = pdf(&[content; 3], "");
        for (threshold, expected) in [(4, 1), (3, 3)] {
            let mut files = MemoryFiles::default();
            let document = convert_bytes(input.clone(), &options(threshold), &mut files).unwrap();
            assert_eq!(document.files.len(), expected);
            assert_eq!(files.outputs.len(), expected);
        }
    }

    #[test]
    fn bounds_are_errors_or_warnings() {
        let content = "BT /F 12 Tf 72 700 Td (Some words of a page.) Tj ET";
        let check = |limits: Limits| {
            let input = pdf(&[content; 3], "");
            let options = Options::default();
            convert_within(input, &options, limits, &mut MemoryFiles::default())
        };
        let limits = Limits::default;
        let too_large = [
            Limits {
                markdown_bytes: 40,
                ..limits()
            },
            Limits {
                pages: 2,
                ..limits()
            },
            Limits {
                glyphs: 40,
                ..limits()
            },
        ];
        for limits in too_large {
            let found = check(limits);
            assert!(matches!(found, Err(ConvertError::TooLarge(_))), "{found:?}");
        }
        let cut = check(Limits {
            glyphs_per_page: 10,
            ..limits()
        });
        let expected = "pages 1-3: too many characters; some were left out";
        assert_eq!(cut.unwrap().warnings, [expected]);
        assert_eq!(check(limits()).unwrap().warnings, Vec::<String>::new());
    }

    #[test]
    fn what_is_no_pdf_is_corrupt() {
        for input in [
            &b""[..],
            b"hello",
            b"%PDF-1.7",
            b"%PDF-1.7\nnothing behind the header",
        ] {
            let (document, _) = convert(input);
            assert!(
                matches!(document, Err(ConvertError::Corrupt(_))),
                "{document:?}"
            );
        }
    }
}
