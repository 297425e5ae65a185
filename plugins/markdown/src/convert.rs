//! From bytes to a document: chooses the way by format and puts the parts together.

use kbhost_guest::{ConvertError, Document, Files, MAIN_PATH, OutputFile, Role, Warnings};

use crate::markdown::Outline;
use crate::{front_matter, html, markdown, pictures, table, text};

/// The formats of this converter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Text,
    Csv,
    Html,
}

impl Format {
    pub(crate) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "text/markdown" => Some(Self::Markdown),
            "text/plain" => Some(Self::Text),
            "text/csv" => Some(Self::Csv),
            "text/html" => Some(Self::Html),
            _ => None,
        }
    }

    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let (_, extension) = name.rsplit_once('.')?;
        match extension.to_ascii_lowercase().as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "txt" => Some(Self::Text),
            "csv" => Some(Self::Csv),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }

    /// Whether input of this format can refer to local pictures.
    pub(crate) fn has_references(self) -> bool {
        matches!(self, Self::Markdown | Self::Html)
    }
}

/// The Markdown of an input before its pictures are placed.
struct Page {
    markdown: String,
    title: Option<String>,
    metadata: Vec<(String, String)>,
    outline: Outline,
}

/// The local pictures an input refers to, in order, each once.
pub(crate) fn local_references(input: &[u8], format: Format) -> Result<Vec<String>, ConvertError> {
    let page = read(input, format, &mut Warnings::default())?;
    Ok(pictures::local_references(&page.markdown))
}

/// Converts one input, writing the page and its pictures to `files`.
pub(crate) fn convert_bytes(
    input: &[u8],
    format: Format,
    files: &mut dyn Files,
) -> Result<Document, ConvertError> {
    let mut warnings = Warnings::default();
    let page = read(input, format, &mut warnings)?;
    let placed = if format.has_references() {
        pictures::place(&page.markdown, files, &mut warnings)?
    } else {
        pictures::Placed {
            markdown: page.markdown,
            files: Vec::new(),
        }
    };
    files.put(MAIN_PATH, placed.markdown.as_bytes())?;
    let main = OutputFile {
        path: MAIN_PATH.to_owned(),
        role: Role::Main,
        media_type: "text/markdown".to_owned(),
        page: None,
    };
    Ok(Document {
        files: std::iter::once(main).chain(placed.files).collect(),
        title: page.title.or(page.outline.first_title),
        name: None,
        remote_id: None,
        pages: None,
        outline: page.outline.headings,
        metadata: page.metadata,
        warnings: warnings.into_sentences(),
    })
}

fn read(input: &[u8], format: Format, warnings: &mut Warnings) -> Result<Page, ConvertError> {
    let page = match format {
        Format::Markdown => read_markdown(input, warnings)?,
        Format::Html => read_html(input, warnings)?,
        Format::Text => plain(text::decode(input, None, warnings)?),
        Format::Csv => plain(table::to_markdown(&text::decode(input, None, warnings)?)?),
    };
    if page.markdown.trim().is_empty() {
        return Err(ConvertError::Corrupt("the file has no content".to_owned()));
    }
    Ok(page)
}

fn plain(markdown: String) -> Page {
    Page {
        markdown,
        title: None,
        metadata: Vec::new(),
        outline: Outline::default(),
    }
}

fn read_markdown(input: &[u8], warnings: &mut Warnings) -> Result<Page, ConvertError> {
    let markdown = text::normalise(text::strict_utf8(input)?);
    let front_matter = front_matter::read(&markdown, warnings);
    let outline = markdown::outline(&markdown);
    Ok(Page {
        markdown,
        title: front_matter.title,
        metadata: front_matter.metadata,
        outline,
    })
}

fn read_html(input: &[u8], warnings: &mut Warnings) -> Result<Page, ConvertError> {
    let decoded = text::decode(input, html::declared_encoding(input), warnings)?;
    let html::Converted { markdown, title } = html::to_markdown(&decoded)?;
    let outline = markdown::outline(&markdown);
    Ok(Page {
        markdown,
        title,
        metadata: Vec::new(),
        outline,
    })
}
