//! Export and import.

use std::{collections::HashMap, time::Duration};

use evergreen_proto::{ERROR_DOMAIN, api::v1 as pb, reason};
use futures_util::{FutureExt as _, stream::unfold};
use prost::Message as _;
use tokio::{sync::watch, time::timeout};
use tonic::{Code, Request, Status, Streaming};
use tonic_types::StatusExt as _;
use transport::status::{argument_invalid, status};

use super::{
    convert::{caller, required, tree_edit},
    mask::Mask,
    service::{Rpc, bad},
    status::IntoStatus as _,
    stream::{Exported, boxed},
};
use crate::{
    app::{AppError, Exporting, Importing},
    domain::{
        id::{self, FolderId, TreeId},
        import,
        tree::Edit,
        violation::Violation,
    },
};

impl Rpc {
    pub(super) async fn exported_trees(
        &self,
        request: Request<pb::ExportTreesRequest>,
    ) -> Result<Exported, Status> {
        let caller = caller(&request)?;
        let request = request.into_inner();
        let folder = id::optional("folder_id", &request.folder_id, FolderId::parse).map_err(bad)?;
        let after =
            id::optional("after_tree_id", &request.after_tree_id, TreeId::parse).map_err(bad)?;
        let exporting = self.app.export_trees(&caller, folder, after).await;
        let exporting = exporting.map_err(AppError::into_status)?;
        // Nothing is read ahead of the receiver.
        Ok(boxed(unfold(Some(exporting), async |exporting: Option<Exporting>| {
            let mut exporting = exporting?;
            match exporting.next().await {
                Ok(tree) => {
                    let tree = Some(tree?.into());
                    Some((Ok(pb::ExportTreesResponse { tree }), Some(exporting)))
                }
                Err(error) => Some((Err(error.into_status()), None)),
            }
        })))
    }

    pub(super) async fn imported_trees(
        &self,
        request: Request<Streaming<pb::ImportTreesRequest>>,
    ) -> Result<pb::ImportTreesResponse, Status> {
        let caller = caller(&request)?;
        let key = import_key(&request)?;
        let importing = self.app.import_trees(&caller, key).await;
        let mut importing = importing.map_err(AppError::into_status)?;
        let taken = take_in(&mut importing, request.into_inner(), self.app.stopping()).await;
        let created = importing.created();
        let imported = taken
            .and_then(|()| importing.finish().map_err(AppError::into_status))
            .map_err(|status| with_count(&status, created))?;
        Ok(pb::ImportTreesResponse {
            created_count: i32::try_from(imported.created).unwrap_or(i32::MAX),
            skipped_count: i32::try_from(imported.skipped).unwrap_or(i32::MAX),
        })
    }
}

/// Creates the trees of a stream in groups: whatever has arrived by the time that the group before is
/// durable.
async fn take_in(
    importing: &mut Importing,
    mut stream: Streaming<pb::ImportTreesRequest>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Status> {
    let mut place = 0;
    loop {
        let first = tokio::select! {
            first = timeout(LONGEST_SILENCE, stream.message()) => first.map_err(|_| silent())?,
            Ok(_) = stopping.wait_for(|&stopping| stopping) => {
                return Err(AppError::Stopping.into_status());
            }
        };
        let mut next = Some(first);
        let (mut trees, mut bytes) = (0, 0);
        let mut ended = None;
        while let Some(message) = next.take() {
            let taken = match message {
                Ok(Some(message)) => {
                    bytes += message.encoded_len();
                    trees += 1;
                    import(importing, place, message)
                }
                Ok(None) => {
                    ended = Some(Ok(()));
                    break;
                }
                Err(status) => Err(status),
            };
            if let Err(status) = taken {
                ended = Some(Err(status));
                break;
            }
            place += 1;
            if trees < MOST_TREES && bytes < MOST_BYTES {
                next = stream.message().now_or_never();
            }
        }
        // What came before what is wrong stays.
        importing.commit().await.map_err(AppError::into_status)?;
        if let Some(ended) = ended {
            return ended;
        }
    }
}

fn import(
    importing: &mut Importing,
    place: usize,
    message: pb::ImportTreesRequest,
) -> Result<(), Status> {
    let edit = edit(message).map_err(|violation| {
        let field = violation.field.strip_prefix("tree").unwrap_or(&violation.field);
        bad(Violation::new(format!("trees[{place}]{field}"), violation.mend))
    })?;
    importing.push(edit).map_err(AppError::into_status)
}

fn edit(message: pb::ImportTreesRequest) -> Result<Edit, Violation> {
    tree_edit(required("tree", message.tree)?, &Mask::all())
}

/// The key that names an import, if the client names it.
fn import_key<T>(request: &Request<T>) -> Result<Option<String>, Status> {
    const FIELD: &str = "idempotency-key";
    let invalid = |mend: &str| argument_invalid(reason::IDEMPOTENCY_KEY_INVALID, FIELD, mend);
    let mut values = request.metadata().get_all(FIELD).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("must be sent once: which of two names the import?"));
    }
    import::key(FIELD, value.as_bytes()).map(Some).map_err(|violation| invalid(&violation.mend))
}

/// A failure that also says how many trees there are.
fn with_count(status: &Status, created: i64) -> Status {
    let mut details = status.get_error_details();
    let reason = details
        .error_info()
        .map_or_else(|| reason::INTERNAL.to_owned(), |info| info.reason.clone());
    let metadata = HashMap::from([("created_count".to_owned(), created.to_string())]);
    details.set_error_info(reason, ERROR_DOMAIN, metadata);
    Status::with_error_details(status.code(), status.message(), details)
}

fn silent() -> Status {
    status(
        Code::DeadlineExceeded,
        reason::DEADLINE_EXCEEDED,
        "nothing was sent for half a minute; go on with the same key",
    )
}

const MOST_TREES: usize = 100;
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How long a stream may send nothing.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
