//! Ten thousand identities on one channel: what each costs, and that nothing of it stays.

mod common;

use std::sync::Arc;

use client_sdk::{
    ReauthLayer, Session,
    testing::{ScriptedRefresher, pair},
};
use common::{Server, expired, ok, request, status_of};
use tonic::{Code, body::Body};
use tower::{Layer as _, ServiceExt as _};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

// Fault 41.
#[test]
fn ten_thousand_sessions_share_a_channel_in_bounded_memory_and_leave_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let refresher = ScriptedRefresher::new();
        // Takes the renewed tokens, and keeps no book.
        let server = Server::new(|sent| if sent.token == "access-0" { expired() } else { ok() });
        let book = Arc::clone(&server.sent);
        let channel = ReauthLayer::per_request().layer(server);
        let serve = async |session: &Session| {
            let mut request = request("/p.S/M", Body::empty());
            request.extensions_mut().insert(session.clone());
            let response = channel.clone().oneshot(request).await.unwrap();
            assert_eq!(status_of(response).await.code(), Code::Ok);
            book.lock().unwrap().clear();
        };
        let signed_in_and_refreshed = async || {
            let session = Session::custom(refresher.clone()).connect().await.unwrap();
            session.set_tokens(pair(0)).await.unwrap();
            serve(&session).await;
            session
        };
        let mut sessions = Vec::with_capacity(SESSIONS);
        for _ in 0..SESSIONS - COUNTED {
            sessions.push(signed_in_and_refreshed().await);
        }
        // Only the last ones are counted: what they cost when there are many already.
        let _counting = dhat::Profiler::builder().testing().build();
        let held = || dhat::HeapStats::get().curr_bytes;
        for _ in 0..COUNTED {
            sessions.push(signed_in_and_refreshed().await);
        }
        assert_eq!(refresher.count(), SESSIONS);
        let all = held() / COUNTED;
        drop(sessions);
        tokio::task::yield_now().await;
        // The script keeps a record of each attempt.
        let left = held() / COUNTED;
        println!("{} bytes per session that has refreshed, {left} are left of it", all - left);
        assert!(all - left < 3072);
        assert!(left < 256);
    });
}

const SESSIONS: usize = 10_000;
const COUNTED: usize = 500;
