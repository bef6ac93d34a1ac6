//! Requests at a server whose places and whose time are the test's.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering},
};

use tokio::task::JoinSet;
use tonic::{Status, body::Body};
use tonic_types::StatusExt as _;
use tower::{ServiceExt as _, service_fn};

use super::*;
use crate::status::reason_of;

const TWO: NonZeroUsize = NonZeroUsize::new(2).unwrap();

/// A service whose requests end when they are let go, behind two places.
#[derive(Clone)]
struct Bench {
    layer: AdmissionLayer,
    admission: Arc<Admission>,
    begun: Arc<AtomicUsize>,
    go: Arc<Semaphore>,
}

impl Bench {
    fn new() -> Self {
        Self::of(Admission::new(TWO))
    }

    fn of(admission: Admission) -> Self {
        let admission = Arc::new(admission);
        let paths = ["/pkg.Service/Get".to_owned()];
        let layer = AdmissionLayer::default().limit(paths, &admission);
        Self { layer, admission, begun: Arc::default(), go: Arc::new(Semaphore::new(0)) }
    }

    /// Whether it was answered by the service.
    async fn call(self, method: &str) -> bool {
        let Self { layer, begun, go, .. } = self;
        let service = layer.layer(service_fn(async |_: Request<()>| {
            begun.fetch_add(1, Ordering::Relaxed);
            go.acquire().await.unwrap().forget();
            Ok::<_, Infallible>(Response::new(Body::empty()))
        }));
        let request = Request::builder().uri(format!("/pkg.Service/{method}")).body(()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        let Some(status) = Status::from_header_map(response.headers()) else { return true };
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert_eq!(reason_of(&status).as_deref(), Some(reason::OVERLOADED));
        false
    }

    /// Four requests a millisecond, of which the machine does one, however many are under way.
    async fn overload(&self, calls: &mut JoinSet<bool>, milliseconds: usize) {
        for _ in 0..milliseconds {
            for _ in 0..4 {
                calls.spawn(self.clone().call("Get"));
            }
            settle().await;
            self.go.add_permits(1);
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }

    fn most_under_way(&self) -> usize {
        self.admission.window.lock().unwrap().limit.now()
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
    tokio::time::advance(PATIENCE - Duration::from_millis(1)).await;
    bench.go.add_permits(10);
    assert_eq!(calls.join_all().await, [true; 10]);
}

#[tokio::test(start_paused = true)]
async fn in_a_lasting_overload_the_line_is_short_and_the_rest_come_back() {
    let bench = Bench::new();
    let under_way: JoinSet<_> = (0..2).map(|_| bench.clone().call("Get")).collect();
    settle().await;
    tokio::time::advance(BURST).await;
    let before = Instant::now();
    let line: JoinSet<_> = (0..2).map(|_| bench.clone().call("Get")).collect();
    settle().await;
    for _ in 0..5 {
        assert!(!bench.clone().call("Get").await);
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waited to be refused");
    assert_eq!(bench.begun(), 2, "nothing was begun for them");
    bench.go.add_permits(4);
    assert_eq!(under_way.join_all().await, [true; 2]);
    assert_eq!(line.join_all().await, [true; 2]);
    // After a second with places enough, the next burst is a burst.
    tokio::time::advance(BURST).await;
    bench.go.add_permits(1);
    assert!(bench.clone().call("Get").await);
    assert!(bench.admission.is_burst());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_and_who_leaves_the_line_is_no_more_in_it() {
    let bench = Bench::new();
    let _under_way: JoinSet<_> = (0..2).map(|_| bench.clone().call("Get")).collect();
    settle().await;
    let line: JoinSet<_> = (0..9).map(|_| bench.clone().call("Get")).collect();
    settle().await;
    assert_eq!(bench.admission.waiting.load(Ordering::Relaxed), 9);
    let before = Instant::now();
    assert_eq!(line.join_all().await, [false; 9]);
    assert_eq!(before.elapsed().as_millis() / 10, PATIENCE.as_millis() / 10);
    let hung_up: JoinSet<_> = (0..2).map(|_| bench.clone().call("Get")).collect();
    settle().await;
    drop(hung_up);
    settle().await;
    assert_eq!(bench.admission.waiting.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn fewer_are_under_way_in_a_lasting_overload_and_all_places_come_back_after_it() {
    let most = NonZeroUsize::new(512).unwrap();
    let bench = Bench::of(Admission::new(most));
    let admission = Arc::clone(&bench.admission);
    let mut calls = JoinSet::new();
    bench.overload(&mut calls, 5_000).await;
    let least = LEAST_A_PROCESSOR * available_parallelism().unwrap().get();
    let limit = bench.most_under_way();
    assert!((least..=2 * least).contains(&limit), "{limit}");
    bench.go.add_permits(1_000);
    let answered = calls.join_all().await.into_iter().filter(|answered| *answered).count();
    assert_eq!(answered, bench.begun());
    for _ in 0..50 {
        for _ in 0..10 {
            tokio::time::advance(Duration::from_millis(100)).await;
            bench.go.add_permits(1);
            assert!(bench.clone().call("Get").await);
        }
    }
    assert_eq!(bench.most_under_way(), 512);
    assert_eq!(admission.places.available_permits(), 512, "no place is lost");
    assert_eq!(admission.surplus.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn where_every_other_request_finds_a_place_at_once_more_places_come() {
    let bench = Bench::of(Admission::between(2, NonZeroUsize::new(64).unwrap()));
    let mut calls = JoinSet::new();
    bench.overload(&mut calls, 5_000).await;
    assert!(bench.most_under_way() < 8);
    bench.go.add_permits(1_000);
    calls.join_all().await;
    bench.go.forget_permits(1_000);
    for _ in 0..200 {
        let calls: JoinSet<_> =
            (0..2 * bench.most_under_way()).map(|_| bench.clone().call("Get")).collect();
        settle().await;
        tokio::time::advance(Duration::from_millis(100)).await;
        bench.go.add_permits(calls.len());
        calls.join_all().await;
        bench.go.forget_permits(1_000);
    }
    assert_eq!(bench.most_under_way(), 64);
}

/// The thread that lets requests in has a turn ten times a second, and finds that all places were left.
#[tokio::test(start_paused = true)]
async fn a_place_left_between_two_turns_is_none_to_spare() {
    let bench = Bench::new();
    let mut calls = JoinSet::new();
    for turn in 0..60 {
        for _ in 0..40 {
            calls.spawn(bench.clone().call("Get"));
        }
        settle().await;
        bench.go.add_permits(20);
        tokio::time::advance(Duration::from_millis(100)).await;
        settle().await;
        bench.go.forget_permits(20);
        // Until then what came in the first second is answered.
        if turn > 30 {
            assert_eq!(bench.admission.places.available_permits(), 2, "all were left");
            assert!(!bench.admission.is_burst());
        }
    }
    let answered = calls.join_all().await.into_iter().filter(|answered| *answered).count();
    assert_eq!(answered, bench.begun());
}

#[tokio::test(start_paused = true)]
async fn where_requests_wait_for_something_else_all_places_stay() {
    let most = NonZeroUsize::new(100).unwrap();
    let bench = Bench::of(Admission::constant(most));
    let mut calls = JoinSet::new();
    bench.overload(&mut calls, 3_000).await;
    assert_eq!(bench.begun(), 100 + 3_000);
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

#[tokio::test]
async fn those_who_are_refused_together_do_not_come_back_together() {
    let admission = Admission::new(TWO);
    let after = || {
        let refused: Response<()> = admission.refusal();
        let status = Status::from_header_map(refused.headers()).unwrap();
        status.get_details_retry_info().unwrap().retry_delay.unwrap()
    };
    let (one, other) = (after(), after());
    assert!(one >= RETRY_AFTER && other >= RETRY_AFTER, "{one:?} {other:?}");
    assert!(one.abs_diff(other) > RETRY_AFTER / 4, "{one:?} {other:?}");
}
