//! The content of pages by the ids that mark it, and what remains.
//!
//! Invariant: content is taken once.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Place;
use crate::layout::block::{Block, BlockKind, PageBlocks, Role};
use crate::layout::text::{Line, Word};

/// The lines of a document by the marked content that they belong to.
#[derive(Clone, Debug, Default)]
pub struct Content {
    lines: BTreeMap<Place, Vec<Line>>,
    /// Characters that are no artifacts.
    pub all: usize,
    /// Those of them that are named.
    pub covered: usize,
}

impl Content {
    /// Of these pages, as far as it is named.
    #[must_use]
    pub fn of(pages: &[PageBlocks], named: &BTreeSet<Place>) -> Self {
        let mut content = Self::default();
        for (page, blocks) in pages.iter().enumerate() {
            for line in blocks.blocks.iter().flat_map(lines) {
                for run in runs(line) {
                    content.add(page, run, line, named);
                }
            }
        }
        content
    }

    fn add(&mut self, page: usize, run: &[Word], line: &Line, named: &BTreeSet<Place>) {
        let chars: usize = run.iter().map(|word| word.text.chars().count()).sum();
        let first = run.first();
        if first.is_some_and(|word| word.is_artifact) {
            return;
        }
        self.all += chars;
        let id = first.and_then(|word| word.content_id);
        let place = id.map(|id| Place { page, id });
        let Some(place) = place.filter(|place| named.contains(place)) else {
            return;
        };
        self.covered += chars;
        if let Some(part) = Line::of_words(run.to_vec(), line.turn) {
            self.lines.entry(place).or_default().push(part);
        }
    }

    /// How many characters this content has.
    #[must_use]
    pub fn chars(&self, places: &[Place]) -> usize {
        let lines = places.iter().filter_map(|place| self.lines.get(place));
        lines.flatten().map(Line::chars).sum()
    }

    /// What this content says.
    #[must_use]
    pub fn text(&self, places: &[Place]) -> String {
        let lines = places.iter().filter_map(|place| self.lines.get(place));
        let texts: Vec<String> = lines.flatten().map(Line::text).collect();
        texts.join(" ")
    }

    /// The lines of this content in order; what stands on one line is one.
    pub fn take(&mut self, places: &[Place]) -> Vec<Line> {
        let mut lines: Vec<Line> = Vec::new();
        for place in places {
            for line in self.lines.remove(place).unwrap_or_default() {
                match lines.last_mut() {
                    Some(last) if is_one(last, &line) => join(last, line),
                    _ => lines.push(line),
                }
            }
        }
        lines
    }
}

/// Whether a line goes on with another: it stands on the same row behind it.
fn is_one(last: &Line, next: &Line) -> bool {
    /// As much as between words of a line that is set wide, in ems.
    const GAP_MAX: f32 = 2.0;
    let em = last.size.max(next.size);
    let gap = next.rect.x0 - last.rect.x1;
    let is_level = (last.baseline - next.baseline).abs() < 0.5 * em;
    last.turn == next.turn && is_level && (-0.3 * em..GAP_MAX * em).contains(&gap)
}

fn join(last: &mut Line, next: Line) {
    let mut words = std::mem::take(&mut last.words);
    words.extend(next.words);
    if let Some(line) = Line::of_words(words, last.turn) {
        *last = line;
    }
}

/// The lines of a block.
fn lines(block: &Block) -> Vec<&Line> {
    match &block.kind {
        BlockKind::Text(text) => text.lines.iter().collect(),
        BlockKind::Table(table) => {
            let cells = table.rows.iter().flatten();
            cells.flat_map(|cell| &cell.lines).collect()
        }
        BlockKind::Picture { .. } => Vec::new(),
    }
}

/// Words of a line that belong to the same content.
fn runs(line: &Line) -> impl Iterator<Item = &[Word]> {
    line.words
        .chunk_by(|a, b| a.content_id == b.content_id && a.is_artifact == b.is_artifact)
}

/// Puts the named blocks of a page in place of its own; what is not named stays behind what it stood
/// behind.
pub fn merge(
    page: &mut PageBlocks,
    at: usize,
    named: Vec<Block>,
    owners: &BTreeMap<Place, usize>,
    alternatives: &BTreeMap<Place, String>,
) {
    let owner = |id: Option<u32>| owners.get(&Place { page: at, id: id? }).copied();
    // By the named block that they follow; 0: none.
    let mut others: BTreeMap<usize, Vec<Block>> = BTreeMap::new();
    let mut last = 0;
    for block in std::mem::take(&mut page.blocks) {
        if let BlockKind::Picture { content_id, .. } = &block.kind {
            let place = content_id.map(|id| Place { page: at, id });
            let known = place.and_then(|place| alternatives.get(&place)).cloned();
            let mut block = block;
            if let (BlockKind::Picture { alternative, .. }, Some(known)) = (&mut block.kind, known)
            {
                *alternative = known;
            }
            others.entry(last).or_default().push(block);
            continue;
        }
        let ids = lines(&block).into_iter().flat_map(|line| &line.words);
        let taken = ids.filter_map(|word| owner(word.content_id)).max();
        last = taken.map_or(last, |taken| taken + 1);
        others.entry(last).or_default().extend(rest(block, &owner));
    }
    let mut blocks: Vec<Block> = others.remove(&0).unwrap_or_default();
    for (n, block) in named.into_iter().enumerate() {
        blocks.push(block);
        blocks.extend(others.remove(&(n + 1)).unwrap_or_default());
    }
    page.blocks = blocks;
}

/// What of a block no part has taken.
fn rest(block: Block, owner: &impl Fn(Option<u32>) -> Option<usize>) -> Option<Block> {
    let is_whole = !lines(&block)
        .into_iter()
        .flat_map(|line| &line.words)
        .any(|word| owner(word.content_id).is_some());
    if is_whole {
        return Some(block);
    }
    let left = lines(&block).into_iter().filter_map(|line| {
        let words = line
            .words
            .iter()
            .filter(|word| owner(word.content_id).is_none());
        let words: Vec<Word> = words.filter(|word| !word.is_artifact).cloned().collect();
        Line::of_words(words, line.turn)
    });
    Block::of_lines(left.collect(), Role::Paragraph)
}
