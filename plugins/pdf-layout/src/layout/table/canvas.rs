//! A page turned the way its text reads, so that tables are looked for in one direction only.
//!
//! Invariant: what is turned there and back is where it was.

use crate::geometry::Rect;
use crate::layout::text::{Line, Word};
use crate::page::{Page, Turn};

/// Rules, fills and words of a page, seen from the side from which text of one turn is read.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    /// Text of this turn is upright here.
    pub(super) turn: Turn,
    /// The page as it is shown.
    page: (f32, f32),
    /// Lines from left to right.
    pub(super) across: Vec<Rect>,
    /// Lines from top to bottom.
    pub(super) down: Vec<Rect>,
    /// Filled boxes.
    pub(super) fills: Vec<Rect>,
}

impl Canvas {
    /// The page as text of this turn sees it.
    pub(super) fn of(page: &Page, turn: Turn) -> Self {
        let mut canvas = Self {
            turn,
            page: (page.width, page.height),
            ..Self::default()
        };
        let is_level = matches!(turn, Turn::None | Turn::Half);
        for rule in &page.rules {
            let rect = turned(&rule.rect, turn, canvas.page);
            match rule.is_horizontal == is_level {
                true => canvas.across.push(rect),
                false => canvas.down.push(rect),
            }
        }
        let fills = page.fills.iter();
        canvas.fills = fills
            .map(|fill| turned(&fill.rect, turn, canvas.page))
            .collect();
        canvas
    }

    /// Where a word of a line of `turn` is here.
    pub(super) fn place(&self, word: &Word, turn: Turn) -> Rect {
        match turn == self.turn {
            true => word.rect,
            false => turned(&unturned(&word.rect, turn, self.page), self.turn, self.page),
        }
    }

    /// Where a line is here.
    pub(super) fn place_line(&self, line: &Line) -> Rect {
        match line.turn == self.turn {
            true => line.rect,
            false => turned(
                &unturned(&line.rect, line.turn, self.page),
                self.turn,
                self.page,
            ),
        }
    }

    /// Where a box that is here is on the page as it is shown.
    pub(super) fn on_page(&self, rect: &Rect) -> Rect {
        unturned(rect, self.turn, self.page)
    }

    /// From left to right, as seen here.
    pub(super) fn width(&self) -> f32 {
        match self.turn {
            Turn::None | Turn::Half => self.page.0,
            Turn::Quarter | Turn::ThreeQuarters => self.page.1,
        }
    }
}

/// A box of the page as it is shown, as text of this turn sees it.
fn turned(rect: &Rect, turn: Turn, (width, height): (f32, f32)) -> Rect {
    match turn {
        Turn::None => *rect,
        Turn::Quarter => Rect::of_corners(rect.y0, width - rect.x0, rect.y1, width - rect.x1),
        Turn::Half => Rect::of_corners(
            width - rect.x0,
            height - rect.y0,
            width - rect.x1,
            height - rect.y1,
        ),
        Turn::ThreeQuarters => {
            Rect::of_corners(height - rect.y0, rect.x0, height - rect.y1, rect.x1)
        }
    }
}

fn unturned(rect: &Rect, turn: Turn, (width, height): (f32, f32)) -> Rect {
    match turn {
        Turn::None => *rect,
        Turn::Quarter => Rect::of_corners(width - rect.y0, rect.x0, width - rect.y1, rect.x1),
        Turn::Half => turned(rect, turn, (width, height)),
        Turn::ThreeQuarters => {
            Rect::of_corners(rect.y0, height - rect.x0, rect.y1, height - rect.x1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_turned_comes_back() {
        let rect = Rect::of_corners(10.0, 20.0, 35.0, 90.0);
        for turn in [Turn::None, Turn::Quarter, Turn::Half, Turn::ThreeQuarters] {
            let there = turned(&rect, turn, (200.0, 300.0));
            assert_eq!(unturned(&there, turn, (200.0, 300.0)), rect, "{turn:?}");
        }
    }

    #[test]
    fn a_quarter_turn_puts_the_right_side_on_top() {
        let right = Rect::of_corners(190.0, 0.0, 200.0, 10.0);
        let there = turned(&right, Turn::Quarter, (200.0, 300.0));
        assert_eq!(there, Rect::of_corners(0.0, 0.0, 10.0, 10.0));
    }
}
