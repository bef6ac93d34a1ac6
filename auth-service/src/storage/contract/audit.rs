//! What is written down of what happened, and for how long.

use std::time::Duration;

use uuid::Uuid;

use super::{
    ABSOLUTE, Fixture, START, advance, event, hash, new_session, nonce, session_id, user_id,
    with_user,
};
use crate::{
    domain::{
        audit::{Actor, AuditEvent, EventKind},
        id::ServiceId,
        rotation::{Head, Successor},
        session::RevokeReason,
        user::{LastAdmin, PasswordVersion, Status},
    },
    storage::store::{Adoption, Store},
};

pub(in crate::storage) async fn every_change_is_audited_with_it_and_what_did_not_happen_is_not<
    S: Store,
>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    let store = &fixture.store;
    let user = user_id(1);
    let at = |second: u64, kind| AuditEvent {
        time: START + Duration::from_secs(second),
        kind,
        account: Some(user.into()),
        address: Some([192, 0, 2, 7].into()),
        ..event()
    };
    let of = |id: u128, event: AuditEvent| event.of_session(session_id(id));
    let version = PasswordVersion(1);

    let login = of(11, at(1, EventKind::LoginSucceeded)).on_device("not the session's");
    assert!(store.insert_session(&new_session(11, 1, START), version, &login).await.unwrap());
    assert!(store.insert_session(&new_session(12, 1, START), version, &event()).await.unwrap());
    let never = of(13, at(2, EventKind::LoginSucceeded));
    let wrong = PasswordVersion(7);
    assert!(!store.insert_session(&new_session(13, 1, START), wrong, &never).await.unwrap());

    let adopted = of(11, at(3, EventKind::RefreshAdopted));
    let mut adoption = advance(fixture, 11, (0, 0), 6);
    adoption.to = Successor::for_test(6, nonce(6), true);
    adoption.adoption = Some(Adoption { presented: nonce(5), event: adopted.clone() });
    assert!(store.advance(adoption.clone()).await.unwrap().is_some());
    adoption.adoption = Some(Adoption { presented: nonce(5), event: of(11, at(4, adopted.kind)) });
    assert_eq!(store.advance(adoption).await.unwrap(), None);

    let reused = of(11, at(5, EventKind::RefreshReused));
    let seen = Head::new(6, nonce(6));
    let reason = RevokeReason::Reused;
    assert!(store.revoke_if_unmoved(session_id(11), seen, reason, &reused).await.unwrap());
    let again = of(11, at(6, EventKind::RefreshReused));
    assert!(!store.revoke_if_unmoved(session_id(11), seen, reason, &again).await.unwrap());

    let (until, reason) = (START + ABSOLUTE, RevokeReason::Logout);
    let ended = of(12, at(7, EventKind::SessionLoggedOut));
    assert!(store.revoke_session(session_id(12), user, until, reason, &ended).await.unwrap());
    let again = of(12, at(8, EventKind::SessionLoggedOut));
    assert!(store.revoke_session(session_id(12), user, until, reason, &again).await.unwrap());
    let others = of(12, at(9, EventKind::SessionLoggedOut));
    assert!(
        !store.revoke_session(session_id(12), user_id(2), until, reason, &others).await.unwrap()
    );

    let changed = of(1, at(10, EventKind::PasswordChanged));
    let kept = session_id(1);
    assert!(store.change_password(user, version, &hash("v2"), kept, &changed).await.unwrap());
    let stale = of(1, at(11, EventKind::PasswordChanged));
    assert!(!store.change_password(user, version, &hash("v3"), kept, &stale).await.unwrap());
    let all = of(1, at(12, EventKind::SessionsRevoked));
    assert_eq!(store.revoke_all_sessions(user, &all).await.unwrap(), 1);
    let by = Actor::Account(ServiceId(Uuid::from_u128(77)).into());
    let disabled = AuditEvent { actor: Some(by), ..at(13, EventKind::UserDisabled) };
    let disabled = disabled.detailed("what was set");
    let last = LastAdmin::Stays;
    assert!(store.set_status(user, Status::Disabled, last, &disabled).await.unwrap());
    let failed = at(14, EventKind::LoginFailed).on_device("toaster");
    let superseded = of(11, at(15, EventKind::RefreshSuperseded));
    store.record(&[failed.clone(), superseded.clone()]).await.unwrap();

    // What is about a session is of the device that it was begun on.
    let on = |device: &str, event: AuditEvent| AuditEvent { device: device.into(), ..event };
    let told: Vec<_> = [
        on("device 11", superseded),
        failed,
        disabled,
        on("device 1", all),
        on("device 1", changed),
        on("device 12", ended),
        on("device 11", reused),
        on("device 11", adopted),
        on("device 11", login),
    ]
    .into();
    assert_eq!(store.newest_events(9).await.unwrap(), told);
    assert_eq!(store.newest_events(2).await.unwrap(), told[..2]);
}

pub(in crate::storage) async fn audit_events_go_with_their_retention<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let at = |second| AuditEvent { time: START + Duration::from_secs(second), ..event() };
    let events: Vec<_> = (0..10).map(at).collect();
    store.record(&events).await.unwrap();
    let retention = Duration::from_secs(3600);
    assert_eq!(store.remove_old_events(retention, 100).await.unwrap(), 0);
    fixture.set_clock(START + retention + Duration::from_secs(5)).await;
    assert_eq!(store.remove_old_events(retention, 3).await.unwrap(), 3);
    assert_eq!(store.remove_old_events(retention, 3).await.unwrap(), 2);
    assert_eq!(store.remove_old_events(retention, 3).await.unwrap(), 0);
    let left = store.newest_events(100).await.unwrap();
    assert_eq!(left, events[5..].iter().rev().cloned().collect::<Vec<_>>());
}
