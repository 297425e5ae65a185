//! Where everything lies inside a KB. No other place spells these paths.

use super::{DocName, KbPath};

/// `.openkb`: what makes a folder a KB.
#[must_use]
pub fn state_dir() -> KbPath {
    KbPath::fixed(".openkb")
}

/// Settings of the KB, YAML.
#[must_use]
pub fn config() -> KbPath {
    KbPath::fixed(".openkb/config.yaml")
}

/// The lock file shared with OpenKB: empty, never unlinked.
#[must_use]
pub fn ingest_lock() -> KbPath {
    KbPath::fixed(".openkb/ingest.lock")
}

/// The turnstile before the lock: empty, never unlinked.
#[must_use]
pub fn gate_lock() -> KbPath {
    KbPath::fixed(".openkb/gate.lock")
}

/// The exchange file with OpenKB.
#[must_use]
pub fn hashes_json() -> KbPath {
    KbPath::fixed(".openkb/hashes.json")
}

/// OpenKB's own journals: a barrier for us while one is active.
#[must_use]
pub fn openkb_journal_dir() -> KbPath {
    KbPath::fixed(".openkb/journal")
}

/// Where preparations work: one directory each, disposable.
#[must_use]
pub fn prepare_dir() -> KbPath {
    KbPath::fixed(".openkb/staging/prepare")
}

/// Our own machine state.
#[must_use]
pub fn own_dir() -> KbPath {
    KbPath::fixed(".openkb/kbhost")
}

/// The registry.
#[must_use]
pub fn registry_db() -> KbPath {
    KbPath::fixed(".openkb/kbhost/registry.db")
}

/// The search index: derived, can be rebuilt.
#[must_use]
pub fn search_db() -> KbPath {
    KbPath::fixed(".openkb/kbhost/search.db")
}

/// One directory for each mutation under way.
#[must_use]
pub fn journal_dir() -> KbPath {
    KbPath::fixed(".openkb/kbhost/journal")
}

/// Hand edits that a mutation would have replaced.
#[must_use]
pub fn conflicts_dir() -> KbPath {
    KbPath::fixed(".openkb/kbhost/conflicts")
}

/// What recovery could not undo.
#[must_use]
pub fn quarantine_dir() -> KbPath {
    KbPath::fixed(".openkb/kbhost/quarantine")
}

/// Who holds the lock; advisory.
#[must_use]
pub fn holder_json() -> KbPath {
    KbPath::fixed(".openkb/kbhost/holder.json")
}

/// The originals.
#[must_use]
pub fn raw_dir() -> KbPath {
    KbPath::fixed("raw")
}

/// The pages: the folder that people open in Obsidian.
#[must_use]
pub fn wiki_dir() -> KbPath {
    KbPath::fixed("wiki")
}

/// The entry page.
#[must_use]
pub fn index_page() -> KbPath {
    KbPath::fixed("wiki/index.md")
}

/// The log of operations.
#[must_use]
pub fn log_page() -> KbPath {
    KbPath::fixed("wiki/log.md")
}

/// What agents that read the wiki should know; the user's to edit.
#[must_use]
pub fn agents_page() -> KbPath {
    KbPath::fixed("wiki/AGENTS.md")
}

/// The original of a document. `extension` is lower case, without a dot; empty for none.
#[must_use]
pub fn raw_file(name: &DocName, extension: &str) -> KbPath {
    let dot = if extension.is_empty() { "" } else { "." };
    named(&raw_dir(), &format!("{name}{dot}{extension}"))
}

/// The converted text of a document.
#[must_use]
pub fn source_page(name: &DocName) -> KbPath {
    named(&KbPath::fixed("wiki/sources"), &format!("{name}.md"))
}

/// The page texts of a long document.
#[must_use]
pub fn source_pages_json(name: &DocName) -> KbPath {
    named(&KbPath::fixed("wiki/sources"), &format!("{name}.json"))
}

/// The directory of a document's images.
#[must_use]
pub fn images_dir(name: &DocName) -> KbPath {
    named(&KbPath::fixed("wiki/sources/images"), name.as_str())
}

/// Whether `path` is the image directory of some document.
#[must_use]
pub fn is_images_dir(path: &KbPath) -> bool {
    path.parent()
        .is_some_and(|parent| parent.as_str() == "wiki/sources/images")
}

/// The summary page of a document.
#[must_use]
pub fn summary_page(name: &DocName) -> KbPath {
    named(&KbPath::fixed("wiki/summaries"), &format!("{name}.md"))
}

/// The directories that `init` makes, parents first.
#[must_use]
pub fn skeleton() -> Vec<KbPath> {
    [
        "raw",
        "wiki",
        "wiki/sources",
        "wiki/sources/images",
        "wiki/summaries",
        "wiki/concepts",
        "wiki/entities",
        "wiki/explorations",
        "wiki/reports",
        ".openkb",
        ".openkb/staging",
        ".openkb/staging/prepare",
        ".openkb/kbhost",
        ".openkb/kbhost/journal",
    ]
    .into_iter()
    .map(KbPath::fixed)
    .collect()
}

fn named(dir: &KbPath, file: &str) -> KbPath {
    dir.join(file)
        .expect("a document name with a short extension is one valid component")
}
