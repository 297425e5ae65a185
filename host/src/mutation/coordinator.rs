//! The mutation coordinator: one group from its plan to its commit point, as a typestate. What is
//! not registered cannot be marked committed; what is committed cannot be rolled back.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::path::PathBuf;

use super::guard::MutationGuard;
use super::holder::Phase;
use super::journal::{self, After, Before, Entry, Journal};
use super::plan::Plan;
use super::registry::Transaction;
use super::touched::{Content, Operation, Touch};
use super::{MutationError, aftermath, fault, undo};
use crate::kb::registry::UNKNOWN_DIGEST;
use crate::kb::{ContentHash, KbError, KbPath, SafeLine, layout};

/// Pages of at most this size are copied as pre-images, not linked: an editor that writes in place
/// would otherwise change the pre-image with the page.
const COPY_BYTES_MAX: u64 = 1 << 20;

/// Names bound, pages decided, paths declared.
pub(super) struct Planned;
/// Pre-images, rendered pages and the journal are durable.
pub(super) struct Snapshotted;
/// The documents' own staged files are in place.
pub(super) struct Published;
/// The rendered pages are in place, and every directory entry is durable.
pub(super) struct Written;
/// The registry's transaction holds everything and is open.
pub(super) struct Registered;
/// The registry has committed.
pub(super) struct Committed;

/// One mutation in one of its states.
#[must_use = "a mutation is committed or rolled back"]
pub(super) struct Mutation<'a, S> {
    work: Box<Work<'a>>,
    state: PhantomData<S>,
}

/// How a mutation ended.
pub(super) enum End {
    /// It is in. Warnings tell of hand edits set aside and of effects that failed.
    Committed {
        guard: MutationGuard,
        set_aside: Vec<(Option<usize>, SafeLine)>,
        warnings: Vec<SafeLine>,
    },
    /// The KB is as it was.
    RolledBack {
        guard: MutationGuard,
        error: MutationError,
    },
    /// Nobody may go on: the guard is gone.
    Dead(MutationError),
}

/// What all states share.
struct Work<'a> {
    guard: MutationGuard,
    plan: Plan<'a>,
    id: String,
    journal: Journal,
    /// Staged files that were moved into place: where to, where from.
    published: Vec<(KbPath, PathBuf)>,
    set_aside: Vec<(Option<usize>, SafeLine)>,
    /// `hashes.json` as this commit exports it, rendered beside the pages.
    export: Option<aftermath::Export>,
}

/// Takes a plan to its end: the straight line of every mutation.
pub(super) fn run(guard: MutationGuard, plan: Plan<'_>) -> End {
    let mutation = match Mutation::planned(guard, plan) {
        Ok(mutation) => mutation,
        Err(end) => return *end,
    };
    let registered = mutation
        .snapshot()
        .and_then(Mutation::publish)
        .and_then(Mutation::write)
        .and_then(Mutation::register);
    match registered {
        Err(aborted) => aborted.roll_back(),
        Ok(registered) => match registered.mark_committed() {
            Err(error) => End::Dead(error),
            Ok(committed) => committed.finish(),
        },
    }
}

/// A mutation that failed before its commit point.
struct Aborted<'a> {
    work: Box<Work<'a>>,
    error: MutationError,
}

impl<'a, S> Mutation<'a, S> {
    /// Takes one step; its failure leaves something to roll back.
    fn step<T>(
        mut self,
        span: tracing::Span,
        step: impl FnOnce(&mut Work<'a>) -> Result<(), MutationError>,
    ) -> Result<Mutation<'a, T>, Aborted<'a>> {
        let done = span.in_scope(|| step(&mut self.work));
        match done {
            Ok(()) => Ok(Mutation {
                work: self.work,
                state: PhantomData,
            }),
            Err(error) => Err(Aborted {
                work: self.work,
                error,
            }),
        }
    }
}

impl<'a> Mutation<'a, Planned> {
    fn planned(guard: MutationGuard, plan: Plan<'a>) -> Result<Self, Box<End>> {
        let started = guard.clock.record_time();
        let made = journal::new_id(plan.epoch)
            .map_err(MutationError::from)
            .and_then(|id| Ok((guard.registry.uuid()?, id)));
        let (uuid, id) = match made {
            Ok(made) => made,
            Err(error) => return Err(Box::new(End::RolledBack { guard, error })),
        };
        let journal = Journal::new(id.clone(), uuid, plan.touched.operation().name(), started);
        let work = Work {
            guard,
            plan,
            id,
            journal,
            published: Vec::new(),
            set_aside: Vec::new(),
            export: None,
        };
        Ok(Self {
            work: Box::new(work),
            state: PhantomData,
        })
    }

    fn snapshot(self) -> Result<Mutation<'a, Snapshotted>, Aborted<'a>> {
        self.work.guard.enter(Phase::Snapshot);
        self.step(tracing::info_span!("snapshot"), Work::snapshot)
    }
}

impl<'a> Mutation<'a, Snapshotted> {
    fn publish(self) -> Result<Mutation<'a, Published>, Aborted<'a>> {
        self.work.guard.enter(Phase::Publish);
        self.step(tracing::info_span!("publish"), Work::publish)
    }
}

impl<'a> Mutation<'a, Published> {
    fn write(self) -> Result<Mutation<'a, Written>, Aborted<'a>> {
        self.work.guard.enter(Phase::Write);
        self.step(tracing::info_span!("write"), Work::write)
    }
}

impl<'a> Mutation<'a, Written> {
    fn register(self) -> Result<Mutation<'a, Registered>, Aborted<'a>> {
        self.work.guard.enter(Phase::Registry);
        self.step(tracing::info_span!("registry"), Work::register)
    }
}

impl<'a> Mutation<'a, Registered> {
    /// The commit point: the registry's COMMIT.
    ///
    /// # Errors
    /// Neither success nor failure: nothing is rolled back or cleaned up, the guard is gone, and the
    /// next owner decides on a fresh connection.
    fn mark_committed(self) -> Result<Mutation<'a, Committed>, MutationError> {
        let guard = &self.work.guard;
        tracing::info_span!("mark_committed").in_scope(|| {
            // A fault here stands for an error of COMMIT itself: before it took hold, and after.
            commit_point(guard, "commit.before")?;
            guard.registry.commit().map_err(MutationError::Undecided)?;
            commit_point(guard, "commit.after")
        })?;
        Ok(Mutation {
            work: self.work,
            state: PhantomData,
        })
    }
}

impl Mutation<'_, Committed> {
    /// Carries out the effects and removes the journal. Nothing here can undo the commit.
    fn finish(self) -> End {
        let Work {
            guard,
            plan,
            id,
            set_aside,
            export,
            ..
        } = *self.work;
        guard.enter(Phase::Effects);
        let storage = &guard.storage;
        if let Err(error) = storage.write_new("effects.mark", &Journal::mark(&id), b"", 0o600) {
            // Only a registry that is put back from a copy could be mistaken without it.
            tracing::debug!(%error, "a committed change is not marked");
        }
        let mut warnings =
            tracing::info_span!("effects").in_scope(|| match storage.point("effects.before") {
                Ok(()) => aftermath::carry_out(&guard, &plan, export),
                Err(error) => vec![aftermath::warning("carry out the effects", &error)],
            });
        let gone = plan
            .touched
            .iter()
            .filter(|touch| touch.content == Content::Absent)
            .map(|touch| touch.path.as_kb_path());
        let cleaned = undo::remove_empty_part_dirs(storage, gone)
            .and_then(|()| storage.point("cleanup.before"))
            .and_then(|()| undo::retire(storage, &id))
            .and_then(|()| storage.point("cleanup.after"));
        if let Err(error) = cleaned {
            // The next owner finds the id in the registry and cleans up.
            warnings.push(aftermath::warning(
                "clean up after a finished change",
                &error,
            ));
        }
        End::Committed {
            guard,
            set_aside,
            warnings,
        }
    }
}

impl Aborted<'_> {
    /// Moves staged files back to where they were prepared, restores the pre-images, removes the
    /// journal.
    fn roll_back(self) -> End {
        let Self { work, error } = self;
        let Work {
            guard,
            id,
            journal,
            published,
            ..
        } = *work;
        guard.registry.abandon();
        // A fenced owner is not the owner: what it would restore may be another's work by now.
        if matches!(error, MutationError::Fenced { .. }) {
            return End::Dead(error);
        }
        let undone = || -> Result<(), MutationError> {
            guard.storage.point("rollback.before")?;
            let after: BTreeMap<&KbPath, (u64, ContentHash)> = journal
                .entries
                .iter()
                .filter_map(|entry| Some((&entry.path, entry.after.as_ref()?)))
                .map(|(path, after)| (path, (after.size, after.sha256)))
                .collect();
            for (path, staged) in published.iter().rev() {
                // Edited since: undoing keeps that version. The document's own is gone with it, so it
                // fails if it is tried again.
                let is_ours = guard.storage.digest(path)? == after.get(path).copied();
                if is_ours {
                    guard.storage.rename_back("rollback.rename", path, staged)?;
                }
            }
            for warning in undo::undo(&guard.storage, &journal)? {
                tracing::warn!("{warning}");
            }
            Ok(())
        };
        match tracing::info_span!("rollback").in_scope(undone) {
            Ok(()) => End::RolledBack { guard, error },
            Err(source) => End::Dead(MutationError::DirtyRollback {
                cause: error.to_string(),
                journal: id,
                source: Box::new(source),
            }),
        }
    }
}

impl Work<'_> {
    /// Makes the pre-images, renders the pages and writes the journal, the journal last.
    fn snapshot(&mut self) -> Result<(), MutationError> {
        let storage = &self.guard.storage;
        storage.point("snapshot.before")?;
        let dir = Journal::dir(&self.id);
        let (pre, new) = (fixed(&dir, "pre"), fixed(&dir, "new"));
        for made in [&dir, &pre, &new] {
            storage.make_dir("snapshot.mkdir", made)?;
        }
        let mut files = Vec::new();
        for (index, touch) in self.plan.touched.iter().enumerate() {
            let path = touch.path.as_kb_path();
            if let Content::Rendered(bytes) = &touch.content {
                let rendered = Journal::rendered(&self.id, index);
                let mode = touch
                    .planned
                    .map_or_else(|| storage.new_file_mode(), |version| version.mode);
                storage.write_new("snapshot.render", &rendered, bytes, mode)?;
                files.push(rendered);
            }
            let before = snapshot_one(&self.guard, &self.id, index, touch, &mut files)?;
            if let Some(kept) = self.set_edit_aside(touch, before.as_ref())? {
                self.set_aside.push((touch.document, kept));
            }
            let after = touch
                .content
                .digest()
                .map(|(size, sha256)| After { size, sha256 });
            self.journal.entries.push(Entry {
                path: path.clone(),
                before,
                after,
            });
        }
        self.journal.made_dirs.clone_from(&self.plan.made_dirs);
        self.export =
            aftermath::prepare_export(&self.guard, &self.plan, &fixed(&new, "hashes.json"))?;
        files.extend(self.export.as_ref().map(|export| export.staged.clone()));
        self.journal.check_size()?;
        let (draft, whole) = (fixed(&dir, "journal.json.tmp"), Journal::file(&self.id));
        let storage = &self.guard.storage;
        storage.write_new("snapshot.journal", &draft, &self.journal.to_bytes(), 0o600)?;
        files.push(draft.clone());
        // Everything the journal speaks of is durable before the journal has its name.
        storage.sync(
            "snapshot.sync",
            &files,
            &[pre, new, dir.clone(), layout::journal_dir()],
        )?;
        if !fault::is_left_out("JOURNAL") {
            storage.rename("snapshot.activate", &draft, &whole)?;
            storage.sync("snapshot.activate-sync", &[], &[dir])?;
        }
        Ok(storage.point("snapshot.after")?)
    }

    /// Keeps a hand-edited version that would be replaced or removed as a whole.
    fn set_edit_aside(
        &self,
        touch: &Touch,
        before: Option<&Before>,
    ) -> Result<Option<SafeLine>, MutationError> {
        let (true, Some(before)) = (touch.whole, before) else {
            return Ok(None);
        };
        let path = touch.path.as_kb_path();
        let ours = self.guard.registry.page_digest(path)?;
        if ours == Some(before.sha256) {
            return Ok(None);
        }
        // Images of OpenKB's time are as they were, and so is an original that has its document's
        // digest; any other file that nobody registered is somebody's.
        let is_image = path.parent().is_some_and(|dir| layout::is_images_dir(&dir));
        if ours.is_none() && (is_image || self.is_known_original(touch, before)?) {
            return Ok(None);
        }
        let image = Journal::image(&self.id, &before.image).map_err(KbError::from)?;
        let kept = undo::set_aside(&self.guard.storage, &self.id, &image, path)?;
        let why = match ours {
            None | Some(UNKNOWN_DIGEST) => "was not written by kbhost",
            Some(_) => "was edited by hand",
        };
        Ok(Some(SafeLine::new(&format!(
            "`{path}` {why}; that version is kept as `{kept}`"
        ))))
    }

    /// Whether what is at a path of `raw/` is the original that its document is registered with, or
    /// the one that comes.
    fn is_known_original(&self, touch: &Touch, before: &Before) -> Result<bool, MutationError> {
        let (true, Some(document)) = (
            touch.path.as_kb_path().starts_with(&layout::raw_dir()),
            touch.document,
        ) else {
            return Ok(false);
        };
        if touch.content.digest() == Some((before.size, before.sha256)) {
            return Ok(true);
        }
        let registered = match self.plan.touched.operation() {
            Operation::Remove => self.plan.removed.get(document).map(|row| row.hash),
            Operation::Add => match self.plan.rows.get(document).and_then(|row| row.ordinal) {
                Some(ordinal) => self
                    .guard
                    .registry
                    .document_by("ordinal", &ordinal)?
                    .map(|row| row.hash),
                None => None,
            },
        };
        Ok(registered == Some(before.sha256))
    }

    /// Moves the documents' staged files into place.
    fn publish(&mut self) -> Result<(), MutationError> {
        let storage = &self.guard.storage;
        storage.point("publish.before")?;
        for dir in &self.plan.made_dirs {
            storage.make_dir("publish.mkdir", dir)?;
        }
        for (index, touch) in self.plan.touched.iter().enumerate() {
            let Content::Staged { path: staged, .. } = &touch.content else {
                continue;
            };
            let path = touch.path.as_kb_path();
            let declared = self.journal.declared(path)?;
            refuse_if_changed(&self.guard, touch)?;
            let mode = touch
                .planned
                .map_or_else(|| storage.new_file_mode(), |version| version.mode);
            storage.set_staged_mode(staged, mode)?;
            let temporary = undo::temporary(path, &self.id, index)?;
            storage.rename_in("publish.rename", staged, declared, &temporary)?;
            self.published.push((path.clone(), staged.clone()));
            storage.point("publish.done")?;
        }
        Ok(storage.point("publish.after")?)
    }

    /// Moves the rendered pages into place, removes what is to go, and makes all of it durable.
    fn write(&mut self) -> Result<(), MutationError> {
        let storage = &self.guard.storage;
        storage.point("write.before")?;
        for (index, touch) in self.plan.touched.iter().enumerate() {
            let declared = self.journal.declared(touch.path.as_kb_path())?;
            match &touch.content {
                Content::Staged { .. } => continue,
                Content::Rendered(_) => {
                    refuse_if_changed(&self.guard, touch)?;
                    let rendered = Journal::rendered(&self.id, index);
                    storage.replace("write.rename", &rendered, declared)?;
                }
                Content::Absent => {
                    refuse_if_changed(&self.guard, touch)?;
                    storage.delete("write.unlink", declared, &Journal::removed(&self.id, index))?;
                }
            }
            storage.point("write.done")?;
        }
        let mut dirs = self.plan.touched.dirs();
        dirs.extend(self.plan.made_dirs.iter().filter_map(KbPath::parent));
        dirs.sort();
        dirs.dedup();
        storage.sync("write.sync", &[], &dirs)?;
        Ok(storage.point("write.after")?)
    }

    /// Whether somebody changed a registered page since we wrote it.
    fn was_edited(&self, entry: &Entry) -> Result<bool, MutationError> {
        let ours = self.guard.registry.page_digest(&entry.path)?;
        let before = entry.before.as_ref().map(|before| before.sha256);
        Ok(matches!((ours, before), (Some(ours), Some(before)) if ours != before))
    }

    /// Opens the registry's transaction and writes the group into it.
    fn register(&mut self) -> Result<(), MutationError> {
        self.guard.storage.point("registry.before")?;
        let time = self.guard.clock.record_time();
        let (mut shared, mut removed) = (Vec::new(), Vec::new());
        let entries = &self.journal.entries;
        assert!(
            entries.len() == self.plan.touched.iter().count(),
            "BUG: the journal has an entry for each touched path"
        );
        for (touch, entry) in self.plan.touched.iter().zip(entries) {
            match (&entry.after, touch.document) {
                (None, _) => removed.push(entry.path.clone()),
                // A page that was edited by hand keeps the digest of our last version: with the new
                // one the edit would pass for ours.
                (Some(after), None) if !self.was_edited(entry)? => {
                    shared.push((entry.path.clone(), after.sha256));
                }
                (Some(_), _) => {}
            }
        }
        let ordinals: Vec<i64> = self.plan.removed.iter().map(|row| row.ordinal).collect();
        self.guard.registry.begin(&Transaction {
            id: &self.id,
            kind: self.plan.touched.operation().name(),
            epoch: self.plan.epoch,
            time: &time,
            rows: &self.plan.rows,
            removed_documents: &ordinals,
            index: &self.plan.index,
            shared: &shared,
            removed: &removed,
            exports: self.export.as_ref().map(|export| export.digests.clone()),
            checkpoints: &self.plan.checkpoints,
        })?;
        Ok(self.guard.storage.point("registry.after")?)
    }
}

/// Makes the pre-image of one path; what is there must still be what was planned from.
fn snapshot_one(
    guard: &MutationGuard,
    id: &str,
    index: usize,
    touch: &Touch,
    files: &mut Vec<KbPath>,
) -> Result<Option<Before>, MutationError> {
    let storage = &guard.storage;
    let path = touch.path.as_kb_path();
    refuse_if_changed(guard, touch)?;
    let Some(version) = touch.planned else {
        return Ok(None);
    };
    let name = index.to_string();
    let image = Journal::image(id, &name).map_err(KbError::from)?;
    if version.size <= COPY_BYTES_MAX {
        storage.copy_new("snapshot.copy", path, &image, version.mode)?;
        files.push(image.clone());
    } else {
        undo::link_or_copy(storage, "snapshot.link", path, &image, version.mode)?;
    }
    let (size, sha256): (u64, ContentHash) = storage
        .digest(&image)?
        .ok_or_else(|| MutationError::Restless(path.to_string()))?;
    Ok(Some(Before {
        size,
        sha256,
        mode: version.mode,
        image: name,
    }))
}

/// A page that an editor saved since planning must not be replaced by a plan that has not seen it.
fn refuse_if_changed(guard: &MutationGuard, touch: &Touch) -> Result<(), MutationError> {
    let path = touch.path.as_kb_path();
    if guard.storage.version(path)? == touch.planned {
        return Ok(());
    }
    Err(MutationError::Restless(path.to_string()))
}

/// Passes a fault point at which an error leaves the commit undecided.
fn commit_point(guard: &MutationGuard, name: &str) -> Result<(), MutationError> {
    guard.storage.point(name).map_err(|error| {
        MutationError::Undecided(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
    })
}

fn fixed(dir: &KbPath, name: &str) -> KbPath {
    dir.join(name).expect("a fixed name is one component")
}
