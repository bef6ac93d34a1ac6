//! The follower over a scripted source: what is known when, and what goes on after a break.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, StreamBody, combinators::BoxBody};
use token::{
    clock::{ManualClock, Timestamp},
    entropy::SeededEntropy,
};
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::guard::{Identity, Kind, body::GuardedBody, caller::End};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

type Line = mpsc::UnboundedSender<Result<News, Status>>;

/// Hands out streams that the test feeds.
#[derive(Clone, Debug, Default)]
struct Source(Arc<Mutex<Vec<Asked>>>);

/// The cursor that the source was asked with, and what feeds its answer.
type Asked = (String, Option<Line>);

impl RevocationSource for Source {
    fn watch(&self, cursor: String) -> WatchFuture<'_> {
        let (line, mut news) = mpsc::unbounded_channel();
        self.0.lock().unwrap().push((cursor, Some(line)));
        let stream: RevocationStream = Box::pin(stream::poll_fn(move |cx| news.poll_recv(cx)));
        Box::pin(async { Ok(stream) })
    }
}

struct Bench {
    source: Source,
    clock: Arc<ManualClock>,
    revocations: Revocations,
}

impl Bench {
    async fn new(while_silent: WhileSilent) -> Self {
        let (source, clock) = (Source::default(), Arc::new(ManualClock::at(NOW)));
        let revocations = Revocations::of(source.clone(), clock.clone())
            .while_silent(while_silent)
            .entropy(Arc::new(SeededEntropy::new(1)))
            .follow();
        let bench = Self { source, clock, revocations };
        bench.watched(1).await;
        bench
    }

    /// The cursor with which the source was asked for the time of this number.
    async fn watched(&self, number: usize) -> String {
        loop {
            let cursor = self.source.0.lock().unwrap().get(number - 1).map(|asked| asked.0.clone());
            match cursor {
                Some(cursor) => return cursor,
                // Time is paused: it moves when all wait for it.
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn say(&self, news: News) {
        let line = self.source.0.lock().unwrap().last().unwrap().1.clone().unwrap();
        line.send(Ok(news)).unwrap();
        settle().await;
    }

    /// The stream breaks.
    fn cut(&self) {
        self.source.0.lock().unwrap().last_mut().unwrap().1.take();
    }

    fn judge(&self, session: &str, version: u32) -> Result<(), Refusal> {
        self.revocations.judge(&caller(session, version))
    }
}

/// Revocations, and what revokes a session.
pub(in crate::guard) fn scripted(clock: Arc<ManualClock>) -> (Revocations, impl Fn(&str)) {
    let source = Source::default();
    let revocations = Revocations::of(source.clone(), clock).follow();
    let revoke = move |id: &str| {
        let asked = source.0.lock().unwrap();
        let line = asked.last().unwrap().1.as_ref().unwrap();
        line.send(Ok(snapshot("1", [id]))).unwrap();
    };
    (revocations, revoke)
}

async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn caller(session: &str, roles_version: u32) -> Caller {
    Identity { roles_version, ..Identity::new("ada", session, Kind::User) }.into()
}

fn session(id: &str) -> Revocation {
    let until = NOW + Duration::from_secs(900);
    Revocation { entry: Entry::Session { session_id: id.into() }, until }
}

fn news<const N: usize>(cursor: &str, revoked: [&str; N]) -> News {
    let revocations = revoked.into_iter().map(session).collect();
    News { snapshot: false, revocations, cursor: cursor.into() }
}

fn snapshot<const N: usize>(cursor: &str, revoked: [&str; N]) -> News {
    News { snapshot: true, ..news(cursor, revoked) }
}

#[tokio::test(start_paused = true)]
async fn a_revoked_session_and_stale_roles_are_refused_each_with_its_reason() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", ["s1"])).await;
    let entry = Entry::Account { user_id: "ada".into(), roles_version: 3 };
    let until = NOW + Duration::from_secs(900);
    let revocations = vec![Revocation { entry, until }];
    bench.say(News { revocations, ..news("2", []) }).await;
    assert_eq!(bench.judge("s1", 3), Err(Refusal::SessionRevoked));
    assert_eq!(bench.judge("s2", 2), Err(Refusal::Expired));
    assert_eq!(bench.judge("s2", 3), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_counts_when_it_is_whole_and_then_alone() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", ["s1"])).await;
    bench.say(snapshot("", ["s2"])).await;
    assert_eq!(bench.judge("s1", 0), Err(Refusal::SessionRevoked), "what was known counts");
    assert_eq!(bench.judge("s2", 0), Ok(()));
    bench.say(news("9", ["s3"])).await;
    assert_eq!(bench.judge("s1", 0), Ok(()), "the database was restored without it");
    assert_eq!(bench.judge("s2", 0), Err(Refusal::SessionRevoked));
    assert_eq!(bench.judge("s3", 0), Err(Refusal::SessionRevoked));
    assert_eq!(bench.revocations.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn after_a_break_it_goes_on_from_the_last_cursor_and_forgets_nothing() {
    let bench = Bench::new(WhileSilent::Admit).await;
    assert_eq!(bench.watched(1).await, "");
    bench.say(snapshot("1", ["s1"])).await;
    bench.say(news("2", ["s2"])).await;
    bench.cut();
    assert_eq!(bench.watched(2).await, "2");
    assert_eq!(bench.judge("s1", 0), Err(Refusal::SessionRevoked));
    bench.say(news("3", ["s3"])).await;
    assert_eq!(bench.revocations.len(), 3);
    // Half a snapshot is worth nothing, its cursor included.
    bench.say(snapshot("", ["s9"])).await;
    bench.cut();
    assert_eq!(bench.watched(3).await, "3");
    assert_eq!(bench.judge("s9", 0), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_is_given_up() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", [])).await;
    let heard = tokio::time::Instant::now();
    bench.watched(2).await;
    let waited = heard.elapsed();
    let longest = RevocationsBuilder::SILENCE + Duration::from_millis(200);
    assert!((RevocationsBuilder::SILENCE..longest).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_suffered_or_refused_as_the_service_asked() {
    let limit = Duration::from_secs(30);
    let open = Bench::new(WhileSilent::Admit).await;
    let closed = Bench::new(WhileSilent::RefuseAfter(limit)).await;
    assert_eq!(open.judge("s2", 0), Ok(()), "nothing was heard yet");
    assert!(closed.judge("s2", 0).is_err(), "and it may have been revoked");
    for bench in [&open, &closed] {
        bench.say(snapshot("1", ["s1"])).await;
        bench.clock.advance(limit);
        assert_eq!(bench.judge("s2", 0), Ok(()));
        bench.clock.advance(Duration::from_millis(1));
        assert_eq!(bench.judge("s1", 0), Err(Refusal::SessionRevoked), "what is known counts");
        assert_eq!(bench.revocations.silent_for(), limit + Duration::from_millis(1));
    }
    assert_eq!(open.judge("s2", 0), Ok(()));
    let refused = Status::from(closed.judge("s2", 0).unwrap_err());
    assert_eq!(refused.code(), Code::Unavailable, "no reason to log anybody out");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "REVOCATIONS_UNAVAILABLE");
    assert!(refused.get_details_retry_info().is_some());
    // A sign of life is enough.
    closed.say(news("", [])).await;
    assert_eq!(closed.judge("s2", 0), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_has_run_out_is_forgotten_by_and_by() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", ["s1", "s2", "s3"])).await;
    bench.clock.advance(Duration::from_secs(901));
    for _ in 0..16 {
        bench.say(news("", [])).await;
    }
    assert_eq!(bench.revocations.len(), 3, "a token may be taken for a little longer");
    bench.clock.advance(Duration::from_secs(1));
    for _ in 0..16 {
        bench.say(news("", [])).await;
    }
    assert!(bench.revocations.is_empty());
}

#[tokio::test(start_paused = true)]
async fn nobody_follows_for_nobody() {
    let Bench { source, revocations, .. } = Bench::new(WhileSilent::Admit).await;
    drop(revocations);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let line = source.0.lock().unwrap().last().unwrap().1.clone().unwrap();
    assert!(line.is_closed());
}

/// A response's body of the frames that the test sends.
fn body(
    bench: &Bench,
    caller: &Caller,
) -> (mpsc::UnboundedSender<Frame<Bytes>>, GuardedBody<BoxBody<Bytes, Infallible>>) {
    let (frames, mut sent) = mpsc::unbounded_channel();
    let frames_of = stream::poll_fn(move |cx| sent.poll_recv(cx).map(|frame| frame.map(Ok)));
    let inner = StreamBody::new(frames_of).boxed();
    let end = End(Some(bench.revocations.clone()));
    let caller = Caller::from(Identity { end, ..Identity::clone(caller) });
    (frames, GuardedBody::new(inner, caller))
}

fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

/// The status that a body ends with.
async fn status(body: &mut GuardedBody<BoxBody<Bytes, Infallible>>) -> Status {
    let frame = body.frame().await.unwrap().unwrap();
    let status = Status::from_header_map(frame.trailers_ref().unwrap()).unwrap();
    assert!(body.is_end_stream());
    assert!(body.frame().await.is_none());
    status
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_session_is_revoked_and_others_go_on() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", [])).await;
    let (frames, mut ada) = body(&bench, &caller("s1", 0));
    let (others, mut other) = body(&bench, &caller("s2", 0));
    for frames in [&frames, &others] {
        frames.send(data("a")).unwrap();
    }
    for body in [&mut ada, &mut other] {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "a");
        assert!(body.frame().now_or_never().is_none());
    }
    bench.say(news("2", ["s1"])).await;
    let refused = status(&mut ada).await;
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.get_details_error_info().unwrap().reason, "SESSION_REVOKED");
    others.send(data("b")).unwrap();
    assert_eq!(other.frame().await.unwrap().unwrap().into_data().unwrap(), "b");
    drop((ada, other));
    assert_eq!(bench.revocations.0.streams.len(), 0, "nobody is left to be told");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_never_idle_ends_too() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", [])).await;
    let (frames, mut body) = body(&bench, &caller("s1", 0));
    for _ in 0..100 {
        frames.send(data("a")).unwrap();
    }
    for _ in 0..10 {
        assert!(body.frame().await.unwrap().unwrap().is_data());
    }
    bench.say(news("2", ["s1"])).await;
    assert_eq!(status(&mut body).await.code(), Code::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_changed_roles_is_told_to_come_with_a_new_token() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", [])).await;
    let (_frames, mut body) = body(&bench, &caller("s1", 0));
    assert!(body.frame().now_or_never().is_none());
    let entry = Entry::Account { user_id: "ada".into(), roles_version: 1 };
    let revocations = vec![Revocation { entry, until: NOW + Duration::from_secs(900) }];
    bench.say(News { revocations, ..snapshot("2", []) }).await;
    let refused = status(&mut body).await;
    assert_eq!(refused.get_details_error_info().unwrap().reason, "ACCESS_TOKEN_EXPIRED");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_between_the_answer_and_the_watch_is_not_missed() {
    let bench = Bench::new(WhileSilent::Admit).await;
    let (_frames, mut body) = body(&bench, &caller("s1", 0));
    bench.say(snapshot("1", ["s1"])).await;
    assert_eq!(status(&mut body).await.code(), Code::Unauthenticated);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_silence_streams_go_on_whose_tokens_would_have_met_their_revocation() {
    let bench = Bench::new(WhileSilent::Admit).await;
    bench.say(snapshot("1", [])).await;
    let good_for = |seconds| {
        let expires_at = NOW + Duration::from_secs(seconds);
        Caller::from(Identity { expires_at, ..Identity::new("ada", "s1", Kind::User) })
    };
    let (_frames, mut short) = body(&bench, &good_for(20));
    let (_frames_too, mut long) = body(&bench, &good_for(40));
    for body in [&mut short, &mut long] {
        assert!(body.frame().now_or_never().is_none());
    }
    bench.clock.advance(Duration::from_secs(30));
    bench.say(news("", [])).await;
    let refused = status(&mut short).await;
    assert_eq!(refused.get_details_error_info().unwrap().reason, "ACCESS_TOKEN_EXPIRED");
    assert!(long.frame().now_or_never().is_none());
    // Short silences end nothing, however late it is.
    for _ in 0..10 {
        bench.clock.advance(Duration::from_secs(10));
        bench.say(news("", [])).await;
    }
    assert!(long.frame().now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_one_message_is_not_watched() {
    let bench = Bench::new(WhileSilent::Admit).await;
    let (frames, mut body) = body(&bench, &caller("s1", 0));
    frames.send(data("a")).unwrap();
    frames.send(Frame::trailers(http::HeaderMap::new())).unwrap();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    assert_eq!(bench.revocations.0.streams.len(), 0);
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert_eq!(bench.revocations.0.streams.len(), 0);
}
