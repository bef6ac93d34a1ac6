//! What every backend must do, run unchanged on each.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

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
        audit::{AuditEvent, EventKind},
        id::{SessionId, UserId},
        rotation::{Head, Successor},
        secret::{PasswordHash, Username},
        session::NewSession,
        user::{NewUser, Role},
    },
    storage::store::{Advance, Store},
};

mod admins;
mod advances;
mod audit;
mod cleaning;
mod histories;
mod limits;
mod lists;
mod revocations;
mod services;
mod sessions;
mod signing_keys;
mod users;

pub(super) use self::{
    admins::{
        an_administrator_is_left_unless_all_may_go,
        of_administrators_who_remove_each_other_one_is_left,
    },
    limits::{
        a_proven_password_forgives_what_came_before_it,
        an_address_is_asked_first_and_only_failures_stay_counted,
        an_unlocked_name_starts_anew_and_is_audited_once,
        counts_that_say_nothing_any_more_go_in_batches,
        of_many_guesses_at_once_as_many_are_made_as_are_free,
        paces_are_taken_together_or_not_at_all,
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
            users_are_listed_by_name_beginning_and_status
            events_are_listed_newest_first_by_what_they_are_of
            pages_of_events_stay_as_they_are_whatever_happens_meanwhile
            the_key_of_page_tokens_is_the_first_that_was_offered
            of_many_guesses_at_once_as_many_are_made_as_are_free
            a_proven_password_forgives_what_came_before_it
            an_unlocked_name_starts_anew_and_is_audited_once
            an_address_is_asked_first_and_only_failures_stay_counted
            paces_are_taken_together_or_not_at_all
            counts_that_say_nothing_any_more_go_in_batches
        }
    };
}
pub(super) use self::{
    advances::*, audit::*, cleaning::*, lists::*, services::*, sessions::*, users::*,
};
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

pub(super) async fn histories_are_linearizable<S: Store>(fixture: &Fixture<S>) {
    histories::are_linearizable(fixture).await;
}

#[test]
fn ids_do_not_repeat() {
    let entropy = SeededEntropy::new(1);
    let ids: HashSet<_> = (0..1000).map(|_| SessionId::generate(START, &entropy)).collect();
    assert_eq!(ids.len(), 1000);
}
