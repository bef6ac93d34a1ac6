//! How a flight ends, for everybody who waited for it.

use std::sync::Arc;

use crate::{AuthenticationError, session::Token};

/// The same for every waiter.
pub(crate) type Outcome = Result<Landing, AuthenticationError>;

/// A newer token.
#[derive(Clone, Debug)]
pub(crate) struct Landing {
    pub(crate) token: Arc<Token>,
    pub(crate) how: How,
}

/// Where the newer token came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It was already here, or another process had saved it.
    Adopted,
    /// The issuer gave it to this flight.
    Renewed,
}
