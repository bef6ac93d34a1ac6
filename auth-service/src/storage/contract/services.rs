//! Service accounts.

use std::time::Duration;

use futures_util::future::join_all;
use token::clock::Timestamp;
use uuid::Uuid;

use super::{Fixture, START, event};
use crate::{
    domain::{
        audit::{AuditEvent, EventKind},
        id::ServiceId,
        revocation::{Revocation, Revoked},
        secret::Username,
        service_account::{MAX_SECRETS, NewServiceAccount, Overlap, SecretHash, SecretRotation},
        user::{Role, Status},
    },
    storage::{error::StoreError, store::Store},
};

fn id(n: u128) -> ServiceId {
    ServiceId(Uuid::from_u128(n))
}

fn secret(n: u8) -> SecretHash {
    SecretHash([n; 32])
}

fn named(n: u128, name: &str) -> NewServiceAccount {
    NewServiceAccount {
        id: id(n),
        name: Username::parse(name).unwrap(),
        secret: secret(1),
        roles: vec![Role::Viewer, Role::Admin],
        create_time: START,
    }
}

fn of(service: u128, second: u64, kind: EventKind) -> AuditEvent {
    let time = START + Duration::from_secs(second);
    AuditEvent { time, kind, ..event() }.of(id(service))
}

async fn assert_secrets<S: Store>(fixture: &Fixture<S>, current: u8, replaced: &[u8]) {
    let account = fixture.store.service(id(1)).await.unwrap().unwrap();
    assert_eq!(account.secret.0, secret(current).0);
    let mut good: Vec<_> = account.replaced_secrets.iter().map(|hash| hash.0[0]).collect();
    good.sort_unstable();
    assert_eq!(good, replaced);
}

async fn rotate<S: Store>(fixture: &Fixture<S>, new: u8, overlap: Duration) -> SecretRotation {
    let (store, overlap) = (&fixture.store, Overlap::new(overlap).unwrap());
    store.rotate_service_secret(id(1), &secret(new), overlap, &event()).await.unwrap()
}

pub(crate) async fn a_service_is_found_and_its_name_is_taken_once<S: Store>(fixture: &Fixture<S>) {
    let store = &fixture.store;
    let created = of(1, 1, EventKind::ServiceCreated);
    store.create_service(&named(1, "Api-Service"), &created).await.unwrap();
    let account = store.service(id(1)).await.unwrap().unwrap();
    assert_eq!(account.id, id(1));
    assert_eq!(account.roles, [Role::Viewer, Role::Admin]);
    assert_eq!((account.status, account.roles_version), (Status::Active, 0));
    assert_secrets(fixture, 1, &[]).await;
    assert_eq!(store.service_by_name("api-service").await.unwrap(), Some(id(1)));
    assert_eq!(store.service_by_name("").await.unwrap(), None);
    assert!(store.service(id(2)).await.unwrap().is_none());

    let rival = store.create_service(&named(2, "API-service"), &event()).await;
    assert!(matches!(rival, Err(StoreError::ServiceNameTaken)), "{rival:?}");
    assert!(store.service(id(2)).await.unwrap().is_none());
    assert_eq!(store.newest_events(9).await.unwrap(), [created]);
}

const HOUR: Duration = Duration::from_secs(3600);

pub(crate) async fn a_replaced_secret_is_good_until_its_own_overlap_ends<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let overlap = Overlap::new(HOUR).unwrap();
    store.create_service(&named(1, "api"), &event()).await.unwrap();
    store.create_service(&named(2, "other"), &event()).await.unwrap();
    let rotated = of(1, 2, EventKind::ServiceSecretRotated);
    let done = store.rotate_service_secret(id(1), &secret(2), overlap, &rotated).await.unwrap();
    assert_eq!(done, SecretRotation::Done);
    assert_eq!(store.newest_events(1).await.unwrap(), [rotated]);
    assert_secrets(fixture, 2, &[1]).await;

    // The answer was lost, so it is asked for again: the one in use stays good.
    fixture.advance_clock(HOUR / 2).await;
    assert_eq!(rotate(fixture, 3, HOUR).await, SecretRotation::Done);
    assert_secrets(fixture, 3, &[1, 2]).await;
    // A shorter overlap is of its own secret alone.
    assert_eq!(rotate(fixture, 4, HOUR / 4).await, SecretRotation::Done);
    assert_secrets(fixture, 4, &[1, 2, 3]).await;
    fixture.advance_clock(HOUR / 4).await;
    assert_secrets(fixture, 4, &[1, 2]).await;
    fixture.advance_clock(HOUR / 4 - Duration::from_millis(1)).await;
    assert_secrets(fixture, 4, &[1, 2]).await;
    fixture.advance_clock(Duration::from_millis(1)).await;
    assert_secrets(fixture, 4, &[2]).await;

    let nobody = of(9, 9, EventKind::ServiceSecretRotated);
    for overlap in [Duration::ZERO, HOUR].map(Overlap::new).map(Result::unwrap) {
        let done = store.rotate_service_secret(id(9), &secret(6), overlap, &nobody).await.unwrap();
        assert_eq!(done, SecretRotation::NoSuchAccount);
    }
    assert_ne!(store.newest_events(1).await.unwrap(), [nobody]);
    let other = store.service(id(2)).await.unwrap().unwrap();
    assert_eq!(
        (other.secret.0, other.replaced_secrets.len()),
        (secret(1).0, 0),
        "another account's"
    );
}

pub(crate) async fn as_many_secrets_are_good_as_may_be_and_no_overlap_ends_them_all<S: Store>(
    fixture: &Fixture<S>,
) {
    fixture.store.create_service(&named(1, "api"), &event()).await.unwrap();
    let most = u8::try_from(MAX_SECRETS).unwrap();
    for n in 2..=most {
        assert_eq!(rotate(fixture, n, HOUR * n.into()).await, SecretRotation::Done);
    }
    let all: Vec<_> = (1..most).collect();
    assert_secrets(fixture, most, &all).await;
    let audited = fixture.store.newest_events(100).await.unwrap().len();
    let next_ends = START + 2 * HOUR;
    assert_eq!(rotate(fixture, 90, HOUR).await, SecretRotation::TooMany(next_ends));
    assert_secrets(fixture, most, &all).await;
    assert_eq!(fixture.store.newest_events(100).await.unwrap().len(), audited);

    // There is room when the next one has run out, and not before.
    fixture.set_clock(next_ends - Duration::from_millis(1)).await;
    assert_eq!(rotate(fixture, 91, HOUR).await, SecretRotation::TooMany(next_ends));
    fixture.set_clock(next_ends).await;
    assert_eq!(rotate(fixture, 92, HOUR).await, SecretRotation::Done);
    assert_secrets(fixture, 92, &(2..=most).collect::<Vec<_>>()).await;
    assert_eq!(rotate(fixture, 93, Duration::ZERO).await, SecretRotation::Done);
    assert_secrets(fixture, 93, &[]).await;
}

pub(crate) async fn rotations_of_a_secret_at_once_keep_each_what_it_replaced<S: Store>(
    fixture: &Fixture<S>,
) {
    fixture.store.create_service(&named(1, "api"), &event()).await.unwrap();
    let most = u8::try_from(MAX_SECRETS).unwrap();
    let answers = join_all((2..=most).map(|n| rotate(fixture, n, HOUR))).await;
    assert!(answers.iter().all(|answer| *answer == SecretRotation::Done), "{answers:?}");
    let account = fixture.store.service(id(1)).await.unwrap().unwrap();
    let replaced: Vec<_> = (1..=most).filter(|n| *n != account.secret.0[0]).collect();
    assert_secrets(fixture, account.secret.0[0], &replaced).await;
}

pub(crate) async fn disabling_a_service_makes_its_tokens_stale_for_good<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    store.create_service(&named(1, "api"), &event()).await.unwrap();
    store.create_service(&named(2, "other"), &event()).await.unwrap();
    let is = async |n| {
        let account = store.service(id(n)).await.unwrap().unwrap();
        (account.status, account.roles_version)
    };
    let disabled = of(1, 3, EventKind::ServiceDisabled);
    assert!(!store.set_service_status(id(1), Status::Active, &event()).await.unwrap());
    let mut rings = store.revoked();
    rings.mark_unchanged();
    assert!(store.set_service_status(id(1), Status::Disabled, &disabled).await.unwrap());
    // It counts as a change of roles does.
    let version = u32::try_from(START.unix_seconds()).unwrap();
    assert_eq!(is(1).await, (Status::Disabled, version));
    assert!(rings.has_changed().unwrap());
    let life = Duration::from_secs(900);
    let (told, now) = store.revocations_since(Timestamp::UNIX_EPOCH, life).await.unwrap();
    let what = Revoked::Roles { holder: id(1).0, version };
    assert_eq!(told, [Revocation { what, at: now }]);
    assert!(!store.set_service_status(id(1), Status::Disabled, &event()).await.unwrap());
    assert_eq!(is(1).await, (Status::Disabled, version));
    let enabled = of(1, 4, EventKind::ServiceEnabled);
    assert!(store.set_service_status(id(1), Status::Active, &enabled).await.unwrap());
    assert_eq!(is(1).await, (Status::Active, version));
    assert!(!store.set_service_status(id(9), Status::Disabled, &event()).await.unwrap());
    assert_eq!(is(2).await, (Status::Active, 0));
    assert_eq!(store.newest_events(2).await.unwrap(), [enabled, disabled]);
}
