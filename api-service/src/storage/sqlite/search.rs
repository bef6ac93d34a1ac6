//! Full text, by FTS5.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    folders::down,
    new_trees::insert,
    open::SqliteStore,
    tree_row::TreeRow,
    trees::{self, Tx},
};
use crate::{
    domain::{
        id::{FolderId, TreeId},
        search::{Document, Query, VERSION},
        tree::{Tree, Visibility},
    },
    storage::{Found, SearchKey, SearchStore, StoreError, Tier},
};

#[async_trait]
impl SearchStore for SqliteStore {
    async fn search(
        &self,
        reader: &str,
        query: &Query,
        after: Option<&SearchKey>,
        limit: i64,
    ) -> Result<Vec<Found>, StoreError> {
        let mut found = Vec::new();
        // One snapshot, or a tree could move from one tier to the other between the two.
        let mut tx = self.reads.begin().await?;
        let last = beginning(&mut tx, query.last()).await?;
        for tier in [Tier::Head, Tier::Text] {
            let before = match after {
                Some(after) if after.tier > tier => continue,
                Some(after) if after.tier == tier => after.number,
                _ => i64::MAX,
            };
            let left = limit - i64::try_from(found.len()).unwrap_or(i64::MAX);
            if left <= 0 {
                break;
            }
            let rows: Vec<Row> = sqlx::query_as(FIND)
                .bind(matching(reader, query.whole(), &last, tier))
                .bind(before)
                .bind(reader)
                .bind(left)
                .fetch_all(&mut *tx)
                .await?;
            for row in rows {
                let key = SearchKey { tier, number: row.number };
                found.push(Found { tree: row.tree.try_into()?, key });
            }
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn renew_documents(&self, limit: i64) -> Result<usize, StoreError> {
        let mut tx = self.begin().await?;
        let ids: Vec<Uuid> =
            sqlx::query_scalar(STALE).bind(VERSION).bind(limit).fetch_all(&mut *tx).await?;
        for &id in &ids {
            let tree = trees::whole(&mut tx, TreeId(id)).await?;
            index(&mut tx, &tree, &Document::of(&tree.content)).await?;
        }
        tx.commit().await?;
        Ok(ids.len())
    }
}

/// Makes a tree found by what it is now. One that is deleted is not found, and keeps its number until
/// it is gone.
pub(super) async fn index(tx: &mut Tx, tree: &Tree, document: &Document) -> Result<(), StoreError> {
    let number: i64 =
        sqlx::query_scalar(NUMBER).bind(tree.id.0).bind(VERSION).fetch_one(&mut **tx).await?;
    if tree.deletion.is_some() {
        sqlx::query(ERASE).bind(number).execute(&mut **tx).await?;
        return Ok(());
    }
    sqlx::query(WRITE)
        .bind(number)
        .bind(scope(tree))
        .bind(joined(&document.head))
        .bind(joined(&document.text))
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// [`index`], for trees that were not there before.
pub(super) async fn index_new(
    tx: &mut Tx,
    trees: &[Tree],
    documents: &[Document],
) -> Result<(), StoreError> {
    insert(tx, NEW_NUMBERS, trees, |mut values, tree| {
        values.push_bind(tree.id.0).push_bind(VERSION);
    })
    .await?;
    // A transaction writes alone: numbers are given in the order of the rows, without a gap.
    let last: i64 = sqlx::query_scalar(LAST_NUMBER).fetch_one(&mut **tx).await?;
    let first = last + 1 - i64::try_from(trees.len()).unwrap_or(i64::MAX);
    let rows: Vec<_> = (first..).zip(trees.iter().zip(documents)).collect();
    insert(tx, NEW_ENTRIES, &rows, |mut values, (number, (tree, document))| {
        values
            .push_bind(*number)
            .push_bind(scope(tree))
            .push_bind(joined(&document.head))
            .push_bind(joined(&document.text));
    })
    .await
}

/// Who may find a tree, in words of the index.
fn scope(tree: &Tree) -> String {
    let mut scope = owned_by(&tree.owner_id);
    if tree.content.visibility == Visibility::Shared {
        scope.push(' ');
        scope.push_str(SHARED);
    }
    scope
}

fn joined(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Makes the trees in a folder and all below it not be found any more.
pub(super) async fn unindex_below(tx: &mut Tx, top: FolderId) -> Result<(), StoreError> {
    sqlx::query(ERASE_BELOW).bind(top.0).execute(&mut **tx).await?;
    Ok(())
}

/// The expression of FTS5 for words that begin like this. If they are few, it names them: each is then
/// read from the newest tree on, while all trees with such a beginning would be gathered first.
async fn beginning(tx: &mut Tx, word: &str) -> Result<String, StoreError> {
    // What is shorter is a word of the index itself.
    if word.chars().count() > INDEXED_BEGINNING {
        let words: Vec<String> = sqlx::query_scalar(BEGUN)
            .bind(word)
            .bind(format!("{word}{}", char::MAX))
            .bind(MOST_BEGUN)
            .fetch_all(&mut **tx)
            .await?;
        if (1..=MOST_BEGUN).contains(&words.len().try_into().unwrap_or(i64::MAX)) {
            let words: Vec<_> = words.iter().map(|word| quoted(word)).collect();
            return Ok(format!("({})", words.join(" OR ")));
        }
    }
    Ok(format!("{} *", quoted(word)))
}

/// The expression of FTS5 for one tier. Every word is a string there, so that none is an operator.
fn matching(reader: &str, whole: &[String], last: &str, tier: Tier) -> String {
    let words: Vec<_> = whole.iter().map(|word| quoted(word)).chain([last.to_owned()]).collect();
    let words = words.join(" AND ");
    let scope = format!("{{scope}} : (\"{}\" OR \"{SHARED}\")", owned_by(reader));
    match tier {
        Tier::Head => format!("({scope}) AND ({{head}} : ({words}))"),
        Tier::Text => {
            format!("({scope}) AND (({{head text}} : ({words})) NOT ({{head}} : ({words})))")
        }
    }
}

fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace('"', "\"\""))
}

/// The word by which an owner's trees are found. An owner's id may hold anything, words may not.
fn owned_by(owner: &str) -> String {
    use std::fmt::Write as _;
    owner.bytes().fold(String::from("o"), |mut word, byte| {
        let _ = write!(word, "{byte:02x}");
        word
    })
}

/// How many words may begin like the last one of a query for it to be taken as each of them.
const MOST_BEGUN: i64 = 8;
/// Up to how many characters the index knows what words begin with: the most that its `prefix` says.
const INDEXED_BEGINNING: usize = 3;
/// The word by which shared trees are found.
const SHARED: &str = "shared";

#[derive(FromRow)]
struct Row {
    number: i64,
    #[sqlx(flatten)]
    tree: TreeRow,
}

/// The index knows who may find what; that the tree is asked too costs nothing. The order of the
/// join is fixed, since the planner knows nothing of how much an expression matches.
pub(super) const FIND: &str = "SELECT search_documents.number, trees.* FROM search_index \
     CROSS JOIN search_documents ON search_documents.number = search_index.rowid \
     CROSS JOIN trees ON trees.id = search_documents.tree_id \
     WHERE search_index MATCH $1 AND search_index.rowid < $2 \
     AND (trees.owner_id = $3 OR (trees.visibility = 'shared' AND trees.deleted_at IS NULL)) \
     ORDER BY search_index.rowid DESC LIMIT $4";
/// One more than are wanted: each is found by going on behind the one before it, past all the trees
/// that it is in.
pub(super) const BEGUN: &str = "WITH RECURSIVE begun (term, number) AS ( \
     SELECT (SELECT term FROM search_terms WHERE term >= $1 ORDER BY term LIMIT 1), 1 \
     UNION ALL \
     SELECT (SELECT term FROM search_terms WHERE term >= begun.term || char(1) \
             ORDER BY term LIMIT 1), number + 1 \
     FROM begun WHERE begun.term < $2 AND number <= $3) \
     SELECT term FROM begun WHERE term < $2";
pub(super) const STALE: &str =
    "SELECT tree_id FROM search_documents WHERE version < $1 ORDER BY version, number LIMIT $2";
const NUMBER: &str = "INSERT INTO search_documents (tree_id, version) VALUES ($1, $2) \
     ON CONFLICT (tree_id) DO UPDATE SET version = excluded.version RETURNING number";
const NEW_NUMBERS: &str = "INSERT INTO search_documents (tree_id, version) ";
pub(super) const LAST_NUMBER: &str = "SELECT MAX(number) FROM search_documents";
const NEW_ENTRIES: &str = "INSERT INTO search_index (rowid, scope, head, text) ";
const WRITE: &str =
    "INSERT OR REPLACE INTO search_index (rowid, scope, head, text) VALUES ($1, $2, $3, $4)";
pub(super) const ERASE: &str = "DELETE FROM search_index WHERE rowid = $1";
pub(super) const ERASE_BELOW: &str = concat!(
    down!("$1, 0"),
    "DELETE FROM search_index WHERE rowid IN ( \
     SELECT number FROM down CROSS JOIN trees ON trees.folder_id = down.id \
     CROSS JOIN search_documents ON search_documents.tree_id = trees.id)"
);
