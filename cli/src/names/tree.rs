//! Trees by title.

use evergreen_proto::api::v1::{GetTreeRequest, ListDeletedTreesRequest, ListTreesRequest, Tree};

use super::{Thing, choose, choose::is_id};
use crate::{
    common::Api,
    errors::{Candidate, Error},
    pages::{self, PAGE},
};

/// The tree that `given` means, with its nodes.
pub(crate) async fn tree(api: &Api, given: &str) -> Result<Tree, Error> {
    let tree_id = if is_id(given) {
        given.to_lowercase()
    } else {
        let page = async |page_token| {
            let request =
                ListTreesRequest { page_size: PAGE, page_token, ..ListTreesRequest::default() };
            let answer = api.clone().list_trees(request).await?.into_inner();
            Ok((answer.trees, answer.next_page_token))
        };
        among(given, &pages::all(usize::MAX, page).await?)?
    };
    let answer = api.clone().get_tree(GetTreeRequest { tree_id }).await?.into_inner();
    Ok(answer.tree.unwrap_or_default())
}

/// The id of the deleted tree that `given` means.
pub(crate) async fn deleted_tree(api: &Api, given: &str) -> Result<String, Error> {
    if is_id(given) {
        return Ok(given.to_lowercase());
    }
    let page = async |page_token| {
        let request = ListDeletedTreesRequest { page_size: PAGE, page_token };
        let answer = api.clone().list_deleted_trees(request).await?.into_inner();
        Ok((answer.trees, answer.next_page_token))
    };
    let deleted = pages::all(usize::MAX, page).await?;
    among(given, &deleted).map_err(|e| match e.exit() {
        crate::errors::Exit::NotFound => {
            e.then("`evergreen trees list --deleted` shows what can be restored.")
        }
        _ => e,
    })
}

fn among(given: &str, trees: &[Tree]) -> Result<String, Error> {
    let candidates =
        trees.iter().map(|tree| Candidate { id: tree.tree_id.clone(), label: tree.title.clone() });
    Ok(choose(Thing::Tree, given, &candidates.collect::<Vec<_>>())?.id)
}
