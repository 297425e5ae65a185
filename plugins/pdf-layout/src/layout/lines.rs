//! Words to lines, by where the words are.
//!
//! Invariant: every word is in exactly one line; a line holds no gap wider than [`GAP_OF_LINE`].

use crate::geometry::Rect;
use crate::layout::script::{is_ideographic, is_right_to_left};
use crate::layout::text::{Line, Script, Word};
use crate::layout::words::{self, Drawn, GAP_OF_WORD, UNKNOWN};
use crate::page::{FontStyle, Page, Turn};

/// A gap of this many ems between words ends a line: what follows is another column or cell.
const GAP_OF_LINE: f32 = 1.0;
/// A gap of this many ems does so where the file draws something else between the two.
const GAP_OF_COLUMN: f32 = 0.25;
/// Baselines of one line are no farther apart, in ems of the smaller text.
const BASELINE_TOLERANCE: f32 = 0.25;
/// Texts that are drawn over each other on one line.
const LAYERS_MAX: usize = 4;
/// Words of a text that are looked at for one that another is drawn over.
const LAYER_REACH: usize = 200;
/// A script is at most this much of the size of its neighbour.
const SCRIPT_SIZE_MAX: f32 = 0.86;
/// And more than this much: beside what is larger still it is text after an initial.
const SCRIPT_SIZE_MIN: f32 = 0.55;
/// And it stands at least so many ems of its neighbour higher or lower.
const SCRIPT_SHIFT_MIN: f32 = 0.08;
/// Lines within reach that are looked at for the neighbour of a script.
const SCRIPT_LINES_MAX: usize = 40;
/// The text of an item begins so many ems after its bullet at most.
const BULLET_GAP_MAX: f32 = 5.0;
/// It has this many letters in its first words.
const TEXT_LETTERS_MIN: usize = 8;
const TEXT_WORDS: usize = 6;
/// An initial is at least so many times as large as the text that it begins.
const INITIAL_SIZE_MIN: f32 = 1.8;
/// And it reaches down at most so many rows.
const INITIAL_ROWS_MAX: usize = 6;
/// So much of an em between an initial and the rest of its word.
const INITIAL_GAP_MAX: f32 = 1.0;

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
    let glyphs = (0_u32..).zip(&page.glyphs);
    let glyphs: Vec<Drawn<'_>> = glyphs
        .filter(|(_, glyph)| takes_invisible || !glyph.is_invisible)
        .collect();
    let mut lines = Vec::new();
    for turn in [Turn::None, Turn::Quarter, Turn::Half, Turn::ThreeQuarters] {
        let turned = glyphs.iter().copied();
        let turned: Vec<Drawn<'_>> = turned.filter(|(_, glyph)| glyph.turn == turn).collect();
        if turned.is_empty() {
            continue;
        }
        let mut words = words::of_glyphs(&turned, fonts);
        if turn == Turn::None {
            link(&mut words, page);
        }
        lines.extend(lines_of_words(words, turn));
    }
    lines
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

fn lines_of_words(words: Vec<Word>, turn: Turn) -> Vec<Line> {
    let mut rows = rows(words);
    name_bullets(&mut rows);
    attach_scripts(&mut rows);
    mark_scripts(&mut rows);
    attach_initials(&mut rows);
    let rows: Vec<Vec<Word>> = rows.into_iter().flat_map(layers).collect();
    let columns = Columns::of(&rows);
    let mut lines: Vec<Line> = (0..)
        .zip(rows)
        .flat_map(|(number, row)| split(row, number, &columns, turn))
        .collect();
    lines.sort_by(|a, b| {
        a.baseline
            .total_cmp(&b.baseline)
            .then(a.rect.x0.total_cmp(&b.rect.x0))
            .then(a.order.cmp(&b.order))
    });
    lines
}

/// Words that stand on one line across the page, from left to right.
fn rows(mut words: Vec<Word>) -> Vec<Vec<Word>> {
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
        sort(row);
    }
    rows
}

/// The words of a row as one or more rows: text that is drawn over other text is a line of its own, as
/// where the last line of a heading and the first of a paragraph run into each other.
fn layers(mut row: Vec<Word>) -> Vec<Vec<Word>> {
    let pairs = row.iter().zip(row.iter().skip(1));
    if !pairs.into_iter().any(|(a, b)| covers(a, b)) {
        return vec![row];
    }
    row.sort_by_key(|word| word.order);
    let mut layers: Vec<Vec<Word>> = Vec::new();
    for word in row {
        let is_full = layers.len() >= LAYERS_MAX;
        match layers.last_mut() {
            Some(layer)
                if is_full
                    || !layer
                        .iter()
                        .rev()
                        .take(LAYER_REACH)
                        .any(|other| covers(other, &word)) =>
            {
                layer.push(word);
            }
            _ => layers.push(vec![word]),
        }
    }
    for layer in &mut layers {
        sort(layer);
    }
    layers
}

/// Whether two words on the line share most of the place of the shorter one.
fn covers(a: &Word, b: &Word) -> bool {
    let shared = a.rect.overlap_x(&b.rect);
    let shorter = a.rect.width().min(b.rect.width());
    let stand = a.script == Script::Normal && b.script == Script::Normal;
    stand && shared > 0.5 * shorter && shared > 0.5 * a.size.min(b.size)
}

/// Makes bullets of glyphs without a meaning that stand before text, and leaves the others out.
fn name_bullets(rows: &mut Vec<Vec<Word>>) {
    let is_unknown = |word: &Word| word.text.chars().all(|c| c == UNKNOWN);
    for row in rows.iter_mut().filter(|row| row.iter().any(is_unknown)) {
        let mut end = f32::NEG_INFINITY;
        let mut bullets = Vec::with_capacity(row.len());
        for (at, word) in row.iter().enumerate() {
            let next = row.get(at + 1).filter(|next| !is_unknown(next));
            let is_near = next.is_some_and(|next| {
                let gap = next.rect.x0 - word.rect.x1;
                next.font != word.font && (0.0..BULLET_GAP_MAX * next.size).contains(&gap)
            });
            let is_first = word.rect.x0 - end > GAP_OF_LINE * word.size;
            bullets.push(is_near && is_first && is_text(&row[at + 1..]));
            end = word.rect.x1;
        }
        for (word, is_bullet) in row.iter_mut().zip(bullets) {
            if is_bullet && is_unknown(word) {
                word.text = "•".to_owned();
            }
        }
        row.retain(|word| !is_unknown(word));
    }
    rows.retain(|row| !row.is_empty());
}

/// Whether words are those of a text, not of a formula.
fn is_text(words: &[Word]) -> bool {
    let chars = words
        .iter()
        .take(TEXT_WORDS)
        .flat_map(|word| word.text.chars());
    let (letters, all) = chars.fold((0_usize, 0_usize), |(letters, all), c| {
        (letters + usize::from(c.is_alphabetic()), all + 1)
    });
    letters >= TEXT_LETTERS_MIN && letters * 10 >= all * 7
}

fn sort(row: &mut [Word]) {
    row.sort_by(|a, b| {
        let by_place = a.rect.x0.total_cmp(&b.rect.x0);
        by_place.then(a.order.cmp(&b.order))
    });
}

/// Moves words that stand above or below their neighbour into its row.
fn attach_scripts(rows: &mut Vec<Vec<Word>>) {
    for at in 0..rows.len() {
        let mut kept = Vec::new();
        for word in std::mem::take(&mut rows[at]) {
            match host_of(&word, at, rows) {
                Some(host) => {
                    let row = &mut rows[host.row];
                    if host.is_before
                        && let Some(next) = row.get_mut(host.place)
                    {
                        next.is_glued = next.rect.x0 - word.rect.x1 < GAP_OF_WORD * next.size;
                    }
                    let left = row.get(host.place.wrapping_sub(1));
                    let is_glued = left
                        .is_some_and(|left| word.rect.x0 - left.rect.x1 < GAP_OF_WORD * left.size);
                    let word = Word {
                        script: host.script,
                        is_glued,
                        ..word
                    };
                    row.insert(host.place, word);
                }
                None => kept.push(word),
            }
        }
        kept.append(&mut rows[at]);
        sort(&mut kept);
        rows[at] = kept;
    }
    rows.retain(|row| !row.is_empty());
}

/// Marks words that are scripts of the one before on the same line.
fn mark_scripts(rows: &mut [Vec<Word>]) {
    for row in rows {
        let mut host: Option<(f32, f32, f32)> = None;
        for word in row.iter_mut() {
            if let Some((size, baseline, end)) = host {
                let shift = baseline - word.baseline;
                let is_script = word.script == Script::Normal
                    && word.size <= SCRIPT_SIZE_MAX * size
                    && word.size > SCRIPT_SIZE_MIN * size
                    && shift.abs() >= SCRIPT_SHIFT_MIN * size
                    && word.rect.x0 - end < GAP_OF_WORD * size;
                if is_script {
                    word.script = if shift > 0.0 {
                        Script::Super
                    } else {
                        Script::Sub
                    };
                }
            }
            if word.script == Script::Normal {
                host = Some((word.size, word.baseline, word.rect.x1));
            }
        }
    }
}

/// Where a script belongs.
struct Host {
    row: usize,
    place: usize,
    script: Script,
    /// It stands at the left of a line, as the mark of a note does.
    is_before: bool,
}

/// The place of a word that is a script of its neighbour in another row.
fn host_of(word: &Word, at: usize, rows: &[Vec<Word>]) -> Option<Host> {
    let from = at.saturating_sub(SCRIPT_LINES_MAX);
    let to = rows.len().min(at + SCRIPT_LINES_MAX);
    for number in (from..to).filter(|row| *row != at) {
        let row = &rows[number];
        let Some(first) = row.first() else {
            continue;
        };
        let reach = 0.7 * first.size.max(word.size);
        if (first.baseline - word.baseline).abs() > reach {
            continue;
        }
        let place = row.partition_point(|other| other.rect.x0 <= word.rect.x0);
        let left = place.checked_sub(1).and_then(|left| row.get(left));
        let is_host = |host: &&Word, gap: f32| {
            let shift = (host.baseline - word.baseline).abs();
            word.size <= SCRIPT_SIZE_MAX * host.size
                && word.size > SCRIPT_SIZE_MIN * host.size
                && gap < 0.25 * host.size
                && gap > -0.5 * host.size
                && shift <= 0.65 * host.size
                && host.script == Script::Normal
        };
        let left = left.filter(|left| is_host(left, word.rect.x0 - left.rect.x1));
        let right = row
            .get(place)
            .filter(|right| is_host(right, right.rect.x0 - word.rect.x1))
            .filter(|right| right.baseline > word.baseline);
        if let Some(host) = left.or(right) {
            let is_above = host.baseline > word.baseline;
            return Some(Host {
                row: number,
                place,
                script: if is_above { Script::Super } else { Script::Sub },
                is_before: left.is_none(),
            });
        }
    }
    None
}

/// Moves initials over several rows to the first of them.
fn attach_initials(rows: &mut Vec<Vec<Word>>) {
    for at in 1..rows.len() {
        let Some((place, to, target)) = (0..rows[at].len()).find_map(|place| {
            let (to, target) = row_of_initial(rows, at, place)?;
            Some((place, to, target))
        }) else {
            continue;
        };
        let mut initial = rows[at].remove(place);
        let Some(rest) = rows[to].get_mut(target) else {
            continue;
        };
        let gap = rest.rect.x0 - initial.rect.x1;
        rest.is_glued = gap < 0.5 * rest.size;
        initial.rect = Rect {
            y0: rest.rect.y0,
            y1: rest.rect.y1,
            x1: initial.rect.x1.max(rest.rect.x0 - GAP_OF_WORD * rest.size),
            ..initial.rect
        };
        initial.baseline = rest.baseline;
        initial.size = rest.size;
        rows[to].insert(target, initial);
    }
    rows.retain(|row| !row.is_empty());
}

/// The row that a word begins as an initial, and the word there that follows it.
fn row_of_initial(rows: &[Vec<Word>], at: usize, place: usize) -> Option<(usize, usize)> {
    let word = rows[at].get(place)?;
    let mut chars = word.text.chars();
    let is_one = chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none();
    if !is_one {
        return None;
    }
    let top = word.baseline - 0.75 * word.size;
    (at.saturating_sub(INITIAL_ROWS_MAX)..at).find_map(|number| {
        let row = &rows[number];
        let target = row.iter().position(|other| other.rect.x0 >= word.rect.x0)?;
        let rest = row.get(target)?;
        let gap = rest.rect.x0 - word.rect.x1;
        let is_begun = rest.baseline > top
            && word.size >= INITIAL_SIZE_MIN * rest.size
            && (-0.3 * rest.size..INITIAL_GAP_MAX * rest.size).contains(&gap);
        is_begun.then_some((number, target))
    })
}

/// Where in the order in which the file draws it goes from one row to another.
struct Columns {
    /// Places in the drawing order of all words, with the number of the row of each.
    words: Vec<(u32, usize)>,
}

impl Columns {
    fn of(rows: &[Vec<Word>]) -> Self {
        let rows = rows.iter().enumerate();
        let words = rows.flat_map(|(number, row)| row.iter().map(move |word| (word.order, number)));
        let mut words: Vec<(u32, usize)> = words.collect();
        words.sort_unstable();
        Self { words }
    }

    fn place(&self, word: &Word) -> usize {
        self.words.partition_point(|(order, _)| *order < word.order)
    }

    /// Whether the file draws nothing between two words.
    fn are_neighbours(&self, left: &Word, right: &Word) -> bool {
        self.place(left).abs_diff(self.place(right)) == 1
    }

    /// Whether the file leaves this row after `left` and comes back to it before `right`.
    fn are_apart(&self, left: &Word, right: &Word, row: usize) -> bool {
        let after = self.words.get(self.place(left) + 1);
        let before = self.words.get(self.place(right).wrapping_sub(1));
        let is_other = |word: Option<&(u32, usize)>| word.is_some_and(|(_, other)| *other != row);
        is_other(after) && is_other(before)
    }
}

/// Ends a line at every wide gap, and at narrower ones that lie between columns.
fn split(row: Vec<Word>, number: usize, columns: &Columns, turn: Turn) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut current: Vec<Word> = Vec::new();
    let mut end = f32::NEG_INFINITY;
    for mut word in row {
        let em = word.size;
        let gap = word.rect.x0 - end;
        if let Some(last) = current.last() {
            let is_apart = gap > GAP_OF_COLUMN * em
                && columns.are_apart(last, &word, number)
                && word.script == Script::Normal;
            if gap > GAP_OF_LINE * em || is_apart {
                lines.extend(finished(std::mem::take(&mut current), turn));
            } else {
                // Between words that are drawn one after the other a gap or a space has been seen.
                let is_drawn_next = columns.are_neighbours(last, &word);
                word.is_glued |= is_run_on(last, &word, gap, is_drawn_next);
            }
        }
        if current.is_empty() {
            word.is_glued = false;
            end = f32::NEG_INFINITY;
        }
        end = end.max(word.rect.x1);
        current.push(word);
    }
    lines.extend(finished(current, turn));
    lines
}

/// Whether two words are parts of one, drawn one after the other, or of a script without spaces.
fn is_run_on(last: &Word, word: &Word, gap: f32, is_drawn_next: bool) -> bool {
    if word.script != Script::Normal {
        return false;
    }
    let is_close =
        gap.abs() < GAP_OF_WORD * word.size && word.rect.x0 - last.rect.x1 < 0.08 * word.size;
    let ends = (last.text.chars().next_back(), word.text.chars().next());
    let is_unspaced = matches!(ends, (Some(a), Some(b)) if is_ideographic(a) && is_ideographic(b));
    is_close && !is_drawn_next || is_unspaced
}

fn finished(mut words: Vec<Word>, turn: Turn) -> Option<Line> {
    let reads_left = |word: &Word| word.text.contains(is_right_to_left);
    if words.iter().any(reads_left) {
        words = read_from_right(words);
    }
    Line::of_words(words, turn)
}

/// Puts words that stand from left to right in the order in which they are read, in a line with words
/// that are read from the right.
fn read_from_right(words: Vec<Word>) -> Vec<Word> {
    let letters = |holds: fn(char) -> bool| {
        let chars = words.iter().flat_map(|word| word.text.chars());
        chars.filter(|c| holds(*c)).count()
    };
    let leftwards = letters(is_right_to_left);
    let rightwards = letters(|c| c.is_alphabetic() && !is_right_to_left(c));
    let is_base_left = leftwards >= rightwards;
    // A word without letters goes with those around it, a number is always read from the left.
    let mut goes_left = Vec::with_capacity(words.len());
    for word in &words {
        let has_rtl = word.text.contains(is_right_to_left);
        let is_neutral = !word.text.contains(char::is_alphanumeric);
        goes_left.push(has_rtl || is_neutral && is_base_left);
    }
    let places: Vec<usize> = (0..words.len()).collect();
    let runs = places.chunk_by(|a, b| goes_left[*a] == goes_left[*b]);
    let mut runs: Vec<Vec<usize>> = runs.map(<[usize]>::to_vec).collect();
    if is_base_left {
        runs.reverse();
    }
    for run in &mut runs {
        if run.first().is_some_and(|first| goes_left[*first]) {
            run.reverse();
        }
    }
    let order: Vec<usize> = runs.into_iter().flatten().collect();
    let glued: Vec<bool> = words.iter().map(|word| word.is_glued).collect();
    let mut words: Vec<Option<Word>> = words.into_iter().map(Some).collect();
    let mut read: Vec<Word> = Vec::with_capacity(words.len());
    let mut last: Option<usize> = None;
    for place in order {
        let Some(mut word) = words[place].take() else {
            continue;
        };
        // Words that touched still do, if they are still neighbours.
        word.is_glued =
            last.is_some_and(|last| last.abs_diff(place) == 1 && glued[last.max(place)]);
        read.push(word);
        last = Some(place);
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::{EM, glyph, glyphs};
    use crate::page::Glyph;

    fn check(glyphs: Vec<Glyph>, expected: &[&str]) {
        let page = Page {
            width: 600.0,
            height: 800.0,
            glyphs,
            ..Page::default()
        };
        let lines = of_page(&page, &[]);
        let texts: Vec<String> = lines.iter().map(Line::text).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn text_drawn_twice_is_read_once() {
        let mut twice = glyphs("bold text", 0.0, 100.0);
        twice.extend(glyphs("bold text", 0.4, 100.0));
        check(twice, &["bold text"]);
    }

    #[test]
    fn accents_join_their_letters() {
        let mut text = glyphs("caf", 0.0, 100.0);
        text.push(glyph('\u{b4}', 15.0, 98.0));
        text.push(glyph('e', 15.0, 100.0));
        check(text, &["café"]);
        let mut text = glyphs("u", 0.0, 100.0);
        text.push(glyph('\u{a8}', 0.5, 100.0));
        text.extend(glyphs("ber", 5.0, 100.0));
        check(text, &["über"]);
    }

    #[test]
    fn letters_set_apart_are_words() {
        let mut text = Vec::new();
        for (n, c) in (0_u8..).zip("HONEY MOON".chars()) {
            text.push(glyph(c, 7.0 * f32::from(n), 100.0));
        }
        check(text, &["HONEY MOON"]);
    }

    #[test]
    fn hebrew_is_read_from_the_right_and_numbers_are_not() {
        // Drawn from left to right, as it looks: the first word stands at the right.
        let mut text = glyphs("2023 םולש", 0.0, 100.0);
        check(text.clone(), &["שלום 2023"]);
        // Drawn as it is read.
        text[5..].reverse();
        check(text, &["שלום 2023"]);
    }

    #[test]
    fn ideographs_have_no_spaces_between() {
        let mut text = glyphs("日本", 0.0, 100.0);
        text.extend(glyphs("語 word", 13.0, 100.0));
        check(text, &["日本語 word"]);
    }

    #[test]
    fn a_narrow_gutter_divides_lines_that_are_drawn_apart() {
        let mut text = Vec::new();
        for (x, words) in [
            (0.0, ["left one", "left two"]),
            (43.0, ["right one", "right two"]),
        ] {
            for (y, words) in [100.0, 112.0].into_iter().zip(words) {
                text.extend(glyphs(words, x, y));
            }
        }
        check(text, &["left one", "right one", "left two", "right two"]);
    }

    #[test]
    fn scripts_touch_their_word_and_initials_begin_it() {
        let mut text = glyphs("note", 0.0, 100.0);
        text.push(Glyph {
            size: 6.0,
            ..glyph('1', 20.0, 96.0)
        });
        text.extend(glyphs(" goes", 25.0, 100.0));
        check(text, &["note1 goes"]);
        let mut text = vec![Glyph {
            size: 3.0 * EM,
            x1: 18.0,
            ..glyph('T', 0.0, 124.0)
        }];
        text.extend(glyphs("he first", 20.0, 106.0));
        text.extend(glyphs("line", 20.0, 118.0));
        check(text, &["The first", "line"]);
    }

    #[test]
    fn a_sign_without_a_meaning_is_a_bullet_before_text_only() {
        let mut text = vec![Glyph {
            font: 1,
            ..glyph('\u{fffd}', 0.0, 100.0)
        }];
        text.extend(glyphs("an item of a list", 20.0, 100.0));
        text.push(Glyph {
            font: 1,
            ..glyph('\u{fffd}', 0.0, 120.0)
        });
        text.extend(glyphs("= 5", 20.0, 120.0));
        check(text, &["•", "an item of a list", "= 5"]);
    }
}
