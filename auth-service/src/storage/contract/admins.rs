//! Somebody who administers is left.

use futures_util::future::join_all;

use super::{Fixture, START, event, hash, user_id};
use crate::{
    domain::{
        secret::Username,
        user::{LastAdmin, NewUser, Role, Status},
    },
    storage::{error::StoreError, store::Store},
};

async fn with_roles<S: Store>(fixture: &Fixture<S>, n: u128, roles: &[Role]) {
    let user = NewUser {
        id: user_id(n),
        username: Username::parse(&format!("user-{n}")).unwrap(),
        password: hash("v1"),
        roles: roles.to_vec(),
        create_time: START,
    };
    fixture.store.create_user(&user, None, &event()).await.unwrap();
}

/// How one who administers ceases to.
#[derive(Clone, Copy, Debug)]
enum End {
    Disabled,
    Demoted,
}

async fn end<S: Store>(
    fixture: &Fixture<S>,
    n: u128,
    how: End,
    last: LastAdmin,
) -> Result<bool, StoreError> {
    let (store, user) = (&fixture.store, user_id(n));
    match how {
        End::Disabled => store.set_status(user, Status::Disabled, last, &event()).await,
        End::Demoted => store.set_roles(user, &[Role::Editor], last, &event()).await,
    }
}

async fn administers<S: Store>(fixture: &Fixture<S>, n: u128) -> bool {
    let user = fixture.store.user(user_id(n)).await.unwrap().unwrap();
    user.status == Status::Active && user.grants.roles.contains(&Role::Admin)
}

pub(in crate::storage) async fn an_administrator_is_left_unless_all_may_go<S: Store>(
    fixture: &Fixture<S>,
) {
    with_roles(fixture, 1, &[Role::Viewer, Role::Admin]).await;
    with_roles(fixture, 2, &[Role::Editor]).await;
    with_roles(fixture, 3, &[Role::Admin]).await;
    assert!(end(fixture, 3, End::Disabled, LastAdmin::Stays).await.unwrap());
    let before = fixture.store.newest_events(10).await.unwrap().len();
    for how in [End::Disabled, End::Demoted] {
        // One who is disabled, or has another role, does not count.
        let refused = end(fixture, 1, how, LastAdmin::Stays).await;
        assert!(matches!(refused, Err(StoreError::LastAdmin)), "{how:?}: {refused:?}");
        assert!(administers(fixture, 1).await);
    }
    assert_eq!(fixture.store.newest_events(10).await.unwrap().len(), before, "nothing happened");
    // Whoever does not administer may go, and whoever goes on doing so may change.
    assert!(end(fixture, 2, End::Disabled, LastAdmin::Stays).await.unwrap());
    assert!(end(fixture, 3, End::Demoted, LastAdmin::Stays).await.unwrap());
    let (store, roles) = (&fixture.store, [Role::Admin]);
    assert!(store.set_roles(user_id(1), &roles, LastAdmin::Stays, &event()).await.unwrap());
    assert!(!end(fixture, 9, End::Demoted, LastAdmin::Stays).await.unwrap(), "no such user");
    assert!(end(fixture, 1, End::Disabled, LastAdmin::MayGo).await.unwrap());
    assert!(!administers(fixture, 1).await);
    // There is none to keep.
    assert!(end(fixture, 1, End::Demoted, LastAdmin::Stays).await.unwrap());
}

pub(in crate::storage) async fn of_administrators_who_remove_each_other_one_is_left<S: Store>(
    fixture: &Fixture<S>,
) {
    const ADMINS: u128 = 4;
    for round in 0..10 {
        let ids = (0..ADMINS).map(|n| 100 * (round + 1) + n);
        for n in ids.clone() {
            with_roles(fixture, n, &[Role::Admin]).await;
        }
        // Those of the last round are gone, but for one, who goes first.
        if round > 0 {
            for n in (0..ADMINS).map(|n| 100 * round + n) {
                end(fixture, n, End::Demoted, LastAdmin::Stays).await.unwrap();
            }
        }
        let how = |n: u128| if n.is_multiple_of(2) { End::Disabled } else { End::Demoted };
        let ends = ids.clone().map(|n| end(fixture, n, how(n + round), LastAdmin::Stays));
        let (mut gone, mut kept) = (0, 0);
        for answer in join_all(ends).await {
            match answer {
                Ok(true) => gone += 1,
                Err(StoreError::LastAdmin) => kept += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((gone, kept), (ADMINS - 1, 1), "round {round}");
        let mut left = 0;
        for n in ids {
            left += u128::from(administers(fixture, n).await);
        }
        assert_eq!(left, 1, "round {round}");
    }
}
