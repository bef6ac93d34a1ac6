//! What every use case has at hand.

use std::{sync::Arc, time::Duration};

use token::{clock::Clock, entropy::Entropy};
use transport::{metrics::Metrics, page_token::PageTokens};

use super::{changes::Feed, error::AppError};
use crate::{
    domain::{
        caller::Caller,
        change::Stamp,
        page::{Listed, Page, PageRequest},
        policy::Action,
    },
    storage::{Store, StoreError},
};

/// The use cases.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) page_tokens: PageTokens,
    /// How long a deleted tree can be brought back.
    pub(super) deleted_retention: Duration,
    pub(super) feed: Arc<Feed>,
}

impl App {
    pub(crate) async fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        deleted_retention: Duration,
    ) -> Result<Self, StoreError> {
        // Whatever was written before trees were searched, or searched as they are now.
        while store.renew_documents(DOCUMENTS_AT_ONCE).await? > 0 {}
        let key = store.page_token_key(entropy.array()).await?;
        let (page_tokens, feed) = (PageTokens::new(&key), Arc::new(Feed::new()));
        Ok(Self { store, clock, entropy, page_tokens, feed, deleted_retention })
    }

    /// Whether the storage answers.
    pub(crate) async fn storage_answers(&self) -> bool {
        self.store.answers().await.is_ok()
    }

    /// Tells what there is to measure, whenever it is asked for.
    pub(crate) fn measure(&self, metrics: &Metrics) {
        self.store.measure(metrics);
        self.feed.measure(metrics);
    }

    /// Ends all use of the storage.
    pub(crate) async fn close(&self) {
        self.store.close().await;
    }

    /// Refuses a caller to whom the action is not open at all.
    pub(super) fn allow(caller: &Caller, action: Action) -> Result<(), AppError> {
        if action.open_to(caller.role) { Ok(()) } else { Err(AppError::Denied) }
    }

    /// Of a write that leaves nothing behind.
    pub(super) fn stamp(&self) -> Stamp {
        Stamp::new(self.clock.now(), &*self.entropy)
    }

    /// The page that `items` make, of which there are more than the page holds if another page
    /// follows. `scope` is what the token of that page is good for.
    pub(super) fn page<T: Listed, K: serde::Serialize>(
        &self,
        scope: &impl serde::Serialize,
        request: &PageRequest,
        mut items: Vec<T>,
        key: impl FnOnce(&T) -> K,
    ) -> Page<T> {
        let held = request.holds(&items);
        let more = items.len() > held;
        items.truncate(held);
        let last = items.last().filter(|_| more);
        let next_token =
            last.map(|last| self.page_tokens.seal(scope, &key(last))).unwrap_or_default();
        Page { items, next_token }
    }
}

/// How many documents are made in one transaction at the start.
const DOCUMENTS_AT_ONCE: i64 = 100;

/// How often an update that overwrites whatever is there begins again because others wrote first.
pub(super) const TRIES: usize = 16;
