//! How large the table of sessions becomes.

use std::time::Duration;

use super::{ABSOLUTE, Fixture, START, advance, event, session_id, user_id, with_user};
use crate::{domain::session::RevokeReason, storage::store::Store};

pub(in crate::storage) async fn an_ended_session_is_kept_a_day_and_goes_in_batches<S: Store>(
    fixture: &Fixture<S>,
) {
    const DAY: Duration = Duration::from_secs(86_400);
    let store = &fixture.store;
    for n in 1..=3 {
        with_user(fixture, n).await;
    }
    // A tombstone stays as long: a token of its session could still come back.
    let (user, until) = (user_id(1), START + ABSOLUTE);
    let reason = RevokeReason::Logout;
    for session in [1, 7] {
        let session = session_id(session);
        assert!(store.revoke_session(session, user, until, reason, &event()).await.unwrap());
    }
    fixture.set_clock(START + ABSOLUTE + DAY).await;
    with_user(fixture, 8).await;
    assert_eq!(store.remove_ended_sessions(DAY, 10).await.unwrap(), 0);
    for n in [1, 2, 3, 7] {
        assert!(store.session(session_id(n)).await.unwrap().0.is_some(), "{n}");
    }
    fixture.advance_clock(Duration::from_millis(1)).await;
    assert_eq!(store.remove_ended_sessions(DAY, 3).await.unwrap(), 3);
    assert_eq!(store.remove_ended_sessions(DAY, 3).await.unwrap(), 1);
    for n in [1, 2, 3, 7] {
        assert!(store.session(session_id(n)).await.unwrap().0.is_none(), "{n}");
    }
    assert!(store.session(session_id(8)).await.unwrap().0.is_some());
}

/// Fault 54, in small; `evergreen soak` shows it at its full size.
pub(in crate::storage) async fn the_table_does_not_grow_with_rotations<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    for generation in 0..100_u8 {
        let moved = fixture
            .store
            .advance(advance(fixture, 1, (generation.into(), generation), generation + 1))
            .await;
        assert!(moved.unwrap().is_some());
    }
    let all = fixture.store.live_sessions(user_id(1), None, 10).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].row.nonces.iter().count(), 8);
}
