//! Terms of a document that others may share: tags, acronyms, people and organisations. Prefers
//! missing a term to naming a wrong one, because a term makes pages.

use std::collections::{BTreeMap, HashMap};

use unicode_normalization::UnicodeNormalization;

use super::acronyms::{Token, is_roman, long_form, tokens};
use super::words::{is_cjk, is_word_char};
use crate::kb::{SafeLine, names};
use crate::prepare::{Analysis, AnalysisTerm, TermKind};

/// A page's name is at most this long; a longer term is none.
const SLUG_BYTES_MAX: usize = 100;

/// A longer tag or name is a sentence.
const LABEL_CHARS_MAX: usize = 60;

/// Different acronyms and organisations that are counted: it bounds memory.
const COUNTED_MAX: usize = 10_000;

/// Capitals that are words, marks or parts of dates, not terms.
const SHOUTED: &str = "AD ALL AM AND ANY ARE BC BUT CAN CF DO EG END ETC FIG FIXME FOR HACK ID IE \
    IF IN INC IS IT LLC LTD MAY MUST NB NEW NO NOT NOTE OF OK ON ONE OR PM PP PS REV SEE SHALL SHOULD TBA TBD \
    THE TIP TO TODO USE VOL VS WARNING WILL XXX YES YOU";

/// Legal forms that end an organisation's name.
const LEGAL_FORMS: [&str; 8] = [
    "Inc",
    "Ltd",
    "LLC",
    "GmbH",
    "Corp",
    "Corporation",
    "PLC",
    "Foundation",
];

/// Authors that programs write.
const NO_AUTHORS: [&str; 12] = [
    "administrator",
    "admin",
    "adobe",
    "acrobat",
    "anonymous",
    "author",
    "generator",
    "microsoft",
    "root",
    "unknown",
    "user",
    "word",
];

/// The name of a term's page: the peer's rule (NFKC; what is no word character and no dash becomes
/// a dash; none at the ends), folded. `None` if nothing is left or it is too long for a file name.
pub(super) fn slug(label: &str) -> Option<String> {
    let dashed: String = label
        .nfkc()
        .take(4 * SLUG_BYTES_MAX)
        .map(|c| {
            if c == '_' || c == '-' || is_word_char(c) {
                c
            } else {
                '-'
            }
        })
        .collect();
    let slug = names::fold(dashed.trim_matches('-'));
    // Folding may separate a letter from a mark that is no word character for the file's name.
    let valid = slug
        .chars()
        .all(|c| c == '_' || c == '-' || is_word_char(c))
        && slug.chars().any(char::is_alphanumeric);
    (valid && slug.len() <= SLUG_BYTES_MAX).then_some(slug)
}

/// What kind of entity a label names, as the peer writes it.
pub(super) fn entity_type(label: &str, metadata: &[(String, SafeLine)]) -> &'static str {
    if authors(metadata)
        .iter()
        .any(|author| slug(author) == slug(label))
    {
        return "Person";
    }
    let mut words = label.split_whitespace();
    if words.any(|word| word == "University" || LEGAL_FORMS.contains(&word)) {
        return "Organization";
    }
    "Other"
}

/// The tags of a document, by the converter's convention parted by commas.
pub(super) fn tags(metadata: &[(String, SafeLine)]) -> Vec<String> {
    let Some(line) = value(metadata, "tags") else {
        return Vec::new();
    };
    line.trim_start_matches('[')
        .trim_end_matches(']')
        .split([',', ';'])
        .map(|tag| {
            tag.trim()
                .trim_matches(['"', '\''])
                .trim_start_matches('#')
                .trim()
        })
        .filter(|tag| !tag.is_empty() && tag.chars().count() <= LABEL_CHARS_MAX)
        .map(str::to_owned)
        .collect()
}

/// The people that the metadata names as authors.
fn authors(metadata: &[(String, SafeLine)]) -> Vec<String> {
    let Some(line) = value(metadata, "author").or_else(|| value(metadata, "authors")) else {
        return Vec::new();
    };
    let parted = line.replace(" and ", ";").replace(" & ", ";");
    parted
        .split(';')
        .flat_map(|part| {
            // `Ada Lovelace, Alan Turing` are two people, `Lovelace, Ada` is one, written as we do not.
            let people: Vec<&str> = part.split(',').map(str::trim).collect();
            if people.iter().all(|name| is_person(name)) {
                people
            } else {
                vec![part.trim()]
            }
        })
        .filter(|name| is_person(name))
        .map(str::to_owned)
        .collect()
}

fn value<'a>(metadata: &'a [(String, SafeLine)], key: &str) -> Option<&'a str> {
    let found = metadata.iter().find(|(name, _)| name == key);
    found
        .map(|(_, line)| line.as_str())
        .filter(|line| !line.is_empty())
}

/// Whether `name` looks like a person's full name.
fn is_person(name: &str) -> bool {
    let chars = name.chars().count();
    if chars > LABEL_CHARS_MAX
        || name
            .chars()
            .any(|c| c.is_numeric() || "@/\\<>()[]{}_|:,".contains(c))
    {
        return false;
    }
    if !name.is_empty() && name.chars().all(|c| is_cjk(c) || c == '・' || c == ' ') {
        return (2..=12).contains(&chars);
    }
    let words: Vec<&str> = name.split_whitespace().collect();
    let particle = |word: &str| {
        [
            "von", "van", "de", "der", "den", "da", "del", "di", "la", "al", "bin",
        ]
        .contains(&word)
    };
    (2..=5).contains(&words.len())
        && words
            .iter()
            .all(|word| particle(word) || word.starts_with(char::is_uppercase))
        && !words
            .iter()
            .any(|word| NO_AUTHORS.contains(&word.to_lowercase().as_str()))
        && !words
            .iter()
            .any(|word| LEGAL_FORMS.contains(&word.trim_end_matches('.')))
}

/// Collects terms from the text of a document.
#[derive(Debug, Default)]
pub(super) struct TermFinder {
    acronyms: BTreeMap<String, Acronym>,
    organisations: BTreeMap<String, u64>,
    /// Short words in lower case: what is written so at least as often is a word in capitals.
    lower_case: HashMap<String, u64>,
}

#[derive(Debug, Default)]
struct Acronym {
    seen: u64,
    long_form: Option<String>,
}

impl TermFinder {
    /// Looks at a block of text.
    pub(super) fn look_at(&mut self, text: &str) {
        self.look_for_acronyms(text);
        self.look_for_organisations(text);
    }

    fn look_for_acronyms(&mut self, text: &str) {
        let mut before_shouted = false;
        let mut tokens = tokens(text).peekable();
        while let Some(token) = tokens.next() {
            self.count_lower_case(token.text);
            let shouted = token.is_capitals();
            let next = tokens.peek().filter(|next| next.after_space);
            // A line in capitals is no list of acronyms.
            let in_a_shout =
                (before_shouted && token.after_space) || next.is_some_and(Token::is_capitals);
            before_shouted = shouted;
            let Some(name) = token.acronym() else {
                continue;
            };
            let long_form = token
                .in_brackets
                .then(|| long_form(&text[..token.start - 1], name))
                .flatten();
            if long_form.is_none() && (in_a_shout || is_roman(name)) {
                continue;
            }
            if self.acronyms.len() >= COUNTED_MAX && !self.acronyms.contains_key(name) {
                continue;
            }
            let entry = self.acronyms.entry(name.to_owned()).or_default();
            entry.seen += 1;
            entry.long_form = entry.long_form.take().or(long_form);
        }
    }

    fn count_lower_case(&mut self, word: &str) {
        if !(2..=8).contains(&word.len()) || !word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return;
        }
        if let Some(seen) = self.lower_case.get_mut(word) {
            *seen += 1;
        } else if self.lower_case.len() < COUNTED_MAX {
            self.lower_case.insert(word.to_owned(), 1);
        }
    }

    fn look_for_organisations(&mut self, text: &str) {
        if !text.contains("University") && !LEGAL_FORMS.iter().any(|form| text.contains(form)) {
            return;
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        for at in 0..words.len() {
            let Some(name) = organisation_at(&words, at) else {
                continue;
            };
            if self.organisations.len() < COUNTED_MAX || self.organisations.contains_key(&name) {
                *self.organisations.entry(name).or_default() += 1;
            }
        }
    }

    /// The terms, at most [`Analysis::TERMS_MAX`]: what the metadata says first, then by frequency,
    /// then by name; sorted by kind and slug.
    pub(super) fn finish(self, metadata: &[(String, SafeLine)]) -> Vec<AnalysisTerm> {
        let mut found: BTreeMap<(TermKind, String), (u64, AnalysisTerm)> = BTreeMap::new();
        let mut add = |kind, label: &str, rank: u64, gloss: Option<&str>| {
            let Some(slug) = slug(label) else { return };
            let term = AnalysisTerm {
                kind,
                slug: slug.clone(),
                label: SafeLine::with_max(label, LABEL_CHARS_MAX),
                gloss: gloss.map(SafeLine::new),
            };
            let entry = found
                .entry((kind, slug))
                .or_insert_with(|| (0, term.clone()));
            entry.0 = entry.0.max(rank);
            if entry.1.gloss.is_none() {
                entry.1.gloss = term.gloss;
            }
        };
        for (name, acronym) in &self.acronyms {
            let as_word = self
                .lower_case
                .get(&name.to_ascii_lowercase())
                .copied()
                .unwrap_or(0);
            let is_word =
                as_word >= acronym.seen || SHOUTED.split_whitespace().any(|word| word == name);
            if acronym.long_form.is_some() || (acronym.seen >= 2 && !is_word) {
                add(
                    TermKind::Concept,
                    name,
                    acronym.seen,
                    acronym.long_form.as_deref(),
                );
            }
        }
        for (name, seen) in self.organisations.iter().filter(|(_, seen)| **seen >= 2) {
            add(TermKind::Entity, name, *seen, None);
        }
        for tag in tags(metadata) {
            add(TermKind::Concept, &tag, u64::MAX, None);
        }
        for author in authors(metadata) {
            add(TermKind::Entity, &author, u64::MAX, None);
        }
        let mut ranked: Vec<(u64, AnalysisTerm)> = found.into_values().collect();
        ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.slug.cmp(&b.1.slug)));
        ranked.truncate(Analysis::TERMS_MAX);
        let mut terms: Vec<AnalysisTerm> = ranked.into_iter().map(|(_, term)| term).collect();
        terms.sort_by(|a, b| (a.kind, &a.slug).cmp(&(b.kind, &b.slug)));
        terms
    }
}

/// The name of the organisation that the word at `at` ends (a legal form) or holds (a university).
fn organisation_at(words: &[&str], at: usize) -> Option<String> {
    let bare = |word: &str| {
        word.trim_end_matches(['.', ',', ';', ':', ')', '\'', '’'])
            .to_owned()
    };
    let word = bare(words[at]);
    let capitalised = |word: &&&str| {
        word.starts_with(|c: char| c.is_uppercase())
            && word.chars().all(|c| is_word_char(c) || "-&'’.".contains(c))
    };
    if word == "University" && words.get(at + 1).copied() == Some("of") && words[at] == "University"
    {
        let mut name = "University of".to_owned();
        let mut length = 0;
        for part in words[at + 2..].iter().take(3) {
            let plain = bare(part);
            if !capitalised(&&plain.as_str()) {
                break;
            }
            name = format!("{name} {plain}");
            length += 1;
            if plain.len() != part.len() {
                break;
            }
        }
        return (length > 0).then_some(name);
    }
    if word != "University" && !LEGAL_FORMS.contains(&word.as_str()) {
        return None;
    }
    // A comma may stand before a legal form, and nothing else between the words of a name.
    let mut before: Vec<&str> = Vec::new();
    for (distance, part) in words[..at].iter().rev().take(5).enumerate() {
        let plain = if distance == 0 {
            part.trim_end_matches(',')
        } else {
            part
        };
        if plain.ends_with('.') || !(capitalised(&&plain) || plain == "&") {
            break;
        }
        before.insert(0, plain);
    }
    let leading = [
        "A", "An", "And", "As", "At", "By", "For", "From", "If", "In", "Of", "On", "Our", "That",
        "The", "This", "To", "When", "With", "&",
    ];
    while before.first().is_some_and(|first| leading.contains(first)) {
        before.remove(0);
    }
    (!before.is_empty()).then(|| format!("{} {word}", before.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str, metadata: &[(&str, &str)]) -> Vec<String> {
        let metadata: Vec<_> = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), SafeLine::new(v)))
            .collect();
        let mut finder = TermFinder::default();
        finder.look_at(text);
        let write = |term: &AnalysisTerm| match &term.gloss {
            Some(gloss) => format!("{}={gloss}", term.label),
            None => term.label.to_string(),
        };
        finder.finish(&metadata).iter().map(write).collect()
    }

    #[test]
    fn slugs_follow_the_peer_folded() {
        let check =
            |label: &str, expected: Option<&str>| assert_eq!(slug(label).as_deref(), expected);
        check("Machine Learning", Some("machine-learning"));
        check("C++ & Rust", Some("c-----rust"));
        check("../../etc/passwd", Some("etc-passwd"));
        check("Straße", Some("strasse"));
        check("ﬁle", Some("file"));
        check("機械学習", Some("機械学習"));
        check("!!!", None);
        check("---", None);
        check(&"x".repeat(101), None);
        check(&"\u{fdfa}".repeat(20), None);
    }

    #[test]
    fn acronyms_are_seen_twice_or_introduced() {
        let check =
            |text: &str, expected: &[&str]| assert_eq!(labels(text, &[]), expected, "{text}");
        check("An API is an API.", &["API"]);
        check("Only one API here.", &[]);
        check(
            "Large Language Models (LLMs) are big.",
            &["LLM=Large Language Models"],
        );
        check(
            "We use natural language processing (NLP) here.",
            &["NLP=natural language processing"],
        );
        check("Chapter IV and chapter IV, XII, XII.", &[]);
        check("LCD and LCD", &["LCD"]);
        check("THIS IS A SHOUTED LINE. THIS IS A SHOUTED LINE.", &[]);
        check("TODO: x. TODO: y. MUST we? MUST we!", &[]);
        check("path/ABC/x ABC_DEF ABC.DEF http://ABC/ABC", &[]);
        check("The GDPR and the gdpr; GDPR: yes.", &["GDPR"]);
        check("See (ABC) and the thing (ABC).", &["ABC"]);
        check(
            "To delete is DELETE and we DELETE, delete, DELETE it; delete.",
            &[],
        );
        check("some thing else entirely (QRS) once", &[]);
        check("H2O and H2O but 3D 3D A1 A1", &["H2O"]);
        check("The W3C and the W3C, S3 S3", &["W3C"]);
    }

    #[test]
    fn metadata_names_tags_and_people() {
        let check = |metadata: &[(&str, &str)], expected: &[&str]| {
            assert_eq!(labels("", metadata), expected, "{metadata:?}");
        };
        check(
            &[("tags", "rust, #wasm; \"two words\", rust")],
            &["rust", "two words", "wasm"],
        );
        check(&[("tags", "[a b, ]")], &["a b"]);
        check(
            &[("author", "Ada Lovelace and Alan Turing")],
            &["Ada Lovelace", "Alan Turing"],
        );
        check(
            &[("author", "Ada Lovelace, Alan Turing")],
            &["Ada Lovelace", "Alan Turing"],
        );
        check(
            &[("author", "Ludwig van Beethoven")],
            &["Ludwig van Beethoven"],
        );
        check(&[("author", "山田 太郎")], &["山田 太郎"]);
        for no_person in [
            "root",
            "Microsoft Office User",
            "a@b.c",
            "Lovelace, Ada",
            "x y",
            "Acme Inc",
        ] {
            check(&[("author", no_person)], &[]);
        }
        let metadata = [("author".to_owned(), SafeLine::new("Ada Lovelace"))];
        assert_eq!(entity_type("Ada Lovelace", &metadata), "Person");
        assert_eq!(entity_type("Acme Inc", &metadata), "Organization");
        assert_eq!(entity_type("Acme", &metadata), "Other");
    }

    #[test]
    fn organisations_are_certain_or_left_out() {
        let check =
            |text: &str, expected: &[&str]| assert_eq!(labels(text, &[]), expected, "{text}");
        check(
            "At Acme Rockets, Inc. we build. The Acme Rockets Inc. is old.",
            &["Acme Rockets Inc"],
        );
        check(
            "The University of Oxford. At the University of Oxford, we",
            &["University of Oxford"],
        );
        check(
            "Stanford University and Stanford University",
            &["Stanford University"],
        );
        check("Once Acme Ltd only", &[]);
        check("the foundation Foundation of Foundation", &[]);
    }

    #[test]
    fn terms_are_bounded_and_sorted() {
        let text: String = (b'A'..=b'Z')
            .flat_map(|c| {
                let name = format!("Q{}Z", char::from(c));
                [format!("{name}, {name}, ")]
            })
            .collect();
        let found = labels(&format!("{text} QZZ, QZZ"), &[("tags", "zebra")]);
        assert_eq!(found.len(), Analysis::TERMS_MAX);
        assert!(found.contains(&"zebra".to_owned()), "tags come first");
        assert!(
            found.contains(&"QZZ".to_owned()),
            "frequent ones come before rare ones"
        );
        let mut sorted = found.clone();
        sorted.sort_by_key(|label| slug(label));
        assert_eq!(found, sorted);
    }
}
