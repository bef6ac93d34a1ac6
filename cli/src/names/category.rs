//! Categories by slug or name.

use std::collections::HashMap;

use evergreen_proto::api::v1::{Category, GetCategoryRequest, ListCategoriesRequest};

use super::{Thing, choose, choose::is_id};
use crate::{
    common::Api,
    errors::{Candidate, Error},
    pages::{self, PAGE},
};

/// The category that `given` means.
pub(crate) async fn category(api: &Api, given: &str) -> Result<Category, Error> {
    if is_id(given) {
        let request = GetCategoryRequest { category_id: given.to_lowercase() };
        let answer = api.clone().get_category(request).await?.into_inner();
        return Ok(answer.category.unwrap_or_default());
    }
    let all = Categories::read(api).await?.all;
    // A slug belongs to one category alone, a name need not.
    if let Some(found) = all.iter().find(|category| category.slug == given) {
        return Ok(found.clone());
    }
    let candidates =
        all.iter().map(|c| Candidate { id: c.category_id.clone(), label: c.name.clone() });
    let chosen = choose(Thing::Category, given, &candidates.collect::<Vec<_>>())?.id;
    Ok(all.into_iter().find(|category| category.category_id == chosen).unwrap_or_default())
}

/// The whole shelf.
#[derive(Debug, Default)]
pub(crate) struct Categories {
    pub(crate) all: Vec<Category>,
}

impl Categories {
    pub(crate) async fn read(api: &Api) -> Result<Self, Error> {
        let page = async |page_token| {
            let request = ListCategoriesRequest { page_size: PAGE, page_token };
            let answer = api.clone().list_categories(request).await?.into_inner();
            Ok((answer.categories, answer.next_page_token))
        };
        Ok(Self { all: pages::all(usize::MAX, page).await? })
    }

    /// Slugs by id.
    pub(crate) fn slugs(&self) -> HashMap<&str, &str> {
        self.all.iter().map(|c| (c.category_id.as_str(), c.slug.as_str())).collect()
    }
}
