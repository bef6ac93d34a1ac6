//! No issuer is trusted to answer with tokens that can be used.

use std::sync::Arc;

use secrecy::ExposeSecret as _;

use super::{RefreshFuture, RefreshRequest, Refresher, Renewal};
use crate::TokenPair;

/// A refresher whose pairs are fit for use. One that is not counts as no answer: the session is kept,
/// and the same attempt is repeated within its budget.
#[derive(Debug)]
pub(crate) struct CheckedRefresher(Arc<dyn Refresher>);

impl CheckedRefresher {
    pub(crate) const fn new(inner: Arc<dyn Refresher>) -> Self {
        Self(inner)
    }
}

impl Refresher for CheckedRefresher {
    fn refresh(&self, request: RefreshRequest) -> RefreshFuture<'_> {
        Box::pin(async move {
            match self.0.refresh(request).await {
                Renewal::Renewed(pair) => checked(pair),
                other => other,
            }
        })
    }
}

fn checked(pair: TokenPair) -> Renewal {
    let refused = |message| Renewal::Unreachable { message, retry_after: None };
    if pair.access_token.expose_secret().is_empty() {
        return refused("the answer holds no tokens".to_owned());
    }
    match pair.admit() {
        Ok(pair) => Renewal::Renewed(pair),
        Err(e) => refused(format!("the answer holds a token that {e}")),
    }
}
