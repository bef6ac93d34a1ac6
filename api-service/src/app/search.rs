//! Search.

use super::{context::App, error::AppError};
use crate::{
    domain::{
        caller::Caller,
        page::{Page, PageRequest},
        policy::Action,
        search::{Query, Snippet, snippet},
        tree::Tree,
    },
    storage::{Found, SearchKey, StoreError, Tier},
};

/// A tree that was found, and where.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    /// Without its nodes.
    pub(crate) tree: Tree,
    pub(crate) snippet: Snippet,
}

impl App {
    pub(crate) async fn search_trees(
        &self,
        caller: &Caller,
        query: &Query,
        page: &PageRequest,
    ) -> Result<Page<Hit>, AppError> {
        Self::allow(caller, Action::ReadTrees)?;
        let reader = &caller.user_id;
        let scope = ("SearchTrees", reader, query.whole(), query.last());
        let after = self.page_tokens.open(&scope, &page.token)?.map(|(in_text, number)| {
            let tier = if in_text { Tier::Text } else { Tier::Head };
            SearchKey { tier, number }
        });
        let found = self.store.search(reader, query, after.as_ref(), page.size.with_next()).await?;
        let page = self.page(&scope, page, found, |found: &Found| {
            (found.key.tier == Tier::Text, found.key.number)
        });
        let mut items = Vec::with_capacity(page.items.len());
        for found in page.items {
            let snippet = match found.key.tier {
                Tier::Head => snippet(&found.tree.content, query),
                // Nodes are read one tree at a time, since a page of them may be large.
                Tier::Text => match self.store.tree(found.tree.id, reader).await {
                    Ok(whole) => snippet(&whole.content, query),
                    // Gone since it was found.
                    Err(StoreError::TreeNotFound) => continue,
                    Err(error) => return Err(error.into()),
                },
            };
            items.push(Hit { tree: found.tree.seen_by(reader), snippet });
        }
        Ok(Page { items, next_token: page.next_token })
    }
}
