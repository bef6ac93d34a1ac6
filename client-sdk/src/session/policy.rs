//! The knobs of a session.

use std::time::Duration;

/// Whether a call is replayed after an `UNAUTHENTICATED` that gives no reason, and so no proof that
/// the server did nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplayForeign {
    /// Always. Right where a gateway checks tokens before any handler runs.
    Always,
    /// Only a request that carries [`Idempotent`](crate::Idempotent) in its extensions.
    #[default]
    IdempotentOnly,
}

/// What becomes of a session whose token service cannot be reached within the budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnUnreachable {
    /// It is kept, and a later call tries again.
    #[default]
    Keep,
    /// It ends, and the store is cleared.
    SignOut,
}

/// What a session proves when it asks for its next token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Credentials of its refresher's own. They outlive every token and every rejection: what is
    /// disabled today may be enabled tomorrow.
    Credentials,
    /// A refresh token, which ends with the session.
    #[default]
    RefreshToken,
}

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) proof: Proof,
    pub(crate) proactive: bool,
    pub(crate) budget: Duration,
    pub(crate) attempt_timeout: Duration,
    pub(crate) cool_down: Duration,
    pub(crate) window: (usize, Duration),
    pub(crate) replay_cap: usize,
    pub(crate) replay_foreign: ReplayForeign,
    pub(crate) on_unreachable: OnUnreachable,
    #[cfg(feature = "auth-service")]
    pub(crate) device_name: String,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            proof: Proof::default(),
            proactive: true,
            budget: Duration::from_secs(20),
            attempt_timeout: Duration::from_secs(5),
            cool_down: Duration::from_secs(2),
            window: (5, Duration::from_secs(30)),
            replay_cap: 1 << 20,
            replay_foreign: ReplayForeign::default(),
            on_unreachable: OnUnreachable::default(),
            #[cfg(feature = "auth-service")]
            device_name: String::new(),
        }
    }
}
