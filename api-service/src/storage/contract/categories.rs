//! Categories.

use super::{World, minute_of_test};
use crate::{
    domain::tree::{Edit, Tree},
    storage::{CategoryKey, StoreError},
};

pub(in crate::storage) async fn categories_have_their_own_slugs(world: World) {
    for (slug, position) in [("c", 1), ("b", 1), ("a", 2), ("d", 0)] {
        world.category(slug, position).await.unwrap();
    }
    assert!(matches!(world.category("a", 9).await, Err(StoreError::CategorySlugTaken)));
    let (mut found, mut after) = (Vec::new(), None);
    while let Some(next) = world.store.categories(after.as_ref(), 1).await.unwrap().pop() {
        after = Some(CategoryKey {
            position: next.content.position,
            name: next.content.name.clone(),
            id: next.id,
        });
        found.push(next);
        assert!(found.len() < 100, "the list does not come to an end");
    }
    let slugs: Vec<_> = found.iter().map(|category| category.content.slug.as_str()).collect();
    assert_eq!(slugs, ["d", "b", "c", "a"]);
    let mut other = found.remove(0);
    other.content.slug = "a".into();
    let written = world.store.update_category(&other, &other.etag).await;
    assert!(matches!(written, Err(StoreError::CategorySlugTaken)));
}

pub(in crate::storage) async fn a_category_in_use_stays(world: World) {
    let category = world.category("c", 0).await.unwrap();
    let tree = world.tree("ada", 0, |t| t.content.category_id = Some(category.id)).await;
    let held = world.store.delete_category(category.id, None, world.stamp()).await;
    assert!(matches!(held, Err(StoreError::CategoryInUse)));
    let edit = Edit { category_id: Some(None), ..Edit::default() };
    let edit = |tree: Tree, etag| tree.edited(edit, etag, minute_of_test(1));
    world.write(&tree, edit).await.unwrap();
    world.store.delete_category(category.id, Some(&category.etag), world.stamp()).await.unwrap();
    for result in [
        world.store.delete_category(category.id, None, world.stamp()).await,
        world.store.category(category.id).await.map(drop),
        world.store.update_category(&category, &category.etag).await,
    ] {
        assert!(matches!(result, Err(StoreError::CategoryNotFound)));
    }
}
