//! What the streaming RPCs return.

use evergreen_proto::api::v1 as pb;
use tokio_stream::Empty;
use tonic::Status;

/// Of `WatchChanges`, which this version does not serve.
pub(super) type Changes = Empty<Result<pb::WatchChangesResponse, Status>>;

/// Of `ExportTrees`, which this version does not serve.
pub(super) type Exported = Empty<Result<pb::ExportTreesResponse, Status>>;
