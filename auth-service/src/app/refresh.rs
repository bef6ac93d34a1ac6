//! Spending a refresh token for a new pair.

use std::sync::Arc;

use token::{KeyRing, Nonce, RefreshClaims, SigningKey, clock::Timestamp};
use transport::deadline::Deadline;
use uuid::Uuid;

use crate::{
    app::{
        audit::{Origin, warn},
        context::{App, Issued, Tip},
        error::AppError,
        meters::Refreshed,
    },
    domain::{
        audit::EventKind,
        id::{SessionId, UserId},
        rotation::{self, Attempt, Decision, Head, Presented, Successor, Successors},
        session::{RevokeReason, Session},
        user::Status,
    },
    storage::{
        error::StoreError,
        store::{Adoption, Advance, Advanced, LostSession},
    },
};

/// Names one attempt to refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// 16 to 64 visible ASCII characters.
    pub(crate) fn parse(key: &[u8]) -> Result<Self, AppError> {
        let valid = (16..=64).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        let text = std::str::from_utf8(key).ok().filter(|_| valid);
        text.map(|text| Self(text.to_owned())).ok_or(AppError::IdempotencyKeyInvalid)
    }
}

/// A request for a new pair.
#[derive(Debug)]
pub(crate) struct RefreshRequest<'a> {
    pub(crate) token: &'a str,
    pub(crate) key: Option<IdempotencyKey>,
    pub(crate) after_superseded: bool,
    pub(crate) deadline: Deadline,
    pub(crate) origin: Origin,
}

impl App {
    /// Rotates, repeats, adopts or refuses, as [`rotation::decide`] says.
    ///
    /// The current token is by far the most common one, so that decision is tried before any
    /// reading: one statement, which holds only if it was right.
    pub(crate) async fn refresh(&self, request: RefreshRequest<'_>) -> Result<Issued, AppError> {
        let answer = self.spend(request).await;
        self.meters.refreshed(answer.as_ref().map(|(refreshed, _)| *refreshed));
        answer.map(|(_, issued)| issued)
    }

    async fn spend(&self, request: RefreshRequest<'_>) -> Result<(Refreshed, Issued), AppError> {
        let claims = self.master.verify(request.token).await?;
        // Before it is counted: whoever has the token alone must not use up its owner's refreshes.
        self.check_binding(&claims, request.origin)?;
        // Before anything is spent.
        self.limit_refresh(SessionId(claims.session), request.origin)?;
        let signer = self.signer().await?;
        let (session, user) = (SessionId(claims.session), UserId(claims.user));
        let named = request.key.as_ref().map(|key| Named {
            ring: self.master.ring(),
            spent: request.token,
            session: claims.session,
            key,
        });
        let attempt = match &named {
            Some(named) => Attempt::Keyed(named),
            None => Attempt::Keyless { fresh: Nonce::random(&*self.entropy) },
        };
        let presented = Presented::new(&claims, attempt, request.after_superseded);
        let event = |kind| self.event(kind, request.origin).of(user).of_session(session);
        let mut decision = Decision::Rotate(presented.successor());
        let mut seen: Option<Session> = None;
        let mut refreshed = Refreshed::Rotated;
        let mut now = self.clock.now();
        for _ in 0..MAX_ROUNDS {
            match decision {
                Decision::Rotate(to) => {
                    let expected = Head::new(presented.generation, presented.nonce);
                    let advance = self.advance(&claims, expected, None, to, request.deadline);
                    if let Some(advanced) = self.store.advance(advance).await? {
                        let issued = self.issue_advanced(&signer, &claims, to, &advanced);
                        return Ok((refreshed, issued));
                    }
                }
                Decision::Adopt { behind, successor: to } => {
                    let event = event(EventKind::RefreshAdopted);
                    let adoption = Adoption { presented: presented.nonce, event: event.clone() };
                    let advance =
                        self.advance(&claims, behind, Some(adoption), to, request.deadline);
                    if let Some(advanced) = self.store.advance(advance).await? {
                        warn(&event);
                        let issued = self.issue_advanced(&signer, &claims, to, &advanced);
                        return Ok((Refreshed::Adopted, issued));
                    }
                }
                Decision::Recreate => {
                    let event = event(EventKind::RefreshAdopted);
                    if !self.store.recreate_session(&self.lost(&claims), &event).await? {
                        return Err(AppError::SessionRevoked);
                    }
                    warn(&event);
                    refreshed = Refreshed::Adopted;
                }
                Decision::Repeat => {
                    let row = seen.as_ref().expect("a repeat is decided on a row that was read");
                    return Ok((Refreshed::Repeated, self.issue_again(&signer, &claims, row, now)));
                }
                Decision::Superseded => {
                    self.audit.record(event(EventKind::RefreshSuperseded));
                    return Err(AppError::RefreshSuperseded);
                }
                Decision::Reused { seen } => {
                    let reason = RevokeReason::Reused;
                    let event = event(EventKind::RefreshReused);
                    if self.store.revoke_if_unmoved(session, seen, reason, &event).await? {
                        warn(&event);
                        self.meters.revocations.reused.inc();
                        return Err(AppError::RefreshTokenReused);
                    }
                }
                Decision::Expired => return Err(AppError::RefreshTokenExpired),
                Decision::Revoked => return Err(AppError::SessionRevoked),
                Decision::Unknown => return Err(AppError::RefreshTokenInvalid),
            }
            (seen, now) = self.store.session(session).await?;
            if request.deadline.passed(self.clock.now()) {
                return Err(AppError::DeadlineExceeded);
            }
            decision = match &seen {
                // A genuine token names its session's user; another one is no row of this session.
                Some(row) if row.user != user => return Err(AppError::RefreshTokenInvalid),
                Some(row) => {
                    let mut state = row.row.clone();
                    state.revoked |= row.holder.status == Status::Disabled;
                    rotation::decide(&presented, Some(&state), &self.policy.rotation, now)
                }
                None => rotation::decide(&presented, None, &self.policy.rotation, now),
            };
        }
        // Every lost round means that another request has won it; the client tries again.
        Err(AppError::Store(StoreError::Contended))
    }

    fn advance(
        &self,
        claims: &RefreshClaims,
        expected: Head,
        adoption: Option<Adoption>,
        to: Successor,
        deadline: Deadline,
    ) -> Advance {
        let idle_life = self.policy.lifetimes.idle;
        Advance {
            session: SessionId(claims.session),
            expected,
            adoption,
            to,
            idle_floor: claims.issued_at + idle_life,
            idle_life,
            deadline,
        }
    }

    fn lost(&self, claims: &RefreshClaims) -> LostSession {
        LostSession {
            id: SessionId(claims.session),
            user: UserId(claims.user),
            auth_time: claims.auth_time,
            head: Head::new(claims.generation, claims.nonce),
            issued_at: claims.issued_at,
            idle_until: claims.issued_at + self.policy.lifetimes.idle,
            absolute_until: claims.expires_at,
        }
    }

    fn issue_advanced(
        &self,
        signer: &SigningKey,
        claims: &RefreshClaims,
        to: Successor,
        row: &Advanced,
    ) -> Issued {
        let tip = Tip {
            session: SessionId(claims.session),
            user: UserId(claims.user),
            grants: &row.grants,
            generation: to.generation,
            nonce: to.nonce,
            auth_time: claims.auth_time,
            rotated_at: row.rotated_at,
            idle_until: row.idle_until,
            absolute_until: claims.expires_at,
            bound_to: claims.bound_to,
        };
        self.issue(signer, &tip, row.now)
    }

    fn issue_again(
        &self,
        signer: &SigningKey,
        claims: &RefreshClaims,
        session: &Session,
        now: Timestamp,
    ) -> Issued {
        let head = session.row.head();
        let tip = Tip {
            session: session.id,
            user: session.user,
            grants: &session.holder.grants,
            generation: head.generation,
            nonce: head.nonce,
            auth_time: session.auth_time,
            rotated_at: session.row.rotated_at,
            idle_until: session.row.idle_until,
            absolute_until: session.row.absolute_until,
            bound_to: claims.bound_to,
        };
        self.issue(signer, &tip, now)
    }
}

/// The successors of an attempt that has a key.
#[derive(Debug)]
struct Named<'a> {
    ring: Arc<KeyRing>,
    spent: &'a str,
    session: Uuid,
    key: &'a IdempotencyKey,
}

impl Successors for Named<'_> {
    fn nonces(&self, generation: u64) -> Box<dyn Iterator<Item = Nonce> + '_> {
        Box::new(self.ring.successors(self.spent, self.session, generation, &self.key.0))
    }
}

/// How often a decision is made anew because the row moved meanwhile.
const MAX_ROUNDS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_has_16_to_64_visible_characters() {
        for good in ["0123456789abcdef", &"~".repeat(64), "!\"#$%&'()*+,-./:"] {
            assert!(IdempotencyKey::parse(good.as_bytes()).is_ok(), "{good}");
        }
        for bad in ["", "0123456789abcde", &"x".repeat(65), "0123456789 abcdef", "ääääääääää"]
        {
            assert!(IdempotencyKey::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = IdempotencyKey::parse(&bytes);
        }
    }
}
