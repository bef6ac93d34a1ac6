//! Where revocations are heard of.

use std::{fmt, pin::Pin};

use bytes::Bytes;
use evergreen_proto::auth::v1::{
    self as pb, WatchRevocationsRequest, auth_service_client::AuthServiceClient,
};
use futures_util::{Stream, StreamExt as _, stream::BoxStream};
use token::clock::Timestamp;
use tonic::{Status, body::Body, codegen::StdError};

/// Tells of revocations as they are acknowledged.
///
/// The follower listens to one stream at a time, and asks for the next, with backoff, when one ends,
/// fails, or is silent for [`RevocationsBuilder::SILENCE`](super::RevocationsBuilder::SILENCE).
pub trait RevocationSource: fmt::Debug + Send + Sync + 'static {
    /// Revocations from `cursor` on, or from a snapshot on if the cursor is empty or means nothing
    /// to the source any more.
    fn watch(&self, cursor: String) -> WatchFuture<'_>;
}

/// What [`RevocationSource::watch`] returns.
pub type WatchFuture<'a> =
    Pin<Box<dyn Future<Output = Result<RevocationStream, Status>> + Send + 'a>>;

/// Pieces of news, until it breaks.
pub type RevocationStream = Pin<Box<dyn Stream<Item = Result<News, Status>> + Send>>;

/// What a source says at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Whether this begins a snapshot, which takes the place of all that was known.
    pub snapshot: bool,
    /// What was revoked. None is news too: the source is well.
    pub revocations: Vec<Revocation>,
    /// Where to go on after a break. Empty in all but the last piece of a snapshot.
    pub cursor: String,
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// What was revoked.
    pub entry: Entry,
    /// No token concerned has a later `exp`.
    pub until: Timestamp,
}

/// What was revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// A session: its tokens are refused with `SESSION_REVOKED`.
    Session {
        /// Its id.
        session_id: String,
    },
    /// The older tokens of a user or service account: they are refused with
    /// `ACCESS_TOKEN_EXPIRED`, so that the client gets a new one.
    Account {
        /// Its id.
        user_id: String,
        /// Tokens with a lesser `roles_version` are stale.
        roles_version: u32,
    },
}

impl Entry {
    /// The id of what was revoked.
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Session { session_id } => session_id,
            Self::Account { user_id, .. } => user_id,
        }
    }
}

/// AuthService's `WatchRevocations`.
#[derive(Clone)]
pub struct AuthServiceRevocations<T>(AuthServiceClient<T>);

impl<T> AuthServiceRevocations<T>
where
    T: tonic::client::GrpcService<Body>,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    /// Asks over `transport`, which attaches a service account's access token: a channel behind the
    /// layer of a service's session.
    pub fn new(transport: T) -> Self {
        Self(AuthServiceClient::new(transport))
    }
}

impl<T> fmt::Debug for AuthServiceRevocations<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthServiceRevocations").finish_non_exhaustive()
    }
}

impl<T> RevocationSource for AuthServiceRevocations<T>
where
    T: tonic::client::GrpcService<Body> + Clone + Send + Sync + 'static,
    T::Future: Send,
    T::Error: Into<StdError>,
    T::ResponseBody: http_body::Body<Data = Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
{
    fn watch(&self, cursor: String) -> WatchFuture<'_> {
        let mut client = self.0.clone();
        Box::pin(async move {
            let answers = client.watch_revocations(WatchRevocationsRequest { cursor }).await?;
            let news: BoxStream<'static, _> =
                answers.into_inner().map(|answer| answer.map(News::from)).boxed();
            Ok(news)
        })
    }
}

impl From<pb::WatchRevocationsResponse> for News {
    fn from(answer: pb::WatchRevocationsResponse) -> Self {
        let revocations = answer.revocations.into_iter().map(Revocation::from).collect();
        Self { snapshot: answer.snapshot, revocations, cursor: answer.cursor }
    }
}

impl From<pb::Revocation> for Revocation {
    fn from(entry: pb::Revocation) -> Self {
        // An entry without an end is kept until a snapshot leaves it out.
        let until = entry.expire_time.map_or(i64::MAX / 2, |end| {
            end.seconds.saturating_mul(1_000).saturating_add(i64::from(end.nanos) / 1_000_000)
        });
        let until = Timestamp::from_unix_millis(until);
        let entry = if entry.user_id.is_empty() {
            Entry::Session { session_id: entry.session_id }
        } else {
            Entry::Account { user_id: entry.user_id, roles_version: entry.roles_version }
        };
        Self { entry, until }
    }
}
