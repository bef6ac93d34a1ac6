//! Both services in this process, and a network that can be told to lose answers, to keep them back
//! and to answer in a server's place: what the demonstration, the benchmarks and the end-to-end tests
//! stand on.

mod account;
mod front;
mod pair;
mod proxy;

pub use self::{
    front::BusyFront,
    pair::{Accounts, DEMO_PASSWORD, DEMO_USER, Failure, Running, start_api, start_auth},
    proxy::LossyProxy,
};
