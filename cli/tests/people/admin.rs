//! Administration by command.

use std::time::Duration;

use serde_json::json;

use crate::harness::{PASSWORD, Pair, Person};

/// A pair, and its administrator, who is logged in.
async fn administered() -> (Pair, Person) {
    let pair = Pair::with_admin().await;
    let root = pair.person("root");
    root.feed(&["login", "root", "--password-stdin"], PASSWORD).await.ok();
    (pair, root)
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_makes_users_and_says_what_they_may_do() {
    let (pair, root) = administered().await;
    let create = ["admin", "users", "create", "Ada", "--password-stdin"];
    assert_eq!(root.feed(&create, PASSWORD).await.ok(), "Created Ada (editor).\n");
    let taken = root.feed(&create, PASSWORD).await.fails(5);
    assert!(taken.ends_with("\nChoose another name.\n"), "{taken}");
    let create = ["admin", "users", "create", "adam", "--role", "viewer", "--role", "admin"];
    let said = root.feed(&create, PASSWORD).await.fails(2);
    assert!(said.contains("`--password-stdin`"), "{said}");
    let create = [&create[..], &["--password-stdin", "--json"]].concat();
    let said = root.feed(&create, "password").await.fails(8);
    assert!(said.contains(r#""field":"password""#) && !said.contains(PASSWORD), "{said}");
    let made = root.feed(&create, PASSWORD).await.ok();
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    assert_eq!((&made["roles"], &made["disabled"]), (&json!(["viewer", "admin"]), &json!(false)));

    // They log in by themselves; a session of root's is not theirs.
    let ada = pair.person("ada");
    ada.feed(&["login", "ada", "--password-stdin"], PASSWORD).await.ok();
    assert_eq!(ada.run(&["whoami"]).await.ok(), "Ada (editor)\n");
    let set = root.run(&["admin", "users", "roles", "ADA", "viewer", "editor"]).await.ok();
    assert_eq!(set, "Ada has now: viewer, editor.\n");
    let none = root.run(&["admin", "users", "roles", "ada", "--none"]).await.ok();
    assert_eq!(none, "Ada has now: no role.\n");
    root.run(&["admin", "users", "roles", "ada"]).await.fails(2);
    root.run(&["admin", "users", "roles", "ada", "emperor"]).await.fails(2);
    let id = made["userId"].as_str().unwrap();
    let set = root.json(&["admin", "users", "roles", id, "viewer"]).await;
    assert_eq!(set, json!({ "userId": id, "roles": ["viewer"] }));

    let disabled = root.run(&["admin", "users", "disable", "ada"]).await.ok();
    assert_eq!(disabled, "Ada is disabled, and their sessions have ended.\n");
    ada.run(&["whoami"]).await.fails(3);
    let listed = root.json(&["admin", "users", "list", "--status", "disabled"]).await;
    assert_eq!(listed["users"].as_array().unwrap().len(), 1);
    assert_eq!(listed["users"][0]["username"], "Ada");
    let table = root.run(&["admin", "users", "list", "--prefix", "aD"]).await.ok();
    let rows: Vec<_> = table.lines().map(words).collect();
    assert_eq!(rows[0], ["USERNAME", "ROLES", "STATUS", "CREATED", "ID"]);
    assert_eq!((rows[1][0], rows[1][1]), ("Ada", "disabled"), "{table}");
    assert_eq!((rows[2][0], rows[2][1], rows[2][5]), ("adam", "viewer", id), "{table}");
    let narrow = root.clone().with("COLUMNS", "70").run(&["admin", "users", "list"]).await.ok();
    assert!(narrow.lines().all(|line| line.chars().count() <= 70), "{narrow}");
    let some = root.run(&["admin", "users", "list", "--limit", "2"]).await;
    some.err_has("`--limit` shows more");
    assert_eq!(
        root.run(&["admin", "users", "enable", "ada"]).await.ok(),
        "Ada may log in again.\n"
    );
    ada.feed(&["login", "ada", "--password-stdin"], PASSWORD).await.ok();

    for name in ["nobody", "ad", "a name"] {
        let said = root.run(&["admin", "users", "disable", name]).await.fails(4);
        assert!(said.contains("`evergreen admin users list`"), "{said}");
    }
    let nobody = "00000000-0000-0000-0000-000000000000";
    root.run(&["admin", "users", "enable", nobody]).await.fails(4);
    root.run(&["admin", "users", "disable", "root"]).await.fails(7);
    for command in [&["users", "list"][..], &["keys", "rotate"], &["audit", "list"]] {
        let command = [&["admin"], command].concat();
        ada.run(&command).await.fails(7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_unlocks_a_name_that_somebody_has_guessed_at() {
    let (pair, root) = administered().await;
    let ada = pair.user("ada").await;
    let login = ["login", "ada", "--password-stdin"];
    for _ in 0..5 {
        ada.feed(&login, "a wrong pass phrase").await.fails(7);
    }
    let locked = ada.feed(&login, PASSWORD).await.fails(6);
    assert!(locked.contains("logins under this name have failed"), "{locked}");
    let unlocked = root.run(&["admin", "users", "unlock", "ADA"]).await.ok();
    assert_eq!(unlocked, "No failed login counts against ada any more.\n");
    ada.feed(&login, PASSWORD).await.ok();
    root.run(&["admin", "users", "unlock", "ada"]).await.ok();
    let events = root.json(&["admin", "audit", "list", "--kind", "user_unlocked"]).await;
    assert_eq!(events["events"].as_array().unwrap().len(), 1, "{events}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_gives_services_secrets_and_changes_the_signing_key() {
    let (pair, root) = administered().await;
    let made = root.run(&["admin", "services", "create", "worker", "--role", "viewer"]).await.ok();
    let lines: Vec<_> = made.lines().map(words).collect();
    assert_eq!(
        lines[0].join(" "),
        "Created the service worker. Keep its secret: it is shown this once."
    );
    let client_id = lines[1][2];
    root.run(&["admin", "services", "create", "WORKER"]).await.fails(5);
    let rotate = ["admin", "services", "rotate-secret", client_id];
    let rotated = root.json(&[&rotate[..], &["--overlap", "2h"]].concat()).await;
    assert_eq!(rotated["clientId"], client_id);
    let secret = rotated["clientSecret"].as_str().unwrap();
    assert!(secret.len() > 20 && secret != lines[2][1], "{rotated}");
    root.run(&[&rotate[..], &["--overlap", "60d"]].concat()).await.fails(8);
    root.run(&[&rotate[..], &["--overlap", "soon"]].concat()).await.fails(2);
    let done = root.run(&["admin", "services", "disable", client_id]).await.ok();
    assert_eq!(done, "The service is disabled.\n");
    let done = root.json(&["admin", "services", "enable", client_id]).await;
    assert_eq!(done, json!({ "clientId": client_id }));
    let nobody = "00000000-0000-0000-0000-000000000000";
    root.run(&["admin", "services", "enable", nobody]).await.fails(4);

    let first = root.json(&["admin", "keys", "list"]).await["keys"].clone();
    assert_eq!((first.as_array().unwrap().len(), &first[0]["state"]), (1, &json!("STATE_ACTIVE")));
    pair.clock.advance(Duration::from_secs(1));
    let next = root.json(&["admin", "keys", "rotate"]).await;
    assert_eq!(next["state"], "STATE_NEXT");
    let kid = next["kid"].as_str().unwrap();
    let again = root.run(&["admin", "keys", "rotate"]).await.ok();
    assert_eq!(again, format!("{kid} is published, and signs next.\n"));
    let narrow = root.clone().with("COLUMNS", "80").run(&["admin", "keys", "list"]).await.ok();
    let rows: Vec<_> = narrow.lines().map(words).collect();
    assert_eq!(rows[0], ["STATE", "SINCE", "KID"]);
    assert_eq!((rows[1][0], rows[1][3], rows[2][0]), ("next", kid, "active"));
    let known = first[0]["kid"].as_str().unwrap();
    let signs = root.run(&["admin", "keys", "rotate", "--compromised", known]).await.ok();
    assert!(signs.ends_with(" signs now.\n"), "{signs}");
    // What it signed is good no longer: the session is renewed, and nobody logs in again.
    for unknown in ["none", "-begins-like-a-flag"] {
        root.run(&["admin", "keys", "rotate", "--compromised", unknown]).await.fails(4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_reads_what_happened() {
    let (pair, root) = administered().await;
    let ada = pair.user("ada").await;
    pair.clock.advance(Duration::from_secs(1));
    ada.feed(&["login", "ada", "--password-stdin"], "a wrong pass phrase").await.fails(7);
    pair.clock.advance(Duration::from_secs(1));
    root.run(&["admin", "users", "disable", "ada"]).await.ok();
    let list = async |args: &[&str]| {
        let listed = root.json(&[&["admin", "audit", "list"], args].concat()).await;
        let events = listed["events"].as_array().unwrap().clone();
        events
            .into_iter()
            .map(|event| event["kind"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = ["user_disabled", "login_failed", "user_created"];
    assert_eq!(list(&["--user", "ADA"]).await, all);
    assert_eq!(list(&["--user", "ada", "--limit", "2"]).await, all[..2]);
    assert_eq!(list(&["--kind", "login_failed"]).await, all[1..2]);
    assert_eq!(list(&["--user", "ada", "--since", "1h"]).await, all);
    assert_eq!(list(&["--user", "ada", "--until", "1h"]).await, [""; 0]);
    assert_eq!(list(&["--user", "ada", "--since", "2100-01-01"]).await, [""; 0]);
    let told = root.json(&["admin", "audit", "list", "--kind", "user_disabled"]).await;
    let event = told["events"][0].as_object().unwrap();
    let fields: Vec<_> = event.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "accountId",
            "actor",
            "address",
            "detail",
            "deviceName",
            "eventId",
            "eventTime",
            "kind",
            "sessionId",
        ]
    );
    let who = root.json(&["whoami"]).await;
    assert_eq!(event["actor"], format!("user:{}", who["userId"].as_str().unwrap()));
    let narrow = root.clone().with("COLUMNS", "80").run(&["admin", "audit", "list"]).await.ok();
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    assert!(narrow.contains("user_disabled") && narrow.contains("127.0.0.1"), "{narrow}");

    let whole = root.run(&["admin", "audit", "list", "--user", "ada"]).await.ok();
    assert!(whole.contains(&format!("by user:{}", who["userId"].as_str().unwrap())), "{whole}");

    let said = root.run(&["admin", "audit", "list", "--kind", "login"]).await.fails(8);
    assert!(said.contains("login_failed"), "{said}");
    root.run(&["admin", "audit", "list", "--since", "yesterday"]).await.fails(2);
    root.run(&["admin", "audit", "list", "--user", "nobody"]).await.fails(4);
}
