//! Lines drawn, put together: what was drawn in pieces or twice is one segment.
//!
//! Invariant: at most [`SEGMENTS_MAX`] segments a direction come out, so that crossing them with each
//! other stays cheap.

use crate::geometry::Rect;

/// Lines this near to each other, in points, are one: borders of neighbouring cells, double lines.
pub(super) const SNAP: f32 = 2.5;
/// A gap of this many points within a line is bridged.
const JOIN: f32 = 3.0;
/// A page with more lines of one direction is a drawing; of those the longest are looked at.
const SEGMENTS_MAX: usize = 1_500;

/// A piece of a straight line: at `at` across its direction, from `from` to `to` along it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Segment {
    /// Where: y of a line from left to right, x of one from top to bottom.
    pub(super) at: f32,
    /// Where it begins.
    pub(super) from: f32,
    /// Where it ends.
    pub(super) to: f32,
}

impl Segment {
    /// How long it is.
    pub(super) fn length(&self) -> f32 {
        self.to - self.from
    }
}

/// A box as a line from left to right.
pub(super) fn across(rect: &Rect) -> Segment {
    Segment {
        at: rect.middle_y(),
        from: rect.x0,
        to: rect.x1,
    }
}

/// A box as a line from top to bottom.
pub(super) fn down(rect: &Rect) -> Segment {
    Segment {
        at: rect.middle_x(),
        from: rect.y0,
        to: rect.y1,
    }
}

/// Joins segments of one direction; sorted by place, then by where they begin.
pub(super) fn joined(segments: Vec<Segment>) -> Vec<Segment> {
    joined_over(segments, JOIN)
}

/// Joins segments of one direction over gaps of at most `gap` points.
pub(super) fn joined_over(mut segments: Vec<Segment>, gap: f32) -> Vec<Segment> {
    segments.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.from.total_cmp(&b.from)));
    let mut joined = Vec::new();
    let mut level: Vec<Segment> = Vec::new();
    for segment in segments {
        if level
            .first()
            .is_some_and(|first| segment.at - first.at > SNAP)
        {
            join_level(&mut level, gap, &mut joined);
        }
        level.push(segment);
    }
    join_level(&mut level, gap, &mut joined);
    if joined.len() > SEGMENTS_MAX {
        joined.sort_by(|a, b| b.length().total_cmp(&a.length()));
        joined.truncate(SEGMENTS_MAX);
        joined.sort_by(|a, b| a.at.total_cmp(&b.at).then(a.from.total_cmp(&b.from)));
    }
    joined
}

fn join_level(level: &mut Vec<Segment>, gap: f32, joined: &mut Vec<Segment>) {
    level.sort_by(|a, b| a.from.total_cmp(&b.from).then(a.at.total_cmp(&b.at)));
    let mut open: Option<Segment> = None;
    for segment in level.drain(..) {
        match &mut open {
            Some(current) if segment.from <= current.to + gap => {
                current.to = current.to.max(segment.to);
            }
            _ => joined.extend(open.replace(segment)),
        }
    }
    joined.extend(open);
}

/// Places of lines as borders: those nearer than `apart` are one, in the middle of them.
pub(super) fn borders(mut places: Vec<f32>, apart: f32) -> Vec<f32> {
    places.sort_by(f32::total_cmp);
    let mut borders: Vec<f32> = Vec::new();
    let mut first = f32::NEG_INFINITY;
    for place in places {
        if place - first > apart {
            borders.push(place);
            first = place;
        } else if let Some(last) = borders.last_mut() {
            *last = f32::midpoint(first, place);
        }
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(at: f32, from: f32, to: f32) -> Segment {
        Segment { at, from, to }
    }

    #[test]
    fn pieces_and_doubles_are_one_line() {
        let pieces = vec![
            segment(100.0, 50.0, 90.0),
            segment(101.5, 20.0, 49.0),
            segment(100.5, 60.0, 70.0),
            segment(100.0, 120.0, 130.0),
            segment(110.0, 20.0, 49.0),
        ];
        let lines = joined(pieces);
        let ends: Vec<(f32, f32)> = lines.iter().map(|line| (line.from, line.to)).collect();
        assert_eq!(ends, [(20.0, 90.0), (120.0, 130.0), (20.0, 49.0)]);
    }

    #[test]
    fn a_drawing_is_cut_to_its_longest_lines() {
        let lines = (0..4_000_u16).map(|n| {
            let at = f32::from(n) * 4.0;
            segment(at, 0.0, f32::from(n) + 10.0)
        });
        let lines = joined(lines.collect());
        assert_eq!(lines.len(), SEGMENTS_MAX);
        assert!(lines.iter().all(|line| line.length() >= 2_510.0));
    }

    #[test]
    fn near_places_are_one_border() {
        assert_eq!(borders(vec![30.0, 10.0, 12.0, 31.0], 4.0), [11.0, 30.5]);
    }
}
