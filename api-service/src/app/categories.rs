//! Categories.

use super::{
    context::{App, TRIES},
    error::AppError,
};
use crate::{
    domain::{
        caller::Caller,
        category::{Category, Content, Edit},
        etag::Etag,
        id::CategoryId,
        page::{Page, PageRequest},
        policy::Action,
    },
    storage::{CategoryKey, StoreError},
};

impl App {
    pub(crate) async fn list_categories(
        &self,
        caller: &Caller,
        page: &PageRequest,
    ) -> Result<Page<Category>, AppError> {
        Self::allow(caller, Action::ReadCategories)?;
        let scope = ("ListCategories", &caller.user_id);
        let after = self
            .page_tokens
            .open(&scope, &page.token)?
            .map(|(position, name, id)| CategoryKey { position, name, id: CategoryId(id) });
        let items = self.store.categories(after.as_ref(), page.size.with_next()).await?;
        Ok(self.page(&scope, page, items, |category: &Category| {
            (category.content.position, category.content.name.clone(), category.id.0)
        }))
    }

    pub(crate) async fn category(
        &self,
        caller: &Caller,
        id: CategoryId,
    ) -> Result<Category, AppError> {
        Self::allow(caller, Action::ReadCategories)?;
        Ok(self.store.category(id).await?)
    }

    pub(crate) async fn create_category(
        &self,
        caller: &Caller,
        content: Content,
    ) -> Result<Category, AppError> {
        Self::allow(caller, Action::WriteCategories)?;
        let now = self.clock.now();
        let category = Category {
            id: CategoryId::new(now, &*self.entropy),
            content,
            etag: Etag::new(&*self.entropy),
            created_at: now,
            updated_at: now,
        };
        self.store.insert_category(&category).await?;
        Ok(category)
    }

    pub(crate) async fn update_category(
        &self,
        caller: &Caller,
        id: CategoryId,
        etag: Option<Etag>,
        edit: Edit,
    ) -> Result<Category, AppError> {
        Self::allow(caller, Action::WriteCategories)?;
        for _ in 0..TRIES {
            let current = self.store.category(id).await?;
            if etag.as_ref().is_some_and(|etag| *etag != current.etag) {
                return Err(StoreError::EtagMismatch.into());
            }
            let seen = current.etag.clone();
            let next = Category {
                content: edit.clone().apply(current.content),
                etag: Etag::new(&*self.entropy),
                updated_at: self.clock.now().max(current.updated_at),
                ..current
            };
            match self.store.update_category(&next, &seen).await {
                // Nothing was asked about the state: what others wrote in between is read anew.
                Err(StoreError::EtagMismatch) if etag.is_none() => {}
                written => return Ok(written.map(|()| next)?),
            }
        }
        Err(AppError::Contended)
    }

    pub(crate) async fn delete_category(
        &self,
        caller: &Caller,
        id: CategoryId,
        etag: Option<Etag>,
    ) -> Result<(), AppError> {
        Self::allow(caller, Action::WriteCategories)?;
        Ok(self.store.delete_category(id, etag.as_ref(), self.stamp()).await?)
    }
}
