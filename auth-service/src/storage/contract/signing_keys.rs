//! Signing keys: the states that they go through, and who may race whom.

use std::time::Duration;

use futures_util::future::join_all;
use token::clock::{Clock as _, Timestamp};

use super::{Fixture, START, event};
use crate::{
    domain::{
        audit::{AuditEvent, EventKind},
        signing_keys::{
            KeyState::{self, Active, Next, Retired},
            Promised,
        },
    },
    storage::store::{SealedKey, Store, Withdrawal},
};

const HOUR: Duration = Duration::from_secs(3600);

fn key(kid: &str) -> SealedKey {
    SealedKey { kid: kid.into(), public_key: format!("x of {kid}"), sealed_seed: vec![0, 1, 255] }
}

fn told(kind: EventKind) -> AuditEvent {
    AuditEvent { kind, ..event() }
}

fn made() -> AuditEvent {
    told(EventKind::SigningKeyMade)
}

fn promoted() -> AuditEvent {
    told(EventKind::SigningKeyPromoted)
}

fn compromised() -> AuditEvent {
    told(EventKind::SigningKeyCompromised)
}

/// Name, state, and when it came into it, newest key first.
async fn states<S: Store>(fixture: &Fixture<S>) -> Vec<(String, KeyState, Timestamp)> {
    let (keys, now) = fixture.store.signing_keys().await.unwrap();
    assert_eq!(now, fixture.clock.now(), "the store's clock tells when it was so");
    keys.into_iter()
        .map(|stored| {
            assert_eq!(stored.key, key(&stored.key.kid), "nothing of it changes");
            assert!(stored.create_time <= stored.state_time);
            (stored.key.kid, stored.state, stored.state_time)
        })
        .collect()
}

fn state(kid: &str, state: KeyState, since: Timestamp) -> (String, KeyState, Timestamp) {
    (kid.into(), state, since)
}

async fn audited<S: Store>(fixture: &Fixture<S>) -> Vec<EventKind> {
    let events = fixture.store.newest_events(1000).await.unwrap();
    events.into_iter().rev().map(|event| event.kind).collect()
}

pub(in crate::storage) async fn one_signing_key_signs_first_and_one_waits<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    assert_eq!(states(fixture).await, []);
    store.insert_first_key(&key("a")).await.unwrap();
    fixture.advance_clock(HOUR).await;
    store.insert_first_key(&key("b")).await.unwrap();
    assert_eq!(states(fixture).await, [state("a", Active, START)]);

    assert!(store.insert_next_key(&key("c"), &made()).await.unwrap());
    assert!(!store.insert_next_key(&key("d"), &made()).await.unwrap());
    let both = [state("c", Next, START + HOUR), state("a", Active, START)];
    assert_eq!(states(fixture).await, both);
    assert_eq!(audited(fixture).await, [EventKind::SigningKeyMade]);
}

pub(in crate::storage) async fn a_signing_key_goes_from_state_to_state_and_no_other_way<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    store.insert_first_key(&key("a")).await.unwrap();
    fixture.advance_clock(HOUR).await;
    assert!(store.insert_next_key(&key("b"), &made()).await.unwrap());
    fixture.advance_clock(HOUR).await;

    let before = states(fixture).await;
    for (next, active) in [("a", "b"), ("a", "a"), ("b", "b"), ("b", "c"), ("c", "a")] {
        assert!(!store.promote_key(next, active, &promoted()).await.unwrap());
    }
    for kid in ["a", "b", "c"] {
        assert!(!store.remove_retired_key(kid).await.unwrap());
    }
    assert_eq!(states(fixture).await, before);

    assert!(store.promote_key("b", "a", &promoted()).await.unwrap());
    assert!(!store.promote_key("b", "a", &promoted()).await.unwrap());
    let at = START + 2 * HOUR;
    assert_eq!(states(fixture).await, [state("b", Active, at), state("a", Retired, at)]);

    fixture.advance_clock(HOUR).await;
    assert!(store.insert_next_key(&key("c"), &made()).await.unwrap());
    assert!(store.remove_retired_key("a").await.unwrap());
    assert!(!store.remove_retired_key("a").await.unwrap());
    let left = [state("c", Next, at + HOUR), state("b", Active, at)];
    assert_eq!(states(fixture).await, left);
    let kinds =
        [EventKind::SigningKeyMade, EventKind::SigningKeyPromoted, EventKind::SigningKeyMade];
    let mut audited = audited(fixture).await;
    audited.sort_by_key(|kind| kind.as_str());
    let mut expected = kinds.to_vec();
    expected.sort_by_key(|kind| kind.as_str());
    assert_eq!(audited, expected);
}

pub(in crate::storage) async fn a_known_signing_key_goes_with_the_waiting_one_and_another_signs<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    store.insert_first_key(&key("a")).await.unwrap();
    assert!(store.insert_next_key(&key("b"), &made()).await.unwrap());
    assert!(store.promote_key("b", "a", &promoted()).await.unwrap());
    assert!(store.insert_next_key(&key("c"), &made()).await.unwrap());
    fixture.advance_clock(HOUR).await;

    let withdraw =
        async |known, new| store.replace_known_key(known, &key(new), &compromised()).await.unwrap();
    assert_eq!(withdraw("x", "d").await, Withdrawal::NoSuchKey);
    assert_eq!(withdraw("b", "d").await, Withdrawal::Done);
    // The answer was lost, so it is asked for again; and of the one that went with it.
    assert_eq!(withdraw("b", "e").await, Withdrawal::DoneBefore);
    assert_eq!(withdraw("c", "e").await, Withdrawal::DoneBefore);
    let at = START + HOUR;
    assert_eq!(states(fixture).await, [state("d", Active, at), state("a", Retired, START)]);

    // Known as the active one, and retired before it could be replaced.
    assert!(store.insert_next_key(&key("f"), &made()).await.unwrap());
    assert!(store.promote_key("f", "d", &promoted()).await.unwrap());
    assert_eq!(withdraw("d", "g").await, Withdrawal::Done);
    assert_eq!(states(fixture).await, [state("g", Active, at), state("a", Retired, START)]);
    // One that has run out was not withdrawn.
    assert!(store.remove_retired_key("a").await.unwrap());
    assert_eq!(withdraw("a", "h").await, Withdrawal::NoSuchKey);
    let audited = audited(fixture).await;
    let count = |kind| audited.iter().filter(|told| **told == kind).count();
    assert_eq!(count(EventKind::SigningKeyMade), 3);
    assert_eq!(count(EventKind::SigningKeyPromoted), 2);
    assert_eq!(count(EventKind::SigningKeyCompromised), 2);
}

pub(in crate::storage) async fn racing_changes_of_signing_keys_leave_one_that_signs<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let firsts: Vec<_> = (0..8).map(|n| key(&format!("first {n}"))).collect();
    for inserted in join_all(firsts.iter().map(|key| store.insert_first_key(key))).await {
        inserted.unwrap();
    }
    assert_eq!(states(fixture).await.len(), 1);

    let won = |answers: Vec<Result<bool, _>>| {
        answers.into_iter().map(Result::unwrap).filter(|done| *done).count()
    };
    let withdrawn = |answers: Vec<Result<Withdrawal, _>>| {
        let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
        assert!(!answers.contains(&Withdrawal::NoSuchKey), "{answers:?}");
        answers.iter().filter(|done| **done == Withdrawal::Done).count()
    };
    let (mut promotions, mut replacements) = (0, 0);
    for round in 0..10 {
        let active = states(fixture).await.into_iter().find(|key| key.1 == Active).unwrap().0;
        let nexts: Vec<_> = (0..8).map(|n| (key(&format!("next {round} {n}")), made())).collect();
        let inserts = nexts.iter().map(|(key, event)| store.insert_next_key(key, event));
        assert_eq!(won(join_all(inserts).await), 1);

        let next = states(fixture).await.into_iter().find(|key| key.1 == Next).unwrap().0;
        let events: Vec<_> = (0..4).map(|_| promoted()).collect();
        let promotes = events.iter().map(|event| store.promote_key(&next, &active, event));
        let others: Vec<_> =
            (0..4).map(|n| (key(&format!("other {round} {n}")), compromised())).collect();
        let replaces =
            others.iter().map(|(key, event)| store.replace_known_key(&active, key, event));
        // Without rivals in some rounds, so that both kinds are seen to win.
        let (promotes, replaces) = match round {
            0 => (won(join_all(promotes).await), 0),
            1 => (0, withdrawn(join_all(replaces).await)),
            _ => {
                let both = futures_util::future::join(join_all(promotes), join_all(replaces));
                let (promotes, replaces) = both.await;
                (won(promotes), withdrawn(replaces))
            }
        };
        promotions += promotes;
        replacements += replaces;
        assert!(promotes <= 1, "{promotes} of one promotion");
        assert_eq!(replaces, usize::from(round != 0), "a known key goes once, come what may");

        let left = states(fixture).await;
        let count = |state| left.iter().filter(|key| key.1 == state).count();
        assert_eq!((count(Active), count(Next)), (1, 0), "{left:?}");
        assert_eq!(left.iter().any(|key| key.0 == active), round == 0, "{left:?}");
    }
    let audited = audited(fixture).await;
    let count = |kind| audited.iter().filter(|told| **told == kind).count();
    assert_eq!(count(EventKind::SigningKeyMade), 10);
    assert_eq!(count(EventKind::SigningKeyPromoted), promotions);
    assert_eq!(count(EventKind::SigningKeyCompromised), replacements);
}

pub(in crate::storage) async fn the_longest_promise_of_a_key_is_kept<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let promised = async |kid: &str| {
        let (keys, _) = store.signing_keys().await.unwrap();
        keys.into_iter().find(|stored| stored.key.kid == kid).unwrap().promised
    };
    let hours = |lead, retention| Promised { lead: HOUR * lead, retention: HOUR * retention };
    store.insert_first_key(&key("a")).await.unwrap();
    assert_eq!(promised("a").await, Promised::default());
    store.promise(hours(2, 3)).await.unwrap();
    // Each part for itself, and never less.
    store.promise(hours(1, 4)).await.unwrap();
    assert_eq!(promised("a").await, hours(2, 4));
    assert!(store.insert_next_key(&key("b"), &made()).await.unwrap());
    store.promise(hours(1, 1)).await.unwrap();
    assert_eq!((promised("a").await, promised("b").await), (hours(2, 4), hours(1, 1)));
    // Nothing is signed with a retired key, so nothing is promised of it.
    assert!(store.promote_key("b", "a", &promoted()).await.unwrap());
    store.promise(hours(9, 9)).await.unwrap();
    assert_eq!((promised("a").await, promised("b").await), (hours(2, 4), hours(9, 9)));
    // What verifiers were told outlives the key that was the newest then.
    let withdrawn = store.replace_known_key("b", &key("c"), &compromised()).await.unwrap();
    assert_eq!(withdrawn, Withdrawal::Done);
    assert_eq!(promised("c").await, hours(9, 0));
}
