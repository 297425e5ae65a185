//! XMP: what a file says about itself as XML, beside or instead of its information dictionary.
//!
//! Invariant: one pass over a packet of bounded length, without recursion; entities stand for single
//! characters, and a packet that is no XML tells what it told until there.

use hayro_syntax::object::{Dict, Stream};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::metadata::{self, VALUE_CHARS_MAX};
use super::text_string;
use crate::page::Metadata;

/// Larger packets are thumbnails and histories; what is looked for comes first.
const PACKET_BYTES_MAX: usize = 1 << 20;
/// Bytes of a value before it is cut to a line.
const VALUE_BYTES_MAX: usize = 8 * VALUE_CHARS_MAX;
/// Between the names of several authors, or several keywords.
const SEPARATOR: &str = ", ";

/// A property that is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Property {
    Title,
    Author,
    Subject,
    Keywords,
    Creator,
    Created,
    Modified,
    Language,
}

impl Property {
    /// By its name, with the prefixes that everyone uses.
    fn of(name: &str) -> Option<Self> {
        Some(match name {
            "dc:title" => Self::Title,
            "dc:creator" => Self::Author,
            "dc:description" => Self::Subject,
            "pdf:Keywords" => Self::Keywords,
            "xmp:CreatorTool" => Self::Creator,
            "xmp:CreateDate" => Self::Created,
            "xmp:ModifyDate" => Self::Modified,
            "dc:language" => Self::Language,
            _ => return None,
        })
    }

    fn slot(self, metadata: &mut Metadata) -> &mut Option<String> {
        match self {
            Self::Title => &mut metadata.title,
            Self::Author => &mut metadata.author,
            Self::Subject => &mut metadata.subject,
            Self::Keywords => &mut metadata.keywords,
            Self::Creator => &mut metadata.creator,
            Self::Created => &mut metadata.created,
            Self::Modified => &mut metadata.modified,
            Self::Language => &mut metadata.language,
        }
    }
}

/// What the packet of a catalog says.
pub(crate) fn read(catalog: &Dict<'_>) -> Metadata {
    let packet = catalog.get::<Stream<'_>>("Metadata");
    let Some(Ok(packet)) = packet.map(|packet| packet.decoded_data()) else {
        return Metadata::default();
    };
    let head = packet.get(..PACKET_BYTES_MAX).unwrap_or(&packet);
    parse(&String::from_utf8_lossy(head))
}

fn parse(packet: &str) -> Metadata {
    let mut metadata = Metadata::default();
    let mut reader = Reader::from_str(packet);
    let mut open: Option<(Property, String)> = None;
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Eof => break,
            Event::Start(start) => {
                take_attributes(&start, &mut metadata);
                if let Some(property) = Property::of(start.name().as_ref()) {
                    open = Some((property, String::new()));
                }
            }
            Event::Empty(start) => take_attributes(&start, &mut metadata),
            Event::End(end) => {
                let name = end.name();
                match &mut open {
                    // Items of a list: the first of a title, which is the default, and all of others.
                    Some((property, text)) if name.as_ref() == "rdf:li" => {
                        if matches!(property, Property::Author | Property::Keywords) {
                            add(text, SEPARATOR);
                        } else if let Some((property, text)) = open.take() {
                            put(property, &text, &mut metadata);
                        }
                    }
                    Some((property, text)) if Property::of(name.as_ref()) == Some(*property) => {
                        let text = text.trim_end().trim_end_matches(SEPARATOR.trim_end());
                        put(*property, text, &mut metadata);
                        open = None;
                    }
                    _ => {}
                }
            }
            Event::Text(text) => {
                if let Some((_, value)) = &mut open {
                    add(value, &text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                if let (Some((_, value)), Some(char)) = (&mut open, character(&reference)) {
                    add(value, char.encode_utf8(&mut [0; 4]));
                }
            }
            _ => {}
        }
    }
    metadata
}

/// Properties may be attributes of what they describe.
fn take_attributes(start: &BytesStart<'_>, metadata: &mut Metadata) {
    for attribute in start.attributes().flatten() {
        if let Some(property) = Property::of(attribute.key.as_ref())
            && let Ok(value) = attribute.normalized_value(XmlVersion::default())
        {
            put(property, &value, metadata);
        }
    }
}

fn add(text: &mut String, more: &str) {
    // White space between elements is none of the value.
    if text.len() < VALUE_BYTES_MAX && !(text.is_empty() && more.trim().is_empty()) {
        text.push_str(more);
    }
}

/// Fills a property that is not filled, if the text is one.
fn put(property: Property, text: &str, metadata: &mut Metadata) {
    let slot = property.slot(metadata);
    if slot.is_none() {
        let line = text_string::line_of(text, VALUE_CHARS_MAX);
        *slot = line.and_then(|line| match property {
            Property::Created | Property::Modified => metadata::iso_date(&line),
            Property::Language => metadata::language(&line),
            _ => Some(line),
        });
    }
}

fn character(reference: &BytesRef<'_>) -> Option<char> {
    if let Ok(Some(char)) = reference.resolve_char_ref() {
        return Some(char);
    }
    match reference.xml10_content().as_ref() {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_attributes_and_lists() {
        let packet = "<?xpacket begin=\"\u{FEFF}\"?><x:xmpmeta><rdf:RDF>\
            <rdf:Description xmp:CreateDate=\"2020-02-03T04:05:06+01:00\" xmp:CreatorTool='A &amp; B'>\
            <dc:title>\n <rdf:Alt>\n <rdf:li xml:lang=\"x-default\">One &lt;two&#233;</rdf:li>\
            <rdf:li xml:lang=\"de\">Eins</rdf:li></rdf:Alt></dc:title>\
            <dc:creator><rdf:Seq> <rdf:li>Ann</rdf:li> <rdf:li>Bob</rdf:li> </rdf:Seq></dc:creator>\
            <dc:language><rdf:Bag><rdf:li>en_GB</rdf:li></rdf:Bag></dc:language>\
            <xmp:ModifyDate>yesterday</xmp:ModifyDate><dc:description/>\
            </rdf:Description></rdf:RDF></x:xmpmeta>";
        let expected = Metadata {
            title: Some("One <twoé".to_owned()),
            author: Some("Ann, Bob".to_owned()),
            creator: Some("A & B".to_owned()),
            created: Some("2020-02-03T04:05:06+01:00".to_owned()),
            language: Some("en-GB".to_owned()),
            ..Metadata::default()
        };
        assert_eq!(parse(packet), expected);
    }

    #[test]
    fn hostile_packets_end() {
        let nested = "<a>".repeat(100_000) + "<dc:title>t</dc:title>";
        assert_eq!(parse(&nested).title.as_deref(), Some("t"));
        let bomb = "<!DOCTYPE x [<!ENTITY e \"xxxx\">]><dc:title>a&e;b</dc:title>";
        assert_eq!(parse(bomb).title.as_deref(), Some("ab"));
        let long = format!("<dc:title>{}</dc:title>", "x".repeat(100_000));
        let title = parse(&long).title.unwrap();
        assert_eq!(title.chars().count(), VALUE_CHARS_MAX + 1);
        let items = "<rdf:li>x</rdf:li>".repeat(100_000);
        let many = format!("<dc:creator>{items}</dc:creator>");
        assert_eq!(
            parse(&many).author.unwrap().chars().count(),
            VALUE_CHARS_MAX + 1
        );
        assert_eq!(parse("<dc:title>t<"), Metadata::default());
        assert_eq!(parse("\u{0}<<>>"), Metadata::default());
    }
}
