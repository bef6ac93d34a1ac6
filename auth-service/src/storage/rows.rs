//! Rows become domain types here; an impossible row is an error that names it.

use std::{fmt, time::Duration};

use sqlx::{Database, FromRow};
use token::{Nonce, clock::Timestamp};
use uuid::Uuid;

use crate::{
    domain::{
        audit::{Actor, AuditEvent, EventKind},
        guessing::Guesses,
        id::{ServiceId, SessionId, UserId},
        listing::UserSummary,
        revocation::{Revocation, Revoked},
        rotation::{Recent, Row},
        secret::PasswordHash,
        service_account::{SecretHash, ServiceAccount},
        session::{Holder, Session},
        signing_keys::{KeyState, Promised},
        user::{Grants, PasswordVersion, Role, Status, User},
    },
    storage::{
        error::StoreError,
        store::{Advance, SealedKey, StoredKey},
    },
};

/// A statement with its arguments, for either database.
pub(super) type Query<DB> = sqlx::query::Query<'static, DB, <DB as Database>::Arguments>;

/// A row that was read, or how it is impossible.
pub(super) fn decode<R, L, T>(row: &R) -> Result<T, StoreError>
where
    R: sqlx::Row,
    L: for<'r> FromRow<'r, R>,
    T: TryFrom<L, Error = StoreError>,
{
    L::from_row(row)?.try_into()
}

#[derive(FromRow)]
pub(super) struct UserLookup {
    id: Uuid,
    username: String,
    password_hash: String,
    password_version: i64,
    status: String,
    roles: String,
    roles_version: i64,
    create_time: i64,
}

impl TryFrom<UserLookup> for User {
    type Error = StoreError;

    fn try_from(row: UserLookup) -> Result<Self, StoreError> {
        let holder = holder(row.id, &row.status, &row.roles, row.roles_version)?;
        Ok(Self {
            id: UserId(row.id),
            username: row.username,
            password: PasswordHash::from_phc(row.password_hash),
            password_version: PasswordVersion(row.password_version),
            status: holder.status,
            grants: holder.grants,
            create_time: Timestamp::from_unix_millis(row.create_time),
        })
    }
}

#[derive(FromRow)]
pub(super) struct SummaryLookup {
    id: Uuid,
    username: String,
    status: String,
    roles: String,
    create_time: i64,
}

impl TryFrom<SummaryLookup> for UserSummary {
    type Error = StoreError;

    fn try_from(row: SummaryLookup) -> Result<Self, StoreError> {
        let impossible = |column| inconsistent("users", column, row.id);
        Ok(Self {
            id: UserId(row.id),
            status: Status::parse(&row.status).ok_or_else(|| impossible("status"))?,
            roles: decode_roles(&row.roles).ok_or_else(|| impossible("roles"))?,
            username: row.username,
            create_time: Timestamp::from_unix_millis(row.create_time),
        })
    }
}

#[derive(FromRow)]
pub(super) struct ServiceLookup {
    id: Uuid,
    secret_hash: Vec<u8>,
    roles: String,
    status: String,
    roles_version: i64,
    /// Of the other table: one that is good, or null if there is none.
    replaced_secret_hash: Option<Vec<u8>>,
}

/// An account of as many rows as it has replaced secrets that are good, or of one.
pub(super) fn decode_service<R>(rows: &[R]) -> Result<Option<ServiceAccount>, StoreError>
where
    R: sqlx::Row,
    ServiceLookup: for<'r> FromRow<'r, R>,
{
    let mut account: Option<ServiceAccount> = None;
    for row in rows {
        let one: ServiceAccount = decode::<_, ServiceLookup, _>(row)?;
        match &mut account {
            Some(account) => account.replaced_secrets.extend(one.replaced_secrets),
            None => account = Some(one),
        }
    }
    Ok(account)
}

impl TryFrom<ServiceLookup> for ServiceAccount {
    type Error = StoreError;

    fn try_from(row: ServiceLookup) -> Result<Self, StoreError> {
        let impossible = |column| inconsistent("service_accounts", column, row.id);
        let hash = |bytes: &[u8]| bytes.try_into().map(SecretHash);
        let replaced = row.replaced_secret_hash.as_deref().map(hash).transpose();
        Ok(Self {
            id: ServiceId(row.id),
            secret: hash(&row.secret_hash).map_err(|_| impossible("secret_hash"))?,
            replaced_secrets: Vec::from_iter(
                replaced.map_err(|_| inconsistent("replaced_secrets", "secret_hash", row.id))?,
            ),
            status: Status::parse(&row.status).ok_or_else(|| impossible("status"))?,
            roles: decode_roles(&row.roles).ok_or_else(|| impossible("roles"))?,
            roles_version: u32::try_from(row.roles_version)
                .map_err(|_| impossible("roles_version"))?,
        })
    }
}

#[derive(FromRow)]
pub(super) struct SessionLookup {
    id: Uuid,
    user_id: Uuid,
    device_name: String,
    create_time: i64,
    auth_time: i64,
    generation: i64,
    nonces: Vec<u8>,
    last_keyed: bool,
    rotated_at: i64,
    idle_until: i64,
    absolute_until: i64,
    revoked_at: Option<i64>,
    /// Null in a tombstone whose user is not known.
    user_status: Option<String>,
    user_roles: Option<String>,
    user_roles_version: Option<i64>,
}

impl TryFrom<SessionLookup> for Session {
    type Error = StoreError;

    fn try_from(row: SessionLookup) -> Result<Self, StoreError> {
        let impossible = |column| inconsistent("sessions", column, row.id);
        let nonces = row
            .nonces
            .chunks(16)
            .map(|bytes| bytes.try_into().map(Nonce::from_bytes))
            .collect::<Result<Vec<_>, _>>()
            .ok()
            .and_then(Recent::from_nonces)
            .ok_or_else(|| impossible("nonces"))?;
        let generation = u64::try_from(row.generation).map_err(|_| impossible("generation"))?;
        let mut chain = Row::first(
            nonces.newest(),
            Timestamp::from_unix_millis(row.rotated_at),
            Timestamp::from_unix_millis(row.idle_until),
            Timestamp::from_unix_millis(row.absolute_until),
        );
        chain.generation = generation;
        chain.nonces = nonces;
        chain.last_keyed = row.last_keyed;
        chain.revoked = row.revoked_at.is_some();
        let holder = match (&row.user_status, &row.user_roles, row.user_roles_version) {
            (Some(status), Some(roles), Some(version)) => {
                holder(row.user_id, status, roles, version)?
            }
            _ => Holder { status: Status::Disabled, grants: Grants::default() },
        };
        Ok(Self {
            id: SessionId(row.id),
            user: UserId(row.user_id),
            device_name: row.device_name,
            create_time: Timestamp::from_unix_millis(row.create_time),
            auth_time: Timestamp::from_unix_millis(row.auth_time),
            row: chain,
            holder,
        })
    }
}

#[derive(FromRow)]
pub(super) struct EventLookup {
    id: Uuid,
    time: i64,
    kind: String,
    user_id: Option<Uuid>,
    session_id: Option<Uuid>,
    address: Option<String>,
    device: String,
    /// Null if it is the account that it is about.
    actor: Option<String>,
    detail: String,
}

impl TryFrom<EventLookup> for AuditEvent {
    type Error = StoreError;

    fn try_from(row: EventLookup) -> Result<Self, StoreError> {
        let impossible = |column| inconsistent("audit_events", column, row.id);
        let kind = EventKind::parse(&row.kind).ok_or_else(|| impossible("kind"))?;
        let actor = row.actor.map(|actor| Actor::parse(&actor).ok_or(())).transpose();
        Ok(Self {
            kind,
            account: row.user_id.map(|id| kind.account(id)),
            actor: actor.map_err(|()| impossible("actor"))?,
            address: row
                .address
                .map(|address| address.parse())
                .transpose()
                .map_err(|_| impossible("address"))?,
            id: row.id,
            time: Timestamp::from_unix_millis(row.time),
            session: row.session_id.map(SessionId),
            device: row.device,
            detail: row.detail,
        })
    }
}

#[derive(FromRow)]
pub(super) struct KeyLookup {
    kid: String,
    state: String,
    public_key: String,
    sealed_seed: Vec<u8>,
    create_time: i64,
    /// Null while it is in the state in which it was made.
    state_time: Option<i64>,
    longest_lead: i64,
    longest_retention: i64,
}

impl TryFrom<KeyLookup> for StoredKey {
    type Error = StoreError;

    fn try_from(row: KeyLookup) -> Result<Self, StoreError> {
        let state = KeyState::ALL.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            state: state.ok_or_else(|| inconsistent("signing_keys", "state", &row.kid))?,
            key: SealedKey {
                kid: row.kid,
                public_key: row.public_key,
                sealed_seed: row.sealed_seed,
            },
            create_time: Timestamp::from_unix_millis(row.create_time),
            state_time: Timestamp::from_unix_millis(row.state_time.unwrap_or(row.create_time)),
            promised: Promised {
                lead: decode_duration(row.longest_lead),
                retention: decode_duration(row.longest_retention),
            },
        })
    }
}

/// An id, an instant, and the count of changes of roles; without one it is a session.
pub(super) type RevocationRow = (Uuid, i64, Option<i64>);

/// What a row of a revocation says.
pub(super) fn decode_revocation(
    (id, at, version): RevocationRow,
) -> Result<Revocation, StoreError> {
    let what = match version {
        None => Revoked::Session(SessionId(id)),
        Some(version) => Revoked::Roles {
            holder: id,
            version: u32::try_from(version)
                .map_err(|_| inconsistent("users", "roles_version", id))?,
        },
    };
    Ok(Revocation { what, at: Timestamp::from_unix_millis(at) })
}

/// Attempts, those forgiven, the instant of the last, and until when the name is locked.
pub(super) type GuessesRow = (i64, i64, i64, i64);

/// What a row of attempts says.
pub(super) fn decode_guesses(
    (attempts, forgiven, last_attempt, locked_until): GuessesRow,
) -> Result<Guesses, StoreError> {
    let count = |column, count| {
        // The row's key is a digest, which would tell nobody anything.
        u64::try_from(count).map_err(|_| inconsistent("guesses", column, count))
    };
    let (attempts, forgiven) = (count("attempts", attempts)?, count("forgiven", forgiven)?);
    if forgiven > attempts {
        return Err(inconsistent("guesses", "forgiven", forgiven));
    }
    Ok(Guesses {
        attempts,
        forgiven,
        last_attempt: Timestamp::from_unix_millis(last_attempt),
        locked_until: Timestamp::from_unix_millis(locked_until),
    })
}

/// A count, as columns can hold it.
pub(super) fn encode_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The nonces that this advance puts in front of those that the row remembers.
pub(super) fn pushed_nonces(advance: &Advance) -> Vec<u8> {
    let mut nonces = advance.to.nonce.as_bytes().to_vec();
    if let Some(presented) = advance.presented_nonce() {
        nonces.extend_from_slice(presented.as_bytes());
    }
    nonces
}

/// The nonces of a row after this advance.
#[cfg(any(test, feature = "simulation"))]
pub(super) fn push_nonces(advance: &Advance, remembered: &Recent) -> Recent {
    let pushed = pushed_nonces(advance);
    let bytes = pushed.iter().copied().chain(remembered.iter().flat_map(|n| *n.as_bytes()));
    let bytes: Vec<u8> = bytes.take(128).collect();
    let nonces = bytes.chunks(16).map(|nonce| nonce.try_into().expect("chunks of 16"));
    Recent::from_nonces(nonces.map(Nonce::from_bytes).collect()).expect("one to eight")
}

/// How a generation stands in its column: it counts rotations, at most a few a second for a month.
pub(super) fn encode_generation(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}

/// How long something lasts, in the unit of the columns.
pub(super) fn encode_duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// As [`encode_duration`] wrote it; none is negative.
fn decode_duration(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

/// How roles stand in their column.
pub(super) fn encode_roles(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}

fn holder(user: Uuid, status: &str, roles: &str, version: i64) -> Result<Holder, StoreError> {
    Ok(Holder {
        status: Status::parse(status).ok_or_else(|| inconsistent("users", "status", user))?,
        grants: decode_grants(roles, version)
            .map_err(|column| inconsistent("users", column, user))?,
    })
}

/// Fails with the column that says what cannot be.
pub(super) fn decode_grants(roles: &str, version: i64) -> Result<Grants, &'static str> {
    Ok(Grants {
        roles: decode_roles(roles).ok_or("roles")?,
        version: u32::try_from(version).map_err(|_| "roles_version")?,
    })
}

/// `None` if a name is none of ours.
pub(super) fn decode_roles(roles: &str) -> Option<Vec<Role>> {
    roles.split(',').filter(|name| !name.is_empty()).map(Role::parse).collect()
}

pub(super) fn inconsistent(
    table: &'static str,
    column: &'static str,
    row: impl fmt::Display,
) -> StoreError {
    StoreError::Inconsistent { table, column, row: row.to_string() }
}
