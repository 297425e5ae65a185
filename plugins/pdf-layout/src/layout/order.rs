//! Reading order: a page is cut along its empty bands, across or down, until nothing can be cut (the
//! XY-cut of Nagy and Seth, 1984). Which cut comes first is told by the order in which the file draws:
//! nearly every program writes a column to its end before it begins the next, so that the right cut is
//! the one that the drawing order crosses the fewest times.
//!
//! Invariant: every item given is given back, once.

use crate::geometry::Rect;

/// Cuts within cuts; a page that goes deeper is read in the order it was drawn.
const DEPTH_MAX: u32 = 60;
/// An empty band between columns is at least this wide, in ems of the body text, where the drawing
/// order speaks for columns.
const GUTTER_MIN: f32 = 0.3;
/// And this wide where it does not.
const GUTTER_CLEAR: f32 = 0.6;
/// Share of the height of an item at its top and at its bottom that another may lie over: lines that
/// are set tight overlap.
const OVERLAP_Y: f32 = 0.2;
/// How much of an em an item may stand out into a gutter.
const OVERLAP_X: f32 = 0.1;
/// Columns of running text have at least so many lines.
const COLUMN_LINES_MIN: usize = 5;
/// And the lines in the middle of their lengths are at least so many ems long.
const COLUMN_EMS_MIN: f32 = 12.0;
/// Lines of running text are no farther apart than this, in ems, from top to top.
const COLUMN_PITCH_MAX: f32 = 1.8;

/// How far the drawing order may go back up, in ems, and still go down the page.
const STEP_BACK_MAX: f32 = 3.0;
/// So many pictures of a page are put in their places; more are one drawing, cut in pieces.
const PICTURES_MAX: usize = 500;

/// Something on a page that is to be read in its place.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Where.
    pub rect: Rect,
    /// Which.
    pub index: usize,
    /// Its place in the order in which the file draws.
    pub stream: u32,
    /// A picture: neither where it ends nor when it is drawn tells about columns of text.
    pub is_picture: bool,
}

impl Item {
    fn top(&self) -> f32 {
        self.rect.y0 + OVERLAP_Y * self.rect.height()
    }

    fn bottom(&self) -> f32 {
        self.rect.y1 - OVERLAP_Y * self.rect.height()
    }
}

/// How a page is read.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The size of its body text in points.
    pub em: f32,
    /// Columns follow each other from right to left.
    pub is_right_to_left: bool,
}

/// The items in reading order.
#[must_use]
pub fn sorted(items: Vec<Item>, reading: Reading) -> Vec<Item> {
    let (mut pictures, texts): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| item.is_picture);
    let mut ordered = Vec::with_capacity(texts.len());
    cut_into(texts, reading, 0, &mut ordered);
    pictures.sort_by(|a, b| {
        let by_place = a.rect.y0.total_cmp(&b.rect.y0);
        by_place.then(a.rect.x0.total_cmp(&b.rect.x0))
    });
    with_pictures(ordered, pictures)
}

/// Puts pictures before the first text that stands below their middle in the same column.
fn with_pictures(texts: Vec<Item>, mut pictures: Vec<Item>) -> Vec<Item> {
    let pictures_last = pictures.split_off(pictures.len().min(PICTURES_MAX));
    let mut before: Vec<Vec<Item>> = vec![Vec::new(); texts.len() + 1];
    for picture in pictures {
        let is_below = |text: &Item| {
            text.rect.middle_y() >= picture.rect.middle_y()
                && text.rect.overlap_x(&picture.rect) > 0.0
        };
        let is_above = |text: &Item| {
            text.rect.middle_y() < picture.rect.middle_y()
                && text.rect.overlap_x(&picture.rect) > 0.0
        };
        let place = texts.iter().position(is_below);
        let place = place.or_else(|| texts.iter().rposition(is_above).map(|last| last + 1));
        if let Some(list) = before.get_mut(place.unwrap_or(texts.len())) {
            list.push(picture);
        }
    }
    let mut texts = texts.into_iter();
    let mut ordered = Vec::with_capacity(texts.len());
    for mut list in before {
        ordered.append(&mut list);
        ordered.extend(texts.next());
    }
    ordered.extend(pictures_last);
    ordered
}

fn cut_into(mut items: Vec<Item>, reading: Reading, depth: u32, ordered: &mut Vec<Item>) {
    // Items that share a place in the drawing order stay as they came.
    items.sort_by_key(|item| (item.stream, item.index));
    if items.len() < 2 || depth > DEPTH_MAX {
        ordered.append(&mut items);
        return;
    }
    let across = across(&items);
    let down = down(&items, reading);
    let is_down = match (&across, &down) {
        (Some(across), Some(down)) => is_down_first(&items, across, down, reading),
        (None, Some(_)) => true,
        _ => false,
    };
    let is_sure = |cut: &Cut| cut.crossings <= 1;
    let parts = match (across, down, is_down) {
        (_, Some(down), true) => down.parts(items),
        (Some(across), _, false) if !is_sure(&across) && is_drawn_down(&items, reading.em) => {
            ordered.append(&mut items);
            return;
        }
        (Some(across), _, false) => across.parts(items),
        _ => {
            ordered.append(&mut items);
            return;
        }
    };
    for part in parts {
        cut_into(part, reading, depth + 1, ordered);
    }
}

/// Whether the file draws these items from top to bottom but for steps back where one box begins
/// before the one above it ends.
fn is_drawn_down(items: &[Item], em: f32) -> bool {
    items.windows(2).all(|pair| match pair {
        [a, b] => b.rect.y0 - a.rect.y0 > -STEP_BACK_MAX * em,
        _ => true,
    })
}

/// Parts of a region, in order, and how often the drawing order crosses between them.
struct Cut {
    /// The part of each item, in the order of the items.
    part_of: Vec<usize>,
    crossings: usize,
    /// Width of the band, in points.
    gap: f32,
}

impl Cut {
    fn parts(&self, items: Vec<Item>) -> Vec<Vec<Item>> {
        let count = self.part_of.iter().max().map_or(0, |last| last + 1);
        let mut parts = vec![Vec::new(); count];
        for (item, part) in items.into_iter().zip(&self.part_of) {
            if let Some(part) = parts.get_mut(*part) {
                part.push(item);
            }
        }
        parts
    }
}

/// An empty band: so many items lie before it.
#[derive(Clone, Copy)]
struct Band {
    before: usize,
    gap: f32,
    crossings: usize,
}

/// Empty bands between items that are sorted by where they begin, with the crossings of each; `places`
/// are the places of the items in that sorting, in drawing order.
fn bands(edges: &[(f32, f32)], places: &[usize], gap_min: f32) -> Vec<Band> {
    // Every step of the drawing order crosses all bands between its two ends.
    let mut steps = vec![0_i64; edges.len() + 1];
    for pair in places.windows(2) {
        if let [a, b] = pair {
            steps[*a.min(b) + 1] += 1;
            steps[*a.max(b) + 1] -= 1;
        }
    }
    let mut bands = Vec::new();
    let mut end = f32::NEG_INFINITY;
    let mut crossings = 0_i64;
    for (before, (from, to)) in edges.iter().enumerate() {
        crossings += steps[before];
        if before > 0 && *from - end >= gap_min {
            bands.push(Band {
                before,
                gap: *from - end,
                crossings: usize::try_from(crossings).unwrap_or(0),
            });
        }
        end = end.max(*to);
    }
    bands
}

/// The sorting of items by a key: who comes when, and the place of each.
fn sorting(items: &[Item], key: impl Fn(&Item) -> f32) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by(|a, b| key(&items[*a]).total_cmp(&key(&items[*b])).then(a.cmp(b)));
    let mut rank = vec![0; items.len()];
    for (place, index) in order.iter().enumerate() {
        rank[*index] = place;
    }
    (order, rank)
}

/// The cuts across that are crossed least, all of them.
fn across(items: &[Item]) -> Option<Cut> {
    let (order, rank) = sorting(items, Item::top);
    let edges: Vec<(f32, f32)> = order
        .iter()
        .map(|index| (items[*index].top(), items[*index].bottom()))
        .collect();
    let mut bands = bands(&edges, &rank, 0.0);
    let crossings = bands.iter().map(|band| band.crossings).min()?;
    bands.retain(|band| band.crossings == crossings);
    let gap = bands.iter().map(|band| band.gap).fold(0.0, f32::max);
    if crossings > 1 {
        // None of them is sure: the widest may make others surer.
        bands.retain(|band| band.gap >= gap);
    }
    let part_of = rank
        .iter()
        .map(|place| bands.partition_point(|band| band.before <= *place))
        .collect();
    Some(Cut {
        part_of,
        crossings,
        gap,
    })
}

/// The cut down that is crossed least; of several the widest.
fn down(items: &[Item], reading: Reading) -> Option<Cut> {
    let inset = OVERLAP_X * reading.em;
    let (order, rank) = sorting(items, |item| item.rect.x0);
    let edges: Vec<(f32, f32)> = order
        .iter()
        .map(|index| (items[*index].rect.x0, items[*index].rect.x1 - inset))
        .collect();
    let bands = bands(&edges, &rank, GUTTER_MIN * reading.em + inset);
    let band = bands
        .into_iter()
        .min_by(|a, b| a.crossings.cmp(&b.crossings).then(b.gap.total_cmp(&a.gap)))?;
    let is_second = |place: &usize| (*place >= band.before) != reading.is_right_to_left;
    Some(Cut {
        part_of: rank
            .iter()
            .map(|place| usize::from(is_second(place)))
            .collect(),
        crossings: band.crossings,
        gap: band.gap - inset,
    })
}

fn is_down_first(items: &[Item], across: &Cut, down: &Cut, reading: Reading) -> bool {
    if down.crossings < across.crossings {
        return true;
    }
    if down.gap < GUTTER_CLEAR * reading.em {
        return false;
    }
    // Some programs draw row by row over columns: then only their looks tell that they are columns.
    let mut sides = [Vec::new(), Vec::new()];
    for (item, part) in items.iter().zip(&down.part_of) {
        sides[(*part).min(1)].push(item.rect);
    }
    sides
        .iter_mut()
        .all(|side| is_running_text(side, reading.em))
}

/// Whether these are lines of running text: several, long, and closely below each other.
fn is_running_text(rects: &mut [Rect], em: f32) -> bool {
    if rects.len() < COLUMN_LINES_MIN {
        return false;
    }
    rects.sort_by(|a, b| a.width().total_cmp(&b.width()));
    let is_long = rects[rects.len() / 2].width() >= COLUMN_EMS_MIN * em;
    rects.sort_by(|a, b| a.y0.total_cmp(&b.y0));
    let steps = rects.windows(2).filter_map(|pair| match pair {
        [a, b] => Some(b.y0 - a.y0),
        _ => None,
    });
    let close = steps
        .filter(|step| (0.5 * em..COLUMN_PITCH_MAX * em).contains(step))
        .count();
    is_long && close * 10 >= (rects.len() - 1) * 7
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: Reading = Reading {
        em: 10.0,
        is_right_to_left: false,
    };

    /// Items at `(x0, y0, x1)`, one line high, that are drawn in the order given.
    fn items(places: &[(f32, f32, f32)]) -> Vec<Item> {
        let item = |(index, (x0, y0, x1)): (usize, &(f32, f32, f32))| Item {
            rect: Rect::of_corners(*x0, *y0, *x1, *y0 + 10.0),
            index,
            stream: index as u32,
            is_picture: false,
        };
        places.iter().enumerate().map(item).collect()
    }

    fn check(items: Vec<Item>, reading: Reading, expected: &[usize]) {
        let order = sorted(items, reading)
            .iter()
            .map(|item| item.index)
            .collect::<Vec<_>>();
        assert_eq!(order, expected);
    }

    #[test]
    fn columns_of_a_narrow_gutter_are_read_one_after_the_other() {
        let (left, right) = ((0.0, 100.0), (104.0, 200.0));
        let mut places = vec![(0.0, 0.0, 200.0)];
        for (x0, x1) in [left, right] {
            places.extend([12.0, 24.0, 36.0].map(|y| (x0, y, x1)));
        }
        check(items(&places), READING, &[0, 1, 2, 3, 4, 5, 6]);
        let reading = Reading {
            is_right_to_left: true,
            ..READING
        };
        check(items(&places), reading, &[0, 4, 5, 6, 1, 2, 3]);
    }

    #[test]
    fn rows_that_are_drawn_one_after_the_other_stay_rows() {
        let mut places = Vec::new();
        for y in [0.0, 20.0, 40.0] {
            places.extend([(0.0, y, 40.0), (80.0, y, 200.0)]);
        }
        check(items(&places), READING, &[0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn columns_of_running_text_are_columns_even_if_drawn_row_by_row() {
        let mut places = Vec::new();
        for row in 0..6 {
            let y = 12.0 * row as f32;
            places.extend([(0.0, y, 200.0), (215.0, y, 400.0)]);
        }
        let expected = [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11];
        check(items(&places), READING, &expected);
    }

    #[test]
    fn what_spans_columns_divides_them() {
        let places = [
            (0.0, 0.0, 90.0),
            (0.0, 40.0, 90.0),
            (110.0, 0.0, 200.0),
            (110.0, 40.0, 200.0),
            (0.0, 20.0, 200.0),
        ];
        check(items(&places), READING, &[0, 2, 4, 1, 3]);
    }

    #[test]
    fn many_items_that_nothing_cuts_end_as_they_were_drawn() {
        let places: Vec<(f32, f32, f32)> = (0..2_000)
            .map(|n| (n as f32, n as f32, n as f32 + 50.0))
            .collect();
        assert_eq!(sorted(items(&places), READING).len(), places.len());
    }
}
