//! What a file says about itself: its information dictionary, its XMP packet where that lacks
//! something, and the language of its catalog.
//!
//! Invariant: every value is one line of bounded length; dates are RFC 3339 or dropped.

use hayro_syntax::Pdf;
use hayro_syntax::object::{DateTime, Dict, String as PdfString};

use super::{text_string, xmp};
use crate::page::Metadata;

/// Longest value, in characters.
pub(super) const VALUE_CHARS_MAX: usize = 500;
/// Longest tag of a language: BCP 47 asks for room for 35.
const LANGUAGE_BYTES_MAX: usize = 35;

/// The metadata of a document.
#[must_use]
pub(crate) fn read(pdf: &Pdf) -> Metadata {
    let info = pdf.metadata();
    let value = |bytes: &Option<Box<[u8]>>| {
        let bytes = bytes.as_deref()?;
        text_string::line(bytes, VALUE_CHARS_MAX)
    };
    let xref = pdf.xref();
    let catalog = xref.get::<Dict<'_>>(xref.root_id()).unwrap_or_default();
    let language = catalog
        .get::<PdfString<'_>>("Lang")
        .and_then(|tag| language(&text_string::line(&tag, LANGUAGE_BYTES_MAX)?));
    let xmp = xmp::read(&catalog);
    Metadata {
        title: value(&info.title).or(xmp.title),
        author: value(&info.author).or(xmp.author),
        subject: value(&info.subject).or(xmp.subject),
        keywords: value(&info.keywords).or(xmp.keywords),
        creator: value(&info.creator)
            .or(xmp.creator)
            .or_else(|| value(&info.producer)),
        created: info
            .creation_date
            .as_ref()
            .and_then(rfc_3339)
            .or(xmp.created),
        modified: info
            .modification_date
            .as_ref()
            .and_then(rfc_3339)
            .or(xmp.modified),
        language: language.or(xmp.language),
    }
}

/// A tag that has the form of one; `de_DE` is meant as `de-DE`.
pub(super) fn language(tag: &str) -> Option<String> {
    let tag = tag.trim().replace('_', "-");
    let is_subtag = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let begins = tag.split('-').next().is_some_and(|first| {
        (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_alphabetic())
    });
    let is_tag = begins && tag.len() <= LANGUAGE_BYTES_MAX && tag.split('-').all(is_subtag);
    is_tag.then_some(tag)
}

fn rfc_3339(date: &DateTime) -> Option<String> {
    let DateTime {
        year,
        month,
        day,
        hour,
        minute,
        second,
        ..
    } = *date;
    if day == 0 || day > days_of(year, month)? {
        return None;
    }
    let (offset_hour, offset_minute) = (date.utc_offset_hour, date.utc_offset_minute);
    let zone = if (offset_hour, offset_minute) == (0, 0) {
        "Z".to_owned()
    } else {
        let sign = if offset_hour < 0 { '-' } else { '+' };
        format!("{sign}{:02}:{offset_minute:02}", offset_hour.unsigned_abs())
    };
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{zone}"
    ))
}

/// A date of ISO 8601 with as much as it has: a year, a month, a day, a time with its zone.
pub(super) fn iso_date(text: &str) -> Option<String> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, Some(time)),
        None => (text, None),
    };
    let mut numbers = date.splitn(3, '-').map(str::parse::<u16>);
    let year = numbers.next()?.ok()?;
    let month = numbers.next().unwrap_or(Ok(1)).ok()?;
    let day = numbers.next().unwrap_or(Ok(1)).ok()?;
    let is_day = day > 0 && day <= u16::from(days_of(year, u8::try_from(month).ok()?)?);
    // `2020`, `2020-02`, `2020-02-03`: nothing shorter, and a time only after a day.
    let is_long = matches!((date.len(), time), (4 | 7, None) | (10, _));
    let is_time = time.is_none_or(|time| {
        let marks = |byte: u8| byte.is_ascii_digit() || b":.+-Z".contains(&byte);
        (5..=35).contains(&time.len()) && time.bytes().all(marks)
    });
    (is_day && is_long && is_time).then(|| text.to_owned())
}

fn days_of(year: u16, month: u8) -> Option<u8> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if is_leap => Some(29),
        2 => Some(28),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{pdf, stream};
    use super::*;

    fn metadata(catalog: &str, info: &str) -> Metadata {
        let objects = [
            format!("<</Type/Catalog/Pages 2 0 R{catalog}>>"),
            "<</Type/Pages/Kids[3 0 R]/Count 1>>".to_owned(),
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]>>".to_owned(),
            format!("<<{info}>>"),
        ];
        read(&pdf(&objects, "/Info 4 0 R"))
    }

    #[test]
    fn the_information_dictionary() {
        let info = "/Title(A  title)/Author<FEFF00C4>/Subject( )/Keywords(a, b)/Producer(p)\
                    /CreationDate(D:20240506070809+02'00')/ModDate(D:2024)";
        let expected = Metadata {
            title: Some("A title".to_owned()),
            author: Some("Ä".to_owned()),
            subject: None,
            keywords: Some("a, b".to_owned()),
            creator: Some("p".to_owned()),
            created: Some("2024-05-06T07:08:09+02:00".to_owned()),
            modified: Some("2024-01-01T00:00:00Z".to_owned()),
            language: Some("de-DE".to_owned()),
        };
        assert_eq!(metadata("/Lang(de_DE)", info), expected);
        assert_eq!(metadata("", ""), Metadata::default());
    }

    #[test]
    fn the_packet_fills_gaps() {
        let packet = "<rdf:Description dc:title='XMP title' xmp:CreateDate='2020'>\
                      <dc:creator><rdf:li>Ann</rdf:li></dc:creator></rdf:Description>";
        let objects = [
            b"<</Type/Catalog/Pages 2 0 R/Metadata 5 0 R>>".to_vec(),
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]>>".to_vec(),
            b"<</Title(Info title)>>".to_vec(),
            stream("/Type/Metadata/Subtype/XML", packet.as_bytes()),
        ];
        let metadata = read(&pdf(&objects, "/Info 4 0 R"));
        assert_eq!(metadata.title.as_deref(), Some("Info title"));
        assert_eq!(metadata.author.as_deref(), Some("Ann"));
        assert_eq!(metadata.created.as_deref(), Some("2020"));
    }

    #[test]
    fn dates_of_iso_8601() {
        for date in [
            "2020",
            "2020-02",
            "2020-02-29",
            "2020-02-29T01:02",
            "2020-02-29T01:02:03.5Z",
        ] {
            assert_eq!(iso_date(date).as_deref(), Some(date));
        }
        for date in [
            "",
            "20",
            "2021-02-29",
            "2020-13",
            "2020T01:02",
            "2020-01-01T",
            "2020-1-1",
            "now",
        ] {
            assert_eq!(iso_date(date), None, "{date}");
        }
    }

    #[test]
    fn values_are_bounded_and_valid() {
        let long = format!("/Title({})", "x".repeat(100_000));
        let title = metadata("", &long).title.unwrap();
        assert_eq!(title.chars().count(), VALUE_CHARS_MAX + 1);
        for date in ["D:20230229000000Z", "D:99", "yesterday", "D:20231301"] {
            let info = format!("/CreationDate({date})");
            let created = metadata("", &info).created;
            // A month that is none is left out by the parser.
            let expected = (date == "D:20231301").then_some("2023-01-01T00:00:00Z");
            assert_eq!(
                created.as_deref().map(|date| &date[..10]),
                expected.map(|d| &d[..10]),
                "{date}"
            );
        }
        for tag in ["", "x", "english please", "a\\012b", "1234", "en-"] {
            let catalog = format!("/Lang({tag})");
            assert_eq!(metadata(&catalog, "").language, None, "{tag}");
        }
    }
}
