//! The inbound half: verifies Evergreen's access tokens in any tonic service.
//!
//! A [`GuardLayer`] in front of a service reads the bearer token of each call, checks it against
//! AuthService's published keys, and hands the handler a [`Caller`] in the request's extensions. A
//! call that it refuses never reaches the handler: that is the proof, to the client's layer, that
//! nothing was done and the call may be replayed with a newer token.
//!
//! # What it answers
//!
//! | the call | code | reason |
//! | --- | --- | --- |
//! | has no token | `UNAUTHENTICATED` | `ACCESS_TOKEN_MISSING` |
//! | has a malformed or forged one, two of them, or one of another kind, issuer or audience | `UNAUTHENTICATED` | `ACCESS_TOKEN_INVALID` |
//! | has one that was good once | `UNAUTHENTICATED` | `ACCESS_TOKEN_EXPIRED` |
//! | names a method that the [`Policy`] denies to its caller | `PERMISSION_DENIED` | `PERMISSION_DENIED` |
//! | cannot be judged, since no keys could be had | `UNAVAILABLE`, with `RetryInfo` | `KEYS_UNAVAILABLE` |
//!
//! All of them carry an `ErrorInfo` of domain `evergreen`.
//!
//! # Keys
//!
//! [`KeyCache`] fetches the keys at first need, once for all who wait; again when their age is
//! over, so that a key which was withdrawn is no longer trusted; and again when a token names a key
//! that it does not know, though not more often than its interval allows, so that made-up names
//! cannot be used to press AuthService. While AuthService is down the known keys go on serving.
//!
//! # Tokens
//!
//! A token's signature is verified once; while it is good and the keys are the same, the next calls
//! with it are told by its digest. Only good tokens are remembered, so forged ones displace none.
//!
//! # What it does not do
//!
//! It does not learn of revoked sessions: a token stays good until it runs out. It does not look at
//! the body. It takes no token from anywhere but the `authorization` metadata.
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use client_sdk::guard::{AuthServiceKeys, Guard, GuardLayer, KeyCache, Policy};
//! use token::clock::SystemClock;
//! use tonic::transport::Endpoint;
//!
//! let auth = Endpoint::from_static("http://127.0.0.1:50051").connect_lazy();
//! let keys = KeyCache::new(AuthServiceKeys::new(auth), Arc::new(SystemClock::new()));
//! let guard = Guard::new("evergreen", "evergreen", keys);
//! let policy = Policy::deny_all()
//!     .public("/shop.v1.ShopService/ListWares")
//!     .authenticated("/shop.v1.ShopService/Buy")
//!     .role("/shop.v1.ShopService/SetPrice", "admin");
//! let layer = GuardLayer::new(guard, policy);
//! # let _ = layer;
//! ```
//!
//! A handler then reads `request.extensions().get::<Caller>()`.

mod caller;
mod interceptor;
mod jwks;
mod keys;
mod layer;
mod policy;
mod refusal;
mod verified;
mod verify;

#[cfg(test)]
mod tests;

pub use self::{
    caller::Caller,
    interceptor::GuardInterceptor,
    jwks::{AuthServiceKeys, FetchError, FetchFuture, KeySource, Keys},
    keys::KeyCache,
    layer::{GuardLayer, Guarded, ResponseFuture},
    policy::{Access, Policy},
    refusal::Refusal,
    verify::Guard,
};
pub use token::Kind;
