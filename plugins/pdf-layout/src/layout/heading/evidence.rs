//! Whether a block is a heading: what speaks for it and against it, added up.
//!
//! Weights are in halves of a sure sign: a heading has at least [`ENOUGH`].

use super::feature::{Body, Feature};
use super::number::{self, Kind};

/// A heading has at least this many points.
const ENOUGH: i32 = 4;
/// Longest heading, in characters: three lines of a wide page.
const CHARS_MAX: usize = 250;
/// Longest heading, in rows.
const ROWS_MAX: usize = 6;
/// More words than this are a sentence unless they are set larger.
const WORDS_MAX: usize = 16;
/// A heading that ends with a colon is short.
const LABEL_WORDS_MAX: usize = 6;
/// Larger than the body by this share: surely so, clearly so, a little.
const MUCH_LARGER: f32 = 1.25;
const LARGER: f32 = 1.12;
const SLIGHTLY_LARGER: f32 = 1.04;
/// What is smaller than the body by this share is a note or a label.
const SMALLER: f32 = 0.93;
/// And by this share surely so.
const MUCH_SMALLER: f32 = 0.8;

/// Headings that stand in front of a text or behind it, in small letters.
const NAMES: [&str; 56] = [
    "abstract",
    "acknowledgement",
    "acknowledgements",
    "acknowledgment",
    "acknowledgments",
    "annex",
    "annexes",
    "appendices",
    "appendix",
    "background",
    "bibliography",
    "changelog",
    "conclusion",
    "conclusions",
    "contents",
    "discussion",
    "executive summary",
    "foreword",
    "glossary",
    "index",
    "introduction",
    "list of figures",
    "list of tables",
    "literature",
    "materials and methods",
    "method",
    "methods",
    "notation",
    "overview",
    "preface",
    "references",
    "related work",
    "results",
    "results and discussion",
    "summary",
    "table of contents",
    "abkürzungsverzeichnis",
    "anhang",
    "einleitung",
    "fazit",
    "inhalt",
    "inhaltsverzeichnis",
    "literaturverzeichnis",
    "vorwort",
    "zusammenfassung",
    "annexe",
    "conclusión",
    "introducción",
    "références",
    "referencias",
    "résumé",
    "resumen",
    "sommaire",
    "table des matières",
    "índice",
    "sommario",
];

/// What figures, tables and the like are called, in small letters.
const CAPTION_WORDS: [&str; 24] = [
    "figure",
    "figures",
    "fig",
    "figs",
    "table",
    "tables",
    "tab",
    "chart",
    "plate",
    "scheme",
    "listing",
    "algorithm",
    "exhibit",
    "photo",
    "map",
    "diagram",
    "graph",
    "box",
    "abbildung",
    "abb",
    "tabelle",
    "tableau",
    "tabla",
    "figura",
];

/// Whether this is a heading that stands in front of a text or behind it.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let text = text.trim().trim_end_matches([':', '.']).to_lowercase();
    NAMES.contains(&text.as_str())
}

/// Whether this begins as a caption does: `Table 2:`, `Fig. 3`.
#[must_use]
pub fn is_caption(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let (Some(first), second) = (words.next(), words.next()) else {
        return false;
    };
    let first = first.trim_end_matches(['.', ':']).to_lowercase();
    // `Figure5`
    let name = first.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !CAPTION_WORDS.contains(&name) {
        return false;
    }
    let number = second
        .unwrap_or_default()
        .trim_end_matches(['.', ':', ')', ',']);
    let is_number = number.chars().any(|c| c.is_ascii_digit())
        || !number.is_empty() && number.chars().all(|c| "IVXLC".contains(c))
        || number.len() == 1 && number.chars().all(|c| c.is_ascii_uppercase());
    name.len() < first.len() || is_number
}

/// Whether the file may call a block with these features a heading.
#[must_use]
pub fn is_nameable(feature: &Feature) -> bool {
    let text = feature.text.trim();
    let is_sentence =
        text.ends_with(['.', ';', ',', ':']) && text.split_whitespace().count() > WORDS_MAX;
    !is_caption(text) && !is_sentence && text.chars().count() <= CHARS_MAX
}

/// Whether a block with these features is a heading of a document with this body.
#[must_use]
pub fn is_heading(feature: &Feature, body: &Body) -> bool {
    could_be(feature, body) && points(feature, body) >= ENOUGH
}

/// How much larger than the body it is, as a factor.
fn ratio(feature: &Feature, body: &Body) -> f32 {
    feature.look.size / body.size
}

/// What no heading looks like.
fn could_be(feature: &Feature, body: &Body) -> bool {
    let text = feature.text.trim();
    let chars = text.chars().count();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let is_larger = ratio(feature, body) >= LARGER;
    let number = number::of(text);
    let words = text.split_whitespace().count();
    if chars > CHARS_MAX || feature.rows > ROWS_MAX || letters < 2 || is_caption(text) {
        return false;
    }
    if letters * 2 < chars - text.chars().filter(|c| c.is_whitespace()).count() && number.is_none()
    {
        return false;
    }
    if is_contact(text) || has_leaders(text) {
        return false;
    }
    // `iPhone`, `libFuzzer`, and code are spelt so.
    let first = text.split_whitespace().next().unwrap_or_default();
    let begins_small = first.chars().next().is_some_and(char::is_lowercase)
        && !first.chars().any(char::is_uppercase)
        && !feature.begins_mono;
    is_larger || words <= WORDS_MAX && !(begins_small && number.is_none())
}

/// Whether this is how somebody or something is reached.
fn is_contact(text: &str) -> bool {
    text.contains('@') || text.contains("://") || text.starts_with("www.")
}

/// Whether dots lead to a page number.
fn has_leaders(text: &str) -> bool {
    text.contains("....") || text.contains(". . . .") || text.contains("……")
}

fn points(feature: &Feature, body: &Body) -> i32 {
    set(feature, body) + said(feature, body) + placed(feature, body)
}

/// Points for how it is set.
fn set(feature: &Feature, body: &Body) -> i32 {
    let look = &feature.look;
    let ratio = ratio(feature, body);
    let mut points = match ratio {
        r if r >= MUCH_LARGER => 5,
        r if r >= LARGER => 4,
        r if r >= SLIGHTLY_LARGER => 2,
        r if r >= SMALLER => 0,
        r if r >= MUCH_SMALLER => -1,
        _ => -3,
    };
    if look.is_bold && !body.is_bold {
        points += 3;
    }
    if look.is_capitals {
        points += 1;
    }
    if look.is_italic && !body.is_italic {
        points += 1;
    }
    if look.is_one_font && look.font != body.font && !look.is_bold {
        points += 1;
    }
    points
}

/// Points for what it says.
fn said(feature: &Feature, body: &Body) -> i32 {
    let text = feature.text.trim();
    let number = number::of(text);
    let mut points = 0;
    match number.map(|number| (number.kind, number.depth)) {
        Some((Kind::Part | Kind::Chapter, _)) => points += 2,
        Some((Kind::Decimal, depth)) if depth > 1 => points += 2,
        Some((Kind::Roman, _)) if feature.look.is_capitals => points += 2,
        Some((Kind::Bracket, _)) | None => {}
        Some(_) => points += 1,
    }
    if is_name(text) {
        points += 3;
    }
    let is_larger = ratio(feature, body) >= LARGER;
    let words = text.split_whitespace().count();
    points += match text.chars().next_back() {
        Some(',' | ';') => -4,
        Some(':') if !is_larger && stands_above(feature) && words <= LABEL_WORDS_MAX => -1,
        Some(':') if !is_larger => -2,
        Some('.') if words > 3 && !is_larger => -3,
        Some('.') if words > 3 => -2,
        _ => 0,
    };
    if words > WORDS_MAX {
        points -= 2;
    }
    points
}

/// Whether it is nearer to what follows than to what is before.
fn stands_above(feature: &Feature) -> bool {
    match (feature.above, feature.below) {
        (Some(above), Some(below)) => above > 1.3 * below.max(0.0) + 0.1,
        (above, below) => above.is_none() && below.is_some(),
    }
}

/// Points for where it stands.
fn placed(feature: &Feature, body: &Body) -> i32 {
    let mut points = 0;
    match (feature.above, feature.below) {
        _ if stands_above(feature) => points += 1,
        (Some(above), Some(below)) if above + 0.3 < below => points -= 1,
        _ => {}
    }
    // Text is what a heading stands over, not what is set larger than itself.
    let next = feature
        .next
        .filter(|_| number::of(feature.text.trim()).is_none());
    if next.is_some_and(|next| next.size > SLIGHTLY_LARGER * feature.look.size && next.is_bold) {
        points -= 2;
    }
    if feature.next.is_none() && feature.below.is_none() {
        points -= 1;
    }
    // Small letters are a heading only of what follows at once.
    if feature.leads && feature.look.is_bold && ratio(feature, body) < SMALLER {
        points += 1;
    }
    if feature.rows <= 2 {
        points += 1;
    }
    if feature.rows > 3 {
        points -= 1;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions() {
        for text in [
            "Table 2: A",
            "Fig. 3 B",
            "Figure 1.2",
            "TABLE IV",
            "Abb. 3",
            "Figure5",
        ] {
            assert!(is_caption(text), "{text}");
        }
        for text in [
            "Tables",
            "Table of contents",
            "Figure skating",
            "Box office",
            "Mapping 3",
        ] {
            assert!(!is_caption(text), "{text}");
        }
    }
}
