use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;

/// What a body does when it is polled.
#[derive(Clone, Debug)]
enum Step {
    Chunk(Vec<u8>),
    /// Nothing is there yet.
    Wait,
}

/// A body that follows a script, and remembers how often it was polled past its end.
struct Scripted(VecDeque<Step>);

impl HttpBody for Scripted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.0.pop_front() {
            Some(Step::Chunk(data)) => Poll::Ready(Some(Ok(Frame::data(data.into())))),
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..20).prop_map(Step::Chunk),
        1 => Just(Step::Wait),
    ];
    prop::collection::vec(step, 0..10)
}

fn script(steps: &[Step]) -> Body {
    Body::new(Scripted(steps.iter().cloned().collect()))
}

fn bytes(steps: &[Step]) -> Vec<u8> {
    let chunks = steps.iter().filter_map(|step| match step {
        Step::Chunk(data) => Some(data.as_slice()),
        Step::Wait => None,
    });
    chunks.collect::<Vec<_>>().concat()
}

/// Polls `body` up to `polls` times, and gives what came.
fn read(body: &mut Body, polls: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..polls {
        match poll_now(body) {
            Poll::Ready(Some(frame)) => bytes.extend(frame.unwrap().into_data().unwrap()),
            Poll::Ready(None) => break,
            Poll::Pending => {}
        }
    }
    bytes
}

proptest! {
    // Fault 32.
    #[test]
    fn the_replay_is_byte_identical_when_nothing_a_part_or_all_was_read(
        steps in steps(),
        polls in 0_usize..12,
    ) {
        let (recording, mut first) = Recording::start(script(&steps), 1 << 20);
        let sent = read(&mut first, polls);
        prop_assert!(bytes(&steps).starts_with(&sent));
        let mut second = recording.replay().unwrap();
        prop_assert_eq!(read(&mut second, 100), bytes(&steps));
        // The first attempt, polled once more, neither panics nor yields what is not its own.
        let _ = poll_now(&mut first);
    }

    // Fault 34.
    #[test]
    fn a_recording_never_changes_the_first_attempt_and_is_given_up_over_the_cap(
        steps in steps(),
        polls in 0_usize..12,
        cap in 0_usize..60,
    ) {
        let (recording, mut first) = Recording::start(script(&steps), cap);
        let mut sent = read(&mut first, polls);
        // What is there at once is judged as a whole, what streams by what was sent of it.
        let whole = !matches!(recording, Recording::Streaming(_));
        let kept = if whole { bytes(&steps).len() } else { sent.len() };
        prop_assert_eq!(recording.is_replayable(), kept <= cap);
        sent.extend(read(&mut first, 100));
        prop_assert_eq!(sent, bytes(&steps));
        prop_assert_eq!(recording.replay().is_ok(), bytes(&steps).len() <= cap);
    }
}

#[test]
fn a_unary_request_is_kept_without_a_tape() {
    let (recording, mut first) = Recording::start(script(&[Step::Chunk(vec![7; 5])]), 5);
    assert!(matches!(&recording, Recording::Whole(data) if data.len() == 5));
    assert_eq!(read(&mut first, 1), vec![7; 5]);
    assert!(first.is_end_stream());
}

#[test]
fn a_failure_to_make_the_request_is_passed_on() {
    let failing = futures_util::stream::iter([
        Ok(Frame::data(Bytes::from_static(b"one"))),
        Err(Status::aborted("x")),
    ]);
    let body = Body::new(http_body_util::StreamBody::new(failing));
    let (recording, mut first) = Recording::start(body, 100);
    assert_eq!(read(&mut first, 1), b"one");
    assert!(matches!(poll_now(&mut first), Poll::Ready(Some(Err(_)))));
    assert!(recording.replay().is_err());
}
