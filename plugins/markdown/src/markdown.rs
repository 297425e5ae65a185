//! Reading Markdown's structure. Nothing here prints Markdown.

use kbhost_guest::{Heading, one_line};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Headings beyond this are no outline.
const HEADINGS_MAX: usize = 10_000;
/// Longest title of a heading, in characters.
const TITLE_CHARS_MAX: usize = 300;

/// The dialect: CommonMark, tables, and Obsidian's front matter and embeds.
pub(crate) fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_WIKILINKS
}

/// The headings of a text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline {
    pub(crate) headings: Vec<Heading>,
    /// The first heading that has a text.
    pub(crate) first_title: Option<String>,
}

/// Collects the headings of a text, in order.
pub(crate) fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    let mut open: Option<String> = None;
    for event in Parser::new_ext(text, options()) {
        match (event, &mut open) {
            (Event::Start(Tag::Heading { .. }), _) => open = Some(String::new()),
            (Event::End(TagEnd::Heading(level)), Some(title)) => {
                let title = one_line(title, TITLE_CHARS_MAX);
                open = None;
                if title.is_empty() {
                    continue;
                }
                outline.first_title.get_or_insert_with(|| title.clone());
                if outline.headings.len() < HEADINGS_MAX {
                    let level = level as u8;
                    outline.headings.push(Heading {
                        level,
                        title,
                        page: None,
                    });
                }
            }
            (Event::Text(text) | Event::Code(text), Some(title)) => title.push_str(&text),
            (Event::SoftBreak | Event::HardBreak, Some(title)) => title.push(' '),
            _ => {}
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_in_order_and_none_from_code_or_front_matter() {
        let text = "---\ntitle: x\n# no: 1\n---\n## A `b` *c*\n\n```\n# no\n```\n\n~~~~\n# no\n```\n# no\n~~~~\n\nSet\next\n===\n#\n";
        let found: Vec<_> = outline(text)
            .headings
            .into_iter()
            .map(|h| (h.level, h.title))
            .collect();
        assert_eq!(found, [(2, "A b c".to_owned()), (1, "Set ext".to_owned())]);
        assert_eq!(outline(text).first_title.as_deref(), Some("A b c"));
        assert_eq!(outline("text").first_title, None);
    }
}
