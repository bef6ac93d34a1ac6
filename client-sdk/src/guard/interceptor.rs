//! The guard as a tonic interceptor.

use tonic::{Request, Status, service::Interceptor};

use super::verify::Guard;

/// A tonic [`Interceptor`] that puts a [`Caller`](super::Caller) into the request's extensions.
///
/// Prefer [`GuardLayer`](super::GuardLayer). An interceptor is synchronous and does not learn the
/// method's name, so this one
///
/// - judges by keys at hand alone: the first call after the start, and the first that names a new
///   key, are answered `UNAVAILABLE` with `KEYS_UNAVAILABLE` while the keys are fetched;
/// - knows no policy: every method of the service needs a good token, and no role.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use client_sdk::guard::{AuthServiceKeys, Guard, GuardInterceptor, KeyCache};
/// use token::clock::SystemClock;
/// use tonic::transport::Endpoint;
///
/// let auth = Endpoint::from_static("http://127.0.0.1:50051").connect_lazy();
/// let keys = KeyCache::new(AuthServiceKeys::new(auth), Arc::new(SystemClock::new()));
/// let interceptor = GuardInterceptor::new(Guard::new("evergreen", "evergreen", keys));
/// // MyServiceServer::with_interceptor(service, interceptor)
/// # let _ = interceptor;
/// ```
#[derive(Clone, Debug)]
pub struct GuardInterceptor(Guard);

impl GuardInterceptor {
    /// Lets through what `guard` accepts.
    #[must_use]
    pub fn new(guard: Guard) -> Self {
        Self(guard)
    }
}

impl Interceptor for GuardInterceptor {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let caller = self.0.authenticate_cached(request.metadata().as_ref())?;
        request.extensions_mut().insert(caller);
        Ok(request)
    }
}
