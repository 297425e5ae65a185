//! How long a stream gets when it is inflated, before anybody inflates it whole: two megabytes may
//! become two gigabytes.
//!
//! Invariant: nothing here holds more than a buffer.

use std::io::Read;

use flate2::read::ZlibDecoder;
use hayro_syntax::object::{Array, Dict, Name, Object, Stream};
use hayro_syntax::page::Page;

/// Bytes of the content streams of a page, or of a form: a map drawn point by point has 30 million.
const CONTENT_BYTES_MAX: u64 = 96 << 20;
/// Deflate makes at most so many bytes of one.
const RATIO_MAX: u64 = 1_032;
/// Filters of a stream that are followed; no program writes more than two.
const FILTERS_MAX: usize = 4;
/// Bytes that are inflated at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Whether the content of a page stays within bounds.
pub(crate) fn is_bounded_page(page: &Page<'_>) -> bool {
    match page.raw().get::<Object<'_>>("Contents") {
        Some(Object::Stream(stream)) => is_bounded(&stream),
        Some(Object::Array(streams)) => {
            let mut left = CONTENT_BYTES_MAX;
            streams.iter::<Stream<'_>>().all(|stream| {
                let length = length_within(&stream, left);
                left = left.saturating_sub(length.unwrap_or(left));
                length.is_some()
            })
        }
        _ => true,
    }
}

/// Whether a content stream stays within bounds.
pub(crate) fn is_bounded(stream: &Stream<'_>) -> bool {
    length_within(stream, CONTENT_BYTES_MAX).is_some()
}

/// The length of a stream, or a bound of it; `None` if it is more than `max`.
fn length_within(stream: &Stream<'_>, max: u64) -> Option<u64> {
    let raw = stream.raw_data();
    let layers = layers(stream.dict());
    let mut bound = raw.len() as u64;
    for _ in 0..layers {
        bound = bound.saturating_mul(RATIO_MAX);
    }
    if bound <= max {
        return Some(bound);
    }
    let mut reader: Box<dyn Read + '_> = Box::new(&raw[..]);
    for _ in 0..layers {
        reader = Box::new(ZlibDecoder::new(reader));
    }
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut length = 0;
    // What cannot be inflated any further ends the stream, as it will when it is read.
    while let Ok(count @ 1..) = reader.read(&mut buffer) {
        length += count as u64;
        if length > max {
            return None;
        }
    }
    Some(length)
}

/// How many times a stream is deflated. Other filters make little of much, or are those of pictures.
fn layers(dict: &Dict<'_>) -> usize {
    let is_flate = |name: &Name<'_>| matches!(name.as_ref(), b"FlateDecode" | b"Fl");
    match dict.get::<Object<'_>>("Filter") {
        Some(Object::Name(name)) => usize::from(is_flate(&name)),
        Some(Object::Array(names)) => filters(&names).filter(is_flate).count(),
        _ => 0,
    }
}

fn filters<'a>(names: &Array<'a>) -> impl Iterator<Item = Name<'a>> {
    names.iter::<Name<'_>>().take(FILTERS_MAX)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::super::fixture::{stream, two_pages};
    use super::*;

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn what_gets_too_long_is_not_inflated_whole() {
        let check = |filter: &str, data: &[u8], expected| {
            let content = stream(filter, data);
            let pdf = two_pages("", "/Contents 5 0 R", std::slice::from_ref(&content));
            assert_eq!(is_bounded_page(&pdf.pages()[0]), expected, "{filter}");
            let pdf = two_pages("", "/Contents[5 0 R 5 0 R]", &[content]);
            assert_eq!(
                is_bounded_page(&pdf.pages()[0]),
                expected,
                "two of {filter}"
            );
        };
        let zeros = vec![0; CONTENT_BYTES_MAX as usize + 1];
        let once = deflated(&zeros);
        check("/Filter/FlateDecode", &once, false);
        check("/Filter[/FlateDecode/FlateDecode]", &deflated(&once), false);
        let half = deflated(&zeros[..zeros.len() / 3]);
        check("/Filter/FlateDecode", &half, true);
        check("", b"q Q", true);
    }

    #[test]
    fn the_streams_of_a_page_count_together() {
        let content = deflated(&vec![0; CONTENT_BYTES_MAX as usize / 3]);
        let content = stream("/Filter/FlateDecode", &content);
        let pdf = two_pages("", "/Contents[5 0 R 5 0 R 5 0 R 5 0 R]", &[content]);
        assert!(!is_bounded_page(&pdf.pages()[0]));
    }
}
