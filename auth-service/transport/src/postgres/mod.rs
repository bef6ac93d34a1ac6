//! What both servers ask of a PostgreSQL database, whatever they keep in it.

mod bells;
mod connect;
mod retry;

pub use self::{
    bells::Bells,
    connect::{mend, prepare},
    retry::{ATTEMPTS, was_rolled_back},
};
