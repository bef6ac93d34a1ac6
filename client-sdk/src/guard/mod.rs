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
//! | has one that was good once, or whose roles have changed since | `UNAUTHENTICATED` | `ACCESS_TOKEN_EXPIRED` |
//! | has one of a session that was ended | `UNAUTHENTICATED` | `SESSION_REVOKED` |
//! | names a method that the [`Policy`] denies to its caller | `PERMISSION_DENIED` | `PERMISSION_DENIED` |
//! | cannot be judged, since no keys could be had | `UNAVAILABLE`, with `RetryInfo` | `KEYS_UNAVAILABLE` |
//! | cannot be judged, since revocations were not heard for too long, and the service asked for that | `UNAVAILABLE`, with `RetryInfo` | `REVOCATIONS_UNAVAILABLE` |
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
//! # Revocations
//!
//! With [`Revocations`] a token is refused as soon as AuthService has told that its session was
//! ended, and a response that streams to its caller ends with `SESSION_REVOKED`. Without them a
//! token is good until it runs out.
//!
//! # What it does not do
//!
//! It does not look at the body. It takes no token from anywhere but the `authorization` metadata.
//! It cuts no call that a handler works on before it answers, an upload neither; and with a
//! [`GuardInterceptor`] no answer either. A stream does not end when its caller's token runs out, only
//! when the session is ended, or when the token ran out while revocations could not be heard.
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use client_sdk::guard::{
//!     AuthServiceKeys, AuthServiceRevocations, Guard, GuardLayer, KeyCache, Policy, Revocations,
//! };
//! use token::clock::SystemClock;
//! use tonic::transport::{Channel, Endpoint};
//!
//! # fn layer(service: Channel) -> GuardLayer {
//! let clock = Arc::new(SystemClock::new());
//! let auth = Endpoint::from_static("http://127.0.0.1:50051").connect_lazy();
//! let keys = KeyCache::new(AuthServiceKeys::new(auth), clock.clone());
//! // `service` is a channel behind the layer of a service account's session.
//! let revocations = Revocations::of(AuthServiceRevocations::new(service), clock).follow();
//! let guard = Guard::new("evergreen", "evergreen", keys).revocations(revocations);
//! let policy = Policy::deny_all()
//!     .public("/shop.v1.ShopService/ListWares")
//!     .authenticated("/shop.v1.ShopService/Buy")
//!     .any_role("/shop.v1.ShopService/SetPrice", ["admin", "owner"])
//!     .service("/shop.v1.ShopService/Restock");
//! GuardLayer::new(guard, policy)
//! # }
//! ```
//!
//! A handler then reads `request.extensions().get::<Caller>()`.

mod body;
mod caller;
mod interceptor;
mod jwks;
mod keys;
mod layer;
mod policy;
mod refusal;
mod revocations;
mod verified;
mod verify;

#[cfg(test)]
mod tests;

pub use self::{
    caller::{Caller, Identity},
    interceptor::GuardInterceptor,
    jwks::{AuthServiceKeys, FetchError, FetchFuture, KeySource, Keys},
    keys::KeyCache,
    layer::{GuardLayer, Guarded, ResponseFuture},
    policy::{Access, Policy},
    refusal::Refusal,
    revocations::{
        AuthServiceRevocations, Entry, News, Revocation, RevocationSource, RevocationStream,
        Revocations, RevocationsBuilder, WatchFuture, WhileSilent,
    },
    verify::{Guard, Statistics},
};
pub use token::Kind;
