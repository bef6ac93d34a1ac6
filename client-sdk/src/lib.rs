//! Keeps gRPC sessions alive: a tower layer that attaches the access token, refreshes it once for
//! everybody when it has run out, and replays what was refused.
//!
//! # Quickstart
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client_sdk::{Session, store::FileStore};
//! use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
//! use tonic::transport::Endpoint;
//! use tower::ServiceBuilder;
//!
//! let session = Session::builder("http://127.0.0.1:50051")
//!     .store(FileStore::open("tokens.json")?)
//!     .connect()
//!     .await?;
//! session.login("ada", "correct horse battery").await?; // or go on with what the store holds
//!
//! let channel = ServiceBuilder::new()
//!     .layer(session.layer())
//!     .service(Endpoint::from_static("http://127.0.0.1:50052").connect_lazy());
//! let trees = ApiServiceClient::new(channel).list_trees(ListTreesRequest::default()).await?;
//! # let _ = trees;
//! # Ok(())
//! # }
//! ```
//!
//! # What it does
//!
//! A [`Session`] holds the tokens of one user or service; clones share them. [`Session::layer`]
//! makes the [`ReauthLayer`] that goes on a channel and describes, step by step, what happens to a
//! call. However many calls are refused at once, there is one refresh, in a task of its own: a
//! caller that goes away harms nobody, and everybody who waited gets the same outcome.
//!
//! Tokens live in a [`Store`](store::Store): in memory, in a file that processes may share, or in
//! one of your own. The key that names a refresh attempt is stored before the attempt is sent, so
//! that neither a lost answer nor a crash costs the session.
//!
//! A session ends only when the token service itself says so. Everything else, such as a server that
//! cannot be reached, is an error to the call and leaves the session as it is.
//!
//! # What a caller sees
//!
//! A stub returns a [`tonic::Status`]; [`AuthenticationError::from_status`] says what it means:
//!
//! | | code |
//! | --- | --- |
//! | signed out, or the session was rejected | `UNAUTHENTICATED` |
//! | refused again after a refresh, or too many refreshes in vain | `UNAUTHENTICATED` |
//! | refresh unreachable or cooling down, store unavailable | `UNAVAILABLE`, with `RetryInfo` |
//! | the call's deadline passed | `DEADLINE_EXCEEDED` |
//!
//! An application shows its login when [`Session::events`] says [`Event::SignedOut`].
//!
//! # Other issuers
//!
//! [`Session::custom`] takes any [`Refresher`]; without the feature `auth-service` nothing of
//! Evergreen's own services is compiled in.

#![warn(missing_docs)]

mod error;
mod flight;
#[cfg(feature = "guard")]
pub mod guard;
mod pair;
mod reauth;
mod refresher;
mod session;
pub mod store;
mod sync;
mod telemetry;
pub mod testing;

pub use self::{
    error::AuthenticationError,
    pair::TokenPair,
    reauth::{Idempotent, Reauth, ReauthLayer, ResponseFuture},
    refresher::{RefreshFuture, RefreshRequest, Refresher, Renewal},
    session::{
        Event, Events, OnUnreachable, ReplayForeign, Session, SessionBuilder, SessionState,
        SignOutReason,
    },
};
#[cfg(feature = "auth-service")]
pub use self::{refresher::AuthServiceRefresher, session::Identity};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
