//! Blocks to Markdown.
//!
//! Invariant: text of the document stays text; see [`inline`].

mod inline;

use crate::layout::block::{Block, BlockKind, PageBlocks, Role, Table, TextBlock};
use crate::layout::code;
use crate::layout::text::Line;
use crate::page::{LinkTarget, Note};
use inline::Inline;

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
    let mut writer = Writer {
        links: &page.links,
        pieces: Vec::new(),
        text: String::new(),
        widths: Vec::new(),
    };
    let is_note = |block: &&Block| block.text().is_some_and(|text| text.role == Role::Footnote);
    // Notes stand below the page's content, in whichever column they are.
    for block in page.blocks.iter().filter(|block| !is_note(block)) {
        writer.block(block);
    }
    for block in page.blocks.iter().filter(is_note) {
        writer.block(block);
    }
    writer.notes(&page.notes);
    writer.end_list();
    writer.pieces.push(Piece::Text(writer.text));
    writer.pieces
}

struct Writer<'a> {
    links: &'a [LinkTarget],
    pieces: Vec<Piece>,
    text: String,
    /// The widths of the markers of the lists that are open.
    widths: Vec<usize>,
}

impl Writer<'_> {
    fn block(&mut self, block: &Block) {
        match &block.kind {
            BlockKind::Text(text) => self.text_block(text),
            BlockKind::Table(table) => {
                self.end_list();
                table_block(table, &mut self.text);
            }
            BlockKind::Picture {
                picture,
                alternative,
                ..
            } => {
                self.end_list();
                self.pieces
                    .push(Piece::Text(std::mem::take(&mut self.text)));
                self.pieces.push(Piece::Picture {
                    picture: *picture,
                    alternative: alternative.clone(),
                });
                self.text.push_str("\n\n");
            }
        }
    }

    fn inline(&self) -> Inline<'_> {
        Inline {
            links: self.links,
            has_emphasis: true,
            skipped: 0,
        }
    }

    fn text_block(&mut self, block: &TextBlock) {
        if let Role::Item {
            depth,
            number,
            marker_chars,
        } = &block.role
        {
            self.item(block, usize::from(*depth), number.as_deref(), *marker_chars);
            return;
        }
        if block.role == Role::Furniture {
            return;
        }
        self.end_list();
        match &block.role {
            Role::Heading(level) => {
                let marks = usize::from((*level).clamp(1, 6));
                self.text.extend(std::iter::repeat_n('#', marks));
                self.text.push(' ');
                let inline = Inline {
                    has_emphasis: false,
                    ..self.inline()
                };
                let heading = inline.text(&block.lines);
                self.text.push_str(&heading);
            }
            Role::Code => self.code(&block.lines),
            _ => {
                let mut paragraph = self.inline().text(&block.lines);
                inline::escape_start(&mut paragraph);
                self.text.push_str(&paragraph);
            }
        }
        self.text.push_str("\n\n");
    }

    fn item(&mut self, block: &TextBlock, depth: usize, number: Option<&str>, marker_chars: u16) {
        // A list within needs one around it.
        let depth = depth.min(self.widths.len());
        let is_native = number.is_some_and(|number| {
            let digits = number.strip_suffix(['.', ')']);
            digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
        });
        let marker = match number.filter(|_| is_native) {
            Some(number) => format!("{number} "),
            None => "- ".to_owned(),
        };
        let sign = block.lines.first().and_then(|line| line.words.first());
        let sign = sign.and_then(|word| word.text.chars().next());
        let has_shown_number = number.is_some() && !is_native;
        let inline = Inline {
            skipped: if has_shown_number { 0 } else { marker_chars },
            ..self.inline()
        };
        let mut text = inline.text(&block.lines);
        inline::escape_start(&mut text);
        self.widths.truncate(depth);
        let indent: usize = self.widths.iter().sum();
        self.widths.push(marker.len());
        let task = match sign {
            Some('☐' | '□') if number.is_none() => "[ ] ",
            Some('☑' | '☒') if number.is_none() => "[x] ",
            _ => "",
        };
        self.text.extend(std::iter::repeat_n(' ', indent));
        self.text.push_str(&marker);
        self.text.push_str(task);
        self.text.push_str(&text);
        self.text.push('\n');
    }

    fn end_list(&mut self) {
        if !self.widths.is_empty() {
            self.widths.clear();
            self.text.push('\n');
        }
    }

    fn code(&mut self, lines: &[Line]) {
        let code = code::text(lines);
        let fence = "`".repeat((inline::longest_run(&code, '`') + 1).max(3));
        for part in [&fence, "\n", &code, "\n", &fence] {
            self.text.push_str(part);
        }
    }

    /// Form fields and annotations, as a list.
    fn notes(&mut self, notes: &[Note]) {
        for note in notes {
            let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let mut text = String::new();
            for part in [note.label.as_deref(), Some(note.text.as_str())] {
                let part = one_line(part.unwrap_or_default());
                if !part.is_empty() && !text.is_empty() {
                    text.push_str(": ");
                }
                inline::escape(&part, &mut text);
            }
            if text.is_empty() {
                continue;
            }
            inline::escape_start(&mut text);
            if self.widths.is_empty() {
                self.widths.push(2);
            }
            self.text.push_str("- ");
            self.text.push_str(&text);
            self.text.push('\n');
        }
    }
}

/// Lines as one, with a space between them but where a word goes on.
#[must_use]
pub fn joined(lines: &[Line]) -> String {
    let inline = Inline {
        links: &[],
        has_emphasis: false,
        skipped: 0,
    };
    inline.text(lines)
}

/// Baselines in a cell that are farther apart than this, in ems, are those of two paragraphs.
const PARAGRAPH_OF_CELL: f32 = 1.9;

/// The text of a cell: paragraphs and items of a list are on lines of their own, other lines are one.
fn cell_text(lines: &[Line]) -> String {
    let is_item = |line: &Line| {
        let first = line.words.first().map_or("", |word| word.text.as_str());
        matches!(first, "•" | "◦" | "▪" | "●" | "■" | "‣" | "·" | "–")
    };
    let has_items = lines.iter().filter(|line| is_item(line)).count() > 1;
    let mut texts = Vec::new();
    let mut from = 0;
    for at in 1..=lines.len() {
        let breaks = lines.get(at).is_none_or(|line| {
            let last = &lines[at - 1];
            let step = line.baseline - last.baseline;
            has_items && is_item(line)
                || line.turn == last.turn && step > PARAGRAPH_OF_CELL * line.size.max(last.size)
        });
        if breaks {
            texts.push(joined(lines.get(from..at).unwrap_or_default()));
            from = at;
        }
    }
    texts.join("<br>")
}

fn table_block(table: &Table, text: &mut String) {
    for (n, row) in table.rows.iter().enumerate() {
        for cell in row {
            text.push_str("| ");
            text.push_str(&cell_text(&cell.lines).replace('|', "\\|"));
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
