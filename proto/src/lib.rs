//! Evergreen's wire contract: the messages, clients and servers generated from the `.proto` files
//! beside this crate, and their descriptors for server reflection.
//!
//! Messages that carry a secret have a `Debug` that does not show it.

#![allow(missing_docs, reason = "generated items are documented in the .proto files")]
#![allow(
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code is not written to this house's rules"
)]

/// Package `evergreen.auth.v1`.
pub mod auth {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("evergreen.auth.v1");
    }
}

/// Package `evergreen.api.v1`.
pub mod api {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("evergreen.api.v1");
    }
}

mod redact;

/// The encoded `FileDescriptorSet` of both packages, comments included, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("evergreen_descriptor");

/// The `ErrorInfo.domain` of every error that Evergreen's services answer.
pub const ERROR_DOMAIN: &str = "evergreen";

pub mod reason;
