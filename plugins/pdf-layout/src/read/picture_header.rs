//! What the headers of encoded pictures claim: decoders allocate what these say, whatever the picture
//! is said to be by the file around it.
//!
//! Invariant: reads no pixel; a header that cannot be read claims nothing, and its decoder says so.

/// What a JPEG file's frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JpegHeader {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Samples a pixel: 1 for gray, 3 for colours of light, 4 for those of ink.
    pub(super) components: u8,
    /// Bits of a sample.
    pub(super) bits: u8,
    /// Whether every browser shows it: Huffman-coded, sequential or progressive.
    pub(super) is_common: bool,
}

/// The header of a whole JPEG file, from its first byte on.
pub(super) fn jpeg(data: &[u8]) -> Option<JpegHeader> {
    let mut rest = data.strip_prefix(&[0xFF, 0xD8])?;
    loop {
        let [0xFF, marker, after @ ..] = rest else {
            return None;
        };
        match marker {
            // Fill bytes, and markers that stand alone.
            0xFF => rest = rest.get(1..)?,
            0x01 | 0xD0..=0xD7 => rest = after,
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                let [_, _, bits, h1, h0, w1, w0, components, ..] = after else {
                    return None;
                };
                return Some(JpegHeader {
                    width: u32::from(u16::from_be_bytes([*w1, *w0])),
                    height: u32::from(u16::from_be_bytes([*h1, *h0])),
                    components: *components,
                    bits: *bits,
                    is_common: matches!(marker, 0xC0..=0xC2),
                });
            }
            // The image, or its end, before any frame.
            0xD8..=0xDA => return None,
            _ => {
                let [l1, l0, ..] = after else {
                    return None;
                };
                let length = usize::from(u16::from_be_bytes([*l1, *l0]));
                rest = after.get(length.max(2)..)?;
            }
        }
    }
}

/// The samples of the largest JPEG 2000 code stream within the data, and its pixels.
pub(super) fn jpeg_2000(data: &[u8]) -> (u64, u64) {
    /// Start of the code stream, and its size right after.
    const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    let mut largest = (0, 0);
    let mut rest = data;
    while let Some(at) = rest.windows(START.len()).position(|window| window == START) {
        rest = &rest[at + START.len()..];
        let number = |at: usize| {
            let bytes = rest.get(at..)?.first_chunk::<4>()?;
            Some(u64::from(u32::from_be_bytes(*bytes)))
        };
        // Length and capabilities, then width, height, six more numbers, and the components.
        let (Some(width), Some(height)) = (number(4), number(8)) else {
            break;
        };
        let components = rest.get(36..).and_then(|rest| rest.first_chunk::<2>());
        let components = components.map_or(1, |count| u64::from(u16::from_be_bytes(*count)));
        let pixels = width.saturating_mul(height);
        largest = largest.max((pixels.saturating_mul(components), pixels));
    }
    largest
}

/// The pixels of the largest region or page of a JBIG2 stream as PDF embeds it: segments without the
/// header of a file.
pub(super) fn jbig2(data: &[u8]) -> u64 {
    let mut largest = 0;
    let mut rest = data;
    while let Some((segment, after)) = jbig2_segment(rest) {
        // Regions and pages begin with their width and height.
        let has_size = matches!(segment.kind, 4 | 6 | 7 | 20 | 22 | 23 | 36 | 38..=43 | 48);
        if has_size && let [w3, w2, w1, w0, h3, h2, h1, h0, ..] = *after {
            let width = u32::from_be_bytes([w3, w2, w1, w0]);
            let height = u32::from_be_bytes([h3, h2, h1, h0]);
            // A page of unknown height grows with its stripes, which are regions.
            let height = if height == u32::MAX { 1 } else { height };
            largest = largest.max(u64::from(width) * u64::from(height));
        }
        let Some(next) = segment.bytes.and_then(|bytes| after.get(bytes..)) else {
            break;
        };
        rest = next;
    }
    largest
}

struct Jbig2Segment {
    kind: u8,
    /// The length of its data, if known.
    bytes: Option<usize>,
}

/// The header of a segment, and what follows it.
fn jbig2_segment(data: &[u8]) -> Option<(Jbig2Segment, &[u8])> {
    let (number, rest) = data.split_first_chunk::<4>()?;
    let number = u32::from_be_bytes(*number);
    let (flags, rest) = rest.split_first()?;
    let (count, rest) = match *rest.first()? >> 5 {
        // Many references: a count of its own, then a bit for each.
        7 => {
            let (long, rest) = rest.split_first_chunk::<4>()?;
            let count = u32::from_be_bytes(*long) & 0x1FFF_FFFF;
            let bits = usize::try_from(count).ok()?.checked_add(1)?.div_ceil(8);
            (count, rest.get(bits..)?)
        }
        short => (u32::from(short), rest.get(1..)?),
    };
    let reference_bytes = match number {
        0..=256 => 1,
        257..=65_536 => 2,
        _ => 4_usize,
    };
    let references = usize::try_from(count).ok()?.checked_mul(reference_bytes)?;
    let page_bytes = if flags & 0x40 == 0 { 1 } else { 4 };
    let rest = rest.get(references..)?.get(page_bytes..)?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_be_bytes(*length);
    let segment = Jbig2Segment {
        kind: flags & 0x3F,
        bytes: (length != u32::MAX)
            .then(|| usize::try_from(length).ok())
            .flatten(),
    };
    Some((segment, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_jpeg_files() {
        let frame = |marker: u8| {
            let mut data = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xFF, marker];
            data.extend([0, 17, 8, 0x01, 0x00, 0x02, 0x00, 3]);
            data
        };
        let expected = JpegHeader {
            width: 512,
            height: 256,
            components: 3,
            bits: 8,
            is_common: true,
        };
        assert_eq!(jpeg(&frame(0xC0)), Some(expected));
        assert_eq!(jpeg(&frame(0xC2)), Some(expected));
        assert_eq!(
            jpeg(&frame(0xC9)).map(|header| header.is_common),
            Some(false)
        );
        assert_eq!(jpeg(&frame(0xDA)), None);
        let whole = frame(0xC0);
        for end in 0..whole.len() {
            assert_eq!(jpeg(&whole[..end]), None);
        }
        // A segment that says it is shorter than its own length.
        assert_eq!(
            jpeg(&[0xFF, 0xD8, 0xFF, 0xE0, 0, 0, 0xFF, 0xE0, 0, 0]),
            None
        );
    }

    #[test]
    fn sizes_of_jpeg_2000_streams() {
        let stream = |width: u32, height: u32, components: u16| {
            let mut data = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
            data.extend(width.to_be_bytes());
            data.extend(height.to_be_bytes());
            data.extend([0; 24]);
            data.extend(components.to_be_bytes());
            data
        };
        assert_eq!(jpeg_2000(&stream(100, 50, 3)), (15_000, 5_000));
        // A small one in front does not hide the large one.
        let both = [stream(1, 1, 1), stream(u32::MAX, u32::MAX, 4)].concat();
        assert_eq!(jpeg_2000(&both), (u64::MAX, u64::from(u32::MAX).pow(2)));
        assert_eq!(jpeg_2000(&stream(1, 1, 1)[..10]), (0, 0));
    }

    #[test]
    fn sizes_of_jbig2_segments() {
        let segment = |kind: u8, width: u32, height: u32, length: u32| {
            let mut data = vec![0, 0, 0, 0, kind, 0, 1];
            data.extend(length.to_be_bytes());
            data.extend(width.to_be_bytes());
            data.extend(height.to_be_bytes());
            data
        };
        assert_eq!(jbig2(&segment(48, 100, 50, 8)), 5_000);
        let two = [
            segment(48, 100, u32::MAX, 8),
            segment(38, 60_000, 60_000, u32::MAX),
        ]
        .concat();
        assert_eq!(jbig2(&two), 3_600_000_000);
        // A dictionary of symbols has no size.
        assert_eq!(jbig2(&segment(0, 100, 50, 8)), 0);
        assert_eq!(jbig2(&[0xFF; 40]), 0);
    }
}
