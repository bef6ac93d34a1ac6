//! What the streaming RPCs return.

use std::pin::Pin;

use evergreen_proto::api::v1 as pb;
use tokio_stream::Stream;
use tonic::Status;

/// Of `WatchChanges`.
pub(super) type Changes = Boxed<pb::WatchChangesResponse>;

/// Of `ExportTrees`.
pub(super) type Exported = Boxed<pb::ExportTreesResponse>;

type Boxed<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

pub(super) fn boxed<T>(stream: impl Stream<Item = Result<T, Status>> + Send + 'static) -> Boxed<T> {
    Box::pin(stream)
}
