//! How each fault is played. Nothing is told here that was not counted.

use std::pin::pin;

use evergreen_proto::api::v1::ListTreesRequest;
use futures_util::future::join_all;
use serde_json::json;
use tonic::Code;

use super::{
    super::stage::{Api, api_at, page_load},
    arena::Arena,
    finding::Finding,
    rivals,
};
use crate::lab::{BusyFront, Failure, LossyProxy};

#[derive(Clone, Copy, Debug)]
pub(super) enum Case {
    BusyOnce,
    Herd,
    LateRefusals,
    LeaderGone,
    LostAnswer,
    RefusedAtOnce,
    RefusedInTurn,
    Rivals,
}

pub(super) async fn play(case: Case, arena: &Arena) -> Result<Finding, Failure> {
    match case {
        Case::BusyOnce => busy_once(arena).await,
        Case::Herd => herd(arena).await,
        Case::LateRefusals => late_refusals(arena).await,
        Case::LeaderGone => leader_gone(arena).await,
        Case::LostAnswer => lost_answer(arena).await,
        Case::RefusedAtOnce => refused_at_once(arena).await,
        Case::RefusedInTurn => refused_in_turn(arena).await,
        Case::Rivals => rivals::play(arena).await,
    }
}

async fn herd(arena: &Arena) -> Result<Finding, Failure> {
    let session = arena.client(arena.stage.auth.url()).await?;
    let api = arena.stage.api_as(&session).await?;
    arena.access_tokens_run_out();
    let failed = at_once(&api, 1_000).await;
    let refreshes = arena.refreshes();
    Ok(Finding {
        shown: format!("{refreshes} / {failed}"),
        figures: json!({ "refreshes": refreshes, "failed": failed }),
        holds: refreshes == 1 && failed == 0,
    })
}

async fn late_refusals(arena: &Arena) -> Result<Finding, Failure> {
    let session = arena.client(arena.stage.auth.url()).await?;
    let slow = LossyProxy::start(arena.stage.api.address).await?;
    let (quick_api, slow_api) =
        (arena.stage.api_as(&session).await?, api_at(slow.url(), &session).await?);
    arena.access_tokens_run_out();
    slow.keep_answers();
    let nine = tokio::spawn(async move { at_once(&slow_api, 9).await });
    arena.stage.api_seen.ended(LIST_TREES, 9).await;
    let first = at_once(&quick_api, 1).await;
    // The refresh has ended, and only now do the nine hear that they were refused.
    let refused = arena.stage.api_seen.count(LIST_TREES, Code::Unauthenticated);
    slow.deliver_answers();
    let failed = first + nine.await?;
    let refreshes = arena.refreshes();
    Ok(Finding {
        shown: refreshes.to_string(),
        figures: json!({ "refreshes": refreshes, "refused": refused, "failed": failed }),
        holds: (refreshes, refused, failed) == (1, 10, 0),
    })
}

async fn lost_answer(arena: &Arena) -> Result<Finding, Failure> {
    let proxy = LossyProxy::start(arena.stage.auth.address).await?;
    let session = arena.client(proxy.url()).await?;
    let api = arena.stage.api_as(&session).await?;
    arena.access_tokens_run_out();
    proxy.lose_answers();
    let page = tokio::spawn(async move { page_load(&api).await });
    // The token is spent, and its successor is on the way to nobody.
    arena.stage.auth_seen.ended(REFRESH, 1).await;
    proxy.mend();
    let failed = failures(&page.await?);
    let attempts = arena.refreshes();
    let kept = arena.goes_on(&session).await?;
    Ok(Finding {
        shown: session_after(failed, kept),
        figures: json!({ "failed": failed, "session_kept": kept, "attempts": attempts }),
        holds: failed == 0 && kept && attempts == 2,
    })
}

async fn leader_gone(arena: &Arena) -> Result<Finding, Failure> {
    let slow = LossyProxy::start(arena.stage.auth.address).await?;
    let session = arena.client(slow.url()).await?;
    let api = arena.stage.api_as(&session).await?;
    arena.access_tokens_run_out();
    slow.keep_answers();
    let leader = tokio::spawn({
        let api = api.clone();
        async move { at_once(&api, 1).await }
    });
    arena.stage.auth_seen.ended(REFRESH, 1).await;
    let mut nine = pin!(at_once(&api, 9));
    // Looked at once, each of them has begun and waits.
    let early = tokio::select! {
        biased;
        failed = &mut nine => Some(failed),
        () = std::future::ready(()) => None,
    };
    leader.abort();
    let gone = leader.await.is_err_and(|error| error.is_cancelled());
    slow.deliver_answers();
    let failed = match early {
        Some(failed) => failed,
        None => nine.await,
    };
    let refreshes = arena.refreshes();
    let kept = arena.goes_on(&session).await?;
    Ok(Finding {
        shown: session_after(failed, kept),
        figures: json!({ "failed": failed, "session_kept": kept, "refreshes": refreshes }),
        holds: gone && early.is_none() && failed == 0 && kept && refreshes == 1,
    })
}

async fn refused_at_once(arena: &Arena) -> Result<Finding, Failure> {
    let session = arena.client(arena.stage.auth.url()).await?;
    let api = arena.refused(&session).await?;
    arena.access_tokens_run_out();
    let failed = at_once(&api, HUNDRED).await;
    let (refreshes, sends) = (arena.refreshes(), sends(arena));
    Ok(Finding {
        shown: format!("{refreshes} / {sends}"),
        figures: json!({ "refreshes": refreshes, "sends": sends, "failed": failed }),
        holds: (1..=WINDOW).contains(&refreshes) && sends <= 2 * HUNDRED && failed == HUNDRED,
    })
}

async fn refused_in_turn(arena: &Arena) -> Result<Finding, Failure> {
    let session = arena.client(arena.stage.auth.url()).await?;
    let api = arena.refused(&session).await?;
    arena.access_tokens_run_out();
    let mut failed = 0;
    for _ in 0..HUNDRED {
        failed += at_once(&api, 1).await;
    }
    let (refreshes, sends) = (arena.refreshes(), sends(arena));
    Ok(Finding {
        shown: refreshes.to_string(),
        figures: json!({ "refreshes": refreshes, "sends": sends, "failed": failed }),
        holds: (1..=WINDOW).contains(&refreshes) && sends <= 2 * HUNDRED && failed == HUNDRED,
    })
}

async fn busy_once(arena: &Arena) -> Result<Finding, Failure> {
    let front = BusyFront::start(arena.stage.auth.url()).await?;
    let session = arena.client(front.url()).await?;
    let api = arena.stage.api_as(&session).await?;
    arena.access_tokens_run_out();
    front.refuse(1);
    let failed = failures(&page_load(&api).await);
    let (answered, refreshes) = (1 - front.left_to_refuse(), arena.refreshes());
    let kept = arena.goes_on(&session).await?;
    Ok(Finding {
        shown: session_after(failed, kept),
        figures: json!({
            "failed": failed, "session_kept": kept, "answered_503": answered,
            "refreshes": refreshes,
        }),
        holds: failed == 0 && kept && (answered, refreshes) == (1, 1),
    })
}

/// Makes `calls` calls at once, and tells how many of them fail.
async fn at_once(api: &Api, calls: usize) -> usize {
    let calls = (0..calls).map(|_| {
        let mut api = api.clone();
        async move { api.list_trees(ListTreesRequest::default()).await }
    });
    failures(&join_all(calls).await)
}

fn failures<T, E>(answers: &[Result<T, E>]) -> usize {
    answers.iter().filter(|answer| answer.is_err()).count()
}

/// How many calls have reached the server that refuses everybody.
fn sends(arena: &Arena) -> usize {
    arena.refusing_seen.count(LIST_TREES, Code::Unauthenticated)
}

fn session_after(failed: usize, kept: bool) -> String {
    format!("{failed} / {}", if kept { "kept" } else { "lost" })
}

const LIST_TREES: &str = "ListTrees";
const REFRESH: &str = "Refresh";
const HUNDRED: usize = 100;
/// As many refreshes in vain are made in 30 s, longer than a case takes that does not hang.
const WINDOW: usize = 5;
