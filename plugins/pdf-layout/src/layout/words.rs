//! Glyphs to words, in the order in which the file draws: that is the order of reading within a line in
//! nearly every file.
//!
//! Invariant: every glyph that has a meaning is in exactly one word, or is one of two that are drawn
//! over each other.

use std::collections::BTreeMap;

use crate::geometry::Rect;
use crate::layout::script::{
    is_mark, is_right_to_left, is_zero_width, mark_of, push_typed, with_mark,
};
use crate::layout::text::{Script, Style, Word};
use crate::page::{FontStyle, Glyph};

/// What stands for a glyph whose meaning the font does not tell.
pub(super) const UNKNOWN: char = '\u{fffd}';
/// A gap of this many ems between glyphs is a space.
pub(super) const GAP_OF_WORD: f32 = 0.17;
/// Letters this many ems apart, all of them, are set apart to look wide.
const SPACED_MIN: f32 = 0.08;
/// Farther apart, in ems, they are not of one word.
const SPACED_MAX: f32 = 0.6;
/// So many gaps between letters tell that they are set apart.
const SPACED_GAPS_MIN: usize = 4;
/// How far back a glyph may begin, in ems, and still follow the one before it: kerning, accents.
const BACK_MAX: f32 = 0.6;
/// A glyph drawn again within this many ems is the same one, drawn twice to look bold.
const OVERPRINT: f32 = 0.12;
/// No further apart than this in points, however large.
const OVERPRINT_POINTS_MAX: f32 = 2.0;
/// Scripts are no more ems above or below their line than this.
const SHIFT_MAX: f32 = 0.6;
/// Accents are set at most this many ems higher over capitals.
const ACCENT_RISE_MAX: f32 = 0.5;
/// The usual ascent and descent in ems.
const ASCENT: f32 = 0.76;
const DESCENT: f32 = 0.22;

/// A glyph and its place in the order in which the file draws.
pub(super) type Drawn<'a> = (u32, &'a Glyph);

/// The words that glyphs of one turn make.
pub(super) fn of_glyphs(glyphs: &[Drawn<'_>], fonts: &[FontStyle]) -> Vec<Word> {
    let cells = with_accents(&without_twins(glyphs));
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Open> = None;
    let mut has_space = true;
    for (cell, gap_of_word) in cells.iter().zip(gaps_of_words(&cells)) {
        let glyph = &cell.glyph;
        if glyph.char == ' ' || is_zero_width(glyph.char) {
            has_space |= glyph.char == ' ';
            if has_space {
                close(&mut open, &mut words);
            }
            continue;
        }
        match &mut open {
            Some(current) if !has_space && follows(current.last(), glyph, gap_of_word) => {
                if is_same_style(current.last(), glyph, fonts) {
                    current.extend(cell);
                } else {
                    close(&mut open, &mut words);
                    open = Some(start(cell, fonts, true));
                }
            }
            current => {
                // A script touches what it belongs to, on a line of its own.
                let is_glued = current
                    .as_ref()
                    .is_some_and(|open| !has_space && touches(open.last(), glyph, gap_of_word));
                close(&mut open, &mut words);
                open = Some(start(cell, fonts, is_glued));
            }
        }
        has_space = false;
    }
    close(&mut open, &mut words);
    words
}

/// A character as it is read: a glyph, perhaps with the accent that was drawn over it.
struct Cell {
    glyph: Glyph,
    mark: Option<char>,
    order: u32,
}

/// Leaves out what is drawn a second time in its place.
fn without_twins<'a>(glyphs: &[Drawn<'a>]) -> Vec<Drawn<'a>> {
    let mut seen: BTreeMap<(char, i32, i32), &Glyph> = BTreeMap::new();
    let mut kept = Vec::with_capacity(glyphs.len());
    for (order, glyph) in glyphs {
        let near = (OVERPRINT * glyph.size).clamp(0.05, OVERPRINT_POINTS_MAX);
        // Two that are near each other lie in the same square or in neighbours.
        let square = |n: f32| (n / OVERPRINT_POINTS_MAX).floor() as i32;
        let range = |n: f32| square(n - near)..=square(n + near);
        let mut squares =
            range(glyph.x0).flat_map(|x| range(glyph.baseline).map(move |y| (glyph.char, x, y)));
        let has_twin = squares.any(|square| {
            seen.get(&square)
                .is_some_and(|known| is_twin(known, glyph, near))
        });
        if glyph.char == ' ' || !has_twin {
            let place = (glyph.char, square(glyph.x0), square(glyph.baseline));
            seen.insert(place, glyph);
            kept.push((*order, *glyph));
        }
    }
    kept
}

fn is_twin(a: &Glyph, b: &Glyph, near: f32) -> bool {
    a.char == b.char
        && (a.x0 - b.x0).abs() <= near
        && (a.baseline - b.baseline).abs() <= near
        && (a.size - b.size).abs() < 0.5
}

/// Joins accents that are drawn by themselves with the letter before or after that they lie over.
fn with_accents(glyphs: &[Drawn<'_>]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = Vec::with_capacity(glyphs.len());
    let mut pending: Option<(char, Glyph)> = None;
    for (n, (order, glyph)) in glyphs.iter().enumerate() {
        if let Some(mark) = mark_of(glyph.char) {
            let next = glyphs.get(n + 1);
            // A combining mark is typed after its letter; an accent of type is drawn before or after.
            let is_next =
                !is_mark(glyph.char) && next.is_some_and(|(_, next)| lies_over(glyph, next));
            if is_next {
                pending = Some((mark, **glyph));
                continue;
            }
            let last = cells.last_mut();
            if let Some(cell) =
                last.filter(|cell| cell.mark.is_none() && lies_over(glyph, &cell.glyph))
            {
                cell.mark = Some(mark);
                continue;
            }
        }
        cells.push(Cell {
            glyph: **glyph,
            mark: pending.take().map(|(mark, _)| mark),
            order: *order,
        });
    }
    cells
}

/// Whether an accent lies over a letter.
fn lies_over(accent: &Glyph, letter: &Glyph) -> bool {
    let middle = f32::midpoint(accent.x0, accent.x1);
    letter.char.is_alphabetic()
        && (letter.x0..=letter.x1).contains(&middle)
        && (accent.baseline - letter.baseline).abs() <= ACCENT_RISE_MAX * letter.size
}

/// For every glyph the gap before it that is a space, in ems: wider than usual where all letters of a
/// piece are set apart.
fn gaps_of_words(cells: &[Cell]) -> Vec<f32> {
    let mut gaps = vec![GAP_OF_WORD; cells.len()];
    let mut from = 0;
    while from < cells.len() {
        let first = &cells[from].glyph;
        let is_of_run = |pair: &[Cell]| match pair {
            [a, b] => {
                let near = (b.glyph.baseline - first.baseline).abs() < 0.1 * first.size;
                let gap = (b.glyph.x0 - a.glyph.x1) / first.size.max(0.1);
                near && b.glyph.font == first.font && (-BACK_MAX..2.0).contains(&gap)
            }
            _ => false,
        };
        let length = 1 + cells[from..]
            .windows(2)
            .take_while(|pair| is_of_run(pair))
            .count();
        if let Some(gap) = spaced(&cells[from..from + length]) {
            gaps[from..from + length].fill(gap);
        }
        from += length;
    }
    gaps
}

/// The gap that is a space in a piece of text whose letters are set apart; `None` if they are not.
fn spaced(run: &[Cell]) -> Option<f32> {
    let between = run.windows(2).filter_map(|pair| match pair {
        [a, b] if a.glyph.char.is_alphabetic() && b.glyph.char.is_alphabetic() => {
            Some((b.glyph.x0 - a.glyph.x1) / a.glyph.size.max(0.1))
        }
        _ => None,
    });
    let mut between: Vec<f32> = between.collect();
    if between.len() < SPACED_GAPS_MIN {
        return None;
    }
    between.sort_by(f32::total_cmp);
    let (low, middle) = (between[between.len() / 10], between[between.len() / 2]);
    let is_spaced = low >= SPACED_MIN && middle <= SPACED_MAX && middle - low < 0.12;
    is_spaced.then_some(middle + GAP_OF_WORD)
}

/// A word under construction.
struct Open {
    word: Word,
    glyphs: Vec<(Glyph, Option<char>)>,
}

impl Open {
    fn last(&self) -> &Glyph {
        &self.glyphs[self.glyphs.len() - 1].0
    }

    fn extend(&mut self, cell: &Cell) {
        self.word.rect = self.word.rect.union(&rect_of(&cell.glyph));
        self.glyphs.push((cell.glyph, cell.mark));
    }
}

fn close(open: &mut Option<Open>, words: &mut Vec<Word>) {
    let Some(Open {
        mut word,
        mut glyphs,
    }) = open.take()
    else {
        return;
    };
    let is_rtl = glyphs.iter().any(|(glyph, _)| is_right_to_left(glyph.char));
    if is_rtl {
        // Whichever way the file draws it, it is read from the right; numbers within are not.
        glyphs.sort_by(|a, b| b.0.x0.total_cmp(&a.0.x0));
        let is_left = |glyph: &(Glyph, Option<char>)| {
            glyph.0.char.is_alphanumeric() && !is_right_to_left(glyph.0.char)
        };
        for run in glyphs.chunk_by_mut(|a, b| is_left(a) == is_left(b)) {
            if run.first().is_some_and(is_left) {
                run.reverse();
            }
        }
    }
    // Nobody can read what the font does not tell; alone it may still be the bullet of an item.
    let is_known = |glyph: &(Glyph, Option<char>)| glyph.0.char != UNKNOWN;
    if glyphs.iter().any(is_known) {
        glyphs.retain(is_known);
    } else {
        glyphs.truncate(1);
    }
    for (glyph, mark) in glyphs {
        match mark.map(|mark| with_mark(glyph.char, mark)) {
            Some((letter, mark)) => {
                word.text.push(letter);
                word.text.extend(mark);
            }
            None => push_typed(glyph.char, &mut word.text),
        }
    }
    words.push(word);
}

/// Whether a glyph continues the word that `last` ends.
fn follows(last: &Glyph, next: &Glyph, gap_of_word: f32) -> bool {
    let em = last.size.max(next.size);
    let mut gap = next.x0 - last.x1;
    if is_right_to_left(last.char) || is_right_to_left(next.char) {
        let leftwards = last.x0 - next.x1;
        if leftwards.abs() < gap.abs() {
            gap = leftwards;
        }
    }
    (last.baseline - next.baseline).abs() < 0.1 * em
        && gap < gap_of_word * em
        && gap > -BACK_MAX * em
}

/// Whether a glyph stands close behind another, perhaps higher or lower.
fn touches(last: &Glyph, next: &Glyph, gap_of_word: f32) -> bool {
    let em = last.size.max(next.size);
    let gap = next.x0 - last.x1;
    (last.baseline - next.baseline).abs() < SHIFT_MAX * em
        && (-0.1 * em..gap_of_word * em).contains(&gap)
}

fn is_same_style(a: &Glyph, b: &Glyph, fonts: &[FontStyle]) -> bool {
    let same_font = a.font == b.font || style_of(a.font, fonts) == style_of(b.font, fonts);
    same_font && (a.size - b.size).abs() < 0.3 && a.content_id == b.content_id
}

fn style_of(font: u16, fonts: &[FontStyle]) -> Style {
    let font = fonts.get(usize::from(font));
    font.map_or_else(Style::default, |font| Style {
        is_bold: font.is_bold,
        is_italic: font.is_italic,
        is_mono: font.is_mono,
    })
}

fn start(cell: &Cell, fonts: &[FontStyle], is_glued: bool) -> Open {
    let glyph = &cell.glyph;
    Open {
        word: Word {
            text: String::new(),
            rect: rect_of(glyph),
            baseline: glyph.baseline,
            size: glyph.size,
            font: glyph.font,
            style: style_of(glyph.font, fonts),
            script: Script::Normal,
            is_glued,
            link: None,
            content_id: glyph.content_id,
            is_artifact: glyph.is_artifact,
            order: cell.order,
        },
        glyphs: vec![(*glyph, cell.mark)],
    }
}

fn rect_of(glyph: &Glyph) -> Rect {
    Rect {
        x0: glyph.x0,
        y0: glyph.baseline - ASCENT * glyph.size,
        x1: glyph.x1.max(glyph.x0),
        y1: glyph.baseline + DESCENT * glyph.size,
    }
}
