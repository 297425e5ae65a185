//! Reading order: a page is cut along its widest empty bands, first across, then down, until nothing
//! can be cut (the XY-cut of Nagy and Seth, 1984); what spans columns ends them.
//!
//! Invariant: every item given is given back, once.

use crate::geometry::Rect;

/// Cuts within cuts; a page that goes deeper is read from top to bottom.
const DEPTH_MAX: u32 = 60;
/// An empty band between columns is at least this wide, in ems of the body text.
const GUTTER_MIN: f32 = 0.9;

/// Something on a page that is to be read in its place.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    /// Where.
    pub rect: Rect,
    /// Which.
    pub index: usize,
}

/// Groups of items in reading order; each group is a column that is read from top to bottom.
#[must_use]
pub fn cut(items: Vec<Item>, em: f32) -> Vec<Vec<Item>> {
    let mut groups = Vec::new();
    cut_into(items, em, 0, &mut groups);
    groups
}

fn cut_into(mut items: Vec<Item>, em: f32, depth: u32, groups: &mut Vec<Vec<Item>>) {
    sort(&mut items);
    if items.len() < 2 || depth > DEPTH_MAX {
        groups.push(items);
        return;
    }
    if let Some((left, right)) = cut_columns(&items, em) {
        cut_into(left, em, depth + 1, groups);
        cut_into(right, em, depth + 1, groups);
        return;
    }
    let bands = bands(&items);
    if bands.len() < 2 {
        groups.push(items);
        return;
    }
    // A band that has columns is cut further, together with its neighbours that have the same ones.
    let mut run: Vec<Item> = Vec::new();
    for band in bands {
        let joined: Vec<Item> = run.iter().chain(&band).copied().collect();
        let splits = |items: &[Item]| cut_columns(items, em).is_some();
        let belongs =
            run.is_empty() || splits(&run) == splits(&band) && (!splits(&run) || splits(&joined));
        if belongs {
            run = joined;
        } else {
            finish_run(std::mem::replace(&mut run, band), em, depth, groups);
        }
    }
    finish_run(run, em, depth, groups);
}

fn finish_run(run: Vec<Item>, em: f32, depth: u32, groups: &mut Vec<Vec<Item>>) {
    match cut_columns(&run, em) {
        Some((left, right)) => {
            cut_into(left, em, depth + 1, groups);
            cut_into(right, em, depth + 1, groups);
        }
        None => groups.push(run),
    }
}

fn sort(items: &mut [Item]) {
    items.sort_by(|a, b| {
        a.rect
            .y0
            .total_cmp(&b.rect.y0)
            .then(a.rect.x0.total_cmp(&b.rect.x0))
            .then(a.index.cmp(&b.index))
    });
}

/// Groups of items between which a horizontal line can be drawn.
fn bands(items: &[Item]) -> Vec<Vec<Item>> {
    let mut bands: Vec<Vec<Item>> = Vec::new();
    let mut bottom = f32::NEG_INFINITY;
    for item in items {
        if item.rect.y0 >= bottom - 0.5 || bands.is_empty() {
            bands.push(Vec::new());
        }
        bottom = bottom.max(item.rect.y1);
        if let Some(band) = bands.last_mut() {
            band.push(*item);
        }
    }
    bands
}

/// The items left and right of the widest empty band from top to bottom, if it is a gutter.
fn cut_columns(items: &[Item], em: f32) -> Option<(Vec<Item>, Vec<Item>)> {
    let mut by_left: Vec<&Item> = items.iter().collect();
    by_left.sort_by(|a, b| a.rect.x0.total_cmp(&b.rect.x0));
    let mut right = f32::NEG_INFINITY;
    let mut widest: Option<(f32, f32)> = None;
    for item in by_left {
        let gap = item.rect.x0 - right;
        if right.is_finite()
            && gap >= GUTTER_MIN * em
            && widest.is_none_or(|(_, width)| gap > width)
        {
            widest = Some((f32::midpoint(right, item.rect.x0), gap));
        }
        right = right.max(item.rect.x1);
    }
    let (x, _) = widest?;
    let (left, right): (Vec<Item>, Vec<Item>) = items.iter().partition(|item| item.rect.x0 < x);
    // Side by side in one row only is a row, not columns.
    let is_column = |items: &[Item]| items.len() > 1;
    (is_column(&left) && is_column(&right)).then_some((left, right))
}
