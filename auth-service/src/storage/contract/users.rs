//! Users, their passwords and whether they may log in.

use super::{
    ABSOLUTE, Fixture, IDLE, START, advance, event, hash, is_revoked, new_session, nonce,
    session_id, user_id, with_user,
};
use crate::{
    domain::{
        rotation::Head,
        secret::Username,
        user::{Grants, LastAdmin, NewUser, PasswordVersion, Role, Status},
    },
    storage::{
        error::StoreError,
        store::{LostSession, Store},
    },
};

pub(in crate::storage) async fn a_user_is_found_by_name_without_case_and_a_name_is_taken_once<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let found = fixture.store.user_by_name("user-1").await.unwrap().unwrap();
    assert_eq!(found.id, user_id(1));
    assert_eq!(found.username, "User-1");
    assert_eq!(found.grants, Grants { roles: vec![Role::Editor], version: 0 });
    assert_eq!(found.status, Status::Active);
    assert_eq!(found.create_time, START);
    assert_eq!(found.password, hash("v1"));
    assert!(fixture.store.user(user_id(1)).await.unwrap().is_some());
    assert!(fixture.store.user_by_name("").await.unwrap().is_none());
    assert!(fixture.store.user(user_id(2)).await.unwrap().is_none());

    let rival = NewUser {
        id: user_id(2),
        username: Username::parse("uSER-1").unwrap(),
        password: hash("v1"),
        roles: vec![],
        create_time: START,
    };
    let refused =
        fixture.store.create_user(&rival, Some(&new_session(2, 2, START)), &event()).await;
    assert!(matches!(refused, Err(StoreError::UsernameTaken)));
    let (session, _) = fixture.store.session(session_id(2)).await.unwrap();
    assert!(session.is_none(), "the session went with its user");
}

pub(in crate::storage) async fn a_changed_password_ends_every_other_session<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    for id in [11, 12] {
        let session = new_session(id, 1, START);
        assert!(
            fixture.store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap()
        );
    }
    let change = async |version, kept| {
        let version = PasswordVersion(version);
        let kept = session_id(kept);
        fixture
            .store
            .change_password(user_id(1), version, &hash("v2"), kept, &event())
            .await
            .unwrap()
    };
    assert!(!change(2, 11).await, "another password was proven");
    assert!(!change(1, 2).await, "another user's session asks");
    assert!(change(1, 11).await);
    assert!(!change(1, 11).await, "the old password is proven no more");
    assert!(is_revoked(fixture, 1).await && is_revoked(fixture, 12).await);
    assert!(!is_revoked(fixture, 11).await && !is_revoked(fixture, 2).await);
    let user = fixture.store.user(user_id(1)).await.unwrap().unwrap();
    assert_eq!((user.password, user.password_version), (hash("v2"), PasswordVersion(2)));
    let session = new_session(13, 1, START);
    assert!(!fixture.store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
    // A revoked session keeps nothing.
    let version = PasswordVersion(2);
    let kept = session_id(12);
    let store = &fixture.store;
    assert!(
        !store.change_password(user_id(1), version, &hash("v3"), kept, &event()).await.unwrap()
    );
}

pub(in crate::storage) async fn a_rehash_does_not_bring_an_old_password_back<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let store = &fixture.store;
    store.rehash_password(user_id(1), PasswordVersion(1), &hash("v1 dearer")).await.unwrap();
    let user = store.user(user_id(1)).await.unwrap().unwrap();
    assert_eq!((user.password, user.password_version), (hash("v1 dearer"), PasswordVersion(1)));
    let version = PasswordVersion(1);
    assert!(
        store
            .change_password(user_id(1), version, &hash("v2"), session_id(1), &event())
            .await
            .unwrap()
    );
    store.rehash_password(user_id(1), version, &hash("v1 dearest")).await.unwrap();
    assert_eq!(store.user(user_id(1)).await.unwrap().unwrap().password, hash("v2"));
}

pub(in crate::storage) async fn a_disabled_user_has_no_sessions_and_enabling_revives_none<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    let store = &fixture.store;
    let set = async |user, status| {
        store.set_status(user_id(user), status, LastAdmin::Stays, &event()).await.unwrap()
    };
    assert!(!set(9, Status::Disabled).await, "no such user");
    assert!(!set(1, Status::Active).await, "it was so already");
    assert!(set(1, Status::Disabled).await);
    assert!(!set(1, Status::Disabled).await);
    assert!(is_revoked(fixture, 1).await && !is_revoked(fixture, 2).await);
    assert_eq!(store.user(user_id(1)).await.unwrap().unwrap().status, Status::Disabled);
    let session = new_session(11, 1, START);
    assert!(!store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
    let version = PasswordVersion(1);
    let kept = session_id(1);
    let changed = store.change_password(user_id(1), version, &hash("v2"), kept, &event()).await;
    assert!(!changed.unwrap());

    assert!(set(1, Status::Active).await);
    assert!(is_revoked(fixture, 1).await, "what has ended stays ended");
    assert_eq!(store.advance(advance(fixture, 1, (0, 0), 1)).await.unwrap(), None);
    assert!(store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
    // A session that the database forgot does not come back through the disabled interval.
    let lost = LostSession {
        id: session_id(12),
        user: user_id(1),
        auth_time: START,
        head: Head::new(1, nonce(1)),
        issued_at: START,
        idle_until: START + IDLE,
        absolute_until: START + ABSOLUTE,
    };
    assert!(!store.recreate_session(&lost, &event()).await.unwrap());
}
