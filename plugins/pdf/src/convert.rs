//! From the bytes of a PDF to a document.

use std::ops::ControlFlow;

use kbhost_guest::{
    ConvertError, Document, Files, Heading, MAIN_PATH, OUTPUT_LINK, OutputFile, Role, Warnings,
    one_line,
};
use sha2::{Digest, Sha256};
use unpdf::render::to_markdown;
use unpdf::{
    Error, ErrorMode, Metadata, Outline, Page, PageMarkerStyle, PageStreamOptions, ParseEvent,
    ParseOptions, PdfParser, RenderOptions,
};

use crate::images::Images;
use crate::{outline, pages};

/// Where the header is looked for. Readers accept some junk in front of it, mail headers mostly.
const HEADER_WITHIN: usize = 64 << 10;
/// Smaller pictures are bullets, rules and spacers.
const IMAGE_PIXELS_MIN: u32 = 32;
/// More pages than any book; the page tree of a hostile file claims what it likes.
const PAGES_MAX: usize = 20_000;
/// Longest metadata value, in characters.
const VALUE_CHARS_MAX: usize = 500;
/// What stands for [`OUTPUT_LINK`] in text that is not ours: a relative link, and no output.
const DEFUSED_LINK: &str = "kbhost-output%3A";
/// Titles that programs write when nobody gave one.
const TITLES_OF_PROGRAMS: [&str; 4] = [
    "untitled",
    "microsoft word - ",
    "powerpoint presentation",
    "slide 1",
];
/// A title that ends so is the name of the file it was made from.
const FILE_EXTENSIONS: [&str; 9] = [
    "dvi", "doc", "docx", "indd", "odt", "pdf", "ppt", "pptx", "tex",
];

/// Where the header begins, if there is one.
pub(crate) fn header_offset(input: &[u8]) -> Option<usize> {
    let head = &input[..input.len().min(HEADER_WITHIN)];
    head.windows(b"%PDF-".len())
        .position(|window| window == b"%PDF-")
}

/// What the parser told, page by page.
#[derive(Default)]
struct Parsed {
    metadata: Metadata,
    outline: Option<Outline>,
    pages: Vec<Page>,
    /// Pages that could not be read.
    failed: Vec<u32>,
    /// Pages that show a picture and no text.
    without_text: Vec<u32>,
    form_fields: Vec<unpdf::FormField>,
}

/// Converts one PDF, writing the page and its pictures to `files`.
pub(crate) fn convert_bytes(input: &[u8], files: &mut dyn Files) -> Result<Document, ConvertError> {
    if input.is_empty() {
        return Err(ConvertError::Corrupt("the file has no content".to_owned()));
    }
    let Some(offset) = header_offset(input) else {
        return Err(ConvertError::Corrupt("no PDF header".to_owned()));
    };
    let options = ParseOptions::new().lenient().sequential();
    let parser =
        PdfParser::from_bytes_with_options(&input[offset..], options).map_err(parse_error)?;
    let page_count = parser.page_count();
    if page_count as usize > PAGES_MAX {
        return Err(ConvertError::TooLarge(format!(
            "more than {PAGES_MAX} pages"
        )));
    }
    let mut warnings = Warnings::default();
    let mut images = Images::new(files);
    let parsed = parse(&parser, &mut images, &mut warnings)?;
    drop(parser);
    let images = images.finish(&mut warnings);
    warn_of_pages(&parsed, &mut warnings);

    let headings = match &parsed.outline {
        Some(bookmarks) => outline::of_bookmarks(bookmarks, page_count),
        None => outline::of_pages(&parsed.pages),
    };
    let title = title(&parsed.metadata, &parsed.pages);
    let metadata = metadata(&parsed);
    let markdown = render(parsed, input)?;
    files.put(MAIN_PATH, markdown.as_bytes())?;
    let main = OutputFile {
        path: MAIN_PATH.to_owned(),
        role: Role::Main,
        media_type: "text/markdown".to_owned(),
        page: None,
    };
    Ok(Document {
        files: std::iter::once(main).chain(images).collect(),
        title,
        name: None,
        remote_id: None,
        pages: Some(page_count),
        outline: headings,
        metadata,
        warnings: warnings.into_sentences(),
    })
}

fn parse_error(error: Error) -> ConvertError {
    match error {
        Error::Encrypted | Error::InvalidPassword => {
            ConvertError::Encrypted("the file needs a password".to_owned())
        }
        other => ConvertError::Corrupt(one_line(&other.to_string(), VALUE_CHARS_MAX)),
    }
}

fn parse(
    parser: &PdfParser,
    images: &mut Images<'_>,
    warnings: &mut Warnings,
) -> Result<Parsed, ConvertError> {
    let options = PageStreamOptions {
        error_mode: ErrorMode::Lenient,
        extract_resources: true,
        min_image_dimension: IMAGE_PIXELS_MIN,
        parallel: false,
        ..PageStreamOptions::default()
    };
    let mut parsed = Parsed::default();
    let mut failure = None;
    let quality = parser.for_each_page(options, |event| {
        match event {
            ParseEvent::DocumentStart {
                metadata,
                outline,
                form_fields,
                ..
            } => {
                parsed.metadata = metadata;
                parsed.outline = outline;
                parsed.form_fields = form_fields;
            }
            ParseEvent::PageParsed(mut page) => {
                if let Err(error) = images.take_from(&mut page) {
                    failure = Some(error);
                    return ControlFlow::Break(());
                }
                if page.image_op_count > 0 && page.plain_text().trim().is_empty() {
                    parsed.without_text.push(page.number);
                }
                parsed.pages.push(page);
            }
            ParseEvent::PageFailed { page, .. } => parsed.failed.push(page),
            ParseEvent::Progress { .. } | ParseEvent::DocumentEnd { .. } => {}
        }
        ControlFlow::Continue(())
    });
    if let Some(error) = failure {
        return Err(error);
    }
    let quality = quality.map_err(parse_error)?;
    if parsed.pages.is_empty() {
        return Err(ConvertError::Corrupt("no page could be read".to_owned()));
    }
    // Pages without text are told of by number; the parser's own sentence would repeat that.
    if parsed.without_text.is_empty()
        && let Some(message) = quality.warning_message()
    {
        warnings.push(&message);
    }
    Ok(parsed)
}

fn warn_of_pages(parsed: &Parsed, warnings: &mut Warnings) {
    if !parsed.failed.is_empty() {
        warnings.push(&format!(
            "{} could not be read",
            pages::named(&parsed.failed)
        ));
    }
    if let [only] = parsed.without_text[..] {
        warnings.push(&format!("page {only} has no text; it needs OCR"));
    } else if !parsed.without_text.is_empty() {
        let named = pages::named(&parsed.without_text);
        warnings.push(&format!("{named} have no text; they need OCR"));
    }
}

/// Whether a title was written by a program rather than by a person.
fn is_of_program(title: &str) -> bool {
    let lower = title.to_lowercase();
    let is_file_name = !lower.contains(' ')
        && lower
            .rsplit_once('.')
            .is_some_and(|(_, end)| FILE_EXTENSIONS.contains(&end));
    is_file_name
        || TITLES_OF_PROGRAMS
            .iter()
            .any(|title| lower.starts_with(title))
}

/// The title that a person gave the file, else its first heading.
fn title(metadata: &Metadata, pages: &[Page]) -> Option<String> {
    let own = one_line(
        metadata.title.as_deref().unwrap_or_default(),
        VALUE_CHARS_MAX,
    );
    if !own.is_empty() && !is_of_program(&own) {
        return Some(own);
    }
    outline::of_pages(pages)
        .into_iter()
        .next()
        .map(|Heading { title, .. }| title)
}

fn metadata(parsed: &Parsed) -> Vec<(String, String)> {
    let Metadata {
        author,
        subject,
        keywords,
        created,
        ..
    } = &parsed.metadata;
    let needs_ocr = &parsed.without_text;
    let entries = [
        ("author", author.clone()),
        (
            "created",
            created.map(|time| time.format("%Y-%m-%dT%H:%M:%SZ").to_string()),
        ),
        ("keywords", keywords.clone()),
        (
            "needs-ocr",
            (!needs_ocr.is_empty()).then(|| pages::ranges(needs_ocr)),
        ),
        ("subject", subject.clone()),
    ];
    let entries = entries.into_iter().filter_map(|(key, value)| {
        let value = one_line(&value?, VALUE_CHARS_MAX);
        (!value.is_empty()).then(|| (key.to_owned(), value))
    });
    entries.collect()
}

/// The Markdown of all pages. Text of the document never reads as a link to an output file: our own
/// links carry a digest of the input, which the input cannot contain, until such text is defused.
fn render(parsed: Parsed, input: &[u8]) -> Result<String, ConvertError> {
    let digest = Sha256::digest(input);
    let digest: String = digest[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let own_link = format!("placed-{digest}/");
    let document = unpdf::Document {
        metadata: parsed.metadata,
        pages: parsed.pages,
        outline: None,
        form_fields: parsed.form_fields,
        ..unpdf::Document::new()
    };
    let options = RenderOptions::new()
        .with_page_markers(PageMarkerStyle::Comment)
        .with_image_prefix(own_link.as_str());
    let markdown = to_markdown(&document, &options)
        .map_err(|error| ConvertError::Internal(one_line(&error.to_string(), VALUE_CHARS_MAX)))?;
    let mut markdown = markdown
        .replace(OUTPUT_LINK, DEFUSED_LINK)
        .replace(&own_link, OUTPUT_LINK);
    markdown.push('\n');
    Ok(markdown)
}

#[cfg(test)]
mod tests {
    use kbhost_guest::MemoryFiles;

    use super::*;

    /// A PDF of one page with this content stream.
    fn pdf(content: &str, info: &str) -> Vec<u8> {
        let objects = [
            "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R\
             /Resources<</Font<</F 5 0 R>>>>>>"
                .to_owned(),
            format!(
                "<</Length {}>>\nstream\n{content}\nendstream",
                content.len()
            ),
            "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
            format!("<<{info}>>"),
        ];
        let mut file = String::from("%PDF-1.4\n");
        let mut offsets = Vec::new();
        for (number, object) in objects.iter().enumerate() {
            offsets.push(file.len());
            file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
        }
        let xref = file.len();
        file.push_str(&format!(
            "xref\n0 {}\n0000000000 65535 f \n",
            objects.len() + 1
        ));
        for offset in offsets {
            file.push_str(&format!("{offset:010} 00000 n \n"));
        }
        let size = objects.len() + 1;
        file.push_str(&format!(
            "trailer\n<</Size {size}/Root 1 0 R/Info 6 0 R>>\nstartxref\n{xref}\n%%EOF\n"
        ));
        file.into_bytes()
    }

    fn convert(input: &[u8]) -> (Result<Document, ConvertError>, String) {
        let mut files = MemoryFiles::default();
        let document = convert_bytes(input, &mut files);
        (document, files.text(MAIN_PATH))
    }

    #[test]
    fn text_metadata_and_markers() {
        let content = "BT /F 12 Tf 72 700 Td (Hello from a page.) Tj ET";
        let info = "/Title(A  title)/Author(A. Writer)/CreationDate(D:20240506070809Z)";
        for junk in ["", "From: someone\r\n\r\n"] {
            let input = [junk.as_bytes(), &pdf(content, info)].concat();
            let (document, markdown) = convert(&input);
            let document = document.unwrap();
            assert_eq!(markdown, "<!-- page 1 -->\n\nHello from a page.\n");
            assert_eq!(document.title.as_deref(), Some("A title"));
            assert_eq!(document.pages, Some(1));
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
        let (document, markdown) = convert(&pdf(content, ""));
        assert!(document.is_ok());
        assert!(!markdown.contains(OUTPUT_LINK), "{markdown}");
        assert!(markdown.contains("kbhost"), "{markdown}");
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

    #[test]
    fn titles_of_programs_do_not_count() {
        let check = |title: &str, expected: Option<&str>| {
            let metadata = Metadata {
                title: Some(title.to_owned()),
                ..Metadata::default()
            };
            assert_eq!(super::title(&metadata, &[]).as_deref(), expected);
        };
        check("Microsoft Word - report.docx", None);
        check(" ", None);
        check("four-lectures.dvi", None);
        check("Notes on main.tex", Some("Notes on main.tex"));
        check("Annual report", Some("Annual report"));
    }
}
