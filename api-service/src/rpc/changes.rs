//! The stream of what changes.

use evergreen_proto::api::v1 as pb;
use futures_util::stream::unfold;
use tonic::{Request, Status};

use super::{
    convert::caller,
    service::Rpc,
    status::IntoStatus as _,
    stream::{Changes, boxed},
};
use crate::{
    app::{AppError, Following, Told},
    domain::change::{Resource, ResourceId},
};

impl Rpc {
    pub(super) async fn changes(
        &self,
        request: Request<pb::WatchChangesRequest>,
    ) -> Result<Changes, Status> {
        let caller = caller(&request)?;
        let following = self.app.watch_changes(&caller, &request.get_ref().cursor).await;
        let following = following.map_err(AppError::into_status)?;
        // Nothing is made ahead of the receiver.
        Ok(boxed(unfold(Some(following), async |following: Option<Following>| {
            let mut following = following?;
            match following.next().await {
                Ok((told, cursor)) => {
                    let change = told.map(Into::into);
                    Some((Ok(pb::WatchChangesResponse { change, cursor }), Some(following)))
                }
                Err(error) => Some((Err(error.into_status()), None)),
            }
        })))
    }
}

impl From<Told> for pb::Change {
    fn from(told: Told) -> Self {
        let (kind, resource) = match told {
            Told::Created(resource) => (pb::ChangeKind::Created, resource.into()),
            Told::Updated(resource) => (pb::ChangeKind::Updated, resource.into()),
            Told::Deleted(id) => (pb::ChangeKind::Deleted, gone(id)),
        };
        Self { kind: kind.into(), resource: Some(resource) }
    }
}

impl From<Resource> for pb::change::Resource {
    fn from(resource: Resource) -> Self {
        match resource {
            Resource::Category(category) => Self::Category(category.into()),
            Resource::Folder(folder) => Self::Folder(folder.into()),
            Resource::Tree(tree) => Self::Tree(tree.into()),
        }
    }
}

/// What is told of a thing that is not found any more.
fn gone(id: ResourceId) -> pb::change::Resource {
    match id {
        ResourceId::Category(id) => pb::change::Resource::Category(pb::Category {
            category_id: id.to_string(),
            ..Default::default()
        }),
        ResourceId::Folder(id) => pb::change::Resource::Folder(pb::Folder {
            folder_id: id.to_string(),
            ..Default::default()
        }),
        ResourceId::Tree(id) => {
            pb::change::Resource::Tree(pb::Tree { tree_id: id.to_string(), ..Default::default() })
        }
    }
}
