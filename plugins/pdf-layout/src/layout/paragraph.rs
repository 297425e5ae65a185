//! Lines in reading order to blocks of text: where a paragraph ends.
//!
//! Invariant: every line given is in one block, in the order given.

use std::collections::BTreeMap;

use crate::geometry::Rect;
use crate::layout::block::{Block, Role};
use crate::layout::list::{self, Marker};
use crate::layout::text::{Line, Script};

/// A row that begins so many ems left of the marker of an item is none of its rows.
const LEFT_OF_ITEM: f32 = 0.25;
/// A gap between lines of this much of their usual distance is one between paragraphs.
const GAP_OF_PARAGRAPH: f32 = 1.3;
/// The distance of lines where there are too few to tell, in ems.
const STEP_USUAL: f32 = 1.2;
/// So many distances tell what is usual.
const STEPS_MIN: usize = 6;
/// Lines of one paragraph are no farther apart than this, in ems.
const STEP_MAX: f32 = 2.2;
/// But in drafts, which are typed with double spaces.
const STEP_OF_DRAFTS_MAX: f32 = 3.2;
/// A line that ends so many ems before the edge runs on to it.
const ROOM_OF_FULL: f32 = 4.0;
/// Code has empty lines: so many usual distances still do not end it.
const GAP_OF_CODE: f32 = 3.2;
/// Code stands off from text by more than this much of the usual distance.
const GAP_OF_CODE_MIN: f32 = 1.1;
/// Code within text is smaller by no more than this share.
const MONO_TOLERANCE: f32 = 0.3;
/// So many dots lead the eye; fewer are a sentence that breaks off.
const LEADER_DOTS_MIN: usize = 4;
/// Sizes that differ by less, as a share, are the same.
const SIZE_TOLERANCE: f32 = 0.06;
/// A line that begins this many ems farther right or left is indented.
const INDENT_MIN: f32 = 0.7;
/// And no more than this: more is centred or another column.
const INDENT_MAX: f32 = 5.0;
/// Fragments on baselines this near, in ems, are of one row.
const ROW_TOLERANCE: f32 = 0.3;
/// The mark of a note has so many characters, stands so many ems above its line, and so far before it.
const MARK_CHARS_MAX: usize = 3;
const MARK_RISE_MAX: f32 = 0.7;
const MARK_GAP_MAX: f32 = 5.0;
/// Room of this many ems beyond the next word at the end of a line tells that the line was ended.
const ROOM_MIN: f32 = 1.0;

/// Puts lines, which are in reading order, together to blocks.
#[must_use]
pub fn blocks(lines: Vec<Line>) -> Vec<Block> {
    let mut rows = rows(lines);
    let pitches = Pitches::of(&rows);
    mark_code(&mut rows, &pitches);
    let mut runs: Vec<Vec<Row>> = Vec::new();
    for row in rows {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| goes_on(last, &row, &pitches)) => {
                run.push(row)
            }
            _ => runs.push(vec![row]),
        }
    }
    runs.into_iter()
        .flat_map(paragraphs)
        .filter_map(block)
        .collect()
}

/// Fragments that stand on one line.
struct Row {
    lines: Vec<Line>,
    rect: Rect,
    baseline: f32,
    size: f32,
    marker: Option<Marker>,
    is_code: bool,
}

impl Row {
    fn of(lines: Vec<Line>) -> Option<Self> {
        let rect = Rect::around(lines.iter().map(|line| &line.rect))?;
        let longest = lines.iter().max_by_key(|line| line.chars())?;
        Some(Self {
            rect,
            baseline: longest.baseline,
            size: size_of(&lines).unwrap_or(longest.size),
            marker: list::marker(&lines),
            is_code: false,
            lines,
        })
    }

    fn is(&self, holds: impl Fn(&Line) -> bool) -> bool {
        self.lines.iter().all(holds)
    }

    fn is_bold(&self) -> bool {
        self.is(|line| line.mostly(|word| word.style.is_bold))
    }

    fn starts_bold(&self) -> bool {
        let word = self.lines.first().and_then(|line| line.words.first());
        word.is_some_and(|word| word.style.is_bold)
    }

    fn is_mono(&self) -> bool {
        self.is(|line| line.mostly(|word| word.style.is_mono))
    }

    fn last_char(&self) -> Option<char> {
        self.lines.last()?.words.last()?.text.chars().next_back()
    }

    fn first_char(&self) -> Option<char> {
        self.lines.first()?.words.first()?.text.chars().next()
    }

    /// Whether dots lead to a number at its end, as in a table of contents.
    fn is_entry(&self) -> bool {
        let mut words = self
            .lines
            .iter()
            .rev()
            .flat_map(|line| line.words.iter().rev());
        let number = words.next().map_or("", |word| word.text.as_str());
        let is_number = number
            .trim_start_matches('.')
            .chars()
            .all(char::is_alphanumeric);
        let is_dot = |c: char| matches!(c, '.' | '…' | '·');
        let stuck = number.chars().take_while(|c| is_dot(*c)).count();
        let dots = words.map_while(|word| {
            let chars = word.text.chars();
            chars.clone().all(is_dot).then(|| chars.count())
        });
        is_number && stuck + dots.take(LEADER_DOTS_MIN).sum::<usize>() >= LEADER_DOTS_MIN
    }

    fn first_word_width(&self) -> f32 {
        let word = self.lines.first().and_then(|line| line.words.first());
        word.map_or(0.0, |word| word.rect.width())
    }
}

/// The size of most characters of a row; names in code are smaller than the text around them.
fn size_of(lines: &[Line]) -> Option<f32> {
    let words = lines.iter().flat_map(|line| &line.words);
    let words = words.filter(|word| !word.style.is_mono && word.script == Script::Normal);
    let mut sizes: Vec<(f32, usize)> = words
        .map(|word| (word.size, word.text.chars().count()))
        .collect();
    sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = sizes.iter().map(|(_, chars)| chars).sum::<usize>() / 2;
    let mut sum = 0;
    let middle = sizes.iter().find(|(_, chars)| {
        sum += chars;
        sum > half
    });
    middle.map(|(size, _)| *size)
}

/// Whether a line is the raised mark of a note, far to the left of its text.
fn is_mark_of(mark: &Line, text: &Line) -> bool {
    let is_short = mark.chars() <= MARK_CHARS_MAX && mark.words.len() == 1;
    let rise = (text.baseline - mark.baseline) / text.size.max(1.0);
    let gap = (text.rect.x0 - mark.rect.x1) / text.size.max(1.0);
    is_short
        && mark.size < text.size
        && (ROW_TOLERANCE..MARK_RISE_MAX).contains(&rise)
        && (0.0..MARK_GAP_MAX).contains(&gap)
}

fn rows(lines: Vec<Line>) -> Vec<Row> {
    let mut rows: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        let last = rows.last_mut().filter(|row| {
            row.last().is_some_and(|last| {
                let em = last.size.min(line.size);
                let is_near = (last.baseline - line.baseline).abs() < ROW_TOLERANCE * em;
                // Text drawn over text is no fragment of its row.
                (is_near || is_mark_of(last, &line))
                    && last.turn == line.turn
                    && last.rect.overlap_x(&line.rect) < em
            })
        });
        match last {
            Some(row) => row.push(line),
            None => rows.push(vec![line]),
        }
    }
    rows.into_iter().filter_map(Row::of).collect()
}

fn block(rows: Vec<Row>) -> Option<Block> {
    let lines: Vec<Line> = rows.into_iter().flat_map(|row| row.lines).collect();
    Block::of_lines(lines, Role::Paragraph)
}

/// The usual distances of baselines in ems, by the size of the text.
struct Pitches {
    by_size: BTreeMap<i32, f32>,
    /// Where there are too few lines of a size to tell.
    body: f32,
}

impl Pitches {
    fn of(rows: &[Row]) -> Self {
        let right = rows
            .iter()
            .map(|row| row.rect.x1)
            .fold(f32::NEG_INFINITY, f32::max);
        let mut steps: BTreeMap<i32, Vec<f32>> = BTreeMap::new();
        for pair in rows.windows(2) {
            let [a, b] = pair else {
                continue;
            };
            let em = a.size.max(1.0);
            let step = (b.baseline - a.baseline) / em;
            // Lines far apart are of one paragraph only if they run on to the edge.
            let is_full = right - a.rect.x1 < ROOM_OF_FULL * em;
            let is_step = (0.8..STEP_MAX).contains(&step)
                || is_full && (STEP_MAX..STEP_OF_DRAFTS_MAX).contains(&step);
            if is_step && key(a.size) == key(b.size) {
                steps.entry(key(a.size)).or_default().push(step);
            }
        }
        let most = steps.values().map(Vec::len).max().unwrap_or(0);
        steps.retain(|_, steps| steps.len() >= STEPS_MIN || steps.len() == most);
        let by_size = steps.into_iter().filter_map(|(size, mut steps)| {
            steps.sort_by(f32::total_cmp);
            // Gaps between paragraphs are steps as well.
            let usual = steps.get(steps.len() * 2 / 5).copied()?;
            Some((size, (usual, steps.len())))
        });
        let by_size: BTreeMap<i32, (f32, usize)> = by_size.collect();
        let body = by_size.values().max_by_key(|(_, count)| *count);
        Self {
            body: body.map_or(STEP_USUAL, |(usual, _)| *usual).min(STEP_MAX),
            by_size: by_size
                .into_iter()
                .map(|(size, (usual, _))| (size, usual))
                .collect(),
        }
    }

    /// The usual distance below a row.
    fn below(&self, row: &Row) -> f32 {
        let known = self.by_size.get(&key(row.size)).copied();
        known.unwrap_or(self.body)
    }
}

/// A size in half points.
fn key(size: f32) -> i32 {
    (size * 2.0).round() as i32
}

/// Tells rows of code from a row of a paragraph that holds nothing but a long name.
fn mark_code(rows: &mut [Row], pitches: &Pitches) {
    let is_mono: Vec<bool> = rows.iter().map(Row::is_mono).collect();
    for at in 0..rows.len() {
        let neighbour = |at: Option<usize>| at.and_then(|at| is_mono.get(at)).copied();
        let before = at.checked_sub(1);
        let is_alone = neighbour(before) == Some(false) && neighbour(Some(at + 1)) != Some(true);
        let is_of_text = before.and_then(|before| rows.get(before)).zip(rows.get(at));
        let is_of_text = is_of_text.is_some_and(|(last, row)| {
            let em = last.size.max(row.size);
            let step = row.baseline - last.baseline;
            let is_tight = step > 0.0 && step <= GAP_OF_CODE_MIN * pitches.below(last) * em;
            let is_below = last.rect.overlap_x(&row.rect) > 0.0;
            is_tight && is_below && last.last_char().is_some_and(|c| !is_sentence_end(c))
        });
        let is_code = is_mono[at] && !(is_alone && is_of_text);
        if let Some(row) = rows.get_mut(at) {
            row.is_code = is_code;
        }
    }
}

/// Whether a row is of the same run of text as the one before: no gap, no other style between.
fn goes_on(last: &Row, next: &Row, pitches: &Pitches) -> bool {
    let pitch = pitches.below(last);
    let em = last.size.max(next.size);
    let step = next.baseline - last.baseline;
    let tolerance = match last.is_mono() == next.is_mono() {
        true => SIZE_TOLERANCE,
        false => MONO_TOLERANCE,
    };
    let same_size = (last.size - next.size).abs() <= tolerance * em;
    let same_turn =
        last.lines.first().map(|line| line.turn) == next.lines.first().map(|line| line.turn);
    let is_beside = last.rect.overlap_x(&next.rect) < 0.0;
    if !same_size || !same_turn || step <= 0.0 || is_beside {
        return false;
    }
    if last.is_entry() {
        return false;
    }
    if last.is_code && next.is_code {
        return step <= GAP_OF_CODE * pitch * em;
    }
    let is_close = step <= GAP_OF_PARAGRAPH * pitch * em;
    let is_lower = next.first_char().is_some_and(char::is_lowercase);
    let is_of_item = last.marker.as_ref().is_some_and(Marker::is_clear)
        && next.rect.x0 > last.rect.x0 + 0.5 * em;
    let is_same_look = last.is_bold() == next.is_bold()
        || is_lower
        || is_of_item
        || last.is_mono()
        || next.is_mono()
        || last.is_bold() && next.starts_bold();
    is_close && last.is_code == next.is_code && is_same_look
}

/// Divides a run where one of its rows begins a paragraph.
fn paragraphs(run: Vec<Row>) -> Vec<Vec<Row>> {
    if run.iter().all(|row| row.is_code) {
        return vec![run];
    }
    let run_shape = Shape::of(&run);
    let mut starts = vec![false; run.len()];
    for at in 1..run.len() {
        let (Some(last), Some(row)) = (run.get(at - 1), run.get(at)) else {
            continue;
        };
        let after = run.get(at + 1);
        let is_item = row.marker.as_ref().is_some_and(|marker| {
            let before = run[..at].iter().rev().find_map(|row| row.marker.as_ref());
            let goes_on = before.is_some_and(|before| marker.follows(before));
            goes_on || marker.is_clear() || marker.is_first() && run_shape.is_ended(last, row)
        });
        // The text of an item does not begin left of its marker.
        let start = starts[..at].iter().rposition(|is_start| *is_start);
        let first = run.get(start.unwrap_or(0));
        let ends_item = first.is_some_and(|first| {
            let is_left = row.rect.x0 < first.rect.x0 - LEFT_OF_ITEM * first.size;
            first.marker.is_some() && is_left && !run_shape.is_centred
        });
        starts[at] = is_item || ends_item || run_shape.begins(last, row, after);
    }
    let mut parts: Vec<Vec<Row>> = Vec::new();
    for (row, is_start) in run.into_iter().zip(starts) {
        match parts.last_mut() {
            Some(part) if !is_start => part.push(row),
            _ => parts.push(vec![row]),
        }
    }
    parts
}

/// How a run of rows is set.
struct Shape {
    left: f32,
    right: f32,
    em: f32,
    /// First rows of paragraphs stand farther left than the others.
    is_hanging: bool,
    /// Rows begin and end at various places around one middle.
    is_centred: bool,
}

impl Shape {
    fn of(run: &[Row]) -> Self {
        let fold = |key: fn(&Row) -> f32, of: fn(f32, f32) -> f32, from: f32| {
            run.iter().map(key).fold(from, of)
        };
        let left = fold(|row| row.rect.x0, f32::min, f32::INFINITY);
        let right = fold(|row| row.rect.x1, f32::max, f32::NEG_INFINITY);
        let em = fold(|row| row.size, f32::max, 1.0);
        let count = |holds: &dyn Fn(&Row) -> bool| run.iter().filter(|row| holds(row)).count();
        let at_left = count(&|row| row.rect.x0 - left < INDENT_MIN * em);
        let indented =
            count(&|row| (INDENT_MIN * em..INDENT_MAX * em).contains(&(row.rect.x0 - left)));
        let middle = f32::midpoint(left, right);
        let is_centred = run.len() > 1
            && at_left < run.len()
            && run
                .iter()
                .all(|row| (row.rect.middle_x() - middle).abs() < INDENT_MIN * em);
        Self {
            left,
            right,
            em,
            is_hanging: indented > at_left,
            is_centred,
        }
    }

    fn is_at_left(&self, row: &Row) -> bool {
        row.rect.x0 - self.left < INDENT_MIN * self.em
    }

    /// Whether a row was ended although the next word would have had room.
    fn is_short(&self, row: &Row, next: &Row) -> bool {
        self.right - row.rect.x1 > next.first_word_width() + ROOM_MIN * self.em
    }

    /// Whether a sentence and its paragraph end with a row.
    fn is_ended(&self, last: &Row, next: &Row) -> bool {
        let is_end = last.last_char().is_some_and(is_sentence_end);
        is_end || self.is_short(last, next)
    }

    /// Whether a row that follows `last` begins a paragraph.
    fn begins(&self, last: &Row, row: &Row, after: Option<&Row>) -> bool {
        if self.is_centred {
            return false;
        }
        let by = row.rect.x0 - last.rect.x0;
        let is_lower = row.first_char().is_some_and(char::is_lowercase);
        if self.is_hanging {
            let is_back = self.is_at_left(row) && !self.is_at_left(last);
            let is_next = self.is_at_left(row) && self.is_at_left(last);
            return is_back || is_next && self.is_short(last, row) && !is_lower;
        }
        let is_indented = (INDENT_MIN * self.em..INDENT_MAX * self.em).contains(&by);
        let is_first = is_indented
            && !is_lower
            && last.marker.is_none()
            && after.is_none_or(|after| row.rect.x0 - after.rect.x0 >= INDENT_MIN * self.em)
            && self.is_ended(last, row);
        let is_new =
            self.is_short(last, row) && last.last_char().is_some_and(is_sentence_end) && !is_lower;
        is_first || is_new
    }
}

/// Whether a sentence may end with a character.
#[must_use]
pub fn is_sentence_end(c: char) -> bool {
    matches!(
        c,
        '.' | '!' | '?' | ':' | ';' | '"' | '”' | ')' | '’' | '»' | '。' | '！' | '？' | '؟' | '।'
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::sample::{line, styled};
    use crate::layout::text::Style;

    fn check(lines: Vec<Line>, expected: &[&str]) {
        let blocks = blocks(lines);
        let texts = blocks
            .iter()
            .filter_map(Block::text)
            .map(|text| text.plain());
        assert_eq!(texts.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_gap_ends_a_paragraph() {
        let lines = [
            ("one one one", 0.0),
            ("two two two", 12.0),
            ("three", 36.0),
            ("four", 48.0),
        ];
        let lines = lines.map(|(text, y)| line(text, 0.0, 100.0 + y));
        check(lines.to_vec(), &["one one one two two two", "three four"]);
    }

    #[test]
    fn an_indent_begins_a_paragraph() {
        let lines = vec![
            line("The first one goes on and on", 0.0, 100.0),
            line("and ends.", 0.0, 112.0),
            line("Second one is indented and", 15.0, 124.0),
            line("goes on as well to its end.", 0.0, 136.0),
        ];
        let expected = [
            "The first one goes on and on and ends.",
            "Second one is indented and goes on as well to its end.",
        ];
        check(lines, &expected);
    }

    #[test]
    fn items_hang_and_are_told_apart() {
        let lines = vec![
            line("1. an item that is long", 0.0, 100.0),
            line("and goes on", 15.0, 112.0),
            line("2. the next item is long", 0.0, 124.0),
            line("as well", 15.0, 136.0),
        ];
        let expected = [
            "1. an item that is long and goes on",
            "2. the next item is long as well",
        ];
        check(lines, &expected);
    }

    #[test]
    fn entries_of_contents_stay_apart() {
        let lines = vec![
            line("First . . . . . . . . 1", 0.0, 100.0),
            line("Second . . . . . . . 2", 0.0, 112.0),
        ];
        check(
            lines,
            &["First . . . . . . . . 1", "Second . . . . . . . 2"],
        );
    }

    #[test]
    fn one_line_of_code_within_text_is_text_and_two_are_code() {
        let mono = |text, y| {
            let style = Style {
                is_mono: true,
                ..Style::default()
            };
            styled(text, 0.0, y, style)
        };
        let lines = vec![
            line("Use the option called", 0.0, 100.0),
            mono("--with-a-long-name of", 112.0),
            line("the program.", 0.0, 124.0),
        ];
        let expected = ["Use the option called --with-a-long-name of the program."];
        check(lines, &expected);
        let lines = vec![
            line("Type this:", 0.0, 100.0),
            mono("make", 112.0),
            mono("make install", 136.0),
        ];
        check(lines, &["Type this:", "make make install"]);
    }

    #[test]
    fn drafts_are_typed_with_double_spaces() {
        let lines =
            (0_u8..9).map(|n| line("a line that is as long as any", 0.0, 25.0 * f32::from(n)));
        assert_eq!(blocks(lines.collect()).len(), 1);
    }
}
