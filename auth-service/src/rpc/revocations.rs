//! The stream of WatchRevocations.

use std::pin::Pin;

use evergreen_proto::auth::v1 as pb;
use futures_util::stream::unfold;
use tokio_stream::Stream;
use tonic::Status;

use crate::{
    app::{Batch, Following, Told},
    domain::revocation::Revoked,
    rpc::{convert::timestamp, status::to_status},
};

/// What WatchRevocations answers with.
pub(crate) type RevocationStream =
    Pin<Box<dyn Stream<Item = Result<pb::WatchRevocationsResponse, Status>> + Send>>;

/// Follows for as long as somebody receives; nothing is made ahead of them.
pub(super) fn stream(following: Following) -> RevocationStream {
    Box::pin(unfold(Some(following), async |following| {
        let mut following = following?;
        match following.next().await? {
            Ok(batch) => Some((Ok(response(batch)), Some(following))),
            Err(error) => Some((Err(to_status(error)), None)),
        }
    }))
}

fn response(batch: Batch) -> pb::WatchRevocationsResponse {
    pb::WatchRevocationsResponse {
        snapshot: batch.snapshot,
        revocations: batch.revocations.into_iter().map(revocation).collect(),
        cursor: batch.cursor,
    }
}

fn revocation(told: Told) -> pb::Revocation {
    let expire_time = Some(timestamp(told.expires));
    match told.what {
        Revoked::Roles { holder, version } => pb::Revocation {
            user_id: holder.to_string(),
            roles_version: version,
            expire_time,
            ..pb::Revocation::default()
        },
        Revoked::Session(session) => pb::Revocation {
            session_id: session.to_string(),
            expire_time,
            ..pb::Revocation::default()
        },
    }
}
