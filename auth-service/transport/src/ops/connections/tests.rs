//! Clients that dawdle. The clock is paused, so that what takes time takes exactly that.

use std::sync::Arc;

use axum::routing::get;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};
use tokio_stream::wrappers::ReceiverStream;

use super::*;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n";
const HALF: &[u8] = b"GET / HTTP/1.1\r\nho";

fn greeting() -> Router {
    Router::new().route("/", get(async || "hello"))
}

/// A server of these connections, and no more.
fn start(
    incoming: impl IntoIterator<Item = io::Result<DuplexStream>>,
    routes: Router,
) -> (watch::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = watch::channel(());
    let incoming: Vec<_> = incoming.into_iter().collect();
    let incoming = tokio_stream::iter(incoming).chain(tokio_stream::pending());
    (stop, tokio::spawn(serve(incoming, routes, stopped)))
}

/// Reads until this much of an answer's end has come.
async fn read_until(client: &mut DuplexStream, end: &str) {
    let mut read = String::new();
    while !read.ends_with(end) {
        let mut byte = [0];
        client.read_exact(&mut byte).await.unwrap();
        read.push(byte[0].into());
    }
    assert!(read.starts_with("HTTP/1.1 200"), "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_answered_after_the_stop() {
    let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (told, asked) = (Arc::clone(&begun), Arc::clone(&go));
    let slow = async move || {
        told.notify_one();
        asked.notified().await;
        "hello"
    };
    let (mut client, io) = duplex(1024);
    let (door, incoming) = mpsc::channel(1);
    let (stop, stopped) = watch::channel(());
    let routes = Router::new().route("/", get(slow));
    let server = tokio::spawn(serve(ReceiverStream::new(incoming), routes, stopped));
    door.send(Ok(io)).await.unwrap();
    client.write_all(REQUEST).await.unwrap();
    begun.notified().await;
    assert!(!door.is_closed());
    drop(stop);
    sleep(GRACE / 2).await;
    assert!(door.is_closed() && !server.is_finished());
    go.notify_one();
    read_until(&mut client, "hello").await;
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_the_stop_idle_connections_end_at_once_and_half_requests_after_their_grace() {
    for (sent, lasts) in [(REQUEST, Duration::ZERO), (HALF, GRACE)] {
        let (mut client, io) = duplex(1024);
        let (stop, server) = start([Ok(io)], greeting());
        client.write_all(sent).await.unwrap();
        if sent == REQUEST {
            read_until(&mut client, "hello").await;
        }
        sleep(PAUSE).await;
        let stopped = Instant::now();
        drop(stop);
        timeout(2 * GRACE, server).await.unwrap().unwrap();
        // The paused clock still moves in whole milliseconds, upwards.
        assert!((lasts..=lasts + Duration::from_millis(1)).contains(&stopped.elapsed()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_reads_is_cut() {
    let (mut client, io) = duplex(64);
    let (_stop, stopped) = watch::channel(());
    let routes = Router::new().route("/", get(async || "much ".repeat(100_000)));
    client.write_all(REQUEST).await.unwrap();
    let begun = Instant::now();
    timeout(2 * (LIFE + GRACE), connection(io, routes, stopped)).await.unwrap();
    let lasted = begun.elapsed();
    assert!((LIFE + GRACE..=LIFE + GRACE + Duration::from_millis(2)).contains(&lasted));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_many_waits_for_its_turn() {
    let (mut clients, servers): (Vec<_>, Vec<_>) =
        std::iter::repeat_with(|| duplex(1024)).take(MOST_CONNECTIONS + 1).unzip();
    let (_stop, _server) = start(servers.into_iter().map(Ok), greeting());
    let mut last = clients.pop().unwrap();
    for client in &mut clients {
        client.write_all(HALF).await.unwrap();
    }
    last.write_all(REQUEST).await.unwrap();
    let early = timeout(Duration::from_secs(1), last.read_u8()).await;
    assert!(early.is_err(), "{early:?}");
    drop(clients.pop());
    timeout(Duration::from_secs(1), read_until(&mut last, "hello")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_connections_that_could_not_be_accepted_others_are() {
    let (mut client, io) = duplex(1024);
    let failed = || Err(io::Error::other("too many open files"));
    let begun = Instant::now();
    let (_stop, _server) = start([failed(), failed(), Ok(io)], greeting());
    client.write_all(REQUEST).await.unwrap();
    read_until(&mut client, "hello").await;
    assert!((2 * PAUSE..3 * PAUSE).contains(&begun.elapsed()));
}
