//! Listens to a source for as long as somebody uses what it says.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use futures_util::StreamExt as _;
use token::entropy::Entropy;
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::{News, Revocation, RevocationSource, RevocationsBuilder, Shared};

/// Follows `source` until nobody holds the [`Revocations`](super::Revocations) any more.
pub(super) async fn follow(
    shared: Weak<Shared>,
    source: Box<dyn RevocationSource>,
    entropy: Arc<dyn Entropy>,
) {
    let mut place = Place::default();
    let mut step = FIRST;
    loop {
        let heard = place.clone();
        let Err(broken) = listen(&shared, &*source, &mut place).await else { return };
        let Some(shared) = shared.upgrade() else { return };
        shared.lost(&broken);
        drop(shared);
        step = if place.news > heard.news { FIRST } else { (step * 2).min(LONGEST) };
        sleep(step / 2 + (step / 2).mul_f64(entropy.unit())).await;
    }
}

/// Where to go on after a break.
#[derive(Clone, Default)]
struct Place {
    cursor: String,
    /// Counts pieces of news.
    news: u64,
}

/// `Ok` when nobody is interested any more.
async fn listen(
    shared: &Weak<Shared>,
    source: &dyn RevocationSource,
    place: &mut Place,
) -> Result<(), Status> {
    let silent = |_| Status::deadline_exceeded("no word of revocations");
    let mut stream = timeout(RevocationsBuilder::SILENCE, source.watch(place.cursor.clone()))
        .await
        .map_err(silent)??;
    let mut snapshot: Option<Vec<Revocation>> = None;
    loop {
        let news = timeout(RevocationsBuilder::SILENCE, stream.next()).await.map_err(silent)?;
        let ended = || Status::unavailable("the stream of revocations has ended");
        let News { snapshot: begins, revocations, cursor } = news.ok_or_else(ended)??;
        let Some(shared) = shared.upgrade() else { return Ok(()) };
        place.news += 1;
        if begins {
            snapshot = Some(Vec::new());
        }
        match &mut snapshot {
            Some(parts) => {
                parts.extend(revocations);
                // Nothing of a snapshot counts before all of it is there.
                if cursor.is_empty() {
                    continue;
                }
                shared.replace(snapshot.take().unwrap_or_default());
            }
            None => shared.add(revocations),
        }
        if !cursor.is_empty() {
            place.cursor = cursor;
        }
    }
}

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);
