//! What the files of a KB tell of a document without a registry: its original, its pages, the front
//! matter of its summary, and the pages of terms that name it. Reads only.
//!
//! All of it may come from a stranger: names and paths pass their validators, text is escaped, and
//! what cannot be read tells nothing.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::MutationError;
use super::overlay::PAGE_BYTES_MAX;
use super::storage::Storage;
use crate::compile;
use crate::kb::view::IndexSection;
use crate::kb::{
    ContentHash, DocName, KbError, KbPath, KbRoot, PathError, SafeLine, layout, names,
};
use crate::prepare::{Analysis, TermKind};

/// Front matter is a few lines; a page that begins with more has none that is ours.
const FRONT_MATTER_BYTES_MAX: usize = 64 << 10;

/// A term of a document: kind, slug, label.
pub(super) type Term = (TermKind, String, SafeLine);

/// What a document's pages say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) title: SafeLine,
    pub(super) description: SafeLine,
    /// `short` or `pageindex`.
    pub(super) doc_type: &'static str,
    pub(super) pages: Option<u32>,
    /// The user's file name, if the summary tells it.
    pub(super) file_name: Option<SafeLine>,
    pub(super) terms: Vec<Term>,
}

/// The keys of a summary's front matter.
#[derive(Debug, Default, Deserialize)]
struct Matter {
    title: Option<String>,
    description: Option<String>,
    /// As an older version of OpenKB wrote it.
    brief: Option<String>,
    doc_type: Option<String>,
    full_text: Option<String>,
    pages: Option<u32>,
}

/// The keys of a term page's front matter.
#[derive(Debug, Default, Deserialize)]
struct TermMatter {
    #[serde(default)]
    sources: Vec<String>,
}

/// The pages of terms, and which documents they name.
#[derive(Debug, Default)]
pub(super) struct TermPages {
    /// By the folded name of the document.
    of_document: HashMap<String, Vec<Term>>,
    /// The pages that name any document.
    pub(super) pages: Vec<KbPath>,
}

impl TermPages {
    /// Reads every concept and entity page.
    ///
    /// # Errors
    /// If a directory cannot be listed.
    pub(super) fn read(root: &KbRoot) -> Result<Self, KbError> {
        let mut found = Self::default();
        for (kind, dir) in [
            (TermKind::Concept, layout::concepts_dir()),
            (TermKind::Entity, layout::entities_dir()),
        ] {
            for name in root.list_dir(&dir)? {
                let Some(slug) = name.strip_suffix(".md") else {
                    continue;
                };
                let Ok(path) = dir.join(&name) else { continue };
                let Some(text) = text(root, &path) else {
                    continue;
                };
                found.take(kind, slug, path, &text);
            }
        }
        Ok(found)
    }

    fn take(&mut self, kind: TermKind, slug: &str, path: KbPath, text: &str) {
        let matter: TermMatter = front_matter(text);
        let names: Vec<DocName> = matter
            .sources
            .iter()
            .filter_map(|s| document_of(s))
            .collect();
        if names.is_empty() {
            return;
        }
        let heading = text.lines().find_map(|line| line.strip_prefix("# "));
        let label = SafeLine::new(&unescaped(heading.unwrap_or(slug)));
        for name in names {
            let terms = self
                .of_document
                .entry(names::fold(name.as_str()))
                .or_default();
            terms.push((kind, slug.to_owned(), label.clone()));
        }
        self.pages.push(path);
    }

    /// The terms whose pages name a document.
    fn terms_of(&self, name: &DocName) -> &[Term] {
        let terms = self.of_document.get(&names::fold(name.as_str()));
        terms.map_or(&[], Vec::as_slice)
    }
}

/// Reads what the pages of a document say of it. Terms that it shares with others are told by their
/// pages; those that it has alone are found in its text again.
pub(super) fn facts(
    root: &KbRoot,
    name: &DocName,
    source: Option<&KbPath>,
    terms: &TermPages,
) -> Facts {
    let summary = text(root, &layout::summary_page(name)).unwrap_or_default();
    let matter: Matter = front_matter(&summary);
    let source = source.cloned().unwrap_or_else(|| layout::source_page(name));
    let body = if source.as_str().ends_with(".md") {
        text(root, &source).unwrap_or_default()
    } else {
        String::new()
    };
    let analysis = compile::analyse(&body, None, &[], name.as_str());
    let line = |told: Option<String>| told.map(|text| SafeLine::new(&text));
    let is_long = matter.doc_type.as_deref() == Some("pageindex");
    Facts {
        title: line(matter.title)
            .filter(|title| !title.is_empty())
            .unwrap_or(analysis.title),
        description: line(matter.description.or(matter.brief)).unwrap_or(analysis.description),
        doc_type: if is_long { "pageindex" } else { "short" },
        pages: matter.pages,
        file_name: summary
            .lines()
            .find_map(|line| line.strip_prefix("- Original file: "))
            .map(|name| SafeLine::with_max(&unescaped(name), 255)),
        terms: all_terms(terms.terms_of(name), &analysis.terms),
    }
}

fn all_terms(on_pages: &[Term], in_text: &[crate::prepare::AnalysisTerm]) -> Vec<Term> {
    let mut terms = BTreeMap::new();
    for (kind, slug, label) in on_pages {
        terms.insert((*kind, slug.clone()), label.clone());
    }
    for term in in_text {
        if terms.len() >= Analysis::TERMS_MAX {
            break;
        }
        terms
            .entry((term.kind, term.slug.clone()))
            .or_insert_with(|| term.label.clone());
    }
    let terms = terms.into_iter();
    terms
        .map(|((kind, slug), label)| (kind, slug, label))
        .collect()
}

/// The converted text of a document: what its summary names, if that lies where such texts do, else
/// the page of its name.
pub(super) fn source_of(storage: &Storage, name: &DocName) -> Result<Option<KbPath>, PathError> {
    let root = storage.root();
    let summary = text(root, &layout::summary_page(name)).unwrap_or_default();
    let matter: Matter = front_matter(&summary);
    let named = matter.full_text.and_then(|page| {
        let path = KbPath::new(&format!("{}/{page}", layout::wiki_dir())).ok()?;
        (path.parent() == Some(layout::sources_dir())).then_some(path)
    });
    // A long document's summary names its page texts; where there is a page too, that is the text.
    let named = named.filter(|path| *path != layout::source_pages_json(name));
    let candidates = [
        named,
        Some(layout::source_page(name)),
        Some(layout::source_pages_json(name)),
    ];
    for path in candidates.into_iter().flatten() {
        if storage.is_file(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The files of a document that are there, with their digests: original, converted text, images,
/// members, summary page. What `raw` and `source` name counts only where files of this document lie.
///
/// # Errors
/// If one cannot be read.
pub(super) fn files(
    storage: &Storage,
    name: &DocName,
    raw: Option<&KbPath>,
    source: Option<&KbPath>,
) -> Result<Vec<(KbPath, ContentHash)>, MutationError> {
    let mut paths: Vec<KbPath> = raw
        .into_iter()
        .chain(source)
        .filter(|path| layout::is_file_of(name, path))
        .cloned()
        .collect();
    paths.extend([
        layout::source_page(name),
        layout::source_pages_json(name),
        layout::summary_page(name),
    ]);
    for dir in layout::part_dirs(name) {
        // A folder that is a link, or no folder, holds nothing of ours.
        for part in storage.root().list_dir(&dir).unwrap_or_default() {
            paths.extend(dir.join(&part).ok());
        }
    }
    paths.sort_unstable();
    paths.dedup();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        if storage.is_file(&path)?
            && let Some((_, hash)) = storage.digest(&path)?
        {
            files.push((path, hash));
        }
    }
    Ok(files)
}

/// A page of the index with a higher number is none: ordinals count documents.
const SHARD_MAX: i64 = 1 << 16;

/// A document that the index lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: DocName,
    /// The lowest ordinal that it can have there: an entry lies on the page of its ordinal.
    pub(super) ordinal_min: i64,
}

/// The documents that the index lists, in the order in which they were first registered: each page of
/// it lists the newest first.
pub(super) fn index_order(root: &KbRoot) -> Vec<Listed> {
    let mut listed = Vec::new();
    for (ordinal_min, page) in index_pages(root, IndexSection::Documents) {
        let text = text(root, &page).unwrap_or_default();
        let names = text.lines().rev().filter_map(listed_document);
        listed.extend(names.map(|name| Listed { name, ordinal_min }));
    }
    listed
}

/// The terms that pages of a parted index list, with the lowest ordinal that each can have there, in the
/// order in which they got their pages. Terms in `index.md` are not told: nothing depends on their
/// ordinals yet.
pub(super) fn parted_terms(root: &KbRoot, kind: TermKind) -> Vec<(String, i64)> {
    let section = IndexSection::of_terms(kind);
    let mut listed = Vec::new();
    for (ordinal_min, page) in index_pages(root, section) {
        if page == layout::index_page() {
            continue;
        }
        let text = text(root, &page).unwrap_or_default();
        let slugs = text.lines().rev().filter_map(|line| {
            let target = listed_target(line)?;
            target.strip_prefix(section.noun())?.strip_prefix('/')
        });
        listed.extend(slugs.map(|slug| (slug.to_owned(), ordinal_min)));
    }
    listed
}

/// Whether a section of the index lies on pages of its own.
pub(super) fn is_parted(root: &KbRoot, section: IndexSection) -> bool {
    index_pages(root, section).len() > 1
}

/// The pages that can list a section, with the lowest ordinal of each: those of a parted index, and
/// `index.md`.
fn index_pages(root: &KbRoot, section: IndexSection) -> Vec<(i64, KbPath)> {
    let dir = layout::index_dir();
    let mut pages: Vec<(i64, KbPath)> = root
        .list_dir(&dir)
        .unwrap_or_default()
        .iter()
        .filter_map(|name| {
            let number = name
                .strip_prefix(section.noun())?
                .strip_prefix('-')?
                .strip_suffix(".md")?;
            let number: i64 = number.parse().ok()?;
            let ordinal_min = (number - 1) * compile::SHARD_ENTRIES + 1;
            let is_shard = (1..=SHARD_MAX).contains(&number);
            is_shard.then_some((ordinal_min, dir.join(name).ok()?))
        })
        .collect();
    pages.sort_unstable();
    pages.push((1, layout::index_page()));
    pages
}

/// The document whose entry of the index a line is.
fn listed_document(line: &str) -> Option<DocName> {
    DocName::new(listed_target(line)?.strip_prefix("summaries/")?)
}

/// The target of the link that a line of a list begins with.
fn listed_target(line: &str) -> Option<&str> {
    let link = line
        .strip_prefix("- [[")
        .or_else(|| line.strip_prefix("* [["))?;
    Some(&link[..link.find([']', '|'])?])
}

/// A page as text; `None` if there is none that can be read.
fn text(root: &KbRoot, path: &KbPath) -> Option<String> {
    let bytes = root.read(path, PAGE_BYTES_MAX).ok()??;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The values between the two `---`; the defaults where there are none that can be read.
fn front_matter<T: Default + for<'de> Deserialize<'de>>(text: &str) -> T {
    let text = text.trim_start_matches('\u{feff}');
    let matter = || {
        let rest = text
            .strip_prefix("---\n")
            .or_else(|| text.strip_prefix("---\r\n"))?;
        let rest = &rest[..rest.floor_char_boundary(FRONT_MATTER_BYTES_MAX)];
        let end = rest.find("\n---")?;
        serde_saphyr::from_str(&rest[..end]).ok()
    };
    matter().unwrap_or_default()
}

/// The document that an item of `sources`, `summaries/NAME.md`, names.
fn document_of(source: &str) -> Option<DocName> {
    DocName::new(source.strip_prefix("summaries/")?.strip_suffix(".md")?)
}

/// Takes the escape of Markdown back.
fn unescaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let escapes = c == '\\' && chars.peek().is_some_and(char::is_ascii_punctuation);
        text.extend(if escapes { chars.next() } else { Some(c) });
    }
    text
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "the tests build the trees they survey"
)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_of_ours_and_of_others() {
        let check = |text: &str, title: Option<&str>, pages| {
            let matter: Matter = front_matter(text);
            assert_eq!(
                (matter.title.as_deref(), matter.pages),
                (title, pages),
                "{text:?}"
            );
        };
        check(
            "---\ntitle: \"A: b\"\npages: 3\n---\n\n# A\n",
            Some("A: b"),
            Some(3),
        );
        check("\u{feff}---\r\ntitle: A\r\n---\r\n", Some("A"), None);
        check("---\ntitle: A\n", None, None);
        check("title: A\n", None, None);
        check("---\ntitle: [\n---\n", None, None);
        check("", None, None);
    }

    #[test]
    fn term_pages_name_documents() {
        let mut pages = TermPages::default();
        let path = KbPath::fixed("wiki/concepts/write-ahead-log.md");
        let text = "---\ntype: \"Concept\"\nsources: [\"summaries/a.md\", \"../../x.md\", \"summaries/B.md\"]\n---\n\n\
                    # Write\\_ahead\n";
        pages.take(TermKind::Concept, "write-ahead-log", path, text);
        pages.take(
            TermKind::Entity,
            "none",
            KbPath::fixed("wiki/entities/none.md"),
            "# None\n",
        );
        let terms = |name: &str| pages.terms_of(&DocName::new(name).unwrap()).to_vec();
        let expected = (
            TermKind::Concept,
            "write-ahead-log".to_owned(),
            SafeLine::new("Write_ahead"),
        );
        assert_eq!(terms("a"), terms("b"));
        assert_eq!(terms("b"), [expected]);
        assert_eq!(terms("c"), []);
        assert_eq!(pages.pages.len(), 1);
    }

    #[test]
    fn the_index_tells_the_order_of_registration() {
        let dir = tempfile::tempdir().unwrap();
        for made in [".openkb", "wiki/index"] {
            std::fs::create_dir_all(dir.path().join(made)).unwrap();
        }
        let write = |name: &str, text: &str| {
            std::fs::write(dir.path().join("wiki").join(name), text).unwrap();
        };
        write(
            "index.md",
            "## Documents\n- [[summaries/f|F]] (short)\n- [[summaries/../x]]\n",
        );
        write(
            "index/documents-00010.md",
            "- [[summaries/e]] — later\n* [[summaries/d]]\n",
        );
        write(
            "index/documents-00002.md",
            "- [[summaries/c]]\n- [[concepts/x]]\n",
        );
        write(
            "index/documents-00001.md",
            "- [[summaries/b]]\n- [[summaries/a]]\n",
        );
        write("index/documents-0.md", "- [[summaries/z]]\n");
        write("index/concepts-00001.md", "- [[summaries/y]]\n");
        let order = index_order(&KbRoot::open(dir.path()).unwrap());
        let order: Vec<(&str, i64)> = order
            .iter()
            .map(|listed| (listed.name.as_str(), listed.ordinal_min))
            .collect();
        assert_eq!(
            order,
            [
                ("a", 1),
                ("b", 1),
                ("c", 251),
                ("d", 2251),
                ("e", 2251),
                ("f", 1)
            ]
        );
    }

    #[test]
    fn escapes_are_taken_back() {
        let check = |line: &str, expected: &str| assert_eq!(unescaped(line), expected);
        check("a\\_b\\\\c", "a_b\\c");
        check("C:\\dir", "C:\\dir");
        check("\\", "\\");
    }
}
