//! Pictures: what a content stream draws, as files that a browser shows.
//!
//! Invariant: nothing is decoded before what its headers claim is within the bounds; an object is
//! decoded once; the same picture is kept once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use hayro_interpret::kurbo::{Affine, BezPath, Rect};
use hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, Image, ImageData, ImageDrawProps,
    InterpreterCache, InterpreterSettings, LumaData, SoftMask, interpret,
};
use hayro_syntax::Pdf;
use hayro_syntax::content::TypedIter;
use hayro_syntax::object::{Array, Dict, MaybeRef, Name, Object, ObjectIdentifier, Stream};
use hayro_syntax::page::Resources;

use super::picture_header::{JpegHeader, jbig2, jpeg, jpeg_2000};
use super::raster::Raster;
use crate::limits::Limits;

/// Smaller ones, in pixels either way, are bullets, rules and spacers.
const SIDE_PIXELS_MIN: u32 = 32;
/// Bytes that the decoding of a picture may take, by estimate: half of what a plugin has.
const DECODING_BYTES_MAX: u64 = 192 << 20;
/// Larger JPEG 2000 pictures are decoded at a half, a quarter, … of their resolution: the decoder
/// takes eight bytes a sample.
const JPEG_2000_PIXELS_MAX: u64 = 4 << 20;
/// Samples of a JPEG 2000 picture at full resolution.
const JPEG_2000_SAMPLES_MAX: u64 = 64 << 20;
/// A JPEG with less than a byte for so many pixels may be of one colour: it is looked at.
const BLANK_JPEG_PIXELS_PER_BYTE: u64 = 60;

/// A picture as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedPicture {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its format.
    pub format: PictureFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PictureFormat {
    /// As the PDF file has it, byte for byte.
    Jpeg,
    /// Decoded and encoded anew.
    Png,
}

/// Where pictures go.
pub trait PictureSink {
    /// Takes a picture that is drawn on a page, from 1. The first one has the index 0, and every one that
    /// is taken the next. False: it could not be taken.
    fn put(&mut self, page: u32, picture: &EncodedPicture) -> bool;
}

/// Pictures that are missing, for a warning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MissingPictures {
    /// Beyond the bounds, or not taken.
    pub left_out: u32,
    /// That could not be decoded.
    pub unreadable: u32,
}

/// The pictures of a document.
pub(crate) struct Pictures<'a> {
    pdf: &'a Pdf,
    limits: Limits,
    settings: InterpreterSettings,
    cache: InterpreterCache<'a>,
    known: BTreeMap<ObjectIdentifier, Option<u32>>,
    /// By hash, length and size of the file.
    by_content: BTreeMap<(u64, usize, u32, u32), u32>,
    count: u32,
    bytes_left: u64,
    pixels_left: u64,
    missing: MissingPictures,
}

/// Why a picture is not there.
enum Absent {
    /// Too small, blank, hidden: nobody misses it.
    Unwanted,
    /// Beyond a bound.
    LeftOut,
    /// Not decoded.
    Unreadable,
}

impl<'a> Pictures<'a> {
    /// None yet, of a document.
    pub(crate) fn new(pdf: &'a Pdf, limits: &Limits) -> Self {
        Self {
            pdf,
            limits: *limits,
            settings: InterpreterSettings::default(),
            cache: InterpreterCache::new(),
            known: BTreeMap::new(),
            by_content: BTreeMap::new(),
            count: 0,
            bytes_left: limits.picture_bytes,
            pixels_left: limits.pixels,
            missing: MissingPictures::default(),
        }
    }

    /// Which pictures are missing so far.
    pub(crate) fn missing(&self) -> MissingPictures {
        self.missing
    }

    /// Puts the picture of an image object or an inline image into the sink, unless it is there: its
    /// index, or `None` if it is not kept. `resources` are those of the content stream that draws it, on
    /// `page`.
    pub(crate) fn keep(
        &mut self,
        stream: &Stream<'_>,
        resources: &Resources<'a>,
        page: u32,
        sink: &mut dyn PictureSink,
    ) -> Option<u32> {
        let id = stream.dict().obj_id();
        if let Some(known) = id.and_then(|id| self.known.get(&id)) {
            return *known;
        }
        let kept = self
            .encode(stream, resources)
            .and_then(|picture| self.put(&picture, page, sink));
        match kept {
            Ok(_) | Err(Absent::Unwanted) => {}
            Err(Absent::LeftOut) => self.missing.left_out += 1,
            Err(Absent::Unreadable) => self.missing.unreadable += 1,
        }
        let kept = kept.ok();
        if let Some(id) = id {
            self.known.insert(id, kept);
        }
        kept
    }

    fn put(
        &mut self,
        picture: &EncodedPicture,
        page: u32,
        sink: &mut dyn PictureSink,
    ) -> Result<u32, Absent> {
        let mut hasher = DefaultHasher::new();
        picture.bytes.hash(&mut hasher);
        let content = (
            hasher.finish(),
            picture.bytes.len(),
            picture.width,
            picture.height,
        );
        if let Some(index) = self.by_content.get(&content) {
            return Ok(*index);
        }
        let bytes_left = self.bytes_left.checked_sub(picture.bytes.len() as u64);
        let bytes_left = bytes_left.ok_or(Absent::LeftOut)?;
        if self.count >= self.limits.pictures || !sink.put(page, picture) {
            return Err(Absent::LeftOut);
        }
        let index = self.count;
        self.by_content.insert(content, index);
        self.bytes_left = bytes_left;
        self.count += 1;
        Ok(index)
    }

    fn encode(
        &mut self,
        stream: &Stream<'_>,
        resources: &Resources<'a>,
    ) -> Result<EncodedPicture, Absent> {
        let claim = Claim::of(stream).ok_or(Absent::Unreadable)?;
        if claim.width < SIDE_PIXELS_MIN || claim.height < SIDE_PIXELS_MIN {
            return Err(Absent::Unwanted);
        }
        if self.count >= self.limits.pictures {
            return Err(Absent::LeftOut);
        }
        let as_it_is = passed_through(stream, &claim);
        if let Some(picture) = as_it_is {
            let pixels = u64::from(picture.width) * u64::from(picture.height);
            let may_be_blank = picture.bytes.len() as u64 * BLANK_JPEG_PIXELS_PER_BYTE < pixels;
            let is_blank = may_be_blank
                && self
                    .decode(stream, &claim, resources)
                    .is_ok_and(|raster| raster.is_blank());
            return if is_blank {
                Err(Absent::Unwanted)
            } else {
                Ok(picture)
            };
        }
        let raster = self.decode(stream, &claim, resources)?;
        let size = raster.size(self.limits.picture_pixels);
        if raster.is_blank() || size.0.min(size.1) < SIDE_PIXELS_MIN {
            return Err(Absent::Unwanted);
        }
        Ok(EncodedPicture {
            bytes: raster.encode(size).ok_or(Absent::Unreadable)?,
            format: PictureFormat::Png,
            width: size.0,
            height: size.1,
        })
    }

    fn decode(
        &mut self,
        stream: &Stream<'_>,
        claim: &Claim,
        resources: &Resources<'a>,
    ) -> Result<Raster, Absent> {
        let mask = mask_of(stream.dict()).map(|mask| Claim::of(&mask).ok_or(Absent::Unreadable));
        let mask = mask.transpose()?;
        for claim in std::iter::once(claim).chain(&mask) {
            if claim.pixels > self.limits.picture_pixels || claim.bytes > DECODING_BYTES_MAX {
                return Err(Absent::LeftOut);
            }
            let left = self.pixels_left.checked_sub(claim.pixels);
            self.pixels_left = left.ok_or(Absent::LeftOut)?;
        }
        let content = drawing(stream, resources).ok_or(Absent::Unreadable)?;
        let mut device = OneImage {
            target: claim.reduced(),
            found: Found::Nothing,
        };
        let mut context = Context::new(
            Affine::IDENTITY,
            Rect::new(0.0, 0.0, 1.0, 1.0),
            &self.cache,
            self.pdf.xref(),
            self.settings.clone(),
        );
        interpret(
            TypedIter::new(&content),
            resources,
            &mut context,
            &mut device,
        );
        match device.found {
            Found::Nothing => Err(Absent::Unwanted),
            Found::Undecodable => Err(Absent::Unreadable),
            Found::Raster(image, alpha) => Ok(Raster::new(image, alpha)),
            Found::Stencil(painted) => Ok(Raster::of_stencil(painted)),
        }
    }
}

/// What a picture says about its size, its own headers included.
struct Claim {
    width: u32,
    height: u32,
    pixels: u64,
    /// What decoding it takes.
    bytes: u64,
    is_jpeg_2000: bool,
}

impl Claim {
    fn of(stream: &Stream<'_>) -> Option<Self> {
        let dict = stream.dict();
        let side = |short: &str, long: &str| dict.get::<u32>(short).or_else(|| dict.get(long));
        let (width, height) = (side("W", "Width")?, side("H", "Height")?);
        let own = u64::from(width) * u64::from(height);
        let filters = filters(dict);
        let components = color_space(dict).map_or(4, |space| space.components_max());
        let bits = side("BPC", "BitsPerComponent").unwrap_or(8).clamp(1, 16);
        let samples = own.saturating_mul(components);
        let mut claim = Self {
            width,
            height,
            pixels: own,
            // As stored, as bytes, and as red, green and blue.
            bytes: (samples.saturating_mul(u64::from(bits)) / 8)
                .saturating_add(samples)
                .saturating_add(if components == 1 {
                    0
                } else {
                    own.saturating_mul(3)
                }),
            is_jpeg_2000: false,
        };
        let is_only = filters.len() == 1;
        let encoding = filters.iter().map(AsRef::<[u8]>::as_ref).find(|filter| {
            matches!(
                *filter,
                b"JPXDecode" | b"JBIG2Decode" | b"CCITTFaxDecode" | b"CCF"
            )
        });
        match encoding {
            Some(b"JPXDecode") => {
                let (samples, pixels) = jpeg_2000(&only_encoding(stream, is_only)?);
                claim.is_jpeg_2000 = true;
                claim.pixels = pixels.max(own);
                claim.bytes = if samples > JPEG_2000_SAMPLES_MAX {
                    u64::MAX
                } else {
                    0
                };
            }
            Some(b"JBIG2Decode") => {
                claim.pixels = jbig2(&only_encoding(stream, is_only)?).max(own);
                claim.bytes = claim.bytes.max(claim.pixels.saturating_mul(2));
            }
            Some(b"CCITTFaxDecode" | b"CCF") => {
                let columns = ccitt_columns(dict);
                claim.pixels = columns.saturating_mul(u64::from(height)).max(own);
                claim.bytes = claim.bytes.max(claim.pixels.saturating_mul(2));
            }
            // The decoder holds a JPEG to the size that the file around it says.
            _ => {}
        }
        Some(claim)
    }

    /// The size to decode at, if not at the full one.
    fn reduced(&self) -> Option<(u32, u32)> {
        if !self.is_jpeg_2000 || self.pixels <= JPEG_2000_PIXELS_MAX {
            return None;
        }
        let halvings = (1..=5).find(|n| self.pixels >> (2 * n) <= JPEG_2000_PIXELS_MAX);
        let halvings = halvings.unwrap_or(5);
        Some((
            (self.width >> halvings).max(1),
            (self.height >> halvings).max(1),
        ))
    }
}

/// The names of the filters of a stream, in the order in which they are undone.
fn filters<'a>(dict: &Dict<'a>) -> Vec<Name<'a>> {
    match dict.get::<Object<'_>>("F").or_else(|| dict.get("Filter")) {
        Some(Object::Name(name)) => vec![name],
        Some(Object::Array(names)) => names.iter::<Name<'_>>().collect(),
        _ => Vec::new(),
    }
}

/// The encoded data if no other filter is around it: what a header within says is unknown.
fn only_encoding<'a>(stream: &Stream<'a>, is_only: bool) -> Option<Cow<'a, [u8]>> {
    is_only.then(|| stream.raw_data())
}

fn ccitt_columns(dict: &Dict<'_>) -> u64 {
    /// What the format has if nothing is said: a fax.
    const COLUMNS: u32 = 1_728;
    let parameters = dict
        .get::<Object<'_>>("DP")
        .or_else(|| dict.get("DecodeParms"));
    let columns = |parameters: Dict<'_>| parameters.get::<u32>("Columns");
    let columns = match parameters {
        Some(Object::Dict(parameters)) => columns(parameters),
        Some(Object::Array(array)) => {
            let dicts = array.iter::<Object<'_>>().filter_map(Object::into_dict);
            dicts.filter_map(columns).max()
        }
        _ => None,
    };
    u64::from(columns.unwrap_or(COLUMNS))
}

fn mask_of<'a>(dict: &Dict<'a>) -> Option<Stream<'a>> {
    dict.get::<Stream<'_>>("SMask").or_else(|| dict.get("Mask"))
}

/// What is known of a colour space without reading its tables.
enum ColorSpace {
    Gray,
    Rgb,
    /// So many components, but not to be shown as they are.
    Other(u64),
}

impl ColorSpace {
    fn components_max(&self) -> u64 {
        match self {
            Self::Gray => 1,
            Self::Rgb => 3,
            Self::Other(components) => *components,
        }
    }
}

fn color_space(dict: &Dict<'_>) -> Option<ColorSpace> {
    /// Of `DeviceN`, with room.
    const COMPONENTS_MAX: u64 = 32;
    let is_mask = dict.get::<bool>("IM").or_else(|| dict.get("ImageMask"));
    if is_mask == Some(true) {
        return Some(ColorSpace::Other(1));
    }
    let (family, array) = match dict
        .get::<Object<'_>>("CS")
        .or_else(|| dict.get("ColorSpace"))?
    {
        Object::Name(name) => (name, None),
        Object::Array(array) => (array.iter::<Object<'_>>().next()?.into_name()?, Some(array)),
        _ => return None,
    };
    Some(match family.as_ref() {
        b"DeviceGray" | b"G" | b"CalGray" => ColorSpace::Gray,
        b"DeviceRGB" | b"RGB" | b"CalRGB" => ColorSpace::Rgb,
        b"ICCBased" => {
            let profile = array?.iter::<Object<'_>>().nth(1)?.into_stream()?;
            match profile.dict().get::<u32>("N")? {
                1 => ColorSpace::Gray,
                3 => ColorSpace::Rgb,
                other => ColorSpace::Other(u64::from(other).min(COMPONENTS_MAX)),
            }
        }
        // A byte a pixel, then three.
        b"Indexed" | b"I" => ColorSpace::Other(2),
        b"Separation" => ColorSpace::Other(2),
        b"DeviceN" => {
            let names = array?.iter::<Object<'_>>().nth(1);
            let names = match names {
                Some(Object::Array(names)) => {
                    names.raw_iter().take(COMPONENTS_MAX as usize).count()
                }
                _ => return None,
            };
            ColorSpace::Other(names as u64)
        }
        _ => return None,
    })
}

/// The picture as it is, if it is a JPEG file that shows in a browser what it shows in the PDF file.
fn passed_through(stream: &Stream<'_>, claim: &Claim) -> Option<EncodedPicture> {
    let dict = stream.dict();
    let [filter] = filters(dict).try_into().ok()?;
    let filter: Name<'_> = filter;
    if !matches!(filter.as_ref(), b"DCTDecode" | b"DCT") {
        return None;
    }
    let changes = ["SMask", "Mask", "SMaskInData"];
    if changes.iter().any(|key| dict.contains_key(key)) || !is_default_decode(dict) {
        return None;
    }
    // Colours that the file does not say how to read are read as PDF says, by the decoder.
    let parameters = dict
        .get::<Dict<'_>>("DecodeParms")
        .or_else(|| dict.get("DP"));
    if parameters.is_some_and(|parameters| parameters.contains_key("ColorTransform")) {
        return None;
    }
    let bytes = stream.raw_data();
    let header = jpeg(&bytes)?;
    let JpegHeader {
        width,
        height,
        components,
        ..
    } = header;
    let is_same_color = match (color_space(dict), components) {
        (Some(ColorSpace::Gray), 1) | (Some(ColorSpace::Rgb), 3) => true,
        (None, 1 | 3) => !dict.contains_key("ColorSpace") && !dict.contains_key("CS"),
        _ => false,
    };
    let is_sane = width.min(height) >= SIDE_PIXELS_MIN
        && u64::from(width) * u64::from(height) <= claim.pixels;
    (header.is_common && header.bits == 8 && is_same_color && is_sane).then(|| EncodedPicture {
        bytes: bytes.into_owned(),
        format: PictureFormat::Jpeg,
        width,
        height,
    })
}

fn is_default_decode(dict: &Dict<'_>) -> bool {
    let decode = dict.get::<Array<'_>>("D").or_else(|| dict.get("Decode"));
    decode.is_none_or(|decode| {
        let mut ranges = decode.iter::<(f32, f32)>();
        ranges.all(|range| range == (0.0, 1.0))
    })
}

/// A content stream that draws this image and nothing else.
fn drawing(stream: &Stream<'_>, resources: &Resources<'_>) -> Option<Vec<u8>> {
    let Some(id) = stream.dict().obj_id() else {
        let mut content = b"BI ".to_vec();
        let dict = stream.dict().data();
        content.extend(dict.strip_suffix(b"ID").unwrap_or(dict));
        content.extend(b" ID ");
        content.extend(stream.raw_data().iter());
        content.extend(b"\nEI\n");
        return Some(content);
    };
    let is_image = stream.dict().get::<Name<'_>>("Subtype")?.as_ref() == b"Image";
    let mut objects = resources.x_objects.entries();
    let (name, _) = objects.find(|(_, object)| match object {
        MaybeRef::Ref(reference) => ObjectIdentifier::from(*reference) == id,
        MaybeRef::NotRef(_) => false,
    })?;
    let mut content = b"/".to_vec();
    for byte in name.iter() {
        content.extend(format!("#{byte:02X}").into_bytes());
    }
    content.extend(b" Do\n");
    is_image.then_some(content)
}

/// A device that sees one image and draws nothing.
struct OneImage {
    target: Option<(u32, u32)>,
    found: Found,
}

enum Found {
    Nothing,
    Undecodable,
    Raster(ImageData, Option<LumaData>),
    Stencil(LumaData),
}

impl<'a> Device<'a> for OneImage {
    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_glyph_run(
        &mut self,
        _: &hayro_interpret::font::GlyphRun<'_, 'a>,
        _: DrawProps<'a>,
        _: &DrawMode,
    ) {
    }
    fn draw_image(&mut self, image: Image<'a, '_>, _: ImageDrawProps<'a>) {
        self.found = Found::Undecodable;
        let found = &mut self.found;
        match image {
            Image::Raster(raster) => raster.with_rgba(
                |image, alpha| *found = Found::Raster(image, alpha),
                self.target,
            ),
            Image::Stencil(stencil) => {
                stencil.with_stencil(|painted, _| *found = Found::Stencil(painted), self.target)
            }
        }
    }
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{stream, two_pages};
    use super::super::raster::tests::decoded;
    use super::*;

    /// Pixels either way of most pictures here.
    const SIDE: usize = 32;

    #[derive(Default)]
    struct Memory {
        pictures: Vec<EncodedPicture>,
        is_full: bool,
    }

    impl PictureSink for Memory {
        fn put(&mut self, page: u32, picture: &EncodedPicture) -> bool {
            assert_eq!(page, 1);
            if !self.is_full {
                self.pictures.push(picture.clone());
            }
            !self.is_full
        }
    }

    /// An image of 32 by 32 pixels unless its dictionary says otherwise.
    fn image(dict: &str, data: &[u8]) -> Vec<u8> {
        let size = if dict.contains("/Width") {
            ""
        } else {
            "/Width 32/Height 32"
        };
        stream(&format!("/Type/XObject/Subtype/Image{size}{dict}"), data)
    }

    /// Keeps the objects 5 and on, each drawn as an image of the first page.
    fn keep(
        objects: &[Vec<u8>],
        limits: &Limits,
        sink: &mut Memory,
    ) -> (Vec<Option<u32>>, MissingPictures) {
        let names: String = (5..5 + objects.len())
            .map(|id| format!("/X#20{id} {id} 0 R"))
            .collect();
        let page = format!("/Resources<</XObject<<{names}>>>>");
        let pdf = two_pages("", &page, objects);
        let mut pictures = Pictures::new(&pdf, limits);
        let resources = pdf.pages()[0].resources();
        let mut kept = Vec::new();
        for (_, object) in resources.x_objects.entries() {
            let id = object.as_obj_ref().unwrap().into();
            let stream: Stream<'_> = pdf.xref().get(id).unwrap();
            kept.push(pictures.keep(&stream, resources, 1, sink));
        }
        (kept, pictures.missing())
    }

    fn only(object: Vec<u8>, more: &[Vec<u8>]) -> (Option<EncodedPicture>, MissingPictures) {
        let mut sink = Memory::default();
        let objects: Vec<_> = std::iter::once(object)
            .chain(more.iter().cloned())
            .collect();
        let (kept, missing) = keep(&objects, &Limits::default(), &mut sink);
        let picture = kept[0].map(|index| sink.pictures[index as usize].clone());
        (picture, missing)
    }

    /// The colour type, bits and first samples of the PNG file that an image becomes.
    #[track_caller]
    fn check(object: Vec<u8>, more: &[Vec<u8>], color: png::ColorType, bits: u8, first: &[u8]) {
        let (picture, missing) = only(object, more);
        let picture = picture.expect("the picture is kept");
        assert_eq!(picture.format, PictureFormat::Png);
        let (own_color, own_bits, samples) = decoded(&picture.bytes);
        assert_eq!((own_color, own_bits), (color, bits));
        assert_eq!(&samples[..first.len()], first);
        assert_eq!(missing, MissingPictures::default());
    }

    /// As many pixels as an image has, the first of its own.
    fn pixels(first: &[u8], others: &[u8]) -> Vec<u8> {
        [first, &others.repeat(SIDE * SIDE - 1)].concat()
    }

    #[test]
    fn colours_come_out_as_they_are_shown() {
        use png::ColorType::{Grayscale, GrayscaleAlpha, Rgb, Rgba};
        let gray = "/ColorSpace/DeviceGray/BitsPerComponent 8";
        check(image(gray, &pixels(&[7], &[9])), &[], Grayscale, 8, &[7, 9]);
        let sixteen = "/ColorSpace/DeviceGray/BitsPerComponent 16";
        check(
            image(sixteen, &pixels(&[7, 0], &[9, 0])),
            &[],
            Grayscale,
            8,
            &[7, 9],
        );
        let inverted = format!("{gray}/Decode[1 0]");
        check(
            image(&inverted, &pixels(&[7], &[9])),
            &[],
            Grayscale,
            8,
            &[248, 246],
        );
        let rgb = "/ColorSpace/DeviceRGB/BitsPerComponent 8";
        check(
            image(rgb, &pixels(&[1, 2, 3], &[4, 5, 6])),
            &[],
            Rgb,
            8,
            &[1, 2, 3, 4, 5, 6],
        );
        let indexed = "/ColorSpace[/Indexed/DeviceRGB 1<FF000000FF00>]/BitsPerComponent 8";
        check(
            image(indexed, &pixels(&[1], &[0])),
            &[],
            Rgb,
            8,
            &[0, 255, 0, 255, 0, 0],
        );
        // Black and white in one bit stays so.
        let bits = "/ColorSpace/DeviceGray/BitsPerComponent 1";
        check(
            image(bits, &[[0x80, 0, 0, 1]; SIDE].concat()),
            &[],
            Grayscale,
            1,
            &[0x80, 0, 0, 1],
        );
        // No ink is white.
        let cmyk = "/ColorSpace/DeviceCMYK/BitsPerComponent 8";
        let ink = pixels(&[0, 0, 0, 0], &[0, 255, 255, 0]);
        check(image(cmyk, &ink), &[], Rgb, 8, &[255, 255, 255]);
        // Ones are where no paint goes.
        let stencil = "/ImageMask true/BitsPerComponent 1";
        check(
            image(stencil, &[[0x80, 0, 0, 1]; SIDE].concat()),
            &[],
            Grayscale,
            1,
            &[0x80, 0, 0, 1],
        );
        let key = format!("{gray}/Mask[7 7]");
        check(
            image(&key, &pixels(&[7], &[9])),
            &[],
            GrayscaleAlpha,
            8,
            &[7, 0, 9, 255],
        );
        let mask = image(gray, &pixels(&[100], &[200]));
        let masked = format!("{rgb}/SMask 6 0 R");
        let data = pixels(&[1, 2, 3], &[4, 5, 6]);
        check(
            image(&masked, &data),
            &[mask],
            Rgba,
            8,
            &[1, 2, 3, 100, 4, 5, 6, 200],
        );
    }

    /// Begins as a JPEG file of 32 by 32 pixels does.
    fn jpeg_file(components: u8) -> Vec<u8> {
        let mut file = vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, 0, 32, 0, 32, components];
        file.extend([0x11; 64]);
        file
    }

    #[test]
    fn common_jpeg_files_are_passed_through() {
        let passes = |dict: &str, components| {
            let file = jpeg_file(components);
            let (picture, _) = only(image(&format!("{dict}/Filter/DCTDecode"), &file), &[]);
            picture.is_some_and(|picture| {
                assert_eq!((picture.width, picture.height), (32, 32));
                picture.format == PictureFormat::Jpeg && picture.bytes == file
            })
        };
        assert!(passes("/ColorSpace/DeviceRGB", 3));
        assert!(passes("/ColorSpace/DeviceGray/Decode[0 1]", 1));
        assert!(passes("", 3));
        assert!(!passes("/ColorSpace/DeviceCMYK", 4));
        assert!(!passes("/ColorSpace/DeviceGray", 3));
        assert!(!passes("/ColorSpace/DeviceRGB/Decode[1 0 1 0 1 0]", 3));
        assert!(!passes("/ColorSpace/DeviceRGB/Mask[0 0 0 0 0 0]", 3));
        assert!(!passes("/Width 16/Height 16/ColorSpace/DeviceRGB", 3));
        // What is no JPEG file is unreadable.
        let (picture, missing) = only(image("/ColorSpace/DeviceRGB/Filter/DCTDecode", b"no"), &[]);
        assert_eq!((picture, missing.unreadable), (None, 1));
    }

    #[test]
    fn small_and_blank_ones_are_not_missed() {
        let gray = "/ColorSpace/DeviceGray/BitsPerComponent 8";
        let blank = image(gray, &pixels(&[7], &[7]));
        let small = image(&format!("{gray}/Width 31/Height 400"), &[0; 31 * 400]);
        let form = stream("/Type/XObject/Subtype/Form/Width 32/Height 32", b"");
        for object in [blank, small] {
            assert_eq!(only(object, &[]), (None, MissingPictures::default()));
        }
        assert_eq!(only(form, &[]).0, None);
    }

    #[test]
    fn claims_are_checked_before_decoding() {
        let left_out = |object: Vec<u8>, more: &[Vec<u8>]| {
            let (picture, missing) = only(object, more);
            assert_eq!(picture, None);
            missing.left_out
        };
        let gray = "/ColorSpace/DeviceGray/BitsPerComponent 8";
        assert_eq!(
            left_out(
                image(&format!("{gray}/Width 100000/Height 100000"), b""),
                &[]
            ),
            1
        );
        let fax = "/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns 100000000>>";
        assert_eq!(left_out(image(&format!("{gray}{fax}"), b"x"), &[]), 1);
        let mut jpx = vec![0xFF, 0x4F, 0xFF, 0x51, 0, 41, 0, 0];
        jpx.extend([0, 1, 0, 0, 0, 1, 0, 0]);
        jpx.extend([0; 40]);
        assert_eq!(left_out(image("/Filter/JPXDecode", &jpx), &[]), 1);
        let jbig2 = [
            0, 0, 0, 0, 48, 0, 1, 0, 0, 0, 19, 0, 0, 0xFF, 0, 0, 0, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0,
        ];
        assert_eq!(left_out(image("/Filter/JBIG2Decode", &jbig2), &[]), 1);
        // The mask of a small image.
        let mask = image(&format!("{gray}/Width 100000/Height 100000"), b"");
        let masked = format!("{gray}/SMask 6 0 R");
        assert_eq!(left_out(image(&masked, &pixels(&[7], &[9])), &[mask]), 2);
    }

    #[test]
    fn bounds_hold() {
        let gray = "/ColorSpace/DeviceGray/BitsPerComponent 8";
        let objects: Vec<Vec<u8>> = (0..4)
            .map(|first| image(gray, &pixels(&[first], &[9])))
            .collect();
        let kept = |limits: Limits| {
            let mut sink = Memory::default();
            let (kept, missing) = keep(&objects, &limits, &mut sink);
            let kept = kept.iter().flatten().count();
            assert_eq!(kept + missing.left_out as usize, objects.len());
            assert_eq!(kept, sink.pictures.len());
            kept
        };
        let limits = Limits::default();
        assert_eq!(kept(limits), 4);
        assert_eq!(
            kept(Limits {
                pictures: 3,
                ..limits
            }),
            3
        );
        assert_eq!(
            kept(Limits {
                pixels: 2_100,
                ..limits
            }),
            2
        );
        assert_eq!(
            kept(Limits {
                picture_pixels: 1_023,
                ..limits
            }),
            0
        );
        assert_eq!(
            kept(Limits {
                picture_bytes: 10,
                ..limits
            }),
            0
        );
        let mut full = Memory {
            is_full: true,
            ..Memory::default()
        };
        let (kept, missing) = keep(&objects, &limits, &mut full);
        assert_eq!((kept, missing.left_out), (vec![None; 4], 4));
    }

    #[test]
    fn the_same_picture_is_kept_once() {
        let gray = "/ColorSpace/DeviceGray/BitsPerComponent 8";
        let object = image(gray, &pixels(&[7], &[9]));
        let mut sink = Memory::default();
        let (kept, _) = keep(&[object.clone(), object], &Limits::default(), &mut sink);
        assert_eq!((kept, sink.pictures.len()), (vec![Some(0), Some(0)], 1));
    }

    #[test]
    fn inline_images_are_pictures_too() {
        let data: String = (0..SIDE * SIDE)
            .map(|at| format!("{:02X}", at % 251))
            .collect();
        let content = format!("BI /W 32/H 32/CS/G/BPC 8/F/AHx ID {data}> EI");
        let pdf = two_pages("", "/Contents 5 0 R", &[stream("", content.as_bytes())]);
        let page = &pdf.pages()[0];
        let mut pictures = Pictures::new(&pdf, &Limits::default());
        let mut sink = Memory::default();
        let mut operators = page.typed_operations();
        let mut kept = Vec::new();
        while let Some(operator) = operators.next() {
            if let hayro_syntax::content::ops::TypedInstruction::InlineImage(image) = operator {
                kept.push(pictures.keep(image.0, page.resources(), 1, &mut sink));
            }
        }
        assert_eq!(kept, [Some(0)]);
        let (_, _, samples) = decoded(&sink.pictures[0].bytes);
        assert_eq!(samples[..3], [0, 1, 2]);
    }
}
