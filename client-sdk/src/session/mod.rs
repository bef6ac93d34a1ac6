//! The session: who is signed in, and the handle that applications hold.

#[cfg(feature = "auth-service")]
mod account;
mod builder;
mod events;
mod handle;
#[cfg(feature = "auth-service")]
mod identity;
mod policy;
mod shared;
mod state;
mod token;
mod watcher;

#[cfg(feature = "auth-service")]
pub use self::identity::Identity;
pub use self::{
    builder::SessionBuilder,
    events::{Event, Events},
    handle::Session,
    policy::{OnUnreachable, ReplayForeign},
    state::{SessionState, SignOutReason},
};
pub(crate) use self::{
    policy::{Policy, Proof},
    shared::{Base, Gate, Held, Saved, Shared},
    token::{Age, Freshness, Token},
};
