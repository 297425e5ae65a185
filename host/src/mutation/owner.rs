//! The serial owner as the commit queue sees it: takes groups, gives verdicts.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::coordinator::{self, End};
use super::guard::{self, MutationGuard};
use super::plan::{self, Plan, Slot};
use super::registry::Registry;
use super::{AcquireError, MutationError};
use crate::commit::{GroupOutcome, Receipt, SerialOwner, Verdict};
use crate::kb::clock::Clock;
use crate::kb::config::Config;
use crate::kb::registry::Catalogue;
use crate::kb::{ContentHash, DocName, KbRoot, SafeLine, layout};
use crate::prepare::PreparedDocument;

/// A page that an editor saves while it is planned is planned again this often.
const PLANS_MAX: u32 = 3;

/// How long to wait for the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockWait(pub Duration);

/// How the owner works.
#[derive(Clone, Debug)]
pub struct OwnerOptions {
    /// Lock timeout.
    pub wait: LockWait,
    /// Set to end a wait for the lock.
    pub cancel: Arc<AtomicBool>,
    /// Time of log lines and records.
    pub clock: Clock,
    /// Settings of the KB.
    pub config: Config,
    /// The command line's first word, for the holder record: `add`.
    pub command: &'static str,
}

/// Commits groups of prepared documents. Takes the lock for each group and lets it go after.
#[derive(Debug)]
pub struct Owner {
    root: Arc<KbRoot>,
    options: OwnerOptions,
    /// The connection of the last commit: it folds the log at the end of the run.
    registry: Option<Registry>,
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
            catalogue: None,
        }
    }

    fn acquire(&self) -> Result<MutationGuard, AcquireError> {
        let options = &self.options;
        guard::acquire(
            &self.root,
            options.wait.0,
            &options.cancel,
            options.command,
            &options.clock,
            options.config.openkb_export,
        )
    }

    /// Commits a group as one mutation, or, if a document of it cannot be committed, one by one.
    fn commit_all(&mut self, guard: MutationGuard, group: &[PreparedDocument]) -> GroupOutcome {
        let mut outcome = GroupOutcome::default();
        match self.commit_once(guard, group, &mut outcome) {
            Attempt::Done => outcome,
            Attempt::Stopped(error) => {
                outcome.stop = Some(error);
                outcome
            }
            Attempt::Refused(_, error) if group.len() == 1 => {
                outcome.verdicts.push(Verdict::Failed(error));
                outcome
            }
            Attempt::Refused(guard, error) => {
                tracing::info!(%error, "a group is committed one by one");
                self.commit_singly(guard, group)
            }
        }
    }

    fn commit_singly(&mut self, guard: MutationGuard, group: &[PreparedDocument]) -> GroupOutcome {
        let mut outcome = GroupOutcome::default();
        let mut held = Some(guard);
        for document in group {
            // A commit takes the guard with it: the next document takes the lock again.
            let guard = match held.take().map_or_else(|| self.acquire(), Ok) {
                Ok(guard) => guard,
                Err(error) => {
                    outcome.stop = Some(error.into());
                    return outcome;
                }
            };
            match self.commit_once(guard, std::slice::from_ref(document), &mut outcome) {
                Attempt::Done => {}
                Attempt::Refused(guard, error) => {
                    outcome.verdicts.push(Verdict::Failed(error));
                    held = Some(guard);
                }
                Attempt::Stopped(error) => {
                    outcome.stop = Some(error);
                    return outcome;
                }
            }
        }
        outcome
    }

    /// Plans and runs one mutation.
    fn commit_once(
        &mut self,
        mut guard: MutationGuard,
        group: &[PreparedDocument],
        outcome: &mut GroupOutcome,
    ) -> Attempt {
        for attempt in 1..=PLANS_MAX {
            let planned = tracing::info_span!("plan").in_scope(|| plan::plan(&guard, group));
            let plan = match planned {
                Ok(plan) => plan,
                Err(error) => return refused(guard, error),
            };
            let receipts = receipts(&plan);
            if receipts.is_empty() {
                outcome.verdicts.extend(verdicts(&plan.slots, receipts));
                return Attempt::Done;
            }
            let slots = plan.slots.clone();
            match coordinator::run(guard, plan) {
                End::Committed {
                    guard,
                    set_aside,
                    warnings,
                } => {
                    self.registry = Some(guard.release());
                    let receipts = with_set_aside(receipts, set_aside, &mut outcome.warnings);
                    outcome.verdicts.extend(verdicts(&slots, receipts));
                    outcome.warnings.extend(warnings);
                    return Attempt::Done;
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

/// How an attempt to commit ended.
#[expect(
    clippy::large_enum_variant,
    reason = "one value, handed to the caller at once"
)]
enum Attempt {
    /// Verdicts are given.
    Done,
    /// Rolled back, for a reason that is a document's.
    Refused(MutationGuard, MutationError),
    /// The KB is in trouble, or nobody knows its state.
    Stopped(MutationError),
}

fn refused(guard: MutationGuard, error: MutationError) -> Attempt {
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
        self.catalogue.as_ref()?.by_hash(hash).ok().flatten()
    }

    fn finish(&mut self) -> Result<(), MutationError> {
        self.catalogue = None;
        self.registry
            .take()
            .map_or(Ok(()), |registry| registry.checkpoint())
    }
}
