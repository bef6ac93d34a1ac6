//! A bound on the requests under way.
//!
//! A request that finds no place waits for one. After a quiet moment it is a burst that will pass, and
//! the line may be long. Where there were not places enough for a while, more comes than can be done, and
//! a long line would only make everything late (as in "Controlling Queue Delay", Nichols and Jacobson,
//! ACM Queue 2012): it is half as long as there are places, or as what a moment answers, and who finds
//! it so is told to come back. Refused before any work was begun, they cost little: about a tenth of a
//! millisecond. Fewer are under way then, too: no more than it takes to keep the machine busy
//! ([`Limit`]).

use std::{
    collections::HashMap,
    num::NonZeroUsize,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    thread::available_parallelism,
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

use super::{
    limit::{Limit, Seen},
    spread::Spread,
};
use crate::status::retry_later;

/// How many requests may be under way, and since when there have not been places enough.
#[derive(Debug)]
pub struct Admission {
    places: Arc<Semaphore>,
    started: Instant,
    /// When there were last places enough, in milliseconds since the start.
    spare: AtomicU64,
    /// When a request last found none, in milliseconds since the start.
    full: AtomicU64,
    /// Requests since the window began that found a place at once.
    at_once: AtomicU64,
    /// Requests since the window began that found none.
    late: AtomicU64,
    /// Requests that were answered since the window began.
    answered: AtomicU64,
    /// When the window may end, in milliseconds since the start.
    window_end: AtomicU64,
    window: Mutex<Window>,
    /// How many may wait in a lasting overload.
    line: AtomicUsize,
    /// Places to be taken away as soon as somebody leaves them.
    surplus: AtomicUsize,
    /// Requests that wait for a place.
    waiting: AtomicUsize,
    spread: Spread,
}

/// The time that is being looked at.
#[derive(Debug)]
struct Window {
    /// When it began, in milliseconds since the start.
    began: u64,
    limit: Limit,
}

/// One of the places, until it is left.
#[derive(Debug)]
struct Place {
    permit: Option<OwnedSemaphorePermit>,
    admission: Arc<Admission>,
}

/// A request in the line.
#[derive(Debug)]
struct Waiting(Arc<Admission>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    /// Leaves it, since its request was answered.
    fn answered(self) {
        let admission = Arc::clone(&self.admission);
        admission.answered.fetch_add(1, Ordering::Relaxed);
        drop(self);
        admission.look();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let less = |surplus: usize| surplus.checked_sub(1);
        let taken_away =
            self.admission.surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        if let (Ok(_), Some(permit)) = (taken_away, self.permit.take()) {
            permit.forget();
        }
    }
}

impl Admission {
    /// At most `requests` at once, and in a lasting overload as few of them as keep the machine busy.
    #[must_use]
    pub fn new(requests: NonZeroUsize) -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        Self::between(LEAST_A_PROCESSOR * processors, requests)
    }

    /// At most `requests` at once, and always as many: for those that wait under way for something of
    /// their own, which is limited by itself.
    #[must_use]
    pub fn constant(requests: NonZeroUsize) -> Self {
        Self::between(requests.get(), requests)
    }

    fn between(least: usize, most: NonZeroUsize) -> Self {
        let most = most.get().min(Semaphore::MAX_PERMITS);
        let limit = Limit::new(least, most);
        Self {
            places: Arc::new(Semaphore::new(most)),
            started: Instant::now(),
            spare: AtomicU64::new(0),
            full: AtomicU64::new(0),
            at_once: AtomicU64::new(0),
            late: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            window_end: AtomicU64::new(WINDOW),
            window: Mutex::new(Window { began: 0, limit }),
            line: AtomicUsize::new(most),
            surplus: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            spread: Spread::default(),
        }
    }

    /// What a request is told that gets no place.
    fn refusal<R: Default>(&self) -> Response<R> {
        let message =
            "more is asked for than can be answered; nothing was begun, come back a little later";
        let after = self.spread.after(RETRY_AFTER);
        retry_later(Code::ResourceExhausted, reason::OVERLOADED, message, after).into_http()
    }

    /// A place, if there is one to spare.
    fn take(self: &Arc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.at_once.fetch_add(1, Ordering::Relaxed);
        let now = self.elapsed();
        if !is_within(BURST, self.full.load(Ordering::Relaxed), now) {
            note(&self.spare, now);
        }
        Some(self.place(permit))
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place { permit: Some(permit), admission: Arc::clone(self) }
    }

    /// Ends the window if it is over, and makes of what it showed how many may be under way.
    fn look(&self) {
        let now = self.elapsed();
        if now < self.window_end.load(Ordering::Relaxed) {
            return;
        }
        // Whoever has it looks for all.
        let Ok(mut window) = self.window.try_lock() else { return };
        if self.surplus.load(Ordering::Relaxed) > 0 {
            // What is answered yet is what more of them have done.
            self.begin(&mut window, now);
            return;
        }
        let length = now.saturating_sub(window.began);
        let answered = self.answered.load(Ordering::Relaxed);
        if length < WINDOW || (answered < ENOUGH && length < LONGEST_WINDOW) {
            return;
        }
        let rate = answered as f64 * 1e3 / length as f64;
        let [at_once, late] =
            [&self.at_once, &self.late].map(|count| count.load(Ordering::Relaxed));
        let seen = if at_once * LATE_FOR_ONE_AT_ONCE >= late {
            note(&self.spare, now);
            Seen::Spare
        } else {
            Seen::Full { rate }
        };
        let before = window.limit.now();
        let after = window.limit.after(seen);
        let line = (after / 2).max((rate * MOMENT) as usize).max(1);
        self.line.store(line, Ordering::Relaxed);
        self.begin(&mut window, now);
        let fewer = before.saturating_sub(after);
        self.surplus.fetch_add(fewer - self.places.forget_permits(fewer), Ordering::Relaxed);
        let more = after.saturating_sub(before);
        let keep = |surplus: usize| Some(surplus.saturating_sub(more));
        let surplus = self.surplus.fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep);
        self.places.add_permits(more.saturating_sub(surplus.unwrap_or_default()));
    }

    fn begin(&self, window: &mut Window, now: u64) {
        window.began = now;
        self.answered.store(0, Ordering::Relaxed);
        self.at_once.store(0, Ordering::Relaxed);
        self.late.store(0, Ordering::Relaxed);
        self.window_end.store(now + WINDOW, Ordering::Relaxed);
    }

    /// A place in the line, if it is not too long.
    fn wait(self: &Arc<Self>) -> Option<Waiting> {
        self.late.fetch_add(1, Ordering::Relaxed);
        note(&self.full, self.elapsed());
        let ahead = self.waiting.fetch_add(1, Ordering::Relaxed);
        let waiting = Waiting(Arc::clone(self));
        (self.is_burst() || ahead < self.line.load(Ordering::Relaxed)).then_some(waiting)
    }

    /// Whether there were places enough a moment ago.
    fn is_burst(&self) -> bool {
        is_within(BURST, self.spare.load(Ordering::Relaxed), self.elapsed())
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Whether less than `time` lies between these milliseconds since the start.
fn is_within(time: Duration, then: u64, now: u64) -> bool {
    Duration::from_millis(now.saturating_sub(then)) < time
}

/// Notes that it is `now`. It is read first: what nobody writes is in every processor's cache.
fn note(at: &AtomicU64, now: u64) {
    if at.load(Ordering::Relaxed) != now {
        at.store(now, Ordering::Relaxed);
    }
}

/// Applies [`Admitted`].
#[derive(Clone, Debug, Default)]
pub struct AdmissionLayer(Arc<HashMap<String, Arc<Admission>>>);

impl AdmissionLayer {
    /// Requests to `paths` share the places of `admission`. Those to paths that are named nowhere take
    /// none: streams, which last for as long as somebody listens, and what must be answered however much
    /// there is to do.
    #[must_use]
    pub fn limit(
        mut self,
        paths: impl IntoIterator<Item = String>,
        admission: &Arc<Admission>,
    ) -> Self {
        let limited = paths.into_iter().map(|path| (path, Arc::clone(admission)));
        Arc::make_mut(&mut self.0).extend(limited);
        self
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = Admitted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Admitted { inner, admissions: Arc::clone(&self.0) }
    }
}

/// Lets as many requests through to `S` at once as there are places, and answers the others
/// `RESOURCE_EXHAUSTED`, reason `OVERLOADED`, with the time after which to come back.
#[derive(Clone, Debug)]
pub struct Admitted<S> {
    inner: S,
    admissions: Arc<HashMap<String, Arc<Admission>>>,
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
        let Some(admission) = self.admissions.get(request.uri().path()) else {
            let state = State::Running { future: self.inner.call(request), place: None };
            return ResponseFuture { state };
        };
        let state = if let place @ Some(_) = admission.take() {
            State::Running { future: self.inner.call(request), place }
        } else if let Some(line) = admission.wait() {
            // The service that was polled ready goes into the future; a clone, which may not be
            // ready, stays behind.
            let clone = self.inner.clone();
            let service = std::mem::replace(&mut self.inner, clone);
            State::Waiting {
                place: Box::pin(Arc::clone(&line.0.places).acquire_owned()),
                line,
                end: tokio::time::sleep(PATIENCE),
                waiting: Some((service, request)),
            }
        } else {
            State::Refused { admission: Arc::clone(admission) }
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
        Waiting {
            place: NextPlace,
            line: Waiting,
            #[pin]
            end: Sleep,
            waiting: Option<(S, Request<B>)>,
        },
        Refused { admission: Arc<Admission> },
        // The place is given back when the response has begun: what is left of it is being sent.
        Running { #[pin] future: F, place: Option<Place> },
    }
}

type NextPlace = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

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
                StateProj::Waiting { place, line, end, waiting } => match place.as_mut().poll(cx) {
                    Poll::Ready(permit) => {
                        let permit = permit.expect("the semaphore is never closed");
                        let place = Some(line.0.place(permit));
                        let (mut service, request) =
                            waiting.take().expect("it goes on from here once");
                        State::Running { future: service.call(request), place }
                    }
                    Poll::Pending => {
                        ready!(end.poll(cx));
                        return Poll::Ready(Ok(line.0.refusal()));
                    }
                },
                StateProj::Refused { admission } => return Poll::Ready(Ok(admission.refusal())),
                StateProj::Running { future, place } => {
                    let response = ready!(future.poll(cx));
                    if let Some(place) = place.take() {
                        place.answered();
                    }
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

/// As long as this a burst may last. After as long without a request that found no place there are
/// places enough.
const BURST: Duration = Duration::from_secs(1);
/// What is answered in so many seconds may wait, however few are under way: the thread that lets them
/// in has its turn after others, and finds many at once.
const MOMENT: f64 = 0.05;
/// There are places enough, too, while at the most so many find none for one that does. That a few do
/// says nothing: all places may be left while the thread that lets requests in waits for its turn.
const LATE_FOR_ONE_AT_ONCE: u64 = 3;
/// How long a request waits at the most: half of the life of one.
const PATIENCE: Duration = Duration::from_secs(5);
/// As many may always be under way, so that none of the processors waits for work.
const LEAST_A_PROCESSOR: usize = 2;
/// How long is looked at before how many may be under way changes, in milliseconds; longer where less
/// than [`ENOUGH`] was answered, as few answers say little.
const WINDOW: u64 = 100;
const LONGEST_WINDOW: u64 = 1_000;
const ENOUGH: u64 = 100;
/// After how long a request that was refused may come back; up to twice as long.
const RETRY_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
