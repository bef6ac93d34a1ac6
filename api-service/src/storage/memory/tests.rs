//! The contract, and what outlives a server.

use std::sync::Arc;

use token::{clock::Timestamp, entropy::SeededEntropy};

use super::{MemoryDatabase, MemoryStore};
use crate::{
    domain::{
        category::{Category, Content},
        etag::Etag,
        id::CategoryId,
    },
    storage::{
        CategoryStore as _, Store as _, StoreError,
        contract::{Opened, contract},
    },
};

mod agreement;

async fn open() -> Opened {
    Some((Arc::new(MemoryStore::open(&MemoryDatabase::default())), Box::new(())))
}

contract!(open);

fn a_category() -> Category {
    let entropy = SeededEntropy::new(1);
    let content = Content {
        name: "Name".into(),
        slug: "slug".into(),
        description: String::new(),
        position: 0,
    };
    Category {
        id: CategoryId::new(Timestamp::UNIX_EPOCH, &entropy),
        content,
        etag: Etag::new(&entropy),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn what_was_written_outlives_a_store_that_is_closed_or_dropped() {
    let memory = MemoryDatabase::default();
    let category = a_category();
    let (first, other) = (MemoryStore::open(&memory), MemoryStore::open(&memory.clone()));
    assert_eq!(first.page_token_key([1; 32]).await.unwrap(), [1; 32]);
    first.insert_category(&category).await.unwrap();
    first.close().await;
    let closed = first.category(category.id).await;
    assert!(matches!(closed, Err(StoreError::Unavailable(_))), "{closed:?}");
    assert_eq!(other.category(category.id).await.unwrap(), category);
    drop((first, other));
    let again = MemoryStore::open(&memory);
    assert_eq!(again.category(category.id).await.unwrap(), category);
    assert_eq!(again.page_token_key([2; 32]).await.unwrap(), [1; 32]);
}

#[tokio::test]
async fn an_id_that_is_taken_overwrites_nothing() {
    let store = MemoryStore::open(&MemoryDatabase::default());
    let category = a_category();
    store.insert_category(&category).await.unwrap();
    let mut other = category.clone();
    other.content.slug = "other".into();
    let again = store.insert_category(&other).await;
    assert!(matches!(again, Err(StoreError::Internal(_))), "{again:?}");
    assert_eq!(store.category(category.id).await.unwrap(), category);
}

#[tokio::test]
async fn a_transaction_that_is_dropped_before_its_turn_did_nothing() {
    let store = MemoryStore::open(&MemoryDatabase::default());
    let category = a_category();
    tokio::select! {
        biased;
        _ = store.insert_category(&category) => panic!("it gave nobody a turn"),
        () = std::future::ready(()) => {}
    }
    let read = store.category(category.id).await;
    assert!(matches!(read, Err(StoreError::CategoryNotFound)), "{read:?}");
}
