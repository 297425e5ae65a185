//! Takes over what another program changed in `hashes.json`: a three-way merge against the base that
//! the registry keeps.
//!
//! Entries are told apart by their document's name. An entry that only one side changed is that side's;
//! one that both changed alike is settled; any other is a conflict, and with one nothing is merged.
//!
//! Invariant: a merge changes the registry and `hashes.json`, in this order, and no page: the files are
//! as the other program left them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::params;
use serde::Serialize;

use super::aftermath;
use super::exchange::{self, digests};
use super::guard::{self, MutationGuard};
use super::journal::new_id;
use super::registry::openkb_digest;
use super::restored::Restored;
use super::storage::Storage;
use super::survey::{self, TermPages};
use super::{MutationError, OwnerOptions};
use crate::kb::openkb::{self, Entry, Imported};
use crate::kb::{ContentHash, DocName, KbPath, KbRoot, SafeLine, identity, layout, names};

/// Whose version counts where both changed an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The registry's.
    Ours,
    /// That of `hashes.json`.
    Theirs,
}

/// What became of an entry since the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Nothing.
    Same,
    /// It is new.
    Added,
    /// It is another version.
    Changed,
    /// It is gone, and so is its summary page.
    Removed,
    /// Its entry is gone and its summary page is there: nobody removed the document, and it stays.
    Missing,
    /// Its entry is of a version that `raw/` has not, which has ours: it was put back, and ours stays.
    Stale,
}

/// An entry that the registry and `hashes.json` do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The document's name.
    pub document: SafeLine,
    /// What the registry made of it since the base.
    pub registry: Change,
    /// What the other program made of it.
    pub hashes_json: Change,
    /// Why it cannot be merged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<SafeLine>,
}

/// How the registry and `hashes.json` differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Comparison {
    /// The entries, those of `hashes.json` first, in its order.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// How many entries cannot be merged without a choice.
    #[must_use]
    pub fn conflicts(&self) -> usize {
        let differences = self.differences.iter();
        differences.filter(|one| one.conflict.is_some()).count()
    }
}

/// What a merge did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// What differed before.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Whether it was merged: conflicts without a choice are not.
    pub merged: bool,
    /// Documents that came in.
    pub added: u64,
    /// Documents whose row was replaced.
    pub changed: u64,
    /// Documents whose row was removed.
    pub removed: u64,
    /// What a person should know.
    pub warnings: Vec<SafeLine>,
}

/// Compares `hashes.json` with the registry; changes neither.
///
/// # Errors
/// If the lock is not to be had or one of them cannot be read.
pub fn compare_registry(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
) -> Result<Comparison, MutationError> {
    let guard = guard::acquire_to_exchange(root, options)?;
    let decisions = match openkb::read(root)? {
        Some(theirs) => Decisions::of(&guard, &theirs, None)?,
        None => Decisions::default(),
    };
    Ok(decisions.comparison)
}

/// Merges what `hashes.json` says into the registry and writes the result as its export. `prefer`
/// settles conflicts.
///
/// # Errors
/// If the lock is not to be had, one of the two cannot be read, or the registry cannot be written. A
/// crash leaves the registry as it was, or merged with the export still to be written.
pub fn merge_registry(
    root: &Arc<KbRoot>,
    options: &OwnerOptions,
    prefer: Option<Side>,
) -> Result<Merged, MutationError> {
    let guard = guard::acquire_to_exchange(root, options)?;
    let Some(theirs) = openkb::read(root)? else {
        return Ok(Merged {
            merged: true,
            ..Merged::default()
        });
    };
    let decisions = Decisions::of(&guard, &theirs, prefer)?;
    if decisions.comparison.conflicts() > 0 {
        return Ok(Merged {
            comparison: decisions.comparison,
            ..Merged::default()
        });
    }
    let mut merged = Merged {
        merged: true,
        warnings: decisions.warnings.clone(),
        ..Merged::default()
    };
    let terms = TermPages::read(root)?;
    let taken: Vec<Restored> = decisions
        .taken
        .iter()
        .map(|index| restored(&guard, &theirs[*index], &decisions, &terms, &mut merged))
        .collect::<Result<_, _>>()?;
    merged.removed = decisions.removed.len() as u64;
    guard.storage.point("merge.before")?;
    guard.registry.batch("BEGIN IMMEDIATE")?;
    if let Err(error) = write(&guard, &decisions, &taken, &theirs) {
        guard.registry.abandon();
        return Err(error);
    }
    guard.storage.point("merge.commit")?;
    guard.registry.commit().map_err(MutationError::Undecided)?;
    follow(&guard, &mut merged);
    merged.comparison = decisions.comparison;
    guard.release().checkpoint()?;
    Ok(merged)
}

/// What follows the commit; a failure is a warning.
fn follow(guard: &MutationGuard, merged: &mut Merged) {
    if let Err(error) = exchange::export(guard) {
        merged
            .warnings
            .push(aftermath::warning("export the registry for OpenKB", &error));
    }
    if let Err(error) = aftermath::rebuild_search_index(guard) {
        merged
            .warnings
            .push(aftermath::warning("update the search index", &error));
    }
}

/// What happens to each entry.
#[derive(Debug, Default)]
struct Decisions {
    comparison: Comparison,
    /// Entries of `hashes.json` that become rows, by their place in it.
    taken: Vec<usize>,
    /// Folded names whose rows go.
    removed: Vec<String>,
    /// What a person should know of what was not taken.
    warnings: Vec<SafeLine>,
}

/// Both sides and the base, by folded name.
struct Sides<'a> {
    storage: &'a Storage,
    ours: HashMap<String, &'a (ContentHash, Entry)>,
    our_digests: HashMap<String, ContentHash>,
    their_digests: HashMap<String, ContentHash>,
    base: exchange::Base,
    was_exported: bool,
}

impl Sides<'_> {
    fn changes(&self, fold: &str, original: Original) -> (Change, Change) {
        let ours = self.our_digests.get(fold).copied();
        let theirs = self.their_digests.get(fold).copied();
        let base = self.base.digest(fold, ours, self.was_exported);
        let theirs = match change(base, theirs) {
            Change::Removed if self.has_page(fold) => Change::Missing,
            Change::Changed if original == Original::Ours => Change::Stale,
            change => change,
        };
        (change(base, ours), theirs)
    }

    /// Whose version of the original is in `raw/`, where the two sides have different ones.
    fn original(&self, fold: &str, theirs: Option<&Imported>) -> Result<Original, MutationError> {
        let (Some((ours, _)), Some(row)) = (self.ours.get(fold), theirs.map(|one| &one.row)) else {
            return Ok(Original::Unknown);
        };
        let Some(raw) = row.raw_path.as_ref().filter(|_| row.hash != *ours) else {
            return Ok(Original::Unknown);
        };
        if !self.storage.is_file(raw)? {
            return Ok(Original::Unknown);
        }
        Ok(match self.storage.digest(raw)? {
            Some((_, hash)) if hash == row.hash => Original::Theirs,
            Some((_, hash)) if hash == *ours => Original::Ours,
            Some(_) => Original::Neither,
            None => Original::Unknown,
        })
    }

    /// Whether the summary page of a document of ours is there. OpenKB removes it with the document;
    /// an older `hashes.json` that somebody brought back leaves it.
    fn has_page(&self, fold: &str) -> bool {
        let name = self
            .ours
            .get(fold)
            .and_then(|(_, entry)| DocName::new(entry.doc_name.as_deref()?));
        name.is_some_and(|name| {
            // A page that cannot be looked at is there.
            self.storage
                .is_file(&layout::summary_page(&name))
                .unwrap_or(true)
        })
    }
}

/// Whose version a file of `raw/` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Original {
    Ours,
    Theirs,
    Neither,
    /// It is not there, or both sides have the same version.
    Unknown,
}

fn change(base: Option<ContentHash>, now: Option<ContentHash>) -> Change {
    match (base, now) {
        (None, Some(_)) => Change::Added,
        (Some(_), None) => Change::Removed,
        (base, now) if base == now => Change::Same,
        _ => Change::Changed,
    }
}

impl Decisions {
    fn of(
        guard: &MutationGuard,
        theirs: &[Imported],
        prefer: Option<Side>,
    ) -> Result<Self, MutationError> {
        let ours = guard.registry.export_entries()?;
        let their_entries: Vec<(ContentHash, Entry)> = theirs
            .iter()
            .map(|imported| (imported.row.hash, imported.entry()))
            .collect();
        let our_digests = digests(ours.iter().map(|(hash, entry)| (hash, entry)));
        let their_digests = digests(their_entries.iter().map(|(hash, entry)| (hash, entry)));
        let base = guard.registry.base()?;
        let sides = Sides {
            storage: &guard.storage,
            ours: ours.iter().map(|one| (fold(&one.1), one)).collect(),
            was_exported: base.was_exported(&our_digests, &their_digests),
            our_digests,
            their_digests,
            base,
        };
        let mut decisions = Self::default();
        for (index, (_, entry)) in their_entries.iter().enumerate() {
            let fold = fold(entry);
            let name = theirs[index].row.doc_name.to_string();
            if decisions.decide(&sides, &fold, &name, Some(&theirs[index]), prefer)? {
                decisions.taken.push(index);
            }
        }
        for (_, entry) in &ours {
            let fold = fold(entry);
            if sides.their_digests.contains_key(&fold) {
                continue;
            }
            let name = entry.doc_name.as_deref().unwrap_or_default();
            if decisions.decide(&sides, &fold, name, None, prefer)? {
                decisions.removed.push(fold);
            }
        }
        decisions.part_same_bytes(&sides, &their_entries, prefer);
        Ok(decisions)
    }

    /// Notes how an entry differs, and says whether their version is taken.
    fn decide(
        &mut self,
        sides: &Sides<'_>,
        fold: &str,
        name: &str,
        theirs: Option<&Imported>,
        prefer: Option<Side>,
    ) -> Result<bool, MutationError> {
        if sides.our_digests.get(fold) == sides.their_digests.get(fold) {
            return Ok(false);
        }
        let original = sides.original(fold, theirs)?;
        let (registry, hashes_json) = sides.changes(fold, original);
        let is_theirs = !matches!(hashes_json, Change::Same | Change::Missing | Change::Stale);
        // A hash that tells of other bytes than the file has is nobody's to believe.
        let is_unknown = hashes_json == Change::Changed && original == Original::Neither;
        let conflict = is_theirs && (registry != Change::Same || is_unknown);
        let why = if is_unknown {
            "its original is neither side's version"
        } else {
            "both changed it, in different ways"
        };
        let unsettled = conflict && prefer.is_none();
        if hashes_json == Change::Stale {
            self.warnings.push(SafeLine::new(&format!(
                "`{}` has another version of `{name}` than its original is; the registry's is kept",
                layout::hashes_json()
            )));
        }
        self.comparison.differences.push(Difference {
            document: SafeLine::new(name),
            registry,
            hashes_json,
            conflict: unsettled.then(|| SafeLine::new(why)),
        });
        Ok(if conflict {
            prefer == Some(Side::Theirs)
        } else {
            is_theirs
        })
    }

    /// The same bytes cannot be registered under two names: an entry of theirs whose original one of
    /// ours has is a conflict.
    fn part_same_bytes(
        &mut self,
        sides: &Sides<'_>,
        theirs: &[(ContentHash, Entry)],
        prefer: Option<Side>,
    ) {
        let replaced: HashSet<String> = self.taken.iter().map(|at| fold(&theirs[*at].1)).collect();
        let removed: HashSet<&String> = self.removed.iter().collect();
        let kept: HashMap<ContentHash, String> = sides
            .ours
            .iter()
            .filter(|(fold, _)| !replaced.contains(*fold) && !removed.contains(fold))
            .map(|(fold, one)| (one.0, fold.clone()))
            .collect();
        let mut goes = Vec::new();
        let mut stays = Vec::new();
        for at in std::mem::take(&mut self.taken) {
            let (hash, entry) = &theirs[at];
            let Some(holder) = kept.get(hash) else {
                stays.push(at);
                continue;
            };
            match prefer {
                Some(Side::Theirs) => {
                    goes.push(holder.clone());
                    stays.push(at);
                }
                Some(Side::Ours) => {}
                None => {
                    let name = SafeLine::new(entry.doc_name.as_deref().unwrap_or_default());
                    let why = format!("its bytes are registered as `{holder}`");
                    let differences = &mut self.comparison.differences;
                    if let Some(one) = differences.iter_mut().find(|one| one.document == name) {
                        one.conflict = Some(SafeLine::new(&why));
                    }
                }
            }
        }
        self.taken = stays;
        self.removed.extend(goes);
    }
}

fn fold(entry: &Entry) -> String {
    names::fold(entry.doc_name.as_deref().unwrap_or_default())
}

/// The row of an entry that is taken over, with what its files tell.
fn restored(
    guard: &MutationGuard,
    imported: &Imported,
    decisions: &Decisions,
    terms: &TermPages,
    merged: &mut Merged,
) -> Result<Restored, MutationError> {
    let row = &imported.row;
    let known = guard
        .registry
        .document_by("name_fold", &names::fold(row.doc_name.as_str()))?;
    match &known {
        Some(_) => merged.changed += 1,
        None => merged.added += 1,
    }
    let is_there = |path: &KbPath| guard.storage.is_file(path).unwrap_or(false);
    if !row.raw_path.as_ref().is_some_and(is_there) {
        merged.warnings.push(SafeLine::new(&format!(
            "`{}` is in `{}`, and its original is not in the knowledge base",
            row.doc_name,
            layout::hashes_json()
        )));
    }
    let (raw, source) = (row.raw_path.as_ref(), row.source_path.as_ref());
    let facts = survey::facts(guard.storage.root(), &row.doc_name, source, terms);
    let size = raw.and_then(|raw| guard.storage.version(raw).ok().flatten());
    let is_long = matches!(row.kind.as_str(), "long_pdf" | "pageindex_cloud");
    Ok(Restored {
        ordinal: known.map(|known| known.ordinal),
        source_key: free_key(guard, row, decisions)?,
        doc_name: row.doc_name.clone(),
        hash: row.hash,
        name: row.name.clone(),
        kind: row.kind.clone(),
        raw_path: row.raw_path.clone(),
        source_path: row.source_path.clone(),
        doc_id: imported.doc_id.clone(),
        origin: imported.origin.clone(),
        extra: imported.extra.clone(),
        title: facts.title,
        description: facts.description,
        doc_type: if is_long { "pageindex" } else { facts.doc_type },
        pages: facts.pages,
        size: size.map(|version| version.size),
        terms: facts.terms,
        files: survey::files(&guard.storage, &row.doc_name, raw, source)?,
    })
}

/// The key of an entry; where a row that stays has it, one that stands for none.
fn free_key(
    guard: &MutationGuard,
    row: &crate::kb::registry::DocumentRow,
    decisions: &Decisions,
) -> Result<String, MutationError> {
    let key = row.source_key.as_str();
    let holder = guard.registry.document_by("source_key", &key)?;
    let clashes = holder.is_some_and(|holder| {
        let fold = names::fold(holder.doc_name.as_str());
        fold != names::fold(row.doc_name.as_str()) && !decisions.removed.contains(&fold)
    });
    Ok(if clashes {
        format!("{}{}", identity::LEGACY_PREFIX, row.hash)
    } else {
        key.to_owned()
    })
}

/// Writes all of the merge but the end of its transaction.
fn write(
    guard: &MutationGuard,
    decisions: &Decisions,
    taken: &[Restored],
    theirs: &[Imported],
) -> Result<(), MutationError> {
    let registry = &guard.registry;
    let epoch = registry.meta_integer("epoch")?;
    let time = guard.clock.record_time();
    registry.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'", [])?;
    for fold in &decisions.removed {
        registry.execute(
            "DELETE FROM pages WHERE ordinal IN (SELECT ordinal FROM documents WHERE name_fold = ?1)",
            params![fold],
        )?;
        registry.execute("DELETE FROM documents WHERE name_fold = ?1", params![fold])?;
    }
    // Two rows may swap their bytes or their keys: none of the old ones is in the way of a new one.
    for ordinal in taken.iter().filter_map(|row| row.ordinal) {
        registry.execute(
            "UPDATE documents SET hash = randomblob(32), source_key = 'merging:' || ordinal WHERE ordinal = ?1",
            params![ordinal],
        )?;
    }
    let id = new_id(epoch)?;
    for row in taken {
        registry.write_restored(row, &time, &id)?;
    }
    registry.execute(
        "INSERT INTO mutations (id, kind, epoch, documents, committed_at) VALUES (?1, 'merge', ?2, ?3, ?4)",
        params![id, epoch + 1, taken.len() as i64, time],
    )?;
    registry.take_as_base(theirs, &openkb_digest(guard.storage.root())?)
}
