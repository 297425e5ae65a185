//! Glyphs to words and words to lines.
//!
//! Words are taken in the order in which the file draws, which is the order of reading within a line in
//! nearly every file; lines are then put together by where the words are.
//!
//! Invariant: every visible glyph that has a meaning is in exactly one word; a line holds no gap wider
//! than [`GAP_OF_LINE`].

use crate::geometry::Rect;
use crate::layout::text::{Line, Script, Style, Word};
use crate::page::{FontStyle, Glyph, Page, Turn};

/// A gap of this many ems between glyphs is a space.
const GAP_OF_WORD: f32 = 0.17;
/// A gap of this many ems between words ends a line: what follows is another column or cell.
const GAP_OF_LINE: f32 = 1.0;
/// How far back a glyph may begin, in ems, and still follow the one before it: kerning, accents.
const BACK_MAX: f32 = 0.6;
/// Baselines of one line are no farther apart, in ems of the smaller text.
const BASELINE_TOLERANCE: f32 = 0.25;
/// A glyph drawn again within this many ems is the same one, drawn twice to look bold.
const OVERPRINT: f32 = 0.12;
/// The usual ascent and descent in ems.
const ASCENT: f32 = 0.76;
const DESCENT: f32 = 0.22;
/// A script is at most this much of the size of its neighbour.
const SCRIPT_SIZE_MAX: f32 = 0.86;
/// Lines within reach that are looked at for the neighbour of a script.
const SCRIPT_LINES_MAX: usize = 40;

/// The lines of a page, one way of reading after the other; within a way, from top to bottom.
#[must_use]
pub fn of_page(page: &Page, fonts: &[FontStyle]) -> Vec<Line> {
    let visible = page
        .glyphs
        .iter()
        .filter(|glyph| !glyph.is_invisible)
        .count();
    // The text layer of a scan counts where nothing else is there to read.
    let takes_invisible = visible * 10 < page.glyphs.len();
    let glyphs: Vec<&Glyph> = page
        .glyphs
        .iter()
        .filter(|glyph| takes_invisible || !glyph.is_invisible)
        .collect();
    let mut lines = Vec::new();
    for turn in [Turn::None, Turn::Quarter, Turn::Half, Turn::ThreeQuarters] {
        let turned: Vec<&Glyph> = glyphs.iter().copied().filter(|g| g.turn == turn).collect();
        if turned.is_empty() {
            continue;
        }
        let mut words = words(&turned, fonts);
        if turn == Turn::None {
            link(&mut words, page);
        }
        lines.extend(lines_of_words(words, turn));
    }
    lines
}

/// A word under construction.
struct Open {
    word: Word,
    last: Glyph,
}

fn is_bold_twin(a: &Glyph, b: &Glyph) -> bool {
    let near = OVERPRINT * a.size;
    a.char == b.char
        && (a.x0 - b.x0).abs() <= near
        && (a.baseline - b.baseline).abs() <= near
        && (a.size - b.size).abs() < 0.5
}

fn words(glyphs: &[&Glyph], fonts: &[FontStyle]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut open: Option<Open> = None;
    let mut has_space = true;
    let mut recent: Vec<Glyph> = Vec::new();
    for (order, glyph) in (0_u32..).zip(glyphs) {
        if glyph.char == ' ' || glyph.char == '\u{fffd}' || is_zero_width(glyph.char) {
            has_space |= glyph.char == ' ';
            if has_space {
                close(&mut open, &mut words);
            }
            continue;
        }
        if recent.iter().any(|known| is_bold_twin(known, glyph)) {
            continue;
        }
        if recent.len() == 64 {
            recent.remove(0);
        }
        recent.push(**glyph);
        match &mut open {
            Some(current) if !has_space && follows(&current.last, glyph) => {
                if is_same_style(&current.last, glyph, fonts) {
                    extend(current, glyph);
                } else {
                    close(&mut open, &mut words);
                    open = Some(start(glyph, fonts, order, true));
                }
            }
            _ => {
                close(&mut open, &mut words);
                open = Some(start(glyph, fonts, order, false));
            }
        }
        has_space = false;
    }
    close(&mut open, &mut words);
    words
}

fn is_zero_width(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{202a}'..='\u{202e}')
}

fn close(open: &mut Option<Open>, words: &mut Vec<Word>) {
    words.extend(open.take().map(|open| open.word));
}

/// Whether a glyph continues the word that `last` ends.
fn follows(last: &Glyph, next: &Glyph) -> bool {
    let em = last.size.max(next.size);
    let gap = next.x0 - last.x1;
    (last.baseline - next.baseline).abs() < 0.1 * em
        && gap < GAP_OF_WORD * em
        && gap > -BACK_MAX * em
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

fn start(glyph: &Glyph, fonts: &[FontStyle], order: u32, is_glued: bool) -> Open {
    Open {
        word: Word {
            text: glyph.char.to_string(),
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
            order,
        },
        last: *glyph,
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

fn extend(open: &mut Open, glyph: &Glyph) {
    open.word.text.push(glyph.char);
    open.word.rect = open.word.rect.union(&rect_of(glyph));
    // An accent that was drawn back over its letter does not end the word earlier.
    open.last = Glyph {
        x1: glyph.x1.max(open.last.x1),
        ..*glyph
    };
}

/// Gives every word the link whose box holds its middle.
fn link(words: &mut [Word], page: &Page) {
    for (number, link) in (0_u32..).zip(&page.links) {
        for word in words.iter_mut() {
            if link
                .rect
                .contains(word.rect.middle_x(), word.rect.middle_y())
            {
                word.link = Some(number);
            }
        }
    }
}

fn lines_of_words(mut words: Vec<Word>, turn: Turn) -> Vec<Line> {
    words.sort_by(|a, b| {
        a.baseline
            .total_cmp(&b.baseline)
            .then(a.rect.x0.total_cmp(&b.rect.x0))
    });
    let mut rows: Vec<Vec<Word>> = Vec::new();
    for word in words {
        let row = rows.iter_mut().rev().take(3).find(|row| {
            let near = |other: &Word| {
                (other.baseline - word.baseline).abs()
                    <= BASELINE_TOLERANCE * other.size.min(word.size)
            };
            row.last().is_some_and(near)
        });
        match row {
            Some(row) => row.push(word),
            None => rows.push(vec![word]),
        }
    }
    for row in &mut rows {
        row.sort_by(|a, b| a.rect.x0.total_cmp(&b.rect.x0).then(a.order.cmp(&b.order)));
    }
    attach_scripts(&mut rows);
    let mut lines: Vec<Line> = rows.into_iter().flat_map(|row| split(row, turn)).collect();
    lines.sort_by(|a, b| {
        a.baseline
            .total_cmp(&b.baseline)
            .then(a.rect.x0.total_cmp(&b.rect.x0))
    });
    lines
}

/// Moves words that stand above or below their neighbour into its row.
fn attach_scripts(rows: &mut Vec<Vec<Word>>) {
    for at in 0..rows.len() {
        let mut kept = Vec::new();
        for word in std::mem::take(&mut rows[at]) {
            match host_of(&word, at, rows) {
                Some((row, place, script)) => {
                    let is_glued = rows[row]
                        .get(place.wrapping_sub(1))
                        .is_some_and(|left| word.rect.x0 - left.rect.x1 < GAP_OF_WORD * left.size);
                    rows[row].insert(
                        place,
                        Word {
                            script,
                            is_glued,
                            ..word
                        },
                    );
                }
                None => kept.push(word),
            }
        }
        kept.append(&mut rows[at]);
        kept.sort_by(|a, b| a.rect.x0.total_cmp(&b.rect.x0).then(a.order.cmp(&b.order)));
        rows[at] = kept;
    }
    rows.retain(|row| !row.is_empty());
}

/// The row that a script belongs to, its place there, and whether it stands above or below.
fn host_of(word: &Word, at: usize, rows: &[Vec<Word>]) -> Option<(usize, usize, Script)> {
    let from = at.saturating_sub(SCRIPT_LINES_MAX);
    let to = rows.len().min(at + SCRIPT_LINES_MAX);
    for row in (from..to).filter(|row| *row != at) {
        let Some(first) = rows[row].first() else {
            continue;
        };
        let reach = 0.7 * first.size.max(word.size);
        if (first.baseline - word.baseline).abs() > reach {
            continue;
        }
        let place = rows[row].partition_point(|other| other.rect.x0 <= word.rect.x0);
        let left = place.checked_sub(1).and_then(|left| rows[row].get(left));
        let Some(left) = left else {
            continue;
        };
        let gap = word.rect.x0 - left.rect.x1;
        let shift = left.baseline - word.baseline;
        let is_small = word.size <= SCRIPT_SIZE_MAX * left.size;
        let is_near = gap < 0.25 * left.size && gap > -0.5 * left.size;
        if is_small && is_near && shift.abs() <= 0.65 * left.size && left.script == Script::Normal {
            let script = if shift > 0.0 {
                Script::Super
            } else {
                Script::Sub
            };
            return Some((row, place, script));
        }
    }
    None
}

/// Ends a line at every wide gap.
fn split(row: Vec<Word>, turn: Turn) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut current: Vec<Word> = Vec::new();
    let mut end = f32::NEG_INFINITY;
    for mut word in row {
        let em = word.size;
        let gap = word.rect.x0 - end;
        if !current.is_empty() {
            if gap > GAP_OF_LINE * em {
                lines.extend(Line::of_words(std::mem::take(&mut current), turn));
            } else if gap.abs() < GAP_OF_WORD * em
                && word.script == Script::Normal
                && is_run_on(&current, &word)
            {
                word.is_glued = true;
            }
        }
        if current.is_empty() {
            word.is_glued = false;
            end = f32::NEG_INFINITY;
        }
        end = end.max(word.rect.x1);
        current.push(word);
    }
    lines.extend(Line::of_words(current, turn));
    lines
}

/// Whether two words that touch are parts of one, drawn one after the other.
fn is_run_on(before: &[Word], word: &Word) -> bool {
    let last = before.last();
    last.is_some_and(|last| word.is_glued || word.rect.x0 - last.rect.x1 < 0.08 * word.size)
}
