//! The layer: attaches the token, recovers a refused call once.

mod attempt;
mod body;
mod bypass;
mod classify;
mod deadline;
mod future;
mod head;
mod layer;
mod look;
mod recovery;
mod replay;
mod service;

pub use self::{classify::Idempotent, future::ResponseFuture, layer::ReauthLayer, service::Reauth};
