//! The story, chapter by chapter. Nothing is printed here that was not measured.

use client_sdk::{Event, Session};
use evergreen_proto::{
    api::v1::ListTreesRequest,
    auth::v1::{RefreshRequest, RevokeSessionRequest, TokenPair},
};
use tokio::{task::JoinSet, time::Instant};
use tonic::{Request, Status};
use transport::status::reason_of;

use super::{
    claims::{Chapter, Claim, Tally},
    stage::{Stage, page_load, tally},
    timeline::Timeline,
};
use crate::{
    errors::Error,
    lab::{Failure, LossyProxy},
};

/// Plays every chapter, and shows each as soon as it has been played.
pub(super) async fn tell(
    stage: &Stage,
    show: impl Fn(&Chapter) -> Result<(), Error>,
) -> Result<Vec<Chapter>, Failure> {
    let mut told = Vec::new();
    let mut add = |chapter: Chapter| {
        show(&chapter)?;
        told.push(chapter);
        Ok::<_, Error>(())
    };
    // Three clients log in and go idle together, until their access tokens have run out.
    let url = stage.auth.url();
    let unaware = stage.client(url.clone(), false).await?;
    let aware = stage.client(url.clone(), true).await?;
    let crowd = stage.client(url, false).await?;
    for session in [&unaware, &aware, &crowd] {
        for answer in page_load(&stage.api_as(session).await?).await {
            answer?;
        }
    }
    stage.idle().await;

    let expected = Tally { calls: 3, refused: 3, refreshes: 1, replays: 3, errors: 0 };
    let title = "A client that cannot know that its access token ran out";
    add(three_at_once(stage, &unaware, title, expected).await?)?;
    let expected = Tally { calls: 3, refused: 0, refreshes: 1, replays: 0, errors: 0 };
    let title = "The same as the SDK does it by default: it knows, and refreshes first";
    add(three_at_once(stage, &aware, title, expected).await?)?;
    add(a_thousand_at_once(stage, &crowd).await?)?;
    add(a_lost_answer(stage).await?)?;
    add(a_stolen_token(stage).await?)?;
    add(a_revoked_session(stage).await?)?;
    Ok(told)
}

async fn three_at_once(
    stage: &Stage,
    session: &Session,
    title: &'static str,
    expected: Tally,
) -> Result<Chapter, Failure> {
    let api = stage.api_as(session).await?;
    stage.curtain();
    let start = Instant::now();
    let answers = page_load(&api).await;
    let errors = answers.iter().filter(|answer| answer.is_err()).count();
    let data: Vec<usize> = answers.into_iter().map(Result::unwrap_or_default).collect();
    let (auth, seen) = stage.seen();
    let counted = tally(3, errors, &auth, &seen);
    Ok(Chapter {
        title,
        scene: vec![
            "After idling, a page load asks for trees, folders and categories at once.".into(),
        ],
        timeline: Timeline::new(start, &auth, &seen),
        claims: vec![
            Claim::new(counted.to_string(), counted == expected),
            Claim::new(
                format!(
                    "the user sees {} trees, {} folders, {} categories",
                    data[0], data[1], data[2]
                ),
                data.iter().all(|count| *count > 0),
            ),
        ],
    })
}

async fn a_thousand_at_once(stage: &Stage, session: &Session) -> Result<Chapter, Failure> {
    const CALLS: usize = 1_000;
    let api = stage.api_as(session).await?;
    stage.curtain();
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let mut api = api.clone();
        calls.spawn(async move { api.list_trees(ListTreesRequest::default()).await.map(drop) });
    }
    let outcomes = calls.join_all().await;
    let errors = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let (auth, seen) = stage.seen();
    let counted = tally(CALLS, errors, &auth, &seen);
    let one_refresh = counted.refreshes == 1 && errors == 0 && counted.refused == counted.replays;
    Ok(Chapter {
        title: "A thousand calls at once",
        scene: vec!["The same client, unaware that its token ran out, under load.".into()],
        timeline: Timeline::new(start, &auth, &seen),
        claims: vec![Claim::new(counted.to_string(), one_refresh)],
    })
}

async fn a_lost_answer(stage: &Stage) -> Result<Chapter, Failure> {
    let proxy = LossyProxy::start(stage.auth.address).await?;
    let session = stage.client(proxy.url(), true).await?;
    stage.curtain();
    let start = Instant::now();
    proxy.lose_answers();
    let refresh = tokio::spawn({
        let session = session.clone();
        async move { session.refresh().await }
    });
    // The server has rotated, and its answer is on the way to nobody.
    stage.auth_seen.ended("Refresh", 1).await;
    proxy.mend();
    let refreshed = refresh.await?;
    let api = stage.api_as(&session).await?;
    let errors = page_load(&api).await.iter().filter(|answer| answer.is_err()).count();
    let (auth, seen) = stage.seen();
    let attempts = auth.iter().filter(|seen| seen.method == "Refresh").count();
    Ok(Chapter {
        title: "An answer is lost",
        scene: vec![
            "The token is spent at the server, and the connection breaks before the answer.".into(),
            "The client repeats the attempt under the same key, and gets the same successor."
                .into(),
        ],
        timeline: Timeline::new(start, &auth, &seen),
        claims: vec![
            Claim::new(
                format!("the attempt arrived {attempts} times, and the refresh succeeded"),
                attempts == 2 && refreshed.is_ok(),
            ),
            Claim::new(format!("the session goes on: {errors} errors"), errors == 0),
        ],
    })
}

async fn a_stolen_token(stage: &Stage) -> Result<Chapter, Failure> {
    let session = stage.client(stage.auth.url(), true).await?;
    let stolen = stage.log_in().await?;
    session.set_tokens(stolen.clone()).await?;
    let mut events = session.events();
    stage.curtain();
    let start = Instant::now();
    let thief = refresh_bare(stage, &stolen.refresh_token).await;
    let owner = session.refresh().await;
    let thief_again = match &thief {
        Ok(pair) => refresh_bare(stage, &pair.refresh_token).await.err(),
        Err(_) => None,
    };
    let (auth, seen) = stage.seen();
    let told = thief_again.and_then(|status| reason_of(&status)).unwrap_or_default();
    let signed_out = std::iter::from_fn(|| events.try_recv())
        .filter(|event| matches!(event, Event::SignedOut { .. }))
        .count();
    let reason = owner.as_ref().err().map(ToString::to_string).unwrap_or_default();
    Ok(Chapter {
        title: "A refresh token is stolen",
        scene: vec![
            "A thief spends the owner's token first. The owner's next refresh exposes him:".into(),
            "the owner is told that the token is spent, reads the store again, finds nothing"
                .into(),
            "newer, says so, and the session is revoked under the thief.".into(),
        ],
        timeline: Timeline::new(start, &auth, &seen),
        claims: vec![
            Claim::new(
                format!("the theft is noticed ({reason})"),
                reason.contains("REFRESH_TOKEN_REUSED"),
            ),
            Claim::new(
                format!("the thief's newest token is worth nothing ({told})"),
                told == "SESSION_REVOKED",
            ),
            Claim::new(
                format!("the owner is told to log in again ({signed_out} event)"),
                signed_out == 1,
            ),
        ],
    })
}

async fn a_revoked_session(stage: &Stage) -> Result<Chapter, Failure> {
    let phone = stage.client(stage.auth.url(), true).await?;
    let lost_laptop = stage.client(stage.auth.url(), true).await?;
    let session_id = lost_laptop.verify().await?.session_id;
    let mut events = lost_laptop.events();
    stage.curtain();
    let start = Instant::now();
    let mut auth_stub = evergreen_proto::auth::v1::auth_service_client::AuthServiceClient::new(
        phone.auth_channel()?,
    );
    auth_stub.revoke_session(RevokeSessionRequest { session_id }).await?;
    let refused = lost_laptop.refresh().await;
    let still_fine = phone.refresh().await;
    let (auth, seen) = stage.seen();
    let reason = refused.as_ref().err().map(ToString::to_string).unwrap_or_default();
    let signed_out = std::iter::from_fn(|| events.try_recv())
        .filter(|event| matches!(event, Event::SignedOut { .. }))
        .count();
    Ok(Chapter {
        title: "A session is revoked",
        scene: vec!["From the phone, the user ends the session of a lost laptop.".into()],
        timeline: Timeline::new(start, &auth, &seen),
        claims: vec![
            Claim::new(
                format!("the laptop is signed out ({reason})"),
                reason.contains("SESSION_REVOKED") && signed_out == 1,
            ),
            Claim::new("the phone goes on", still_fine.is_ok()),
        ],
    })
}

/// What somebody does who has a refresh token and no SDK.
async fn refresh_bare(stage: &Stage, refresh_token: &str) -> Result<TokenPair, Status> {
    let mut request = Request::new(RefreshRequest {});
    let value = format!("Bearer {refresh_token}")
        .parse()
        .map_err(|_| Status::internal("a token that cannot stand in metadata"))?;
    request.metadata_mut().insert("authorization", value);
    let mut stub = stage.auth_stub().map_err(|error| Status::internal(error.to_string()))?;
    let answer = stub.refresh(request).await?.into_inner();
    answer.tokens.ok_or_else(|| Status::internal("Refresh answered without tokens"))
}
