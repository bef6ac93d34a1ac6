//! A file that an earlier version made.

use sqlx::{ConnectOptions as _, Connection as _, sqlite::SqliteConnectOptions};
use token::clock::Timestamp;
use uuid::Uuid;

use crate::{
    domain::{
        etag::Etag,
        id::TreeId,
        node::{Node, NodeKind, Nodes},
        revision::Revision,
        tree::{Content, Status, Tree, Visibility},
    },
    storage::{
        RevisionStore as _, SubtreeStore as _, TreeStore as _,
        sqlite::{SqliteStore, open::MIGRATIONS},
    },
};

#[tokio::test]
async fn trees_of_before_revisions_read_as_they_did() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("api.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut before = options.foreign_keys(true).connect().await.unwrap();
    MIGRATIONS.run_to(1, &mut before).await.unwrap();
    let (full, empty) = (TreeId(Uuid::from_u128(1)), TreeId(Uuid::from_u128(2)));
    for id in [full, empty] {
        sqlx::query(
            "INSERT INTO trees (id, owner_id, title, description, status, visibility, tags, etag, \
             created_at, updated_at) \
             VALUES ($1, 'ada', 't', 'd', 'published', 'shared', '[\"x\"]', 'e', 5, 7)",
        )
        .bind(id.0)
        .execute(&mut before)
        .await
        .unwrap();
    }
    let node = |id: &str, parent: Option<&str>, kind, position| Node {
        node_id: id.into(),
        parent_id: parent.map(Into::into),
        kind,
        title: "\"Ü\" \\ 🌲".into(),
        body: "a\n\tb".into(),
        position,
    };
    // Neither the order of the names nor that of the positions.
    let nodes = vec![
        node("z", Some("m"), NodeKind::Solution, 1),
        node("m", None, NodeKind::Question, i32::MIN),
        node("a", Some("z"), NodeKind::Action, 0),
    ];
    // Nor that in which rows are stored.
    for (ordinal, node) in nodes.iter().enumerate().rev() {
        sqlx::query(
            "INSERT INTO tree_nodes (tree_id, ordinal, node_id, parent_id, kind, title, body, \
             position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(full.0)
        .bind(i64::try_from(ordinal).unwrap())
        .bind(&node.node_id)
        .bind(&node.parent_id)
        .bind(format!("{:?}", node.kind).to_lowercase())
        .bind(&node.title)
        .bind(&node.body)
        .bind(node.position)
        .execute(&mut before)
        .await
        .unwrap();
    }
    before.close().await.unwrap();

    let store = SqliteStore::open(&file).await.unwrap();
    for (id, nodes) in [(full, nodes), (empty, Vec::new())] {
        let content = Content {
            title: "t".into(),
            description: "d".into(),
            status: Status::Published,
            visibility: Visibility::Shared,
            tags: vec!["x".into()],
            nodes: Nodes::parse("", nodes).unwrap(),
            ..Content::default()
        };
        let at = Timestamp::from_unix_millis;
        let made = Tree::new(id, "ada".into(), content, Etag("e".into()), at(5));
        let expected = Tree { updated_at: at(7), ..made };
        assert_eq!(store.tree(id, "eve").await.unwrap(), expected);
        let (_, kept) = store.revision(id, "eve", 1).await.unwrap();
        assert_eq!(kept, Some(Revision::of(&expected)));
    }
}

#[tokio::test]
async fn folders_of_before_they_were_counted_know_how_many_trees_they_hold() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("api.db");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let mut before = options.foreign_keys(true).connect().await.unwrap();
    MIGRATIONS.run_to(5, &mut before).await.unwrap();
    let folders = [1, 2].map(Uuid::from_u128);
    for folder in folders {
        sqlx::query(
            "INSERT INTO folders (id, owner_id, name, position, etag, created_at, updated_at) \
             VALUES ($1, 'ada', hex($1), 0, 'e', 0, 0)",
        )
        .bind(folder)
        .execute(&mut before)
        .await
        .unwrap();
    }
    for (id, folder) in [(3, Some(folders[0])), (4, Some(folders[0])), (5, None)] {
        sqlx::query(
            "INSERT INTO trees (id, owner_id, title, description, folder_id, status, visibility, \
             tags, etag, created_at, updated_at) \
             VALUES ($1, 'ada', 't', 'd', $2, 'draft', 'private', '[]', 'e', 0, 0)",
        )
        .bind(Uuid::from_u128(id))
        .bind(folder)
        .execute(&mut before)
        .await
        .unwrap();
    }
    before.close().await.unwrap();

    let store = SqliteStore::open(&file).await.unwrap();
    let entries = store.subtree("ada", None).await.unwrap();
    let counts: Vec<_> =
        entries.iter().map(|entry| (entry.folder.id.0, entry.tree_count)).collect();
    assert_eq!(counts, [(folders[0], 2), (folders[1], 0)]);
}
