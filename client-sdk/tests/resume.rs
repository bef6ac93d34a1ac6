//! A stream that breaks is opened again from where it was.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use client_sdk::{AuthenticationError, resume::Resumed};
use futures_util::{Stream, StreamExt as _, stream};
use token::entropy::SeededEntropy;
use tokio::time::{Instant, timeout};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

type Boxed = std::pin::Pin<Box<dyn Stream<Item = Result<u32, Status>> + Send>>;

/// What one opening comes to: a refusal, or messages and how they end.
enum Turn {
    Refused(Status),
    Tells(Vec<u32>, Option<Status>),
    /// Neither ends nor tells anything more.
    Hangs(Vec<u32>),
}

/// A server by script, and the cursors that it was asked for.
#[derive(Clone, Default)]
struct Server {
    turns: Arc<Mutex<VecDeque<Turn>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        let turns = Arc::new(Mutex::new(turns.into_iter().collect()));
        Self { turns, ..Self::default() }
    }

    fn resumed(&self, cursor: &str) -> Resumed<Boxed, u32> {
        let server = self.clone();
        let open = move |cursor: String| {
            let server = server.clone();
            async move {
                server.asked.lock().unwrap().push(cursor);
                let turn = server.turns.lock().unwrap().pop_front().expect("no turn is left");
                Ok(match turn {
                    Turn::Refused(status) => return Err(status),
                    Turn::Tells(told, end) => {
                        stream::iter(told.into_iter().map(Ok).chain(end.map(Err))).boxed()
                    }
                    Turn::Hangs(told) => {
                        stream::iter(told.into_iter().map(Ok)).chain(stream::pending()).boxed()
                    }
                })
            }
        };
        let cursor_of = |message: &u32| match message {
            0 => String::new(),
            message => format!("after {message}"),
        };
        Resumed::new(cursor, open, cursor_of).entropy(Arc::new(SeededEntropy::new(1)))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn all(stream: &mut Resumed<Boxed, u32>) -> (Vec<u32>, Option<Code>) {
    let mut told = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => told.push(message),
            Ok(None) => return (told, None),
            Err(status) => return (told, Some(status.code())),
        }
    }
}

fn gone() -> Status {
    Status::unavailable("gone")
}

#[tokio::test(start_paused = true)]
async fn it_goes_on_after_the_last_message() {
    let broken = Status::from_error(Box::new(std::io::Error::other("connection reset")));
    assert!(!matches!(broken.code(), Code::Unavailable | Code::DeadlineExceeded));
    let server = Server::new([
        Turn::Refused(gone()),
        Turn::Tells(vec![1, 2], Some(gone())),
        Turn::Tells(vec![], Some(Status::resource_exhausted("busy"))),
        // A message that is no place to go on from.
        Turn::Tells(vec![3, 0], Some(broken)),
        Turn::Refused(Status::deadline_exceeded("slow")),
        Turn::Tells(vec![4], Some(Status::unauthenticated("another token, please"))),
        Turn::Tells(vec![5], None),
    ]);
    let mut stream = server.resumed("kept");
    assert_eq!(stream.cursor(), "kept");
    assert_eq!(all(&mut stream).await, (vec![1, 2, 3, 0, 4, 5], None));
    let asked = ["kept", "kept", "after 2", "after 2", "after 3", "after 3", "after 4"];
    assert_eq!(server.asked(), asked);
    assert_eq!(stream.cursor(), "after 5");
    // It has ended, and is not opened once more.
    assert_eq!(all(&mut stream).await, (vec![], None));
    assert_eq!(server.asked().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn what_is_said_for_good_ends_it() {
    for code in [
        Code::OutOfRange,
        Code::InvalidArgument,
        Code::PermissionDenied,
        Code::NotFound,
        Code::Unimplemented,
        Code::Internal,
    ] {
        let server = Server::new([Turn::Tells(vec![1], Some(Status::new(code, "no")))]);
        let mut stream = server.resumed("");
        assert_eq!(all(&mut stream).await, (vec![1], Some(code)));
        assert_eq!(all(&mut stream).await, (vec![], None));
        let server = Server::new([Turn::Refused(Status::new(code, "no"))]);
        assert_eq!(all(&mut server.resumed("")).await, (vec![], Some(code)));
    }
    // Refused with whatever token there is, or in every stream before it tells anything.
    let refused = || Status::unauthenticated("no");
    for turn in [Turn::Refused(refused()), Turn::Tells(vec![], Some(refused()))] {
        let server = Server::new([Turn::Tells(vec![1], Some(refused())), turn]);
        let ended = all(&mut server.resumed("")).await;
        assert_eq!(ended, (vec![1], Some(Code::Unauthenticated)));
    }
}

#[tokio::test(start_paused = true)]
async fn it_backs_off_until_something_is_told() {
    let mut turns: Vec<_> = (0..8).map(|_| Turn::Refused(gone())).collect();
    turns.push(Turn::Tells(vec![1], Some(gone())));
    turns.push(Turn::Tells(vec![2], None));
    let server = Server::new(turns);
    let mut stream = server.resumed("");
    let begun = Instant::now();
    assert_eq!(stream.message().await.unwrap(), Some(1));
    // 0.1 + 0.2 + ... + 3.2 + 5 + 5 s, between half and whole.
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_secs(8) && waited <= Duration::from_secs(17), "{waited:?}");
    let begun = Instant::now();
    assert_eq!(stream.message().await.unwrap(), Some(2));
    assert!(begun.elapsed() <= Duration::from_millis(101));
}

#[tokio::test(start_paused = true)]
async fn it_waits_as_long_as_it_is_asked_to_and_gives_up_when_told_to() {
    let asks = |seconds| {
        let mut details = ErrorDetails::new();
        details.set_retry_info(Some(Duration::from_secs(seconds)));
        Status::with_error_details(Code::Unavailable, "later", details)
    };
    let server = Server::new([Turn::Refused(asks(20)), Turn::Tells(vec![1], Some(asks(90)))]);
    let mut stream = server.resumed("").patience(Duration::from_secs(60));
    let begun = Instant::now();
    assert_eq!(stream.message().await.unwrap(), Some(1));
    assert_eq!(begun.elapsed().as_secs(), 20);
    assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(begun.elapsed().as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn to_stop_waiting_loses_nothing() {
    let server = Server::new([Turn::Hangs(vec![1]), Turn::Tells(vec![2], None)]);
    let mut stream = server.resumed("");
    assert_eq!(stream.message().await.unwrap(), Some(1));
    let second = Duration::from_secs(1);
    timeout(second, stream.message()).await.unwrap_err();
    assert_eq!(server.asked().len(), 1);

    let server = Server::new([Turn::Tells(vec![1], Some(gone())), Turn::Tells(vec![2], None)]);
    let mut stream = server.resumed("");
    assert_eq!(stream.message().await.unwrap(), Some(1));
    // In the middle of the backoff.
    timeout(Duration::from_millis(1), stream.message()).await.unwrap_err();
    assert_eq!(all(&mut stream).await, (vec![2], None));
    assert_eq!(server.asked(), ["", "after 1"]);

    // Nor is the backoff begun anew by whoever never waits for all of it.
    let server = Server::new([Turn::Tells(vec![1], Some(gone())), Turn::Tells(vec![2], None)]);
    let mut stream = server.resumed("");
    assert_eq!(stream.message().await.unwrap(), Some(1));
    let moment = Duration::from_millis(1);
    let second = async {
        loop {
            if let Ok(message) = timeout(moment, stream.message()).await {
                break message.unwrap();
            }
        }
    };
    assert_eq!(timeout(Duration::from_secs(10), second).await.unwrap(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn what_the_layer_says_of_a_session_that_may_go_on_passes() {
    let spent = Status::from(AuthenticationError::WindowSpent);
    let server = Server::new([Turn::Refused(spent), Turn::Tells(vec![1], None)]);
    assert_eq!(all(&mut server.resumed("")).await, (vec![1], None));

    let over = Status::from(AuthenticationError::Rejected { reason: "SESSION_REVOKED".into() });
    let server = Server::new([Turn::Refused(over), Turn::Tells(vec![1], None)]);
    assert_eq!(all(&mut server.resumed("")).await, (vec![], Some(Code::Unauthenticated)));
}
