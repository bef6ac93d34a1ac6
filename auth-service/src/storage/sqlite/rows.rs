//! Rows become domain types here; an impossible row is an error that names it.

use std::fmt;

use sqlx::{FromRow, sqlite::SqliteRow};
use token::{Nonce, clock::Timestamp};
use uuid::Uuid;

use crate::{
    domain::{
        id::{SessionId, UserId},
        rotation::{Recent, Row},
        secret::PasswordHash,
        session::{Holder, Session},
        user::{PasswordVersion, Role, Status, User},
    },
    storage::{
        error::StoreError,
        store::{Advanced, KeyState, SealedKey},
    },
};

/// A row that was read, or how it is impossible.
pub(super) fn decode<L, T>(row: &SqliteRow) -> Result<T, StoreError>
where
    L: for<'r> FromRow<'r, SqliteRow>,
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
    create_time: i64,
}

impl TryFrom<UserLookup> for User {
    type Error = StoreError;

    fn try_from(row: UserLookup) -> Result<Self, StoreError> {
        let holder = holder(row.id, &row.status, &row.roles)?;
        Ok(Self {
            id: UserId(row.id),
            username: row.username,
            password: PasswordHash::from_phc(row.password_hash),
            password_version: PasswordVersion(row.password_version),
            status: holder.status,
            roles: holder.roles,
            create_time: Timestamp::from_unix_millis(row.create_time),
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
        let holder = match (&row.user_status, &row.user_roles) {
            (Some(status), Some(roles)) => holder(row.user_id, status, roles)?,
            _ => Holder { status: Status::Disabled, roles: Vec::new() },
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
pub(super) struct AdvancedLookup {
    pub(super) id: Uuid,
    user_id: Uuid,
    auth_time: i64,
    rotated_at: i64,
    idle_until: i64,
    absolute_until: i64,
    user_status: String,
    user_roles: String,
}

impl AdvancedLookup {
    pub(super) fn into_advanced(self, now: Timestamp) -> Result<Advanced, StoreError> {
        Ok(Advanced {
            user: UserId(self.user_id),
            holder: holder(self.user_id, &self.user_status, &self.user_roles)?,
            auth_time: Timestamp::from_unix_millis(self.auth_time),
            rotated_at: Timestamp::from_unix_millis(self.rotated_at),
            idle_until: Timestamp::from_unix_millis(self.idle_until),
            absolute_until: Timestamp::from_unix_millis(self.absolute_until),
            now,
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
}

impl TryFrom<KeyLookup> for SealedKey {
    type Error = StoreError;

    fn try_from(row: KeyLookup) -> Result<Self, StoreError> {
        let state = KeyState::ALL.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            state: state.ok_or_else(|| inconsistent("signing_keys", "state", &row.kid))?,
            kid: row.kid,
            public_key: row.public_key,
            sealed_seed: row.sealed_seed,
            create_time: Timestamp::from_unix_millis(row.create_time),
        })
    }
}

/// How roles stand in their column.
pub(super) fn encode_roles(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(",")
}

fn holder(user: Uuid, status: &str, roles: &str) -> Result<Holder, StoreError> {
    Ok(Holder {
        status: Status::parse(status).ok_or_else(|| inconsistent("users", "status", user))?,
        roles: roles
            .split(',')
            .filter(|name| !name.is_empty())
            .map(|name| Role::parse(name).ok_or_else(|| inconsistent("users", "roles", user)))
            .collect::<Result<_, _>>()?,
    })
}

fn inconsistent(table: &'static str, column: &'static str, row: impl fmt::Display) -> StoreError {
    StoreError::Inconsistent { table, column, row: row.to_string() }
}
