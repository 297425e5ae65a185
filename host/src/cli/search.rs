//! `search`: passages that hold all the words.

use serde::Serialize;

use super::args::SearchArgs;
use super::error::CommandError;
use super::exit::Exit;
use super::settings::Settings;
use super::terminal::{Style, one_line};
use super::ui::Ui;
use crate::kb::registry::Catalogue;
use crate::kb::search::{self, Hit};
use crate::kb::{KbRoot, SafeLine};

/// What stands before and after a match in a snippet.
const MATCH: [char; 2] = ['\u{e000}', '\u{e001}'];

/// A snippet longer than this is cut; the index makes shorter ones.
const SNIPPET_CHARS_MAX: usize = 1_000;

#[derive(Serialize)]
struct Answer<'a> {
    query: &'a [String],
    hits: Vec<JsonHit<'a>>,
    stale: bool,
}

/// A hit whose snippet is plain text, with the places of the matches beside it.
#[derive(Serialize)]
struct JsonHit<'a> {
    name: &'a str,
    title: &'a str,
    path: &'a str,
    heading: &'a str,
    page: Option<u32>,
    snippet: String,
    /// Start and end of each match, counted in characters (Unicode scalar values).
    matches: Vec<[usize; 2]>,
}

/// Searches and prints the best hits first.
///
/// # Errors
/// If there is no KB or the index cannot be read.
pub(super) fn run(
    ui: &mut Ui,
    settings: &Settings,
    args: &SearchArgs,
) -> Result<Exit, CommandError> {
    let root = KbRoot::resolve(&settings.candidates)?;
    let limit = usize::try_from(args.limit).expect("the limit is at most a thousand");
    let epoch = Catalogue::open(&root)?.epoch()?;
    let answer = search::search(&root, &args.words, limit, epoch)?;
    if ui.json() {
        ui.answer(Answer {
            query: &args.words,
            hits: answer.hits.iter().map(json_hit).collect(),
            stale: answer.stale,
        });
        return Ok(Exit::Done);
    }
    let colour = ui.stdout().colour;
    for (index, hit) in answer.hits.iter().enumerate() {
        if index > 0 {
            ui.line("");
        }
        for line in lines(hit, colour) {
            ui.line(&line);
        }
    }
    if answer.hits.is_empty() {
        ui.note("No matches.");
    }
    if answer.stale {
        ui.note("note: the search index lacks the newest documents");
        ui.hint("the next `kbhost add` of something new brings it up to date");
    }
    Ok(Exit::Done)
}

/// Path and heading, then the passage, indented. A section may be nothing but its heading.
fn lines(hit: &Hit, colour: bool) -> Vec<String> {
    let mut place = Style::Bold.paint(&one_line(&hit.path), colour);
    let heading = SafeLine::new(&hit.heading);
    if !heading.is_empty() {
        place.push_str(&format!(" > {heading}"));
    }
    if let Some(page) = hit.page {
        place.push_str(&format!(" (page {page})"));
    }
    let snippet = SafeLine::with_max(&hit.snippet, SNIPPET_CHARS_MAX);
    let mut lines = vec![place];
    if !snippet.is_empty() {
        lines.push(format!("    {}", bold(snippet.as_str(), colour)));
    }
    lines
}

/// The snippet with its matches in bold; without colours they are left plain.
fn bold(snippet: &str, colour: bool) -> String {
    parts(snippet)
        .map(|(text, matched)| Style::Bold.paint(text, colour && matched))
        .collect()
}

/// The texts between the marks, and whether each is a match.
fn parts(snippet: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut matched = false;
    snippet.split_inclusive(MATCH).map(move |part| {
        let text = part.trim_end_matches(MATCH);
        let this = std::mem::replace(&mut matched, part.ends_with(MATCH[0]));
        (text, this)
    })
}

fn json_hit(hit: &Hit) -> JsonHit<'_> {
    let mut snippet = String::new();
    let mut matches = Vec::new();
    let mut length = 0;
    for (text, matched) in parts(&hit.snippet) {
        let start = length;
        length += text.chars().count();
        snippet.push_str(text);
        if matched && length > start {
            matches.push([start, length]);
        }
    }
    JsonHit {
        name: hit.doc_name.as_str(),
        title: &hit.title,
        path: &hit.path,
        heading: &hit.heading,
        page: hit.page,
        snippet,
        matches,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kb::DocName;

    fn hit(snippet: &str, heading: &str) -> Hit {
        Hit {
            doc_name: DocName::new("a").unwrap(),
            title: "A".to_owned(),
            path: "wiki/sources/a.md".to_owned(),
            heading: heading.to_owned(),
            page: None,
            snippet: snippet.to_owned(),
        }
    }

    #[test]
    fn matches_are_bold_on_colour_only() {
        let check = |snippet: &str, colour, expected: &str| {
            assert_eq!(bold(snippet, colour), expected);
        };
        let snippet = "an \u{e000}apple\u{e001} and \u{e000}pear\u{e001}";
        check(snippet, false, "an apple and pear");
        check(
            snippet,
            true,
            "an \x1b[1mapple\x1b[0m and \x1b[1mpear\x1b[0m",
        );
        // A document can hold the marks itself.
        check("\u{e001}x\u{e000}", true, "x");
        check("open \u{e000}end", true, "open \x1b[1mend\x1b[0m");
    }

    #[test]
    fn a_hit_is_place_and_passage() {
        assert_eq!(
            lines(&hit("x\n\x1b[2Jy", "Part\t1"), false),
            ["wiki/sources/a.md > Part 1", "    x [2Jy"]
        );
        assert_eq!(lines(&hit("x", ""), false)[0], "wiki/sources/a.md");
        let of_page = Hit {
            page: Some(12),
            ..hit("x", "Part")
        };
        assert_eq!(
            lines(&of_page, false)[0],
            "wiki/sources/a.md > Part (page 12)"
        );
        assert_eq!(lines(&hit("", "Part"), false), ["wiki/sources/a.md > Part"]);
    }

    #[test]
    fn json_tells_where_the_matches_are() {
        let hit = hit("ü \u{e000}äpfel\u{e001}!", "");
        let json = json_hit(&hit);
        assert_eq!(json.snippet, "ü äpfel!");
        assert_eq!(json.matches, [[2, 7]]);
    }
}
