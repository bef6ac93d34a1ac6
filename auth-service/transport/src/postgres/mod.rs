//! What both servers ask of a PostgreSQL database, whatever they keep in it.

mod bells;
mod connect;
mod pool;
mod primary;
mod probe;
mod retry;
mod servers;

pub use self::{
    bells::Bells,
    connect::{mend, prepare},
    pool::{Left, Pool, Unanswered},
    primary::Primary,
    probe::Probe,
    retry::{ATTEMPTS, was_rolled_back},
    servers::Servers,
};
