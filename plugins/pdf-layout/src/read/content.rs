//! Content streams: what the operators of a page draw, as plain glyphs, rules, fills and places of
//! pictures. Colours are followed as far as light and dark; nothing is painted.
//!
//! Invariant: operators, glyphs and nesting stay within the limits whatever the streams say; a number
//! that is not finite draws nothing.

use hayro_font::kurbo::{Affine, Point, Rect as KurboRect};
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction as Op;
use hayro_syntax::object::dict::keys::{
    ACTUAL_TEXT, BBOX, MATRIX, MCID, RESOURCES, STRUCT_PARENTS, SUBTYPE,
};
use hayro_syntax::object::{
    Array, Dict, Name, Number, Object, Rect as PdfRect, Stream, String as PdfString,
};
use hayro_syntax::page::Resources;

use super::annotation::Appearance;
use super::colour::Colour;
use super::font::{Fonts, UNKNOWN};
use super::inflated;
use super::layers::Layers;
use super::path::{PathBuilder, place};
use super::picture::{PictureSink, Pictures};
use super::text_string;
use crate::geometry::Rect;
use crate::limits::Limits;
use crate::page::{Cut, Glyph, Page, PlacedPicture, Turn};

/// The matrix of a form that has none.
const IDENTITY: [f64; 6] = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];
/// Bytes of the forms of a page, counted each time they are drawn.
const FORM_BYTES_MAX: usize = 256 << 20;
/// States that a page may save.
const SAVED_STATES_MAX: usize = 512;
/// Marked contents within each other.
const MARKED_DEPTH_MAX: usize = 512;
/// Longest text that a marked content may be replaced by, in characters.
const ACTUAL_CHARS_MAX: usize = 2_000;
/// Sizes of text beyond this, in points, are a mistake of the file.
const SIZE_MAX: f64 = 5_000.0;
/// How far from an axis, as a share of its length, a line of text still counts as along it: 5 degrees.
const SLANT_MAX: f64 = 0.09;

#[derive(Clone)]
struct State {
    matrix: Affine,
    font: Option<u16>,
    size: f64,
    char_space: f64,
    word_space: f64,
    /// Horizontal scaling, 1 for 100 %.
    scale: f64,
    leading: f64,
    rise: f64,
    mode: i64,
    fill: Colour,
    stroke: Colour,
    line_width: f64,
}

impl State {
    fn new(matrix: Affine) -> Self {
        Self {
            matrix,
            font: None,
            size: 1.0,
            char_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
            mode: 0,
            fill: Colour::BLACK,
            stroke: Colour::BLACK,
            line_width: 1.0,
        }
    }
}

/// Marked content that is open.
#[derive(Clone, Default)]
struct Marked {
    content_id: Option<u32>,
    is_artifact: bool,
    is_hidden: bool,
    /// The text to read instead, and the glyph from which on.
    actual: Option<(String, usize)>,
}

/// Follows the content of one page.
pub(crate) struct Interpreter<'r, 'a> {
    pub(crate) fonts: &'r mut Fonts<'a>,
    pub(crate) pictures: &'r mut Pictures<'a>,
    pub(crate) sink: &'r mut dyn PictureSink,
    pub(crate) layers: &'r Layers,
    pub(crate) limits: &'r Limits,
    pub(crate) page: Page,
    operators: u32,
    state: State,
    saved: Vec<State>,
    marked: Vec<Marked>,
    text_matrix: Affine,
    line_matrix: Affine,
    path: PathBuilder,
    /// Marked contents of forms with a numbering of their own are not those of the page.
    foreign_ids: u32,
    /// Bytes of the forms that were followed: one that is drawn a thousand times counts as often.
    form_bytes: usize,
}

impl<'r, 'a> Interpreter<'r, 'a> {
    pub(crate) fn new(
        page: Page,
        matrix: Affine,
        fonts: &'r mut Fonts<'a>,
        (pictures, sink): (&'r mut Pictures<'a>, &'r mut dyn PictureSink),
        layers: &'r Layers,
        limits: &'r Limits,
    ) -> Self {
        Self {
            fonts,
            pictures,
            sink,
            layers,
            limits,
            page,
            operators: 0,
            state: State::new(matrix),
            saved: Vec::new(),
            marked: Vec::new(),
            text_matrix: Affine::IDENTITY,
            line_matrix: Affine::IDENTITY,
            path: PathBuilder::default(),
            foreign_ids: 0,
            form_bytes: 0,
        }
    }

    fn is_over(&mut self) -> bool {
        self.operators += 1;
        if self.operators > self.limits.operators_per_page {
            self.page.cut = Some(Cut::Operators);
        }
        matches!(self.page.cut, Some(Cut::Operators | Cut::Glyphs))
    }

    /// Follows a content stream with its resources.
    pub(crate) fn run(&mut self, mut ops: TypedIter<'_>, resources: &Resources<'a>, depth: u32) {
        while let Some(op) = ops.next() {
            if self.is_over() {
                return;
            }
            self.step(&op, resources, depth);
        }
    }

    fn step(&mut self, op: &Op<'_, '_>, resources: &Resources<'a>, depth: u32) {
        match op {
            Op::SaveState(_) => {
                if self.saved.len() < SAVED_STATES_MAX {
                    self.saved.push(self.state.clone());
                }
            }
            Op::RestoreState(_) => {
                if let Some(state) = self.saved.pop() {
                    self.state = state;
                }
            }
            Op::Transform(m) => {
                let matrix = affine([&m.0, &m.1, &m.2, &m.3, &m.4, &m.5]);
                self.state.matrix *= matrix;
            }
            Op::LineWidth(w) => self.state.line_width = w.0.as_f64(),
            Op::XObject(name) => self.x_object(name.0, resources, depth),
            Op::InlineImage(image) => self.picture(image.0, resources),
            Op::BeginMarkedContent(mark) => self.begin_marked(mark.0, None, resources),
            Op::BeginMarkedContentWithProperties(mark) => {
                self.begin_marked(mark.0, Some(mark.1), resources);
            }
            Op::EndMarkedContent(_) => self.end_marked(),
            _ => {
                if !self.text_op(op, resources) && !self.path_op(op) {
                    self.colour_op(op, resources);
                }
            }
        }
    }

    fn text_op(&mut self, op: &Op<'_, '_>, resources: &Resources<'a>) -> bool {
        match op {
            Op::BeginText(_) => {
                self.text_matrix = Affine::IDENTITY;
                self.line_matrix = Affine::IDENTITY;
            }
            Op::EndText(_) => {}
            Op::CharacterSpacing(n) => self.state.char_space = n.0.as_f64(),
            Op::WordSpacing(n) => self.state.word_space = n.0.as_f64(),
            Op::HorizontalScaling(n) => self.state.scale = n.0.as_f64() / 100.0,
            Op::TextLeading(n) => self.state.leading = n.0.as_f64(),
            Op::TextRise(n) => self.state.rise = n.0.as_f64(),
            Op::TextRenderingMode(n) => self.state.mode = n.0.as_i64(),
            Op::TextFont(font) => {
                self.state.size = font.1.as_f64();
                let dict = resources.get_font(font.0);
                self.state.font = dict.and_then(|dict| self.fonts.load(&dict));
            }
            Op::NextLine(by) => self.next_line(by.0.as_f64(), by.1.as_f64()),
            Op::NextLineAndSetLeading(by) => {
                self.state.leading = -by.1.as_f64();
                self.next_line(by.0.as_f64(), by.1.as_f64());
            }
            Op::SetTextMatrix(m) => {
                self.text_matrix = affine([&m.0, &m.1, &m.2, &m.3, &m.4, &m.5]);
                self.line_matrix = self.text_matrix;
            }
            Op::NextLineUsingLeading(_) => self.next_line(0.0, -self.state.leading),
            Op::ShowText(text) => self.show(text.0.as_bytes()),
            Op::NextLineAndShowText(text) => {
                self.next_line(0.0, -self.state.leading);
                self.show(text.0.as_bytes());
            }
            Op::ShowTextWithParameters(text) => {
                self.state.word_space = text.0.as_f64();
                self.state.char_space = text.1.as_f64();
                self.next_line(0.0, -self.state.leading);
                self.show(text.2.as_bytes());
            }
            Op::ShowTexts(texts) => self.show_all(texts.0),
            _ => return false,
        }
        true
    }

    fn path_op(&mut self, op: &Op<'_, '_>) -> bool {
        let matrix = self.state.matrix;
        let path = &mut self.path;
        match op {
            Op::MoveTo(p) => path.move_to(matrix * point(&p.0, &p.1)),
            Op::LineTo(p) => path.line_to(matrix * point(&p.0, &p.1)),
            Op::CubicTo(p) => path.curve_to(matrix * point(&p.4, &p.5)),
            Op::CubicStartTo(p) => path.curve_to(matrix * point(&p.2, &p.3)),
            Op::CubicEndTo(p) => path.curve_to(matrix * point(&p.2, &p.3)),
            Op::ClosePath(_) => path.close(),
            Op::RectPath(r) => {
                let (x, y) = (r.0.as_f64(), r.1.as_f64());
                let (w, h) = (r.2.as_f64(), r.3.as_f64());
                let corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)];
                path.rect(corners.map(|corner| matrix * Point::from(corner)));
            }
            Op::StrokePath(_) => self.paint(false, true),
            Op::CloseAndStrokePath(_) => {
                path.close();
                self.paint(false, true);
            }
            Op::FillPathNonZero(_)
            | Op::FillPathNonZeroCompatibility(_)
            | Op::FillPathEvenOdd(_) => {
                self.paint(true, false);
            }
            Op::FillAndStrokeNonZero(_) | Op::FillAndStrokeEvenOdd(_) => self.paint(true, true),
            Op::CloseFillAndStrokeNonZero(_) | Op::CloseFillAndStrokeEvenOdd(_) => {
                path.close();
                self.paint(true, true);
            }
            Op::EndPath(_) => path.clear(),
            _ => return false,
        }
        true
    }

    fn paint(&mut self, fills: bool, strokes: bool) {
        let is_hidden = self.marked.last().is_some_and(|mark| mark.is_hidden);
        let State {
            matrix,
            fill,
            stroke,
            ..
        } = &self.state;
        let [a, b, c, d, ..] = matrix.as_coeffs();
        let width = self.state.line_width * (a * d - b * c).abs().sqrt();
        let max = self.limits.rules_per_page as usize;
        if !is_hidden && self.page.rules.len() + self.page.fills.len() < max {
            let fill = fills.then_some(fill.luma);
            let stroke = strokes.then_some((stroke.luma, width));
            self.path.paint(&mut self.page, fill, stroke);
        }
        self.path.clear();
    }

    fn colour_op(&mut self, op: &Op<'_, '_>, resources: &Resources<'a>) {
        let State { fill, stroke, .. } = &mut self.state;
        match op {
            Op::NonStrokeColorDeviceGray(c) => fill.set(&[&c.0]),
            Op::StrokeColorDeviceGray(c) => stroke.set(&[&c.0]),
            Op::NonStrokeColorDeviceRgb(c) => fill.set(&[&c.0, &c.1, &c.2]),
            Op::StrokeColorDeviceRgb(c) => stroke.set(&[&c.0, &c.1, &c.2]),
            Op::NonStrokeColorCmyk(c) => fill.set(&[&c.0, &c.1, &c.2, &c.3]),
            Op::StrokeColorCmyk(c) => stroke.set(&[&c.0, &c.1, &c.2, &c.3]),
            Op::ColorSpaceNonStroke(space) => fill.set_space(space.0, resources),
            Op::ColorSpaceStroke(space) => stroke.set_space(space.0, resources),
            Op::NonStrokeColor(c) => fill.set_in_space(&c.0),
            Op::StrokeColor(c) => stroke.set_in_space(&c.0),
            Op::NonStrokeColorNamed(c) => fill.set_in_space(&c.0),
            Op::StrokeColorNamed(c) => stroke.set_in_space(&c.0),
            _ => {}
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line_matrix *= Affine::translate((x, y));
        self.text_matrix = self.line_matrix;
    }

    fn show_all(&mut self, texts: &Array<'_>) {
        for object in texts.iter::<Object<'_>>() {
            match object {
                Object::String(text) => self.show(text.as_bytes()),
                Object::Number(by) => {
                    let by = -by.as_f64() / 1_000.0 * self.state.size;
                    let is_vertical = self.is_vertical();
                    self.advance(by, is_vertical);
                }
                _ => {}
            }
            if self.is_over() {
                return;
            }
        }
    }

    fn is_vertical(&mut self) -> bool {
        let font = self.state.font.and_then(|font| self.fonts.get(font));
        font.is_some_and(|font| font.is_vertical)
    }

    fn advance(&mut self, by: f64, is_vertical: bool) {
        let by = match is_vertical {
            true => (0.0, by),
            false => (by * self.state.scale, 0.0),
        };
        self.text_matrix *= Affine::translate(by);
    }

    fn show(&mut self, bytes: &[u8]) {
        let Some(index) = self.state.font else {
            return;
        };
        let mut at = 0;
        while at < bytes.len() {
            let Some(font) = self.fonts.get(index) else {
                return;
            };
            let (code, length) = font.code(bytes, at);
            at += length;
            let (is_vertical, em_scale) = (font.is_vertical, font.em_scale);
            let decoded = font.decoded(code);
            let advance = decoded.advance;
            let mut text = [UNKNOWN; 16];
            let count = decoded.text.len().min(text.len());
            text[..count].copy_from_slice(&decoded.text[..count]);
            self.glyph(&text[..count], index, advance, is_vertical, em_scale);
            let mut by = advance * self.state.size + self.state.char_space;
            if length == 1 && bytes[at - 1] == b' ' {
                by += self.state.word_space;
            }
            self.advance(by, is_vertical);
            if self.page.glyphs.len() >= self.limits.glyphs_per_page as usize {
                self.page.cut = Some(Cut::Glyphs);
                return;
            }
        }
    }

    /// Adds a glyph at the current place.
    fn glyph(&mut self, text: &[char], font: u16, advance: f64, is_vertical: bool, em_scale: f64) {
        let mark = self.marked.last();
        if text.is_empty() || mark.is_some_and(|mark| mark.is_hidden) {
            return;
        }
        let State {
            size, scale, rise, ..
        } = self.state;
        let matrix = self.state.matrix
            * self.text_matrix
            * Affine::new([size * scale, 0.0, 0.0, size, 0.0, rise]);
        let origin = matrix * Point::ZERO;
        let up = matrix * Point::new(0.0, 1.0) - origin;
        let along = match is_vertical {
            true => matrix * Point::new(0.0, -1.0) - origin,
            false => matrix * Point::new(1.0, 0.0) - origin,
        };
        let (length, em) = (along.hypot(), up.hypot());
        let is_sane = origin.x.is_finite() && origin.y.is_finite() && length > 0.0 && em > 0.0;
        if !is_sane || em > SIZE_MAX || length > SIZE_MAX {
            return;
        }
        let turn = turn_of(along.x / length, along.y / length);
        let (width, height) = (f64::from(self.page.width), f64::from(self.page.height));
        if !(-1.0..=width + 1.0).contains(&origin.x) || !(-1.0..=height + 1.0).contains(&origin.y) {
            return;
        }
        let (x, mut y) = match turn {
            Turn::None => (origin.x, origin.y),
            Turn::Quarter => (origin.y, width - origin.x),
            Turn::Half => (width - origin.x, height - origin.y),
            Turn::ThreeQuarters => (height - origin.y, origin.x),
        };
        if is_vertical {
            // The glyph stands in the middle of its column; half an em below that is like a baseline.
            y += 0.35 * em;
        }
        let step = advance.abs() * length / text.len() as f64;
        for (n, c) in (0_u32..).zip(text) {
            let x0 = x + step * f64::from(n);
            self.page.glyphs.push(Glyph {
                char: *c,
                font,
                size: (em * em_scale) as f32,
                x0: x0 as f32,
                x1: (x0 + step) as f32,
                baseline: y as f32,
                turn,
                content_id: mark.and_then(|mark| mark.content_id),
                is_artifact: mark.is_some_and(|mark| mark.is_artifact),
                is_invisible: self.state.mode == 3,
            });
        }
    }

    /// Follows the appearance of an annotation, fitted into its box as the format says (ISO 32000-2,
    /// 12.5.5).
    pub(crate) fn appearance(
        &mut self,
        appearance: &Appearance<'a>,
        page: Affine,
        resources: &Resources<'a>,
    ) {
        let dict = appearance.form.dict();
        let Some(bbox) = dict.get::<PdfRect>(BBOX) else {
            return;
        };
        let matrix = Affine::new(dict.get::<[f64; 6]>(MATRIX).unwrap_or(IDENTITY));
        let bbox = matrix.transform_rect_bbox(KurboRect::new(bbox.x0, bbox.y0, bbox.x1, bbox.y1));
        let rect = appearance.rect;
        let is_sane = bbox.width() > 0.0 && bbox.height() > 0.0;
        if !is_sane || self.layers.hides_object(dict) {
            return;
        }
        let (x, y) = (rect.width() / bbox.width(), rect.height() / bbox.height());
        let fit = Affine::translate((rect.x0, rect.y0))
            * Affine::scale_non_uniform(x, y)
            * Affine::translate((-bbox.x0, -bbox.y0));
        self.saved.clear();
        self.marked.clear();
        self.state = State::new(page * fit);
        self.form(&appearance.form, resources, 1);
    }

    fn x_object(&mut self, name: &Name<'_>, resources: &Resources<'a>, depth: u32) {
        let Some(stream) = resources.get_x_object(name) else {
            return;
        };
        let dict = stream.dict();
        if self.layers.hides_object(dict) {
            return;
        }
        match dict.get::<Name<'_>>(SUBTYPE).as_deref() {
            Some(b"Image") => self.picture(&stream, resources),
            Some(b"Form") => self.form(&stream, resources, depth),
            _ => {}
        }
    }

    fn form(&mut self, stream: &Stream<'a>, resources: &Resources<'a>, depth: u32) {
        if depth >= self.limits.nesting {
            self.page.cut = self.page.cut.or(Some(Cut::Nesting));
            return;
        }
        if !inflated::is_bounded(stream) {
            self.page.cut = self.page.cut.or(Some(Cut::Operators));
            return;
        }
        let Ok(data) = stream.decoded_data() else {
            return;
        };
        self.form_bytes = self.form_bytes.saturating_add(data.len());
        if self.form_bytes > FORM_BYTES_MAX {
            self.page.cut = Some(Cut::Operators);
            return;
        }
        let dict = stream.dict();
        let state = self.state.clone();
        let (saved, marked) = (self.saved.len(), self.marked.len());
        let text = (self.text_matrix, self.line_matrix);
        if let Some(m) = dict.get::<[f64; 6]>(MATRIX) {
            self.state.matrix *= Affine::new(m);
        }
        let is_foreign = dict.contains_key(STRUCT_PARENTS);
        self.foreign_ids += u32::from(is_foreign);
        let own = dict.get::<Dict<'a>>(RESOURCES).map(Resources::new);
        self.run(
            TypedIter::new(&data),
            own.as_ref().unwrap_or(resources),
            depth + 1,
        );
        self.foreign_ids -= u32::from(is_foreign);
        self.saved.truncate(saved);
        while self.marked.len() > marked {
            self.end_marked();
        }
        self.state = state;
        (self.text_matrix, self.line_matrix) = text;
        self.path.clear();
    }

    fn picture(&mut self, stream: &Stream<'_>, resources: &Resources<'a>) {
        let mark = self.marked.last();
        if mark.is_some_and(|mark| mark.is_hidden) {
            return;
        }
        let corners = [(0.0, 0.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)];
        let corners = corners.map(|corner| self.state.matrix * Point::from(corner));
        let Some(rect) = Rect::of_points(corners.iter().map(place)) else {
            return;
        };
        let is_sane = [rect.x0, rect.y0, rect.x1, rect.y1]
            .iter()
            .all(|n| n.is_finite());
        let is_seen = rect.x1 > 0.0
            && rect.y1 > 0.0
            && rect.x0 < self.page.width
            && rect.y0 < self.page.height;
        if !is_sane || !is_seen {
            return;
        }
        let (content_id, is_artifact) =
            mark.map_or((None, false), |mark| (mark.content_id, mark.is_artifact));
        if self.page.pictures.len() >= self.limits.pictures as usize || is_artifact {
            return;
        }
        let picture = self
            .pictures
            .keep(stream, resources, self.page.number, self.sink);
        self.page.pictures.push(PlacedPicture {
            rect,
            picture,
            content_id,
            glyphs_before: u32::try_from(self.page.glyphs.len()).unwrap_or(u32::MAX),
        });
    }

    fn begin_marked(
        &mut self,
        tag: &Name<'_>,
        properties: Option<&Object<'_>>,
        resources: &Resources<'a>,
    ) {
        let mut mark = self.marked.last().cloned().unwrap_or_default();
        mark.actual = None;
        let tag: &[u8] = tag.as_ref();
        mark.is_artifact |= tag == b"Artifact";
        let named;
        let dict = match properties {
            Some(Object::Dict(dict)) => Some(dict),
            Some(Object::Name(name)) => {
                if tag == b"OC" {
                    mark.is_hidden |= self.layers.hides(&resources.properties, name.as_ref());
                }
                named = resources.properties.get::<Dict<'_>>(name);
                named.as_ref()
            }
            _ => None,
        };
        if let Some(dict) = dict {
            if let Some(id) = dict.get::<u32>(MCID) {
                mark.content_id = (self.foreign_ids == 0).then_some(id);
            }
            if let Some(text) = dict.get::<PdfString<'_>>(ACTUAL_TEXT) {
                let text = text_string::decode(text.as_bytes());
                let text = text.chars().filter(|c| !c.is_control());
                mark.actual = Some((
                    text.take(ACTUAL_CHARS_MAX).collect(),
                    self.page.glyphs.len(),
                ));
            }
        }
        if self.marked.len() < MARKED_DEPTH_MAX {
            self.marked.push(mark);
        }
    }

    fn end_marked(&mut self) {
        let Some(mark) = self.marked.pop() else {
            return;
        };
        if let Some((text, from)) = mark.actual {
            replace(&mut self.page.glyphs, from, &text);
        }
    }
}

/// Lets the glyphs from `from` on read as `text`, spread over the place they took.
fn replace(glyphs: &mut Vec<Glyph>, from: usize, text: &str) {
    let Some(first) = glyphs.get(from).copied() else {
        return;
    };
    let of_line = glyphs[from..].iter();
    let is_one_line = of_line
        .clone()
        .all(|glyph| glyph.turn == first.turn && glyph.baseline == first.baseline);
    let count = text.chars().count();
    if !is_one_line || count == 0 {
        // What runs over lines cannot be placed; an empty text hides what is only decoration.
        if count == 0 {
            glyphs.truncate(from);
        }
        return;
    }
    let end = of_line.map(|glyph| glyph.x1).fold(first.x1, f32::max);
    let step = (end - first.x0) / count as f32;
    glyphs.truncate(from);
    for (n, c) in (0_u16..).zip(text.chars()) {
        let x0 = first.x0 + step * f32::from(n);
        glyphs.push(Glyph {
            char: c,
            x0,
            x1: x0 + step,
            ..first
        });
    }
}

/// The nearest quarter turn of a direction of unit length.
fn turn_of(x: f64, y: f64) -> Turn {
    let is_level = y.abs() <= SLANT_MAX;
    match (is_level, x.abs() >= y.abs()) {
        (true, _) if x > 0.0 => Turn::None,
        (true, _) => Turn::Half,
        (false, true) if x > 0.0 => Turn::None,
        (false, true) => Turn::Half,
        (false, false) if y > 0.0 => Turn::Quarter,
        (false, false) => Turn::ThreeQuarters,
    }
}

fn point(x: &Number, y: &Number) -> Point {
    Point::new(x.as_f64(), y.as_f64())
}

fn affine(numbers: [&Number; 6]) -> Affine {
    Affine::new(numbers.map(Number::as_f64))
}
