//! Boxes and points on a page: in points (1/72 inch), from the top left corner, y downwards.
//!
//! Invariant: every number is finite; the reader drops what is not.

/// A box with `x0 <= x1` and `y0 <= y1`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left.
    pub x0: f32,
    /// Top.
    pub y0: f32,
    /// Right.
    pub x1: f32,
    /// Bottom.
    pub y1: f32,
}

impl Rect {
    /// The box between two corners, whichever they are.
    #[must_use]
    pub fn of_corners(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self {
            x0: x0.min(x1),
            y0: y0.min(y1),
            x1: x0.max(x1),
            y1: y0.max(y1),
        }
    }

    /// From left to right.
    #[must_use]
    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    /// From top to bottom.
    #[must_use]
    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    /// The middle from left to right.
    #[must_use]
    pub fn middle_x(&self) -> f32 {
        f32::midpoint(self.x0, self.x1)
    }

    /// The middle from top to bottom.
    #[must_use]
    pub fn middle_y(&self) -> f32 {
        f32::midpoint(self.y0, self.y1)
    }

    /// The smallest box around both.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// The smallest box around points; `None` of none.
    #[must_use]
    pub fn of_points(points: impl IntoIterator<Item = (f32, f32)>) -> Option<Self> {
        let boxes = points
            .into_iter()
            .map(|(x, y)| Self::of_corners(x, y, x, y));
        boxes.reduce(|all, one| all.union(&one))
    }

    /// The smallest box around all; `None` of none.
    #[must_use]
    pub fn around<'a>(boxes: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        boxes
            .into_iter()
            .copied()
            .reduce(|all, one| all.union(&one))
    }

    /// The length of the shared part from left to right; negative: the gap between them.
    #[must_use]
    pub fn overlap_x(&self, other: &Self) -> f32 {
        self.x1.min(other.x1) - self.x0.max(other.x0)
    }

    /// The length of the shared part from top to bottom; negative: the gap between them.
    #[must_use]
    pub fn overlap_y(&self, other: &Self) -> f32 {
        self.y1.min(other.y1) - self.y0.max(other.y0)
    }

    /// Whether a point lies within or on the border.
    #[must_use]
    pub fn contains(&self, x: f32, y: f32) -> bool {
        (self.x0..=self.x1).contains(&x) && (self.y0..=self.y1).contains(&y)
    }

    /// The box with every side moved outwards.
    #[must_use]
    pub fn grown(&self, by: f32) -> Self {
        Self {
            x0: self.x0 - by,
            y0: self.y0 - by,
            x1: self.x1 + by,
            y1: self.y1 + by,
        }
    }
}
