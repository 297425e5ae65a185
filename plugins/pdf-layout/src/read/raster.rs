//! Pixels, and PNG files of them.
//!
//! Invariant: the same pixels give the same bytes, in the smallest of the colour types that holds them.

use hayro_interpret::{ImageData, LumaData};

/// A decoded picture.
pub(super) struct Raster {
    pub(super) color: Color,
    /// How much of each pixel shows; of a size of its own.
    pub(super) alpha: Option<LumaData>,
}

/// The colours of a picture.
pub(super) enum Color {
    Gray(LumaData),
    Rgb(hayro_interpret::RgbData),
}

impl Raster {
    /// A picture as decoded. An alpha channel that hides nothing is dropped, as are colours that are
    /// grays.
    pub(super) fn new(image: ImageData, alpha: Option<LumaData>) -> Self {
        let color = match image {
            ImageData::Luma(gray) => Color::Gray(gray),
            ImageData::Rgb(rgb) => {
                let pixels = rgb.data.as_chunks::<3>().0;
                if pixels.iter().all(|[r, g, b]| r == g && g == b) {
                    Color::Gray(LumaData {
                        data: pixels.iter().map(|pixel| pixel[0]).collect(),
                        width: rgb.width,
                        height: rgb.height,
                        interpolate: rgb.interpolate,
                        scale_factors: rgb.scale_factors,
                    })
                } else {
                    Color::Rgb(rgb)
                }
            }
        };
        let alpha = alpha.filter(|alpha| alpha.data.iter().any(|value| *value != u8::MAX));
        Self { color, alpha }
    }

    /// A stencil: black on white where it is painted, whatever the colour of the paint.
    pub(super) fn of_stencil(mut painted: LumaData) -> Self {
        for value in &mut painted.data {
            *value = u8::MAX - *value;
        }
        Self {
            color: Color::Gray(painted),
            alpha: None,
        }
    }

    /// Whether there is nothing to see: one colour, or nothing that shows.
    pub(super) fn is_blank(&self) -> bool {
        let is_one_color = match &self.color {
            Color::Gray(gray) => is_uniform(&gray.data),
            Color::Rgb(rgb) => is_uniform(rgb.data.as_chunks::<3>().0),
        };
        match &self.alpha {
            None => is_one_color,
            Some(alpha) => {
                let is_hidden = alpha.data.iter().all(|value| *value == 0);
                is_hidden || is_one_color && is_uniform(&alpha.data)
            }
        }
    }

    /// Width and height of the colours and of the alpha channel, whichever are larger, within a bound.
    pub(super) fn size(&self, pixels_max: u64) -> (u32, u32) {
        let own = self.color.size();
        let Some(alpha) = &self.alpha else {
            return own;
        };
        let both = (own.0.max(alpha.width), own.1.max(alpha.height));
        if u64::from(both.0) * u64::from(both.1) <= pixels_max {
            both
        } else {
            own
        }
    }

    /// The picture as a PNG file of this size.
    pub(super) fn encode(&self, (width, height): (u32, u32)) -> Option<Vec<u8>> {
        let is_bilevel = matches!((&self.color, &self.alpha), (Color::Gray(gray), None)
            if gray.data.iter().all(|value| matches!(value, 0 | 255)));
        let color_type = match (&self.color, &self.alpha) {
            (Color::Gray(_), None) => png::ColorType::Grayscale,
            (Color::Gray(_), Some(_)) => png::ColorType::GrayscaleAlpha,
            (Color::Rgb(_), None) => png::ColorType::Rgb,
            (Color::Rgb(_), Some(_)) => png::ColorType::Rgba,
        };
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, width, height);
        encoder.set_color(color_type);
        encoder.set_depth(if is_bilevel {
            png::BitDepth::One
        } else {
            png::BitDepth::Eight
        });
        // The fastest that makes scans of text small; `Fast` has no matches but runs of zero.
        encoder.set_compression(if is_bilevel {
            png::Compression::Balanced
        } else {
            png::Compression::Fast
        });
        let mut writer = encoder.write_header().ok()?;
        let mut rows = writer.stream_writer().ok()?;
        let mut row = Vec::new();
        for y in 0..height {
            self.row(y, (width, height), &mut row);
            if is_bilevel {
                row = packed(&row);
            }
            std::io::Write::write_all(&mut rows, &row).ok()?;
        }
        rows.finish().ok()?;
        writer.finish().ok()?;
        Some(file)
    }

    /// Fills `row` with the samples of a row of the picture at a size.
    fn row(&self, y: u32, size: (u32, u32), row: &mut Vec<u8>) {
        row.clear();
        for x in 0..size.0 {
            match &self.color {
                Color::Gray(gray) => {
                    let at = nearest((x, y), size, (gray.width, gray.height));
                    row.push(gray.data.get(at).copied().unwrap_or(u8::MAX));
                }
                Color::Rgb(rgb) => {
                    let at = nearest((x, y), size, (rgb.width, rgb.height));
                    let pixels = rgb.data.as_chunks::<3>().0;
                    row.extend(pixels.get(at).unwrap_or(&[u8::MAX; 3]));
                }
            }
            if let Some(alpha) = &self.alpha {
                let at = nearest((x, y), size, (alpha.width, alpha.height));
                row.push(alpha.data.get(at).copied().unwrap_or(u8::MAX));
            }
        }
    }
}

impl Color {
    fn size(&self) -> (u32, u32) {
        match self {
            Self::Gray(gray) => (gray.width, gray.height),
            Self::Rgb(rgb) => (rgb.width, rgb.height),
        }
    }
}

fn is_uniform<T: PartialEq>(values: &[T]) -> bool {
    values.windows(2).all(|pair| pair[0] == pair[1])
}

/// The index of the pixel that a point of a picture of one size has in one of another size.
fn nearest((x, y): (u32, u32), shown: (u32, u32), own: (u32, u32)) -> usize {
    let scaled = |at: u32, shown: u32, own: u32| {
        if shown == own {
            return u64::from(at);
        }
        u64::from(at) * u64::from(own) / u64::from(shown.max(1))
    };
    let column = scaled(x, shown.0, own.0);
    let row = scaled(y, shown.1, own.1);
    usize::try_from(row * u64::from(own.0) + column).unwrap_or(usize::MAX)
}

/// Samples of black and white, eight a byte.
fn packed(row: &[u8]) -> Vec<u8> {
    let byte = |samples: &[u8]| {
        let bits = samples.iter().enumerate();
        bits.fold(0, |byte, (at, sample)| byte | (sample & 0x80) >> at)
    };
    row.chunks(8).map(byte).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn luma(width: u32, height: u32, data: &[u8]) -> LumaData {
        LumaData {
            data: data.to_vec(),
            width,
            height,
            interpolate: false,
            scale_factors: (1.0, 1.0),
        }
    }

    fn rgb(width: u32, height: u32, data: &[u8]) -> ImageData {
        ImageData::Rgb(hayro_interpret::RgbData {
            data: data.to_vec(),
            width,
            height,
            interpolate: false,
            scale_factors: (1.0, 1.0),
        })
    }

    /// Colour type, bits and samples of a PNG file.
    pub(in super::super) fn decoded(file: &[u8]) -> (png::ColorType, u8, Vec<u8>) {
        let decoder = png::Decoder::new(std::io::Cursor::new(file));
        let mut reader = decoder.read_info().unwrap();
        let mut samples = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut samples).unwrap();
        samples.truncate(info.buffer_size());
        (info.color_type, info.bit_depth as u8, samples)
    }

    fn check(raster: &Raster, color: png::ColorType, bits: u8, samples: &[u8]) {
        let size = raster.size(1_000);
        let file = raster.encode(size).unwrap();
        assert_eq!(decoded(&file), (color, bits, samples.to_vec()));
        assert_eq!(raster.encode(size).unwrap(), file);
        assert!(!raster.is_blank());
    }

    #[test]
    fn the_smallest_type_is_chosen() {
        let gray = Raster::new(ImageData::Luma(luma(2, 1, &[1, 2])), None);
        check(&gray, png::ColorType::Grayscale, 8, &[1, 2]);
        let bilevel = Raster::new(
            ImageData::Luma(luma(9, 1, &[0, 255, 0, 0, 0, 0, 0, 0, 255])),
            None,
        );
        check(&bilevel, png::ColorType::Grayscale, 1, &[0x40, 0x80]);
        let grays = Raster::new(rgb(2, 1, &[1, 1, 1, 2, 2, 2]), Some(luma(1, 1, &[255])));
        check(&grays, png::ColorType::Grayscale, 8, &[1, 2]);
        let colors = Raster::new(rgb(2, 1, &[1, 2, 3, 4, 5, 6]), None);
        check(&colors, png::ColorType::Rgb, 8, &[1, 2, 3, 4, 5, 6]);
        let stencil = Raster::of_stencil(luma(2, 1, &[255, 0]));
        check(&stencil, png::ColorType::Grayscale, 1, &[0x40]);
    }

    #[test]
    fn masks_of_another_size() {
        let fine = Raster::new(
            ImageData::Luma(luma(1, 1, &[7])),
            Some(luma(2, 2, &[0, 1, 2, 3])),
        );
        let samples = [7, 0, 7, 1, 7, 2, 7, 3];
        check(&fine, png::ColorType::GrayscaleAlpha, 8, &samples);
        let coarse = Raster::new(rgb(2, 1, &[1, 2, 3, 4, 5, 6]), Some(luma(1, 1, &[9])));
        check(&coarse, png::ColorType::Rgba, 8, &[1, 2, 3, 9, 4, 5, 6, 9]);
        assert_eq!(fine.size(4), (2, 2));
        assert_eq!(fine.size(3), (1, 1));
    }

    #[test]
    fn blank_ones_are_told() {
        let blank = |color: &[u8], alpha: Option<&[u8]>| {
            let alpha = alpha.map(|alpha| luma(2, 1, alpha));
            Raster::new(ImageData::Luma(luma(2, 1, color)), alpha).is_blank()
        };
        assert!(blank(&[5, 5], None));
        assert!(!blank(&[5, 6], None));
        assert!(blank(&[5, 6], Some(&[0, 0])));
        assert!(blank(&[5, 5], Some(&[9, 9])));
        // Black ink, cut out by its mask.
        assert!(!blank(&[0, 0], Some(&[0, 9])));
    }
}
