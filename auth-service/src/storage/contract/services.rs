//! Service accounts.

use std::time::Duration;

use token::clock::Timestamp;
use uuid::Uuid;

use super::{Fixture, START, event};
use crate::{
    domain::{
        audit::{AuditEvent, EventKind},
        id::ServiceId,
        revocation::{Revocation, Revoked},
        secret::Username,
        service_account::{NewServiceAccount, Overlap, SecretHash},
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
    AuditEvent { time, kind, ..event() }.of_service(id(service))
}

/// The secrets that are good now.
async fn secrets<S: Store>(fixture: &Fixture<S>, n: u128) -> (SecretHash, Option<SecretHash>) {
    let account = fixture.store.service(id(n)).await.unwrap().unwrap();
    (account.secret, account.previous_secret)
}

async fn assert_secrets<S: Store>(fixture: &Fixture<S>, current: u8, previous: Option<u8>) {
    let (now, before) = secrets(fixture, 1).await;
    assert_eq!(now.0, secret(current).0);
    assert_eq!(before.map(|hash| hash.0), previous.map(|n| secret(n).0));
}

pub(crate) async fn a_service_is_found_and_its_name_is_taken_once<S: Store>(fixture: &Fixture<S>) {
    let store = &fixture.store;
    let created = of(1, 1, EventKind::ServiceCreated);
    store.create_service(&named(1, "Api-Service"), &created).await.unwrap();
    let account = store.service(id(1)).await.unwrap().unwrap();
    assert_eq!(account.id, id(1));
    assert_eq!(account.roles, [Role::Viewer, Role::Admin]);
    assert_eq!((account.status, account.roles_version), (Status::Active, 0));
    assert_secrets(fixture, 1, None).await;
    assert_eq!(store.service_by_name("api-service").await.unwrap(), Some(id(1)));
    assert_eq!(store.service_by_name("").await.unwrap(), None);
    assert!(store.service(id(2)).await.unwrap().is_none());

    let rival = store.create_service(&named(2, "API-service"), &event()).await;
    assert!(matches!(rival, Err(StoreError::ServiceNameTaken)), "{rival:?}");
    assert!(store.service(id(2)).await.unwrap().is_none());
    assert_eq!(store.newest_events(9).await.unwrap(), [created]);
}

pub(crate) async fn a_replaced_secret_is_good_until_its_overlap_ends<S: Store>(
    fixture: &Fixture<S>,
) {
    let store = &fixture.store;
    let hour = Duration::from_secs(3600);
    let overlap = Overlap::new(hour).unwrap();
    store.create_service(&named(1, "api"), &event()).await.unwrap();
    store.create_service(&named(2, "other"), &event()).await.unwrap();
    let rotated = of(1, 2, EventKind::ServiceSecretRotated);
    assert!(store.rotate_service_secret(id(1), &secret(2), overlap, &rotated).await.unwrap());
    assert_eq!(store.newest_events(1).await.unwrap(), [rotated]);
    assert_secrets(fixture, 2, Some(1)).await;
    fixture.advance_clock(hour - Duration::from_millis(1)).await;
    assert_secrets(fixture, 2, Some(1)).await;
    fixture.advance_clock(Duration::from_millis(1)).await;
    assert_secrets(fixture, 2, None).await;

    // Of two rotations in an overlap, the later one ends the first secret.
    assert!(store.rotate_service_secret(id(1), &secret(3), overlap, &event()).await.unwrap());
    assert!(store.rotate_service_secret(id(1), &secret(4), overlap, &event()).await.unwrap());
    assert_secrets(fixture, 4, Some(3)).await;
    let none = Overlap::new(Duration::ZERO).unwrap();
    assert!(store.rotate_service_secret(id(1), &secret(5), none, &event()).await.unwrap());
    assert_secrets(fixture, 5, None).await;

    let nobody = of(9, 9, EventKind::ServiceSecretRotated);
    assert!(!store.rotate_service_secret(id(9), &secret(6), none, &nobody).await.unwrap());
    assert_ne!(store.newest_events(1).await.unwrap(), [nobody]);
    assert_eq!(secrets(fixture, 2).await.0.0, secret(1).0, "another account's");
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
