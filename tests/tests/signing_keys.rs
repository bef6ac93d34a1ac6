//! Signing keys are rotated while clients call.

#![expect(clippy::unwrap_used, reason = "a test panics on what it did not expect")]

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use client_sdk::{Reauth, Session};
use evergreen_proto::{
    api::v1::{ListTreesRequest, api_service_client::ApiServiceClient},
    auth::v1::{
        GetCurrentUserRequest, GetJwksRequest, ListSigningKeysRequest, LoginRequest,
        RefreshRequest, RotateSigningKeyRequest, SigningKey, signing_key::State,
    },
};
use tests::{
    PASSWORD, World, auth_client_of, bearing, chance::Chance, channel, login, process::AuthProgram,
    reason,
};
use token::{
    KeySet, PublicKey, Verifier,
    clock::{Clock as _, Timestamp},
};
use tokio::task::JoinSet;
use tonic::{Code, Status, transport::Channel};
use tower::Layer as _;

/// Callers who do not pause.
struct Load {
    stop: Arc<AtomicBool>,
    callers: JoinSet<Vec<Status>>,
}

impl Load {
    fn start(world: &World, sessions: &[&Session]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for session in sessions.iter().flat_map(|session| [session; CALLERS]) {
            let channel = session.layer().layer(channel(world.api.address));
            callers.spawn(call(ApiServiceClient::new(channel), Arc::clone(&stop)));
        }
        Self { stop, callers }
    }

    /// What failed.
    async fn stop(self) -> Vec<Status> {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.join_all().await.concat()
    }
}

async fn call(mut api: ApiServiceClient<Reauth<Channel>>, stop: Arc<AtomicBool>) -> Vec<Status> {
    let mut failed = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        failed.extend(api.list_trees(ListTreesRequest::default()).await.err());
    }
    failed
}

/// Waits until every caller has begun and ended a call since now, and gives back what ApiService
/// answered since the last time with another code than OK.
async fn all_have_called(world: &World, callers: usize) -> Vec<Code> {
    let seen = world.api_seen.take();
    // What is under way now, and half as much again from each.
    world.api_seen.ended("ListTrees", callers * 3).await;
    seen.iter().map(|seen| seen.code).filter(|code| *code != Code::Ok).collect()
}

async fn session(world: &World, username: &str) -> Session {
    world.register(username).await;
    // It never refreshes of its own accord, so each refresh is one that a refusal has caused or that
    // the test has asked for.
    let session = Session::builder(world.auth.url()).proactive(false).connect().await.unwrap();
    session.login(username, PASSWORD).await.unwrap();
    session
}

/// A verifier that goes by what it was told for as long as it may, whatever a token names.
struct Patient {
    keys: KeySet,
    due: Timestamp,
}

impl Patient {
    async fn verify(&mut self, world: &World, token: &str) {
        let now = world.clock.now();
        if now >= self.due {
            let answer = world.auth_client().get_jwks(GetJwksRequest {}).await.unwrap();
            let answer = answer.into_inner();
            let keys = answer.keys.iter().map(|key| PublicKey::from_jwk(&key.kid, &key.x).unwrap());
            self.keys = keys.collect();
            self.due = now + Duration::try_from(answer.max_age.unwrap()).unwrap();
        }
        Verifier::new("evergreen", "evergreen").verify(token, &self.keys, now).unwrap();
    }
}

/// The names of the published keys.
async fn published(world: &World) -> BTreeSet<String> {
    let answer = world.auth_client().get_jwks(GetJwksRequest {}).await.unwrap().into_inner();
    answer.keys.into_iter().map(|key| key.kid).collect()
}

async fn rotate(world: &World, token: &str) -> SigningKey {
    withdraw(world, token, "").await.unwrap()
}

async fn withdraw(world: &World, token: &str, known: &str) -> Result<SigningKey, Status> {
    let request = bearing(token, RotateSigningKeyRequest { compromised_kid: known.into() });
    let answer = world.admin_client().rotate_signing_key(request).await?;
    Ok(answer.into_inner().key.unwrap())
}

async fn list(world: &World, token: &str) -> Vec<(String, State)> {
    let request = bearing(token, ListSigningKeysRequest {});
    let answer = world.admin_client().list_signing_keys(request).await.unwrap();
    answer.into_inner().keys.into_iter().map(|key| (key.kid.clone(), key.state())).collect()
}

/// Fault 51.
///
/// One session renews its token whenever the clock moves, so that what a new key signs is shown to
/// ApiService at once; so does a client of a verifier that never asks out of turn. The other keeps its token nearly to the end, so that what an old key signed
/// is shown for as long as it is good.
#[tokio::test(flavor = "multi_thread")]
async fn rotations_under_load_fail_no_call_and_no_token_is_refused() {
    let chance = Chance::from_env();
    println!("EVERGREEN_SEED={}", chance.seed);
    let world = World::start_with(|config| {
        config.access_token_ttl = Duration::from_secs(120);
        config.jwks_max_age = Duration::from_secs(30);
        config.signing_key_life = Duration::from_secs(70);
    })
    .await;
    let (eager, lazy) = (session(&world, "eager").await, session(&world, "lazy").await);
    let mut bare = world.register("bare").await;
    let mut patient = Patient { keys: KeySet::default(), due: world.clock.now() };
    let load = Load::start(&world, &[&eager, &lazy]);
    let (mut seen, mut now) = (published(&world).await, BTreeSet::new());
    let (mut passed, mut kept, mut refreshes) = (0, 0, 0);
    while passed < 480 {
        let seconds = 1 + chance.below(4);
        world.clock.advance(Duration::from_secs(seconds));
        (passed, kept) = (passed + seconds, kept + seconds);
        // Whoever asks for keys sees those of now: what is due is done first.
        now = published(&world).await;
        seen.extend(now.iter().cloned());
        eager.refresh().await.unwrap();
        let request = bearing(&bare.refresh_token, RefreshRequest {});
        bare = world.auth_client().refresh(request).await.unwrap().into_inner().tokens.unwrap();
        patient.verify(&world, &bare.access_token).await;
        refreshes += 2;
        // It may be 4 s later when the clock moves next.
        if kept >= 114 {
            lazy.refresh().await.unwrap();
            (kept, refreshes) = (0, refreshes + 1);
        }
        assert_eq!(all_have_called(&world, 2 * CALLERS).await, [], "after {passed} s");
    }
    let failed = load.stop().await;
    assert!(failed.is_empty(), "{failed:?}");
    let refused = world.api_seen.take().iter().filter(|seen| seen.code != Code::Ok).count();
    assert_eq!(refused, 0);
    // Nobody has refreshed for a refusal's sake.
    assert_eq!(world.auth_seen.count("Refresh", Code::Ok), refreshes);
    // Each key signs for 70 s, and for up to 9 s more, since that is how late it may be seen that its
    // time is over. Only those of the last minutes are left.
    assert!(seen.len() > 6, "{seen:?}");
    assert!((3..=5).contains(&now.len()), "{now:?}");
}

/// Fault 51, the key that is known to others.
#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_keys_tokens_are_refused_and_the_clients_do_not_notice() {
    let world = World::start().await.with_admin("root").await;
    let session = session(&world, "ada").await;
    let stolen = world.register("bob").await.access_token;
    let admin = login(&world, "root").await.access_token;
    let load = Load::start(&world, &[&session]);
    all_have_called(&world, CALLERS).await;
    let whoami = |token: &str| {
        let request = bearing(token, GetCurrentUserRequest {});
        let mut client = world.auth_client();
        async move { client.get_current_user(request).await }
    };
    let mut api = world.api_client();
    let trees = async |token: &str, api: &mut ApiServiceClient<Channel>| {
        api.list_trees(bearing(token, ListTreesRequest::default())).await
    };
    trees(&stolen, &mut api).await.unwrap();

    let [(known, State::Active)] = &list(&world, &admin).await[..] else { panic!("one key") };
    let waiting = rotate(&world, &admin).await;
    // Events of one instant have no order.
    world.clock.advance(Duration::from_secs(1));
    let signs = withdraw(&world, &admin, known).await.unwrap();
    assert_eq!(signs.state(), State::Active);
    assert!(signs.kid != *known && signs.kid != waiting.kid);
    assert_eq!(published(&world).await, BTreeSet::from([signs.kid.clone()]));
    // AuthService itself refuses its tokens from now on, an administrator's too.
    assert_eq!(reason(whoami(&stolen).await), "ACCESS_TOKEN_INVALID");
    let admin = login(&world, "root").await.access_token;
    // The answer was lost, so it is asked for again: the new key stays, and so do its tokens.
    for gone in [known, &waiting.kid] {
        assert_eq!(withdraw(&world, &admin, gone).await.unwrap().kid, signs.kid);
    }
    let unknown = withdraw(&world, &admin, "unknown").await;
    assert_eq!(unknown.as_ref().unwrap_err().code(), Code::NotFound);
    assert_eq!(reason(unknown), "SIGNING_KEY_NOT_FOUND");
    assert_eq!(list(&world, &admin).await, [(signs.kid, State::Active)]);

    // Others may have kept the keys, for as long as they were told.
    world.clock.advance(Duration::from_secs(300));
    all_have_called(&world, CALLERS).await;
    assert_eq!(reason(trees(&stolen, &mut api).await), "ACCESS_TOKEN_INVALID");
    all_have_called(&world, CALLERS).await;
    let failed = load.stop().await;
    assert!(failed.is_empty(), "{failed:?}");
    assert_eq!(world.auth_seen.count("Refresh", Code::Ok), 1, "one for all who were refused");

    let events = world.audit_events().await;
    let told: Vec<_> = events
        .iter()
        .filter(|event| event.kind.starts_with("signing"))
        .map(|event| (event.kind, event.detail.as_str(), event.actor.as_deref().unwrap()))
        .collect();
    let [(_, _, by), _] = told[..] else { panic!("{told:?}") };
    assert!(by.starts_with("user:"), "{by}");
    let made = ("signing_key_made", waiting.kid.as_str(), by);
    assert_eq!(told, [("signing_key_compromised", known.as_str(), by), made]);
}

#[tokio::test]
async fn a_rotation_that_is_asked_for_waits_until_verifiers_know_the_key() {
    let world = World::start().await.with_admin("root").await;
    let admin = login(&world, "root").await.access_token;
    let [(first, State::Active)] = &list(&world, &admin).await[..] else { panic!("one key") };
    let next = rotate(&world, &admin).await;
    assert_eq!(next.state(), State::Next);
    // Asking again starts no other one.
    assert_eq!(rotate(&world, &admin).await.kid, next.kid);
    let waiting = [(next.kid.clone(), State::Next), (first.clone(), State::Active)];
    let as_set = |keys: &[(String, State)]| keys.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(as_set(&list(&world, &admin).await), as_set(&waiting));

    // For 300 s a verifier may keep what it was told, and a little longer for whoever is slow.
    world.clock.advance(Duration::from_secs(300));
    published(&world).await;
    assert_eq!(as_set(&list(&world, &admin).await), as_set(&waiting));
    world.clock.advance(Duration::from_secs(30));
    published(&world).await;
    let promoted = [(next.kid, State::Active), (first.clone(), State::Retired)];
    assert_eq!(as_set(&list(&world, &admin).await), as_set(&promoted));
    let editor = world.register("ada").await.access_token;
    let request = bearing(&editor, RotateSigningKeyRequest { compromised_kid: first.clone() });
    let refused = world.admin_client().rotate_signing_key(request).await;
    assert_eq!(reason(refused), "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_key_that_one_instance_withdraws_is_withdrawn_by_the_other() {
    let Some(world) = World::on_postgres().await else { return };
    let world = world.with_admin("root").await;
    let other = world.another_auth(|_| {}).await;
    let told_by_other = async || {
        let answer = auth_client_of(&other).get_jwks(GetJwksRequest {}).await.unwrap();
        answer.into_inner().keys.into_iter().map(|key| key.kid).collect::<BTreeSet<_>>()
    };
    let stolen = login(&world, "root").await.access_token;
    assert_eq!(told_by_other().await, published(&world).await);
    let known = published(&world).await.pop_first().unwrap();
    let signs = withdraw(&world, &stolen, &known).await.unwrap().kid;
    // It reads the keys again in time, and before it tells them.
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(told_by_other().await, BTreeSet::from([signs]));
    let request = bearing(&stolen, GetCurrentUserRequest {});
    let refused = auth_client_of(&other).get_current_user(request).await;
    assert_eq!(reason(refused), "ACCESS_TOKEN_INVALID");
    // And signs with the key that both know.
    let request = LoginRequest {
        username: "root".into(),
        password: PASSWORD.into(),
        ..LoginRequest::default()
    };
    let tokens = auth_client_of(&other).login(request).await.unwrap().into_inner().tokens.unwrap();
    assert_eq!(list(&world, &tokens.access_token).await.len(), 1);
}

#[tokio::test]
async fn an_operator_rotates_keys_while_the_service_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let program = AuthProgram::in_dir(dir.path()).await;
    let states = async || {
        let printed = program.run(&["keys", "list"]).await;
        let mut words = printed
            .lines()
            .map(|line| line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(words.next().unwrap(), ["KEY", "STATE"]);
        words.map(|words| (words[1].clone(), words[0].clone())).collect::<BTreeSet<_>>()
    };
    let first = states().await;
    assert_eq!(first.len(), 1);
    let printed = program.run(&["keys", "rotate"]).await;
    assert!(printed.contains("signs next"), "{printed}");
    let both: Vec<_> = states().await.into_iter().map(|(state, _)| state).collect();
    assert_eq!(both, ["active", "next"]);
    let known = first.into_iter().next().unwrap().1;
    let printed = program.run(&["keys", "rotate", "--compromised", &known]).await;
    let kid = printed.strip_suffix(" signs now\n").unwrap().to_owned();
    // Once more changes nothing.
    assert_eq!(program.run(&["keys", "rotate", "--compromised", &known]).await, printed);
    assert_eq!(states().await, BTreeSet::from([("active".to_owned(), kid)]));
    let unknown = program.command(&["keys", "rotate", "--compromised", "x"]).await.unwrap_err();
    assert!(unknown.contains("no signing key"), "{unknown}");
    let audit = program.run(&["audit"]).await;
    let told: Vec<_> = audit.lines().filter(|line| line.contains("signing_key_comp")).collect();
    assert_eq!(told.len(), 1, "{audit}");
    assert!(told[0].contains(&known) && told[0].contains(" operator "), "{audit}");
}

const CALLERS: usize = 4;
