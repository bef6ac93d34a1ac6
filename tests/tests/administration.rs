//! Administrators create users, and read lists of them and of what happened, page by page.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::time::Duration;

use auth_service::{Server, UserKind};
use evergreen_proto::auth::v1::{
    self as pb, AuditEvent, CreateUserRequest, CreateUserResponse, ListAuditEventsRequest,
    ListAuditEventsResponse, ListUsersRequest, ListUsersResponse, SetUserRolesRequest,
    list_users_request::Status as UserStatus,
};
use prost_types::Timestamp;
use tests::{PASSWORD, World, bearing, claims, login, reason};
use token::clock::Clock as _;
use tonic::Status;

async fn create(
    world: &World,
    caller: &str,
    username: &str,
    roles: &[&str],
) -> Result<pb::UserAccount, Status> {
    let roles = roles.iter().map(|&role| role.to_owned()).collect();
    let (username, password) = (username.to_owned(), PASSWORD.to_owned());
    let request = bearing(caller, CreateUserRequest { username, password, roles });
    let CreateUserResponse { user } = world.admin_client().create_user(request).await?.into_inner();
    Ok(user.unwrap())
}

async fn users(
    world: &World,
    caller: &str,
    request: ListUsersRequest,
) -> Result<ListUsersResponse, Status> {
    Ok(world.admin_client().list_users(bearing(caller, request)).await?.into_inner())
}

async fn events(
    world: &World,
    caller: &str,
    request: ListAuditEventsRequest,
) -> Result<ListAuditEventsResponse, Status> {
    Ok(world.admin_client().list_audit_events(bearing(caller, request)).await?.into_inner())
}

fn names(answer: &ListUsersResponse) -> Vec<&str> {
    answer.users.iter().map(|user| user.username.as_str()).collect()
}

fn kinds(events: &[AuditEvent]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}

fn subject(token: &str) -> String {
    claims(token)["sub"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_user_who_is_created_has_no_session_and_logs_in_by_themselves() {
    let world = World::start_with(|config| config.open_registration = false).await;
    let world = world.with_admin("root").await;
    let root = login(&world, "root").await.access_token;
    let made = create(&world, &root, "Ada", &["viewer", "admin", "viewer"]).await.unwrap();
    assert_eq!((made.username.as_str(), made.disabled), ("Ada", false));
    assert_eq!(made.roles, ["viewer", "admin"]);
    let now = world.clock.now().unix_seconds();
    assert_eq!(made.create_time.unwrap().seconds, now);

    for (name, password, roles, expected) in [
        ("aDA", PASSWORD, &[][..], "USERNAME_TAKEN"),
        ("", PASSWORD, &[], "FIELD_INVALID"),
        ("bob", "password", &[], "FIELD_INVALID"),
        ("bob", PASSWORD, &["root"], "FIELD_INVALID"),
    ] {
        let (username, password) = (name.to_owned(), password.to_owned());
        let roles = roles.iter().map(|&role: &&str| role.to_owned()).collect();
        let request = bearing(&root, CreateUserRequest { username, password, roles });
        assert_eq!(reason(world.admin_client().create_user(request).await), expected, "{name}");
    }
    let about = ListAuditEventsRequest { account_id: made.user_id.clone(), ..Default::default() };
    let told = events(&world, &root, about.clone()).await.unwrap().events;
    assert_eq!(kinds(&told), ["user_created"]);
    assert_eq!(told[0].actor, format!("user:{}", subject(&root)));
    assert_eq!(told[0].detail, "roles viewer,admin");
    assert_eq!(told[0].session_id, "");

    let ada = login(&world, "ada").await;
    assert_eq!(subject(&ada.access_token), made.user_id);
    let told = events(&world, &root, about).await.unwrap().events;
    assert_eq!(kinds(&told), ["login_succeeded", "user_created"]);
    assert_eq!(told[0].session_id, ada.session_id);
}

#[tokio::test]
async fn lists_and_new_users_are_for_those_who_administer_now() {
    let work = async |server: &Server| {
        server.create_user("root", PASSWORD, UserKind::Admin).await.unwrap();
        server.create_user("late", PASSWORD, UserKind::Admin).await.unwrap();
    };
    let (world, ()) = World::start().await.operate(work).await;
    let (root, late) = (login(&world, "root").await, login(&world, "late").await);
    let late = late.access_token;
    let ada = world.register("ada").await.access_token;
    let refused = async |caller: &str| {
        [
            reason(create(&world, caller, "eve", &[]).await),
            reason(users(&world, caller, ListUsersRequest::default()).await),
            reason(events(&world, caller, ListAuditEventsRequest::default()).await),
        ]
    };
    assert_eq!(refused(&ada).await, ["PERMISSION_DENIED"; 3]);
    assert_eq!(refused("no token").await, ["ACCESS_TOKEN_INVALID"; 3]);
    // The token still says that they administer.
    assert!(users(&world, &late, ListUsersRequest::default()).await.is_ok());
    let set = SetUserRolesRequest { user_id: subject(&late), roles: vec!["editor".into()] };
    world.admin_client().set_user_roles(bearing(&root.access_token, set)).await.unwrap();
    assert_eq!(refused(&late).await, ["PERMISSION_DENIED"; 3]);
    let listed = users(&world, &root.access_token, ListUsersRequest::default()).await.unwrap();
    assert_eq!(names(&listed), ["ada", "late", "root"], "nobody was created");
}

#[tokio::test]
async fn users_are_listed_by_name_and_a_page_goes_on_only_with_its_own_filters() {
    let world = World::start().await.with_admin("root").await;
    let root = login(&world, "root").await.access_token;
    for name in ["bob", "Ada", "ada-b", "ADAM"] {
        create(&world, &root, name, &["viewer"]).await.unwrap();
    }
    let adam = create(&world, &root, "adam2", &[]).await.unwrap().user_id;
    let disable = pb::DisableUserRequest { user_id: adam.clone() };
    world.admin_client().disable_user(bearing(&root, disable)).await.unwrap();

    let of = |page_size, username_prefix: &str, status: UserStatus, page_token: &str| {
        let (username_prefix, page_token) = (username_prefix.into(), page_token.into());
        ListUsersRequest { page_size, page_token, username_prefix, status: status.into() }
    };
    let any = UserStatus::Unspecified;
    let first = users(&world, &root, of(2, "aD", any, "")).await.unwrap();
    assert_eq!(names(&first), ["Ada", "ada-b"]);
    // What comes in between two pages is on the later one, if it is later.
    create(&world, &root, "ada-a", &[]).await.unwrap();
    create(&world, &root, "ada-c", &[]).await.unwrap();
    let token = &first.next_page_token;
    let second = users(&world, &root, of(3, "ad", any, token)).await.unwrap();
    assert_eq!(names(&second), ["ada-c", "ADAM", "adam2"]);
    assert_eq!(second.next_page_token, "");
    let last = &second.users[2];
    assert!(last.disabled && last.user_id == adam && last.roles.is_empty());
    let disabled = users(&world, &root, of(0, "", UserStatus::Disabled, "")).await.unwrap();
    assert_eq!(names(&disabled), ["adam2"]);
    let active = users(&world, &root, of(100_000, "ada", UserStatus::Active, "")).await.unwrap();
    assert_eq!(names(&active), ["Ada", "ada-a", "ada-b", "ada-c", "ADAM"]);

    let ada = login(&world, "ada").await.access_token;
    let set = SetUserRolesRequest { user_id: subject(&ada), roles: vec!["admin".into()] };
    world.admin_client().set_user_roles(bearing(&root, set)).await.unwrap();
    let ada = login(&world, "ada").await.access_token;
    for (caller, request) in [
        (&root, of(2, "", any, token)),
        (&root, of(2, "ad", UserStatus::Active, token)),
        (&root, of(2, "ad", any, &format!("{token}A"))),
        (&ada, of(2, "ad", any, token)),
    ] {
        let refused = users(&world, caller, request.clone()).await;
        assert_eq!(reason(refused), "PAGE_TOKEN_INVALID", "{request:?}");
    }
    let other = ListAuditEventsRequest { page_token: token.clone(), ..Default::default() };
    assert_eq!(reason(events(&world, &root, other).await), "PAGE_TOKEN_INVALID");
    for request in [of(-1, "", any, ""), of(0, "a b", any, "")] {
        assert_eq!(reason(users(&world, &root, request).await), "FIELD_INVALID");
    }
    let unknown = ListUsersRequest { status: 7, ..Default::default() };
    assert_eq!(reason(users(&world, &root, unknown).await), "FIELD_INVALID");
    // Another start goes on with the tokens of the one before.
    let world = world.restart_auth().await;
    let again = users(&world, &root, of(3, "ad", any, token)).await.unwrap();
    assert_eq!(names(&again), ["ada-c", "ADAM", "adam2"]);
}

#[tokio::test]
async fn audit_events_are_listed_newest_first_and_pages_stand_while_more_happens() {
    let world = World::start().await.with_admin("root").await;
    let root = login(&world, "root").await.access_token;
    let ada = world.register("ada").await;
    let started = world.clock.now().unix_seconds();
    let log_in = async |password: &str| {
        let (username, password) = ("ada".into(), password.into());
        let request = pb::LoginRequest { username, password, ..Default::default() };
        world.auth_client().login(request).await.is_ok()
    };
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(10));
        assert!(!log_in("a wrong pass phrase").await);
    }
    let about = ListAuditEventsRequest {
        page_size: 2,
        account_id: subject(&ada.access_token),
        ..Default::default()
    };
    let first = events(&world, &root, about.clone()).await.unwrap();
    assert_eq!(kinds(&first.events), ["login_failed"; 2]);
    let newest = first.events[0].event_time.unwrap().seconds;
    assert_eq!(newest, started + 30);
    world.clock.advance(Duration::from_secs(10));
    assert!(log_in(PASSWORD).await);
    let next =
        ListAuditEventsRequest { page_token: first.next_page_token.clone(), ..about.clone() };
    let second = events(&world, &root, next).await.unwrap();
    assert_eq!(kinds(&second.events), ["login_failed", "user_created"]);
    assert_eq!(second.next_page_token, "");

    let of = |kind: &str, since: Option<i64>, until: Option<i64>| {
        let at = |seconds| Timestamp { seconds, nanos: 0 };
        let (since, until) = (since.map(at), until.map(at));
        ListAuditEventsRequest { kind: kind.into(), since, until, page_size: 0, ..about.clone() }
    };
    for (request, count) in [
        (of("login_failed", None, None), 3),
        (of("login_succeeded", None, None), 1),
        (of("", Some(started + 20), None), 3),
        (of("", Some(started + 20), Some(started + 30)), 1),
        (of("login_failed", None, Some(started + 30)), 2),
        (of("signing_key_made", None, None), 0),
    ] {
        let told = events(&world, &root, request.clone()).await.unwrap().events;
        assert_eq!(told.len(), count, "{request:?}");
    }
    let by_session = ListAuditEventsRequest { session_id: ada.session_id, ..Default::default() };
    let told = events(&world, &root, by_session).await.unwrap().events;
    assert_eq!(kinds(&told), ["user_created"]);

    let bad = ListAuditEventsRequest::default;
    let token = first.next_page_token;
    for (request, expected) in [
        (ListAuditEventsRequest { kind: "login".into(), ..bad() }, "FIELD_INVALID"),
        (ListAuditEventsRequest { account_id: "ada".into(), ..bad() }, "FIELD_INVALID"),
        (ListAuditEventsRequest { session_id: "1".into(), ..bad() }, "FIELD_INVALID"),
        (
            ListAuditEventsRequest {
                since: Some(Timestamp { seconds: i64::MAX, nanos: 0 }),
                ..bad()
            },
            "FIELD_INVALID",
        ),
        (ListAuditEventsRequest { page_size: -1, ..bad() }, "FIELD_INVALID"),
        (ListAuditEventsRequest { page_token: token, ..bad() }, "PAGE_TOKEN_INVALID"),
    ] {
        assert_eq!(reason(events(&world, &root, request.clone()).await), expected, "{request:?}");
    }
}
