//! Counting attempts, and how fast things happen.

use std::time::Duration;

use futures_util::future::join_all;

use super::{Fixture, START, event};
use crate::{
    domain::{
        guessing::{FORGOTTEN_AFTER, FREE},
        pace::{Pace, Subject},
    },
    storage::{
        limits::{Attempt, Begun},
        store::Store,
    },
};

const SECOND: Duration = Duration::from_secs(1);
const FIRST_LOCK: Duration = Duration::from_secs(30);
/// More than there are connections, and few enough that none waits for one longer than a request does.
const AT_ONCE: u64 = 24;

fn name(n: usize) -> Subject {
    Subject::name(&format!("name-{n}"))
}

fn address(n: u8) -> Subject {
    Subject::logins([192, 0, 2, n].into())
}

async fn begin<S: Store>(fixture: &Fixture<S>, n: usize) -> Begun {
    fixture.store.begin_attempt(name(n), None).await.unwrap()
}

async fn attempt<S: Store>(fixture: &Fixture<S>, n: usize) -> Attempt {
    match begin(fixture, n).await {
        Begun::Attempt(attempt) => attempt,
        refused => panic!("{refused:?}"),
    }
}

pub(in crate::storage) async fn of_many_guesses_at_once_as_many_are_made_as_are_free<S: Store>(
    fixture: &Fixture<S>,
) {
    let begun = join_all((0..AT_ONCE).map(|_| begin(fixture, 1))).await;
    let mut made: Vec<_> = begun
        .iter()
        .filter_map(|begun| match begun {
            Begun::Attempt(attempt) => Some((attempt.number, attempt.locks)),
            _ => None,
        })
        .collect();
    made.sort_unstable();
    assert_eq!(made, (1..=FREE).map(|n| (n, n == FREE)).collect::<Vec<_>>());
    let refused = begun.iter().filter(|begun| **begun == Begun::Locked(FIRST_LOCK)).count();
    assert_eq!(refused as u64, AT_ONCE - FREE);
    // Another name is not concerned, and after the lock there is one guess, and a longer lock.
    assert!(!attempt(fixture, 2).await.locks);
    fixture.advance_clock(FIRST_LOCK).await;
    let begun = join_all((0..10).map(|_| begin(fixture, 1))).await;
    assert_eq!(begun.iter().filter(|begun| matches!(begun, Begun::Attempt(_))).count(), 1);
    assert_eq!(begin(fixture, 1).await, Begun::Locked(2 * FIRST_LOCK));
}

pub(in crate::storage) async fn a_proven_password_forgives_what_came_before_it<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    for _ in 0..20 {
        let attempt = attempt(fixture, 1).await;
        store.forgive(&attempt).await.unwrap();
    }
    let mut attempts = Vec::new();
    for _ in 0..FREE {
        attempts.push(attempt(fixture, 1).await);
    }
    assert_eq!(begin(fixture, 1).await, Begun::Locked(FIRST_LOCK));
    // The first was right. The failures after it are one short of a lock.
    store.forgive(&attempts[0]).await.unwrap();
    assert!(attempt(fixture, 1).await.locks);
    // One that nobody remembers is nothing to forgive.
    let stranger = Attempt { name: name(9), ..attempts[0].clone() };
    store.forgive(&stranger).await.unwrap();
}

pub(in crate::storage) async fn an_unlocked_name_starts_anew_and_is_audited_once<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    assert!(!store.unlock(name(1), &event()).await.unwrap());
    for _ in 0..FREE {
        attempt(fixture, 1).await;
    }
    let unlocked = event();
    assert!(store.unlock(name(1), &unlocked).await.unwrap());
    assert!(!store.unlock(name(1), &event()).await.unwrap());
    let events = store.newest_events(10).await.unwrap();
    assert_eq!(events.iter().map(|event| event.id).collect::<Vec<_>>(), [unlocked.id]);
    for _ in 1..FREE {
        assert!(!attempt(fixture, 1).await.locks);
    }
    assert!(attempt(fixture, 1).await.locks);
}

pub(in crate::storage) async fn an_address_is_asked_first_and_only_failures_stay_counted<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    let (store, pace) = (&fixture.store, Pace::new(3, SECOND));
    let from = async |at, n| store.begin_attempt(name(n), Some((address(at), pace))).await.unwrap();
    // Ten that are proven, and three that are not.
    for _ in 0..10 {
        let Begun::Attempt(attempt) = from(1, 0).await else { panic!("it is not counted") };
        store.forgive(&attempt).await.unwrap();
    }
    let begun = join_all((1..=20).map(|n| from(1, n))).await;
    assert_eq!(begun.iter().filter(|begun| matches!(begun, Begun::Attempt(_))).count(), 3);
    assert_eq!(begun.iter().filter(|begun| **begun == Begun::TooMany(SECOND)).count(), 17);
    // What was refused is counted under no name, and elsewhere there is room.
    for n in 1..=20 {
        let Begun::Attempt(attempt) = from(u8::try_from(n).unwrap() + 1, n).await else {
            panic!("there is room")
        };
        assert!(attempt.number <= 2, "{attempt:?}");
    }
    // Nor is an attempt under a locked name counted for the address.
    for _ in 0..FREE {
        attempt(fixture, 99).await;
    }
    for _ in 0..10 {
        assert_eq!(from(99, 99).await, Begun::Locked(FIRST_LOCK));
    }
    assert!(matches!(from(99, 98).await, Begun::Attempt(_)));
    fixture.advance_clock(SECOND).await;
    assert!(matches!(from(1, 50).await, Begun::Attempt(_)));
    assert_eq!(from(1, 51).await, Begun::TooMany(SECOND));
}

pub(in crate::storage) async fn paces_are_taken_together_or_not_at_all<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let (narrow, wide) = ((address(1), Pace::new(1, SECOND)), (address(2), Pace::new(2, SECOND)));
    assert_eq!(store.take(&[narrow, wide]).await.unwrap(), None);
    for _ in 0..3 {
        assert_eq!(store.take(&[wide, narrow]).await.unwrap(), Some(SECOND));
    }
    assert_eq!(store.take(&[wide]).await.unwrap(), None);
    assert_eq!(store.take(&[wide]).await.unwrap(), Some(SECOND));
    let three = (address(3), Pace::new(7, SECOND));
    let taken = join_all((0..AT_ONCE).map(|_| store.take(std::slice::from_ref(&three)))).await;
    assert_eq!(taken.into_iter().filter(|taken| taken.as_ref().unwrap().is_none()).count(), 7);
}

pub(in crate::storage) async fn counts_that_say_nothing_any_more_go_in_batches<S: Store>(
    fixture: &Fixture<S>,
) {
    let (store, pace) = (&fixture.store, Pace::new(9, SECOND));
    for n in 0..5 {
        store.begin_attempt(name(n), Some((address(1), pace))).await.unwrap();
    }
    assert_eq!(store.remove_spent_counts(10).await.unwrap(), 0);
    fixture.set_clock(START + 5 * SECOND).await;
    assert_eq!(store.remove_spent_counts(10).await.unwrap(), 0);
    fixture.set_clock(START + 6 * SECOND).await;
    assert_eq!(store.remove_spent_counts(10).await.unwrap(), 1, "the address");
    fixture.set_clock(START + FORGOTTEN_AFTER).await;
    assert_eq!(store.remove_spent_counts(10).await.unwrap(), 0);
    assert_eq!(attempt(fixture, 0).await.number, 2);
    fixture.advance_clock(SECOND).await;
    assert_eq!(store.remove_spent_counts(3).await.unwrap(), 3);
    assert_eq!(store.remove_spent_counts(3).await.unwrap(), 1);
    assert_eq!(store.remove_spent_counts(3).await.unwrap(), 0);
    assert_eq!(attempt(fixture, 0).await.number, 3);
}
