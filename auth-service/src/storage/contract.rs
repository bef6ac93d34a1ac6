//! What every backend must do, run unchanged on each.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use sqlx::PgPool;
use tempfile::TempDir;
use token::{
    Nonce,
    clock::{Clock as _, ManualClock, Timestamp},
    entropy::SeededEntropy,
};
use transport::deadline::Deadline;
use uuid::Uuid;

use crate::{
    domain::{
        audit::{Actor, AuditEvent, EventKind},
        id::{ServiceId, SessionId, UserId},
        rotation::{Head, Successor},
        secret::{PasswordHash, Username},
        session::{NewSession, RevokeReason},
        user::{Grants, LastAdmin, NewUser, PasswordVersion, Role, Status},
    },
    storage::{
        error::StoreError,
        store::{Adoption, Advance, LostSession, SessionPosition, Store},
    },
};

mod admins;
mod histories;
mod revocations;
mod services;
mod signing_keys;

pub(super) use self::{
    admins::{
        an_administrator_is_left_unless_all_may_go,
        of_administrators_who_remove_each_other_one_is_left,
    },
    revocations::{
        a_session_past_its_end_leaves_no_tombstone,
        changed_roles_are_counted_and_read_with_their_count,
        every_kind_of_revocation_is_read_with_its_instant,
        racing_revocations_of_unknown_sessions_count_one_another,
        unknown_sessions_are_revoked_thirty_times_an_hour_and_known_ones_always,
        what_was_revoked_is_kept_for_a_day_after,
    },
    signing_keys::{
        a_known_signing_key_goes_with_the_waiting_one_and_another_signs,
        a_signing_key_goes_from_state_to_state_and_no_other_way,
        one_signing_key_signs_first_and_one_waits,
        racing_changes_of_signing_keys_leave_one_that_signs, the_longest_promise_of_a_key_is_kept,
    },
};

/// A fresh store, and the clocks it reads.
pub(super) struct Fixture<S> {
    pub(super) store: S,
    /// The process's.
    pub(super) clock: Arc<ManualClock>,
    /// A database that has a clock of its own shows the same time.
    pub(super) database_clock: Option<PgPool>,
    /// Where it lives, if in files; removed when the test ends.
    pub(super) _dir: Option<TempDir>,
}

impl<S> Fixture<S> {
    async fn set_clock(&self, now: Timestamp) {
        self.clock.set(now);
        if let Some(pool) = &self.database_clock {
            let now = now.unix_millis();
            sqlx::query("UPDATE test_clock SET now = $1").bind(now).execute(pool).await.unwrap();
        }
    }

    async fn advance_clock(&self, by: Duration) {
        self.set_clock(self.clock.now() + by).await;
    }
}

pub(super) const START: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const IDLE: Duration = Duration::from_secs(3600);
const ABSOLUTE: Duration = Duration::from_secs(36_000);

/// The tests of the contract, each on a store that `$open` makes.
macro_rules! contract {
    ($open:expr; $($test:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                let Some(fixture) = $open.await else { return };
                $crate::storage::contract::$test(&fixture).await;
            }
        )*
    };
    ($open:expr) => {
        $crate::storage::contract::contract! { $open;
            a_user_is_found_by_name_without_case_and_a_name_is_taken_once
            a_session_starts_only_while_the_proven_password_and_status_hold
            an_advance_moves_the_row_it_expects_and_no_other
            an_advance_remembers_eight_nonces
            an_adoption_puts_the_presented_nonce_under_the_successors
            a_rotation_never_sets_the_clock_of_the_row_back
            an_ended_or_revoked_session_does_not_advance
            a_late_advance_changes_nothing
            twenty_advances_of_one_token_move_it_once
            a_group_with_one_session_twice_moves_it_in_turn
            a_forgotten_session_comes_back_once_and_not_past_its_users_will
            a_revocation_leaves_a_tombstone_and_other_users_sessions_alone
            a_theft_is_revoked_only_as_it_was_seen
            a_changed_password_ends_every_other_session
            all_sessions_end_together
            live_sessions_are_listed_page_by_page
            one_signing_key_signs_first_and_one_waits
            a_signing_key_goes_from_state_to_state_and_no_other_way
            a_known_signing_key_goes_with_the_waiting_one_and_another_signs
            racing_changes_of_signing_keys_leave_one_that_signs
            a_rehash_does_not_bring_an_old_password_back
            a_disabled_user_has_no_sessions_and_enabling_revives_none
            every_change_is_audited_with_it_and_what_did_not_happen_is_not
            audit_events_go_with_their_retention
            an_ended_session_is_kept_a_day_and_goes_in_batches
            the_table_does_not_grow_with_rotations
            every_kind_of_revocation_is_read_with_its_instant
            changed_roles_are_counted_and_read_with_their_count
            unknown_sessions_are_revoked_thirty_times_an_hour_and_known_ones_always
            racing_revocations_of_unknown_sessions_count_one_another
            a_session_past_its_end_leaves_no_tombstone
            what_was_revoked_is_kept_for_a_day_after
            histories_are_linearizable
            an_administrator_is_left_unless_all_may_go
            of_administrators_who_remove_each_other_one_is_left
            the_longest_promise_of_a_key_is_kept
            a_service_is_found_and_its_name_is_taken_once
            a_replaced_secret_is_good_until_its_own_overlap_ends
            as_many_secrets_are_good_as_may_be_and_no_overlap_ends_them_all
            rotations_of_a_secret_at_once_keep_each_what_it_replaced
            disabling_a_service_makes_its_tokens_stale_for_good
        }
    };
}
pub(super) use self::services::*;
pub(super) use contract;

pub(super) fn nonce(n: u8) -> Nonce {
    Nonce::from_bytes([n; 16])
}

pub(super) fn user_id(n: u128) -> UserId {
    UserId(Uuid::from_u128(n))
}

pub(super) fn session_id(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

fn hash(text: &str) -> PasswordHash {
    PasswordHash::from_phc(text.to_owned())
}

fn new_session(id: u128, user: u128, at: Timestamp) -> NewSession {
    NewSession {
        id: session_id(id),
        user: user_id(user),
        device_name: format!("device {id}"),
        create_time: at,
        auth_time: at,
        nonce: nonce(0),
        idle_until: at + IDLE,
        absolute_until: at + ABSOLUTE,
    }
}

/// User `n` with session `n`.
pub(super) async fn with_user<S: Store>(fixture: &Fixture<S>, n: u128) {
    let user = NewUser {
        id: user_id(n),
        username: Username::parse(&format!("User-{n}")).unwrap(),
        password: hash("v1"),
        roles: vec![Role::Editor],
        create_time: START,
    };
    let session = new_session(n, n, fixture.clock.now());
    fixture.store.create_user(&user, Some(&session), &event()).await.unwrap();
}

/// An event that is unlike any other.
pub(super) fn event() -> AuditEvent {
    static EVENTS: AtomicU64 = AtomicU64::new(1);
    AuditEvent {
        id: Uuid::from_u128(EVENTS.fetch_add(1, Ordering::Relaxed).into()),
        time: START,
        kind: EventKind::UserCreated,
        account: None,
        actor: None,
        session: None,
        address: None,
        device: String::new(),
        detail: String::new(),
    }
}

pub(super) fn advance<S>(fixture: &Fixture<S>, session: u128, from: (u64, u8), to: u8) -> Advance {
    let now = fixture.clock.now();
    let to = Successor::for_test(from.0 + 1, nonce(to), true);
    Advance {
        session: session_id(session),
        expected: Head::new(from.0, nonce(from.1)),
        adoption: None,
        to,
        idle_floor: now,
        idle_life: IDLE,
        deadline: Deadline(now + Duration::from_secs(10)),
    }
}

pub(super) async fn head<S: Store>(fixture: &Fixture<S>, session: u128) -> (u64, Nonce) {
    let (session, _) = fixture.store.session(session_id(session)).await.unwrap();
    let head = session.unwrap().row.head();
    (head.generation, head.nonce)
}

async fn is_revoked<S: Store>(fixture: &Fixture<S>, session: u128) -> bool {
    let (session, _) = fixture.store.session(session_id(session)).await.unwrap();
    session.unwrap().row.revoked
}

pub(super) async fn a_user_is_found_by_name_without_case_and_a_name_is_taken_once<S: Store>(
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

pub(super) async fn a_session_starts_only_while_the_proven_password_and_status_hold<S: Store>(
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

pub(super) async fn an_advance_moves_the_row_it_expects_and_no_other<S: Store>(
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

pub(super) async fn an_advance_remembers_eight_nonces<S: Store>(fixture: &Fixture<S>) {
    with_user(fixture, 1).await;
    for n in 0..10 {
        let moved = fixture.store.advance(advance(fixture, 1, (n.into(), n), n + 1)).await;
        assert!(moved.unwrap().is_some());
    }
    let (session, _) = fixture.store.session(session_id(1)).await.unwrap();
    let remembered: Vec<_> = session.unwrap().row.nonces.iter().copied().collect();
    assert_eq!(remembered, (3..=10).rev().map(nonce).collect::<Vec<_>>());
}

pub(super) async fn an_adoption_puts_the_presented_nonce_under_the_successors<S: Store>(
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

pub(super) async fn a_rotation_never_sets_the_clock_of_the_row_back<S: Store>(
    fixture: &Fixture<S>,
) {
    with_user(fixture, 1).await;
    fixture.set_clock(START - Duration::from_secs(600)).await;
    let advanced = fixture.store.advance(advance(fixture, 1, (0, 0), 1)).await.unwrap().unwrap();
    assert_eq!(advanced.rotated_at, START);
}

pub(super) async fn an_ended_or_revoked_session_does_not_advance<S: Store>(fixture: &Fixture<S>) {
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
pub(super) async fn a_late_advance_changes_nothing<S: Store>(fixture: &Fixture<S>) {
    with_user(fixture, 1).await;
    let late = advance(fixture, 1, (0, 0), 1);
    fixture.advance_clock(Duration::from_secs(10)).await;
    assert!(matches!(fixture.store.advance(late).await, Err(StoreError::TooLate)));
    assert_eq!(head(fixture, 1).await, (0, nonce(0)));
}

pub(super) async fn twenty_advances_of_one_token_move_it_once<S: Store>(fixture: &Fixture<S>) {
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
pub(super) async fn a_group_with_one_session_twice_moves_it_in_turn<S: Store>(
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

pub(super) async fn a_forgotten_session_comes_back_once_and_not_past_its_users_will<S: Store>(
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

pub(super) async fn a_revocation_leaves_a_tombstone_and_other_users_sessions_alone<S: Store>(
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

pub(super) async fn a_theft_is_revoked_only_as_it_was_seen<S: Store>(fixture: &Fixture<S>) {
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

pub(super) async fn a_changed_password_ends_every_other_session<S: Store>(fixture: &Fixture<S>) {
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

pub(super) async fn all_sessions_end_together<S: Store>(fixture: &Fixture<S>) {
    with_user(fixture, 1).await;
    with_user(fixture, 2).await;
    let session = new_session(11, 1, START);
    assert!(fixture.store.insert_session(&session, PasswordVersion(1), &event()).await.unwrap());
    assert_eq!(fixture.store.revoke_all_sessions(user_id(1), &event()).await.unwrap(), 2);
    assert_eq!(fixture.store.revoke_all_sessions(user_id(1), &event()).await.unwrap(), 0);
    assert!(is_revoked(fixture, 1).await && is_revoked(fixture, 11).await);
    assert!(!is_revoked(fixture, 2).await);
}

pub(super) async fn live_sessions_are_listed_page_by_page<S: Store>(fixture: &Fixture<S>) {
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

pub(super) async fn a_rehash_does_not_bring_an_old_password_back<S: Store>(fixture: &Fixture<S>) {
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

pub(super) async fn a_disabled_user_has_no_sessions_and_enabling_revives_none<S: Store>(
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

pub(super) async fn every_change_is_audited_with_it_and_what_did_not_happen_is_not<S: Store>(
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

pub(super) async fn audit_events_go_with_their_retention<S: Store>(fixture: &Fixture<S>) {
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

pub(super) async fn an_ended_session_is_kept_a_day_and_goes_in_batches<S: Store>(
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
pub(super) async fn the_table_does_not_grow_with_rotations<S: Store>(fixture: &Fixture<S>) {
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

pub(super) async fn histories_are_linearizable<S: Store>(fixture: &Fixture<S>) {
    histories::are_linearizable(fixture).await;
}

#[test]
fn ids_do_not_repeat() {
    let entropy = SeededEntropy::new(1);
    let ids: HashSet<_> = (0..1000).map(|_| SessionId::generate(START, &entropy)).collect();
    assert_eq!(ids.len(), 1000);
}
