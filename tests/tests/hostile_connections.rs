//! Connections that abuse HTTP/2: each is ended, and nobody else notices.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{future::pending, net::SocketAddr};

use evergreen_proto::auth::v1::GetCurrentUserRequest;
use tests::{World, bearing, process::PATIENCE};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tonic::Code;

/// What is sent on the n-th stream of a client.
type Flood = fn(u32) -> Vec<u8>;

/// CVE-2023-44487: what is asked for is taken back before it is begun, and so no bound on what is
/// under way holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_reset_at_once_cost_their_connection_alone() {
    let streams = of_hostile_connections(|n| {
        let request = frame(HEADERS, END_STREAM | END_HEADERS, n, &login());
        [request, frame(RST_STREAM, 0, n, &CANCEL.to_be_bytes())].concat()
    })
    .await;
    assert_eq!(streams, [21; HOSTILE]);
}

/// CVE-2025-8671: the same, by frames that the server answers with a reset of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_the_server_has_to_reset_cost_their_connection_alone() {
    let streams = of_hostile_connections(|n| {
        let request = frame(HEADERS, END_HEADERS, n, &login());
        [request, frame(WINDOW_UPDATE, 0, n, &TOO_WIDE.to_be_bytes())].concat()
    })
    .await;
    // Some of them may have been refused, which counts as well.
    assert!(streams.iter().all(|streams| *streams <= 1_025), "{streams:?}");
}

/// CVE-2024-27316.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_without_an_end_cost_their_connection_alone() {
    let streams = of_hostile_connections(|n| match n {
        1 => frame(HEADERS, END_STREAM, 1, &login()),
        // RFC 7541, appendix B: a literal without a name, a letter each.
        _ => frame(CONTINUATION, 0, 1, &[0x00, 1, b'x', 1, b'y']),
    })
    .await;
    assert_eq!(streams, [0; HOSTILE]);
}

/// Some clients flood an AuthService while another one works. How many streams each of them had
/// opened when its connection was ended.
async fn of_hostile_connections(flood: Flood) -> Vec<u32> {
    let world = World::start().await;
    let token = world.register("ada").await.access_token;
    let mut honest = world.auth_client();
    let floods: JoinSet<_> = (0..HOSTILE).map(|_| ended(world.auth.address, flood)).collect();
    let floods = tokio::spawn(floods.join_all());
    let mut calls = 0;
    while calls < 100 || !floods.is_finished() {
        honest.get_current_user(bearing(&token, GetCurrentUserRequest {})).await.unwrap();
        calls += 1;
    }
    let ended = floods.await.unwrap();
    assert!(ended.iter().all(|(_, why)| *why == ENHANCE_YOUR_CALM), "{ended:?}");
    let seen = world.auth_seen.take();
    let honest = seen.iter().filter(|rpc| rpc.method == "GetCurrentUser" && rpc.code == Code::Ok);
    assert_eq!(honest.count(), calls);
    // A client's streams have odd numbers.
    ended.into_iter().map(|(last, _)| last.div_ceil(2)).collect()
}

/// Floods a server for as long as it goes on, which it must not for long: the last stream that it
/// looked at, and what it said as it hung up.
async fn ended(server: SocketAddr, flood: Flood) -> (u32, u32) {
    let (mut read, mut write) = TcpStream::connect(server).await.unwrap().into_split();
    let writing = async {
        let mut said = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        // A server that hangs up may do so in the middle of it.
        for first in (1..).step_by(200) {
            said.extend((first..first + 200).step_by(2).flat_map(flood));
            if write.write_all(&said).await.is_err() {
                break;
            }
            said.clear();
        }
        pending().await
    };
    let reading = async {
        loop {
            let mut head = [0; 9];
            read.read_exact(&mut head).await.expect("it says why it hangs up");
            let [a, b, c, kind, ..] = head;
            let mut payload = vec![0; usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap()];
            read.read_exact(&mut payload).await.unwrap();
            if kind == GOAWAY {
                let word = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
                return (word(0), word(4));
            }
        }
    };
    let said = tokio::select! {
        never = writing => never,
        said = timeout(PATIENCE, reading) => said.expect("such a connection is ended"),
    };
    // What it did not read makes the end a reset.
    let _ = timeout(PATIENCE, read.read_to_end(&mut Vec::new())).await.expect("it hangs up");
    said
}

/// A frame (RFC 9113 section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The headers of a call, each by its place in the static table (RFC 7541 appendix A).
fn login() -> Vec<u8> {
    let path = b"/evergreen.auth.v1.AuthService/Login";
    let length = u8::try_from(path.len()).unwrap();
    // POST, http, and a path.
    [&[0x83, 0x86, 0x04, length], path.as_slice()].concat()
}

const HOSTILE: usize = 10;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const WINDOW_UPDATE: u8 = 0x8;
const CONTINUATION: u8 = 0x9;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;
const CANCEL: u32 = 0x8;
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// More than a window can have, which has something already.
const TOO_WIDE: u32 = 0x7fff_ffff;
