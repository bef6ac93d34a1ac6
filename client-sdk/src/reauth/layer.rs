//! Configures [`Reauth`].

use tower_layer::Layer;

use super::Reauth;
use crate::Session;

/// Authenticates the calls of a gRPC channel as a [`Session`], and recovers from `UNAUTHENTICATED`.
///
/// Per call:
///
/// 1. Signed out: an error at once, nothing is sent.
/// 2. The access token has run out, or was just refused: the one refresh comes first. It is due: the
///    refresh starts in the background, the call goes on.
/// 3. The call is sent with the token, and its request kept as it streams, up to a cap.
/// 4. `UNAUTHENTICATED` before any message, with an Evergreen reason that proves that nothing was
///    done (`ACCESS_TOKEN_*`, `SESSION_REVOKED`): the call is sent once more with the newer token,
///    which the one refresh brings unless it is already here. `grpc-timeout` is less all the time
///    that has passed.
/// 5. `UNAUTHENTICATED` again: it is the caller's.
///
/// A request with an `authorization` of its own passes untouched, and so do AuthService's token RPCs
/// (`Register`, `Login`, `LoginService`, `Refresh`, `Logout`, `GetJwks`). A request that carries a
/// [`Session`] in its extensions is sent as that session, so that many identities share one channel.
///
/// It does not replay a call after a message of its response has been delivered, a request that is
/// larger than the cap, or one that was refused without a reason unless told to
/// ([`ReplayForeign`](crate::ReplayForeign)).
///
/// ```no_run
/// # fn example(session: client_sdk::Session) {
/// use tonic::transport::Endpoint;
/// use tower::ServiceBuilder;
///
/// let channel = ServiceBuilder::new()
///     .layer(session.layer())
///     .service(Endpoint::from_static("http://127.0.0.1:50052").connect_lazy());
/// # let _ = channel;
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReauthLayer {
    session: Option<Session>,
}

impl ReauthLayer {
    /// A layer that sends calls as `session`.
    #[must_use]
    pub const fn new(session: Session) -> Self {
        Self { session: Some(session) }
    }

    /// A layer that sends each call as the [`Session`] in its extensions, and calls without one as
    /// they are.
    #[must_use]
    pub const fn per_request() -> Self {
        Self { session: None }
    }
}

impl<S> Layer<S> for ReauthLayer {
    type Service = Reauth<S>;

    fn layer(&self, inner: S) -> Reauth<S> {
        Reauth::new(inner, self.session.clone())
    }
}
