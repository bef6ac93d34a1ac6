//! A service that is told to stop, under load.

use evergreen_proto::auth::v1::GetCurrentUserRequest;
use tests::{World, bearing};
use tokio::task::JoinSet;
use tonic::Code;

/// Fault 53. Each client calls until it is told to go elsewhere, and has had an answer to each call
/// that the server answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_that_was_accepted_is_cut_by_a_stop() {
    const CLIENTS: usize = 20;
    let world = World::start().await;
    let token = world.register("ada").await.access_token;
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (mut client, token, answered) = (world.auth_client(), token.clone(), answered.clone());
        clients.spawn(async move {
            let mut ok = 0_usize;
            loop {
                match client.get_current_user(bearing(&token, GetCurrentUserRequest {})).await {
                    Ok(_) => ok += 1,
                    Err(status) => return (ok, status.code()),
                }
                answered.send(()).unwrap();
            }
        });
    }
    for _ in 0..10 * CLIENTS {
        answers.recv().await.unwrap();
    }
    let World { auth, auth_seen, .. } = world;
    auth.stop().await.unwrap();
    let mut ok = 0;
    while let Some(client) = clients.join_next().await {
        let (answers, refused) = client.unwrap();
        ok += answers;
        // What a client makes of a connection that goes away; the server has answered none of these,
        // as is seen below.
        let gone = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
        assert!(gone.contains(&refused), "{refused:?}");
    }
    let ended = auth_seen.take();
    let of_clients = ended.iter().filter(|rpc| rpc.method.ends_with("GetCurrentUser"));
    let codes: Vec<_> = of_clients.map(|rpc| rpc.code).collect();
    assert_eq!(codes, vec![Code::Ok; ok], "each answer has arrived, and no call was left without");
}
