//! What the layer adds to a unary call that succeeds, over a service that costs nothing.
//!
//! `cargo bench -p client-sdk --bench overhead` prints nanoseconds, bare and layered in turn.
//!
//! Where the machine is noisy, count instructions: the difference between the totals of
//!
//! ```text
//! valgrind --tool=callgrind target/release/deps/overhead-* layer 100000
//! valgrind --tool=callgrind target/release/deps/overhead-* bare 100000
//! ```
//!
//! divided by the number of calls.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on stops here")]

#[path = "../tests/common/null.rs"]
mod null;

use std::{env, hint::black_box, sync::Arc};

use bytes::Bytes;
use client_sdk::{
    Session,
    testing::{ScriptedRefresher, pair},
};
use evergreen_proto::api::v1::{ListTreesRequest, api_service_client::ApiServiceClient};
use http_body::Body as HttpBody;
use null::Null;
use token::clock::{ManualClock, Timestamp};
use tokio::time::Instant;
use tonic::body::Body;

async fn calls<S>(client: &mut ApiServiceClient<S>, n: u64)
where
    S: tonic::client::GrpcService<Body>,
    S::Error: Into<tonic::codegen::StdError>,
    S::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <S::ResponseBody as HttpBody>::Error: Into<tonic::codegen::StdError> + Send,
{
    for _ in 0..n {
        black_box(client.list_trees(ListTreesRequest::default()).await.unwrap());
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        // The system's clock is read past valgrind, which does not survive that.
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let session = Session::custom(ScriptedRefresher::new()).clock(clock);
        let session = session.connect().await.unwrap();
        session.set_tokens(pair(0)).await.unwrap();
        let layered = tower::ServiceBuilder::new().layer(session.layer()).service(Null);
        let (mut bare, mut layered) = (ApiServiceClient::new(Null), ApiServiceClient::new(layered));

        // What cargo itself passes begins with dashes.
        let arguments: Vec<_> = env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
        if let [which, n] = arguments.as_slice() {
            let n = n.parse().unwrap();
            return match which.as_str() {
                "bare" => calls(&mut bare, n).await,
                _ => calls(&mut layered, n).await,
            };
        }
        let mut rounds: Vec<(f64, f64)> = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let start = Instant::now();
            calls(&mut bare, CALLS).await;
            let between = Instant::now();
            calls(&mut layered, CALLS).await;
            let per_call = |lasted: std::time::Duration| lasted.as_secs_f64() * 1e9 / CALLS as f64;
            rounds.push((per_call(between - start), per_call(between.elapsed())));
        }
        let median = |of: &dyn Fn(&(f64, f64)) -> f64| {
            let mut values: Vec<_> = rounds.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        println!("bare     {:7.0} ns a call", median(&|round| round.0));
        println!("layered  {:7.0} ns a call", median(&|round| round.1));
        println!("added    {:7.0} ns a call", median(&|round| round.1 - round.0));
    });
}

const ROUNDS: usize = 21;
const CALLS: u64 = 20_000;
