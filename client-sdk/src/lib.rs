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
//! # What is sent again, and what never is
//!
//! A call is sent a second time, and never a third, when all of this holds:
//!
//! - it was answered `UNAUTHENTICATED` before any message of its response;
//! - the answer proves that the server did nothing: it names an Evergreen reason, which a guard
//!   gives before a handler runs. Without a reason it takes [`Idempotent`] on the request, or
//!   [`ReplayForeign::Always`];
//! - the request was kept: up to a cap, and let go of at the first message of the response;
//! - the session is still the same user's, and the call's deadline has not passed. `grpc-timeout`
//!   covers the first send, the refresh and the second send together.
//!
//! Where one of these fails, the server's own answer is returned, with the metadata
//! `evergreen-not-replayed` that says why; the refresh happens all the same and serves the next
//! call. Nothing else is ever repeated: not `UNAVAILABLE`, not a lost connection, not a stream that
//! had begun. A retry policy of one's own goes above the layer.
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
//! # When to show a login
//!
//! When [`Session::events`] says [`Event::SignedOut`], and at no other time: no error of a call
//! means that a person has to type a password.
//!
//! ```no_run
//! # async fn example(session: client_sdk::Session) {
//! use client_sdk::Event;
//!
//! let mut events = session.events();
//! tokio::spawn(async move {
//!     while let Some(event) = events.recv().await {
//!         match event {
//!             Event::SignedOut { reason } => println!("please log in again: {reason}"),
//!             Event::RefreshFailing { message } => println!("offline: {message}"),
//!             _ => {}
//!         }
//!     }
//! });
//! # }
//! ```
//!
//! # Streams
//!
//! A stream that is refused before its first message is replayed like any call. One that breaks
//! later is not: its receiver alone knows how far it had come. [`resume::Resumed`] opens it again
//! from the cursor of the last message.
//!
//! # TLS
//!
//! Every place that takes an endpoint takes an [`Endpoint`](tonic::transport::Endpoint) with TLS of its
//! own, and goes by it for logins and refreshes too. To a session's builder an `https` URL alone will do:
//! whom the machine trusts is trusted then, since that is its owner's choice, and a list that was
//! compiled in could only grow old. A channel of one's own is told so, as any of tonic's. For servers
//! with a CA of their own, or which ask for a certificate, say both once:
//!
//! ```no_run
//! # #[cfg(feature = "tls")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use client_sdk::Session;
//! use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
//! use tower::ServiceBuilder;
//!
//! let tls = ClientTlsConfig::new()
//!     .ca_certificate(Certificate::from_pem(std::fs::read("ca.pem")?))
//!     .identity(Identity::from_pem(std::fs::read("me.pem")?, std::fs::read("me.key")?));
//! let auth = Endpoint::from_static("https://auth.example:50051").tls_config(tls.clone())?;
//! let api = Endpoint::from_static("https://api.example:50052").tls_config(tls)?;
//!
//! let session = Session::builder(auth).connect().await?;
//! let channel = ServiceBuilder::new().layer(session.layer()).service(api.connect_lazy());
//! # let _ = channel;
//! # Ok(())
//! # }
//! ```
//!
//! AuthService may bind the session to the key of that certificate. A refresh without it is refused, and
//! is a refresh that did not get through: the session stays, and goes on with the certificate.
//!
//! # Many users over one channel
//!
//! [`ReauthLayer::per_request`] sends each call as the [`Session`] in its extensions: a gateway puts
//! its user's there. Sessions share nothing with each other but the channel.
//!
//! # Services
//!
//! [`Session::service`] is the session of a service account: each access token is a login with its
//! client id and secret, by the same one flight, and nothing is stored. It is there from the start,
//! and a rejection does not end it, so that a service whose account was enabled again, or whose
//! secret an operator has brought back, needs no restart.
//! [`Session::with_credentials`] is the same for another issuer.
//!
//! A service that calls *on behalf of a user* passes the user's token through: a request that has an
//! `authorization` of its own is left alone by the layer.
//!
//! ```
//! use tonic::{Request, Status};
//!
//! /// `message` in the name of whoever sent `incoming`.
//! fn on_behalf_of<T, U>(incoming: &Request<T>, message: U) -> Result<Request<U>, Status> {
//!     // Without it the call would go out in the name of the service.
//!     let token = incoming.metadata().get("authorization");
//!     let token = token.ok_or_else(|| Status::unauthenticated("nobody to call for"))?;
//!     let mut outgoing = Request::new(message);
//!     outgoing.metadata_mut().insert("authorization", token.clone());
//!     Ok(outgoing)
//! }
//! ```
//!
//! Not with its own token: the service behind would judge and note the wrong caller, a user would
//! get at whatever the service may do, and what becomes of the user's session would stop nothing. If
//! the user's token is refused there, hand the refusal on as it is: the user's own client refreshes
//! and sends the call again.
//!
//! # Among other layers
//!
//! A call holds nothing of the service below while it waits for a token: no permit of a concurrency
//! limit, no place in a buffer. A timeout above drops the call and not the refresh. A retry, a load
//! balancer and a rate limit see each send as a call of its own if they are below, and both as one
//! if they are above.
//!
//! # Testing code that uses it
//!
//! [`testing::ScriptedRefresher`] stands in for the token service: it answers as it is told to,
//! counts its attempts, and needs no network. Time is tokio's, so a test may pause it.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), client_sdk::AuthenticationError> {
//! use client_sdk::{AuthenticationError, Renewal, Session, testing};
//!
//! let reason = "REFRESH_TOKEN_EXPIRED".to_owned();
//! let refresher = testing::ScriptedRefresher::new()
//!     .then(testing::Step::Answer(Renewal::Rejected { reason }));
//! let session = Session::custom(refresher).connect().await?;
//! session.set_tokens(testing::pair(0)).await?;
//!
//! assert!(matches!(session.refresh().await, Err(AuthenticationError::Rejected { .. })));
//! # Ok(())
//! # }
//! ```
//!
//! # What can be watched
//!
//! Spans of `tracing`: `refresh` for each refresh, and `await_refresh` for each call that waits,
//! which follows from the refresh that it waits for. No span, event or error holds a token.
//!
//! Each call names its trace in `traceparent` (W3C Trace Context): what its sender has put there, or
//! the [`TraceContext`] of the task that makes it, or a new one. Its replay names the same, and so does
//! the refresh that it causes: by one id a call is found in the logs of every service that had to do
//! with it. `tracestate` travels as it was sent.
//!
//! With the feature `metrics`, through the facade of that name:
//!
//! | counter, all with the prefix `evergreen_client_` | |
//! | --- | --- |
//! | `refreshes_total{outcome}` | refreshes by outcome: `renewed`, `adopted` from another process, `rejected`, `unreachable`, `store_unavailable`, `interrupted`, `signed_out`, `failed` |
//! | `refresh_joiners_total` | calls that waited for a refresh which another had started |
//! | `refresh_failed_fast_total` | calls turned away because a refresh had just failed |
//! | `late_refusals_total` | refusals of a token that had been replaced already: no refresh |
//! | `replays_total` | calls sent again |
//! | `replays_declined_total{reason}` | refused calls that were not: `no_proof`, `too_large`, `session_left` |
//!
//! and the histograms `evergreen_client_refresh_duration_seconds` and
//! `evergreen_client_refresh_backoff_seconds`.
//!
//! # Features
//!
//! | | |
//! | --- | --- |
//! | `auth-service` (default) | the [`Refresher`] that speaks to Evergreen's AuthService, and `Session`'s login and logout |
//! | `guard` | the inbound half: verifies access tokens in any tonic service |
//! | `keyring` | a store in the operating system's keyring |
//! | `metrics` | counts |
//!
//! Without `auth-service` nothing of Evergreen's own services is compiled in: [`Session::custom`]
//! takes any [`Refresher`].

#![warn(missing_docs)]

mod error;
mod flight;
#[cfg(feature = "guard")]
pub mod guard;
mod once;
mod pair;
mod reauth;
mod refresher;
// It needs no other schedule than its one caller's.
#[cfg(not(interleaved))]
pub mod resume;
mod session;
pub mod store;
mod sync;
mod telemetry;
pub mod testing;
#[cfg(feature = "auth-service")]
mod trace;

pub use self::{
    error::AuthenticationError,
    pair::{InvalidToken, TokenPair},
    reauth::{Idempotent, Reauth, ReauthLayer, ResponseFuture},
    refresher::{RefreshFuture, RefreshRequest, Refresher, Renewal},
    session::{
        Event, Events, OnUnreachable, ReplayForeign, Session, SessionBuilder, SessionState,
        SignOutReason,
    },
};
pub use trace_context::TraceContext;

#[cfg(feature = "auth-service")]
pub use self::{
    refresher::{AuthServiceRefresher, ServiceRefresher},
    session::Identity,
};

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
