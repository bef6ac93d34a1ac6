//! A bound on the requests under way.
//!
//! A request that finds no place waits for one. After a quiet moment it is a burst that will pass, and
//! waits patiently. Where there was no place to spare for a while, more comes than can be done, and
//! waiting would only make everything late: it waits for a short time, and is then told to come back
//! (controlled delay: "Controlling Queue Delay", Nichols and Jacobson, ACM Queue 2012). Refused before
//! any work was begun, it costs next to nothing.

use std::{
    collections::HashSet,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use evergreen_proto::reason;
use http::{Request, Response};
use tokio::{
    sync::{AcquireError, OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tonic::Code;
use tower_layer::Layer;
use tower_service::Service;

use crate::status::retry_later;

/// How many requests may be under way, and since when there was no place to spare.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    started: Instant,
    /// When a request last found a place at once, in milliseconds since the start.
    spare: AtomicU64,
    limited: HashSet<String>,
}

impl Admission {
    /// At most `requests` at once to the paths in `limited`. Not limited are streams, which last for as
    /// long as somebody listens, and what must be answered however much there is to do.
    #[must_use]
    pub fn new(requests: NonZeroUsize, limited: impl IntoIterator<Item = String>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(requests.get().min(Semaphore::MAX_PERMITS))),
            started: Instant::now(),
            spare: AtomicU64::new(0),
            limited: limited.into_iter().collect(),
        }
    }

    /// A place, if there is one to spare.
    fn take(&self) -> Option<OwnedSemaphorePermit> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        let now = self.elapsed();
        // Read first: a line that nobody writes is in every core's cache.
        if self.spare.load(Ordering::Relaxed) != now {
            self.spare.store(now, Ordering::Relaxed);
        }
        Some(permit)
    }

    /// How long to wait for a place.
    fn patience(&self) -> Duration {
        let full_for = self.elapsed().saturating_sub(self.spare.load(Ordering::Relaxed));
        if Duration::from_millis(full_for) < BURST { PATIENT } else { IMPATIENT }
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Applies [`Admitted`].
#[derive(Clone, Debug)]
pub struct AdmissionLayer(Arc<Admission>);

impl AdmissionLayer {
    /// All services that it is applied to share the places.
    #[must_use]
    pub fn new(admission: Admission) -> Self {
        Self(Arc::new(admission))
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admitted { inner, admission: Arc::clone(&self.0) }
    }
}

/// Lets as many requests through to `S` at once as there are places, and answers the others
/// `RESOURCE_EXHAUSTED`, reason `OVERLOADED`, with the time after which to come back.
#[derive(Clone, Debug)]
pub struct Admitted<S> {
    inner: S,
    admission: Arc<Admission>,
}

impl<S, B, R> Service<Request<B>> for Admitted<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    R: Default,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let state = if !self.admission.limited.contains(request.uri().path()) {
            State::Running { future: self.inner.call(request), place: None }
        } else if let place @ Some(_) = self.admission.take() {
            State::Running { future: self.inner.call(request), place }
        } else {
            // The service that was polled ready goes into the future; a clone, which may not be
            // ready, stays behind.
            let clone = self.inner.clone();
            let service = std::mem::replace(&mut self.inner, clone);
            State::Waiting {
                place: Box::pin(Arc::clone(&self.admission.places).acquire_owned()),
                end: tokio::time::sleep(self.admission.patience()),
                waiting: Some((service, request)),
            }
        };
        ResponseFuture { state }
    }
}

pin_project_lite::pin_project! {
    /// Resolves to the response, or to `RESOURCE_EXHAUSTED`.
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B, S::Future>,
    }
}

pin_project_lite::pin_project! {
    #[project = StateProj]
    enum State<S, B, F> {
        Waiting { place: Place, #[pin] end: Sleep, waiting: Option<(S, Request<B>)> },
        // The place is given back when the response has begun: what is left of it is being sent.
        Running { #[pin] future: F, place: Option<OwnedSemaphorePermit> },
    }
}

type Place = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Waiting { place, end, waiting } => match place.as_mut().poll(cx) {
                    Poll::Ready(place) => {
                        let place = place.expect("the semaphore is never closed");
                        let (mut service, request) =
                            waiting.take().expect("it goes on from here once");
                        State::Running { future: service.call(request), place: Some(place) }
                    }
                    Poll::Pending => {
                        ready!(end.poll(cx));
                        return Poll::Ready(Ok(refusal()));
                    }
                },
                StateProj::Running { future, place } => {
                    let response = ready!(future.poll(cx));
                    *place = None;
                    return Poll::Ready(response);
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> std::fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

fn refusal<R: Default>() -> Response<R> {
    let message =
        "more is asked for than can be answered; nothing was begun, come back a little later";
    retry_later(Code::ResourceExhausted, reason::OVERLOADED, message, RETRY_AFTER).into_http()
}

/// As long as this a burst may last.
const BURST: Duration = Duration::from_millis(100);
/// How long a request of a burst waits.
const PATIENT: Duration = Duration::from_secs(1);
/// How long a request waits where more comes than can be done.
const IMPATIENT: Duration = Duration::from_millis(50);
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use tokio::task::JoinSet;
    use tonic::{Status, body::Body};
    use tower::{ServiceExt as _, service_fn};

    use super::*;
    use crate::status::reason_of;

    const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

    /// A service whose requests end when they are let go, behind two places.
    #[derive(Clone)]
    struct Bench {
        layer: AdmissionLayer,
        begun: Arc<AtomicUsize>,
        go: Arc<Semaphore>,
    }

    impl Bench {
        fn new() -> Self {
            let layer = AdmissionLayer::new(Admission::new(TWO, ["/pkg.Service/Get".to_owned()]));
            Self { layer, begun: Arc::default(), go: Arc::new(Semaphore::new(0)) }
        }

        /// Whether it was answered by the service.
        async fn call(self, method: &str) -> bool {
            let Self { layer, begun, go } = self;
            let service = layer.layer(service_fn(async |_: Request<()>| {
                begun.fetch_add(1, Ordering::Relaxed);
                go.acquire().await.unwrap().forget();
                Ok::<_, Infallible>(Response::new(Body::empty()))
            }));
            let request =
                Request::builder().uri(format!("/pkg.Service/{method}")).body(()).unwrap();
            let response = service.oneshot(request).await.unwrap();
            let Some(status) = Status::from_header_map(response.headers()) else { return true };
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert_eq!(reason_of(&status).as_deref(), Some(reason::OVERLOADED));
            false
        }

        fn begun(&self) -> usize {
            self.begun.load(Ordering::Relaxed)
        }
    }

    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_waits_for_its_turn_and_is_answered() {
        let bench = Bench::new();
        let calls: JoinSet<_> = (0..10).map(|_| bench.clone().call("Get")).collect();
        settle().await;
        assert_eq!(bench.begun(), 2);
        tokio::time::advance(PATIENT - Duration::from_millis(1)).await;
        bench.go.add_permits(10);
        assert_eq!(calls.join_all().await, [true; 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_in_a_lasting_overload_is_told_to_come_back_soon() {
        let bench = Bench::new();
        let under_way: JoinSet<_> = (0..2).map(|_| bench.clone().call("Get")).collect();
        settle().await;
        tokio::time::advance(BURST).await;
        let late: JoinSet<_> = (0..5).map(|_| bench.clone().call("Get")).collect();
        let before = Instant::now();
        assert_eq!(late.join_all().await, [false; 5]);
        assert_eq!(before.elapsed().as_millis() / 10, IMPATIENT.as_millis() / 10);
        assert_eq!(bench.begun(), 2, "nothing was begun for them");
        bench.go.add_permits(2);
        assert_eq!(under_way.join_all().await, [true; 2]);
        // With a place to spare again, the next burst is a burst.
        bench.go.add_permits(1);
        assert!(bench.clone().call("Get").await);
        assert_eq!(bench.layer.0.patience(), PATIENT);
    }

    #[tokio::test(start_paused = true)]
    async fn streams_take_no_place_and_who_hangs_up_frees_theirs() {
        let bench = Bench::new();
        let streams: JoinSet<_> = (0..10).map(|_| bench.clone().call("Watch")).collect();
        let calls: JoinSet<_> = (0..3).map(|_| bench.clone().call("Get")).collect();
        settle().await;
        assert_eq!(bench.begun(), 12);
        drop(calls);
        let next: JoinSet<_> = (0..2).map(|_| bench.clone().call("Get")).collect();
        settle().await;
        assert_eq!(bench.begun(), 14);
        bench.go.add_permits(12);
        assert_eq!(next.join_all().await, [true; 2]);
        assert_eq!(streams.join_all().await, [true; 10]);
    }
}
