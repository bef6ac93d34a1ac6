//! What a server refuses so that what it has begun is answered in time.

use std::num::NonZeroUsize;

mod admission;
mod connections;
mod limit;
mod shares;
mod spread;

pub use self::{
    admission::{Admission, AdmissionLayer, Admitted},
    connections::{Connection, Connections},
    shares::{Share, Shares},
    spread::Spread,
};

/// How many connections there may be, unless a setting says otherwise.
pub const DEFAULT_CONNECTIONS: NonZeroUsize = NonZeroUsize::new(10_000).expect(MORE_THAN_ZERO);
/// How many requests may be under way, unless a setting says otherwise: more than keep a machine and its
/// disk busy, and not so many that those begun at once are late.
pub const DEFAULT_REQUESTS: NonZeroUsize = NonZeroUsize::new(128).expect(MORE_THAN_ZERO);
const MORE_THAN_ZERO: &str = "it is more than zero";
