//! Decides which inputs are converted and which have bytes that an earlier one has: in sequence
//! order, whatever the order in which copies and conversions end. Pure.
//!
//! Invariant: of all inputs with the same bytes at most one is being converted, it is the earliest
//! that has not failed, and the others learn of its end.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::SkipReason;
use crate::kb::{ContentHash, Seq};

/// What to do with an input. `T` is its staged copy.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision<T> {
    /// Convert it, and settle it afterwards.
    Convert(Seq, ContentHash, T),
    /// It needs no conversion.
    Skip(Seq, T, SkipReason),
}

/// Who stands for some bytes.
#[derive(Debug)]
enum Claim<T> {
    /// This input is being converted; the others wait for it.
    Leading(Seq, VecDeque<(Seq, T)>),
    /// This input was converted.
    Done(Seq),
}

/// The reorder buffer between copying and converting.
#[derive(Debug)]
pub(super) struct Intake<T> {
    /// The input to be decided on next.
    next: Seq,
    /// Inputs that are copied before their turn; `None` for one that needs no decision.
    arrived: BTreeMap<Seq, Option<(ContentHash, T)>>,
    claims: HashMap<ContentHash, Claim<T>>,
}

impl<T> Default for Intake<T> {
    fn default() -> Self {
        Self {
            next: Seq(0),
            arrived: BTreeMap::new(),
            claims: HashMap::new(),
        }
    }
}

impl<T> Intake<T> {
    /// Takes the outcome of copying an input, once for every sequence number: its digest and copy,
    /// or `None` if it is out of the race. Returns what became decidable, in order.
    pub(super) fn arrive(&mut self, seq: Seq, copy: Option<(ContentHash, T)>) -> Vec<Decision<T>> {
        assert!(seq >= self.next, "BUG: {seq:?} arrived after its turn");
        let twice = self.arrived.insert(seq, copy).is_some();
        assert!(!twice, "BUG: {seq:?} arrived twice");
        let mut decisions = Vec::new();
        while let Some(copy) = self.arrived.remove(&self.next) {
            if let Some((hash, item)) = copy {
                decisions.extend(self.decide(self.next, hash, item));
            }
            self.next = Seq(self.next.0 + 1);
        }
        decisions
    }

    /// Takes the end of a conversion that was decided on. Returns what follows for the inputs that
    /// waited for it.
    pub(super) fn settle(
        &mut self,
        seq: Seq,
        hash: ContentHash,
        converted: bool,
    ) -> Vec<Decision<T>> {
        let claim = self.claims.remove(&hash);
        let Some(Claim::Leading(leader, mut followers)) = claim else {
            panic!("BUG: {seq:?} was settled and not being converted");
        };
        assert!(
            leader == seq,
            "BUG: {seq:?} was settled and {leader:?} leads"
        );
        if converted {
            self.claims.insert(hash, Claim::Done(seq));
            return followers
                .into_iter()
                .map(|(follower, item)| {
                    Decision::Skip(follower, item, SkipReason::SameAs(seq, hash))
                })
                .collect();
        }
        let Some((promoted, item)) = followers.pop_front() else {
            return Vec::new();
        };
        self.claims
            .insert(hash, Claim::Leading(promoted, followers));
        vec![Decision::Convert(promoted, hash, item)]
    }

    fn decide(&mut self, seq: Seq, hash: ContentHash, item: T) -> Option<Decision<T>> {
        match self.claims.get_mut(&hash) {
            None => {
                self.claims
                    .insert(hash, Claim::Leading(seq, VecDeque::new()));
                Some(Decision::Convert(seq, hash, item))
            }
            Some(Claim::Leading(_, followers)) => {
                followers.push_back((seq, item));
                None
            }
            Some(Claim::Done(leader)) => {
                Some(Decision::Skip(seq, item, SkipReason::SameAs(*leader, hash)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(bytes: &str) -> Option<(ContentHash, ())> {
        Some((ContentHash::of(bytes.as_bytes()), ()))
    }

    fn convert(seq: u64, bytes: &str) -> Decision<()> {
        Decision::Convert(Seq(seq), ContentHash::of(bytes.as_bytes()), ())
    }

    fn skip(seq: u64, leader: u64, bytes: &str) -> Decision<()> {
        let hash = ContentHash::of(bytes.as_bytes());
        Decision::Skip(Seq(seq), (), SkipReason::SameAs(Seq(leader), hash))
    }

    #[test]
    fn the_earliest_leads_whatever_the_order_of_arrival() {
        let mut intake = Intake::default();
        assert_eq!(intake.arrive(Seq(2), copy("a")), []);
        assert_eq!(intake.arrive(Seq(1), copy("a")), []);
        assert_eq!(intake.arrive(Seq(3), copy("b")), []);
        assert_eq!(
            intake.arrive(Seq(0), None),
            [convert(1, "a"), convert(3, "b")]
        );
        assert_eq!(
            intake.settle(Seq(1), ContentHash::of(b"a"), true),
            [skip(2, 1, "a")]
        );
        assert_eq!(intake.arrive(Seq(4), copy("a")), [skip(4, 1, "a")]);
        assert_eq!(intake.settle(Seq(3), ContentHash::of(b"b"), true), []);
    }

    #[test]
    fn a_failed_leader_is_replaced() {
        let hash = ContentHash::of(b"a");
        let mut intake = Intake::default();
        assert_eq!(intake.arrive(Seq(0), copy("a")), [convert(0, "a")]);
        assert_eq!(intake.arrive(Seq(1), copy("a")), []);
        assert_eq!(intake.arrive(Seq(2), copy("a")), []);
        assert_eq!(intake.settle(Seq(0), hash, false), [convert(1, "a")]);
        assert_eq!(intake.settle(Seq(1), hash, false), [convert(2, "a")]);
        assert_eq!(intake.settle(Seq(2), hash, false), []);
        assert_eq!(intake.arrive(Seq(3), copy("a")), [convert(3, "a")]);
    }

    #[test]
    #[should_panic(expected = "BUG: Seq(0) arrived after its turn")]
    fn nobody_arrives_twice() {
        let mut intake = Intake::<()>::default();
        intake.arrive(Seq(0), None);
        intake.arrive(Seq(0), None);
    }
}
