//! The log, and how instances hear of each other.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;

use super::{a_folder, database, server, store, waiting_for_a_lock};
use crate::{
    domain::{
        change::{Change, ChangeKind, ResourceId},
        id::FolderId,
    },
    storage::{
        ChangeKey, ChangeStore as _, FolderStore as _, Store as _,
        postgres::{
            PostgresStore,
            changes::{NUMBER, record},
            lock::{Turn, take_turn},
        },
    },
};

async fn folders_after(store: &PostgresStore, place: &ChangeKey) -> (Vec<FolderId>, ChangeKey) {
    let read = store.changes(None, place, 100).await.unwrap().unwrap();
    let id = |(_, change): (_, Change)| match change.what {
        ResourceId::Folder(id) => id,
        other => panic!("{other:?}"),
    };
    (read.changes.into_iter().map(id).collect(), read.until)
}

#[tokio::test]
async fn what_was_written_first_and_committed_last_is_read_last() {
    let Some(store) = store().await else { return };
    let begin = store.last_change().await.unwrap();
    let (slow, quick) = (a_folder("ada", None, "f"), a_folder("bob", None, "ff"));
    let mut tx = store.begin_as("ada").await.unwrap();
    let change = Change::of_folder(slow.id, "ada", ChangeKind::Created, slow.stamp());
    record(&mut tx, [change]).await.unwrap();
    store.insert_folder(&quick, 5_000).await.unwrap();
    let (read, place) = folders_after(&store, &begin).await;
    assert_eq!(read, [quick.id]);
    store.commit(tx).await.unwrap();
    assert_eq!(folders_after(&store, &place).await.0, [slow.id]);
    assert_eq!(folders_after(&store, &begin).await.0, [quick.id, slow.id]);
}

#[tokio::test]
async fn numbers_are_given_by_one_at_a_time() {
    let Some(store) = store().await else { return };
    let begin = store.last_change().await.unwrap();
    let (first, second) = (a_folder("ada", None, "f"), a_folder("ada", None, "ff"));
    store.insert_folder(&first, 5_000).await.unwrap();
    let mut other = store.begin().await.unwrap();
    take_turn(&mut other, Turn::Log).await.unwrap();
    sqlx::query(NUMBER).bind(10_i64).execute(&mut *other).await.unwrap();
    // Not among those that the other one numbers.
    store.insert_folder(&second, 5_000).await.unwrap();
    let (read, ()) = tokio::join!(folders_after(&store, &begin), async {
        waiting_for_a_lock(&store.pool.now(), 1).await;
        other.commit().await.unwrap();
    });
    assert_eq!(read.0, [first.id, second.id]);
    assert_eq!(read.1.seq, begin.seq + 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_who_read_while_others_write_read_the_same() {
    const WRITERS: usize = 4;
    const EACH: usize = 15;
    let Some(options) = database() else { return };
    let one = PostgresStore::open(options.clone()).await.unwrap();
    let other = PostgresStore::open(options).await.unwrap();
    let begin = one.last_change().await.unwrap();
    let write = async |writer: usize| {
        let store = if writer.is_multiple_of(2) { &one } else { &other };
        for n in 0..EACH {
            let folder = a_folder(&writer.to_string(), None, &"f".repeat(1 + writer * EACH + n));
            store.insert_folder(&folder, 5_000).await.unwrap();
        }
    };
    let read = async |store: &PostgresStore| {
        let (mut found, mut place) = (Vec::new(), begin.clone());
        while found.len() < WRITERS * EACH {
            let read = store.changes(None, &place, 7).await.unwrap().unwrap();
            found.extend(read.changes.into_iter().map(|(key, _)| key));
            place = read.until;
        }
        found
    };
    let (_, first, second, third) = tokio::join!(
        async { tokio::join!(write(0), write(1), write(2), write(3)) },
        read(&one),
        read(&other),
        read(&one)
    );
    assert_eq!(first, second);
    assert_eq!(first, third);
    assert!(first.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
}

#[tokio::test]
async fn what_one_instance_writes_wakes_the_other() {
    let Some(options) = database() else { return };
    let one = PostgresStore::open(options.clone()).await.unwrap();
    let other = PostgresStore::open(options).await.unwrap();
    let mut rings = one.bell();
    // Once it listens, it has missed something, for all that it knows.
    rings.changed().await.unwrap();
    for n in 1..=3 {
        let folder = a_folder("ada", None, &"f".repeat(n));
        other.insert_folder(&folder, 5_000).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_secs(20), rings.changed()).await;
        heard.expect("a notification arrives").unwrap();
    }
}

#[tokio::test]
async fn who_listens_holds_up_nobody_who_closes() {
    let Some(store) = store().await else { return };
    let mut rings = store.bell();
    rings.changed().await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(20), store.close()).await;
    closed.expect("every connection ends");
}

#[tokio::test]
async fn a_place_from_after_the_backup_is_not_in_the_restored_log() {
    let Some((server, name)) = server() else { return };
    let url = server.create_database(&name).unwrap();
    let open =
        async || PostgresStore::open(url.parse::<PgConnectOptions>().unwrap()).await.unwrap();
    let write = async |store: &PostgresStore, name: &str| {
        let folder = a_folder("ada", None, name);
        store.insert_folder(&folder, 5_000).await.unwrap();
        store.last_change().await.unwrap()
    };
    let store = open().await;
    let before = write(&store, "f").await;
    store.close().await;
    let copy = format!("CREATE DATABASE {name}_backup TEMPLATE {name}");
    server.sql("postgres", &copy).unwrap();
    let store = open().await;
    let lost = write(&store, "ff").await;
    assert!(store.changes(None, &lost, 10).await.unwrap().is_some());
    store.close().await;
    server.sql("postgres", &format!("DROP DATABASE {name}")).unwrap();
    let restore = format!("CREATE DATABASE {name} TEMPLATE {name}_backup");
    server.sql("postgres", &restore).unwrap();
    let store = open().await;
    assert_eq!(store.changes(None, &lost, 10).await.unwrap(), None);
    // Another write gets the number of the one that was lost.
    let again = write(&store, "fff").await;
    assert_eq!(again.seq, lost.seq);
    assert_eq!(store.changes(None, &lost, 10).await.unwrap(), None);
    let kept = store.changes(None, &before, 10).await.unwrap().unwrap();
    assert_eq!(kept.until, again);
}
