//! Signing in and out by command.

use std::time::Duration;

use cli::lab::LossyProxy;
use serde_json::{Value, json};
use tonic::Code;

use crate::harness::{PASSWORD, Pair, Person};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_registers_works_and_logs_out() {
    let pair = Pair::start().await;
    let ada = pair.person("ada");
    assert_eq!(
        ada.run(&["whoami"]).await.fails(3),
        "evergreen: You are signed out.\nRun `evergreen login`.\n"
    );
    let registered = ada.feed(&["register", "ada", "--password-stdin"], PASSWORD).await;
    assert_eq!(registered.ok(), "Logged in as ada (editor).\n");
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    assert_eq!(ada.run(&["logout"]).await.ok(), "Logged out.\n");
    assert_eq!(ada.run(&["logout"]).await.ok(), "You were not logged in.\n");
    ada.run(&["whoami"]).await.fails(3);

    // The servers were remembered by the login.
    let remembers = ada.clone().without("EVERGREEN_AUTH_URL").without("EVERGREEN_API_URL");
    let windows = format!("{PASSWORD}\r\n");
    remembers.feed(&["login", "ada", "--password-stdin"], &windows).await.ok();
    assert_eq!(remembers.run(&["whoami"]).await.ok(), "ada (editor)\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_never_echoed_and_never_an_argument() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let ran = ada.feed(&["login", "ada", "--password-stdin"], "a wrong pass phrase\n").await;
    let said = ran.fails(7);
    assert!(said.contains("Check the user name and the password."), "{said}");
    assert!(!said.contains("wrong pass phrase"));
    // Without a terminal nothing is asked for.
    let said = ada.feed(&["login", "ada"], PASSWORD).await.fails(2);
    assert!(said.contains("--password-stdin"), "{said}");
    let said = ada.feed(&["login", "ada", "--password-stdin"], "\n").await.fails(8);
    assert!(said.contains("empty"), "{said}");
    // What failed changed nothing.
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    let kept = std::fs::read_dir(ada.home.join("profiles/default")).unwrap();
    for file in kept {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains(PASSWORD));
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_its_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let folder = ada.home.join("profiles/default");
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("session.json")), 0o600);
    assert_eq!(mode(&folder.join("profile.json")), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_have_sessions_of_their_own() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let said = ada.run(&["whoami", "--profile", "work"]).await.fails(3);
    assert!(said.contains("`evergreen login --profile work`"), "{said}");
    ada.feed(&["register", "bob", "--password-stdin", "--profile", "work"], PASSWORD).await.ok();
    assert_eq!(ada.run(&["whoami", "--profile", "work"]).await.ok(), "bob (editor)\n");
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    let bob = ada.clone().with("EVERGREEN_PROFILE", "work");
    assert_eq!(bob.json(&["whoami"]).await["profile"], "work");
    bob.run(&["logout"]).await.ok();
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    let said = ada.run(&["whoami", "--profile", "../work"]).await.fails(2);
    assert!(said.contains("a profile's name"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_remembers_where_its_session_is_kept() {
    let pair = Pair::start().await;
    // Whoever runs this test may have a keyring, and it is none of its business.
    let ada = pair.user("ada").await.with("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere/bus");
    let folder = ada.home.join("profiles/default");
    let store = || {
        let settings = std::fs::read(folder.join("profile.json")).unwrap();
        serde_json::from_slice::<Value>(&settings).unwrap()["store"].clone()
    };
    assert_eq!(store(), "file");

    // A login that cannot keep its session changes nothing, and asks no server.
    let said =
        ada.feed(&["login", "ada", "--password-stdin", "--store", "keyring"], PASSWORD).await;
    let said = said.fails(1);
    assert!(said.starts_with("evergreen: There is no keyring here that can be used: "), "{said}");
    assert!(said.ends_with("\nKeep the session in a file: `evergreen login --store file`.\n"));
    assert_eq!(pair.auth_seen.count("Login", Code::Ok), 0);
    assert_eq!(store(), "file");
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");

    // One whose session is in a keyring does not fall back on a file that lies there.
    let settings = std::fs::read_to_string(folder.join("profile.json")).unwrap();
    let settings = settings.replace("\"file\"", "\"keyring\"");
    std::fs::write(folder.join("profile.json"), settings).unwrap();
    let said = ada.run(&["whoami"]).await.fails(1);
    assert!(said.contains("`evergreen login --store file`"), "{said}");
    let ran = ada.feed(&["login", "ada", "--password-stdin", "--store", "file"], PASSWORD).await;
    assert!(ran.err.contains("may still be in the keyring"), "{}", ran.err);
    assert_eq!(ran.ok(), "Logged in as ada (editor).\n");
    assert_eq!(store(), "file");
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_renews_what_has_run_out_and_nobody_notices() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    pair.clock.advance(Duration::from_secs(20 * 60));
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    assert_eq!(pair.auth_seen.count("Refresh", Code::Ok), 1);
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    assert_eq!(pair.auth_seen.count("Refresh", Code::Ok), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_at_once_make_one_refresh_between_them() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    pair.clock.advance(Duration::from_secs(20 * 60));
    let command = ["whoami"];
    let ran = futures_util::future::join_all((0..5).map(|_| ada.run(&command))).await;
    for ran in ran {
        assert_eq!(ran.ok(), "ada (editor)\n");
    }
    assert_eq!(pair.auth_seen.count("Refresh", Code::Ok), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_ended() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let away = pair.person("ada-away");
    pair.clock.advance(Duration::from_secs(1));
    away.feed(&["login", "ada", "--password-stdin"], PASSWORD).await.ok();
    let listed = ada.json(&["sessions", "list"]).await;
    let sessions = listed["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let current: Vec<_> = sessions.iter().map(|session| session["current"] == true).collect();
    assert_eq!(current, [false, true], "newest first");
    let table = ada.run(&["sessions", "list"]).await.ok();
    assert!(table.starts_with("ID "), "{table}");
    assert_eq!(table.matches("  (this one)  ").count(), 1, "{table}");

    let other = sessions[0]["sessionId"].as_str().unwrap();
    assert_eq!(ada.run(&["sessions", "revoke", other]).await.ok(), "The session has ended.\n");
    let said = away.run(&["whoami"]).await.fails(3);
    assert!(said.contains("Your session has ended."), "{said}");
    ada.run(&["sessions", "revoke", "ffffffff"]).await.fails(4);

    away.feed(&["login", "ada", "--password-stdin"], PASSWORD).await.ok();
    let said = ada.run(&["logout", "--everywhere"]).await.ok();
    assert_eq!(said, "Logged out everywhere: 2 sessions ended.\n");
    away.run(&["whoami"]).await.fails(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_the_other_sessions() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let away = pair.person("ada-away");
    away.feed(&["login", "ada", "--password-stdin"], PASSWORD).await.ok();
    let new = "staple battery horse correct";
    ada.feed(&["passwd", "--password-stdin"], &format!("not it at all\n{new}\n")).await.fails(7);
    let weak = ada.feed(&["passwd", "--password-stdin"], &format!("{PASSWORD}\nshort\n")).await;
    assert!(weak.fails(8).contains("new_password: "));
    ada.feed(&["passwd", "--password-stdin"], &format!("{PASSWORD}\n{new}\n")).await.ok();
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    away.run(&["whoami"]).await.fails(3);
    away.feed(&["login", "ada", "--password-stdin"], new).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_json_where_json_was_asked_for() {
    let pair = Pair::start().await;
    let ada = pair.person("ada");
    let error: Value =
        serde_json::from_str(&ada.run(&["whoami", "--json"]).await.fails(3)).unwrap();
    let expected = json!({ "error": {
        "exitCode": 3,
        "reason": null,
        "message": "You are signed out.",
        "next": "Run `evergreen login`.",
        "fields": [],
        "candidates": [],
    }});
    assert_eq!(error, expected);
    let said = ada.run(&["whomai", "--json"]).await.fails(2);
    let error: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(error["error"]["exitCode"], 2);

    let ada = pair.user("ada").await;
    let who = ada.json(&["whoami"]).await;
    assert_eq!(who["username"], "ada");
    assert_eq!(who["roles"], json!(["editor"]));
    let taken =
        ada.feed(&["register", "ada", "--password-stdin", "--json"], PASSWORD).await.fails(5);
    let error: Value = serde_json::from_str(&taken).unwrap();
    assert_eq!(error["error"]["reason"], "USERNAME_TAKEN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_not_a_lost_session() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let nowhere = ada.clone().with("EVERGREEN_API_URL", "http://127.0.0.1:1");
    let said = nowhere.run(&["trees", "list"]).await.fails(6);
    assert!(said.contains("cannot be reached") && said.contains("Try again"), "{said}");
    assert_eq!(ada.run(&["whoami"]).await.ok(), "ada (editor)\n");
    let said = ada.run(&["trees", "list", "--api", "not a url"]).await.fails(8);
    assert!(said.contains("--api"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_ends_the_session_here_even_if_no_server_hears_of_it() {
    let pair = Pair::start().await;
    for args in [&["logout"][..], &["logout", "--everywhere"]] {
        let ada = pair.person("ada");
        let how = if args.len() == 1 { "register" } else { "login" };
        ada.feed(&[how, "ada", "--password-stdin"], PASSWORD).await.ok();
        let nowhere = ada.clone().with("EVERGREEN_AUTH_URL", "http://127.0.0.1:1");
        let said = nowhere.run(args).await.fails(6);
        assert!(said.contains("You are logged out here, but the server has not been"), "{said}");
        ada.run(&["whoami"]).await.fails(3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_everywhere_that_failed_says_what_is_left_to_do() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    let proxy = LossyProxy::start(pair.auth.address).await.unwrap();
    let behind = ada.clone().with("EVERGREEN_AUTH_URL", &proxy.url());
    proxy.lose_answers();
    let cut = async {
        pair.auth_seen.ended("RevokeAllSessions", 1).await;
        proxy.mend();
    };
    let args = ["logout", "--everywhere"];
    let (ran, ()) = tokio::join!(behind.run(&args), cut);
    let said = ran.fails(6);
    assert!(
        said.ends_with(
            "You are logged out here; your other sessions may go on: log in, and run it again.\n"
        ),
        "{said}"
    );
    ada.run(&["whoami"]).await.fails(3);
    // Nobody is logged in any more whose sessions they could be.
    let said = ada.run(&args).await.fails(3);
    assert!(!said.contains("logged out here"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn colour_is_for_terminals_and_for_who_asks() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    assert!(!ada.run(&["sessions", "list"]).await.ok().contains('\x1b'));
    let coloured = ada.run(&["sessions", "list", "--color", "always"]).await.ok();
    assert!(coloured.contains('\x1b'), "{coloured}");
    let never = ada.clone().with("CLICOLOR_FORCE", "1");
    assert!(!never.run(&["sessions", "list", "--color", "never"]).await.ok().contains('\x1b'));
    let no_color = never.with("NO_COLOR", "1");
    assert!(!no_color.run(&["sessions", "list"]).await.ok().contains('\x1b'));
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_gets_colour_and_tables_that_fit() {
    let pair = Pair::start().await;
    let ada = pair.user("ada").await;
    // `script` gives the command a terminal.
    let on_a_terminal = async |person: &Person, stty: &str| {
        let line = format!("{stty}{} sessions list", env!("CARGO_BIN_EXE_evergreen"));
        person
            .program("script", &["--quiet", "--return", "--command", &line, "/dev/null"])
            .await
            .ok()
    };
    let wide = on_a_terminal(&ada, "stty rows 24 cols 200; ").await;
    assert!(wide.contains("\x1b[1mID"), "{wide:?}");
    let narrow = on_a_terminal(&ada.clone().with("NO_COLOR", "1"), "stty rows 24 cols 72; ").await;
    assert!(!narrow.contains('\x1b'), "{narrow:?}");
    assert!(narrow.lines().all(|line| line.trim_end().chars().count() <= 72), "{narrow}");
    assert!(narrow.contains('…') && !wide.contains('…'), "{narrow}");
}
