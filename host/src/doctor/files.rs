//! Registry and files, both ways, with digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::registry::{Registered, chain};
use super::{Report, Severity};
use crate::kb::registry::{DocumentRow, UNKNOWN_DIGEST};
use crate::kb::walk::{Found, Kind, walk};
use crate::kb::{ContentHash, KbError, KbPath, KbRoot, identity, layout, shell_word};

/// Bytes that are hashed at once.
const BUFFER_BYTES: usize = 256 << 10;

/// An input whose size is not registered is read up to this size: twice what an input may have by
/// default.
const INPUT_BYTES_MAX: u64 = 1 << 30;

/// The regular files of `raw/` and `wiki/`.
pub(super) struct Tree {
    pub(super) files: BTreeSet<KbPath>,
}

/// Compares what is registered with what is there, but for what an unsettled journal speaks of.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn examine(
    root: &KbRoot,
    registry: Option<&Registered>,
    unsettled: &BTreeSet<KbPath>,
    report: &mut Report,
) -> Result<Tree, KbError> {
    let mut tree = Tree {
        files: BTreeSet::new(),
    };
    for top in [layout::raw_dir(), layout::wiki_dir()] {
        walk(root, &top, &mut |found| {
            look(root, found, &mut tree, report)
        })?;
    }
    if let Some(registry) = registry {
        let documents: BTreeMap<i64, &DocumentRow> = registry
            .documents
            .iter()
            .map(|row| (row.ordinal, row))
            .collect();
        let settled = |path: &KbPath| !unsettled.contains(path);
        let newer = newer_documents(registry, &tree, &settled, report);
        registered(root, registry, &documents, &tree, &settled, report);
        unregistered(root, registry, &tree, &newer, &settled, report);
    }
    report.files = tree.files.len() as u64;
    Ok(tree)
}

/// One thing in the tree.
fn look(root: &KbRoot, found: Found, tree: &mut Tree, report: &mut Report) {
    let show = |path: &KbPath| format!("ls -ld {}", shell_word(root.join(path)));
    match found {
        Found::At(path, Kind::File { linked }) => {
            if is_temporary(&path) {
                report.add(
                    Severity::Warning,
                    "leftover",
                    path.as_str(),
                    "a command that died left it; nothing refers to it",
                    format!("rm {}", shell_word(root.join(&path))),
                );
                return;
            }
            if linked {
                report.add(
                    Severity::Warning,
                    "hard-link",
                    path.as_str(),
                    "the file has further names; writing to one of them changes it here",
                    format!(
                        "find {} -samefile {}",
                        shell_word(root.path()),
                        shell_word(root.join(&path))
                    ),
                );
            }
            tree.files.insert(path);
        }
        Found::At(path, Kind::Symlink) => report.add(
            Severity::Error,
            "symlink",
            path.as_str(),
            "it is a symbolic link; links are not followed, whatever they lead to is not read",
            show(&path),
        ),
        Found::At(path, Kind::Special) => report.add(
            Severity::Error,
            "special",
            path.as_str(),
            "it is neither a file nor a directory",
            show(&path),
        ),
        Found::At(_, Kind::Dir) => {}
        Found::BadName(dir, name) => report.add(
            Severity::Warning,
            "name",
            format!("{dir}/{name}"),
            "the name holds characters that no name of a page may hold",
            format!("ls -b {}", shell_word(root.join(&dir))),
        ),
        Found::TooDeep(path) => report.add(
            Severity::Warning,
            "too-deep",
            path.as_str(),
            "folders lie so deep here that they are not looked into",
            show(&path),
        ),
    }
}

/// A name that a write under way has for a moment.
fn is_temporary(path: &KbPath) -> bool {
    let name = path.file_name();
    name.starts_with(".kbhost-") && name.ends_with(".tmp")
}

/// Documents that are whole on disk and not registered: the registry is older than its files, as
/// after a copy without its write-ahead log. Returns their names.
fn newer_documents(
    registry: &Registered,
    tree: &Tree,
    settled: &impl Fn(&KbPath) -> bool,
    report: &mut Report,
) -> BTreeSet<String> {
    let known: BTreeSet<&str> = registry
        .documents
        .iter()
        .map(|row| row.doc_name.as_str())
        .collect();
    let originals: BTreeSet<&str> = tree
        .files
        .iter()
        .filter(|path| path.starts_with(&layout::raw_dir()))
        .map(|path| identity::stem(path.file_name()))
        .collect();
    let mut newer = BTreeSet::new();
    for path in tree.files.iter().filter(|path| settled(path)) {
        let Some(stem) = path
            .as_str()
            .strip_prefix("wiki/summaries/")
            .and_then(|name| name.strip_suffix(".md"))
        else {
            continue;
        };
        let has_source = ["md", "json"].iter().any(|extension| {
            KbPath::new(&format!("wiki/sources/{stem}.{extension}"))
                .is_ok_and(|source| tree.files.contains(&source))
        });
        if !known.contains(stem) && originals.contains(stem) && has_source {
            newer.insert(stem.to_owned());
        }
    }
    for name in &newer {
        report.add(
            Severity::Error,
            "registry-older",
            name,
            "the document is there with all its files, but not registered: the registry is older than its files",
            report.kbhost("registry rebuild --yes"),
        );
    }
    newer
}

/// Every registered file is there, as it was written.
fn registered(
    root: &KbRoot,
    registry: &Registered,
    documents: &BTreeMap<i64, &DocumentRow>,
    tree: &Tree,
    settled: &impl Fn(&KbPath) -> bool,
    report: &mut Report,
) {
    let mut looked_at = BTreeSet::new();
    for page in &registry.pages {
        looked_at.insert(&page.path);
        if !settled(&page.path) {
            continue;
        }
        let owner = page.ordinal.and_then(|ordinal| documents.get(&ordinal));
        if !tree.files.contains(&page.path) {
            missing(root, &page.path, owner.copied(), report);
            continue;
        }
        match digest(root, &page.path) {
            Ok(now) if now == page.sha256 || page.sha256 == UNKNOWN_DIGEST => {}
            Ok(_) => edited(root, &page.path, report),
            Err(error) => report.add(
                Severity::Error,
                "unreadable",
                page.path.as_str(),
                chain(&error),
                format!("ls -ld {}", shell_word(root.join(&page.path))),
            ),
        }
    }
    // Documents that OpenKB registered have paths, and no digests but the original's.
    for row in &registry.documents {
        for path in [&row.raw_path, &row.source_path].into_iter().flatten() {
            if settled(path) && !looked_at.contains(path) && !tree.files.contains(path) {
                missing(root, path, Some(row), report);
            }
        }
        let original = row
            .raw_path
            .as_ref()
            .filter(|path| settled(path) && !looked_at.contains(path) && tree.files.contains(path));
        // What came from the cloud has no original whose digest it is registered by.
        if let Some(path) = original
            && row.kind != "pageindex_cloud"
            && digest(root, path).is_ok_and(|now| now != row.hash)
        {
            edited(root, path, report);
        }
    }
}

fn missing(root: &KbRoot, path: &KbPath, owner: Option<&DocumentRow>, report: &mut Report) {
    let Some(row) = owner else {
        let command = report.kbhost("list");
        return report.add(
            Severity::Note,
            "page-missing",
            path.as_str(),
            "the page was removed by hand; the next change that concerns it goes without it",
            command,
        );
    };
    let (code, message) = if path.starts_with(&layout::raw_dir()) {
        (
            "original-missing",
            "the original of a registered document is missing",
        )
    } else {
        ("file-missing", "a file of a registered document is missing")
    };
    let command = remedy(root, row, report);
    report.add(Severity::Error, code, path.as_str(), message, command);
}

/// What brings a document's files back. Bytes that are not known to be the registered ones are no
/// reason to remove anything.
fn remedy(root: &KbRoot, row: &DocumentRow, report: &Report) -> String {
    let name = shell_word(row.doc_name.as_str());
    let look = || {
        let source = row.source_path.as_ref().map(|path| root.has_file(path));
        match source {
            Some(Ok(true)) => report.kbhost(&format!("show {name}")),
            _ => report.kbhost("list"),
        }
    };
    let raw_dir = layout::raw_dir();
    let Some(raw) = row.raw_path.as_ref() else {
        return look();
    };
    if raw.parent().as_ref() != Some(&raw_dir) {
        return look();
    }
    let to = shell_word(root.join(raw));
    let input = Path::new(row.source_key.as_str());
    if matches!(digest(root, raw), Ok(now) if now == row.hash) {
        return made_anew(root, row, raw, report);
    }
    // What is there already is another file, and not ours to replace.
    if !matches!(root.open_file(raw), Ok(None)) || !is_the_input(input, row) {
        return look();
    }
    // An input that is registered is not added again: its bytes go where they were.
    let copy = format!("cp {} {to}", shell_word(input));
    match root.open_dir(&raw_dir) {
        Ok(None) => format!("mkdir {} && {copy}", shell_word(root.join(&raw_dir))),
        _ => copy,
    }
}

/// What makes a document anew whose original is whole. The original stays where it is meanwhile; the
/// input is taken where it is at hand: what it shows lies beside it.
fn made_anew(root: &KbRoot, row: &DocumentRow, raw: &KbPath, report: &Report) -> String {
    let name = shell_word(row.doc_name.as_str());
    let input = Path::new(row.source_key.as_str());
    let has_input = is_the_input(input, row);
    let images = layout::images_dir(&row.doc_name);
    let keep = match root.list_dir(&images) {
        Ok(images) if images.is_empty() => String::new(),
        // Images may be nowhere else: they are kept, whatever lies beside the input now. Members come
        // out of the original again.
        Ok(_) if has_input => {
            let kept = root.join(&layout::conflicts_dir());
            format!(
                "mkdir -p {} && cp -R {} {} && ",
                shell_word(&kept),
                shell_word(root.join(&images)),
                shell_word(kept.join(format!("{}-images", row.doc_name)))
            )
        }
        _ => return format!("ls -lR {}", shell_word(root.join(&images))),
    };
    let from = match has_input {
        true => shell_word(input),
        false => shell_word(root.join(raw)),
    };
    format!(
        "{keep}{} && {}",
        report.kbhost(&format!("remove --keep-raw --yes {name}")),
        report.kbhost(&format!("add {from}"))
    )
}

/// Whether the file that a document was made from is still there, with the registered bytes.
fn is_the_input(input: &Path, row: &DocumentRow) -> bool {
    let Ok(metadata) = input.metadata() else {
        return false;
    };
    // The path is the registry's word: what is no file, or too large for an input, is not read.
    let fits = match row.size {
        Some(size) => metadata.len() == size,
        None => metadata.len() <= INPUT_BYTES_MAX,
    };
    if !input.is_absolute() || !metadata.is_file() || !fits {
        return false;
    }
    let hash = File::open(input).and_then(|file| hash(file.take(metadata.len())));
    matches!(hash, Ok(hash) if hash == row.hash)
}

/// People edit pages; nobody edits originals.
fn edited(root: &KbRoot, path: &KbPath, report: &mut Report) {
    let at = shell_word(root.join(path));
    if path.starts_with(&layout::raw_dir()) {
        report.add(
            Severity::Error,
            "original-changed",
            path.as_str(),
            "the original is not the one that was added",
            format!("sha256sum {at}"),
        );
    } else {
        report.add(
            Severity::Note,
            "edited",
            path.as_str(),
            "it differs from what kbhost wrote: edited by hand, or kept by `recover --accept`; an \
             edit is kept, or set aside and named",
            format!("ls -l {at}"),
        );
    }
}

/// Files in the places of ours that nobody registered.
fn unregistered(
    root: &KbRoot,
    registry: &Registered,
    tree: &Tree,
    newer: &BTreeSet<String>,
    settled: &impl Fn(&KbPath) -> bool,
    report: &mut Report,
) {
    let pages = registry.pages.iter().map(|page| &page.path);
    let paths = registry
        .documents
        .iter()
        .flat_map(|row| [&row.raw_path, &row.source_path]);
    let known: BTreeSet<&KbPath> = pages.chain(paths.flatten()).collect();
    let names: BTreeSet<&str> = registry
        .documents
        .iter()
        .map(|row| row.doc_name.as_str())
        .collect();
    let is_original = |path: &KbPath| path.starts_with(&layout::raw_dir());
    let with_pages: BTreeSet<&str> = tree
        .files
        .iter()
        .filter(|path| !is_original(path))
        .filter_map(document_of)
        .collect();
    for path in tree.files.iter().filter(|path| settled(path)) {
        let Some(name) = document_of(path) else {
            continue;
        };
        // What OpenKB made for its documents is theirs, registered or not.
        let is_of_openkb = !registry.is_ours && names.contains(name);
        if known.contains(path) || newer.contains(name) || is_of_openkb {
            continue;
        }
        let at = shell_word(root.join(path));
        if is_original(path) && !names.contains(name) && !with_pages.contains(name) {
            let command = report.kbhost(&format!("add {at}"));
            report.add(
                Severity::Note,
                "unregistered",
                path.as_str(),
                "an original without a document, as `remove --keep-raw` leaves it; no command reads it",
                command,
            );
            continue;
        }
        let severity = if registry.is_ours && !names.contains(name) {
            Severity::Warning
        } else {
            Severity::Note
        };
        report.add(
            severity,
            "unregistered",
            path.as_str(),
            "it belongs to no registered document; no command reads or removes it, and it can be moved out",
            format!("ls -l {at}"),
        );
    }
}

/// The document that a file belongs to by its place and name; `None` for places that are not ours
/// alone.
fn document_of(path: &KbPath) -> Option<&str> {
    let text = path.as_str();
    if let Some(name) = layout::owner_of_part(path) {
        return Some(name);
    }
    let rest = ["raw/", "wiki/sources/", "wiki/summaries/"]
        .iter()
        .find_map(|dir| text.strip_prefix(dir))?;
    (!rest.contains('/')).then(|| identity::stem(rest))
}

fn digest(root: &KbRoot, path: &KbPath) -> Result<ContentHash, KbError> {
    let failed =
        |error: io::Error| KbError::from(crate::kb::PathError::new("read", root.join(path), error));
    let file = root
        .open_file(path)?
        .ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    hash(file).map_err(failed)
}

fn hash(mut file: impl Read) -> io::Result<ContentHash> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ContentHash::from_bytes(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_documents() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(document_of(&KbPath::new(path).unwrap()), expected, "{path}");
        };
        check("raw/a.b.pdf", Some("a.b"));
        check("wiki/sources/a.md", Some("a"));
        check("wiki/sources/images/a/img_001.png", Some("a"));
        check("wiki/sources/members/a/0001-x.md", Some("a"));
        check("wiki/sources/members/a", None);
        check("wiki/summaries/a.md", Some("a"));
        check("wiki/concepts/a.md", None);
        check("wiki/index.md", None);
        check("raw/folder/a.md", None);
    }

    #[test]
    fn temporary_names() {
        let check = |path: &str, expected| {
            assert_eq!(
                is_temporary(&KbPath::new(path).unwrap()),
                expected,
                "{path}"
            );
        };
        check("wiki/.kbhost-000000000001-aa-3.tmp", true);
        check("wiki/kbhost.tmp", false);
        check("wiki/.kbhost-note.md", false);
    }
}
