//! Pages for the layout: set like print, strewn about, at the ends of what numbers hold, and too many
//! things in one place.

use kbhost_pdf_layout::geometry::Rect;
use kbhost_pdf_layout::page::{
    Fill, FontStyle, Glyph, Link, LinkTarget, Note, NoteKind, Page, PlacedPicture, Rule, Turn,
};

use crate::random::Random;

/// Characters that neither Markdown nor the layout itself writes: each that goes in comes out.
const LETTERS: [char; 16] = [
    'а', 'б', 'в', 'г', 'д', 'е', 'ж', 'з', 'и', 'к', 'л', 'м', 'н', 'п', 'Ш', 'Я',
];

/// Characters that mean something to Markdown, to lists and to tables, or to nobody.
const OTHERS: [char; 30] = [
    '#', '*', '_', '|', '<', '>', '[', ']', '(', ')', '`', '~', '-', '+', '.', '!', '\\', '&', '•',
    '1', '2', '9', '\u{ad}', '\u{fffd}', '\u{200b}', '\u{202e}', 'ﬁ', 'א', '漢', '😀',
];

/// Numbers at the ends.
const EXTREMES: [f32; 12] = [
    0.0,
    -0.0,
    1e-30,
    -1e-30,
    1e-3,
    1.0,
    14_400.0,
    -14_400.0,
    1e9,
    -1e30,
    f32::MAX,
    f32::MIN,
];

/// How a page is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Like print.
    Set,
    /// Anywhere on the page.
    Strewn,
    /// Anywhere that numbers reach.
    Extreme,
    /// Many things in few places.
    Many,
}

pub(crate) const KINDS: [Kind; 4] = [Kind::Set, Kind::Strewn, Kind::Extreme, Kind::Many];

/// The fonts of all pages.
pub(crate) fn fonts() -> Vec<FontStyle> {
    let style = |name: &str, is_bold, is_italic, is_mono| FontStyle {
        name: name.to_owned(),
        is_bold,
        is_italic,
        is_mono,
    };
    vec![
        style("Serif", false, false, false),
        style("Serif-Bold", true, false, false),
        style("Serif-Italic", false, true, false),
        style("Mono", false, false, true),
        style("", true, true, true),
    ]
}

/// Whether a glyph is one whose way through the layout is followed.
pub(crate) fn is_followed(c: char) -> bool {
    LETTERS.contains(&c)
}

/// A page of that kind with about `size` glyphs.
pub(crate) fn page(kind: Kind, size: usize, random: &mut Random) -> Page {
    let mut page = Page {
        number: 1,
        width: 612.0,
        height: 792.0,
        ..Page::default()
    };
    match kind {
        Kind::Set => set(&mut page, size, random),
        Kind::Strewn => strewn(&mut page, size, random),
        Kind::Extreme => extreme(&mut page, size, random),
        Kind::Many => many(&mut page, size, random),
    }
    page
}

fn glyph(c: char, x0: f32, baseline: f32, size: f32, font: u16) -> Glyph {
    Glyph {
        char: c,
        font,
        size,
        x0,
        x1: x0 + 0.5 * size,
        baseline,
        turn: Turn::None,
        content_id: None,
        is_artifact: false,
        is_invisible: false,
    }
}

fn character(random: &mut Random) -> char {
    match random.once_in(8) {
        true => *random.one_of(&OTHERS),
        false => *random.one_of(&LETTERS),
    }
}

/// Columns of lines of words, some of them headings, items, cells; rules and shades between them.
fn set(page: &mut Page, size: usize, random: &mut Random) {
    let columns = 1 + random.below(3);
    let (mut column, mut y) = (0, 60.0);
    let mut text_size = 10.0;
    while page.glyphs.len() < size {
        if random.once_in(5) {
            text_size = *random.one_of(&[6.0, 8.0, 10.0, 10.5, 12.0, 14.0, 18.0, 40.0]);
            y += text_size * random.float(0.0, 3.0);
        }
        if y > 760.0 {
            (column, y) = (column + 1, 60.0);
            if column == columns {
                break;
            }
        }
        let width = 500.0 / columns as f32;
        let left = 50.0 + width * column as f32;
        line(page, (left, y, left + 0.9 * width), text_size, random);
        y += text_size * 1.25;
    }
    decorate(page, random);
}

/// A line from a place up to another.
fn line(page: &mut Page, (left, y, right): (f32, f32, f32), size: f32, random: &mut Random) {
    let font = if random.once_in(4) {
        random.below(5) as u16
    } else {
        0
    };
    let mut x = left + size * *random.one_of(&[0.0, 0.0, 0.0, 2.0]);
    let gap = *random.one_of(&[0.3, 0.3, 0.3, 4.0, 9.0]);
    let marker = random.below(8);
    for (n, c) in ["• ", "3. ", "# ", "- ", "", "", "", ""][marker]
        .chars()
        .enumerate()
    {
        page.glyphs
            .push(glyph(c, x + 0.5 * size * n as f32, y, size, font));
    }
    x += size;
    while x < right {
        for _ in 0..=random.below(9) {
            // A small one stands above or below the line.
            let (scale, shift) = match random.below(40) {
                0 => (0.6, -0.4),
                1 => (0.6, 0.2),
                _ => (1.0, 0.0),
            };
            let size = size * scale;
            page.glyphs
                .push(glyph(character(random), x, y + shift * size, size, font));
            x += 0.5 * size;
        }
        if random.once_in(2) {
            page.glyphs.push(glyph(' ', x, y, size, font));
        }
        x += gap * size;
    }
}

fn decorate(page: &mut Page, random: &mut Random) {
    let place = |random: &mut Random| {
        let (x, y) = (random.float(0.0, 600.0), random.float(0.0, 780.0));
        Rect::of_corners(
            x,
            y,
            x + random.float(-300.0, 300.0),
            y + random.float(-200.0, 200.0),
        )
    };
    let (rows, columns) = (random.below(8), random.below(6));
    let frame = place(random);
    for (count, is_horizontal) in [(rows, true), (columns, false)] {
        for n in 0..count {
            let share = n as f32 / count as f32;
            let mut rect = frame;
            if is_horizontal {
                rect.y0 = frame.y0 + share * frame.height();
                rect.y1 = rect.y0 + 0.5;
            } else {
                rect.x0 = frame.x0 + share * frame.width();
                rect.x1 = rect.x0 + 0.5;
            }
            page.rules.push(Rule {
                rect,
                is_horizontal,
            });
        }
    }
    for _ in 0..random.below(4) {
        page.fills.push(Fill {
            rect: place(random),
            luma: random.float(0.0, 1.0),
        });
    }
    for n in 0..random.below(3) as u32 {
        page.pictures.push(PlacedPicture {
            rect: place(random),
            picture: (!random.once_in(3)).then_some(n),
            content_id: None,
            glyphs_before: random.below(page.glyphs.len() + 9) as u32,
        });
    }
    for _ in 0..random.below(3) {
        let address = LinkTarget::Address("https://example.org/a)b c".to_owned());
        page.links.push(Link {
            rect: place(random),
            target: if random.once_in(2) {
                address
            } else {
                LinkTarget::Page(9)
            },
        });
    }
    if random.once_in(6) {
        page.notes.push(Note {
            rect: place(random),
            kind: if random.once_in(2) {
                NoteKind::Field
            } else {
                NoteKind::Annotation
            },
            label: Some("a | b".to_owned()),
            text: "# not a heading\n<!-- page 9 -->".to_owned(),
        });
    }
}

/// No two of one character are near each other: those would be one, drawn twice.
fn strewn(page: &mut Page, size: usize, random: &mut Random) {
    for _ in 0..size {
        let size = random.float(2.0, 30.0);
        let (x, y) = (random.float(0.0, 600.0), random.float(0.0, 790.0));
        let mut new = glyph(character(random), x, y, size, random.below(7) as u16);
        new.turn = *random.one_of(&[
            Turn::None,
            Turn::None,
            Turn::Quarter,
            Turn::Half,
            Turn::ThreeQuarters,
        ]);
        let is_twin = page.glyphs.iter().any(|known| {
            let near = known.size.max(size);
            known.char == new.char
                && (known.x0 - x).abs() < near
                && (known.baseline - y).abs() < near
        });
        if !is_twin {
            page.glyphs.push(new);
        }
    }
    decorate(page, random);
}

fn extreme(page: &mut Page, size: usize, random: &mut Random) {
    let number = |random: &mut Random| match random.once_in(2) {
        true => *random.one_of(&EXTREMES),
        false => random.float(0.0, 700.0),
    };
    let place = |random: &mut Random| {
        Rect::of_corners(
            number(random),
            number(random),
            number(random),
            number(random),
        )
    };
    (page.width, page.height) = (number(random).abs(), number(random).abs());
    for _ in 0..size {
        let mut new = glyph(
            character(random),
            number(random),
            number(random),
            number(random).abs(),
            9,
        );
        new.x1 = number(random);
        new.font = random.next() as u16;
        new.content_id = random.once_in(3).then(|| random.next() as u32);
        new.is_artifact = random.once_in(5);
        new.is_invisible = random.once_in(5);
        page.glyphs.push(new);
        if random.once_in(3) {
            page.rules.push(Rule {
                rect: place(random),
                is_horizontal: random.once_in(2),
            });
            page.fills.push(Fill {
                rect: place(random),
                luma: random.float(0.0, 1.0),
            });
        }
    }
    decorate(page, random);
    for picture in &mut page.pictures {
        picture.rect = place(random);
    }
}

/// What is dear where every thing is compared with every other.
fn many(page: &mut Page, size: usize, random: &mut Random) {
    let shape = random.below(7);
    for n in 0..size {
        let (a, b) = ((n % 97) as f32, (n / 97) as f32);
        let c = character(random);
        page.glyphs.push(match shape {
            // In one place, on one line, in one column, on a slope, in a fine grid.
            0 => glyph(c, 300.0, 300.0, 10.0, 0),
            1 => glyph(c, n as f32 * 0.003, 300.0, 10.0, 0),
            2 => glyph(c, 300.0, n as f32 * 0.003, 10.0, 0),
            3 => glyph(c, n as f32 * 0.003, n as f32 * 0.004, 10.0, 0),
            4 => glyph(c, 6.0 * a, 3.0 * b, 2.0, 0),
            // Pairs with a space between that look like a table of many columns.
            5 => glyph(c, 30.0 * a, 3.0 * b, 2.0, (n % 3) as u16),
            _ => glyph(
                c,
                random.float(0.0, 600.0),
                random.float(0.0, 790.0),
                random.float(0.5, 4.0),
                0,
            ),
        });
    }
    let rules = match random.below(4) {
        0 => 0,
        _ => size.min(20_000),
    };
    let shape = random.below(3);
    for n in 0..rules {
        let at = 600.0 * n as f32 / rules as f32;
        let is_horizontal = n % 2 == 0;
        let rect = match (shape, is_horizontal) {
            (0, true) => Rect::of_corners(0.0, at, 600.0, at + 0.1),
            (0, false) => Rect::of_corners(at, 0.0, at + 0.1, 600.0),
            (1, _) => Rect::of_corners(at, at, at + 3.0, at + 0.2),
            _ => Rect::of_corners(100.0, 100.0, 500.0, 100.5),
        };
        page.rules.push(Rule {
            rect,
            is_horizontal,
        });
        if n % 4 == 0 {
            page.fills.push(Fill { rect, luma: 0.5 });
        }
    }
}
