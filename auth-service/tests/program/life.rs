//! Starting, reading settings again and stopping, as the program that looks after services sees it.

use service_program::Managed;
use tokio_stream::StreamExt as _;
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest,
};

use crate::harness::place;

/// How to reach it.
async fn channel(service: &Managed) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", service.serving.address)).unwrap();
    endpoint.connect().await.unwrap()
}

/// A call that lasts for as long as its sender does.
async fn call_that_goes_on(channel: Channel) -> tokio::sync::mpsc::Sender<ServerReflectionRequest> {
    let (asking, asked) = tokio::sync::mpsc::channel(1);
    let message_request = Some(MessageRequest::ListServices(String::new()));
    asking.send(ServerReflectionRequest { host: String::new(), message_request }).await.unwrap();
    let requests = tokio_stream::wrappers::ReceiverStream::new(asked);
    let answer = ServerReflectionClient::new(channel).server_reflection_info(requests).await;
    let mut answers = answer.unwrap().into_inner();
    answers.next().await.unwrap().unwrap();
    tokio::spawn(async move { while answers.next().await.is_some_and(|answer| answer.is_ok()) {} });
    asking
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_is_told_at_once_to_who_watches_and_to_the_service_manager() {
    let place = place();
    let service = place.manage(&[]);
    let channel = channel(&service).await;
    let watched = Request::new(HealthCheckRequest { service: String::new() });
    let watching = HealthClient::new(channel.clone()).watch(watched).await;
    let mut watching = watching.unwrap().into_inner();
    let serving = watching.next().await.unwrap().unwrap();
    assert_eq!(serving.status(), ServingStatus::Serving);
    let going_on = call_that_goes_on(channel).await;
    service.signal("-TERM");
    assert_eq!(service.told().first().unwrap(), "STOPPING=1");
    let left = watching.next().await.unwrap().unwrap();
    assert_eq!(left.status(), ServingStatus::NotServing);
    let ended = watching.next().await.unwrap().unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable, "who watches is told to go");
    // The call under way may end by itself.
    drop(going_on);
    assert_eq!(service.ended().0, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_do_not_end_are_cut_after_the_grace_or_at_the_second_signal() {
    let place = place();
    for (grace, is_hurried) in [("1s", false), ("10m", true)] {
        let service = place.manage(&["--drain-grace", grace]);
        let _going_on = call_that_goes_on(channel(&service).await).await;
        service.signal("-TERM");
        assert_eq!(service.told().first().unwrap(), "STOPPING=1");
        if is_hurried {
            service.signal("-TERM");
        }
        let (code, log) = service.ended();
        assert_eq!(code, Some(3), "{log}");
        assert!(log.contains("calls were still under way"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_read_again_and_those_that_need_a_restart_are_named() {
    let place = place();
    let file = place.write("auth.toml", "hash_queue = 9\n");
    let service = place.manage(&["--config", &file]);
    place.write("auth.toml", "hash_queue = 10\nissuer = \"elsewhere\"\nlog = \"error\"\n");
    let log = service.reloaded();
    assert!(!log.contains("the settings were read again"), "errors alone are logged now: {log}");
    place.write("auth.toml", "hash_queue = 10\nissuer = \"elsewhere\"\nlog = \"info\"\n");
    let log = service.reloaded();
    assert!(log.contains("the settings were read again"), "{log}");
    assert!(log.contains("issuer, hash_queue"), "{log}");
    assert!(log.contains("the master keys were read again"), "{log}");
    place.write("auth.toml", "hash_queue = many\n");
    let log = service.reloaded();
    assert!(log.contains("auth.toml:1: ") && log.contains("those that are in force stay"), "{log}");
    service.signal("-INT");
    assert_eq!(service.ended().0, Some(0));
}
