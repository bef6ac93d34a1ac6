//! What is replayed, what is not, and what the replay looks like.

mod common;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use client_sdk::{
    AuthenticationError as E, Idempotent, ReauthLayer, ReplayForeign, Session,
    testing::{ScriptedRefresher, Step, pair},
};
use common::{
    Server, body_of, call, data, expired, framed, ok, refusal, request, send, settle, signed_in,
    status_of, token_of, trailers,
};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody};
use tonic::{Code, Status, body::Body};
use tower::{ServiceBuilder, ServiceExt as _};

const BODY: &[&[u8]] = &[b"one", b"two", b"three"];

// Fault 32, 38.
#[tokio::test(start_paused = true)]
async fn the_replay_is_equal_in_body_metadata_and_extensions_but_for_the_token() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    let mut request = request("/p.S/M", body_of(BODY));
    request.headers_mut().insert("x-trace", "7".parse().unwrap());
    request.extensions_mut().insert(42_u8);
    assert_eq!(send(&session, &server, request).await.code(), Code::Ok);

    let sent = server.sent.lock().unwrap().clone();
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].token.as_str(), sent[1].token.as_str()), ("access-0", "access-1"));
    assert_eq!((&sent[0].body[..], &sent[1].body[..]), (&b"onetwothree"[..], &b"onetwothree"[..]));
    let strip = |n: usize| {
        let mut headers = sent[n].head.headers.clone();
        headers.remove("authorization");
        (sent[n].head.method.clone(), sent[n].head.uri.clone(), headers)
    };
    assert_eq!(strip(0), strip(1));
    assert_eq!(sent[1].head.extensions.get::<u8>(), Some(&42));
    assert!(sent.iter().all(|sent| sent.head.headers["authorization"].is_sensitive()));
}

// Fault 35.
#[tokio::test(start_paused = true)]
async fn a_status_as_trailers_only_or_after_empty_headers_is_replayed() {
    let answers: [fn() -> Response<Body>; 3] = [
        expired,
        || framed(vec![trailers(&refusal("SESSION_REVOKED"))]),
        || framed(vec![data(b""), trailers(&refusal("ACCESS_TOKEN_INVALID"))]),
    ];
    for answer in answers {
        let refresher = ScriptedRefresher::new();
        let session = signed_in(&refresher, |b| b).await;
        let server = Server::new(move |sent| {
            if sent.token == "access-0" {
                answer()
            } else {
                framed(vec![data(b"message"), trailers(&Status::new(Code::Ok, ""))])
            }
        });
        assert_eq!(call(&session, &server).await.code(), Code::Ok);
        assert_eq!((refresher.count(), server.count()), (1, 2));
    }
}

// Fault 35: the trailers come later than the headers.
#[tokio::test(start_paused = true)]
async fn headers_are_not_held_back_and_a_refusal_behind_them_is_still_replayed() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::new(|sent| {
        if sent.token != "access-0" {
            return framed(vec![data(b"message"), trailers(&Status::new(Code::Ok, ""))]);
        }
        let late = futures_util::stream::once(async {
            tokio::time::sleep(Duration::from_secs(9)).await;
            Ok::<_, Status>(trailers(&refusal("ACCESS_TOKEN_EXPIRED")))
        });
        Response::new(Body::new(StreamBody::new(late)))
    });
    let start = tokio::time::Instant::now();
    let service = ServiceBuilder::new().layer(session.layer()).service(server.clone());
    let response = service.oneshot(request("/p.S/M", body_of(BODY))).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(Status::from_header_map(body.trailers().unwrap()).unwrap().code(), Code::Ok);
    assert_eq!(body.to_bytes(), "message");
    assert_eq!((refresher.count(), server.count()), (1, 2));
    assert_eq!(server.sent.lock().unwrap()[1].body, "onetwothree");
}

// Fault 35: after a message, never; the next call profits.
#[tokio::test(start_paused = true)]
async fn a_stream_cut_after_a_message_is_not_replayed_and_starts_the_refresh() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server =
        Server::new(|_| framed(vec![data(b"message"), trailers(&refusal("ACCESS_TOKEN_EXPIRED"))]));
    let status = call(&session, &server).await;
    assert!(matches!(E::from_status(&status), Some(E::Refused { .. })));
    assert_eq!(server.count(), 1);
    settle().await;
    assert_eq!((refresher.count(), token_of(&session).as_str()), (1, "access-1"));
}

// Fault 34.
#[tokio::test(start_paused = true)]
async fn a_body_over_the_cap_is_refused_with_the_reason_and_the_refresh_serves_the_others() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b.replay_cap(5)).await;
    let server = Server::refusing("access-0");
    let status = send(&session, &server, request("/p.S/M", body_of(BODY))).await;
    assert_eq!(status.code(), Code::Unauthenticated);
    assert!(status.metadata().get("evergreen-not-replayed").is_some());
    assert_eq!(server.sent.lock().unwrap()[0].body, "onetwothree");
    settle().await;
    assert_eq!((refresher.count(), token_of(&session).as_str()), (1, "access-1"));
}

// Fault 37.
#[tokio::test(start_paused = true)]
async fn the_replays_timeout_is_the_callers_less_all_that_has_passed() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let session = signed_in(&refresher, |b| b.attempt_timeout(Duration::from_secs(60))).await;
    let server = Server { latency: Duration::from_secs(1), ..Server::refusing("access-0") };
    let mut timed = request("/p.S/M", Body::empty());
    timed.headers_mut().insert("grpc-timeout", "10S".parse().unwrap());
    let release = async {
        refresher.reached(1).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        refresher.release();
    };
    let (status, ()) = tokio::join!(send(&session, &server, timed), release);
    assert_eq!(status.code(), Code::Ok);
    let sent = server.sent.lock().unwrap();
    assert_eq!(sent[0].head.headers["grpc-timeout"], "10S");
    let left = sent[1].head.headers["grpc-timeout"].to_str().unwrap();
    let micros: u64 = left.strip_suffix('u').unwrap().parse().unwrap();
    assert!((5_990_000..=6_000_000).contains(&micros), "{left}");
}

// Fault 37, 3.
#[tokio::test(start_paused = true)]
async fn a_budget_spent_on_the_refresh_is_deadline_exceeded_and_no_replay() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::refusing("access-0");
    let mut timed = request("/p.S/M", Body::empty());
    timed.headers_mut().insert("grpc-timeout", "2S".parse().unwrap());
    let status = send(&session, &server, timed).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(matches!(E::from_status(&status), Some(E::DeadlineExceeded)));
    assert_eq!(server.count(), 1);
    // The refresh goes on without the caller.
    refresher.release();
    settle().await;
    assert_eq!((refresher.count(), token_of(&session).as_str()), (1, "access-1"));
}

// Fault 37: a channel that has no connection does not start its own timer.
#[tokio::test(start_paused = true)]
async fn a_first_send_that_never_gets_through_ends_with_the_callers_timeout() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let stuck = tower::service_fn(|_: Request<Body>| {
        std::future::pending::<Result<Response<Body>, Infallible>>()
    });
    let service = ServiceBuilder::new().layer(session.layer()).service(stuck);
    let mut request = request("/p.S/M", Body::empty());
    request.headers_mut().insert("grpc-timeout", "3S".parse().unwrap());
    let began = tokio::time::Instant::now();
    let status = status_of(service.oneshot(request).await.unwrap()).await;
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(matches!(E::from_status(&status), Some(E::DeadlineExceeded)));
    assert!(began.elapsed() < Duration::from_millis(3_010));
    assert_eq!(refresher.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_tonics_own_is_deadline_exceeded() {
    let session = signed_in(&ScriptedRefresher::new(), |b| b).await;
    let timer = tower::service_fn(|_: Request<Body>| async {
        Err::<Response<Body>, _>(tonic::TimeoutExpired(()))
    });
    let service = ServiceBuilder::new().layer(session.layer()).service(timer);
    let response = service.oneshot(request("/p.S/M", Body::empty())).await.unwrap();
    assert_eq!(status_of(response).await.code(), Code::DeadlineExceeded);

    let server = Server::new(|_| Status::cancelled("Timeout expired").into_http());
    assert_eq!(call(&session, &server).await.code(), Code::DeadlineExceeded);
}

// Fault 38.
#[tokio::test(start_paused = true)]
async fn a_users_own_authorization_passes_untouched_and_causes_no_refresh() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::new(|_| expired());
    let mut own = request("/p.S/M", Body::empty());
    own.headers_mut().insert("authorization", "Basic abc".parse().unwrap());
    assert_eq!(send(&session, &server, own).await.code(), Code::Unauthenticated);
    assert_eq!(server.tokens(), ["Basic abc"]);
    assert_eq!(refresher.count(), 0);
}

// Fault 39.
#[tokio::test(start_paused = true)]
async fn a_refusal_without_a_reason_is_replayed_by_policy_only() {
    for (policy, idempotent, sends) in [
        (ReplayForeign::IdempotentOnly, false, 1),
        (ReplayForeign::IdempotentOnly, true, 2),
        (ReplayForeign::Always, false, 2),
    ] {
        let refresher = ScriptedRefresher::new();
        let session = signed_in(&refresher, |b| b.replay_foreign(policy)).await;
        let server = Server::new(|sent| {
            if sent.token == "access-0" {
                Status::unauthenticated("a proxy").into_http()
            } else {
                ok()
            }
        });
        let mut request = request("/p.S/M", Body::empty());
        if idempotent {
            request.extensions_mut().insert(Idempotent);
        }
        send(&session, &server, request).await;
        settle().await;
        assert_eq!((refresher.count(), server.count()), (1, sends), "{policy:?} {idempotent}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_evergreen_reasons_pass_through() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::new(|_| refusal("INVALID_CREDENTIALS").into_http());
    assert_eq!(call(&session, &server).await.code(), Code::Unauthenticated);
    assert_eq!((refresher.count(), server.count()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn token_rpcs_bypass_the_layer() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let server = Server::new(|_| expired());
    let login = request("/evergreen.auth.v1.AuthService/Login", Body::empty());
    send(&session, &server, login).await;
    assert_eq!((refresher.count(), server.tokens()), (0, vec![String::new()]));
}

#[tokio::test(start_paused = true)]
async fn many_identities_share_one_channel() {
    let refresher = ScriptedRefresher::new();
    let bob = Session::custom(refresher.clone()).connect().await.unwrap();
    bob.set_tokens(pair(9)).await.unwrap();
    let server = Server::new(|_| ok());
    let service = ServiceBuilder::new().layer(ReauthLayer::per_request()).service(server.clone());
    let mut as_bob = request("/p.S/M", Body::empty());
    as_bob.extensions_mut().insert(bob);
    service.clone().oneshot(as_bob).await.unwrap();
    service.oneshot(request("/p.S/M", Body::empty())).await.unwrap();
    assert_eq!(server.tokens(), ["access-9", ""]);
}

// Fault 41: a session has no task of its own, and takes everything with it.
#[tokio::test(start_paused = true)]
async fn a_thousand_identities_have_flights_of_their_own_and_leave_nothing_behind() {
    let refresher = ScriptedRefresher::new();
    let server = Server::refusing("access-0");
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut weak = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..1000 {
        let alive = Arc::new(token::entropy::SystemEntropy);
        weak.push(Arc::downgrade(&alive));
        let session = signed_in(&refresher, |b| b.entropy(alive)).await;
        let server = server.clone();
        calls.push(tokio::spawn(async move { call(&session, &server).await }));
    }
    for call in calls {
        assert_eq!(call.await.unwrap().code(), Code::Ok);
    }
    settle().await;
    assert_eq!(refresher.count(), 1000);
    assert_eq!(tasks(), before);
    assert!(weak.iter().all(|alive| alive.strong_count() == 0));
}

// Fault 36: the producer of a stream that is still open is consumed once.
#[tokio::test(start_paused = true)]
async fn an_open_client_stream_is_replayed_from_its_buffer_and_goes_on() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let polls = Arc::new(AtomicUsize::new(0));
    let produced = polls.clone();
    let producer = futures_util::stream::unfold(0_u8, move |n| {
        produced.fetch_add(1, SeqCst);
        async move {
            if n == 5 {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            Some((Ok::<_, Status>(http_body::Frame::data(vec![n].into())), n + 1))
        }
    });
    // The first attempt is refused after two messages have been read, the replay reads all.
    let upload = tower::service_fn(|request: Request<Body>| async move {
        let (head, mut body) = request.into_parts();
        let mut read = Vec::new();
        let refused = head.headers["authorization"] == "Bearer access-0";
        while let Some(frame) = body.frame().await {
            read.extend_from_slice(&frame?.into_data().unwrap());
            if refused && read.len() == 2 {
                return Ok(expired());
            }
        }
        assert_eq!(read, [0, 1, 2, 3, 4]);
        Ok::<_, Status>(ok())
    });
    let service = ServiceBuilder::new().layer(session.layer()).service(upload);
    let body = Body::new(StreamBody::new(producer));
    let response = service.oneshot(request("/p.S/M", body)).await.unwrap();
    assert_eq!(status_of(response).await.code(), Code::Ok);
    assert_eq!(polls.load(SeqCst), 6);
    assert_eq!(refresher.count(), 1);
}

// Fault 16.
#[tokio::test(start_paused = true)]
async fn a_call_is_never_sent_again_as_somebody_else() {
    let refresher = ScriptedRefresher::new();
    let session = signed_in(&refresher, |b| b).await;
    let login = session.clone();
    let server = Server::new(move |_| {
        let bob = client_sdk::TokenPair::new("bob").session_id("s2");
        futures_util::FutureExt::now_or_never(login.set_tokens(bob)).unwrap().unwrap();
        expired()
    });
    assert_eq!(call(&session, &server).await.code(), Code::Unauthenticated);
    assert_eq!(server.tokens(), ["access-0"]);
    assert_eq!(refresher.count(), 0);
}

// Fault 37: a refresh before the first send counts too.
#[tokio::test(start_paused = true)]
async fn a_refresh_before_the_first_send_is_taken_off_the_timeout() {
    let refresher = ScriptedRefresher::new().then(Step::Hold);
    let session = signed_in(&refresher, |b| b).await;
    tokio::time::advance(Duration::from_secs(900)).await;
    let server = Server::new(|_| ok());
    let mut timed = request("/p.S/M", body_of(BODY));
    timed.headers_mut().insert("grpc-timeout", "10S".parse().unwrap());
    let release = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        refresher.release();
    };
    let (status, ()) = tokio::join!(send(&session, &server, timed), release);
    assert_eq!(status.code(), Code::Ok);
    let sent = server.sent.lock().unwrap();
    let left = sent[0].head.headers["grpc-timeout"].to_str().unwrap().to_owned();
    let micros: u64 = left.strip_suffix('u').unwrap().parse().unwrap();
    assert!((5_990_000..=6_000_000).contains(&micros), "{left}");
}

/// Bytes that say, by the count of what they hold, whether anybody still holds them.
struct Watched(Arc<[u8]>);

impl AsRef<[u8]> for Watched {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_for_a_replay_is_let_go_of_at_the_first_response_byte() {
    let session = signed_in(&ScriptedRefresher::new(), |b| b).await;
    let (answers, receiver) = tokio::sync::mpsc::unbounded_channel();
    let receiver = Arc::new(std::sync::Mutex::new(Some(receiver)));
    // Reads the request, keeps nothing of it, and answers with what the test sends.
    let service = tower::service_fn(move |request: Request<Body>| {
        let answers = receiver.lock().unwrap().take().unwrap();
        async move {
            let _ = request.into_body().collect().await.unwrap();
            let answers = tokio_stream::wrappers::UnboundedReceiverStream::new(answers);
            Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(answers))))
        }
    });
    let held: Arc<[u8]> = Arc::from(*b"\0\0\0\0\x05hello");
    let whole = Bytes::from_owner(Watched(Arc::clone(&held)));
    let frame = http_body::Frame::data(whole);
    let body = Body::new(StreamBody::new(tokio_stream::iter([Ok::<_, Status>(frame)])));
    let service = ServiceBuilder::new().layer(session.layer()).service(service);
    let response = service.oneshot(request("/p.S/M", body)).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(Arc::strong_count(&held), 2, "a refusal may still come");
    answers.send(Ok::<_, Status>(data(b"\0\0\0\0\0"))).unwrap();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    assert_eq!(Arc::strong_count(&held), 1);
}
