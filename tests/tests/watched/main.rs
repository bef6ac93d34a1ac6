//! What operators watch is what the services tell: every name and label in a query of the dashboard
//! or of the rules is in the metrics of services that have served.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

mod exposition;
mod queries;

use std::{fs, path::Path};

use evergreen_proto::{
    api::v1::{ListTreesRequest, WatchChangesRequest},
    auth::v1::{LoginRequest, RefreshRequest},
};
use tests::{World, ask, bearing};

use self::{exposition::Metrics, queries::Query};

/// Services that have served a little of everything.
async fn after_traffic() -> World {
    let world = World::watched().await;
    let tokens = world.register("ada").await;
    let mut auth = world.auth_client();
    let wrong = LoginRequest { username: "ada".into(), ..LoginRequest::default() };
    auth.login(LoginRequest { password: "not the password".into(), ..wrong }).await.unwrap_err();
    auth.refresh(bearing(&tokens.refresh_token, RefreshRequest {})).await.unwrap();
    auth.refresh(bearing("not.a.token", RefreshRequest {})).await.unwrap_err();
    let mut api = world.api_client();
    for _ in 0..2 {
        let request = bearing(&tokens.access_token, ListTreesRequest::default());
        api.list_trees(request).await.unwrap();
    }
    let watch = bearing(&tokens.access_token, WatchChangesRequest::default());
    drop(api.watch_changes(watch).await.unwrap());
    world
}

async fn told(world: &World) -> Metrics {
    let mut metrics = Metrics::default();
    for running in [&world.auth, &world.api] {
        let (head, body) = ask(running.operations.unwrap(), "/metrics").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("version=0.0.4"), "{head}");
        metrics.read(&body);
    }
    metrics
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn every_query_asks_for_what_is_there() {
    let world = after_traffic().await;
    let metrics = told(&world).await;
    let dashboard = queries::of_dashboard(&document("grafana/evergreen.json"));
    let rules = queries::of_rules(&document("alerts.yml"));
    // A scanner that finds nothing would find nothing wrong.
    assert!(dashboard.len() > 40, "{}", dashboard.len());
    assert_eq!(rules.len(), document("alerts.yml").matches("- alert:").count());
    let mut wrong = Vec::new();
    for text in dashboard.iter().chain(&rules) {
        let query = Query::scan(text);
        assert!(!query.series.is_empty(), "it asks for nothing: {text}");
        wrong.extend(query.missing(&metrics).map(|missing| format!("{missing} in {text}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The other way round: what is told and nobody explains is of no use.
#[tokio::test]
async fn the_manual_explains_every_metric() {
    let world = after_traffic().await;
    let metrics = told(&world).await;
    let manual = document("OPERATIONS.md");
    let unexplained: Vec<_> = metrics
        .families()
        .filter(|name| {
            let short = name.trim_start_matches("evergreen_auth_");
            let short = short.trim_start_matches("evergreen_api_");
            !manual.contains(&format!("`{short}`")) && !manual.contains(&format!("`{short}{{"))
        })
        .collect();
    assert_eq!(unexplained, Vec::<&str>::new());
}

#[tokio::test]
async fn both_services_say_whether_they_are_well() {
    let world = World::watched().await;
    for running in [&world.auth, &world.api] {
        let operations = running.operations.unwrap();
        let (head, body) = ask(operations, "/healthz").await;
        assert!(head.starts_with("HTTP/1.1 200") && body == "ok\n", "{head} {body}");
        let (head, body) = ask(operations, "/readyz").await;
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("no-store"), "{head}");
        assert_eq!(body, "{\"not_ready\":[],\"ready\":true}\n");
    }
    let keys = "/.well-known/jwks.json";
    assert!(ask(world.auth.operations.unwrap(), keys).await.0.starts_with("HTTP/1.1 200"));
    assert!(ask(world.api.operations.unwrap(), keys).await.0.starts_with("HTTP/1.1 404"));
}
