//! The pages, from the several forms in which the service writes them to one.

use kbhost_guest::long_document::{Page, PageText, plain};
use kbhost_guest::{ConvertError, Warnings};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use serde_json::{Map, Value};

use crate::api::{kind, member};
use crate::fault::wrong;
use crate::pictures::{Pictures, Source};

/// More pages than any book.
pub(crate) const PAGES_MAX: u32 = 20_000;
/// Longest text of a page, pictures not counted: a page of dense print has some 10 kB.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Pictures that a page may list.
const LISTED_MAX: usize = 500;
/// How deep an object about a picture is looked into.
const PICTURE_DEPTH_MAX: usize = 3;

/// A page as the service tells of it.
#[derive(Debug)]
pub(crate) struct RawPage {
    pub(crate) number: u32,
    text: String,
    images: Vec<RawImage>,
}

/// A picture that a page lists: what it may be called in the text, and where it is to be had.
#[derive(Debug, Default)]
struct RawImage {
    names: Vec<String>,
    sources: Vec<Source>,
}

impl RawImage {
    fn of(value: &Value) -> Self {
        let mut image = Self::default();
        image.read(value, PICTURE_DEPTH_MAX);
        image
    }

    /// Takes every text in `value` for what it looks like: the members have no names to rely on.
    fn read(&mut self, value: &Value, depth: usize) {
        match value {
            Value::String(text) => {
                if let Some(source) = Source::of(text) {
                    self.sources.push(source);
                }
                self.names.push(text.clone());
            }
            Value::Object(object) if depth > 0 => {
                for value in object.values() {
                    self.read(value, depth - 1);
                }
            }
            _ => {}
        }
    }

    fn is_called(&self, target: &str) -> bool {
        let last = target.rsplit('/').next().unwrap_or_default();
        let mut names = self.names.iter();
        names.any(|name| name == target || (!last.is_empty() && name == last))
    }
}

/// The pages in order.
pub(crate) fn raw_pages(values: &[Value]) -> Result<Vec<RawPage>, ConvertError> {
    let what = "the pages";
    if values.len() > PAGES_MAX as usize {
        let message = format!("more than {PAGES_MAX} pages");
        return Err(ConvertError::TooLarge(message));
    }
    let mut pages = values.iter().map(raw_page).collect::<Result<Vec<_>, _>>()?;
    pages.sort_by_key(|page| page.number);
    let twice = pages.windows(2).find(|two| two[0].number == two[1].number);
    match twice {
        Some(two) => Err(wrong(what, &format!("page {} comes twice", two[0].number))),
        None => Ok(pages),
    }
}

fn raw_page(value: &Value) -> Result<RawPage, ConvertError> {
    let what = "the pages";
    let Value::Object(page) = value else {
        return Err(wrong(what, &format!("{} for a page", kind(value))));
    };
    let number = number(page)?;
    let text = match member(page, &["content", "markdown"]) {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => {
            let how = format!("{} for the text of page {number}", kind(other));
            return Err(wrong(what, &how));
        }
    };
    let images = match page.get("images") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(images)) => {
            let images = images.iter().take(LISTED_MAX).map(RawImage::of);
            images.collect()
        }
        Some(other) => {
            let how = format!("{} for the images of page {number}", kind(other));
            return Err(wrong(what, &how));
        }
    };
    Ok(RawPage {
        number,
        text,
        images,
    })
}

fn number(page: &Map<String, Value>) -> Result<u32, ConvertError> {
    let what = "the pages";
    let Some(value) = member(page, &["page", "page_index"]) else {
        return Err(wrong(what, "neither `page` nor `page_index` in a page"));
    };
    let Some(number) = value.as_u64() else {
        return Err(wrong(
            what,
            &format!("{} that is no page number", kind(value)),
        ));
    };
    let number = u32::try_from(number).ok();
    match number.filter(|number| (1..=PAGES_MAX).contains(number)) {
        Some(number) => Ok(number),
        None => Err(wrong(what, &format!("page {value}, not 1 to {PAGES_MAX}"))),
    }
}

/// A picture in a text: where, what it is called there, what stands for it.
struct Shown {
    start: usize,
    end: usize,
    target: String,
    alt: String,
}

/// The pictures of a Markdown text in order; of one within another the outer one.
fn shown(text: &str) -> Vec<Shown> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut shown: Vec<Shown> = Vec::new();
    let mut depth = 0_usize;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Image { dest_url, .. }) => {
                if depth == 0 {
                    shown.push(Shown {
                        start: range.start,
                        end: range.end,
                        target: dest_url.into_string(),
                        alt: String::new(),
                    });
                }
                depth += 1;
            }
            Event::End(TagEnd::Image) => depth -= 1,
            Event::Text(part) | Event::Code(part) if depth > 0 => {
                let image = shown.last_mut().expect("it was pushed where depth began");
                image.alt.push_str(&part);
            }
            _ => {}
        }
    }
    shown
}

/// The page with its pictures in their places; listed ones that the text does not show come last.
pub(crate) fn page(
    raw: &RawPage,
    pictures: &mut Pictures<'_>,
    warnings: &mut Warnings,
) -> Result<Page, ConvertError> {
    let mut text = PageText::default();
    let mut used = vec![false; raw.images.len()];
    let mut done = 0;
    let mut is_cut = false;
    for image in shown(&raw.text) {
        is_cut |= push_bounded(&mut text, &raw.text[done..image.start]);
        done = image.end;
        let listed = raw.images.iter().position(|it| it.is_called(&image.target));
        let own = Source::of(&image.target);
        let sources = match listed {
            Some(at) => {
                used[at] = true;
                raw.images[at].sources.as_slice()
            }
            None => own.as_slice(),
        };
        match pictures.path_of(raw.number, sources)? {
            Some(path) => text.push_picture(&image.alt, &path),
            // What it shows is lost, not what it says.
            None => is_cut |= push_bounded(&mut text, &plain(&image.alt)),
        }
    }
    is_cut |= push_bounded(&mut text, &raw.text[done..]);
    for (image, used) in raw.images.iter().zip(used) {
        if used {
            continue;
        }
        if let Some(path) = pictures.path_of(raw.number, &image.sources)? {
            text.push_text("\n\n");
            text.push_picture("", &path);
        }
    }
    if is_cut {
        let number = raw.number;
        warnings.push(&format!(
            "page {number} has more than {TEXT_BYTES_MAX} bytes of text; the rest was left out"
        ));
    }
    Ok(Page::new(raw.number, text))
}

/// Adds what there is room for; whether that was not all.
fn push_bounded(text: &mut PageText, part: &str) -> bool {
    let room = TEXT_BYTES_MAX.saturating_sub(text.length());
    let fits = &part[..part.floor_char_boundary(room)];
    text.push_text(fits);
    fits.len() < part.len()
}
