//! The log.

use super::{RETENTION, World, minute_of_test, nodes};
use crate::{
    domain::{
        change::{Change, ChangeKind, Resource, ResourceId},
        etag::Etag,
        folder::{MOST, MOST_TREES},
        tree::{Deletion, Tree, Visibility},
    },
    storage::{ChangeKey, Target},
};

const ALL: i64 = 1_000;

impl World {
    async fn log(&self, reader: Option<&str>, after: &ChangeKey) -> Vec<(ChangeKey, Change)> {
        self.store.changes(reader, after, ALL).await.unwrap().unwrap().changes
    }

    /// A handful of everything, in this order.
    async fn some_writes(&self) {
        let mut category = self.category("c", 0).await.unwrap();
        let mut folder = self.folder("ada", None, "f").await;
        let mut tree = self.tree("ada", 0, |_| {}).await;
        for visibility in [Visibility::Shared, Visibility::Shared, Visibility::Private] {
            let seen = std::mem::replace(&mut tree.etag, Etag::new(self.entropy()));
            tree.content.visibility = visibility;
            self.store.update_tree(&tree, &seen).await.unwrap();
        }
        let seen = std::mem::replace(&mut folder.etag, Etag::new(self.entropy()));
        self.store.update_folder(&folder, &seen).await.unwrap();
        let seen = std::mem::replace(&mut category.etag, Etag::new(self.entropy()));
        self.store.update_category(&category, &seen).await.unwrap();
        let shared = self.tree("bob", 1, |t| t.content.visibility = Visibility::Shared).await;
        self.delete(&shared, 2).await;
        self.delete(&tree, 2).await;
        self.store.delete_folder(folder.id, "ada", None, self.stamp()).await.unwrap();
        self.store.delete_category(category.id, None, self.stamp()).await.unwrap();
    }
}

fn letter(kind: ChangeKind) -> char {
    match kind {
        ChangeKind::Created => '+',
        ChangeKind::Updated => '~',
        ChangeKind::Deleted => '-',
    }
}

/// What each change is to a reader: the thing and what became of it.
fn seen(log: &[(ChangeKey, Change)], reader: &str) -> String {
    let one = |(_, change): &(ChangeKey, Change)| {
        let kind = letter(change.to(reader)?);
        let thing = match change.what {
            ResourceId::Category(_) => 'c',
            ResourceId::Folder(_) => 'f',
            ResourceId::Tree(_) => 't',
        };
        Some(format!("{kind}{thing}"))
    };
    log.iter().filter_map(one).collect::<Vec<_>>().join(" ")
}

pub(in crate::storage) async fn each_write_is_logged_in_its_order(world: World) {
    let begin = world.store.last_change().await.unwrap();
    assert_eq!(world.log(None, &begin).await, []);
    world.some_writes().await;
    let log = world.log(None, &begin).await;
    assert_eq!(log.len(), 13);
    assert!(log.windows(2).all(|pair| pair[0].0.seq < pair[1].0.seq));
    assert!(log.iter().all(|(key, change)| key.mark == change.stamp.mark.0));
    assert_eq!(seen(&log, "ada"), "+c +f +t ~t ~t ~t ~f ~c +t -t -t -f -c");
    assert_eq!(seen(&log, "bob"), "+c +t ~t -t ~c +t -t -c");
    assert_eq!(seen(&log, "eve"), "+c +t ~t -t ~c +t -t -c");
    assert_eq!(world.store.last_change().await.unwrap(), log.last().unwrap().0);
    // What is there no more is not found, and what is there is.
    for (_, change) in &log {
        assert_eq!(world.store.resource(change.what).await.unwrap(), None);
    }
    let tree = world.tree("ada", 2, |t| t.content.nodes = nodes(2)).await;
    let found = world.store.resource(ResourceId::Tree(tree.id)).await.unwrap();
    assert_eq!(found, Some(Resource::Tree(tree.without_nodes())));
    let folder = world.folder("ada", None, "g").await;
    let found = world.store.resource(ResourceId::Folder(folder.id)).await.unwrap();
    assert_eq!(found, Some(Resource::Folder(folder)));
    let category = world.category("d", 0).await.unwrap();
    let found = world.store.resource(ResourceId::Category(category.id)).await.unwrap();
    assert_eq!(found, Some(Resource::Category(category)));
}

pub(in crate::storage) async fn what_goes_with_something_else_is_logged_too(world: World) {
    let chain = world.chain("ada", "ab").await;
    let (from, into) = (world.category("a", 0).await, world.category("b", 0).await);
    let (from, into) = (from.unwrap(), into.unwrap());
    let shared = |tree: &mut Tree| tree.content.visibility = Visibility::Shared;
    world.tree("ada", 0, |t| t.content.folder_id = Some(chain[0].id)).await;
    let filed = world
        .tree("ada", 1, |t| {
            shared(t);
            t.content.folder_id = Some(chain[1].id);
        })
        .await;
    let gone = world.tree("ada", 2, |t| t.content.category_id = Some(from.id)).await;
    let gone = world.delete(&gone, 3).await;
    world.tree("bob", 3, |t| t.content.category_id = Some(from.id)).await;
    let begin = world.store.last_change().await.unwrap();
    let deletion = Deletion::new(minute_of_test(3), RETENTION);
    let (top, fresh) = (chain[0].id, world.etag());
    world.store.delete_subtree(top, "ada", None, deletion, &fresh, MOST_TREES).await.unwrap();
    let log = world.log(None, &begin).await;
    assert_eq!(seen(&log, "ada"), "-t -t -f -f");
    assert_eq!(seen(&log, "eve"), "-t");
    assert_eq!(log.iter().filter(|(_, change)| change.shared.is_some()).count(), 1);
    assert!(log.iter().any(|(_, change)| change.what == ResourceId::Tree(filed.id)));
    let begin = world.store.last_change().await.unwrap();
    let target = Target { id: into.id, etag: world.etag(), now: minute_of_test(4) };
    world.store.merge_category(from.id, None, &target, 10).await.unwrap();
    let log = world.log(None, &begin).await;
    // What is deleted moves too, which is nothing to anybody until it comes back.
    assert_eq!(seen(&log, "bob"), "~t -c");
    assert_eq!(seen(&log, "ada"), "-c");
    let begin = world.store.last_change().await.unwrap();
    let gone = world.store.tree(gone.id, "ada").await.unwrap();
    let undeleted = |tree: Tree, etag| tree.undeleted(etag, minute_of_test(5));
    world.write(&gone, undeleted).await.unwrap();
    assert_eq!(seen(&world.log(None, &begin).await, "ada"), "+t");
    let begin = world.store.last_change().await.unwrap();
    // Nobody found what is purged.
    assert_eq!(world.store.purge(minute_of_test(9) + RETENTION, 10).await.unwrap(), 2);
    assert_eq!(world.store.last_change().await.unwrap(), begin);
}

pub(in crate::storage) async fn what_was_refused_is_not_logged(world: World) {
    let tree = world.tree("ada", 0, |_| {}).await;
    let folder = world.folder("ada", None, "f").await;
    let category = world.category("c", 0).await.unwrap();
    let end = world.store.last_change().await.unwrap();
    let stale = Etag("stale".into());
    let stamp = || world.stamp();
    world.store.update_tree(&tree, &stale).await.unwrap_err();
    world.store.insert_folder(&world.a_folder("ada", None, "f"), MOST).await.unwrap_err();
    let deletion = Deletion::new(minute_of_test(1), RETENTION);
    let refused =
        world.store.delete_subtree(folder.id, "eve", None, deletion, &stale, MOST_TREES).await;
    refused.unwrap_err();
    world.store.update_folder(&folder, &stale).await.unwrap_err();
    world.store.delete_folder(folder.id, "eve", None, stamp()).await.unwrap_err();
    world.category("c", 0).await.unwrap_err();
    world.store.update_category(&category, &stale).await.unwrap_err();
    world.store.delete_category(category.id, Some(&stale), stamp()).await.unwrap_err();
    assert_eq!(world.store.last_change().await.unwrap(), end);
}

pub(in crate::storage) async fn one_reads_what_concerns_one_from_any_place(world: World) {
    let begin = world.store.last_change().await.unwrap();
    world.some_writes().await;
    let whole = world.log(None, &begin).await;
    for reader in ["ada", "bob", "eve", ""] {
        let places = [&begin].into_iter().chain(whole.iter().map(|(key, _)| key));
        for (i, place) in places.enumerate() {
            let rest = whole[i..].iter().filter(|(_, change)| change.to(reader).is_some());
            let rest: Vec<_> = rest.cloned().collect();
            assert_eq!(world.log(Some(reader), place).await, rest, "{reader} from {i}");
        }
        for limit in [1, 2, 5] {
            let (mut found, mut place) = (Vec::new(), begin.clone());
            loop {
                let read = world.store.changes(Some(reader), &place, limit).await.unwrap().unwrap();
                let count = i64::try_from(read.changes.len()).unwrap();
                assert!(count <= limit);
                found.extend(read.changes);
                place = read.until;
                if count < limit {
                    break;
                }
                assert_eq!(Some(&place), found.last().map(|(key, _)| key));
            }
            assert_eq!(seen(&found, reader), seen(&whole, reader), "{limit} at a time");
            // Also past what is nothing to the reader.
            assert_eq!(place, world.store.last_change().await.unwrap());
        }
    }
}

pub(in crate::storage) async fn a_place_that_the_log_does_not_have_is_none(world: World) {
    let begin = world.store.last_change().await.unwrap();
    world.some_writes().await;
    let end = world.store.last_change().await.unwrap();
    for key in [
        ChangeKey { seq: end.seq + 1, ..end.clone() },
        ChangeKey { mark: begin.mark.clone(), ..end.clone() },
        ChangeKey { mark: end.mark.clone(), ..begin.clone() },
        ChangeKey { seq: -1, ..begin.clone() },
        ChangeKey { seq: i64::MAX, ..end.clone() },
    ] {
        for reader in [None, Some("ada")] {
            assert_eq!(world.store.changes(reader, &key, ALL).await.unwrap(), None, "{key:?}");
        }
    }
}

pub(in crate::storage) async fn the_log_is_trimmed_up_to_the_newest_change_that_is_old(
    world: World,
) {
    let begin = world.store.last_change().await.unwrap();
    // Written by a clock that was once ahead.
    for minute in [1, 2, 9, 3, 4] {
        world.tree("ada", minute, |_| {}).await;
    }
    let keys: Vec<_> = world.log(None, &begin).await.into_iter().map(|(key, _)| key).collect();
    let there = async || {
        let places = [&begin].into_iter().chain(&keys);
        let mut there = String::new();
        for place in places {
            let found = world.store.changes(None, place, ALL).await.unwrap();
            there.push(if found.is_some() { 'x' } else { '.' });
        }
        there
    };
    let trim =
        async |minute, most| world.store.trim_changes(minute_of_test(minute), most).await.unwrap();
    assert_eq!((trim(0, 0).await, there().await.as_str()), (0, "xxxxxx"));
    // The newest of the old ones is where everybody is who has read all of them.
    assert_eq!((trim(2, 10).await, there().await.as_str()), (1, ".xxxxx"));
    assert_eq!((trim(2, 10).await, there().await.as_str()), (0, ".xxxxx"));
    // What is behind one that stays stays too.
    assert_eq!((trim(5, 10).await, there().await.as_str()), (1, "..xxxx"));
    assert_eq!((trim(5, 10).await, there().await.as_str()), (0, "..xxxx"));
    assert_eq!((trim(10, 1).await, there().await.as_str()), (1, "...xxx"));
    assert_eq!((trim(10, 10).await, there().await.as_str()), (2, ".....x"));
    assert_eq!((trim(10, 10).await, there().await.as_str()), (0, ".....x"));
    assert_eq!(world.store.last_change().await.unwrap(), keys[4]);
    world.tree("ada", 5, |_| {}).await;
    assert_eq!(world.store.last_change().await.unwrap().seq, keys[4].seq + 1);
}

pub(in crate::storage) async fn a_write_rings(world: World) {
    let mut bell = world.store.bell();
    world.folder("ada", None, "f").await;
    assert!(bell.has_changed().unwrap());
    bell.mark_unchanged();
    world.tree("ada", 0, |_| {}).await;
    assert!(bell.has_changed().unwrap());
}
