//! Pages whose text is turned: a wide table, set sideways.
//!
//! Invariant: glyphs stay where they are, for they are kept as they read; what is drawn turns with them.

use std::borrow::Cow;

use crate::geometry::Rect;
use crate::page::{Page, Turn};

const TURNS: [Turn; 4] = [Turn::None, Turn::Quarter, Turn::Half, Turn::ThreeQuarters];
/// More than this share of the glyphs reads one way, in per cent, where the page is to be turned.
const MOST_PERCENT: usize = 60;

/// The page, turned so that most of its text reads from left to right.
#[must_use]
pub fn upright(page: &Page) -> Cow<'_, Page> {
    let count = |turn: Turn| {
        page.glyphs
            .iter()
            .filter(|glyph| glyph.turn == turn)
            .count()
    };
    let is_most = |turn: &&Turn| count(**turn) * 100 > page.glyphs.len() * MOST_PERCENT;
    match TURNS.iter().skip(1).find(is_most) {
        Some(turn) => Cow::Owned(turned(page, *turn)),
        None => Cow::Borrowed(page),
    }
}

/// Where text that reads a way of its own is on its page; its own coordinates are those of the page
/// turned.
#[must_use]
pub fn on_page(rect: Rect, turn: Turn, width: f32, height: f32) -> Rect {
    let point = |x: f32, y: f32| match turn {
        Turn::None => (x, y),
        Turn::Quarter => (width - y, x),
        Turn::Half => (width - x, height - y),
        Turn::ThreeQuarters => (y, height - x),
    };
    let ((x0, y0), (x1, y1)) = (point(rect.x0, rect.y0), point(rect.x1, rect.y1));
    Rect::of_corners(x0, y0, x1, y1)
}

fn quarters(turn: Turn) -> usize {
    TURNS.iter().position(|other| *other == turn).unwrap_or(0)
}

fn turned(page: &Page, by: Turn) -> Page {
    let (width, height) = (page.width, page.height);
    let place = |rect: Rect| {
        let point = |x: f32, y: f32| match by {
            Turn::None => (x, y),
            Turn::Quarter => (y, width - x),
            Turn::Half => (width - x, height - y),
            Turn::ThreeQuarters => (height - y, x),
        };
        let ((x0, y0), (x1, y1)) = (point(rect.x0, rect.y0), point(rect.x1, rect.y1));
        Rect::of_corners(x0, y0, x1, y1)
    };
    let is_side = by != Turn::Half;
    let mut page = page.clone();
    if is_side {
        (page.width, page.height) = (height, width);
    }
    for glyph in &mut page.glyphs {
        let turn = (quarters(glyph.turn) + TURNS.len() - quarters(by)) % TURNS.len();
        glyph.turn = TURNS.get(turn).copied().unwrap_or_default();
    }
    for rule in &mut page.rules {
        rule.rect = place(rule.rect);
        rule.is_horizontal ^= is_side;
    }
    for fill in &mut page.fills {
        fill.rect = place(fill.rect);
    }
    for picture in &mut page.pictures {
        picture.rect = place(picture.rect);
    }
    for link in &mut page.links {
        link.rect = place(link.rect);
    }
    for note in &mut page.notes {
        note.rect = place(note.rect);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::glyphs;
    use crate::page::{Glyph, Rule};

    #[test]
    fn a_page_of_turned_text_is_turned() {
        let sideways = glyphs("a table that is set sideways", 10.0, 100.0);
        let sideways = sideways.into_iter().map(|glyph| Glyph {
            turn: Turn::ThreeQuarters,
            ..glyph
        });
        let mut page = Page {
            width: 600.0,
            height: 800.0,
            glyphs: sideways.collect(),
            // Left of the text as the page is, above it as it reads.
            rules: vec![Rule {
                rect: Rect::of_corners(90.0, 300.0, 91.0, 790.0),
                is_horizontal: false,
            }],
            ..Page::default()
        };
        page.glyphs.extend(glyphs("12", 300.0, 780.0));
        let page = upright(&page);
        assert_eq!((page.width, page.height), (800.0, 600.0));
        assert_eq!(page.glyphs[0].turn, Turn::None);
        assert_eq!(
            page.glyphs.last().map(|glyph| glyph.turn),
            Some(Turn::Quarter)
        );
        let expected = Rect::of_corners(10.0, 90.0, 500.0, 91.0);
        assert_eq!(
            (page.rules[0].rect, page.rules[0].is_horizontal),
            (expected, true)
        );
    }

    #[test]
    fn a_stamp_at_the_side_is_there() {
        let stamp = Rect::of_corners(200.0, 10.0, 500.0, 30.0);
        let place = on_page(stamp, Turn::ThreeQuarters, 600.0, 800.0);
        assert_eq!(place, Rect::of_corners(10.0, 300.0, 30.0, 600.0));
    }

    #[test]
    fn a_page_with_a_stamp_at_its_side_stays() {
        let page = Page {
            glyphs: glyphs("text", 0.0, 100.0),
            ..Page::default()
        };
        assert!(matches!(upright(&page), Cow::Borrowed(_)));
    }
}
