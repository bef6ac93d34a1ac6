//! What was revoked, and when.

use std::{collections::BTreeMap, time::Duration};

use token::clock::{Clock as _, Timestamp};

use super::{
    ABSOLUTE, Fixture, RevokeReason, START, Status, Store, advance, event, hash, new_session,
    nonce, session_id, user_id, with_user,
};
use crate::domain::{
    revocation::Revoked,
    rotation::Head,
    user::{Grants, PasswordVersion, Role},
};

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
                let disabled = store.set_status(user_id(6), Status::Disabled, &event()).await;
                assert!(disabled.unwrap());
                vec![session(6), session(16)]
            }
            7 => {
                let set = store.set_roles(user_id(7), &[Role::Viewer], &event()).await;
                assert!(set.unwrap());
                vec![roles(7, 1)]
            }
            // What was so already is neither done nor told again.
            _ => {
                let (id, user) = (session_id(1), user_id(1));
                let until = START + ABSOLUTE;
                let reason = RevokeReason::User;
                assert!(store.revoke_session(id, user, until, reason, &event()).await.unwrap());
                assert_eq!(store.revoke_all_sessions(user_id(4), &event()).await.unwrap(), 0);
                assert!(!store.set_roles(user_id(7), &[Role::Viewer], &event()).await.unwrap());
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

fn at(second: u64) -> Timestamp {
    START + Duration::from_secs(second)
}

pub(in crate::storage) async fn changed_roles_are_counted_and_read_with_their_count<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    let store = &fixture.store;
    assert!(!store.set_roles(user_id(9), &[Role::Viewer], &event()).await.unwrap(), "nobody");
    assert!(!store.set_roles(user_id(1), &[Role::Editor], &event()).await.unwrap(), "the same");
    let before = store.newest_events(10).await.unwrap();
    assert_eq!(before.len(), 2, "what did not happen is not audited");
    let changes: [&[Role]; 3] = [&[Role::Viewer, Role::Admin], &[], &[Role::Editor]];
    for (version, changed) in (1_u32..).zip(changes) {
        fixture.advance_clock(Duration::from_secs(1)).await;
        assert!(store.set_roles(user_id(1), changed, &event()).await.unwrap());
        let grants = Grants { roles: changed.to_vec(), version };
        let (row, _) = store.session(session_id(1)).await.unwrap();
        assert_eq!(row.unwrap().holder.grants, grants);
        let listed = store.live_sessions(user_id(1), None, 1).await.unwrap();
        assert_eq!(listed[0].holder.grants, grants);
        assert_eq!(store.user(user_id(1)).await.unwrap().unwrap().grants, grants);
        assert_eq!(store.user_by_name("user-1").await.unwrap().unwrap().grants, grants);
        let n = u8::try_from(version).unwrap();
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
    assert!(store.set_roles(user_id(1), &[Role::Viewer], &event()).await.unwrap());
    assert_eq!(since(fixture, Timestamp::UNIX_EPOCH).await, [(roles(1, 4), last)].into());
    let other = store.user(user_id(2)).await.unwrap().unwrap();
    assert_eq!(other.grants, Grants { roles: vec![Role::Editor], version: 0 });
}
