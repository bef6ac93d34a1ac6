//! What is revoked is heard by every service that follows, wherever it was revoked.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{collections::HashMap, sync::Arc, time::Duration};

use auth_service::{Server, UserKind};
use evergreen_proto::auth::v1::{
    self as pb, ChangePasswordRequest, DisableUserRequest, EnableUserRequest, LogoutRequest,
    RefreshRequest, RevokeAllSessionsRequest, RevokeSessionRequest, SetUserRolesRequest, TokenPair,
    admin_service_client::AdminServiceClient, auth_service_client::AuthServiceClient,
};
use sqlx::{Connection as _, PgConnection};
use tests::{
    PASSWORD, World, auth_client_of, bearing, channel, claims, login, reason,
    service::{Watch, service_token},
    with_metadata,
};
use token::{
    clock::Clock as _,
    entropy::{Entropy, SystemEntropy},
};
use tokio::time::{Instant, timeout};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt as _;
use transport::recorder::Recorder;
use uuid::{Builder, Uuid};

/// Longer than any stream of these tests.
const LIFE: Duration = Duration::from_secs(3600);

async fn watch(world: &World, client: AuthServiceClient<Channel>, cursor: &str) -> Watch {
    Watch::start(client, &service_token(world, LIFE).await, cursor).await.unwrap()
}

/// An administrator of a world on PostgreSQL.
async fn admin(world: &World) -> (AdminServiceClient<Channel>, TokenPair) {
    let recorder = Arc::new(Recorder::new());
    let entropy = Arc::new(SystemEntropy);
    let operator =
        Server::open(world.auth_settings(), world.clock.clone(), entropy, recorder).await.unwrap();
    operator.create_user("root", PASSWORD, UserKind::Admin).await.unwrap();
    operator.close().await;
    (AdminServiceClient::new(channel(world.auth.address)), login(world, "root").await)
}

async fn refresh(world: &World, token: &str, key: &str) -> Result<TokenPair, Status> {
    let request = with_metadata(bearing(token, RefreshRequest {}), "idempotency-key", key);
    Ok(world.auth_client().refresh(request).await?.into_inner().tokens.unwrap())
}

fn unknown_id() -> String {
    let random = (&SystemEntropy as &dyn Entropy).array();
    Builder::from_random_bytes(random).into_uuid().to_string()
}

fn user_of(tokens: &TokenPair) -> String {
    claims(&tokens.access_token)["sub"].as_str().unwrap().to_owned()
}

/// The next revocations are of these sessions, in any order, with nothing else between them.
async fn hears_sessions(watch: &mut Watch, mut expected: Vec<String>) {
    expected.sort();
    let mut heard = Vec::new();
    while heard.len() < expected.len() {
        let (snapshot, revocations) = watch.told().await;
        assert!(!snapshot);
        heard.extend(revocations.into_iter().map(|revocation| revocation.session_id));
    }
    heard.sort();
    assert_eq!(heard, expected);
}

/// Each kind that a user can cause, at the world's AuthService.
async fn what_users_revoke_is_heard(world: &World, watch: &mut Watch) {
    let ada = world.register("ada").await;
    let mut client = world.auth_client();
    let password = || PASSWORD.to_owned();

    let (one, forgotten) = (login(world, "ada").await.session_id, unknown_id());
    for session_id in [one, forgotten] {
        let request = RevokeSessionRequest { session_id: session_id.clone() };
        client.revoke_session(bearing(&ada.access_token, request)).await.unwrap();
        hears_sessions(watch, vec![session_id]).await;
    }
    for kind in ["access", "refresh"] {
        let tokens = login(world, "ada").await;
        let token = if kind == "access" { &tokens.access_token } else { &tokens.refresh_token };
        client.logout(bearing(token, LogoutRequest {})).await.unwrap();
        hears_sessions(watch, vec![tokens.session_id]).await;
    }

    let spent = login(world, "ada").await;
    refresh(world, &spent.refresh_token, "owners-attempt-01").await.unwrap();
    let again = bearing(&spent.refresh_token, RefreshRequest {});
    let again = with_metadata(again, "idempotency-key", "thiefs-attempt-01");
    let stolen = client.refresh(with_metadata(again, "after-superseded", "1")).await;
    assert_eq!(reason(stolen), "REFRESH_TOKEN_REUSED");
    hears_sessions(watch, vec![spent.session_id]).await;

    let others = [login(world, "ada").await.session_id, login(world, "ada").await.session_id];
    let change = ChangePasswordRequest { old_password: password(), new_password: password() + "!" };
    client.change_password(bearing(&ada.access_token, change)).await.unwrap();
    hears_sessions(watch, others.to_vec()).await;
    let back = ChangePasswordRequest { old_password: password() + "!", new_password: password() };
    client.change_password(bearing(&ada.access_token, back)).await.unwrap();

    let other = login(world, "ada").await.session_id;
    let all = bearing(&ada.access_token, RevokeAllSessionsRequest {});
    client.revoke_all_sessions(all).await.unwrap();
    hears_sessions(watch, vec![ada.session_id, other]).await;
}

#[tokio::test]
async fn every_kind_of_revocation_is_heard() {
    let world = World::start().await;
    let mut watch = watch(&world, world.auth_client(), "").await;
    assert_eq!(watch.told().await, (true, vec![]));
    what_users_revoke_is_heard(&world, &mut watch).await;
}

#[tokio::test]
async fn what_is_revoked_at_one_instance_is_heard_from_the_other() {
    let Some(world) = World::on_postgres().await else { return };
    let other = world.another_auth(|_| {}).await;
    let mut watch = watch(&world, auth_client_of(&other), "").await;
    assert_eq!(watch.told().await, (true, vec![]));
    what_users_revoke_is_heard(&world, &mut watch).await;

    let (mut admin, root) = admin(&world).await;
    let bob = world.register("bob").await;
    let second = login(&world, "bob").await;
    let user_id = user_of(&bob);
    let disable = DisableUserRequest { user_id: user_id.clone() };
    admin.disable_user(bearing(&root.access_token, disable)).await.unwrap();
    hears_sessions(&mut watch, vec![bob.session_id, second.session_id]).await;

    let roles = vec!["viewer".to_owned()];
    let set = SetUserRolesRequest { user_id: user_id.clone(), roles };
    admin.set_user_roles(bearing(&root.access_token, set)).await.unwrap();
    let (_, told) = watch.told().await;
    let [stale] = &told[..] else { panic!("{told:?}") };
    assert_eq!(stale.user_id, user_id);
    assert!(stale.roles_version > 1_700_000_000, "the second of the change: {stale:?}");
    assert!(stale.session_id.is_empty());
    // No token that says the old roles outlives the entry.
    let minted = claims(&bob.access_token)["exp"].as_i64().unwrap();
    assert!(stale.expire_time.unwrap().seconds >= minted);
}

#[tokio::test]
async fn roles_are_in_a_users_tokens_with_their_count() {
    let Some(world) = World::on_postgres().await else { return };
    let (mut admin, root) = admin(&world).await;
    let first = world.register("ada").await;
    let user_id = user_of(&first);
    let mut set = async |user_id: &str, roles: &[&str]| {
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        let request = SetUserRolesRequest { user_id: user_id.to_owned(), roles };
        admin.set_user_roles(bearing(&root.access_token, request)).await
    };
    let granted = |tokens: &TokenPair| {
        let claims = claims(&tokens.access_token);
        (claims["roles"].to_string(), claims["roles_version"].as_u64())
    };
    assert_eq!(granted(&first), (r#"["editor"]"#.to_owned(), None));

    set(&user_id, &["admin", "viewer"]).await.unwrap();
    let second = refresh(&world, &first.refresh_token, "attempt-000000001").await.unwrap();
    // By the database's clock, which is not the world's.
    let version = granted(&second).1.unwrap();
    assert!(version > 1_700_000_000, "{version}");
    let changed = (r#"["viewer","admin"]"#.to_owned(), Some(version));
    assert_eq!(granted(&second), changed);
    let again = refresh(&world, &first.refresh_token, "attempt-000000001").await.unwrap();
    assert_eq!(granted(&again), changed);
    assert_eq!(granted(&login(&world, "ada").await), changed);
    // The same again is no change.
    set(&user_id, &["viewer", "admin", "viewer"]).await.unwrap();
    assert_eq!(granted(&login(&world, "ada").await), changed);
    set(&user_id, &[]).await.unwrap();
    let third = refresh(&world, &second.refresh_token, "attempt-000000002").await.unwrap();
    let (roles, counted) = granted(&third);
    assert!(roles == "[]" && counted > Some(version), "{counted:?} after {version}");

    let nobody = unknown_id();
    assert_eq!(reason(set(&nobody, &["viewer"]).await), "USER_NOT_FOUND");
    for (user, roles, named) in [
        ("ada", ["viewer"], "user_id: "),
        (&user_id, ["root"], "roles: must each be one of viewer"),
    ] {
        let refused = set(user, &roles).await.unwrap_err();
        assert!(refused.message().starts_with(named), "{refused}");
        assert_eq!(reason(Err::<(), _>(refused)), "FIELD_INVALID");
    }
    let root_id = user_of(&root);
    assert_eq!(reason(set(&root_id, &["editor"]).await), "PERMISSION_DENIED");
    set(&root_id, &["admin"]).await.unwrap();
}

#[tokio::test]
async fn an_administrator_bars_a_user_and_lets_them_in_again() {
    let Some(world) = World::on_postgres().await else { return };
    let (mut admin, root) = admin(&world).await;
    let ada = world.register("ada").await;
    let user_id = user_of(&ada);
    let may_log_in = async || {
        let (username, password) = ("ada".into(), PASSWORD.into());
        let request = pb::LoginRequest { username, password, ..pb::LoginRequest::default() };
        world.auth_client().login(request).await
    };
    let disable = |user_id: &str| DisableUserRequest { user_id: user_id.to_owned() };
    let enable = |user_id: &str| EnableUserRequest { user_id: user_id.to_owned() };
    let (good, nobody) = (&root.access_token, unknown_id());

    let by_ada = admin.disable_user(bearing(&ada.access_token, disable(&user_id))).await;
    assert_eq!(reason(by_ada), "PERMISSION_DENIED");
    for _ in 0..2 {
        admin.disable_user(bearing(good, disable(&user_id))).await.unwrap();
        assert_eq!(reason(may_log_in().await), "ACCOUNT_DISABLED");
    }
    for _ in 0..2 {
        admin.enable_user(bearing(good, enable(&user_id))).await.unwrap();
        assert!(may_log_in().await.is_ok());
    }
    let revoked = refresh(&world, &ada.refresh_token, "attempt-000000001").await;
    assert_eq!(reason(revoked), "SESSION_REVOKED");
    let of_nobody = admin.disable_user(bearing(good, disable(&nobody))).await;
    assert_eq!(reason(of_nobody), "USER_NOT_FOUND");
    let of_nobody = admin.enable_user(bearing(good, enable(&nobody))).await;
    assert_eq!(reason(of_nobody), "USER_NOT_FOUND");
    let themselves = admin.disable_user(bearing(good, disable(&user_of(&root)))).await;
    assert_eq!(reason(themselves), "PERMISSION_DENIED");
    assert_eq!(world.audit_events().await.iter().filter(|e| e.kind == "user_disabled").count(), 1);
}

#[tokio::test]
async fn only_a_service_may_follow() {
    let world = World::start().await;
    let ada = world.register("ada").await;
    let by = async |token: &str| Watch::start(world.auth_client(), token, "").await;
    assert_eq!(reason(by(&ada.access_token).await), "PERMISSION_DENIED");
    assert_eq!(reason(by(&ada.refresh_token).await), "ACCESS_TOKEN_INVALID");
    let token = service_token(&world, LIFE).await;
    world.clock.advance(LIFE + Duration::from_secs(3));
    assert_eq!(reason(by(&token).await), "ACCESS_TOKEN_EXPIRED");
}

/// Revokes a session that nobody has ever heard of.
async fn revoke_one(client: &mut AuthServiceClient<Channel>, tokens: &TokenPair) -> String {
    let session_id = unknown_id();
    let request = RevokeSessionRequest { session_id: session_id.clone() };
    client.revoke_session(bearing(&tokens.access_token, request)).await.unwrap();
    session_id
}

#[tokio::test]
async fn a_cursor_resumes_exactly_at_the_instance_that_gave_it() {
    let Some(world) = World::on_postgres().await else { return };
    let other = world.another_auth(|_| {}).await;
    let ada = world.register("ada").await;
    let mut client = world.auth_client();
    let mut first = watch(&world, world.auth_client(), "").await;
    assert!(first.told().await.0);
    let one = revoke_one(&mut client, &ada).await;
    hears_sessions(&mut first, vec![one.clone()]).await;
    let cursor = first.cursor.clone();
    drop(first);
    let two = revoke_one(&mut client, &ada).await;
    let mut resumed = watch(&world, world.auth_client(), &cursor).await;
    hears_sessions(&mut resumed, vec![two.clone()]).await;
    // It is none of the other's.
    let (snapshot, all) = watch(&world, auth_client_of(&other), &cursor).await.told().await;
    let mut all: Vec<_> = all.into_iter().map(|revocation| revocation.session_id).collect();
    let mut expected = vec![one, two];
    all.sort();
    expected.sort();
    assert!(snapshot);
    assert_eq!(all, expected);
}

/// Fault 61, in the database: the write took its instant, and then waited for a lock.
#[tokio::test]
async fn a_revocation_that_waits_for_its_row_is_heard_after_later_ones() {
    let Some(world) = World::on_postgres().await else { return };
    let ada = world.register("ada").await;
    let held = login(&world, "ada").await.session_id;
    let mut client = world.auth_client();
    let mut watch = watch(&world, world.auth_client(), "").await;
    assert_eq!(watch.told().await, (true, vec![]));

    let mut holder = PgConnection::connect(&world.database().url().unwrap()).await.unwrap();
    let mut holding = holder.begin().await.unwrap();
    let lock = "SELECT id FROM sessions WHERE id = $1 FOR UPDATE";
    let id: Uuid = held.parse().unwrap();
    sqlx::query(lock).bind(id).execute(&mut *holding).await.unwrap();
    let request = RevokeSessionRequest { session_id: held.clone() };
    let request = bearing(&ada.access_token, request);
    let mut waits = world.auth_client();
    let waiting = tokio::spawn(async move { waits.revoke_session(request).await });
    let waiters = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while sqlx::query_scalar::<_, i64>(waiters).fetch_one(&mut *holding).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    // Instants are told apart by the millisecond.
    sqlx::query("SELECT pg_sleep(0.002)").execute(&mut *holding).await.unwrap();

    let later = revoke_one(&mut client, &ada).await;
    hears_sessions(&mut watch, vec![later.clone()]).await;
    holding.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    hears_sessions(&mut watch, vec![held.clone()]).await;
    let order = "SELECT id FROM sessions WHERE revoked_at IS NOT NULL ORDER BY revoked_at";
    let order: Vec<Uuid> = sqlx::query_scalar(order).fetch_all(&mut holder).await.unwrap();
    assert_eq!(order, [id, later.parse().unwrap()], "its instant is the earlier one");
}

/// Fault 61: what a cursor from before a restore stood for is gone.
async fn a_cursor_from_before_a_restore_gives_a_new_snapshot(world: World) {
    let ada = world.register("ada").await;
    let mut client = world.auth_client();
    let kept = revoke_one(&mut client, &ada).await;
    let world = world.restart_auth_after(|database, _| database.back_up()).await;
    let mut following = watch(&world, world.auth_client(), "").await;
    assert_eq!(following.told().await.1[0].session_id, kept);
    let mut client = world.auth_client();
    let lost = revoke_one(&mut client, &ada).await;
    hears_sessions(&mut following, vec![lost]).await;
    let cursor = following.cursor.clone();

    let world = world.restart_auth_after(|database, _| database.restore()).await;
    assert_eq!(following.message().await.unwrap(), None, "the server had ended the stream");
    let (snapshot, all) = watch(&world, world.auth_client(), &cursor).await.told().await;
    let all: Vec<_> = all.into_iter().map(|revocation| revocation.session_id).collect();
    assert_eq!((snapshot, all), (true, vec![kept]));
}

#[tokio::test]
async fn a_cursor_from_before_a_restore_gives_a_new_snapshot_on_sqlite() {
    a_cursor_from_before_a_restore_gives_a_new_snapshot(World::start().await).await;
}

#[tokio::test]
async fn a_cursor_from_before_a_restore_gives_a_new_snapshot_on_postgres() {
    let Some(world) = World::on_postgres().await else { return };
    a_cursor_from_before_a_restore_gives_a_new_snapshot(world).await;
}

#[tokio::test]
async fn a_stream_lives_as_long_as_its_token_and_its_server() {
    let world = World::start().await;
    let mut first = watch(&world, world.auth_client(), "").await;
    assert!(first.told().await.0);
    // Signs of life, on a quiet day.
    for _ in 0..3 {
        let sign = timeout(Duration::from_secs(20), first.message()).await.unwrap();
        assert_eq!(sign.unwrap().unwrap().revocations, []);
    }
    world.clock.advance(LIFE);
    let ended = loop {
        match first.message().await {
            Ok(message) => assert!(message.is_some(), "it is told why"),
            Err(status) => break status,
        }
    };
    assert_eq!(reason(Err::<(), _>(ended)), "ACCESS_TOKEN_EXPIRED");

    let mut second = watch(&world, world.auth_client(), "").await;
    assert!(second.told().await.0);
    let stopped = timeout(Duration::from_secs(20), world.stop_auth()).await;
    assert!(stopped.is_ok(), "the server does not wait for who follows");
    let end = loop {
        if let end @ (Ok(None) | Err(_)) = second.message().await {
            break end;
        }
    };
    assert_eq!(end.unwrap(), None);
}

#[tokio::test]
async fn sessions_that_are_not_known_are_revoked_thirty_times_an_hour() {
    let world = World::start().await;
    let ada = world.register("ada").await;
    let mut client = world.auth_client();
    for _ in 0..30 {
        revoke_one(&mut client, &ada).await;
        world.clock.advance(Duration::from_secs(10));
    }
    let mut revoke = async |session_id: String| {
        let request = RevokeSessionRequest { session_id };
        client.revoke_session(bearing(&ada.access_token, request)).await
    };
    let refused = revoke(unknown_id()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let details = refused.get_error_details();
    let wait = details.retry_info().unwrap().retry_delay;
    assert_eq!(wait, Some(Duration::from_secs(3_600 - 300)));
    assert_eq!(reason(Err::<(), _>(refused)), "RATE_LIMITED");
    let known = login(&world, "ada").await.session_id;
    revoke(known.clone()).await.unwrap();

    // Each is told of for longer than any token may live, whatever the setting is.
    let (_, told) = watch(&world, world.auth_client(), "").await.told().await;
    assert_eq!(told.len(), 31);
    let known = told.iter().find(|told| told.session_id == known).unwrap();
    let longest = world.clock.now() + Duration::from_secs(3_600);
    assert!(known.expire_time.unwrap().seconds >= longest.unix_seconds());
}

/// Prints how long it takes from the acknowledgement to the stream; how long it may take is for
/// whoever reads it to say.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_revocations_each_arrive_once() {
    const MANY: usize = 1_000;
    let Some(world) = World::on_postgres().await else { return };
    let other = world.another_auth(|_| {}).await;
    let ada = world.register("ada").await;
    let mut database = PgConnection::connect(&world.database().url().unwrap()).await.unwrap();
    let sessions: Vec<Uuid> = sqlx::query_scalar(
        "INSERT INTO sessions SELECT gen_random_uuid(), user_id, device_name, create_time, auth_time,
             generation, nonces, last_keyed, rotated_at, idle_until, absolute_until
         FROM sessions, generate_series(1, $1) WHERE id = $2 RETURNING id",
    )
    .bind(i32::try_from(MANY).unwrap())
    .bind(ada.session_id.parse::<Uuid>().unwrap())
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut watchers = Vec::new();
    for client in [world.auth_client(), auth_client_of(&other)] {
        let mut watch = watch(&world, client, "").await;
        assert_eq!(watch.told().await, (true, vec![]));
        watchers.push(tokio::spawn(async move {
            let mut heard = HashMap::new();
            while heard.len() < MANY {
                for revocation in watch.told().await.1 {
                    let before = heard.insert(revocation.session_id, Instant::now());
                    assert!(before.is_none(), "told once");
                }
            }
            heard
        }));
    }
    let mut client = world.auth_client();
    let mut acknowledged = Vec::with_capacity(MANY);
    for session in sessions {
        let session = session.to_string();
        let request = RevokeSessionRequest { session_id: session.clone() };
        client.revoke_session(bearing(&ada.access_token, request)).await.unwrap();
        acknowledged.push((session, Instant::now()));
    }
    for (place, watcher) in ["the same instance", "the other instance"].iter().zip(watchers) {
        let heard = timeout(Duration::from_secs(60), watcher).await.expect("all arrive").unwrap();
        let mut waited: Vec<_> = acknowledged
            .iter()
            .map(|(session, at)| heard[session].saturating_duration_since(*at))
            .collect();
        waited.sort();
        let (p50, p99, most) = (waited[MANY / 2], waited[MANY * 99 / 100], waited[MANY - 1]);
        println!(
            "from acknowledgement to arrival through {place}: p50 {p50:?}, p99 {p99:?}, most {most:?}"
        );
    }
}
