//! Paths: the straight lines along an axis and the filled boxes among what is drawn. Everything else
//! is a drawing, which has no text.

use hayro_font::kurbo::Point;

use crate::geometry::Rect;
use crate::page::{Fill, Page, Rule};

/// Points of one path that are kept: tables drawn as a single path have thousands.
const POINTS_MAX: usize = 20_000;
/// A filled box at most this thick, in points, is a line.
const RULE_THICK_MAX: f32 = 3.0;
/// Shorter lines, in points, are parts of letters or of drawings.
const RULE_LENGTH_MIN: f32 = 4.0;
/// How far off an axis, in points, the end of a line may be.
const SKEW_MAX: f64 = 0.8;
/// Lighter than this is paper.
const PAPER_LUMA: f32 = 0.985;

#[derive(Debug, Default)]
struct SubPath {
    points: Vec<Point>,
    is_closed: bool,
    is_curved: bool,
}

/// A point as coordinates of a page.
pub(crate) fn place(point: &Point) -> (f32, f32) {
    (point.x as f32, point.y as f32)
}

/// A path under construction.
#[derive(Debug, Default)]
pub(crate) struct PathBuilder {
    done: Vec<SubPath>,
    current: SubPath,
    points: usize,
}

impl PathBuilder {
    pub(crate) fn move_to(&mut self, to: Point) {
        self.finish();
        self.push(to);
    }

    pub(crate) fn line_to(&mut self, to: Point) {
        self.push(to);
    }

    pub(crate) fn curve_to(&mut self, to: Point) {
        self.current.is_curved = true;
        self.push(to);
    }

    pub(crate) fn close(&mut self) {
        self.current.is_closed = true;
        let start = self.current.points.first().copied();
        self.finish();
        if let Some(start) = start {
            self.push(start);
        }
    }

    pub(crate) fn rect(&mut self, corners: [Point; 4]) {
        self.finish();
        for corner in corners {
            self.push(corner);
        }
        self.current.is_closed = true;
        self.finish();
    }

    fn push(&mut self, point: Point) {
        if self.points < POINTS_MAX && point.x.is_finite() && point.y.is_finite() {
            self.points += 1;
            self.current.points.push(point);
        }
    }

    fn finish(&mut self) {
        let done = std::mem::take(&mut self.current);
        if done.points.len() > 1 {
            self.done.push(done);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.done.clear();
        self.current = SubPath::default();
        self.points = 0;
    }

    /// Adds what the path draws to the page: `fill` is how light it is filled, `stroke` how light and how
    /// thick its lines are.
    pub(crate) fn paint(&mut self, page: &mut Page, fill: Option<f32>, stroke: Option<(f32, f64)>) {
        self.finish();
        for sub in &self.done {
            if let Some(luma) = fill {
                paint_fill(sub, luma, page);
            }
            if let Some((luma, width)) = stroke
                && luma < PAPER_LUMA
            {
                paint_stroke(sub, width, page);
            }
        }
    }
}

fn on_page(rect: Rect, page: &Page) -> Option<Rect> {
    let cut = Rect {
        x0: rect.x0.max(0.0),
        y0: rect.y0.max(0.0),
        x1: rect.x1.min(page.width),
        y1: rect.y1.min(page.height),
    };
    (cut.x0 <= cut.x1 && cut.y0 <= cut.y1).then_some(cut)
}

fn paint_fill(sub: &SubPath, luma: f32, page: &mut Page) {
    let Some(rect) =
        Rect::of_points(sub.points.iter().map(place)).and_then(|rect| on_page(rect, page))
    else {
        return;
    };
    if sub.is_curved || !is_box(&sub.points, &rect) || luma >= PAPER_LUMA {
        return;
    }
    let (width, height) = (rect.width(), rect.height());
    if height <= RULE_THICK_MAX && width >= RULE_LENGTH_MIN {
        page.rules.push(Rule {
            rect,
            is_horizontal: true,
        });
    } else if width <= RULE_THICK_MAX && height >= RULE_LENGTH_MIN {
        page.rules.push(Rule {
            rect,
            is_horizontal: false,
        });
    } else if width > RULE_THICK_MAX && height > RULE_THICK_MAX {
        page.fills.push(Fill { rect, luma });
    }
}

/// Whether every point lies in a corner of the box around them.
fn is_box(points: &[Point], rect: &Rect) -> bool {
    let near = |a: f64, b: f32| (a - f64::from(b)).abs() <= SKEW_MAX;
    let is_corner = |p: &Point| {
        (near(p.x, rect.x0) || near(p.x, rect.x1)) && (near(p.y, rect.y0) || near(p.y, rect.y1))
    };
    (2..=6).contains(&points.len()) && points.iter().all(is_corner)
}

fn paint_stroke(sub: &SubPath, width: f64, page: &mut Page) {
    let ends = sub.points.iter().zip(sub.points.iter().skip(1));
    let closing = sub.points.last().zip(sub.points.first());
    let closing = closing.filter(|_| sub.is_closed);
    for (from, to) in ends.chain(closing) {
        let (dx, dy) = ((to.x - from.x).abs(), (to.y - from.y).abs());
        let is_horizontal = dy <= SKEW_MAX && dx > dy;
        if !is_horizontal && dx > SKEW_MAX {
            continue;
        }
        let half = (width.clamp(0.0, 20.0) / 2.0) as f32;
        let ((x0, y0), (x1, y1)) = (place(from), place(to));
        let rect = Rect::of_corners(x0, y0, x1, y1);
        let rect = match is_horizontal {
            true => Rect {
                y0: rect.y0 - half,
                y1: rect.y1 + half,
                ..rect
            },
            false => Rect {
                x0: rect.x0 - half,
                x1: rect.x1 + half,
                ..rect
            },
        };
        let Some(rect) = on_page(rect, page) else {
            continue;
        };
        if rect.width().max(rect.height()) >= RULE_LENGTH_MIN {
            page.rules.push(Rule {
                rect,
                is_horizontal,
            });
        }
    }
}
