//! What was revoked, and when.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use token::clock::{Clock as _, Timestamp};

use super::{
    ABSOLUTE, Fixture, START, Store, advance, event, hash, new_session, nonce, session_id, user_id,
    with_user,
};
use crate::{
    domain::{
        revocation::Revoked,
        rotation::Head,
        session::RevokeReason,
        user::{Grants, LastAdmin, PasswordVersion, Role, Status},
    },
    storage::error::StoreError,
};

const STAYS: LastAdmin = LastAdmin::Stays;
const LIFE: Duration = Duration::from_secs(900);

/// What is read, by what it is about.
async fn since<S: Store>(fixture: &Fixture<S>, since: Timestamp) -> BTreeMap<Revoked, Timestamp> {
    let (revocations, now) = fixture.store.revocations_since(since, LIFE).await.unwrap();
    assert_eq!(now, fixture.clock.now());
    let count = revocations.len();
    let read: BTreeMap<_, _> = revocations.into_iter().map(|one| (one.what, one.at)).collect();
    assert_eq!(read.len(), count, "nothing is told twice");
    read
}

fn session(n: u128) -> Revoked {
    Revoked::Session(session_id(n))
}

fn roles(n: u128, version: u32) -> Revoked {
    Revoked::Roles { holder: user_id(n).0, version }
}

pub(in crate::storage) async fn every_kind_of_revocation_is_read_with_its_instant<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    for n in 1..=7 {
        with_user(fixture, n).await;
    }
    // Their second sessions.
    for n in [4, 5, 6] {
        let session = new_session(10 + n, n, START);
        assert!(store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
    }
    assert!(since(fixture, Timestamp::UNIX_EPOCH).await.is_empty());
    let mut rings = store.revoked();
    let mut told = BTreeMap::new();
    for second in 1..=8 {
        fixture.set_clock(at(second)).await;
        rings.mark_unchanged();
        let revoked = match second {
            1 => {
                let (id, user) = (session_id(1), user_id(1));
                let reason = RevokeReason::Logout;
                let until = START + ABSOLUTE;
                assert!(store.revoke_session(id, user, until, reason, &event()).await.unwrap());
                vec![session(1)]
            }
            // One that the database does not know.
            2 => {
                let (id, user) = (session_id(99), user_id(1));
                let reason = RevokeReason::User;
                let until = START + ABSOLUTE;
                assert!(store.revoke_session(id, user, until, reason, &event()).await.unwrap());
                vec![session(99)]
            }
            3 => {
                let (id, seen) = (session_id(3), Head::new(0, nonce(0)));
                let reason = RevokeReason::Reused;
                assert!(store.revoke_if_unmoved(id, seen, reason, &event()).await.unwrap());
                vec![session(3)]
            }
            4 => {
                assert_eq!(store.revoke_all_sessions(user_id(4), &event()).await.unwrap(), 2);
                vec![session(4), session(14)]
            }
            5 => {
                let (user, version, kept) = (user_id(5), PasswordVersion(1), session_id(15));
                let changed =
                    store.change_password(user, version, &hash("v2"), kept, &event()).await;
                assert!(changed.unwrap());
                vec![session(5)]
            }
            6 => {
                let disabled =
                    store.set_status(user_id(6), Status::Disabled, STAYS, &event()).await;
                assert!(disabled.unwrap());
                vec![session(6), session(16)]
            }
            7 => {
                let set = store.set_roles(user_id(7), &[Role::Viewer], STAYS, &event()).await;
                assert!(set.unwrap());
                vec![roles(7, second_of(at(7)))]
            }
            // What was so already is neither done nor told again.
            _ => {
                let (id, user) = (session_id(1), user_id(1));
                let until = START + ABSOLUTE;
                let reason = RevokeReason::User;
                assert!(store.revoke_session(id, user, until, reason, &event()).await.unwrap());
                assert_eq!(store.revoke_all_sessions(user_id(4), &event()).await.unwrap(), 0);
                assert!(
                    !store.set_roles(user_id(7), &[Role::Viewer], STAYS, &event()).await.unwrap()
                );
                vec![]
            }
        };
        assert!(revoked.is_empty() || rings.has_changed().unwrap(), "{second}");
        told.extend(revoked.into_iter().map(|what| (what, at(second))));
        assert_eq!(since(fixture, Timestamp::UNIX_EPOCH).await, told, "{second}");
        let last = since(fixture, at(second)).await;
        let newest = told.iter().filter(|(_, when)| **when == at(second));
        assert_eq!(last, newest.map(|(what, when)| (*what, *when)).collect(), "{second}");
    }
    // What was revoked longer ago than any token lives is of no interest any more.
    fixture.set_clock(at(4) + LIFE).await;
    told.retain(|_, when| *when >= at(4));
    assert_eq!(since(fixture, Timestamp::UNIX_EPOCH).await, told);
    fixture.set_clock(at(8) + LIFE).await;
    assert!(since(fixture, Timestamp::UNIX_EPOCH).await.is_empty());
}

/// What a first change at an instant counts.
fn second_of(at: Timestamp) -> u32 {
    u32::try_from(at.unix_seconds()).unwrap()
}

fn at(second: u64) -> Timestamp {
    START + Duration::from_secs(second)
}

pub(in crate::storage) async fn changed_roles_are_counted_and_read_with_their_count<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    let store = &fixture.store;
    assert!(
        !store.set_roles(user_id(9), &[Role::Viewer], STAYS, &event()).await.unwrap(),
        "nobody"
    );
    assert!(
        !store.set_roles(user_id(1), &[Role::Editor], STAYS, &event()).await.unwrap(),
        "the same"
    );
    let before = store.newest_events(10).await.unwrap();
    assert_eq!(before.len(), 2, "what did not happen is not audited");
    let changes: [&[Role]; 3] = [&[Role::Viewer, Role::Admin], &[], &[Role::Editor]];
    for (n, changed) in (1_u8..).zip(changes) {
        // Two of the changes are of one second.
        fixture.advance_clock(Duration::from_millis(500)).await;
        assert!(store.set_roles(user_id(1), changed, LastAdmin::MayGo, &event()).await.unwrap());
        let version = [0, 1, 2].map(|n| second_of(START) + n)[usize::from(n) - 1];
        let grants = Grants { roles: changed.to_vec(), version };
        let (row, _) = store.session(session_id(1)).await.unwrap();
        assert_eq!(row.unwrap().holder.grants, grants);
        let listed = store.live_sessions(user_id(1), None, 1).await.unwrap();
        assert_eq!(listed[0].holder.grants, grants);
        assert_eq!(store.user(user_id(1)).await.unwrap().unwrap().grants, grants);
        assert_eq!(store.user_by_name("user-1").await.unwrap().unwrap().grants, grants);
        let moved = store.advance(advance(fixture, 1, (u64::from(n) - 1, n - 1), n)).await.unwrap();
        assert_eq!(moved.unwrap().grants, grants);
        // Only the newest count is told: it covers the others.
        let told = since(fixture, Timestamp::UNIX_EPOCH).await;
        assert_eq!(told, [(roles(1, version), fixture.clock.now())].into());
        assert_eq!(store.newest_events(10).await.unwrap().len(), 2 + usize::from(n));
    }
    // A clock that was set back does not make the change older than the one before.
    let last = fixture.clock.now();
    fixture.set_clock(START).await;
    assert!(store.set_roles(user_id(1), &[Role::Viewer], STAYS, &event()).await.unwrap());
    let counted = second_of(START) + 3;
    assert_eq!(since(fixture, Timestamp::UNIX_EPOCH).await, [(roles(1, counted), last)].into());
    let other = store.user(user_id(2)).await.unwrap().unwrap();
    assert_eq!(other.grants, Grants { roles: vec![Role::Editor], version: 0 });
    // A restored row knows nothing of the changes since its backup: the next one counts past them.
    fixture.set_clock(START + Duration::from_secs(60)).await;
    assert!(store.set_roles(user_id(2), &[Role::Viewer], STAYS, &event()).await.unwrap());
    let other = store.user(user_id(2)).await.unwrap().unwrap();
    assert_eq!(other.grants.version, second_of(START) + 60);
}

async fn revoke<S: Store>(
    fixture: &Fixture<S>,
    session: u128,
    user: u128,
    reason: RevokeReason,
) -> Result<bool, StoreError> {
    let until = fixture.clock.now() + ABSOLUTE;
    fixture.store.revoke_session(session_id(session), user_id(user), until, reason, &event()).await
}

pub(in crate::storage) async fn unknown_sessions_are_revoked_thirty_times_an_hour_and_known_ones_always<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    let by_user = RevokeReason::User;
    for n in [1, 2] {
        with_user(fixture, n).await;
    }
    // What is known counts for nothing, nor what somebody holds a token of.
    for n in 10..50 {
        let session = new_session(n, 1, START);
        let store = &fixture.store;
        assert!(store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
        assert!(revoke(fixture, n, 1, by_user).await.unwrap());
        assert!(revoke(fixture, 1_000 + n, 1, RevokeReason::Logout).await.unwrap());
    }
    let refused = async |n| match revoke(fixture, n, 1, by_user).await {
        Err(StoreError::TooManyForgotten { retry_after }) => retry_after,
        other => panic!("{n}: {other:?}"),
    };
    // One a minute.
    for n in 100..130 {
        assert!(revoke(fixture, n, 1, by_user).await.unwrap(), "{n}");
        fixture.advance_clock(MINUTE).await;
    }
    let events = fixture.store.newest_events(1_000).await.unwrap().len();
    let told = since(fixture, START).await.len();
    assert_eq!(refused(130).await, 30 * MINUTE);
    assert!(fixture.store.session(session_id(130)).await.unwrap().0.is_none());
    assert_eq!(fixture.store.newest_events(1_000).await.unwrap().len(), events);
    assert_eq!(since(fixture, START).await.len(), told);

    for known in [1, 10, 100, 129] {
        assert!(revoke(fixture, known, 1, by_user).await.unwrap(), "{known}");
    }
    assert!(revoke(fixture, 2_000, 1, RevokeReason::Logout).await.unwrap());
    assert!(!revoke(fixture, 2, 1, by_user).await.unwrap(), "another user's");
    assert!(revoke(fixture, 130, 2, by_user).await.unwrap(), "another user");

    fixture.advance_clock(30 * MINUTE - MILLISECOND).await;
    assert_eq!(refused(131).await, MILLISECOND);
    fixture.advance_clock(MILLISECOND).await;
    assert!(revoke(fixture, 131, 1, by_user).await.unwrap());
    // The next one that stops counting is the second.
    assert_eq!(refused(132).await, MINUTE);
}

pub(in crate::storage) async fn racing_revocations_of_unknown_sessions_count_one_another<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let racing = (100..140).map(|n| revoke(fixture, n, 1, RevokeReason::User));
    let done = join_all(racing).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(done, 30);
    assert_eq!(since(fixture, START).await.len(), 30);
}

pub(in crate::storage) async fn a_session_past_its_end_leaves_no_tombstone<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    // The store's clock counts, whatever the process's is.
    let end = START + ABSOLUTE;
    fixture.set_clock(end).await;
    if fixture.database_clock.is_some() {
        fixture.clock.set(START);
    }
    for (n, reason) in [(1, RevokeReason::Logout), (2, RevokeReason::User)] {
        let (session, user) = (session_id(n), user_id(1));
        assert!(store.revoke_session(session, user, end, reason, &event()).await.unwrap());
        assert!(store.session(session).await.unwrap().0.is_none());
        let later = end + MILLISECOND;
        assert!(store.revoke_session(session, user, later, reason, &event()).await.unwrap());
        assert!(store.session(session).await.unwrap().0.is_some());
    }
    assert_eq!(store.newest_events(10).await.unwrap().len(), 2);
}

/// Fault 61: what goes while it is told of looks like a database that was set back.
pub(in crate::storage) async fn what_was_revoked_is_kept_for_a_day_after<S: Store>(
    fixture: &Fixture<S>,
) {
    const DAY: Duration = Duration::from_secs(86_400);
    let store = &fixture.store;
    for n in [1, 2] {
        with_user(fixture, n).await;
    }
    // Its end was almost a day ago.
    fixture.set_clock(START + ABSOLUTE + DAY).await;
    assert_eq!(store.revoke_all_sessions(user_id(1), &event()).await.unwrap(), 0);
    let told = [(session(1), fixture.clock.now())].into();
    assert_eq!(since(fixture, START).await, told);
    fixture.advance_clock(MILLISECOND).await;
    assert_eq!(store.remove_ended_sessions(DAY, 10).await.unwrap(), 1, "the other one");
    assert_eq!(since(fixture, START).await, told);
    fixture.advance_clock(DAY).await;
    assert_eq!(store.remove_ended_sessions(DAY, 10).await.unwrap(), 1);
    assert!(store.session(session_id(1)).await.unwrap().0.is_none());
}

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);
