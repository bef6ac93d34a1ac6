//! What is found by its words.

use super::{RETENTION, World, minute_of_test, nodes};
use crate::{
    domain::{
        etag::Etag,
        folder::MOST_TREES,
        search::Query,
        tree::{Deletion, Tree, Visibility},
    },
    storage::{SearchKey, StoreError, Tier},
};

impl World {
    /// Everything that a reader finds.
    async fn found(&self, reader: &str, query: &str) -> Vec<String> {
        let found = self.pages(reader, query, 100).await;
        found.into_iter().map(|(_, title)| title).collect()
    }

    async fn pages(&self, reader: &str, query: &str, limit: i64) -> Vec<(Tier, String)> {
        let query = Query::parse("query", query).unwrap();
        let (mut all, mut after) = (Vec::new(), None::<SearchKey>);
        loop {
            let page = self.store.search(reader, &query, after.as_ref(), limit).await.unwrap();
            assert!(page.len() <= usize::try_from(limit).unwrap());
            let Some(last) = page.last() else { return all };
            after = Some(last.key.clone());
            for found in page {
                assert!(found.tree.content.nodes.as_slice().is_empty());
                all.push((found.key.tier, found.tree.content.title));
            }
            assert!(all.len() < 1_000, "the search does not come to an end");
        }
    }

    async fn titled(&self, owner: &str, title: &str, change: impl FnOnce(&mut Tree)) -> Tree {
        self.tree(owner, 0, |tree| {
            tree.content.title = title.into();
            change(tree);
        })
        .await
    }

    async fn rewrite(&self, tree: &mut Tree, change: impl FnOnce(&mut Tree)) {
        let seen = std::mem::replace(&mut tree.etag, Etag::new(self.entropy()));
        change(tree);
        self.store.update_tree(tree, &seen).await.unwrap();
    }
}

pub(in crate::storage) async fn a_tree_is_found_by_all_its_words(world: World) {
    world
        .titled("ada", "Réseau lent", |tree| {
            tree.content.tags = vec!["Wi-Fi".into()];
            tree.content.description = "Depuis l'ÉTÉ".into();
            tree.content.nodes = nodes(3);
        })
        .await;
    for query in ["reseau", "RÉSEAU lent", "fi wi", "l ete", "step 2 lent", "b a", "lent réseau 1"]
    {
        assert_eq!(world.found("ada", query).await, ["Réseau lent"], "{query}");
    }
    for query in ["reseaux", "reseau rapide", "eseau", "lent 3", "n0", "ada", "shared"] {
        assert_eq!(world.found("ada", query).await, [""; 0], "{query}");
    }
}

pub(in crate::storage) async fn the_last_word_counts_by_its_beginning(world: World) {
    let long = "x".repeat(80);
    world.titled("ada", &format!("printer {long}"), |_| {}).await;
    world.titled("ada", "print", |_| {}).await;
    for (query, count) in [
        ("p", 2),
        ("print", 2),
        ("printe", 1),
        ("print p", 1),
        ("printer p", 1),
        ("p print", 0),
        // As far as words are told apart.
        (&*"x".repeat(64), 1),
        (&*"x".repeat(100), 1),
    ] {
        assert_eq!(world.found("ada", query).await.len(), count, "{query}");
    }
}

pub(in crate::storage) async fn words_that_begin_alike_are_all_found(world: World) {
    for n in 0..12 {
        world.titled("ada", &format!("modem{n:02}é"), |_| {}).await;
    }
    world.titled("eve", "modems", |_| {}).await;
    for (query, count) in
        [("mode", 12), ("modem", 12), ("modem0", 10), ("modem1", 2), ("modem00E", 1), ("modem2", 0)]
    {
        assert_eq!(world.found("ada", query).await.len(), count, "{query}");
        assert_eq!(world.found("ada", &format!("12 {query}")).await.len(), 0, "{query}");
    }
}

pub(in crate::storage) async fn what_is_rare_is_found_below_much_that_is_newer(world: World) {
    world.titled("ada", "old cable", |_| {}).await;
    world.titled("ada", "new", |tree| tree.content.description = "cable".into()).await;
    let newer: Vec<_> = (0..1_100).map(|_| world.a_tree("ada", 1)).collect();
    world.store.import_trees(&newer, None).await.unwrap();
    let expected = [(Tier::Head, "old cable".to_owned()), (Tier::Text, "new".to_owned())];
    for query in ["cab", "cabl", "cable"] {
        for limit in [1, 2, 3] {
            assert_eq!(world.pages("ada", query, limit).await, expected, "{query} {limit}");
        }
    }
}

pub(in crate::storage) async fn trees_found_by_title_and_tags_come_first(world: World) {
    world.titled("ada", "vpn wifi 1", |_| {}).await;
    world.titled("ada", "vpn 2", |t| t.content.description = "wifi".into()).await;
    world.titled("ada", "vpn 3", |t| t.content.tags = vec!["wifi".into()]).await;
    world
        .titled("ada", "4", |t| {
            t.content.description = "vpn".into();
            t.content.tags = vec!["wifi".into()];
        })
        .await;
    // In both, which does not make it come twice.
    world.titled("ada", "vpn wifi 5", |t| t.content.description = "vpn wifi".into()).await;
    let expected = ["vpn wifi 5", "vpn 3", "vpn wifi 1", "4", "vpn 2"];
    assert_eq!(world.found("ada", "wifi vpn").await, expected);
    for limit in 1..6 {
        let (tiers, titles): (Vec<_>, Vec<_>) =
            world.pages("ada", "wifi vpn", limit).await.into_iter().unzip();
        assert_eq!(titles, expected, "{limit} at a time");
        let (head, text) = (Tier::Head, Tier::Text);
        assert_eq!(tiers, [head, head, head, text, text]);
    }
}

pub(in crate::storage) async fn only_what_one_may_read_is_found(world: World) {
    let shared = |tree: &mut Tree| tree.content.visibility = Visibility::Shared;
    world.titled("ada", "vpn of ada", |_| {}).await;
    let mut lent = world.titled("ada", "vpn by ada", shared).await;
    // An owner whose name is another's beginning, and one whose name is a word of the index's own.
    world.titled("ad", "vpn of ad", |_| {}).await;
    world.titled("shared", "vpn of shared", |_| {}).await;
    assert_eq!(world.found("ada", "vpn").await, ["vpn by ada", "vpn of ada"]);
    assert_eq!(world.found("ad", "vpn").await, ["vpn of ad", "vpn by ada"]);
    assert_eq!(world.found("eve", "vpn").await, ["vpn by ada"]);
    for odd in ["", "*", "\" OR \"shared", "a b"] {
        assert_eq!(world.found(odd, "vpn").await, ["vpn by ada"], "{odd}");
    }
    world.rewrite(&mut lent, |tree| tree.content.visibility = Visibility::Private).await;
    assert_eq!(world.found("eve", "vpn").await, [""; 0]);
    assert_eq!(world.found("ada", "vpn").await, ["vpn by ada", "vpn of ada"]);
    world.rewrite(&mut lent, shared).await;
    assert_eq!(world.found("eve", "vpn").await, ["vpn by ada"]);
}

pub(in crate::storage) async fn what_was_changed_is_found_as_it_is_now(world: World) {
    let mut first = world.titled("ada", "vpn old", |_| {}).await;
    world.titled("ada", "vpn", |_| {}).await;
    world.rewrite(&mut first, |tree| tree.content.title = "vpn new".into()).await;
    assert_eq!(world.found("ada", "old").await, [""; 0]);
    assert_eq!(world.found("ada", "new").await, ["vpn new"]);
    // It is as old as it was.
    assert_eq!(world.found("ada", "vpn").await, ["vpn", "vpn new"]);
    // Refused, so nothing of it is found.
    let mut stale = first.clone();
    stale.content.title = "stale".into();
    let written = world.store.update_tree(&stale, &Etag("stale".into())).await;
    assert!(matches!(written, Err(StoreError::EtagMismatch)));
    assert_eq!(world.found("ada", "stale").await, [""; 0]);
    assert_eq!(world.store.renew_documents(10).await.unwrap(), 0);
}

pub(in crate::storage) async fn what_is_deleted_is_not_found_until_it_is_back(world: World) {
    let shared = |tree: &mut Tree| tree.content.visibility = Visibility::Shared;
    let first = world.titled("ada", "vpn 1", shared).await;
    world.titled("ada", "vpn 2", shared).await;
    let deleted = world.delete(&first, 1).await;
    for reader in ["ada", "eve"] {
        assert_eq!(world.found(reader, "vpn").await, ["vpn 2"]);
    }
    assert_eq!(world.store.renew_documents(10).await.unwrap(), 0);
    let undeleted = |tree: Tree, etag| tree.undeleted(etag, minute_of_test(2));
    world.write(&deleted, undeleted).await.unwrap();
    // It is as old as it was.
    assert_eq!(world.found("eve", "vpn").await, ["vpn 2", "vpn 1"]);
    let chain = world.chain("ada", "ab").await;
    for folder in &chain {
        let folder = Some(folder.id);
        world.titled("ada", "vpn filed", |tree| tree.content.folder_id = folder).await;
    }
    assert_eq!(world.found("ada", "vpn").await.len(), 4);
    let deletion = Deletion::new(minute_of_test(3), RETENTION);
    let (top, etag) = (chain[0].id, world.etag());
    world.store.delete_subtree(top, "ada", None, deletion, &etag, MOST_TREES).await.unwrap();
    assert_eq!(world.found("ada", "vpn").await, ["vpn 2", "vpn 1"]);
    assert_eq!(world.store.purge(minute_of_test(3) + RETENTION, 10).await.unwrap(), 2);
    assert_eq!(world.found("ada", "vpn").await, ["vpn 2", "vpn 1"]);
    // Numbers go to new trees, and what they stood for does not come back with them.
    world.titled("ada", "new", |_| {}).await;
    assert_eq!(world.found("ada", "vpn").await, ["vpn 2", "vpn 1"]);
}

pub(in crate::storage) async fn a_search_goes_on_where_it_was(world: World) {
    let in_text = |tree: &mut Tree| {
        tree.content.description = std::mem::replace(&mut tree.content.title, "other".into());
    };
    for i in 0..6 {
        world.titled("ada", &format!("vpn {i}"), |_| {}).await;
        world.titled("ada", &format!("vpn {i}"), in_text).await;
    }
    let query = Query::parse("query", "vpn").unwrap();
    for limit in [1, 2, 5, 7] {
        let (mut numbers, mut after) = (Vec::new(), None::<SearchKey>);
        loop {
            let page = world.store.search("ada", &query, after.as_ref(), limit).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.key.clone());
            numbers.extend(page.iter().map(|found| (found.key.tier, -found.key.number)));
            assert!(numbers.len() < 1_000, "the search does not come to an end");
            // Newer ones belong before every page to come, within their tier; those of the tier
            // that is still to come are found there.
            if after.as_ref().is_some_and(|after| after.tier == Tier::Text) {
                world.titled("ada", "vpn new", in_text).await;
            }
            world.titled("ada", "vpn new", |_| {}).await;
        }
        assert!(numbers.is_sorted() && numbers.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(numbers.len() >= 12, "{limit} at a time");
    }
}

pub(in crate::storage) async fn hostile_queries_find_words_alone(world: World) {
    world.titled("ada", "a or b", |_| {}).await;
    world.titled("ada", "near x", |_| {}).await;
    world.titled("ada", "שלום عالم", |_| {}).await;
    for (query, found) in [
        ("a OR b", &["a or b"][..]),
        ("NEAR(x", &["near x"]),
        ("\"near", &["near x"]),
        ("near* AND x*", &[]),
        ("head : near", &[]),
        ("NOT near", &[]),
        ("a' OR 'b", &["a or b"]),
        ("-x ^near +", &["near x"]),
        ("🌲 a or 🌲 b 🌲", &["a or b"]),
        ("\u{202e}שלום עאל", &[]),
        ("\u{202e}שלום عال", &["שלום عالم"]),
        ("{scope} : shared", &[]),
        ("rowid", &[]),
        (&*"a ".repeat(16), &["a or b"]),
        (&*"\"*(".repeat(166), &[]),
        (&*"z".repeat(500), &[]),
    ] {
        match Query::parse("query", query) {
            Ok(_) => assert_eq!(world.found("ada", query).await, found, "{query}"),
            Err(_) => assert!(found.is_empty(), "{query}"),
        }
    }
}
