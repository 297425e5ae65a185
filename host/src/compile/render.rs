//! The text of new pages and of the lines that are ours, in the peer's formats.

use super::escape;
use super::page::Page;
use super::pages::NamedDocument;
use super::{sections, terms};
use crate::kb::view::{Listed, Mention};
use crate::kb::{DocName, KbPath, SafeLine, layout};
use crate::prepare::{AnalysisTerm, TermKind};

/// The index of a KB without documents.
pub const EMPTY_INDEX: &str =
    "# Knowledge Base Index\n\n## Documents\n\n## Concepts\n\n## Entities\n\n## Explorations\n";

/// Section of a term page that lists documents.
pub(super) const RELATED_DOCUMENTS: &str = "Related Documents";

/// Section of a summary page that leads to the converted text.
const SOURCE: &str = "Source";

/// Metadata that goes into front matter, in this order. Other keys might mean something to
/// Obsidian (`cssclasses`, `aliases`, `publish`), and a document has no say in that.
const METADATA_KEYS: [&str; 13] = [
    "author",
    "authors",
    "created",
    "modified",
    "date",
    "language",
    "subject",
    "keywords",
    "publisher",
    "doi",
    "isbn",
    "license",
    "needs-ocr",
];

/// A term with the place of its page.
#[derive(Clone, Debug)]
pub(super) struct TermPage {
    pub(super) kind: TermKind,
    pub(super) path: KbPath,
    /// As links name the page: `concepts/slug`.
    pub(super) target: String,
}

impl TermPage {
    /// `None` if `slug`, which the registry may have from a stranger, is no file name.
    pub(super) fn new(kind: TermKind, slug: &str) -> Option<Self> {
        let folder = match kind {
            TermKind::Concept => "concepts",
            TermKind::Entity => "entities",
        };
        // The rule of slugs: nothing else can stand in a link or a list.
        if terms::slug(slug).as_deref() != Some(slug) {
            return None;
        }
        let dir = layout::wiki_dir().join(folder).ok()?;
        Some(Self {
            kind,
            path: dir.join(&format!("{slug}.md")).ok()?,
            target: format!("{folder}/{slug}"),
        })
    }

    /// Section of a summary page that links to pages of this kind, and those that follow it.
    pub(super) fn related_section(&self) -> (&'static str, &'static [&'static str]) {
        match self.kind {
            TermKind::Concept => ("Related Concepts", &["Entities", SOURCE]),
            TermKind::Entity => ("Entities", &[SOURCE]),
        }
    }

    /// The line of a summary page that links to this one.
    pub(super) fn backlink(&self, label: &SafeLine) -> String {
        format!("- [[{}|{}]]", self.target, escape::label(label.as_str()))
    }

    /// The line of the index.
    pub(super) fn index_entry(&self, term: &AnalysisTerm, document: &NamedDocument<'_>) -> String {
        let text = escape::inline(description(term).as_str());
        match self.kind {
            TermKind::Concept => format!("- [[{}]] — {text}", self.target),
            TermKind::Entity => {
                let kind =
                    terms::entity_type(term.label.as_str(), document.metadata).to_lowercase();
                format!("- [[{}]] ({kind}) — {text}", self.target)
            }
        }
    }

    /// A new page for `term`, known from `documents`, newest first.
    pub(super) fn text(
        &self,
        term: &AnalysisTerm,
        document: &NamedDocument<'_>,
        documents: &[&Mention],
    ) -> String {
        let kind = match self.kind {
            TermKind::Concept => "Concept",
            TermKind::Entity => terms::entity_type(term.label.as_str(), document.metadata),
        };
        let names: Vec<String> = documents.iter().map(|one| source(&one.name)).collect();
        let sources = escape::quoted_list(names.iter().map(String::as_str));
        let mut page = format!(
            "---\ntype: \"{kind}\"\nsources: {sources}\ndescription: {}\n---\n\n# {}\n\n",
            escape::quoted(description(term).as_str()),
            escape::paragraph(term.label.as_str()),
        );
        if let Some(gloss) = &term.gloss {
            page.push_str(&format!("{}\n\n", escape::paragraph(gloss.as_str())));
        }
        page.push_str(&format!("## {RELATED_DOCUMENTS}\n\n"));
        for mention in documents {
            page.push_str(&related_document(mention));
            page.push('\n');
        }
        page
    }
}

/// What a term's page says of itself, in one line.
fn description(term: &AnalysisTerm) -> SafeLine {
    match &term.gloss {
        Some(gloss) => gloss.clone(),
        None => SafeLine::new(&format!("{DESCRIPTION_START}{}", term.label)),
    }
}

/// How the description of a term without gloss starts.
const DESCRIPTION_START: &str = "Documents that mention ";

/// Whether a term page holds nothing but what [`TermPage::text`] writes; entries and sources do not
/// count.
pub(super) fn is_ours_alone<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let skeleton: Vec<&str> = lines
        .filter(|line| !line.trim().is_empty() && !line.starts_with("sources: ["))
        .collect();
    let [open, kind, description, close, heading, rest @ ..] = skeleton.as_slice() else {
        return false;
    };
    let types = ["Concept", "Person", "Organization", "Other"];
    let kind = kind
        .strip_prefix("type: \"")
        .and_then(|kind| kind.strip_suffix('"'));
    let description = description
        .strip_prefix("description: ")
        .and_then(|value| serde_json::from_str::<String>(value).ok());
    let (Some(kind), Some(description), Some(label)) =
        (kind, description, heading.strip_prefix("# "))
    else {
        return false;
    };
    let related = format!("## {RELATED_DOCUMENTS}");
    let body_is_ours = match rest {
        [last] => {
            let label_of = description.strip_prefix(DESCRIPTION_START);
            *last == related && label_of.map(escape::paragraph).as_deref() == Some(label)
        }
        [gloss, last] => *last == related && escape::paragraph(&description) == **gloss,
        _ => false,
    };
    *open == "---" && *close == "---" && types.contains(&kind) && body_is_ours
}

/// How `sources` names a document.
pub(super) fn source(name: &DocName) -> String {
    format!("{}.md", summary_target(name))
}

/// How links name a document's summary page.
pub(super) fn summary_target(name: &DocName) -> String {
    format!("summaries/{name}")
}

/// The line of a term page that links to a document.
pub(super) fn related_document(mention: &Mention) -> String {
    let title = if mention.title.is_empty() {
        mention.name.as_str()
    } else {
        mention.title.as_str()
    };
    let link = format!(
        "- [[{}|{}]]",
        summary_target(&mention.name),
        escape::label(title)
    );
    with_text(link, &mention.description)
}

/// The line of the index that links to a document.
pub(super) fn document_entry(document: &NamedDocument<'_>) -> String {
    let link = format!(
        "- [[{}]] ({})",
        summary_target(document.name),
        doc_type(document)
    );
    with_text(link, &document.analysis.description)
}

/// The line of the index that links to a registered document.
pub(super) fn listed_entry(listed: &Listed) -> String {
    let doc_type = match listed.doc_type.as_str() {
        "pageindex" => "pageindex",
        _ => "short",
    };
    let link = format!("- [[{}]] ({doc_type})", summary_target(&listed.name));
    with_text(link, &listed.description)
}

/// The line of the index that links to the page of a term, from what the page says of itself.
pub(super) fn index_entry_of(page: &TermPage, text: &Page<'_>) -> String {
    let told = |key: &str| -> Option<String> {
        let matter = text.front_matter()?;
        let line = text
            .lines()
            .take(matter.end)
            .find_map(|line| line.strip_prefix(key))?;
        serde_saphyr::from_str(line.trim()).ok()
    };
    let description = SafeLine::new(&told("description:").unwrap_or_default());
    let link = match page.kind {
        TermKind::Concept => format!("- [[{}]]", page.target),
        TermKind::Entity => {
            let kind = ["Person", "Organization"]
                .into_iter()
                .find(|kind| told("type:").as_deref() == Some(*kind));
            format!(
                "- [[{}]] ({})",
                page.target,
                kind.unwrap_or("Other").to_lowercase()
            )
        }
    };
    with_text(link, &description)
}

fn with_text(link: String, text: &SafeLine) -> String {
    if text.is_empty() {
        return link;
    }
    format!("{link} — {}", escape::inline(text.as_str()))
}

/// One of the peer's two words, whatever was asked for.
fn doc_type(document: &NamedDocument<'_>) -> &'static str {
    if document.doc_type == "pageindex" {
        "pageindex"
    } else {
        "short"
    }
}

/// The summary page of a document that shares `related` terms with others.
pub(super) fn summary_page(
    document: &NamedDocument<'_>,
    related: &[(TermPage, &AnalysisTerm)],
) -> String {
    let analysis = document.analysis;
    let title = if analysis.title.is_empty() {
        document.name.as_str()
    } else {
        analysis.title.as_str()
    };
    let mut page = front_matter(document, title);
    page.push_str(&format!("\n# {}\n", escape::paragraph(title)));
    for paragraph in analysis.summary.iter().filter(|line| !line.is_empty()) {
        page.push_str(&format!("\n{}\n", escape::paragraph(paragraph.as_str())));
    }
    if let Some(tree) = document.tree {
        sections::write(&mut page, tree, document.name);
    }
    for kind in [TermKind::Concept, TermKind::Entity] {
        let mut of_kind: Vec<_> = related
            .iter()
            .filter(|(page, _)| page.kind == kind)
            .collect();
        of_kind.sort_by(|a, b| a.0.target.cmp(&b.0.target));
        if let Some((first, _)) = of_kind.first() {
            page.push_str(&format!("\n## {}\n\n", first.related_section().0));
        }
        for (term_page, term) in of_kind {
            page.push_str(&format!("{}\n", term_page.backlink(&term.label)));
        }
    }
    page.push_str(&format!(
        "\n## {SOURCE}\n\n- [[sources/{}|Full text]]\n",
        document.name
    ));
    if !document.file_name.is_empty() {
        page.push_str(&format!(
            "- Original file: {}\n",
            escape::inline(document.file_name.as_str())
        ));
    }
    page
}

fn front_matter(document: &NamedDocument<'_>, title: &str) -> String {
    let mut matter = String::from("---\ntype: \"Summary\"\n");
    let mut put = |key: &str, value: &str| {
        if !value.is_empty() {
            matter.push_str(&format!("{key}: {value}\n"));
        }
    };
    put("title", &escape::quoted(title));
    if !document.analysis.description.is_empty() {
        put(
            "description",
            &escape::quoted(document.analysis.description.as_str()),
        );
    }
    put("doc_type", doc_type(document));
    // Of a long document the peer reads the pages.
    let text_ending = match doc_type(document) {
        "pageindex" => "json",
        _ => "md",
    };
    put(
        "full_text",
        &escape::quoted(&format!("sources/{}.{text_ending}", document.name)),
    );
    if let Some(pages) = document.page_count {
        put("pages", &pages.to_string());
    }
    for key in METADATA_KEYS {
        let found = document.metadata.iter().find(|(name, _)| name == key);
        if let Some((_, value)) = found.filter(|(_, value)| !value.is_empty()) {
            put(key, &escape::quoted(value.as_str()));
        }
    }
    let mut tags: Vec<String> = terms::tags(document.metadata)
        .iter()
        .filter_map(|tag| terms::slug(tag))
        // Obsidian knows no tags of digits alone.
        .filter(|tag| !tag.chars().all(|c| c.is_ascii_digit()))
        .collect();
    tags.sort_unstable();
    tags.dedup();
    if !tags.is_empty() {
        put(
            "tags",
            &escape::quoted_list(tags.iter().map(String::as_str)),
        );
    }
    matter.push_str("---\n");
    matter
}
