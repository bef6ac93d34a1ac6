//! Services as callers: their accounts, their logins, and what they may ask.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::time::Duration;

use auth_service::{AuditRecord, ServiceCredentials, UserKind};
use client_sdk::{AuthenticationError, Session};
use evergreen_proto::{
    api::v1::{ListTreesRequest, api_service_client::ApiServiceClient},
    auth::v1::{
        ChangePasswordRequest, CreateServiceAccountRequest, CreateServiceAccountResponse,
        DisableServiceAccountRequest, DisableUserRequest, EnableServiceAccountRequest,
        GetCurrentUserRequest, IntrospectTokenRequest, IntrospectTokenResponse,
        ListSessionsRequest, LoginServiceRequest, LoginServiceResponse, LogoutRequest,
        RefreshRequest, RevokeAllSessionsRequest, RevokeSessionRequest, RotateServiceSecretRequest,
        SetUserRolesRequest, auth_service_client::AuthServiceClient,
    },
};
use secrecy::ExposeSecret as _;
use tests::{PASSWORD, World, bearing, channel, claims, login, reason, service::Watch};
use token::clock::Clock as _;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};
use tower::ServiceBuilder;

/// A world with a service of these roles.
async fn with_service(roles: &[&str]) -> (World, ServiceCredentials) {
    let made = async |server: &auth_service::Server| server.create_service("Api", roles).await;
    let (world, made) = World::start().await.operate(made).await;
    (world, made.unwrap())
}

async fn login_service(
    world: &World,
    id: &str,
    secret: &str,
) -> Result<LoginServiceResponse, Status> {
    let request = LoginServiceRequest { client_id: id.into(), client_secret: secret.into() };
    world.auth_client().login_service(request).await.map(Response::into_inner)
}

/// An access token of the service.
async fn token_of(world: &World, service: &ServiceCredentials) -> String {
    let answer = login_service(world, &service.client_id, secret_of(service)).await;
    answer.unwrap().access_token
}

fn secret_of(service: &ServiceCredentials) -> &str {
    service.client_secret.expose_secret()
}

/// Whose access token it is.
fn subject(token: &str) -> String {
    claims(token)["sub"].as_str().unwrap().to_owned()
}

async fn introspect(world: &World, asks: &str, about: &str) -> IntrospectTokenResponse {
    try_introspect(world, asks, about).await.unwrap()
}

async fn try_introspect(
    world: &World,
    asks: &str,
    about: &str,
) -> Result<IntrospectTokenResponse, Status> {
    let request = bearing(asks, IntrospectTokenRequest { token: about.into() });
    world.auth_client().introspect_token(request).await.map(Response::into_inner)
}

async fn create(
    world: &World,
    caller: &str,
    name: &str,
    roles: &[&str],
) -> Result<CreateServiceAccountResponse, Status> {
    let roles = roles.iter().map(|&role| role.into()).collect();
    let request = CreateServiceAccountRequest { name: name.into(), roles };
    let answer = world.admin_client().create_service_account(bearing(caller, request)).await;
    answer.map(Response::into_inner)
}

async fn rotate(
    world: &World,
    caller: &str,
    client_id: &str,
    overlap_s: Option<i64>,
) -> Result<String, Status> {
    let overlap = overlap_s.map(|seconds| prost_types::Duration { seconds, nanos: 0 });
    let request = RotateServiceSecretRequest { client_id: client_id.into(), overlap };
    let answer = world.admin_client().rotate_service_secret(bearing(caller, request)).await;
    answer.map(|answer| answer.into_inner().client_secret)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_at_once_make_one_login() {
    let (world, service) = with_service(&["viewer"]).await;
    let secret = secret_of(&service);
    let session = Session::service(world.auth.url(), service.client_id.clone(), secret);
    let session = session.connect().await.unwrap();
    assert_eq!(world.auth_seen.take().len(), 0, "nothing is sent before the first call");
    let api = ServiceBuilder::new().layer(session.layer()).service(channel(world.api.address));
    let list =
        async || ApiServiceClient::new(api.clone()).list_trees(ListTreesRequest::default()).await;
    let calls = (0..1000).map(|_| list());
    let answers = futures_util::future::join_all(calls).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1000);
    assert_eq!(world.auth_seen.count("LoginService", Code::Ok), 1);
    assert_eq!(world.api_seen.count("ListTrees", Code::Ok), 1000, "each was sent once");

    // Its token runs out by the services' clock alone: the calls are refused, and one login mends
    // them all.
    world.access_tokens_run_out();
    let answers = futures_util::future::join_all((0..3).map(|_| list())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(world.auth_seen.count("LoginService", Code::Ok), 2);

    // The connection to AuthService is the service's too.
    let user = world.register("ada").await;
    let mut auth = AuthServiceClient::new(session.auth_channel().unwrap());
    let about = IntrospectTokenRequest { token: user.access_token };
    assert!(auth.introspect_token(about).await.unwrap().into_inner().active);
}

#[tokio::test]
async fn a_service_gets_an_access_token_alone() {
    let (world, service) = with_service(&["viewer"]).await;
    let answer = login_service(&world, &service.client_id, secret_of(&service)).await.unwrap();
    assert_eq!(answer.token_type, "Bearer");
    assert_eq!(answer.access_expires_in.unwrap().seconds, 15 * 60);
    let after = answer.refresh_after.unwrap().seconds;
    assert!((10 * 60..13 * 60).contains(&after), "{after}");
    let said = introspect(&world, &answer.access_token, &answer.access_token).await;
    assert!(said.active);
    assert_eq!((said.sub, said.client_id), (service.client_id.clone(), service.client_id.clone()));
    assert_eq!((said.kind.as_str(), said.username.as_str()), ("service", ""));
    assert_eq!(said.roles, ["viewer"]);
    // Each login is one of its own.
    let again = token_of(&world, &service).await;
    assert_ne!(said.session_id, introspect(&world, &again, &again).await.session_id);
    // It renews nothing.
    let refused = world.auth_client().refresh(bearing(&again, RefreshRequest {})).await;
    assert_eq!(reason(refused), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn an_unknown_id_and_a_wrong_secret_are_one_answer() {
    let (world, service) = with_service(&[]).await;
    let (id, secret) = (service.client_id.as_str(), secret_of(&service));
    let unknown = uuid::Uuid::from_u128(7).to_string();
    let mut answers = Vec::new();
    for (id, secret) in [(id, "wrong"), (&unknown, secret), ("no id at all", secret)] {
        let refused = login_service(&world, id, secret).await.unwrap_err();
        answers.push((refused.code(), refused.message().to_owned()));
        assert_eq!(reason::<()>(Err(refused)), "INVALID_CREDENTIALS");
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    for (id, secret) in [("", secret), (id, "")] {
        assert_eq!(reason(login_service(&world, id, secret).await), "FIELD_INVALID");
    }
    // In the order of the alphabet, since the world's clock stands still.
    let mut kinds: Vec<_> = world.audit_events().await.iter().map(|event| event.kind).collect();
    kinds.sort_unstable();
    let failed = ["service_login_failed"; 3];
    // Two accounts: ApiService has one too.
    assert_eq!(kinds, [&["service_created"; 2], &failed[..]].concat());
}

#[tokio::test]
async fn a_replaced_secret_is_good_until_its_overlap_ends() {
    let (world, service) = with_service(&["admin"]).await;
    let (id, first) = (service.client_id.clone(), secret_of(&service).to_owned());
    let token = token_of(&world, &service).await;
    let second = rotate(&world, &token, &id, None).await.unwrap();
    for secret in [&first, &second] {
        assert!(login_service(&world, &id, secret).await.is_ok());
    }
    let day = Duration::from_secs(86_400);
    world.clock.advance(day - Duration::from_secs(1));
    assert!(login_service(&world, &id, &first).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(reason(login_service(&world, &id, &first).await), "INVALID_CREDENTIALS");

    // An answer that was lost is asked for again: nobody is given the secret of the first.
    let token = login_service(&world, &id, &second).await.unwrap().access_token;
    rotate(&world, &token, &id, None).await.unwrap();
    let third = rotate(&world, &token, &id, None).await.unwrap();
    for secret in [&second, &third] {
        assert!(login_service(&world, &id, secret).await.is_ok(), "in use, and the newest");
    }
    // Five more are as many as may be good.
    for _ in 0..5 {
        assert!(rotate(&world, &token, &id, None).await.is_ok());
    }
    let full = rotate(&world, &token, &id, None).await;
    assert_eq!(full.as_ref().unwrap_err().code(), Code::FailedPrecondition);
    assert!(full.as_ref().unwrap_err().message().contains("runs out at 20"), "{full:?}");
    assert_eq!(reason(full), "TOO_MANY_SECRETS");

    // Without an overlap the old ones end at once, and a session that holds it is told.
    let session = Session::service(world.auth.url(), id.clone(), second.clone());
    let session = session.connect().await.unwrap();
    session.refresh().await.unwrap();
    let token = session.access_token().unwrap().expose_secret().to_owned();
    let last = rotate(&world, &token, &id, Some(0)).await.unwrap();
    for secret in [&second, &third] {
        assert_eq!(reason(login_service(&world, &id, secret).await), "INVALID_CREDENTIALS");
    }
    assert!(login_service(&world, &id, &last).await.is_ok());
    let told = session.refresh().await;
    assert!(
        matches!(&told, Err(AuthenticationError::Rejected { reason }) if reason == "INVALID_CREDENTIALS"),
        "{told:?}"
    );

    let nobody = uuid::Uuid::nil().to_string();
    for (id, overlap, expected) in [
        (id.as_str(), Some(30 * 86_400 + 1), "FIELD_INVALID"),
        (&id, Some(-1), "FIELD_INVALID"),
        ("api", None, "FIELD_INVALID"),
        (&nobody, None, "SERVICE_ACCOUNT_NOT_FOUND"),
    ] {
        assert_eq!(reason(rotate(&world, &token, id, overlap).await), expected);
    }
}

#[tokio::test]
async fn a_service_that_is_disabled_hears_of_no_more_revocations() {
    let (world, admin) = with_service(&["admin"]).await;
    let admin = token_of(&world, &admin).await;
    let made = create(&world, &admin, "worker", &[]).await.unwrap();
    let CreateServiceAccountResponse { client_id, client_secret } = made;
    let token = login_service(&world, &client_id, &client_secret).await.unwrap().access_token;
    let mut watch = Watch::start(world.auth_client(), &token, "").await.unwrap();
    assert!(watch.told().await.0);
    let other = Watch::start(world.auth_client(), &admin, "").await;
    let mut other = other.unwrap();
    assert!(other.told().await.0);

    let disable = DisableServiceAccountRequest { client_id: client_id.clone() };
    world.admin_client().disable_service_account(bearing(&admin, disable)).await.unwrap();
    let ended = timeout(Duration::from_secs(20), async {
        loop {
            if let Err(status) = watch.message().await {
                break status;
            }
        }
    });
    let ended = ended.await.expect("it ends long before its token");
    assert_eq!(reason(Err::<(), _>(ended)), "SESSION_REVOKED");
    let (_, told) = other.told().await;
    assert_eq!(told[0].user_id, client_id);
    // A first change is counted as the second in which it is made.
    let second = world.clock.now().unix_seconds();
    assert_eq!(i64::from(told[0].roles_version), second, "{told:?}");
}

#[tokio::test]
async fn a_disabled_service_is_told_so_once_its_secret_is_proven_and_its_tokens_stay_bad() {
    let (world, admin) = with_service(&["admin"]).await;
    let admin = token_of(&world, &admin).await;
    let made = create(&world, &admin, "worker", &[]).await.unwrap();
    let CreateServiceAccountResponse { client_id, client_secret } = made;
    let before = login_service(&world, &client_id, &client_secret).await.unwrap().access_token;
    assert!(introspect(&world, &before, &before).await.active);

    let disable = || DisableServiceAccountRequest { client_id: client_id.clone() };
    let enable = || EnableServiceAccountRequest { client_id: client_id.clone() };
    for _ in 0..2 {
        let done = world.admin_client().disable_service_account(bearing(&admin, disable())).await;
        done.unwrap();
    }
    let refused = login_service(&world, &client_id, &client_secret).await;
    assert_eq!(refused.as_ref().unwrap_err().code(), Code::PermissionDenied);
    assert_eq!(reason(refused), "ACCOUNT_DISABLED");
    assert_eq!(reason(login_service(&world, &client_id, "x").await), "INVALID_CREDENTIALS");
    assert_eq!(reason(try_introspect(&world, &before, &before).await), "SESSION_REVOKED");
    assert_eq!(introspect(&world, &admin, &before).await, IntrospectTokenResponse::default());

    for _ in 0..2 {
        let done = world.admin_client().enable_service_account(bearing(&admin, enable())).await;
        done.unwrap();
    }
    assert_eq!(reason(try_introspect(&world, &before, &before).await), "ACCESS_TOKEN_EXPIRED");
    assert_eq!(introspect(&world, &admin, &before).await, IntrospectTokenResponse::default());
    let after = login_service(&world, &client_id, &client_secret).await.unwrap().access_token;
    assert!(introspect(&world, &admin, &after).await.active);

    let nobody = DisableServiceAccountRequest { client_id: uuid::Uuid::nil().to_string() };
    let refused = world.admin_client().disable_service_account(bearing(&admin, nobody)).await;
    assert_eq!(reason(refused), "SERVICE_ACCOUNT_NOT_FOUND");
    let nobody = EnableServiceAccountRequest { client_id: uuid::Uuid::nil().to_string() };
    let refused = world.admin_client().enable_service_account(bearing(&admin, nobody)).await;
    assert_eq!(reason(refused), "SERVICE_ACCOUNT_NOT_FOUND");
    let kinds: Vec<_> = world.audit_events().await.iter().map(|event| event.kind).collect();
    // ApiService has an account too.
    for (kind, count) in [("service_disabled", 1), ("service_enabled", 1), ("service_created", 3)] {
        assert_eq!(kinds.iter().filter(|told| **told == kind).count(), count, "{kind}: {kinds:?}");
    }
}

#[tokio::test]
async fn administration_is_for_administrators_be_they_users_or_services() {
    let work = async |server: &auth_service::Server| {
        server.create_user("root", PASSWORD, UserKind::Admin).await.unwrap();
        server.create_service("viewer", &["viewer"]).await.unwrap()
    };
    let (world, viewer) = World::start().await.operate(work).await;
    let root = login(&world, "root").await.access_token;
    let (user, viewer) =
        (world.register("ada").await.access_token, token_of(&world, &viewer).await);
    for caller in [&user, &viewer] {
        let refused = create(&world, caller, "x", &[]).await;
        assert_eq!(reason(refused), "PERMISSION_DENIED");
    }
    let made = create(&world, &root, "x", &["admin"]).await.unwrap();
    let by_service = login_service(&world, &made.client_id, &made.client_secret).await.unwrap();
    let root_id = subject(&root);
    // A service that administers takes neither role nor account of the last user who does.
    let by = &by_service.access_token;
    let set = SetUserRolesRequest { user_id: root_id.clone(), roles: vec!["editor".into()] };
    let refused = world.admin_client().set_user_roles(bearing(by, set)).await;
    assert_eq!(refused.as_ref().unwrap_err().code(), Code::FailedPrecondition);
    assert_eq!(reason(refused), "LAST_ADMIN");
    let refused = world
        .admin_client()
        .disable_user(bearing(by, DisableUserRequest { user_id: root_id.clone() }))
        .await;
    assert_eq!(reason(refused), "LAST_ADMIN");
    for (name, roles, expected) in [
        ("X", &[][..], "SERVICE_NAME_TAKEN"),
        ("", &[][..], "FIELD_INVALID"),
        ("y", &["emperor"][..], "FIELD_INVALID"),
    ] {
        let refused = create(&world, &by_service.access_token, name, roles).await;
        assert_eq!(reason(refused), expected);
    }

    // What was done to whom, by whom, and where by an operator's command.
    let events = world.audit_events().await;
    let told = |account: &str, kind: &str| {
        let is = |event: &&AuditRecord| {
            event.kind == kind && event.account_id.as_deref() == Some(account)
        };
        let event = events.iter().find(is).unwrap();
        (event.actor.clone(), event.detail.clone())
    };
    let by_root = Some(format!("user:{root_id}"));
    assert_eq!(told(&made.client_id, "service_created"), (by_root, "roles admin".into()));
    let by_operator = (Some("operator".to_owned()), "roles editor,admin".to_owned());
    assert_eq!(told(&root_id, "user_created"), by_operator);
    assert_eq!(told(&root_id, "login_succeeded"), (None, String::new()));
}

#[tokio::test]
async fn introspection_tells_what_is_active_and_nothing_of_the_rest() {
    let (world, service) = with_service(&[]).await;
    let asks = token_of(&world, &service).await;
    let ada = world.register("Ada").await;

    let said = introspect(&world, &asks, &ada.access_token).await;
    assert!(said.active);
    assert_eq!((said.username.as_str(), said.kind.as_str()), ("Ada", "user"));
    assert_eq!((said.token_type.as_str(), said.client_id.as_str()), ("Bearer", "evergreen"));
    assert_eq!((said.iss.as_str(), said.aud.as_slice()), ("evergreen", &["evergreen".into()][..]));
    assert_eq!((said.roles, said.session_id), (vec!["editor".to_owned()], ada.session_id.clone()));
    assert_eq!(said.exp.unwrap().seconds - said.iat.unwrap().seconds, 15 * 60);
    assert!(!said.jti.is_empty() && !said.sub.is_empty());

    let of_refresh = introspect(&world, &asks, &ada.refresh_token).await;
    assert!(of_refresh.active);
    assert_eq!(of_refresh.token_type, "refresh_token");
    assert_eq!((of_refresh.sub, of_refresh.session_id), (said.sub, ada.session_id));
    let life = of_refresh.exp.unwrap().seconds - of_refresh.iat.unwrap().seconds;
    assert_eq!(life, 7 * 86_400, "its idle end");

    // It was spent by nobody: it rotates, and is active no more.
    let refresh = bearing(&ada.refresh_token, RefreshRequest {});
    let next = world.auth_client().refresh(refresh).await.unwrap().into_inner().tokens.unwrap();
    let inactive = IntrospectTokenResponse::default();
    assert_eq!(introspect(&world, &asks, &ada.refresh_token).await, inactive, "spent");
    assert!(introspect(&world, &asks, &next.refresh_token).await.active);
    assert!(introspect(&world, &asks, &ada.access_token).await.active, "it lives on");

    let logged_out = login(&world, "ada").await;
    let request = bearing(&logged_out.access_token, LogoutRequest {});
    world.auth_client().logout(request).await.unwrap();
    let elsewhere = World::start().await.register("eve").await;
    for (what, token) in [
        ("logged out", &logged_out.access_token),
        ("logged out", &logged_out.refresh_token),
        ("another issuer's", &elsewhere.access_token),
        ("another issuer's", &elsewhere.refresh_token),
        ("no token", &"garbage".to_owned()),
        ("no token", &"a.b.c".to_owned()),
        ("not ASCII", &"ä".repeat(1000)),
        ("long", &"x".repeat(32 * 1024)),
    ] {
        assert_eq!(introspect(&world, &asks, token).await, inactive, "{what}");
    }
    assert_eq!(reason(try_introspect(&world, &asks, "").await), "FIELD_INVALID");

    world.access_tokens_run_out();
    let refused = try_introspect(&world, &asks, &next.access_token).await;
    assert_eq!(reason(refused), "ACCESS_TOKEN_EXPIRED", "the service's own has run out too");
    let asks = token_of(&world, &service).await;
    assert_eq!(introspect(&world, &asks, &next.access_token).await, inactive, "run out");
    assert!(introspect(&world, &asks, &next.refresh_token).await.active);
    world.clock.advance(Duration::from_secs(7 * 86_400));
    let asks = token_of(&world, &service).await;
    assert_eq!(introspect(&world, &asks, &next.refresh_token).await, inactive, "idle too long");
}

/// What a restored database has forgotten is not called run out where a refresh would bring it back.
#[tokio::test]
async fn introspection_on_a_restored_database_says_what_a_refresh_would() {
    let (world, service) = with_service(&[]).await;
    let ada = world.register("ada").await;
    let world = world.restart_auth_after(|database, _| database.back_up()).await;
    let refresh = bearing(&ada.refresh_token, RefreshRequest {});
    let next = world.auth_client().refresh(refresh).await.unwrap().into_inner().tokens.unwrap();
    let forgotten = login(&world, "ada").await;
    let made = async |server: &auth_service::Server| server.create_service("new", &[""; 0]).await;
    let (world, made) = world.operate(made).await;
    let made = made.unwrap();
    let lost = token_of(&world, &made).await;

    let world = world.restart_auth_after(|database, _| database.restore()).await;
    let asks = token_of(&world, &service).await;
    assert!(introspect(&world, &asks, &next.refresh_token).await.active, "newer than its row");
    assert!(introspect(&world, &asks, &next.access_token).await.active);
    for token in [&forgotten.access_token, &forgotten.refresh_token, &lost] {
        assert_eq!(introspect(&world, &asks, token).await, IntrospectTokenResponse::default());
    }
    // A forgotten service is sent to log in, which tells it what has become of it.
    assert_eq!(reason(try_introspect(&world, &lost, &asks).await), "ACCESS_TOKEN_EXPIRED");
    let refused = login_service(&world, &made.client_id, secret_of(&made)).await;
    assert_eq!(reason(refused), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn users_and_services_are_not_taken_for_each_other() {
    let (world, service) = with_service(&["editor"]).await;
    let user = world.register("ada").await.access_token;
    let service = token_of(&world, &service).await;
    let denied = |status: Status| {
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("service account"), "it says why: {}", status.message());
        assert_eq!(reason::<()>(Err(status)), "PERMISSION_DENIED");
    };
    denied(try_introspect(&world, &user, &user).await.unwrap_err());

    let mut auth = world.auth_client();
    fn by<T>(token: &str, message: T) -> Request<T> {
        bearing(token, message)
    }
    denied(auth.get_current_user(by(&service, GetCurrentUserRequest {})).await.unwrap_err());
    let list = ListSessionsRequest::default();
    denied(auth.list_sessions(by(&service, list)).await.unwrap_err());
    let change = ChangePasswordRequest {
        old_password: PASSWORD.into(),
        new_password: "another horse battery staple".into(),
    };
    denied(auth.change_password(by(&service, change)).await.unwrap_err());
    let revoke = RevokeSessionRequest { session_id: uuid::Uuid::nil().to_string() };
    denied(auth.revoke_session(by(&service, revoke)).await.unwrap_err());
    let all = RevokeAllSessionsRequest {};
    denied(auth.revoke_all_sessions(by(&service, all)).await.unwrap_err());
    denied(auth.logout(by(&service, LogoutRequest {})).await.unwrap_err());
    assert!(introspect(&world, &service, &service).await.active, "nothing became of it");
}

#[tokio::test]
async fn whether_credentials_are_an_account_s_is_told_without_logging_in() {
    let make = async |server: &auth_service::Server| {
        let made = server.create_service("worker", &["viewer"]).await.unwrap();
        assert!(server.knows_service(&made).await.unwrap());
        let other = ServiceCredentials::new(made.client_id.clone(), "another secret");
        assert!(!server.knows_service(&other).await.unwrap());
        assert!(!format!("{made:?}").contains(secret_of(&made)));
        // An operator's decision stands.
        assert!(server.set_service_enabled("Worker", false).await.unwrap());
        assert!(!server.set_service_enabled("worker", false).await.unwrap());
        assert!(server.set_service_enabled("nobody", false).await.is_err());
        assert!(server.knows_service(&made).await.unwrap());
        made
    };
    let (world, made) = World::start().await.operate(make).await;
    let refused = login_service(&world, &made.client_id, secret_of(&made)).await;
    assert_eq!(reason(refused), "ACCOUNT_DISABLED");
}

/// Two programs on one database do not end each other's secrets by starting.
#[tokio::test]
async fn api_service_keeps_its_account_from_start_to_start() {
    let world = World::start().await;
    let account = world.accounts.api.clone();
    let file = world.data_dir().join("api-service.account");
    let kept = std::fs::read(&file).unwrap();
    let world = world.restart_auth().await;
    assert_eq!(std::fs::read(&file).unwrap(), kept);
    assert!(!token_of(&world, &account).await.is_empty());
    // A database that does not know it: a new one is made, and kept.
    let forget = async |server: &auth_service::Server| {
        assert!(server.knows_service(&account).await.unwrap());
        std::fs::write(&file, r#"{"client_id":"x","client_secret":"y"}"#).unwrap();
    };
    let (world, ()) = world.operate(forget).await;
    let made = std::fs::read(&file).unwrap();
    assert_ne!(made, kept);
    let world = world.restart_auth().await;
    assert_eq!(std::fs::read(&file).unwrap(), made);
    assert!(!token_of(&world, &account).await.is_empty(), "the first one is still good");
}
