//! Memory or store: which of the two to go on from.

use crate::{
    session::{Base, Held, Saved},
    store::Record,
};

/// What to do after the store was read under its lock.
#[derive(Debug)]
pub(super) enum Plan {
    /// Another process has saved these tokens.
    Adopt(Record),
    /// Another process has logged out.
    Gone,
    /// Memory and store agree: repeat the attempt that the record holds, or begin one.
    Rotate(Record),
    /// The store has yet to get what memory holds, and the next attempt with it.
    SaveAndRotate(Record),
}

/// A store that has changed since memory last agreed with it wins; a pair that could not be saved
/// is never given up for the one it replaced.
pub(super) fn reconcile(held: &Held, stored: Option<Record>) -> Plan {
    match (&held.saved, stored) {
        (_, Some(record)) if record.pair.same_tokens(&held.pair) => Plan::Rotate(record),
        (Saved::No(Base::Unread), _) => Plan::SaveAndRotate(held.record()),
        (Saved::No(Base::Was(base)), stored) if same(base.as_ref(), stored.as_ref()) => {
            Plan::SaveAndRotate(held.record())
        }
        (_, Some(record)) => Plan::Adopt(record),
        (_, None) => Plan::Gone,
    }
}

fn same(a: Option<&Record>, b: Option<&Record>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.same(b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use token::{clock::Timestamp, entropy::SeededEntropy};

    use super::*;
    use crate::{TokenPair, store::Attempt};

    fn record(name: &str) -> Record {
        Record::new(TokenPair::new(name).refresh_token(name), Timestamp::UNIX_EPOCH)
    }

    fn held(name: &str, saved: Saved) -> Held {
        Held { saved, ..Held::adopted(&record(name)) }
    }

    fn attempt(seed: u64) -> Attempt {
        Attempt::draw(&SeededEntropy::new(seed), false)
    }

    #[test]
    fn a_saved_pair_follows_the_store() {
        let held = held("a", Saved::Yes);
        assert!(matches!(reconcile(&held, Some(record("a"))), Plan::Rotate(_)));
        assert!(matches!(reconcile(&held, Some(record("b"))), Plan::Adopt(_)));
        assert!(matches!(reconcile(&held, None), Plan::Gone));
    }

    #[test]
    fn a_pending_attempt_comes_along() {
        let stored = record("a").with_attempt(attempt(1));
        let Plan::Rotate(plan) = reconcile(&held("a", Saved::Yes), Some(stored)) else { panic!() };
        assert!(plan.attempt.unwrap().same(&attempt(1)));
    }

    // Fault 20: the old pair is never loaded over a newer one that could not be saved.
    #[test]
    fn an_unsaved_pair_is_not_given_up_for_the_one_it_replaced() {
        let old = record("a").with_attempt(attempt(1));
        let held = held("b", Saved::No(Base::Was(Some(old.clone()))));
        let Plan::SaveAndRotate(plan) = reconcile(&held, Some(old)) else { panic!() };
        assert!(plan.pair.same_tokens(&held.pair) && plan.attempt.is_none());
    }

    #[test]
    fn a_store_that_changed_since_the_failed_save_wins() {
        let old = record("a").with_attempt(attempt(1));
        let held = held("b", Saved::No(Base::Was(Some(old))));
        let rival = record("a").with_attempt(attempt(2));
        assert!(matches!(reconcile(&held, Some(rival)), Plan::Adopt(_)));
        assert!(matches!(reconcile(&held, Some(record("c"))), Plan::Adopt(_)));
        assert!(matches!(reconcile(&held, None), Plan::Gone));
    }

    #[test]
    fn a_save_that_failed_after_it_took_effect_counts_as_done() {
        let base = Base::Was(Some(record("a")));
        let plan = reconcile(&held("b", Saved::No(base)), Some(record("b")));
        assert!(matches!(plan, Plan::Rotate(_)));
    }
}
