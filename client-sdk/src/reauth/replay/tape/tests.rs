use hand::{poll, stream};
use http_body_util::{BodyExt as _, StreamBody};

use super::*;

/// Polls without a runtime.
mod hand {
    use std::sync::mpsc;

    use super::*;

    pub(super) fn poll(body: &mut Body) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
    }

    /// A body that yields what is sent to it.
    pub(super) fn stream() -> (mpsc::Sender<&'static [u8]>, Body) {
        let (sender, receiver) = mpsc::channel::<&'static [u8]>();
        let frames = futures_util::stream::poll_fn(move |_| match receiver.try_recv() {
            Ok(data) => Poll::Ready(Some(Ok::<_, Status>(Frame::data(Bytes::from_static(data))))),
            Err(mpsc::TryRecvError::Empty) => Poll::Pending,
            Err(mpsc::TryRecvError::Disconnected) => Poll::Ready(None),
        });
        (sender, Body::new(StreamBody::new(frames)))
    }
}

fn data(polled: Poll<Option<Result<Frame<Bytes>, Status>>>) -> Bytes {
    match polled {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().expect("data"),
        other => panic!("{other:?}"),
    }
}

fn chunks(bytes: &[Vec<u8>]) -> Body {
    let frames: Vec<_> =
        bytes.iter().map(|b| Ok::<_, Status>(Frame::data(Bytes::from(b.clone())))).collect();
    Body::new(StreamBody::new(futures_util::stream::iter(frames)))
}

fn read_all(body: Body) -> Bytes {
    futures_util::FutureExt::now_or_never(body.collect()).unwrap().unwrap().to_bytes()
}

// Fault 33, 36.
#[test]
fn a_refusal_during_streaming_hands_the_one_source_over() {
    let (sender, body) = stream();
    let (tape, mut first) = Tape::record([], body, 1 << 20);
    sender.send(b"one").unwrap();
    assert_eq!(data(poll(&mut first)), "one");
    assert!(poll(&mut first).is_pending());

    let mut second = tape.replay().unwrap();
    sender.send(b"two").unwrap();
    // The first attempt, polled once more, takes nothing away.
    assert!(matches!(poll(&mut first), Poll::Ready(Some(Err(_)))));
    assert_eq!(data(poll(&mut second)), "one");
    assert_eq!(data(poll(&mut second)), "two");
    assert!(poll(&mut second).is_pending());
    drop(sender);
    assert!(matches!(poll(&mut second), Poll::Ready(None)));
}

// Fault 34.
#[test]
fn a_body_over_the_cap_is_sent_unharmed_and_not_replayed() {
    let bytes = vec![vec![1; 6], vec![2; 6], vec![3; 6]];
    let (tape, first) = Tape::record([], chunks(&bytes), 10);
    assert_eq!(read_all(first), bytes.concat());
    assert_eq!(tape.replay().err(), Some(NotReplayable));
    assert_eq!(tape.source().tape.len(), 0);
}

#[test]
fn releasing_lets_go_of_what_was_read_and_goes_on() {
    let bytes = vec![vec![1; 6], vec![2; 6]];
    let (tape, mut first) = Tape::record([], chunks(&bytes), 100);
    let _ = poll(&mut first);
    tape.release();
    assert_eq!(tape.source().tape.len(), 0);
    assert!(!tape.is_replayable());
    assert_eq!(read_all(first), vec![2; 6]);
}

#[test]
fn a_replay_that_is_answered_early_still_yields_its_tape() {
    let bytes = vec![vec![1; 6], vec![2; 6]];
    let (tape, mut first) = Tape::record([], chunks(&bytes), 100);
    let _ = poll(&mut first);
    let mut second = tape.replay().unwrap();
    tape.release();
    assert_eq!(data(poll(&mut second)), vec![1; 6]);
    assert_eq!(read_all(second), vec![2; 6]);
}

#[test]
fn a_body_that_fails_is_not_replayed() {
    let failing = futures_util::stream::iter([Err::<Frame<Bytes>, _>(Status::aborted("x"))]);
    let (tape, mut first) = Tape::record([], Body::new(StreamBody::new(failing)), 100);
    assert!(matches!(poll(&mut first), Poll::Ready(Some(Err(_)))));
    assert!(!tape.is_replayable());
}
