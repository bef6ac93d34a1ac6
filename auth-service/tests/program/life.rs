//! Starting, reading settings again and stopping, as the program that looks after services sees it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    time::Duration,
};

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

use crate::harness::{Place, place};

/// A service under a service manager. It is killed if it goes before it has ended.
struct Managed {
    child: Child,
    manager: UnixDatagram,
    channel: Channel,
    log: std::path::PathBuf,
}

impl Managed {
    async fn start(place: &Place, args: &[&str]) -> Self {
        let socket = place.path("notify");
        let manager = UnixDatagram::bind(&socket).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let serve = ["serve", "--listen=127.0.0.1:0", "--data-dir=data"];
        let log = place.path("log");
        let mut child = place
            .program(&[&serve, args].concat())
            .env("NOTIFY_SOCKET", &socket)
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("AuthService is ready on ").expect(&line);
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let channel = channel.connect().await.unwrap();
        let managed = Self { child, manager, channel, log };
        assert_eq!(managed.told().first().unwrap(), "READY=1");
        managed
    }

    /// What the service manager is told next, a line each.
    fn told(&self) -> Vec<String> {
        let mut buffer = [0; 512];
        let length = self.manager.recv(&mut buffer).unwrap();
        let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn signal(&self, name: &str) {
        let done = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(done.unwrap().success());
    }

    fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        (code, fs::read_to_string(&self.log).unwrap())
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
    let service = Managed::start(&place, &[]).await;
    let watched = Request::new(HealthCheckRequest { service: String::new() });
    let watching = HealthClient::new(service.channel.clone()).watch(watched).await;
    let mut watching = watching.unwrap().into_inner();
    let serving = watching.next().await.unwrap().unwrap();
    assert_eq!(serving.status(), ServingStatus::Serving);
    let going_on = call_that_goes_on(service.channel.clone()).await;
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
        let service = Managed::start(&place, &["--drain-grace", grace]).await;
        let _going_on = call_that_goes_on(service.channel.clone()).await;
        service.signal("-TERM");
        assert_eq!(service.told().first().unwrap(), "STOPPING=1");
        if is_hurried {
            service.signal("-TERM");
        }
        let (code, log) = service.ended();
        assert_eq!(code, Some(3), "{log}");
        assert!(log.contains("calls were still under way"), "{log}");
        fs::remove_file(place.path("notify")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_read_again_and_those_that_need_a_restart_are_named() {
    let place = place();
    let file = place.write("auth.toml", "hash_queue = 9\n");
    let service = Managed::start(&place, &["--config", &file]).await;
    let reloaded = || {
        service.signal("-HUP");
        let told = service.told();
        assert_eq!(told[0], "RELOADING=1");
        assert!(told[1].starts_with("MONOTONIC_USEC="), "{told:?}");
        assert_eq!(service.told().first().unwrap(), "READY=1");
        fs::read_to_string(&service.log).unwrap()
    };
    place.write("auth.toml", "hash_queue = 10\nissuer = \"elsewhere\"\nlog = \"error\"\n");
    let log = reloaded();
    assert!(!log.contains("the settings were read again"), "errors alone are logged now: {log}");
    place.write("auth.toml", "hash_queue = 10\nissuer = \"elsewhere\"\nlog = \"info\"\n");
    let log = reloaded();
    assert!(log.contains("the settings were read again"), "{log}");
    assert!(log.contains("issuer, hash_queue"), "{log}");
    assert!(log.contains("the master keys were read again"), "{log}");
    place.write("auth.toml", "hash_queue = many\n");
    let log = reloaded();
    assert!(log.contains("auth.toml:1: ") && log.contains("those that are in force stay"), "{log}");
    service.signal("-INT");
    assert_eq!(service.ended().0, Some(0));
}
