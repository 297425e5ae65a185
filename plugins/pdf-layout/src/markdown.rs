//! Blocks to Markdown.

use crate::layout::block::{Block, BlockKind, PageBlocks, Role, Table, TextBlock};
use crate::layout::text::Line;

/// A piece of the Markdown of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Markdown.
    Text(String),
    /// A picture: an index into those that the reader wrote.
    Picture {
        /// Which.
        picture: u32,
        /// The text that stands for it.
        alternative: String,
    },
}

/// The Markdown of a page, in pieces: where pictures lie is for the caller to say.
#[must_use]
pub fn page(page: &PageBlocks) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    for block in &page.blocks {
        match &block.kind {
            BlockKind::Text(block) => text_block(block, &mut text),
            BlockKind::Table(table) => table_block(table, &mut text),
            BlockKind::Picture {
                picture,
                alternative,
            } => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Picture {
                    picture: *picture,
                    alternative: alternative.clone(),
                });
                text.push_str("\n\n");
            }
        }
    }
    pieces.push(Piece::Text(text));
    pieces
}

fn text_block(block: &TextBlock, text: &mut String) {
    match &block.role {
        Role::Furniture => return,
        Role::Heading(level) => {
            text.extend(std::iter::repeat_n('#', usize::from((*level).clamp(1, 6))));
            text.push(' ');
            text.push_str(&joined(&block.lines));
        }
        _ => text.push_str(&joined(&block.lines)),
    }
    text.push_str("\n\n");
}

/// Lines as one: a word that a hyphen divides over two lines is whole again.
#[must_use]
pub fn joined(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        let line = line.text();
        let starts_small = line.chars().next().is_some_and(char::is_lowercase);
        let divided = text.ends_with(['-', '\u{ad}', '\u{2010}'])
            && text.chars().rev().nth(1).is_some_and(char::is_alphabetic);
        if divided && starts_small {
            text.pop();
        } else if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&line);
    }
    text
}

fn table_block(table: &Table, text: &mut String) {
    for (n, row) in table.rows.iter().enumerate() {
        for cell in row {
            text.push_str("| ");
            text.push_str(&joined(&cell.lines).replace('|', "\\|"));
            text.push(' ');
        }
        text.push_str("|\n");
        if n == 0 {
            text.push_str(&"| --- ".repeat(row.len()));
            text.push_str("|\n");
        }
    }
    text.push('\n');
}

/// Whether a block shows anything.
#[must_use]
pub fn is_shown(block: &Block) -> bool {
    block.text().is_none_or(|text| text.role != Role::Furniture)
}
