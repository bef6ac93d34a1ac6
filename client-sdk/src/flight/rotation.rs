//! One refresh, from the store's lock to the saved answer.
//!
//! The order of steps is what makes rotation lose nobody: the attempt's key is in the store before
//! it is sent, the same attempt is repeated until it is answered, and an answer counts only while
//! the store still holds the attempt that it answers.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::time::{Instant, timeout};

use super::{
    Backoff, How, Landing, Outcome,
    reconcile::{Plan, reconcile},
};
use crate::{
    AuthenticationError, RefreshRequest, Renewal, TokenPair,
    session::{
        Age, Base, Event, Freshness, Held, OnUnreachable, Proof, Saved, Shared, SignOutReason,
    },
    store::{Attempt, Record, StoreGuard},
};

/// What a flight sets out with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) epoch: u64,
    /// The generation to replace.
    pub(super) from: u64,
    /// What another process has saved does not do.
    pub(super) forced: bool,
}

/// Gets a token newer than the ticket's.
pub(super) async fn fly(shared: &Arc<Shared>, ticket: Ticket) -> Outcome {
    let backoff = Backoff::new(shared.policy.budget, Arc::clone(&shared.entropy));
    let guard = tokio::select! {
        biased;
        () = shared.epoch_over(ticket.epoch) => return Err(shared.signed_out()),
        guard = shared.lock_store(shared.policy.budget) => guard?,
    };
    Rotation { shared, ticket, guard, backoff, superseded: false }.run().await
}

struct Rotation<'a> {
    shared: &'a Arc<Shared>,
    ticket: Ticket,
    /// Held until the answer is stored.
    guard: Box<dyn StoreGuard>,
    backoff: Backoff,
    /// This flight has already made its one further attempt.
    superseded: bool,
}

enum Step {
    Land(Landing),
    /// The attempt has no answer yet.
    Repeat,
    /// The store no longer holds the attempt that was answered.
    ReadAgain,
    /// This record's attempt is in the store and may be sent.
    Send(Record),
}

impl Rotation<'_> {
    async fn run(mut self) -> Outcome {
        loop {
            let record = match self.plan().await? {
                Step::Land(landing) => return Ok(landing),
                Step::Send(record) => record,
                Step::Repeat | Step::ReadAgain => continue,
            };
            // Nobody writes under our lock. A store that lost it all the same, as over a suspend,
            // is read again before every send.
            while self.still_holds(&record).await? {
                let renewal = self.send(&record).await?;
                match self.digest(&record, renewal).await? {
                    Step::Land(landing) => return Ok(landing),
                    Step::Repeat => {}
                    Step::ReadAgain | Step::Send(_) => break,
                }
            }
        }
    }

    /// Either a token that needs no attempt, or a record whose attempt is in the store.
    async fn plan(&mut self) -> Result<Step, AuthenticationError> {
        let held = self.held()?;
        if let Some(token) = self.shared.current()
            && token.generation > self.ticket.from
            && !self.ticket.forced
        {
            return Ok(Step::Land(Landing { token, how: How::Adopted }));
        }
        let stored = self.guard.load().await?;
        let record = match reconcile(&held, stored) {
            Plan::Adopt(record) => return self.adopt(&record),
            Plan::Gone => {
                self.shared.sign_out(Some(self.ticket.epoch), SignOutReason::Elsewhere);
                return Err(self.shared.signed_out());
            }
            Plan::Rotate(record) if record.attempt.is_some() => record,
            Plan::Rotate(record) | Plan::SaveAndRotate(record) => {
                let record = record.with_attempt(Attempt::draw(&*self.shared.entropy, false));
                self.guard.save(&record).await?;
                record
            }
        };
        self.shared.set_saved(self.ticket.epoch, Saved::Yes);
        Ok(Step::Send(record))
    }

    /// Takes over what another process has saved, and goes on from it if it will not do.
    fn adopt(&self, record: &Record) -> Result<Step, AuthenticationError> {
        let age = self.shared.age_of(record);
        let token = self
            .shared
            .commit(self.ticket.epoch, Held::adopted(record), age)
            .ok_or_else(|| self.shared.signed_out())?;
        tracing::debug!("another process has refreshed");
        let good = matches!(token.freshness(Instant::now()), Freshness::Fresh | Freshness::Due);
        if good && !self.ticket.forced {
            return Ok(Step::Land(Landing { token, how: How::Adopted }));
        }
        Ok(Step::ReadAgain)
    }

    async fn send(&mut self, record: &Record) -> Result<Renewal, AuthenticationError> {
        // The issuer has said all that there is to say of this one.
        if let Some(reason) = self.shared.gate().rejection_of(&record.pair) {
            return Ok(Renewal::Rejected { reason: reason.to_owned() });
        }
        let request = RefreshRequest::of(record).expect("a planned record has an attempt");
        let limit = self.backoff.remaining().min(self.shared.policy.attempt_timeout);
        let answer = timeout(limit, self.shared.refresher.refresh(request));
        tokio::select! {
            biased;
            () = self.shared.epoch_over(self.ticket.epoch) => Err(self.shared.signed_out()),
            answer = answer => Ok(answer.unwrap_or_else(|_| Renewal::Unreachable {
                message: "no answer in time".to_owned(),
                retry_after: None,
            })),
        }
    }

    async fn digest(
        &mut self,
        sent: &Record,
        renewal: Renewal,
    ) -> Result<Step, AuthenticationError> {
        // An answer to a session that has been left is nobody's.
        self.held()?;
        match renewal {
            Renewal::Renewed(pair) => self.renewed(sent, pair).await,
            Renewal::Rejected { reason } => self.rejected(sent, reason).await,
            Renewal::Superseded => self.superseded(sent).await,
            Renewal::Unreachable { message, retry_after } => {
                self.unreachable(message, retry_after).await
            }
        }
    }

    async fn renewed(
        &mut self,
        sent: &Record,
        mut pair: TokenPair,
    ) -> Result<Step, AuthenticationError> {
        // RFC 6749 section 6: an issuer that does not rotate sends no new refresh token.
        if pair.refresh_token.expose_secret().is_empty() {
            pair.refresh_token = sent.pair.refresh_token.clone();
        }
        // Credentials make one session, however their issuer names each login.
        let is_same = self.shared.policy.proof == Proof::Credentials;
        if is_same || pair.session_id.is_empty() {
            pair.session_id.clone_from(&sent.pair.session_id);
        }
        let next = Record::new(pair.clone(), self.shared.clock.now());
        let saved = match self.guard.load().await {
            Ok(Some(stored)) if stored.same(sent) => self.guard.save(&next).await,
            Ok(_) => return Ok(Step::ReadAgain),
            Err(e) => Err(e),
        };
        let failure = saved.err();
        let saved = match &failure {
            None => Saved::Yes,
            Some(_) => Saved::No(Base::Was(Some(sent.clone()))),
        };
        let held = Held { pair, received_at: next.received_at, saved };
        let token = self
            .shared
            .commit(self.ticket.epoch, held, Age::Now)
            .ok_or_else(|| self.shared.signed_out())?;
        if let Some(error) = failure {
            tracing::error!(%error, "the new tokens could not be saved");
            self.shared.emit(Event::SaveFailed { message: error.to_string() });
        }
        Ok(Step::Land(Landing { token, how: How::Renewed }))
    }

    async fn rejected(
        &mut self,
        sent: &Record,
        reason: String,
    ) -> Result<Step, AuthenticationError> {
        if !self.still_holds(sent).await? {
            return Ok(Step::ReadAgain);
        }
        if self.shared.policy.proof == Proof::Credentials {
            // A token that is still good goes on being used.
            return Err(AuthenticationError::Rejected { reason });
        }
        self.shared.gate().reject(sent.pair.refresh_token.clone(), reason.clone());
        self.end(SignOutReason::Rejected(reason.clone())).await;
        Err(AuthenticationError::Rejected { reason })
    }

    /// Another attempt has spent the token. Whose it was shows in the store; if it does not, one
    /// attempt under a new key says so and settles it.
    async fn superseded(&mut self, sent: &Record) -> Result<Step, AuthenticationError> {
        if !self.still_holds(sent).await? {
            return Ok(Step::ReadAgain);
        }
        if self.superseded {
            return self
                .give_up("superseded, and nothing newer in the store".to_owned(), None)
                .await;
        }
        self.superseded = true;
        let next = sent.clone().with_attempt(Attempt::draw(&*self.shared.entropy, true));
        self.guard.save(&next).await?;
        Ok(Step::ReadAgain)
    }

    async fn unreachable(
        &mut self,
        message: String,
        asked: Option<Duration>,
    ) -> Result<Step, AuthenticationError> {
        tracing::debug!(message, "the refresh did not get through");
        let again = tokio::select! {
            biased;
            () = self.shared.epoch_over(self.ticket.epoch) => return Err(self.shared.signed_out()),
            again = self.backoff.wait(asked) => again,
        };
        if again { Ok(Step::Repeat) } else { self.give_up(message, asked).await }
    }

    async fn give_up(
        &mut self,
        message: String,
        asked: Option<Duration>,
    ) -> Result<Step, AuthenticationError> {
        let policy = &self.shared.policy;
        let retry_after = policy.cool_down.max(asked.unwrap_or_default());
        if policy.on_unreachable == OnUnreachable::SignOut && policy.proof == Proof::RefreshToken {
            self.end(SignOutReason::Unreachable).await;
        }
        Err(AuthenticationError::Unreachable { message, retry_after })
    }

    /// Ends the session: in memory first, so that nothing uses it while the store is cleared.
    async fn end(&mut self, reason: SignOutReason) {
        if self.shared.sign_out(Some(self.ticket.epoch), reason).is_some()
            && let Err(error) = self.guard.clear().await
        {
            tracing::warn!(%error, "the ended session is still in the store");
        }
    }

    /// The pair in memory, if the session is still the one that the flight began for.
    fn held(&self) -> Result<Held, AuthenticationError> {
        let gate = self.shared.gate();
        let held = gate.held.clone().filter(|_| gate.epoch == self.ticket.epoch);
        drop(gate);
        held.ok_or_else(|| self.shared.signed_out())
    }

    async fn still_holds(&mut self, record: &Record) -> Result<bool, AuthenticationError> {
        let stored = self.guard.load().await?;
        Ok(stored.is_some_and(|stored| stored.same(record)))
    }
}
