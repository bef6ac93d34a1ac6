//! Full text, by words that are made before they come here.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::FromRow;
use uuid::Uuid;

use super::{
    lock::{Turn, take_turn},
    open::PostgresStore,
    retry::retrying,
    tree_row::TreeRow,
    trees::{self, Tx},
};
use crate::{
    domain::{
        id::TreeId,
        search::{Document, Query, VERSION},
        tree::{Tree, Visibility},
    },
    storage::{Found, SearchKey, SearchStore, StoreError, Tier, rows::tree_columns},
};

#[async_trait]
impl SearchStore for PostgresStore {
    async fn search(
        &self,
        reader: &str,
        query: &Query,
        after: Option<&SearchKey>,
        limit: i64,
    ) -> Result<Vec<Found>, StoreError> {
        let matching = matching(reader, query);
        let mut found = Vec::new();
        // One snapshot, or a tree could move from one tier to the other between the two.
        let mut tx = self.begin_snapshot().await?;
        for (tier, newest, all) in
            [(Tier::Head, NEWEST_BY_HEAD, ALL_BY_HEAD), (Tier::Text, NEWEST_BY_TEXT, ALL_BY_TEXT)]
        {
            let before = match after {
                Some(after) if after.tier > tier => continue,
                Some(after) if after.tier == tier => after.number,
                _ => i64::MAX,
            };
            let left = limit - i64::try_from(found.len()).unwrap_or(i64::MAX);
            if left <= 0 {
                break;
            }
            let mut find = async |sql: &'static str, among: i64| -> Result<Vec<Row>, sqlx::Error> {
                let find = sqlx::query_as(sql).bind(&matching).bind(before).bind(reader).bind(left);
                find.bind(among).fetch_all(&mut *tx).await
            };
            let full = |rows: &[Row], page| i64::try_from(rows.len()).is_ok_and(|n| n >= page);
            let mut rows = find(newest, NEWEST).await?;
            if !full(&rows, left) && full(&rows, left.div_euclid(10).max(1)) {
                rows = find(newest, 20 * NEWEST).await?;
            }
            if !full(&rows, left) {
                rows = find(all, i64::MAX).await?;
            }
            for row in rows {
                let key = SearchKey { tier, number: row.number };
                found.push(Found { tree: row.tree.try_into()?, key });
            }
        }
        tx.commit().await?;
        Ok(found)
    }

    async fn renew_documents(&self, limit: i64) -> Result<usize, StoreError> {
        retrying(&self.pool, async || {
            let mut tx = self.begin().await?;
            // Instances that start at once take turns, and each sees what is left.
            take_turn(&mut tx, Turn::Documents).await?;
            let ids: Vec<Uuid> =
                sqlx::query_scalar(STALE).bind(VERSION).bind(limit).fetch_all(&mut *tx).await?;
            for &id in &ids {
                // As of now that its document is held: who changes the tree meanwhile writes the
                // document after this has.
                let tree = trees::whole(&mut tx, TreeId(id)).await?;
                index(&mut tx, &tree, &Document::of(&tree.content)).await?;
            }
            tx.commit().await?;
            Ok(ids.len())
        })
        .await
    }
}

/// Makes a tree found by what it is now. One that is deleted is not found, and keeps its number until
/// it is gone.
pub(super) async fn index(tx: &mut Tx, tree: &Tree, document: &Document) -> Result<(), StoreError> {
    let (head, words) = match &tree.deletion {
        Some(_) => (Vec::new(), Vec::new()),
        None => entry(tree, document),
    };
    sqlx::query(WRITE)
        .bind(tree.id.0)
        .bind(VERSION)
        .bind(head)
        .bind(words)
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
    let (mut ids, mut owners) = (Vec::new(), Vec::new());
    let (mut heads, mut all) = (Vec::new(), Vec::new());
    for (tree, document) in trees.iter().zip(documents) {
        let (mut head, mut words) = entry(tree, document);
        // First of both comes the owner, whose id may hold a space, as no word does.
        owners.push(head.remove(0));
        words.remove(0);
        ids.push(tree.id.0);
        heads.push(head.join(" "));
        all.push(words.join(" "));
    }
    sqlx::query(NEW_ENTRIES)
        .bind(ids)
        .bind(VERSION)
        .bind(owners)
        .bind(heads)
        .bind(all)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// By which words a tree is found: in title and tags, and anywhere.
fn entry(tree: &Tree, document: &Document) -> (Vec<String>, Vec<String>) {
    let owner = owned_by(&tree.owner_id);
    let (head, words) = match tree.content.visibility {
        Visibility::Private => document_of(&[&owner], document),
        Visibility::Shared => document_of(&[&owner, SHARED], document),
    };
    let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    (owned(head), owned(words))
}

/// Makes trees not be found any more.
pub(super) async fn unindex(tx: &mut Tx, trees: &[Uuid]) -> Result<(), StoreError> {
    sqlx::query(ERASE).bind(trees).execute(&mut **tx).await?;
    Ok(())
}

/// The words of title and tags, and all words.
fn document_of<'a>(scope: &[&'a str], document: &'a Document) -> (Vec<&'a str>, Vec<&'a str>) {
    let head = fitting(scope, &[&document.head]);
    (head, fitting(scope, &[&document.head, &document.text]))
}

/// As many words as one vector holds, which is fewer than a tree can have only if it is written to
/// have many.
fn fitting<'a>(scope: &[&'a str], words: &[&'a BTreeSet<String>]) -> Vec<&'a str> {
    /// A little below the engine's own limit.
    const MOST_BYTES: usize = 1_000_000;
    let words = words.iter().flat_map(|words| words.iter().map(String::as_str));
    let mut bytes = 0;
    scope
        .iter()
        .copied()
        .chain(words)
        .take_while(|word| {
            // Each takes its place at an even address.
            bytes += word.len() + 1;
            bytes <= MOST_BYTES
        })
        .collect()
}

/// What a vector must match. Every word is quoted, so that none is an operator.
fn matching(reader: &str, query: &Query) -> String {
    let whole = query.whole().iter().map(|word| quoted(word));
    let words: Vec<_> = whole.chain([format!("{}:*", quoted(query.last()))]).collect();
    format!("({} | {}) & {}", quoted(&owned_by(reader)), quoted(SHARED), words.join(" & "))
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\\', "\\\\").replace('\'', "''"))
}

/// The word by which an owner's trees are found: it begins as no word of a text does.
fn owned_by(owner: &str) -> String {
    format!("={owner}")
}

/// Among how many of the newest trees a page is looked for first. Where a tenth of it is found, it is
/// looked for among twenty times as many: that ends where the page is full.
const NEWEST: i64 = 1_000;
/// The word by which shared trees are found.
const SHARED: &str = "*";

#[derive(FromRow)]
struct Row {
    number: i64,
    #[sqlx(flatten)]
    tree: TreeRow,
}

/// The index knows who may find what; that the tree is asked too costs nothing.
macro_rules! visible {
    () => {
        " AND (owner_id = $3 OR visibility = 'shared') AND deleted_at IS NULL"
    };
}
/// The page, if it is full, among the newest documents: those that hold common words are met there soon.
/// How many hold which is left to no estimate: of a word's beginning the engine knows little, and would
/// read on and on for one that is rare.
macro_rules! newest {
    ($matching:literal) => {
        concat!(
            "SELECT number, ",
            tree_columns!(),
            " FROM (SELECT number, tree_id, head, words FROM search_documents WHERE number < $2 \
                    ORDER BY number DESC LIMIT $5) AS newest \
             JOIN trees ON trees.id = newest.tree_id WHERE ",
            $matching,
            visible!(),
            " ORDER BY number DESC LIMIT $4"
        )
    };
}
/// The page from all documents. Words that are not common are looked up, and what holds them is gathered
/// whole.
macro_rules! all {
    ($matching:literal) => {
        concat!(
            "WITH matched AS MATERIALIZED ( \
               SELECT number, tree_id FROM search_documents WHERE ",
            $matching,
            " AND number < $2) SELECT number, ",
            tree_columns!(),
            " FROM (SELECT number, tree_id FROM matched ORDER BY number DESC \
                    LIMIT least($4, $5)) AS page \
             JOIN trees ON trees.id = page.tree_id WHERE true",
            visible!(),
            " ORDER BY number DESC"
        )
    };
}
pub(super) const NEWEST_BY_HEAD: &str = newest!("head @@ $1::text::tsquery");
pub(super) const NEWEST_BY_TEXT: &str =
    newest!("words @@ $1::text::tsquery AND NOT head @@ $1::text::tsquery");
pub(super) const ALL_BY_HEAD: &str = all!("head @@ $1::text::tsquery");
pub(super) const ALL_BY_TEXT: &str =
    all!("words @@ $1::text::tsquery AND NOT head @@ $1::text::tsquery");
pub(super) const STALE: &str = "SELECT tree_id FROM search_documents WHERE version < $1 \
     ORDER BY version, number LIMIT $2 FOR UPDATE";
/// In the order of the trees, which their numbers follow.
const NEW_ENTRIES: &str = "INSERT INTO search_documents (tree_id, version, head, words) \
     SELECT tree_id, $2, array_to_tsvector(owner || string_to_array(head, ' ')), \
            array_to_tsvector(owner || string_to_array(words, ' ')) \
     FROM unnest($1::uuid[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY \
       AS written (tree_id, owner, head, words, place) \
     ORDER BY place";
const WRITE: &str = "INSERT INTO search_documents (tree_id, version, head, words) \
     VALUES ($1, $2, array_to_tsvector($3::text[]), array_to_tsvector($4::text[])) \
     ON CONFLICT (tree_id) DO UPDATE \
     SET version = excluded.version, head = excluded.head, words = excluded.words";
pub(super) const ERASE: &str =
    "UPDATE search_documents SET head = '', words = '' WHERE tree_id = ANY($1)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_an_operator() {
        let query = Query::parse("query", "a b").unwrap();
        assert_eq!(matching("it's \\ | x", &query), r"('=it''s \\ | x' | '*') & 'a' & 'b':*");
    }

    #[test]
    fn no_more_words_are_kept_than_a_vector_holds() {
        let many: BTreeSet<_> = (0..50_000).map(|n| format!("{n:040}")).collect();
        let kept = fitting(&["=ada"], &[&many]);
        assert_eq!(kept[0], "=ada");
        assert_eq!(kept.len(), 1 + (1_000_000 - 5) / 41);
        let few = BTreeSet::from(["a".to_owned()]);
        assert_eq!(fitting(&[], &[&few, &few]), ["a", "a"]);
    }
}
