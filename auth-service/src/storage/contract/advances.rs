//! What a refresh makes of the row of its session.

use std::time::Duration;

use futures_util::future::join_all;
use token::clock::Clock as _;
use transport::deadline::Deadline;

use super::{
    ABSOLUTE, Fixture, IDLE, START, advance, event, head, nonce, session_id, user_id, with_user,
};
use crate::{
    domain::{
        rotation::{Head, Successor},
        session::RevokeReason,
        user::{Grants, Role},
    },
    storage::{
        error::StoreError,
        store::{Adoption, Store},
    },
};

pub(in crate::storage) async fn an_advance_moves_the_row_it_expects_and_no_other<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    fixture.advance_clock(Duration::from_secs(60)).await;
    let now = fixture.clock.now();
    let advanced = fixture.store.advance(advance(fixture, 1, (0, 0), 1)).await.unwrap().unwrap();
    assert_eq!((advanced.rotated_at, advanced.now), (now, now));
    assert_eq!(advanced.idle_until, now + IDLE);
    assert_eq!(advanced.grants, Grants { roles: vec![Role::Editor], version: 0 });
    assert_eq!(head(fixture, 1).await, (1, nonce(1)));
    assert_eq!(head(fixture, 2).await, (0, nonce(0)));
    for stale in [(0, 0), (1, 0), (0, 1), (2, 1)] {
        let moved = fixture.store.advance(advance(fixture, 1, stale, 9)).await.unwrap();
        assert_eq!(moved, None, "{stale:?}");
    }
    assert_eq!(fixture.store.advance(advance(fixture, 7, (0, 0), 1)).await.unwrap(), None);
    assert_eq!(head(fixture, 1).await, (1, nonce(1)));
}

pub(in crate::storage) async fn an_advance_remembers_eight_nonces<S: Store>(fixture: &Fixture<S>) {
    with_user(fixture, 1).await;
    for n in 0..10 {
        let moved = fixture.store.advance(advance(fixture, 1, (n.into(), n), n + 1)).await;
        assert!(moved.unwrap().is_some());
    }
    let (session, _) = fixture.store.session(session_id(1)).await.unwrap();
    let remembered: Vec<_> = session.unwrap().row.nonces.iter().copied().collect();
    assert_eq!(remembered, (3..=10).rev().map(nonce).collect::<Vec<_>>());
}

pub(in crate::storage) async fn an_adoption_puts_the_presented_nonce_under_the_successors<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let mut adoption = advance(fixture, 1, (0, 0), 6);
    adoption.to = Successor::for_test(6, nonce(6), false);
    adoption.adoption = Some(Adoption { presented: nonce(5), event: event() });
    assert!(fixture.store.advance(adoption).await.unwrap().is_some());
    let (session, _) = fixture.store.session(session_id(1)).await.unwrap();
    let row = session.unwrap().row;
    assert_eq!(row.head(), Head::new(6, nonce(6)));
    assert_eq!(row.nonces.parent(), Some(nonce(5)));
    assert!(!row.last_keyed);
}

pub(in crate::storage) async fn a_rotation_never_sets_the_clock_of_the_row_back<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    fixture.set_clock(START - Duration::from_secs(600)).await;
    let advanced = fixture.store.advance(advance(fixture, 1, (0, 0), 1)).await.unwrap().unwrap();
    assert_eq!(advanced.rotated_at, START);
}

pub(in crate::storage) async fn an_ended_or_revoked_session_does_not_advance<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    let user = user_id(2);
    let until = START + ABSOLUTE;
    let reason = RevokeReason::Logout;
    assert!(
        fixture.store.revoke_session(session_id(2), user, until, reason, &event()).await.unwrap()
    );
    assert_eq!(fixture.store.advance(advance(fixture, 2, (0, 0), 1)).await.unwrap(), None);

    fixture.advance_clock(IDLE).await;
    assert_eq!(fixture.store.advance(advance(fixture, 1, (0, 0), 1)).await.unwrap(), None);
    // A token that was minted later than the row knows promises a later end.
    let mut promised = advance(fixture, 1, (0, 0), 1);
    promised.idle_floor = fixture.clock.now() + Duration::from_secs(1);
    assert!(fixture.store.advance(promised.clone()).await.unwrap().is_some());

    fixture.set_clock(START + ABSOLUTE).await;
    promised.expected = Head::new(1, nonce(1));
    promised.idle_floor = fixture.clock.now() + IDLE;
    promised.deadline = Deadline(fixture.clock.now() + IDLE);
    assert_eq!(fixture.store.advance(promised).await.unwrap(), None);
}

/// Fault 63, before the statement is sent.
pub(in crate::storage) async fn a_late_advance_changes_nothing<S: Store>(fixture: &Fixture<S>) {
    with_user(fixture, 1).await;
    let late = advance(fixture, 1, (0, 0), 1);
    fixture.advance_clock(Duration::from_secs(10)).await;
    assert!(matches!(fixture.store.advance(late).await, Err(StoreError::TooLate)));
    assert_eq!(head(fixture, 1).await, (0, nonce(0)));
}

pub(in crate::storage) async fn twenty_advances_of_one_token_move_it_once<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let advances = (1..=20).map(|n| fixture.store.advance(advance(fixture, 1, (0, 0), n)));
    let mut moved = 0;
    for result in join_all(advances).await {
        moved += usize::from(result.unwrap().is_some());
    }
    assert_eq!(moved, 1);
    assert_eq!(head(fixture, 1).await.0, 1);
}

/// Fault 57.
pub(in crate::storage) async fn a_group_with_one_session_twice_moves_it_in_turn<S: Store>(
    fixture: &Fixture<S>,
) {
    for n in 1..=3 {
        with_user(fixture, n).await;
    }
    // Two keys, one key twice, and two generations of one session each, side by side.
    let advances = [
        advance(fixture, 1, (0, 0), 1),
        advance(fixture, 1, (0, 0), 2),
        advance(fixture, 2, (0, 0), 1),
        advance(fixture, 2, (0, 0), 1),
        advance(fixture, 3, (0, 0), 1),
        advance(fixture, 3, (1, 1), 2),
    ];
    let results = join_all(advances.into_iter().map(|a| fixture.store.advance(a))).await;
    let moved: Vec<bool> = results.into_iter().map(|result| result.unwrap().is_some()).collect();
    // The same attempt joins its twin, or comes too late for it and is told so; both are right.
    assert!(matches!(moved[..], [true, false, true, _, true, true]), "{moved:?}");
    assert_eq!(head(fixture, 1).await, (1, nonce(1)));
    assert_eq!(head(fixture, 2).await, (1, nonce(1)));
    assert_eq!(head(fixture, 3).await, (2, nonce(2)));
}
