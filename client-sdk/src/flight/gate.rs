//! Who may start a flight, and who joins the one in the air.

use std::{sync::Arc, time::Duration};

use tokio::{runtime::Handle, time::Instant};
use trace_context::TraceContext;
use tracing::{Instrument as _, Span};

use super::{
    How, Landing, Outcome,
    rotation::{self, Ticket},
};
use crate::{
    AuthenticationError, once,
    session::{Event, Gate, Proof, Shared, Token},
    telemetry,
};

/// Why a newer token is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The token is due, has run out, or was refused.
    Outdated,
    /// The application asks.
    Forced,
}

/// The flight in the air.
#[derive(Debug)]
pub(crate) struct Running {
    id: u64,
    /// The generation that it replaces. It may end with any newer one, so who was refused a newer
    /// one must not wait for it.
    from: u64,
    outcome: once::Receiver<Outcome>,
    span: Span,
}

/// After a failure: fail fast until then.
#[derive(Debug)]
pub(crate) struct CoolDown {
    until: Instant,
    cause: AuthenticationError,
}

impl CoolDown {
    /// What a caller is told who comes while `left` is left of it.
    fn error(&self, left: Duration) -> AuthenticationError {
        match &self.cause {
            // No matter of waiting: somebody has to see to the credentials.
            rejected @ AuthenticationError::Rejected { .. } => rejected.clone(),
            cause => {
                AuthenticationError::CoolingDown { message: cause.to_string(), retry_after: left }
            }
        }
    }
}

/// What a caller gets at the gate.
enum Boarding {
    /// It was here already.
    Token(Arc<Token>),
    /// A flight was in the air.
    Joined(Seat),
    /// A flight was started.
    Started(Seat),
}

/// A place on a flight.
struct Seat {
    flight: u64,
    outcome: once::Receiver<Outcome>,
    span: Option<tracing::Id>,
}

impl Running {
    fn seat(&self) -> Seat {
        Seat { flight: self.id, outcome: self.outcome.clone(), span: self.span.id() }
    }
}

impl Shared {
    /// A token newer than generation `failed`: the one at hand, or that of the one flight that
    /// everybody waits for.
    pub(crate) async fn renew(self: &Arc<Self>, failed: u64, cause: Cause) -> Outcome {
        let seat = match self.board(failed, cause)? {
            Boarding::Token(token) => {
                if cause == Cause::Outdated {
                    telemetry::late_refusal_saved();
                }
                return Ok(Landing { token, how: How::Adopted });
            }
            Boarding::Joined(seat) => {
                telemetry::joined();
                seat
            }
            Boarding::Started(seat) => seat,
        };
        let span = tracing::debug_span!("await_refresh", flight = seat.flight);
        span.follows_from(seat.span.clone());
        let outcome = self.wait(seat).instrument(span).await;
        // The application may have brought a newer token itself meanwhile.
        match (outcome, self.current()) {
            (Err(_), Some(token)) if token.generation > failed => {
                Ok(Landing { token, how: How::Adopted })
            }
            (outcome, _) => outcome,
        }
    }

    async fn wait(&self, seat: Seat) -> Outcome {
        // The flight bounds itself, unless the runtime that it was spawned on no longer turns.
        let limit = self.policy.budget + GRACE;
        match tokio::time::timeout(limit, seat.outcome.wait()).await {
            // Without an outcome the flight's task is gone, and took the sender with it.
            Ok(outcome) => outcome.unwrap_or(Err(AuthenticationError::Interrupted)),
            Err(_) => {
                self.ground(seat.flight);
                Err(AuthenticationError::Interrupted)
            }
        }
    }

    /// Starts a flight in the background unless there is one or there may be none. For a token that
    /// is still good, so a failure is nobody's error.
    pub(crate) fn renew_early(self: &Arc<Self>, due: u64) {
        if let Err(error) = self.board(due, Cause::Outdated) {
            tracing::trace!(%error, "no early refresh");
        }
    }

    /// Whether there is no use in sending the token of generation `refused` once more: a flight
    /// that replaces it is in the air, or the issuer has just said that there will be none.
    pub(crate) fn is_past_using(&self, refused: u64) -> bool {
        let gate = self.gate();
        let renewing = gate.flight.as_ref().is_some_and(|flight| flight.from >= refused);
        renewing
            || gate.cool_down.as_ref().is_some_and(|pause| {
                matches!(pause.cause, AuthenticationError::Rejected { .. })
                    && Instant::now() < pause.until
            })
    }

    fn board(self: &Arc<Self>, failed: u64, cause: Cause) -> Result<Boarding, AuthenticationError> {
        let mut gate = self.gate();
        let Some(token) = self.current() else {
            drop(gate);
            return Err(self.signed_out());
        };
        if token.generation > failed {
            return Ok(Boarding::Token(token));
        }
        if let Some(flight) = &gate.flight
            && flight.from >= failed
        {
            return Ok(Boarding::Joined(flight.seat()));
        }
        self.may_start(&mut gate, &token, cause)?;
        let runtime = Handle::try_current().map_err(|_| AuthenticationError::Interrupted)?;

        gate.flights += 1;
        let id = gate.flights;
        let (sender, outcome) = once::channel();
        let from = token.generation;
        // It outlives the caller who started it, so it is no child of theirs.
        let span = tracing::debug_span!(parent: None, "refresh", flight = id, generation = from);
        span.follows_from(Span::current());
        let running = Running { id, from, outcome, span: span.clone() };
        let seat = running.seat();
        gate.flight = Some(running);
        let ticket = Ticket { epoch: gate.epoch, from, forced: cause == Cause::Forced };
        // From here on a panic, and the end of the runtime, are outcomes too.
        let began = Instant::now();
        let landing = Runway { shared: Arc::clone(self), id, ticket, began, sender: Some(sender) };
        drop(gate);
        // What is asked for it is asked in the trace of the call that it is for.
        let trace = TraceContext::current().unwrap_or_else(|| self.trace_ids.root());
        runtime.spawn(
            trace
                .scope(async move {
                    let outcome = rotation::fly(&landing.shared, ticket).await;
                    landing.land(outcome);
                })
                .instrument(span),
        );
        Ok(Boarding::Started(seat))
    }

    fn may_start(
        &self,
        gate: &mut Gate,
        token: &Token,
        cause: Cause,
    ) -> Result<(), AuthenticationError> {
        let now = Instant::now();
        if let Some(pause) = &gate.cool_down
            && now < pause.until
        {
            telemetry::failed_fast();
            return Err(pause.error(pause.until - now));
        }
        if token.was_accepted() {
            gate.window.clear();
        }
        // What the application itself asks for is no loop.
        if cause == Cause::Outdated && !gate.window.admits(now) {
            tracing::warn!("refreshed too often without a token being accepted");
            return Err(AuthenticationError::WindowSpent);
        }
        Ok(())
    }

    /// Takes flight `id` off the gate.
    fn ground(&self, id: u64) {
        let mut gate = self.gate();
        if gate.flight.as_ref().is_some_and(|flight| flight.id == id) {
            gate.flight = None;
        }
    }
}

/// Sees to it that a flight has an outcome, however it ends.
struct Runway {
    shared: Arc<Shared>,
    id: u64,
    ticket: Ticket,
    began: Instant,
    sender: Option<once::Sender<Outcome>>,
}

impl Runway {
    fn land(mut self, outcome: Outcome) {
        self.settle(&outcome);
        self.announce(outcome);
    }

    /// What the next callers find at the gate.
    fn settle(&self, outcome: &Outcome) {
        let policy = &self.shared.policy;
        let mut gate = self.shared.gate();
        if gate.epoch != self.ticket.epoch {
            return;
        }
        match outcome {
            Ok(Landing { how: How::Renewed, .. }) if !self.ticket.forced => {
                gate.window.record(Instant::now());
            }
            Ok(_) => {}
            Err(error) => {
                let pause = match error {
                    AuthenticationError::Unreachable { retry_after, .. } => *retry_after,
                    AuthenticationError::Store { .. } => policy.cool_down,
                    AuthenticationError::Rejected { .. } if policy.proof == Proof::Credentials => {
                        REJECTED_PAUSE
                    }
                    _ => return,
                };
                let until = Instant::now() + pause.min(LONGEST_COOL_DOWN);
                let message = error.to_string();
                gate.cool_down = Some(CoolDown { until, cause: error.clone() });
                drop(gate);
                tracing::warn!(%error, "the refresh failed");
                self.shared.emit(Event::RefreshFailing { message });
            }
        }
    }

    fn announce(&mut self, outcome: Outcome) {
        // First the gate, then the waiters: one who asks again must not find this flight.
        self.shared.ground(self.id);
        if let Some(sender) = self.sender.take() {
            telemetry::landed(&outcome, self.began.elapsed());
            sender.send(outcome);
        }
    }
}

impl Drop for Runway {
    fn drop(&mut self) {
        if self.sender.is_some() {
            tracing::error!(flight = self.id, "the refresh was interrupted");
            self.announce(Err(AuthenticationError::Interrupted));
        }
    }
}

/// How much longer than a flight's own budget its waiters wait.
const GRACE: Duration = Duration::from_secs(5);

/// How long rejected credentials are not shown again: a wrong secret should not be tried at the rate
/// of the calls, and an account that was enabled again should not stay out for long.
const REJECTED_PAUSE: Duration = Duration::from_secs(10);

/// An issuer may ask for more, but a wrong number from it must not stop a client for a day.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(60);
