//! Server streams that go on where they broke.
//!
//! Where each message of a stream tells a cursor, and the call that opens the stream takes one, what
//! listens need not care for lost connections, restarted servers and tokens that ran out: [`Resumed`]
//! opens the stream again from the cursor of the last message that was received. So each message is
//! received at least once, and once exactly if the server tells what comes after a cursor and nothing
//! before.
//!
//! It does not judge what a cursor means, and repeats no call that failed for good: a cursor that
//! the server does not know any more ends it, with the server's status.

use std::{error::Error as _, fmt, mem, pin::Pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use token::entropy::{Entropy, SystemEntropy};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{AuthenticationError, flight::Backoff};

/// A server stream that is opened again, with backoff, when it breaks.
///
/// It is opened again
///
/// - after `UNAVAILABLE`, `RESOURCE_EXHAUSTED`, `DEADLINE_EXCEEDED`, and whatever the connection and
///   not the server has said: as soon as the other side's `RetryInfo` allows;
/// - after `UNAUTHENTICATED` in a stream that had told something: behind a
///   [`ReauthLayer`](crate::ReauthLayer) the call that opens it anew has another token, or the
///   session is over and that call says so.
///
/// Any other status ends it, and so does the server's orderly end of the stream.
///
/// # Example
///
/// ```no_run
/// use client_sdk::{Session, resume::Resumed};
/// use evergreen_proto::api::v1::{
///     WatchChangesRequest, WatchChangesResponse, api_service_client::ApiServiceClient,
/// };
/// use tonic::transport::Endpoint;
/// use tower::ServiceBuilder;
///
/// # async fn example(session: Session, kept: String) -> Result<(), Box<dyn std::error::Error>> {
/// let channel = ServiceBuilder::new()
///     .layer(session.layer())
///     .service(Endpoint::from_static("http://127.0.0.1:50052").connect_lazy());
/// let api = ApiServiceClient::new(channel);
/// let open = move |cursor| {
///     let mut api = api.clone();
///     async move { Ok(api.watch_changes(WatchChangesRequest { cursor }).await?.into_inner()) }
/// };
/// let cursor = |response: &WatchChangesResponse| response.cursor.clone();
/// let mut changes = Resumed::new(kept, open, cursor);
/// while let Some(response) = changes.message().await? {
///     println!("{:?}; after a restart, from {}", response.change, response.cursor);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Resumed<S, M> {
    cursor: String,
    open: Open<S>,
    cursor_of: Box<dyn Fn(&M) -> String + Send>,
    state: State<S>,
    backoff: Option<Backoff>,
    patience: Duration,
    entropy: Arc<dyn Entropy>,
}

type Open<S> = Box<dyn FnMut(String) -> Opening<S> + Send>;
type Opening<S> = Pin<Box<dyn Future<Output = Result<S, Status>> + Send>>;

enum State<S> {
    Opening(Opening<S>),
    Open {
        stream: S,
        /// Whether it has told anything.
        told: bool,
    },
    /// To be opened again.
    Broken {
        status: Status,
        /// Set when it is first waited for: a wait that is broken off and begun again is not longer.
        until: Option<Instant>,
    },
    /// For good.
    Ended,
}

impl<S, M> Resumed<S, M>
where
    S: Stream<Item = Result<M, Status>> + Unpin + Send + 'static,
{
    /// The stream that `open` opens from `cursor` on. `cursor_of` is where to go on after a message;
    /// empty if that is no other place than before.
    ///
    /// `open` is called at once; what it returns is polled when the first message is asked for.
    pub fn new<F>(
        cursor: impl Into<String>,
        mut open: impl FnMut(String) -> F + Send + 'static,
        cursor_of: impl Fn(&M) -> String + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<S, Status>> + Send + 'static,
    {
        let cursor = cursor.into();
        let mut open: Open<S> = Box::new(move |cursor| Box::pin(open(cursor)));
        let state = State::Opening(open(cursor.clone()));
        Self {
            cursor,
            open,
            cursor_of: Box::new(cursor_of),
            state,
            backoff: None,
            patience: FOR_EVER,
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Gives up when nothing was told for so long, with the status of the last failure. It never
    /// does unless it is told to.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience.min(FOR_EVER);
        self
    }

    /// Where the jitter of the backoff comes from.
    #[must_use]
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Where the stream would go on now.
    #[must_use]
    pub fn cursor(&self) -> &str {
        &self.cursor
    }

    /// The next message; `None` if the server has ended the stream.
    ///
    /// To stop waiting for it loses nothing.
    ///
    /// # Errors
    ///
    /// The status that ended the stream for good. From then on there is `None`.
    pub async fn message(&mut self) -> Result<Option<M>, Status> {
        loop {
            match &mut self.state {
                State::Opening(opening) => {
                    self.state = match opening.await {
                        Ok(stream) => State::Open { stream, told: false },
                        Err(status) if is_passing(&status) => State::Broken { status, until: None },
                        Err(status) => return Err(self.end(status)),
                    }
                }
                State::Open { stream, told } => match stream.next().await {
                    Some(Ok(message)) => {
                        *told = true;
                        self.backoff = None;
                        let cursor = (self.cursor_of)(&message);
                        if !cursor.is_empty() {
                            self.cursor = cursor;
                        }
                        return Ok(Some(message));
                    }
                    Some(Err(status)) => {
                        let is_refused = status.code() == Code::Unauthenticated;
                        if !(is_passing(&status) || is_refused && *told) {
                            return Err(self.end(status));
                        }
                        self.state = State::Broken { status, until: None };
                    }
                    None => {
                        self.state = State::Ended;
                        return Ok(None);
                    }
                },
                State::Broken { status, until } => {
                    let until = match *until {
                        Some(until) => until,
                        None => {
                            let info = status.get_details_retry_info();
                            let fresh = || Backoff::new(self.patience, Arc::clone(&self.entropy));
                            let backoff = self.backoff.get_or_insert_with(fresh);
                            let Some(delay) = backoff.delay(info.and_then(|i| i.retry_delay))
                            else {
                                let status = mem::replace(status, Status::ok(""));
                                return Err(self.end(status));
                            };
                            tracing::debug!(%status, ?delay, "a stream broke; it is opened again");
                            *until.insert(Instant::now() + delay)
                        }
                    };
                    tokio::time::sleep_until(until).await;
                    self.state = State::Opening((self.open)(self.cursor.clone()));
                }
                State::Ended => return Ok(None),
            }
        }
    }

    fn end(&mut self, status: Status) -> Status {
        self.state = State::Ended;
        status
    }
}

impl<S, M> fmt::Debug for Resumed<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Opening(_) => "opening",
            State::Open { .. } => "open",
            State::Broken { .. } => "broken",
            State::Ended => "ended",
        };
        f.debug_struct("Resumed").field("state", &state).finish_non_exhaustive()
    }
}

/// Whether another try may go better.
fn is_passing(status: &Status) -> bool {
    let code = matches!(
        status.code(),
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded
    );
    let passes = |error: AuthenticationError| error.is_transient();
    // A status with a cause was made on this side, of a connection that broke.
    code || status.source().is_some()
        || AuthenticationError::from_status(status).is_some_and(passes)
}

/// No budget ends; a greater one would be no instant.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);
