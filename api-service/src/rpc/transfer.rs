//! Export and import.

use std::{collections::HashMap, future::pending, mem, pin::pin, time::Duration};

use client_sdk::guard;
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
        let named = key.is_some();
        let holder = request.extensions().get::<guard::Caller>().cloned();
        let importing = self.app.import_trees(&caller, key).await;
        let mut importing = importing.map_err(AppError::into_status)?;
        let taken =
            take_in(&mut importing, holder, request.into_inner(), self.app.stopping()).await;
        let created = importing.created();
        let imported = taken
            .and_then(|()| importing.finish().map_err(AppError::into_status))
            .map_err(|status| with_count(&unrepeatable(status, named, created), created))?;
        Ok(pb::ImportTreesResponse {
            created_count: i32::try_from(imported.created).unwrap_or(i32::MAX),
            skipped_count: i32::try_from(imported.skipped).unwrap_or(i32::MAX),
        })
    }
}

/// Creates the trees of a stream in groups: while one is made durable, those that arrive meanwhile form
/// the next one.
async fn take_in(
    importing: &mut Importing,
    holder: Option<guard::Caller>,
    mut stream: Streaming<pb::ImportTreesRequest>,
    mut stopping: watch::Receiver<bool>,
) -> Result<(), Status> {
    let mut place = 0;
    let mut arrived = Arrived::default();
    let mut revoked = pin!(async {
        match &holder {
            Some(holder) => holder.ended().await,
            None => pending().await,
        }
    });
    loop {
        // A session that is revoked creates no more, however fast its trees come.
        if let Some(refusal) = revoked.as_mut().now_or_never() {
            return Err(refusal);
        }
        if arrived.is_nothing() {
            tokio::select! {
                refusal = &mut revoked => return Err(refusal),
                first = timeout(LONGEST_SILENCE, stream.message()) => {
                    arrived.take(first.map_err(|_| silent())?);
                }
                Ok(_) = stopping.wait_for(|&stopping| stopping) => {
                    return Err(AppError::Stopping.into_status());
                }
            }
        }
        while arrived.has_room()
            && let Some(message) = stream.message().now_or_never()
        {
            arrived.take(message);
        }
        let Arrived { messages, mut end, .. } = mem::take(&mut arrived);
        for message in messages {
            if let Err(status) = import(importing, place, message) {
                end = Some(Err(status));
                break;
            }
            place += 1;
        }
        // What came before what is wrong stays.
        let mut commit = pin!(importing.commit());
        let committed = loop {
            tokio::select! {
                biased;
                committed = &mut commit => break committed,
                message = stream.message(), if end.is_none() && arrived.has_room() => {
                    arrived.take(message);
                }
            }
        };
        committed.map_err(AppError::into_status)?;
        if let Some(end) = end {
            return end;
        }
    }
}

/// What has arrived of a stream and was not looked at yet.
#[derive(Default)]
struct Arrived {
    messages: Vec<pb::ImportTreesRequest>,
    bytes: usize,
    /// How the stream ended, after these messages.
    end: Option<Result<(), Status>>,
}

impl Arrived {
    fn is_nothing(&self) -> bool {
        self.messages.is_empty() && self.end.is_none()
    }

    fn has_room(&self) -> bool {
        self.end.is_none() && self.messages.len() < MOST_TREES && self.bytes < MOST_BYTES
    }

    fn take(&mut self, message: Result<Option<pb::ImportTreesRequest>, Status>) {
        match message {
            Ok(Some(message)) => {
                self.bytes += message.encoded_len();
                self.messages.push(message);
            }
            Ok(None) => self.end = Some(Ok(())),
            Err(status) => self.end = Some(Err(status)),
        }
    }
}

fn import(
    importing: &mut Importing,
    place: usize,
    message: pb::ImportTreesRequest,
) -> Result<(), Status> {
    let pushed = edit(message).map_err(AppError::Invalid).and_then(|edit| importing.push(edit));
    pushed.map_err(|error| match error {
        AppError::Invalid(violation) => {
            let field = violation.field.strip_prefix("tree").unwrap_or(&violation.field);
            bad(Violation::new(format!("trees[{place}]{field}"), violation.mend))
        }
        error => error.into_status(),
    })
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

/// What ends an import under way. The clients of a guard send a call again, with a newer token, that is
/// refused for its caller's sake; without a key that would create trees twice.
fn unrepeatable(refusal: Status, named: bool, created: i64) -> Status {
    if named || created == 0 || refusal.code() != Code::Unauthenticated {
        return refusal;
    }
    status(
        Code::Aborted,
        reason::IMPORT_INTERRUPTED,
        format!("{}; the trees created until then stay, and no key names them", refusal.message()),
    )
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

/// A group is one commit, which is most of what a small one costs; and all that others who write wait
/// for.
const MOST_TREES: usize = 500;
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// How long a stream may send nothing.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);
