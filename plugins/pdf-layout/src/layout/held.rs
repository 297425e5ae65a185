//! How much memory laid-out pages take: a document is held as a whole until its running heads, headings
//! and tables over pages are known, and small files can share one content between many pages.
//!
//! Invariant: the count is the same on every machine; it is that of the component, with 32 bits an address.

use crate::layout::block::{Block, BlockKind, PageBlocks};
use crate::layout::text::Line;
use crate::page::{LinkTarget, Note};

/// Bytes of each thing, with the allocation of its text and the room that a list has to grow: a document of
/// two million words of a letter was seen to take 107 a word.
const WORD_BYTES: u64 = 104;
const LINE_BYTES: u64 = 72;
const BLOCK_BYTES: u64 = 96;
const CELL_BYTES: u64 = 16;
const LINK_BYTES: u64 = 40;
const NOTE_BYTES: u64 = 72;

/// Bytes that a page takes.
#[must_use]
pub fn bytes(page: &PageBlocks) -> u64 {
    let blocks: u64 = page.blocks.iter().map(of_block).sum();
    let links: u64 = page.links.iter().map(of_link).sum();
    let notes: u64 = page.notes.iter().map(of_note).sum();
    blocks + links + notes
}

fn of_block(block: &Block) -> u64 {
    let content: u64 = match &block.kind {
        BlockKind::Text(text) => text.lines.iter().map(of_line).sum(),
        BlockKind::Table(table) => {
            let cells = table.rows.iter().flatten();
            cells
                .map(|cell| CELL_BYTES + cell.lines.iter().map(of_line).sum::<u64>())
                .sum()
        }
        BlockKind::Picture { alternative, .. } => alternative.len() as u64,
    };
    BLOCK_BYTES + content
}

fn of_line(line: &Line) -> u64 {
    let words = line.words.iter();
    LINE_BYTES
        + words
            .map(|word| WORD_BYTES + word.text.len() as u64)
            .sum::<u64>()
}

fn of_link(target: &LinkTarget) -> u64 {
    match target {
        LinkTarget::Address(address) => LINK_BYTES + address.len() as u64,
        LinkTarget::Page(_) => LINK_BYTES,
    }
}

fn of_note(note: &Note) -> u64 {
    let label = note.label.as_ref().map_or(0, String::len);
    NOTE_BYTES + (label + note.text.len()) as u64
}
