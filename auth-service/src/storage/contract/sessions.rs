//! Sessions: how they start, come back and end, and who sees them.

use std::time::Duration;

use super::{
    ABSOLUTE, Fixture, IDLE, START, advance, event, head, is_revoked, new_session, nonce,
    session_id, user_id, with_user,
};
use crate::{
    domain::{id::SessionId, rotation::Head, session::RevokeReason, user::PasswordVersion},
    storage::store::{LostSession, SessionPosition, Store},
};

pub(in crate::storage) async fn a_session_starts_only_while_the_proven_password_and_status_hold<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let session = new_session(2, 1, START);
    assert!(!fixture.store.insert_session(&session, PasswordVersion(2), &event()).await.unwrap());
    assert!(fixture.store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
    let (stored, now) = fixture.store.session(session_id(2)).await.unwrap();
    let stored = stored.unwrap();
    assert_eq!((stored.user, stored.device_name.as_str()), (user_id(1), "device 2"));
    assert_eq!((stored.create_time, stored.auth_time), (START, START));
    assert_eq!((stored.row.rotated_at, stored.row.idle_until), (START, START + IDLE));
    assert_eq!(stored.row.absolute_until, START + ABSOLUTE);
    assert_eq!(stored.row.head(), Head::new(0, nonce(0)));
    assert!(!stored.row.last_keyed && stored.is_live());
    assert_eq!(now, START);
    let nobody = new_session(3, 9, START);
    assert!(!fixture.store.insert_session(&nobody, PasswordVersion(1), &event()).await.unwrap());
}

pub(in crate::storage) async fn a_forgotten_session_comes_back_once_and_not_past_its_users_will<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let lost = |id, user, auth_time| LostSession {
        id: session_id(id),
        user: user_id(user),
        auth_time,
        head: Head::new(4, nonce(4)),
        issued_at: auth_time,
        idle_until: auth_time + IDLE,
        absolute_until: auth_time + ABSOLUTE,
    };
    let later = START + Duration::from_secs(60);
    assert!(fixture.store.recreate_session(&lost(7, 1, later), &event()).await.unwrap());
    assert_eq!(head(fixture, 7).await, (4, nonce(4)));
    // Another request was first: its row stands.
    assert!(fixture.store.advance(advance(fixture, 7, (4, 4), 5)).await.unwrap().is_some());
    assert!(fixture.store.recreate_session(&lost(7, 1, later), &event()).await.unwrap());
    assert_eq!(head(fixture, 7).await, (5, nonce(5)));
    // No such user.
    assert!(!fixture.store.recreate_session(&lost(8, 9, later), &event()).await.unwrap());
    // The user ended all sessions after this one had begun.
    fixture.set_clock(later).await;
    fixture.store.revoke_all_sessions(user_id(1), &event()).await.unwrap();
    assert!(!fixture.store.recreate_session(&lost(9, 1, later), &event()).await.unwrap());
    let (session, _) = fixture.store.session(session_id(9)).await.unwrap();
    assert!(session.is_none());
    let after = later + Duration::from_secs(1);
    assert!(fixture.store.recreate_session(&lost(9, 1, after), &event()).await.unwrap());
}

pub(in crate::storage) async fn a_revocation_leaves_a_tombstone_and_other_users_sessions_alone<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    let revoke = async |session, user| {
        let until = START + ABSOLUTE;
        let reason = RevokeReason::User;
        fixture
            .store
            .revoke_session(session_id(session), user_id(user), until, reason, &event())
            .await
    };
    assert!(!revoke(1, 2).await.unwrap(), "another user's");
    assert!(!is_revoked(fixture, 1).await);
    assert!(revoke(1, 1).await.unwrap());
    assert!(revoke(1, 1).await.unwrap(), "again is as good");
    assert!(is_revoked(fixture, 1).await);

    assert!(revoke(5, 1).await.unwrap(), "unknown");
    assert!(is_revoked(fixture, 5).await);
    let lost = LostSession {
        id: session_id(5),
        user: user_id(1),
        auth_time: START + IDLE,
        head: Head::new(1, nonce(1)),
        issued_at: START,
        idle_until: START + IDLE,
        absolute_until: START + ABSOLUTE,
    };
    assert!(fixture.store.recreate_session(&lost, &event()).await.unwrap());
    assert!(is_revoked(fixture, 5).await, "the tombstone stands");
}

pub(in crate::storage) async fn a_theft_is_revoked_only_as_it_was_seen<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let revoke = async |generation, n| {
        let seen = Head::new(generation, nonce(n));
        let reason = RevokeReason::Reused;
        fixture.store.revoke_if_unmoved(session_id(1), seen, reason, &event()).await.unwrap()
    };
    assert!(!revoke(1, 0).await && !revoke(0, 1).await);
    assert!(revoke(0, 0).await);
    assert!(!revoke(0, 0).await, "it was revoked before");
}

pub(in crate::storage) async fn all_sessions_end_together<S: Store>(fixture: &Fixture<S>) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    let session = new_session(11, 1, START);
    assert!(fixture.store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
    assert_eq!(fixture.store.revoke_all_sessions(user_id(1), &event()).await.unwrap(), 2);
    assert_eq!(fixture.store.revoke_all_sessions(user_id(1), &event()).await.unwrap(), 0);
    assert!(is_revoked(fixture, 1).await && is_revoked(fixture, 11).await);
    assert!(!is_revoked(fixture, 2).await);
}

pub(in crate::storage) async fn live_sessions_are_listed_page_by_page<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    for id in [11, 12, 13] {
        // Two begin in the same instant.
        let at = START + Duration::from_secs(u64::from(id > 11));
        let session = new_session(id, 1, at);
        assert!(
            fixture.store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap()
        );
    }
    let list = async |after: Option<u128>, limit| -> Vec<SessionId> {
        let after = match after {
            Some(id) => {
                let (session, _) = fixture.store.session(session_id(id)).await.unwrap();
                let create_time = session.unwrap().create_time;
                Some(SessionPosition { create_time, id: session_id(id) })
            }
            None => None,
        };
        let page = fixture.store.live_sessions(user_id(1), after, limit).await.unwrap();
        page.into_iter().map(|session| session.id).collect()
    };
    let all = [13, 12, 11, 1].map(session_id);
    assert_eq!(list(None, 10).await, all);
    assert_eq!(list(None, 2).await, all[..2]);
    assert_eq!(list(Some(12), 2).await, all[2..]);
    let until = START + ABSOLUTE;
    let reason = RevokeReason::User;
    fixture
        .store
        .revoke_session(session_id(12), user_id(1), until, reason, &event())
        .await
        .unwrap();
    assert_eq!(list(None, 10).await, [13, 11, 1].map(session_id));
    fixture.advance_clock(IDLE).await;
    assert_eq!(list(None, 10).await, [13].map(session_id), "the others idled out");
}
