//! The serial owner as the commit queue and `remove` see it: takes groups, gives verdicts.

use std::sync::Arc;
use std::time::Duration;

use super::backup;
use super::checkpoints;
use super::coordinator::{self, End};
use super::guard::{self, MutationGuard};
use super::plan::{self, Plan, Slot};
use super::registry::Registry;
use super::removal::{self, Removal, RemovalOutcome};
use super::{AcquireError, MutationError, OwnerOptions};
use crate::commit::{GROUP_DOCUMENTS_MAX, GroupOutcome, Receipt, SerialOwner, Verdict};
use crate::kb::registry::Catalogue;
use crate::kb::{CheckpointKey, ContentHash, DocName, KbRoot, SafeLine, layout};
use crate::prepare::PreparedDocument;

/// Documents that one mutation removes at the most: bounds the journal and the time the lock is held.
pub const REMOVALS_MAX: usize = GROUP_DOCUMENTS_MAX;

/// A checkpoint waits no longer for the lock: its worker waits for it, and so does what else is ready.
const CHECKPOINT_LOCK_WAIT_MAX: Duration = Duration::from_secs(2);

/// A page that an editor saves while it is planned is planned again this often.
const PLANS_MAX: u32 = 3;

/// Commits groups of prepared documents, and removes registered ones. Takes the lock for each group and lets it go after.
#[derive(Debug)]
pub struct Owner {
    root: Arc<KbRoot>,
    options: OwnerOptions,
    /// The connection of the last commit: it folds the log at the end of the run.
    registry: Option<Registry>,
    /// Something was committed: there is something new to back up.
    has_committed: bool,
    /// What skipped inputs are looked up in; closed before each commit.
    catalogue: Option<Catalogue>,
}

impl Owner {
    /// An owner for a KB; takes no lock yet.
    #[must_use]
    pub fn new(root: Arc<KbRoot>, options: OwnerOptions) -> Self {
        Self {
            root,
            options,
            registry: None,
            has_committed: false,
            catalogue: None,
        }
    }

    fn acquire(&self) -> Result<MutationGuard, AcquireError> {
        guard::acquire(&self.root, &self.options)
    }

    /// Commits a group as one mutation; as several, if planning holds the lock too long; or, if a
    /// document of it cannot be committed, one by one.
    fn commit_all(&mut self, guard: MutationGuard, group: &[PreparedDocument]) -> GroupOutcome {
        let mut outcome = GroupOutcome::default();
        let mut held = Some(guard);
        while outcome.verdicts.len() < group.len() {
            let rest = &group[outcome.verdicts.len()..];
            // Between two mutations somebody else may have the lock.
            let guard = match held.take().map_or_else(|| self.acquire(), Ok) {
                Ok(guard) => guard,
                Err(error) => {
                    outcome.stop = Some(error.into());
                    return outcome;
                }
            };
            match self.commit_once(guard, rest, &mut outcome) {
                Attempt::Done(()) => {}
                Attempt::Stopped(error) => {
                    outcome.stop = Some(error);
                    return outcome;
                }
                Attempt::Refused(_, error) if rest.len() == 1 => {
                    outcome.verdicts.push(Verdict::Failed(error));
                }
                Attempt::Refused(guard, error) => {
                    tracing::info!(%error, "a group is committed one by one");
                    self.commit_singly(guard, rest, &mut outcome);
                    return outcome;
                }
            }
        }
        outcome
    }

    fn commit_singly(
        &mut self,
        guard: MutationGuard,
        group: &[PreparedDocument],
        outcome: &mut GroupOutcome,
    ) {
        let mut held = Some(guard);
        for document in group {
            // A commit takes the guard with it: the next document takes the lock again.
            let guard = match held.take().map_or_else(|| self.acquire(), Ok) {
                Ok(guard) => guard,
                Err(error) => {
                    outcome.stop = Some(error.into());
                    return;
                }
            };
            match self.commit_once(guard, std::slice::from_ref(document), outcome) {
                Attempt::Done(()) => {}
                Attempt::Refused(guard, error) => {
                    outcome.verdicts.push(Verdict::Failed(error));
                    held = Some(guard);
                }
                Attempt::Stopped(error) => {
                    outcome.stop = Some(error);
                    return;
                }
            }
        }
    }

    /// Plans and commits one group of documents.
    fn commit_once(
        &mut self,
        guard: MutationGuard,
        group: &[PreparedDocument],
        outcome: &mut GroupOutcome,
    ) -> Attempt<()> {
        let attempt = self.mutate(guard, |guard| {
            let plan = plan::plan_add(guard, group)?;
            let told = (plan.slots.clone(), receipts(&plan));
            Ok((plan, told))
        });
        attempt.map(|done| {
            let (slots, receipts) = done.told;
            let receipts = with_set_aside(receipts, done.set_aside, &mut outcome.warnings);
            outcome.verdicts.extend(verdicts(&slots, receipts));
            outcome.warnings.extend(done.warnings);
        })
    }

    /// Removes documents: [`REMOVALS_MAX`] at most as one mutation, or, if one of them cannot be
    /// removed, one by one. Takes the lock and lets it go after.
    ///
    /// # Panics
    /// If the group is larger: a bug.
    pub fn remove(&mut self, group: &[Removal], keep_raw: bool) -> RemovalOutcome {
        assert!(
            group.len() <= REMOVALS_MAX,
            "BUG: a group of {} removals",
            group.len()
        );
        self.catalogue = None;
        let span = tracing::info_span!("remove", documents = group.len());
        let _entered = span.enter();
        let mut outcome = RemovalOutcome::default();
        let guard = match self.acquire() {
            Ok(guard) => guard,
            Err(error) => {
                outcome.stop = Some(error.into());
                return outcome;
            }
        };
        match self.remove_once(guard, group, keep_raw, &mut outcome) {
            Attempt::Done(()) => {}
            Attempt::Stopped(error) => outcome.stop = Some(error),
            Attempt::Refused(_, error) if group.len() == 1 => outcome.verdicts.push(Err(error)),
            Attempt::Refused(guard, error) => {
                tracing::info!(%error, "documents are removed one by one");
                self.remove_singly(guard, group, keep_raw, &mut outcome);
            }
        }
        outcome
    }

    fn remove_singly(
        &mut self,
        guard: MutationGuard,
        group: &[Removal],
        keep_raw: bool,
        outcome: &mut RemovalOutcome,
    ) {
        let mut held = Some(guard);
        for removal in group {
            let guard = match held.take().map_or_else(|| self.acquire(), Ok) {
                Ok(guard) => guard,
                Err(error) => {
                    outcome.stop = Some(error.into());
                    return;
                }
            };
            match self.remove_once(guard, std::slice::from_ref(removal), keep_raw, outcome) {
                Attempt::Done(()) => {}
                Attempt::Refused(guard, error) => {
                    outcome.verdicts.push(Err(error));
                    held = Some(guard);
                }
                Attempt::Stopped(error) => {
                    outcome.stop = Some(error);
                    return;
                }
            }
        }
    }

    /// Plans and removes one group of documents.
    fn remove_once(
        &mut self,
        guard: MutationGuard,
        group: &[Removal],
        keep_raw: bool,
        outcome: &mut RemovalOutcome,
    ) -> Attempt<()> {
        let attempt = self.mutate(guard, |guard| removal::plan_removal(guard, group, keep_raw));
        attempt.map(|done| {
            let mut verdicts = done.told;
            for (document, kept) in done.set_aside {
                let mut removed = verdicts.iter_mut().flatten();
                match document.and_then(|index| removed.nth(index)) {
                    Some(removed) => removed.warnings.push(kept),
                    None => outcome.warnings.push(kept),
                }
            }
            outcome.verdicts.extend(verdicts);
            outcome.warnings.extend(done.warnings);
        })
    }

    /// Plans and runs one mutation; plans again when a page changed under way. `plan` tells beside
    /// the plan what the caller makes of it once it is committed.
    fn mutate<'p, T>(
        &mut self,
        mut guard: MutationGuard,
        plan: impl Fn(&MutationGuard) -> Result<(Plan<'p>, T), MutationError>,
    ) -> Attempt<Done<T>> {
        for attempt in 1..=PLANS_MAX {
            let planned = tracing::info_span!("plan").in_scope(|| plan(&guard));
            let (plan, told) = match planned {
                Ok(planned) => planned,
                Err(error) => return refused(guard, error),
            };
            if plan.is_empty() {
                checkpoints::forget(&guard, &plan.checkpoints);
                return Attempt::Done(Done {
                    told,
                    set_aside: Vec::new(),
                    warnings: Vec::new(),
                });
            }
            match coordinator::run(guard, plan) {
                End::Committed {
                    guard,
                    set_aside,
                    warnings,
                } => {
                    self.registry = Some(guard.release());
                    self.has_committed = true;
                    return Attempt::Done(Done {
                        told,
                        set_aside,
                        warnings,
                    });
                }
                End::RolledBack {
                    guard: again,
                    error: MutationError::Restless(path),
                } if attempt < PLANS_MAX => {
                    tracing::info!(path, "a page changed meanwhile: planning again");
                    guard = again;
                }
                End::RolledBack { guard, error } => return refused(guard, error),
                End::Dead(error) => return Attempt::Stopped(error),
            }
        }
        unreachable!("BUG: the last attempt returns")
    }
}

/// What a committed mutation leaves to tell.
struct Done<T> {
    /// As its plan had it.
    told: T,
    /// Hand edits kept aside, each with the position of its document in the plan.
    set_aside: Vec<(Option<usize>, SafeLine)>,
    /// Of effects that failed.
    warnings: Vec<SafeLine>,
}

/// How an attempt to commit ended.
#[expect(
    clippy::large_enum_variant,
    reason = "one value, handed to the caller at once"
)]
enum Attempt<T> {
    /// Committed, or there was nothing to do.
    Done(T),
    /// Rolled back, for a reason that is a document's.
    Refused(MutationGuard, MutationError),
    /// The KB is in trouble, or nobody knows its state.
    Stopped(MutationError),
}

impl<T> Attempt<T> {
    fn map<U>(self, tell: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Done(done) => Attempt::Done(tell(done)),
            Self::Refused(guard, error) => Attempt::Refused(guard, error),
            Self::Stopped(error) => Attempt::Stopped(error),
        }
    }
}

fn refused<T>(guard: MutationGuard, error: MutationError) -> Attempt<T> {
    if error.is_of_the_kb() {
        Attempt::Stopped(error)
    } else {
        Attempt::Refused(guard, error)
    }
}

fn receipts(plan: &Plan<'_>) -> Vec<Receipt> {
    plan.rows
        .iter()
        .zip(&plan.documents)
        .map(|(row, document)| Receipt {
            name: row.doc_name.clone(),
            title: row.title.clone(),
            summary: layout::summary_page(&row.doc_name),
            updated: row.ordinal.is_some(),
            needs_ocr: document.needs_ocr.clone(),
            warnings: document.warnings.clone(),
        })
        .collect()
}

/// Tells of hand edits that were set aside: with their document, or, for shared pages, with the group.
fn with_set_aside(
    mut receipts: Vec<Receipt>,
    set_aside: Vec<(Option<usize>, SafeLine)>,
    group_warnings: &mut Vec<SafeLine>,
) -> Vec<Receipt> {
    for (document, kept) in set_aside {
        match document.and_then(|index| receipts.get_mut(index)) {
            Some(receipt) => receipt.warnings.push(kept),
            None => group_warnings.push(kept),
        }
    }
    receipts
}

fn verdicts(slots: &[Slot], receipts: Vec<Receipt>) -> Vec<Verdict> {
    let mut receipts: Vec<Option<Receipt>> = receipts.into_iter().map(Some).collect();
    slots
        .iter()
        .map(|slot| match slot {
            Slot::Duplicate(name) => Verdict::Duplicate(name.clone()),
            Slot::Row(index) => {
                Verdict::Committed(receipts[*index].take().expect("BUG: each row has one slot"))
            }
        })
        .collect()
}

impl SerialOwner for Owner {
    fn commit(&mut self, group: Vec<PreparedDocument>) -> GroupOutcome {
        self.catalogue = None;
        let span = tracing::info_span!("commit", documents = group.len());
        let outcome = span.in_scope(|| match self.acquire() {
            Ok(guard) => self.commit_all(guard, &group),
            Err(error) => GroupOutcome {
                stop: Some(error.into()),
                ..GroupOutcome::default()
            },
        });
        for document in group {
            if let Err(error) = document.discard() {
                tracing::warn!(%error, "staging was not removed");
            }
        }
        outcome
    }

    fn registered_name(&mut self, hash: &ContentHash) -> Option<DocName> {
        // Opened once for all that is skipped between two commits: a KB that is still OpenKB's is
        // read as a whole each time.
        if self.catalogue.is_none() {
            self.catalogue = Catalogue::open(&self.root).ok();
        }
        let row = self.catalogue.as_ref()?.by_hash(hash).ok().flatten()?;
        Some(row.doc_name)
    }

    fn keep_checkpoint(&mut self, key: &CheckpointKey, state: &[u8]) -> Result<(), MutationError> {
        self.catalogue = None;
        let span = tracing::info_span!("keep_checkpoint");
        let _entered = span.enter();
        let mut options = self.options.clone();
        options.lock.wait = options.lock.wait.min(CHECKPOINT_LOCK_WAIT_MAX);
        // Nobody's document waits for this lock.
        options.lock.on_wait = None;
        let guard = guard::acquire(&self.root, &options)?;
        checkpoints::keep(&guard, key, state)?;
        self.registry = Some(guard.release());
        Ok(())
    }

    fn finish(&mut self) -> Result<(), MutationError> {
        self.catalogue = None;
        let Some(registry) = self.registry.take() else {
            return Ok(());
        };
        registry.checkpoint()?;
        drop(registry);
        if !self.has_committed {
            return Ok(());
        }
        backup::daily(&self.root, &self.options.clock)
    }
}
