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

/// Copies of the registry, at most one a day.
#[must_use]
pub fn backup_dir() -> KbPath {
    KbPath::fixed(".openkb/kbhost/backup")
}

/// Lock of whoever makes a backup: empty, never unlinked.
#[must_use]
pub fn backup_lock() -> KbPath {
    KbPath::fixed(".openkb/kbhost/backup.lock")
}

/// A registry that is being rebuilt.
#[must_use]
pub fn rebuilt_db() -> KbPath {
    KbPath::fixed(".openkb/kbhost/registry-rebuilt.tmp")
}

/// An export of the registry for OpenKB before it has its name.
#[must_use]
pub fn hashes_json_draft() -> KbPath {
    KbPath::fixed(".openkb/kbhost/hashes.json.tmp")
}

/// The search index: derived, can be rebuilt.
#[must_use]
pub fn search_db() -> KbPath {
    KbPath::fixed(".openkb/kbhost/search.db")
}

/// What SQLite undoes an unfinished change of the search index with.
#[must_use]
pub fn search_db_journal() -> KbPath {
    KbPath::fixed(".openkb/kbhost/search.db-journal")
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

/// Journals that a person took out of recovery's way: kept for ever, nobody acts on them.
#[must_use]
pub fn accepted_dir() -> KbPath {
    KbPath::fixed(".openkb/kbhost/accepted")
}

/// Where OpenKB stages its changes and keeps the copies its rollback needs.
#[must_use]
pub fn staging_dir() -> KbPath {
    KbPath::fixed(".openkb/staging")
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

/// A shard of the index: entries of one kind, `documents` for instance. `number` counts from 1.
#[must_use]
pub fn index_shard(kind: &'static str, number: i64) -> KbPath {
    named(
        &KbPath::fixed("wiki/index"),
        &format!("{kind}-{number:05}.md"),
    )
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

/// The directory of converted texts.
#[must_use]
pub fn sources_dir() -> KbPath {
    KbPath::fixed("wiki/sources")
}

/// The directory of summary pages.
#[must_use]
pub fn summaries_dir() -> KbPath {
    KbPath::fixed("wiki/summaries")
}

/// The directory of concept pages.
#[must_use]
pub fn concepts_dir() -> KbPath {
    KbPath::fixed("wiki/concepts")
}

/// The directory of entity pages.
#[must_use]
pub fn entities_dir() -> KbPath {
    KbPath::fixed("wiki/entities")
}

/// The further pages of an index that grew too long for one.
#[must_use]
pub fn index_dir() -> KbPath {
    KbPath::fixed("wiki/index")
}

/// The directory of a document's images.
#[must_use]
pub fn images_dir(name: &DocName) -> KbPath {
    named(&KbPath::fixed(IMAGES), name.as_str())
}

/// Whether `path` is the image directory of some document.
#[must_use]
pub fn is_images_dir(path: &KbPath) -> bool {
    path.parent()
        .is_some_and(|parent| parent.as_str() == IMAGES)
}

/// The directory of a document's members: further documents that were found inside it.
#[must_use]
pub fn members_dir(name: &DocName) -> KbPath {
    named(&members_root(), name.as_str())
}

/// Where the directories of members lie. Made with the first of them.
#[must_use]
pub fn members_root() -> KbPath {
    KbPath::fixed(MEMBERS)
}

const IMAGES: &str = "wiki/sources/images";
const MEMBERS: &str = "wiki/sources/members";

/// The directories that a document has for itself, for files of any number.
#[must_use]
pub fn part_dirs(name: &DocName) -> [KbPath; 2] {
    [images_dir(name), members_dir(name)]
}

/// Whether `path` is one of the [`part_dirs`] of some document.
#[must_use]
pub fn is_part_dir(path: &KbPath) -> bool {
    path.parent()
        .is_some_and(|parent| [IMAGES, MEMBERS].contains(&parent.as_str()))
}

/// The name of the document in or beneath one of whose [`part_dirs`] `path` lies.
#[must_use]
pub fn owner_of_part(path: &KbPath) -> Option<&str> {
    let beneath = |dir| path.as_str().strip_prefix(dir)?.strip_prefix('/');
    let rest = [IMAGES, MEMBERS].into_iter().find_map(beneath)?;
    rest.split_once('/').map(|(name, _)| name)
}

/// Whether `path` is one of the files that a document of this name has for itself: its original,
/// its converted text and pages, an image, a member, its summary. What a registry or a `hashes.json` says of
/// a document is somebody's word: no other path is taken for the document's.
#[must_use]
pub fn is_file_of(name: &DocName, path: &KbPath) -> bool {
    let has_its_name = || super::identity::stem(path.file_name()) == name.as_str();
    (path.starts_with(&raw_dir()) && has_its_name())
        || path
            .parent()
            .is_some_and(|dir| part_dirs(name).contains(&dir))
        || [
            source_page(name),
            source_pages_json(name),
            summary_page(name),
        ]
        .contains(path)
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
        IMAGES,
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
    dir.join(file).expect(
        "a document name with a short extension, or a word with a number, is one valid component",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_has_files_of_its_name_only() {
        let name = DocName::new("a").expect("a name");
        let check = |path: &str, expected| {
            let path = KbPath::new(path).expect("a path");
            assert_eq!(is_file_of(&name, &path), expected, "{path}");
        };
        check("raw/a.md", true);
        check("raw/a", true);
        check("raw/sub/a.pdf", true);
        check("wiki/sources/a.md", true);
        check("wiki/sources/a.json", true);
        check("wiki/sources/images/a/p1.png", true);
        check("wiki/sources/members/a/0001-x.md", true);
        check("wiki/summaries/a.md", true);
        check("raw/b.md", false);
        check("raw/a.b.md", false);
        check("wiki/sources/b.md", false);
        check("wiki/sources/images/b/a.png", false);
        check("wiki/sources/images/a", false);
        check("wiki/sources/members/b/0001-x.md", false);
        check("wiki/sources/members/a/deep/x.md", false);
        check("wiki/sources/other/a/x.md", false);
        check("wiki/index.md", false);
        check("wiki/concepts/a.md", false);
        check(".openkb/config.yaml", false);
    }

    #[test]
    fn parts_tell_their_document() {
        let check = |path: &str, expected: Option<&str>| {
            let path = KbPath::new(path).expect("a path");
            assert_eq!(owner_of_part(&path), expected, "{path}");
        };
        for dir in part_dirs(&DocName::new("a").expect("a name")) {
            assert!(is_part_dir(&dir), "{dir}");
            check(dir.as_str(), None);
            check(&format!("{dir}/x.md"), Some("a"));
            check(&format!("{dir}/deep/x.md"), Some("a"));
        }
        check("wiki/sources/imagesx/a/x.md", None);
        check("wiki/sources/a.md", None);
        assert!(!is_part_dir(&members_root()));
    }
}
