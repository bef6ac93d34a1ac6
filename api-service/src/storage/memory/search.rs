//! Full text, by reading everything.

use async_trait::async_trait;

use super::{
    database::{MemoryStore, Tables, most},
    trees::is_readable,
};
use crate::{
    domain::{
        id::TreeId,
        search::{Document, Query},
    },
    storage::{Found, SearchKey, SearchStore, StoreError, Tier},
};

#[async_trait]
impl SearchStore for MemoryStore {
    async fn search(
        &self,
        reader: &str,
        query: &Query,
        after: Option<&SearchKey>,
        limit: i64,
    ) -> Result<Vec<Found>, StoreError> {
        let tables = self.transaction().await?;
        let mut found: Vec<_> = tables
            .trees
            .values()
            .filter(|tree| tree.deletion.is_none() && is_readable(tree, reader))
            .filter_map(|tree| {
                let tier = tier(&Document::of(&tree.content), query)?;
                let number = *tables.search_numbers.get(&tree.id)?;
                let tree = tree.clone().without_nodes();
                Some(Found { tree, key: SearchKey { tier, number } })
            })
            .filter(|found| after.is_none_or(|after| place(&found.key) > place(after)))
            .collect();
        found.sort_unstable_by_key(|found| place(&found.key));
        found.truncate(most(limit));
        Ok(found)
    }

    async fn renew_documents(&self, _limit: i64) -> Result<usize, StoreError> {
        self.transaction().await.map(|_| 0)
    }
}

impl Tables {
    /// Gives a new tree its number.
    pub(super) fn number(&mut self, id: TreeId) {
        let last = self.search_numbers.values().max().copied().unwrap_or_default();
        self.search_numbers.entry(id).or_insert(last + 1);
    }
}

fn tier(document: &Document, query: &Query) -> Option<Tier> {
    let all = |held: &dyn Fn(&str) -> bool, begun: bool| {
        begun && query.whole().iter().all(|word| held(word))
    };
    let begun = |words: &std::collections::BTreeSet<String>| {
        let last = query.last();
        words.range(last.to_owned()..).next().is_some_and(|word| word.starts_with(last))
    };
    let (head, text) = (&document.head, &document.text);
    if all(&|word| head.contains(word), begun(head)) {
        Some(Tier::Head)
    } else if all(&|word| head.contains(word) || text.contains(word), begun(head) || begun(text)) {
        Some(Tier::Text)
    } else {
        None
    }
}

/// Its place among what was found, which begins with the least.
fn place(key: &SearchKey) -> (Tier, std::cmp::Reverse<i64>) {
    (key.tier, std::cmp::Reverse(key.number))
}
