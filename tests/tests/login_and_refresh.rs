//! A session from its first token to its last.

use evergreen_proto::auth::v1::{
    ChangePasswordRequest, GetCurrentUserRequest, GetJwksRequest, ListSessionsRequest,
    LoginRequest, LogoutRequest, RefreshRequest, RevokeAllSessionsRequest, RevokeSessionRequest,
    TokenPair,
};
use tests::{PASSWORD, World, bearing, reason, with_metadata};
use tonic::Status;

async fn login(world: &World, username: &str, password: &str) -> Result<TokenPair, Status> {
    let request = LoginRequest {
        username: username.into(),
        password: password.into(),
        device_name: "laptop".into(),
    };
    let answer = world.auth_client().login(request).await?;
    Ok(answer.into_inner().tokens.expect("Login answers with tokens"))
}

async fn refresh(world: &World, token: &str) -> Result<TokenPair, Status> {
    let answer = world.auth_client().refresh(bearing(token, RefreshRequest {})).await?;
    Ok(answer.into_inner().tokens.expect("Refresh answers with tokens"))
}

async fn whoami(world: &World, token: &str) -> Result<String, Status> {
    let request = bearing(token, GetCurrentUserRequest {});
    let answer = world.auth_client().get_current_user(request).await?.into_inner();
    Ok(answer.user.expect("a user").username)
}

#[tokio::test]
async fn a_pair_tells_how_long_it_lives_in_durations() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    assert_eq!(tokens.token_type, "Bearer");
    assert_eq!(tokens.access_expires_in.unwrap().seconds, 15 * 60);
    assert_eq!(tokens.refresh_expires_in.unwrap().seconds, 7 * 86_400);
    let after = tokens.refresh_after.unwrap().seconds;
    assert!((10 * 60..13 * 60).contains(&after), "{after}");
}

#[tokio::test]
async fn a_login_is_kept_alive_by_refreshing() {
    let world = World::start().await;
    let registered = world.register("ada").await;
    let first = login(&world, "Ada", PASSWORD).await.unwrap();
    assert_ne!(first.session_id, registered.session_id);
    assert_eq!(whoami(&world, &first.access_token).await.unwrap(), "ada");

    world.access_tokens_run_out();
    let refused = whoami(&world, &first.access_token).await;
    assert_eq!(reason(refused), "ACCESS_TOKEN_EXPIRED");
    let second = refresh(&world, &first.refresh_token).await.unwrap();
    assert_eq!(second.session_id, first.session_id);
    assert_eq!(whoami(&world, &second.access_token).await.unwrap(), "ada");

    // Eight months of daily use end at the absolute end of the session, after 30 days.
    let mut token = second.refresh_token;
    let mut days = 0;
    let ended = loop {
        world.clock.advance(std::time::Duration::from_secs(86_400));
        match refresh(&world, &token).await {
            Ok(pair) => token = pair.refresh_token,
            Err(status) => break reason::<()>(Err(status)),
        }
        days += 1;
    };
    assert_eq!((days, ended.as_str()), (29, "REFRESH_TOKEN_EXPIRED"));
}

#[tokio::test]
async fn an_idle_session_ends() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    world.clock.advance(std::time::Duration::from_secs(7 * 86_400));
    assert_eq!(reason(refresh(&world, &tokens.refresh_token).await), "REFRESH_TOKEN_EXPIRED");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_are_one_answer() {
    let world = World::start().await;
    world.register("ada").await;
    let wrong = login(&world, "ada", "wrong").await.unwrap_err();
    let unknown = login(&world, "nobody", "wrong").await.unwrap_err();
    let impossible = login(&world, "no such\nname", "wrong").await.unwrap_err();
    for other in [&unknown, &impossible] {
        assert_eq!((wrong.code(), wrong.message()), (other.code(), other.message()));
        assert_eq!(wrong.details(), other.details());
    }
    assert_eq!(reason::<()>(Err(wrong)), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn a_name_is_taken_once_and_registration_can_be_closed() {
    let world = World::start().await;
    world.register("ada").await;
    let request = evergreen_proto::auth::v1::RegisterRequest {
        username: "ADA".into(),
        password: PASSWORD.into(),
    };
    let refused = world.auth_client().register(request.clone()).await;
    assert_eq!(reason(refused), "USERNAME_TAKEN");
    let closed = World::start_with(|config| config.open_registration = false).await;
    assert_eq!(reason(closed.auth_client().register(request).await), "REGISTRATION_CLOSED");
}

#[tokio::test]
async fn sessions_are_listed_and_ended_one_by_one_and_together() {
    let world = World::start().await;
    let mine = world.register("ada").await;
    let theirs = world.register("bob").await;
    let mut pairs = vec![mine];
    for _ in 0..2 {
        world.clock.advance(std::time::Duration::from_secs(1));
        pairs.push(login(&world, "ada", PASSWORD).await.unwrap());
    }
    let mut client = world.auth_client();
    let newest = &pairs[2].access_token;

    // Two pages: the newest two, then the oldest.
    let page = ListSessionsRequest { page_size: 2, page_token: String::new() };
    let first = client.list_sessions(bearing(newest, page)).await.unwrap().into_inner();
    let page = ListSessionsRequest { page_size: 2, page_token: first.next_page_token };
    let second = client.list_sessions(bearing(newest, page)).await.unwrap().into_inner();
    assert_eq!(second.next_page_token, "");
    let listed: Vec<_> = first.sessions.iter().chain(&second.sessions).collect();
    let ids: Vec<_> = listed.iter().map(|session| &session.session_id).collect();
    assert_eq!(ids, pairs.iter().rev().map(|pair| &pair.session_id).collect::<Vec<_>>());
    assert_eq!(listed.iter().map(|s| s.current).collect::<Vec<_>>(), [true, false, false]);
    assert_eq!((&*listed[0].device_name, &*listed[2].device_name), ("laptop", ""));

    let revoke = |id: &str| {
        let message = RevokeSessionRequest { session_id: id.into() };
        let request = bearing(newest, message);
        let mut client = client.clone();
        async move { client.revoke_session(request).await }
    };
    assert_eq!(reason(revoke(&theirs.session_id).await), "SESSION_NOT_FOUND");
    assert_eq!(reason(revoke("not-a-uuid").await), "FIELD_INVALID");
    revoke(&pairs[0].session_id).await.unwrap();
    revoke(&pairs[0].session_id).await.unwrap();
    assert_eq!(reason(refresh(&world, &pairs[0].refresh_token).await), "SESSION_REVOKED");
    assert_eq!(reason(whoami(&world, &pairs[0].access_token).await), "SESSION_REVOKED");

    let all = bearing(newest, RevokeAllSessionsRequest {});
    assert_eq!(client.revoke_all_sessions(all).await.unwrap().into_inner().revoked_count, 2);
    for pair in &pairs {
        assert_eq!(reason(refresh(&world, &pair.refresh_token).await), "SESSION_REVOKED");
    }
    assert!(refresh(&world, &theirs.refresh_token).await.is_ok());
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_and_keeps_the_callers() {
    let world = World::start().await;
    let caller = world.register("ada").await;
    let other = login(&world, "ada", PASSWORD).await.unwrap();
    let change = async |old: &str, new: &str| {
        let message = ChangePasswordRequest { old_password: old.into(), new_password: new.into() };
        world.auth_client().change_password(bearing(&caller.access_token, message)).await
    };
    assert_eq!(reason(change("wrong", "another good passphrase").await), "INVALID_CREDENTIALS");
    assert_eq!(reason(change(PASSWORD, "password").await), "FIELD_INVALID");
    change(PASSWORD, "another good passphrase").await.unwrap();
    assert_eq!(reason(refresh(&world, &other.refresh_token).await), "SESSION_REVOKED");
    assert!(refresh(&world, &caller.refresh_token).await.is_ok());
    assert_eq!(reason(login(&world, "ada", PASSWORD).await), "INVALID_CREDENTIALS");
    assert!(login(&world, "ada", "another good passphrase").await.is_ok());
}

#[tokio::test]
async fn logout_takes_either_token_of_any_age_and_is_as_good_twice() {
    let world = World::start().await;
    let logout = async |token: &str| {
        world.auth_client().logout(bearing(token, LogoutRequest {})).await.map(drop)
    };
    let by_access = world.register("ada").await;
    logout(&by_access.access_token).await.unwrap();
    logout(&by_access.access_token).await.unwrap();
    assert_eq!(reason(refresh(&world, &by_access.refresh_token).await), "SESSION_REVOKED");

    let spent = login(&world, "ada", PASSWORD).await.unwrap();
    let newest = refresh(&world, &spent.refresh_token).await.unwrap();
    logout(&spent.refresh_token).await.unwrap();
    assert_eq!(reason(refresh(&world, &newest.refresh_token).await), "SESSION_REVOKED");

    let old = login(&world, "ada", PASSWORD).await.unwrap();
    world.clock.advance(std::time::Duration::from_secs(60 * 86_400));
    logout(&old.refresh_token).await.unwrap();
    assert_eq!(reason(logout(&old.access_token).await), "ACCESS_TOKEN_EXPIRED");
    assert_eq!(reason(world.auth_client().logout(LogoutRequest {}).await), "ACCESS_TOKEN_MISSING");
}

#[tokio::test]
async fn the_published_key_has_the_members_of_rfc_8037() {
    let world = World::start().await;
    let answer = world.auth_client().get_jwks(GetJwksRequest {}).await.unwrap().into_inner();
    let [key] = answer.keys.as_slice() else { panic!("one key, not {:?}", answer.keys) };
    assert_eq!((&*key.kty, &*key.crv, &*key.alg, &*key.r#use), ("OKP", "Ed25519", "EdDSA", "sig"));
    assert_eq!(key.x.len(), 43);
    assert!(answer.max_age.unwrap().seconds > 0);
}

#[tokio::test]
async fn the_scheme_has_no_case() {
    let world = World::start().await;
    let tokens = world.register("ada").await;
    let value = format!("bEARER {}", tokens.access_token);
    let request =
        with_metadata(tonic::Request::new(GetCurrentUserRequest {}), "authorization", &value);
    assert!(world.auth_client().get_current_user(request).await.is_ok());
}
